//! The second factor: codes of an authenticator (TOTP, RFC 6238) and recovery codes for the day it is lost.
//!
//! The secret is sealed, a code is accepted once (§5.2), recovery codes are kept hashed and each is used once.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::prelude::*;
use serde::Serialize;
use totp_rs::{Builder, Secret as Shared, Totp};
use utoipa::ToSchema;

use super::keys::Secret;
use crate::db::schema::{recovery_codes, second_factors};
use crate::db::{Connection, Moment, PersonId};
use crate::problem::{Code, Problem};

/// How many recovery codes there are.
const RECOVERY_CODES: usize = 10;
/// The letters of recovery codes: none that looks like another.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";

/// A second factor: the row is the model.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = second_factors, treat_none_as_default_value = false)]
struct SecondFactor {
    person_id: PersonId,
    sealed: String,
    confirmed_at: Option<Moment>,
    last_step: i32,
    created_at: Moment,
}

/// What an authenticator is set up with, shown once.
#[derive(Debug, Serialize, ToSchema)]
pub struct Enrolment {
    /// The shared secret in base32, to type.
    pub secret: String,
    /// The same as an `otpauth://` URL, to scan.
    pub url: String,
}

/// Whether codes are asked of this person.
pub fn is_confirmed(conn: &mut Connection, person: PersonId) -> Result<bool, Problem> {
    Ok(find(conn, person)?.is_some_and(|factor| factor.confirmed_at.is_some()))
}

/// Begins to set one up; it is asked for once it is confirmed.
pub fn begin(
    conn: &mut Connection,
    (person, email): (PersonId, &str),
    seal: &Secret,
    now: Moment,
) -> Result<Enrolment, Problem> {
    if is_confirmed(conn, person)? {
        return Err(Problem::new(
            Code::AlreadyExists,
            "there is a second factor; remove it first",
        ));
    }
    let mut shared = [0u8; 20];
    rand::fill(&mut shared);
    let totp = totp(&shared, email)?;
    diesel::delete(second_factors::table.find(person)).execute(conn)?;
    let row = SecondFactor {
        person_id: person,
        sealed: seal.seal(&sealed_for(person), &shared)?,
        confirmed_at: None,
        last_step: 0,
        created_at: now,
    };
    diesel::insert_into(second_factors::table)
        .values(&row)
        .execute(conn)?;
    Ok(Enrolment {
        secret: totp.secret().to_base32(),
        url: totp
            .to_url()
            .map_err(|error| Problem::internal(error.to_string()))?,
    })
}

/// Confirms it with a code of the authenticator; the recovery codes, shown once.
pub fn confirm(
    conn: &mut Connection,
    person: PersonId,
    code: &str,
    seal: &Secret,
    now: Moment,
) -> Result<Vec<String>, Problem> {
    let factor = find(conn, person)?.ok_or_else(|| Problem::not_found("second factor"))?;
    if factor.confirmed_at.is_some() {
        return Err(Problem::new(Code::AlreadyExists, "it is confirmed already"));
    }
    if !accept(conn, &factor, code, seal, now)? {
        return Err(Problem::invalid("/code", "is not the code of this moment"));
    }
    diesel::update(second_factors::table.find(person))
        .set(second_factors::confirmed_at.eq(Some(now)))
        .execute(conn)?;
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
    for code in &codes {
        let row = (
            recovery_codes::person_id.eq(person),
            recovery_codes::digest.eq(digest_of(code)),
        );
        diesel::insert_into(recovery_codes::table)
            .values(row)
            .execute(conn)?;
    }
    Ok(codes)
}

/// Whether a code of the authenticator, or a recovery code, is right; it is used up with that.
pub fn check(
    conn: &mut Connection,
    person: PersonId,
    code: &str,
    seal: &Secret,
    now: Moment,
) -> Result<bool, Problem> {
    let Some(factor) = find(conn, person)? else {
        return Ok(false);
    };
    if accept(conn, &factor, code, seal, now)? {
        return Ok(true);
    }
    let row = recovery_codes::table.find((person, digest_of(code)));
    Ok(diesel::delete(row).execute(conn)? == 1)
}

/// Takes it away with its recovery codes; `false` when there was none.
pub fn remove(conn: &mut Connection, person: PersonId) -> Result<bool, Problem> {
    diesel::delete(recovery_codes::table.filter(recovery_codes::person_id.eq(person))).execute(conn)?;
    Ok(diesel::delete(second_factors::table.find(person)).execute(conn)? == 1)
}

fn find(conn: &mut Connection, person: PersonId) -> Result<Option<SecondFactor>, Problem> {
    Ok(second_factors::table
        .find(person)
        .select(SecondFactor::as_select())
        .first(conn)
        .optional()?)
}

/// Accepts a code whose step is later than that of the last one.
fn accept(
    conn: &mut Connection,
    factor: &SecondFactor,
    code: &str,
    seal: &Secret,
    now: Moment,
) -> Result<bool, Problem> {
    let shared = seal.open(&sealed_for(factor.person_id), &factor.sealed)?;
    let seconds = u64::try_from(now.utc().timestamp()).unwrap_or_default();
    let step = totp(&shared, "")?.check(code.trim(), seconds);
    let Some(step) = step.and_then(|step| i32::try_from(step).ok()) else {
        return Ok(false);
    };
    let row = second_factors::table
        .find(factor.person_id)
        .filter(second_factors::last_step.lt(step));
    Ok(diesel::update(row)
        .set(second_factors::last_step.eq(step))
        .execute(conn)?
        == 1)
}

fn totp(shared: &[u8], account: &str) -> Result<Totp, Problem> {
    let builder = Builder::new()
        .with_secret(Shared::new(shared.into()))
        .with_account_name(account.replace(':', " "))
        .with_issuer(Some("Allclear"));
    builder
        .build()
        .map_err(|error| Problem::internal(error.to_string()))
}

fn sealed_for(person: PersonId) -> String {
    format!("second factor {person}")
}

/// Two groups of five letters: 50 random bits.
fn recovery_code() -> String {
    let mut bytes = [0u8; 10];
    rand::fill(&mut bytes);
    let letters: String = bytes
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(byte % 32)))
        .map(|letter| char::from(*letter))
        .collect();
    let (first, second) = letters.split_at(5);
    format!("{first}-{second}")
}

fn digest_of(code: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, code.trim().to_lowercase().as_bytes()))
}
