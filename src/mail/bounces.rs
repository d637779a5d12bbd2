//! Mail that came back: it was taken from us, and somebody further on says that it is late, or has given it up.

use diesel::prelude::*;
use serde_json::json;

use super::inbound::report::{End, Fate};
use super::model::{Delivery, DeliveryState};
use super::suppressions;
use crate::db::schema::deliveries;
use crate::db::{Connection, Moment};
use crate::journal::{self, Actor, Event, EventKind, SubjectKind};
use crate::problem::Problem;
use crate::text::cleaned;

/// Of what a mail server says, so many characters are kept.
const LONGEST: usize = 500;

/// The worst of the fates that a report tells of a message.
pub fn worst_of(fates: &[Fate]) -> Option<&Fate> {
    fates.iter().max_by_key(|fate| fate.end)
}

/// Notes what a report says of a message that was handed over.
///
/// Its address proves which message it is. The recipient that the report names may be another: mail is passed on.
pub fn reported(conn: &mut Connection, row: &Delivery, fate: &Fate, now: Moment) -> Result<(), Problem> {
    match fate.end {
        End::Well => Ok(()),
        End::Late => late(conn, row, fate),
        End::GivenUp => returned(conn, row, fate, now).map(|_| ()),
        End::Refused => match returned(conn, row, fate, now)? {
            true => suppressions::suppress(conn, row, &said("returned", fate), now),
            false => Ok(()),
        },
    }
}

/// What a mail server says, in one line.
fn said(how: &str, fate: &Fate) -> String {
    let (status, said) = (&fate.status, fate.said.as_deref().unwrap_or_default());
    let line = cleaned(&format!("{how}: {status} {said}"));
    line.trim().chars().take(LONGEST).collect()
}

/// It may arrive still: that is counted, and all.
fn late(conn: &mut Connection, row: &Delivery, fate: &Fate) -> Result<(), Problem> {
    let sent = deliveries::table
        .find((row.tenant_id, row.id))
        .filter(deliveries::state.eq(DeliveryState::Sent));
    diesel::update(sent)
        .set((
            deliveries::delays.eq(deliveries::delays + 1),
            deliveries::error.eq(Some(said("late", fate))),
        ))
        .execute(conn)?;
    Ok(())
}

/// It is failed, as if it had never left; `false` when that is noted already.
fn returned(conn: &mut Connection, row: &Delivery, fate: &Fate, now: Moment) -> Result<bool, Problem> {
    let error = said("returned", fate);
    let sent = deliveries::table
        .find((row.tenant_id, row.id))
        .filter(deliveries::state.eq(DeliveryState::Sent));
    let changed = diesel::update(sent)
        .set((
            deliveries::state.eq(DeliveryState::Failed),
            deliveries::error.eq(Some(&error)),
            deliveries::sent_at.eq(None::<Moment>),
        ))
        .execute(conn)?;
    if changed == 0 {
        return Ok(false);
    }
    let (kind, subject) = (EventKind::DeliveryReturned, (SubjectKind::Delivery, row.id));
    let data = json!({"recipient": row.recipient, "status": cleaned(&fate.status), "said": error});
    let event = Event::next(kind, subject, row.tenant_id, (&Actor::system(), now), data);
    journal::append(conn, event, &[])?;
    Ok(true)
}
