//! A request under its lock, being changed.

use serde_json::{Map, Value, json};

use crate::db::{Connection, Id, Moment};
use crate::identity::{Caller, Right};
use crate::journal::{self, Actor, Event, EventKind, Reader, SubjectKind};
use crate::problem::{Code, Problem};
use crate::queues::duty;
use crate::requests::lifecycle::{self, Refusal, Status, Verb};
use crate::requests::line;
use crate::requests::model::{Comment, Request, Visibility};
use crate::requests::sla;
use crate::requests::store::{self, Key};

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = format!("the request is {}", refusal.from);
        Self::new(Code::TransitionNotAllowed, detail).with("allowed", refusal.allowed)
    }
}

/// A request that a caller changes: what it was, what it becomes, and what there is to tell.
pub struct Change<'a> {
    caller: &'a Caller,
    before: Request,
    /// What it becomes.
    pub request: Request,
    /// When.
    pub now: Moment,
    data: Map<String, Value>,
}

impl<'a> Change<'a> {
    /// Allows, locks and loads.
    pub fn begin(
        conn: &mut Connection,
        caller: &'a Caller,
        key: &Key,
        right: Right,
    ) -> Result<Self, Problem> {
        let request = store::visible_for_change(conn, caller, key)?;
        caller.require(right)?;
        Ok(Self {
            caller,
            before: request.clone(),
            request,
            now: caller.now(),
            data: Map::new(),
        })
    }

    /// 428 without `If-Match`, 412 when it names another version.
    pub fn if_match_required(&self) -> Result<(), Problem> {
        self.caller
            .if_match
            .require(self.before.version, self.before.status.as_str())
    }

    /// 409 for a request to which nobody adds anything any more.
    pub fn takes_words(&self) -> Result<(), Problem> {
        if self.request.takes_words() {
            return Ok(());
        }
        let refusal = Refusal {
            from: self.request.status,
            allowed: Vec::new(),
        };
        Err(refusal.into())
    }

    /// Decides where `verb` leads.
    pub fn apply(&mut self, conn: &mut Connection, verb: Verb) -> Result<(), Problem> {
        let to = self.check(conn, verb)?;
        self.set_status(to);
        Ok(())
    }

    /// Where `verb` would lead.
    pub fn check(&self, conn: &mut Connection, verb: Verb) -> Result<Status, Problem> {
        let hands = match self.request.assignee_id {
            Some(assignee) => duty::includes(conn, self.request.queue_id, assignee, self.now)?,
            None => false,
        };
        Ok(lifecycle::next(self.request.status, verb, hands)?)
    }

    fn set_status(&mut self, to: Status) {
        let request = &mut self.request;
        request.status = to;
        request.is_open = to.is_open();
        if to == Status::Queued {
            request.assignee_id = None;
        }
        if to != Status::OnHold {
            request.hold_reason = None;
        }
        if to.is_open() {
            request.resolution_cause = None;
            request.resolved_at = None;
            request.incident_resolution = None;
        }
    }

    /// Something for the history that tenants see.
    pub fn note(&mut self, key: &str, value: Value) {
        self.data.insert(key.to_owned(), value);
    }

    /// Something for the history that only staff see.
    pub fn note_internal(&mut self, key: &str, value: Value) {
        let internal = self.data.entry("internal").or_insert_with(|| json!({}));
        if let Some(map) = internal.as_object_mut() {
            map.insert(key.to_owned(), value);
        }
    }

    /// A comment that goes with the change.
    pub fn comment(
        &mut self,
        conn: &mut Connection,
        body: &str,
        visibility: Visibility,
    ) -> Result<Comment, Problem> {
        let actor = self.caller.actor();
        let comment = Comment {
            tenant_id: self.request.tenant_id,
            id: Id::at(self.now),
            request_id: self.request.id,
            visibility,
            body: body.to_owned(),
            author_id: self.caller.person(),
            author_name: actor.name,
            author_side: actor.side,
            created_at: self.now,
        };
        store::add_comment(conn, &comment)?;
        self.note("comment_id", json!(comment.id));
        Ok(comment)
    }

    /// Saves, guarded, and writes the event; `readers` act on it later.
    pub fn commit(
        self,
        conn: &mut Connection,
        kind: EventKind,
        readers: &[Reader],
    ) -> Result<Request, Problem> {
        self.commit_as(conn, kind, readers, false)
    }

    /// The same for what tenants never hear of.
    pub fn commit_internal(self, conn: &mut Connection, kind: EventKind) -> Result<Request, Problem> {
        self.commit_as(conn, kind, &[], true)
    }

    fn commit_as(
        mut self,
        conn: &mut Connection,
        kind: EventKind,
        readers: &[Reader],
        internal: bool,
    ) -> Result<Request, Problem> {
        if self.before.status != self.request.status {
            self.note("from", json!(self.before.status));
            self.note("to", json!(self.request.status));
        }
        if self.before.assignee_id != self.request.assignee_id {
            self.note_internal("from_assignee", json!(self.before.assignee_id));
            self.note_internal("to_assignee", json!(self.request.assignee_id));
        }
        let actor = self.caller.actor();
        let event = save(
            conn,
            &self.before,
            &mut self.request,
            kind,
            &actor,
            self.now,
            Value::Object(self.data),
        )?;
        let event = if internal { event.internal() } else { event };
        tell(conn, Some(&self.before), &self.request, &event, readers)?;
        Ok(self.request)
    }
}

/// Whether a tenant can tell the two apart.
fn differs_for_tenant(before: &Request, after: &Request) -> bool {
    before.status != after.status
        || before.queue_id != after.queue_id
        || before.incident_id != after.incident_id
        || before.detached != after.detached
        || before.hold_reason != after.hold_reason
        || before.resolution_cause != after.resolution_cause
        || before.severity != after.severity
        || before.subject != after.subject
        || before.tags != after.tags
        || before.contact != after.contact
}

/// Saves a changed request, guarded by the revision it was loaded at, and gives the event to be recorded.
pub fn save(
    conn: &mut Connection,
    before: &Request,
    after: &mut Request,
    kind: EventKind,
    actor: &Actor,
    now: Moment,
    data: Value,
) -> Result<Event, Problem> {
    prepare(before, after, now);
    store::save(conn, after, before.revision)?;
    Ok(event(after, kind, actor, now, data))
}

/// Tells what happened to a request, in the transaction that makes it true: every change comes through here.
///
/// `before` is `None` for a request that is filed.
pub fn tell(
    conn: &mut Connection,
    before: Option<&Request>,
    after: &Request,
    event: &Event,
    readers: &[Reader],
) -> Result<(), Problem> {
    let is_other_due = sla::follow(conn, before, after, event)?;
    line::follow(conn, before, after, event, is_other_due)?;
    journal::record(conn, event, readers)
}

/// Counts a change.
pub fn prepare(before: &Request, after: &mut Request, now: Moment) {
    after.revision = before.revision + 1;
    after.assigned_off_duty &= after.assignee_id.is_some();
    after.updated_at = now;
    if differs_for_tenant(before, after) {
        after.version = before.version + 1;
    }
}

/// The event of a change that was counted.
pub fn event(request: &Request, kind: EventKind, actor: &Actor, now: Moment, data: Value) -> Event {
    let subject = (SubjectKind::Request, request.id);
    Event::new(
        kind,
        subject,
        (request.tenant_id, request.revision),
        (actor, now),
        data,
    )
}
