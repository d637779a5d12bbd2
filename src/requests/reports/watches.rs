//! Which shifts ran in a queue when. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use crate::db::{Moment, QueueId};
use crate::queues::coverage::Watch;

/// The shifts of queues in a range.
#[derive(Clone, Debug, Default)]
pub struct Watches(HashMap<QueueId, Vec<(Moment, Arc<str>)>>);

impl Watches {
    /// Adds the watches of a queue, in order and without a hole.
    pub fn add(&mut self, queue: QueueId, watches: &[Watch]) {
        let named = |watch: &Watch| (watch.to, Arc::from(watch.shifts.join(" + ")));
        self.0.insert(queue, watches.iter().map(named).collect());
    }

    /// The names of the shifts that somebody was on duty by, joined; empty where there is none.
    pub fn shifts(&self, queue: QueueId, at: Moment) -> Arc<str> {
        let watches = self.0.get(&queue).map_or(&[][..], Vec::as_slice);
        let place = watches.partition_point(|(to, _)| *to <= at);
        watches
            .get(place)
            .map_or_else(|| Arc::from(""), |(_, shifts)| Arc::clone(shifts))
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn a_watch_has_its_first_instant_and_not_its_last() {
        let at = |hour: i64| Moment::from(DateTime::from_timestamp(hour * 3600, 0).unwrap());
        let watch = |from, to, shifts: &[&str]| Watch {
            from: at(from),
            to: at(to),
            people: shifts.len(),
            shifts: shifts.iter().map(|name| (*name).to_owned()).collect(),
        };
        let queue = QueueId::first_at(at(1));
        let mut watches = Watches::default();
        let day = [
            watch(0, 8, &["night"]),
            watch(8, 9, &["day", "night"]),
            watch(9, 20, &[]),
        ];
        watches.add(queue, &day);
        for (hour, shifts) in [(0, "night"), (7, "night"), (8, "day + night"), (9, ""), (20, "")] {
            assert_eq!(&*watches.shifts(queue, at(hour)), shifts, "{hour}");
        }
        assert_eq!(&*watches.shifts(QueueId::first_at(at(2)), at(1)), "");
    }
}
