//! One way out: a server or a folder, how much of it is in use, and whether it is trusted.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use futures_util::FutureExt as _;
use lettre::{AsyncFileTransport, AsyncTransport as _, Tokio1Executor};
use parking_lot::Mutex;

use super::breaker::{Breaker, Passage};
use super::smtp::Smtp;
use super::{Entry, Receipt, SendError};
use crate::db::Moment;
use crate::mail::Priority;
use crate::mail::message::Raw;
use crate::mail::pace::Pace;
use crate::mail::window::Window;

/// What carries the mail.
pub(super) enum Carrier {
    /// Each mail becomes a file.
    Files(AsyncFileTransport<Tokio1Executor>),
    /// An SMTP server takes them.
    Smtp(Smtp),
}

/// One of the ways out.
pub(super) struct Relay {
    pub(super) name: &'static str,
    carrier: Carrier,
    state: Mutex<State>,
}

struct State {
    breaker: Breaker,
    seats: Seats,
    pace: Option<Pace>,
}

/// How many messages are under way, by lane.
struct Seats {
    most: usize,
    kept: usize,
    bulk: usize,
    urgent: usize,
    /// For bulk mail: as much as the relay takes.
    window: Window,
}

impl Seats {
    /// Of `most`, an eighth is kept for urgent mail; of one, none: urgent mail has one besides.
    fn new(most: usize) -> Self {
        let most = most.max(1);
        let kept = (most / 8).max(1);
        Self {
            most,
            kept,
            bulk: 0,
            urgent: 0,
            window: Window::new(most.saturating_sub(kept)),
        }
    }

    fn has_room(&self, lane: Priority) -> bool {
        match lane {
            Priority::Request => self.urgent < self.kept || self.urgent + self.bulk < self.most,
            Priority::Bulk => self.bulk < self.window.limit(),
        }
    }

    fn taken(&mut self, lane: Priority) -> &mut usize {
        match lane {
            Priority::Request => &mut self.urgent,
            Priority::Bulk => &mut self.bulk,
        }
    }
}

/// A place on a relay, given back when dropped.
pub struct Place<'a> {
    relay: &'a Relay,
    lane: Priority,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.relay.state.lock();
        let taken = state.seats.taken(self.lane);
        *taken = taken.saturating_sub(1);
    }
}

impl Relay {
    /// One with so many connections, and a rate if it has one.
    pub(super) fn new(name: &'static str, carrier: Carrier, connections: usize, pace: Option<Pace>) -> Self {
        let state = State {
            breaker: Breaker::new(),
            seats: Seats::new(connections),
            pace,
        };
        Self {
            name,
            carrier,
            state: Mutex::new(state),
        }
    }

    /// Whether it is trusted with everything, with one message, or with nothing.
    pub(super) fn passage(&self, now: Moment) -> Passage {
        self.state.lock().breaker.passage(now)
    }

    /// How many of `wanted` its rate allows. Urgent mail does not wait for it, but counts.
    pub(super) fn ration(&self, lane: Priority, wanted: usize, now: Moment) -> usize {
        match (&self.state.lock().pace, lane) {
            (Some(pace), Priority::Bulk) => wanted.min(pace.room(now, false)),
            _ => wanted,
        }
    }

    /// So many go, as far as the rate is concerned.
    pub(super) fn spend(&self, count: usize, now: Moment) {
        if let Some(pace) = &mut self.state.lock().pace {
            pace.take(now, count);
        }
    }

    /// A place, if it is trusted and has one.
    pub(super) fn enter(&self, lane: Priority, now: Moment) -> Entry<'_> {
        let mut state = self.state.lock();
        match (state.breaker.passage(now), state.seats.has_room(lane)) {
            (Passage::None, _) | (Passage::One, false) => Entry::Away,
            (Passage::All, false) => Entry::Full,
            (Passage::One | Passage::All, true) => {
                state.breaker.begin(now);
                *state.seats.taken(lane) += 1;
                Entry::Go(Place { relay: self, lane })
            }
        }
    }

    pub(super) fn grade(&self) -> i64 {
        self.state.lock().breaker.grade()
    }
}

impl Place<'_> {
    /// Hands the mail over, and remembers how the relay took that.
    pub(super) async fn send(&self, mail: &Raw, now: impl Fn() -> Moment) -> Result<Receipt, SendError> {
        let sent = AssertUnwindSafe(self.relay.carrier.send(mail))
            .catch_unwind()
            .await;
        let sent = sent.unwrap_or_else(|_| Err(SendError::Broken("the mail library panicked".to_owned())));
        let mut state = self.relay.state.lock();
        let others = state.seats.bulk.saturating_sub(1);
        match &sent {
            Ok(_) | Err(SendError::Permanent(_) | SendError::Elsewhere(_)) => {
                state.breaker.answered();
                state.seats.window.widen();
            }
            Err(SendError::Transient(_)) => {
                state.breaker.answered();
                state.seats.window.narrow(others);
            }
            Err(SendError::Broken(_) | SendError::Unreachable(_)) => {
                state.breaker.failed(now(), rand::random());
                state.seats.window.narrow(others);
            }
        }
        sent
    }

    pub(super) fn lane(&self) -> Priority {
        self.lane
    }

    pub(super) fn is_on(&self, relay: &Relay) -> bool {
        std::ptr::eq(self.relay, relay)
    }
}

impl Carrier {
    /// Writes each mail into `dir`, which is made, readable by its owner only, if it does not exist.
    pub(super) fn files(dir: &Path) -> std::io::Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir)?;
        Ok(Self::Files(AsyncFileTransport::new(dir)))
    }

    async fn send(&self, mail: &Raw) -> Result<Receipt, SendError> {
        let written = |cause: &dyn Display| SendError::Transient(cause.to_string());
        match self {
            Self::Smtp(smtp) => smtp.send(mail).await,
            Self::Files(files) => {
                let name = files.send_raw(&mail.envelope, &mail.bytes).await;
                let reply = format!("{}.eml", name.map_err(|cause| written(&cause))?);
                Ok(Receipt { reply })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_kept_for_urgent_mail_which_may_have_all() {
        for (most, bulk, urgent_beside) in [(1, 1, 1), (2, 1, 1), (8, 7, 1), (16, 14, 2), (64, 56, 8)] {
            let mut seats = Seats::new(most);
            let fill = |seats: &mut Seats, lane| {
                let before = *seats.taken(lane);
                while seats.has_room(lane) {
                    *seats.taken(lane) += 1;
                }
                *seats.taken(lane) - before
            };
            assert_eq!(fill(&mut seats, Priority::Bulk), bulk, "of {most}");
            assert_eq!(fill(&mut seats, Priority::Request), urgent_beside, "of {most}");
            let mut seats = Seats::new(most);
            assert_eq!(fill(&mut seats, Priority::Request), most);
        }
    }
}
