//! Warnings and breaches, made when their instants have come: once for each clock and cycle, in the order of the
//! instants, also when they come late.
//!
//! One process makes marks at a time, so that the order holds among several. A mark is an event of its request, and a
//! row that is written with it: whoever dies in between has made neither. Nothing else follows from it, for the request
//! stays as it is; so what many marks have in common is read and written in one go.

use std::collections::{BTreeSet, HashMap};

use serde_json::json;

use super::changes::Changes;
use super::clocks::Cycle;
use super::store::{self, Place};
use crate::db::{Connection, Moment, RequestId, lock};
use crate::journal::{self, Actor, Event, EventKind, Reader};
use crate::mail::Step;
use crate::problem::Problem;
use crate::requests::actions::change;
use crate::requests::line;
use crate::requests::model::Request;
use crate::requests::store as requests;
use crate::sla::{self, Book, Share};

/// Marks of one transaction.
const CHUNK: i64 = 100;

/// Makes the marks whose instants have come. What time it is, is asked when nobody else makes any: else those of another
/// process could come between in history.
pub fn mark(conn: &mut Connection, now: impl Fn() -> Moment) -> Result<Step, Problem> {
    lock::exclusive(conn, super::alone())?;
    let now = now();
    let found = store::marks(conn, now, CHUNK)?;
    let is_all = i64::try_from(found.len()).unwrap_or(i64::MAX) < CHUNK;
    // What comes after the last one that was read is for the next time: there may be others before it.
    let horizon = match found.last() {
        Some((last, _)) if !is_all => *last,
        Some(_) => now,
        None => return Ok(Step::Idle),
    };
    let mut waiting: BTreeSet<(Moment, Place)> = found.into_iter().collect();
    let mut marking = Marking::begin(conn, &waiting, now)?;
    while let Some((_, place)) = waiting.pop_first() {
        match marking.mark(conn, place)? {
            Marked::Done(next) => waiting.extend(next.filter(|at| *at <= horizon).map(|at| (at, place))),
            // All that come later wait for it, so that they stay in order.
            Marked::Busy => break,
        }
    }
    journal::record_all(conn, &marking.events, &[Reader::Notify])?;
    Ok(Step::Worked)
}

/// What became of a mark.
enum Marked {
    /// It was made, or is no longer to be made; when the next one of its clock is.
    Done(Option<Moment>),
    /// Somebody else changes the request just now.
    Busy,
}

/// Marks being made, with what they have in common.
struct Marking {
    now: Moment,
    terms: i32,
    requests: HashMap<RequestId, Request>,
    book: Book,
    events: Vec<Event>,
}

impl Marking {
    fn begin(conn: &mut Connection, found: &BTreeSet<(Moment, Place)>, now: Moment) -> Result<Self, Problem> {
        let ids: BTreeSet<RequestId> = found.iter().map(|(_, (_, request, ..))| *request).collect();
        let requests = requests::all_of(conn, &Vec::from_iter(ids))?.into_iter();
        Ok(Self {
            now,
            terms: sla::store::terms(conn)?,
            requests: requests.map(|request| (request.id, request)).collect(),
            book: Book::default(),
            events: Vec::new(),
        })
    }

    fn mark(&mut self, conn: &mut Connection, place: Place) -> Result<Marked, Problem> {
        let Some(before) = store::cycle(conn, place)? else {
            return Ok(Marked::Done(None));
        };
        let mut after = before.clone();
        let has_followed = self.follow(conn, &mut after)?;
        let Some((share, at)) = after.next_mark().filter(|(_, at)| *at <= self.now) else {
            store::save(conn, Some(&before), &mut after)?;
            self.stand_anew(conn, place, has_followed)?;
            return Ok(Marked::Done(None));
        };
        after.mark(&self.book);
        let Some(request) = self.requests.get_mut(&place.1) else {
            return Ok(Marked::Done(None));
        };
        if !requests::count(conn, request)? {
            return Ok(Marked::Busy);
        }
        request.revision += 1;
        store::save(conn, Some(&before), &mut after)?;
        let event = event(request, share, self.now, data(&after, at));
        self.events.push(event);
        self.stand_anew(conn, place, has_followed)?;
        Ok(Marked::Done(after.row.next_at))
    }

    /// What stands in a line by a deadline that has changed stands by the new one.
    fn stand_anew(&self, conn: &mut Connection, place: Place, has_changed: bool) -> Result<(), Problem> {
        if !has_changed {
            return Ok(());
        }
        let whose = (place.0, place.1);
        let due = store::due(conn, whose.0, whose.1)?;
        line::stand_by(conn, whose, due)
    }

    /// Lets an open cycle follow what has changed; whether anything had.
    fn follow(&mut self, conn: &mut Connection, cycle: &mut Cycle) -> Result<bool, Problem> {
        let is_stale = cycle.row.stopped_at.is_none() && cycle.row.terms < self.terms;
        if is_stale {
            Changes::after(conn, cycle.row.terms)?.renew(cycle);
        }
        store::enter(conn, &mut self.book, &cycle.ledger)?;
        if is_stale {
            cycle.refresh(&self.book);
        }
        Ok(is_stale)
    }
}

fn event(request: &Request, share: Share, now: Moment, data: serde_json::Value) -> Event {
    let kind = match share {
        Share::Warning => EventKind::SlaWarned,
        Share::Breach => EventKind::SlaBreached,
    };
    change::event(request, kind, &Actor::system(), now, data).internal()
}

fn data(cycle: &Cycle, at: Moment) -> serde_json::Value {
    json!({
        "clock": cycle.row.clock, "cycle": cycle.row.cycle, "target_minutes": cycle.row.target_minutes,
        "due_at": cycle.row.due_at, "reached_at": at,
    })
}
