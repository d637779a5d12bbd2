//! The verbs of users: create, invite, change.

use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{language, zone};
use crate::db::{Connection, Json, Moment, PROVIDER, PersonId, TenantId, lock, widely};
use crate::identity::keys::Secret;
use crate::identity::mailed::{self, MailedKind};
use crate::identity::model::{InvitedAs, Membership, Person, Role, UserView};
use crate::identity::{Caller, Right, second_factor, session, store};
use crate::journal::{self, Event, EventKind, Reader, SubjectKind};
use crate::problem::{Code, Problem};
use crate::text;

/// A new user.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The address, which signs in.
    #[garde(custom(text::email))]
    pub email: String,
    /// The name.
    #[garde(custom(text::line::<200>))]
    pub name: String,
    /// The role.
    #[garde(skip)]
    pub role: Role,
    /// The tenant, for the roles of a tenant; not from a tenant's own administrator.
    #[serde(default)]
    #[garde(skip)]
    pub tenant_id: Option<TenantId>,
    /// The password, 12 to 200 characters; without one the user gets an invitation by mail.
    #[serde(default)]
    #[garde(inner(length(chars, min = 12, max = 200), custom(text::line::<200>)))]
    pub password: Option<String>,
    /// The language.
    #[serde(default = "language")]
    #[garde(custom(text::locale))]
    pub locale: String,
    /// The IANA time zone.
    #[serde(default = "zone")]
    #[garde(custom(text::time_zone))]
    pub time_zone: String,
}

/// What changes of a user; what is left out stays.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// The name.
    #[serde(default)]
    #[garde(inner(custom(text::line::<200>)))]
    pub name: Option<String>,
    /// The role: of the same side, staff or tenant.
    #[serde(default)]
    #[garde(skip)]
    pub role: Option<Role>,
    /// Whether the user is kept out.
    #[serde(default)]
    #[garde(skip)]
    pub disabled: Option<bool>,
    /// The language.
    #[serde(default)]
    #[garde(inner(custom(text::locale)))]
    pub locale: Option<String>,
    /// The IANA time zone.
    #[serde(default)]
    #[garde(inner(custom(text::time_zone)))]
    pub time_zone: Option<String>,
}

/// Creates a user; the hash of the password, if one is given, is computed before the transaction.
///
/// Somebody who is known at another tenant keeps the name and password that there are, and, unless an operator asks, has to
/// agree: nobody learns from the answer who is whose customer. A mere contact is nobody's yet, and becomes this user.
pub fn create_user(
    conn: &mut Connection,
    caller: &Caller,
    form: &NewUser,
    (password_hash, seal): (Option<&str>, &Secret),
) -> Result<UserView, Problem> {
    caller.require(Right::ManageUsers)?;
    let tenant_id = tenant_for(conn, caller, form.tenant_id, form.role)?;
    not_for_keys(caller, Some(form.role), form.password.is_some())?;
    let email = text::email_address(&form.email).unwrap_or_default();
    let now = caller.now();
    lock::exclusive(conn, lock::Key::named(&format!("person {email}")))?;
    let (person, is_own) = match store::person_by_email(conn, &email)? {
        Some(known) if !is_mere_contact(conn, &known)? => (known, false),
        known => (own_user(conn, caller, form, (email, known), password_hash)?, true),
    };
    if store::membership(conn, tenant_id, person.id)?.is_some() {
        let email = person.email;
        return Err(Problem::new(
            Code::AlreadyExists,
            format!("there is a user with the address {email}"),
        ));
    }
    let mut membership = Membership::new(tenant_id, person.id, form.role, now);
    // Whoever has a password for an account that is not confirmed may not be who reads the mail of its address.
    let is_trusted = person.confirmed || is_own;
    membership.accepted = person.password_hash.is_some() && is_trusted && (is_own || caller.is_staff());
    if !membership.accepted {
        membership.invited_as = Some(Json::of(&InvitedAs {
            name: form.name.trim().to_owned(),
            locale: form.locale.clone(),
            time_zone: form.time_zone.clone(),
        }));
    }
    store::create_membership(conn, &membership)?;
    let view = UserView::of(person, &membership);
    // As the answer has it: of somebody who has not agreed yet no more than the address.
    let data = json!({"to": {"email": view.email, "name": view.name, "role": view.role}});
    note(conn, caller, (EventKind::UserCreated, &membership), data, &[])?;
    if view.status == "invited" {
        invite_member(conn, caller, &membership, seal)?;
    }
    Ok(view)
}

/// A key that looks after users cannot make itself a person that may more than it: it gives no password, and neither of
/// the roles that make keys.
fn not_for_keys(caller: &Caller, role: Option<Role>, has_password: bool) -> Result<(), Problem> {
    let rules = [
        ("/password", has_password),
        ("/role", matches!(role, Some(Role::Operator | Role::TenantAdmin))),
    ];
    match rules.into_iter().find(|(_, breaks)| caller.is_key() && *breaks) {
        Some((pointer, _)) => Err(Problem::invalid(pointer, "is for people to give, not for keys")),
        None => Ok(()),
    }
}

/// Whether a person is no more than an address that somebody mentioned: no password, and a member nowhere. A key is a
/// member where it acts.
pub fn is_mere_contact(conn: &mut Connection, person: &Person) -> Result<bool, Problem> {
    if person.password_hash.is_some() || person.disabled {
        return Ok(false);
    }
    let id = person.id;
    widely(conn, |conn| Ok(!store::is_member(conn, id)?))
}

/// Somebody new, or a contact that becomes this user: what somebody called it may be known to another tenant only.
fn own_user(
    conn: &mut Connection,
    caller: &Caller,
    form: &NewUser,
    (email, contact): (String, Option<Person>),
    password_hash: Option<&str>,
) -> Result<Person, Problem> {
    let made = Person::new(email, &form.name, (&form.locale, &form.time_zone), caller.now());
    let person = Person {
        password_hash: password_hash.map(str::to_owned),
        // Whom a tenant's administrator gives a password may be somebody else.
        confirmed: password_hash.is_some() && caller.is_staff(),
        ..made
    };
    let Some(contact) = contact else {
        store::create_person(conn, &person)?;
        return Ok(person);
    };
    let adopted = Person {
        id: contact.id,
        created_at: contact.created_at,
        ..person
    };
    store::save_person(conn, &adopted)?;
    Ok(adopted)
}

/// Sends an invitation (again) to a user who has not accepted yet.
pub fn invite(
    conn: &mut Connection,
    caller: &Caller,
    (tenant, id): (Option<TenantId>, PersonId),
    seal: &Secret,
) -> Result<(), Problem> {
    caller.require(Right::ManageUsers)?;
    let (person, membership) = user(conn, caller, tenant, id)?;
    let standing = UserView::standing(&person, &membership);
    if standing != "invited" {
        return Err(Problem::new(
            Code::Conflict,
            format!("the user is {standing}, not invited"),
        ));
    }
    invite_member(conn, caller, &membership, seal)
}

fn invite_member(
    conn: &mut Connection,
    caller: &Caller,
    membership: &Membership,
    seal: &Secret,
) -> Result<(), Problem> {
    let whose = (membership.tenant_id, membership.person_id);
    match mailed::issue(conn, MailedKind::Invitation, whose, seal, caller.now())? {
        // The one that was just sent will do.
        None => Ok(()),
        Some(token) => {
            let data = json!({"internal": {"token_id": token}});
            note(
                conn,
                caller,
                (EventKind::UserInvited, membership),
                data,
                &[Reader::Notify],
            )
        }
    }
}

/// The user of this id that the caller may see: of its tenant, or for staff of the tenant that is named, or of the
/// only one.
pub fn user(
    conn: &mut Connection,
    caller: &Caller,
    tenant: Option<TenantId>,
    id: PersonId,
) -> Result<(Person, Membership), Problem> {
    let tenant = match caller.scope().tenant() {
        Some(own) if tenant.is_none_or(|named| named == own) => Some(own),
        Some(_) => return Err(Problem::not_found("user")),
        None => tenant,
    };
    let mut found = store::users_of(conn, id, tenant)?;
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(Problem::not_found("user")),
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            let tenants: Vec<TenantId> = found.iter().chain([&last]).map(|row| row.1.tenant_id).collect();
            Err(
                Problem::new(Code::TenantAmbiguous, "name the tenant with ?tenant_id=")
                    .with("tenants", tenants),
            )
        }
    }
}

/// Changes a user: what belongs to the membership, and of somebody who belongs nowhere else the rest too.
pub fn change_user(
    conn: &mut Connection,
    caller: &Caller,
    (tenant, id): (Option<TenantId>, PersonId),
    form: &UserChange,
) -> Result<UserView, Problem> {
    caller.require(Right::ManageUsers)?;
    lock::exclusive(conn, lock::Key::of(id))?;
    let (person, before) = user(conn, caller, tenant, id)?;
    caller
        .if_match
        .require(before.version, UserView::standing(&person, &before))?;
    let now = caller.now();
    let mut membership = before.clone();
    membership.role = form.role.unwrap_or(before.role);
    membership.disabled = form.disabled.unwrap_or(before.disabled);
    membership.version = before.version.saturating_add(1);
    membership.updated_at = now;
    allowed(conn, caller, &before, &membership)?;
    not_for_keys(caller, form.role, false)?;
    let InvitedAs {
        name,
        locale,
        time_zone,
    } = before.known(&person);
    let said = InvitedAs {
        name: form.name.as_deref().map_or(name, |name| name.trim().to_owned()),
        locale: form.locale.clone().unwrap_or(locale),
        time_zone: form.time_zone.clone().unwrap_or(time_zone),
    };
    let mut changed = person.clone();
    if before.accepted {
        changed.name = said.name;
        changed.locale = said.locale;
        changed.time_zone = said.time_zone;
    } else {
        membership.invited_as = Some(Json::of(&said));
    }
    if described(&changed) != described(&person) {
        if !caller.is_staff() && belongs_to_others(conn, id, before.tenant_id)? {
            return Err(Problem::new(
                Code::Conflict,
                "the user belongs to others too: name, language and time zone are for the user to change",
            ));
        }
        changed.updated_at = now;
        store::save_person(conn, &changed)?;
    }
    store::save_membership(conn, &membership, before.version)?;
    if membership.disabled && !before.disabled {
        session::store::end_all(conn, id, &[membership.tenant_id], now)?;
        mailed::revoke(conn, id, &[membership.tenant_id])?;
    }
    let data = journal::changes(whole(person, &before), whole(changed.clone(), &membership));
    let readers = membership.readers_since(&before);
    note(conn, caller, (EventKind::UserChanged, &membership), data, readers)?;
    Ok(UserView::of(changed, &membership))
}

/// What nobody may do to a user: move it across the wall, lock oneself out, leave the installation without operator.
fn allowed(
    conn: &mut Connection,
    caller: &Caller,
    before: &Membership,
    after: &Membership,
) -> Result<(), Problem> {
    if before.role.is_staff() != after.role.is_staff() {
        return Err(Problem::invalid(
            "/role",
            "must stay on its side: staff or tenant",
        ));
    }
    let less = after.disabled || after.role != before.role;
    if less && before.person_id == caller.person() {
        return Err(Problem::new(
            Code::Conflict,
            "somebody else has to take your own rights away",
        ));
    }
    if less && before.role == Role::Operator {
        spare_last_operator(conn, before.person_id)?;
    }
    Ok(())
}

/// 409 where no other operator could sign in with a password: an identity provider may be away, or set up wrongly.
pub fn spare_last_operator(conn: &mut Connection, person: PersonId) -> Result<(), Problem> {
    lock::exclusive(conn, lock::Key::named("operators"))?;
    if store::other_operators(conn, person)? == 0 {
        return Err(Problem::new(Code::Conflict, "this is the last operator"));
    }
    Ok(())
}

/// Whether somebody belongs to other tenants than this one, which does not see it by itself. Who was only asked does not.
pub fn belongs_to_others(conn: &mut Connection, person: PersonId, here: TenantId) -> Result<bool, Problem> {
    let users = widely(conn, |conn| store::users_of(conn, person, None))?;
    Ok(users
        .iter()
        .any(|(_, membership)| membership.accepted && membership.tenant_id != here))
}

/// What the history says of a person.
pub fn described(person: &Person) -> Value {
    json!({"name": person.name, "locale": person.locale, "time_zone": person.time_zone})
}

fn whole(person: Person, membership: &Membership) -> Value {
    let view = UserView::of(person, membership);
    json!({
        "name": view.name, "locale": view.locale, "time_zone": view.time_zone,
        "role": membership.role, "disabled": membership.disabled,
    })
}

/// Takes away the second factor of a user who has lost it.
pub fn remove_second_factor(
    conn: &mut Connection,
    caller: &Caller,
    (tenant, id): (Option<TenantId>, PersonId),
) -> Result<(), Problem> {
    caller.require(Right::RemoveSecondFactors)?;
    caller.require_own_sign_in()?;
    let (_, membership) = user(conn, caller, tenant, id)?;
    if id == caller.person() {
        let detail = "one's own second factor goes with a code of it: DELETE /v1/me/second-factor";
        return Err(Problem::new(Code::Conflict, detail));
    }
    if !caller.is_staff() && belongs_to_others(conn, id, membership.tenant_id)? {
        return Err(Problem::new(
            Code::Conflict,
            "the user belongs to others too: ask the provider",
        ));
    }
    if !second_factor::remove(conn, id)? {
        return Err(Problem::not_found("second factor"));
    }
    session::store::end_all(conn, id, &[membership.tenant_id], caller.now())?;
    note(
        conn,
        caller,
        (EventKind::SecondFactorRemoved, &membership),
        json!({}),
        &[Reader::Notify],
    )
}

fn note(
    conn: &mut Connection,
    caller: &Caller,
    (kind, membership): (EventKind, &Membership),
    data: Value,
    readers: &[Reader],
) -> Result<(), Problem> {
    let (tenant, person) = (membership.tenant_id, membership.person_id);
    lock::exclusive(conn, lock::Key::of(person))?;
    let subject = (SubjectKind::Person, person);
    let event = Event::next(kind, subject, tenant, (&caller.actor(), caller.now()), data);
    journal::append(conn, event, readers)
}

/// The tenant of a new user or key; a tenant's administrator makes those of its own tenant only.
pub fn tenant_for(
    conn: &mut Connection,
    caller: &Caller,
    named: Option<TenantId>,
    role: Role,
) -> Result<TenantId, Problem> {
    match (caller.scope().tenant(), named, role.is_staff()) {
        (Some(_), Some(_), _) => Err(Problem::invalid(
            "/tenant_id",
            "is not for you to name: it is your own",
        )),
        (Some(_), None, true) => Err(Problem::invalid("/role", "must be tenant_admin or tenant_viewer")),
        (Some(own), None, false) => Ok(own),
        (None, None, true) => Ok(PROVIDER),
        (None, Some(_), true) => Err(Problem::invalid(
            "/tenant_id",
            "is only for tenant_admin and tenant_viewer",
        )),
        (None, None, false) => Err(Problem::invalid("/tenant_id", "is needed for this role")),
        (None, Some(tenant), false) => match store::tenant(conn, tenant)? {
            Some(found) if found.id != PROVIDER => Ok(found.id),
            _ => Err(Problem::invalid("/tenant_id", "there is no such tenant")),
        },
    }
}

/// The person with this address, made as a contact (who gets mail and cannot sign in) if there is none.
pub fn find_or_create_contact(
    conn: &mut Connection,
    (email, name): (&str, &str),
    (locale, time_zone): (&str, &str),
    now: Moment,
) -> Result<Person, Problem> {
    lock::exclusive(conn, lock::Key::named(&format!("person {email}")))?;
    if let Some(person) = store::person_by_email(conn, email)? {
        return Ok(person);
    }
    let person = Person::new(email.to_owned(), name, (locale, time_zone), now);
    store::create_person(conn, &person)?;
    Ok(person)
}
