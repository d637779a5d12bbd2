//! WHO: tenants, people, sign-in, and what a caller may do.
//!
//! [`Caller`] is the only way into an action, and the only maker of a [`crate::db::Scope`] for a call.

pub mod actions;
pub mod api;
pub mod api_key;
pub mod attempts;
pub mod bootstrap;
mod caller;
pub mod contacts;
mod correspondence;
pub mod custody;
mod door;
pub mod keys;
pub mod mailed;
mod me;
mod model;
mod opaque;
pub mod page;
pub mod password;
pub mod refusals;
pub mod rights;
mod scopes;
pub mod second_factor;
pub mod session;
mod sign_in;
pub mod sso;
pub mod store;
pub mod tokens;

pub use caller::{Begun, Caller, Remembered};
pub use contacts::{Contact, Topic};
pub use correspondence::{Correspondence, Correspondent};
pub use door::{Door, IsOf, guard};
pub use model::{Membership, Person, Plan, Role, Tenant, TenantView, UserView};
pub use rights::{Reach, Right};
pub use scopes::Grantable;
