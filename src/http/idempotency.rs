//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a repeated call has its effect once.
//!
//! The answer is kept in the transaction of the effect, for 24 hours; only 2xx answers are kept. A second call
//! while the first runs waits for it behind a lock, up to the five seconds of the engine's lock timeout.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use diesel::prelude::*;

use super::Answer;
use crate::db::schema::idempotency_keys;
use crate::db::{Connection, Moment, PersonId, TenantId, lock};
use crate::problem::{Code, Problem};

/// How long an answer is kept.
pub const KEPT: TimeDelta = TimeDelta::hours(24);

/// The key of a call, with where it was used; by default none.
#[derive(Clone, Debug, Default)]
pub struct IdempotencyKey {
    method: String,
    path: String,
    key: Option<String>,
}

impl FromRequest for IdempotencyKey {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let refused = || {
            Problem::new(
                Code::InvalidHeader,
                "Idempotency-Key must be 1 to 255 visible ASCII characters",
            )
        };
        let key = match request.headers().get("idempotency-key") {
            None => Ok(None),
            Some(value) => match value.to_str() {
                Ok(key) if (1..=255).contains(&key.len()) && !key.contains('\t') => Ok(Some(key.to_owned())),
                _ => Err(refused()),
            },
        };
        ready(key.map(|key| Self {
            method: request.method().to_string(),
            path: request.path().to_owned(),
            key,
        }))
    }
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = idempotency_keys)]
struct Kept {
    tenant_id: TenantId,
    person_id: PersonId,
    method: String,
    path: String,
    key: String,
    digest: String,
    status: i32,
    location: Option<String>,
    etag: Option<String>,
    body: String,
    created_at: Moment,
}

impl IdempotencyKey {
    /// The answer that a call with this key had, if it was made before: for what does something outside the database
    /// before its effect.
    pub fn before(
        &self,
        conn: &mut Connection,
        (tenant, person): (TenantId, PersonId),
        body: &[u8],
        now: Moment,
    ) -> Result<Option<Answer>, Problem> {
        let Some(key) = &self.key else { return Ok(None) };
        let row = idempotency_keys::table.find((tenant, person, &self.method, &self.path, key));
        let kept = row.first::<Kept>(conn).optional()?;
        let kept = kept.filter(|kept| kept.is_fresh(now));
        kept.map(|kept| kept.replay(&digest_of(body))).transpose()
    }

    /// Runs `work`, or gives the answer that it had the first time.
    pub fn once(
        &self,
        conn: &mut Connection,
        (tenant, person): (TenantId, PersonId),
        body: &[u8],
        now: Moment,
        work: impl FnOnce(&mut Connection) -> Result<Answer, Problem>,
    ) -> Result<Answer, Problem> {
        let Some(key) = &self.key else { return work(conn) };
        let Self { method, path, .. } = self;
        let name = format!("idempotency {tenant} {person} {method} {path} {key}");
        lock::exclusive(conn, lock::Key::named(&name)).map_err(in_progress)?;
        let digest = digest_of(body);
        let row = idempotency_keys::table.find((tenant, person, method, path, key));
        if let Some(kept) = row.first::<Kept>(conn).optional()? {
            if kept.is_fresh(now) {
                return kept.replay(&digest);
            }
            diesel::delete(row).execute(conn)?;
        }
        let answer = work(conn)?;
        let kept = Kept {
            tenant_id: tenant,
            person_id: person,
            method: method.clone(),
            path: path.clone(),
            key: key.clone(),
            digest,
            status: i32::from(answer.status),
            location: answer.location.clone(),
            etag: answer.etag.clone(),
            body: answer.body.clone(),
            created_at: now,
        };
        diesel::insert_into(idempotency_keys::table)
            .values(kept)
            .execute(conn)?;
        Ok(answer)
    }
}

fn digest_of(body: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, body))
}

impl Kept {
    fn is_fresh(&self, now: Moment) -> bool {
        now.since(self.created_at) < KEPT
    }

    fn replay(self, digest: &str) -> Result<Answer, Problem> {
        if self.digest != digest {
            return Err(Problem::new(
                Code::IdempotencyKeyReused,
                "use a new key for a new call",
            ));
        }
        Ok(Answer {
            status: u16::try_from(self.status).unwrap_or(200),
            location: self.location,
            etag: self.etag,
            body: self.body,
        })
    }
}

fn in_progress(error: diesel::result::Error) -> Problem {
    let problem = Problem::from(error);
    if problem.to_string().contains("lock timeout") {
        return Problem::new(
            Code::IdempotencyInProgress,
            "the first call with this key is still running",
        );
    }
    problem
}

/// Forgets what is older than [`KEPT`]; how many there were.
pub fn forget_old(conn: &mut Connection, now: Moment) -> Result<usize, Problem> {
    let old = idempotency_keys::created_at.lt(now.plus(-KEPT));
    Ok(diesel::delete(idempotency_keys::table.filter(old)).execute(conn)?)
}
