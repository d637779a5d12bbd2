//! Queries over the ledger.

use diesel::dsl::count_star;
use diesel::prelude::*;

use super::model::{
    Broadcast, BroadcastKind, BroadcastState, BroadcastView, Delivery, DeliveryKind, DeliveryState, Phase,
    Recipient,
};
use crate::db::schema::{broadcasts, deliveries, told};
use crate::db::{Connection, DeliveryId, EventId, IncidentId, Moment, RequestId, TenantId, lock, on_each};
use crate::problem::Problem;

/// The address of a row of the ledger.
pub type Address = (TenantId, DeliveryId);

/// Adds a broadcast.
pub fn create_broadcast(conn: &mut Connection, broadcast: &Broadcast) -> Result<(), Problem> {
    diesel::insert_into(broadcasts::table)
        .values(broadcast)
        .execute(conn)?;
    Ok(())
}

/// The broadcast of this id.
pub fn find_broadcast(conn: &mut Connection, id: EventId) -> Result<Option<Broadcast>, Problem> {
    Ok(broadcasts::table
        .find(id)
        .select(Broadcast::as_select())
        .first(conn)
        .optional()?)
}

/// The broadcasts of an incident, in order.
pub fn broadcasts_of(
    conn: &mut Connection,
    incident: IncidentId,
    after: i32,
    limit: i64,
) -> Result<Vec<Broadcast>, Problem> {
    Ok(broadcasts::table
        .filter(broadcasts::incident_id.eq(incident))
        .filter(broadcasts::seq.gt(after))
        .order(broadcasts::seq)
        .limit(limit)
        .select(Broadcast::as_select())
        .load(conn)?)
}

/// The oldest broadcasts whose audience is not all written down.
pub fn unexpanded(conn: &mut Connection, limit: i64) -> Result<Vec<EventId>, Problem> {
    Ok(broadcasts::table
        .filter(broadcasts::state.eq_any([BroadcastState::Pending, BroadcastState::Expanding]))
        .order(broadcasts::id)
        .limit(limit)
        .select(broadcasts::id)
        .load(conn)?)
}

/// Notes how far the expansion of a broadcast is.
pub fn save_progress(conn: &mut Connection, broadcast: &Broadcast) -> Result<(), Problem> {
    diesel::update(broadcasts::table.find(broadcast.id))
        .set((
            broadcasts::state.eq(broadcast.state),
            broadcasts::phase.eq(broadcast.phase),
            broadcasts::after_tenant.eq(broadcast.after_tenant),
            broadcasts::after_key.eq(&broadcast.after_key),
            broadcasts::audience.eq(broadcast.audience),
        ))
        .execute(conn)?;
    Ok(())
}

/// Writes down messages; whoever has one of the same event already gets no second.
pub fn enqueue(conn: &mut Connection, rows: &[Delivery]) -> Result<usize, Problem> {
    let mut added = 0;
    // SQLite binds at most 32,766 values in a statement.
    for chunk in rows.chunks(500) {
        added += on_each!(conn, conn => diesel::insert_into(deliveries::table)
            .values(chunk)
            .on_conflict_do_nothing()
            .execute(conn))?;
    }
    Ok(added)
}

/// How many messages of an event are in each state.
fn counts(conn: &mut Connection, event: EventId) -> Result<Vec<(DeliveryState, i64)>, Problem> {
    Ok(deliveries::table
        .filter(deliveries::event_id.eq(event))
        .group_by(deliveries::state)
        .select((deliveries::state, count_star()))
        .load(conn)?)
}

/// A broadcast with its counts.
pub fn view(conn: &mut Connection, broadcast: Broadcast) -> Result<BroadcastView, Problem> {
    let counts = counts(conn, broadcast.id)?;
    let of = |states: &[DeliveryState]| -> i64 {
        counts
            .iter()
            .filter(|(state, _)| states.contains(state))
            .map(|(_, count)| count)
            .sum()
    };
    Ok(BroadcastView {
        id: broadcast.id,
        incident_id: broadcast.incident_id,
        kind: broadcast.kind,
        state: broadcast.state,
        audience: of(DeliveryState::ALL),
        pending: of(&[DeliveryState::Pending, DeliveryState::Leased]),
        sent: of(&[DeliveryState::Sent]),
        failed: of(&[DeliveryState::Failed]),
        suppressed: of(&[DeliveryState::Suppressed]),
        created_at: broadcast.created_at,
        finished_at: broadcast.finished_at,
    })
}

/// Expanded broadcasts of which nothing is pending or leased any more.
pub fn sent_out(conn: &mut Connection) -> Result<Vec<EventId>, Problem> {
    let open = deliveries::table
        .filter(deliveries::event_id.eq(broadcasts::id))
        .filter(deliveries::state.eq_any([DeliveryState::Pending, DeliveryState::Leased]));
    Ok(broadcasts::table
        .filter(broadcasts::state.eq(BroadcastState::Sending))
        .filter(diesel::dsl::not(diesel::dsl::exists(open)))
        .select(broadcasts::id)
        .load(conn)?)
}

/// Marks those as finished; how many there were.
pub fn finish_broadcasts(conn: &mut Connection, now: Moment) -> Result<usize, Problem> {
    let ids = sent_out(conn)?;
    let rows = broadcasts::table
        .filter(broadcasts::id.eq_any(ids))
        .filter(broadcasts::state.eq(BroadcastState::Sending));
    Ok(diesel::update(rows)
        .set((
            broadcasts::state.eq(BroadcastState::Finished),
            broadcasts::finished_at.eq(Some(now)),
        ))
        .execute(conn)?)
}

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

/// Told it began: so told it ended. Written as the message is handed over, before it leaves.
///
/// A message may leave after its incident has ended, and its recipient may belong to no audience any more: so whoever
/// is told of an incident that is over gets the mail of its end too, if it is not in the ledger already.
pub(super) fn tell(conn: &mut Connection, ids: &[DeliveryId], now: Moment) -> Result<(), Problem> {
    let naming: Vec<Delivery> = deliveries::table
        .filter(deliveries::id.eq_any(ids.to_vec()))
        .filter(deliveries::incident_id.is_not_null())
        .filter(deliveries::kind.eq_any(DeliveryKind::ALL.to_vec()))
        .select(Delivery::as_select())
        .load(conn)?;
    let mut incidents: Vec<IncidentId> = naming
        .iter()
        .filter_map(|delivery| delivery.incident_id)
        .collect();
    incidents.sort_unstable();
    incidents.dedup();
    // Shared: an end that comes now waits, and finds these among the told.
    for incident in &incidents {
        lock::shared(conn, lock::Key::of(*incident))?;
    }
    let rows: Vec<Told> = naming
        .iter()
        .filter_map(|delivery| Told::of(delivery, now))
        .collect();
    on_each!(conn, conn => diesel::insert_into(told::table).values(&rows).on_conflict_do_nothing().execute(conn))?;
    for incident in incidents {
        let Some(end) = latest_end(conn, incident)? else {
            continue;
        };
        let late = naming
            .iter()
            .filter(|row| row.incident_id == Some(incident) && row.event_id != end.id);
        let rows: Vec<Delivery> = late.map(|row| row.end_of(&end, now)).collect();
        if enqueue(conn, &rows)? > 0 {
            under_way_again(conn, end.id)?;
        }
    }
    Ok(())
}

/// The mail of the end, if the incident is over.
fn latest_end(conn: &mut Connection, incident: IncidentId) -> Result<Option<Broadcast>, Problem> {
    let turns = [
        BroadcastKind::Resolved,
        BroadcastKind::FalsePositive,
        BroadcastKind::Reopened,
    ];
    let last = broadcasts::table
        .filter(broadcasts::incident_id.eq(incident))
        .filter(broadcasts::kind.eq_any(turns))
        .order(broadcasts::seq.desc())
        .select(Broadcast::as_select())
        .first(conn)
        .optional()?;
    Ok(last.filter(|last| last.kind != BroadcastKind::Reopened))
}

/// A finished broadcast has something pending again.
fn under_way_again(conn: &mut Connection, id: EventId) -> Result<(), Problem> {
    let finished = broadcasts::table
        .filter(broadcasts::id.eq(id))
        .filter(broadcasts::state.eq(BroadcastState::Finished));
    diesel::update(finished)
        .set((
            broadcasts::state.eq(BroadcastState::Sending),
            broadcasts::finished_at.eq(None::<Moment>),
        ))
        .execute(conn)?;
    Ok(())
}

impl Told {
    fn of(delivery: &Delivery, now: Moment) -> Option<Self> {
        Some(Self {
            tenant_id: delivery.tenant_id,
            incident_id: delivery.incident_id?,
            recipient: delivery.recipient.clone(),
            name: delivery.name.clone(),
            locale: delivery.locale.clone(),
            time_zone: delivery.time_zone.clone(),
            at: now,
        })
    }
}

/// Whoever was told of an incident, after a place in the list.
pub fn told(
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
        query = query.filter(
            told::tenant_id
                .gt(tenant)
                .or(told::tenant_id.eq(tenant).and(told::recipient.gt(key))),
        );
    }
    let rows: Vec<(TenantId, String, String, String, String)> = query.load(conn)?;
    Ok(rows
        .into_iter()
        .map(|(tenant_id, email, name, locale, time_zone)| Recipient {
            tenant_id,
            email,
            name,
            locale,
            time_zone,
        })
        .collect())
}

/// One message.
pub fn find(conn: &mut Connection, (tenant, id): Address) -> Result<Option<Delivery>, Problem> {
    Ok(deliveries::table
        .find((tenant, id))
        .select(Delivery::as_select())
        .first(conn)
        .optional()?)
}

/// One message, by its id alone.
pub fn find_by_id(conn: &mut Connection, id: DeliveryId) -> Result<Option<Delivery>, Problem> {
    Ok(deliveries::table
        .filter(deliveries::id.eq(id))
        .select(Delivery::as_select())
        .first(conn)
        .optional()?)
}

/// Sets a failed message going again; `false` when it has not failed.
pub fn retry(conn: &mut Connection, (tenant, id): Address, now: Moment) -> Result<bool, Problem> {
    let failed = deliveries::table
        .filter(deliveries::tenant_id.eq(tenant))
        .filter(deliveries::id.eq(id))
        .filter(deliveries::state.eq(DeliveryState::Failed));
    let changed = diesel::update(failed)
        .set((
            deliveries::state.eq(DeliveryState::Pending),
            deliveries::next_attempt_at.eq(now),
            deliveries::created_at.eq(now),
        ))
        .execute(conn)?;
    // Its broadcast is under way again.
    if changed == 1
        && let Some(delivery) = find(conn, (tenant, id))?
    {
        let finished = broadcasts::table
            .filter(broadcasts::id.eq(delivery.event_id))
            .filter(broadcasts::state.eq(BroadcastState::Finished));
        diesel::update(finished)
            .set((
                broadcasts::state.eq(BroadcastState::Sending),
                broadcasts::finished_at.eq(None::<Moment>),
            ))
            .execute(conn)?;
    }
    Ok(changed == 1)
}

/// Which messages are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// On behalf of this tenant.
    pub tenant: Option<TenantId>,
    /// Of this event.
    pub event: Option<EventId>,
    /// About this request.
    pub request: Option<RequestId>,
    /// Naming this incident.
    pub incident: Option<IncidentId>,
    /// In this state.
    pub state: Option<DeliveryState>,
    /// To this address.
    pub recipient: Option<String>,
}

/// Messages, oldest first.
pub fn list(
    conn: &mut Connection,
    filter: &Filter,
    after: Option<DeliveryId>,
    limit: i64,
) -> Result<Vec<Delivery>, Problem> {
    let mut query = deliveries::table
        .order(deliveries::id)
        .limit(limit)
        .select(Delivery::as_select())
        .into_boxed();
    if let Some(tenant) = filter.tenant {
        query = query.filter(deliveries::tenant_id.eq(tenant));
    }
    if let Some(event) = filter.event {
        query = query.filter(deliveries::event_id.eq(event));
    }
    if let Some(request) = filter.request {
        query = query.filter(deliveries::request_id.eq(request));
    }
    if let Some(incident) = filter.incident {
        query = query.filter(deliveries::incident_id.eq(incident));
    }
    if let Some(state) = filter.state {
        query = query.filter(deliveries::state.eq(state));
    }
    if let Some(recipient) = &filter.recipient {
        query = query.filter(deliveries::recipient.eq(recipient.clone()));
    }
    if let Some(after) = after {
        query = query.filter(deliveries::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// How many messages are in each state, for the metrics.
pub fn totals(conn: &mut Connection) -> Result<Vec<(DeliveryState, i64)>, Problem> {
    Ok(deliveries::table
        .group_by(deliveries::state)
        .select((deliveries::state, count_star()))
        .load(conn)?)
}

/// The next part of an audience after this one.
pub fn next_phase(phase: Phase, reaches_told: bool) -> Phase {
    match phase {
        Phase::Requesters => Phase::Watchers,
        Phase::Watchers => Phase::Contacts,
        Phase::Contacts if reaches_told => Phase::Told,
        Phase::Contacts | Phase::Told | Phase::Done => Phase::Done,
    }
}
