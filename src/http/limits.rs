//! How many calls a second: of one caller, and of one address whose calls are refused.
//!
//! Counted by each process for itself, in memory, by the generic cell rate algorithm. What is left is said with every
//! answer, in the fields of draft-ietf-httpapi-ratelimit-headers-10.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use chrono::TimeDelta;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use moka::sync::Cache;

use super::client;
use crate::clock::Clock;
use crate::problem::{Code, Problem};

/// What is left of the quota, and the quota.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// So many are counted one by one; beyond that, newcomers share a count until others have been idle.
const MOST: usize = 65_536;
/// After so many calls the idle ones are let go.
const TIDY: usize = 16_384;

/// The clock of the installation, as the algorithm wants it.
#[derive(Clone, Debug)]
struct Ticks(Clock);

impl governor::clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let micros = u64::try_from(self.0.now().timestamp_micros()).unwrap_or_default();
        Duration::from_micros(micros)
    }
}

type Counts = RateLimiter<u128, DashMapStateStore<u128>, Ticks, StateInformationMiddleware>;

/// A quota for each of many.
struct Meter {
    counts: Counts,
    ticks: Ticks,
    name: &'static str,
    quota: NonZeroU32,
    calls: AtomicUsize,
}

/// What a call has left.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    name: &'static str,
    quota: NonZeroU32,
    calls: u32,
}

impl Left {
    /// Says so in the headers of the answer.
    pub fn say(self, headers: &mut HeaderMap) {
        for (name, text) in self.fields() {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
    }

    fn fields(self) -> [(HeaderName, String); 2] {
        let Self { name, quota, calls } = self;
        [
            (RATE_LIMIT_POLICY, format!("\"{name}\";q={quota};w=1")),
            (RATE_LIMIT, format!("\"{name}\";r={calls};t=1")),
        ]
    }
}

/// One call too many.
#[derive(Clone, Copy, Debug)]
pub struct Exceeded {
    left: Left,
    wait: Duration,
}

impl From<Exceeded> for Problem {
    fn from(Exceeded { left, wait }: Exceeded) -> Self {
        let detail = format!("{} calls a second are the limit", left.quota);
        let problem = Self::new(Code::TooManyRequests, detail)
            .retry_after(TimeDelta::from_std(wait).unwrap_or_default());
        let fields = left.fields().into_iter();
        fields.fold(problem, |problem, (name, text)| problem.with_header(name, text))
    }
}

impl Meter {
    fn new(name: &'static str, quota: NonZeroU32, clock: &Clock) -> Self {
        let ticks = Ticks(clock.clone());
        let counts = RateLimiter::dashmap_with_clock(Quota::per_second(quota), ticks.clone());
        Self {
            counts: counts.with_middleware(),
            ticks,
            name,
            quota,
            calls: AtomicUsize::new(0),
        }
    }

    fn take(&self, key: u128) -> Result<Left, Exceeded> {
        if self.calls.fetch_add(1, Ordering::Relaxed) % TIDY == TIDY - 1 {
            self.counts.retain_recent();
        }
        let key = if self.counts.len() > MOST { 0 } else { key };
        match self.counts.check_key(&key) {
            Ok(state) => Ok(self.left(state.remaining_burst_capacity())),
            Err(not_until) => Err(Exceeded {
                left: self.left(0),
                wait: not_until.wait_time_from(self.now()),
            }),
        }
    }

    fn now(&self) -> Duration {
        governor::clock::Clock::now(&self.ticks)
    }

    fn left(&self, calls: u32) -> Left {
        Left {
            name: self.name,
            quota: self.quota,
            calls,
        }
    }
}

/// The limits of this process, cheap to clone.
#[derive(Clone)]
pub struct Limits {
    meters: Arc<(Meter, Meter)>,
    /// Until when an address has had its refusals.
    over: Cache<u128, Duration>,
}

fn key_of(from: IpAddr) -> u128 {
    match client::network(from) {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl Limits {
    /// So many calls a second of a caller, and so many refused ones of an address.
    pub fn new(caller: NonZeroU32, refused: NonZeroU32, clock: &Clock) -> Self {
        let meters = (
            Meter::new("caller", caller, clock),
            Meter::new("address", refused, clock),
        );
        Self {
            meters: Arc::new(meters),
            over: Cache::builder()
                .max_capacity(65_536)
                .time_to_live(Duration::from_secs(60))
                .build(),
        }
    }

    /// One more call of this caller, or 429.
    pub fn call(&self, caller: u128) -> Result<Left, Exceeded> {
        self.meters.0.take(caller)
    }

    /// One more call from this address that was refused, or 429.
    pub fn refusal(&self, from: IpAddr) -> Result<Left, Exceeded> {
        let (meter, key) = (&self.meters.1, key_of(from));
        let taken = meter.take(key);
        if let Err(exceeded) = &taken {
            self.over.insert(key, meter.now() + exceeded.wait);
        }
        taken
    }

    /// 429 where this address has had its refusals for now: nothing more is done for a stranger from there.
    pub fn stranger(&self, from: IpAddr) -> Result<(), Exceeded> {
        let meter = &self.meters.1;
        match self.over.get(&key_of(from)) {
            Some(until) if until > meter.now() => Err(Exceeded {
                left: meter.left(0),
                wait: until - meter.now(),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(clock: &Clock) -> Meter {
        Meter::new("caller", NonZeroU32::new(3).unwrap(), clock)
    }

    #[test]
    fn each_has_its_own_quota_and_gets_it_back_with_time() {
        let start = chrono::DateTime::from_timestamp(1_283_882_400, 0).unwrap();
        let clock = Clock::standing_at(start);
        let meter = meter(&clock);
        let left: Vec<_> = (0..4)
            .map(|_| meter.take(7).map(|left| left.calls).ok())
            .collect();
        assert_eq!(left, [Some(2), Some(1), Some(0), None]);
        assert!(meter.take(8).is_ok());
        clock.set(start + TimeDelta::milliseconds(334));
        assert!(meter.take(7).is_ok() && meter.take(7).is_err());
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let start = chrono::DateTime::from_timestamp(1_283_882_400, 0).unwrap();
        let clock = Clock::standing_at(start);
        let meter = meter(&clock);
        for key in 1..100_000 {
            let _ = meter.take(key);
        }
        assert!(meter.counts.len() <= MOST + 2);
        // They are let go when they have been idle.
        clock.set(start + TimeDelta::seconds(10));
        for _ in 0..TIDY {
            let _ = meter.take(1);
        }
        assert!(meter.counts.len() <= 2, "{}", meter.counts.len());
    }
}
