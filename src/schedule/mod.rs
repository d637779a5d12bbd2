//! When people work: shifts on the wall clocks of the world, and the instants they cover.
//!
//! Everything here is arithmetic over values. There is no database, no clock and nothing
//! `async`; which queue a shift belongs to, and who people are, is known to `queues`.
//!
//! - `window`: a stretch of time in UTC
//! - `wall_clock`: the rule that turns a local date and time into an instant
//! - `shift`: a repeating window in a time zone
//! - `turn`: the weeks in which one of several teams works it
//! - `roster`: who is on duty when, and when too few are
//! - `daily`: what happens every day at the same time of the wall clock
//! - `hours`: when time counts, and how much of it has been counted
//! - `spelling`: how days, times and zones are written

pub mod daily;
mod hours;
pub mod roster;
mod shift;
mod spelling;
mod turn;
mod wall_clock;
mod window;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod oracle;

pub use hours::{Business, Hours};
pub use shift::Shift;
pub use spelling::{Day, LocalTime, Unreadable, parse_zone};
pub use turn::Turn;
pub use window::Window;
