//! Leave for a queue to have gaps: until when, and why. The only way round the proof, and in the audit.

pub mod actions;
pub mod api;
pub mod store;

use diesel::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::db::schema::coverage_waivers;
use crate::db::{Moment, PersonId, QueueId, WaiverId};
use crate::text;

/// Leave for a queue to have gaps.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = coverage_waivers, treat_none_as_default_value = false)]
pub struct Waiver {
    /// Its id.
    pub id: WaiverId,
    /// Which queue.
    pub queue_id: QueueId,
    /// Gaps before this instant are let through.
    pub ends_at: Moment,
    /// Why.
    pub reason: String,
    /// Who granted it.
    pub author_id: PersonId,
    /// When it was granted.
    pub created_at: Moment,
}

/// A new waiver.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWaiver {
    /// Gaps before this instant are let through; within 400 days.
    #[garde(skip)]
    pub until: Moment,
    /// Why.
    #[garde(custom(text::line::<500>))]
    pub reason: String,
}

/// A waiver as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WaiverView {
    /// Its id.
    pub id: WaiverId,
    /// Gaps before this instant are let through.
    pub until: Moment,
    /// Why.
    pub reason: String,
    /// Who granted it.
    pub author_id: PersonId,
    /// When it was granted.
    pub created_at: Moment,
}

impl From<Waiver> for WaiverView {
    fn from(waiver: Waiver) -> Self {
        Self {
            id: waiver.id,
            until: waiver.ends_at,
            reason: waiver.reason,
            author_id: waiver.author_id,
            created_at: waiver.created_at,
        }
    }
}
