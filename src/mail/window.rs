//! How many at a time: one more after as many successes, half of them after a "not now". Pure.
//!
//! So a server that is asked for too much soon gets as much as it takes, and a little more from time to time.

/// A bound that follows what comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    most: usize,
    limit: usize,
    /// Successes since the last step up.
    credit: usize,
    /// So many results are still to come from what was begun before the last step down; they say nothing new.
    settling: usize,
}

impl Window {
    /// One that lets through `most` (at least one) until it is told otherwise.
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        Self {
            most,
            limit: most,
            credit: 0,
            settling: 0,
        }
    }

    /// How many may be under way.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether it is as wide as it can be.
    pub fn is_whole(&self) -> bool {
        self.limit == self.most
    }

    /// One came through.
    pub fn widen(&mut self) {
        self.settling = self.settling.saturating_sub(1);
        self.credit += 1;
        if self.credit >= self.limit {
            self.credit = 0;
            self.limit = (self.limit + 1).min(self.most);
        }
    }

    /// One was put off, while `others` were under way.
    pub fn narrow(&mut self, others: usize) {
        self.credit = 0;
        if self.settling > 0 {
            self.settling -= 1;
            return;
        }
        self.limit = (self.limit / 2).max(1);
        self.settling = others;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_halves_once_for_what_was_under_way_and_grows_by_one_a_round() {
        let mut window = Window::new(8);
        assert!(window.is_whole());
        // Eight were under way; all are put off.
        for others in (0..8).rev() {
            window.narrow(others);
        }
        assert_eq!((window.limit(), window.is_whole()), (4, false));
        window.narrow(3);
        assert_eq!(window.limit(), 2);
        for (successes, limit) in [(2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 8), (50, 8)] {
            for _ in 0..successes {
                window.widen();
            }
            assert_eq!(window.limit(), limit);
        }
    }

    proptest! {
        #[test]
        fn it_never_leaves_its_bounds_and_finds_back(most in 0usize..40, came_through in prop::collection::vec(any::<bool>(), 0..200)) {
            let mut window = Window::new(most);
            for through in came_through {
                if through { window.widen() } else { window.narrow(window.limit() - 1) }
                prop_assert!((1..=most.max(1)).contains(&window.limit()));
            }
            for _ in 0..most * most {
                window.widen();
            }
            prop_assert!(window.is_whole());
        }
    }
}
