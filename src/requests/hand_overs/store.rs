//! Queries over hand-overs, last words, and until when teams were looked at.

use diesel::prelude::*;

use super::{DueSoon, HandOver, LastWord};
use crate::db::schema::{
    hand_overs, last_words, queue_watches, service_requests, sla_clocks, waiting_requests,
};
use crate::db::{Connection, HandOverId, Moment, PersonId, QueueId, RequestId};
use crate::problem::Problem;
use crate::requests::line::Standing;
use crate::sla::Clock;

/// How many deadlines a hand-over names.
const NAMED: i64 = 20;

/// Adds a hand-over.
pub fn create(conn: &mut Connection, row: &HandOver) -> Result<(), Problem> {
    diesel::insert_into(hand_overs::table).values(row).execute(conn)?;
    Ok(())
}

/// A hand-over of a queue.
pub fn find(conn: &mut Connection, queue: QueueId, id: HandOverId) -> Result<Option<HandOver>, Problem> {
    Ok(hand_overs::table
        .find(id)
        .filter(hand_overs::queue_id.eq(queue))
        .select(HandOver::as_select())
        .first(conn)
        .optional()?)
}

/// The hand-overs of a queue before `before`, the newest first.
pub fn list(
    conn: &mut Connection,
    queue: QueueId,
    before: Option<HandOverId>,
    limit: i64,
) -> Result<Vec<HandOver>, Problem> {
    let mut query = hand_overs::table
        .filter(hand_overs::queue_id.eq(queue))
        .order(hand_overs::id.desc())
        .limit(limit)
        .select(HandOver::as_select())
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(hand_overs::id.lt(before));
    }
    Ok(query.load(conn)?)
}

/// Writes down who took note of a hand-over; `false` when somebody had.
pub fn acknowledge(
    conn: &mut Connection,
    id: HandOverId,
    (person, name): (PersonId, &str),
    now: Moment,
) -> Result<bool, Problem> {
    let open = hand_overs::table
        .filter(hand_overs::id.eq(id))
        .filter(hand_overs::acknowledged_at.is_null());
    let by = (
        hand_overs::acknowledged_by.eq(person),
        hand_overs::acknowledged_name.eq(name),
        hand_overs::acknowledged_at.eq(now),
    );
    Ok(diesel::update(open).set(by).execute(conn)? == 1)
}

/// Keeps something until the next team is told.
pub fn say(conn: &mut Connection, word: &LastWord) -> Result<(), Problem> {
    diesel::insert_into(last_words::table)
        .values(word)
        .execute(conn)?;
    Ok(())
}

/// Takes what was said in a queue, in order.
pub fn take_words(conn: &mut Connection, queue: QueueId) -> Result<Vec<LastWord>, Problem> {
    let words = last_words::table
        .filter(last_words::queue_id.eq(queue))
        .order(last_words::id)
        .select(LastWord::as_select())
        .load(conn)?;
    diesel::delete(last_words::table.filter(last_words::queue_id.eq(queue))).execute(conn)?;
    Ok(words)
}

/// Until when the changes of each team have been looked at.
pub fn watches(conn: &mut Connection) -> Result<Vec<(QueueId, Moment)>, Problem> {
    Ok(queue_watches::table
        .select((queue_watches::queue_id, queue_watches::seen_until))
        .load(conn)?)
}

/// Until when the changes of a team have been looked at, if they ever were.
pub fn seen_until(conn: &mut Connection, queue: QueueId) -> Result<Option<Moment>, Problem> {
    Ok(queue_watches::table
        .find(queue)
        .select(queue_watches::seen_until)
        .first(conn)
        .optional()?)
}

/// Says that the changes of a team have been looked at.
pub fn save_seen(conn: &mut Connection, queue: QueueId, known: bool, until: Moment) -> Result<(), Problem> {
    if known {
        diesel::update(queue_watches::table.find(queue))
            .set(queue_watches::seen_until.eq(until))
            .execute(conn)?;
    } else {
        let row = (
            queue_watches::queue_id.eq(queue),
            queue_watches::seen_until.eq(until),
        );
        diesel::insert_into(queue_watches::table)
            .values(row)
            .execute(conn)?;
    }
    Ok(())
}

/// How many requests of a queue are open, and how many wait that were handed over.
pub fn counts(conn: &mut Connection, queue: QueueId) -> Result<(i64, i64), Problem> {
    let open: i64 = service_requests::table
        .filter(service_requests::queue_id.eq(queue))
        .filter(service_requests::is_open.eq(true))
        .count()
        .get_result(conn)?;
    let handed_over: i64 = waiting_requests::table
        .filter(waiting_requests::queue_id.eq(queue))
        .filter(waiting_requests::standing.eq(Standing::HandedOver.rank()))
        .count()
        .get_result(conn)?;
    Ok((open, handed_over))
}

/// The deadlines of a queue from `from` to `until`: how many, and the first of them.
pub fn due_soon(
    conn: &mut Connection,
    queue: QueueId,
    (from, until): (Moment, Moment),
) -> Result<(i64, Vec<DueSoon>), Problem> {
    macro_rules! soon {
        () => {
            sla_clocks::table
                .filter(sla_clocks::queue_id.eq(queue))
                .filter(sla_clocks::stopped_at.is_null())
                .filter(sla_clocks::due_at.gt(from))
                .filter(sla_clocks::due_at.le(until))
        };
    }
    let count: i64 = soon!().count().get_result(conn)?;
    let rows: Vec<(RequestId, String, Clock, Option<Moment>)> = soon!()
        .inner_join(
            service_requests::table.on(service_requests::tenant_id
                .eq(sla_clocks::tenant_id)
                .and(service_requests::id.eq(sla_clocks::request_id))),
        )
        .order((sla_clocks::due_at, sla_clocks::request_id))
        .limit(NAMED)
        .select((
            service_requests::id,
            service_requests::reference,
            sla_clocks::clock,
            sla_clocks::due_at,
        ))
        .load(conn)?;
    let named = rows.into_iter().filter_map(|(id, reference, clock, due_at)| {
        let due_at = due_at?;
        Some(DueSoon {
            id,
            reference,
            clock,
            due_at,
        })
    });
    Ok((count, named.collect()))
}
