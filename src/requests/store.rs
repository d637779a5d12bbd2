//! Queries over requests, their comments and watchers.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;

use super::lifecycle::Status;
use super::model::{Cause, Comment, Request, Visibility};
use super::reference;
use crate::db::schema::incidents as incidents_table;
use crate::db::schema::{
    people, queues, request_comments, request_watchers, roster_overrides, service_requests, shift_members,
    shifts,
};
use crate::db::{
    CommentId, Connection, IncidentId, Moment, PersonId, QueueId, RequestId, TenantId, Uuid, first, lock,
    on_each, pair,
};
use crate::identity::{Caller, Reach, Right};
use crate::incidents;
use crate::mail::Recipient;
use crate::problem::Problem;
use crate::queues::agents::weight;
use crate::queues::routing::Severity;

/// How a path names a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// By id.
    Id(RequestId),
    /// By reference, as it is stored.
    Reference(String),
}

impl Key {
    /// From a path; what is neither is not found.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        reference::parse(text)
            .map(Self::Reference)
            .ok_or_else(|| Problem::not_found("service request"))
    }
}

/// The request, if the caller may see it.
pub fn visible(conn: &mut Connection, caller: &Caller, key: &Key) -> Result<Request, Problem> {
    let mut query = service_requests::table.select(Request::as_select()).into_boxed();
    if let Some(tenant) = caller.scope().tenant() {
        query = query.filter(service_requests::tenant_id.eq(tenant));
    }
    query = match key {
        Key::Id(id) => query.filter(service_requests::id.eq(*id)),
        Key::Reference(reference) => query.filter(service_requests::reference.eq(reference.clone())),
    };
    let found = query
        .first(conn)
        .optional()?
        .ok_or_else(|| Problem::not_found("service request"))?;
    if hidden_queues(conn, caller)?.contains(&found.queue_id) {
        return Err(Problem::not_found("service request"));
    }
    Ok(found)
}

/// The same, locked until the end of the transaction and read again under that lock.
pub fn visible_for_change(conn: &mut Connection, caller: &Caller, key: &Key) -> Result<Request, Problem> {
    let found = visible(conn, caller, key)?;
    lock::exclusive(conn, lock::Key::of(found.id))?;
    visible(conn, caller, &Key::Id(found.id))
}

/// The request of this id, whoever asks.
pub fn find(conn: &mut Connection, tenant: TenantId, id: RequestId) -> Result<Option<Request>, Problem> {
    Ok(service_requests::table
        .find((tenant, id))
        .select(Request::as_select())
        .first(conn)
        .optional()?)
}

/// The requests of these ids, whosever they are.
pub fn all_of(conn: &mut Connection, ids: &[RequestId]) -> Result<Vec<Request>, Problem> {
    Ok(service_requests::table
        .filter(service_requests::id.eq_any(ids.to_vec()))
        .select(Request::as_select())
        .load(conn)?)
}

/// Whether the request of this id or reference is the tenant's.
pub fn is_of(conn: &mut Connection, tenant: TenantId, key: &str) -> Result<bool, Problem> {
    let own = service_requests::table
        .filter(service_requests::tenant_id.eq(tenant))
        .select(service_requests::id);
    let found: Option<RequestId> = match Key::parse(key) {
        Ok(Key::Id(id)) => own.filter(service_requests::id.eq(id)).first(conn).optional()?,
        Ok(Key::Reference(reference)) => own
            .filter(service_requests::reference.eq(reference))
            .first(conn)
            .optional()?,
        Err(_) => None,
    };
    Ok(found.is_some())
}

/// The restricted queues whose requests a member of staff does not read: neither in a shift there, nor standing in for
/// somebody now or later.
pub fn hidden_queues(conn: &mut Connection, caller: &Caller) -> Result<Vec<QueueId>, Problem> {
    if caller.reach(Right::ReadRequests) != Some(Reach::Unrestricted) {
        return Ok(Vec::new());
    }
    let own = shifts::table
        .inner_join(shift_members::table.on(shift_members::shift_id.eq(shifts::id)))
        .filter(shift_members::person_id.eq(caller.person()))
        .select(shifts::queue_id);
    let standing_in = roster_overrides::table
        .filter(roster_overrides::added_id.eq(caller.person()))
        .filter(roster_overrides::ends_at.gt(caller.now()))
        .select(roster_overrides::queue_id);
    Ok(queues::table
        .filter(queues::restricted.eq(true))
        .filter(queues::id.ne_all(own))
        .filter(queues::id.ne_all(standing_in))
        .select(queues::id)
        .load(conn)?)
}

/// Adds a request.
pub fn create(conn: &mut Connection, request: &Request) -> Result<(), Problem> {
    on_each!(conn, conn => diesel::insert_into(service_requests::table).values(request).execute(conn))?;
    Ok(())
}

/// Saves a request, guarded by the revision it was loaded at.
pub fn save(conn: &mut Connection, request: &Request, loaded: i32) -> Result<(), Problem> {
    let row = service_requests::table
        .filter(service_requests::tenant_id.eq(request.tenant_id))
        .filter(service_requests::id.eq(request.id))
        .filter(service_requests::revision.eq(loaded));
    if diesel::update(row).set(request).execute(conn)? == 1 {
        Ok(())
    } else {
        Err(Problem::lost_race())
    }
}

/// Counts events of requests that change nothing else of them: of each so many. They are held from then on.
pub fn count(conn: &mut Connection, ids: &[RequestId], events: i32) -> Result<(), Problem> {
    let rows = service_requests::table.filter(service_requests::id.eq_any(ids.to_vec()));
    let counted = service_requests::revision.eq(service_requests::revision + events);
    if diesel::update(rows).set(counted).execute(conn)? == ids.len() {
        Ok(())
    } else {
        Err(Problem::lost_race())
    }
}

/// The request of this id, whosever it is.
pub fn find_anywhere(conn: &mut Connection, id: RequestId) -> Result<Option<Request>, Problem> {
    let found = service_requests::table
        .filter(service_requests::id.eq(id))
        .select(Request::as_select())
        .first(conn);
    Ok(found.optional()?)
}

/// Takes a request out of its line by an update that is guarded by all that made it eligible; `false` when somebody
/// else was first.
pub fn take(conn: &mut Connection, taken: &Request, loaded: i32) -> Result<bool, Problem> {
    let row = service_requests::table
        .filter(service_requests::tenant_id.eq(taken.tenant_id))
        .filter(service_requests::id.eq(taken.id))
        .filter(service_requests::queue_id.eq(taken.queue_id))
        .filter(service_requests::status.eq(Status::Queued))
        .filter(service_requests::assignee_id.is_null())
        .filter(service_requests::revision.eq(loaded));
    Ok(diesel::update(row).set(taken).execute(conn)? == 1)
}

/// How much somebody has: the weights of the open requests that are theirs.
pub fn load(conn: &mut Connection, person: PersonId) -> Result<i32, Problem> {
    let open: Vec<(Severity, i64)> = on_each!(conn, conn => service_requests::table
        .filter(service_requests::assignee_id.eq(person))
        .filter(service_requests::is_open.eq(true))
        .group_by(service_requests::severity)
        .select((service_requests::severity, diesel::dsl::count_star()))
        .load(conn))?;
    let weigh = |(severity, count): (Severity, i64)| {
        i32::try_from(count)
            .unwrap_or(i32::MAX)
            .saturating_mul(weight(severity))
    };
    Ok(open.into_iter().map(weigh).fold(0, i32::saturating_add))
}

/// Which requests are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this tenant.
    pub tenant: Option<TenantId>,
    /// In one of these states.
    pub statuses: Vec<Status>,
    /// Whether they are somebody's work still.
    pub open: Option<bool>,
    /// Of one of these severities.
    pub severities: Vec<Severity>,
    /// Bound to this incident.
    pub incident: Option<IncidentId>,
    /// In this line.
    pub queue: Option<QueueId>,
    /// Of this agent.
    pub assignee: Option<PersonId>,
    /// Of this requester.
    pub requester: Option<PersonId>,
    /// About this service.
    pub service: Option<String>,
    /// About this region.
    pub region: Option<String>,
}

/// The names of queue, incident (with its status) and assignee.
pub type Named = (String, Option<(String, incidents::Status)>, Option<String>);

mod aliases {
    #![allow(missing_docs, reason = "the macro writes public items without docs")]
    diesel::alias!(crate::db::schema::people as assignees: Assignees);
}
use aliases::assignees;

/// A request joined with the rows that have its names.
macro_rules! joined {
    () => {
        service_requests::table
            .inner_join(queues::table.on(queues::id.eq(service_requests::queue_id)))
            .left_join(
                incidents_table::table.on(incidents_table::id.nullable().eq(service_requests::incident_id)),
            )
            .left_join(
                assignees.on(assignees
                    .field(people::id)
                    .nullable()
                    .eq(service_requests::assignee_id)),
            )
    };
}

/// The names in it.
macro_rules! names {
    () => {
        (
            queues::name,
            (incidents_table::title, incidents_table::status).nullable(),
            assignees.field(people::name).nullable(),
        )
    };
}

/// The requests that a caller may see and a filter lets through, with their names.
macro_rules! listed {
    ($caller:expr, $filter:expr, $hidden:expr) => {{
        let filter: &Filter = $filter;
        let mut query = joined!().select((Request::as_select(), names!())).into_boxed();
        if !$hidden.is_empty() {
            query = query.filter(service_requests::queue_id.ne_all($hidden));
        }
        if let Some(tenant) = $caller.scope().tenant() {
            query = query.filter(service_requests::tenant_id.eq(tenant));
        }
        if let Some(tenant) = filter.tenant {
            query = query.filter(service_requests::tenant_id.eq(tenant));
        }
        if !filter.statuses.is_empty() {
            query = query.filter(service_requests::status.eq_any(&filter.statuses));
        }
        if let Some(open) = filter.open {
            query = query.filter(service_requests::is_open.eq(open));
        }
        if !filter.severities.is_empty() {
            query = query.filter(service_requests::severity.eq_any(&filter.severities));
        }
        if let Some(incident) = filter.incident {
            query = query.filter(service_requests::incident_id.eq(incident));
        }
        if let Some(queue) = filter.queue {
            query = query.filter(service_requests::queue_id.eq(queue));
        }
        if let Some(assignee) = filter.assignee {
            query = query.filter(service_requests::assignee_id.eq(assignee));
        }
        if let Some(requester) = filter.requester {
            query = query.filter(service_requests::requester_id.eq(requester));
        }
        if let Some(service) = &filter.service {
            query = query.filter(service_requests::service.eq(service));
        }
        if let Some(region) = &filter.region {
            query = query.filter(service_requests::region.eq(region));
        }
        query
    }};
}

/// Requests that the caller may see, the newest first.
pub fn newest(
    conn: &mut Connection,
    caller: &Caller,
    filter: &Filter,
    after: Option<RequestId>,
    limit: i64,
) -> Result<Vec<(Request, Named)>, Problem> {
    let hidden = hidden_queues(conn, caller)?;
    Ok(on_each!(conn, conn => {
        let mut query = listed!(caller, filter, &hidden);
        if let Some(after) = after {
            query = query.filter(service_requests::id.lt(after));
        }
        first(limit, query.order(service_requests::id.desc())).load(conn)
    })?)
}

/// Requests that the caller may see, the most urgent first.
pub fn most_urgent(
    conn: &mut Connection,
    caller: &Caller,
    filter: &Filter,
    after: Option<(Severity, RequestId)>,
    limit: i64,
) -> Result<Vec<(Request, Named)>, Problem> {
    let hidden = hidden_queues(conn, caller)?;
    Ok(on_each!(conn, conn => {
        let mut query = listed!(caller, filter, &hidden);
        if let Some((severity, id)) = after {
            let same = service_requests::severity.eq(severity).and(service_requests::id.gt(id));
            query = query.filter(service_requests::severity.gt(severity).or(same));
        }
        first(limit, query.order((service_requests::severity, service_requests::id))).load(conn)
    })?)
}

/// Adds a comment.
pub fn add_comment(conn: &mut Connection, comment: &Comment) -> Result<(), Problem> {
    diesel::insert_into(request_comments::table)
        .values(comment)
        .execute(conn)?;
    Ok(())
}

/// The conversation, oldest first; internal notes only when asked for.
pub fn comments(
    conn: &mut Connection,
    request: &Request,
    with_internal: bool,
    after: Option<CommentId>,
    limit: i64,
) -> Result<Vec<Comment>, Problem> {
    let mut query = request_comments::table
        .filter(request_comments::tenant_id.eq(request.tenant_id))
        .filter(request_comments::request_id.eq(request.id))
        .order(request_comments::id)
        .limit(limit)
        .select(Comment::as_select())
        .into_boxed();
    if !with_internal {
        query = query.filter(request_comments::visibility.eq(Visibility::Public));
    }
    if let Some(after) = after {
        query = query.filter(request_comments::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// One comment.
pub fn comment(conn: &mut Connection, tenant: TenantId, id: CommentId) -> Result<Option<Comment>, Problem> {
    Ok(request_comments::table
        .find((tenant, id))
        .select(Comment::as_select())
        .first(conn)
        .optional()?)
}

/// The watchers of requests, in order.
pub fn watchers_of(
    conn: &mut Connection,
    requests: &[(Request, Named)],
) -> Result<HashMap<RequestId, Vec<String>>, Problem> {
    let ids: Vec<RequestId> = requests.iter().map(|row| row.0.id).collect();
    let mut tenants: Vec<TenantId> = requests.iter().map(|row| row.0.tenant_id).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let rows: Vec<(RequestId, String)> = on_each!(conn, conn => request_watchers::table
        .filter(request_watchers::tenant_id.eq_any(tenants))
        .filter(request_watchers::request_id.eq_any(ids))
        .order((request_watchers::request_id, request_watchers::email))
        .select((request_watchers::request_id, request_watchers::email))
        .load(conn))?;
    let mut watchers: HashMap<RequestId, Vec<String>> = HashMap::new();
    for (id, email) in rows {
        watchers.entry(id).or_default().push(email);
    }
    Ok(watchers)
}

/// The watchers of one request, in order.
pub fn watchers(conn: &mut Connection, request: &Request) -> Result<Vec<String>, Problem> {
    Ok(request_watchers::table
        .filter(request_watchers::tenant_id.eq(request.tenant_id))
        .filter(request_watchers::request_id.eq(request.id))
        .order(request_watchers::email)
        .select(request_watchers::email)
        .load(conn)?)
}

/// The names of one request.
pub fn names(conn: &mut Connection, request: &Request) -> Result<Named, Problem> {
    Ok(on_each!(conn, conn => joined!()
        .filter(service_requests::tenant_id.eq(request.tenant_id))
        .filter(service_requests::id.eq(request.id))
        .select(names!())
        .first(conn))?)
}

/// A request with its names and watchers in one query, if the caller may see it.
pub fn read(
    conn: &mut Connection,
    caller: &Caller,
    key: &Key,
) -> Result<(Request, Named, Vec<String>), Problem> {
    type Row = (Request, Named, Option<String>);
    let rows: Vec<Row> = on_each!(conn, conn => {
        let watched = request_watchers::tenant_id
            .eq(service_requests::tenant_id)
            .and(request_watchers::request_id.eq(service_requests::id));
        let mut query = joined!()
            .left_join(request_watchers::table.on(watched))
            .select((Request::as_select(), names!(), request_watchers::email.nullable()))
            .into_boxed();
        if let Some(tenant) = caller.scope().tenant() {
            query = query.filter(service_requests::tenant_id.eq(tenant));
        }
        query = match key {
            Key::Id(id) => query.filter(service_requests::id.eq(*id)),
            Key::Reference(reference) => query.filter(service_requests::reference.eq(reference)),
        };
        query.load(conn)
    })?;
    let mut watchers: Vec<String> = rows.iter().filter_map(|row| row.2.clone()).collect();
    watchers.sort_unstable();
    let (found, names, _) = rows
        .into_iter()
        .next()
        .ok_or_else(|| Problem::not_found("service request"))?;
    if hidden_queues(conn, caller)?.contains(&found.queue_id) {
        return Err(Problem::not_found("service request"));
    }
    Ok((found, names, watchers))
}

/// Adds watchers that are not there yet.
pub fn add_watchers(
    conn: &mut Connection,
    request: &Request,
    emails: &[String],
    now: Moment,
) -> Result<(), Problem> {
    for email in emails {
        let row = (
            request_watchers::tenant_id.eq(request.tenant_id),
            request_watchers::request_id.eq(request.id),
            request_watchers::email.eq(email),
            request_watchers::added_at.eq(now),
        );
        on_each!(conn, conn => diesel::insert_into(request_watchers::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(conn))?;
    }
    Ok(())
}

/// Takes watchers away.
pub fn remove_watchers(
    conn: &mut Connection,
    request: &Request,
    emails: &[String],
) -> Result<usize, Problem> {
    let rows = request_watchers::table
        .filter(request_watchers::tenant_id.eq(request.tenant_id))
        .filter(request_watchers::request_id.eq(request.id))
        .filter(request_watchers::email.eq_any(emails.to_vec()));
    Ok(diesel::delete(rows).execute(conn)?)
}

/// Requests of an incident that an address watches.
pub fn watched(
    conn: &mut Connection,
    (tenant, incident): (TenantId, IncidentId),
    email: &str,
    limit: i64,
) -> Result<Vec<Request>, Problem> {
    let ids = request_watchers::table
        .filter(request_watchers::tenant_id.eq(tenant))
        .filter(request_watchers::email.eq(email.to_owned()))
        .select(request_watchers::request_id);
    Ok(service_requests::table
        .filter(service_requests::tenant_id.eq(tenant))
        .filter(service_requests::incident_id.eq(incident))
        .filter(service_requests::id.eq_any(ids))
        .order(service_requests::id)
        .limit(limit)
        .select(Request::as_select())
        .load(conn)?)
}

/// Requests of an incident that follow it: open, not pinned, not detached.
pub fn following(conn: &mut Connection, incident: IncidentId, limit: i64) -> Result<Vec<Request>, Problem> {
    Ok(service_requests::table
        .filter(service_requests::incident_id.eq(incident))
        .filter(service_requests::is_open.eq(true))
        .filter(service_requests::pinned.eq(false))
        .filter(service_requests::detached.eq(false))
        .order((service_requests::tenant_id, service_requests::id))
        .limit(limit)
        .select(Request::as_select())
        .load(conn)?)
}

/// Open requests of an incident that are not detached from it.
pub fn attached(conn: &mut Connection, incident: IncidentId, limit: i64) -> Result<Vec<Request>, Problem> {
    Ok(service_requests::table
        .filter(service_requests::incident_id.eq(incident))
        .filter(service_requests::is_open.eq(true))
        .filter(service_requests::detached.eq(false))
        .order((service_requests::tenant_id, service_requests::id))
        .limit(limit)
        .select(Request::as_select())
        .load(conn)?)
}

/// All open requests of an incident.
pub fn open_of(conn: &mut Connection, incident: IncidentId, limit: i64) -> Result<Vec<Request>, Problem> {
    Ok(service_requests::table
        .filter(service_requests::incident_id.eq(incident))
        .filter(service_requests::is_open.eq(true))
        .order((service_requests::tenant_id, service_requests::id))
        .limit(limit)
        .select(Request::as_select())
        .load(conn)?)
}

/// Requests that followed this resolution of an incident and were not touched since.
pub fn followed(
    conn: &mut Connection,
    incident: IncidentId,
    resolution: i32,
    limit: i64,
) -> Result<Vec<Request>, Problem> {
    Ok(service_requests::table
        .filter(service_requests::incident_id.eq(incident))
        .filter(service_requests::is_open.eq(false))
        .filter(service_requests::status.eq(Status::Resolved))
        .filter(service_requests::resolution_cause.eq(Cause::Incident))
        .filter(service_requests::incident_resolution.eq(resolution))
        .filter(service_requests::resolved_at.eq(service_requests::updated_at.nullable()))
        .order((service_requests::tenant_id, service_requests::id))
        .limit(limit)
        .select(Request::as_select())
        .load(conn)?)
}

/// Requests that were resolved before `before` and are to be closed.
pub fn resolved_before(conn: &mut Connection, before: Moment, limit: i64) -> Result<Vec<Request>, Problem> {
    Ok(service_requests::table
        .filter(service_requests::status.eq(Status::Resolved))
        .filter(service_requests::resolved_at.lt(before))
        .order(service_requests::resolved_at)
        .limit(limit)
        .select(Request::as_select())
        .load(conn)?)
}

/// Requesters of an incident's requests, after a request.
pub fn requesters(
    conn: &mut Connection,
    incident: IncidentId,
    after: Option<(TenantId, RequestId)>,
    limit: i64,
) -> Result<Vec<(RequestId, Recipient)>, Problem> {
    let mut query = service_requests::table
        .filter(service_requests::incident_id.eq(incident))
        // Nobody is told of what was erased.
        .filter(service_requests::subject.ne(""))
        .order((service_requests::tenant_id, service_requests::id))
        .limit(limit)
        .select((
            service_requests::tenant_id,
            service_requests::id,
            service_requests::requester_id,
        ))
        .into_boxed();
    if let Some((tenant, id)) = after {
        query =
            query.filter(pair!("service_requests.tenant_id", "service_requests.id" > tenant: Uuid, id: Uuid));
    }
    let rows: Vec<(TenantId, RequestId, PersonId)> = query.load(conn)?;
    // Asked for by themselves: PostgreSQL expects few rows after a place in a large tenant, and for a join would sort all
    // that there are instead of walking the index.
    let ids: BTreeSet<PersonId> = rows.iter().map(|(.., person)| *person).collect();
    let people: Vec<(PersonId, (String, String, String, String))> = people::table
        .filter(people::id.eq_any(ids))
        .select((
            people::id,
            (people::email, people::name, people::locale, people::time_zone),
        ))
        .load(conn)?;
    let people: HashMap<PersonId, _> = people.into_iter().collect();
    let recipient = |(tenant_id, request, person)| {
        let (email, name, locale, time_zone) = people.get(&person).cloned()?;
        let to = Recipient {
            tenant_id,
            email,
            name,
            locale,
            time_zone,
        };
        Some((request, to))
    };
    Ok(rows.into_iter().filter_map(recipient).collect())
}

/// How many requests are open in each state, for the metrics.
pub fn count_open(conn: &mut Connection) -> Result<i64, Problem> {
    Ok(service_requests::table
        .filter(service_requests::is_open.eq(true))
        .count()
        .get_result(conn)?)
}
