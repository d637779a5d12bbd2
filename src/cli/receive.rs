//! `allclear receive < mail`: takes a mail that comes in, for a mail server that pipes it into a command.

use std::io::Read as _;
use std::net::Ipv4Addr;

use clap::Args;

use super::Failure;
use crate::app;
use crate::clock::Clock;
use crate::db;
use crate::http::bell::Bell;
use crate::identity::keys::Secret;
use crate::mail::inbound::{Incoming, Receipt, Receive as _};
use crate::requests::attachments::Shelf;
use crate::settings::{Given, Settings};

/// A mail, for whoever has the database.
#[derive(Args)]
pub struct ReceiveArgs {
    /// The envelope's sender, which may be empty [default: that of `Return-Path`]
    #[arg(long)]
    sender: Option<String>,
    /// The envelope's recipient [default: those of `Delivered-To`, `X-Original-To`, `To` and `Cc`]
    #[arg(long)]
    recipient: Option<String>,
    #[command(flatten)]
    given: Given,
}

/// Why a mail was not taken, with the exit code by which mail servers know it (sysexits.h).
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
pub struct NotTaken {
    /// The code.
    pub code: u8,
    said: String,
}

/// It is larger than is taken.
const DATA: u8 = 65;
/// There is no such mailbox.
const NO_USER: u8 = 67;
/// It is to be tried again.
const AGAIN: u8 = 75;
/// It is not wanted.
const NOT_PERMITTED: u8 = 77;

impl NotTaken {
    fn new(code: u8, said: impl Into<String>) -> Self {
        let said = said.into();
        Self { code, said }
    }
}

/// Takes the mail on standard input. Whatever goes wrong on our side is to be tried again: a mail server that hears
/// anything else of it returns the mail.
pub async fn run(args: ReceiveArgs) -> Result<(), Failure> {
    let taken = take(args).await;
    Ok(taken.map_err(|failure| match failure.downcast::<NotTaken>() {
        Ok(known) => *known,
        Err(other) => NotTaken::new(AGAIN, other.to_string()),
    })?)
}

async fn take(args: ReceiveArgs) -> Result<(), Failure> {
    let settings = args.given.check()?;
    let raw = read(&settings)?;
    // A mistyped folder is not a new installation, whose secret would refuse whatever comes.
    drop(db::open_to_read(
        &settings.database,
        settings.database_work_url.as_deref(),
    )?);
    let clock = Clock::system();
    let db = app::prepare(&settings, &clock).await?.db;
    let secret = Secret::load(settings.secret.as_deref(), &settings.data_dir)?;
    // Nobody hears the bell: servers look for work by themselves.
    let shelf = Shelf::open(&settings)?;
    let inbox = app::inbox(&settings, (db, clock, Bell::default()), (&secret, &shelf));
    let inbox = inbox.ok_or_else(|| NotTaken::new(AGAIN, "`inbound-domain` is not set: no mail comes in"))?;
    let from = Ipv4Addr::LOCALHOST.into();
    if let Some(to) = &args.recipient {
        said(inbox.admit(to.clone(), from).await)?;
    }
    let mail = Incoming {
        from,
        return_path: args.sender,
        to: args.recipient,
        raw: raw.into(),
    };
    Ok(said(inbox.receive(mail).await)?)
}

fn read(settings: &Settings) -> Result<Vec<u8>, Failure> {
    let limit = settings.inbound.as_ref().map_or(0, |inbound| inbound.limit);
    let most = u64::try_from(limit)?.saturating_add(1);
    let mut raw = Vec::new();
    std::io::stdin().lock().take(most).read_to_end(&mut raw)?;
    if limit > 0 && raw.len() > limit {
        said(Receipt::TooLarge)?;
    }
    Ok(raw)
}

fn said(receipt: Receipt) -> Result<(), NotTaken> {
    match receipt {
        Receipt::Taken => Ok(()),
        Receipt::Unknown => Err(NotTaken::new(NO_USER, "there is no such mailbox")),
        Receipt::Refused(why) => Err(NotTaken::new(NOT_PERMITTED, why)),
        Receipt::TooLarge => Err(NotTaken::new(DATA, "the mail is too large")),
        Receipt::Later => Err(NotTaken::new(AGAIN, "not now")),
    }
}
