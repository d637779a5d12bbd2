//! The server that is replayed against: one of its own, whose clock follows the logs, or one that runs already.

use std::path::{Path, PathBuf};
use std::{fs, io};

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use super::{ReplayArgs, ReplayError};
use crate::app;
use crate::clock::Clock;
use crate::settings::Settings;

/// As good as for ever, for windows that have an end.
const CENTURY: TimeDelta = TimeDelta::days(36_500);

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
    mail_dir: PathBuf,
    directory: TempDir,
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
        // Years of mail in minutes: larger groups share a commit. A crash of this server loses nothing anybody needs.
        settings.mail_in_flight = 512;
        let mail_dir = settings.mail_dir();
        let clock = Clock::standing_at(begin);
        let running = app::start(settings, clock.clone()).await?;
        let own = Own {
            running,
            clock,
            mail_dir,
            directory,
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

    /// Stops a server of one's own and removes its data; how many mails it wrote.
    pub async fn stop(self) -> Result<Option<usize>, ReplayError> {
        let Some(Own {
            running,
            mail_dir,
            directory,
            ..
        }) = self.own
        else {
            return Ok(None);
        };
        running.stop().await;
        let count = count_mails(&mail_dir).map_err(ReplayError::Mailbox)?;
        directory.close().map_err(ReplayError::Directory)?;
        Ok(Some(count))
    }
}

/// The number of `.eml` files in a directory; one that does not exist has none.
///
/// They stay until the end: on ext4 a new file may not reuse an inode for minutes after it was freed, and so removing
/// mail while more of it is written makes the writing slower and slower.
fn count_mails(directory: &Path) -> io::Result<usize> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut count = 0;
    for entry in entries {
        count += usize::from(
            Path::new(&entry?.file_name())
                .extension()
                .is_some_and(|extension| extension == "eml"),
        );
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_are_counted_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(count_mails(&directory.path().join("mail")).unwrap(), 0);
        for name in ["1.eml", "2.eml", "2.json", "eml"] {
            fs::write(directory.path().join(name), "x").unwrap();
        }
        assert_eq!(count_mails(directory.path()).unwrap(), 2);
    }
}
