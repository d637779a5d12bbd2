//! Warnings and breaches, made when their instants have come: once for each clock and cycle, in the order of the
//! instants, also when they come late.
//!
//! One process makes marks at a time, so that the order holds among several. A mark is an event of its request, and a
//! row that is written with it: whoever dies in between has made neither. Nothing else follows from it, for the request
//! stays as it is; so what many marks have in common is read and written in one go.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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
        let next = marking.mark(conn, place)?;
        waiting.extend(next.filter(|at| *at <= horizon).map(|at| (at, place)));
    }
    marking.save(conn)?;
    Ok(Step::Worked)
}

/// Marks being made, with what they have in common.
struct Marking {
    now: Moment,
    changes: Changes,
    cycles: HashMap<Place, Looked>,
    book: Book,
    /// In order.
    made: Vec<Made>,
}

/// A cycle that was looked at.
struct Looked {
    before: Cycle,
    after: Cycle,
}

/// A mark.
struct Made {
    request: RequestId,
    share: Share,
    data: serde_json::Value,
}

impl Marking {
    fn begin(conn: &mut Connection, found: &BTreeSet<(Moment, Place)>, now: Moment) -> Result<Self, Problem> {
        let places: Vec<Place> = found.iter().map(|(_, place)| *place).collect();
        let looked = |(place, before): (Place, Cycle)| {
            let after = before.clone();
            (place, Looked { before, after })
        };
        let newest = sla::store::terms(conn)?;
        let cycles: HashMap<Place, Looked> =
            store::cycles_at(conn, &places)?.into_iter().map(looked).collect();
        let followed = cycles.values().map(|looked| &looked.before.row);
        let oldest = followed
            .filter(|row| row.stopped_at.is_none())
            .map(|row| row.terms)
            .min();
        Ok(Self {
            now,
            changes: Changes::after(conn, oldest.unwrap_or(newest))?,
            cycles,
            book: Book::default(),
            made: Vec::new(),
        })
    }

    /// Makes the next mark of a cycle, if it is still to be made; when the one after it is.
    fn mark(&mut self, conn: &mut Connection, place: Place) -> Result<Option<Moment>, Problem> {
        let Some(Looked { after, .. }) = self.cycles.get_mut(&place) else {
            return Ok(None);
        };
        store::enter(conn, &mut self.book, &after.ledger)?;
        if after.row.stopped_at.is_none() && self.changes.renew(after) {
            store::enter(conn, &mut self.book, &after.ledger)?;
            after.refresh(&self.book);
        }
        let Some((share, at)) = after.next_mark().filter(|(_, at)| *at <= self.now) else {
            return Ok(None);
        };
        after.mark(&self.book);
        self.made.push(Made {
            request: place.1,
            share,
            data: data(after, at),
        });
        Ok(after.row.next_at)
    }

    /// Saves the cycles, and tells of the marks. Whoever changed a cycle meanwhile was first: all is decided anew.
    fn save(self, conn: &mut Connection) -> Result<(), Problem> {
        let mut requests = hold(conn, &self.made)?;
        let is_renewed = |looked: &&Looked| looked.before.row.terms != looked.after.row.terms;
        let renewed = self.cycles.values().filter(is_renewed);
        let renewed: BTreeSet<_> = renewed.map(|looked| looked.after.whose()).collect();
        let pairs = self
            .cycles
            .into_values()
            .map(|looked| (looked.before, looked.after));
        store::save_all(conn, pairs.collect())?;
        // What stands in a line by a deadline that has changed stands by the new one.
        for whose in line::waiting(conn, &Vec::from_iter(renewed))? {
            let due = store::due(conn, whose.0, whose.1)?;
            line::stand_by(conn, whose, due)?;
        }
        let mut events = Vec::new();
        for made in self.made {
            let request = requests.get_mut(&made.request).ok_or_else(Problem::lost_race)?;
            request.revision += 1;
            events.push(event(request, made.share, self.now, made.data));
        }
        journal::record_all(conn, &events, &[Reader::Notify])
    }
}

/// Counts the marks in their requests, which nobody else changes from then on; the requests, as if none were counted.
fn hold(conn: &mut Connection, made: &[Made]) -> Result<HashMap<RequestId, Request>, Problem> {
    let mut counts: BTreeMap<RequestId, i32> = BTreeMap::new();
    for made in made {
        *counts.entry(made.request).or_default() += 1;
    }
    let mut alike: BTreeMap<i32, Vec<RequestId>> = BTreeMap::new();
    for (request, count) in &counts {
        alike.entry(*count).or_default().push(*request);
    }
    for (count, requests) in &alike {
        requests::count(conn, requests, *count)?;
    }
    let mut found = HashMap::new();
    for mut request in requests::all_of(conn, &Vec::from_iter(counts.keys().copied()))? {
        request.revision -= counts.get(&request.id).copied().unwrap_or_default();
        found.insert(request.id, request);
    }
    Ok(found)
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
