//! Setting the stage: the catalog, the customers, the agents, their queues and the routing, over the API.

use std::collections::HashSet;
use std::future::Future;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use super::cast::{Agent, Cast, Entry, Tenant};
use crate::cli::client::{Client, Result, Session};

/// What is promised where times are measured: as long as can be, so that no mark is in the way.
const YEAR_OF_MINUTES: i32 = 525_600;
/// The most people that one shift may have.
const SHIFT: usize = 500;

/// Everybody signed in, everything by its id; in the order of the cast.
pub struct Stage {
    /// The operator.
    pub operator: Session,
    /// The administrators of the tenants.
    pub admins: Vec<Session>,
    /// The agents.
    pub agents: Vec<Seat>,
    /// Ids of the queues.
    pub queues: Vec<String>,
}

/// An agent at work.
pub struct Seat {
    /// The id.
    pub id: String,
    /// Signed in.
    pub session: Session,
}

/// Makes everybody and everything of the cast, at most `at_once` calls at a time.
pub async fn set(
    client: &Client,
    operator: Session,
    cast: &Cast,
    at_once: usize,
    password: &str,
) -> Result<Stage> {
    let set = Setting {
        client,
        operator: &operator,
        cast,
        password,
    };
    set.entry("/v1/regions", &cast.region).await?;
    each(&cast.services, at_once, |service| {
        set.entry("/v1/services", service)
    })
    .await?;
    let agents = each(&cast.agents, at_once, |agent| set.agent(agent)).await?;
    let admins = each(&cast.tenants, at_once, |tenant| set.tenant(tenant)).await?;
    let members: Vec<&str> = agents.iter().map(|agent| agent.id.as_str()).collect();
    let queues = each(&cast.queues, at_once, |queue| set.queue(queue, &members)).await?;
    if let Some(main) = queues.get(cast.main_queue) {
        let rules = json!({ "rules": [{ "name": "Everything", "when": {}, "queue_id": main }] });
        operator.put("/v1/routing-rules", &rules, Some("*")).await?;
    }
    Ok(Stage {
        operator,
        admins,
        agents,
        queues,
    })
}

/// Promises what makes the server count how long it takes to answer and to resolve.
pub async fn promise(operator: &Session) -> Result<()> {
    let mut policies = Vec::new();
    for severity in ["a", "b", "c", "d"] {
        for clock in ["first_response", "resolution"] {
            policies.push(json!({
                "plan": "standard", "severity": severity, "clock": clock, "target_minutes": YEAR_OF_MINUTES,
                "calendar": "always",
            }));
        }
    }
    operator
        .put("/v1/sla-policies", &json!({ "policies": policies }), Some("*"))
        .await?;
    Ok(())
}

/// Does the same for each item, at most `at_once` at a time; the answers in the order of the items.
pub async fn each<'a, T, R, F>(items: &'a [T], at_once: usize, act: impl FnMut(&'a T) -> F) -> Result<Vec<R>>
where
    F: Future<Output = Result<R>>,
{
    stream::iter(items.iter().map(act))
        .buffered(at_once)
        .try_collect()
        .await
}

struct Setting<'a> {
    client: &'a Client,
    operator: &'a Session,
    cast: &'a Cast,
    password: &'a str,
}

impl Setting<'_> {
    async fn entry(&self, path: &str, entry: &Entry) -> Result<()> {
        self.operator
            .post(path, &json!({ "slug": entry.slug, "name": entry.name }), None)
            .await?;
        Ok(())
    }

    async fn agent(&self, agent: &Agent) -> Result<Seat> {
        let Agent { name, email } = agent;
        let (id, session) = self
            .user(json!({ "name": name, "email": email, "role": "agent" }), email)
            .await?;
        Ok(Seat { id, session })
    }

    async fn tenant(&self, tenant: &Tenant) -> Result<Session> {
        let Tenant {
            name,
            email,
            services,
        } = tenant;
        let contact = format!("Administrator of {name}");
        let form = json!({
            "name": name,
            "regions": [self.cast.region.slug],
            "services": self.slugs(services),
            "contacts": [{ "email": email, "name": contact }],
        });
        let made = self.operator.post("/v1/tenants", &form, None).await?;
        let user = json!({ "name": contact, "email": email, "role": "tenant_admin", "tenant_id": made.id() });
        Ok(self.user(user, email).await?.1)
    }

    fn slugs(&self, services: &HashSet<usize>) -> Vec<&str> {
        let services = services.iter().filter_map(|place| self.cast.services.get(*place));
        services.map(|service| service.slug.as_str()).collect()
    }

    /// Makes a user and signs it in.
    async fn user(&self, mut form: Value, email: &str) -> Result<(String, Session)> {
        if let Some(form) = form.as_object_mut() {
            form.insert("password".to_owned(), self.password.into());
        }
        let made = self.operator.post("/v1/users", &form, None).await?;
        Ok((
            made.id().to_owned(),
            self.client.sign_in(email, self.password).await?,
        ))
    }

    /// A queue that every agent works at every hour.
    async fn queue(&self, name: &str, members: &[&str]) -> Result<String> {
        let shift = |members: &[&str]| {
            json!({
                "name": "Around the clock",
                "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
                "start": "00:00", "end": "00:00", "time_zone": "UTC", "members": members,
            })
        };
        let shifts: Vec<Value> = members.chunks(SHIFT).map(shift).collect();
        let form = json!({ "name": name, "always_on": true, "shifts": shifts });
        Ok(self
            .operator
            .post("/v1/queues", &form, None)
            .await?
            .id()
            .to_owned())
    }
}
