//! The audit as it is read, and what is in it of those who were refused.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::accounts::{code, totp};
use crate::desk::{PASSWORD, Reply, Stage, TestDesk, User};

/// Everything of a kind, newest first, as the operator sees it.
async fn of_kind(desk: &TestDesk, kind: &str) -> Vec<Value> {
    desk.operator.all(&format!("/v1/audit?kind={kind}")).await
}

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

async fn login(desk: &TestDesk, form: Value) -> Reply {
    desk.stranger().post("/v1/auth/login", form).await
}

// Reading.

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_reads_its_own_and_of_staff_the_names() {
    let stage = Stage::set().await;
    let (desk, bob, ada) = (&stage.desk, &stage.bob, &stage.ada);
    let incident = stage.incident().await;
    let request = bob.files("Mail is down", &incident).await.created();
    let path = format!("/v1/service-requests/{}", id(&request));
    let form = json!({"queue_id": stage.queue["id"], "reason": "Back and forth."});
    ada.post(&format!("{path}/transfer"), form).await.ok();
    let note = json!({"body": "Hm.", "visibility": "internal"});
    ada.post(&format!("{path}/comments"), note).await.created();
    stage.eva.patch("/v1/me", json!({"name": "Eve"})).await.ok();
    desk.drain().await;
    desk.seal().await;
    let seen = bob.all("/v1/audit").await;
    assert!(
        seen.iter().all(|row| row["tenant_id"] == stage.contoso["id"]),
        "{seen:?}"
    );
    let kinds: Vec<_> = seen.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "request_transferred",
            "request_filed",
            "user_created",
            "tenant_created"
        ]
    );
    let (transferred, filed) = (&seen[0], &seen[1]);
    assert_eq!(transferred["actor"], json!({"side": "staff", "name": "ada"}));
    assert_eq!(
        (&transferred["address"], transferred["data"].get("internal")),
        (&Value::Null, None)
    );
    assert_eq!(
        filed["actor"],
        json!({"side": "tenant", "name": "bob", "id": bob.id})
    );
    assert_eq!(filed["address"], "127.0.0.1");
    assert_eq!(filed["subject"], json!({"kind": "request", "id": request["id"]}));
    // The operator sees the same rows whole, and those between.
    let path = format!("/v1/audit?tenant_id={}", id(&stage.contoso));
    let whole = desk.operator.all(&path).await;
    assert_eq!(whole.len(), seen.len() + 1);
    assert_eq!(whole[1]["data"]["internal"]["reason"], "Back and forth.");
    assert_eq!(
        (&whole[1]["actor"]["id"], &whole[1]["address"]),
        (&json!(ada.id), &json!("127.0.0.1"))
    );
    assert_eq!(whole[1]["seal"], transferred["seal"]);
    bob.get(&path).await.refused(400, "invalid-query");
    let foreign = bob.all(&format!("/v1/audit?actor_id={}", stage.eva.id)).await;
    assert_eq!(foreign, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_is_filtered_and_turned_page_by_page_sealed_or_not() {
    let stage = Stage::set().await;
    let (desk, bob) = (&stage.desk, &stage.bob);
    let begun = desk.clock.now();
    for (minute, name) in ["a", "b", "c", "d", "e", "f"].iter().enumerate() {
        desk.pass(TimeDelta::minutes(1));
        bob.patch("/v1/me", json!({"name": name})).await.ok();
        // The older half is sealed.
        if minute == 2 {
            desk.seal().await;
        }
    }
    let olive = &desk.operator;
    let whole = olive.all("/v1/audit").await;
    assert_eq!(whole.iter().filter(|row| row["seal"].is_null()).count(), 3);
    assert!(whole.is_sorted_by(|one, other| one["id"].as_str() > other["id"].as_str()));
    let (mut turned, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = olive.get(&format!("/v1/audit?limit=2{cursor}")).await.ok();
        turned.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(turned, whole);
    let at = |minutes: i64| (begun + TimeDelta::minutes(minutes)).format("%Y-%m-%dT%H:%M:%SZ");
    for (filter, names) in [
        (format!("actor_id={}", bob.id), "fedcba"),
        (format!("subject_id={}&kind=user_changed", bob.id), "fedcba"),
        (
            format!("kind=user_changed&tenant_id={}", id(&stage.contoso)),
            "fedcba",
        ),
        (format!("kind=user_changed&from={}", at(5)), "fe"),
        (format!("kind=user_changed&to={}", at(3)), "ba"),
        (format!("kind=user_changed&from={}&to={}", at(2), at(5)), "dcb"),
        (format!("kind=user_changed&tenant_id={}", id(&stage.adatum)), ""),
        (format!("kind=user_changed&actor_id={}", stage.eva.id), ""),
    ] {
        let found = olive.all(&format!("/v1/audit?{filter}")).await;
        let found: String = found
            .iter()
            .map(|row| row["data"]["to"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(found, names, "{filter}");
    }
    for wrong in [
        "kind=murder",
        "from=yesterday",
        "actor_id=bob",
        "cursor=x",
        "limit=0",
        "colour=red",
    ] {
        let reply = olive.get(&format!("/v1/audit?{wrong}")).await;
        assert_eq!(reply.status, 400, "{wrong}: {}", reply.body);
    }
}

// Who may not.

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_is_in_the_audit_of_whoever_made_it_and_says_nothing_of_what_was_in_it() {
    let stage = Stage::set().await;
    let (desk, bob, ada) = (&stage.desk, &stage.bob, &stage.ada);
    let secret = json!({"slug": "xyzzy", "name": "Xyzzy"});
    bob.post("/v1/services", secret).await.refused(403, "forbidden");
    // Decided by the action, and not at the door.
    let incident = stage.incident().await;
    let request = bob.files("Mail is down", &incident).await.created();
    let note = json!({"body": "Hm.", "visibility": "internal"});
    let path = format!("/v1/service-requests/{}/comments", id(&request));
    bob.post(&path, note).await.refused(403, "forbidden");
    // Another tenant's thing, which is not there for whoever may not do this anyway.
    let vic = desk.member("vic", "tenant_viewer", &stage.adatum).await;
    let cancel = format!("/v1/service-requests/{}/cancel", id(&request));
    vic.post(&cancel, json!({})).await.refused(404, "not-found");
    ada.get("/v1/audit?from=2010-09-07T00:00:00Z")
        .await
        .refused(403, "forbidden");
    let refused = of_kind(desk, "access_refused").await;
    let said: Vec<_> = refused
        .iter()
        .rev()
        .map(|row| {
            (
                &row["tenant_id"],
                row["actor"]["name"].as_str().unwrap(),
                row["data"].clone(),
            )
        })
        .collect();
    let call = |operation: &str, method: &str, path: &str| json!({"operation": operation, "method": method, "path": path});
    let provider = json!(allclear::db::PROVIDER);
    let of_request = "/v1/service-requests/{id}";
    assert_eq!(
        said,
        [
            (
                &stage.contoso["id"],
                "bob",
                call("create_service", "POST", "/v1/services")
            ),
            (
                &stage.contoso["id"],
                "bob",
                call("comment_on_request", "POST", &format!("{of_request}/comments"))
            ),
            (
                &stage.adatum["id"],
                "vic",
                call("cancel_request", "POST", &format!("{of_request}/cancel"))
            ),
            (&provider, "ada", call("list_audit", "GET", "/v1/audit")),
        ]
    );
    assert!(refused.iter().all(|row| row["address"] == "127.0.0.1"));
    assert_eq!(bob.all("/v1/audit?kind=access_refused").await.len(), 2);
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_refusals_of_an_address_ten_a_minute_are_listed_and_the_others_counted() {
    let stage = Stage::set_with(|settings| {
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let desk = &stage.desk;
    let call = |user: &User, path: &str, address: &str| {
        user.call(Method::POST, path)
            .header("x-forwarded-for", address)
            .json(&json!({}))
    };
    let mut busy = tokio::task::JoinSet::new();
    for count in 0..30 {
        // One network, whatever the last bits.
        let refused = call(&stage.bob, "/v1/services", &format!("2001:db8:0:1::{count:x}"));
        busy.spawn(async move { Reply::of(refused).await.status });
        let form = json!({"email": format!("nobody{count}@nowhere.example"), "password": PASSWORD});
        let login = call(&desk.stranger(), "/v1/auth/login", "192.0.2.7").json(&form);
        busy.spawn(async move { Reply::of(login).await.status });
    }
    let mut statuses = busy.join_all().await;
    statuses.sort_unstable();
    assert_eq!((statuses[29], statuses[30]), (401, 403));
    // Another address has ten of its own.
    for _ in 0..2 {
        Reply::of(call(&stage.bob, "/v1/services", "192.0.2.8"))
            .await
            .refused(403, "forbidden");
    }
    assert_eq!(of_kind(desk, "access_refused").await.len(), 12);
    assert_eq!(of_kind(desk, "sign_in_refused").await.len(), 10);
    // The minute is not over.
    desk.running().worker.sweep().await.unwrap();
    assert_eq!(of_kind(desk, "refusals_counted").await.len(), 0);
    desk.pass(TimeDelta::minutes(1));
    let sweeps = (desk.running().worker.clone(), desk.running().worker.clone());
    let (one, other) = tokio::join!(sweeps.0.sweep(), sweeps.1.sweep());
    one.and(other).unwrap();
    let mut counted: Vec<_> = of_kind(desk, "refusals_counted").await;
    counted.sort_by_key(|row| row["data"]["kind"].as_str().unwrap().to_owned());
    let said: Vec<_> = counted.iter().map(|row| row["data"].clone()).collect();
    let minute = "2010-09-07T18:00:00Z";
    assert_eq!(
        said,
        [
            json!({"address": "2001:db8:0:1::", "kind": "access", "minute": minute, "count": 20}),
            json!({"address": "192.0.2.7", "kind": "sign_in", "minute": minute, "count": 20}),
        ]
    );
    assert!(
        counted
            .iter()
            .all(|row| row["actor"]["side"] == "system" && row["tenant_id"] == json!(allclear::db::PROVIDER))
    );
    assert_eq!(desk.count("refusal_counts"), 0);
    // In another minute there are ten more.
    Reply::of(call(&stage.bob, "/v1/services", "192.0.2.8"))
        .await
        .refused(403, "forbidden");
    assert_eq!(of_kind(desk, "access_refused").await.len(), 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_sign_in_is_heard_of_where_the_account_is() {
    let stage = Stage::set().await;
    let (desk, bob) = (&stage.desk, &stage.bob);
    let provider = json!(allclear::db::PROVIDER);
    let (contoso, adatum) = (&stage.contoso["id"], &stage.adatum["id"]);
    let refused = |reply: Reply| reply.refused(401, "sign-in-failed");
    let form = |email: &str, password: &str| json!({"email": email, "password": password});
    let mut expected = Vec::new();
    refused(login(desk, form("BOB@contoso.example", "wrong")).await);
    expected.push((
        contoso,
        "tenant",
        json!({"reason": "password", "email": bob.email}),
    ));
    refused(login(desk, form("nobody@contoso.example", PASSWORD)).await);
    expected.push((
        &provider,
        "tenant",
        json!({"reason": "unknown", "email": "nobody@contoso.example"}),
    ));
    // What is no address may be a password in the wrong field.
    refused(login(desk, form("correct horse\u{0}battery", "x")).await);
    expected.push((&provider, "tenant", json!({"reason": "unknown", "email": null})));
    refused(login(desk, form(&stage.marta.email, "wrong")).await);
    expected.push((
        &provider,
        "staff",
        json!({"reason": "password", "email": stage.marta.email}),
    ));
    // A tenant that is named and not the account's is no more told of than the account.
    let mut named = form(&bob.email, PASSWORD);
    named["tenant_id"] = adatum.clone();
    refused(login(desk, named).await);
    expected.push((
        &provider,
        "tenant",
        json!({"reason": "disabled", "email": bob.email}),
    ));
    let vic = desk.member("vic", "tenant_viewer", &stage.contoso).await;
    let path = format!("/v1/users/{}", vic.id);
    bob.patch(&path, json!({"disabled": true})).await.ok();
    refused(login(desk, form(&vic.email, PASSWORD)).await);
    expected.push((
        contoso,
        "tenant",
        json!({"reason": "disabled", "email": vic.email}),
    ));
    let begun = bob.post("/v1/me/second-factor", json!({})).await.ok();
    let good = json!({"code": code(desk, &totp(&begun["secret"]))});
    bob.post("/v1/me/second-factor/confirm", good).await.ok();
    let mut with_code = form(&bob.email, PASSWORD);
    // To be asked for a code is no refusal.
    login(desk, with_code.clone())
        .await
        .refused(401, "second-factor-required");
    with_code["code"] = json!("000000");
    refused(login(desk, with_code).await);
    expected.push((contoso, "tenant", json!({"reason": "code", "email": bob.email})));
    let grant = login(desk, form(&stage.eva.email, PASSWORD)).await.ok();
    let refresh = json!({"refresh_token": grant["refresh_token"]});
    desk.stranger()
        .post("/v1/auth/refresh", refresh.clone())
        .await
        .ok();
    desk.stranger()
        .post("/v1/auth/refresh", refresh)
        .await
        .refused(401, "unauthenticated");
    expected.push((adatum, "tenant", json!({"reason": "refresh_token"})));
    let nonsense = json!({"refresh_token": "alr_nonsense"});
    desk.stranger()
        .post("/v1/auth/refresh", nonsense)
        .await
        .refused(401, "unauthenticated");
    expected.push((&provider, "staff", json!({"reason": "refresh_token"})));
    let mut rows = of_kind(desk, "sign_in_refused").await;
    rows.reverse();
    let said: Vec<_> = rows
        .iter()
        .map(|row| {
            assert_eq!(
                (&row["address"], row["actor"].get("id")),
                (&json!("127.0.0.1"), None)
            );
            assert_eq!(row["actor"]["name"], "");
            (
                &row["tenant_id"],
                row["actor"]["side"].as_str().unwrap(),
                row["data"].clone(),
            )
        })
        .collect();
    assert_eq!(said, expected);
    assert_eq!(bob.all("/v1/audit?kind=sign_in_refused").await.len(), 3);
    desk.drain().await;
}

// Commands.

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_change_something_or_let_somebody_in_are_in_the_audit() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let run = |words: &[&str]| {
        let output = desk.command(words).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let first = of_kind(desk, "signing_key_made").await;
    assert_eq!(first.len(), 1);
    let said = run(&["keys", "rotate"]);
    let keys = of_kind(desk, "signing_key_made").await;
    assert_eq!(keys.len(), 2);
    assert!(
        said.contains(keys[0]["data"]["to"]["key"].as_str().unwrap()),
        "{said}"
    );
    run(&["token", "--email", &stage.bob.email]);
    let minted = of_kind(desk, "token_minted").await;
    assert_eq!((minted.len(), &minted[0]["tenant_id"]), (1, &stage.contoso["id"]));
    assert_eq!(
        minted[0]["subject"],
        json!({"kind": "person", "id": stage.bob.id})
    );
    assert_eq!(minted[0]["actor"], json!({"side": "system", "name": "Allclear"}));
    // The first start made the provider and its operator.
    let made = of_kind(desk, "user_created").await;
    assert_eq!(made.last().unwrap()["data"]["to"]["email"], desk.operator.email);
    let said = run(&["audit", "verify"]);
    assert!(
        said.contains("Contoso: 0 rows, 0 erased, 3 not sealed yet"),
        "{said}"
    );
}
