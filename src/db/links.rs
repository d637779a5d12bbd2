//! The links of many events, saved at once: one statement on PostgreSQL, where each would be a round trip, and one each
//! on SQLite, where there are none.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text};

use super::Connection;
use super::columns::Uuid;
use super::noun::{EventId, TenantId};
use super::schema::events;

/// An event, its place in the chain of its tenant, and its link.
pub type Link = (EventId, i64, String);

/// Saves them where there is none yet; how many that were.
pub fn save_links(conn: &mut Connection, tenant: TenantId, links: &[Link]) -> QueryResult<usize> {
    match conn {
        Connection::Postgres(conn) => {
            let ids: Vec<EventId> = links.iter().map(|(id, ..)| *id).collect();
            let seqs: Vec<i64> = links.iter().map(|(_, seq, _)| *seq).collect();
            let hashes: Vec<&str> = links.iter().map(|(.., hash)| hash.as_str()).collect();
            diesel::sql_query(
                "UPDATE events SET chain_seq = link.seq, chain_hash = link.hash \
                 FROM unnest($2, $3, $4) AS link (id, seq, hash) \
                 WHERE events.tenant_id = $1 AND events.id = link.id AND events.chain_seq IS NULL",
            )
            .bind::<Uuid, _>(tenant)
            .bind::<Array<Uuid>, _>(ids)
            .bind::<Array<BigInt>, _>(seqs)
            .bind::<Array<Text>, _>(hashes)
            .execute(conn)
        }
        Connection::Sqlite(conn) => links.iter().try_fold(0, |saved, (id, seq, hash)| {
            let row = events::table
                .find((tenant, id))
                .filter(events::chain_seq.is_null());
            let link = (events::chain_seq.eq(Some(seq)), events::chain_hash.eq(Some(hash)));
            Ok(saved + diesel::update(row).set(link).execute(conn)?)
        }),
    }
}
