//! What runs behind the calls, stepped: until there is nothing to do at the instant at which the clock stands, and at
//! each instant at which time alone makes something due.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::cli::host::Host;
use crate::db::schema::{promises, sla_clocks, waiting_requests};
use crate::db::{Moment, Scope};
use crate::mail::{self, DeliveryState, Step};
use crate::problem::Problem;

/// When the next mark of a clock, step of a ladder or mark of a promise is due.
pub async fn due(host: &Host) -> Result<Option<DateTime<Utc>>, Problem> {
    let looked = host.running.db.read(Scope::of_system(), |conn| {
        let mark: Option<Option<Moment>> = sla_clocks::table
            .filter(sla_clocks::next_at.is_not_null())
            .order(sla_clocks::next_at)
            .select(sla_clocks::next_at)
            .first(conn)
            .optional()?;
        let promise: Option<Option<Moment>> = promises::table
            .filter(promises::next_at.is_not_null())
            .order(promises::next_at)
            .select(promises::next_at)
            .first(conn)
            .optional()?;
        let step: Option<Moment> = waiting_requests::table
            .order(waiting_requests::next_step_at)
            .select(waiting_requests::next_step_at)
            .first(conn)
            .optional()?;
        Ok([mark.flatten(), promise.flatten(), step]
            .into_iter()
            .flatten()
            .min())
    });
    Ok(looked.await?.map(Moment::utc))
}

/// The reactions, all of them.
pub async fn react(host: &Host) -> Result<(), Problem> {
    while host.running.worker.react().await? == Step::Worked {}
    Ok(())
}

/// The watch, until it finds nothing; whether it found anything.
pub async fn watch(host: &Host) -> Result<bool, Problem> {
    let mut worked = false;
    while host.running.worker.watch().await? == Step::Worked {
        worked = true;
    }
    Ok(worked)
}

/// Mail, and what follows when it has gone out.
pub async fn post(host: &Host) -> Result<(), Problem> {
    loop {
        react(host).await?;
        if host.running.worker.dispatch().await? == Step::Idle {
            return react(host).await;
        }
        while host.running.worker.dispatch().await? == Step::Worked {}
    }
}

/// How many mails of the ledger are in each state.
pub async fn mails(host: &Host) -> Result<Vec<(DeliveryState, i64)>, Problem> {
    host.running
        .db
        .read(Scope::of_system(), mail::store::totals)
        .await
}

/// What is done now and then: seals, closings, old things forgotten, the look at the staffing.
pub async fn tidy(host: &Host) -> Result<(), Problem> {
    while host.running.worker.seal().await? == Step::Worked {}
    host.running.worker.sweep().await?;
    Ok(())
}
