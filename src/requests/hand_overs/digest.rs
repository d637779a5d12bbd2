//! Notices that a team has changed, and writes down what the next one has to know: once for each change.
//!
//! How far the changes of a team were looked at is in the database, so that any number of processes may look. After a
//! pause only the last change is told of: whom the others concerned has gone home.

use std::collections::HashMap;

use chrono::TimeDelta;
use serde_json::json;

use super::{HandOver, Said, store};
use crate::db::{Connection, Id, Json, Moment, PROVIDER, PersonId, QueueId, lock};
use crate::identity;
use crate::journal::{self, Actor, Event, EventKind, Reader, SubjectKind};
use crate::problem::Problem;
use crate::queues::duty;
use crate::requests::line::board::Board;
use crate::requests::view::PersonView;

/// Deadlines that are less than this away are told of: what one shift has to do.
const SOON: TimeDelta = TimeDelta::hours(8);
/// Shifts begin and end on whole minutes: so often is looked.
const PACE: TimeDelta = TimeDelta::minutes(1);
/// Queues that one transaction looks at.
const CHUNK: usize = 20;

/// The queues whose teams have not been looked at in this minute.
pub fn unseen(conn: &mut Connection, board: &Board) -> Result<Vec<QueueId>, Problem> {
    let seen: HashMap<QueueId, Moment> = store::watches(conn)?.into_iter().collect();
    let minute = |at: Moment| at.utc().timestamp().div_euclid(PACE.num_seconds());
    let is_unseen = |queue: &QueueId| seen.get(queue).is_none_or(|at| minute(*at) < minute(board.now()));
    Ok(board.queues().into_iter().filter(is_unseen).take(CHUNK).collect())
}

/// Looks at these queues; how many hand-overs that made.
pub fn step(conn: &mut Connection, unseen: &[QueueId], now: Moment) -> Result<usize, Problem> {
    let mut made = 0;
    for queue in unseen.iter().copied() {
        lock::exclusive(conn, lock::Key::of(queue))?;
        let seen = store::seen_until(conn, queue)?;
        if seen.is_some_and(|seen| seen >= now) {
            continue;
        }
        if let Some(seen) = seen {
            made += usize::from(look(conn, queue, seen, now)?);
        }
        store::save_seen(conn, queue, seen.is_some(), now)?;
    }
    Ok(made)
}

fn look(conn: &mut Connection, queue: QueueId, seen: Moment, now: Moment) -> Result<bool, Problem> {
    let changes = duty::changes(conn, queue, seen, now)?;
    let Some(change) = changes.into_iter().rev().find(|change| !change.leaves.is_empty()) else {
        return Ok(false);
    };
    let team = duty::team(conn, queue, now)?;
    let (open, handed_over) = store::counts(conn, queue)?;
    let (due_soon_count, due_soon) = store::due_soon(conn, queue, (now, now.plus(SOON)))?;
    let words: Vec<Said> = store::take_words(conn, queue)?
        .into_iter()
        .map(|word| Said {
            author: word.author_name,
            body: word.body,
            at: word.at,
        })
        .collect();
    let row = HandOver {
        id: Id::at(now),
        queue_id: queue,
        at: change.at,
        leaves: Json::of(people(conn, &change.leaves)?),
        comes: Json::of(people(conn, &team)?),
        open_requests: number(open),
        handed_over: number(handed_over),
        due_soon_count: number(due_soon_count),
        due_soon: Json::of(&due_soon),
        last_words: Json::of(&words),
        acknowledged_by: None,
        acknowledged_name: None,
        acknowledged_at: None,
    };
    store::create(conn, &row)?;
    let data = json!({
        "hand_over_id": row.id, "at": row.at, "leaves": row.leaves, "comes": row.comes, "open_requests": open,
    });
    let subject = (SubjectKind::Queue, queue);
    let event = Event::next(
        EventKind::ShiftHandedOver,
        subject,
        PROVIDER,
        (&Actor::system(), now),
        data,
    );
    journal::append(conn, event, &[Reader::Notify])?;
    Ok(true)
}

fn people(conn: &mut Connection, ids: &[PersonId]) -> Result<Vec<PersonView>, Problem> {
    let names = identity::store::names(conn, ids)?;
    Ok(names
        .into_iter()
        .map(|(id, name, _)| PersonView { id, name })
        .collect())
}

fn number(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
