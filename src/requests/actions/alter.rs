//! Changing what a request says of itself.

use serde_json::{Value, json};

use super::change::Change;
use crate::db::{Connection, Json};
use crate::identity::{Caller, Right};
use crate::journal::{self, EventKind};
use crate::problem::{Code, Problem};
use crate::requests::lifecycle;
use crate::requests::model::{Changes, Contact, Request};
use crate::requests::store::Key;
use crate::text;

/// Changes severity, subject, tags or contact of an open request.
pub fn alter(conn: &mut Connection, caller: &Caller, key: &Key, form: &Changes) -> Result<Request, Problem> {
    let mut change = Change::begin(conn, caller, key, Right::ChangeRequests)?;
    change.if_match_required()?;
    let from = change.request.status;
    if !change.request.is_open {
        let detail = format!("the request is {from}; only an open one is changed");
        return Err(
            Problem::new(Code::TransitionNotAllowed, detail).with("allowed", lifecycle::allowed(from))
        );
    }
    let before = said(&change.request);
    let request = &mut change.request;
    if let Some(severity) = form.severity {
        request.severity = severity;
    }
    if let Some(subject) = &form.subject {
        request.subject = subject.trim().to_owned();
    }
    if let Some(tags) = &form.tags {
        request.tags = Json::of(text::unique(tags.iter().map(|tag| tag.trim().to_owned())));
    }
    if let Some(contact) = &form.contact {
        request.contact = Json::of(merged(request, contact));
    }
    let mut changed = journal::changes(before.clone(), said(request));
    if said(request) == before {
        return Ok(change.request);
    }
    for part in ["from", "to"] {
        change.note(part, changed.get_mut(part).map(Value::take).unwrap_or_default());
    }
    change.commit(conn, EventKind::RequestChanged, &[])
}

/// What is left out of the new contact stays as it is.
fn merged(request: &Request, new: &Contact) -> Contact {
    let old: Contact = serde_json::from_value(request.contact.0.clone()).unwrap_or_default();
    let new = new.clone();
    let email = new.email.as_deref().and_then(text::email_address);
    Contact {
        name: new.name.or(old.name),
        email: email.or(old.email),
        telephone: new.telephone.or(old.telephone),
        language: new.language.or(old.language),
        time_zone: new.time_zone.or(old.time_zone),
    }
}

/// What may be changed, as the history has it.
fn said(request: &Request) -> Value {
    json!({
        "severity": request.severity, "subject": request.subject, "tags": request.tags.0,
        "contact": request.contact.0,
    })
}
