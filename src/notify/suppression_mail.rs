//! Mail to whoever runs a tenant: an address takes no mail any more.

use serde_json::Value;

use super::account_mail::recipient_of;
use crate::db::{Connection, Moment, PROVIDER};
use crate::identity::{self, Role};
use crate::journal::{Event, EventKind};
use crate::mail::{Delivery, DeliveryKind, Priority};
use crate::problem::Problem;

/// The mail that an event about an address makes.
pub fn mail_of(conn: &mut Connection, event: &Event, now: Moment) -> Result<Vec<Delivery>, Problem> {
    if event.kind != EventKind::AddressSuppressed {
        return Ok(Vec::new());
    }
    let people = if event.tenant_id == PROVIDER {
        identity::store::staff(conn, &[Role::Operator])?
    } else {
        identity::store::admins(conn, event.tenant_id)?
    };
    let address = address(event);
    let others = people.into_iter().filter(|person| person.email != address);
    let message = |person| {
        let to = recipient_of(event.tenant_id, person);
        Delivery::new(
            event.id,
            DeliveryKind::AddressSuppressed,
            to,
            Priority::Request,
            now,
        )
    };
    Ok(others.map(message).collect())
}

/// The address that such an event is about.
pub fn address(event: &Event) -> &str {
    let address = event.data.0.pointer("/to/address");
    address.and_then(Value::as_str).unwrap_or_default()
}
