//! The clocks follow every change of their request, in its transaction.

use super::changes::Changes;
use super::clocks::{Clocks, Opening};
use super::moves::{Move, Standing, moves};
use super::store;
use crate::db::Connection;
use crate::identity::{self, Plan};
use crate::journal::{Event, Side};
use crate::problem::Problem;
use crate::requests::model::Request;
use crate::sla::{self, Book, Clock};

fn standing(request: &Request) -> Standing {
    Standing {
        status: request.status,
        severity: request.severity,
    }
}

/// The side whose public comment came with an event.
fn said(event: &Event) -> Option<Side> {
    let has_comment = event.data.0.get("comment_id").is_some();
    (has_comment && !event.internal).then_some(event.actor_side)
}

/// Lets the clocks of a request follow what happened to it; whether any changed.
pub fn follow(
    conn: &mut Connection,
    before: Option<&Request>,
    after: &Request,
    event: &Event,
) -> Result<bool, Problem> {
    let moves = moves(
        before.map(standing),
        standing(after),
        said(event),
        event.actor_side,
    );
    if moves.is_empty() {
        return Ok(false);
    }
    // Before anything is promised there is nothing to measure.
    let Some(set) = sla::store::policies(conn)? else {
        return Ok(false);
    };
    let whose = (after.tenant_id, after.id);
    let mut clocks = match moves.as_slice() {
        [Move::Filed] => Clocks::default(),
        _ => store::clocks(conn, whose)?,
    };
    let before = clocks.open.clone();
    let mut book = Book::default();
    let terms = sla::store::terms(conn)?;
    let followed = clocks.open.iter().map(|cycle| cycle.row.terms).min();
    if let Some(followed) = followed.filter(|followed| *followed < terms) {
        let changes = Changes::after(conn, followed)?;
        for cycle in &mut clocks.open {
            changes.renew(cycle);
        }
    }
    let promises = sla::store::promises(conn, set, terms)?;
    let opening = Opening {
        whose,
        plan: plan(conn, after, &moves)?,
        queue_id: after.queue_id,
        terms,
    };
    let under = |plan: Plan, clock: Clock| promises.terms(plan, after.severity, clock);
    for what in moves {
        clocks.apply(what, event.at, &opening, &under);
    }
    for cycle in &mut clocks.open {
        store::enter(conn, &mut book, &cycle.ledger)?;
        cycle.refresh(&book);
        let key = |other: &&super::clocks::Cycle| {
            (other.row.clock, other.row.cycle) == (cycle.row.clock, cycle.row.cycle)
        };
        let loaded = before.iter().find(key);
        store::save(conn, loaded, cycle)?;
    }
    Ok(!clocks.open.is_empty())
}

/// The plan of the tenant, where a clock may begin; an open one keeps the plan that it began with.
fn plan(conn: &mut Connection, request: &Request, moves: &[Move]) -> Result<Plan, Problem> {
    let begins = |what: &Move| matches!(what, Move::Filed | Move::Asked | Move::Reopened { .. });
    if !moves.iter().any(begins) {
        return Ok(Plan::default());
    }
    let tenant = identity::store::tenant(conn, request.tenant_id)?;
    Ok(tenant.map(|tenant| tenant.plan).unwrap_or_default())
}
