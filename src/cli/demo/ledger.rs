//! The sums over the ledger: what was sent, and whether anybody who was told of an incident was left without its end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;

/// A row of the ledger: one message to one recipient.
#[derive(Clone, Debug, Deserialize)]
pub struct Delivery {
    /// On whose behalf.
    pub tenant_id: String,
    /// The broadcast, or the request's event.
    pub event_id: String,
    /// What it says.
    pub kind: String,
    /// The incident that it names.
    pub incident_id: Option<String>,
    /// For whom.
    pub recipient: String,
    /// How far it got.
    pub state: String,
}

impl Delivery {
    /// Whether nothing more will happen to it by itself.
    pub fn is_settled(&self) -> bool {
        !matches!(self.state.as_str(), "pending" | "leased")
    }

    fn is_sent(&self) -> bool {
        self.state == "sent"
    }
}

/// What the ledger comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Messages handed over.
    pub sent: usize,
    /// Messages that were not.
    pub unsent: usize,
    /// People told of an incident that has ended, once for each incident.
    pub told: usize,
    /// Those of them to whom its end is not addressed.
    pub without_end: usize,
}

impl Sums {
    /// Of `ledger`, where `ends` names the event that ended each incident.
    pub fn of(ledger: &[Delivery], ends: &HashMap<String, String>) -> Self {
        let mut told = BTreeSet::new();
        let mut ended = BTreeSet::new();
        for delivery in ledger {
            let Some(incident) = &delivery.incident_id else {
                continue;
            };
            let Some(end) = ends.get(incident) else { continue };
            let person = (incident, &delivery.tenant_id, &delivery.recipient);
            told.insert(person);
            if delivery.event_id == *end {
                ended.insert(person);
            }
        }
        let sent = ledger.iter().filter(|delivery| delivery.is_sent()).count();
        Self {
            sent,
            unsent: ledger.len() - sent,
            told: told.len(),
            without_end: told.difference(&ended).count(),
        }
    }

    /// Messages that somebody should have and does not, when `in_mailbox` have arrived.
    pub fn lost(&self, in_mailbox: usize) -> usize {
        self.unsent + self.without_end + self.sent.saturating_sub(in_mailbox)
    }
}

/// How many deliveries there are of each kind, in each state.
pub fn by_kind(ledger: &[Delivery]) -> BTreeMap<(&str, &str), usize> {
    let mut counts = BTreeMap::new();
    for delivery in ledger {
        *counts
            .entry((delivery.kind.as_str(), delivery.state.as_str()))
            .or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(event: &str, incident: Option<&str>, recipient: &str, state: &str) -> Delivery {
        Delivery {
            tenant_id: "contoso".into(),
            event_id: event.into(),
            kind: "incident_updated".into(),
            incident_id: incident.map(Into::into),
            recipient: recipient.into(),
            state: state.into(),
        }
    }

    #[test]
    fn who_was_told_of_the_beginning_is_owed_the_end() {
        let ends = HashMap::from([("mail".to_owned(), "end".to_owned())]);
        let mut ledger = vec![
            delivery("opening", Some("mail"), "bob", "sent"),
            delivery("receipt", Some("mail"), "ada", "sent"),
            delivery("opening", Some("another, still active"), "eva", "sent"),
            delivery("comment", None, "bob", "sent"),
            delivery("end", Some("mail"), "bob", "sent"),
        ];
        let sums = Sums::of(&ledger, &ends);
        assert_eq!(
            sums,
            Sums {
                sent: 5,
                unsent: 0,
                told: 2,
                without_end: 1
            }
        );
        assert_eq!(sums.lost(5), 1);
        ledger.push(delivery("end", Some("mail"), "ada", "failed"));
        let sums = Sums::of(&ledger, &ends);
        assert_eq!(
            sums,
            Sums {
                sent: 5,
                unsent: 1,
                told: 2,
                without_end: 0
            }
        );
        assert_eq!((sums.lost(5), sums.lost(7), sums.lost(3)), (1, 1, 3));
    }
}
