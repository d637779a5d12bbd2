//! The verbs of calendars and policies. Each change gets the next number among all of them, which clocks follow.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::model::{
    Calendar, CalendarView, Counting, Edition, Holiday, NewCalendar, NewPolicies, PolicySet, Span,
};
use super::{holidays, store};
use crate::db::{CalendarId, Connection, Id, Json, Moment, PROVIDER, lock};
use crate::identity::{Caller, Right};
use crate::journal::{self, Event, EventKind, SubjectKind};
use crate::problem::{Code, Problem};

/// Days off of one calendar.
const MOST_HOLIDAYS: usize = 2_000;

/// Makes a calendar.
pub fn create(conn: &mut Connection, caller: &Caller, form: &NewCalendar) -> Result<CalendarView, Problem> {
    let now = begin(conn, caller)?;
    let calendar = Calendar {
        id: Id::at(now),
        name: form.name.trim().to_owned(),
        name_folded: form.name.trim().to_lowercase(),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    unique(conn, &calendar)?;
    let edition = edition(conn, caller, &calendar, form)?;
    store::create_calendar(conn, &calendar, &edition)?;
    let data = json!({"name": calendar.name, "to": said(&calendar, &edition)});
    record(conn, caller, &calendar, (EventKind::CalendarCreated, data))?;
    store::view(conn, calendar)
}

/// Changes a calendar from now on. What was counted under an earlier edition stays as it was.
pub fn replace(
    conn: &mut Connection,
    caller: &Caller,
    id: CalendarId,
    form: &NewCalendar,
) -> Result<CalendarView, Problem> {
    let (now, before, old) = load(conn, caller, id)?;
    save(conn, caller, (before, old), form, now)
}

/// Adds the days off that an iCalendar file has, to those that are there.
pub fn import(
    conn: &mut Connection,
    caller: &Caller,
    id: CalendarId,
    file: &str,
) -> Result<CalendarView, Problem> {
    let (now, before, old) = load(conn, caller, id)?;
    let found = holidays::read(file, now.utc().date_naive()).map_err(|what| Problem::invalid("", what))?;
    let mut days = old.days_off()?;
    let known: BTreeSet<_> = days.iter().map(|day| day.date).collect();
    days.extend(found.into_iter().filter(|day| !known.contains(&day.date)));
    if days.len() > MOST_HOLIDAYS {
        let detail = format!("a calendar may have {MOST_HOLIDAYS} holidays");
        return Err(Problem::invalid("", detail));
    }
    let form = NewCalendar {
        name: before.name.clone(),
        time_zone: old.time_zone.clone(),
        hours: old.spans()?,
        holidays: days,
    };
    save(conn, caller, (before, old), &form, now)
}

/// Puts policies in force, all of them at once, and gives them with their version.
pub fn replace_policies(
    conn: &mut Connection,
    caller: &Caller,
    form: &NewPolicies,
) -> Result<PolicySet, Problem> {
    let now = begin(conn, caller)?;
    let before = store::policies(conn)?;
    let version = before.as_ref().map_or(0, |set| set.version);
    caller.if_match.require(version, "")?;
    check(conn, form)?;
    let set = PolicySet {
        version: version + 1,
        terms: store::terms(conn)? + 1,
        policies: form.policies.clone(),
        author_id: caller.person(),
        created_at: now,
    };
    store::add_policies(conn, &set)?;
    let from = before.map(|set| set.policies).unwrap_or_default();
    let event = Event::alone(
        EventKind::PoliciesReplaced,
        SubjectKind::Policies,
        PROVIDER,
        (&caller.actor(), now),
        json!({"version": set.version, "from": {"policies": from}, "to": {"policies": set.policies}}),
    );
    journal::record(conn, &event, &[])?;
    Ok(set)
}

/// Allows, and lets nobody else change what is promised at the same time: changes are in one order, also in time.
fn begin(conn: &mut Connection, caller: &Caller) -> Result<Moment, Problem> {
    caller.require(Right::ManagePromises)?;
    lock::exclusive(conn, lock::Key::named("what is promised"))?;
    Ok(caller.now())
}

fn load(
    conn: &mut Connection,
    caller: &Caller,
    id: CalendarId,
) -> Result<(Moment, Calendar, Edition), Problem> {
    let now = begin(conn, caller)?;
    let calendar = store::calendar(conn, id)?.ok_or_else(|| Problem::not_found("calendar"))?;
    caller.if_match.require(calendar.version, "")?;
    let edition = store::edition(conn, (id, calendar.version))?;
    Ok((now, calendar, edition))
}

fn save(
    conn: &mut Connection,
    caller: &Caller,
    (before, old): (Calendar, Edition),
    form: &NewCalendar,
    now: Moment,
) -> Result<CalendarView, Problem> {
    let calendar = Calendar {
        name: form.name.trim().to_owned(),
        name_folded: form.name.trim().to_lowercase(),
        version: before.version + 1,
        updated_at: now,
        ..before.clone()
    };
    unique(conn, &calendar)?;
    let edition = edition(conn, caller, &calendar, form)?;
    store::save_calendar(conn, &calendar, before.version, &edition)?;
    let mut data = journal::changes(said(&before, &old), said(&calendar, &edition));
    if let Some(data) = data.as_object_mut() {
        data.insert("name".to_owned(), json!(calendar.name));
    }
    record(conn, caller, &calendar, (EventKind::CalendarReplaced, data))?;
    store::view(conn, calendar)
}

/// The edition that a form makes the one in force.
fn edition(
    conn: &mut Connection,
    caller: &Caller,
    calendar: &Calendar,
    form: &NewCalendar,
) -> Result<Edition, Problem> {
    let mut days: Vec<Holiday> = form.holidays.clone();
    days.sort_unstable();
    days.dedup_by_key(|day| day.date);
    let tidy = |span: &Span| {
        let days: BTreeSet<_> = span.days.iter().copied().collect();
        Span {
            days: days.into_iter().collect(),
            ..span.clone()
        }
    };
    Ok(Edition {
        calendar_id: calendar.id,
        version: calendar.version,
        terms: store::terms(conn)? + 1,
        time_zone: form.time_zone.clone(),
        hours: Json::of(form.hours.iter().map(tidy).collect::<Vec<_>>()),
        holidays: Json::of(days),
        author_id: caller.person(),
        created_at: calendar.updated_at,
    })
}

fn unique(conn: &mut Connection, calendar: &Calendar) -> Result<(), Problem> {
    if store::name_taken(conn, &calendar.name_folded, calendar.id)? {
        let detail = format!("there is a calendar `{}`", calendar.name);
        return Err(Problem::new(Code::AlreadyExists, detail));
    }
    Ok(())
}

/// A calendar as the history has it.
fn said(calendar: &Calendar, edition: &Edition) -> Value {
    json!({
        "name": calendar.name, "time_zone": edition.time_zone, "hours": edition.hours.0,
        "holidays": edition.holidays.0,
    })
}

fn record(
    conn: &mut Connection,
    caller: &Caller,
    calendar: &Calendar,
    (kind, data): (EventKind, Value),
) -> Result<(), Problem> {
    let event = Event::new(
        kind,
        (SubjectKind::Calendar, calendar.id),
        (PROVIDER, calendar.version),
        (&caller.actor(), calendar.updated_at),
        data,
    );
    journal::record(conn, &event, &[])
}

/// Each plan, severity and clock once, and only calendars that there are.
fn check(conn: &mut Connection, form: &NewPolicies) -> Result<(), Problem> {
    let mut seen = BTreeSet::new();
    for (place, policy) in form.policies.iter().enumerate() {
        if !seen.insert((policy.plan, policy.severity, policy.clock)) {
            let detail = "there is another policy for this plan, severity and clock";
            return Err(Problem::invalid(format!("/policies/{place}"), detail));
        }
        if let Counting::In(id) = policy.calendar
            && store::calendar(conn, id)?.is_none()
        {
            let pointer = format!("/policies/{place}/calendar");
            return Err(Problem::invalid(pointer, "there is no such calendar"));
        }
    }
    Ok(())
}
