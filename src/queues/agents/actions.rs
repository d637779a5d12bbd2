//! The verbs of agents: change what they are given, and say whether one takes work.
//!
//! Each holds the lock of the person, as whatever gives it work does: so neither passes the other.

use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Agent, Presence, Skill, SkillKind, store};
use crate::db::{Connection, PROVIDER, PersonId, lock};
use crate::identity::{Caller, Reach, Right};
use crate::journal::{self, Event, EventKind, SubjectKind};
use crate::problem::{Code, FieldError, Problem};

/// What changes of an agent; what is left out stays.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentChange {
    /// Whether it takes work.
    #[serde(default)]
    #[garde(skip)]
    pub presence: Option<Presence>,
    /// How much it has at most: an open request of severity `a` counts 4, `b` 3, `c` 2, `d` 1; `null` is no limit.
    #[serde(default, deserialize_with = "crate::http::body::given")]
    #[garde(inner(inner(range(min = 1, max = 1000))))]
    pub capacity: Option<Option<i32>>,
    /// What it knows: all of it.
    #[serde(default)]
    #[garde(length(max = 100), dive)]
    pub skills: Option<Vec<Skill>>,
}

/// Whether one takes work.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MyPresence {
    /// `available`, `busy` or `away`.
    #[garde(skip)]
    pub presence: Presence,
}

/// Changes an agent: leads and operators everything of everybody, an agent its own presence.
pub fn change(
    conn: &mut Connection,
    caller: &Caller,
    id: PersonId,
    form: &AgentChange,
) -> Result<(Agent, String), Problem> {
    allowed(caller, id, form)?;
    lock::exclusive(conn, lock::Key::of(id))?;
    let (before, name) = store::find(conn, id)?.ok_or_else(|| Problem::not_found("agent"))?;
    caller.if_match.require(before.version, "")?;
    let mut after = before.clone();
    after.presence = form.presence.unwrap_or(before.presence);
    after.capacity = form.capacity.unwrap_or(before.capacity);
    if let Some(skills) = &form.skills {
        after.skills = folded(skills)?;
    }
    Ok((
        save(conn, caller, EventKind::AgentChanged, (&before, after))?,
        name,
    ))
}

fn allowed(caller: &Caller, id: PersonId, form: &AgentChange) -> Result<(), Problem> {
    caller.require(Right::ChangeAgents)?;
    if form.capacity.is_some() || form.skills.is_some() {
        caller.require(Right::ManageAgents)?;
    }
    if caller.reach(Right::ChangeAgents) == Some(Reach::Own) && caller.person() != id {
        return Err(Problem::new(
            Code::Forbidden,
            "another's presence is for leads to change",
        ));
    }
    Ok(())
}

/// Says whether the caller takes work; what is said already is not said again.
pub fn set_my_presence(
    conn: &mut Connection,
    caller: &Caller,
    form: &MyPresence,
) -> Result<(Agent, String), Problem> {
    caller.require(Right::SetMyPresence)?;
    let id = caller.person();
    lock::exclusive(conn, lock::Key::of(id))?;
    let (before, name) = store::find(conn, id)?.ok_or_else(|| Problem::not_found("agent"))?;
    if before.presence == form.presence {
        return Ok((before, name));
    }
    let after = Agent {
        presence: form.presence,
        ..before.clone()
    };
    Ok((
        save(conn, caller, EventKind::PresenceChanged, (&before, after))?,
        name,
    ))
}

fn save(
    conn: &mut Connection,
    caller: &Caller,
    kind: EventKind,
    (before, mut after): (&Agent, Agent),
) -> Result<Agent, Problem> {
    let now = caller.now();
    after.version = before.version.saturating_add(1);
    after.updated_at = Some(now);
    store::save(conn, before, &after, now)?;
    let data = journal::changes(described(before), described(&after));
    let subject = (SubjectKind::Person, after.person_id);
    let event = Event::next(kind, subject, PROVIDER, (&caller.actor(), now), data);
    journal::append(conn, event, &[])?;
    Ok(after)
}

/// What the history says of an agent.
fn described(agent: &Agent) -> Value {
    json!({"presence": agent.presence, "capacity": agent.capacity, "skills": agent.skills})
}

/// In lower case and in order, each of them once.
fn folded(skills: &[Skill]) -> Result<Vec<Skill>, Problem> {
    let mut known: Vec<Skill> = Vec::new();
    for (place, skill) in skills.iter().enumerate() {
        let name = skill.name.to_lowercase();
        let same = |other: &Skill| (other.kind, &other.name) == (skill.kind, &name);
        if known.iter().any(same) {
            let detail = match skill.kind {
                SkillKind::Skill => "is a skill that is there before",
                SkillKind::Language => "is a language that is there before",
            };
            let pointer = format!("/skills/{place}/name");
            let errors = vec![FieldError {
                pointer: pointer.clone(),
                detail: detail.to_owned(),
            }];
            return Err(
                Problem::new(Code::ValidationFailed, format!("{pointer}: {detail}")).with_errors(errors),
            );
        }
        known.push(Skill {
            name,
            ..skill.clone()
        });
    }
    // As the store reads them: by the texts of the kinds, and then by name.
    known.sort_unstable_by(|a, b| (a.kind.as_str(), &a.name).cmp(&(b.kind.as_str(), &b.name)));
    Ok(known)
}
