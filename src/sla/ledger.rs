//! One cycle of one clock: the intervals in which it ran and stood still, and everything that follows from them.
//!
//! Pure. There are no counters: what has been counted, what remains and when it is due are worked out from the
//! intervals and the calendars, so that the same history always gives the same numbers. An interval keeps the terms it
//! was under; a change of terms ends it and begins another, and what was counted before stays counted.

use chrono::TimeDelta;
use diesel::prelude::*;

use super::model::{Book, CalendarRef};
use crate::db::schema::sla_intervals;
use crate::db::{CalendarId, Moment, text_enum};
use crate::queues::routing::Severity;

text_enum! {
    /// Whether time counts in an interval.
    Pace { Running = "running", Paused = "paused" }
}

text_enum! {
    /// What an interval began with.
    Onset {
        Filed = "filed",
        CustomerCommented = "customer_commented",
        CustomerAwaited = "customer_awaited",
        CustomerAnswered = "customer_answered",
        Reopened = "reopened",
        SeverityChanged = "severity_changed",
        PolicyChanged = "policy_changed",
        CalendarChanged = "calendar_changed",
    }
}

/// What was promised during an interval.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = sla_intervals, treat_none_as_default_value = false)]
pub struct Terms {
    /// The policies in force.
    pub policy_version: i32,
    /// How bad it was.
    pub severity: Severity,
    /// Counted minutes; none where nothing is promised, and then nothing is counted.
    pub target_minutes: Option<i32>,
    /// When time counts; always without one.
    pub calendar_id: Option<CalendarId>,
    /// Which edition of the calendar.
    pub calendar_version: i32,
}

impl Terms {
    /// The calendar and its version.
    pub fn calendar(&self) -> Option<CalendarRef> {
        self.calendar_id.map(|id| (id, self.calendar_version))
    }

    /// How much time there is.
    pub fn target(&self) -> Option<TimeDelta> {
        self.target_minutes
            .map(|minutes| TimeDelta::minutes(minutes.into()))
    }

    /// Whether both promise the same, whatever the version that says so.
    fn is_same_promise(&self, other: &Self) -> bool {
        self.severity == other.severity
            && self.target_minutes == other.target_minutes
            && self.calendar() == other.calendar()
    }
}

/// A stretch of time in which a clock ran, or stood still, under the same terms.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = sla_intervals, treat_none_as_default_value = false)]
pub struct Interval {
    /// Its first instant.
    pub from_at: Moment,
    /// The first instant after it; none while it lasts.
    pub until_at: Option<Moment>,
    /// Whether time counts.
    pub pace: Pace,
    /// What it began with.
    pub cause: Onset,
    /// What was promised.
    #[diesel(embed)]
    pub terms: Terms,
}

impl Interval {
    /// How much of it counts, as seen at an instant.
    pub fn counted(&self, book: &Book, at: Moment) -> TimeDelta {
        let until = self.until_at.map_or(at, |until| until.min(at));
        match (self.pace, &self.terms.target_minutes) {
            (Pace::Running, Some(_)) => book
                .hours(self.terms.calendar())
                .counted(self.from_at.utc(), until.utc()),
            _ => TimeDelta::zero(),
        }
    }
}

/// The intervals of a cycle, in order and without a hole; the last may be open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger(Vec<Interval>);

/// A share of the target: where a warning is due, and where the promise is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    /// Three quarters.
    Warning,
    /// All of it.
    Breach,
}

impl Share {
    fn of(self, target: TimeDelta) -> TimeDelta {
        match self {
            Self::Warning => target * 3 / 4,
            Self::Breach => target,
        }
    }
}

impl Ledger {
    /// A clock that begins to run.
    pub fn begin(at: Moment, cause: Onset, terms: Terms) -> Self {
        Self(vec![Interval {
            from_at: at,
            until_at: None,
            pace: Pace::Running,
            cause,
            terms,
        }])
    }

    /// The ledger with these intervals; none when there are none.
    pub fn of(intervals: Vec<Interval>) -> Option<Self> {
        (!intervals.is_empty()).then_some(Self(intervals))
    }

    /// The intervals, in order.
    pub fn intervals(&self) -> &[Interval] {
        &self.0
    }

    /// The terms now.
    pub fn terms(&self) -> Option<&Terms> {
        self.0.last().map(|last| &last.terms)
    }

    /// How it goes; none once it has ended.
    pub fn pace(&self) -> Option<Pace> {
        let open = self.0.last().filter(|last| last.until_at.is_none());
        open.map(|last| last.pace)
    }

    /// Lets it stand still, or run again; where it does already, nothing changes.
    pub fn set_pace(&mut self, at: Moment, pace: Pace, cause: Onset) {
        if let (Some(old), Some(terms)) = (self.pace(), self.terms().cloned())
            && old != pace
        {
            self.turn(at, pace, cause, terms);
        }
    }

    /// Ends it.
    pub fn end(&mut self, at: Moment) {
        if let Some(last) = self.0.last_mut()
            && last.until_at.is_none()
        {
            last.until_at = Some(at.max(last.from_at));
        }
    }

    /// Puts it under other terms from an instant on, which may have passed: then what has happened since is under the
    /// new terms too, so that a change which is noticed late has the same effect.
    pub fn retarget(&mut self, at: Moment, cause: Onset, renew: impl Fn(&Terms) -> Terms) {
        let mut renewed = Vec::with_capacity(self.0.len() + 1);
        for mut interval in std::mem::take(&mut self.0) {
            let terms = renew(&interval.terms);
            let is_over = interval.until_at.is_some_and(|until| until <= at);
            // An interval that is not over at `at` but is ended there is one that a change in the same instant made.
            if is_over || terms.is_same_promise(&interval.terms) {
                renewed.push(interval);
            } else if interval.from_at >= at {
                interval.terms = terms;
                renewed.push(interval);
            } else {
                let rest = Interval {
                    from_at: at,
                    cause,
                    terms,
                    ..interval.clone()
                };
                interval.until_at = Some(at);
                renewed.extend([interval, rest]);
            }
        }
        self.0 = renewed;
    }

    /// Ends the open interval and begins another; one without any length is left out.
    fn turn(&mut self, at: Moment, pace: Pace, cause: Onset, terms: Terms) {
        let Some(last) = self.0.last_mut() else { return };
        let at = at.max(last.from_at);
        if last.from_at == at {
            self.0.pop();
        } else {
            last.until_at = Some(at);
        }
        self.0.push(Interval {
            from_at: at,
            until_at: None,
            pace,
            cause,
            terms,
        });
    }

    /// How much has been counted, as seen at an instant.
    pub fn elapsed(&self, book: &Book, at: Moment) -> TimeDelta {
        self.0.iter().map(|interval| interval.counted(book, at)).sum()
    }

    /// When a share of the target is reached: it was, or it will be if nothing changes. None where it never is.
    ///
    /// What ends in the very instant in which the share is full has kept the promise.
    pub fn reached(&self, book: &Book, share: Share) -> Option<Moment> {
        let mut before = TimeDelta::zero();
        for interval in &self.0 {
            if let Some(target) = interval.terms.target() {
                let left = share.of(target) - before;
                if left <= TimeDelta::zero() && interval.until_at != Some(interval.from_at) {
                    return Some(interval.from_at);
                }
                if interval.pace == Pace::Running {
                    let hours = book.hours(interval.terms.calendar());
                    let at = hours.reach(interval.from_at.utc(), left).map(Moment::from);
                    if let Some(at) = at
                        && interval.until_at.is_none_or(|until| at < until)
                    {
                        return Some(at);
                    }
                }
            }
            if let Some(until) = interval.until_at {
                before += interval.counted(book, until);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
