//! Queues and shifts, as rows and as clients see them.

use std::collections::BTreeSet;
use std::str::FromStr;

use chrono::NaiveDate;
use diesel::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fallback::Link;
use super::findings::FindingView;
use super::ladder::{Ladder, LadderStep};
use super::rotation::{self, Rotation};
use crate::db::schema::{queues, shifts};
use crate::db::{Json, Moment, PersonId, QueueId, ShiftId, text_enum};
use crate::problem::Problem;
use crate::schedule::{self, Day, LocalTime};
use crate::text;

text_enum! {
    /// Whether work is given to agents, and to whom of those who are eligible.
    #[derive(Default)]
    Push {
        /// To nobody: agents claim.
        #[default]
        Off = "off",
        /// To one after the other.
        RoundRobin = "round_robin",
        /// To whoever has least.
        LeastLoaded = "least_loaded",
    }
}

/// A line of requests.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = queues, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Queue {
    /// Its id.
    pub id: QueueId,
    /// Its name.
    pub name: String,
    /// The name as it is compared.
    pub name_folded: String,
    /// Whether it must be staffed at every instant.
    pub always_on: bool,
    /// Whether only its members read its requests.
    pub restricted: bool,
    /// Where requests go when nobody answers here.
    pub fallback_queue_id: Option<QueueId>,
    /// Counts changes.
    pub version: i32,
    /// When it was made.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
    /// What becomes of a request that nobody answers in time: a [`Ladder`].
    pub ladder: Json,
    /// Whether work is given to its agents.
    pub push: Push,
    /// How many must be on duty at once.
    pub minimum: i32,
}

impl Queue {
    /// What becomes of a request that nobody answers in time.
    pub fn ladder(&self) -> Result<Ladder, Problem> {
        serde_json::from_value(self.ladder.0.clone()).map_err(Problem::internal)
    }

    /// Where it leads when nobody answers.
    pub fn link(&self) -> Link {
        Link {
            always_on: self.always_on,
            next: self.fallback_queue_id,
        }
    }
}

/// A repeating window in a time zone.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = shifts, treat_none_as_default_value = false)]
pub struct Shift {
    /// Its id.
    pub id: ShiftId,
    /// Whose shift it is.
    pub queue_id: QueueId,
    /// Its name.
    pub name: String,
    /// The local days on which it starts: `mon,tue`.
    pub days: String,
    /// Local start, `HH:MM`.
    pub starts_at: String,
    /// Local end, `HH:MM`; the same as the start is 24 hours.
    pub ends_at: String,
    /// The IANA zone.
    pub time_zone: String,
    /// The first local day on which it starts.
    pub valid_from: Option<String>,
    /// The last local day on which it starts.
    pub valid_until: Option<String>,
    /// How many weeks a turn takes, where teams take turns.
    pub rotation_weeks: Option<i32>,
    /// A local day in the first week of the first team.
    pub rotation_from: Option<String>,
    /// How many teams there are.
    pub rotation_teams: Option<i32>,
}

impl Shift {
    /// The shift as the arithmetic knows it, for the team whose turn this is.
    pub fn schedule(&self, turn: i32) -> Result<schedule::Shift, Problem> {
        let broken = |what: &str| Problem::internal(format!("shift {} has an unreadable {what}", self.id));
        let date = |text: &Option<String>| {
            text.as_deref()
                .map(NaiveDate::from_str)
                .transpose()
                .map_err(|_| broken("date"))
        };
        let days: Option<BTreeSet<Day>> = self
            .days
            .split(',')
            .filter(|day| !day.is_empty())
            .map(|day| day.parse().ok())
            .collect();
        Ok(schedule::Shift {
            days: days.ok_or_else(|| broken("day"))?,
            start: LocalTime::from_str(&self.starts_at)
                .map_err(|_| broken("start"))?
                .into(),
            end: LocalTime::from_str(&self.ends_at)
                .map_err(|_| broken("end"))?
                .into(),
            zone: schedule::parse_zone(&self.time_zone).map_err(|_| broken("zone"))?,
            valid_from: date(&self.valid_from)?,
            valid_until: date(&self.valid_until)?,
            turn: rotation::turn(self, date(&self.rotation_from)?, turn),
        })
    }
}

/// A new queue.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewQueue {
    /// Its name, unique without regard to case.
    #[garde(custom(text::line::<200>))]
    pub name: String,
    /// Whether it must be staffed at every instant of the next 400 days.
    #[serde(default)]
    #[garde(skip)]
    pub always_on: bool,
    /// Its shifts.
    #[serde(default)]
    #[garde(length(max = 200), dive)]
    pub shifts: Vec<NewShift>,
    /// Where requests go when nobody answers here.
    #[serde(default)]
    #[garde(skip)]
    pub fallback_queue_id: Option<QueueId>,
    /// Whether only its members read its requests.
    #[serde(default)]
    #[garde(skip)]
    pub restricted: bool,
    /// What becomes of a request that nobody answers in time, step by step.
    #[serde(default)]
    #[garde(skip)]
    #[schema(value_type = Vec<LadderStep>, required = false)]
    pub ladder: Ladder,
    /// Whether work is given to its agents, and to whom of them first.
    #[serde(default)]
    #[garde(skip)]
    pub push: Push,
    /// How many must be on duty at once, from 1 to 50.
    #[serde(default = "one")]
    #[garde(range(min = 1, max = 50))]
    pub minimum: i32,
}

fn one() -> i32 {
    1
}

/// A shift as it is sent.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewShift {
    /// Its name.
    #[garde(custom(text::line::<200>))]
    pub name: String,
    /// The local days on which it starts: `mon` to `sun`.
    #[garde(length(min = 1, max = 7))]
    #[schema(value_type = Vec<String>)]
    pub days: Vec<Day>,
    /// Local start, `HH:MM`.
    #[garde(skip)]
    #[schema(value_type = String)]
    pub start: LocalTime,
    /// Local end, `HH:MM`; may be past midnight; the same as the start is 24 hours.
    #[garde(skip)]
    #[schema(value_type = String)]
    pub end: LocalTime,
    /// The IANA zone.
    #[garde(custom(text::time_zone))]
    pub time_zone: String,
    /// Who works it, unless teams take turns.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 500)), custom(rotation::either(&self.rotation)))]
    pub members: Option<Vec<PersonId>>,
    /// The teams that take turns, instead of members.
    #[serde(default)]
    #[garde(dive)]
    pub rotation: Option<Rotation>,
    /// The first local day on which it starts.
    #[serde(default)]
    #[garde(skip)]
    #[schema(value_type = Option<String>, format = Date)]
    pub valid_from: Option<NaiveDate>,
    /// The last local day on which it starts.
    #[serde(default)]
    #[garde(skip)]
    #[schema(value_type = Option<String>, format = Date)]
    pub valid_until: Option<NaiveDate>,
}

impl NewShift {
    /// The row.
    pub fn row(&self, id: ShiftId, queue_id: QueueId) -> Shift {
        let days: BTreeSet<Day> = self.days.iter().copied().collect();
        Shift {
            id,
            queue_id,
            name: self.name.trim().to_owned(),
            days: days.into_iter().map(Day::as_str).collect::<Vec<_>>().join(","),
            starts_at: self.start.to_string(),
            ends_at: self.end.to_string(),
            time_zone: self.time_zone.clone(),
            valid_from: self.valid_from.map(|date| date.to_string()),
            valid_until: self.valid_until.map(|date| date.to_string()),
            rotation_weeks: self.rotation.as_ref().map(|rotation| rotation.weeks),
            rotation_from: self.rotation.as_ref().map(|rotation| rotation.from.to_string()),
            rotation_teams: self.rotation.as_ref().map(Rotation::count),
        }
    }

    /// Who works it: the team of each turn. Without a rotation there is one.
    pub fn teams(&self) -> Vec<&[PersonId]> {
        let teams = self.rotation.iter().flat_map(|rotation| &rotation.teams);
        teams.chain(&self.members).map(Vec::as_slice).collect()
    }
}

/// A shift as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ShiftView {
    /// Its id.
    pub id: ShiftId,
    /// Its name.
    pub name: String,
    /// The local days on which it starts.
    pub days: Vec<String>,
    /// Local start.
    pub start: String,
    /// Local end.
    pub end: String,
    /// The IANA zone.
    pub time_zone: String,
    /// Who works it, unless teams take turns.
    pub members: Option<Vec<PersonId>>,
    /// The teams that take turns, instead of members.
    pub rotation: Option<Rotation>,
    /// The first local day on which it starts.
    pub valid_from: Option<String>,
    /// The last local day on which it starts.
    pub valid_until: Option<String>,
}

/// A queue as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct QueueView {
    /// Its id.
    pub id: QueueId,
    /// Its name.
    pub name: String,
    /// Whether it must be staffed at every instant.
    pub always_on: bool,
    /// Whether only its members read its requests.
    pub restricted: bool,
    /// Where requests go when nobody answers here.
    pub fallback_queue_id: Option<QueueId>,
    /// What becomes of a request that nobody answers in time, step by step.
    #[schema(value_type = Vec<LadderStep>)]
    pub ladder: Ladder,
    /// Whether work is given to its agents, and to whom of them first.
    pub push: Push,
    /// How many must be on duty at once.
    pub minimum: i32,
    /// What is wrong with it and could not be refused.
    pub findings: Vec<FindingView>,
    /// Its shifts.
    pub shifts: Vec<ShiftView>,
    /// Counts changes.
    pub version: i32,
    /// When it was made.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
}

/// Somebody on duty.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MemberView {
    /// The person.
    pub id: PersonId,
    /// The name.
    pub name: String,
    /// The names of the shifts it is on; none for whom an override adds.
    pub shifts: Vec<String>,
}
