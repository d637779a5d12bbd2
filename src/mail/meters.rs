//! What the sending of mail counts, for the metrics.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use super::Priority;
use super::transport::SendError;

/// From the commit of a message to its being taken; status mail of a large incident may take long.
const SECONDS: [f64; 14] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0,
];

/// The numbers of the dispatcher, cheap to clone.
#[derive(Clone)]
pub struct Meters {
    latency: HistogramVec,
    failures: IntCounterVec,
    in_flight: IntGauge,
}

impl Meters {
    /// Registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let latency = HistogramOpts::new(
            "allclear_mail_latency_seconds",
            "From the commit of a message to its being taken by a mail server",
        );
        let latency = HistogramVec::new(latency.buckets(SECONDS.to_vec()), &["lane"])?;
        let failures = Opts::new(
            "allclear_mail_failures_total",
            "Attempts that failed, and messages that were never tried, by class",
        );
        let failures = IntCounterVec::new(failures, &["class"])?;
        let in_flight = IntGauge::new(
            "allclear_mail_in_flight",
            "Messages handed over or about to be, and not yet marked",
        )?;
        registry.register(Box::new(latency.clone()))?;
        registry.register(Box::new(failures.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        let meters = Self {
            latency,
            failures,
            in_flight,
        };
        // Seen from the start, at zero.
        for class in ["permanent", "transient", "connection", "given_up", "unsendable"] {
            meters.failure(class).reset();
        }
        Ok(meters)
    }

    pub(super) fn latency(&self, lane: Priority) -> Histogram {
        self.latency.with_label_values(&[lane.as_str()])
    }

    pub(super) fn failure(&self, class: &str) -> IntCounter {
        self.failures.with_label_values(&[class])
    }

    pub(super) fn in_flight(&self) -> &IntGauge {
        &self.in_flight
    }
}

/// The class of an attempt that failed.
pub(super) fn class(error: &SendError) -> &'static str {
    match error {
        SendError::Permanent(_) => "permanent",
        SendError::Transient(_) | SendError::Elsewhere(_) => "transient",
        SendError::Broken(_) | SendError::Unreachable(_) => "connection",
    }
}
