//! The verbs of one's own second factor: set up, confirm, remove.

use serde_json::json;

use crate::db::{Connection, lock};
use crate::identity::keys::Secret;
use crate::identity::second_factor::{self, Enrolment};
use crate::identity::{Caller, store};
use crate::journal::{self, Event, EventKind, Reader, SubjectKind};
use crate::problem::Problem;

/// Begins to set one up.
pub fn begin(conn: &mut Connection, caller: &Caller, seal: &Secret) -> Result<Enrolment, Problem> {
    let person = store::person(conn, caller.person())?.ok_or_else(|| Problem::not_found("user"))?;
    lock::exclusive(conn, lock::Key::of(person.id))?;
    let enrolment = second_factor::begin(conn, (person.id, &person.email), seal, caller.now())?;
    note(conn, caller, EventKind::SecondFactorBegun, &[])?;
    Ok(enrolment)
}

/// Confirms it with a code; the recovery codes.
pub fn confirm(
    conn: &mut Connection,
    caller: &Caller,
    code: &str,
    seal: &Secret,
) -> Result<Vec<String>, Problem> {
    lock::exclusive(conn, lock::Key::of(caller.person()))?;
    let codes = second_factor::confirm(conn, caller.person(), code, seal, caller.now())?;
    note(conn, caller, EventKind::SecondFactorAdded, &[Reader::Notify])?;
    Ok(codes)
}

/// Removes it, with a code of it.
pub fn remove(conn: &mut Connection, caller: &Caller, code: &str, seal: &Secret) -> Result<(), Problem> {
    lock::exclusive(conn, lock::Key::of(caller.person()))?;
    if !second_factor::is_confirmed(conn, caller.person())? {
        return Err(Problem::not_found("second factor"));
    }
    if !second_factor::check(conn, caller.person(), code, seal, caller.now())? {
        return Err(Problem::invalid("/code", "is not the code of this moment"));
    }
    second_factor::remove(conn, caller.person())?;
    note(conn, caller, EventKind::SecondFactorRemoved, &[Reader::Notify])
}

fn note(conn: &mut Connection, caller: &Caller, kind: EventKind, readers: &[Reader]) -> Result<(), Problem> {
    let subject = (SubjectKind::Person, caller.person());
    let event = Event::next(
        kind,
        subject,
        caller.tenant(),
        (&caller.actor(), caller.now()),
        json!({}),
    );
    journal::append(conn, event, readers)
}
