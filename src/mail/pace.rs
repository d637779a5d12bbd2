//! A rate, kept to: the generic cell rate algorithm, with one second's worth at once. Pure.
//!
//! Of our own, because two things are asked of it that `governor` does not answer: some may run ahead of the others,
//! and what has to wait is told when, each a little later than the one before.

use std::num::NonZeroU32;

use chrono::TimeDelta;

use crate::db::Moment;

/// So much may go at once after a rest.
const BURST: TimeDelta = TimeDelta::seconds(1);
/// Nobody is sent away for longer: the rate may have been raised by then.
const LONGEST: TimeDelta = TimeDelta::minutes(15);

/// How many in a second, and how far the present one is used up.
#[derive(Clone, Debug)]
pub struct Pace {
    apart: TimeDelta,
    /// When the next would come, if they came evenly.
    next: Moment,
    /// The same for those that were sent away.
    booked: Moment,
}

impl Pace {
    /// So many a second, from `now` on.
    pub fn new(a_second: NonZeroU32, now: Moment) -> Self {
        Self {
            apart: TimeDelta::microseconds(1_000_000 / i64::from(a_second.get())),
            next: now,
            booked: now,
        }
    }

    /// How many may go now; twice as far where they go `ahead` of the others.
    pub fn room(&self, now: Moment, ahead: bool) -> usize {
        let burst = if ahead { BURST * 2 } else { BURST };
        let free = now.plus(burst).since(self.next.max(now));
        let cells = free.num_microseconds().unwrap_or(0) / self.apart.num_microseconds().unwrap_or(1).max(1);
        usize::try_from(cells).unwrap_or(0)
    }

    /// So many go now.
    pub fn take(&mut self, now: Moment, count: usize) {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        self.next = self.next.max(now).plus(self.apart * count);
    }

    /// When one that may not go now should ask again: behind all who were told so before.
    pub fn book(&mut self, now: Moment) -> Moment {
        let earliest = self.next.minus(BURST).max(now).plus(self.apart);
        let slot = self.booked.plus(self.apart).max(earliest);
        self.booked = slot.min(now.plus(LONGEST));
        self.booked
    }

    /// Whether it remembers nothing that matters.
    pub fn is_rested(&self, now: Moment) -> bool {
        self.next.max(self.booked) <= now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Moment {
        chrono::DateTime::from_timestamp_millis(1_283_882_400_000 + millis)
            .unwrap()
            .into()
    }

    fn pace(a_second: u32) -> Pace {
        Pace::new(NonZeroU32::new(a_second).unwrap(), at(0))
    }

    #[test]
    fn a_second_is_used_up_at_once_and_comes_back_evenly() {
        let mut pace = pace(10);
        assert_eq!((pace.room(at(0), false), pace.room(at(0), true)), (10, 20));
        pace.take(at(0), 10);
        assert_eq!((pace.room(at(0), false), pace.room(at(0), true)), (0, 10));
        for (millis, room) in [(99, 0), (100, 1), (450, 4), (1000, 10), (60_000, 10)] {
            assert_eq!(pace.room(at(millis), false), room, "after {millis} ms");
        }
        // Those who went ahead are waited for.
        pace.take(at(60_000), 20);
        assert_eq!(pace.room(at(60_900), false), 0);
        assert_eq!(pace.room(at(61_100), false), 1);
    }

    #[test]
    fn whoever_has_to_wait_is_told_when_one_after_another_and_not_too_late() {
        let mut pace = pace(2);
        pace.take(at(0), 2);
        let slots: Vec<Moment> = (0..3).map(|_| pace.book(at(0))).collect();
        assert_eq!(slots, [at(500), at(1000), at(1500)]);
        let last = (0..10_000).map(|_| pace.book(at(0))).last();
        assert_eq!(last, Some(at(15 * 60_000)));
        assert!(!pace.is_rested(at(0)) && pace.is_rested(at(15 * 60_000)));
    }

    proptest! {
        #[test]
        fn in_no_second_go_more_than_two_seconds_worth(a_second in 1u32..50, asked in prop::collection::vec((0i64..400, 1usize..30), 1..60)) {
            let mut pace = pace(a_second);
            let (mut now, mut gone) = (0, Vec::new());
            for (later, wanted) in asked {
                now += later;
                let count = pace.room(at(now), false).min(wanted);
                pace.take(at(now), count);
                gone.push((now, count));
                let of_second: usize = gone.iter().filter(|(when, _)| now - when < 1000).map(|(_, count)| count).sum();
                prop_assert!(of_second <= 2 * usize::try_from(a_second).unwrap());
            }
        }
    }
}
