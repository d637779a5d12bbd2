//! What a report is asked for: a range of time, a form, dimensions.

use chrono::TimeDelta;
use serde::Deserialize;
use utoipa::IntoParams;

use super::dimension::By;
use crate::db::{Moment, text_enum};
use crate::problem::{Code, Problem};

/// How far a report looks back when nothing is asked.
const BACK: TimeDelta = TimeDelta::days(7);
/// How long a range may be.
const LONGEST: TimeDelta = TimeDelta::days(800);

text_enum! {
    /// How a report is written.
    #[schema(as = ReportFormat)]
    Format {
        /// As everything here.
        Json = "json",
        /// For spreadsheets.
        Csv = "csv",
    }
}

/// A half-open range of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first instant.
    pub from: Moment,
    /// The first instant after it.
    pub to: Moment,
}

impl Span {
    /// The seven days before `to`, which is now, where nothing else is asked; 400 for what is empty or too long.
    pub fn within(from: Option<Moment>, to: Option<Moment>, now: Moment) -> Result<Self, Problem> {
        let to = to.unwrap_or(now);
        let from = from.unwrap_or_else(|| to.minus(BACK));
        if to <= from || to.since(from) > LONGEST {
            return Err(Problem::new(
                Code::InvalidQuery,
                "to must be after from, by at most 800 days",
            ));
        }
        Ok(Self { from, to })
    }

    /// Both ends.
    pub fn ends(self) -> (Moment, Moment) {
        (self.from, self.to)
    }

    /// Whether an instant is in it.
    pub fn holds(self, at: Moment) -> bool {
        self.from <= at && at < self.to
    }
}

/// A range of time and a form.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Range {
    /// The first instant of the range; seven days before its end when it is left out.
    pub from: Option<Moment>,
    /// The first instant after it, at most 800 days later; now when it is left out.
    pub to: Option<Moment>,
    /// `json` when it is left out.
    #[param(inline)]
    pub format: Option<Format>,
}

/// The same, and what is told apart.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GroupedRange {
    /// The first instant of the range; seven days before its end when it is left out.
    pub from: Option<Moment>,
    /// The first instant after it, at most 800 days later; now when it is left out.
    pub to: Option<Moment>,
    /// What is told apart: one or more of `clock`, `severity`, `plan`, `tenant`, `queue`, `shift`, `day` and `month`,
    /// with commas between them; `clock` when it is left out.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub by: By,
    /// `json` when it is left out.
    #[param(inline)]
    pub format: Option<Format>,
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn a_range_is_the_last_seven_days_unless_it_is_said() {
        let day = |number: i64| Moment::from(DateTime::from_timestamp(number * 86_400, 0).unwrap());
        let now = day(1_000);
        for (from, to, range) in [
            (None, None, Some((993, 1_000))),
            (Some(999), None, Some((999, 1_000))),
            (None, Some(900), Some((893, 900))),
            (Some(1_001), None, None),
            (Some(1_001), Some(1_002), Some((1_001, 1_002))),
            (Some(5), Some(5), None),
            (Some(5), Some(805), Some((5, 805))),
            (Some(5), Some(806), None),
        ] {
            let found = Span::within(from.map(day), to.map(day), now);
            let expected = range.map(|(from, to)| (day(from), day(to)));
            assert_eq!(found.ok().map(Span::ends), expected, "{from:?} to {to:?}");
        }
    }
}
