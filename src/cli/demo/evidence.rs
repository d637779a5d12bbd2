//! What is left when the story is over: the mailbox, the ledger, a timeline and a history.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::DemoError;
use super::august_23::Remembered;
use super::cast::INCIDENT_MANAGER;
use super::desk::{Desk, pause};
use super::ledger::{self, Delivery, Sums};
use super::mailbox;
use super::voice::wrapped;

/// Waits until all mail is out, shows everything, and returns the sums and the messages found in `mail_dir`.
pub async fn show(desk: &mut Desk, of: &Remembered, mail_dir: &Path) -> Result<(Sums, usize), DemoError> {
    let ledger = settled(desk).await?;
    let found = show_mailbox(desk, mail_dir)?;
    let ends: HashMap<_, _> = desk.ends.iter().cloned().collect();
    let sums = Sums::of(&ledger, &ends);
    show_ledger(desk, &ledger, sums)?;
    show_timeline(desk, &of.incident).await?;
    show_history(desk, &of.request).await?;
    Ok((sums, found))
}

/// The ledger, when every event has become its mail, every request has its receipt, and nothing is on its way.
async fn settled(desk: &mut Desk) -> Result<Vec<Delivery>, DemoError> {
    let mut waited = Duration::ZERO;
    loop {
        let ready = desk.reads(&INCIDENT_MANAGER, "/readyz").await?;
        let unread = ready
            .body
            .pointer("/checks/journal/unread")
            .and_then(Value::as_u64);
        let rows = desk.lists(&INCIDENT_MANAGER, "/v1/deliveries").await?;
        let ledger: Vec<Delivery> = rows
            .into_iter()
            .map(serde_json::from_value)
            .collect::<Result<_, _>>()?;
        let receipts = ledger
            .iter()
            .filter(|delivery| delivery.kind == "request_received")
            .count();
        let on_their_way = ledger.iter().filter(|delivery| !delivery.is_settled()).count();
        if unread == Some(0) && receipts == desk.requests && on_their_way == 0 {
            return Ok(ledger);
        }
        let what = format!(
            "the mail: {unread:?} events unread, {receipts} receipts for {} requests, {on_their_way} on their way",
            desk.requests
        );
        pause(&mut waited, &what).await?;
    }
}

fn show_mailbox(desk: &mut Desk, mail_dir: &Path) -> Result<usize, DemoError> {
    let mails = mailbox::read(mail_dir).map_err(DemoError::Mailbox)?;
    desk.voice.title(&format!(
        "The mailbox: {} messages in {}",
        mails.len(),
        mail_dir.display()
    ))?;
    for (subject, recipients) in mailbox::by_subject(&mails) {
        desk.voice.line(&subject)?;
        for line in wrapped(&recipients.join(", "), 92) {
            desk.voice.line(&format!("       {line}"))?;
        }
    }
    Ok(mails.len())
}

fn show_ledger(desk: &mut Desk, ledger: &[Delivery], sums: Sums) -> Result<(), DemoError> {
    desk.voice
        .title(&format!("The ledger: {} deliveries", ledger.len()))?;
    for ((kind, state), count) in ledger::by_kind(ledger) {
        desk.voice.line(&format!("{count:>5}  {state:<10}  {kind}"))?;
    }
    desk.voice.line("")?;
    let Sums {
        told, without_end, ..
    } = sums;
    desk.voice.then(&format!(
        "{told} times somebody was told of an incident, and {} times the same person was told that it ended.",
        told - without_end
    ))?;
    Ok(())
}

async fn show_timeline(desk: &mut Desk, incident: &str) -> Result<(), DemoError> {
    let incident = desk
        .reads(&INCIDENT_MANAGER, &format!("/v1/incidents/{incident}"))
        .await?;
    desk.voice
        .title(&format!("The timeline of “{}”", incident.text("/title")))?;
    let updates = incident
        .body
        .get("updates")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    for update in updates {
        desk.voice.at(
            &place(update),
            &format!("{}: {}", word(update, "status"), word(update, "body")),
        )?;
    }
    desk.voice.line("")?;
    let began = incident.text("/started_at");
    desk.voice.then(&format!(
        "It began at {began}; the server itself keeps today's time for what it does."
    ))?;
    Ok(())
}

async fn show_history(desk: &mut Desk, request: &str) -> Result<(), DemoError> {
    let path = format!("/v1/service-requests/{request}");
    let found = desk.reads(&INCIDENT_MANAGER, &path).await?;
    desk.voice.title(&format!(
        "The history of {}, “{}”",
        found.text("/reference"),
        found.text("/subject")
    ))?;
    for event in desk.lists(&INCIDENT_MANAGER, &format!("{path}/history")).await? {
        desk.voice.at(&place(&event), &sentence(&event))?;
    }
    Ok(())
}

/// Who did what; from which state to which; why.
fn sentence(event: &Value) -> String {
    let of = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let verb = word(event, "kind").replace("request_", "").replace('_', " ");
    let mut details = vec![];
    details.extend(match (of("/data/from"), of("/data/to")) {
        (Some(from), Some(to)) => Some(format!("from {from} to {to}")),
        (None, Some(to)) => Some(format!("now {to}")),
        _ => None,
    });
    details.extend(of("/data/cause").map(|cause| format!("because of the {cause}")));
    details.extend(of("/data/internal/rule").map(|rule| format!("by the rule “{rule}”")));
    let details = if details.is_empty() {
        String::new()
    } else {
        format!(" ({})", details.join(", "))
    };
    format!("{} {verb}{details}", of("/actor/name").unwrap_or_default())
}

fn place(item: &Value) -> String {
    format!("#{}", item.get("seq").and_then(Value::as_i64).unwrap_or_default())
}

fn word<'a>(object: &'a Value, member: &str) -> &'a str {
    object.get(member).and_then(Value::as_str).unwrap_or_default()
}
