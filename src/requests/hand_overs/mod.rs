//! Handing a queue over: when somebody's shift ends, the team that comes is told how much is open, what is due soon and
//! the last words of the one that goes. A member acknowledges it.
//!
//! What somebody had in progress is taken back in `line/hand_over.rs`; this is what is said about it.

pub mod actions;
pub mod api;
pub mod digest;
pub mod store;

use diesel::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::db::schema::{hand_overs, last_words};
use crate::db::{HandOverId, Json, LastWordId, Moment, PersonId, QueueId, RequestId};
use crate::requests::view::PersonView;
use crate::sla::Clock;
use crate::text;

/// What a team is told by the one before it: the row is the model.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = hand_overs, treat_none_as_default_value = false)]
pub struct HandOver {
    /// Its id.
    pub id: HandOverId,
    /// The queue.
    pub queue_id: QueueId,
    /// When the team changed.
    pub at: Moment,
    /// Who went: a list of [`PersonView`].
    pub leaves: Json,
    /// Who is there then: a list of [`PersonView`].
    pub comes: Json,
    /// How many requests were open.
    pub open_requests: i32,
    /// How many of them were handed over, and wait.
    pub handed_over: i32,
    /// How many deadlines were less than eight hours away.
    pub due_soon_count: i32,
    /// The first of them: a list of [`DueSoon`].
    pub due_soon: Json,
    /// What was said: a list of [`Said`].
    pub last_words: Json,
    /// Who took note of it.
    pub acknowledged_by: Option<PersonId>,
    /// The name.
    pub acknowledged_name: Option<String>,
    /// When.
    pub acknowledged_at: Option<Moment>,
}

/// A deadline that comes soon.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DueSoon {
    /// The request.
    pub id: RequestId,
    /// What people call it.
    pub reference: String,
    /// Which clock.
    pub clock: Clock,
    /// When it is due.
    pub due_at: Moment,
}

/// Something that was said to the next team.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Said {
    /// Who said it.
    pub author: String,
    /// What.
    pub body: String,
    /// When.
    pub at: Moment,
}

/// Something that is to be said to the next team: the row is the model.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = last_words)]
pub struct LastWord {
    /// Its id.
    pub id: LastWordId,
    /// The queue.
    pub queue_id: QueueId,
    /// Who said it.
    pub author_id: PersonId,
    /// The name then.
    pub author_name: String,
    /// What.
    pub body: String,
    /// When.
    pub at: Moment,
}

/// What is to be said to the next team.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLastWords {
    /// The words.
    #[garde(custom(text::body::<20_000>))]
    pub body: String,
}

/// A hand-over as staff see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HandOverView {
    /// Its id.
    pub id: HandOverId,
    /// When the team changed.
    pub at: Moment,
    /// Who went.
    pub leaves: Vec<PersonView>,
    /// Who was there then.
    pub comes: Vec<PersonView>,
    /// How many requests were open.
    pub open_requests: i32,
    /// How many of them were handed over, and waited.
    pub handed_over: i32,
    /// How many deadlines were less than eight hours away.
    pub due_soon_count: i32,
    /// The first twenty of them.
    pub due_soon: Vec<DueSoon>,
    /// The last words of those who went.
    pub last_words: Vec<Said>,
    /// Who took note of it; null while nobody has.
    pub acknowledged_by: Option<PersonView>,
    /// When.
    pub acknowledged_at: Option<Moment>,
}

impl From<HandOver> for HandOverView {
    fn from(row: HandOver) -> Self {
        let by = row.acknowledged_by.zip(row.acknowledged_name);
        Self {
            id: row.id,
            at: row.at,
            leaves: listed(row.leaves),
            comes: listed(row.comes),
            open_requests: row.open_requests,
            handed_over: row.handed_over,
            due_soon_count: row.due_soon_count,
            due_soon: listed(row.due_soon),
            last_words: listed(row.last_words),
            acknowledged_by: by.map(|(id, name)| PersonView { id, name }),
            acknowledged_at: row.acknowledged_at,
        }
    }
}

/// A list that was written here.
fn listed<T: serde::de::DeserializeOwned>(list: Json) -> Vec<T> {
    serde_json::from_value(list.0).unwrap_or_default()
}
