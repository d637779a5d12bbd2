//! Signing in, tenants and users over HTTP.

use actix_web::{HttpResponse, get, post, web};
use garde::Validate;
use jsonwebtoken::jwk::JwkSet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::actions::{self, NewTenant, NewUser};
use super::model::{TenantView, UserView};
use super::tokens::Tokens;
use super::{Caller, Right, password, store};
use crate::clock::Clock;
use crate::db::{Db, PROVIDER, PersonId, Scope, TenantId};
use crate::http::{Answer, Cursors, Form, Items, Page, Pages, Query};
use crate::problem::{Code, Problem};
use crate::text;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(login)
        .service(me)
        .service(create_tenant)
        .service(list_tenants)
        .service(read_tenant)
        .service(create_user)
        .service(list_users);
}

/// Somebody signing in.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    /// The address.
    #[garde(length(chars, min = 1, max = 254))]
    email: String,
    /// The password.
    #[garde(length(chars, min = 1, max = 200))]
    password: String,
    /// Which tenant, for somebody who belongs to several.
    #[serde(default)]
    #[garde(skip)]
    tenant_id: Option<TenantId>,
}

/// A bearer token (RFC 6750 §4).
#[derive(Debug, Serialize, ToSchema)]
struct Session {
    /// The token.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds until it expires.
    expires_in: i64,
}

/// Sign in
#[utoipa::path(tag = "auth", request_body = Login, responses((status = 200, body = Session), (status = "4XX", description = "problem+json")))]
#[post("/auth/login")]
async fn login(
    form: Form<Login>,
    db: web::Data<Db>,
    tokens: web::Data<Tokens>,
    clock: web::Data<Clock>,
) -> Result<HttpResponse, Problem> {
    let Login {
        email,
        password,
        tenant_id,
    } = form.value;
    let email = text::email_address(&email);
    let found = db
        .read(move |conn| {
            let person = email
                .map(|email| store::person_by_email(conn, &email))
                .transpose()?
                .flatten();
            let memberships = person
                .as_ref()
                .map(|person| store::memberships_of(conn, person.id))
                .transpose()?;
            Ok(person.zip(memberships))
        })
        .await?;
    let hash = found
        .as_ref()
        .and_then(|(person, _)| person.password_hash.clone());
    let fits = password::verify(password, hash).await?;
    let refused = || Problem::new(Code::SignInFailed, "e-mail or password is wrong");
    let (person, memberships) = found
        .filter(|(person, _)| fits && !person.disabled)
        .ok_or_else(refused)?;
    let membership = actions::choose_membership(memberships, tenant_id)?;
    let access_token = tokens.mint(
        person.id,
        membership.tenant_id,
        membership.role,
        clock.now().into(),
    )?;
    let session = Session {
        access_token,
        token_type: "Bearer",
        expires_in: tokens.lifetime_seconds(),
    };
    Ok(HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .json(session))
}

/// Who am I
#[utoipa::path(tag = "auth", responses((status = 200, body = UserView), (status = "4XX", description = "problem+json")), security(("bearer" = [])))]
#[get("/me")]
async fn me(caller: Caller) -> Result<HttpResponse, Problem> {
    let answer = caller.read_here(|conn, caller| {
        let person = store::person(conn, caller.person())?.ok_or_else(|| Problem::not_found("user"))?;
        let membership = super::Membership {
            tenant_id: caller.tenant(),
            person_id: caller.person(),
            role: caller.role(),
            created_at: person.created_at,
        };
        Answer::ok(&UserView::of(person, &membership))
    });
    Ok(answer.await?.respond())
}

/// Create a tenant
#[utoipa::path(tag = "people", request_body = NewTenant, responses((status = 201, body = TenantView), (status = "4XX", description = "problem+json")), security(("bearer" = [])))]
#[post("/tenants")]
async fn create_tenant(caller: Caller, form: Form<NewTenant>) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view = actions::create_tenant(conn, caller, &value)?;
        Ok(Answer::created(format!("/v1/tenants/{}", view.id), &view)?.version(view.version))
    });
    done.await
}

/// List tenants
#[utoipa::path(tag = "people", params(Pages), responses((status = 200, body = Items<TenantView>), (status = "4XX", description = "problem+json")), security(("bearer" = [])))]
#[get("/tenants")]
async fn list_tenants(
    caller: Caller,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    caller.require(Right::ManageTenants)?;
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
#[utoipa::path(tag = "people", params(("id" = TenantId, Path)), responses((status = 200, body = TenantView), (status = "4XX", description = "problem+json")), security(("bearer" = [])))]
#[get("/tenants/{id}")]
async fn read_tenant(caller: Caller, id: web::Path<TenantId>) -> Result<HttpResponse, Problem> {
    let answer = caller.read(move |conn, caller| {
        let own = caller.scope() == Scope::Tenant(*id);
        if !own && !caller.is_staff() {
            return Err(Problem::not_found("tenant"));
        }
        let found = store::tenant(conn, *id)?.filter(|tenant| tenant.id != PROVIDER);
        let view = store::tenant_view(conn, found.ok_or_else(|| Problem::not_found("tenant"))?)?;
        Ok(Answer::ok(&view)?.version(view.version))
    });
    Ok(answer.await?.respond())
}

/// Create a user
#[utoipa::path(tag = "people", request_body = NewUser, responses((status = 201, body = UserView), (status = "4XX", description = "problem+json")), security(("bearer" = [])))]
#[post("/users")]
async fn create_user(caller: Caller, form: Form<NewUser>) -> Result<HttpResponse, Problem> {
    caller.require(Right::ManageUsers)?;
    let Form { value, bytes } = form;
    let hash = password::hash(value.password.clone()).await?;
    let done = caller.write(bytes, move |conn, caller| {
        let view = actions::create_user(conn, caller, &value, &hash)?;
        Answer::created(format!("/v1/users/{}", view.id), &view)
    });
    done.await
}

/// List users
#[utoipa::path(tag = "people", params(Pages), responses((status = 200, body = Items<UserView>), (status = "4XX", description = "problem+json")), security(("bearer" = [])))]
#[get("/users")]
async fn list_users(
    caller: Caller,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    caller.require(Right::ReadUsers)?;
    let page: Page<(PersonId, TenantId)> =
        cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, caller| {
        let tenant = match caller.scope() {
            Scope::Tenant(tenant) => Some(tenant),
            Scope::All => None,
        };
        let rows = store::members(conn, tenant, page.after, page.fetch())?;
        let key = |row: &(super::Person, super::Membership)| (row.1.person_id, row.1.tenant_id);
        Answer::ok(&cursors.cut(&page, rows, key, |(person, membership)| {
            UserView::of(person, &membership)
        })?)
    });
    Ok(answer.await?.respond())
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
