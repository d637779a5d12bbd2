//! The verbs of identity: a file for those of tenants, of users and of passwords.

pub mod myself;
pub mod password;
pub mod second_factor;
pub mod tenant;
pub mod user;

use super::model::Membership;
use super::sign_in::refused;
use crate::db::{Connection, Moment, TenantId, lock};
use crate::journal::{self, Actor, Event, EventKind, SubjectKind};
use crate::problem::{Code, Problem};

fn language() -> String {
    "en".to_owned()
}

fn zone() -> String {
    "UTC".to_owned()
}

/// Notes that whoever has the installation made a token for somebody, who did not sign in.
pub fn note_minted(conn: &mut Connection, membership: &Membership, now: Moment) -> Result<(), Problem> {
    let (tenant, person) = (membership.tenant_id, membership.person_id);
    lock::exclusive(conn, lock::Key::of(person))?;
    let event = Event::next(
        EventKind::TokenMinted,
        (SubjectKind::Person, person),
        tenant,
        (&Actor::system(), now),
        serde_json::json!({"role": membership.role}),
    );
    journal::append(conn, event, &[])
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
