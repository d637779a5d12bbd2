//! What the desk itself is told at once: a new request that is urgent, a clock that runs out or has, a promised update
//! that is missing. It goes before bulk mail, on behalf of the provider: no tenant sees whom it went to.

use std::collections::BTreeSet;

use super::account_mail::recipient_of;
use crate::db::{Connection, Moment, PROVIDER, PersonId};
use crate::identity::{self, Person, Role};
use crate::journal::{Event, EventKind};
use crate::mail::{Delivery, DeliveryKind, Priority};
use crate::problem::Problem;
use crate::queues;
use crate::queues::routing::Severity;
use crate::requests::Request;

/// The mail to the desk that an event of a request makes.
pub fn of_request(
    conn: &mut Connection,
    request: &Request,
    event: &Event,
    now: Moment,
) -> Result<Vec<Delivery>, Problem> {
    let is_urgent = matches!(request.severity, Severity::A | Severity::B);
    let (kind, people) = match event.kind {
        EventKind::RequestFiled if is_urgent => (DeliveryKind::UrgentRequest, team(conn, request, now)?),
        EventKind::SlaWarned => (DeliveryKind::SlaWarned, responsible(conn, request, now)?),
        EventKind::SlaBreached => (DeliveryKind::SlaBreached, responsible(conn, request, now)?),
        _ => return Ok(Vec::new()),
    };
    let delivery = |person: Person| Delivery {
        request_id: Some(request.id),
        ..Delivery::new(
            event.id,
            kind,
            recipient_of(PROVIDER, person),
            Priority::Request,
            now,
        )
    };
    Ok(people.into_iter().map(delivery).collect())
}

/// The mail to the desk that an event of an incident makes.
pub fn of_incident(conn: &mut Connection, event: &Event, now: Moment) -> Result<Vec<Delivery>, Problem> {
    let kind = match event.kind {
        EventKind::PromiseWarned => DeliveryKind::PromiseWarned,
        EventKind::PromiseMissed => DeliveryKind::PromiseMissed,
        _ => return Ok(Vec::new()),
    };
    let mut people = identity::store::staff(conn, &[Role::IncidentManager])?;
    if people.is_empty() {
        people = identity::store::staff(conn, &[Role::Operator])?;
    }
    // It names the incident to nobody who would have to hear of its end: so it is not the incident's in the ledger.
    let delivery = |person: Person| {
        Delivery::new(
            event.id,
            kind,
            recipient_of(PROVIDER, person),
            Priority::Request,
            now,
        )
    };
    Ok(people.into_iter().map(delivery).collect())
}

/// Who is on duty in the queue of a request.
fn team(conn: &mut Connection, request: &Request, at: Moment) -> Result<Vec<Person>, Problem> {
    let team = queues::actions::on_duty(conn, request.queue_id, at)?;
    let team: BTreeSet<PersonId> = team.into_iter().map(|member| member.id).collect();
    let roles = [Role::Agent, Role::Lead, Role::Operator];
    let mut people = identity::store::staff(conn, &roles)?;
    people.retain(|person| team.contains(&person.id));
    Ok(people)
}

/// Who is to act on a clock: the assignee while on duty, else who is on duty in the queue, else the leads.
fn responsible(conn: &mut Connection, request: &Request, at: Moment) -> Result<Vec<Person>, Problem> {
    let mut team = team(conn, request, at)?;
    if team.is_empty() {
        return identity::store::staff(conn, &[Role::Lead]);
    }
    if team.iter().any(|person| Some(person.id) == request.assignee_id) {
        team.retain(|person| Some(person.id) == request.assignee_id);
    }
    Ok(team)
}
