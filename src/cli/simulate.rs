//! `allclear simulate`: plays a desk that follows the sun, for a year in minutes, against a server of its own.
//!
//! `docs/simulate.md` says what is played. `load` casts the dice and `rota` says who works when; `stage` makes everybody
//! and everything; `agenda` is what comes next, `run` lets it happen, `work` is what the people at the desk do and `world`
//! what comes from outside; `behind` steps what runs behind the calls. `cases` and `books` are what is known and seen,
//! `timetable` who is on duty; `report`, `asked` and `shares` say what came of it, `table` and `chart` show it.

mod agenda;
mod asked;
mod behind;
mod books;
mod cases;
mod chart;
mod load;
mod report;
mod rota;
mod run;
mod shares;
mod stage;
mod table;
mod timetable;
mod work;
mod world;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use indicatif::{ProgressBar, ProgressStyle};

use self::load::{Load, Size};
use self::report::Report;
use self::rota::SITES;
use self::run::Simulation;
use super::client::{Client, Refused};
use super::host::{self, Background, Host, HostError};
use crate::problem::Problem;

/// From the making of everybody to the first day.
const BEFORE: TimeDelta = TimeDelta::minutes(30);

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub struct SimulateArgs {
    /// What the dice are cast with: the same seed gives the same report
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// The first day, UTC
    #[arg(long, default_value = "2026-01-01", value_name = "DATE")]
    from: NaiveDate,
    /// How many days
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=730), value_name = "N")]
    days: u32,
    /// Requests of an ordinary day
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(0..=2_000), value_name = "N")]
    requests_per_day: u32,
    /// Agents of each of the three sites
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(4..=64), value_name = "N")]
    agents: u16,
    /// Requests of the storm, all in an hour; 0 is none
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(0..=200_000), value_name = "N")]
    storm: u32,
    /// Draw a chart into this file
    #[arg(long, value_name = "FILE.svg")]
    chart: Option<PathBuf>,
    /// End with one line of JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// Why a simulation could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The server does not start, or not end, as it should.
    #[error(transparent)]
    Host(#[from] HostError),
    /// What runs behind the calls fails.
    #[error(transparent)]
    Behind(#[from] Problem),
    /// A call failed without which there is no simulation.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// More or fewer mails were written than the ledger says.
    #[error("{files} mails were written, and the ledger says {ledger}")]
    Ledger {
        /// Mails in the directory.
        files: u64,
        /// Mails in the ledger.
        ledger: u64,
    },
    /// The chart cannot be drawn.
    #[error("cannot draw the chart: {0}")]
    Chart(String),
    /// The report cannot be written.
    #[error("cannot write the report: {0}")]
    Output(#[from] io::Error),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// Plays and reports; true when nobody was stranded, every instant was covered and no mail was lost.
pub async fn run(args: SimulateArgs) -> Result<bool, SimulateError> {
    let began = Instant::now();
    let from = args.from.and_time(NaiveTime::MIN).and_utc();
    let bar = progress(&args);
    let host = Host::start("simulate", from - BEFORE, Background::IsStepped, |_| {}).await?;
    let played = tokio::select! {
        played = play(&args, from, &host, &bar) => played,
        _ = tokio::signal::ctrl_c() => Err(SimulateError::Interrupted),
    };
    let seconds = began.elapsed().as_secs_f64();
    bar.set_message("clearing away");
    let files = host.stop().await;
    bar.finish_and_clear();
    let report = played?;
    let mut out = io::stdout().lock();
    if args.json {
        report.line(&mut out)?
    } else {
        report.write(&mut out)?
    }
    writeln!(io::stderr(), "played in {seconds:.1} s")?;
    let (files, ledger) = (u64::try_from(files?).unwrap_or(u64::MAX), report.mail.sent);
    if files != ledger {
        return Err(SimulateError::Ledger { files, ledger });
    }
    Ok(report.is_right())
}

/// From the empty stage to the report.
async fn play(
    args: &SimulateArgs,
    from: DateTime<Utc>,
    host: &Host,
    bar: &ProgressBar,
) -> Result<Report, SimulateError> {
    let client = Client::new(&host.running.url)?;
    let operator = client.sign_in(&host.email, &host.password).await?;
    let agents = usize::from(args.agents);
    let stage = stage::set(&client, operator, &host.clock, agents, &host::secret()).await?;
    let size = Size {
        from,
        days: args.days,
        per_day: args.requests_per_day,
        storm: args.storm,
        tenants: stage.tenants.len(),
        people: agents * SITES.len(),
    };
    let load = Load::of(args.seed, size);
    bar.set_message("playing");
    let mut simulation = Simulation::new(host, stage, load, args.seed, size);
    simulation.play(bar).await?;
    bar.set_message("reporting");
    let report = Report::of(&mut simulation, args.seed, from).await?;
    if let Some(file) = &args.chart {
        let storm = simulation.load.storm;
        let title = format!(
            "Allclear, {} days from {}, seed {}",
            args.days, args.from, args.seed
        );
        let svg = chart::draw(&simulation.books, from, storm, &title).map_err(SimulateError::Chart)?;
        std::fs::write(file, svg)?;
    }
    Ok(report)
}

/// A bar of simulated hours.
fn progress(args: &SimulateArgs) -> ProgressBar {
    let bar = ProgressBar::new(u64::from(args.days) * 24);
    let style = ProgressStyle::with_template("{msg:<18} [{bar:40}] hour {pos} of {len}, {eta} left");
    bar.set_style(
        style
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> "),
    );
    bar.set_message("setting the stage");
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
