//! Broadcasts, deliveries and who was told, as rows and as clients see them.

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::schema::{broadcasts, deliveries};
use crate::db::{DeliveryId, EventId, Id, IncidentId, Moment, RequestId, TenantId, text_enum};

text_enum! {
    /// What a broadcast tells.
    BroadcastKind {
        Opened = "incident_opened",
        Updated = "incident_updated",
        Resolved = "incident_resolved",
        Reopened = "incident_reopened",
        FalsePositive = "incident_false_positive",
        Reported = "incident_reported",
    }
}

impl BroadcastKind {
    /// Whether everyone who was told hears of it, and not only the live audience.
    pub fn reaches_told(self) -> bool {
        matches!(self, Self::Resolved | Self::FalsePositive | Self::Reopened)
    }
}

text_enum! {
    /// How far a broadcast is.
    BroadcastState {
        Pending = "pending",
        Expanding = "expanding",
        Sending = "sending",
        Finished = "finished",
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// Which part of the audience is being written down.
    Phase { Requesters = "requesters", Watchers = "watchers", Contacts = "contacts", Told = "told", Done = "done" }
}

text_enum! {
    /// What a message is.
    DeliveryKind {
        IncidentOpened = "incident_opened",
        IncidentUpdated = "incident_updated",
        IncidentResolved = "incident_resolved",
        IncidentReopened = "incident_reopened",
        IncidentFalsePositive = "incident_false_positive",
        IncidentReported = "incident_reported",
        RequestReceived = "request_received",
        RequestCommented = "request_commented",
        RequestResolved = "request_resolved",
        WatcherAdded = "watcher_added",
        UrgentRequest = "urgent_request",
        SlaWarned = "sla_warned",
        SlaBreached = "sla_breached",
        RequestEscalated = "request_escalated",
        ShiftHandedOver = "shift_handed_over",
        PromiseWarned = "promise_warned",
        PromiseMissed = "promise_missed",
        Invitation = "invitation",
        PasswordReset = "password_reset",
        PasswordChanged = "password_changed",
        SecondFactorAdded = "second_factor_added",
        SecondFactorRemoved = "second_factor_removed",
        /// None of these: a row that this version cannot send, and that is seen nevertheless.
        Unknown = "unknown",
    }
}

impl From<String> for DeliveryKind {
    fn from(text: String) -> Self {
        Self::parse(&text).unwrap_or(Self::Unknown)
    }
}

impl From<BroadcastKind> for DeliveryKind {
    fn from(kind: BroadcastKind) -> Self {
        match kind {
            BroadcastKind::Opened => Self::IncidentOpened,
            BroadcastKind::Updated => Self::IncidentUpdated,
            BroadcastKind::Resolved => Self::IncidentResolved,
            BroadcastKind::Reopened => Self::IncidentReopened,
            BroadcastKind::FalsePositive => Self::IncidentFalsePositive,
            BroadcastKind::Reported => Self::IncidentReported,
        }
    }
}

text_enum! {
    /// How far a delivery is.
    DeliveryState { Pending = "pending", Leased = "leased", Sent = "sent", Failed = "failed", Suppressed = "suppressed" }
}

/// Which mail goes first: each is a lane of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// A request's own mail.
    Request,
    /// Status mail.
    Bulk,
}

impl Priority {
    /// Every lane, the urgent one first.
    pub const ALL: [Self; 2] = [Self::Request, Self::Bulk];

    /// The lane, in the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "urgent",
            Self::Bulk => "bulk",
        }
    }

    /// As it is stored: the smaller goes first.
    pub fn rank(self) -> i16 {
        match self {
            Self::Request => 0,
            Self::Bulk => 1,
        }
    }
}

/// One fan-out of one incident message. Its id is the id of the event.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = broadcasts, treat_none_as_default_value = false)]
pub struct Broadcast {
    /// Its id.
    pub id: EventId,
    /// The incident it tells of.
    pub incident_id: IncidentId,
    /// What it tells.
    pub kind: BroadcastKind,
    /// The number of the incident's event: also of the update whose text it carries.
    pub seq: i32,
    /// How far it is.
    pub state: BroadcastState,
    /// Which part of the audience is next.
    pub phase: Phase,
    /// The tenant that the last chunk ended in.
    pub after_tenant: Option<TenantId>,
    /// The key, within that tenant, that the last chunk ended with.
    pub after_key: String,
    /// How many people; exact once it is sending.
    pub audience: i32,
    /// When it was made.
    pub created_at: Moment,
    /// When it was finished.
    pub finished_at: Option<Moment>,
}

impl Broadcast {
    /// A broadcast that nothing was done about yet.
    pub fn new(id: EventId, incident_id: IncidentId, kind: BroadcastKind, seq: i32, now: Moment) -> Self {
        Self {
            id,
            incident_id,
            kind,
            seq,
            state: BroadcastState::Pending,
            phase: Phase::Requesters,
            after_tenant: None,
            after_key: String::new(),
            audience: 0,
            created_at: now,
            finished_at: None,
        }
    }
}

/// Somebody a message goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// On whose behalf.
    pub tenant_id: TenantId,
    /// The address, in lower case.
    pub email: String,
    /// The name.
    pub name: String,
    /// The language.
    pub locale: String,
    /// The IANA time zone.
    pub time_zone: String,
}

/// One message to one recipient: a row of the ledger.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = deliveries, treat_none_as_default_value = false)]
pub struct Delivery {
    /// On whose behalf.
    pub tenant_id: TenantId,
    /// Its id, which its Message-ID is made of.
    pub id: DeliveryId,
    /// The broadcast, or the event of a request.
    pub event_id: EventId,
    /// What it is.
    #[diesel(deserialize_as = String)]
    pub kind: DeliveryKind,
    /// The incident that it names: its recipient is then told of it.
    pub incident_id: Option<IncidentId>,
    /// The request that it is about.
    pub request_id: Option<RequestId>,
    /// The address.
    pub recipient: String,
    /// The name.
    pub name: String,
    /// The language.
    pub locale: String,
    /// The IANA time zone.
    pub time_zone: String,
    /// How far it is.
    pub state: DeliveryState,
    /// Smaller goes first.
    pub priority: i16,
    /// How often it was tried.
    pub attempts: i32,
    /// Not before this.
    pub next_attempt_at: Moment,
    /// Which process has it.
    pub lease_owner: Option<EventId>,
    /// Until when that process has it.
    pub lease_until: Option<Moment>,
    /// What the last attempt said.
    pub error: Option<String>,
    /// When it was written down.
    pub created_at: Moment,
    /// When it was handed over.
    pub sent_at: Option<Moment>,
}

impl Delivery {
    /// A message to be sent from `now` on.
    pub fn new(
        event_id: EventId,
        kind: DeliveryKind,
        to: Recipient,
        priority: Priority,
        now: Moment,
    ) -> Self {
        Self {
            tenant_id: to.tenant_id,
            id: Id::at(now),
            event_id,
            kind,
            incident_id: None,
            request_id: None,
            recipient: to.email,
            name: to.name,
            locale: to.locale,
            time_zone: to.time_zone,
            state: DeliveryState::Pending,
            priority: priority.rank(),
            attempts: 0,
            next_attempt_at: now,
            lease_owner: None,
            lease_until: None,
            error: None,
            created_at: now,
            sent_at: None,
        }
    }
}

impl Delivery {
    /// The mail of an incident's end to the same recipient.
    pub fn end_of(&self, end: &Broadcast, now: Moment) -> Self {
        let to = Recipient {
            tenant_id: self.tenant_id,
            email: self.recipient.clone(),
            name: self.name.clone(),
            locale: self.locale.clone(),
            time_zone: self.time_zone.clone(),
        };
        let mut row = Self::new(end.id, end.kind.into(), to, Priority::Bulk, now);
        row.incident_id = Some(end.incident_id);
        row
    }
}

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
    /// When it was made.
    pub created_at: Moment,
    /// When it was finished.
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
    /// When it was written down.
    pub created_at: Moment,
    /// When it was handed over.
    pub sent_at: Option<Moment>,
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
            created_at: row.created_at,
            sent_at: row.sent_at,
        }
    }
}
