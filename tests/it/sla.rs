//! What was promised: clocks that explain themselves, marks that are made once, policies that never rewrite the past.

use allclear::app;
use allclear::db::Location;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::desk::{Reply, Stage, User, incident_form};

const HOLIDAYS: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\n\
                        DTSTART;VALUE=DATE:20100908\r\nRRULE:FREQ=YEARLY\r\nSUMMARY:Founders' day\r\nEND:VEVENT\r\n\
                        END:VCALENDAR\r\n";

/// A stage on which nobody has to sign in again, however much time passes.
async fn set() -> Stage {
    Stage::set_with(|settings| settings.access_token_lifetime = TimeDelta::days(30)).await
}

fn policy(severity: &str, clock: &str, minutes: i32, calendar: &Value) -> Value {
    json!({
        "plan": "standard", "severity": severity, "clock": clock, "target_minutes": minutes, "calendar": calendar,
    })
}

/// An hour to the first answer, half an hour to the next one, eight to the end; everything is urgent.
async fn promises(stage: &Stage) {
    let always = json!("always");
    let policies = [
        policy("b", "first_response", 60, &always),
        policy("b", "next_response", 30, &always),
        policy("b", "resolution", 480, &always),
        policy("a", "resolution", 120, &always),
    ];
    let set = json!({"policies": policies});
    stage.desk.operator.put("/v1/sla-policies", set).await.ok();
}

fn path(request: &Value) -> String {
    format!("/v1/service-requests/{}", request["id"].as_str().unwrap())
}

impl Stage {
    fn pass_minutes(&self, minutes: i64) {
        self.desk.pass(TimeDelta::minutes(minutes));
    }
}

async fn says(user: &User, request: &Value, body: &str) {
    let form = json!({"body": body});
    user.post(&format!("{}/comments", path(request)), form)
        .await
        .created();
}

async fn does(user: &User, request: &Value, verb: &str, form: Value) -> Value {
    user.post(&format!("{}/{verb}", path(request)), form).await.ok()
}

/// `first_response/1 met 1800` …: state and counted seconds.
async fn clocks(user: &User, request: &Value) -> Vec<String> {
    let sla = user.get(&format!("{}/sla", path(request))).await.ok();
    let said = |clock: &Value| {
        let word = |name: &str| clock[name].as_str().unwrap().to_owned();
        format!(
            "{}/{} {} {}",
            word("clock"),
            clock["cycle"],
            word("state"),
            clock["counted_seconds"]
        )
    };
    sla["clocks"].as_array().unwrap().iter().map(said).collect()
}

/// The marks of a desk, in the order of their events: kind, clock, and when it was reached.
async fn marks(user: &User, request: &Value) -> Vec<String> {
    let events = user.all(&format!("{}/history", path(request))).await;
    let marks = events
        .iter()
        .filter(|event| event["kind"].as_str().unwrap().starts_with("sla_"));
    let said = |event: &Value| {
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        format!(
            "{} {} {}",
            word(&event["kind"]),
            word(&event["data"]["clock"]),
            word(&event["data"]["reached_at"])
        )
    };
    marks.map(said).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_says_how_soon_it_is_answered_and_over_and_why() {
    let stage = set().await;
    let (ada, bob) = (&stage.ada, &stage.bob);
    let incident = stage.incident().await;
    // Before anything is promised, nothing is.
    let early = bob.files("Calendar", &incident).await.created();
    assert_eq!(early["sla"], json!({}));
    assert_eq!(clocks(bob, &early).await, Vec::<String>::new());
    promises(&stage).await;
    let request = bob.files("Mail", &incident).await.created();
    let first = json!({"due_at": "2010-09-07T19:00:00Z", "state": "running", "stopped_at": null});
    assert_eq!(request["sla"]["first_response"], first);
    assert_eq!(request["sla"]["resolution"]["due_at"], "2010-09-08T02:00:00Z");
    let listed = bob.all("/v1/service-requests").await;
    assert_eq!(listed[0]["sla"], request["sla"]);

    stage.pass_minutes(30);
    does(ada, &request, "assign", json!({"assignee_id": ada.id})).await;
    does(ada, &request, "await-customer", json!({"body": "Which version?"})).await;
    stage.pass_minutes(600);
    let waiting = bob.get(&path(&request)).await.ok();
    assert_eq!(waiting["sla"]["first_response"]["state"], "met");
    let paused = json!({"due_at": null, "state": "paused", "stopped_at": null});
    assert_eq!(waiting["sla"]["resolution"], paused);
    says(bob, &request, "The newest.").await;
    // Seven hours and a half were left, and are left.
    let awake = bob.get(&path(&request)).await.ok();
    assert_eq!(awake["sla"]["resolution"]["due_at"], "2010-09-08T12:00:00Z");
    assert_eq!(awake["sla"]["next_response"]["due_at"], "2010-09-08T05:00:00Z");
    stage.pass_minutes(10);
    does(ada, &request, "resolve", json!({"body": "Restart it."})).await;
    let done = [
        "first_response/1 met 1800",
        "next_response/1 met 600",
        "resolution/1 met 2400",
    ];
    assert_eq!(clocks(bob, &request).await, done);

    let sla = ada.get(&format!("{}/sla", path(&request))).await.ok();
    let resolution = &sla["clocks"][2];
    let causes: Vec<_> = resolution["intervals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["cause"].clone())
        .collect();
    assert_eq!(causes, ["filed", "customer_awaited", "customer_answered"]);
    let counted: Vec<_> = resolution["intervals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["counted_seconds"].clone())
        .collect();
    assert_eq!(counted, [1800, 0, 600]);
    assert_eq!(resolution["remaining_seconds"], 26_400);
    assert_eq!(
        resolution["arithmetic"],
        "40 min counted around the clock, of 8 h for severity b (policies 1): 7 h 20 min left; stopped at 2010-09-08T04:40:00Z"
    );

    // The tenant's reopening begins both again; what was met stays met.
    stage.pass_minutes(5);
    does(bob, &request, "reopen", json!({})).await;
    stage.pass_minutes(5);
    does(bob, &request, "cancel", json!({})).await;
    let all = [
        "first_response/1 met 1800",
        "next_response/1 met 600",
        "next_response/2 cancelled 300",
        "resolution/1 met 2400",
        "resolution/2 cancelled 300",
    ];
    assert_eq!(clocks(bob, &request).await, all);
    // An incident that ends is an answer too, but nobody replied.
    let other = bob.files("Also", &incident).await.created();
    stage
        .marta
        .post(
            &format!("/v1/incidents/{}/resolve", incident["id"].as_str().unwrap()),
            json!({"body": "Over."}),
        )
        .await
        .ok();
    stage.desk.drain().await;
    assert_eq!(
        clocks(bob, &other).await,
        ["first_response/1 cancelled 0", "resolution/1 met 0"]
    );
    stage
        .eva
        .get(&format!("{}/sla", path(&request)))
        .await
        .refused(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_and_breaches_come_once_in_order_also_late_and_with_workers_that_die() {
    let stage = set().await;
    let (desk, ada, bob) = (&stage.desk, &stage.ada, &stage.bob);
    promises(&stage).await;
    let incident = stage.incident().await;
    let mut requests = Vec::new();
    for number in 0..12 {
        requests.push(bob.files(&format!("Mail {number}"), &incident).await.created());
        stage.pass_minutes(1);
    }
    desk.drain().await;
    let before = desk.mailbox.to(&ada.email).len();
    assert_eq!(before, 12, "one mail about each urgent request");
    // An outage of ten hours: every clock has both of its marks behind it.
    stage.pass_minutes(600);
    let gauges = |marks: u32, seconds: u32| {
        format!(
            "allclear_desk{{kind=\"overdue_marks\"}} {marks}\nallclear_desk{{kind=\"overdue_marks_seconds\"}} {seconds}\n"
        )
    };
    let numbers = desk.operator.get("/metrics").await.ok();
    assert!(
        numbers.as_str().unwrap().contains(&gauges(24, 567 * 60)),
        "{numbers}"
    );
    let other = match desk.settings().database {
        Location::Postgres(_) => Some(
            app::open(desk.settings().clone(), desk.clock.clone())
                .await
                .unwrap(),
        ),
        Location::Sqlite(_) => None,
    };
    let mut steps = Vec::new();
    for round in 0..6 {
        let worker = match (&other, round % 2) {
            (Some(other), 1) => other.worker.clone(),
            _ => desk.running().worker.clone(),
        };
        let step = tokio::spawn(async move {
            while worker
                .react()
                .await
                .is_ok_and(|step| step == allclear::mail::Step::Worked)
            {}
        });
        // Some die in the middle of it.
        if round % 3 == 0 {
            tokio::task::yield_now().await;
            step.abort();
        }
        steps.push(step);
    }
    for step in steps {
        let _ = step.await;
    }
    desk.drain().await;
    if let Some(other) = other {
        other.stop().await;
    }
    for request in &requests {
        let marks = marks(ada, request).await;
        let kinds: Vec<_> = marks
            .iter()
            .map(|mark| mark.rsplit_once(' ').unwrap().0)
            .collect();
        let once = [
            "sla_warned first_response",
            "sla_breached first_response",
            "sla_warned resolution",
            "sla_breached resolution",
        ];
        assert_eq!(kinds, once, "{marks:?}");
    }
    let numbers = desk.operator.get("/metrics").await.ok();
    assert!(numbers.as_str().unwrap().contains(&gauges(0, 0)), "{numbers}");
    // All of them together are in the order of their instants.
    let events = desk.operator.all("/v1/audit").await;
    let mut reached: Vec<String> = events
        .iter()
        .filter(|event| {
            event["kind"].as_str().unwrap().starts_with("sla_w") || event["kind"] == "sla_breached"
        })
        .map(|event| event["data"]["reached_at"].as_str().unwrap().to_owned())
        .collect();
    reached.reverse();
    assert_eq!(reached.len(), 48);
    assert!(reached.is_sorted(), "{reached:?}");
    let mails = desk.mailbox.to(&ada.email);
    assert_eq!(mails.len() - before, 48, "one mail a mark");
    assert!(
        mails
            .iter()
            .any(|mail| mail.subject().contains("The deadline has passed"))
    );
    // The tenant sees that it is late, and none of the marks.
    let seen = bob.get(&path(&requests[0])).await.ok();
    assert_eq!(seen["sla"]["resolution"]["state"], "breached");
    assert_eq!(marks(bob, &requests[0]).await, Vec::<String>::new());
    assert_eq!(seen["version"], requests[0]["version"]);
    // Late stays late, answered or not.
    does(ada, &requests[0], "resolve", json!({"body": "Done."})).await;
    let seen = bob.get(&path(&requests[0])).await.ok();
    assert_eq!(seen["sla"]["resolution"]["state"], "breached");
    assert_eq!(seen["sla"]["resolution"]["due_at"], "2010-09-08T02:00:00Z");
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_terms_goes_on_from_what_was_counted_and_leaves_what_is_over() {
    let stage = set().await;
    let (desk, ada, bob, olive) = (&stage.desk, &stage.ada, &stage.bob, &stage.desk.operator);
    let lea = desk.staff("lea", "lead").await;
    let office = json!({
        "name": "Office", "time_zone": "UTC",
        "hours": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "19:00"}],
    });
    let calendar = lea.post("/v1/calendars", office.clone()).await.created();
    lea.post("/v1/calendars", office.clone())
        .await
        .refused(409, "already-exists");
    let set = json!({"policies": [policy("b", "resolution", 120, &calendar["id"])]});
    lea.put("/v1/sla-policies", set.clone()).await.ok();
    let incident = stage.incident().await;
    let over = bob.files("Over", &incident).await.created();
    does(ada, &over, "resolve", json!({"body": "Done."})).await;
    let request = bob.files("Mail", &incident).await.created();
    // An hour is left of Tuesday; the other one is on Wednesday, or on Thursday when that is a day off.
    assert_eq!(request["sla"]["resolution"]["due_at"], "2010-09-08T10:00:00Z");
    let blind = lea
        .call(
            reqwest::Method::POST,
            &format!("/v1/calendars/{}/holidays", calendar["id"].as_str().unwrap()),
        )
        .header("content-type", "text/calendar")
        .body(HOLIDAYS);
    Reply::of(blind).await.refused(428, "precondition-required");
    let import = lea
        .call(
            reqwest::Method::POST,
            &format!("/v1/calendars/{}/holidays", calendar["id"].as_str().unwrap()),
        )
        .header("if-match", "*")
        .header("content-type", "text/calendar")
        .body(HOLIDAYS);
    let imported = Reply::of(import).await.ok();
    assert_eq!(
        imported["holidays"][0],
        json!({"date": "2010-09-08", "name": "Founders' day"})
    );
    assert_eq!(
        (
            imported["version"].as_i64(),
            imported["holidays"].as_array().unwrap().len()
        ),
        (Some(2), 10)
    );
    desk.drain().await;
    let seen = bob.get(&path(&request)).await.ok();
    assert_eq!(seen["sla"]["resolution"]["due_at"], "2010-09-09T10:00:00Z");

    // Other policies, half an hour later: what has been counted counts. Nobody works on it for an hour.
    stage.pass_minutes(30);
    let always = json!("always");
    let stricter =
        json!({"policies": [policy("b", "resolution", 90, &always), policy("a", "resolution", 45, &always)]});
    let answer = lea
        .call(reqwest::Method::PUT, "/v1/sla-policies")
        .header("if-match", "\"7\"")
        .json(&stricter);
    Reply::of(answer).await.refused(412, "precondition-failed");
    lea.put("/v1/sla-policies", stricter).await.ok();
    stage.pass_minutes(5);
    desk.drain().await;
    let seen = bob.get(&path(&request)).await.ok();
    assert_eq!(seen["sla"]["resolution"]["due_at"], "2010-09-07T19:30:00Z");
    assert_eq!(clocks(bob, &over).await[1], "resolution/1 met 0");
    let explained = bob.get(&format!("{}/sla", path(&over))).await.ok();
    assert_eq!(explained["clocks"][1]["intervals"][0]["calendar_version"], 1);

    // A worse severity: forty-five minutes, of which thirty-five have passed. The tenant says so itself.
    let worse = bob
        .patch(&path(&request), json!({"severity": "a", "tags": ["vip"]}))
        .await
        .ok();
    assert_eq!(
        (&worse["severity"], &worse["tags"]),
        (&json!("a"), &json!(["vip"]))
    );
    assert_eq!(worse["version"], 2);
    assert_eq!(worse["sla"]["resolution"]["due_at"], "2010-09-07T18:45:00Z");
    let sla = bob.get(&format!("{}/sla", path(&request))).await.ok();
    let causes: Vec<_> = sla["clocks"][1]["intervals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["cause"].clone())
        .collect();
    assert_eq!(causes, ["filed", "policy_changed", "severity_changed"]);
    // Every set there ever was is there.
    let versions = lea.all("/v1/sla-policies/versions").await;
    assert_eq!(
        versions
            .iter()
            .map(|set| set["version"].as_i64().unwrap())
            .collect::<Vec<_>>(),
        [2, 1]
    );
    assert_eq!(
        lea.get("/v1/sla-policies/versions/1").await.ok()["policies"],
        set["policies"]
    );
    lea.get("/v1/sla-policies/versions/9")
        .await
        .refused(404, "not-found");
    for (form, pointer) in [
        (
            json!({"policies": [policy("b", "resolution", 0, &always)]}),
            "/policies/0/target_minutes",
        ),
        (
            json!({"policies": [policy("b", "resolution", 9, &json!(ada.id))]}),
            "/policies/0/calendar",
        ),
        (
            json!({"policies": [policy("b", "resolution", 9, &always), policy("b", "resolution", 8, &always)]}),
            "/policies/1",
        ),
    ] {
        let refused = olive
            .put("/v1/sla-policies", form)
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
    ada.put("/v1/sla-policies", set).await.refused(403, "forbidden");
    bob.get("/v1/sla-policies").await.refused(403, "forbidden");
    bob.patch(&path(&over), json!({"severity": "d"}))
        .await
        .refused(409, "transition-not-allowed");
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promised_update_is_warned_of_and_missed_once_each() {
    let stage = set().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let incident = marta.post("/v1/incidents", incident_form()).await.created();
    let at = format!("/v1/incidents/{}", incident["id"].as_str().unwrap());
    assert_eq!(incident["promise"], Value::Null);
    let update = json!({"body": "More soon.", "next_update_by": "2010-09-07T19:00:00Z"});
    marta.post(&format!("{at}/updates"), update.clone()).await.ok();
    let mut seen = Vec::new();
    for minutes in [0, 44, 1, 14, 1, 60] {
        stage.pass_minutes(minutes);
        desk.drain().await;
        seen.push(
            marta.get(&at).await.ok()["promise"]["state"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    assert_eq!(seen, ["open", "open", "warned", "warned", "missed", "missed"]);
    assert!(stage.bob.get(&at).await.ok().get("promise").is_none());
    let said: Vec<String> = desk
        .mailbox
        .to(&marta.email)
        .iter()
        .map(|mail| mail.subject())
        .collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].starts_with("[An update is due soon]")
            && said[1].starts_with("[The promised update is overdue]")
    );
    // The next one is kept in time, and nobody hears of it.
    let update = json!({"body": "Still at it.", "next_update_by": "2010-09-07T21:00:00Z"});
    marta.post(&format!("{at}/updates"), update).await.ok();
    stage.pass_minutes(20);
    marta
        .post(&format!("{at}/resolve"), json!({"body": "Over."}))
        .await
        .ok();
    stage.pass_minutes(600);
    desk.drain().await;
    assert_eq!(marta.get(&at).await.ok()["promise"], Value::Null);
    assert_eq!(desk.mailbox.to(&marta.email).len(), 2);
}
