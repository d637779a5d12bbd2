//! WHERE work waits: queues, the shifts that staff them, and the rules that route requests to them.
//!
//! A queue's team at an instant is the union of the shifts that run then, less whoever is absent, changed by overrides:
//! `duty.rs`. That it is never too small is proved in `coverage.rs`, `findings.rs` says where it is all the same. What
//! its agents know, and whether they take work, is in `agents/`. Claiming is in `requests`: it changes a request.

pub mod absences;
pub mod actions;
pub mod agents;
pub mod api;
mod calendar;
mod change;
pub mod coverage;
pub mod duty;
pub mod fallback;
pub mod findings;
mod ladder;
mod model;
pub mod overrides;
mod rotation;
pub mod routing;
mod span;
pub mod store;
pub mod waivers;

pub use change::QueueChange;
pub use ladder::{Ladder, LadderStep, Step, To};
pub use model::{MemberView, NewQueue, NewShift, Push, Queue, QueueView, Shift, ShiftView};
pub use rotation::Rotation;
