//! What comes in by mail, as far as no request is concerned: the door where it is handed in, and what it says. What
//! becomes of it is decided by whoever knows requests, to the right.

pub mod door;
pub mod letter;
pub mod quote;
pub mod report;
mod session;

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use letter::{Author, Letter};

/// A mail as it was handed in for one recipient.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// From where.
    pub from: IpAddr,
    /// The envelope's sender: where it is returned. Empty for mail that is not to be; none where nobody said.
    pub return_path: Option<String>,
    /// The envelope's recipient; none where nobody said.
    pub to: Option<String>,
    /// Headers and body.
    pub raw: Arc<[u8]>,
}

/// What became of a mail, for whoever handed it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It is dealt with, whatever came of it: never to be handed in again.
    Taken,
    /// There is no such mailbox.
    Unknown,
    /// It is not wanted, for this reason.
    Refused(String),
    /// It is larger than is taken.
    TooLarge,
    /// Not now: it is to be handed in again.
    Later,
}

/// Who takes what comes in. An answer is given when all that follows from the mail is committed.
pub trait Receive: Send + Sync {
    /// Whether mail to this address is taken, before it is sent.
    fn admit(&self, to: String, from: IpAddr) -> BoxFuture<'_, Receipt>;

    /// Takes a mail.
    fn receive(&self, mail: Incoming) -> BoxFuture<'_, Receipt>;
}
