//! The page of a link, and the POST of a mail program (RFC 8058 §3.2). To look at the page changes nothing: scanners of
//! mail follow every link.

use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::{Accept, AcceptLanguage, Header as _};
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, get, post, web};
use utoipa_actix_web::service_config::ServiceConfig;

use super::actions;
use crate::clock::Clock;
use crate::db::{Db, Scope};
use crate::http::body::Fields;
use crate::http::client;
use crate::identity::page::page;
use crate::mail::unsubscribe::Wish;
use crate::notify::messages::{Messages, Page};
use crate::problem::Problem;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(show_unsubscribe).service(unsubscribe);
}

/// What a link stands on: what it says, and from where it is followed.
struct Link {
    wish: Wish,
    db: Db,
    clock: Clock,
    from: IpAddr,
}

impl Link {
    fn of(request: &HttpRequest) -> Option<Self> {
        let token = request.match_info().get("token")?;
        Some(Self {
            wish: request.app_data::<web::Data<Messages>>()?.wish(token)?,
            db: request.app_data::<web::Data<Db>>()?.get_ref().clone(),
            clock: request.app_data::<web::Data<Clock>>()?.get_ref().clone(),
            from: client::address(request),
        })
    }

    /// The rows of the tenant that the link names, and which made it.
    fn scope(&self) -> Scope {
        Scope::of_tenant(self.wish.tenant)
    }
}

impl FromRequest for Link {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request).ok_or_else(|| no_link(request)))
    }
}

/// Not found: a page for whoever reads pages.
fn no_link(request: &HttpRequest) -> Error {
    let problem = Problem::not_found("such link: was it cut off?");
    let reads_pages = Accept::parse(request).is_ok_and(|accept| {
        accept
            .ranked()
            .iter()
            .any(|kind| kind.essence_str() == "text/html")
    });
    match respond(request, Page::Unknown) {
        Ok(mut response) if reads_pages => {
            *response.status_mut() = StatusCode::NOT_FOUND;
            InternalError::from_response(problem, response).into()
        }
        Ok(_) => problem.into(),
        Err(error) => error.into(),
    }
}

/// A page in a language that the browser asks for.
fn respond(request: &HttpRequest, shown: Page) -> Result<HttpResponse, Problem> {
    let messages = request.app_data::<web::Data<Messages>>();
    let messages = messages.ok_or_else(|| Problem::internal("there are no messages"))?;
    let asked = AcceptLanguage::parse(request)
        .map(|asked| asked.ranked())
        .unwrap_or_default();
    let tags: Vec<String> = asked
        .iter()
        .filter_map(|asked| asked.item().map(ToString::to_string))
        .collect();
    Ok(page(messages.page(shown, &tags)?))
}

/// The page on which somebody unsubscribes; looking at it changes nothing
#[utoipa::path(tag = "mail", params(("token" = String, Path, description = "out of a mail")), responses((status = 200, description = "a page", content((String = "text/html")))))]
#[get("/unsubscribe/{token}")]
async fn show_unsubscribe(link: Link, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (db, scope, wish) = (link.db.clone(), link.scope(), link.wish);
    let stands = db.read_here(scope, move |conn| actions::stands(conn, &wish));
    respond(&request, if stands.await? { Page::Stopped } else { Page::Ask })
}

/// Unsubscribe, as a mail program or the page asks for it; or subscribe again, as the page does
///
/// Needs no sign-in. The form `List-Unsubscribe=One-Click`, any other or none unsubscribes from what the mail was about;
/// `wish=nothing` from all status mail of the tenant's; `wish=again` takes both back.
#[utoipa::path(tag = "mail", params(("token" = String, Path, description = "out of a mail")), responses((status = 200, description = "a page", content((String = "text/html")))))]
#[post("/unsubscribe/{token}")]
async fn unsubscribe(link: Link, fields: Fields, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (wants_mail, wants_nothing) = (fields.is("wish", "again"), fields.is("wish", "nothing"));
    let (db, scope) = (link.db.clone(), link.scope());
    let done = db.write(scope, move |conn| {
        let now = link.clock.now().into();
        match wants_mail {
            true => actions::resume(conn, &link.wish, link.from, now),
            false => actions::stop(conn, &link.wish, wants_nothing, link.from, now),
        }
    });
    done.await?;
    respond(&request, if wants_mail { Page::Resumed } else { Page::Stopped })
}
