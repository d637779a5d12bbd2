//! Access tokens: JWTs signed with EdDSA (RFC 8037), validated as RFC 8725 asks.
//!
//! The library's defaults are wider than that, so each check is set or made here: the algorithm is pinned, the key
//! is looked up by `kid` among our own, `typ` is `at+jwt` (RFC 9068), `crit` is refused, `iss` and `aud` are
//! demanded, and times are compared with the injected clock without leeway.

use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::keys::Keys;
use super::model::Role;
use super::session::Lasting;
use crate::db::{IdentityProviderId, Moment, PersonId, SessionId, TenantId};
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
    /// The identity provider that vouched for the person, of whoever signed in with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp: Option<IdentityProviderId>,
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

    /// Who issues them: this installation, as others name it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// How long a token is valid, in seconds.
    pub fn lifetime_seconds(&self) -> i64 {
        self.lifetime.num_seconds()
    }

    /// A token for a person in a role at a tenant, of no session.
    pub fn mint(&self, sub: PersonId, tenant: TenantId, role: Role, now: Moment) -> Result<String, Problem> {
        self.sign((sub, tenant, role), None, now)
    }

    /// A token of a session.
    pub fn of_session(&self, lasting: &Lasting, now: Moment) -> Result<String, Problem> {
        let (tenant, person) = lasting.membership;
        self.sign((person, tenant, lasting.role), Some(lasting), now)
    }

    fn sign(
        &self,
        (sub, tenant, role): (PersonId, TenantId, Role),
        session: Option<&Lasting>,
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
            sid: session.map(|lasting| lasting.id),
            idp: session.and_then(|lasting| lasting.provider),
            must_enrol: session.is_some_and(|lasting| lasting.must_enrol),
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
        let kid = named_key(token)?;
        let key = self.keys.find_or_look(&kid, now).await?.ok_or_else(refused)?;
        judged(token, &key.decoding, &self.issuer, now)
    }
}

/// The header of a token, of one with nothing in it that would have to be obeyed: extensions (RFC 7515 §4.1.11), or keys
/// that it brings along or says where to get (RFC 8725 §3.10).
pub fn plain_header(token: &str) -> Option<Header> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    let brings_keys =
        header.jwk.is_some() || header.jku.is_some() || header.x5u.is_some() || header.x5c.is_some();
    (!brings_keys && header.crit.is_none()).then_some(header)
}

/// The name of the key that a token says it is signed with, if its header is like those that we write.
fn named_key(token: &str) -> Result<String, Problem> {
    let header = plain_header(token).ok_or_else(refused)?;
    if header.alg != Algorithm::EdDSA || header.typ.as_deref() != Some(TYPE) {
        return Err(refused());
    }
    header.kid.ok_or_else(refused)
}

/// What a token says, if this key has signed it and it is valid now.
fn judged(token: &str, key: &DecodingKey, issuer: &str, now: Moment) -> Result<Claims, Problem> {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    // Against our clock, below.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let claims = jsonwebtoken::decode::<Claims>(token, key, &validation)
        .map_err(|_| refused())?
        .claims;
    claims.check_time(now)?;
    Ok(claims)
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
            idp: None,
            must_enrol: false,
            iat: 0,
            nbf: 0,
            exp: i64::MAX,
        }
    }

    /// What stands for the claims of a token of an identity provider: what was found of it here, until it expires.
    pub fn of_provider(
        (sub, tenant, role): (PersonId, TenantId, Role),
        provider: IdentityProviderId,
        exp: i64,
    ) -> Self {
        Self {
            idp: Some(provider),
            exp,
            ..Self::of_key(sub, tenant, role)
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

/// One test for each attack: on a token that is taken as it stands, one thing is changed.
#[cfg(test)]
mod attacks {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::signature::Ed25519KeyPair;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    use jsonwebtoken::EncodingKey;
    use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://desk.example";
    const NOW: i64 = 1_283_882_400;

    /// A key pair, and its public half as it is published.
    struct Pair {
        encoding: EncodingKey,
        jwk: Jwk,
    }

    impl Pair {
        fn new() -> Self {
            let pair = Ed25519KeyPair::generate().unwrap();
            let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
            let encoding = EncodingKey::from_ed_der(der.as_ref());
            let jwk = Jwk::from_encoding_key(&encoding, Algorithm::EdDSA).unwrap();
            Self { encoding, jwk }
        }

        /// The public half, as bytes that a secret could be made of.
        fn public(&self) -> String {
            match &self.jwk.algorithm {
                AlgorithmParameters::OctetKeyPair(pair) => pair.x.clone(),
                other => panic!("{other:?}"),
            }
        }
    }

    fn claims() -> Value {
        let id = uuid::Uuid::from_u128(7);
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": id, "tenant": id, "role": "tenant_admin",
            "iat": NOW, "nbf": NOW, "exp": NOW + 900,
        })
    }

    fn header() -> Header {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some("ours".to_owned());
        header
    }

    fn verify(token: &str, ours: &Pair) -> Result<Claims, Problem> {
        let key = DecodingKey::from_jwk(&ours.jwk).unwrap();
        // There is one key, and it is found by its name among our own.
        let known = Some(named_key(token)?).filter(|kid| kid == "ours");
        known.ok_or_else(refused)?;
        judged(token, &key, ISSUER, at(NOW))
    }

    fn at(seconds: i64) -> Moment {
        chrono::DateTime::from_timestamp(seconds, 0).unwrap().into()
    }

    fn signed(header: &Header, claims: &Value, pair: &Pair) -> String {
        jsonwebtoken::encode(header, claims, &pair.encoding).unwrap()
    }

    fn with_header(pair: &Pair, change: impl FnOnce(&mut Header)) -> String {
        let mut header = header();
        change(&mut header);
        signed(&header, &claims(), pair)
    }

    fn claiming(pair: &Pair, field: &str, value: Value) -> String {
        let mut claims = claims();
        claims[field] = value;
        signed(&header(), &claims, pair)
    }

    fn without(pair: &Pair, field: &str) -> String {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(field);
        signed(&header(), &claims, pair)
    }

    /// Header, body and signature of the token that is taken.
    fn parts(pair: &Pair) -> [String; 3] {
        let token = signed(&header(), &claims(), pair);
        let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
        parts.try_into().unwrap()
    }

    fn encoded(part: &Value) -> String {
        BASE64.encode(part.to_string())
    }

    fn unsigned(pair: &Pair, algorithm: &str, signature: &str) -> String {
        let [_, body, _] = parts(pair);
        let header = json!({"alg": algorithm, "typ": TYPE, "kid": "ours"});
        format!("{}.{body}.{signature}", encoded(&header))
    }

    fn with_secret(secret: &[u8]) -> String {
        let mut header = header();
        header.alg = Algorithm::HS256;
        jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap()
    }

    #[test]
    fn the_token_that_they_start_from_is_taken() {
        let pair = Pair::new();
        assert!(verify(&signed(&header(), &claims(), &pair), &pair).is_ok());
    }

    macro_rules! refused {
        ($($attack:ident: |$pair:ident| $token:expr;)*) => {$(
            #[test]
            fn $attack() {
                let $pair = &Pair::new();
                let token: String = $token;
                assert_eq!(verify(&token, $pair).unwrap_err().code(), Code::Unauthenticated, "{token}");
            }
        )*};
    }

    refused! {
        raised_claims: |pair| {
            let [head, _, signature] = parts(pair);
            let mut raised = claims();
            raised["role"] = json!("operator");
            format!("{head}.{}.{signature}", encoded(&raised))
        };
        another_header: |pair| {
            let [_, body, signature] = parts(pair);
            format!("{}.{body}.{signature}", encoded(&json!({"alg": "EdDSA", "typ": TYPE, "kid": "ours", "x": 1})))
        };
        a_flipped_bit: |pair| {
            let [head, body, signature] = parts(pair);
            let mut bytes = BASE64.decode(signature).unwrap();
            bytes[0] ^= 1;
            format!("{head}.{body}.{}", BASE64.encode(bytes))
        };
        no_signature: |pair| { let [head, body, _] = parts(pair); format!("{head}.{body}.") };
        two_parts: |pair| { let [head, body, _] = parts(pair); format!("{head}.{body}") };
        alg_none: |pair| unsigned(pair, "none", "");
        alg_none_with_a_signature: |pair| { let [.., signature] = parts(pair); unsigned(pair, "none", &signature) };
        alg_none_in_capitals: |pair| unsigned(pair, "NONE", "");
        hmac_with_the_public_key: |pair| with_secret(&BASE64.decode(pair.public()).unwrap());
        hmac_with_the_published_text: |pair| with_secret(pair.public().as_bytes());
        hmac_with_nothing: |_pair| with_secret(b"");
        another_algorithm: |pair| { let [.., signature] = parts(pair); unsigned(pair, "ES256", &signature) };
        a_strangers_key: |_pair| signed(&header(), &claims(), &Pair::new());
        an_unknown_kid: |pair| with_header(pair, |header| header.kid = Some("theirs".to_owned()));
        no_kid: |pair| with_header(pair, |header| header.kid = None);
        crit: |pair| with_header(pair, |header| header.crit = Some(vec!["exp".to_owned()]));
        an_embedded_key: |_pair| {
            let stranger = Pair::new();
            with_header(&stranger, |header| header.jwk = Some(stranger.jwk.clone()))
        };
        an_embedded_key_beside_ours: |pair| with_header(pair, |header| header.jwk = Some(Pair::new().jwk));
        a_key_elsewhere: |pair| with_header(pair, |header| header.jku = Some("https://evil.example/keys".to_owned()));
        a_certificate_elsewhere: |pair| with_header(pair, |header| header.x5u = Some("https://evil.example/chain".to_owned()));
        an_embedded_certificate: |pair| with_header(pair, |header| header.x5c = Some(vec!["AAAA".to_owned()]));
        another_type: |pair| with_header(pair, |header| header.typ = Some("JWT".to_owned()));
        no_type: |pair| with_header(pair, |header| header.typ = None);
        another_issuer: |pair| claiming(pair, "iss", json!("https://elsewhere.example"));
        several_issuers: |pair| claiming(pair, "iss", json!([ISSUER, "https://elsewhere.example"]));
        another_audience: |pair| claiming(pair, "aud", json!("elsewhere"));
        expired_this_second: |pair| claiming(pair, "exp", json!(NOW));
        valid_from_the_next_second: |pair| claiming(pair, "nbf", json!(NOW + 1));
        an_expiry_that_is_text: |pair| claiming(pair, "exp", json!("9999999999"));
        no_expiry: |pair| without(pair, "exp");
        no_begin: |pair| without(pair, "nbf");
        no_audience: |pair| without(pair, "aud");
        no_issuer: |pair| without(pair, "iss");
        no_subject: |pair| without(pair, "sub");
        an_unknown_role: |pair| claiming(pair, "role", json!("king"));
        nonsense: |_pair| "nonsense".to_owned();
        endless_parts: |_pair| "x.".repeat(1000);
    }
}
