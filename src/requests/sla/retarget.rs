//! Open clocks follow policies and calendars that have changed.
//!
//! Driven by state: a clock knows up to which change it has followed. Whatever else changes a clock lets it follow
//! first, so it makes no difference when this is done. What has ended is left alone.

use std::collections::{BTreeSet, HashMap};

use super::changes::Changes;
use super::clocks::ClockState;
use super::store;
use crate::db::{Connection, Moment, RequestId, TenantId, lock};
use crate::mail::Step;
use crate::problem::Problem;
use crate::requests::line;
use crate::sla::{self, Book};

/// Clocks of one transaction.
const CHUNK: i64 = 100;

/// Lets the next clocks follow. One process at a time does, and none of those that make marks.
pub fn retarget(conn: &mut Connection) -> Result<Step, Problem> {
    lock::exclusive(conn, super::alone())?;
    let newest = sla::store::terms(conn)?;
    let stale = store::stale(conn, newest, CHUNK)?;
    let Some(oldest) = stale.iter().map(|(_, terms)| *terms).min() else {
        return Ok(Step::Idle);
    };
    let changes = Changes::after(conn, oldest)?;
    let stale: BTreeSet<_> = stale.into_iter().map(|(whose, _)| whose).collect();
    let stale = Vec::from_iter(stale);
    let mut book = Book::default();
    let mut pairs = Vec::new();
    // The earliest deadline of each request whose clocks run.
    let mut due: HashMap<(TenantId, RequestId), Moment> = HashMap::new();
    for before in store::open_of(conn, &stale)? {
        let mut after = before.clone();
        changes.renew(&mut after);
        store::enter(conn, &mut book, &after.ledger)?;
        after.refresh(&book);
        let row = &after.row;
        if let (ClockState::Running, Some(at)) = (row.state, row.due_at) {
            due.entry(after.whose())
                .and_modify(|earliest| *earliest = at.min(*earliest))
                .or_insert(at);
        }
        pairs.push((before, after));
    }
    if pairs.is_empty() {
        return Err(store::hollow());
    }
    store::save_all(conn, pairs)?;
    // What stands in a line stands there by its deadline.
    for whose in line::waiting(conn, &stale)? {
        line::stand_by(conn, whose, due.get(&whose).copied())?;
    }
    Ok(Step::Worked)
}
