//! Warnings and breaches, made when their instants have come: once for each clock and cycle, in the order of the
//! instants, also when they come late.
//!
//! One process makes marks at a time, so that the order holds among several. A mark is an event of its request, and a
//! row that is written with it: whoever dies in between has made neither.

use std::collections::BTreeSet;

use serde_json::json;

use super::clocks::Cycle;
use super::retarget;
use super::store::{self, Place};
use crate::db::{Connection, Moment, lock};
use crate::journal::{Actor, EventKind, Reader};
use crate::mail::Step;
use crate::problem::Problem;
use crate::requests::actions::change;
use crate::requests::store as requests;
use crate::sla::{Book, Share};

/// Marks of one transaction.
const CHUNK: i64 = 100;

/// Makes the marks whose instants have come.
pub fn mark(conn: &mut Connection, now: Moment) -> Result<Step, Problem> {
    lock::exclusive(conn, lock::Key::named("marks of clocks"))?;
    let found = store::marks(conn, now, CHUNK)?;
    let is_all = i64::try_from(found.len()).unwrap_or(i64::MAX) < CHUNK;
    // What comes after the last one that was read is for the next time: there may be others before it.
    let horizon = match found.last() {
        Some((last, _)) if !is_all => *last,
        Some(_) => now,
        None => return Ok(Step::Idle),
    };
    let mut waiting: BTreeSet<(Moment, Place)> = found.into_iter().collect();
    let mut book = Book::default();
    while let Some((_, place)) = waiting.pop_first() {
        match mark_one(conn, &mut book, place, now)? {
            Marked::Done(next) => waiting.extend(next.filter(|at| *at <= horizon).map(|at| (at, place))),
            // All that come later wait for it, so that they stay in order.
            Marked::Busy => break,
        }
    }
    Ok(Step::Worked)
}

/// What became of a mark.
enum Marked {
    /// It was made, or is no longer to be made; when the next one of its clock is.
    Done(Option<Moment>),
    /// Somebody else changes the request just now.
    Busy,
}

fn mark_one(
    conn: &mut Connection,
    book: &mut Book,
    (tenant, request, clock, cycle): Place,
    now: Moment,
) -> Result<Marked, Problem> {
    let Some(request) = requests::find(conn, tenant, request)? else {
        return Ok(Marked::Done(None));
    };
    let found = store::cycles(conn, (tenant, request.id))?.into_iter();
    let Some(before) = found
        .into_iter()
        .find(|found| (found.row.clock, found.row.cycle) == (clock, cycle))
    else {
        return Ok(Marked::Done(None));
    };
    let mut after = before.clone();
    if after.row.stopped_at.is_none() {
        retarget::catch_up(conn, &mut after)?;
        store::enter(conn, book, &after.ledger)?;
        after.refresh(book);
    } else {
        store::enter(conn, book, &after.ledger)?;
    }
    let Some((share, at)) = after.next_mark().filter(|(_, at)| *at <= now) else {
        store::save(conn, Some(&before), &mut after)?;
        return Ok(Marked::Done(None));
    };
    after.mark(book);
    let mut counted = request.clone();
    counted.revision += 1;
    if !requests::count(conn, &request)? {
        return Ok(Marked::Busy);
    }
    store::save(conn, Some(&before), &mut after)?;
    let kind = match share {
        Share::Warning => EventKind::SlaWarned,
        Share::Breach => EventKind::SlaBreached,
    };
    let event = change::event(&counted, kind, &Actor::system(), now, data(&after, at)).internal();
    change::tell(conn, Some(&request), &counted, &event, &[Reader::Notify])?;
    Ok(Marked::Done(after.row.next_at))
}

fn data(cycle: &Cycle, at: Moment) -> serde_json::Value {
    json!({
        "clock": cycle.row.clock, "cycle": cycle.row.cycle, "target_minutes": cycle.row.target_minutes,
        "due_at": cycle.row.due_at, "reached_at": at,
    })
}
