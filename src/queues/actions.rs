//! The verbs of queues: create, replace shifts, replace the rules, say who is on duty.

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;
use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::model::{MemberView, NewQueue, NewShift, Queue, QueueView, Shift};
use super::routing::Rule;
use super::{coverage, store};
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

/// All routing rules, in order; the last one always matches.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRules {
    /// The rules.
    #[garde(length(min = 1, max = 500), dive)]
    pub rules: Vec<Rule>,
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
    if let Some(fallback) = form.fallback_queue_id
        && store::find(conn, fallback)?.is_none()
    {
        return Err(Problem::invalid("/fallback_queue_id", "there is no such queue"));
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
    };
    let shifts = rows(conn, queue.id, &form.shifts, now)?;
    prove(&queue, &[], &shifts, now)?;
    store::create(conn, &queue)?;
    store::replace_shifts(conn, queue.id, &shifts)?;
    let data = json!({"name": queue.name, "to": {
        "name": queue.name, "always_on": queue.always_on, "restricted": queue.restricted,
        "fallback_queue_id": queue.fallback_queue_id, "shifts": described(conn, queue.id)?,
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

fn record(
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
        let full = Shift {
            days: "mon,tue,wed,thu,fri,sat,sun".into(),
            ..whole_day(queue.id, now)
        };
        return coverage::refuse_new_gaps(&[full], &after, now);
    }
    coverage::refuse_new_gaps(before, &after, now)
}

/// A shift that never ends: what a new queue is compared with.
fn whole_day(queue_id: QueueId, now: Moment) -> Shift {
    Shift {
        id: Id::at(now),
        queue_id,
        name: String::new(),
        days: String::new(),
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

/// Puts a new rule set in force and gives its version.
pub fn replace_rules(
    conn: &mut Connection,
    caller: &Caller,
    form: &NewRules,
) -> Result<(i32, Vec<Rule>), Problem> {
    caller.require(Right::ManageQueues)?;
    lock::exclusive(conn, lock::Key::named("routing rules"))?;
    let (version, before) = store::rules(conn)?.unwrap_or_default();
    caller.if_match.require(version, "")?;
    check_rules(conn, &form.rules)?;
    let now = caller.now();
    store::add_rules(conn, version + 1, &form.rules, caller.person(), now)?;
    let event = Event::new(
        EventKind::RoutingReplaced,
        (SubjectKind::Routing, PROVIDER),
        (PROVIDER, version + 1),
        (&caller.actor(), now),
        json!({"version": version + 1, "from": {"rules": before}, "to": {"rules": form.rules}}),
    );
    journal::record(conn, &event, &[])?;
    Ok((version + 1, form.rules.clone()))
}

/// Every queue must exist; only the last rule, and certainly that one, always matches; it leads to an `always_on`
/// queue, and every other queue to one by its fallbacks.
fn check_rules(conn: &mut Connection, rules: &[Rule]) -> Result<(), Problem> {
    let last = rules.len().saturating_sub(1);
    for (place, rule) in rules.iter().enumerate() {
        if (place == last) != rule.when.is_empty() {
            let detail = "the last rule, and no other, has an empty condition";
            return Err(Problem::invalid(format!("/rules/{place}/when"), detail));
        }
        let pointer = format!("/rules/{place}/queue_id");
        let queue = store::find(conn, rule.queue_id)?
            .ok_or_else(|| Problem::invalid(pointer.as_str(), "there is no such queue"))?;
        if place == last && !queue.always_on {
            return Err(Problem::invalid(
                pointer,
                "the catch-all needs an always_on queue",
            ));
        }
        if !leads_to_always_on(conn, queue)? {
            return Err(Problem::invalid(
                pointer,
                "the queue is not always_on and has no fallback that is",
            ));
        }
    }
    Ok(())
}

fn leads_to_always_on(conn: &mut Connection, mut queue: Queue) -> Result<bool, Problem> {
    let mut seen = HashSet::new();
    while !queue.always_on {
        let next = queue.fallback_queue_id.filter(|_| seen.insert(queue.id));
        match next.map(|id| store::find(conn, id)).transpose()?.flatten() {
            Some(next) => queue = next,
            None => return Ok(false),
        }
    }
    Ok(true)
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
