//! Queries over the lines.

use std::collections::BTreeSet;

use diesel::prelude::*;

use super::{Standing, Waiting};
use crate::db::schema::{push_turns, waiting_requests};
use crate::db::{Connection, Moment, PersonId, QueueId, RequestId, TenantId, on_each};
use crate::problem::Problem;
use crate::queues::routing::Severity;
use crate::requests::model::Request;

/// Puts a request into its line.
pub fn join(conn: &mut Connection, row: &Waiting) -> Result<(), Problem> {
    on_each!(conn, conn => diesel::insert_into(waiting_requests::table).values(row).execute(conn))?;
    Ok(())
}

/// Where a request stands, if it stands in a line.
pub fn find(conn: &mut Connection, tenant: TenantId, id: RequestId) -> Result<Option<Waiting>, Problem> {
    let row = waiting_requests::table.find((tenant, id));
    Ok(on_each!(conn, conn => row.select(Waiting::as_select()).first(conn)).optional()?)
}

/// Those of these requests that stand in a line.
pub fn waiting(
    conn: &mut Connection,
    whose: &[(TenantId, RequestId)],
) -> Result<Vec<(TenantId, RequestId)>, Problem> {
    if whose.is_empty() {
        return Ok(Vec::new());
    }
    let (tenants, requests): (BTreeSet<TenantId>, Vec<RequestId>) = whose.iter().copied().unzip();
    Ok(waiting_requests::table
        .filter(waiting_requests::tenant_id.eq_any(Vec::from_iter(tenants)))
        .filter(waiting_requests::request_id.eq_any(requests))
        .select((waiting_requests::tenant_id, waiting_requests::request_id))
        .load(conn)?)
}

/// Takes a request out of its line.
pub fn leave(conn: &mut Connection, tenant: TenantId, id: RequestId) -> Result<(), Problem> {
    let row = waiting_requests::table.find((tenant, id));
    on_each!(conn, conn => diesel::delete(row).execute(conn))?;
    Ok(())
}

/// Says anew how urgent a request is that stands in its line, and what it needs.
pub fn save_urgency(
    conn: &mut Connection,
    request: &Request,
    urgent_at: Moment,
    needs: String,
) -> Result<(), Problem> {
    let row = waiting_requests::table.find((request.tenant_id, request.id));
    let urgency = (
        waiting_requests::severity.eq(request.severity),
        waiting_requests::urgent_at.eq(urgent_at),
        waiting_requests::needs.eq(needs),
    );
    diesel::update(row).set(urgency).execute(conn)?;
    Ok(())
}

/// Says anew how urgent a request is, if it waits; one that was handed over is never less urgent than it was.
pub fn save_due(
    conn: &mut Connection,
    (tenant, request): (TenantId, RequestId),
    due: Moment,
) -> Result<(), Problem> {
    let row = waiting_requests::table
        .filter(waiting_requests::tenant_id.eq(tenant))
        .filter(waiting_requests::request_id.eq(request))
        .filter(
            waiting_requests::standing
                .ne(Standing::HandedOver.rank())
                .or(waiting_requests::urgent_at.gt(due)),
        );
    let urgency = waiting_requests::urgent_at.eq(due);
    on_each!(conn, conn => diesel::update(row).set(urgency).execute(conn))?;
    Ok(())
}

/// Says how far a waiting request has come on its ladder.
pub fn save_way(conn: &mut Connection, row: &Waiting) -> Result<(), Problem> {
    let saved = waiting_requests::table.find((row.tenant_id, row.request_id));
    let way = (
        waiting_requests::home_queue_id.eq(row.home_queue_id),
        waiting_requests::home_since.eq(row.home_since),
        waiting_requests::steps.eq(row.steps),
        waiting_requests::next_step_at.eq(row.next_step_at),
    );
    diesel::update(saved).set(way).execute(conn)?;
    Ok(())
}

/// The most urgent of a severity in a line.
pub fn earliest(
    conn: &mut Connection,
    queue: QueueId,
    severity: Severity,
) -> Result<Option<Moment>, Problem> {
    Ok(waiting_requests::table
        .filter(waiting_requests::queue_id.eq(queue))
        .filter(waiting_requests::severity.eq(severity))
        .order(waiting_requests::urgent_at)
        .select(waiting_requests::urgent_at)
        .first(conn)
        .optional()?)
}

/// The most urgent requests of a line, of these severities, after one of them.
pub fn most_urgent(
    conn: &mut Connection,
    queue: QueueId,
    severities: &[Severity],
    after: Option<&Waiting>,
    limit: i64,
) -> Result<Vec<Waiting>, Problem> {
    let mut query = waiting_requests::table
        .filter(waiting_requests::queue_id.eq(queue))
        .order((
            waiting_requests::urgent_at,
            waiting_requests::severity,
            waiting_requests::standing,
            waiting_requests::request_id,
        ))
        .limit(limit)
        .select(Waiting::as_select())
        .into_boxed();
    if severities.len() < Severity::ALL.len() {
        query = query.filter(waiting_requests::severity.eq_any(severities.to_vec()));
    }
    if let Some(last) = after {
        let later_id = waiting_requests::standing
            .eq(last.standing)
            .and(waiting_requests::request_id.gt(last.request_id));
        let later_standing = waiting_requests::standing.gt(last.standing).or(later_id);
        let later_severity = waiting_requests::severity
            .gt(last.severity)
            .or(waiting_requests::severity.eq(last.severity).and(later_standing));
        // The first condition says nothing new, and is what the index is entered by.
        query = query
            .filter(waiting_requests::urgent_at.ge(last.urgent_at))
            .filter(waiting_requests::urgent_at.gt(last.urgent_at).or(later_severity));
    }
    Ok(query.load(conn)?)
}

/// Requests whose next step is due, the longest overdue first.
pub fn due(conn: &mut Connection, now: Moment, limit: i64) -> Result<Vec<Waiting>, Problem> {
    Ok(waiting_requests::table
        .filter(waiting_requests::next_step_at.le(now))
        .order(waiting_requests::next_step_at)
        .limit(limit)
        .select(Waiting::as_select())
        .load(conn)?)
}

/// What waits in a queue, told apart by what it needs and whose ladder it climbs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The queue.
    pub queue_id: QueueId,
    /// The needs, as text.
    pub needs: String,
    /// Whose ladder.
    pub home_queue_id: QueueId,
}

/// The groups of a line. The index is entered once for each, however many requests are in it.
pub fn groups(conn: &mut Connection, queue: QueueId) -> Result<Vec<Group>, Problem> {
    let mut groups: Vec<Group> = Vec::new();
    loop {
        let mut query = waiting_requests::table
            .filter(waiting_requests::queue_id.eq(queue))
            .order((waiting_requests::needs, waiting_requests::home_queue_id))
            .select((waiting_requests::needs, waiting_requests::home_queue_id))
            .limit(1)
            .into_boxed();
        if let Some(last) = groups.last() {
            let other_home = waiting_requests::needs
                .eq(last.needs.clone())
                .and(waiting_requests::home_queue_id.gt(last.home_queue_id));
            query = query
                .filter(waiting_requests::needs.ge(last.needs.clone()))
                .filter(waiting_requests::needs.gt(last.needs.clone()).or(other_home));
        }
        let next: Option<(String, QueueId)> = query.first(conn).optional()?;
        let Some((needs, home_queue_id)) = next else {
            return Ok(groups);
        };
        groups.push(Group {
            queue_id: queue,
            needs,
            home_queue_id,
        });
    }
}

/// The requests of a group; those that have come least far on their ladder first.
pub fn of_group(conn: &mut Connection, group: &Group, limit: i64) -> Result<Vec<Waiting>, Problem> {
    Ok(waiting_requests::table
        .filter(waiting_requests::queue_id.eq(group.queue_id))
        .filter(waiting_requests::needs.eq(group.needs.clone()))
        .filter(waiting_requests::home_queue_id.eq(group.home_queue_id))
        .order(waiting_requests::steps)
        .limit(limit)
        .select(Waiting::as_select())
        .load(conn)?)
}

/// How many requests are in a group, and since when the oldest waits.
pub fn count(conn: &mut Connection, group: &Group) -> Result<(i64, Option<Moment>), Problem> {
    macro_rules! members {
        () => {
            waiting_requests::table
                .filter(waiting_requests::queue_id.eq(group.queue_id))
                .filter(waiting_requests::needs.eq(group.needs.clone()))
                .filter(waiting_requests::home_queue_id.eq(group.home_queue_id))
        };
    }
    let count: i64 = members!().count().get_result(conn)?;
    let oldest: Option<Moment> = members!()
        .order(waiting_requests::since)
        .select(waiting_requests::since)
        .first(conn)
        .optional()?;
    Ok((count, oldest))
}

/// Everybody's turns in a queue.
pub fn turns(conn: &mut Connection, queue: QueueId) -> Result<Vec<(PersonId, i64)>, Problem> {
    Ok(push_turns::table
        .filter(push_turns::queue_id.eq(queue))
        .order(push_turns::person_id)
        .select((push_turns::person_id, push_turns::turns))
        .load(conn)?)
}

/// Puts these counts in the place of all that a queue has.
pub fn save_turns(conn: &mut Connection, queue: QueueId, turns: &[(PersonId, i64)]) -> Result<(), Problem> {
    diesel::delete(push_turns::table.filter(push_turns::queue_id.eq(queue))).execute(conn)?;
    for (person, count) in turns {
        let row = (
            push_turns::queue_id.eq(queue),
            push_turns::person_id.eq(*person),
            push_turns::turns.eq(*count),
        );
        diesel::insert_into(push_turns::table).values(row).execute(conn)?;
    }
    Ok(())
}
