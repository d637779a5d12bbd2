//! `allclear audit verify`: walks the chain of every tenant, and tells what is not as it was sealed.

use clap::{Args, Subcommand};

use super::{Failure, print};
use crate::app;
use crate::audit::store;
use crate::audit::verify::{Report, Walk};
use crate::db::{Db, Scope, TenantId};
use crate::identity;
use crate::identity::keys::Secret;
use crate::journal::{self, ChainKey};
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
    tenant: Option<TenantId>,
    /// A line of JSON for each tenant
    #[arg(long)]
    json: bool,
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
    let db = tokio::task::spawn_blocking(move || Db::open(&location, 1)).await??;
    let (mut chains, mut broken) = (0_u64, 0_u64);
    let mut after = None;
    while let Some((tenant, name)) = next(&db, args.tenant, after).await? {
        let report = walk(&db, &key, tenant).await?;
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

async fn walk(db: &Db, key: &ChainKey, tenant: TenantId) -> Result<Report, Problem> {
    let mut walk = Walk::begin(key.clone(), tenant);
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
            Ok((
                journal::head(conn, tenant)?,
                store::unsealed(conn, tenant)?,
                store::chain(conn, tenant, after, 1)?.is_empty(),
            ))
        });
        let (head, unsealed, is_all) = ends.await?;
        if is_all {
            return Ok(walk.finish(head, unsealed));
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
            .map_or_else(|| "the end".to_owned(), |id| id.to_string());
        lines.push_str(&format!("\n  {} {id} {}", finding.seq, finding.what));
    }
    if report.more_findings > 0 {
        lines.push_str(&format!("\n  and {} more", report.more_findings));
    }
    lines
}
