//! Shifts on which teams take turns, as they are sent, shown and kept.

use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::Shift;
use crate::db::PersonId;
use crate::schedule::Turn;

/// Teams that take turns, some weeks each; weeks begin on Monday.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// How many weeks a turn takes, from 1 to 52.
    #[garde(range(min = 1, max = 52))]
    pub weeks: i32,
    /// A local day in the week that begins the turn of the first team.
    #[garde(skip)]
    #[schema(value_type = String, format = Date)]
    pub from: NaiveDate,
    /// The teams, in the order of their turns.
    #[garde(length(min = 1, max = 52), inner(length(min = 1, max = 500)))]
    pub teams: Vec<Vec<PersonId>>,
}

impl Rotation {
    /// How many teams there are.
    pub fn count(&self) -> i32 {
        i32::try_from(self.teams.len()).unwrap_or(i32::MAX)
    }

    /// The rotation of a shift with these members, each with the turn; `None` where nobody takes turns.
    pub fn of(shift: &Shift, members: &[(i32, PersonId)]) -> Option<Self> {
        let team = |turn| {
            let own = members.iter().filter(move |(of, _)| *of == turn);
            own.map(|(_, person)| *person).collect()
        };
        Some(Self {
            weeks: shift.rotation_weeks?,
            from: shift.rotation_from.as_deref()?.parse().ok()?,
            teams: (0..shift.rotation_teams?).map(team).collect(),
        })
    }
}

/// The weeks of a team, where teams take turns.
pub(super) fn turn(shift: &Shift, from: Option<NaiveDate>, place: i32) -> Option<Turn> {
    Some(Turn {
        from: from?,
        weeks: u32::try_from(shift.rotation_weeks?).ok()?,
        teams: u32::try_from(shift.rotation_teams?).ok()?,
        place: u32::try_from(place).ok()?,
    })
}

/// Refuses a shift that has both members and a rotation, or neither.
pub(super) fn either(
    rotation: &Option<Rotation>,
) -> impl FnOnce(&Option<Vec<PersonId>>, &()) -> garde::Result + '_ {
    move |members, ()| match (members, rotation) {
        (Some(_), None) | (None, Some(_)) => Ok(()),
        _ => Err(garde::Error::new("either members or a rotation is wanted")),
    }
}
