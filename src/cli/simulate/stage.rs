//! Setting the stage over the API: the catalog, the customers, the people of three sites, two queues, the routing, and
//! what is promised. Everything is made at an instant of its own, so that ids are in the order of their making.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::rota::{self, CREWS, SITES};
use crate::cli::client::{Client, Result, Session};
use crate::clock::Clock;

/// The region in which everybody is.
pub const REGION: &str = "everywhere";
/// What ordinary requests and the storm are about.
pub const MAIL: &str = "mail";
/// What specialists know best.
pub const NAMES: &str = "names";
/// How many customers there are.
pub const TENANTS: usize = 12;
/// Specialists of a site that has some.
const SPECIALISTS: usize = 2;
/// The sites that have some.
const WITH_SPECIALISTS: [usize; 2] = [1, 2];
/// How much specialists have at most.
const ROOM: i32 = 9;

/// The two queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Desk {
    /// Always on; its people claim.
    Front,
    /// On working days; its people are given work. What they do not answer goes to the front.
    Specialists,
}

impl Desk {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Front, Self::Specialists];
}

/// Everybody signed in, everything by its id.
pub struct Stage {
    /// The operator.
    pub operator: Session,
    /// The administrators of the customers.
    pub tenants: Vec<Session>,
    /// Everybody at the desk, site by site, and then the specialists.
    pub people: Vec<Person>,
    /// Id of the front.
    pub front: String,
    /// Id of the specialists' queue.
    pub specialists: String,
}

/// Somebody at the desk.
pub struct Person {
    /// The id.
    pub id: String,
    /// Signed in.
    pub session: Session,
    /// Where.
    pub city: &'static str,
    /// In which queue.
    pub desk: Desk,
}

impl Stage {
    /// The id of a queue.
    pub fn queue(&self, desk: Desk) -> &str {
        match desk {
            Desk::Front => &self.front,
            Desk::Specialists => &self.specialists,
        }
    }
}

/// Makes everybody and everything; `at_site` people at each site.
pub async fn set(
    client: &Client,
    operator: Session,
    clock: &Clock,
    at_site: usize,
    secret: &str,
) -> Result<Stage> {
    let set = Setting {
        client,
        operator: &operator,
        clock,
        secret,
    };
    set.catalog().await?;
    let mut tenants = Vec::new();
    for number in 0..TENANTS {
        tenants.push(set.tenant(number).await?);
    }
    let mut people = Vec::new();
    for site in &SITES {
        for number in 0..at_site {
            people.push(set.person(site.city, Desk::Front, number).await?);
        }
    }
    for site in WITH_SPECIALISTS.iter().filter_map(|place| SITES.get(*place)) {
        for number in 0..SPECIALISTS {
            people.push(set.person(site.city, Desk::Specialists, number).await?);
        }
    }
    let front = set.front(&people).await?;
    let specialists = set.specialists(&people, &front).await?;
    set.routing(&front, &specialists).await?;
    set.promises().await?;
    Ok(Stage {
        operator,
        tenants,
        people,
        front,
        specialists,
    })
}

/// Monday of the week of an instant, as a local day.
fn monday(at: DateTime<Utc>) -> String {
    at.date_naive().week(chrono::Weekday::Mon).first_day().to_string()
}

struct Setting<'a> {
    client: &'a Client,
    operator: &'a Session,
    clock: &'a Clock,
    secret: &'a str,
}

impl Setting<'_> {
    /// Makes something, in a millisecond of its own.
    async fn make(&self, path: &str, form: &Value) -> Result<String> {
        self.clock.set(self.clock.now() + TimeDelta::milliseconds(1));
        Ok(self.operator.post(path, form, None).await?.id().to_owned())
    }

    async fn catalog(&self) -> Result<()> {
        self.make("/v1/regions", &json!({ "slug": REGION, "name": "Everywhere" }))
            .await?;
        for (slug, name) in [(MAIL, "Mail"), (NAMES, "Names and addresses")] {
            self.make("/v1/services", &json!({ "slug": slug, "name": name }))
                .await?;
        }
        Ok(())
    }

    async fn user(&self, mut form: Value, email: &str) -> Result<(String, Session)> {
        if let Some(form) = form.as_object_mut() {
            form.insert("password".to_owned(), self.secret.into());
            form.insert("email".to_owned(), email.into());
        }
        let id = self.make("/v1/users", &form).await?;
        Ok((id, self.client.sign_in(email, self.secret).await?))
    }

    /// A customer with an administrator and three more who hear of incidents.
    async fn tenant(&self, number: usize) -> Result<Session> {
        let plan = if number.is_multiple_of(3) {
            "premium"
        } else {
            "standard"
        };
        let contacts: Vec<Value> = (0..3)
            .map(|contact| {
                json!({ "name": format!("Contact {contact}"), "email": format!("contact-{contact}@customer-{number}.example") })
            })
            .collect();
        let form = json!({
            "name": format!("Customer {number}"), "plan": plan, "regions": [REGION], "services": [MAIL, NAMES],
            "contacts": contacts,
        });
        let id = self.make("/v1/tenants", &form).await?;
        let user =
            json!({ "name": format!("Administrator {number}"), "role": "tenant_admin", "tenant_id": id });
        let (_, session) = self
            .user(user, &format!("admin@customer-{number}.example"))
            .await?;
        Ok(session)
    }

    /// The first one of a site leads it. One of each crew knows about names; the newest one has little room.
    async fn person(&self, city: &'static str, desk: Desk, number: usize) -> Result<Person> {
        let is_front = desk == Desk::Front;
        let role = if is_front && number == 0 { "lead" } else { "agent" };
        let what = if is_front { "agent" } else { "specialist" };
        let slug = city.to_lowercase().replace(' ', "-");
        let form = json!({ "name": format!("{city} {what} {number}"), "role": role });
        let (id, session) = self
            .user(form, &format!("{slug}-{what}-{number}@desk.example"))
            .await?;
        let knows = if is_front { number < CREWS } else { true };
        let skills = if knows {
            json!([{ "kind": "skill", "name": NAMES, "level": if is_front { 2 } else { 5 } }])
        } else {
            json!([])
        };
        let change = json!({ "skills": skills, "capacity": (!is_front).then_some(ROOM) });
        self.operator
            .patch(&format!("/v1/agents/{id}"), &change, "*")
            .await?;
        Ok(Person {
            id,
            session,
            city,
            desk,
        })
    }

    async fn front(&self, people: &[Person]) -> Result<String> {
        let from = monday(self.clock.now());
        let shifts: Vec<Value> = SITES
            .iter()
            .flat_map(|site| rota::shifts(site, &at(people, site.city, Desk::Front), &from))
            .collect();
        let form = json!({
            "name": "Front", "always_on": true, "minimum": 1, "shifts": shifts,
            "ladder": [{ "after_minutes": 240, "duty_lead": true }],
        });
        self.make("/v1/queues", &form).await
    }

    async fn specialists(&self, people: &[Person], front: &str) -> Result<String> {
        let shifts: Vec<Value> = WITH_SPECIALISTS
            .iter()
            .filter_map(|place| SITES.get(*place))
            .map(|site| rota::office_hours(site, &at(people, site.city, Desk::Specialists)))
            .collect();
        let form = json!({
            "name": "Specialists", "fallback_queue_id": front, "push": "round_robin", "shifts": shifts,
            "ladder": [{ "after_minutes": 60, "queue_id": front }],
        });
        self.make("/v1/queues", &form).await
    }

    async fn routing(&self, front: &str, specialists: &str) -> Result<()> {
        let rules = json!({ "rules": [
            { "name": "Names", "when": { "service": [NAMES] }, "queue_id": specialists, "needs": { "skills": { NAMES: 2 } } },
            { "name": "Everything else", "when": {}, "queue_id": front },
        ] });
        self.operator.put("/v1/routing-rules", &rules, Some("*")).await?;
        Ok(())
    }

    /// Premium around the clock; standard's smaller troubles in the hours of an office in London.
    async fn promises(&self) -> Result<()> {
        let hours = json!({
            "name": "Office hours", "time_zone": "Europe/London",
            "hours": [{ "days": ["mon", "tue", "wed", "thu", "fri"], "start": "08:00", "end": "18:00" }],
        });
        let calendar = self.make("/v1/calendars", &hours).await?;
        let mut policies = Vec::new();
        for (plan, factor) in [("premium", 1), ("standard", 2)] {
            for (severity, response, resolution) in
                [("a", 15, 240), ("b", 60, 480), ("c", 240, 1440), ("d", 480, 2880)]
            {
                let is_patient = plan == "standard" && matches!(severity, "c" | "d");
                let counted = if is_patient { calendar.as_str() } else { "always" };
                for (clock, target) in [
                    ("first_response", response),
                    ("next_response", response * 2),
                    ("resolution", resolution),
                ] {
                    policies.push(json!({
                        "plan": plan, "severity": severity, "clock": clock, "target_minutes": target * factor,
                        "calendar": counted,
                    }));
                }
            }
        }
        let form = json!({ "policies": policies });
        self.operator.put("/v1/sla-policies", &form, Some("*")).await?;
        Ok(())
    }
}

fn at(people: &[Person], city: &str, desk: Desk) -> Vec<String> {
    let here = people
        .iter()
        .filter(|person| person.city == city && person.desk == desk);
    here.map(|person| person.id.clone()).collect()
}
