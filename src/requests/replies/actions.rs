//! A letter becomes a comment: by the same action, and with the same rights, as a comment over the API.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::TimeDelta;
use data_encoding::HEXLOWER;

use super::enclosed::Enclosed;
use super::store::{self, Reply};
use super::verdict::{self, Facts, Refusal};
use crate::db::{Connection, PersonId, RequestId, lock};
use crate::identity::{self, Correspondence, Correspondent};
use crate::mail::Delivery;
use crate::mail::inbound::Letter;
use crate::problem::Problem;
use crate::requests;
use crate::requests::attachments;
use crate::requests::model::{NewComment, Request, Visibility};
use crate::requests::store::Key;
use crate::settings::Files;
use crate::text;

/// A comment has so many characters at most.
const LONGEST: usize = 20_000;
/// A name has so many.
const LONGEST_NAME: usize = 200;

/// A letter, with what is known of it besides what it says.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The letter.
    pub letter: Letter,
    /// What it is known by.
    pub key: String,
    /// From where it was handed in.
    pub from: IpAddr,
    /// Whether its sender was found to be somebody else.
    pub is_forged: bool,
}

/// What a letter is known by, however often it is handed in: its Message-ID, or all of it where it has none.
pub fn key_of(letter: &Letter, raw: &[u8]) -> String {
    let known_by = letter.id.as_deref().map_or(raw, str::as_bytes);
    HEXLOWER.encode(digest(&SHA256, known_by).as_ref())
}

/// A letter that answers a message of ours, which was about a request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The message.
    pub row: Delivery,
    /// The request.
    pub request: RequestId,
    /// The letter.
    pub arrival: Arc<Arrival>,
}

/// What a letter is welcome for.
pub enum Welcome {
    /// It is a comment already. Whoever did not hear that it was taken hands it in again: whatever has happened since, it
    /// was taken.
    Known,
    /// It becomes a comment of this person.
    From(PersonId, String),
    /// It becomes a comment of somebody who has watched this request in silence.
    FromWatcher(Box<Request>),
}

/// Adds the letter as a comment, with the files that were put away; once, however often it comes.
pub fn answer(
    conn: &mut Connection,
    within: &Correspondence,
    answer: &Answer,
    (enclosed, limits): (&Enclosed, &Files),
) -> Result<Result<(), Refusal>, Problem> {
    let Answer { row, arrival, .. } = answer;
    let id = answer.request;
    lock::exclusive(conn, lock::Key::of(id))?;
    let author = match judge(conn, within, answer)? {
        Err(refusal) => return Ok(Err(refusal)),
        Ok(Welcome::Known) => return Ok(Ok(())),
        Ok(Welcome::From(person, name)) => (person, name),
        Ok(Welcome::FromWatcher(request)) => watcher(conn, within, &request, &arrival.letter)?,
    };
    let reply = Reply {
        tenant_id: row.tenant_id,
        request_id: id,
        sender: arrival.letter.from.clone().unwrap_or_default(),
        letter: arrival.key.clone(),
        at: within.now(),
    };
    store::note(conn, &reply)?;
    let caller = within.caller(row.tenant_id, author, arrival.from);
    let form = NewComment {
        body: body(&arrival.letter, &enclosed.words(arrival.letter.more_files)),
        visibility: Visibility::Public,
    };
    let (_, comment) = requests::actions::comment(conn, &caller, &Key::Id(id), &form)?;
    attachments::actions::keep(conn, &caller, (&enclosed.kept(), Some(comment.id)), limits)?;
    Ok(Ok(()))
}

/// Whether the letter is welcome, and what it becomes.
pub fn judge(
    conn: &mut Connection,
    within: &Correspondence,
    answer: &Answer,
) -> Result<Result<Welcome, Refusal>, Problem> {
    let Answer { row, arrival, .. } = answer;
    let id = answer.request;
    let Some(request) = requests::store::find(conn, row.tenant_id, id)? else {
        return Ok(Err(Refusal::Unknown));
    };
    let letter = &arrival.letter;
    let sender = letter.from.clone().unwrap_or_default();
    if store::is_noted(conn, (row.tenant_id, id), (&sender, &arrival.key))? {
        return Ok(Ok(Welcome::Known));
    }
    let correspondent = Correspondence::recognise(conn, row.tenant_id, &sender)?;
    let party = party(conn, &request, &sender)?;
    let hour = within.now().plus(-TimeDelta::hours(1));
    let facts = Facts {
        sender: letter.from.as_deref(),
        recipient: &row.recipient,
        is_forged: arrival.is_forged,
        correspondent: &correspondent,
        is_party: party.is_some(),
        recent: store::count(conn, (row.tenant_id, id), &sender, hour)?,
        is_empty: letter.files.is_empty() && body(letter, "").is_empty(),
    };
    if let Err(refusal) = verdict::judge(&facts) {
        return Ok(Err(refusal));
    }
    Ok(Ok(match (correspondent, party) {
        (Correspondent::Member { person, name, .. }, _) => Welcome::From(person, name),
        (_, Some(Party::Requester(person, name))) => Welcome::From(person, name),
        _ => Welcome::FromWatcher(Box::new(request)),
    }))
}

/// What somebody without an account is to a request.
enum Party {
    Requester(PersonId, String),
    Watcher,
}

fn party(conn: &mut Connection, request: &Request, sender: &str) -> Result<Option<Party>, Problem> {
    let requester = identity::store::person(conn, request.requester_id)?;
    if let Some(requester) = requester.filter(|person| person.email == sender) {
        // As the tenant knows them, who may be known otherwise elsewhere.
        return Ok(Some(Party::Requester(
            requester.id,
            request.requester_name.clone(),
        )));
    }
    let watchers = requests::store::watchers(conn, request)?;
    Ok(watchers
        .iter()
        .any(|watcher| watcher == sender)
        .then_some(Party::Watcher))
}

/// A watcher is whoever they say they are, and becomes a contact with their first words.
fn watcher(
    conn: &mut Connection,
    within: &Correspondence,
    request: &Request,
    letter: &Letter,
) -> Result<(PersonId, String), Problem> {
    let email = letter.from.as_deref().unwrap_or_default();
    let said = text::shortened(&letter.name, LONGEST_NAME);
    let name = match said.is_empty() {
        true => email.to_owned(),
        false => said,
    };
    let tenant = identity::store::tenant(conn, request.tenant_id)?;
    let tenant = tenant.ok_or_else(|| Problem::not_found("tenant"))?;
    let ways = (tenant.locale.as_str(), tenant.time_zone.as_str());
    let contact = identity::actions::user::find_or_create_contact(conn, (email, &name), ways, within.now())?;
    Ok((contact.id, name))
}

/// The words of a letter as a comment, and which files came with it.
fn body(letter: &Letter, files: &str) -> String {
    let is_harmless = |c: &char| matches!(c, '\n' | '\t') || !text::is_control(*c);
    let words: String = letter
        .words
        .replace("\r\n", "\n")
        .chars()
        .filter(is_harmless)
        .collect();
    let room = LONGEST.saturating_sub(files.chars().count());
    let words: String = words.trim().chars().take(room).collect();
    format!("{words}{files}").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(raw: &str) -> Letter {
        Letter::read(raw.replace('\n', "\r\n").as_bytes(), None).unwrap()
    }

    #[test]
    fn a_comment_has_the_words_and_says_which_files_came_with_it() {
        let plain = letter("From: ada@contoso.example\n\nIt works.\n\u{7} Thank you\u{202e}.\n");
        assert_eq!(body(&plain, ""), "It works.\n Thank you.");
        assert_eq!(
            body(&plain, "\n\n[Files: log.txt]"),
            "It works.\n Thank you.\n\n[Files: log.txt]"
        );
        let long = letter(&format!("From: a@b.example\n\n{}", "ä ".repeat(20_000)));
        let long = body(&long, "\n\n[Files: log.txt]");
        assert!(long.chars().count() <= LONGEST && long.ends_with("[Files: log.txt]"));
        for raw in ["From: a@b.example\n\n", "From: a@b.example\n\n\u{202e}\u{7}\n"] {
            assert_eq!(body(&letter(raw), ""), "");
        }
    }

    #[test]
    fn a_letter_is_known_by_its_message_id_or_by_all_of_it() {
        let named = letter("Message-ID: <1@b.example>\n\nx");
        assert_eq!(key_of(&named, b"one"), key_of(&named, b"two"));
        let nameless = letter("Subject: y\n\nx");
        assert_ne!(key_of(&nameless, b"one"), key_of(&nameless, b"two"));
    }
}
