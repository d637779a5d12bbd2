//! Queries over overrides.

use diesel::prelude::*;

use super::RosterOverride;
use crate::db::schema::roster_overrides;
use crate::db::{Connection, Moment, OverrideId, PersonId, QueueId, on_each};
use crate::problem::Problem;

/// The override of this id in a queue.
pub fn find(
    conn: &mut Connection,
    queue: QueueId,
    id: OverrideId,
) -> Result<Option<RosterOverride>, Problem> {
    Ok(roster_overrides::table
        .find(id)
        .filter(roster_overrides::queue_id.eq(queue))
        .select(RosterOverride::as_select())
        .first(conn)
        .optional()?)
}

/// The overrides of a queue that meet a range; those of one person, where only that one is asked for.
pub fn meeting(
    conn: &mut Connection,
    queue: QueueId,
    (from, to): (Moment, Moment),
    who: Option<PersonId>,
) -> Result<Vec<RosterOverride>, Problem> {
    let all: Vec<RosterOverride> = on_each!(conn, conn => roster_overrides::table
        .filter(roster_overrides::queue_id.eq(queue))
        .filter(roster_overrides::ends_at.gt(from))
        .filter(roster_overrides::starts_at.lt(to))
        .select(RosterOverride::as_select())
        .load(conn))?;
    let concerns =
        |person: PersonId, row: &RosterOverride| [row.added_id, row.removed_id].contains(&Some(person));
    let own = all
        .into_iter()
        .filter(|row| who.is_none_or(|person| concerns(person, row)));
    // What it says of others is not asked.
    let only = |id: Option<PersonId>| id.filter(|id| who.is_none_or(|person| person == *id));
    Ok(own
        .map(|row| RosterOverride {
            added_id: only(row.added_id),
            removed_id: only(row.removed_id),
            ..row
        })
        .collect())
}

/// The overrides of a queue, by id; only what ends after `ending_after`.
pub fn list(
    conn: &mut Connection,
    queue: QueueId,
    ending_after: Option<Moment>,
    after: Option<OverrideId>,
    limit: i64,
) -> Result<Vec<RosterOverride>, Problem> {
    let mut query = roster_overrides::table
        .filter(roster_overrides::queue_id.eq(queue))
        .order(roster_overrides::id)
        .limit(limit)
        .select(RosterOverride::as_select())
        .into_boxed();
    if let Some(instant) = ending_after {
        query = query.filter(roster_overrides::ends_at.gt(instant));
    }
    if let Some(after) = after {
        query = query.filter(roster_overrides::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// Adds an override.
pub fn create(conn: &mut Connection, row: &RosterOverride) -> Result<(), Problem> {
    diesel::insert_into(roster_overrides::table)
        .values(row)
        .execute(conn)?;
    Ok(())
}

/// Takes an override away.
pub fn remove(conn: &mut Connection, id: OverrideId) -> Result<(), Problem> {
    diesel::delete(roster_overrides::table.find(id)).execute(conn)?;
    Ok(())
}
