//! How fast mail leaves: one broadcast, its messages pending, from the first lease to the last mark, over `smtp-sink`;
//! and, right after it, `smtp-source` against the same sink, with as many connections and messages of the same size.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use allclear::app;
use allclear::clock::Clock;
use allclear::db::schema::{deliveries, request_watchers};
use allclear::db::{EventId, IncidentId, Moment, TenantId};
use allclear::mail::{Delivery, DeliveryKind, Priority, Recipient, Step, store};
use chrono::Utc;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use serde_json::json;
use tokio::time::sleep;

use super::desk::{Desk, customer, id};
use super::fill::Filler;
use super::percentile;
use allclear::queues::routing::Severity;

/// Of the server and of `smtp-source`.
const CONNECTIONS: usize = 16;
const TENANTS: usize = 100;
const ROUNDS: usize = 5;

struct Broadcast {
    incident: IncidentId,
    event: EventId,
    tenants: Vec<TenantId>,
}

/// An incident that has been opened, and whose own mail has been sent.
async fn broadcast(desk: &Desk) -> Broadcast {
    let mut tenants = Vec::new();
    for number in 0..TENANTS {
        tenants.push(customer(&desk.operator, &format!("Tenant {number}")).await);
    }
    let form = json!({
        "title": "Mail is reachable only intermittently", "impact": "degradation",
        "services": ["exchange-online"], "regions": ["north-america"],
        "body": "Since a quarter past nine some mailboxes cannot be opened. We have found the cause and are on it.",
    });
    let incident = desk.operator.post("/v1/incidents", form).await;
    let path = format!("/v1/incidents/{}/broadcasts", id(&incident));
    let event = desk.operator.get(&path).await["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    loop {
        let shown = desk.operator.get(&format!("/v1/broadcasts/{event}")).await;
        if shown["state"] == "finished" {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    Broadcast {
        incident: id(&incident).parse().unwrap(),
        event: event.parse().unwrap(),
        tenants,
    }
}

/// So many people are to be told; of every ten one watches two requests of theirs, of every twenty three.
fn fill(desk: &Desk, of: &Broadcast, people: usize) {
    let (mut conn, mut filler) = (desk.connect(), Filler::of(desk));
    let now = Moment::from(Utc::now());
    let (mut rows, mut watched) = (Vec::new(), Vec::new());
    for number in 0..people {
        let tenant = of.tenants[number % of.tenants.len()];
        let email = format!("person{number}@tenant{}.example", number % of.tenants.len());
        let requests = if number % 20 == 0 {
            3
        } else if number % 10 == 0 {
            2
        } else {
            0
        };
        for _ in 0..requests {
            let mut request = filler.request(now, Severity::C);
            (request.tenant_id, request.incident_id) = (tenant, Some(of.incident));
            watched.push((tenant, request.id, email.clone()));
            filler.add(request);
        }
        let to = Recipient {
            tenant_id: tenant,
            email,
            name: format!("Person {number}"),
            locale: "en".to_owned(),
            time_zone: "America/New_York".to_owned(),
        };
        let mut row = Delivery::new(of.event, DeliveryKind::IncidentOpened, to, Priority::Bulk, now);
        row.incident_id = Some(of.incident);
        rows.push(row);
    }
    filler.flush();
    for (tenant, request, email) in watched {
        diesel::insert_into(request_watchers::table)
            .values((
                request_watchers::tenant_id.eq(tenant),
                request_watchers::request_id.eq(request),
                request_watchers::email.eq(email),
                request_watchers::added_at.eq(now),
            ))
            .execute(&mut conn)
            .unwrap();
    }
    for rows in rows.chunks(500) {
        assert_eq!(store::enqueue(&mut conn, rows).unwrap(), rows.len());
    }
}

/// All of them are pending again.
fn reset(desk: &Desk) {
    let mut conn = desk.connect();
    let again = "UPDATE deliveries SET state = 'pending', attempts = 0, sent_at = NULL, error = NULL; DELETE FROM told";
    conn.batch_execute(again).unwrap();
    desk.settle();
}

/// How many bytes a message has on the average.
fn size(folder: &Path) -> usize {
    let files: Vec<u64> = std::fs::read_dir(folder)
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "eml")
        })
        .map(|entry| entry.metadata().unwrap().len())
        .collect();
    (files.iter().sum::<u64>() / files.len() as u64) as usize
}

/// Sends everything that is due; how long that took.
async fn send(running: &app::Running) -> Duration {
    let begun = Instant::now();
    while running.worker.send(Priority::Bulk).await.unwrap() == Step::Worked {}
    begun.elapsed()
}

fn source(program: &str, sink: &str, messages: usize, size: usize) -> Duration {
    let begun = Instant::now();
    let done = Command::new(program)
        .args([
            "-d",
            "-s",
            &CONNECTIONS.to_string(),
            "-m",
            &messages.to_string(),
            "-l",
            &size.to_string(),
        ])
        .args(["-f", "allclear@localhost", "-t", "person@tenant.example", sink])
        .status()
        .unwrap();
    assert!(done.success());
    begun.elapsed()
}

/// `sink` is where `smtp-sink` listens, `program` is `smtp-source`.
pub async fn measure(mut desk: Desk, people: usize, sink: &str, program: &str) {
    let of = broadcast(&desk).await;
    desk.stop().await;
    fill(&desk, &of, people);

    // Once into files, for their size.
    let mut settings = desk.settings.clone();
    let running = app::open(settings.clone(), Clock::system()).await.unwrap();
    send(&running).await;
    running.stop().await;
    let size = size(&settings.mail_dir());

    settings.smtp_url = Some(format!("smtp://{sink}"));
    settings.smtp_connections = CONNECTIONS;
    let running = app::open(settings, Clock::system()).await.unwrap();
    let mut rates = Vec::new();
    for round in 0..=ROUNDS {
        let bare = people as f64 / source(program, sink, people, size).as_secs_f64();
        reset(&desk);
        let ours = people as f64 / send(&running).await.as_secs_f64();
        let mut conn = desk.connect();
        let sent: i64 = deliveries::table
            .filter(deliveries::state.eq(allclear::mail::DeliveryState::Sent))
            .filter(deliveries::event_id.eq(of.event))
            .count()
            .get_result(&mut conn)
            .unwrap();
        assert_eq!(sent, people as i64);
        // The first round is to get warm.
        if round > 0 {
            rates.push(((ours / bare * 1000.0) as u64, ours as u64, bare as u64));
        }
    }
    running.stop().await;
    rates.sort_unstable();
    let (ratio, ours, bare) = percentile(&rates, 50);
    println!(
        "{}: mail, {people} of one broadcast, {size} bytes each, {CONNECTIONS} connections: {ours}/s; smtp-source {bare}/s; \
         median ratio {:.2} ({:.2} to {:.2})",
        desk.engine,
        ratio as f64 / 1000.0,
        rates[0].0 as f64 / 1000.0,
        rates[rates.len() - 1].0 as f64 / 1000.0,
    );
}
