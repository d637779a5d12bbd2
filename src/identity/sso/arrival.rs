//! Who somebody is here, of whom a provider says who it is there.
//!
//! A subject that was here before is the same person as then. A new one is the member of the tenant with its verified
//! address, or, where nobody has ever been in with that address, a person of its own from now on. An account that is
//! somebody else's is never taken over: whoever has it may belong to tenants that this issuer has no say in. All of it
//! happens in the scope of the provider's tenant.

use serde_json::{Value, json};

use super::claims::Claims;
use super::model::{ExternalIdentity, IdentityProvider};
use super::store;
use crate::db::{Connection, Moment, PersonId, lock, widely};
use crate::identity::caller::no_longer;
use crate::identity::model::{Membership, Person, Role};
use crate::identity::{actions, store as people};
use crate::journal::{self, Actor, Event, EventKind, Reader, SubjectKind};
use crate::problem::{Code, Problem};

/// Somebody a provider has vouched for, as a member of its tenant, with the name.
pub type Arrived = (Membership, String);

/// Who this is, if nothing has to be changed for it.
pub fn recognise(
    conn: &mut Connection,
    provider: &IdentityProvider,
    claims: &Claims,
) -> Result<Option<(PersonId, Role, String)>, Problem> {
    let role = role_of(provider, claims)?;
    let Some(person) = store::person_of(conn, provider, &claims.sub)? else {
        return Ok(None);
    };
    let standing = people::standing(conn, person, provider.tenant_id, None)?;
    let (held, name) = standing.ok_or_else(no_longer)?;
    Ok(Some((person, role, name)).filter(|_| held == role))
}

/// Lets somebody in, with the role that the claims name now; `None` of somebody whose account, membership or tenant is
/// disabled.
pub fn arrive(
    conn: &mut Connection,
    provider: &IdentityProvider,
    claims: &Claims,
    now: Moment,
) -> Result<Option<Arrived>, Problem> {
    let role = role_of(provider, claims)?;
    let name = format!("external identity {} {}", provider.id, claims.sub);
    lock::exclusive(conn, lock::Key::named(&name))?;
    let person = match store::person_of(conn, provider, &claims.sub)? {
        Some(person) => person,
        None => match meet(conn, provider, claims, role, now)? {
            Some(person) => person,
            None => return Ok(None),
        },
    };
    lock::exclusive(conn, lock::Key::of(person))?;
    let Some((held, name)) = people::standing(conn, person, provider.tenant_id, None)? else {
        return Ok(None);
    };
    let found = people::membership(conn, provider.tenant_id, person)?;
    let mut membership = found.ok_or_else(|| Problem::internal("somebody in good standing is no member"))?;
    if held != role {
        membership = follow(conn, provider, membership, role, now)?;
    }
    Ok(Some((membership, name)))
}

fn role_of(provider: &IdentityProvider, claims: &Claims) -> Result<Role, Problem> {
    claims
        .role(&provider.role_claim, &provider.roles())
        .ok_or_else(|| {
            let detail = format!(
                "the claim `{}` has no value that is a role here",
                provider.role_claim
            );
            Problem::new(Code::SsoNoRole, detail)
        })
}

/// Who a subject is that has not been here before, from now on; `None` of a member who is kept out.
fn meet(
    conn: &mut Connection,
    provider: &IdentityProvider,
    claims: &Claims,
    role: Role,
    now: Moment,
) -> Result<Option<PersonId>, Problem> {
    let email = claims.email(&provider.domains()).ok_or_else(|| {
        refused("the identity provider names no verified e-mail address of a domain that it speaks for")
    })?;
    lock::exclusive(conn, lock::Key::named(&format!("person {email}")))?;
    let person = match people::person_by_email(conn, &email)? {
        None => {
            let person = made(conn, provider, claims, email, now)?;
            join(conn, provider, &person, role, now)?;
            person.id
        }
        Some(known) => {
            let id = known.id;
            lock::exclusive(conn, lock::Key::of(id))?;
            // Nobody chooses a password for it from here on.
            let known = people::person(conn, id)?.ok_or_else(Problem::lost_race)?;
            if !may_be(conn, (provider, claims), known, role, now)? {
                return Ok(None);
            }
            id
        }
    };
    let identity = ExternalIdentity {
        tenant_id: provider.tenant_id,
        provider_id: provider.id,
        subject: claims.sub.clone(),
        person_id: person,
        created_at: now,
    };
    store::link(conn, &identity)?;
    Ok(Some(person))
}

/// Whether the person who has the address already may be the one: a member of the tenant, or somebody whom nobody has
/// ever been, who joins. `false` of a member who is kept out.
fn may_be(
    conn: &mut Connection,
    (provider, claims): (&IdentityProvider, &Claims),
    person: Person,
    role: Role,
    now: Moment,
) -> Result<bool, Problem> {
    match people::membership(conn, provider.tenant_id, person.id)? {
        Some(member) if person.disabled || member.disabled => Ok(false),
        Some(member) if member.accepted => vouch(conn, provider, member, now).map(|()| true),
        here if is_unclaimed(conn, &person)? => {
            // What somebody called it may be known to another tenant only.
            let named = Person {
                name: claims.name().unwrap_or_else(|| person.email.clone()),
                updated_at: now,
                ..person
            };
            people::save_person(conn, &named)?;
            match here {
                Some(invited) => vouch(conn, provider, invited, now)?,
                None => join(conn, provider, &named, role, now)?,
            }
            Ok(true)
        }
        _ => Err(refused(
            "there is an account with this e-mail address that is not one of this tenant",
        )),
    }
}

/// Whether nobody has ever been this person: an address that was mentioned, or invited, and by whichever tenant. An
/// invitation elsewhere is not to keep anybody out here.
fn is_unclaimed(conn: &mut Connection, person: &Person) -> Result<bool, Problem> {
    if person.password_hash.is_some() || person.disabled {
        return Ok(false);
    }
    let id = person.id;
    widely(conn, |conn| Ok(!store::is_taken(conn, id)?))
}

fn refused(detail: &str) -> Problem {
    Problem::new(Code::SsoRefused, detail)
}

/// A person with the language and zone of the tenant.
fn made(
    conn: &mut Connection,
    provider: &IdentityProvider,
    claims: &Claims,
    email: String,
    now: Moment,
) -> Result<Person, Problem> {
    let tenant = people::tenant(conn, provider.tenant_id)?.ok_or_else(|| Problem::not_found("tenant"))?;
    let name = claims.name().unwrap_or_else(|| email.clone());
    let person = Person::new(email, &name, (&tenant.locale, &tenant.time_zone), now);
    people::create_person(conn, &person)?;
    Ok(person)
}

fn join(
    conn: &mut Connection,
    provider: &IdentityProvider,
    person: &Person,
    role: Role,
    now: Moment,
) -> Result<(), Problem> {
    let mut membership = Membership::new(provider.tenant_id, person.id, role, now);
    membership.federated = true;
    membership.by_password = false;
    people::create_membership(conn, &membership)?;
    let data = json!({
        "to": {"email": person.email, "role": role}, "by": "sso", "identity_provider_id": provider.id,
    });
    note(conn, provider, (EventKind::UserCreated, person.id), data, now)
}

/// A member who was invited or has a password signs in with the provider from now on, too.
fn vouch(
    conn: &mut Connection,
    provider: &IdentityProvider,
    member: Membership,
    now: Moment,
) -> Result<(), Problem> {
    if member.federated {
        return Ok(());
    }
    let loaded = member.version;
    let vouched = Membership {
        accepted: true,
        federated: true,
        // Who had not agreed yet has no password that was meant for here.
        by_password: member.accepted && member.by_password,
        invited_as: None,
        version: loaded.saturating_add(1),
        updated_at: now,
        ..member
    };
    people::save_membership(conn, &vouched, loaded)?;
    let data = json!({
        "from": {"federated": false}, "to": {"federated": true}, "by": "sso", "identity_provider_id": provider.id,
    });
    note(
        conn,
        provider,
        (EventKind::UserChanged, vouched.person_id),
        data,
        now,
    )
}

/// The role is what the provider says it is, at each sign-in.
fn follow(
    conn: &mut Connection,
    provider: &IdentityProvider,
    before: Membership,
    role: Role,
    now: Moment,
) -> Result<Membership, Problem> {
    if before.role == Role::Operator {
        actions::user::spare_last_operator(conn, before.person_id)?;
    }
    let after = Membership {
        role,
        version: before.version.saturating_add(1),
        updated_at: now,
        ..before.clone()
    };
    people::save_membership(conn, &after, before.version)?;
    let data = json!({
        "from": {"role": before.role}, "to": {"role": role}, "by": "sso", "identity_provider_id": provider.id,
    });
    let what = (EventKind::UserChanged, after.person_id);
    let readers = after.readers_since(&before);
    tell(conn, provider, what, (data, readers), now)?;
    Ok(after)
}

fn note(
    conn: &mut Connection,
    provider: &IdentityProvider,
    what: (EventKind, PersonId),
    data: Value,
    now: Moment,
) -> Result<(), Problem> {
    tell(conn, provider, what, (data, &[]), now)
}

fn tell(
    conn: &mut Connection,
    provider: &IdentityProvider,
    (kind, person): (EventKind, PersonId),
    (data, readers): (Value, &[Reader]),
    now: Moment,
) -> Result<(), Problem> {
    lock::exclusive(conn, lock::Key::of(person))?;
    let subject = (SubjectKind::Person, person);
    let event = Event::next(kind, subject, provider.tenant_id, (&Actor::system(), now), data);
    journal::append(conn, event, readers)
}
