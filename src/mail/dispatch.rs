//! The dispatcher: leases messages, hands them over and marks what became of each. `sending` is how.
//!
//! Two lanes, each stepped by a loop of its own: a request's own mail never waits behind status mail.
//!
//! At-least-once: a message is marked after the server took it, so a process that dies in between leaves at most those that
//! it had handed over and not marked to be repeated, under the same Message-ID, and none is lost. One message that cannot
//! be read, rendered or built fails alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::Semaphore;

use super::domains::Domains;
use super::leases;
use super::message::List;
use super::meters::Meters;
use super::prepare::Composer;
use super::sending::Sending;
use super::transport::Transport;
use super::{Delivery, Priority, Step};
use crate::clock::Clock;
use crate::db::{Connection, Db, Id, Moment, Scope};
use crate::problem::Problem;
use crate::settings::Settings;

/// So many times what may be in flight is leased at a time, and at most so many.
const LEASED: (usize, usize) = (4, 512);

/// The words of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The subject, one line.
    pub subject: String,
    /// The plain part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// The Message-ID, without brackets and domain, that the thread hangs on.
    pub thread_root: String,
    /// The list that it is sent to, its id without the domain.
    pub list: Option<List>,
}

/// Who finds the words.
pub trait Render: Send + Sync {
    /// The words of these messages, one for one, from what is in the database now. What many of them have in common may
    /// be read once.
    fn render(&self, conn: &mut Connection, deliveries: &[Delivery]) -> Vec<Result<Content, Problem>>;
}

/// Hands over what is due.
pub struct Dispatcher {
    pub(super) db: Db,
    pub(super) clock: Clock,
    pub(super) transport: Transport,
    pub(super) domains: Domains,
    pub(super) composer: Arc<Composer>,
    pub(super) meters: Meters,
    pub(super) lease: TimeDelta,
    pub(super) deadline: TimeDelta,
    /// Mails that an address gets a day because somebody listed it.
    pub(super) daily_cap: Option<usize>,
    /// Messages leased at a time.
    pub(super) batch: usize,
    urgent: Arc<Semaphore>,
    bulk: Arc<Semaphore>,
    stopping: AtomicBool,
}

impl Dispatcher {
    /// A dispatcher of this process.
    pub fn new(
        (db, clock): (Db, Clock),
        transport: Transport,
        composer: Composer,
        meters: Meters,
        settings: &Settings,
    ) -> Self {
        let in_flight = settings.mail_in_flight.max(1);
        let urgent = Arc::new(Semaphore::new((in_flight / 4).max(1)));
        let bulk = match in_flight {
            1 => Arc::clone(&urgent),
            _ => Arc::new(Semaphore::new(in_flight - (in_flight / 4).max(1))),
        };
        let at_once = settings.mail_connections_per_domain.unwrap_or(in_flight);
        Self {
            db,
            clock,
            transport,
            domains: Domains::new(at_once, settings.mail_rate_per_domain),
            composer: Arc::new(composer),
            meters,
            lease: settings.mail_lease,
            deadline: settings.mail_deadline,
            daily_cap: settings
                .mail_daily_cap
                .map(|cap| usize::try_from(cap.get()).unwrap_or(usize::MAX)),
            batch: (in_flight * LEASED.0).min(LEASED.1),
            urgent,
            bulk,
            stopping: AtomicBool::new(false),
        }
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.now().into()
    }

    /// A quarter of what may be in flight is the urgent lane's.
    pub(super) fn permits(&self, lane: Priority) -> &Arc<Semaphore> {
        match lane {
            Priority::Request => &self.urgent,
            Priority::Bulk => &self.bulk,
        }
    }

    /// Begins no message any more; what is leased and was not begun is given back.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Each relay with what is thought of it: 0 trusted, 1 being tried, 2 left alone.
    pub fn relays(&self) -> impl Iterator<Item = (&'static str, i64)> {
        self.transport.grades()
    }

    /// Leases what is due in a lane, some batches of it, hands it over and marks it.
    pub async fn step(&self, lane: Priority) -> Result<Step, Problem> {
        let now = self.now();
        // Asked first without the writer: most of the time there is nothing.
        let due = self
            .db
            .read(Scope::of_system(), move |conn| leases::any_due(conn, lane, now));
        if !due.await? {
            return Ok(Step::Idle);
        }
        // A name of this step's own: what a step leaves behind that failed, no later one keeps.
        let sending = Sending::new(self, lane, Id::at(now));
        let work = sending.go();
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(self.renewal()) => sending.renew().await,
            }
        }
    }

    /// A third of the lease: two renewals may fail before it runs out.
    fn renewal(&self) -> Duration {
        (self.lease / 3).to_std().unwrap_or(Duration::from_secs(5))
    }
}
