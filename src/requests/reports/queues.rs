//! How queues fared: `GET /v1/reports/queues`.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Span;
use super::csv;
use super::dimension::{By, Dimension};
use super::flow::{Flow, Past};
use super::percentile::{Sample, Times};
use super::sla;
use super::staffing::{self, Staffing};
use super::tally::{Group, Key};
use crate::db::{Connection, Moment, QueueId};
use crate::problem::Problem;
use crate::queues::{self, Queue};
use crate::sla::Clock;

/// How queues fared in a range.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueuesReport {
    /// The first instant of the range.
    pub from: Moment,
    /// The first instant after it.
    pub to: Moment,
    /// Every queue, by name.
    pub items: Vec<QueueFigures>,
}

/// How a queue fared.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueFigures {
    /// The queue.
    pub queue_id: QueueId,
    /// Its name.
    pub queue: String,
    /// Requests that were filed into it.
    pub filed: usize,
    /// How often one was resolved.
    pub resolved: usize,
    /// How often one came back after that.
    pub reopened: usize,
    /// How often one was handed over at the end of a shift.
    pub handed_over: usize,
    /// What was open at the end of the range, and how old it was.
    pub backlog: Times,
    /// How long the first responses took, counted.
    pub first_response: Times,
    /// How long the resolutions took, counted.
    pub resolution: Times,
    /// The same with reopenings: a resolution that did not hold is left out, and its time is added to the next one.
    pub resolution_adjusted: Times,
    /// How it was staffed.
    pub staffing: Staffing,
}

/// How long answers took in a queue.
#[derive(Debug, Default)]
pub struct Answers {
    /// The first responses.
    pub first_response: Times,
    /// The resolutions.
    pub resolution: Times,
    /// The same, adjusted.
    pub resolution_adjusted: Times,
}

impl Answers {
    /// Takes the answers of a queue out of groups by queue and clock.
    pub fn take(groups: &mut HashMap<Key, Group>, queue: QueueId) -> Self {
        let mut take = |clock| {
            let key = Key {
                clock: Some(clock),
                queue: Some(queue),
                ..Key::default()
            };
            groups.remove(&key).unwrap_or_default()
        };
        let (first, resolution) = (take(Clock::FirstResponse), take(Clock::Resolution));
        Self {
            first_response: first.elapsed.times(),
            resolution: resolution.elapsed.times(),
            resolution_adjusted: resolution.adjusted.times(),
        }
    }
}

/// Queue and clock: what [`Answers`] are taken out of.
pub fn by() -> By {
    By::these(&[Dimension::Queue, Dimension::Clock])
}

/// Makes the report.
pub fn report(conn: &mut Connection, span: Span, now: Moment) -> Result<QueuesReport, Problem> {
    let mut queues = queues::store::all(conn)?;
    queues.sort_by(|one, other| one.name_folded.cmp(&other.name_folded));
    let ids: Vec<QueueId> = queues.iter().map(|queue| queue.id).collect();
    let past = Past::of(conn, span)?;
    let flows = past.flows(conn)?;
    let mut backlog = past.backlog(conn, &ids, now)?;
    let mut groups = sla::groups(conn, by(), span, None)?;
    let mut items = Vec::new();
    for queue in queues {
        let staffing = staffing::of(conn, &queue, span)?;
        let flow = flows.get(&queue.id).copied().unwrap_or_default();
        let backlog = backlog.remove(&queue.id).unwrap_or_default();
        let answers = Answers::take(&mut groups, queue.id);
        items.push(QueueFigures::new(queue, flow, backlog, answers, staffing));
    }
    Ok(QueuesReport {
        from: span.from,
        to: span.to,
        items,
    })
}

impl QueueFigures {
    fn new(queue: Queue, flow: Flow, backlog: Sample, answers: Answers, staffing: Staffing) -> Self {
        Self {
            queue_id: queue.id,
            queue: queue.name,
            filed: flow.filed,
            resolved: flow.resolved,
            reopened: flow.reopened,
            handed_over: flow.handed_over,
            backlog: backlog.times(),
            first_response: answers.first_response,
            resolution: answers.resolution,
            resolution_adjusted: answers.resolution_adjusted,
            staffing,
        }
    }

    fn row(&self) -> Vec<String> {
        let mut row = vec![self.queue.clone(), self.queue_id.to_string()];
        let counts = [self.filed, self.resolved, self.reopened, self.handed_over];
        row.extend(counts.map(|count| count.to_string()));
        row.extend(self.backlog.cells());
        row.extend(self.first_response.cells());
        row.extend(self.resolution.cells());
        row.extend(self.resolution_adjusted.cells());
        row.extend(self.staffing.cells());
        row
    }
}

impl QueuesReport {
    /// The report as a table.
    pub fn csv(&self) -> Result<String, Problem> {
        let mut head = vec![
            "queue",
            "queue_id",
            "filed",
            "resolved",
            "reopened",
            "handed_over",
        ];
        head.extend([
            "backlog_count",
            "backlog_age_p50_seconds",
            "backlog_age_p90_seconds",
        ]);
        head.extend(["first_response_count", "first_response_p50_seconds"]);
        head.extend(["first_response_p90_seconds", "resolution_count"]);
        head.extend(["resolution_p50_seconds", "resolution_p90_seconds"]);
        head.extend(["resolution_adjusted_count", "resolution_adjusted_p50_seconds"]);
        head.push("resolution_adjusted_p90_seconds");
        head.extend(Staffing::HEAD);
        let rows: Vec<Vec<String>> = self.items.iter().map(QueueFigures::row).collect();
        csv::table(&head, &rows)
    }
}
