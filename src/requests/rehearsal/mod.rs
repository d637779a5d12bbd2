//! What a set of rules would have done with the requests there were. It reads, and changes nothing.
//!
//! The facts are those of the filing, as its event has them: what became of a request later is not what was routed.
//! Language and tags are the request's, the plan is the tenant's of today.

pub mod api;
mod store;

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::Contact;
use super::view::QueueRef;
use crate::db::{Connection, Id, IncidentId, QueueId, RequestId};
use crate::identity::{Caller, Right};
use crate::problem::Problem;
use crate::queues;
use crate::queues::routing::{self, Channel, Facts, Rule, Severity};
use store::Row;

/// So many requests are read at once.
const CHUNK: usize = 200;
/// So many of those that would have gone elsewhere are shown.
const SHOWN: usize = 100;

/// A draft, and how many requests it is tried on.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// The rules, checked as if they were to be put in force.
    #[garde(length(min = 1, max = 500), dive)]
    pub rules: Vec<Rule>,
    /// The newest requests that the caller may see, 1 to 10,000.
    #[serde(default = "five_hundred")]
    #[garde(range(min = 1, max = 10_000))]
    pub last: usize,
}

fn five_hundred() -> usize {
    500
}

/// What became of a draft.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Rehearsal {
    /// How many requests it was tried on; erased ones are passed over.
    pub looked_at: usize,
    /// What each rule would have taken, in their order.
    pub rules: Vec<Share>,
    /// How many would have gone to another queue than they did.
    pub moved: usize,
    /// The newest of them, 100 at most.
    pub elsewhere: Vec<Moved>,
}

/// What a rule would have taken.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Share {
    /// Its name.
    pub name: String,
    /// Its queue.
    pub queue_id: QueueId,
    /// How many requests.
    pub requests: usize,
}

/// A request that would have gone elsewhere.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Moved {
    /// Its id.
    pub id: RequestId,
    /// What people call it.
    pub reference: String,
    /// The queue that it was filed into.
    pub from: QueueRef,
    /// The queue that it would have been filed into.
    pub to: QueueRef,
    /// The name of the rule that takes it there.
    pub rule: String,
}

/// What the event of a filing says of how it was routed.
#[derive(Debug, Deserialize)]
struct Filed {
    service: String,
    region: String,
    severity: Severity,
    channel: Channel,
    incident_id: Option<IncidentId>,
    internal: Routed,
}

#[derive(Debug, Deserialize)]
struct Routed {
    queue_id: QueueId,
}

/// Tries a draft on the newest requests that the caller sees, page by page.
pub fn rehearse(conn: &mut Connection, caller: &Caller, draft: &Draft) -> Result<Rehearsal, Problem> {
    caller.require(Right::ManageQueues)?;
    caller.require(Right::ReadRequests)?;
    routing::actions::check(conn, &draft.rules)?;
    let hidden = super::store::hidden_queues(conn, caller)?;
    let mut tally = Tally::of(&draft.rules);
    let (mut left, mut before) = (draft.last, Id::from_uuid(uuid::Uuid::max()));
    while left > 0 {
        let limit = left.min(CHUNK);
        let page = store::newest(conn, &hidden, before, limit)?;
        let is_last = page.len() < limit;
        before = page.last().map_or(before, |row| row.id);
        left -= page.len();
        page.iter().for_each(|row| tally.take(row));
        if is_last {
            break;
        }
    }
    tally.result(conn)
}

/// The count, as it goes on.
struct Tally<'a> {
    rules: &'a [Rule],
    taken: Vec<usize>,
    moved: usize,
    elsewhere: Vec<(RequestId, String, QueueId, &'a Rule)>,
}

impl<'a> Tally<'a> {
    fn of(rules: &'a [Rule]) -> Self {
        Self {
            rules,
            taken: vec![0; rules.len()],
            moved: 0,
            elsewhere: Vec::new(),
        }
    }

    /// Counts where a request would have gone. What was erased has no facts any more, and is not counted.
    fn take(&mut self, row: &Row) {
        let Ok(filed) = Filed::deserialize(&row.filed.0) else {
            return;
        };
        let contact = Contact::deserialize(&row.contact.0).unwrap_or_default();
        let tags = Vec::<String>::deserialize(&row.tags.0).unwrap_or_default();
        let facts = Facts {
            service: &filed.service,
            region: &filed.region,
            severity: filed.severity,
            plan: row.plan,
            language: contact.language.as_deref().unwrap_or(&row.locale),
            channel: filed.channel,
            incident: filed.incident_id,
            tags: &tags,
        };
        let rules = self.rules.iter().zip(&mut self.taken);
        let Some((rule, taken)) = rules.into_iter().find(|(rule, _)| rule.when.fits(&facts)) else {
            return;
        };
        *taken += 1;
        let from = filed.internal.queue_id;
        if rule.queue_id == from {
            return;
        }
        self.moved += 1;
        if self.elsewhere.len() < SHOWN {
            self.elsewhere.push((row.id, row.reference.clone(), from, rule));
        }
    }

    fn result(self, conn: &mut Connection) -> Result<Rehearsal, Problem> {
        let queues = self
            .elsewhere
            .iter()
            .flat_map(|(_, _, from, rule)| [*from, rule.queue_id]);
        let names = queues::store::names(conn, &queues.collect::<Vec<_>>())?;
        let named = |id: QueueId| QueueRef {
            id,
            name: names
                .iter()
                .find(|(known, _)| *known == id)
                .map(|(_, name)| name.clone())
                .unwrap_or_default(),
        };
        let share = |(rule, requests): (&Rule, usize)| Share {
            name: rule.name.clone(),
            queue_id: rule.queue_id,
            requests,
        };
        Ok(Rehearsal {
            looked_at: self.taken.iter().sum(),
            moved: self.moved,
            elsewhere: self
                .elsewhere
                .into_iter()
                .map(|(id, reference, from, rule)| Moved {
                    id,
                    reference,
                    from: named(from),
                    to: named(rule.queue_id),
                    rule: rule.name.clone(),
                })
                .collect(),
            rules: self.rules.iter().zip(self.taken).map(share).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::db::Json;
    use crate::identity::Plan;

    fn queue(n: u128) -> QueueId {
        Id::from_uuid(uuid::Uuid::from_u128(n))
    }

    fn row(n: u128, plan: Plan, filed: Value, contact: Value) -> Row {
        Row {
            id: Id::from_uuid(uuid::Uuid::from_u128(n)),
            reference: format!("SR-{n}"),
            contact: Json(contact),
            tags: Json(json!(["vip"])),
            plan,
            locale: "en".to_owned(),
            filed: Json(filed),
        }
    }

    #[test]
    fn a_draft_is_tried_on_what_was_known_at_the_filing() {
        let rules: Vec<Rule> = serde_json::from_value(json!([
            {"name": "German", "when": {"language": ["de"]}, "queue_id": queue(1)},
            {"name": "premium", "when": {"plan": ["premium"], "severity": ["a"]}, "queue_id": queue(2)},
            {"name": "rest", "when": {}, "queue_id": queue(3)},
        ]))
        .unwrap();
        let filed = |severity: &str, n: u128| {
            json!({
                "to": "queued", "service": "mail", "region": "europe", "severity": severity, "channel": "email",
                "incident_id": null, "internal": {"queue_id": queue(n), "rule": "all"},
            })
        };
        let mut tally = Tally::of(&rules);
        let german = json!({"language": "de-CH"});
        for row in [
            row(1, Plan::Premium, filed("a", 1), german),
            row(2, Plan::Premium, filed("a", 1), json!({})),
            row(3, Plan::Premium, filed("b", 3), json!({})),
            row(4, Plan::Standard, filed("a", 2), json!({"language": "fr"})),
            // Erased.
            row(5, Plan::Standard, json!({}), json!({})),
        ] {
            tally.take(&row);
        }
        assert_eq!(tally.taken, [1, 1, 2]);
        assert_eq!(tally.moved, 2);
        let moved: Vec<_> = tally
            .elsewhere
            .iter()
            .map(|(_, reference, from, rule)| (reference.as_str(), *from, rule.name.as_str()))
            .collect();
        assert_eq!(moved, [("SR-2", queue(1), "premium"), ("SR-4", queue(2), "rest")]);
    }

    #[test]
    fn no_more_are_kept_than_are_shown() {
        let rules: Vec<Rule> =
            serde_json::from_value(json!([{"name": "rest", "when": {}, "queue_id": queue(3)}])).unwrap();
        let filed = json!({
            "service": "mail", "region": "europe", "severity": "a", "channel": "email", "incident_id": null,
            "internal": {"queue_id": queue(1)},
        });
        let mut tally = Tally::of(&rules);
        for n in 0..250 {
            tally.take(&row(n, Plan::Standard, filed.clone(), json!({})));
        }
        assert_eq!((tally.moved, tally.elsewhere.len()), (250, SHOWN));
    }
}
