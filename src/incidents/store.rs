//! Queries over incidents, their scope and their timeline.

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::affects;
use super::lifecycle::Status;
use super::model::{CascadeState, Incident, Update};
use crate::db::schema::{
    broadcasts, incident_regions, incident_services, incident_updates, incidents, regions, service_requests,
    services, tenant_regions, tenant_services, tenants, told,
};
use crate::db::{Connection, EventId, IncidentId, Moment, PROVIDER, Scope, TenantId, on_each};
use crate::mail::BroadcastState;
use crate::problem::Problem;

/// An incident with what its row does not hold.
pub type WithBroadcast = (Incident, Option<EventId>);

/// The incident of this id, whoever asks.
pub fn find(conn: &mut Connection, id: IncidentId) -> Result<Option<Incident>, Problem> {
    Ok(
        on_each!(conn, conn => incidents::table.find(id).select(Incident::as_select()).first(conn))
            .optional()?,
    )
}

/// The incident of this id, if tenants may hear of it.
pub fn find_public(conn: &mut Connection, id: IncidentId) -> Result<Option<Incident>, Problem> {
    match find(conn, id)? {
        Some(incident) if is_public(conn, &incident)? => Ok(Some(incident)),
        _ => Ok(None),
    }
}

/// Whether tenants may hear of an incident: a duplicate may have been a draft to its end.
fn is_public(conn: &mut Connection, incident: &Incident) -> Result<bool, Problem> {
    if incident.status != Status::Duplicate {
        return Ok(incident.status.is_published());
    }
    let was_active = incident_updates::table
        .filter(incident_updates::incident_id.eq(incident.id))
        .filter(incident_updates::status.eq_any(Status::ACTIVE))
        .select(incident_updates::seq);
    Ok(was_active.first::<i32>(conn).optional()?.is_some())
}

/// The services and regions that an incident and a tenant share.
pub fn shared_scope(
    conn: &mut Connection,
    incident: IncidentId,
    tenant: TenantId,
) -> Result<(Vec<String>, Vec<String>), Problem> {
    let services = on_each!(conn, conn => incident_services::table
        .inner_join(tenant_services::table.on(tenant_services::service.eq(incident_services::service)))
        .filter(incident_services::incident_id.eq(incident))
        .filter(tenant_services::tenant_id.eq(tenant))
        .order(incident_services::service)
        .select(incident_services::service)
        .load(conn))?;
    let regions = on_each!(conn, conn => incident_regions::table
        .inner_join(tenant_regions::table.on(tenant_regions::region.eq(incident_regions::region)))
        .filter(incident_regions::incident_id.eq(incident))
        .filter(tenant_regions::tenant_id.eq(tenant))
        .order(incident_regions::region)
        .select(incident_regions::region)
        .load(conn))?;
    Ok((services, regions))
}

/// The incidents that a caller may see, which `status` and `after` narrow; active ones first, then the newest.
pub fn list(
    conn: &mut Connection,
    scope: Scope,
    with_drafts: bool,
    statuses: &[Status],
    after: Option<(i16, IncidentId)>,
    limit: i64,
) -> Result<Vec<Incident>, Problem> {
    let mut query = incidents::table
        .order((incidents::standing, incidents::id.desc()))
        .limit(limit)
        .select(Incident::as_select())
        .into_boxed();
    if !statuses.is_empty() {
        query = query.filter(incidents::status.eq_any(statuses.to_vec()));
    }
    if !with_drafts {
        let was_active = incident_updates::table
            .filter(incident_updates::incident_id.eq(incidents::id))
            .filter(incident_updates::status.eq_any(Status::ACTIVE));
        query = query
            .filter(incidents::status.ne_all([Status::Draft, Status::Cancelled]))
            .filter(incidents::status.ne(Status::Duplicate).or(exists(was_active)));
    }
    if let Some((standing, id)) = after {
        query = query.filter(
            incidents::standing
                .gt(standing)
                .or(incidents::standing.eq(standing).and(incidents::id.lt(id))),
        );
    }
    if let Some(tenant) = scope.tenant() {
        let bound = service_requests::table
            .filter(service_requests::incident_id.eq(incidents::id.nullable()))
            .filter(service_requests::tenant_id.eq(tenant));
        let heard = told::table
            .filter(told::incident_id.eq(incidents::id))
            .filter(told::tenant_id.eq(tenant));
        query = query.filter(
            affects!(incidents::id, tenant)
                .or(exists(bound))
                .or(exists(heard)),
        );
    }
    Ok(query.load(conn)?)
}

/// The incident of this id, if the caller may see it.
pub fn visible(
    conn: &mut Connection,
    scope: Scope,
    with_drafts: bool,
    id: IncidentId,
) -> Result<Option<Incident>, Problem> {
    let Some(incident) = find(conn, id)? else {
        return Ok(None);
    };
    if !is_public(conn, &incident)? {
        return Ok(Some(incident).filter(|_| with_drafts));
    }
    let Some(tenant) = scope.tenant() else {
        return Ok(Some(incident));
    };
    let (services, regions) = shared_scope(conn, id, tenant)?;
    if !services.is_empty() && !regions.is_empty() {
        return Ok(Some(incident));
    }
    let bound: i64 = service_requests::table
        .filter(service_requests::incident_id.eq(id))
        .filter(service_requests::tenant_id.eq(tenant))
        .count()
        .get_result(conn)?;
    let heard: i64 = told::table
        .filter(told::incident_id.eq(id))
        .filter(told::tenant_id.eq(tenant))
        .count()
        .get_result(conn)?;
    Ok(Some(incident).filter(|_| bound + heard > 0))
}

/// Whom of these tenants an incident does not affect. The provider's own people see every incident.
pub fn unaffected(
    conn: &mut Connection,
    incident: IncidentId,
    tenants: &[TenantId],
) -> Result<Vec<TenantId>, Problem> {
    Ok(tenants::table
        .filter(tenants::id.eq_any(tenants))
        .filter(tenants::id.ne(PROVIDER))
        .filter(not(affects!(incident, tenants::id)))
        .select(tenants::id)
        .load(conn)?)
}

/// Adds an incident with its scope.
pub fn create(
    conn: &mut Connection,
    incident: &Incident,
    services: &[String],
    regions: &[String],
) -> Result<(), Problem> {
    diesel::insert_into(incidents::table)
        .values(incident)
        .execute(conn)?;
    add_reach(conn, incident.id, services, regions)
}

/// What an incident affects: slugs of services, and of regions.
pub fn reach(conn: &mut Connection, id: IncidentId) -> Result<(Vec<String>, Vec<String>), Problem> {
    let services = incident_services::table
        .filter(incident_services::incident_id.eq(id))
        .order(incident_services::service)
        .select(incident_services::service)
        .load(conn)?;
    let regions = incident_regions::table
        .filter(incident_regions::incident_id.eq(id))
        .order(incident_regions::region)
        .select(incident_regions::region)
        .load(conn)?;
    Ok((services, regions))
}

/// It affects these from now on.
pub fn replace_reach(
    conn: &mut Connection,
    id: IncidentId,
    services: &[String],
    regions: &[String],
) -> Result<(), Problem> {
    diesel::delete(incident_services::table.filter(incident_services::incident_id.eq(id))).execute(conn)?;
    diesel::delete(incident_regions::table.filter(incident_regions::incident_id.eq(id))).execute(conn)?;
    add_reach(conn, id, services, regions)
}

fn add_reach(
    conn: &mut Connection,
    id: IncidentId,
    services: &[String],
    regions: &[String],
) -> Result<(), Problem> {
    for service in services {
        let row = (
            incident_services::incident_id.eq(id),
            incident_services::service.eq(service),
        );
        diesel::insert_into(incident_services::table)
            .values(row)
            .execute(conn)?;
    }
    for region in regions {
        let row = (
            incident_regions::incident_id.eq(id),
            incident_regions::region.eq(region),
        );
        diesel::insert_into(incident_regions::table)
            .values(row)
            .execute(conn)?;
    }
    Ok(())
}

/// Saves an incident, guarded by the number of the event it was loaded at.
pub fn save(conn: &mut Connection, incident: &Incident, loaded_seq: i32) -> Result<(), Problem> {
    let row = incidents::table
        .filter(incidents::id.eq(incident.id))
        .filter(incidents::last_seq.eq(loaded_seq));
    if diesel::update(row).set(incident).execute(conn)? == 1 {
        Ok(())
    } else {
        Err(Problem::lost_race())
    }
}

/// Adds an entry to the timeline.
pub fn add_update(conn: &mut Connection, update: &Update) -> Result<(), Problem> {
    diesel::insert_into(incident_updates::table)
        .values(update)
        .execute(conn)?;
    Ok(())
}

/// One entry of the timeline.
pub fn update_at(conn: &mut Connection, incident: IncidentId, seq: i32) -> Result<Option<Update>, Problem> {
    Ok(incident_updates::table
        .find((incident, seq))
        .select(Update::as_select())
        .first(conn)
        .optional()?)
}

/// What was written last.
pub fn last_update(conn: &mut Connection, incident: IncidentId) -> Result<Option<Update>, Problem> {
    Ok(incident_updates::table
        .filter(incident_updates::incident_id.eq(incident))
        .order(incident_updates::seq.desc())
        .select(Update::as_select())
        .first(conn)
        .optional()?)
}

/// The incidents that follow this one, if a tenant may hear of them: published, and affecting it.
pub fn followed_by(
    conn: &mut Connection,
    id: IncidentId,
    tenant: TenantId,
) -> Result<Vec<IncidentId>, Problem> {
    let candidates: Vec<Incident> = incidents::table
        .filter(incidents::follows.eq(id))
        .select(Incident::as_select())
        .load(conn)?;
    let mut seen = Vec::new();
    for candidate in candidates {
        if !is_public(conn, &candidate)? {
            continue;
        }
        let (services, regions) = shared_scope(conn, candidate.id, tenant)?;
        if !services.is_empty() && !regions.is_empty() {
            seen.push(candidate.id);
        }
    }
    Ok(seen)
}

/// Active incidents that affect a tenant in a service and a region.
pub fn matching(conn: &mut Connection, service: &str, region: &str) -> Result<Vec<IncidentId>, Problem> {
    Ok(incidents::table
        .inner_join(incident_services::table.on(incident_services::incident_id.eq(incidents::id)))
        .inner_join(incident_regions::table.on(incident_regions::incident_id.eq(incidents::id)))
        .filter(incidents::standing.eq(0))
        .filter(incident_services::service.eq(service))
        .filter(incident_regions::region.eq(region))
        .order(incidents::id.desc())
        .limit(20)
        .select(incidents::id)
        .load(conn)?)
}

/// An incident whose requests are following it. Those of a duplicate move once its last mail is written down: until then
/// they say whom it reaches.
pub fn cascading(conn: &mut Connection) -> Result<Option<IncidentId>, Problem> {
    let unexpanded = broadcasts::table
        .filter(broadcasts::incident_id.eq(incidents::id))
        .filter(broadcasts::state.eq_any([BroadcastState::Pending, BroadcastState::Expanding]));
    Ok(incidents::table
        .filter(incidents::cascade_state.eq(CascadeState::Running))
        .filter(
            incidents::status
                .ne(Status::Duplicate)
                .or(not(exists(unexpanded))),
        )
        .order(incidents::id)
        .select(incidents::id)
        .first(conn)
        .optional()?)
}

/// Notes that the requests have followed; how it stands for tenants does not change by that.
pub fn finish_cascade(conn: &mut Connection, incident: &Incident) -> Result<(), Problem> {
    let row = incidents::table
        .filter(incidents::id.eq(incident.id))
        .filter(incidents::last_seq.eq(incident.last_seq));
    diesel::update(row)
        .set(incidents::cascade_state.eq(CascadeState::Finished))
        .execute(conn)?;
    Ok(())
}

/// Has the requests of an incident follow it once more: there are others.
pub fn resume_cascade(conn: &mut Connection, id: IncidentId) -> Result<(), Problem> {
    let row = incidents::table
        .filter(incidents::id.eq(id))
        .filter(incidents::cascade_state.eq(CascadeState::Finished));
    diesel::update(row)
        .set(incidents::cascade_state.eq(CascadeState::Running))
        .execute(conn)?;
    Ok(())
}

/// Active incidents whose promised update is overdue.
pub fn overdue_updates(conn: &mut Connection, now: Moment) -> Result<i64, Problem> {
    Ok(incidents::table
        .filter(incidents::standing.eq(0))
        .filter(incidents::next_update_by.lt(now))
        .count()
        .get_result(conn)?)
}

/// How many incidents are active.
pub fn count_active(conn: &mut Connection) -> Result<i64, Problem> {
    Ok(incidents::table
        .filter(incidents::standing.eq(0))
        .count()
        .get_result(conn)?)
}

/// The names, for people, of the services and regions of an incident.
pub fn scope_names(conn: &mut Connection, id: IncidentId) -> Result<(Vec<String>, Vec<String>), Problem> {
    let services = incident_services::table
        .inner_join(services::table.on(services::slug.eq(incident_services::service)))
        .filter(incident_services::incident_id.eq(id))
        .order(services::name)
        .select(services::name)
        .load(conn)?;
    let regions = incident_regions::table
        .inner_join(regions::table.on(regions::slug.eq(incident_regions::region)))
        .filter(incident_regions::incident_id.eq(id))
        .order(regions::name)
        .select(regions::name)
        .load(conn)?;
    Ok((services, regions))
}
