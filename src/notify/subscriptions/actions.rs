//! The verbs of what people want to hear of: set one's preferences, subscribe to an incident, and no longer.

use serde_json::json;

use super::model::{NewPreferences, Place, Preferences, PreferencesView, Subscription};
use super::store::{self, Whose};
use crate::db::{Connection, IncidentId, lock};
use crate::identity::{self, Caller, Right};
use crate::incidents;
use crate::journal::{self, Event, EventKind, SubjectKind};
use crate::mail::opt_outs;
use crate::mail::unsubscribe::{What, Wish};
use crate::problem::{Code, Problem};

/// Subscriptions to incidents that somebody may have, one by one: so many that nobody is in their way.
const INCIDENTS: usize = 500;

fn whose(caller: &Caller) -> Whose {
    (caller.tenant(), caller.person())
}

/// The wish of whoever calls to get no more mail of something.
fn wish(conn: &mut Connection, caller: &Caller, what: What) -> Result<Wish, Problem> {
    let person = identity::store::person(conn, caller.person())?;
    let person = person.ok_or_else(|| Problem::not_found("user"))?;
    Ok(Wish {
        tenant: caller.tenant(),
        recipient: person.email,
        what,
    })
}

/// What the caller wants to hear of.
pub fn read(conn: &mut Connection, caller: &Caller) -> Result<PreferencesView, Problem> {
    let preferences = store::preferences(conn, whose(caller), caller.now())?;
    let rows = store::of(conn, whose(caller))?;
    let everything = wish(conn, caller, What::Everything)?;
    Ok(PreferencesView::of(
        &preferences,
        rows,
        opt_outs::stands(conn, &everything)?,
    ))
}

/// Sets all of what the caller wants to hear of, but for the incidents that were subscribed to one by one.
pub fn set(
    conn: &mut Connection,
    caller: &Caller,
    form: &NewPreferences,
) -> Result<PreferencesView, Problem> {
    caller.require(Right::ChangeNotifications)?;
    lock::exclusive(conn, lock::Key::of(caller.person()))?;
    let before = read(conn, caller)?;
    caller.if_match.require(before.version, "set")?;
    let places = places(conn, &form.subscriptions)?;
    let now = caller.now();
    let preferences = store::preferences(conn, whose(caller), now)?.changed(form, now);
    store::save(conn, &preferences, before.version)?;
    store::remove_places(conn, whose(caller))?;
    let rows = places
        .into_iter()
        .map(|place| Subscription::to(whose(caller), place, now));
    store::add(conn, &rows.collect::<Vec<_>>())?;
    let everything = wish(conn, caller, What::Everything)?;
    match form.unsubscribed {
        true => opt_outs::add(conn, &everything, now)?,
        false => opt_outs::remove(conn, &everything)?,
    };
    let after = read(conn, caller)?;
    let shown = |view: &PreferencesView| {
        json!({
            "topics": view.topics, "subscriptions": view.subscriptions, "digest": view.digest,
            "unsubscribed": view.unsubscribed,
        })
    };
    let changes = journal::changes(shown(&before), shown(&after));
    note(conn, caller, EventKind::NotificationsChanged, changes)?;
    Ok(after)
}

/// The places of a form, each once, if there are such services and regions.
fn places(conn: &mut Connection, named: &[Place]) -> Result<Vec<Place>, Problem> {
    let (services, regions) = store::known(conn, named)?;
    for (at, place) in named.iter().enumerate() {
        let fields = [
            ("service", &place.service, &services),
            ("region", &place.region, &regions),
        ];
        for (field, slug, known) in fields {
            if let Some(slug) = slug.as_ref().filter(|slug| !known.contains(*slug)) {
                let pointer = format!("/subscriptions/{at}/{field}");
                return Err(Problem::invalid(&pointer, format!("there is no `{slug}`")));
            }
        }
    }
    let mut places = named.to_vec();
    places.sort_unstable();
    places.dedup();
    Ok(places)
}

/// Subscribes to an incident that the caller may see; whoever had unsubscribed from it gets its mail again.
pub fn subscribe(conn: &mut Connection, caller: &Caller, id: IncidentId) -> Result<PreferencesView, Problem> {
    caller.require(Right::ChangeNotifications)?;
    visible(conn, caller, id)?;
    lock::exclusive(conn, lock::Key::of(caller.person()))?;
    let now = caller.now();
    let before = read(conn, caller)?;
    let wish = wish(conn, caller, What::Incident(id))?;
    let returned = opt_outs::remove(conn, &wish)?;
    let is_new = !before.incidents.contains(&id);
    if is_new {
        if before.incidents.len() >= INCIDENTS {
            let detail = format!("there may be {INCIDENTS} subscriptions to incidents");
            return Err(Problem::new(Code::Conflict, detail));
        }
        // Whoever subscribes has said so: the rows hang on the preferences.
        if before.version == 0 {
            let first = store::preferences(conn, whose(caller), now)?;
            store::save(conn, &Preferences { version: 1, ..first }, 0)?;
        }
        store::add(conn, &[Subscription::to_incident(whose(caller), id, now)])?;
    }
    if is_new || returned {
        note(conn, caller, EventKind::Subscribed, json!({"incident_id": id}))?;
    }
    read(conn, caller)
}

/// Takes the caller off an incident: no more mail of it, not even that it is over.
pub fn unsubscribe(conn: &mut Connection, caller: &Caller, id: IncidentId) -> Result<(), Problem> {
    caller.require(Right::ChangeNotifications)?;
    visible(conn, caller, id)?;
    lock::exclusive(conn, lock::Key::of(caller.person()))?;
    let wish = wish(conn, caller, What::Incident(id))?;
    let added = opt_outs::add(conn, &wish, caller.now())?;
    let removed = store::remove_incident(conn, whose(caller), id)?;
    if added || removed {
        note(conn, caller, EventKind::Unsubscribed, json!({"incident_id": id}))?;
    }
    Ok(())
}

fn visible(conn: &mut Connection, caller: &Caller, id: IncidentId) -> Result<(), Problem> {
    let found = incidents::store::visible(conn, caller.scope(), caller.may(Right::ReadDrafts), id)?;
    found.map(|_| ()).ok_or_else(|| Problem::not_found("incident"))
}

fn note(
    conn: &mut Connection,
    caller: &Caller,
    kind: EventKind,
    data: serde_json::Value,
) -> Result<(), Problem> {
    let event = Event::next(
        kind,
        (SubjectKind::Person, caller.person()),
        caller.tenant(),
        (&caller.actor(), caller.now()),
        data,
    );
    journal::append(conn, event, &[])
}
