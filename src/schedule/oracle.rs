//! The slow way to the same answers, and the properties that compare the two.
//!
//! The oracle walks over UTC minute by minute and looks only at what the wall clock shows, which
//! is never in doubt; it never asks for the instant of a local time. All clock changes here are
//! on whole minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc, Weekday};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::examples::utc;
use super::roster::{Duty, Override, Roster, Seat};
use super::{Business, Day, Hours, Shift, Turn, Window};

/// Zones, each with minutes near which its clock was changed (or, in Kolkata, was not).
const CLOCK_CHANGES: [(Tz, &str); 20] = [
    (Tz::Europe__London, "2026-03-29T01:00"),
    (Tz::Europe__London, "2026-10-25T01:00"),
    (Tz::America__New_York, "2026-03-08T07:00"),
    (Tz::America__New_York, "2026-11-01T06:00"),
    (Tz::Australia__Lord_Howe, "2026-04-04T15:00"),
    (Tz::Australia__Lord_Howe, "2026-10-03T15:30"),
    (Tz::Pacific__Apia, "2011-09-24T14:00"),
    (Tz::Pacific__Apia, "2011-12-30T10:00"),
    (Tz::Pacific__Apia, "2012-03-31T14:00"),
    (Tz::Asia__Kolkata, "2026-03-29T01:00"),
    (Tz::America__Sao_Paulo, "2018-02-18T02:00"),
    (Tz::America__Sao_Paulo, "2018-11-04T03:00"),
    (Tz::America__Sao_Paulo, "2008-10-19T03:00"),
    (Tz::America__Sao_Paulo, "1996-02-11T02:00"),
    (Tz::Africa__Casablanca, "2026-02-15T02:00"),
    (Tz::Africa__Casablanca, "2026-03-22T02:00"),
    // One minute past midnight; a day that was skipped, and one that was shown twice, almost whole.
    (Tz::America__St_Johns, "2010-03-14T03:31"),
    (Tz::America__St_Johns, "2010-11-07T02:31"),
    (Tz::Pacific__Kwajalein, "1993-08-21T12:00"),
    (Tz::Pacific__Kwajalein, "1969-09-30T13:00"),
];

/// What the wall clock of a zone shows: for each minute that it ever shows, the first and the last instant of it.
struct WallClock {
    zone: Tz,
    shown: BTreeMap<NaiveDateTime, (DateTime<Utc>, DateTime<Utc>)>,
}

impl WallClock {
    fn watched(zone: Tz, minutes: Range<DateTime<Utc>>) -> Self {
        let mut shown = BTreeMap::new();
        let mut at = minutes.start;
        while at < minutes.end {
            shown
                .entry(at.with_timezone(&zone).naive_local())
                .and_modify(|(_, last)| *last = at)
                .or_insert((at, at));
            at += TimeDelta::minutes(1);
        }
        Self { zone, shown }
    }

    /// The first time it shows a minute; if it never does, the first time it shows the next one.
    fn beginning(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        self.shown.range(local..).next().map(|(_, (first, _))| *first)
    }

    /// The last time it shows a minute; if it never does, the first time it shows the next one.
    fn end(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        let (next, (first, last)) = self.shown.range(local..).next()?;
        Some(if *next == local { *last } else { *first })
    }

    /// The windows of a shift, each with the date on which it starts.
    fn windows(&self, shift: &Shift) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        assert_eq!(shift.zone, self.zone);
        let Some(((first, _), (last, _))) = self.shown.first_key_value().zip(self.shown.last_key_value())
        else {
            return Vec::new();
        };
        let mut windows = Vec::new();
        // A day or two at either side was not watched as a whole.
        let mut date = first.date() + TimeDelta::days(2);
        while date < last.date() - TimeDelta::days(3) {
            if Self::starts_on(shift, date) {
                let days = if shift.start < shift.end { 0 } else { 1 };
                let end_date = date + TimeDelta::days(days);
                let window = self
                    .beginning(date.and_time(shift.start))
                    .zip(self.end(end_date.and_time(shift.end)));
                windows.extend(window.filter(|(from, until)| from < until));
            }
            date += TimeDelta::days(1);
        }
        windows
    }

    fn starts_on(shift: &Shift, date: NaiveDate) -> bool {
        let written = date.format("%a").to_string().to_lowercase();
        shift.days.iter().any(|day| day.as_str() == written)
            && shift.valid_from.is_none_or(|first| first <= date)
            && shift.valid_until.is_none_or(|last| date <= last)
            && shift
                .turn
                .is_none_or(|turn| Self::whose_turn(turn, date) == turn.place)
    }

    /// Whose turn it is on a date: everybody's in turn, from Monday to Monday.
    fn whose_turn(turn: Turn, date: NaiveDate) -> u32 {
        let mut day = turn.from;
        while day.weekday() != Weekday::Mon {
            day -= TimeDelta::days(1);
        }
        let cycle = TimeDelta::weeks((turn.weeks * turn.teams).into());
        while day > date {
            day -= cycle;
        }
        let mut place = 0;
        loop {
            day += TimeDelta::weeks(turn.weeks.into());
            if date < day {
                return place;
            }
            place = (place + 1) % turn.teams;
        }
    }
}

/// Some shifts, and a range near a clock change of one of their zones.
#[derive(Debug, Clone)]
struct Case {
    shifts: Vec<Shift>,
    range: Window,
}

impl Case {
    /// What the oracle says of each shift: its windows near the range.
    fn windows(&self) -> Vec<Vec<(DateTime<Utc>, DateTime<Utc>)>> {
        let margin = TimeDelta::days(6);
        let mut clocks: BTreeMap<&str, WallClock> = BTreeMap::new();
        let watch = |zone| WallClock::watched(zone, self.range.from - margin..self.range.until + margin);
        let watched = |shift: &Shift| {
            clocks
                .entry(shift.zone.name())
                .or_insert_with(|| watch(shift.zone))
                .windows(shift)
        };
        self.shifts.iter().map(watched).collect()
    }

    /// For each minute of the range, the positions of the shifts that run, minute by minute.
    fn minutes(&self) -> Vec<(DateTime<Utc>, Vec<usize>)> {
        let windows = self.windows();
        let mut minutes = Vec::new();
        let mut at = self.range.from;
        while at < self.range.until {
            let runs = |windows: &Vec<(DateTime<Utc>, DateTime<Utc>)>| {
                windows.iter().any(|(from, until)| *from <= at && at < *until)
            };
            let running = windows.iter().enumerate().filter(|(_, windows)| runs(windows));
            minutes.push((at, running.map(|(index, _)| index).collect()));
            at += TimeDelta::minutes(1);
        }
        minutes
    }
}

fn times() -> impl Strategy<Value = NaiveTime> {
    // Half of the times are where clocks are changed.
    let minutes = prop_oneof![0..1440u32, 0..240u32, Just(0), Just(120), 1380..1440u32];
    minutes.prop_map(|minute| NaiveTime::MIN + TimeDelta::minutes(minute.into()))
}

fn dates(near: NaiveDate) -> impl Strategy<Value = Option<NaiveDate>> {
    let date = (-4..5i64).prop_map(move |days| near + TimeDelta::days(days));
    proptest::option::weighted(0.3, date)
}

fn turns(near: NaiveDate) -> impl Strategy<Value = Option<Turn>> {
    let turn = (-40..40i64, 1..4u32, 1..4u32).prop_flat_map(move |(days, weeks, teams)| {
        (0..teams).prop_map(move |place| Turn {
            from: near + TimeDelta::days(days),
            weeks,
            teams,
            place,
        })
    });
    proptest::option::weighted(0.4, turn)
}

fn shifts(zone: Tz, near: NaiveDate) -> impl Strategy<Value = Shift> {
    let all = Day::ALL.into_iter().collect();
    let days = prop_oneof![
        Just(all),
        proptest::collection::btree_set(proptest::sample::select(&Day::ALL[..]), 0..6)
    ];
    let end = prop_oneof![3 => times().prop_map(Some), 1 => Just(None)];
    (days, times(), end, (dates(near), dates(near)), turns(near)).prop_map(
        move |(days, start, end, (valid_from, valid_until), turn)| Shift {
            days,
            start,
            end: end.unwrap_or(start),
            zone,
            valid_from,
            valid_until,
            turn,
        },
    )
}

/// Cases with up to so many shifts: most in the zone whose clock is changed, some elsewhere.
fn cases(most: usize) -> impl Strategy<Value = Case> {
    proptest::sample::select(&CLOCK_CHANGES[..]).prop_flat_map(move |(zone, change)| {
        let change = utc(change);
        let near = change.date_naive();
        let elsewhere =
            proptest::sample::select(&CLOCK_CHANGES[..]).prop_flat_map(move |(zone, _)| shifts(zone, near));
        let shift = prop_oneof![3 => shifts(zone, near), 1 => elsewhere];
        let shifts = proptest::collection::vec(shift, 1..=most);
        (shifts, -4000..3000i64, 1..5000i64).prop_map(move |(shifts, before, long)| {
            let from = change + TimeDelta::minutes(before);
            Case {
                shifts,
                range: Window {
                    from,
                    until: from + TimeDelta::minutes(long),
                },
            }
        })
    })
}

/// Shifts with members, absences, overrides, and how many are needed.
#[derive(Debug, Clone)]
struct Desk {
    case: Case,
    roster: Roster<u8>,
    minimum: usize,
}

impl Desk {
    /// Who is on duty in each minute of the range, and by what.
    fn minutes(&self) -> Vec<(DateTime<Utc>, Vec<Seat<u8>>)> {
        let on_duty = |(at, running): (DateTime<Utc>, Vec<usize>)| {
            let seats: BTreeSet<Seat<u8>> = (0..PEOPLE)
                .flat_map(|person| self.seats(person, at, &running))
                .collect();
            (at, seats.into_iter().collect())
        };
        self.case.minutes().into_iter().map(on_duty).collect()
    }

    fn seats(&self, person: u8, at: DateTime<Utc>, running: &[usize]) -> Vec<Seat<u8>> {
        let Roster {
            duties,
            absences,
            overrides,
        } = &self.roster;
        let away = absences.iter().filter(|(who, _)| *who == person);
        if away.into_iter().any(|(_, window)| window.contains(at)) {
            return Vec::new();
        }
        let orders: Vec<_> = overrides
            .iter()
            .filter(|order| order.window.contains(at))
            .collect();
        let added = orders.iter().any(|order| order.add == Some(person));
        let removed = orders.iter().any(|order| order.remove == Some(person));
        let own = running
            .iter()
            .filter(|duty| duties[**duty].members.contains(&person));
        let mut shifts: Vec<Option<usize>> = own.map(|duty| Some(*duty)).collect();
        if removed && !added {
            shifts.clear();
        } else if added && shifts.is_empty() {
            shifts.push(None);
        }
        shifts.into_iter().map(|duty| Seat { person, duty }).collect()
    }
}

/// How many people there are.
const PEOPLE: u8 = 4;

fn desks() -> impl Strategy<Value = Desk> {
    let people = || proptest::collection::vec(0..PEOPLE, 0..4);
    cases(4).prop_flat_map(move |case| {
        let range = case.range;
        let long = (range.until - range.from).num_minutes();
        // They begin before the range, end after it, and meet one another now and then.
        let windows = move || {
            let step = (long / 12).max(1);
            (-3..12i64, 1..8i64).prop_map(move |(begin, steps)| Window {
                from: range.from + TimeDelta::minutes(begin * step),
                until: range.from + TimeDelta::minutes((begin + steps) * step),
            })
        };
        let members = proptest::collection::vec(people(), case.shifts.len());
        let absences = proptest::collection::vec((0..PEOPLE, windows()), 0..4);
        let somebody = || proptest::option::of(0..PEOPLE);
        let order = (windows(), somebody(), somebody());
        let overrides = proptest::collection::vec(
            order.prop_map(|(window, add, remove)| Override { window, add, remove }),
            0..5,
        );
        (members, absences, overrides, 1..4usize).prop_map(move |(members, absences, overrides, minimum)| {
            let duties = case.shifts.iter().zip(members);
            let duties = duties.map(|(shift, members)| Duty {
                shift: shift.clone(),
                members,
            });
            Desk {
                roster: Roster {
                    duties: duties.collect(),
                    absences,
                    overrides,
                },
                case: case.clone(),
                minimum,
            }
        })
    })
}

/// Minutes with the same answer, in one.
fn told<T: PartialEq>(minutes: impl IntoIterator<Item = (DateTime<Utc>, T)>) -> Vec<(Window, T)> {
    let mut told: Vec<(Window, T)> = Vec::new();
    for (at, answer) in minutes {
        let until = at + TimeDelta::minutes(1);
        match told.last_mut() {
            Some((window, same)) if *same == answer => window.until = until,
            _ => told.push((Window { from: at, until }, answer)),
        }
    }
    told
}

/// Business hours near a clock change of their zone: their spans, the days taken away, and a range.
fn business() -> impl Strategy<Value = (Case, Vec<Shift>)> {
    proptest::sample::select(&CLOCK_CHANGES[..]).prop_flat_map(|(zone, change)| {
        let change = utc(change);
        let near = change.date_naive();
        let spans = proptest::collection::vec(shifts(zone, near), 1..4);
        let holidays = proptest::collection::vec(-4..5i64, 0..3);
        (spans, holidays, -4000..3000i64, 1..5000i64).prop_map(move |(shifts, days, before, long)| {
            let from = change + TimeDelta::minutes(before);
            let until = from + TimeDelta::minutes(long);
            let holiday = |days: i64| Shift {
                days: Day::ALL.into_iter().collect(),
                start: NaiveTime::MIN,
                end: NaiveTime::MIN,
                zone,
                valid_from: Some(near + TimeDelta::days(days)),
                valid_until: Some(near + TimeDelta::days(days)),
                turn: None,
            };
            let forever = |shift: Shift| Shift {
                valid_from: None,
                valid_until: None,
                turn: None,
                ..shift
            };
            let shifts = shifts.into_iter().map(forever).collect();
            let range = Window { from, until };
            (Case { shifts, range }, days.into_iter().map(holiday).collect())
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn windows_are_those_of_the_oracle(case in cases(1)) {
        let Window { from, until } = case.range;
        for (shift, windows) in case.shifts.iter().zip(case.windows()) {
            let meeting: Vec<_> = windows.into_iter().filter(|window| window.0 < until && from < window.1).collect();
            let whole: Vec<_> = shift.windows(from, until).iter().map(|window| (window.from, window.until)).collect();
            prop_assert_eq!(&whole, &meeting);
            let cut: Vec<_> = meeting.iter().map(|window| (window.0.max(from), window.1.min(until))).collect();
            let within: Vec<_> = shift.windows_within(from, until).iter().map(|w| (w.from, w.until)).collect();
            prop_assert_eq!(within, cut);
        }
    }

    #[test]
    fn covers_agrees_with_every_minute(case in cases(1)) {
        for (at, running) in case.minutes() {
            for (index, shift) in case.shifts.iter().enumerate() {
                prop_assert_eq!(shift.covers(at), running.contains(&index), "at {}", at);
            }
        }
    }

    #[test]
    fn gaps_are_the_minutes_in_which_too_few_are_on_duty(desk in desks()) {
        let Window { from, until } = desk.case.range;
        let people = |seats: Vec<Seat<u8>>| seats.iter().map(|seat| seat.person).collect::<BTreeSet<_>>().len();
        let open = told(desk.minutes().into_iter().map(|(at, seats)| (at, people(seats) < desk.minimum)));
        let open: Vec<_> = open.into_iter().filter(|(_, is_open)| *is_open).map(|(window, _)| window).collect();
        prop_assert_eq!(desk.roster.gaps(desk.minimum, from, until), open);
    }

    #[test]
    fn segments_are_the_minutes_in_which_the_same_people_are_on_duty(desk in desks()) {
        let Window { from, until } = desk.case.range;
        let segments = desk.roster.segments(from, until).into_iter();
        let segments: Vec<_> = segments.map(|segment| (segment.window, segment.seats)).collect();
        prop_assert_eq!(segments, told(desk.minutes()));
    }

    #[test]
    fn stints_fill_the_minutes_of_duty_and_no_others(desk in desks()) {
        let Window { from, until } = desk.case.range;
        let stints = desk.roster.stints(from, until);
        for (at, seats) in desk.minutes() {
            let there: BTreeSet<_> =
                stints.iter().filter(|(window, _)| window.contains(at)).map(|(_, seat)| *seat).collect();
            prop_assert_eq!(there.into_iter().collect::<Vec<_>>(), seats, "at {}", at);
        }
    }

    #[test]
    fn business_hours_are_the_minutes_with_a_span_and_no_holiday((case, holidays) in business()) {
        let Window { from, until } = case.range;
        let closed = Case { shifts: holidays.clone(), range: case.range }.minutes();
        let open = case.minutes().into_iter().zip(closed);
        let open: Vec<_> = open.filter(|((_, spans), (_, days))| !spans.is_empty() && days.is_empty()).collect();
        let spans = case.shifts.iter().map(|span| (span.days.clone(), span.start, span.end));
        let dates = holidays.iter().filter_map(|day| day.valid_from).collect();
        let hours = Hours::Business(Business::new(case.shifts[0].zone, spans, dates));
        let minutes = i64::try_from(open.len()).unwrap();
        prop_assert_eq!(hours.counted(from, until), TimeDelta::minutes(minutes));
        for place in [0, open.len() / 2, open.len().saturating_sub(1)] {
            if let Some(((minute, _), _)) = open.get(place) {
                let amount = TimeDelta::minutes(i64::try_from(place).unwrap() + 1);
                prop_assert_eq!(hours.reach(from, amount), Some(*minute + TimeDelta::minutes(1)));
            }
        }
    }
}
