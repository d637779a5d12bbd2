//! What the desk itself is told: urgent requests, deadlines, promised updates, hand-overs.

use std::fmt::Display;

use serde_json::Value;

use super::Messages;
use super::phrases::Language;
use super::status::thread_of;
use super::words::{DeskWords, Fact, Words};
use crate::db::{Connection, IncidentId, Moment};
use crate::incidents;
use crate::journal::Event;
use crate::mail::{Content, Delivery, DeliveryKind};
use crate::notify::{own_mail, suppression_mail};
use crate::problem::Problem;
use crate::requests::PersonView;
use crate::requests::hand_overs::HandOverView;
use crate::text::cleaned;
use crate::{queues, requests};

impl Messages {
    pub(super) fn desk_mail(&self, conn: &mut Connection, delivery: &Delivery) -> Result<Content, Problem> {
        match delivery.kind {
            DeliveryKind::PromiseWarned | DeliveryKind::PromiseMissed => self.promise_mail(conn, delivery),
            DeliveryKind::AddressSuppressed => self.suppression_mail(conn, delivery),
            DeliveryKind::ShiftHandedOver => self.hand_over_mail(conn, delivery),
            _ => self.clock_mail(conn, delivery),
        }
    }

    fn clock_mail(&self, conn: &mut Connection, delivery: &Delivery) -> Result<Content, Problem> {
        let missing = || Problem::not_found("request");
        let id = delivery.request_id.ok_or_else(missing)?;
        let request = requests::store::find_anywhere(conn, id)?.ok_or_else(missing)?;
        let event = own_mail::event_of_request(conn, &request, delivery)?;
        let event = event.ok_or_else(|| Problem::not_found("event"))?;
        let mut facts = Facts::of(self.language(delivery), &delivery.time_zone);
        facts.add("severity", request.severity);
        if let Some(clock) = event.data.0.get("clock").and_then(Value::as_str) {
            facts.add("clock", facts.language.word("clock", clock));
        }
        facts.add_time("due", due(&event));
        facts.add("service", &request.service);
        facts.add("region", &request.region);
        facts.add_time("filed", Some(request.created_at));
        let line = self.line(request.reference, &request.subject);
        let mut frame = self.frame(delivery);
        frame.link = Some(line.link);
        let words = DeskWords {
            frame,
            reference: Some(line.reference),
            title: line.subject,
            facts: facts.facts,
        };
        self.content(delivery, Words::Desk(words), format!("request.{}", request.id))
    }

    fn promise_mail(&self, conn: &mut Connection, delivery: &Delivery) -> Result<Content, Problem> {
        let event = own_mail::event_of(conn, delivery)?.ok_or_else(|| Problem::not_found("event"))?;
        let id: IncidentId = event.subject_id.of();
        let incident = incidents::store::find(conn, id)?;
        let incident = incident.ok_or_else(|| Problem::not_found("incident"))?;
        let mut facts = Facts::of(self.language(delivery), &delivery.time_zone);
        facts.add("status", facts.language.word("status", incident.status.as_str()));
        facts.add_time("promised_by", due(&event));
        let mut frame = self.frame(delivery);
        frame.link = Some(self.link_to(&incident));
        let words = DeskWords {
            frame,
            reference: None,
            title: cleaned(&incident.title),
            facts: facts.facts,
        };
        self.content(delivery, Words::Desk(words), thread_of(&incident))
    }

    fn suppression_mail(&self, conn: &mut Connection, delivery: &Delivery) -> Result<Content, Problem> {
        let event = own_mail::event_of(conn, delivery)?.ok_or_else(|| Problem::not_found("event"))?;
        let mut facts = Facts::of(self.language(delivery), &delivery.time_zone);
        let said = event.data.0.pointer("/to/said").and_then(Value::as_str);
        facts.add("said", said.unwrap_or_default());
        facts.add_time("since", Some(event.at));
        let mut frame = self.frame(delivery);
        frame.link = Some(format!("{}/v1/suppressions", self.public_url));
        let words = DeskWords {
            frame,
            reference: None,
            title: cleaned(suppression_mail::address(&event)),
            facts: facts.facts,
        };
        self.content(
            delivery,
            Words::Desk(words),
            format!("suppression.{}", event.subject_id),
        )
    }

    fn hand_over_mail(&self, conn: &mut Connection, delivery: &Delivery) -> Result<Content, Problem> {
        let missing = || Problem::not_found("hand-over");
        let event = own_mail::event_of(conn, delivery)?.ok_or_else(missing)?;
        let id = event.data.0.get("hand_over_id").and_then(Value::as_str);
        let id = id.and_then(|id| id.parse().ok()).ok_or_else(missing)?;
        let queue = queues::store::find(conn, event.subject_id.of())?.ok_or_else(missing)?;
        let row = requests::hand_overs::store::find(conn, queue.id, id)?.ok_or_else(missing)?;
        let mut frame = self.frame(delivery);
        frame.link = Some(format!("{}/v1/queues/{}/hand-overs", self.public_url, queue.id));
        let words = DeskWords {
            frame,
            reference: None,
            title: cleaned(&queue.name),
            facts: Facts::of(self.language(delivery), &delivery.time_zone).of_hand_over(&row.into()),
        };
        self.content(delivery, Words::Desk(words), format!("queue.{}", queue.id))
    }
}

/// What there is to know, as it is gathered.
struct Facts<'a> {
    language: &'a Language,
    zone: &'a str,
    facts: Vec<Fact>,
}

impl<'a> Facts<'a> {
    fn of(language: &'a Language, zone: &'a str) -> Self {
        Self {
            language,
            zone,
            facts: Vec::new(),
        }
    }

    fn add(&mut self, name: &str, value: impl Display) {
        self.facts.push(Fact {
            name: self.language.word("fact", name),
            value: cleaned(&value.to_string()),
        });
    }

    fn add_time(&mut self, name: &str, at: Option<Moment>) {
        if let Some(at) = at {
            self.add(name, self.language.time(at, self.zone));
        }
    }

    fn of_hand_over(mut self, told: &HandOverView) -> Vec<Fact> {
        let names = |people: &[PersonView]| {
            let names: Vec<_> = people.iter().map(|person| cleaned(&person.name)).collect();
            names.join(", ")
        };
        self.add("left", names(&told.leaves));
        self.add("open_requests", told.open_requests);
        self.add("handed_over", told.handed_over);
        self.add("due_soon", told.due_soon_count);
        for due in &told.due_soon {
            let clock = self.language.word("clock", due.clock.as_str());
            let at = self.language.time(due.due_at, self.zone);
            self.add("due", format!("{}, {clock}: {at}", due.reference));
        }
        for said in &told.last_words {
            self.add("last_words", format!("{}: {}", cleaned(&said.author), said.body));
        }
        self.facts
    }
}

/// When it is due, as an event says.
fn due(event: &Event) -> Option<Moment> {
    serde_json::from_value(event.data.0.get("due_at")?.clone()).ok()
}
