//! The door: who calls, and may they? Asked before anything else of a call is looked at, its body above all, so that
//! who may not gets no other answer. What the policy does not name is answered to nobody.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde_json::json;
use utoipa::openapi::{OpenApi, PathItem};

use super::caller::{Known, authenticate, part};
use super::refusals;
use super::rights::{self, Right};
use crate::clock::Clock;
use crate::db::{Connection, Db, Scope, TenantId};
use crate::http::client;
use crate::http::limits::Limits;
use crate::problem::{Code, Problem};

/// Whether the thing that a path names is one of this tenant's.
pub type IsOf = fn(&mut Connection, TenantId, &str) -> Result<bool, Problem>;

/// An operation of the API, and what it needs.
#[derive(Clone, Debug)]
struct Guarded {
    method: Method,
    operation: String,
    rights: Vec<Right>,
}

/// The rights of every operation.
#[derive(Clone, Debug)]
pub struct Door {
    guarded: Arc<HashMap<String, Vec<Guarded>>>,
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
                methods.push(Guarded {
                    method,
                    operation: operation.to_owned(),
                    rights,
                });
            }
            guarded.insert(path.clone(), methods);
        }
        Ok(Self {
            guarded: Arc::new(guarded),
            things,
        })
    }

    /// The operation of a call, where it is one of the API.
    fn operation(&self, request: &HttpRequest) -> Option<&Guarded> {
        let methods = request.match_pattern().and_then(|path| self.guarded.get(&path));
        let mut found = methods.into_iter().flatten();
        found.find(|guarded| guarded.method == request.method())
    }

    /// What a call needs; nothing, where it is no operation of the API.
    fn needed(&self, request: &HttpRequest) -> &[Right] {
        self.operation(request)
            .map_or(&[], |guarded| guarded.rights.as_slice())
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
                request.extensions_mut().insert(Arc::clone(&known));
                let mut done = next.call(request).await?.map_into_boxed_body();
                if done.status() == StatusCode::FORBIDDEN {
                    note(done.request(), &known, from).await;
                }
                left.say(done.headers_mut());
                Ok(done)
            }
            Err(exceeded) => Ok(request.error_response(Problem::from(exceeded))),
        },
        Ok(None) => {
            if let Err(exceeded) = limits.stranger(from) {
                return Ok(request.error_response(Problem::from(exceeded)));
            }
            let done = next.call(request).await?.map_into_boxed_body();
            Ok(refused(done, &limits, from))
        }
        Err(Refused { problem, known }) => {
            let is_refusal = matches!(problem.code(), Code::Forbidden | Code::NotFound);
            if let Some(known) = known.filter(|_| is_refusal) {
                note(request.request(), &known, from).await;
            }
            Ok(refused(request.error_response(problem), &limits, from))
        }
    }
}

/// Writes down that somebody was refused, before they hear of it. The refusal stands, whatever becomes of the note.
async fn note(request: &HttpRequest, known: &Known, from: IpAddr) {
    if let Err(error) = note_in_journal(request, known, from).await {
        tracing::error!(%error, "a refused call is not in the journal");
    }
}

async fn note_in_journal(request: &HttpRequest, known: &Known, from: IpAddr) -> Result<(), Problem> {
    let (door, db) = (part::<Door>(request)?, part::<Db>(request)?);
    let now = part::<Clock>(request)?.now().into();
    // Never the path itself, which others have names in, nor query or body.
    let call = json!({
        "operation": door.operation(request).map(|guarded| &guarded.operation),
        "method": request.method().as_str(),
        "path": request.match_pattern(),
    });
    let (tenant, actor) = (known.claims.tenant, known.actor(from));
    db.write(Scope::of_tenant(tenant), move |conn| {
        refusals::access(conn, (tenant, &actor, from), call.clone(), now)
    })
    .await
}

/// A call that the door does not let in, and of whom, if that is known and they may not do it.
struct Refused {
    problem: Problem,
    known: Option<Arc<Known>>,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { problem, known: None }
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
async fn let_in(request: &HttpRequest) -> Result<Option<Arc<Known>>, Refused> {
    let door = part::<Door>(request)?;
    let needed = door.needed(request);
    if needed.is_empty() {
        return Ok(None);
    }
    let known = authenticate(request).await?;
    if known.claims.must_enrol && !request.path().starts_with("/v1/me") {
        let detail = "set up a second factor first: POST /v1/me/second-factor";
        return Err(Refused {
            problem: Problem::new(Code::Forbidden, detail),
            known: Some(known),
        });
    }
    match needed.iter().try_for_each(|right| known.require(*right)) {
        Ok(()) => Ok(Some(known)),
        Err(forbidden) => Err(Refused {
            problem: door.refusal(request, &known, forbidden).await,
            known: Some(known),
        }),
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
