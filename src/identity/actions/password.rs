//! The verbs of passwords: ask for a new one, set it, change it.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::db::{Connection, Moment, PersonId, TenantId, lock, widely};
use crate::identity::attempts;
use crate::identity::keys::Secret;
use crate::identity::mailed::{self, MailedKind};
use crate::identity::model::{Membership, Person, side_of};
use crate::identity::{mailed::MailedToken, second_factor, session, store};
use crate::journal::{self, Actor, Event, EventKind, Reader, SubjectKind};
use crate::problem::{Code, Problem};

/// Has a mail sent to whoever forgot a password; nothing happens where there is no such account.
pub fn ask_reset(
    conn: &mut Connection,
    email: &str,
    from: IpAddr,
    seal: &Secret,
    now: Moment,
) -> Result<(), Problem> {
    let person = store::person_by_email(conn, email)?.filter(|person| !person.disabled);
    let Some(person) = person.filter(|person| person.password_hash.is_some()) else {
        return Ok(());
    };
    let memberships = store::memberships_by_password(conn, person.id)?;
    let Some(membership) = memberships.into_iter().next() else {
        return Ok(());
    };
    lock::exclusive(conn, lock::Key::of(person.id))?;
    let whose = (membership.tenant_id, person.id);
    let Some(token) = mailed::issue(conn, MailedKind::PasswordReset, whose, seal, now)? else {
        return Ok(());
    };
    // Whoever knows the address can ask.
    let actor = Actor::unproven(side_of(membership.tenant_id), from);
    let data = json!({"internal": {"token_id": token}});
    note(conn, EventKind::PasswordResetAsked, whose, &actor, data, now)
}

/// Whether a token can be used, before the password is hashed for it.
pub fn is_good(conn: &mut Connection, token: &str, now: Moment) -> Result<bool, Problem> {
    Ok(mailed::find(conn, token, now)?.is_some())
}

/// Sets the password of whoever has the token, and ends what began with the old one.
pub fn set(conn: &mut Connection, token: &str, hash: &str, from: IpAddr, now: Moment) -> Result<(), Problem> {
    let MailedToken {
        tenant_id,
        person_id,
        kind,
        ..
    } = mailed::take(conn, token, now)?.ok_or_else(token_is_bad)?;
    lock::exclusive(conn, lock::Key::of(person_id))?;
    let person = store::person(conn, person_id)?.ok_or_else(token_is_bad)?;
    let membership = store::membership(conn, tenant_id, person_id)?.ok_or_else(token_is_bad)?;
    if kind == MailedKind::Invitation {
        if person.has_account() {
            return Err(token_is_bad());
        }
        agree(conn, membership.clone(), now)?;
    }
    let standing = store::standing(conn, person_id, tenant_id, None)?;
    standing.ok_or_else(token_is_bad)?;
    if !person.confirmed {
        // Whoever was given the password before may have been somebody else.
        second_factor::remove(conn, person_id)?;
        let said = membership.known(&person);
        let confirmed = Person {
            confirmed: true,
            name: said.name,
            locale: said.locale,
            time_zone: said.time_zone,
            ..person
        };
        store::save_person(conn, &confirmed)?;
    }
    replace(conn, (tenant_id, person_id), hash, from, now)
}

/// Makes a member of whoever has the token of an invitation and an account already.
pub fn accept(conn: &mut Connection, token: &str, from: IpAddr, now: Moment) -> Result<(), Problem> {
    let taken = mailed::take(conn, token, now)?.filter(|token| token.kind == MailedKind::Invitation);
    let MailedToken {
        tenant_id, person_id, ..
    } = taken.ok_or_else(token_is_bad)?;
    lock::exclusive(conn, lock::Key::of(person_id))?;
    let person = store::person(conn, person_id)?.ok_or_else(token_is_bad)?;
    // Who has no account yet accepts by choosing a password.
    if !person.has_account() {
        return Err(token_is_bad());
    }
    let membership = store::membership(conn, tenant_id, person_id)?.ok_or_else(token_is_bad)?;
    agree(conn, membership, now)?;
    let (whose, actor) = ((tenant_id, person_id), owner(&person, tenant_id, from));
    note(conn, EventKind::InvitationAccepted, whose, &actor, json!({}), now)
}

/// Whoever was asked belongs to the tenant from now on.
fn agree(conn: &mut Connection, before: Membership, now: Moment) -> Result<(), Problem> {
    let loaded = before.version;
    let accepted = Membership {
        accepted: true,
        by_password: true,
        invited_as: None,
        version: loaded.saturating_add(1),
        updated_at: now,
        ..before
    };
    store::save_membership(conn, &accepted, loaded)
}

/// The answer to a token that cannot be used.
pub fn token_is_bad() -> Problem {
    Problem::new(
        Code::TokenInvalid,
        "the link was used, has expired or is none: ask for a new one",
    )
}

/// Replaces a password; sessions end everywhere, whatever else was mailed is void, and the owner is told.
pub fn replace(
    conn: &mut Connection,
    (tenant, person): (TenantId, PersonId),
    hash: &str,
    from: IpAddr,
    now: Moment,
) -> Result<(), Problem> {
    lock::exclusive(conn, lock::Key::of(person))?;
    let mut row = store::person(conn, person)?.ok_or_else(|| Problem::not_found("user"))?;
    attempts::pardon(conn, &row.email)?;
    row.password_hash = Some(hash.to_owned());
    row.updated_at = now;
    store::save_person(conn, &row)?;
    // A password is one person's, whose sessions may be at tenants that this call does not see.
    widely(conn, |conn| {
        let users = store::users_of(conn, person, None)?;
        let tenants: Vec<TenantId> = users.iter().map(|user| user.1.tenant_id).collect();
        session::store::end_all(conn, person, &tenants, now)?;
        mailed::revoke(conn, person, &tenants)
    })?;
    let actor = owner(&row, tenant, from);
    note(
        conn,
        EventKind::PasswordChanged,
        (tenant, person),
        &actor,
        json!({}),
        now,
    )
}

/// Somebody who has proved to be this person.
fn owner(person: &Person, tenant: TenantId, from: IpAddr) -> Actor {
    Actor {
        side: side_of(tenant),
        id: Some(person.id),
        name: person.name.clone(),
        address: Some(from),
    }
}

fn note(
    conn: &mut Connection,
    kind: EventKind,
    (tenant, person): (TenantId, PersonId),
    actor: &Actor,
    data: Value,
    now: Moment,
) -> Result<(), Problem> {
    let subject = (SubjectKind::Person, person);
    let event = Event::next(kind, subject, tenant, (actor, now), data);
    journal::append(conn, event, &[Reader::Notify])
}
