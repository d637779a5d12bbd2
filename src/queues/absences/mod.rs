//! When somebody does not work, in whatever queue: leave, illness, a holiday. An agent enters their own, a lead
//! anybody's. It goes before whatever else says that they work.

pub mod actions;
pub mod api;
pub mod store;

use diesel::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::db::schema::absences;
use crate::db::{AbsenceId, Moment, PersonId};
use crate::text;

/// A time in which somebody does not work.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = absences, treat_none_as_default_value = false)]
pub struct Absence {
    /// Its id.
    pub id: AbsenceId,
    /// Who.
    pub person_id: PersonId,
    /// The first instant of it.
    pub starts_at: Moment,
    /// The first instant after it.
    pub ends_at: Moment,
    /// Why.
    pub reason: Option<String>,
    /// Who entered it.
    pub author_id: PersonId,
    /// When it was entered.
    pub created_at: Moment,
}

/// A new absence.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAbsence {
    /// Who; somebody who works in the queue.
    #[garde(skip)]
    pub person_id: PersonId,
    /// The first instant of it.
    #[garde(skip)]
    pub from: Moment,
    /// The first instant after it, at most 400 days later.
    #[garde(skip)]
    pub to: Moment,
    /// Why.
    #[serde(default)]
    #[garde(inner(custom(text::line::<200>)))]
    pub reason: Option<String>,
}

/// An absence as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AbsenceView {
    /// Its id.
    pub id: AbsenceId,
    /// Who.
    pub person_id: PersonId,
    /// The first instant of it.
    pub from: Moment,
    /// The first instant after it.
    pub to: Moment,
    /// Why.
    pub reason: Option<String>,
    /// Who entered it.
    pub author_id: PersonId,
    /// When it was entered.
    pub created_at: Moment,
}

impl From<Absence> for AbsenceView {
    fn from(absence: Absence) -> Self {
        Self {
            id: absence.id,
            person_id: absence.person_id,
            from: absence.starts_at,
            to: absence.ends_at,
            reason: absence.reason,
            author_id: absence.author_id,
            created_at: absence.created_at,
        }
    }
}
