//! An SMTP server that misbehaves as it is told to, and remembers what it was given.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};

/// Where in the dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Greeting,
    Sender,
    Recipient,
    /// The end of the content: answered after it was read.
    Content,
}

/// How it treats whoever calls.
#[derive(Clone, Debug)]
pub enum Manner {
    /// As it should.
    Polite,
    /// Answers this instead, and hangs up after 421.
    Says(At, &'static str),
    /// The same, of mail for addresses that begin so.
    SaysOf(&'static str, At, &'static str),
    /// Reads all and hangs up without an answer.
    HangsUpAfterTheDot,
    /// Takes the call and says nothing.
    IsSilent,
    /// Greets a byte a second.
    Drips,
    /// Speaks TLS, with a certificate that nobody vouches for.
    IsUnknown,
    /// Takes its time for each mail.
    TakesItsTime(Duration),
}

/// What was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub to: String,
    pub message_id: String,
    pub taken: bool,
}

pub struct BadRelay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    manner: Mutex<Manner>,
    read: Mutex<Vec<Read>>,
    calls: AtomicUsize,
    stopped: AtomicBool,
}

impl BadRelay {
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            manner: Mutex::new(manner),
            read: Mutex::default(),
            calls: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let of_listener = Arc::clone(&shared);
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if of_listener.stopped.load(Ordering::SeqCst) {
                    return;
                }
                of_listener.calls.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&of_listener);
                // Whoever hangs up in mid-sentence is nothing to report.
                thread::spawn(move || drop(converse(&socket, &shared)));
            }
        });
        Self { address, shared }
    }

    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// From now on, also to whoever is on the line.
    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock() = manner;
    }

    /// All that was read to its end, whatever was answered.
    pub fn read(&self) -> Vec<Read> {
        self.shared.read.lock().clone()
    }

    /// Who has got a mail, each as often as that.
    pub fn taken(&self) -> Vec<String> {
        let read = self.shared.read.lock();
        read.iter()
            .filter(|mail| mail.taken)
            .map(|mail| mail.to.clone())
            .collect()
    }

    /// How often somebody called.
    pub fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::SeqCst)
    }
}

impl Drop for BadRelay {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    /// The answer here, and whether the line is kept.
    fn answer(&self, at: At, to: &str, polite: &'static str) -> (&'static str, bool) {
        let said = match *self.manner.lock() {
            Manner::Says(place, said) if place == at => Some(said),
            Manner::SaysOf(whom, place, said) if place == at && to.starts_with(whom) => Some(said),
            _ => None,
        };
        let said = said.unwrap_or(polite);
        (said, !said.starts_with("421"))
    }
}

fn converse(mut socket: &TcpStream, shared: &Shared) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut lines = BufReader::new(socket).lines();
    let manner = shared.manner.lock().clone();
    match manner {
        Manner::IsSilent => return lines.next().map_or(Ok(()), |line| line.map(drop)),
        Manner::Drips => {
            for byte in b"220 mail.test is here" {
                socket.write_all(&[*byte])?;
                thread::sleep(Duration::from_secs(1));
            }
        }
        Manner::IsUnknown => return shake_hands(socket),
        _ => {}
    }
    let mut say = |(text, stays): (&str, bool)| -> io::Result<()> {
        socket.write_all(format!("{text}\r\n").as_bytes())?;
        if stays {
            Ok(())
        } else {
            Err(io::ErrorKind::ConnectionAborted.into())
        }
    };
    say(shared.answer(At::Greeting, "", "220 mail.test"))?;
    let mut to = String::new();
    while let Some(line) = lines.next().transpose()? {
        let verb = line
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        match verb.as_str() {
            "MAIL" => say(shared.answer(At::Sender, "", "250 ok"))?,
            "RCPT" => {
                to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                say(shared.answer(At::Recipient, &to, "250 ok"))?;
            }
            "DATA" => {
                say(("354 go on", true))?;
                let mut message_id = String::new();
                for line in lines.by_ref() {
                    let line = line?;
                    if let Some(id) = line.strip_prefix("Message-ID: ") {
                        message_id = id.to_owned();
                    }
                    if line == "." {
                        break;
                    }
                }
                let (said, stays) = shared.answer(At::Content, &to, "250 taken");
                let manner = shared.manner.lock().clone();
                let hangs_up = matches!(manner, Manner::HangsUpAfterTheDot);
                shared.read.lock().push(Read {
                    to: to.clone(),
                    message_id,
                    taken: !hangs_up && said.starts_with('2'),
                });
                if let Manner::TakesItsTime(time) = manner {
                    thread::sleep(time);
                }
                if hangs_up {
                    return Ok(());
                }
                say((said, stays))?;
            }
            "QUIT" => return say(("221 bye", true)),
            _ => say(("250 ok", true))?,
        }
    }
    Ok(())
}

fn shake_hands(mut socket: &TcpStream) -> io::Result<()> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
    connection.complete_io(&mut socket)?;
    // Only somebody who believes the certificate would hear this.
    connection.writer().write_all(b"220 mail.test\r\n")?;
    connection.complete_io(&mut socket).map(drop)
}
