//! Who has which message in hand: the queries of the dispatcher.

use std::collections::HashSet;

use chrono::TimeDelta;
use diesel::prelude::*;

use super::carried;
use super::due::Due;
use super::gate;
use super::model::{Delivery, DeliveryState, Priority};
use super::store::Address;
use super::told;
use crate::db::schema::deliveries;
use crate::db::{Connection, DeliveryId, EventId, Moment, lock};
use crate::problem::Problem;

/// How often it is looked for something that may leave.
const LOOKS: usize = 8;

/// Whether a message of this lane is due, or the lease of one has run out.
pub fn any_due(conn: &mut Connection, lane: Priority, now: Moment) -> Result<bool, Problem> {
    let due = deliveries::table
        .filter(deliveries::state.eq(DeliveryState::Pending))
        .filter(deliveries::priority.eq(lane.rank()))
        .filter(deliveries::next_attempt_at.le(now))
        .select(deliveries::id);
    if due.first::<DeliveryId>(conn).optional()?.is_some() {
        return Ok(true);
    }
    let expired = deliveries::table
        .filter(deliveries::state.eq(DeliveryState::Leased))
        .filter(deliveries::priority.eq(lane.rank()))
        .filter(deliveries::lease_until.lt(now))
        .select(deliveries::id);
    Ok(expired.first::<DeliveryId>(conn).optional()?.is_some())
}

/// Whose the leased messages are, and until when.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// Whoever has them.
    pub owner: EventId,
    /// For so long, unless it is renewed.
    pub lasts: TimeDelta,
}

/// What is taken at a time.
#[derive(Clone, Copy, Debug)]
pub struct Portion {
    /// Of this lane.
    pub lane: Priority,
    /// At most so many messages.
    pub most: i64,
    /// Mails that an address gets a day because somebody listed it.
    pub daily_cap: Option<usize>,
}

/// Takes up to `most` messages of a lane that are due and may leave, and writes down that their recipients are told.
///
/// One process at a time takes of a lane, behind a lock: so two never wait for each other's rows. What a dead process had
/// is taken once its lease has run out. A row that cannot be read is dealt with alone,
/// later.
pub fn take(
    conn: &mut Connection,
    portion: Portion,
    lease: Lease,
    now: Moment,
) -> Result<Vec<Address>, Problem> {
    let rank = portion.lane.rank();
    lock::exclusive(conn, lock::Key::named(&format!("leasing mail of rank {rank}")))?;
    let expired = deliveries::table
        .filter(deliveries::state.eq(DeliveryState::Leased))
        .filter(deliveries::priority.eq(rank))
        .filter(deliveries::lease_until.lt(now));
    diesel::update(expired)
        .set((
            deliveries::state.eq(DeliveryState::Pending),
            deliveries::lease_owner.eq(None::<EventId>),
            deliveries::lease_until.eq(None::<Moment>),
        ))
        .execute(conn)?;
    let mut due = may_leave(conn, portion, now)?;
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<DeliveryId> = due.iter().map(|row| row.id).collect();
    // Guarded: what has been withdrawn meanwhile is not taken.
    let pending = deliveries::table
        .filter(deliveries::id.eq_any(ids.clone()))
        .filter(deliveries::state.eq(DeliveryState::Pending));
    let taken = diesel::update(pending)
        .set((
            deliveries::state.eq(DeliveryState::Leased),
            deliveries::lease_owner.eq(Some(lease.owner)),
            deliveries::lease_until.eq(Some(now.plus(lease.lasts))),
        ))
        .execute(conn)?;
    if taken < due.len() {
        let own = deliveries::table
            .filter(deliveries::id.eq_any(ids))
            .filter(deliveries::lease_owner.eq(lease.owner))
            .select(deliveries::id);
        let own: HashSet<DeliveryId> = own.load(conn)?.into_iter().collect();
        due.retain(|row| own.contains(&row.id));
    }
    told::tell(conn, &due, now)?;
    carried::go_with(conn, &due)?;
    Ok(due.iter().map(Due::address).collect())
}

/// The first of a lane that are due and may leave. What may not is suppressed: where those are many, it is looked further.
fn may_leave(conn: &mut Connection, portion: Portion, now: Moment) -> Result<Vec<Due>, Problem> {
    for _ in 0..LOOKS {
        let due: Vec<Due> = deliveries::table
            .filter(deliveries::state.eq(DeliveryState::Pending))
            .filter(deliveries::priority.eq(portion.lane.rank()))
            .filter(deliveries::next_attempt_at.le(now))
            .order((deliveries::priority, deliveries::next_attempt_at, deliveries::id))
            .limit(portion.most)
            .select(Due::as_select())
            .load(conn)?;
        if due.is_empty() {
            break;
        }
        let passed = gate::pass(conn, due, portion.daily_cap, now)?;
        if !passed.is_empty() {
            return Ok(passed);
        }
    }
    Ok(Vec::new())
}

fn ids(addresses: &[Address]) -> Vec<DeliveryId> {
    addresses.iter().map(|(_, id)| *id).collect()
}

/// These messages, in any order; those that are gone are missing.
pub fn load(conn: &mut Connection, addresses: &[Address]) -> Result<Vec<Delivery>, Problem> {
    Ok(deliveries::table
        .filter(deliveries::id.eq_any(ids(addresses)))
        .select(Delivery::as_select())
        .load(conn)?)
}

/// Keeps the messages of a living owner its own.
pub fn renew(conn: &mut Connection, owner: EventId, until: Moment) -> Result<usize, Problem> {
    let own = deliveries::table
        .filter(deliveries::state.eq(DeliveryState::Leased))
        .filter(deliveries::lease_owner.eq(owner));
    Ok(diesel::update(own)
        .set(deliveries::lease_until.eq(Some(until)))
        .execute(conn)?)
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Handed over.
    Sent,
    /// Tried, to be tried again.
    Retry(Moment, String),
    /// Given up.
    Failed(String),
    /// Not tried: given back as it was.
    Returned,
    /// Not tried, and not to be before then.
    Held(Moment),
}

/// Marks what became of messages, where they are still `owner`'s: all that were sent or given back in one statement each.
pub fn mark(
    conn: &mut Connection,
    owner: EventId,
    outcomes: &[(Address, Outcome)],
    now: Moment,
) -> Result<(), Problem> {
    let all = |wanted: &Outcome| -> Vec<Address> {
        let of = outcomes.iter().filter(|(_, outcome)| outcome == wanted);
        of.map(|(address, _)| *address).collect()
    };
    for outcome in [Outcome::Sent, Outcome::Returned] {
        mark_all(conn, owner, &all(&outcome), &outcome, now)?;
    }
    for (address, outcome) in outcomes {
        if !matches!(outcome, Outcome::Sent | Outcome::Returned) {
            mark_all(conn, owner, &[*address], outcome, now)?;
        }
    }
    Ok(())
}

fn mark_all(
    conn: &mut Connection,
    owner: EventId,
    addresses: &[Address],
    outcome: &Outcome,
    now: Moment,
) -> Result<(), Problem> {
    if addresses.is_empty() {
        return Ok(());
    }
    let (state, tries, next, sent_at) = match outcome {
        Outcome::Sent => (DeliveryState::Sent, 1, None, Some(now)),
        Outcome::Retry(at, _) => (DeliveryState::Pending, 1, Some(*at), None),
        Outcome::Failed(_) => (DeliveryState::Failed, 1, None, None),
        Outcome::Returned => (DeliveryState::Pending, 0, None, None),
        Outcome::Held(at) => (DeliveryState::Pending, 0, Some(*at), None),
    };
    // What was not tried has nothing new to say.
    let error = match outcome {
        Outcome::Sent => Some(None),
        Outcome::Retry(_, error) | Outcome::Failed(error) => Some(Some(error.as_str())),
        Outcome::Returned | Outcome::Held(_) => None,
    };
    let own = deliveries::table
        .filter(deliveries::id.eq_any(ids(addresses)))
        .filter(deliveries::state.eq(DeliveryState::Leased))
        .filter(deliveries::lease_owner.eq(owner));
    diesel::update(own)
        .set((
            deliveries::state.eq(state),
            deliveries::attempts.eq(deliveries::attempts + tries),
            next.map(|at| deliveries::next_attempt_at.eq(at)),
            error.map(|error| deliveries::error.eq(error)),
            deliveries::sent_at.eq(sent_at),
            deliveries::lease_owner.eq(None::<EventId>),
            deliveries::lease_until.eq(None::<Moment>),
        ))
        .execute(conn)?;
    Ok(())
}

/// Gives back everything that is leased, by whomever: only where no other process can be alive.
pub fn release_all(conn: &mut Connection) -> Result<usize, Problem> {
    let leased = deliveries::table.filter(deliveries::state.eq(DeliveryState::Leased));
    Ok(diesel::update(leased)
        .set((
            deliveries::state.eq(DeliveryState::Pending),
            deliveries::lease_owner.eq(None::<EventId>),
            deliveries::lease_until.eq(None::<Moment>),
        ))
        .execute(conn)?)
}

/// How many messages of a lane wait, and how long the first of those that are due has been due.
pub fn queue(conn: &mut Connection, lane: Priority, now: Moment) -> Result<(i64, TimeDelta), Problem> {
    let pending = deliveries::table
        .filter(deliveries::state.eq(DeliveryState::Pending))
        .filter(deliveries::priority.eq(lane.rank()));
    let depth: i64 = pending.count().get_result(conn)?;
    let first: Option<Moment> = pending
        .order(deliveries::next_attempt_at)
        .select(deliveries::next_attempt_at)
        .first(conn)
        .optional()?;
    let age = first.map_or(TimeDelta::zero(), |first| now.since(first).max(TimeDelta::zero()));
    Ok((depth, age))
}
