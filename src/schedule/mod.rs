//! When people work: shifts on the wall clocks of the world, and the instants they cover.
//!
//! Everything here is arithmetic over values. There is no database, no clock and nothing
//! `async`; who works a shift, and which queue it belongs to, is known to `queues`.
//!
//! - `window`: a stretch of time in UTC
//! - `wall_clock`: the rule that turns a local date and time into an instant
//! - `shift`: a repeating window in a time zone
//! - `coverage`: what several shifts leave open, and which of them run when
//! - `hours`: when time counts, and how much of it has been counted
//! - `spelling`: how days, times and zones are written

pub mod coverage;
mod hours;
mod shift;
mod spelling;
mod wall_clock;
mod window;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod oracle;

pub use hours::{Business, Hours};
pub use shift::Shift;
pub use spelling::{Day, LocalTime, Unreadable, parse_zone};
pub use window::Window;
