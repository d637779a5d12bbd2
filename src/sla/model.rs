//! Calendars and policies, as rows and as clients see them.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use chrono::NaiveDate;
use diesel::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::db::schema::{calendar_editions, calendars};
use crate::db::{CalendarId, Json, Moment, PersonId, text_enum};
use crate::identity::Plan;
use crate::problem::Problem;
use crate::queues::routing::Severity;
use crate::schedule::{Business, Day, Hours, LocalTime, parse_zone};
use crate::text;

text_enum! {
    /// What is measured.
    Clock {
        /// From filing to the first public reply.
        FirstResponse = "first_response",
        /// From what a customer says later to the next public reply.
        NextResponse = "next_response",
        /// From filing to the answer, without the time in which the customer is waited for.
        Resolution = "resolution",
    }
}

/// A calendar and one of its versions.
pub type CalendarRef = (CalendarId, i32);

/// Business hours that have a name.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = calendars)]
pub struct Calendar {
    /// Its id.
    pub id: CalendarId,
    /// Its name.
    pub name: String,
    /// The name as it is compared.
    pub name_folded: String,
    /// Which edition is in force.
    pub version: i32,
    /// When it was made.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
}

/// What a calendar said, or says; never changed.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = calendar_editions)]
pub struct Edition {
    /// The calendar.
    pub calendar_id: CalendarId,
    /// Which one, from 1.
    pub version: i32,
    /// Its place among all changes of what is promised.
    pub terms: i32,
    /// The IANA zone.
    pub time_zone: String,
    /// The spans: a list of [`Span`].
    pub hours: Json,
    /// The days off: a list of [`Holiday`].
    pub holidays: Json,
    /// Who made it.
    pub author_id: PersonId,
    /// Since when it is in force.
    pub created_at: Moment,
}

impl Edition {
    /// The hours as the arithmetic knows them.
    pub fn schedule(&self) -> Result<Hours, Problem> {
        let zone = parse_zone(&self.time_zone).map_err(Problem::internal)?;
        let spans = self.spans()?.into_iter().map(|span| {
            let days: BTreeSet<Day> = span.days.into_iter().collect();
            (days, span.start.into(), span.end.into())
        });
        let holidays = self.days_off()?.into_iter().map(|holiday| holiday.date).collect();
        Ok(Hours::Business(Business::new(zone, spans, holidays)))
    }

    /// The spans.
    pub fn spans(&self) -> Result<Vec<Span>, Problem> {
        serde_json::from_value(self.hours.0.clone()).map_err(Problem::internal)
    }

    /// The days off.
    pub fn days_off(&self) -> Result<Vec<Holiday>, Problem> {
        serde_json::from_value(self.holidays.0.clone()).map_err(Problem::internal)
    }
}

/// A span of local time on some days of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Span {
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
}

/// A local day on which nothing counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    /// The day.
    #[garde(skip)]
    #[schema(value_type = String, format = Date)]
    pub date: NaiveDate,
    /// What it is called.
    #[serde(default)]
    #[garde(inner(custom(text::line::<200>)))]
    pub name: Option<String>,
}

/// A calendar as it is sent, all of it.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCalendar {
    /// Its name, unique without regard to case.
    #[garde(custom(text::line::<200>))]
    pub name: String,
    /// The IANA zone.
    #[garde(custom(text::time_zone))]
    pub time_zone: String,
    /// When time counts.
    #[garde(length(min = 1, max = 50), dive)]
    pub hours: Vec<Span>,
    /// When it does not all the same.
    #[serde(default)]
    #[garde(length(max = 2000), dive)]
    pub holidays: Vec<Holiday>,
}

/// A calendar as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CalendarView {
    /// Its id.
    pub id: CalendarId,
    /// Its name.
    pub name: String,
    /// The IANA zone.
    pub time_zone: String,
    /// When time counts.
    pub hours: Vec<Span>,
    /// When it does not all the same, in order.
    pub holidays: Vec<Holiday>,
    /// Counts changes; clocks keep what was counted under earlier ones.
    pub version: i32,
    /// When it was made.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
}

/// When time counts for a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Counting {
    /// At every instant.
    Always,
    /// In the hours of this calendar.
    In(CalendarId),
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("always"),
            Self::In(id) => id.fmt(f),
        }
    }
}

impl From<Counting> for String {
    fn from(counting: Counting) -> Self {
        counting.to_string()
    }
}

impl TryFrom<String> for Counting {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "always" => Ok(Self::Always),
            id => id
                .parse()
                .map(Self::In)
                .map_err(|_| "must be `always` or the id of a calendar"),
        }
    }
}

/// What is promised to a plan, for a severity, by a clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The support plan.
    #[garde(skip)]
    pub plan: Plan,
    /// The severity.
    #[garde(skip)]
    pub severity: Severity,
    /// What is measured.
    #[garde(skip)]
    pub clock: Clock,
    /// How many minutes there are: up to a year of them.
    #[garde(range(min = 1, max = 525_600))]
    pub target_minutes: i32,
    /// `always`, or the id of a calendar.
    #[garde(skip)]
    #[schema(value_type = String)]
    pub calendar: Counting,
}

/// All policies; a request without one for its plan, its severity and a clock has no such clock.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPolicies {
    /// The policies, in any order.
    #[garde(length(max = 24), dive)]
    pub policies: Vec<Policy>,
}

/// Policies that are, or were, in force; never changed.
#[derive(Clone, Debug)]
pub struct PolicySet {
    /// Which set this is, from 1.
    pub version: i32,
    /// Its place among all changes of what is promised.
    pub terms: i32,
    /// The policies.
    pub policies: Vec<Policy>,
    /// Who set them.
    pub author_id: PersonId,
    /// Since when they are in force.
    pub created_at: Moment,
}

impl PolicySet {
    /// The policy for these, if there is one.
    pub fn policy(&self, plan: Plan, severity: Severity, clock: Clock) -> Option<&Policy> {
        let fits = |policy: &&Policy| (policy.plan, policy.severity, policy.clock) == (plan, severity, clock);
        self.policies.iter().find(fits)
    }
}

/// The hours of calendars, by version: what the arithmetic looks up.
#[derive(Clone, Debug, Default)]
pub struct Book(HashMap<CalendarRef, Hours>);

impl Book {
    /// Enters the hours of an edition.
    pub fn enter(&mut self, edition: &Edition) -> Result<(), Problem> {
        let hours = edition.schedule()?;
        self.0.insert((edition.calendar_id, edition.version), hours);
        Ok(())
    }

    /// Whether an edition has been entered.
    pub fn knows(&self, calendar: CalendarRef) -> bool {
        self.0.contains_key(&calendar)
    }

    /// When time counts by a calendar; always without one. Those of a ledger are entered before it is read.
    pub fn hours(&self, calendar: Option<CalendarRef>) -> &Hours {
        calendar
            .and_then(|calendar| self.0.get(&calendar))
            .unwrap_or(&Hours::Always)
    }
}
