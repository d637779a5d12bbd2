//! One connection type over the two engines, and how a connection is made.
#![allow(missing_docs, reason = "the derive writes public items without docs")]

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::connection::TransactionManager;
use diesel::prelude::*;
use diesel::r2d2::{ManageConnection, Pool};
use diesel::{ConnectionError, PgConnection, SqliteConnection};

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
    /// A `postgres://` or `postgresql://` URL.
    Postgres(String),
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
}

impl Target {
    /// Makes a connection with its session settings.
    pub fn connect(&self) -> Result<AnyConnection, Broken> {
        match self {
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
}

impl Pooled {
    /// It is asked before it is used again.
    pub fn doubt(&mut self) {
        self.answered = None;
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

/// A pool of `size` connections to `target`; connections are made when first needed.
pub fn pool(target: Target, size: u32) -> Pool<Manager> {
    // After a restart of PostgreSQL a ping turns failed queries into none; it costs a round trip, so not every time.
    let ping = matches!(target, Target::Postgres(_));
    Pool::builder()
        .max_size(size)
        .min_idle(Some(0))
        .test_on_check_out(ping)
        .connection_timeout(Duration::from_secs(5))
        .build_unchecked(Manager(target))
}
