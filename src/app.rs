//! THE FRONT DOOR: every slice's routes on one page, what each call passes, and a server that runs.

mod document;
mod post;
mod tls;

use std::fs::{DirBuilder, File};
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::ServerHandle;
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App, HttpResponse, HttpServer, get, web};
use chrono::TimeDelta;
use prometheus::{Encoder as _, IntGaugeVec, Opts, Registry, TextEncoder};
use socket2::SockRef;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use utoipa_actix_web::{AppExt as _, scope};
use utoipa_swagger_ui::SwaggerUi;

pub use document::document;
pub use post::inbox;

use crate::clock::Clock;
use crate::db::{Connection, Db, Location, Moment, Scope};
use crate::http::bell::Bell;
use crate::http::body;
use crate::http::limits::Limits;
use crate::http::porch::{self, Counts, Routes, porch};
use crate::http::traffic::Traffic;
use crate::http::{Cursors, Uploads};
use crate::identity::bootstrap::{self, FirstOperator};
use crate::identity::keys::{Keys, Secret};
use crate::identity::session::Policy;
use crate::identity::tokens::Tokens;
use crate::identity::{self, Door, Remembered};
use crate::journal::ChainKey;
use crate::mail::dkim::Signer;
use crate::mail::meters::Meters;
use crate::mail::transport::{self, Transport};
use crate::mail::{self, Composer, Dispatcher, Rehearsal, Render};
use crate::notify::messages::{Messages, Templates};
use crate::problem::{Code, Problem};
use crate::requests::attachments::Shelf;
use crate::settings::Settings;
use crate::worker::Worker;
use crate::{audit, catalog, incidents, journal, notify, queues, requests, sla};

/// Every route under `/v1`, slice by slice.
// Tried in this order: the busiest first.
fn routes(config: &mut utoipa_actix_web::service_config::ServiceConfig<'_>) {
    config
        .configure(requests::api::routes)
        .configure(incidents::api::routes)
        .configure(identity::api::routes)
        .configure(catalog::api::routes)
        .configure(queues::api::routes)
        .configure(sla::api::routes)
        .configure(mail::api::routes)
        .configure(mail::suppressions::api::routes)
        .configure(notify::api::routes)
        .configure(audit::api::routes);
}

/// The paths of what belongs to tenants, and how one asks whose it is.
const OF_TENANTS: &[(&str, identity::IsOf)] = &[
    ("/v1/service-requests/{id}", requests::store::is_of),
    ("/v1/users/{id}", identity::store::is_user_of),
    ("/v1/tenants/{id}", identity::store::is_itself),
    ("/v1/api-keys/{id}", identity::api_key::store::is_of),
    ("/v1/identity-providers/{id}", identity::sso::store::is_of),
    ("/v1/suppressions/{id}", mail::suppressions::store::is_of),
];

/// A server that runs, with what it made.
pub struct Running {
    /// Where it listens: `http://127.0.0.1:8080`.
    pub url: String,
    /// How the first operator signs in, if this start made one.
    pub first_operator: Option<FirstOperator>,
    /// Where mail is handed in, if it is: `lmtp://127.0.0.1:2400`.
    pub inbound: Option<String>,
    /// Its database, for tests and for commands that look in.
    pub db: Db,
    /// Its files, for the same.
    pub shelf: Shelf,
    /// Its background, for tests that step it.
    pub worker: Worker,
    /// Mints and checks its tokens.
    pub tokens: Tokens,
    server: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    stop: watch::Sender<bool>,
    bell: Bell,
    traffic: Traffic,
    loops: Vec<JoinHandle<()>>,
    door: Option<JoinHandle<()>>,
    _in_use: Option<File>,
}

/// Everything a server stands on, before it listens.
pub struct Ground {
    /// The database.
    pub db: Db,
    /// Mints and checks tokens.
    pub tokens: Tokens,
    /// How the first operator signs in, if this start made one.
    pub first_operator: Option<FirstOperator>,
    secret: Secret,
}

/// Opens database and keys; makes the first of everything.
pub async fn prepare(settings: &Settings, clock: &Clock) -> Result<Ground, Problem> {
    make_private_dir(&settings.data_dir)?;
    let secret = Secret::load(settings.secret.as_deref(), &settings.data_dir)?;
    let (location, connections) = (settings.database.clone(), settings.database_connections);
    let work_url = settings.database_work_url.clone();
    let db = tokio::task::spawn_blocking(move || Db::open(&location, work_url.as_deref(), connections))
        .await
        .map_err(Problem::internal)??;
    let now = clock.now().into();
    let first_operator = bootstrap::first_operator(&db, settings, now).await?;
    let keys = Keys::load(&db, &secret, now).await?;
    let tokens = Tokens::new(keys, settings.public_url.clone(), settings.access_token_lifetime);
    Ok(Ground {
        db,
        tokens,
        first_operator,
        secret,
    })
}

/// Starts a server and its background.
pub async fn start(settings: Settings, clock: Clock) -> Result<Running, Problem> {
    let mut running = open(settings, clock).await?;
    running.begin();
    Ok(running)
}

/// Starts a server without its background: whoever opens it steps [`Running::worker`].
pub async fn open(settings: Settings, clock: Clock) -> Result<Running, Problem> {
    make_private_dir(&settings.data_dir)?;
    let in_use = match settings.database {
        Location::Sqlite(_) => Some(take_data_dir(&settings.data_dir)?),
        Location::Postgres(_) => None,
    };
    let Ground {
        db,
        tokens,
        first_operator,
        secret,
    } = prepare(&settings, &clock).await?;
    if in_use.is_some() {
        // Nobody else can be alive: what the last process had in its hands is taken up at once.
        db.write(Scope::of_system(), mail::leases::release_all).await?;
    }
    let bell = Bell::default();
    let registry = Registry::new();
    let templates = Templates::load(settings.mail_templates.as_deref()).map_err(Problem::internal)?;
    let messages = Messages::new(
        &settings.public_url,
        secret.clone(),
        templates,
        settings.inbound.is_some(),
    )?;
    let messages = Arc::new(messages);
    let dispatcher = dispatcher(&settings, (&db, &clock), (messages.clone(), &secret), &registry)?;
    let numbers = Metrics::new(registry, Arc::clone(&dispatcher))?;
    let shelf = Shelf::open(&settings)?;
    let worker = Worker::new(
        (db.clone(), clock.clone(), shelf.clone()),
        dispatcher,
        tokens.keys().clone(),
        chain_key(&secret),
        settings.reopen_window,
        settings.mail_grace,
    );
    let (stop, _) = watch::channel(false);
    let traffic = Traffic::default();
    let (server, url) = listen(
        &settings,
        &clock,
        &db,
        (&tokens, &messages),
        (&bell, &traffic, numbers),
        (&secret, &shelf),
    )?;
    let ground = (db.clone(), clock, bell.clone());
    let (inbound, door) = post::open(&settings, ground, (&secret, &shelf), stop.subscribe())
        .await?
        .unzip();
    tracing::info!(url, inbound, engine = db.engine(), "serving");
    Ok(Running {
        url,
        inbound,
        door,
        shelf,
        first_operator,
        db,
        worker,
        tokens,
        server: server.handle(),
        serving: tokio::spawn(server),
        stop,
        bell,
        traffic,
        loops: Vec::new(),
        _in_use: in_use,
    })
}

/// What the events of an installation are sealed with.
pub fn chain_key(secret: &Secret) -> ChainKey {
    ChainKey::new(&secret.derive("audit"))
}

fn listen(
    settings: &Settings,
    clock: &Clock,
    db: &Db,
    (tokens, messages): (&Tokens, &Arc<Messages>),
    (bell, traffic, numbers): (&Bell, &Traffic, Metrics),
    (secret, shelf): (&Secret, &Shelf),
) -> Result<(actix_web::dev::Server, String), Problem> {
    let counts = web::Data::new(Counts::new(&numbers.registry).map_err(Problem::internal)?);
    let document = document();
    let known = web::Data::new(Routes::of(&document));
    let door = web::Data::new(Door::of(&document, OF_TENANTS)?);
    let metrics_data = web::Data::new(numbers);
    let settings_data = web::Data::new(settings.clone());
    let clock = web::Data::new(clock.clone());
    let db = web::Data::new(db.clone());
    let tokens = web::Data::new(tokens.clone());
    let words: Arc<dyn Render> = Arc::<Messages>::clone(messages);
    let rehearsal = web::Data::new(Rehearsal::new(words, Arc::new(notify::audience::Everybody)));
    let messages = web::Data::from(Arc::clone(messages));
    let bell = web::Data::new(bell.clone());
    let traffic = web::Data::new(traffic.clone());
    let cursors = web::Data::new(Cursors::new(&secret.derive("cursors")));
    let remembered = web::Data::new(Remembered::default());
    let policy = web::Data::new(Policy::of(settings));
    let issuers = web::Data::new(identity::sso::Issuers::new(clock.get_ref().clone())?);
    let secret = web::Data::new(secret.clone());
    let (shelf, uploads) = (web::Data::new(shelf.clone()), web::Data::new(Uploads::default()));
    let limits = web::Data::new(Limits::new(settings.rate_limit, settings.refusal_limit, &clock));
    let origins = settings.allowed_origins.clone();
    let failed =
        |error: std::io::Error| Problem::internal(format!("cannot listen on {}: {error}", settings.listen));
    let listener = TcpListener::bind(&settings.listen).map_err(failed)?;
    // A client that takes nothing of its answer for so long is gone: the kernel says so, since nobody else asks. What
    // is accepted has it from the listener.
    SockRef::from(&listener)
        .set_tcp_user_timeout(Some(settings.client_timeout))
        .map_err(failed)?;
    let tls = match &settings.tls {
        Some((certificate, key)) => Some(tls::config(certificate, key)?),
        None => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", listener.local_addr().map_err(failed)?);
    let factory = move || {
        App::new()
            // The last one is the outermost.
            .wrap(from_fn(identity::guard))
            .wrap(Condition::new(!origins.is_empty(), cors(&origins)))
            .wrap(from_fn(porch))
            .app_data(counts.clone())
            .app_data(known.clone())
            .app_data(door.clone())
            .app_data(metrics_data.clone())
            .app_data(settings_data.clone())
            .app_data(clock.clone())
            .app_data(db.clone())
            .app_data(tokens.clone())
            .app_data(messages.clone())
            .app_data(bell.clone())
            .app_data(traffic.clone())
            .app_data(cursors.clone())
            .app_data(remembered.clone())
            .app_data(policy.clone())
            .app_data(issuers.clone())
            .app_data(secret.clone())
            .app_data(shelf.clone())
            .app_data(uploads.clone())
            .app_data(rehearsal.clone())
            .app_data(limits.clone())
            .app_data(web::PayloadConfig::new(body::LIMIT))
            .app_data(web::PathConfig::default().error_handler(|_, _| Problem::not_found("such id").into()))
            .into_utoipa_app()
            .service(identity::api::jwks)
            .service(healthz)
            .service(readyz)
            .service(metrics)
            .service(scope::scope("/v1").configure(routes))
            .into_app()
            .service(SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", document.clone()))
            .service(web::redirect("/docs", "/docs/"))
            .service(identity::page::password)
            .service(identity::page::invitation)
            .service(identity::page::script)
            .default_service(web::route().to(porch::unmatched))
    };
    let workers = settings
        .http_workers
        .or_else(|| std::thread::available_parallelism().ok().map(NonZeroUsize::get))
        .unwrap_or(1);
    let patience = settings.client_timeout;
    let server = HttpServer::new(factory)
        .disable_signals()
        .workers(workers)
        .max_connections(settings.max_connections.div_ceil(workers))
        .client_request_timeout(patience)
        .client_disconnect_timeout(Duration::from_secs(1))
        .keep_alive(Duration::from_secs(75))
        .shutdown_timeout(10);
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls),
        None => server.listen(listener),
    };
    Ok((server.map_err(failed)?.run(), url))
}

/// Pages of these origins may call, with a bearer token and without cookies.
fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([
            "authorization",
            "content-type",
            "if-match",
            "idempotency-key",
            "x-request-id",
        ])
        .expose_headers([
            "etag",
            "location",
            "retry-after",
            "ratelimit",
            "ratelimit-policy",
            "x-request-id",
        ])
        .max_age(600);
    origins
        .iter()
        .fold(cors, |cors, origin| cors.allowed_origin(origin))
}

impl Running {
    /// Starts the background of a server that was opened without.
    pub fn begin(&mut self) {
        self.loops = self
            .worker
            .start(&self.bell, &self.traffic, &self.stop.subscribe());
    }

    /// Serves until Ctrl-C or SIGTERM, then stops.
    pub async fn wait(self) {
        let terminated = async {
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(mut signal) => {
                    signal.recv().await;
                }
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminated => {}
        }
        tracing::info!("stopping");
        self.stop().await;
    }

    /// Answers what is under way, ends the background after its step, and is gone.
    pub async fn stop(self) {
        self.server.stop(true).await;
        let _ = self.stop.send(true);
        self.worker.wind_up();
        for background in self.loops.into_iter().chain(self.door) {
            let _ = background.await;
        }
        let _ = self.serving.await;
    }
}

fn dispatcher(
    settings: &Settings,
    (db, clock): (&Db, &Clock),
    (messages, secret): (Arc<dyn Render>, &Secret),
    registry: &Registry,
) -> Result<Arc<Dispatcher>, Problem> {
    let meters = Meters::new(registry).map_err(Problem::internal)?;
    let transport = transport(settings, clock.clone())?;
    let base = (db.clone(), clock.clone());
    let addresses = post::addresses(settings, secret);
    let composer = Composer::new(messages, signer(settings)?, settings.mail_from.clone(), addresses);
    Ok(Arc::new(Dispatcher::new(
        base, transport, composer, meters, settings,
    )))
}

fn transport(settings: &Settings, clock: Clock) -> Result<Transport, Problem> {
    let limits = transport::Limits {
        connections: settings.smtp_connections,
        patience: settings.smtp_timeout,
        rate: settings.mail_rate,
    };
    let bad = |setting: &'static str| move |error| Problem::internal(format!("setting {setting}: {error}"));
    let Some(url) = &settings.smtp_url else {
        let files = Transport::files(&settings.mail_dir(), settings.mail_in_flight, clock);
        return files.map_err(Problem::internal);
    };
    let transport = Transport::smtp(url, limits, clock).map_err(bad("`smtp-url` (SMTP_URL)"))?;
    match &settings.smtp_fallback_url {
        Some(url) => {
            let bad = bad("`smtp-fallback-url` (ALLCLEAR_SMTP_FALLBACK_URL)");
            transport.or_else(url, limits).map_err(bad)
        }
        None => Ok(transport),
    }
}

/// Who signs the mail, if anybody does.
pub fn signer(settings: &Settings) -> Result<Option<Signer>, Problem> {
    let signer = settings.dkim.as_ref().map(Signer::load).transpose();
    signer.map_err(Problem::internal)
}

/// Makes a directory that only its owner enters.
pub fn make_private_dir(dir: &Path) -> Result<(), Problem> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| Problem::internal(format!("cannot make {}: {error}", dir.display())))
}

/// SQLite is one process's: a second server on the same data directory is refused.
fn take_data_dir(dir: &Path) -> Result<File, Problem> {
    let path = dir.join("lock");
    let failed = |error: &dyn std::fmt::Display| {
        Problem::internal(format!("another server may be using {}: {error}", dir.display()))
    };
    let file = File::create(&path).map_err(|error| failed(&error))?;
    file.try_lock().map_err(|error| failed(&error))?;
    Ok(file)
}

/// The process is alive
#[utoipa::path(tag = "root", responses((status = 200, description = "alive")))]
#[get("/healthz")]
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "ok"}))
}

/// The process can do its work
#[utoipa::path(tag = "root", responses((status = 200, description = "ready")))]
#[get("/readyz")]
async fn readyz(db: web::Data<Db>) -> Result<HttpResponse, Problem> {
    let asked = db.read(Scope::of_system(), |conn| {
        let backlog = journal::backlog(conn, journal::Reader::Notify)?;
        Ok((backlog, queues::findings::count(conn)?))
    });
    let (backlog, findings) = asked
        .await
        .map_err(|_| Problem::new(Code::Unavailable, "the database cannot be reached"))?;
    let detail = serde_json::json!({
        "status": "ok",
        "checks": {"database": {"status": "ok", "engine": db.engine()}, "journal": {"status": "ok", "unread": backlog},
            // Not this process's to mend: it is ready all the same.
            "coverage": {"status": if findings == 0 { "ok" } else { "gaps" }, "findings": findings}},
    });
    Ok(HttpResponse::Ok().json(detail))
}

/// The numbers of this installation.
struct Metrics {
    registry: Registry,
    dispatcher: Arc<Dispatcher>,
    desk: IntGaugeVec,
    deliveries: IntGaugeVec,
    queue: IntGaugeVec,
    relays: IntGaugeVec,
}

impl Metrics {
    fn new(registry: Registry, dispatcher: Arc<Dispatcher>) -> Result<Self, Problem> {
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let made = || {
            Ok::<_, prometheus::Error>((
                gauge("allclear_desk", "What there is to do, by kind", &["kind"])?,
                gauge("allclear_deliveries", "Messages in the ledger", &["state"])?,
                gauge(
                    "allclear_mail_queue",
                    "Messages that wait, and for how many seconds the first has been due",
                    &["lane", "of"],
                )?,
                gauge(
                    "allclear_mail_relay",
                    "Relays: 0 is trusted, 1 being tried, 2 left alone",
                    &["relay"],
                )?,
            ))
        };
        let (desk, deliveries, queue, relays) = made().map_err(Problem::internal)?;
        Ok(Self {
            registry,
            dispatcher,
            desk,
            deliveries,
            queue,
            relays,
        })
    }

    fn set_deliveries(&self, totals: &[(mail::DeliveryState, i64)]) {
        for state in mail::DeliveryState::ALL {
            let found = totals.iter().find(|(found, _)| found == state);
            let count = found.map_or(0, |(_, count)| *count);
            self.deliveries.with_label_values(&[state.as_str()]).set(count);
        }
    }

    fn set_sending(&self, queues: &[(mail::Priority, (i64, TimeDelta))]) {
        for (lane, (depth, age)) in queues {
            let queue = |of| self.queue.with_label_values(&[lane.as_str(), of]);
            queue("depth").set(*depth);
            queue("age_seconds").set(age.num_seconds());
        }
        for (relay, grade) in self.dispatcher.relays() {
            self.relays.with_label_values(&[relay]).set(grade);
        }
    }
}

/// How many messages wait in each lane, and for how long.
fn mail_queues(
    conn: &mut Connection,
    now: Moment,
) -> Result<Vec<(mail::Priority, (i64, TimeDelta))>, Problem> {
    let lanes = mail::Priority::ALL.into_iter();
    lanes
        .map(|lane| Ok((lane, mail::leases::queue(conn, lane, now)?)))
        .collect()
}

/// The numbers of the desk, counted when they are asked for.
fn desk_numbers(conn: &mut Connection, now: Moment) -> Result<Vec<(&'static str, i64)>, Problem> {
    let (unsealed, age) = journal::unsealed(conn, now)?;
    let (marks, late) = requests::sla::overdue(conn, now)?;
    Ok(vec![
        ("active_incidents", incidents::store::count_active(conn)?),
        ("overdue_updates", incidents::store::overdue_updates(conn, now)?),
        ("open_requests", requests::store::count_open(conn)?),
        (
            "stranded_requests",
            requests::line::climb::stranded(conn, now)?
                .iter()
                .map(|group| group.count)
                .sum(),
        ),
        ("unread_events", journal::backlog(conn, journal::Reader::Notify)?),
        ("unsealed_events", unsealed),
        ("unsealed_seconds", age),
        ("overdue_marks", marks),
        ("overdue_marks_seconds", late),
        ("coverage_findings", queues::findings::count(conn)?),
        ("told_without_end", mail::told::count_without_end(conn, now)?),
    ])
}

/// Numbers for Prometheus
#[utoipa::path(tag = "root", responses((status = 200, description = "the text format of Prometheus")))]
#[get("/metrics")]
async fn metrics(
    metrics: web::Data<Metrics>,
    db: web::Data<Db>,
    clock: web::Data<Clock>,
) -> Result<HttpResponse, Problem> {
    let now = clock.now().into();
    let counted = db.snapshot(Scope::of_system(), move |conn| {
        Ok((
            desk_numbers(conn, now)?,
            mail::store::totals(conn)?,
            mail_queues(conn, now)?,
        ))
    });
    let (desk, totals, queues) = counted.await?;
    for (kind, count) in desk {
        metrics.desk.with_label_values(&[kind]).set(count);
    }
    metrics.set_deliveries(&totals);
    metrics.set_sending(&queues);
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(&metrics.registry.gather(), &mut text)
        .map_err(Problem::internal)?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4")
        .body(text))
}
