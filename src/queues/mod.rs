//! WHERE work waits: queues, the shifts that staff them, and the rules that route requests to them.
//!
//! A queue's team at an instant is the union of the shifts that run then. What its agents know, and whether they take
//! work, is in `agents/`. Claiming is in `requests`: it changes a request. Absences and hand-over are not here yet.

pub mod actions;
pub mod agents;
pub mod api;
mod change;
pub mod coverage;
pub mod fallback;
mod ladder;
mod model;
pub mod routing;
pub mod store;

pub use change::QueueChange;
pub use ladder::{Ladder, LadderStep, Step, To};
pub use model::{MemberView, NewQueue, NewShift, Push, Queue, QueueView, Shift, ShiftView};
