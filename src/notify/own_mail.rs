//! A request's own mail: a receipt, "you were added", public replies, the answer. It goes before bulk mail.

use std::collections::HashMap;

use serde_json::Value;

use super::account_mail::{self, recipient_of};
use super::desk_mail::{self, Team};
use super::suppression_mail;
use crate::db::{CommentId, Connection, Moment, RequestId};
use crate::identity;
use crate::incidents;
use crate::journal::{self, Event, EventKind, Reader, Side, SubjectKind};
use crate::mail::{self, Delivery, DeliveryKind, Priority, Recipient, Step};
use crate::problem::Problem;
use crate::requests::{self, Cause, Request};

/// Events of one transaction.
const CHUNK: i64 = 100;

/// Turns the oldest unread events into mail.
pub fn step(conn: &mut Connection, now: Moment) -> Result<Step, Problem> {
    let events = journal::unread(conn, Reader::Notify, CHUNK)?;
    if events.is_empty() {
        return Ok(Step::Idle);
    }
    // Of what another process was first to act on, its effect stands.
    let events = journal::act_on(conn, Reader::Notify, events)?;
    let subjects = events
        .iter()
        .filter(|event| event.subject_kind == SubjectKind::Request);
    let ids: Vec<RequestId> = subjects.map(|event| event.subject_id.of()).collect();
    let requests: HashMap<RequestId, Request> = requests::store::all_of(conn, &ids)?
        .into_iter()
        .map(|request| (request.id, request))
        .collect();
    let mut team = Team::at(now);
    let mut rows = Vec::new();
    for event in events {
        rows.extend(match event.subject_kind {
            SubjectKind::Suppression => suppression_mail::mail_of(conn, &event, now)?,
            SubjectKind::Person => account_mail::mail_of(conn, &event, now)?,
            SubjectKind::Incident => desk_mail::of_incident(conn, &event, now)?,
            SubjectKind::Queue => desk_mail::of_queue(conn, &mut team, &event)?,
            _ => match requests.get(&event.subject_id.of()) {
                Some(request) => mail_of(conn, &mut team, request, &event)?,
                None => Vec::new(),
            },
        });
    }
    mail::store::enqueue(conn, &rows)?;
    Ok(Step::Worked)
}

/// The mail that an event of a request makes.
fn mail_of(
    conn: &mut Connection,
    team: &mut Team,
    request: &Request,
    event: &Event,
) -> Result<Vec<Delivery>, Problem> {
    let kinds: Vec<(DeliveryKind, Vec<Recipient>)> = match event.kind {
        EventKind::RequestFiled => vec![
            (DeliveryKind::RequestReceived, vec![requester(conn, request)?]),
            (DeliveryKind::WatcherAdded, named(conn, request, &event.data.0)?),
        ],
        EventKind::WatchersAdded => vec![(DeliveryKind::WatcherAdded, named(conn, request, &event.data.0)?)],
        EventKind::RequestResolved if cause(event) == Some(Cause::Agent) => {
            vec![(DeliveryKind::RequestResolved, vec![requester(conn, request)?])]
        }
        // What a tenant's side says is for the agents, who read it in their queue.
        _ if event.actor_side == Side::Staff && comment_id(event).is_some() => {
            vec![(DeliveryKind::RequestCommented, vec![requester(conn, request)?])]
        }
        _ => Vec::new(),
    };
    let tells = |kind| matches!(kind, DeliveryKind::RequestReceived | DeliveryKind::WatcherAdded);
    let names_incident =
        kinds.iter().any(|(kind, to)| tells(*kind) && !to.is_empty()) && names_incident(conn, request)?;
    let mut seen = Vec::new();
    let mut rows = desk_mail::of_request(conn, team, request, event)?;
    for (kind, recipients) in kinds {
        for recipient in recipients
            .into_iter()
            .filter(|recipient| !recipient.email.is_empty())
        {
            if seen.contains(&recipient.email) {
                continue;
            }
            seen.push(recipient.email.clone());
            let mut row = Delivery::new(event.id, kind, recipient, Priority::Request, team.now());
            row.request_id = Some(request.id);
            if tells(kind) && names_incident {
                row.incident_id = request.incident_id;
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

/// A mail that names an incident which is under way tells of it: whoever gets it is told of the end. What is over
/// already is not told of any more.
fn names_incident(conn: &mut Connection, request: &Request) -> Result<bool, Problem> {
    let incident = request
        .incident_id
        .map(|id| incidents::store::find(conn, id))
        .transpose()?
        .flatten();
    Ok(incident.is_some_and(|incident| incident.status.is_active()))
}

fn cause(event: &Event) -> Option<Cause> {
    event
        .data
        .0
        .get("cause")
        .and_then(Value::as_str)
        .and_then(Cause::parse)
}

/// The public comment that came with an event.
pub fn comment_id(event: &Event) -> Option<CommentId> {
    event
        .data
        .0
        .get("comment_id")
        .and_then(Value::as_str)
        .and_then(|id| id.parse().ok())
}

fn requester(conn: &mut Connection, request: &Request) -> Result<Recipient, Problem> {
    let person = identity::store::person(conn, request.requester_id)?;
    let person = person.ok_or_else(|| Problem::not_found("requester"))?;
    Ok(recipient_of(request.tenant_id, person))
}

/// The watchers that an event names; whoever has been taken away since hears nothing.
fn named(conn: &mut Connection, request: &Request, data: &Value) -> Result<Vec<Recipient>, Problem> {
    let added: Vec<String> = data
        .get("watchers")
        .cloned()
        .and_then(|list| serde_json::from_value(list).ok())
        .unwrap_or_default();
    if added.is_empty() {
        return Ok(Vec::new());
    }
    let present = requests::store::watchers(conn, request)?;
    let tenant =
        identity::store::tenant(conn, request.tenant_id)?.ok_or_else(|| Problem::not_found("tenant"))?;
    let mut recipients = Vec::new();
    for email in added.into_iter().filter(|email| present.contains(email)) {
        let person = identity::store::person_by_email(conn, &email)?;
        let (name, locale, time_zone) = match person {
            Some(person) => (person.name, person.locale, person.time_zone),
            None => (String::new(), tenant.locale.clone(), tenant.time_zone.clone()),
        };
        recipients.push(Recipient {
            tenant_id: request.tenant_id,
            email,
            name,
            locale,
            time_zone,
        });
    }
    Ok(recipients)
}

/// The event that a message tells of.
pub fn event_of(conn: &mut Connection, delivery: &Delivery) -> Result<Option<Event>, Problem> {
    journal::find(conn, delivery.tenant_id, delivery.event_id)
}

/// The event of a request that a message to the desk tells of, which is the tenant's and not the desk's.
pub fn event_of_request(
    conn: &mut Connection,
    request: &Request,
    delivery: &Delivery,
) -> Result<Option<Event>, Problem> {
    journal::find(conn, request.tenant_id, delivery.event_id)
}
