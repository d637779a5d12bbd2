//! Escalating: the next step of the ladder, now and by hand.

use serde_json::json;

use super::change::Change;
use crate::db::{Connection, Moment};
use crate::identity::{Caller, Right};
use crate::journal::{EventKind, Reader};
use crate::problem::Problem;
use crate::requests::lifecycle::Verb;
use crate::requests::line::board::Board;
use crate::requests::line::next::Next;
use crate::requests::line::{self, Waiting};
use crate::requests::model::{Note, Request, Visibility};
use crate::requests::store::Key;

/// Takes the next step of the ladder: to another queue, and into its line; or the lead is told, as also when the ladder
/// has no step left. A body is an internal note: the customer is not told who cannot help.
pub fn escalate(conn: &mut Connection, caller: &Caller, key: &Key, form: &Note) -> Result<Request, Problem> {
    let mut change = Change::begin(conn, caller, key, Right::WorkRequests)?;
    change.if_match_required()?;
    // Refuses what is over, whatever the step.
    change.check(conn, Verb::Transfer)?;
    let mut row = way(conn, &change.request, change.now)?;
    let mut board = Board::held(conn, change.now)?;
    let next = board.next(conn, &row, true)?;
    let from = change.request.queue_id;
    match next {
        Next::Move { to, taken, .. } => {
            change.apply(conn, Verb::Transfer)?;
            change.request.queue_id = to;
            change.note_internal("from_queue", json!(from));
            change.note_internal("to_queue", json!(to));
            row.steps = i16::try_from(taken).unwrap_or(i16::MAX);
        }
        next => {
            if let Next::TellLead { taken } = next {
                row.steps = i16::try_from(taken).unwrap_or(i16::MAX);
            }
            change.note_internal("tells", json!("lead"));
        }
    }
    row.next_step_at = board.due(
        row.home_queue_id,
        row.home_since,
        usize::try_from(row.steps).unwrap_or(0),
    )?;
    if let Some(body) = form.body.as_deref() {
        change.comment(conn, body, Visibility::Internal)?;
    }
    let request = change.commit(conn, EventKind::RequestEscalated, &[Reader::Notify])?;
    line::store::save_way(conn, &row)?;
    Ok(request)
}

/// How far a request has come on its ladder; what stands in no line begins at the foot of its queue's.
fn way(conn: &mut Connection, request: &Request, now: Moment) -> Result<Waiting, Problem> {
    match line::store::find(conn, request.tenant_id, request.id)? {
        Some(row) => Ok(row),
        None => line::beginning(conn, request, now),
    }
}
