//! Signing in: a password, then a second factor where there is one, then a session.
//!
//! An unknown address, a wrong password, a disabled account and a wrong code get the same answer after the same work.

use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::attempts::{self, Attempt};
use super::caller::part;
use super::keys::Secret;
use super::model::Person;
use super::refusals::{self, Reason, Tried};
use super::session::{self, Client, Lasting, Policy};
use super::{actions, password, second_factor, store};
use crate::clock::Clock;
use crate::db::{Connection, Db, Moment, Scope, TenantId, lock};
use crate::problem::{Code, Problem};
use crate::text;

/// What signing in stands on.
pub struct Ground {
    /// The database.
    pub db: Db,
    clock: Clock,
    /// What sessions are held to.
    pub policy: Policy,
    /// Opens what is sealed.
    pub seal: Secret,
}

impl Ground {
    /// Out of what the server has.
    pub fn of(request: &HttpRequest) -> Result<Self, Problem> {
        Ok(Self {
            db: part(request)?,
            clock: part(request)?,
            policy: part(request)?,
            seal: part(request)?,
        })
    }
}

impl FromRequest for Ground {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

/// Somebody who gave the right password.
pub struct Proven {
    person: Person,
    /// The password hashed again, where the stored hash is weaker than those made today.
    rehashed: Option<String>,
    attempt: Attempt,
    tried: Tried,
}

impl Ground {
    /// Now.
    pub fn now(&self) -> Moment {
        self.clock.now().into()
    }

    /// Checks a password; an attempt that fails is held against the account and the address.
    pub async fn password(
        &self,
        (email, tenant): (&str, Option<TenantId>),
        password: String,
        from: IpAddr,
    ) -> Result<Proven, Problem> {
        let now = self.now();
        let named = text::email_address(email);
        // What is no address is nobody's, and is counted all the same; a NUL in it would be refused by PostgreSQL.
        let account = named
            .clone()
            .unwrap_or_else(|| text::cleaned(email).to_lowercase());
        let looked_up = named.clone();
        let counted = self.db.write(Scope::of_system(), move |conn| {
            let attempt = attempts::sign_in(conn, &account, from, now)?;
            let person = match &looked_up {
                Some(email) => store::person_by_email(conn, email)?,
                None => None,
            };
            Ok((attempt, person))
        });
        let (attempt, person) = counted.await?;
        let hash = person.as_ref().and_then(|person| person.password_hash.clone());
        let weak = hash.as_deref().is_some_and(password::is_weak);
        let judged = password::verify(password.clone(), hash).await;
        if judged.is_err() {
            // What could not be judged is held against nobody.
            let attempt = attempt.clone();
            self.db
                .write(Scope::of_system(), move |conn| attempt.was_none(conn))
                .await?;
        }
        let tried = Tried {
            email: named,
            person: person.as_ref().map(|person| person.id),
            tenant,
        };
        let is_right = judged?;
        let Some(person) = person.filter(|person| is_right && !person.disabled) else {
            return Err(self.refuse(tried, is_right, from).await?);
        };
        let rehashed = if weak {
            Some(password::hash(password).await?)
        } else {
            None
        };
        Ok(Proven {
            person,
            rehashed,
            attempt,
            tried,
        })
    }

    /// Notes that somebody was refused, and gives the answer.
    async fn refuse(&self, tried: Tried, is_right: bool, from: IpAddr) -> Result<Problem, Problem> {
        let now = self.now();
        let reason = match (tried.person, is_right) {
            (None, _) => Reason::Unknown,
            (Some(_), true) => Reason::Disabled,
            (Some(_), false) => Reason::Password,
        };
        let noted = self.db.write(Scope::of_system(), move |conn| {
            refusals::sign_in(conn, &tried, reason, from, now)
        });
        noted.await?;
        Ok(refused())
    }

    /// Begins a session at the tenant that was named, or at the only one.
    pub async fn begin(
        &self,
        proven: Proven,
        code: Option<String>,
        client: Client,
    ) -> Result<Lasting, Problem> {
        let (now, policy, seal) = (self.now(), self.policy, self.seal.clone());
        let done = self.db.write(Scope::of_system(), move |conn| {
            let Proven {
                person,
                rehashed,
                attempt,
                tried,
            } = &proven;
            // What is counted and noted stays: the transaction ends well, with a refusal.
            let refuse = |conn: &mut Connection, reason| {
                refusals::sign_in(conn, tried, reason, client.address, now).map(|()| Err(refused()))
            };
            // Whatever became of the account since its password was judged: a new one ends what began with the old.
            lock::exclusive(conn, lock::Key::of(person.id))?;
            let same = store::person(conn, person.id)?
                .is_some_and(|now| now.password_hash == person.password_hash && !now.disabled);
            if !same {
                return refuse(conn, Reason::Password);
            }
            let memberships = store::memberships_by_password(conn, person.id)?;
            let membership = match actions::choose_membership(memberships, tried.tenant) {
                Ok(membership) => membership,
                Err(problem) => {
                    attempt.was_none(conn)?;
                    return match problem.code() {
                        Code::SignInFailed => refuse(conn, Reason::Disabled),
                        _ => Ok(Err(problem)),
                    };
                }
            };
            if second_factor::is_confirmed(conn, person.id)? {
                let Some(code) = code.as_deref() else {
                    return attempt.was_none(conn).map(|()| Err(code_needed()));
                };
                let guess = match attempts::code(conn, person.id, now) {
                    Ok(guess) => guess,
                    Err(problem) => return Ok(Err(problem)),
                };
                if !second_factor::check(conn, person.id, code, &seal, now)? {
                    return refuse(conn, Reason::Code);
                }
                guess.succeeded(conn)?;
            }
            attempt.succeeded(conn)?;
            if let Some(hash) = rehashed {
                store::rehash(conn, person, hash)?;
            }
            session::begin(conn, (&membership, &person.name, None), &client, policy, now).map(Ok)
        });
        done.await?
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
