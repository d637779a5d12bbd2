//! A tenant's data is the tenant's: the erasing of who its people were, out of the mail to them.

use diesel::prelude::*;

use super::model::{DeliveryState, Reason};
use crate::db::schema::{deliveries, opt_outs, suppressions, told, unread_events};
use crate::db::{Connection, DeliveryId, EventId, Moment, TenantId};
use crate::identity::custody::NOBODY;
use crate::problem::Problem;

/// Sends nothing more on behalf of a tenant, and owes nobody there the end of anything.
pub fn stop(conn: &mut Connection, tenant: TenantId) -> Result<(), Problem> {
    diesel::delete(unread_events::table.filter(unread_events::tenant_id.eq(tenant))).execute(conn)?;
    diesel::delete(told::table.filter(told::tenant_id.eq(tenant))).execute(conn)?;
    diesel::delete(opt_outs::table.filter(opt_outs::tenant_id.eq(tenant))).execute(conn)?;
    diesel::delete(suppressions::table.filter(suppressions::tenant_id.eq(tenant))).execute(conn)?;
    let unsent = deliveries::table
        .filter(deliveries::tenant_id.eq(tenant))
        .filter(deliveries::state.eq_any([DeliveryState::Pending, DeliveryState::Leased]));
    let suppressed = (
        deliveries::state.eq(DeliveryState::Suppressed),
        deliveries::reason.eq(Some(Reason::Erased)),
        deliveries::lease_owner.eq(None::<EventId>),
        deliveries::lease_until.eq(None::<Moment>),
    );
    diesel::update(unsent).set(suppressed).execute(conn)?;
    Ok(())
}

/// Takes names and addresses out of the ledger; how many rows there were. That something was sent, and when, stays.
pub fn erase(conn: &mut Connection, tenant: TenantId, limit: i64) -> Result<usize, Problem> {
    let ids: Vec<DeliveryId> = deliveries::table
        .filter(deliveries::tenant_id.eq(tenant))
        .filter(deliveries::recipient.not_like(format!("%{NOBODY}")))
        .order(deliveries::id)
        .limit(limit)
        .select(deliveries::id)
        .load(conn)?;
    for id in &ids {
        let nobody = (
            deliveries::recipient.eq(format!("{id}{NOBODY}")),
            deliveries::name.eq(""),
            deliveries::error.eq(Some("erased")),
        );
        diesel::update(deliveries::table.find((tenant, id)))
            .set(nobody)
            .execute(conn)?;
    }
    Ok(ids.len())
}
