//! Driving: the plan's steps in their order, several in flight, each only after those it depends on.

use std::sync::Arc;

use indicatif::ProgressBar;
use serde_json::{Value, json};
use tokio::sync::{OwnedRwLockReadGuard, RwLock, Semaphore, watch};
use tokio::task::JoinSet;

use super::ReplayError;
use super::books::Books;
use super::cast::{Cast, Entry, Role};
use super::mails::Mails;
use super::plan::{Deed, Plan, Step};
use super::stage::Stage;
use super::times::Measured;
use super::{life, timeline};
use crate::cli::client::{Answer, Refused, Result, Session};
use crate::clock::Clock;

/// What every step needs.
pub struct Driver {
    /// What is to be done.
    pub plan: Arc<Plan>,
    /// By whom.
    pub stage: Stage,
    /// What was done.
    pub books: Books,
    /// What ran behind it.
    pub mails: Mails,
}

/// Ends when the step that it belongs to has ended.
type Ended = watch::Receiver<()>;

/// Held until the calls of a step are answered: so long the clock stands.
type Standing = OwnedRwLockReadGuard<()>;

/// The steps that later ones may have to wait for.
struct InFlight {
    tickets: Vec<Option<Ended>>,
    incidents: Vec<Option<Ended>>,
    /// Filings tied to an incident since its last step.
    filings: Vec<Vec<Ended>>,
}

impl InFlight {
    fn new(plan: &Plan) -> Self {
        Self {
            tickets: vec![None; plan.tickets.len()],
            incidents: vec![None; plan.incidents.len()],
            filings: vec![Vec::new(); plan.incidents.len()],
        }
    }

    /// Takes down that a step begins; what it has to wait for.
    fn begin(&mut self, deed: &Deed, ended: &Ended) -> Vec<Ended> {
        let mut before = Vec::new();
        match deed {
            Deed::Incident { incident, .. } => {
                before.extend(
                    self.incidents
                        .get_mut(*incident)
                        .and_then(|last| last.replace(ended.clone())),
                );
                before.extend(
                    self.filings
                        .get_mut(*incident)
                        .map(std::mem::take)
                        .unwrap_or_default(),
                );
            }
            Deed::Ticket { ticket, incident, .. } => {
                before.extend(
                    self.tickets
                        .get_mut(*ticket)
                        .and_then(|last| last.replace(ended.clone())),
                );
                if let Some(incident) = incident {
                    before.extend(self.incidents.get(*incident).cloned().flatten());
                    self.filings
                        .get_mut(*incident)
                        .into_iter()
                        .for_each(|filings| filings.push(ended.clone()));
                }
            }
        }
        before
    }
}

impl Driver {
    /// Takes all steps, at most `at_once` at a time; a clock of one's own goes along, and stands while anything is asked.
    pub async fn drive(
        self: &Arc<Self>,
        at_once: usize,
        clock: Option<Clock>,
        bar: &ProgressBar,
    ) -> Result<(), ReplayError> {
        let slots = Arc::new(Semaphore::new(at_once));
        let calls = Arc::new(RwLock::new(()));
        let mut in_flight = InFlight::new(&self.plan);
        let mut tasks = JoinSet::new();
        for (place, step) in self.plan.steps.iter().enumerate() {
            if matches!(&step.deed, Deed::Ticket { calls, .. } if calls.is_empty()) {
                bar.inc(1);
                continue;
            }
            let (ends, ended) = watch::channel(());
            for mut before in in_flight.begin(&step.deed, &ended) {
                // The sender says nothing; it is dropped at the end.
                let _ = before.changed().await;
            }
            let Ok(slot) = slots.clone().acquire_owned().await else {
                break;
            };
            if self.books.fatal().is_some() {
                break;
            }
            if let Some(clock) = clock.as_ref().filter(|clock| clock.now() < step.at) {
                let _no_call_is_under_way = calls.write().await;
                clock.set(step.at);
            }
            let standing = calls.clone().read_owned().await;
            let (driver, bar) = (self.clone(), bar.clone());
            tasks.spawn(async move {
                driver.take(place, standing).await;
                bar.inc(1);
                drop((ends, slot));
            });
            while let Some(joined) = tasks.try_join_next() {
                joined?;
            }
        }
        while let Some(joined) = tasks.join_next().await {
            joined?;
        }
        self.books.fatal().map_or(Ok(()), |refused| Err(refused.into()))
    }

    async fn take(&self, place: usize, standing: Standing) {
        match self.plan.steps.get(place).map(|Step { deed, .. }| deed) {
            Some(Deed::Incident { incident, call, body }) => {
                self.tell(*incident, *call, body, standing).await
            }
            Some(Deed::Ticket {
                ticket,
                agent,
                incident,
                calls,
            }) => {
                for call in calls {
                    self.call(*ticket, *agent, *incident, *call).await;
                }
            }
            None => {}
        }
    }

    /// One call about an incident; its mail is on its way to the last recipient before this ends.
    async fn tell(&self, incident: usize, call: timeline::Call, body: &str, standing: Standing) {
        let Some(planned) = self.plan.incidents.get(incident) else {
            return;
        };
        let operator = &self.stage.operator;
        let answer = match (call, self.books.incident(incident)) {
            (timeline::Call::Open(status), _) => {
                let form = json!({
                    "title": planned.title, "impact": planned.impact, "status": status.as_str(), "body": body,
                    "services": self.slugs(&planned.services), "regions": [self.plan.cast.region.slug],
                });
                operator.post("/v1/incidents", &form, None).await
            }
            // Its opening was refused, and counted.
            (_, None) => return,
            (call, Some(id)) => {
                let (verb, form) = match call {
                    timeline::Call::Resolve => ("resolve", json!({ "body": body, "requests": "keep" })),
                    timeline::Call::Reopen => ("reopen", json!({ "body": body })),
                    timeline::Call::Update(Some(to)) => {
                        ("updates", json!({ "body": body, "status": to.as_str() }))
                    }
                    timeline::Call::Update(None) | timeline::Call::Open(_) => {
                        ("updates", json!({ "body": body }))
                    }
                };
                operator
                    .post(&format!("/v1/incidents/{id}/{verb}"), &form, Some("*"))
                    .await
            }
        };
        drop(standing);
        let Some(answer) = self.counted(answer) else {
            return;
        };
        if matches!(call, timeline::Call::Open(_)) {
            self.books.opened(incident, answer.id());
        }
        self.books.broadcast_due(planned.audience);
        let heard = self.hear_out(&answer).await;
        self.counted(heard);
    }

    /// Waits for the broadcast that a call has made.
    async fn hear_out(&self, answer: &Answer) -> Result<()> {
        let broadcasts = match answer.text("/broadcast_id") {
            "" => self.mails.broadcasts_of(answer.id()).await?,
            id => vec![id.to_owned()],
        };
        for id in broadcasts.iter().filter(|id| !self.books.knows_broadcast(id)) {
            let sent = self.mails.finish(id).await?;
            self.books.broadcast_sent(id, sent);
        }
        Ok(())
    }

    fn slugs(&self, services: &[usize]) -> Vec<&str> {
        services
            .iter()
            .filter_map(|place| Some(self.plan.cast.services.get(*place)?.slug.as_str()))
            .collect()
    }

    /// One call about a ticket.
    async fn call(&self, ticket: usize, agent: usize, incident: Option<usize>, call: life::Call) {
        let assignee = |agent: usize| self.stage.agents.get(agent).map(|agent| agent.id.as_str());
        let (verb, form) = match call {
            life::Call::File => return self.file(ticket, incident, None).await,
            life::Call::FollowUp => return self.file(ticket, None, self.books.last_request(ticket)).await,
            life::Call::Assign(agent) => ("assign", json!({ "assignee_id": assignee(agent) })),
            life::Call::Resume => ("resume", json!({})),
            life::Call::Reopen => ("reopen", json!({})),
            life::Call::Answer => ("comments", json!({ "body": "This is taken in charge." })),
            life::Call::AwaitCustomer => ("await-customer", json!({ "body": "We need to hear from you." })),
            life::Call::Resolve => ("resolve", json!({ "body": "This is solved." })),
            life::Call::Close => ("close", json!({})),
        };
        // Without a request its filing was refused, and counted.
        let (Some(seat), Some(id)) = (self.stage.agents.get(agent), self.books.last_request(ticket)) else {
            return;
        };
        let answer = seat
            .session
            .post(&format!("/v1/service-requests/{id}/{verb}"), &form, Some("*"))
            .await;
        if self.counted(answer).is_some() && call.is_heard() {
            self.books.heard(ticket);
        }
    }

    /// Files a request for a ticket, tied to an incident if it may be, and moves it to its workgroup's queue.
    async fn file(&self, ticket: usize, incident: Option<usize>, follow_up_of: Option<String>) {
        let Some((admin, role, mut form)) = self.form(ticket) else {
            return;
        };
        if let Some(closed) = follow_up_of {
            form.insert("follow_up_of".to_owned(), closed.into());
        }
        let tied = incident.and_then(|incident| self.books.incident(incident));
        let is_tied = tied.is_some();
        form.insert("incident_id".to_owned(), tied.into());
        let mut answer = self.post_form(admin, &form).await;
        if let Err(refused) = &answer
            && refused.status == 409
            && is_tied
        {
            self.books.refused(refused.clone());
            form.insert("incident_id".to_owned(), Value::Null);
            answer = self.post_form(admin, &form).await;
        }
        let Some(answer) = self.counted(answer) else {
            return;
        };
        self.books.filed(ticket, answer.id());
        if role.queue != self.plan.cast.main_queue {
            let form =
                json!({ "queue_id": self.stage.queues.get(role.queue), "reason": "the log's workgroup" });
            let path = format!("/v1/service-requests/{}/transfer", answer.id());
            self.counted(self.stage.operator.post(&path, &form, Some("*")).await);
        }
    }

    async fn post_form(&self, admin: &Session, form: &serde_json::Map<String, Value>) -> Result<Answer> {
        admin
            .post("/v1/service-requests", &Value::Object(form.clone()), None)
            .await
    }

    /// Who files a ticket's requests, and with what.
    fn form(&self, ticket: usize) -> Option<(&Session, Role, serde_json::Map<String, Value>)> {
        let Cast {
            services,
            region: Entry { slug: region, .. },
            roles,
            ..
        } = &self.plan.cast;
        let planned = self.plan.tickets.get(ticket)?;
        let role = *roles.get(ticket)?;
        let form = json!({
            "severity": planned.severity, "subject": planned.subject, "description": planned.description,
            "service": services.get(role.service)?.slug, "region": region,
        });
        let Value::Object(form) = form else { return None };
        Some((self.stage.admins.get(role.tenant)?, role, form))
    }

    /// The state of a ticket's last request, read back; `unfiled` when it could not be filed.
    pub async fn state_of(&self, ticket: usize) -> Result<String> {
        let Some(id) = self.books.last_request(ticket) else {
            return Ok("unfiled".to_owned());
        };
        let found = self
            .stage
            .operator
            .get(&format!("/v1/service-requests/{id}"))
            .await?;
        Ok(found.text("/status").to_owned())
    }

    /// How long the requests of a ticket took, read back.
    pub async fn times_of(&self, ticket: usize) -> Result<Vec<Measured>> {
        let mut times = Vec::new();
        for id in self.books.requests_of(ticket) {
            let path = format!("/v1/service-requests/{id}/sla");
            let explained = self.stage.operator.get(&path).await?;
            times.push(Measured::by_clocks(&explained.body));
        }
        Ok(times)
    }

    /// What a call came to; a refusal is counted.
    fn counted<T>(&self, answer: Result<T, Refused>) -> Option<T> {
        answer.map_err(|refused| self.books.refused(refused)).ok()
    }
}
