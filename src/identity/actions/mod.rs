//! The verbs of identity: a file for those of tenants, of users and of passwords.

pub mod password;
pub mod second_factor;
pub mod tenant;
pub mod user;

use super::model::Membership;
use super::sign_in::refused;
use crate::db::TenantId;
use crate::problem::{Code, Problem};

fn language() -> String {
    "en".to_owned()
}

fn zone() -> String {
    "UTC".to_owned()
}

/// Chooses the membership that somebody signs in with.
pub fn choose_membership(
    memberships: Vec<Membership>,
    wanted: Option<TenantId>,
) -> Result<Membership, Problem> {
    let mut fitting: Vec<_> = memberships
        .into_iter()
        .filter(|membership| wanted.is_none_or(|tenant| membership.tenant_id == tenant))
        .collect();
    match (fitting.len(), fitting.pop()) {
        (1, Some(only)) => Ok(only),
        (0, _) => Err(refused()),
        (_, last) => {
            let tenants: Vec<_> = fitting
                .into_iter()
                .chain(last)
                .map(|membership| membership.tenant_id)
                .collect();
            Err(
                Problem::new(Code::TenantAmbiguous, "name the tenant with tenant_id")
                    .with("tenants", tenants),
            )
        }
    }
}
