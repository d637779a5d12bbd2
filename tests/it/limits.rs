//! How much, how often, how slowly: limits of rates and of guesses, whose address counts, slow clients, CORS, the
//! headers of every answer, HTTPS.

use std::num::NonZeroU32;
use std::time::Duration;

use allclear::db::Location;
use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::desk::{PASSWORD, Reply, Stage, TestDesk};

fn few(calls: u32) -> NonZeroU32 {
    NonZeroU32::new(calls).unwrap()
}

async fn login_from(desk: &TestDesk, from: &str, email: &str, password: &str) -> Reply {
    let form = json!({"email": email, "password": password});
    let call = desk.stranger().call(reqwest::Method::POST, "/v1/auth/login");
    Reply::of(call.header("x-forwarded-for", from).json(&form)).await
}

/// A desk behind a proxy: its calls come from whom it names.
async fn behind_a_proxy() -> Stage {
    Stage::set_with(|settings| settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await
}

fn seconds(reply: &Reply) -> i64 {
    reply.header("retry-after").unwrap().parse().unwrap()
}

// Rates.

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_beyond_its_rate_is_told_when_to_come_again_and_nobody_else_waits() {
    let stage = Stage::set_with(|settings| settings.rate_limit = few(40)).await;
    let Stage { desk, bob, ada, .. } = &stage;
    desk.pass(TimeDelta::seconds(10));
    let first = bob.get("/v1/me").await;
    assert_eq!(first.header("ratelimit-policy").unwrap(), "\"caller\";q=40;w=1");
    assert_eq!(first.header("ratelimit").unwrap(), "\"caller\";r=39;t=1");
    for _ in 1..40 {
        bob.get("/v1/me").await.ok();
    }
    let late = bob.get("/v1/me").await;
    assert_eq!(late.header("ratelimit").unwrap(), "\"caller\";r=0;t=1");
    assert_eq!(seconds(&late), 1);
    late.refused(429, "too-many-requests");
    ada.get("/v1/me").await.ok();
    desk.pass(TimeDelta::seconds(1));
    bob.get("/v1/me").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_refused_too_often_hears_only_that() {
    let stage = Stage::set_with(|settings| settings.refusal_limit = few(20)).await;
    let Stage { desk, bob, .. } = &stage;
    desk.pass(TimeDelta::seconds(10));
    let stranger = desk.with_token("nonsense");
    for _ in 0..20 {
        stranger
            .get("/v1/incidents")
            .await
            .refused(401, "unauthenticated");
    }
    let late = stranger.get("/v1/incidents").await;
    assert_eq!(late.header("ratelimit").unwrap(), "\"address\";r=0;t=1");
    late.refused(429, "too-many-requests");
    // Whoever is let in is not an address but a caller.
    bob.get("/v1/me").await.ok();
    desk.pass(TimeDelta::seconds(1));
    stranger
        .get("/v1/incidents")
        .await
        .refused(401, "unauthenticated");
}

// Guesses.

#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_an_account_slow_down_and_its_owner_gets_in_from_where_they_have_been() {
    let stage = behind_a_proxy().await;
    let desk = &stage.desk;
    let (bob, home) = ("bob@contoso.example", "198.51.100.1");
    login_from(desk, home, bob, PASSWORD).await.ok();
    for guess in 0..5 {
        // From somewhere else each time.
        let from = format!("203.0.113.{guess}");
        login_from(desk, &from, bob, "wrong")
            .await
            .refused(401, "sign-in-failed");
    }
    let mut waits = Vec::new();
    for _ in 0..8 {
        let early = login_from(desk, "203.0.113.9", bob, "wrong").await;
        waits.push(seconds(&early));
        early.refused(429, "too-many-requests");
        // Nor with the right one: nobody learns that it is.
        login_from(desk, "203.0.113.9", bob, PASSWORD)
            .await
            .refused(429, "too-many-requests");
        desk.pass(TimeDelta::seconds(waits[waits.len() - 1]));
        login_from(desk, "203.0.113.9", bob, "wrong")
            .await
            .refused(401, "sign-in-failed");
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    // The owner is not locked out: not at home, and elsewhere for a minute at most.
    login_from(desk, home, bob, PASSWORD).await.ok();
    desk.pass(TimeDelta::seconds(60));
    login_from(desk, "203.0.113.77", bob, PASSWORD).await.ok();
    // Signing in has cleared the account.
    for _ in 0..5 {
        login_from(desk, "203.0.113.10", bob, "wrong")
            .await
            .refused(401, "sign-in-failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_account_slows_down_as_a_known_one_does() {
    let stage = behind_a_proxy().await;
    let desk = &stage.desk;
    let mut answers = Vec::new();
    for email in ["bob@contoso.example", "nobody@contoso.example", "no address"] {
        let mut seen = Vec::new();
        for guess in 0..7 {
            let from = format!("203.0.113.{guess}");
            let reply = login_from(desk, &from, email, "wrong").await;
            let mut body = reply.body.clone();
            body["request_id"] = Value::Null;
            seen.push((reply.status, reply.header("retry-after").map(str::to_owned), body));
        }
        answers.push(seen);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    assert_eq!(answers[0][6].0, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_guesses_at_once_are_as_many_guesses() {
    let stage = behind_a_proxy().await;
    let desk = &stage.desk;
    let guesses = (0..20).map(|guess| {
        let from = format!("203.0.113.{guess}");
        async move {
            login_from(desk, &from, "bob@contoso.example", "wrong")
                .await
                .status
        }
    });
    let seen = futures_util::future::join_all(guesses).await;
    assert_eq!(
        seen.iter().filter(|status| **status == 401).count(),
        5,
        "{seen:?}"
    );
    assert_eq!(
        seen.iter().filter(|status| **status == 429).count(),
        15,
        "{seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_that_tries_many_accounts_slows_down_and_others_do_not() {
    let stage = behind_a_proxy().await;
    let desk = &stage.desk;
    for account in 0..50 {
        let email = format!("somebody{account}@contoso.example");
        // All of one /64 are one client.
        let from = format!("2001:db8:7:1::{account}");
        login_from(desk, &from, &email, "wrong")
            .await
            .refused(401, "sign-in-failed");
    }
    login_from(desk, "2001:db8:7:1:ffff::1", "bob@contoso.example", PASSWORD)
        .await
        .refused(429, "too-many-requests");
    login_from(desk, "2001:db8:7:2::1", "bob@contoso.example", PASSWORD)
        .await
        .ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_no_trusted_proxy_names_is_not_believed() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    for guess in 0..5 {
        let from = format!("203.0.113.{guess}");
        login_from(desk, &from, "bob@contoso.example", "wrong")
            .await
            .refused(401, "sign-in-failed");
    }
    let stage = behind_a_proxy().await;
    login_from(
        &stage.desk,
        "203.0.113.5, 198.51.100.1",
        "bob@contoso.example",
        PASSWORD,
    )
    .await
    .ok();
    let token = login_from(&stage.desk, "198.51.100.1", "bob@contoso.example", PASSWORD).await;
    let bob = stage
        .desk
        .with_token(token.body["access_token"].as_str().unwrap());
    for session in bob.all("/v1/me/sessions").await {
        assert_eq!(session["address"], "198.51.100.1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_with_a_link_and_ones_own_password_are_not_for_guessing_either() {
    let stage = behind_a_proxy().await;
    let Stage { desk, bob, .. } = &stage;
    let ask = async |from: &str, email: &str| {
        let call = desk
            .stranger()
            .call(reqwest::Method::POST, "/v1/auth/password-reset");
        Reply::of(
            call.header("x-forwarded-for", from)
                .json(&json!({"email": email})),
        )
        .await
    };
    for somebody in 0..10 {
        let reply = ask("203.0.113.1", &format!("s{somebody}@contoso.example")).await;
        assert_eq!(reply.status, 202);
    }
    ask("203.0.113.1", "bob@contoso.example")
        .await
        .refused(429, "too-many-requests");
    assert_eq!(ask("203.0.113.2", "bob@contoso.example").await.status, 202);
    let form = json!({"current_password": "a wrong password", "new_password": "another good password"});
    for _ in 0..5 {
        bob.put("/v1/me/password", form.clone())
            .await
            .refused(422, "validation-failed");
    }
    bob.put("/v1/me/password", form.clone())
        .await
        .refused(429, "too-many-requests");
    desk.drain().await;
}

// Slow clients, large ones.

async fn connect(desk: &TestDesk) -> TcpStream {
    TcpStream::connect(desk.url().trim_start_matches("http://"))
        .await
        .unwrap()
}

/// Everything until the server closes.
async fn to_the_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut text)).await;
    let _ = read.expect("the server gives up");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_too_slowly_is_cut_off() {
    let desk = TestDesk::open_with(|settings| settings.client_timeout = Duration::from_millis(500)).await;
    // A head that never ends.
    let mut slow = connect(&desk).await;
    slow.write_all(b"GET /v1/me HTTP/1.1\r\nhost: desk\r\nx-a: ")
        .await
        .unwrap();
    let answer = to_the_end(&mut slow).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
    // A body that never comes.
    let mut slow = connect(&desk).await;
    let head = "POST /v1/auth/login HTTP/1.1\r\nhost: desk\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    let answer = to_the_end(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("request-timeout"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_or_too_deep_is_refused() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let post = async |body: String| {
        let call = bob.call(reqwest::Method::POST, "/v1/service-requests");
        Reply::of(call.header("content-type", "application/json").body(body)).await
    };
    post(" ".repeat((1 << 20) + 1))
        .await
        .refused(413, "payload-too-large");
    let deep = post(format!(
        "{{\"tags\":{}{}}}",
        "[".repeat(200_000),
        "]".repeat(200_000)
    ))
    .await;
    assert!([400, 422].contains(&deep.status), "{}", deep.body);
    for (head, statuses) in [
        (
            format!(
                "GET /v1/me?{} HTTP/1.1\r\nhost: desk\r\n\r\n",
                "a".repeat(200_000)
            ),
            ["414", "431", "400"],
        ),
        (
            format!(
                "GET /v1/me HTTP/1.1\r\nhost: desk\r\nx-a: {}\r\n\r\n",
                "a".repeat(200_000)
            ),
            ["431", "431", "400"],
        ),
        (
            format!(
                "GET /v1/me HTTP/1.1\r\nhost: desk\r\n{}\r\n",
                "x-a: b\r\n".repeat(500)
            ),
            ["431", "431", "400"],
        ),
    ] {
        let mut stream = connect(desk).await;
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = to_the_end(&mut stream).await;
        let status = answer.split(' ').nth(1).unwrap_or("closed");
        assert!(statuses.contains(&status) || answer.is_empty(), "{answer}");
    }
    desk.stranger().get("/readyz").await.ok();
}

// Browsers.

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_allowed_origins_may_call_and_no_others() {
    let stage =
        Stage::set_with(|settings| settings.allowed_origins = vec!["https://admin.example".to_owned()]).await;
    let Stage { desk, bob, .. } = &stage;
    let preflight = async |origin: &str| {
        let call = desk
            .stranger()
            .call(reqwest::Method::OPTIONS, "/v1/service-requests");
        let call = call
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,content-type,idempotency-key",
            );
        Reply::of(call).await
    };
    let answer = preflight("https://admin.example").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        answer.header("access-control-allow-origin").unwrap(),
        "https://admin.example"
    );
    assert!(answer.header("access-control-allow-credentials").is_none());
    let evil = preflight("https://evil.example").await;
    assert!(evil.header("access-control-allow-origin").is_none());
    let call = bob
        .call(reqwest::Method::GET, "/v1/me")
        .header("origin", "https://admin.example");
    let answer = Reply::of(call).await;
    assert_eq!(
        answer.header("access-control-allow-origin").unwrap(),
        "https://admin.example"
    );
    let exposed = answer
        .header("access-control-expose-headers")
        .unwrap()
        .to_lowercase();
    for header in ["etag", "location", "retry-after", "ratelimit", "x-request-id"] {
        assert!(exposed.contains(header), "{exposed}");
    }
    // Without any origin configured there is no CORS at all.
    let plain = TestDesk::open().await;
    let call = plain
        .operator
        .call(reqwest::Method::GET, "/v1/me")
        .header("origin", "https://admin.example");
    assert!(
        Reply::of(call)
            .await
            .header("access-control-allow-origin")
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_wears_the_headers_of_a_careful_server() {
    let desk = TestDesk::open_with(|settings| settings.public_url = "https://desk.example".to_owned()).await;
    for (path, policy) in [
        ("/v1/me", "default-src 'none'"),
        ("/v1/nothing", "default-src 'none'"),
        ("/healthz", "default-src 'none'"),
        ("/docs/", "default-src 'self'"),
        ("/account/password", "default-src"),
    ] {
        let answer = desk.operator.get(path).await;
        assert!(
            answer.header("content-security-policy").unwrap().contains(policy),
            "{path}"
        );
        assert!(
            answer
                .header("content-security-policy")
                .unwrap()
                .contains("frame-ancestors 'none'"),
            "{path}"
        );
        for (header, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("strict-transport-security", "max-age=31536000"),
        ] {
            assert_eq!(answer.header(header), Some(value), "{path}: {header}");
        }
    }
    let plain = TestDesk::open().await;
    assert!(
        plain
            .operator
            .get("/v1/me")
            .await
            .header("strict-transport-security")
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_the_desk_speaks_https_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (dir.path().join("desk.pem"), dir.path().join("desk.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut desk = TestDesk::open().await;
    let tls = Some((certificate.clone(), key));
    desk.restart_with(|settings| settings.tls = tls).await;
    let port = desk.url().rsplit(':').next().unwrap().to_owned();
    assert!(desk.url().starts_with("https://"), "{}", desk.url());
    let authority = reqwest::Certificate::from_pem(&std::fs::read(&certificate).unwrap()).unwrap();
    let https = reqwest::Client::builder()
        .tls_certs_only([authority])
        .build()
        .unwrap();
    let answer = https
        .get(format!("https://localhost:{port}/healthz"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.version(), reqwest::Version::HTTP_11);
    let plain = desk
        .stranger()
        .http
        .get(format!("http://127.0.0.1:{port}/healthz"))
        .send()
        .await;
    assert!(plain.is_err());
    // A key of another certificate is found at the start.
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let wrong = dir.path().join("other.key");
    std::fs::write(&wrong, other.signing_key.serialize_pem()).unwrap();
    let mut settings = desk.settings().clone();
    settings.tls = Some((certificate, wrong));
    settings.data_dir = dir.path().join("other");
    settings.database = Location::Sqlite(settings.data_dir.join("allclear.sqlite"));
    let refused = allclear::app::open(settings, desk.clock.clone()).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("other.key")));
}
