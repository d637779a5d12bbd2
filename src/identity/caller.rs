//! The authenticated party of a call. A handler that does not take a [`Caller`] cannot reach an action.
//!
//! One extractor yields what a handler may use: who calls, the database, the clock, the preconditions. What a token
//! was found to say is remembered for a minute, since a signature costs more than a read; every write asks the
//! status of person, membership and tenant again, in its own transaction.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, web};
use aws_lc_rs::digest::{SHA256, digest};
use futures_util::future::LocalBoxFuture;
use moka::sync::Cache;
use parking_lot::Mutex;

use super::api_key;
use super::attempts::Attempt;
use super::model::Role;
use super::rights::{self, ForKeys, Reach, Right};
use super::scopes::Grantable;
use super::sso;
use super::store;
use super::tokens::{Claims, Tokens};
use crate::clock::Clock;
use crate::db::{Connection, Db, Moment, PersonId, Scope, SessionId, TenantId};
use crate::http::bell::Bell;
use crate::http::client;
use crate::http::idempotency::IdempotencyKey;
use crate::http::{Answer, IfMatch};
use crate::journal::Actor;
use crate::problem::{Code, Problem};

/// A token may be this long: 8 KiB.
const LONGEST: usize = 8 << 10;

/// What tokens were found to say, for a minute. They are known by their SHA-256: the memory it takes does not depend on
/// what is sent.
#[derive(Clone)]
pub struct Remembered(Cache<[u8; 32], Arc<Known>>);

/// What is known of a caller.
pub(super) struct Known {
    /// What the token says, or what stands for it.
    pub claims: Claims,
    /// The name.
    pub name: String,
    /// What an API key is limited to; a person has all of its role.
    pub scopes: Option<Vec<Grantable>>,
}

impl Known {
    fn may(&self, right: Right) -> bool {
        rights::allows(self.claims.role, right) && self.has_scope(right)
    }

    fn has_scope(&self, right: Right) -> bool {
        match (&self.scopes, right.row().keys) {
            (None, _) | (Some(_), ForKeys::Any) => true,
            (Some(_), ForKeys::Never) => false,
            (Some(scopes), ForKeys::With(scope)) => scopes.contains(&scope),
        }
    }

    /// Who this is in the history, calling from `from`.
    pub fn actor(&self, from: IpAddr) -> Actor {
        Actor {
            side: self.claims.role.side(),
            id: Some(self.claims.sub),
            name: self.name.clone(),
            address: Some(from),
        }
    }

    /// 403 without this right.
    pub fn require(&self, right: Right) -> Result<(), Problem> {
        if self.may(right) {
            return Ok(());
        }
        let role = self.claims.role;
        let detail = match right.row().keys {
            _ if !rights::allows(role, right) => format!("a {role} may not do this"),
            ForKeys::With(scope) => format!("the key lacks the scope `{scope}`"),
            ForKeys::Any | ForKeys::Never => "this is for people, not for keys".to_owned(),
        };
        Err(Problem::new(Code::Forbidden, detail))
    }
}

impl Remembered {
    fn fingerprint(token: &str) -> Result<[u8; 32], Problem> {
        digest(&SHA256, token.as_bytes())
            .as_ref()
            .try_into()
            .map_err(Problem::internal)
    }
}

impl Default for Remembered {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(50_000)
                .time_to_live(Duration::from_secs(60))
                .build(),
        )
    }
}

/// Who calls, and what the call may use.
#[derive(Clone)]
pub struct Caller {
    known: Arc<Known>,
    clock: Clock,
    db: Db,
    bell: Bell,
    idempotency: IdempotencyKey,
    /// The precondition of the call.
    pub if_match: IfMatch,
    /// Where the call comes from.
    from: IpAddr,
    /// Path and query, which cursors are bound to.
    list: String,
}

impl Caller {
    /// Somebody who does not call, but was recognised otherwise; what they ask for has no precondition.
    pub(super) fn recognised(known: Known, (db, clock, bell): (&Db, &Clock, &Bell), from: IpAddr) -> Self {
        Self {
            known: Arc::new(known),
            clock: clock.clone(),
            db: db.clone(),
            bell: bell.clone(),
            idempotency: IdempotencyKey::default(),
            if_match: IfMatch::Absent,
            from,
            list: String::new(),
        }
    }

    /// The person.
    pub fn person(&self) -> PersonId {
        self.known.claims.sub
    }

    /// The tenant that the person acts for; the provider for staff.
    pub fn tenant(&self) -> TenantId {
        self.known.claims.tenant
    }

    /// The session of the access token, if it has one.
    pub fn session(&self) -> Option<SessionId> {
        self.known.claims.sid
    }

    /// 403 of somebody whom an identity provider vouches for: password and second factor are the person's everywhere,
    /// and the provider speaks for one tenant.
    pub fn require_own_sign_in(&self) -> Result<(), Problem> {
        match self.known.claims.idp {
            None => Ok(()),
            Some(_) => Err(Problem::new(
                Code::Forbidden,
                "whoever signs in with an identity provider changes passwords and factors there",
            )),
        }
    }

    /// Whether an identity provider vouches for the caller.
    pub fn is_federated(&self) -> bool {
        self.known.claims.idp.is_some()
    }

    /// The role there.
    pub fn role(&self) -> Role {
        self.known.claims.role
    }

    /// Whether the caller is one of the provider's.
    pub fn is_staff(&self) -> bool {
        self.role().is_staff()
    }

    /// Whose rows the caller may see.
    pub fn scope(&self) -> Scope {
        if self.is_staff() {
            Scope::of_staff()
        } else {
            Scope::of_tenant(self.tenant())
        }
    }

    /// How far the caller reaches with this right.
    pub fn reach(&self, right: Right) -> Option<Reach> {
        rights::reach(self.role(), right)
    }

    /// Now. Asked after a lock is taken, it is later than whatever the lock waited for.
    pub fn now(&self) -> Moment {
        self.clock.now().into()
    }

    /// The caller in the history.
    pub fn actor(&self) -> Actor {
        self.known.actor(self.from)
    }

    /// Where the call comes from.
    pub fn address(&self) -> IpAddr {
        self.from
    }

    /// Whether the caller is an API key.
    pub fn is_key(&self) -> bool {
        self.known.scopes.is_some()
    }

    /// Whether the caller has this right: by its role, and as a key by its scopes.
    pub fn may(&self, right: Right) -> bool {
        self.known.may(right)
    }

    /// 403 without this right. The door has asked for what the operation needs; this is for what depends on the case,
    /// and for actions that more than one operation leads to.
    pub fn require(&self, right: Right) -> Result<(), Problem> {
        self.known.require(right)
    }

    /// What a cursor of this call is bound to: caller, path and filters.
    pub fn binding(&self) -> String {
        format!("{} {} {}", self.person(), self.tenant(), self.list)
    }

    /// Counts an attempt of the caller at a secret, or refuses it as too early.
    pub(super) async fn attempt(
        &self,
        take: impl Fn(&mut Connection, PersonId, Moment) -> Result<Attempt, Problem> + Send + Sync + 'static,
    ) -> Result<Attempt, Problem> {
        let (person, now) = (self.person(), self.now());
        self.db
            .write(self.scope(), move |conn| take(conn, person, now))
            .await
    }

    /// Runs a query; short indexed ones in place.
    pub async fn read<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut Connection, &Caller) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (db, scope) = (self.db.clone(), self.scope());
        db.read(scope, move |conn| work(conn, &self)).await
    }

    /// The same for several queries that belong together: all of them see the database as it was at one instant.
    pub async fn snapshot<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut Connection, &Caller) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (db, scope) = (self.db.clone(), self.scope());
        db.snapshot(scope, move |conn| work(conn, &self)).await
    }

    /// The same for what reads a row or two by key.
    pub async fn read_here<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut Connection, &Caller) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (db, scope) = (self.db.clone(), self.scope());
        db.read_here(scope, move |conn| work(conn, &self)).await
    }

    /// Runs an action in a transaction: once for an idempotency key, and only while the account is in good standing.
    pub async fn write(
        self,
        body: web::Bytes,
        work: impl Fn(&mut Connection, &Caller) -> Result<Answer, Problem> + Send + Sync + 'static,
    ) -> Result<HttpResponse, Problem> {
        let (db, bell, scope) = (self.db.clone(), self.bell.clone(), self.scope());
        let answer = db.write(scope, move |conn| {
            self.confirm(conn)?;
            let whose = (self.tenant(), self.person());
            self.idempotency
                .once(conn, whose, &body, self.now(), |conn| work(conn, &self))
        });
        let answer = answer.await?;
        bell.ring();
        Ok(answer.respond())
    }

    /// Writes down what an action begins with, in a transaction of its own: for one that does something outside the database
    /// before it is done, and may not come so far. Not again for an idempotency key.
    pub async fn begin<T: Send + 'static>(
        &self,
        body: web::Bytes,
        work: impl Fn(&mut Connection, &Caller) -> Result<T, Problem> + Send + Sync + 'static,
    ) -> Result<Begun<T>, Problem> {
        let caller = self.clone();
        let begun = self.db.write(self.scope(), move |conn| {
            caller.confirm(conn)?;
            let whose = (caller.tenant(), caller.person());
            match caller.idempotency.before(conn, whose, &body, caller.now())? {
                Some(answer) => Ok(Begun::Before(answer)),
                None => work(conn, &caller).map(Begun::Now),
            }
        });
        begun.await
    }

    /// Runs an action in a transaction, takes what came of it, and undoes it.
    pub async fn rehearse<T: Send + 'static>(
        self,
        work: impl Fn(&mut Connection, &Caller) -> Result<T, Problem> + Send + Sync + 'static,
    ) -> Result<T, Problem> {
        let (db, scope) = (self.db.clone(), self.scope());
        let seen = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&seen);
        let undone: Result<(), Problem> = db
            .write(scope, move |conn| {
                self.confirm(conn)?;
                let done = work(conn, &self)?;
                *slot.lock() = Some(done);
                Err(Problem::new(Code::Conflict, "only tried"))
            })
            .await;
        let done = seen.lock().take();
        match (done, undone) {
            (Some(done), _) => Ok(done),
            (None, Err(problem)) => Err(problem),
            (None, Ok(())) => Err(Problem::internal("it was not undone")),
        }
    }

    /// The same for an answer with a secret in it, of which only `kept` is there for a repeated call.
    pub async fn write_secret(
        self,
        body: web::Bytes,
        work: impl Fn(&mut Connection, &Caller) -> Result<Disclosed, Problem> + Send + Sync + 'static,
    ) -> Result<HttpResponse, Problem> {
        let (db, bell, scope) = (self.db.clone(), self.bell.clone(), self.scope());
        let answer = db.write(scope, move |conn| {
            self.confirm(conn)?;
            let whose = (self.tenant(), self.person());
            let mut disclosed = None;
            let once = |conn: &mut Connection| {
                let Disclosed { shown, kept } = work(conn, &self)?;
                disclosed = Some(shown);
                Ok(kept)
            };
            let kept = self.idempotency.once(conn, whose, &body, self.now(), once)?;
            Ok(disclosed.unwrap_or(kept))
        });
        let answer = answer.await?;
        bell.ring();
        Ok(answer.respond())
    }

    /// 401 if the account, its role or its tenant is no longer what the token says.
    fn confirm(&self, conn: &mut Connection) -> Result<(), Problem> {
        match store::standing(conn, self.person(), self.tenant(), self.session())? {
            Some((role, _)) if role == self.role() => {}
            _ => return Err(no_longer()),
        }
        if self.is_key() && !api_key::store::is_live(conn, self.tenant(), self.person().of(), self.now())? {
            return Err(no_longer());
        }
        // Whomever a provider has let in is out with it, with a session or a token of its own.
        if let Some(provider) = self.known.claims.idp
            && !sso::store::is_open(conn, self.tenant(), provider)?
        {
            return Err(no_longer());
        }
        Ok(())
    }
}

/// An action that has begun.
#[derive(Debug)]
pub enum Begun<T> {
    /// With this.
    Now(T),
    /// It was done before, by the same call, with this answer.
    Before(Answer),
}

/// An answer that is shown once.
pub struct Disclosed {
    /// What the caller gets.
    pub shown: Answer,
    /// The same without what is secret, for an idempotency key.
    pub kept: Answer,
}

pub(super) fn no_longer() -> Problem {
    Problem::new(
        Code::Unauthenticated,
        "the account is disabled or its role has changed: sign in again",
    )
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let if_match = IfMatch::from_request(&request, payload).into_inner();
        let idempotency = IdempotencyKey::from_request(&request, payload).into_inner();
        Box::pin(async move {
            let let_in = request.extensions().get::<Arc<Known>>().cloned();
            let known = match let_in {
                Some(known) => known,
                // The operation is open, and looks at who calls all the same.
                None => authenticate(&request).await?,
            };
            Ok(Self {
                known,
                clock: part(&request)?,
                db: part(&request)?,
                bell: part(&request)?,
                idempotency: idempotency?,
                if_match: if_match?,
                from: client::address(&request),
                list: list(&request),
            })
        })
    }
}

/// Path and filters, without the place in the list.
fn list(request: &HttpRequest) -> String {
    let mut filters: Vec<_> = request
        .query_string()
        .split('&')
        .filter(|pair| !pair.starts_with("cursor=") && !pair.starts_with("limit="))
        .collect();
    filters.sort_unstable();
    format!("{}?{}", request.path(), filters.join("&"))
}

pub(super) fn part<T: Clone + 'static>(request: &HttpRequest) -> Result<T, Problem> {
    request
        .app_data::<web::Data<T>>()
        .map(|data| data.get_ref().clone())
        .ok_or_else(|| Problem::internal(format!("the server has no {}", std::any::type_name::<T>())))
}

/// Who calls, by the bearer token.
pub(super) async fn authenticate(request: &HttpRequest) -> Result<Arc<Known>, Problem> {
    let token = bearer(request)?;
    let db = part::<Db>(request)?;
    let now = part::<Clock>(request)?.now().into();
    // A key is asked for at every call: its revocation is immediate, and there is no signature to save.
    if let Some(key) = api_key::parse(token) {
        let known = db
            .read_here(Scope::of_tenant(key.tenant), move |conn| {
                api_key::authenticate(conn, &key, now)
            })
            .await?;
        let (known, stale) = known.ok_or_else(no_longer)?;
        if stale {
            api_key::note_use(&db, (known.claims.tenant, known.claims.sub.of()), now);
        }
        return Ok(Arc::new(known));
    }
    let remembered = part::<Remembered>(request)?;
    let fingerprint = Remembered::fingerprint(token)?;
    if let Some(known) = remembered.0.get(&fingerprint) {
        known.claims.check_time(now)?;
        return Ok(known);
    }
    if let Some(known) = sso::bearer::authenticate(request, token, now).await? {
        let known = Arc::new(known);
        remembered.0.insert(fingerprint, Arc::clone(&known));
        return Ok(known);
    }
    let claims = part::<Tokens>(request)?.verify(token, now).await?;
    let (sub, tenant, session) = (claims.sub, claims.tenant, claims.sid);
    let standing = db
        .read_here(Scope::of_tenant(tenant), move |conn| {
            store::standing(conn, sub, tenant, session)
        })
        .await?;
    let (role, name) = standing.ok_or_else(no_longer)?;
    if role != claims.role {
        return Err(no_longer());
    }
    let known = Arc::new(Known {
        claims,
        name,
        scopes: None,
    });
    remembered.0.insert(fingerprint, Arc::clone(&known));
    Ok(known)
}

/// The token of an `Authorization: Bearer` header (RFC 6750 §2.1); the scheme in any case.
fn bearer(request: &HttpRequest) -> Result<&str, Problem> {
    let missing = || {
        Problem::new(
            Code::Unauthenticated,
            "send Authorization: Bearer with an access token",
        )
    };
    let value = request.headers().get(header::AUTHORIZATION).ok_or_else(missing)?;
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(missing());
    }
    if token.len() > LONGEST {
        return Err(Problem::new(
            Code::Unauthenticated,
            "an access token has 8 KiB at most",
        ));
    }
    Ok(token.trim())
}
