//! Where requests were and how they stood, worked back from what is now: what happened since is undone. Pure.

use std::collections::{BTreeMap, HashMap};

use crate::db::{Moment, QueueId, RequestId, TenantId};
use crate::journal::EventKind;
use crate::requests::lifecycle::Status;

/// A request and whose it is.
pub type Whose = (TenantId, RequestId);

/// Which queues requests were moved out of, and when.
#[derive(Clone, Debug, Default)]
pub struct Moves(HashMap<Whose, BTreeMap<i32, (Moment, QueueId)>>);

impl Moves {
    /// Event number `seq` of a request took it out of a queue.
    pub fn add(&mut self, whose: Whose, seq: i32, at: Moment, from: QueueId) {
        self.0.entry(whose).or_default().insert(seq, (at, from));
    }

    /// Where a request was at its event number `seq`, which is in `now` today.
    pub fn queue_then(&self, whose: Whose, seq: i32, now: QueueId) -> QueueId {
        let moves = self.0.get(&whose);
        let next = moves.and_then(|moves| moves.range(seq.saturating_add(1)..).next());
        next.map_or(now, |(_, (_, from))| *from)
    }

    /// Where a request was just before an instant.
    pub fn queue_before(&self, whose: Whose, at: Moment, now: QueueId) -> QueueId {
        let mut moves = self.0.get(&whose).into_iter().flat_map(BTreeMap::values);
        moves
            .find(|(moved_at, _)| *moved_at >= at)
            .map_or(now, |(_, from)| *from)
    }
}

/// Whether a request was open before an event of this kind, which says what it came from; none where the event says
/// nothing about that.
pub fn was_open(kind: EventKind, from: Option<Status>) -> Option<bool> {
    match kind {
        EventKind::RequestResolved | EventKind::RequestCancelled | EventKind::RequestRejected => Some(true),
        EventKind::RequestReopened | EventKind::RequestClosed => Some(false),
        // It may be said of an open one, and then changes nothing of that.
        EventKind::RequestStillAffected => from.map(Status::is_open),
        _ => None,
    }
}

/// Whether an event makes a request somebody's work again.
pub fn reopens(kind: EventKind, from: Option<Status>) -> bool {
    matches!(kind, EventKind::RequestReopened | EventKind::RequestStillAffected)
        && was_open(kind, from) == Some(false)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(minute: i64) -> Moment {
        DateTime::from_timestamp(minute * 60, 0).unwrap().into()
    }

    #[test]
    fn what_happened_since_is_undone() {
        let [first, second, third] = [1, 2, 3].map(|number| QueueId::first_at(at(number)));
        let whose = (TenantId::first_at(at(1)), RequestId::first_at(at(2)));
        let mut moves = Moves::default();
        moves.add(whose, 5, at(50), second);
        moves.add(whose, 2, at(20), first);
        for (seq, queue) in [(1, first), (2, second), (4, second), (5, third), (9, third)] {
            assert_eq!(moves.queue_then(whose, seq, third), queue, "event {seq}");
        }
        for (minute, queue) in [(0, first), (20, first), (21, second), (50, second), (51, third)] {
            assert_eq!(moves.queue_before(whose, at(minute), third), queue, "{minute}");
        }
        let other = (whose.0, RequestId::first_at(at(3)));
        assert_eq!(moves.queue_then(other, 1, third), third);
    }

    #[test]
    fn an_event_says_whether_it_was_open_before() {
        use EventKind::{
            RequestCancelled, RequestClaimed, RequestClosed, RequestReopened, RequestResolved,
            RequestStillAffected,
        };
        for (kind, from, before, again) in [
            (RequestResolved, Some(Status::InProgress), Some(true), false),
            (RequestCancelled, None, Some(true), false),
            (RequestClosed, Some(Status::Resolved), Some(false), false),
            (RequestReopened, Some(Status::Resolved), Some(false), true),
            (RequestStillAffected, Some(Status::Resolved), Some(false), true),
            (RequestStillAffected, Some(Status::OnHold), Some(true), false),
            (RequestStillAffected, None, None, false),
            (RequestClaimed, Some(Status::Queued), None, false),
        ] {
            assert_eq!(
                (was_open(kind, from), reopens(kind, from)),
                (before, again),
                "{kind}"
            );
        }
    }
}
