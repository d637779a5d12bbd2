//! Requests: filed, read, worked, answered, reopened, closed, and what their tenants see of it.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{Reply, Stage, TestDesk, User, always_on, incident_form};

const SECOND: TimeDelta = TimeDelta::seconds(1);

/// A stage on which time passes without anybody having to sign in again.
async fn long_stage() -> Stage {
    Stage::set_with(|settings| settings.access_token_lifetime = TimeDelta::days(100)).await
}

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(id).collect()
}

fn path(request: &Value) -> String {
    format!("/v1/service-requests/{}", id(request))
}

fn merged(mut form: Value, changes: &Value) -> Value {
    for (key, value) in changes.as_object().unwrap() {
        form[key] = value.clone();
    }
    form
}

/// A request without an incident, with some fields changed.
fn form(changes: Value) -> Value {
    let form = json!({
        "incident_id": null, "severity": "b", "subject": "Mail is down", "description": "It is down.",
        "service": "exchange-online",
    });
    merged(form, &changes)
}

async fn read(user: &User, request: &Value) -> Value {
    user.get(&path(request)).await.ok()
}

async fn end(marta: &User, incident: &Value, call: &str, form: Value) -> Value {
    marta
        .post(&format!("/v1/incidents/{}/{call}", id(incident)), form)
        .await
        .ok()
}

async fn resolve(marta: &User, incident: &Value) -> Value {
    end(marta, incident, "resolve", json!({"body": "It is over."})).await
}

async fn incident(marta: &User, changes: Value) -> Value {
    let form = merged(incident_form(), &changes);
    marta.post("/v1/incidents", form).await.created()
}

async fn does(user: &User, request: &Value, verb: &str, form: Value) -> Reply {
    user.post(&format!("{}/{verb}", path(request)), form).await
}

async fn takes(agent: &User, request: &Value) -> Value {
    does(agent, request, "assign", json!({"assignee_id": agent.id}))
        .await
        .ok()
}

fn kinds(history: &[Value]) -> Vec<&str> {
    history
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect()
}

// Filing.

#[tokio::test(flavor = "multi_thread")]
async fn filing_is_refused_first_for_what_is_unknown_then_for_whom_it_misses_then_for_what_is_over() {
    let stage = Stage::set().await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        eva,
        ..
    } = &stage;
    let nowhere = json!({"id": uuid::Uuid::new_v4()});
    let draft = incident(marta, json!({"status": "draft"})).await;
    let cancelled = incident(marta, json!({"status": "draft"})).await;
    end(marta, &cancelled, "cancel", json!({})).await;
    let on_behalf = |incident: &Value| {
        form(json!({
            "incident_id": incident["id"], "tenant_id": stage.contoso["id"], "service": null,
            "requester": {"email": "cleo@contoso.example", "name": "Cleo"},
        }))
    };
    for hidden in [&nowhere, &draft, &cancelled] {
        for user in [bob, eva] {
            user.files("Mail", hidden).await.refused(404, "not-found");
        }
        ada.post("/v1/service-requests", on_behalf(hidden))
            .await
            .refused(404, "not-found");
    }

    // Whom it does not affect learns neither what it is nor where it stands, also when it is over.
    let incident = stage.incident().await;
    for over in [false, true] {
        if over {
            resolve(marta, &incident).await;
        }
        let refused = eva
            .files("Mail", &incident)
            .await
            .refused(409, "tenant-not-affected");
        let text = refused.to_string();
        for told in ["intermittently", "investigating", "resolved", "incident_status"] {
            assert!(!text.contains(told), "{told} in {text}");
        }
    }

    let refused = bob
        .files("Mail", &incident)
        .await
        .refused(409, "incident-not-active");
    assert_eq!(refused["incident_status"], "resolved");
    assert_eq!(refused.get("followed_by"), None);
    let refused = ada
        .post("/v1/service-requests", on_behalf(&incident))
        .await
        .refused(409, "incident-not-active");
    assert_eq!(refused["incident_status"], "resolved");
    assert_eq!(desk.count("service_requests"), 0);
    assert_eq!(desk.count("people WHERE email = 'cleo@contoso.example'"), 0);
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filing_on_what_is_over_names_the_incident_that_follows_it_where_that_one_affects_the_tenant() {
    let stage = Stage::set().await;
    let Stage { desk, marta, bob, .. } = &stage;
    let first = stage.incident().await;
    resolve(marta, &first).await;
    for (follower, status) in [
        (json!({"regions": ["europe"]}), "investigating"),
        (json!({"services": ["sharepoint-online"]}), "investigating"),
        (json!({}), "draft"),
    ] {
        let changes = merged(follower, &json!({"follows": first["id"], "status": status}));
        incident(marta, changes).await;
    }
    let refused = bob
        .files("Mail", &first)
        .await
        .refused(409, "incident-not-active");
    assert_eq!(refused.get("followed_by"), None);

    let second = incident(marta, json!({"follows": first["id"]})).await;
    let refused = bob
        .files("Mail", &first)
        .await
        .refused(409, "incident-not-active");
    assert_eq!(refused["followed_by"], json!([second["id"]]));
    bob.files("Mail", &second).await.created();
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filed_request_is_routed_and_says_what_was_asked() {
    let stage = Stage::set().await;
    let Stage { desk, ada, bob, .. } = &stage;
    let incident = stage.incident().await;
    let asked = form(json!({
        "incident_id": incident["id"], "severity": "a", "subject": "  Mail is down ", "tags": ["vip", "mail", "vip"],
        "contact": {"telephone": "+1 555 0100", "language": "pt-BR"}, "watchers": ["Carol@Contoso.example"],
        "region": "north-america",
    }));
    let reply = bob.post("/v1/service-requests", asked).await;
    assert_eq!(reply.header("etag"), Some("\"1\""));
    let location = reply.header("location").unwrap().to_owned();
    let filed = reply.created();
    assert_eq!(location, path(&filed));
    let reference = filed["reference"].as_str().unwrap();
    assert!(
        reference.len() == 13 && reference.starts_with("SR-"),
        "{reference}"
    );
    let expected = json!({
        "status": "queued", "severity": "a", "subject": "Mail is down", "description": "It is down.",
        "channel": "admin_center", "tenant_id": stage.contoso["id"],
        "requester": {"id": bob.id, "name": "bob"},
        "contact": {
            "name": "bob", "email": "bob@contoso.example", "telephone": "+1 555 0100", "language": "pt-BR",
            "time_zone": "UTC",
        },
        "watchers": ["carol@contoso.example"], "tags": ["mail", "vip"],
        "incident": {"id": incident["id"], "title": "Mail is reachable only intermittently", "status": "investigating"},
        "service": "exchange-online", "region": "north-america",
        "queue": {"id": stage.queue["id"], "name": "Messaging"},
        "resolution": null, "hold_reason": null, "detached": false, "follow_up_of": null, "sla": {}, "version": 1,
        "id": filed["id"], "reference": reference, "created_at": filed["created_at"], "updated_at": filed["created_at"],
    });
    assert_eq!(filed, expected);
    assert_eq!(read(bob, &filed).await, expected);

    // Staff see more of it.
    let for_staff = merged(expected, &json!({"assignee": null, "pinned": false, "needs": {}}));
    assert_eq!(read(ada, &filed).await, for_staff);

    // Filing never changes an incident's version.
    let seen = bob.get(&format!("/v1/incidents/{}", id(&incident))).await.ok();
    assert_eq!(
        (&seen["version"], &seen["updated_at"]),
        (&json!(1), &incident["updated_at"])
    );
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_an_incident_names_its_service_and_hears_which_incidents_it_may_be_about() {
    let stage = Stage::set().await;
    let Stage { desk, marta, bob, .. } = &stage;
    let both = desk
        .tenant("Litware", &["europe", "north-america"], &["exchange-online"])
        .await;
    let lea = desk.member("lea", "tenant_admin", &both).await;

    // The field must be there, if only to say that there is no incident.
    let mut missing = form(json!({}));
    missing.as_object_mut().unwrap().remove("incident_id");
    bob.post("/v1/service-requests", missing)
        .await
        .refused(422, "validation-failed");

    let choices = json!({"service": ["exchange-online", "sign-in"], "region": ["north-america"]});
    for (service, region) in [
        (Value::Null, Value::Null),
        (json!("sharepoint-online"), Value::Null),
        (json!("sign-in"), json!("europe")),
    ] {
        let refused = bob
            .post(
                "/v1/service-requests",
                form(json!({"service": service, "region": region})),
            )
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["choices"], choices);
        let pointer = if region.is_null() { "/service" } else { "/region" };
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
    let refused = lea
        .post("/v1/service-requests", form(json!({})))
        .await
        .refused(422, "validation-failed");
    assert_eq!(refused["errors"][0]["pointer"], "/region");
    assert_eq!(
        refused["choices"],
        json!({"service": ["exchange-online"], "region": ["europe", "north-america"]})
    );
    assert_eq!(desk.count("service_requests"), 0);

    let alone = bob.post("/v1/service-requests", form(json!({}))).await.created();
    assert_eq!(
        (&alone["incident"], &alone["matching_incidents"]),
        (&Value::Null, &json!([]))
    );

    let over = stage.incident().await;
    resolve(marta, &over).await;
    incident(marta, json!({"status": "draft"})).await;
    incident(marta, json!({"regions": ["europe"]})).await;
    incident(marta, json!({"services": ["sign-in"]})).await;
    desk.pass(SECOND);
    let older = incident(marta, json!({"services": ["exchange-online", "sign-in"]})).await;
    desk.pass(SECOND);
    let newer = stage.incident().await;
    let filed = bob.post("/v1/service-requests", form(json!({}))).await.created();
    assert_eq!(filed["matching_incidents"], json!([newer["id"], older["id"]]));
    assert_eq!(read(bob, &filed).await.get("matching_incidents"), None);
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_more_than_one_service_or_region_is_hit_the_request_names_one_of_them() {
    let stage = Stage::set().await;
    let Stage { desk, marta, bob, .. } = &stage;
    let both = desk
        .tenant(
            "Litware",
            &["europe", "north-america"],
            &["exchange-online", "sign-in"],
        )
        .await;
    let lea = desk.member("lea", "tenant_admin", &both).await;
    let wide = incident(
        marta,
        json!({"services": ["exchange-online", "sharepoint-online", "sign-in"], "regions": ["north-america", "europe"]}),
    )
    .await;
    let file = async |user: &User, changes: Value| {
        let form = form(merged(
            json!({"incident_id": wide["id"], "service": null}),
            &changes,
        ));
        user.post("/v1/service-requests", form).await
    };

    let refused = file(&lea, json!({})).await.refused(422, "validation-failed");
    let pointers: Vec<_> = refused["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["pointer"])
        .collect();
    assert_eq!(pointers, ["/service", "/region"]);
    // What is offered is hit and theirs.
    assert_eq!(
        refused["choices"],
        json!({"service": ["exchange-online", "sign-in"], "region": ["europe", "north-america"]})
    );
    let refused = file(bob, json!({"service": "sharepoint-online"}))
        .await
        .refused(422, "validation-failed");
    assert_eq!(refused["errors"][0]["pointer"], "/service");
    assert_eq!(
        refused["choices"],
        json!({"service": ["exchange-online", "sign-in"], "region": ["north-america"]})
    );

    let filed = file(bob, json!({"service": "sign-in"})).await.created();
    assert_eq!(
        (&filed["service"], &filed["region"]),
        (&json!("sign-in"), &json!("north-america"))
    );
    let filed = file(&lea, json!({"service": "sign-in", "region": "europe"}))
        .await
        .created();
    assert_eq!(
        (&filed["service"], &filed["region"]),
        (&json!("sign-in"), &json!("europe"))
    );
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_file_on_behalf_of_a_tenant_and_make_a_contact_of_whom_they_do_not_know() {
    let stage = Stage::set().await;
    let Stage {
        desk, ada, bob, eva, ..
    } = &stage;
    let incident = stage.incident().await;
    let on_behalf = |changes: Value| {
        let form = form(json!({
            "incident_id": incident["id"], "tenant_id": stage.contoso["id"], "channel": "telephone",
            "requester": {"email": "Cleo@Contoso.example", "name": "Cleo"},
        }));
        merged(form, &changes)
    };
    let unknown = uuid::Uuid::new_v4();
    let provider = allclear::db::PROVIDER;
    for (pointer, changes) in [
        ("/tenant_id", json!({"tenant_id": null})),
        ("/tenant_id", json!({"tenant_id": unknown})),
        ("/tenant_id", json!({"tenant_id": provider})),
        ("/requester", json!({"requester": null})),
        (
            "/requester/email",
            json!({"requester": {"email": "cleo", "name": "Cleo"}}),
        ),
        // Somebody of another tenant is not the requester of this one's.
        (
            "/requester/email",
            json!({"requester": {"email": eva.email, "name": "Eva"}}),
        ),
    ] {
        let refused = ada
            .post("/v1/service-requests", on_behalf(changes.clone()))
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{changes}");
    }
    assert_eq!(desk.count("service_requests"), 0);
    assert_eq!(desk.count("people WHERE email LIKE 'cleo%'"), 0);

    let filed = ada
        .post("/v1/service-requests", on_behalf(json!({})))
        .await
        .created();
    assert_eq!(
        (
            &filed["tenant_id"],
            &filed["requester"]["name"],
            &filed["channel"],
            &filed["contact"]["email"]
        ),
        (
            &stage.contoso["id"],
            &json!("Cleo"),
            &json!("telephone"),
            &json!("cleo@contoso.example")
        )
    );
    // The second time she is known, and called as she is called then: a contact's name is what was said here, for it may
    // be somebody's elsewhere. A user of the tenant is who they are.
    let again = ada
        .post(
            "/v1/service-requests",
            on_behalf(json!({"requester": {"email": "cleo@contoso.example", "name": "Cleopatra"}})),
        )
        .await
        .created();
    assert_eq!(
        again["requester"],
        json!({"id": filed["requester"]["id"], "name": "Cleopatra"})
    );
    let users = ada
        .post(
            "/v1/service-requests",
            on_behalf(json!({"requester": {"email": bob.email, "name": "Robert"}})),
        )
        .await
        .created();
    assert_eq!(users["requester"], json!({"id": bob.id, "name": "bob"}));
    assert_eq!(read(bob, &filed).await["subject"], "Mail is down");
    // A contact gets mail and is no user.
    desk.drain().await;
    assert!(!desk.mailbox.to("cleo@contoso.example").is_empty());
    assert_eq!(
        desk.count("people WHERE email LIKE 'cleo%' AND password_hash IS NULL"),
        1
    );
    assert!(
        !desk
            .operator
            .get("/v1/users?limit=200")
            .await
            .ok()
            .to_string()
            .contains("cleo")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_caller_names_neither_tenant_nor_requester() {
    let stage = Stage::set().await;
    let bob = &stage.bob;
    let incident = stage.incident().await;
    for (pointer, changes) in [
        ("/tenant_id", json!({"tenant_id": stage.contoso["id"]})),
        ("/tenant_id", json!({"tenant_id": stage.adatum["id"]})),
        (
            "/requester",
            json!({"requester": {"email": "bob@contoso.example", "name": "bob"}}),
        ),
    ] {
        let form = form(merged(json!({"incident_id": incident["id"]}), &changes));
        let refused = bob
            .post("/v1/service-requests", form)
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
    assert_eq!(stage.desk.count("service_requests"), 0);
    stage.desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_to_its_limits() {
    let stage = Stage::set().await;
    let (desk, bob) = (&stage.desk, &stage.bob);
    let tags = |count: usize| (0..count).map(|n| format!("tag {n}")).collect::<Vec<_>>();
    for (pointer, changes) in [
        ("/subject", json!({"subject": "x".repeat(201)})),
        ("/subject", json!({"subject": "two\nlines"})),
        ("/description", json!({"description": "x".repeat(20_001)})),
        ("/description", json!({"description": " "})),
        ("/tags", json!({"tags": tags(21)})),
        ("/severity", json!({"severity": "e"})),
        ("/contact/email", json!({"contact": {"email": "bob"}})),
    ] {
        let refused = bob
            .post("/v1/service-requests", form(changes))
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
    assert_eq!(desk.count("service_requests"), 0);
    let full = json!({"subject": "ü".repeat(200), "description": "你".repeat(20_000), "tags": tags(20)});
    let filed = bob.post("/v1/service-requests", form(full)).await.created();
    let comments = format!("{}/comments", path(&filed));
    bob.post(&comments, json!({"body": "x".repeat(20_000)}))
        .await
        .created();
    let refused = bob
        .post(&comments, json!({"body": "x".repeat(20_001)}))
        .await
        .refused(422, "validation-failed");
    assert_eq!(refused["errors"][0]["pointer"], "/body");
    desk.drain().await;
}

// Reading.

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_found_by_its_id_and_by_its_reference_however_it_was_heard() {
    let stage = Stage::set().await;
    let Stage { desk, ada, bob, .. } = &stage;
    let filed = bob.post("/v1/service-requests", form(json!({}))).await.created();
    desk.sql("UPDATE service_requests SET reference = 'SR-7K0M1QX2TB'");
    for name in [
        id(&filed),
        &id(&filed).to_uppercase(),
        "SR-7K0M1QX2TB",
        "sr-7k0m1qx2tb",
        "SR-7KOMIQX2TB",
        "sr-7komlqx2tb",
        "7K0M1QX2TB",
        "7kom1qx2tb",
        "SR%207K0M%201QX2%20TB",
        "SR7K0M1QX2TB",
    ] {
        for user in [bob, ada] {
            let found = user.get(&format!("/v1/service-requests/{name}")).await.ok();
            assert_eq!(found["id"], filed["id"], "{name}");
        }
    }
    for name in [
        "SR-7K0M1QX2TC",
        "SR-7K0M1QX2T",
        "SR-7K0M1QX2TBB",
        "SR-7K0M1QX2TU",
        "SR-",
        "nonsense",
        "%00",
        &uuid::Uuid::new_v4().to_string(),
    ] {
        bob.get(&format!("/v1/service-requests/{name}"))
            .await
            .refused(404, "not-found");
    }
    // Every other address of it takes both names.
    bob.post(
        "/v1/service-requests/sr-7komlqx2tb/comments",
        json!({"body": "It is I."}),
    )
    .await
    .created();
    assert_eq!(bob.all("/v1/service-requests/7K0M1QX2TB/comments").await.len(), 1);
    assert_eq!(bob.all("/v1/service-requests/7K0M1QX2TB/history").await.len(), 2);
    desk.drain().await;
}

/// Every call that addresses a request, with a form that is valid.
fn calls(name: &str, stage: &Stage, incident: &Value) -> Vec<(Method, String, Value)> {
    let at = |verb: &str| format!("/v1/service-requests/{name}{verb}");
    let mut calls = vec![
        (Method::GET, at(""), Value::Null),
        (Method::GET, at("/comments"), Value::Null),
        (Method::GET, at("/history"), Value::Null),
        (Method::POST, at("/comments"), json!({"body": "Mine?"})),
        (
            Method::POST,
            at("/comments"),
            json!({"body": "Mine?", "visibility": "internal"}),
        ),
        (Method::POST, at("/assign"), json!({"assignee_id": stage.ada.id})),
        (
            Method::POST,
            at("/transfer"),
            json!({"queue_id": stage.queue["id"], "reason": "Mine."}),
        ),
        (Method::POST, at("/hold"), json!({"reason": "vendor"})),
        (Method::POST, at("/resolve"), json!({"body": "Done."})),
        (Method::POST, at("/reject"), json!({"reason": "Spam."})),
        (
            Method::PUT,
            at("/incident"),
            json!({"incident_id": incident["id"]}),
        ),
        (
            Method::PUT,
            at("/watchers"),
            json!({"watchers": ["eve@adatum.example"]}),
        ),
        (
            Method::DELETE,
            at("/watchers"),
            json!({"watchers": ["bob@contoso.example"]}),
        ),
        (Method::PUT, at("/pin"), json!({})),
        (Method::DELETE, at("/pin"), json!({})),
    ];
    for verb in [
        "release",
        "await-customer",
        "resume",
        "close",
        "reopen",
        "still-affected",
        "cancel",
    ] {
        calls.push((Method::POST, at(&format!("/{verb}")), json!({})));
    }
    calls
}

async fn make(user: &User, (method, address, form): (Method, String, Value)) -> Reply {
    let call = user.call(method, &address).header("if-match", "*");
    Reply::of(if form.is_null() { call } else { call.json(&form) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_another_tenant_is_not_found_by_any_call() {
    let stage = Stage::set().await;
    let Stage {
        desk, ada, bob, eva, ..
    } = &stage;
    let incident = stage.incident().await;
    let filed = bob.files("Mail", &incident).await.created();
    let viewer = desk.member("vic", "tenant_viewer", &stage.adatum).await;
    let before = (
        read(ada, &filed).await,
        ada.all(&format!("{}/history", path(&filed))).await,
    );
    for name in [id(&filed), filed["reference"].as_str().unwrap()] {
        for user in [eva, &viewer] {
            for call in calls(name, &stage, &incident) {
                let shown = format!("{} {} by {}", call.0, call.1, user.email);
                let reply = make(user, call).await;
                assert_eq!(
                    (reply.status, reply.body["code"].as_str()),
                    (404, Some("not-found")),
                    "{shown}: {}",
                    reply.body
                );
            }
        }
    }
    // Neither does it help to name it elsewhere.
    let follow_up = eva
        .post("/v1/service-requests", form(json!({"follow_up_of": filed["id"]})))
        .await
        .refused(422, "validation-failed");
    assert!(follow_up["detail"].as_str().unwrap().contains("no such request"));
    eva.get(&format!("/v1/incidents/{}/service-requests", id(&incident)))
        .await
        .refused(404, "not-found");
    for query in [
        String::new(),
        format!("?incident_id={}", id(&incident)),
        format!("?requester_id={}", bob.id),
    ] {
        assert_eq!(
            eva.all(&format!("/v1/service-requests{query}")).await.len(),
            0,
            "{query}"
        );
    }
    let after = (
        read(ada, &filed).await,
        ada.all(&format!("{}/history", path(&filed))).await,
    );
    assert_eq!(before, after);

    // The same calls by its own viewer are refused for the role; only reading is not.
    let own = desk.member("val", "tenant_viewer", &stage.contoso).await;
    for call in calls(id(&filed), &stage, &incident) {
        let expected = if call.0 == Method::GET { 200 } else { 403 };
        let shown = format!("{} {}", call.0, call.1);
        assert_eq!(make(&own, call).await.status, expected, "{shown}");
    }
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_listed_by_what_is_asked_of_them() {
    let stage = Stage::set().await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        eva,
        ..
    } = &stage;
    let other = desk
        .operator
        .post("/v1/queues", always_on("Identity", &[&ada.id]))
        .await
        .created();
    let wide = incident(marta, json!({"regions": ["north-america", "europe"]})).await;
    let mut filed = Vec::new();
    for (user, changes) in [
        (bob, json!({"incident_id": wide["id"], "severity": "a"})),
        (bob, json!({"severity": "b"})),
        (bob, json!({"severity": "c", "service": "sign-in"})),
        (bob, json!({"severity": "d"})),
        (eva, json!({"incident_id": wide["id"]})),
        (eva, json!({"severity": "a", "service": "sign-in"})),
    ] {
        desk.pass(SECOND);
        filed.push(user.post("/v1/service-requests", form(changes)).await.created());
    }
    takes(ada, &filed[1]).await;
    does(
        ada,
        &filed[2],
        "transfer",
        json!({"queue_id": other["id"], "reason": "Sign-in."}),
    )
    .await
    .ok();
    does(ada, &filed[3], "resolve", json!({"body": "Done."}))
        .await
        .ok();
    does(bob, &filed[0], "cancel", json!({})).await.ok();

    let by = |user: &User, query: String, expected: &'static [usize]| {
        let user = user.clone();
        let expected: Vec<_> = expected
            .iter()
            .map(|place| id(&filed[*place]).to_owned())
            .collect();
        async move {
            let found = user.all(&format!("/v1/service-requests{query}")).await;
            assert_eq!(ids(&found), expected, "{query} by {}", user.email);
        }
    };
    by(ada, String::new(), &[5, 4, 3, 2, 1, 0]).await;
    by(bob, String::new(), &[3, 2, 1, 0]).await;
    by(eva, String::new(), &[5, 4]).await;
    by(ada, "?status=queued".into(), &[5, 4, 2]).await;
    by(bob, "?status=in_progress,resolved".into(), &[3, 1]).await;
    by(ada, "?open=true".into(), &[5, 4, 2, 1]).await;
    by(bob, "?open=false".into(), &[3, 0]).await;
    by(ada, "?severity=a,c".into(), &[5, 2, 0]).await;
    by(ada, "?severity=a&open=true".into(), &[5]).await;
    by(ada, format!("?incident_id={}", id(&wide)), &[4, 0]).await;
    by(bob, format!("?incident_id={}", id(&wide)), &[0]).await;
    by(ada, format!("?queue_id={}", id(&other)), &[2]).await;
    by(ada, format!("?assignee_id={}", ada.id), &[1]).await;
    by(ada, format!("?requester_id={}", eva.id), &[5, 4]).await;
    by(ada, "?service=sign-in".into(), &[5, 2]).await;
    by(ada, "?region=europe".into(), &[5, 4]).await;
    by(ada, format!("?tenant_id={}", id(&stage.contoso)), &[3, 2, 1, 0]).await;
    by(ada, "?service=teams".into(), &[]).await;
    for (user, expected) in [(ada, vec![4, 0]), (bob, vec![0]), (eva, vec![4])] {
        let found = user
            .all(&format!("/v1/incidents/{}/service-requests", id(&wide)))
            .await;
        let expected: Vec<_> = expected.iter().map(|place: &usize| id(&filed[*place])).collect();
        assert_eq!(ids(&found), expected);
    }
    // The line of a queue is what is open in it, the most urgent first.
    let line = ada
        .all(&format!("/v1/queues/{}/service-requests", id(&stage.queue)))
        .await;
    assert_eq!(ids(&line), [5, 1, 4].map(|place| id(&filed[place])));

    for query in [
        format!("tenant_id={}", id(&stage.contoso)),
        format!("queue_id={}", id(&other)),
        format!("assignee_id={}", ada.id),
    ] {
        bob.get(&format!("/v1/service-requests?{query}"))
            .await
            .refused(400, "invalid-query");
    }
    for query in [
        "status=open",
        "status=",
        "severity=e",
        "open=maybe",
        "incident_id=1",
        "service=Not%20a%20slug",
        "region=%00",
        "colour=red",
        "limit=0",
        "limit=201",
        "open=true&open=false",
    ] {
        ada.get(&format!("/v1/service-requests?{query}"))
            .await
            .refused(400, "invalid-query");
    }
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_requests_lose_none_and_repeat_none_while_others_are_filed() {
    let stage = Stage::set().await;
    let Stage {
        desk, ada, bob, eva, ..
    } = &stage;
    let mut filed = Vec::new();
    for number in 0..7 {
        desk.pass(SECOND);
        let severity = ["c", "a", "d", "b", "a", "c", "b"][number];
        let changes = json!({"subject": format!("Number {number}"), "severity": severity});
        filed.push(bob.post("/v1/service-requests", form(changes)).await.created());
    }
    let line = format!("/v1/queues/{}/service-requests", id(&stage.queue));
    for (user, list, order) in [
        (bob, "/v1/service-requests".to_owned(), [6, 5, 4, 3, 2, 1, 0]),
        (ada, line, [1, 4, 3, 6, 0, 5, 2]),
    ] {
        let mut found = Vec::new();
        let mut next = format!("{list}?limit=3");
        let mut pages = 0;
        loop {
            let page = user.get(&next).await.ok();
            let items = page["items"].as_array().unwrap();
            pages += 1;
            assert!(items.len() <= 3);
            found.extend(items.iter().map(|item| id(item).to_owned()));
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            next = format!("{list}?limit=3&cursor={cursor}");
            if pages == 1 {
                // A cursor is of its caller and its list.
                eva.get(&format!("/v1/service-requests?cursor={cursor}"))
                    .await
                    .refused(400, "invalid-cursor");
                user.get(&format!("/v1/service-requests?open=true&cursor={cursor}"))
                    .await
                    .refused(400, "invalid-cursor");
            }
        }
        assert_eq!(pages, 3);
        assert_eq!(found, order.map(|place| id(&filed[place]).to_owned()));
    }

    let first = bob.get("/v1/service-requests?limit=3").await.ok();
    desk.pass(SECOND);
    bob.post("/v1/service-requests", form(json!({}))).await.created();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = bob
        .get(&format!("/v1/service-requests?limit=3&cursor={cursor}"))
        .await
        .ok();
    assert_eq!(
        ids(second["items"].as_array().unwrap()),
        [3, 2, 1].map(|place| id(&filed[place]))
    );
    desk.drain().await;
}

// The conversation.

/// Whether a word is in anything that was mailed to anybody.
fn mailed(desk: &TestDesk, word: &str) -> bool {
    desk.mailbox
        .mails()
        .iter()
        .any(|mail| mail.subject().contains(word) || mail.text().contains(word) || mail.html().contains(word))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_internal_note_is_never_seen_by_the_tenant() {
    let stage = Stage::set().await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        ..
    } = &stage;
    let viewer = desk.member("vic", "tenant_viewer", &stage.contoso).await;
    let incident = stage.incident().await;
    let filed = bob.files("Mail", &incident).await.created();
    let comments = format!("{}/comments", path(&filed));
    for (user, form) in [
        (bob, json!({"body": "Since this morning."})),
        (ada, json!({"body": "Thank you, we look into it."})),
        (
            ada,
            json!({"body": "They forgot to pay: xyzzy.", "visibility": "internal"}),
        ),
        (
            marta,
            json!({"body": "Same rack as last time: xyzzy.", "visibility": "internal"}),
        ),
        (ada, json!({"body": "A moment, please.", "visibility": "public"})),
    ] {
        desk.pass(SECOND);
        user.post(&comments, form).await.created();
    }
    bob.post(&comments, json!({"body": "Hidden?", "visibility": "internal"}))
        .await
        .refused(403, "forbidden");
    viewer
        .post(&comments, json!({"body": "Hello?"}))
        .await
        .refused(403, "forbidden");
    desk.drain().await;

    let said = |items: &[Value]| -> Vec<(String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        items
            .iter()
            .map(|item| {
                (
                    text(&item["visibility"]),
                    text(&item["author"]["side"]),
                    text(&item["author"]["name"]),
                )
            })
            .collect()
    };
    let row =
        |visibility: &str, side: &str, name: &str| (visibility.to_owned(), side.to_owned(), name.to_owned());
    let for_staff = ada.all(&comments).await;
    assert_eq!(
        said(&for_staff),
        [
            row("public", "tenant", "bob"),
            row("public", "staff", "ada"),
            row("internal", "staff", "ada"),
            row("internal", "staff", "marta"),
            row("public", "staff", "ada"),
        ]
    );
    for user in [bob, &viewer] {
        let seen = user.all(&comments).await;
        let public: Vec<_> = [0, 1, 4].map(|place| for_staff[place]["id"].clone()).to_vec();
        assert_eq!(seen.iter().map(|c| c["id"].clone()).collect::<Vec<_>>(), public);
        // Nor in pages that would begin or end with one.
        let mut paged = Vec::new();
        let mut next = format!("{comments}?limit=1");
        loop {
            let page = user.get(&next).await.ok();
            paged.extend(page["items"].as_array().unwrap().clone());
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            next = format!("{comments}?limit=1&cursor={cursor}");
        }
        assert_eq!(paged, seen);
        for address in [
            path(&filed),
            comments.clone(),
            format!("{}/history", path(&filed)),
            "/v1/service-requests".to_owned(),
            format!("/v1/incidents/{}", id(&incident)),
        ] {
            let text = user.get(&address).await.ok().to_string();
            for private in [
                "xyzzy",
                "internal",
                ada.id.as_str(),
                ada.email.as_str(),
                marta.id.as_str(),
                "marta",
            ] {
                assert!(!text.contains(private), "{private} at {address}: {text}");
            }
        }
    }
    assert!(mailed(desk, "A moment, please.") && !mailed(desk, "xyzzy"));
    // A note is no change that a tenant could notice.
    assert_eq!(read(bob, &filed).await["version"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn public_replies_of_staff_are_mailed_to_the_requester_and_the_tenants_own_are_not() {
    let stage = Stage::set().await;
    let Stage { desk, ada, bob, .. } = &stage;
    let filed = bob.post("/v1/service-requests", form(json!({}))).await.created();
    desk.drain().await;
    let before = desk.mailbox.to(&bob.email).len();
    does(bob, &filed, "comments", json!({"body": "Any news?"}))
        .await
        .created();
    desk.drain().await;
    assert_eq!(desk.mailbox.to(&bob.email).len(), before);
    does(ada, &filed, "comments", json!({"body": "Yes: plugh."}))
        .await
        .created();
    desk.drain().await;
    assert_eq!(desk.mailbox.to(&bob.email).len(), before + 1);
    assert!(mailed(desk, "plugh"));
    does(ada, &filed, "resolve", json!({"body": "Mended: quux."}))
        .await
        .ok();
    desk.drain().await;
    assert_eq!(desk.mailbox.to(&bob.email).len(), before + 2);
    assert!(mailed(desk, "quux"));
}

// Working.

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_takes_a_request_gives_it_back_and_a_lead_gives_it_to_another() {
    let stage = Stage::set().await;
    let Stage { desk, ada, bob, .. } = &stage;
    let ben = desk.staff("ben", "agent").await;
    let lea = desk.staff("lea", "lead").await;
    let filed = bob.post("/v1/service-requests", form(json!({}))).await.created();
    let assign = |who: &User| json!({"assignee_id": who.id});

    let taken = takes(ada, &filed).await;
    assert_eq!(
        (&taken["status"], &taken["assignee"], &taken["version"]),
        (
            &json!("in_progress"),
            &json!({"id": ada.id, "name": "ada"}),
            &json!(2)
        )
    );
    // To somebody else only a lead gives it; to nobody but an agent.
    does(ada, &filed, "assign", assign(&ben))
        .await
        .refused(403, "forbidden");
    for nobody in [&stage.bob, &stage.marta] {
        let refused = does(&lea, &filed, "assign", assign(nobody))
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], "/assignee_id");
    }
    let unknown = json!({"assignee_id": uuid::Uuid::new_v4()});
    does(&lea, &filed, "assign", unknown)
        .await
        .refused(422, "validation-failed");
    let given = does(&lea, &filed, "assign", assign(&ben)).await.ok();
    // The tenant cannot tell the agents apart: the version stays.
    assert_eq!(
        (&given["assignee"]["name"], &given["version"]),
        (&json!("ben"), &json!(2))
    );
    assert_eq!(read(bob, &filed).await.get("assignee"), None);

    let released = does(&ben, &filed, "release", json!({"body": "A colleague goes on."}))
        .await
        .ok();
    assert_eq!(
        (&released["status"], &released["assignee"], &released["version"]),
        (&json!("queued"), &Value::Null, &json!(3))
    );
    let said = bob.all(&format!("{}/comments", path(&filed))).await;
    assert_eq!(said[0]["body"], "A colleague goes on.");
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_puts_a_request_into_another_line_and_tells_the_reason_to_staff_alone() {
    let stage = Stage::set().await;
    let Stage { desk, ada, bob, .. } = &stage;
    let ben = desk.staff("ben", "agent").await;
    let identity = desk
        .operator
        .post("/v1/queues", always_on("Identity", &[&ben.id]))
        .await
        .created();
    let filed = bob.post("/v1/service-requests", form(json!({}))).await.created();
    takes(ada, &filed).await;
    for (pointer, form) in [
        (
            "/queue_id",
            json!({"queue_id": uuid::Uuid::new_v4(), "reason": "Sign-in."}),
        ),
        ("/reason", json!({"queue_id": identity["id"], "reason": ""})),
    ] {
        let refused = does(ada, &filed, "transfer", form)
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
    let form = json!({"queue_id": identity["id"], "reason": "It is sign-in: xyzzy."});
    let moved = does(ada, &filed, "transfer", form).await.ok();
    assert_eq!(
        (&moved["status"], &moved["assignee"], &moved["queue"]["name"]),
        (&json!("queued"), &Value::Null, &json!("Identity"))
    );
    let claim = format!("/v1/queues/{}/claim", id(&identity));
    assert_eq!(
        ben.post(&claim, json!({})).await.ok()["service_request"]["id"],
        filed["id"]
    );
    assert_eq!(read(bob, &filed).await["queue"]["name"], "Identity");

    let history = format!("{}/history", path(&filed));
    let event = ada.all(&history).await[2].clone();
    assert_eq!(
        (&event["kind"], &event["data"]["from"], &event["data"]["to"]),
        (
            &json!("request_transferred"),
            &json!("in_progress"),
            &json!("queued")
        )
    );
    assert_eq!(event["data"]["internal"]["reason"], "It is sign-in: xyzzy.");
    assert_eq!(event["data"]["internal"]["to_queue"], identity["id"]);
    let seen = bob.all(&history).await;
    assert!(!Value::from(seen).to_string().contains("xyzzy"));
    desk.drain().await;
}

/// Ada around the clock, and Carl from five to seven in the evening.
async fn with_carl(stage: &Stage) -> User {
    let carl = stage.desk.staff("carl", "agent").await;
    let mut shifts = always_on("Messaging", &[&stage.ada.id])["shifts"].clone();
    let evening = json!({
        "name": "evening", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "start": "17:00", "end": "19:00",
        "time_zone": "UTC", "members": [carl.id],
    });
    shifts.as_array_mut().unwrap().push(evening);
    let address = format!("/v1/queues/{}/shifts", id(&stage.queue));
    stage
        .desk
        .operator
        .put(&address, json!({"shifts": shifts}))
        .await
        .ok();
    carl
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_is_asked_and_replies_sets_the_work_going_again() {
    let stage = long_stage().await;
    let Stage { desk, ada, bob, .. } = &stage;
    let carl = with_carl(&stage).await;
    let reply = json!({"body": "Since this morning."});
    let mut filed = Vec::new();
    for number in 0..4 {
        desk.pass(SECOND);
        let subject = json!({"subject": format!("Number {number}")});
        filed.push(bob.post("/v1/service-requests", form(subject)).await.created());
    }
    takes(ada, &filed[0]).await;
    takes(&carl, &filed[1]).await;
    takes(&carl, &filed[3]).await;
    for (agent, request) in [
        (ada, &filed[0]),
        (&carl, &filed[1]),
        (ada, &filed[2]),
        (&carl, &filed[3]),
    ] {
        let asked = does(agent, request, "await-customer", json!({"body": "Since when?"}))
            .await
            .ok();
        assert_eq!(asked["status"], "pending_customer");
    }
    // Staff and notes do not answer for the customer.
    does(ada, &filed[0], "comments", json!({"body": "Hello?"}))
        .await
        .created();
    does(
        ada,
        &filed[0],
        "comments",
        json!({"body": "No answer.", "visibility": "internal"}),
    )
    .await
    .created();
    assert_eq!(read(bob, &filed[0]).await["status"], "pending_customer");

    // Carl is on duty when the first reply for him comes, and not for the second.
    let answered = async |place: usize| {
        does(bob, &filed[place], "comments", reply.clone())
            .await
            .created();
        let now = read(ada, &filed[place]).await;
        (
            now["status"].as_str().unwrap().to_owned(),
            now["assignee"]["name"].as_str().map(str::to_owned),
        )
    };
    assert_eq!(
        answered(1).await,
        ("in_progress".to_owned(), Some("carl".to_owned()))
    );
    desk.pass(TimeDelta::hours(2));
    assert_eq!(
        answered(0).await,
        ("in_progress".to_owned(), Some("ada".to_owned()))
    );
    assert_eq!(answered(2).await, ("queued".to_owned(), None));
    assert_eq!(answered(3).await, ("queued".to_owned(), None));
    desk.drain().await;
    assert!(mailed(desk, "Since when?"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_on_hold_says_what_it_waits_for_until_it_is_resumed() {
    let stage = long_stage().await;
    let Stage { desk, ada, bob, .. } = &stage;
    let carl = with_carl(&stage).await;
    let filed = bob.post("/v1/service-requests", form(json!({}))).await.created();
    takes(&carl, &filed).await;
    for bad in [json!({"reason": "lunch"}), json!({})] {
        does(&carl, &filed, "hold", bad)
            .await
            .refused(422, "validation-failed");
    }
    for reason in ["vendor", "change", "incident"] {
        let form = json!({"reason": reason, "body": format!("We wait for the {reason}.")});
        let held = does(&carl, &filed, "hold", form).await.ok();
        assert_eq!(
            (&held["status"], &held["hold_reason"]),
            (&json!("on_hold"), &json!(reason))
        );
        assert_eq!(read(bob, &filed).await["hold_reason"], reason);
        // A customer who says more while it waits does not end the waiting.
        does(bob, &filed, "comments", json!({"body": "Any news?"}))
            .await
            .created();
        assert_eq!(read(bob, &filed).await["status"], "on_hold");
        let resumed = does(&carl, &filed, "resume", json!({})).await.ok();
        assert_eq!(
            (
                &resumed["status"],
                &resumed["hold_reason"],
                &resumed["assignee"]["name"]
            ),
            (&json!("in_progress"), &Value::Null, &json!("carl"))
        );
    }
    does(&carl, &filed, "hold", json!({"reason": "vendor"}))
        .await
        .ok();
    desk.pass(TimeDelta::hours(2));
    let resumed = does(ada, &filed, "resume", json!({})).await.ok();
    assert_eq!(
        (&resumed["status"], &resumed["assignee"]),
        (&json!("queued"), &Value::Null)
    );
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_resolves_with_an_answer_and_a_requester_without_one_from_us() {
    let stage = Stage::set().await;
    let Stage { desk, ada, bob, .. } = &stage;
    let first = bob.post("/v1/service-requests", form(json!({}))).await.created();
    let second = bob.post("/v1/service-requests", form(json!({}))).await.created();
    desk.drain().await;
    let before = desk.mailbox.to(&bob.email).len();
    let refused = does(ada, &first, "resolve", json!({}))
        .await
        .refused(422, "validation-failed");
    assert_eq!(refused["status"], 422);
    for (user, request, cause) in [(ada, &first, "agent"), (bob, &second, "requester")] {
        let done = does(user, request, "resolve", json!({"body": "It works again."}))
            .await
            .ok();
        assert_eq!(done["status"], "resolved");
        assert_eq!(
            done["resolution"],
            json!({"cause": cause, "at": done["updated_at"]})
        );
        let said = bob.all(&format!("{}/comments", path(request))).await;
        assert_eq!(said[0]["body"], "It works again.");
    }
    desk.drain().await;
    assert_eq!(desk.mailbox.to(&bob.email).len(), before + 1);
    // A word of thanks reopens nothing.
    does(bob, &first, "comments", json!({"body": "Thank you."}))
        .await
        .created();
    assert_eq!(read(bob, &first).await["status"], "resolved");
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolved_request_reopens_inside_its_window_and_not_after_it() {
    let stage = long_stage().await;
    let Stage { desk, ada, bob, .. } = &stage;
    let incident = stage.incident().await;
    let filed = bob.files("Mail", &incident).await.created();
    for (user, detached) in [(ada, false), (bob, true)] {
        takes(ada, &filed).await;
        does(ada, &filed, "resolve", json!({"body": "Done."})).await.ok();
        desk.pass(TimeDelta::days(7));
        let reopened = does(user, &filed, "reopen", json!({"body": "Not quite."}))
            .await
            .ok();
        assert_eq!(
            (
                &reopened["status"],
                &reopened["resolution"],
                &reopened["detached"]
            ),
            (&json!("queued"), &Value::Null, &json!(detached))
        );
        assert_eq!(read(ada, &filed).await["assignee"], Value::Null);
    }
    does(ada, &filed, "resolve", json!({"body": "Done."})).await.ok();
    desk.pass(TimeDelta::days(7) + SECOND);
    for user in [ada, bob] {
        does(user, &filed, "reopen", json!({"body": "Not quite."}))
            .await
            .refused(409, "window-expired");
    }
    assert_eq!(read(bob, &filed).await["status"], "resolved");
    assert_eq!(bob.all(&format!("{}/comments", path(&filed))).await.len(), 5);
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_window_a_request_reopens_for_ever() {
    let stage = Stage::set_with(|settings| {
        settings.access_token_lifetime = TimeDelta::days(1000);
        settings.reopen_window = None;
    })
    .await;
    let Stage { desk, ada, bob, .. } = &stage;
    let filed = bob.post("/v1/service-requests", form(json!({}))).await.created();
    does(ada, &filed, "resolve", json!({"body": "Done."})).await.ok();
    desk.pass(TimeDelta::days(900));
    desk.running().worker.sweep().await.unwrap();
    let reopened = does(bob, &filed, "reopen", json!({})).await.ok();
    // There is nothing for it to be detached from.
    assert_eq!(
        (&reopened["status"], &reopened["detached"]),
        (&json!("queued"), &json!(false))
    );
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_resolved_closes_by_itself_after_the_window_and_goes_on_in_a_follow_up() {
    let stage = long_stage().await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        ..
    } = &stage;
    let incident = stage.incident().await;
    let by_agent = bob.files("Mail", &incident).await.created();
    let by_incident = bob.files("Calendar", &incident).await.created();
    let open = bob.post("/v1/service-requests", form(json!({}))).await.created();
    does(ada, &by_agent, "resolve", json!({"body": "Done."}))
        .await
        .ok();
    resolve(marta, &incident).await;
    desk.drain().await;
    let sweep = async || desk.running().worker.sweep().await.unwrap();
    desk.pass(TimeDelta::days(7));
    sweep().await;
    for request in [&by_agent, &by_incident] {
        assert_eq!(read(bob, request).await["status"], "resolved");
    }
    desk.pass(SECOND);
    sweep().await;
    for (request, cause) in [(&by_agent, "agent"), (&by_incident, "incident")] {
        let now = read(bob, request).await;
        assert_eq!(
            (&now["status"], &now["resolution"]["cause"]),
            (&json!("closed"), &json!(cause))
        );
        let last = bob
            .all(&format!("{}/history", path(request)))
            .await
            .pop()
            .unwrap();
        assert_eq!(
            (
                &last["kind"],
                &last["actor"]["side"],
                &last["data"]["from"],
                &last["data"]["to"]
            ),
            (
                &json!("request_closed"),
                &json!("system"),
                &json!("resolved"),
                &json!("closed")
            )
        );
        for verb in ["reopen", "still-affected"] {
            let refused = does(bob, request, verb, json!({}))
                .await
                .refused(409, "transition-not-allowed");
            assert_eq!(refused["allowed"], json!([]));
        }
    }
    assert_eq!(read(bob, &open).await["status"], "queued");

    let follow_up = bob
        .post(
            "/v1/service-requests",
            form(json!({"follow_up_of": by_agent["id"]})),
        )
        .await
        .created();
    assert_eq!(follow_up["follow_up_of"], by_agent["id"]);
    assert_eq!(read(bob, &by_agent).await["status"], "closed");
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_close_what_is_resolved_and_only_what_is_closed_is_followed_up() {
    let stage = Stage::set().await;
    let Stage { desk, ada, bob, .. } = &stage;
    let filed = bob.post("/v1/service-requests", form(json!({}))).await.created();
    let follow_up = async |of: &Value| {
        bob.post("/v1/service-requests", form(json!({"follow_up_of": of})))
            .await
    };
    for status in ["queued", "resolved"] {
        if status == "resolved" {
            does(ada, &filed, "resolve", json!({"body": "Done."})).await.ok();
        }
        let refused = follow_up(&filed["id"]).await.refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], "/follow_up_of");
        assert!(refused["detail"].as_str().unwrap().contains(status));
    }
    follow_up(&json!(uuid::Uuid::new_v4()))
        .await
        .refused(422, "validation-failed");
    does(bob, &filed, "close", json!({}))
        .await
        .refused(403, "forbidden");
    assert_eq!(
        does(ada, &filed, "close", json!({})).await.ok()["status"],
        "closed"
    );
    assert_eq!(
        follow_up(&filed["id"]).await.created()["follow_up_of"],
        filed["id"]
    );
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_cancels_and_staff_reject_with_a_reason() {
    let stage = Stage::set().await;
    let Stage { desk, ada, bob, .. } = &stage;
    let mine = bob.post("/v1/service-requests", form(json!({}))).await.created();
    let spam = bob.post("/v1/service-requests", form(json!({}))).await.created();
    does(ada, &mine, "cancel", json!({}))
        .await
        .refused(403, "forbidden");
    let cancelled = does(bob, &mine, "cancel", json!({"body": "Never mind."}))
        .await
        .ok();
    assert_eq!(
        (&cancelled["status"], &cancelled["resolution"]),
        (&json!("cancelled"), &Value::Null)
    );

    does(bob, &spam, "reject", json!({"reason": "No."}))
        .await
        .refused(403, "forbidden");
    for bad in [json!({}), json!({"reason": ""}), json!({"reason": " "})] {
        does(ada, &spam, "reject", bad)
            .await
            .refused(422, "validation-failed");
    }
    let rejected = does(ada, &spam, "reject", json!({"reason": "An advertisement."}))
        .await
        .ok();
    assert_eq!(rejected["status"], "rejected");
    let last = bob.all(&format!("{}/history", path(&spam))).await.pop().unwrap();
    assert_eq!(
        last["data"],
        json!({"from": "queued", "to": "rejected", "reason": "An advertisement."})
    );
    desk.drain().await;
}

// The incident of a request.

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_still_affected_says_so_once_the_incident_is_over_and_stays_out_of_the_cascade() {
    let stage = Stage::set().await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        ..
    } = &stage;
    let incident = stage.incident().await;
    let mut filed = Vec::new();
    for subject in ["follows", "open", "answered"] {
        desk.pass(SECOND);
        filed.push(bob.files(subject, &incident).await.created());
    }
    let alone = bob.post("/v1/service-requests", form(json!({}))).await.created();
    ada.put(&format!("{}/pin", path(&filed[1])), json!({})).await.ok();
    does(ada, &filed[2], "resolve", json!({"body": "Done."}))
        .await
        .ok();

    // Not while it is under way, and not without one; what is offered instead is what the state allows.
    for (request, allowed) in [
        (&filed[2], vec!["reply", "close", "reopen"]),
        (
            &alone,
            vec![
                "claim",
                "await-customer",
                "hold",
                "assign",
                "transfer",
                "reply",
                "resolve",
                "cancel",
                "reject",
            ],
        ),
    ] {
        let before = read(bob, request).await;
        let refused = does(bob, request, "still-affected", json!({}))
            .await
            .refused(409, "transition-not-allowed");
        assert_eq!(refused["allowed"], json!(allowed));
        assert_eq!(read(bob, request).await, before);
    }

    desk.pass(SECOND);
    resolve(marta, &incident).await;
    desk.drain().await;
    desk.pass(SECOND);
    for (place, before) in [(0, "resolved"), (1, "queued"), (2, "resolved")] {
        assert_eq!(read(bob, &filed[place]).await["status"], before, "{place}");
        let now = does(bob, &filed[place], "still-affected", json!({"body": "Not here."}))
            .await
            .ok();
        assert_eq!(
            (&now["status"], &now["detached"], &now["resolution"]),
            (&json!("queued"), &json!(true), &Value::Null),
            "{place}"
        );
        assert_eq!(now["incident"]["id"], incident["id"]);
    }

    // A detached request goes its own way, however often the incident opens and ends.
    for _ in 0..2 {
        desk.pass(SECOND);
        end(marta, &incident, "reopen", json!({"body": "Again."})).await;
        desk.drain().await;
        desk.pass(SECOND);
        resolve(marta, &incident).await;
        desk.drain().await;
    }
    for request in &filed {
        assert_eq!(read(bob, request).await["status"], "queued");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_its_tenant_reopened_no_longer_follows_until_it_is_attached_again() {
    let stage = Stage::set().await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        ..
    } = &stage;
    let incident = stage.incident().await;
    let mut filed = Vec::new();
    for subject in ["by the tenant", "by staff", "attached again"] {
        desk.pass(SECOND);
        let request = bob.files(subject, &incident).await.created();
        does(ada, &request, "resolve", json!({"body": "Done."}))
            .await
            .ok();
        filed.push(request);
    }
    for (user, request) in [(bob, &filed[0]), (ada, &filed[1]), (bob, &filed[2])] {
        does(user, request, "reopen", json!({})).await.ok();
    }
    let attach = json!({"incident_id": incident["id"]});
    let attached = ada
        .put(&format!("{}/incident", path(&filed[2])), attach)
        .await
        .ok();
    assert_eq!(attached["detached"], false);
    resolve(marta, &incident).await;
    desk.drain().await;
    for (request, status) in [
        (&filed[0], "queued"),
        (&filed[1], "resolved"),
        (&filed[2], "resolved"),
    ] {
        assert_eq!(
            read(bob, request).await["status"],
            status,
            "{}",
            request["subject"]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_request_stays_when_its_incident_ends_and_an_unpinned_one_follows() {
    let stage = Stage::set().await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        ..
    } = &stage;
    let incident = stage.incident().await;
    let pinned = bob.files("pinned", &incident).await.created();
    let unpinned = bob.files("unpinned", &incident).await.created();
    let pin = |request: &Value| format!("{}/pin", path(request));
    for request in [&pinned, &unpinned] {
        bob.put(&pin(request), json!({})).await.refused(403, "forbidden");
        for method in [Method::PUT, Method::DELETE] {
            Reply::of(ada.call(method, &pin(request)).json(&json!({})))
                .await
                .refused(428, "precondition-required");
        }
        assert_eq!(ada.put(&pin(request), json!({})).await.ok()["pinned"], true);
        // Again is nothing.
        assert_eq!(ada.put(&pin(request), json!({})).await.ok()["pinned"], true);
    }
    assert_eq!(ada.delete(&pin(&unpinned), json!({})).await.ok()["pinned"], false);
    assert_eq!(
        kinds(&ada.all(&format!("{}/history", path(&unpinned))).await),
        ["request_filed", "request_pinned", "request_unpinned"]
    );
    // The tenant sees nothing of it.
    let seen = read(bob, &pinned).await;
    assert_eq!((seen.get("pinned"), &seen["version"]), (None, &json!(1)));
    assert_eq!(
        kinds(&bob.all(&format!("{}/history", path(&unpinned))).await),
        ["request_filed"]
    );

    resolve(marta, &incident).await;
    desk.drain().await;
    assert_eq!(read(bob, &pinned).await["status"], "queued");
    assert_eq!(read(bob, &unpinned).await["status"], "resolved");
    let seen = bob.get(&format!("/v1/incidents/{}", id(&incident))).await.ok();
    assert_eq!(
        seen["cascade"],
        json!({"state": "finished", "done": 1, "remaining": 0})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_bound_to_an_incident_later_by_the_same_checks_as_filing() {
    let stage = Stage::set().await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        ..
    } = &stage;
    let filed = bob.post("/v1/service-requests", form(json!({}))).await.created();
    let draft = incident(marta, json!({"status": "draft"})).await;
    let elsewhere = incident(marta, json!({"regions": ["europe"]})).await;
    let over = stage.incident().await;
    resolve(marta, &over).await;
    let follower = incident(marta, json!({"follows": over["id"]})).await;
    let address = format!("{}/incident", path(&filed));
    let link = async |incident: &Value| ada.put(&address, json!({"incident_id": incident["id"]})).await;
    let nowhere = json!({"id": uuid::Uuid::new_v4()});
    let before = read(ada, &filed).await;
    link(&nowhere).await.refused(404, "not-found");
    link(&draft).await.refused(404, "not-found");
    link(&elsewhere).await.refused(409, "tenant-not-affected");
    let refused = link(&over).await.refused(409, "incident-not-active");
    assert_eq!(
        (&refused["incident_status"], &refused["followed_by"]),
        (&json!("resolved"), &json!([follower["id"]]))
    );
    bob.put(&address, json!({"incident_id": follower["id"]}))
        .await
        .refused(403, "forbidden");
    Reply::of(
        ada.call(Method::PUT, &address)
            .json(&json!({"incident_id": follower["id"]})),
    )
    .await
    .refused(428, "precondition-required");
    assert_eq!(read(ada, &filed).await, before);

    let linked = link(&follower).await.ok();
    assert_eq!(
        (&linked["incident"]["id"], &linked["version"]),
        (&follower["id"], &json!(2))
    );
    let event = bob.all(&format!("{}/history", path(&filed))).await.pop().unwrap();
    assert_eq!(
        (
            &event["kind"],
            &event["data"]["from_incident"],
            &event["data"]["to_incident"]
        ),
        (&json!("request_linked"), &Value::Null, &follower["id"])
    );

    // Bound, it follows; what is no longer open is not bound to anything else.
    resolve(marta, &follower).await;
    desk.drain().await;
    assert_eq!(read(bob, &filed).await["resolution"]["cause"], "incident");
    let another = stage.incident().await;
    link(&another).await.refused(409, "transition-not-allowed");
    desk.drain().await;
}

// Every verb in every state.

const STATES: [&str; 8] = [
    "queued",
    "in_progress",
    "pending_customer",
    "on_hold",
    "resolved",
    "closed",
    "cancelled",
    "rejected",
];

/// Where each verb leads from each of the states above, with an agent on duty who has it; `-` is refused. What the
/// lists of allowed verbs call claiming is tested with the queues.
const VERBS: [(&str, [&str; 8]); 13] = [
    (
        "assign",
        [
            "in_progress",
            "in_progress",
            "pending_customer",
            "on_hold",
            "-",
            "-",
            "-",
            "-",
        ],
    ),
    ("release", ["-", "queued", "queued", "queued", "-", "-", "-", "-"]),
    (
        "transfer",
        ["queued", "queued", "queued", "queued", "-", "-", "-", "-"],
    ),
    (
        "await-customer",
        [
            "pending_customer",
            "pending_customer",
            "-",
            "pending_customer",
            "-",
            "-",
            "-",
            "-",
        ],
    ),
    ("hold", ["on_hold", "on_hold", "on_hold", "-", "-", "-", "-", "-"]),
    (
        "resume",
        ["-", "-", "in_progress", "in_progress", "-", "-", "-", "-"],
    ),
    (
        "reply",
        [
            "queued",
            "in_progress",
            "in_progress",
            "on_hold",
            "resolved",
            "-",
            "-",
            "-",
        ],
    ),
    (
        "resolve",
        ["resolved", "resolved", "resolved", "resolved", "-", "-", "-", "-"],
    ),
    ("close", ["-", "-", "-", "-", "closed", "-", "-", "-"]),
    ("reopen", ["-", "-", "-", "-", "queued", "-", "-", "-"]),
    (
        "still-affected",
        [
            "queued",
            "in_progress",
            "pending_customer",
            "on_hold",
            "queued",
            "-",
            "-",
            "-",
        ],
    ),
    (
        "cancel",
        [
            "cancelled",
            "cancelled",
            "cancelled",
            "cancelled",
            "-",
            "-",
            "-",
            "-",
        ],
    ),
    (
        "reject",
        ["rejected", "rejected", "rejected", "rejected", "-", "-", "-", "-"],
    ),
];

async fn apply(stage: &Stage, request: &Value, verb: &str) -> Reply {
    let form = match verb {
        "assign" => json!({"assignee_id": stage.ada.id}),
        "transfer" => json!({"queue_id": stage.queue["id"], "reason": "Elsewhere."}),
        "hold" => json!({"reason": "vendor"}),
        "reply" | "resolve" => json!({"body": "So it is."}),
        "reject" => json!({"reason": "Spam."}),
        _ => json!({}),
    };
    let user = match verb {
        "reply" | "still-affected" | "cancel" => &stage.bob,
        _ => &stage.ada,
    };
    let verb = if verb == "reply" { "comments" } else { verb };
    does(user, request, verb, form).await
}

/// Brings a filed request into a state.
async fn bring(stage: &Stage, request: &Value, state: &str) {
    if state != "queued" {
        apply(stage, request, "assign").await.ok();
    }
    let way: &[&str] = match state {
        "pending_customer" => &["await-customer"],
        "on_hold" => &["hold"],
        "resolved" => &["resolve"],
        "closed" => &["resolve", "close"],
        "cancelled" => &["cancel"],
        "rejected" => &["reject"],
        _ => &[],
    };
    for verb in way {
        apply(stage, request, verb).await.ok();
    }
    assert_eq!(read(&stage.ada, request).await["status"], state);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_in_every_state_leads_where_the_table_says_or_is_refused_with_what_is_allowed() {
    let mut stage = Stage::set().await;
    stage.desk.leave_undrained();
    let incident = stage.incident().await;
    let mut filed = Vec::new();
    for _ in 0..STATES.len() * (VERBS.len() + 1) {
        filed.push(stage.bob.files("Mail", &incident).await.created());
    }
    // Kept, so that the requests stay as they are and the incident is over.
    let keep = json!({"body": "It is over.", "requests": "keep"});
    end(&stage.marta, &incident, "resolve", keep).await;
    for (place, from) in STATES.iter().enumerate() {
        let mut allowed: Vec<&str> = VERBS
            .iter()
            .filter(|(_, leads)| leads[place] != "-")
            .map(|(verb, _)| *verb)
            .collect();
        if *from == "queued" {
            allowed.push("claim");
        }
        allowed.sort_unstable();
        let refusing = filed.pop().unwrap();
        bring(&stage, &refusing, from).await;
        let before = read(&stage.ada, &refusing).await;
        for (verb, leads) in &VERBS {
            if leads[place] == "-" {
                let refused = apply(&stage, &refusing, verb)
                    .await
                    .refused(409, "transition-not-allowed");
                let mut found: Vec<_> = refused["allowed"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|v| v.as_str().unwrap())
                    .collect();
                found.sort_unstable();
                assert_eq!(found, allowed, "{verb} from {from}");
            } else {
                let request = filed.pop().unwrap();
                bring(&stage, &request, from).await;
                let reply = apply(&stage, &request, verb).await;
                assert!(reply.status < 300, "{verb} from {from}: {}", reply.body);
                assert_eq!(
                    read(&stage.ada, &request).await["status"],
                    leads[place],
                    "{verb} from {from}"
                );
            }
        }
        assert_eq!(read(&stage.ada, &refusing).await, before, "{from}");
    }
}

// What changes say of themselves.

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_state_says_which_version_it_has_seen_and_only_what_the_tenant_sees_is_counted() {
    let stage = Stage::set().await;
    let Stage { desk, ada, bob, .. } = &stage;
    let lea = desk.staff("lea", "lead").await;
    let incident = stage.incident().await;
    let filed = bob.files("Mail", &incident).await.created();
    for call in calls(id(&filed), &stage, &incident) {
        if call.0 == Method::GET || call.1.ends_with("/comments") {
            continue;
        }
        let user = if call.1.ends_with("/cancel") { bob } else { ada };
        let shown = call.1.clone();
        let without = Reply::of(user.call(call.0.clone(), &call.1).json(&call.2)).await;
        assert_eq!(without.status, 428, "{shown}: {}", without.body);
        let stale = Reply::of(
            user.call(call.0, &call.1)
                .header("if-match", "\"7\"")
                .json(&call.2),
        )
        .await;
        assert_eq!(stale.header("etag"), Some("\"1\""), "{shown}");
        let stale = stale.refused(412, "precondition-failed");
        assert_eq!(
            (&stale["current_etag"], &stale["current_status"]),
            (&json!("\"1\""), &json!("queued"))
        );
    }
    assert_eq!(ada.all(&format!("{}/history", path(&filed))).await.len(), 1);

    let version = async || read(ada, &filed).await["version"].as_i64().unwrap();
    takes(ada, &filed).await;
    assert_eq!(version().await, 2);
    // Comments, notes, watchers, the assignee and the pin are not counted.
    does(bob, &filed, "comments", json!({"body": "Hello?"}))
        .await
        .created();
    does(
        ada,
        &filed,
        "comments",
        json!({"body": "Hm.", "visibility": "internal"}),
    )
    .await
    .created();
    let watchers = json!({"watchers": ["carol@contoso.example"]});
    bob.put(&format!("{}/watchers", path(&filed)), watchers.clone())
        .await
        .ok();
    bob.delete(&format!("{}/watchers", path(&filed)), watchers)
        .await
        .ok();
    does(&lea, &filed, "assign", json!({"assignee_id": lea.id}))
        .await
        .ok();
    ada.put(&format!("{}/pin", path(&filed)), json!({})).await.ok();
    assert_eq!(version().await, 2);
    // So a tag that was read before them is still good.
    let hold = ada.call(Method::POST, &format!("{}/hold", path(&filed)));
    let held = Reply::of(
        hold.header("if-match", "\"2\"")
            .json(&json!({"reason": "vendor"})),
    )
    .await;
    assert_eq!(held.header("etag"), Some("\"3\""));
    held.ok();
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_says_who_did_what_from_where_to_where_and_why_and_keeps_internals_from_the_tenant() {
    let stage = Stage::set().await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        ..
    } = &stage;
    let incident = stage.incident().await;
    let filed = bob.files("Mail", &incident).await.created();
    let history = format!("{}/history", path(&filed));
    let claim = format!("/v1/queues/{}/claim", id(&stage.queue));
    desk.pass(SECOND);
    ada.post(&claim, json!({})).await.ok();
    for (user, verb, form) in [
        (
            ada,
            "comments",
            json!({"body": "Hm: xyzzy.", "visibility": "internal"}),
        ),
        (ada, "await-customer", json!({"body": "Since when?"})),
        (bob, "comments", json!({"body": "This morning."})),
        (ada, "hold", json!({"reason": "vendor"})),
        (ada, "resume", json!({})),
        (ada, "release", json!({})),
    ] {
        desk.pass(SECOND);
        let reply = does(user, &filed, verb, form).await;
        assert!(reply.status < 300, "{}", reply.body);
    }
    desk.pass(SECOND);
    ada.put(&format!("{}/pin", path(&filed)), json!({})).await.ok();
    ada.delete(&format!("{}/pin", path(&filed)), json!({})).await.ok();
    desk.pass(SECOND);
    resolve(marta, &incident).await;
    desk.drain().await;
    desk.pass(SECOND);
    does(bob, &filed, "reopen", json!({"body": "Not quite."}))
        .await
        .ok();

    let whole = ada.all(&history).await;
    let row = |event: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        (
            text(&event["kind"]),
            text(&event["actor"]["side"]),
            text(&event["actor"]["name"]),
            text(&event["data"]["from"]),
            text(&event["data"]["to"]),
        )
    };
    let expected = [
        ("request_filed", "tenant", "bob", "-", "queued"),
        ("request_claimed", "staff", "ada", "queued", "in_progress"),
        ("request_commented", "staff", "ada", "-", "-"),
        (
            "request_awaited_customer",
            "staff",
            "ada",
            "in_progress",
            "pending_customer",
        ),
        (
            "request_commented",
            "tenant",
            "bob",
            "pending_customer",
            "in_progress",
        ),
        ("request_held", "staff", "ada", "in_progress", "on_hold"),
        ("request_resumed", "staff", "ada", "on_hold", "in_progress"),
        ("request_released", "staff", "ada", "in_progress", "queued"),
        ("request_pinned", "staff", "ada", "-", "-"),
        ("request_unpinned", "staff", "ada", "-", "-"),
        ("request_resolved", "system", "Allclear", "queued", "resolved"),
        ("request_reopened", "tenant", "bob", "resolved", "queued"),
    ]
    .map(|(kind, side, name, from, to)| {
        (
            kind.to_owned(),
            side.to_owned(),
            name.to_owned(),
            from.to_owned(),
            to.to_owned(),
        )
    });
    assert_eq!(whole.iter().map(row).collect::<Vec<_>>(), expected);
    let seqs: Vec<_> = whole.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, (1..=12).collect::<Vec<_>>());
    assert!(
        whole
            .iter()
            .map(|event| event["at"].as_str().unwrap())
            .is_sorted()
    );
    let why = &whole[0]["data"]["internal"];
    assert_eq!(
        (&why["rule"], &why["rules_version"], &why["queue_id"]),
        (&json!("all"), &json!(1), &stage.queue["id"])
    );
    assert_eq!(whole[1]["data"]["internal"]["to_assignee"], json!(ada.id));
    assert_eq!(whole[1]["actor"]["id"], json!(ada.id));
    assert_eq!(whole[5]["data"]["reason"], "vendor");
    assert_eq!(whole[10]["data"]["cause"], "incident");

    // The tenant's has gaps where internal entries are, and nothing that is under `internal`.
    let seen = bob.all(&history).await;
    let seqs: Vec<_> = seen.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, [1, 2, 4, 5, 6, 7, 8, 11, 12]);
    for event in &seen {
        assert_eq!(event["data"].get("internal"), None);
        let of_staff = event["actor"]["side"] == "staff";
        assert_eq!(
            event["actor"].get("id").is_none(),
            of_staff || event["actor"]["side"] == "system"
        );
    }
    let text = Value::from(seen.clone()).to_string();
    for private in [
        "xyzzy",
        ada.id.as_str(),
        "pinned",
        "assignee",
        "\"rule\"",
        "needs",
    ] {
        assert!(!text.contains(private), "{private}");
    }

    // Page by page the same.
    let mut paged = Vec::new();
    let mut next = format!("{history}?limit=2");
    loop {
        let page = bob.get(&next).await.ok();
        paged.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        next = format!("{history}?limit=2&cursor={cursor}");
    }
    assert_eq!(paged, seen);
    desk.drain().await;
}

// Watchers.

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_up_to_a_hundred_watchers_and_each_is_told_once_that_it_is_one() {
    let stage = Stage::set().await;
    let Stage { desk, ada, bob, .. } = &stage;
    let watchers = |range: std::ops::Range<usize>| {
        range
            .map(|n| format!("w{n:03}@contoso.example"))
            .collect::<Vec<_>>()
    };
    let incident = stage.incident().await;
    desk.drain().await;
    let filing = |watchers: Vec<String>| form(json!({"incident_id": incident["id"], "watchers": watchers}));
    let refused = bob
        .post("/v1/service-requests", filing(watchers(0..101)))
        .await
        .refused(422, "validation-failed");
    assert_eq!(refused["errors"][0]["pointer"], "/watchers");
    let full = bob
        .post("/v1/service-requests", filing(watchers(0..100)))
        .await
        .created();
    assert_eq!(full["watchers"], json!(watchers(0..100)));

    let address = format!("{}/watchers", path(&full));
    let put = async |user: &User, list: Vec<String>| user.put(&address, json!({"watchers": list})).await;
    let refused = put(bob, watchers(100..101))
        .await
        .refused(422, "validation-failed");
    assert_eq!(refused["errors"][0]["pointer"], "/watchers");
    // Whoever is one already is not counted again, however written.
    put(bob, vec!["W007@Contoso.Example".to_owned()]).await.ok();
    put(bob, vec!["nobody".to_owned()])
        .await
        .refused(422, "validation-failed");
    put(bob, Vec::new()).await.refused(422, "validation-failed");
    let fewer = bob
        .delete(
            &address,
            json!({"watchers": ["W000@contoso.example", "stranger@contoso.example"]}),
        )
        .await
        .ok();
    assert_eq!(fewer["watchers"], json!(watchers(1..100)));
    let again = put(
        ada,
        vec![
            "Zoe@contoso.example".to_owned(),
            "w001@contoso.example".to_owned(),
        ],
    )
    .await
    .ok();
    assert_eq!(again["watchers"].as_array().unwrap().len(), 100);
    assert_eq!(again["watchers"][99], "zoe@contoso.example");
    desk.drain().await;
    for (address, mails) in [
        ("w000@contoso.example", 0),
        ("w001@contoso.example", 1),
        ("w007@contoso.example", 1),
        ("zoe@contoso.example", 1),
        ("w100@contoso.example", 0),
        ("stranger@contoso.example", 0),
    ] {
        assert_eq!(desk.mailbox.to(address).len(), mails, "{address}");
    }
}
