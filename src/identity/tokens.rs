//! Access tokens: JWTs signed with EdDSA (RFC 8037), validated as RFC 8725 asks.
//!
//! The library's defaults are wider than that, so each check is set or made here: the algorithm is pinned, the key
//! is looked up by `kid` among our own, `typ` is `at+jwt` (RFC 9068), `crit` is refused, `iss` and `aud` are
//! demanded, and times are compared with the injected clock without leeway.

use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};

use super::keys::Keys;
use super::model::Role;
use super::session::Lasting;
use crate::db::{Moment, PersonId, SessionId, TenantId};
use crate::problem::{Code, Problem};

/// Who the tokens are for.
const AUDIENCE: &str = "allclear";
/// What kind of token (RFC 9068 §2.1).
const TYPE: &str = "at+jwt";

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Claims {
    /// Who issued it: the public URL.
    pub iss: String,
    /// Who it is for.
    pub aud: String,
    /// The person.
    pub sub: PersonId,
    /// The tenant that the person acts for.
    pub tenant: TenantId,
    /// The role there.
    pub role: Role,
    /// The session; none in a token that was minted on the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    /// Whether a second factor has to be set up before anything else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub must_enrol: bool,
    /// Issued at, in seconds since 1970.
    pub iat: i64,
    /// Not valid before.
    pub nbf: i64,
    /// Not valid from then on.
    pub exp: i64,
}

/// Signs and validates.
#[derive(Clone)]
pub struct Tokens {
    keys: Keys,
    issuer: String,
    lifetime: TimeDelta,
}

impl Tokens {
    /// With these keys, for this issuer.
    pub fn new(keys: Keys, issuer: String, lifetime: TimeDelta) -> Self {
        Self {
            keys,
            issuer,
            lifetime,
        }
    }

    /// The keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// How long a token is valid, in seconds.
    pub fn lifetime_seconds(&self) -> i64 {
        self.lifetime.num_seconds()
    }

    /// A token for a person in a role at a tenant, of no session.
    pub fn mint(&self, sub: PersonId, tenant: TenantId, role: Role, now: Moment) -> Result<String, Problem> {
        self.sign((sub, tenant, role), (None, false), now)
    }

    /// A token of a session.
    pub fn of_session(&self, lasting: &Lasting, now: Moment) -> Result<String, Problem> {
        let (tenant, person) = lasting.membership;
        self.sign(
            (person, tenant, lasting.role),
            (Some(lasting.id), lasting.must_enrol),
            now,
        )
    }

    fn sign(
        &self,
        (sub, tenant, role): (PersonId, TenantId, Role),
        (sid, must_enrol): (Option<SessionId>, bool),
        now: Moment,
    ) -> Result<String, Problem> {
        let key = self.keys.newest()?;
        let iat = now.utc().timestamp();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub,
            tenant,
            role,
            sid,
            must_enrol,
            iat,
            nbf: iat,
            exp: iat.saturating_add(self.lifetime_seconds()),
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(key.kid.clone());
        jsonwebtoken::encode(&header, &claims, &key.encoding).map_err(Problem::internal)
    }

    /// What the token says, if it is one of ours and valid now.
    pub async fn verify(&self, token: &str, now: Moment) -> Result<Claims, Problem> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| refused())?;
        if header.alg != Algorithm::EdDSA || header.typ.as_deref() != Some(TYPE) || header.crit.is_some() {
            return Err(refused());
        }
        // Keys that a token brings along, or says where to get (RFC 8725 §3.10).
        if header.jwk.is_some() || header.jku.is_some() || header.x5u.is_some() || header.x5c.is_some() {
            return Err(refused());
        }
        let kid = header.kid.as_deref().ok_or_else(refused)?;
        let key = self.keys.find_or_look(kid, now).await?.ok_or_else(refused)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        // Against our clock, below.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation)
            .map_err(|_| refused())?
            .claims;
        claims.check_time(now)?;
        Ok(claims)
    }
}

impl Claims {
    /// What stands for the claims of an API key: its row says until when it can be used.
    pub fn of_key(sub: PersonId, tenant: TenantId, role: Role) -> Self {
        Self {
            iss: String::new(),
            aud: AUDIENCE.to_owned(),
            sub,
            tenant,
            role,
            sid: None,
            must_enrol: false,
            iat: 0,
            nbf: 0,
            exp: i64::MAX,
        }
    }

    /// Whether the token is valid at this time.
    pub fn check_time(&self, now: Moment) -> Result<(), Problem> {
        let now = now.utc().timestamp();
        if (self.nbf..self.exp).contains(&now) {
            Ok(())
        } else {
            Err(refused())
        }
    }
}

fn refused() -> Problem {
    Problem::new(
        Code::Unauthenticated,
        "the access token is not valid (any more): sign in",
    )
}
