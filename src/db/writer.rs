//! Group commit on SQLite: one thread that writes, and commits once for everything that was waiting.
//!
//! A durable commit costs as much as dozens of inserts, and SQLite has one writer at a time. So closures
//! queue up; the thread takes what is there into one transaction, each closure in a savepoint of its own,
//! commits, and only then answers. A closure that fails or panics is rolled back to its savepoint alone.
//! Some failures (a full disk, an I/O error) end the whole transaction behind diesel's back: then nobody is
//! answered with success, and each closure runs once more in a transaction of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::result::Error as DieselError;
use tokio::sync::oneshot;

use super::Connection;
use super::connection::{Broken, Target};
use crate::problem::{Code, Problem};

/// How many closures may wait; more are refused with 503.
const WAITING: usize = 4096;
/// How many closures share a commit at most.
const GROUP: usize = 256;

/// The way to the writing thread. The thread ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Writer {
    line: SyncSender<Box<dyn Job>>,
}

impl Writer {
    /// Opens the writing connection and starts the thread.
    pub fn start(target: &Target) -> Result<Self, Broken> {
        let conn = target.connect()?;
        let (line, jobs) = sync_channel(WAITING);
        thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || write_all(conn, &jobs))
            .map_err(|error| Broken::Connect(diesel::ConnectionError::BadConnection(error.to_string())))?;
        Ok(Self { line })
    }

    /// Runs `work` in the next group; answers after its commit is on the disk.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Connection) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        let job = WriteJob {
            work,
            done: None,
            reply,
        };
        self.line
            .try_send(Box::new(job))
            .map_err(|refused| match refused {
                TrySendError::Full(_) => Problem::new(Code::Unavailable, "too many writes are waiting"),
                TrySendError::Disconnected(_) => Problem::internal("the writer has stopped"),
            })?;
        answer
            .await
            .map_err(|_| Problem::internal("the writer has stopped"))?
    }
}

/// A closure with its caller, its type forgotten.
trait Job: Send {
    /// Runs the closure and keeps what it said; `Err` asks for the savepoint to be rolled back.
    fn run(&mut self, conn: &mut Connection) -> Result<(), ()>;
    /// Answers the caller with what the last run said.
    fn answer(self: Box<Self>);
    /// Answers the caller with a failure of the transaction itself.
    fn fail(self: Box<Self>, error: DieselError);
}

struct WriteJob<T, F> {
    work: F,
    done: Option<Result<T, Problem>>,
    reply: oneshot::Sender<Result<T, Problem>>,
}

impl<T: Send, F: Fn(&mut Connection) -> Result<T, Problem> + Send> Job for WriteJob<T, F> {
    fn run(&mut self, conn: &mut Connection) -> Result<(), ()> {
        let work = &self.work;
        let done = catch_unwind(AssertUnwindSafe(|| work(conn)))
            .unwrap_or_else(|_| Err(Problem::internal("a write panicked")));
        let verdict = if done.is_ok() { Ok(()) } else { Err(()) };
        self.done = Some(done);
        verdict
    }

    fn answer(self: Box<Self>) {
        let done = self
            .done
            .unwrap_or_else(|| Err(Problem::internal("a write was answered before it ran")));
        // A caller that went away doesn't want to know; the write stands.
        let _ = self.reply.send(done);
    }

    fn fail(self: Box<Self>, error: DieselError) {
        let _ = self.reply.send(Err(Problem::from(error)));
    }
}

fn write_all(mut conn: Connection, jobs: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        while group.len() < GROUP {
            match jobs.try_recv() {
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        match commit_together(&mut conn, &mut group) {
            Ok(()) => group.into_iter().for_each(Job::answer),
            Err(error) => {
                tracing::warn!(%error, closures = group.len(), "a group commit failed; each runs again alone");
                group.into_iter().for_each(|job| commit_alone(&mut conn, job));
            }
        }
    }
}

/// One transaction for all; an error means that nothing of it is in the database.
fn commit_together(conn: &mut Connection, group: &mut [Box<dyn Job>]) -> Result<(), DieselError> {
    begin(conn)?;
    let ran = group
        .iter_mut()
        .try_for_each(|job| in_savepoint(conn, job.as_mut()));
    match ran.and_then(|()| Connection::commit_transaction(conn)) {
        Ok(()) => Ok(()),
        Err(error) => {
            abandon(conn);
            Err(error)
        }
    }
}

fn commit_alone(conn: &mut Connection, mut job: Box<dyn Job>) {
    match commit_together(conn, std::slice::from_mut(&mut job)) {
        Ok(()) => job.answer(),
        Err(error) => job.fail(error),
    }
}

/// An error means that the surrounding transaction is gone.
fn in_savepoint(conn: &mut Connection, job: &mut dyn Job) -> Result<(), DieselError> {
    Connection::begin_transaction(conn)?;
    let depth = depth(conn);
    match job.run(conn) {
        Ok(()) => Connection::commit_transaction(conn),
        Err(()) => {
            // A panic may have left transactions of its own open above the savepoint.
            while depth < self::depth(conn) {
                Connection::rollback_transaction(conn)?;
            }
            // Fails when SQLite has ended the transaction: there is no savepoint to go back to.
            Connection::rollback_transaction(conn)
        }
    }
}

fn depth(conn: &mut Connection) -> u32 {
    Connection::transaction_manager_status_mut(conn)
        .transaction_depth()
        .ok()
        .flatten()
        .map_or(0, std::num::NonZeroU32::get)
}

fn begin(conn: &mut Connection) -> Result<(), DieselError> {
    match conn {
        // IMMEDIATE: the write lock now, so that what the closures read is what they change.
        Connection::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE"),
        Connection::Postgres(conn) => AnsiTransactionManager::begin_transaction(conn),
    }
}

/// Leaves no transaction open, whatever state a failure left behind.
fn abandon(conn: &mut Connection) {
    use diesel::connection::SimpleConnection;
    // Where SQLite has ended the transaction already this fails, and that is what is wanted.
    let _ = conn.batch_execute("ROLLBACK");
    *Connection::transaction_manager_status_mut(conn) = Default::default();
}
