//! Every setting: its name, default, meaning and check. The only reader of the environment.
//!
//! Flags win over the environment, the environment over the file named by `--config`. All texts are turned
//! into types at the start; a bad value names its setting and says what is allowed.

mod check;
mod files;

use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;
use ipnet::IpNet;
use lettre::message::Mailbox;
use serde::Deserialize;

use check::{Checker, duration, each, network, origin, pause, url_of, workers};
use files::GivenFiles;
pub use files::{Bucket, Files, Place};

use crate::db::Location;

macro_rules! given {
    ($($(#[doc = $doc:literal])* $field:ident $env:literal;)*) => {
        /// The settings as they were given: texts, not yet checked.
        #[derive(Clone, Debug, Default, clap::Args, Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
        pub struct Given {
            /// A TOML file with settings by these same names (weaker than flags and environment)
            #[arg(long, env = "ALLCLEAR_CONFIG", value_name = "FILE")]
            #[serde(skip)]
            pub config: Option<PathBuf>,
            $(
                $(#[doc = $doc])*
                #[arg(long, env = $env, hide_env_values = true)]
                #[serde(deserialize_with = "text")]
                pub $field: Option<String>,
            )*
        }

        impl Given {
            /// What is not given here is taken from `file`; an empty text counts as not given.
            fn over(self, file: Given) -> Given {
                Given {
                    config: self.config,
                    $($field: self.$field.or(file.$field).filter(|text| !text.is_empty()),)*
                }
            }
        }
    };
}

given! {
    /// Address to listen on [default: 127.0.0.1:8080]
    listen "ALLCLEAR_LISTEN";
    /// Directory of everything that is kept outside a database server [default: ./data]
    data_dir "ALLCLEAR_DATA_DIR";
    /// postgres://… ; SQLite in the data directory when absent
    database_url "DATABASE_URL";
    /// The same database for the work after the migrations, as a role that owns nothing; see docs/operating.md
    database_work_url "ALLCLEAR_DATABASE_WORK_URL";
    /// Connections to the database [default: 16]
    database_connections "ALLCLEAR_DATABASE_CONNECTIONS";
    /// smtp://… or smtps://… ; .eml files in the data directory when absent
    smtp_url "SMTP_URL";
    /// smtp://… or smtps://… of the mail server that is used while the first cannot be reached
    smtp_fallback_url "ALLCLEAR_SMTP_FALLBACK_URL";
    /// Connections to each mail server [default: 8]
    smtp_connections "ALLCLEAR_SMTP_CONNECTIONS";
    /// How long a mail server may take to connect and greet, and to take a message [default: 60s]
    smtp_timeout "ALLCLEAR_SMTP_TIMEOUT";
    /// Sender of all mail [default: Allclear <allclear@localhost>]
    mail_from "ALLCLEAR_MAIL_FROM";
    /// Where clients reach this installation, for links and token issuers [default: http://localhost:8080]
    public_url "ALLCLEAR_PUBLIC_URL";
    /// Seals what is stored; 32 characters or more; required on PostgreSQL, made in the data directory for SQLite
    secret "ALLCLEAR_SECRET";
    /// E-mail address of the first operator, made at the first start [default: operator@localhost]
    operator_email "ALLCLEAR_OPERATOR_EMAIL";
    /// Password of the first operator, 12 characters or more [default: made up and printed once]
    operator_password "ALLCLEAR_OPERATOR_PASSWORD";
    /// How long an access token is valid [default: 15m]
    access_token_lifetime "ALLCLEAR_ACCESS_TOKEN_LIFETIME";
    /// How long a session lasts at most [default: 30days]
    session_lifetime "ALLCLEAR_SESSION_LIFETIME";
    /// How long a session lasts without being used [default: 7days]
    session_idle "ALLCLEAR_SESSION_IDLE";
    /// Who needs a second factor: `nobody` or `staff`; everybody may have one [default: nobody]
    second_factor "ALLCLEAR_SECOND_FACTOR";
    /// How long a resolved request may be reopened, or `unlimited` [default: 7days]
    reopen_window "ALLCLEAR_REOPEN_WINDOW";
    /// How long a resolved incident may be reopened [default: 24h]
    incident_reopen_window "ALLCLEAR_INCIDENT_REOPEN_WINDOW";
    /// A folder of templates and phrases of mail that replace those of the program; see docs/templates.md
    mail_templates "ALLCLEAR_MAIL_TEMPLATES";
    /// A file with the private key (PEM) that mail is signed with (DKIM) [default: mail is not signed]
    dkim_key "ALLCLEAR_DKIM_KEY";
    /// The selector under which the DNS has the public key
    dkim_selector "ALLCLEAR_DKIM_SELECTOR";
    /// The domain that signs [default: that of the sender]
    dkim_domain "ALLCLEAR_DKIM_DOMAIN";
    /// How long a message handed over and not marked stays with its process, if that dies [default: 15s]
    mail_lease "ALLCLEAR_MAIL_LEASE";
    /// Messages that one process has handed over and not marked at any time [default: 64]
    mail_in_flight "ALLCLEAR_MAIL_IN_FLIGHT";
    /// How long a message is tried before it fails [default: 3days]
    mail_deadline "ALLCLEAR_MAIL_DEADLINE";
    /// Messages a second over a mail server, of each process, or `unlimited` [default: unlimited]
    mail_rate "ALLCLEAR_MAIL_RATE";
    /// Messages a second to a domain, of each process, or `unlimited` [default: unlimited]
    mail_rate_per_domain "ALLCLEAR_MAIL_RATE_PER_DOMAIN";
    /// Messages under way to a domain at a time, of each process, or `unlimited` [default: unlimited]
    mail_connections_per_domain "ALLCLEAR_MAIL_CONNECTIONS_PER_DOMAIN";
    /// How long after an event of an incident its mail leaves; a reopening meanwhile withdraws it [default: 0s]
    mail_grace "ALLCLEAR_MAIL_GRACE";
    /// Mails that an address gets a day because somebody listed it as watcher or contact, or `unlimited` [default: unlimited]
    mail_daily_cap "ALLCLEAR_MAIL_DAILY_CAP";
    /// The domain at which mail comes in: answers to mail of requests, and what could not be delivered [default: none]
    inbound_domain "ALLCLEAR_INBOUND_DOMAIN";
    /// lmtp://host:port or smtp://host:port, where a mail server hands it in [default: only `allclear receive` takes it]
    inbound_listen "ALLCLEAR_INBOUND_LISTEN";
    /// Megabytes that a mail which comes in has at most [default: 25]
    inbound_limit "ALLCLEAR_INBOUND_LIMIT";
    /// The name in Authentication-Results of the mail server whose word on a sender counts [default: nobody's does]
    inbound_authserv_id "ALLCLEAR_INBOUND_AUTHSERV_ID";
    /// Where the files of requests are: a folder, or s3://bucket/folder [default: attachments in the data directory]
    attachments "ALLCLEAR_ATTACHMENTS";
    /// Megabytes that a file of a request has at most [default: 10]
    attachment_limit "ALLCLEAR_ATTACHMENT_LIMIT";
    /// Files of a mail that are kept with its comment [default: 20]
    attachments_per_mail "ALLCLEAR_ATTACHMENTS_PER_MAIL";
    /// Megabytes that all files of a request have at most [default: 100]
    attachments_per_request "ALLCLEAR_ATTACHMENTS_PER_REQUEST";
    /// The address of the S3-compatible store of the files [default: Amazon's, in the region]
    s3_endpoint "AWS_ENDPOINT_URL";
    /// The region of the bucket [default: us-east-1]
    s3_region "AWS_REGION";
    /// The id of the key of the store [default: the role of the machine]
    s3_access_key_id "AWS_ACCESS_KEY_ID";
    /// The key of the store
    s3_secret_access_key "AWS_SECRET_ACCESS_KEY";
    /// Threads that serve HTTP [default: one for each core]
    http_workers "ALLCLEAR_HTTP_WORKERS";
    /// Proxies whose X-Forwarded-For is believed: addresses and networks, separated by commas
    trusted_proxies "ALLCLEAR_TRUSTED_PROXIES";
    /// Origins whose pages may call (CORS), separated by commas, such as https://admin.example
    allowed_origins "ALLCLEAR_ALLOWED_ORIGINS";
    /// Calls a second that one caller may make, in each process [default: 1000]
    rate_limit "ALLCLEAR_RATE_LIMIT";
    /// Calls a second that are refused to one address, in each process, before it hears only that [default: 100]
    refusal_limit "ALLCLEAR_REFUSAL_LIMIT";
    /// How long a client may take to send a call, and to take its answer [default: 30s]
    client_timeout "ALLCLEAR_CLIENT_TIMEOUT";
    /// Connections of clients, in each process [default: 20000]
    max_connections "ALLCLEAR_MAX_CONNECTIONS";
    /// A file with the certificate chain (PEM): then HTTPS is spoken, and HTTP is not
    tls_certificate "ALLCLEAR_TLS_CERTIFICATE";
    /// A file with the private key of the certificate (PEM)
    tls_key "ALLCLEAR_TLS_KEY";
    /// What is logged, as `tracing` filters [default: info]
    log "ALLCLEAR_LOG";
    /// How it is logged: `text` or `json` [default: text]
    log_format "ALLCLEAR_LOG_FORMAT";
}

/// Numbers and booleans in the file are taken as their text.
fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Scalar {
        Text(String),
        Number(i64),
    }
    Ok(Some(match Scalar::deserialize(deserializer)? {
        Scalar::Text(text) => text,
        Scalar::Number(number) => number.to_string(),
    }))
}

/// The checked settings of one process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on; port 0 takes a free one.
    pub listen: String,
    /// Keys, attachments and, by default, database and mail.
    pub data_dir: PathBuf,
    /// Where the data is.
    pub database: Location,
    /// As whom PostgreSQL is worked with; `None` is the role that the migrations make.
    pub database_work_url: Option<String>,
    /// Connections to the database.
    pub database_connections: u32,
    /// Where mail goes; `None` is files.
    pub smtp_url: Option<String>,
    /// Where mail goes while it cannot go there.
    pub smtp_fallback_url: Option<String>,
    /// Connections to each mail server.
    pub smtp_connections: usize,
    /// For a mail server to connect and greet, and to take a message.
    pub smtp_timeout: Duration,
    /// Sender of all mail.
    pub mail_from: Mailbox,
    /// Without a slash at its end.
    pub public_url: String,
    /// Given on PostgreSQL; `None` is the file in the data directory.
    pub secret: Option<String>,
    /// The first operator.
    pub operator_email: Option<String>,
    /// Its password; made up when absent.
    pub operator_password: Option<String>,
    /// Lifetime of access tokens.
    pub access_token_lifetime: TimeDelta,
    /// From signing in to the end of the session.
    pub session_lifetime: TimeDelta,
    /// The same without any use.
    pub session_idle: TimeDelta,
    /// Whether staff need a second factor.
    pub staff_need_second_factor: bool,
    /// For requests; `None` is for ever.
    pub reopen_window: Option<TimeDelta>,
    /// For incidents.
    pub incident_reopen_window: TimeDelta,
    /// The operator's own templates of mail.
    pub mail_templates: Option<PathBuf>,
    /// How mail is signed; `None` is not at all.
    pub dkim: Option<Dkim>,
    /// Lease of a message.
    pub mail_lease: TimeDelta,
    /// Messages handed over and not marked by one process.
    pub mail_in_flight: usize,
    /// After being tried for this long a message fails.
    pub mail_deadline: TimeDelta,
    /// Messages a second over a mail server.
    pub mail_rate: Option<NonZeroU32>,
    /// Messages a second to a domain.
    pub mail_rate_per_domain: Option<NonZeroU32>,
    /// Messages under way to a domain.
    pub mail_connections_per_domain: Option<usize>,
    /// So long after an event its status mail leaves.
    pub mail_grace: TimeDelta,
    /// Mails a day to an address that somebody listed.
    pub mail_daily_cap: Option<NonZeroU32>,
    /// Where mail comes in; `None` is nowhere.
    pub inbound: Option<Inbound>,
    /// The files of requests.
    pub files: Files,
    /// Threads that serve HTTP.
    pub http_workers: Option<usize>,
    /// Networks of proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins of pages that may call.
    pub allowed_origins: Vec<String>,
    /// Calls a second of one caller.
    pub rate_limit: NonZeroU32,
    /// Refused calls a second of one address.
    pub refusal_limit: NonZeroU32,
    /// For a call to arrive, and its answer to be taken.
    pub client_timeout: Duration,
    /// Connections of clients.
    pub max_connections: usize,
    /// Certificate and key; `None` is HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Filters of the log.
    pub log: String,
    /// JSON lines instead of text.
    pub log_json: bool,
}

/// How mail is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dkim {
    /// The file with the private key.
    pub key: PathBuf,
    /// The selector, which with the domain is the name of the public key in the DNS.
    pub selector: String,
    /// The domain.
    pub domain: String,
}

/// Where mail comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// The domain.
    pub domain: String,
    /// What is spoken where it is handed in, and the address; port 0 takes a free one.
    pub listen: Option<(Protocol, String)>,
    /// Bytes of a mail.
    pub limit: usize,
    /// The mail server whose word on a sender counts.
    pub authserv_id: Option<String>,
}

/// What mail servers speak to whom they hand in mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 5321: one answer a mail.
    Smtp,
    /// RFC 2033: one answer a recipient.
    Lmtp,
}

/// A setting with a value that is not allowed.
#[derive(Clone, Debug, thiserror::Error)]
pub struct BadSetting {
    name: &'static str,
    env: &'static str,
    value: String,
    allowed: String,
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            env,
            value,
            allowed,
        } = self;
        write!(
            f,
            "setting `{name}` ({env}): `{value}` is not allowed; it must be {allowed}"
        )
    }
}

/// Why the settings could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file could not be read.
    #[error("cannot read settings from {0}: {1}")]
    File(PathBuf, String),
    /// Values that are not allowed, all of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Values(Vec<BadSetting>),
}

impl Given {
    /// Reads the file, if one is named, and checks everything.
    pub fn check(self) -> Result<Settings, SettingsError> {
        let file = match &self.config {
            Some(path) => read(path)?,
            None => Given::default(),
        };
        let given = self.over(file);
        let mut bad = Vec::new();
        let settings = Settings::from_given(given, &mut bad);
        if bad.is_empty() {
            Ok(settings)
        } else {
            Err(SettingsError::Values(bad))
        }
    }
}

fn read(path: &Path) -> Result<Given, SettingsError> {
    let failed = |error: String| SettingsError::File(path.to_owned(), error);
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    toml::from_str(&text).map_err(|error| failed(error.to_string()))
}

impl Settings {
    fn from_given(given: Given, bad: &mut Vec<BadSetting>) -> Self {
        let mut check = Checker(bad);
        let data_dir = PathBuf::from(given.data_dir.unwrap_or_else(|| "./data".to_owned()));
        let sqlite = Location::Sqlite(data_dir.join("allclear.sqlite"));
        let database = check.take(
            ("database-url", "DATABASE_URL"),
            given.database_url,
            sqlite,
            "a URL that begins with postgres:// or postgresql:// (without it: SQLite in the data directory)",
            |text| url_of(&["postgres", "postgresql"])(text).map(Location::Postgres),
        );
        let secret = check.take(
            ("secret", "ALLCLEAR_SECRET"),
            given.secret,
            None,
            "32 characters or more",
            |text| (text.chars().count() >= 32).then(|| Some(text.to_owned())),
        );
        if secret.is_none() && matches!(database, Location::Postgres(_)) && check.0.is_empty() {
            check.0.push(BadSetting {
                name: "secret",
                env: "ALLCLEAR_SECRET",
                value: String::new(),
                allowed: "given with PostgreSQL: 32 characters or more, the same for all replicas".to_owned(),
            });
        }
        let mail_from = check.take(
            ("mail-from", "ALLCLEAR_MAIL_FROM"),
            given.mail_from,
            default_sender(),
            "an address, such as `Support <support@example.com>`",
            |text| text.parse().ok(),
        );
        Self {
            listen: check.take(
                ("listen", "ALLCLEAR_LISTEN"),
                given.listen,
                "127.0.0.1:8080".to_owned(),
                "host:port, such as 127.0.0.1:8080",
                |text| {
                    let (host, port) = text.rsplit_once(':')?;
                    (!host.is_empty() && port.parse::<u16>().is_ok()).then(|| text.to_owned())
                },
            ),
            database,
            database_work_url: check.take(
                ("database-work-url", "ALLCLEAR_DATABASE_WORK_URL"),
                given.database_work_url,
                None,
                "a URL that begins with postgres:// or postgresql://",
                |text| url_of(&["postgres", "postgresql"])(text).map(Some),
            ),
            database_connections: check.number(
                ("database-connections", "ALLCLEAR_DATABASE_CONNECTIONS"),
                given.database_connections,
                16,
                500,
            ),
            smtp_url: check.take(
                ("smtp-url", "SMTP_URL"),
                given.smtp_url,
                None,
                "a URL that begins with smtp:// or smtps:// (without it: files in the data directory)",
                |text| url_of(&["smtp", "smtps"])(text).map(Some),
            ),
            smtp_fallback_url: check.take(
                ("smtp-fallback-url", "ALLCLEAR_SMTP_FALLBACK_URL"),
                given.smtp_fallback_url,
                None,
                "a URL that begins with smtp:// or smtps://",
                |text| url_of(&["smtp", "smtps"])(text).map(Some),
            ),
            smtp_connections: usize::try_from(check.number(
                ("smtp-connections", "ALLCLEAR_SMTP_CONNECTIONS"),
                given.smtp_connections,
                8,
                200,
            ))
            .unwrap_or(8),
            smtp_timeout: check.time_limit(
                ("smtp-timeout", "ALLCLEAR_SMTP_TIMEOUT"),
                given.smtp_timeout,
                Duration::from_secs(60),
            ),
            mail_templates: check.take(
                ("mail-templates", "ALLCLEAR_MAIL_TEMPLATES"),
                given.mail_templates,
                None,
                "a folder",
                |text| Some(PathBuf::from(text)).filter(|path| path.is_dir()).map(Some),
            ),
            dkim: check.dkim(
                given.dkim_key,
                given.dkim_selector,
                given.dkim_domain,
                mail_from.email.domain(),
            ),
            mail_from,
            public_url: check.take(
                ("public-url", "ALLCLEAR_PUBLIC_URL"),
                given.public_url,
                "http://localhost:8080".to_owned(),
                "a URL that begins with http:// or https://",
                url_of(&["http", "https"]),
            ),
            secret,
            operator_email: check.take(
                ("operator-email", "ALLCLEAR_OPERATOR_EMAIL"),
                given.operator_email,
                None,
                "an e-mail address",
                |text| crate::text::email_address(text).map(Some),
            ),
            operator_password: check.take(
                ("operator-password", "ALLCLEAR_OPERATOR_PASSWORD"),
                given.operator_password,
                None,
                "12 to 200 characters",
                |text| {
                    (12..=200)
                        .contains(&text.chars().count())
                        .then(|| Some(text.to_owned()))
                },
            ),
            access_token_lifetime: check.duration(
                ("access-token-lifetime", "ALLCLEAR_ACCESS_TOKEN_LIFETIME"),
                given.access_token_lifetime,
                TimeDelta::minutes(15),
            ),
            session_lifetime: check.duration(
                ("session-lifetime", "ALLCLEAR_SESSION_LIFETIME"),
                given.session_lifetime,
                TimeDelta::days(30),
            ),
            session_idle: check.duration(
                ("session-idle", "ALLCLEAR_SESSION_IDLE"),
                given.session_idle,
                TimeDelta::days(7),
            ),
            staff_need_second_factor: check.take(
                ("second-factor", "ALLCLEAR_SECOND_FACTOR"),
                given.second_factor,
                false,
                "`nobody` or `staff`",
                |text| match text {
                    "staff" => Some(true),
                    "nobody" => Some(false),
                    _ => None,
                },
            ),
            reopen_window: check.take(
                ("reopen-window", "ALLCLEAR_REOPEN_WINDOW"),
                given.reopen_window,
                Some(TimeDelta::days(7)),
                "`unlimited` or a duration, such as `7days`",
                |text| {
                    if text == "unlimited" {
                        Some(None)
                    } else {
                        duration(text).map(Some)
                    }
                },
            ),
            incident_reopen_window: check.duration(
                ("incident-reopen-window", "ALLCLEAR_INCIDENT_REOPEN_WINDOW"),
                given.incident_reopen_window,
                TimeDelta::hours(24),
            ),
            mail_lease: check.duration(
                ("mail-lease", "ALLCLEAR_MAIL_LEASE"),
                given.mail_lease,
                TimeDelta::seconds(15),
            ),
            mail_in_flight: usize::try_from(check.number(
                ("mail-in-flight", "ALLCLEAR_MAIL_IN_FLIGHT"),
                given.mail_in_flight,
                64,
                1000,
            ))
            .unwrap_or(64),
            mail_deadline: check.duration(
                ("mail-deadline", "ALLCLEAR_MAIL_DEADLINE"),
                given.mail_deadline,
                TimeDelta::days(3),
            ),
            mail_rate: check.limit(("mail-rate", "ALLCLEAR_MAIL_RATE"), given.mail_rate, 1_000_000),
            mail_rate_per_domain: check.limit(
                ("mail-rate-per-domain", "ALLCLEAR_MAIL_RATE_PER_DOMAIN"),
                given.mail_rate_per_domain,
                1_000_000,
            ),
            mail_connections_per_domain: check
                .limit(
                    (
                        "mail-connections-per-domain",
                        "ALLCLEAR_MAIL_CONNECTIONS_PER_DOMAIN",
                    ),
                    given.mail_connections_per_domain,
                    1000,
                )
                .and_then(|most| usize::try_from(most.get()).ok()),
            mail_grace: check.take(
                ("mail-grace", "ALLCLEAR_MAIL_GRACE"),
                given.mail_grace,
                TimeDelta::zero(),
                "a duration from 0s to 1day",
                pause,
            ),
            mail_daily_cap: check.limit(
                ("mail-daily-cap", "ALLCLEAR_MAIL_DAILY_CAP"),
                given.mail_daily_cap,
                1_000_000,
            ),
            inbound: check.inbound(
                given.inbound_domain,
                given.inbound_listen,
                given.inbound_limit,
                given.inbound_authserv_id,
            ),
            files: check.files_of_requests(GivenFiles {
                place: given.attachments,
                most_of_file: given.attachment_limit,
                most_of_mail: given.attachments_per_mail,
                most_of_request: given.attachments_per_request,
                endpoint: given.s3_endpoint,
                region: given.s3_region,
                key_id: given.s3_access_key_id,
                key: given.s3_secret_access_key,
            }),
            http_workers: check.take(
                ("http-workers", "ALLCLEAR_HTTP_WORKERS"),
                given.http_workers,
                None,
                "a whole number from 1 to 256",
                workers,
            ),
            trusted_proxies: check.take(
                ("trusted-proxies", "ALLCLEAR_TRUSTED_PROXIES"),
                given.trusted_proxies,
                Vec::new(),
                "addresses and networks, such as `10.0.0.0/8,192.0.2.1`",
                |text| each(text, network),
            ),
            allowed_origins: check.take(
                ("allowed-origins", "ALLCLEAR_ALLOWED_ORIGINS"),
                given.allowed_origins,
                Vec::new(),
                "origins, such as `https://admin.example,http://localhost:3000`",
                |text| each(text, origin),
            ),
            rate_limit: check.rate(("rate-limit", "ALLCLEAR_RATE_LIMIT"), given.rate_limit, 1000),
            refusal_limit: check.rate(
                ("refusal-limit", "ALLCLEAR_REFUSAL_LIMIT"),
                given.refusal_limit,
                100,
            ),
            client_timeout: check.time_limit(
                ("client-timeout", "ALLCLEAR_CLIENT_TIMEOUT"),
                given.client_timeout,
                Duration::from_secs(30),
            ),
            max_connections: usize::try_from(check.number(
                ("max-connections", "ALLCLEAR_MAX_CONNECTIONS"),
                given.max_connections,
                20_000,
                1_000_000,
            ))
            .unwrap_or(20_000),
            tls: check.files(given.tls_certificate, given.tls_key),
            log: check.take(
                ("log", "ALLCLEAR_LOG"),
                given.log,
                "info".to_owned(),
                "filters, such as `info` or `allclear=debug,warn`",
                |text| {
                    tracing_subscriber::EnvFilter::try_new(text)
                        .ok()
                        .map(|_| text.to_owned())
                },
            ),
            log_json: check.take(
                ("log-format", "ALLCLEAR_LOG_FORMAT"),
                given.log_format,
                false,
                "`text` or `json`",
                |text| match text {
                    "json" => Some(true),
                    "text" => Some(false),
                    _ => None,
                },
            ),
            data_dir,
        }
    }

    /// Settings of a server of one's own in `data_dir`, on a free port: what `demo`, `replay` and tests start.
    pub fn private(data_dir: PathBuf) -> Self {
        let mut settings = Self::from_given(Given::default(), &mut Vec::new());
        #[expect(clippy::disallowed_methods, reason = "this is the place")]
        let url = std::env::var("DATABASE_URL")
            .ok()
            .and_then(|text| url_of(&["postgres", "postgresql"])(&text));
        settings.database = url.map_or_else(
            || Location::Sqlite(data_dir.join("allclear.sqlite")),
            Location::Postgres,
        );
        settings.listen = "127.0.0.1:0".to_owned();
        settings.data_dir = data_dir;
        settings
    }

    /// Where mail is written when there is no server to send it to.
    pub fn mail_dir(&self) -> PathBuf {
        self.data_dir.join("mail")
    }

    /// Where the files of requests are when no other place is set.
    pub fn attachments_dir(&self) -> PathBuf {
        self.data_dir.join("attachments")
    }
}

fn default_sender() -> Mailbox {
    let address = lettre::Address::new("allclear", "localhost");
    // Both halves are valid; there is no address to fall back to if they were not.
    #[expect(clippy::expect_used, reason = "a constant")]
    Mailbox::new(Some("Allclear".to_owned()), address.expect("a valid address"))
}

#[cfg(test)]
mod tests;
