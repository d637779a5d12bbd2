//! Tenants and users over HTTP. Signing in is in `session/api.rs`, what is one's own in `me.rs`.

use actix_web::{HttpResponse, delete, get, patch, post, put, web};
use jsonwebtoken::jwk::JwkSet;
use utoipa_actix_web::service_config::ServiceConfig;

use super::actions::tenant::{self, NewTenant, TenantChange};
use super::actions::user::{self, NewUser, UserChange};
use super::contacts::{self, NewContacts};
use super::keys::Secret;
use super::model::{TenantView, UserView};
use super::tokens::Tokens;
use super::{Caller, api_key, me, password, session, sso, store};
use crate::db::{PROVIDER, PersonId, TenantId};
use crate::http::body::Empty;
use crate::http::{Answer, Cursors, Form, Items, Page, Pages, Query};
use crate::problem::Problem;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .configure(session::api::routes)
        .configure(me::routes)
        .configure(api_key::api::routes)
        .configure(sso::api::routes)
        .service(create_tenant)
        .service(list_tenants)
        .service(read_tenant)
        .service(change_tenant)
        .service(set_contacts)
        .service(create_user)
        .service(list_users)
        .service(read_user)
        .service(change_user)
        .service(invite_user)
        .service(remove_second_factor);
}

/// Create a tenant
#[utoipa::path(tag = "people", request_body = NewTenant, responses((status = 201, body = TenantView)), security(("bearer" = [])))]
#[post("/tenants")]
async fn create_tenant(caller: Caller, form: Form<NewTenant>) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view = tenant::create_tenant(conn, caller, &value)?;
        Ok(Answer::created(format!("/v1/tenants/{}", view.id), &view)?.version(view.version))
    });
    done.await
}

/// List tenants
#[utoipa::path(tag = "people", params(Pages), responses((status = 200, body = Items<TenantView>)), security(("bearer" = [])))]
#[get("/tenants")]
async fn list_tenants(
    caller: Caller,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let page: Page<TenantId> = cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, _| {
        let rows = store::tenants(conn, page.after, page.fetch())?;
        let items = cursors.cut(
            &page,
            rows,
            |tenant| tenant.id,
            |tenant| store::tenant_view(conn, tenant),
        )?;
        let views = items.items.into_iter().collect::<Result<Vec<_>, _>>()?;
        Answer::ok(&Items {
            items: views,
            next_cursor: items.next_cursor,
        })
    });
    Ok(answer.await?.respond())
}

/// Read a tenant
#[utoipa::path(tag = "people", params(("id" = TenantId, Path)), responses((status = 200, body = TenantView)), security(("bearer" = [])))]
#[get("/tenants/{id}")]
async fn read_tenant(caller: Caller, id: web::Path<TenantId>) -> Result<HttpResponse, Problem> {
    let answer = caller.read(move |conn, caller| {
        let own = caller.scope().tenant() == Some(*id);
        if !own && !caller.is_staff() {
            return Err(Problem::not_found("tenant"));
        }
        let found = store::tenant(conn, *id)?.filter(|tenant| tenant.id != PROVIDER);
        let view = store::tenant_view(conn, found.ok_or_else(|| Problem::not_found("tenant"))?)?;
        Ok(Answer::ok(&view)?.version(view.version))
    });
    Ok(answer.await?.respond())
}

/// Change a tenant
#[utoipa::path(tag = "people", params(("id" = TenantId, Path)), request_body = TenantChange, responses((status = 200, body = TenantView)), security(("bearer" = [])))]
#[patch("/tenants/{id}")]
async fn change_tenant(
    caller: Caller,
    id: web::Path<TenantId>,
    form: Form<TenantChange>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view = tenant::change_tenant(conn, caller, *id, &value)?;
        Ok(Answer::ok(&view)?.version(view.version))
    });
    done.await
}

/// Name the contacts of a tenant, all of them
#[utoipa::path(tag = "people", params(("id" = TenantId, Path)), request_body = NewContacts, responses((status = 200, body = TenantView)), security(("bearer" = [])))]
#[put("/tenants/{id}/contacts")]
async fn set_contacts(
    caller: Caller,
    id: web::Path<TenantId>,
    form: Form<NewContacts>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view = contacts::set(conn, caller, *id, &value)?;
        Ok(Answer::ok(&view)?.version(view.version))
    });
    done.await
}

/// Create a user, or invite one
///
/// Without a password the user gets an invitation by mail.
#[utoipa::path(tag = "people", request_body = NewUser, responses((status = 201, body = UserView)), security(("bearer" = [])))]
#[post("/users")]
async fn create_user(
    caller: Caller,
    form: Form<NewUser>,
    seal: web::Data<Secret>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let hash = match value.password.clone() {
        Some(password) => Some(password::hash(password).await?),
        None => None,
    };
    let done = caller.write(bytes, move |conn, caller| {
        let view = user::create_user(conn, caller, &value, (hash.as_deref(), &seal))?;
        Ok(Answer::created(format!("/v1/users/{}", view.id), &view)?.version(view.version))
    });
    done.await
}

/// List users
#[utoipa::path(tag = "people", params(Pages), responses((status = 200, body = Items<UserView>)), security(("bearer" = [])))]
#[get("/users")]
async fn list_users(
    caller: Caller,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let page: Page<(PersonId, TenantId)> =
        cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, caller| {
        let rows = store::members(conn, caller.scope().tenant(), page.after, page.fetch())?;
        let key = |row: &(super::Person, super::Membership)| (row.1.person_id, row.1.tenant_id);
        Answer::ok(&cursors.cut(&page, rows, key, |(person, membership)| {
            UserView::of(person, &membership)
        })?)
    });
    Ok(answer.await?.respond())
}

/// Which tenant is meant, for staff, of somebody who belongs to several.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AtTenant {
    /// The tenant.
    tenant_id: Option<TenantId>,
}

/// Read a user
#[utoipa::path(tag = "people", params(("id" = PersonId, Path), AtTenant), responses((status = 200, body = UserView)), security(("bearer" = [])))]
#[get("/users/{id}")]
async fn read_user(
    caller: Caller,
    id: web::Path<PersonId>,
    query: Query<AtTenant>,
) -> Result<HttpResponse, Problem> {
    let answer = caller.read(move |conn, caller| {
        let (person, membership) = user::user(conn, caller, query.0.tenant_id, *id)?;
        let view = UserView::of(person, &membership);
        Ok(Answer::ok(&view)?.version(view.version))
    });
    Ok(answer.await?.respond())
}

/// Change or disable a user
#[utoipa::path(tag = "people", params(("id" = PersonId, Path), AtTenant), request_body = UserChange, responses((status = 200, body = UserView)), security(("bearer" = [])))]
#[patch("/users/{id}")]
async fn change_user(
    caller: Caller,
    id: web::Path<PersonId>,
    query: Query<AtTenant>,
    form: Form<UserChange>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view = user::change_user(conn, caller, (query.0.tenant_id, *id), &value)?;
        Ok(Answer::ok(&view)?.version(view.version))
    });
    done.await
}

/// Send the invitation of a user again
#[utoipa::path(tag = "people", params(("id" = PersonId, Path), AtTenant), request_body = Empty, responses((status = 204, description = "it is on its way")), security(("bearer" = [])))]
#[post("/users/{id}/invitation")]
async fn invite_user(
    caller: Caller,
    id: web::Path<PersonId>,
    query: Query<AtTenant>,
    form: Form<Empty>,
    seal: web::Data<Secret>,
) -> Result<HttpResponse, Problem> {
    let done = caller.write(form.bytes, move |conn, caller| {
        user::invite(conn, caller, (query.0.tenant_id, *id), &seal)?;
        Ok(Answer::nothing())
    });
    done.await
}

/// Take away the second factor of a user who has lost it
#[utoipa::path(tag = "people", params(("id" = PersonId, Path), AtTenant), responses((status = 204, description = "it is gone")), security(("bearer" = [])))]
#[delete("/users/{id}/second-factor")]
async fn remove_second_factor(
    caller: Caller,
    id: web::Path<PersonId>,
    query: Query<AtTenant>,
    form: Form<Empty>,
) -> Result<HttpResponse, Problem> {
    let done = caller.write(form.bytes, move |conn, caller| {
        user::remove_second_factor(conn, caller, (query.0.tenant_id, *id))?;
        Ok(Answer::nothing())
    });
    done.await
}

/// The public keys that access tokens are signed with (RFC 7517)
#[utoipa::path(tag = "auth", responses((status = 200, description = "a JWK set")))]
#[get("/.well-known/jwks.json")]
pub async fn jwks(tokens: web::Data<Tokens>) -> HttpResponse {
    let keys: JwkSet = tokens.keys().public();
    HttpResponse::Ok()
        .insert_header(("cache-control", "public, max-age=60"))
        .json(keys)
}
