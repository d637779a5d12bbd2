//! Overrides and swaps over HTTP.

use actix_web::{HttpResponse, delete, get, post, web};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{NewOverride, NewSwap, OverrideView, SwapView, actions, store};
use crate::db::{OverrideId, QueueId};
use crate::http::{Answer, Cursors, Form, Items, Page, Query};
use crate::identity::Caller;
use crate::problem::Problem;
use crate::queues::api::found;
use crate::queues::span::Spans;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(enter).service(swap).service(remove);
}

/// The overrides of a queue
#[utoipa::path(operation_id = "list_overrides", tag = "rosters", params(("id" = QueueId, Path), Spans), responses((status = 200, body = Items<OverrideView>)), security(("bearer" = [])))]
#[get("/queues/{id}/overrides")]
async fn list(
    caller: Caller,
    id: web::Path<QueueId>,
    query: Query<Spans>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let query = query.0;
    let page: Page<OverrideId> = cursors.page(query.limit, query.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, _| {
        let queue = found(conn, *id)?;
        let rows = store::list(conn, queue.id, query.from, page.after, page.fetch())?;
        Answer::ok(&cursors.cut(&page, rows, |row| row.id, OverrideView::from)?)
    });
    Ok(answer.await?.respond())
}

/// Say who works, or does not, for a time
#[utoipa::path(operation_id = "enter_override", tag = "rosters", params(("id" = QueueId, Path)), request_body = NewOverride, responses((status = 201, body = OverrideView)), security(("bearer" = [])))]
#[post("/queues/{id}/overrides")]
async fn enter(
    caller: Caller,
    id: web::Path<QueueId>,
    form: Form<NewOverride>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view = actions::enter(conn, caller, *id, &value)?;
        Answer::created(format!("/v1/queues/{id}/overrides/{}", view.id), &view)
    });
    done.await
}

/// Let two people work for one another
#[utoipa::path(operation_id = "swap_duties", tag = "rosters", params(("id" = QueueId, Path)), request_body = NewSwap, responses((status = 201, body = SwapView)), security(("bearer" = [])))]
#[post("/queues/{id}/swaps")]
async fn swap(caller: Caller, id: web::Path<QueueId>, form: Form<NewSwap>) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view = actions::swap(conn, caller, *id, &value)?;
        Answer::created(format!("/v1/queues/{id}/overrides"), &view)
    });
    done.await
}

/// Remove an override
#[utoipa::path(operation_id = "remove_override", tag = "rosters", params(("id" = QueueId, Path), ("override_id" = OverrideId, Path)), responses((status = 204, description = "it is gone")), security(("bearer" = [])))]
#[delete("/queues/{id}/overrides/{override_id}")]
async fn remove(caller: Caller, ids: web::Path<(QueueId, OverrideId)>) -> Result<HttpResponse, Problem> {
    let (queue, row) = ids.into_inner();
    let done = caller.write(web::Bytes::new(), move |conn, caller| {
        actions::remove(conn, caller, queue, row)?;
        Ok(Answer::nothing())
    });
    done.await
}
