//! What happens every day at the same time of the wall clock.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::wall_clock;

/// When the wall clock shows this time next, after an instant: at the clock change on a day that lacks it, and at the first
/// of two. `None` is beyond the calendar of `chrono`.
pub fn next(zone: Tz, time: NaiveTime, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let today = after.with_timezone(&zone).date_naive();
    // Of two days one has it later, whatever the clocks do in between.
    (0..=2).find_map(|days| {
        let date = today.checked_add_signed(TimeDelta::days(days))?;
        wall_clock::beginning(zone, date.and_time(time)).filter(|at| *at > after)
    })
}

#[cfg(test)]
mod tests {
    use super::super::examples::utc;
    use super::*;

    #[test]
    fn the_next_morning() {
        for (zone, after, expected) in [
            (Tz::UTC, "2026-03-10T07:59", "2026-03-10T08:00"),
            (Tz::UTC, "2026-03-10T08:00", "2026-03-11T08:00"),
            (Tz::America__New_York, "2026-01-10T12:59", "2026-01-10T13:00"),
            (Tz::America__New_York, "2026-01-11T03:00", "2026-01-11T13:00"),
            (Tz::Asia__Tokyo, "2026-01-10T22:59", "2026-01-10T23:00"),
            (Tz::Asia__Tokyo, "2026-01-10T23:00", "2026-01-11T23:00"),
            // The night on which the clocks go forward, and the one on which they go back.
            (Tz::Europe__Berlin, "2026-03-28T20:00", "2026-03-29T06:00"),
            (Tz::Europe__Berlin, "2026-10-24T20:00", "2026-10-25T07:00"),
            // A day that never was: as it would have begun.
            (Tz::Pacific__Apia, "2011-12-29T20:00", "2011-12-30T10:00"),
        ] {
            let eight = NaiveTime::from_hms_opt(8, 0, 0).unwrap();
            assert_eq!(
                next(zone, eight, utc(after)),
                Some(utc(expected)),
                "{zone} {after}"
            );
        }
    }
}
