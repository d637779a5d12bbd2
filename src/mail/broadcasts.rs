//! Broadcasts: one fan-out of one incident message each, and how far it is.

use chrono::TimeDelta;
use diesel::dsl::{count_star, exists, not};
use diesel::prelude::*;

use super::model::{Broadcast, BroadcastKind, BroadcastState, DeliveryState};
use super::superseding;
use super::view::BroadcastView;
use crate::db::schema::{broadcasts, deliveries};
use crate::db::{Connection, EventId, IncidentId, Moment, lock};
use crate::problem::Problem;

/// The rate is that of so many seconds.
const MINUTE: i64 = 60;

/// Adds a broadcast.
pub fn create(conn: &mut Connection, broadcast: &Broadcast) -> Result<(), Problem> {
    diesel::insert_into(broadcasts::table)
        .values(broadcast)
        .execute(conn)?;
    Ok(())
}

/// The broadcast of this id.
pub fn find(conn: &mut Connection, id: EventId) -> Result<Option<Broadcast>, Problem> {
    Ok(broadcasts::table
        .find(id)
        .select(Broadcast::as_select())
        .first(conn)
        .optional()?)
}

/// The broadcasts of an incident, in order.
pub fn of_incident(
    conn: &mut Connection,
    incident: IncidentId,
    after: i32,
    limit: i64,
) -> Result<Vec<Broadcast>, Problem> {
    Ok(broadcasts::table
        .filter(broadcasts::incident_id.eq(incident))
        .filter(broadcasts::seq.gt(after))
        .order(broadcasts::seq)
        .limit(limit)
        .select(Broadcast::as_select())
        .load(conn)?)
}

/// The broadcast that opened an incident.
pub fn opening_of(conn: &mut Connection, incident: IncidentId) -> Result<Option<Broadcast>, Problem> {
    Ok(broadcasts::table
        .filter(broadcasts::incident_id.eq(incident))
        .filter(broadcasts::kind.eq(BroadcastKind::Opened))
        .select(Broadcast::as_select())
        .first(conn)
        .optional()?)
}

/// The broadcast of the end, if the incident is over.
pub fn latest_end(conn: &mut Connection, incident: IncidentId) -> Result<Option<Broadcast>, Problem> {
    let last = broadcasts::table
        .filter(broadcasts::incident_id.eq(incident))
        .filter(broadcasts::kind.eq_any(BroadcastKind::TURNS))
        .order(broadcasts::seq.desc())
        .select(Broadcast::as_select())
        .first(conn)
        .optional()?;
    Ok(last.filter(|last| last.kind.is_end()))
}

/// Whether a later event of its incident stands for what is unsent of it.
pub fn is_overtaken(conn: &mut Connection, broadcast: &Broadcast) -> Result<bool, Problem> {
    let later: Vec<BroadcastKind> = broadcasts::table
        .filter(broadcasts::incident_id.eq(broadcast.incident_id))
        .filter(broadcasts::seq.gt(broadcast.seq))
        .filter(broadcasts::state.ne(BroadcastState::Cancelled))
        .select(broadcasts::kind)
        .load(conn)?;
    Ok(later
        .iter()
        .any(|kind| superseding::replaces(*kind, broadcast.kind)))
}

/// The oldest broadcasts whose audience is not all written down. Nothing of an incident is before its opening is: what
/// follows asks whether that has left.
pub fn unexpanded(conn: &mut Connection, limit: i64) -> Result<Vec<EventId>, Problem> {
    diesel::alias!(broadcasts as openings: Openings);
    let unexpanded = [BroadcastState::Pending, BroadcastState::Expanding];
    let opening = openings
        .filter(
            openings
                .field(broadcasts::incident_id)
                .eq(broadcasts::incident_id),
        )
        .filter(openings.field(broadcasts::kind).eq(BroadcastKind::Opened))
        .filter(openings.field(broadcasts::seq).lt(broadcasts::seq))
        .filter(openings.field(broadcasts::state).eq_any(unexpanded));
    Ok(broadcasts::table
        .filter(broadcasts::state.eq_any(unexpanded))
        .filter(not(exists(opening)))
        .order(broadcasts::id)
        .limit(limit)
        .select(broadcasts::id)
        .load(conn)?)
}

/// Notes how far the expansion of a broadcast is.
pub fn save_progress(conn: &mut Connection, broadcast: &Broadcast) -> Result<(), Problem> {
    diesel::update(broadcasts::table.find(broadcast.id))
        .set((
            broadcasts::state.eq(broadcast.state),
            broadcasts::phase.eq(broadcast.phase),
            broadcasts::after_tenant.eq(broadcast.after_tenant),
            broadcasts::after_key.eq(&broadcast.after_key),
            broadcasts::audience.eq(broadcast.audience),
            broadcasts::leaves_at.eq(broadcast.leaves_at),
        ))
        .execute(conn)?;
    Ok(())
}

/// Notes that so many more are among its audience.
pub fn grow(conn: &mut Connection, id: EventId, by: usize) -> Result<(), Problem> {
    diesel::update(broadcasts::table.find(id))
        .set(broadcasts::audience.eq(broadcasts::audience + i32::try_from(by).unwrap_or(i32::MAX)))
        .execute(conn)?;
    under_way_again(conn, &[id])
}

/// Those of these events that are finished broadcasts have something pending again.
pub fn under_way_again(conn: &mut Connection, ids: &[EventId]) -> Result<(), Problem> {
    let finished = broadcasts::table
        .filter(broadcasts::id.eq_any(ids))
        .filter(broadcasts::state.eq(BroadcastState::Finished));
    diesel::update(finished)
        .set((
            broadcasts::state.eq(BroadcastState::Sending),
            broadcasts::finished_at.eq(None::<Moment>),
        ))
        .execute(conn)?;
    Ok(())
}

/// Expanded broadcasts of which nothing is pending or leased any more.
pub fn sent_out(conn: &mut Connection) -> Result<Vec<EventId>, Problem> {
    let open = deliveries::table
        .filter(deliveries::event_id.eq(broadcasts::id))
        .filter(deliveries::state.eq_any([DeliveryState::Pending, DeliveryState::Leased]));
    Ok(broadcasts::table
        .filter(broadcasts::state.eq(BroadcastState::Sending))
        .filter(not(exists(open)))
        .select(broadcasts::id)
        .load(conn)?)
}

/// Marks those as finished; how many there were.
pub fn finish(conn: &mut Connection, now: Moment) -> Result<usize, Problem> {
    let ids = sent_out(conn)?;
    let rows = broadcasts::table
        .filter(broadcasts::id.eq_any(ids))
        .filter(broadcasts::state.eq(BroadcastState::Sending));
    Ok(diesel::update(rows)
        .set((
            broadcasts::state.eq(BroadcastState::Finished),
            broadcasts::finished_at.eq(Some(now)),
        ))
        .execute(conn)?)
}

/// Calls a broadcast off, under its lock; `false` when it has ended. What has not left is withdrawn behind the call.
pub fn cancel(conn: &mut Connection, id: EventId, now: Moment) -> Result<bool, Problem> {
    lock::exclusive(conn, lock::Key::of(id))?;
    let under_way = broadcasts::table
        .filter(broadcasts::id.eq(id))
        .filter(broadcasts::state.ne_all([BroadcastState::Finished, BroadcastState::Cancelled]));
    let changed = diesel::update(under_way)
        .set((
            broadcasts::state.eq(BroadcastState::Cancelled),
            broadcasts::finished_at.eq(Some(now)),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}

/// A broadcast with its counts.
pub fn view(conn: &mut Connection, broadcast: Broadcast, now: Moment) -> Result<BroadcastView, Problem> {
    let counts: Vec<(DeliveryState, i64)> = deliveries::table
        .filter(deliveries::event_id.eq(broadcast.id))
        .group_by(deliveries::state)
        .select((deliveries::state, count_star()))
        .load(conn)?;
    let of = |states: &[DeliveryState]| -> i64 {
        let counted = counts.iter().filter(|(state, _)| states.contains(state));
        counted.map(|(_, count)| count).sum()
    };
    let pending = of(&[DeliveryState::Pending, DeliveryState::Leased]);
    let lately: i64 = deliveries::table
        .filter(deliveries::event_id.eq(broadcast.id))
        .filter(deliveries::state.eq(DeliveryState::Sent))
        .filter(deliveries::sent_at.gt(now.plus(TimeDelta::seconds(-MINUTE))))
        .count()
        .get_result(conn)?;
    let seconds = now.since(broadcast.created_at).num_seconds().clamp(1, MINUTE);
    let is_known = !broadcast.is_expanding();
    Ok(BroadcastView {
        id: broadcast.id,
        incident_id: broadcast.incident_id,
        kind: broadcast.kind,
        state: broadcast.state,
        audience: of(DeliveryState::ALL),
        pending,
        sent: of(&[DeliveryState::Sent]),
        failed: of(&[DeliveryState::Failed]),
        suppressed: of(&[DeliveryState::Suppressed]),
        rate: rate(lately, seconds),
        expected_end_at: remaining(pending, lately, seconds)
            .filter(|_| is_known)
            .map(|after| now.plus(after)),
        created_at: broadcast.created_at,
        finished_at: broadcast.finished_at,
    })
}

/// Messages in a second, to a tenth.
fn rate(sent: i64, seconds: i64) -> f64 {
    let tenths = sent.saturating_mul(10) / seconds.max(1);
    f64::from(i32::try_from(tenths).unwrap_or(i32::MAX)) / 10.0
}

/// How long `pending` messages take where `sent` took so many seconds; `None` where there is nothing to tell it by.
fn remaining(pending: i64, sent: i64, seconds: i64) -> Option<TimeDelta> {
    let millis = pending.saturating_mul(seconds).saturating_mul(1000);
    (pending > 0 && sent > 0)
        .then(|| millis / sent)
        .and_then(TimeDelta::try_milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_and_the_time_that_remains() {
        for (pending, sent, seconds, per_second, left) in [
            (0, 0, 60, 0.0, None),
            (0, 300, 60, 5.0, None),
            (100, 0, 60, 0.0, None),
            (100, 300, 60, 5.0, Some(20_000)),
            (100, 7, 60, 0.1, Some(857_142)),
            (1, 50, 1, 50.0, Some(20)),
            (i64::MAX, 1, 60, 0.0, None),
        ] {
            assert!(
                (rate(sent, seconds) - per_second).abs() < 1e-9,
                "{sent} in {seconds}"
            );
            let expected = left.and_then(TimeDelta::try_milliseconds);
            if pending < i64::MAX {
                assert_eq!(
                    remaining(pending, sent, seconds),
                    expected,
                    "{pending} after {sent}"
                );
            }
        }
    }
}
