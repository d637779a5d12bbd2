//! Who and what the logs name: components become services, customers tenants, workgroups queues, agents agents.
//!
//! Everything is known by its place in the list it stands in. All names and addresses carry the label of the run, so
//! that a server may be replayed against more than once.

use std::collections::{HashMap, HashSet};

use super::histories::{IncidentLog, TicketEvent, TicketLog};
use super::words::{self, Slugs};

/// The longest name made of what a log says.
const NAME: usize = 100;

/// A service or the region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its slug.
    pub slug: String,
    /// Its name.
    pub name: String,
}

/// A tenant: one administrator, who is also its one subscribed contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// Its administrator's and contact's address.
    pub email: String,
    /// The places of the services it subscribes to.
    pub services: HashSet<usize>,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

/// Everybody and everything.
#[derive(Clone, Debug)]
pub struct Cast {
    /// Where everything is.
    pub region: Entry,
    /// At least one.
    pub services: Vec<Entry>,
    /// The customers.
    pub tenants: Vec<Tenant>,
    /// Whoever is named by an event.
    pub agents: Vec<Agent>,
    /// Names of queues.
    pub queues: Vec<String>,
    /// The place of the queue with the most tickets.
    pub main_queue: usize,
    /// By ticket.
    pub roles: Vec<Role>,
    agent_places: HashMap<String, usize>,
}

/// Who and what a ticket is about, by place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its customer: the first event's.
    pub tenant: usize,
    /// The service of its product: the first event's.
    pub service: usize,
    /// The queue of its workgroup: the first event's.
    pub queue: usize,
}

impl Cast {
    /// The cast of two logs.
    pub fn of(incidents: &[IncidentLog], tickets: &[TicketLog], label: &str) -> Self {
        let components = Places::of(incidents.iter().flat_map(|log| &log.components));
        let services = services(&components.names, label);
        let customers = Places::of(tickets.iter().map(|log| &log.first.tenant));
        let workgroups = Places::of(tickets.iter().map(|log| &log.first.workgroup));
        let agents = Places::of(
            tickets
                .iter()
                .flat_map(TicketLog::events)
                .map(|event| &event.agent),
        );
        let mut products = Products::new(services.len());
        let roles: Vec<Role> = tickets
            .iter()
            .map(|log| Role {
                tenant: customers.place(&log.first.tenant),
                service: products.service(&log.first.product),
                queue: workgroups.place(&log.first.workgroup),
            })
            .collect();
        let mut tenants = tenants(&customers.names, label);
        let mut sizes = vec![0_usize; workgroups.names.len()];
        for role in &roles {
            if let Some(tenant) = tenants.get_mut(role.tenant) {
                tenant.services.insert(role.service);
            }
            if let Some(size) = sizes.get_mut(role.queue) {
                *size += 1;
            }
        }
        // The first of the largest.
        let largest = sizes.iter().enumerate().rev().max_by_key(|(_, size)| **size);
        Self {
            region: Entry {
                slug: format!("{label}-world"),
                name: format!("World ({label})"),
            },
            services,
            tenants,
            agents: people(&agents.names, label),
            queues: queues(&workgroups.names, label),
            main_queue: largest.map_or(0, |(place, _)| place),
            roles,
            agent_places: agents.places,
        }
    }

    /// The places of the services that an incident hit; no components means all.
    pub fn services_of(&self, incident: &IncidentLog) -> Vec<usize> {
        if incident.components.is_empty() {
            return (0..self.services.len()).collect();
        }
        let place = |component: &String| {
            let name = service_name(component);
            self.services.iter().position(|service| service.name == name)
        };
        incident.components.iter().filter_map(place).collect()
    }

    /// The place of the agent of an event.
    pub fn agent_of(&self, event: &TicketEvent) -> usize {
        self.agent_places.get(&event.agent).copied().unwrap_or_default()
    }
}

/// Names in the order in which they first appear.
#[derive(Default)]
struct Places {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Places {
    fn of<'a>(names: impl Iterator<Item = &'a String>) -> Self {
        let mut found = Self::default();
        for name in names {
            if !found.places.contains_key(name) {
                found.places.insert(name.clone(), found.names.len());
                found.names.push(name.clone());
            }
        }
        found
    }

    fn place(&self, name: &str) -> usize {
        self.places.get(name).copied().unwrap_or_default()
    }
}

/// Which service a product is: number n is the n-th, beginning anew when there are no more. A product that is no
/// number is numbered in the order of first appearance.
struct Products {
    services: usize,
    unnumbered: Vec<String>,
}

impl Products {
    fn new(services: usize) -> Self {
        Self {
            services,
            unnumbered: Vec::new(),
        }
    }

    fn service(&mut self, product: &str) -> usize {
        let services = i128::try_from(self.services.max(1)).unwrap_or(1);
        let number = product.parse::<i128>().unwrap_or_else(|_| self.number(product));
        usize::try_from(number.saturating_sub(1).rem_euclid(services)).unwrap_or_default()
    }

    fn number(&mut self, product: &str) -> i128 {
        let known = self.unnumbered.iter().position(|name| name == product);
        let place = known.unwrap_or_else(|| {
            self.unnumbered.push(product.to_owned());
            self.unnumbered.len() - 1
        });
        i128::try_from(place).unwrap_or_default() + 1
    }
}

fn service_name(component: &str) -> String {
    words::line(component, NAME, "Unnamed")
}

/// One service for each component; without any component there is one that stands for everything.
fn services(components: &[String], label: &str) -> Vec<Entry> {
    let mut slugs = Slugs::default();
    let mut services: Vec<Entry> = Vec::new();
    for component in components {
        let name = service_name(component);
        let slug = format!("{label}-{}", slugs.of(&name, "service"));
        services.push(Entry { slug, name });
    }
    if services.is_empty() {
        services.push(Entry {
            slug: format!("{label}-everything"),
            name: "Everything".to_owned(),
        });
    }
    services
}

fn tenants(customers: &[String], label: &str) -> Vec<Tenant> {
    let mut slugs = Slugs::default();
    let tenant = |customer: &String| {
        let slug = slugs.of(customer, "unnamed");
        Tenant {
            name: format!("Customer {} ({label})", words::line(customer, NAME, "unnamed")),
            email: format!("admin@{slug}.{label}.example"),
            services: HashSet::new(),
        }
    };
    customers.iter().map(tenant).collect()
}

fn people(agents: &[String], label: &str) -> Vec<Agent> {
    let mut slugs = Slugs::default();
    let person = |agent: &String| Agent {
        name: format!("Agent {}", words::line(agent, NAME, "unnamed")),
        email: format!("agent-{}@{label}.example", slugs.of(agent, "unnamed")),
    };
    agents.iter().map(person).collect()
}

/// Queues differ by their slugs: names are compared without regard to case.
fn queues(workgroups: &[String], label: &str) -> Vec<String> {
    let mut slugs = Slugs::default();
    let name = |workgroup: &String| format!("Workgroup {} ({label})", slugs.of(workgroup, "unnamed"));
    workgroups.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::super::examples::{incident, ticket_of};
    use super::*;

    #[test]
    fn product_n_is_the_nth_component_modulo_their_number() {
        let mut products = Products::new(3);
        for (product, service) in [
            ("1", 0),
            ("3", 2),
            ("4", 0),
            ("21", 2),
            ("0", 2),
            ("-1", 1),
            ("apple", 0),
            ("pear", 1),
            ("apple", 0),
            ("", 2),
            ("99999999999999999999999999999999999999999999", 0),
        ] {
            assert_eq!(products.service(product), service, "{product}");
        }
        assert_eq!(Products::new(1).service("7"), 0);
    }

    #[test]
    fn everybody_gets_a_place() {
        let incidents = [
            incident("1", &["Mail", "Chat"]),
            incident("2", &[]),
            incident("3", &["Chat", "Phone"]),
        ];
        let tickets = [
            ticket_of("a", "1", "7"),
            ticket_of("b", "5", "8"),
            ticket_of("a", "3", "8"),
        ];
        let cast = Cast::of(&incidents, &tickets, "run");
        let slugs: Vec<_> = cast
            .services
            .iter()
            .map(|service| service.slug.as_str())
            .collect();
        assert_eq!(slugs, ["run-mail", "run-chat", "run-phone"]);
        let hit: Vec<_> = incidents.iter().map(|log| cast.services_of(log)).collect();
        assert_eq!(hit, [vec![0, 1], vec![0, 1, 2], vec![1, 2]]);
        assert_eq!(cast.tenants.len(), 2);
        assert_eq!(cast.tenants[0].services, HashSet::from([0, 2]));
        assert_eq!(cast.tenants[1].email, "admin@b.run.example");
        assert_eq!((cast.queues.len(), cast.main_queue), (2, 1));
        assert_eq!(
            cast.roles[1],
            Role {
                tenant: 1,
                service: 1,
                queue: 1
            }
        );
    }

    #[test]
    fn logs_that_name_nothing_have_a_cast_too() {
        let cast = Cast::of(&[incident("1", &[])], &[ticket_of("", "", "")], "run");
        assert_eq!(cast.services.len(), 1);
        assert_eq!(cast.services_of(&incident("1", &[])), [0]);
        assert_eq!(
            cast.roles[0],
            Role {
                tenant: 0,
                service: 0,
                queue: 0
            }
        );
        let nobody = Cast::of(&[], &[], "run");
        assert!(nobody.tenants.is_empty() && nobody.agents.is_empty() && nobody.queues.is_empty());
    }
}
