//! Where mail comes in: whoever takes it, and the door.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::db::Db;
use crate::http::bell::Bell;
use crate::identity::Correspondence;
use crate::identity::keys::Secret;
use crate::mail::inbound::door::Door;
use crate::mail::return_address::ReturnAddresses;
use crate::problem::Problem;
use crate::requests::attachments::Shelf;
use crate::requests::replies::Inbox;
use crate::settings::{Protocol, Settings};

/// The addresses in our mail that lead back here, if mail comes in.
pub fn addresses(settings: &Settings, secret: &Secret) -> Option<ReturnAddresses> {
    let inbound = settings.inbound.as_ref()?;
    Some(ReturnAddresses::new(secret, &inbound.domain))
}

/// Whoever takes mail, if it comes in.
pub fn inbox(
    settings: &Settings,
    (db, clock, bell): (Db, Clock, Bell),
    (secret, shelf): (&Secret, &Shelf),
) -> Option<Inbox> {
    let inbound = settings.inbound.as_ref()?;
    let addresses = addresses(settings, secret)?;
    let sender = settings.mail_from.email.as_ref();
    let within = Correspondence::new(db, clock, bell);
    let trusted = inbound.authserv_id.clone();
    let files = (shelf.clone(), settings.files.clone());
    Some(Inbox::new(within, files, addresses, sender, trusted))
}

/// Opens the door, if there is one, until it is to stop; where it is.
pub(super) async fn open(
    settings: &Settings,
    ground: (Db, Clock, Bell),
    tools: (&Secret, &Shelf),
    stop: watch::Receiver<bool>,
) -> Result<Option<(String, JoinHandle<()>)>, Problem> {
    let Some(inbox) = inbox(settings, ground, tools) else {
        return Ok(None);
    };
    let Some((inbound, (protocol, address))) = settings
        .inbound
        .as_ref()
        .and_then(|inbound| Some((inbound, inbound.listen.as_ref()?)))
    else {
        return Ok(None);
    };
    let failed = |error: std::io::Error| Problem::internal(format!("cannot take mail on {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let scheme = match protocol {
        Protocol::Smtp => "smtp",
        Protocol::Lmtp => "lmtp",
    };
    let url = format!("{scheme}://{}", listener.local_addr().map_err(failed)?);
    let door = Door::new(
        listener,
        (*protocol, &inbound.domain, inbound.limit),
        Arc::new(inbox),
    );
    Ok(Some((url, tokio::spawn(door.serve(stop)))))
}
