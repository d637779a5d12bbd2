//! The audience of a broadcast, written down as deliveries in chunks (contract §5).
//!
//! Requesters, then watchers of the incident's requests, then the subscribed contacts of the tenants it affects, then
//! whoever of their people has subscribed; for an end or a reopening also everyone who was told. Each part is walked by
//! its key; where a chunk ended is saved with its deliveries, so a crash goes on where it was. The ledger's unique key
//! makes it one mail a person and tenant.
//!
//! What a later event stands for, or its recipient does not want to hear of, is written down all the same, as suppressed:
//! so the ledger has everyone, and why.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;
use diesel::prelude::*;

use super::digests;
use super::reached::reached;
use super::subscriptions::{self, store::Said};
use crate::db::schema::{people, request_watchers, service_requests, tenant_contacts, tenants};
use crate::db::{
    Connection, ContactId, EventId, Id, IncidentId, Moment, RequestId, TenantId, Uuid, lock, pair,
};
use crate::incidents::affects;
use crate::mail::opt_outs::{About, Standing};
use crate::mail::{
    self, Broadcast, BroadcastKind, BroadcastState, Delivery, Phase, Place, Reason, Recipient, Step,
    concerns_untold,
};
use crate::problem::Problem;
use crate::requests;

/// Rows of one transaction: what SQLite's writer does in a few milliseconds.
pub const CHUNK: usize = 200;
/// Rows that are counted at a time.
const COUNTED: usize = 5_000;

/// Whoever a broadcast reaches, as it is now.
pub struct Everybody;

impl mail::Audience for Everybody {
    fn count(&self, conn: &mut Connection, broadcast: &Broadcast) -> Result<i64, Problem> {
        let mut people: HashSet<(TenantId, String)> = HashSet::new();
        walk(conn, broadcast, COUNTED, |found| {
            people.extend(found.into_iter().map(whose));
            true
        })?;
        Ok(i64::try_from(people.len()).unwrap_or(i64::MAX))
    }

    fn sample(&self, conn: &mut Connection, broadcast: &Broadcast) -> Result<Option<Recipient>, Problem> {
        let mut first = None;
        walk(conn, broadcast, CHUNK, |found| {
            first = found.into_iter().next();
            first.is_none()
        })?;
        Ok(first)
    }
}

/// A recipient, as there is one of in an audience.
fn whose(to: Recipient) -> (TenantId, String) {
    (to.tenant_id, to.email)
}

/// Shows the audience of a broadcast that nothing is written down of, part by part, while `go_on` says so: those of it who
/// want to hear of it.
fn walk(
    conn: &mut Connection,
    broadcast: &Broadcast,
    limit: usize,
    mut go_on: impl FnMut(Vec<Recipient>) -> bool,
) -> Result<(), Problem> {
    let mut place = broadcast.clone();
    while place.phase != Phase::Done {
        let stretch = part(conn, &place, limit)?;
        place.advance(stretch.last, stretch.looked_at, limit);
        let mut found = stretch.found;
        let said = subscriptions::store::said(conn, &found)?;
        let unwilling = unwilling(conn, broadcast, &said)?;
        found.retain(|to| !unwilling.contains(&whose(to.clone())));
        leave_out(conn, broadcast.incident_id, &mut found)?;
        if !found.is_empty() && !go_on(found) {
            break;
        }
    }
    Ok(())
}

/// Writes down the next part of the audience of `id`, of which nothing leaves before the `grace` is over.
pub fn step(conn: &mut Connection, id: EventId, grace: TimeDelta, now: Moment) -> Result<Step, Problem> {
    // One process at a time writes down the audience of a broadcast.
    lock::exclusive(conn, lock::Key::of(id))?;
    let Some(mut broadcast) = mail::broadcasts::find(conn, id)?.filter(Broadcast::is_expanding) else {
        return Ok(Step::Idle);
    };
    if broadcast.state == BroadcastState::Pending {
        broadcast.state = BroadcastState::Expanding;
        broadcast.leaves_at = Some(broadcast.created_at.plus(grace));
    }
    let is_overtaken = mail::broadcasts::is_overtaken(conn, &broadcast)?;
    // Small parts go together; a full chunk is enough for one transaction.
    while broadcast.phase != Phase::Done {
        if expand(conn, &mut broadcast, is_overtaken, now)? >= CHUNK {
            break;
        }
    }
    if broadcast.phase == Phase::Done {
        broadcast.state = BroadcastState::Sending;
    }
    mail::broadcasts::save_progress(conn, &broadcast)?;
    Ok(Step::Worked)
}

/// Writes down a chunk of the current part, and says how many rows it was found in.
fn expand(
    conn: &mut Connection,
    broadcast: &mut Broadcast,
    is_overtaken: bool,
    now: Moment,
) -> Result<usize, Problem> {
    let Stretch {
        found,
        last,
        looked_at,
    } = part(conn, broadcast, CHUNK)?;
    let said = subscriptions::store::said(conn, &found)?;
    let unwilling = unwilling(conn, broadcast, &said)?;
    let keepers = match is_overtaken {
        true => HashSet::new(),
        false => keep(conn, broadcast.kind, &said, now)?,
    };
    let message = |to: Recipient| {
        let whose = whose(to.clone());
        let row = broadcast.message(to, now);
        if unwilling.contains(&whose) {
            row.suppressed(Reason::Unwanted)
        } else if is_overtaken {
            row.suppressed(Reason::Superseded)
        } else if keepers.contains(&whose) {
            row.suppressed(Reason::Digest)
        } else {
            row
        }
    };
    let rows: Vec<Delivery> = found.into_iter().map(message).collect();
    let added = mail::store::enqueue(conn, &rows)?;
    broadcast.audience = broadcast
        .audience
        .saturating_add(i32::try_from(added).unwrap_or(i32::MAX));
    broadcast.advance(last, looked_at, CHUNK);
    Ok(looked_at)
}

/// Who of those who have said what they want does not want to hear of it.
fn unwilling(
    conn: &mut Connection,
    broadcast: &Broadcast,
    said: &HashMap<(TenantId, String), Said>,
) -> Result<HashSet<(TenantId, String)>, Problem> {
    let kind = broadcast.kind;
    let mut unwilling: HashMap<_, _> = said.iter().collect();
    unwilling.retain(|_, said| !said.wishes.include(kind, false));
    if kind.reaches_told() && !unwilling.is_empty() {
        let tenants = unwilling.keys().map(|(tenant, _)| *tenant).collect();
        let emails = unwilling.keys().map(|(_, email)| email.as_str()).collect();
        let told = mail::told::among(conn, broadcast.incident_id, (tenants, emails))?;
        unwilling.retain(|whose, said| !said.wishes.include(kind, told.contains(*whose)));
    }
    Ok(unwilling.into_keys().cloned().collect())
}

/// For whom of them it is kept for a digest.
fn keep(
    conn: &mut Connection,
    kind: BroadcastKind,
    said: &HashMap<(TenantId, String), Said>,
    now: Moment,
) -> Result<HashSet<(TenantId, String)>, Problem> {
    let mut keepers: HashMap<_, _> = said.iter().collect();
    keepers.retain(|_, said| said.wishes.keep(kind));
    digests::expect(conn, keepers.values().copied(), now)?;
    Ok(keepers.into_keys().cloned().collect())
}

/// Leaves out who gets no mail of the incident any more. What is written down is asked that as it leaves.
fn leave_out(conn: &mut Connection, incident: IncidentId, found: &mut Vec<Recipient>) -> Result<(), Problem> {
    let tenants: Vec<TenantId> = found.iter().map(|to| to.tenant_id).collect();
    let emails: Vec<&str> = found.iter().map(|to| to.email.as_str()).collect();
    let standing = Standing::read(conn, &tenants, &emails, &[incident])?;
    let about = About {
        incident: Some(incident),
        request: None,
    };
    found.retain(|to| !standing.holds(to.tenant_id, &to.email, about));
    Ok(())
}

/// A stretch of a part of an audience: who was found in it, and how far it goes.
struct Stretch {
    found: Vec<Recipient>,
    last: Option<Place>,
    looked_at: usize,
}

impl Stretch {
    /// Who was found among those that were looked at: so a statement never walks past many whom it does not concern.
    fn of<T>(looked_at: &[(TenantId, Id<T>)], found: Vec<Recipient>) -> Self {
        Self {
            found,
            last: looked_at.last().map(|(tenant, id)| (*tenant, id.to_string())),
            looked_at: looked_at.len(),
        }
    }
}

impl From<Vec<(Place, Recipient)>> for Stretch {
    fn from(rows: Vec<(Place, Recipient)>) -> Self {
        Self {
            last: rows.last().map(|(place, _)| place.clone()),
            looked_at: rows.len(),
            found: rows.into_iter().map(|(_, to)| to).collect(),
        }
    }
}

/// The next stretch of the current part: at most `limit` rows are looked at.
fn part(conn: &mut Connection, broadcast: &Broadcast, limit: usize) -> Result<Stretch, Problem> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let incident = broadcast.incident_id;
    let key = &broadcast.after_key;
    let after = broadcast.after_tenant;
    let opening = match broadcast.phase {
        Phase::Contacts | Phase::Subscribers if !concerns_untold(broadcast.kind) => {
            mail::broadcasts::opening_of(conn, incident)?
        }
        _ => None,
    };
    let rows = match broadcast.phase {
        Phase::Requesters => {
            let after = after.zip(key.parse().ok());
            let rows = requests::store::requesters(conn, incident, after, limit)?.into_iter();
            rows.map(|(id, to)| ((to.tenant_id, id.to_string()), to))
                .collect()
        }
        Phase::Watchers => watchers(conn, incident, (after, key), limit)?,
        Phase::Contacts => {
            let looked_at = contacts_after(conn, after.zip(key.parse().ok()), limit)?;
            let found = contacts(conn, incident, &looked_at, opening)?;
            return Ok(Stretch::of(&looked_at, found));
        }
        Phase::Subscribers => {
            let looked_at = subscriptions::store::after(conn, after.zip(key.parse().ok()), limit)?;
            let found = subscriptions::store::subscribers(conn, incident, &looked_at, opening)?;
            return Ok(Stretch::of(&looked_at, found));
        }
        Phase::Told => {
            let after = after.map(|tenant| (tenant, key.clone()));
            let rows = mail::told::of_incident(conn, incident, after, limit)?.into_iter();
            rows.map(|to| ((to.tenant_id, to.email.clone()), to)).collect()
        }
        Phase::Done => Vec::new(),
    };
    Ok(rows.into())
}

/// Watchers of the incident's requests. The key is `request/address`. Who is a person has a name and a language;
/// others get the tenant's.
fn watchers(
    conn: &mut Connection,
    incident: IncidentId,
    (after, key): (Option<TenantId>, &str),
    limit: i64,
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
            service_requests::tenant_id,
            service_requests::id,
            request_watchers::email,
        ))
        .limit(limit)
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
        let from = pair!("service_requests.tenant_id", "service_requests.id" >= tenant: Uuid, request: Uuid);
        // Said of both: PostgreSQL would enter one of the indexes at its beginning.
        let watched = pair!("request_watchers.tenant_id", "request_watchers.request_id" >= tenant: Uuid, request: Uuid);
        let is_later = service_requests::id
            .ne(request)
            .or(request_watchers::email.gt(email));
        query = query.filter(from).filter(watched).filter(is_later);
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

/// The next contacts of whatever tenants, by tenant and contact.
fn contacts_after(
    conn: &mut Connection,
    place: Option<(TenantId, ContactId)>,
    limit: i64,
) -> Result<Vec<(TenantId, ContactId)>, Problem> {
    let mut query = tenant_contacts::table
        .order((tenant_contacts::tenant_id, tenant_contacts::id))
        .limit(limit)
        .select((tenant_contacts::tenant_id, tenant_contacts::id))
        .into_boxed();
    if let Some((tenant, id)) = place {
        query =
            query.filter(pair!("tenant_contacts.tenant_id", "tenant_contacts.id" > tenant: Uuid, id: Uuid));
    }
    Ok(query.load(conn)?)
}

/// Which of these contacts are of tenants that share a service and a region with the incident; with an opening, only those
/// for whom it has left, who did not want it, or who were told in another way.
fn contacts(
    conn: &mut Connection,
    incident: IncidentId,
    looked_at: &[(TenantId, ContactId)],
    opening: Option<Broadcast>,
) -> Result<Vec<Recipient>, Problem> {
    let mut query = tenant_contacts::table
        .filter(tenant_contacts::id.eq_any(looked_at.iter().map(|(_, id)| *id)))
        .filter(affects!(incident, tenant_contacts::tenant_id))
        .order((tenant_contacts::tenant_id, tenant_contacts::id))
        .select((
            tenant_contacts::tenant_id,
            tenant_contacts::email,
            tenant_contacts::name,
            tenant_contacts::locale,
            tenant_contacts::time_zone,
        ))
        .into_boxed();
    if let Some(opening) = opening {
        let (tenant, address) = (tenant_contacts::tenant_id, tenant_contacts::email);
        query = reached!(query, incident, opening, tenant, address);
    }
    Ok(query.load(conn)?)
}
