//! A tenant's data is the tenant's: who its people are, for its archive, and their erasing.
//!
//! Erasing goes on in small transactions, each of which finds by itself what is left, so that it can be cut off and
//! begun again. Rows stay where others count on them; what says whose they were goes.

use diesel::prelude::*;

use super::model::Tenant;
use super::{session, store};
use crate::db::schema::{
    agent_skills, agents, api_keys, external_identities, idempotency_keys, identity_providers, mailed_tokens,
    memberships, people, recovery_codes, refresh_tokens, second_factors, service_requests, sessions,
    tenant_contacts,
};
use crate::db::{Connection, Moment, PROVIDER, PersonId, Scope, SessionId, TenantId, lock};
use crate::problem::Problem;

/// What stands where a name was.
const ERASED: &str = "Erased";

/// What an address ends with that was erased: `….invalid` is nobody's (RFC 2606 §2).
pub const NOBODY: &str = "@erased.invalid";

/// The scope of a tenant's rows, for whoever has the database itself; the provider is none.
pub fn scope_of(conn: &mut Connection, id: TenantId) -> Result<Scope, Problem> {
    find(conn, id)?;
    Ok(Scope::of_tenant(id))
}

fn find(conn: &mut Connection, id: TenantId) -> Result<Tenant, Problem> {
    let found = store::tenant(conn, id)?.filter(|tenant| tenant.id != PROVIDER);
    found.ok_or_else(|| Problem::not_found("tenant of this id"))
}

/// The sessions of a tenant's people, the ended ones too, oldest first.
pub fn sessions_of(
    conn: &mut Connection,
    tenant: TenantId,
    after: Option<SessionId>,
    limit: i64,
) -> Result<Vec<session::Session>, Problem> {
    let mut query = sessions::table
        .filter(sessions::tenant_id.eq(tenant))
        .order(sessions::id)
        .limit(limit)
        .select(session::Session::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(sessions::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// Shuts a tenant for good, and takes its name and its identity providers away; `false` when that was done before.
pub fn shut(conn: &mut Connection, id: TenantId, now: Moment) -> Result<bool, Problem> {
    lock::exclusive(conn, lock::Key::of(id))?;
    let before = find(conn, id)?;
    let after = Tenant {
        name: ERASED.to_owned(),
        disabled: true,
        version: before.version.saturating_add(1),
        updated_at: now,
        ..before
    };
    store::save_tenant(conn, &after, before.version)?;
    diesel::delete(tenant_contacts::table.filter(tenant_contacts::tenant_id.eq(id))).execute(conn)?;
    diesel::delete(idempotency_keys::table.filter(idempotency_keys::tenant_id.eq(id))).execute(conn)?;
    diesel::delete(external_identities::table.filter(external_identities::tenant_id.eq(id))).execute(conn)?;
    diesel::delete(identity_providers::table.filter(identity_providers::tenant_id.eq(id))).execute(conn)?;
    Ok(true)
}

/// Takes people and keys out of a tenant, with their sessions and secrets; how many there were.
pub fn erase_members(
    conn: &mut Connection,
    tenant: TenantId,
    now: Moment,
    limit: i64,
) -> Result<usize, Problem> {
    let ids: Vec<PersonId> = memberships::table
        .filter(memberships::tenant_id.eq(tenant))
        .order(memberships::person_id)
        .limit(limit)
        .select(memberships::person_id)
        .load(conn)?;
    macro_rules! delete_theirs {
        ($($table:ident.$person:ident),*) => {$(
            let theirs = $table::table
                .filter($table::tenant_id.eq(tenant))
                .filter($table::$person.eq_any(ids.clone()));
            diesel::delete(theirs).execute(conn)?;
        )*};
    }
    let their_sessions = sessions::table
        .filter(sessions::tenant_id.eq(tenant))
        .filter(sessions::person_id.eq_any(ids.clone()))
        .select(sessions::id);
    let tokens = refresh_tokens::table
        .filter(refresh_tokens::tenant_id.eq(tenant))
        .filter(refresh_tokens::session_id.eq_any(their_sessions));
    diesel::delete(tokens).execute(conn)?;
    delete_theirs!(sessions.person_id, mailed_tokens.person_id);
    let keys = api_keys::table
        .filter(api_keys::tenant_id.eq(tenant))
        .filter(api_keys::id.eq_any(ids.iter().map(|id| id.of()).collect::<Vec<crate::db::ApiKeyId>>()));
    diesel::delete(keys).execute(conn)?;
    delete_theirs!(memberships.person_id);
    forget(conn, tenant, &ids, now)?;
    Ok(ids.len())
}

/// Makes nobody of these people, but for those whom somebody else than `tenant` knows: as a member, or as a requester.
pub fn forget(conn: &mut Connection, tenant: TenantId, ids: &[PersonId], now: Moment) -> Result<(), Problem> {
    let members = memberships::table.filter(memberships::person_id.eq(people::id));
    let requesters = service_requests::table
        .filter(service_requests::requester_id.eq(people::id))
        .filter(service_requests::tenant_id.ne(tenant))
        // What was erased there knows nobody.
        .filter(service_requests::subject.ne(""));
    let unknown: Vec<PersonId> = people::table
        .filter(people::id.eq_any(ids.to_vec()))
        .filter(diesel::dsl::not(diesel::dsl::exists(members)))
        .filter(diesel::dsl::not(diesel::dsl::exists(requesters)))
        .select(people::id)
        .load(conn)?;
    for id in &unknown {
        let nobody = (
            people::email.eq(format!("{id}{NOBODY}")),
            people::name.eq(ERASED),
            people::password_hash.eq(None::<String>),
            people::locale.eq("en"),
            people::time_zone.eq("UTC"),
            people::disabled.eq(true),
            people::updated_at.eq(now),
        );
        diesel::update(people::table.find(id)).set(nobody).execute(conn)?;
    }
    let factors = second_factors::table.filter(second_factors::person_id.eq_any(unknown.clone()));
    diesel::delete(factors).execute(conn)?;
    let codes = recovery_codes::table.filter(recovery_codes::person_id.eq_any(unknown.clone()));
    diesel::delete(codes).execute(conn)?;
    let skills = agent_skills::table.filter(agent_skills::person_id.eq_any(unknown.clone()));
    diesel::delete(skills).execute(conn)?;
    diesel::delete(agents::table.filter(agents::person_id.eq_any(unknown))).execute(conn)?;
    Ok(())
}
