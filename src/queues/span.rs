//! A time that somebody enters: of an absence, an override, half a swap.

use chrono::TimeDelta;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::db::Moment;
use crate::problem::Problem;
use crate::schedule::Window;

/// How long it is at most, and how far ahead it ends: as far as queues are proved.
const LONGEST: TimeDelta = TimeDelta::days(400);

/// 422 for a time that is empty, over, or too long; the fields are `from` and `to` under `pointer`.
pub(super) fn check((from, to): (Moment, Moment), pointer: &str, now: Moment) -> Result<(), Problem> {
    let refused = |field: &str, detail: &str| Err(Problem::invalid(format!("{pointer}/{field}"), detail));
    if to <= from {
        return refused("to", "must be after from");
    }
    if to <= now {
        return refused("to", "must not be over");
    }
    if to.since(from) > LONGEST {
        return refused("to", "must be at most 400 days after from");
    }
    Ok(())
}

/// The window between two instants.
pub(super) fn window(from: Moment, to: Moment) -> Option<Window> {
    Window::new(from.utc(), to.utc())
}

/// A page of a list of such times.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Spans {
    /// 1 to 200; 50 when it is left out.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// From `next_cursor`.
    pub cursor: Option<String>,
    /// Only what ends after this instant.
    pub from: Option<Moment>,
}
