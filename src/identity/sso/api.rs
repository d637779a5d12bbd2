//! Identity providers over HTTP. Signing in with one is in `visit.rs`.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use utoipa_actix_web::service_config::ServiceConfig;

use super::actions::{self, IdentityProviderChange, NewIdentityProvider, Ours};
use super::model::IdentityProviderView;
use super::{store, visit};
use crate::db::IdentityProviderId;
use crate::http::body::Empty;
use crate::http::{Answer, Cursors, Form, Items, Page, Pages, Query};
use crate::identity::Caller;
use crate::identity::keys::Secret;
use crate::identity::tokens::Tokens;
use crate::problem::Problem;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .configure(visit::routes)
        .service(create)
        .service(list)
        .service(read)
        .service(change)
        .service(remove);
}

/// Register an identity provider
#[utoipa::path(operation_id = "create_identity_provider", tag = "people", request_body = NewIdentityProvider, responses((status = 201, body = IdentityProviderView)), security(("bearer" = [])))]
#[post("/identity-providers")]
async fn create(
    caller: Caller,
    form: Form<NewIdentityProvider>,
    seal: web::Data<Secret>,
    tokens: web::Data<Tokens>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let ours = Ours {
            seal: &seal,
            issuer: tokens.issuer(),
        };
        let view: IdentityProviderView = actions::register(conn, caller, &value, &ours)?.into();
        Ok(Answer::created(format!("/v1/identity-providers/{}", view.id), &view)?.version(view.version))
    });
    done.await
}

/// List identity providers
#[utoipa::path(operation_id = "list_identity_providers", tag = "people", params(Pages), responses((status = 200, body = Items<IdentityProviderView>)), security(("bearer" = [])))]
#[get("/identity-providers")]
async fn list(
    caller: Caller,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let page: Page<IdentityProviderId> =
        cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, _| {
        let rows = store::list(conn, page.after, page.fetch())?;
        Answer::ok(&cursors.cut(&page, rows, |provider| provider.id, IdentityProviderView::from)?)
    });
    Ok(answer.await?.respond())
}

/// Read an identity provider
#[utoipa::path(operation_id = "read_identity_provider", tag = "people", params(("id" = IdentityProviderId, Path)), responses((status = 200, body = IdentityProviderView)), security(("bearer" = [])))]
#[get("/identity-providers/{id}")]
async fn read(caller: Caller, id: web::Path<IdentityProviderId>) -> Result<HttpResponse, Problem> {
    let answer = caller.read_here(move |conn, caller| {
        let view: IdentityProviderView = actions::visible(conn, caller, *id)?.into();
        Ok(Answer::ok(&view)?.version(view.version))
    });
    Ok(answer.await?.respond())
}

/// Change or disable an identity provider
///
/// Whoever signed in with one that is disabled is out.
#[utoipa::path(operation_id = "change_identity_provider", tag = "people", params(("id" = IdentityProviderId, Path)), request_body = IdentityProviderChange, responses((status = 200, body = IdentityProviderView)), security(("bearer" = [])))]
#[patch("/identity-providers/{id}")]
async fn change(
    caller: Caller,
    id: web::Path<IdentityProviderId>,
    form: Form<IdentityProviderChange>,
    seal: web::Data<Secret>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view: IdentityProviderView = actions::change(conn, caller, *id, &value, &seal)?.into();
        Ok(Answer::ok(&view)?.version(view.version))
    });
    done.await
}

/// Remove an identity provider
///
/// Whoever signed in with it is out. Its people stay, and need another way in.
#[utoipa::path(operation_id = "remove_identity_provider", tag = "people", params(("id" = IdentityProviderId, Path)), responses((status = 204, description = "it is gone")), security(("bearer" = [])))]
#[delete("/identity-providers/{id}")]
async fn remove(
    caller: Caller,
    id: web::Path<IdentityProviderId>,
    form: Form<Empty>,
) -> Result<HttpResponse, Problem> {
    let done = caller.write(form.bytes, move |conn, caller| {
        actions::remove(conn, caller, *id)?;
        Ok(Answer::nothing())
    });
    done.await
}
