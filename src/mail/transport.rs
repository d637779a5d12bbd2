//! Hands one mail over, to an SMTP server or into a folder, and says what came of it.
//!
//! When to try again, and how often, is the dispatcher's business. The connections are our own: lettre's
//! pool never sets TCP_NODELAY, which over loopback meant 22 messages a second on each.

mod server;

use std::fmt::Display;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt;
use lettre::address::Envelope;
use lettre::transport::smtp;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;
use lettre::{AsyncFileTransport, AsyncTransport, Tokio1Executor};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use self::server::Server;
use super::message::Raw;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const SEND_WITHIN: Duration = Duration::from_secs(60);
/// For NOOP and RSET, which cost a server nothing.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Idle for longer, a connection is asked whether it still stands before it is used.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// Idle for longer, a connection is closed: servers hang up after some minutes.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Where mail goes.
pub enum Transport {
    /// Each mail becomes a file.
    Files(Files),
    /// An SMTP server takes them.
    Smtp(Smtp),
}

/// A folder that mail is written into, one `.eml` each.
pub struct Files(AsyncFileTransport<Tokio1Executor>);

/// An SMTP server, and the connections to it.
pub struct Smtp {
    server: Server,
    permits: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

/// What came back for a mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The server's reply, code and text, or the name of the file.
    pub reply: String,
}

/// Why a mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The server refused this mail for good (5xx); sending it again will not help.
    #[error("refused for good: {0}")]
    Permanent(String),
    /// 4xx, trouble with the connection, TLS or sign-in, a time-out, or a full disk; try again later.
    /// The server may have taken the mail if the connection broke after its last line.
    #[error("not taken yet: {0}")]
    Transient(String),
}

/// An address of an SMTP server that cannot be used; never says the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; use smtp://[user:password@]host[:port][?tls=required|opportunistic|none] (port 25, tls=none) \
     or smtps://[user:password@]host[:port] (port 465), user and password percent-encoded"
)]
pub struct BadSmtpUrl(String);

impl Transport {
    /// Writes each mail into `dir`, which is made, readable by its owner only, if it does not exist.
    pub fn files(dir: &Path) -> io::Result<Transport> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir)?;
        Ok(Transport::Files(Files(AsyncFileTransport::new(dir))))
    }

    /// Hands mail to the server at `url` over at most `connections` connections (at least one) at a time.
    pub fn smtp(url: &str, connections: usize) -> Result<Transport, BadSmtpUrl> {
        Ok(Transport::Smtp(Smtp {
            server: Server::parse(url)?,
            permits: Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)),
            idle: Mutex::new(Vec::new()),
        }))
    }

    /// Hands one mail over; waits for a connection as long as it takes, and then at most 60 s.
    pub async fn send(&self, message: &Raw) -> Result<Receipt, SendError> {
        let sending = async {
            match self {
                Transport::Files(files) => files.send(message).await,
                Transport::Smtp(smtp) => smtp.send(message).await,
            }
        };
        // lettre 0.11.23 panics on a blank line in the answer to EHLO.
        let sent = AssertUnwindSafe(sending).catch_unwind().await;
        sent.unwrap_or_else(|_| Err(transient("the mail library panicked")))
    }
}

impl Files {
    async fn send(&self, message: &Raw) -> Result<Receipt, SendError> {
        let sent = self.0.send_raw(&message.envelope, &message.bytes).await;
        let name = sent.map_err(transient)?;
        Ok(Receipt {
            reply: format!("{name}.eml"),
        })
    }
}

fn transient(cause: impl Display) -> SendError {
    SendError::Transient(cause.to_string())
}

/// Why the server did not take the mail, and whether the connection can carry the next one.
struct Failure {
    error: SendError,
    still_listens: bool,
}

impl From<smtp::Error> for Failure {
    fn from(error: smtp::Error) -> Failure {
        let reply = error.status().map(u16::from);
        // These say that we speak out of turn or have to sign in: nothing about this mail.
        let of_session = matches!(reply, Some(503 | 530 | 534 | 535 | 538));
        let said = error.to_string();
        let permanent = error.is_permanent() && !of_session;
        Failure {
            error: if permanent {
                SendError::Permanent(said)
            } else {
                SendError::Transient(said)
            },
            // 421 announces that the server hangs up (RFC 5321, 3.8).
            still_listens: reply.is_some_and(|code| code != 421),
        }
    }
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl Smtp {
    async fn send(&self, message: &Raw) -> Result<Receipt, SendError> {
        let _permit = self.permits.acquire().await.map_err(transient)?;
        match timeout(SEND_WITHIN, self.exchange(&message.envelope, &message.bytes)).await {
            Ok(answer) => answer,
            Err(_) => Err(transient(format!("{} took longer than 60 s", self.server.host))),
        }
    }

    async fn exchange(&self, envelope: &Envelope, bytes: &[u8]) -> Result<Receipt, SendError> {
        let (mut connection, begun) = self.begin(envelope, bytes).await?;
        let answer = match begun {
            Ok(()) => finish(&mut connection, envelope, bytes).await,
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
    async fn begin(
        &self,
        envelope: &Envelope,
        bytes: &[u8],
    ) -> Result<(AsyncSmtpConnection, Result<(), Failure>), SendError> {
        if let Some(mut connection) = self.take_idle().await {
            let begun = announce(&mut connection, envelope, bytes).await;
            match begun {
                Err(Failure {
                    still_listens: false, ..
                }) => {}
                begun => return Ok((connection, begun)),
            }
        }
        // Even a 5xx is about us or the server here, not about the mail.
        let connected = self.server.connect().await;
        let mut connection =
            connected.map_err(|cause| transient(format!("{}: {cause}", self.server.host)))?;
        let begun = announce(&mut connection, envelope, bytes).await;
        Ok((connection, begun))
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
async fn announce(
    connection: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    bytes: &[u8],
) -> Result<(), Failure> {
    let mut parameters = Vec::new();
    if !addresses_are_ascii(envelope) {
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
    if !bytes.is_ascii() {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    connection
        .command(Mail::new(envelope.from().cloned(), parameters))
        .await?;
    Ok(())
}

/// `RCPT TO`, `DATA` and the mail. Not lettre's own `send`: that hangs up after every refusal.
async fn finish(
    connection: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    bytes: &[u8],
) -> Result<Response, Failure> {
    for recipient in envelope.to() {
        connection
            .command(Rcpt::new(recipient.clone(), Vec::new()))
            .await?;
    }
    let ready = connection.command(Data).await?;
    if u16::from(ready.code()) != 354 {
        // Whatever this server understood, it would read the mail as commands.
        let error = transient(format!("the answer to DATA was `{}`", said(&ready)));
        return Err(Failure {
            error,
            still_listens: false,
        });
    }
    Ok(connection.message(bytes).await?)
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn message() -> Raw {
        let (from, to) = ("desk@allclear.example", "ada@contoso.example");
        Raw {
            envelope: Envelope::new(from.parse().ok(), vec![to.parse().unwrap()]).unwrap(),
            bytes: format!("From: {from}\r\nTo: {to}\r\n\r\nHello").into_bytes(),
        }
    }

    /// A server that greets the n-th connection with the first line of the n-th script (the last script
    /// serves all later ones), answers each command with the next line and hangs up after the last.
    fn server(scripts: &'static [&'static [&'static str]]) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let number = counter.fetch_add(1, Ordering::SeqCst);
                play(socket.unwrap(), scripts.get(number).or(scripts.last()).unwrap());
            }
        });
        (url, connections)
    }

    fn play(mut socket: TcpStream, script: &[&str]) {
        let mut lines = BufReader::new(socket.try_clone().unwrap())
            .lines()
            .map_while(Result::ok);
        for (index, answer) in script.iter().enumerate() {
            socket.write_all(format!("{answer}\r\n").as_bytes()).unwrap();
            let next = match answer.starts_with("354") {
                true => lines.find(|line| line == "."),
                false if index + 1 == script.len() => None,
                false => lines.next(),
            };
            if next.is_none() {
                return;
            }
        }
    }

    async fn send(url: &str) -> Result<Receipt, SendError> {
        Transport::smtp(url, 1).unwrap().send(&message()).await
    }

    #[tokio::test]
    async fn a_5xx_about_the_mail_is_permanent_and_all_else_transient() {
        let cases: [(&[&[&str]], bool); 12] = [
            (&[&["220 hi", "250 hi", "550 not from you"]], true),
            (&[&["220 hi", "250 hi", "250 ok", "550 5.1.1 unknown"]], true),
            (&[&["220 hi", "250 hi", "250 ok", "250 ok", "554 no"]], true),
            (
                &[&["220 hi", "250 hi", "250 ok", "250 ok", "354 go", "554 spam"]],
                true,
            ),
            (&[&["220 hi", "250 hi", "250 ok", "451 later"]], false),
            (&[&["220 hi", "250 hi", "421 closing"]], false),
            (&[&["220 hi", "250 hi", "530 sign in first"]], false),
            (&[&["220 hi", "250 hi", "250 ok", "250 ok", "250 what"]], false),
            (&[&["220 hi", "250 hi", "250 ok", "250 ok", "354 go"]], false),
            (&[&["554 nobody here"]], false),
            (&[&["220 hi", "nonsense"]], false),
            (&[&[""]], false),
        ];
        for (scripts, permanent) in cases {
            let error = send(&server(scripts).0).await.unwrap_err();
            assert_eq!(
                matches!(error, SendError::Permanent(_)),
                permanent,
                "{scripts:?}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn the_reply_is_the_receipt() {
        let (url, _) = server(&[&[
            "220 hi",
            "250 hi",
            "250 ok",
            "250 ok",
            "354 go",
            "250 2.0.0 queued as 7",
        ]]);
        assert_eq!(send(&url).await.unwrap().reply, "250 2.0.0 queued as 7");
    }

    #[tokio::test]
    async fn a_blank_answer_to_ehlo_does_not_panic() {
        let (url, _) = server(&[&["220 hi", "250-hi\r\n250-   \r\n250 8BITMIME"]]);
        assert!(matches!(send(&url).await, Err(SendError::Transient(_))));
    }

    #[tokio::test]
    async fn a_refusal_keeps_the_connection_for_the_next_mail() {
        let (url, connections) = server(&[&[
            "220 hi",
            "250 hi",
            "250 ok",
            "550 unknown",
            "250 reset",
            "250 ok",
            "250 ok",
            "354 go",
            "250 taken",
        ]]);
        let transport = Transport::smtp(&url, 1).unwrap();
        assert!(matches!(
            transport.send(&message()).await,
            Err(SendError::Permanent(_))
        ));
        assert_eq!(transport.send(&message()).await.unwrap().reply, "250 taken");
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_server_that_hung_up_meanwhile_costs_no_attempt() {
        const TAKES_ONE: &[&str] = &["220 hi", "250 hi", "250 ok", "250 ok", "354 go", "250 taken"];
        const THEN_CLOSES: &[&str] = &[
            "220 hi",
            "250 hi",
            "250 ok",
            "250 ok",
            "354 go",
            "250 taken\r\n421 idle for too long",
        ];
        for (scripts, pause) in [
            ([TAKES_ONE], 0),
            ([THEN_CLOSES], 0),
            ([TAKES_ONE], 1100),
            ([THEN_CLOSES], 1100),
        ] {
            let (url, connections) = server(Box::leak(Box::new(scripts)));
            let transport = Transport::smtp(&url, 1).unwrap();
            for sent in 1..=2 {
                assert_eq!(&transport.send(&message()).await.unwrap().reply, "250 taken");
                assert_eq!(connections.load(Ordering::SeqCst), sent);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
    }

    #[tokio::test]
    async fn nobody_at_the_port_is_transient() {
        let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for url in [format!("smtp://{unused}"), format!("smtps://{unused}")] {
            assert!(matches!(send(&url).await, Err(SendError::Transient(_))), "{url}");
        }
    }

    #[tokio::test]
    async fn required_tls_or_a_password_never_goes_to_a_server_that_offers_neither() {
        let (url, _) = server(&[&["220 hi", "250 hi", "250 ok", "250 ok", "354 go", "250 taken"]]);
        let host = url.trim_start_matches("smtp://");
        for url in [format!("{url}?tls=required"), format!("smtp://ada:secret@{host}")] {
            assert!(matches!(send(&url).await, Err(SendError::Transient(_))), "{url}");
        }
        assert!(send(&format!("{url}?tls=opportunistic")).await.is_ok());
    }

    #[tokio::test]
    async fn files_are_written_one_a_mail() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("made/here");
        let transport = Transport::files(&dir).unwrap();
        for _ in 0..3 {
            let receipt = transport.send(&message()).await.unwrap();
            assert!(
                std::fs::read_to_string(dir.join(receipt.reply))
                    .unwrap()
                    .ends_with("Hello")
            );
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777,
                0o700
            );
        }
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(matches!(
            transport.send(&message()).await,
            Err(SendError::Transient(_))
        ));
    }
}
