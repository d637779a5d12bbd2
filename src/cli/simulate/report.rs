//! What a simulation came to, asked from the server's own reports; for people and for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::SimulateError;
use super::asked::Asked;
use super::books::LeaveCounts;
use super::run::Simulation;
use super::shares::{self, Fairness, Month};

/// The report. Nothing in it hangs on how long anything took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What the dice were cast with.
    pub seed: u64,
    /// The first instant.
    pub from: DateTime<Utc>,
    /// How many days.
    pub days: usize,
    /// What was filed, and what became of it.
    pub requests: Requests,
    /// How promises were kept, by clock and severity.
    pub promises: Vec<Promise>,
    /// How long it took, by clock.
    pub times: Vec<Times>,
    /// Warnings that promises were about to be broken.
    pub warned: usize,
    /// How the queues were staffed.
    pub coverage: Vec<Coverage>,
    /// What became of who wanted to be away.
    pub leave: LeaveCounts,
    /// How work was shared, by group.
    pub fairness: Vec<Fairness>,
    /// Open requests that reached nobody.
    pub stranded: Stranded,
    /// The outage, if there was one.
    pub storm: Option<Storm>,
    /// Mail.
    pub mail: Mail,
    /// Month by month.
    pub months: Vec<Month>,
    /// Calls that were refused, by code.
    pub refused: BTreeMap<String, u32>,
}

/// What was filed, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Filed.
    pub filed: u64,
    /// Resolved, each time.
    pub resolved: u64,
    /// Reopened.
    pub reopened: u64,
    /// Taken back at the end of a shift.
    pub handed_over: u64,
    /// Open in the end.
    pub open: u64,
    /// Whether those who filed and worked have counted the same.
    pub is_agreed: bool,
}

/// How promises of a clock were kept for a severity.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Promise {
    /// The clock.
    pub clock: String,
    /// The severity.
    pub severity: String,
    /// Kept.
    pub met: u64,
    /// Broken.
    pub breached: u64,
    /// Come to nothing.
    pub cancelled: u64,
    /// The share that was kept.
    pub share_met: Option<f64>,
}

/// How long a clock took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// The clock.
    pub clock: String,
    /// How often.
    pub count: u64,
    /// Half took no longer.
    pub p50_seconds: Option<i64>,
    /// Nine of ten took no longer.
    pub p90_seconds: Option<i64>,
}

/// How a queue was staffed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The queue.
    pub queue: String,
    /// Whether it must be staffed at every instant.
    pub always_on: bool,
    /// Minutes in all.
    pub minutes: u64,
    /// Minutes with enough people.
    pub covered_minutes: u64,
    /// Everybody's minutes.
    pub staffed_minutes: u64,
    /// Gaps.
    pub gaps: u64,
}

/// Open requests that reached nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stranded {
    /// How often it was asked.
    pub asked: u32,
    /// The most that there were.
    pub most: u64,
}

/// The outage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Storm {
    /// When it broke.
    pub from: DateTime<Utc>,
    /// The most that were open at once.
    pub open: u32,
    /// Requests that were resolved with it.
    pub resolved: u64,
    /// Those who were told of its end.
    pub all_clear: u64,
}

/// Mail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mail {
    /// Sent.
    pub sent: u64,
    /// Due, and not sent.
    pub lost: u64,
}

impl Report {
    /// Whether everything was as it must be.
    pub fn is_right(&self) -> bool {
        let is_covered = |queue: &Coverage| {
            !queue.always_on || (queue.gaps == 0 && queue.covered_minutes == queue.minutes)
        };
        self.stranded.most == 0
            && self.mail.lost == 0
            && self.requests.is_agreed
            && self.coverage.iter().all(is_covered)
    }

    /// Asks the server, which stands at the end.
    pub async fn of(
        simulation: &mut Simulation<'_>,
        seed: u64,
        from: DateTime<Utc>,
    ) -> Result<Self, SimulateError> {
        let days = simulation.books.days.len();
        let asked = Asked::of(simulation, from);
        let (requests, coverage) = asked.queues().await?;
        let promises = asked.promises().await?;
        let times = asked.times().await?;
        let breaches = asked.breaches().await?;
        let storm = asked.storm().await?;
        let (warned, mail) = (asked.warned().await?, asked.mail().await?);
        for (day, breached) in breaches {
            let place = usize::try_from((day - from).num_days()).ok();
            if let Some(day) = place.and_then(|place| simulation.books.days.get_mut(place)) {
                day.breached = breached;
            }
        }
        let books = &simulation.books;
        Ok(Self {
            seed,
            from,
            days,
            requests,
            promises,
            times,
            warned,
            coverage,
            leave: books.leave,
            fairness: shares::fairness(simulation),
            stranded: Stranded {
                asked: books.asked,
                most: books.stranded,
            },
            storm,
            mail,
            months: shares::months(from, &books.days),
            refused: books.refused.clone(),
        })
    }

    /// Writes the line of JSON.
    pub fn line(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        writeln!(out)
    }
}
