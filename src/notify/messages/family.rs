//! Which templates make mail of a kind.

use crate::mail::DeliveryKind;

/// Mail that is made by the same three templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// About an incident.
    Status,
    /// About a request.
    Request,
    /// About somebody's account.
    Account,
    /// Updates of a day, about any incidents.
    Digest,
    /// To the desk itself.
    Desk,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 5] = [
        Self::Status,
        Self::Request,
        Self::Account,
        Self::Digest,
        Self::Desk,
    ];

    /// Which one makes mail of a kind.
    pub fn of(kind: DeliveryKind) -> Option<Self> {
        Some(match kind {
            DeliveryKind::IncidentOpened
            | DeliveryKind::IncidentUpdated
            | DeliveryKind::IncidentRescoped
            | DeliveryKind::IncidentResolved
            | DeliveryKind::IncidentReopened
            | DeliveryKind::IncidentFalsePositive
            | DeliveryKind::IncidentDuplicate
            | DeliveryKind::IncidentReported => Self::Status,
            DeliveryKind::RequestReceived
            | DeliveryKind::RequestCommented
            | DeliveryKind::RequestResolved
            | DeliveryKind::WatcherAdded => Self::Request,
            DeliveryKind::Invitation
            | DeliveryKind::PasswordReset
            | DeliveryKind::PasswordChanged
            | DeliveryKind::SecondFactorAdded
            | DeliveryKind::SecondFactorRemoved => Self::Account,
            DeliveryKind::Digest => Self::Digest,
            DeliveryKind::UrgentRequest
            | DeliveryKind::SlaWarned
            | DeliveryKind::SlaBreached
            | DeliveryKind::RequestEscalated
            | DeliveryKind::PromiseWarned
            | DeliveryKind::PromiseMissed
            | DeliveryKind::ShiftHandedOver
            | DeliveryKind::AddressSuppressed => Self::Desk,
            DeliveryKind::Unknown => return None,
        })
    }

    /// What its files begin with.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Request => "request",
            Self::Account => "account",
            Self::Digest => "digest",
            Self::Desk => "desk",
        }
    }

    /// Its files: subject, plain and HTML part.
    pub fn files(self) -> [String; 3] {
        ["subject.txt", "txt", "html"].map(|part| format!("{}.{part}", self.name()))
    }
}
