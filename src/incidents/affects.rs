//! Whom an incident affects, as a condition of queries.

/// Whether an incident and a tenant, each a value or a column, share a service and a region.
macro_rules! affects {
    ($incident:expr, $tenant:expr) => {{
        use $crate::db::schema::{incident_regions, incident_services, tenant_regions, tenant_services};
        let services = incident_services::table
            .inner_join(tenant_services::table.on(tenant_services::service.eq(incident_services::service)))
            .filter(incident_services::incident_id.eq($incident))
            .filter(tenant_services::tenant_id.eq($tenant));
        let regions = incident_regions::table
            .inner_join(tenant_regions::table.on(tenant_regions::region.eq(incident_regions::region)))
            .filter(incident_regions::incident_id.eq($incident))
            .filter(tenant_regions::tenant_id.eq($tenant));
        diesel::dsl::exists(services).and(diesel::dsl::exists(regions))
    }};
}
pub(crate) use affects;
