//! What moves do to the clocks of a request: stories, and what holds after any of them.

use chrono::DateTime;
use proptest::prelude::*;

use super::*;
use crate::db::Id;

fn at(minute: i64) -> Moment {
    DateTime::from_timestamp(minute * 60, 0).unwrap().into()
}

fn terms(_: Plan, clock: Clock) -> Terms {
    Terms {
        policy_version: 1,
        severity: Severity::C,
        target_minutes: Some(if clock == Clock::Resolution { 480 } else { 60 }),
        calendar_id: None,
        calendar_version: 0,
    }
}

fn opening() -> Opening {
    let id = uuid::Uuid::from_u128(1);
    Opening {
        whose: (Id::from_uuid(id), Id::from_uuid(id)),
        plan: Plan::Standard,
        queue_id: Id::from_uuid(id),
        terms: 1,
    }
}

/// The clocks after moves, each so many minutes after the filing, as they are saved and loaded in between.
fn after(moves: &[(i64, Move)]) -> Clocks {
    let mut clocks = Clocks::default();
    for (minute, what) in moves {
        clocks.apply(*what, at(*minute), &opening(), &terms);
        for cycle in &mut clocks.open {
            cycle.refresh(&Book::default());
        }
        let over = clocks.open.extract_if(.., |cycle| cycle.row.stopped_at.is_some());
        clocks.ended.extend(over.map(|cycle| cycle.row));
    }
    clocks
}

/// `first_response/1 stopped 30` …
fn said(clocks: &Clocks) -> Vec<String> {
    let mut said: Vec<String> = clocks
        .rows()
        .map(|row| {
            let counted = row
                .elapsed
                .map_or(String::new(), |micros| format!(" {}", micros / 60_000_000));
            format!("{}/{} {}{counted}", row.clock, row.cycle, row.state)
        })
        .collect();
    said.sort();
    said
}

#[test]
fn stories_of_clocks() {
    use Move::{Answered, Asked, Awaited, Filed, Left, Reopened, Replied, Resolved};
    let cases: [(&[(i64, Move)], &[&str]); 7] = [
        (
            &[(0, Filed)],
            &["first_response/1 running", "resolution/1 running"],
        ),
        // Who asks again before the first answer waits no longer for it.
        (
            &[
                (0, Filed),
                (10, Asked),
                (30, Replied),
                (40, Asked),
                (50, Asked),
                (55, Replied),
            ],
            &[
                "first_response/1 stopped 30",
                "next_response/1 stopped 15",
                "resolution/1 running",
            ],
        ),
        (
            &[
                (0, Filed),
                (10, Replied),
                (10, Awaited),
                (100, Asked),
                (100, Answered),
                (120, Replied),
                (120, Resolved),
                (120, Left),
            ],
            &[
                "first_response/1 stopped 10",
                "next_response/1 stopped 20",
                "resolution/1 stopped 30",
            ],
        ),
        // Nobody answered before the incident was over.
        (
            &[(0, Filed), (90, Resolved), (90, Left)],
            &["first_response/1 cancelled 90", "resolution/1 stopped 90"],
        ),
        (
            &[(0, Filed), (5, Left)],
            &["first_response/1 cancelled 5", "resolution/1 cancelled 5"],
        ),
        (
            &[
                (0, Filed),
                (90, Resolved),
                (90, Left),
                (100, Reopened { waits: false }),
                (110, Asked),
            ],
            &[
                "first_response/1 cancelled 90",
                "first_response/2 running",
                "resolution/1 stopped 90",
                "resolution/2 running",
            ],
        ),
        (
            &[
                (0, Filed),
                (9, Replied),
                (9, Resolved),
                (9, Left),
                (20, Reopened { waits: true }),
            ],
            &[
                "first_response/1 stopped 9",
                "next_response/1 running",
                "resolution/1 stopped 9",
                "resolution/2 running",
            ],
        ),
    ];
    for (moves, expected) in cases {
        assert_eq!(said(&after(moves)), expected, "{moves:?}");
    }
}

#[test]
fn marks_come_in_order_and_stay() {
    let mut clocks = after(&[(0, Move::Filed)]);
    let book = Book::default();
    let first = clocks
        .open
        .iter_mut()
        .find(|cycle| cycle.row.clock == Clock::FirstResponse)
        .unwrap();
    assert_eq!(first.next_mark(), Some((Share::Warning, at(45))));
    first.mark(&book);
    assert_eq!(first.next_mark(), Some((Share::Breach, at(60))));
    // Stopped late, before anybody has marked it: it was late nevertheless.
    first.end(at(70), ClockState::Stopped);
    first.refresh(&book);
    assert_eq!(first.next_mark(), Some((Share::Breach, at(60))));
    first.mark(&book);
    assert_eq!((first.row.due_at, first.next_mark()), (Some(at(60)), None));
    // Stopped in time: there is nothing left to mark.
    let resolution = clocks
        .open
        .iter_mut()
        .find(|cycle| cycle.row.clock == Clock::Resolution)
        .unwrap();
    resolution.end(at(100), ClockState::Stopped);
    resolution.refresh(&book);
    assert_eq!(
        (resolution.row.due_at, resolution.next_mark()),
        (Some(at(480)), None)
    );
}

fn moves() -> impl Strategy<Value = Vec<(i64, Move)>> {
    let what = proptest::sample::select(vec![
        Move::Replied,
        Move::Asked,
        Move::Awaited,
        Move::Answered,
        Move::Resolved,
        Move::Left,
        Move::Rated,
    ]);
    proptest::collection::vec((0..200i64, what), 0..20).prop_map(|steps| {
        let mut now = 0;
        let mut moves = vec![(0, Move::Filed)];
        for (after, what) in steps {
            now += after;
            moves.push((now, what));
        }
        moves
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn at_most_one_cycle_of_a_clock_is_open_and_a_replay_gives_the_same(moves in moves()) {
        let clocks = after(&moves);
        for clock in Clock::ALL {
            let open = clocks.open.iter().filter(|cycle| cycle.row.clock == *clock).count();
            prop_assert!(open <= 1);
            let mut cycles: Vec<i32> = clocks.rows().filter(|row| row.clock == *clock).map(|row| row.cycle).collect();
            cycles.sort_unstable();
            let numbered: Vec<i32> = (1..).take(cycles.len()).collect();
            prop_assert_eq!(cycles, numbered);
        }
        // One answer is waited for at a time.
        let waits = clocks.open.iter().filter(|cycle| cycle.row.clock != Clock::Resolution).count();
        prop_assert!(waits <= 1);
        for cycle in &clocks.open {
            let mut again = Cycle { row: Row { due_at: None, next_at: None, ..cycle.row.clone() }, ..cycle.clone() };
            again.refresh(&Book::default());
            prop_assert_eq!(&again, cycle);
        }
        let replayed = after(&moves);
        prop_assert_eq!(said(&replayed), said(&clocks));
    }
}
