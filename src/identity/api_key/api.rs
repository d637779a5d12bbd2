//! API keys over HTTP.

use actix_web::{HttpResponse, delete, get, post, web};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::actions::{self, NewApiKey};
use super::{ApiKeyView, store};
use crate::db::ApiKeyId;
use crate::http::body::Empty;
use crate::http::{Answer, Cursors, Form, Items, Page, Pages, Query};
use crate::identity::Caller;
use crate::identity::caller::Disclosed;
use crate::problem::Problem;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(create).service(list).service(read).service(revoke);
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
struct Made<'a> {
    /// The key, shown once: send it as a bearer token.
    key: &'a str,
    /// What is kept.
    #[serde(flatten)]
    view: &'a ApiKeyView,
}

/// Create an API key
///
/// The key is in this answer and nowhere else; a repeated call with the same `Idempotency-Key` gets it without.
#[utoipa::path(operation_id = "create_api_key", tag = "people", request_body = NewApiKey, responses((status = 201, body = Made)), security(("bearer" = [])))]
#[post("/api-keys")]
async fn create(caller: Caller, form: Form<NewApiKey>) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write_secret(bytes, move |conn, caller| {
        let (key, view) = actions::create(conn, caller, &value)?;
        let place = format!("/v1/api-keys/{}", view.id);
        let shown = Answer::created(
            place.clone(),
            &Made {
                key: &key,
                view: &view,
            },
        )?;
        let kept = Answer::created(place, &view)?;
        Ok(Disclosed { shown, kept })
    });
    done.await
}

/// List API keys
#[utoipa::path(operation_id = "list_api_keys", tag = "people", params(Pages), responses((status = 200, body = Items<ApiKeyView>)), security(("bearer" = [])))]
#[get("/api-keys")]
async fn list(
    caller: Caller,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let page: Page<ApiKeyId> = cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, caller| {
        let rows = store::list(conn, actions::whose(caller), None, page.after, page.fetch())?;
        let view = |(key, role)| ApiKeyView::of(key, role);
        Answer::ok(&cursors.cut(&page, rows, |row| row.0.id, view)?)
    });
    Ok(answer.await?.respond())
}

/// Read an API key
#[utoipa::path(operation_id = "read_api_key", tag = "people", params(("id" = ApiKeyId, Path)), responses((status = 200, body = ApiKeyView)), security(("bearer" = [])))]
#[get("/api-keys/{id}")]
async fn read(caller: Caller, id: web::Path<ApiKeyId>) -> Result<HttpResponse, Problem> {
    let answer = caller.read(move |conn, caller| {
        let (key, role) = actions::visible(conn, caller, *id)?;
        Answer::ok(&ApiKeyView::of(key, role))
    });
    Ok(answer.await?.respond())
}

/// Revoke an API key, at once
#[utoipa::path(operation_id = "revoke_api_key", tag = "people", params(("id" = ApiKeyId, Path)), responses((status = 204, description = "it is revoked")), security(("bearer" = [])))]
#[delete("/api-keys/{id}")]
async fn revoke(caller: Caller, id: web::Path<ApiKeyId>, form: Form<Empty>) -> Result<HttpResponse, Problem> {
    let done = caller.write(form.bytes, move |conn, caller| {
        actions::revoke(conn, caller, *id)?;
        Ok(Answer::nothing())
    });
    done.await
}
