//! Queries over the addresses that take no mail.

use std::collections::HashSet;

use diesel::prelude::*;

use super::Suppression;
use crate::db::schema::suppressions;
use crate::db::{Connection, Scope, SuppressionId, TenantId, on_each};
use crate::problem::Problem;

/// Writes one down; `false` where the address takes no mail already.
pub fn create(conn: &mut Connection, row: &Suppression) -> Result<bool, Problem> {
    let created = on_each!(conn, conn => diesel::insert_into(suppressions::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(created == 1)
}

/// One, if it is in scope.
pub fn find(conn: &mut Connection, scope: Scope, id: SuppressionId) -> Result<Option<Suppression>, Problem> {
    let mut query = suppressions::table
        .filter(suppressions::id.eq(id))
        .select(Suppression::as_select())
        .into_boxed();
    if let Some(tenant) = scope.tenant() {
        query = query.filter(suppressions::tenant_id.eq(tenant));
    }
    Ok(query.first(conn).optional()?)
}

/// Whether one is the tenant's.
pub fn is_of(conn: &mut Connection, tenant: TenantId, id: &str) -> Result<bool, Problem> {
    let Ok(id) = id.parse::<SuppressionId>() else {
        return Ok(false);
    };
    let row = suppressions::table.find((tenant, id)).select(suppressions::id);
    Ok(row.first::<SuppressionId>(conn).optional()?.is_some())
}

/// Those in scope after `after`, oldest first; of one address where it is named.
pub fn list(
    conn: &mut Connection,
    scope: Scope,
    address: Option<&str>,
    after: Option<SuppressionId>,
    limit: i64,
) -> Result<Vec<Suppression>, Problem> {
    let mut query = suppressions::table
        .order(suppressions::id)
        .limit(limit)
        .select(Suppression::as_select())
        .into_boxed();
    if let Some(tenant) = scope.tenant() {
        query = query.filter(suppressions::tenant_id.eq(tenant));
    }
    if let Some(address) = address {
        query = query.filter(suppressions::address.eq(address.to_owned()));
    }
    if let Some(after) = after {
        query = query.filter(suppressions::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// Takes one away; `false` when it is gone.
pub fn remove(conn: &mut Connection, row: &Suppression) -> Result<bool, Problem> {
    let row = suppressions::table.find((row.tenant_id, row.id));
    Ok(diesel::delete(row).execute(conn)? == 1)
}

/// Those of these addresses that take no mail, and whose.
pub fn among(conn: &mut Connection, addresses: &[&str]) -> Result<HashSet<(TenantId, String)>, Problem> {
    let found = suppressions::table
        .filter(suppressions::address.eq_any(addresses.to_vec()))
        .select((suppressions::tenant_id, suppressions::address))
        .load(conn)?;
    Ok(found.into_iter().collect())
}
