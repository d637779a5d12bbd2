//! Routing rules over HTTP: those in force, those there were, and where they would lead.

use actix_web::{HttpResponse, get, post, put, web};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::actions::{self, NewRules};
use super::preview::{self, Case, Preview};
use super::{Rule, store};
use crate::db::{Moment, PersonId};
use crate::http::{Answer, Cursors, Form, Items, Page, Pages, Query};
use crate::identity::Caller;
use crate::problem::Problem;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(read_rules)
        .service(replace_rules)
        .service(list_versions)
        .service(read_version)
        .service(preview_routing);
}

/// The rules in force.
#[derive(Debug, Serialize, ToSchema)]
struct RuleSet {
    /// Which set this is, from 1; 0 before there is any.
    version: i32,
    /// The rules, in order.
    rules: Vec<Rule>,
}

/// The routing rules in force
#[utoipa::path(tag = "queues", responses((status = 200, body = RuleSet)), security(("bearer" = [])))]
#[get("/routing-rules")]
async fn read_rules(caller: Caller) -> Result<HttpResponse, Problem> {
    let answer = caller.read(move |conn, _| {
        let (version, rules) = store::rules(conn)?.unwrap_or_default();
        Ok(Answer::ok(&RuleSet { version, rules })?.version(version))
    });
    Ok(answer.await?.respond())
}

/// Replace the routing rules
#[utoipa::path(tag = "queues", request_body = NewRules, responses((status = 200, body = RuleSet)), security(("bearer" = [])))]
#[put("/routing-rules")]
async fn replace_rules(caller: Caller, form: Form<NewRules>) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let (version, rules) = actions::replace_rules(conn, caller, &value)?;
        Ok(Answer::ok(&RuleSet { version, rules })?.version(version))
    });
    done.await
}

/// Who put a set of rules in force.
#[derive(Debug, Serialize, ToSchema)]
struct Author {
    /// The id.
    id: PersonId,
    /// The name.
    name: String,
}

/// A set of rules that is or was in force, without its rules.
#[derive(Debug, Serialize, ToSchema)]
struct RuleSetCover {
    /// Which set it is.
    version: i32,
    /// Who put it in force.
    author: Author,
    /// When.
    created_at: Moment,
    /// How many rules it has.
    size: i32,
}

impl From<store::Cover> for RuleSetCover {
    fn from((version, id, name, created_at, size): store::Cover) -> Self {
        Self {
            version,
            author: Author { id, name },
            created_at,
            size,
        }
    }
}

/// A set of rules that is or was in force.
#[derive(Debug, Serialize, ToSchema)]
struct KeptRuleSet {
    /// Which set it is.
    version: i32,
    /// Who put it in force.
    author: Author,
    /// When.
    created_at: Moment,
    /// The rules, in order.
    rules: Vec<Rule>,
}

/// The sets of routing rules there were, the newest first
#[utoipa::path(operation_id = "list_rule_versions", tag = "queues", params(Pages), responses((status = 200, body = Items<RuleSetCover>)), security(("bearer" = [])))]
#[get("/routing-rules/versions")]
async fn list_versions(
    caller: Caller,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let page: Page<i32> = cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, _| {
        let rows = store::versions(conn, page.after, page.fetch())?;
        Answer::ok(&cursors.cut(&page, rows, |row| row.0, RuleSetCover::from)?)
    });
    Ok(answer.await?.respond())
}

/// A set of routing rules that is or was in force
#[utoipa::path(operation_id = "read_rule_version", tag = "queues", params(("version" = i32, Path)), responses((status = 200, body = KeptRuleSet)), security(("bearer" = [])))]
#[get("/routing-rules/versions/{version}")]
async fn read_version(caller: Caller, version: web::Path<i32>) -> Result<HttpResponse, Problem> {
    let answer = caller.read(move |conn, _| {
        let found = store::version(conn, *version)?;
        let (cover, rules) = found.ok_or_else(|| Problem::not_found("set of rules"))?;
        let (version, id, name, created_at, _) = cover;
        let author = Author { id, name };
        Answer::ok(&KeptRuleSet {
            version,
            author,
            created_at,
            rules,
        })
    });
    Ok(answer.await?.respond())
}

/// Where would a request go
///
/// Explains without filing: which rule takes it, why not one before, and who could work on it now. With `rules` it is
/// asked of a draft.
#[utoipa::path(tag = "queues", request_body = Case, responses((status = 200, body = Preview)), security(("bearer" = [])))]
#[post("/routing/preview")]
async fn preview_routing(caller: Caller, form: Form<Case>) -> Result<HttpResponse, Problem> {
    let answer =
        caller.read(move |conn, caller| Answer::ok(&preview::preview(conn, &form.value, caller.now())?));
    Ok(answer.await?.respond())
}
