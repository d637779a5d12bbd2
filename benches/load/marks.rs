//! How long after their instants warnings and breaches are made, with many clocks open: spread over time, many at one
//! instant, while all clocks follow other policies, and after an outage.

use std::time::{Duration, Instant};

use allclear::clock::Clock as Time;
use allclear::db::schema::{deliveries, events, sla_clocks, unread_events};
use allclear::db::{Json, Moment};
use allclear::journal::EventKind;
use allclear::requests::Status;
use allclear::sla::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde_json::json;
use tokio::time::sleep;

use super::desk::{AGENTS, Desk, policy};
use super::fill::{Filler, minutes, severity};
use super::percentile;

/// Minutes to the end.
const TARGET: i32 = 480;
/// Marks a second where they are spread.
const RATE: usize = 50;
/// For how many seconds.
const SPREAD: usize = 40;
/// Marks of one instant: everything that came overnight, three quarters of a target after the office opened.
const BATCH: usize = 10_000;

/// Until when the marks are due.
struct Schedule {
    begin: Moment,
    at_once: Moment,
}

/// Every clock is due once; of the first some are spread, of the next all are due at one instant.
fn fill(desk: &Desk, requests: usize, schedule: &Schedule) {
    let mut filler = Filler::of(desk);
    let warning = minutes(TARGET) * 3 / 4;
    for number in 0..requests {
        let due = if number < RATE * SPREAD {
            schedule
                .begin
                .plus(TimeDelta::milliseconds((number * 1000 / RATE) as i64))
        } else if number < RATE * SPREAD + BATCH {
            schedule.at_once
        } else {
            schedule
                .at_once
                .plus(TimeDelta::minutes(30 + (number % 300) as i64))
        };
        // Somebody who is on duty works on it, and is told.
        let mut request = filler.request(due.minus(warning), severity(number));
        request.status = Status::InProgress;
        request.assignee_id = Some(desk.agents[number % AGENTS].id.parse().unwrap());
        filler.clock(&request, (Clock::Resolution, 1), request.created_at, TARGET, None);
        filler.add(request);
    }
    filler.flush();
    desk.settle();
}

pub async fn measure(mut desk: Desk, requests: usize) {
    let severities = ["a", "b", "c", "d"];
    let policies = |target| severities.map(|severity| policy(severity, "resolution", target));
    desk.operator
        .put("/v1/sla-policies", json!({"policies": policies(TARGET)}))
        .await;
    let now: Moment = Time::system().now().into();
    // Filling takes less than this.
    let begin = now.plus(TimeDelta::seconds(20 + (requests / 1000) as i64));
    let at_once = begin.plus(TimeDelta::seconds(SPREAD as i64 + 5));
    fill(&desk, requests, &Schedule { begin, at_once });
    assert!(
        Moment::from(Time::system().now()) < begin,
        "filling took too long"
    );
    println!("{}, {requests} open requests:", desk.engine);
    until(&desk, "spread over time", at_once.minus(TimeDelta::seconds(1))).await;
    until(&desk, "at one instant", at_once.plus(TimeDelta::seconds(1))).await;

    // Other terms for everything, while marks go on falling due: those of an hour earlier.
    let shorter = TARGET - 80;
    let begun = Instant::now();
    desk.operator
        .put("/v1/sla-policies", json!({"policies": policies(shorter)}))
        .await;
    let changed: Moment = Time::system().now().into();
    while stale(&desk) > 0 {
        sleep(Duration::from_millis(50)).await;
    }
    println!(
        "  all follow other policies after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    settled(&desk, Time::system().now().into()).await;
    report(
        &desk,
        "that fell due meanwhile",
        (changed, Time::system().now().into()),
    );
    desk.stop().await;
}

/// Waits until all marks are made that fall due before an instant, and says how late they were.
async fn until(desk: &Desk, what: &str, end: Moment) {
    let begin: Moment = Time::system().now().into();
    let rest = end.since(begin).to_std().unwrap_or_default();
    sleep(rest).await;
    settled(desk, end).await;
    report(desk, what, (begin, end));
}

async fn settled(desk: &Desk, by: Moment) {
    let mut conn = desk.connect();
    let due = || sla_clocks::table.filter(sla_clocks::next_at.le(by)).count();
    while due().get_result::<i64>(&mut conn).unwrap() > 0 {
        sleep(Duration::from_millis(50)).await;
    }
    let untold = || unread_events::table.count();
    while untold().get_result::<i64>(&mut conn).unwrap() > 0 {
        sleep(Duration::from_millis(50)).await;
    }
}

fn stale(desk: &Desk) -> i64 {
    let stale = sla_clocks::table
        .filter(sla_clocks::terms.lt(2))
        .filter(sla_clocks::stopped_at.is_null());
    stale.count().get_result(&mut desk.connect()).unwrap()
}

/// How late the marks of a range were: from the instant to that of the transaction that made them, and to that of the
/// one that wrote down their mail.
fn report(desk: &Desk, what: &str, range: (Moment, Moment)) {
    let mut conn = desk.connect();
    let is_mark = || events::kind.eq_any([EventKind::SlaWarned, EventKind::SlaBreached]);
    let marks: Vec<(Moment, Json)> = events::table
        .filter(is_mark())
        .select((events::at, events::data))
        .load(&mut conn)
        .unwrap();
    let mails: Vec<(Moment, Json)> = deliveries::table
        .inner_join(events::table.on(events::id.eq(deliveries::event_id)))
        .filter(is_mark())
        .select((deliveries::created_at, events::data))
        .load(&mut conn)
        .unwrap();
    for (rows, kind) in [(marks, "marks"), (mails, "mails of them")] {
        let late = late(&rows, range);
        if late.is_empty() {
            println!("  no {kind} {what}");
            continue;
        }
        let [p50, p99, all] = [50, 99, 100].map(|part| percentile(&late, part));
        println!(
            "  {} {kind} {what}: late by {p50} ms (p50), {p99} ms (p99), {all} ms (all)",
            late.len()
        );
    }
}

/// How late each was whose instant is in a range, in milliseconds, in order.
fn late(rows: &[(Moment, Json)], (from, to): (Moment, Moment)) -> Vec<i64> {
    let late = |(at, data): &(Moment, Json)| {
        let reached: DateTime<Utc> = data.0["reached_at"].as_str()?.parse().ok()?;
        let reached = Moment::from(reached);
        (from <= reached && reached < to).then(|| at.since(reached).num_milliseconds())
    };
    let mut late: Vec<i64> = rows.iter().filter_map(late).collect();
    late.sort_unstable();
    late
}
