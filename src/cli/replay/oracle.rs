//! What must come out, worked out from the logs alone and in another way than the plan: each ticket's last state, and
//! how many mails everybody should have.

use std::collections::HashSet;

use super::histories::TicketLog;

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
    fn everybody_is_counted_once() {
        let (one, both, none) = (HashSet::from([1]), HashSet::from([1, 2]), HashSet::new());
        let tenants = || [("a", &one), ("b", &both), ("c", &none), ("a", &both)].into_iter();
        assert_eq!(audience(&[1, 2], tenants()).len(), 2);
        assert_eq!(audience(&[2], tenants()), HashSet::from(["a", "b"]));
        assert_eq!(audience(&[3], tenants()).len(), 0);
    }
}
