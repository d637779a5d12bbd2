//! A tenant's data is the tenant's: its requests, for its archive, and their erasing.

use diesel::prelude::*;
use serde_json::json;

use super::model::Request;
use super::view::{CommentView, EventView, Names, RequestView};
use super::{attachments, store};
use crate::db::schema::{request_comments, request_replies, request_watchers, service_requests};
use crate::db::{CommentId, Connection, Json, Moment, PersonId, RequestId, TenantId};
use crate::identity::custody;
use crate::journal;
use crate::problem::Problem;
use crate::requests::{actions, sla, view};
use serde::Serialize;

/// Rows of a conversation or a history that are read at once.
const PAGE: i64 = 200;

/// A request with all that was said and that happened, as the tenant sees it.
#[derive(Debug, Serialize)]
pub struct RequestArchive {
    /// The request.
    #[serde(flatten)]
    pub request: RequestView,
    /// The public comments, oldest first.
    pub comments: Vec<CommentView>,
    /// The history, without what is internal.
    pub history: Vec<EventView>,
}

/// The requests of a tenant after `after`, oldest first.
pub fn page(
    conn: &mut Connection,
    tenant: TenantId,
    after: Option<RequestId>,
    limit: i64,
) -> Result<Vec<RequestArchive>, Problem> {
    let mut query = service_requests::table
        .filter(service_requests::tenant_id.eq(tenant))
        .order(service_requests::id)
        .limit(limit)
        .select(Request::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(service_requests::id.gt(after));
    }
    let rows: Vec<Request> = query.load(conn)?;
    rows.into_iter().map(|row| archive(conn, row)).collect()
}

fn archive(conn: &mut Connection, row: Request) -> Result<RequestArchive, Problem> {
    let mut comments = Vec::new();
    let mut after: Option<CommentId> = None;
    loop {
        let page = store::comments(conn, &row, false, after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        comments.extend(page.into_iter().map(|comment| view::comment(false, comment)));
    }
    let mut history: Vec<EventView> = Vec::new();
    loop {
        let after = history.last().map_or(0, |event| event.seq);
        let page = journal::history(conn, (row.tenant_id, row.id), false, after, PAGE)?;
        if page.is_empty() {
            break;
        }
        history.extend(page.into_iter().map(|event| view::event(false, event)));
    }
    let (queue, incident, assignee) = store::names(conn, &row)?;
    let watchers = store::watchers(conn, &row)?;
    let names = Names {
        queue,
        incident,
        assignee,
        watchers,
        sla: sla::view::of_one(conn, &row)?,
    };
    Ok(RequestArchive {
        request: RequestView::new(row, names, false),
        comments,
        history,
    })
}

/// Cancels requests of a tenant that is no more; how many.
pub fn withdraw(conn: &mut Connection, tenant: TenantId, now: Moment, limit: i64) -> Result<usize, Problem> {
    let open = service_requests::table
        .filter(service_requests::tenant_id.eq(tenant))
        .filter(service_requests::is_open.eq(true))
        .order(service_requests::id)
        .limit(limit)
        .select(Request::as_select())
        .load(conn)?;
    let count = open.len();
    actions::withdraw(conn, open, now)?;
    Ok(count)
}

/// Takes out of requests what was said in them, and who; how many. What is counted stays: states, times, severity, place.
pub fn erase(conn: &mut Connection, tenant: TenantId, now: Moment, limit: i64) -> Result<usize, Problem> {
    let rows: Vec<(RequestId, PersonId)> = service_requests::table
        .filter(service_requests::tenant_id.eq(tenant))
        // There is no request without a subject but an erased one.
        .filter(service_requests::subject.ne(""))
        .order(service_requests::id)
        .limit(limit)
        .select((service_requests::id, service_requests::requester_id))
        .load(conn)?;
    let ids: Vec<RequestId> = rows.iter().map(|(id, _)| *id).collect();
    let comments = request_comments::table
        .filter(request_comments::tenant_id.eq(tenant))
        .filter(request_comments::request_id.eq_any(ids.clone()));
    let unsaid = (
        request_comments::body.eq(""),
        request_comments::author_name.eq(""),
    );
    diesel::update(comments).set(unsaid).execute(conn)?;
    let watchers = request_watchers::table
        .filter(request_watchers::tenant_id.eq(tenant))
        .filter(request_watchers::request_id.eq_any(ids.clone()));
    diesel::delete(watchers).execute(conn)?;
    let replies = request_replies::table
        .filter(request_replies::tenant_id.eq(tenant))
        .filter(request_replies::request_id.eq_any(ids.clone()));
    diesel::delete(replies).execute(conn)?;
    attachments::store::erase(conn, tenant, &ids)?;
    let requests = service_requests::table
        .filter(service_requests::tenant_id.eq(tenant))
        .filter(service_requests::id.eq_any(ids));
    let blank = (
        service_requests::subject.eq(""),
        service_requests::description.eq(""),
        service_requests::contact.eq(Json(json!({}))),
        service_requests::tags.eq(Json(json!([]))),
        service_requests::requester_name.eq(""),
        service_requests::needs.eq(Json(json!({}))),
        // Whoever has loaded it before saves nothing of it back.
        service_requests::revision.eq(service_requests::revision + 1),
        service_requests::version.eq(service_requests::version + 1),
        service_requests::updated_at.eq(now),
    );
    diesel::update(requests).set(blank).execute(conn)?;
    let requesters: Vec<PersonId> = rows.iter().map(|(_, requester)| *requester).collect();
    custody::forget(conn, tenant, &requesters, now)?;
    Ok(rows.len())
}
