//! The binary as an operator meets it: its words, its settings, its files, its end.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use allclear::db::Location;
use serde_json::{Value, json};

use crate::desk::{Database, PASSWORD};

const SECRET: &str = "a secret of the tests, long enough to be one";
const COMMANDS: [&str; 13] = [
    "serve", "demo", "migrate", "replay", "simulate", "spec", "rights", "keys", "tenants", "audit", "doctor",
    "receive", "token",
];

/// The binary in `home`, with nothing of this process's environment.
fn allclear(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_allclear"));
    command.current_dir(home).env_clear();
    for name in ["PATH", "HOME", "TMPDIR"] {
        if let Ok(value) = std::env::var(name) {
            command.env(name, value);
        }
    }
    command
}

/// The same with the database of the engine under test.
fn on_engine(home: &Path, database: &Database) -> Command {
    let mut command = allclear(home);
    if let Location::Postgres(url) = &database.location {
        command.env("DATABASE_URL", url).env("ALLCLEAR_SECRET", SECRET);
    }
    command
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn good(output: Output) -> String {
    assert!(
        output.status.success(),
        "{}: {}{}",
        output.status,
        out(&output),
        err(&output)
    );
    out(&output)
}

/// Every line that a command says on its standard output, until it ends.
fn last_line(output: Output) -> Value {
    let said = good(output);
    let line = said.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// A server of its own process.
struct Server {
    child: Child,
    url: String,
    said: Vec<String>,
}

impl Server {
    /// Starts it and waits until it says where it listens.
    fn start(command: &mut Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        let url = loop {
            let line = lines
                .next()
                .expect("the server has ended before it listened")
                .unwrap();
            let url = line
                .split(' ')
                .find(|word| word.starts_with("http://"))
                .map(str::to_owned);
            let is_it = line.contains("listens on");
            said.push(line);
            if let (Some(url), true) = (url, is_it) {
                break url;
            }
        };
        // What it says after that is read on; a full pipe would stop it.
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        while let Ok(line) = receiver.recv_timeout(Duration::from_millis(500)) {
            said.push(line);
        }
        Self { child, url, said }
    }

    /// SIGTERM, and its exit code.
    fn terminate(mut self) -> Option<i32> {
        let killed = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A caller of a server in another process.
struct Calls {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Calls {
    async fn sign_in(url: &str, email: &str, password: &str) -> Self {
        let mut calls = Self::with_token(url, "");
        let session = calls
            .post("/v1/auth/login", json!({"email": email, "password": password}))
            .await;
        calls.token = session["access_token"].as_str().unwrap().to_owned();
        calls
    }

    fn with_token(url: &str, token: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self {
            http: reqwest::Client::new(),
            url: url.to_owned(),
            token: token.to_owned(),
        }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let call = self
            .http
            .post(format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .json(&body);
        let answer = call.send().await.unwrap();
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let call = self
            .http
            .get(format!("{}{path}", self.url))
            .bearer_auth(&self.token);
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }
}

#[test]
fn help_is_there_for_every_command() {
    let home = tempfile::tempdir().unwrap();
    let help = good(run(allclear(home.path()).arg("--help")));
    for command in COMMANDS {
        assert!(help.contains(command), "{help}");
        let own = good(run(allclear(home.path()).args([command, "--help"])));
        assert!(own.contains("Usage: allclear") && own.contains(command), "{own}");
        assert_eq!(own, good(run(allclear(home.path()).args(["help", command]))));
    }
    let serve = good(run(allclear(home.path()).args(["serve", "--help"])));
    for word in [
        "--listen",
        "ALLCLEAR_LISTEN",
        "127.0.0.1:8080",
        "--data-dir",
        "DATABASE_URL",
        "SMTP_URL",
        "ALLCLEAR_SECRET",
    ] {
        assert!(serve.contains(word), "{word} is not in {serve}");
    }
    assert!(good(run(allclear(home.path()).arg("--version"))).contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(
        std::fs::read_dir(home.path()).unwrap().count(),
        0,
        "asking for help leaves nothing behind"
    );
}

#[test]
fn help_keeps_what_is_in_the_environment_to_itself() {
    let home = tempfile::tempdir().unwrap();
    for command in ["serve", "migrate", "replay", "token"] {
        let mut asked = allclear(home.path());
        asked.args([command, "--help"]);
        for name in [
            "DATABASE_URL",
            "SMTP_URL",
            "ALLCLEAR_SECRET",
            "ALLCLEAR_OPERATOR_PASSWORD",
        ] {
            asked.env(name, "hunter2");
        }
        assert!(!good(run(&mut asked)).contains("hunter2"), "{command}");
    }
}

#[test]
fn what_is_no_command_is_refused() {
    let home = tempfile::tempdir().unwrap();
    for line in [
        &[][..],
        &["server"],
        &["serve", "--no-such"],
        &["token"],
        &["replay"],
        &["serve", "surplus"],
    ] {
        let output = run(allclear(home.path()).args(line));
        assert_eq!(output.status.code(), Some(2), "{line:?}");
        assert!(err(&output).contains("Usage"), "{line:?}: {}", err(&output));
        assert!(out(&output).is_empty());
    }
}

#[test]
fn a_bad_setting_is_named_with_what_is_allowed() {
    let home = tempfile::tempdir().unwrap();
    let cases = [
        ("listen", "ALLCLEAR_LISTEN", "nowhere", "host:port"),
        (
            "database-url",
            "DATABASE_URL",
            "mysql://root:hunter2@db",
            "postgres://",
        ),
        (
            "database-work-url",
            "ALLCLEAR_DATABASE_WORK_URL",
            "mysql://root:hunter2@db",
            "postgres://",
        ),
        (
            "database-connections",
            "ALLCLEAR_DATABASE_CONNECTIONS",
            "0",
            "from 1 to 500",
        ),
        ("smtp-url", "SMTP_URL", "http://user:hunter2@mail", "smtp://"),
        (
            "smtp-connections",
            "ALLCLEAR_SMTP_CONNECTIONS",
            "many",
            "from 1 to 200",
        ),
        (
            "smtp-fallback-url",
            "ALLCLEAR_SMTP_FALLBACK_URL",
            "http://user:hunter2@mail",
            "smtp://",
        ),
        ("smtp-timeout", "ALLCLEAR_SMTP_TIMEOUT", "0s", "a duration"),
        ("mail-rate", "ALLCLEAR_MAIL_RATE", "0", "`unlimited` or"),
        (
            "mail-rate-per-domain",
            "ALLCLEAR_MAIL_RATE_PER_DOMAIN",
            "fast",
            "`unlimited` or",
        ),
        (
            "mail-connections-per-domain",
            "ALLCLEAR_MAIL_CONNECTIONS_PER_DOMAIN",
            "1001",
            "`unlimited` or",
        ),
        ("mail-from", "ALLCLEAR_MAIL_FROM", "nobody", "an address"),
        ("public-url", "ALLCLEAR_PUBLIC_URL", "ftp://desk", "http://"),
        ("secret", "ALLCLEAR_SECRET", "hunter2", "32 characters"),
        (
            "operator-email",
            "ALLCLEAR_OPERATOR_EMAIL",
            "olive",
            "an e-mail address",
        ),
        (
            "operator-password",
            "ALLCLEAR_OPERATOR_PASSWORD",
            "hunter2",
            "12 to 200",
        ),
        (
            "access-token-lifetime",
            "ALLCLEAR_ACCESS_TOKEN_LIFETIME",
            "soon",
            "such as `15m`",
        ),
        ("reopen-window", "ALLCLEAR_REOPEN_WINDOW", "-1", "unlimited"),
        (
            "incident-reopen-window",
            "ALLCLEAR_INCIDENT_REOPEN_WINDOW",
            "0s",
            "a duration",
        ),
        (
            "session-lifetime",
            "ALLCLEAR_SESSION_LIFETIME",
            "ever",
            "a duration",
        ),
        ("session-idle", "ALLCLEAR_SESSION_IDLE", "0s", "a duration"),
        (
            "second-factor",
            "ALLCLEAR_SECOND_FACTOR",
            "all",
            "`nobody` or `staff`",
        ),
        ("mail-templates", "ALLCLEAR_MAIL_TEMPLATES", "nowhere", "a folder"),
        (
            "dkim-key",
            "ALLCLEAR_DKIM_KEY",
            "dkim.pem",
            "given with `dkim-selector`",
        ),
        (
            "dkim-selector",
            "ALLCLEAR_DKIM_SELECTOR",
            "desk",
            "given with `dkim-key`",
        ),
        (
            "dkim-domain",
            "ALLCLEAR_DKIM_DOMAIN",
            "desk.example",
            "given with `dkim-key`",
        ),
        ("mail-lease", "ALLCLEAR_MAIL_LEASE", "15", "a duration"),
        (
            "mail-in-flight",
            "ALLCLEAR_MAIL_IN_FLIGHT",
            "1001",
            "from 1 to 1000",
        ),
        (
            "mail-deadline",
            "ALLCLEAR_MAIL_DEADLINE",
            "999years",
            "a duration",
        ),
        ("mail-grace", "ALLCLEAR_MAIL_GRACE", "25h", "from 0s to 1day"),
        ("mail-daily-cap", "ALLCLEAR_MAIL_DAILY_CAP", "0", "`unlimited` or"),
        ("inbound-domain", "ALLCLEAR_INBOUND_DOMAIN", "a desk", "a domain"),
        (
            "inbound-listen",
            "ALLCLEAR_INBOUND_LISTEN",
            "127.0.0.1:2400",
            "given with `inbound-domain`",
        ),
        (
            "inbound-limit",
            "ALLCLEAR_INBOUND_LIMIT",
            "10",
            "given with `inbound-domain`",
        ),
        (
            "inbound-authserv-id",
            "ALLCLEAR_INBOUND_AUTHSERV_ID",
            "mx.example",
            "given with `inbound-domain`",
        ),
        ("attachments", "ALLCLEAR_ATTACHMENTS", "ftp://files", "a bucket"),
        (
            "attachment-limit",
            "ALLCLEAR_ATTACHMENT_LIMIT",
            "0",
            "from 1 to 1000",
        ),
        (
            "attachments-per-mail",
            "ALLCLEAR_ATTACHMENTS_PER_MAIL",
            "21",
            "from 1 to 20",
        ),
        (
            "attachments-per-request",
            "ALLCLEAR_ATTACHMENTS_PER_REQUEST",
            "-1",
            "from 1 to 100000",
        ),
        ("s3-endpoint", "AWS_ENDPOINT_URL", "minio:9000", "http://"),
        ("s3-region", "AWS_REGION", "EU Central", "a region"),
        (
            "s3-access-key-id",
            "AWS_ACCESS_KEY_ID",
            "desk",
            "given with `s3-secret-access-key`",
        ),
        (
            "s3-secret-access-key",
            "AWS_SECRET_ACCESS_KEY",
            "hunter2",
            "given with `s3-access-key-id`",
        ),
        ("http-workers", "ALLCLEAR_HTTP_WORKERS", "0", "from 1 to 256"),
        (
            "trusted-proxies",
            "ALLCLEAR_TRUSTED_PROXIES",
            "10.0.0.0/8,proxy",
            "such as `10.0.0.0/8",
        ),
        (
            "allowed-origins",
            "ALLCLEAR_ALLOWED_ORIGINS",
            "https://admin.example/",
            "such as `https://admin.example",
        ),
        ("rate-limit", "ALLCLEAR_RATE_LIMIT", "0", "from 1 to 1000000"),
        (
            "refusal-limit",
            "ALLCLEAR_REFUSAL_LIMIT",
            "many",
            "from 1 to 1000000",
        ),
        ("client-timeout", "ALLCLEAR_CLIENT_TIMEOUT", "30", "a duration"),
        (
            "max-connections",
            "ALLCLEAR_MAX_CONNECTIONS",
            "-1",
            "from 1 to 1000000",
        ),
        (
            "tls-certificate",
            "ALLCLEAR_TLS_CERTIFICATE",
            "desk.pem",
            "given with `tls-key`",
        ),
        (
            "tls-key",
            "ALLCLEAR_TLS_KEY",
            "desk.key",
            "given with `tls-certificate`",
        ),
        ("log", "ALLCLEAR_LOG", "allclear=loud", "filters"),
        ("log-format", "ALLCLEAR_LOG_FORMAT", "xml", "`text` or `json`"),
    ];
    for (name, env, value, allowed) in cases {
        let by_flag = run(allclear(home.path()).args(["serve", &format!("--{name}={value}")]));
        let by_env = run(allclear(home.path()).arg("serve").env(env, value));
        std::fs::write(
            home.path().join("settings.toml"),
            format!("{name} = \"{value}\"\n"),
        )
        .unwrap();
        let by_file = run(allclear(home.path()).args(["serve", "--config", "settings.toml"]));
        for (how, output) in [("flag", by_flag), ("environment", by_env), ("file", by_file)] {
            let said = err(&output);
            assert_eq!(output.status.code(), Some(1), "{name} by {how}: {said}");
            assert!(
                said.contains(&format!("setting `{name}` ({env})")),
                "{name} by {how}: {said}"
            );
            assert!(said.contains(allowed), "{name} by {how}: {said}");
            assert!(
                !said.contains("hunter2"),
                "{name} by {how} is told to everybody: {said}"
            );
        }
    }
    // The list above is whole: a new setting needs a line.
    let help = good(run(allclear(home.path()).args(["serve", "--help"])));
    for flag in help.split_whitespace().filter_map(|word| word.strip_prefix("--")) {
        let is_known = ["help", "version", "config", "data-dir"].contains(&flag)
            || cases.iter().any(|(name, ..)| *name == flag);
        assert!(is_known, "which values does --{flag} not take?");
    }
    // All that is wrong is said at once.
    let said = err(&run(allclear(home.path()).args([
        "serve",
        "--listen",
        "x",
        "--mail-lease",
        "y",
    ])));
    assert!(
        said.contains("`listen`") && said.contains("`mail-lease`"),
        "{said}"
    );
    assert!(
        !home.path().join("data").exists(),
        "a server that does not start leaves nothing behind"
    );
}

#[test]
fn postgresql_without_a_secret_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let output = run(allclear(home.path()).args([
        "serve",
        "--database-url",
        "postgres://nobody:hunter2@127.0.0.1:1/none",
    ]));
    assert!(!output.status.success());
    let said = err(&output);
    assert!(
        said.contains("ALLCLEAR_SECRET") && said.contains("32 characters") && !said.contains("hunter2"),
        "{said}"
    );
    let output = run(allclear(home.path())
        .args([
            "migrate",
            "--database-url",
            "postgres://nobody:hunter2@127.0.0.1:1/none",
        ])
        .env("ALLCLEAR_SECRET", SECRET));
    assert!(!output.status.success());
    assert!(
        err(&output).contains("DATABASE_URL") && !err(&output).contains("hunter2"),
        "{}",
        err(&output)
    );
}

#[test]
fn flags_win_over_the_environment_and_the_environment_over_the_file() {
    let home = tempfile::tempdir().unwrap();
    let has = |dir: &str| home.path().join(dir).join("allclear.sqlite").exists();
    std::fs::write(home.path().join("allclear.toml"), "data-dir = \"from-file\"\n").unwrap();
    good(run(allclear(home.path()).args([
        "migrate",
        "--config",
        "allclear.toml",
    ])));
    assert!(has("from-file") && !has("data"));
    let in_env = |command: &mut Command| {
        good(run(command
            .env("ALLCLEAR_CONFIG", "allclear.toml")
            .env("ALLCLEAR_DATA_DIR", "from-env")))
    };
    in_env(allclear(home.path()).arg("migrate"));
    assert!(has("from-env") && !has("from-flag"));
    in_env(allclear(home.path()).args(["migrate", "--data-dir", "from-flag"]));
    assert!(has("from-flag") && !has("data"));
    // An unknown name in the file is a mistake, and so is a file that is not there.
    std::fs::write(home.path().join("bad.toml"), "data-dri = \"x\"\n").unwrap();
    for (file, word) in [("bad.toml", "data-dri"), ("none.toml", "none.toml")] {
        let output = run(allclear(home.path()).args(["migrate", "--config", file]));
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains(word), "{}", err(&output));
    }
}

#[test]
fn migrating_twice_says_that_it_is_up_to_date() {
    let home = tempfile::tempdir().unwrap();
    let database = Database::new(&home);
    let first = good(run(on_engine(home.path(), &database).arg("migrate")));
    assert!(first.starts_with("applied "), "{first}");
    for _ in 0..2 {
        let again = good(run(on_engine(home.path(), &database).arg("migrate")));
        assert_eq!(again.trim(), "the database is up to date");
    }
}

#[test]
fn the_document_is_printed() {
    let home = tempfile::tempdir().unwrap();
    let said = good(run(allclear(home.path()).arg("spec")));
    assert_eq!(said.trim_end(), allclear::cli::spec().unwrap().trim_end());
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_any_settings_makes_what_it_needs_once_and_stops_when_it_is_told() {
    let home = tempfile::tempdir().unwrap();
    let mode = |name: &str| {
        let meta =
            std::fs::metadata(home.path().join(name)).unwrap_or_else(|_| panic!("{name} is not there"));
        meta.permissions().mode() & 0o777
    };
    let serve = || {
        let mut command = allclear(home.path());
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        Server::start(&mut command)
    };
    let server = serve();
    assert_eq!((mode("data"), mode("data/secret")), (0o700, 0o600));
    assert!(home.path().join("data/allclear.sqlite").exists());
    assert_eq!(mode("data/mail"), 0o700);
    assert_eq!(
        std::fs::read_dir(home.path()).unwrap().count(),
        1,
        "everything is in ./data"
    );

    // How to sign in is said, and it is true.
    let first = server
        .said
        .iter()
        .find(|line| line.contains("first operator"))
        .expect("who signs in?")
        .clone();
    let word_after = |before: &str| {
        first
            .split(before)
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next())
            .unwrap()
    };
    let (email, password) = ("operator@localhost", word_after("password "));
    assert!(first.contains(email) && password.len() >= 12, "{first}");
    let operator = Calls::sign_in(&server.url, email, password).await;
    assert_eq!(operator.get("/v1/me").await.1["role"], "operator");
    assert_eq!(
        operator.get("/readyz").await.1["checks"]["database"]["engine"],
        "sqlite"
    );

    // A second server on the same directory is refused.
    let second = run(allclear(home.path()).args(["serve", "--listen", "127.0.0.1:0"]));
    assert_eq!(second.status.code(), Some(1));
    assert!(err(&second).contains("another server"), "{}", err(&second));

    // Mail lands in files.
    operator
        .post("/v1/regions", json!({"slug": "europe", "name": "Europe"}))
        .await;
    operator
        .post("/v1/services", json!({"slug": "sign-in", "name": "Sign-in"}))
        .await;
    let tenant = json!({"name": "Contoso", "regions": ["europe"], "services": ["sign-in"],
        "contacts": [{"email": "it@contoso.example", "name": "IT"}]});
    operator.post("/v1/tenants", tenant).await;
    let incident = json!({"title": "Nobody signs in", "impact": "interruption", "services": ["sign-in"],
        "regions": ["europe"], "body": "We are looking into it."});
    operator.post("/v1/incidents", incident).await;
    let begun = Instant::now();
    let mail = loop {
        let files = std::fs::read_dir(home.path().join("data/mail")).unwrap();
        let found = files
            .map(|file| file.unwrap().path())
            .find(|path| path.extension().is_some_and(|end| end == "eml"));
        if let Some(path) = found {
            let text = std::fs::read_to_string(path).unwrap();
            if !text.is_empty() {
                break text;
            }
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "no mail has been written"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(
        mail.contains("it@contoso.example") && mail.contains("Nobody signs in"),
        "{mail}"
    );

    // A token for somebody, while the server runs.
    let minted = good(run(allclear(home.path()).args(["token", "--email", email])));
    let minted = Calls::with_token(&server.url, minted.trim());
    assert_eq!(minted.get("/v1/me").await.1["email"], email);
    let unknown = run(allclear(home.path()).args(["token", "--email", "nobody@localhost"]));
    assert_eq!(unknown.status.code(), Some(1));
    assert!(out(&unknown).is_empty() && !err(&unknown).is_empty());

    // It stops when it is told to, and the second start says nothing of a first operator; the keys are the same.
    assert_eq!(server.terminate(), Some(0));
    let server = serve();
    assert!(
        !server
            .said
            .iter()
            .any(|line| line.contains("first operator") || line.contains(password)),
        "{:?}",
        server.said
    );
    let before = Calls::with_token(&server.url, &operator.token);
    assert_eq!(before.get("/v1/me").await.0, 200);
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_minted_for_whoever_is_known() {
    let home = tempfile::tempdir().unwrap();
    let database = Database::new(&home);
    let with_operator = |args: &[&str]| {
        let mut command = on_engine(home.path(), &database);
        command
            .args(args)
            .env("ALLCLEAR_OPERATOR_EMAIL", "olive@provider.example")
            .env("ALLCLEAR_OPERATOR_PASSWORD", PASSWORD);
        command
    };
    let server = Server::start(&mut with_operator(&["serve", "--listen", "127.0.0.1:0"]));
    assert!(
        server.said.iter().all(|line| !line.contains(PASSWORD)),
        "a password that was given is not repeated"
    );
    let token = good(run(&mut with_operator(&[
        "token",
        "--email",
        " Olive@Provider.example",
    ])));
    let (status, me) = Calls::with_token(&server.url, token.trim()).get("/v1/me").await;
    assert_eq!((status, &me["email"]), (200, &json!("olive@provider.example")));
    for email in ["nobody@provider.example", "not an address"] {
        assert_eq!(
            run(&mut with_operator(&["token", "--email", email]))
                .status
                .code(),
            Some(1)
        );
    }
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn the_demo_plays_to_its_end_and_loses_no_mail() {
    let home = tempfile::tempdir().unwrap();
    let database = Database::new(&home);
    let mut demo = on_engine(home.path(), &database);
    demo.args(["demo", "--exit", "--json", "--listen", "127.0.0.1:0"]);
    let sums = last_line(run(&mut demo));
    assert_eq!(sums["incidents"], 3, "{sums}");
    assert_eq!(sums["mails_lost"], 0, "{sums}");
    for some in ["requests", "refused", "mails_sent"] {
        assert!(
            sums[some].as_u64().is_some_and(|number| number > 0),
            "{some}: {sums}"
        );
    }
    let names: Vec<_> = sums.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names.len(), 5, "{names:?}");
}

#[test]
fn a_replay_ends_as_its_logs_do_and_sends_what_is_due() {
    let home = tempfile::tempdir().unwrap();
    let database = Database::new(&home);
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut replay = on_engine(home.path(), &database);
    replay
        .args(["replay", "--json", "--incidents"])
        .arg(data.join("incidents-excerpt.jsonl"));
    let sums = last_line(run(replay.arg("--tickets").arg(data.join("tickets-excerpt.csv"))));
    assert_eq!(
        (&sums["incidents"], &sums["tickets"], &sums["events"]),
        (&json!(12), &json!(39), &json!(203)),
        "{sums}"
    );
    assert_eq!(sums["final_state_mismatches"], 0, "{sums}");
    assert_eq!(sums["mails_due"], sums["mails_sent"], "{sums}");
    assert!(
        sums["mails_sent"].as_u64().is_some_and(|number| number > 0),
        "{sums}"
    );
    let times = &sums["times"];
    assert_eq!(times["mismatches"], 0, "{sums}");
    for (measure, count) in [("response", 39), ("resolution", 39), ("resolution_counted", 39)] {
        let figures = &times[measure];
        assert_eq!(figures["server"], figures["log"], "{measure}: {sums}");
        assert_eq!(figures["log"]["count"], count, "{measure}: {sums}");
        assert!(
            figures["log"]["p90_seconds"].as_u64() > Some(0),
            "{measure}: {sums}"
        );
    }
    let states = sums["final_states"].as_object().unwrap().values();
    assert_eq!(
        states.map(|count| count.as_u64().unwrap()).sum::<u64>(),
        39,
        "{sums}"
    );
    assert!(
        sums["refused"].is_object() && sums["ignored"].is_u64() && sums["seconds"].is_number(),
        "{sums}"
    );
}

/// Three days, in the second of which the clocks of Los Angeles change and there is a storm.
fn simulated(seed: &str, chart: Option<&Path>) -> String {
    let home = tempfile::tempdir().unwrap();
    let database = Database::new(&home);
    let mut simulate = on_engine(home.path(), &database);
    simulate.args([
        "simulate",
        "--json",
        "--from",
        "2026-03-07",
        "--days",
        "3",
        "--agents",
        "4",
    ]);
    simulate.args(["--requests-per-day", "12", "--storm", "60", "--seed", seed]);
    if let Some(chart) = chart {
        simulate.arg("--chart").arg(chart);
    }
    good(run(&mut simulate))
}

#[test]
fn a_simulation_strands_nobody_and_the_same_seed_gives_the_same_report() {
    let home = tempfile::tempdir().unwrap();
    let chart = home.path().join("chart.svg");
    let [first, second, other] = std::thread::scope(|scope| {
        let of = |seed, chart| scope.spawn(move || simulated(seed, chart));
        [of("7", Some(chart.as_path())), of("7", None), of("8", None)].map(|played| played.join().unwrap())
    });
    assert_eq!(first, second);
    assert_ne!(first, other);
    let report: Value = serde_json::from_str(first.lines().last().unwrap()).unwrap();
    assert_eq!(report["stranded"]["most"], 0, "{report}");
    assert_eq!(report["mail"]["lost"], 0, "{report}");
    assert_eq!(report["refused"], json!({}), "{report}");
    assert_eq!(report["requests"]["is_agreed"], true, "{report}");
    assert_eq!(report["coverage"][0]["covered_minutes"], 3 * 24 * 60, "{report}");
    for some in [
        "/requests/resolved",
        "/requests/handed_over",
        "/storm/resolved",
        "/storm/all_clear",
        "/stranded/asked",
    ] {
        assert!(
            report.pointer(some).and_then(Value::as_u64) > Some(0),
            "{some}: {report}"
        );
    }
    let drawn = std::fs::read_to_string(chart).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("the storm of"));
}

#[test]
fn logs_that_cannot_be_read_are_named() {
    let home = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let output = run(allclear(home.path())
        .args(["replay", "--incidents", "none.jsonl", "--tickets"])
        .arg(data.join("tickets-excerpt.csv")));
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("none.jsonl"), "{}", err(&output));
}
