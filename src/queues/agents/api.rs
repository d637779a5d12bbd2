//! Agents over HTTP, for staff alone: what somebody knows and how much is no tenant's business.

use actix_web::{HttpResponse, get, patch, put, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::actions::{self, AgentChange, MyPresence};
use super::store::{self, Filter};
use super::{Agent, Presence, Skill};
use crate::db::{Moment, PersonId};
use crate::http::{Answer, Cursors, Form, Items, Page, Query};
use crate::identity::Caller;
use crate::problem::{Code, Problem};
use crate::text;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list)
        .service(read)
        .service(change)
        .service(set_my_presence);
}

/// An agent as staff see it.
#[derive(Debug, Serialize, ToSchema)]
struct AgentView {
    /// The person.
    id: PersonId,
    /// The name.
    name: String,
    /// Whether it takes work.
    presence: Presence,
    /// How much it has at most; `null` is no limit.
    capacity: Option<i32>,
    /// What it knows.
    skills: Vec<Skill>,
    /// Counts changes; 0 before there was any.
    version: i32,
    /// When it last changed.
    updated_at: Option<Moment>,
}

impl From<(Agent, String)> for AgentView {
    fn from((agent, name): (Agent, String)) -> Self {
        Self {
            id: agent.person_id,
            name,
            presence: agent.presence,
            capacity: agent.capacity,
            skills: agent.skills,
            version: agent.version,
            updated_at: agent.updated_at,
        }
    }
}

/// Which agents are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AgentQuery {
    /// With this presence.
    presence: Option<Presence>,
    /// Who know this, at whatever level.
    skill: Option<String>,
    /// Who speak this language or a variety of it, at whatever level.
    language: Option<String>,
    /// 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// From `next_cursor`.
    cursor: Option<String>,
}

impl AgentQuery {
    fn filter(self) -> Result<Filter, Problem> {
        let invalid =
            |field: &str, error: garde::Error| Problem::new(Code::InvalidQuery, format!("{field} {error}"));
        if let Some(skill) = &self.skill {
            text::slug(skill, &()).map_err(|error| invalid("skill", error))?;
        }
        if let Some(language) = &self.language {
            text::locale(language, &()).map_err(|error| invalid("language", error))?;
        }
        Ok(Filter {
            presence: self.presence,
            skill: self.skill,
            language: self.language,
        })
    }
}

/// List agents: who may work
#[utoipa::path(operation_id = "list_agents", tag = "agents", params(AgentQuery), responses((status = 200, body = Items<AgentView>)), security(("bearer" = [])))]
#[get("/agents")]
async fn list(
    caller: Caller,
    query: Query<AgentQuery>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let query = query.0;
    let page: Page<PersonId> = cursors.page(query.limit, query.cursor.as_deref(), caller.binding())?;
    let filter = query.filter()?;
    let answer = caller.read(move |conn, _| {
        let rows = store::list(conn, &filter, page.after, page.fetch())?;
        Answer::ok(&cursors.cut(&page, rows, |row| row.0.person_id, AgentView::from)?)
    });
    Ok(answer.await?.respond())
}

/// Read an agent
#[utoipa::path(operation_id = "read_agent", tag = "agents", params(("id" = PersonId, Path)), responses((status = 200, body = AgentView)), security(("bearer" = [])))]
#[get("/agents/{id}")]
async fn read(caller: Caller, id: web::Path<PersonId>) -> Result<HttpResponse, Problem> {
    let answer = caller.read(move |conn, _| {
        let found = store::find(conn, *id)?.ok_or_else(|| Problem::not_found("agent"))?;
        let version = found.0.version;
        Ok(Answer::ok(&AgentView::from(found))?.version(version))
    });
    Ok(answer.await?.respond())
}

/// Change an agent: capacity and skills for leads, presence also for oneself
#[utoipa::path(operation_id = "change_agent", tag = "agents", params(("id" = PersonId, Path)), request_body = AgentChange, responses((status = 200, body = AgentView)), security(("bearer" = [])))]
#[patch("/agents/{id}")]
async fn change(
    caller: Caller,
    id: web::Path<PersonId>,
    form: Form<AgentChange>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let found = actions::change(conn, caller, *id, &value)?;
        let version = found.0.version;
        Ok(Answer::ok(&AgentView::from(found))?.version(version))
    });
    done.await
}

/// Say whether I take work
#[utoipa::path(operation_id = "set_my_presence", tag = "agents", request_body = MyPresence, responses((status = 200, body = AgentView)), security(("bearer" = [])))]
#[put("/me/presence")]
async fn set_my_presence(caller: Caller, form: Form<MyPresence>) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let found = actions::set_my_presence(conn, caller, &value)?;
        let version = found.0.version;
        Ok(Answer::ok(&AgentView::from(found))?.version(version))
    });
    done.await
}
