//! Queries over the ledger.

use chrono::TimeDelta;
use diesel::dsl::count_star;
use diesel::prelude::*;

use super::model::{Delivery, DeliveryState};
use super::{broadcasts, told};
use crate::db::schema::deliveries;
use crate::db::{Connection, DeliveryId, EventId, IncidentId, Moment, RequestId, TenantId, lock, on_each};
use crate::problem::Problem;

/// The address of a row of the ledger.
pub type Address = (TenantId, DeliveryId);

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

/// Whether a message is due, or the lease of one has run out.
pub fn any_due(conn: &mut Connection, now: Moment) -> Result<bool, Problem> {
    let due = deliveries::table
        .filter(deliveries::state.eq(DeliveryState::Pending))
        .filter(deliveries::next_attempt_at.le(now))
        .select(deliveries::id);
    if due.first::<DeliveryId>(conn).optional()?.is_some() {
        return Ok(true);
    }
    let expired = deliveries::table
        .filter(deliveries::state.eq(DeliveryState::Leased))
        .filter(deliveries::lease_until.lt(now))
        .select(deliveries::id);
    Ok(expired.first::<DeliveryId>(conn).optional()?.is_some())
}

/// Takes up to `most` messages that are due for `owner`, and writes down that their recipients are told.
///
/// One process at a time takes, behind a lock: so two never wait for each other's rows. What a dead process had is
/// taken once its lease has run out. Only the keys are read here: a row that cannot be read is dealt with alone.
pub fn lease(
    conn: &mut Connection,
    owner: EventId,
    most: i64,
    now: Moment,
    lease: TimeDelta,
) -> Result<Vec<Address>, Problem> {
    lock::exclusive(conn, lock::Key::named("leasing mail"))?;
    let expired = deliveries::table
        .filter(deliveries::state.eq(DeliveryState::Leased))
        .filter(deliveries::lease_until.lt(now));
    diesel::update(expired)
        .set((
            deliveries::state.eq(DeliveryState::Pending),
            deliveries::lease_owner.eq(None::<EventId>),
            deliveries::lease_until.eq(None::<Moment>),
        ))
        .execute(conn)?;
    let mut due: Vec<Address> = deliveries::table
        .filter(deliveries::state.eq(DeliveryState::Pending))
        .filter(deliveries::next_attempt_at.le(now))
        .order((deliveries::priority, deliveries::next_attempt_at, deliveries::id))
        .limit(most)
        .select((deliveries::tenant_id, deliveries::id))
        .load(conn)?;
    if due.is_empty() {
        return Ok(due);
    }
    let ids: Vec<DeliveryId> = due.iter().map(|(_, id)| *id).collect();
    // Guarded: what has been withdrawn meanwhile is not taken.
    let pending = deliveries::table
        .filter(deliveries::id.eq_any(ids.clone()))
        .filter(deliveries::state.eq(DeliveryState::Pending));
    let taken = diesel::update(pending)
        .set((
            deliveries::state.eq(DeliveryState::Leased),
            deliveries::lease_owner.eq(Some(owner)),
            deliveries::lease_until.eq(Some(now.plus(lease))),
        ))
        .execute(conn)?;
    if taken < due.len() {
        let own = deliveries::table
            .filter(deliveries::id.eq_any(ids))
            .filter(deliveries::lease_owner.eq(owner))
            .select((deliveries::tenant_id, deliveries::id));
        due = own.load(conn)?;
    }
    let ids: Vec<DeliveryId> = due.iter().map(|(_, id)| *id).collect();
    told::tell(conn, &ids, now)?;
    Ok(due)
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

/// Keeps the messages of a living process its own.
pub fn renew(conn: &mut Connection, owner: EventId, until: Moment) -> Result<usize, Problem> {
    let own = deliveries::table
        .filter(deliveries::state.eq(DeliveryState::Leased))
        .filter(deliveries::lease_owner.eq(owner));
    Ok(diesel::update(own)
        .set(deliveries::lease_until.eq(Some(until)))
        .execute(conn)?)
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Handed over.
    Sent,
    /// Tried, to be tried again.
    Retry(Moment, String),
    /// Given up.
    Failed(String),
    /// Not tried: give it back.
    Returned,
}

/// Marks what became of a message, if it is still `owner`'s.
pub fn mark(
    conn: &mut Connection,
    (tenant, id): Address,
    owner: EventId,
    outcome: &Outcome,
    now: Moment,
) -> Result<bool, Problem> {
    let (state, tries, next, error, sent_at) = match outcome {
        Outcome::Sent => (DeliveryState::Sent, 1, None, None, Some(now)),
        Outcome::Retry(at, error) => (DeliveryState::Pending, 1, Some(*at), Some(error), None),
        Outcome::Failed(error) => (DeliveryState::Failed, 1, None, Some(error), None),
        Outcome::Returned => (DeliveryState::Pending, 0, None, None, None),
    };
    let own = deliveries::table
        .filter(deliveries::tenant_id.eq(tenant))
        .filter(deliveries::id.eq(id))
        .filter(deliveries::state.eq(DeliveryState::Leased))
        .filter(deliveries::lease_owner.eq(owner));
    let changed = diesel::update(own)
        .set((
            deliveries::state.eq(state),
            deliveries::attempts.eq(deliveries::attempts + tries),
            next.map(|at| deliveries::next_attempt_at.eq(at)),
            deliveries::error.eq(error),
            deliveries::sent_at.eq(sent_at),
            deliveries::lease_owner.eq(None::<EventId>),
            deliveries::lease_until.eq(None::<Moment>),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Gives back everything that is leased, by whomever: only where no other process can be alive.
pub fn release_all(conn: &mut Connection) -> Result<usize, Problem> {
    let leased = deliveries::table.filter(deliveries::state.eq(DeliveryState::Leased));
    Ok(diesel::update(leased)
        .set((
            deliveries::state.eq(DeliveryState::Pending),
            deliveries::lease_owner.eq(None::<EventId>),
            deliveries::lease_until.eq(None::<Moment>),
        ))
        .execute(conn)?)
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
        broadcasts::under_way_again(conn, delivery.event_id)?;
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
