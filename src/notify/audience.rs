//! The audience of a broadcast, written down as deliveries in chunks (contract §5).
//!
//! Requesters, then watchers of the incident's requests, then the subscribed contacts of the tenants it affects; for
//! an end or a reopening also everyone who was told. Each part is walked by its key; where a chunk ended is saved with
//! its deliveries, so a crash goes on where it was. The ledger's unique key makes it one mail a person and tenant.

use diesel::dsl::exists;
use diesel::prelude::*;

use crate::db::schema::{
    broadcasts, deliveries, incident_regions, incident_services, people, request_watchers, service_requests,
    tenant_contacts, tenant_regions, tenant_services, tenants, told,
};
use crate::db::{Connection, ContactId, EventId, IncidentId, Moment, RequestId, TenantId, lock};
use crate::mail::{
    self, Broadcast, BroadcastKind, BroadcastState, Delivery, Phase, Priority, Recipient, Step,
};
use crate::problem::Problem;
use crate::requests;

/// Rows of one transaction: what SQLite's writer does in a few milliseconds.
pub const CHUNK: i64 = 250;

/// Where in a part of an audience a recipient was found.
type Place = (TenantId, String);

/// Writes down the next part of the audience of `id`.
pub fn step(conn: &mut Connection, id: EventId, now: Moment) -> Result<Step, Problem> {
    // One process at a time writes down the audience of a broadcast.
    lock::exclusive(conn, lock::Key::of(id))?;
    let Some(mut broadcast) = mail::store::find_broadcast(conn, id)? else {
        return Ok(Step::Idle);
    };
    if !matches!(
        broadcast.state,
        BroadcastState::Pending | BroadcastState::Expanding
    ) {
        return Ok(Step::Idle);
    }
    broadcast.state = BroadcastState::Expanding;
    // Small parts go together; a full chunk is enough for one transaction.
    while broadcast.phase != Phase::Done {
        if expand(conn, &mut broadcast, now)? >= CHUNK {
            break;
        }
    }
    if broadcast.phase == Phase::Done {
        broadcast.state = BroadcastState::Sending;
    }
    mail::store::save_progress(conn, &broadcast)?;
    Ok(Step::Worked)
}

/// Writes down a chunk of the current part, and says how many rows it had.
fn expand(conn: &mut Connection, broadcast: &mut Broadcast, now: Moment) -> Result<i64, Problem> {
    let found = part(conn, broadcast)?;
    let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let last = found.last().map(|(place, _)| place.clone());
    let rows: Vec<Delivery> = found
        .into_iter()
        .map(|(_, recipient)| delivery(broadcast, recipient, now))
        .collect();
    let added = mail::store::enqueue(conn, &rows)?;
    broadcast.audience = broadcast
        .audience
        .saturating_add(i32::try_from(added).unwrap_or(i32::MAX));
    match last {
        Some((tenant, key)) if count >= CHUNK => {
            broadcast.after_tenant = Some(tenant);
            broadcast.after_key = key;
        }
        _ => {
            broadcast.phase = mail::store::next_phase(broadcast.phase, broadcast.kind.reaches_told());
            broadcast.after_tenant = None;
            broadcast.after_key = String::new();
        }
    }
    Ok(count)
}

fn delivery(broadcast: &Broadcast, to: Recipient, now: Moment) -> Delivery {
    let mut row = Delivery::new(broadcast.id, broadcast.kind.into(), to, Priority::Bulk, now);
    row.incident_id = Some(broadcast.incident_id);
    row
}

fn part(conn: &mut Connection, broadcast: &Broadcast) -> Result<Vec<(Place, Recipient)>, Problem> {
    let incident = broadcast.incident_id;
    let key = &broadcast.after_key;
    let after = broadcast.after_tenant;
    match broadcast.phase {
        Phase::Requesters => {
            let after = after.zip(key.parse().ok());
            let rows = requests::store::requesters(conn, incident, after, CHUNK)?;
            Ok(rows
                .into_iter()
                .map(|(id, to)| ((to.tenant_id, id.to_string()), to))
                .collect())
        }
        Phase::Watchers => watchers(conn, incident, after, key),
        Phase::Contacts => contacts(conn, incident, after.zip(key.parse().ok())),
        Phase::Told => {
            let rows = mail::store::told(conn, incident, after.map(|tenant| (tenant, key.clone())), CHUNK)?;
            Ok(rows
                .into_iter()
                .map(|to| ((to.tenant_id, to.email.clone()), to))
                .collect())
        }
        Phase::Done => Ok(Vec::new()),
    }
}

/// Watchers of the incident's requests. The key is `request/address`. Who is a person has a name and a language;
/// others get the tenant's.
fn watchers(
    conn: &mut Connection,
    incident: IncidentId,
    after: Option<TenantId>,
    key: &str,
) -> Result<Vec<(Place, Recipient)>, Problem> {
    let mut query = request_watchers::table
        .inner_join(
            service_requests::table.on(service_requests::tenant_id
                .eq(request_watchers::tenant_id)
                .and(service_requests::id.eq(request_watchers::request_id))),
        )
        .inner_join(tenants::table.on(tenants::id.eq(request_watchers::tenant_id)))
        .left_join(people::table.on(people::email.eq(request_watchers::email)))
        .filter(service_requests::incident_id.eq(incident))
        .order((
            request_watchers::tenant_id,
            request_watchers::request_id,
            request_watchers::email,
        ))
        .limit(CHUNK)
        .select((
            (
                request_watchers::tenant_id,
                request_watchers::request_id,
                request_watchers::email,
            ),
            (tenants::locale, tenants::time_zone),
            (people::name, people::locale, people::time_zone).nullable(),
        ))
        .into_boxed();
    let place = key
        .split_once('/')
        .and_then(|(id, email)| Some((id.parse::<RequestId>().ok()?, email.to_owned())));
    if let (Some(tenant), Some((request, email))) = (after, place) {
        let later_request = request_watchers::request_id
            .gt(request)
            .or(request_watchers::request_id
                .eq(request)
                .and(request_watchers::email.gt(email)));
        query = query.filter(
            request_watchers::tenant_id
                .gt(tenant)
                .or(request_watchers::tenant_id.eq(tenant).and(later_request)),
        );
    }
    type Row = (
        (TenantId, RequestId, String),
        (String, String),
        Option<(String, String, String)>,
    );
    let rows: Vec<Row> = query.load(conn)?;
    let recipient = |((tenant_id, request, email), (locale, time_zone), person): Row| {
        let key = format!("{request}/{email}");
        let (name, locale, time_zone) = person.unwrap_or((String::new(), locale, time_zone));
        (
            (tenant_id, key),
            Recipient {
                tenant_id,
                email,
                name,
                locale,
                time_zone,
            },
        )
    };
    Ok(rows.into_iter().map(recipient).collect())
}

/// The subscribed contacts of the tenants that share a service and a region with the incident.
fn contacts(
    conn: &mut Connection,
    incident: IncidentId,
    after: Option<(TenantId, ContactId)>,
) -> Result<Vec<(Place, Recipient)>, Problem> {
    let services = tenant_services::table
        .inner_join(incident_services::table.on(incident_services::service.eq(tenant_services::service)))
        .filter(tenant_services::tenant_id.eq(tenant_contacts::tenant_id))
        .filter(incident_services::incident_id.eq(incident));
    let regions = tenant_regions::table
        .inner_join(incident_regions::table.on(incident_regions::region.eq(tenant_regions::region)))
        .filter(tenant_regions::tenant_id.eq(tenant_contacts::tenant_id))
        .filter(incident_regions::incident_id.eq(incident));
    let mut query = tenant_contacts::table
        .filter(exists(services))
        .filter(exists(regions))
        .order((tenant_contacts::tenant_id, tenant_contacts::id))
        .limit(CHUNK)
        .select(crate::identity::Contact::as_select())
        .into_boxed();
    if let Some((tenant, id)) = after {
        query = query.filter(
            tenant_contacts::tenant_id
                .gt(tenant)
                .or(tenant_contacts::tenant_id
                    .eq(tenant)
                    .and(tenant_contacts::id.gt(id))),
        );
    }
    let rows = query.load(conn)?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let place = (row.tenant_id, row.id.to_string());
            let (tenant_id, email, name) = (row.tenant_id, row.email, row.name);
            (
                place,
                Recipient {
                    tenant_id,
                    email,
                    name,
                    locale: row.locale,
                    time_zone: row.time_zone,
                },
            )
        })
        .collect())
}

/// Whoever was told of an incident before it ended and has no mail of that end: the invariant says nobody.
pub fn told_without_end(conn: &mut Connection) -> Result<i64, Problem> {
    let mail_of_end = deliveries::table
        .filter(deliveries::tenant_id.eq(told::tenant_id))
        .filter(deliveries::event_id.eq(broadcasts::id))
        .filter(deliveries::recipient.eq(told::recipient));
    Ok(told::table
        .inner_join(broadcasts::table.on(broadcasts::incident_id.eq(told::incident_id)))
        .filter(broadcasts::kind.eq_any([BroadcastKind::Resolved, BroadcastKind::FalsePositive]))
        .filter(broadcasts::state.eq_any([BroadcastState::Sending, BroadcastState::Finished]))
        .filter(told::at.le(broadcasts::created_at))
        .filter(diesel::dsl::not(exists(mail_of_end)))
        .count()
        .get_result(conn)?)
}
