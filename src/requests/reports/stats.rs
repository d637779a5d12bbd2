//! How one queue is doing, and how it did: `GET /v1/queues/{id}/stats`.

use chrono::TimeDelta;
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Span;
use super::csv::{self, cell};
use super::flow::Past;
use super::percentile::Times;
use super::queues::{Answers, by};
use super::staffing::{self, Staffing};
use super::{sla, store};
use crate::db::{Connection, Moment, QueueId};
use crate::problem::Problem;
use crate::queues::routing::Severity;
use crate::queues::{MemberView, Queue, duty};
use crate::requests::lifecycle::Status;

/// What is due soon is due within this.
const SOON: TimeDelta = TimeDelta::hours(1);

/// How many requests are open in a status, of a severity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OpenCount {
    /// Where they stand.
    pub status: Status,
    /// How bad they are.
    pub severity: Severity,
    /// How many.
    pub count: i64,
}

/// How a queue is doing at this instant.
#[derive(Debug, Serialize, ToSchema)]
pub struct Now {
    /// The instant.
    pub at: Moment,
    /// What is open, by status and severity; what there is none of is left out.
    pub open: Vec<OpenCount>,
    /// How many wait in its line.
    pub waiting: i64,
    /// Since when the oldest of them does.
    pub oldest_waiting_since: Option<Moment>,
    /// How long that is.
    pub oldest_waiting_seconds: Option<i64>,
    /// Who is on duty.
    pub on_duty: Vec<MemberView>,
    /// Open requests with a deadline that has passed.
    pub breached: i64,
    /// Others with one within the hour.
    pub due_within_the_hour: i64,
}

/// How a queue is doing, and how it did in a range.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueStats {
    /// The queue.
    pub queue_id: QueueId,
    /// Its name.
    pub queue: String,
    /// As it is now.
    pub now: Now,
    /// The first instant of the range.
    pub from: Moment,
    /// The first instant after it.
    pub to: Moment,
    /// Requests that were filed into it in the range.
    pub filed: usize,
    /// How often one was resolved.
    pub resolved: usize,
    /// How often one came back after that.
    pub reopened: usize,
    /// How often one was handed over at the end of a shift.
    pub handed_over: usize,
    /// How long the first responses took, counted.
    pub first_response: Times,
    /// How long the resolutions took, counted.
    pub resolution: Times,
    /// The same with reopenings: a resolution that did not hold is left out, and its time is added to the next one.
    pub resolution_adjusted: Times,
    /// How it was staffed.
    pub staffing: Staffing,
}

fn now(conn: &mut Connection, queue: &Queue, at: Moment) -> Result<Now, Problem> {
    let (waiting, oldest) = store::waiting(conn, queue.id)?;
    let open = store::open_by(conn, queue.id)?.into_iter();
    let mut open: Vec<OpenCount> = open
        .map(|(status, severity, count)| OpenCount {
            status,
            severity,
            count,
        })
        .collect();
    open.sort_unstable_by_key(|group| (group.status, group.severity));
    let breached = store::due(conn, queue.id, at)?;
    let due = store::due(conn, queue.id, at.plus(SOON))?;
    Ok(Now {
        at,
        open,
        waiting,
        oldest_waiting_since: oldest,
        oldest_waiting_seconds: oldest.map(|since| at.since(since).num_seconds()),
        on_duty: duty::members(conn, queue.id, at)?,
        breached,
        due_within_the_hour: (due - breached).max(0),
    })
}

/// Makes the statistics of a queue.
pub fn stats(conn: &mut Connection, queue: Queue, span: Span, at: Moment) -> Result<QueueStats, Problem> {
    let now = now(conn, &queue, at)?;
    let flows = Past::of(conn, span)?.flows(conn)?;
    let flow = flows.get(&queue.id).copied().unwrap_or_default();
    let mut groups = sla::groups(conn, by(), span, Some(queue.id))?;
    let answers = Answers::take(&mut groups, queue.id);
    let staffing = staffing::of(conn, &queue, span)?;
    Ok(QueueStats {
        queue_id: queue.id,
        queue: queue.name,
        now,
        from: span.from,
        to: span.to,
        filed: flow.filed,
        resolved: flow.resolved,
        reopened: flow.reopened,
        handed_over: flow.handed_over,
        first_response: answers.first_response,
        resolution: answers.resolution,
        resolution_adjusted: answers.resolution_adjusted,
        staffing,
    })
}

impl QueueStats {
    /// As a table: a figure a row.
    pub fn csv(&self) -> Result<String, Problem> {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut say = |figure: String, value: String| rows.push(vec![figure, value]);
        say("queue".to_owned(), self.queue.clone());
        say("queue_id".to_owned(), self.queue_id.to_string());
        self.now.say(&mut say);
        say("from".to_owned(), self.from.to_string());
        say("to".to_owned(), self.to.to_string());
        for (figure, count) in [
            ("filed", self.filed),
            ("resolved", self.resolved),
            ("reopened", self.reopened),
            ("handed_over", self.handed_over),
        ] {
            say(figure.to_owned(), count.to_string());
        }
        for (figure, times) in [
            ("first_response", &self.first_response),
            ("resolution", &self.resolution),
            ("resolution_adjusted", &self.resolution_adjusted),
        ] {
            for (part, value) in ["count", "p50_seconds", "p90_seconds"].iter().zip(times.cells()) {
                say(format!("{figure}_{part}"), value);
            }
        }
        for (figure, value) in Staffing::HEAD.iter().zip(self.staffing.cells()) {
            say((*figure).to_owned(), value);
        }
        csv::table(&["figure", "value"], &rows)
    }
}

impl Now {
    fn say(&self, say: &mut impl FnMut(String, String)) {
        say("at".to_owned(), self.at.to_string());
        for group in &self.open {
            let figure = format!("open_{}_{}", group.status, group.severity);
            say(figure, group.count.to_string());
        }
        say("waiting".to_owned(), self.waiting.to_string());
        say(
            "oldest_waiting_seconds".to_owned(),
            cell(self.oldest_waiting_seconds),
        );
        say("on_duty".to_owned(), self.on_duty.len().to_string());
        say("breached".to_owned(), self.breached.to_string());
        say(
            "due_within_the_hour".to_owned(),
            self.due_within_the_hour.to_string(),
        );
    }
}
