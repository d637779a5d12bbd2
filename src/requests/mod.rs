//! THE HEART: service requests, from filing to their end, their conversation and their history.
//!
//! `line` has what is queued, in order, and gives it out; `sla` the clocks; `hand_overs` what one team tells the next;
//! `reports` what came of it all, in numbers.

pub mod actions;
pub mod api;
pub mod attachments;
pub mod concerning;
pub mod custody;
pub mod hand_overs;
pub mod lifecycle;
pub mod line;
mod model;
pub mod reference;
mod rehearsal;
pub mod replies;
pub mod reports;
pub mod sla;
pub mod store;
mod view;

pub use lifecycle::Status;
pub use model::{Cause, Comment, Request, Visibility};
pub use view::{PersonView, RequestView};
