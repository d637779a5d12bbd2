//! The clocks of a request: how soon it is answered, answered again, and over.
//!
//! `follow` hears of every change of a request, in its transaction, and lets its clocks run, stand still, stop or begin
//! again: `moves` says which of that a change is, `clocks` what it does to them, both pure. `mark` makes the warnings
//! and breaches when their instants have come, `retarget` puts open clocks under policies and calendars that have
//! changed, which `changes` knows, `view` explains. The arithmetic is in `sla/ledger`.
//!
//! Marks are the only thing here that has an event of its own: all else follows from the events of the request.

mod changes;
mod clocks;
mod follow;
mod mark;
mod moves;
mod retarget;
mod store;
pub mod view;

use crate::db::lock;

pub use clocks::{ClockState, Row};
pub use follow::follow;
pub use mark::mark;
pub use retarget::retarget;
pub use store::{any_due, any_stale, due, overdue};

/// The lock of whoever makes marks, or lets clocks follow other terms.
fn alone() -> lock::Key {
    lock::Key::named("marks of clocks")
}
