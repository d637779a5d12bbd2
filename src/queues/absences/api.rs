//! Absences over HTTP.

use actix_web::{HttpResponse, delete, get, post, web};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{AbsenceView, NewAbsence, actions, store};
use crate::db::{AbsenceId, QueueId};
use crate::http::{Answer, Cursors, Form, Items, Page, Query};
use crate::identity::Caller;
use crate::problem::Problem;
use crate::queues::api::found;
use crate::queues::span::Spans;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(enter).service(remove);
}

/// The absences of those who work in a queue
#[utoipa::path(operation_id = "list_absences", tag = "rosters", params(("id" = QueueId, Path), Spans), responses((status = 200, body = Items<AbsenceView>)), security(("bearer" = [])))]
#[get("/queues/{id}/absences")]
async fn list(
    caller: Caller,
    id: web::Path<QueueId>,
    query: Query<Spans>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let query = query.0;
    let page: Page<AbsenceId> = cursors.page(query.limit, query.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, _| {
        let queue = found(conn, *id)?;
        let rows = store::list(conn, queue.id, query.from, page.after, page.fetch())?;
        Answer::ok(&cursors.cut(&page, rows, |absence| absence.id, AbsenceView::from)?)
    });
    Ok(answer.await?.respond())
}

/// Enter an absence: one's own, or as a lead anybody's
#[utoipa::path(operation_id = "enter_absence", tag = "rosters", params(("id" = QueueId, Path)), request_body = NewAbsence, responses((status = 201, body = AbsenceView)), security(("bearer" = [])))]
#[post("/queues/{id}/absences")]
async fn enter(
    caller: Caller,
    id: web::Path<QueueId>,
    form: Form<NewAbsence>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view = actions::enter(conn, caller, *id, &value)?;
        Answer::created(format!("/v1/queues/{id}/absences/{}", view.id), &view)
    });
    done.await
}

/// Remove an absence
#[utoipa::path(operation_id = "remove_absence", tag = "rosters", params(("id" = QueueId, Path), ("absence_id" = AbsenceId, Path)), responses((status = 204, description = "it is gone")), security(("bearer" = [])))]
#[delete("/queues/{id}/absences/{absence_id}")]
async fn remove(caller: Caller, ids: web::Path<(QueueId, AbsenceId)>) -> Result<HttpResponse, Problem> {
    let (queue, absence) = ids.into_inner();
    let done = caller.write(web::Bytes::new(), move |conn, caller| {
        actions::remove(conn, caller, queue, absence)?;
        Ok(Answer::nothing())
    });
    done.await
}
