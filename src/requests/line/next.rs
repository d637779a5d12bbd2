//! Where a request goes that nobody answers: up the ladder of the queue it came to, and down the fallbacks of the one
//! it stands in. Pure.
//!
//! A step of the ladder is taken when its time has come, and at once while nobody who fits is on duty where the request
//! stands. A step that leads to nobody is skipped, and the next one is taken at once. When the ladder is at its end and
//! nobody fits, the fallbacks are asked; when nobody fits there either, the needs are dropped for whoever is on duty.

use chrono::TimeDelta;

use crate::db::{Moment, QueueId};
use crate::queues::{Ladder, To};

/// Who would answer a request in a queue now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// Nobody is on duty.
    Nobody,
    /// Somebody is, who lacks what the request needs.
    Somebody,
    /// Somebody who fits.
    Fitting,
}

/// How far a request has come on its way.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// The queue in whose line it stands.
    pub here: QueueId,
    /// When it came to the queue whose ladder it climbs.
    pub since: Moment,
    /// The ladder of that queue.
    pub ladder: &'a Ladder,
    /// How many steps of it were taken.
    pub taken: usize,
    /// The fallback of the queue it stands in, the fallback of that, and so on.
    pub fallbacks: &'a [QueueId],
    /// Whether somebody sends it on: then no step waits for its time.
    pub by_hand: bool,
}

/// What is to be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing, until that instant if there is one.
    Stay(Option<Moment>),
    /// It goes to the line of another queue.
    Move {
        /// Which one.
        to: QueueId,
        /// How many steps were taken then.
        taken: usize,
        /// Why.
        why: Why,
    },
    /// The lead is told, and it stays.
    TellLead {
        /// How many steps were taken then.
        taken: usize,
    },
    /// Nobody who fits is on duty anywhere: whoever is on duty where it goes may take it.
    DropNeeds {
        /// The queue; the one it stands in, where somebody is on duty there.
        to: QueueId,
    },
    /// Nobody at all is on duty where it could go: it is stranded.
    Stranded,
}

/// Why a request is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was not answered for so long.
    Unanswered,
    /// Nobody on duty in its queue fits.
    NobodyFits,
}

impl Why {
    /// For the history.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unanswered => "unanswered",
            Self::NobodyFits => "nobody-on-duty-fits",
        }
    }
}

/// Where a request goes at `now`, when `answer` says who would answer it in a queue.
pub fn next(way: Way<'_>, now: Moment, has_lead: bool, answer: impl Fn(QueueId) -> Answer) -> Next {
    let is_answered = answer(way.here) == Answer::Fitting;
    let mut at_once = way.by_hand || !is_answered;
    for (place, step) in way.ladder.0.iter().enumerate().skip(way.taken) {
        let due = way.since.plus(TimeDelta::minutes(step.after_minutes.into()));
        if !at_once && now < due {
            return Next::Stay(Some(due));
        }
        let taken = place.saturating_add(1);
        match step.to {
            To::Queue { queue_id } if queue_id != way.here && answer(queue_id) == Answer::Fitting => {
                let why = if is_answered {
                    Why::Unanswered
                } else {
                    Why::NobodyFits
                };
                return Next::Move {
                    to: queue_id,
                    taken,
                    why,
                };
            }
            To::DutyLead if has_lead => return Next::TellLead { taken },
            To::Queue { .. } | To::DutyLead => at_once = true,
        }
    }
    if is_answered {
        return Next::Stay(None);
    }
    fall_back(way, answer)
}

/// Where a request goes whose ladder is at its end, with nobody who fits where it stands.
fn fall_back(way: Way<'_>, answer: impl Fn(QueueId) -> Answer) -> Next {
    let fitting = way
        .fallbacks
        .iter()
        .find(|queue| answer(**queue) == Answer::Fitting);
    if let Some(to) = fitting {
        return Next::Move {
            to: *to,
            taken: way.ladder.0.len(),
            why: Why::NobodyFits,
        };
    }
    let staffed = std::iter::once(&way.here)
        .chain(way.fallbacks)
        .find(|queue| answer(**queue) == Answer::Somebody);
    staffed.map_or(Next::Stranded, |to| Next::DropNeeds { to: *to })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::db::Id;
    use crate::queues::Step;

    fn queue(n: u128) -> QueueId {
        Id::from_uuid(uuid::Uuid::from_u128(n))
    }

    fn at(minute: i64) -> Moment {
        DateTime::from_timestamp(minute * 60, 0).unwrap().into()
    }

    /// The ladder of queue 1: after 15 minutes to queue 2, after 30 to the lead, after 60 to queue 3.
    fn ladder() -> Ladder {
        let step = |after_minutes, to| Step { after_minutes, to };
        let to = |n| To::Queue { queue_id: queue(n) };
        Ladder(vec![step(15, to(2)), step(30, To::DutyLead), step(60, to(3))])
    }

    fn moved(n: u128, taken: usize, why: Why) -> Next {
        Next::Move {
            to: queue(n),
            taken,
            why,
        }
    }

    #[test]
    fn every_way_of_a_request() {
        use Answer::{Fitting as F, Nobody as N, Somebody as S};
        // Answers of queues 1 to 4; 1 falls back to 4, which is always on.
        let cases: [(&str, i64, usize, [Answer; 4], bool, Next); 13] = [
            ("it waits", 0, 0, [F, F, F, F], true, Next::Stay(Some(at(15)))),
            (
                "a moment before",
                14,
                0,
                [F, F, F, F],
                true,
                Next::Stay(Some(at(15))),
            ),
            (
                "unanswered",
                15,
                0,
                [F, F, F, F],
                true,
                moved(2, 1, Why::Unanswered),
            ),
            (
                "the lead is told",
                30,
                1,
                [F, F, F, F],
                true,
                Next::TellLead { taken: 2 },
            ),
            (
                "an empty step is skipped at once",
                15,
                0,
                [F, S, F, F],
                true,
                Next::TellLead { taken: 2 },
            ),
            (
                "two of them",
                15,
                0,
                [F, N, F, F],
                false,
                moved(3, 3, Why::Unanswered),
            ),
            ("all of them", 15, 0, [F, N, N, F], false, Next::Stay(None)),
            ("at the end it stays", 99, 3, [F, F, F, F], true, Next::Stay(None)),
            (
                "nobody here: no waiting",
                0,
                0,
                [N, F, F, F],
                true,
                moved(2, 1, Why::NobodyFits),
            ),
            (
                "nobody fits here",
                0,
                0,
                [S, N, F, F],
                false,
                moved(3, 3, Why::NobodyFits),
            ),
            (
                "the fallback at last",
                0,
                0,
                [N, N, N, F],
                false,
                moved(4, 3, Why::NobodyFits),
            ),
            (
                "who is there must do",
                0,
                3,
                [S, F, F, S],
                true,
                Next::DropNeeds { to: queue(1) },
            ),
            ("nobody anywhere", 0, 3, [N, F, F, N], true, Next::Stranded),
        ];
        let ladder = ladder();
        for (case, minute, taken, answers, has_lead, expected) in cases {
            let way = Way {
                here: queue(1),
                since: at(0),
                ladder: &ladder,
                taken,
                fallbacks: &[queue(4)],
                by_hand: false,
            };
            let answer = |asked: QueueId| (1..=4).zip(answers).find(|(n, _)| queue(*n) == asked).unwrap().1;
            assert_eq!(next(way, at(minute), has_lead, answer), expected, "{case}");
        }
    }

    #[test]
    fn a_step_to_where_it_stands_is_skipped() {
        let way = Way {
            here: queue(2),
            since: at(0),
            ladder: &ladder(),
            taken: 0,
            fallbacks: &[],
            by_hand: false,
        };
        assert_eq!(
            next(way, at(15), true, |_| Answer::Fitting),
            Next::TellLead { taken: 2 }
        );
    }

    #[test]
    fn by_hand_no_step_waits_for_its_time() {
        let (ladder, mut taken) = (ladder(), 0);
        for expected in [
            moved(2, 1, Why::Unanswered),
            Next::TellLead { taken: 2 },
            moved(3, 3, Why::Unanswered),
            Next::Stay(None),
        ] {
            let way = Way {
                here: queue(1),
                since: at(0),
                ladder: &ladder,
                taken,
                fallbacks: &[],
                by_hand: true,
            };
            assert_eq!(next(way, at(0), true, |_| Answer::Fitting), expected);
            taken += 1;
        }
    }
}
