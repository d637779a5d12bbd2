//! Whose rows a piece of work may see. Both doors take one.
//!
//! A scope cannot be written down, only made, by one of three names, so that whoever looks for them sees who sees what.
//! Which files may say which is on a list in `tests/it/architecture.rs`: the first two are `identity`'s alone, and come
//! from a caller that was verified.

use std::fmt;

use super::noun::TenantId;

/// Whose rows may be seen: those of one tenant, or those of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope(Option<TenantId>);

impl Scope {
    /// The rows of one tenant: for a caller that belongs to it, or proves it by a secret that names it.
    pub fn of_tenant(tenant: TenantId) -> Self {
        Self(Some(tenant))
    }

    /// The rows of all: for a caller of the provider's.
    pub fn of_staff() -> Self {
        Self(None)
    }

    /// The rows of all: for work that no caller asked for, or before it is known who calls.
    pub fn of_system() -> Self {
        Self(None)
    }

    /// The one tenant; `None` for all.
    pub fn tenant(self) -> Option<TenantId> {
        self.0
    }
}

/// As the policies of PostgreSQL know it: an id, or `all`. Nothing in it needs quoting.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(tenant) => tenant.fmt(f),
            None => f.write_str("all"),
        }
    }
}
