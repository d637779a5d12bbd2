//! Hand-overs over HTTP.

use actix_web::{HttpResponse, get, post, web};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{HandOverView, NewLastWords, Said, actions, store};
use crate::db::{HandOverId, QueueId};
use crate::http::body::Empty;
use crate::http::{Answer, Cursors, Form, Items, Page, Pages, Query};
use crate::identity::Caller;
use crate::problem::Problem;
use crate::queues;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(acknowledge).service(leave_words);
}

/// What the teams of a queue told one another, the newest first
#[utoipa::path(operation_id = "list_hand_overs", tag = "queues", params(("id" = QueueId, Path), Pages), responses((status = 200, body = Items<HandOverView>)), security(("bearer" = [])))]
#[get("/queues/{id}/hand-overs")]
async fn list(
    caller: Caller,
    id: web::Path<QueueId>,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let page: Page<HandOverId> = cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, _| {
        queues::store::find(conn, *id)?.ok_or_else(|| Problem::not_found("queue"))?;
        let rows = store::list(conn, *id, page.after, page.fetch())?;
        Answer::ok(&cursors.cut(&page, rows, |row| row.id, HandOverView::from)?)
    });
    Ok(answer.await?.respond())
}

/// Take note of a hand-over
#[utoipa::path(operation_id = "acknowledge_hand_over", tag = "queues", params(("id" = QueueId, Path), ("hand_over_id" = HandOverId, Path)), request_body = Empty, responses((status = 200, body = HandOverView)), security(("bearer" = [])))]
#[post("/queues/{id}/hand-overs/{hand_over_id}/acknowledge")]
async fn acknowledge(
    caller: Caller,
    ids: web::Path<(QueueId, HandOverId)>,
    form: Form<Empty>,
) -> Result<HttpResponse, Problem> {
    let (queue, id) = *ids;
    let done = caller.write(form.bytes, move |conn, caller| {
        let row = actions::acknowledge(conn, caller, queue, id)?;
        Answer::ok(&HandOverView::from(row))
    });
    done.await
}

/// Leave words for the next team
#[utoipa::path(operation_id = "leave_last_words", tag = "queues", params(("id" = QueueId, Path)), request_body = NewLastWords, responses((status = 200, body = Said)), security(("bearer" = [])))]
#[post("/queues/{id}/last-words")]
async fn leave_words(
    caller: Caller,
    id: web::Path<QueueId>,
    form: Form<NewLastWords>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        Answer::ok(&actions::leave_words(conn, caller, *id, &value)?)
    });
    done.await
}
