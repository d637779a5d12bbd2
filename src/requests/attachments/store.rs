//! Queries over the files of requests.

use chrono::TimeDelta;
use diesel::dsl::{count_star, sum};
use diesel::prelude::*;

use super::limits::Used;
use super::{Attachment, State};
use crate::db::schema::attachments;
use crate::db::{AttachmentId, CommentId, Connection, Moment, RequestId, TenantId, on_each};
use crate::problem::Problem;

/// Whoever puts a file away for longer than this is dead.
const PATIENCE: TimeDelta = TimeDelta::hours(1);

/// Writes down files that arrive.
pub fn create(conn: &mut Connection, rows: &[Attachment]) -> Result<(), Problem> {
    if rows.is_empty() {
        return Ok(());
    }
    on_each!(conn, conn => diesel::insert_into(attachments::table).values(rows).execute(conn))?;
    Ok(())
}

/// Says of files that arrived that they are there, with their comment; `false` when one was given up or erased meanwhile.
pub fn keep(conn: &mut Connection, rows: &[Attachment], comment: Option<CommentId>) -> Result<bool, Problem> {
    for row in rows {
        let arriving = attachments::table
            .find((row.tenant_id, row.id))
            .filter(attachments::state.eq(State::Arriving))
            .filter(attachments::name.ne(""));
        let there = (
            attachments::state.eq(State::Kept),
            attachments::comment_id.eq(comment),
        );
        if diesel::update(arriving).set(there).execute(conn)? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How many files of these states a request has, and how many bytes.
pub fn used(
    conn: &mut Connection,
    (tenant, request): (TenantId, RequestId),
    states: &[State],
) -> Result<Used, Problem> {
    let (files, bytes): (i64, Option<i64>) = attachments::table
        .filter(attachments::tenant_id.eq(tenant))
        .filter(attachments::request_id.eq(request))
        .filter(attachments::state.eq_any(states.to_vec()))
        .select((count_star(), sum(attachments::size)))
        .first(conn)?;
    Ok(Used {
        files,
        bytes: bytes.unwrap_or_default(),
    })
}

/// Those of a tenant that are kept, of one request where it is named, after `after`, oldest first.
pub fn list(
    conn: &mut Connection,
    (tenant, request): (TenantId, Option<RequestId>),
    after: Option<AttachmentId>,
    limit: i64,
) -> Result<Vec<Attachment>, Problem> {
    let mut query = attachments::table
        .filter(attachments::tenant_id.eq(tenant))
        .filter(attachments::state.eq(State::Kept))
        .order(attachments::id)
        .limit(limit)
        .select(Attachment::as_select())
        .into_boxed();
    if let Some(request) = request {
        query = query.filter(attachments::request_id.eq(request));
    }
    if let Some(after) = after {
        query = query.filter(attachments::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// One of a request, if it is kept.
pub fn find(
    conn: &mut Connection,
    (tenant, request): (TenantId, RequestId),
    id: AttachmentId,
) -> Result<Option<Attachment>, Problem> {
    Ok(attachments::table
        .find((tenant, id))
        .filter(attachments::request_id.eq(request))
        .filter(attachments::state.eq(State::Kept))
        .select(Attachment::as_select())
        .first(conn)
        .optional()?)
}

/// Says that one is to be taken away; `false` when somebody has.
pub fn leave(conn: &mut Connection, row: &Attachment) -> Result<bool, Problem> {
    let kept = attachments::table
        .find((row.tenant_id, row.id))
        .filter(attachments::state.eq(State::Kept));
    let left = diesel::update(kept)
        .set(attachments::state.eq(State::Leaving))
        .execute(conn)?;
    Ok(left == 1)
}

/// The same of all those of these requests, whose names are nobody's any more. Whoever is putting one away may not be done:
/// that one is never kept without a name, and given up in its time.
pub fn erase(conn: &mut Connection, tenant: TenantId, requests: &[RequestId]) -> Result<(), Problem> {
    let theirs = attachments::table
        .filter(attachments::tenant_id.eq(tenant))
        .filter(attachments::request_id.eq_any(requests.to_vec()));
    let nameless = (attachments::name.eq(""), attachments::sha256.eq(""));
    diesel::update(theirs.clone()).set(nameless).execute(conn)?;
    let kept = theirs.filter(attachments::state.eq(State::Kept));
    diesel::update(kept)
        .set(attachments::state.eq(State::Leaving))
        .execute(conn)?;
    Ok(())
}

/// Gives up what has been arriving for too long, and says what is to be taken away.
pub fn leaving(conn: &mut Connection, now: Moment, limit: i64) -> Result<Vec<Attachment>, Problem> {
    let late = attachments::table
        .filter(attachments::state.eq(State::Arriving))
        .filter(attachments::at.lt(now.plus(-PATIENCE)));
    diesel::update(late)
        .set(attachments::state.eq(State::Leaving))
        .execute(conn)?;
    Ok(attachments::table
        .filter(attachments::state.eq(State::Leaving))
        .order((attachments::at, attachments::id))
        .limit(limit)
        .select(Attachment::as_select())
        .load(conn)?)
}

/// Forgets one whose file is gone.
pub fn forget(conn: &mut Connection, row: &Attachment) -> Result<(), Problem> {
    let gone = attachments::table
        .find((row.tenant_id, row.id))
        .filter(attachments::state.eq(State::Leaving));
    diesel::delete(gone).execute(conn)?;
    Ok(())
}
