//! Queries over API keys.

use diesel::prelude::*;

use super::ApiKey;
use crate::db::schema::{api_keys, memberships};
use crate::db::{ApiKeyId, Connection, Moment, TenantId, on_each};
use crate::identity::model::Role;
use crate::problem::Problem;

/// One key.
pub fn find(conn: &mut Connection, tenant: TenantId, id: ApiKeyId) -> Result<Option<ApiKey>, Problem> {
    let found = on_each!(conn, conn => api_keys::table
        .find((tenant, id))
        .select(ApiKey::as_select())
        .first(conn));
    Ok(found.optional()?)
}

/// Whether the key of this id is the tenant's.
pub fn is_of(conn: &mut Connection, tenant: TenantId, id: &str) -> Result<bool, Problem> {
    match id.parse() {
        Ok(id) => Ok(find(conn, tenant, id)?.is_some()),
        Err(_) => Ok(false),
    }
}

/// Whether a key can be used, asked in the transaction of a write.
pub fn is_live(conn: &mut Connection, tenant: TenantId, id: ApiKeyId, now: Moment) -> Result<bool, Problem> {
    Ok(find(conn, tenant, id)?.is_some_and(|key| key.is_live(now)))
}

/// Keys with their roles after `after`, of one tenant or of all.
pub fn list(
    conn: &mut Connection,
    tenant: Option<TenantId>,
    id: Option<ApiKeyId>,
    after: Option<ApiKeyId>,
    limit: i64,
) -> Result<Vec<(ApiKey, Role)>, Problem> {
    let member = memberships::tenant_id
        .eq(api_keys::tenant_id)
        .and(memberships::person_id.eq(api_keys::id));
    let mut query = api_keys::table
        .inner_join(memberships::table.on(member))
        .order(api_keys::id)
        .limit(limit)
        .select((ApiKey::as_select(), memberships::role))
        .into_boxed();
    if let Some(tenant) = tenant {
        query = query.filter(api_keys::tenant_id.eq(tenant));
    }
    if let Some(id) = id {
        query = query.filter(api_keys::id.eq(id));
    }
    if let Some(after) = after {
        query = query.filter(api_keys::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// Adds a key.
pub fn create(conn: &mut Connection, key: &ApiKey) -> Result<(), Problem> {
    diesel::insert_into(api_keys::table).values(key).execute(conn)?;
    Ok(())
}

/// Revokes a key; `false` when it was revoked already.
pub fn revoke(conn: &mut Connection, key: &ApiKey, now: Moment) -> Result<bool, Problem> {
    let row = api_keys::table
        .find((key.tenant_id, key.id))
        .filter(api_keys::revoked_at.is_null());
    Ok(diesel::update(row)
        .set(api_keys::revoked_at.eq(Some(now)))
        .execute(conn)?
        == 1)
}

/// Notes the last use.
pub fn touch(conn: &mut Connection, tenant: TenantId, id: ApiKeyId, now: Moment) -> Result<(), Problem> {
    diesel::update(api_keys::table.find((tenant, id)))
        .set(api_keys::last_used_at.eq(Some(now)))
        .execute(conn)?;
    Ok(())
}
