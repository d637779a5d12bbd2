//! The server that is replayed against: one of its own, whose clock follows the logs, or one that runs already.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use std::{fs, io, thread};

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use super::{ReplayArgs, ReplayError};
use crate::app;
use crate::clock::Clock;
use crate::settings::Settings;

/// As good as for ever, for windows that have an end.
const CENTURY: TimeDelta = TimeDelta::days(36_500);
/// Between two looks into the mail directory.
const ROUND: Duration = Duration::from_secs(1);

/// Where the calls go, and whose sign-in the operator's is.
pub struct Host {
    /// The base of all calls.
    pub url: String,
    /// The operator's address.
    pub email: String,
    /// The operator's password.
    pub password: String,
    own: Option<Own>,
}

/// A server of one's own.
struct Own {
    running: app::Running,
    clock: Clock,
    postman: Postman,
    /// Removed when it is dropped.
    _directory: TempDir,
}

impl Host {
    /// The server that the command line names, or one that is started for it with its clock at `begin`.
    pub async fn of(args: &ReplayArgs, begin: DateTime<Utc>) -> Result<Self, ReplayError> {
        let Some(url) = &args.url else {
            return Self::start(begin).await;
        };
        let (Some(email), Some(password)) = (&args.email, &args.password) else {
            return Err(ReplayError::Credentials);
        };
        Ok(Self {
            url: url.clone(),
            email: email.clone(),
            password: password.clone(),
            own: None,
        })
    }

    async fn start(begin: DateTime<Utc>) -> Result<Self, ReplayError> {
        let directory = tempfile::Builder::new()
            .prefix("allclear-replay-")
            .tempdir()
            .map_err(ReplayError::Directory)?;
        let mut settings = Settings::private(directory.path().to_owned());
        let email = "operator@replay.example".to_owned();
        let password = super::secret();
        settings.operator_email = Some(email.clone());
        settings.operator_password = Some(password.clone());
        settings.access_token_lifetime = CENTURY;
        settings.incident_reopen_window = CENTURY;
        settings.reopen_window = None;
        let mail_dir = settings.mail_dir();
        let clock = Clock::standing_at(begin);
        let running = app::start(settings, clock.clone()).await?;
        let own = Own {
            clock,
            postman: Postman::hire(mail_dir),
            _directory: directory,
            running,
        };
        Ok(Self {
            url: own.running.url.clone(),
            email,
            password,
            own: Some(own),
        })
    }

    /// The clock that follows the logs, if it is ours.
    pub fn clock(&self) -> Option<Clock> {
        self.own.as_ref().map(|own| own.clock.clone())
    }

    /// Stops a server of one's own; how many mails it wrote.
    pub async fn stop(self) -> Result<Option<usize>, ReplayError> {
        let Some(Own {
            running,
            postman,
            _directory,
            ..
        }) = self.own
        else {
            return Ok(None);
        };
        running.stop().await;
        postman.done().await.map(Some).map_err(ReplayError::Mailbox)
    }
}

/// Empties the mail directory while it fills, so that hundreds of thousands of mails need no room; counts them.
struct Postman {
    directory: PathBuf,
    is_over: Arc<AtomicBool>,
    counted: Arc<AtomicUsize>,
    round: Option<thread::JoinHandle<io::Result<()>>>,
}

impl Postman {
    fn hire(directory: PathBuf) -> Self {
        let (is_over, counted) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (over, count, from) = (is_over.clone(), counted.clone(), directory.clone());
        let round = thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                thread::park_timeout(ROUND);
                count.fetch_add(collect(&from)?, Ordering::SeqCst);
            }
            Ok(())
        });
        Self {
            directory,
            is_over,
            counted,
            round: Some(round),
        }
    }

    /// Ends the rounds with a last one.
    async fn done(mut self) -> io::Result<usize> {
        self.is_over.store(true, Ordering::SeqCst);
        let Some(round) = self.round.take() else {
            return Ok(0);
        };
        round.thread().unpark();
        let last = tokio::task::spawn_blocking(move || {
            round
                .join()
                .map_err(|_| io::Error::other("the thread that counts mails has panicked"))??;
            Ok(self.counted.load(Ordering::SeqCst) + collect(&self.directory)?)
        });
        last.await.map_err(io::Error::other)?
    }
}

impl Drop for Postman {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

/// Removes the `.eml` files of a directory; how many. A directory that does not exist yet has none.
fn collect(directory: &Path) -> io::Result<usize> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?.collect::<io::Result<Vec<_>>>()?,
    };
    let mut count = 0;
    for entry in entries {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "eml") {
            fs::remove_file(path)?;
            count += 1;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_mail_is_counted_once() {
        let directory = tempfile::tempdir().unwrap();
        let mail = directory.path().join("mail");
        let postman = Postman::hire(mail.clone());
        fs::create_dir(&mail).unwrap();
        for number in 0..100 {
            fs::write(mail.join(format!("{number}.eml")), "x").unwrap();
            fs::write(mail.join(format!("{number}.json")), "x").unwrap();
        }
        assert_eq!(postman.done().await.unwrap(), 100);
        assert_eq!(fs::read_dir(&mail).unwrap().count(), 100);
    }
}
