//! Queries over the sets of rules. Every set there ever was is kept; the newest is in force.

use diesel::prelude::*;

use super::Rule;
use crate::db::schema::{incidents, people, regions, routing_rule_sets, services};
use crate::db::{Connection, IncidentId, Json, Moment, PersonId, on_each};
use crate::problem::Problem;

/// The rules in force, and their version.
pub fn rules(conn: &mut Connection) -> Result<Option<(i32, Vec<Rule>)>, Problem> {
    let newest: Option<(i32, Json)> = on_each!(conn, conn => routing_rule_sets::table
        .order(routing_rule_sets::version.desc())
        .select((routing_rule_sets::version, routing_rule_sets::rules))
        .first(conn))
    .optional()?;
    newest
        .map(|(version, rules)| Ok((version, read(rules)?)))
        .transpose()
}

fn read(Json(rules): Json) -> Result<Vec<Rule>, Problem> {
    serde_json::from_value(rules).map_err(Problem::internal)
}

/// Puts a new rule set in force.
pub fn add_rules(
    conn: &mut Connection,
    version: i32,
    rules: &[Rule],
    author: PersonId,
    now: Moment,
) -> Result<(), Problem> {
    let row = (
        routing_rule_sets::version.eq(version),
        routing_rule_sets::rules.eq(Json::of(rules)),
        routing_rule_sets::author_id.eq(author),
        routing_rule_sets::created_at.eq(now),
        routing_rule_sets::size.eq(i32::try_from(rules.len()).unwrap_or(i32::MAX)),
    );
    diesel::insert_into(routing_rule_sets::table)
        .values(row)
        .execute(conn)?;
    Ok(())
}

/// A set without its rules: version, id and name of its author, when, how many rules.
pub type Cover = (i32, PersonId, String, Moment, i32);

macro_rules! sets {
    () => {
        routing_rule_sets::table.inner_join(people::table.on(people::id.eq(routing_rule_sets::author_id)))
    };
}

macro_rules! cover {
    () => {
        (
            routing_rule_sets::version,
            people::id,
            people::name,
            routing_rule_sets::created_at,
            routing_rule_sets::size,
        )
    };
}

/// The sets before `before`, the newest first.
pub fn versions(conn: &mut Connection, before: Option<i32>, limit: i64) -> Result<Vec<Cover>, Problem> {
    let mut query = sets!()
        .order(routing_rule_sets::version.desc())
        .limit(limit)
        .select(cover!())
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(routing_rule_sets::version.lt(before));
    }
    Ok(query.load(conn)?)
}

/// One set with its rules.
pub fn version(conn: &mut Connection, version: i32) -> Result<Option<(Cover, Vec<Rule>)>, Problem> {
    let found: Option<(Cover, Json)> = sets!()
        .filter(routing_rule_sets::version.eq(version))
        .select((cover!(), routing_rule_sets::rules))
        .first(conn)
        .optional()?;
    found.map(|(cover, rules)| Ok((cover, read(rules)?))).transpose()
}

/// Whether there is a service of this slug, a region of that one, and the incident.
pub fn exist(
    conn: &mut Connection,
    (service, region): (&str, &str),
    incident: Option<IncidentId>,
) -> Result<[bool; 3], Problem> {
    macro_rules! is_there {
        ($table:ident, $key:expr) => {{
            let count: i64 = $table::table.find($key).count().get_result(conn)?;
            count > 0
        }};
    }
    Ok([
        is_there!(services, service.to_owned()),
        is_there!(regions, region.to_owned()),
        match incident {
            Some(incident) => is_there!(incidents, incident),
            None => true,
        },
    ])
}
