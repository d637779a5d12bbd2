//! What is kept back for somebody who gets updates together, and which mail says it instead: a digest, or the mail that the
//! incident is over, or begins again.
//!
//! A digest says what is kept as it is made. Another mail takes it along as it is taken to be sent, and not before: so what
//! a later event replaces, or its recipient does not want, takes nothing with it.

use std::collections::{BTreeSet, HashMap};

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::due::Due;
use super::model::{BroadcastState, Delivery, DeliveryKind, Reason};
use crate::db::schema::{broadcasts, deliveries};
use crate::db::{Connection, DeliveryId, EventId, IncidentId, TenantId, lock};
use crate::problem::Problem;

/// A message that is kept back.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = deliveries)]
pub struct Kept {
    /// On whose behalf.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: DeliveryId,
    /// For whom.
    pub recipient: String,
    /// The incident that it names.
    pub incident_id: Option<IncidentId>,
    /// What it tells.
    pub event_id: EventId,
    /// The event whose mail says it.
    pub carried_by: Option<EventId>,
}

impl Kept {
    /// Whether it is said in a mail.
    pub fn is_in(&self, mail: Mail<'_>) -> bool {
        self.carried_by == Some(mail.event)
            && self.tenant_id == mail.tenant
            && self.recipient == mail.recipient
    }
}

/// A mail, as what it says besides is known by.
#[derive(Clone, Copy, Debug)]
pub struct Mail<'a> {
    tenant: TenantId,
    event: EventId,
    recipient: &'a str,
}

impl<'a> From<&'a Delivery> for Mail<'a> {
    fn from(row: &'a Delivery) -> Self {
        Self {
            tenant: row.tenant_id,
            event: row.event_id,
            recipient: &row.recipient,
        }
    }
}

impl<'a> From<&'a Due> for Mail<'a> {
    fn from(row: &'a Due) -> Self {
        Self {
            tenant: row.tenant_id,
            event: row.event_id,
            recipient: &row.recipient,
        }
    }
}

/// Whoever keeps something, or says it in a mail, does so alone.
pub fn alone(conn: &mut Connection) -> Result<(), Problem> {
    Ok(lock::exclusive(conn, lock::Key::named("digests"))?)
}

/// What is kept back for these addresses and said in no mail yet, oldest first; not what was called off.
pub fn waiting(conn: &mut Connection, recipients: &[&str]) -> Result<Vec<Kept>, Problem> {
    let called_off = broadcasts::table
        .filter(broadcasts::id.eq(deliveries::event_id))
        .filter(broadcasts::state.eq(BroadcastState::Cancelled));
    let mut kept: Vec<Kept> = deliveries::table
        .filter(deliveries::recipient.eq_any(recipients.to_vec()))
        .filter(deliveries::reason.assume_not_null().eq(Reason::Digest))
        .filter(deliveries::carried_by.is_null())
        .filter(not(exists(called_off)))
        .select(Kept::as_select())
        .load(conn)?;
    kept.sort_unstable_by_key(|row| row.id);
    Ok(kept)
}

/// What is kept of an incident for whoever is about to get the mail that it is over, or begins again, goes with that.
pub fn go_with(conn: &mut Connection, messages: &[Due]) -> Result<(), Problem> {
    let is_turn = |row: &&Due| row.kind().is_some_and(DeliveryKind::is_turn);
    let turns: Vec<&Due> = messages.iter().filter(is_turn).collect();
    if turns.is_empty() {
        return Ok(());
    }
    let recipients: BTreeSet<&str> = turns.iter().map(|row| row.recipient.as_str()).collect();
    let recipients: Vec<&str> = recipients.into_iter().collect();
    // Most have nothing kept: nobody waits for that.
    if waiting(conn, &recipients)?.is_empty() {
        return Ok(());
    }
    alone(conn)?;
    let mut kept: HashMap<_, Vec<DeliveryId>> = HashMap::new();
    for row in waiting(conn, &recipients)? {
        let whose = (row.tenant_id, row.incident_id, row.recipient);
        kept.entry(whose).or_default().push(row.id);
    }
    let mut carried: HashMap<EventId, Vec<DeliveryId>> = HashMap::new();
    for row in turns {
        let own = kept.remove(&(row.tenant_id, row.incident_id, row.recipient.clone()));
        carried
            .entry(row.event_id)
            .or_default()
            .extend(own.into_iter().flatten());
    }
    for (event, ids) in carried {
        carry(conn, &ids, Some(event))?;
    }
    Ok(())
}

/// The mail of this event says it; none does.
pub fn carry(conn: &mut Connection, kept: &[DeliveryId], event: Option<EventId>) -> Result<(), Problem> {
    if kept.is_empty() {
        return Ok(());
    }
    diesel::update(deliveries::table.filter(deliveries::id.eq_any(kept)))
        .set(deliveries::carried_by.eq(event))
        .execute(conn)?;
    Ok(())
}

/// These mails do not leave: what they would have said waits again.
pub fn let_go(conn: &mut Connection, mails: &[Mail<'_>]) -> Result<(), Problem> {
    let mut kept = by(conn, mails)?;
    kept.retain(|row| mails.iter().any(|mail| row.is_in(*mail)));
    carry(conn, &kept.iter().map(|row| row.id).collect::<Vec<_>>(), None)
}

/// Its recipient wants no more of it.
pub fn leave_out(conn: &mut Connection, kept: &[DeliveryId]) -> Result<(), Problem> {
    if kept.is_empty() {
        return Ok(());
    }
    diesel::update(deliveries::table.filter(deliveries::id.eq_any(kept)))
        .set(deliveries::reason.eq(Some(Reason::Unsubscribed)))
        .execute(conn)?;
    Ok(())
}

/// What these mails say besides, oldest first; and perhaps what mails of the same events say to the same addresses on
/// behalf of others.
pub fn by(conn: &mut Connection, mails: &[Mail<'_>]) -> Result<Vec<Kept>, Problem> {
    let events: BTreeSet<EventId> = mails.iter().map(|mail| mail.event).collect();
    let recipients: BTreeSet<&str> = mails.iter().map(|mail| mail.recipient).collect();
    let mut kept: Vec<Kept> = deliveries::table
        .filter(deliveries::carried_by.assume_not_null().eq_any(events))
        .filter(deliveries::recipient.eq_any(recipients))
        .select(Kept::as_select())
        .load(conn)?;
    kept.sort_unstable_by_key(|row| row.id);
    Ok(kept)
}
