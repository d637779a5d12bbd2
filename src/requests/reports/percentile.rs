//! Percentiles by nearest rank: always one of the values that there were, never one in between. Pure.

use serde::Serialize;
use utoipa::ToSchema;

use super::csv::cell;

/// The least of these values that at least so many of a hundred are no greater than; none of nothing. Reorders them.
pub fn nearest_rank(values: &mut [i64], percent: usize) -> Option<i64> {
    let rank = values.len().saturating_mul(percent).div_ceil(100);
    let place = rank.max(1) - 1;
    (place < values.len()).then(|| *values.select_nth_unstable(place).1)
}

/// Lengths of time that were measured, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample(Vec<i64>);

impl Sample {
    /// Adds one.
    pub fn add(&mut self, micros: i64) {
        self.0.push(micros);
    }

    /// What is said of them.
    pub fn times(mut self) -> Times {
        let mut seconds = |percent| nearest_rank(&mut self.0, percent).map(|micros| micros / 1_000_000);
        let (p50_seconds, p90_seconds) = (seconds(50), seconds(90));
        Times {
            count: self.0.len(),
            p50_seconds,
            p90_seconds,
        }
    }
}

/// Lengths of time in short: how many there were, and what half and nine tenths of them did not exceed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Times {
    /// How many.
    pub count: usize,
    /// Half of them took no longer: one of them, in whole seconds. Null of none.
    pub p50_seconds: Option<i64>,
    /// Nine of ten took no longer.
    pub p90_seconds: Option<i64>,
}

impl Times {
    /// As the cells of a table.
    pub fn cells(&self) -> [String; 3] {
        [
            self.count.to_string(),
            cell(self.p50_seconds),
            cell(self.p90_seconds),
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By its definition, value by value.
    fn slowly(values: &[i64], percent: usize) -> Option<i64> {
        let enough = |value: &i64| {
            let no_greater = values.iter().filter(|other| *other <= value).count();
            no_greater * 100 >= percent * values.len()
        };
        values.iter().filter(|value| enough(value)).min().copied()
    }

    #[test]
    fn the_nearest_rank_is_a_value_that_was_there() {
        for (values, percent, expected) in [
            (vec![], 50, None),
            (vec![7], 50, Some(7)),
            (vec![7], 90, Some(7)),
            (vec![2, 1], 50, Some(1)),
            (vec![3, 1, 2], 50, Some(2)),
            (vec![15, 20, 35, 40, 50], 30, Some(20)),
            (vec![15, 20, 35, 40, 50], 40, Some(20)),
            (vec![15, 20, 35, 40, 50], 100, Some(50)),
            ((1..=10).collect(), 90, Some(9)),
            ((1..=11).collect(), 90, Some(10)),
            (vec![4, 4, 4, 9], 0, Some(4)),
        ] {
            let mut reordered = values.clone();
            assert_eq!(
                nearest_rank(&mut reordered, percent),
                expected,
                "p{percent} of {values:?}"
            );
        }
    }

    #[test]
    fn a_sample_says_whole_seconds() {
        let mut sample = Sample::default();
        for micros in [1_999_999, 1_000_000, 60_000_000] {
            sample.add(micros);
        }
        let times = sample.times();
        let said = (times.count, times.p50_seconds, times.p90_seconds);
        assert_eq!(said, (3, Some(1), Some(60)));
        assert_eq!(Sample::default().times(), Times::default());
    }

    proptest! {
        #[test]
        fn it_is_what_counting_finds(values in prop::collection::vec(-5_i64..20, 0..80), percent in 0_usize..=100) {
            let mut reordered = values.clone();
            prop_assert_eq!(nearest_rank(&mut reordered, percent), slowly(&values, percent));
        }
    }
}
