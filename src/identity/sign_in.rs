//! Signing in: a password, then a second factor where there is one, then a session.
//!
//! An unknown address, a wrong password, a disabled account and a wrong code get the same answer after the same work.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::caller::part;
use super::keys::Secret;
use super::model::Person;
use super::session::{self, Client, Lasting, Policy};
use super::{actions, password, second_factor, store};
use crate::clock::Clock;
use crate::db::{Db, Moment, Scope, TenantId};
use crate::problem::{Code, Problem};
use crate::text;

/// What signing in stands on.
pub struct Ground {
    db: Db,
    clock: Clock,
    policy: Policy,
    seal: Secret,
}

impl FromRequest for Ground {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let ground = || {
            Ok(Self {
                db: part(request)?,
                clock: part(request)?,
                policy: part(request)?,
                seal: part(request)?,
            })
        };
        ready(ground())
    }
}

/// Somebody who gave the right password.
pub struct Proven {
    person: Person,
    /// The password hashed again, where the stored hash is weaker than those made today.
    rehashed: Option<String>,
}

impl Ground {
    /// Now.
    pub fn now(&self) -> Moment {
        self.clock.now().into()
    }

    /// Checks a password.
    pub async fn password(&self, email: &str, password: String) -> Result<Proven, Problem> {
        let email = text::email_address(email);
        let person = self.db.read(Scope::of_system(), move |conn| match email {
            Some(email) => store::person_by_email(conn, &email),
            None => Ok(None),
        });
        let person = person.await?;
        let hash = person.as_ref().and_then(|person| person.password_hash.clone());
        let weak = hash.as_deref().is_some_and(password::is_weak);
        let fits = password::verify(password.clone(), hash).await?;
        let person = person
            .filter(|person| fits && !person.disabled)
            .ok_or_else(refused)?;
        let rehashed = if weak {
            Some(password::hash(password).await?)
        } else {
            None
        };
        Ok(Proven { person, rehashed })
    }

    /// Begins a session at the tenant that is named, or at the only one.
    pub async fn begin(
        &self,
        proven: Proven,
        tenant: Option<TenantId>,
        code: Option<String>,
        client: Client,
    ) -> Result<Lasting, Problem> {
        let (now, policy, seal) = (self.now(), self.policy, self.seal.clone());
        let done = self.db.write(Scope::of_system(), move |conn| {
            let Proven { person, rehashed } = &proven;
            let memberships = store::memberships_of(conn, person.id)?;
            let membership = actions::choose_membership(memberships, tenant)?;
            if second_factor::is_confirmed(conn, person.id)? {
                let code = code.as_deref().ok_or_else(code_needed)?;
                if !second_factor::check(conn, person.id, code, &seal, now)? {
                    return Err(refused());
                }
            }
            if let Some(hash) = rehashed {
                store::rehash(conn, person, hash)?;
            }
            session::begin(conn, (&membership, &person.name), &client, policy, now)
        });
        done.await
    }
}

/// The one answer to whoever did not sign in.
pub fn refused() -> Problem {
    Problem::new(Code::SignInFailed, "e-mail, password or code is wrong")
}

fn code_needed() -> Problem {
    Problem::new(
        Code::SecondFactorRequired,
        "send `code` too: of the authenticator, or a recovery code",
    )
}
