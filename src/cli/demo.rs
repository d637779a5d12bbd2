//! `allclear demo`: three bad days of 2010, played in a few seconds against a server of its own.
//!
//! Everything happens over HTTP, as customers and agents would do it; the server runs on the real clock, and only
//! the narration and `started_at` are of 2010. What is said and done on each day is in a file of its own.

mod august_23;
mod cast;
mod desk;
mod evidence;
mod forms;
mod ledger;
mod mailbox;
mod september_3;
mod september_7;
mod stage;
mod voice;

use std::io::{self, Write};
use std::net::TcpListener;
use std::path::Path;

use self::cast::{CONTOSO, MESSAGING, OPERATOR, PASSWORD};
use self::desk::Desk;
use self::voice::Voice;
use super::client::{Client, Refused};
use crate::app;
use crate::clock::Clock;
use crate::db::Location;
use crate::problem::Problem;
use crate::settings::Settings;

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// End after the story instead of serving on
    #[arg(long)]
    exit: bool,
    /// Tell the story on standard error, and end standard output with one line of JSON
    #[arg(long)]
    json: bool,
    /// Address to listen on; a free port is taken if this one is in use
    #[arg(
        long,
        env = "ALLCLEAR_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "HOST:PORT"
    )]
    listen: String,
    /// Do without colours
    #[arg(long, env = "NO_COLOR", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "1")]
    no_color: Option<String>,
}

/// Why the demo could not be played to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Neither the address nor another port of the same host could be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(String, io::Error),
    /// There is no place for the server's data.
    #[error("cannot make a temporary directory: {0}")]
    Directory(io::Error),
    /// The database that was named is in use.
    #[error("the database named by DATABASE_URL holds something already; the demo wants an empty one")]
    InUse,
    /// The server did not start.
    #[error("{0}")]
    Start(Problem),
    /// The same on a database that somebody named.
    #[error("{0}; the demo wants an empty database, and takes the one that DATABASE_URL names")]
    StartThere(Problem),
    /// A call was refused that should not be.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// An answer is not the one of the story.
    #[error("this is not how the story goes: {0}")]
    Unexpected(String),
    /// An answer is not of the form that the API promises.
    #[error("cannot read an answer: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// What happens behind a call has not happened for a minute.
    #[error("waited a minute for {0}")]
    TooSlow(String),
    /// The mailbox cannot be read.
    #[error("cannot read the mailbox: {0}")]
    Mailbox(io::Error),
    /// Somebody has heard enough.
    #[error("interrupted")]
    Interrupted,
    /// Nobody listens to the story.
    #[error("cannot tell the story: {0}")]
    Voice(#[from] io::Error),
    /// Mail is missing.
    #[error("{0} messages are lost")]
    Lost(usize),
}

/// What the demo came to.
#[derive(serde::Serialize)]
struct Outcome {
    incidents: usize,
    requests: usize,
    refused: usize,
    mails_sent: usize,
    mails_lost: usize,
}

/// Plays the demo; afterwards the server stays until Ctrl-C, unless `--exit` is given.
pub async fn run(args: DemoArgs) -> Result<(), DemoError> {
    let colours = args.no_color.as_deref().is_none_or(str::is_empty);
    let mut voice = if args.json {
        Voice::on_stderr()
    } else {
        Voice::on_stdout(colours)
    };
    let directory = tempfile::Builder::new()
        .prefix("allclear-demo-")
        .tempdir()
        .map_err(DemoError::Directory)?;
    let listen = free_address(&args.listen)?;
    if listen.is_other {
        voice.line(&format!(
            "{} is in use, so the server listens on {}.",
            args.listen, listen.address
        ))?;
    }
    let settings = settings_in(directory.path(), &listen.address);
    let mail_dir = settings.mail_dir();
    super::log(&settings).map_err(|error| DemoError::Start(Problem::internal(error)))?;
    let not_started = match settings.database {
        Location::Sqlite(_) => DemoError::Start,
        Location::Postgres(_) => DemoError::StartThere,
    };
    let running = app::start(settings, Clock::system()).await.map_err(not_started)?;
    let url = running.url.clone();
    let played = tokio::select! {
        played = play(voice, &url, &mail_dir, &args) => played,
        _ = tokio::signal::ctrl_c() => Err(DemoError::Interrupted),
    };
    if args.exit || played.is_err() {
        running.stop().await;
        return played;
    }
    running.wait().await;
    Ok(())
}

/// From the empty stage to the last word.
async fn play(voice: Voice, url: &str, mail_dir: &Path, args: &DemoArgs) -> Result<(), DemoError> {
    let mut desk = Desk::new(Client::new(url)?, voice);
    let outcome = story(&mut desk, url, mail_dir).await?;
    if !args.exit && outcome.mails_lost == 0 {
        invite(&mut desk, url).await?;
    }
    if args.json {
        let line = serde_json::to_string(&outcome)?;
        writeln!(io::stdout(), "{line}")?;
    }
    if outcome.mails_lost > 0 {
        Err(DemoError::Lost(outcome.mails_lost))
    } else {
        Ok(())
    }
}

async fn story(desk: &mut Desk, url: &str, mail_dir: &Path) -> Result<Outcome, DemoError> {
    desk.voice.title("Allclear: three bad days of 2010")?;
    desk.voice.then(&format!(
        "A server of its own runs at {url}. Everything below happens there, over HTTP. The days are history; \
         the hours, in Pacific time, and all names are made up."
    ))?;
    stage::set(desk).await?;
    let remembered = august_23::play(desk).await?;
    let second = september_3::play(desk, &remembered.incident).await?;
    september_7::play(desk, &second).await?;
    let (sums, found) = evidence::show(desk, &remembered, mail_dir).await?;
    let outcome = Outcome {
        incidents: desk.ends.len(),
        requests: desk.requests,
        refused: desk.refused,
        mails_sent: sums.sent,
        mails_lost: sums.lost(found),
    };
    desk.voice.title(&format!(
        "{} incidents, {} requests, {} refused; {} mails sent, {} lost.",
        outcome.incidents, outcome.requests, outcome.refused, outcome.mails_sent, outcome.mails_lost
    ))?;
    Ok(outcome)
}

/// How to go on from here.
async fn invite(desk: &mut Desk, url: &str) -> Result<(), DemoError> {
    let agent = desk
        .on_duty(MESSAGING)
        .await?
        .first()
        .map_or(OPERATOR.email, |agent| agent.email);
    let admin = CONTOSO.admin.email;
    desk.voice.line(&format!(
        "The server stays: {url}/docs (Ctrl-C ends it and removes its data). Sign in as"
    ))?;
    desk.voice.line("")?;
    for (role, email) in [
        ("tenant admin", admin),
        ("agent on duty", agent),
        ("operator", OPERATOR.email),
    ] {
        desk.voice.line(&format!("  {role:<14} {email:<24} {PASSWORD}"))?;
    }
    desk.voice.line("")?;
    desk.voice.line(&format!(
        "  curl -s {url}/v1/auth/login -H 'content-type: application/json' \\"
    ))?;
    desk.voice.line(&format!(
        "    -d '{{\"email\":\"{admin}\",\"password\":\"{PASSWORD}\"}}'"
    ))?;
    Ok(())
}

fn settings_in(directory: &Path, address: &str) -> Settings {
    let mut settings = Settings::private(directory.to_owned());
    settings.listen = address.to_owned();
    settings.public_url = format!("http://{address}");
    // What goes wrong in the server is said; what goes well is told here.
    settings.log = "warn".to_owned();
    settings.operator_email = Some(OPERATOR.email.to_owned());
    settings.operator_password = Some(PASSWORD.to_owned());
    settings
}

/// Where the server can listen.
struct Listen {
    address: String,
    is_other: bool,
}

/// The wanted address, or a free port of the same host.
fn free_address(wanted: &str) -> Result<Listen, DemoError> {
    let bound = |address: &str| TcpListener::bind(address)?.local_addr();
    let host = wanted.rsplit_once(':').map_or(wanted, |(host, _)| host);
    let (address, is_other) = match bound(wanted) {
        Ok(address) => (address, false),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let free = bound(&format!("{host}:0"));
            (
                free.map_err(|error| DemoError::Listen(wanted.to_owned(), error))?,
                true,
            )
        }
        Err(error) => return Err(DemoError::Listen(wanted.to_owned(), error)),
    };
    Ok(Listen {
        address: address.to_string(),
        is_other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_gives_way_to_a_free_one() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let wanted = taken.local_addr().unwrap().to_string();
        let listen = free_address(&wanted).unwrap();
        assert!(listen.is_other && listen.address != wanted, "{}", listen.address);
        drop(taken);
        assert!(!free_address("127.0.0.1:0").unwrap().is_other);
        assert!(matches!(free_address("nowhere"), Err(DemoError::Listen(..))));
    }
}
