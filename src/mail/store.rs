//! Queries over the ledger.

use diesel::dsl::count_star;
use diesel::prelude::*;

use super::broadcasts;
use super::model::{Delivery, DeliveryState};
use crate::db::schema::deliveries;
use crate::db::{Connection, DeliveryId, EventId, IncidentId, Moment, RequestId, TenantId, on_each};
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
