//! Deadlines are a function of ledger, calendars and terms: cases, and properties against a clock that ticks.

use std::collections::HashMap;

use chrono::DateTime;
use proptest::prelude::*;

use super::*;
use crate::db::{Id, Json, PersonId};
use crate::sla::model::Edition;

/// Monday, 7 September 2026, 09:00 in London.
const MONDAY: i64 = 1_788_768_000;

fn at(minute: i64) -> Moment {
    DateTime::from_timestamp(MONDAY + minute * 60, 0).unwrap().into()
}

fn london() -> CalendarId {
    Id::from_uuid(uuid::Uuid::from_u128(7))
}

/// Nine to five from Monday to Friday, and in the second edition without the Tuesday.
fn book() -> Book {
    let author: PersonId = Id::from_uuid(uuid::Uuid::from_u128(1));
    let mut book = Book::default();
    for (version, holidays) in [
        (1, serde_json::json!([])),
        (2, serde_json::json!([{"date": "2026-09-08"}])),
    ] {
        let hours = serde_json::json!([
            {"days": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "17:00"},
        ]);
        let edition = Edition {
            calendar_id: london(),
            version,
            terms: version,
            time_zone: "Europe/London".to_owned(),
            hours: Json(hours),
            holidays: Json(holidays),
            author_id: author,
            created_at: at(0),
        };
        book.enter(&edition).unwrap();
    }
    book
}

fn terms(target: i32, calendar: Option<i32>) -> Terms {
    Terms {
        policy_version: 1,
        severity: Severity::C,
        target_minutes: (target > 0).then_some(target),
        calendar_id: calendar.map(|_| london()),
        calendar_version: calendar.unwrap_or(0),
    }
}

fn minutes(ledger: &Ledger, now: i64) -> i64 {
    ledger.elapsed(&book(), at(now)).num_minutes()
}

fn breach(ledger: &Ledger) -> Option<Moment> {
    ledger.reached(&book(), Share::Breach)
}

#[test]
fn a_clock_that_runs_is_due_when_its_target_has_been_counted() {
    let always = Ledger::begin(at(0), Onset::Filed, terms(240, None));
    assert_eq!(always.reached(&book(), Share::Warning), Some(at(180)));
    assert_eq!(breach(&always), Some(at(240)));
    // 09:00 to 17:00 is eight hours; the tenth is on Tuesday, or on Wednesday when that is a holiday.
    let day = 24 * 60;
    for (edition, due) in [(1, day + 120), (2, 2 * day + 120)] {
        let ledger = Ledger::begin(at(0), Onset::Filed, terms(600, Some(edition)));
        assert_eq!(breach(&ledger), Some(at(due)));
    }
}

#[test]
fn waking_from_a_pause_leaves_exactly_what_was_left() {
    let mut ledger = Ledger::begin(at(0), Onset::Filed, terms(240, None));
    ledger.set_pace(at(100), Pace::Paused, Onset::CustomerAwaited);
    ledger.set_pace(at(110), Pace::Paused, Onset::CustomerAwaited);
    assert_eq!(breach(&ledger), None);
    assert_eq!(minutes(&ledger, 9_000), 100);
    ledger.set_pace(at(5_000), Pace::Running, Onset::CustomerAnswered);
    assert_eq!(breach(&ledger), Some(at(5_140)));
    assert_eq!(ledger.intervals().len(), 3);
}

#[test]
fn what_is_stopped_in_the_very_instant_is_in_time() {
    for (end, late) in [(239, None), (240, None), (241, Some(at(240)))] {
        let mut ledger = Ledger::begin(at(0), Onset::Filed, terms(240, None));
        ledger.end(at(end));
        assert_eq!(breach(&ledger), late, "stopped after {end}");
        assert_eq!(minutes(&ledger, 9_000), end);
    }
}

#[test]
fn other_terms_go_on_from_what_has_been_counted() {
    let under = |target| {
        move |old: &Terms| Terms {
            target_minutes: terms(target, None).target_minutes,
            ..old.clone()
        }
    };
    // target after 100 minutes, and when it is due
    for (target, due) in [
        (400, Some(at(400))),
        (120, Some(at(120))),
        (50, Some(at(100))),
        (0, None),
    ] {
        let mut ledger = Ledger::begin(at(0), Onset::Filed, terms(240, None));
        ledger.retarget(at(100), Onset::PolicyChanged, under(target));
        assert_eq!(breach(&ledger), due, "{target} minutes");
        assert_eq!(minutes(&ledger, 110), if target == 0 { 100 } else { 110 });
    }
    // What was late stays late.
    let mut ledger = Ledger::begin(at(0), Onset::Filed, terms(60, None));
    ledger.retarget(at(100), Onset::PolicyChanged, under(400));
    assert_eq!(breach(&ledger), Some(at(60)));
}

#[test]
fn terms_that_are_the_same_leave_no_trace_and_what_is_over_is_left_alone() {
    let mut ledger = Ledger::begin(at(0), Onset::Filed, terms(240, None));
    let newer = |old: &Terms| Terms {
        policy_version: 2,
        ..old.clone()
    };
    ledger.retarget(at(50), Onset::PolicyChanged, newer);
    assert_eq!(ledger, Ledger::begin(at(0), Onset::Filed, terms(240, None)));
    ledger.end(at(100));
    let before = ledger.clone();
    ledger.retarget(at(200), Onset::PolicyChanged, |_| terms(10, None));
    assert_eq!(ledger, before);
}

/// Something that happens to a clock.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pause,
    Wake,
    Under(i32, Option<i32>),
}

/// A history: after so many minutes, this.
fn histories() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let calendar = prop_oneof![Just(None), Just(Some(1)), Just(Some(2))];
    let step = prop_oneof![
        Just(Step::Pause),
        Just(Step::Wake),
        (0..900i32, calendar).prop_map(|(target, calendar)| Step::Under(target, calendar)),
    ];
    proptest::collection::vec((0..700i64, step), 0..8)
}

fn take(ledger: &mut Ledger, minute: i64, step: Step) {
    match step {
        Step::Pause => ledger.set_pace(at(minute), Pace::Paused, Onset::CustomerAwaited),
        Step::Wake => ledger.set_pace(at(minute), Pace::Running, Onset::CustomerAnswered),
        Step::Under(target, calendar) => {
            ledger.retarget(at(minute), Onset::PolicyChanged, |_| terms(target, calendar));
        }
    }
}

/// The slow way: a clock that ticks every minute, and looks at what is so in that minute.
fn ticking(history: &[(i64, Step)], until: i64) -> (i64, Option<i64>) {
    let book = book();
    let mut happens: HashMap<i64, Vec<Step>> = HashMap::new();
    let mut now = 0;
    for (after, step) in history {
        now += after;
        happens.entry(now).or_default().push(*step);
    }
    let (mut running, mut under, mut counted, mut late) = (true, terms(300, Some(1)), 0, None);
    for minute in 0..until {
        for step in happens.remove(&minute).unwrap_or_default() {
            match step {
                Step::Pause => running = false,
                Step::Wake => running = true,
                Step::Under(target, calendar) => under = terms(target, calendar),
            }
        }
        let target = under.target_minutes.map(i64::from);
        if late.is_none() && target.is_some_and(|target| counted >= target) {
            late = Some(minute);
        }
        let counts = book
            .hours(under.calendar())
            .counted(at(minute).utc(), at(minute + 1).utc());
        if running && target.is_some() && counts > TimeDelta::zero() {
            counted += 1;
        }
    }
    (counted, late)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_ledger_says_what_a_ticking_clock_says(history in histories()) {
        let until = 6_000;
        let mut ledger = Ledger::begin(at(0), Onset::Filed, terms(300, Some(1)));
        let mut now = 0;
        for (after, step) in &history {
            now += after;
            take(&mut ledger, now, *step);
        }
        let (counted, late) = ticking(&history, until);
        prop_assert_eq!(minutes(&ledger, until), counted);
        // Outside of business hours a target may be full for a while before the ticking clock sees more of it.
        let due = breach(&ledger).filter(|due| *due < at(until));
        let since = due.map(|due| due.since(at(0)).num_minutes());
        prop_assert_eq!(since, late);
    }

    #[test]
    fn a_change_that_is_noticed_late_has_the_same_effect(history in histories(), place in 0..8usize, minute in 0..3_000i64) {
        let (mut prompt, mut late) = (None, None);
        let mut ledger = Ledger::begin(at(0), Onset::Filed, terms(300, Some(1)));
        let mut delayed = ledger.clone();
        let (mut now, change) = (0, |_: &Terms| terms(77, Some(2)));
        // Only pauses: of two changes of terms the later one stands.
        let pauses = history.iter().filter(|(_, step)| !matches!(step, Step::Under(..))).enumerate();
        for (number, (after, step)) in pauses {
            if now + after > minute && prompt.is_none() {
                ledger.retarget(at(minute), Onset::PolicyChanged, change);
                prompt = Some(());
            }
            now += after;
            take(&mut ledger, now, *step);
            take(&mut delayed, now, *step);
            if number >= place && now >= minute && late.is_none() {
                delayed.retarget(at(minute), Onset::PolicyChanged, change);
                late = Some(());
            }
        }
        if prompt.is_none() {
            ledger.retarget(at(minute), Onset::PolicyChanged, change);
        }
        if late.is_none() {
            delayed.retarget(at(minute), Onset::PolicyChanged, change);
        }
        prop_assert_eq!(breach(&ledger), breach(&delayed));
        prop_assert_eq!(minutes(&ledger, 9_000), minutes(&delayed, 9_000));
    }

    #[test]
    fn changes_that_cross_have_the_same_effect_whenever_each_is_noticed(
        history in histories(), minutes_of in [0..3_000i64, 0..3_000i64], places in [0..8usize, 0..8usize]
    ) {
        // In the order of their numbers, which is not always that of their instants: other policies, and another
        // edition of a calendar.
        let renew: [fn(&Terms) -> Terms; 2] = [
            |old| Terms { policy_version: 2, target_minutes: Some(77), ..old.clone() },
            |old| Terms { calendar_version: 2, ..old.clone() },
        ];
        let notice = |ledger: &mut Ledger, seen: &mut usize| {
            if let (Some(minute), Some(renew)) = (minutes_of.get(*seen), renew.get(*seen)) {
                ledger.retarget(at(*minute), Onset::PolicyChanged, renew);
                *seen += 1;
            }
        };
        let mut ledgers = [(); 2].map(|()| (Ledger::begin(at(0), Onset::Filed, terms(300, Some(1))), 0));
        let [(late, late_seen), (soon, soon_seen)] = &mut ledgers;
        let pauses = history.iter().filter(|(_, step)| !matches!(step, Step::Under(..))).enumerate();
        let mut now = 0;
        for (number, (after, step)) in pauses {
            now += after;
            take(late, now, *step);
            take(soon, now, *step);
            while *soon_seen < 2 && number >= places[*soon_seen] && now >= minutes_of[*soon_seen] {
                notice(soon, soon_seen);
            }
        }
        for (ledger, seen) in [(&mut *late, late_seen), (&mut *soon, soon_seen)] {
            notice(ledger, seen);
            notice(ledger, seen);
        }
        prop_assert_eq!(breach(late), breach(soon));
        prop_assert_eq!(minutes(late, 9_000), minutes(soon, 9_000));
        prop_assert_eq!(late.terms(), soon.terms());
    }
}
