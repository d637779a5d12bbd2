//! The timeline of an incident: which calls the words of its log come to, as a pure function.
//!
//! Whatever the order of the words, the last state of the log is the last state of the incident.

use chrono::{DateTime, Utc};

use super::histories::{IncidentLog, LoggedUpdate};

/// An active status of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Something is wrong.
    Investigating,
    /// The cause is known.
    Identified,
    /// It seems mended.
    Monitoring,
}

impl Status {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Investigating => "investigating",
            Self::Identified => "identified",
            Self::Monitoring => "monitoring",
        }
    }
}

/// One call about an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It is opened.
    Open(Status),
    /// Something is said, perhaps with another status.
    Update(Option<Status>),
    /// It is over.
    Resolve,
    /// It was not over; it is investigated again.
    Reopen,
}

impl Call {
    /// Whether the incident is active after it.
    pub fn leaves_active(self) -> bool {
        self != Self::Resolve
    }
}

/// One call, when it is made and with which text of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub call: Call,
    /// The text, as logged; may be empty.
    pub message: String,
}

/// The calls that an incident comes to, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// The calls.
    pub entries: Vec<Entry>,
    /// Updates that come to no call: said after the end, without a status.
    pub after_the_end: usize,
}

/// What the word of an update says.
enum Word {
    Active(Status),
    Over,
    Nothing,
}

impl Word {
    fn of(word: &str) -> Self {
        match word.to_lowercase().as_str() {
            "investigating" => Self::Active(Status::Investigating),
            "identified" => Self::Active(Status::Identified),
            "monitoring" => Self::Active(Status::Monitoring),
            "resolved" | "completed" => Self::Over,
            _ => Self::Nothing,
        }
    }
}

/// The timeline of an incident.
pub fn of(log: &IncidentLog) -> Timeline {
    let mut said: Vec<&LoggedUpdate> = log.updates.iter().collect();
    let implied = implied_end(log);
    if let Some(end) = &implied {
        let place = said.partition_point(|update| update.at <= end.at);
        said.insert(place, end);
    }
    let first = said.first();
    let opening = match first.map(|update| Word::of(&update.status)) {
        Some(Word::Active(status)) => status,
        _ => Status::Investigating,
    };
    let message = first.map(|update| update.message.clone()).unwrap_or_default();
    let mut entries = vec![Entry {
        at: log.started_at,
        call: Call::Open(opening),
        message,
    }];
    let mut now = Some(opening);
    // What begins with its end is opened by it as well; any other first update is the opening.
    let opened_by = usize::from(first.is_some_and(|update| !matches!(Word::of(&update.status), Word::Over)));
    let mut after_the_end = 0;
    for update in said.into_iter().skip(opened_by) {
        let calls = calls(now, &Word::of(&update.status));
        if calls.is_empty() {
            after_the_end += 1;
        }
        for call in calls {
            now = match call {
                Call::Resolve => None,
                Call::Reopen => Some(Status::Investigating),
                Call::Open(status) | Call::Update(Some(status)) => Some(status),
                Call::Update(None) => now,
            };
            entries.push(Entry {
                at: update.at,
                call,
                message: update.message.clone(),
            });
        }
    }
    Timeline {
        entries,
        after_the_end,
    }
}

/// The calls of one word, by the status that it finds (none when it is over).
fn calls(now: Option<Status>, word: &Word) -> Vec<Call> {
    match (now, word) {
        (Some(_), Word::Over) => vec![Call::Resolve],
        (Some(now), Word::Active(status)) if now != *status => vec![Call::Update(Some(*status))],
        (Some(_), _) => vec![Call::Update(None)],
        (None, Word::Active(Status::Investigating)) => vec![Call::Reopen],
        (None, Word::Active(status)) => vec![Call::Reopen, Call::Update(Some(*status))],
        (None, _) => vec![],
    }
}

/// The end that the log gives a time to and no word: after the last word that says otherwise.
fn implied_end(log: &IncidentLog) -> Option<LoggedUpdate> {
    let resolved_at = log.resolved_at?.max(log.started_at);
    let telling = |update: &&LoggedUpdate| !matches!(Word::of(&update.status), Word::Nothing);
    let last = log.updates.iter().rev().find(telling);
    if last.is_some_and(|update| matches!(Word::of(&update.status), Word::Over)) {
        return None;
    }
    let at = last.map_or(resolved_at, |update| resolved_at.max(update.at));
    Some(LoggedUpdate {
        at,
        status: "Resolved".to_owned(),
        message: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Call::{Open, Reopen, Resolve, Update};
    use Status::{Identified, Investigating, Monitoring};

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(minute * 60, 0).unwrap()
    }

    fn log(resolved_at: Option<i64>, words: &[(i64, &str)]) -> IncidentLog {
        IncidentLog {
            id: "1".into(),
            title: String::new(),
            started_at: at(0),
            resolved_at: resolved_at.map(at),
            impact: String::new(),
            components: vec![],
            updates: words
                .iter()
                .map(|(minute, word)| LoggedUpdate {
                    at: at(*minute),
                    status: (*word).into(),
                    message: format!("at {minute}"),
                })
                .collect(),
        }
    }

    #[test]
    fn words_come_to_calls() {
        type Case<'a> = (Option<i64>, &'a [(i64, &'a str)], &'a [(i64, Call)]);
        let cases: &[Case<'_>] = &[
            (
                Some(3),
                &[
                    (0, "Investigating"),
                    (1, "Update"),
                    (2, "identified"),
                    (3, "Resolved"),
                ],
                &[
                    (0, Open(Investigating)),
                    (1, Update(None)),
                    (2, Update(Some(Identified))),
                    (3, Resolve),
                ],
            ),
            (
                Some(9),
                &[
                    (0, "Scheduled"),
                    (5, "In progress"),
                    (6, "Verifying"),
                    (9, "Completed"),
                ],
                &[
                    (0, Open(Investigating)),
                    (5, Update(None)),
                    (6, Update(None)),
                    (9, Resolve),
                ],
            ),
            // It begins with its end.
            (
                Some(0),
                &[(0, "Resolved")],
                &[(0, Open(Investigating)), (0, Resolve)],
            ),
            (
                Some(4),
                &[(4, "Resolved"), (5, "Update")],
                &[(0, Open(Investigating)), (4, Resolve)],
            ),
            // The end has a time and no word, or neither.
            (Some(7), &[], &[(0, Open(Investigating)), (7, Resolve)]),
            (None, &[], &[(0, Open(Investigating))]),
            (None, &[(1, "Monitoring")], &[(0, Open(Monitoring))]),
            (
                Some(2),
                &[(0, "Investigating")],
                &[(0, Open(Investigating)), (2, Resolve)],
            ),
            (
                Some(2),
                &[(0, "Update"), (3, "Monitoring"), (3, "Update")],
                &[
                    (0, Open(Investigating)),
                    (3, Update(Some(Monitoring))),
                    (3, Update(None)),
                    (3, Resolve),
                ],
            ),
            // Something is said after the end.
            (
                Some(1),
                &[
                    (0, "Investigating"),
                    (1, "Resolved"),
                    (2, "Resolved"),
                    (3, "Postmortem"),
                ],
                &[(0, Open(Investigating)), (1, Resolve)],
            ),
            (
                Some(1),
                &[
                    (0, "Investigating"),
                    (1, "Resolved"),
                    (2, "Monitoring"),
                    (3, "Resolved"),
                ],
                &[
                    (0, Open(Investigating)),
                    (1, Resolve),
                    (2, Reopen),
                    (2, Update(Some(Monitoring))),
                    (3, Resolve),
                ],
            ),
            (
                None,
                &[(0, "Investigating"), (1, "Resolved"), (2, "Investigating")],
                &[(0, Open(Investigating)), (1, Resolve), (2, Reopen)],
            ),
            (
                Some(1),
                &[(0, "Investigating"), (1, "Resolved"), (2, "Investigating")],
                &[(0, Open(Investigating)), (1, Resolve), (2, Reopen), (2, Resolve)],
            ),
        ];
        for (resolved_at, words, expected) in cases {
            let timeline = of(&log(*resolved_at, words));
            let calls: Vec<_> = timeline
                .entries
                .iter()
                .map(|entry| (entry.at, entry.call))
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(minute, call)| (at(*minute), *call))
                .collect();
            assert_eq!(calls, expected, "{words:?}");
        }
    }

    #[test]
    fn nothing_said_is_dropped_unseen() {
        let timeline = of(&log(
            Some(1),
            &[(0, "Resolved"), (2, "Postmortem"), (3, "Resolved")],
        ));
        assert_eq!((timeline.entries.len(), timeline.after_the_end), (2, 2));
        assert!(timeline.entries.iter().all(|entry| entry.message == "at 0"));
    }
}
