//! Open clocks follow policies and calendars that have changed.
//!
//! Driven by state: a clock knows up to which change it has followed. Each change takes effect at its own instant, not
//! at that in which a clock follows it; whatever else changes a clock lets it follow first. So it makes no difference
//! when this is done. What has ended is left alone.

use super::clocks::Cycle;
use super::store;
use crate::db::Connection;
use crate::mail::Step;
use crate::problem::Problem;
use crate::requests::line;
use crate::requests::store as requests;
use crate::sla::store::Change;
use crate::sla::{self, Book, Onset, Terms};

/// Requests of one transaction.
const CHUNK: i64 = 100;

/// Lets the next clocks follow.
pub fn retarget(conn: &mut Connection) -> Result<Step, Problem> {
    let newest = sla::store::terms(conn)?;
    let mut whose = store::stale(conn, newest, CHUNK)?;
    whose.sort_unstable();
    whose.dedup();
    if whose.is_empty() {
        return Ok(Step::Idle);
    }
    let mut book = Book::default();
    for whose in whose {
        for before in store::clocks(conn, whose)?.open {
            let mut after = before.clone();
            catch_up(conn, &mut after)?;
            store::enter(conn, &mut book, &after.ledger)?;
            after.refresh(&book);
            store::save(conn, Some(&before), &mut after)?;
        }
        // What stands in a line stands there by its deadline.
        if let Some(request) = requests::find(conn, whose.0, whose.1)? {
            line::stand_anew(conn, &request)?;
        }
    }
    Ok(Step::Worked)
}

/// Lets a cycle follow every change that it has not followed yet; what its row repeats is to be refreshed.
pub fn catch_up(conn: &mut Connection, cycle: &mut Cycle) -> Result<(), Problem> {
    for change in sla::store::changes_after(conn, cycle.row.terms)? {
        cycle.row.terms = change.terms();
        match change {
            Change::Policies(set) => {
                let (at, terms) = (set.created_at, set.terms);
                let promises = sla::store::promises(conn, set, terms)?;
                let (plan, clock) = (cycle.row.plan, cycle.row.clock);
                let renew = |old: &Terms| promises.terms(plan, old.severity, clock);
                cycle.ledger.retarget(at, Onset::PolicyChanged, renew);
            }
            Change::Calendar(edition) => {
                let renew = |old: &Terms| match old.calendar_id == Some(edition.calendar_id) {
                    true => Terms {
                        calendar_version: edition.version,
                        ..old.clone()
                    },
                    false => old.clone(),
                };
                let at = edition.created_at;
                cycle.ledger.retarget(at, Onset::CalendarChanged, renew);
            }
        }
    }
    Ok(())
}
