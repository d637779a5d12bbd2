//! What single sign-on is tested with: a real OpenID Connect provider (the npm package `oidc-provider`), a browser that
//! goes where it is sent, and an issuer of our own that says and signs whatever a test wants.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use actix_web::http::KeepAlive;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::desk::{Reply, TestDesk};

/// Where the desk says that it is; what is sent there is taken to where it listens.
pub const PUBLIC: &str = "http://localhost:8080";
/// Whom access tokens are for.
pub const AUDIENCE: &str = "https://desk.example";
const PORTAL: &str = "http://localhost:8081/";

/// The provider, as a process.
pub struct Provider {
    child: Child,
    pub url: String,
    http: reqwest::Client,
}

impl Provider {
    /// Its clock stands with that of the desk.
    pub fn start(desk: &TestDesk) -> Self {
        Self::start_as(desk, "0", &[])
    }

    /// One that says at the UserInfo endpoint only who somebody is.
    pub fn start_thin(desk: &TestDesk) -> Self {
        Self::start_as(desk, "0", &["thin"])
    }

    /// The same once more, with other keys.
    pub fn start_again(desk: &TestDesk, url: &str) -> Self {
        Self::start_as(desk, url.rsplit_once(':').unwrap().1, &[])
    }

    fn start_as(desk: &TestDesk, port: &str, mode: &[&str]) -> Self {
        let mut child = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/oidc-provider"))
            .args(["run", port, &desk.clock.now().timestamp_millis().to_string()])
            .args(mode)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut said).unwrap();
        let port: u16 = said.trim().parse().expect("the provider says its port");
        Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
            http: reqwest::Client::new(),
        }
    }

    async fn steer(&self, what: &str, body: Value) -> Value {
        let call = self.http.post(format!("{}/test/{what}", self.url)).json(&body);
        call.send().await.unwrap().json().await.unwrap()
    }

    /// What it says of somebody from now on, besides `…@contoso.example`, verified, `["admins"]`.
    pub async fn says_of(&self, who: &str, claims: Value) {
        self.steer(&format!("accounts/{who}"), claims).await;
    }

    /// It signs with a new key, and forgets the old one.
    pub async fn rotates(&self) {
        self.steer("rotate", json!(null)).await;
    }

    /// Its clock is set to that of the desk.
    pub async fn follows(&self, desk: &TestDesk) {
        self.steer("clock", json!(desk.clock.now().timestamp_millis()))
            .await;
    }

    /// How often a path was asked for.
    pub async fn asked(&self, path: &str) -> u64 {
        self.steer("counts", json!(null)).await[path]
            .as_u64()
            .unwrap_or(0)
    }

    /// The only key that it signs with.
    pub async fn key(&self) -> Value {
        let set = self.http.get(format!("{}/jwks", self.url)).send().await.unwrap();
        set.json::<Value>().await.unwrap()["keys"][0].clone()
    }

    /// What a client of this name, which is not the desk, gets for somebody who signs in there.
    pub async fn tokens(&self, client: &str, who: &str, audience: &str) -> Value {
        let verifier = "a-verifier-that-is-long-enough-to-be-taken-for-one-by-all";
        let challenge = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        let back = if client == "portal" {
            PORTAL.to_owned()
        } else {
            format!("{PUBLIC}/v1/auth/sso/callback")
        };
        let query = form(&[
            ("client_id", client),
            ("response_type", "code"),
            ("redirect_uri", &back),
            ("scope", "openid email profile desk"),
            ("code_challenge", &URL_SAFE_NO_PAD.encode(challenge)),
            ("code_challenge_method", "S256"),
            ("resource", audience),
            ("login_hint", who),
        ]);
        let address = format!("{}/auth?{query}", self.url);
        let location = Browser::default().go(&address, &back).await;
        let code = url::Url::parse(&location).unwrap();
        let code = code.query_pairs().find(|(name, _)| name == "code");
        let code = code
            .unwrap_or_else(|| panic!("no code in {location}"))
            .1
            .into_owned();
        let body = form(&[
            ("client_id", client),
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("code_verifier", verifier),
            ("redirect_uri", &back),
        ]);
        let call = self.http.post(format!("{}/token", self.url));
        let call = call.header("content-type", "application/x-www-form-urlencoded");
        let answer: Value = call.body(body).send().await.unwrap().json().await.unwrap();
        assert!(answer["access_token"].is_string(), "{answer}");
        answer
    }

    /// An access token of somebody for the desk.
    pub async fn token(&self, who: &str) -> String {
        let tokens = self.tokens("portal", who, AUDIENCE).await;
        tokens["access_token"].as_str().unwrap().to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn form(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// A browser: it keeps cookies by host, and goes where it is sent.
#[derive(Clone)]
pub struct Browser {
    http: reqwest::Client,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    /// The cookies of the last answer, as they were set.
    pub set: Vec<String>,
}

impl Default for Browser {
    fn default() -> Self {
        let none = reqwest::redirect::Policy::none();
        Self {
            http: reqwest::Client::builder().redirect(none).build().unwrap(),
            cookies: BTreeMap::new(),
            set: Vec::new(),
        }
    }
}

impl Browser {
    /// One call; the answer, and where it sends the browser.
    pub async fn visit(&mut self, address: &str) -> (Reply, Option<String>) {
        let url = url::Url::parse(address).unwrap();
        let host = url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let kept = self.cookies.entry(host).or_default();
        let sent: Vec<String> = kept
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut call = self.http.get(address);
        if !sent.is_empty() {
            call = call.header("cookie", sent.join("; "));
        }
        let reply = Reply::of(call).await;
        let set = reply.headers.get_all("set-cookie");
        self.set = set
            .iter()
            .map(|value| value.to_str().unwrap().to_owned())
            .collect();
        for cookie in &self.set {
            let (name, rest) = cookie.split_once('=').unwrap();
            match rest.split(';').next().unwrap() {
                "" => drop(kept.remove(name)),
                value => drop(kept.insert(name.to_owned(), value.to_owned())),
            }
        }
        let location = reply.header("location").map(str::to_owned);
        let location = location.map(|to| url.join(&to).unwrap().to_string());
        (reply, location)
    }

    /// Goes on until it is sent to what begins with `goal`.
    pub async fn go(&mut self, address: &str, goal: &str) -> String {
        let mut at = address.to_owned();
        for _ in 0..10 {
            let (reply, location) = self.visit(&at).await;
            at = location.unwrap_or_else(|| panic!("{at} leads nowhere: {} {}", reply.status, reply.body));
            if at.starts_with(goal) {
                return at;
            }
        }
        panic!("it is sent about in circles: {at}");
    }

    /// Begins to sign in at a provider: where it is sent.
    pub async fn begins(&mut self, desk: &TestDesk, provider: &Value) -> String {
        let id = provider["id"].as_str().unwrap();
        let (reply, location) = self.visit(&format!("{}/v1/auth/sso/{id}", desk.url())).await;
        assert_eq!(reply.status, 302, "{}", reply.body);
        location.unwrap()
    }

    /// Is somebody at the provider: where it is sent then, at the desk.
    pub async fn is(&mut self, who: &str, address: &str) -> String {
        let back = self.go(&format!("{address}&login_hint={who}"), PUBLIC).await;
        back.strip_prefix(PUBLIC).unwrap().to_owned()
    }

    /// Comes back to the desk.
    pub async fn returns(&mut self, desk: &TestDesk, path: &str) -> Reply {
        self.visit(&format!("{}{path}", desk.url())).await.0
    }

    /// All of it.
    pub async fn signs_in(&mut self, desk: &TestDesk, provider: &Value, who: &str) -> Reply {
        let address = self.begins(desk, provider).await;
        let back = self.is(who, &address).await;
        self.returns(desk, &back).await
    }
}

/// What an issuer answers by path, and which answers it holds back.
#[derive(Default)]
struct Said {
    answers: Mutex<BTreeMap<&'static str, Value>>,
    held: Mutex<BTreeMap<&'static str, (oneshot::Sender<()>, oneshot::Receiver<()>)>>,
}

impl Said {
    async fn answer(&self, path: &str) -> HttpResponse {
        let held = self.held.lock().unwrap().remove(path);
        if let Some((asked, let_go)) = held {
            let _ = asked.send(());
            let _ = let_go.await;
        }
        match self.answers.lock().unwrap().get(path) {
            Some(value) => HttpResponse::Ok().json(value),
            None => HttpResponse::NotFound().finish(),
        }
    }
}

/// An answer that is held back.
pub struct Held {
    asked: oneshot::Receiver<()>,
    let_go: oneshot::Sender<()>,
}

impl Held {
    /// Waits until it is asked for.
    pub async fn asked(&mut self) {
        (&mut self.asked).await.unwrap();
    }

    /// It may come.
    pub fn comes(self) {
        self.let_go.send(()).unwrap();
    }
}

/// An issuer that says and signs whatever a test wants.
pub struct Issuer {
    pub url: String,
    said: Arc<Said>,
    key: EncodingKey,
    server: actix_web::dev::ServerHandle,
}

impl Issuer {
    pub fn start() -> Self {
        let said = Arc::new(Said::default());
        let data = web::Data::from(Arc::clone(&said));
        let answer =
            |request: HttpRequest, said: web::Data<Said>| async move { said.answer(request.path()).await };
        let make = move || {
            App::new()
                .app_data(data.clone())
                .default_service(web::route().to(answer))
        };
        let server = HttpServer::new(make)
            .workers(1)
            // A kept connection would be answered for a moment after it has stopped.
            .keep_alive(KeepAlive::Disabled)
            .disable_signals()
            .bind(("127.0.0.1", 0))
            .unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_der(&pair.serialize_der());
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some("a".to_owned());
        let issuer = Self {
            url: url.clone(),
            said,
            key,
            server: handle,
        };
        issuer.says("/jwks", json!({"keys": [jwk]}));
        issuer.says(
            "/.well-known/openid-configuration",
            json!({
                "issuer": url, "authorization_endpoint": format!("{url}/auth"),
                "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/jwks"),
            }),
        );
        issuer
    }

    /// What it answers at a path from now on.
    pub fn says(&self, path: &'static str, value: Value) {
        self.said.answers.lock().unwrap().insert(path, value);
    }

    /// Its next answer at a path is held back.
    pub fn holds(&self, path: &'static str) -> Held {
        let (asking, asked) = oneshot::channel();
        let (let_go, going) = oneshot::channel();
        self.said.held.lock().unwrap().insert(path, (asking, going));
        Held { asked, let_go }
    }

    /// Good claims of somebody, with some of them changed; `null` takes one away.
    pub fn claims(&self, desk: &TestDesk, changes: Value) -> Value {
        let now = desk.clock.now().timestamp();
        let mut claims = json!({
            "iss": self.url, "sub": "kim", "aud": AUDIENCE, "exp": now + 300, "iat": now, "email": "kim@contoso.example",
            "email_verified": true, "name": "Kim", "roles": ["admins"],
        });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        claims
    }

    /// A token with these claims.
    pub fn signs(&self, claims: &Value) -> String {
        self.signs_as("a", claims)
    }

    /// The same with another name of the key.
    pub fn signs_as(&self, kid: &str, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(kid.to_owned());
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }

    /// Nobody answers there any more.
    pub async fn stops(&self) {
        self.server.stop(false).await;
    }
}

/// A token with this header whose signature is the bytes that `sign` makes of it.
pub fn forged(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}
