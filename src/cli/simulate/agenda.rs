//! What happens next: a queue by instant, and by the order of entry among equals. Pure.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use chrono::{DateTime, TimeDelta, Utc};

/// What is to happen, and when.
#[derive(Debug)]
pub struct Agenda<T> {
    entries: BinaryHeap<Reverse<Entry<T>>>,
    entered: u64,
    last: DateTime<Utc>,
}

#[derive(Debug)]
struct Entry<T> {
    at: DateTime<Utc>,
    number: u64,
    what: T,
}

impl<T> Entry<T> {
    fn key(&self) -> (DateTime<Utc>, u64) {
        (self.at, self.number)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl<T> Eq for Entry<T> {}
impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl<T> Agenda<T> {
    /// An empty one that begins at an instant.
    pub fn beginning(at: DateTime<Utc>) -> Self {
        Self {
            entries: BinaryHeap::new(),
            entered: 0,
            last: at,
        }
    }

    /// Enters something.
    pub fn enter(&mut self, at: DateTime<Utc>, what: T) {
        self.entered += 1;
        self.entries.push(Reverse(Entry {
            at,
            number: self.entered,
            what,
        }));
    }

    /// What happens next, and when: each in a millisecond of its own, for ids are ordered by theirs.
    pub fn next(&mut self) -> Option<(DateTime<Utc>, T)> {
        let Reverse(Entry { at, what, .. }) = self.entries.pop()?;
        Some((self.instant(at), what))
    }

    /// The first millisecond from `at` on in which nothing has happened yet.
    pub fn instant(&mut self, at: DateTime<Utc>) -> DateTime<Utc> {
        self.last = at.max(self.last + TimeDelta::milliseconds(1));
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milli: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(milli).unwrap()
    }

    #[test]
    fn it_comes_in_order_and_no_two_at_once() {
        let mut agenda = Agenda::beginning(at(5));
        for (milli, what) in [(9, "c"), (2, "a"), (7, "b"), (9, "d"), (10, "e"), (20, "f")] {
            agenda.enter(at(milli), what);
        }
        let mut found = Vec::new();
        while let Some((when, what)) = agenda.next() {
            found.push((when.timestamp_millis(), what));
            if what == "a" {
                agenda.enter(at(1), "late");
            }
        }
        let expected = [
            (6, "a"),
            (7, "late"),
            (8, "b"),
            (9, "c"),
            (10, "d"),
            (11, "e"),
            (20, "f"),
        ];
        assert_eq!(found, expected);
    }
}
