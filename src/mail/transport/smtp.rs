//! The connections to one SMTP server, kept and used again, and the dialog over them.
//!
//! They are our own: lettre's pool never sets TCP_NODELAY, which over loopback meant 22 messages a second on each.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use lettre::address::Envelope;
use lettre::transport::smtp as library;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::server::Server;
use super::{BadSmtpUrl, Receipt, SendError};
use crate::mail::message::Raw;

/// For NOOP and RSET, which cost a server nothing.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Idle for longer, a connection is asked whether it still stands before it is used.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// Idle for longer, a connection is closed: servers hang up after some minutes.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// An SMTP server, and the connections to it. How many there are is the caller's business.
pub(super) struct Smtp {
    server: Server,
    patience: Duration,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

/// How far the dialog about a mail was when something went wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Sender,
    Recipient,
    Content,
}

/// Why the server did not take the mail, and whether the connection can carry the next one.
struct Failure {
    error: SendError,
    still_listens: bool,
}

impl Failure {
    fn of(error: &library::Error, stage: Stage) -> Self {
        let reply = error.status().map(u16::from);
        let said = error.to_string();
        let error = match (reply, stage) {
            // About us, or the server hangs up (RFC 5321, 3.8): nothing about this mail, and nothing of it went over.
            (None | Some(421 | 530 | 534 | 535 | 538), Stage::Sender) => SendError::Unreachable(said),
            // About a recipient that others look after.
            (Some(400..=499), Stage::Recipient) => SendError::Elsewhere(said),
            // We spoke out of turn, or the server does not speak any more.
            (None | Some(421 | 503 | 530 | 534 | 535 | 538), _) => SendError::Broken(said),
            (Some(500..=599), _) => SendError::Permanent(said),
            (Some(_), _) => SendError::Transient(said),
        };
        Self {
            error,
            still_listens: reply.is_some_and(|code| code != 421),
        }
    }
}

impl Smtp {
    /// The server at `url`; it is waited for so long at each step of a mail.
    pub(super) fn new(url: &str, patience: Duration) -> Result<Self, BadSmtpUrl> {
        Ok(Self {
            server: Server::parse(url)?,
            patience,
            idle: Mutex::new(Vec::new()),
        })
    }

    pub(super) async fn send(&self, mail: &Raw) -> Result<Receipt, SendError> {
        let (mut connection, begun) = self.begin(mail).await?;
        let answer = match begun {
            Ok(()) => match timeout(self.patience, finish(&mut connection, mail)).await {
                Ok(answer) => answer,
                // What was said in between is not known: this connection is of no use.
                Err(_) => return Err(SendError::Broken(self.late())),
            },
            Err(failure) => Err(failure),
        };
        match answer {
            Ok(response) => {
                self.park(connection);
                Ok(Receipt {
                    reply: said(&response),
                })
            }
            Err(failure) => {
                if failure.still_listens
                    && let Ok(Ok(_)) = timeout(ANSWER_WITHIN, connection.command(Rset)).await
                {
                    self.park(connection);
                }
                Err(failure.error)
            }
        }
    }

    /// A connection on which the mail was announced, and how the server took that. A parked connection
    /// that broke meanwhile is replaced: nothing of the mail went over it.
    async fn begin(&self, mail: &Raw) -> Result<(AsyncSmtpConnection, Result<(), Failure>), SendError> {
        if let Some(mut connection) = self.take_idle().await {
            let begun = self.announced(&mut connection, mail).await;
            if begun
                .as_ref()
                .map_or_else(|failure| failure.still_listens, |()| true)
            {
                return Ok((connection, begun));
            }
        }
        // Even a 5xx is about us or the server here, not about the mail.
        // lettre 0.11.23 panics on a blank line in the answer to EHLO.
        let connecting = AssertUnwindSafe(self.server.connect()).catch_unwind();
        let connected = match timeout(self.patience, connecting).await {
            Ok(Ok(connected)) => connected.map_err(|cause| cause.to_string()),
            Ok(Err(_)) => Err("the mail library panicked".to_owned()),
            Err(_) => Err(format!("no greeting within {:?}", self.patience)),
        };
        let mut connection =
            connected.map_err(|cause| SendError::Unreachable(format!("{}: {cause}", self.server.host)))?;
        let begun = self.announced(&mut connection, mail).await;
        Ok((connection, begun))
    }

    async fn announced(&self, connection: &mut AsyncSmtpConnection, mail: &Raw) -> Result<(), Failure> {
        match timeout(self.patience, announce(connection, mail)).await {
            Ok(announced) => announced,
            Err(_) => Err(Failure {
                error: SendError::Unreachable(self.late()),
                still_listens: false,
            }),
        }
    }

    fn late(&self) -> String {
        format!("{} took longer than {:?}", self.server.host, self.patience)
    }

    /// The connection parked last, if one still stands.
    async fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let Idle {
                mut connection,
                since,
            } = self.idle.lock().pop()?;
            if since.elapsed() <= TRUSTED_FOR {
                return Some(connection);
            }
            if let Ok(true) = timeout(ANSWER_WITHIN, connection.test_connected()).await {
                return Some(connection);
            }
        }
    }

    fn park(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock();
        idle.retain(|parked| parked.since.elapsed() <= KEPT_FOR);
        idle.push(Idle {
            connection,
            since: Instant::now(),
        });
    }
}

/// `MAIL FROM`.
async fn announce(connection: &mut AsyncSmtpConnection, mail: &Raw) -> Result<(), Failure> {
    let mut parameters = Vec::new();
    if !addresses_are_ascii(&mail.envelope) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            // As good as a 5xx: waiting does not teach the server (RFC 6531, 3.5).
            let error = "the address is not ASCII, and the server does not offer SMTPUTF8".to_owned();
            return Err(Failure {
                error: SendError::Permanent(error),
                still_listens: true,
            });
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !mail.bytes.is_ascii() {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    let command = Mail::new(mail.envelope.from().cloned(), parameters);
    let answer = connection.command(command).await;
    answer.map_err(|error| Failure::of(&error, Stage::Sender))?;
    Ok(())
}

/// `RCPT TO`, `DATA` and the mail. Not lettre's own `send`: that hangs up after every refusal.
async fn finish(connection: &mut AsyncSmtpConnection, mail: &Raw) -> Result<Response, Failure> {
    for recipient in mail.envelope.to() {
        let answer = connection.command(Rcpt::new(recipient.clone(), Vec::new())).await;
        answer.map_err(|error| Failure::of(&error, Stage::Recipient))?;
    }
    let content = |error: library::Error| Failure::of(&error, Stage::Content);
    let ready = connection.command(Data).await.map_err(content)?;
    if u16::from(ready.code()) != 354 {
        // Whatever this server understood, it would read the mail as commands.
        let error = SendError::Broken(format!("the answer to DATA was `{}`", said(&ready)));
        return Err(Failure {
            error,
            still_listens: false,
        });
    }
    connection.message(&mail.bytes).await.map_err(content)
}

fn said(response: &Response) -> String {
    let lines: Vec<&str> = response.message().collect();
    format!("{} {}", response.code(), lines.join(" "))
}

fn addresses_are_ascii(envelope: &Envelope) -> bool {
    envelope
        .to()
        .iter()
        .chain(envelope.from())
        .all(|address| AsRef::<str>::as_ref(address).is_ascii())
}
