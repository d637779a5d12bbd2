//! Queries over the ledger.

use diesel::dsl::count_star;
use diesel::prelude::*;

use super::broadcasts;
use super::model::{Delivery, DeliveryState};
use crate::db::schema::deliveries;
use crate::db::{Connection, DeliveryId, EventId, Moment, TenantId, on_each};
use crate::problem::Problem;

/// The address of a row of the ledger.
pub type Address = (TenantId, DeliveryId);
/// A row of the ledger, and the event that it is of.
pub type Row = (DeliveryId, EventId);

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

/// Sets messages that failed going again; how many of these had.
pub fn retry(conn: &mut Connection, rows: &[Row], now: Moment) -> Result<usize, Problem> {
    let (ids, events): (Vec<DeliveryId>, Vec<EventId>) = rows.iter().copied().unzip();
    let failed = deliveries::table
        .filter(deliveries::id.eq_any(ids))
        .filter(deliveries::state.eq(DeliveryState::Failed));
    let changed = diesel::update(failed)
        .set((
            deliveries::state.eq(DeliveryState::Pending),
            deliveries::next_attempt_at.eq(now),
            deliveries::created_at.eq(now),
        ))
        .execute(conn)?;
    if changed > 0 {
        broadcasts::under_way_again(conn, &events)?;
    }
    Ok(changed)
}

/// How many messages are in each state, for the metrics.
pub fn totals(conn: &mut Connection) -> Result<Vec<(DeliveryState, i64)>, Problem> {
    Ok(deliveries::table
        .group_by(deliveries::state)
        .select((deliveries::state, count_star()))
        .load(conn)?)
}
