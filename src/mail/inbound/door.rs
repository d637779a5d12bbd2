//! The door where relays hand in mail: connections, their limits, and the bytes. What is said is in `session.rs`.
//!
//! It stands behind a relay that faces the world, and so it speaks no TLS and asks nobody for a password: it listens
//! where only the relay reaches it.

use std::borrow::Cow;
use std::io;
use std::net::IpAddr;
use std::slice::Iter;
use std::sync::Arc;
use std::time::Duration;

use smtp_proto::request::receiver::{DataReceiver, RequestReceiver};
use smtp_proto::{Error, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::session::{self, Next, Session};
use super::{Incoming, Receipt, Receive};
use crate::settings::Protocol;

/// So many connections are served at a time.
const SESSIONS: usize = 16;
/// For so long one waits for the other side, to speak or to listen.
const PATIENCE: Duration = Duration::from_secs(60);
/// So long a connection lasts at most: whoever dawdles keeps a place from others. What is cut off is handed in again.
const LONGEST: Duration = Duration::from_secs(600);
/// Of what is handed in, so much is read at a time.
const READ: usize = 16 << 10;
/// After so many commands that are none, nobody listens any more.
const MOST_MISHEARD: usize = 20;

/// A door that is open.
pub struct Door {
    listener: TcpListener,
    protocol: Protocol,
    host: String,
    limit: usize,
    inbox: Arc<dyn Receive>,
}

impl Door {
    /// At this listener; mail has `limit` bytes at most.
    pub fn new(
        listener: TcpListener,
        (protocol, host, limit): (Protocol, &str, usize),
        inbox: Arc<dyn Receive>,
    ) -> Self {
        Self {
            listener,
            protocol,
            host: host.to_owned(),
            limit,
            inbox,
        }
    }

    /// Serves until it is to stop. Who is in the middle of a mail then has not got an answer, and hands it in again.
    pub async fn serve(self, mut stop: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(SESSIONS));
        let door = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                accepted = door.listener.accept() => accepted,
                () = stopped(&mut stop) => return,
            };
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Out of files, say: it will not be better at once.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (door, mut stop) = (Arc::clone(&door), stop.clone());
            let place = Arc::clone(&places).try_acquire_owned();
            tokio::spawn(async move {
                let mut visitor = Visitor { socket, door: &door };
                let visit = async {
                    match place {
                        Ok(_place) => timeout(LONGEST, visitor.converse(peer.ip())).await?,
                        Err(_) => {
                            visitor
                                .say("421 4.3.2 Too many connections, please try again")
                                .await
                        }
                    }
                };
                tokio::select! {
                    ended = visit => if let Err(error) = ended {
                        tracing::debug!(%error, %peer, "a connection that hands in mail has ended");
                    },
                    () = stopped(&mut stop) => {}
                }
            });
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Whoever would say so is gone: that is the same.
    let _ = stop.wait_for(|stopping| *stopping).await;
}

/// Somebody at the door.
struct Visitor<'a> {
    socket: TcpStream,
    door: &'a Door,
}

/// What follows an answer.
enum After {
    Command,
    Data,
    End,
}

/// A mail that is being handed in.
struct Hearing {
    receiver: DataReceiver,
    raw: Vec<u8>,
    is_too_large: bool,
}

impl Default for Hearing {
    fn default() -> Self {
        let mut receiver = DataReceiver::new();
        // It stands at the beginning of a line: the first one may be the dot that ends it.
        receiver.ingest(&mut b"\r\n".iter(), &mut Vec::new());
        Self {
            receiver,
            raw: Vec::new(),
            is_too_large: false,
        }
    }
}

impl Hearing {
    /// Hears more of it, and says when that was all: the mail, or none where it was too large.
    fn go_on(&mut self, bytes: &mut Iter<'_, u8>, limit: usize) -> Option<Option<Vec<u8>>> {
        let is_whole = self.receiver.ingest(bytes, &mut self.raw);
        self.is_too_large |= self.raw.len() > limit;
        if self.is_too_large {
            // It is heard to its end all the same, and not kept.
            self.raw.clear();
        }
        is_whole.then(|| (!self.is_too_large).then(|| std::mem::take(&mut self.raw)))
    }
}

impl Visitor<'_> {
    async fn converse(&mut self, from: IpAddr) -> io::Result<()> {
        let mut session = Session::new(self.door.protocol, &self.door.host, self.door.limit);
        self.say(&session.greeting()).await?;
        let (mut commands, mut mail) = (RequestReceiver::default(), None::<Hearing>);
        let (mut buffer, mut misheard) = (vec![0; READ], 0);
        loop {
            let count = timeout(PATIENCE, self.socket.read(&mut buffer)).await??;
            let mut bytes = buffer.get(..count).unwrap_or_default().iter();
            if count == 0 {
                return Ok(());
            }
            while !bytes.as_slice().is_empty() {
                if let Some(hearing) = &mut mail {
                    if let Some(raw) = hearing.go_on(&mut bytes, self.door.limit) {
                        mail = None;
                        self.take(&mut session, from, raw).await?;
                    }
                    continue;
                }
                match commands.ingest(&mut bytes) {
                    Ok(request) => match self.answer(&mut session, from, request).await? {
                        After::Command => {}
                        After::Data => mail = Some(Hearing::default()),
                        After::End => return Ok(()),
                    },
                    Err(Error::NeedsMoreData { .. }) => break,
                    Err(_) if misheard >= MOST_MISHEARD => {
                        return self.say("421 4.7.0 Too many mistakes").await;
                    }
                    Err(error) => {
                        misheard += 1;
                        self.say(session::misheard(&error)).await?;
                    }
                }
            }
        }
    }

    async fn answer(
        &mut self,
        session: &mut Session,
        from: IpAddr,
        request: Request<Cow<'_, str>>,
    ) -> io::Result<After> {
        match session.hear(request) {
            Next::Say(answer) => self.say(&answer).await?,
            Next::Ask(to) => {
                let receipt = self.door.inbox.admit(to.clone(), from).await;
                let answer = session.admit(to, &receipt);
                self.say(&answer).await?;
            }
            Next::Data => {
                self.say("354 Go on, and end with a dot").await?;
                return Ok(After::Data);
            }
            Next::Leave => {
                self.say("221 2.0.0 Bye").await?;
                return Ok(After::End);
            }
        }
        Ok(After::Command)
    }

    /// Takes a mail, for each of its recipients; none where it was too large.
    async fn take(&mut self, session: &mut Session, from: IpAddr, raw: Option<Vec<u8>>) -> io::Result<()> {
        let (return_path, recipients) = session.take();
        let raw: Option<Arc<[u8]>> = raw.map(Arc::from);
        let mut receipts = Vec::with_capacity(recipients.len());
        for to in recipients {
            let Some(raw) = raw.clone() else {
                receipts.push(Receipt::TooLarge);
                continue;
            };
            let mail = Incoming {
                from,
                return_path: Some(return_path.clone()),
                to: Some(to),
                raw,
            };
            receipts.push(self.door.inbox.receive(mail).await);
        }
        self.say(&session.answers(&receipts)).await
    }

    async fn say(&mut self, answer: &str) -> io::Result<()> {
        let line = format!("{answer}\r\n");
        timeout(PATIENCE, self.socket.write_all(line.as_bytes())).await?
    }
}
