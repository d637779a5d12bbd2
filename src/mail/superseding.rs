//! Which unsent mail of an incident a later event replaces (contract §5). Pure.
//!
//! A mail that has left is history; one that has not would only say what is no longer so. By the incident's sequence of
//! events: a later event replaces an unsent *update*; an end is replaced by nothing but a reopening, so it is never lost
//! to an update or a report; the report replaces nothing. An opening that the end overtakes is not sent: whoever has a
//! request gets the end alone, and whoever merely subscribes gets neither, having heard of nothing. What it affects is
//! told anew by the next such event and by any turn, which go to everyone who was told; an update does not stand for it.

use super::model::BroadcastKind;
use BroadcastKind::{Duplicate, FalsePositive, Opened, Reopened, Reported, Rescoped, Resolved, Updated};

/// Whether an event of this kind stands for unsent mail of an earlier one.
pub fn replaces(later: BroadcastKind, earlier: BroadcastKind) -> bool {
    match earlier {
        Updated => later != Reported,
        Rescoped => later.reaches_told(),
        Opened => later.is_end(),
        Resolved | FalsePositive | Duplicate => later == Reopened,
        Reopened | Reported => false,
    }
}

/// Whether an event concerns whoever merely subscribes and was told of nothing, though the opening has not left for them.
/// That it is over, and why it was, does not.
pub fn concerns_untold(kind: BroadcastKind) -> bool {
    !kind.is_end() && kind != Reported
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair, written out: the rows are the earlier event, the columns the later one.
    #[test]
    fn every_pair_of_events() {
        #[rustfmt::skip]
        let table = [
            // later:       opened updated rescoped resolved reopened false+ duplicate report
            (Opened,        [false, false, false, true,  false, true,  true,  false]),
            (Updated,       [true,  true,  true,  true,  true,  true,  true,  false]),
            (Rescoped,      [false, false, true,  true,  true,  true,  true,  false]),
            (Resolved,      [false, false, false, false, true,  false, false, false]),
            (Reopened,      [false, false, false, false, false, false, false, false]),
            (FalsePositive, [false, false, false, false, true,  false, false, false]),
            (Duplicate,     [false, false, false, false, true,  false, false, false]),
            (Reported,      [false, false, false, false, false, false, false, false]),
        ];
        assert_eq!(table.len(), BroadcastKind::ALL.len());
        for (earlier, row) in table {
            for (later, expected) in BroadcastKind::ALL.iter().zip(row) {
                assert_eq!(replaces(*later, earlier), expected, "{earlier}, then {later}");
            }
        }
    }

    /// Along every sequence of four events of which none has left: the last turn is never replaced.
    #[test]
    fn the_last_turn_of_an_incident_is_never_lost() {
        let sequences = (0..4).fold(vec![Vec::new()], |sequences: Vec<Vec<BroadcastKind>>, _| {
            let longer = |sequence: &Vec<BroadcastKind>| {
                BroadcastKind::ALL
                    .iter()
                    .map(|kind| [sequence.as_slice(), &[*kind]].concat())
                    .collect::<Vec<_>>()
            };
            sequences.iter().flat_map(longer).collect()
        });
        for events in sequences {
            let is_replaced = |at: usize| events[at + 1..].iter().any(|later| replaces(*later, events[at]));
            let last_turn = (0..events.len()).rev().find(|at| events[*at].reaches_told());
            if let Some(at) = last_turn {
                assert!(!is_replaced(at), "{events:?}");
            }
        }
    }

    #[test]
    fn a_subscriber_who_heard_of_nothing_hears_of_no_end_and_reads_no_report() {
        let concerning = BroadcastKind::ALL.iter().filter(|kind| concerns_untold(**kind));
        assert_eq!(
            concerning.copied().collect::<Vec<_>>(),
            [Opened, Updated, Rescoped, Reopened]
        );
    }
}
