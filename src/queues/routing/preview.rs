//! Where a request would go, and why: the rules in force, or a draft of others, asked without filing.

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Channel, Condition, Facts, Field, Needs, Rule, Severity, actions, route, store};
use crate::db::{Connection, IncidentId, Moment, PROVIDER, QueueId, TenantId};
use crate::identity::{self, Plan, Tenant};
use crate::problem::{Code, Problem};
use crate::queues::ladder::{Ladder, LadderStep};
use crate::queues::{self, agents};
use crate::text;

/// What is asked: the facts of a request.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Slug of the service.
    #[garde(custom(text::slug))]
    pub service: String,
    /// Slug of the region.
    #[garde(custom(text::slug))]
    pub region: String,
    /// How bad it is.
    #[garde(skip)]
    pub severity: Severity,
    /// Whose it would be: says plan and language, where they are left out.
    #[serde(default)]
    #[garde(skip)]
    pub tenant_id: Option<TenantId>,
    /// The support plan; `standard` without a tenant.
    #[serde(default)]
    #[garde(skip)]
    pub plan: Option<Plan>,
    /// The language of the contact; `en` without a tenant.
    #[serde(default)]
    #[garde(inner(custom(text::locale)))]
    pub language: Option<String>,
    /// How it would reach the desk; `admin_center` when left out.
    #[serde(default)]
    #[garde(skip)]
    pub channel: Option<Channel>,
    /// The incident.
    #[serde(default)]
    #[garde(skip)]
    pub incident_id: Option<IncidentId>,
    /// The tags.
    #[serde(default)]
    #[garde(length(max = 20), inner(custom(text::line::<50>)))]
    pub tags: Vec<String>,
    /// A draft to ask in place of the rules in force.
    #[serde(default)]
    #[garde(length(min = 1, max = 500), dive)]
    pub rules: Option<Vec<Rule>>,
}

/// A rule, where it stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Chosen {
    /// Its place, from 1.
    pub position: usize,
    /// Its name.
    pub name: String,
}

/// A rule that was passed over, by the first of its fields that did not fit.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PassedOver {
    /// Its place, from 1.
    pub position: usize,
    /// Its name.
    pub name: String,
    /// The field.
    pub field: Field,
    /// What the rule wants there, one of it.
    pub wanted: Vec<String>,
    /// What the request has there.
    pub found: Vec<String>,
}

/// The queue that a request would go to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Destination {
    /// Its id.
    pub id: QueueId,
    /// Its name.
    pub name: String,
    /// Whether it is staffed at every instant.
    pub always_on: bool,
    /// Where its requests go when nobody answers.
    pub fallback_queue_id: Option<QueueId>,
    /// And step by step in the meantime.
    #[schema(value_type = Vec<LadderStep>)]
    pub ladder: Ladder,
}

/// The answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Preview {
    /// Which set of rules was asked; `null` for a draft.
    pub rules_version: Option<i32>,
    /// The rule that takes it.
    pub rule: Chosen,
    /// The rules before it, and why each was passed over.
    pub passed_over: Vec<PassedOver>,
    /// What it would need.
    pub needs: Needs,
    /// Where it would go.
    pub queue: Destination,
    /// How many are on duty there now.
    pub on_duty: usize,
    /// How many of them could work on it: not away, with the skills and the language. How much they have is not looked at.
    pub eligible: usize,
}

/// Says where a request would go now.
pub fn preview(conn: &mut Connection, case: &Case, now: Moment) -> Result<Preview, Problem> {
    let tenant = check(conn, case)?;
    let unrouted = || Problem::new(Code::RoutingNotConfigured, "there are no rules to ask");
    let (version, rules) = match &case.rules {
        Some(draft) => {
            actions::check(conn, draft)?;
            (None, draft.clone())
        }
        None => {
            let (version, rules) = store::rules(conn)?.ok_or_else(unrouted)?;
            (Some(version), rules)
        }
    };
    let facts = case.facts(tenant.as_ref());
    let (rule, needs) = route(&rules, &facts).ok_or_else(unrouted)?;
    let passed_over = passed_over(&rules, &facts);
    let queue = queues::store::find(conn, rule.queue_id)?.ok_or_else(|| Problem::not_found("queue"))?;
    let team = queues::duty::team(conn, queue.id, now)?;
    let team = agents::store::of(conn, &team)?;
    Ok(Preview {
        rules_version: version,
        rule: Chosen {
            position: passed_over.len() + 1,
            name: rule.name.clone(),
        },
        passed_over,
        on_duty: team.len(),
        eligible: team
            .iter()
            .filter(|agent| agent.presence.claims() && agent.fits(&needs))
            .count(),
        needs,
        queue: Destination {
            ladder: queue.ladder()?,
            id: queue.id,
            name: queue.name,
            always_on: queue.always_on,
            fallback_queue_id: queue.fallback_queue_id,
        },
    })
}

/// What is named must exist: a slip would be answered as if it were meant.
fn check(conn: &mut Connection, case: &Case) -> Result<Option<Tenant>, Problem> {
    let nowhere = |field: &str, what: &str| Problem::invalid(field, format!("there is no such {what}"));
    let there = store::exist(conn, (&case.service, &case.region), case.incident_id)?;
    let named = [
        ("/service", "service"),
        ("/region", "region"),
        ("/incident_id", "incident"),
    ];
    for (is_there, (field, what)) in there.into_iter().zip(named) {
        if !is_there {
            return Err(nowhere(field, what));
        }
    }
    match case.tenant_id {
        None => Ok(None),
        Some(id) => match identity::store::tenant(conn, id)? {
            Some(tenant) if tenant.id != PROVIDER => Ok(Some(tenant)),
            _ => Err(nowhere("/tenant_id", "tenant")),
        },
    }
}

impl Case {
    fn facts<'a>(&'a self, tenant: Option<&'a Tenant>) -> Facts<'a> {
        let language = tenant.map_or("en", |tenant| &tenant.locale);
        Facts {
            service: &self.service,
            region: &self.region,
            severity: self.severity,
            plan: self
                .plan
                .or(tenant.map(|tenant| tenant.plan))
                .unwrap_or(Plan::Standard),
            language: self.language.as_deref().unwrap_or(language),
            channel: self.channel.unwrap_or(Channel::AdminCenter),
            incident: self.incident_id,
            tags: &self.tags,
        }
    }
}

/// Every rule before the one that fits, and why it did not.
fn passed_over(rules: &[Rule], facts: &Facts<'_>) -> Vec<PassedOver> {
    let misfits = rules
        .iter()
        .map_while(|rule| Some((rule, rule.when.misfit(facts)?)));
    misfits
        .enumerate()
        .map(|(place, (rule, field))| PassedOver {
            position: place + 1,
            name: rule.name.clone(),
            field,
            wanted: wanted(&rule.when, field),
            found: found(facts, field),
        })
        .collect()
}

fn wanted(when: &Condition, field: Field) -> Vec<String> {
    fn texts<T: ToString>(values: &Option<Vec<T>>) -> Vec<String> {
        values.iter().flatten().map(T::to_string).collect()
    }
    match field {
        Field::Service => texts(&when.service),
        Field::Region => texts(&when.region),
        Field::Severity => texts(&when.severity),
        Field::Plan => texts(&when.plan),
        Field::Language => texts(&when.language),
        Field::Channel => texts(&when.channel),
        Field::Incident => texts(&when.incident),
        Field::Tags => texts(&when.tags),
    }
}

fn found(facts: &Facts<'_>, field: Field) -> Vec<String> {
    match field {
        Field::Service => vec![facts.service.to_owned()],
        Field::Region => vec![facts.region.to_owned()],
        Field::Severity => vec![facts.severity.to_string()],
        Field::Plan => vec![facts.plan.to_string()],
        Field::Language => vec![facts.language.to_owned()],
        Field::Channel => vec![facts.channel.to_string()],
        Field::Incident => facts.incident.iter().map(ToString::to_string).collect(),
        Field::Tags => facts.tags.to_vec(),
    }
}
