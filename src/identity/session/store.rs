//! Queries over sessions and their refresh tokens.

use diesel::prelude::*;

use super::{Client, RefreshToken, Session};
use crate::db::schema::{refresh_tokens, sessions};
use crate::db::{Connection, IdentityProviderId, Moment, PersonId, SessionId, TenantId};
use crate::problem::Problem;

/// Adds a session.
pub fn create(conn: &mut Connection, session: &Session) -> Result<(), Problem> {
    diesel::insert_into(sessions::table)
        .values(session)
        .execute(conn)?;
    Ok(())
}

/// Adds a refresh token.
pub fn add_token(conn: &mut Connection, token: &RefreshToken) -> Result<(), Problem> {
    diesel::insert_into(refresh_tokens::table)
        .values(token)
        .execute(conn)?;
    Ok(())
}

/// One session.
pub fn find(conn: &mut Connection, tenant: TenantId, id: SessionId) -> Result<Option<Session>, Problem> {
    Ok(sessions::table
        .find((tenant, id))
        .select(Session::as_select())
        .first(conn)
        .optional()?)
}

/// A token of a session.
pub fn token(conn: &mut Connection, of: &Session, digest: &str) -> Result<Option<RefreshToken>, Problem> {
    Ok(refresh_tokens::table
        .find((of.tenant_id, of.id, digest))
        .select(RefreshToken::as_select())
        .first(conn)
        .optional()?)
}

/// Uses a token up; `false` when somebody else was first.
pub fn use_token(conn: &mut Connection, token: &RefreshToken, now: Moment) -> Result<bool, Problem> {
    let row = refresh_tokens::table
        .find((token.tenant_id, token.session_id, &token.digest))
        .filter(refresh_tokens::used_at.is_null());
    let used = diesel::update(row).set(refresh_tokens::used_at.eq(Some(now)));
    Ok(used.execute(conn)? == 1)
}

/// Notes where and when a session was used.
pub fn touch(conn: &mut Connection, session: &Session, client: &Client, now: Moment) -> Result<(), Problem> {
    diesel::update(sessions::table.find((session.tenant_id, session.id)))
        .set((
            sessions::address.eq(client.address.to_string()),
            sessions::agent.eq(&client.agent),
            sessions::last_used_at.eq(now),
        ))
        .execute(conn)?;
    Ok(())
}

/// Ends a session; `false` when it was over or is none.
pub fn end(conn: &mut Connection, tenant: TenantId, id: SessionId, now: Moment) -> Result<bool, Problem> {
    let row = sessions::table
        .find((tenant, id))
        .filter(sessions::ended_at.is_null());
    Ok(diesel::update(row)
        .set(sessions::ended_at.eq(Some(now)))
        .execute(conn)?
        == 1)
}

/// Ends all sessions of a person at these tenants; how many there were.
pub fn end_all(
    conn: &mut Connection,
    person: PersonId,
    tenants: &[TenantId],
    now: Moment,
) -> Result<usize, Problem> {
    let rows = sessions::table
        .filter(sessions::tenant_id.eq_any(tenants.to_vec()))
        .filter(sessions::person_id.eq(person))
        .filter(sessions::ended_at.is_null());
    Ok(diesel::update(rows)
        .set(sessions::ended_at.eq(Some(now)))
        .execute(conn)?)
}

/// Ends the sessions of those who signed in with an identity provider.
pub fn end_of_provider(
    conn: &mut Connection,
    tenant: TenantId,
    provider: IdentityProviderId,
    now: Moment,
) -> Result<(), Problem> {
    let rows = sessions::table
        .filter(sessions::tenant_id.eq(tenant))
        .filter(sessions::provider_id.eq(provider))
        .filter(sessions::ended_at.is_null());
    diesel::update(rows)
        .set(sessions::ended_at.eq(Some(now)))
        .execute(conn)?;
    Ok(())
}

/// The sessions of a person that go on, the oldest first.
pub fn lasting(
    conn: &mut Connection,
    (tenant, person): (TenantId, PersonId),
    after: Option<SessionId>,
    now: Moment,
    limit: i64,
) -> Result<Vec<Session>, Problem> {
    let mut query = sessions::table
        .filter(sessions::tenant_id.eq(tenant))
        .filter(sessions::person_id.eq(person))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::expires_at.gt(now))
        .order(sessions::id)
        .limit(limit)
        .select(Session::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(sessions::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// Forgets what has expired; how many sessions there were.
pub fn forget_old(conn: &mut Connection, now: Moment) -> Result<usize, Problem> {
    let old = sessions::table
        .filter(sessions::expires_at.lt(now))
        .select(sessions::id);
    diesel::delete(refresh_tokens::table.filter(refresh_tokens::session_id.eq_any(old))).execute(conn)?;
    Ok(diesel::delete(sessions::table.filter(sessions::expires_at.lt(now))).execute(conn)?)
}
