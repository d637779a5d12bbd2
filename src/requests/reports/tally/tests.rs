use super::*;
use chrono::DateTime;

fn at(hour: i64) -> Moment {
    DateTime::from_timestamp(hour * 3600, 0).unwrap().into()
}

/// Contoso's request of this number, stopped after so many hours and as many counted microseconds.
fn stopped(number: i64, clock: Clock, cycle: i32, hour: i64) -> Ended {
    Ended {
        stopped_at: Some(at(hour)),
        queue_id: QueueId::from_uuid(uuid::Uuid::from_u128(1)),
        clock,
        severity: Severity::B,
        plan: Plan::default(),
        state: ClockState::Stopped,
        due_at: Some(at(10)),
        breached_at: None,
        elapsed: Some(hour * 1_000_000),
        cycle,
        tenant_id: TenantId::from_uuid(uuid::Uuid::from_u128(2)),
        request_id: RequestId::from_uuid(uuid::Uuid::from_u128(number.unsigned_abs().into())),
    }
}

fn tally(by: &[Dimension], reopened: &[&Ended], rows: &[Ended]) -> Tally {
    let reopened = reopened
        .iter()
        .map(|row| (row.tenant_id, row.request_id, row.cycle));
    let mut tally = Tally::begin(By::these(by), Watches::default(), reopened.collect());
    for row in rows {
        tally.add(row).unwrap();
    }
    tally
}

fn only(groups: HashMap<Key, Group>) -> Group {
    assert_eq!(groups.len(), 1, "{groups:?}");
    groups.into_values().next().unwrap()
}

#[test]
fn a_cycle_is_met_breached_or_cancelled() {
    let met = stopped(1, Clock::Resolution, 1, 10);
    let late = stopped(2, Clock::Resolution, 1, 11);
    let marked = Ended {
        breached_at: Some(at(9)),
        ..met.clone()
    };
    let cancelled = Ended {
        state: ClockState::Cancelled,
        ..met.clone()
    };
    let cancelled_late = Ended {
        state: ClockState::Cancelled,
        ..late.clone()
    };
    let rows = [met, late, marked, cancelled, cancelled_late];
    let group = only(tally(&[Dimension::Clock], &[], &rows).end(&HashMap::new()));
    assert_eq!((group.met, group.breached, group.cancelled), (1, 3, 1));
    assert_eq!((group.finished(), group.share_met()), (5, Some(0.25)));
    // What did not come about has no time.
    assert_eq!(group.elapsed.times().count, 3);
    assert_eq!(Group::default().share_met(), None);
}

#[test]
fn a_resolution_that_did_not_hold_is_part_of_the_next_one() {
    let first = stopped(1, Clock::Resolution, 1, 2);
    let second = stopped(1, Clock::Resolution, 2, 3);
    let third = stopped(1, Clock::Resolution, 3, 4);
    let other = stopped(2, Clock::Resolution, 1, 7);
    let known = HashMap::from([(
        (first.tenant_id, first.request_id),
        vec![(1, 2_000_000), (2, 3_000_000), (3, 4_000_000), (4, 9_000_000)],
    )]);
    // The third was reopened after the range: that changes nothing of it.
    let rows = [first.clone(), second.clone(), third, other.clone()];
    let all = tally(&[Dimension::Clock], &[&first, &second], &rows);
    assert_eq!(all.wanted(), [(first.tenant_id, first.request_id)]);
    let group = only(all.end(&known));
    let (elapsed, adjusted) = (group.elapsed.times(), group.adjusted.times());
    assert_eq!(
        (elapsed.count, elapsed.p50_seconds, elapsed.p90_seconds),
        (4, Some(3), Some(7))
    );
    assert_eq!(
        (adjusted.count, adjusted.p50_seconds, adjusted.p90_seconds),
        (2, Some(7), Some(9))
    );
    // Every answer is one of its own, however many there were before.
    let answers = [
        stopped(1, Clock::NextResponse, 1, 2),
        stopped(1, Clock::NextResponse, 2, 3),
    ];
    let group = only(tally(&[Dimension::Clock], &[&first], &answers).end(&known));
    assert_eq!(group.elapsed, group.adjusted);
}

#[test]
fn groups_are_told_apart_by_what_was_asked_for() {
    let rows = [
        stopped(1, Clock::FirstResponse, 1, 2),
        stopped(1, Clock::Resolution, 1, 30),
        stopped(2, Clock::Resolution, 1, 47),
        stopped(3, Clock::Resolution, 1, 24 * 40),
    ];
    for (by, count) in [
        (vec![Dimension::Severity], 1),
        (vec![Dimension::Clock], 2),
        (vec![Dimension::Day], 3),
        (vec![Dimension::Month], 2),
        (vec![Dimension::Clock, Dimension::Day], 3),
        (vec![Dimension::Tenant, Dimension::Queue, Dimension::Shift], 1),
    ] {
        let groups = tally(&by, &[], &rows).end(&HashMap::new());
        assert_eq!(groups.len(), count, "{by:?}");
        let finished: usize = groups.values().map(Group::finished).sum();
        assert_eq!(finished, rows.len());
    }
    let many = tally(&[Dimension::Clock], &[], &rows);
    assert!(many.groups.contains_key(&Key {
        clock: Some(Clock::Resolution),
        ..Key::default()
    }));
}

#[test]
fn there_are_not_too_many_groups() {
    let mut all = Tally::begin(
        By::these(&[Dimension::Tenant]),
        Watches::default(),
        HashSet::new(),
    );
    let mut row = stopped(1, Clock::Resolution, 1, 2);
    for number in 0..GROUPS {
        row.tenant_id = TenantId::from_uuid(uuid::Uuid::from_u128(number.try_into().unwrap()));
        all.add(&row).unwrap();
    }
    all.add(&row).unwrap();
    row.tenant_id = TenantId::from_uuid(uuid::Uuid::from_u128(u128::MAX));
    assert_eq!(all.add(&row).unwrap_err().code(), Code::InvalidQuery);
}
