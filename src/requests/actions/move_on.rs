//! The verbs that move one addressed request from state to state.

use chrono::TimeDelta;
use serde_json::json;

use super::change::Change;
use super::hands;
use crate::db::Connection;
use crate::identity::{Caller, Right};
use crate::incidents;
use crate::journal::{EventKind, Reader};
use crate::problem::{Code, Problem};
use crate::queues;
use crate::queues::fallback::End;
use crate::requests::lifecycle::{self, Verb};
use crate::requests::model::{
    Assignment, Cause, Hold, Note, Rejection, Request, Resolution, TransferTo, Visibility,
};
use crate::requests::store::Key;

/// Gives it to an agent; giving it to oneself is taking it.
pub fn assign(
    conn: &mut Connection,
    caller: &Caller,
    key: &Key,
    form: &Assignment,
) -> Result<Request, Problem> {
    let mut change = begin(conn, caller, key, Right::WorkRequests)?;
    if form.assignee_id != caller.person() {
        caller.require(Right::AssignOthers)?;
    }
    if queues::store::staff_among(conn, &[form.assignee_id])?.is_empty() {
        return Err(Problem::invalid("/assignee_id", "is not an agent"));
    }
    change.apply(conn, Verb::Assign)?;
    let is_on_duty = hands::require_room(conn, &change.request, form.assignee_id, change.now)?;
    change.request.assigned_off_duty = !is_on_duty;
    change.request.assignee_id = Some(form.assignee_id);
    change.commit(conn, EventKind::RequestAssigned, &[])
}

/// Puts it back into the line.
pub fn release(conn: &mut Connection, caller: &Caller, key: &Key, form: &Note) -> Result<Request, Problem> {
    simple(
        conn,
        caller,
        key,
        Verb::Release,
        form.body.as_deref(),
        EventKind::RequestReleased,
    )
}

/// Asks the customer.
pub fn await_customer(
    conn: &mut Connection,
    caller: &Caller,
    key: &Key,
    form: &Note,
) -> Result<Request, Problem> {
    simple(
        conn,
        caller,
        key,
        Verb::AwaitCustomer,
        form.body.as_deref(),
        EventKind::RequestAwaitedCustomer,
    )
}

/// Goes on with it.
pub fn resume(conn: &mut Connection, caller: &Caller, key: &Key, form: &Note) -> Result<Request, Problem> {
    simple(
        conn,
        caller,
        key,
        Verb::Resume,
        form.body.as_deref(),
        EventKind::RequestResumed,
    )
}

/// Ends it for good.
pub fn close(conn: &mut Connection, caller: &Caller, key: &Key, form: &Note) -> Result<Request, Problem> {
    simple(
        conn,
        caller,
        key,
        Verb::Close,
        form.body.as_deref(),
        EventKind::RequestClosed,
    )
}

fn simple(
    conn: &mut Connection,
    caller: &Caller,
    key: &Key,
    verb: Verb,
    body: Option<&str>,
    kind: EventKind,
) -> Result<Request, Problem> {
    let mut change = begin(conn, caller, key, Right::WorkRequests)?;
    change.apply(conn, verb)?;
    finish(conn, change, body, kind)
}

/// Moves it into another line.
pub fn transfer(
    conn: &mut Connection,
    caller: &Caller,
    key: &Key,
    form: &TransferTo,
) -> Result<Request, Problem> {
    let mut change = begin(conn, caller, key, Right::WorkRequests)?;
    let fallbacks = queues::store::fallbacks(conn)?;
    if fallbacks.find(form.queue_id).is_none() {
        return Err(Problem::invalid("/queue_id", "there is no such queue"));
    }
    if fallbacks.end(form.queue_id) != End::AlwaysOn {
        let detail = "the queue is not always_on and has no fallback that is: nobody might answer there";
        return Err(Problem::invalid("/queue_id", detail));
    }
    change.apply(conn, Verb::Transfer)?;
    change.note_internal("from_queue", json!(change.request.queue_id));
    change.note_internal("to_queue", json!(form.queue_id));
    change.note_internal("reason", json!(form.reason));
    change.request.queue_id = form.queue_id;
    change.commit(conn, EventKind::RequestTransferred, &[])
}

/// Lets it wait for something else.
pub fn hold(conn: &mut Connection, caller: &Caller, key: &Key, form: &Hold) -> Result<Request, Problem> {
    let mut change = begin(conn, caller, key, Right::WorkRequests)?;
    change.apply(conn, Verb::Hold)?;
    change.request.hold_reason = Some(form.reason);
    change.note("reason", json!(form.reason));
    finish(conn, change, form.body.as_deref(), EventKind::RequestHeld)
}

/// Answers it; the answer is a public comment.
pub fn resolve(
    conn: &mut Connection,
    caller: &Caller,
    key: &Key,
    form: &Resolution,
) -> Result<Request, Problem> {
    let mut change = begin(conn, caller, key, Right::ResolveRequests)?;
    change.apply(conn, Verb::Resolve)?;
    let cause = if caller.is_staff() {
        Cause::Agent
    } else {
        Cause::Requester
    };
    change.request.resolution_cause = Some(cause);
    change.request.resolved_at = Some(change.now);
    change.note("cause", json!(cause));
    change.comment(conn, &form.body, Visibility::Public)?;
    change.commit(conn, EventKind::RequestResolved, &[Reader::Notify])
}

/// Says that the answer was none, inside the window; a tenant's reopening detaches it from the incident.
pub fn reopen(
    conn: &mut Connection,
    caller: &Caller,
    key: &Key,
    form: &Note,
    window: Option<TimeDelta>,
) -> Result<Request, Problem> {
    let mut change = begin(conn, caller, key, Right::ReopenRequests)?;
    let resolved_at = change.request.resolved_at;
    change.apply(conn, Verb::Reopen)?;
    if let (Some(window), Some(at)) = (window, resolved_at)
        && change.now.since(at) > window
    {
        return Err(Problem::new(
            Code::WindowExpired,
            "it was resolved too long ago; file a follow-up",
        ));
    }
    if !caller.is_staff() {
        change.request.detached = change.request.incident_id.is_some();
    }
    finish(conn, change, form.body.as_deref(), EventKind::RequestReopened)
}

/// Says that the incident is over, and not for this tenant: detaches it, and sets it going again.
pub fn still_affected(
    conn: &mut Connection,
    caller: &Caller,
    key: &Key,
    form: &Note,
) -> Result<Request, Problem> {
    let mut change = begin(conn, caller, key, Right::ReopenRequests)?;
    let from = change.request.status;
    change.apply(conn, Verb::StillAffected)?;
    let incident = change
        .request
        .incident_id
        .map(|id| incidents::store::find(conn, id))
        .transpose()?
        .flatten();
    if !incident.is_some_and(|incident| incident.status.is_ended()) {
        let mut allowed = lifecycle::allowed(from);
        allowed.retain(|verb| *verb != Verb::StillAffected);
        return Err(
            Problem::new(Code::TransitionNotAllowed, "its incident is not over").with("allowed", allowed),
        );
    }
    change.request.detached = true;
    finish(
        conn,
        change,
        form.body.as_deref(),
        EventKind::RequestStillAffected,
    )
}

/// The tenant takes it back.
pub fn cancel(conn: &mut Connection, caller: &Caller, key: &Key, form: &Note) -> Result<Request, Problem> {
    let mut change = begin(conn, caller, key, Right::CancelRequests)?;
    change.apply(conn, Verb::Cancel)?;
    finish(conn, change, form.body.as_deref(), EventKind::RequestCancelled)
}

/// It is none: spam, or invalid.
pub fn reject(
    conn: &mut Connection,
    caller: &Caller,
    key: &Key,
    form: &Rejection,
) -> Result<Request, Problem> {
    let mut change = begin(conn, caller, key, Right::WorkRequests)?;
    change.apply(conn, Verb::Reject)?;
    change.note("reason", json!(form.reason));
    change.commit(conn, EventKind::RequestRejected, &[])
}

fn begin<'a>(
    conn: &mut Connection,
    caller: &'a Caller,
    key: &Key,
    right: Right,
) -> Result<Change<'a>, Problem> {
    let change = Change::begin(conn, caller, key, right)?;
    change.if_match_required()?;
    Ok(change)
}

/// A body is a public comment, and whoever listens hears of it.
fn finish(
    conn: &mut Connection,
    mut change: Change<'_>,
    body: Option<&str>,
    kind: EventKind,
) -> Result<Request, Problem> {
    if let Some(body) = body {
        change.comment(conn, body, Visibility::Public)?;
    }
    let readers: &[Reader] = if body.is_some() { &[Reader::Notify] } else { &[] };
    change.commit(conn, kind, readers)
}
