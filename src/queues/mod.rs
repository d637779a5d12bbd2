//! WHERE work waits: queues, the shifts that staff them, and the rules that route requests to them.
//!
//! A queue's team at an instant is the union of the shifts that run then. Claiming is in `requests`: it changes a
//! request. Skills, capacity, absences and hand-over are not here yet.

pub mod actions;
pub mod api;
pub mod coverage;
mod model;
pub mod routing;
pub mod store;

pub use model::{MemberView, NewQueue, NewShift, Queue, QueueView, Shift, ShiftView};
