//! Writes over many rows at once, which the transaction holds: an insert whose conflicts become updates is the one
//! statement that takes different values for each.

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::{Entry, Row};
use crate::db::schema::{sla_clocks, sla_intervals};
use crate::db::{Connection, on_each};
use crate::problem::Problem;

/// Everything that changes after a cycle has begun.
macro_rules! changing {
    () => {
        (
            sla_clocks::state.eq(excluded(sla_clocks::state)),
            sla_clocks::revision.eq(excluded(sla_clocks::revision)),
            sla_clocks::terms.eq(excluded(sla_clocks::terms)),
            sla_clocks::severity.eq(excluded(sla_clocks::severity)),
            sla_clocks::queue_id.eq(excluded(sla_clocks::queue_id)),
            sla_clocks::target_minutes.eq(excluded(sla_clocks::target_minutes)),
            sla_clocks::due_at.eq(excluded(sla_clocks::due_at)),
            sla_clocks::next_at.eq(excluded(sla_clocks::next_at)),
            sla_clocks::warned_at.eq(excluded(sla_clocks::warned_at)),
            sla_clocks::breached_at.eq(excluded(sla_clocks::breached_at)),
            sla_clocks::stopped_at.eq(excluded(sla_clocks::stopped_at)),
            sla_clocks::elapsed.eq(excluded(sla_clocks::elapsed)),
        )
    };
}

/// Rows of cycles that there are.
pub fn rows(conn: &mut Connection, rows: &[&Row]) -> Result<(), Problem> {
    if rows.is_empty() {
        return Ok(());
    }
    let place = (
        sla_clocks::tenant_id,
        sla_clocks::request_id,
        sla_clocks::clock,
        sla_clocks::cycle,
    );
    on_each!(conn, conn => diesel::insert_into(sla_clocks::table)
        .values(rows.to_vec())
        .on_conflict(place)
        .do_update()
        .set(changing!())
        .execute(conn))?;
    Ok(())
}

/// Intervals, of which some may be new.
pub fn entries(conn: &mut Connection, entries: &[Entry]) -> Result<(), Problem> {
    if entries.is_empty() {
        return Ok(());
    }
    let place = (
        sla_intervals::tenant_id,
        sla_intervals::request_id,
        sla_intervals::clock,
        sla_intervals::cycle,
        sla_intervals::seq,
    );
    let changing = || {
        (
            sla_intervals::from_at.eq(excluded(sla_intervals::from_at)),
            sla_intervals::until_at.eq(excluded(sla_intervals::until_at)),
            sla_intervals::pace.eq(excluded(sla_intervals::pace)),
            sla_intervals::cause.eq(excluded(sla_intervals::cause)),
            sla_intervals::policy_version.eq(excluded(sla_intervals::policy_version)),
            sla_intervals::severity.eq(excluded(sla_intervals::severity)),
            sla_intervals::target_minutes.eq(excluded(sla_intervals::target_minutes)),
            sla_intervals::calendar_id.eq(excluded(sla_intervals::calendar_id)),
            sla_intervals::calendar_version.eq(excluded(sla_intervals::calendar_version)),
        )
    };
    on_each!(conn, conn => diesel::insert_into(sla_intervals::table)
        .values(entries)
        .on_conflict(place)
        .do_update()
        .set(changing())
        .execute(conn))?;
    Ok(())
}
