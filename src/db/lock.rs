//! Locks that last until the end of the transaction. On SQLite there is one writer: they are no-ops.
//!
//! Filing, linking and adding a watcher take the incident *shared* and then read it in a new statement;
//! whatever ends, reopens, rescopes or merges it takes it *exclusively*. A row lock `FOR SHARE` would not do:
//! sharers pass a waiting update, and a resolve under a storm of filings would starve.

use diesel::RunQueryDsl;
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;

use super::Connection;
use super::id::Id;

/// What is locked: a row by its id, or something installation-wide by its name.
#[derive(Clone, Copy, Debug)]
pub struct Key(i64);

impl Key {
    /// The lock of one row. Two rows may share a lock (64 of the id's random bits): that only costs a wait.
    pub fn of<T>(id: Id<T>) -> Self {
        let (high, low) = id.uuid().as_u64_pair();
        Self((high.rotate_left(17) ^ low).cast_signed())
    }

    /// The lock of this name.
    pub fn named(name: &str) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.as_bytes());
        let first = digest.as_ref().first_chunk::<8>().copied().unwrap_or_default();
        Self(i64::from_be_bytes(first))
    }
}

/// Waits until nobody holds `key` exclusively, and keeps them off until the end of the transaction.
pub fn shared(conn: &mut Connection, key: Key) -> QueryResult<()> {
    take(conn, key, "SELECT pg_advisory_xact_lock_shared($1)")
}

/// Waits until nobody holds `key`, and keeps everybody off until the end of the transaction.
pub fn exclusive(conn: &mut Connection, key: Key) -> QueryResult<()> {
    take(conn, key, "SELECT pg_advisory_xact_lock($1)")
}

/// Keeps everybody off `key` until the end of the transaction, unless somebody holds it; whether it was free.
pub fn attempt(conn: &mut Connection, key: Key) -> QueryResult<bool> {
    match conn {
        Connection::Postgres(conn) => diesel::select(pg_try_advisory_xact_lock(key.0)).get_result(conn),
        Connection::Sqlite(_) => Ok(true),
    }
}

diesel::define_sql_function! {
    /// Takes a lock of the transaction if nobody has it; whether nobody had.
    fn pg_try_advisory_xact_lock(key: BigInt) -> Bool;
}

fn take(conn: &mut Connection, key: Key, statement: &str) -> QueryResult<()> {
    match conn {
        Connection::Postgres(conn) => diesel::sql_query(statement)
            .bind::<BigInt, _>(key.0)
            .execute(conn)
            .map(|_| ()),
        Connection::Sqlite(_) => Ok(()),
    }
}
