//! Queries over agents and what they know. Who has no row has the defaults.

use std::collections::HashMap;

use diesel::prelude::*;

use super::{Agent, Presence, Skill, SkillKind};
use crate::db::schema::{agent_skills, agents, api_keys, memberships, people};
use crate::db::{Connection, Moment, PROVIDER, PersonId, on_each};
use crate::identity::Role;
use crate::problem::Problem;

/// The row of an agent, without its skills.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = agents, primary_key(person_id), treat_none_as_null = true, treat_none_as_default_value = false)]
struct AgentRow {
    person_id: PersonId,
    presence: Presence,
    capacity: Option<i32>,
    version: i32,
    updated_at: Moment,
}

impl AgentRow {
    fn of(agent: &Agent, now: Moment) -> Self {
        Self {
            person_id: agent.person_id,
            presence: agent.presence,
            capacity: agent.capacity,
            version: agent.version,
            updated_at: now,
        }
    }
}

/// These agents, in this order, each with what it knows.
pub fn of(conn: &mut Connection, ids: &[PersonId]) -> Result<Vec<Agent>, Problem> {
    let rows: Vec<AgentRow> = on_each!(conn, conn => agents::table
        .filter(agents::person_id.eq_any(ids))
        .select(AgentRow::as_select())
        .load(conn))?;
    let known: Vec<(PersonId, Skill)> = on_each!(conn, conn => agent_skills::table
        .filter(agent_skills::person_id.eq_any(ids))
        .order((agent_skills::person_id, agent_skills::kind, agent_skills::name))
        .select((agent_skills::person_id, Skill::as_select()))
        .load(conn))?;
    let mut rows: HashMap<PersonId, AgentRow> = rows.into_iter().map(|row| (row.person_id, row)).collect();
    let mut skills: HashMap<PersonId, Vec<Skill>> = HashMap::new();
    for (person, skill) in known {
        skills.entry(person).or_default().push(skill);
    }
    let agent = |id: &PersonId| match rows.remove(id) {
        None => Agent::new(*id),
        Some(row) => Agent {
            person_id: row.person_id,
            presence: row.presence,
            capacity: row.capacity,
            skills: skills.remove(id).unwrap_or_default(),
            version: row.version,
            updated_at: Some(row.updated_at),
        },
    };
    Ok(ids.iter().map(agent).collect())
}

/// Which agents are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// With this presence.
    pub presence: Option<Presence>,
    /// Who know this, at whatever level.
    pub skill: Option<String>,
    /// Who speak this language, or one that meets it, at whatever level.
    pub language: Option<String>,
}

/// The people who may work: the provider's agents, leads and operators who are not disabled; no keys.
macro_rules! workers {
    () => {
        memberships::table
            .inner_join(people::table.on(people::id.eq(memberships::person_id)))
            .left_join(agents::table.on(agents::person_id.eq(memberships::person_id)))
            .filter(memberships::tenant_id.eq(PROVIDER))
            .filter(memberships::role.eq_any([Role::Agent, Role::Lead, Role::Operator]))
            .filter(memberships::disabled.eq(false))
            .filter(people::disabled.eq(false))
            .filter(diesel::dsl::not(diesel::dsl::exists(
                api_keys::table
                    .filter(api_keys::tenant_id.eq(memberships::tenant_id))
                    .filter(api_keys::id.eq(memberships::person_id)),
            )))
            .select((people::id, people::name))
    };
}

/// Agents after `after` that a filter lets through, by id, with their names.
pub fn list(
    conn: &mut Connection,
    filter: &Filter,
    after: Option<PersonId>,
    limit: i64,
) -> Result<Vec<(Agent, String)>, Problem> {
    let mut query = workers!().order(people::id).limit(limit).into_boxed();
    if let Some(after) = after {
        query = query.filter(people::id.gt(after));
    }
    query = match filter.presence {
        None => query,
        // Who has no row.
        Some(Presence::Available) => query.filter(
            agents::presence
                .eq(Presence::Available)
                .or(agents::presence.is_null())
                .assume_not_null(),
        ),
        Some(presence) => query.filter(agents::presence.eq(presence).assume_not_null()),
    };
    if let Some(skill) = &filter.skill {
        let known = agent_skills::table
            .filter(agent_skills::kind.eq(SkillKind::Skill))
            .filter(agent_skills::name.eq(skill.clone()))
            .select(agent_skills::person_id);
        query = query.filter(people::id.eq_any(known));
    }
    if let Some(language) = &filter.language {
        // As in `super::meets`: the tag, what it is a variety of, and its varieties. A tag has no `%` and no `_`.
        let tag = language.to_lowercase();
        let ends = tag.match_indices('-').map(|(at, _)| at).chain([tag.len()]);
        let wider: Vec<String> = ends.filter_map(|end| tag.get(..end)).map(str::to_owned).collect();
        let spoken = agent_skills::table
            .filter(agent_skills::kind.eq(SkillKind::Language))
            .filter(
                agent_skills::name
                    .eq_any(wider)
                    .or(agent_skills::name.like(format!("{tag}-%"))),
            )
            .select(agent_skills::person_id);
        query = query.filter(people::id.eq_any(spoken));
    }
    let rows: Vec<(PersonId, String)> = query.load(conn)?;
    let ids: Vec<PersonId> = rows.iter().map(|(id, _)| *id).collect();
    let names = rows.into_iter().map(|(_, name)| name);
    Ok(of(conn, &ids)?.into_iter().zip(names).collect())
}

/// The agent of this id, with its name, if it may work.
pub fn find(conn: &mut Connection, id: PersonId) -> Result<Option<(Agent, String)>, Problem> {
    let found: Option<(PersonId, String)> = workers!().filter(people::id.eq(id)).first(conn).optional()?;
    let Some((id, name)) = found else {
        return Ok(None);
    };
    Ok(of(conn, &[id])?.pop().map(|agent| (agent, name)))
}

/// Saves an agent, guarded by the version it was loaded at: 0 is one without a row. Its skills are replaced when they
/// changed.
pub fn save(conn: &mut Connection, before: &Agent, after: &Agent, now: Moment) -> Result<(), Problem> {
    let row = AgentRow::of(after, now);
    let saved = match before.version {
        0 => diesel::insert_into(agents::table).values(&row).execute(conn)?,
        loaded => {
            let place = agents::table
                .find(after.person_id)
                .filter(agents::version.eq(loaded));
            diesel::update(place).set(&row).execute(conn)?
        }
    };
    if saved != 1 {
        return Err(Problem::lost_race());
    }
    if before.skills == after.skills {
        return Ok(());
    }
    let old = agent_skills::table.filter(agent_skills::person_id.eq(after.person_id));
    diesel::delete(old).execute(conn)?;
    for skill in &after.skills {
        let row = (
            agent_skills::person_id.eq(after.person_id),
            agent_skills::kind.eq(skill.kind),
            agent_skills::name.eq(&skill.name),
            agent_skills::level.eq(skill.level),
        );
        diesel::insert_into(agent_skills::table)
            .values(row)
            .execute(conn)?;
    }
    Ok(())
}
