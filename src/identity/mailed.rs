//! Tokens that are sent by mail to prove that somebody reads it: invitations and new passwords.
//!
//! A token is used once and expires. The database has only a hash of it, and yet a mail that is sent again has the same
//! one: its secret is derived from the installation's (HMAC-SHA256 of its id).

use chrono::TimeDelta;
use diesel::prelude::*;

use super::keys::Secret;
use super::opaque::Opaque;
use crate::db::schema::mailed_tokens;
use crate::db::{Connection, Id, MailedNoun, MailedTokenId, Moment, PersonId, TenantId, text_enum};
use crate::problem::Problem;

/// What they begin with.
const PREFIX: &str = "alm_";
/// Nobody gets a second one within this time: an address is not to be flooded.
const PAUSE: TimeDelta = TimeDelta::minutes(5);

text_enum! {
    /// What a token is for.
    MailedKind { Invitation = "invitation", PasswordReset = "password_reset" }
}

impl MailedKind {
    /// How long it can be used.
    fn lifetime(self) -> TimeDelta {
        match self {
            Self::Invitation => TimeDelta::days(7),
            Self::PasswordReset => TimeDelta::hours(1),
        }
    }
}

/// A token, as it is kept: the row is the model.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = mailed_tokens)]
pub struct MailedToken {
    /// The tenant it was made for.
    pub tenant_id: TenantId,
    /// The id.
    pub id: MailedTokenId,
    /// What it is for.
    pub kind: MailedKind,
    /// Whose address it goes to.
    pub person_id: PersonId,
    /// SHA-256 of its secret.
    pub digest: String,
    /// When it was made.
    pub created_at: Moment,
    /// Until when it can be used.
    pub expires_at: Moment,
}

fn token(seal: &Secret, tenant: TenantId, id: MailedTokenId) -> Opaque<MailedNoun> {
    Opaque::with_secret(tenant, id, seal.derive(&format!("mailed token {tenant} {id}")))
}

/// The text of a token, for its mail.
pub fn text(seal: &Secret, tenant: TenantId, id: MailedTokenId) -> String {
    token(seal, tenant, id).text(PREFIX)
}

/// Makes a token; `None` when there is a young one.
pub fn issue(
    conn: &mut Connection,
    kind: MailedKind,
    (tenant_id, person_id): (TenantId, PersonId),
    seal: &Secret,
    now: Moment,
) -> Result<Option<MailedTokenId>, Problem> {
    let young: i64 = mailed_tokens::table
        .filter(mailed_tokens::tenant_id.eq(tenant_id))
        .filter(mailed_tokens::person_id.eq(person_id))
        .filter(mailed_tokens::kind.eq(kind))
        .filter(mailed_tokens::created_at.gt(now.plus(-PAUSE)))
        .count()
        .get_result(conn)?;
    if young > 0 {
        return Ok(None);
    }
    let id = Id::at(now);
    let row = MailedToken {
        tenant_id,
        id,
        kind,
        person_id,
        digest: token(seal, tenant_id, id).digest(),
        created_at: now,
        expires_at: now.plus(kind.lifetime()),
    };
    diesel::insert_into(mailed_tokens::table)
        .values(&row)
        .execute(conn)?;
    Ok(Some(id))
}

/// A token, if it is one and its time has not passed.
pub fn find(conn: &mut Connection, text: &str, now: Moment) -> Result<Option<MailedToken>, Problem> {
    let Some(token) = Opaque::<MailedNoun>::parse(PREFIX, text) else {
        return Ok(None);
    };
    let row: Option<MailedToken> = mailed_tokens::table
        .find((token.tenant, token.id))
        .select(MailedToken::as_select())
        .first(conn)
        .optional()?;
    Ok(row.filter(|row| token.fits(&row.digest) && row.expires_at > now))
}

/// Uses a token up, if it is one and its time has not passed.
pub fn take(conn: &mut Connection, text: &str, now: Moment) -> Result<Option<MailedToken>, Problem> {
    let Some(row) = find(conn, text, now)? else {
        return Ok(None);
    };
    let gone = diesel::delete(mailed_tokens::table.find((row.tenant_id, row.id))).execute(conn)?;
    Ok((gone == 1).then_some(row))
}

/// Takes back what was sent to a person at these tenants.
pub fn revoke(conn: &mut Connection, person: PersonId, tenants: &[TenantId]) -> Result<(), Problem> {
    let rows = mailed_tokens::table
        .filter(mailed_tokens::tenant_id.eq_any(tenants.to_vec()))
        .filter(mailed_tokens::person_id.eq(person));
    diesel::delete(rows).execute(conn)?;
    Ok(())
}

/// Forgets what has expired; how many there were.
pub fn forget_old(conn: &mut Connection, now: Moment) -> Result<usize, Problem> {
    Ok(diesel::delete(mailed_tokens::table.filter(mailed_tokens::expires_at.lt(now))).execute(conn)?)
}
