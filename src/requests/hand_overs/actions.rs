//! The verbs of hand-overs: leave last words, take note. Both are for who is on duty in the queue.

use serde_json::json;

use super::{HandOver, LastWord, NewLastWords, Said, store};
use crate::db::{Connection, HandOverId, Id, Moment, QueueId};
use crate::identity::{Caller, Right};
use crate::journal::EventKind;
use crate::problem::Problem;
use crate::queues::actions::record;
use crate::queues::{self, Queue};
use crate::requests::actions::hands;

/// Leaves words for the next team; it is told them when it comes.
pub fn leave_words(
    conn: &mut Connection,
    caller: &Caller,
    id: QueueId,
    form: &NewLastWords,
) -> Result<Said, Problem> {
    let (queue, now) = on_duty(conn, caller, id)?;
    let word = LastWord {
        id: Id::at(now),
        queue_id: queue.id,
        author_id: caller.person(),
        author_name: caller.actor().name,
        body: form.body.clone(),
        at: now,
    };
    store::say(conn, &word)?;
    let data = json!({"to": {"body": word.body}});
    record(conn, caller, &queue, (EventKind::LastWordsLeft, data), now)?;
    Ok(Said {
        author: word.author_name,
        body: word.body,
        at: now,
    })
}

/// Takes note of a hand-over. Who was first stays so.
pub fn acknowledge(
    conn: &mut Connection,
    caller: &Caller,
    of: QueueId,
    id: HandOverId,
) -> Result<HandOver, Problem> {
    let missing = || Problem::not_found("hand-over");
    store::find(conn, of, id)?.ok_or_else(missing)?;
    let (queue, now) = on_duty(conn, caller, of)?;
    let name = caller.actor().name;
    if store::acknowledge(conn, id, (caller.person(), &name), now)? {
        let data = json!({"hand_over_id": id});
        record(conn, caller, &queue, (EventKind::HandOverAcknowledged, data), now)?;
    }
    store::find(conn, of, id)?.ok_or_else(missing)
}

/// The queue and now, when the caller is on duty in it; else refuses.
fn on_duty(conn: &mut Connection, caller: &Caller, id: QueueId) -> Result<(Queue, Moment), Problem> {
    let found = queues::store::find(conn, id)?;
    caller.require(Right::HandOver)?;
    let queue = found.ok_or_else(|| Problem::not_found("queue"))?;
    let now = caller.now();
    hands::require_duty(conn, id, caller.person(), now)?;
    Ok((queue, now))
}
