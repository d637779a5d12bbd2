//! The verbs of API keys: create, revoke.

use garde::Validate;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{ApiKey, ApiKeyView, PREFIX, store};
use crate::db::{ApiKeyId, Connection, Id, Json, Moment, PROVIDER, TenantId};
use crate::identity::model::{Membership, Person, Role};
use crate::identity::opaque::Opaque;
use crate::identity::scopes::Grantable;
use crate::identity::{Caller, Right};
use crate::journal::{self, Event, EventKind, SubjectKind};
use crate::problem::Problem;
use crate::text;

/// A new key.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// What it is for.
    #[garde(custom(text::line::<200>))]
    pub name: String,
    /// Its role.
    #[garde(skip)]
    pub role: Role,
    /// What it is limited to.
    #[garde(length(min = 1, max = 50))]
    pub scopes: Vec<Grantable>,
    /// The tenant, for the roles of a tenant; not from a tenant's own administrator.
    #[serde(default)]
    #[garde(skip)]
    pub tenant_id: Option<TenantId>,
    /// Until when it can be used; without it until it is revoked.
    #[serde(default)]
    #[garde(skip)]
    pub expires_at: Option<Moment>,
}

/// Makes a key: its text, which is shown once, and what is kept.
pub fn create(
    conn: &mut Connection,
    caller: &Caller,
    form: &NewApiKey,
) -> Result<(String, ApiKeyView), Problem> {
    caller.require(Right::ManageApiKeys)?;
    let tenant_id = crate::identity::actions::user::tenant_for(conn, caller, form.tenant_id, form.role)?;
    let now = caller.now();
    if form.expires_at.is_some_and(|until| until <= now) {
        return Err(Problem::invalid("/expires_at", "must be in the future"));
    }
    let id: ApiKeyId = Id::at(now);
    let secret = Opaque::random(tenant_id, id);
    let text = secret.text(PREFIX);
    let mut scopes: Vec<Grantable> = form.scopes.clone();
    scopes.sort_unstable_by_key(|scope| scope.as_str());
    scopes.dedup();
    let key = ApiKey {
        tenant_id,
        id,
        name: form.name.trim().to_owned(),
        digest: secret.digest(),
        hint: text
            .chars()
            .skip(text.chars().count().saturating_sub(4))
            .collect(),
        scopes: Json::of(&scopes),
        created_by: caller.person(),
        created_at: now,
        expires_at: form.expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    act_as(conn, &key, form.role, now)?;
    store::create(conn, &key)?;
    note(conn, caller, (EventKind::ApiKeyCreated, 1), &key, form.role)?;
    Ok((text, ApiKeyView::of(key, form.role)))
}

/// The person that a key acts as.
fn act_as(conn: &mut Connection, key: &ApiKey, role: Role, now: Moment) -> Result<(), Problem> {
    // Nobody's (RFC 2606 §2).
    let email = format!("{}@keys.invalid", key.id);
    let person = Person {
        id: key.id.of(),
        ..Person::new(email, &key.name, ("en", "UTC"), now)
    };
    crate::identity::store::create_person(conn, &person)?;
    let membership = Membership::new(key.tenant_id, person.id, role, now);
    crate::identity::store::create_membership(conn, &membership)
}

/// The key of this id that the caller may see.
pub fn visible(conn: &mut Connection, caller: &Caller, id: ApiKeyId) -> Result<(ApiKey, Role), Problem> {
    caller.require(Right::ManageApiKeys)?;
    let tenant = whose(caller);
    let found = store::list(conn, tenant, Some(id), None, 1)?.into_iter().next();
    found.ok_or_else(|| Problem::not_found("API key"))
}

/// Whose keys the caller sees.
pub fn whose(caller: &Caller) -> Option<TenantId> {
    caller.scope().tenant()
}

/// Revokes a key at once; a key that is revoked stays so.
pub fn revoke(conn: &mut Connection, caller: &Caller, id: ApiKeyId) -> Result<(), Problem> {
    let (key, role) = visible(conn, caller, id)?;
    if store::revoke(conn, &key, caller.now())? {
        note(conn, caller, (EventKind::ApiKeyRevoked, 2), &key, role)?;
    }
    Ok(())
}

fn note(
    conn: &mut Connection,
    caller: &Caller,
    (kind, seq): (EventKind, i32),
    key: &ApiKey,
    role: Role,
) -> Result<(), Problem> {
    let described =
        json!({"name": key.name, "role": role, "scopes": key.scopes(), "expires_at": key.expires_at});
    let data = match kind {
        EventKind::ApiKeyRevoked => json!({"from": described}),
        _ => json!({"to": described}),
    };
    let tenant = if role.is_staff() { PROVIDER } else { key.tenant_id };
    let subject = (SubjectKind::ApiKey, key.id);
    let event = Event::new(
        kind,
        subject,
        (tenant, seq),
        (&caller.actor(), caller.now()),
        data,
    );
    journal::record(conn, &event, &[])
}
