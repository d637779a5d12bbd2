//! Which queue a request goes to: ordered rules, the first match names the queue, the last one always matches.
//!
//! Here is what is pure: facts and rules in, a decision with its reason out. What a rule asks of whoever works on the
//! request is in `needs.rs`; where the sets of rules are kept, and the preview, beside it.

pub mod actions;
pub mod api;
mod needs;
pub mod preview;
pub mod store;

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use needs::{Demands, Needs};

use crate::db::{IncidentId, QueueId, text_enum};
use crate::identity::Plan;
use crate::text;

text_enum! {
    /// How bad it is for the tenant.
    Severity {
        /// Critical.
        A = "a",
        /// High.
        B = "b",
        /// Normal.
        C = "c",
        /// Low.
        D = "d",
    }
}

text_enum! {
    /// How a request reached the desk.
    Channel { AdminCenter = "admin_center", Telephone = "telephone", Email = "email", Api = "api" }
}

/// A condition and its queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, which the history gives as the reason.
    #[garde(custom(text::line::<200>))]
    pub name: String,
    /// Everything in it must hold; `{}` always does.
    #[serde(deserialize_with = "crate::http::body::object")]
    #[garde(dive)]
    pub when: Condition,
    /// Where the request goes.
    #[garde(skip)]
    pub queue_id: QueueId,
    /// What it asks of whoever works on it.
    #[serde(
        default,
        skip_serializing_if = "Demands::is_empty",
        deserialize_with = "crate::http::body::object"
    )]
    #[garde(dive)]
    #[schema(required = false)]
    pub needs: Demands,
}

/// A conjunction; each field that is there lists the values that fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Condition {
    /// Slugs of services.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 1, max = 500), inner(custom(text::slug))))]
    pub service: Option<Vec<String>>,
    /// Slugs of regions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 1, max = 500), inner(custom(text::slug))))]
    pub region: Option<Vec<String>>,
    /// Severities.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 1, max = 4)))]
    pub severity: Option<Vec<Severity>>,
    /// Support plans of the tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 1, max = 2)))]
    pub plan: Option<Vec<Plan>>,
    /// Languages of the contact: `pt` fits `pt-BR` too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 1, max = 200), inner(custom(text::locale))))]
    pub language: Option<Vec<String>>,
    /// Channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 1, max = 4)))]
    pub channel: Option<Vec<Channel>>,
    /// Incidents the request is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 1, max = 500)))]
    pub incident: Option<Vec<IncidentId>>,
    /// Tags, one of which the request has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 1, max = 500), inner(custom(text::line::<50>))))]
    pub tags: Option<Vec<String>>,
}

/// What rules look at.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Slug of the service.
    pub service: &'a str,
    /// Slug of the region.
    pub region: &'a str,
    /// The severity.
    pub severity: Severity,
    /// The tenant's plan.
    pub plan: Plan,
    /// The contact's language.
    pub language: &'a str,
    /// The channel.
    pub channel: Channel,
    /// The incident.
    pub incident: Option<IncidentId>,
    /// The tags.
    pub tags: &'a [String],
}

impl Condition {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether everything asked holds.
    pub fn fits(&self, facts: &Facts<'_>) -> bool {
        self.misfit(facts).is_none()
    }

    /// The first of its fields that does not hold.
    pub fn misfit(&self, facts: &Facts<'_>) -> Option<Field> {
        fn one_of<T>(wanted: &Option<Vec<T>>, fits: impl Fn(&T) -> bool) -> bool {
            wanted.as_ref().is_none_or(|wanted| wanted.iter().any(fits))
        }
        let holds = |field: Field| match field {
            Field::Service => one_of(&self.service, |slug| slug == facts.service),
            Field::Region => one_of(&self.region, |slug| slug == facts.region),
            Field::Severity => one_of(&self.severity, |severity| *severity == facts.severity),
            Field::Plan => one_of(&self.plan, |plan| *plan == facts.plan),
            Field::Language => one_of(&self.language, |language| speaks(facts.language, language)),
            Field::Channel => one_of(&self.channel, |channel| *channel == facts.channel),
            Field::Incident => one_of(&self.incident, |incident| Some(*incident) == facts.incident),
            Field::Tags => one_of(&self.tags, |tag| facts.tags.contains(tag)),
        };
        Field::ALL.iter().copied().find(|field| !holds(*field))
    }
}

text_enum! {
    /// A field of a condition, in the order in which they are looked at.
    Field { Service = "service", Region = "region", Severity = "severity", Plan = "plan", Language = "language", Channel = "channel", Incident = "incident", Tags = "tags" }
}

/// Whether a language tag is `wanted` or a variety of it (RFC 4647 §3.3.1, basic filtering).
pub(super) fn speaks(tag: &str, wanted: &str) -> bool {
    let (tag, wanted) = (tag.to_lowercase(), wanted.to_lowercase());
    tag == wanted
        || tag
            .strip_prefix(&wanted)
            .is_some_and(|rest| rest.starts_with('-'))
}

/// The first rule that fits, and what the request needs by it. None only when the rules have no catch-all.
pub fn route<'a>(rules: &'a [Rule], facts: &Facts<'_>) -> Option<(&'a Rule, Needs)> {
    let rule = rules.iter().find(|rule| rule.when.fits(facts))?;
    Some((rule, rule.needs.of(facts.language)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Id;

    fn queue(n: u128) -> QueueId {
        Id::from_uuid(uuid::Uuid::from_u128(n))
    }

    fn rule(n: u128, when: Condition) -> Rule {
        Rule {
            name: format!("rule {n}"),
            when,
            queue_id: queue(n),
            needs: Demands {
                language: n == 2,
                ..Default::default()
            },
        }
    }

    #[test]
    fn the_first_rule_that_fits_names_the_queue() {
        let rules = [
            rule(
                1,
                Condition {
                    service: Some(vec!["mail".into()]),
                    severity: Some(vec![Severity::A]),
                    ..Default::default()
                },
            ),
            rule(
                2,
                Condition {
                    language: Some(vec!["pt".into()]),
                    ..Default::default()
                },
            ),
            rule(
                3,
                Condition {
                    tags: Some(vec!["vip".into()]),
                    plan: Some(vec![Plan::Premium]),
                    ..Default::default()
                },
            ),
            rule(4, Condition::default()),
        ];
        let vip = ["vip".to_owned()];
        let facts = |service, severity, language, plan, tags| Facts {
            service,
            region: "europe",
            severity,
            plan,
            language,
            channel: Channel::AdminCenter,
            incident: None,
            tags,
        };
        for (facts, expected) in [
            (facts("mail", Severity::A, "pt", Plan::Standard, &[]), 1),
            (facts("mail", Severity::B, "pt-BR", Plan::Standard, &[]), 2),
            (facts("mail", Severity::B, "ptx", Plan::Premium, &vip), 3),
            (facts("mail", Severity::B, "en", Plan::Standard, &vip), 4),
        ] {
            let (rule, needs) = route(&rules, &facts).unwrap();
            assert_eq!(rule.queue_id, queue(expected), "{facts:?}");
            let language = (expected == 2).then(|| "pt-BR".to_owned());
            assert_eq!(needs.language, language, "{facts:?}");
        }
        assert!(route(&rules[..3], &facts("x", Severity::D, "en", Plan::Standard, &[])).is_none());
    }

    #[test]
    fn a_rule_that_is_passed_over_says_by_which_field() {
        let when = Condition {
            service: Some(vec!["mail".into()]),
            severity: Some(vec![Severity::A, Severity::B]),
            incident: Some(vec![Id::from_uuid(uuid::Uuid::from_u128(7))]),
            tags: Some(vec!["vip".into()]),
            ..Default::default()
        };
        let facts = |service, severity, incident: Option<u128>, tags| Facts {
            service,
            region: "europe",
            severity,
            plan: Plan::Standard,
            language: "en",
            channel: Channel::Email,
            incident: incident.map(|id| Id::from_uuid(uuid::Uuid::from_u128(id))),
            tags,
        };
        let vip = ["big".to_owned(), "vip".to_owned()];
        for (facts, misfit) in [
            (facts("mail", Severity::B, Some(7), vip.as_slice()), None),
            (facts("chat", Severity::C, None, &[]), Some(Field::Service)),
            (facts("mail", Severity::C, None, &vip), Some(Field::Severity)),
            (facts("mail", Severity::A, None, &vip), Some(Field::Incident)),
            (facts("mail", Severity::A, Some(8), &vip), Some(Field::Incident)),
            (facts("mail", Severity::A, Some(7), &vip[..1]), Some(Field::Tags)),
        ] {
            assert_eq!(when.misfit(&facts), misfit, "{facts:?}");
            assert!(Condition::default().fits(&facts));
        }
    }
}
