//! A client of the API: signs in, speaks JSON, waits when it is told to, signs in again when its token ends.
//!
//! It knows nothing of what is said over it; `demo`, `replay` and `simulate` do. Every answer that is a problem is an
//! [`Refused`], so `?` and a match on its `code` are all a caller needs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use reqwest::header::{AUTHORIZATION, IF_MATCH, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// How long one call may take, and how long a busy server is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Below the server's keep-alive of 5 s, so that no call goes out on a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(3);

/// What a call came to.
pub type Result<T, E = Refused> = std::result::Result<T, E>;

/// An answer of the 2xx kind.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body; null when there was none.
    pub body: Value,
}

impl Answer {
    /// The text at a JSON pointer of the body, such as `/status`; empty when there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The `id` of what was answered.
    pub fn id(&self) -> &str {
        self.text("/id")
    }

    /// The `items` of a page.
    pub fn items(&self) -> &[Value] {
        self.body
            .get("items")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}

/// An answer that is a problem, or none at all.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Refused {
    /// The HTTP status; 0 when no answer came.
    pub status: u16,
    /// The problem's stable code; `unreachable` when no answer came.
    pub code: String,
    /// The whole problem.
    pub body: Value,
    call: String,
}

impl Refused {
    /// Whether no answer came at all: there is no use in going on.
    pub fn is_unreachable(&self) -> bool {
        self.status == 0
    }

    fn unreachable(call: String, error: &reqwest::Error) -> Self {
        let mut detail = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            detail = format!("{detail}: {cause}");
            source = cause.source();
        }
        Self {
            status: 0,
            code: "unreachable".to_owned(),
            body: json!({ "detail": detail }),
            call,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self
            .body
            .get("detail")
            .and_then(Value::as_str)
            .unwrap_or("no detail");
        write!(
            f,
            "{} answered {} {}: {detail}",
            self.call, self.status, self.code
        )
    }
}

/// One server, and nobody signed in.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<str>,
}

impl Client {
    /// A client of the server at `url`, such as `http://127.0.0.1:8080`.
    pub fn new(url: &str) -> Result<Self> {
        // The one provider of cryptography; whoever installed one before has installed the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let base = url.trim_end_matches('/');
        let mut builder = reqwest::Client::builder()
            .timeout(PATIENCE)
            .pool_idle_timeout(IDLE);
        if is_this_machine(base) {
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|error| Refused::unreachable(base.to_owned(), &error))?;
        Ok(Self {
            http,
            base: base.into(),
        })
    }

    /// Signs in.
    pub async fn sign_in(&self, email: &str, password: &str) -> Result<Session> {
        let session = Session(Arc::new(Signed {
            client: self.clone(),
            email: email.to_owned(),
            password: password.to_owned(),
            token: RwLock::default(),
            renewal: tokio::sync::Mutex::default(),
        }));
        session.renew("").await?;
        Ok(session)
    }

    /// One call, repeated while the server is busy or the connection fails.
    async fn call(&self, call: &Call<'_>, token: Option<&str>) -> Result<Answer> {
        let mut waited = Duration::ZERO;
        loop {
            let (wait, refused) = match self.send(call, token).await {
                Ok(answer) => return Ok(answer),
                Err((wait, refused)) => (wait, refused),
            };
            match wait {
                Some(wait) if waited + wait <= PATIENCE => {
                    tokio::time::sleep(wait).await;
                    waited += wait;
                }
                _ => return Err(refused),
            }
        }
    }

    /// One try; with the refusal goes how long to wait before the next one, if there is to be one.
    async fn send(
        &self,
        call: &Call<'_>,
        token: Option<&str>,
    ) -> Result<Answer, (Option<Duration>, Refused)> {
        let mut request = self
            .http
            .request(call.method.clone(), format!("{}{}", self.base, call.path));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(version) = call.if_match {
            request = request.header(IF_MATCH, version);
        }
        if let Some(key) = &call.key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = call.body {
            request = request.json(body);
        }
        // A call that got no answer is safe to repeat: a POST carries its key, the others are idempotent.
        let lost = |error: reqwest::Error| {
            let wait = (!error.is_timeout()).then_some(Duration::from_secs(5));
            (wait, Refused::unreachable(call.to_string(), &error))
        };
        let response = request.send().await.map_err(lost)?;
        let status = response.status();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        let seconds = retry_after.and_then(|text| text.parse().ok()).unwrap_or(1);
        let bytes = response.bytes().await.map_err(lost)?;
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() {
            return Ok(Answer {
                status: status.as_u16(),
                body,
            });
        }
        let busy = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        Err((
            busy.then(|| Duration::from_secs(seconds)),
            call.refused(status, body),
        ))
    }
}

/// Somebody signed in at one server; clones share the token.
#[derive(Clone)]
pub struct Session(Arc<Signed>);

struct Signed {
    client: Client,
    email: String,
    password: String,
    token: RwLock<String>,
    /// Held while signing in, so that many calls with an old token make one new one.
    renewal: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("email", &self.0.email)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Reads; `path` begins with a slash: `/v1/queues?limit=200`.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.call(Call::new(Method::GET, path, None, None)).await
    }

    /// Creates or changes; `if_match` is `"*"` or the text of an `ETag`.
    pub async fn post(&self, path: &str, body: &Value, if_match: Option<&str>) -> Result<Answer> {
        self.call(Call::new(Method::POST, path, Some(body), if_match))
            .await
    }

    /// Replaces.
    pub async fn put(&self, path: &str, body: &Value, if_match: Option<&str>) -> Result<Answer> {
        self.call(Call::new(Method::PUT, path, Some(body), if_match))
            .await
    }

    /// Changes some of it.
    pub async fn patch(&self, path: &str, body: &Value, if_match: &str) -> Result<Answer> {
        self.call(Call::new(Method::PATCH, path, Some(body), Some(if_match)))
            .await
    }

    /// All items of a list; `path` has its query, if any, and no cursor.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        self.pages(path, |page| items.extend_from_slice(page)).await?;
        Ok(items)
    }

    /// A list page after page, for those that may be long.
    pub async fn pages(&self, path: &str, mut read: impl FnMut(&[Value])) -> Result<()> {
        let glue = if path.contains('?') { '&' } else { '?' };
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("{path}{glue}limit=200{cursor}")).await?;
            read(page.items());
            match page.text("/next_cursor") {
                "" => return Ok(()),
                next => cursor = format!("&cursor={}", escaped(next)),
            }
        }
    }

    /// The access token in use, for who shows how to call the API.
    pub fn token(&self) -> String {
        self.0.token.read().clone()
    }

    async fn call(&self, call: Call<'_>) -> Result<Answer> {
        let token = self.token();
        match self.0.client.call(&call, Some(&token)).await {
            Err(refused) if refused.status == 401 => {
                self.renew(&token).await?;
                self.0.client.call(&call, Some(&self.token())).await
            }
            answer => answer,
        }
    }

    /// Signs in, unless somebody else has done so since `old` was the token.
    async fn renew(&self, old: &str) -> Result<()> {
        let _one_at_a_time = self.0.renewal.lock().await;
        if *self.0.token.read() != old {
            return Ok(());
        }
        let body = json!({ "email": self.0.email, "password": self.0.password });
        let mut call = Call::new(Method::POST, "/v1/auth/login", Some(&body), None);
        call.key = None;
        let answer = self.0.client.call(&call, None).await?;
        let token = answer.text("/access_token");
        if token.is_empty() {
            return Err(call.refused(
                StatusCode::BAD_GATEWAY,
                json!({ "detail": "no access token in the answer" }),
            ));
        }
        *self.0.token.write() = token.to_owned();
        Ok(())
    }
}

/// One call, as often as it is sent.
struct Call<'a> {
    method: Method,
    path: &'a str,
    body: Option<&'a Value>,
    if_match: Option<&'a str>,
    /// The `Idempotency-Key` of a POST.
    key: Option<String>,
}

impl<'a> Call<'a> {
    fn new(method: Method, path: &'a str, body: Option<&'a Value>, if_match: Option<&'a str>) -> Self {
        let key = (method == Method::POST).then(|| format!("{:032x}", rand::random::<u128>()));
        Self {
            method,
            path,
            body,
            if_match,
            key,
        }
    }

    fn refused(&self, status: StatusCode, body: Value) -> Refused {
        let code = body.get("code").and_then(Value::as_str);
        let code = code.map_or_else(|| format!("http-{}", status.as_u16()), str::to_owned);
        Refused {
            status: status.as_u16(),
            code,
            body,
            call: self.to_string(),
        }
    }
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// No proxy stands between a program and its own machine.
fn is_this_machine(base: &str) -> bool {
    let url = url::Url::parse(base).ok();
    match url.as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A value as a query may carry it.
fn escaped(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_address_needs_no_proxy() {
        for (url, is_here) in [
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:80", true),
            ("http://localhost", true),
            ("https://desk.example", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_this_machine(url), is_here, "{url}");
        }
    }

    #[test]
    fn a_refusal_says_which_call_and_why() {
        let call = Call::new(Method::POST, "/v1/incidents", None, None);
        let problem = json!({ "code": "transition-not-allowed", "detail": "it is over" });
        let refused = call.refused(StatusCode::CONFLICT, problem);
        assert_eq!(refused.code, "transition-not-allowed");
        assert_eq!(
            refused.to_string(),
            "POST /v1/incidents answered 409 transition-not-allowed: it is over"
        );
        assert_eq!(
            call.refused(StatusCode::BAD_GATEWAY, Value::Null).code,
            "http-502"
        );
    }

    #[test]
    fn only_a_post_carries_a_key_and_never_the_same() {
        let key = |method| Call::new(method, "/", None, None).key;
        assert!(key(Method::GET).is_none() && key(Method::PUT).is_none());
        assert_ne!(key(Method::POST), key(Method::POST));
        assert_eq!(key(Method::POST).map(|key| key.len()), Some(32));
    }
}
