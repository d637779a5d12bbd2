//! The background: what runs behind the calls, step by step, in every process.
//!
//! Each step does a bounded piece of work in a transaction of its own and says whether there was any. A loop goes on
//! while there is, and otherwise waits for the bell or for a while: another process may have left work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::db::{Connection, Db, EventId, IncidentId, Moment, PersonId, QueueId, Scope};
use crate::http::bell::Bell;
use crate::http::idempotency;
use crate::http::traffic::Traffic;
use crate::identity::keys::Keys;
use crate::identity::{attempts, mailed, refusals, session};
use crate::journal::{self, ChainKey, Reader};
use crate::mail::{self, Dispatcher, Priority, Step};
use crate::notify::{audience, cascade, digests, own_mail};
use crate::problem::Problem;
use crate::requests::attachments::{self, Shelf};
use crate::requests::hand_overs::digest;
use crate::requests::line::board::Board;
use crate::requests::line::{climb, hand_over, push};
use crate::{incidents, queues, requests};

/// How long an idle loop waits for the bell.
const IDLE: Duration = Duration::from_millis(500);
/// While many calls wait, a loop rests so many times as long as its step took, and at most this long.
const REST: (u32, Duration) = (9, Duration::from_millis(500));
/// How often is looked who is there. Not at every ring of the bell: the look is long.
const WATCH: Duration = Duration::from_millis(500);
/// How often events are sealed. Not at every ring of the bell: what was written meanwhile shares a transaction.
const SEAL: Duration = Duration::from_millis(250);
/// How many transactions of it make a step.
const SEALED_AT_ONCE: usize = 50;
/// How often is looked which clocks have run out. Not at every ring of the bell: time rings none.
const TIME: Duration = Duration::from_millis(500);
/// How many transactions of one kind make a step, where much falls due at once: a loop rests after each step.
const MANY: usize = 20;
/// How often what has grown old is swept up.
const SWEEP: Duration = Duration::from_secs(60);

/// Everything that runs in the background, as one value that can be stepped.
#[derive(Clone)]
pub struct Worker {
    db: Db,
    clock: Clock,
    shelf: Shelf,
    dispatcher: Arc<Dispatcher>,
    keys: Keys,
    chain: ChainKey,
    reopen_window: Option<TimeDelta>,
    mail_grace: TimeDelta,
}

impl Worker {
    /// A worker of this process.
    pub fn new(
        (db, clock, shelf): (Db, Clock, Shelf),
        dispatcher: Arc<Dispatcher>,
        keys: Keys,
        chain: ChainKey,
        reopen_window: Option<TimeDelta>,
        mail_grace: TimeDelta,
    ) -> Self {
        Self {
            db,
            clock,
            shelf,
            dispatcher,
            keys,
            chain,
            reopen_window,
            mail_grace,
        }
    }

    fn now(&self) -> Moment {
        self.clock.now().into()
    }

    /// What follows from what happened, and what is due: for whoever steps, as one.
    pub async fn react(&self) -> Result<Step, Problem> {
        let followed = self.follow_up().await;
        let kept = self.keep_time().await?;
        Ok(match followed? {
            Step::Worked => Step::Worked,
            Step::Idle => kept,
        })
    }

    /// The reactions: a request's own mail, the cascade, audiences, the end of broadcasts.
    ///
    /// What there is to do is read first, in one go and without the writer: most of the time it is nothing.
    async fn follow_up(&self) -> Result<Step, Problem> {
        let (now, grace) = (self.now(), self.mail_grace);
        let waiting = self.db.read(Scope::of_system(), Waiting::look).await?;
        let mut steps = Vec::new();
        // First what is not to leave any more.
        if let Some((broadcast, reason)) = waiting.withdrawal {
            steps.push(self.withdraw(broadcast, reason).await);
        }
        if waiting.own_mail {
            steps.push(
                self.db
                    .write(Scope::of_system(), move |conn| own_mail::step(conn, now))
                    .await,
            );
        }
        if waiting.staff {
            steps.push(self.look_at_staff().await);
        }
        if let Some(incident) = waiting.cascade {
            steps.push(
                self.db
                    .write(Scope::of_system(), move |conn| cascade::step(conn, incident, now))
                    .await,
            );
        }
        for broadcast in waiting.broadcasts {
            steps.push(
                self.db
                    .write(Scope::of_system(), move |conn| {
                        audience::step(conn, broadcast, grace, now)
                    })
                    .await,
            );
        }
        if waiting.sent {
            let finished = self
                .db
                .write(Scope::of_system(), move |conn| {
                    mail::broadcasts::finish(conn, now)
                })
                .await;
            steps.push(finished.map(|count| if count > 0 { Step::Worked } else { Step::Idle }));
        }
        turns(steps)
    }

    /// Withdraws what is unsent of a broadcast. Much at a time: meanwhile the dispatcher sends it.
    async fn withdraw(&self, broadcast: EventId, reason: mail::Reason) -> Result<Step, Problem> {
        let step = move |conn: &mut Connection| mail::withdrawal::step(conn, broadcast, reason);
        self.repeat(step).await
    }

    /// Repeats a transaction until it finds nothing to do, or often enough for one step.
    async fn repeat(
        &self,
        step: impl Fn(&mut Connection) -> Result<Step, Problem> + Clone + Send + Sync + 'static,
    ) -> Result<Step, Problem> {
        for _ in 0..MANY {
            if self.db.write(Scope::of_system(), step.clone()).await? == Step::Idle {
                break;
            }
        }
        Ok(Step::Worked)
    }

    /// What is due: clocks follow other terms, warnings and breaches are made, promises of updates run out, digests are
    /// made. In a loop of its own, which waits for no mail: whoever is warned has little time left.
    pub async fn keep_time(&self) -> Result<Step, Problem> {
        let now = self.now();
        let due = self
            .db
            .read(Scope::of_system(), move |conn| Due::look(conn, now))
            .await?;
        let mut steps = Vec::new();
        // First the terms, then what is due by them: some of each at a time.
        if due.stale_clocks {
            steps.push(self.db.write(Scope::of_system(), requests::sla::retarget).await);
        }
        if due.marks {
            steps.push(self.mark().await);
        }
        if due.promises {
            steps.push(
                self.db
                    .write(Scope::of_system(), move |conn| {
                        incidents::promise::mark(conn, now)
                    })
                    .await,
            );
        }
        if due.digests {
            steps.push(self.make_digests(now).await);
        }
        turns(steps)
    }

    /// Makes the marks that are due. Many, so that where a loop rests after a step they are not late by its rest.
    async fn mark(&self) -> Result<Step, Problem> {
        let clock = self.clock.clone();
        self.repeat(move |conn| requests::sla::mark(conn, || clock.now().into()))
            .await
    }

    /// Makes the digests that are due. Many: they are due at the same minute of a morning.
    async fn make_digests(&self, now: Moment) -> Result<Step, Problem> {
        self.repeat(move |conn| digests::step(conn, now)).await
    }

    /// The watch: takes back what is somebody's whose shift has ended, takes on what nobody answers, gives work out.
    pub async fn watch(&self) -> Result<Step, Problem> {
        let now = self.now();
        let look = self
            .db
            .snapshot(Scope::of_system(), move |conn| Watched::look(conn, now));
        let Watched {
            off_duty,
            climbs,
            push,
            unseen,
        } = look.await?;
        let mut done = 0;
        if let Some(hands) = off_duty {
            let step = move |conn: &mut Connection| hand_over::step(conn, hands, now);
            done += self.db.write(Scope::of_system(), step).await?;
        }
        if climbs {
            let step = move |conn: &mut Connection| climb::step(conn, now);
            done += self.db.write(Scope::of_system(), step).await?;
        }
        if let Some(queue) = push {
            let step = move |conn: &mut Connection| push::step(conn, queue, now);
            done += self.db.write(Scope::of_system(), step).await?;
        }
        // When all that goes back to the line has gone.
        if off_duty.is_none() && !unseen.is_empty() {
            let step = move |conn: &mut Connection| digest::step(conn, &unseen, now);
            done += self.db.write(Scope::of_system(), step).await?;
        }
        Ok(if done > 0 { Step::Worked } else { Step::Idle })
    }

    /// Looks at the queues of people who were disabled, or have another role.
    async fn look_at_staff(&self) -> Result<Step, Problem> {
        let changes = self.db.read(Scope::of_system(), queues::findings::unread).await?;
        self.survey().await?;
        let done = self.db.write(Scope::of_system(), move |conn| {
            queues::findings::acted_on(conn, &changes)
        });
        done.await?;
        Ok(Step::Worked)
    }

    /// Looks whether every queue is staffed. The long look holds up no writer: only where it finds something new is
    /// there anything to write.
    async fn survey(&self) -> Result<usize, Problem> {
        let now = self.now();
        let stale = self
            .db
            .read(Scope::of_system(), move |conn| queues::findings::stale(conn, now));
        let stale = stale.await?;
        for queue in &stale {
            let queue = *queue;
            let renewed = self.db.write(Scope::of_system(), move |conn| {
                queues::findings::renew(conn, queue, now)
            });
            renewed.await?;
        }
        Ok(stale.len())
    }

    /// Hands over the mail that is due, lane by lane: for whoever steps, as one.
    pub async fn dispatch(&self) -> Result<Step, Problem> {
        let mut steps = Vec::new();
        for lane in Priority::ALL {
            steps.push(self.send(lane).await);
        }
        turns(steps)
    }

    /// Hands over the mail that is due in a lane.
    pub async fn send(&self, lane: Priority) -> Result<Step, Problem> {
        self.dispatcher.step(lane).await
    }

    /// Begins nothing any more that takes long.
    pub fn wind_up(&self) {
        self.dispatcher.stop();
    }

    /// Seals the events that have been written. All of them, so that where a loop rests after a step they do not grow
    /// older than its rest.
    pub async fn seal(&self) -> Result<Step, Problem> {
        if !self.db.read(Scope::of_system(), journal::any_unsealed).await? {
            return Ok(Step::Idle);
        }
        for _ in 0..SEALED_AT_ONCE {
            let chain = self.chain.clone();
            let sealed = self
                .db
                .write(Scope::of_system(), move |conn| journal::seal(conn, &chain));
            // What was written meanwhile shares a transaction later.
            if sealed.await? < journal::SEALED_TOGETHER {
                return Ok(Step::Idle);
            }
        }
        Ok(Step::Worked)
    }

    /// Closes what has been resolved for long, sums up refusals, forgets old idempotency keys, takes away files that nobody
    /// has any more, looks for gaps in queues.
    pub async fn sweep(&self) -> Result<Step, Problem> {
        let (now, window) = (self.now(), self.reopen_window);
        let swept = self.db.write(Scope::of_system(), move |conn| {
            let closed = match window {
                Some(window) => requests::actions::close_expired(conn, window, now)?,
                None => 0,
            };
            let forgotten = idempotency::forget_old(conn, now)?
                + session::store::forget_old(conn, now)?
                + mailed::forget_old(conn, now)?
                + attempts::forget_old(conn, now)?;
            Ok(closed + forgotten)
        });
        let summed = self
            .db
            .write(Scope::of_system(), move |conn| refusals::sum_up(conn, now));
        let summed = summed.await;
        // Another process may have made a key: this one signs with it from now on.
        self.keys.look().await?;
        let found = self.survey().await;
        let taken_away = attachments::actions::sweep((&self.db, Scope::of_system()), &self.shelf, now).await;
        Ok(if swept.await? + summed? + found? + taken_away? > 0 {
            Step::Worked
        } else {
            Step::Idle
        })
    }

    /// Starts the loops; they end when `stop` says so or is dropped.
    pub fn start(&self, bell: &Bell, traffic: &Traffic, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        let rounds = |duty, idle, bell: &Bell| {
            let rounds = Rounds {
                worker: self.clone(),
                duty,
                idle,
                bell: bell.clone(),
                traffic: traffic.clone(),
                stop: stop.clone(),
            };
            tokio::spawn(rounds.go())
        };
        vec![
            rounds(Duty::React, IDLE, bell),
            rounds(Duty::Time, TIME, &Bell::default()),
            rounds(Duty::Watch, WATCH, &Bell::default()),
            rounds(Duty::Dispatch(Priority::Request), IDLE, bell),
            rounds(Duty::Dispatch(Priority::Bulk), IDLE, bell),
            rounds(Duty::Seal, SEAL, &Bell::default()),
            rounds(Duty::Sweep, SWEEP, &Bell::default()),
        ]
    }

    async fn step(&self, duty: Duty) -> Result<Step, Problem> {
        match duty {
            Duty::React => self.follow_up().await,
            Duty::Time => self.keep_time().await,
            Duty::Watch => self.watch().await,
            Duty::Dispatch(lane) => self.send(lane).await,
            Duty::Seal => self.seal().await,
            Duty::Sweep => self.sweep().await,
        }
    }
}

/// What came of several steps.
fn turns(steps: Vec<Result<Step, Problem>>) -> Result<Step, Problem> {
    // Each has its turn, whatever befell the others.
    let worked = steps.iter().any(|step| matches!(step, Ok(Step::Worked)));
    let failed: Result<Vec<Step>, Problem> = steps.into_iter().collect();
    match failed {
        Err(error) if worked => tracing::error!(%error, "a background step failed"),
        failed => drop(failed?),
    }
    Ok(if worked { Step::Worked } else { Step::Idle })
}

/// What a loop steps.
#[derive(Clone, Copy, Debug)]
enum Duty {
    React,
    Time,
    Watch,
    Dispatch(Priority),
    Seal,
    Sweep,
}

/// What there is to react to.
struct Waiting {
    withdrawal: Option<(EventId, mail::Reason)>,
    own_mail: bool,
    staff: bool,
    cascade: Option<IncidentId>,
    broadcasts: Vec<EventId>,
    sent: bool,
}

impl Waiting {
    fn look(conn: &mut Connection) -> Result<Self, Problem> {
        Ok(Self {
            withdrawal: mail::withdrawal::next(conn)?,
            own_mail: journal::any_unread(conn, Reader::Notify)?,
            staff: journal::any_unread(conn, Reader::Queues)?,
            cascade: cascade::next(conn)?,
            broadcasts: mail::broadcasts::unexpanded(conn, 4)?,
            sent: !mail::broadcasts::sent_out(conn)?.is_empty(),
        })
    }
}

/// What is due.
struct Due {
    stale_clocks: bool,
    marks: bool,
    promises: bool,
    digests: bool,
}

impl Due {
    fn look(conn: &mut Connection, now: Moment) -> Result<Self, Problem> {
        Ok(Self {
            stale_clocks: requests::sla::any_stale(conn)?,
            marks: requests::sla::any_due(conn, now)?,
            promises: incidents::promise::any_due(conn, now)?,
            digests: digests::any_due(conn, now)?,
        })
    }
}

/// What the watch has to do.
struct Watched {
    off_duty: Option<(QueueId, PersonId)>,
    climbs: bool,
    push: Option<QueueId>,
    unseen: Vec<QueueId>,
}

impl Watched {
    fn look(conn: &mut Connection, now: Moment) -> Result<Self, Problem> {
        let mut board = Board::at(conn, now)?;
        Ok(Self {
            off_duty: hand_over::off_duty(conn, &mut board)?,
            climbs: climb::any(conn, &mut board)?,
            push: push::next(conn, &mut board)?,
            unseen: digest::unseen(conn, &board)?,
        })
    }
}

/// A loop of the background.
struct Rounds {
    worker: Worker,
    duty: Duty,
    idle: Duration,
    bell: Bell,
    traffic: Traffic,
    stop: watch::Receiver<bool>,
}

impl Rounds {
    /// Steps until there is nothing to do, waits, and begins again. A step that worked rings the bell: there may be
    /// something in it for the others. A failing step is logged and tried again later.
    async fn go(mut self) {
        let mut heard = self.bell.listen();
        while !*self.stop.borrow() {
            heard.mark_unchanged();
            let begun = Instant::now();
            let pause = match self.worker.step(self.duty).await {
                Ok(Step::Worked) => {
                    self.bell.ring();
                    if self.traffic.is_dense() {
                        let (times, most) = REST;
                        sleep((begun.elapsed() * times).min(most)).await;
                    }
                    continue;
                }
                Ok(Step::Idle) => self.idle,
                Err(error) => {
                    tracing::error!(%error, duty = ?self.duty, "a background step failed");
                    self.idle.max(Duration::from_secs(1))
                }
            };
            tokio::select! {
                _ = heard.changed() => {}
                changed = self.stop.changed() => if changed.is_err() { return },
                () = sleep(pause) => {}
            }
        }
    }
}
