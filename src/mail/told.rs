//! Who was told of an incident: told it began, so told it ended (contract §5).

use std::collections::HashSet;

use chrono::TimeDelta;
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::broadcasts;
use super::carried::{self, Mail};
use super::due::Due;
use super::model::{
    Broadcast, BroadcastKind, BroadcastState, Delivery, DeliveryKind, DeliveryState, Reason, Recipient,
};
use super::store;
use crate::db::schema::broadcasts as all_broadcasts;
use crate::db::schema::{deliveries, incidents, told};
use crate::db::{Connection, DeliveryId, EventId, IncidentId, Moment, TenantId, Uuid, lock, on_each, pair};
use crate::problem::Problem;

/// For so long after an end the metric asks who did not hear of it; `allclear doctor` asks of all ends.
const WATCHED: TimeDelta = TimeDelta::days(30);
/// The metric counts no further.
const COUNTED: i64 = 10_000;

#[derive(Insertable, Queryable)]
#[diesel(table_name = told, treat_none_as_default_value = false)]
struct Told {
    tenant_id: TenantId,
    incident_id: IncidentId,
    recipient: String,
    name: String,
    locale: String,
    time_zone: String,
    at: Moment,
}

impl Told {
    fn of(incident_id: IncidentId, to: Recipient, at: Moment) -> Self {
        Self {
            tenant_id: to.tenant_id,
            incident_id,
            recipient: to.email,
            name: to.name,
            locale: to.locale,
            time_zone: to.time_zone,
            at,
        }
    }
}

/// Writes down that the recipients of these messages are told, as they are handed over and before they leave.
///
/// A message may leave after its incident has ended, and its recipient may belong to no audience any more: so whoever
/// is told of an incident that is over gets the mail of its end too, if it is not in the ledger already.
pub fn tell(conn: &mut Connection, messages: &[Due], now: Moment) -> Result<(), Problem> {
    let named = named(conn, messages)?;
    let mut incidents: Vec<IncidentId> = named.iter().map(|(incident, _)| *incident).collect();
    incidents.sort_unstable();
    incidents.dedup();
    // Shared: an end that comes now waits, and finds these among the told.
    for incident in &incidents {
        lock::shared(conn, lock::Key::of(*incident))?;
    }
    let rows: Vec<Told> = named
        .iter()
        .map(|(incident, message)| Told::of(*incident, message.to.clone(), now))
        .collect();
    on_each!(conn, conn => diesel::insert_into(told::table).values(&rows).on_conflict_do_nothing().execute(conn))?;
    for incident in incidents {
        let here = named.iter().filter(|(named, _)| *named == incident);
        let here: Vec<&Due> = here.map(|(_, message)| *message).collect();
        tell_of_end(conn, incident, &here, now)?;
    }
    Ok(())
}

/// The incidents that messages name: their own, the one that a duplicate goes on as, and those of a digest.
fn named<'a>(conn: &mut Connection, messages: &'a [Due]) -> Result<Vec<(IncidentId, &'a Due)>, Problem> {
    let own = messages
        .iter()
        .filter(|row| row.kind().is_some())
        .filter_map(|row| row.incident_id.map(|incident| (incident, row)));
    let mut named: Vec<(IncidentId, &Due)> = own.collect();
    named.extend(of_digests(conn, messages)?);
    let of_duplicates: Vec<(IncidentId, &Due)> = named
        .iter()
        .filter(|(_, row)| row.kind() == Some(DeliveryKind::IncidentDuplicate))
        .copied()
        .collect();
    if of_duplicates.is_empty() {
        return Ok(named);
    }
    let ids: Vec<IncidentId> = of_duplicates.iter().map(|(incident, _)| *incident).collect();
    let goes_on_as: Vec<(IncidentId, Option<IncidentId>)> = incidents::table
        .filter(incidents::id.eq_any(ids))
        .select((incidents::id, incidents::duplicate_of))
        .load(conn)?;
    for (incident, row) in of_duplicates {
        let other = goes_on_as.iter().find(|(id, _)| *id == incident);
        named.extend(other.and_then(|(_, of)| *of).map(|of| (of, row)));
    }
    Ok(named)
}

/// The incidents whose updates digests say.
fn of_digests<'a>(conn: &mut Connection, messages: &'a [Due]) -> Result<Vec<(IncidentId, &'a Due)>, Problem> {
    let digests: Vec<&Due> = messages
        .iter()
        .filter(|row| row.kind() == Some(DeliveryKind::Digest))
        .collect();
    if digests.is_empty() {
        return Ok(Vec::new());
    }
    let mails: Vec<Mail<'_>> = digests.iter().map(|row| Mail::from(*row)).collect();
    let mut named = Vec::new();
    for said in carried::by(conn, &mails)? {
        let digest = digests.iter().find(|row| said.is_in(Mail::from(**row)));
        named.extend(said.incident_id.zip(digest.copied()));
    }
    named.sort_unstable_by_key(|(incident, row)| (*incident, row.id));
    named.dedup_by_key(|(incident, row)| (*incident, row.id));
    Ok(named)
}

/// Adds those who are told late of an incident that is over to the audience of its end.
fn tell_of_end(
    conn: &mut Connection,
    incident: IncidentId,
    told: &[&Due],
    now: Moment,
) -> Result<(), Problem> {
    let Some(end) = broadcasts::latest_end(conn, incident)? else {
        return Ok(());
    };
    if told.iter().all(|row| row.event_id == end.id) {
        return Ok(());
    }
    // Its audience is written down under this lock: where that has not begun, these will be found among the told.
    lock::shared(conn, lock::Key::of(end.id))?;
    let end = broadcasts::find(conn, end.id)?.filter(|end| end.state != BroadcastState::Pending);
    let Some(end) = end else { return Ok(()) };
    let late = told.iter().filter(|row| row.event_id != end.id);
    let rows: Vec<Delivery> = late.map(|row| end.message(row.to.clone(), now)).collect();
    let added = store::enqueue(conn, &rows)?;
    if added > 0 {
        broadcasts::grow(conn, end.id, added)?;
    }
    if added < rows.len() && owe(conn, &end, &rows)? > 0 {
        broadcasts::under_way_again(conn, &[end.id])?;
    }
    Ok(())
}

/// What was kept back from people who had heard of nothing is owed to those who now have; of how many.
fn owe(conn: &mut Connection, end: &Broadcast, rows: &[Delivery]) -> Result<usize, Problem> {
    let kept_back = deliveries::table
        .filter(deliveries::tenant_id.eq_any(rows.iter().map(|row| row.tenant_id).collect::<Vec<_>>()))
        .filter(deliveries::event_id.eq(end.id))
        .filter(
            deliveries::recipient.eq_any(rows.iter().map(|row| row.recipient.as_str()).collect::<Vec<_>>()),
        )
        .filter(deliveries::state.eq(DeliveryState::Suppressed))
        .filter(
            deliveries::reason
                .assume_not_null()
                .eq_any([Reason::Unwanted, Reason::DailyCap]),
        )
        .select((deliveries::tenant_id, deliveries::id, deliveries::recipient));
    let found: Vec<(TenantId, DeliveryId, String)> = kept_back.load(conn)?;
    let owed = |(tenant, _, recipient): &&(TenantId, DeliveryId, String)| {
        rows.iter()
            .any(|row| row.tenant_id == *tenant && row.recipient == *recipient)
    };
    let ids: Vec<DeliveryId> = found.iter().filter(owed).map(|row| row.1).collect();
    let rows = deliveries::table
        .filter(deliveries::id.eq_any(ids))
        .filter(deliveries::state.eq(DeliveryState::Suppressed));
    Ok(diesel::update(rows)
        .set((
            deliveries::state.eq(DeliveryState::Pending),
            deliveries::reason.eq(None::<Reason>),
        ))
        .execute(conn)?)
}

/// Who among these was told of an incident.
pub fn among(
    conn: &mut Connection,
    incident: IncidentId,
    (tenants, recipients): (Vec<TenantId>, Vec<&str>),
) -> Result<HashSet<(TenantId, String)>, Problem> {
    let rows: Vec<(TenantId, String)> = told::table
        .filter(told::incident_id.eq(incident))
        .filter(told::tenant_id.eq_any(tenants))
        .filter(told::recipient.eq_any(recipients))
        .select((told::tenant_id, told::recipient))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// Whoever was told of an incident, after a place in the list.
pub fn of_incident(
    conn: &mut Connection,
    incident: IncidentId,
    after: Option<(TenantId, String)>,
    limit: i64,
) -> Result<Vec<Recipient>, Problem> {
    let mut query = told::table
        .filter(told::incident_id.eq(incident))
        .order((told::tenant_id, told::recipient))
        .limit(limit)
        .select((
            told::tenant_id,
            told::recipient,
            told::name,
            told::locale,
            told::time_zone,
        ))
        .into_boxed();
    if let Some((tenant, key)) = after {
        query = query.filter(pair!("told.tenant_id", "told.recipient" > tenant: Uuid, key: Text));
    }
    Ok(query.load(conn)?)
}

/// Somebody who was told of an incident that is over, and has no mail of its end.
#[derive(Clone, Debug, Queryable)]
pub struct Unended {
    /// On whose behalf.
    pub tenant_id: TenantId,
    /// The incident.
    pub incident_id: IncidentId,
    /// The address.
    pub recipient: String,
    /// The broadcast of its end.
    pub end: EventId,
}

/// Whoever was told of an incident, and has for its latest end neither a delivery that is sent, on its way, or failed
/// and visible, nor a recorded reason why not: up to `limit` of them, of ends after `since`. The invariant says: nobody.
///
/// An end that is not all written down yet is not missed.
pub fn without_end(
    conn: &mut Connection,
    since: Option<Moment>,
    limit: i64,
) -> Result<Vec<Unended>, Problem> {
    diesel::alias!(all_broadcasts as turns: Turns);
    let later_turn = turns
        .filter(
            turns
                .field(all_broadcasts::incident_id)
                .eq(all_broadcasts::incident_id),
        )
        .filter(turns.field(all_broadcasts::kind).eq_any(BroadcastKind::TURNS))
        .filter(turns.field(all_broadcasts::seq).gt(all_broadcasts::seq));
    let mail_of_end = deliveries::table
        .filter(deliveries::tenant_id.eq(told::tenant_id))
        .filter(deliveries::event_id.eq(all_broadcasts::id))
        .filter(deliveries::recipient.eq(told::recipient))
        .filter(
            deliveries::state
                .ne(DeliveryState::Suppressed)
                .or(deliveries::reason.assume_not_null().eq_any(Reason::ENOUGH)),
        );
    let mut query = told::table
        .inner_join(all_broadcasts::table.on(all_broadcasts::incident_id.eq(told::incident_id)))
        .filter(all_broadcasts::kind.eq_any(BroadcastKind::ENDS))
        .filter(all_broadcasts::state.ne_all([BroadcastState::Pending, BroadcastState::Expanding]))
        .filter(not(exists(later_turn)))
        .filter(not(exists(mail_of_end)))
        .limit(limit)
        .select((
            told::tenant_id,
            told::incident_id,
            told::recipient,
            all_broadcasts::id,
        ))
        .into_boxed();
    if let Some(since) = since {
        query = query.filter(all_broadcasts::created_at.gt(since));
    }
    Ok(query.load(conn)?)
}

/// How many people did not hear of an end, for the metrics.
pub fn count_without_end(conn: &mut Connection, now: Moment) -> Result<i64, Problem> {
    let found = without_end(conn, Some(now.plus(-WATCHED)), COUNTED)?;
    Ok(i64::try_from(found.len()).unwrap_or(i64::MAX))
}
