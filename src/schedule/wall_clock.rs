//! The one rule that turns a local date and time into an instant.
//!
//! Clocks skip local times and show others twice. A beginning is the first instant at which the
//! wall clock shows its time *or a later one*, an end the last instant before which it shows an
//! *earlier* one. So a shift is never shortened by a clock change that it could outlast, and one
//! that ends at the local time at which another begins never leaves a gap between them.

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

/// When something that begins at a local time begins: at the first of two, at the clock change where there is none.
///
/// `None` is beyond the calendar of `chrono`, some 260,000 years away.
pub(super) fn beginning(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&local).earliest() {
        Some(instant) => Some(instant.to_utc()),
        None => clock_change_over(zone, local),
    }
}

/// When something that ends at a local time ends: at the last of two, at the clock change where there is none.
///
/// `None` is beyond the calendar of `chrono`, some 260,000 years away.
pub(super) fn end(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&local).latest() {
        Some(instant) => Some(instant.to_utc()),
        None => clock_change_over(zone, local),
    }
}

/// The instant at which the clock jumps over a local time.
///
/// It is taken from the near side of the gap: `GapInfo::end` is missing where the local time
/// beyond the gap is one that happens twice.
fn clock_change_over(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    let (skipped_from, offset) = GapInfo::new(&local, &zone)?.begin?;
    Some(skipped_from.checked_sub_offset(offset.fix())?.and_utc())
}

#[cfg(test)]
mod tests {
    use super::super::examples::utc;
    use super::*;
    use chrono::{TimeDelta, Timelike};
    use chrono_tz::TZ_VARIANTS;

    fn local(text: &str) -> NaiveDateTime {
        text.parse()
            .unwrap_or_else(|_| panic!("`{text}` is no local time"))
    }

    #[test]
    fn local_times_become_instants() {
        let cases = [
            // zone, local time, where it begins, where it ends
            (
                Tz::Europe__London,
                "2026-07-01T09:00:00",
                "2026-07-01T08:00",
                "2026-07-01T08:00",
            ),
            // An hour is skipped, and another is shown twice.
            (
                Tz::Europe__London,
                "2026-03-29T00:59:00",
                "2026-03-29T00:59",
                "2026-03-29T00:59",
            ),
            (
                Tz::Europe__London,
                "2026-03-29T01:00:00",
                "2026-03-29T01:00",
                "2026-03-29T01:00",
            ),
            (
                Tz::Europe__London,
                "2026-03-29T01:59:00",
                "2026-03-29T01:00",
                "2026-03-29T01:00",
            ),
            (
                Tz::Europe__London,
                "2026-03-29T02:00:00",
                "2026-03-29T01:00",
                "2026-03-29T01:00",
            ),
            (
                Tz::Europe__London,
                "2026-10-25T00:59:00",
                "2026-10-24T23:59",
                "2026-10-24T23:59",
            ),
            (
                Tz::Europe__London,
                "2026-10-25T01:00:00",
                "2026-10-25T00:00",
                "2026-10-25T01:00",
            ),
            (
                Tz::Europe__London,
                "2026-10-25T01:59:00",
                "2026-10-25T00:59",
                "2026-10-25T01:59",
            ),
            (
                Tz::Europe__London,
                "2026-10-25T02:00:00",
                "2026-10-25T02:00",
                "2026-10-25T02:00",
            ),
            (
                Tz::America__New_York,
                "2026-03-08T02:30:00",
                "2026-03-08T07:00",
                "2026-03-08T07:00",
            ),
            (
                Tz::America__New_York,
                "2026-11-01T01:30:00",
                "2026-11-01T05:30",
                "2026-11-01T06:30",
            ),
            // Half an hour.
            (
                Tz::Australia__Lord_Howe,
                "2026-10-04T02:29:00",
                "2026-10-03T15:30",
                "2026-10-03T15:30",
            ),
            (
                Tz::Australia__Lord_Howe,
                "2026-10-04T02:30:00",
                "2026-10-03T15:30",
                "2026-10-03T15:30",
            ),
            (
                Tz::Australia__Lord_Howe,
                "2026-04-05T01:30:00",
                "2026-04-04T14:30",
                "2026-04-04T15:00",
            ),
            // A whole day.
            (
                Tz::Pacific__Apia,
                "2011-12-29T23:59:00",
                "2011-12-30T09:59",
                "2011-12-30T09:59",
            ),
            (
                Tz::Pacific__Apia,
                "2011-12-30T00:00:00",
                "2011-12-30T10:00",
                "2011-12-30T10:00",
            ),
            (
                Tz::Pacific__Apia,
                "2011-12-30T23:59:00",
                "2011-12-30T10:00",
                "2011-12-30T10:00",
            ),
            (
                Tz::Pacific__Apia,
                "2011-12-31T00:00:00",
                "2011-12-30T10:00",
                "2011-12-30T10:00",
            ),
            // Midnight itself is skipped; the last hour of a day is shown twice.
            (
                Tz::America__Sao_Paulo,
                "2018-11-04T00:00:00",
                "2018-11-04T03:00",
                "2018-11-04T03:00",
            ),
            (
                Tz::America__Sao_Paulo,
                "2018-02-17T23:30:00",
                "2018-02-18T01:30",
                "2018-02-18T02:30",
            ),
            (
                Tz::America__Sao_Paulo,
                "2018-02-18T00:00:00",
                "2018-02-18T03:00",
                "2018-02-18T03:00",
            ),
            // At one minute past midnight the clock returns to the day before.
            (
                Tz::America__St_Johns,
                "2010-11-07T00:00:00",
                "2010-11-07T02:30",
                "2010-11-07T03:30",
            ),
            (
                Tz::Asia__Kolkata,
                "2026-03-29T01:30:00",
                "2026-03-28T20:00",
                "2026-03-28T20:00",
            ),
        ];
        for (zone, text, begins, ends) in cases {
            assert_eq!(
                beginning(zone, local(text)),
                Some(utc(begins)),
                "beginning at {text} in {zone}"
            );
            assert_eq!(end(zone, local(text)), Some(utc(ends)), "end at {text} in {zone}");
        }
    }

    #[test]
    fn every_clock_change_of_every_zone_follows_the_rule() {
        for zone in TZ_VARIANTS {
            for (change, before, after) in clock_changes(zone) {
                let (shown_last, shown_next) = (change.naive_utc() + before, change.naive_utc() + after);
                if shown_last < shown_next {
                    let skipped = shown_last + (shown_next - shown_last) / 2;
                    for time in [shown_last, skipped, shown_next] {
                        assert_eq!(
                            beginning(zone, time),
                            Some(change),
                            "beginning at {time} in {zone}"
                        );
                        assert_eq!(end(zone, time), Some(change), "end at {time} in {zone}");
                    }
                } else {
                    let twice = shown_next + (shown_last - shown_next) / 2;
                    for time in [shown_next, twice] {
                        let (first, last) = ((time - before).and_utc(), (time - after).and_utc());
                        assert_eq!(
                            beginning(zone, time),
                            Some(first),
                            "beginning at {time} in {zone}"
                        );
                        assert_eq!(end(zone, time), Some(last), "end at {time} in {zone}");
                    }
                }
            }
        }
    }

    /// The changes of a zone's offset, each with the offsets around it.
    ///
    /// They are found by looking once a fortnight and bisecting.
    fn clock_changes(zone: Tz) -> Vec<(DateTime<Utc>, TimeDelta, TimeDelta)> {
        let offset = |at: DateTime<Utc>| {
            let local = at.with_timezone(&zone).naive_local();
            local - at.naive_utc()
        };
        let mut changes = Vec::new();
        let mut old = utc("2005-01-01T00:00");
        let mut before = offset(old);
        while old < utc("2030-01-01T00:00") {
            let later = old + TimeDelta::weeks(2);
            let after = offset(later);
            if before != after {
                let mut new = later;
                while new - old > TimeDelta::seconds(1) {
                    let middle = old + (new - old) / 2;
                    let middle = middle.with_nanosecond(0).unwrap_or(middle);
                    if offset(middle) == before {
                        old = middle;
                    } else {
                        new = middle;
                    }
                }
                changes.push((new, before, after));
            }
            (old, before) = (later, after);
        }
        changes
    }

    #[test]
    fn the_ends_of_the_calendar_do_not_panic() {
        for zone in [Tz::Pacific__Apia, Tz::America__New_York] {
            for time in [NaiveDateTime::MIN, NaiveDateTime::MAX] {
                let _ = (beginning(zone, time), end(zone, time));
            }
        }
    }
}
