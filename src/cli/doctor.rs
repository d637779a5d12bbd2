//! `allclear doctor`: asks the database whether what must always be so is so, while servers run.

use clap::Args;
use serde::Serialize;

use super::{Failure, print};
use crate::clock::Clock;
use crate::db::{self, Connection, Scope};
use crate::mail::truths::{Finding, TRUTHS};
use crate::problem::Problem;
use crate::settings::Given;

/// So many findings of a kind are shown.
const SHOWN: usize = 100;

/// The doctor, for whoever has the database.
#[derive(Args)]
pub struct DoctorArgs {
    /// A line of JSON for each finding
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    given: Given,
}

/// A finding as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    check: &'a str,
    #[serde(flatten)]
    finding: &'a Finding,
}

/// Looks, prints what it finds, and fails if there is anything.
pub async fn run(args: DoctorArgs) -> Result<(), Failure> {
    let settings = args.given.check()?;
    let now = Clock::system().now().into();
    let looked = tokio::task::spawn_blocking(move || {
        let mut conn = db::open_to_read(&settings.database, settings.database_work_url.as_deref())?;
        let ask = |conn: &mut Connection| {
            let found = TRUTHS
                .iter()
                .map(|(name, said, ask)| Ok((*name, *said, ask(conn, now, most())?)));
            found.collect::<Result<Vec<_>, Problem>>()
        };
        db::connection::snapshot(&mut conn, Scope::of_system(), ask)
    });
    let mut count = 0;
    for (name, said, findings) in looked.await?? {
        count += findings.len().min(SHOWN);
        if args.json {
            for finding in findings.iter().take(SHOWN) {
                print(&serde_json::to_string(&Line { check: name, finding })?)?;
            }
        } else {
            print(&described(name, said, &findings)?)?;
        }
    }
    match count {
        0 => Ok(()),
        count => Err(format!("{count} findings").into()),
    }
}

/// One more than is shown: that there are more is said.
fn most() -> i64 {
    i64::try_from(SHOWN).unwrap_or(i64::MAX).saturating_add(1)
}

fn described(name: &str, said: &str, findings: &[Finding]) -> Result<String, Failure> {
    if findings.is_empty() {
        return Ok(format!("ok    {name}: {said}"));
    }
    let mut lines = format!("NOT   {name}: {said}");
    for finding in findings.iter().take(SHOWN) {
        lines.push_str(&format!("\n      {}", serde_json::to_string(finding)?));
    }
    if findings.len() > SHOWN {
        lines.push_str("\n      and more");
    }
    Ok(lines)
}
