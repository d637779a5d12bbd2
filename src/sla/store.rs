//! Queries over calendars and policies.

use std::collections::HashMap;

use diesel::prelude::*;

use super::model::{Book, Calendar, CalendarRef, CalendarView, Counting, Edition, PolicySet};
use super::promises::Promises;
use crate::db::schema::{calendar_editions, calendars, sla_policy_sets};
use crate::db::{CalendarId, Connection, Json, Moment, PersonId, on_each};
use crate::problem::Problem;

/// The calendar of this id.
pub fn calendar(conn: &mut Connection, id: CalendarId) -> Result<Option<Calendar>, Problem> {
    let found = calendars::table
        .find(id)
        .select(Calendar::as_select())
        .first(conn);
    Ok(found.optional()?)
}

/// Whether another calendar has a name.
pub fn name_taken(conn: &mut Connection, folded: &str, but: CalendarId) -> Result<bool, Problem> {
    let count: i64 = calendars::table
        .filter(calendars::name_folded.eq(folded))
        .filter(calendars::id.ne(but))
        .count()
        .get_result(conn)?;
    Ok(count > 0)
}

/// Calendars after `after`, by id.
pub fn calendars(
    conn: &mut Connection,
    after: Option<CalendarId>,
    limit: i64,
) -> Result<Vec<Calendar>, Problem> {
    let mut query = calendars::table
        .order(calendars::id)
        .limit(limit)
        .select(Calendar::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(calendars::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// An edition of a calendar; none there never was.
pub fn edition(conn: &mut Connection, (id, version): CalendarRef) -> Result<Edition, Problem> {
    let found = on_each!(conn, conn => calendar_editions::table
        .find((id, version))
        .select(Edition::as_select())
        .first(conn))
    .optional()?;
    found.ok_or_else(|| Problem::internal(format!("calendar {id} has no version {version}")))
}

/// Adds a calendar with its first edition.
pub fn create_calendar(conn: &mut Connection, calendar: &Calendar, first: &Edition) -> Result<(), Problem> {
    diesel::insert_into(calendars::table)
        .values(calendar)
        .execute(conn)?;
    add_edition(conn, first)
}

/// Saves a calendar and the edition that is now in force, guarded by the version it was loaded at.
pub fn save_calendar(
    conn: &mut Connection,
    calendar: &Calendar,
    loaded: i32,
    edition: &Edition,
) -> Result<(), Problem> {
    let row = calendars::table
        .filter(calendars::id.eq(calendar.id))
        .filter(calendars::version.eq(loaded));
    let set = (
        calendars::name.eq(&calendar.name),
        calendars::name_folded.eq(&calendar.name_folded),
        calendars::version.eq(calendar.version),
        calendars::updated_at.eq(calendar.updated_at),
    );
    if diesel::update(row).set(set).execute(conn)? != 1 {
        return Err(Problem::lost_race());
    }
    add_edition(conn, edition)
}

fn add_edition(conn: &mut Connection, edition: &Edition) -> Result<(), Problem> {
    diesel::insert_into(calendar_editions::table)
        .values(edition)
        .execute(conn)?;
    Ok(())
}

/// A calendar as clients see it.
pub fn view(conn: &mut Connection, calendar: Calendar) -> Result<CalendarView, Problem> {
    let edition = edition(conn, (calendar.id, calendar.version))?;
    Ok(CalendarView {
        id: calendar.id,
        name: calendar.name,
        hours: edition.spans()?,
        holidays: edition.days_off()?,
        time_zone: edition.time_zone,
        version: calendar.version,
        created_at: calendar.created_at,
        updated_at: calendar.updated_at,
    })
}

/// A row of policies: version, place among the changes, policies, author, when.
type SetRow = (i32, i32, Json, PersonId, Moment);

fn set_of((version, terms, Json(policies), author_id, created_at): SetRow) -> Result<PolicySet, Problem> {
    Ok(PolicySet {
        version,
        terms,
        policies: serde_json::from_value(policies).map_err(Problem::internal)?,
        author_id,
        created_at,
    })
}

/// The policies in force.
pub fn policies(conn: &mut Connection) -> Result<Option<PolicySet>, Problem> {
    let newest: Option<SetRow> = on_each!(conn, conn => sla_policy_sets::table
        .order(sla_policy_sets::version.desc())
        .select((
            sla_policy_sets::version,
            sla_policy_sets::terms,
            sla_policy_sets::policies,
            sla_policy_sets::author_id,
            sla_policy_sets::created_at,
        ))
        .first(conn))
    .optional()?;
    newest.map(set_of).transpose()
}

/// The sets of policies before a version, newest first.
pub fn policy_sets(
    conn: &mut Connection,
    before: Option<i32>,
    limit: i64,
) -> Result<Vec<PolicySet>, Problem> {
    let rows: Vec<SetRow> = sla_policy_sets::table
        .filter(sla_policy_sets::version.lt(before.unwrap_or(i32::MAX)))
        .order(sla_policy_sets::version.desc())
        .limit(limit)
        .select(sla_policy_sets::all_columns)
        .load(conn)?;
    rows.into_iter().map(set_of).collect()
}

/// One set of policies.
pub fn policy_set(conn: &mut Connection, version: i32) -> Result<Option<PolicySet>, Problem> {
    let found: Option<SetRow> = sla_policy_sets::table
        .find(version)
        .select(sla_policy_sets::all_columns)
        .first(conn)
        .optional()?;
    found.map(set_of).transpose()
}

/// Puts policies in force.
pub fn add_policies(conn: &mut Connection, set: &PolicySet) -> Result<(), Problem> {
    let row = (
        sla_policy_sets::version.eq(set.version),
        sla_policy_sets::terms.eq(set.terms),
        sla_policy_sets::policies.eq(Json::of(&set.policies)),
        sla_policy_sets::author_id.eq(set.author_id),
        sla_policy_sets::created_at.eq(set.created_at),
    );
    diesel::insert_into(sla_policy_sets::table)
        .values(row)
        .execute(conn)?;
    Ok(())
}

/// The number of the last change of policies or calendars; 0 before there was any.
pub fn terms(conn: &mut Connection) -> Result<i32, Problem> {
    let of_sets: Option<i32> = sla_policy_sets::table
        .select(diesel::dsl::max(sla_policy_sets::terms))
        .first(conn)?;
    let of_editions: Option<i32> = calendar_editions::table
        .select(diesel::dsl::max(calendar_editions::terms))
        .first(conn)?;
    Ok(of_sets.max(of_editions).unwrap_or(0))
}

/// What a set of policies promises, with the editions of its calendars that were in force at a change.
pub fn promises(conn: &mut Connection, set: PolicySet, terms: i32) -> Result<Promises, Problem> {
    let mut editions = HashMap::new();
    for policy in &set.policies {
        if let Counting::In(id) = policy.calendar
            && !editions.contains_key(&id)
        {
            editions.insert(id, version_at(conn, id, terms)?.unwrap_or(1));
        }
    }
    Ok(Promises { set, editions })
}

/// Which edition of a calendar was in force at a change; none where there was no such calendar yet.
fn version_at(conn: &mut Connection, id: CalendarId, terms: i32) -> Result<Option<i32>, Problem> {
    Ok(calendar_editions::table
        .filter(calendar_editions::calendar_id.eq(id))
        .filter(calendar_editions::terms.le(terms))
        .select(diesel::dsl::max(calendar_editions::version))
        .first(conn)?)
}

/// A change of what is promised.
#[derive(Clone, Debug)]
pub enum Change {
    /// Other policies.
    Policies(PolicySet),
    /// Another edition of a calendar.
    Calendar(Edition),
}

impl Change {
    /// Its number.
    pub fn terms(&self) -> i32 {
        match self {
            Self::Policies(set) => set.terms,
            Self::Calendar(edition) => edition.terms,
        }
    }
}

/// The changes after a number, in order.
pub fn changes_after(conn: &mut Connection, terms: i32) -> Result<Vec<Change>, Problem> {
    let sets: Vec<SetRow> = sla_policy_sets::table
        .filter(sla_policy_sets::terms.gt(terms))
        .select(sla_policy_sets::all_columns)
        .load(conn)?;
    let editions: Vec<Edition> = calendar_editions::table
        .filter(calendar_editions::terms.gt(terms))
        .select(Edition::as_select())
        .load(conn)?;
    let mut changes: Vec<Change> = editions.into_iter().map(Change::Calendar).collect();
    for set in sets {
        changes.push(Change::Policies(set_of(set)?));
    }
    changes.sort_by_key(Change::terms);
    Ok(changes)
}

/// Enters an edition of a calendar into a book that does not know it yet.
pub fn enter(conn: &mut Connection, book: &mut Book, calendar: Option<CalendarRef>) -> Result<(), Problem> {
    match calendar.filter(|calendar| !book.knows(*calendar)) {
        Some(calendar) => book.enter(&edition(conn, calendar)?),
        None => Ok(()),
    }
}
