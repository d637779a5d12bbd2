//! `TestDesk`: the real server on a free port, its own database on the engine under test, a real mailbox, a clock
//! that is set. Users are values that do things.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroU32;
use std::process::{Command, Stdio};

use allclear::app::{self, Running};
use allclear::clock::Clock;
use allclear::db::{Connection, Location, PROVIDER, PersonId, TenantId};
use allclear::identity::Role;
use allclear::mail::Step;
use allclear::settings::Settings;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, RunQueryDsl as _};
use reqwest::Method;
use serde_json::{Value, json};

use crate::mailbox::Mailbox;
use crate::stage::Set;
pub use crate::stage::{Stage, always_on, incident_form};

pub const PASSWORD: &str = "correct horse battery";

/// A running desk.
pub struct TestDesk {
    running: Option<Running>,
    settings: Settings,
    pub clock: Clock,
    pub mailbox: Mailbox,
    http: reqwest::Client,
    database: Database,
    pub operator: User,
    undrained_is_fine: bool,
    _dir: tempfile::TempDir,
}

/// A database of its own, gone when dropped.
pub struct Database {
    pub location: Location,
    admin: Option<String>,
}

impl Database {
    /// An empty one.
    pub fn new(dir: &tempfile::TempDir) -> Self {
        Self::made(dir, |_| "template0".to_owned())
    }

    /// One that is up to date already.
    fn migrated(dir: &tempfile::TempDir) -> Self {
        Self::made(dir, template)
    }

    /// One on which a stage is set already.
    fn staged(dir: &tempfile::TempDir, set: &Set) -> Self {
        let made = Self::made(dir, |_| set.database.clone());
        if let Location::Sqlite(path) = &made.location {
            std::fs::copy(&set.database, path).unwrap();
        }
        made
    }

    fn made(dir: &tempfile::TempDir, template: impl FnOnce(&str) -> String) -> Self {
        match std::env::var("ALLCLEAR_TEST_ENGINE").as_deref() {
            Ok("postgres") => {
                let admin =
                    std::env::var("ALLCLEAR_TEST_POSTGRES").expect("ALLCLEAR_TEST_POSTGRES names a cluster");
                let (name, template) = (format!("t{}", uuid::Uuid::new_v4().simple()), template(&admin));
                let mut conn = PgConnection::establish(&admin).unwrap();
                conn.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}"))
                    .unwrap();
                Self {
                    location: Location::Postgres(beside(&admin, &name)),
                    admin: Some(admin),
                }
            }
            Ok("sqlite") | Err(_) => Self {
                location: Location::Sqlite(dir.path().join("allclear.sqlite")),
                admin: None,
            },
            Ok(other) => panic!("ALLCLEAR_TEST_ENGINE={other} is neither sqlite nor postgres"),
        }
    }

    /// A connection past the server, for what only a database can show or break.
    pub fn connect(&self) -> Connection {
        self.location.target().connect().unwrap()
    }

    /// Does something while nothing can be written to the database: PostgreSQL is away, the file of SQLite is another's.
    pub fn while_away<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(admin) = &self.admin else {
            let mut other = self.connect();
            other.batch_execute("BEGIN EXCLUSIVE").unwrap();
            let done = work();
            other.batch_execute("ROLLBACK").unwrap();
            return done;
        };
        let Location::Postgres(url) = &self.location else {
            unreachable!("only PostgreSQL has an administrator")
        };
        let name = url.rsplit_once('/').unwrap().1;
        let mut admin = PgConnection::establish(admin).unwrap();
        let alone = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false");
        admin.batch_execute(&alone).unwrap();
        let away = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        admin.batch_execute(&away).unwrap();
        let done = work();
        let back = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true");
        admin.batch_execute(&back).unwrap();
        done
    }
}

/// The URL of another database of the same server.
fn beside(admin: &str, name: &str) -> String {
    let (server, _) = admin.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

/// A number for each build, so that what was made by another one is not used.
pub fn build() -> u64 {
    let mut build = DefaultHasher::new();
    let program = std::env::current_exe().unwrap();
    (program.metadata().unwrap().modified().unwrap(), program).hash(&mut build);
    build.finish()
}

/// The database that the others are copied from, for each build one; whoever comes first makes it.
fn template(admin: &str) -> String {
    let name = format!("allclear_{:x}", build());
    let mut conn = PgConnection::establish(admin).unwrap();
    diesel::sql_query("SELECT pg_advisory_lock(2010)")
        .execute(&mut conn)
        .unwrap();
    let known = diesel::sql_query(format!("SELECT 1 FROM pg_database WHERE datname = '{name}'"));
    if known.execute(&mut conn).unwrap() == 0 {
        // It gets its name when it is ready.
        conn.batch_execute("DROP DATABASE IF EXISTS allclear_new WITH (FORCE)")
            .unwrap();
        conn.batch_execute("CREATE DATABASE allclear_new TEMPLATE template0")
            .unwrap();
        allclear::db::migrate(&Location::Postgres(beside(admin, "allclear_new"))).unwrap();
        conn.batch_execute(&format!("ALTER DATABASE allclear_new RENAME TO {name}"))
            .unwrap();
    }
    name
}

impl Drop for Database {
    fn drop(&mut self) {
        if let (Location::Postgres(url), Some(admin)) = (&self.location, &self.admin) {
            let name = url.rsplit_once('/').unwrap().1;
            if let Ok(mut conn) = PgConnection::establish(admin) {
                let _ = conn.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
            }
        }
    }
}

/// When every story begins.
pub fn beginning() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2010-09-07T18:00:00Z")
        .unwrap()
        .with_timezone(&Utc)
}

impl TestDesk {
    /// A desk with nobody but its operator.
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// The same with other settings.
    pub async fn open_with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::open_on(None, beginning(), change).await
    }

    /// The same at an instant, on a stage that is set already where there is one.
    pub async fn open_on(set: Option<&Set>, at: DateTime<Utc>, change: impl FnOnce(&mut Settings)) -> Self {
        // One provider of TLS for the process; an error only says that there is one already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::start();
        let database = match set {
            Some(set) => Database::staged(&dir, set),
            None => Database::migrated(&dir),
        };
        let mut settings = Settings::private(dir.path().to_owned());
        settings.database = database.location.clone();
        settings.secret = Some("a secret of the tests, long enough to be one".to_owned());
        settings.smtp_url = Some(mailbox.url());
        settings.operator_email = Some("olive@provider.example".to_owned());
        settings.operator_password = Some(PASSWORD.to_owned());
        settings.http_workers = Some(2);
        // The clock stands: what is used up does not come back.
        settings.rate_limit = NonZeroU32::new(1_000_000).unwrap();
        settings.refusal_limit = settings.rate_limit;
        change(&mut settings);
        let clock = Clock::standing_at(at);
        let running = app::open(settings.clone(), clock.clone()).await.unwrap();
        let http = reqwest::Client::new();
        let operator = match set {
            Some(set) => User::minted(&http, &running, &clock, &set.cast["operator"]),
            None => User::sign_in(&http, &running.url, "olive@provider.example").await,
        };
        Self {
            running: Some(running),
            settings,
            clock,
            mailbox,
            http,
            database,
            operator,
            undrained_is_fine: false,
            _dir: dir,
        }
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub fn url(&self) -> &str {
        &self.running().url
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A connection past the server.
    pub fn connect(&self) -> Connection {
        self.database.connect()
    }

    /// Does something while nothing can be written to the database.
    pub fn while_away<T>(&self, work: impl FnOnce() -> T) -> T {
        self.database.while_away(work)
    }

    /// Runs statements past the server.
    pub fn sql(&self, statement: &str) -> usize {
        let mut conn = self.connect();
        match &mut conn {
            Connection::Postgres(conn) => diesel::sql_query(statement).execute(conn).unwrap(),
            Connection::Sqlite(conn) => diesel::sql_query(statement).execute(conn).unwrap(),
        }
    }

    /// Counts past the server: `SELECT COUNT(*) AS n FROM …`.
    pub fn count(&self, from: &str) -> i64 {
        #[derive(diesel::QueryableByName)]
        struct Count {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            n: i64,
        }
        let query = format!("SELECT COUNT(*) AS n FROM {from}");
        let mut conn = self.connect();
        let row: Count = match &mut conn {
            Connection::Postgres(conn) => diesel::sql_query(query).get_result(conn).unwrap(),
            Connection::Sqlite(conn) => diesel::sql_query(query).get_result(conn).unwrap(),
        };
        row.n
    }

    /// A command of the program, for the same data: as its operator gives it, beside the running server.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_allclear"));
        command
            .args(words)
            .arg("--data-dir")
            .arg(&self.settings.data_dir)
            .args(["--secret", self.settings.secret.as_deref().unwrap()])
            .stdin(Stdio::null());
        if let Location::Postgres(url) = &self.settings.database {
            command.args(["--database-url", url]);
        }
        command
    }

    /// Moves the clock.
    pub fn pass(&self, time: TimeDelta) {
        self.clock.set(self.clock.now() + time);
    }

    /// Does all the work behind the calls, until there is none.
    pub async fn drain(&self) {
        let worker = &self.running().worker;
        for _ in 0..100_000 {
            let steps = [
                worker.watch().await.unwrap(),
                worker.react().await.unwrap(),
                worker.dispatch().await.unwrap(),
            ];
            if steps == [Step::Idle; 3] {
                return;
            }
        }
        panic!("the background never comes to an end");
    }

    /// Seals all events.
    pub async fn seal(&self) {
        while self.running().worker.seal().await.unwrap() == Step::Worked {}
        assert_eq!(self.count("events WHERE chain_seq IS NULL"), 0);
    }

    /// What is left in the ledger is what the test is about.
    pub fn leave_undrained(&mut self) {
        self.undrained_is_fine = true;
    }

    /// Stops the server as its operator would, and starts it again on the same data.
    pub async fn restart(&mut self) {
        self.running.take().unwrap().stop().await;
        self.running = Some(
            app::open(self.settings.clone(), self.clock.clone())
                .await
                .unwrap(),
        );
        let url = self.url().to_owned();
        self.operator.url = url;
    }

    /// The same with other settings.
    pub async fn restart_with(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.restart().await;
    }

    /// Somebody of the provider's.
    pub async fn staff(&self, name: &str, role: &str) -> User {
        let email = format!("{name}@provider.example");
        let form = json!({"email": email, "name": name, "role": role, "password": PASSWORD});
        self.user_of(form, PROVIDER, role).await
    }

    /// Somebody of a tenant.
    pub async fn member(&self, name: &str, role: &str, tenant: &Value) -> User {
        let tenant_id: TenantId = tenant["id"].as_str().unwrap().parse().unwrap();
        let domain = tenant["name"].as_str().unwrap().to_lowercase();
        let email = format!("{name}@{domain}.example");
        let form =
            json!({"email": email, "name": name, "role": role, "password": PASSWORD, "tenant_id": tenant_id});
        self.user_of(form, tenant_id, role).await
    }

    async fn user_of(&self, form: Value, tenant: TenantId, role: &str) -> User {
        let made = self.operator.post("/v1/users", form.clone()).await.created();
        let person = json!({"id": made["id"], "email": form["email"], "name": form["name"], "tenant": tenant, "role": role});
        self.known(&person)
    }

    /// Somebody who is there already.
    pub fn known(&self, person: &Value) -> User {
        User::minted(&self.http, self.running(), &self.clock, person)
    }

    /// The server stops, and the database stays, if it is on a server, when the desk is gone.
    pub async fn leave(&mut self) -> Location {
        self.undrained_is_fine = true;
        self.running.take().unwrap().stop().await;
        self.database.admin = None;
        self.database.location.clone()
    }

    /// The same person, signed in again: the token has expired.
    pub async fn again(&self, user: &User) -> User {
        User::sign_in(&self.http, self.url(), &user.email).await
    }

    /// A caller without a token.
    pub fn stranger(&self) -> User {
        User {
            token: String::new(),
            ..self.operator.clone()
        }
    }

    /// The same caller with another token.
    pub fn with_token(&self, token: &str) -> User {
        User {
            token: token.to_owned(),
            ..self.operator.clone()
        }
    }

    /// A customer with regions and services, whose one contact is `it@<name>.example`.
    pub async fn tenant(&self, name: &str, regions: &[&str], services: &[&str]) -> Value {
        let contact = format!("it@{}.example", name.to_lowercase());
        let form = json!({
            "name": name, "regions": regions, "services": services,
            "contacts": [{"email": contact, "name": format!("IT of {name}")}],
        });
        self.operator.post("/v1/tenants", form).await.created()
    }
}

impl Drop for TestDesk {
    fn drop(&mut self) {
        if std::thread::panicking() || self.undrained_is_fine {
            return;
        }
        let left = self.count("deliveries WHERE state IN ('pending', 'leased')");
        let unread = self.count("unread_events");
        assert_eq!(
            (left, unread),
            (0, 0),
            "mail or events are left: drain the desk, or say that it is fine"
        );
    }
}

/// Somebody who calls.
#[derive(Clone)]
pub struct User {
    pub http: reqwest::Client,
    pub url: String,
    pub token: String,
    pub id: String,
    pub email: String,
    pub name: String,
}

impl User {
    pub async fn sign_in(http: &reqwest::Client, url: &str, email: &str) -> Self {
        let form = json!({"email": email, "password": PASSWORD});
        let answer = http
            .post(format!("{url}/v1/auth/login"))
            .json(&form)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let session: Value = answer.json().await.unwrap();
        let token = session["access_token"].as_str().unwrap().to_owned();
        let mut user = Self {
            http: http.clone(),
            url: url.to_owned(),
            token,
            id: String::new(),
            email: email.to_owned(),
            name: String::new(),
        };
        let me = user.get("/v1/me").await.ok();
        user.id = me["id"].as_str().unwrap().to_owned();
        user.name = me["name"].as_str().unwrap().to_owned();
        user
    }

    /// Somebody who is there already. The token is minted and not asked for: signing in has tests of its own, and costs a
    /// hash each.
    fn minted(http: &reqwest::Client, running: &Running, clock: &Clock, person: &Value) -> Self {
        let text = |name: &str| person[name].as_str().unwrap().to_owned();
        let (id, tenant) = (text("id"), text("tenant"));
        let role = Role::parse(&text("role")).unwrap();
        let whose: (PersonId, TenantId) = (id.parse().unwrap(), tenant.parse().unwrap());
        let token = running
            .tokens
            .mint(whose.0, whose.1, role, clock.now().into())
            .unwrap();
        Self {
            http: http.clone(),
            url: running.url.clone(),
            token,
            id,
            email: text("email"),
            name: text("name"),
        }
    }

    /// A call, to be completed by headers.
    pub fn call(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let call = self.http.request(method, format!("{}{path}", self.url));
        if self.token.is_empty() {
            call
        } else {
            call.bearer_auth(&self.token)
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        Reply::of(self.call(Method::GET, path)).await
    }

    /// With `If-Match: *`: tests of preconditions make their calls themselves.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        Reply::of(self.call(Method::POST, path).header("if-match", "*").json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        Reply::of(self.call(Method::PATCH, path).header("if-match", "*").json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Reply {
        Reply::of(self.call(Method::PUT, path).header("if-match", "*").json(&body)).await
    }

    pub async fn delete(&self, path: &str, body: Value) -> Reply {
        Reply::of(
            self.call(Method::DELETE, path)
                .header("if-match", "*")
                .json(&body),
        )
        .await
    }

    /// Files a request against an incident.
    pub async fn files(&self, subject: &str, incident: &Value) -> Reply {
        let form = json!({"incident_id": incident["id"], "severity": "b", "subject": subject, "description": "It is down."});
        self.post("/v1/service-requests", form).await
    }

    /// All items of a list, page by page.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let glue = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{glue}limit=200{cursor}")).await.ok();
            items.extend(page["items"].as_array().unwrap().clone());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Reply {
    pub async fn of(call: reqwest::RequestBuilder) -> Self {
        let answer = call.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Self {
            status,
            headers,
            body,
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    #[track_caller]
    pub fn created(self) -> Value {
        assert_eq!(self.status, 201, "{}", self.body);
        assert!(self.header("location").is_some());
        self.body
    }

    #[track_caller]
    pub fn nothing(self) {
        assert_eq!(self.status, 204, "{}", self.body);
    }

    /// Asserts a problem (RFC 9457) with this status and code.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!(
            (self.status, self.body["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.body
        );
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["request_id"].as_str(), self.header("x-request-id"));
        assert!(
            self.body["title"].is_string()
                && self.body["detail"].is_string()
                && self.body["type"].is_string()
        );
        self.body
    }
}
