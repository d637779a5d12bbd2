//! A repeating window in a time zone.
//!
//! A shift says on which local days it starts and at which local times it starts and ends; here
//! that becomes instants. Members, absences and queues are not known here.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{Day, Turn, Window, wall_clock};

/// No zone has ever been further from UTC: Manila was 15:56 behind until 1844, Alaska 15:02 ahead until 1867.
const FURTHEST_OFFSET: TimeDelta = TimeDelta::hours(16);

/// A window ends before the second midnight after the day on which it starts.
const LONGEST: TimeDelta = TimeDelta::hours(48);

/// A window that repeats on local days, at local times, in one time zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shift {
    /// The local days on which a window starts.
    pub days: BTreeSet<Day>,
    /// The local time at which a window starts.
    pub start: NaiveTime,
    /// The local time at which it ends: on the next day if not later than `start`, so that equal times are 24 hours.
    pub end: NaiveTime,
    /// The zone whose wall clock is meant.
    pub zone: Tz,
    /// The first local date on which a window may start.
    pub valid_from: Option<NaiveDate>,
    /// The last local date on which a window may start, itself included.
    pub valid_until: Option<NaiveDate>,
    /// The local weeks in which a window may start; all of them where nobody takes turns.
    pub turn: Option<Turn>,
}

impl Shift {
    /// The windows that meet `[from, until)`, whole even where they reach beyond it, one for each day and in order.
    ///
    /// The windows of two days overlap where the clock is put back at their common edge.
    pub fn windows(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Window> {
        self.meeting(from, until).map(|(whole, _)| whole).collect()
    }

    /// The same windows as [`Shift::windows`], each cut to `[from, until)`.
    pub fn windows_within(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Window> {
        self.meeting(from, until).map(|(_, within)| within).collect()
    }

    /// Whether the shift runs at an instant; this looks at a handful of days, however long the shift is valid.
    pub fn covers(&self, at: DateTime<Utc>) -> bool {
        self.start_dates(at, at)
            .filter_map(|date| self.window_of(date))
            .any(|window| window.contains(at))
    }

    /// The windows that meet a range, whole and cut to it.
    fn meeting(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> impl Iterator<Item = (Window, Window)> {
        Window::new(from, until).into_iter().flat_map(|range| {
            self.start_dates(range.from, range.until)
                .filter_map(|date| self.window_of(date))
                .filter_map(move |whole| Some((whole, whole.clipped_to(range)?)))
        })
    }

    /// The dates on which a window starts that could meet `[from, until]`, and a few around them.
    pub(super) fn start_dates(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> impl Iterator<Item = NaiveDate> {
        let earliest = from
            .checked_sub_signed(LONGEST + FURTHEST_OFFSET)
            .map_or(NaiveDate::MIN, |instant| instant.date_naive());
        let latest = until
            .checked_add_signed(FURTHEST_OFFSET)
            .map_or(NaiveDate::MAX, |instant| instant.date_naive());
        let first = self.valid_from.map_or(earliest, |date| date.max(earliest));
        let last = self.valid_until.map_or(latest, |date| date.min(latest));
        first
            .iter_days()
            .take_while(move |date| *date <= last)
            .filter(|date| self.days.contains(&Day::from(date.weekday())))
            .filter(|date| self.turn.is_none_or(|turn| turn.includes(*date)))
    }

    /// The window that starts on a local date, unless clock changes leave nothing of it.
    pub(super) fn window_of(&self, date: NaiveDate) -> Option<Window> {
        let end_date = if self.start < self.end {
            date
        } else {
            date.checked_add_days(Days::new(1))?
        };
        Window::new(
            wall_clock::beginning(self.zone, date.and_time(self.start))?,
            wall_clock::end(self.zone, end_date.and_time(self.end))?,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::{shift, utc};
    use super::*;

    const WEEKEND: [Day; 2] = [Day::Sat, Day::Sun];

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap_or_else(|_| panic!("`{text}` is no date"))
    }

    /// Windows as text, to the minute.
    fn shown(windows: &[Window]) -> Vec<String> {
        let minute = |at: DateTime<Utc>| at.format("%d %H:%M").to_string();
        windows
            .iter()
            .map(|window| format!("{} – {}", minute(window.from), minute(window.until)))
            .collect()
    }

    #[test]
    fn windows_follow_the_wall_clock_across_clock_changes() {
        let cases: [(&str, Shift, &str, &str, &[&str]); 13] = [
            (
                "a plain day",
                shift(Tz::Asia__Kolkata, &[Day::Mon], "09:00", "17:00"),
                "2026-06-01T00:00",
                "2026-06-02T00:00",
                &["01 03:30 – 01 11:30"],
            ),
            (
                "a night belongs to the day on which it starts",
                shift(Tz::Asia__Kolkata, &[Day::Mon], "22:00", "06:00"),
                "2026-06-01T00:00",
                "2026-06-08T00:00",
                &["01 16:30 – 02 00:30"],
            ),
            (
                "equal times are a whole day",
                shift(Tz::UTC, &[Day::Mon, Day::Tue], "08:00", "08:00"),
                "2026-06-01T00:00",
                "2026-06-08T00:00",
                &["01 08:00 – 02 08:00", "02 08:00 – 03 08:00"],
            ),
            (
                "a night loses an hour in spring",
                shift(Tz::Europe__London, &[Day::Sat], "22:00", "06:00"),
                "2026-03-28T00:00",
                "2026-03-30T00:00",
                &["28 22:00 – 29 05:00"],
            ),
            (
                "and gains one in autumn",
                shift(Tz::Europe__London, &[Day::Sat], "22:00", "06:00"),
                "2026-10-24T00:00",
                "2026-10-26T00:00",
                &["24 21:00 – 25 06:00"],
            ),
            (
                "a start and an end that do not exist are the clock change, which leaves nothing",
                shift(Tz::Europe__London, &[Day::Sun], "01:15", "01:45"),
                "2026-03-28T00:00",
                "2026-03-30T00:00",
                &[],
            ),
            (
                "a start that does not exist waits for the clock change",
                shift(Tz::Europe__London, &[Day::Sun], "01:15", "03:00"),
                "2026-03-28T00:00",
                "2026-03-30T00:00",
                &["29 01:00 – 29 02:00"],
            ),
            (
                "times that happen twice: from the first to the last",
                shift(Tz::Europe__London, &[Day::Sun], "01:15", "01:45"),
                "2026-10-24T00:00",
                "2026-10-26T00:00",
                &["25 00:15 – 25 01:45"],
            ),
            (
                "whole days overlap where their edge happens twice",
                shift(Tz::America__New_York, &WEEKEND, "01:30", "01:30"),
                "2026-10-31T00:00",
                "2026-11-03T00:00",
                &["31 05:30 – 01 06:30", "01 05:30 – 02 06:30"],
            ),
            (
                "half an hour on Lord Howe",
                shift(Tz::Australia__Lord_Howe, &[Day::Sun], "02:15", "03:00"),
                "2026-10-03T00:00",
                "2026-10-05T00:00",
                &["03 15:30 – 03 16:00"],
            ),
            (
                "a whole day that does not exist in Apia",
                shift(
                    Tz::Pacific__Apia,
                    &[Day::Thu, Day::Fri, Day::Sat],
                    "00:00",
                    "00:00",
                ),
                "2011-12-28T00:00",
                "2012-01-03T00:00",
                &["29 10:00 – 30 10:00", "30 10:00 – 31 10:00"],
            ),
            (
                "the nights around it keep what exists of them",
                shift(
                    Tz::Pacific__Apia,
                    &[Day::Thu, Day::Fri, Day::Sat],
                    "22:00",
                    "06:00",
                ),
                "2011-12-28T00:00",
                "2012-01-03T00:00",
                &[
                    "30 08:00 – 30 10:00",
                    "30 10:00 – 30 16:00",
                    "31 08:00 – 31 16:00",
                ],
            ),
            (
                "no day at all",
                shift(Tz::UTC, &[], "08:00", "08:00"),
                "2026-06-01T00:00",
                "2026-06-08T00:00",
                &[],
            ),
        ];
        for (case, shift, from, until, windows) in cases {
            assert_eq!(shown(&shift.windows(utc(from), utc(until))), windows, "{case}");
        }
    }

    #[test]
    fn windows_are_whole_and_windows_within_are_cut() {
        let night = shift(Tz::UTC, &[Day::Mon, Day::Tue, Day::Wed], "22:00", "06:00");
        let (from, until) = (utc("2026-06-02T01:00"), utc("2026-06-03T00:00"));
        assert_eq!(
            shown(&night.windows(from, until)),
            ["01 22:00 – 02 06:00", "02 22:00 – 03 06:00"]
        );
        assert_eq!(
            shown(&night.windows_within(from, until)),
            ["02 01:00 – 02 06:00", "02 22:00 – 03 00:00"]
        );
    }

    #[test]
    fn a_range_only_touched_by_a_window_has_none() {
        let day = shift(Tz::UTC, &[Day::Mon], "08:00", "16:00");
        for (from, until) in [
            ("2026-06-01T07:00", "2026-06-01T08:00"),
            ("2026-06-01T16:00", "2026-06-01T17:00"),
            ("2026-06-01T09:00", "2026-06-01T09:00"),
            ("2026-06-01T10:00", "2026-06-01T09:00"),
        ] {
            assert_eq!(day.windows(utc(from), utc(until)), [], "{from} to {until}");
        }
    }

    #[test]
    fn validity_limits_the_dates_on_which_a_window_starts() {
        let mut night = shift(
            Tz::UTC,
            &[Day::Mon, Day::Tue, Day::Wed, Day::Thu],
            "22:00",
            "06:00",
        );
        night.valid_from = Some(date("2026-06-02"));
        night.valid_until = Some(date("2026-06-03"));
        assert_eq!(
            shown(&night.windows(utc("2026-05-01T00:00"), utc("2026-07-01T00:00"))),
            ["02 22:00 – 03 06:00", "03 22:00 – 04 06:00"]
        );
        assert!(night.covers(utc("2026-06-04T05:59")));
        assert!(!night.covers(utc("2026-06-02T05:59")));
        night.valid_until = Some(date("2026-06-01"));
        assert_eq!(
            night.windows(utc("2026-05-01T00:00"), utc("2026-07-01T00:00")),
            []
        );
    }

    #[test]
    fn a_clock_that_returns_to_the_day_before_hides_no_window() {
        // St John's put its clock back at 00:01 on the 7th, to 23:01 on the 6th.
        let saturday = shift(Tz::America__St_Johns, &[Day::Fri], "23:59", "23:59");
        let sunday = shift(Tz::America__St_Johns, &[Day::Sun], "00:00", "08:00");
        assert_eq!(
            shown(&sunday.windows(utc("2010-11-06T00:00"), utc("2010-11-08T00:00"))),
            ["07 02:30 – 07 11:30"]
        );
        assert!(
            sunday.covers(utc("2010-11-07T02:45")),
            "23:15 on the 6th, after 00:00 on the 7th"
        );
        assert!(
            saturday.covers(utc("2010-11-07T02:30")),
            "00:00 on the 7th, before 23:59 on the 6th"
        );
    }

    #[test]
    fn covers_is_half_open() {
        let day = shift(Tz::Europe__London, &[Day::Sun], "01:15", "01:45");
        let cases = [
            ("2026-10-25T00:14", false),
            ("2026-10-25T00:15", true),
            ("2026-10-25T01:00", true),
            ("2026-10-25T01:44", true),
            ("2026-10-25T01:45", false),
        ];
        for (at, covered) in cases {
            assert_eq!(day.covers(utc(at)), covered, "{at}");
        }
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        let day = shift(Tz::Pacific__Apia, &WEEKEND, "22:00", "06:00");
        for at in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            let _ = day.covers(at);
            assert_eq!(day.windows(at, at), []);
        }
    }
}
