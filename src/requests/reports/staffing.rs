//! How a queue was staffed in a range, by its schedule as it is now: a schedule that was replaced is not remembered.

use chrono::TimeDelta;
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Span;
use crate::db::{Connection, Moment};
use crate::problem::Problem;
use crate::queues::Queue;
use crate::queues::coverage::{self, Gap, Watch};

/// How a queue was staffed; whole minutes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Staffing {
    /// How long the range is.
    pub minutes: i64,
    /// How long at least the minimum was on duty.
    pub covered_minutes: i64,
    /// How long everybody was on duty, together.
    pub staffed_minutes: i64,
    /// How often fewer than the minimum were.
    pub gaps: usize,
}

impl Staffing {
    /// Of these watches and gaps of a range.
    fn of(span: Span, watches: &[Watch], gaps: &[Gap]) -> Self {
        let length = |from: Moment, to: Moment| to.since(from);
        let all = length(span.from, span.to);
        let open: TimeDelta = gaps.iter().map(|gap| length(gap.from, gap.to)).sum();
        let staffed: TimeDelta = watches
            .iter()
            .map(|watch| length(watch.from, watch.to) * i32::try_from(watch.people).unwrap_or(i32::MAX))
            .sum();
        Self {
            minutes: all.num_minutes(),
            covered_minutes: (all - open).num_minutes(),
            staffed_minutes: staffed.num_minutes(),
            gaps: gaps.len(),
        }
    }

    /// Its names in a table.
    pub const HEAD: [&str; 4] = ["minutes", "covered_minutes", "staffed_minutes", "gaps"];

    /// As the cells of a table.
    pub fn cells(&self) -> [String; 4] {
        [
            self.minutes.to_string(),
            self.covered_minutes.to_string(),
            self.staffed_minutes.to_string(),
            self.gaps.to_string(),
        ]
    }
}

/// How a queue was, or will be, staffed in a range.
pub fn of(conn: &mut Connection, queue: &Queue, span: Span) -> Result<Staffing, Problem> {
    let watches = coverage::watches(conn, queue.id, span.ends())?;
    let gaps = coverage::gaps(conn, queue, span.ends())?;
    Ok(Staffing::of(span, &watches, &gaps))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn people_count_together_and_gaps_are_not_covered() {
        let at = |second: i64| Moment::from(DateTime::from_timestamp(second, 0).unwrap());
        let watch = |from, to, people| Watch {
            from: at(from),
            to: at(to),
            people,
            shifts: Vec::new(),
        };
        let span = Span {
            from: at(0),
            to: at(630),
        };
        let watches = [watch(0, 90, 3), watch(90, 150, 0), watch(150, 630, 1)];
        let gap = Gap {
            from: at(90),
            to: at(150),
        };
        let staffing = Staffing {
            minutes: 10,
            covered_minutes: 9,
            staffed_minutes: 12,
            gaps: 1,
        };
        assert_eq!(Staffing::of(span, &watches, &[gap]), staffing);
    }
}
