//! What this process has heard from issuers: where their endpoints are (OpenID Connect Discovery §4) and which keys they
//! sign with.
//!
//! What was heard holds for an hour. A key that is not known is a reason to ask again, and so is its age; but an issuer
//! is asked once a minute at most, by one call at a time, however many tokens with invented names come in. While it
//! cannot be reached, its keys are believed for a day.

use std::sync::Arc;

use chrono::TimeDelta;
use jsonwebtoken::jwk::Jwk;
use moka::sync::Cache;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::signature::KeyName;
use super::wire::{Address, Password, Reply, Wire, unavailable};
use crate::clock::Clock;
use crate::db::Moment;
use crate::problem::Problem;

/// An issuer is asked this often at most.
pub const PAUSE: TimeDelta = TimeDelta::minutes(1);
/// What was heard is asked for again after this long.
const FRESH: TimeDelta = TimeDelta::hours(1);
/// What was heard is used for this long, if nothing newer can be heard.
const BELIEVED: TimeDelta = TimeDelta::hours(24);
/// So many issuers are remembered.
const MOST: u64 = 1_000;

/// Where the endpoints of an issuer are.
#[derive(Clone, Debug, Deserialize)]
pub struct Metadata {
    issuer: String,
    /// Where browsers go.
    pub authorization_endpoint: Address,
    token_endpoint: Address,
    jwks_uri: Address,
    userinfo_endpoint: Option<Address>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    /// Whether it always says who it is (RFC 9207 §3).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    /// Letter by letter the issuer that was asked (§4.3). Only one on this machine names endpoints on this machine:
    /// another would have us ask what only we can reach.
    fn check(&self, issuer: &str) -> Result<(), Problem> {
        if self.issuer != issuer {
            return Err(unavailable(format!("{issuer} says that it is {}", self.issuer)));
        }
        let is_ours = Address::parse(issuer).is_some_and(|address| address.is_here());
        match self.endpoints().find(|endpoint| endpoint.is_here()) {
            Some(endpoint) if !is_ours => Err(unavailable(format!("{issuer} points at {endpoint}"))),
            _ => Ok(()),
        }
    }

    fn endpoints(&self) -> impl Iterator<Item = &Address> {
        let always = [&self.authorization_endpoint, &self.token_endpoint, &self.jwks_uri];
        always.into_iter().chain(&self.userinfo_endpoint)
    }

    /// By header, which is what a server has to know (RFC 6749 §2.3.1), unless it says that it takes forms only.
    fn takes_basic(&self) -> bool {
        let methods = &self.token_endpoint_auth_methods_supported;
        methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic")
    }
}

/// Who we are at an issuer.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The name.
    pub client_id: String,
    /// The secret; none of a public client.
    pub secret: Option<String>,
}

/// What a code was taken for.
#[derive(Debug, Deserialize)]
pub struct Tokens {
    /// Who has signed in.
    pub id_token: String,
    access_token: Option<String>,
}

/// The issuers, cheap to clone.
#[derive(Clone)]
pub struct Issuers {
    wire: Wire,
    clock: Clock,
    known: Cache<String, Arc<Issuer>>,
}

/// One of them.
struct Issuer {
    name: String,
    heard: Mutex<Heard>,
    /// Held by whoever asks it.
    asking: Arc<tokio::sync::Mutex<()>>,
}

/// What it has said, and when.
#[derive(Clone, Default)]
struct Heard {
    metadata: Option<(Arc<Metadata>, Moment)>,
    keys: Option<(Arc<Vec<Jwk>>, Moment)>,
    asked: Option<Moment>,
    /// Whether it did not answer the last time.
    is_away: bool,
}

impl Heard {
    fn key(&self, name: &KeyName) -> Option<Jwk> {
        let (keys, _) = self.keys.as_ref()?;
        name.find(keys).cloned()
    }

    fn have_keys(&self, age: TimeDelta, now: Moment) -> bool {
        self.keys.as_ref().is_some_and(|(_, at)| now.since(*at) < age)
    }

    fn metadata(&self, age: TimeDelta, now: Moment) -> Option<Arc<Metadata>> {
        let (metadata, at) = self.metadata.as_ref()?;
        (now.since(*at) < age).then(|| Arc::clone(metadata))
    }
}

impl Issuers {
    /// Nothing is heard yet.
    pub fn new(clock: Clock) -> Result<Self, Problem> {
        Ok(Self {
            wire: Wire::new()?,
            clock,
            known: Cache::builder().max_capacity(MOST).build(),
        })
    }

    fn issuer(&self, name: &str) -> Arc<Issuer> {
        self.known.get_with(name.to_owned(), || {
            Arc::new(Issuer {
                name: name.to_owned(),
                heard: Mutex::default(),
                asking: Arc::default(),
            })
        })
    }

    /// Where the endpoints of an issuer are.
    pub async fn metadata(&self, issuer: &str) -> Result<Arc<Metadata>, Problem> {
        let (issuer, now) = (self.issuer(issuer), self.clock.now().into());
        let heard = issuer.heard.lock().clone();
        if let Some(metadata) = heard.metadata(FRESH, now) {
            return Ok(metadata);
        }
        let asked = issuer.ask(&self.wire, now).await;
        let heard = issuer.heard.lock().metadata(BELIEVED, now);
        heard.ok_or_else(|| {
            asked
                .err()
                .unwrap_or_else(|| unavailable("it was not heard from"))
        })
    }

    /// The key of this name; `None` when the issuer has none.
    pub async fn key(&self, issuer: &str, name: &KeyName) -> Result<Option<Jwk>, Problem> {
        let (issuer, now) = (self.issuer(issuer), self.clock.now().into());
        let heard = issuer.heard.lock().clone();
        match heard.key(name) {
            Some(key) if heard.have_keys(FRESH, now) => return Ok(Some(key)),
            Some(key) if heard.have_keys(BELIEVED, now) => {
                if let Err(problem) = issuer.ask(&self.wire, now).await {
                    tracing::warn!(%problem, issuer = issuer.name, "the keys of an issuer are not renewed");
                    return Ok(Some(key));
                }
            }
            _ => issuer.ask(&self.wire, now).await?,
        }
        Ok(issuer.heard.lock().key(name))
    }

    /// Takes a code for tokens (OpenID Connect Core §3.1.3); `Err` within has the reason of a refusal.
    pub async fn exchange(
        &self,
        metadata: &Metadata,
        client: &Registered,
        (code, verifier, back): (&str, &str, &str),
    ) -> Result<Result<Tokens, Value>, Problem> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", verifier),
            ("redirect_uri", back),
        ];
        let password = match &client.secret {
            Some(secret) if metadata.takes_basic() => Password::Basic(&client.client_id, secret),
            secret => {
                form.push(("client_id", &client.client_id));
                form.extend(secret.as_deref().map(|secret| ("client_secret", secret)));
                Password::None
            }
        };
        let reply = self.wire.post(&metadata.token_endpoint, &form, password).await?;
        if !reply.is_good {
            return Ok(Err(reply.body.get("error").cloned().unwrap_or_default()));
        }
        serde_json::from_value(reply.body).map(Ok).map_err(unavailable)
    }

    /// What the UserInfo endpoint says of whoever signed in (§5.3), if there is one and it answers with JSON.
    pub async fn user_info(
        &self,
        metadata: &Metadata,
        tokens: &Tokens,
    ) -> Result<Option<Map<String, Value>>, Problem> {
        let (Some(url), Some(token)) = (&metadata.userinfo_endpoint, &tokens.access_token) else {
            return Ok(None);
        };
        match self.wire.opened(url, token).await? {
            Reply {
                is_good: true,
                body: Value::Object(info),
            } => Ok(Some(info)),
            _ => Ok(None),
        }
    }
}

impl Issuer {
    /// Asks for what has grown old, and for the keys in any case, if it was not just asked. Who comes while somebody
    /// asks waits for that answer.
    async fn ask(self: &Arc<Self>, wire: &Wire, now: Moment) -> Result<(), Problem> {
        let turn = Arc::clone(&self.asking).lock_owned().await;
        let mut heard = self.heard.lock().clone();
        if heard.asked.is_some_and(|asked| now.since(asked) < PAUSE) {
            return match heard.is_away {
                true => Err(unavailable("it did not answer less than a minute ago")),
                false => Ok(()),
            };
        }
        let (this, wire) = (Arc::clone(self), wire.clone());
        // A caller who goes away does not take the answer with it.
        let asking = tokio::spawn(async move {
            let _turn = turn;
            let answered = this.hear(&wire, &mut heard, now).await;
            heard.asked = Some(now);
            heard.is_away = answered.is_err();
            *this.heard.lock() = heard;
            answered
        });
        asking.await.map_err(Problem::internal)?
    }

    async fn hear(&self, wire: &Wire, heard: &mut Heard, now: Moment) -> Result<(), Problem> {
        let metadata = match heard.metadata(FRESH, now) {
            Some(metadata) => metadata,
            None => {
                let metadata: Metadata = wire.document(&self.discovery()?).await?;
                metadata.check(&self.name)?;
                let metadata = Arc::new(metadata);
                heard.metadata = Some((Arc::clone(&metadata), now));
                metadata
            }
        };
        let set: KeySet = wire.document(&metadata.jwks_uri).await?;
        heard.keys = Some((Arc::new(set.known()), now));
        Ok(())
    }

    /// Where an issuer describes itself (§4.1): below its name, without the slash at the end of that.
    fn discovery(&self) -> Result<Address, Problem> {
        let name = self.name.trim_end_matches('/');
        let address = Address::parse(&format!("{name}/.well-known/openid-configuration"));
        address.ok_or_else(|| unavailable("its name is no safe address"))
    }
}

/// The keys of an issuer (RFC 7517 §5): those of a kind that is not known are passed over.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl KeySet {
    fn known(self) -> Vec<Jwk> {
        let read = |key| serde_json::from_value(key).ok();
        self.keys.into_iter().filter_map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn metadata_is_of_the_issuer_that_was_asked_and_names_safe_addresses() {
        let good = json!({
            "issuer": "https://login.example",
            "authorization_endpoint": "https://login.example/authorize",
            "token_endpoint": "https://login.example/token",
            "jwks_uri": "https://keys.example/jwks",
        });
        for (name, value, fits) in [
            ("issuer", json!("https://login.example"), true),
            ("issuer", json!("https://login.example/"), false),
            ("issuer", json!("https://evil.example"), false),
            ("token_endpoint", json!("http://login.example/token"), false),
            ("jwks_uri", json!("http://169.254.169.254/"), false),
            ("userinfo_endpoint", json!("file:///etc/passwd"), false),
            ("userinfo_endpoint", json!("https://login.example/me"), true),
        ] {
            let mut metadata = good.clone();
            metadata[name] = value.clone();
            let metadata = serde_json::from_value::<Metadata>(metadata);
            let is_good = metadata.is_ok_and(|metadata| metadata.check("https://login.example").is_ok());
            assert_eq!(is_good, fits, "{name}: {value}");
        }
    }

    #[test]
    fn only_an_issuer_on_this_machine_names_endpoints_on_it() {
        let names = [
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "userinfo_endpoint",
        ];
        for (issuer, endpoint, fits) in [
            ("https://login.example", "https://login.example/x", true),
            ("https://login.example", "https://other.example/x", true),
            ("https://login.example", "http://127.0.0.1:8080/x", false),
            ("https://login.example", "https://127.0.0.1/x", false),
            ("https://login.example", "https://127.9.9.9/x", false),
            ("https://login.example", "http://[::1]/x", false),
            ("https://login.example", "https://[::ffff:127.0.0.1]/x", false),
            ("https://login.example", "https://localhost/x", false),
            ("https://login.example", "https://localhost./x", false),
            ("https://login.example", "https://0.0.0.0/x", false),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000/x", true),
            ("http://localhost:3000", "http://[::1]:3001/x", true),
            ("https://localhost", "http://127.0.0.1/x", true),
            ("http://127.0.0.1:3000", "https://login.example/x", true),
            ("http://127.0.0.1:3000", "http://login.example/x", false),
        ] {
            for name in names {
                let mut metadata = json!({"issuer": issuer});
                for other in names {
                    metadata[other] = json!(format!("{issuer}/y"));
                }
                metadata[name] = json!(endpoint);
                let metadata = serde_json::from_value::<Metadata>(metadata);
                let is_good = metadata.is_ok_and(|metadata| metadata.check(issuer).is_ok());
                assert_eq!(is_good, fits, "{name} of {issuer}: {endpoint}");
            }
        }
    }

    #[test]
    fn keys_of_an_unknown_kind_are_passed_over() {
        let set = json!({"keys": [
            {"kty": "AKP", "alg": "ML-DSA-44", "kid": "a", "pub": "AAAA"},
            {"kty": "EC", "kid": 7},
            {"kty": "OKP", "crv": "Ed25519", "kid": "b", "x": "AAAA"},
        ]});
        let set: KeySet = serde_json::from_value(set).unwrap();
        let known = set.known();
        assert!(known.iter().any(|key| key.common.key_id.as_deref() == Some("b")));
    }
}
