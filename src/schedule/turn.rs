//! Teams that take turns on a shift.

use chrono::{Datelike, NaiveDate, TimeDelta};

/// The weeks in which one of several teams works; weeks begin on Monday.
///
/// The week in which `from` lies begins the turn of the team at place 0. Before it the turns go on backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Turn {
    /// A date in the first week of all.
    pub from: NaiveDate,
    /// How many weeks a turn takes, at least 1.
    pub weeks: u32,
    /// How many teams there are, at least 1.
    pub teams: u32,
    /// The place of this one, from 0.
    pub place: u32,
}

impl Turn {
    /// Whether it is this team's turn on a date.
    pub fn includes(&self, date: NaiveDate) -> bool {
        let weeks = (monday(date) - monday(self.from)).num_weeks();
        let turns = weeks.div_euclid(i64::from(self.weeks.max(1)));
        turns.rem_euclid(i64::from(self.teams.max(1))) == i64::from(self.place)
    }
}

/// The Monday of the week in which a date lies.
fn monday(date: NaiveDate) -> NaiveDate {
    let days = date.weekday().num_days_from_monday();
    date.checked_sub_signed(TimeDelta::days(days.into()))
        .unwrap_or(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn teams_follow_one_another_week_by_week_in_both_directions() {
        // The 1st of January 2026 is a Thursday, in the week of Monday, the 29th of December.
        let cases = [
            (1, 2, "2025-12-22", 1),
            (1, 2, "2025-12-28", 1),
            (1, 2, "2025-12-29", 0),
            (1, 2, "2026-01-04", 0),
            (1, 2, "2026-01-05", 1),
            (1, 2, "2026-01-12", 0),
            (1, 3, "2025-12-28", 2),
            (1, 3, "2026-01-12", 2),
            (2, 3, "2026-01-11", 0),
            (2, 3, "2026-01-12", 1),
            (2, 3, "2026-01-26", 2),
            (2, 3, "2026-02-09", 0),
            (2, 3, "2025-12-15", 2),
            (2, 3, "2025-12-14", 1),
            (5, 1, "1990-06-15", 0),
        ];
        for (weeks, teams, day, expected) in cases {
            for place in 0..teams {
                let turn = Turn {
                    from: date("2026-01-01"),
                    weeks,
                    teams,
                    place,
                };
                assert_eq!(
                    turn.includes(date(day)),
                    place == expected,
                    "{day}: {weeks} weeks, {place} of {teams}"
                );
            }
        }
    }

    #[test]
    fn the_ends_of_the_calendar_do_not_panic() {
        for day in [NaiveDate::MIN, NaiveDate::MAX] {
            let turn = Turn {
                from: day,
                weeks: 0,
                teams: 0,
                place: 0,
            };
            assert!(turn.includes(NaiveDate::MIN) && turn.includes(NaiveDate::MAX));
        }
    }
}
