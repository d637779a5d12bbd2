//! The line of a queue: what is queued, in the order in which it is claimed.
//!
//! A row stands here exactly as long as its request is `queued`; [`follow`] sees to that in the transaction of every
//! change. Urgency is the earliest deadline, then the severity, then the age. What was handed over stands ahead of its
//! severity: before everything as severe that waits when it comes back.
//!
//! What nobody answers goes on by itself: `next` says where, `climb` takes it there. `turns` says whose turn it is where
//! work is given out, `push` gives it. `hand_over` takes back what somebody has whose shift has ended. `board` knows who
//! is there.

pub mod api;
pub mod board;
pub mod climb;
pub mod hand_over;
pub mod next;
pub mod push;
pub mod store;
pub mod turns;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;

use crate::db::schema::waiting_requests;
use crate::db::{Connection, Moment, QueueId, RequestId, TenantId};
use crate::journal::{Event, EventKind};
use crate::problem::Problem;
use crate::queues::routing::{Needs, Severity};
use crate::queues::{self, Queue};
use crate::requests::lifecycle::Status;
use crate::requests::model::Request;
use crate::requests::sla;

/// Why a request stands where it does among those that are as urgent and as severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Somebody had begun with it.
    HandedOver,
    /// It waits its turn.
    InTurn,
}

impl Standing {
    /// As it is stored: the smaller is claimed first.
    pub fn rank(self) -> i16 {
        match self {
            Self::HandedOver => 0,
            Self::InTurn => 1,
        }
    }
}

/// A queued request, in its line.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = waiting_requests)]
pub struct Waiting {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The request.
    pub request_id: RequestId,
    /// The line.
    pub queue_id: QueueId,
    /// Its earliest deadline; [`never`] without one.
    pub urgent_at: Moment,
    /// How bad it is.
    pub severity: Severity,
    /// A [`Standing`].
    pub standing: i16,
    /// When it came into this line.
    pub since: Moment,
    /// What it needs of an agent: [`Needs`] as JSON, the same text for the same needs.
    pub needs: String,
    /// The queue whose ladder it climbs: the one it came to by anything but a ladder.
    pub home_queue_id: QueueId,
    /// Since when.
    pub home_since: Moment,
    /// How many steps of that ladder were taken.
    pub steps: i16,
    /// When the next one is due; [`never`] after the last.
    pub next_step_at: Moment,
}

impl Waiting {
    /// Whether somebody had begun with it.
    pub fn is_handed_over(&self) -> bool {
        self.standing == Standing::HandedOver.rank()
    }
}

/// The deadline of what has none: a sort key is never null.
pub fn never() -> Moment {
    let last_day = DateTime::<Utc>::from_timestamp(253_402_214_400, 0);
    last_day.unwrap_or(DateTime::<Utc>::MAX_UTC).into()
}

/// The needs that a line has as text.
pub fn needs_of(text: &str) -> Result<Needs, Problem> {
    serde_json::from_str(text).map_err(Problem::internal)
}

/// When the step of a queue's ladder is due that comes after so many.
pub fn step_due(home: &Queue, since: Moment, taken: usize) -> Result<Moment, Problem> {
    let ladder = home.ladder()?;
    let step = ladder.0.get(taken);
    Ok(step.map_or_else(never, |step| {
        since.plus(TimeDelta::minutes(step.after_minutes.into()))
    }))
}

/// Lets the line follow a change of a request: in, out, or where it stood. `is_other_due` says whether its deadlines may
/// have changed with it.
pub fn follow(
    conn: &mut Connection,
    before: Option<&Request>,
    after: &Request,
    event: &Event,
    is_other_due: bool,
) -> Result<(), Problem> {
    let stood = before.filter(|request| request.status == Status::Queued);
    let stands = after.status == Status::Queued;
    match stood {
        Some(stood) if stands && stood.queue_id == after.queue_id => {
            let is_same = stood.severity == after.severity && stood.needs.0 == after.needs.0;
            if is_same && !is_other_due {
                return Ok(());
            }
            stand_anew(conn, after)
        }
        stood => {
            if stood.is_some() {
                store::leave(conn, after.tenant_id, after.id)?;
            }
            if stands {
                let row = place(conn, after, event)?;
                store::join(conn, &row)?;
            }
            Ok(())
        }
    }
}

/// Says anew where a request stands in its line, if it stands in one, as its severity, needs and deadline are now. What
/// was handed over stays where it stands, or moves ahead.
pub fn stand_anew(conn: &mut Connection, request: &Request) -> Result<(), Problem> {
    let Some(row) = store::find(conn, request.tenant_id, request.id)? else {
        return Ok(());
    };
    let due = due(conn, request)?;
    let urgent_at = if row.is_handed_over() {
        row.urgent_at.min(due)
    } else {
        due
    };
    store::save_urgency(conn, request, urgent_at, needs_text(request)?)
}

/// Those of these requests that stand in a line.
pub fn waiting(
    conn: &mut Connection,
    whose: &[(TenantId, RequestId)],
) -> Result<Vec<(TenantId, RequestId)>, Problem> {
    store::waiting(conn, whose)
}

/// Says anew by which deadline a request stands in its line, if it stands in one. What was handed over only moves ahead.
pub fn stand_by(
    conn: &mut Connection,
    whose: (TenantId, RequestId),
    due: Option<Moment>,
) -> Result<(), Problem> {
    store::save_due(conn, whose, due.unwrap_or_else(never))
}

/// The earliest deadline of a request, or [`never`].
fn due(conn: &mut Connection, request: &Request) -> Result<Moment, Problem> {
    let due = sla::due(conn, request.tenant_id, request.id)?;
    Ok(due.unwrap_or_else(never))
}

/// Where a request stands that comes into its line.
fn place(conn: &mut Connection, request: &Request, event: &Event) -> Result<Waiting, Problem> {
    let mut row = beginning(conn, request, event.at)?;
    row.urgent_at = due(conn, request)?;
    if event.kind == EventKind::RequestHandedOver {
        let first = store::earliest(conn, request.queue_id, request.severity)?;
        row.urgent_at = first.map_or(row.urgent_at, |first| first.min(row.urgent_at));
        row.standing = Standing::HandedOver.rank();
    }
    Ok(row)
}

/// The row of a request that comes into a line in its turn, without a deadline, at the foot of the queue's ladder.
pub fn beginning(conn: &mut Connection, request: &Request, now: Moment) -> Result<Waiting, Problem> {
    let home = queues::store::find(conn, request.queue_id)?.ok_or_else(|| Problem::not_found("queue"))?;
    Ok(Waiting {
        tenant_id: request.tenant_id,
        request_id: request.id,
        queue_id: request.queue_id,
        urgent_at: never(),
        severity: request.severity,
        standing: Standing::InTurn.rank(),
        since: now,
        needs: needs_text(request)?,
        home_queue_id: request.queue_id,
        home_since: now,
        steps: 0,
        next_step_at: step_due(&home, now, 0)?,
    })
}

/// The needs of a request, the same text for the same needs.
fn needs_text(request: &Request) -> Result<String, Problem> {
    let needs: Needs = serde_json::from_value(request.needs.0.clone()).map_err(Problem::internal)?;
    serde_json::to_string(&needs).map_err(Problem::internal)
}
