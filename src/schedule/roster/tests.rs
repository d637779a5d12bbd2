//! Tables of cases for the roster; `oracle.rs` has its properties.

use chrono_tz::Tz;

use super::super::examples::{shift, utc};
use super::super::{Day, Shift, Turn};
use super::*;

const WORKDAYS: [Day; 5] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri];

fn window(from: &str, until: &str) -> Window {
    Window {
        from: utc(from),
        until: utc(until),
    }
}

/// Shifts with their members, and nothing else.
fn roster(duties: &[(&Shift, &[&'static str])]) -> Roster<&'static str> {
    let duty = |(shift, members): &(&Shift, &[&'static str])| Duty {
        shift: (*shift).clone(),
        members: members.to_vec(),
    };
    Roster {
        duties: duties.iter().map(duty).collect(),
        absences: Vec::new(),
        overrides: Vec::new(),
    }
}

/// When nobody is on duty, each shift having one member.
fn gaps(shifts: &[Shift], from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Window> {
    let duties: Vec<_> = shifts.iter().map(|shift| (shift, &["ada"][..])).collect();
    roster(&duties).gaps(1, from, until)
}

/// What a roster says of a range: when, who, by the shift at which position.
fn told(
    roster: &Roster<&'static str>,
    from: &str,
    until: &str,
) -> Vec<(Window, Vec<(&'static str, Option<usize>)>)> {
    let segments = roster.segments(utc(from), utc(until)).into_iter();
    let seats = |segment: &Segment<&'static str>| {
        segment
            .seats
            .iter()
            .map(|seat| (seat.person, seat.duty))
            .collect()
    };
    segments
        .map(|segment| (segment.window, seats(&segment)))
        .collect()
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
fn segments_say_who_is_on_duty_by_which_shift() {
    let early = shift(Tz::UTC, &[Day::Mon], "06:00", "14:00");
    let late = shift(Tz::UTC, &[Day::Mon], "12:00", "20:00");
    let night = shift(Tz::UTC, &[Day::Mon], "20:00", "06:00");
    let roster = roster(&[(&early, &["ben", "ada"]), (&late, &["ada"]), (&night, &["cleo"])]);
    assert_eq!(
        told(&roster, "2026-06-01T00:00", "2026-06-02T03:00"),
        [
            (window("2026-06-01T00:00", "2026-06-01T06:00"), vec![]),
            (
                window("2026-06-01T06:00", "2026-06-01T12:00"),
                vec![("ada", Some(0)), ("ben", Some(0))]
            ),
            (
                window("2026-06-01T12:00", "2026-06-01T14:00"),
                vec![("ada", Some(0)), ("ada", Some(1)), ("ben", Some(0))]
            ),
            (
                window("2026-06-01T14:00", "2026-06-01T20:00"),
                vec![("ada", Some(1))]
            ),
            (
                window("2026-06-01T20:00", "2026-06-02T03:00"),
                vec![("cleo", Some(2))]
            ),
        ]
    );
    // Ada counts once, by however many shifts she is there.
    let (from, until) = (utc("2026-06-01T06:00"), utc("2026-06-01T20:00"));
    assert_eq!(
        roster.gaps(2, from, until),
        [window("2026-06-01T14:00", "2026-06-01T20:00")]
    );
    assert_eq!(roster.segments(from, until)[1].team(), ["ada", "ben"]);
}

#[test]
fn a_shift_that_follows_or_overlaps_itself_is_one_segment() {
    let whole = shift(Tz::America__New_York, &Day::ALL, "01:30", "01:30");
    assert_eq!(
        told(
            &roster(&[(&whole, &["ada"])]),
            "2026-10-30T00:00",
            "2026-11-03T00:00"
        ),
        [(
            window("2026-10-30T00:00", "2026-11-03T00:00"),
            vec![("ada", Some(0))]
        )]
    );
}

#[test]
fn absences_go_before_whom_overrides_add_and_those_before_whom_they_remove() {
    let day = shift(Tz::UTC, &[Day::Mon], "08:00", "16:00");
    let mut roster = roster(&[(&day, &["ada"])]);
    let monday =
        |from: &str, until: &str| window(&format!("2026-06-01T{from}"), &format!("2026-06-01T{until}"));
    let order = |from: &str, until: &str, add: Option<&'static str>, remove: Option<&'static str>| Override {
        window: monday(from, until),
        add,
        remove,
    };
    roster.overrides = vec![
        order("09:00", "11:00", Some("ben"), Some("ada")),
        order("10:00", "12:00", Some("ada"), None),
        order("15:00", "18:00", Some("ada"), None),
        order("14:00", "18:00", None, Some("ada")),
        // Nobody works less for not having worked.
        order("13:00", "14:00", None, Some("ben")),
    ];
    roster.absences = vec![
        ("ben", monday("09:00", "09:30")),
        ("ada", monday("11:30", "11:45")),
        ("cleo", monday("00:00", "23:00")),
    ];
    let by_shift = ("ada", Some(0));
    assert_eq!(
        told(&roster, "2026-06-01T08:00", "2026-06-01T18:00"),
        [
            (monday("08:00", "09:00"), vec![by_shift]),
            (monday("09:00", "09:30"), vec![]),
            (monday("09:30", "10:00"), vec![("ben", None)]),
            (monday("10:00", "11:00"), vec![by_shift, ("ben", None)]),
            (monday("11:00", "11:30"), vec![by_shift]),
            (monday("11:30", "11:45"), vec![]),
            (monday("11:45", "14:00"), vec![by_shift]),
            (monday("14:00", "15:00"), vec![]),
            (monday("15:00", "16:00"), vec![by_shift]),
            (monday("16:00", "18:00"), vec![("ada", None)]),
        ]
    );
    let seats = |at: &str| roster.seats(utc(&format!("2026-06-01T{at}")));
    assert_eq!(seats("11:29").len(), 1);
    assert_eq!(seats("11:30"), []);
    assert_eq!(
        seats("16:00"),
        [Seat {
            person: "ada",
            duty: None
        }]
    );
}

#[test]
fn stints_are_whole_windows_less_what_is_taken_out() {
    let whole = shift(Tz::UTC, &Day::ALL, "00:00", "00:00");
    let mut roster = roster(&[(&whole, &["ada", "ben"])]);
    roster.absences = vec![("ada", window("2026-06-01T10:00", "2026-06-02T12:00"))];
    roster.overrides = vec![Override {
        window: window("2026-06-01T20:00", "2026-06-02T04:00"),
        add: Some("cleo"),
        remove: Some("ben"),
    }];
    let told: Vec<_> = roster
        .stints(utc("2026-06-01T21:00"), utc("2026-06-02T05:00"))
        .into_iter()
        .map(|(window, seat)| (window, seat.person, seat.duty))
        .collect();
    assert_eq!(
        told,
        [
            (window("2026-06-01T20:00", "2026-06-02T04:00"), "cleo", None),
            (window("2026-06-02T04:00", "2026-06-03T00:00"), "ben", Some(0)),
        ]
    );
    assert_eq!(
        roster.stints(utc("2026-06-02T05:00"), utc("2026-06-02T05:00")),
        []
    );
}

#[test]
fn teams_take_turns_across_a_clock_change() {
    // London puts its clock forward on Sunday, the 29th of March, at 01:00 UTC.
    let turn = |place| {
        let mut night = shift(Tz::Europe__London, &[Day::Sun, Day::Mon], "22:00", "06:00");
        night.turn = Some(Turn {
            from: utc("2026-03-25T00:00").date_naive(),
            weeks: 1,
            teams: 2,
            place,
        });
        night
    };
    assert_eq!(
        told(
            &roster(&[(&turn(0), &["ada"]), (&turn(1), &["ben"])]),
            "2026-03-29T00:00",
            "2026-04-06T12:00"
        )
        .into_iter()
        .filter(|(_, seats)| !seats.is_empty())
        .collect::<Vec<_>>(),
        [
            // The night of Sunday is in the week of its Sunday.
            (
                window("2026-03-29T21:00", "2026-03-30T05:00"),
                vec![("ada", Some(0))]
            ),
            (
                window("2026-03-30T21:00", "2026-03-31T05:00"),
                vec![("ben", Some(1))]
            ),
            (
                window("2026-04-05T21:00", "2026-04-06T05:00"),
                vec![("ben", Some(1))]
            ),
        ]
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
        let roster = roster(&[(&shifts[0], &["ada"])]);
        assert_eq!(told(&roster, from, until), []);
    }
}
