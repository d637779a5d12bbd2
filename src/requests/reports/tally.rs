//! Cycles of clocks that ended, counted in groups. Pure.
//!
//! A cycle counts once, where it stood when it stopped. Its time is what was counted of it. A resolution that did not
//! hold is no resolution: *adjusted*, a cycle that a reopening followed before the end of the range is left out, and
//! one that came after a reopening takes as long as it and all cycles before it together. What happens after the range
//! never changes its numbers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;
use diesel::prelude::*;

use super::dimension::{By, Dimension};
use super::percentile::Sample;
use super::watches::Watches;
use crate::db::schema::sla_clocks;
use crate::db::{Moment, QueueId, RequestId, TenantId};
use crate::identity::Plan;
use crate::problem::{Code, Problem};
use crate::queues::routing::Severity;
use crate::requests::sla::ClockState;
use crate::requests::sla::view::ClockStanding;
use crate::sla::Clock;

/// How many groups a report has at most: what a spreadsheet shows, and memory holds.
const GROUPS: usize = 50_000;

/// A cycle that ended, as much of it as is counted.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = sla_clocks)]
pub struct Ended {
    /// When.
    pub stopped_at: Option<Moment>,
    /// Where.
    pub queue_id: QueueId,
    /// What it measured.
    pub clock: Clock,
    /// The severity.
    pub severity: Severity,
    /// The plan.
    pub plan: Plan,
    /// How it ended.
    pub state: ClockState,
    /// Its deadline.
    pub due_at: Option<Moment>,
    /// When it was late.
    pub breached_at: Option<Moment>,
    /// Counted microseconds.
    pub elapsed: Option<i64>,
    /// Which time.
    pub cycle: i32,
    /// Whose.
    pub tenant_id: TenantId,
    /// Of which request.
    pub request_id: RequestId,
}

/// A cycle of the resolution of a request.
pub type Cycle = (TenantId, RequestId, i32);

/// What all cycles of a group have in common; of dimensions that were not asked for, nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What was measured.
    pub clock: Option<Clock>,
    /// The severity.
    pub severity: Option<Severity>,
    /// The plan.
    pub plan: Option<Plan>,
    /// The tenant.
    pub tenant: Option<TenantId>,
    /// The queue.
    pub queue: Option<QueueId>,
    /// The shifts, by name.
    pub shift: Option<Arc<str>>,
    /// The day.
    pub day: Option<NaiveDate>,
    /// The first day of the month.
    pub month: Option<NaiveDate>,
}

impl Key {
    fn of(row: &Ended, at: Moment, by: &By, watches: &Watches) -> Self {
        let mut key = Self::default();
        let day = at.utc().date_naive();
        for dimension in by.dimensions() {
            match dimension {
                Dimension::Clock => key.clock = Some(row.clock),
                Dimension::Severity => key.severity = Some(row.severity),
                Dimension::Plan => key.plan = Some(row.plan),
                Dimension::Tenant => key.tenant = Some(row.tenant_id),
                Dimension::Queue => key.queue = Some(row.queue_id),
                Dimension::Shift => key.shift = Some(watches.shifts(row.queue_id, at)),
                Dimension::Day => key.day = Some(day),
                Dimension::Month => key.month = chrono::Datelike::with_day(&day, 1),
            }
        }
        key
    }
}

/// What is counted of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// In time.
    pub met: usize,
    /// Late, whether what was measured came about or not.
    pub breached: usize,
    /// Ended in time by something else than what was measured.
    pub cancelled: usize,
    /// How long each took for which what was measured came about.
    pub elapsed: Sample,
    /// The same, adjusted for reopenings.
    pub adjusted: Sample,
}

impl Group {
    /// All of them.
    pub fn finished(&self) -> usize {
        self.met + self.breached + self.cancelled
    }

    /// Of those that were met or breached, the share that was met; none of none.
    pub fn share_met(&self) -> Option<f64> {
        let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        let all = self.met + self.breached;
        (all > 0).then(|| count(self.met) / count(all))
    }
}

/// A cycle that came after a reopening, and waits for the ones before it.
#[derive(Debug)]
struct Later {
    key: Key,
    cycle: Cycle,
    elapsed: i64,
}

/// The cycles of a range in their groups.
#[derive(Debug, Default)]
pub struct Tally {
    by: By,
    watches: Watches,
    reopened: HashSet<Cycle>,
    groups: HashMap<Key, Group>,
    later: Vec<Later>,
}

impl Tally {
    /// Nothing yet. `reopened` are the cycles that a reopening followed in the range; `watches` are needed by shift.
    pub fn begin(by: By, watches: Watches, reopened: HashSet<Cycle>) -> Self {
        Self {
            by,
            watches,
            reopened,
            ..Self::default()
        }
    }

    /// Counts a cycle; 400 when there are too many groups.
    pub fn add(&mut self, row: &Ended) -> Result<(), Problem> {
        let Some(at) = row.stopped_at else { return Ok(()) };
        let key = Key::of(row, at, &self.by, &self.watches);
        let is_new = !self.groups.contains_key(&key);
        if is_new && self.groups.len() >= GROUPS {
            return Err(Problem::new(
                Code::InvalidQuery,
                format!("by: more than {GROUPS} groups; tell less apart, or ask for a shorter range"),
            ));
        }
        let group = self.groups.entry(key.clone()).or_default();
        match ClockStanding::of(row.state, row.stopped_at, row.due_at, row.breached_at) {
            ClockStanding::Breached => group.breached += 1,
            ClockStanding::Cancelled => group.cancelled += 1,
            _ => group.met += 1,
        }
        let Some(elapsed) = row.elapsed.filter(|_| row.state == ClockState::Stopped) else {
            return Ok(());
        };
        group.elapsed.add(elapsed);
        let cycle = (row.tenant_id, row.request_id, row.cycle);
        match row.clock {
            Clock::Resolution if self.reopened.contains(&cycle) => {}
            Clock::Resolution if row.cycle > 1 => self.later.push(Later { key, cycle, elapsed }),
            _ => group.adjusted.add(elapsed),
        }
        Ok(())
    }

    /// The requests whose earlier cycles are needed.
    pub fn wanted(&self) -> Vec<(TenantId, RequestId)> {
        let mut wanted: Vec<_> = self
            .later
            .iter()
            .map(|later| (later.cycle.0, later.cycle.1))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// The groups, now that the cycles of those requests are known, with what was counted of each.
    pub fn end(mut self, known: &HashMap<(TenantId, RequestId), Vec<(i32, i64)>>) -> HashMap<Key, Group> {
        for Later { key, cycle, elapsed } in self.later {
            let (tenant, request, number) = cycle;
            let earlier = known.get(&(tenant, request)).into_iter().flatten();
            let before: i64 = earlier
                .filter(|(other, _)| *other < number)
                .map(|(_, elapsed)| elapsed)
                .sum();
            self.groups.entry(key).or_default().adjusted.add(before + elapsed);
        }
        self.groups
    }
}

#[cfg(test)]
mod tests;
