//! Signing in and out, and one's sessions, over HTTP.

use actix_web::{HttpResponse, delete, get, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Client, Lasting, Policy, Session};
use crate::clock::Clock;
use crate::db::{Db, Moment, Scope, SessionId, TenantId};
use crate::http::body::Empty;
use crate::http::{Answer, Cursors, Form, Items, Page, Pages, Query};
use crate::identity::tokens::Tokens;
use crate::identity::{Caller, refusals, sign_in};
use crate::problem::{Code, Problem};
use crate::text;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(login)
        .service(refresh)
        .service(logout)
        .service(list)
        .service(end_all)
        .service(end);
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
    /// A code of the authenticator, or a recovery code, where there is a second factor.
    #[serde(default)]
    #[garde(inner(custom(text::line::<40>)))]
    code: Option<String>,
}

/// An access token (RFC 6750 §4) and the token that the session goes on with.
#[derive(Debug, Serialize, ToSchema)]
pub struct Grant {
    /// The token.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds until it expires.
    expires_in: i64,
    /// Is taken for the next pair, once.
    refresh_token: String,
    /// Whether nothing but setting up a second factor is allowed until then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    second_factor_needed: bool,
}

/// The answer that a session begins or goes on with; nobody may keep it (RFC 6749 §5.1).
pub fn grant(lasting: Lasting, tokens: &Tokens, now: Moment) -> Result<HttpResponse, Problem> {
    let grant = Grant {
        access_token: tokens.of_session(&lasting, now)?,
        token_type: "Bearer",
        expires_in: tokens.lifetime_seconds(),
        refresh_token: lasting.refresh_token,
        second_factor_needed: lasting.must_enrol,
    };
    Ok(HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .json(grant))
}

/// Sign in
#[utoipa::path(tag = "auth", request_body = Login, responses((status = 200, body = Grant)))]
#[post("/auth/login")]
async fn login(
    form: Form<Login>,
    client: Client,
    ground: sign_in::Ground,
    tokens: web::Data<Tokens>,
) -> Result<HttpResponse, Problem> {
    let Login {
        email,
        password,
        tenant_id,
        code,
    } = form.value;
    let now = ground.now();
    let proven = ground
        .password((&email, tenant_id), password, client.address)
        .await?;
    let lasting = ground.begin(proven, code, client).await?;
    grant(lasting, &tokens, now)
}

/// A refresh token.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct Refresh {
    /// From the last answer.
    #[garde(custom(text::line::<200>))]
    refresh_token: String,
}

/// Take a refresh token for the next pair
///
/// Each is used once. One that comes back a second time ends its session: it was stolen from somebody.
#[utoipa::path(tag = "auth", request_body = Refresh, responses((status = 200, body = Grant)))]
#[post("/auth/refresh")]
async fn refresh(
    form: Form<Refresh>,
    client: Client,
    db: web::Data<Db>,
    clock: web::Data<Clock>,
    policy: web::Data<Policy>,
    tokens: web::Data<Tokens>,
) -> Result<HttpResponse, Problem> {
    let (now, policy) = (clock.now().into(), *policy.get_ref());
    let token = form.value.refresh_token;
    let lasting = db.write(Scope::of_system(), move |conn| {
        match super::refresh(conn, &token, &client, policy, now)? {
            Ok(lasting) => Ok(Some(lasting)),
            Err(tenant) => {
                refusals::refresh(conn, tenant, client.address, now)?;
                Ok(None)
            }
        }
    });
    let refused = || {
        Problem::new(
            Code::Unauthenticated,
            "the refresh token is not valid (any more): sign in",
        )
    };
    grant(lasting.await?.ok_or_else(refused)?, &tokens, now)
}

/// The session to end: by its refresh token, or else that of the access token.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct Logout {
    /// From the last answer.
    #[serde(default)]
    #[garde(inner(custom(text::line::<200>)))]
    refresh_token: Option<String>,
}

/// Sign out
///
/// Ends the session of the refresh token, or without one that of the access token. A refresh token that is none (any
/// more) is no error (RFC 7009 §2.2).
#[utoipa::path(tag = "auth", request_body = Logout, responses((status = 204, description = "signed out")), security((), ("bearer" = [])))]
#[post("/auth/logout")]
async fn logout(
    caller: Result<Caller, Problem>,
    form: Form<Logout>,
    client: Client,
    db: web::Data<Db>,
    clock: web::Data<Clock>,
) -> Result<HttpResponse, Problem> {
    let now = clock.now().into();
    match form.value.refresh_token {
        Some(token) => {
            db.write(Scope::of_system(), move |conn| {
                super::end_by_token(conn, &token, &client, now)
            })
            .await?
        }
        None => {
            let caller = caller?;
            db.write(caller.scope(), move |conn| {
                let session = match caller.session() {
                    Some(session) => super::store::find(conn, caller.tenant(), session)?,
                    None => None,
                };
                match session {
                    Some(session) => super::end(conn, &session, &caller.actor(), now).map(drop),
                    None => Ok(()),
                }
            })
            .await?;
        }
    }
    Ok(HttpResponse::NoContent().finish())
}

/// A session, as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
struct SessionView {
    /// The id.
    id: SessionId,
    /// Whether it is the one of this call.
    current: bool,
    /// Where it was last used.
    address: String,
    /// With what.
    agent: String,
    /// When somebody signed in.
    created_at: Moment,
    /// When it was last refreshed.
    last_used_at: Moment,
    /// When it ends by itself.
    expires_at: Moment,
}

impl SessionView {
    fn of(session: Session, current: Option<SessionId>) -> Self {
        Self {
            current: current == Some(session.id),
            id: session.id,
            address: session.address,
            agent: session.agent,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
        }
    }
}

/// My sessions
#[utoipa::path(operation_id = "list_sessions", tag = "auth", params(Pages), responses((status = 200, body = Items<SessionView>)), security(("bearer" = [])))]
#[get("/me/sessions")]
async fn list(
    caller: Caller,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let page: Page<SessionId> = cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, caller| {
        let whose = (caller.tenant(), caller.person());
        let rows = super::store::lasting(conn, whose, page.after, caller.now(), page.fetch())?;
        let view = |session| SessionView::of(session, caller.session());
        Answer::ok(&cursors.cut(&page, rows, |session| session.id, view)?)
    });
    Ok(answer.await?.respond())
}

/// Sign out everywhere, here too
#[utoipa::path(operation_id = "end_sessions", tag = "auth", responses((status = 204, description = "all are over")), security(("bearer" = [])))]
#[delete("/me/sessions")]
async fn end_all(caller: Caller, form: Form<Empty>) -> Result<HttpResponse, Problem> {
    let done = caller.write(form.bytes, |conn, caller| {
        super::end_mine(conn, caller)?;
        Ok(Answer::nothing())
    });
    done.await
}

/// End one of my sessions
#[utoipa::path(operation_id = "end_session", tag = "auth", params(("id" = SessionId, Path)), responses((status = 204, description = "it is over")), security(("bearer" = [])))]
#[delete("/me/sessions/{id}")]
async fn end(caller: Caller, id: web::Path<SessionId>, form: Form<Empty>) -> Result<HttpResponse, Problem> {
    let done = caller.write(form.bytes, move |conn, caller| {
        let found = super::store::find(conn, caller.tenant(), *id)?;
        let mine = found.filter(|session| session.person_id == caller.person() && session.ended_at.is_none());
        let session = mine.ok_or_else(|| Problem::not_found("session"))?;
        super::end(conn, &session, &caller.actor(), caller.now())?;
        Ok(Answer::nothing())
    });
    done.await
}
