//! When the next update of an incident was promised: warned of at three quarters, missed at its instant, once each.
//!
//! An update makes the promise, the next one keeps it, and so does the end of the incident. Staff see how it stands;
//! the incident managers get mail.

use chrono::TimeDelta;
use diesel::prelude::*;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::model::Incident;
use super::store;
use crate::db::schema::promises;
use crate::db::{Connection, IncidentId, Moment, PROVIDER, lock, text_enum};
use crate::journal::{self, Actor, Event, EventKind, Reader, SubjectKind};
use crate::mail::Step;
use crate::problem::Problem;

/// Marks of one transaction.
const CHUNK: i64 = 50;

/// What was promised, and what became of it.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = promises, primary_key(incident_id, seq), treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Promise {
    /// The incident.
    pub incident_id: IncidentId,
    /// The update that made it.
    pub seq: i32,
    /// When it was made.
    pub made_at: Moment,
    /// By when the next update was promised.
    pub due_at: Moment,
    /// When it is to be warned of, or will have been missed.
    pub next_at: Option<Moment>,
    /// When it was warned of.
    pub warned_at: Option<Moment>,
    /// When it was missed.
    pub missed_at: Option<Moment>,
    /// When the next update came, or the end.
    pub kept_at: Option<Moment>,
}

text_enum! {
    /// How a promise stands.
    PromiseState {
        /// There is time.
        Open = "open",
        /// Three quarters of the time have passed.
        Warned = "warned",
        /// The time has passed, and no update came.
        Missed = "missed",
    }
}

/// A promise that is not kept yet, as staff see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PromiseView {
    /// By when the next update was promised.
    pub due_at: Moment,
    /// How it stands.
    pub state: PromiseState,
}

/// Three quarters of the way between two instants.
fn warning(made_at: Moment, due_at: Moment) -> Moment {
    made_at.plus(due_at.since(made_at).max(TimeDelta::zero()) * 3 / 4)
}

/// Keeps the promise that was open, and makes the one that the last update gives.
pub fn follow(conn: &mut Connection, incident: &Incident, now: Moment) -> Result<(), Problem> {
    let open = promises::table
        .filter(promises::incident_id.eq(incident.id))
        .filter(promises::kept_at.is_null());
    // What was to be marked by now has passed all the same: it is marked behind the call.
    let kept = promises::kept_at.eq(Some(now));
    diesel::update(open).set(kept).execute(conn)?;
    let ahead = promises::table
        .filter(promises::incident_id.eq(incident.id))
        .filter(promises::next_at.gt(now));
    diesel::update(ahead)
        .set(promises::next_at.eq(None::<Moment>))
        .execute(conn)?;
    let Some(due_at) = incident.next_update_by else {
        return Ok(());
    };
    let promise = Promise {
        incident_id: incident.id,
        seq: incident.last_seq,
        made_at: now,
        due_at,
        next_at: Some(warning(now, due_at)),
        warned_at: None,
        missed_at: None,
        kept_at: None,
    };
    diesel::insert_into(promises::table)
        .values(&promise)
        .execute(conn)?;
    Ok(())
}

/// How the promise of an incident stands, while it is open.
pub fn view(conn: &mut Connection, incident: IncidentId) -> Result<Option<PromiseView>, Problem> {
    let open = promises::table
        .filter(promises::incident_id.eq(incident))
        .filter(promises::kept_at.is_null())
        .order(promises::seq.desc())
        .select(Promise::as_select())
        .first(conn)
        .optional()?;
    Ok(open.map(|promise| PromiseView {
        due_at: promise.due_at,
        state: match (promise.missed_at, promise.warned_at) {
            (Some(_), _) => PromiseState::Missed,
            (None, Some(_)) => PromiseState::Warned,
            (None, None) => PromiseState::Open,
        },
    }))
}

/// The promise that an event is about.
pub fn find(conn: &mut Connection, incident: IncidentId, seq: i32) -> Result<Option<Promise>, Problem> {
    Ok(promises::table
        .find((incident, seq))
        .select(Promise::as_select())
        .first(conn)
        .optional()?)
}

fn due(conn: &mut Connection, now: Moment, limit: i64) -> Result<Vec<(IncidentId, i32)>, Problem> {
    Ok(promises::table
        .filter(promises::next_at.le(now))
        .order((promises::next_at, promises::incident_id))
        .limit(limit)
        .select((promises::incident_id, promises::seq))
        .load(conn)?)
}

/// Whether any promise is to be marked by `now`.
pub fn any_due(conn: &mut Connection, now: Moment) -> Result<bool, Problem> {
    Ok(!due(conn, now, 1)?.is_empty())
}

/// Marks promises whose instants have come, in order.
pub fn mark(conn: &mut Connection, now: Moment) -> Result<Step, Problem> {
    lock::exclusive(conn, lock::Key::named("marks of promises"))?;
    let found = due(conn, now, CHUNK)?;
    if found.is_empty() {
        return Ok(Step::Idle);
    }
    for (incident, seq) in found {
        // As every change of an incident: nobody posts an update meanwhile.
        lock::exclusive(conn, lock::Key::of(incident))?;
        let incident = store::find(conn, incident)?.ok_or_else(|| Problem::not_found("incident"))?;
        let promise = find(conn, incident.id, seq)?;
        let is_due = |promise: &Promise| promise.next_at.is_some_and(|at| at <= now);
        if let Some(promise) = promise.filter(is_due) {
            mark_one(conn, incident, promise, now)?;
        }
    }
    Ok(Step::Worked)
}

fn mark_one(
    conn: &mut Connection,
    mut incident: Incident,
    mut promise: Promise,
    now: Moment,
) -> Result<(), Problem> {
    let kind = if promise.warned_at.is_none() {
        promise.warned_at = promise.next_at;
        // Kept in between: it was not missed.
        let missed = promise.kept_at.is_none_or(|kept| kept > promise.due_at);
        promise.next_at = missed.then_some(promise.due_at);
        EventKind::PromiseWarned
    } else {
        promise.missed_at = promise.next_at.take();
        EventKind::PromiseMissed
    };
    diesel::update(promises::table.find((promise.incident_id, promise.seq)))
        .set(&promise)
        .execute(conn)?;
    let loaded = incident.last_seq;
    incident.last_seq += 1;
    store::save(conn, &incident, loaded)?;
    let event = Event::new(
        kind,
        (SubjectKind::Incident, incident.id),
        (PROVIDER, incident.last_seq),
        (&Actor::system(), now),
        json!({"title": incident.title, "due_at": promise.due_at, "promise": promise.seq}),
    );
    journal::record(conn, &event.internal(), &[Reader::Notify])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_due_at_three_quarters() {
        let at = |minute: i64| Moment::from(chrono::DateTime::from_timestamp(minute * 60, 0).unwrap());
        for (made, due, warned) in [(0, 60, 45), (10, 14, 13), (10, 10, 10), (10, 5, 10)] {
            assert_eq!(warning(at(made), at(due)), at(warned), "{made} to {due}");
        }
    }
}
