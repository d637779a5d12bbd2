//! The mail there is, and what it looks like: for those who write templates or are about to send.

use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::messages::Messages;
use crate::db::text_enum;
use crate::http::Query;
use crate::identity::Caller;
use crate::mail::DeliveryKind;
use crate::problem::{Code, Problem};
use crate::text;

/// A page that is nothing but looked at: no script, no picture, no form, and nothing of this server's.
const POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'";

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .configure(super::subscriptions::api::routes)
        .configure(super::unsubscribing::api::routes)
        .service(list_templates)
        .service(preview_template);
}

/// The mail there is.
#[derive(Debug, Serialize, ToSchema)]
struct TemplatesView {
    /// Each kind of mail.
    templates: Vec<TemplateView>,
    /// The languages that it is written in; readers of others get the first.
    languages: Vec<&'static str>,
}

/// A kind of mail.
#[derive(Debug, Serialize, ToSchema)]
struct TemplateView {
    /// What the path of its preview names it by.
    name: DeliveryKind,
    /// The files that make it: subject, plain and HTML part.
    files: [String; 3],
}

/// The kinds of mail and the templates that make them
#[utoipa::path(tag = "mail", responses((status = 200, body = TemplatesView)), security(("bearer" = [])))]
#[get("/templates")]
async fn list_templates(_caller: Caller, messages: web::Data<Messages>) -> HttpResponse {
    let view = |(name, files)| TemplateView { name, files };
    HttpResponse::Ok().json(TemplatesView {
        templates: Messages::kinds().map(view).collect(),
        languages: messages.languages().collect(),
    })
}

text_enum! {
    /// A part of a mail.
    Part { Html = "html", Text = "text", Subject = "subject" }
}

/// How a mail is looked at.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PreviewQuery {
    /// The language tag of the reader; `en` when left out.
    locale: Option<String>,
    /// The IANA time zone of the reader; `UTC` when left out.
    time_zone: Option<String>,
    /// `html` when left out.
    #[param(inline)]
    part: Option<Part>,
}

/// What a mail of a kind looks like, of a sample
#[utoipa::path(tag = "mail", params(("name" = DeliveryKind, Path), PreviewQuery), responses((status = 200, description = "the part", content((String = "text/html"), (String = "text/plain")))), security(("bearer" = [])))]
#[get("/templates/{name}/preview")]
async fn preview_template(
    _caller: Caller,
    name: web::Path<String>,
    query: Query<PreviewQuery>,
    messages: web::Data<Messages>,
) -> Result<HttpResponse, Problem> {
    let Query(query) = query;
    let kind = DeliveryKind::parse(&name).ok_or_else(|| Problem::not_found("template"))?;
    let locale = checked(query.locale, "en", "locale", text::locale)?;
    let zone = checked(query.time_zone, "UTC", "time_zone", text::time_zone)?;
    let written = messages.preview(kind, &locale, &zone)?;
    let (body, content_type) = match query.part.unwrap_or(Part::Html) {
        Part::Html => (written.html, "text/html; charset=utf-8"),
        Part::Text => (written.text, "text/plain; charset=utf-8"),
        Part::Subject => (written.subject, "text/plain; charset=utf-8"),
    };
    Ok(HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(body))
}

/// A parameter, or what it is when left out.
fn checked(
    given: Option<String>,
    default: &str,
    name: &str,
    check: fn(&str, &()) -> garde::Result,
) -> Result<String, Problem> {
    let value = given.unwrap_or_else(|| default.to_owned());
    check(&value, &()).map_err(|error| Problem::new(Code::InvalidQuery, format!("{name} {error}")))?;
    Ok(value)
}
