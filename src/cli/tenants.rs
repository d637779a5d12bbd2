//! `allclear tenants`: a tenant's data is the tenant's. What is handed over is what its administrator can read; what is
//! erased is whatever says of whom it was.

mod archive;
mod contents;

use std::path::PathBuf;

use serde_json::json;

use super::{Failure, print};
use crate::app;
use crate::clock::Clock;
use crate::db::{Connection, Db, Moment, Scope, TenantId};
use crate::identity::custody;
use crate::journal::{self, Actor, Event, EventKind, SubjectKind};
use crate::mail;
use crate::notify;
use crate::problem::Problem;
use crate::requests;
use crate::requests::attachments::{self, Shelf};
use crate::settings::Given;

/// Rows that one transaction of an erasing takes.
const CHUNK: i64 = 200;

/// The arguments of `allclear tenants`.
#[derive(clap::Args)]
pub struct TenantsArgs {
    #[command(subcommand)]
    command: TenantsCommand,
}

#[derive(clap::Subcommand)]
enum TenantsCommand {
    /// Write everything that is a tenant's into an archive
    Export(ExportArgs),
    /// Erase the personal data of a tenant, for good; what is counted stays
    Erase(EraseArgs),
}

#[derive(clap::Args)]
struct ExportArgs {
    /// Whose data
    #[arg(long)]
    tenant_id: TenantId,
    /// The file to write, a tar archive; it must not be there [default: allclear-<tenant id>.tar]
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    given: Given,
}

#[derive(clap::Args)]
struct EraseArgs {
    /// Whose data
    #[arg(long)]
    tenant_id: TenantId,
    /// There is no way back: say that it is meant
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    given: Given,
}

/// Runs the command.
pub async fn run(args: TenantsArgs) -> Result<(), Failure> {
    match args.command {
        TenantsCommand::Export(args) => export(args).await,
        TenantsCommand::Erase(args) => erase(args).await,
    }
}

async fn export(args: ExportArgs) -> Result<(), Failure> {
    let settings = args.given.check()?;
    let clock = Clock::system();
    let db = app::prepare(&settings, &clock).await?.db;
    let tenant = args.tenant_id;
    let path = args
        .out
        .unwrap_or_else(|| format!("allclear-{tenant}.tar").into());
    let scope = db
        .read(Scope::of_system(), move |conn| custody::scope_of(conn, tenant))
        .await?;
    let shelf = Shelf::open(&settings)?;
    let written = archive::write((&db, &shelf), scope, tenant, &path, clock.now().into()).await?;
    print(&format!("{}: {written} items", path.display()))
}

async fn erase(args: EraseArgs) -> Result<(), Failure> {
    if !args.yes {
        return Err("an erased tenant cannot be brought back: add --yes".into());
    }
    let settings = args.given.check()?;
    let clock = Clock::system();
    let db = app::prepare(&settings, &clock).await?.db;
    let erased = Erasing {
        db,
        shelf: Shelf::open(&settings)?,
        tenant: args.tenant_id,
        now: clock.now().into(),
    };
    print(&erased.go().await?)
}

/// An erasing: small transactions, each of which finds what is left. One that was cut off is begun again.
struct Erasing {
    db: Db,
    shelf: Shelf,
    tenant: TenantId,
    now: Moment,
}

impl Erasing {
    async fn go(self) -> Result<String, Problem> {
        let (tenant, now) = (self.tenant, self.now);
        self.once(move |conn| custody::shut(conn, tenant, now)).await?;
        self.all(move |conn| requests::custody::withdraw(conn, tenant, now, CHUNK))
            .await?;
        let mails = self.mail().await?;
        let members = self
            .all(move |conn| custody::erase_members(conn, tenant, now, CHUNK))
            .await?;
        let requests = self
            .all(move |conn| requests::custody::erase(conn, tenant, now, CHUNK))
            .await?;
        self.once(move |conn| notify::subscriptions::custody::erase(conn, tenant))
            .await?;
        let events = self
            .all(move |conn| journal::erase_all(conn, tenant, CHUNK))
            .await?;
        let all = (&self.db, Scope::of_system());
        while attachments::actions::sweep(all, &self.shelf, now).await? > 0 {}
        // What was being expanded beside it knew the addresses still.
        let mails = mails.saturating_add(self.mail().await?);
        let data = json!({"requests": requests, "members": members, "mails": mails, "events": events});
        self.once(move |conn| note(conn, tenant, data.clone(), now))
            .await?;
        Ok(format!(
            "erased: {requests} requests, {members} users and keys, {mails} mails, {events} events"
        ))
    }

    /// Sends nothing more, and takes out of the ledger to whom it was; how many rows.
    async fn mail(&self) -> Result<usize, Problem> {
        let tenant = self.tenant;
        self.once(move |conn| mail::custody::stop(conn, tenant)).await?;
        self.all(move |conn| mail::custody::erase(conn, tenant, CHUNK))
            .await
    }

    async fn once<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Connection) -> Result<T, Problem> + Send + Sync + 'static,
    ) -> Result<T, Problem> {
        self.db.write(Scope::of_system(), work).await
    }

    /// Chunk by chunk until there is none; how many rows that were.
    async fn all(
        &self,
        work: impl Fn(&mut Connection) -> Result<usize, Problem> + Clone + Send + Sync + 'static,
    ) -> Result<usize, Problem> {
        let mut count = 0_usize;
        loop {
            match self.once(work.clone()).await? {
                0 => return Ok(count),
                some => count = count.saturating_add(some),
            }
        }
    }
}

/// The one event that says what was done, in the history of the tenant.
fn note(
    conn: &mut Connection,
    tenant: TenantId,
    data: serde_json::Value,
    now: Moment,
) -> Result<(), Problem> {
    let subject = (SubjectKind::Tenant, tenant);
    let event = Event::next(
        EventKind::TenantErased,
        subject,
        tenant,
        (&Actor::system(), now),
        data,
    );
    journal::append(conn, event, &[])
}
