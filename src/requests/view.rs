//! Requests, comments and histories as clients see them. What staff alone may see is decided here, once.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::lifecycle::Status;
use super::model::{Cause, Comment, Contact, HoldReason, Request, Visibility};
use super::sla::view::SlaView;
use super::{sla, store};
use crate::db::{CommentId, Connection, EventId, IncidentId, Moment, PersonId, QueueId, RequestId, TenantId};
use crate::identity::{Caller, Right};
use crate::incidents;
use crate::journal::{self, ActorView, Event, EventKind};
use crate::problem::Problem;
use crate::queues::routing::{Channel, Needs, Severity};

/// A person, as a request names it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PersonView {
    /// The id.
    pub id: PersonId,
    /// The name.
    pub name: String,
}

/// The incident of a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IncidentRef {
    /// Its id.
    pub id: IncidentId,
    /// What it is called.
    pub title: String,
    /// Where it stands.
    pub status: incidents::Status,
}

/// The queue of a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct QueueRef {
    /// Its id.
    pub id: QueueId,
    /// Its name.
    pub name: String,
}

/// How a request was resolved.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ResolutionView {
    /// Who resolved it.
    pub cause: Cause,
    /// When.
    pub at: Option<Moment>,
}

/// A request as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RequestView {
    /// Its id.
    pub id: RequestId,
    /// What people call it.
    pub reference: String,
    /// Where it stands.
    pub status: Status,
    /// How bad it is.
    pub severity: Severity,
    /// One line.
    pub subject: String,
    /// What is wrong.
    pub description: String,
    /// How it reached the desk.
    pub channel: Channel,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Who filed it.
    pub requester: PersonView,
    /// Whom to reach.
    pub contact: Contact,
    /// Addresses that hear of it too.
    pub watchers: Vec<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The incident it is bound to.
    pub incident: Option<IncidentRef>,
    /// Slug of the service.
    pub service: String,
    /// Slug of the region.
    pub region: String,
    /// The line it stands in.
    pub queue: QueueRef,
    /// How it was resolved.
    pub resolution: Option<ResolutionView>,
    /// What it waits for.
    pub hold_reason: Option<HoldReason>,
    /// Whether it no longer follows its incident.
    pub detached: bool,
    /// The closed request that it goes on with.
    pub follow_up_of: Option<RequestId>,
    /// How soon it is answered, and over: what was promised.
    pub sla: SlaView,
    /// Active incidents that it may be about, in the answer to filing without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matching_incidents: Option<Vec<IncidentId>>,
    /// Who works on it, for staff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<Option<PersonView>>,
    /// Whether staff keep it out of the cascade, for staff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
    /// What it asks of whoever works on it, for staff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
    /// When it was filed.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
    /// Counts the changes that the tenant sees.
    pub version: i32,
}

/// What the row of a request only has the id of.
pub struct Names {
    /// The queue's name.
    pub queue: String,
    /// Title and status of the incident.
    pub incident: Option<(String, incidents::Status)>,
    /// The assignee's name; asked for staff alone.
    pub assignee: Option<String>,
    /// The watchers.
    pub watchers: Vec<String>,
    /// The clocks.
    pub sla: SlaView,
}

impl RequestView {
    /// A row with its names; `staff` see more.
    pub fn new(row: Request, names: Names, staff: bool) -> Self {
        let incident = row.incident_id.zip(names.incident);
        let assignee = row
            .assignee_id
            .zip(names.assignee)
            .map(|(id, name)| PersonView { id, name });
        Self {
            requester: PersonView {
                id: row.requester_id,
                name: row.requester_name,
            },
            contact: serde_json::from_value(row.contact.0).unwrap_or_default(),
            watchers: names.watchers,
            tags: serde_json::from_value(row.tags.0).unwrap_or_default(),
            incident: incident.map(|(id, (title, status))| IncidentRef { id, title, status }),
            queue: QueueRef {
                id: row.queue_id,
                name: names.queue,
            },
            resolution: row.resolution_cause.map(|cause| ResolutionView {
                cause,
                at: row.resolved_at,
            }),
            assignee: staff.then_some(assignee),
            pinned: staff.then_some(row.pinned),
            needs: staff.then(|| serde_json::from_value(row.needs.0).unwrap_or_default()),
            matching_incidents: None,
            sla: names.sla,
            id: row.id,
            reference: row.reference,
            status: row.status,
            severity: row.severity,
            subject: row.subject,
            description: row.description,
            channel: row.channel,
            tenant_id: row.tenant_id,
            service: row.service,
            region: row.region,
            hold_reason: row.hold_reason,
            detached: row.detached,
            follow_up_of: row.follow_up_of,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

/// Requests that came with their names.
pub fn requests(
    conn: &mut Connection,
    caller: &Caller,
    rows: Vec<(Request, store::Named)>,
) -> Result<Vec<RequestView>, Problem> {
    let mut watchers = store::watchers_of(conn, &rows)?;
    let whose: Vec<_> = rows.iter().map(|(row, _)| (row.tenant_id, row.id)).collect();
    let mut clocks = sla::view::of(conn, &whose)?;
    let view = |(row, names): (Request, store::Named)| {
        let watchers = watchers.remove(&row.id).unwrap_or_default();
        let sla = clocks.remove(&row.id).unwrap_or_default();
        named(caller, row, names, (watchers, sla))
    };
    Ok(rows.into_iter().map(view).collect())
}

/// One request.
pub fn request(conn: &mut Connection, caller: &Caller, row: Request) -> Result<RequestView, Problem> {
    let names = store::names(conn, &row)?;
    let watchers = store::watchers(conn, &row)?;
    let sla = sla::view::of_one(conn, &row)?;
    Ok(named(caller, row, names, (watchers, sla)))
}

/// One request that came with its names.
pub fn named(
    caller: &Caller,
    row: Request,
    names: store::Named,
    (watchers, sla): (Vec<String>, SlaView),
) -> RequestView {
    let (queue, incident, assignee) = names;
    let names = Names {
        queue,
        incident,
        assignee,
        watchers,
        sla,
    };
    RequestView::new(row, names, caller.may(Right::SeeInternals))
}

/// A comment as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CommentView {
    /// Its id.
    pub id: CommentId,
    /// Who reads it.
    pub visibility: Visibility,
    /// The text.
    pub body: String,
    /// Who wrote it.
    pub author: ActorView,
    /// When.
    pub created_at: Moment,
}

/// A comment; `staff` see who wrote it.
pub fn comment(staff: bool, row: Comment) -> CommentView {
    CommentView {
        id: row.id,
        visibility: row.visibility,
        body: row.body,
        author: ActorView::of(staff, row.author_side, Some(row.author_id), row.author_name),
        created_at: row.created_at,
    }
}

/// An entry of a history as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EventView {
    /// Its id.
    pub id: EventId,
    /// Its place, from 1; internal ones leave gaps for a tenant.
    pub seq: i32,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: Moment,
    /// Who did it.
    pub actor: ActorView,
    /// What, from, to, why.
    pub data: Value,
}

/// An entry of a history; what is under `internal` in its data is for staff.
pub fn event(staff: bool, row: Event) -> EventView {
    EventView {
        id: row.id,
        seq: row.seq,
        kind: row.kind,
        at: row.at,
        actor: ActorView::of(staff, row.actor_side, row.actor_id, row.actor_name),
        data: journal::view::data(staff, row.data.0),
    }
}
