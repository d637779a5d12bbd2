//! Updates that somebody gets together: kept as the audience is written down, and mailed at eight in the morning where they
//! are, or with what happens next to the incident, whichever comes first.
//!
//! The ledger has each of them, suppressed for the digest, and which mail says it (`mail::carried`). What is kept and that
//! a morning is waited for are written in one transaction, and under one lock with the digest that says it: so nothing is
//! kept that no morning knows of.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr as _;

use chrono::NaiveTime;
use chrono_tz::Tz;

use super::subscriptions::store::{self, Reader, Said};
use crate::db::{Connection, DeliveryId, Id, IncidentId, Moment, TenantId};
use crate::mail::carried::{self, Kept};
use crate::mail::opt_outs::{About, Standing};
use crate::mail::{self, Delivery, DeliveryKind, Priority, Step};
use crate::problem::Problem;
use crate::schedule::daily;

/// Digests of one transaction.
const CHUNK: i64 = 50;

/// When the updates of a day are mailed, in the zone of whoever gets them.
fn morning(time_zone: &str, now: Moment) -> Moment {
    let zone = Tz::from_str(time_zone).unwrap_or(Tz::UTC);
    let eight = NaiveTime::from_hms_opt(8, 0, 0).unwrap_or_default();
    daily::next(zone, eight, now.utc()).map_or(now, Moment::from)
}

/// Notes the next mornings of people for whom something is about to be kept.
pub fn expect<'a>(
    conn: &mut Connection,
    keepers: impl Iterator<Item = &'a Said>,
    now: Moment,
) -> Result<(), Problem> {
    let mut mornings: BTreeMap<Moment, Vec<Reader>> = BTreeMap::new();
    for said in keepers {
        let readers = mornings.entry(morning(&said.time_zone, now)).or_default();
        readers.push(said.reader);
    }
    if mornings.is_empty() {
        return Ok(());
    }
    carried::alone(conn)?;
    for (at, readers) in mornings {
        store::expect_digests(conn, &readers, at)?;
    }
    Ok(())
}

/// Whether a digest is due.
pub fn any_due(conn: &mut Connection, now: Moment) -> Result<bool, Problem> {
    Ok(!store::due_digests(conn, now, 1)?.is_empty())
}

/// Makes the digests that have been due for longest.
pub fn step(conn: &mut Connection, now: Moment) -> Result<Step, Problem> {
    carried::alone(conn)?;
    let due = store::due_digests(conn, now, CHUNK)?;
    if due.is_empty() {
        return Ok(Step::Idle);
    }
    let emails: Vec<&str> = due.iter().map(|(_, to)| to.email.as_str()).collect();
    let mut kept = wanted(conn, &emails)?;
    let mut rows = Vec::new();
    for (reader, to) in due {
        store::digest_made(conn, to.tenant_id, reader)?;
        if let Some(kept) = kept.remove(&(to.tenant_id, to.email.clone())) {
            let digest = Delivery::new(Id::at(now), DeliveryKind::Digest, to, Priority::Bulk, now);
            carried::carry(conn, &kept, Some(digest.event_id))?;
            rows.push(digest);
        }
    }
    mail::store::enqueue(conn, &rows)?;
    Ok(Step::Worked)
}

/// What is kept for these addresses, but for what they have unsubscribed from meanwhile.
fn wanted(
    conn: &mut Connection,
    emails: &[&str],
) -> Result<HashMap<(TenantId, String), Vec<DeliveryId>>, Problem> {
    let kept = carried::waiting(conn, emails)?;
    let tenants: BTreeSet<TenantId> = kept.iter().map(|row| row.tenant_id).collect();
    let incidents: BTreeSet<IncidentId> = kept.iter().filter_map(|row| row.incident_id).collect();
    let standing = Standing::read(
        conn,
        &tenants.into_iter().collect::<Vec<_>>(),
        emails,
        &incidents.into_iter().collect::<Vec<_>>(),
    )?;
    let is_left = |row: &Kept| {
        let about = About {
            incident: row.incident_id,
            request: None,
        };
        standing.holds(row.tenant_id, &row.recipient, about)
    };
    let (left, wanted): (Vec<Kept>, Vec<Kept>) = kept.into_iter().partition(is_left);
    carried::leave_out(conn, &left.iter().map(|row| row.id).collect::<Vec<_>>())?;
    let mut each: HashMap<_, Vec<DeliveryId>> = HashMap::new();
    for row in wanted {
        each.entry((row.tenant_id, row.recipient))
            .or_default()
            .push(row.id);
    }
    Ok(each)
}
