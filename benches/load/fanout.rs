//! How long a resolve takes that a hundred thousand requests follow, under a storm of filings against the same incident;
//! how long the chunks of what follows it are, and when all has followed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use allclear::clock::Clock as Time;
use allclear::db::schema::request_watchers;
use allclear::db::{Connection, IncidentId, Moment, RequestId, Scope, TenantId};
use allclear::mail::{self, Step};
use allclear::notify::{audience, cascade};
use allclear::problem::Problem;
use allclear::requests::Request;
use allclear::sla::Clock;
use chrono::TimeDelta;
use diesel::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::desk::{Desk, User, id};
use super::fill::{Filler, severity};
use super::{millis, percentile};

/// How often it is reopened and resolved once more.
const ROUNDS: usize = 50;
/// Agents who file all the while.
const FILERS: usize = 16;

/// Each request waits in the line, with a clock that runs, and is watched by somebody of its own.
fn fill(desk: &Desk, incident: IncidentId, requests: usize) {
    let mut filler = Filler::of(desk);
    let now: Moment = Time::system().now().into();
    let mut watchers: Vec<(TenantId, RequestId, String)> = Vec::new();
    for number in 0..requests {
        let born = now.minus(TimeDelta::milliseconds(number as i64));
        let request = Request {
            incident_id: Some(incident),
            ..filler.request(born, severity(number))
        };
        filler.wait(&request, Some(10_000));
        filler.clock(&request, (Clock::Resolution, 1), born, 10_000, None);
        watchers.push((
            request.tenant_id,
            request.id,
            format!("w{number}@contoso.example"),
        ));
        filler.add(request);
    }
    filler.flush();
    let mut conn = desk.connect();
    for rows in watchers.chunks(1000) {
        let rows: Vec<_> = rows
            .iter()
            .map(|(tenant, request, email)| {
                (
                    request_watchers::tenant_id.eq(*tenant),
                    request_watchers::request_id.eq(*request),
                    request_watchers::email.eq(email),
                    request_watchers::added_at.eq(now),
                )
            })
            .collect();
        match &mut conn {
            Connection::Postgres(conn) => diesel::insert_into(request_watchers::table)
                .values(rows)
                .execute(conn),
            Connection::Sqlite(conn) => diesel::insert_into(request_watchers::table)
                .values(rows)
                .execute(conn),
        }
        .unwrap();
    }
    desk.settle();
}

pub async fn measure(mut desk: Desk, requests: usize) {
    let form = json!({
        "title": "Mail is down", "impact": "interruption", "services": ["exchange-online"],
        "regions": ["north-america"], "body": "We look into it.",
    });
    let incident = desk.operator.post("/v1/incidents", form).await;
    let path = format!("/v1/incidents/{}", id(&incident));
    fill(&desk, id(&incident).parse().unwrap(), requests);
    println!(
        "{}, {requests} requests of one incident, {FILERS} agents filing:",
        desk.engine
    );
    let stop = Arc::new(AtomicBool::new(false));
    let storm = storm(&desk, &incident, &stop);

    let first = timed(&desk, &path, "resolve").await;
    let begun = Instant::now();
    let (mut chunks, mut parts, mut followed) = (Vec::new(), Vec::new(), Duration::ZERO);
    while let Some(took) = step(&desk).await {
        if took.0.is_some() {
            followed = begun.elapsed();
        }
        chunks.extend(took.0);
        parts.extend(took.1);
    }
    println!(
        "  the first resolve took {}; its cascade {:.1} s, its audience {:.1} s",
        millis(first),
        followed.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    for (what, mut times) in [("the cascade", chunks), ("the audience", parts)] {
        times.sort_unstable();
        let [p50, p99, all] = [50, 99, 100].map(|part| millis(percentile(&times, part)));
        println!(
            "  {} chunks of {what}: {p50} (p50), {p99} (p99), {all} (all)",
            times.len()
        );
    }

    let (mut resolves, mut reopens) = (Vec::new(), Vec::new());
    let behind = async {
        while !stop.load(Ordering::Relaxed) {
            step(&desk).await;
        }
    };
    let rounds = async {
        for _ in 0..ROUNDS {
            reopens.push(timed(&desk, &path, "reopen").await);
            resolves.push(timed(&desk, &path, "resolve").await);
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(behind, rounds);
    for (what, mut times) in [("resolve", resolves), ("reopen", reopens)] {
        times.sort_unstable();
        let [p50, p99] = [50, 99].map(|part| millis(percentile(&times, part)));
        println!("  {ROUNDS} times {what}, with all of that behind it: {p50} (p50), {p99} (p99)");
    }
    let filed: usize = storm.join_all().await.into_iter().sum();
    println!("  {filed} filings were answered meanwhile");
    desk.stop().await;
}

async fn timed(desk: &Desk, path: &str, call: &str) -> Duration {
    let begun = Instant::now();
    desk.operator
        .post(&format!("{path}/{call}"), json!({"body": "So it is."}))
        .await;
    begun.elapsed()
}

/// Agents who file against the incident until they are stopped; how many answers each got.
fn storm(desk: &Desk, incident: &Value, stop: &Arc<AtomicBool>) -> JoinSet<usize> {
    let mut storm = JoinSet::new();
    for agent in desk.agents.iter().take(FILERS).cloned() {
        let form = json!({
            "tenant_id": desk.tenant, "requester": {"email": "bob@contoso.example", "name": "Bob"},
            "channel": "telephone", "incident_id": incident["id"], "severity": "c", "subject": "Mail is down",
            "description": "Nobody in the office can open a mailbox since nine.",
        });
        storm.spawn(filings_of(agent, form, Arc::clone(stop)));
    }
    storm
}

async fn filings_of(agent: User, form: Value, stop: Arc<AtomicBool>) -> usize {
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        // Refused while it is over: that is asked under the same lock.
        let status = agent.status(Method::POST, "/v1/service-requests", &form).await;
        assert!([201, 409].contains(&status), "{status}");
        answered += 1;
    }
    answered
}

/// What one process does behind the calls: a chunk of a cascade, and of each audience. How long each had the
/// transaction, without its commit; `None` when there was nothing to do.
async fn step(desk: &Desk) -> Option<(Option<Duration>, Vec<Duration>)> {
    let scope = Scope::of_system();
    let look = |conn: &mut Connection| Ok((cascade::next(conn)?, mail::broadcasts::unexpanded(conn, 4)?));
    let (incident, broadcasts) = desk.running().db.read(scope, look).await.unwrap();
    let now: Moment = Time::system().now().into();
    let mut chunk = None;
    if let Some(incident) = incident {
        chunk = Some(held(desk, move |conn| cascade::step(conn, incident, now)).await);
    }
    let mut parts = Vec::new();
    for broadcast in &broadcasts {
        let broadcast = *broadcast;
        let work = move |conn: &mut Connection| audience::step(conn, broadcast, TimeDelta::zero(), now);
        parts.push(held(desk, work).await);
    }
    (chunk.is_some() || !parts.is_empty()).then_some((chunk, parts))
}

async fn held(
    desk: &Desk,
    work: impl Fn(&mut Connection) -> Result<Step, Problem> + Send + Sync + 'static,
) -> Duration {
    let timed = move |conn: &mut Connection| {
        let begun = Instant::now();
        work(conn)?;
        Ok(begun.elapsed())
    };
    desk.running().db.write(Scope::of_system(), timed).await.unwrap()
}
