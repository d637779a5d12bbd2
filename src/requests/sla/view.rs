//! Clocks as clients see them: in short with a request, and explained.

use std::collections::HashMap;

use chrono::TimeDelta;
use serde::Serialize;
use utoipa::ToSchema;

use super::clocks::{ClockState, Cycle, Row};
use super::store;
use crate::db::{CalendarId, Connection, Moment, RequestId, TenantId, text_enum};
use crate::problem::Problem;
use crate::queues::routing::Severity;
use crate::requests::model::Request;
use crate::sla::{self, Book, Clock, Interval, Onset, Pace};

text_enum! {
    /// How it is with a promise.
    ClockStanding {
        /// Time runs.
        Running = "running",
        /// Time stands still.
        Paused = "paused",
        /// It was kept.
        Met = "met",
        /// It was broken, whether it still runs or not.
        Breached = "breached",
        /// It came to nothing before it was due.
        Cancelled = "cancelled",
    }
}

impl ClockStanding {
    /// How it is with what a clock promises, which stopped and was due, or late, at these instants.
    pub fn of(
        state: ClockState,
        stopped_at: Option<Moment>,
        due_at: Option<Moment>,
        breached_at: Option<Moment>,
    ) -> Self {
        let is_late = stopped_at.zip(due_at).is_some_and(|(at, due)| at > due);
        match state {
            _ if breached_at.is_some() || is_late => Self::Breached,
            ClockState::Running => Self::Running,
            ClockState::Paused => Self::Paused,
            ClockState::Stopped => Self::Met,
            ClockState::Cancelled => Self::Cancelled,
        }
    }
}

impl Row {
    /// How it is with what was promised.
    pub fn promise(&self) -> ClockStanding {
        ClockStanding::of(self.state, self.stopped_at, self.due_at, self.breached_at)
    }
}

/// A clock of a request, in short: its last cycle.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClockView {
    /// The deadline; none while time stands still.
    pub due_at: Option<Moment>,
    /// How it is with it.
    pub state: ClockStanding,
    /// When what it measures came about, or could no longer.
    pub stopped_at: Option<Moment>,
}

/// The clocks of a request by name; one that is not there was not promised.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct SlaView {
    /// From filing to the first public reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_response: Option<ClockView>,
    /// From what a customer says later to the next public reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_response: Option<ClockView>,
    /// From filing to the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<ClockView>,
}

impl SlaView {
    /// The last cycle that has a target, of each clock; rows come in the order of their cycles.
    fn add(&mut self, row: &Row) {
        if row.target_minutes.is_none() {
            return;
        }
        let place = match row.clock {
            Clock::FirstResponse => &mut self.first_response,
            Clock::NextResponse => &mut self.next_response,
            Clock::Resolution => &mut self.resolution,
        };
        *place = Some(ClockView {
            due_at: row.due_at,
            state: row.promise(),
            stopped_at: row.stopped_at,
        });
    }
}

/// The clocks of requests, in short.
pub fn of(
    conn: &mut Connection,
    whose: &[(TenantId, RequestId)],
) -> Result<HashMap<RequestId, SlaView>, Problem> {
    let mut views: HashMap<RequestId, SlaView> = HashMap::new();
    for row in store::rows_of(conn, whose)? {
        views.entry(row.request_id).or_default().add(&row);
    }
    Ok(views)
}

/// The clocks of one request, in short.
pub fn of_one(conn: &mut Connection, request: &Request) -> Result<SlaView, Problem> {
    let mut views = of(conn, &[(request.tenant_id, request.id)])?;
    Ok(views.remove(&request.id).unwrap_or_default())
}

/// A stretch of time in which a clock ran, or stood still, under the same terms.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IntervalView {
    /// Its first instant.
    pub from: Moment,
    /// The first instant after it; none while it lasts.
    pub until: Option<Moment>,
    /// Whether time counts.
    pub pace: Pace,
    /// What it began with.
    pub cause: Onset,
    /// How many seconds of it count.
    pub counted_seconds: i64,
    /// The severity.
    pub severity: Severity,
    /// How many minutes were promised; none where nothing was.
    pub target_minutes: Option<i32>,
    /// The set of policies that said so.
    pub policy_version: i32,
    /// The calendar; time always counts without one.
    pub calendar_id: Option<CalendarId>,
    /// Its version.
    pub calendar_version: Option<i32>,
}

/// A cycle of a clock, explained.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CycleView {
    /// What is measured.
    pub clock: Clock,
    /// Which time.
    pub cycle: i32,
    /// How it is with it.
    pub state: ClockStanding,
    /// How many minutes there are now, or were in the end.
    pub target_minutes: Option<i32>,
    /// How many seconds have been counted.
    pub counted_seconds: i64,
    /// How many are left; less than none once it is late.
    pub remaining_seconds: Option<i64>,
    /// The deadline; none while time stands still.
    pub due_at: Option<Moment>,
    /// When three quarters had passed.
    pub warned_at: Option<Moment>,
    /// When all had.
    pub breached_at: Option<Moment>,
    /// When what it measures came about, or could no longer.
    pub stopped_at: Option<Moment>,
    /// All of it, in order and without a hole.
    pub intervals: Vec<IntervalView>,
    /// The arithmetic in words.
    pub arithmetic: String,
}

/// The clocks of a request, explained.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Explanation {
    /// As of when.
    pub at: Moment,
    /// Every cycle of every clock.
    pub clocks: Vec<CycleView>,
}

/// Explains the clocks of a request as of an instant.
pub fn explain(conn: &mut Connection, request: &Request, at: Moment) -> Result<Explanation, Problem> {
    let mut book = Book::default();
    let mut clocks = Vec::new();
    for cycle in store::cycles(conn, (request.tenant_id, request.id))? {
        store::enter(conn, &mut book, &cycle.ledger)?;
        clocks.push(explain_one(conn, &book, &cycle, at)?);
    }
    Ok(Explanation { at, clocks })
}

fn explain_one(conn: &mut Connection, book: &Book, cycle: &Cycle, at: Moment) -> Result<CycleView, Problem> {
    let row = &cycle.row;
    let counted = cycle.ledger.elapsed(book, at);
    let target = row
        .target_minutes
        .map(|minutes| TimeDelta::minutes(minutes.into()));
    let interval = |interval: &Interval| IntervalView {
        from: interval.from_at,
        until: interval.until_at,
        pace: interval.pace,
        cause: interval.cause,
        counted_seconds: interval.counted(book, at).num_seconds(),
        severity: interval.terms.severity,
        target_minutes: interval.terms.target_minutes,
        policy_version: interval.terms.policy_version,
        calendar_id: interval.terms.calendar_id,
        calendar_version: interval.terms.calendar().map(|(_, version)| version),
    };
    Ok(CycleView {
        clock: row.clock,
        cycle: row.cycle,
        state: row.promise(),
        target_minutes: row.target_minutes,
        counted_seconds: counted.num_seconds(),
        remaining_seconds: target.map(|target| (target - counted).num_seconds()),
        due_at: row.due_at,
        warned_at: row.warned_at,
        breached_at: row.breached_at,
        stopped_at: row.stopped_at,
        intervals: cycle.ledger.intervals().iter().map(interval).collect(),
        arithmetic: arithmetic(conn, cycle, counted, target)?,
    })
}

/// What was counted of what was promised, and what follows from it, in a sentence.
fn arithmetic(
    conn: &mut Connection,
    cycle: &Cycle,
    counted: TimeDelta,
    target: Option<TimeDelta>,
) -> Result<String, Problem> {
    let (row, terms) = (&cycle.row, cycle.ledger.terms());
    let Some((target, terms)) = target.zip(terms) else {
        return Ok("nothing is promised, and nothing is counted".to_owned());
    };
    let hours = match terms.calendar_id {
        None => "around the clock".to_owned(),
        Some(id) => {
            let name = sla::store::calendar(conn, id)?.map(|calendar| calendar.name);
            format!(
                "in the hours of `{}` (version {})",
                name.unwrap_or_default(),
                terms.calendar_version
            )
        }
    };
    let left = target - counted;
    let rest = match left < TimeDelta::zero() {
        true => format!("{} over", words(-left)),
        false => format!("{} left", words(left)),
    };
    let end = match (row.stopped_at, row.state, row.due_at) {
        (Some(at), ClockState::Cancelled, _) => format!("cancelled at {at}"),
        (Some(at), _, _) => format!("stopped at {at}"),
        (None, ClockState::Paused, _) => "which do not pass while the customer is awaited".to_owned(),
        (None, _, Some(due)) => format!("due at {due}"),
        (None, _, None) => "and no deadline within ten years".to_owned(),
    };
    Ok(format!(
        "{} counted {hours}, of {} for severity {} (policies {}): {rest}; {end}",
        words(counted),
        words(target),
        terms.severity,
        terms.policy_version,
    ))
}

/// A length of time: `1 h 30 min`.
fn words(long: TimeDelta) -> String {
    let (hours, minutes, seconds) = (long.num_hours(), long.num_minutes() % 60, long.num_seconds() % 60);
    let parts = [(hours, "h"), (minutes, "min"), (seconds, "s")];
    let said: Vec<String> = parts
        .iter()
        .filter(|(amount, _)| *amount != 0)
        .map(|(amount, unit)| format!("{amount} {unit}"))
        .collect();
    if said.is_empty() {
        "0 min".to_owned()
    } else {
        said.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_written_in_words() {
        for (seconds, said) in [
            (0, "0 min"),
            (59, "59 s"),
            (5_400, "1 h 30 min"),
            (90_061, "25 h 1 min 1 s"),
        ] {
            assert_eq!(words(TimeDelta::seconds(seconds)), said);
        }
    }
}
