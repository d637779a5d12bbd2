//! Unsent mail that nobody is to get any more is withdrawn: its broadcast was cancelled, or a later event of the incident
//! stands for it.
//!
//! Driven by state: asked is what is pending of such a broadcast, whatever made it so. A message that was leased as the
//! later event came, and could not be handed over, is found when it is given back.

use diesel::dsl::exists;
use diesel::prelude::*;

use super::Step;
use super::carried::{self, Mail};
use super::due::Due;
use super::model::{BroadcastKind, BroadcastState, DeliveryState, Reason};
use super::superseding;
use crate::db::schema::{broadcasts, deliveries};
use crate::db::{Connection, EventId, IncidentId};
use crate::problem::Problem;

/// Rows of one transaction: what SQLite's writer does in a few milliseconds.
const CHUNK: i64 = 500;

/// A broadcast of which unsent mail is to be withdrawn, and why.
pub fn next(conn: &mut Connection) -> Result<Option<(EventId, Reason)>, Problem> {
    use BroadcastState::{Cancelled, Expanding, Pending, Sending};
    type Row = (EventId, IncidentId, BroadcastKind, i32, BroadcastState);
    let unsent = deliveries::table
        .filter(deliveries::event_id.eq(broadcasts::id))
        .filter(deliveries::state.eq(DeliveryState::Pending));
    let under_way: Vec<Row> = broadcasts::table
        .filter(broadcasts::state.eq_any([Pending, Expanding, Sending, Cancelled]))
        .filter(exists(unsent))
        .order(broadcasts::id)
        .select((
            broadcasts::id,
            broadcasts::incident_id,
            broadcasts::kind,
            broadcasts::seq,
            broadcasts::state,
        ))
        .load(conn)?;
    if let Some((id, ..)) = under_way.iter().find(|row| row.4 == Cancelled) {
        return Ok(Some((*id, Reason::Cancelled)));
    }
    let events: Vec<(IncidentId, i32, BroadcastKind)> = broadcasts::table
        .filter(broadcasts::incident_id.eq_any(under_way.iter().map(|row| row.1).collect::<Vec<_>>()))
        .filter(broadcasts::state.ne(Cancelled))
        .select((broadcasts::incident_id, broadcasts::seq, broadcasts::kind))
        .load(conn)?;
    let is_overtaken = |(_, of, earlier, seq, _): &&Row| {
        let mut later = events
            .iter()
            .filter(|(incident, at, _)| incident == of && at > seq);
        later.any(|(_, _, kind)| superseding::replaces(*kind, *earlier))
    };
    let found = under_way.iter().find(is_overtaken);
    Ok(found.map(|(id, ..)| (*id, Reason::Superseded)))
}

/// Withdraws the next of what is unsent of a broadcast. What has been leased meanwhile goes out.
pub fn step(conn: &mut Connection, broadcast: EventId, reason: Reason) -> Result<Step, Problem> {
    let rows: Vec<Due> = deliveries::table
        .filter(deliveries::event_id.eq(broadcast))
        .filter(deliveries::state.eq(DeliveryState::Pending))
        .limit(CHUNK)
        .select(Due::as_select())
        .load(conn)?;
    let unsent = deliveries::table
        .filter(deliveries::id.eq_any(rows.iter().map(|row| row.id)))
        .filter(deliveries::state.eq(DeliveryState::Pending));
    diesel::update(unsent)
        .set((
            deliveries::state.eq(DeliveryState::Suppressed),
            deliveries::reason.eq(Some(reason)),
        ))
        .execute(conn)?;
    carried::let_go(conn, &rows.iter().map(Mail::from).collect::<Vec<_>>())?;
    Ok(if rows.is_empty() { Step::Idle } else { Step::Worked })
}
