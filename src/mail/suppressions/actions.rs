//! An address takes no mail any more, and takes it again.

use serde_json::json;

use super::{Suppression, store};
use crate::db::{Connection, Id, Moment, SuppressionId};
use crate::identity::{Caller, Right};
use crate::journal::{self, Actor, Event, EventKind, Reader, SubjectKind};
use crate::mail::Delivery;
use crate::problem::Problem;

/// Notes that the recipient of a message that came back takes no mail; whoever runs the tenant hears of it, once.
pub fn suppress(conn: &mut Connection, row: &Delivery, said: &str, now: Moment) -> Result<(), Problem> {
    let suppression = Suppression {
        tenant_id: row.tenant_id,
        id: Id::at(now),
        address: row.recipient.clone(),
        said: said.to_owned(),
        delivery_id: row.id,
        at: now,
    };
    if !store::create(conn, &suppression)? {
        return Ok(());
    }
    let subject = (SubjectKind::Suppression, suppression.id);
    let data =
        json!({"to": {"address": suppression.address, "said": suppression.said, "delivery_id": row.id}});
    let kind = EventKind::AddressSuppressed;
    let event = Event::new(kind, subject, (row.tenant_id, 1), (&Actor::system(), now), data);
    journal::record(conn, &event, &[Reader::Notify])
}

/// Lets mail go there again.
pub(super) fn lift(conn: &mut Connection, caller: &Caller, id: SuppressionId) -> Result<(), Problem> {
    let missing = || Problem::not_found("suppression");
    let found = store::find(conn, caller.scope(), id)?.ok_or_else(missing)?;
    caller.require(Right::LiftSuppressions)?;
    if !store::remove(conn, &found)? {
        return Err(missing());
    }
    let subject = (SubjectKind::Suppression, found.id);
    let data = json!({"from": {"address": found.address, "said": found.said}});
    let who = (&caller.actor(), caller.now());
    let event = Event::next(EventKind::SuppressionLifted, subject, found.tenant_id, who, data);
    journal::append(conn, event, &[])
}
