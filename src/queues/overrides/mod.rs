//! Changes of who works in a queue, for a time: somebody works besides the shifts, somebody does not though a shift says
//! so, or two people swap. Whom one adds and another removes works.

pub mod actions;
pub mod api;
pub mod store;

use diesel::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::span;
use crate::db::schema::roster_overrides;
use crate::db::{Moment, OverrideId, PersonId, QueueId};
use crate::schedule::roster::Override;

/// A change of who works in a queue, for a time.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = roster_overrides, treat_none_as_default_value = false)]
pub struct RosterOverride {
    /// Its id.
    pub id: OverrideId,
    /// In which queue.
    pub queue_id: QueueId,
    /// The first instant of it.
    pub starts_at: Moment,
    /// The first instant after it.
    pub ends_at: Moment,
    /// Who works then.
    pub added_id: Option<PersonId>,
    /// Who does not.
    pub removed_id: Option<PersonId>,
    /// Who entered it.
    pub author_id: PersonId,
    /// When it was entered.
    pub created_at: Moment,
}

impl RosterOverride {
    /// The override as the arithmetic knows it.
    pub(super) fn order(&self) -> Option<Override<PersonId>> {
        Some(Override {
            window: span::window(self.starts_at, self.ends_at)?,
            add: self.added_id,
            remove: self.removed_id,
        })
    }
}

/// A new override.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOverride {
    /// The first instant of it.
    #[garde(skip)]
    pub from: Moment,
    /// The first instant after it, at most 400 days later.
    #[garde(skip)]
    pub to: Moment,
    /// Who works then.
    #[serde(default)]
    #[garde(skip)]
    pub add: Option<PersonId>,
    /// Who does not work then.
    #[serde(default)]
    #[garde(skip)]
    pub remove: Option<PersonId>,
}

/// Somebody's time that another one works.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SwappedTime {
    /// Whose it is.
    #[garde(skip)]
    pub person_id: PersonId,
    /// The first instant of it.
    #[garde(skip)]
    pub from: Moment,
    /// The first instant after it, at most 400 days later.
    #[garde(skip)]
    pub to: Moment,
}

/// Two people who work for one another.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSwap {
    /// What the second one works for the first.
    #[garde(dive)]
    pub first: SwappedTime,
    /// What the first one works for the second.
    #[garde(dive)]
    pub second: SwappedTime,
}

/// An override as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OverrideView {
    /// Its id.
    pub id: OverrideId,
    /// The first instant of it.
    pub from: Moment,
    /// The first instant after it.
    pub to: Moment,
    /// Who works then.
    pub add: Option<PersonId>,
    /// Who does not.
    pub remove: Option<PersonId>,
    /// Who entered it.
    pub author_id: PersonId,
    /// When it was entered.
    pub created_at: Moment,
}

impl From<RosterOverride> for OverrideView {
    fn from(row: RosterOverride) -> Self {
        Self {
            id: row.id,
            from: row.starts_at,
            to: row.ends_at,
            add: row.added_id,
            remove: row.removed_id,
            author_id: row.author_id,
            created_at: row.created_at,
        }
    }
}

/// The two overrides of a swap.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SwapView {
    /// That of the first one's time, then that of the second one's.
    pub overrides: Vec<OverrideView>,
}
