//! Routing: what rules ask of agents, sets of rules as they were, where a request would go, what a draft would have
//! done; and queues that change without anybody being stranded.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{Reply, Stage, User, always_on};

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

fn path(queue: &Value) -> String {
    format!("/v1/queues/{}", id(queue))
}

fn rule(name: &str, when: Value, queue: &Value) -> Value {
    json!({"name": name, "when": when, "queue_id": queue["id"]})
}

async fn queue(stage: &Stage, form: Value) -> Value {
    stage.desk.operator.post("/v1/queues", form).await.created()
}

async fn files(user: &User, more: Value) -> Value {
    let mut form = json!({
        "incident_id": null, "severity": "b", "subject": "Help", "description": "It is down.", "service": "sign-in",
    });
    form.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    user.post("/v1/service-requests", form).await.created()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_needs_is_written_onto_the_request_and_every_set_is_kept() {
    let stage = Stage::set().await;
    let Stage { desk, ada, bob, .. } = &stage;
    let lea = desk.staff("lea", "lead").await;
    let mut names = rule("names", json!({"tags": ["dns"]}), &stage.queue);
    names["needs"] = json!({"skills": {"dns": 2}, "language": true});
    let rules = json!({"rules": [names, rule("rest", json!({}), &stage.queue)]});
    desk.pass(TimeDelta::seconds(1));
    let put = lea.put("/v1/routing-rules", rules.clone()).await.ok();
    assert_eq!(put["rules"], rules["rules"]);

    let filed = files(bob, json!({"tags": ["dns"], "contact": {"language": "pt-BR"}})).await;
    assert_eq!(filed.get("needs"), None);
    let needs = json!({"skills": {"dns": 2}, "language": "pt-BR"});
    let address = format!("/v1/service-requests/{}", id(&filed));
    assert_eq!(ada.get(&address).await.ok()["needs"], needs);
    let history = ada.all(&format!("{address}/history")).await;
    assert_eq!(history[0]["data"]["internal"]["needs"], needs);
    assert_eq!(
        bob.all(&format!("{address}/history")).await[0]["data"].get("internal"),
        None
    );
    let plain = files(bob, json!({})).await;
    let plain = ada
        .get(&format!("/v1/service-requests/{}", id(&plain)))
        .await
        .ok();
    assert_eq!(plain["needs"], json!({}));

    for needs in [
        json!({"skills": {"dns": 0}}),
        json!({"skills": {"DNS": 2}}),
        json!({"skills": {"dns": 2}, "colour": "red"}),
        json!([]),
    ] {
        let mut wrong = rules.clone();
        wrong["rules"][0]["needs"] = needs.clone();
        let refused = lea.put("/v1/routing-rules", wrong).await;
        let refused = refused.refused(422, "validation-failed");
        let pointer = refused["errors"][0]["pointer"].as_str().unwrap();
        assert!(pointer.starts_with("/rules/0/needs"), "{needs}: {pointer}");
    }

    // Every set there was, the newest first; none of them changes.
    let sets = ada.all("/v1/routing-rules/versions").await;
    let author = json!({"id": lea.id, "name": "lea"});
    assert_eq!(
        sets[0],
        json!({"version": 2, "author": author, "created_at": "2010-09-07T18:00:01Z", "size": 2})
    );
    assert_eq!((&sets[1]["version"], &sets[1]["size"]), (&json!(1), &json!(1)));
    assert_eq!(sets.len(), 2);
    let page = ada.get("/v1/routing-rules/versions?limit=1").await.ok();
    assert!(page["next_cursor"].is_string());
    let second = ada.get("/v1/routing-rules/versions/2").await.ok();
    assert_eq!((&second["author"], &second["rules"]), (&author, &rules["rules"]));
    let first = ada.get("/v1/routing-rules/versions/1").await.ok();
    assert_eq!(first["rules"], json!([rule("all", json!({}), &stage.queue)]));
    for version in ["0", "3", "-1", "x", "99999999999"] {
        ada.get(&format!("/v1/routing-rules/versions/{version}"))
            .await
            .refused(404, "not-found");
    }
    bob.get("/v1/routing-rules/versions")
        .await
        .refused(403, "forbidden");
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_which_rule_takes_it_and_why_no_other_and_who_could_work_on_it() {
    let stage = Stage::set().await;
    let Stage { desk, ada, bob, .. } = &stage;
    let ben = desk.staff("ben", "agent").await;
    let mut form = always_on("Names", &[&ada.id, &ben.id]);
    form["ladder"] = json!([
        {"after_minutes": 15, "queue_id": stage.queue["id"]}, {"after_minutes": 30, "duty_lead": true},
    ]);
    let names = queue(&stage, form.clone()).await;
    assert_eq!(
        (&names["ladder"], &names["push"]),
        (&form["ladder"], &json!("off"))
    );
    let mut second = rule("names", json!({"tags": ["dns"], "severity": ["a", "b"]}), &names);
    second["needs"] = json!({"skills": {"dns": 2}, "language": true});
    let rules = json!({"rules": [
        rule("premium", json!({"service": ["sign-in"], "plan": ["premium"]}), &stage.queue),
        second,
        rule("rest", json!({}), &stage.queue),
    ]});
    desk.operator.put("/v1/routing-rules", rules.clone()).await.ok();
    let before = desk.count("events");

    let case = json!({
        "service": "sign-in", "region": "europe", "severity": "b", "tags": ["dns", "vip"], "language": "de-CH",
    });
    let preview = async |more: Value| {
        let mut case = case.clone();
        case.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        ada.post("/v1/routing/preview", case).await
    };
    let answer = preview(json!({})).await.ok();
    assert_eq!(
        answer,
        json!({
            "rules_version": 2,
            "rule": {"position": 2, "name": "names"},
            "passed_over": [
                {"position": 1, "name": "premium", "field": "plan", "wanted": ["premium"], "found": ["standard"]},
            ],
            "needs": {"skills": {"dns": 2}, "language": "de-CH"},
            "queue": {
                "id": names["id"], "name": "Names", "always_on": true, "fallback_queue_id": null,
                "ladder": form["ladder"],
            },
            "on_duty": 2, "eligible": 0,
        })
    );
    let skills = json!({"skills": [
        {"name": "dns", "level": 2}, {"kind": "language", "name": "de", "level": 3},
    ]});
    for user in [ada, &ben] {
        let path = format!("/v1/agents/{}", user.id);
        desk.operator.patch(&path, skills.clone()).await.ok();
    }
    assert_eq!(preview(json!({})).await.ok()["eligible"], 2);
    for (presence, eligible) in [("busy", 2), ("away", 1)] {
        let mine = json!({"presence": presence});
        ben.put("/v1/me/presence", mine).await.ok();
        assert_eq!(preview(json!({})).await.ok()["eligible"], eligible, "{presence}");
    }

    // Two passed over, each by the first field that does not fit; then another plan, by name and by tenant.
    let low = preview(json!({"severity": "d"})).await.ok();
    let passed: Vec<_> = low["passed_over"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (rule["field"].as_str().unwrap(), &rule["found"]))
        .collect();
    assert_eq!(
        passed,
        [("plan", &json!(["standard"])), ("severity", &json!(["d"]))]
    );
    assert_eq!(low["rule"], json!({"position": 3, "name": "rest"}));
    assert_eq!(
        preview(json!({"plan": "premium"})).await.ok()["rule"]["name"],
        "premium"
    );
    let tenant = format!("/v1/tenants/{}", id(&stage.contoso));
    desk.operator
        .patch(&tenant, json!({"plan": "premium"}))
        .await
        .ok();
    let theirs = json!({"tenant_id": stage.contoso["id"]});
    assert_eq!(preview(theirs).await.ok()["rule"]["name"], "premium");

    // A draft is asked in place of what is in force, and checked as if it were to be.
    let draft = json!({"rules": [rule("draft", json!({}), &names)]});
    let answer = preview(draft).await.ok();
    assert_eq!(
        (&answer["rules_version"], &answer["rule"]["name"]),
        (&Value::Null, &json!("draft"))
    );
    let nobody = json!(uuid::Uuid::new_v4());
    for (pointer, more) in [
        (
            "/rules/0/when",
            json!({"rules": [rule("x", json!({"severity": ["a"]}), &names)]}),
        ),
        (
            "/rules/0/queue_id",
            json!({"rules": [rule("x", json!({}), &json!({"id": nobody}))]}),
        ),
        ("/service", json!({"service": "teletext"})),
        ("/region", json!({"region": "atlantis"})),
        ("/tenant_id", json!({"tenant_id": nobody})),
        ("/incident_id", json!({"incident_id": nobody})),
    ] {
        let refused = preview(more.clone()).await.refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{more}");
    }
    bob.post("/v1/routing/preview", case.clone())
        .await
        .refused(403, "forbidden");
    // Two words of skill, two of presence, one of the plan: none of them is the preview's, nor is a request.
    let refusals = desk.count("events WHERE kind = 'access_refused'");
    assert_eq!(desk.count("events"), before + 5 + refusals);
    assert_eq!(desk.count("service_requests"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_says_what_a_draft_would_have_done_and_shows_nothing_restricted() {
    let stage = Stage::set().await;
    let Stage {
        desk, ada, bob, eva, ..
    } = &stage;
    let lea = desk.staff("lea", "lead").await;
    let identity = queue(&stage, always_on("Identity", &[&ada.id])).await;
    let mut legal = always_on("Legal", &[&ada.id]);
    legal["restricted"] = json!(true);
    let legal = queue(&stage, legal).await;
    let in_force = json!({"rules": [
        rule("legal", json!({"tags": ["legal"]}), &legal),
        rule("mail", json!({"service": ["exchange-online"]}), &stage.queue),
        rule("rest", json!({}), &identity),
    ]});
    desk.operator.put("/v1/routing-rules", in_force).await.ok();
    let mail = files(bob, json!({"service": "exchange-online", "severity": "a"})).await;
    desk.pass(TimeDelta::seconds(1));
    let german = files(eva, json!({"contact": {"language": "de"}})).await;
    desk.pass(TimeDelta::seconds(1));
    files(eva, json!({})).await;
    desk.pass(TimeDelta::seconds(1));
    let secret = files(bob, json!({"tags": ["legal"]})).await;
    // Where it stands today is not where it was routed.
    let away = json!({"queue_id": identity["id"], "reason": "It is about names."});
    let transfer = format!("/v1/service-requests/{}/transfer", id(&mail));
    ada.post(&transfer, away).await.ok();
    let before = desk.count("events");

    let rules = json!([
        rule("critical", json!({"severity": ["a"]}), &identity),
        rule("German", json!({"language": ["de"]}), &stage.queue),
        rule("rest", json!({}), &identity),
    ]);
    let rehearse = async |user: &User, last: u32| {
        let draft = json!({"rules": rules, "last": last});
        user.post("/v1/routing/rehearsal", draft).await
    };
    let moved = |request: &Value, from: &Value, to: &Value, rule: &str| {
        let of = |queue: &Value| json!({"id": queue["id"], "name": queue["name"]});
        json!({
            "id": request["id"], "reference": request["reference"], "from": of(from), "to": of(to), "rule": rule,
        })
    };
    let share = |name: &str, queue: &Value, requests: u32| json!({"name": name, "queue_id": queue["id"], "requests": requests});
    let all = rehearse(&desk.operator, 500).await.ok();
    assert_eq!(
        all,
        json!({
            "looked_at": 4,
            "rules": [
                share("critical", &identity, 1), share("German", &stage.queue, 1), share("rest", &identity, 2),
            ],
            "moved": 3,
            "elsewhere": [
                moved(&secret, &legal, &identity, "rest"), moved(&german, &identity, &stage.queue, "German"),
                moved(&mail, &stage.queue, &identity, "critical"),
            ],
        })
    );
    // A lead who is no member of the restricted queue does not hear of what is in it.
    let seen = rehearse(&lea, 500).await.ok();
    assert_eq!((&seen["looked_at"], &seen["moved"]), (&json!(3), &json!(2)));
    assert!(!seen.to_string().contains(id(&secret)));
    // The newest two that each of them sees.
    let newest = rehearse(&desk.operator, 2).await.ok();
    assert_eq!((&newest["looked_at"], &newest["moved"]), (&json!(2), &json!(1)));
    assert_eq!(rehearse(&lea, 2).await.ok()["looked_at"], 2);

    for last in [0, 10_001] {
        let refused = rehearse(&lea, last).await.refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], "/last");
    }
    let unchecked = json!({"rules": [rule("x", json!({"severity": ["a"]}), &identity)]});
    lea.post("/v1/routing/rehearsal", unchecked)
        .await
        .refused(422, "validation-failed");
    assert_eq!(desk.count("events"), before);
    for user in [ada, bob] {
        rehearse(user, 5).await.refused(403, "forbidden");
    }
    // What was erased has nothing left to be routed by.
    desk.sql(
        "UPDATE events SET data = '{}' WHERE kind = 'request_filed' AND tenant_id IN \
         (SELECT id FROM tenants WHERE name = 'Adatum')",
    );
    assert_eq!(rehearse(&desk.operator, 500).await.ok()["looked_at"], 2);
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_changes_but_never_so_that_somebody_would_wait_for_nobody() {
    let stage = Stage::set().await;
    let Stage { desk, ada, .. } = &stage;
    let lea = desk.staff("lea", "lead").await;
    let main = &stage.queue;
    let night = queue(&stage, always_on("Night", &[&ada.id])).await;
    let empty = queue(&stage, json!({"name": "Empty"})).await;
    let led = queue(&stage, json!({"name": "Led", "fallback_queue_id": night["id"]})).await;
    let change = async |queue: &Value, form: Value| lea.patch(&path(queue), form).await;

    let form = json!({
        "name": " Led by night ", "restricted": true, "push": "least_loaded",
        "ladder": [{"after_minutes": 15, "queue_id": main["id"]}, {"after_minutes": 30, "duty_lead": true}],
    });
    let changed = change(&led, form.clone()).await;
    assert_eq!(changed.header("etag"), Some("\"2\""));
    let changed = changed.ok();
    for field in ["restricted", "push", "ladder"] {
        assert_eq!(changed[field], form[field]);
    }
    assert_eq!(changed["name"], "Led by night");
    assert_eq!(changed["fallback_queue_id"], night["id"]);
    assert_eq!(ada.get(&path(&led)).await.ok(), changed);
    Reply::of(lea.call(Method::PATCH, &path(&led)).json(&json!({"push": "off"})))
        .await
        .refused(428, "precondition-required");
    let stale = lea.call(Method::PATCH, &path(&led)).header("if-match", "\"1\"");
    Reply::of(stale.json(&json!({"push": "off"})))
        .await
        .refused(412, "precondition-failed");
    ada.patch(&path(&led), json!({"push": "off"}))
        .await
        .refused(403, "forbidden");
    change(&led, json!({"name": "MESSAGING"}))
        .await
        .refused(409, "already-exists");
    change(&led, json!({"name": "led by NIGHT"})).await.ok();

    // Not always on without a team around the clock.
    let gaps = change(&empty, json!({"always_on": true}))
        .await
        .refused(422, "coverage-gap");
    assert_eq!(gaps["gaps"][0]["from"], "2010-09-07T18:00:00Z");
    let rules = json!({"rules": [
        rule("night", json!({"severity": ["d"]}), &led), rule("all", json!({}), main),
    ]});
    desk.operator.put("/v1/routing-rules", rules).await.ok();
    let to = |minutes: u32, queue: &Value| json!({"after_minutes": minutes, "queue_id": queue["id"]});
    let nobody = json!({"id": uuid::Uuid::new_v4()});
    for (queue, pointer, form) in [
        (
            &led,
            "/fallback_queue_id",
            json!({"fallback_queue_id": led["id"]}),
        ),
        (
            &led,
            "/fallback_queue_id",
            json!({"fallback_queue_id": nobody["id"]}),
        ),
        (&led, "/ladder/0/queue_id", json!({"ladder": [to(5, &nobody)]})),
        (&led, "/ladder/0/queue_id", json!({"ladder": [to(5, &led)]})),
        // Nobody would be there either.
        (
            &led,
            "/ladder/1/queue_id",
            json!({"ladder": [to(5, main), to(6, &empty)]}),
        ),
        (
            &led,
            "/ladder/1/after_minutes",
            json!({"ladder": [to(5, main), to(5, &night)]}),
        ),
        (&led, "/ladder/0", json!({"ladder": [{"after_minutes": 5}]})),
        (&led, "/ladder/0/after_minutes", json!({"ladder": [to(0, main)]})),
    ] {
        let refused = change(queue, form.clone())
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{form}");
    }
    // The catch-all stays always on, and whatever is routed to or climbed to leads to one that is.
    for (queue, form) in [
        (main, json!({"always_on": false})),
        (
            main,
            json!({"always_on": false, "fallback_queue_id": night["id"]}),
        ),
        (&led, json!({"fallback_queue_id": null})),
        (&led, json!({"fallback_queue_id": empty["id"]})),
        (&night, json!({"always_on": false})),
    ] {
        let refused = change(queue, form.clone()).await.refused(409, "conflict");
        assert!(
            refused["detail"].as_str().unwrap().contains("rule"),
            "{form}: {refused}"
        );
    }
    let climbs = queue_with_ladder(&stage, &night).await;
    desk.operator
        .put(
            "/v1/routing-rules",
            json!({"rules": [rule("all", json!({}), main)]}),
        )
        .await
        .ok();
    let refused = change(&night, json!({"always_on": false}))
        .await
        .refused(409, "conflict");
    assert!(
        refused["detail"].as_str().unwrap().contains("ladder of `Climbs`"),
        "{refused}"
    );
    change(&climbs, json!({"ladder": []})).await.ok();
    // Now nothing leads there.
    change(
        &night,
        json!({"always_on": false, "fallback_queue_id": main["id"]}),
    )
    .await
    .ok();
    let back = change(&night, json!({"fallback_queue_id": led["id"]})).await;
    let refused = back.refused(422, "validation-failed");
    assert_eq!(
        refused["errors"][0]["detail"],
        "leads back to where it comes from"
    );
    change(&night, json!({"always_on": true})).await.ok();

    // Two at once: the rules lead to a queue, or it is always on no longer, and never both.
    let here = json!({"rules": [rule("all", json!({}), &night)]});
    let (address, off) = (path(&night), json!({"always_on": false}));
    let (put, patched) = tokio::join!(
        desk.operator.put("/v1/routing-rules", here),
        lea.patch(&address, off)
    );
    let statuses = (put.status, patched.status);
    assert!([(200, 409), (422, 200)].contains(&statuses), "{statuses:?}");
}

async fn queue_with_ladder(stage: &Stage, to: &Value) -> Value {
    let ladder = json!([{"after_minutes": 5, "queue_id": to["id"]}]);
    let form = json!({"name": "Climbs", "ladder": ladder, "push": "round_robin"});
    let made = queue(stage, form).await;
    assert_eq!((&made["ladder"], &made["push"]), (&ladder, &json!("round_robin")));
    made
}
