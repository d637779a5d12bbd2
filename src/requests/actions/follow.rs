//! What Allclear itself does to requests: they follow their incident, and close when their window has passed.

use chrono::TimeDelta;
use serde_json::json;

use super::change::{save, tell};
use crate::db::{Connection, IncidentId, Moment};
use crate::journal::{Actor, EventKind};
use crate::problem::Problem;
use crate::requests::lifecycle::Status;
use crate::requests::model::{Cause, Request};
use crate::requests::store;

/// How many requests one transaction closes.
const CHUNK: i64 = 200;

/// Resolves requests along with their incident.
pub fn follow(
    conn: &mut Connection,
    rows: Vec<Request>,
    resolution: i32,
    now: Moment,
) -> Result<(), Problem> {
    change_each(conn, rows, EventKind::RequestResolved, now, |request| {
        request.status = Status::Resolved;
        request.is_open = false;
        request.hold_reason = None;
        request.resolution_cause = Some(Cause::Incident);
        request.incident_resolution = Some(resolution);
        request.resolved_at = Some(now);
    })
}

/// Puts requests that had followed their incident back into their lines: it has been reopened.
pub fn return_to_line(conn: &mut Connection, rows: Vec<Request>, now: Moment) -> Result<(), Problem> {
    change_each(conn, rows, EventKind::RequestReopened, now, |request| {
        request.status = Status::Queued;
        request.is_open = true;
        request.assignee_id = None;
        request.resolution_cause = None;
        request.incident_resolution = None;
        request.resolved_at = None;
    })
}

/// Lets requests stay open on their own: nothing was wrong with what their incident named.
pub fn detach(conn: &mut Connection, rows: Vec<Request>, now: Moment) -> Result<(), Problem> {
    change_each(conn, rows, EventKind::RequestDetached, now, |request| {
        request.detached = true
    })
}

/// Binds requests to what their incident goes on as.
pub fn move_to(
    conn: &mut Connection,
    rows: Vec<Request>,
    incident: IncidentId,
    now: Moment,
) -> Result<(), Problem> {
    change_each(conn, rows, EventKind::RequestLinked, now, |request| {
        request.incident_id = Some(incident)
    })
}

/// Cancels requests whose tenant is no more.
pub fn withdraw(conn: &mut Connection, rows: Vec<Request>, now: Moment) -> Result<(), Problem> {
    change_each(conn, rows, EventKind::RequestCancelled, now, |request| {
        request.status = Status::Cancelled;
        request.is_open = false;
        request.hold_reason = None;
        request.assignee_id = None;
    })
}

/// Closes requests whose reopening window has passed; how many.
pub fn close_expired(conn: &mut Connection, window: TimeDelta, now: Moment) -> Result<usize, Problem> {
    let rows = store::resolved_before(conn, now.plus(-window), CHUNK)?;
    let count = rows.len();
    change_each(conn, rows, EventKind::RequestClosed, now, |request| {
        request.status = Status::Closed
    })?;
    Ok(count)
}

/// A row that somebody else changes at the same time loses the whole chunk its turn: it is decided again.
fn change_each(
    conn: &mut Connection,
    rows: Vec<Request>,
    kind: EventKind,
    now: Moment,
    change: impl Fn(&mut Request),
) -> Result<(), Problem> {
    let actor = Actor::system();
    for before in rows {
        let mut after = before.clone();
        change(&mut after);
        let mut data = json!({});
        if before.status != after.status {
            data = json!({"from": before.status, "to": after.status, "cause": after.resolution_cause});
        } else if before.incident_id != after.incident_id {
            data = json!({"from_incident": before.incident_id, "to_incident": after.incident_id});
        }
        let event = save(conn, &before, &mut after, kind, &actor, now, data)?;
        tell(conn, Some(&before), &after, &event, &[])?;
    }
    Ok(())
}
