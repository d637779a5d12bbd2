//! An incident as clients see it, with what its row does not hold.

use diesel::prelude::*;

use super::lifecycle::Status;
use super::model::{AuthorView, CascadeState, CascadeView, Incident, IncidentView, Update, UpdateView};
use super::promise;
use super::store::{self, WithBroadcast};
use crate::db::schema::{incident_updates, people, service_requests};
use crate::db::{Connection, Scope};
use crate::problem::Problem;

/// An incident with scope and timeline, as this caller sees it.
pub fn of(
    conn: &mut Connection,
    scope: Scope,
    for_staff: bool,
    (incident, broadcast_id): WithBroadcast,
) -> Result<IncidentView, Problem> {
    let (services, regions) = store::reach(conn, incident.id)?;
    let updates: Vec<(Update, String)> = incident_updates::table
        .inner_join(people::table.on(people::id.eq(incident_updates::author_id)))
        .filter(incident_updates::incident_id.eq(incident.id))
        .order(incident_updates::seq)
        .select((Update::as_select(), people::name))
        .load(conn)?;
    let updates = updates
        .into_iter()
        .filter(|(update, _)| for_staff || update.status != Status::Draft)
        .map(|(update, name)| UpdateView {
            seq: update.seq,
            at: update.at,
            status: update.status,
            body: update.body,
            next_update_by: update.next_update_by,
            corrects: update.corrects,
            author: for_staff.then_some(AuthorView {
                id: update.author_id,
                name,
            }),
        })
        .collect();
    Ok(IncidentView {
        cascade: cascade(conn, scope, &incident)?,
        promise: for_staff.then(|| promise::view(conn, incident.id)).transpose()?,
        id: incident.id,
        title: incident.title,
        status: incident.status,
        impact: incident.impact,
        services,
        regions,
        started_at: incident.started_at,
        resolved_at: incident.resolved_at,
        follows: incident.follows,
        duplicate_of: incident.duplicate_of,
        next_update_by: incident.next_update_by,
        updates,
        broadcast_id,
        preview: None,
        version: incident.version,
        created_at: incident.created_at,
        updated_at: incident.updated_at,
    })
}

fn cascade(conn: &mut Connection, scope: Scope, incident: &Incident) -> Result<CascadeView, Problem> {
    let state = incident.cascade_state;
    if state == CascadeState::None {
        return Ok(CascadeView {
            state,
            done: 0,
            remaining: 0,
        });
    }
    let count = |conn: &mut Connection, open: bool| -> Result<i64, Problem> {
        let mut query = service_requests::table
            .filter(service_requests::incident_id.eq(incident.id))
            .filter(service_requests::is_open.eq(open))
            .count()
            .into_boxed();
        if open && incident.status != Status::Duplicate {
            query = query
                .filter(service_requests::pinned.eq(false))
                .filter(service_requests::detached.eq(false));
        } else if !open {
            query = query.filter(service_requests::incident_resolution.eq(incident.resolution));
        }
        if let Some(tenant) = scope.tenant() {
            query = query.filter(service_requests::tenant_id.eq(tenant));
        }
        Ok(query.get_result(conn)?)
    };
    let remaining = if state == CascadeState::Running && incident.status.is_ended() {
        count(conn, true)?
    } else {
        0
    };
    Ok(CascadeView {
        state,
        done: count(conn, false)?,
        remaining,
    })
}
