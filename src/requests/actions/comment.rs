//! The conversation, and who listens to it.

use serde_json::json;

use super::change::{Change, save, tell};
use crate::db::{Connection, Moment, lock};
use crate::identity::{Caller, Right};
use crate::journal::{Actor, EventKind, Reader};
use crate::problem::Problem;
use crate::requests::lifecycle::Verb;
use crate::requests::model::{Comment, NewComment, Request, Visibility, Watchers};
use crate::requests::store::{self, Key};
use crate::text;

/// Adds a comment; a customer's reply to a pending request sets it going again.
pub fn comment(
    conn: &mut Connection,
    caller: &Caller,
    key: &Key,
    form: &NewComment,
) -> Result<(Request, Comment), Problem> {
    let right = match form.visibility {
        Visibility::Public => Right::CommentOnRequests,
        Visibility::Internal => Right::WriteNotes,
    };
    let mut change = Change::begin(conn, caller, key, right)?;
    if form.visibility == Visibility::Internal {
        let comment = change.comment(conn, &form.body, Visibility::Internal)?;
        return Ok((
            change.commit_internal(conn, EventKind::RequestCommented)?,
            comment,
        ));
    }
    if !caller.is_staff() {
        change.apply(conn, Verb::Reply)?;
    } else {
        change.takes_words()?;
    }
    let comment = change.comment(conn, &form.body, Visibility::Public)?;
    Ok((
        change.commit(conn, EventKind::RequestCommented, &[Reader::Notify])?,
        comment,
    ))
}

/// Adds watchers; each new one is told so once.
pub fn watch(conn: &mut Connection, caller: &Caller, key: &Key, form: &Watchers) -> Result<Request, Problem> {
    // Shared, as for filing: whoever is added before the incident ends belongs to the audience of its end. Before the
    // row is locked, as the cascade does it.
    if let Some(incident) = store::visible(conn, caller, key)?.incident_id {
        lock::shared(conn, lock::Key::of(incident))?;
    }
    let mut change = Change::begin(conn, caller, key, Right::CommentOnRequests)?;
    change.if_match_required()?;
    let present = store::watchers(conn, &change.request)?;
    let mut added: Vec<String> = form
        .watchers
        .iter()
        .filter_map(|email| text::email_address(email))
        .collect();
    added.sort_unstable();
    added.dedup();
    added.retain(|email| !present.contains(email));
    if present.len() + added.len() > 100 {
        return Err(Problem::invalid("/watchers", "there may be 100 watchers"));
    }
    if added.is_empty() {
        return Ok(change.request);
    }
    store::add_watchers(conn, &change.request, &added, change.now)?;
    change.note("watchers", json!(added));
    change.commit(conn, EventKind::WatchersAdded, &[Reader::Notify])
}

/// Takes watchers away.
pub fn unwatch(
    conn: &mut Connection,
    caller: &Caller,
    key: &Key,
    form: &Watchers,
) -> Result<Request, Problem> {
    let mut change = Change::begin(conn, caller, key, Right::CommentOnRequests)?;
    change.if_match_required()?;
    let emails: Vec<String> = form
        .watchers
        .iter()
        .filter_map(|email| text::email_address(email))
        .collect();
    if store::remove_watchers(conn, &change.request, &emails)? == 0 {
        return Ok(change.request);
    }
    change.note("watchers", json!(emails));
    change.commit(conn, EventKind::WatchersRemoved, &[])
}

/// Takes off a watcher who asked for it by the link in a mail; whoever watches no more is left alone.
pub fn leave(
    conn: &mut Connection,
    before: Request,
    email: &str,
    actor: &Actor,
    now: Moment,
) -> Result<(), Problem> {
    if store::remove_watchers(conn, &before, &[email.to_owned()])? == 0 {
        return Ok(());
    }
    let mut after = before.clone();
    let data = json!({"watchers": [email]});
    let event = save(
        conn,
        &before,
        &mut after,
        EventKind::WatchersRemoved,
        actor,
        now,
        data,
    )?;
    tell(conn, Some(&before), &after, &event, &[])
}
