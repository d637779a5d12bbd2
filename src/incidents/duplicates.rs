//! What duplicates go on as, and whom they would take along.

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::model::Incident;
use super::store::find;
use crate::db::schema::{
    incident_regions, incident_services, service_requests, tenant_regions, tenant_services, tenants, told,
};
use crate::db::{Connection, IncidentId, PROVIDER, TenantId};
use crate::problem::Problem;

/// What an incident goes on as: itself, or the end of the chain of duplicates.
pub fn root(conn: &mut Connection, incident: &Incident) -> Result<Incident, Problem> {
    let mut root = incident.clone();
    // It ends: a duplicate is merged into what is active, and never becomes active again.
    while let Some(of) = root.duplicate_of {
        root = find(conn, of)?.ok_or_else(|| Problem::not_found("incident"))?;
    }
    Ok(root)
}

/// Tenants that have requests about an incident, or were told of it, and that the other one does not affect.
pub fn uncovered(
    conn: &mut Connection,
    id: IncidentId,
    by: IncidentId,
    limit: i64,
) -> Result<Vec<TenantId>, Problem> {
    let bound = service_requests::table
        .filter(service_requests::incident_id.eq(id))
        .select(service_requests::tenant_id);
    let heard = told::table
        .filter(told::incident_id.eq(id))
        .select(told::tenant_id);
    let services = incident_services::table
        .inner_join(tenant_services::table.on(tenant_services::service.eq(incident_services::service)))
        .filter(incident_services::incident_id.eq(by))
        .filter(tenant_services::tenant_id.eq(tenants::id));
    let regions = incident_regions::table
        .inner_join(tenant_regions::table.on(tenant_regions::region.eq(incident_regions::region)))
        .filter(incident_regions::incident_id.eq(by))
        .filter(tenant_regions::tenant_id.eq(tenants::id));
    Ok(tenants::table
        .filter(tenants::id.eq_any(bound).or(tenants::id.eq_any(heard)))
        .filter(tenants::disabled.eq(false))
        // The provider's own people see every incident.
        .filter(tenants::id.ne(PROVIDER))
        .filter(not(exists(services).and(exists(regions))))
        .order(tenants::id)
        .limit(limit)
        .select(tenants::id)
        .load(conn)?)
}
