//! `allclear audit verify`: walks the chain of every tenant, and tells what is not as it was sealed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Deserialize;

use super::{Failure, print};
use crate::app;
use crate::audit::store;
use crate::audit::verify::{End, Ends, Report, Walk};
use crate::db::{Db, Scope, TenantId};
use crate::identity;
use crate::identity::keys::Secret;
use crate::journal;
use crate::problem::Problem;
use crate::settings::Given;

/// How many rows are in memory at a time.
const PAGE: i64 = 500;

/// The audit, for whoever has the database.
#[derive(Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Find rows of the audit that were changed, removed or put elsewhere
    Verify(VerifyArgs),
}

#[derive(Args)]
struct VerifyArgs {
    /// Only the chain of this tenant
    #[arg(long)]
    tenant_id: Option<TenantId>,
    /// A line of JSON for each tenant
    #[arg(long)]
    json: bool,
    /// What `--json` printed once, kept elsewhere: each chain has to go on from where it ended then
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    #[command(flatten)]
    given: Given,
}

/// Runs one of its commands.
pub async fn run(args: AuditArgs) -> Result<(), Failure> {
    match args.command {
        AuditCommand::Verify(args) => verify(args).await,
    }
}

async fn verify(args: VerifyArgs) -> Result<(), Failure> {
    let settings = args.given.check()?;
    let secret = Secret::load(settings.secret.as_deref(), &settings.data_dir)?;
    let (location, key) = (settings.database.clone(), app::chain_key(&secret));
    let work_url = settings.database_work_url.clone();
    let open = move || Db::open(&location, work_url.as_deref(), 1);
    let db = tokio::task::spawn_blocking(open).await??;
    let mut anchors = match &args.anchor {
        Some(path) => anchors(path)?,
        None => HashMap::new(),
    };
    let (mut chains, mut broken) = (0_u64, 0_u64);
    let mut after = None;
    while let Some((tenant, name)) = next(&db, args.tenant_id, after).await? {
        let walk = Walk::begin(key.clone(), tenant, anchors.remove(&tenant));
        let report = go(&db, walk, tenant).await?;
        let line = if args.json {
            serde_json::to_string(&report)?
        } else {
            described(&report, &name)
        };
        print(&line)?;
        chains += 1;
        broken += u64::from(!report.is_intact());
        after = Some(tenant);
    }
    if let Some(gone) = anchors.keys().next().filter(|_| args.tenant_id.is_none()) {
        return Err(format!("there is no chain of the tenant {gone}, and there was one").into());
    }
    if broken > 0 {
        return Err(format!("{broken} of {chains} chains are not as they were sealed").into());
    }
    Ok(())
}

/// The next tenant; or the only one that is asked for.
async fn next(
    db: &Db,
    only: Option<TenantId>,
    after: Option<TenantId>,
) -> Result<Option<(TenantId, String)>, Problem> {
    db.read(Scope::of_system(), move |conn| match only {
        None => Ok(store::tenants(conn, after, 1)?.into_iter().next()),
        Some(_) if after.is_some() => Ok(None),
        Some(only) => {
            let found = identity::store::tenant(conn, only)?;
            let found = found.ok_or_else(|| Problem::not_found("tenant"))?;
            Ok(Some((found.id, found.name)))
        }
    })
    .await
}

/// Where chains ended once.
fn anchors(path: &Path) -> Result<HashMap<TenantId, End>, Failure> {
    #[derive(Deserialize)]
    struct Kept {
        tenant_id: TenantId,
        head: Option<End>,
    }
    let failed = |error: &dyn std::fmt::Display| format!("cannot use {}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    let mut anchors = HashMap::new();
    for line in text.lines() {
        let kept: Kept = serde_json::from_str(line).map_err(|error| failed(&error))?;
        anchors.extend(kept.head.map(|head| (kept.tenant_id, head)));
    }
    Ok(anchors)
}

async fn go(db: &Db, mut walk: Walk, tenant: TenantId) -> Result<Report, Problem> {
    let mut after = i64::MIN;
    loop {
        let rows = db.read(Scope::of_system(), move |conn| {
            store::chain(conn, tenant, after, PAGE)
        });
        let rows = rows.await?;
        for row in &rows {
            walk.take(row);
        }
        if let Some(seq) = rows.last().and_then(|row| row.seal.chain_seq) {
            after = seq;
            continue;
        }
        // Read after the rows: a server that runs may have sealed more of them meanwhile.
        let ends = db.read(Scope::of_system(), move |conn| {
            let ends = Ends {
                is_begun: store::is_begun(conn, tenant)?,
                head: journal::head(conn, tenant)?,
                unsealed: store::unsealed(conn, tenant)?,
            };
            Ok((ends, store::chain(conn, tenant, after, 1)?.is_empty()))
        });
        let (ends, is_all) = ends.await?;
        if is_all {
            return Ok(walk.finish(ends));
        }
    }
}

fn described(report: &Report, name: &str) -> String {
    let mut lines = format!(
        "{} {name}: {} rows, {} erased, {} not sealed yet",
        report.tenant_id, report.rows, report.erased, report.unsealed
    );
    if let Some(head) = &report.head {
        lines.push_str(&format!(", ends at {} {}", head.seq, head.hash));
    }
    for finding in &report.findings {
        let id = finding
            .event_id
            .map_or_else(|| "the chain".to_owned(), |id| id.to_string());
        lines.push_str(&format!("\n  {} {id} {}", finding.seq, finding.what));
    }
    if report.more_findings > 0 {
        lines.push_str(&format!("\n  and {} more", report.more_findings));
    }
    lines
}
