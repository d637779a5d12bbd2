//! The requests that a draft is tried on, with the events of their filing.

use diesel::prelude::*;

use crate::db::schema::{events, service_requests, tenants};
use crate::db::{Connection, Json, QueueId, RequestId};
use crate::identity::Plan;
use crate::journal::EventKind;
use crate::problem::Problem;

/// What is read of a request.
#[derive(Debug, Queryable)]
pub struct Row {
    /// Its id.
    pub id: RequestId,
    /// What people call it.
    pub reference: String,
    /// Whom to reach.
    pub contact: Json,
    /// Its tags.
    pub tags: Json,
    /// The tenant's plan.
    pub plan: Plan,
    /// The tenant's language.
    pub locale: String,
    /// What the event of the filing says.
    pub filed: Json,
}

/// Requests before `before`, the newest first, without those in hidden queues.
///
/// The bound is always there: without one SQLite would read the whole journal, and sort.
pub fn newest(
    conn: &mut Connection,
    hidden: &[QueueId],
    before: RequestId,
    limit: usize,
) -> Result<Vec<Row>, Problem> {
    // The first event of a request is its filing; a subject's number finds it by an index.
    let filing = events::tenant_id
        .eq(service_requests::tenant_id)
        .and(events::subject_id.eq(service_requests::id))
        .and(events::seq.eq(1))
        .and(events::kind.eq(EventKind::RequestFiled));
    let mut query = service_requests::table
        .filter(service_requests::id.lt(before))
        .inner_join(events::table.on(filing))
        .inner_join(tenants::table.on(tenants::id.eq(service_requests::tenant_id)))
        .order(service_requests::id.desc())
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select((
            service_requests::id,
            service_requests::reference,
            service_requests::contact,
            service_requests::tags,
            tenants::plan,
            tenants::locale,
            events::data,
        ))
        .into_boxed();
    if !hidden.is_empty() {
        query = query.filter(service_requests::queue_id.ne_all(hidden.to_vec()));
    }
    Ok(query.load(conn)?)
}
