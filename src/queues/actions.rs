//! The verbs of queues: create, replace shifts. The change of a queue is in `change.rs`, the rules are in `routing/`;
//! rosters have folders of their own.

use std::collections::HashSet;

use chrono::TimeDelta;
use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::model::{NewQueue, NewShift, Queue, QueueView, Shift};
use super::{change, coverage, store};
use crate::db::{Connection, Id, Json, Moment, PROVIDER, PersonId, QueueId, lock};
use crate::identity::{Caller, Right};
use crate::journal::{self, Event, EventKind, SubjectKind};
use crate::problem::{Code, FieldError, Problem};

/// The schedule of a queue, all of it.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewShifts {
    /// The shifts.
    #[garde(length(max = 200), dive)]
    pub shifts: Vec<NewShift>,
}

/// Creates a queue.
pub fn create(conn: &mut Connection, caller: &Caller, form: &NewQueue) -> Result<QueueView, Problem> {
    caller.require(Right::ManageQueues)?;
    let folded = form.name.trim().to_lowercase();
    lock::shared(conn, coverage::rosters())?;
    lock::exclusive(conn, lock::Key::named("queues"))?;
    if store::name_taken(conn, &folded)? {
        return Err(Problem::new(
            Code::AlreadyExists,
            format!("there is a queue `{}`", form.name.trim()),
        ));
    }
    let now = caller.now();
    let queue = Queue {
        id: Id::at(now),
        name: form.name.trim().to_owned(),
        name_folded: folded,
        always_on: form.always_on,
        restricted: form.restricted,
        fallback_queue_id: form.fallback_queue_id,
        version: 1,
        created_at: now,
        updated_at: now,
        ladder: Json::of(&form.ladder),
        push: form.push,
        minimum: form.minimum,
    };
    change::check(conn, &queue)?;
    let shifts = rows(conn, queue.id, &form.shifts, now)?;
    store::create(conn, &queue)?;
    store::replace_shifts(conn, queue.id, &shifts)?;
    // It was not there before, and so had no gap.
    let before = Queue {
        always_on: false,
        ..queue.clone()
    };
    coverage::prove(conn, &before, &queue, now)?;
    let data = json!({"name": queue.name, "to": {
        "name": queue.name, "always_on": queue.always_on, "restricted": queue.restricted,
        "fallback_queue_id": queue.fallback_queue_id, "ladder": queue.ladder, "push": queue.push,
        "minimum": queue.minimum,
        "shifts": described(conn, queue.id)?,
    }});
    record(conn, caller, &queue, (EventKind::QueueCreated, data), now)?;
    store::view(conn, queue)
}

/// Replaces the schedule of a queue; refused for gaps that it adds.
pub fn replace_shifts(
    conn: &mut Connection,
    caller: &Caller,
    id: QueueId,
    form: &NewShifts,
) -> Result<QueueView, Problem> {
    caller.require(Right::ManageQueues)?;
    lock::shared(conn, coverage::rosters())?;
    let before = store::locked(conn, id)?;
    caller.if_match.require(before.version, "")?;
    let now = caller.now();
    let shifts = rows(conn, id, &form.shifts, now)?;
    let queue = Queue {
        version: before.version + 1,
        updated_at: now,
        ..before.clone()
    };
    store::save(conn, &queue, before.version)?;
    let from = described(conn, id)?;
    coverage::keeping(conn, std::slice::from_ref(&queue), now, |conn| {
        store::replace_shifts(conn, id, &shifts)
    })?;
    let data = json!({
        "name": queue.name, "from": {"shifts": from}, "to": {"shifts": described(conn, id)?},
    });
    record(conn, caller, &queue, (EventKind::ShiftsReplaced, data), now)?;
    store::view(conn, queue)
}

/// The schedule of a queue, as the history has it.
fn described(conn: &mut Connection, id: QueueId) -> Result<Value, Problem> {
    Ok(Json::of(store::shift_views(conn, id)?).0)
}

/// Writes the next event of a queue.
pub fn record(
    conn: &mut Connection,
    caller: &Caller,
    queue: &Queue,
    (kind, data): (EventKind, Value),
    now: Moment,
) -> Result<(), Problem> {
    let subject = (SubjectKind::Queue, queue.id);
    let event = Event::next(kind, subject, PROVIDER, (&caller.actor(), now), data);
    journal::append(conn, event, &[])
}

/// The rows of a schedule: each shift with its members and the turn of each.
fn rows(
    conn: &mut Connection,
    queue: QueueId,
    forms: &[NewShift],
    now: Moment,
) -> Result<Vec<(Shift, Vec<(i32, PersonId)>)>, Problem> {
    let named = forms.iter().flat_map(NewShift::teams).flatten();
    let wanted: HashSet<PersonId> = named.copied().collect();
    let staff: HashSet<_> = store::staff_among(conn, &wanted.into_iter().collect::<Vec<_>>())?
        .into_iter()
        .collect();
    let mut errors = Vec::new();
    let mut rows = Vec::new();
    for (place, form) in forms.iter().enumerate() {
        let mut members = Vec::new();
        for (turn, team) in form.teams().into_iter().enumerate() {
            let pointer = match form.rotation {
                Some(_) => format!("/shifts/{place}/rotation/teams/{turn}"),
                None => format!("/shifts/{place}/members"),
            };
            errors.extend(strangers(team, &staff, &pointer));
            let turn = i32::try_from(turn).unwrap_or(i32::MAX);
            members.extend(team.iter().map(|person| (turn, *person)));
        }
        members.sort_unstable();
        members.dedup();
        // Ids in the order of the list: it is the order they are shown in.
        let id = Id::at(now.plus(TimeDelta::milliseconds(i64::try_from(place).unwrap_or(0))));
        rows.push((form.row(id, queue), members));
    }
    match errors.first() {
        None => Ok(rows),
        Some(first) => {
            let detail = format!("{}: {}", first.pointer, first.detail);
            Err(Problem::new(Code::ValidationFailed, detail).with_errors(errors))
        }
    }
}

/// Who of a team is no agent.
fn strangers(team: &[PersonId], staff: &HashSet<PersonId>, pointer: &str) -> Vec<FieldError> {
    let seats = team
        .iter()
        .enumerate()
        .filter(|(_, member)| !staff.contains(member));
    let errors = seats.map(|(seat, _)| FieldError {
        pointer: format!("{pointer}/{seat}"),
        detail: "is not an agent".to_owned(),
    });
    errors.collect()
}
