//! A message that is due, as far as it is looked at before it is taken.

use diesel::prelude::*;

use super::model::{DeliveryKind, Recipient};
use super::store::Address;
use crate::db::schema::deliveries;
use crate::db::{DeliveryId, EventId, IncidentId, RequestId, TenantId};

/// What the gate and the list of the told ask of a message, read once. There is nothing here that cannot be read: a row
/// of which that is not so is dealt with alone, later.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = deliveries)]
pub struct Due {
    /// On whose behalf.
    pub tenant_id: TenantId,
    /// The message.
    pub id: DeliveryId,
    /// Of which event.
    pub event_id: EventId,
    kind: String,
    /// The incident that it names.
    pub incident_id: Option<IncidentId>,
    /// The request that it is about.
    pub request_id: Option<RequestId>,
    /// To which address.
    pub recipient: String,
    name: String,
    locale: String,
    time_zone: String,
}

impl Due {
    /// Its row.
    pub fn address(&self) -> Address {
        (self.tenant_id, self.id)
    }

    /// What it says; none where that is not known here.
    pub fn kind(&self) -> Option<DeliveryKind> {
        DeliveryKind::parse(&self.kind)
    }

    /// To whom it goes.
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
