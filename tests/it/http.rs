//! What every call has in common: preconditions, idempotency, addresses, ids of calls, the doors at the root.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{PASSWORD, Reply, Stage, TestDesk, User, always_on};
use crate::spec::{Cast, Spec, kept_document};

/// A call with these headers and this body.
async fn send(user: &User, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let call = user.call(method.parse().unwrap(), path).json(body);
    Reply::of(
        headers
            .iter()
            .fold(call, |call, (name, value)| call.header(*name, *value)),
    )
    .await
}

/// Nobody overwrites what they have not seen: one versioned thing, read at `read`, changed by a call that needs the
/// precondition and may be repeated. Afterwards it has been changed three times.
async fn is_guarded(user: &User, read: &str, (method, path): (&str, &str), bodies: [Value; 4]) {
    let before = user.get(read).await;
    let first = before
        .header("etag")
        .unwrap_or_else(|| panic!("{read} has no ETag"))
        .to_owned();
    if let Some(version) = before.clone().ok()["version"].as_i64() {
        assert_eq!(first, format!("\"{version}\""));
    }
    let [one, two, three, four] = &bodies;

    // Without it, or with one that is not the current one, nothing happens.
    send(user, method, path, &[], one)
        .await
        .refused(428, "precondition-required");
    for stale in ["\"999\"", "\"0x\"", &format!("W/{first}"), "\"998\", \"999\""] {
        let refused = send(user, method, path, &[("if-match", stale)], one).await;
        assert_eq!(refused.header("etag"), Some(first.as_str()), "{stale}");
        let problem = refused.refused(412, "precondition-failed");
        assert_eq!(problem["current_etag"], first, "{stale}");
        assert!(problem["current_status"].is_string());
    }
    assert_eq!(user.get(read).await.header("etag"), Some(first.as_str()));

    // With the current one it happens, once.
    let done = send(user, method, path, &[("if-match", &first)], one).await;
    let second = done.header("etag").unwrap_or_default().to_owned();
    done.ok();
    assert_ne!(first, second);
    assert_eq!(user.get(read).await.header("etag"), Some(second.as_str()));
    let stale = send(user, method, path, &[("if-match", &first)], two).await;
    assert_eq!(stale.header("etag"), Some(second.as_str()));
    assert_eq!(stale.refused(412, "precondition-failed")["current_etag"], second);

    // One of several is enough, and the star is whatever there is.
    let several = format!("\"999\", {second}");
    let third = send(user, method, path, &[("if-match", &several)], three).await;
    let tag = third.header("etag").unwrap_or_default().to_owned();
    third.ok();
    send(user, method, path, &[("if-match", "*")], four).await.ok();
    assert_ne!(user.get(read).await.header("etag"), Some(tag.as_str()));
}

fn status(status: &str) -> Value {
    json!({"body": "We know more.", "status": status})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_changed_only_by_who_has_seen_it() {
    let stage = Stage::set().await;
    let incident = stage.incident().await;
    let path = format!("/v1/incidents/{}", incident["id"].as_str().unwrap());
    let updates = format!("{path}/updates");
    let bodies = ["identified", "monitoring", "monitoring", "identified"].map(status);
    is_guarded(&stage.marta, &path, ("POST", &updates), bodies).await;
    // A text alone overwrites nothing; a precondition that is there is looked at all the same.
    let text = json!({"body": "Still looking."});
    send(&stage.marta, "POST", &updates, &[], &text).await.ok();
    send(&stage.marta, "POST", &updates, &[("if-match", "\"1\"")], &text)
        .await
        .refused(412, "precondition-failed");
    stage.desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_changed_only_by_who_has_seen_it() {
    let stage = Stage::set().await;
    let incident = stage.incident().await;
    let request = stage.bob.files("Mail is down", &incident).await;
    assert_eq!(request.header("etag"), Some("\"1\""));
    let request = request.created();
    let path = format!("/v1/service-requests/{}", request["id"].as_str().unwrap());
    let ada = &stage.ada;
    let other = stage
        .desk
        .operator
        .post("/v1/queues", always_on("Other", &[&ada.id]))
        .await
        .created();
    let to = |queue: &Value| json!({"queue_id": queue["id"], "reason": "It is theirs."});
    let bodies = [to(&other), to(&stage.queue), to(&stage.queue), to(&other)];
    is_guarded(ada, &path, ("POST", &format!("{path}/transfer")), bodies).await;

    // What the tenant does not see, and what is said about it, is no new version.
    let before = ada.get(&path).await.header("etag").map(str::to_owned);
    for body in [
        json!({"body": "Hello?"}),
        json!({"body": "Hm.", "visibility": "internal"}),
    ] {
        send(ada, "POST", &format!("{path}/comments"), &[], &body)
            .await
            .created();
    }
    assert_eq!(ada.get(&path).await.header("etag").map(str::to_owned), before);
    stage.desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shifts_and_rules_are_replaced_only_by_who_has_seen_them() {
    let stage = Stage::set().await;
    let (operator, ada) = (&stage.desk.operator, &stage.ada);
    let shifts = format!("/v1/queues/{}/shifts", stage.queue["id"].as_str().unwrap());
    let named = |name: &str| {
        let mut form = json!({"shifts": always_on("x", &[&ada.id])["shifts"]});
        form["shifts"][0]["name"] = json!(name);
        form
    };
    is_guarded(
        operator,
        &shifts,
        ("PUT", &shifts),
        ["a", "b", "c", "d"].map(named),
    )
    .await;
    assert_eq!(operator.get(&shifts).await.ok()["items"][0]["name"], "d");

    let rules = |name: &str| json!({"rules": [{"name": name, "when": {}, "queue_id": stage.queue["id"]}]});
    is_guarded(
        operator,
        "/v1/routing-rules",
        ("PUT", "/v1/routing-rules"),
        ["a", "b", "c", "d"].map(rules),
    )
    .await;
    assert_eq!(
        operator.get("/v1/routing-rules").await.ok()["rules"][0]["name"],
        "d"
    );
}

/// Calls that make something new, add without overwriting, or ask for whatever there is.
const WITHOUT_PRECONDITION: &[&str] = &[
    "login",
    "refresh",
    "logout",
    "ask_reset",
    "set_password",
    "accept_invitation",
    "change_password",
    "begin_second_factor",
    "confirm_second_factor",
    "remove_my_second_factor",
    "remove_second_factor",
    "end_session",
    "end_sessions",
    "create_api_key",
    "create_identity_provider",
    "revoke_api_key",
    "invite_user",
    "create_tenant",
    "create_user",
    "create_service",
    "create_region",
    "create_queue",
    "create_calendar",
    "enter_absence",
    "remove_absence",
    "enter_override",
    "swap_duties",
    "remove_override",
    "grant_waiver",
    "acknowledge_hand_over",
    "leave_last_words",
    "revoke_waiver",
    "open_incident",
    "update_incident",
    "file_request",
    "comment_on_request",
    "add_attachment",
    "remove_attachment",
    "claim_request",
    "retry_delivery",
    "retry_deliveries",
    "lift_suppression",
    "cancel_broadcast",
    "subscribe_to_incident",
    "unsubscribe_from_incident",
    "unsubscribe",
    "set_my_presence",
    "preview_routing",
    "rehearse_rules",
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_overwrites_needs_the_precondition_and_nothing_else_does() {
    let cast = Cast::set().await;
    let spec = Spec::of_the_code();
    let mut seen = BTreeSet::new();
    for operation in spec.operations() {
        // What takes no JSON: sla.rs.
        if operation.method == Method::GET || operation.id == "import_holidays" {
            continue;
        }
        let (path, mut body) = (
            cast.path(&operation),
            spec.example(&operation, &cast).unwrap_or(json!({})),
        );
        if operation.id == "update_incident" {
            body = json!({"body": "Still looking."});
        }
        let reply = send(cast.operator(), operation.method.as_str(), &path, &[], &body).await;
        let is_free = WITHOUT_PRECONDITION.contains(&operation.id.as_str());
        assert_eq!(
            reply.status != 428,
            is_free,
            "{} answers {}: {}",
            operation.name(),
            reply.status,
            reply.body
        );
        if is_free {
            seen.insert(operation.id);
        }
    }
    assert_eq!(
        seen.len(),
        WITHOUT_PRECONDITION.len(),
        "one of the exceptions is no call: {seen:?}"
    );
}

fn filing(incident: &Value, subject: &str) -> Value {
    json!({"incident_id": incident["id"], "severity": "b", "subject": subject, "description": "It is down."})
}

async fn file(user: &User, key: &str, form: &Value) -> Reply {
    send(
        user,
        "POST",
        "/v1/service-requests",
        &[("idempotency-key", key)],
        form,
    )
    .await
}

fn same(first: &Reply, second: &Reply) {
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    for name in ["location", "etag", "content-type"] {
        assert_eq!(first.header(name), second.header(name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_call_has_the_same_answer_and_one_effect() {
    let mut stage = Stage::set().await;
    let incident = stage.incident().await;
    let form = filing(&incident, "Mail is down");
    let first = file(&stage.bob, "k-1", &form).await;
    assert_eq!(first.status, 201, "{}", first.body);
    assert!(first.header("location").is_some() && first.header("etag").is_some());
    same(&first, &file(&stage.bob, "k-1", &form).await);
    assert_eq!(stage.desk.count("service_requests"), 1);

    // Another key, another call.
    file(&stage.bob, "K-1", &form).await.created();
    assert_eq!(stage.desk.count("service_requests"), 2);

    // The same key with another body, even one that says the same, is a mistake.
    file(&stage.bob, "k-1", &filing(&incident, "Another"))
        .await
        .refused(422, "idempotency-key-reused");
    let spaced = format!(" {form}");
    let call = stage
        .bob
        .call(Method::POST, "/v1/service-requests")
        .header("idempotency-key", "k-1");
    let call = call.header("content-type", "application/json").body(spaced);
    Reply::of(call).await.refused(422, "idempotency-key-reused");
    assert_eq!(stage.desk.count("service_requests"), 2);

    // A key is its caller's, its method's and its path's.
    let rob = stage.desk.member("rob", "tenant_admin", &stage.contoso).await;
    file(&rob, "k-1", &form).await.created();
    let path = format!("{}/comments", first.header("location").unwrap());
    let said = json!({"body": "Hello?"});
    for _ in 0..2 {
        send(&stage.bob, "POST", &path, &[("idempotency-key", "k-1")], &said)
            .await
            .created();
    }
    assert_eq!(stage.desk.count("service_requests"), 3);
    assert_eq!(stage.desk.count("request_comments"), 1);

    // It outlives the process.
    stage.desk.drain().await;
    stage.desk.restart().await;
    stage.bob.url = stage.desk.url().to_owned();
    same(&first, &file(&stage.bob, "k-1", &form).await);
    assert_eq!(stage.desk.count("service_requests"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_with_one_key_at_the_same_time_have_one_effect() {
    let stage = Stage::set().await;
    let incident = stage.incident().await;
    let form = filing(&incident, "Mail is down");
    let calls = (0..16).map(|_| {
        let (bob, form) = (stage.bob.clone(), form.clone());
        tokio::spawn(async move { file(&bob, "at-once", &form).await })
    });
    let mut ids = BTreeSet::new();
    for call in calls.collect::<Vec<_>>() {
        ids.insert(call.await.unwrap().created()["id"].to_string());
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(stage.desk.count("service_requests"), 1);
    stage.desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_good_answers_are_kept() {
    let stage = Stage::set().await;
    let incident = stage.incident().await;
    let unknown = json!({"id": "01980000-0000-7000-8000-000000000000"});
    for (form, code, status) in [
        (filing(&unknown, "Mail is down"), "not-found", 404),
        (filing(&incident, ""), "validation-failed", 422),
    ] {
        file(&stage.bob, "again", &form).await.refused(status, code);
    }
    file(&stage.eva, "again", &filing(&incident, "x"))
        .await
        .refused(409, "tenant-not-affected");
    assert_eq!(stage.desk.count("idempotency_keys"), 0);
    file(&stage.bob, "again", &filing(&incident, "Mail is down"))
        .await
        .created();
    assert_eq!(stage.desk.count("idempotency_keys"), 1);

    // An empty answer is a good one.
    let claim = format!("/v1/queues/{}/claim", stage.queue["id"].as_str().unwrap());
    let key = [("idempotency-key", "claim")];
    let claimed = send(&stage.ada, "POST", &claim, &key, &json!({})).await;
    assert_eq!(claimed.status, 200);
    same(
        &claimed,
        &send(&stage.ada, "POST", &claim, &key, &json!({})).await,
    );
    let none = [("idempotency-key", "none")];
    assert_eq!(
        send(&stage.ada, "POST", &claim, &none, &json!({})).await.status,
        204
    );
    stage.bob.files("Another", &incident).await.created();
    assert_eq!(
        send(&stage.ada, "POST", &claim, &none, &json!({})).await.status,
        204
    );
    stage.desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_looked_up_before_the_precondition() {
    let stage = Stage::set().await;
    let incident = stage.incident().await;
    let path = format!("/v1/incidents/{}/resolve", incident["id"].as_str().unwrap());
    let body = json!({"body": "It is over."});
    let tag = [("if-match", "\"1\""), ("idempotency-key", "over")];
    let first = send(&stage.marta, "POST", &path, &tag, &body).await;
    assert_eq!(first.status, 200, "{}", first.body);
    same(&first, &send(&stage.marta, "POST", &path, &tag, &body).await);
    same(&first, &send(&stage.marta, "POST", &path, &tag[1..], &body).await);
    send(&stage.marta, "POST", &path, &tag[..1], &body)
        .await
        .refused(412, "precondition-failed");
    assert_eq!(stage.desk.count("broadcasts WHERE kind = 'incident_resolved'"), 1);
    stage.desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_kept_for_a_day_and_then_forgotten() {
    // Tokens that outlive the day.
    let stage = Stage::set_with(|settings| settings.access_token_lifetime = TimeDelta::days(30)).await;
    let incident = stage.incident().await;
    let form = filing(&incident, "Mail is down");
    let first = file(&stage.bob, "daily", &form).await;
    stage.desk.pass(TimeDelta::hours(24) - TimeDelta::seconds(1));
    stage.desk.running().worker.sweep().await.unwrap();
    same(&first, &file(&stage.bob, "daily", &form).await);
    assert_eq!(stage.desk.count("idempotency_keys"), 1);

    // A day is over, whether or not it has been swept up.
    stage.desk.pass(TimeDelta::seconds(1));
    let second = file(&stage.bob, "daily", &form).await;
    assert_ne!(first.body["id"], second.body["id"]);
    second.created();
    assert_eq!(stage.desk.count("service_requests"), 2);

    stage.desk.pass(TimeDelta::hours(24) + TimeDelta::seconds(1));
    stage.desk.running().worker.sweep().await.unwrap();
    assert_eq!(stage.desk.count("idempotency_keys"), 0);
    stage.desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_created_is_found_at_its_location() {
    let stage = Stage::set().await;
    let incident = stage.incident().await;
    let operator = &stage.desk.operator;
    let made = [
        stage.bob.files("Mail is down", &incident).await,
        operator
            .post("/v1/queues", always_on("Other", &[&stage.ada.id]))
            .await,
        operator.post("/v1/incidents", crate::desk::incident_form()).await,
        operator
            .post(
                "/v1/tenants",
                json!({"name": "Fabrikam", "regions": ["europe"], "services": ["sign-in"]}),
            )
            .await,
    ];
    for made in made {
        let location = made.header("location").unwrap().to_owned();
        let tag = made.header("etag").map(str::to_owned);
        let made = made.created();
        let found = operator.get(&location).await;
        assert_eq!(
            found.header("etag").map(str::to_owned),
            tag.or(found.header("etag").map(str::to_owned))
        );
        let found = found.ok();
        assert_eq!(found["id"], made["id"], "{location}");
        assert!(
            location.ends_with(made["id"].as_str().unwrap()) && location.starts_with("/v1/"),
            "{location}"
        );
    }
    stage.desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_has_an_id_its_own_or_the_callers() {
    let desk = TestDesk::open().await;
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        for path in [
            "/v1/me",
            "/healthz",
            "/metrics",
            "/docs/",
            "/openapi.json",
            "/nowhere",
            "/.well-known/jwks.json",
        ] {
            let reply = desk.operator.get(path).await;
            ids.insert(
                reply
                    .header("x-request-id")
                    .unwrap_or_else(|| panic!("{path} has no id"))
                    .to_owned(),
            );
        }
    }
    assert_eq!(ids.len(), 21);
    let longest = "x".repeat(64);
    for id in ["mine-1", "a/b+c=d.e:f", "{weird}", &longest] {
        for path in ["/v1/me", "/v1/tenants/none", "/nowhere"] {
            let reply = Reply::of(desk.operator.call(Method::GET, path).header("x-request-id", id)).await;
            assert_eq!(reply.header("x-request-id"), Some(id), "{path}");
            if reply.status == 404 {
                assert_eq!(reply.body["request_id"], id);
            }
        }
    }
    let too_long = "x".repeat(65);
    let bad: [&[u8]; 6] = [
        b"",
        b"two words",
        b"quo\"te",
        b"tab\there",
        b"\xff",
        too_long.as_bytes(),
    ];
    for id in bad {
        let value = reqwest::header::HeaderValue::from_bytes(id).unwrap();
        let reply = Reply::of(
            desk.operator
                .call(Method::GET, "/nowhere")
                .header("x-request-id", value),
        )
        .await;
        let given = reply.header("x-request-id").unwrap().to_owned();
        assert!(uuid::Uuid::parse_str(&given).is_ok(), "{given}");
        reply.refused(404, "not-found");
    }
}

/// The numbers of a text in the format of Prometheus, by name and labels.
fn numbers(text: &str) -> BTreeMap<String, f64> {
    let (mut numbers, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(
                ["counter", "gauge", "histogram", "summary"].contains(&kind),
                "{line}"
            );
            assert!(
                kinds.insert(name.to_owned(), kind).is_none(),
                "{name} has two types"
            );
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(rest.contains(' '), "{line} helps nobody");
        } else {
            let (key, value) = line
                .rsplit_once(' ')
                .unwrap_or_else(|| panic!("{line} is no number"));
            let name = key.split('{').next().unwrap();
            let is_name = name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
            assert!(is_name && (!key.contains('{') || key.ends_with('}')), "{line}");
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            let known = kinds.contains_key(name) || family.is_some_and(|name| kinds.contains_key(name));
            assert!(known, "{name} has no type");
            assert!(
                numbers.insert(key.to_owned(), value.parse().unwrap()).is_none(),
                "{key} is there twice"
            );
        }
    }
    numbers
}

async fn metrics(desk: &TestDesk) -> BTreeMap<String, f64> {
    let reply = desk.stranger().get("/metrics").await;
    assert!(
        reply
            .header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    numbers(reply.ok().as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_the_calls_the_mail_and_whoever_was_not_told_of_an_end() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let of_me = |status: u16| {
        format!("allclear_http_requests_total{{method=\"GET\",route=\"/v1/me\",status=\"{status}\"}}")
    };
    let before = metrics(desk).await;
    for _ in 0..3 {
        stage.bob.get("/v1/me").await.ok();
    }
    desk.stranger()
        .get("/v1/me")
        .await
        .refused(401, "unauthenticated");
    let after = metrics(desk).await;
    let grown = |key: &str| after.get(key).unwrap_or(&0.0) - before.get(key).unwrap_or(&0.0);
    assert_eq!((grown(&of_me(200)), grown(&of_me(401))), (3.0, 1.0));
    assert_eq!(
        grown("allclear_http_request_duration_seconds_count{method=\"GET\",route=\"/v1/me\"}"),
        4.0
    );

    // Paths and methods that somebody makes up do not become series.
    let many = after.len();
    for number in 0..20 {
        stage.bob.get(&format!("/made/up/{number}")).await;
        stage.bob.get(&format!("/v1/tenants/{number}")).await;
        let method = format!("MADE{number}").parse().unwrap();
        Reply::of(stage.bob.call(method, "/v1/me"))
            .await
            .refused(405, "method-not-allowed");
    }
    let series = metrics(desk).await.len() - many;
    assert!(series < 60, "{series} new series for 60 calls of 3 kinds");

    let incident = stage.incident().await;
    stage.bob.files("Mail is down", &incident).await.created();
    let state = |state: &str| format!("allclear_deliveries{{state=\"{state}\"}}");
    let kind = |kind: &str| format!("allclear_desk{{kind=\"{kind}\"}}");
    let open = metrics(desk).await;
    assert_eq!(
        (open[&kind("active_incidents")], open[&kind("open_requests")]),
        (1.0, 1.0)
    );
    assert!(open[&kind("unread_events")] >= 1.0);
    desk.drain().await;
    let told = metrics(desk).await;
    assert!(told[&state("sent")] >= 2.0 && told[&state("pending")] == 0.0 && told[&state("failed")] == 0.0);
    assert_eq!(
        (told[&kind("unread_events")], told[&kind("told_without_end")]),
        (0.0, 0.0)
    );

    // It is over, and nobody has been written to yet; then everybody has.
    let path = format!("/v1/incidents/{}/resolve", incident["id"].as_str().unwrap());
    stage.marta.post(&path, json!({"body": "It is over."})).await.ok();
    desk.drain().await;
    let over = metrics(desk).await;
    assert_eq!(
        (over[&kind("active_incidents")], over[&kind("told_without_end")]),
        (0.0, 0.0)
    );
    assert!(over[&state("sent")] > told[&state("sent")]);

    // Somebody is taken out of the ledger by hand: the invariant is broken, and the number says so.
    desk.sql("DELETE FROM deliveries WHERE recipient = 'it@contoso.example' AND kind = 'incident_resolved'");
    assert_eq!(metrics(desk).await[&kind("told_without_end")], 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doors_at_the_root_are_open_and_say_how_it_is() {
    let desk = TestDesk::open().await;
    let stranger = desk.stranger();
    assert_eq!(stranger.get("/healthz").await.ok(), json!({"status": "ok"}));
    let ready = stranger.get("/readyz").await.ok();
    assert_eq!(
        (&ready["status"], &ready["checks"]["database"]["status"]),
        (&json!("ok"), &json!("ok"))
    );
    let keys = stranger.get("/.well-known/jwks.json").await.ok();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    assert_eq!(keys["keys"][0]["kty"], "OKP");
    assert!(
        keys["keys"][0].get("d").is_none(),
        "the private half is nobody's business"
    );
    assert_eq!(stranger.get("/openapi.json").await.ok(), kept_document());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_is_shown_from_the_binary_alone() {
    let desk = TestDesk::open().await;
    let page = desk.stranger().get("/docs/").await;
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let html = page.ok();
    let html = html.as_str().unwrap();
    let links = ["src=\"", "href=\""]
        .iter()
        .flat_map(|begin| html.split(begin).skip(1));
    let links: Vec<_> = links.filter_map(|rest| rest.split('"').next()).collect();
    assert!(
        links.iter().any(|link| link.ends_with(".js")) && links.iter().any(|link| link.ends_with(".css"))
    );
    for link in links {
        assert!(!link.contains("//"), "{link} is fetched from elsewhere");
        let asset = desk
            .stranger()
            .get(&format!("/docs/{}", link.trim_start_matches("./")))
            .await;
        assert_eq!(asset.status, 200, "{link}");
        assert!(
            asset.body.as_str().is_some_and(|text| !text.is_empty()),
            "{link} is empty"
        );
    }
    let start = desk.stranger().get("/docs/swagger-initializer.js").await.ok();
    assert!(start.as_str().unwrap().contains("/openapi.json"));

    let still = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let moved = still.get(format!("{}/docs", desk.url())).send().await.unwrap();
    assert!(moved.status().is_redirection(), "{}", moved.status());
    assert_eq!(moved.headers()["location"], "/docs/");
    desk.stranger()
        .get("/docs/none.js")
        .await
        .refused(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_not_guessed_at_and_not_kept_in_between() {
    let desk = TestDesk::open().await;
    for path in [
        "/v1/me",
        "/v1/tenants",
        "/v1/nowhere",
        "/healthz",
        "/openapi.json",
        "/docs/",
    ] {
        let reply = desk.operator.get(path).await;
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        let cache = reply
            .header("cache-control")
            .unwrap_or_else(|| panic!("{path} may be kept"));
        assert!(
            cache.contains("private") || cache.contains("no-store"),
            "{path}: {cache}"
        );
        assert!(reply.header("server").is_none() && reply.header("x-powered-by").is_none());
    }
    let form = json!({"email": desk.operator.email, "password": PASSWORD});
    let session = Reply::of(desk.stranger().call(Method::POST, "/v1/auth/login").json(&form)).await;
    assert_eq!(session.header("cache-control"), Some("no-store"));
    session.ok();
    let keys = desk.stranger().get("/.well-known/jwks.json").await;
    assert_eq!(keys.header("cache-control"), Some("public, max-age=60"));
    // No page of another site reads them.
    let call = desk
        .operator
        .call(Method::GET, "/v1/me")
        .header("origin", "https://evil.example");
    assert!(
        Reply::of(call)
            .await
            .header("access-control-allow-origin")
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_its_body_and_options_are_told_by_allow() {
    let desk = TestDesk::open().await;
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/v1/me",
        "/v1/tenants?limit=1",
        "/.well-known/jwks.json",
    ] {
        let get = desk.operator.get(path).await;
        let head = Reply::of(desk.operator.call(Method::HEAD, path)).await;
        assert_eq!((head.status, &head.body), (200, &Value::Null), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
    for (path, status) in [
        ("/v1/nowhere", 404),
        ("/v1/tenants/none", 404),
        ("/v1/auth/login", 405),
        ("/v1/users?x=1", 400),
    ] {
        let head = Reply::of(desk.operator.call(Method::HEAD, path)).await;
        assert_eq!((head.status, &head.body), (status, &Value::Null), "{path}");
    }
    assert_eq!(
        Reply::of(desk.stranger().call(Method::HEAD, "/v1/me"))
            .await
            .status,
        401
    );
    for (path, allow) in [
        ("/v1/me", "GET, HEAD, PATCH"),
        ("/v1/auth/login", "POST"),
        ("/v1/services", "GET, HEAD, POST"),
    ] {
        let options = Reply::of(desk.operator.call(Method::OPTIONS, path)).await;
        assert_eq!(options.header("allow"), Some(allow), "{path}");
        options.refused(405, "method-not-allowed");
    }
    // Nothing was made by asking.
    assert_eq!(desk.count("services"), 0);
}
