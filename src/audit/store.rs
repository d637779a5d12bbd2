//! Queries over the journal for the audit.

use diesel::prelude::*;
use diesel::result::Error as DieselError;

use super::verify::Row;
use crate::db::schema::{events, tenants};
use crate::db::{Connection, EventId, Json, Moment, PROVIDER, PersonId, SubjectId, TenantId};
use crate::journal::chain::Written;
use crate::journal::{EventKind, Seal, Side};
use crate::problem::Problem;

/// An event of the audit, with kinds in the words that the database has: also such as this version does not know.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = events)]
pub struct Entry {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: EventId,
    /// What kind of thing it is about.
    pub subject_kind: String,
    /// Which one.
    pub subject_id: SubjectId,
    /// What happened.
    pub kind: String,
    /// When.
    pub at: Moment,
    /// Which side acted.
    pub actor_side: Side,
    /// Who acted.
    pub actor_id: Option<PersonId>,
    /// Its name then.
    pub actor_name: String,
    /// From where.
    pub address: String,
    /// What, from, to, why.
    pub data: Json,
    /// Its place in the chain.
    pub chain_seq: Option<i64>,
    /// Its link.
    pub chain_hash: Option<String>,
}

/// Which events are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this tenant; of all without it.
    pub tenant: Option<TenantId>,
    /// Without those that tenants never see.
    pub public_only: bool,
    /// By this person or key.
    pub actor: Option<PersonId>,
    /// About this.
    pub subject: Option<SubjectId>,
    /// Of this kind.
    pub kind: Option<EventKind>,
    /// Not before.
    pub from: Option<Moment>,
    /// Before.
    pub to: Option<Moment>,
}

/// The newest events before `before`.
pub fn list(
    conn: &mut Connection,
    filter: &Filter,
    before: Option<EventId>,
    limit: i64,
) -> Result<Vec<Entry>, Problem> {
    // The indexes for this are of sealed events alone, so that writing one costs no more. What is not sealed yet is
    // little, and read first: whatever is sealed in between is found twice, and not missed.
    let mut found = part(conn, filter, (before, false), limit)?;
    found.extend(part(conn, filter, (before, true), limit)?);
    found.sort_by_key(|entry| (std::cmp::Reverse(entry.id), entry.chain_seq.is_none()));
    found.dedup_by_key(|entry| (entry.id, entry.tenant_id));
    found.truncate(usize::try_from(limit).unwrap_or(0));
    Ok(found)
}

fn part(
    conn: &mut Connection,
    filter: &Filter,
    (before, sealed): (Option<EventId>, bool),
    limit: i64,
) -> Result<Vec<Entry>, Problem> {
    let mut query = events::table
        .order(events::id.desc())
        .limit(limit)
        .select(Entry::as_select())
        .into_boxed();
    query = match sealed {
        true => query.filter(events::chain_seq.is_not_null()),
        false => query.filter(events::chain_seq.is_null()),
    };
    if let Some(tenant) = filter.tenant {
        query = query.filter(events::tenant_id.eq(tenant));
    }
    if filter.public_only {
        query = query.filter(events::internal.eq(false));
    }
    if let Some(actor) = filter.actor {
        query = query.filter(events::actor_id.eq(actor));
    }
    if let Some(subject) = filter.subject {
        query = query.filter(events::subject_id.eq(subject));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(events::kind.eq(kind));
    }
    // An id begins with the millisecond of its event: a range of time is one of ids.
    if let Some(from) = filter.from {
        query = query.filter(events::at.ge(from));
        query = query.filter(events::id.ge(EventId::first_at(from)));
    }
    if let Some(to) = filter.to {
        let later = to.plus(chrono::TimeDelta::milliseconds(1));
        query = query.filter(events::at.lt(to));
        query = query.filter(events::id.lt(EventId::first_at(later)));
    }
    if let Some(before) = before {
        query = query.filter(events::id.lt(before));
    }
    Ok(query.load(conn)?)
}

/// The next tenants after `after`, with their names.
pub fn tenants(
    conn: &mut Connection,
    after: Option<TenantId>,
    limit: i64,
) -> Result<Vec<(TenantId, String)>, Problem> {
    let mut query = tenants::table
        .order(tenants::id)
        .limit(limit)
        .select((tenants::id, tenants::name))
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(tenants::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// The next rows of the chain of a tenant.
pub fn chain(conn: &mut Connection, tenant: TenantId, after: i64, limit: i64) -> Result<Vec<Row>, Problem> {
    let rows = events::table
        .filter(events::tenant_id.eq(tenant))
        .filter(events::chain_seq.gt(after))
        .order(events::chain_seq)
        .limit(limit);
    let whole = rows.select((events::id, Seal::as_select(), Written::as_select()));
    match whole.load::<(EventId, Seal, Written)>(conn) {
        Ok(found) => Ok(found
            .into_iter()
            .map(|(id, seal, written)| Row {
                id,
                seal,
                written: Some(written),
            })
            .collect()),
        // One that cannot be read is a finding, and no end.
        Err(DieselError::DeserializationError(_)) => {
            let seals: Vec<(EventId, Seal)> = rows.select((events::id, Seal::as_select())).load(conn)?;
            seals
                .into_iter()
                .map(|(id, seal)| {
                    let written = written(conn, tenant, id)?;
                    Ok(Row { id, seal, written })
                })
                .collect()
        }
        Err(error) => Err(error.into()),
    }
}

fn written(conn: &mut Connection, tenant: TenantId, id: EventId) -> Result<Option<Written>, Problem> {
    let row = events::table.find((tenant, id)).select(Written::as_select());
    match row.first(conn) {
        Err(DieselError::DeserializationError(_)) => Ok(None),
        found => Ok(Some(found?)),
    }
}

/// Whether there is the event that the chain of a tenant begins with: its creation; the provider's is that of the first
/// operator.
pub fn is_begun(conn: &mut Connection, tenant: TenantId) -> Result<bool, Problem> {
    let beginning = match tenant == PROVIDER {
        true => EventKind::UserCreated,
        false => EventKind::TenantCreated,
    };
    Ok(events::table
        .filter(events::tenant_id.eq(tenant))
        .filter(events::kind.eq(beginning))
        .order(events::id)
        .select(events::id)
        .first::<EventId>(conn)
        .optional()?
        .is_some())
}

/// How many events of a tenant are not sealed yet.
pub fn unsealed(conn: &mut Connection, tenant: TenantId) -> Result<i64, Problem> {
    Ok(events::table
        .filter(events::tenant_id.eq(tenant))
        .filter(events::chain_seq.is_null())
        .count()
        .get_result(conn)?)
}
