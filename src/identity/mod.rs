//! WHO: tenants, people, sign-in, and what a caller may do.
//!
//! [`Caller`] is the only way into an action, and the only maker of a [`crate::db::Scope`] for a call.

pub mod actions;
pub mod api;
pub mod bootstrap;
mod caller;
pub mod keys;
mod model;
pub mod password;
pub mod rights;
pub mod store;
pub mod tokens;

pub use caller::{Caller, Remembered};
pub use model::{Contact, ContactView, Membership, Person, Plan, Role, Tenant, TenantView, UserView};
pub use rights::Right;
