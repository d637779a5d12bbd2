//! THE FOUNDATION: the only place that knows there are two engines.
//!
//! Two doors lead to the database: [`Db::read`] and [`Db::write`]. Behind each a closure gets a connection and
//! does nothing but SQL. Each takes the [`Scope`] of the work, which PostgreSQL holds every statement to: a query that
//! forgets the tenant finds only its rows. What differs between the engines lives here, both arms side by side.

mod columns;
pub mod connection;
mod first;
mod id;
mod links;
pub mod lock;
pub mod migrations;
mod moment;
pub mod noun;
mod pair;
pub mod schema;
mod scope;
mod wall;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use diesel::r2d2::Pool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

pub(crate) use columns::text_enum;
pub use columns::{Instant, Json, Jsonb, Uuid};
pub use connection::{AnyConnection as Connection, MultiBackend, widely};
pub use first::first;
pub use id::Id;
pub use links::{Link, save_links};
pub use moment::Moment;
pub use noun::*;
pub(crate) use pair::pair;
pub use scope::Scope;

use crate::problem::{Code, Problem, Retry};
use connection::{Broken, Manager, Pooled, Target};
use writer::Writer;

/// How long a call may take in all before its caller is told 503. The engine's own limits are shorter.
const DEADLINE: Duration = Duration::from_secs(40);
/// How long a call waits for a free connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a lost race is decided again before it is a conflict.
const ATTEMPTS: u32 = 4;

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// One file.
    Sqlite(PathBuf),
    /// A `postgres://` URL.
    Postgres(String),
}

impl Location {
    /// Where the owner of the data connects, to read and to write.
    pub fn target(&self) -> Target {
        match self {
            Self::Sqlite(path) => Target::Sqlite {
                path: path.display().to_string(),
                read_only: false,
            },
            Self::Postgres(url) => Target::Postgres(url.clone()),
        }
    }
}

/// The database, cheap to clone.
#[derive(Clone, Debug)]
pub struct Db(Arc<Engine>);

#[derive(Debug)]
enum Engine {
    Sqlite {
        readers: Pool<Manager>,
        gate: Arc<Semaphore>,
        writer: Writer,
    },
    Postgres {
        pool: Pool<Manager>,
        gate: Arc<Semaphore>,
    },
}

impl Db {
    /// Opens the database, applies the migrations that are missing, and starts what each engine needs.
    ///
    /// On PostgreSQL the migrations are the work of the owner, whom `location` names; all else is done as a role that
    /// owns nothing, or as whom `work_url` names.
    pub fn open(location: &Location, work_url: Option<&str>, connections: u32) -> Result<Self, Problem> {
        migrate(location)?;
        let size = connections.max(1);
        let gate = || Arc::new(Semaphore::new(usize::try_from(size).unwrap_or(1)));
        let engine = match location {
            Location::Sqlite(path) => {
                let path = path.display().to_string();
                let writer = Writer::start(&Target::Sqlite {
                    path: path.clone(),
                    read_only: false,
                })
                .map_err(|error| unreachable_database(location, &error))?;
                let readers = connection::pool(
                    Target::Sqlite {
                        path,
                        read_only: true,
                    },
                    size,
                );
                Engine::Sqlite {
                    readers,
                    gate: gate(),
                    writer,
                }
            }
            Location::Postgres(url) => {
                let target = match work_url {
                    Some(url) => Target::Postgres(url.to_owned()),
                    None => Target::Worker(url.clone()),
                };
                walled(&target).map_err(|error| unreachable_database(location, &error))?;
                Engine::Postgres {
                    pool: connection::pool(target, size),
                    gate: gate(),
                }
            }
        };
        Ok(Self(Arc::new(engine)))
    }

    /// The engine's name, for logs and health.
    pub fn engine(&self) -> &'static str {
        match &*self.0 {
            Engine::Sqlite { .. } => "sqlite",
            Engine::Postgres { .. } => "postgres",
        }
    }

    /// Runs a query off the async threads.
    pub async fn read<T: Send + 'static>(
        &self,
        scope: Scope,
        work: impl FnOnce(&mut Connection) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.pooled(move |pooled| {
            pooled.narrow(scope)?;
            work(&mut pooled.conn)
        })
        .await
    }

    /// The same for several queries that belong together: all of them see the database as it was at one instant.
    pub async fn snapshot<T: Send + 'static>(
        &self,
        scope: Scope,
        work: impl FnOnce(&mut Connection) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.pooled(move |pooled| connection::snapshot(&mut pooled.conn, scope, work))
            .await
    }

    /// Runs `work` on a connection of the pool, off the async threads.
    async fn pooled<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Pooled) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let this = self.clone();
        let turn = self.turn().await?;
        off_thread(move || {
            let _turn = turn;
            let mut pooled = this.readers().get().map_err(away)?;
            let done = work(&mut pooled);
            doubt_after(&mut pooled, &done);
            done
        })
        .await
    }

    /// Runs a short indexed query: on SQLite in place, where the hop to another thread would cost as much.
    pub async fn read_here<T: Send + 'static>(
        &self,
        scope: Scope,
        work: impl FnOnce(&mut Connection) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        if let Engine::Sqlite { readers, .. } = &*self.0
            && let Some(mut pooled) = readers.try_get()
        {
            return work(&mut pooled.conn);
        }
        self.read(scope, work).await
    }

    /// Runs `work` in a transaction and answers when it is durable.
    ///
    /// `work` may run more than once (a lost race, a serialization failure, a group that failed to commit), so it
    /// does nothing but SQL. It is all or nothing: an error leaves no trace.
    pub async fn write<T: Send + 'static>(
        &self,
        scope: Scope,
        work: impl Fn(&mut Connection) -> Result<T, Problem> + Send + Sync + 'static,
    ) -> Result<T, Problem> {
        match &*self.0 {
            Engine::Sqlite { writer, .. } => timeout(DEADLINE, writer.write(work))
                .await
                .unwrap_or_else(|_| Err(late())),
            Engine::Postgres { .. } => {
                self.pooled(move |pooled| {
                    let mut done = connection::transaction(&mut pooled.conn, scope, &work);
                    for _ in 1..ATTEMPTS {
                        match &done {
                            Err(problem) if problem.retry() == Retry::Again => {}
                            _ => break,
                        }
                        done = connection::transaction(&mut pooled.conn, scope, &work);
                    }
                    done
                })
                .await
            }
        }
    }

    /// The pool that reads (on PostgreSQL also writes) go through.
    fn readers(&self) -> &Pool<Manager> {
        match &*self.0 {
            Engine::Sqlite { readers, .. } => readers,
            Engine::Postgres { pool, .. } => pool,
        }
    }

    /// Waits for a free connection without holding a thread: a hung database blocks as many threads as there
    /// are connections, and no more.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let gate = match &*self.0 {
            Engine::Sqlite { gate, .. } | Engine::Postgres { gate, .. } => gate,
        };
        match timeout(PATIENCE, Arc::clone(gate).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(Problem::new(
                Code::Unavailable,
                "all database connections are busy",
            )),
        }
    }
}

/// A connection that only reads, to a database that others may be using; of an installation that exists.
pub fn open_to_read(location: &Location, work_url: Option<&str>) -> Result<Connection, Problem> {
    let target = match (location, work_url) {
        (Location::Sqlite(path), _) if !path.exists() => {
            return Err(Problem::not_found("database").with("path", path.display().to_string()));
        }
        (Location::Sqlite(path), _) => Target::Sqlite {
            path: path.display().to_string(),
            read_only: true,
        },
        (Location::Postgres(_), Some(url)) => Target::Postgres(url.to_owned()),
        (Location::Postgres(url), None) => Target::Worker(url.clone()),
    };
    target
        .connect()
        .map_err(|error| unreachable_database(location, &error))
}

/// Refuses to work as somebody whom the policies do not hold.
fn walled(target: &Target) -> Result<(), Broken> {
    let mut conn = target.connect()?;
    let holds = match &mut conn {
        Connection::Postgres(conn) => wall::holds(conn)?,
        Connection::Sqlite(_) => true,
    };
    if holds { Ok(()) } else { Err(Broken::Unwalled) }
}

/// Brings the schema of `location` up to date and says which migrations that took.
pub fn migrate(location: &Location) -> Result<Vec<String>, Problem> {
    let mut conn = location
        .target()
        .connect()
        .map_err(|error| unreachable_database(location, &error))?;
    migrations::apply(&mut conn)
}

fn doubt_after<T>(pooled: &mut Pooled, done: &Result<T, Problem>) {
    if done
        .as_ref()
        .is_err_and(|problem| problem.code() == Code::Unavailable)
    {
        pooled.doubt();
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let guarded = || {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Problem::internal("a query panicked")))
    };
    match timeout(DEADLINE, spawn_blocking(guarded)).await {
        Ok(Ok(done)) => done,
        Ok(Err(join)) => Err(Problem::internal(join)),
        Err(_) => Err(late()),
    }
}

fn late() -> Problem {
    Problem::new(Code::Unavailable, "the database did not answer in time")
}

fn away(error: diesel::r2d2::PoolError) -> Problem {
    tracing::error!(%error, "no database connection");
    Problem::new(Code::Unavailable, "the database cannot be reached")
}

fn unreachable_database(location: &Location, error: &Broken) -> Problem {
    let place = match location {
        Location::Sqlite(path) => path.display().to_string(),
        // Never the URL: it holds a password.
        Location::Postgres(_) => "DATABASE_URL".to_owned(),
    };
    Problem::internal(format!("cannot open the database at {place}: {error}"))
}

/// Runs a query that is written once, on the connection inside: what the derived connection cannot say (`ON CONFLICT`,
/// batch inserts, row locks), and the queries of the busiest calls, whose SQL it would write anew at every use.
macro_rules! on_each {
    ($conn:expr, $inner:ident => $query:expr) => {
        match $conn {
            $crate::db::Connection::Postgres($inner) => $query,
            $crate::db::Connection::Sqlite($inner) => $query,
        }
    };
}
pub(crate) use on_each;

/// Shows every row of a query, one at a time: of PostgreSQL, all rows of an answer would otherwise be held at once.
macro_rules! each_row {
    ($conn:expr, $row:ty, $query:expr, $show:expr) => {
        match $conn {
            $crate::db::Connection::Postgres(conn) => {
                for row in
                    diesel::RunQueryDsl::load_iter::<$row, diesel::pg::PgRowByRowLoadingMode>($query, conn)?
                {
                    $show(row?)?;
                }
            }
            $crate::db::Connection::Sqlite(conn) => {
                for row in diesel::RunQueryDsl::load_iter::<$row, diesel::connection::DefaultLoadingMode>(
                    $query, conn,
                )? {
                    $show(row?)?;
                }
            }
        }
    };
}
pub(crate) use each_row;
