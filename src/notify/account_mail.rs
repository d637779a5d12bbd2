//! Mail about somebody's own account: invitations, new passwords, and the news that one was changed.

use serde_json::Value;

use crate::db::{Connection, MailedTokenId, Moment, PersonId, TenantId};
use crate::identity::{self, Person};
use crate::journal::{Event, EventKind};
use crate::mail::{Delivery, DeliveryKind, Priority, Recipient};
use crate::problem::Problem;

/// The mail that an event about a person makes.
pub fn mail_of(conn: &mut Connection, event: &Event, now: Moment) -> Result<Vec<Delivery>, Problem> {
    let kind = match event.kind {
        EventKind::UserInvited => DeliveryKind::Invitation,
        EventKind::PasswordResetAsked => DeliveryKind::PasswordReset,
        EventKind::PasswordChanged => DeliveryKind::PasswordChanged,
        EventKind::SecondFactorAdded => DeliveryKind::SecondFactorAdded,
        EventKind::SecondFactorRemoved => DeliveryKind::SecondFactorRemoved,
        _ => return Ok(Vec::new()),
    };
    let id: PersonId = event.subject_id.of();
    let Some(person) = identity::store::person(conn, id)? else {
        return Ok(Vec::new());
    };
    let recipient = recipient_of(event.tenant_id, person);
    Ok(vec![Delivery::new(
        event.id,
        kind,
        recipient,
        Priority::Request,
        now,
    )])
}

/// Somebody, as mail on behalf of a tenant reaches them.
pub fn recipient_of(tenant_id: TenantId, person: Person) -> Recipient {
    Recipient {
        tenant_id,
        email: person.email,
        name: person.name,
        locale: person.locale,
        time_zone: person.time_zone,
    }
}

/// Where the link of a mail leads: who has an account accepts an invitation, everybody else chooses a password.
pub fn page(conn: &mut Connection, event: &Event) -> Result<&'static str, Problem> {
    let id: PersonId = event.subject_id.of();
    let person = identity::store::person(conn, id)?;
    let has_account = person.is_some_and(|person| person.has_account());
    Ok(if event.kind == EventKind::UserInvited && has_account {
        "invitation"
    } else {
        "password"
    })
}

/// The token that a mail carries.
pub fn token_id(event: &Event) -> Option<MailedTokenId> {
    let id = event
        .data
        .0
        .pointer("/internal/token_id")
        .and_then(Value::as_str)?;
    id.parse().ok()
}
