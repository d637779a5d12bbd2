//! Queries over absences.

use diesel::prelude::*;

use super::Absence;
use crate::db::schema::{absences, roster_overrides, shift_members, shifts};
use crate::db::{AbsenceId, Connection, Moment, PersonId, QueueId, on_each};
use crate::problem::Problem;

/// The absence of this id.
pub fn find(conn: &mut Connection, id: AbsenceId) -> Result<Option<Absence>, Problem> {
    Ok(absences::table
        .find(id)
        .select(Absence::as_select())
        .first(conn)
        .optional()?)
}

/// The absences of these people that meet a range.
pub fn meeting(
    conn: &mut Connection,
    people: &[PersonId],
    (from, to): (Moment, Moment),
) -> Result<Vec<Absence>, Problem> {
    Ok(on_each!(conn, conn => absences::table
        .filter(absences::person_id.eq_any(people))
        .filter(absences::ends_at.gt(from))
        .filter(absences::starts_at.lt(to))
        .select(Absence::as_select())
        .load(conn))?)
}

/// The absences of those who work in a queue, by id; only what ends after `ending_after`.
pub fn list(
    conn: &mut Connection,
    queue: QueueId,
    ending_after: Option<Moment>,
    after: Option<AbsenceId>,
    limit: i64,
) -> Result<Vec<Absence>, Problem> {
    let by_shift = shift_members::table
        .inner_join(shifts::table.on(shifts::id.eq(shift_members::shift_id)))
        .filter(shifts::queue_id.eq(queue))
        .select(shift_members::person_id);
    let added = roster_overrides::table
        .filter(roster_overrides::queue_id.eq(queue))
        .filter(roster_overrides::added_id.is_not_null())
        .select(roster_overrides::added_id.assume_not_null());
    let mut query = absences::table
        .filter(
            absences::person_id
                .eq_any(by_shift)
                .or(absences::person_id.eq_any(added)),
        )
        .order(absences::id)
        .limit(limit)
        .select(Absence::as_select())
        .into_boxed();
    if let Some(instant) = ending_after {
        query = query.filter(absences::ends_at.gt(instant));
    }
    if let Some(after) = after {
        query = query.filter(absences::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// Adds an absence.
pub fn create(conn: &mut Connection, absence: &Absence) -> Result<(), Problem> {
    diesel::insert_into(absences::table)
        .values(absence)
        .execute(conn)?;
    Ok(())
}

/// Takes an absence away.
pub fn remove(conn: &mut Connection, id: AbsenceId) -> Result<(), Problem> {
    diesel::delete(absences::table.find(id)).execute(conn)?;
    Ok(())
}
