//! The door: who calls, and may they? Asked before anything else of a call is looked at, its body above all, so that
//! who may not gets no other answer. What the policy does not name is answered to nobody.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use utoipa::openapi::{OpenApi, PathItem};

use super::caller::{Known, authenticate, part};
use super::rights::{self, Right};
use crate::db::{Connection, Db, Scope, TenantId};
use crate::http::client;
use crate::http::limits::Limits;
use crate::problem::{Code, Problem};

/// Whether the thing that a path names is one of this tenant's.
pub type IsOf = fn(&mut Connection, TenantId, &str) -> Result<bool, Problem>;

/// The rights of every operation.
#[derive(Clone, Debug)]
pub struct Door {
    guarded: Arc<HashMap<String, Vec<(Method, Vec<Right>)>>>,
    things: &'static [(&'static str, IsOf)],
}

impl Door {
    /// For the operations of this document; one that the policy does not name is an error. `things` are the paths of
    /// what belongs to tenants.
    pub fn of(document: &OpenApi, things: &'static [(&'static str, IsOf)]) -> Result<Self, Problem> {
        let mut guarded = HashMap::new();
        for (path, item) in &document.paths.paths {
            let mut methods = Vec::new();
            for (method, operation) in operations(item) {
                let rights = rights::needed(operation).ok_or_else(|| {
                    Problem::internal(format!("the policy has no row for the operation `{operation}`"))
                })?;
                methods.push((method, rights));
            }
            guarded.insert(path.clone(), methods);
        }
        Ok(Self {
            guarded: Arc::new(guarded),
            things,
        })
    }

    /// What a call needs; nothing, where it is no operation of the API.
    fn needed(&self, request: &HttpRequest) -> &[Right] {
        let methods = request.match_pattern().and_then(|path| self.guarded.get(&path));
        let mut found = methods
            .into_iter()
            .flatten()
            .filter(|(method, _)| method == request.method());
        found.next().map_or(&[], |(_, rights)| rights)
    }

    /// What somebody hears who may not do this: of another tenant's thing that there is no such thing, as everybody
    /// does.
    async fn refusal(&self, request: &HttpRequest, known: &Known, forbidden: Problem) -> Problem {
        let pattern = request.match_pattern().unwrap_or_default();
        let mut found = self.things.iter().filter(|(begin, _)| pattern.starts_with(begin));
        let (Some((_, is_of)), false) = (found.next(), known.claims.role.is_staff()) else {
            return forbidden;
        };
        let (tenant, is_of) = (known.claims.tenant, *is_of);
        let named = pattern.split('/').zip(request.path().split('/'));
        let id = named
            .filter(|(part, _)| *part == "{id}")
            .map(|(_, id)| id.to_owned());
        let id = id.last().unwrap_or_default();
        let own = match part::<Db>(request) {
            Ok(db) => {
                db.read_here(Scope::of_tenant(tenant), move |conn| is_of(conn, tenant, &id))
                    .await
            }
            Err(problem) => Err(problem),
        };
        match own {
            Ok(true) => forbidden,
            Ok(false) => Problem::not_found("such id"),
            Err(problem) => problem,
        }
    }
}

/// The middleware.
pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let (limits, from) = match part::<Limits>(request.request()) {
        Ok(limits) => (limits, client::address(request.request())),
        Err(problem) => return Ok(request.error_response(problem)),
    };
    match let_in(request.request()).await {
        Ok(Some(known)) => match limits.call(known.claims.sub.uuid().as_u128()) {
            Ok(left) => {
                request.extensions_mut().insert(known);
                let mut done = next.call(request).await?.map_into_boxed_body();
                left.say(done.headers_mut());
                Ok(done)
            }
            Err(exceeded) => Ok(request.error_response(Problem::from(exceeded))),
        },
        Ok(None) => {
            let done = next.call(request).await?.map_into_boxed_body();
            Ok(refused(done, &limits, from))
        }
        Err(problem) => Ok(refused(request.error_response(problem), &limits, from)),
    }
}

/// Whoever is refused too often hears no more than that.
fn refused(done: ServiceResponse<BoxBody>, limits: &Limits, from: IpAddr) -> ServiceResponse<BoxBody> {
    if !done.status().is_client_error() {
        return done;
    }
    match limits.refusal(from) {
        Ok(_) => done,
        Err(exceeded) => done.into_response(HttpResponse::from_error(Problem::from(exceeded))),
    }
}

/// Who calls an operation that needs a right, if they have it.
async fn let_in(request: &HttpRequest) -> Result<Option<Arc<Known>>, Problem> {
    let door = part::<Door>(request)?;
    let needed = door.needed(request);
    if needed.is_empty() {
        return Ok(None);
    }
    let known = authenticate(request).await?;
    if known.claims.must_enrol && !request.path().starts_with("/v1/me") {
        let detail = "set up a second factor first: POST /v1/me/second-factor";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    match needed.iter().try_for_each(|right| known.require(*right)) {
        Ok(()) => Ok(Some(known)),
        Err(forbidden) => Err(door.refusal(request, &known, forbidden).await),
    }
}

fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &str)> {
    let known = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::PATCH, &item.patch),
    ];
    known.into_iter().filter_map(|(method, operation)| {
        let id = operation.as_ref()?.operation_id.as_deref();
        Some((method, id.unwrap_or_default()))
    })
}
