//! Takes requests that nobody answers to where they go: a bounded piece of it at a time.

use diesel::prelude::*;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::board::Board;
use super::next::{Answer, Next};
use super::store::Group;
use super::{Waiting, needs_of, never, store};
use crate::db::schema::service_requests;
use crate::db::{Connection, Json, Moment, QueueId};
use crate::journal::{Actor, EventKind, Reader};
use crate::problem::Problem;
use crate::queues::routing::Needs;
use crate::requests::actions::change::{save, tell};
use crate::requests::lifecycle::Status;
use crate::requests::store as requests;

/// Requests of one transaction.
const CHUNK: usize = 100;

/// Whether anything has to be taken anywhere.
pub fn any(conn: &mut Connection, board: &mut Board) -> Result<bool, Problem> {
    Ok(!plan(conn, board, 1)?.is_empty())
}

/// Takes requests where they go; how many.
pub fn step(conn: &mut Connection, now: Moment) -> Result<usize, Problem> {
    let mut board = Board::held(conn, now)?;
    let moves = plan(conn, &mut board, CHUNK)?;
    let count = moves.len();
    for (row, next) in moves {
        carry_out(conn, &board, row, next)?;
    }
    Ok(count)
}

/// What has to be done with the requests whose step is due, and with those that nobody who is there can answer.
fn plan(conn: &mut Connection, board: &mut Board, most: usize) -> Result<Vec<(Waiting, Next)>, Problem> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let mut moves = Vec::new();
    for row in store::due(conn, board.now(), limit)? {
        let next = board.next(conn, &row, false)?;
        moves.push((row, next));
    }
    if !moves.is_empty() {
        return Ok(moves);
    }
    for (group, answer) in groups(conn, board)? {
        if answer == Answer::Fitting {
            continue;
        }
        for row in store::of_group(conn, &group, limit)? {
            match board.next(conn, &row, false)? {
                Next::Stay(_) | Next::Stranded => {}
                next => moves.push((row, next)),
            }
        }
        if moves.len() >= most {
            break;
        }
    }
    moves.truncate(most);
    Ok(moves)
}

/// Every group that waits, and who would answer it.
fn groups(conn: &mut Connection, board: &mut Board) -> Result<Vec<(Group, Answer)>, Problem> {
    let mut all = Vec::new();
    for queue in board.queues() {
        for group in store::groups(conn, queue)? {
            let answer = board.answer(conn, queue, &needs_of(&group.needs)?)?;
            all.push((group, answer));
        }
    }
    Ok(all)
}

fn carry_out(conn: &mut Connection, board: &Board, mut row: Waiting, next: Next) -> Result<(), Problem> {
    match next {
        Next::Stay(due) => row.next_step_at = due.unwrap_or_else(never),
        Next::Stranded => row.next_step_at = never(),
        Next::TellLead { taken } => {
            took(board, &mut row, taken)?;
            let why = json!({"internal": {"tells": "lead", "why": "unanswered"}});
            change(conn, board, &row, EventKind::RequestEscalated, why, None)?;
        }
        Next::Move { to, taken, why } => {
            took(board, &mut row, taken)?;
            let why = json!({"internal": {
                "why": why.as_str(), "from_queue": row.queue_id, "to_queue": to, "step": taken,
            }});
            change(
                conn,
                board,
                &row,
                EventKind::RequestTransferred,
                why,
                Some((to, false)),
            )?;
        }
        Next::DropNeeds { to } => {
            let needs = needs_of(&row.needs)?;
            let why = json!({"internal": {
                "why": "nobody-on-duty-fits", "from_queue": row.queue_id, "to_queue": to, "dropped": needs,
            }});
            change(
                conn,
                board,
                &row,
                EventKind::RequestTransferred,
                why,
                Some((to, true)),
            )?;
        }
    }
    store::save_way(conn, &row)
}

fn took(board: &Board, row: &mut Waiting, taken: usize) -> Result<(), Problem> {
    row.steps = i16::try_from(taken).unwrap_or(i16::MAX);
    row.next_step_at = board.due(row.home_queue_id, row.home_since, taken)?;
    Ok(())
}

/// Changes the request of a row: its line, and whether its needs are dropped.
fn change(
    conn: &mut Connection,
    board: &Board,
    row: &Waiting,
    kind: EventKind,
    data: serde_json::Value,
    to: Option<(QueueId, bool)>,
) -> Result<(), Problem> {
    let before = requests::find(conn, row.tenant_id, row.request_id)?
        .filter(|request| request.status == Status::Queued && request.queue_id == row.queue_id)
        .ok_or_else(Problem::lost_race)?;
    let mut after = before.clone();
    if let Some((queue, drops)) = to {
        after.queue_id = queue;
        if drops {
            after.needs = Json::of(Needs::default());
        }
    }
    let event = save(
        conn,
        &before,
        &mut after,
        kind,
        &Actor::system(),
        board.now(),
        data,
    )?;
    let (event, readers): (_, &[Reader]) = match kind {
        EventKind::RequestEscalated => (event.internal(), &[Reader::Notify]),
        _ => (event, &[]),
    };
    tell(conn, Some(&before), &after, &event, readers)
}

/// Open requests that nobody on duty could answer, wherever they might go.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Stranded {
    /// The queue.
    pub queue_id: QueueId,
    /// Its name.
    pub queue: String,
    /// What they need.
    pub needs: Needs,
    /// How many.
    pub count: i64,
    /// Since when the oldest waits; null for those that somebody has.
    pub waiting_since: Option<Moment>,
}

/// The violations of what is promised: every open request has somebody on duty who can answer it in its queue, or a
/// step that leads to such a one. There are none while queues that are always on are staffed.
pub fn stranded(conn: &mut Connection, now: Moment) -> Result<Vec<Stranded>, Problem> {
    let mut board = Board::at(conn, now)?;
    let name =
        |board: &Board, id: QueueId| board.find(id).map(|queue| queue.name.clone()).unwrap_or_default();
    let mut found = Vec::new();
    for (group, answer) in groups(conn, &mut board)? {
        let row = match answer {
            Answer::Fitting => None,
            _ => store::of_group(conn, &group, 1)?.pop(),
        };
        let Some(row) = row else { continue };
        if board.next(conn, &row, false)? == Next::Stranded {
            let (count, waiting_since) = store::count(conn, &group)?;
            found.push(Stranded {
                queue_id: group.queue_id,
                queue: name(&board, group.queue_id),
                needs: needs_of(&group.needs)?,
                count,
                waiting_since,
            });
        }
    }
    for (queue_id, count) in in_hands(conn)? {
        if board.reaches_nobody(conn, queue_id)? {
            found.push(Stranded {
                queue_id,
                queue: name(&board, queue_id),
                needs: Needs::default(),
                count,
                waiting_since: None,
            });
        }
    }
    Ok(found)
}

/// How many open requests of each queue stand in no line.
fn in_hands(conn: &mut Connection) -> Result<Vec<(QueueId, i64)>, Problem> {
    let statuses = [Status::InProgress, Status::PendingCustomer, Status::OnHold];
    Ok(service_requests::table
        .filter(service_requests::status.eq_any(statuses))
        .group_by(service_requests::queue_id)
        .order(service_requests::queue_id)
        .select((service_requests::queue_id, diesel::dsl::count_star()))
        .load(conn)?)
}
