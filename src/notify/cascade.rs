//! The cascade: the requests of an incident follow it (contract §3).
//!
//! Driven by state and not by a cursor: a chunk takes requests that have not followed yet, until there are none. The
//! incident is locked shared, so that no chunk runs into a reopening.

use crate::db::{Connection, IncidentId, Moment, lock};
use crate::incidents::{self, CascadeState, Incident, Status};
use crate::mail::Step;
use crate::problem::Problem;
use crate::requests::{actions, store};

/// Requests of one transaction: what SQLite's writer does in a few milliseconds.
pub const CHUNK: i64 = 60;

/// An incident whose requests have to follow it.
pub fn next(conn: &mut Connection) -> Result<Option<IncidentId>, Problem> {
    incidents::store::cascading(conn)
}

/// Lets the next requests of `id` follow it.
pub fn step(conn: &mut Connection, id: IncidentId, now: Moment) -> Result<Step, Problem> {
    // What it goes on as never changes.
    let of = incidents::store::find(conn, id)?.and_then(|found| found.duplicate_of);
    if let Some(of) = of {
        return move_on(conn, id, of, now);
    }
    lock::shared(conn, lock::Key::of(id))?;
    let running =
        incidents::store::find(conn, id)?.filter(|found| found.cascade_state == CascadeState::Running);
    let Some(incident) = running else {
        return Ok(Step::Idle);
    };
    let moved = match incident.status {
        Status::Resolved | Status::Reviewed => {
            let rows = store::following(conn, id, CHUNK)?;
            moved(rows, |rows| actions::follow(conn, rows, incident.resolution, now))?
        }
        Status::FalsePositive => {
            let rows = store::attached(conn, id, CHUNK)?;
            moved(rows, |rows| actions::detach(conn, rows, now))?
        }
        status if status.is_active() => {
            let rows = store::followed(conn, id, incident.resolution, CHUNK)?;
            moved(rows, |rows| actions::return_to_line(conn, rows, now))?
        }
        _ => Step::Idle,
    };
    if moved == Step::Idle {
        finish(conn, &incident)?;
    }
    Ok(Step::Worked)
}

/// Binds the next open requests of a duplicate to what it goes on as: the end of the chain, if that has been merged too.
///
/// That one is locked exclusively: should it be over already, its own cascade takes them on, and has not just found that
/// there were no more.
fn move_on(conn: &mut Connection, id: IncidentId, of: IncidentId, now: Moment) -> Result<Step, Problem> {
    let other = incidents::store::find(conn, of)?.ok_or_else(|| Problem::not_found("incident"))?;
    let root = incidents::duplicates::root(conn, &other)?.id;
    // Two, in the order of their ids.
    if id < root {
        lock::shared(conn, lock::Key::of(id))?;
    }
    lock::exclusive(conn, lock::Key::of(root))?;
    lock::shared(conn, lock::Key::of(id))?;
    let running =
        incidents::store::find(conn, id)?.filter(|found| found.cascade_state == CascadeState::Running);
    let Some(incident) = running else {
        return Ok(Step::Idle);
    };
    if incidents::duplicates::root(conn, &incident)?.id != root {
        return Err(Problem::lost_race());
    }
    // A reopening shortly before may not have returned all of them to their lines.
    let rows = store::followed(conn, id, incident.resolution, CHUNK)?;
    if moved(rows, |rows| actions::return_to_line(conn, rows, now))? == Step::Worked {
        return Ok(Step::Worked);
    }
    let rows = store::open_of(conn, id, CHUNK)?;
    match moved(rows, |rows| actions::move_to(conn, rows, root, now))? {
        Step::Worked => incidents::store::resume_cascade(conn, root)?,
        Step::Idle => finish(conn, &incident)?,
    }
    Ok(Step::Worked)
}

fn moved<T>(rows: Vec<T>, act: impl FnOnce(Vec<T>) -> Result<(), Problem>) -> Result<Step, Problem> {
    if rows.is_empty() {
        return Ok(Step::Idle);
    }
    act(rows).map(|()| Step::Worked)
}

fn finish(conn: &mut Connection, incident: &Incident) -> Result<(), Problem> {
    incidents::store::finish_cascade(conn, incident)
}
