//! Group commit on SQLite: one thread that writes, and commits once for everything that was waiting.
//!
//! A durable commit costs as much as dozens of inserts, and SQLite has one writer at a time. So closures
//! queue up; the thread takes what is there, and what comes while it works, into one transaction, each closure in a
//! savepoint of its own, commits when nobody waits any more, and only then answers. A closure that fails or panics is rolled back to its savepoint alone.
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
        match commit_together(&mut conn, &mut group, || jobs.try_recv().ok()) {
            Ok(()) => group.into_iter().for_each(Job::answer),
            Err(error) => {
                tracing::warn!(%error, closures = group.len(), "a group commit failed; each runs again alone");
                group.into_iter().for_each(|job| commit_alone(&mut conn, job));
            }
        }
    }
}

fn commit_alone(conn: &mut Connection, job: Box<dyn Job>) {
    let mut alone = vec![job];
    match (commit_together(conn, &mut alone, || None), alone.pop()) {
        (Ok(()), Some(job)) => job.answer(),
        (Err(error), Some(job)) => job.fail(error),
        (_, None) => {}
    }
}

/// One transaction for the group and for `more`, who join it while it runs; an error means that nothing of it is in the
/// database.
fn commit_together(
    conn: &mut Connection,
    group: &mut Vec<Box<dyn Job>>,
    more: impl FnMut() -> Option<Box<dyn Job>>,
) -> Result<(), DieselError> {
    match run_all(conn, group, more).and_then(|()| Connection::commit_transaction(conn)) {
        Ok(()) => Ok(()),
        Err(error) => {
            abandon(conn);
            Err(error)
        }
    }
}

fn run_all(
    conn: &mut Connection,
    group: &mut Vec<Box<dyn Job>>,
    mut more: impl FnMut() -> Option<Box<dyn Job>>,
) -> Result<(), DieselError> {
    begin(conn)?;
    let mut place = 0;
    while let Some(job) = group.get_mut(place) {
        in_savepoint(conn, job.as_mut())?;
        place += 1;
        if group.len() < GROUP {
            group.extend(more());
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, mpsc};
    use std::task::Poll;

    use diesel::connection::SimpleConnection as _;
    use diesel::{Connection as _, RunQueryDsl as _, sql_query};

    use super::*;

    /// A writer on a file of its own, with a table to write into.
    struct Bench {
        writer: Writer,
        path: PathBuf,
        _dir: tempfile::TempDir,
    }

    type Answer = Result<(), Problem>;
    type Waiting<'a> = Pin<Box<dyn Future<Output = Answer> + 'a>>;
    type Work = Box<dyn Fn(&mut Connection) -> Answer + Send>;

    const SCHEMA: &str = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body BLOB) STRICT; \
        CREATE TABLE parents (id INTEGER PRIMARY KEY) STRICT; \
        CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED) STRICT; \
        CREATE TRIGGER abort_all BEFORE INSERT ON notes WHEN NEW.id = 666 \
        BEGIN SELECT RAISE(ROLLBACK, 'the whole transaction is over'); END";

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("bench.sqlite");
            let target = Target::Sqlite {
                path: path.display().to_string(),
                read_only: false,
            };
            sqlite(&mut target.connect().unwrap())
                .batch_execute(SCHEMA)
                .unwrap();
            let writer = Writer::start(&target).unwrap();
            Self {
                writer,
                path,
                _dir: dir,
            }
        }

        /// Lets all of `works` wait in line before the first is looked at, so that they share a commit.
        async fn together(&self, works: Vec<Work>) -> Vec<Answer> {
            let (release, gate) = mpsc::channel::<()>();
            let (tell, running) = mpsc::channel::<()>();
            // It waits once only: where the group fails, it runs again.
            let gate = Mutex::new(Some(gate));
            let mut first = Box::pin(self.writer.write(move |_| {
                if let Some(gate) = gate.lock().unwrap().take() {
                    tell.send(()).unwrap();
                    gate.recv().unwrap();
                }
                Ok(())
            }));
            assert!(is_waiting(first.as_mut()).await);
            running.recv().unwrap();
            let mut waiting: Vec<Waiting<'_>> = Vec::new();
            for work in works {
                let mut write: Waiting<'_> = Box::pin(self.writer.write(work));
                assert!(
                    is_waiting(write.as_mut()).await,
                    "answered before it was committed"
                );
                waiting.push(write);
            }
            release.send(()).unwrap();
            first.await.unwrap();
            let mut answers = Vec::new();
            for write in waiting {
                answers.push(write.await);
            }
            answers
        }

        /// The ids that another process would find in the file.
        fn found(&self) -> Vec<i64> {
            #[derive(diesel::QueryableByName)]
            struct Row {
                #[diesel(sql_type = diesel::sql_types::BigInt)]
                id: i64,
            }
            let mut conn = diesel::SqliteConnection::establish(self.path.to_str().unwrap()).unwrap();
            let rows: Vec<Row> = sql_query("SELECT id FROM notes ORDER BY id")
                .load(&mut conn)
                .unwrap();
            rows.into_iter().map(|row| row.id).collect()
        }

        fn commits(&self) -> usize {
            commits_in_log(&self.path)
        }
    }

    /// The commits in the write-ahead log: each ends in a frame that says how long the database is from then on
    /// (<https://www.sqlite.org/fileformat2.html#walformat>).
    fn commits_in_log(database: &Path) -> usize {
        let log = std::fs::read(format!("{}-wal", database.display())).unwrap();
        if log.is_empty() {
            return 0;
        }
        let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
        let (page, salt) = (usize::try_from(number(8)).unwrap(), &log[16..24]);
        (32..log.len())
            .step_by(24 + page)
            .take_while(|frame| &log[frame + 8..frame + 16] == salt)
            .filter(|frame| number(frame + 4) != 0)
            .count()
    }

    async fn is_waiting<T>(mut write: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> bool {
        std::future::poll_fn(|context| Poll::Ready(write.as_mut().poll(context).is_pending())).await
    }

    fn sqlite(conn: &mut Connection) -> &mut diesel::SqliteConnection {
        match conn {
            Connection::Sqlite(conn) => conn,
            Connection::Postgres(_) => panic!("the writer is for SQLite"),
        }
    }

    fn run(conn: &mut Connection, sql: &str) -> Answer {
        Ok(sqlite(conn).batch_execute(sql)?)
    }

    fn note(conn: &mut Connection, id: i64) -> Answer {
        run(conn, &format!("INSERT INTO notes (id) VALUES ({id})"))
    }

    fn notes(id: i64) -> Work {
        Box::new(move |conn| note(conn, id))
    }

    fn refusal() -> Problem {
        Problem::new(Code::Conflict, "not this one")
    }

    fn codes(answers: &[Answer]) -> Vec<Option<Code>> {
        answers
            .iter()
            .map(|answer| answer.as_ref().err().map(Problem::code))
            .collect()
    }

    #[tokio::test]
    async fn many_closures_share_one_commit_and_are_answered_when_it_is_in_the_file() {
        let bench = Bench::new();
        let before = bench.commits();
        let answers = bench.together((1..=100).map(notes).collect()).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(bench.found(), (1..=100).collect::<Vec<_>>());
        // The one that held the line open is in it.
        assert_eq!(bench.commits() - before, 1);
    }

    #[tokio::test]
    async fn closures_that_come_one_by_one_are_durable_one_by_one() {
        let bench = Bench::new();
        let before = bench.commits();
        for id in 1..=5 {
            bench.writer.write(move |conn| note(conn, id)).await.unwrap();
            assert_eq!(bench.found(), (1..=id).collect::<Vec<_>>());
        }
        assert_eq!(bench.commits() - before, 5);
    }

    #[tokio::test]
    async fn a_closure_that_fails_takes_back_its_own_rows_and_nobody_elses() {
        let bench = Bench::new();
        let before = bench.commits();
        let fails = |id: i64| -> Work {
            Box::new(move |conn| {
                note(conn, id)?;
                Err(refusal())
            })
        };
        let breaks_a_key: Work = Box::new(|conn| {
            note(conn, 70)?;
            note(conn, 1)
        });
        let works = vec![notes(1), fails(2), notes(3), breaks_a_key, fails(5), notes(6)];
        let answers = bench.together(works).await;
        let (no, broken) = (Some(Code::Conflict), Some(Code::Internal));
        assert_eq!(codes(&answers), [None, no, None, broken, no, None]);
        assert_eq!(bench.found(), [1, 3, 6]);
        assert_eq!(bench.commits() - before, 1, "a failure costs no commit");
    }

    #[tokio::test]
    async fn a_closure_that_panics_takes_back_its_own_rows_and_the_writer_goes_on() {
        let bench = Bench::new();
        let panics: Work = Box::new(|conn| {
            note(conn, 2)?;
            panic!("in the middle of a write")
        });
        let nested: Work = Box::new(|conn| {
            note(conn, 3)?;
            conn.transaction(|conn| {
                note(conn, 4)?;
                conn.transaction(|conn| {
                    note(conn, 5)?;
                    panic!("two transactions deep")
                })
            })
        });
        let answers = bench.together(vec![notes(1), panics, nested, notes(6)]).await;
        let broken = Some(Code::Internal);
        assert_eq!(codes(&answers), [None, broken, broken, None]);
        assert_eq!(bench.found(), [1, 6]);
        bench.writer.write(|conn| note(conn, 7)).await.unwrap();
        assert_eq!(bench.found(), [1, 6, 7]);
    }

    #[tokio::test]
    async fn a_nested_transaction_that_fails_leaves_the_rest_of_its_closure() {
        let bench = Bench::new();
        let recovers: Work = Box::new(|conn| {
            note(conn, 2)?;
            let inner = conn.transaction(|conn| {
                note(conn, 3)?;
                note(conn, 1)
            });
            assert!(inner.is_err());
            note(conn, 4)
        });
        let answers = bench.together(vec![notes(1), recovers, notes(5)]).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(bench.found(), [1, 2, 4, 5]);
    }

    /// A closure that says how often it ran.
    fn counted(id: i64, runs: &Arc<AtomicUsize>) -> Work {
        let runs = Arc::clone(runs);
        Box::new(move |conn| {
            runs.fetch_add(1, Ordering::SeqCst);
            note(conn, id)
        })
    }

    /// Whatever ends SQLite's own transaction behind the writer's back.
    fn endings() -> Vec<(&'static str, fn() -> Work)> {
        vec![
            ("a closure rolls back by itself", || {
                Box::new(|conn| {
                    note(conn, 50)?;
                    run(conn, "ROLLBACK")
                })
            }),
            ("a closure rolls back by itself and fails", || {
                Box::new(|conn| {
                    note(conn, 50)?;
                    run(conn, "ROLLBACK")?;
                    Err(refusal())
                })
            }),
            ("a closure rolls back by itself and panics", || {
                Box::new(|conn| {
                    note(conn, 50)?;
                    run(conn, "ROLLBACK")?;
                    panic!("after a rollback")
                })
            }),
            ("a trigger rolls back", || {
                Box::new(|conn| {
                    note(conn, 50)?;
                    note(conn, 666)
                })
            }),
            ("a trigger rolls back and the closure does not care", || {
                Box::new(|conn| {
                    note(conn, 50)?;
                    let _ = note(conn, 666);
                    Ok(())
                })
            }),
            ("a trigger rolls back inside a nested transaction", || {
                Box::new(|conn| {
                    note(conn, 50)?;
                    conn.transaction(|conn| note(conn, 666))
                })
            }),
            ("the commit itself is refused", || {
                Box::new(|conn| run(conn, "INSERT INTO children (parent) VALUES (404)"))
            }),
        ]
    }

    #[tokio::test]
    async fn where_the_whole_transaction_ends_nobody_is_told_of_success_wrongly_and_each_runs_once_more() {
        for (what, culprit) in endings() {
            let bench = Bench::new();
            let runs = Arc::new(AtomicUsize::new(0));
            let mut works: Vec<Work> = (1..=3).map(|id| counted(id, &runs)).collect();
            works.push(culprit());
            works.extend((4..=6).map(|id| counted(id, &runs)));
            let answers = bench.together(works).await;
            for (place, answer) in answers.iter().enumerate() {
                assert_eq!(
                    answer.is_err(),
                    place == 3,
                    "{what}: number {place} got {answer:?}"
                );
            }
            assert_eq!(bench.found(), (1..=6).collect::<Vec<_>>(), "{what}");
            // Those before the culprit ran in the group and alone; those behind it in the group only if it got so far.
            let ran = runs.load(Ordering::SeqCst);
            assert!((9..=12).contains(&ran), "{what}: six closures ran {ran} times");
            bench.writer.write(|conn| note(conn, 7)).await.unwrap();
            assert_eq!(
                bench.found(),
                (1..=7).collect::<Vec<_>>(),
                "{what}: the writer stands"
            );
        }
    }

    #[tokio::test]
    async fn a_full_disk_refuses_what_does_not_fit_and_keeps_the_rest() {
        let bench = Bench::new();
        let full = |conn: &mut Connection| run(conn, "PRAGMA max_page_count = 40");
        bench.writer.write(full).await.unwrap();
        let large = |id: i64| -> Work {
            Box::new(move |conn| {
                note(conn, 100 + id)?;
                run(
                    conn,
                    &format!("INSERT INTO notes (id, body) VALUES ({id}, zeroblob(1000000))"),
                )
            })
        };
        let works = vec![notes(1), large(2), notes(3), large(4), notes(5)];
        let answers = bench.together(works).await;
        let refused: Vec<bool> = answers.iter().map(Result::is_err).collect();
        assert_eq!(refused, [false, true, false, true, false], "{answers:?}");
        assert_eq!(bench.found(), [1, 3, 5]);
        let larger = |conn: &mut Connection| run(conn, "PRAGMA max_page_count = 4000");
        bench.writer.write(larger).await.unwrap();
        bench.writer.write(large(2)).await.unwrap();
        assert_eq!(bench.found(), [1, 2, 3, 5, 102], "there is room again");
    }

    #[tokio::test]
    async fn a_disk_that_fills_up_drop_by_drop_never_loses_what_was_answered_with_success() {
        let bench = Bench::new();
        let full = |conn: &mut Connection| run(conn, "PRAGMA max_page_count = 60");
        bench.writer.write(full).await.unwrap();
        let mut kept = Vec::new();
        for group in 0..6 {
            let ids: Vec<i64> = (0..20).map(|place| group * 20 + place).collect();
            let works = ids.iter().map(|&id| -> Work {
                Box::new(move |conn| {
                    run(
                        conn,
                        &format!("INSERT INTO notes (id, body) VALUES ({id}, zeroblob(3000))"),
                    )
                })
            });
            let answers = bench.together(works.collect()).await;
            kept.extend(
                ids.iter()
                    .zip(&answers)
                    .filter(|(_, answer)| answer.is_ok())
                    .map(|(id, _)| *id),
            );
            assert_eq!(bench.found(), kept);
        }
        assert!(
            (20..120).contains(&kept.len()),
            "{} fitted: the disk was never full",
            kept.len()
        );
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_changes_nothing_for_its_write_and_for_the_others() {
        let bench = Bench::new();
        let (release, gate) = mpsc::channel::<()>();
        let mut first = Box::pin(bench.writer.write(move |_| {
            gate.recv().unwrap();
            Ok(())
        }));
        assert!(is_waiting(first.as_mut()).await);
        let mut gone = Box::pin(bench.writer.write(|conn| note(conn, 1)));
        assert!(is_waiting(gone.as_mut()).await);
        drop(gone);
        let mut stays = Box::pin(bench.writer.write(|conn| note(conn, 2)));
        assert!(is_waiting(stays.as_mut()).await);
        release.send(()).unwrap();
        first.await.unwrap();
        stays.await.unwrap();
        assert_eq!(bench.found(), [1, 2]);
    }

    #[tokio::test]
    async fn the_line_is_bounded_and_says_so_at_once() {
        let bench = Bench::new();
        let (release, gate) = mpsc::channel::<()>();
        let (tell, running) = mpsc::channel::<()>();
        let mut first = Box::pin(bench.writer.write(move |_| {
            tell.send(()).unwrap();
            gate.recv().unwrap();
            Ok(())
        }));
        assert!(is_waiting(first.as_mut()).await);
        running.recv().unwrap();
        let mut waiting = Vec::new();
        for id in 1..=WAITING {
            let id = 1000 + i64::try_from(id).unwrap();
            let mut write = Box::pin(bench.writer.write(move |conn| note(conn, id)));
            assert!(is_waiting(write.as_mut()).await);
            waiting.push(write);
        }
        let refused = bench.writer.write(|conn| note(conn, 9999)).await;
        assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
        release.send(()).unwrap();
        first.await.unwrap();
        for write in waiting {
            write.await.unwrap();
        }
        assert_eq!(bench.found().len(), WAITING);
        assert!(bench.commits() >= WAITING / GROUP, "a group has at most {GROUP}");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

        /// Whatever stands beside it, a closure that does its work has it done, and no other leaves a trace.
        #[test]
        fn in_any_company_exactly_the_good_closures_succeed(
            kinds in proptest::collection::vec(0..5 + endings().len(), 1..40)
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let bench = Bench::new();
            let works = kinds.iter().enumerate().map(|(place, kind)| -> Work {
                let id = 1000 + i64::try_from(place).unwrap();
                match kind {
                    0..=2 => notes(id),
                    3 => Box::new(move |conn| {
                        note(conn, id)?;
                        Err(refusal())
                    }),
                    4 => Box::new(move |conn| {
                        conn.transaction(|conn| {
                            note(conn, id)?;
                            panic!("in the middle")
                        })
                    }),
                    other => endings()[other - 5].1(),
                }
            });
            let answers = runtime.block_on(bench.together(works.collect()));
            let good: Vec<i64> = (1000..).zip(&kinds).filter(|(_, kind)| **kind <= 2).map(|(id, _)| id).collect();
            let answered: Vec<i64> =
                (1000..).zip(&answers).filter(|(_, answer)| answer.is_ok()).map(|(id, _)| id).collect();
            proptest::prop_assert_eq!(&answered, &good);
            proptest::prop_assert_eq!(bench.found(), good);
        }
    }
}
