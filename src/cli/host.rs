//! A server of a command's own: in a temporary directory, under a clock that the command sets.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::{fs, io};

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use crate::app;
use crate::clock::Clock;
use crate::problem::Problem;
use crate::settings::Settings;

/// As good as for ever, for windows that have an end.
pub const CENTURY: TimeDelta = TimeDelta::days(36_500);

/// Why a server of one's own does not start or end as it should.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// It did not start.
    #[error(transparent)]
    Server(#[from] Problem),
    /// No place for its data.
    #[error("cannot make a temporary directory: {0}")]
    Directory(io::Error),
    /// The mail directory cannot be read.
    #[error("cannot count the mails: {0}")]
    Mailbox(io::Error),
}

/// Who does the work behind the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// The server, as ever.
    Runs,
    /// The command steps it.
    IsStepped,
}

/// A server of one's own.
pub struct Host {
    /// The server, with its database and its background.
    pub running: app::Running,
    /// The clock that it goes by.
    pub clock: Clock,
    /// The operator's address.
    pub email: String,
    /// The operator's password.
    pub password: String,
    mail_dir: PathBuf,
    directory: TempDir,
}

impl Host {
    /// Starts one for a command, its clock at `begin`; `tune` says what else is set otherwise than by default.
    pub async fn start(
        command: &str,
        begin: DateTime<Utc>,
        background: Background,
        tune: impl FnOnce(&mut Settings),
    ) -> Result<Self, HostError> {
        let directory = tempfile::Builder::new()
            .prefix(&format!("allclear-{command}-"))
            .tempdir()
            .map_err(HostError::Directory)?;
        let mut settings = Settings::private(directory.path().to_owned());
        let email = format!("operator@{command}.example");
        let password = secret();
        settings.operator_email = Some(email.clone());
        settings.operator_password = Some(password.clone());
        settings.access_token_lifetime = CENTURY;
        // Years of mail in minutes: larger groups share a commit. A crash of this server loses nothing anybody needs.
        settings.mail_in_flight = 512;
        // While the clock stands, all that is asked falls into the same second.
        settings.rate_limit = NonZeroU32::new(1_000_000).unwrap_or(settings.rate_limit);
        tune(&mut settings);
        let mail_dir = settings.mail_dir();
        let clock = Clock::standing_at(begin);
        let running = match background {
            Background::Runs => app::start(settings, clock.clone()).await?,
            Background::IsStepped => app::open(settings, clock.clone()).await?,
        };
        Ok(Self {
            running,
            clock,
            email,
            password,
            mail_dir,
            directory,
        })
    }

    /// Stops it and removes its data; how many mails it wrote.
    pub async fn stop(self) -> Result<usize, HostError> {
        self.running.stop().await;
        let count = count_mails(&self.mail_dir).map_err(HostError::Mailbox)?;
        self.directory.close().map_err(HostError::Directory)?;
        Ok(count)
    }
}

/// A password that nobody will ever type.
pub fn secret() -> String {
    format!("{:032x}", rand::random::<u128>())
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
