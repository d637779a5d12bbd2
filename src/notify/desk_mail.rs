//! What the desk itself is told at once: a new request that is urgent, a clock that runs out or has, a promised update
//! that is missing. It goes before bulk mail, on behalf of the provider: no tenant sees whom it went to.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::account_mail::recipient_of;
use crate::db::{Connection, Moment, PROVIDER, PersonId, QueueId};
use crate::identity::{self, Person, Role};
use crate::journal::{Event, EventKind};
use crate::mail::{Delivery, DeliveryKind, Priority};
use crate::problem::Problem;
use crate::queues::duty;
use crate::queues::routing::Severity;
use crate::requests::Request;
use crate::requests::line::board::Board;

/// Who is there at one instant. Each queue is looked at once, however many of its requests tell the desk something.
pub struct Team {
    at: Moment,
    on_duty: HashMap<QueueId, Vec<Person>>,
}

impl Team {
    /// Nobody has been looked for.
    pub fn at(at: Moment) -> Self {
        Self {
            at,
            on_duty: HashMap::new(),
        }
    }

    /// The instant.
    pub fn now(&self) -> Moment {
        self.at
    }

    /// Who is on duty in a queue.
    fn of(&mut self, conn: &mut Connection, queue: QueueId) -> Result<&[Person], Problem> {
        Ok(match self.on_duty.entry(queue) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(on_duty(conn, queue, self.at)?),
        })
    }
}

/// The mail to the desk that an event of a request makes.
pub fn of_request(
    conn: &mut Connection,
    team: &mut Team,
    request: &Request,
    event: &Event,
) -> Result<Vec<Delivery>, Problem> {
    let is_urgent = matches!(request.severity, Severity::A | Severity::B);
    let (kind, people) = match event.kind {
        EventKind::RequestFiled if is_urgent => (
            DeliveryKind::UrgentRequest,
            team.of(conn, request.queue_id)?.to_vec(),
        ),
        EventKind::SlaWarned => (DeliveryKind::SlaWarned, responsible(conn, team, request)?),
        EventKind::SlaBreached => (DeliveryKind::SlaBreached, responsible(conn, team, request)?),
        EventKind::RequestEscalated if tells_lead(event) => {
            (DeliveryKind::RequestEscalated, leads(conn, team.at)?)
        }
        _ => return Ok(Vec::new()),
    };
    let mut rows = deliveries(event, kind, people, team.at);
    for row in &mut rows {
        row.request_id = Some(request.id);
    }
    Ok(rows)
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
    Ok(deliveries(event, kind, people, now))
}

/// The mail to the desk that an event of a queue makes: a hand-over, to the team that is there then.
pub fn of_queue(conn: &mut Connection, team: &mut Team, event: &Event) -> Result<Vec<Delivery>, Problem> {
    if event.kind != EventKind::ShiftHandedOver {
        return Ok(Vec::new());
    }
    let people = team.of(conn, event.subject_id.of())?.to_vec();
    Ok(deliveries(event, DeliveryKind::ShiftHandedOver, people, team.at))
}

/// A message about an event to each of these people.
fn deliveries(event: &Event, kind: DeliveryKind, people: Vec<Person>, now: Moment) -> Vec<Delivery> {
    let delivery = |person| {
        let to = recipient_of(PROVIDER, person);
        Delivery::new(event.id, kind, to, Priority::Request, now)
    };
    people.into_iter().map(delivery).collect()
}

/// Who is on duty in a queue.
fn on_duty(conn: &mut Connection, queue: QueueId, at: Moment) -> Result<Vec<Person>, Problem> {
    let team: BTreeSet<PersonId> = duty::team(conn, queue, at)?.into_iter().collect();
    let roles = [Role::Agent, Role::Lead, Role::Operator];
    let mut people = identity::store::staff(conn, &roles)?;
    people.retain(|person| team.contains(&person.id));
    Ok(people)
}

/// Whether a step of the ladder leads to the lead.
fn tells_lead(event: &Event) -> bool {
    event.data.0.pointer("/internal/tells").and_then(Value::as_str) == Some("lead")
}

/// The leads who are on duty in any queue, else all of them.
fn leads(conn: &mut Connection, at: Moment) -> Result<Vec<Person>, Problem> {
    let there = Board::at(conn, at)?.leads(conn)?;
    if there.is_empty() {
        return identity::store::staff(conn, &[Role::Lead]);
    }
    Ok(there)
}

/// Who is to act on a clock: the assignee while on duty, else who is on duty in the queue, else the leads.
fn responsible(conn: &mut Connection, team: &mut Team, request: &Request) -> Result<Vec<Person>, Problem> {
    let there = team.of(conn, request.queue_id)?;
    if there.is_empty() {
        return identity::store::staff(conn, &[Role::Lead]);
    }
    let assignee = there.iter().find(|person| Some(person.id) == request.assignee_id);
    Ok(match assignee {
        Some(assignee) => vec![assignee.clone()],
        None => there.to_vec(),
    })
}
