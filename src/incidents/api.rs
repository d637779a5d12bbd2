//! Incidents over HTTP.

use actix_web::{HttpResponse, get, patch, post, put, web};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

use super::actions;
use super::lifecycle::Status;
use super::model::{Amendment, IncidentView, Merge, NewIncident, NewUpdate, Publish, Resolve, Statement};
use super::rehearsal::{DryRun, rehearse};
use super::store::{self, WithBroadcast};
use crate::db::{Connection, IncidentId};
use crate::http::body::Empty;
use crate::http::{Answer, Cursors, Form, Items, Page, Pages, Query};
use crate::identity::{Caller, Right};
use crate::mail::{self, BroadcastView, Rehearsal};
use crate::problem::{Code, Problem};
use crate::settings::Settings;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list)
        .service(open)
        .service(read)
        .service(amend)
        .service(publish)
        .service(update)
        .service(resolve)
        .service(reopen)
        .service(false_positive)
        .service(merge)
        .service(report)
        .service(cancel)
        .service(broadcasts);
}

/// The incident as this caller sees it.
fn view(conn: &mut Connection, caller: &Caller, found: WithBroadcast) -> Result<IncidentView, Problem> {
    super::view::of(conn, caller.scope(), caller.may(Right::ReadDrafts), found)
}

fn answer(conn: &mut Connection, caller: &Caller, done: WithBroadcast) -> Result<Answer, Problem> {
    let view = view(conn, caller, done)?;
    Ok(Answer::ok(&view)?.version(view.version))
}

/// Which incidents are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct IncidentQuery {
    /// In one of these states, separated by commas.
    status: Option<String>,
    /// 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// From `next_cursor`.
    cursor: Option<String>,
}

impl IncidentQuery {
    fn statuses(&self) -> Result<Vec<Status>, Problem> {
        let unknown = |text: &str| {
            Problem::new(
                Code::InvalidQuery,
                format!("`{text}` is no status of an incident"),
            )
        };
        let texts = self.status.iter().flat_map(|texts| texts.split(','));
        texts
            .map(|text| Status::parse(text).ok_or_else(|| unknown(text)))
            .collect()
    }
}

/// List incidents, active ones first, then the newest
#[utoipa::path(operation_id = "list_incidents", tag = "incidents", params(IncidentQuery), responses((status = 200, body = Items<IncidentView>)), security(("bearer" = [])))]
#[get("/incidents")]
async fn list(
    caller: Caller,
    query: Query<IncidentQuery>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let page: Page<(i16, IncidentId)> =
        cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let statuses = query.0.statuses()?;
    let answer = caller.read(move |conn, caller| {
        let drafts = caller.may(Right::ReadDrafts);
        let rows = store::list(conn, caller.scope(), drafts, &statuses, page.after, page.fetch())?;
        let items = cursors.cut(
            &page,
            rows,
            |row| (row.standing, row.id),
            |row| view(conn, caller, (row, None)),
        )?;
        let views = items.items.into_iter().collect::<Result<Vec<_>, _>>()?;
        Answer::ok(&Items {
            items: views,
            next_cursor: items.next_cursor,
        })
    });
    Ok(answer.await?.respond())
}

/// Open an incident, or draft one
#[utoipa::path(operation_id = "open_incident", tag = "incidents", request_body = NewIncident, responses((status = 201, body = IncidentView)), security(("bearer" = [])))]
#[post("/incidents")]
async fn open(caller: Caller, form: Form<NewIncident>) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let opened = actions::open(conn, caller, &value)?;
        let view = view(conn, caller, opened)?;
        Ok(Answer::created(format!("/v1/incidents/{}", view.id), &view)?.version(view.version))
    });
    done.await
}

/// Read an incident
#[utoipa::path(operation_id = "read_incident", tag = "incidents", params(("id" = IncidentId, Path)), responses((status = 200, body = IncidentView)), security(("bearer" = [])))]
#[get("/incidents/{id}")]
async fn read(caller: Caller, id: web::Path<IncidentId>) -> Result<HttpResponse, Problem> {
    let done = caller.read(move |conn, caller| {
        let found = store::visible(conn, caller.scope(), caller.may(Right::ReadDrafts), *id)?;
        answer(
            conn,
            caller,
            (found.ok_or_else(|| Problem::not_found("incident"))?, None),
        )
    });
    Ok(done.await?.respond())
}

/// Change what a draft or an active incident says of itself
///
/// What it affects is told to everyone who was told of it, also to those whom it no longer affects.
#[utoipa::path(operation_id = "change_incident", tag = "incidents", params(("id" = IncidentId, Path)), request_body = Amendment, responses((status = 200, body = IncidentView)), security(("bearer" = [])))]
#[patch("/incidents/{id}")]
async fn amend(
    caller: Caller,
    id: web::Path<IncidentId>,
    form: Form<Amendment>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let done = actions::amend(conn, caller, *id, &value)?;
        answer(conn, caller, done)
    });
    done.await
}

/// Publish a draft
#[utoipa::path(operation_id = "publish_incident", tag = "incidents", params(("id" = IncidentId, Path)), request_body = Publish, responses((status = 200, body = IncidentView)), security(("bearer" = [])))]
#[post("/incidents/{id}/publish")]
async fn publish(
    caller: Caller,
    id: web::Path<IncidentId>,
    form: Form<Publish>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let done = actions::publish(conn, caller, *id, &value)?;
        answer(conn, caller, done)
    });
    done.await
}

/// Add to the timeline
#[utoipa::path(operation_id = "update_incident", tag = "incidents", params(("id" = IncidentId, Path)), request_body = NewUpdate, responses((status = 200, body = IncidentView)), security(("bearer" = [])))]
#[post("/incidents/{id}/updates")]
async fn update(
    caller: Caller,
    id: web::Path<IncidentId>,
    form: Form<NewUpdate>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let done = actions::update(conn, caller, *id, &value)?;
        answer(conn, caller, done)
    });
    done.await
}

/// Resolve: everyone who was told it began is told that it is over
#[utoipa::path(operation_id = "resolve_incident", tag = "incidents", params(("id" = IncidentId, Path), DryRun), request_body = Resolve, responses((status = 200, body = IncidentView)), security(("bearer" = [])))]
#[post("/incidents/{id}/resolve")]
async fn resolve(
    caller: Caller,
    id: web::Path<IncidentId>,
    query: Query<DryRun>,
    form: Form<Resolve>,
    rehearsal: web::Data<Rehearsal>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    if query.0.dry_run {
        let act = move |conn: &mut Connection, caller: &Caller| actions::resolve(conn, caller, *id, &value);
        return rehearse(caller, rehearsal.get_ref().clone(), act).await;
    }
    let done = caller.write(bytes, move |conn, caller| {
        let done = actions::resolve(conn, caller, *id, &value)?;
        answer(conn, caller, done)
    });
    done.await
}

/// Reopen
#[utoipa::path(operation_id = "reopen_incident", tag = "incidents", params(("id" = IncidentId, Path)), request_body = Statement, responses((status = 200, body = IncidentView)), security(("bearer" = [])))]
#[post("/incidents/{id}/reopen")]
async fn reopen(
    caller: Caller,
    id: web::Path<IncidentId>,
    form: Form<Statement>,
    settings: web::Data<Settings>,
) -> Result<HttpResponse, Problem> {
    let window = settings.incident_reopen_window;
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let done = actions::reopen(conn, caller, *id, &value, window)?;
        answer(conn, caller, done)
    });
    done.await
}

/// Nothing was wrong
#[utoipa::path(operation_id = "mark_false_positive", tag = "incidents", params(("id" = IncidentId, Path)), request_body = Statement, responses((status = 200, body = IncidentView)), security(("bearer" = [])))]
#[post("/incidents/{id}/false-positive")]
async fn false_positive(
    caller: Caller,
    id: web::Path<IncidentId>,
    form: Form<Statement>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let done = actions::false_positive(conn, caller, *id, &value)?;
        answer(conn, caller, done)
    });
    done.await
}

/// It is another incident: it goes on as that
#[utoipa::path(operation_id = "merge_incident", tag = "incidents", params(("id" = IncidentId, Path)), request_body = Merge, responses((status = 200, body = IncidentView)), security(("bearer" = [])))]
#[post("/incidents/{id}/duplicate")]
async fn merge(
    caller: Caller,
    id: web::Path<IncidentId>,
    form: Form<Merge>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let done = actions::merge(conn, caller, *id, &value)?;
        answer(conn, caller, done)
    });
    done.await
}

/// Publish the post-incident report
#[utoipa::path(operation_id = "report_incident", tag = "incidents", params(("id" = IncidentId, Path)), request_body = Statement, responses((status = 200, body = IncidentView)), security(("bearer" = [])))]
#[put("/incidents/{id}/report")]
async fn report(
    caller: Caller,
    id: web::Path<IncidentId>,
    form: Form<Statement>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let done = actions::report(conn, caller, *id, &value)?;
        answer(conn, caller, done)
    });
    done.await
}

/// Throw a draft away
#[utoipa::path(operation_id = "cancel_incident", tag = "incidents", params(("id" = IncidentId, Path)), request_body = Empty, responses((status = 200, body = IncidentView)), security(("bearer" = [])))]
#[post("/incidents/{id}/cancel")]
async fn cancel(
    caller: Caller,
    id: web::Path<IncidentId>,
    form: Form<Empty>,
) -> Result<HttpResponse, Problem> {
    let done = caller.write(form.bytes, move |conn, caller| {
        let done = actions::cancel(conn, caller, *id)?;
        answer(conn, caller, done)
    });
    done.await
}

/// The broadcasts of an incident
#[utoipa::path(operation_id = "list_broadcasts", tag = "incidents", params(("id" = IncidentId, Path), Pages), responses((status = 200, body = Items<BroadcastView>)), security(("bearer" = [])))]
#[get("/incidents/{id}/broadcasts")]
async fn broadcasts(
    caller: Caller,
    id: web::Path<IncidentId>,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let page: Page<i32> = cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, caller| {
        store::find(conn, *id)?.ok_or_else(|| Problem::not_found("incident"))?;
        let rows = mail::broadcasts::of_incident(conn, *id, page.after.unwrap_or(0), page.fetch())?;
        let items = cursors.cut(
            &page,
            rows,
            |row| row.seq,
            |row| mail::broadcasts::view(conn, row, caller.now()),
        )?;
        let views = items.items.into_iter().collect::<Result<Vec<_>, _>>()?;
        Answer::ok(&Items {
            items: views,
            next_cursor: items.next_cursor,
        })
    });
    Ok(answer.await?.respond())
}
