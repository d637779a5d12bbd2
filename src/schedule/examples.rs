//! Shifts and instants as the tests of this room write them.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::{Day, LocalTime, Shift};

/// An instant, to the minute: `2026-03-29T01:00`.
pub(super) fn utc(text: &str) -> DateTime<Utc> {
    format!("{text}:00Z")
        .parse()
        .unwrap_or_else(|_| panic!("`{text}` is no instant"))
}

/// A shift that is valid for ever.
pub(super) fn shift(zone: Tz, days: &[Day], start: &str, end: &str) -> Shift {
    let time = |text: &str| {
        text.parse::<LocalTime>()
            .unwrap_or_else(|problem| panic!("{problem}"))
            .into()
    };
    Shift {
        days: days.iter().copied().collect(),
        start: time(start),
        end: time(end),
        zone,
        valid_from: None,
        valid_until: None,
        turn: None,
    }
}
