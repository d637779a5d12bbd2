//! The line of a queue over HTTP: what stands in it, taking from it, and who in it reaches nobody.

use actix_web::{HttpResponse, get, post, web};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::climb::{self, Stranded};
use crate::db::{QueueId, RequestId};
use crate::http::body::Empty;
use crate::http::{Answer, Cursors, Form, Items, Page, Pages, Query};
use crate::identity::{Caller, Right};
use crate::problem::Problem;
use crate::queues;
use crate::queues::routing::Severity;
use crate::requests::actions::{self, Reason};
use crate::requests::model::Note;
use crate::requests::store::{self, Filter, Key};
use crate::requests::view::{self, RequestView};

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(of_queue)
        .service(claim)
        .service(escalate)
        .service(list_stranded);
}

/// The line of a queue: its open requests, the most urgent first
#[utoipa::path(operation_id = "list_requests_of_queue", tag = "queues", params(("id" = QueueId, Path), Pages), responses((status = 200, body = Items<RequestView>)), security(("bearer" = [])))]
#[get("/queues/{id}/service-requests")]
async fn of_queue(
    caller: Caller,
    id: web::Path<QueueId>,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let page: Page<(Severity, RequestId)> =
        cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let filter = Filter {
        queue: Some(*id),
        open: Some(true),
        ..Filter::default()
    };
    let answer = caller.read(move |conn, caller| {
        let rows = store::most_urgent(conn, caller, &filter, page.after, page.fetch())?;
        if rows.is_empty() {
            queues::store::find(conn, *id)?.ok_or_else(|| Problem::not_found("queue"))?;
        }
        let Items { items, next_cursor } =
            cursors.cut(&page, rows, |row| (row.0.severity, row.0.id), |row| row)?;
        Answer::ok(&Items {
            items: view::requests(conn, caller, items)?,
            next_cursor,
        })
    });
    Ok(answer.await?.respond())
}

/// The request that a claim gave, and why this one.
#[derive(Debug, Serialize, ToSchema)]
struct Claimed {
    /// The request.
    service_request: RequestView,
    /// Why this one.
    reason: Reason,
}

/// Take the most urgent request of a queue; 204 when there is none
#[utoipa::path(operation_id = "claim_request", tag = "queues", params(("id" = QueueId, Path)), request_body = Empty, responses((status = 200, body = Claimed), (status = 204, description = "nothing waits")), security(("bearer" = [])))]
#[post("/queues/{id}/claim")]
async fn claim(caller: Caller, id: web::Path<QueueId>, form: Form<Empty>) -> Result<HttpResponse, Problem> {
    let done = caller.write(form.bytes, move |conn, caller| {
        match actions::claim(conn, caller, *id)? {
            None => Ok(Answer::nothing()),
            Some((row, reason)) => {
                let service_request = view::request(conn, caller, row)?;
                let version = service_request.version;
                Ok(Answer::ok(&Claimed {
                    service_request,
                    reason,
                })?
                .version(version))
            }
        }
    });
    done.await
}

/// Take the next step of the ladder now: to another queue, or tell the lead
#[utoipa::path(operation_id = "escalate_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Note, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[post("/service-requests/{id}/escalate")]
async fn escalate(caller: Caller, key: web::Path<String>, form: Form<Note>) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::escalate(conn, caller, &key, &value)?;
        let view = view::request(conn, caller, row)?;
        Ok(Answer::ok(&view)?.version(view.version))
    });
    done.await
}

/// Open requests that reach nobody on duty: there are none while the queues are staffed
#[utoipa::path(operation_id = "list_stranded", tag = "reports", responses((status = 200, body = Items<Stranded>)), security(("bearer" = [])))]
#[get("/reports/stranded")]
async fn list_stranded(caller: Caller) -> Result<HttpResponse, Problem> {
    let now = caller.now();
    let answer = caller.snapshot(move |conn, caller| {
        caller.require(Right::ReadReports)?;
        Answer::ok(&Items {
            items: climb::stranded(conn, now)?,
            next_cursor: None,
        })
    });
    Ok(answer.await?.respond())
}
