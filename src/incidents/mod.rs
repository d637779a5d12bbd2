//! Incidents: something wrong with services in regions, with a public timeline.
//!
//! `promise` holds the desk to the updates that it promised.
//!
//! Ending or reopening one commits the incident and one broadcast, and returns. What follows for its requests (the
//! cascade) and who hears of it are `notify`'s business, driven by the state written here.

pub mod actions;
mod affects;
pub mod api;
pub mod duplicates;
pub mod lifecycle;
mod model;
pub mod promise;
mod rehearsal;
pub mod store;
pub mod view;

pub(crate) use affects::affects;
pub use lifecycle::Status;
pub use model::{CascadeState, Impact, Incident, IncidentView, Update};
