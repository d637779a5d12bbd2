//! What comes from outside: customers file, answer, ask and reopen; the storm breaks and is over; people are away.

use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};

use super::SimulateError;
use super::cases::Place;
use super::load::{Leave, Topic};
use super::run::{Phase, Simulation, What};
use super::stage::{Desk, MAIL, NAMES, REGION};
use crate::cli::client::{Answer, Session};

/// From the breaking of the storm to its end.
const OUTAGE: TimeDelta = TimeDelta::minutes(150);
/// How often there is news.
const NEWS: TimeDelta = TimeDelta::minutes(45);
/// One in so many of those who file in a storm has somebody else told too.
const WATCHED: usize = 10;

impl Simulation<'_> {
    /// A customer files a request.
    pub async fn file(&mut self, place: usize) -> Result<(), SimulateError> {
        let Some(case) = self.load.cases.get(place).cloned() else {
            return Ok(());
        };
        let Some(session) = self.stage.tenants.get(case.tenant).cloned() else {
            return Ok(());
        };
        let (service, incident) = match case.topic {
            Topic::Mail => (MAIL, None),
            Topic::Names => (NAMES, None),
            Topic::Storm => (MAIL, self.incident.clone()),
        };
        let watchers: Vec<String> = (case.topic == Topic::Storm && place.is_multiple_of(WATCHED))
            .then(|| format!("watcher-{place}@customer-{}.example", case.tenant))
            .into_iter()
            .collect();
        let form = json!({
            "incident_id": incident, "severity": case.severity, "service": service, "region": REGION,
            "subject": format!("Trouble {place}"), "description": "It does not work as it should.", "watchers": watchers,
        });
        let answer = session.post("/v1/service-requests", &form, None).await;
        let Some(answer) = self.counted(answer)? else {
            return Ok(());
        };
        let is_front = answer.text("/queue/id") == self.stage.front;
        let desk = if is_front { Desk::Front } else { Desk::Specialists };
        self.cases.filed(place, answer.id(), desk);
        self.put(place, Place::Line);
        self.books.filed(self.now);
        if let Some(after) = case.chased {
            self.agenda.enter(self.now + after, What::Chase(place));
        }
        self.came_to_line(desk).await
    }

    async fn came_to_line(&mut self, desk: Desk) -> Result<(), SimulateError> {
        match desk {
            Desk::Front => self.wake(desk),
            // Given out by the watch, or taken to the front where nobody is there.
            Desk::Specialists => self.watch().await?,
        }
        Ok(())
    }

    /// The customer answers: the request goes on with whoever asked, or in the line.
    pub async fn answer(&mut self, place: usize) -> Result<(), SimulateError> {
        if self.cases.of(place).place != Place::Customer {
            return Ok(());
        }
        let form = json!({ "body": "Since this morning, for everybody." });
        self.say(place, "comments", &form).await?;
        let path = format!("/v1/service-requests/{}", self.cases.of(place).id);
        let found = self.stage.operator.get(&path).await?;
        let assignee = found.text("/assignee/id");
        match self.stage.people.iter().position(|person| person.id == assignee) {
            Some(person) if found.text("/status") == "in_progress" => self.came_back(place, person),
            _ => {
                self.put(place, Place::Line);
                self.came_to_line(self.cases.of(place).desk).await?;
            }
        }
        Ok(())
    }

    /// The customer asks what is going on, if it is not over.
    pub async fn chase(&mut self, place: usize) -> Result<(), SimulateError> {
        if matches!(self.cases.of(place).place, Place::Line | Place::Hands(_)) {
            let form = json!({ "body": "Is there any news?" });
            self.say(place, "comments", &form).await?;
        }
        Ok(())
    }

    /// The customer says that it is not solved.
    pub async fn reopen(&mut self, place: usize) -> Result<(), SimulateError> {
        let form = json!({ "body": "It is not solved." });
        if self.cases.of(place).place == Place::Done && self.say(place, "reopen", &form).await?.is_some() {
            let case = self.cases.of_mut(place);
            (case.was_reopened, case.is_answered) = (true, false);
            let desk = case.desk;
            self.put(place, Place::Line);
            self.came_to_line(desk).await?;
        }
        Ok(())
    }

    async fn say(&mut self, place: usize, verb: &str, form: &Value) -> Result<Option<Answer>, SimulateError> {
        let tenant = self.load.cases.get(place).map(|case| case.tenant);
        let Some(session) = tenant.and_then(|tenant| self.stage.tenants.get(tenant)).cloned() else {
            return Ok(None);
        };
        let path = format!("/v1/service-requests/{}/{verb}", self.cases.of(place).id);
        let answer = session.post(&path, form, Some("*")).await;
        self.counted(answer)
    }

    /// The incident of the storm is opened, told of, and over; everything that waits for its end is resolved with it.
    pub async fn storm(&mut self, phase: Phase) -> Result<(), SimulateError> {
        let operator = self.stage.operator.clone();
        let next = (self.now + NEWS).to_rfc3339_opts(SecondsFormat::Millis, true);
        match (phase, self.incident.clone()) {
            (Phase::Opens, _) => {
                let form = json!({
                    "title": "Mail is down", "impact": "interruption", "services": [MAIL], "regions": [REGION],
                    "body": "We are looking for the cause.",
                });
                let opened = operator.post("/v1/incidents", &form, None).await?;
                (self.incident, self.is_calm) = (Some(opened.id().to_owned()), false);
                self.agenda.enter(self.now + TimeDelta::minutes(1), What::Gust);
                self.agenda.enter(self.now + NEWS, What::Storm(Phase::News));
                self.agenda.enter(self.now + OUTAGE, What::Storm(Phase::Ends));
            }
            (Phase::News, Some(incident)) if !self.is_calm => {
                let form =
                    json!({ "body": "We are still at it.", "status": "identified", "next_update_by": next });
                let path = format!("/v1/incidents/{incident}/updates");
                operator.post(&path, &form, Some("*")).await?;
                self.agenda.enter(self.now + NEWS, What::Storm(Phase::News));
            }
            (Phase::Ends, Some(incident)) => {
                let form = json!({ "body": "Mail is back. All clear." });
                operator
                    .post(&format!("/v1/incidents/{incident}/resolve"), &form, Some("*"))
                    .await?;
                super::behind::post(self.host).await?;
                self.is_calm = true;
                for place in self.cases.all_open() {
                    if self.is_of_storm(place) {
                        let holder = self.cases.of(place).place;
                        self.put(place, Place::Done);
                        self.look_on(holder);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whoever had something that is over looks for something else.
    fn look_on(&mut self, place: Place) {
        if let Place::Hands(person) = place {
            self.agenda
                .enter(self.now + TimeDelta::minutes(1), What::Look(person));
        }
    }

    /// Somebody says that they are away. Leave that nobody could make up for is refused; for illness somebody comes in.
    pub async fn leave(&mut self, place: usize) -> Result<(), SimulateError> {
        let Some(leave) = self.load.leaves.get(place).copied() else {
            return Ok(());
        };
        let Some(person) = self.stage.people.get(leave.person) else {
            return Ok(());
        };
        let (session, id, queue) = (
            person.session.clone(),
            person.id.clone(),
            self.stage.queue(person.desk).to_owned(),
        );
        let said = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let from = leave.from.max(self.now);
        let form = json!({ "person_id": id, "from": said(from), "to": said(leave.to), "reason": "away" });
        let path = format!("/v1/queues/{queue}/absences");
        match session.post(&path, &form, None).await {
            Ok(_) => self.books.leave.granted += 1,
            Err(refused) if refused.code == "coverage-gap" && leave.is_illness() => {
                let gaps = refused
                    .body
                    .get("gaps")
                    .and_then(Value::as_array)
                    .cloned()
                    .unwrap_or_default();
                return self.stand_in(leave, &gaps, (&session, &path, &form)).await;
            }
            Err(refused) if refused.code == "coverage-gap" => self.books.leave.refused += 1,
            Err(refused) => {
                self.counted(Err(refused))?;
            }
        }
        self.left(leave).await
    }

    /// Another one of the site comes in for each gap, so that the ill one may stay at home.
    async fn stand_in(
        &mut self,
        leave: Leave,
        gaps: &[Value],
        (session, path, form): (&Session, &str, &Value),
    ) -> Result<(), SimulateError> {
        let city = self.stage.people.get(leave.person).map(|person| person.city);
        let on_duty = self.timetable.team(Desk::Front, self.now);
        let others = self.stage.people.iter().enumerate().filter(|(place, other)| {
            *place != leave.person
                && Some(other.city) == city
                && other.desk == Desk::Front
                && !on_duty.contains(place)
        });
        let other = others.map(|(_, other)| other.id.clone()).next();
        let overrides = format!("/v1/queues/{}/overrides", self.stage.front);
        for gap in gaps {
            let form = json!({ "from": gap.get("from"), "to": gap.get("to"), "add": other });
            let answer = self.stage.operator.post(&overrides, &form, None).await;
            self.counted(answer)?;
        }
        let answer = session.post(path, form, None).await;
        if self.counted(answer)?.is_some() {
            self.books.leave.granted += 1;
            self.books.leave.stood_in += 1;
        }
        self.left(leave).await
    }

    /// Illness begins at once: the teams are others now.
    async fn left(&mut self, leave: Leave) -> Result<(), SimulateError> {
        if leave.from <= self.now + TimeDelta::days(9) {
            self.read_timetable().await?;
            self.change().await?;
        }
        Ok(())
    }
}
