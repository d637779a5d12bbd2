//! Queries over queues and shifts.

use diesel::prelude::*;

use super::fallback::{Fallbacks, Link};
use super::ladder::Ladder;
use super::model::{Queue, QueueView, Shift, ShiftView};
use crate::db::schema::{memberships, queues, shift_members, shifts};
use crate::db::{Connection, Json, Moment, PROVIDER, PersonId, QueueId, ShiftId, on_each};
use crate::identity::Role;
use crate::problem::Problem;

/// The queue of this id.
pub fn find(conn: &mut Connection, id: QueueId) -> Result<Option<Queue>, Problem> {
    Ok(on_each!(conn, conn => queues::table.find(id).select(Queue::as_select()).first(conn)).optional()?)
}

/// The names of queues.
pub fn names(conn: &mut Connection, ids: &[QueueId]) -> Result<Vec<(QueueId, String)>, Problem> {
    Ok(queues::table
        .filter(queues::id.eq_any(ids.to_vec()))
        .select((queues::id, queues::name))
        .load(conn)?)
}

/// Whether a name is taken.
pub fn name_taken(conn: &mut Connection, folded: &str) -> Result<bool, Problem> {
    let count: i64 = queues::table
        .filter(queues::name_folded.eq(folded))
        .count()
        .get_result(conn)?;
    Ok(count > 0)
}

/// Queues after `after`, by id.
pub fn list(conn: &mut Connection, after: Option<QueueId>, limit: i64) -> Result<Vec<Queue>, Problem> {
    let mut query = queues::table
        .order(queues::id)
        .limit(limit)
        .select(Queue::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(queues::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// The shifts of a queue, in the order they were given.
pub fn shifts_of(conn: &mut Connection, queue: QueueId) -> Result<Vec<Shift>, Problem> {
    Ok(shifts::table
        .filter(shifts::queue_id.eq(queue))
        .order(shifts::id)
        .select(Shift::as_select())
        .load(conn)?)
}

/// Who works the shifts of a queue.
pub fn members_of(conn: &mut Connection, queue: QueueId) -> Result<Vec<(ShiftId, PersonId)>, Problem> {
    Ok(shift_members::table
        .inner_join(shifts::table.on(shifts::id.eq(shift_members::shift_id)))
        .filter(shifts::queue_id.eq(queue))
        .order((shift_members::shift_id, shift_members::person_id))
        .select((shift_members::shift_id, shift_members::person_id))
        .load(conn)?)
}

/// The shifts of a queue that one person works.
pub fn shifts_of_member(
    conn: &mut Connection,
    queue: QueueId,
    person: PersonId,
) -> Result<Vec<Shift>, Problem> {
    Ok(shifts::table
        .inner_join(shift_members::table.on(shift_members::shift_id.eq(shifts::id)))
        .filter(shifts::queue_id.eq(queue))
        .filter(shift_members::person_id.eq(person))
        .select(Shift::as_select())
        .load(conn)?)
}

/// Whether somebody is on duty in a queue at an instant.
pub fn is_on_duty(
    conn: &mut Connection,
    queue: QueueId,
    person: PersonId,
    at: Moment,
) -> Result<bool, Problem> {
    for shift in shifts_of_member(conn, queue, person)? {
        if shift.schedule()?.covers(at.utc()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Adds a queue.
pub fn create(conn: &mut Connection, queue: &Queue) -> Result<(), Problem> {
    diesel::insert_into(queues::table).values(queue).execute(conn)?;
    Ok(())
}

/// Saves a queue, guarded by the version it was loaded at.
pub fn save(conn: &mut Connection, queue: &Queue, loaded: i32) -> Result<(), Problem> {
    let row = queues::table.find(queue.id).filter(queues::version.eq(loaded));
    match diesel::update(row).set(queue).execute(conn)? {
        1 => Ok(()),
        _ => Err(Problem::lost_race()),
    }
}

/// All queues, and what each falls back to.
pub fn fallbacks(conn: &mut Connection) -> Result<Fallbacks, Problem> {
    let links: Vec<(QueueId, bool, Option<QueueId>)> = queues::table
        .select((queues::id, queues::always_on, queues::fallback_queue_id))
        .load(conn)?;
    let link = |(id, always_on, next)| (id, Link { always_on, next });
    Ok(links.into_iter().map(link).collect())
}

/// Id, name and ladder of every queue that has one.
pub fn ladders(conn: &mut Connection) -> Result<Vec<(QueueId, String, Ladder)>, Problem> {
    let rows: Vec<(QueueId, String, Json)> = queues::table
        .select((queues::id, queues::name, queues::ladder))
        .load(conn)?;
    let mut ladders = Vec::new();
    for (id, name, Json(ladder)) in rows {
        let ladder: Ladder = serde_json::from_value(ladder).map_err(Problem::internal)?;
        if !ladder.0.is_empty() {
            ladders.push((id, name, ladder));
        }
    }
    Ok(ladders)
}

/// Saves that a queue changed, guarded by its version.
pub fn save_version(conn: &mut Connection, queue: &Queue, now: Moment) -> Result<(), Problem> {
    let row = queues::table
        .filter(queues::id.eq(queue.id))
        .filter(queues::version.eq(queue.version));
    let changed = diesel::update(row)
        .set((queues::version.eq(queue.version + 1), queues::updated_at.eq(now)))
        .execute(conn)?;
    if changed == 1 {
        Ok(())
    } else {
        Err(Problem::lost_race())
    }
}

/// Puts these shifts in the place of all that a queue has.
pub fn replace_shifts(
    conn: &mut Connection,
    queue: QueueId,
    new: &[(Shift, Vec<PersonId>)],
) -> Result<(), Problem> {
    let old: Vec<ShiftId> = shifts::table
        .filter(shifts::queue_id.eq(queue))
        .select(shifts::id)
        .load(conn)?;
    diesel::delete(shift_members::table.filter(shift_members::shift_id.eq_any(old))).execute(conn)?;
    diesel::delete(shifts::table.filter(shifts::queue_id.eq(queue))).execute(conn)?;
    for (shift, members) in new {
        diesel::insert_into(shifts::table).values(shift).execute(conn)?;
        for person in members {
            let row = (
                shift_members::shift_id.eq(shift.id),
                shift_members::person_id.eq(*person),
            );
            diesel::insert_into(shift_members::table)
                .values(row)
                .execute(conn)?;
        }
    }
    Ok(())
}

/// Which of these people may work a queue: agents, leads and operators.
pub fn staff_among(conn: &mut Connection, people: &[PersonId]) -> Result<Vec<PersonId>, Problem> {
    Ok(memberships::table
        .filter(memberships::tenant_id.eq(PROVIDER))
        .filter(memberships::person_id.eq_any(people.to_vec()))
        .filter(memberships::role.eq_any([Role::Agent, Role::Lead, Role::Operator]))
        .select(memberships::person_id)
        .load(conn)?)
}

/// A queue with its shifts.
pub fn view(conn: &mut Connection, queue: Queue) -> Result<QueueView, Problem> {
    let shifts = shift_views(conn, queue.id)?;
    Ok(QueueView {
        ladder: queue.ladder()?,
        push: queue.push,
        id: queue.id,
        name: queue.name,
        always_on: queue.always_on,
        restricted: queue.restricted,
        fallback_queue_id: queue.fallback_queue_id,
        shifts,
        version: queue.version,
        created_at: queue.created_at,
        updated_at: queue.updated_at,
    })
}

/// The shifts of a queue with their members.
pub fn shift_views(conn: &mut Connection, queue: QueueId) -> Result<Vec<ShiftView>, Problem> {
    let members = members_of(conn, queue)?;
    let view = |shift: Shift| ShiftView {
        days: shift.days.split(',').map(str::to_owned).collect(),
        members: members
            .iter()
            .filter(|(id, _)| *id == shift.id)
            .map(|(_, person)| *person)
            .collect(),
        id: shift.id,
        name: shift.name,
        start: shift.starts_at,
        end: shift.ends_at,
        time_zone: shift.time_zone,
        valid_from: shift.valid_from,
        valid_until: shift.valid_until,
    };
    Ok(shifts_of(conn, queue)?.into_iter().map(view).collect())
}
