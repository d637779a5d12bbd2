//! The words of what the desk itself is told: urgent requests, deadlines, promised updates.

use askama::Template;
use serde_json::Value;

use super::{Messages, headline, local, thread_of};
use crate::db::{Connection, IncidentId, Moment};
use crate::incidents;
use crate::journal::Event;
use crate::mail::{Content, Delivery, DeliveryKind};
use crate::notify::own_mail;
use crate::problem::Problem;
use crate::requests::PersonView;
use crate::requests::hand_overs::HandOverView;
use crate::text::cleaned;
use crate::{queues, requests};

#[derive(Template)]
#[template(path = "sla/mail.txt", escape = "none")]
struct DeskText<'a>(&'a DeskMail);

#[derive(Template)]
#[template(path = "sla/mail.html")]
struct DeskHtml<'a>(&'a DeskMail);

#[derive(Template)]
#[template(path = "sla/subject.txt", escape = "none")]
struct DeskSubject<'a>(&'a DeskMail);

/// What a mail to the desk says.
struct DeskMail {
    kind: DeliveryKind,
    headline: &'static str,
    /// The reference of a request; none for an incident.
    reference: Option<String>,
    title: String,
    name: String,
    /// What there is to know, each with its name.
    facts: Vec<(&'static str, String)>,
    link: String,
}

impl DeskMail {
    fn content(&self, thread_root: String) -> Result<Content, Problem> {
        let subject = DeskSubject(self).render().map_err(Problem::internal)?;
        Ok(Content {
            subject: subject.trim().to_owned(),
            text: DeskText(self).render().map_err(Problem::internal)?,
            html: DeskHtml(self).render().map_err(Problem::internal)?,
            thread_root,
        })
    }
}

impl Messages {
    pub(super) fn desk_mail(&self, conn: &mut Connection, delivery: &Delivery) -> Result<Content, Problem> {
        let missing = || Problem::not_found("request");
        let id = delivery.request_id.ok_or_else(missing)?;
        let request = requests::store::find_anywhere(conn, id)?.ok_or_else(missing)?;
        let event = own_mail::event_of_request(conn, &request, delivery)?;
        let event = event.ok_or_else(|| Problem::not_found("event"))?;
        let mut facts = vec![("Severity", request.severity.to_string())];
        let clock = event.data.0.get("clock").and_then(Value::as_str);
        facts.extend(clock.map(|clock| ("Clock", clock.replace('_', " "))));
        facts.extend(time(&event, "due_at", delivery).map(|at| ("Due", at)));
        facts.push(("Service", request.service.clone()));
        facts.push(("Region", request.region.clone()));
        facts.push(("Filed", local(request.created_at, &delivery.time_zone)));
        let line = self.line(request.clone());
        let content = DeskMail {
            kind: delivery.kind,
            headline: headline(delivery.kind),
            reference: Some(line.reference),
            title: line.subject,
            name: cleaned(&delivery.name),
            facts,
            link: line.link,
        };
        content.content(format!("request.{}", request.id))
    }

    pub(super) fn promise_mail(
        &self,
        conn: &mut Connection,
        delivery: &Delivery,
    ) -> Result<Content, Problem> {
        let event = own_mail::event_of(conn, delivery)?.ok_or_else(|| Problem::not_found("event"))?;
        let id: IncidentId = event.subject_id.of();
        let incident = incidents::store::find(conn, id)?;
        let incident = incident.ok_or_else(|| Problem::not_found("incident"))?;
        let mut facts = vec![("Status", incident.status.to_string())];
        facts.extend(time(&event, "due_at", delivery).map(|at| ("Promised by", at)));
        let content = DeskMail {
            kind: delivery.kind,
            headline: headline(delivery.kind),
            reference: None,
            title: cleaned(&incident.title),
            name: cleaned(&delivery.name),
            facts,
            link: format!("{}/v1/incidents/{id}", self.public_url),
        };
        content.content(thread_of(&incident))
    }
}

impl Messages {
    pub(super) fn hand_over_mail(
        &self,
        conn: &mut Connection,
        delivery: &Delivery,
    ) -> Result<Content, Problem> {
        let missing = || Problem::not_found("hand-over");
        let event = own_mail::event_of(conn, delivery)?.ok_or_else(missing)?;
        let id = event.data.0.get("hand_over_id").and_then(Value::as_str);
        let id = id.and_then(|id| id.parse().ok()).ok_or_else(missing)?;
        let queue = queues::store::find(conn, event.subject_id.of())?.ok_or_else(missing)?;
        let row = requests::hand_overs::store::find(conn, queue.id, id)?.ok_or_else(missing)?;
        let told = HandOverView::from(row);
        let names = |people: &[PersonView]| {
            let names: Vec<_> = people.iter().map(|person| cleaned(&person.name)).collect();
            names.join(", ")
        };
        let mut facts = vec![
            ("Went off duty", names(&told.leaves)),
            ("Open requests", told.open_requests.to_string()),
            ("Handed over", told.handed_over.to_string()),
            ("Due within eight hours", told.due_soon_count.to_string()),
        ];
        let zone = delivery.time_zone.as_str();
        facts.extend(told.due_soon.iter().map(|due| {
            let clock = due.clock.as_str().replace('_', " ");
            (
                "Due",
                format!("{}, {clock}: {}", due.reference, local(due.due_at, zone)),
            )
        }));
        facts.extend(
            told.last_words
                .iter()
                .map(|said| ("Last words", format!("{}: {}", cleaned(&said.author), said.body))),
        );
        let content = DeskMail {
            kind: delivery.kind,
            headline: headline(delivery.kind),
            reference: None,
            title: cleaned(&queue.name),
            name: cleaned(&delivery.name),
            facts,
            link: format!("{}/v1/queues/{}/hand-overs", self.public_url, queue.id),
        };
        content.content(format!("queue.{}", queue.id))
    }
}

/// An instant that an event names, in the reader's zone.
fn time(event: &Event, name: &str, delivery: &Delivery) -> Option<String> {
    let at: Moment = serde_json::from_value(event.data.0.get(name)?.clone()).ok()?;
    Some(local(at, &delivery.time_zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_typed_is_escaped_in_the_html_part() {
        let mail = DeskMail {
            kind: DeliveryKind::SlaWarned,
            headline: "Time is running out",
            reference: Some("SR-0000000000".into()),
            title: "<script>alert(1)</script>".into(),
            name: "A & B".into(),
            facts: vec![("Severity", "a".into())],
            link: "https://desk.example".into(),
        };
        let content = mail.content("x".into()).unwrap();
        assert!(!content.html.contains("<script>"), "{}", content.html);
        assert!(content.text.contains("<script>") && content.text.contains("Severity: a"));
        assert!(
            content
                .subject
                .starts_with("[SR-0000000000] Time is running out: ")
        );
    }
}
