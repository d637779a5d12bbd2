//! The only place that asks the time.
//!
//! Everything that depends on time is handed a [`Clock`]; tests, `replay` and `simulate` hand it one that is set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

/// A source of the present instant, cheap to clone; clones of a set clock share its hand.
#[derive(Clone, Debug)]
pub struct Clock(Face);

#[derive(Clone, Debug)]
enum Face {
    System,
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Face::System)
    }

    /// A clock that stands at `at` until it is set again.
    pub fn standing_at(at: DateTime<Utc>) -> Self {
        Self(Face::Set(Arc::new(AtomicI64::new(at.timestamp_micros()))))
    }

    /// Moves a standing clock to `at`, never backwards; the machine's clock is left alone.
    pub fn set(&self, at: DateTime<Utc>) {
        if let Face::Set(hand) = &self.0 {
            hand.fetch_max(at.timestamp_micros(), Ordering::SeqCst);
        }
    }

    /// The present instant, UTC, in whole microseconds (what PostgreSQL keeps).
    pub fn now(&self) -> DateTime<Utc> {
        let micros = match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "this is the place")]
            Face::System => Utc::now().timestamp_micros(),
            Face::Set(hand) => hand.load(Ordering::SeqCst),
        };
        DateTime::from_timestamp_micros(micros).unwrap_or_default()
    }

    /// Whether the hand is set by somebody (so that waiting on it makes no sense).
    pub fn is_standing(&self) -> bool {
        matches!(self.0, Face::Set(_))
    }
}
