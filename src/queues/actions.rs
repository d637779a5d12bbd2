//! The verbs of queues: create, replace shifts, say who is on duty. The change of a queue is in `change.rs`, the rules
//! are in `routing/`.

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;
use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::model::{MemberView, NewQueue, NewShift, Queue, QueueView, Shift};
use super::{change, coverage, store};
use crate::db::{Connection, Id, Json, Moment, PROVIDER, PersonId, QueueId, lock};
use crate::identity::{self, Caller, Right};
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
    };
    change::check(conn, &queue)?;
    let shifts = rows(conn, queue.id, &form.shifts, now)?;
    prove(&queue, &[], &shifts, now)?;
    store::create(conn, &queue)?;
    store::replace_shifts(conn, queue.id, &shifts)?;
    let data = json!({"name": queue.name, "to": {
        "name": queue.name, "always_on": queue.always_on, "restricted": queue.restricted,
        "fallback_queue_id": queue.fallback_queue_id, "ladder": queue.ladder, "push": queue.push,
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
    lock::exclusive(conn, lock::Key::of(id))?;
    let mut queue = store::find(conn, id)?.ok_or_else(|| Problem::not_found("queue"))?;
    caller.if_match.require(queue.version, "")?;
    let now = caller.now();
    let shifts = rows(conn, id, &form.shifts, now)?;
    let before = store::shifts_of(conn, id)?;
    prove(&queue, &before, &shifts, now)?;
    store::save_version(conn, &queue, now)?;
    queue.version += 1;
    queue.updated_at = now;
    let from = described(conn, id)?;
    store::replace_shifts(conn, id, &shifts)?;
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

pub(super) fn record(
    conn: &mut Connection,
    caller: &Caller,
    queue: &Queue,
    (kind, data): (EventKind, Value),
    now: Moment,
) -> Result<(), Problem> {
    let event = Event::new(
        kind,
        (SubjectKind::Queue, queue.id),
        (PROVIDER, queue.version),
        (&caller.actor(), now),
        data,
    );
    journal::record(conn, &event, &[])
}

fn prove(
    queue: &Queue,
    before: &[Shift],
    after: &[(Shift, Vec<PersonId>)],
    now: Moment,
) -> Result<(), Problem> {
    if !queue.always_on {
        return Ok(());
    }
    let after: Vec<_> = after.iter().map(|(shift, _)| shift.clone()).collect();
    // A new queue may have no gap at all; a later change none that it adds.
    if before.is_empty() && queue.version == 1 {
        return prove_anew(queue.id, &after, now);
    }
    coverage::refuse_new_gaps(before, &after, now)
}

/// Refuses every gap, as of a queue that was not proved before.
pub(super) fn prove_anew(queue: QueueId, shifts: &[Shift], now: Moment) -> Result<(), Problem> {
    coverage::refuse_new_gaps(&[whole_day(queue, now)], shifts, now)
}

/// A shift that never ends: what a new queue is compared with.
fn whole_day(queue_id: QueueId, now: Moment) -> Shift {
    Shift {
        id: Id::at(now),
        queue_id,
        name: String::new(),
        days: "mon,tue,wed,thu,fri,sat,sun".into(),
        starts_at: "00:00".into(),
        ends_at: "00:00".into(),
        time_zone: "UTC".into(),
        valid_from: None,
        valid_until: None,
    }
}

fn rows(
    conn: &mut Connection,
    queue: QueueId,
    forms: &[NewShift],
    now: Moment,
) -> Result<Vec<(Shift, Vec<PersonId>)>, Problem> {
    let wanted: HashSet<PersonId> = forms
        .iter()
        .flat_map(|form| form.members.iter().copied())
        .collect();
    let staff: HashSet<_> = store::staff_among(conn, &wanted.into_iter().collect::<Vec<_>>())?
        .into_iter()
        .collect();
    let mut errors = Vec::new();
    let mut rows = Vec::new();
    for (place, form) in forms.iter().enumerate() {
        for (seat, member) in form.members.iter().enumerate() {
            if !staff.contains(member) {
                let pointer = format!("/shifts/{place}/members/{seat}");
                errors.push(FieldError {
                    pointer,
                    detail: "is not an agent".to_owned(),
                });
            }
        }
        let mut members = form.members.clone();
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

/// Who is on duty in a queue at an instant.
pub fn on_duty(conn: &mut Connection, queue: QueueId, at: Moment) -> Result<Vec<MemberView>, Problem> {
    let members = store::members_of(conn, queue)?;
    let mut team: BTreeMap<PersonId, Vec<String>> = BTreeMap::new();
    for shift in store::shifts_of(conn, queue)? {
        if shift.schedule()?.covers(at.utc()) {
            for (_, person) in members.iter().filter(|(id, _)| *id == shift.id) {
                team.entry(*person).or_default().push(shift.name.clone());
            }
        }
    }
    let ids: Vec<_> = team.keys().copied().collect();
    let names = identity::store::names(conn, &ids)?;
    Ok(names
        .into_iter()
        .map(|(id, name, _)| MemberView {
            id,
            name,
            shifts: team.remove(&id).unwrap_or_default(),
        })
        .collect())
}
