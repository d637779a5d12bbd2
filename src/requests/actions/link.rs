//! Binding a request to an incident later, and keeping it out of the cascade.

use serde_json::json;

use super::change::Change;
use super::file::check_incident;
use crate::db::{Connection, lock};
use crate::identity::{Caller, Right};
use crate::journal::EventKind;
use crate::problem::{Code, Problem};
use crate::requests::lifecycle;
use crate::requests::model::{Link, Request};
use crate::requests::store::{self, Key};

/// Binds a request to an incident: the same check under the same lock as filing.
pub fn link(conn: &mut Connection, caller: &Caller, key: &Key, form: &Link) -> Result<Request, Problem> {
    // Before the right: what belongs to somebody else is not found, whatever the role.
    store::visible(conn, caller, key)?;
    caller.require(Right::WorkRequests)?;
    lock::shared(conn, lock::Key::of(form.incident_id))?;
    let mut change = Change::begin(conn, caller, key, Right::WorkRequests)?;
    change.if_match_required()?;
    if !change.request.is_open {
        let from = change.request.status;
        let detail = format!("the request is {from}; only an open one is bound to an incident");
        return Err(
            Problem::new(Code::TransitionNotAllowed, detail).with("allowed", lifecycle::allowed(from))
        );
    }
    check_incident(conn, form.incident_id, change.request.tenant_id)?;
    change.note("from_incident", json!(change.request.incident_id));
    change.note("to_incident", json!(form.incident_id));
    change.request.incident_id = Some(form.incident_id);
    change.request.detached = false;
    change.commit(conn, EventKind::RequestLinked, &[])
}

/// Keeps a request out of the cascade.
pub fn pin(conn: &mut Connection, caller: &Caller, key: &Key) -> Result<Request, Problem> {
    set_pin(conn, caller, key, true)
}

/// Lets it follow its incident again.
pub fn unpin(conn: &mut Connection, caller: &Caller, key: &Key) -> Result<Request, Problem> {
    set_pin(conn, caller, key, false)
}

fn set_pin(conn: &mut Connection, caller: &Caller, key: &Key, pinned: bool) -> Result<Request, Problem> {
    let mut change = Change::begin(conn, caller, key, Right::WorkRequests)?;
    change.if_match_required()?;
    if change.request.pinned == pinned {
        return Ok(change.request);
    }
    change.note("from_pinned", json!(change.request.pinned));
    change.note("to_pinned", json!(pinned));
    change.request.pinned = pinned;
    change.commit_internal(
        conn,
        if pinned {
            EventKind::RequestPinned
        } else {
            EventKind::RequestUnpinned
        },
    )
}
