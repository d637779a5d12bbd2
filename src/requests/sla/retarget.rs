//! Open clocks follow policies and calendars that have changed.
//!
//! Driven by state: a clock knows up to which change it has followed. Whatever else changes a clock lets it follow
//! first, so it makes no difference when this is done. What has ended is left alone.

use super::changes::Changes;
use super::clocks::{ClockState, Cycle};
use super::store;
use crate::db::{Connection, lock};
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
    let mut whose: Vec<_> = stale.into_iter().map(|(whose, _)| whose).collect();
    whose.sort_unstable();
    whose.dedup();
    let mut book = Book::default();
    for whose in whose {
        let mut open = store::clocks(conn, whose)?.open;
        for after in &mut open {
            let before = after.clone();
            changes.renew(after);
            store::enter(conn, &mut book, &after.ledger)?;
            after.refresh(&book);
            store::save(conn, Some(&before), after)?;
        }
        // What stands in a line stands there by its deadline.
        let is_running = |cycle: &&Cycle| cycle.row.state == ClockState::Running;
        let due = open
            .iter()
            .filter(is_running)
            .filter_map(|cycle| cycle.row.due_at);
        line::stand_by(conn, whose, due.min())?;
    }
    Ok(Step::Worked)
}
