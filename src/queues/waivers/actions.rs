//! The verbs of waivers: grant, revoke. Nobody's duty changes: what is found of the queue does.

use chrono::TimeDelta;
use serde_json::json;

use super::{NewWaiver, Waiver, WaiverView, store};
use crate::db::{Connection, Id, Json, QueueId, WaiverId};
use crate::identity::{Caller, Right};
use crate::journal::EventKind;
use crate::problem::Problem;
use crate::queues::actions::record;
use crate::queues::{self, findings};

/// How long a waiver holds at most: as far as queues are proved.
const LONGEST: TimeDelta = TimeDelta::days(400);

/// Grants a waiver.
pub fn grant(
    conn: &mut Connection,
    caller: &Caller,
    id: QueueId,
    form: &NewWaiver,
) -> Result<WaiverView, Problem> {
    caller.require(Right::ManageQueues)?;
    let queue = queues::store::locked(conn, id)?;
    let now = caller.now();
    if form.until <= now || form.until.since(now) > LONGEST {
        return Err(Problem::invalid("/until", "must be within the next 400 days"));
    }
    let waiver = Waiver {
        id: Id::at(now),
        queue_id: id,
        ends_at: form.until,
        reason: form.reason.trim().to_owned(),
        author_id: caller.person(),
        created_at: now,
    };
    store::create(conn, &waiver)?;
    let view = WaiverView::from(waiver);
    let data = json!({"name": queue.name, "to": Json::of(&view)});
    findings::renew(conn, id, now)?;
    record(conn, caller, &queue, (EventKind::WaiverGranted, data), now)?;
    Ok(view)
}

/// Takes a waiver away: what it let through stays, and is found.
pub fn revoke(conn: &mut Connection, caller: &Caller, id: QueueId, given: WaiverId) -> Result<(), Problem> {
    caller.require(Right::ManageQueues)?;
    let queue = queues::store::locked(conn, id)?;
    let waiver = store::find(conn, id, given)?.ok_or_else(|| Problem::not_found("waiver"))?;
    let now = caller.now();
    store::remove(conn, waiver.id)?;
    let data = json!({"name": queue.name, "from": Json::of(WaiverView::from(waiver))});
    findings::renew(conn, id, now)?;
    record(conn, caller, &queue, (EventKind::WaiverRevoked, data), now)
}
