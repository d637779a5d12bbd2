//! Queries over waivers.

use diesel::prelude::*;

use super::Waiver;
use crate::db::schema::coverage_waivers;
use crate::db::{Connection, Moment, QueueId, WaiverId};
use crate::problem::Problem;

/// The waiver of this id of a queue.
pub fn find(conn: &mut Connection, queue: QueueId, id: WaiverId) -> Result<Option<Waiver>, Problem> {
    Ok(coverage_waivers::table
        .find(id)
        .filter(coverage_waivers::queue_id.eq(queue))
        .select(Waiver::as_select())
        .first(conn)
        .optional()?)
}

/// Until when a queue may have gaps, if that is still to come.
pub fn until(conn: &mut Connection, queue: QueueId, now: Moment) -> Result<Option<Moment>, Problem> {
    Ok(coverage_waivers::table
        .filter(coverage_waivers::queue_id.eq(queue))
        .filter(coverage_waivers::ends_at.gt(now))
        .order(coverage_waivers::ends_at.desc())
        .select(coverage_waivers::ends_at)
        .first(conn)
        .optional()?)
}

/// The waivers of a queue, by id; only what ends after `ending_after`.
pub fn list(
    conn: &mut Connection,
    queue: QueueId,
    ending_after: Option<Moment>,
    after: Option<WaiverId>,
    limit: i64,
) -> Result<Vec<Waiver>, Problem> {
    let mut query = coverage_waivers::table
        .filter(coverage_waivers::queue_id.eq(queue))
        .order(coverage_waivers::id)
        .limit(limit)
        .select(Waiver::as_select())
        .into_boxed();
    if let Some(instant) = ending_after {
        query = query.filter(coverage_waivers::ends_at.gt(instant));
    }
    if let Some(after) = after {
        query = query.filter(coverage_waivers::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// Adds a waiver.
pub fn create(conn: &mut Connection, waiver: &Waiver) -> Result<(), Problem> {
    diesel::insert_into(coverage_waivers::table)
        .values(waiver)
        .execute(conn)?;
    Ok(())
}

/// Takes a waiver away.
pub fn remove(conn: &mut Connection, id: WaiverId) -> Result<(), Problem> {
    diesel::delete(coverage_waivers::table.find(id)).execute(conn)?;
    Ok(())
}
