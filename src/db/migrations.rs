//! The migrations of both engines, embedded, and applied under one lock.

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::BigInt;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{Connection, wall};
use crate::problem::Problem;

/// The tree for PostgreSQL.
pub const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
/// The tree for SQLite: the same folders.
pub const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// What two starting replicas queue up behind ("ALLCLEAR").
const MIGRATING: i64 = 0x414C_4C43_4C45_4152;

/// Applies what is missing and says what that was.
pub fn apply(conn: &mut Connection) -> Result<Vec<String>, Problem> {
    let applied = match conn {
        Connection::Postgres(conn) => {
            // Waiting for another replica's migration may take longer than any ordinary lock.
            diesel::sql_query("SET lock_timeout = 0").execute(conn)?;
            diesel::sql_query("SET statement_timeout = 0").execute(conn)?;
            diesel::sql_query("SELECT pg_advisory_lock($1)")
                .bind::<BigInt, _>(MIGRATING)
                .execute(conn)?;
            // An owner who is no superuser is held to the policies too, and a step may have rows to move.
            conn.batch_execute(&format!("SET {} = 'all'", wall::SETTING))?;
            let applied = conn.run_pending_migrations(POSTGRES).map(names);
            let raised = applied.as_ref().map_or(Ok(()), |_| wall::raise(conn));
            diesel::sql_query("SELECT pg_advisory_unlock($1)")
                .bind::<BigInt, _>(MIGRATING)
                .execute(conn)?;
            raised?;
            diesel::sql_query("SET lock_timeout = '5s'").execute(conn)?;
            diesel::sql_query("SET statement_timeout = '30s'").execute(conn)?;
            applied
        }
        Connection::Sqlite(conn) => conn.run_pending_migrations(SQLITE).map(names),
    };
    applied.map_err(Problem::internal)
}

fn names(versions: Vec<diesel::migration::MigrationVersion<'_>>) -> Vec<String> {
    versions.iter().map(ToString::to_string).collect()
}
