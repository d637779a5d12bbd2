//! Queries over queues and shifts.

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::fallback::{Fallbacks, Link};
use super::findings::{self, FindingView};
use super::ladder::Ladder;
use super::model::{Queue, QueueView, Shift, ShiftView};
use super::rotation::Rotation;
use crate::db::schema::{memberships, queue_findings, queues, roster_overrides, shift_members, shifts};
use crate::db::{Connection, Json, PROVIDER, PersonId, QueueId, ShiftId, lock, on_each};
use crate::identity::Role;
use crate::problem::Problem;

/// The queue of this id.
pub fn find(conn: &mut Connection, id: QueueId) -> Result<Option<Queue>, Problem> {
    Ok(on_each!(conn, conn => queues::table.find(id).select(Queue::as_select()).first(conn)).optional()?)
}

/// The queue of this id, locked until the end of the transaction and read under that lock.
pub fn locked(conn: &mut Connection, id: QueueId) -> Result<Queue, Problem> {
    lock::exclusive(conn, lock::Key::of(id))?;
    find(conn, id)?.ok_or_else(|| Problem::not_found("queue"))
}

/// Every queue, by id.
pub fn all(conn: &mut Connection) -> Result<Vec<Queue>, Problem> {
    Ok(on_each!(conn, conn => queues::table.order(queues::id).select(Queue::as_select()).load(conn))?)
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

/// Who works the shifts of a queue, with the turn of each.
pub fn members_of(conn: &mut Connection, queue: QueueId) -> Result<Vec<(ShiftId, i32, PersonId)>, Problem> {
    Ok(shift_members::table
        .inner_join(shifts::table.on(shifts::id.eq(shift_members::shift_id)))
        .filter(shifts::queue_id.eq(queue))
        .order((
            shift_members::shift_id,
            shift_members::turn,
            shift_members::person_id,
        ))
        .select((
            shift_members::shift_id,
            shift_members::turn,
            shift_members::person_id,
        ))
        .load(conn)?)
}

/// The shifts of a queue with the members of each turn; with one person's only, where that one is asked for.
pub fn duties_of(
    conn: &mut Connection,
    queue: QueueId,
    who: Option<PersonId>,
) -> Result<Vec<(Shift, i32, Vec<PersonId>)>, Problem> {
    if let Some(person) = who {
        let found: Vec<(Shift, i32)> = on_each!(conn, conn => shifts::table
            .inner_join(shift_members::table.on(shift_members::shift_id.eq(shifts::id)))
            .filter(shifts::queue_id.eq(queue))
            .filter(shift_members::person_id.eq(person))
            .order((shifts::id, shift_members::turn))
            .select((Shift::as_select(), shift_members::turn))
            .load(conn))?;
        return Ok(found
            .into_iter()
            .map(|(shift, turn)| (shift, turn, vec![person]))
            .collect());
    }
    let mut teams: BTreeMap<(ShiftId, i32), Vec<PersonId>> = BTreeMap::new();
    for (shift, turn, person) in members_of(conn, queue)? {
        teams.entry((shift, turn)).or_default().push(person);
    }
    let mut duties = Vec::new();
    for shift in shifts_of(conn, queue)? {
        for turn in 0..shift.rotation_teams.unwrap_or(1) {
            let members = teams.remove(&(shift.id, turn)).unwrap_or_default();
            duties.push((shift.clone(), turn, members));
        }
    }
    Ok(duties)
}

/// The queues that somebody works in, by a shift or because an override adds them; in the order of their ids.
pub fn queues_of(conn: &mut Connection, person: PersonId) -> Result<Vec<QueueId>, Problem> {
    let mut queues: Vec<QueueId> = shifts::table
        .inner_join(shift_members::table.on(shift_members::shift_id.eq(shifts::id)))
        .filter(shift_members::person_id.eq(person))
        .select(shifts::queue_id)
        .load(conn)?;
    let added: Vec<QueueId> = roster_overrides::table
        .filter(roster_overrides::added_id.eq(person))
        .select(roster_overrides::queue_id)
        .load(conn)?;
    queues.extend(added);
    queues.sort_unstable();
    queues.dedup();
    Ok(queues)
}

/// The queues that must be staffed at every instant, and those of which something was found.
pub fn watched(conn: &mut Connection) -> Result<Vec<Queue>, Problem> {
    let found = queue_findings::table.select(queue_findings::queue_id);
    Ok(queues::table
        .filter(queues::always_on.eq(true).or(queues::id.eq_any(found)))
        .order(queues::id)
        .select(Queue::as_select())
        .load(conn)?)
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

/// Puts these shifts in the place of all that a queue has.
pub fn replace_shifts(
    conn: &mut Connection,
    queue: QueueId,
    new: &[(Shift, Vec<(i32, PersonId)>)],
) -> Result<(), Problem> {
    let old: Vec<ShiftId> = shifts::table
        .filter(shifts::queue_id.eq(queue))
        .select(shifts::id)
        .load(conn)?;
    diesel::delete(shift_members::table.filter(shift_members::shift_id.eq_any(old))).execute(conn)?;
    diesel::delete(shifts::table.filter(shifts::queue_id.eq(queue))).execute(conn)?;
    for (shift, teams) in new {
        diesel::insert_into(shifts::table).values(shift).execute(conn)?;
        for (turn, person) in teams {
            let row = (
                shift_members::shift_id.eq(shift.id),
                shift_members::person_id.eq(*person),
                shift_members::turn.eq(*turn),
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
    let findings = findings::of(conn, queue.id)?.map(FindingView::from);
    Ok(QueueView {
        ladder: queue.ladder()?,
        push: queue.push,
        id: queue.id,
        name: queue.name,
        always_on: queue.always_on,
        restricted: queue.restricted,
        fallback_queue_id: queue.fallback_queue_id,
        minimum: queue.minimum,
        findings: findings.into_iter().collect(),
        shifts,
        version: queue.version,
        created_at: queue.created_at,
        updated_at: queue.updated_at,
    })
}

/// The shifts of a queue with their members.
pub fn shift_views(conn: &mut Connection, queue: QueueId) -> Result<Vec<ShiftView>, Problem> {
    let mut members: BTreeMap<ShiftId, Vec<(i32, PersonId)>> = BTreeMap::new();
    for (shift, turn, person) in members_of(conn, queue)? {
        members.entry(shift).or_default().push((turn, person));
    }
    let view = |shift: Shift| {
        let members = members.remove(&shift.id).unwrap_or_default();
        let rotation = Rotation::of(&shift, &members);
        ShiftView {
            days: shift.days.split(',').map(str::to_owned).collect(),
            members: match rotation {
                Some(_) => None,
                None => Some(members.iter().map(|(_, person)| *person).collect()),
            },
            rotation,
            id: shift.id,
            name: shift.name,
            start: shift.starts_at,
            end: shift.ends_at,
            time_zone: shift.time_zone,
            valid_from: shift.valid_from,
            valid_until: shift.valid_until,
        }
    };
    Ok(shifts_of(conn, queue)?.into_iter().map(view).collect())
}
