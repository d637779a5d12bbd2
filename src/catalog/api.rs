//! The catalog over HTTP.

use actix_web::{HttpResponse, get, post, web};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Entry, NewEntry};
use crate::http::{Answer, Cursors, Form, Items, Page, Pages, Query};
use crate::identity::Caller;
use crate::problem::Problem;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(create_service)
        .service(list_services)
        .service(create_region)
        .service(list_regions);
}

/// Add a service
#[utoipa::path(tag = "catalog", request_body = NewEntry, responses((status = 201, body = Entry)), security(("bearer" = [])))]
#[post("/services")]
async fn create_service(caller: Caller, form: Form<NewEntry>) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let entry = super::create_service(conn, caller, &value)?;
        Answer::created(format!("/v1/services/{}", entry.slug), &entry)
    });
    done.await
}

/// List services
#[utoipa::path(tag = "catalog", params(Pages), responses((status = 200, body = Items<Entry>)), security(("bearer" = [])))]
#[get("/services")]
async fn list_services(
    caller: Caller,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let page: Page<String> = cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, _| {
        let rows = super::list_services(conn, page.after.as_deref(), page.fetch())?;
        Answer::ok(&cursors.cut(&page, rows, |entry| entry.slug.clone(), |entry| entry)?)
    });
    Ok(answer.await?.respond())
}

/// Add a region
#[utoipa::path(tag = "catalog", request_body = NewEntry, responses((status = 201, body = Entry)), security(("bearer" = [])))]
#[post("/regions")]
async fn create_region(caller: Caller, form: Form<NewEntry>) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let entry = super::create_region(conn, caller, &value)?;
        Answer::created(format!("/v1/regions/{}", entry.slug), &entry)
    });
    done.await
}

/// List regions
#[utoipa::path(tag = "catalog", params(Pages), responses((status = 200, body = Items<Entry>)), security(("bearer" = [])))]
#[get("/regions")]
async fn list_regions(
    caller: Caller,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let page: Page<String> = cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, _| {
        let rows = super::list_regions(conn, page.after.as_deref(), page.fetch())?;
        Answer::ok(&cursors.cut(&page, rows, |entry| entry.slug.clone(), |entry| entry)?)
    });
    Ok(answer.await?.respond())
}
