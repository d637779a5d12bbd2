//! Sealing: events get their place in the chain of their tenant, in order, behind the calls that wrote them.
//!
//! Not in the transaction that writes an event: there it would be one lock for everybody of a tenant. Whoever seals
//! holds a lock of the chain, which no writer takes, and asks the database what is still to be sealed: any number of
//! processes may do it, and one that dies leaves nothing behind.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::EventKind;
use super::chain::{ChainKey, Seal, Written};
use crate::db::schema::{audit_heads, events};
use crate::db::{Connection, EventId, Json, Link, Moment, SubjectId, TenantId, lock, save_links};
use crate::problem::Problem;

/// How many events one transaction seals: it holds up the one writer of SQLite for some milliseconds.
pub const SEALED_TOGETHER: usize = 200;

/// Where the chain of a tenant ends.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_heads)]
pub struct Head {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The place of the last event.
    pub chain_seq: i64,
    /// Its link.
    pub chain_hash: String,
    /// That it was the server who said so. Empty for ever, once somebody else has.
    pub seal: String,
}

impl Head {
    /// Whether whoever has the key has set it.
    pub fn is_sealed(&self, key: &ChainKey) -> bool {
        self.seal == key.head(self.tenant_id, self.chain_seq, &self.chain_hash)
    }
}

/// An event that waits for its seal.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = events)]
struct Loose {
    id: EventId,
    subject_id: SubjectId,
    seq: i32,
    digest: String,
}

fn lock_of(tenant: TenantId) -> lock::Key {
    lock::Key::named(&format!("audit chain of {tenant}"))
}

/// Whether anything waits to be sealed.
pub fn any_unsealed(conn: &mut Connection) -> Result<bool, Problem> {
    let waiting = events::table.filter(events::chain_seq.is_null());
    Ok(waiting
        .select(events::id)
        .first::<EventId>(conn)
        .optional()?
        .is_some())
}

/// Seals what waits, [`SEALED_TOGETHER`] events at most; how many there were.
pub fn seal(conn: &mut Connection, key: &ChainKey) -> Result<usize, Problem> {
    let mut tenants: Vec<TenantId> = events::table
        .filter(events::chain_seq.is_null())
        .order((events::tenant_id, events::id))
        .limit(i64::try_from(SEALED_TOGETHER).unwrap_or(i64::MAX))
        .select(events::tenant_id)
        .load(conn)?;
    // In order, so that two who seal never wait for each other.
    tenants.dedup();
    let mut sealed = 0;
    for tenant in tenants {
        let room = SEALED_TOGETHER.saturating_sub(sealed);
        if room > 0 {
            sealed += lengthen(conn, key, tenant, room)?;
        }
    }
    Ok(sealed)
}

fn lengthen(conn: &mut Connection, key: &ChainKey, tenant: TenantId, room: usize) -> Result<usize, Problem> {
    lock::exclusive(conn, lock_of(tenant))?;
    let kept = head(conn, tenant)?;
    let (mut head, is_sound) = end(conn, key, tenant, kept.as_ref())?;
    let mut links: Vec<Link> = Vec::new();
    for loose in waiting(conn, tenant, room)? {
        let digest = match loose.digest.is_empty() {
            true => made_good(conn, tenant, loose.id)?,
            false => Some(loose.digest),
        };
        let Some(digest) = digest else { continue };
        head.chain_seq = head.chain_seq.saturating_add(1);
        head.chain_hash = key.link(tenant, head.chain_seq, &head.chain_hash, &digest);
        links.push((loose.id, head.chain_seq, head.chain_hash.clone()));
    }
    if links.is_empty() {
        return Ok(0);
    }
    if save_links(conn, tenant, &links)? != links.len() {
        return Err(Problem::lost_race());
    }
    head.seal = match is_sound {
        true => key.head(tenant, head.chain_seq, &head.chain_hash),
        false => String::new(),
    };
    save(conn, &head, kept.map(|kept| kept.chain_seq))?;
    Ok(links.len())
}

/// Where a chain goes on, and whether its head is sound. That is its head; and where this is gone, or not as the server
/// sealed it, or has rows behind it, the last row: what somebody did to one chain stops neither it nor the others.
///
/// A head that is not sound is never sealed again. Else whoever cut off the end would only have to wait for the next
/// event, and nothing would tell.
fn end(
    conn: &mut Connection,
    key: &ChainKey,
    tenant: TenantId,
    kept: Option<&Head>,
) -> Result<(Head, bool), Problem> {
    let last: Option<(Option<i64>, Option<String>)> = events::table
        .filter(events::tenant_id.eq(tenant))
        .filter(events::chain_seq.is_not_null())
        .order(events::chain_seq.desc())
        .select((events::chain_seq, events::chain_hash))
        .first(conn)
        .optional()?;
    let (seq, hash) = last.unwrap_or_default();
    let last = Head {
        tenant_id: tenant,
        chain_seq: seq.unwrap_or(0),
        chain_hash: hash.unwrap_or_default(),
        seal: String::new(),
    };
    match kept {
        Some(kept) if kept.is_sealed(key) && kept.chain_seq >= last.chain_seq => Ok((kept.clone(), true)),
        None if last.chain_seq == 0 => Ok((last, true)),
        _ => {
            // Told once, and by whoever verifies.
            if kept.is_none_or(|kept| !kept.seal.is_empty()) {
                tracing::error!(%tenant, "somebody else has set the head of a chain of the audit; it goes on after its last row");
            }
            Ok((last, false))
        }
    }
}

/// The digest that an event gets late, since it was written before there were any. One that cannot be read gets none,
/// and holds up nobody.
fn made_good(conn: &mut Connection, tenant: TenantId, id: EventId) -> Result<Option<String>, Problem> {
    let row = events::table.find((tenant, id));
    match row.select(Written::as_select()).first(conn) {
        Ok(written) => {
            let Seal { salt, digest, .. } = Seal::of(&written)?;
            let late = (events::salt.eq(salt), events::digest.eq(&digest));
            diesel::update(row).set(late).execute(conn)?;
            Ok(Some(digest))
        }
        Err(error @ diesel::result::Error::DeserializationError(_)) => {
            tracing::error!(event = %id, %error, "an event cannot be read; it is not sealed");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The next events of a chain, in order.
fn waiting(conn: &mut Connection, tenant: TenantId, room: usize) -> Result<Vec<Loose>, Problem> {
    let loose = events::table
        .filter(events::tenant_id.eq(tenant))
        .filter(events::chain_seq.is_null());
    let mut found: Vec<Loose> = loose
        .order(events::id)
        .limit(i64::try_from(room).unwrap_or(i64::MAX))
        .select(Loose::as_select())
        .load(conn)?;
    if found.len() == room {
        // An earlier one of a subject may have a later id than all that were read: clocks differ.
        let mut last: HashMap<SubjectId, i32> = HashMap::new();
        for row in &found {
            let seq = last.entry(row.subject_id).or_insert(row.seq);
            *seq = row.seq.max(*seq);
        }
        let subjects: Vec<SubjectId> = last.keys().copied().collect();
        let read: HashSet<EventId> = found.iter().map(|row| row.id).collect();
        let of_these: Vec<Loose> = loose
            .filter(events::subject_id.eq_any(subjects))
            .order(events::id)
            .select(Loose::as_select())
            .load(conn)?;
        let is_earlier = |row: &Loose| last.get(&row.subject_id).is_some_and(|last| row.seq < *last);
        found.extend(
            of_these
                .into_iter()
                .filter(|row| is_earlier(row) && !read.contains(&row.id)),
        );
    }
    Ok(in_order(found))
}

/// By id; but those of one subject by their place among its events.
fn in_order(by_id: Vec<Loose>) -> Vec<Loose> {
    let mut of_subject: HashMap<SubjectId, Vec<Loose>> = HashMap::new();
    for row in &by_id {
        of_subject.entry(row.subject_id).or_default().push(row.clone());
    }
    for rows in of_subject.values_mut() {
        rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.seq));
    }
    by_id
        .iter()
        .filter_map(|row| of_subject.get_mut(&row.subject_id)?.pop())
        .collect()
}

/// The end of the chain of a tenant.
pub fn head(conn: &mut Connection, tenant: TenantId) -> Result<Option<Head>, Problem> {
    Ok(audit_heads::table
        .find(tenant)
        .select(Head::as_select())
        .first(conn)
        .optional()?)
}

fn save(conn: &mut Connection, head: &Head, loaded: Option<i64>) -> Result<(), Problem> {
    let Some(loaded) = loaded else {
        diesel::insert_into(audit_heads::table)
            .values(head)
            .execute(conn)?;
        return Ok(());
    };
    let row = audit_heads::table
        .find(head.tenant_id)
        .filter(audit_heads::chain_seq.eq(loaded));
    let moved = (
        audit_heads::chain_seq.eq(head.chain_seq),
        audit_heads::chain_hash.eq(&head.chain_hash),
        audit_heads::seal.eq(&head.seal),
    );
    match diesel::update(row).set(moved).execute(conn)? {
        1 => Ok(()),
        _ => Err(Problem::lost_race()),
    }
}

/// Erases what events of a tenant say and of whom: name, address and data, with the salt. Kind, time, ids and the place
/// in the chain stay, and the chain still holds. How many there were.
pub fn erase(conn: &mut Connection, tenant: TenantId, ids: &[EventId]) -> Result<usize, Problem> {
    // Not while a digest of what is being erased is made good.
    lock::exclusive(conn, lock_of(tenant))?;
    let rows = events::table
        .filter(events::tenant_id.eq(tenant))
        .filter(events::id.eq_any(ids.to_vec()));
    let nothing = (
        events::actor_name.eq(""),
        events::address.eq(""),
        events::data.eq(Json(serde_json::json!({}))),
        events::salt.eq(None::<String>),
    );
    Ok(diesel::update(rows).set(nothing).execute(conn)?)
}

/// The same for events of a tenant that still say something, so many at most; how many there were.
pub fn erase_all(conn: &mut Connection, tenant: TenantId, limit: i64) -> Result<usize, Problem> {
    let ids: Vec<EventId> = events::table
        .filter(events::tenant_id.eq(tenant))
        // What says that something was erased is to be compared with what verifying finds.
        .filter(events::kind.ne(EventKind::TenantErased))
        .filter(events::salt.is_not_null().or(events::actor_name.ne("")))
        .order(events::id)
        .limit(limit)
        .select(events::id)
        .load(conn)?;
    erase(conn, tenant, &ids)
}

/// How many events wait to be sealed, and for how many seconds the oldest has.
pub fn unsealed(conn: &mut Connection, now: Moment) -> Result<(i64, i64), Problem> {
    let waiting = events::table.filter(events::chain_seq.is_null());
    let count = waiting.count().get_result(conn)?;
    let oldest: Option<Moment> = waiting
        .order(events::at)
        .select(events::at)
        .first(conn)
        .optional()?;
    Ok((count, oldest.map_or(0, |at| now.since(at).num_seconds().max(0))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Id;

    #[test]
    fn events_of_one_subject_come_by_their_own_number_and_all_others_by_id() {
        for (by_id, wanted) in [
            (vec![], vec![]),
            (
                vec![('a', 1), ('b', 1), ('a', 2)],
                vec![('a', 1), ('b', 1), ('a', 2)],
            ),
            (
                vec![('a', 2), ('b', 1), ('a', 1)],
                vec![('a', 1), ('b', 1), ('a', 2)],
            ),
            (
                vec![('a', 3), ('a', 1), ('b', 2), ('a', 2), ('b', 1)],
                vec![('a', 1), ('a', 2), ('b', 1), ('a', 3), ('b', 2)],
            ),
        ] {
            let subject = |name: char| Id::from_uuid(uuid::Uuid::from_u128(u128::from(u32::from(name))));
            let rows = by_id.iter().enumerate().map(|(place, (name, seq))| Loose {
                id: Id::from_uuid(uuid::Uuid::from_u128(u128::try_from(place).unwrap())),
                subject_id: subject(*name),
                seq: *seq,
                digest: String::new(),
            });
            let found = in_order(rows.collect());
            let found: Vec<_> = found.into_iter().map(|row| (row.subject_id, row.seq)).collect();
            let wanted: Vec<_> = wanted
                .into_iter()
                .map(|(name, seq)| (subject(name), seq))
                .collect();
            assert_eq!(found, wanted);
        }
    }
}
