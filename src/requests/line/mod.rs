//! The line of a queue: what is queued, in the order in which it is claimed.
//!
//! A row stands here exactly as long as its request is `queued`; [`follow`] sees to that in the transaction of every
//! change. Urgency is the earliest deadline, then the severity, then the age. What was handed over stands ahead of its
//! severity: before everything as severe that waits when it comes back.

pub mod store;

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::db::schema::waiting_requests;
use crate::db::{Connection, Moment, QueueId, RequestId, TenantId};
use crate::journal::{Event, EventKind};
use crate::problem::Problem;
use crate::queues::routing::Severity;
use crate::requests::lifecycle::Status;
use crate::requests::model::Request;

/// Why a request stands where it does among those that are as urgent and as severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Somebody had begun with it.
    HandedOver,
    /// It waits its turn.
    InTurn,
}

impl Standing {
    /// As it is stored: the smaller is claimed first.
    pub fn rank(self) -> i16 {
        match self {
            Self::HandedOver => 0,
            Self::InTurn => 1,
        }
    }
}

/// A queued request, in its line.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = waiting_requests)]
pub struct Waiting {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The request.
    pub request_id: RequestId,
    /// The line.
    pub queue_id: QueueId,
    /// Its earliest deadline; [`never`] without one.
    pub urgent_at: Moment,
    /// How bad it is.
    pub severity: Severity,
    /// A [`Standing`].
    pub standing: i16,
    /// When it came into this line.
    pub since: Moment,
}

impl Waiting {
    /// Whether somebody had begun with it.
    pub fn is_handed_over(&self) -> bool {
        self.standing == Standing::HandedOver.rank()
    }
}

/// The deadline of what has none: a sort key is never null.
pub fn never() -> Moment {
    let last_day = DateTime::<Utc>::from_timestamp(253_402_214_400, 0);
    last_day.unwrap_or(DateTime::<Utc>::MAX_UTC).into()
}

/// Lets the line follow a change of a request: in, out, or where it stood. `due` is its earliest deadline.
pub fn follow(
    conn: &mut Connection,
    before: Option<&Request>,
    after: &Request,
    event: &Event,
    due: Option<Moment>,
) -> Result<(), Problem> {
    let stood = before.filter(|request| request.status == Status::Queued);
    let stands = after.status == Status::Queued;
    match stood {
        Some(stood) if stands && stood.queue_id == after.queue_id => {
            if stood.severity == after.severity {
                return Ok(());
            }
            store::set_urgency(conn, after, due.unwrap_or_else(never))
        }
        stood => {
            if stood.is_some() {
                store::leave(conn, after.tenant_id, after.id)?;
            }
            if stands {
                let row = place(conn, after, event, due)?;
                store::join(conn, &row)?;
            }
            Ok(())
        }
    }
}

/// Lets the line follow a deadline that has changed; what was handed over stays where it stands, or moves ahead.
pub fn set_due(conn: &mut Connection, request: &Request, due: Option<Moment>) -> Result<(), Problem> {
    let Some(row) = store::find(conn, request.tenant_id, request.id)? else {
        return Ok(());
    };
    let due = due.unwrap_or_else(never);
    let urgent_at = if row.is_handed_over() {
        row.urgent_at.min(due)
    } else {
        due
    };
    store::set_urgency(conn, request, urgent_at)
}

/// Where a request stands that comes into its line.
fn place(
    conn: &mut Connection,
    request: &Request,
    event: &Event,
    due: Option<Moment>,
) -> Result<Waiting, Problem> {
    let due = due.unwrap_or_else(never);
    let (standing, urgent_at) = if event.kind == EventKind::RequestHandedOver {
        let first = store::earliest(conn, request.queue_id, request.severity)?;
        (Standing::HandedOver, first.map_or(due, |first| first.min(due)))
    } else {
        (Standing::InTurn, due)
    };
    Ok(Waiting {
        tenant_id: request.tenant_id,
        request_id: request.id,
        queue_id: request.queue_id,
        urgent_at,
        severity: request.severity,
        standing: standing.rank(),
        since: event.at,
    })
}
