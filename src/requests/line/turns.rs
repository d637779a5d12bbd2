//! Whose turn it is when work is given out. Pure.
//!
//! The turns of everybody who is there are counted. Whoever had the fewest is next, so that nobody who could take every
//! request has more than one turn more than another. Whoever comes begins where the others stand, and is not flooded.

use crate::db::PersonId;
use crate::queues::Push;

/// Somebody who may be given a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub person: PersonId,
    /// How many turns it had in this queue.
    pub turns: i64,
    /// The weight of the open requests it has.
    pub load: i32,
    /// The most it may have.
    pub capacity: Option<i32>,
}

/// Loads are compared as shares of this.
const WHOLE: i64 = 1_000_000;

impl Candidate {
    /// How much of what it may have it has; without a limit the load itself counts, against a capacity of 20.
    fn share(&self) -> i64 {
        let capacity = i64::from(self.capacity.unwrap_or(20).max(1));
        i64::from(self.load).saturating_mul(WHOLE) / capacity
    }
}

/// Who of those who may be given a request gets it.
pub fn choose(push: Push, candidates: &[Candidate]) -> Option<PersonId> {
    let next = match push {
        Push::Off => None,
        Push::RoundRobin => candidates.iter().min_by_key(|one| (one.turns, one.person)),
        Push::LeastLoaded => candidates
            .iter()
            .min_by_key(|one| (one.share(), one.turns, one.person)),
    };
    next.map(|one| one.person)
}

/// Where the count of somebody begins who comes to others: at the fewest turns that one of them had.
pub fn beginning(others: &[i64]) -> i64 {
    others.iter().min().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::db::Id;

    fn person(n: u128) -> PersonId {
        Id::from_uuid(uuid::Uuid::from_u128(n))
    }

    fn candidate(n: u128, turns: i64, load: i32, capacity: Option<i32>) -> Candidate {
        Candidate {
            person: person(n),
            turns,
            load,
            capacity,
        }
    }

    #[test]
    fn whose_turn_it_is() {
        let (ada, ben, cyd) = (
            candidate(1, 3, 4, Some(8)),
            candidate(2, 2, 8, Some(10)),
            candidate(3, 2, 8, None),
        );
        for (push, all, chosen) in [
            (Push::Off, vec![ada, ben], None),
            (Push::RoundRobin, vec![], None),
            (Push::RoundRobin, vec![ada, ben, cyd], Some(2)),
            (Push::RoundRobin, vec![ada, cyd], Some(3)),
            (Push::LeastLoaded, vec![ada, ben], Some(1)),
            (Push::LeastLoaded, vec![ada, ben, cyd], Some(3)),
        ] {
            assert_eq!(choose(push, &all), chosen.map(person), "{push:?} {all:?}");
        }
        assert_eq!(beginning(&[7, 5, 6]), 5);
        assert_eq!(beginning(&[]), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Agents come and go, and requests come: whoever is there has never more than one turn more than another.
        #[test]
        fn nobody_has_two_turns_more_than_another_who_is_there(
            days in proptest::collection::vec((proptest::collection::btree_set(0..8u128, 1..8), 0..40usize), 1..12)
        ) {
            let mut turns: BTreeMap<u128, i64> = BTreeMap::new();
            for (present, requests) in days {
                turns.retain(|one, _| present.contains(one));
                let begin = beginning(&turns.values().copied().collect::<Vec<_>>());
                for one in &present {
                    turns.entry(*one).or_insert(begin);
                }
                for _ in 0..requests {
                    let all: Vec<Candidate> = turns.iter().map(|(one, turns)| candidate(*one, *turns, 0, None)).collect();
                    let chosen = choose(Push::RoundRobin, &all).unwrap();
                    for (one, count) in &mut turns {
                        *count += i64::from(person(*one) == chosen);
                    }
                    let (most, least) = (turns.values().max().unwrap(), turns.values().min().unwrap());
                    prop_assert!(most - least <= 1, "{turns:?}");
                }
            }
        }
    }
}
