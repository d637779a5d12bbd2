//! Single sign-on, against a real provider, and against an issuer that lies where a real one cannot be made to.

use allclear::db::PROVIDER;
use aws_lc_rs::hmac;
use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{PASSWORD, Reply, Stage, TestDesk, User};
use crate::oidc::{AUDIENCE, Browser, Issuer, Provider, forged};

/// A provider of Contoso's at this issuer, with some of it changed.
async fn registered(stage: &Stage, issuer: &str, changes: Value) -> Value {
    let mut form = json!({
        "tenant_id": stage.contoso["id"], "name": "Contoso", "issuer": issuer, "client_id": "desk",
        "client_secret": "a secret: with % and +", "audience": AUDIENCE, "domains": ["contoso.example"],
        "roles": [{"value": "admins", "role": "tenant_admin"}, {"value": "people", "role": "tenant_viewer"}],
    });
    for (name, value) in changes.as_object().unwrap() {
        form[name] = value.clone();
    }
    let made = stage.desk.operator.post("/v1/identity-providers", form).await;
    made.created()
}

fn path(provider: &Value) -> String {
    format!("/v1/identity-providers/{}", provider["id"].as_str().unwrap())
}

/// Whoever has a session or a token.
fn whoever(desk: &TestDesk, grant: &Reply) -> User {
    assert_eq!(grant.status, 200, "{}", grant.body);
    desk.with_token(grant.body["access_token"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_at_the_provider_of_a_tenant_and_acts_there() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let idp = Provider::start(desk);
    let contoso = registered(&stage, &idp.url, json!({})).await;
    let mut browser = Browser::default();
    let address = browser.begins(desk, &contoso).await;
    let cookie = browser.set[0].clone();
    assert!(
        cookie.starts_with("allclear-sso=")
            && cookie.ends_with("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    for part in [
        "code_challenge_method=S256",
        "response_type=code",
        "&state=",
        "&nonce=",
        "scope=openid+email+profile",
    ] {
        assert!(address.contains(part), "{address}");
    }
    let back = browser.is("kim", &address).await;
    let grant = browser.returns(desk, &back).await;
    assert!(browser.set[0].starts_with("allclear-sso=; "), "{:?}", browser.set);
    assert_eq!(grant.header("cache-control"), Some("no-store"));
    let kim = whoever(desk, &grant);
    let me = kim.get("/v1/me").await.ok();
    assert_eq!(
        (
            &me["email"],
            &me["name"],
            &me["role"],
            &me["tenant_id"],
            &me["status"]
        ),
        (
            &json!("kim@contoso.example"),
            &json!("kim of the provider"),
            &json!("tenant_admin"),
            &stage.contoso["id"],
            &json!("active")
        )
    );
    kim.files("Mail is down", &stage.incident().await).await.created();
    // The session is one as any other.
    let sessions = kim.all("/v1/me/sessions").await;
    assert_eq!((sessions.len(), &sessions[0]["current"]), (1, &json!(true)));
    let refresh = json!({"refresh_token": grant.body["refresh_token"]});
    let next = desk.stranger().post("/v1/auth/refresh", refresh).await;
    let kim = whoever(desk, &next);
    kim.post("/v1/auth/logout", json!({})).await;
    let change = json!({"name": "Kim"});
    kim.patch("/v1/me", change).await.refused(401, "unauthenticated");
    let by_sso = "events WHERE kind = 'signed_in' AND CAST(data AS TEXT) LIKE '%\"sso\"%'";
    assert_eq!(desk.count(by_sso), 1);
    // The next time it is the same person.
    let grant = browser.signs_in(desk, &contoso, "kim").await;
    assert_eq!(whoever(desk, &grant).get("/v1/me").await.ok()["id"], me["id"]);
    assert_eq!(desk.count("external_identities"), 1);
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_with_and_without_a_secret_and_providers_that_say_little() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let (idp, thin) = (Provider::start(desk), Provider::start_thin(desk));
    let clients = [
        (
            &idp,
            json!({"client_id": "public-desk", "client_secret": null, "audience": null}),
        ),
        (&idp, json!({"client_id": "desk", "audience": null})),
        (&thin, json!({"client_id": "desk", "audience": null})),
    ];
    for (number, (idp, client)) in clients.into_iter().enumerate() {
        let provider = registered(&stage, &idp.url, client).await;
        let grant = Browser::default()
            .signs_in(desk, &provider, &format!("kim{number}"))
            .await;
        let me = whoever(desk, &grant).get("/v1/me").await.ok();
        assert_eq!(me["email"], format!("kim{number}@contoso.example"));
        assert_eq!(me["role"], "tenant_admin");
    }
    // A wrong secret is our own mistake.
    let wrong = json!({"client_id": "posting-desk", "client_secret": "wrong", "audience": null});
    let wrong = registered(&stage, &idp.url, wrong).await;
    let grant = Browser::default().signs_in(desk, &wrong, "kim").await;
    grant.refused(401, "sso-failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_without_what_they_left_with_is_refused() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let idp = Provider::start(desk);
    let contoso = registered(&stage, &idp.url, json!({})).await;
    let other = json!({"client_id": "public-desk", "client_secret": null, "audience": null});
    let other = registered(&stage, &idp.url, other).await;
    let (mut kim, mut lee) = (Browser::default(), Browser::default());
    let address = kim.begins(desk, &contoso).await;
    let back = kim.is("kim", &address).await;
    lee.begins(desk, &other).await;
    // Without a cookie, with that of another browser and provider, with another state or none.
    for (mut browser, path) in [
        (Browser::default(), back.clone()),
        (lee.clone(), back.clone()),
        (kim.clone(), back.replace("state=", "state=x")),
        (kim.clone(), back.replace("state=", "states=")),
        (kim.clone(), "/v1/auth/sso/callback".to_owned()),
        (kim.clone(), format!("{back}&error=access_denied")),
        (
            kim.clone(),
            back.replace("iss=", "iss=https%3A%2F%2Fevil.example&x="),
        ),
        (kim.clone(), back.replace("iss=", "x=")),
        (kim.clone(), back.replace("code=", "code=x")),
    ] {
        let reply = browser.returns(desk, &path).await;
        let body = reply.refused(401, "sso-failed");
        assert!(!body.to_string().contains("evil"), "{body}");
    }
    // A code is taken once, and what was begun is over when it was.
    let mut again = kim.clone();
    let address = again.begins(desk, &contoso).await;
    let back = again.is("kim", &address).await;
    let mut copy = again.clone();
    // What a provider adds is passed over.
    assert_eq!(
        again
            .returns(desk, &format!("{back}&session_state=x"))
            .await
            .status,
        200
    );
    again.returns(desk, &back).await.refused(401, "sso-failed");
    copy.returns(desk, &back).await.refused(401, "sso-failed");
    // After ten minutes it is too late.
    let address = kim.begins(desk, &contoso).await;
    let back = kim.is("kim", &address).await;
    desk.pass(TimeDelta::minutes(10));
    kim.returns(desk, &back).await.refused(401, "sso-failed");
    let repeated = kim.returns(desk, &format!("{back}&code=x")).await;
    repeated.refused(400, "invalid-query");
    assert_eq!(desk.count("sessions WHERE provider_id IS NOT NULL"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_provider_refuses_hears_its_reason() {
    let stage = Stage::set().await;
    let idp = Provider::start(&stage.desk);
    let contoso = registered(&stage, &idp.url, json!({})).await;
    let reply = Browser::default().signs_in(&stage.desk, &contoso, "nobody").await;
    assert_eq!(
        reply.refused(401, "sso-failed")["provider_error"],
        "access_denied"
    );
    for path in [
        "/v1/auth/sso/01980000-0000-7000-8000-000000000000",
        "/v1/auth/sso/x",
    ] {
        stage.desk.stranger().get(path).await.refused(404, "not-found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_that_is_wrong_in_one_place_lets_nobody_in() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let issuer = Issuer::start();
    let contoso = registered(&stage, &issuer.url, json!({})).await;
    let now = desk.clock.now().timestamp();
    let secret = hmac::Key::new(hmac::HMAC_SHA256, b"a secret: with % and +");
    let cases = [
        (json!({}), 200),
        (json!({"nonce": "another"}), 401),
        (json!({"nonce": null}), 401),
        (json!({"iss": "https://evil.example"}), 401),
        (json!({"aud": AUDIENCE}), 401),
        (json!({"aud": ["desk", "other"]}), 401),
        (json!({"azp": "other"}), 401),
        (json!({"exp": now - 61}), 401),
        (json!({"exp": null}), 401),
        (json!({"iat": now + 61}), 401),
        (json!({"nbf": now + 61}), 401),
        (json!({"sub": ""}), 401),
        (json!({"sub": "k\u{0}im"}), 401),
        (json!({"email": "kim@contoso.example\u{0}"}), 403),
    ];
    for (number, (changes, status)) in cases.into_iter().enumerate() {
        let mut browser = Browser::default();
        let address = url::Url::parse(&browser.begins(desk, &contoso).await).unwrap();
        let asked = |name: &str| {
            let found = address.query_pairs().find(|(found, _)| found == name);
            found.unwrap().1.into_owned()
        };
        let mut all = json!({"aud": "desk", "nonce": asked("nonce"), "sub": format!("kim{number}")});
        for (name, value) in changes.as_object().unwrap() {
            all[name] = value.clone();
        }
        let claims = issuer.claims(desk, all);
        issuer.says(
            "/token",
            json!({"id_token": issuer.signs(&claims), "token_type": "Bearer"}),
        );
        let back = format!("/v1/auth/sso/callback?code=c&state={}", asked("state"));
        let reply = browser.clone().returns(desk, &back).await;
        assert_eq!(reply.status, status, "{changes}: {}", reply.body);
        // The same claims with a signature that is none, and one with the client's secret.
        for (header, key) in [
            (json!({"alg": "none"}), None),
            (json!({"alg": "HS256", "kid": "a"}), Some(&secret)),
        ] {
            let sign =
                |message: &[u8]| key.map_or(Vec::new(), |key| hmac::sign(key, message).as_ref().to_vec());
            let token = forged(&header, &claims, sign);
            issuer.says("/token", json!({"id_token": token, "token_type": "Bearer"}));
            browser
                .clone()
                .returns(desk, &back)
                .await
                .refused(401, "sso-failed");
        }
    }
    // What is no answer at all is the provider's failure.
    for answer in [json!({}), json!([]), json!({"id_token": 7})] {
        let mut browser = Browser::default();
        let address = browser.begins(desk, &contoso).await;
        let state = address.split("state=").nth(1).unwrap().split('&').next().unwrap();
        issuer.says("/token", answer);
        let reply = browser
            .returns(desk, &format!("/v1/auth/sso/callback?code=c&state={state}"))
            .await;
        reply.refused(503, "identity-provider-unavailable");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_of_the_provider_is_a_bearer_token_and_its_roles_are_followed() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let idp = Provider::start(desk);
    registered(&stage, &idp.url, json!({})).await;
    let kim = desk.with_token(&idp.token("kim").await);
    let me = kim.get("/v1/me").await.ok();
    assert_eq!(
        (&me["email"], &me["role"], &me["tenant_id"]),
        (
            &json!("kim@contoso.example"),
            &json!("tenant_admin"),
            &stage.contoso["id"]
        )
    );
    kim.files("Mail is down", &stage.incident().await).await.created();
    // A role that was taken away there is gone here, with the next token.
    idp.says_of("kim", json!({"roles": "people"})).await;
    let less = desk.with_token(&idp.token("kim").await);
    assert_eq!(less.get("/v1/me").await.ok()["role"], "tenant_viewer");
    less.files("Again", &stage.incident().await)
        .await
        .refused(403, "forbidden");
    kim.files("With the old one", &stage.incident().await)
        .await
        .refused(401, "unauthenticated");
    idp.says_of("kim", json!({"roles": ["guests"]})).await;
    let none = desk.with_token(&idp.token("kim").await);
    none.get("/v1/me").await.refused(403, "sso-no-role");
    // Whoever was here before needs no address to be known again.
    idp.says_of(
        "kim",
        json!({"roles": ["admins"], "email": null, "email_verified": null}),
    )
    .await;
    let same = desk.with_token(&idp.token("kim").await);
    assert_eq!(same.get("/v1/me").await.ok()["id"], me["id"]);
    idp.says_of("lee", json!({"email": null})).await;
    let lee = desk.with_token(&idp.token("lee").await);
    lee.get("/v1/me").await.refused(403, "sso-refused");
    // A token is good until it expires, and no longer because it was remembered.
    desk.pass(TimeDelta::minutes(12));
    same.get("/v1/me").await.refused(401, "unauthenticated");
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_tenants_issuer_never_acts_in_another_tenant() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let (idp, issuer) = (Provider::start(desk), Issuer::start());
    // Both speak for both domains, so that nothing but the tenant stands between.
    let domains = json!(["contoso.example", "adatum.example", "provider.example"]);
    registered(&stage, &idp.url, json!({"domains": domains})).await;
    registered(
        &stage,
        &issuer.url,
        json!({"domains": domains, "tenant_id": stage.adatum["id"]}),
    )
    .await;
    idp.says_of(
        "kim",
        json!({"tenant": stage.adatum["id"], "tid": stage.adatum["id"], "role": "operator"}),
    )
    .await;
    let kim = desk.with_token(&idp.token("kim").await);
    assert_eq!(kim.get("/v1/me").await.ok()["tenant_id"], stage.contoso["id"]);
    let adatum = format!("/v1/tenants/{}", stage.adatum["id"].as_str().unwrap());
    kim.get(&adatum).await.refused(404, "not-found");
    kim.get(&format!("/v1/users/{}", stage.eva.id))
        .await
        .refused(404, "not-found");
    let form = json!({"incident_id": null, "service": "exchange-online", "region": "europe", "severity": "b",
        "subject": "x", "description": "x", "tenant_id": stage.adatum["id"]});
    kim.post("/v1/service-requests", form)
        .await
        .refused(422, "validation-failed");
    // Who has an account at another tenant, or is one of the provider's people, is not taken over.
    for email in ["eva@adatum.example", "olive@provider.example"] {
        idp.says_of("mallory", json!({"email": email})).await;
        let mallory = desk.with_token(&idp.token("mallory").await);
        mallory.get("/v1/me").await.refused(403, "sso-refused");
    }
    // The same subject at the issuer of another tenant is somebody else.
    let claims = issuer.claims(desk, json!({"email": "kim@adatum.example"}));
    let other = desk.with_token(&issuer.signs(&claims));
    let me = other.get("/v1/me").await.ok();
    assert_eq!(
        (&me["tenant_id"], &me["email"]),
        (&stage.adatum["id"], &json!("kim@adatum.example"))
    );
    // A token that says it is of the other's issuer is not signed by it.
    let claims = issuer.claims(desk, json!({"iss": idp.url, "kid": "key-1"}));
    for kid in ["a", "key-1"] {
        let forged = desk.with_token(&issuer.signs_as(kid, &claims));
        forged.get("/v1/me").await.refused(401, "unauthenticated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_access_token_for_the_desk_is_none_of_its_bearer_tokens() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let (idp, issuer) = (Provider::start(desk), Issuer::start());
    let form = json!({"client_id": "public-desk", "client_secret": null});
    registered(&stage, &idp.url, form).await;
    let none = registered(&stage, &issuer.url, json!({"audience": null})).await;
    let ours = idp.tokens("public-desk", "kim", AUDIENCE).await;
    let theirs = idp.tokens("portal", "kim", "https://other.example").await;
    let claims = |changes| issuer.claims(desk, changes);
    let tokens = [
        ("our ID token", ours["id_token"].as_str().unwrap().to_owned()),
        (
            "an ID token of theirs",
            theirs["id_token"].as_str().unwrap().to_owned(),
        ),
        (
            "for another audience",
            theirs["access_token"].as_str().unwrap().to_owned(),
        ),
        (
            "of a provider without an audience",
            issuer.signs(&claims(json!({}))),
        ),
        ("for its client", issuer.signs(&claims(json!({"aud": "desk"})))),
    ];
    for (what, token) in &tokens {
        let reply = desk.with_token(token).get("/v1/me").await;
        assert_eq!(reply.status, 401, "{what}: {}", reply.body);
    }
    let token = ours["access_token"].as_str().unwrap();
    desk.with_token(token).get("/v1/me").await.ok();
    // With an audience it is one; in time, and for nobody else.
    let audience = json!({"audience": AUDIENCE});
    desk.operator.patch(&path(&none), audience).await.ok();
    desk.with_token(&tokens[3].1).get("/v1/me").await.ok();
    let now = desk.clock.now().timestamp();
    for (changes, status) in [
        (json!({"sub": "lee", "email": "lee@contoso.example"}), 200),
        (json!({"sub": "lee", "aud": [AUDIENCE, "account"]}), 200),
        (json!({"sub": "lee", "exp": now - 59}), 200),
        (json!({"sub": "lee", "exp": now - 60}), 401),
        (json!({"sub": "lee", "nbf": now + 61}), 401),
        (json!({"sub": "lee", "aud": [AUDIENCE, "desk"]}), 401),
        (json!({"sub": "lee", "aud": []}), 401),
        (json!({"sub": null}), 401),
        (json!({"sub": "lee", "exp": null}), 401),
        (json!({"sub": "lee", "exp": "tomorrow"}), 401),
    ] {
        let caller = desk.with_token(&issuer.signs(&claims(changes.clone())));
        for turn in ["new", "remembered"] {
            let reply = caller.get("/v1/me").await;
            assert_eq!(reply.status, status, "{changes}, {turn}: {}", reply.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_is_not_the_issuers_is_refused_however_it_is_dressed() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let idp = Provider::start(desk);
    registered(&stage, &idp.url, json!({})).await;
    let good = idp.token("kim").await;
    desk.with_token(&good).get("/v1/me").await.ok();
    let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(&good).unwrap();
    let key = idp.key().await;
    let modulus = key["n"].as_str().unwrap().as_bytes().to_vec();
    let document = key.to_string().into_bytes();
    let pem = b"-----BEGIN PUBLIC KEY-----".to_vec();
    for secret in [modulus, document, pem, b"".to_vec()] {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let sign = |message: &[u8]| hmac::sign(&secret, message).as_ref().to_vec();
        for header in [
            json!({"alg": "HS256", "kid": "key-1", "typ": "at+jwt"}),
            json!({"alg": "RS256", "kid": "key-1", "typ": "at+jwt"}),
            json!({"alg": "none", "kid": "key-1"}),
            json!({"alg": "RS256", "kid": "key-1", "jwk": key}),
            json!({"alg": "RS256", "kid": "key-1", "jku": "https://evil.example/jwks"}),
            json!({"alg": "ES256", "kid": "key-1"}),
        ] {
            let token = forged(&header, &claims, sign);
            let reply = desk.with_token(&token).get("/v1/me").await;
            assert_eq!(reply.status, 401, "{header}: {}", reply.body);
        }
    }
    let unsigned = format!("{}.", good.rsplit_once('.').unwrap().0);
    desk.with_token(&unsigned)
        .get("/v1/me")
        .await
        .refused(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_known_is_asked_for_once_a_minute_at_most() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let (idp, issuer) = (Provider::start(desk), Issuer::start());
    registered(&stage, &idp.url, json!({})).await;
    let token = idp.token("kim").await;
    let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(&token).unwrap();
    desk.with_token(&token).get("/v1/me").await.ok();
    assert_eq!(idp.asked("/jwks").await, 1);
    let invented = |name: &str| desk.with_token(&issuer.signs_as(name, &claims));
    for name in ["b", "c", "d"] {
        invented(name).get("/v1/me").await.refused(401, "unauthenticated");
    }
    assert_eq!(idp.asked("/jwks").await, 1);
    for minute in 1..=3 {
        desk.pass(TimeDelta::seconds(60));
        let many = (0..20).map(|number| {
            let user = invented(&format!("{minute} {number}"));
            async move { user.get("/v1/me").await.refused(401, "unauthenticated") }
        });
        futures_util::future::join_all(many).await;
        assert_eq!(idp.asked("/jwks").await, 1 + minute);
    }
    assert_eq!(idp.asked("/.well-known/openid-configuration").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_provider_changes_its_key_the_old_one_goes_and_the_new_one_is_found() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let idp = Provider::start(desk);
    let contoso = registered(&stage, &idp.url, json!({})).await;
    // Three tokens of the old key: what was seen once is remembered for a minute.
    let (old, early, late) = (
        idp.token("kim").await,
        idp.token("kim").await,
        idp.token("kim").await,
    );
    desk.with_token(&old).get("/v1/me").await.ok();
    idp.rotates().await;
    desk.pass(TimeDelta::seconds(61));
    idp.follows(desk).await;
    // Until the new key is met, the old one is believed.
    desk.with_token(&early).get("/v1/me").await.ok();
    let new = idp.token("kim").await;
    desk.with_token(&new).get("/v1/me").await.ok();
    desk.with_token(&late)
        .get("/v1/me")
        .await
        .refused(401, "unauthenticated");
    let grant = Browser::default().signs_in(desk, &contoso, "kim").await;
    whoever(desk, &grant).get("/v1/me").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_provider_is_away_its_known_keys_are_believed_and_nothing_else_is_possible() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let (idp, issuer) = (Provider::start(desk), Issuer::start());
    let url = idp.url.clone();
    let contoso = registered(&stage, &url, json!({})).await;
    let incident = stage.incident().await;
    let first = idp.token("kim").await;
    desk.with_token(&first).get("/v1/me").await.ok();
    desk.pass(TimeDelta::minutes(55));
    idp.follows(desk).await;
    let tokens = [idp.token("kim").await, idp.token("kim").await];
    let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(&tokens[0]).unwrap();
    let mut begun = Browser::default();
    let address = begun.begins(desk, &contoso).await;
    let back = begun.is("kim", &address).await;
    drop(idp);
    desk.with_token(&tokens[0]).get("/v1/me").await.ok();
    // They are an hour old now, and nobody answers with newer ones.
    desk.pass(TimeDelta::minutes(6));
    let known = desk.with_token(&tokens[1]);
    known.get("/v1/me").await.ok();
    known.files("Mail is down", &incident).await.created();
    for _ in 0..2 {
        let unknown = desk
            .with_token(&issuer.signs_as("b", &claims))
            .get("/v1/me")
            .await;
        assert_eq!(unknown.header("retry-after"), Some("60"));
        unknown.refused(503, "identity-provider-unavailable");
    }
    begun
        .returns(desk, &back)
        .await
        .refused(503, "identity-provider-unavailable");
    // It is back, with another key: what was believed no longer is.
    let idp = Provider::start_again(desk, &url);
    desk.pass(TimeDelta::seconds(60));
    let new = desk.with_token(&idp.token("kim").await);
    new.get("/v1/me").await.ok();
    let grant = Browser::default().signs_in(desk, &contoso, "kim").await;
    whoever(desk, &grant).get("/v1/me").await.ok();
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_nobody_has_confirmed_for_a_day_are_believed_no_more() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let issuer = Issuer::start();
    let contoso = registered(&stage, &issuer.url, json!({})).await;
    let token = |hours: i64, id: &str| {
        let exp = desk.clock.now().timestamp() + hours * 3600;
        issuer.signs(&issuer.claims(desk, json!({"exp": exp, "jti": id})))
    };
    let tokens = [token(100, "a"), token(100, "b"), token(100, "c")];
    desk.with_token(&tokens[0]).get("/v1/me").await.ok();
    issuer.stops().await;
    desk.pass(TimeDelta::hours(23));
    desk.with_token(&tokens[1]).get("/v1/me").await.ok();
    desk.pass(TimeDelta::hours(1));
    let reply = desk.with_token(&tokens[2]).get("/v1/me").await;
    reply.refused(503, "identity-provider-unavailable");
    let begin = format!("/v1/auth/sso/{}", contoso["id"].as_str().unwrap());
    desk.stranger()
        .get(&begin)
        .await
        .refused(503, "identity-provider-unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_not_what_it_says_is_not_asked_further() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let document = |issuer: &str, keys: &str| {
        json!({"issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": keys})
    };
    for case in [
        "another issuer",
        "an unsafe address",
        "no document",
        "an endless one",
    ] {
        let issuer = Issuer::start();
        let url = issuer.url.clone();
        let said = match case {
            "another issuer" => document(&format!("{url}/"), &format!("{url}/jwks")),
            "an unsafe address" => document(&url, "http://keys.example/jwks"),
            "no document" => json!(["nothing"]),
            _ => json!("x".repeat(2 << 20)),
        };
        issuer.says("/.well-known/openid-configuration", said);
        let provider = registered(&stage, &url, json!({})).await;
        let begin = format!("/v1/auth/sso/{}", provider["id"].as_str().unwrap());
        let reply = desk.stranger().get(&begin).await;
        let body = reply.refused(503, "identity-provider-unavailable");
        assert!(!body.to_string().contains("keys.example"), "{case}: {body}");
        let token = issuer.signs(&issuer.claims(desk, json!({})));
        let reply = desk.with_token(&token).get("/v1/me").await;
        reply.refused(503, "identity-provider-unavailable");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_good_address_no_role_or_no_standing_stays_out() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let idp = Provider::start(desk);
    let contoso = registered(&stage, &idp.url, json!({})).await;
    for (claims, status, code) in [
        (json!({"email_verified": false}), 403, "sso-refused"),
        (json!({"email_verified": null}), 403, "sso-refused"),
        (json!({"email": null}), 403, "sso-refused"),
        (json!({"email": "kim@elsewhere.example"}), 403, "sso-refused"),
        (
            json!({"email": "kim@contoso.example.evil.example"}),
            403,
            "sso-refused",
        ),
        (json!({"roles": []}), 403, "sso-no-role"),
        (json!({"roles": "operator"}), 403, "sso-no-role"),
    ] {
        idp.says_of("kim", claims.clone()).await;
        let reply = Browser::default().signs_in(desk, &contoso, "kim").await;
        assert_eq!(reply.status, status, "{claims}: {}", reply.body);
        reply.refused(status, code);
        let reply = desk.with_token(&idp.token("kim").await).get("/v1/me").await;
        reply.refused(status, code);
    }
    assert_eq!(desk.count("people WHERE email LIKE 'kim@%'"), 0);
    // The tenant's administrator sees who tried; beyond ten a minute they are counted.
    let noted = stage.bob.all("/v1/audit?kind=sign_in_refused").await;
    assert_eq!(noted.len(), 10);
    for entry in noted {
        assert_eq!(entry["data"]["reason"], "identity_provider");
        assert_eq!(entry["data"]["identity_provider_id"], contoso["id"]);
    }
    idp.says_of("kim", json!({})).await;
    let grant = Browser::default().signs_in(desk, &contoso, "kim").await;
    let (kim, program) = (whoever(desk, &grant), desk.with_token(&idp.token("kim").await));
    let id = program.get("/v1/me").await.ok()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    // Disabled: the member, then the tenant, then the provider.
    let tenant = format!("/v1/tenants/{}", stage.contoso["id"].as_str().unwrap());
    for thing in [format!("/v1/users/{id}"), tenant, path(&contoso)] {
        let set = |disabled: bool| desk.operator.patch(&thing, json!({"disabled": disabled}));
        set(true).await.ok();
        let change = || json!({"name": "Kim"});
        for user in [&kim, &program] {
            user.patch("/v1/me", change())
                .await
                .refused(401, "unauthenticated");
        }
        let token = desk.with_token(&idp.token("kim").await);
        token.get("/v1/me").await.refused(401, "unauthenticated");
        if thing.starts_with("/v1/identity-providers/") {
            let begin = format!("/v1/auth/sso/{}", contoso["id"].as_str().unwrap());
            desk.stranger().get(&begin).await.refused(404, "not-found");
        } else {
            let reply = Browser::default().signs_in(desk, &contoso, "kim").await;
            reply.refused(401, "sign-in-failed");
        }
        set(false).await.ok();
        let token = desk.with_token(&idp.token("kim").await);
        token.patch("/v1/me", change()).await.ok();
    }
    // A session that ended with its provider does not come back with it.
    let grant = Browser::default().signs_in(desk, &contoso, "kim").await;
    let kim = whoever(desk, &grant);
    let change = || json!({"name": "Kim"});
    kim.patch("/v1/me", change()).await.ok();
    for disabled in [true, false] {
        let set = json!({"disabled": disabled});
        desk.operator.patch(&path(&contoso), set).await.ok();
    }
    kim.patch("/v1/me", change())
        .await
        .refused(401, "unauthenticated");
    let refresh = json!({"refresh_token": grant.body["refresh_token"]});
    desk.stranger()
        .post("/v1/auth/refresh", refresh)
        .await
        .refused(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_linked_a_contact_joins_and_somebody_elses_account_is_left_alone() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let idp = Provider::start(desk);
    let contoso = registered(
        &stage,
        &idp.url,
        json!({"domains": ["contoso.example", "adatum.example"]}),
    )
    .await;
    // Bob has a password, and is one of Contoso's.
    let grant = Browser::default().signs_in(desk, &contoso, "bob").await;
    let bob = whoever(desk, &grant);
    assert_eq!(bob.get("/v1/me").await.ok()["id"], stage.bob.id.as_str());
    // Ivy was invited, and has not chosen a password: now she needs none.
    let invited = json!({"email": "ivy@contoso.example", "name": "Ivy", "role": "tenant_viewer"});
    let ivy = stage.bob.post("/v1/users", invited).await.created();
    assert_eq!(ivy["status"], "invited");
    let grant = Browser::default().signs_in(desk, &contoso, "ivy").await;
    let me = whoever(desk, &grant).get("/v1/me").await.ok();
    assert_eq!(
        (&me["id"], &me["status"], &me["role"]),
        (&ivy["id"], &json!("active"), &json!("tenant_admin"))
    );
    // Carl is known as the one a request is for, and can sign in nowhere.
    let incident = stage.incident().await;
    let form = json!({"incident_id": incident["id"], "severity": "b", "subject": "x", "description": "x",
        "tenant_id": stage.contoso["id"], "requester": {"email": "carl@contoso.example", "name": "Carl"}});
    let request = stage.ada.post("/v1/service-requests", form).await.created();
    let grant = Browser::default().signs_in(desk, &contoso, "carl").await;
    let me = whoever(desk, &grant).get("/v1/me").await.ok();
    assert_eq!(
        (&me["id"], &me["name"]),
        (&request["requester"]["id"], &json!("carl of the provider"))
    );
    // Eva is Adatum's; asked to be Contoso's too, she has not agreed yet.
    idp.says_of("mallory", json!({"email": "eva@adatum.example"}))
        .await;
    let taking_over = || async {
        let reply = Browser::default().signs_in(desk, &contoso, "mallory").await;
        reply.refused(403, "sso-refused");
        let reply = desk.with_token(&idp.token("mallory").await).get("/v1/me").await;
        reply.refused(403, "sso-refused");
    };
    taking_over().await;
    let asked = json!({"email": "eva@adatum.example", "name": "Eva", "role": "tenant_viewer"});
    stage.bob.post("/v1/users", asked).await.created();
    taking_over().await;
    let eva = format!(
        "external_identities WHERE person_id IN (SELECT id FROM people WHERE email = '{}')",
        stage.eva.email
    );
    assert_eq!(desk.count(&eva), 0);
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_with_a_provider_changes_no_password_and_no_second_factor() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let idp = Provider::start(desk);
    let contoso = registered(&stage, &idp.url, json!({})).await;
    let grant = Browser::default().signs_in(desk, &contoso, "bob").await;
    let refresh = json!({"refresh_token": grant.body["refresh_token"]});
    let refreshed = desk.stranger().post("/v1/auth/refresh", refresh).await;
    let program = desk.with_token(&idp.token("bob").await);
    for bob in [whoever(desk, &grant), whoever(desk, &refreshed), program] {
        let change = json!({"current_password": PASSWORD, "new_password": "another one, long enough"});
        bob.put("/v1/me/password", change).await.refused(403, "forbidden");
        bob.post("/v1/me/second-factor", json!({}))
            .await
            .refused(403, "forbidden");
        let code = json!({"code": "123456"});
        bob.post("/v1/me/second-factor/confirm", code.clone())
            .await
            .refused(403, "forbidden");
        bob.delete("/v1/me/second-factor", code)
            .await
            .refused(403, "forbidden");
        bob.patch("/v1/me", json!({"name": "Bob"})).await.ok();
    }
    // Of somebody who is Adatum's too, Contoso's provider changes not even the name, and sees no session.
    let form = json!({"email": "bob@contoso.example", "name": "Bob", "role": "tenant_viewer", "tenant_id": stage.adatum["id"]});
    desk.operator.post("/v1/users", form).await.created();
    let there =
        json!({"email": "bob@contoso.example", "password": PASSWORD, "tenant_id": stage.adatum["id"]});
    let there = whoever(desk, &desk.stranger().post("/v1/auth/login", there).await);
    let bob = whoever(desk, &grant);
    bob.patch("/v1/me", json!({"name": "Robert"}))
        .await
        .refused(409, "conflict");
    assert_eq!(bob.all("/v1/me/sessions").await.len(), 1);
    bob.delete("/v1/me/sessions", json!({})).await;
    there.patch("/v1/me", json!({"name": "Robert"})).await.ok();
    // With the password it is all as before.
    let change = json!({"current_password": PASSWORD, "new_password": "another one, long enough"});
    let reply = stage.bob.put("/v1/me/password", change).await;
    assert_eq!(reply.status, 204, "{}", reply.body);
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_sign_in_at_the_providers_own_issuer_whose_factors_count() {
    let mut stage = Stage::set().await;
    stage
        .desk
        .restart_with(|settings| settings.staff_need_second_factor = true)
        .await;
    let desk = &stage.desk;
    let idp = Provider::start(desk);
    let staffs = json!({
        "tenant_id": null, "name": "Our own", "domains": ["provider.example"],
        "roles": [{"value": "operators", "role": "operator"}, {"value": "agents", "role": "agent"}],
    });
    let own = registered(&stage, &idp.url, staffs).await;
    assert_eq!(own["tenant_id"], Value::Null);
    idp.says_of(
        "ada",
        json!({"email": "ada@provider.example", "roles": ["agents"]}),
    )
    .await;
    let grant = Browser::default().signs_in(desk, &own, "ada").await;
    assert!(grant.body.get("second_factor_needed").is_none(), "{}", grant.body);
    let ada = whoever(desk, &grant);
    let me = ada.get("/v1/me").await.ok();
    assert_eq!(
        (&me["id"], &me["role"], &me["tenant_id"]),
        (&json!(stage.ada.id), &json!("agent"), &Value::Null)
    );
    let refresh = json!({"refresh_token": grant.body["refresh_token"]});
    whoever(desk, &desk.stranger().post("/v1/auth/refresh", refresh).await)
        .get("/v1/queues")
        .await
        .ok();
    // Somebody new runs the place; the last one with a password stays what she is, whatever the issuer says.
    idp.says_of(
        "otto",
        json!({"email": "otto@provider.example", "roles": ["operators"]}),
    )
    .await;
    let otto = whoever(desk, &Browser::default().signs_in(desk, &own, "otto").await);
    otto.get("/v1/tenants").await.ok();
    idp.says_of(
        "olive",
        json!({"email": "olive@provider.example", "roles": ["agents"]}),
    )
    .await;
    Browser::default()
        .signs_in(desk, &own, "olive")
        .await
        .refused(409, "conflict");
    // Otto may go, even though he is one of only two.
    idp.says_of(
        "otto",
        json!({"email": "otto@provider.example", "roles": ["agents"]}),
    )
    .await;
    let otto = whoever(desk, &Browser::default().signs_in(desk, &own, "otto").await);
    otto.get("/v1/identity-providers").await.refused(403, "forbidden");
    // His queues are looked at again.
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_changes_while_it_is_asked_lets_nobody_in() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let issuer = Issuer::start();
    let contoso = registered(&stage, &issuer.url, json!({})).await;
    let operator = &desk.operator;
    for what in ["changed", "disabled", "removed"] {
        let mut browser = Browser::default();
        let address = url::Url::parse(&browser.begins(desk, &contoso).await).unwrap();
        let asked = |name: &str| {
            let found = address.query_pairs().find(|(found, _)| found == name);
            found.unwrap().1.into_owned()
        };
        let claims = issuer.claims(desk, json!({"aud": "desk", "nonce": asked("nonce")}));
        issuer.says(
            "/token",
            json!({"id_token": issuer.signs(&claims), "token_type": "Bearer"}),
        );
        let back = format!("/v1/auth/sso/callback?code=c&state={}", asked("state"));
        let mut held = issuer.holds("/token");
        let meanwhile = async {
            held.asked().await;
            let place = path(&contoso);
            let done = match what {
                "changed" => operator.patch(&place, json!({"domains": ["x.example"]})).await,
                "disabled" => operator.patch(&place, json!({"disabled": true})).await,
                _ => operator.delete(&place, json!({})).await,
            };
            assert!(done.status < 300, "{}", done.body);
            held.comes();
        };
        let (reply, ()) = tokio::join!(browser.returns(desk, &back), meanwhile);
        let body = reply.refused(401, "sso-failed");
        assert!(body["detail"].as_str().unwrap().contains("begin again"), "{body}");
        if what != "removed" {
            let as_before = json!({"disabled": false, "domains": ["contoso.example"]});
            operator.patch(&path(&contoso), as_before).await.ok();
        }
    }
    // The same of a program, whose first call has the keys asked for.
    let issuer = Issuer::start();
    let contoso = registered(&stage, &issuer.url, json!({})).await;
    let kim = desk.with_token(&issuer.signs(&issuer.claims(desk, json!({}))));
    let mut held = issuer.holds("/jwks");
    let meanwhile = async {
        held.asked().await;
        operator
            .patch(&path(&contoso), json!({"disabled": true}))
            .await
            .ok();
        held.comes();
    };
    let (reply, ()) = tokio::join!(kim.get("/v1/me"), meanwhile);
    reply.refused(401, "unauthenticated");
    assert_eq!(desk.count("sessions WHERE provider_id IS NOT NULL"), 0);
    assert_eq!(desk.count("external_identities"), 0);
    assert_eq!(desk.count("people WHERE email = 'kim@contoso.example'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_does_not_outlive_its_provider_even_if_it_was_not_ended() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let idp = Provider::start(desk);
    let contoso = registered(&stage, &idp.url, json!({})).await;
    let grant = Browser::default().signs_in(desk, &contoso, "kim").await;
    let kim = whoever(desk, &grant);
    let place = path(&contoso);
    let disabled = |disabled: bool| desk.operator.patch(&place, json!({"disabled": disabled}));
    disabled(true).await.ok();
    assert_eq!(
        desk.sql("UPDATE sessions SET ended_at = NULL WHERE provider_id IS NOT NULL"),
        1
    );
    let refresh = || json!({"refresh_token": grant.body["refresh_token"]});
    let change = || json!({"name": "Kim"});
    let refused = [
        kim.patch("/v1/me", change()).await,
        desk.stranger().post("/v1/auth/refresh", refresh()).await,
    ];
    for reply in refused {
        reply.refused(401, "unauthenticated");
    }
    disabled(false).await.ok();
    kim.patch("/v1/me", change()).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_of_another_tenant_keeps_nobody_out() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let (idp, adatums) = (Provider::start(desk), Issuer::start());
    let contoso = registered(&stage, &idp.url, json!({})).await;
    let there = json!({"tenant_id": stage.adatum["id"], "domains": ["contoso.example"]});
    registered(&stage, &adatums.url, there).await;
    let form = |who: &str| json!({"email": format!("{who}@contoso.example"), "name": "Not a name", "role": "tenant_viewer"});
    // Kim was invited by Adatum; Lee was so too, and then by Contoso.
    for who in ["kim", "lee"] {
        let there = stage.eva.post("/v1/users", form(who)).await.created();
        if who == "lee" {
            let here = stage.bob.post("/v1/users", form(who)).await.created();
            assert_eq!((&here["id"], &here["status"]), (&there["id"], &json!("invited")));
        }
        let grant = Browser::default().signs_in(desk, &contoso, who).await;
        let me = whoever(desk, &grant).get("/v1/me").await.ok();
        assert_eq!(
            (&me["id"], &me["name"], &me["tenant_id"], &me["status"]),
            (
                &there["id"],
                &json!(format!("{who} of the provider")),
                &stage.contoso["id"],
                &json!("active")
            )
        );
        // At Adatum nothing has happened.
        let there = format!("/v1/users/{}", there["id"].as_str().unwrap());
        assert_eq!(stage.eva.get(&there).await.ok()["status"], "invited");
    }
    // Who has been in there, by a provider, is somebody; so is who has a password.
    let claims = adatums.claims(desk, json!({"sub": "mia", "email": "mia@contoso.example"}));
    let mia = desk.with_token(&adatums.signs(&claims));
    mia.get("/v1/me").await.ok();
    let mut ned = form("ned");
    ned["password"] = json!(PASSWORD);
    stage.eva.post("/v1/users", ned).await.created();
    // And a key is nobody.
    let key = json!({"name": "A key", "role": "tenant_viewer", "scopes": ["requests:read"]});
    let key = stage.eva.post("/v1/api-keys", key).await.created();
    let id = key["id"].as_str().unwrap();
    let renamed = desk.sql(&format!(
        "UPDATE people SET email = 'key@contoso.example' WHERE email = '{id}@keys.invalid'"
    ));
    assert_eq!(renamed, 1);
    for who in ["mia", "ned", "key"] {
        let reply = Browser::default().signs_in(desk, &contoso, who).await;
        reply.refused(403, "sso-refused");
    }
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_issuer_could_be_named_and_what_is_too_long_is_refused() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let issuer = Issuer::start();
    registered(&stage, &issuer.url, json!({})).await;
    let claims = |changes| issuer.claims(desk, changes);
    for iss in [
        "https://login.example\u{0}",
        "\u{0}",
        "",
        "login.example",
        "https://login.example?x=\u{0}",
        &format!("https://login.example/{}", "x".repeat(500)),
    ] {
        for token in [
            issuer.signs(&claims(json!({"iss": iss}))),
            forged(&json!({"alg": "none"}), &claims(json!({"iss": iss})), |_| {
                Vec::new()
            }),
        ] {
            let reply = desk.with_token(&token).get("/v1/me").await;
            reply.refused(401, "unauthenticated");
        }
    }
    // 8 KiB, and what is longer.
    for (size, status) in [(5_000, 200), (7_000, 401), (50_000, 401)] {
        let token = issuer.signs(&claims(json!({"more": "x".repeat(size)})));
        assert_eq!(token.len() > 8192, status == 401, "{}", token.len());
        for turn in ["new", "remembered"] {
            let reply = desk.with_token(&token).get("/v1/me").await;
            assert_eq!(reply.status, status, "{size}, {turn}: {}", reply.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_first_calls_of_one_subject_make_one_person() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let issuer = Issuer::start();
    registered(&stage, &issuer.url, json!({})).await;
    let calls = (0..16).map(|number| {
        let claims = issuer.claims(desk, json!({"jti": number}));
        let kim = desk.with_token(&issuer.signs(&claims));
        async move { kim.get("/v1/me").await.ok()["id"].clone() }
    });
    let mut ids = futures_util::future::join_all(calls).await;
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(desk.count("external_identities"), 1);
    assert_eq!(
        desk.count("events WHERE kind = 'user_created' AND CAST(data AS TEXT) LIKE '%\"sso\"%'"),
        1
    );
    // So do two subjects with one address: the account is one.
    let calls = (0..8).map(|number| {
        let who = json!({"sub": format!("lee{number}"), "email": "lee@contoso.example"});
        let lee = desk.with_token(&issuer.signs(&issuer.claims(desk, who)));
        async move { lee.get("/v1/me").await.ok()["id"].clone() }
    });
    let mut ids = futures_util::future::join_all(calls).await;
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_providers_are_registered_changed_and_removed_by_operators() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let issuer = Issuer::start();
    let contoso = registered(
        &stage,
        &issuer.url,
        json!({"scopes": ["email", "openid", "roles"], "domains": ["Contoso.example"]}),
    )
    .await;
    assert_eq!(contoso["scopes"], json!(["openid", "email", "roles"]));
    assert_eq!(contoso["domains"], json!(["contoso.example"]));
    assert_eq!(
        (&contoso["has_client_secret"], &contoso["version"]),
        (&json!(true), &json!(1))
    );
    assert!(!contoso.to_string().contains("a secret"), "{contoso}");
    assert_eq!(
        desk.count("identity_providers WHERE sealed_secret LIKE '%secret%'"),
        0
    );
    for user in [&stage.bob, &stage.marta] {
        user.get("/v1/identity-providers").await.refused(403, "forbidden");
    }
    let place = path(&contoso);
    stage.bob.get(&place).await.refused(403, "forbidden");
    stage.eva.get(&place).await.refused(404, "not-found");
    // What one may not say.
    let staffs = json!({"tenant_id": null, "issuer": "https://other.example"});
    for (changes, pointer) in [
        (json!({"issuer": "http://login.example"}), "/issuer"),
        (json!({"issuer": "https://login.example?x=y"}), "/issuer"),
        (json!({"issuer": "http://localhost:8080"}), "/issuer"),
        (
            json!({"issuer": "https://other.example", "audience": "desk"}),
            "/audience",
        ),
        (
            json!({"issuer": "https://other.example", "tenant_id": PROVIDER}),
            "/tenant_id",
        ),
        (staffs, "/roles/0/role"),
        (
            json!({"issuer": "https://other.example", "domains": []}),
            "/domains",
        ),
        (
            json!({"issuer": "https://other.example", "domains": ["a@b.example"]}),
            "/domains/0",
        ),
        (json!({"issuer": "https://other.example", "roles": []}), "/roles"),
        (
            json!({"issuer": "https://other.example", "scopes": ["open id"]}),
            "/scopes/0",
        ),
    ] {
        let mut form = json!({
            "tenant_id": stage.contoso["id"], "name": "Contoso", "issuer": "https://login.example", "client_id": "desk",
            "domains": ["contoso.example"], "roles": [{"value": "admins", "role": "tenant_admin"}],
        });
        for (name, value) in changes.as_object().unwrap() {
            form[name] = value.clone();
        }
        let body = desk
            .operator
            .post("/v1/identity-providers", form)
            .await
            .refused(422, "validation-failed");
        assert_eq!(body["errors"][0]["pointer"], pointer, "{changes}: {body}");
    }
    // A token names one provider: neither client nor audience are there twice, nor one as the other.
    for (client, audience) in [
        ("desk", json!(null)),
        ("other", json!(AUDIENCE)),
        (AUDIENCE, json!(null)),
        ("other", json!("desk")),
    ] {
        let form = json!({
            "tenant_id": stage.adatum["id"], "name": "Adatum", "issuer": issuer.url, "client_id": client, "audience": audience,
            "domains": ["adatum.example"], "roles": [{"value": "admins", "role": "tenant_admin"}],
        });
        desk.operator
            .post("/v1/identity-providers", form)
            .await
            .refused(409, "already-exists");
    }
    let other = json!({"tenant_id": stage.adatum["id"], "client_id": "other", "audience": null});
    let other = registered(&stage, &issuer.url, other).await;
    let change = json!({"audience": AUDIENCE});
    desk.operator
        .patch(&path(&other), change)
        .await
        .refused(409, "already-exists");
    // Changes are of what was seen.
    let call = |tag: Option<&str>| {
        let call = desk
            .operator
            .call(Method::PATCH, &place)
            .json(&json!({"client_secret": null, "audience": null}));
        tag.into_iter()
            .fold(call, |call, tag| call.header("if-match", tag.to_owned()))
    };
    Reply::of(call(None)).await.refused(428, "precondition-required");
    Reply::of(call(Some("\"7\"")))
        .await
        .refused(412, "precondition-failed");
    let changed = Reply::of(call(Some("\"1\""))).await;
    assert_eq!(changed.header("etag"), Some("\"2\""));
    let changed = changed.ok();
    assert_eq!(
        (&changed["has_client_secret"], &changed["audience"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(changed["roles"], contoso["roles"]);
    desk.operator
        .patch(&place, json!({"audience": AUDIENCE}))
        .await
        .ok();
    assert_eq!(desk.operator.all("/v1/identity-providers").await.len(), 2);
    // Removed: who came by it has no way in any more, but for a password.
    let token = desk.with_token(&issuer.signs(&issuer.claims(desk, json!({}))));
    let kim = token.get("/v1/me").await.ok();
    let bob = json!({"sub": "bob", "email": "bob@contoso.example"});
    desk.with_token(&issuer.signs(&issuer.claims(desk, bob)))
        .get("/v1/me")
        .await
        .ok();
    let gone = desk.operator.delete(&place, json!({})).await;
    assert_eq!(gone.status, 204, "{}", gone.body);
    desk.operator.get(&place).await.refused(404, "not-found");
    token
        .patch("/v1/me", json!({"name": "Kim"}))
        .await
        .refused(401, "unauthenticated");
    let status = |id: String| async move {
        desk.operator.get(&format!("/v1/users/{id}")).await.ok()["status"].clone()
    };
    assert_eq!(status(kim["id"].as_str().unwrap().to_owned()).await, "invited");
    assert_eq!(status(stage.bob.id.clone()).await, "active");
    assert_eq!(desk.count("external_identities"), 0);
    let kinds =
        "events WHERE subject_kind = 'identity_provider' AND CAST(data AS TEXT) NOT LIKE '%a secret%'";
    assert_eq!(desk.count(kinds), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_chosen_for_one_tenant_opens_none_that_signs_its_people_in_elsewhere() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let idp = Provider::start(desk);
    let contoso = registered(&stage, &idp.url, json!({})).await;
    let grant = Browser::default().signs_in(desk, &contoso, "kim").await;
    let kim = whoever(desk, &grant).get("/v1/me").await.ok();
    // Adatum asks Kim too, who chooses a password for it.
    let form = json!({"email": kim["email"], "name": "Kim", "role": "tenant_viewer"});
    stage.eva.post("/v1/users", form).await.created();
    desk.drain().await;
    let token = crate::accounts::mailed_token(desk, kim["email"].as_str().unwrap());
    let set = json!({"token": token, "password": crate::desk::PASSWORD});
    assert_eq!(desk.stranger().post("/v1/auth/password", set).await.status, 204);
    let mut form =
        json!({"email": kim["email"], "password": crate::desk::PASSWORD, "tenant_id": stage.contoso["id"]});
    let login = desk.stranger().post("/v1/auth/login", form.clone()).await;
    login.refused(401, "sign-in-failed");
    form["tenant_id"] = stage.adatum["id"].clone();
    desk.stranger().post("/v1/auth/login", form).await.ok();
    // And Contoso's provider is the way in there as before.
    let grant = Browser::default().signs_in(desk, &contoso, "kim").await;
    whoever(desk, &grant).get("/v1/me").await.ok();
    desk.drain().await;
}
