//! Requests over HTTP. The line of a queue is in `line`.

use actix_web::{HttpResponse, delete, get, patch, post, put, web};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

use super::actions::{self, Filed};
use super::lifecycle::Status;
use super::line;
use super::model::{
    Assignment, Changes, Hold, Link, NewComment, NewRequest, Note, Rejection, Request, Resolution,
    TransferTo, Watchers,
};
use super::sla;
use super::sla::view::Explanation;
use super::store::{self, Filter, Key};
use super::view::{self, CommentView, EventView, RequestView};
use crate::db::{CommentId, Connection, IncidentId, PersonId, QueueId, RequestId, TenantId};
use crate::http::body::Empty;
use crate::http::{Answer, Cursors, Form, Items, Page, Pages, Query};
use crate::identity::{Caller, Right};
use crate::incidents;
use crate::journal;
use crate::problem::{Code, Problem};
use crate::queues::routing::Severity;
use crate::settings::Settings;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list)
        .service(file)
        .service(read)
        .service(comments)
        .service(comment)
        .service(history)
        .service(change)
        .service(read_sla)
        .service(assign)
        .service(release)
        .service(transfer)
        .service(await_customer)
        .service(hold)
        .service(resume)
        .service(resolve)
        .service(close)
        .service(reopen)
        .service(still_affected)
        .service(cancel)
        .service(reject)
        .service(link)
        .service(pin)
        .service(unpin)
        .service(watch)
        .service(unwatch)
        .service(of_incident)
        .configure(line::api::routes)
        .configure(super::attachments::api::routes)
        .configure(super::hand_overs::api::routes)
        .configure(super::rehearsal::api::routes)
        .configure(super::reports::api::routes);
}

fn answer(conn: &mut Connection, caller: &Caller, row: Request) -> Result<Answer, Problem> {
    let view = view::request(conn, caller, row)?;
    Ok(Answer::ok(&view)?.version(view.version))
}

/// Which requests are listed.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RequestQuery {
    /// In one of these states, separated by commas.
    status: Option<String>,
    /// Whether they are somebody's work still.
    open: Option<bool>,
    /// Of one of these severities, separated by commas.
    severity: Option<String>,
    /// Bound to this incident.
    incident_id: Option<IncidentId>,
    /// In this line; for staff.
    queue_id: Option<QueueId>,
    /// Of this agent; for staff.
    assignee_id: Option<PersonId>,
    /// Of this requester.
    requester_id: Option<PersonId>,
    /// About this service.
    service: Option<String>,
    /// About this region.
    region: Option<String>,
    /// Of this tenant; for staff.
    tenant_id: Option<TenantId>,
    /// 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// From `next_cursor`.
    cursor: Option<String>,
}

/// Each of the texts of a list that is separated by commas.
fn each<T>(texts: Option<&str>, what: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Problem> {
    let unknown = |text: &str| Problem::new(Code::InvalidQuery, format!("`{text}` is no {what}"));
    let texts = texts.iter().flat_map(|texts| texts.split(','));
    texts
        .map(|text| parse(text).ok_or_else(|| unknown(text)))
        .collect()
}

/// A slug in a query; what cannot be one is 400 and never reaches the database.
fn slug(field: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if crate::text::slug(&text, &()).is_err() => Err(Problem::new(
            Code::InvalidQuery,
            format!("{field} must be a slug"),
        )),
        text => Ok(text),
    }
}

impl RequestQuery {
    fn filter(self, caller: &Caller) -> Result<Filter, Problem> {
        let for_staff = self.tenant_id.is_some() || self.queue_id.is_some() || self.assignee_id.is_some();
        if for_staff && !caller.is_staff() {
            let detail = "tenant_id, queue_id and assignee_id are filters of staff";
            return Err(Problem::new(Code::InvalidQuery, detail));
        }
        Ok(Filter {
            tenant: self.tenant_id,
            statuses: each(self.status.as_deref(), "status of a request", Status::parse)?,
            open: self.open,
            severities: each(self.severity.as_deref(), "severity", Severity::parse)?,
            incident: self.incident_id,
            queue: self.queue_id,
            assignee: self.assignee_id,
            requester: self.requester_id,
            service: slug("service", self.service)?,
            region: slug("region", self.region)?,
        })
    }
}

async fn newest(
    caller: Caller,
    query: RequestQuery,
    cursors: web::Data<Cursors>,
    check: impl FnOnce(&mut Connection, &Caller) -> Result<(), Problem> + Send + 'static,
) -> Result<HttpResponse, Problem> {
    let page: Page<RequestId> = cursors.page(query.limit, query.cursor.as_deref(), caller.binding())?;
    let filter = query.filter(&caller)?;
    let answer = caller.read(move |conn, caller| {
        check(conn, caller)?;
        let rows = store::newest(conn, caller, &filter, page.after, page.fetch())?;
        let Items { items, next_cursor } = cursors.cut(&page, rows, |row| row.0.id, |row| row)?;
        Answer::ok(&Items {
            items: view::requests(conn, caller, items)?,
            next_cursor,
        })
    });
    Ok(answer.await?.respond())
}

/// List requests, the newest first
#[utoipa::path(operation_id = "list_requests", tag = "requests", params(RequestQuery), responses((status = 200, body = Items<RequestView>)), security(("bearer" = [])))]
#[get("/service-requests")]
async fn list(
    caller: Caller,
    query: Query<RequestQuery>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    newest(caller, query.0, cursors, |_, _| Ok(())).await
}

/// The requests of an incident, the newest first
#[utoipa::path(operation_id = "list_requests_of_incident", tag = "incidents", params(("id" = IncidentId, Path), Pages), responses((status = 200, body = Items<RequestView>)), security(("bearer" = [])))]
#[get("/incidents/{id}/service-requests")]
async fn of_incident(
    caller: Caller,
    id: web::Path<IncidentId>,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let Pages { limit, cursor } = query.0;
    let query = RequestQuery {
        incident_id: Some(*id),
        limit,
        cursor,
        ..RequestQuery::default()
    };
    newest(caller, query, cursors, move |conn, caller| {
        let found = incidents::store::visible(conn, caller.scope(), caller.may(Right::ReadDrafts), *id)?;
        found.map(|_| ()).ok_or_else(|| Problem::not_found("incident"))
    })
    .await
}

/// File a request
#[utoipa::path(operation_id = "file_request", tag = "requests", request_body = NewRequest, responses((status = 201, body = RequestView)), security(("bearer" = [])))]
#[post("/service-requests")]
async fn file(caller: Caller, form: Form<NewRequest>) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let Filed {
            request,
            names,
            matching,
        } = actions::file(conn, caller, &value)?;
        let view = RequestView::new(request, names, caller.may(Right::SeeInternals));
        let view = RequestView {
            matching_incidents: matching,
            ..view
        };
        Ok(Answer::created(format!("/v1/service-requests/{}", view.id), &view)?.version(view.version))
    });
    done.await
}

/// Read a request
#[utoipa::path(operation_id = "read_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[get("/service-requests/{id}")]
async fn read(caller: Caller, key: web::Path<String>) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let done = caller.read_here(move |conn, caller| {
        let (row, names, watchers) = store::read(conn, caller, &key)?;
        let sla = sla::view::of_one(conn, &row)?;
        let view = view::named(caller, row, names, (watchers, sla));
        Ok(Answer::ok(&view)?.version(view.version))
    });
    Ok(done.await?.respond())
}

/// The conversation, oldest first
#[utoipa::path(operation_id = "list_comments", tag = "requests", params(("id" = String, Path, description = "id or reference"), Pages), responses((status = 200, body = Items<CommentView>)), security(("bearer" = [])))]
#[get("/service-requests/{id}/comments")]
async fn comments(
    caller: Caller,
    key: web::Path<String>,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let page: Page<CommentId> = cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, caller| {
        let request = store::visible(conn, caller, &key)?;
        let internal = caller.may(Right::SeeInternals);
        let rows = store::comments(conn, &request, internal, page.after, page.fetch())?;
        Answer::ok(&cursors.cut(&page, rows, |row| row.id, |row| view::comment(internal, row))?)
    });
    Ok(answer.await?.respond())
}

/// Comment
#[utoipa::path(operation_id = "comment_on_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = NewComment, responses((status = 201, body = CommentView)), security(("bearer" = [])))]
#[post("/service-requests/{id}/comments")]
async fn comment(
    caller: Caller,
    key: web::Path<String>,
    form: Form<NewComment>,
) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let (request, comment) = actions::comment(conn, caller, &key, &value)?;
        let location = format!("/v1/service-requests/{}/comments/{}", request.id, comment.id);
        Answer::created(location, &view::comment(caller.may(Right::SeeInternals), comment))
    });
    done.await
}

/// The history, oldest first
#[utoipa::path(operation_id = "list_history", tag = "requests", params(("id" = String, Path, description = "id or reference"), Pages), responses((status = 200, body = Items<EventView>)), security(("bearer" = [])))]
#[get("/service-requests/{id}/history")]
async fn history(
    caller: Caller,
    key: web::Path<String>,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let page: Page<i32> = cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, caller| {
        let request = store::visible(conn, caller, &key)?;
        let whose = (request.tenant_id, request.id);
        let internal = caller.may(Right::SeeInternals);
        let rows = journal::history(conn, whose, internal, page.after.unwrap_or(0), page.fetch())?;
        Answer::ok(&cursors.cut(&page, rows, |row| row.seq, |row| view::event(internal, row))?)
    });
    Ok(answer.await?.respond())
}

/// Change severity, subject, tags or contact
#[utoipa::path(operation_id = "change_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Changes, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[patch("/service-requests/{id}")]
async fn change(
    caller: Caller,
    key: web::Path<String>,
    form: Form<Changes>,
) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::alter(conn, caller, &key, &value)?;
        answer(conn, caller, row)
    });
    done.await
}

/// How soon it is to be answered and over, and why: the clocks, explained
#[utoipa::path(operation_id = "read_sla", tag = "requests", params(("id" = String, Path, description = "id or reference")), responses((status = 200, body = Explanation)), security(("bearer" = [])))]
#[get("/service-requests/{id}/sla")]
async fn read_sla(caller: Caller, key: web::Path<String>) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let answer = caller.read(move |conn, caller| {
        let request = store::visible(conn, caller, &key)?;
        Answer::ok(&sla::view::explain(conn, &request, caller.now())?)
    });
    Ok(answer.await?.respond())
}

/// Give it to an agent; to oneself: take it
#[utoipa::path(operation_id = "assign_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Assignment, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[post("/service-requests/{id}/assign")]
async fn assign(
    caller: Caller,
    key: web::Path<String>,
    form: Form<Assignment>,
) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::assign(conn, caller, &key, &value)?;
        answer(conn, caller, row)
    });
    done.await
}

/// Put it back into the line
#[utoipa::path(operation_id = "release_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Note, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[post("/service-requests/{id}/release")]
async fn release(caller: Caller, key: web::Path<String>, form: Form<Note>) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::release(conn, caller, &key, &value)?;
        answer(conn, caller, row)
    });
    done.await
}

/// Move it into another line
#[utoipa::path(operation_id = "transfer_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = TransferTo, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[post("/service-requests/{id}/transfer")]
async fn transfer(
    caller: Caller,
    key: web::Path<String>,
    form: Form<TransferTo>,
) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::transfer(conn, caller, &key, &value)?;
        answer(conn, caller, row)
    });
    done.await
}

/// Ask the customer
#[utoipa::path(tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Note, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[post("/service-requests/{id}/await-customer")]
async fn await_customer(
    caller: Caller,
    key: web::Path<String>,
    form: Form<Note>,
) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::await_customer(conn, caller, &key, &value)?;
        answer(conn, caller, row)
    });
    done.await
}

/// Let it wait for something else
#[utoipa::path(operation_id = "hold_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Hold, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[post("/service-requests/{id}/hold")]
async fn hold(caller: Caller, key: web::Path<String>, form: Form<Hold>) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::hold(conn, caller, &key, &value)?;
        answer(conn, caller, row)
    });
    done.await
}

/// Go on with it
#[utoipa::path(operation_id = "resume_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Note, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[post("/service-requests/{id}/resume")]
async fn resume(caller: Caller, key: web::Path<String>, form: Form<Note>) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::resume(conn, caller, &key, &value)?;
        answer(conn, caller, row)
    });
    done.await
}

/// Answer it
#[utoipa::path(operation_id = "resolve_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Resolution, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[post("/service-requests/{id}/resolve")]
async fn resolve(
    caller: Caller,
    key: web::Path<String>,
    form: Form<Resolution>,
) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::resolve(conn, caller, &key, &value)?;
        answer(conn, caller, row)
    });
    done.await
}

/// End it for good
#[utoipa::path(operation_id = "close_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Note, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[post("/service-requests/{id}/close")]
async fn close(caller: Caller, key: web::Path<String>, form: Form<Note>) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::close(conn, caller, &key, &value)?;
        answer(conn, caller, row)
    });
    done.await
}

/// The answer was none
#[utoipa::path(operation_id = "reopen_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Note, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[post("/service-requests/{id}/reopen")]
async fn reopen(
    caller: Caller,
    key: web::Path<String>,
    form: Form<Note>,
    settings: web::Data<Settings>,
) -> Result<HttpResponse, Problem> {
    let window = settings.reopen_window;
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::reopen(conn, caller, &key, &value, window)?;
        answer(conn, caller, row)
    });
    done.await
}

/// The incident is over, and not for this tenant
#[utoipa::path(tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Note, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[post("/service-requests/{id}/still-affected")]
async fn still_affected(
    caller: Caller,
    key: web::Path<String>,
    form: Form<Note>,
) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::still_affected(conn, caller, &key, &value)?;
        answer(conn, caller, row)
    });
    done.await
}

/// Take it back
#[utoipa::path(operation_id = "cancel_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Note, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[post("/service-requests/{id}/cancel")]
async fn cancel(caller: Caller, key: web::Path<String>, form: Form<Note>) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::cancel(conn, caller, &key, &value)?;
        answer(conn, caller, row)
    });
    done.await
}

/// It is none
#[utoipa::path(operation_id = "reject_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Rejection, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[post("/service-requests/{id}/reject")]
async fn reject(
    caller: Caller,
    key: web::Path<String>,
    form: Form<Rejection>,
) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::reject(conn, caller, &key, &value)?;
        answer(conn, caller, row)
    });
    done.await
}

/// Bind it to an incident
#[utoipa::path(operation_id = "link_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Link, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[put("/service-requests/{id}/incident")]
async fn link(caller: Caller, key: web::Path<String>, form: Form<Link>) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::link(conn, caller, &key, &value)?;
        answer(conn, caller, row)
    });
    done.await
}

/// Keep it out of the cascade
#[utoipa::path(operation_id = "pin_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Empty, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[put("/service-requests/{id}/pin")]
async fn pin(caller: Caller, key: web::Path<String>, form: Form<Empty>) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let done = caller.write(form.bytes, move |conn, caller| {
        let row = actions::pin(conn, caller, &key)?;
        answer(conn, caller, row)
    });
    done.await
}

/// Let it follow its incident again
#[utoipa::path(operation_id = "unpin_request", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Empty, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[delete("/service-requests/{id}/pin")]
async fn unpin(caller: Caller, key: web::Path<String>, form: Form<Empty>) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let done = caller.write(form.bytes, move |conn, caller| {
        let row = actions::unpin(conn, caller, &key)?;
        answer(conn, caller, row)
    });
    done.await
}

/// Add watchers
#[utoipa::path(operation_id = "add_watchers", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Watchers, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[put("/service-requests/{id}/watchers")]
async fn watch(
    caller: Caller,
    key: web::Path<String>,
    form: Form<Watchers>,
) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::watch(conn, caller, &key, &value)?;
        answer(conn, caller, row)
    });
    done.await
}

/// Take watchers away
#[utoipa::path(operation_id = "remove_watchers", tag = "requests", params(("id" = String, Path, description = "id or reference")), request_body = Watchers, responses((status = 200, body = RequestView)), security(("bearer" = [])))]
#[delete("/service-requests/{id}/watchers")]
async fn unwatch(
    caller: Caller,
    key: web::Path<String>,
    form: Form<Watchers>,
) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let row = actions::unwatch(conn, caller, &key, &value)?;
        answer(conn, caller, row)
    });
    done.await
}
