//! What becomes of a request that nobody answers in time: step by step to another queue, or to the duty lead.
//!
//! Pure: the ladder of a queue, as it is written and kept, and what must hold of it. Climbing it is in `requests`.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::db::QueueId;
use crate::problem::FieldError;

/// So many steps a ladder may have.
const MOST: usize = 10;
/// A step comes within a week.
const LATEST: i32 = 7 * 24 * 60;

/// Where a step leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// To another queue.
    Queue {
        /// Which one.
        queue_id: QueueId,
    },
    /// To the lead on duty.
    DutyLead,
}

/// A step of a ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "LadderStep", into = "LadderStep")]
pub struct Step {
    /// So long after the request came into the queue.
    pub after_minutes: i32,
    /// Where it leads.
    pub to: To,
}

/// A step as it is written: with a `queue_id`, or with `"duty_lead": true`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LadderStep {
    /// So many minutes after the request came into the queue: 1 to 10,080, a week.
    after_minutes: i32,
    /// The queue that it goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queue_id: Option<QueueId>,
    /// Whether the lead on duty is told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    duty_lead: bool,
}

impl TryFrom<LadderStep> for Step {
    type Error = &'static str;

    fn try_from(written: LadderStep) -> Result<Self, Self::Error> {
        let to = match (written.queue_id, written.duty_lead) {
            (Some(queue_id), false) => To::Queue { queue_id },
            (None, true) => To::DutyLead,
            _ => return Err("a step leads either to a queue_id or to the duty_lead"),
        };
        let after_minutes = written.after_minutes;
        Ok(Self { after_minutes, to })
    }
}

impl From<Step> for LadderStep {
    fn from(step: Step) -> Self {
        let (queue_id, duty_lead) = match step.to {
            To::Queue { queue_id } => (Some(queue_id), false),
            To::DutyLead => (None, true),
        };
        Self {
            after_minutes: step.after_minutes,
            queue_id,
            duty_lead,
        }
    }
}

/// The steps of a queue, in the order in which they come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ladder(pub Vec<Step>);

impl Ladder {
    /// The queues that it leads to, each with the place of its step.
    pub fn queues(&self) -> impl Iterator<Item = (usize, QueueId)> + '_ {
        let queues = self.0.iter().enumerate();
        queues.filter_map(|(place, step)| match step.to {
            To::Queue { queue_id } => Some((place, queue_id)),
            To::DutyLead => None,
        })
    }

    /// What is wrong with it as the ladder of this queue: minutes ascend, no queue comes twice, and not the queue itself.
    pub fn faults(&self, own: QueueId) -> Vec<FieldError> {
        let mut faults = Vec::new();
        let mut fault = |pointer: String, detail: &str| {
            let detail = detail.to_owned();
            faults.push(FieldError { pointer, detail });
        };
        if self.0.len() > MOST {
            fault("/ladder".to_owned(), "must have at most 10 steps");
        }
        let mut last = 0;
        for (place, step) in self.0.iter().enumerate() {
            if !(1..=LATEST).contains(&step.after_minutes) {
                let pointer = format!("/ladder/{place}/after_minutes");
                fault(pointer, "must be from 1 to 10080");
            } else if step.after_minutes <= last {
                let pointer = format!("/ladder/{place}/after_minutes");
                fault(pointer, "must be later than the step before");
            }
            last = step.after_minutes;
        }
        let mut seen = HashSet::from([own]);
        for (place, queue) in self.queues() {
            if !seen.insert(queue) {
                let pointer = format!("/ladder/{place}/queue_id");
                fault(pointer, "must be another queue in each step");
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::db::Id;

    const ONE: &str = "00000000-0000-0000-0000-000000000001";
    const TWO: &str = "00000000-0000-0000-0000-000000000002";

    fn ladder(steps: Value) -> Result<Ladder, serde_json::Error> {
        serde_json::from_value(steps)
    }

    #[test]
    fn a_ladder_is_read_as_it_is_written() {
        let steps = json!([
            {"after_minutes": 15, "queue_id": ONE},
            {"after_minutes": 30, "duty_lead": true},
        ]);
        let read = ladder(steps.clone()).unwrap();
        assert_eq!(read.0[1].to, To::DutyLead);
        assert_eq!(read.queues().map(|(place, _)| place).collect::<Vec<_>>(), [0]);
        assert_eq!(serde_json::to_value(&read).unwrap(), steps);
        for wrong in [
            json!({"after_minutes": 15}),
            json!({"after_minutes": 15, "duty_lead": false}),
            json!({"after_minutes": 15, "duty_lead": true, "queue_id": ONE}),
            json!({"duty_lead": true}),
            json!({"after_minutes": 15, "duty_lead": true, "colour": "red"}),
        ] {
            assert!(ladder(json!([wrong])).is_err(), "{wrong}");
        }
    }

    #[test]
    fn minutes_ascend_and_no_queue_comes_twice() {
        let own: QueueId = Id::from_uuid(uuid::Uuid::from_u128(3));
        let to = |minutes: i32, queue: &str| json!({"after_minutes": minutes, "queue_id": queue});
        let lead = |minutes: i32| json!({"after_minutes": minutes, "duty_lead": true});
        let many: Vec<_> = (1..=11).map(lead).collect();
        for (steps, faults) in [
            (json!([]), vec![]),
            (json!([to(15, ONE), to(30, TWO), lead(45), lead(10_080)]), vec![]),
            (json!([to(0, ONE)]), vec!["/ladder/0/after_minutes"]),
            (json!([lead(10_081)]), vec!["/ladder/0/after_minutes"]),
            (json!([to(15, ONE), lead(15)]), vec!["/ladder/1/after_minutes"]),
            (
                json!([to(30, ONE), to(15, ONE)]),
                vec!["/ladder/1/after_minutes", "/ladder/1/queue_id"],
            ),
            (json!([to(15, &own.to_string())]), vec!["/ladder/0/queue_id"]),
            (json!(many), vec!["/ladder"]),
        ] {
            let found = ladder(steps.clone()).unwrap().faults(own);
            let found: Vec<_> = found.iter().map(|fault| fault.pointer.as_str()).collect();
            assert_eq!(found, faults, "{steps}");
        }
    }
}
