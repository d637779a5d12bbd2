//! Queries over the lines.

use diesel::prelude::*;

use super::Waiting;
use crate::db::schema::waiting_requests;
use crate::db::{Connection, Moment, QueueId, RequestId, TenantId, on_each};
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

/// Takes a request out of its line.
pub fn leave(conn: &mut Connection, tenant: TenantId, id: RequestId) -> Result<(), Problem> {
    let row = waiting_requests::table.find((tenant, id));
    on_each!(conn, conn => diesel::delete(row).execute(conn))?;
    Ok(())
}

/// Says anew how urgent a request is that stands in its line.
pub fn set_urgency(conn: &mut Connection, request: &Request, urgent_at: Moment) -> Result<(), Problem> {
    let row = waiting_requests::table.find((request.tenant_id, request.id));
    let urgency = (
        waiting_requests::severity.eq(request.severity),
        waiting_requests::urgent_at.eq(urgent_at),
    );
    diesel::update(row).set(urgency).execute(conn)?;
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

/// The most urgent requests of a line.
pub fn most_urgent(conn: &mut Connection, queue: QueueId, limit: i64) -> Result<Vec<Waiting>, Problem> {
    Ok(waiting_requests::table
        .filter(waiting_requests::queue_id.eq(queue))
        .order((
            waiting_requests::urgent_at,
            waiting_requests::severity,
            waiting_requests::standing,
            waiting_requests::request_id,
        ))
        .limit(limit)
        .select(Waiting::as_select())
        .load(conn)?)
}
