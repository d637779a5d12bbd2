//! The verbs of absences: enter, remove. An absence holds in all queues of somebody, and is proved in all of them.

use serde_json::json;

use super::{Absence, AbsenceView, NewAbsence, store};
use crate::db::{AbsenceId, Connection, Id, Json, PersonId, QueueId, lock};
use crate::identity::rights::Reach;
use crate::identity::{Caller, Right};
use crate::journal::EventKind;
use crate::problem::{Code, Problem};
use crate::queues::actions::record;
use crate::queues::model::Queue;
use crate::queues::{self, coverage, span};

/// Enters an absence; refused for gaps that it adds to a queue of the person.
pub fn enter(
    conn: &mut Connection,
    caller: &Caller,
    id: QueueId,
    form: &NewAbsence,
) -> Result<AbsenceView, Problem> {
    allowed(caller, form.person_id)?;
    span::check((form.from, form.to), "", caller.now())?;
    let (queue, all) = locked(conn, id, form.person_id)?;
    if !all.iter().any(|own| own.id == id) {
        return Err(Problem::invalid("/person_id", "does not work in this queue"));
    }
    let now = caller.now();
    let absence = Absence {
        id: Id::at(now),
        person_id: form.person_id,
        starts_at: form.from,
        ends_at: form.to,
        reason: form.reason.as_deref().map(|reason| reason.trim().to_owned()),
        author_id: caller.person(),
        created_at: now,
    };
    coverage::keeping(conn, &all, now, |conn| store::create(conn, &absence))?;
    let view = AbsenceView::from(absence);
    let data = json!({"name": queue.name, "to": Json::of(&view)});
    record(conn, caller, &queue, (EventKind::AbsenceEntered, data), now)?;
    Ok(view)
}

/// Takes an absence away: whoever was to be away works.
pub fn remove(
    conn: &mut Connection,
    caller: &Caller,
    id: QueueId,
    absence: AbsenceId,
) -> Result<(), Problem> {
    let missing = || Problem::not_found("absence");
    let person = store::find(conn, absence)?.ok_or_else(missing)?.person_id;
    allowed(caller, person)?;
    let (queue, all) = locked(conn, id, person)?;
    let absence = store::find(conn, absence)?.ok_or_else(missing)?;
    if !all.iter().any(|own| own.id == id) {
        return Err(missing());
    }
    let now = caller.now();
    coverage::keeping(conn, &all, now, |conn| store::remove(conn, absence.id))?;
    let data = json!({"name": queue.name, "from": Json::of(AbsenceView::from(absence))});
    record(conn, caller, &queue, (EventKind::AbsenceRemoved, data), now)
}

/// An agent's own; a lead's are everybody's.
fn allowed(caller: &Caller, person: PersonId) -> Result<(), Problem> {
    caller.require(Right::EnterAbsences)?;
    match caller.reach(Right::EnterAbsences) {
        Some(Reach::Own) if person != caller.person() => Err(Problem::new(
            Code::Forbidden,
            "an agent's absences are the agent's own",
        )),
        _ => Ok(()),
    }
}

/// The queue, and all in which somebody works, locked in the order of their ids and read under the locks. Nobody is put
/// into another one meanwhile.
fn locked(conn: &mut Connection, id: QueueId, person: PersonId) -> Result<(Queue, Vec<Queue>), Problem> {
    lock::exclusive(conn, coverage::rosters())?;
    let mut own = queues::store::queues_of(conn, person)?;
    let works_here = own.contains(&id);
    if !works_here {
        own.push(id);
        own.sort_unstable();
    }
    let mut all = Vec::new();
    for queue in own {
        lock::exclusive(conn, lock::Key::of(queue))?;
        all.extend(queues::store::find(conn, queue)?);
    }
    let queue = all.iter().find(|queue| queue.id == id).cloned();
    let queue = queue.ok_or_else(|| Problem::not_found("queue"))?;
    all.retain(|queue| queue.id != id || works_here);
    Ok((queue, all))
}
