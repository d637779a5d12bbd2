//! What must stand before the story begins: the catalog, the customers, the people, the queues and their shifts.

use serde_json::{Value, json};

use super::DemoError;
use super::cast::{self, Customer, Person, REGIONS, SERVICES, SITES};
use super::desk::Desk;
use super::forms::with;

/// Sets the stage, and says what is on it.
pub async fn set(desk: &mut Desk) -> Result<(), DemoError> {
    is_empty(desk).await?;
    for (path, entries) in [("/v1/services", SERVICES), ("/v1/regions", REGIONS)] {
        for (slug, name) in entries {
            desk.posts(&cast::OPERATOR, path, json!({ "slug": slug, "name": name }))
                .await?;
        }
    }
    for customer in cast::CUSTOMERS {
        tenant(desk, customer).await?;
    }
    account(desk, &cast::INCIDENT_MANAGER, "incident_manager", None).await?;
    for agent in SITES.iter().flat_map(|site| site.agents) {
        account(desk, agent, "agent", None).await?;
    }
    for queue in [cast::MESSAGING, cast::ACCESS] {
        open_queue(desk, queue).await?;
    }
    route(desk).await?;
    introduce(desk).await
}

/// A database that somebody named may be in use.
async fn is_empty(desk: &mut Desk) -> Result<(), DemoError> {
    match desk.lists(&cast::OPERATOR, "/v1/services").await {
        Ok(services) if services.is_empty() => Ok(()),
        Err(DemoError::Refused(refused)) if refused.status != 401 => Err(refused.into()),
        Ok(_) | Err(DemoError::Refused(_)) => Err(DemoError::InUse),
        Err(other) => Err(other),
    }
}

async fn tenant(desk: &mut Desk, customer: &'static Customer) -> Result<(), DemoError> {
    let services: Vec<&str> = SERVICES.iter().map(|(slug, _)| *slug).collect();
    let contacts: Vec<Value> = customer
        .contacts
        .iter()
        .map(|contact| json!({ "email": contact.email, "name": contact.name }))
        .collect();
    let body = json!({
        "name": customer.name, "regions": [customer.region], "services": services, "plan": customer.plan,
        "time_zone": customer.time_zone, "contacts": contacts,
    });
    let tenant = desk.posts(&cast::OPERATOR, "/v1/tenants", body).await?;
    desk.ids.insert(customer.name, tenant.id().to_owned());
    account(desk, &customer.admin, "tenant_admin", Some(customer.name)).await
}

async fn account(
    desk: &mut Desk,
    person: &'static Person,
    role: &str,
    tenant: Option<&str>,
) -> Result<(), DemoError> {
    let tenant = tenant.map_or(Value::Null, |name| json!({ "tenant_id": desk.id(name) }));
    let body =
        json!({ "email": person.email, "name": person.name, "role": role, "password": cast::PASSWORD });
    let body = with(body, tenant);
    let user = desk.posts(&cast::OPERATOR, "/v1/users", body).await?;
    desk.ids.insert(person.email, user.id().to_owned());
    Ok(())
}

async fn open_queue(desk: &mut Desk, name: &'static str) -> Result<(), DemoError> {
    let mut shifts = vec![];
    for site in SITES {
        let members: Vec<String> = site.agents.iter().map(|agent| desk.id(agent.email)).collect();
        shifts.push(json!({
            "name": site.city, "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
            "start": site.start, "end": site.end, "time_zone": site.time_zone, "members": members,
        }));
    }
    let body = json!({ "name": name, "always_on": true, "shifts": shifts });
    let queue = desk.posts(&cast::OPERATOR, "/v1/queues", body).await?;
    desk.ids.insert(name, queue.id().to_owned());
    Ok(())
}

async fn route(desk: &mut Desk) -> Result<(), DemoError> {
    let rules = json!({ "rules": [
        {
            "name": "Mail and documents", "queue_id": desk.id(cast::MESSAGING),
            "when": { "service": ["exchange-online", "sharepoint-online"] },
        },
        { "name": "Everything else", "queue_id": desk.id(cast::ACCESS), "when": {} },
    ] });
    desk.puts(&cast::OPERATOR, "/v1/routing-rules", rules)
        .await
        .map(drop)
}

async fn introduce(desk: &mut Desk) -> Result<(), DemoError> {
    let on_duty: Vec<&str> = desk
        .on_duty(cast::MESSAGING)
        .await?
        .iter()
        .map(|agent| agent.name)
        .collect();
    let customers: Vec<&str> = cast::CUSTOMERS.iter().map(|customer| customer.name).collect();
    let cities: Vec<&str> = SITES.iter().map(|site| site.city).collect();
    desk.voice.then(&format!(
        "The desk serves {}. Its two queues are staffed around the clock by shifts in {}, which the server has \
         checked for gaps over the next 400 days. On duty at this moment: {}.",
        listed(&customers),
        listed(&cities),
        listed(&on_duty),
    ))?;
    Ok(())
}

/// `a, b and c`.
pub fn listed(words: &[&str]) -> String {
    match words {
        [] => "nobody".to_owned(),
        [only] => (*only).to_owned(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}
