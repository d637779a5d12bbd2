//! Incidents: opened, updated, ended, reopened, and seen by those whom they concern.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{Reply, Stage, TestDesk, User, incident_form};

const SECOND: TimeDelta = TimeDelta::seconds(1);

/// A stage on which time passes without anybody having to sign in again.
async fn long_stage() -> Stage {
    Stage::set_with(|settings| settings.access_token_lifetime = TimeDelta::days(100)).await
}

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

fn path(incident: &Value) -> String {
    format!("/v1/incidents/{}", id(incident))
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The form of an incident with some fields changed.
fn form(changes: Value) -> Value {
    let mut form = incident_form();
    for (key, value) in changes.as_object().unwrap() {
        form[key] = value.clone();
    }
    form
}

fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(id).collect()
}

/// What the broadcasts of an incident are about, in order.
async fn broadcasts(staff: &User, incident: &Value) -> Vec<String> {
    let items = staff.all(&format!("{}/broadcasts", path(incident))).await;
    items
        .iter()
        .map(|item| {
            item["kind"]
                .as_str()
                .unwrap()
                .strip_prefix("incident_")
                .unwrap()
                .to_owned()
        })
        .collect()
}

async fn request(user: &User, request: &Value) -> Value {
    user.get(&format!("/v1/service-requests/{}", id(request)))
        .await
        .ok()
}

/// A call of an incident, by its name in the lists of what is allowed.
async fn call(marta: &User, incident: &Value, call: &str, to: &str) -> Reply {
    let path = path(incident);
    match call {
        "report" => {
            marta
                .put(&format!("{path}/report"), json!({"body": "Why."}))
                .await
        }
        "updates" => {
            marta
                .post(&format!("{path}/updates"), json!({"body": "News.", "status": to}))
                .await
        }
        "publish" => {
            marta
                .post(&format!("{path}/publish"), json!({"status": to}))
                .await
        }
        "cancel" => marta.post(&format!("{path}/cancel"), json!({})).await,
        other => {
            marta
                .post(&format!("{path}/{other}"), json!({"body": "So it is."}))
                .await
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_opens_with_its_scope_and_its_first_update() {
    let stage = Stage::set().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let began = rfc3339(desk.clock.now() - TimeDelta::hours(1));
    let opened = marta
        .post(
            "/v1/incidents",
            form(json!({
                "services": ["sign-in", "exchange-online", "sign-in"], "regions": ["north-america", "europe"],
                "status": "identified", "started_at": began, "impact": "interruption",
            })),
        )
        .await;
    assert_eq!(opened.header("etag"), Some("\"1\""));
    let location = opened.header("location").unwrap().to_owned();
    let opened = opened.created();
    assert_eq!(location, path(&opened));
    assert_eq!(opened["services"], json!(["exchange-online", "sign-in"]));
    assert_eq!(opened["regions"], json!(["europe", "north-america"]));
    assert_eq!(
        (
            &opened["status"],
            &opened["impact"],
            &opened["started_at"],
            &opened["version"]
        ),
        (
            &json!("identified"),
            &json!("interruption"),
            &json!(began),
            &json!(1)
        )
    );
    for empty in ["resolved_at", "follows", "duplicate_of", "next_update_by"] {
        assert_eq!(opened[empty], Value::Null, "{empty}");
    }
    assert_eq!(
        opened["cascade"],
        json!({"state": "none", "done": 0, "remaining": 0})
    );
    let updates = opened["updates"].as_array().unwrap();
    assert_eq!(updates.len(), 1);
    assert_eq!(
        (
            &updates[0]["seq"],
            &updates[0]["status"],
            &updates[0]["body"],
            &updates[0]["author"]["name"]
        ),
        (
            &json!(1),
            &json!("identified"),
            &json!("We are looking into it."),
            &json!("marta")
        )
    );
    assert_eq!(broadcasts(marta, &opened).await, ["opened"]);

    // Read again it is the same, without the broadcast of the call.
    let read = marta.get(&location).await.ok();
    let mut expected = opened.clone();
    expected.as_object_mut().unwrap().remove("broadcast_id").unwrap();
    assert_eq!(read, expected);

    // Left out, it began now and is being investigated.
    let plain = stage.incident().await;
    assert_eq!(
        (&plain["status"], &plain["started_at"]),
        (&json!("investigating"), &json!(rfc3339(desk.clock.now())))
    );
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_that_cannot_be_is_refused_by_the_field() {
    let stage = Stage::set().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let future = rfc3339(desk.clock.now() + TimeDelta::hours(1));
    let unknown = uuid::Uuid::new_v4().to_string();
    for (pointer, changes) in [
        ("/status", json!({"status": "resolved"})),
        ("/status", json!({"status": "cancelled"})),
        ("/services", json!({"services": ["teams"]})),
        ("/services", json!({"services": []})),
        ("/regions", json!({"regions": ["mars"]})),
        ("/started_at", json!({"started_at": future})),
        ("/follows", json!({"follows": unknown})),
        ("/title", json!({"title": "two\nlines"})),
        ("/impact", json!({"impact": "none"})),
        ("/author", json!({"author": "marta"})),
    ] {
        let refused = marta
            .post("/v1/incidents", form(changes.clone()))
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{changes}");
    }
    assert_eq!(desk.count("incidents"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_that_comes_back_follows_the_published_incident_it_was() {
    let stage = Stage::set().await;
    let marta = &stage.marta;
    let first = stage.incident().await;
    let second = marta
        .post("/v1/incidents", form(json!({"follows": first["id"]})))
        .await
        .created();
    assert_eq!(second["follows"], first["id"]);
    let draft = marta
        .post("/v1/incidents", form(json!({"status": "draft"})))
        .await
        .created();
    let refused = marta
        .post("/v1/incidents", form(json!({"follows": draft["id"]})))
        .await
        .refused(422, "validation-failed");
    assert_eq!(refused["errors"][0]["pointer"], "/follows");
    stage.desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_staffs_alone_until_it_is_published() {
    let stage = Stage::set().await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        ..
    } = &stage;
    let draft = marta
        .post(
            "/v1/incidents",
            form(json!({"status": "draft", "body": "Internal guesswork."})),
        )
        .await
        .created();
    assert_eq!(draft["broadcast_id"], Value::Null);
    assert_eq!(ada.get(&path(&draft)).await.ok()["status"], "draft");
    assert_eq!(ids(&ada.all("/v1/incidents").await), [id(&draft)]);
    bob.get(&path(&draft)).await.refused(404, "not-found");
    assert_eq!(bob.all("/v1/incidents").await.len(), 0);
    assert_eq!(bob.all("/v1/incidents?status=draft,cancelled").await.len(), 0);

    let published = marta
        .post(
            &format!("{}/publish", path(&draft)),
            json!({"status": "identified", "body": "Mail is slow; we know why."}),
        )
        .await
        .ok();
    assert_eq!(
        (&published["status"], &published["version"]),
        (&json!("identified"), &json!(2))
    );
    assert_eq!(broadcasts(marta, &draft).await, ["opened"]);
    let seen = bob.get(&path(&draft)).await.ok();
    let bodies: Vec<_> = seen["updates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| &u["body"])
        .collect();
    assert_eq!(bodies, ["Mail is slow; we know why."]);
    assert!(!seen.to_string().contains("guesswork"));

    // Without a text the draft's own becomes public.
    let plain = marta
        .post("/v1/incidents", form(json!({"status": "draft"})))
        .await
        .created();
    marta
        .post(&format!("{}/publish", path(&plain)), json!({}))
        .await
        .ok();
    let seen = bob.get(&path(&plain)).await.ok();
    assert_eq!(
        (&seen["status"], &seen["updates"][0]["body"]),
        (&json!("investigating"), &json!("We are looking into it."))
    );

    // What was drafted did not become a mail.
    desk.drain().await;
    for mail in desk.mailbox.mails() {
        assert!(!mail.text().contains("guesswork") && !mail.html().contains("guesswork"));
    }
    assert_eq!(desk.mailbox.to("it@contoso.example").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_draft_is_never_seen_by_tenants_and_sends_nothing() {
    let stage = Stage::set().await;
    let (desk, marta, bob) = (&stage.desk, &stage.marta, &stage.bob);
    let draft = marta
        .post("/v1/incidents", form(json!({"status": "draft"})))
        .await
        .created();
    let cancelled = marta
        .post(&format!("{}/cancel", path(&draft)), json!({}))
        .await
        .ok();
    assert_eq!(
        (&cancelled["status"], &cancelled["broadcast_id"]),
        (&json!("cancelled"), &Value::Null)
    );
    bob.get(&path(&draft)).await.refused(404, "not-found");
    bob.files("Mail is down", &draft).await.refused(404, "not-found");
    assert_eq!(bob.all("/v1/incidents").await.len(), 0);
    assert_eq!(marta.get(&path(&draft)).await.ok()["status"], "cancelled");
    desk.drain().await;
    assert_eq!((desk.count("broadcasts"), desk.mailbox.count()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_append_to_the_timeline_and_move_between_the_active_states() {
    let stage = Stage::set().await;
    let (desk, marta, bob) = (&stage.desk, &stage.marta, &stage.bob);
    let incident = stage.incident().await;
    let updates = format!("{}/updates", path(&incident));

    // A text alone needs no precondition and leaves the status; even the same status may be said again.
    desk.pass(SECOND);
    let plain = Reply::of(
        marta
            .call(Method::POST, &updates)
            .json(&json!({"body": "Still looking."})),
    );
    assert_eq!(plain.await.ok()["status"], "investigating");
    for status in [
        "identified",
        "monitoring",
        "monitoring",
        "investigating",
        "monitoring",
    ] {
        desk.pass(SECOND);
        let form = json!({"body": format!("Now {status}."), "status": status});
        assert_eq!(marta.post(&updates, form).await.ok()["status"], status);
    }

    let seen = bob.get(&path(&incident)).await.ok();
    assert_eq!(seen["version"], 7);
    let timeline: Vec<_> = seen["updates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| {
            (
                u["seq"].as_i64().unwrap(),
                u["status"].as_str().unwrap(),
                u["body"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        timeline,
        [
            (1, "investigating", "We are looking into it."),
            (2, "investigating", "Still looking."),
            (3, "identified", "Now identified."),
            (4, "monitoring", "Now monitoring."),
            (5, "monitoring", "Now monitoring."),
            (6, "investigating", "Now investigating."),
            (7, "monitoring", "Now monitoring."),
        ]
    );
    let times: Vec<_> = seen["updates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| u["at"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted() && times[0] < times[6]);
    assert_eq!(broadcasts(marta, &incident).await[..2], ["opened", "updated"]);
    assert_eq!(broadcasts(marta, &incident).await.len(), 7);
    desk.drain().await;
    // The last update stands for those before it, which had not left.
    assert_eq!(desk.mailbox.to("it@contoso.example").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_state_says_which_version_it_has_seen() {
    let stage = Stage::set().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let incident = stage.incident().await;
    let body = json!({"body": "News."});
    let with_status = json!({"body": "News.", "status": "identified"});
    for (method, call, form) in [
        (Method::POST, "updates", &with_status),
        (Method::POST, "publish", &json!({})),
        (Method::POST, "resolve", &body),
        (Method::POST, "reopen", &body),
        (Method::POST, "false-positive", &body),
        (Method::POST, "cancel", &json!({})),
        (Method::PUT, "report", &body),
    ] {
        let address = format!("{}/{call}", path(&incident));
        Reply::of(marta.call(method.clone(), &address).json(form))
            .await
            .refused(428, "precondition-required");
        let stale = Reply::of(
            marta
                .call(method, &address)
                .header("if-match", "\"7\"")
                .json(form),
        )
        .await;
        assert_eq!(stale.header("etag"), Some("\"1\""), "{call}");
        let stale = stale.refused(412, "precondition-failed");
        assert_eq!(
            (&stale["current_etag"], &stale["current_status"]),
            (&json!("\"1\""), &json!("investigating"))
        );
    }
    assert_eq!(marta.get(&path(&incident)).await.ok(), {
        let mut unchanged = incident.clone();
        unchanged.as_object_mut().unwrap().remove("broadcast_id");
        unchanged
    });

    // With the tag that was read it goes through, and only once.
    let resolve = || {
        let call = marta.call(Method::POST, &format!("{}/resolve", path(&incident)));
        Reply::of(call.header("if-match", "\"1\"").json(&body))
    };
    let resolved = resolve().await;
    assert_eq!(resolved.header("etag"), Some("\"2\""));
    resolved.ok();
    let stale = resolve().await.refused(412, "precondition-failed");
    assert_eq!(stale["current_status"], "resolved");
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promised_update_is_in_the_future_and_staff_see_when_it_is_missed() {
    let stage = long_stage().await;
    let (desk, marta, bob) = (&stage.desk, &stage.marta, &stage.bob);
    let incident = stage.incident().await;
    let updates = format!("{}/updates", path(&incident));
    let overdue = async || {
        let text = desk.stranger().get("/metrics").await.ok();
        let line = text
            .as_str()
            .unwrap()
            .lines()
            .find(|l| l.contains("\"overdue_updates\""))
            .unwrap()
            .to_owned();
        line.rsplit_once(' ').unwrap().1.to_owned()
    };
    let now = rfc3339(desk.clock.now());
    let refused = marta
        .post(&updates, json!({"body": "Soon.", "next_update_by": now}))
        .await
        .refused(422, "validation-failed");
    assert_eq!(refused["errors"][0]["pointer"], "/next_update_by");

    let promised = rfc3339(desk.clock.now() + TimeDelta::hours(1));
    marta
        .post(
            &updates,
            json!({"body": "More in an hour.", "next_update_by": promised}),
        )
        .await
        .ok();
    let seen = bob.get(&path(&incident)).await.ok();
    assert_eq!(
        (&seen["next_update_by"], &seen["updates"][1]["next_update_by"]),
        (&json!(promised), &json!(promised))
    );
    assert_eq!(overdue().await, "0");
    desk.pass(TimeDelta::hours(1) + SECOND);
    assert_eq!(overdue().await, "1");

    // The next update keeps the promise; the timeline still shows that it was made.
    marta.post(&updates, json!({"body": "As promised."})).await.ok();
    assert_eq!(overdue().await, "0");
    let seen = bob.get(&path(&incident)).await.ok();
    assert_eq!(
        (&seen["next_update_by"], &seen["updates"][1]["next_update_by"]),
        (&Value::Null, &json!(promised))
    );

    // What is over promises nothing.
    let promised = rfc3339(desk.clock.now() + TimeDelta::hours(1));
    marta
        .post(&updates, json!({"body": "More.", "next_update_by": promised}))
        .await
        .ok();
    let over = call(marta, &incident, "resolve", "").await.ok();
    assert_eq!(over["next_update_by"], Value::Null);
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_may_correct_an_earlier_one_which_stays_as_it_was() {
    let stage = Stage::set().await;
    let (desk, marta, bob) = (&stage.desk, &stage.marta, &stage.bob);
    let incident = stage.incident().await;
    let updates = format!("{}/updates", path(&incident));
    for seq in [0, -1, 2, 99] {
        let refused = marta
            .post(&updates, json!({"body": "No, it is sign-in.", "corrects": seq}))
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], "/corrects", "{seq}");
    }
    marta
        .post(&updates, json!({"body": "No, it is sign-in.", "corrects": 1}))
        .await
        .ok();
    let seen = bob.get(&path(&incident)).await.ok();
    assert_eq!(
        (&seen["updates"][0]["body"], &seen["updates"][0]["corrects"]),
        (&json!("We are looking into it."), &Value::Null)
    );
    assert_eq!(
        (&seen["updates"][1]["body"], &seen["updates"][1]["corrects"]),
        (&json!("No, it is sign-in."), &json!(1))
    );
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_follow_a_resolution_and_each_tenant_sees_only_its_own_in_the_cascade() {
    let stage = Stage::set().await;
    let Stage {
        desk,
        marta,
        bob,
        eva,
        ..
    } = &stage;
    let incident = marta
        .post(
            "/v1/incidents",
            form(json!({"regions": ["north-america", "europe"]})),
        )
        .await
        .created();
    let first = bob.files("Mail", &incident).await.created();
    bob.files("Calendar", &incident).await.created();
    let third = eva.files("Mail", &incident).await.created();

    desk.pass(SECOND);
    let resolved = call(marta, &incident, "resolve", "").await.ok();
    assert_eq!(resolved["resolved_at"], json!(rfc3339(desk.clock.now())));
    assert_eq!(
        resolved["cascade"],
        json!({"state": "running", "done": 0, "remaining": 3})
    );
    let seen = eva.get(&path(&incident)).await.ok();
    assert_eq!(
        seen["cascade"],
        json!({"state": "running", "done": 0, "remaining": 1})
    );
    // The call does not wait for them.
    assert_eq!(request(bob, &first).await["status"], "queued");

    desk.drain().await;
    for (user, followed) in [(bob, &first), (eva, &third)] {
        let followed = request(user, followed).await;
        assert_eq!(
            (&followed["status"], &followed["resolution"]["cause"]),
            (&json!("resolved"), &json!("incident"))
        );
    }
    for (user, done) in [(marta, 3), (bob, 2), (eva, 1)] {
        let seen = user.get(&path(&incident)).await.ok();
        assert_eq!(
            seen["cascade"],
            json!({"state": "finished", "done": done, "remaining": 0})
        );
    }
    assert_eq!(broadcasts(marta, &incident).await, ["opened", "resolved"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolution_that_keeps_the_requests_leaves_them_to_their_own_lives() {
    let stage = Stage::set().await;
    let Stage { desk, marta, bob, .. } = &stage;
    let incident = stage.incident().await;
    let kept = bob.files("Mail", &incident).await.created();
    let resolved = marta
        .post(
            &format!("{}/resolve", path(&incident)),
            json!({"body": "It is over.", "requests": "keep"}),
        )
        .await
        .ok();
    assert_eq!(
        resolved["cascade"],
        json!({"state": "none", "done": 0, "remaining": 0})
    );
    desk.drain().await;
    let kept = request(bob, &kept).await;
    assert_eq!(
        (&kept["status"], &kept["detached"]),
        (&json!("queued"), &json!(false))
    );
    bob.files("Too late", &incident)
        .await
        .refused(409, "incident-not-active");
    // Its people are told all the same.
    assert_eq!(broadcasts(marta, &incident).await, ["opened", "resolved"]);

    // Reopened and resolved again without the word, they follow.
    desk.pass(SECOND);
    call(marta, &incident, "reopen", "").await.ok();
    desk.drain().await;
    assert_eq!(request(bob, &kept).await["status"], "queued");
    desk.pass(SECOND);
    call(marta, &incident, "resolve", "").await.ok();
    desk.drain().await;
    assert_eq!(request(bob, &kept).await["resolution"]["cause"], "incident");

    let nonsense = json!({"body": "It is over.", "requests": "forget"});
    let refused = marta
        .post(&format!("{}/resolve", path(&incident)), nonsense)
        .await
        .refused(422, "validation-failed");
    assert_eq!(refused["errors"][0]["pointer"], "/requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reopening_brings_back_the_requests_that_this_resolution_took_and_nobody_touched() {
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
    for subject in [
        "untouched",
        "in hand",
        "answered",
        "commented",
        "closed",
        "detached",
    ] {
        desk.pass(SECOND);
        filed.push(bob.files(subject, &incident).await.created());
    }
    let at = |place: usize| format!("/v1/service-requests/{}", id(&filed[place]));
    ada.post(&format!("{}/assign", at(1)), json!({"assignee_id": ada.id}))
        .await
        .ok();
    ada.post(
        &format!("{}/resolve", at(2)),
        json!({"body": "Use the web access."}),
    )
    .await
    .ok();
    desk.pass(SECOND);
    call(marta, &incident, "resolve", "").await.ok();
    desk.drain().await;

    // Somebody touches three of those that followed.
    desk.pass(SECOND);
    bob.post(&format!("{}/comments", at(3)), json!({"body": "Thank you."}))
        .await
        .created();
    ada.post(&format!("{}/close", at(4)), json!({})).await.ok();
    bob.post(&format!("{}/still-affected", at(5)), json!({}))
        .await
        .ok();
    desk.pass(SECOND);
    let reopened = call(marta, &incident, "reopen", "").await.ok();
    assert_eq!(
        (&reopened["status"], &reopened["resolved_at"]),
        (&json!("investigating"), &Value::Null)
    );
    desk.drain().await;

    let mut found = Vec::new();
    for request_filed in &filed {
        let now = request(ada, request_filed).await;
        found.push((
            now["subject"].as_str().unwrap().to_owned(),
            now["status"].as_str().unwrap().to_owned(),
            now["assignee"].is_null(),
            now["resolution"]["cause"].as_str().map(str::to_owned),
        ));
    }
    let row = |subject: &str, status: &str, unassigned, cause: Option<&str>| {
        (
            subject.to_owned(),
            status.to_owned(),
            unassigned,
            cause.map(str::to_owned),
        )
    };
    assert_eq!(
        found,
        [
            row("untouched", "queued", true, None),
            row("in hand", "queued", true, None),
            row("answered", "resolved", true, Some("agent")),
            row("commented", "resolved", true, Some("incident")),
            row("closed", "closed", true, Some("incident")),
            row("detached", "queued", true, None),
        ]
    );
    assert_eq!(
        broadcasts(marta, &incident).await,
        ["opened", "resolved", "reopened"]
    );

    // It is active again: one can file, and the next resolution takes along what came back, not what is detached.
    bob.files("Again", &incident).await.created();
    desk.pass(SECOND);
    call(marta, &incident, "resolve", "").await.ok();
    desk.drain().await;
    for (place, status) in [(0, "resolved"), (1, "resolved"), (4, "closed"), (5, "queued")] {
        assert_eq!(request(bob, &filed[place]).await["status"], status, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_reopens_inside_its_window_and_not_after_it() {
    let stage = long_stage().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let incident = stage.incident().await;
    call(marta, &incident, "resolve", "").await.ok();
    desk.pass(TimeDelta::hours(24));
    call(marta, &incident, "reopen", "").await.ok();

    // The window counts from the last resolution, and a report does not lengthen it.
    call(marta, &incident, "resolve", "").await.ok();
    desk.pass(TimeDelta::hours(23));
    call(marta, &incident, "report", "").await.ok();
    desk.pass(TimeDelta::hours(1));
    let reopened = call(marta, &incident, "reopen", "").await.ok();
    assert_eq!(reopened["status"], "investigating");
    call(marta, &incident, "resolve", "").await.ok();
    desk.pass(TimeDelta::hours(24) + SECOND);
    let before = marta.get(&path(&incident)).await.ok();
    call(marta, &incident, "reopen", "")
        .await
        .refused(409, "window-expired");
    assert_eq!(marta.get(&path(&incident)).await.ok(), before);
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_positive_leaves_its_requests_open_and_on_their_own() {
    let stage = Stage::set().await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        ..
    } = &stage;
    let incident = stage.incident().await;
    desk.drain().await;
    let mut filed = Vec::new();
    for subject in ["waiting", "in hand", "pinned", "answered"] {
        desk.pass(SECOND);
        filed.push(bob.files(subject, &incident).await.created());
    }
    let at = |place: usize| format!("/v1/service-requests/{}", id(&filed[place]));
    ada.post(&format!("{}/assign", at(1)), json!({"assignee_id": ada.id}))
        .await
        .ok();
    ada.put(&format!("{}/pin", at(2)), json!({})).await.ok();
    ada.post(&format!("{}/resolve", at(3)), json!({"body": "Done."}))
        .await
        .ok();
    desk.pass(SECOND);
    let ended = call(marta, &incident, "false-positive", "").await.ok();
    assert_eq!(ended["status"], "false_positive");
    desk.drain().await;
    for (place, status, detached) in [
        (0, "queued", true),
        (1, "in_progress", true),
        (2, "queued", true),
        (3, "resolved", false),
    ] {
        let now = request(bob, &filed[place]).await;
        assert_eq!(
            (&now["status"], &now["detached"], &now["incident"]["status"]),
            (&json!(status), &json!(detached), &json!("false_positive")),
            "{place}"
        );
    }
    assert_eq!(request(ada, &filed[1]).await["assignee"]["name"], "ada");
    let refused = bob
        .files("Mail", &incident)
        .await
        .refused(409, "incident-not-active");
    assert_eq!(refused["incident_status"], "false_positive");
    assert_eq!(broadcasts(marta, &incident).await, ["opened", "false_positive"]);
    assert_eq!(desk.mailbox.to("it@contoso.example").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_afterwards_what_it_was() {
    let stage = Stage::set().await;
    let (desk, marta, bob) = (&stage.desk, &stage.marta, &stage.bob);
    let incident = stage.incident().await;
    desk.drain().await;
    let over = call(marta, &incident, "resolve", "").await.ok();
    let reported = marta
        .put(
            &format!("{}/report", path(&incident)),
            json!({"body": "A network upgrade failed."}),
        )
        .await
        .ok();
    assert_eq!(
        (&reported["status"], &reported["resolved_at"]),
        (&json!("reviewed"), &over["resolved_at"])
    );
    let seen = bob.get(&path(&incident)).await.ok();
    let last = seen["updates"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["status"], &last["body"]),
        (&json!("reviewed"), &json!("A network upgrade failed."))
    );
    assert_eq!(
        broadcasts(marta, &incident).await,
        ["opened", "resolved", "reported"]
    );
    desk.drain().await;
    assert_eq!(desk.mailbox.to("it@contoso.example").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_shows_active_ones_first_then_the_newest_over_several_pages() {
    let stage = Stage::set().await;
    let (desk, marta, bob) = (&stage.desk, &stage.marta, &stage.bob);
    let mut opened = Vec::new();
    for ends in [false, true, false, true, false, true, true] {
        desk.pass(SECOND);
        let incident = stage.incident().await;
        if ends {
            call(marta, &incident, "resolve", "").await.ok();
        }
        opened.push(incident);
    }
    desk.pass(SECOND);
    let draft = marta
        .post("/v1/incidents", form(json!({"status": "draft"})))
        .await
        .created();
    let public: Vec<_> = [4, 2, 0, 6, 5, 3, 1].map(|place| id(&opened[place])).to_vec();
    let mut with_draft = public.clone();
    with_draft.insert(3, id(&draft));
    assert_eq!(ids(&marta.all("/v1/incidents").await), with_draft);
    assert_eq!(ids(&bob.all("/v1/incidents").await), public);
    assert_eq!(
        ids(&bob.all("/v1/incidents?status=resolved").await),
        [6, 5, 3, 1].map(|place| id(&opened[place]))
    );
    assert_eq!(
        ids(&bob.all("/v1/incidents?status=investigating,monitoring").await),
        [4, 2, 0].map(|place| id(&opened[place]))
    );

    // Page by page it is the same list, also while new incidents are opened.
    let mut pages = Vec::new();
    let mut next = "/v1/incidents?limit=2".to_owned();
    let mut first_cursor = String::new();
    loop {
        let page = bob.get(&next).await.ok();
        let items = page["items"].as_array().unwrap().clone();
        pages.push(items.len());
        let place: usize = pages.iter().take(pages.len() - 1).sum();
        assert_eq!(ids(&items), public[place..place + items.len()]);
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        if pages.len() == 1 {
            first_cursor = cursor.to_owned();
            desk.pass(SECOND);
            stage.incident().await;
        }
        next = format!("/v1/incidents?limit=2&cursor={cursor}");
    }
    assert_eq!(pages, [2, 2, 2, 1]);

    // A cursor belongs to its list and its caller; whatever is not a cursor is refused.
    for (user, query) in [
        (marta, format!("cursor={first_cursor}")),
        (bob, format!("status=resolved&cursor={first_cursor}")),
        (bob, format!("cursor={first_cursor}x")),
        (bob, "cursor=".to_owned()),
        (bob, "cursor=%00".to_owned()),
    ] {
        user.get(&format!("/v1/incidents?{query}"))
            .await
            .refused(400, "invalid-cursor");
    }
    for query in [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=many",
        "status=over",
        "status=",
        "colour=red",
    ] {
        bob.get(&format!("/v1/incidents?{query}"))
            .await
            .refused(400, "invalid-query");
    }
    desk.drain().await;
}

/// Which of these incidents somebody sees: in the list, and one by one, and both must agree.
async fn seen(user: &User, incidents: &[Value]) -> Vec<bool> {
    let listed = user.all("/v1/incidents").await;
    let mut seen = Vec::new();
    for incident in incidents {
        let reply = user.get(&path(incident)).await;
        let read = reply.status == 200;
        if !read {
            reply.refused(404, "not-found");
        }
        assert_eq!(
            read,
            ids(&listed).contains(&id(incident)),
            "{} for {}",
            incident["title"],
            user.name
        );
        seen.push(read);
    }
    assert_eq!(listed.len(), seen.iter().filter(|seen| **seen).count());
    seen
}

/// A customer without contacts, so that no mail tells it of anything.
async fn quiet_tenant(desk: &TestDesk, name: &str, regions: &[&str], services: &[&str]) -> User {
    let form = json!({"name": name, "regions": regions, "services": services});
    let tenant = desk.operator.post("/v1/tenants", form).await.created();
    desk.member("admin", "tenant_admin", &tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_see_the_incidents_that_share_a_service_and_a_region_with_them() {
    let stage = Stage::set().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let na_mail = quiet_tenant(desk, "Tailspin", &["north-america"], &["exchange-online"]).await;
    let na_documents = quiet_tenant(desk, "Wingtip", &["north-america"], &["sharepoint-online"]).await;
    let eu_mail = quiet_tenant(desk, "Fabrikam", &["europe"], &["exchange-online"]).await;
    let everything = quiet_tenant(
        desk,
        "Litware",
        &["europe", "north-america"],
        &["exchange-online", "sharepoint-online", "sign-in"],
    )
    .await;
    let mut incidents = Vec::new();
    for (services, regions) in [
        (json!(["exchange-online"]), json!(["north-america"])),
        (json!(["exchange-online"]), json!(["europe"])),
        (json!(["sharepoint-online", "sign-in"]), json!(["north-america"])),
        (
            json!(["exchange-online", "sharepoint-online"]),
            json!(["europe", "north-america"]),
        ),
        (json!(["sign-in"]), json!(["europe"])),
    ] {
        desk.pass(SECOND);
        let form = form(json!({"services": services, "regions": regions}));
        incidents.push(marta.post("/v1/incidents", form).await.created());
    }
    for (user, expected) in [
        (&na_mail, [true, false, false, true, false]),
        (&na_documents, [false, false, true, true, false]),
        (&eu_mail, [false, true, false, true, false]),
        (&everything, [true; 5]),
    ] {
        assert_eq!(seen(user, &incidents).await, expected, "{}", user.email);
    }
    // They go on seeing them when they are over.
    for incident in &incidents {
        call(marta, incident, "resolve", "").await.ok();
    }
    assert_eq!(
        seen(&na_mail, &incidents).await,
        [true, false, false, true, false]
    );
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_filed_or_was_told_goes_on_seeing_an_incident_that_no_longer_affects_them() {
    let stage = Stage::set().await;
    let Stage { desk, bob, eva, .. } = &stage;
    let northwind = desk
        .tenant("Northwind", &["north-america"], &["exchange-online"])
        .await;
    let told = desk.member("nora", "tenant_admin", &northwind).await;
    let neither = quiet_tenant(desk, "Tailspin", &["north-america"], &["exchange-online"]).await;
    let incident = [stage.incident().await];
    bob.files("Mail", &incident[0]).await.created();
    desk.drain().await;
    for (user, sees) in [(bob, true), (&told, true), (&neither, true), (eva, false)] {
        assert_eq!(seen(user, &incident).await, [sees], "{}", user.email);
    }

    // All of them leave North America; Contoso was told too, which is taken away: its request alone remains.
    desk.sql("DELETE FROM told WHERE tenant_id = (SELECT id FROM tenants WHERE name = 'Contoso')");
    desk.sql("DELETE FROM tenant_regions WHERE region = 'north-america'");
    for (user, sees) in [(bob, true), (&told, true), (&neither, false), (eva, false)] {
        assert_eq!(seen(user, &incident).await, [sees], "{}", user.email);
    }
    // Seeing is not being affected.
    bob.files("More", &incident[0])
        .await
        .refused(409, "tenant-not-affected");
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_never_learn_who_wrote_an_update() {
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
    call(marta, &incident, "updates", "identified").await.ok();
    call(marta, &incident, "resolve", "").await.ok();
    for user in [bob, &viewer] {
        let one = user.get(&path(&incident)).await.ok();
        let all = user.get("/v1/incidents").await.ok();
        for seen in [one.to_string(), all.to_string()] {
            assert!(seen.contains("We are looking into it."));
            for private in ["author", "marta", marta.id.as_str()] {
                assert!(!seen.contains(private), "{private} in {seen}");
            }
        }
        user.get(&format!("{}/broadcasts", path(&incident)))
            .await
            .refused(403, "forbidden");
    }
    for update in ada.get(&path(&incident)).await.ok()["updates"]
        .as_array()
        .unwrap()
    {
        assert_eq!(update["author"], json!({"id": marta.id, "name": "marta"}));
    }
    desk.drain().await;
}

/// The states of an incident that calls lead to, and how to get there.
const STATES: [(&str, &[(&str, &str)]); 8] = [
    ("draft", &[]),
    ("investigating", &[("publish", "investigating")]),
    ("identified", &[("publish", "identified")]),
    ("monitoring", &[("publish", "monitoring")]),
    ("resolved", &[("publish", "identified"), ("resolve", "")]),
    (
        "reviewed",
        &[("publish", "identified"), ("resolve", ""), ("report", "")],
    ),
    (
        "false_positive",
        &[("publish", "identified"), ("false-positive", "")],
    ),
    ("cancelled", &[("cancel", "")]),
];

const ACTIVE: [&str; 3] = ["investigating", "identified", "monitoring"];

/// The table of transitions as clients are told of it; `duplicate` is of a later version.
fn allowed(from: &str) -> Vec<(&'static str, &'static str)> {
    match from {
        "draft" => vec![
            ("publish", "investigating"),
            ("publish", "identified"),
            ("publish", "monitoring"),
            ("cancel", "cancelled"),
        ],
        "resolved" => vec![("reopen", "investigating"), ("report", "reviewed")],
        "reviewed" => vec![("reopen", "investigating")],
        active if ACTIVE.contains(&active) => {
            let others = ACTIVE.into_iter().filter(|to| *to != active);
            let mut allowed: Vec<_> = others.map(|to| ("updates", to)).collect();
            allowed.extend([("resolve", "resolved"), ("false-positive", "false_positive")]);
            allowed
        }
        _ => Vec::new(),
    }
}

async fn in_state(marta: &User, way: &[(&str, &str)]) -> Value {
    let mut incident = marta
        .post("/v1/incidents", form(json!({"status": "draft"})))
        .await
        .created();
    for (name, to) in way {
        incident = call(marta, &incident, name, to).await.ok();
    }
    incident
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_in_every_state_leads_where_the_table_says_or_is_refused_with_what_is_allowed() {
    let mut stage = Stage::set().await;
    stage.desk.leave_undrained();
    let marta = &stage.marta;
    let mut calls: Vec<(&str, &str)> = [
        ("resolve", "resolved"),
        ("reopen", "investigating"),
        ("false-positive", "false_positive"),
        ("report", "reviewed"),
        ("cancel", "cancelled"),
    ]
    .to_vec();
    for to in [
        "draft",
        "investigating",
        "identified",
        "monitoring",
        "resolved",
        "reviewed",
        "cancelled",
    ] {
        calls.extend([("publish", to), ("updates", to)]);
    }
    for (from, way) in STATES {
        let expected = allowed(from);
        let refusing = in_state(marta, way).await;
        assert_eq!(refusing["status"], from);
        let before = marta.get(&path(&refusing)).await.ok();
        for (name, to) in &calls {
            let repeats = *name == "updates" && *to == from && ACTIVE.contains(&from);
            if expected.contains(&(name, to)) || repeats {
                let incident = in_state(marta, way).await;
                let done = call(marta, &incident, name, to).await.ok();
                assert_eq!(done["status"], *to, "{name} from {from}");
                continue;
            }
            let refused = call(marta, &refusing, name, to)
                .await
                .refused(409, "transition-not-allowed");
            let found: Vec<_> = refused["allowed"]
                .as_array()
                .unwrap()
                .iter()
                .map(|transition| {
                    (
                        transition["call"].as_str().unwrap(),
                        transition["to"].as_str().unwrap(),
                    )
                })
                .filter(|(call, _)| *call != "duplicate")
                .collect();
            assert_eq!(found, expected, "{name} to {to} from {from}");
        }
        // An update without a status is one of an active incident, too.
        if !ACTIVE.contains(&from) {
            marta
                .post(
                    &format!("{}/updates", path(&refusing)),
                    json!({"body": "By the way."}),
                )
                .await
                .refused(409, "transition-not-allowed");
        }
        assert_eq!(marta.get(&path(&refusing)).await.ok(), before, "{from}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_to_an_incident_that_does_not_exist_are_not_found() {
    let stage = Stage::set().await;
    let nowhere = json!({"id": uuid::Uuid::new_v4()});
    for name in [
        "publish",
        "updates",
        "resolve",
        "reopen",
        "false-positive",
        "report",
        "cancel",
    ] {
        call(&stage.marta, &nowhere, name, "identified")
            .await
            .refused(404, "not-found");
    }
    for address in ["/v1/incidents/nonsense", "/v1/incidents/0", &path(&nowhere)] {
        stage.marta.get(address).await.refused(404, "not-found");
    }
}
