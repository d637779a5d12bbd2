//! Waivers over HTTP.

use actix_web::{HttpResponse, delete, get, post, web};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{NewWaiver, WaiverView, actions, store};
use crate::db::{QueueId, WaiverId};
use crate::http::{Answer, Cursors, Form, Items, Page, Query};
use crate::identity::Caller;
use crate::problem::Problem;
use crate::queues::api::found;
use crate::queues::span::Spans;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(grant).service(revoke);
}

/// The waivers of a queue
#[utoipa::path(operation_id = "list_waivers", tag = "rosters", params(("id" = QueueId, Path), Spans), responses((status = 200, body = Items<WaiverView>)), security(("bearer" = [])))]
#[get("/queues/{id}/waivers")]
async fn list(
    caller: Caller,
    id: web::Path<QueueId>,
    query: Query<Spans>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let query = query.0;
    let page: Page<WaiverId> = cursors.page(query.limit, query.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, _| {
        let queue = found(conn, *id)?;
        let rows = store::list(conn, queue.id, query.from, page.after, page.fetch())?;
        Answer::ok(&cursors.cut(&page, rows, |row| row.id, WaiverView::from)?)
    });
    Ok(answer.await?.respond())
}

/// Let a queue have gaps for a time
#[utoipa::path(operation_id = "grant_waiver", tag = "rosters", params(("id" = QueueId, Path)), request_body = NewWaiver, responses((status = 201, body = WaiverView)), security(("bearer" = [])))]
#[post("/queues/{id}/waivers")]
async fn grant(
    caller: Caller,
    id: web::Path<QueueId>,
    form: Form<NewWaiver>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view = actions::grant(conn, caller, *id, &value)?;
        Answer::created(format!("/v1/queues/{id}/waivers/{}", view.id), &view)
    });
    done.await
}

/// Revoke a waiver
#[utoipa::path(operation_id = "revoke_waiver", tag = "rosters", params(("id" = QueueId, Path), ("waiver_id" = WaiverId, Path)), responses((status = 204, description = "it is gone")), security(("bearer" = [])))]
#[delete("/queues/{id}/waivers/{waiver_id}")]
async fn revoke(caller: Caller, ids: web::Path<(QueueId, WaiverId)>) -> Result<HttpResponse, Problem> {
    let (queue, row) = ids.into_inner();
    let done = caller.write(web::Bytes::new(), move |conn, caller| {
        actions::revoke(conn, caller, queue, row)?;
        Ok(Answer::nothing())
    });
    done.await
}
