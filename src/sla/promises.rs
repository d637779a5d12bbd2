//! What policies promise: the terms of a clock, for a plan and a severity. Pure.

use std::collections::HashMap;

use super::ledger::Terms;
use super::model::{Clock, Counting, PolicySet};
use crate::db::CalendarId;
use crate::identity::Plan;
use crate::queues::routing::Severity;

/// Policies, with the editions of their calendars that were in force with them.
#[derive(Clone, Debug)]
pub struct Promises {
    /// The policies.
    pub set: PolicySet,
    /// Which edition of each calendar.
    pub editions: HashMap<CalendarId, i32>,
}

impl Promises {
    /// What a clock is under.
    pub fn terms(&self, plan: Plan, severity: Severity, clock: Clock) -> Terms {
        let policy = self.set.policy(plan, severity, clock);
        let calendar = policy.and_then(|policy| match policy.calendar {
            Counting::Always => None,
            Counting::In(id) => Some(id),
        });
        Terms {
            policy_version: self.set.version,
            severity,
            target_minutes: policy.map(|policy| policy.target_minutes),
            calendar_id: calendar,
            calendar_version: calendar
                .and_then(|id| self.editions.get(&id).copied())
                .unwrap_or(0),
        }
    }
}
