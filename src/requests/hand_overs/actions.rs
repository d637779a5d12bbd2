//! The verbs of hand-overs: leave last words, take note. Both are for who is on duty in the queue.

use serde_json::json;

use super::{HandOver, LastWord, NewLastWords, Said, store};
use crate::db::{Connection, HandOverId, Id, Moment, PROVIDER, QueueId};
use crate::identity::{Caller, Right};
use crate::journal::{self, Event, EventKind, SubjectKind};
use crate::problem::{Code, Problem};
use crate::queues;

/// Leaves words for the next team; it is told them when it comes.
pub fn leave_words(
    conn: &mut Connection,
    caller: &Caller,
    queue: QueueId,
    form: &NewLastWords,
) -> Result<Said, Problem> {
    let now = on_duty(conn, caller, queue)?;
    let word = LastWord {
        id: Id::at(now),
        queue_id: queue,
        author_id: caller.person(),
        author_name: caller.actor().name,
        body: form.body.clone(),
        at: now,
    };
    store::say(conn, &word)?;
    tell(
        conn,
        caller,
        queue,
        (EventKind::LastWordsLeft, json!({"to": {"body": word.body}})),
        now,
    )?;
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
    queue: QueueId,
    id: HandOverId,
) -> Result<HandOver, Problem> {
    let missing = || Problem::not_found("hand-over");
    store::find(conn, queue, id)?.ok_or_else(missing)?;
    let now = on_duty(conn, caller, queue)?;
    let name = caller.actor().name;
    if store::acknowledge(conn, id, (caller.person(), &name), now)? {
        let data = json!({"hand_over_id": id});
        tell(conn, caller, queue, (EventKind::HandOverAcknowledged, data), now)?;
    }
    store::find(conn, queue, id)?.ok_or_else(missing)
}

/// Now, when the caller is on duty in a queue; else refuses.
fn on_duty(conn: &mut Connection, caller: &Caller, queue: QueueId) -> Result<Moment, Problem> {
    let found = queues::store::find(conn, queue)?;
    caller.require(Right::HandOver)?;
    found.ok_or_else(|| Problem::not_found("queue"))?;
    let now = caller.now();
    if queues::store::is_on_duty(conn, queue, caller.person(), now)? {
        return Ok(now);
    }
    Err(Problem::new(
        Code::NotOnDuty,
        "no shift of yours in this queue runs now",
    ))
}

fn tell(
    conn: &mut Connection,
    caller: &Caller,
    queue: QueueId,
    (kind, data): (EventKind, serde_json::Value),
    now: Moment,
) -> Result<(), Problem> {
    let subject = (SubjectKind::Queue, queue);
    let event = Event::next(kind, subject, PROVIDER, (&caller.actor(), now), data);
    journal::append(conn, event, &[])
}
