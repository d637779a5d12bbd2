//! The verbs of incidents. Each locks the incident exclusively, decides, saves, and in the same transaction writes
//! the event and, where the public hears of it, the broadcast.

mod amend;
mod merge;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::lifecycle::{self, Call, Refusal, Status};
use super::model::{
    CascadeState, Incident, NewIncident, NewUpdate, Publish, Requests, Resolve, Statement, Update,
};
use super::promise;
use super::store::{self, WithBroadcast};
use crate::db::{Connection, EventId, Id, IncidentId, Moment, PROVIDER, lock};
use crate::identity::{self, Caller, Right};
use crate::journal::{self, Event, EventKind, SubjectKind};
use crate::mail::{self, Broadcast, BroadcastKind};
use crate::problem::{Code, Problem};
use crate::text;

pub use amend::amend;
pub use merge::merge;

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = format!("the incident is {}", refusal.from);
        Self::new(Code::TransitionNotAllowed, detail).with("allowed", refusal.allowed)
    }
}

/// Opens an incident, or writes its draft.
pub fn open(conn: &mut Connection, caller: &Caller, form: &NewIncident) -> Result<WithBroadcast, Problem> {
    caller.require(Right::ManageIncidents)?;
    let status = form.status.unwrap_or(Status::Investigating);
    if status != Status::Draft && !status.is_active() {
        let detail = "must be draft, investigating, identified or monitoring";
        return Err(Problem::invalid("/status", detail));
    }
    let (services, regions) = (text::unique(&form.services), text::unique(&form.regions));
    identity::actions::tenant::known_slugs(conn, &regions, &services)?;
    if let Some(follows) = form.follows
        && store::visible(conn, caller.scope(), false, follows)?.is_none()
    {
        return Err(Problem::invalid(
            "/follows",
            "there is no such published incident",
        ));
    }
    let now = caller.now();
    let started_at = began(form.started_at.unwrap_or(now), now)?;
    let incident = Incident {
        id: Id::at(now),
        title: form.title.trim().to_owned(),
        impact: form.impact,
        status,
        standing: status.standing(),
        started_at,
        resolved_at: None,
        follows: form.follows,
        duplicate_of: None,
        next_update_by: None,
        last_seq: 1,
        resolution: 0,
        cascade_state: CascadeState::None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    store::create(conn, &incident, &services, &regions)?;
    let entry = Entry {
        body: form.body.clone(),
        next_update_by: None,
        corrects: None,
    };
    let (kind, broadcast) = match status {
        Status::Draft => (EventKind::IncidentDrafted, None),
        _ => (EventKind::IncidentOpened, Some(BroadcastKind::Opened)),
    };
    let data = json!({
        "title": incident.title, "status": incident.status, "to": incident.status, "impact": incident.impact,
        "services": services, "regions": regions, "started_at": incident.started_at, "follows": incident.follows,
    });
    let told = tell(conn, caller, &incident, Some(entry), (kind, data), broadcast, now)?;
    Ok((incident, told))
}

/// When an incident began: not in the future, but for clocks that differ.
fn began(at: Moment, now: Moment) -> Result<Moment, Problem> {
    match at > now.plus(TimeDelta::minutes(5)) {
        true => Err(Problem::invalid("/started_at", "must not be in the future")),
        false => Ok(at),
    }
}

/// Makes a draft public.
pub fn publish(
    conn: &mut Connection,
    caller: &Caller,
    id: IncidentId,
    form: &Publish,
) -> Result<WithBroadcast, Problem> {
    let mut change = Change::begin(conn, caller, id)?;
    change.if_match_required()?;
    let to = form.status.unwrap_or(Status::Investigating);
    change.transition(to, Call::Publish)?;
    let draft = store::last_update(conn, id)?
        .map(|update| update.body)
        .unwrap_or_default();
    let body = form.body.clone().unwrap_or(draft);
    change.commit(
        conn,
        Some(Entry::of(body)),
        EventKind::IncidentPublished,
        Some(BroadcastKind::Opened),
    )
}

/// Adds to the timeline, and may change the active status.
pub fn update(
    conn: &mut Connection,
    caller: &Caller,
    id: IncidentId,
    form: &NewUpdate,
) -> Result<WithBroadcast, Problem> {
    let mut change = Change::begin(conn, caller, id)?;
    if form.status.is_some() {
        change.if_match_required()?;
    } else {
        // Not needed, and looked at where it is given (RFC 9110 §13.1.1).
        let incident = &change.incident;
        caller
            .if_match
            .check(incident.version, incident.status.as_str())?;
    }
    let to = form.status.unwrap_or(change.incident.status);
    change.transition(to, Call::Update)?;
    if form.next_update_by.is_some_and(|at| at <= change.now) {
        return Err(Problem::invalid("/next_update_by", "must be in the future"));
    }
    if let Some(seq) = form.corrects
        && store::update_at(conn, id, seq)?.is_none()
    {
        return Err(Problem::invalid("/corrects", format!("there is no update {seq}")));
    }
    change.incident.next_update_by = form.next_update_by;
    let entry = Entry {
        body: form.body.clone(),
        next_update_by: form.next_update_by,
        corrects: form.corrects,
    };
    change.commit(
        conn,
        Some(entry),
        EventKind::IncidentUpdated,
        Some(BroadcastKind::Updated),
    )
}

/// Ends an incident; its requests follow behind the call, unless they are kept.
pub fn resolve(
    conn: &mut Connection,
    caller: &Caller,
    id: IncidentId,
    form: &Resolve,
) -> Result<WithBroadcast, Problem> {
    let mut change = Change::begin(conn, caller, id)?;
    change.if_match_required()?;
    change.transition(Status::Resolved, Call::Resolve)?;
    let incident = &mut change.incident;
    incident.resolved_at = Some(change.now);
    incident.next_update_by = None;
    incident.resolution += 1;
    incident.cascade_state = match form.requests {
        Requests::Resolve => CascadeState::Running,
        Requests::Keep => CascadeState::None,
    };
    change.commit(
        conn,
        Some(Entry::of(form.body.clone())),
        EventKind::IncidentResolved,
        Some(BroadcastKind::Resolved),
    )
}

/// Opens a resolved incident again, inside the window; requests that followed it come back behind the call.
pub fn reopen(
    conn: &mut Connection,
    caller: &Caller,
    id: IncidentId,
    form: &Statement,
    window: TimeDelta,
) -> Result<WithBroadcast, Problem> {
    let mut change = Change::begin(conn, caller, id)?;
    change.if_match_required()?;
    change.transition(Status::Investigating, Call::Reopen)?;
    let incident = &mut change.incident;
    if incident
        .resolved_at
        .is_none_or(|at| change.now.since(at) > window)
    {
        return Err(Problem::new(
            Code::WindowExpired,
            "it was resolved too long ago; open one that follows it",
        ));
    }
    incident.resolved_at = None;
    if incident.cascade_state != CascadeState::None {
        incident.cascade_state = CascadeState::Running;
    }
    change.commit(
        conn,
        Some(Entry::of(form.body.clone())),
        EventKind::IncidentReopened,
        Some(BroadcastKind::Reopened),
    )
}

/// Says that nothing was wrong; requests stay open, detached.
pub fn false_positive(
    conn: &mut Connection,
    caller: &Caller,
    id: IncidentId,
    form: &Statement,
) -> Result<WithBroadcast, Problem> {
    let mut change = Change::begin(conn, caller, id)?;
    change.if_match_required()?;
    change.transition(Status::FalsePositive, Call::FalsePositive)?;
    change.incident.next_update_by = None;
    change.incident.cascade_state = CascadeState::Running;
    change.commit(
        conn,
        Some(Entry::of(form.body.clone())),
        EventKind::IncidentFalsePositive,
        Some(BroadcastKind::FalsePositive),
    )
}

/// Publishes the post-incident report.
pub fn report(
    conn: &mut Connection,
    caller: &Caller,
    id: IncidentId,
    form: &Statement,
) -> Result<WithBroadcast, Problem> {
    let mut change = Change::begin(conn, caller, id)?;
    change.if_match_required()?;
    change.transition(Status::Reviewed, Call::Report)?;
    change.commit(
        conn,
        Some(Entry::of(form.body.clone())),
        EventKind::IncidentReported,
        Some(BroadcastKind::Reported),
    )
}

/// Throws a draft away.
pub fn cancel(conn: &mut Connection, caller: &Caller, id: IncidentId) -> Result<WithBroadcast, Problem> {
    let mut change = Change::begin(conn, caller, id)?;
    change.if_match_required()?;
    change.transition(Status::Cancelled, Call::Cancel)?;
    change.commit(conn, None, EventKind::IncidentCancelled, None)
}

/// What an entry of the timeline says.
struct Entry {
    body: String,
    next_update_by: Option<Moment>,
    corrects: Option<i32>,
}

impl Entry {
    fn of(body: String) -> Self {
        Self {
            body,
            next_update_by: None,
            corrects: None,
        }
    }
}

/// An incident under its lock, being changed.
struct Change<'a> {
    caller: &'a Caller,
    before: Status,
    incident: Incident,
    now: Moment,
    /// Something more for the event.
    note: Option<(&'static str, Value)>,
}

impl<'a> Change<'a> {
    /// Allows, locks, loads. The time is asked under the lock: later than whatever was filed before.
    fn begin(conn: &mut Connection, caller: &'a Caller, id: IncidentId) -> Result<Self, Problem> {
        caller.require(Right::ManageIncidents)?;
        lock::exclusive(conn, lock::Key::of(id))?;
        let incident = store::visible(conn, caller.scope(), caller.may(Right::ReadDrafts), id)?;
        let incident = incident.ok_or_else(|| Problem::not_found("incident"))?;
        Ok(Self {
            caller,
            before: incident.status,
            incident,
            now: caller.now(),
            note: None,
        })
    }

    fn if_match_required(&self) -> Result<(), Problem> {
        self.caller
            .if_match
            .require(self.incident.version, self.incident.status.as_str())
    }

    fn transition(&mut self, to: Status, call: Call) -> Result<(), Problem> {
        self.incident.status = lifecycle::check(self.incident.status, to, call)?;
        self.incident.standing = self.incident.status.standing();
        Ok(())
    }

    fn commit(
        mut self,
        conn: &mut Connection,
        entry: Option<Entry>,
        kind: EventKind,
        broadcast: Option<BroadcastKind>,
    ) -> Result<WithBroadcast, Problem> {
        let loaded = self.incident.last_seq;
        self.incident.last_seq += 1;
        self.incident.version += 1;
        self.incident.updated_at = self.now;
        store::save(conn, &self.incident, loaded)?;
        let (title, from, to) = (&self.incident.title, self.before, self.incident.status);
        let mut data = match from == to {
            true => json!({"title": title, "status": to}),
            false => json!({"title": title, "status": to, "from": from, "to": to}),
        };
        if let (Some((key, value)), Some(data)) = (self.note.take(), data.as_object_mut()) {
            data.insert(key.to_owned(), value);
        }
        let made = tell(
            conn,
            self.caller,
            &self.incident,
            entry,
            (kind, data),
            broadcast,
            self.now,
        )?;
        Ok((self.incident, made))
    }
}

/// Writes the entry of the timeline, the event and the broadcast.
fn tell(
    conn: &mut Connection,
    caller: &Caller,
    incident: &Incident,
    entry: Option<Entry>,
    (kind, data): (EventKind, Value),
    broadcast: Option<BroadcastKind>,
    now: Moment,
) -> Result<Option<EventId>, Problem> {
    if let Some(Entry {
        body,
        next_update_by,
        corrects,
    }) = entry
    {
        let update = Update {
            incident_id: incident.id,
            seq: incident.last_seq,
            at: now,
            status: incident.status,
            body,
            author_id: caller.person(),
            next_update_by,
            corrects,
        };
        store::add_update(conn, &update)?;
    }
    promise::follow(conn, incident, now)?;
    let event = Event::new(
        kind,
        (SubjectKind::Incident, incident.id),
        (PROVIDER, incident.last_seq),
        (&caller.actor(), now),
        data,
    );
    journal::record(conn, &event, &[])?;
    let Some(kind) = broadcast else { return Ok(None) };
    let row = Broadcast::new(event.id, incident.id, kind, incident.last_seq, now);
    mail::broadcasts::create(conn, &row)?;
    Ok(Some(event.id))
}
