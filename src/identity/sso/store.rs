//! Queries over identity providers and the subjects they vouch for.

use diesel::prelude::*;

use super::model::{ExternalIdentity, IdentityProvider};
use crate::db::schema::{api_keys, external_identities, identity_providers, memberships};
use crate::db::{ApiKeyId, Connection, IdentityProviderId, Moment, PersonId, TenantId, lock, on_each};
use crate::problem::Problem;

/// The provider of this id, whosoever it is.
pub fn find(conn: &mut Connection, id: IdentityProviderId) -> Result<Option<IdentityProvider>, Problem> {
    Ok(identity_providers::table
        .filter(identity_providers::id.eq(id))
        .select(IdentityProvider::as_select())
        .first(conn)
        .optional()?)
}

/// Whether the provider of this id is the tenant's.
pub fn is_of(conn: &mut Connection, tenant: TenantId, id: &str) -> Result<bool, Problem> {
    match id.parse() {
        Ok(id) => Ok(find(conn, id)?.is_some_and(|provider| provider.tenant_id == tenant)),
        Err(_) => Ok(false),
    }
}

/// Whether a provider still lets people in, asked in the transaction of a write.
pub fn is_open(conn: &mut Connection, tenant: TenantId, id: IdentityProviderId) -> Result<bool, Problem> {
    let row = identity_providers::table
        .find((tenant, id))
        .select(identity_providers::disabled);
    Ok(row.first(conn).optional()? == Some(false))
}

/// Whether a provider still lets people in and is as it was loaded. Asked first in the transaction that lets somebody
/// in: whoever changes or removes it came before, and is seen, or waits until the end of that.
pub fn hold(conn: &mut Connection, loaded: &IdentityProvider) -> Result<bool, Problem> {
    lock::shared(conn, lock::Key::of(loaded.id))?;
    let now = find(conn, loaded.id)?;
    Ok(now.is_some_and(|now| !now.disabled && now.version == loaded.version))
}

/// The providers with this issuer.
pub fn of_issuer(conn: &mut Connection, issuer: &str) -> Result<Vec<IdentityProvider>, Problem> {
    let found = on_each!(conn, conn => identity_providers::table
        .filter(identity_providers::issuer.eq(issuer))
        .select(IdentityProvider::as_select())
        .load(conn));
    Ok(found?)
}

/// Providers after `after`, the oldest first.
pub fn list(
    conn: &mut Connection,
    after: Option<IdentityProviderId>,
    limit: i64,
) -> Result<Vec<IdentityProvider>, Problem> {
    let mut query = identity_providers::table
        .order(identity_providers::id)
        .limit(limit)
        .select(IdentityProvider::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(identity_providers::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// Adds a provider.
pub fn create(conn: &mut Connection, provider: &IdentityProvider) -> Result<(), Problem> {
    diesel::insert_into(identity_providers::table)
        .values(provider)
        .execute(conn)?;
    Ok(())
}

/// Saves a provider, guarded by the version it was loaded at.
pub fn save(conn: &mut Connection, provider: &IdentityProvider, loaded: i32) -> Result<(), Problem> {
    let row = identity_providers::table
        .find((provider.tenant_id, provider.id))
        .filter(identity_providers::version.eq(loaded));
    match diesel::update(row).set(provider).execute(conn)? {
        1 => Ok(()),
        _ => Err(Problem::lost_race()),
    }
}

/// Removes a provider and forgets whom it has vouched for; who is vouched for by nobody any more needs a password.
pub fn remove(conn: &mut Connection, provider: &IdentityProvider, now: Moment) -> Result<(), Problem> {
    let (tenant, id) = (provider.tenant_id, provider.id);
    let links = external_identities::table
        .filter(external_identities::tenant_id.eq(tenant))
        .filter(external_identities::provider_id.eq(id));
    let people: Vec<PersonId> = links.select(external_identities::person_id).load(conn)?;
    diesel::delete(links).execute(conn)?;
    diesel::delete(identity_providers::table.find((tenant, id))).execute(conn)?;
    let others = external_identities::table
        .filter(external_identities::tenant_id.eq(tenant))
        .select(external_identities::person_id);
    let left = memberships::table
        .filter(memberships::tenant_id.eq(tenant))
        .filter(memberships::person_id.eq_any(people))
        .filter(memberships::person_id.ne_all(others));
    diesel::update(left)
        .set((
            memberships::federated.eq(false),
            memberships::by_password.eq(true),
            memberships::version.eq(memberships::version + 1),
            memberships::updated_at.eq(now),
        ))
        .execute(conn)?;
    Ok(())
}

/// Who a subject of a provider is.
pub fn person_of(
    conn: &mut Connection,
    provider: &IdentityProvider,
    subject: &str,
) -> Result<Option<PersonId>, Problem> {
    let found = on_each!(conn, conn => external_identities::table
        .find((provider.tenant_id, provider.id, subject))
        .select(external_identities::person_id)
        .first(conn));
    Ok(found.optional()?)
}

/// Whether some provider has vouched for a person, or a key acts as it. Asked with the rows of all tenants in sight.
pub fn is_taken(conn: &mut Connection, person: PersonId) -> Result<bool, Problem> {
    let vouched = external_identities::table.filter(external_identities::person_id.eq(person));
    let federated = memberships::table
        .filter(memberships::person_id.eq(person))
        .filter(memberships::federated.eq(true));
    let key: ApiKeyId = person.of();
    let key = api_keys::table.filter(api_keys::id.eq(key));
    let found = [
        vouched.count().get_result::<i64>(conn)?,
        federated.count().get_result(conn)?,
        key.count().get_result(conn)?,
    ];
    Ok(found != [0; 3])
}

/// Remembers who a subject is.
pub fn link(conn: &mut Connection, identity: &ExternalIdentity) -> Result<(), Problem> {
    diesel::insert_into(external_identities::table)
        .values(identity)
        .execute(conn)?;
    Ok(())
}
