//! The queries of reports. What may be many rows is read one by one, and never held.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;
use diesel::dsl::{count_star, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::asked::Span;
use super::moves::Whose;
use super::tally::{Cycle, Ended};
use crate::db::schema::{events, service_requests, sla_clocks, waiting_requests};
use crate::db::{
    Connection, EventId, EventNoun, Id, Json, Moment, QueueId, RequestId, RequestNoun, SubjectId, TenantId,
    each_row, on_each,
};
use crate::journal::EventKind;
use crate::problem::Problem;
use crate::queues::routing::Severity;
use crate::requests::lifecycle::Status;
use crate::sla::Clock;

/// Requests whose cycles are read at once.
const CHUNK: usize = 500;

/// Shows the cycles that ended in a range, of one queue or of all. Where nothing was promised there is none.
pub fn ended(
    conn: &mut Connection,
    span: Span,
    queue: Option<QueueId>,
    mut show: impl FnMut(&Ended) -> Result<(), Problem>,
) -> Result<(), Problem> {
    macro_rules! of_range {
        () => {
            sla_clocks::table
                .filter(sla_clocks::stopped_at.ge(span.from))
                .filter(sla_clocks::stopped_at.lt(span.to))
                .filter(sla_clocks::target_minutes.is_not_null())
                .select(Ended::as_select())
        };
    }
    let mut each = |row: Ended| show(&row);
    match queue {
        Some(queue) => each_row!(
            conn,
            Ended,
            of_range!().filter(sla_clocks::queue_id.eq(queue)),
            each
        ),
        None => each_row!(conn, Ended, of_range!(), each),
    }
    Ok(())
}

/// The cycles that a reopening in this range followed.
pub fn reopened(conn: &mut Connection, span: Span) -> Result<HashSet<Cycle>, Problem> {
    let next: Vec<Cycle> = sla_clocks::table
        .filter(sla_clocks::opened_at.ge(span.from))
        .filter(sla_clocks::opened_at.lt(span.to))
        // In these words, so that the index of just these is found.
        .filter(sql::<Bool>("clock = 'resolution' AND cycle > 1"))
        .select((sla_clocks::tenant_id, sla_clocks::request_id, sla_clocks::cycle))
        .load(conn)?;
    let before = |(tenant, request, cycle)| (tenant, request, cycle - 1);
    Ok(next.into_iter().map(before).collect())
}

/// The cycles of the resolution of these requests that have ended, with what was counted of each.
pub fn resolutions(
    conn: &mut Connection,
    wanted: &[Whose],
) -> Result<HashMap<Whose, Vec<(i32, i64)>>, Problem> {
    let mut known: HashMap<Whose, Vec<(i32, i64)>> = HashMap::new();
    for chunk in wanted.chunks(CHUNK) {
        let requests: Vec<RequestId> = chunk.iter().map(|whose| whose.1).collect();
        let mut tenants: Vec<TenantId> = chunk.iter().map(|whose| whose.0).collect();
        tenants.dedup();
        let rows: Vec<(Whose, i32, Option<i64>)> = sla_clocks::table
            .filter(sla_clocks::tenant_id.eq_any(tenants))
            .filter(sla_clocks::request_id.eq_any(requests))
            .filter(sla_clocks::clock.eq(Clock::Resolution))
            .filter(sla_clocks::elapsed.is_not_null())
            .select((
                (sla_clocks::tenant_id, sla_clocks::request_id),
                sla_clocks::cycle,
                sla_clocks::elapsed,
            ))
            .load(conn)?;
        for (whose, cycle, elapsed) in rows {
            let cycles = known.entry(whose).or_default();
            cycles.extend(elapsed.map(|elapsed| (cycle, elapsed)));
        }
    }
    Ok(known)
}

/// A request, and where it is now.
#[derive(Clone, Debug, Queryable)]
pub struct Place {
    /// Whose.
    pub tenant_id: TenantId,
    /// Which.
    pub request_id: RequestId,
    /// Its queue.
    pub queue_id: QueueId,
    /// When it was filed.
    pub created_at: Moment,
}

impl Place {
    /// The request.
    pub fn whose(&self) -> Whose {
        (self.tenant_id, self.request_id)
    }
}

/// What is selected of a request for a [`Place`].
macro_rules! place {
    () => {
        (
            service_requests::tenant_id,
            service_requests::id,
            service_requests::queue_id,
            service_requests::created_at,
        )
    };
}

/// The ids whose events and requests may be of a range: an id begins with the millisecond of its making.
fn ids<T>(span: Span) -> (Id<T>, Id<T>) {
    let after = span.to.plus(TimeDelta::milliseconds(1));
    (Id::first_at(span.from), Id::first_at(after))
}

/// Shows the requests that were filed in a range.
pub fn filed(
    conn: &mut Connection,
    span: Span,
    mut show: impl FnMut(Place) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let (first, after) = ids::<RequestNoun>(span);
    each_row!(
        conn,
        Place,
        service_requests::table
            .filter(service_requests::id.ge(first))
            .filter(service_requests::id.lt(after))
            .filter(service_requests::created_at.ge(span.from))
            .filter(service_requests::created_at.lt(span.to))
            .select(place!()),
        show
    );
    Ok(())
}

/// Shows the requests of a queue that are open.
pub fn open(
    conn: &mut Connection,
    queue: QueueId,
    mut show: impl FnMut(Place) -> Result<(), Problem>,
) -> Result<(), Problem> {
    each_row!(
        conn,
        Place,
        service_requests::table
            .filter(service_requests::queue_id.eq(queue))
            .filter(service_requests::is_open.eq(true))
            .select(place!()),
        show
    );
    Ok(())
}

/// Something that happened to a request.
#[derive(Clone, Debug, Queryable)]
pub struct Happened {
    /// The event.
    pub id: EventId,
    /// What.
    pub kind: EventKind,
    /// When.
    pub at: Moment,
    /// Its place in the history of the request.
    pub seq: i32,
    /// The request.
    pub place: Place,
}

/// Which events are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Of these kinds.
    pub kinds: &'a [EventKind],
    /// In this range.
    pub span: Span,
    /// Of requests that had been filed by then: of a range long ago, nearly all that happened since is of others.
    pub filed_by: Moment,
}

/// Which events are wanted; of what is sealed, or of what is not.
macro_rules! events_of {
    ($wanted:expr, $sealed:expr) => {{
        let Wanted {
            kinds,
            span,
            filed_by,
        } = $wanted;
        let (first, after) = ids::<EventNoun>(span);
        let younger = SubjectId::first_at(filed_by.plus(TimeDelta::milliseconds(1)));
        events::table
            .filter(events::kind.eq_any(kinds.to_vec()))
            .filter(events::id.ge(first))
            .filter(events::id.lt(after))
            .filter(events::at.ge(span.from))
            .filter(events::at.lt(span.to))
            .filter(events::subject_id.lt(younger))
            .filter($sealed)
    }};
}

/// Sealed events with their requests.
macro_rules! sealed {
    ($wanted:expr, $selected:expr) => {{
        let its = service_requests::tenant_id
            .eq(events::tenant_id)
            .and(service_requests::id.eq(events::subject_id));
        events_of!($wanted, events::chain_seq.is_not_null())
            .inner_join(service_requests::table.on(its))
            .select($selected)
    }};
}

/// What is selected for a [`Happened`].
macro_rules! happened {
    () => {
        (events::id, events::kind, events::at, events::seq, place!())
    };
}

/// Shows what happened to requests.
///
/// The index for this is of sealed events alone. What is not sealed yet is little, and read first: whatever is sealed
/// in between is found twice, and not missed.
pub fn happened(
    conn: &mut Connection,
    wanted: Wanted<'_>,
    mut show: impl FnMut(&Happened) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut known: HashSet<EventId> = HashSet::new();
    for (event, _) in fresh(conn, wanted)? {
        known.insert(event.id);
        show(&event)?;
    }
    let mut each = |row: Happened| match known.contains(&row.id) {
        true => Ok(()),
        false => show(&row),
    };
    each_row!(conn, Happened, sealed!(wanted, happened!()), each);
    Ok(())
}

/// The same with what each event says: for kinds of which there are few.
pub fn told(conn: &mut Connection, wanted: Wanted<'_>) -> Result<Vec<(Happened, Json)>, Problem> {
    let mut rows = fresh(conn, wanted)?;
    let known: HashSet<EventId> = rows.iter().map(|row| row.0.id).collect();
    let sealed: Vec<(Happened, Json)> =
        on_each!(conn, conn => sealed!(wanted, (happened!(), events::data)).load(conn))?;
    rows.extend(sealed.into_iter().filter(|row| !known.contains(&row.0.id)));
    Ok(rows)
}

/// An event that is not sealed yet, without its request.
type Fresh = (EventId, EventKind, Moment, i32, (TenantId, SubjectId), Json);

/// What is not sealed yet. The events first and then their requests: in one query, SQLite would look for the events of
/// every request there is.
fn fresh(conn: &mut Connection, wanted: Wanted<'_>) -> Result<Vec<(Happened, Json)>, Problem> {
    let subject = (events::tenant_id, events::subject_id);
    let selected = (
        events::id,
        events::kind,
        events::at,
        events::seq,
        subject,
        events::data,
    );
    let rows: Vec<Fresh> = events_of!(wanted, events::chain_seq.is_null())
        .select(selected)
        .load(conn)?;
    let whose: Vec<Whose> = rows.iter().map(|row| (row.4.0, row.4.1.of())).collect();
    let places = places(conn, &whose)?;
    let happened = |(id, kind, at, seq, (tenant, subject), data): Fresh| {
        let place = places.get(&(tenant, subject.of()))?.clone();
        let event = Happened {
            id,
            kind,
            at,
            seq,
            place,
        };
        Some((event, data))
    };
    Ok(rows.into_iter().filter_map(happened).collect())
}

/// Where these requests are now.
fn places(conn: &mut Connection, wanted: &[Whose]) -> Result<HashMap<Whose, Place>, Problem> {
    let mut places = HashMap::new();
    for chunk in wanted.chunks(CHUNK) {
        let ids: Vec<RequestId> = chunk.iter().map(|whose| whose.1).collect();
        let found: Vec<Place> = service_requests::table
            .filter(service_requests::id.eq_any(ids))
            .select(place!())
            .load(conn)?;
        places.extend(found.into_iter().map(|place| (place.whose(), place)));
    }
    Ok(places)
}

/// How many requests of a queue are open, by status and severity.
pub fn open_by(conn: &mut Connection, queue: QueueId) -> Result<Vec<(Status, Severity, i64)>, Problem> {
    Ok(service_requests::table
        .filter(service_requests::queue_id.eq(queue))
        .filter(service_requests::is_open.eq(true))
        .group_by((service_requests::status, service_requests::severity))
        .select((service_requests::status, service_requests::severity, count_star()))
        .load(conn)?)
}

/// How many requests wait in the line of a queue, and since when the oldest does.
pub fn waiting(conn: &mut Connection, queue: QueueId) -> Result<(i64, Option<Moment>), Problem> {
    let line = || waiting_requests::table.filter(waiting_requests::queue_id.eq(queue));
    let count = line().count().get_result(conn)?;
    let oldest = line()
        .order(waiting_requests::since)
        .select(waiting_requests::since);
    Ok((count, oldest.first(conn).optional()?))
}

/// How many open requests of a queue have a deadline up to an instant.
pub fn due(conn: &mut Connection, queue: QueueId, until: Moment) -> Result<i64, Problem> {
    let its = sla_clocks::tenant_id
        .eq(service_requests::tenant_id)
        .and(sla_clocks::request_id.eq(service_requests::id));
    let is_due = sla_clocks::table
        .filter(its)
        .filter(sla_clocks::stopped_at.is_null())
        .filter(sla_clocks::due_at.le(until));
    Ok(service_requests::table
        .filter(service_requests::queue_id.eq(queue))
        .filter(service_requests::is_open.eq(true))
        .filter(diesel::dsl::exists(is_due))
        .count()
        .get_result(conn)?)
}
