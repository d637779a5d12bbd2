//! The states of a request and the verbs that change them (contract §3). Pure.

use serde::Serialize;
use utoipa::ToSchema;

use crate::db::text_enum;
use Status::{Cancelled, Closed, InProgress, Merged, OnHold, PendingCustomer, Queued, Rejected, Resolved};

text_enum! {
    /// Where a request stands.
    #[schema(as = RequestStatus)]
    Status {
        /// In the line.
        Queued = "queued",
        /// Somebody works on it.
        InProgress = "in_progress",
        /// The customer is asked.
        PendingCustomer = "pending_customer",
        /// It waits for something else.
        OnHold = "on_hold",
        /// It is answered.
        Resolved = "resolved",
        /// It is over for good.
        Closed = "closed",
        /// It is part of another.
        Merged = "merged",
        /// The tenant took it back.
        Cancelled = "cancelled",
        /// It was none.
        Rejected = "rejected",
    }
}

text_enum! {
    /// What can be done to a request.
    Verb {
        /// Take the most urgent one of a queue.
        Claim = "claim",
        /// Give it to somebody.
        Assign = "assign",
        /// Put it back into the line.
        Release = "release",
        /// Move it to another line.
        Transfer = "transfer",
        /// Ask the customer.
        AwaitCustomer = "await-customer",
        /// Wait for something else.
        Hold = "hold",
        /// Go on.
        Resume = "resume",
        /// The customer answered.
        Reply = "reply",
        /// Answer it.
        Resolve = "resolve",
        /// End it for good.
        Close = "close",
        /// The answer was none.
        Reopen = "reopen",
        /// The incident is over, and not for this tenant.
        StillAffected = "still-affected",
        /// The tenant takes it back.
        Cancel = "cancel",
        /// It is none.
        Reject = "reject",
    }
}

impl Status {
    /// Whether it is still somebody's work.
    pub fn is_open(self) -> bool {
        matches!(self, Queued | InProgress | PendingCustomer | OnHold)
    }
}

/// Why a verb is refused, with those that are allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Refusal {
    /// Where the request stands.
    pub from: Status,
    /// What could be done instead.
    pub allowed: Vec<Verb>,
}

/// Where `verb` leads from `from`. `has_hands` says whether an assignee is there and on duty: work that comes back
/// goes on with them, and otherwise into the line.
pub fn next(from: Status, verb: Verb, has_hands: bool) -> Result<Status, Refusal> {
    let hands = if has_hands { InProgress } else { Queued };
    let to = match (verb, from) {
        (Verb::Claim, Queued) => InProgress,
        (Verb::Assign, Queued | InProgress) => InProgress,
        (Verb::Assign, PendingCustomer | OnHold) => from,
        (Verb::Release, InProgress | PendingCustomer | OnHold) => Queued,
        (Verb::Transfer, from) if from.is_open() => Queued,
        (Verb::AwaitCustomer, Queued | InProgress | OnHold) => PendingCustomer,
        (Verb::Hold, Queued | InProgress | PendingCustomer) => OnHold,
        (Verb::Resume, PendingCustomer | OnHold) => hands,
        (Verb::Reply, PendingCustomer) => hands,
        (Verb::Reply, Queued | InProgress | OnHold | Resolved) => from,
        (Verb::Resolve, from) if from.is_open() => Resolved,
        (Verb::Close, Resolved) => Closed,
        (Verb::Reopen, Resolved) => Queued,
        (Verb::StillAffected, Resolved) => Queued,
        (Verb::StillAffected, from) if from.is_open() => from,
        (Verb::Cancel, from) if from.is_open() => Cancelled,
        (Verb::Reject, from) if from.is_open() => Rejected,
        _ => {
            return Err(Refusal {
                from,
                allowed: allowed(from),
            });
        }
    };
    Ok(to)
}

/// Every verb that is possible in a state.
pub fn allowed(from: Status) -> Vec<Verb> {
    let open = [
        Verb::Assign,
        Verb::Transfer,
        Verb::Reply,
        Verb::Resolve,
        Verb::StillAffected,
        Verb::Cancel,
        Verb::Reject,
    ];
    let own: &[Verb] = match from {
        Queued => &[Verb::Claim, Verb::AwaitCustomer, Verb::Hold],
        InProgress => &[Verb::Release, Verb::AwaitCustomer, Verb::Hold],
        PendingCustomer => &[Verb::Release, Verb::Hold, Verb::Resume],
        OnHold => &[Verb::Release, Verb::AwaitCustomer, Verb::Resume],
        Resolved => &[Verb::Reply, Verb::Close, Verb::Reopen, Verb::StillAffected],
        Closed | Merged | Cancelled | Rejected => &[],
    };
    let mut allowed = own.to_vec();
    if from.is_open() {
        allowed.extend(open);
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_in_every_state() {
        // Columns: queued, in_progress, pending_customer, on_hold, resolved, then the four that are over.
        // q p w h r c: where it leads (with hands); . refused.
        let table = [
            (Verb::Claim, "p........"),
            (Verb::Assign, "ppwh....."),
            (Verb::Release, ".qqq....."),
            (Verb::Transfer, "qqqq....."),
            (Verb::AwaitCustomer, "ww.w....."),
            (Verb::Hold, "hhh......"),
            (Verb::Resume, "..pp....."),
            (Verb::Reply, "qpphr...."),
            (Verb::Resolve, "rrrr....."),
            (Verb::Close, "....c...."),
            (Verb::Reopen, "....q...."),
            (Verb::StillAffected, "qpwhq...."),
            (Verb::Cancel, "xxxx....."),
            (Verb::Reject, "jjjj....."),
        ];
        assert_eq!(table.len(), Verb::ALL.len());
        for (verb, row) in table {
            for (from, mark) in Status::ALL.iter().zip(row.chars()) {
                let expected = match mark {
                    'q' => Some(Queued),
                    'p' => Some(InProgress),
                    'w' => Some(PendingCustomer),
                    'h' => Some(OnHold),
                    'r' => Some(Resolved),
                    'c' => Some(Closed),
                    'x' => Some(Cancelled),
                    'j' => Some(Rejected),
                    _ => None,
                };
                let found = next(*from, verb, true);
                assert_eq!(found.clone().ok(), expected, "{verb} from {from}");
                assert_eq!(
                    allowed(*from).contains(&verb),
                    found.is_ok(),
                    "{verb} in the list of {from}"
                );
            }
        }
    }

    #[test]
    fn work_that_comes_back_to_nobody_goes_into_the_line() {
        for verb in [Verb::Resume, Verb::Reply] {
            assert_eq!(next(PendingCustomer, verb, false), Ok(Queued));
        }
        assert_eq!(next(OnHold, Verb::Resume, false), Ok(Queued));
    }
}
