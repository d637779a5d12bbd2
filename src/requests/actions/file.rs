//! Filing: the check, the routing and the insert are one transaction.

use serde_json::json;

use super::change::{event, tell};
use crate::db::{Connection, Id, IncidentId, Json, Moment, PROVIDER, PersonId, TenantId, lock};
use crate::identity::{self, Caller, Person, Right, Role, Tenant};
use crate::incidents::{self, Incident};
use crate::journal::{EventKind, Reader};
use crate::problem::{Code, FieldError, Problem};
use crate::queues;
use crate::queues::routing::{self, Channel, Facts};
use crate::requests::lifecycle::Status;
use crate::requests::model::{Contact, NewRequest, NewRequester, Request};
use crate::requests::view::Names;
use crate::requests::{reference, sla, store};
use crate::text;

/// A request that was filed.
pub struct Filed {
    /// The request.
    pub request: Request,
    /// What it names.
    pub names: Names,
    /// Without an incident: active ones it may be about.
    pub matching: Option<Vec<IncidentId>>,
}

/// Files a request and puts it into its queue.
pub fn file(conn: &mut Connection, caller: &Caller, form: &NewRequest) -> Result<Filed, Problem> {
    caller.require(Right::FileRequests)?;
    let tenant = tenant(conn, caller, form)?;
    // Shared: many file at once. Taken before the incident is read, and the time asked after it is held.
    if let Some(incident) = form.incident_id {
        lock::shared(conn, lock::Key::of(incident))?;
    }
    let now = caller.now();
    let ((service, region), incident) = match form.incident_id {
        Some(id) => {
            let (incident, services, regions) = check_incident(conn, id, tenant.id)?;
            (
                choose(form, &services, &regions)?,
                Some((incident.title, incident.status)),
            )
        }
        None => (own_service_and_region(conn, form, tenant.id)?, None),
    };
    let requester = requester(conn, caller, form, &tenant, now)?;
    let follow_up_of = follow_up(conn, form, tenant.id)?;
    let contact = contact(form, &requester);
    let tags = text::unique(form.tags.iter().map(|tag| tag.trim().to_owned()));
    let channel = form.channel.unwrap_or(Channel::AdminCenter);
    let facts = Facts {
        service: &service,
        region: &region,
        severity: form.severity,
        plan: tenant.plan,
        language: contact.language.as_deref().unwrap_or(&requester.locale),
        channel,
        incident: form.incident_id,
        tags: &tags,
    };
    let unrouted = || {
        Problem::new(
            Code::RoutingNotConfigured,
            "a lead has to set the routing rules first",
        )
    };
    let (rules_version, rules) = routing::store::rules(conn)?.ok_or_else(unrouted)?;
    let (rule, needs) = routing::route(&rules, &facts).ok_or_else(unrouted)?;
    let request = Request {
        tenant_id: tenant.id,
        id: Id::at(now),
        reference: reference::random(),
        revision: 1,
        version: 1,
        status: Status::Queued,
        is_open: true,
        resolution_cause: None,
        hold_reason: None,
        incident_id: form.incident_id,
        incident_resolution: None,
        pinned: false,
        detached: false,
        service,
        region,
        severity: form.severity,
        subject: form.subject.trim().to_owned(),
        description: form.description.clone(),
        channel,
        requester_id: requester.id,
        contact: Json::of(&contact),
        tags: Json::of(&tags),
        queue_id: rule.queue_id,
        assignee_id: None,
        follow_up_of,
        resolved_at: None,
        created_at: now,
        updated_at: now,
        requester_name: requester.name,
        needs: Json::of(&needs),
        assigned_off_duty: false,
    };
    store::create(conn, &request)?;
    let watchers = text::unique(
        form.watchers
            .iter()
            .filter_map(|email| text::email_address(email)),
    );
    store::add_watchers(conn, &request, &watchers, now)?;
    let data = json!({
        "to": Status::Queued,
        "reference": request.reference, "severity": request.severity, "channel": request.channel,
        "service": request.service, "region": request.region, "incident_id": request.incident_id,
        "requester_id": request.requester_id,
        "watchers": watchers,
        "internal": {
            "queue_id": rule.queue_id, "rule": rule.name, "rules_version": rules_version, "needs": needs,
        },
    });
    let event = event(&request, EventKind::RequestFiled, &caller.actor(), now, data);
    tell(conn, None, &request, &event, &[Reader::Notify])?;
    let matching = match form.incident_id {
        Some(_) => None,
        None => Some(incidents::store::matching(
            conn,
            &request.service,
            &request.region,
        )?),
    };
    let queue = queues::store::find(conn, request.queue_id)?
        .map(|queue| queue.name)
        .unwrap_or_default();
    let names = Names {
        queue,
        incident,
        assignee: None,
        watchers,
        sla: sla::view::of_one(conn, &request)?,
    };
    Ok(Filed {
        request,
        names,
        matching,
    })
}

fn tenant(conn: &mut Connection, caller: &Caller, form: &NewRequest) -> Result<Tenant, Problem> {
    let not_yours = |field: &str| Problem::invalid(format!("/{field}"), "is only for staff");
    let id = match (caller.scope().tenant(), form.tenant_id) {
        (Some(_), Some(_)) => return Err(not_yours("tenant_id")),
        (Some(_), None) if form.requester.is_some() && !caller.is_key() => {
            return Err(not_yours("requester"));
        }
        (Some(own), None) => own,
        (None, Some(tenant)) if tenant != PROVIDER => tenant,
        (None, Some(_)) => return Err(Problem::invalid("/tenant_id", "there is no such tenant")),
        (None, None) => return Err(Problem::invalid("/tenant_id", "is needed from staff")),
    };
    identity::store::tenant(conn, id)?
        .ok_or_else(|| Problem::invalid("/tenant_id", "there is no such tenant"))
}

/// The check of contract §3, in its order: unknown, not affected, not active.
pub fn check_incident(
    conn: &mut Connection,
    id: IncidentId,
    tenant: TenantId,
) -> Result<(Incident, Vec<String>, Vec<String>), Problem> {
    let incident = incidents::store::find_public(conn, id)?;
    let incident = incident.ok_or_else(|| Problem::not_found("incident"))?;
    let shared = incidents::store::shared_scope(conn, id, tenant)?;
    if shared.0.is_empty() || shared.1.is_empty() {
        return Err(Problem::new(
            Code::TenantNotAffected,
            "the incident hits no service of yours in your regions",
        ));
    }
    if !incident.status.is_active() {
        let detail = format!("the incident is {}", incident.status);
        let mut problem =
            Problem::new(Code::IncidentNotActive, detail).with("incident_status", incident.status);
        let followed_by = incidents::store::followed_by(conn, id, tenant)?;
        if !followed_by.is_empty() {
            problem = problem.with("followed_by", followed_by);
        }
        let root = incidents::duplicates::root(conn, &incident)?;
        if root.id != incident.id {
            let (services, regions) = incidents::store::shared_scope(conn, root.id, tenant)?;
            if !services.is_empty() && !regions.is_empty() {
                problem = problem.with("duplicate_of", root.id);
            }
        }
        return Err(problem);
    }
    Ok((incident, shared.0, shared.1))
}

/// The service and the region out of those that fit: named, or the only one.
fn choose(form: &NewRequest, services: &[String], regions: &[String]) -> Result<(String, String), Problem> {
    let mut errors = Vec::new();
    let mut choice = |field: &str, named: &Option<String>, fitting: &[String]| -> String {
        let pointer = format!("/{field}");
        match (named, fitting) {
            (Some(named), fitting) if fitting.contains(named) => return named.clone(),
            (Some(named), _) => errors.push(FieldError {
                pointer,
                detail: format!("`{named}` is not hit"),
            }),
            (None, [only]) => return only.clone(),
            (None, _) => errors.push(FieldError {
                pointer,
                detail: "more than one fits: name it".to_owned(),
            }),
        }
        String::new()
    };
    let service = choice("service", &form.service, services);
    let region = choice("region", &form.region, regions);
    match errors.first() {
        None => Ok((service, region)),
        Some(first) => {
            let detail = format!("{}: {}", first.pointer, first.detail);
            Err(Problem::new(Code::ValidationFailed, detail)
                .with("choices", json!({"service": services, "region": regions}))
                .with_errors(errors))
        }
    }
}

/// Without an incident the service is named; the region too, unless the tenant has only one.
fn own_service_and_region(
    conn: &mut Connection,
    form: &NewRequest,
    tenant: TenantId,
) -> Result<(String, String), Problem> {
    let services = identity::store::services_of(conn, tenant)?;
    let regions = identity::store::regions_of(conn, tenant)?;
    if form.service.is_none() {
        return Err(Problem::invalid("/service", "is needed without an incident")
            .with("choices", json!({"service": services, "region": regions})));
    }
    choose(form, &services, &regions)
}

fn requester(
    conn: &mut Connection,
    caller: &Caller,
    form: &NewRequest,
    tenant: &Tenant,
    now: Moment,
) -> Result<Person, Problem> {
    match (&form.requester, caller.is_staff() || caller.is_key()) {
        (_, false) => identity::store::person(conn, caller.person())?
            .ok_or_else(|| Problem::internal("the requester has gone")),
        (Some(named), true) => {
            let email = text::email_address(&named.email).unwrap_or_default();
            let whom = (email.as_str(), named.name.as_str());
            let ways = (tenant.locale.as_str(), tenant.time_zone.as_str());
            let person = identity::actions::user::find_or_create_contact(conn, whom, ways, now)?;
            if caller.is_staff() {
                refuse_foreigners(conn, person.id, tenant.id)?;
            }
            as_known_here(conn, person, named, tenant)
        }
        (None, true) => {
            let detail = "is needed from staff and from API keys";
            Err(Problem::invalid("/requester", detail))
        }
    }
}

/// A member of the tenant is who they are; of anybody else no more is used than what was said of them here: the address
/// may be somebody's at another tenant.
fn as_known_here(
    conn: &mut Connection,
    person: Person,
    named: &NewRequester,
    tenant: &Tenant,
) -> Result<Person, Problem> {
    if identity::store::membership(conn, tenant.id, person.id)?.is_some() {
        return Ok(person);
    }
    Ok(Person {
        name: named.name.trim().to_owned(),
        locale: tenant.locale.clone(),
        time_zone: tenant.time_zone.clone(),
        ..person
    })
}

/// Somebody of another tenant cannot be made the requester of this one's request.
fn refuse_foreigners(conn: &mut Connection, person: PersonId, tenant: TenantId) -> Result<(), Problem> {
    let memberships = identity::store::memberships_of(conn, person)?;
    let foreign = !memberships.is_empty()
        && memberships
            .iter()
            .all(|m| m.tenant_id != tenant && matches!(m.role, Role::TenantAdmin | Role::TenantViewer));
    if foreign {
        return Err(Problem::invalid("/requester/email", "belongs to another tenant"));
    }
    Ok(())
}

/// What is left out of the contact is the requester's.
fn contact(form: &NewRequest, requester: &Person) -> Contact {
    let given = form.contact.clone().unwrap_or_default();
    Contact {
        name: given.name.or_else(|| Some(requester.name.clone())),
        email: given
            .email
            .as_deref()
            .and_then(text::email_address)
            .or_else(|| Some(requester.email.clone())),
        telephone: given.telephone,
        language: given.language.or_else(|| Some(requester.locale.clone())),
        time_zone: given.time_zone.or_else(|| Some(requester.time_zone.clone())),
    }
}

/// A follow-up goes on with a closed request of the same tenant.
fn follow_up(
    conn: &mut Connection,
    form: &NewRequest,
    tenant: TenantId,
) -> Result<Option<crate::db::RequestId>, Problem> {
    let Some(id) = form.follow_up_of else {
        return Ok(None);
    };
    match store::find(conn, tenant, id)? {
        Some(found) if found.status == Status::Closed => Ok(Some(id)),
        Some(found) => {
            let detail = format!(
                "the request is {}; only a closed one is followed up",
                found.status
            );
            Err(Problem::invalid("/follow_up_of", detail))
        }
        None => Err(Problem::invalid("/follow_up_of", "there is no such request")),
    }
}
