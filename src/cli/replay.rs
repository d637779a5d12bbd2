//! `allclear replay`: drives a server through its API with the histories of real desks.
//!
//! `docs/replay.md` says what every word of the logs comes to. The files of this folder stand in one line:
//! `histories` reads, `timeline`, `life` and `cast` translate, `oracle` says what must come out, `plan` puts everything
//! in one order, `stage` makes people and queues, `run` drives, `books` and `mails` keep count, `times` compares how long
//! it took, `table` prints.

mod books;
mod cast;
#[cfg(test)]
mod examples;
mod histories;
mod life;
mod mails;
mod oracle;
mod plan;
mod run;
mod server;
mod stage;
mod table;
mod timeline;
mod times;
mod words;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::DateTime;
use indicatif::{ProgressBar, ProgressStyle};

use self::books::Books;
use self::histories::Unreadable;
use self::mails::Mails;
use self::plan::Plan;
use self::run::Driver;
use self::server::Server;
use self::table::Summary;
use self::times::{Measured, Times};
use super::client::{Client, Refused};
use super::host::{self, HostError};

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplayArgs {
    /// The log of incidents: one JSON object a line
    #[arg(long, value_name = "FILE")]
    incidents: PathBuf,
    /// The log of tickets: CSV with a header
    #[arg(long, value_name = "FILE")]
    tickets: PathBuf,
    /// The server to replay against; without it, one of its own whose clock follows the logs
    #[arg(long)]
    url: Option<String>,
    /// E-mail address of an operator of the server at --url
    #[arg(long, env = "ALLCLEAR_OPERATOR_EMAIL", value_name = "ADDRESS")]
    email: Option<String>,
    /// Password of that operator
    #[arg(long, env = "ALLCLEAR_OPERATOR_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// How many steps may be in flight
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256), value_name = "N")]
    concurrency: u16,
    /// End with one line of JSON instead of the table
    #[arg(long)]
    json: bool,
}

/// Why a replay could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A log cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The server of one's own does not start, or not end, as it should.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A call failed without which there is no replay.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Nobody to sign in as.
    #[error("--url needs an operator of that server: give --email and --password")]
    Credentials,
    /// The ledger says something else than the mail directory.
    #[error("{files} mails were written, and the ledger says {ledger}")]
    Ledger {
        /// Mails in the directory.
        files: usize,
        /// Mails in the ledger.
        ledger: usize,
    },
    /// The summary cannot be written.
    #[error("cannot write the summary: {0}")]
    Output(#[from] io::Error),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// A step has panicked.
    #[error("a step failed: {0}")]
    Step(#[from] tokio::task::JoinError),
}

/// What was read back at the end.
struct Found {
    states: BTreeMap<String, usize>,
    mismatches: usize,
    mails_sent: usize,
    ledger: usize,
    times: Option<Times>,
}

/// Replays both logs and prints what came of it; true when every state, every time and every mail is as it must be.
pub async fn run(args: ReplayArgs) -> Result<bool, ReplayError> {
    let began = Instant::now();
    let incidents = histories::read_incidents(&args.incidents)?;
    let tickets = histories::read_tickets(&args.tickets)?;
    let plan = Arc::new(Plan::of(&incidents, &tickets, &label()));
    let bar = progress();
    bar.set_message("setting the stage");
    let server = Server::of(&args, plan.begin().unwrap_or(DateTime::UNIX_EPOCH)).await?;
    let played = tokio::select! {
        played = play(&args, &plan, &server, &bar) => played,
        _ = tokio::signal::ctrl_c() => Err(ReplayError::Interrupted),
    };
    let seconds = (began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    bar.set_message("clearing away");
    let files = server.stop().await;
    bar.finish_and_clear();
    let (driver, found) = played?;
    let summary = Summary {
        incidents: plan.incidents.len(),
        tickets: plan.tickets.len(),
        events: plan.events,
        refused: driver.books.refusals(),
        ignored: plan.ignored,
        final_states: found.states,
        final_state_mismatches: found.mismatches,
        mails_due: driver.books.mails_due(),
        mails_sent: found.mails_sent,
        times: found.times,
        seconds,
    };
    remark(&driver)?;
    let mut out = io::stdout().lock();
    if args.json {
        summary.line(&mut out)?
    } else {
        summary.table(&mut out)?
    }
    match files? {
        Some(files) if files != found.ledger => Err(ReplayError::Ledger {
            files,
            ledger: found.ledger,
        }),
        _ => Ok(summary.is_right()),
    }
}

/// From the empty stage to the last check.
async fn play(
    args: &ReplayArgs,
    plan: &Arc<Plan>,
    server: &Server,
    bar: &ProgressBar,
) -> Result<(Arc<Driver>, Found), ReplayError> {
    let at_once = usize::from(args.concurrency);
    let client = Client::new(&server.url)?;
    let operator = client.sign_in(&server.email, &server.password).await?;
    let mails = Mails::new(operator.clone());
    if server.clock().is_some() {
        stage::promise(&operator).await?;
    }
    let stage = stage::set(&client, operator, &plan.cast, at_once, &host::secret()).await?;
    let books = Books::new(plan.incidents.len(), plan.tickets.len());
    let driver = Arc::new(Driver {
        plan: plan.clone(),
        stage,
        books,
        mails,
    });
    bar.set_message("replaying");
    bar.set_length(u64::try_from(plan.steps.len()).unwrap_or(u64::MAX));
    driver.drive(at_once, server.clock(), bar).await?;
    bar.set_message("reading back");
    let found = read_back(&driver, at_once, server.clock().is_some()).await?;
    Ok((driver, found))
}

/// Reads the last request of every ticket, the mails of everything, and, where the clock was that of the logs, how long
/// everything took.
async fn read_back(driver: &Driver, at_once: usize, is_timed: bool) -> Result<Found, ReplayError> {
    let places: Vec<usize> = (0..driver.plan.tickets.len()).collect();
    let states = stage::each(&places, at_once, |ticket| driver.state_of(*ticket)).await?;
    let expected = driver.plan.tickets.iter().map(|ticket| ticket.final_state);
    let mismatches = expected
        .zip(&states)
        .filter(|(expected, found)| expected != found)
        .count();
    let mut counts = BTreeMap::new();
    for state in states {
        *counts.entry(state).or_default() += 1;
    }
    let times = match is_timed {
        true => {
            let server = stage::each(&places, at_once, |ticket| driver.times_of(*ticket)).await?;
            let log: Vec<&[Measured]> = driver.plan.tickets.iter().map(|ticket| &*ticket.times).collect();
            Some(Times::compare(&server, &log))
        }
        false => None,
    };
    let own = driver.mails.own(&driver.books.requests(), at_once).await?;
    let status = driver.books.broadcast_mails_sent();
    Ok(Found {
        states: counts,
        mismatches,
        mails_sent: status + own.sent,
        ledger: status + own.sent_of_any_kind,
        times,
    })
}

/// Says on standard error what the sums do not.
fn remark(driver: &Driver) -> io::Result<()> {
    let mut out = io::stderr().lock();
    for example in driver.books.examples() {
        writeln!(out, "refused: {example}")?;
    }
    if driver.plan.after_the_end > 0 {
        let count = driver.plan.after_the_end;
        writeln!(
            out,
            "left out: {count} updates of incidents that were over, because they say no status"
        )?;
    }
    if driver.mails.is_stuck() {
        writeln!(out, "mail has stood still for a minute")?;
    }
    Ok(())
}

fn progress() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{msg:<18} [{bar:40}] {pos}/{len}, {eta} left");
    bar.set_style(
        style
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> "),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Six letters that tell this run's names from those of another.
fn label() -> String {
    let letters = (b'a'..=b'z').map(char::from).collect::<Vec<_>>();
    (0..6)
        .filter_map(|_| letters.get(rand::random_range(0..letters.len())))
        .collect()
}
