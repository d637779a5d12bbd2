//! Single sign-on: people who sign in at an OpenID Connect issuer, a tenant's or the provider's own.
//!
//! Two ways lead in. In a browser, the authorization code flow ends in a session (`visit.rs`). A program sends an access
//! token of the issuer as its bearer token (`bearer.rs`). Both come to `arrival.rs`, which says who that is here, at the
//! tenant of the issuer's row and at no other. What the issuer is asked is in `issuers.rs`; what of its tokens is
//! believed, in the pure files `signature.rs`, `claims.rs` and `flow.rs`.

mod actions;
pub mod api;
mod arrival;
pub(super) mod bearer;
mod claims;
mod flow;
mod issuers;
mod model;
mod signature;
pub mod store;
mod visit;
mod wire;

pub use issuers::Issuers;
pub use model::{ExternalIdentity, IdentityProvider, IdentityProviderView, RoleRule};
