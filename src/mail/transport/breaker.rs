//! When a relay is left alone: a circuit breaker. Pure; the time is told.
//!
//! Some failures in a row open it. Then nothing goes over the relay for a while, which grows; then one message tries, and
//! what comes of it decides.

use chrono::TimeDelta;

use crate::db::Moment;

/// So many failures in a row, of the connection and not of a mail.
const FAILURES: u32 = 5;
/// The first pause.
const FIRST: TimeDelta = TimeDelta::seconds(2);
/// The longest.
const LONGEST: TimeDelta = TimeDelta::minutes(1);
/// Whoever tries and is not heard of for so long is forgotten.
const FORGOTTEN: TimeDelta = TimeDelta::minutes(10);

/// Whether a relay is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker(State);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Moment, pauses: u32 },
    Tried { since: Moment, pauses: u32 },
}

/// What may go over the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Passage {
    /// Nothing.
    None,
    /// One message, to see.
    One,
    /// Everything.
    All,
}

impl Breaker {
    /// One that trusts.
    pub fn new() -> Self {
        Self(State::Closed { failures: 0 })
    }

    /// What may go now.
    pub fn passage(&self, now: Moment) -> Passage {
        match self.0 {
            State::Closed { .. } => Passage::All,
            State::Open { until, .. } if until <= now => Passage::One,
            State::Tried { since, .. } if since.plus(FORGOTTEN) <= now => Passage::One,
            State::Open { .. } | State::Tried { .. } => Passage::None,
        }
    }

    /// One goes. Only where it may.
    pub fn begin(&mut self, now: Moment) {
        if let State::Open { pauses, .. } | State::Tried { pauses, .. } = self.0 {
            self.0 = State::Tried { since: now, pauses };
        }
    }

    /// The relay answered, whatever it said about the mail.
    pub fn answered(&mut self) {
        *self = Self::new();
    }

    /// The connection could not be made, or broke. `jitter` (0 to 1) takes away up to half of the pause.
    pub fn failed(&mut self, now: Moment, jitter: f64) {
        self.0 = match self.0 {
            State::Closed { failures } if failures + 1 < FAILURES => State::Closed {
                failures: failures + 1,
            },
            State::Closed { .. } => State::Open {
                until: now.plus(pause(0, jitter)),
                pauses: 1,
            },
            State::Tried { pauses, .. } => State::Open {
                until: now.plus(pause(pauses, jitter)),
                pauses: pauses.saturating_add(1),
            },
            // It was begun before.
            open @ State::Open { .. } => open,
        };
    }

    /// 0 closed, 1 being tried, 2 open: for the metrics.
    pub fn grade(&self) -> i64 {
        match self.0 {
            State::Closed { .. } => 0,
            State::Tried { .. } => 1,
            State::Open { .. } => 2,
        }
    }
}

/// The pause after so many others.
fn pause(before: u32, jitter: f64) -> TimeDelta {
    let whole = (FIRST * 2i32.pow(before.min(10))).min(LONGEST);
    let millis = i32::try_from(whole.num_milliseconds()).unwrap_or(i32::MAX);
    let kept = f64::from(millis) * (1.0 - jitter.clamp(0.0, 1.0) / 2.0);
    std::time::Duration::try_from_secs_f64(kept / 1000.0)
        .ok()
        .and_then(|kept| TimeDelta::from_std(kept).ok())
        .unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Moment {
        chrono::DateTime::from_timestamp(1_283_882_400 + seconds, 0)
            .unwrap()
            .into()
    }

    fn broken() -> Breaker {
        let mut breaker = Breaker::new();
        for _ in 0..FAILURES {
            assert_eq!(breaker.passage(at(0)), Passage::All);
            breaker.failed(at(0), 0.0);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_an_answer_between_them_counts_anew() {
        let mut breaker = Breaker::new();
        for _ in 0..20 {
            for _ in 1..FAILURES {
                breaker.failed(at(0), 0.0);
            }
            breaker.answered();
        }
        assert_eq!((breaker.passage(at(0)), breaker.grade()), (Passage::All, 0));
        assert_eq!((broken().passage(at(0)), broken().grade()), (Passage::None, 2));
    }

    #[test]
    fn one_tries_after_each_pause_and_pauses_double_up_to_a_minute() {
        let (mut breaker, mut now) = (broken(), 0);
        for pause in [2, 4, 8, 16, 32, 60, 60, 60] {
            assert_eq!(
                breaker.passage(at(now + pause - 1)),
                Passage::None,
                "before {pause} s"
            );
            now += pause;
            assert_eq!(breaker.passage(at(now)), Passage::One, "after {pause} s");
            breaker.begin(at(now));
            assert_eq!((breaker.passage(at(now)), breaker.grade()), (Passage::None, 1));
            breaker.failed(at(now), 0.0);
        }
        breaker.begin(at(now + 60));
        breaker.answered();
        assert_eq!(breaker, Breaker::new());
    }

    #[test]
    fn what_was_begun_before_neither_prolongs_the_pause_nor_keeps_the_relay_closed_once_it_answers() {
        let mut breaker = broken();
        breaker.failed(at(1), 0.0);
        assert_eq!(breaker.passage(at(2)), Passage::One);
        breaker.answered();
        assert_eq!(breaker.passage(at(1)), Passage::All);
    }

    #[test]
    fn whoever_tries_and_is_not_heard_of_is_followed_by_another() {
        let mut breaker = broken();
        breaker.begin(at(2));
        assert_eq!(breaker.passage(at(601)), Passage::None);
        assert_eq!(breaker.passage(at(602)), Passage::One);
    }

    #[test]
    fn chance_takes_away_up_to_half_of_a_pause() {
        assert_eq!(pause(0, 1.0), FIRST / 2);
        assert_eq!(pause(4, 0.5), TimeDelta::seconds(24));
        assert_eq!(pause(u32::MAX, 0.0), LONGEST);
    }
}
