//! An incident that turns out to be another one goes on as that: its requests move there, and whoever was told of it
//! hears of that one's end.

use serde_json::json;

use super::{Change, Entry};
use crate::db::{Connection, IncidentId, lock};
use crate::identity::{Caller, Right};
use crate::incidents::duplicates;
use crate::incidents::lifecycle::{Call, Status};
use crate::incidents::model::{CascadeState, Incident, Merge, Requests};
use crate::incidents::store::{self, WithBroadcast};
use crate::journal::EventKind;
use crate::mail::BroadcastKind;
use crate::problem::{Code, Problem};

/// So many tenants that could not move are named.
const NAMED: i64 = 200;

/// Merges an incident into another; its requests move behind the call, unless they are kept.
///
/// A draft was told to nobody: it only ceases to be.
pub fn merge(
    conn: &mut Connection,
    caller: &Caller,
    id: IncidentId,
    form: &Merge,
) -> Result<WithBroadcast, Problem> {
    caller.require(Right::ManageIncidents)?;
    if form.of == id {
        return Err(Problem::invalid("/of", "must be another incident"));
    }
    // Two, in the order of their ids. The other one may be filed against meanwhile, and not end.
    if id < form.of {
        lock::exclusive(conn, lock::Key::of(id))?;
    }
    lock::shared(conn, lock::Key::of(form.of))?;
    let mut change = Change::begin(conn, caller, id)?;
    change.if_match_required()?;
    let was_public = change.before.is_active();
    change.transition(Status::Duplicate, Call::Duplicate)?;
    let of = active(conn, form.of)?;
    refuse_uncovered(conn, id, of.id)?;
    let incident = &mut change.incident;
    incident.duplicate_of = Some(of.id);
    incident.next_update_by = None;
    incident.cascade_state = match form.requests {
        Requests::Resolve if was_public => CascadeState::Running,
        Requests::Resolve | Requests::Keep => CascadeState::None,
    };
    change.note = Some(("duplicate_of", json!(of.id)));
    change.commit(
        conn,
        Some(Entry::of(form.body.clone())),
        EventKind::IncidentDuplicate,
        was_public.then_some(BroadcastKind::Duplicate),
    )
}

/// The other one: where it is no duplicate itself, and not over.
fn active(conn: &mut Connection, id: IncidentId) -> Result<Incident, Problem> {
    let found = store::find_public(conn, id)?;
    let found = found.ok_or_else(|| Problem::invalid("/of", "there is no such published incident"))?;
    if found.status.is_active() {
        return Ok(found);
    }
    let detail = format!("the incident `of` is {}", found.status);
    let problem = Problem::new(Code::IncidentNotActive, detail).with("incident_status", found.status);
    match duplicates::root(conn, &found)? {
        root if root.id == found.id => Err(problem),
        root => Err(problem.with("duplicate_of", root.id)),
    }
}

/// Nobody moves to an incident that does not affect them.
fn refuse_uncovered(conn: &mut Connection, id: IncidentId, of: IncidentId) -> Result<(), Problem> {
    let uncovered = duplicates::uncovered(conn, id, of, NAMED)?;
    if uncovered.is_empty() {
        return Ok(());
    }
    let detail = "tenants that have requests about it, or were told of it, are not affected by the other one";
    Err(Problem::new(Code::TenantsNotCovered, detail).with("tenants", uncovered))
}
