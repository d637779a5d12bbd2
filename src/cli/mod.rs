//! The command line: a file each, and the settings that they share.

mod audit;
mod client;
mod demo;
mod doctor;
mod host;
mod receive;
mod replay;
mod simulate;
mod tenants;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app;
use crate::clock::Clock;
use crate::db::{self, Location, Scope};
use crate::identity::keys::{self, Secret};
use crate::identity::{self, Role, rights, store};
use crate::problem::Problem;
use crate::settings::{Given, Settings};
use crate::text;

/// The support desk behind a hosted service.
#[derive(Parser)]
#[command(name = "allclear", version, about, propagate_version = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API and do the work behind it
    Serve(Given),
    /// Play the incidents this product was made for, against a server of its own
    Demo(demo::DemoArgs),
    /// Bring the database up to date and say what that took
    Migrate(Given),
    /// Drive a server through its API with real histories
    Replay(replay::ReplayArgs),
    /// Play a year of a desk that follows the sun, against a server of its own, and report what came of it
    Simulate(simulate::SimulateArgs),
    /// Print the OpenAPI document
    Spec,
    /// Print who may do what, as the tables of docs/rights.md
    Rights,
    /// Look after the keys that sign access tokens
    Keys(KeysArgs),
    /// Hand a tenant its data, or erase them
    Tenants(tenants::TenantsArgs),
    /// Look after the audit
    Audit(audit::AuditArgs),
    /// Ask whether what must always be so of the data is so; servers may run meanwhile
    Doctor(doctor::DoctorArgs),
    /// Take a mail that comes in, from standard input: for a mail server's pipe; exits as sysexits.h has it
    Receive(receive::ReceiveArgs),
    /// Mint an access token for somebody, for development
    Token(TokenArgs),
}

#[derive(clap::Args)]
struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Make a new key that signs from now on; tokens of the old ones live out their time, nothing restarts
    Rotate(Given),
    /// Print what the DNS has to say of the key that signs mail (DKIM), as a line of a zone
    Dkim(Given),
}

#[derive(clap::Args)]
struct TokenArgs {
    /// Who: an e-mail address of the installation
    #[arg(long)]
    email: String,
    /// At which tenant, for somebody who belongs to several
    #[arg(long)]
    tenant_id: Option<db::TenantId>,
    #[command(flatten)]
    given: Given,
}

/// Why a command ended badly.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command line.
pub fn main() -> ExitCode {
    // One provider of TLS for whoever needs one; an error only says that there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let line = Line::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(run(line.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &Failure) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "allclear: {error}");
    let not_taken = error.downcast_ref::<receive::NotTaken>();
    not_taken.map_or(ExitCode::FAILURE, |reason| ExitCode::from(reason.code))
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(given) => serve(given.check()?).await,
        Command::Demo(args) => Ok(demo::run(args).await?),
        Command::Migrate(given) => migrate(&given.check()?),
        Command::Replay(args) => match replay::run(args).await? {
            true => Ok(()),
            false => Err("the replay did not end as its logs do, or when they do, or mail is missing".into()),
        },
        Command::Simulate(args) => match simulate::run(args).await? {
            true => Ok(()),
            false => Err(
                "somebody was stranded, an instant was not covered, a count differs, or mail is missing"
                    .into(),
            ),
        },
        Command::Spec => print(&spec()?),
        Command::Rights => print(rights::markdown().trim_end()),
        Command::Keys(args) => match args.command {
            KeysCommand::Rotate(given) => rotate_keys(given.check()?).await,
            KeysCommand::Dkim(given) => match app::signer(&given.check()?)? {
                Some(signer) => print(signer.record()),
                None => Err("mail is not signed: `dkim-key` and `dkim-selector` are not set".into()),
            },
        },
        Command::Tenants(args) => tenants::run(args).await,
        Command::Audit(args) => audit::run(args).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::Receive(args) => receive::run(args).await,
        Command::Token(args) => token(args).await,
    }
}

fn print(text: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// The OpenAPI document, as it is kept in `api-spec/`.
pub fn spec() -> Result<String, serde_json::Error> {
    app::document().to_pretty_json()
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    log(&settings)?;
    let public_url = settings.public_url.clone();
    let running = app::start(settings, Clock::system()).await?;
    print(&format!(
        "Allclear listens on {} (docs: {}/docs/)",
        running.url, running.url
    ))?;
    if let Some(operator) = &running.first_operator {
        let password = operator
            .password
            .as_deref()
            .unwrap_or("the one in ALLCLEAR_OPERATOR_PASSWORD");
        print(&format!(
            "The first operator signs in at {public_url}/v1/auth/login: {} with password {password}\nThis is said once.",
            operator.email
        ))?;
    }
    running.wait().await;
    Ok(())
}

fn log(settings: &Settings) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_new(&settings.log)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if settings.log_json {
        log.json().init()
    } else {
        log.init()
    }
    Ok(())
}

fn migrate(settings: &Settings) -> Result<(), Failure> {
    if let Location::Sqlite(_) = settings.database {
        app::make_private_dir(&settings.data_dir)?;
    }
    let applied = db::migrate(&settings.database)?;
    match applied.as_slice() {
        [] => print("the database is up to date"),
        applied => print(&format!("applied {}", applied.join(", "))),
    }
}

async fn rotate_keys(settings: Settings) -> Result<(), Failure> {
    let clock = Clock::system();
    let db = app::prepare(&settings, &clock).await?.db;
    let secret = Secret::load(settings.secret.as_deref(), &settings.data_dir)?;
    let (lifetime, now) = (settings.access_token_lifetime, clock.now().into());
    let rotated = db.write(Scope::of_system(), move |conn| {
        keys::rotate(conn, &secret, lifetime, now)
    });
    let (kid, kept) = rotated.await?;
    print(&format!(
        "key {kid} signs from now on, in running servers within a minute; {kept} older are still good"
    ))
}

async fn token(args: TokenArgs) -> Result<(), Failure> {
    let settings = args.given.check()?;
    let clock = Clock::system();
    let ground = app::prepare(&settings, &clock).await?;
    let unknown = || Problem::not_found("person with this address in this installation");
    let email = text::email_address(&args.email).ok_or_else(unknown)?;
    let memberships = ground
        .db
        .read(Scope::of_system(), move |conn| {
            let person = store::person_by_email(conn, &email)?.ok_or_else(unknown)?;
            store::memberships_of(conn, person.id)
        })
        .await?;
    let membership = identity::actions::choose_membership(memberships, args.tenant_id)?;
    let (minted, now) = (membership.clone(), clock.now().into());
    ground
        .db
        .write(Scope::of_system(), move |conn| {
            identity::actions::note_minted(conn, &minted, now)
        })
        .await?;
    let (person, tenant, role): (_, _, Role) = (membership.person_id, membership.tenant_id, membership.role);
    print(&ground.tokens.mint(person, tenant, role, now)?)
}
