//! What must come out, worked out from the logs alone and in another way than the plan: each ticket's last state, how
//! long its requests took, and how many mails everybody should have.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::histories::TicketLog;
use super::times::Measured;

/// The state that a ticket's log ends in, as the API writes it: that of the last activity that says one.
pub fn final_state(ticket: &TicketLog) -> &'static str {
    let said = ticket
        .events()
        .rev()
        .find_map(|event| match event.activity.as_str() {
            "Take in charge ticket" | "Take in charge" => Some("in_progress"),
            "Wait" => Some("pending_customer"),
            "Resolve ticket" => Some("resolved"),
            "Closed" => Some("closed"),
            _ => None,
        });
    said.unwrap_or("queued")
}

/// What was said of a request, and when.
struct Said {
    filed: DateTime<Utc>,
    words: Vec<(DateTime<Utc>, &'static str)>,
}

/// How long the requests of a ticket took: the one it begins with, and one more each time that something but an end is
/// said after it was closed. Whatever says a state is an answer to the customer.
pub fn times(ticket: &TicketLog) -> Vec<Measured> {
    let mut requests = vec![Said {
        filed: ticket.first.at,
        words: Vec::new(),
    }];
    for event in ticket.events() {
        let word = match event.activity.as_str() {
            "Take in charge ticket" | "Take in charge" => "work",
            "Wait" => "wait",
            "Resolve ticket" => "over",
            "Closed" => "closed",
            _ => continue,
        };
        let is_closed = requests
            .last()
            .and_then(|said| said.words.last())
            .is_some_and(|(_, last)| *last == "closed");
        match requests.last_mut() {
            _ if is_closed && word == "closed" => {}
            Some(said) if !is_closed => said.words.push((event.at, word)),
            _ => requests.push(Said {
                filed: event.at,
                words: vec![(event.at, word)],
            }),
        }
    }
    requests.iter().map(measured).collect()
}

fn measured(said: &Said) -> Measured {
    let since_filing = |at: &DateTime<Utc>| (*at - said.filed).num_seconds();
    let is_end = |(_, word): &&(DateTime<Utc>, &str)| matches!(*word, "over" | "closed");
    // What is said of the end again changes nothing: the first of the last words is it.
    let end = said
        .words
        .iter()
        .rev()
        .take_while(is_end)
        .last()
        .map(|(at, _)| at);
    Measured {
        response: said.words.first().map(|(at, _)| since_filing(at)),
        resolution: end.map(since_filing),
        counted: end.map(|_| counted(said)),
    }
}

/// The whole seconds of each stretch of work that led to an end, together.
fn counted(said: &Said) -> i64 {
    let (mut seconds, mut stretch) = (0, TimeDelta::zero());
    let (mut since, mut state) = (said.filed, "work");
    for (at, word) in &said.words {
        if state == "work" {
            stretch += *at - since;
        }
        if matches!(*word, "over" | "closed") {
            seconds += stretch.num_seconds();
            stretch = TimeDelta::zero();
        }
        (since, state) = (*at, word);
    }
    seconds
}

/// How many people hear of an incident: one address for each tenant that has one of its services.
///
/// All tenants are in the one region; requesters are their tenants' contacts, so they add nobody.
pub fn audience<'a>(
    services: &[usize],
    tenants: impl Iterator<Item = (&'a str, &'a HashSet<usize>)>,
) -> HashSet<&'a str> {
    let affected =
        tenants.filter(|(_, subscribed)| services.iter().any(|service| subscribed.contains(service)));
    affected.map(|(address, _)| address).collect()
}

#[cfg(test)]
mod tests {
    use super::super::examples::ticket;
    use super::*;

    #[test]
    fn the_last_word_that_says_a_state_is_the_state() {
        for (activities, state) in [
            (&["Assign seriousness"][..], "queued"),
            (&["Wait", "VERIFIED"], "pending_customer"),
            (&["Closed", "Take in charge ticket"], "in_progress"),
            (&["Closed", "Resolve ticket", "RESOLVED", "INVALID"], "resolved"),
            (&["Resolve ticket", "Closed", "Closed"], "closed"),
        ] {
            assert_eq!(final_state(&ticket("1", activities)), state, "{activities:?}");
        }
    }

    #[test]
    fn times_are_those_between_the_words() {
        // One word a minute.
        type Case<'a> = (&'a [&'a str], &'a [(Option<i64>, Option<i64>, Option<i64>)]);
        let (take, wait, over, closed) = ("Take in charge ticket", "Wait", "Resolve ticket", "Closed");
        let cases: &[Case<'_>] = &[
            (&["Assign seriousness"], &[(None, None, None)]),
            (
                &["Assign seriousness", take, over, closed],
                &[(Some(1), Some(2), Some(2))],
            ),
            (&[closed], &[(Some(0), Some(0), Some(0))]),
            (
                &["RESOLVED", wait, "INVALID", take, over],
                &[(Some(1), Some(4), Some(2))],
            ),
            (
                &[take, over, over, closed, closed],
                &[(Some(0), Some(1), Some(1))],
            ),
            (&[take, over, take], &[(Some(0), None, None)]),
            (
                &[take, over, "VERIFIED", wait, take, over],
                &[(Some(0), Some(5), Some(2))],
            ),
            (
                &[closed, "Assign seriousness", take, over, closed, wait],
                &[
                    (Some(0), Some(0), Some(0)),
                    (Some(0), Some(1), Some(1)),
                    (Some(0), None, None),
                ],
            ),
        ];
        for (activities, expected) in cases {
            let minutes = |seconds: Option<i64>| seconds.map(|seconds| seconds / 60);
            let found: Vec<_> = times(&ticket("1", activities))
                .iter()
                .map(|it| (minutes(it.response), minutes(it.resolution), minutes(it.counted)))
                .collect();
            assert_eq!(found, *expected, "{activities:?}");
        }
    }

    #[test]
    fn everybody_is_counted_once() {
        let (one, both, none) = (HashSet::from([1]), HashSet::from([1, 2]), HashSet::new());
        let tenants = || [("a", &one), ("b", &both), ("c", &none), ("a", &both)].into_iter();
        assert_eq!(audience(&[1, 2], tenants()).len(), 2);
        assert_eq!(audience(&[2], tenants()), HashSet::from(["a", "b"]));
        assert_eq!(audience(&[3], tenants()).len(), 0);
    }
}
