//! The books of a simulation: what was seen of every day, of the storm, and of everybody. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

/// How long a slice of the storm is.
pub const SLICE: TimeDelta = TimeDelta::minutes(5);

/// What was seen on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Day {
    /// Requests filed.
    pub filed: u32,
    /// The most that were open at once.
    pub open: u32,
    /// Promises broken.
    pub breached: u32,
}

/// What was seen in five minutes of the storm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Slice {
    /// Requests filed.
    pub filed: u32,
    /// Open requests at its end.
    pub open: u32,
}

/// What one person did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Person {
    /// Requests claimed, or given.
    pub taken: u32,
    /// Time on duty.
    pub on_duty: TimeDelta,
}

/// Everything that was seen.
#[derive(Clone, Debug)]
pub struct Books {
    from: DateTime<Utc>,
    storm: Option<DateTime<Utc>>,
    open: u32,
    /// Day by day.
    pub days: Vec<Day>,
    /// The storm, from an hour before it on, in slices.
    pub slices: Vec<Slice>,
    /// Person by person.
    pub people: Vec<Person>,
    /// Requests filed.
    pub filed: u32,
    /// How often one was taken back at the end of a shift.
    pub handed_over: u32,
    /// How often it was asked who is stranded.
    pub asked: u32,
    /// The most that were.
    pub stranded: u64,
    /// Absences entered, refused because nobody would have been there, and made possible by somebody who came in.
    pub leave: LeaveCounts,
    /// Calls refused otherwise, by code.
    pub refused: BTreeMap<String, u32>,
}

/// What became of who wanted to be away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeaveCounts {
    /// Entered.
    pub granted: u32,
    /// Refused: nobody would have been there.
    pub refused: u32,
    /// Illness that would have been refused, and somebody came in.
    pub stood_in: u32,
}

impl Books {
    /// Empty books.
    pub fn new(from: DateTime<Utc>, days: usize, people: usize, storm: Option<DateTime<Utc>>) -> Self {
        Self {
            from,
            storm,
            open: 0,
            days: vec![Day::default(); days],
            slices: storm.map(|_| vec![Slice::default(); 72]).unwrap_or_default(),
            people: vec![Person::default(); people],
            filed: 0,
            handed_over: 0,
            asked: 0,
            stranded: 0,
            leave: LeaveCounts::default(),
            refused: BTreeMap::new(),
        }
    }

    fn day(&mut self, at: DateTime<Utc>) -> Option<&mut Day> {
        let place = usize::try_from((at - self.from).num_days()).ok()?;
        self.days.get_mut(place)
    }

    fn slice(&mut self, at: DateTime<Utc>) -> Option<&mut Slice> {
        let from = self.storm? - TimeDelta::hours(1);
        let place = (at - from).num_seconds().div_euclid(SLICE.num_seconds());
        self.slices.get_mut(usize::try_from(place).ok()?)
    }

    /// A request was filed.
    pub fn filed(&mut self, at: DateTime<Utc>) {
        self.filed += 1;
        if let Some(day) = self.day(at) {
            day.filed += 1;
        }
        if let Some(slice) = self.slice(at) {
            slice.filed += 1;
        }
    }

    /// So many are open now.
    pub fn open(&mut self, at: DateTime<Utc>, open: u32) {
        self.open = open;
        self.look(at);
    }

    /// Takes down what is open.
    pub fn look(&mut self, at: DateTime<Utc>) {
        let open = self.open;
        if let Some(day) = self.day(at) {
            day.open = day.open.max(open);
        }
        if let Some(slice) = self.slice(at) {
            slice.open = open;
        }
    }

    /// So many were stranded when it was asked.
    pub fn stranded(&mut self, count: u64) {
        self.asked += 1;
        self.stranded = self.stranded.max(count);
    }

    /// A call was refused.
    pub fn refused(&mut self, code: &str) {
        *self.refused.entry(code.to_owned()).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_is_taken_down_where_it_belongs() {
        let from: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let storm = from + TimeDelta::hours(30);
        let mut books = Books::new(from, 3, 1, Some(storm));
        books.filed(from);
        books.open(from, 1);
        books.filed(storm);
        books.open(storm, 9);
        books.open(storm + SLICE, 4);
        books.look(storm + TimeDelta::hours(18));
        books.filed(from + TimeDelta::days(99));
        let day = |filed, open| Day {
            filed,
            open,
            breached: 0,
        };
        assert_eq!(books.days, [day(1, 1), day(1, 9), day(0, 4)]);
        assert_eq!(books.slices[12], Slice { filed: 1, open: 9 });
        assert_eq!(books.slices[13], Slice { filed: 0, open: 4 });
        assert_eq!(books.filed, 3);
        books.stranded(0);
        books.stranded(2);
        books.stranded(1);
        assert_eq!((books.asked, books.stranded), (3, 2));
    }
}
