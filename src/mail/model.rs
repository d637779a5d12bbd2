//! Broadcasts, deliveries and who was told, as rows and as clients see them.

use diesel::prelude::*;

use crate::db::schema::{broadcasts, deliveries};
use crate::db::{DeliveryId, EventId, Id, IncidentId, Moment, RequestId, TenantId, text_enum};

text_enum! {
    /// What a broadcast tells.
    BroadcastKind {
        Opened = "incident_opened",
        Updated = "incident_updated",
        /// What it affects has changed.
        Rescoped = "incident_rescoped",
        Resolved = "incident_resolved",
        Reopened = "incident_reopened",
        FalsePositive = "incident_false_positive",
        Duplicate = "incident_duplicate",
        Reported = "incident_reported",
    }
}

impl BroadcastKind {
    /// The ends of an incident.
    pub const ENDS: &'static [Self] = &[Self::Resolved, Self::FalsePositive, Self::Duplicate];
    /// What says whether an incident is over: the last of these.
    pub const TURNS: &'static [Self] = &[
        Self::Resolved,
        Self::FalsePositive,
        Self::Duplicate,
        Self::Reopened,
    ];

    /// Whether it tells that the incident is over.
    pub fn is_end(self) -> bool {
        Self::ENDS.contains(&self)
    }

    /// Whether everyone who was told hears of it, and not only the live audience.
    pub fn reaches_told(self) -> bool {
        Self::TURNS.contains(&self) || self == Self::Rescoped
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
    Phase { Requesters = "requesters", Watchers = "watchers", Contacts = "contacts", Subscribers = "subscribers", Told = "told", Done = "done" }
}

impl Phase {
    /// The part after this one, of a broadcast of this kind.
    pub fn next(self, kind: BroadcastKind) -> Self {
        match self {
            Self::Requesters => Self::Watchers,
            // That it goes on as another one concerns whoever has a request about it, or was told of it.
            Self::Watchers if kind == BroadcastKind::Duplicate => Self::Told,
            Self::Watchers => Self::Contacts,
            Self::Contacts => Self::Subscribers,
            Self::Subscribers if kind.reaches_told() => Self::Told,
            Self::Subscribers | Self::Told | Self::Done => Self::Done,
        }
    }
}

text_enum! {
    /// What a message is.
    DeliveryKind {
        IncidentOpened = "incident_opened",
        IncidentUpdated = "incident_updated",
        IncidentRescoped = "incident_rescoped",
        IncidentResolved = "incident_resolved",
        IncidentReopened = "incident_reopened",
        IncidentFalsePositive = "incident_false_positive",
        IncidentDuplicate = "incident_duplicate",
        IncidentReported = "incident_reported",
        RequestReceived = "request_received",
        RequestCommented = "request_commented",
        RequestResolved = "request_resolved",
        WatcherAdded = "watcher_added",
        Digest = "digest",
        UrgentRequest = "urgent_request",
        SlaWarned = "sla_warned",
        SlaBreached = "sla_breached",
        RequestEscalated = "request_escalated",
        ShiftHandedOver = "shift_handed_over",
        AddressSuppressed = "address_suppressed",
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

impl DeliveryKind {
    /// What goes to people who may not have asked for it, or no longer do: status mail, and that one was made a watcher.
    pub const UNASKED: &'static [Self] = &[
        Self::IncidentOpened,
        Self::IncidentUpdated,
        Self::IncidentRescoped,
        Self::IncidentResolved,
        Self::IncidentReopened,
        Self::IncidentFalsePositive,
        Self::IncidentDuplicate,
        Self::IncidentReported,
        Self::WatcherAdded,
        Self::Digest,
    ];

    /// Whether it tells that an incident is over.
    pub fn is_end(self) -> bool {
        matches!(
            self,
            Self::IncidentResolved | Self::IncidentFalsePositive | Self::IncidentDuplicate
        )
    }

    /// Whether it tells that an incident is over, or begins again.
    pub fn is_turn(self) -> bool {
        self.is_end() || self == Self::IncidentReopened
    }

    /// Whether an answer to it is a comment on its request.
    pub fn is_answered(self) -> bool {
        matches!(
            self,
            Self::RequestReceived | Self::RequestCommented | Self::RequestResolved | Self::WatcherAdded
        )
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
            BroadcastKind::Rescoped => Self::IncidentRescoped,
            BroadcastKind::Resolved => Self::IncidentResolved,
            BroadcastKind::Reopened => Self::IncidentReopened,
            BroadcastKind::FalsePositive => Self::IncidentFalsePositive,
            BroadcastKind::Duplicate => Self::IncidentDuplicate,
            BroadcastKind::Reported => Self::IncidentReported,
        }
    }
}

text_enum! {
    /// How far a delivery is.
    DeliveryState { Pending = "pending", Leased = "leased", Sent = "sent", Failed = "failed", Suppressed = "suppressed" }
}

text_enum! {
    /// Why a message is suppressed: every one that is not sent has its reason.
    Reason {
        /// A later event of the incident stands for it.
        Superseded = "superseded",
        /// Somebody called its broadcast off.
        Cancelled = "cancelled",
        /// Its recipient hears of other events only.
        Unwanted = "unwanted",
        /// Its recipient gets updates together: the mail of another event says it.
        Digest = "digest",
        /// The address got as many mails today as it may, from whomever.
        DailyCap = "daily_cap",
        /// Its recipient wants no such mail.
        Unsubscribed = "unsubscribed",
        /// Its recipient was taken off, or took themselves off.
        Removed = "removed",
        /// The address takes no mail: what went there came back.
        Suppressed = "suppressed",
        /// The account of its recipient is disabled.
        Disabled = "disabled",
        /// The data of its tenant are erased.
        Erased = "erased",
    }
}

impl Reason {
    /// The reasons for which somebody who was told it began need not hear that it ended.
    pub const ENOUGH: &'static [Self] = &[
        Self::Unsubscribed,
        Self::Removed,
        Self::Suppressed,
        Self::Disabled,
        Self::Erased,
    ];
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
    /// When it was finished, or called off.
    pub finished_at: Option<Moment>,
    /// Nothing of it leaves before this; known from its first chunk on.
    pub leaves_at: Option<Moment>,
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
            leaves_at: None,
        }
    }

    /// Notes that `count` of at most `limit` rows of the current part were taken, the last of them at this place.
    pub fn advance(&mut self, last: Option<Place>, count: usize, limit: usize) {
        match last {
            Some((tenant, key)) if count >= limit => {
                self.after_tenant = Some(tenant);
                self.after_key = key;
            }
            _ => {
                self.phase = self.phase.next(self.kind);
                self.after_tenant = None;
                self.after_key = String::new();
            }
        }
    }

    /// Whether its audience is not all written down.
    pub fn is_expanding(&self) -> bool {
        matches!(self.state, BroadcastState::Pending | BroadcastState::Expanding)
    }

    /// The message of it to this recipient.
    pub fn message(&self, to: Recipient, now: Moment) -> Delivery {
        let mut row = Delivery::new(self.id, self.kind.into(), to, Priority::Bulk, now);
        row.incident_id = Some(self.incident_id);
        if let Some(leaves_at) = self.leaves_at.filter(|at| *at > now) {
            row.next_attempt_at = leaves_at;
        }
        row
    }
}

/// Where in a part of an audience somebody was found.
pub type Place = (TenantId, String);

/// Somebody a message goes to.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = deliveries)]
pub struct Recipient {
    /// On whose behalf.
    pub tenant_id: TenantId,
    /// The address, in lower case.
    #[diesel(column_name = recipient)]
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
    /// Why it is suppressed, if it is.
    pub reason: Option<Reason>,
    /// How often a mail server further on has said that it is late.
    pub delays: i32,
    /// The event whose mail to the same recipient says it, where it was kept for that.
    pub carried_by: Option<EventId>,
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
            reason: None,
            delays: 0,
            carried_by: None,
        }
    }

    /// The same, written down as one that is not sent.
    pub fn suppressed(self, reason: Reason) -> Self {
        Self {
            state: DeliveryState::Suppressed,
            reason: Some(reason),
            ..self
        }
    }

    /// Whom it goes to.
    pub fn to(&self) -> Recipient {
        Recipient {
            tenant_id: self.tenant_id,
            email: self.recipient.clone(),
            name: self.name.clone(),
            locale: self.locale.clone(),
            time_zone: self.time_zone.clone(),
        }
    }
}
