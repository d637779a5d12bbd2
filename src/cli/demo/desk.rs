//! What people do at the desk, each a call over HTTP, and what the demo remembers of it.
//!
//! An answer that the story does not expect ends the demo with the answer in its error.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::DemoError;
use super::cast::{self, Customer, Person, SITES};
use super::forms::{Filing, Opening, Taken, with};
use super::voice::Voice;
use crate::cli::client::{Answer, Client, Session};

/// How long the demo waits for what happens behind a call.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// The desk as the story sees it.
pub struct Desk {
    /// The narrator.
    pub voice: Voice,
    /// Ids of tenants and queues by name, of users by e-mail.
    pub ids: HashMap<&'static str, String>,
    /// The event that ended each incident, in the order of the story.
    pub ends: Vec<(String, String)>,
    /// Requests filed.
    pub requests: usize,
    /// Calls refused as they should be.
    pub refused: usize,
    client: Client,
    sessions: HashMap<&'static str, Session>,
    turns: usize,
}

impl Desk {
    /// A desk behind `client` where nothing has happened yet.
    pub fn new(client: Client, voice: Voice) -> Self {
        Self {
            voice,
            ids: HashMap::new(),
            ends: vec![],
            requests: 0,
            refused: 0,
            client,
            sessions: HashMap::new(),
            turns: 0,
        }
    }

    /// The id of the tenant or queue `name`, or of the user with this e-mail.
    pub fn id(&self, name: &str) -> String {
        self.ids.get(name).cloned().unwrap_or_default()
    }

    /// `who` reads `path`.
    pub async fn reads(&mut self, who: &'static Person, path: &str) -> Result<Answer, DemoError> {
        Ok(self.session(who).await?.get(path).await?)
    }

    /// `who` reads the whole list at `path`.
    pub async fn lists(&mut self, who: &'static Person, path: &str) -> Result<Vec<Value>, DemoError> {
        Ok(self.session(who).await?.list(path).await?)
    }

    /// `who` posts `body` to `path`: creates, comments, claims.
    pub async fn posts(
        &mut self,
        who: &'static Person,
        path: &str,
        body: Value,
    ) -> Result<Answer, DemoError> {
        Ok(self.session(who).await?.post(path, &body, None).await?)
    }

    /// `who` changes the state of an incident or a request, whatever its version.
    pub async fn changes(
        &mut self,
        who: &'static Person,
        path: &str,
        body: Value,
    ) -> Result<Answer, DemoError> {
        Ok(self.session(who).await?.post(path, &body, Some("*")).await?)
    }

    /// `who` puts `body` in the place of what is at `path`.
    pub async fn puts(&mut self, who: &'static Person, path: &str, body: Value) -> Result<Answer, DemoError> {
        Ok(self.session(who).await?.put(path, &body, Some("*")).await?)
    }

    /// Marta opens an incident, and all whom it affects are told; its id.
    pub async fn opens(&mut self, opening: &Opening<'_>) -> Result<String, DemoError> {
        let incident = self
            .posts(&cast::INCIDENT_MANAGER, "/v1/incidents", opening.body())
            .await?;
        self.is_told(&incident).await?;
        Ok(incident.id().to_owned())
    }

    /// Marta tells everybody what is known, and where the incident stands.
    pub async fn announces(&mut self, incident: &str, status: &str, body: &str) -> Result<(), DemoError> {
        let path = format!("/v1/incidents/{incident}/updates");
        let update = json!({ "status": status, "body": body });
        let answer = self.changes(&cast::INCIDENT_MANAGER, &path, update).await?;
        self.is_told(&answer).await.map(drop)
    }

    /// Marta gives the all-clear.
    pub async fn gives_the_all_clear(&mut self, incident: &str, body: &str) -> Result<(), DemoError> {
        let path = format!("/v1/incidents/{incident}/resolve");
        let answer = self
            .changes(&cast::INCIDENT_MANAGER, &path, json!({ "body": body }))
            .await?;
        let broadcast = self.is_told(&answer).await?;
        self.ends.push((incident.to_owned(), broadcast));
        self.requests_follow(incident).await
    }

    /// Waits until the broadcast that `answer` names is finished, as it would be long before the next thing happens,
    /// and says how many it reached; its id.
    async fn is_told(&mut self, answer: &Answer) -> Result<String, DemoError> {
        let id = answer.text("/broadcast_id").to_owned();
        let path = format!("/v1/broadcasts/{id}");
        let mut waited = Duration::ZERO;
        let broadcast = loop {
            let broadcast = self.reads(&cast::INCIDENT_MANAGER, &path).await?;
            if broadcast.text("/state") == "finished" {
                break broadcast;
            }
            pause(&mut waited, &path).await?;
        };
        let count = |member: &str| {
            broadcast
                .body
                .get(member)
                .and_then(Value::as_u64)
                .unwrap_or_default()
        };
        let (audience, sent) = (count("audience"), count("sent"));
        self.voice.then(&format!(
            "{sent} of {audience} people concerned are told by mail."
        ))?;
        Ok(id)
    }

    /// Waits until no request of the ended incident is open, and says what became of them.
    async fn requests_follow(&mut self, incident: &str) -> Result<(), DemoError> {
        let path = format!("/v1/incidents/{incident}/service-requests");
        let mut waited = Duration::ZERO;
        let requests = loop {
            let requests = self.lists(&cast::OPERATOR, &path).await?;
            if !requests.iter().any(is_open) {
                break requests;
            }
            pause(&mut waited, &path).await?;
        };
        let followed = requests
            .iter()
            .filter(|request| cause(request) == Some("incident"))
            .count();
        let before = match requests.len() - followed {
            0 => String::new(),
            before => format!(" Before that, agents had resolved {before}."),
        };
        self.voice.then(&format!(
            "{followed} open requests follow: they are resolved with it.{before}"
        ))?;
        Ok(())
    }

    /// The customer's administrator files a request; `extra` adds members to it.
    pub async fn files(
        &mut self,
        customer: &'static Customer,
        incident: &str,
        filing: Filing<'_>,
        extra: Value,
    ) -> Result<Answer, DemoError> {
        let request = with(filing.against(incident), extra);
        self.file(&customer.admin, request).await
    }

    /// Whoever of the agents is on duty files what `caller` says on the telephone.
    pub async fn files_for(
        &mut self,
        customer: &Customer,
        caller: &Person,
        incident: &str,
        filing: Filing<'_>,
    ) -> Result<&'static Person, DemoError> {
        let agent = self.next_on_duty(cast::MESSAGING).await?;
        let request = with(
            filing.against(incident),
            json!({
                "tenant_id": self.id(customer.name), "channel": "telephone",
                "requester": { "email": caller.email, "name": caller.name },
            }),
        );
        self.file(agent, request).await?;
        Ok(agent)
    }

    async fn file(&mut self, who: &'static Person, request: Value) -> Result<Answer, DemoError> {
        let answer = self.posts(who, "/v1/service-requests", request).await?;
        self.requests += 1;
        let (reference, queue) = (answer.text("/reference"), answer.text("/queue/name"));
        self.voice
            .then(&format!("{reference} waits in the queue “{queue}”."))?;
        Ok(answer)
    }

    /// The customer's administrator files and is refused with `code`; the problem.
    pub async fn is_refused(
        &mut self,
        customer: &'static Customer,
        incident: &str,
        filing: Filing<'_>,
        code: &str,
    ) -> Result<Value, DemoError> {
        let path = "/v1/service-requests";
        let session = self.session(&customer.admin).await?;
        let problem = match session.post(path, &filing.against(incident), None).await {
            Err(refused) if refused.status == 409 && refused.code == code => refused.body,
            Err(refused) => return Err(refused.into()),
            Ok(answer) => return Err(unexpected(&format!("POST {path}"), &answer)),
        };
        self.refused += 1;
        let detail = problem.get("detail").and_then(Value::as_str).unwrap_or_default();
        self.voice.refusal(&format!("409 {code}: {detail}"))?;
        Ok(problem)
    }

    /// Agents on duty take turns and each claims the most urgent request of the queue.
    pub async fn claims(&mut self, queue: &str) -> Result<Taken, DemoError> {
        let agent = self.next_on_duty(queue).await?;
        let path = format!("/v1/queues/{}/claim", self.id(queue));
        let answer = self.posts(agent, &path, json!({})).await?;
        if answer.status != 200 {
            return Err(unexpected(&format!("POST {path}"), &answer));
        }
        Ok(Taken::by(agent, &answer))
    }

    /// The agent does `verb` to the request that it has taken, with the public comment `body`.
    pub async fn answers(&mut self, taken: &Taken, verb: &str, body: &str) -> Result<(), DemoError> {
        let path = format!("/v1/service-requests/{}/{verb}", taken.id);
        self.changes(taken.agent, &path, json!({ "body": body }))
            .await
            .map(drop)
    }

    /// Who of the agents works the queue at this moment.
    pub async fn on_duty(&mut self, queue: &str) -> Result<Vec<&'static Person>, DemoError> {
        let path = format!("/v1/queues/{}/on-duty", self.id(queue));
        let answer = self.reads(&cast::OPERATOR, &path).await?;
        let members = answer
            .body
            .get("members")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let ids: Vec<&str> = members.filter_map(|member| member.get("id")?.as_str()).collect();
        let agents = SITES.iter().flat_map(|site| site.agents);
        Ok(agents
            .filter(|agent| ids.contains(&self.id(agent.email).as_str()))
            .collect())
    }

    async fn next_on_duty(&mut self, queue: &str) -> Result<&'static Person, DemoError> {
        let agents = self.on_duty(queue).await?;
        let agent = agents.iter().cycle().nth(self.turns);
        self.turns += 1;
        agent
            .copied()
            .ok_or_else(|| DemoError::Unexpected(format!("nobody is on duty in “{queue}”")))
    }

    async fn session(&mut self, who: &'static Person) -> Result<Session, DemoError> {
        if let Some(session) = self.sessions.get(who.email) {
            return Ok(session.clone());
        }
        let session = self.client.sign_in(who.email, cast::PASSWORD).await?;
        self.sessions.insert(who.email, session.clone());
        Ok(session)
    }
}

/// Between two looks at something that is not as it will be yet.
pub async fn pause(waited: &mut Duration, what: &str) -> Result<(), DemoError> {
    if *waited > PATIENCE {
        return Err(DemoError::TooSlow(what.to_owned()));
    }
    tokio::time::sleep(PAUSE).await;
    *waited += PAUSE;
    Ok(())
}

fn is_open(request: &Value) -> bool {
    let status = request.get("status").and_then(Value::as_str);
    matches!(
        status,
        Some("queued" | "in_progress" | "pending_customer" | "on_hold")
    )
}

fn cause(request: &Value) -> Option<&str> {
    let resolution = request.get("resolution")?;
    resolution.get("cause").unwrap_or(resolution).as_str()
}

fn unexpected(call: &str, answer: &Answer) -> DemoError {
    DemoError::Unexpected(format!("{call} answered {} {}", answer.status, answer.body))
}
