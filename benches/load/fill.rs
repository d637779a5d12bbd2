//! Many requests, made past the server: each like the one that was filed, at another time, with the clocks and events
//! that it would have.

use allclear::db::schema::{events, service_requests, sla_clocks, sla_intervals, waiting_requests};
use allclear::db::{Connection, Id, Moment, RequestId, TenantId};
use allclear::identity::Plan;
use allclear::journal::{Actor, Event, EventKind, Seal, SubjectKind};
use allclear::queues::routing::Severity;
use allclear::requests::line::{Waiting, never};
use allclear::requests::sla::{ClockState, Row};
use allclear::requests::{Request, Status};
use allclear::sla::{Clock, Interval, Onset, Pace, Terms};
use chrono::TimeDelta;
use diesel::Connection as _;
use diesel::prelude::*;
use serde_json::{Value, json};

use super::desk::Desk;

/// Requests of one transaction.
const CHUNK: usize = 1000;

#[derive(Clone, Insertable)]
#[diesel(table_name = sla_intervals)]
struct Entry {
    tenant_id: TenantId,
    request_id: RequestId,
    clock: Clock,
    cycle: i32,
    seq: i32,
    #[diesel(embed)]
    interval: Interval,
}

pub struct Filler {
    conn: Connection,
    template: Request,
    made: u32,
    requests: Vec<Request>,
    waiting: Vec<Waiting>,
    clocks: Vec<Row>,
    intervals: Vec<Entry>,
    events: Vec<(Event, Seal)>,
}

/// How many of a hundred requests are of each severity, about as at real desks.
pub fn severity(number: usize) -> Severity {
    match number * 37 % 100 {
        0..5 => Severity::A,
        5..25 => Severity::B,
        25..70 => Severity::C,
        _ => Severity::D,
    }
}

pub fn minutes(count: i32) -> TimeDelta {
    TimeDelta::minutes(count.into())
}

impl Filler {
    pub fn of(desk: &Desk) -> Self {
        let mut conn = desk.connect();
        let template = service_requests::table
            .filter(service_requests::id.eq(desk.template))
            .select(Request::as_select())
            .first(&mut conn)
            .unwrap();
        Self {
            conn,
            template,
            made: 0,
            requests: Vec::new(),
            waiting: Vec::new(),
            clocks: Vec::new(),
            intervals: Vec::new(),
            events: Vec::new(),
        }
    }

    /// A request that was filed then, and waits; it is added when it is complete.
    pub fn request(&mut self, born: Moment, severity: Severity) -> Request {
        self.made += 1;
        Request {
            id: Id::at(born),
            reference: format!("SR-{:010}", self.made),
            severity,
            created_at: born,
            updated_at: born,
            ..self.template.clone()
        }
    }

    pub fn add(&mut self, request: Request) {
        self.requests.push(request);
        if self.requests.len() >= CHUNK {
            self.flush();
        }
    }

    /// A place in the line.
    pub fn wait(&mut self, request: &Request, target: Option<i32>) {
        self.waiting.push(Waiting {
            tenant_id: request.tenant_id,
            request_id: request.id,
            queue_id: request.queue_id,
            urgent_at: target.map_or_else(never, |target| request.created_at.plus(minutes(target))),
            severity: request.severity,
            standing: 1,
            since: request.created_at,
            needs: r#"{"skills":{},"language":null}"#.to_owned(),
            home_queue_id: request.queue_id,
            home_since: request.created_at,
            steps: 0,
            next_step_at: never(),
        });
    }

    /// A cycle of a clock around the clock, that began then, and ended after so many minutes if it did.
    pub fn clock(
        &mut self,
        request: &Request,
        (clock, cycle): (Clock, i32),
        opened_at: Moment,
        target: i32,
        took: Option<i32>,
    ) {
        let due = opened_at.plus(minutes(target));
        let stopped_at = took.map(|took| opened_at.plus(minutes(took)));
        let is_late = took.is_some_and(|took| took > target);
        self.clocks.push(Row {
            tenant_id: request.tenant_id,
            request_id: request.id,
            clock,
            cycle,
            state: if took.is_some() {
                ClockState::Stopped
            } else {
                ClockState::Running
            },
            revision: 1,
            terms: 1,
            plan: Plan::Standard,
            severity: request.severity,
            queue_id: request.queue_id,
            target_minutes: Some(target),
            opened_at,
            due_at: Some(due),
            next_at: took.is_none().then(|| opened_at.plus(minutes(target) * 3 / 4)),
            warned_at: took
                .filter(|took| took * 4 >= target * 3)
                .map(|_| opened_at.plus(minutes(target) * 3 / 4)),
            breached_at: is_late.then_some(due),
            stopped_at,
            elapsed: took.map(|took| i64::from(took) * 60_000_000),
        });
        self.intervals.push(Entry {
            tenant_id: request.tenant_id,
            request_id: request.id,
            clock,
            cycle,
            seq: 1,
            interval: Interval {
                from_at: opened_at,
                until_at: stopped_at,
                pace: Pace::Running,
                cause: if cycle == 1 { Onset::Filed } else { Onset::Reopened },
                terms: Terms {
                    policy_version: 1,
                    severity: request.severity,
                    target_minutes: Some(target),
                    calendar_id: None,
                    calendar_version: 0,
                },
            },
        });
    }

    /// An event that has been sealed.
    pub fn event(&mut self, request: &Request, seq: i32, kind: EventKind, at: Moment, data: Value) {
        let subject = (SubjectKind::Request, request.id);
        let event = Event::new(
            kind,
            subject,
            (request.tenant_id, seq),
            (&Actor::system(), at),
            data,
        );
        // Far from the links that the server makes meanwhile.
        let place = 1_000_000_000 + i64::from(self.made) * 16 + i64::from(seq);
        let seal = Seal {
            salt: Some("AAAAAAAAAAAAAAAAAAAAAA".to_owned()),
            digest: "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB".to_owned(),
            chain_seq: Some(place),
            chain_hash: Some("CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC".to_owned()),
        };
        self.events.push((event, seal));
    }

    /// An event that leads from one status to another.
    pub fn step(
        &mut self,
        request: &Request,
        seq: i32,
        kind: EventKind,
        at: Moment,
        from_to: (Status, Status),
    ) {
        self.event(
            request,
            seq,
            kind,
            at,
            json!({"from": from_to.0, "to": from_to.1}),
        );
    }

    /// Writes what has been added.
    pub fn flush(&mut self) {
        /// In groups that have fewer values than a statement may have.
        macro_rules! insert {
            ($conn:ident, $($table:ident <- $rows:expr;)*) => {$(
                for rows in $rows.chunks(CHUNK) {
                    diesel::insert_into($table::table).values(rows).execute($conn)?;
                }
            )*};
        }
        macro_rules! insert_all {
            ($conn:ident) => {
                $conn.transaction::<_, diesel::result::Error, _>(|conn| {
                    let sealed: Vec<_> = self.events.iter().map(|(event, seal)| (event, seal)).collect();
                    insert!(conn,
                        service_requests <- self.requests;
                        waiting_requests <- self.waiting;
                        sla_clocks <- self.clocks;
                        sla_intervals <- self.intervals;
                    );
                    for rows in sealed.chunks(CHUNK) {
                        diesel::insert_into(events::table).values(rows.to_vec()).execute(conn)?;
                    }
                    Ok(())
                })
            };
        }
        match &mut self.conn {
            Connection::Postgres(conn) => insert_all!(conn),
            Connection::Sqlite(conn) => insert_all!(conn),
        }
        .unwrap();
        self.requests.clear();
        self.waiting.clear();
        self.clocks.clear();
        self.intervals.clear();
        self.events.clear();
    }
}
