//! What every call passes: its request id, the refusal of encoded bodies, errors as problems, counts and the log.

use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use tracing::Instrument as _;

use super::dress;
use super::traffic::Traffic;
use crate::clock::Clock;
use crate::db::{Id, SubjectNoun};
use crate::problem::{Code, Problem};
use crate::settings::Settings;

/// Where the id of a call stands in the answer, and may stand in the call.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The numbers of the porch.
#[derive(Clone)]
pub struct Counts {
    calls: IntCounterVec,
    seconds: HistogramVec,
}

impl Counts {
    /// Registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let calls = IntCounterVec::new(
            Opts::new("allclear_http_requests_total", "Calls answered"),
            &["method", "route", "status"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("allclear_http_request_duration_seconds", "Time to answer a call"),
            &["method", "route"],
        )?;
        registry.register(Box::new(calls.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { calls, seconds })
    }
}

/// The id of the call, for whoever answers it.
struct CallId(Arc<str>);

/// The middleware.
pub async fn porch(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let begun = Instant::now();
    let _passing = request
        .app_data::<web::Data<Traffic>>()
        .map(|traffic| traffic.pass());
    let id: Arc<str> = request_id(&request).into();
    request.extensions_mut().insert(CallId(Arc::clone(&id)));
    let method = request.method().clone();
    if method == Method::HEAD {
        // Whatever answers GET answers HEAD (RFC 9110 §9.3.2); the encoder, which knows better, leaves the body away.
        request.head_mut().method = Method::GET;
    }
    let path = request.path().to_owned();
    let counts = request.app_data::<web::Data<Counts>>().cloned();
    let span = tracing::info_span!("call", request_id = %id);
    let done = answer(request, next, &id).instrument(span.clone()).await?;
    let route = done
        .request()
        .match_pattern()
        .unwrap_or_else(|| "unmatched".to_owned());
    let status = done.status();
    let elapsed = begun.elapsed();
    if let Some(counts) = counts {
        counts
            .calls
            .with_label_values(&[label(&method), &route, status.as_str()])
            .inc();
        counts
            .seconds
            .with_label_values(&[label(&method), &route])
            .observe(elapsed.as_secs_f64());
    }
    span.in_scope(
        || tracing::info!(%method, path, status = status.as_u16(), micros = elapsed.as_micros(), "answered"),
    );
    Ok(done)
}

/// Anybody can make up methods; each would be a series of its own, for ever.
fn label(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS") => known,
        _ => "other",
    }
}

async fn answer(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    id: &str,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if is_encoded(request.request()) {
        let problem = Problem::new(Code::UnsupportedEncoding, "send the body as it is");
        return Ok(finished(request.into_response(problem.response(Some(id))), id));
    }
    if takes_no_query(request.request()) {
        let problem = Problem::new(Code::InvalidQuery, "this call takes no query parameters");
        return Ok(finished(request.into_response(problem.response(Some(id))), id));
    }
    // Handlers' errors come as answers; nothing else fails between here and there.
    let done = next.call(request).await?.map_into_boxed_body();
    let problem = match done.response().error() {
        Some(error) => error.as_error::<Problem>().map(|problem| {
            if problem.status_code_is_5xx() {
                tracing::error!(error = %problem, "a call failed");
            }
            problem.response(Some(id))
        }),
        None => None,
    };
    let response = match problem {
        Some(response) => response,
        None if is_foreign_error(done.response()) => foreign(done.status()).response(Some(id)),
        None => return Ok(finished(done, id)),
    };
    Ok(finished(done.into_response(response), id))
}

/// An error that somebody else wrote: neither a problem nor a page.
fn is_foreign_error(response: &HttpResponse) -> bool {
    let status = response.status();
    let is_ours = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| {
        let ours = [&b"application/problem+json"[..], b"text/html"];
        ours.iter().any(|kind| value.as_bytes().starts_with(kind))
    });
    (status.is_client_error() || status.is_server_error()) && !is_ours
}

fn foreign(status: StatusCode) -> Problem {
    let code = match status.as_u16() {
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        408 => Code::RequestTimeout,
        413 => Code::PayloadTooLarge,
        414 => Code::UriTooLong,
        415 => Code::UnsupportedMediaType,
        431 => Code::HeadersTooLarge,
        status if status < 500 => Code::BadRequest,
        503 => Code::Unavailable,
        _ => Code::Internal,
    };
    Problem::new(code, code.title())
}

fn finished(mut done: ServiceResponse<BoxBody>, id: &str) -> ServiceResponse<BoxBody> {
    let path = done.request().path().to_owned();
    let is_https = done
        .request()
        .app_data::<web::Data<Settings>>()
        .is_some_and(|settings| settings.public_url.starts_with("https://"));
    let headers = done.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    dress::dress(headers, &path, is_https);
    done
}

/// A `Content-Encoding` other than `identity`: a body that inflates is never accepted.
fn is_encoded(request: &HttpRequest) -> bool {
    request
        .headers()
        .get_all(header::CONTENT_ENCODING)
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// A query where the document has no parameters; where it has some, the handler's form refuses the unknown ones.
fn takes_no_query(request: &HttpRequest) -> bool {
    !request.query_string().is_empty()
        && request
            .app_data::<web::Data<Routes>>()
            .is_some_and(|routes| routes.without_query(request.method(), request.path()))
}

/// The caller's id, if it is a short visible one, or a new one.
fn request_id(request: &ServiceRequest) -> String {
    let given = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    match given {
        Some(id) if (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic() && b != b'"') => {
            id.to_owned()
        }
        _ => {
            let now = request
                .app_data::<web::Data<Clock>>()
                .map(|clock| clock.now())
                .unwrap_or_default();
            Id::<SubjectNoun>::at(now.into()).to_string()
        }
    }
}

/// What no route answers: 405 where another method would be answered, else 404.
pub async fn unmatched(request: HttpRequest, routes: web::Data<Routes>) -> Result<HttpResponse, Problem> {
    let allowed = routes.methods(request.path());
    if allowed.is_empty() {
        return Err(Problem::not_found("route"));
    }
    let problem = Problem::new(
        Code::MethodNotAllowed,
        format!("allowed here: {}", allowed.join(", ")),
    );
    let mut response = problem.response(request.extensions().get::<CallId>().map(|id| &*id.0));
    if let Ok(allow) = HeaderValue::from_str(&allowed.join(", ")) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    Ok(response)
}

/// The templates of all paths with their methods, and whether each takes query parameters.
#[derive(Clone, Debug, Default)]
pub struct Routes(Vec<(String, Vec<(Method, bool)>)>);

impl Routes {
    /// From the OpenAPI document.
    pub fn of(document: &utoipa::openapi::OpenApi) -> Self {
        let methods = |item: &utoipa::openapi::PathItem| {
            let known = [
                (Method::GET, &item.get),
                (Method::PUT, &item.put),
                (Method::POST, &item.post),
                (Method::DELETE, &item.delete),
                (Method::PATCH, &item.patch),
            ];
            known
                .into_iter()
                .filter_map(|(method, operation)| Some((method, has_query(operation.as_ref()?))))
                .collect()
        };
        Self(
            document
                .paths
                .paths
                .iter()
                .map(|(path, item)| (path.clone(), methods(item)))
                .collect(),
        )
    }

    fn methods<'a>(&'a self, path: &'a str) -> Vec<&'a str> {
        let found = self.found(path).map(|(method, _)| method.as_str());
        found
            .flat_map(|method| [method].into_iter().chain((method == "GET").then_some("HEAD")))
            .collect()
    }

    fn without_query(&self, method: &Method, path: &str) -> bool {
        self.found(path)
            .any(|(known, has_query)| known == method && !has_query)
    }

    fn found<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a (Method, bool)> {
        let fits = |template: &str| {
            let (mut wanted, mut found) = (template.split('/'), path.split('/'));
            loop {
                match (wanted.next(), found.next()) {
                    (None, None) => return true,
                    (Some(part), Some(text))
                        if part == text || (part.starts_with('{') && !text.is_empty()) => {}
                    _ => return false,
                }
            }
        };
        // A path that is written out stands before one with an id in its place, as where calls are routed.
        let exact = self.0.iter().any(|(template, _)| template == path);
        self.0
            .iter()
            .filter(move |(template, _)| if exact { template == path } else { fits(template) })
            .flat_map(|(_, methods)| methods)
    }
}

fn has_query(operation: &utoipa::openapi::path::Operation) -> bool {
    use utoipa::openapi::RefOr;
    use utoipa::openapi::path::ParameterIn;
    operation.parameters.iter().flatten().any(
        |parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query),
    )
}
