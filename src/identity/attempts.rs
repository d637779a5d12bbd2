//! Guessing is slow: how many attempts at a secret have failed, and how long the next one has to wait.
//!
//! An attempt is counted before it is judged, so that a hundred at once are a hundred, and forgiven when it succeeds.
//! What is counted is kept in the database: it holds for all replicas, and over a restart. One that comes too early is
//! refused without being counted, so a stranger who hammers at an account delays others by no more than [`Kind::most`];
//! and its owner, at an address where a session of theirs was, is counted apart from strangers.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use diesel::prelude::*;

use crate::db::schema::{people, sessions, sign_in_attempts};
use crate::db::{Connection, Moment, PersonId, lock};
use crate::http::client;
use crate::problem::{Code, Problem};

/// Failures are forgotten after this long without one.
const QUIET: TimeDelta = TimeDelta::hours(24);

/// What is guessed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The password of an account, from anywhere.
    Account,
    /// The same from where its owner has been.
    Known,
    /// Any password, from one address.
    Address,
    /// A code of a second factor, by somebody who has the password.
    Code,
    /// One's own password, by whoever has the session.
    Own,
    /// Mail with a link, asked for from one address.
    Mail,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Known => "known",
            Self::Address => "address",
            Self::Code => "code",
            Self::Own => "own",
            Self::Mail => "mail",
        }
    }

    /// So many may fail before there is any wait.
    fn free(self) -> i32 {
        match self {
            Self::Account | Self::Code | Self::Own => 5,
            Self::Known | Self::Mail => 10,
            Self::Address => 50,
        }
    }

    /// The longest wait.
    fn most(self) -> TimeDelta {
        match self {
            Self::Account | Self::Known => TimeDelta::minutes(1),
            Self::Address | Self::Own | Self::Mail => TimeDelta::minutes(15),
            Self::Code => TimeDelta::hours(1),
        }
    }

    /// How long after the last of so many failures the next attempt may come: a second, doubling.
    fn wait(self, failures: i32) -> TimeDelta {
        let beyond = failures.saturating_sub(self.free());
        if beyond < 0 {
            return TimeDelta::zero();
        }
        let seconds = 1_i64
            .checked_shl(beyond.unsigned_abs().min(20))
            .unwrap_or(i64::MAX);
        TimeDelta::seconds(seconds).min(self.most())
    }
}

/// What one attempt is counted under.
#[derive(Clone, Debug)]
struct Subject {
    kind: Kind,
    name: String,
}

impl Subject {
    /// The row has a digest: the table tells nobody who tried what.
    fn of(kind: Kind, what: &str) -> Self {
        let digest = digest(&SHA256, what.as_bytes());
        let name = format!("{}:{}", kind.name(), URL_SAFE_NO_PAD.encode(digest));
        Self { kind, name }
    }

    fn at(kind: Kind, address: IpAddr) -> Self {
        Self::of(kind, &client::network(address).to_string())
    }
}

/// An attempt that was let through, and is counted until its outcome is known.
#[derive(Clone, Debug)]
pub struct Attempt(Vec<Subject>);

/// Signing in to the account of this address, whether there is one or not.
pub fn sign_in(conn: &mut Connection, email: &str, from: IpAddr, now: Moment) -> Result<Attempt, Problem> {
    let account = if was_here(conn, email, from)? {
        Subject::of(Kind::Known, &format!("{email} {from}"))
    } else {
        Subject::of(Kind::Account, email)
    };
    take(conn, vec![account, Subject::at(Kind::Address, from)], now)
}

/// A code of this person's second factor.
pub fn code(conn: &mut Connection, person: PersonId, now: Moment) -> Result<Attempt, Problem> {
    take(conn, vec![Subject::of(Kind::Code, &person.to_string())], now)
}

/// The password of this person, by whoever is signed in.
pub fn own_password(conn: &mut Connection, person: PersonId, now: Moment) -> Result<Attempt, Problem> {
    take(conn, vec![Subject::of(Kind::Own, &person.to_string())], now)
}

/// A mail with a link.
pub fn mail(conn: &mut Connection, from: IpAddr, now: Moment) -> Result<Attempt, Problem> {
    take(conn, vec![Subject::at(Kind::Mail, from)], now)
}

/// Whether a session of the account was last used from there.
fn was_here(conn: &mut Connection, email: &str, from: IpAddr) -> Result<bool, Problem> {
    let found = sessions::table
        .inner_join(people::table.on(people::id.eq(sessions::person_id)))
        .filter(people::email.eq(email))
        .filter(sessions::address.eq(from.to_string()))
        .select(sessions::id)
        .first::<crate::db::SessionId>(conn)
        .optional()?;
    Ok(found.is_some())
}

/// Counts an attempt, or refuses it as too early.
fn take(conn: &mut Connection, mut subjects: Vec<Subject>, now: Moment) -> Result<Attempt, Problem> {
    // In one order, so that two attempts never wait for each other.
    subjects.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let mut counted = Vec::new();
    let mut wait = TimeDelta::zero();
    for subject in &subjects {
        lock::exclusive(conn, lock::Key::named(&subject.name))?;
        let row: Option<(i32, Moment)> = sign_in_attempts::table
            .find(&subject.name)
            .select((sign_in_attempts::failures, sign_in_attempts::last_at))
            .first(conn)
            .optional()?;
        let row = row.filter(|(_, last)| now.since(*last) < QUIET);
        let (failures, since) = row.map_or((0, QUIET), |(failures, last)| (failures, now.since(last)));
        wait = wait.max(subject.kind.wait(failures) - since);
        counted.push(failures.saturating_add(1));
    }
    if wait > TimeDelta::zero() {
        let detail = "too many attempts have failed: wait before the next one";
        return Err(Problem::new(Code::TooManyRequests, detail).retry_after(wait));
    }
    for (subject, failures) in subjects.iter().zip(counted) {
        put(conn, subject, failures, now)?;
    }
    Ok(Attempt(subjects))
}

fn put(conn: &mut Connection, subject: &Subject, failures: i32, now: Moment) -> Result<(), Problem> {
    diesel::delete(sign_in_attempts::table.find(&subject.name)).execute(conn)?;
    let row = (
        sign_in_attempts::subject.eq(&subject.name),
        sign_in_attempts::failures.eq(failures),
        sign_in_attempts::last_at.eq(now),
    );
    diesel::insert_into(sign_in_attempts::table)
        .values(row)
        .execute(conn)?;
    Ok(())
}

impl Attempt {
    /// It succeeded: nothing is held against the account. An address keeps what else failed from there, or its owner
    /// could sign in between guesses.
    pub fn succeeded(&self, conn: &mut Connection) -> Result<(), Problem> {
        for subject in &self.0 {
            match subject.kind {
                Kind::Address | Kind::Mail => forgive(conn, subject)?,
                Kind::Account | Kind::Known | Kind::Code | Kind::Own => {
                    diesel::delete(sign_in_attempts::table.find(&subject.name)).execute(conn)?;
                }
            }
        }
        Ok(())
    }

    /// It was none: it is not counted.
    pub fn was_none(&self, conn: &mut Connection) -> Result<(), Problem> {
        self.0.iter().try_for_each(|subject| forgive(conn, subject))
    }
}

fn forgive(conn: &mut Connection, subject: &Subject) -> Result<(), Problem> {
    let row = sign_in_attempts::table
        .find(&subject.name)
        .filter(sign_in_attempts::failures.gt(0));
    diesel::update(row)
        .set(sign_in_attempts::failures.eq(sign_in_attempts::failures - 1))
        .execute(conn)?;
    Ok(())
}

/// Somebody has proved by mail who they are: nothing is held against the account from anywhere.
pub fn pardon(conn: &mut Connection, email: &str) -> Result<(), Problem> {
    let account = Subject::of(Kind::Account, email);
    diesel::delete(sign_in_attempts::table.find(account.name)).execute(conn)?;
    Ok(())
}

/// Forgets what is held against nobody any more; how many rows.
pub fn forget_old(conn: &mut Connection, now: Moment) -> Result<usize, Problem> {
    let old = sign_in_attempts::table.filter(sign_in_attempts::last_at.lt(now.minus(QUIET)));
    Ok(diesel::delete(old).execute(conn)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failures_are_free_and_each_later_one_doubles_the_wait_up_to_the_most() {
        for (kind, failures, seconds) in [
            (Kind::Account, 0, 0),
            (Kind::Account, 4, 0),
            (Kind::Account, 5, 1),
            (Kind::Account, 6, 2),
            (Kind::Account, 10, 32),
            (Kind::Account, 11, 60),
            (Kind::Account, i32::MAX, 60),
            (Kind::Address, 49, 0),
            (Kind::Address, 50, 1),
            (Kind::Address, 1_000, 900),
            (Kind::Code, 17, 3_600),
        ] {
            assert_eq!(
                kind.wait(failures),
                TimeDelta::seconds(seconds),
                "{kind:?} {failures}"
            );
        }
    }
}
