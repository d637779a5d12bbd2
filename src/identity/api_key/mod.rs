//! API keys: how programs call. A key has a role at a tenant or at the provider, and the scopes that limit it.
//!
//! It acts as a person of its own, with the same id, without password and mail: so whatever people do, it does by the
//! same rules, and the history has its name. It is asked for at every call, so revoking it is immediate.

pub mod actions;
pub mod api;
pub mod store;

use chrono::TimeDelta;
use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Known;
use super::model::Role;
use super::opaque::Opaque;
use super::scopes::Grantable;
use super::tokens::Claims;
use crate::db::schema::api_keys;
use crate::db::{ApiKeyId, ApiKeyNoun, Connection, Db, Json, Moment, PersonId, Scope, TenantId};
use crate::problem::Problem;

/// What keys begin with, so that they are recognised where they should not be.
pub const PREFIX: &str = "alk_";
/// The last use is noted this often at most.
const NOTED: TimeDelta = TimeDelta::seconds(60);

/// A key: the row is the model.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = api_keys, treat_none_as_default_value = false)]
pub struct ApiKey {
    /// Where it acts.
    pub tenant_id: TenantId,
    /// Its id, also as the person it acts as.
    pub id: ApiKeyId,
    /// What it is for.
    pub name: String,
    /// SHA-256 of its secret.
    pub digest: String,
    /// Its last letters, to tell it from others.
    pub hint: String,
    /// What it is limited to.
    pub scopes: Json,
    /// Who made it.
    pub created_by: PersonId,
    /// When.
    pub created_at: Moment,
    /// Until when it can be used.
    pub expires_at: Option<Moment>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Moment>,
    /// When it was revoked.
    pub revoked_at: Option<Moment>,
}

impl ApiKey {
    /// Whether it can be used at this time.
    pub fn is_live(&self, now: Moment) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|until| now < until)
    }

    /// What it is limited to.
    pub fn scopes(&self) -> Vec<Grantable> {
        serde_json::from_value(self.scopes.0.clone()).unwrap_or_default()
    }
}

/// A key, as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiKeyView {
    /// Its id.
    pub id: ApiKeyId,
    /// What it is for.
    pub name: String,
    /// Prefix and last letters.
    pub hint: String,
    /// Its role.
    pub role: Role,
    /// Its tenant; `null` for the provider's.
    pub tenant_id: Option<TenantId>,
    /// What it is limited to.
    pub scopes: Vec<Grantable>,
    /// Who made it.
    pub created_by: PersonId,
    /// When.
    pub created_at: Moment,
    /// Until when it can be used.
    pub expires_at: Option<Moment>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Moment>,
    /// When it was revoked.
    pub revoked_at: Option<Moment>,
}

impl ApiKeyView {
    /// A key with its role.
    pub fn of(key: ApiKey, role: Role) -> Self {
        Self {
            scopes: key.scopes(),
            id: key.id,
            name: key.name,
            hint: format!("{PREFIX}…{}", key.hint),
            role,
            tenant_id: (!role.is_staff()).then_some(key.tenant_id),
            created_by: key.created_by,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// Reads a key where a bearer token stands.
pub fn parse(token: &str) -> Option<Opaque<ApiKeyNoun>> {
    Opaque::parse(PREFIX, token)
}

/// Who calls with this key, and whether its last use is to be noted; `None` for a key that cannot be used.
pub(super) fn authenticate(
    conn: &mut Connection,
    key: &Opaque<ApiKeyNoun>,
    now: Moment,
) -> Result<Option<(Known, bool)>, Problem> {
    let Some(row) = store::find(conn, key.tenant, key.id)? else {
        return Ok(None);
    };
    if !key.fits(&row.digest) || !row.is_live(now) {
        return Ok(None);
    }
    let sub: PersonId = row.id.of();
    let Some((role, name)) = super::store::standing(conn, sub, row.tenant_id, None)? else {
        return Ok(None);
    };
    let stale = row.last_used_at.is_none_or(|used| now.since(used) >= NOTED);
    let claims = Claims::of_key(sub, row.tenant_id, role);
    let scopes = Some(row.scopes());
    Ok(Some((Known { claims, name, scopes }, stale)))
}

/// Notes the last use, behind the call.
pub fn note_use(db: &Db, (tenant, id): (TenantId, ApiKeyId), now: Moment) {
    let db = db.clone();
    tokio::spawn(async move {
        let touched = db.write(Scope::of_tenant(tenant), move |conn| {
            store::touch(conn, tenant, id, now)
        });
        if let Err(error) = touched.await {
            tracing::warn!(%error, key = %id, "the use of a key was not noted");
        }
    });
}
