//! The change of a queue, and what must hold of it afterwards: names are unique, what is always on is staffed, and
//! whatever requests come to leads to a queue that is always on.

use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::actions::record;
use super::fallback::{End, Fallbacks};
use super::ladder::{Ladder, LadderStep};
use super::model::{Push, Queue, QueueView};
use super::{coverage, findings, routing, store};
use crate::db::{Connection, Json, QueueId, lock};
use crate::identity::{Caller, Right};
use crate::journal::{self, EventKind};
use crate::problem::{Code, Problem};
use crate::text;

/// What changes of a queue; what is left out stays. Shifts have a call of their own.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueChange {
    /// Its name, unique without regard to case.
    #[serde(default)]
    #[garde(inner(custom(text::line::<200>)))]
    pub name: Option<String>,
    /// Whether it must be staffed at every instant of the next 400 days.
    #[serde(default)]
    #[garde(skip)]
    pub always_on: Option<bool>,
    /// Whether only its members read its requests.
    #[serde(default)]
    #[garde(skip)]
    pub restricted: Option<bool>,
    /// Where requests go when nobody answers here.
    #[serde(default, deserialize_with = "crate::http::body::given")]
    #[garde(skip)]
    pub fallback_queue_id: Option<Option<QueueId>>,
    /// And step by step in the meantime; all of it.
    #[serde(default)]
    #[garde(skip)]
    #[schema(value_type = Option<Vec<LadderStep>>)]
    pub ladder: Option<Ladder>,
    /// Whether work is given to its agents, and to whom of them first.
    #[serde(default)]
    #[garde(skip)]
    pub push: Option<Push>,
    /// How many must be on duty at once, from 1 to 50.
    #[serde(default)]
    #[garde(inner(range(min = 1, max = 50)))]
    pub minimum: Option<i32>,
}

/// Changes a queue.
pub fn change(
    conn: &mut Connection,
    caller: &Caller,
    id: QueueId,
    form: &QueueChange,
) -> Result<QueueView, Problem> {
    caller.require(Right::ManageQueues)?;
    // Names and fallbacks are rules over all queues, and what routing leads to is one over queues and rules.
    lock::exclusive(conn, lock::Key::named("queues"))?;
    routing::actions::lock(conn)?;
    let before = store::locked(conn, id)?;
    caller.if_match.require(before.version, "")?;
    let now = caller.now();
    let after = Queue {
        version: before.version.saturating_add(1),
        updated_at: now,
        ..changed(&before, form)
    };
    if after.name_folded != before.name_folded && store::name_taken(conn, &after.name_folded)? {
        let detail = format!("there is a queue `{}`", after.name);
        return Err(Problem::new(Code::AlreadyExists, detail));
    }
    check(conn, &after)?;
    coverage::prove(conn, &before, &after, now)?;
    store::save(conn, &after, before.version)?;
    if coverage::is_other_promise(&before, &after) {
        findings::renew(conn, id, now)?;
    }
    let mut data = journal::changes(described(&before), described(&after));
    if let Some(data) = data.as_object_mut() {
        data.insert("name".to_owned(), json!(after.name));
    }
    record(conn, caller, &after, (EventKind::QueueChanged, data), now)?;
    store::view(conn, after)
}

fn changed(before: &Queue, form: &QueueChange) -> Queue {
    let mut after = before.clone();
    if let Some(name) = &form.name {
        after.name = name.trim().to_owned();
        after.name_folded = after.name.to_lowercase();
    }
    after.always_on = form.always_on.unwrap_or(before.always_on);
    after.restricted = form.restricted.unwrap_or(before.restricted);
    after.fallback_queue_id = form.fallback_queue_id.unwrap_or(before.fallback_queue_id);
    if let Some(ladder) = &form.ladder {
        after.ladder = Json::of(ladder);
    }
    after.push = form.push.unwrap_or(before.push);
    after.minimum = form.minimum.unwrap_or(before.minimum);
    after
}

/// What the history says of a queue; its name is always said.
fn described(queue: &Queue) -> Value {
    json!({
        "name": queue.name, "always_on": queue.always_on, "restricted": queue.restricted,
        "fallback_queue_id": queue.fallback_queue_id, "ladder": queue.ladder, "push": queue.push,
        "minimum": queue.minimum,
    })
}

/// What must hold of a queue, new or changed, beside all others.
pub(super) fn check(conn: &mut Connection, queue: &Queue) -> Result<(), Problem> {
    let fallbacks = store::fallbacks(conn)?.with(queue.id, queue.link());
    check_fallback(&fallbacks, queue)?;
    check_ladder(&fallbacks, queue)?;
    routing::actions::still_hold(conn, &fallbacks)?;
    for (id, name, ladder) in store::ladders(conn)? {
        let is_lost = |(_, to): (usize, QueueId)| fallbacks.end(to) != End::AlwaysOn;
        if id != queue.id && ladder.queues().any(is_lost) {
            let detail = format!(
                "the ladder of `{name}` would lead to a queue without one that is always_on behind it"
            );
            return Err(Problem::new(Code::Conflict, detail));
        }
    }
    Ok(())
}

/// The fallback of a queue is another one, and does not lead back.
fn check_fallback(fallbacks: &Fallbacks, queue: &Queue) -> Result<(), Problem> {
    let Some(fallback) = queue.fallback_queue_id else {
        return Ok(());
    };
    let fault = if fallback == queue.id {
        "must be another queue"
    } else if fallbacks.find(fallback).is_none() {
        "there is no such queue"
    } else if fallbacks.end(queue.id) == End::Circle {
        "leads back to where it comes from"
    } else {
        return Ok(());
    };
    Err(Problem::invalid("/fallback_queue_id", fault))
}

/// The ladder of a queue leads to queues that requests may come to.
fn check_ladder(fallbacks: &Fallbacks, queue: &Queue) -> Result<(), Problem> {
    let ladder = queue.ladder()?;
    let faults = ladder.faults(queue.id);
    if let Some(first) = faults.first() {
        let detail = format!("{}: {}", first.pointer, first.detail);
        return Err(Problem::new(Code::ValidationFailed, detail).with_errors(faults));
    }
    for (place, id) in ladder.queues() {
        let fault = match (fallbacks.find(id), fallbacks.end(id)) {
            (None, _) => "there is no such queue",
            (Some(_), End::AlwaysOn) => continue,
            (Some(_), End::Nowhere | End::Circle) => "the queue is not always_on and has no fallback that is",
        };
        return Err(Problem::invalid(format!("/ladder/{place}/queue_id"), fault));
    }
    Ok(())
}
