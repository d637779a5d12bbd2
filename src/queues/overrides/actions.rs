//! The verbs of overrides: enter, swap, remove. Each is proved as a whole.

use chrono::TimeDelta;
use serde_json::json;

use super::{NewOverride, NewSwap, OverrideView, RosterOverride, SwapView, SwappedTime, store};
use crate::db::{Connection, Id, Json, Moment, OverrideId, PersonId, QueueId, lock};
use crate::identity::{Caller, Right};
use crate::journal::EventKind;
use crate::problem::Problem;
use crate::queues::actions::record;
use crate::queues::model::Queue;
use crate::queues::{self, coverage, span};

/// Enters an override; refused for gaps that it adds.
pub fn enter(
    conn: &mut Connection,
    caller: &Caller,
    id: QueueId,
    form: &NewOverride,
) -> Result<OverrideView, Problem> {
    caller.require(Right::ManageQueues)?;
    span::check((form.from, form.to), "", caller.now())?;
    if form.add.is_none() && form.remove.is_none() {
        return Err(Problem::invalid("/add", "somebody to add or to remove is wanted"));
    }
    if form.add == form.remove {
        return Err(Problem::invalid("/remove", "is whom it adds"));
    }
    worker(conn, form.add, "/add")?;
    worker(conn, form.remove, "/remove")?;
    let queue = locked(conn, id)?;
    let now = caller.now();
    let row = row(
        (caller.person(), now),
        id,
        (form.from, form.to),
        (form.add, form.remove),
    );
    coverage::keeping(conn, std::slice::from_ref(&queue), now, |conn| {
        store::create(conn, &row)
    })?;
    let view = OverrideView::from(row);
    let data = json!({"name": queue.name, "to": Json::of(&view)});
    record(conn, caller, &queue, (EventKind::OverrideEntered, data), now)?;
    Ok(view)
}

/// Lets two people work for one another: two overrides at once.
pub fn swap(
    conn: &mut Connection,
    caller: &Caller,
    id: QueueId,
    form: &NewSwap,
) -> Result<SwapView, Problem> {
    caller.require(Right::ManageQueues)?;
    let NewSwap { first, second } = form;
    span::check((first.from, first.to), "/first", caller.now())?;
    span::check((second.from, second.to), "/second", caller.now())?;
    if first.person_id == second.person_id {
        return Err(Problem::invalid("/second/person_id", "is the first one"));
    }
    worker(conn, Some(first.person_id), "/first/person_id")?;
    worker(conn, Some(second.person_id), "/second/person_id")?;
    let queue = locked(conn, id)?;
    let now = caller.now();
    let half = |given: &SwappedTime, to: &SwappedTime, at: Moment| {
        let who = (Some(to.person_id), Some(given.person_id));
        let made = row((caller.person(), at), id, (given.from, given.to), who);
        RosterOverride {
            created_at: now,
            ..made
        }
    };
    // Ids in the order of the answer.
    let halves = [
        half(first, second, now),
        half(second, first, now.plus(TimeDelta::milliseconds(1))),
    ];
    coverage::keeping(conn, std::slice::from_ref(&queue), now, |conn| {
        halves.iter().try_for_each(|row| store::create(conn, row))
    })?;
    let view = SwapView {
        overrides: halves.into_iter().map(OverrideView::from).collect(),
    };
    let data = json!({"name": queue.name, "to": Json::of(&view)});
    record(conn, caller, &queue, (EventKind::DutiesSwapped, data), now)?;
    Ok(view)
}

/// Takes an override away; refused for gaps that this adds.
pub fn remove(conn: &mut Connection, caller: &Caller, id: QueueId, given: OverrideId) -> Result<(), Problem> {
    caller.require(Right::ManageQueues)?;
    let queue = locked(conn, id)?;
    let row = store::find(conn, id, given)?.ok_or_else(|| Problem::not_found("override"))?;
    let now = caller.now();
    coverage::keeping(conn, std::slice::from_ref(&queue), now, |conn| {
        store::remove(conn, row.id)
    })?;
    let data = json!({"name": queue.name, "from": Json::of(OverrideView::from(row))});
    record(conn, caller, &queue, (EventKind::OverrideRemoved, data), now)
}

/// The queue, locked: it may get people.
fn locked(conn: &mut Connection, id: QueueId) -> Result<Queue, Problem> {
    lock::shared(conn, coverage::rosters())?;
    queues::store::locked(conn, id)
}

/// 422 for whoever is named and is no agent.
fn worker(conn: &mut Connection, person: Option<PersonId>, pointer: &str) -> Result<(), Problem> {
    match person {
        Some(person) if queues::store::staff_among(conn, &[person])?.is_empty() => {
            Err(Problem::invalid(pointer, "is not an agent"))
        }
        _ => Ok(()),
    }
}

fn row(
    (author_id, now): (PersonId, Moment),
    queue_id: QueueId,
    (starts_at, ends_at): (Moment, Moment),
    (added_id, removed_id): (Option<PersonId>, Option<PersonId>),
) -> RosterOverride {
    RosterOverride {
        id: Id::at(now),
        queue_id,
        starts_at,
        ends_at,
        added_id,
        removed_id,
        author_id,
        created_at: now,
    }
}
