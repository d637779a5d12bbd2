//! Which events somebody hears of. Pure.
//!
//! Preferences leave out openings, updates and reports. That it ended, began again, or affects others than it did, goes to
//! everyone who was told that it began, whatever they prefer; who wants none of it unsubscribes, which is recorded.

use crate::mail::BroadcastKind;

/// The events that somebody wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// That an incident began.
    pub opened: bool,
    /// What became known.
    pub updated: bool,
    /// That it is over.
    pub ended: bool,
    /// Why it was.
    pub reported: bool,
    /// What became known, once a day.
    pub digest: bool,
}

impl Wishes {
    /// Of whoever has said nothing.
    pub const ALL: Self = Self {
        opened: true,
        updated: true,
        ended: true,
        reported: true,
        digest: false,
    };

    /// Whether it waits for the next morning, or for what happens before.
    pub fn keep(self, kind: BroadcastKind) -> bool {
        self.digest && kind == BroadcastKind::Updated
    }

    /// Whether somebody with these wishes, who `was_told` that the incident began or was not, hears of this.
    pub fn include(self, kind: BroadcastKind, was_told: bool) -> bool {
        match kind {
            BroadcastKind::Opened => self.opened,
            BroadcastKind::Updated => self.updated,
            BroadcastKind::Rescoped => was_told || self.updated,
            BroadcastKind::Reopened => was_told || self.opened,
            BroadcastKind::Resolved | BroadcastKind::FalsePositive | BroadcastKind::Duplicate => {
                was_told || self.ended
            }
            BroadcastKind::Reported => self.reported,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Wishes = Wishes {
        opened: false,
        updated: false,
        ended: false,
        reported: false,
        digest: false,
    };

    #[test]
    fn each_wish_is_for_its_events() {
        let opened = Wishes { opened: true, ..NONE };
        let updated = Wishes {
            updated: true,
            ..NONE
        };
        let ended = Wishes { ended: true, ..NONE };
        let reported = Wishes {
            reported: true,
            ..NONE
        };
        #[rustfmt::skip]
        let table = [
            // of somebody who was told of nothing:
            //          opened updated rescoped resolved reopened false+ duplicate report
            (NONE,     [false, false,  false,   false,   false,   false, false,    false]),
            (opened,   [true,  false,  false,   false,   true,    false, false,    false]),
            (updated,  [false, true,   true,    false,   false,   false, false,    false]),
            (ended,    [false, false,  false,   true,    false,   true,  true,     false]),
            (reported, [false, false,  false,   false,   false,   false, false,    true]),
            (Wishes::ALL, [true; 8]),
        ];
        for (wishes, row) in table {
            for (kind, expected) in BroadcastKind::ALL.iter().zip(row) {
                assert_eq!(wishes.include(*kind, false), expected, "{wishes:?} of {kind}");
                // Whoever was told it began is told what it affects now, that it ended, and that it began again.
                let told = expected || kind.reaches_told();
                assert_eq!(wishes.include(*kind, true), told, "{wishes:?} of {kind}, told");
            }
        }
    }

    #[test]
    fn of_what_is_wanted_only_updates_wait_and_only_for_whoever_wants_that() {
        let daily = Wishes {
            digest: true,
            ..Wishes::ALL
        };
        for kind in BroadcastKind::ALL {
            assert!(!Wishes::ALL.keep(*kind));
            assert_eq!(daily.keep(*kind), *kind == BroadcastKind::Updated, "{kind}");
            assert!(daily.include(*kind, false), "{kind}");
        }
    }
}
