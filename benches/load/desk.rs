//! The desk that is measured: a real server on a database of its own, with a customer, agents on duty and a queue.

use std::num::NonZeroU32;

use allclear::app::{self, Running};
use allclear::clock::Clock;
use allclear::db::{Connection, Location, PROVIDER, PersonId, QueueId, RequestId, TenantId};
use allclear::identity::Role;
use allclear::settings::Settings;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// Agents on duty in the queue.
pub const AGENTS: usize = 32;
const PASSWORD: &str = "correct horse battery";

pub struct Desk {
    running: Option<Running>,
    pub settings: Settings,
    pub engine: String,
    pub location: Location,
    pub operator: User,
    pub agents: Vec<User>,
    pub queue: QueueId,
    pub tenant: TenantId,
    /// What all others are made of.
    pub template: RequestId,
    _dir: tempfile::TempDir,
}

/// Somebody who calls, over a connection of their own.
#[derive(Clone)]
pub struct User {
    http: Client,
    url: String,
    token: String,
    pub id: String,
}

impl User {
    fn new(url: &str, token: String, id: String) -> Self {
        let http = Client::new();
        let url = url.to_owned();
        Self { http, url, token, id }
    }

    /// What is answered; none to 204.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Option<Value> {
        let mut call = self.http.request(method, format!("{}{path}", self.url));
        call = call.bearer_auth(&self.token).header("if-match", "*");
        if let Some(body) = body {
            call = call.json(body);
        }
        let answer = call.send().await.unwrap();
        let status = answer.status();
        if status == StatusCode::NO_CONTENT {
            return None;
        }
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        Some(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// The status of the answer.
    pub async fn status(&self, method: Method, path: &str, body: &Value) -> u16 {
        let call = self.http.request(method, format!("{}{path}", self.url));
        let answer = call.bearer_auth(&self.token).json(body).send().await.unwrap();
        let status = answer.status().as_u16();
        answer.bytes().await.unwrap();
        status
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.call(Method::POST, path, Some(&body))
            .await
            .unwrap_or_default()
    }

    pub async fn put(&self, path: &str, body: Value) {
        self.call(Method::PUT, path, Some(&body)).await;
    }

    pub async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await.unwrap()
    }
}

pub fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

/// A policy of the plan that the customer has.
pub fn policy(severity: &str, clock: &str, minutes: i32) -> Value {
    json!({"plan": "standard", "severity": severity, "clock": clock, "target_minutes": minutes, "calendar": "always"})
}

fn settings(engine: &str, dir: &tempfile::TempDir) -> Settings {
    let mut settings = Settings::private(dir.path().to_owned());
    settings.database = match engine {
        "sqlite" => Location::Sqlite(dir.path().join("allclear.sqlite")),
        "postgres" => {
            let server =
                std::env::var("ALLCLEAR_TEST_POSTGRES").expect("ALLCLEAR_TEST_POSTGRES names a server");
            let mut admin = PgConnection::establish(&server).unwrap();
            let made = "DROP DATABASE IF EXISTS load WITH (FORCE); CREATE DATABASE load TEMPLATE template0";
            for statement in made.split("; ") {
                admin.batch_execute(statement).unwrap();
            }
            Location::Postgres(format!("{}/load", server.rsplit_once('/').unwrap().0))
        }
        _ => panic!("{engine} is neither sqlite nor postgres"),
    };
    settings.secret = Some("a secret of this measurement alone".to_owned());
    settings.operator_email = Some("operator@bench.example".to_owned());
    settings.operator_password = Some(PASSWORD.to_owned());
    settings.access_token_lifetime = chrono::TimeDelta::days(1);
    settings.rate_limit = NonZeroU32::MAX;
    settings.refusal_limit = NonZeroU32::MAX;
    settings
}

impl Desk {
    pub async fn open(engine: &str) -> Self {
        let mut desk = Self::open_still(engine).await;
        desk.running.as_mut().unwrap().begin();
        desk
    }

    /// Without the background: the measure steps it.
    pub async fn open_still(engine: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(engine, &dir);
        let location = settings.database.clone();
        let running = app::open(settings.clone(), Clock::system()).await.unwrap();
        let stranger = User::new(&running.url, String::new(), String::new());
        let form = json!({"email": "operator@bench.example", "password": PASSWORD});
        let session = stranger.post("/v1/auth/login", form).await;
        let token = session["access_token"].as_str().unwrap().to_owned();
        let operator = User::new(&running.url, token, String::new());
        for (path, slug) in [
            ("/v1/regions", "north-america"),
            ("/v1/services", "exchange-online"),
        ] {
            operator.post(path, json!({"slug": slug, "name": slug})).await;
        }
        let mut agents = Vec::new();
        for number in 0..AGENTS {
            agents.push(agent(&operator, &running, number).await);
        }
        let members: Vec<&str> = agents.iter().map(|agent: &User| agent.id.as_str()).collect();
        let queue = operator
            .post("/v1/queues", always_on("Messaging", &members))
            .await;
        let rules = json!({"rules": [{"name": "all", "when": {}, "queue_id": queue["id"]}]});
        operator.put("/v1/routing-rules", rules).await;
        let tenant = customer(&operator, "Contoso").await;
        let form = json!({
            "tenant_id": tenant, "requester": {"email": "bob@contoso.example", "name": "Bob"}, "channel": "telephone",
            "incident_id": null, "service": "exchange-online", "region": "north-america", "severity": "c",
            "subject": "Mail is down", "description": "Nobody in the office can open a mailbox since nine.",
        });
        let template = agents[0].post("/v1/service-requests", form).await;
        Self {
            queue: id(&queue).parse().unwrap(),
            template: id(&template).parse().unwrap(),
            tenant,
            engine: engine.to_owned(),
            location,
            operator,
            agents,
            running: Some(running),
            settings,
            _dir: dir,
        }
    }

    /// The server.
    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// Stops the server; its data stay.
    pub async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    /// A connection past the server.
    pub fn durable(&self) -> Connection {
        self.location.target().connect().unwrap()
    }

    /// A connection past the server that waits for no disk, and for all the rest as long as it takes.
    pub fn connect(&self) -> Connection {
        let mut conn = self.durable();
        let unhurried = match self.location {
            Location::Sqlite(_) => "PRAGMA synchronous = OFF; PRAGMA busy_timeout = 60000",
            Location::Postgres(_) => {
                "SET synchronous_commit = off; SET statement_timeout = 0; SET lock_timeout = 0"
            }
        };
        conn.batch_execute(unhurried).unwrap();
        conn
    }

    /// After so many rows the engine knows them: what autovacuum does on PostgreSQL.
    pub fn settle(&self) {
        if let Location::Postgres(_) = self.location {
            self.connect().batch_execute("VACUUM ANALYZE").unwrap();
            self.connect().batch_execute("CHECKPOINT").unwrap();
        }
    }
}

async fn agent(operator: &User, running: &Running, number: usize) -> User {
    let email = format!("agent{number}@bench.example");
    let form =
        json!({"email": email, "name": format!("Agent {number}"), "role": "agent", "password": PASSWORD});
    let made = operator.post("/v1/users", form).await;
    let person: PersonId = id(&made).parse().unwrap();
    let now = Clock::system().now().into();
    let token = running.tokens.mint(person, PROVIDER, Role::Agent, now).unwrap();
    User::new(&running.url, token, id(&made).to_owned())
}

/// A queue in which all of these are always on duty.
pub fn always_on(name: &str, members: &[&str]) -> Value {
    json!({"name": name, "always_on": true, "shifts": [{
        "name": "always", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "start": "00:00", "end": "00:00", "time_zone": "UTC", "members": members,
    }]})
}

pub async fn customer(operator: &User, name: &str) -> TenantId {
    let form = json!({"name": name, "regions": ["north-america"], "services": ["exchange-online"]});
    id(&operator.post("/v1/tenants", form).await).parse().unwrap()
}
