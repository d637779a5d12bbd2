//! Incidents and their timeline, as rows and as clients see them.

use diesel::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::lifecycle::Status;
use super::promise::PromiseView;
use super::rehearsal::Preview;
use crate::db::schema::{incident_updates, incidents};
use crate::db::{IncidentId, Moment, PersonId, text_enum};
use crate::text;

text_enum! {
    /// How bad it is for users of the service.
    Impact { Advisory = "advisory", Degradation = "degradation", Interruption = "interruption" }
}

text_enum! {
    /// Whether requests are following the incident's state right now.
    CascadeState { None = "none", Running = "running", Finished = "finished" }
}

/// Something wrong with services in regions.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = incidents, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// What it is called.
    pub title: String,
    /// How bad it is.
    pub impact: Impact,
    /// Where it stands.
    pub status: Status,
    /// What sorts the list: see [`Status::standing`].
    pub standing: i16,
    /// When it began.
    pub started_at: Moment,
    /// When it was last resolved.
    pub resolved_at: Option<Moment>,
    /// The earlier incident whose problem came back.
    pub follows: Option<IncidentId>,
    /// The incident it is tracked as.
    pub duplicate_of: Option<IncidentId>,
    /// When the next update is promised.
    pub next_update_by: Option<Moment>,
    /// Number of its last event.
    pub last_seq: i32,
    /// How often it has been resolved: which resolution a request followed.
    pub resolution: i32,
    /// Whether its requests are following.
    pub cascade_state: CascadeState,
    /// Counts changes that tenants see.
    pub version: i32,
    /// When it was made.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
}

/// One entry of the timeline; never changed.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = incident_updates, treat_none_as_default_value = false)]
pub struct Update {
    /// The incident.
    pub incident_id: IncidentId,
    /// Its place, the number of the event that made it.
    pub seq: i32,
    /// When.
    pub at: Moment,
    /// The status from then on.
    pub status: Status,
    /// What the public reads.
    pub body: String,
    /// Who wrote it; staff see that.
    pub author_id: PersonId,
    /// When the next update is promised.
    pub next_update_by: Option<Moment>,
    /// The earlier update that this one corrects.
    pub corrects: Option<i32>,
}

/// A new incident.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIncident {
    /// What it is called.
    #[garde(custom(text::line::<200>))]
    pub title: String,
    /// How bad it is.
    #[garde(skip)]
    pub impact: Impact,
    /// Slugs of the services hit.
    #[garde(length(min = 1, max = 500), inner(custom(text::slug)))]
    pub services: Vec<String>,
    /// Slugs of the regions hit.
    #[garde(length(min = 1, max = 100), inner(custom(text::slug)))]
    pub regions: Vec<String>,
    /// The first public text.
    #[garde(custom(text::body::<20_000>))]
    pub body: String,
    /// `draft` or an active one; `investigating` when left out.
    #[serde(default)]
    #[garde(skip)]
    pub status: Option<Status>,
    /// When it began; now when left out.
    #[serde(default)]
    #[garde(skip)]
    pub started_at: Option<Moment>,
    /// The earlier incident whose problem came back.
    #[serde(default)]
    #[garde(skip)]
    pub follows: Option<IncidentId>,
}

/// What changes of a draft or an active incident; what is left out stays.
#[derive(Clone, Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Amendment {
    /// What it is called.
    #[garde(inner(custom(text::line::<200>)))]
    pub title: Option<String>,
    /// How bad it is.
    #[garde(skip)]
    pub impact: Option<Impact>,
    /// When it began.
    #[garde(skip)]
    pub started_at: Option<Moment>,
    /// Slugs of all the services hit.
    #[garde(inner(length(min = 1, max = 500), inner(custom(text::slug))))]
    pub services: Option<Vec<String>>,
    /// Slugs of all the regions hit.
    #[garde(inner(length(min = 1, max = 100), inner(custom(text::slug))))]
    pub regions: Option<Vec<String>>,
    /// What the public reads about it; of a draft, its text from now on. Required where an active incident affects other
    /// services or regions than it did: whoever was told of it is told that.
    #[garde(inner(custom(text::body::<20_000>)))]
    pub body: Option<String>,
}

/// A draft becoming public.
#[derive(Clone, Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Publish {
    /// An active one; `investigating` when left out.
    #[garde(skip)]
    pub status: Option<Status>,
    /// The first public text; the draft's when left out.
    #[garde(inner(custom(text::body::<20_000>)))]
    pub body: Option<String>,
}

/// An update of the timeline.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUpdate {
    /// What the public reads.
    #[garde(custom(text::body::<20_000>))]
    pub body: String,
    /// The active status from now on.
    #[serde(default)]
    #[garde(skip)]
    pub status: Option<Status>,
    /// When the next update is promised; in the future.
    #[serde(default)]
    #[garde(skip)]
    pub next_update_by: Option<Moment>,
    /// The earlier update that this one corrects.
    #[serde(default)]
    #[garde(skip)]
    pub corrects: Option<i32>,
}

/// What happens to the requests of an incident that is resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Requests {
    /// They follow; those of a duplicate move to what it goes on as.
    #[default]
    Resolve,
    /// They stay as they are.
    Keep,
}

/// The end of an incident.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolve {
    /// What the public reads.
    #[garde(custom(text::body::<20_000>))]
    pub body: String,
    /// What happens to its requests.
    #[serde(default)]
    #[garde(skip)]
    pub requests: Requests,
}

/// An incident that turns out to be another one.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// What the public reads.
    #[garde(custom(text::body::<20_000>))]
    pub body: String,
    /// The one that it goes on as: active, and affecting whoever was told of this one.
    #[garde(skip)]
    pub of: IncidentId,
    /// What happens to its requests.
    #[serde(default)]
    #[garde(skip)]
    pub requests: Requests,
}

/// A text that goes with a change of state.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// What the public reads.
    #[garde(custom(text::body::<20_000>))]
    pub body: String,
}

/// An entry of the timeline as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UpdateView {
    /// Its number; they grow, with gaps.
    pub seq: i32,
    /// When.
    pub at: Moment,
    /// The status from then on.
    pub status: Status,
    /// What the public reads.
    pub body: String,
    /// When the next update is promised.
    pub next_update_by: Option<Moment>,
    /// The earlier update that this one corrects.
    pub corrects: Option<i32>,
    /// Who wrote it, for staff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<AuthorView>,
}

/// Who wrote something.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AuthorView {
    /// The person.
    pub id: PersonId,
    /// The name.
    pub name: String,
}

/// How far the requests of an incident have followed it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CascadeView {
    /// Whether they are following.
    pub state: CascadeState,
    /// Requests that followed the last resolution; a tenant sees its own.
    pub done: i64,
    /// Requests that still will; a tenant sees its own.
    pub remaining: i64,
}

/// An incident as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IncidentView {
    /// Its id.
    pub id: IncidentId,
    /// What it is called.
    pub title: String,
    /// Where it stands.
    pub status: Status,
    /// How bad it is.
    pub impact: Impact,
    /// Slugs of the services hit.
    pub services: Vec<String>,
    /// Slugs of the regions hit.
    pub regions: Vec<String>,
    /// When it began.
    pub started_at: Moment,
    /// When it was last resolved.
    pub resolved_at: Option<Moment>,
    /// The earlier incident whose problem came back.
    pub follows: Option<IncidentId>,
    /// The incident it is tracked as.
    pub duplicate_of: Option<IncidentId>,
    /// When the next update is promised.
    pub next_update_by: Option<Moment>,
    /// How it stands with that promise, for staff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promise: Option<Option<PromiseView>>,
    /// How far its requests have followed it.
    pub cascade: CascadeView,
    /// The public timeline, in order.
    pub updates: Vec<UpdateView>,
    /// The broadcast that this call made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broadcast_id: Option<crate::db::EventId>,
    /// What the call would have sent, had it not only been tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// Counts changes.
    pub version: i32,
    /// When it was made.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
}
