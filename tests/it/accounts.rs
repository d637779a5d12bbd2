//! Accounts and what opens them: invitations, passwords, sessions, the second factor, API keys, signing keys.

use allclear::app;
use allclear::db::Location;
use allclear::identity::Role;
use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use crate::desk::{PASSWORD, Reply, Stage, TestDesk, User};

const ANOTHER: &str = "another horse battery";

async fn login(desk: &TestDesk, email: &str, password: &str) -> Reply {
    let form = json!({"email": email, "password": password});
    desk.stranger().post("/v1/auth/login", form).await
}

async fn refresh(desk: &TestDesk, token: &Value) -> Reply {
    desk.stranger()
        .post("/v1/auth/refresh", json!({"refresh_token": token}))
        .await
}

/// Somebody with the access token of this grant.
fn as_granted(desk: &TestDesk, grant: &Value) -> User {
    desk.with_token(grant["access_token"].as_str().unwrap())
}

/// The token in the last mail to this address.
pub fn mailed_token(desk: &TestDesk, email: &str) -> String {
    let mail = desk.mailbox.to(email).pop().unwrap();
    let (text, html) = (mail.text(), mail.html());
    let token = |part: &str| {
        let (_, rest) = part.split_once("#alm_").unwrap();
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let end = rest.find(|c| !letters(c)).unwrap_or(rest.len());
        format!("alm_{}", &rest[..end])
    };
    assert_eq!(token(&text), token(&html));
    token(&text)
}

// Sessions.

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_with_a_new_token_each_time() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let mut grant = login(desk, &bob.email, PASSWORD).await.ok();
    for _ in 0..3 {
        desk.pass(TimeDelta::minutes(15));
        as_granted(desk, &grant)
            .get("/v1/me")
            .await
            .refused(401, "unauthenticated");
        let next = refresh(desk, &grant["refresh_token"]).await;
        assert_eq!(next.header("cache-control"), Some("no-store"));
        let next = next.ok();
        assert_ne!(next["refresh_token"], grant["refresh_token"]);
        let me = as_granted(desk, &next).get("/v1/me").await.ok();
        assert_eq!(me["email"], json!(bob.email));
        grant = next;
    }
    // The database has no token that could be used.
    let secret = grant["refresh_token"]
        .as_str()
        .unwrap()
        .strip_prefix("alr_")
        .unwrap();
    assert_eq!(
        desk.count(&format!("refresh_tokens WHERE digest LIKE '%{secret}%'")),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_comes_back_ends_its_whole_family_and_no_other() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let first = login(desk, &bob.email, PASSWORD).await.ok();
    let other = login(desk, &bob.email, PASSWORD).await.ok();
    let second = refresh(desk, &first["refresh_token"]).await.ok();
    refresh(desk, &first["refresh_token"])
        .await
        .refused(401, "unauthenticated");
    // The thief's and the owner's are void alike, for writes at once.
    refresh(desk, &second["refresh_token"])
        .await
        .refused(401, "unauthenticated");
    for grant in [&first, &second] {
        as_granted(desk, grant)
            .call(Method::PATCH, "/v1/me")
            .json(&json!({"name": "Mallory"}))
            .send()
            .await
            .map(|answer| assert_eq!(answer.status(), 401))
            .unwrap();
    }
    assert_eq!(desk.count("events WHERE kind = 'refresh_token_reused'"), 1);
    refresh(desk, &other["refresh_token"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_use_one_refresh_token_at_once_at_most_one_gets_on_and_the_family_ends() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let grant = login(desk, &bob.email, PASSWORD).await.ok();
    let calls = (0..16).map(|_| refresh(desk, &grant["refresh_token"]));
    let replies = futures_util::future::join_all(calls).await;
    let won: Vec<_> = replies.into_iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(won.len(), 1);
    refresh(desk, &won[0].body["refresh_token"])
        .await
        .refused(401, "unauthenticated");
    assert_eq!(desk.count("events WHERE kind = 'refresh_token_reused'"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_unused_and_at_its_last_day_whatever_happens() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let idle = login(desk, &bob.email, PASSWORD).await.ok();
    let mut used = login(desk, &bob.email, PASSWORD).await.ok();
    let mut days = 0;
    let last = loop {
        desk.pass(TimeDelta::days(6));
        days += 6;
        let next = refresh(desk, &used["refresh_token"]).await;
        if next.status != 200 {
            break next;
        }
        used = next.body;
    };
    last.refused(401, "unauthenticated");
    assert_eq!(days, 30);
    refresh(desk, &idle["refresh_token"])
        .await
        .refused(401, "unauthenticated");
    // What has expired is forgotten.
    assert_eq!(
        desk.count(&format!("sessions WHERE person_id = {}", sql_id(desk, &bob.id))),
        2
    );
    desk.pass(TimeDelta::days(1));
    desk.running().worker.sweep().await.unwrap();
    assert_eq!(
        desk.count(&format!("sessions WHERE person_id = {}", sql_id(desk, &bob.id))),
        0
    );
    assert_eq!(desk.count("refresh_tokens"), 0);
}

/// An id as this engine writes it.
fn sql_id(desk: &TestDesk, id: &str) -> String {
    match desk.settings().database {
        Location::Sqlite(_) => format!("X'{}'", id.replace('-', "")),
        Location::Postgres(_) => format!("'{id}'"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_sees_and_ends_ones_own_sessions_only() {
    let stage = Stage::set().await;
    let Stage { desk, bob, eva, .. } = &stage;
    let here = login(desk, &bob.email, PASSWORD).await.ok();
    let there = login(desk, &bob.email, PASSWORD).await.ok();
    let hers = login(desk, &eva.email, PASSWORD).await.ok();
    let me = as_granted(desk, &here);
    let sessions = me.all("/v1/me/sessions").await;
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions.iter().filter(|s| s["current"] == true).count(), 1);
    assert!(sessions.iter().all(|s| s["address"] == "127.0.0.1"));
    let other = sessions.iter().find(|s| s["current"] == false).unwrap();
    let foreign = as_granted(desk, &hers).all("/v1/me/sessions").await[0]["id"].clone();
    for id in [foreign.as_str().unwrap(), &uuid::Uuid::now_v7().to_string()] {
        me.delete(&format!("/v1/me/sessions/{id}"), json!({}))
            .await
            .refused(404, "not-found");
    }
    let ended = me
        .delete(
            &format!("/v1/me/sessions/{}", other["id"].as_str().unwrap()),
            json!({}),
        )
        .await;
    assert_eq!(ended.status, 204);
    refresh(desk, &there["refresh_token"])
        .await
        .refused(401, "unauthenticated");
    as_granted(desk, &there)
        .delete("/v1/me/sessions", json!({}))
        .await
        .refused(401, "unauthenticated");
    assert_eq!(me.all("/v1/me/sessions").await.len(), 1);
    assert_eq!(me.delete("/v1/me/sessions", json!({})).await.status, 204);
    refresh(desk, &here["refresh_token"])
        .await
        .refused(401, "unauthenticated");
    refresh(desk, &hers["refresh_token"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_session_of_either_token_and_is_never_an_error() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let by_refresh = login(desk, &bob.email, PASSWORD).await.ok();
    let by_access = login(desk, &bob.email, PASSWORD).await.ok();
    for form in [
        json!({"refresh_token": by_refresh["refresh_token"]}),
        json!({"refresh_token": by_refresh["refresh_token"]}),
        json!({"refresh_token": "alr_nothing"}),
    ] {
        assert_eq!(desk.stranger().post("/v1/auth/logout", form).await.status, 204);
    }
    let logout = as_granted(desk, &by_access)
        .post("/v1/auth/logout", json!({}))
        .await;
    assert_eq!(logout.status, 204);
    for grant in [&by_refresh, &by_access] {
        refresh(desk, &grant["refresh_token"])
            .await
            .refused(401, "unauthenticated");
    }
    desk.stranger()
        .post("/v1/auth/logout", json!({}))
        .await
        .refused(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_refresh_token_is_refused_and_ends_nothing() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let grant = login(desk, &bob.email, PASSWORD).await.ok();
    let text = grant["refresh_token"].as_str().unwrap();
    let (kept, last) = text.split_at(text.len() - 4);
    let other = if last.starts_with('A') { "B" } else { "A" };
    let forged = format!("{kept}{other}{}", &last[1..]);
    for wrong in [
        json!(forged),
        json!("alr_"),
        json!(text.replace("alr_", "alk_")),
        grant["access_token"].clone(),
    ] {
        let reply = refresh(desk, &wrong).await;
        assert!(matches!(reply.status, 401 | 422), "{wrong}: {}", reply.body);
    }
    refresh(desk, &grant["refresh_token"]).await.ok();
}

// Invitations and passwords.

#[tokio::test(flavor = "multi_thread")]
async fn who_is_invited_chooses_a_password_once_and_signs_in() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let form = json!({"email": "ivy@contoso.example", "name": "Ivy", "role": "tenant_viewer"});
    let ivy = bob.post("/v1/users", form).await.created();
    assert_eq!(ivy["status"], "invited");
    login(desk, "ivy@contoso.example", PASSWORD)
        .await
        .refused(401, "sign-in-failed");
    desk.drain().await;
    let mail = desk.mailbox.to("ivy@contoso.example").pop().unwrap();
    assert_eq!(mail.subject(), "You are invited");
    let token = mailed_token(desk, "ivy@contoso.example");
    assert_eq!(
        desk.count(&format!("mailed_tokens WHERE digest LIKE '%{}%'", &token[40..])),
        0
    );
    assert_eq!(
        desk.count(&format!(
            "events WHERE CAST(data AS TEXT) LIKE '%{}%'",
            &token[40..]
        )),
        0
    );
    let stranger = desk.stranger();
    let weak = json!({"token": token, "password": "short"});
    stranger
        .post("/v1/auth/password", weak)
        .await
        .refused(422, "validation-failed");
    let set = json!({"token": token, "password": ANOTHER});
    assert_eq!(stranger.post("/v1/auth/password", set.clone()).await.status, 204);
    stranger
        .post("/v1/auth/password", set)
        .await
        .refused(422, "token-invalid");
    let grant = login(desk, "ivy@contoso.example", ANOTHER).await.ok();
    assert_eq!(
        as_granted(desk, &grant).get("/v1/me").await.ok()["status"],
        "active"
    );
    desk.drain().await;
    let told = desk.mailbox.to("ivy@contoso.example").pop().unwrap();
    assert_eq!(told.subject(), "Your password was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_expires_is_sent_again_and_is_void_for_whoever_is_disabled() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let form = json!({"email": "ivy@contoso.example", "name": "Ivy", "role": "tenant_viewer"});
    let ivy = bob.post("/v1/users", form).await.created();
    let again = format!("/v1/users/{}/invitation", ivy["id"].as_str().unwrap());
    // Just sent: nobody's mailbox is filled by asking again and again.
    assert_eq!(bob.post(&again, json!({})).await.status, 204);
    desk.drain().await;
    assert_eq!(desk.mailbox.to("ivy@contoso.example").len(), 1);
    let first = mailed_token(desk, "ivy@contoso.example");
    desk.pass(TimeDelta::days(7));
    let bob = desk.again(bob).await;
    let set = |token: &str| json!({"token": token, "password": ANOTHER});
    let stranger = desk.stranger();
    stranger
        .post("/v1/auth/password", set(&first))
        .await
        .refused(422, "token-invalid");
    assert_eq!(bob.post(&again, json!({})).await.status, 204);
    desk.drain().await;
    let second = mailed_token(desk, "ivy@contoso.example");
    let path = format!("/v1/users/{}", ivy["id"].as_str().unwrap());
    let disabled = bob.patch(&path, json!({"disabled": true})).await.ok();
    assert_eq!(disabled["status"], "disabled");
    stranger
        .post("/v1/auth/password", set(&second))
        .await
        .refused(422, "token-invalid");
    bob.post(&again, json!({})).await.refused(409, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_an_account_elsewhere_is_asked_and_nothing_tells_that_it_is_there() {
    let stage = Stage::set().await;
    let Stage { desk, bob, eva, .. } = &stage;
    let form = |email: &str| json!({"email": email, "name": "Somebody", "role": "tenant_admin", "password": ANOTHER});
    let known = eva.post("/v1/users", form(&bob.email)).await.created();
    // Bob's name and password are Bob's, and not told.
    assert_eq!(
        (&known["name"], &known["status"]),
        (&json!("Somebody"), &json!("invited"))
    );
    login(desk, &bob.email, ANOTHER)
        .await
        .refused(401, "sign-in-failed");
    let grant = login(desk, &bob.email, PASSWORD).await.ok();
    assert_eq!(
        as_granted(desk, &grant).get("/v1/me").await.ok()["tenant_id"],
        stage.contoso["id"]
    );
    desk.drain().await;
    let token = mailed_token(desk, &bob.email);
    let stranger = desk.stranger();
    stranger
        .post("/v1/auth/password", json!({"token": token, "password": ANOTHER}))
        .await
        .refused(422, "token-invalid");
    let accept = json!({"token": token});
    assert_eq!(
        stranger.post("/v1/auth/invitation", accept.clone()).await.status,
        204
    );
    stranger
        .post("/v1/auth/invitation", accept)
        .await
        .refused(422, "token-invalid");
    login(desk, &bob.email, PASSWORD)
        .await
        .refused(409, "tenant-ambiguous");
    let form = json!({"email": bob.email, "password": PASSWORD, "tenant_id": stage.adatum["id"]});
    let grant = stranger.post("/v1/auth/login", form).await.ok();
    assert_eq!(
        as_granted(desk, &grant).get("/v1/me").await.ok()["tenant_id"],
        stage.adatum["id"]
    );
    // Somebody of two tenants is not renamed by one of them.
    let path = format!("/v1/users/{}", bob.id);
    eva.patch(&path, json!({"name": "Mallory"}))
        .await
        .refused(409, "conflict");
    eva.patch(&path, json!({"role": "tenant_viewer"})).await.ok();
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_another_tenant_chose_opens_no_door_but_theirs() {
    let stage = Stage::set().await;
    let Stage { desk, bob, eva, .. } = &stage;
    let address = "ceo@contoso.example";
    let form = json!({"email": address, "name": "Mallory", "role": "tenant_admin", "password": ANOTHER});
    let made = eva.post("/v1/users", form).await.created();
    assert_eq!(made["status"], "active");
    // Whoever that is, they make themselves at home.
    let grant = login(desk, address, ANOTHER).await.ok();
    let mallory = as_granted(desk, &grant);
    let begun = mallory.post("/v1/me/second-factor", json!({})).await.ok();
    let factor = totp(&begun["secret"]);
    let form = json!({"code": code(desk, &factor)});
    mallory.post("/v1/me/second-factor/confirm", form).await.ok();
    // Then the provider hires the one whose address it is, and so does Contoso.
    let form = json!({"email": address, "name": "The chief", "role": "operator", "password": PASSWORD});
    let hired = desk.operator.post("/v1/users", form).await.created();
    assert_eq!(hired["status"], "invited");
    // One mail after the other: the last one is Contoso's.
    desk.drain().await;
    let form = json!({"email": address, "name": "The chief", "role": "tenant_admin"});
    bob.post("/v1/users", form).await.created();
    desk.pass(TimeDelta::minutes(1));
    for tenant in [json!(allclear::db::PROVIDER), stage.contoso["id"].clone()] {
        let form =
            json!({"email": address, "password": ANOTHER, "tenant_id": tenant, "code": code(desk, &factor)});
        let reply = desk.stranger().post("/v1/auth/login", form).await;
        reply.refused(401, "sign-in-failed");
    }
    desk.drain().await;
    // To accept is to choose a password: there may be somebody who knows this one.
    let mut invitations = desk.mailbox.to(address).into_iter().map(|mail| mail.text());
    let invitation = invitations.rfind(|text| text.contains("#alm_")).unwrap();
    assert!(invitation.contains("/account/password#"));
    let (_, token) = invitation.split_once('#').unwrap();
    let token = token.split_whitespace().next().unwrap();
    let stranger = desk.stranger();
    let accept = stranger
        .post("/v1/auth/invitation", json!({"token": token}))
        .await;
    accept.refused(422, "token-invalid");
    let set = json!({"token": token, "password": "the owner chose this"});
    assert_eq!(stranger.post("/v1/auth/password", set).await.status, 204);
    let old = login(desk, address, ANOTHER).await;
    old.refused(401, "sign-in-failed");
    refresh(desk, &grant["refresh_token"])
        .await
        .refused(401, "unauthenticated");
    let form =
        json!({"email": address, "password": "the owner chose this", "tenant_id": stage.contoso["id"]});
    let grant = stranger.post("/v1/auth/login", form).await.ok();
    let me = as_granted(desk, &grant).get("/v1/me").await.ok();
    assert_eq!(
        (&me["name"], &me["tenant_id"]),
        (&json!("The chief"), &stage.contoso["id"])
    );
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_looks_the_same_whoever_gets_it() {
    let stage = Stage::set().await;
    let Stage { desk, bob, eva, .. } = &stage;
    // A contact of another tenant's, and somebody whom another tenant has invited.
    let form = json!({
        "incident_id": null, "severity": "d", "subject": "Hm", "description": "Hm.", "service": "sign-in",
        "tenant_id": stage.contoso["id"], "requester": {"email": "cleo@contoso.example", "name": "Cleopatra"},
    });
    stage.ada.post("/v1/service-requests", form).await.created();
    let form = json!({"email": "ivy@contoso.example", "name": "Ivy", "role": "tenant_viewer"});
    bob.post("/v1/users", form).await.created();
    let mut seen = Vec::new();
    for email in [
        &bob.email,
        "ivy@contoso.example",
        "cleo@contoso.example",
        "nobody@nowhere.example",
    ] {
        let form = json!({"email": email, "name": "Somebody", "role": "tenant_viewer", "locale": "is", "time_zone": "Asia/Kathmandu"});
        let made = eva.post("/v1/users", form).await.created();
        let path = format!("/v1/users/{}", made["id"].as_str().unwrap());
        let renamed = eva.patch(&path, json!({"name": "Somebody else"})).await.ok();
        let read = eva.get(&path).await.ok();
        let plain = |mut view: Value| {
            assert_eq!(view["email"], json!(email));
            for field in ["id", "email"] {
                view.as_object_mut().unwrap().remove(field);
            }
            view
        };
        seen.push([made, renamed, read].map(plain));
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:#?}");
    assert_eq!(seen[0][0]["name"], "Somebody");
    assert_eq!(seen[0][2]["name"], "Somebody else");
    // Theirs is what it was.
    assert_eq!(bob.get("/v1/me").await.ok()["name"], "bob");
    let ivy = bob
        .all("/v1/users")
        .await
        .into_iter()
        .find(|user| user["email"] == "ivy@contoso.example");
    assert_eq!(ivy.unwrap()["name"], "Ivy");
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_looks_after_users_makes_nobody_who_may_more_than_it() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let form = json!({"name": "Sync", "role": "operator", "scopes": ["users:write", "users:read"]});
    let key = desk.operator.post("/v1/api-keys", form).await.created();
    let id = key["id"].as_str().unwrap().to_owned();
    let key = desk.with_token(key["key"].as_str().unwrap());
    for (pointer, form) in [
        (
            "/password",
            json!({"email": "x@evil.example", "name": "X", "role": "agent", "password": PASSWORD}),
        ),
        (
            "/role",
            json!({"email": "x@evil.example", "name": "X", "role": "operator"}),
        ),
        (
            "/role",
            json!({"email": "x@evil.example", "name": "X", "role": "tenant_admin", "tenant_id": stage.contoso["id"]}),
        ),
    ] {
        let refused = key
            .post("/v1/users", form)
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
    let ada = format!("/v1/users/{}", stage.ada.id);
    key.patch(&ada, json!({"role": "operator"}))
        .await
        .refused(422, "validation-failed");
    key.delete(&format!("{ada}/second-factor"), json!({}))
        .await
        .refused(403, "forbidden");
    key.post(
        "/v1/users",
        json!({"email": "x@good.example", "name": "X", "role": "agent"}),
    )
    .await
    .created();
    // And what a key acts as is nobody who could be given a password.
    let form = json!({"email": format!("{id}@keys.invalid"), "name": "X", "role": "tenant_admin", "password": PASSWORD});
    stage.bob.post("/v1/users", form.clone()).await;
    let form = json!({"email": form["email"], "password": PASSWORD, "tenant_id": allclear::db::PROVIDER});
    desk.stranger()
        .post("/v1/auth/login", form)
        .await
        .refused(401, "sign-in-failed");
    // Nobody is let off their own second factor without a code of it.
    let own = format!("/v1/users/{}/second-factor", desk.operator.id);
    desk.operator
        .delete(&own, json!({}))
        .await
        .refused(409, "conflict");
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_sign_in_with_the_old_password_outlives_the_new_one() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    for round in 0..4 {
        let (old, new) = if round % 2 == 0 {
            (PASSWORD, ANOTHER)
        } else {
            (ANOTHER, PASSWORD)
        };
        let form = json!({"current_password": old, "new_password": new});
        let change = bob.put("/v1/me/password", form);
        let logins = futures_util::future::join_all((0..6).map(|_| login(desk, &bob.email, old)));
        let (changed, logins) = tokio::join!(change, logins);
        assert_eq!(changed.status, 204, "{}", changed.body);
        assert!(logins.iter().all(|reply| matches!(reply.status, 200 | 401 | 429)));
        let lasting = format!(
            "sessions WHERE ended_at IS NULL AND person_id = {}",
            sql_id(desk, &bob.id)
        );
        assert_eq!(desk.count(&lasting), 0, "round {round}");
        desk.pass(TimeDelta::minutes(2));
    }
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_password_is_replaced_by_mail_and_everything_old_ends() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let stranger = desk.stranger();
    let old = login(desk, &bob.email, PASSWORD).await.ok();
    let mut answers = Vec::new();
    for email in [
        "BOB@contoso.example",
        "nobody@contoso.example",
        "nonsense",
        &bob.email,
    ] {
        let reply = stranger
            .post("/v1/auth/password-reset", json!({"email": email}))
            .await;
        answers.push((reply.status, reply.body));
    }
    assert!(
        answers.iter().all(|answer| *answer == (202, Value::Null)),
        "{answers:?}"
    );
    desk.drain().await;
    assert_eq!(desk.mailbox.count(), 1);
    let token = mailed_token(desk, &bob.email);
    let set = json!({"token": token, "password": ANOTHER});
    assert_eq!(stranger.post("/v1/auth/password", set).await.status, 204);
    login(desk, &bob.email, PASSWORD)
        .await
        .refused(401, "sign-in-failed");
    refresh(desk, &old["refresh_token"])
        .await
        .refused(401, "unauthenticated");
    let new = login(desk, &bob.email, ANOTHER).await.ok();
    // An hour, and no longer.
    desk.pass(TimeDelta::hours(1));
    stranger
        .post("/v1/auth/password-reset", json!({"email": bob.email}))
        .await;
    desk.drain().await;
    let late = mailed_token(desk, &bob.email);
    desk.pass(TimeDelta::hours(1));
    let set = json!({"token": late, "password": PASSWORD});
    stranger
        .post("/v1/auth/password", set)
        .await
        .refused(422, "token-invalid");
    refresh(desk, &new["refresh_token"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_use_one_mailed_token_at_once_one_gets_on() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let stranger = desk.stranger();
    stranger
        .post("/v1/auth/password-reset", json!({"email": bob.email}))
        .await;
    desk.drain().await;
    let token = mailed_token(desk, &bob.email);
    let calls = (0..6).map(|n| {
        let form = json!({"token": token, "password": format!("{ANOTHER} {n}")});
        stranger.post("/v1/auth/password", form)
    });
    let calls: Vec<_> = calls.collect();
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 204).count(), 1);
    let mut fitting = 0;
    for n in 0..6 {
        // After five wrong ones the next has to wait.
        desk.pass(TimeDelta::minutes(1));
        fitting += i32::from(login(desk, &bob.email, &format!("{ANOTHER} {n}")).await.status == 200);
    }
    assert_eq!(fitting, 1);
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ones_own_password_is_changed_with_the_old_one() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let wrong = json!({"current_password": ANOTHER, "new_password": ANOTHER});
    bob.put("/v1/me/password", wrong)
        .await
        .refused(422, "validation-failed");
    let right = json!({"current_password": PASSWORD, "new_password": ANOTHER});
    assert_eq!(bob.put("/v1/me/password", right).await.status, 204);
    login(desk, &bob.email, PASSWORD)
        .await
        .refused(401, "sign-in-failed");
    login(desk, &bob.email, ANOTHER).await.ok();
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_of_weaker_days_is_made_again_when_its_owner_signs_in() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    use argon2::PasswordHasher as _;
    let weak = argon2::Params::new(8_192, 1, 1, None).unwrap();
    let weak = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, weak);
    let weak = weak.hash_password(PASSWORD.as_bytes()).unwrap().to_string();
    desk.sql(&format!(
        "UPDATE people SET password_hash = '{weak}' WHERE email = '{}'",
        bob.email
    ));
    let strong = format!(
        "people WHERE email = '{}' AND password_hash LIKE '%m=19456,t=2,p=1%'",
        bob.email
    );
    login(desk, &bob.email, ANOTHER)
        .await
        .refused(401, "sign-in-failed");
    assert_eq!(desk.count(&strong), 0);
    login(desk, &bob.email, PASSWORD).await.ok();
    assert_eq!(desk.count(&strong), 1);
    login(desk, &bob.email, PASSWORD).await.ok();
}

// Users and tenants.

#[tokio::test(flavor = "multi_thread")]
async fn users_are_changed_by_their_own_side_with_the_version_that_was_read() {
    let stage = Stage::set().await;
    let Stage { desk, bob, eva, .. } = &stage;
    let vic = desk.member("vic", "tenant_viewer", &stage.contoso).await;
    let path = format!("/v1/users/{}", vic.id);
    let read = bob.get(&path).await;
    assert_eq!(read.header("etag"), Some("\"1\""));
    let call = bob
        .call(Method::PATCH, &path)
        .json(&json!({"role": "tenant_admin"}));
    Reply::of(call).await.refused(428, "precondition-required");
    let call = bob
        .call(Method::PATCH, &path)
        .json(&json!({"role": "tenant_admin"}));
    Reply::of(call.header("if-match", "\"7\""))
        .await
        .refused(412, "precondition-failed");
    let changed = bob
        .patch(
            &path,
            json!({"role": "tenant_admin", "name": "Victor", "locale": "de"}),
        )
        .await
        .ok();
    assert_eq!(
        (
            &changed["role"],
            &changed["name"],
            &changed["locale"],
            &changed["version"]
        ),
        (&json!("tenant_admin"), &json!("Victor"), &json!("de"), &json!(2))
    );
    // The old token says what is no longer so.
    vic.post("/v1/users", json!({}))
        .await
        .refused(401, "unauthenticated");
    for (caller, path) in [
        (eva, path.clone()),
        (eva, format!("/v1/users/{}", stage.ada.id)),
        (bob, format!("/v1/users/{}", eva.id)),
    ] {
        caller.get(&path).await.refused(404, "not-found");
        caller
            .patch(&path, json!({"disabled": true}))
            .await
            .refused(404, "not-found");
        caller
            .post(&format!("{path}/invitation"), json!({}))
            .await
            .refused(404, "not-found");
        caller
            .delete(&format!("{path}/second-factor"), json!({}))
            .await
            .refused(404, "not-found");
    }
    for (pointer, form) in [
        ("/role", json!({"role": "operator"})),
        ("/role", json!({"role": "king"})),
        ("/name", json!({"name": "a\nb"})),
        ("/time_zone", json!({"time_zone": "Mars/Base"})),
        ("/email", json!({"email": "x@y.example"})),
    ] {
        let refused = bob.patch(&path, form).await.refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_user_is_out_at_once_and_nobody_locks_oneself_or_everybody_out() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let vic = desk.member("vic", "tenant_viewer", &stage.contoso).await;
    let grant = login(desk, &vic.email, PASSWORD).await.ok();
    let path = format!("/v1/users/{}", vic.id);
    bob.patch(&path, json!({"disabled": true})).await.ok();
    refresh(desk, &grant["refresh_token"])
        .await
        .refused(401, "unauthenticated");
    login(desk, &vic.email, PASSWORD)
        .await
        .refused(401, "sign-in-failed");
    bob.patch(&path, json!({"disabled": false})).await.ok();
    login(desk, &vic.email, PASSWORD).await.ok();
    refresh(desk, &grant["refresh_token"])
        .await
        .refused(401, "unauthenticated");
    let own = format!("/v1/users/{}", bob.id);
    for form in [json!({"disabled": true}), json!({"role": "tenant_viewer"})] {
        bob.patch(&own, form).await.refused(409, "conflict");
    }
    // An operator who was invited, and has no password yet, is not the last one.
    let invited = json!({"email": "otis@provider.example", "name": "Otis", "role": "operator"});
    let invited = desk.operator.post("/v1/users", invited).await.created();
    let path = format!("/v1/users/{}", invited["id"].as_str().unwrap());
    desk.operator.patch(&path, json!({"disabled": true})).await.ok();
    // Two operators who disable one another at the same time: one stays.
    let second = desk.staff("otto", "operator").await;
    let (olive, otto) = (desk.operator.clone(), second);
    let (olives, ottos) = (
        format!("/v1/users/{}", olive.id),
        format!("/v1/users/{}", otto.id),
    );
    let (one, two) = tokio::join!(
        olive.patch(&ottos, json!({"disabled": true})),
        otto.patch(&olives, json!({"disabled": true}))
    );
    let won = [one.status, two.status]
        .iter()
        .filter(|status| **status == 200)
        .count();
    assert_eq!(won, 1, "{} {}", one.body, two.body);
    assert_eq!(
        desk.count("memberships WHERE role = 'operator' AND disabled = FALSE"),
        1
    );
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_changes_and_disables_tenants() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let path = format!("/v1/tenants/{}", stage.contoso["id"].as_str().unwrap());
    let grant = login(desk, &bob.email, PASSWORD).await.ok();
    let form =
        json!({"name": "Contoso Ltd", "plan": "premium", "regions": ["europe"], "services": ["sign-in"]});
    let changed = desk.operator.patch(&path, form).await.ok();
    assert_eq!(
        (
            &changed["name"],
            &changed["plan"],
            &changed["regions"],
            &changed["services"],
            &changed["version"]
        ),
        (
            &json!("Contoso Ltd"),
            &json!("premium"),
            &json!(["europe"]),
            &json!(["sign-in"]),
            &json!(2)
        )
    );
    let refused = desk.operator.patch(&path, json!({"regions": ["moon"]})).await;
    assert_eq!(
        refused.refused(422, "validation-failed")["errors"][0]["pointer"],
        "/regions"
    );
    for caller in [bob, &stage.ada, &stage.marta] {
        caller
            .patch(&path, json!({"plan": "standard"}))
            .await
            .refused(403, "forbidden");
    }
    desk.operator.patch(&path, json!({"disabled": true})).await.ok();
    refresh(desk, &grant["refresh_token"])
        .await
        .refused(401, "unauthenticated");
    bob.patch("/v1/me", json!({"name": "Bob"}))
        .await
        .refused(401, "unauthenticated");
    let provider = format!("/v1/tenants/{}", allclear::db::PROVIDER);
    desk.operator
        .patch(&provider, json!({"disabled": true}))
        .await
        .refused(404, "not-found");
}

// The second factor.

pub fn totp(secret: &Value) -> Totp {
    let secret = Secret::try_from_base32(secret.as_str().unwrap()).unwrap();
    Builder::new()
        .with_secret(secret)
        .with_account_name("x")
        .build()
        .unwrap()
}

pub fn code(desk: &TestDesk, totp: &Totp) -> String {
    let now = u64::try_from(desk.clock.now().timestamp()).unwrap();
    totp.generate(now).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_asked_for_once_it_is_confirmed_and_each_code_works_once() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let enrolment = bob.post("/v1/me/second-factor", json!({})).await.ok();
    assert!(enrolment["url"].as_str().unwrap().starts_with("otpauth://totp/"));
    let totp = totp(&enrolment["secret"]);
    login(desk, &bob.email, PASSWORD).await.ok();
    bob.post("/v1/me/second-factor/confirm", json!({"code": "000000"}))
        .await
        .refused(422, "validation-failed");
    let confirmed = bob
        .post("/v1/me/second-factor/confirm", json!({"code": code(desk, &totp)}))
        .await
        .ok();
    let recovery = confirmed["recovery_codes"].as_array().unwrap().clone();
    assert_eq!(recovery.len(), 10);
    bob.post("/v1/me/second-factor", json!({}))
        .await
        .refused(409, "already-exists");
    login(desk, &bob.email, PASSWORD)
        .await
        .refused(401, "second-factor-required");
    // Whether the password was wrong is not told by being asked for a code.
    login(desk, &bob.email, ANOTHER)
        .await
        .refused(401, "sign-in-failed");
    let with = async |code: &str| {
        let form = json!({"email": bob.email, "password": PASSWORD, "code": code});
        desk.stranger().post("/v1/auth/login", form).await
    };
    with(&code(desk, &totp)).await.refused(401, "sign-in-failed");
    desk.pass(TimeDelta::seconds(30));
    let fresh = code(desk, &totp);
    with(&fresh).await.ok();
    with(&fresh).await.refused(401, "sign-in-failed");
    with("123456").await.refused(401, "sign-in-failed");
    let spare = recovery[0].as_str().unwrap();
    with(&spare.to_uppercase()).await.ok();
    with(spare).await.refused(401, "sign-in-failed");
    assert_eq!(
        desk.count(&format!("recovery_codes WHERE digest LIKE '%{spare}%'")),
        0
    );
    // Who has lost it all asks an administrator.
    let path = format!("/v1/users/{}/second-factor", bob.id);
    assert_eq!(desk.operator.delete(&path, json!({})).await.status, 204);
    login(desk, &bob.email, PASSWORD).await.ok();
    desk.drain().await;
    let subjects: Vec<_> = desk
        .mailbox
        .to(&bob.email)
        .iter()
        .map(|mail| mail.subject())
        .collect();
    assert_eq!(
        subjects,
        ["A second factor was set up", "Your second factor was removed"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_staff_need_a_second_factor_they_can_only_set_one_up_without_it() {
    let mut stage = Stage::set().await;
    stage
        .desk
        .restart_with(|settings| settings.staff_need_second_factor = true)
        .await;
    let Stage { desk, ada, bob, .. } = &stage;
    let grant = login(desk, &ada.email, PASSWORD).await.ok();
    assert_eq!(grant["second_factor_needed"], true);
    let limited = as_granted(desk, &grant);
    limited
        .get("/v1/service-requests")
        .await
        .refused(403, "forbidden");
    limited.get("/v1/me").await.ok();
    let enrolment = limited.post("/v1/me/second-factor", json!({})).await.ok();
    let code = code(desk, &totp(&enrolment["secret"]));
    limited
        .post("/v1/me/second-factor/confirm", json!({"code": code}))
        .await
        .ok();
    let next = refresh(desk, &grant["refresh_token"]).await.ok();
    assert!(next["second_factor_needed"].is_null());
    as_granted(desk, &next).get("/v1/service-requests").await.ok();
    let customers = login(desk, &bob.email, PASSWORD).await.ok();
    as_granted(desk, &customers)
        .get("/v1/service-requests")
        .await
        .ok();
    desk.drain().await;
}

// API keys.

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_what_its_role_and_scopes_allow_and_is_shown_once() {
    let stage = Stage::set().await;
    let Stage { desk, bob, eva, .. } = &stage;
    let incident = stage.incident().await;
    let form =
        json!({"name": "Monitoring", "role": "tenant_admin", "scopes": ["requests:read", "requests:write"]});
    let made = bob
        .call(Method::POST, "/v1/api-keys")
        .header("idempotency-key", "k1")
        .json(&form);
    let made = Reply::of(made).await.created();
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("alk_"));
    let again = bob
        .call(Method::POST, "/v1/api-keys")
        .header("idempotency-key", "k1")
        .json(&form);
    let again = Reply::of(again).await.created();
    assert_eq!((&again["id"], &again["key"]), (&made["id"], &Value::Null));
    assert_eq!(
        desk.count(&format!("api_keys WHERE digest LIKE '%{}%'", &key[48..])),
        0
    );
    let program = desk.with_token(key);
    let mut request = json!({
        "incident_id": incident["id"], "severity": "b", "subject": "Mail", "description": "Down.",
    });
    let refused = program.post("/v1/service-requests", request.clone()).await;
    assert_eq!(
        refused.refused(422, "validation-failed")["errors"][0]["pointer"],
        "/requester"
    );
    request["requester"] = json!({"email": "carl@contoso.example", "name": "Carl"});
    let filed = program.post("/v1/service-requests", request).await.created();
    assert_eq!(filed["requester"]["name"], "Carl");
    let id = filed["id"].as_str().unwrap();
    let comments = format!("/v1/service-requests/{id}/comments");
    let comment = program
        .post(&comments, json!({"body": "Still down."}))
        .await
        .created();
    assert_eq!(comment["author"]["name"], "Monitoring");
    eva.get(&format!("/v1/service-requests/{id}"))
        .await
        .refused(404, "not-found");
    // Neither scope nor people's own.
    program.get("/v1/incidents").await.refused(403, "forbidden");
    program.get("/v1/users").await.refused(403, "forbidden");
    program.get("/v1/api-keys").await.refused(403, "forbidden");
    program
        .post("/v1/me/second-factor", json!({}))
        .await
        .refused(403, "forbidden");
    let change = json!({"current_password": "x", "new_password": ANOTHER});
    program
        .put("/v1/me/password", change)
        .await
        .refused(403, "forbidden");
    // It is no user, and its last use is seen.
    assert!(
        bob.all("/v1/users")
            .await
            .iter()
            .all(|user| user["name"] != "Monitoring")
    );
    let path = format!("/v1/api-keys/{}", made["id"].as_str().unwrap());
    let view = bob.get(&path).await.ok();
    assert!(view["key"].is_null() && view["hint"].as_str().unwrap().ends_with(&key[key.len() - 4..]));
    eva.get(&path).await.refused(404, "not-found");
    eva.delete(&path, json!({})).await.refused(404, "not-found");
    assert_eq!(eva.all("/v1/api-keys").await.len(), 0);
    // Revoked is revoked, for reads too.
    assert_eq!(bob.delete(&path, json!({})).await.status, 204);
    program
        .get("/v1/service-requests")
        .await
        .refused(401, "unauthenticated");
    program
        .post(&comments, json!({"body": "Hm."}))
        .await
        .refused(401, "unauthenticated");
    assert!(bob.get(&path).await.ok()["revoked_at"].is_string());
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_expires_follows_its_tenant_and_notes_its_use() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let until = desk.clock.now() + TimeDelta::hours(2);
    let form =
        json!({"name": "K", "role": "tenant_viewer", "scopes": ["requests:read"], "expires_at": until});
    let made = bob.post("/v1/api-keys", form).await.created();
    let program = desk.with_token(made["key"].as_str().unwrap());
    program.get("/v1/service-requests").await.ok();
    let path = format!("/v1/api-keys/{}", made["id"].as_str().unwrap());
    // It is noted behind the call.
    let mut view = bob.get(&path).await.ok();
    while view["last_used_at"].is_null() {
        tokio::task::yield_now().await;
        view = bob.get(&path).await.ok();
    }
    let tenant = format!("/v1/tenants/{}", stage.contoso["id"].as_str().unwrap());
    desk.operator.patch(&tenant, json!({"disabled": true})).await.ok();
    program
        .get("/v1/service-requests")
        .await
        .refused(401, "unauthenticated");
    desk.operator
        .patch(&tenant, json!({"disabled": false}))
        .await
        .ok();
    program.get("/v1/service-requests").await.ok();
    desk.pass(TimeDelta::hours(2));
    program
        .get("/v1/service-requests")
        .await
        .refused(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_staff_are_an_operators_and_bad_forms_name_the_field() {
    let stage = Stage::set().await;
    let Stage { desk, bob, ada, .. } = &stage;
    let form = json!({"name": "Pager", "role": "agent", "scopes": ["queues:read"]});
    ada.post("/v1/api-keys", form.clone())
        .await
        .refused(403, "forbidden");
    let made = desk.operator.post("/v1/api-keys", form).await.created();
    let program = desk.with_token(made["key"].as_str().unwrap());
    program.get("/v1/queues").await.ok();
    program
        .get("/v1/service-requests")
        .await
        .refused(403, "forbidden");
    let yesterday = desk.clock.now() - TimeDelta::days(1);
    for (pointer, change) in [
        ("/role", json!({"role": "agent"})),
        ("/role", json!({"role": "king"})),
        ("/scopes", json!({"scopes": []})),
        ("/scopes[0]", json!({"scopes": ["everything"]})),
        ("/tenant_id", json!({"tenant_id": stage.contoso["id"]})),
        ("/expires_at", json!({"expires_at": yesterday})),
        ("/name", json!({"name": ""})),
        ("/key", json!({"key": "alk_mine"})),
    ] {
        let mut form = json!({"name": "K", "role": "tenant_viewer", "scopes": ["requests:read"]});
        for (field, value) in change.as_object().unwrap() {
            form[field] = value.clone();
        }
        let refused = bob
            .post("/v1/api-keys", form)
            .await
            .refused(422, "validation-failed");
        let got = refused["errors"][0]["pointer"]
            .as_str()
            .unwrap()
            .replace("/0", "[0]");
        assert_eq!(got, pointer);
    }
    for wrong in ["alk_", "alk_AAAA", &format!("{}A", made["key"].as_str().unwrap())] {
        desk.with_token(wrong)
            .get("/v1/queues")
            .await
            .refused(401, "unauthenticated");
    }
}

// Signing keys.

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_signs_everywhere_and_old_tokens_live_out_their_time() {
    let stage = Stage::set().await;
    let Stage { desk, bob, .. } = &stage;
    let kids = async || {
        let keys = desk.stranger().get("/.well-known/jwks.json").await.ok();
        let keys = keys["keys"].as_array().unwrap().clone();
        keys.iter()
            .map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let before = kids().await;
    assert_eq!(before.len(), 1);
    // As its operator does it: by another process.
    let settings = desk.settings();
    let mut command = desk.command(&["keys", "rotate"]);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    // Another process of the installation signs with the new key at once.
    let other = app::prepare(settings, &desk.clock).await.unwrap().tokens;
    let (person, tenant) = (
        bob.id.parse().unwrap(),
        stage.contoso["id"].as_str().unwrap().parse().unwrap(),
    );
    let foreign = other
        .mint(person, tenant, Role::TenantAdmin, desk.clock.now().into())
        .unwrap();
    // This one looks when it meets a key that it does not know, though not at every such token.
    desk.with_token(&foreign)
        .get("/v1/me")
        .await
        .refused(401, "unauthenticated");
    desk.pass(TimeDelta::seconds(5));
    desk.with_token(&foreign).get("/v1/me").await.ok();
    let after = kids().await;
    assert_eq!(after.len(), 2);
    assert_eq!(after[1], before[0]);
    bob.get("/v1/me").await.ok();
    let grant = login(desk, &bob.email, PASSWORD).await.ok();
    let token = grant["access_token"].as_str().unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!(header.kid.as_deref(), Some(after[0].as_str()));
}
