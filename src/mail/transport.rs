//! Hands one mail over, to an SMTP server or into a folder, and says what came of it.
//!
//! When to try again, and how often, is the dispatcher's business. Here is which relay carries a mail: the first one that
//! is trusted. A mail whose connection could not be made goes over the next one in the same attempt; one of which
//! anything went over does not, for it may have been taken.

mod breaker;
mod relay;
mod server;
mod smtp;

use std::io;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use self::breaker::Passage;
pub use self::relay::Place;
use self::relay::{Carrier, Relay};
use self::smtp::Smtp;
use super::Priority;
use super::message::Raw;
use super::pace::Pace;
use crate::clock::Clock;
use crate::db::Moment;

/// Where mail goes: the relays, in the order in which they are tried.
pub struct Transport {
    relays: Vec<Relay>,
    clock: Clock,
}

/// How a relay is used.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// How long it is waited for at each step of a mail.
    pub patience: Duration,
    /// Messages a second.
    pub rate: Option<NonZeroU32>,
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
    /// The server does not take it now (4xx), or the disk is full.
    #[error("not taken yet: {0}")]
    Transient(String),
    /// The server does not take mail for this recipient now (4xx to `RCPT`): where that belongs is slow.
    #[error("not taken yet: {0}")]
    Elsewhere(String),
    /// The connection broke or nobody answered in time. The server may have taken the mail.
    #[error("not known whether it was taken: {0}")]
    Broken(String),
    /// No connection could be made, with TLS and signed in where that is wanted: nothing of the mail went over.
    #[error("not handed over: {0}")]
    Unreachable(String),
}

/// An address of an SMTP server that cannot be used; never says the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; use smtp://[user:password@]host[:port][?tls=required|opportunistic|none] (port 25, tls=none) \
     or smtps://[user:password@]host[:port] (port 465), user and password percent-encoded"
)]
pub struct BadSmtpUrl(String);

/// Whether a mail may go now.
pub enum Entry<'a> {
    /// It may, from this place.
    Go(Place<'a>),
    /// As many are under way as may be.
    Full,
    /// No relay is trusted.
    Away,
}

impl Transport {
    /// Writes each mail into `dir`, which is made, readable by its owner only, if it does not exist.
    pub fn files(dir: &Path, at_once: usize, clock: Clock) -> io::Result<Self> {
        let relay = Relay::new("files", Carrier::files(dir)?, at_once, None);
        Ok(Self {
            relays: vec![relay],
            clock,
        })
    }

    /// Hands mail to the server at `url`.
    pub fn smtp(url: &str, limits: Limits, clock: Clock) -> Result<Self, BadSmtpUrl> {
        let none = Self {
            relays: Vec::new(),
            clock,
        };
        none.with("first", url, limits)
    }

    /// And to the one at `url` while the first cannot be reached.
    pub fn or_else(self, url: &str, limits: Limits) -> Result<Self, BadSmtpUrl> {
        self.with("fallback", url, limits)
    }

    fn with(mut self, name: &'static str, url: &str, limits: Limits) -> Result<Self, BadSmtpUrl> {
        let carrier = Carrier::Smtp(Smtp::new(url, limits.patience)?);
        let pace = limits.rate.map(|rate| Pace::new(rate, self.now()));
        self.relays
            .push(Relay::new(name, carrier, limits.connections, pace));
        Ok(self)
    }

    fn now(&self) -> Moment {
        self.clock.now().into()
    }

    /// How many of `wanted` messages may be leased: none while no relay is trusted, one where one is to be tried, and
    /// not more than the rate allows.
    pub fn ration(&self, lane: Priority, wanted: usize) -> usize {
        let now = self.now();
        match self.in_use(now) {
            Some((relay, Passage::All)) => relay.ration(lane, wanted, now),
            Some((relay, _)) => relay.ration(lane, wanted.min(1), now),
            None => 0,
        }
    }

    /// So many were leased: they count for the rate.
    pub fn spend(&self, count: usize) {
        let now = self.now();
        if let Some((relay, _)) = self.in_use(now) {
            relay.spend(count, now);
        }
    }

    /// The first relay that is wholly trusted, or else the first that is to be tried.
    fn in_use(&self, now: Moment) -> Option<(&Relay, Passage)> {
        let passages = || self.relays.iter().map(|relay| (relay, relay.passage(now)));
        let trusted = passages().find(|(_, passage)| *passage == Passage::All);
        trusted.or_else(|| passages().find(|(_, passage)| *passage == Passage::One))
    }

    /// A place on the first relay that is trusted.
    pub fn enter(&self, lane: Priority) -> Entry<'_> {
        let now = self.now();
        let mut entries = self.relays.iter().map(|relay| relay.enter(lane, now));
        let trusted = entries.find(|entry| !matches!(entry, Entry::Away));
        trusted.unwrap_or(Entry::Away)
    }

    /// Hands one mail over.
    pub async fn send(&self, mail: &Raw, place: Place<'_>) -> Result<Receipt, SendError> {
        let mut sent = place.send(mail, || self.now()).await;
        let begun = self.relays.iter().position(|relay| place.is_on(relay));
        let lane = place.lane();
        drop(place);
        for relay in self.relays.iter().skip(begun.map_or(0, |begun| begun + 1)) {
            if matches!(sent, Err(SendError::Unreachable(_)))
                && let Entry::Go(next) = relay.enter(lane, self.now())
            {
                sent = next.send(mail, || self.now()).await;
            }
        }
        sent
    }

    /// Each relay with what is thought of it: 0 trusted, 1 being tried, 2 left alone.
    pub fn grades(&self) -> impl Iterator<Item = (&'static str, i64)> {
        self.relays.iter().map(|relay| (relay.name, relay.grade()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use lettre::Message;

    use super::*;

    fn message() -> Raw {
        let from = "desk@allclear.example".parse().unwrap();
        let message = Message::builder()
            .from(from)
            .to("ada@contoso.example".parse().unwrap())
            .body("Hello".to_owned())
            .unwrap();
        Raw::of(&message)
    }

    fn smtp(url: &str) -> Transport {
        let limits = Limits {
            connections: 1,
            patience: Duration::from_secs(10),
            rate: None,
        };
        Transport::smtp(url, limits, Clock::standing_at(chrono::DateTime::UNIX_EPOCH)).unwrap()
    }

    async fn over(transport: &Transport) -> Result<Receipt, SendError> {
        let Entry::Go(place) = transport.enter(Priority::Bulk) else {
            panic!("no place");
        };
        transport.send(&message(), place).await
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
        over(&smtp(url)).await
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
        assert!(matches!(send(&url).await, Err(SendError::Unreachable(_))));
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
        let transport = smtp(&url);
        assert!(matches!(over(&transport).await, Err(SendError::Permanent(_))));
        assert_eq!(over(&transport).await.unwrap().reply, "250 taken");
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
            let transport = smtp(&url);
            for sent in 1..=2 {
                assert_eq!(&over(&transport).await.unwrap().reply, "250 taken");
                assert_eq!(connections.load(Ordering::SeqCst), sent);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
    }

    #[tokio::test]
    async fn nobody_at_the_port_costs_the_mail_nothing() {
        let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for url in [format!("smtp://{unused}"), format!("smtps://{unused}")] {
            assert!(
                matches!(send(&url).await, Err(SendError::Unreachable(_))),
                "{url}"
            );
        }
    }

    #[tokio::test]
    async fn required_tls_or_a_password_never_goes_to_a_server_that_offers_neither() {
        let (url, _) = server(&[&["220 hi", "250 hi", "250 ok", "250 ok", "354 go", "250 taken"]]);
        let host = url.trim_start_matches("smtp://");
        for url in [format!("{url}?tls=required"), format!("smtp://ada:secret@{host}")] {
            assert!(
                matches!(send(&url).await, Err(SendError::Unreachable(_))),
                "{url}"
            );
        }
        assert!(send(&format!("{url}?tls=opportunistic")).await.is_ok());
    }

    #[tokio::test]
    async fn files_are_written_one_a_mail() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("made/here");
        let transport = Transport::files(&dir, 1, Clock::standing_at(chrono::DateTime::UNIX_EPOCH)).unwrap();
        for _ in 0..3 {
            let receipt = over(&transport).await.unwrap();
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
        assert!(matches!(over(&transport).await, Err(SendError::Transient(_))));
    }
}
