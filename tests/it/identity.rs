//! Who calls: signing in, tokens, users, the first operator.

use allclear::app;
use allclear::identity::Role;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chrono::TimeDelta;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

use crate::desk::{PASSWORD, Reply, Stage, TestDesk, User, incident_form};

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

async fn login(desk: &TestDesk, form: Value) -> Reply {
    desk.stranger().post("/v1/auth/login", form).await
}

/// What a token says, and its header, whoever signed it.
fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| BASE64.decode(part).unwrap());
    let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (next(), next())
}

fn encoded(part: &Value) -> String {
    BASE64.encode(part.to_string())
}

// Signing in.

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signs_in_gets_a_token_that_works() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    for (user, role, tenant) in [
        (&stage.bob, "tenant_admin", stage.contoso["id"].clone()),
        (&stage.ada, "agent", Value::Null),
    ] {
        // The address is compared as addresses are.
        let email = format!(" {} ", user.email.to_uppercase());
        let reply = login(desk, json!({"email": email, "password": PASSWORD})).await;
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let session = reply.ok();
        assert_eq!(
            (&session["token_type"], &session["expires_in"]),
            (&json!("Bearer"), &json!(900))
        );
        let token = session["access_token"].as_str().unwrap();
        let me = desk.with_token(token).get("/v1/me").await.ok();
        assert_eq!(
            (&me["id"], &me["email"], &me["role"], &me["tenant_id"]),
            (&json!(user.id), &json!(user.email), &json!(role), &tenant)
        );
    }
    // The scheme is read in any case.
    let token = &stage.bob.token;
    let call = desk.stranger().call(reqwest::Method::GET, "/v1/me");
    Reply::of(call.header("authorization", format!("bearer {token}")))
        .await
        .ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    // A contact gets mail and has no password.
    let contact = json!({
        "incident_id": null, "severity": "b", "subject": "Help", "description": "It is down.", "service": "sign-in",
        "tenant_id": stage.contoso["id"], "requester": {"email": "cleo@contoso.example", "name": "Cleo"},
    });
    stage.ada.post("/v1/service-requests", contact).await.created();
    desk.sql("UPDATE people SET disabled = TRUE WHERE email = 'eva@adatum.example'");
    let mut answers = Vec::new();
    for (email, password, tenant) in [
        ("bob@contoso.example", "wrong horse battery", Value::Null),
        ("bob@contoso.example", "Correct horse battery", Value::Null),
        ("nobody@contoso.example", PASSWORD, Value::Null),
        ("not an address", PASSWORD, Value::Null),
        ("bob@contoso.example\u{0}", PASSWORD, Value::Null),
        ("bob@contoso.example\r\nx", PASSWORD, Value::Null),
        ("bob@contoso.example", "correct\u{0}horse\nbattery", Value::Null),
        ("bob@contoso.example", PASSWORD, stage.adatum["id"].clone()),
        ("bob@contoso.example", PASSWORD, json!(uuid::Uuid::new_v4())),
        ("cleo@contoso.example", PASSWORD, Value::Null),
        ("eva@adatum.example", PASSWORD, Value::Null),
        ("' OR 1=1 --", "' OR 1=1 --", Value::Null),
    ] {
        let form = json!({"email": email, "password": password, "tenant_id": tenant});
        let mut answer = login(desk, form).await.refused(401, "sign-in-failed");
        answer.as_object_mut().unwrap().remove("request_id");
        answers.push(answer);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    for (pointer, form) in [
        ("/email", json!({"email": "", "password": PASSWORD})),
        ("/email", json!({"email": "x".repeat(255), "password": PASSWORD})),
        (
            "/password",
            json!({"email": "bob@contoso.example", "password": ""}),
        ),
        (
            "/password",
            json!({"email": "bob@contoso.example", "password": "x".repeat(201)}),
        ),
        (
            "/password",
            json!({"email": "bob@contoso.example", "password": 1}),
        ),
        (
            "/remember",
            json!({"email": "bob@contoso.example", "password": PASSWORD, "remember": true}),
        ),
    ] {
        let refused = login(desk, form).await.refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_of_two_tenants_names_the_one_to_sign_in_to() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    desk.sql(
        "INSERT INTO memberships (tenant_id, person_id, role, created_at) \
         SELECT tenants.id, people.id, 'tenant_viewer', people.created_at FROM people, tenants \
         WHERE people.email = 'bob@contoso.example' AND tenants.name = 'Adatum'",
    );
    let form =
        |tenant: &Value| json!({"email": "bob@contoso.example", "password": PASSWORD, "tenant_id": tenant});
    let refused = login(desk, form(&Value::Null))
        .await
        .refused(409, "tenant-ambiguous");
    let mut named: Vec<_> = refused["tenants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t.as_str().unwrap())
        .collect();
    named.sort_unstable();
    let mut expected = [id(&stage.contoso), id(&stage.adatum)];
    expected.sort_unstable();
    assert_eq!(named, expected);
    // Which tenants there are is only for who knows the password.
    let mut wrong = form(&Value::Null);
    wrong["password"] = json!("wrong horse battery");
    login(desk, wrong).await.refused(401, "sign-in-failed");
    for (tenant, role) in [(&stage.contoso, "tenant_admin"), (&stage.adatum, "tenant_viewer")] {
        let session = login(desk, form(&tenant["id"])).await.ok();
        let me = desk
            .with_token(session["access_token"].as_str().unwrap())
            .get("/v1/me")
            .await
            .ok();
        assert_eq!((&me["tenant_id"], &me["role"]), (&tenant["id"], &json!(role)));
    }
}

// Tokens.

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_who_for_whom_and_how_long_and_the_published_key_verifies_it() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let form = json!({"email": "bob@contoso.example", "password": PASSWORD});
    let session = login(desk, form).await.ok();
    let token = session["access_token"].as_str().unwrap();
    let (header, claims) = parts(token);
    let now = desk.clock.now().timestamp();
    assert_eq!(
        claims,
        json!({
            "iss": desk.settings().public_url, "aud": "allclear", "sub": stage.bob.id,
            "tenant": stage.contoso["id"], "role": "tenant_admin", "sid": claims["sid"], "iat": now, "nbf": now, "exp": now + 900,
        })
    );
    let sessions = desk.with_token(token).all("/v1/me/sessions").await;
    assert_eq!(sessions[0]["id"], claims["sid"]);
    let set = desk.stranger().get("/.well-known/jwks.json").await;
    assert!(set.header("cache-control").unwrap().contains("max-age"));
    let set = set.ok();
    let key = &set["keys"][0];
    assert_eq!(
        header,
        json!({"alg": "EdDSA", "typ": "at+jwt", "kid": key["kid"]})
    );
    assert_eq!(
        (&key["kty"], &key["crv"], &key["use"], &key["alg"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("sig"), &json!("EdDSA"))
    );
    assert_eq!(key.get("d"), None, "the private half stays");

    let keys: JwkSet = serde_json::from_value(set).unwrap();
    let verify = |token: &str| {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&["allclear"]);
        validation.set_issuer(&[&desk.settings().public_url]);
        validation.validate_exp = false;
        let key = DecodingKey::from_jwk(keys.find(header["kid"].as_str().unwrap()).unwrap()).unwrap();
        jsonwebtoken::decode::<Value>(token, &key, &validation)
    };
    assert_eq!(verify(token).unwrap().claims, claims);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = BASE64.decode(signature).unwrap();
    bytes[0] ^= 1;
    assert!(verify(&format!("{signed}.{}", BASE64.encode(bytes))).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_valid_from_its_issue_until_it_expires_and_not_a_second_longer() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let bob = &stage.bob;
    bob.get("/v1/me").await.ok();
    desk.pass(TimeDelta::seconds(899));
    bob.get("/v1/me").await.ok();
    desk.pass(TimeDelta::seconds(1));
    // Whether it has been seen before or not.
    bob.get("/v1/me").await.refused(401, "unauthenticated");
    stage.ada.get("/v1/me").await.refused(401, "unauthenticated");
    let again = User::sign_in(&reqwest::Client::new(), desk.url(), &bob.email).await;
    again.get("/v1/me").await.ok();

    let tokens = &desk.running().tokens;
    let person = bob.id.parse().unwrap();
    let tenant = id(&stage.contoso).parse().unwrap();
    let soon = desk.clock.now() + TimeDelta::seconds(1);
    let early = tokens
        .mint(person, tenant, Role::TenantAdmin, soon.into())
        .unwrap();
    let early = desk.with_token(&early);
    early.get("/v1/me").await.refused(401, "unauthenticated");
    desk.pass(TimeDelta::seconds(1));
    early.get("/v1/me").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_ours_or_not_as_we_made_it_is_refused() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let (header, claims) = parts(&stage.bob.token);
    let ours = desk.running().tokens.keys().newest().unwrap();
    let kid = ours.kid.clone();
    let signed = |change: &dyn Fn(&mut Header), claims: &Value, key: &EncodingKey, algorithm| {
        let mut header = Header::new(algorithm);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(kid.clone());
        change(&mut header);
        jsonwebtoken::encode(&header, claims, key).unwrap()
    };
    let with = |change: &dyn Fn(&mut Header)| signed(change, &claims, &ours.encoding, Algorithm::EdDSA);
    let claiming = |field: &str, value: Value| {
        let mut claims = claims.clone();
        claims[field] = value;
        signed(&|_| {}, &claims, &ours.encoding, Algorithm::EdDSA)
    };
    let without = |field: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(field);
        signed(&|_| {}, &claims, &ours.encoding, Algorithm::EdDSA)
    };
    // What the refusals below rest on: made this way and unchanged, it is accepted.
    desk.with_token(&with(&|_| {})).get("/v1/me").await.ok();

    let keys = desk.stranger().get("/.well-known/jwks.json").await.ok();
    let public = BASE64.decode(keys["keys"][0]["x"].as_str().unwrap()).unwrap();
    let (head, body, signature) = {
        let mut parts = stage.bob.token.split('.');
        (
            parts.next().unwrap(),
            parts.next().unwrap(),
            parts.next().unwrap(),
        )
    };
    let mut raised = claims.clone();
    raised["role"] = json!("operator");
    let mut none = header.clone();
    none["alg"] = json!("none");
    let mut other_key = header.clone();
    other_key["kid"] = json!("another");
    let stranger = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
    let stranger: aws_lc_rs::encoding::Pkcs8V1Der<'_> =
        aws_lc_rs::encoding::AsDer::as_der(&stranger).unwrap();
    let stranger = EncodingKey::from_ed_der(stranger.as_ref());
    let stranger_jwk = Jwk::from_encoding_key(&stranger, Algorithm::EdDSA).unwrap();
    let now = desk.clock.now().timestamp();
    for (why, token) in [
        (
            "raised claims",
            format!("{head}.{}.{signature}", encoded(&raised)),
        ),
        (
            "another header",
            format!("{}.{body}.{signature}", encoded(&other_key)),
        ),
        ("no signature", format!("{head}.{body}.")),
        ("two parts", format!("{head}.{body}")),
        ("alg none", format!("{}.{body}.", encoded(&none))),
        (
            "alg none, signed",
            format!("{}.{body}.{signature}", encoded(&none)),
        ),
        (
            "HS256 with the public key",
            signed(
                &|_| {},
                &claims,
                &EncodingKey::from_secret(&public),
                Algorithm::HS256,
            ),
        ),
        (
            "HS256 with the published text",
            signed(
                &|_| {},
                &claims,
                &EncodingKey::from_secret(keys["keys"][0]["x"].as_str().unwrap().as_bytes()),
                Algorithm::HS256,
            ),
        ),
        (
            "a stranger's key",
            signed(&|_| {}, &claims, &stranger, Algorithm::EdDSA),
        ),
        (
            "unknown kid",
            with(&|header| header.kid = Some("another".to_owned())),
        ),
        ("no kid", with(&|header| header.kid = None)),
        ("crit", with(&|header| header.crit = Some(vec!["exp".to_owned()]))),
        (
            "an embedded key",
            signed(
                &|header| header.jwk = Some(stranger_jwk.clone()),
                &claims,
                &stranger,
                Algorithm::EdDSA,
            ),
        ),
        (
            "an embedded key beside ours",
            with(&|header| header.jwk = Some(stranger_jwk.clone())),
        ),
        (
            "a key elsewhere",
            with(&|header| header.jku = Some("http://127.0.0.1:9/keys".to_owned())),
        ),
        (
            "a certificate elsewhere",
            with(&|header| header.x5u = Some("http://127.0.0.1:9/chain".to_owned())),
        ),
        ("typ JWT", with(&|header| header.typ = Some("JWT".to_owned()))),
        ("no typ", with(&|header| header.typ = None)),
        (
            "another issuer",
            claiming("iss", json!("http://elsewhere.example")),
        ),
        ("another audience", claiming("aud", json!("elsewhere"))),
        ("expired", claiming("exp", json!(now))),
        ("not yet", claiming("nbf", json!(now + 1))),
        ("no exp", without("exp")),
        ("no nbf", without("nbf")),
        ("no aud", without("aud")),
        ("no iss", without("iss")),
        ("no sub", without("sub")),
        ("nobody", claiming("sub", json!(uuid::Uuid::new_v4()))),
        (
            "a tenant it is not of",
            claiming("tenant", stage.adatum["id"].clone()),
        ),
        ("a role it has not", claiming("role", json!("tenant_viewer"))),
        ("an unknown role", claiming("role", json!("king"))),
        ("nonsense", "nonsense".to_owned()),
        ("a long one", "x.".repeat(1000)),
    ] {
        let reply = desk.with_token(&token).get("/v1/me").await;
        assert_eq!(
            (reply.status, reply.body["code"].as_str()),
            (401, Some("unauthenticated")),
            "{why}: {}",
            reply.body
        );
    }
    desk.stranger()
        .get("/v1/me")
        .await
        .refused(401, "unauthenticated");
    for value in ["Basic Ym9iOmJvYg==", "Bearer", "", &stage.bob.token] {
        let call = desk.stranger().call(reqwest::Method::GET, "/v1/me");
        Reply::of(call.header("authorization", value))
            .await
            .refused(401, "unauthenticated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_user_a_changed_role_and_a_disabled_tenant_cannot_write_at_once() {
    let stage = Stage::set().await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        eva,
        ..
    } = &stage;
    let incident = stage.incident().await;
    let filed = bob.files("Mail", &incident).await.created();
    let comments = format!("/v1/service-requests/{}/comments", id(&filed));
    let said = json!({"body": "Hello?"});
    for user in [ada, bob] {
        user.post(&comments, said.clone()).await.created();
    }
    eva.get("/v1/me").await.ok();
    desk.sql("UPDATE people SET disabled = TRUE WHERE email = 'ada@provider.example'");
    ada.post(&comments, said.clone())
        .await
        .refused(401, "unauthenticated");
    desk.sql("UPDATE memberships SET role = 'agent' WHERE role = 'incident_manager'");
    marta
        .post("/v1/incidents", incident_form())
        .await
        .refused(401, "unauthenticated");
    desk.sql("UPDATE tenants SET disabled = TRUE WHERE name IN ('Contoso', 'Adatum')");
    bob.post(&comments, said.clone())
        .await
        .refused(401, "unauthenticated");
    eva.files("Mail", &incident).await.refused(401, "unauthenticated");
    assert_eq!((desk.count("incidents"), desk.count("request_comments")), (1, 2));
    // Nor does anybody of them sign in again.
    for user in [ada, bob, eva] {
        login(desk, json!({"email": user.email, "password": PASSWORD}))
            .await
            .refused(401, "sign-in-failed");
    }
    // A token that was not seen before is not even read with.
    let person = ada.id.parse().unwrap();
    let soon = desk.clock.now() - TimeDelta::seconds(1);
    let fresh = desk
        .running()
        .tokens
        .mint(person, allclear::db::PROVIDER, Role::Agent, soon.into())
        .unwrap();
    desk.with_token(&fresh)
        .get("/v1/me")
        .await
        .refused(401, "unauthenticated");
    desk.drain().await;
}

// Users and tenants.

fn user(email: &str, changes: Value) -> Value {
    let mut form = json!({"email": email, "name": "Somebody", "role": "tenant_viewer", "password": PASSWORD});
    for (key, value) in changes.as_object().unwrap() {
        form[key] = value.clone();
    }
    form
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_somebodys_once_however_it_is_written() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let made = bob
        .post("/v1/users", user("Vic@Contoso.example", json!({})))
        .await
        .created();
    assert_eq!(made["email"], "vic@contoso.example");
    let before = desk.count("people");
    for (caller, email) in [
        (bob, "vic@contoso.example"),
        (bob, "VIC@CONTOSO.EXAMPLE"),
        (&desk.operator, " bob@contoso.example "),
    ] {
        let form = match caller.email.as_str() {
            "olive@provider.example" => user(email, json!({"tenant_id": stage.contoso["id"]})),
            _ => user(email, json!({})),
        };
        caller
            .post("/v1/users", form)
            .await
            .refused(409, "already-exists");
    }
    assert_eq!(
        (desk.count("people"), desk.count("memberships")),
        (before, before)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_administrator_makes_and_sees_users_of_its_own_tenant_only() {
    let stage = Stage::set().await;
    let Stage { desk, bob, eva, .. } = &stage;
    let lea = desk.staff("lea", "lead").await;
    let viewer = bob
        .post("/v1/users", user("vic@contoso.example", json!({})))
        .await
        .created();
    let admin = bob
        .post(
            "/v1/users",
            user("amy@contoso.example", json!({"role": "tenant_admin"})),
        )
        .await
        .created();
    for made in [&viewer, &admin] {
        assert_eq!(made["tenant_id"], stage.contoso["id"]);
    }
    let before = desk.count("people");
    for (pointer, changes) in [
        ("/tenant_id", json!({"tenant_id": stage.adatum["id"]})),
        ("/tenant_id", json!({"tenant_id": stage.contoso["id"]})),
        (
            "/tenant_id",
            json!({"tenant_id": allclear::db::PROVIDER, "role": "operator"}),
        ),
        ("/role", json!({"role": "agent"})),
        ("/role", json!({"role": "operator"})),
        ("/role", json!({"role": "king"})),
        ("/name", json!({"name": "Bob\r\nBcc: all@contoso.example"})),
        ("/name", json!({"name": "nul\u{0}"})),
        ("/name", json!({"name": "over\u{202e}ride"})),
        (
            "/email",
            json!({"email": "x@contoso.example\r\nBcc: y@contoso.example"}),
        ),
        ("/email", json!({"email": "nobody"})),
        ("/password", json!({"password": "too short"})),
        ("/password", json!({"password": "x".repeat(201)})),
        ("/locale", json!({"locale": "!"})),
        ("/time_zone", json!({"time_zone": "Mars/Base"})),
        ("/id", json!({"id": uuid::Uuid::new_v4()})),
    ] {
        let refused = bob
            .post("/v1/users", user("new@contoso.example", changes.clone()))
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{changes}");
    }
    for (pointer, changes) in [
        ("/tenant_id", json!({})),
        ("/tenant_id", json!({"tenant_id": uuid::Uuid::new_v4()})),
        ("/tenant_id", json!({"tenant_id": allclear::db::PROVIDER})),
        (
            "/tenant_id",
            json!({"tenant_id": stage.contoso["id"], "role": "agent"}),
        ),
    ] {
        let refused = desk
            .operator
            .post("/v1/users", user("new@contoso.example", changes.clone()))
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{changes}");
    }
    assert_eq!(desk.count("people"), before);

    let emails = async |caller: &User| {
        let mut emails: Vec<_> = caller
            .all("/v1/users")
            .await
            .iter()
            .map(|u| u["email"].as_str().unwrap().to_owned())
            .collect();
        emails.sort_unstable();
        emails
    };
    let contoso = [
        "amy@contoso.example",
        "bob@contoso.example",
        "vic@contoso.example",
    ];
    assert_eq!(emails(bob).await, contoso);
    assert_eq!(emails(eva).await, ["eva@adatum.example"]);
    let everybody = emails(&lea).await;
    assert_eq!(everybody, emails(&desk.operator).await);
    assert!(
        contoso
            .iter()
            .all(|email| everybody.contains(&(*email).to_owned()))
    );
    assert_eq!(i64::try_from(everybody.len()).unwrap(), desk.count("memberships"));

    // Its own tenant it may read, another's is not found, and the provider is none.
    let address = |tenant: &Value| format!("/v1/tenants/{}", id(tenant));
    assert_eq!(bob.get(&address(&stage.contoso)).await.ok(), stage.contoso);
    bob.get(&address(&stage.adatum)).await.refused(404, "not-found");
    let provider = json!({"id": allclear::db::PROVIDER});
    for caller in [bob, &desk.operator] {
        caller.get(&address(&provider)).await.refused(404, "not-found");
    }
    assert_eq!(desk.operator.all("/v1/tenants").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_kept_as_argon2id_and_shown_to_nobody() {
    let stage = Stage::set().await;
    let Stage { desk, ada, bob, .. } = &stage;
    let everybody = desk.count("people");
    assert!(everybody >= 5);
    let kept = desk.count("people WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'");
    assert_eq!(kept, everybody);
    // The same password is another hash for everybody.
    assert_eq!(
        desk.count("(SELECT DISTINCT password_hash FROM people) AS hashes"),
        everybody
    );
    for email in ["olive@provider.example", "bob@contoso.example"] {
        assert_eq!(
            desk.count(&format!(
                "people WHERE email = '{email}' AND password_hash LIKE '%{PASSWORD}%'"
            )),
            0
        );
    }
    let made = bob
        .post("/v1/users", user("vic@contoso.example", json!({})))
        .await
        .created();
    let mut shown = vec![made];
    for (caller, address) in [
        (&desk.operator, "/v1/users"),
        (&desk.operator, "/v1/me"),
        (&desk.operator, "/v1/tenants"),
        (bob, "/v1/users"),
        (bob, "/v1/me"),
        (ada, "/v1/queues"),
    ] {
        shown.push(caller.get(address).await.ok());
    }
    for view in shown {
        let text = view.to_string();
        assert!(
            !text.contains("argon2") && !text.contains("password") && !text.contains(PASSWORD),
            "{text}"
        );
    }
}

// The first start.

#[tokio::test(flavor = "multi_thread")]
async fn the_first_operator_is_made_once_and_said_once() {
    let mut desk = TestDesk::open().await;
    let first = desk.running().first_operator.clone().unwrap();
    // A password that was given is not said again.
    assert_eq!(
        (first.email.as_str(), first.password),
        ("olive@provider.example", None)
    );
    desk.restart().await;
    assert!(desk.running().first_operator.is_none());
    // Other settings make no other operator.
    let mut settings = desk.settings().clone();
    settings.operator_email = Some("oscar@provider.example".to_owned());
    let ground = app::prepare(&settings, &desk.clock).await.unwrap();
    assert!(ground.first_operator.is_none());
    assert_eq!(desk.count("memberships WHERE role = 'operator'"), 1);
    assert_eq!(desk.count("people"), 1);
    desk.operator.get("/v1/me").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_together_make_one_operator_and_one_key() {
    let desk = TestDesk::open().await;
    for table in [
        "refresh_tokens",
        "sessions",
        "memberships",
        "people",
        "signing_keys",
    ] {
        desk.sql(&format!("DELETE FROM {table}"));
    }
    let mut settings = desk.settings().clone();
    settings.operator_password = None;
    let starts = (0..4).map(|_| {
        let (settings, clock) = (settings.clone(), desk.clock.clone());
        tokio::spawn(async move { app::prepare(&settings, &clock).await.unwrap() })
    });
    let mut said = Vec::new();
    let mut kids = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        let ground = start.await.unwrap();
        said.extend(ground.first_operator);
        kids.push(ground.tokens.keys().newest().unwrap().kid.clone());
    }
    assert_eq!(said.len(), 1);
    kids.dedup();
    assert_eq!((kids.len(), desk.count("signing_keys")), (1, 1));
    assert_eq!(
        (
            desk.count("people"),
            desk.count("memberships WHERE role = 'operator'")
        ),
        (1, 1)
    );
    // The password that was made up signs in.
    let password = said[0].password.clone().unwrap();
    assert_eq!(password.len(), 24);
    login(&desk, json!({"email": said[0].email, "password": password}))
        .await
        .ok();
}
