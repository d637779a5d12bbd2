//! The verbs of passwords: ask for a new one, set it, change it.

use serde_json::{Value, json};

use crate::db::{Connection, Moment, PersonId, TenantId, lock, widely};
use crate::identity::attempts;
use crate::identity::keys::Secret;
use crate::identity::mailed::{self, MailedKind};
use crate::identity::model::Person;
use crate::identity::{mailed::MailedToken, session, store};
use crate::journal::{self, Actor, Event, EventKind, Reader, Side, SubjectKind};
use crate::problem::{Code, Problem};

/// Has a mail sent to whoever forgot a password; nothing happens where there is no such account.
pub fn ask_reset(conn: &mut Connection, email: &str, seal: &Secret, now: Moment) -> Result<(), Problem> {
    let person = store::person_by_email(conn, email)?.filter(|person| !person.disabled);
    let Some(person) = person.filter(|person| person.password_hash.is_some()) else {
        return Ok(());
    };
    let Some(membership) = store::memberships_of(conn, person.id)?.into_iter().next() else {
        return Ok(());
    };
    lock::exclusive(conn, lock::Key::of(person.id))?;
    let whose = (membership.tenant_id, person.id);
    let Some(token) = mailed::issue(conn, MailedKind::PasswordReset, whose, seal, now)? else {
        return Ok(());
    };
    let data = json!({"internal": {"token_id": token}});
    note(
        conn,
        (EventKind::PasswordResetAsked, &person),
        membership.tenant_id,
        data,
        now,
    )
}

/// Whether a token can be used, before the password is hashed for it.
pub fn is_good(conn: &mut Connection, token: &str, now: Moment) -> Result<bool, Problem> {
    Ok(mailed::find(conn, token, now)?.is_some())
}

/// Sets the password of whoever has the token, and ends what began with the old one.
pub fn set(conn: &mut Connection, token: &str, hash: &str, now: Moment) -> Result<(), Problem> {
    let MailedToken {
        tenant_id,
        person_id,
        kind,
        ..
    } = mailed::take(conn, token, now)?.ok_or_else(token_is_bad)?;
    let standing = store::standing(conn, person_id, tenant_id, None)?;
    standing.ok_or_else(token_is_bad)?;
    let has_one = store::person(conn, person_id)?.is_some_and(|person| person.password_hash.is_some());
    if kind == MailedKind::Invitation && has_one {
        return Err(token_is_bad());
    }
    replace(conn, (tenant_id, person_id), hash, now)
}

/// Makes a member of whoever has the token of an invitation and an account already.
pub fn accept(conn: &mut Connection, token: &str, now: Moment) -> Result<(), Problem> {
    let taken = mailed::take(conn, token, now)?.filter(|token| token.kind == MailedKind::Invitation);
    let MailedToken {
        tenant_id, person_id, ..
    } = taken.ok_or_else(token_is_bad)?;
    lock::exclusive(conn, lock::Key::of(person_id))?;
    let membership = store::membership(conn, tenant_id, person_id)?.ok_or_else(token_is_bad)?;
    let person = store::person(conn, person_id)?.ok_or_else(token_is_bad)?;
    // Who has no account yet accepts by choosing a password.
    if person.password_hash.is_none() {
        return Err(token_is_bad());
    }
    let mut accepted = membership.clone();
    accepted.accepted = true;
    accepted.version = membership.version.saturating_add(1);
    accepted.updated_at = now;
    store::save_membership(conn, &accepted, membership.version)?;
    note(
        conn,
        (EventKind::InvitationAccepted, &person),
        tenant_id,
        json!({}),
        now,
    )
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
    note(conn, (EventKind::PasswordChanged, &row), tenant, json!({}), now)
}

fn note(
    conn: &mut Connection,
    (kind, person): (EventKind, &Person),
    tenant: TenantId,
    data: Value,
    now: Moment,
) -> Result<(), Problem> {
    let staff = tenant == crate::db::PROVIDER;
    let actor = Actor {
        side: if staff { Side::Staff } else { Side::Tenant },
        id: Some(person.id),
        name: person.name.clone(),
    };
    let seq = journal::next_seq(conn, tenant, person.id)?;
    let subject = (SubjectKind::Person, person.id);
    let event = Event::new(kind, subject, (tenant, seq), (&actor, now), data);
    journal::record(conn, &event, &[Reader::Notify])
}
