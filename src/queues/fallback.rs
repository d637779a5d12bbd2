//! Where a queue leads when nobody answers in it: its fallback, the fallback of that, until one is always on.
//!
//! Pure. A queue that requests come to leads to one that is always on, or somebody waits for nobody.

use std::collections::{HashMap, HashSet};

use crate::db::QueueId;

/// What is known of a queue here.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Whether it is staffed at every instant.
    pub always_on: bool,
    /// Where its requests go when nobody answers.
    pub next: Option<QueueId>,
}

/// Where the fallbacks of a queue end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At a queue that is always on.
    AlwaysOn,
    /// At one that is not, and has no fallback.
    Nowhere,
    /// They come back to one that was there before.
    Circle,
}

/// All queues, and what each falls back to.
#[derive(Clone, Debug, Default)]
pub struct Fallbacks(HashMap<QueueId, Link>);

impl FromIterator<(QueueId, Link)> for Fallbacks {
    fn from_iter<I: IntoIterator<Item = (QueueId, Link)>>(links: I) -> Self {
        Self(links.into_iter().collect())
    }
}

impl Fallbacks {
    /// The same with this queue as it will be.
    pub fn with(mut self, id: QueueId, link: Link) -> Self {
        self.0.insert(id, link);
        self
    }

    /// The queue of this id, if there is one.
    pub fn find(&self, id: QueueId) -> Option<Link> {
        self.0.get(&id).copied()
    }

    /// The fallback of a queue, the fallback of that, and so on; each once, and never the queue itself.
    pub fn of(&self, id: QueueId) -> Vec<QueueId> {
        let mut chain = vec![id];
        let mut at = id;
        while let Some(next) = self.find(at).and_then(|link| link.next) {
            if chain.contains(&next) {
                break;
            }
            chain.push(next);
            at = next;
        }
        chain.split_off(1)
    }

    /// Where this queue leads. One that is always on leads to itself.
    pub fn end(&self, mut id: QueueId) -> End {
        let mut seen = HashSet::new();
        loop {
            let Some(link) = self.find(id) else {
                return End::Nowhere;
            };
            if link.always_on {
                return End::AlwaysOn;
            }
            if !seen.insert(id) {
                return End::Circle;
            }
            match link.next {
                Some(next) => id = next,
                None => return End::Nowhere,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Id;

    #[test]
    fn a_queue_leads_to_one_that_is_always_on_or_nowhere_or_round_and_round() {
        let id = |n: u128| -> QueueId { Id::from_uuid(uuid::Uuid::from_u128(n)) };
        let links = [
            (1, true, None),
            (2, false, Some(1)),
            (3, false, Some(2)),
            (4, false, None),
            (5, false, Some(4)),
            // In a circle of three, and on the way into it.
            (6, false, Some(7)),
            (7, false, Some(8)),
            (8, false, Some(6)),
            (9, false, Some(6)),
            (10, false, Some(10)),
            // A circle with one that is always on is none for whoever waits.
            (11, true, Some(12)),
            (12, false, Some(11)),
            (13, false, Some(99)),
        ];
        let fallbacks: Fallbacks = links
            .into_iter()
            .map(|(n, always_on, next)| {
                let next = next.map(id);
                (id(n), Link { always_on, next })
            })
            .collect();
        for (n, end) in [
            (1, End::AlwaysOn),
            (2, End::AlwaysOn),
            (3, End::AlwaysOn),
            (4, End::Nowhere),
            (5, End::Nowhere),
            (6, End::Circle),
            (8, End::Circle),
            (9, End::Circle),
            (10, End::Circle),
            (11, End::AlwaysOn),
            (12, End::AlwaysOn),
            (13, End::Nowhere),
            (99, End::Nowhere),
        ] {
            assert_eq!(fallbacks.end(id(n)), end, "{n}");
        }
    }
}
