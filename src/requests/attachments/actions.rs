//! Files come, and go.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::limits::{LeftOut, Used};
use super::{Attachment, Described, Shelf, State, store};
use crate::db::{AttachmentId, CommentId, Connection, Db, Moment, Scope};
use crate::identity::{Caller, Right};
use crate::journal::EventKind;
use crate::problem::{Code, Problem};
use crate::requests::actions::change::Change;
use crate::requests::store::Key;
use crate::settings::Files;

/// So many are taken away at a time.
const CHUNK: i64 = 100;
/// For so long the background waits for one to be taken away.
const PATIENCE: Duration = Duration::from_secs(5);
/// After so many that could not be, what they are in is away: the background has other things to do.
const FAILURES: usize = 3;

/// Writes down a file that is to be put away, if it may be.
pub(super) fn announce(
    conn: &mut Connection,
    caller: &Caller,
    (key, file): (&Key, &Described),
    limits: &Files,
) -> Result<Attachment, Problem> {
    let change = Change::begin(conn, caller, key, Right::CommentOnRequests)?;
    change.takes_words()?;
    let whose = (change.request.tenant_id, change.request.id);
    // Those that arrive, too: whoever sends files without end fills no disk with what is never kept.
    let used = store::used(conn, whose, &[State::Arriving, State::Kept])?;
    let size = usize::try_from(file.size).map_err(Problem::internal)?;
    used.and(size, limits).map_err(|why| refused(why, limits))?;
    let row = Attachment::arriving(whose, file, caller.now());
    store::create(conn, std::slice::from_ref(&row))?;
    Ok(row)
}

/// Keeps files that have been put away: with their comment, if they came with one.
pub fn keep(
    conn: &mut Connection,
    caller: &Caller,
    (rows, comment): (&[Attachment], Option<CommentId>),
    limits: &Files,
) -> Result<(), Problem> {
    let Some(first) = rows.first() else { return Ok(()) };
    let key = Key::Id(first.request_id);
    let mut change = Change::begin(conn, caller, &key, Right::CommentOnRequests)?;
    change.takes_words()?;
    if !store::keep(conn, rows, comment)? {
        // It took so long that they were given up, or they were erased: from the beginning.
        return Err(Problem::new(
            Code::Unavailable,
            "the files are not there any more",
        ));
    }
    let whose = (change.request.tenant_id, change.request.id);
    if !store::used(conn, whose, &[State::Kept])?.is_within(limits) {
        let detail = "other files have taken the room that there was";
        return Err(Problem::new(Code::Conflict, detail));
    }
    change.note("attachments", rows.iter().map(noted).collect());
    change.commit(conn, EventKind::AttachmentsAdded, &[])?;
    Ok(())
}

/// Takes a file from its request. It is gone for whoever reads, and soon from the shelf.
pub(super) fn remove(
    conn: &mut Connection,
    caller: &Caller,
    key: &Key,
    id: AttachmentId,
) -> Result<(), Problem> {
    let mut change = Change::begin(conn, caller, key, Right::CommentOnRequests)?;
    let request = &change.request;
    let missing = || Problem::not_found("attachment");
    let row = store::find(conn, (request.tenant_id, request.id), id)?.ok_or_else(missing)?;
    if !store::leave(conn, &row)? {
        return Err(missing());
    }
    change.note("attachments", json!([noted(&row)]));
    change.commit(conn, EventKind::AttachmentsRemoved, &[])?;
    Ok(())
}

/// A file in the history: what it was, never what is in it.
fn noted(row: &Attachment) -> Value {
    json!({"id": row.id, "name": row.name, "size": row.size, "sha256": row.sha256})
}

fn refused(why: LeftOut, limits: &Files) -> Problem {
    let large = |detail: String| Problem::new(Code::PayloadTooLarge, detail);
    match why {
        LeftOut::Empty => Problem::invalid("", "a file has a byte or more"),
        LeftOut::TooLarge => large(format!("a file may be {} bytes long", limits.most_of_file)),
        LeftOut::TooMany | LeftOut::Full => large(format!(
            "the files of a request may be {} and have {} bytes together",
            Used::MOST,
            limits.most_of_request
        )),
    }
}

/// Takes away the files that nobody has any more, and forgets them; how many. First the file, then its row.
pub async fn sweep((db, scope): (&Db, Scope), shelf: &Shelf, now: Moment) -> Result<usize, Problem> {
    let leaving = db.write(scope, move |conn| store::leaving(conn, now, CHUNK));
    let (mut gone, mut failures) = (Vec::new(), 0_usize);
    for row in leaving.await? {
        // One that cannot be taken away holds up no other.
        match timeout(PATIENCE, shelf.remove(&row)).await {
            Ok(Ok(())) => gone.push(row),
            Ok(Err(_)) | Err(_) => failures += 1,
        }
        if failures == FAILURES {
            break;
        }
    }
    let count = gone.len();
    if count == 0 && failures > 0 {
        return Err(Problem::new(Code::Unavailable, "files cannot be taken away"));
    }
    let forget = move |conn: &mut Connection| gone.iter().try_for_each(|row| store::forget(conn, row));
    if count > 0 {
        db.write(scope, forget).await?;
    }
    Ok(count)
}
