//! What must always be so of the ledger, each as a query that finds where it is not.

use chrono::TimeDelta;
use diesel::dsl::{count_star, exists, not};
use diesel::prelude::*;
use serde::Serialize;

use super::model::{BroadcastKind, BroadcastState, DeliveryState};
use super::told::without_end;
use crate::db::schema::{broadcasts, deliveries, incidents, told};
use crate::db::{Connection, DeliveryId, EventId, IncidentId, Moment, TenantId};
use crate::problem::Problem;

/// A lease that has run out is taken over by the next dispatcher that looks: within this time, where one lives.
const LEASE_OVERRUN: TimeDelta = TimeDelta::minutes(1);
/// What is due leaves, or is put off, within this time.
const OVERDUE: TimeDelta = TimeDelta::hours(1);

/// Something that is not as it must be.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Finding {
    /// On whose behalf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<TenantId>,
    /// The incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident_id: Option<IncidentId>,
    /// The broadcast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broadcast_id: Option<EventId>,
    /// The message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<DeliveryId>,
    /// The address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
}

/// Asks for up to so many places where something is not so.
pub type Ask = fn(&mut Connection, Moment, i64) -> Result<Vec<Finding>, Problem>;

/// What must be so, by a name and in words, and what finds where it is not.
pub const TRUTHS: &[(&str, &str, Ask)] = &[
    (
        "told-without-end",
        "whoever was told it began is told that it ended, or it is known why not",
        |conn, _, limit| {
            let found = without_end(conn, None, limit)?.into_iter();
            Ok(found
                .map(|row| Finding {
                    tenant_id: Some(row.tenant_id),
                    incident_id: Some(row.incident_id),
                    broadcast_id: Some(row.end),
                    recipient: Some(row.recipient),
                    ..Finding::default()
                })
                .collect())
        },
    ),
    (
        "duplicate-untold",
        "whoever was told that an incident goes on as another one is told of that one",
        duplicate_untold,
    ),
    (
        "rows-missing",
        "everybody in the audience of a broadcast has a row in the ledger",
        rows_missing,
    ),
    (
        "finished-with-unsent",
        "nothing of a finished broadcast is pending",
        finished_with_unsent,
    ),
    (
        "lease-overrun",
        "a lease that has run out is taken over: is a server running?",
        lease_overrun,
    ),
    (
        "mail-overdue",
        "what is due leaves within the hour: is a server running?",
        overdue,
    ),
    (
        "without-reason",
        "what is suppressed has its reason",
        without_reason,
    ),
];

fn duplicate_untold(conn: &mut Connection, _: Moment, limit: i64) -> Result<Vec<Finding>, Problem> {
    diesel::alias!(told as others: Others);
    let other = others
        .filter(others.field(told::tenant_id).eq(deliveries::tenant_id))
        .filter(others.field(told::recipient).eq(deliveries::recipient))
        .filter(
            others
                .field(told::incident_id)
                .nullable()
                .eq(incidents::duplicate_of),
        );
    let first = told::table
        .filter(told::tenant_id.eq(deliveries::tenant_id))
        .filter(told::recipient.eq(deliveries::recipient))
        .filter(told::incident_id.eq(broadcasts::incident_id));
    let rows: Vec<(TenantId, DeliveryId, EventId, IncidentId, String)> = deliveries::table
        .inner_join(broadcasts::table.on(broadcasts::id.eq(deliveries::event_id)))
        .inner_join(incidents::table.on(incidents::id.eq(broadcasts::incident_id)))
        .filter(broadcasts::kind.eq(BroadcastKind::Duplicate))
        .filter(deliveries::state.eq_any([DeliveryState::Leased, DeliveryState::Sent, DeliveryState::Failed]))
        // Not of tenants whose data are erased.
        .filter(exists(first))
        .filter(not(exists(other)))
        .limit(limit)
        .select((
            deliveries::tenant_id,
            deliveries::id,
            broadcasts::id,
            broadcasts::incident_id,
            deliveries::recipient,
        ))
        .load(conn)?;
    let found = rows
        .into_iter()
        .map(|(tenant, delivery, broadcast, incident, recipient)| Finding {
            tenant_id: Some(tenant),
            incident_id: Some(incident),
            broadcast_id: Some(broadcast),
            delivery_id: Some(delivery),
            recipient: Some(recipient),
        });
    Ok(found.collect())
}

/// Counted a broadcast at a time: each is a range of an index.
fn rows_missing(conn: &mut Connection, _: Moment, limit: i64) -> Result<Vec<Finding>, Problem> {
    let all: Vec<(EventId, IncidentId, i32)> = broadcasts::table
        .filter(broadcasts::audience.gt(0))
        .order(broadcasts::id)
        .select((broadcasts::id, broadcasts::incident_id, broadcasts::audience))
        .load(conn)?;
    let mut found = Vec::new();
    for (id, incident, audience) in all {
        let rows: i64 = deliveries::table
            .filter(deliveries::event_id.eq(id))
            .select(count_star())
            .first(conn)?;
        if rows < i64::from(audience) {
            found.push(of_broadcast((id, incident)));
        }
        if i64::try_from(found.len()).unwrap_or(i64::MAX) >= limit {
            break;
        }
    }
    Ok(found)
}

fn finished_with_unsent(conn: &mut Connection, _: Moment, limit: i64) -> Result<Vec<Finding>, Problem> {
    let unsent = deliveries::table
        .filter(deliveries::event_id.eq(broadcasts::id))
        .filter(deliveries::state.eq_any([DeliveryState::Pending, DeliveryState::Leased]));
    let rows = broadcasts::table
        .filter(broadcasts::state.eq(BroadcastState::Finished))
        .filter(exists(unsent))
        .order(broadcasts::id)
        .limit(limit)
        .select((broadcasts::id, broadcasts::incident_id))
        .load(conn)?;
    Ok(rows.into_iter().map(of_broadcast).collect())
}

fn lease_overrun(conn: &mut Connection, now: Moment, limit: i64) -> Result<Vec<Finding>, Problem> {
    let rows = deliveries::table
        .filter(deliveries::state.eq(DeliveryState::Leased))
        .filter(deliveries::lease_until.lt(now.plus(-LEASE_OVERRUN)))
        .limit(limit)
        .select((deliveries::tenant_id, deliveries::id))
        .load(conn)?;
    Ok(rows.into_iter().map(of_delivery).collect())
}

fn overdue(conn: &mut Connection, now: Moment, limit: i64) -> Result<Vec<Finding>, Problem> {
    let rows = deliveries::table
        .filter(deliveries::state.eq(DeliveryState::Pending))
        .filter(deliveries::next_attempt_at.lt(now.plus(-OVERDUE)))
        .limit(limit)
        .select((deliveries::tenant_id, deliveries::id))
        .load(conn)?;
    Ok(rows.into_iter().map(of_delivery).collect())
}

fn without_reason(conn: &mut Connection, _: Moment, limit: i64) -> Result<Vec<Finding>, Problem> {
    let rows = deliveries::table
        .filter(deliveries::state.eq(DeliveryState::Suppressed))
        .filter(deliveries::reason.is_null())
        .limit(limit)
        .select((deliveries::tenant_id, deliveries::id))
        .load(conn)?;
    Ok(rows.into_iter().map(of_delivery).collect())
}

fn of_broadcast((id, incident): (EventId, IncidentId)) -> Finding {
    Finding {
        incident_id: Some(incident),
        broadcast_id: Some(id),
        ..Finding::default()
    }
}

fn of_delivery((tenant, id): (TenantId, DeliveryId)) -> Finding {
    Finding {
        tenant_id: Some(tenant),
        delivery_id: Some(id),
        ..Finding::default()
    }
}
