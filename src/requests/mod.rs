//! THE HEART: service requests, from filing to their end, their conversation and their history.
//!
//! `line` has what is queued, in order; `sla` the clocks. Push assignment will stand here too.

pub mod actions;
pub mod api;
pub mod custody;
pub mod lifecycle;
pub mod line;
mod model;
pub mod reference;
pub mod sla;
pub mod store;
mod view;

pub use lifecycle::Status;
pub use model::{Cause, Comment, Request, Visibility};
pub use view::RequestView;
