//! The words of every mail: a folder a mail, each with a subject, a plain and an HTML part (askama escapes the HTML).
//!
//! A message is rendered when it is handed over, from what is in the database then; its event says what it tells.

mod desk;

use std::fmt::Write as _;
use std::str::FromStr as _;

use askama::Template;
use chrono_tz::Tz;

use super::{account_mail, own_mail};
use crate::db::{Connection, Moment};
use crate::identity::keys::Secret;
use crate::identity::mailed;
use crate::incidents::{self, Incident};
use crate::mail::{self, Content, Delivery, DeliveryKind, Render};
use crate::problem::Problem;
use crate::requests::{self, Request};
use crate::text::cleaned;

/// Finds the words.
#[derive(Clone, Debug)]
pub struct Messages {
    public_url: String,
    seal: Secret,
}

impl Messages {
    /// With links to this address; `seal` makes the tokens in some of them.
    pub fn new(public_url: &str, seal: Secret) -> Self {
        Self {
            public_url: public_url.to_owned(),
            seal,
        }
    }
}

impl Render for Messages {
    fn render(&self, conn: &mut Connection, deliveries: &[Delivery]) -> Vec<Result<Content, Problem>> {
        let words = |delivery| self.words(conn, delivery);
        deliveries.iter().map(words).collect()
    }
}

impl Messages {
    fn words(&self, conn: &mut Connection, delivery: &Delivery) -> Result<Content, Problem> {
        match delivery.kind {
            DeliveryKind::IncidentOpened
            | DeliveryKind::IncidentUpdated
            | DeliveryKind::IncidentResolved
            | DeliveryKind::IncidentReopened
            | DeliveryKind::IncidentFalsePositive
            | DeliveryKind::IncidentDuplicate
            | DeliveryKind::IncidentReported => self.status_mail(conn, delivery),
            DeliveryKind::RequestReceived
            | DeliveryKind::RequestCommented
            | DeliveryKind::RequestResolved
            | DeliveryKind::WatcherAdded => self.request_mail(conn, delivery),
            DeliveryKind::Invitation
            | DeliveryKind::PasswordReset
            | DeliveryKind::PasswordChanged
            | DeliveryKind::SecondFactorAdded
            | DeliveryKind::SecondFactorRemoved => self.account_mail(conn, delivery),
            DeliveryKind::UrgentRequest
            | DeliveryKind::SlaWarned
            | DeliveryKind::SlaBreached
            | DeliveryKind::RequestEscalated => self.desk_mail(conn, delivery),
            DeliveryKind::PromiseWarned | DeliveryKind::PromiseMissed => self.promise_mail(conn, delivery),
            DeliveryKind::ShiftHandedOver => self.hand_over_mail(conn, delivery),
            DeliveryKind::Unknown => Err(Problem::internal("there are no words for a message of this kind")),
        }
    }
}

/// A request as a mail lists it.
struct Line {
    reference: String,
    subject: String,
    link: String,
}

#[derive(Template)]
#[template(path = "status/mail.txt", escape = "none")]
struct StatusText<'a>(&'a StatusMail);

#[derive(Template)]
#[template(path = "status/mail.html")]
struct StatusHtml<'a>(&'a StatusMail);

#[derive(Template)]
#[template(path = "status/subject.txt", escape = "none")]
struct StatusSubject<'a>(&'a StatusMail);

/// What a status mail says.
struct StatusMail {
    kind: DeliveryKind,
    headline: &'static str,
    title: String,
    name: String,
    status: incidents::Status,
    impact: incidents::Impact,
    services: String,
    regions: String,
    started_at: String,
    resolved_at: Option<String>,
    at: String,
    body: String,
    next_update_by: Option<String>,
    goes_on_as: Option<GoesOn>,
    requests: Vec<Line>,
    link: String,
}

/// The incident that a duplicate goes on as, as a mail names it.
struct GoesOn {
    title: String,
    link: String,
}

#[derive(Template)]
#[template(path = "request/mail.txt", escape = "none")]
struct RequestText<'a>(&'a RequestMail);

#[derive(Template)]
#[template(path = "request/mail.html")]
struct RequestHtml<'a>(&'a RequestMail);

#[derive(Template)]
#[template(path = "request/subject.txt", escape = "none")]
struct RequestSubject<'a>(&'a RequestMail);

/// What a request's own mail says.
struct RequestMail {
    kind: DeliveryKind,
    headline: &'static str,
    reference: String,
    subject: String,
    name: String,
    author: String,
    body: Option<String>,
    incident: Option<String>,
    at: String,
    link: String,
}

#[derive(Template)]
#[template(path = "account/mail.txt", escape = "none")]
struct AccountText<'a>(&'a AccountMail);

#[derive(Template)]
#[template(path = "account/mail.html")]
struct AccountHtml<'a>(&'a AccountMail);

/// What a mail about somebody's account says.
struct AccountMail {
    kind: DeliveryKind,
    headline: &'static str,
    said: &'static str,
    name: String,
    at: String,
    link: Option<String>,
}

impl Messages {
    fn account_mail(&self, conn: &mut Connection, delivery: &Delivery) -> Result<Content, Problem> {
        let event = own_mail::event_of(conn, delivery)?.ok_or_else(|| Problem::not_found("event"))?;
        let token = account_mail::token_id(&event);
        let page = account_mail::page(conn, &event)?;
        let content = AccountMail {
            kind: delivery.kind,
            headline: headline(delivery.kind),
            said: said(delivery.kind),
            name: cleaned(&delivery.name),
            at: local(event.at, &delivery.time_zone),
            // Behind the number sign: a browser sends it to nobody.
            link: token.map(|id| {
                let token = mailed::text(&self.seal, delivery.tenant_id, id);
                format!("{}/account/{page}#{token}", self.public_url)
            }),
        };
        Ok(Content {
            subject: content.headline.to_owned(),
            text: AccountText(&content).render().map_err(Problem::internal)?,
            html: AccountHtml(&content).render().map_err(Problem::internal)?,
            thread_root: format!("account.{}", event.id),
        })
    }

    fn status_mail(&self, conn: &mut Connection, delivery: &Delivery) -> Result<Content, Problem> {
        let broadcast = mail::broadcasts::find(conn, delivery.event_id)?;
        let broadcast = broadcast.ok_or_else(|| Problem::not_found("broadcast"))?;
        let incident = incidents::store::find(conn, broadcast.incident_id)?;
        let incident = incident.ok_or_else(|| Problem::not_found("incident"))?;
        let update = incidents::store::update_at(conn, incident.id, broadcast.seq)?;
        let update = update.ok_or_else(|| Problem::not_found("update"))?;
        let (services, regions) = incidents::store::scope_names(conn, incident.id)?;
        let concerning = |conn: &mut Connection, incident| {
            requests::store::concerning(conn, incident, delivery.tenant_id, &delivery.recipient)
        };
        let mut rows = concerning(conn, incident.id)?;
        let mut goes_on_as = None;
        if let (DeliveryKind::IncidentDuplicate, Some(of)) = (delivery.kind, incident.duplicate_of) {
            let other = incidents::store::find(conn, of)?.ok_or_else(|| Problem::not_found("incident"))?;
            // Most have moved there.
            rows.extend(concerning(conn, of)?);
            goes_on_as = Some(GoesOn {
                title: cleaned(&other.title),
                link: self.link_of(&other),
            });
        }
        let zone = delivery.time_zone.as_str();
        let content = StatusMail {
            kind: delivery.kind,
            headline: headline(delivery.kind),
            title: cleaned(&incident.title),
            name: cleaned(&delivery.name),
            status: update.status,
            impact: incident.impact,
            services: services.join(", "),
            regions: regions.join(", "),
            started_at: local(incident.started_at, zone),
            resolved_at: incident
                .resolved_at
                .filter(|_| update.status.is_ended())
                .map(|at| local(at, zone)),
            at: local(update.at, zone),
            body: update.body,
            next_update_by: update.next_update_by.map(|at| local(at, zone)),
            goes_on_as,
            requests: rows.into_iter().map(|row| self.line(row)).collect(),
            link: self.link_of(&incident),
        };
        let subject = StatusSubject(&content).render().map_err(Problem::internal)?;
        let text = StatusText(&content).render().map_err(Problem::internal)?;
        let html = StatusHtml(&content).render().map_err(Problem::internal)?;
        Ok(Content {
            subject: subject.trim().to_owned(),
            text,
            html,
            thread_root: thread_of(&incident),
        })
    }

    fn request_mail(&self, conn: &mut Connection, delivery: &Delivery) -> Result<Content, Problem> {
        let id = delivery.request_id.ok_or_else(|| Problem::not_found("request"))?;
        let request = requests::store::find(conn, delivery.tenant_id, id)?;
        let request = request.ok_or_else(|| Problem::not_found("request"))?;
        let event = own_mail::event_of(conn, delivery)?.ok_or_else(|| Problem::not_found("event"))?;
        let comment = match own_mail::comment_id(&event) {
            Some(id) => requests::store::comment(conn, delivery.tenant_id, id)?,
            None => None,
        };
        // Only a mail that counts as telling of the incident names it (see `own_mail`).
        let incident = match delivery.incident_id {
            Some(id) => incidents::store::find(conn, id)?,
            None => None,
        };
        let author = comment
            .as_ref()
            .map_or_else(|| event.actor_name.clone(), |c| c.author_name.clone());
        let body = match delivery.kind {
            DeliveryKind::RequestReceived => Some(request.description.clone()),
            _ => comment.map(|comment| comment.body),
        };
        let line = self.line(request.clone());
        let content = RequestMail {
            kind: delivery.kind,
            headline: headline(delivery.kind),
            reference: line.reference,
            subject: line.subject,
            name: cleaned(&delivery.name),
            author: cleaned(&author),
            body,
            incident: incident.map(|incident| cleaned(&incident.title)),
            at: local(event.at, &delivery.time_zone),
            link: line.link,
        };
        let subject = RequestSubject(&content).render().map_err(Problem::internal)?;
        let text = RequestText(&content).render().map_err(Problem::internal)?;
        let html = RequestHtml(&content).render().map_err(Problem::internal)?;
        let thread_root = format!("request.{}", request.id);
        Ok(Content {
            subject: subject.trim().to_owned(),
            text,
            html,
            thread_root,
        })
    }

    fn link_of(&self, incident: &Incident) -> String {
        format!("{}/v1/incidents/{}", self.public_url, incident.id)
    }

    fn line(&self, request: Request) -> Line {
        Line {
            link: format!("{}/v1/service-requests/{}", self.public_url, request.reference),
            reference: request.reference,
            subject: cleaned(&request.subject),
        }
    }
}

/// What the thread of an incident hangs on.
fn thread_of(incident: &Incident) -> String {
    format!("incident.{}", incident.id)
}

fn headline(kind: DeliveryKind) -> &'static str {
    match kind {
        DeliveryKind::IncidentOpened => "New incident",
        DeliveryKind::IncidentUpdated => "Update",
        DeliveryKind::IncidentResolved => "Resolved",
        DeliveryKind::IncidentReopened => "Reopened",
        DeliveryKind::IncidentFalsePositive => "False alarm",
        DeliveryKind::IncidentDuplicate => "Now tracked as another incident",
        DeliveryKind::IncidentReported => "Post-incident report",
        DeliveryKind::RequestReceived => "We have your request",
        DeliveryKind::RequestCommented => "New reply",
        DeliveryKind::RequestResolved => "Resolved",
        DeliveryKind::WatcherAdded => "You were added as a watcher",
        DeliveryKind::UrgentRequest => "New urgent request",
        DeliveryKind::SlaWarned => "Time is running out",
        DeliveryKind::SlaBreached => "The deadline has passed",
        DeliveryKind::RequestEscalated => "Escalated to you",
        DeliveryKind::ShiftHandedOver => "Handed over to you",
        DeliveryKind::PromiseWarned => "An update is due soon",
        DeliveryKind::PromiseMissed => "The promised update is overdue",
        DeliveryKind::Invitation => "You are invited",
        DeliveryKind::PasswordReset => "Set a new password",
        DeliveryKind::PasswordChanged => "Your password was changed",
        DeliveryKind::SecondFactorAdded => "A second factor was set up",
        DeliveryKind::SecondFactorRemoved => "Your second factor was removed",
        DeliveryKind::Unknown => "",
    }
}

/// What a mail about an account says below its headline.
fn said(kind: DeliveryKind) -> &'static str {
    match kind {
        DeliveryKind::Invitation => {
            "You are invited to the support desk of your provider. The link is good for seven days."
        }
        DeliveryKind::PasswordReset => {
            "Somebody asked for a new password for your account. The link is good for an hour. If it was not you, do nothing."
        }
        DeliveryKind::PasswordChanged => {
            "All sessions have ended. If it was not you, ask for a new password at once and tell whoever runs the desk."
        }
        _ => "If it was not you, change your password and tell whoever runs the desk.",
    }
}

/// A time in the reader's zone, with UTC beside it.
fn local(at: Moment, zone: &str) -> String {
    let utc = at.utc();
    let mut text = String::new();
    if let Some(zone) = Tz::from_str(zone).ok().filter(|zone| *zone != Tz::UTC) {
        let _ = write!(
            text,
            "{} (",
            utc.with_timezone(&zone).format("%-d %B %Y, %H:%M %Z")
        );
        let _ = write!(text, "{} UTC)", utc.format("%-d %B %Y, %H:%M"));
    } else {
        let _ = write!(text, "{} UTC", utc.format("%-d %B %Y, %H:%M"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_readers_with_utc_beside_them() {
        let at = chrono::DateTime::parse_from_rfc3339("2010-08-23T21:05:00Z").unwrap();
        let at = Moment::from(at.with_timezone(&chrono::Utc));
        assert_eq!(
            local(at, "America/New_York"),
            "23 August 2010, 17:05 EDT (23 August 2010, 21:05 UTC)"
        );
        assert_eq!(local(at, "UTC"), "23 August 2010, 21:05 UTC");
        assert_eq!(local(at, "nowhere"), "23 August 2010, 21:05 UTC");
    }

    #[test]
    fn what_a_user_typed_is_escaped_in_the_html_part() {
        let content = RequestMail {
            kind: DeliveryKind::RequestCommented,
            headline: "New reply",
            reference: "SR-0000000000".into(),
            subject: "<script>alert(1)</script>".into(),
            name: "A & B".into(),
            author: "Ada".into(),
            body: Some("<b>\"x\"</b>".into()),
            incident: None,
            at: String::new(),
            link: "https://desk.example".into(),
        };
        let html = RequestHtml(&content).render().unwrap();
        assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
        assert!(RequestText(&content).render().unwrap().contains("<b>\"x\"</b>"));
    }
}
