//! Reports over a year with many requests: ten queues, two hundred customers, reopenings, transfers, a backlog.

use std::time::{Duration, Instant};

use allclear::clock::Clock as Time;
use allclear::db::{Moment, QueueId, TenantId};
use allclear::journal::EventKind;
use allclear::requests::{Request, Status};
use allclear::sla::Clock;
use chrono::{SecondsFormat, TimeDelta};
use serde_json::json;

use super::desk::{Desk, always_on, customer, id};
use super::fill::{Filler, minutes, severity};
use super::{millis, percentile};

const QUEUES: usize = 10;
const CUSTOMERS: usize = 200;
const DAYS: i64 = 365;
const ROUNDS: usize = 5;

/// Where requests come from and go to.
struct Places {
    queues: Vec<QueueId>,
    customers: Vec<TenantId>,
}

async fn places(desk: &Desk) -> Places {
    let members: Vec<&str> = desk.agents.iter().map(|agent| agent.id.as_str()).collect();
    let mut places = Places {
        queues: vec![desk.queue],
        customers: vec![desk.tenant],
    };
    for number in 1..QUEUES {
        let name = format!("Queue {number}");
        let queue = desk
            .operator
            .post("/v1/queues", always_on(&name, &members[number..number + 3]))
            .await;
        places.queues.push(id(&queue).parse().unwrap());
    }
    for number in 1..CUSTOMERS {
        places
            .customers
            .push(customer(&desk.operator, &format!("Customer {number}")).await);
    }
    places
}

fn fill(desk: &Desk, requests: usize, places: &Places) {
    let mut filler = Filler::of(desk);
    let now: Moment = Time::system().now().into();
    let (begin, apart) = (
        now.minus(TimeDelta::days(DAYS)),
        TimeDelta::days(DAYS) / requests as i32,
    );
    for number in 0..requests {
        let born = begin.plus(apart * number as i32);
        let mut request = filler.request(born, severity(number));
        request.queue_id = places.queues[number * 31 % QUEUES];
        request.tenant_id = places.customers[number * 17 % CUSTOMERS];
        live(&mut filler, &mut request, number, (now, places));
        filler.add(request);
    }
    filler.flush();
    desk.settle();
}

/// A request is answered, a twentieth are passed on and a twentieth come back; then it is over. Of those of the last
/// days some are still open.
fn live(filler: &mut Filler, request: &mut Request, number: usize, (now, places): (Moment, &Places)) {
    let (first, whole) = (240, 4 * 1440);
    let (answered, over) = (
        (number * 7919 % 300) as i32,
        60 + (number * 104_729 % (6 * 1440)) as i32,
    );
    let born = request.created_at;
    let at = |minute: i32| born.plus(minutes(minute));
    filler.event(
        request,
        1,
        EventKind::RequestFiled,
        born,
        json!({"to": "queued", "watchers": []}),
    );
    let mut seq = 1;
    let mut next = || {
        seq += 1;
        seq
    };
    if number % 20 == 3 {
        let other = places.queues[(number * 31 + 1) % QUEUES];
        let data = json!({"internal": {"from_queue": request.queue_id, "to_queue": other}});
        filler.event(request, next(), EventKind::RequestTransferred, at(5), data);
        request.queue_id = other;
    }
    if at(over + 3000) >= now {
        filler.clock(request, (Clock::FirstResponse, 1), born, first, Some(answered));
        filler.clock(request, (Clock::Resolution, 1), born, whole * 9, None);
        filler.wait(request, Some(whole * 9));
        request.revision = next();
        return;
    }
    filler.clock(request, (Clock::FirstResponse, 1), born, first, Some(answered));
    filler.step(
        request,
        next(),
        EventKind::RequestClaimed,
        at(answered),
        (Status::Queued, Status::InProgress),
    );
    filler.step(
        request,
        next(),
        EventKind::RequestResolved,
        at(over),
        (Status::InProgress, Status::Resolved),
    );
    filler.clock(request, (Clock::Resolution, 1), born, whole, Some(over));
    if number % 20 == 7 {
        let back = over + 600;
        filler.step(
            request,
            next(),
            EventKind::RequestReopened,
            at(back),
            (Status::Resolved, Status::InProgress),
        );
        filler.step(
            request,
            next(),
            EventKind::RequestResolved,
            at(back + 500),
            (Status::InProgress, Status::Resolved),
        );
        filler.clock(request, (Clock::Resolution, 2), at(back), whole, Some(500));
    }
    filler.step(
        request,
        next(),
        EventKind::RequestClosed,
        at(over + 2900),
        (Status::Resolved, Status::Closed),
    );
    request.revision = seq;
    request.status = Status::Closed;
    request.is_open = false;
    request.resolved_at = Some(at(over));
}

pub async fn measure(mut desk: Desk, requests: usize) {
    let places = places(&desk).await;
    let begun = Instant::now();
    fill(&desk, requests, &places);
    println!(
        "{}: {requests} requests in {:.0} s",
        desk.engine,
        begun.elapsed().as_secs_f64()
    );
    let now: Moment = Time::system().now().into();
    let day = |back: i64| {
        let at = now.minus(TimeDelta::days(back)).utc();
        at.to_rfc3339_opts(SecondsFormat::Millis, true)
    };
    let ranges = [
        ("the last day", day(1), day(0)),
        ("the last month", day(30), day(0)),
        ("a day a year ago", day(364), day(363)),
        ("a month a year ago", day(364), day(334)),
        ("the year", day(365), day(0)),
    ];
    let stats = format!("queues/{}/stats?", desk.queue);
    let by = [
        "clock", "severity", "plan", "tenant", "queue", "shift", "day", "month",
    ];
    let every = "tenant,queue,clock,month";
    for (name, from, to) in &ranges {
        for what in [&stats, "reports/queues?"] {
            time(&desk, what, name, &format!("{what}from={from}&to={to}")).await;
        }
        for by in by.iter().chain([&every]) {
            let path = format!("reports/sla?by={by}&from={from}&to={to}");
            if *name == "the year" || *by == "clock" || *by == every {
                time(&desk, &format!("reports/sla?by={by}"), name, &path).await;
            }
        }
    }
    let peak = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = peak
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or_default();
    println!("  the most memory of the server: {peak}");
    desk.stop().await;
}

async fn time(desk: &Desk, what: &str, range: &str, path: &str) {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        desk.operator.get(&format!("/v1/{path}")).await;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let what = if what.starts_with("queues") {
        "queues/{id}/stats"
    } else {
        what.trim_end_matches('?')
    };
    println!(
        "  {what} of {range}: {} (p50), {} (all)",
        millis(percentile(&times, 50)),
        millis(percentile(&times, 100))
    );
}
