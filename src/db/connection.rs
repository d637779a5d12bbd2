//! One connection type over the two engines, and how a connection is made.
#![allow(missing_docs, reason = "the derive writes public items without docs")]

use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::r2d2::{ManageConnection, Pool};
use diesel::result::Error as DieselError;
use diesel::sql_types::{Bool, Text};
use diesel::{ConnectionError, PgConnection, SqliteConnection};

use super::Scope;
use super::wall::{self, SETTING};
use crate::problem::Problem;

/// A connection to either engine.
#[derive(diesel::MultiConnection)]
pub enum AnyConnection {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// What a pool of connections needs to make one.
///
/// `MultiConnection::establish` hides the cause of a failure, so the scheme decides here.
#[derive(Debug, Clone)]
pub enum Target {
    /// A `postgres://` or `postgresql://` URL, as whom it names.
    Postgres(String),
    /// The same, then as the role that works behind the wall.
    Worker(String),
    /// A file. Readers never write.
    Sqlite { path: String, read_only: bool },
}

/// Why a connection could not be made or is not usable.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("{0}")]
    Connect(#[from] ConnectionError),
    #[error("{0}")]
    Query(#[from] diesel::result::Error),
    #[error("row-level security does not hold for this role: it must be no superuser, and without BYPASSRLS")]
    Unwalled,
}

impl Target {
    /// Makes a connection with its session settings.
    pub fn connect(&self) -> Result<AnyConnection, Broken> {
        match self {
            Self::Worker(url) => {
                let mut conn = Self::Postgres(url.clone()).connect()?;
                if let AnyConnection::Postgres(conn) = &mut conn {
                    wall::step_behind(conn)?;
                }
                Ok(conn)
            }
            Self::Postgres(url) => {
                let mut conn = PgConnection::establish(url)?;
                // Bounds on how long anybody waits; a hung call must not hold its thread for ever.
                conn.batch_execute(
                    "SET TIME ZONE 'UTC'; SET lock_timeout = '5s'; SET statement_timeout = '30s'; \
                     SET idle_in_transaction_session_timeout = '60s'",
                )?;
                Ok(AnyConnection::Postgres(conn))
            }
            Self::Sqlite { path, read_only } => {
                let mut conn = SqliteConnection::establish(path)?;
                // FULL: a commit is on the disk before anybody is told of it.
                conn.batch_execute(
                    "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                     PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32000; \
                     PRAGMA mmap_size = 268435456",
                )?;
                if *read_only {
                    conn.batch_execute("PRAGMA query_only = ON")?;
                }
                Ok(AnyConnection::Sqlite(conn))
            }
        }
    }
}

/// How long a connection is trusted after it answered a ping.
const TRUST: Duration = Duration::from_secs(1);

/// A connection of a pool.
pub struct Pooled {
    /// The connection.
    pub conn: AnyConnection,
    /// When it last answered a ping; never, if its last work failed for want of the database.
    answered: Option<Instant>,
    /// Whose rows it shows outside a transaction; `None` while that is not known.
    scope: Option<Scope>,
}

impl Pooled {
    /// It is asked before it is used again.
    pub fn doubt(&mut self) {
        self.answered = None;
        self.scope = None;
    }

    /// Has it show the rows of `scope` from now on; a round trip only where it showed others.
    pub fn narrow(&mut self, scope: Scope) -> Result<(), Problem> {
        let AnyConnection::Postgres(conn) = &mut self.conn else {
            return Ok(());
        };
        if self.scope != Some(scope) {
            self.scope = None;
            conn.batch_execute(&format!("SET {SETTING} = '{scope}'"))?;
            self.scope = Some(scope);
        }
        Ok(())
    }
}

/// Makes and checks pooled connections.
#[derive(Debug)]
pub struct Manager(Target);

impl ManageConnection for Manager {
    type Connection = Pooled;
    type Error = Broken;

    fn connect(&self) -> Result<Pooled, Broken> {
        let conn = self.0.connect()?;
        Ok(Pooled {
            conn,
            answered: Some(Instant::now()),
            scope: None,
        })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), Broken> {
        if let AnyConnection::Postgres(conn) = &mut pooled.conn
            && pooled.answered.is_none_or(|at| at.elapsed() > TRUST)
        {
            conn.batch_execute("SELECT 1")?;
            pooled.answered = Some(Instant::now());
        }
        Ok(())
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        std::thread::panicking() || AnyConnection::is_broken_transaction_manager(&mut pooled.conn)
    }
}

/// Runs `work` in a transaction that shows the rows of `scope`: said together with its beginning, forgotten with its end.
pub fn transaction<T>(
    conn: &mut AnyConnection,
    scope: Scope,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, Problem>,
) -> Result<T, Problem> {
    within(conn, scope, "", work)
}

/// The same for work that only reads: all of it sees the database as it was at one instant.
pub fn snapshot<T>(
    conn: &mut AnyConnection,
    scope: Scope,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, Problem>,
) -> Result<T, Problem> {
    within(conn, scope, " ISOLATION LEVEL REPEATABLE READ, READ ONLY", work)
}

/// Runs `work` in a transaction, on PostgreSQL of this kind; on SQLite every transaction is serializable.
fn within<T>(
    conn: &mut AnyConnection,
    scope: Scope,
    kind: &str,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, Problem>,
) -> Result<T, Problem> {
    match conn {
        AnyConnection::Postgres(conn) => {
            let begin = format!("BEGIN{kind}; SET LOCAL {SETTING} = '{scope}'");
            AnsiTransactionManager::begin_transaction_sql(conn, &begin)?;
        }
        AnyConnection::Sqlite(conn) => AnsiTransactionManager::begin_transaction(conn)?,
    }
    match work(conn) {
        Ok(done) => {
            AnyConnection::commit_transaction(conn)?;
            Ok(done)
        }
        Err(problem) => match AnyConnection::rollback_transaction(conn) {
            Ok(()) | Err(DieselError::BrokenTransactionManager) => Err(problem),
            Err(error) => Err(error.into()),
        },
    }
}

diesel::define_sql_function! { fn current_setting(name: Text) -> Text; }
diesel::define_sql_function! { fn set_config(name: Text, value: Text, local: Bool) -> Text; }

/// Shows all rows to `work`, inside a transaction that shows fewer; on SQLite it shows all anyway.
pub fn widely<T>(
    conn: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let AnyConnection::Postgres(inner) = conn else {
        return work(conn);
    };
    let before: String = diesel::select(current_setting(SETTING)).get_result(inner)?;
    if before == "all" {
        return work(conn);
    }
    diesel::select(set_config(SETTING, "all", true)).execute(inner)?;
    let done = work(conn);
    let AnyConnection::Postgres(inner) = conn else {
        return done;
    };
    // After a failure of the database the transaction is over, and what was set for it too.
    let narrow = diesel::select(set_config(SETTING, before, true)).execute(inner);
    let done = done?;
    narrow?;
    Ok(done)
}

/// A pool of `size` connections to `target`; connections are made when first needed.
pub fn pool(target: Target, size: u32) -> Pool<Manager> {
    // After a restart of PostgreSQL a ping turns failed queries into none; it costs a round trip, so not every time.
    let ping = !matches!(target, Target::Sqlite { .. });
    Pool::builder()
        .max_size(size)
        .min_idle(Some(0))
        .test_on_check_out(ping)
        .connection_timeout(Duration::from_secs(5))
        .build_unchecked(Manager(target))
}
