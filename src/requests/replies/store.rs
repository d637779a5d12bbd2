//! Queries over the replies that became comments.

use diesel::prelude::*;

use crate::db::schema::request_replies;
use crate::db::{Connection, Moment, RequestId, TenantId};
use crate::problem::Problem;

/// A mail that became a comment: the row is the model.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = request_replies)]
pub struct Reply {
    /// Whose the request is.
    pub tenant_id: TenantId,
    /// The request.
    pub request_id: RequestId,
    /// Who wrote it, in lower case.
    pub sender: String,
    /// What the mail is known by: SHA-256 of its Message-ID, or of all of it.
    pub letter: String,
    /// When it came.
    pub at: Moment,
}

/// Notes a reply, of which it was asked under the lock of its request whether it is noted.
pub fn note(conn: &mut Connection, reply: &Reply) -> Result<(), Problem> {
    diesel::insert_into(request_replies::table)
        .values(reply)
        .execute(conn)?;
    Ok(())
}

/// Whether somebody's mail is noted.
pub fn is_noted(
    conn: &mut Connection,
    (tenant, request): (TenantId, RequestId),
    (sender, letter): (&str, &str),
) -> Result<bool, Problem> {
    let row = request_replies::table
        .find((tenant, request, sender, letter))
        .select(request_replies::at);
    Ok(row.first::<Moment>(conn).optional()?.is_some())
}

/// How many replies somebody has written to a request since then.
pub fn count(
    conn: &mut Connection,
    (tenant, request): (TenantId, RequestId),
    sender: &str,
    since: Moment,
) -> Result<i64, Problem> {
    Ok(request_replies::table
        .filter(request_replies::tenant_id.eq(tenant))
        .filter(request_replies::request_id.eq(request))
        .filter(request_replies::sender.eq(sender))
        .filter(request_replies::at.gt(since))
        .count()
        .get_result(conn)?)
}
