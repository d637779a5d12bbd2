//! The states of an incident and the calls that change them (contract §2). Pure.

use serde::Serialize;
use utoipa::ToSchema;

use crate::db::text_enum;
use Status::{
    Cancelled, Draft, Duplicate, FalsePositive, Identified, Investigating, Monitoring, Resolved, Reviewed,
};

text_enum! {
    /// Where an incident stands.
    #[schema(as = IncidentStatus)]
    Status {
        /// Staff's alone.
        Draft = "draft",
        /// Something is wrong.
        Investigating = "investigating",
        /// The cause is known.
        Identified = "identified",
        /// It seems mended.
        Monitoring = "monitoring",
        /// It is over.
        Resolved = "resolved",
        /// It is over and the report is out.
        Reviewed = "reviewed",
        /// Nothing was wrong.
        FalsePositive = "false_positive",
        /// It is tracked as another incident.
        Duplicate = "duplicate",
        /// A draft that was never published.
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// The calls that change the state.
    Call {
        Publish = "publish",
        Update = "updates",
        Resolve = "resolve",
        Reopen = "reopen",
        FalsePositive = "false-positive",
        Duplicate = "duplicate",
        Report = "report",
        Cancel = "cancel",
    }
}

impl Status {
    /// The states in which requests can be filed against it.
    pub const ACTIVE: [Self; 3] = [Investigating, Identified, Monitoring];

    /// Whether requests can be filed against it.
    pub fn is_active(self) -> bool {
        Self::ACTIVE.contains(&self)
    }

    /// Whether it is over and was public.
    pub fn is_ended(self) -> bool {
        matches!(self, Resolved | Reviewed | FalsePositive | Duplicate)
    }

    /// Whether tenants may see it at all.
    pub fn is_published(self) -> bool {
        self.is_active() || self.is_ended()
    }

    /// What sorts the list: active ones first, then drafts, then what is over.
    pub fn standing(self) -> i16 {
        match self {
            status if status.is_active() => 0,
            Draft => 1,
            _ => 2,
        }
    }
}

/// A transition that is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Transition {
    /// The state it leads to.
    pub to: Status,
    /// The call that makes it.
    pub call: Call,
}

/// Why a transition is refused, with those that are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where the incident stands.
    pub from: Status,
    /// What could be done instead.
    pub allowed: Vec<Transition>,
}

/// Everything that can follow on `from`: the table of contract §2.
pub fn allowed(from: Status) -> Vec<Transition> {
    let mut allowed = Vec::new();
    let mut add = |to, call| allowed.push(Transition { to, call });
    match from {
        Draft => {
            Status::ACTIVE.into_iter().for_each(|to| add(to, Call::Publish));
            add(Duplicate, Call::Duplicate);
            add(Cancelled, Call::Cancel);
        }
        Investigating | Identified | Monitoring => {
            Status::ACTIVE
                .into_iter()
                .filter(|to| *to != from)
                .for_each(|to| add(to, Call::Update));
            add(Resolved, Call::Resolve);
            add(FalsePositive, Call::FalsePositive);
            add(Duplicate, Call::Duplicate);
        }
        Resolved => {
            add(Investigating, Call::Reopen);
            add(Reviewed, Call::Report);
        }
        Reviewed => add(Investigating, Call::Reopen),
        FalsePositive | Duplicate | Cancelled => {}
    }
    allowed
}

/// Whether `call` may lead from `from` to `to`. An update may also repeat the status it finds.
pub fn check(from: Status, to: Status, call: Call) -> Result<Status, Refusal> {
    let repeats = call == Call::Update && from == to && from.is_active();
    let allowed = allowed(from);
    if repeats || allowed.contains(&Transition { to, call }) {
        Ok(to)
    } else {
        Err(Refusal { from, allowed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the contract, written a second time: `to`, `from`, call.
    fn contract(from: Status, to: Status) -> Option<Call> {
        let active = [Investigating, Identified, Monitoring];
        match to {
            Investigating if matches!(from, Resolved | Reviewed) => Some(Call::Reopen),
            Investigating | Identified | Monitoring if from == Draft => Some(Call::Publish),
            Investigating | Identified | Monitoring if active.contains(&from) => Some(Call::Update),
            Resolved if active.contains(&from) => Some(Call::Resolve),
            FalsePositive if active.contains(&from) => Some(Call::FalsePositive),
            Duplicate if from == Draft || active.contains(&from) => Some(Call::Duplicate),
            Reviewed if from == Resolved => Some(Call::Report),
            Cancelled if from == Draft => Some(Call::Cancel),
            _ => None,
        }
    }

    #[test]
    fn every_pair_of_states_under_every_call() {
        for from in Status::ALL {
            for to in Status::ALL {
                for call in Call::ALL {
                    let expected = contract(*from, *to) == Some(*call);
                    let found = check(*from, *to, *call);
                    assert_eq!(found.is_ok(), expected, "{from} → {to} by {call}");
                    if let Err(refusal) = found {
                        assert_eq!(refusal.from, *from);
                        assert!(
                            refusal
                                .allowed
                                .iter()
                                .all(|t| contract(*from, t.to) == Some(t.call))
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn active_ended_and_hidden_states() {
        for (status, active, ended) in [
            (Draft, false, false),
            (Investigating, true, false),
            (Identified, true, false),
            (Monitoring, true, false),
            (Resolved, false, true),
            (Reviewed, false, true),
            (FalsePositive, false, true),
            (Duplicate, false, true),
            (Cancelled, false, false),
        ] {
            assert_eq!(
                (status.is_active(), status.is_ended()),
                (active, ended),
                "{status}"
            );
        }
    }
}
