//! Who may be given a request: whoever has room for it.

use crate::db::{Connection, Moment, PersonId, QueueId, lock};
use crate::problem::{Code, Problem};
use crate::queues::agents::{self, Agent};
use crate::queues::duty;
use crate::requests::model::Request;
use crate::requests::store;

/// The agent that somebody is. Whoever counts what it has is alone with it until the end of the transaction.
pub fn of(conn: &mut Connection, person: PersonId) -> Result<Agent, Problem> {
    lock::exclusive(conn, lock::Key::of(person))?;
    let found = agents::store::of(conn, &[person])?.pop();
    Ok(found.unwrap_or_else(|| Agent::new(person)))
}

/// Refuses what only those do who are on duty in a queue.
pub fn require_duty(
    conn: &mut Connection,
    queue: QueueId,
    person: PersonId,
    now: Moment,
) -> Result<(), Problem> {
    if duty::includes(conn, queue, person, now)? {
        return Ok(());
    }
    let detail = "no shift of yours in this queue runs now";
    Err(Problem::new(Code::NotOnDuty, detail))
}

/// Refuses to give a request to somebody who has no room for it; whether they are on duty in its queue. To give it to
/// somebody who is off duty is a lead's decision, and stands.
pub fn require_room(
    conn: &mut Connection,
    request: &Request,
    person: PersonId,
    now: Moment,
) -> Result<bool, Problem> {
    let is_on_duty = duty::includes(conn, request.queue_id, person, now)?;
    let has_it = request.assignee_id == Some(person) && request.is_open;
    let agent = of(conn, person)?;
    let load = store::load(conn, person)?;
    if has_it || agent.may_take(load, request.severity) {
        Ok(is_on_duty)
    } else {
        Err(at_capacity(&agent, load))
    }
}

/// 409 of an agent that has no room.
pub fn at_capacity(agent: &Agent, load: i32) -> Problem {
    let capacity = agent.capacity.unwrap_or(i32::MAX);
    let detail = format!("the open requests of the agent weigh {load}, of at most {capacity}");
    Problem::new(Code::AtCapacity, detail)
        .with("load", load)
        .with("capacity", capacity)
}
