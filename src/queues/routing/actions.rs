//! The verbs of routing: put a new set of rules in force, and what must hold of every set.

use garde::Validate;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Rule, store};
use crate::db::{Connection, PROVIDER, lock};
use crate::identity::{Caller, Right};
use crate::journal::{self, Event, EventKind, SubjectKind};
use crate::problem::{Code, Problem};
use crate::queues;
use crate::queues::fallback::{End, Fallbacks};

/// All routing rules, in order; the last one always matches.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRules {
    /// The rules.
    #[garde(length(min = 1, max = 500), dive)]
    pub rules: Vec<Rule>,
}

/// Held by whatever changes where rules lead: the rules, or the queues that they name.
pub fn lock(conn: &mut Connection) -> Result<(), Problem> {
    Ok(lock::exclusive(conn, lock::Key::named("routing rules"))?)
}

/// Puts a new rule set in force and gives its version.
pub fn replace_rules(
    conn: &mut Connection,
    caller: &Caller,
    form: &NewRules,
) -> Result<(i32, Vec<Rule>), Problem> {
    caller.require(Right::ManageQueues)?;
    lock(conn)?;
    let (version, before) = store::rules(conn)?.unwrap_or_default();
    caller.if_match.require(version, "")?;
    check(conn, &form.rules)?;
    let now = caller.now();
    store::add_rules(conn, version + 1, &form.rules, caller.person(), now)?;
    let event = Event::new(
        EventKind::RoutingReplaced,
        (SubjectKind::Routing, PROVIDER),
        (PROVIDER, version + 1),
        (&caller.actor(), now),
        json!({"version": version + 1, "from": {"rules": before}, "to": {"rules": form.rules}}),
    );
    journal::record(conn, &event, &[])?;
    Ok((version + 1, form.rules.clone()))
}

/// Every queue must exist; only the last rule, and certainly that one, always matches; it leads to an `always_on`
/// queue, and every other queue to one by its fallbacks.
pub fn check(conn: &mut Connection, rules: &[Rule]) -> Result<(), Problem> {
    let fallbacks = queues::store::fallbacks(conn)?;
    let last = rules.len().saturating_sub(1);
    for (place, rule) in rules.iter().enumerate() {
        if (place == last) != rule.when.is_empty() {
            let detail = "the last rule, and no other, has an empty condition";
            return Err(Problem::invalid(format!("/rules/{place}/when"), detail));
        }
        if let Some(fault) = fault(&fallbacks, rule, place == last) {
            return Err(Problem::invalid(format!("/rules/{place}/queue_id"), fault));
        }
    }
    Ok(())
}

/// 409 when a queue that the rules in force name no longer leads where somebody always is.
pub fn still_hold(conn: &mut Connection, fallbacks: &Fallbacks) -> Result<(), Problem> {
    let (_, rules) = store::rules(conn)?.unwrap_or_default();
    let last = rules.len().saturating_sub(1);
    for (place, rule) in rules.iter().enumerate() {
        if let Some(fault) = fault(fallbacks, rule, place == last) {
            let detail = format!("the rule `{}` would no longer hold: {fault}", rule.name);
            return Err(Problem::new(Code::Conflict, detail));
        }
    }
    Ok(())
}

/// What is wrong with the queue of a rule.
fn fault(fallbacks: &Fallbacks, rule: &Rule, is_last: bool) -> Option<&'static str> {
    match (fallbacks.find(rule.queue_id), fallbacks.end(rule.queue_id)) {
        (None, _) => Some("there is no such queue"),
        (Some(queue), _) if is_last && !queue.always_on => Some("the catch-all needs an always_on queue"),
        (Some(_), End::AlwaysOn) => None,
        (Some(_), End::Nowhere) => Some("the queue is not always_on and has no fallback that is"),
        (Some(_), End::Circle) => Some("the queue is not always_on and its fallbacks go in a circle"),
    }
}
