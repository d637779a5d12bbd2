//! The server that is replayed against: one of its own, whose clock follows the logs, or one that runs already.

use chrono::{DateTime, Utc};

use super::{ReplayArgs, ReplayError};
use crate::cli::host::{Background, CENTURY, Host};
use crate::clock::Clock;

/// Where the calls go, and whose sign-in the operator's is.
pub struct Server {
    /// The base of all calls.
    pub url: String,
    /// The operator's address.
    pub email: String,
    /// The operator's password.
    pub password: String,
    own: Option<Host>,
}

impl Server {
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
        let host = Host::start("replay", begin, Background::Runs, |settings| {
            settings.incident_reopen_window = CENTURY;
            settings.reopen_window = None;
        });
        let host = host.await?;
        Ok(Self {
            url: host.running.url.clone(),
            email: host.email.clone(),
            password: host.password.clone(),
            own: Some(host),
        })
    }

    /// The clock that follows the logs, if it is ours.
    pub fn clock(&self) -> Option<Clock> {
        self.own.as_ref().map(|own| own.clock.clone())
    }

    /// Stops a server of one's own and removes its data; how many mails it wrote.
    pub async fn stop(self) -> Result<Option<usize>, ReplayError> {
        match self.own {
            Some(host) => Ok(Some(host.stop().await?)),
            None => Ok(None),
        }
    }
}
