//! Rosters as iCalendar (RFC 5545), for the calendars that people look into anyway.
//!
//! An event is one window of a shift or an override that somebody works, less what is taken out of it. What it is
//! called hangs on queue, person and start, and so stays the same when a schedule is replaced by one like it.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, get, web};
use chrono::{DateTime, TimeDelta, Utc};
use icalendar::{Calendar, Component as _, Event, EventLike as _};
use utoipa_actix_web::service_config::ServiceConfig;

use super::api::{Range, found};
use super::{Queue, duty, store};
use crate::db::{Connection, Moment, PersonId, QueueId};
use crate::http::Query;
use crate::identity::{self, Caller};
use crate::problem::Problem;
use crate::schedule::Window;

/// How much is shown when nothing is asked.
const AHEAD: TimeDelta = TimeDelta::days(90);
/// How far beyond a range something may lie that a window of it has: as long as an override can be, and a day more.
const BEYOND: TimeDelta = TimeDelta::days(401);

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(of_queue).service(of_agent);
}

/// The schedule of a queue as iCalendar
#[utoipa::path(operation_id = "queue_calendar", tag = "rosters", params(("id" = QueueId, Path), Range), responses((status = 200, body = String, content_type = "text/calendar", description = "an event for each time of duty and person")), security(("bearer" = [])))]
#[get("/queues/{id}/schedule.ics")]
async fn of_queue(
    caller: Caller,
    id: web::Path<QueueId>,
    query: Query<Range>,
) -> Result<HttpResponse, Problem> {
    let range = query.0.within(caller.now(), AHEAD)?;
    let text = caller.read(move |conn, caller| {
        let queue = found(conn, *id)?;
        let events = events(conn, &queue, range, None, caller.now())?;
        Ok(calendar(&queue.name, events))
    });
    Ok(answer(text.await?))
}

/// The schedule of an agent in all queues as iCalendar
#[utoipa::path(operation_id = "agent_calendar", tag = "rosters", params(("id" = PersonId, Path), Range), responses((status = 200, body = String, content_type = "text/calendar", description = "an event for each time of duty")), security(("bearer" = [])))]
#[get("/agents/{id}/schedule.ics")]
async fn of_agent(
    caller: Caller,
    id: web::Path<PersonId>,
    query: Query<Range>,
) -> Result<HttpResponse, Problem> {
    let range = query.0.within(caller.now(), AHEAD)?;
    let text = caller.read(move |conn, caller| {
        let missing = || Problem::not_found("agent");
        if store::staff_among(conn, &[*id])?.is_empty() {
            return Err(missing());
        }
        let person = identity::store::person(conn, *id)?.ok_or_else(missing)?;
        let mut all = Vec::new();
        for queue in store::queues_of(conn, person.id)? {
            if let Some(queue) = store::find(conn, queue)? {
                all.extend(events(conn, &queue, range, Some(person.id), caller.now())?);
            }
        }
        Ok(calendar(&person.name, all))
    });
    Ok(answer(text.await?))
}

fn answer(text: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/calendar; charset=utf-8")
        .body(text)
}

fn calendar(name: &str, events: Vec<Event>) -> String {
    let mut calendar = Calendar::new();
    calendar.name(name);
    calendar.extend(events);
    calendar.to_string()
}

/// The times of duty in a queue that meet a range; of one person, where only that one is asked for.
fn events(
    conn: &mut Connection,
    queue: &Queue,
    (from, to): (Moment, Moment),
    who: Option<PersonId>,
    now: Moment,
) -> Result<Vec<Event>, Problem> {
    let named = duty::roster(conn, queue.id, (from.minus(BEYOND), to.plus(BEYOND)), who)?;
    let people = named.people(conn)?;
    let mut seen: BTreeMap<(PersonId, DateTime<Utc>), u32> = BTreeMap::new();
    let mut events = Vec::new();
    for (window, seat) in named.roster.stints(from.utc(), to.utc()) {
        // Two shifts may begin at once.
        let place = seen.entry((seat.person, window.from)).or_default();
        let uid = uid((queue.id, seat.person), window, *place);
        *place += 1;
        let shift = seat.duty.and_then(|duty| named.names.get(duty));
        let shift = shift.map_or("override", String::as_str);
        let summary = match who {
            Some(_) => format!("{}: {shift}", queue.name),
            None => {
                let name = people.get(&seat.person).map_or("", String::as_str);
                format!("{name}: {shift}")
            }
        };
        let mut event = Event::new();
        event
            .uid(&uid)
            .timestamp(now.utc())
            .summary(&summary)
            .starts(window.from)
            .ends(window.until);
        events.push(event.done());
    }
    Ok(events)
}

fn uid((queue, person): (QueueId, PersonId), window: Window, place: u32) -> String {
    let start = window.from.format("%Y%m%dT%H%M%SZ");
    match place {
        0 => format!("{start}-{queue}-{person}@allclear"),
        place => format!("{start}-{queue}-{person}-{place}@allclear"),
    }
}
