//! What several shifts cover together.
//!
//! Both questions are answered by one sweep over the edges of the windows, so that their cost
//! grows with the number of windows and not with the length of the range.

use chrono::{DateTime, Utc};

use super::{Shift, Window};

/// A stretch of time during which the same shifts run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The stretch, as long as nothing changes.
    pub window: Window,
    /// The positions, ascending, of the shifts that run in the slice given to [`segments`]; empty in a gap.
    pub running: Vec<usize>,
}

impl Segment {
    /// The keys of the shifts that run, looked up in the slice that was given to [`segments`].
    pub fn keys<'a, K>(&self, shifts: &'a [(K, Shift)]) -> impl Iterator<Item = &'a K> {
        self.running
            .iter()
            .filter_map(|index| shifts.get(*index))
            .map(|(key, _)| key)
    }
}

/// The stretches of `[from, until)` during which no shift runs: all of them, as long as possible, in order.
pub fn gaps(shifts: &[Shift], from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Window> {
    let windows = shifts
        .iter()
        .flat_map(|shift| shift.windows_within(from, until))
        .collect();
    between(windows, from, until)
}

/// What windows inside `[from, until)` leave of it, in order, as long as possible.
pub(super) fn between(mut windows: Vec<Window>, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Window> {
    windows.sort();

    let mut gaps = Vec::new();
    let mut covered_until = from;
    for window in windows {
        gaps.extend(Window::new(covered_until, window.from));
        covered_until = covered_until.max(window.until);
    }
    gaps.extend(Window::new(covered_until, until));
    gaps
}

/// The whole of `[from, until)`, gaps included, cut wherever a shift starts or ends, in order.
///
/// Each segment is as long as possible: two neighbours never have the same shifts running.
pub fn segments<K>(shifts: &[(K, Shift)], from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Segment> {
    let mut segments = Vec::new();
    // Kept in order, and copied whole into each segment: for the few shifts that run at once, a
    // vector is much faster than a set.
    let mut running = Vec::new();
    let mut since = from;
    for (at, index) in changes(shifts, from, until) {
        segments.extend(segment(since, at, &running));
        since = at;
        match running.binary_search(&index) {
            Ok(place) => {
                running.remove(place);
            }
            Err(place) => running.insert(place, index),
        }
    }
    segments.extend(segment(since, until, &running));
    segments
}

/// The instants at which a shift, named by its position, starts or ends, in order; never both at one instant.
fn changes<K>(
    shifts: &[(K, Shift)],
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<(DateTime<Utc>, usize)> {
    let mut changes = Vec::new();
    for (index, (_, shift)) in shifts.iter().enumerate() {
        for window in merged(shift.windows_within(from, until)) {
            changes.extend([(window.from, index), (window.until, index)]);
        }
    }
    // Stable, because it profits from what is already in order: the changes of each shift.
    changes.sort();
    changes
}

/// The union of windows that are in order, in as few windows as possible.
fn merged(windows: Vec<Window>) -> Vec<Window> {
    let mut merged: Vec<Window> = Vec::with_capacity(windows.len());
    for window in windows {
        match merged.last_mut() {
            Some(last) if window.from <= last.until => last.until = last.until.max(window.until),
            _ => merged.push(window),
        }
    }
    merged
}

fn segment(from: DateTime<Utc>, until: DateTime<Utc>, running: &[usize]) -> Option<Segment> {
    let window = Window::new(from, until)?;
    Some(Segment {
        window,
        running: running.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Day;
    use super::super::examples::{shift, utc};
    use super::*;
    use chrono_tz::Tz;

    const WORKDAYS: [Day; 5] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri];

    fn window(from: &str, until: &str) -> Window {
        Window {
            from: utc(from),
            until: utc(until),
        }
    }

    fn keyed(shifts: &[Shift]) -> Vec<((), Shift)> {
        shifts.iter().map(|shift| ((), shift.clone())).collect()
    }

    #[test]
    fn the_sun_never_sets_on_three_sites() {
        let sites = [
            shift(Tz::Asia__Kolkata, &Day::ALL, "06:00", "15:00"),
            shift(Tz::Europe__London, &Day::ALL, "08:00", "18:00"),
            shift(Tz::America__New_York, &Day::ALL, "12:00", "21:00"),
        ];
        // Kolkata begins at 00:30 UTC. New York ends at 02:00 UTC in winter and at 01:00 in summer.
        assert_eq!(gaps(&sites, utc("2026-01-01T00:00"), utc("2027-02-05T00:00")), []);
        // An hour earlier, it ends at 00:00 UTC in summer: half an hour is open every night but the one before.
        let [kolkata, london, _] = sites;
        let earlier = shift(Tz::America__New_York, &Day::ALL, "11:00", "20:00");
        let open = gaps(
            &[kolkata, london, earlier],
            utc("2026-03-06T12:00"),
            utc("2026-03-10T12:00"),
        );
        assert_eq!(
            open,
            [
                window("2026-03-09T00:00", "2026-03-09T00:30"),
                window("2026-03-10T00:00", "2026-03-10T00:30")
            ]
        );
    }

    #[test]
    fn shifts_that_meet_on_the_wall_clock_leave_no_gap_at_a_clock_change() {
        let zones = [
            (Tz::Europe__London, "2026-03-01T00:00", "2026-11-30T00:00"),
            (Tz::Australia__Lord_Howe, "2026-03-01T00:00", "2026-11-30T00:00"),
            (Tz::America__Sao_Paulo, "2018-01-01T00:00", "2018-12-31T00:00"),
            (Tz::Pacific__Apia, "2011-09-01T00:00", "2012-04-30T00:00"),
        ];
        for (zone, from, until) in zones {
            for edge in [
                "00:00", "00:30", "01:30", "02:00", "02:15", "02:30", "03:00", "23:30",
            ] {
                let halves = [
                    shift(zone, &Day::ALL, edge, "12:00"),
                    shift(zone, &Day::ALL, "12:00", edge),
                ];
                assert_eq!(
                    gaps(&halves, utc(from), utc(until)),
                    [],
                    "halves meet at {edge} in {zone}"
                );
                let whole = [shift(zone, &Day::ALL, edge, edge)];
                assert_eq!(
                    gaps(&whole, utc(from), utc(until)),
                    [],
                    "days meet at {edge} in {zone}"
                );
            }
        }
    }

    #[test]
    fn gaps_are_clipped_merged_and_in_order() {
        let week = ("2026-06-01T10:00", "2026-06-06T00:00");
        let cases: [(&str, Vec<Shift>, &[Window]); 4] = [
            ("nobody at all", vec![], &[window(week.0, week.1)]),
            (
                "a week of 24 hours",
                vec![shift(Tz::UTC, &WORKDAYS, "00:00", "00:00")],
                &[],
            ),
            (
                "the nights between",
                vec![
                    shift(Tz::UTC, &WORKDAYS, "08:00", "12:00"),
                    shift(Tz::UTC, &[Day::Mon, Day::Wed, Day::Fri], "12:00", "20:00"),
                    shift(Tz::UTC, &[Day::Tue], "00:00", "00:00"),
                    shift(Tz::UTC, &[Day::Wed], "22:00", "08:00"),
                ],
                &[
                    window("2026-06-01T20:00", "2026-06-02T00:00"),
                    window("2026-06-03T00:00", "2026-06-03T08:00"),
                    window("2026-06-03T20:00", "2026-06-03T22:00"),
                    window("2026-06-04T12:00", "2026-06-05T08:00"),
                    window("2026-06-05T20:00", "2026-06-06T00:00"),
                ],
            ),
            (
                "a short one inside a long one hides nothing",
                vec![
                    shift(Tz::UTC, &WORKDAYS, "00:00", "22:00"),
                    shift(Tz::UTC, &[Day::Tue], "03:00", "04:00"),
                ],
                &[
                    window("2026-06-01T22:00", "2026-06-02T00:00"),
                    window("2026-06-02T22:00", "2026-06-03T00:00"),
                    window("2026-06-03T22:00", "2026-06-04T00:00"),
                    window("2026-06-04T22:00", "2026-06-05T00:00"),
                    window("2026-06-05T22:00", "2026-06-06T00:00"),
                ],
            ),
        ];
        for (case, shifts, open) in cases {
            assert_eq!(gaps(&shifts, utc(week.0), utc(week.1)), open, "{case}");
        }
    }

    #[test]
    fn segments_say_who_runs_when() {
        let shifts = [
            ("early", shift(Tz::UTC, &[Day::Mon], "06:00", "14:00")),
            ("late", shift(Tz::UTC, &[Day::Mon], "12:00", "20:00")),
            ("night", shift(Tz::UTC, &[Day::Mon], "20:00", "06:00")),
        ];
        let told: Vec<(Window, Vec<usize>, Vec<&str>)> =
            segments(&shifts, utc("2026-06-01T00:00"), utc("2026-06-02T03:00"))
                .into_iter()
                .map(|segment| {
                    (
                        segment.window,
                        segment.running.clone(),
                        segment.keys(&shifts).copied().collect(),
                    )
                })
                .collect();
        assert_eq!(
            told,
            [
                (window("2026-06-01T00:00", "2026-06-01T06:00"), vec![], vec![]),
                (
                    window("2026-06-01T06:00", "2026-06-01T12:00"),
                    vec![0],
                    vec!["early"]
                ),
                (
                    window("2026-06-01T12:00", "2026-06-01T14:00"),
                    vec![0, 1],
                    vec!["early", "late"]
                ),
                (
                    window("2026-06-01T14:00", "2026-06-01T20:00"),
                    vec![1],
                    vec!["late"]
                ),
                (
                    window("2026-06-01T20:00", "2026-06-02T03:00"),
                    vec![2],
                    vec!["night"]
                ),
            ]
        );
    }

    #[test]
    fn a_shift_that_follows_or_overlaps_itself_is_one_segment() {
        let whole = keyed(&[shift(Tz::America__New_York, &Day::ALL, "01:30", "01:30")]);
        let range = window("2026-10-30T00:00", "2026-11-03T00:00");
        assert_eq!(
            segments(&whole, range.from, range.until),
            [Segment {
                window: range,
                running: vec![0]
            }]
        );
    }

    #[test]
    fn an_empty_range_has_neither_gaps_nor_segments() {
        let shifts = [shift(Tz::UTC, &Day::ALL, "08:00", "16:00")];
        for (from, until) in [
            ("2026-06-01T09:00", "2026-06-01T09:00"),
            ("2026-06-02T09:00", "2026-06-01T09:00"),
        ] {
            assert_eq!(gaps(&shifts, utc(from), utc(until)), []);
            assert_eq!(segments(&keyed(&shifts), utc(from), utc(until)), []);
        }
    }
}
