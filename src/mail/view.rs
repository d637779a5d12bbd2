//! Broadcasts and deliveries as clients see them.

use serde::Serialize;
use utoipa::ToSchema;

use super::model::{BroadcastKind, BroadcastState, Delivery, DeliveryKind, DeliveryState, Reason};
use crate::db::{DeliveryId, EventId, IncidentId, Moment, RequestId, TenantId};

/// A broadcast as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BroadcastView {
    /// Its id: the id of the event.
    pub id: EventId,
    /// The incident it tells of.
    pub incident_id: IncidentId,
    /// What it tells.
    pub kind: BroadcastKind,
    /// Finished means: expanded, and nothing pending or leased.
    pub state: BroadcastState,
    /// How many people, as far as they are written down.
    pub audience: i64,
    /// Not handed over yet.
    pub pending: i64,
    /// Handed over.
    pub sent: i64,
    /// Given up; visible, and may be retried.
    pub failed: i64,
    /// Not sent, for a recorded reason.
    pub suppressed: i64,
    /// Messages handed over in a second, over the last minute.
    pub rate: f64,
    /// When the last will be handed over, if it goes on like this.
    pub expected_end_at: Option<Moment>,
    /// When it was made.
    pub created_at: Moment,
    /// When it was finished, or cancelled.
    pub finished_at: Option<Moment>,
}

/// A delivery as staff see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeliveryView {
    /// Its id.
    pub id: DeliveryId,
    /// On whose behalf.
    pub tenant_id: TenantId,
    /// The broadcast, or the event of a request.
    pub event_id: EventId,
    /// What it is.
    pub kind: DeliveryKind,
    /// The incident that it names.
    pub incident_id: Option<IncidentId>,
    /// The request that it is about.
    pub request_id: Option<RequestId>,
    /// The address.
    pub recipient: String,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i32,
    /// Not before this.
    pub next_attempt_at: Moment,
    /// What the last attempt said.
    pub error: Option<String>,
    /// How often a mail server further on has said that it is late.
    pub delays: i32,
    /// Why it is suppressed, if it is.
    pub reason: Option<Reason>,
    /// The event whose mail says it instead, once there is one: of what was kept for a digest.
    pub carried_by: Option<EventId>,
    /// When it was written down.
    pub created_at: Moment,
    /// When it was handed over.
    pub sent_at: Option<Moment>,
}

/// What was set going again.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RetriedView {
    /// How many messages.
    pub retried: usize,
    /// For the next of them; `null` when these were the last.
    pub next_cursor: Option<String>,
}

impl From<Delivery> for DeliveryView {
    fn from(row: Delivery) -> Self {
        Self {
            id: row.id,
            tenant_id: row.tenant_id,
            event_id: row.event_id,
            kind: row.kind,
            incident_id: row.incident_id,
            request_id: row.request_id,
            recipient: row.recipient,
            state: row.state,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at,
            error: row.error,
            delays: row.delays,
            reason: row.reason,
            carried_by: row.carried_by,
            created_at: row.created_at,
            sent_at: row.sent_at,
        }
    }
}
