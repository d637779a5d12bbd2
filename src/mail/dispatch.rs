//! The dispatcher: leases messages, hands them to the transport, marks what became of each.
//!
//! At-least-once: a message is marked after the server took it, so a process that dies in between leaves at most its
//! leased messages to be repeated, under the same Message-ID, and none is lost. One message that cannot be read,
//! rendered or built fails alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lettre::message::Mailbox;

use super::Step;
use super::backoff::{self, Next};
use super::dkim::Signer;
use super::message::{self, AutoSubmitted, List, Outgoing};
use super::model::Delivery;
use super::store::{self, Address, Outcome};
use super::transport::{SendError, Transport};
use crate::clock::Clock;
use crate::db::{Connection, Db, EventId, Id, Moment, Scope};
use crate::problem::{Code, Problem};
use crate::settings::Settings;

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
    db: Db,
    clock: Clock,
    transport: Transport,
    render: Arc<dyn Render>,
    from: Mailbox,
    signer: Option<Signer>,
    owner: EventId,
    in_flight: i64,
    mark_at: usize,
    lease: TimeDelta,
    deadline: TimeDelta,
}

impl Dispatcher {
    /// A dispatcher of this process, under a name of its own.
    pub fn new(
        db: Db,
        clock: Clock,
        transport: Transport,
        render: Arc<dyn Render>,
        signer: Option<Signer>,
        settings: &Settings,
    ) -> Self {
        Self {
            owner: Id::at(clock.now().into()),
            db,
            clock,
            transport,
            render,
            from: settings.mail_from.clone(),
            signer,
            in_flight: i64::try_from(settings.mail_in_flight).unwrap_or(64),
            mark_at: (settings.mail_in_flight / 4).max(1),
            lease: settings.mail_lease,
            deadline: settings.mail_deadline,
        }
    }

    fn now(&self) -> Moment {
        self.clock.now().into()
    }

    /// Leases what is due, up to the limit, hands it over and marks it.
    pub async fn step(&self) -> Result<Step, Problem> {
        let (owner, most, lease, now) = (self.owner, self.in_flight, self.lease, self.now());
        // Asked first without the writer: most of the time there is nothing.
        if !self
            .db
            .read(Scope::of_system(), move |conn| store::any_due(conn, now))
            .await?
        {
            return Ok(Step::Idle);
        }
        let due = self
            .db
            .write(Scope::of_system(), move |conn| {
                store::lease(conn, owner, most, now, lease)
            })
            .await?;
        if due.is_empty() {
            return Ok(Step::Idle);
        }
        let work = self.hand_over(due);
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done.map(|()| Step::Worked),
                () = tokio::time::sleep(self.renewal()) => self.renew().await,
            }
        }
    }

    /// A third of the lease: two renewals may fail before it runs out.
    fn renewal(&self) -> Duration {
        (self.lease / 3).to_std().unwrap_or(Duration::from_secs(5))
    }

    async fn renew(&self) {
        let (owner, until) = (self.owner, self.now().plus(self.lease));
        if let Err(error) = self
            .db
            .write(Scope::of_system(), move |conn| store::renew(conn, owner, until))
            .await
        {
            tracing::warn!(%error, "leases of mail could not be renewed");
        }
    }

    async fn hand_over(&self, due: Vec<Address>) -> Result<(), Problem> {
        let render = Arc::clone(&self.render);
        let prepared = self
            .db
            .read(Scope::of_system(), move |conn| {
                Ok(prepare_all(conn, &due, render.as_ref()))
            })
            .await?;
        let mut under_way: FuturesUnordered<_> = prepared
            .into_iter()
            .map(|(address, prepared)| self.attempt(address, prepared))
            .collect();
        let mut done = Vec::new();
        while let Some(attempt) = under_way.next().await {
            done.push(attempt);
            // Marked in groups: what is marked is not repeated after a crash.
            if done.len() >= self.mark_at || under_way.is_empty() {
                self.mark(std::mem::take(&mut done)).await?;
            }
        }
        Ok(())
    }

    async fn attempt(&self, address: Address, prepared: Prepared) -> (Address, Outcome) {
        let (delivery, content) = match prepared {
            Prepared::Ready(delivery, content) => (delivery, content),
            Prepared::Settled(outcome) => return (address, outcome),
        };
        let outgoing = self.outgoing(&delivery, content);
        let message = match message::build(&outgoing, self.signer.as_ref()) {
            Ok(message) => message,
            Err(error) => return (address, Outcome::Failed(error.to_string())),
        };
        let outcome = match self.transport.send(&message).await {
            Ok(_) => Outcome::Sent,
            Err(SendError::Permanent(error)) => Outcome::Failed(error),
            Err(SendError::Transient(error)) => self.later(&delivery, error),
        };
        (address, outcome)
    }

    fn outgoing(&self, delivery: &Delivery, content: Content) -> Outgoing {
        let host = self.from.email.domain();
        Outgoing {
            from: self.from.clone(),
            to_name: delivery.name.clone(),
            to_address: delivery.recipient.clone(),
            subject: content.subject,
            text: content.text,
            html: content.html,
            message_id: format!("{}@{host}", delivery.id),
            thread_root: Some(format!("{}@{host}", content.thread_root)),
            auto_submitted: AutoSubmitted::AutoGenerated,
            date: delivery.created_at.utc(),
            list: content.list.map(|list| List {
                id: format!("{}.{host}", list.id),
                ..list
            }),
        }
    }

    fn later(&self, delivery: &Delivery, error: String) -> Outcome {
        let now = self.now();
        let age = now.since(delivery.created_at);
        match backoff::next(delivery.attempts + 1, age, self.deadline, rand::random()) {
            Next::After(pause) => Outcome::Retry(now.plus(pause), error),
            Next::GiveUp => Outcome::Failed(format!(
                "given up after {} attempts: {error}",
                delivery.attempts + 1
            )),
        }
    }

    async fn mark(&self, done: Vec<(Address, Outcome)>) -> Result<(), Problem> {
        for (address, outcome) in &done {
            if let Outcome::Failed(error) | Outcome::Retry(_, error) = outcome {
                tracing::warn!(delivery = %address.1, %error, "a message was not handed over");
            }
        }
        let (owner, now) = (self.owner, self.now());
        let marked = self.db.write(Scope::of_system(), move |conn| {
            for (address, outcome) in &done {
                store::mark(conn, *address, owner, outcome, now)?;
            }
            Ok(())
        });
        marked.await
    }
}

enum Prepared {
    Ready(Box<Delivery>, Content),
    Settled(Outcome),
}

fn prepare_all(conn: &mut Connection, due: &[Address], render: &dyn Render) -> Vec<(Address, Prepared)> {
    due.iter()
        .map(|address| (*address, prepare(conn, *address, render)))
        .collect()
}

fn prepare(conn: &mut Connection, address: Address, render: &dyn Render) -> Prepared {
    let found = catch_unwind(AssertUnwindSafe(|| {
        let delivery = store::find(conn, address)?.ok_or_else(|| Problem::not_found("delivery"))?;
        let mut contents = render.render(conn, std::slice::from_ref(&delivery));
        let content = contents
            .pop()
            .unwrap_or_else(|| Err(Problem::internal("there are no words")))?;
        Ok::<_, Problem>((delivery, content))
    }));
    match found {
        Ok(Ok((delivery, content))) => Prepared::Ready(Box::new(delivery), content),
        // The database went away: nothing is wrong with the message.
        Ok(Err(problem)) if problem.code() == Code::Unavailable => Prepared::Settled(Outcome::Returned),
        Ok(Err(problem)) => Prepared::Settled(Outcome::Failed(format!("cannot be rendered: {problem}"))),
        Err(_) => Prepared::Settled(Outcome::Failed("cannot be rendered: it panicked".to_owned())),
    }
}
