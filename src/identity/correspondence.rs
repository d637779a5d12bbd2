//! Who writes by mail, and is known by that alone.
//!
//! Whoever has a letter finds whose it is by what only we can have written into it, and then works within the rows of
//! that tenant. A correspondent may no more than take part in conversations, whatever role they have here.

use std::net::IpAddr;

use super::caller::{Caller, Known};
use super::model::Role;
use super::scopes::Grantable;
use super::tokens::Claims;
use super::{refusals, rights, store};
use crate::clock::Clock;
use crate::db::{Connection, Db, Moment, PersonId, Scope, TenantId};
use crate::http::bell::Bell;
use crate::identity::Right;
use crate::journal::{Actor, Side};
use crate::problem::Problem;

/// What letters are dealt with by.
#[derive(Clone)]
pub struct Correspondence {
    db: Db,
    clock: Clock,
    bell: Bell,
}

/// What somebody is at a tenant who writes by mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Correspondent {
    /// Somebody with an account, in good standing, who may or may not comment.
    Member {
        /// Who.
        person: PersonId,
        /// The role.
        role: Role,
        /// The name.
        name: String,
    },
    /// Somebody with an account that is disabled, or of a tenant that is.
    Disabled,
    /// Nobody who has an account here.
    Outsider,
}

impl Correspondent {
    /// Whether their role lets them comment.
    pub fn may_comment(&self) -> bool {
        matches!(self, Self::Member { role, .. } if rights::allows(*role, Right::CommentOnRequests))
    }
}

impl Correspondence {
    /// With this database and this clock; who waits for work is rung for.
    pub fn new(db: Db, clock: Clock, bell: Bell) -> Self {
        Self { db, clock, bell }
    }

    /// Now.
    pub fn now(&self) -> Moment {
        self.clock.now().into()
    }

    /// Looks whose a letter is.
    pub async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.db.read(Scope::of_system(), work).await
    }

    /// Does what a letter asks for that proves to concern this tenant.
    pub async fn write<T: Send + 'static>(
        &self,
        tenant: TenantId,
        work: impl Fn(&mut Connection, &Self) -> Result<T, Problem> + Send + Sync + 'static,
    ) -> Result<T, Problem> {
        let within = self.clone();
        let done = self
            .db
            .write(Scope::of_tenant(tenant), move |conn| work(conn, &within));
        let done = done.await?;
        self.bell.ring();
        Ok(done)
    }

    /// Notes that a letter was refused, with the tenant that it would have concerned.
    pub async fn refuse(
        &self,
        tenant: TenantId,
        from: IpAddr,
        data: serde_json::Value,
    ) -> Result<(), Problem> {
        self.write(tenant, move |conn, within| {
            let actor = Actor::unproven(Side::Tenant, from);
            refusals::letter(conn, (tenant, &actor, from), data.clone(), within.now())
        })
        .await
    }

    /// What somebody with this address is at a tenant.
    pub fn recognise(conn: &mut Connection, tenant: TenantId, email: &str) -> Result<Correspondent, Problem> {
        let is_open = store::tenant(conn, tenant)?.is_some_and(|tenant| !tenant.disabled);
        let person = store::person_by_email(conn, email)?;
        if !is_open || person.as_ref().is_some_and(|person| person.disabled) {
            return Ok(Correspondent::Disabled);
        }
        let Some(person) = person else {
            return Ok(Correspondent::Outsider);
        };
        let membership = store::membership(conn, tenant, person.id)?;
        // Who was invited and has not come is still what they were before.
        if membership.is_none_or(|membership| !membership.accepted && !membership.disabled) {
            return Ok(Correspondent::Outsider);
        }
        Ok(match store::standing(conn, person.id, tenant, None)? {
            Some((role, name)) => Correspondent::Member {
                person: person.id,
                role,
                name,
            },
            None => Correspondent::Disabled,
        })
    }

    /// The caller that somebody at a tenant is, who may comment and nothing else.
    pub fn caller(&self, tenant: TenantId, (person, name): (PersonId, String), from: IpAddr) -> Caller {
        let known = Known {
            claims: Claims::of_key(person, tenant, Role::TenantAdmin),
            name,
            // Like a key, a letter does no more than what it is for.
            scopes: Some(vec![Grantable::RequestsWrite]),
        };
        Caller::recognised(known, (&self.db, &self.clock, &self.bell), from)
    }
}
