//! Takes back what somebody works on whose shift has ended. Driven by state: whoever has a request in progress and is not
//! on duty in its queue hands it over, one event each. What waits for the customer or for something else stays with
//! them, and goes to the line when it comes back; what was given to somebody off duty stays with them too.

use diesel::prelude::*;
use serde_json::json;

use super::board::Board;
use crate::db::schema::service_requests;
use crate::db::{Connection, Moment, PersonId, QueueId};
use crate::journal::{Actor, EventKind};
use crate::problem::Problem;
use crate::queues::{coverage, duty};
use crate::requests::actions::change::{save, tell};
use crate::requests::lifecycle::{self, Status, Verb};
use crate::requests::model::Request;

/// Requests of one transaction.
const CHUNK: i64 = 100;

/// Who works in a queue without being on duty there.
pub fn off_duty(conn: &mut Connection, board: &mut Board) -> Result<Option<(QueueId, PersonId)>, Problem> {
    let hands: Vec<(QueueId, Option<PersonId>)> = service_requests::table
        .filter(service_requests::status.eq(Status::InProgress))
        .filter(service_requests::assigned_off_duty.eq(false))
        .select((service_requests::queue_id, service_requests::assignee_id))
        .distinct()
        .order((service_requests::queue_id, service_requests::assignee_id))
        .load(conn)?;
    for (queue, person) in hands {
        let Some(person) = person else { continue };
        let team = board.team(conn, queue)?;
        if !team.iter().any(|agent| agent.person_id == person) {
            return Ok(Some((queue, person)));
        }
    }
    Ok(None)
}

/// Hands over what somebody who is off duty has in progress in a queue; how many.
pub fn step(
    conn: &mut Connection,
    (queue, person): (QueueId, PersonId),
    now: Moment,
) -> Result<usize, Problem> {
    coverage::hold_rosters(conn)?;
    if duty::includes(conn, queue, person, now)? {
        return Ok(0);
    }
    let rows: Vec<Request> = service_requests::table
        .filter(service_requests::status.eq(Status::InProgress))
        .filter(service_requests::assigned_off_duty.eq(false))
        .filter(service_requests::queue_id.eq(queue))
        .filter(service_requests::assignee_id.eq(person))
        .order(service_requests::id)
        .limit(CHUNK)
        .select(Request::as_select())
        .load(conn)?;
    let count = rows.len();
    for before in rows {
        let mut after = before.clone();
        after.status = lifecycle::next(before.status, Verb::Release, false)?;
        after.assignee_id = None;
        let data = json!({"from": before.status, "to": after.status, "internal": {"from_assignee": person}});
        let kind = EventKind::RequestHandedOver;
        let event = save(conn, &before, &mut after, kind, &Actor::system(), now, data)?;
        tell(conn, Some(&before), &after, &event, &[])?;
    }
    Ok(count)
}
