//! What each domain of recipients takes: so many at a time, so many a second, and less after it says "not now".
//!
//! Counted by each process for itself, and only while there is something to remember.

use std::collections::HashMap;
use std::num::NonZeroU32;

use chrono::TimeDelta;
use parking_lot::Mutex;

use super::Priority;
use super::pace::Pace;
use super::window::Window;
use crate::db::Moment;

/// For so long a message waits whose domain is busy, where it cannot wait in hand.
pub const LATER: TimeDelta = TimeDelta::seconds(5);

/// The limits, and what is known of the domains.
pub struct Domains {
    connections: usize,
    rate: Option<NonZeroU32>,
    known: Mutex<HashMap<String, Domain>>,
}

struct Domain {
    busy: usize,
    window: Window,
    pace: Option<Pace>,
}

/// Whether a message may go to a domain now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Go,
    /// As many are under way as may be.
    Full,
    /// Not before then.
    Hold(Moment),
}

/// How a domain took a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// It was taken, or refused for good.
    Answered,
    /// Not now.
    PutOff,
    /// Nothing was heard of it.
    None,
}

/// A message under way to a domain; counted until it is told what came of it, or dropped.
pub struct Visit<'a> {
    domains: &'a Domains,
    name: String,
    reaction: Reaction,
}

impl Domains {
    /// Each with so many connections and, if there is one, such a rate.
    pub fn new(connections: usize, rate: Option<NonZeroU32>) -> Self {
        Self {
            connections,
            rate,
            known: Mutex::new(HashMap::new()),
        }
    }

    fn fresh(&self, now: Moment) -> Domain {
        Domain {
            busy: 0,
            window: Window::new(self.connections),
            pace: self.rate.map(|rate| Pace::new(rate, now)),
        }
    }

    /// Whether one more may go. Urgent mail runs ahead of the rest, by a second's worth and one connection.
    pub fn admits(&self, name: &str, lane: Priority, now: Moment) -> Admission {
        let mut known = self.known.lock();
        let Some(domain) = known.get_mut(name) else {
            return Admission::Go;
        };
        let ahead = lane == Priority::Request;
        match &mut domain.pace {
            Some(pace) if pace.room(now, ahead) == 0 => Admission::Hold(pace.book(now)),
            _ if domain.busy < domain.window.limit() + usize::from(ahead) => Admission::Go,
            _ => Admission::Full,
        }
    }

    /// One more goes.
    pub fn visit(&self, name: &str, now: Moment) -> Visit<'_> {
        let mut known = self.known.lock();
        let domain = known.entry(name.to_owned()).or_insert_with(|| self.fresh(now));
        domain.busy += 1;
        if let Some(pace) = &mut domain.pace {
            pace.take(now, 1);
        }
        Visit {
            domains: self,
            name: name.to_owned(),
            reaction: Reaction::None,
        }
    }

    /// Forgets what is as if it had never been.
    pub fn tidy(&self, now: Moment) {
        let rested = |domain: &Domain| {
            let paced = domain.pace.as_ref().is_none_or(|pace| pace.is_rested(now));
            domain.busy == 0 && domain.window.is_whole() && paced
        };
        self.known.lock().retain(|_, domain| !rested(domain));
    }
}

impl Visit<'_> {
    /// What came of it.
    pub fn end(mut self, reaction: Reaction) {
        self.reaction = reaction;
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let mut known = self.domains.known.lock();
        let Some(domain) = known.get_mut(&self.name) else {
            return;
        };
        domain.busy = domain.busy.saturating_sub(1);
        match self.reaction {
            Reaction::Answered => domain.window.widen(),
            Reaction::PutOff => domain.window.narrow(domain.busy),
            Reaction::None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Moment {
        chrono::DateTime::from_timestamp_millis(1_283_882_400_000 + millis)
            .unwrap()
            .into()
    }

    const BULK: Priority = Priority::Bulk;
    const URGENT: Priority = Priority::Request;

    #[test]
    fn a_domain_that_puts_off_is_slowed_alone_and_recovers() {
        let domains = Domains::new(8, None);
        let visits: Vec<_> = (0..8).map(|_| domains.visit("slow.example", at(0))).collect();
        assert_eq!(domains.admits("slow.example", BULK, at(0)), Admission::Full);
        assert_eq!(domains.admits("slow.example", URGENT, at(0)), Admission::Go);
        assert_eq!(domains.admits("other.example", BULK, at(0)), Admission::Go);
        for visit in visits {
            visit.end(Reaction::PutOff);
        }
        let under_way: Vec<_> = (0..4).map(|_| domains.visit("slow.example", at(0))).collect();
        assert_eq!(domains.admits("slow.example", BULK, at(0)), Admission::Full);
        drop(under_way);
        domains.tidy(at(0));
        assert_eq!(domains.known.lock().len(), 1, "it is remembered");
        for _ in 0..100 {
            domains.visit("slow.example", at(0)).end(Reaction::Answered);
        }
        domains.tidy(at(0));
        assert_eq!(domains.known.lock().len(), 0, "and forgotten");
    }

    #[test]
    fn a_rate_sends_away_until_one_after_another_and_urgent_mail_runs_ahead() {
        let domains = Domains::new(100, NonZeroU32::new(2));
        for _ in 0..2 {
            assert_eq!(domains.admits("a.example", BULK, at(0)), Admission::Go);
            domains.visit("a.example", at(0)).end(Reaction::Answered);
        }
        assert_eq!(domains.admits("a.example", BULK, at(0)), Admission::Hold(at(500)));
        assert_eq!(
            domains.admits("a.example", BULK, at(0)),
            Admission::Hold(at(1000))
        );
        assert_eq!(domains.admits("a.example", URGENT, at(0)), Admission::Go);
        assert_eq!(domains.admits("b.example", BULK, at(0)), Admission::Go);
        assert_eq!(domains.admits("a.example", BULK, at(500)), Admission::Go);
    }
}
