//! The clocks of one request, and what a move does to them. Pure.
//!
//! A cycle is a row and its ledger. The row repeats what follows from the ledger, so that whoever looks for what is due
//! need not work it out: [`Cycle::refresh`] is the one place where that is done. Warning and breach are facts that
//! stay; whether a clock was stopped in time is the question whether it was stopped before its breach.

use diesel::prelude::*;

use super::moves::Move;
use crate::db::schema::sla_clocks;
use crate::db::{Moment, QueueId, RequestId, TenantId, text_enum};
use crate::identity::Plan;
use crate::queues::routing::Severity;
use crate::sla::{Book, Clock, Ledger, Onset, Pace, Share, Terms};

text_enum! {
    /// How it is with a cycle of a clock.
    ClockState {
        Running = "running",
        Paused = "paused",
        /// What it measures has come about.
        Stopped = "stopped",
        /// It will not come about any more.
        Cancelled = "cancelled",
    }
}

/// One cycle of one clock.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = sla_clocks, primary_key(tenant_id, request_id, clock, cycle), treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Row {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The request.
    pub request_id: RequestId,
    /// What it measures.
    pub clock: Clock,
    /// How many times it has begun, this time included.
    pub cycle: i32,
    /// How it is with it.
    pub state: ClockState,
    /// Counts changes, and guards every save.
    pub revision: i32,
    /// Up to which change of policies and calendars it has followed.
    pub terms: i32,
    /// The plan of the tenant when it began.
    pub plan: Plan,
    /// The severity; in the end that at the end.
    pub severity: Severity,
    /// The queue; in the end that at the end.
    pub queue_id: QueueId,
    /// How many minutes there are; none where nothing is promised.
    pub target_minutes: Option<i32>,
    /// When it began.
    pub opened_at: Moment,
    /// The deadline; none while it stands still, and where there is none.
    pub due_at: Option<Moment>,
    /// When the next mark is to be made.
    pub next_at: Option<Moment>,
    /// When three quarters had passed, once that has been marked.
    pub warned_at: Option<Moment>,
    /// When the target had passed, once that has been marked.
    pub breached_at: Option<Moment>,
    /// When it was stopped or cancelled.
    pub stopped_at: Option<Moment>,
    /// Counted microseconds, once it was stopped or cancelled.
    pub elapsed: Option<i64>,
}

/// A cycle with its ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// The row.
    pub row: Row,
    /// Its intervals.
    pub ledger: Ledger,
}

impl Cycle {
    /// Whose it is, and of which request.
    pub fn whose(&self) -> (TenantId, RequestId) {
        (self.row.tenant_id, self.row.request_id)
    }

    /// Ends it.
    fn end(&mut self, at: Moment, state: ClockState) {
        self.ledger.end(at);
        self.row.state = state;
        self.row.stopped_at = Some(at.max(self.row.opened_at));
    }

    /// Works out what the row repeats.
    pub fn refresh(&mut self, book: &Book) {
        let breach = self.ledger.reached(book, Share::Breach);
        let warning = self.ledger.reached(book, Share::Warning);
        let row = &mut self.row;
        if let Some(terms) = self.ledger.terms() {
            row.severity = terms.severity;
            row.target_minutes = terms.target_minutes;
        }
        match (self.ledger.pace(), row.stopped_at) {
            (Some(Pace::Running), _) => row.state = ClockState::Running,
            (Some(Pace::Paused), _) => row.state = ClockState::Paused,
            (None, Some(at)) => row.elapsed = self.ledger.elapsed(book, at).num_microseconds(),
            (None, None) => {}
        }
        // What has been stopped in time keeps the deadline that it met.
        let met = row.due_at.filter(|_| row.stopped_at.is_some());
        row.due_at = row.breached_at.or(breach).or(met);
        row.next_at = match (row.warned_at, row.breached_at) {
            (_, Some(_)) => None,
            (Some(_), None) => breach,
            (None, None) => warning.or(breach),
        };
    }

    /// The mark that is to be made next, and its instant.
    pub fn next_mark(&self) -> Option<(Share, Moment)> {
        let share = match self.row.warned_at {
            None => Share::Warning,
            Some(_) => Share::Breach,
        };
        self.row.next_at.map(|at| (share, at))
    }

    /// Makes the next mark.
    pub fn mark(&mut self, book: &Book) {
        match self.next_mark() {
            Some((Share::Warning, at)) => self.row.warned_at = Some(at),
            Some((Share::Breach, at)) => self.row.breached_at = Some(at),
            None => {}
        }
        self.refresh(book);
    }
}

/// What a new cycle is made of.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Whose it is, and of which request.
    pub whose: (TenantId, RequestId),
    /// The plan of the tenant.
    pub plan: Plan,
    /// The queue.
    pub queue_id: QueueId,
    /// Up to which change its terms have followed.
    pub terms: i32,
}

/// The clocks of one request: rows of cycles that have ended, and those that have not.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    /// Ended.
    pub ended: Vec<Row>,
    /// Still open, or ended by what has been applied.
    pub open: Vec<Cycle>,
}

impl Clocks {
    /// What a move does; `terms` says what a clock is under now.
    pub fn apply(&mut self, what: Move, at: Moment, opening: &Opening, terms: &dyn Fn(Plan, Clock) -> Terms) {
        let mut begin = |clock, cause| self.begin(clock, (at, cause), opening, terms);
        match what {
            Move::Filed => {
                begin(Clock::FirstResponse, Onset::Filed);
                begin(Clock::Resolution, Onset::Filed);
            }
            Move::Replied => self.end(
                &[Clock::FirstResponse, Clock::NextResponse],
                at,
                ClockState::Stopped,
            ),
            Move::Asked => self.ask(at, Onset::CustomerCommented, opening, terms),
            Move::Awaited => self.pace(at, Pace::Paused, Onset::CustomerAwaited),
            Move::Answered => self.pace(at, Pace::Running, Onset::CustomerAnswered),
            Move::Resolved => self.end(&[Clock::Resolution], at, ClockState::Stopped),
            Move::Left => self.end(Clock::ALL, at, ClockState::Cancelled),
            Move::Reopened { waits } => {
                begin(Clock::Resolution, Onset::Reopened);
                if waits {
                    self.ask(at, Onset::Reopened, opening, terms);
                }
            }
            Move::Rated => {
                for cycle in self
                    .open
                    .iter_mut()
                    .filter(|cycle| cycle.row.stopped_at.is_none())
                {
                    let renewed = terms(cycle.row.plan, cycle.row.clock);
                    cycle
                        .ledger
                        .retarget(at, Onset::SeverityChanged, |_| renewed.clone());
                }
            }
        }
        for cycle in &mut self.open {
            cycle.row.queue_id = opening.queue_id;
        }
    }

    /// The tenant waits for an answer: for the first one, until there has been one.
    fn ask(&mut self, at: Moment, cause: Onset, opening: &Opening, terms: &dyn Fn(Plan, Clock) -> Terms) {
        let waits = |row: &Row| row.clock != Clock::Resolution && row.stopped_at.is_none();
        if self.rows().any(waits) {
            return;
        }
        let firsts = || self.rows().filter(|row| row.clock == Clock::FirstResponse);
        let never_given = firsts().all(|row| row.state == ClockState::Cancelled);
        let is_first = firsts().next().is_some() && never_given;
        let clock = if is_first {
            Clock::FirstResponse
        } else {
            Clock::NextResponse
        };
        self.begin(clock, (at, cause), opening, terms);
    }

    /// Every row there is.
    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.ended.iter().chain(self.open.iter().map(|cycle| &cycle.row))
    }

    fn begin(
        &mut self,
        clock: Clock,
        (at, cause): (Moment, Onset),
        opening: &Opening,
        terms: &dyn Fn(Plan, Clock) -> Terms,
    ) {
        let cycles = self.rows().filter(|row| row.clock == clock);
        let last = cycles.map(|row| row.cycle).max().unwrap_or(0);
        let terms = terms(opening.plan, clock);
        let row = Row {
            tenant_id: opening.whose.0,
            request_id: opening.whose.1,
            clock,
            cycle: last + 1,
            state: ClockState::Running,
            revision: 0,
            terms: opening.terms,
            plan: opening.plan,
            severity: terms.severity,
            queue_id: opening.queue_id,
            target_minutes: terms.target_minutes,
            opened_at: at,
            due_at: None,
            next_at: None,
            warned_at: None,
            breached_at: None,
            stopped_at: None,
            elapsed: None,
        };
        self.open.push(Cycle {
            row,
            ledger: Ledger::begin(at, cause, terms),
        });
    }

    fn end(&mut self, clocks: &[Clock], at: Moment, state: ClockState) {
        for cycle in &mut self.open {
            if clocks.contains(&cycle.row.clock) && cycle.row.stopped_at.is_none() {
                cycle.end(at, state);
            }
        }
    }

    /// Only the time to the answer stands still.
    fn pace(&mut self, at: Moment, pace: Pace, cause: Onset) {
        for cycle in self
            .open
            .iter_mut()
            .filter(|cycle| cycle.row.clock == Clock::Resolution)
        {
            cycle.ledger.set_pace(at, pace, cause);
        }
    }
}

#[cfg(test)]
mod tests;
