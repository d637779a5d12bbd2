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
use crate::db::{Moment, PersonId, TenantId};
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

    /// A token for a person in a role at a tenant.
    pub fn mint(&self, sub: PersonId, tenant: TenantId, role: Role, now: Moment) -> Result<String, Problem> {
        let key = self.keys.newest()?;
        let iat = now.utc().timestamp();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub,
            tenant,
            role,
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
    pub fn verify(&self, token: &str, now: Moment) -> Result<Claims, Problem> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| refused())?;
        if header.alg != Algorithm::EdDSA || header.typ.as_deref() != Some(TYPE) || header.crit.is_some() {
            return Err(refused());
        }
        let key = header
            .kid
            .as_deref()
            .and_then(|kid| self.keys.find(kid))
            .ok_or_else(refused)?;
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
