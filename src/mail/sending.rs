//! One step of a lane: leasing, preparing, handing over and marking, all at the same time.
//!
//! Three parts run side by side and pass messages on. What is leased is bounded by the batch, what is handed over and not
//! marked by permits; so memory does not grow with the audience. What was leased and cannot go is given back as it was.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep};

use super::backoff::{self, Next};
use super::dispatch::Dispatcher;
use super::domains::{Admission, LATER, Reaction, Visit};
use super::leases::{self, Lease, Outcome, Portion};
use super::prepare::{Batch, Ready};
use super::store::Address;
use super::transport::{Entry, Place, SendError};
use super::{Priority, Step, meters};
use crate::db::{EventId, Scope};
use crate::problem::{Code, Problem};

/// Batches of a step: then it ends, so that its loop can be stopped and others have their turn.
const BATCHES: usize = 8;
/// When so few are left in hand, the next batch is taken.
const LOW: usize = 64;
/// So many wait in hand for their domain; the others are given back.
const ASIDE: usize = 32;
/// So many are marked in one transaction.
const MARKED: usize = 256;
/// After this long a mark that failed is tried again.
const AGAIN: Duration = Duration::from_millis(250);

/// A step of a lane.
pub(super) struct Sending<'a> {
    of: &'a Dispatcher,
    lane: Priority,
    owner: EventId,
}

/// A message that something became of.
struct Done {
    address: Address,
    outcome: Outcome,
    _in_flight: Option<InFlight>,
}

/// Handed over and not marked, while it lives.
struct InFlight {
    _permit: OwnedSemaphorePermit,
    gauge: IntGauge,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// Messages in hand.
type Hand = VecDeque<Ready>;
type Marks = mpsc::UnboundedSender<Done>;

/// Why no more messages were begun.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hitch {
    /// All were, or wait for others of their domain or for a connection.
    Busy,
    /// As many as may be are handed over and not marked.
    InFlight,
    /// There is no use in waiting.
    Away,
}

impl<'a> Sending<'a> {
    pub(super) fn new(of: &'a Dispatcher, lane: Priority, owner: EventId) -> Self {
        Self { of, lane, owner }
    }

    /// Does some batches; idle if nothing could be leased.
    pub(super) async fn go(&self) -> Result<Step, Problem> {
        // One batch is in hand, and the next is being made ready.
        let (batches, queue) = mpsc::channel(1);
        // Bounded by the permits, and by the batch for what is given back.
        let (marks, done) = mpsc::unbounded_channel();
        let (fed, (), marked) =
            tokio::join!(self.feed(batches), self.hand_over(queue, marks), self.mark(done));
        self.of.domains.tidy(self.of.now());
        marked?;
        fed
    }

    /// Keeps what this step has leased.
    pub(super) async fn renew(&self) {
        let (owner, until) = (self.owner, self.of.now().plus(self.of.lease));
        let renewed = self
            .of
            .db
            .write(Scope::of_system(), move |conn| leases::renew(conn, owner, until));
        if let Err(error) = renewed.await {
            tracing::warn!(%error, "leases of mail could not be renewed");
        }
    }

    async fn feed(&self, batches: mpsc::Sender<Batch>) -> Result<Step, Problem> {
        let mut step = Step::Idle;
        for _ in 0..BATCHES {
            let Ok(place) = batches.reserve().await else { break };
            let most = self.of.transport.ration(self.lane, self.of.batch);
            if most == 0 || self.of.is_stopping() {
                break;
            }
            let due = self.lease(most).await?;
            let leased = due.len();
            if leased == 0 {
                break;
            }
            step = Step::Worked;
            self.of.transport.spend(leased);
            place.send(self.prepare(due).await?);
            if leased < most {
                break;
            }
        }
        Ok(step)
    }

    async fn lease(&self, most: usize) -> Result<Vec<Address>, Problem> {
        let now = self.of.now();
        let portion = Portion {
            lane: self.lane,
            most: i64::try_from(most).unwrap_or(i64::MAX),
            daily_cap: self.of.daily_cap,
        };
        let lease = Lease {
            owner: self.owner,
            lasts: self.of.lease,
        };
        let leased = self.of.db.write(Scope::of_system(), move |conn| {
            leases::take(conn, portion, lease, now)
        });
        leased.await
    }

    async fn prepare(&self, due: Vec<Address>) -> Result<Batch, Problem> {
        let composer = Arc::clone(&self.of.composer);
        let leased = due.clone();
        let prepared = self.of.db.read(
            Scope::of_system(),
            move |conn| Ok(composer.prepare(conn, &leased)),
        );
        match prepared.await {
            // The database went away: nothing is wrong with the messages.
            Err(problem) if problem.code() == Code::Unavailable => Ok(Batch {
                ready: Vec::new(),
                settled: due
                    .into_iter()
                    .map(|address| (address, Outcome::Returned))
                    .collect(),
            }),
            prepared => prepared,
        }
    }

    async fn hand_over(&self, mut queue: mpsc::Receiver<Batch>, marks: Marks) {
        let mut hand = Hand::new();
        let mut under_way = FuturesUnordered::new();
        let mut is_open = true;
        loop {
            if marks.is_closed() {
                // Marking has failed: nothing more is begun, and what is leased is anybody's when the lease has run out.
                queue.close();
            }
            let (begun, hitch) = self.begin(&mut hand, under_way.is_empty(), &marks);
            under_way.extend(begun);
            if hitch == Hitch::Away {
                give_back(&mut hand, &marks);
            }
            if !is_open && hand.is_empty() && under_way.is_empty() {
                return;
            }
            tokio::select! {
                Some(done) = under_way.next(), if !under_way.is_empty() => {
                    let _ = marks.send(done);
                }
                batch = queue.recv(), if is_open && hand.len() < LOW => match batch {
                    Some(batch) => {
                        hand.extend(batch.ready);
                        for (address, outcome) in batch.settled {
                            if matches!(outcome, Outcome::Failed(_)) {
                                self.of.meters.failure("unsendable").inc();
                            }
                            settle(&marks, address, outcome);
                        }
                    }
                    None => is_open = false,
                },
                // One was marked.
                _ = self.of.permits(self.lane).acquire(), if hitch == Hitch::InFlight => {}
            }
        }
    }

    /// Begins as many of the messages in hand as may be under way.
    fn begin(
        &self,
        hand: &mut Hand,
        is_alone: bool,
        marks: &Marks,
    ) -> (Vec<impl Future<Output = Done> + use<'a, '_>>, Hitch) {
        let mut begun = Vec::new();
        let (mut at, now) = (0, self.of.now());
        let hitch = loop {
            let Some(ready) = hand.get(at) else {
                break Hitch::Busy;
            };
            if self.of.is_stopping() || marks.is_closed() {
                break Hitch::Away;
            }
            let nothing_under_way = is_alone && begun.is_empty();
            let held = match self.of.domains.admits(&ready.domain, self.lane, now) {
                Admission::Go => None,
                // Others of the domain come back, and then it may go.
                Admission::Full if at < ASIDE && !nothing_under_way => {
                    at += 1;
                    continue;
                }
                Admission::Full => Some(now.plus(LATER)),
                Admission::Hold(until) => Some(until),
            };
            if let Some(until) = held {
                let address = ready.address;
                hand.remove(at);
                settle(marks, address, Outcome::Held(until));
                continue;
            }
            let Some(in_flight) = self.in_flight() else {
                break Hitch::InFlight;
            };
            let place = match self.of.transport.enter(self.lane) {
                Entry::Go(place) => place,
                Entry::Full if !nothing_under_way => break Hitch::Busy,
                Entry::Full | Entry::Away => break Hitch::Away,
            };
            let Some(ready) = hand.remove(at) else {
                break Hitch::Busy;
            };
            let visit = self.of.domains.visit(&ready.domain, now);
            begun.push(self.attempt(ready, place, visit, in_flight));
        };
        (begun, hitch)
    }

    fn in_flight(&self) -> Option<InFlight> {
        let permit = Arc::clone(self.of.permits(self.lane)).try_acquire_owned().ok()?;
        let gauge = self.of.meters.in_flight().clone();
        gauge.inc();
        Some(InFlight {
            _permit: permit,
            gauge,
        })
    }

    async fn attempt(&self, ready: Ready, place: Place<'_>, visit: Visit<'_>, in_flight: InFlight) -> Done {
        let sent = self.of.transport.send(&ready.raw, place).await;
        visit.end(match &sent {
            Ok(_) | Err(SendError::Permanent(_)) => Reaction::Answered,
            Err(SendError::Elsewhere(_)) => Reaction::PutOff,
            Err(_) => Reaction::None,
        });
        let (address, meters) = (ready.address, &self.of.meters);
        if let Err(error) = &sent {
            meters.failure(meters::class(error)).inc();
            tracing::warn!(delivery = %address.1, %error, "a message was not handed over");
        }
        let outcome = match sent {
            Ok(_) => {
                let age = self.of.now().since(ready.created_at).to_std().unwrap_or_default();
                meters.latency(self.lane).observe(age.as_secs_f64());
                Outcome::Sent
            }
            Err(SendError::Permanent(error)) => Outcome::Failed(error),
            Err(SendError::Unreachable(_)) => Outcome::Returned,
            Err(SendError::Transient(error) | SendError::Elsewhere(error)) => self.later(&ready, error),
            Err(error @ SendError::Broken(_)) => self.later(&ready, error.to_string()),
        };
        Done {
            address,
            outcome,
            _in_flight: Some(in_flight),
        }
    }

    fn later(&self, ready: &Ready, error: String) -> Outcome {
        let now = self.of.now();
        let attempts = ready.attempts + 1;
        let age = now.since(ready.created_at);
        match backoff::next(attempts, age, self.of.deadline, rand::random()) {
            Next::After(pause) => Outcome::Retry(now.plus(pause), error),
            Next::GiveUp => {
                self.of.meters.failure("given_up").inc();
                Outcome::Failed(format!("given up after {attempts} attempts: {error}"))
            }
        }
    }

    /// Marks in groups: whatever came back while the last group was written.
    async fn mark(&self, mut done: mpsc::UnboundedReceiver<Done>) -> Result<(), Problem> {
        let mut group = Vec::new();
        while done.recv_many(&mut group, MARKED).await > 0 {
            let outcomes = group.iter().map(|done| (done.address, done.outcome.clone()));
            self.write(outcomes.collect()).await?;
            // Only now are they out of the process's hands.
            group.clear();
        }
        Ok(())
    }

    /// Tries for as long as a lease lasts: then others may have them anyhow.
    async fn write(&self, outcomes: Vec<(Address, Outcome)>) -> Result<(), Problem> {
        let outcomes = Arc::new(outcomes);
        let until = Instant::now() + self.of.lease.to_std().unwrap_or_default();
        loop {
            let (owner, now, outcomes) = (self.owner, self.of.now(), Arc::clone(&outcomes));
            let marked = self.of.db.write(Scope::of_system(), move |conn| {
                leases::mark(conn, owner, &outcomes, now)
            });
            match marked.await {
                Err(error) if Instant::now() < until && !self.of.is_stopping() => {
                    tracing::warn!(%error, "messages could not be marked yet");
                    sleep(AGAIN).await;
                }
                marked => return marked,
            }
        }
    }
}

fn settle(marks: &Marks, address: Address, outcome: Outcome) {
    if let Outcome::Failed(error) = &outcome {
        tracing::warn!(delivery = %address.1, %error, "a message cannot be sent");
    }
    // Whoever marks has failed, says so, and ends the step.
    let _ = marks.send(Done {
        address,
        outcome,
        _in_flight: None,
    });
}

fn give_back(hand: &mut Hand, marks: &Marks) {
    for ready in hand.drain(..) {
        settle(marks, ready.address, Outcome::Returned);
    }
}
