//! Calendars and policies over HTTP.

use actix_web::{HttpResponse, get, post, put, web};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::model::{CalendarView, NewCalendar, NewPolicies, Policy, PolicySet};
use super::{actions, store};
use crate::db::{CalendarId, Moment, PersonId};
use crate::http::body::Document;
use crate::http::{Answer, Cursors, Form, Items, Page, Pages, Query};
use crate::identity::Caller;
use crate::problem::Problem;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(read_policies)
        .service(replace_policies)
        .service(list_policy_sets)
        .service(read_policy_set)
        .service(create_calendar)
        .service(list_calendars)
        .service(read_calendar)
        .service(replace_calendar)
        .service(import_holidays);
}

/// A set of policies.
#[derive(Debug, Serialize, ToSchema)]
struct PolicySetView {
    /// Which set this is, from 1; 0 before there is any.
    version: i32,
    /// The policies.
    policies: Vec<Policy>,
    /// Who set them.
    author_id: Option<PersonId>,
    /// Since when they are in force.
    created_at: Option<Moment>,
}

impl From<PolicySet> for PolicySetView {
    fn from(set: PolicySet) -> Self {
        Self {
            version: set.version,
            policies: set.policies,
            author_id: Some(set.author_id),
            created_at: Some(set.created_at),
        }
    }
}

/// The SLA policies in force
#[utoipa::path(tag = "sla", responses((status = 200, body = PolicySetView)), security(("bearer" = [])))]
#[get("/sla-policies")]
async fn read_policies(caller: Caller) -> Result<HttpResponse, Problem> {
    let answer = caller.read(move |conn, _| {
        let none = PolicySetView {
            version: 0,
            policies: Vec::new(),
            author_id: None,
            created_at: None,
        };
        let set = store::policies(conn)?.map_or(none, PolicySetView::from);
        Ok(Answer::ok(&set)?.version(set.version))
    });
    Ok(answer.await?.respond())
}

/// Replace the SLA policies
#[utoipa::path(tag = "sla", request_body = NewPolicies, responses((status = 200, body = PolicySetView)), security(("bearer" = [])))]
#[put("/sla-policies")]
async fn replace_policies(caller: Caller, form: Form<NewPolicies>) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let set = PolicySetView::from(actions::replace_policies(conn, caller, &value)?);
        Ok(Answer::ok(&set)?.version(set.version))
    });
    done.await
}

/// All sets of SLA policies there ever were, the newest first
#[utoipa::path(tag = "sla", params(Pages), responses((status = 200, body = Items<PolicySetView>)), security(("bearer" = [])))]
#[get("/sla-policies/versions")]
async fn list_policy_sets(
    caller: Caller,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let page: Page<i32> = cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, _| {
        let rows = store::policy_sets(conn, page.after, page.fetch())?;
        Answer::ok(&cursors.cut(&page, rows, |set| set.version, PolicySetView::from)?)
    });
    Ok(answer.await?.respond())
}

/// One set of SLA policies, by its version
#[utoipa::path(tag = "sla", params(("id" = String, Path, description = "its version")), responses((status = 200, body = PolicySetView)), security(("bearer" = [])))]
#[get("/sla-policies/versions/{id}")]
async fn read_policy_set(caller: Caller, version: web::Path<String>) -> Result<HttpResponse, Problem> {
    let missing = || Problem::not_found("set of policies");
    let version: i32 = version.parse().map_err(|_| missing())?;
    let answer = caller.read(move |conn, _| {
        let set = store::policy_set(conn, version)?.ok_or_else(missing)?;
        Answer::ok(&PolicySetView::from(set))
    });
    Ok(answer.await?.respond())
}

/// Make a calendar
#[utoipa::path(tag = "sla", request_body = NewCalendar, responses((status = 201, body = CalendarView)), security(("bearer" = [])))]
#[post("/calendars")]
async fn create_calendar(caller: Caller, form: Form<NewCalendar>) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view = actions::create(conn, caller, &value)?;
        Ok(Answer::created(format!("/v1/calendars/{}", view.id), &view)?.version(view.version))
    });
    done.await
}

/// List calendars
#[utoipa::path(tag = "sla", params(Pages), responses((status = 200, body = Items<CalendarView>)), security(("bearer" = [])))]
#[get("/calendars")]
async fn list_calendars(
    caller: Caller,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let page: Page<CalendarId> = cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, _| {
        let rows = store::calendars(conn, page.after, page.fetch())?;
        let cut = cursors.cut(&page, rows, |calendar| calendar.id, |row| store::view(conn, row))?;
        let items = cut.items.into_iter().collect::<Result<Vec<_>, _>>()?;
        Answer::ok(&Items {
            items,
            next_cursor: cut.next_cursor,
        })
    });
    Ok(answer.await?.respond())
}

/// Read a calendar
#[utoipa::path(tag = "sla", params(("id" = CalendarId, Path)), responses((status = 200, body = CalendarView)), security(("bearer" = [])))]
#[get("/calendars/{id}")]
async fn read_calendar(caller: Caller, id: web::Path<CalendarId>) -> Result<HttpResponse, Problem> {
    let answer = caller.read(move |conn, _| {
        let found = store::calendar(conn, *id)?.ok_or_else(|| Problem::not_found("calendar"))?;
        let view = store::view(conn, found)?;
        Ok(Answer::ok(&view)?.version(view.version))
    });
    Ok(answer.await?.respond())
}

/// Replace a calendar, from now on
#[utoipa::path(tag = "sla", params(("id" = CalendarId, Path)), request_body = NewCalendar, responses((status = 200, body = CalendarView)), security(("bearer" = [])))]
#[put("/calendars/{id}")]
async fn replace_calendar(
    caller: Caller,
    id: web::Path<CalendarId>,
    form: Form<NewCalendar>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view = actions::replace(conn, caller, *id, &value)?;
        Ok(Answer::ok(&view)?.version(view.version))
    });
    done.await
}

/// Add the holidays of an iCalendar file
#[utoipa::path(tag = "sla", params(("id" = CalendarId, Path)), request_body(content = String, content_type = "text/calendar"), responses((status = 200, body = CalendarView)), security(("bearer" = [])))]
#[post("/calendars/{id}/holidays")]
async fn import_holidays(
    caller: Caller,
    id: web::Path<CalendarId>,
    file: Document,
) -> Result<HttpResponse, Problem> {
    let Document { text, bytes } = file;
    let done = caller.write(bytes, move |conn, caller| {
        let view = actions::import(conn, caller, *id, &text)?;
        Ok(Answer::ok(&view)?.version(view.version))
    });
    done.await
}
