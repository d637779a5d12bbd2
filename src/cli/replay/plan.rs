//! The plan: every call of the replay in one order, worked out from the logs before the first call is made. Pure.
//!
//! The two logs are laid over one another by adding a constant to the tickets' times, so that both begin together.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::cast::Cast;
use super::histories::{IncidentLog, TicketLog};
use super::life::{self, Activity, Life};
use super::times::Measured;
use super::{oracle, timeline, words};

/// Everything that will be done, and what must come of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who and what.
    pub cast: Cast,
    /// The incidents, in the order of their log.
    pub incidents: Vec<Incident>,
    /// The tickets, in the order of their log.
    pub tickets: Vec<Ticket>,
    /// What is done, in the order of time.
    pub steps: Vec<Step>,
    /// Events of tickets in the log.
    pub events: usize,
    /// Those of them that say nothing about the state.
    pub ignored: usize,
    /// Updates of incidents that were said after their end, without a status.
    pub after_the_end: usize,
}

/// What an incident is opened with.
#[derive(Clone, Debug)]
pub struct Incident {
    /// Its headline.
    pub title: String,
    /// `advisory`, `degradation` or `interruption`.
    pub impact: &'static str,
    /// Places of the services that it hit.
    pub services: Vec<usize>,
    /// How many people hear of each of its events.
    pub audience: usize,
}

/// What a ticket's requests are filed with, and how it must end.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// The subject of its requests.
    pub subject: String,
    /// What is described.
    pub description: String,
    /// `a` to `d`.
    pub severity: &'static str,
    /// The state its log ends in.
    pub final_state: &'static str,
    /// How long its requests take by its log.
    pub times: Vec<Measured>,
}

/// What one line of a log comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When, by the laid-over logs.
    pub at: DateTime<Utc>,
    /// What.
    pub deed: Deed,
}

/// The calls of a step; incidents and tickets by their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// One call about an incident.
    Incident {
        /// Which.
        incident: usize,
        /// What.
        call: timeline::Call,
        /// The public text.
        body: String,
    },
    /// Calls about a ticket, one after another.
    Ticket {
        /// Which.
        ticket: usize,
        /// The agent who makes those that an agent makes.
        agent: usize,
        /// The incident that the filing among the calls is tied to.
        incident: Option<usize>,
        /// What; may be nothing.
        calls: Vec<life::Call>,
    },
}

impl Plan {
    /// The plan for two logs; `label` is in every name that must be unique.
    pub fn of(incidents: &[IncidentLog], tickets: &[TicketLog], label: &str) -> Self {
        let cast = Cast::of(incidents, tickets, label);
        let mut timed = Vec::new();
        let mut after_the_end = 0;
        for (place, log) in incidents.iter().enumerate() {
            let timeline = timeline::of(log);
            after_the_end += timeline.after_the_end;
            timed.extend(
                timeline
                    .entries
                    .into_iter()
                    .zip(0..)
                    .map(|(entry, seq)| of_incident(place, entry, seq)),
            );
        }
        let begin = timed.iter().map(|timed| timed.step.at).min();
        let shift = shift(begin, tickets);
        for (place, log) in tickets.iter().enumerate() {
            timed.extend(of_ticket(place, log, &cast, shift));
        }
        timed.sort_by_key(|timed| (timed.step.at, timed.order));
        let mut steps: Vec<Step> = timed.into_iter().map(|timed| timed.step).collect();
        let incidents: Vec<Incident> = incidents.iter().map(|log| incident(log, &cast)).collect();
        tie(&mut steps, &incidents, &cast);
        let activities = tickets
            .iter()
            .flat_map(TicketLog::events)
            .map(|event| Activity::of(&event.activity));
        Self {
            events: activities.clone().count(),
            ignored: activities.filter(|activity| *activity == Activity::Other).count(),
            tickets: tickets.iter().map(ticket).collect(),
            incidents,
            steps,
            after_the_end,
            cast,
        }
    }

    /// When the first thing happens.
    pub fn begin(&self) -> Option<DateTime<Utc>> {
        self.steps.first().map(|step| step.at)
    }
}

/// A step with what orders it among those of the same time: incidents first, then as the logs have them.
struct Timed {
    order: (u8, u64, u64),
    step: Step,
}

fn of_incident(incident: usize, entry: timeline::Entry, seq: u64) -> Timed {
    let otherwise = match entry.call {
        timeline::Call::Resolve => "This incident has been resolved.",
        timeline::Call::Open(_) => "We are investigating an incident.",
        _ => "There is news on this incident.",
    };
    let body = words::body(&entry.message, otherwise);
    let order = (0, u64::try_from(incident).unwrap_or(u64::MAX), seq);
    Timed {
        order,
        step: Step {
            at: entry.at,
            deed: Deed::Incident {
                incident,
                call: entry.call,
                body,
            },
        },
    }
}

fn of_ticket(ticket: usize, log: &TicketLog, cast: &Cast, shift: TimeDelta) -> Vec<Timed> {
    let mut life: Option<Life> = None;
    let timed = log.events().map(|event| {
        let (activity, agent) = (Activity::of(&event.activity), cast.agent_of(event));
        let calls = match &mut life {
            Some(life) => life.go_on(activity, agent),
            None => {
                let (begun, calls) = Life::begin(activity, agent);
                life = Some(begun);
                calls
            }
        };
        let at = event.at.checked_add_signed(shift).unwrap_or(event.at);
        let deed = Deed::Ticket {
            ticket,
            agent,
            incident: None,
            calls,
        };
        Timed {
            order: (1, event.line, 0),
            step: Step { at, deed },
        }
    });
    timed.collect()
}

/// What is added to the tickets' times so that they begin with the incidents.
fn shift(begin: Option<DateTime<Utc>>, tickets: &[TicketLog]) -> TimeDelta {
    let first = tickets.iter().map(|log| log.first.at).min();
    begin
        .zip(first)
        .map_or(TimeDelta::zero(), |(begin, first)| begin - first)
}

/// Ties what is filed while incidents of its service are active to the one that began last.
fn tie(steps: &mut [Step], incidents: &[Incident], cast: &Cast) {
    let mut opened = vec![DateTime::<Utc>::MIN_UTC; incidents.len()];
    let mut active: BTreeSet<(DateTime<Utc>, usize)> = BTreeSet::new();
    for Step { at, deed } in steps {
        match deed {
            Deed::Incident { incident, call, .. } => {
                let Some(opened) = opened.get_mut(*incident) else {
                    continue;
                };
                if matches!(call, timeline::Call::Open(_)) {
                    *opened = *at;
                }
                match call.leaves_active() {
                    true => active.insert((*opened, *incident)),
                    false => active.remove(&(*opened, *incident)),
                };
            }
            Deed::Ticket {
                ticket,
                incident,
                calls,
                ..
            } if calls.contains(&life::Call::File) => {
                let service = cast.roles.get(*ticket).map(|role| role.service);
                let hits = |place: &usize| {
                    let hit = incidents.get(*place).zip(service);
                    hit.is_some_and(|(incident, service)| incident.services.contains(&service))
                };
                *incident = active.iter().rev().map(|(_, place)| *place).find(hits);
            }
            Deed::Ticket { .. } => {}
        }
    }
}

fn incident(log: &IncidentLog, cast: &Cast) -> Incident {
    let services = cast.services_of(log);
    let tenants = cast
        .tenants
        .iter()
        .map(|tenant| (tenant.email.as_str(), &tenant.services));
    let audience = oracle::audience(&services, tenants).len();
    let otherwise = words::line(&format!("Incident {}", log.id), 200, "Incident");
    Incident {
        title: words::line(&log.title, 200, &otherwise),
        impact: impact(&log.impact),
        services,
        audience,
    }
}

/// Announced or harmless, worse than usual, gone; what nobody has heard of is worse than usual.
fn impact(word: &str) -> &'static str {
    match word.trim().to_lowercase().as_str() {
        "none" | "maintenance" => "advisory",
        "major" | "critical" => "interruption",
        _ => "degradation",
    }
}

fn ticket(log: &TicketLog) -> Ticket {
    let event = &log.first;
    let described = format!(
        "Ticket {} of a help desk's log, begun {}.\nCustomer {}, product {}, service level {}, workgroup {}.",
        log.id, event.at, event.tenant, event.product, event.service_level, event.workgroup
    );
    Ticket {
        subject: words::line(
            &format!("Ticket {}: trouble with product {}", log.id, event.product),
            200,
            "Ticket",
        ),
        description: words::body(&described, "Ticket"),
        severity: severity(&event.service_level),
        final_state: oracle::final_state(log),
        times: oracle::times(log),
    }
}

/// Levels 1 to 4 are `a` to `d`, what lies outside the nearest of them, and what is no number `c`.
fn severity(service_level: &str) -> &'static str {
    match service_level.parse::<i64>() {
        Ok(..=1) => "a",
        Ok(2) => "b",
        Ok(4..) => "d",
        Ok(_) | Err(_) => "c",
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::{event, incident, minute, ticket, ticket_of};
    use super::super::histories;
    use super::*;
    use proptest::prelude::*;

    /// A desk that allows what the API allows and nothing else.
    #[derive(Default)]
    struct Desk {
        requests: Vec<(&'static str, Option<usize>)>,
        clocks: Vec<Clocks>,
    }

    /// How long a request took so far, as the product's clocks count it.
    struct Clocks {
        filed: DateTime<Utc>,
        last: DateTime<Utc>,
        cycle: TimeDelta,
        took: Measured,
    }

    impl Clocks {
        fn call(&mut self, call: life::Call, state: &str, at: DateTime<Utc>) {
            if matches!(state, "queued" | "in_progress") {
                self.cycle += at - self.last;
            }
            self.last = at;
            let since_filing = (at - self.filed).num_seconds();
            if call.is_heard() {
                self.took.response.get_or_insert(since_filing);
            }
            match call {
                life::Call::Resolve => {
                    self.took.resolution = Some(since_filing);
                    self.took.counted = Some(self.cycle.num_seconds());
                }
                life::Call::Reopen => (self.took.resolution, self.took.counted) = (None, None),
                _ => {}
            }
        }
    }

    impl Desk {
        fn call(&mut self, call: life::Call, at: DateTime<Utc>) {
            use life::Call::{Answer, Assign, AwaitCustomer, Close, File, FollowUp, Reopen, Resolve, Resume};
            let (state, assignee) = self.requests.last().copied().unwrap_or(("", None));
            let is_open = matches!(state, "queued" | "in_progress" | "pending_customer");
            let after = match call {
                File if state.is_empty() => ("queued", None),
                FollowUp if state == "closed" => ("queued", None),
                Assign(agent) if state == "queued" => ("in_progress", Some(agent)),
                Assign(agent) if state == "in_progress" && assignee != Some(agent) => {
                    ("in_progress", Some(agent))
                }
                Answer if state == "in_progress" => (state, assignee),
                Resume if state == "pending_customer" && assignee.is_some() => ("in_progress", assignee),
                Resume if state == "pending_customer" => ("queued", None),
                AwaitCustomer if is_open && state != "pending_customer" => ("pending_customer", assignee),
                Resolve if is_open => ("resolved", assignee),
                Close if state == "resolved" => ("closed", assignee),
                Reopen if state == "resolved" => ("queued", None),
                _ => panic!("{call:?} of a request that is `{state}` of {assignee:?}"),
            };
            if matches!(call, File | FollowUp) {
                self.requests.push(after);
                self.clocks.push(Clocks {
                    filed: at,
                    last: at,
                    cycle: TimeDelta::zero(),
                    took: Measured::default(),
                });
            } else {
                self.clocks.last_mut().unwrap().call(call, state, at);
                *self.requests.last_mut().unwrap() = after;
            }
        }
    }

    /// Drives the plan, and sees that it takes as long as the oracle says; the state that each ticket's last request is
    /// in.
    fn driven(plan: &Plan) -> Vec<&'static str> {
        let mut desks: Vec<Desk> = plan.tickets.iter().map(|_| Desk::default()).collect();
        let mut active = vec![None; plan.incidents.len()];
        for step in &plan.steps {
            match &step.deed {
                Deed::Incident { incident, call, .. } => {
                    let allowed = match call {
                        timeline::Call::Open(_) => active[*incident].is_none(),
                        timeline::Call::Reopen => active[*incident] == Some(false),
                        timeline::Call::Update(_) | timeline::Call::Resolve => {
                            active[*incident] == Some(true)
                        }
                    };
                    assert!(allowed, "{call:?} of {:?}", active[*incident]);
                    active[*incident] = Some(call.leaves_active());
                }
                Deed::Ticket {
                    ticket,
                    incident,
                    calls,
                    ..
                } => {
                    if let Some(incident) = incident {
                        assert_eq!(active[*incident], Some(true), "tied to what is not active");
                        let service = plan.cast.roles[*ticket].service;
                        assert!(plan.incidents[*incident].services.contains(&service));
                    }
                    calls.iter().for_each(|call| desks[*ticket].call(*call, step.at));
                }
            }
        }
        for (desk, ticket) in desks.iter().zip(&plan.tickets) {
            let took: Vec<Measured> = desk.clocks.iter().map(|clocks| clocks.took).collect();
            assert_eq!(took, ticket.times, "{}", ticket.subject);
        }
        desks.iter().map(|desk| desk.requests.last().unwrap().0).collect()
    }

    fn ties(plan: &Plan) -> Vec<Option<usize>> {
        let filed = plan.steps.iter().filter_map(|step| match &step.deed {
            Deed::Ticket { incident, calls, .. } if calls.contains(&life::Call::File) => Some(*incident),
            _ => None,
        });
        filed.collect()
    }

    fn with_words(id: &str, components: &[&str], words: &[(i64, &str)]) -> IncidentLog {
        let mut log = incident(id, components);
        log.updates = words
            .iter()
            .map(|(at, word)| histories::LoggedUpdate {
                at: minute(*at),
                status: (*word).into(),
                message: String::new(),
            })
            .collect();
        log.started_at = log.updates.first().map_or(minute(0), |update| update.at);
        log
    }

    #[test]
    fn a_ticket_is_tied_to_the_incident_of_its_service_that_began_last() {
        let incidents = [
            with_words("1", &["Mail"], &[(0, "Investigating"), (9, "Resolved")]),
            with_words(
                "2",
                &[],
                &[
                    (2, "Investigating"),
                    (4, "Resolved"),
                    (6, "Investigating"),
                    (7, "Resolved"),
                ],
            ),
            with_words("3", &["Chat"], &[(2, "Investigating")]),
        ];
        let at = |at: i64, product: &str| {
            let mut log = ticket_of("a", product, "1");
            log.first.at = minute(1000 + at);
            log.first.line = u64::try_from(at).unwrap();
            log
        };
        let tickets = [
            at(0, "1"),
            at(2, "1"),
            at(3, "2"),
            at(4, "1"),
            at(5, "2"),
            at(6, "1"),
            at(7, "1"),
            at(9, "1"),
        ];
        let plan = Plan::of(&incidents, &tickets, "run");
        let tied = [
            Some(0),
            Some(1),
            Some(2),
            Some(0),
            Some(2),
            Some(1),
            Some(0),
            None,
        ];
        assert_eq!(ties(&plan), tied);
        driven(&plan);
    }

    #[test]
    fn incidents_go_before_tickets_of_the_same_time_and_both_logs_begin_together() {
        let incidents = [with_words("1", &["Mail"], &[(500, "Resolved")])];
        let plan = Plan::of(&incidents, &[ticket("7", &["Closed", "Wait", "RESOLVED"])], "run");
        let order: Vec<_> = plan
            .steps
            .iter()
            .map(|step| {
                (
                    (step.at - minute(500)).num_minutes(),
                    matches!(step.deed, Deed::Incident { .. }),
                )
            })
            .collect();
        assert_eq!(order, [(0, true), (0, true), (0, false), (1, false), (2, false)]);
        assert_eq!(ties(&plan), [None]);
        assert_eq!(
            (plan.events, plan.ignored, plan.begin()),
            (3, 1, Some(minute(500)))
        );
        assert_eq!(driven(&plan), ["pending_customer"]);
    }

    fn excerpt(name: &str) -> (Plan, Vec<TicketLog>) {
        let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        let incidents = histories::read_incidents(&data.join(format!("incidents-{name}.jsonl"))).unwrap();
        let tickets = histories::read_tickets(&data.join(format!("tickets-{name}.csv"))).unwrap();
        (Plan::of(&incidents, &tickets, "run"), tickets)
    }

    #[test]
    fn real_histories_end_as_their_logs_do() {
        let (plan, tickets) = excerpt("excerpt");
        assert_eq!(
            (plan.incidents.len(), tickets.len(), plan.events, plan.ignored),
            (12, 39, 203, 50)
        );
        let expected: Vec<_> = tickets.iter().map(oracle::final_state).collect();
        assert_eq!(driven(&plan), expected);
        assert_eq!(expected.iter().filter(|state| **state == "resolved").count(), 2);
        assert_eq!(ties(&plan).iter().flatten().count(), 9);
    }

    #[test]
    fn odd_histories_end_as_their_logs_do() {
        let (plan, tickets) = excerpt("odd");
        assert_eq!(
            (plan.incidents.len(), tickets.len(), plan.events, plan.ignored),
            (5, 7, 27, 3)
        );
        assert_eq!(plan.after_the_end, 2);
        let by_the_log = [
            ("only-closed", "closed"),
            ("after-closed", "pending_customer"),
            ("closed-twice", "resolved"),
            ("out-of-order", "resolved"),
            ("never-seen", "queued"),
            ("handed-about", "in_progress"),
            ("reopened", "in_progress"),
        ];
        let found: Vec<_> = tickets
            .iter()
            .map(|log| log.id.as_str())
            .zip(driven(&plan))
            .collect();
        assert_eq!(found, by_the_log);
        let texts = plan.steps.iter().filter_map(|step| match &step.deed {
            Deed::Incident { body, .. } => Some(body),
            Deed::Ticket { .. } => None,
        });
        for text in texts {
            assert!(crate::text::body::<20_000>(text, &()).is_ok(), "{text}");
        }
        assert!(
            plan.incidents
                .iter()
                .all(|incident| crate::text::line::<200>(&incident.title, &()).is_ok())
        );
    }

    #[test]
    fn one_log_alone_is_planned_too() {
        assert_eq!(
            Plan::of(&[], &[ticket("7", &["Assign seriousness"])], "run")
                .steps
                .len(),
            1
        );
        assert_eq!(Plan::of(&[incident("1", &["Mail"])], &[], "run").steps.len(), 1);
        assert!(Plan::of(&[], &[], "run").steps.is_empty());
    }

    #[test]
    fn impacts_and_levels() {
        for (word, expected) in [
            ("none", "advisory"),
            ("maintenance", "advisory"),
            ("minor", "degradation"),
            ("Major", "interruption"),
            ("critical", "interruption"),
            ("", "degradation"),
            ("cosmic", "degradation"),
        ] {
            assert_eq!(impact(word), expected, "{word}");
        }
        for (level, expected) in [
            ("1", "a"),
            ("2", "b"),
            ("3", "c"),
            ("4", "d"),
            ("0", "a"),
            ("9", "d"),
            ("", "c"),
            ("high", "c"),
        ] {
            assert_eq!(severity(level), expected, "{level}");
        }
    }

    fn activities() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            Just("Take in charge ticket"),
            Just("Wait"),
            Just("Resolve ticket"),
            Just("Closed"),
            Just("Assign seriousness"),
            Just("never seen"),
        ]
    }

    fn ticket_logs() -> impl Strategy<Value = TicketLog> {
        let events = prop::collection::vec((0..60_i64, activities(), 0..3_u8), 1..12);
        (events, 0..9_u8, 0..4_u8).prop_map(|(events, product, workgroup)| {
            let mut events: Vec<_> = events
                .into_iter()
                .zip(2..)
                .map(|((at, activity, agent), line)| {
                    let mut event = event(at, activity);
                    event.line = line;
                    event.agent = agent.to_string();
                    event.product = product.to_string();
                    event.workgroup = workgroup.to_string();
                    event
                })
                .collect();
            events.sort_by_key(|event| event.at);
            let mut events = events.into_iter();
            TicketLog {
                id: "1".into(),
                first: events.next().unwrap(),
                later: events.collect(),
            }
        })
    }

    fn incident_logs() -> impl Strategy<Value = IncidentLog> {
        let word = prop::sample::select(&["Investigating", "Monitoring", "Update", "Resolved", "odd"][..]);
        let words = prop::collection::vec((0..60_i64, word), 0..6);
        let components = prop::sample::subsequence(vec!["A", "B", "C"], 0..=3);
        (words, components, prop::option::of(0..60_i64)).prop_map(|(mut words, components, resolved_at)| {
            words.sort_by_key(|(at, _)| *at);
            let mut log = with_words("1", &components, &words);
            log.resolved_at = resolved_at.map(minute);
            log
        })
    }

    proptest! {
        #[test]
        fn every_log_is_driven_into_the_state_that_the_oracle_says(
            incidents in prop::collection::vec(incident_logs(), 0..6),
            tickets in prop::collection::vec(ticket_logs(), 0..8),
        ) {
            let plan = Plan::of(&incidents, &tickets, "run");
            let expected: Vec<_> = tickets.iter().map(oracle::final_state).collect();
            prop_assert_eq!(driven(&plan), expected);
            prop_assert!(plan.steps.is_sorted_by_key(|step| step.at));
        }

        #[test]
        fn a_ticket_is_tied_exactly_while_an_incident_of_its_service_is_active(
            incidents in prop::collection::vec((0..40_i64, 0..20_i64, 0..3_usize), 1..6),
            tickets in prop::collection::vec((0..60_i64, 1..4_usize), 1..10),
        ) {
            let names = ["A", "B", "C"];
            // One incident of everything at minute 0, of no length, fixes the services and where the logs begin.
            let mut logs = vec![with_words("0", &names, &[(0, "Resolved")])];
            logs.extend(incidents.iter().map(|(from, long, service)| {
                with_words("1", &[names[*service]], &[(*from, "Investigating"), (from + long, "Resolved")])
            }));
            let mut filed = vec![ticket_of("a", "1", "1")];
            filed.extend(tickets.iter().zip(3..).map(|((at, product), line)| {
                let mut log = ticket_of("a", &product.to_string(), "1");
                (log.first.at, log.first.line) = (minute(*at), line);
                log
            }));
            let plan = Plan::of(&logs, &filed, "run");
            driven(&plan);
            for step in &plan.steps {
                let Deed::Ticket { ticket, incident, .. } = &step.deed else { continue };
                let service = plan.cast.roles[*ticket].service;
                let at = step.at;
                let by_the_log = (0..)
                    .zip(&incidents)
                    .filter(|(_, (from, long, hit))| {
                        *hit == service && minute(*from) <= at && at < minute(from + long)
                    })
                    .max_by_key(|(place, (from, ..))| (*from, *place))
                    .map(|(place, _)| place + 1_usize);
                prop_assert_eq!(*incident, by_the_log, "ticket {} at {}", ticket, at);
            }
        }
    }
}
