//! What people at the desk hand over and take away.

use serde_json::{Value, json};

use super::cast::Person;
use crate::cli::client::Answer;

/// What an incident is opened with.
pub struct Opening<'a> {
    /// As customers see it.
    pub title: &'a str,
    /// `advisory`, `degradation` or `interruption`.
    pub impact: &'a str,
    /// Slugs.
    pub services: &'a [&'a str],
    /// Slugs.
    pub regions: &'a [&'a str],
    /// When it began, in 2010.
    pub started_at: &'a str,
    /// The incident that came back.
    pub follows: Option<&'a str>,
    /// The first public message.
    pub body: &'a str,
}

impl Opening<'_> {
    /// The body of the call.
    pub fn body(&self) -> Value {
        json!({
            "title": self.title, "impact": self.impact, "services": self.services, "regions": self.regions,
            "started_at": self.started_at, "follows": self.follows, "status": "investigating", "body": self.body,
        })
    }
}

/// What a request is filed with.
pub struct Filing<'a> {
    /// `a` to `d`.
    pub severity: &'a str,
    /// Slug.
    pub service: &'a str,
    /// One line.
    pub subject: &'a str,
    /// The whole story.
    pub description: &'a str,
}

impl Filing<'_> {
    /// The body of the call.
    pub fn against(&self, incident: &str) -> Value {
        let Self {
            severity,
            service,
            subject,
            description,
        } = self;
        json!({
            "incident_id": incident, "severity": severity, "service": service,
            "subject": subject, "description": description,
        })
    }
}

/// A request that an agent has taken.
pub struct Taken {
    /// Who took it.
    pub agent: &'static Person,
    /// Its id.
    pub id: String,
    /// What customers call it.
    pub reference: String,
    /// Its severity.
    pub severity: String,
    /// Its subject.
    pub subject: String,
}

impl Taken {
    /// What `agent` got in `answer` to its claim.
    pub fn by(agent: &'static Person, answer: &Answer) -> Self {
        let of = |member: &str| answer.text(&format!("/service_request/{member}")).to_owned();
        Self {
            agent,
            id: of("id"),
            reference: of("reference"),
            severity: of("severity").to_uppercase(),
            subject: of("subject"),
        }
    }

    /// Who took what.
    pub fn told(&self) -> String {
        let Self {
            agent,
            reference,
            severity,
            subject,
            ..
        } = self;
        format!("{} takes {reference} ({severity}: {subject})", agent.name)
    }
}

/// `object` with the members of `extra`.
pub fn with(mut object: Value, extra: Value) -> Value {
    if let (Value::Object(object), Value::Object(extra)) = (&mut object, extra) {
        object.extend(extra);
    }
    object
}
