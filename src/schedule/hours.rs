//! When time counts: always, or in business hours, which are spans of local time without the holidays.
//!
//! Two questions are answered: how much of a stretch of time counts, and when a given amount of it has been counted.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::window::between;
use super::{Day, Shift, Window};

/// How far is looked at a time for the instant at which an amount has been counted.
const STRIDE: TimeDelta = TimeDelta::days(35);

/// How often that is done: ten years and a little more.
const STRIDES: usize = 105;

/// When time counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hours {
    /// At every instant.
    Always,
    /// In business hours.
    Business(Business),
}

/// Spans of local time, less the holidays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Business {
    spans: Vec<Shift>,
    holidays: BTreeSet<NaiveDate>,
    /// A whole local day: what a holiday takes away. It begins and ends as a shift of 24 hours does.
    day: Shift,
}

impl Business {
    /// The hours of `spans`, all in `zone`, on days that are no `holidays`.
    pub fn new(
        zone: chrono_tz::Tz,
        spans: impl IntoIterator<Item = (BTreeSet<Day>, NaiveTime, NaiveTime)>,
        holidays: BTreeSet<NaiveDate>,
    ) -> Self {
        let span = |(days, start, end)| Shift {
            days,
            start,
            end,
            zone,
            valid_from: None,
            valid_until: None,
            turn: None,
        };
        Self {
            spans: spans.into_iter().map(span).collect(),
            holidays,
            day: span((Day::ALL.into_iter().collect(), NaiveTime::MIN, NaiveTime::MIN)),
        }
    }

    /// The stretches of `[from, until)` that count, in order, as long as possible.
    fn open(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Window> {
        let Some(range) = Window::new(from, until) else {
            return Vec::new();
        };
        let spans = self
            .spans
            .iter()
            .flat_map(|span| span.windows_within(from, until));
        let mut closed = between(spans.collect(), from, until);
        closed.extend(
            self.day
                .start_dates(from, until)
                .filter(|date| self.holidays.contains(date))
                .filter_map(|date| self.day.window_of(date)?.clipped_to(range)),
        );
        between(closed, from, until)
    }
}

impl Hours {
    /// How much of `[from, until)` counts; nothing when `until` is not later.
    pub fn counted(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> TimeDelta {
        match self {
            Hours::Always => (until - from).max(TimeDelta::zero()),
            Hours::Business(hours) => hours
                .open(from, until)
                .iter()
                .map(|window| window.until - window.from)
                .sum(),
        }
    }

    /// The first instant, not before `from`, at which `amount` has been counted since `from`.
    ///
    /// `None` where that takes more than ten years: hours that are never open have no such instant.
    pub fn reach(&self, from: DateTime<Utc>, amount: TimeDelta) -> Option<DateTime<Utc>> {
        let hours = match self {
            _ if amount <= TimeDelta::zero() => return Some(from),
            Hours::Always => return from.checked_add_signed(amount),
            Hours::Business(hours) => hours,
        };
        let (mut left, mut begin) = (amount, from);
        for _ in 0..STRIDES {
            let end = begin.checked_add_signed(STRIDE)?;
            for window in hours.open(begin, end) {
                let long = window.until - window.from;
                if left <= long {
                    return Some(window.from + left);
                }
                left -= long;
            }
            begin = end;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::LocalTime;
    use super::super::examples::utc;
    use super::*;
    use chrono_tz::Tz;

    const WEEK: [Day; 5] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri];

    fn business(zone: Tz, spans: &[(&[Day], &str, &str)], holidays: &[&str]) -> Hours {
        let time = |text: &str| text.parse::<LocalTime>().unwrap().into();
        let spans = spans
            .iter()
            .map(|(days, start, end)| (days.iter().copied().collect(), time(start), time(end)));
        let holidays = holidays.iter().map(|date| date.parse().unwrap()).collect();
        Hours::Business(Business::new(zone, spans, holidays))
    }

    #[test]
    fn what_counts_and_when_it_is_reached() {
        let london = business(Tz::Europe__London, &[(&WEEK, "09:00", "17:00")], &["2026-05-25"]);
        let lunch = business(
            Tz::UTC,
            &[(&WEEK, "09:00", "12:00"), (&WEEK, "13:00", "17:00")],
            &[],
        );
        let night = business(
            Tz::America__New_York,
            &[(&[Day::Sat], "22:00", "06:00")],
            &["2026-11-02"],
        );
        let cases = [
            // hours, from, counted minutes, reached at
            (&Hours::Always, "2026-05-22T15:00", 90, "2026-05-22T16:30"),
            // Friday afternoon, a weekend, a bank holiday: an hour, then an hour on Tuesday.
            (&london, "2026-05-22T15:00", 120, "2026-05-26T09:00"),
            (&london, "2026-05-23T12:00", 1, "2026-05-26T08:01"),
            // Exactly to the end of a day is the end of that day, and not the next morning.
            (&london, "2026-05-21T08:00", 480, "2026-05-21T16:00"),
            (&lunch, "2026-05-21T11:00", 120, "2026-05-21T14:00"),
            // The clock is put back in that night, which has nine hours; the holiday begins after it.
            (&night, "2026-10-31T12:00", 540, "2026-11-01T11:00"),
            (&night, "2026-11-01T11:00", 60, "2026-11-08T04:00"),
        ];
        for (hours, from, minutes, reached) in cases {
            let amount = TimeDelta::minutes(minutes);
            let (from, reached) = (utc(from), utc(reached));
            assert_eq!(
                hours.reach(from, amount),
                Some(reached),
                "{minutes} from {from} in {hours:?}"
            );
            assert_eq!(
                hours.counted(from, reached),
                amount,
                "{from} to {reached} in {hours:?}"
            );
        }
    }

    #[test]
    fn hours_that_are_never_open_are_never_reached() {
        let never = business(Tz::UTC, &[], &[]);
        let from = utc("2026-05-21T08:00");
        assert_eq!(never.reach(from, TimeDelta::seconds(1)), None);
        assert_eq!(never.reach(from, TimeDelta::zero()), Some(from));
        assert_eq!(
            never.counted(from, from + TimeDelta::days(900)),
            TimeDelta::zero()
        );
        assert_eq!(
            Hours::Always.counted(from, from - TimeDelta::days(1)),
            TimeDelta::zero()
        );
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        let day = business(Tz::Pacific__Apia, &[(&WEEK, "22:00", "06:00")], &["2026-05-21"]);
        for hours in [Hours::Always, day] {
            let _ = hours.reach(DateTime::<Utc>::MAX_UTC - TimeDelta::days(2), TimeDelta::days(9));
        }
    }
}
