//! WHAT WAS PROMISED: how soon somebody answers, and how soon it is over.
//!
//! Calendars say when time counts, policies how much of it there is for a plan, a severity and a clock. Both are
//! versioned: what was promised under a version is never rewritten. `ledger` is the arithmetic of one clock, pure:
//! intervals in, deadlines out. The clocks of requests are in `requests/sla`, what was promised about an incident in
//! `incidents/promise`.

pub mod actions;
pub mod api;
mod holidays;
pub mod ledger;
mod model;
mod promises;
pub mod store;

pub use ledger::{Interval, Ledger, Onset, Pace, Share, Terms};
pub use model::{Book, Calendar, CalendarRef, Clock, Edition, Policy, PolicySet};
pub use promises::Promises;
