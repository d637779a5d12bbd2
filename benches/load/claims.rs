//! Agents who claim from one line, all at once, over HTTP; against the least that the database must do for a claim.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use allclear::clock::Clock as Time;
use allclear::db::schema::{events, service_requests, waiting_requests};
use allclear::db::{Connection, Moment, QueueId, RequestId, SubjectId, TenantId};
use allclear::journal::{self, Actor, Event, EventKind, SubjectKind};
use allclear::requests::{Request, Status};
use allclear::sla::Clock;
use chrono::TimeDelta;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use serde_json::json;
use tokio::task::{JoinSet, spawn_blocking};

use super::desk::{AGENTS, Desk, User, id};
use super::fill::{Filler, severity};
use super::{millis, percentile};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);

/// Minutes to the first answer and to the end, by severity: days, so that no clock runs out meanwhile.
fn target(number: usize) -> i32 {
    1440 * (2 + (number % 4) as i32)
}

fn fill(desk: &Desk, requests: usize) {
    let mut filler = Filler::of(desk);
    let now: Moment = Time::system().now().into();
    for number in 0..requests {
        let back = TimeDelta::milliseconds((number as i64 * 7919) % 86_400_000);
        let request = filler.request(now.minus(back), severity(number));
        // What is least urgent has no deadline.
        let target = (number % 10 > 0).then_some(target(number));
        filler.wait(&request, target);
        if let Some(target) = target {
            filler.clock(
                &request,
                (Clock::FirstResponse, 1),
                request.created_at,
                target,
                None,
            );
            filler.clock(
                &request,
                (Clock::Resolution, 1),
                request.created_at,
                target * 4,
                None,
            );
        }
        filler.add(request);
    }
    filler.flush();
    desk.settle();
}

pub async fn measure(mut desk: Desk, requests: usize) {
    fill(&desk, requests);
    let (mut claimed, mut ratios, mut taking) = (HashSet::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (ours, times) = over_http(&desk, &mut claimed).await;
        taking.extend(times);
        let theirs = bare(&desk).await;
        ratios.push((ours * 100.0 / theirs) as u32);
        println!(
            "  claiming: {ours:.0}/s over HTTP, {theirs:.0}/s bare: {:.2}",
            ours / theirs
        );
        put_away(&desk);
    }
    ratios.sort_unstable();
    taking.sort_unstable();
    let middle = f64::from(percentile(&ratios, 50)) / 100.0;
    let (p50, p99) = (millis(percentile(&taking, 50)), millis(percentile(&taking, 99)));
    println!(
        "{}, claiming by {AGENTS} agents out of {requests}: median {middle:.2}; an answer takes {p50}, p99 {p99}",
        desk.engine
    );
    prove(&desk, claimed.len());
    desk.stop().await;
}

/// Claims a second, and how long each took. Nothing is claimed twice.
async fn over_http(desk: &Desk, claimed: &mut HashSet<String>) -> (f64, Vec<Duration>) {
    let begun = Instant::now();
    let mut agents = JoinSet::new();
    for agent in desk.agents.clone() {
        let path = format!("/v1/queues/{}/claim", desk.queue);
        agents.spawn(claims_of(agent, path, begun + ROUND));
    }
    let all: Vec<(String, Duration)> = agents.join_all().await.into_iter().flatten().collect();
    let rate = all.len() as f64 / begun.elapsed().as_secs_f64();
    let times = all.iter().map(|(_, took)| *took).collect();
    for (request, _) in all {
        assert!(claimed.insert(request.clone()), "{request} was claimed twice");
    }
    (rate, times)
}

async fn claims_of(agent: User, path: String, end: Instant) -> Vec<(String, Duration)> {
    let mut claims = Vec::new();
    while Instant::now() < end {
        let asked = Instant::now();
        let claim = agent.post(&path, json!({})).await;
        claims.push((id(&claim["service_request"]).to_owned(), asked.elapsed()));
    }
    claims
}

/// Claims a second of connections that do nothing else: 32 on PostgreSQL, where each passes over what another has in its
/// hands; one on SQLite, 64 a commit.
async fn bare(desk: &Desk) -> f64 {
    let (connections, together) = match desk.engine.as_str() {
        "sqlite" => (1, 64),
        _ => (AGENTS, 1),
    };
    let begun = Instant::now();
    let mut hands = JoinSet::new();
    for _ in 0..connections {
        let (mut conn, queue) = (desk.durable(), desk.queue);
        hands.spawn(spawn_blocking(move || {
            let mut taken = 0;
            while begun.elapsed() < ROUND {
                take(&mut conn, queue, together);
                taken += together;
            }
            taken
        }));
    }
    let taken: usize = hands.join_all().await.into_iter().map(Result::unwrap).sum();
    taken as f64 / begun.elapsed().as_secs_f64()
}

fn take(conn: &mut Connection, queue: QueueId, together: usize) {
    // The server goes on writing: on SQLite the writer is taken before anything is read.
    let begin = match conn {
        Connection::Postgres(_) => "BEGIN",
        Connection::Sqlite(_) => "BEGIN IMMEDIATE",
    };
    conn.batch_execute(begin).unwrap();
    take_all(conn, queue, together).unwrap();
    conn.batch_execute("COMMIT").unwrap();
}

fn take_all(conn: &mut Connection, queue: QueueId, together: usize) -> QueryResult<()> {
    let now: Moment = Time::system().now().into();
    for _ in 0..together {
        let line = waiting_requests::table
            .filter(waiting_requests::queue_id.eq(queue))
            .order((
                waiting_requests::urgent_at,
                waiting_requests::severity,
                waiting_requests::standing,
                waiting_requests::request_id,
            ))
            .select((waiting_requests::tenant_id, waiting_requests::request_id));
        let key: (TenantId, RequestId) = match conn {
            Connection::Postgres(conn) => line.limit(1).for_update().skip_locked().first(conn)?,
            Connection::Sqlite(conn) => line.limit(1).first(conn)?,
        };
        let mut request: Request = service_requests::table
            .find(key)
            .select(Request::as_select())
            .first(conn)?;
        request.status = Status::InProgress;
        request.revision += 1;
        diesel::update(service_requests::table.find(key))
            .set(&request)
            .execute(conn)?;
        diesel::delete(waiting_requests::table.find(key)).execute(conn)?;
        let subject = (SubjectKind::Request, request.id);
        let data = json!({"from": "queued", "to": "in_progress"});
        let whose = (request.tenant_id, request.revision);
        let event = Event::new(
            EventKind::RequestClaimed,
            subject,
            whose,
            (&Actor::system(), now),
            data,
        );
        journal::record(conn, &event, &[]).map_err(|_| diesel::result::Error::RollbackTransaction)?;
    }
    Ok(())
}

/// What was claimed is done: nobody works on thousands at a time.
fn put_away(desk: &Desk) {
    let mut conn = desk.connect();
    let done = (
        service_requests::status.eq(Status::Resolved),
        service_requests::is_open.eq(false),
    );
    diesel::update(service_requests::table.filter(service_requests::status.eq(Status::InProgress)))
        .set(done)
        .execute(&mut conn)
        .unwrap();
}

/// The history says the same: as many claims as were answered, each of another request.
fn prove(desk: &Desk, claimed: usize) {
    let mut conn = desk.connect();
    let claims = events::table
        .filter(events::kind.eq(EventKind::RequestClaimed))
        .filter(events::actor_id.is_not_null());
    let all: i64 = claims.count().get_result(&mut conn).unwrap();
    let each: Vec<SubjectId> = claims
        .select(events::subject_id)
        .distinct()
        .load(&mut conn)
        .unwrap();
    assert_eq!((all, each.len()), (claimed as i64, claimed));
    println!("{claimed} claims, none of a request twice");
}
