//! Requests, comments and watchers as rows, and the forms that make and change them.

use diesel::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::lifecycle::Status;
use crate::db::schema::{request_comments, service_requests};
use crate::db::{CommentId, IncidentId, Json, Moment, PersonId, QueueId, RequestId, TenantId, text_enum};
use crate::journal::Side;
use crate::queues::routing::{Channel, Severity};
use crate::text;

text_enum! {
    /// Who resolved a request.
    Cause { Agent = "agent", Incident = "incident", Requester = "requester" }
}

text_enum! {
    /// What a held request waits for.
    HoldReason { Incident = "incident", Vendor = "vendor", Change = "change" }
}

text_enum! {
    /// Who reads a comment.
    #[derive(Default)]
    Visibility {
        /// Tenant and staff.
        #[default]
        Public = "public",
        /// Staff alone.
        Internal = "internal",
    }
}

/// A tenant's case.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = service_requests, primary_key(tenant_id, id), treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Request {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: RequestId,
    /// What people call it.
    pub reference: String,
    /// Counts every change; the number of its last event; guards every save.
    pub revision: i32,
    /// Counts the changes that the tenant sees.
    pub version: i32,
    /// Where it stands.
    pub status: Status,
    /// Whether it is still somebody's work.
    pub is_open: bool,
    /// Who resolved it.
    pub resolution_cause: Option<Cause>,
    /// What it waits for.
    pub hold_reason: Option<HoldReason>,
    /// The incident it is bound to.
    pub incident_id: Option<IncidentId>,
    /// Which resolution of the incident it followed.
    pub incident_resolution: Option<i32>,
    /// Whether staff keep it out of the cascade.
    pub pinned: bool,
    /// Whether it no longer follows the incident.
    pub detached: bool,
    /// The service.
    pub service: String,
    /// The region.
    pub region: String,
    /// How bad it is.
    pub severity: Severity,
    /// One line.
    pub subject: String,
    /// What is wrong.
    pub description: String,
    /// How it reached the desk.
    pub channel: Channel,
    /// Who filed it.
    pub requester_id: PersonId,
    /// Whom to reach: a [`Contact`].
    pub contact: Json,
    /// Its tags: a list of texts.
    pub tags: Json,
    /// The line it stands in.
    pub queue_id: QueueId,
    /// Who works on it.
    pub assignee_id: Option<PersonId>,
    /// The closed request that it goes on with.
    pub follow_up_of: Option<RequestId>,
    /// When it was last resolved.
    pub resolved_at: Option<Moment>,
    /// When it was filed.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
    /// The requester's name then.
    pub requester_name: String,
    /// What it asks of whoever works on it: `queues::routing::Needs`, by the rule that routed it.
    pub needs: Json,
    /// Whether it was given to somebody off duty: then no end of a shift takes it back.
    pub assigned_off_duty: bool,
}

impl Request {
    /// Whether anybody adds anything to it any more.
    pub fn takes_words(&self) -> bool {
        self.is_open || self.status == Status::Resolved
    }
}

/// A comment.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = request_comments)]
pub struct Comment {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: CommentId,
    /// The request.
    pub request_id: RequestId,
    /// Who reads it.
    pub visibility: Visibility,
    /// The text.
    pub body: String,
    /// Who wrote it.
    pub author_id: PersonId,
    /// The author's name then.
    pub author_name: String,
    /// The author's side.
    pub author_side: Side,
    /// When.
    pub created_at: Moment,
}

/// Whom to reach about a request; what is left out is the requester's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Contact {
    /// The name.
    #[garde(inner(custom(text::line::<200>)))]
    pub name: Option<String>,
    /// The address.
    #[garde(inner(custom(text::email)))]
    pub email: Option<String>,
    /// The telephone number.
    #[garde(inner(custom(text::line::<50>)))]
    pub telephone: Option<String>,
    /// The language.
    #[garde(inner(custom(text::locale)))]
    pub language: Option<String>,
    /// The IANA time zone.
    #[garde(inner(custom(text::time_zone)))]
    pub time_zone: Option<String>,
}

/// On whose behalf staff file.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRequester {
    /// The address.
    #[garde(custom(text::email))]
    pub email: String,
    /// The name.
    #[garde(custom(text::line::<200>))]
    pub name: String,
}

/// A new request.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRequest {
    /// The incident it is about, or `null` when there is none yet. Must be there.
    #[serde(deserialize_with = "Option::deserialize")]
    #[garde(skip)]
    pub incident_id: Option<IncidentId>,
    /// How bad it is.
    #[garde(skip)]
    pub severity: Severity,
    /// One line.
    #[garde(custom(text::line::<200>))]
    pub subject: String,
    /// What is wrong.
    #[garde(custom(text::body::<20_000>))]
    pub description: String,
    /// The service; needed without an incident, and with one where more than one fits.
    #[serde(default)]
    #[garde(inner(custom(text::slug)))]
    pub service: Option<String>,
    /// The region; the same.
    #[serde(default)]
    #[garde(inner(custom(text::slug)))]
    pub region: Option<String>,
    /// Whom to reach; the requester when left out.
    #[serde(default, deserialize_with = "crate::http::body::object_or_null")]
    #[garde(dive)]
    pub contact: Option<Contact>,
    /// Addresses that hear of it too.
    #[serde(default)]
    #[garde(length(max = 100), inner(custom(text::email)))]
    pub watchers: Vec<String>,
    /// Words to find it by.
    #[serde(default)]
    #[garde(length(max = 20), inner(custom(text::line::<50>)))]
    pub tags: Vec<String>,
    /// How it reached the desk; `admin_center` when left out.
    #[serde(default)]
    #[garde(skip)]
    pub channel: Option<Channel>,
    /// The closed request that it goes on with.
    #[serde(default)]
    #[garde(skip)]
    pub follow_up_of: Option<RequestId>,
    /// From staff: the tenant. Not from a tenant's caller.
    #[serde(default)]
    #[garde(skip)]
    pub tenant_id: Option<TenantId>,
    /// From staff: on whose behalf. Not from a tenant's caller.
    #[serde(default)]
    #[garde(dive)]
    pub requester: Option<NewRequester>,
}

/// What is changed of a request; what is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Changes {
    /// How bad it is.
    #[garde(skip)]
    pub severity: Option<Severity>,
    /// One line.
    #[garde(inner(custom(text::line::<200>)))]
    pub subject: Option<String>,
    /// Words to find it by, all of them.
    #[garde(inner(length(max = 20), inner(custom(text::line::<50>))))]
    pub tags: Option<Vec<String>>,
    /// Whom to reach.
    #[serde(deserialize_with = "crate::http::body::object_or_null")]
    #[garde(dive)]
    pub contact: Option<Contact>,
}

/// A comment to be made.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewComment {
    /// The text.
    #[garde(custom(text::body::<20_000>))]
    pub body: String,
    /// Who reads it.
    #[serde(default)]
    #[garde(skip)]
    pub visibility: Visibility,
}

/// A text that may go with a change of state, as a public comment.
#[derive(Clone, Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Note {
    /// The text.
    #[garde(inner(custom(text::body::<20_000>)))]
    pub body: Option<String>,
}

/// The answer to a request.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// A public comment.
    #[garde(custom(text::body::<20_000>))]
    pub body: String,
}

/// Who shall work on it.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// An agent.
    #[garde(skip)]
    pub assignee_id: PersonId,
}

/// Which line it shall stand in, and why.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferTo {
    /// The queue.
    #[garde(skip)]
    pub queue_id: QueueId,
    /// Why.
    #[garde(custom(text::line::<1000>))]
    pub reason: String,
}

/// What it waits for.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// What it waits for.
    #[garde(skip)]
    pub reason: HoldReason,
    /// A public comment.
    #[serde(default)]
    #[garde(inner(custom(text::body::<20_000>)))]
    pub body: Option<String>,
}

/// Why it is none.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rejection {
    /// Why.
    #[garde(custom(text::line::<1000>))]
    pub reason: String,
}

/// Which incident it shall be bound to.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// An active incident that affects the tenant.
    #[garde(skip)]
    pub incident_id: IncidentId,
}

/// Addresses that hear of a request.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Watchers {
    /// The addresses.
    #[garde(length(min = 1, max = 100), inner(custom(text::email)))]
    pub watchers: Vec<String>,
}
