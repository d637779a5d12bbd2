//! A real SMTP server that keeps what it is given: `mailin` speaks the protocol, the sockets are ours.
//!
//! Ours, because `mailin-embedded` can neither be stopped nor serve more connections than it has threads;
//! with one mailbox a test, both add up.

#![expect(clippy::unwrap_used, reason = "a mailbox that cannot start ends the test")]

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;

use mail_parser::{Message, MessageParser};
use mailin::{Action, Handler, Response, Session, SessionBuilder, response};
use parking_lot::Mutex;

/// The server; it stops, and hangs up on everybody, when dropped.
pub struct Mailbox {
    address: SocketAddr,
    desk: Arc<Desk>,
}

/// One mail as it was accepted.
#[derive(Clone)]
pub struct Mail {
    /// The sender of the envelope, without angle brackets.
    pub from: String,
    /// The recipients of the envelope, without angle brackets.
    pub to: Vec<String>,
    /// What came between `DATA` and the dot, dots undone.
    pub raw: Arc<[u8]>,
}

/// What the connections share; no lock is held while one reads or writes.
#[derive(Default)]
struct Desk {
    mails: Mutex<Vec<Mail>>,
    refused: Mutex<HashMap<String, u16>>,
    open: Mutex<Vec<Weak<TcpStream>>>,
    paused: AtomicBool,
    stopped: AtomicBool,
}

impl Mailbox {
    /// Listens on a free port of 127.0.0.1.
    pub fn start() -> Mailbox {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Desk::default());
        let shared = Arc::clone(&desk);
        thread::Builder::new()
            .name("mailbox".to_owned())
            .spawn(move || listen(&listener, &shared))
            .unwrap();
        Mailbox { address, desk }
    }

    /// `smtp://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// All mails, in the order in which they were accepted.
    pub fn mails(&self) -> Vec<Mail> {
        self.desk.mails.lock().clone()
    }

    /// How many mails were accepted.
    pub fn count(&self) -> usize {
        self.desk.mails.lock().len()
    }

    /// The mails for this recipient, in the order in which they were accepted.
    pub fn to(&self, recipient: &str) -> Vec<Mail> {
        let mut mails = self.mails();
        mails.retain(|mail| mail.to.iter().any(|to| to.eq_ignore_ascii_case(recipient)));
        mails
    }

    /// Answers `code`, such as 451 or 550, to `RCPT TO` for this recipient from now on.
    pub fn refuse(&self, recipient: &str, code: u16) {
        self.desk
            .refused
            .lock()
            .insert(recipient.to_ascii_lowercase(), code);
    }

    /// Takes mail for this recipient again.
    pub fn accept(&self, recipient: &str) {
        self.desk.refused.lock().remove(&recipient.to_ascii_lowercase());
    }

    /// Takes nothing, neither connections nor mails: each is answered 421 and hung up on.
    pub fn pause(&self) {
        self.desk.paused.store(true, Ordering::SeqCst);
    }

    /// Works again.
    pub fn resume(&self) {
        self.desk.paused.store(false, Ordering::SeqCst);
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.desk.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener, which then hangs up on everybody.
        drop(TcpStream::connect(self.address));
    }
}

impl Mail {
    /// The parsed mail.
    pub fn parsed(&self) -> Message<'_> {
        MessageParser::default().parse(&*self.raw).unwrap()
    }

    /// The subject, decoded.
    pub fn subject(&self) -> String {
        self.parsed().subject().unwrap_or_default().to_owned()
    }

    /// The plain text part, decoded, its lines ending in LF.
    pub fn text(&self) -> String {
        let parsed = self.parsed();
        parsed
            .text_part(0)
            .and_then(|part| part.text_contents())
            .unwrap_or_default()
            .replace("\r\n", "\n")
    }

    /// The HTML part, decoded, its lines ending in LF.
    pub fn html(&self) -> String {
        let parsed = self.parsed();
        parsed
            .html_part(0)
            .and_then(|part| part.text_contents())
            .unwrap_or_default()
            .replace("\r\n", "\n")
    }

    /// The first header of that name as it was sent, unfolded but not decoded.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut headers = self.headers().into_iter();
        headers
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// All headers in their order, unfolded but not decoded.
    pub fn headers(&self) -> Vec<(String, String)> {
        let unfolded = |value: &str| value.replace("\r\n", "").trim().to_owned();
        self.parsed()
            .headers_raw()
            .map(|(name, value)| (name.to_owned(), unfolded(value)))
            .collect()
    }
}

fn listen(listener: &TcpListener, desk: &Arc<Desk>) {
    for socket in listener.incoming() {
        if desk.stopped.load(Ordering::SeqCst) {
            break;
        }
        let Ok(socket) = socket.map(Arc::new) else {
            continue;
        };
        let mut open = desk.open.lock();
        open.retain(|socket| socket.strong_count() > 0);
        open.push(Arc::downgrade(&socket));
        drop(open);
        let clerk = Clerk {
            desk: Arc::clone(desk),
            arriving: None,
        };
        let serve = move || {
            // A client that hangs up in mid-sentence is nothing to report.
            let _ = converse(&socket, clerk);
        };
        thread::Builder::new().stack_size(256 << 10).spawn(serve).unwrap();
    }
    for socket in desk.open.lock().iter().filter_map(Weak::upgrade) {
        let _ = socket.shutdown(Shutdown::Both);
    }
}

fn converse(mut socket: &TcpStream, clerk: Clerk) -> io::Result<()> {
    socket.set_nodelay(true)?;
    if clerk.desk.is_paused() {
        return socket.write_all(&response::NO_SERVICE.buffer()?);
    }
    let mut session: Session<Clerk> =
        SessionBuilder::new("mailbox.test").build(IpAddr::V4(Ipv4Addr::LOCALHOST), clerk);
    socket.write_all(&session.greeting().buffer()?)?;
    let mut lines = BufReader::new(socket);
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let answer = session.process(&line);
        if answer.action != Action::NoReply {
            socket.write_all(&answer.buffer()?)?;
        }
        if answer.action == Action::Close {
            return Ok(());
        }
    }
}

/// Who takes the mails of one connection.
struct Clerk {
    desk: Arc<Desk>,
    arriving: Option<(String, Vec<String>, Vec<u8>)>,
}

impl Desk {
    fn is_paused(&self) -> bool {
        self.paused.load(Ordering::SeqCst)
    }
}

impl Clerk {
    /// 421 and not 451: after an error at the end of the data, mailin would go on taking lines for data.
    fn unless_paused(&self, answer: Response) -> Response {
        if self.desk.is_paused() {
            response::NO_SERVICE
        } else {
            answer
        }
    }
}

impl Handler for Clerk {
    fn helo(&mut self, _ip: IpAddr, _domain: &str) -> Response {
        self.unless_paused(response::OK)
    }

    fn mail(&mut self, _ip: IpAddr, _domain: &str, _from: &str) -> Response {
        self.unless_paused(response::OK)
    }

    fn rcpt(&mut self, to: &str) -> Response {
        let refused = self.desk.refused.lock().get(&to.to_ascii_lowercase()).copied();
        let answer = refused.map_or(response::OK, |code| {
            Response::custom(code, format!("{to} is refused by the test"))
        });
        self.unless_paused(answer)
    }

    fn data_start(&mut self, _domain: &str, from: &str, _is8bit: bool, to: &[String]) -> Response {
        self.arriving = Some((from.to_owned(), to.to_vec(), Vec::new()));
        self.unless_paused(response::OK)
    }

    fn data(&mut self, line: &[u8]) -> io::Result<()> {
        if let Some((_, _, raw)) = &mut self.arriving {
            raw.extend_from_slice(line);
        }
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        let answer = self.unless_paused(response::OK);
        if let Some((from, to, raw)) = self.arriving.take().filter(|_| !answer.is_error) {
            self.desk.mails.lock().push(Mail {
                from,
                to,
                raw: raw.into(),
            });
        }
        answer
    }
}
