//! The bare filing transaction on SQLite: one thread, 64 filings a commit, the statements that filing over HTTP makes,
//! and nothing else. `scripts/bench/run` compares filing over HTTP with it, in one run on one machine.
//!
//! `cargo bench --bench bare_filing -- FILE SECONDS`: FILE is the database of a server that was staged and stopped.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

use std::time::{Duration, Instant};

use allclear::db::connection::Target;
use allclear::db::schema::{incidents, memberships, sessions};
use allclear::db::{Connection, Id, IncidentId, Json, Moment, PersonId, QueueId, SessionId, TenantId};
use allclear::identity::Role;
use allclear::journal::{self, Actor, Event, EventKind, Reader, Side, SubjectKind};
use allclear::queues::routing::{Channel, Severity};
use allclear::requests::{Request, Status, reference, store};
use allclear::{identity, queues};
use diesel::Connection as _;
use diesel::prelude::*;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let Some(path) = args.next() else { return };
    let seconds: u64 = args.next().and_then(|text| text.parse().ok()).unwrap_or(5);
    let mut conn = Target::Sqlite {
        path,
        read_only: false,
    }
    .connect()
    .unwrap();
    let (tenant, person): (TenantId, PersonId) = memberships::table
        .filter(memberships::role.eq(Role::TenantAdmin))
        .select((memberships::tenant_id, memberships::person_id))
        .first(&mut conn)
        .unwrap();
    let session: SessionId = sessions::table
        .filter(sessions::person_id.eq(person))
        .select(sessions::id)
        .first(&mut conn)
        .unwrap();
    let incident: IncidentId = incidents::table.select(incidents::id).first(&mut conn).unwrap();
    let begun = Instant::now();
    let mut filed = 0u64;
    while begun.elapsed() < Duration::from_secs(seconds) {
        conn.transaction::<_, diesel::result::Error, _>(|conn| {
            for _ in 0..64 {
                file(conn, (tenant, person, session), incident);
            }
            Ok(())
        })
        .unwrap();
        filed += 64;
    }
    println!("{:.0}", filed as f64 / begun.elapsed().as_secs_f64());
}

/// The statements of `requests::actions::file`, in its order.
fn file(
    conn: &mut Connection,
    (tenant, person, session): (TenantId, PersonId, SessionId),
    incident: IncidentId,
) {
    let now = Moment::from(chrono::Utc::now());
    identity::store::standing(conn, person, tenant, Some(session)).unwrap();
    identity::store::tenant(conn, tenant).unwrap();
    allclear::incidents::store::find(conn, incident).unwrap();
    let (services, regions) = allclear::incidents::store::shared_scope(conn, incident, tenant).unwrap();
    let requester = identity::store::person(conn, person).unwrap().unwrap();
    let (_, rules) = queues::routing::store::rules(conn).unwrap().unwrap();
    let queue: QueueId = rules.first().unwrap().queue_id;
    let request = Request {
        tenant_id: tenant,
        id: Id::at(now),
        reference: reference::random(),
        revision: 1,
        version: 1,
        status: Status::Queued,
        is_open: true,
        resolution_cause: None,
        hold_reason: None,
        incident_id: Some(incident),
        incident_resolution: None,
        pinned: false,
        detached: false,
        service: services.first().unwrap().clone(),
        region: regions.first().unwrap().clone(),
        severity: Severity::B,
        subject: "Mail is down".to_owned(),
        description: "Nobody in the office can open a mailbox since nine.".to_owned(),
        channel: Channel::AdminCenter,
        requester_id: requester.id,
        contact: Json(
            json!({"name": requester.name, "email": requester.email, "language": "en", "time_zone": "UTC"}),
        ),
        tags: Json(json!([])),
        queue_id: queue,
        assignee_id: None,
        follow_up_of: None,
        resolved_at: None,
        created_at: now,
        updated_at: now,
        requester_name: requester.name.clone(),
        needs: Json(json!({})),
        assigned_off_duty: false,
    };
    store::create(conn, &request).unwrap();
    let actor = Actor {
        side: Side::Tenant,
        id: Some(person),
        name: requester.name,
        address: None,
    };
    let subject = (SubjectKind::Request, request.id);
    let data = json!({"to": "queued", "watchers": [], "internal": {"queue_id": queue, "rule": "all", "rules_version": 1}});
    let event = Event::new(EventKind::RequestFiled, subject, (tenant, 1), (&actor, now), data);
    journal::record(conn, &event, &[Reader::Notify]).unwrap();
    queues::store::find(conn, queue).unwrap();
}
