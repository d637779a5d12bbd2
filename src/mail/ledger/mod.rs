//! Which messages of the ledger: to list them, and to set going again those that failed.

pub mod api;

use chrono::TimeDelta;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text};

use super::model::{Delivery, DeliveryKind, DeliveryState, Reason};
use super::store::Row;
use crate::db::schema::deliveries;
use crate::db::{Connection, DeliveryId, EventId, Id, IncidentId, Moment, MultiBackend, RequestId, TenantId};
use crate::problem::Problem;

/// The clocks of processes differ by less.
const SKEW: TimeDelta = TimeDelta::hours(1);

diesel::define_sql_function! {
    /// A text with something else wherever something stands: the same on both engines.
    fn replace(text: Nullable<Text>, what: Text, by: Text) -> Nullable<Text>;
}

/// Which messages are meant: those that are all of this.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// On behalf of this tenant.
    pub tenant: Option<TenantId>,
    /// Of this event.
    pub event: Option<EventId>,
    /// About this request.
    pub request: Option<RequestId>,
    /// Naming this incident.
    pub incident: Option<IncidentId>,
    /// Of this kind.
    pub kind: Option<DeliveryKind>,
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Suppressed for this reason.
    pub reason: Option<Reason>,
    /// To this address.
    pub recipient: Option<String>,
    /// Whose last attempt said this, among other things.
    pub error: Option<String>,
    /// Written down at this time or later.
    pub from: Option<Moment>,
    /// Written down before this time.
    pub to: Option<Moment>,
}

impl Filter {
    /// Whether there may be a million of these: nothing in it is narrow by itself.
    fn is_broad(&self) -> bool {
        let narrow = [
            self.tenant.is_some(),
            self.request.is_some(),
            self.state.is_some(),
            self.recipient.is_some(),
            self.error.is_some(),
        ];
        !narrow.contains(&true)
    }
}

type Query = deliveries::BoxedQuery<'static, MultiBackend>;

/// Messages, oldest first.
pub fn list(
    conn: &mut Connection,
    filter: &Filter,
    after: Option<DeliveryId>,
    limit: i64,
) -> Result<Vec<Delivery>, Problem> {
    let query = page(filter, after, limit).select(Delivery::as_select());
    Ok(query.load(conn)?)
}

/// Where messages are that failed, oldest first.
pub fn failed(
    conn: &mut Connection,
    filter: &Filter,
    after: Option<DeliveryId>,
    limit: i64,
) -> Result<Vec<Row>, Problem> {
    let filter = Filter {
        state: Some(DeliveryState::Failed),
        ..filter.clone()
    };
    let query = page(&filter, after, limit).select((deliveries::id, deliveries::event_id));
    Ok(query.load(conn)?)
}

/// The messages in the order of their ids: each filter has an index in this order, or few messages to sort.
fn page(filter: &Filter, after: Option<DeliveryId>, limit: i64) -> Query {
    let mut query = about(filter).order(deliveries::id).limit(limit);
    if filter.is_broad() {
        // Word for word the condition of the indexes that SQLite has for these.
        query = query.filter(sql::<Bool>("priority >= 0"));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(deliveries::kind.eq(kind));
    }
    if let Some(state) = filter.state {
        query = query.filter(deliveries::state.eq(state));
    }
    if let Some(reason) = filter.reason {
        query = query.filter(deliveries::reason.eq(reason));
    }
    if let Some(error) = filter.error.clone() {
        // Said as well: few messages have an error, and these have an index.
        query = query.filter(deliveries::error.is_not_null());
        query = query.filter(replace(deliveries::error, error, "").ne(deliveries::error));
    }
    // An id begins with the millisecond in which it was written down: a range of time is one of ids.
    if let Some(from) = filter.from {
        query = query.filter(deliveries::id.ge(DeliveryId::first_at(from)));
    }
    if let Some(to) = filter.to {
        query = query.filter(deliveries::id.lt(DeliveryId::first_at(to)));
    }
    if let Some(after) = after {
        query = query.filter(deliveries::id.gt(after));
    }
    query
}

fn about(filter: &Filter) -> Query {
    let mut query = deliveries::table.into_boxed();
    if let Some(tenant) = filter.tenant {
        query = query.filter(deliveries::tenant_id.eq(tenant));
    }
    if let Some(event) = filter.event {
        query = query.filter(deliveries::event_id.eq(event));
        query = no_older(query, event);
    }
    if let Some(request) = filter.request {
        query = query.filter(deliveries::request_id.eq(request));
        query = no_older(query, request);
    }
    if let Some(incident) = filter.incident {
        query = query.filter(deliveries::incident_id.eq(incident));
        query = no_older(query, incident);
    }
    if let Some(recipient) = filter.recipient.clone() {
        query = query.filter(deliveries::recipient.eq(recipient));
    }
    query
}

/// No message is older than what it is about. PostgreSQL, which expects the messages of a large event to lie anywhere, may
/// walk the ids until it has a page of them: from here it finds them at once.
fn no_older<T>(query: Query, than: Id<T>) -> Query {
    match than.made_at() {
        Some(at) => query.filter(deliveries::id.ge(DeliveryId::first_at(at.plus(-SKEW)))),
        None => query,
    }
}
