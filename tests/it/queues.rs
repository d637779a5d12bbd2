//! Queues: staffed or refused, on duty at an instant, claimed in order, routed by rules, restricted to members.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{PASSWORD, Reply, Stage, TestDesk, User, always_on};

const SECOND: TimeDelta = TimeDelta::seconds(1);
const ALL_DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

fn path(queue: &Value) -> String {
    format!("/v1/queues/{}", id(queue))
}

fn shift(name: &str, days: &[&str], hours: (&str, &str), zone: &str, members: &[&User]) -> Value {
    let members: Vec<_> = members.iter().map(|member| member.id.as_str()).collect();
    json!({
        "name": name, "days": days, "start": hours.0, "end": hours.1, "time_zone": zone, "members": members,
    })
}

/// A request without an incident.
async fn files(user: &User, severity: &str, service: &str) -> Value {
    let form = json!({
        "incident_id": null, "severity": severity, "subject": "Help", "description": "It is down.", "service": service,
    });
    user.post("/v1/service-requests", form).await.created()
}

async fn claim(agent: &User, queue: &Value) -> Reply {
    agent.post(&format!("{}/claim", path(queue)), json!({})).await
}

/// The names of those on duty in a queue at an instant.
async fn on_duty(user: &User, queue: &Value, at: &str) -> Vec<String> {
    let team = user.get(&format!("{}/on-duty?at={at}", path(queue))).await.ok();
    assert_eq!(team["at"], at);
    let members = team["members"].as_array().unwrap();
    let mut names: Vec<_> = members
        .iter()
        .map(|m| m["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort_unstable();
    names
}

/// A desk with two agents and a lead.
async fn crew() -> (TestDesk, User, User, User) {
    let desk = TestDesk::open().await;
    let ada = desk.staff("ada", "agent").await;
    let ben = desk.staff("ben", "agent").await;
    let lea = desk.staff("lea", "lead").await;
    (desk, ada, ben, lea)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_created_with_its_schedule_and_read_again() {
    let (desk, ada, ben, lea) = crew().await;
    let night = shift(
        "night",
        &["fri", "mon", "fri"],
        ("22:00", "06:00"),
        "Asia/Kolkata",
        &[&ada, &ben, &ada],
    );
    let mut day = shift("day", &ALL_DAYS, ("06:00", "22:00"), "Asia/Kolkata", &[&ben]);
    day["valid_from"] = json!("2010-09-01");
    day["valid_until"] = json!("2010-12-31");
    let form = json!({"name": " Messaging ", "shifts": [night, day]});
    let reply = lea.post("/v1/queues", form).await;
    assert_eq!(reply.header("etag"), Some("\"1\""));
    let location = reply.header("location").unwrap().to_owned();
    let made = reply.created();
    assert_eq!(location, path(&made));
    assert_eq!(
        (
            &made["name"],
            &made["always_on"],
            &made["restricted"],
            &made["fallback_queue_id"],
            &made["version"]
        ),
        (
            &json!("Messaging"),
            &json!(false),
            &json!(false),
            &Value::Null,
            &json!(1)
        )
    );
    let mut members = vec![ada.id.clone(), ben.id.clone()];
    members.sort_unstable();
    let shifts = made["shifts"].as_array().unwrap();
    assert_eq!(
        (
            &shifts[0]["name"],
            &shifts[0]["days"],
            &shifts[0]["start"],
            &shifts[0]["end"],
            &shifts[0]["members"]
        ),
        (
            &json!("night"),
            &json!(["mon", "fri"]),
            &json!("22:00"),
            &json!("06:00"),
            &json!(members)
        )
    );
    assert_eq!(
        (
            &shifts[1]["name"],
            &shifts[1]["valid_from"],
            &shifts[1]["valid_until"]
        ),
        (&json!("day"), &json!("2010-09-01"), &json!("2010-12-31"))
    );
    assert_eq!(ada.get(&location).await.ok(), made);
    assert_eq!(
        ada.get(&format!("{location}/shifts")).await.ok()["items"],
        made["shifts"]
    );
    desk.pass(SECOND);
    let fallback = json!({"name": "Second line", "fallback_queue_id": made["id"]});
    let second = lea.post("/v1/queues", fallback).await.created();
    assert_eq!(second["fallback_queue_id"], made["id"]);
    assert_eq!(ada.all("/v1/queues").await, [made, second]);
    ada.get(&format!("/v1/queues/{}", uuid::Uuid::new_v4()))
        .await
        .refused(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_cannot_be_is_refused_by_the_field() {
    let (desk, ada, _, lea) = crew().await;
    let marta = desk.staff("marta", "incident_manager").await;
    let good = || shift("day", &ALL_DAYS, ("06:00", "22:00"), "UTC", &[&ada]);
    let with = |field: &str, value: Value| {
        let mut shift = good();
        shift[field] = value;
        json!({"name": "Messaging", "shifts": [good(), shift]})
    };
    for (pointer, form) in [
        ("/name", json!({"name": ""})),
        ("/name", json!({"name": "two\nlines"})),
        (
            "/fallback_queue_id",
            json!({"name": "Messaging", "fallback_queue_id": uuid::Uuid::new_v4()}),
        ),
        ("/shifts/1/members/0", with("members", json!([marta.id]))),
        (
            "/shifts/1/members/1",
            with("members", json!([ada.id, uuid::Uuid::new_v4()])),
        ),
        ("/shifts/1/members", with("members", json!([]))),
        ("/shifts/1/days", with("days", json!([]))),
        ("/shifts/1/days/0", with("days", json!(["someday"]))),
        ("/shifts/1/start", with("start", json!("25:00"))),
        ("/shifts/1/end", with("end", json!("noon"))),
        ("/shifts/1/time_zone", with("time_zone", json!("Mars/Base"))),
        ("/shifts/1/valid_from", with("valid_from", json!("2010-02-30"))),
        ("/shifts/1/colour", with("colour", json!("red"))),
    ] {
        let refused = lea
            .post("/v1/queues", form.clone())
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{form}");
    }
    assert_eq!(desk.count("queues"), 0);
    lea.post("/v1/queues", json!({"name": "Messaging"}))
        .await
        .created();
    lea.post("/v1/queues", json!({"name": " MESSAGING"}))
        .await
        .refused(409, "already-exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_always_on_is_refused_with_every_gap_of_its_next_four_hundred_days() {
    let (desk, ada, ben, lea) = crew().await;
    let create = async |shifts: Value| {
        let form = json!({"name": "Messaging", "always_on": true, "shifts": shifts});
        lea.post("/v1/queues", form).await
    };
    // Nobody at all: one gap, from now (7 September 2010, 18:00) for 400 days.
    let refused = create(json!([])).await.refused(422, "coverage-gap");
    assert_eq!(
        refused["gaps"],
        json!([{"from": "2010-09-07T18:00:00Z", "to": "2011-10-12T18:00:00Z"}])
    );

    // All but Sunday nights in Kolkata: 58 of them, half-open, in UTC.
    let weekdays = shift(
        "week",
        &["mon", "tue", "wed", "thu", "fri", "sat"],
        ("00:00", "00:00"),
        "Asia/Kolkata",
        &[&ada],
    );
    let sundays = shift("sunday", &["sun"], ("00:00", "22:00"), "Asia/Kolkata", &[&ben]);
    let refused = create(json!([weekdays, sundays]))
        .await
        .refused(422, "coverage-gap");
    let gaps = refused["gaps"].as_array().unwrap();
    // Sundays 22:00 to Mondays 00:00, +05:30.
    assert_eq!(
        gaps[0],
        json!({"from": "2010-09-12T16:30:00Z", "to": "2010-09-12T18:30:00Z"})
    );
    assert_eq!(
        gaps[1],
        json!({"from": "2010-09-19T16:30:00Z", "to": "2010-09-19T18:30:00Z"})
    );
    assert_eq!(
        gaps.last().unwrap(),
        &json!({"from": "2011-10-09T16:30:00Z", "to": "2011-10-09T18:30:00Z"})
    );
    assert_eq!(gaps.len(), 57);

    // Two sites twelve hours apart, each at its own wall clock: without a gap until one of them changes its clock.
    let london = shift("London", &ALL_DAYS, ("07:00", "19:00"), "Europe/London", &[&ada]);
    let night = shift("night", &ALL_DAYS, ("18:00", "06:00"), "UTC", &[&ben]);
    let refused = create(json!([london, night])).await.refused(422, "coverage-gap");
    let gaps = refused["gaps"].as_array().unwrap();
    // In winter London begins at 07:00 UTC, an hour after the night has gone.
    assert_eq!(
        gaps[0],
        json!({"from": "2010-10-31T06:00:00Z", "to": "2010-10-31T07:00:00Z"})
    );
    assert_eq!(
        gaps.last().unwrap(),
        &json!({"from": "2011-03-26T06:00:00Z", "to": "2011-03-26T07:00:00Z"})
    );
    assert_eq!(gaps.len(), 147);
    assert_eq!(desk.count("queues"), 0);

    let made = create(json!([
        london,
        shift("night", &ALL_DAYS, ("18:00", "07:00"), "UTC", &[&ben])
    ]))
    .await
    .created();
    assert_eq!(made["always_on"], true);
    let proof = ada.get(&format!("{}/coverage", path(&made))).await.ok();
    assert_eq!(
        (&proof["from"], &proof["to"], &proof["gaps"]),
        (
            &json!("2010-09-07T18:00:00Z"),
            &json!("2011-10-12T18:00:00Z"),
            &json!([])
        )
    );
    // Three segments a day are more than an answer has: London's, the night's, and where they overlap.
    let segments = proof["segments"].as_array().unwrap();
    assert_eq!(segments.len(), 1000);
    assert_eq!(proof["segments_to"], segments[999]["to"]);
    let rest = format!(
        "{}/coverage?from={}&to={}",
        path(&made),
        proof["segments_to"].as_str().unwrap(),
        proof["to"].as_str().unwrap()
    );
    let rest = ada.get(&rest).await.ok();
    assert_eq!(rest["segments"][0]["from"], proof["segments_to"]);
    assert_eq!(rest["segments_to"], proof["to"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_not_always_on_shows_its_gaps_in_any_range() {
    let (_desk, ada, _, lea) = crew().await;
    let office = shift(
        "office",
        &["mon", "tue", "wed", "thu", "fri"],
        ("09:00", "17:00"),
        "America/New_York",
        &[&ada],
    );
    let made = lea
        .post("/v1/queues", json!({"name": "Billing", "shifts": [office]}))
        .await
        .created();
    let coverage = async |query: &str| ada.get(&format!("{}/coverage?{query}", path(&made))).await;
    // From Friday noon to Monday night, in summer: 09:00 to 17:00 is 13:00 to 21:00 UTC.
    let found = coverage("from=2010-09-10T16:00:00Z&to=2010-09-14T00:00:00Z")
        .await
        .ok();
    assert_eq!(
        found["gaps"],
        json!([
            {"from": "2010-09-10T21:00:00Z", "to": "2010-09-13T13:00:00Z"},
            {"from": "2010-09-13T21:00:00Z", "to": "2010-09-14T00:00:00Z"},
        ])
    );
    for query in [
        "from=2010-09-10T16:00:00Z&to=2010-09-10T16:00:00Z",
        "from=2010-09-10T16:00:00Z&to=2010-09-09T16:00:00Z",
        "from=2010-09-10T16:00:00Z&to=2013-09-09T16:00:00Z",
        "from=yesterday",
        "until=2010-09-10T16:00:00Z",
    ] {
        coverage(query).await.refused(400, "invalid-query");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_replaced_as_a_whole_by_whoever_has_read_it() {
    let (desk, ada, ben, lea) = crew().await;
    let made = lea
        .post("/v1/queues", always_on("Messaging", &[&ada.id]))
        .await
        .created();
    let address = format!("{}/shifts", path(&made));
    let early = shift("early", &ALL_DAYS, ("00:00", "12:00"), "UTC", &[&ada]);
    let late = shift("late", &ALL_DAYS, ("12:00", "00:00"), "UTC", &[&ben]);
    let put = async |tag: Option<&str>, shifts: Value| {
        let call = lea.call(Method::PUT, &address).json(&json!({"shifts": shifts}));
        Reply::of(match tag {
            Some(tag) => call.header("if-match", tag),
            None => call,
        })
        .await
    };
    put(None, json!([early, late]))
        .await
        .refused(428, "precondition-required");
    let stale = put(Some("\"2\""), json!([early, late])).await;
    assert_eq!(stale.header("etag"), Some("\"1\""));
    stale.refused(412, "precondition-failed");

    desk.pass(SECOND);
    let replaced = put(Some("\"1\""), json!([early, late])).await;
    assert_eq!(replaced.header("etag"), Some("\"2\""));
    let replaced = replaced.ok();
    let names: Vec<_> = replaced["shifts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["name"])
        .collect();
    assert_eq!(names, ["early", "late"]);
    assert_eq!(on_duty(&ada, &made, "2010-09-08T11:59:59Z").await, ["ada"]);
    assert_eq!(on_duty(&ada, &made, "2010-09-08T12:00:00Z").await, ["ben"]);

    // A change that would leave a gap is refused, and changes nothing.
    let before = ada.get(&path(&made)).await.ok();
    let short = shift("late", &ALL_DAYS, ("12:00", "23:00"), "UTC", &[&ben]);
    let refused = put(Some("*"), json!([early, short]))
        .await
        .refused(422, "coverage-gap");
    assert_eq!(
        refused["gaps"][0],
        json!({"from": "2010-09-07T23:00:00Z", "to": "2010-09-08T00:00:00Z"})
    );
    put(Some("*"), json!([])).await.refused(422, "coverage-gap");
    assert_eq!(ada.get(&path(&made)).await.ok(), before);
    let nowhere = format!("/v1/queues/{}/shifts", uuid::Uuid::new_v4());
    lea.put(&nowhere, json!({"shifts": []}))
        .await
        .refused(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_change_is_refused_only_for_the_gaps_that_it_adds() {
    let (desk, ada, ben, lea) = crew().await;
    // Staffed without end when it was made; then half of its people are gone, behind its back.
    let early = shift("early", &ALL_DAYS, ("00:00", "12:00"), "UTC", &[&ada]);
    let late = shift("late", &ALL_DAYS, ("12:00", "00:00"), "UTC", &[&ben]);
    let form = json!({"name": "Messaging", "always_on": true, "shifts": [early, late]});
    let made = lea.post("/v1/queues", form).await.created();
    desk.sql("DELETE FROM shift_members WHERE shift_id IN (SELECT id FROM shifts WHERE name = 'late')");
    desk.sql("DELETE FROM shifts WHERE name = 'late'");
    let address = format!("{}/shifts", path(&made));
    let to_six = shift("late", &ALL_DAYS, ("12:00", "18:00"), "UTC", &[&ben]);
    lea.put(&address, json!({"shifts": [early, to_six]})).await.ok();
    let from_one = shift("early", &ALL_DAYS, ("01:00", "12:00"), "UTC", &[&ada]);
    let refused = lea
        .put(&address, json!({"shifts": [from_one, to_six]}))
        .await
        .refused(422, "coverage-gap");
    let gaps = refused["gaps"].as_array().unwrap();
    assert_eq!(
        gaps[0],
        json!({"from": "2010-09-08T00:00:00Z", "to": "2010-09-08T01:00:00Z"})
    );
    assert_eq!(gaps.len(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_on_duty_is_asked_of_the_wall_clock_of_each_shift() {
    let (desk, ada, ben, lea) = crew().await;
    let mia = desk.staff("mia", "agent").await;
    let shifts = json!([
        // Past midnight, on working days: Friday's ends on Saturday morning.
        shift(
            "night",
            &["mon", "tue", "wed", "thu", "fri"],
            ("22:00", "06:00"),
            "Europe/London",
            &[&ada]
        ),
        shift("day", &["mon"], ("09:00", "17:00"), "Asia/Kolkata", &[&ben, &lea]),
        shift("whole", &["sun"], ("00:00", "00:00"), "America/New_York", &[&mia]),
    ]);
    let made = lea
        .post("/v1/queues", json!({"name": "Messaging", "shifts": shifts}))
        .await
        .created();
    for (at, expected) in [
        // London is an hour ahead of UTC in September. 6 September 2010 is a Monday.
        ("2010-09-06T20:59:59Z", vec![]),
        ("2010-09-06T21:00:00Z", vec!["ada"]),
        ("2010-09-07T00:00:00Z", vec!["ada"]),
        ("2010-09-07T04:59:59Z", vec!["ada"]),
        ("2010-09-07T05:00:00Z", vec![]),
        ("2010-09-11T04:59:59Z", vec!["ada"]),
        ("2010-09-11T05:00:00Z", vec![]),
        ("2010-09-11T21:00:00Z", vec![]),
        // In winter it is not.
        ("2010-12-06T21:00:00Z", vec![]),
        ("2010-12-06T22:00:00Z", vec!["ada"]),
        // Kolkata is five and a half hours ahead all year.
        ("2010-09-06T03:29:59Z", vec!["mia"]),
        ("2010-09-06T03:30:00Z", vec!["ben", "lea", "mia"]),
        ("2010-09-06T11:29:59Z", vec!["ben", "lea"]),
        ("2010-09-06T11:30:00Z", vec![]),
        // A Sunday in New York begins at four in the morning UTC, in winter at five; the one on which the clock is
        // put back has 25 hours.
        ("2010-09-05T03:59:59Z", vec![]),
        ("2010-09-05T04:00:00Z", vec!["mia"]),
        ("2010-11-07T04:00:00Z", vec!["mia"]),
        ("2010-11-08T04:59:59Z", vec!["ben", "lea", "mia"]),
        ("2010-11-08T05:00:00Z", vec!["ben", "lea"]),
    ] {
        assert_eq!(on_duty(&ada, &made, at).await, expected, "{at}");
    }
    // With the shifts that it is on; left out, the instant is now, Tuesday evening.
    let team = ada
        .get(&format!("{}/on-duty?at=2010-09-06T04:00:00%2B00:00", path(&made)))
        .await
        .ok();
    let ben_there = team["members"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["name"] == "ben")
        .unwrap();
    assert_eq!(
        *ben_there,
        json!({"id": ben.id, "name": "ben", "shifts": ["day"]})
    );
    let now = ada.get(&format!("{}/on-duty", path(&made))).await.ok();
    assert_eq!(now, json!({"at": "2010-09-07T18:00:00Z", "members": []}));
    desk.pass(TimeDelta::minutes(10));
    assert_eq!(
        ada.get(&format!("{}/on-duty", path(&made))).await.ok()["at"],
        "2010-09-07T18:10:00Z"
    );
    for at in ["", "now", "2010-09-06", "2010-09-06T04:00:00"] {
        ada.get(&format!("{}/on-duty?at={at}", path(&made)))
            .await
            .refused(400, "invalid-query");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_urgent_request_is_claimed_first_then_the_one_that_waits_longest() {
    let stage = Stage::set().await;
    let Stage {
        desk, ada, bob, eva, ..
    } = &stage;
    assert_eq!(claim(ada, &stage.queue).await.status, 204);
    let mut filed = Vec::new();
    for (user, severity) in [
        (bob, "c"),
        (eva, "b"),
        (bob, "d"),
        (bob, "a"),
        (eva, "c"),
        (bob, "b"),
        (eva, "a"),
    ] {
        desk.pass(SECOND);
        filed.push(files(user, severity, "exchange-online").await);
    }
    for place in [3, 6, 1, 5, 0, 4, 2] {
        let claimed = claim(ada, &stage.queue).await.ok();
        let request = &claimed["service_request"];
        assert_eq!(id(request), id(&filed[place]), "{place}");
        assert_eq!(
            (&request["status"], &request["assignee"]["id"]),
            (&json!("in_progress"), &json!(ada.id))
        );
        assert_eq!(
            claimed["reason"],
            json!({
                "order": ["sla_slack", "severity", "handed_over", "age"], "urgent_at": null, "handed_over": false,
                "severity": filed[place]["severity"],
                "waiting_since": filed[place]["created_at"],
            })
        );
    }
    let empty = claim(ada, &stage.queue).await;
    assert_eq!((empty.status, &empty.body), (204, &Value::Null));

    // What is released waits again, as long as it has waited before; what is pending or held does not.
    let at = |place: usize| format!("/v1/service-requests/{}", id(&filed[place]));
    ada.post(&format!("{}/release", at(5)), json!({})).await.ok();
    ada.post(&format!("{}/release", at(1)), json!({})).await.ok();
    ada.post(&format!("{}/hold", at(3)), json!({"reason": "vendor"}))
        .await
        .ok();
    ada.post(&format!("{}/await-customer", at(6)), json!({}))
        .await
        .ok();
    for place in [1, 5] {
        let claimed = claim(ada, &stage.queue).await.ok();
        assert_eq!(id(&claimed["service_request"]), id(&filed[place]));
    }
    assert_eq!(claim(ada, &stage.queue).await.status, 204);
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_on_duty_claims() {
    let stage = Stage::set_with(|settings| settings.access_token_lifetime = TimeDelta::days(2)).await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        ..
    } = &stage;
    let ben = desk.staff("ben", "agent").await;
    let cat = desk.staff("cat", "agent").await;
    let mut shifts = always_on("Messaging", &[&ada.id])["shifts"].clone();
    let late = shift("late", &["tue"], ("20:00", "02:00"), "UTC", &[&ben]);
    shifts.as_array_mut().unwrap().push(late);
    let address = format!("{}/shifts", path(&stage.queue));
    desk.operator.put(&address, json!({"shifts": shifts})).await.ok();
    for _ in 0..3 {
        files(bob, "b", "exchange-online").await;
    }
    // It is Tuesday, six in the evening.
    claim(&ben, &stage.queue).await.refused(409, "not-on-duty");
    claim(&cat, &stage.queue).await.refused(409, "not-on-duty");
    desk.pass(TimeDelta::hours(2));
    claim(&ben, &stage.queue).await.ok();
    desk.pass(TimeDelta::hours(6) - SECOND);
    claim(&ben, &stage.queue).await.ok();
    desk.pass(SECOND);
    claim(&ben, &stage.queue).await.refused(409, "not-on-duty");
    claim(ada, &stage.queue).await.ok();
    // Off duty one is told so even when nothing waits.
    claim(&ben, &stage.queue).await.refused(409, "not-on-duty");
    for user in [marta, bob] {
        claim(user, &stage.queue).await.refused(403, "forbidden");
    }
    let nowhere = json!({"id": uuid::Uuid::new_v4()});
    claim(ada, &nowhere).await.refused(404, "not-found");
    desk.drain().await;
}

/// A desk with two queues that are always on, and one that is not.
async fn three_queues(stage: &Stage) -> (Value, Value, Value) {
    let operator = &stage.desk.operator;
    let identity = operator
        .post("/v1/queues", always_on("Identity", &[&stage.ada.id]))
        .await
        .created();
    let alone = operator
        .post("/v1/queues", json!({"name": "Alone"}))
        .await
        .created();
    (stage.queue.clone(), identity, alone)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_rule_that_fits_names_the_queue_and_the_history_says_which() {
    let stage = Stage::set().await;
    let Stage {
        desk, ada, bob, eva, ..
    } = &stage;
    let (messaging, identity, _) = three_queues(&stage).await;
    let rule =
        |name: &str, when: Value, queue: &Value| json!({"name": name, "when": when, "queue_id": queue["id"]});
    let rules = json!({"rules": [
        rule("vip", json!({"tags": ["vip"], "severity": ["a", "b"]}), &identity),
        rule("mail", json!({"service": ["exchange-online"]}), &messaging),
        rule("mail again", json!({"service": ["exchange-online"]}), &identity),
        rule("Portuguese by telephone", json!({"language": ["pt"], "channel": ["telephone"]}), &identity),
        rule("Europe", json!({"region": ["europe"], "plan": ["standard"]}), &identity),
        rule("rest", json!({}), &messaging),
    ]});
    let put = desk.operator.put("/v1/routing-rules", rules.clone()).await;
    assert_eq!(put.header("etag"), Some("\"2\""));
    let put = put.ok();
    assert_eq!((&put["version"], &put["rules"]), (&json!(2), &rules["rules"]));
    assert_eq!(ada.get("/v1/routing-rules").await.ok(), put);
    for (user, changes, queue, by) in [
        (bob, json!({"service": "exchange-online"}), &messaging, "mail"),
        (
            bob,
            json!({"service": "exchange-online", "tags": ["vip"]}),
            &identity,
            "vip",
        ),
        (
            bob,
            json!({"service": "exchange-online", "tags": ["vip"], "severity": "c"}),
            &messaging,
            "mail",
        ),
        (bob, json!({"service": "sign-in"}), &messaging, "rest"),
        (
            bob,
            json!({"service": "sign-in", "channel": "telephone", "contact": {"language": "pt-BR"}}),
            &identity,
            "Portuguese by telephone",
        ),
        (
            bob,
            json!({"service": "sign-in", "contact": {"language": "pt-BR"}}),
            &messaging,
            "rest",
        ),
        (eva, json!({"service": "sign-in"}), &identity, "Europe"),
        (eva, json!({"service": "exchange-online"}), &messaging, "mail"),
    ] {
        let mut form = json!({
            "incident_id": null, "severity": "b", "subject": "Help", "description": "It is down.",
        });
        for (key, value) in changes.as_object().unwrap() {
            form[key] = value.clone();
        }
        let filed = user.post("/v1/service-requests", form).await.created();
        assert_eq!(filed["queue"]["id"], queue["id"], "{changes}");
        let history = ada
            .all(&format!("/v1/service-requests/{}/history", id(&filed)))
            .await;
        assert_eq!(
            history[0]["data"]["internal"],
            json!({"queue_id": queue["id"], "rule": by, "rules_version": 2, "needs": {}})
        );
    }
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_rule_and_no_other_takes_everything_and_leads_where_somebody_always_is() {
    let stage = Stage::set().await;
    let operator = &stage.desk.operator;
    let (messaging, _, alone) = three_queues(&stage).await;
    let led = operator
        .post(
            "/v1/queues",
            json!({"name": "Led", "fallback_queue_id": messaging["id"]}),
        )
        .await
        .created();
    let far = operator
        .post(
            "/v1/queues",
            json!({"name": "Far", "fallback_queue_id": led["id"]}),
        )
        .await
        .created();
    let lost = operator
        .post(
            "/v1/queues",
            json!({"name": "Lost", "fallback_queue_id": alone["id"]}),
        )
        .await
        .created();
    let unknown = json!({"id": uuid::Uuid::new_v4()});
    let some = json!({"severity": ["a"]});
    let rule = |when: &Value, queue: &Value| json!({"name": "rule", "when": when, "queue_id": queue["id"]});
    let all = json!({});
    let before = stage.ada.get("/v1/routing-rules").await.ok();
    for (pointer, rules) in [
        ("/rules", json!([])),
        // Without a catch-all, with one too early, with two.
        ("/rules/0/when", json!([rule(&some, &messaging)])),
        (
            "/rules/0/when",
            json!([rule(&all, &messaging), rule(&some, &messaging)]),
        ),
        (
            "/rules/1/when",
            json!([
                rule(&some, &messaging),
                rule(&all, &messaging),
                rule(&all, &messaging)
            ]),
        ),
        (
            "/rules/0/queue_id",
            json!([rule(&some, &unknown), rule(&all, &messaging)]),
        ),
        (
            "/rules/1/queue_id",
            json!([rule(&some, &messaging), rule(&all, &unknown)]),
        ),
        // The catch-all itself must be always on; a fallback is not enough.
        ("/rules/0/queue_id", json!([rule(&all, &alone)])),
        ("/rules/0/queue_id", json!([rule(&all, &led)])),
        // Any other queue needs at least a fallback that leads to one.
        (
            "/rules/0/queue_id",
            json!([rule(&some, &alone), rule(&all, &messaging)]),
        ),
        (
            "/rules/0/queue_id",
            json!([rule(&some, &lost), rule(&all, &messaging)]),
        ),
        (
            "/rules/0/when/colour",
            json!([
                rule(&json!({"colour": ["red"]}), &messaging),
                rule(&all, &messaging)
            ]),
        ),
        (
            "/rules/0/when/severity/0",
            json!([
                rule(&json!({"severity": ["e"]}), &messaging),
                rule(&all, &messaging)
            ]),
        ),
    ] {
        let refused = operator
            .put("/v1/routing-rules", json!({"rules": rules}))
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{rules}");
    }
    assert_eq!(stage.ada.get("/v1/routing-rules").await.ok(), before);

    let good = json!({"rules": [rule(&some, &led), rule(&some, &far), rule(&all, &messaging)]});
    Reply::of(operator.call(Method::PUT, "/v1/routing-rules").json(&good))
        .await
        .refused(428, "precondition-required");
    let put = operator
        .call(Method::PUT, "/v1/routing-rules")
        .header("if-match", "\"9\"");
    let stale = Reply::of(put.json(&good)).await;
    assert_eq!(stale.header("etag"), Some("\"1\""));
    stale.refused(412, "precondition-failed");
    operator.put("/v1/routing-rules", good).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn filing_before_there_are_rules_says_that_routing_is_not_configured() {
    let desk = TestDesk::open().await;
    for (list, slug) in [("regions", "europe"), ("services", "sign-in")] {
        let form = json!({"slug": slug, "name": slug});
        desk.operator.post(&format!("/v1/{list}"), form).await.created();
    }
    let tenant = desk.tenant("Adatum", &["europe"], &["sign-in"]).await;
    let eva = desk.member("eva", "tenant_admin", &tenant).await;
    let none = desk.operator.get("/v1/routing-rules").await.ok();
    assert_eq!(none, json!({"version": 0, "rules": []}));
    let form = json!({
        "incident_id": null, "severity": "b", "subject": "Help", "description": "It is down.", "service": "sign-in",
    });
    eva.post("/v1/service-requests", form)
        .await
        .refused(409, "routing-not-configured");
    assert_eq!(desk.count("service_requests"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_queue_shows_its_requests_to_its_members_its_tenants_and_the_operator_alone() {
    let stage = Stage::set().await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        ..
    } = &stage;
    let mia = desk.staff("mia", "agent").await;
    let lea = desk.staff("lea", "lead").await;
    let mut form = always_on("Legal", &[&mia.id]);
    form["restricted"] = json!(true);
    let legal = desk.operator.post("/v1/queues", form).await.created();
    let rules = json!({"rules": [
        {"name": "legal", "when": {"tags": ["legal"]}, "queue_id": legal["id"]},
        {"name": "all", "when": {}, "queue_id": stage.queue["id"]},
    ]});
    desk.operator.put("/v1/routing-rules", rules).await.ok();
    let incident = stage.incident().await;
    let open = bob.files("Mail", &incident).await.created();
    desk.pass(SECOND);
    let secret = json!({
        "incident_id": incident["id"], "severity": "a", "subject": "A subpoena", "description": "See the letter.",
        "tags": ["legal"],
    });
    let secret = bob.post("/v1/service-requests", secret).await.created();
    assert_eq!(secret["queue"]["name"], "Legal");
    bob.post(
        &format!("/v1/service-requests/{}/comments", id(&secret)),
        json!({"body": "It is urgent."}),
    )
    .await
    .created();

    let line = format!("{}/service-requests", path(&legal));
    let of_incident = format!("/v1/incidents/{}/service-requests", id(&incident));
    let by_queue = format!("/v1/service-requests?queue_id={}", id(&legal));
    for (user, sees) in [
        (ada, false),
        (&lea, false),
        (marta, false),
        (&mia, true),
        (&desk.operator, true),
        (bob, true),
    ] {
        for name in [id(&secret), secret["reference"].as_str().unwrap()] {
            for part in ["", "/comments", "/history"] {
                let reply = user.get(&format!("/v1/service-requests/{name}{part}")).await;
                if sees {
                    reply.ok();
                } else {
                    reply.refused(404, "not-found");
                }
            }
        }
        for list in ["/v1/service-requests", &of_incident] {
            let found = user.all(list).await;
            let found: Vec<_> = found.iter().map(id).collect();
            let expected = if sees {
                vec![id(&secret), id(&open)]
            } else {
                vec![id(&open)]
            };
            assert_eq!(found, expected, "{list} by {}", user.email);
        }
        if user.email != bob.email {
            for list in [&line, &by_queue] {
                assert_eq!(
                    user.all(list).await.len(),
                    usize::from(sees),
                    "{list} by {}",
                    user.email
                );
            }
        }
    }
    // Whoever stands in there reads it, as long as that lasts.
    let (from, to) = (desk.clock.now(), desk.clock.now() + TimeDelta::minutes(2));
    let stand_in = json!({"from": from, "to": to, "add": lea.id});
    desk.operator
        .post(&format!("{}/overrides", path(&legal)), stand_in)
        .await
        .created();
    assert_eq!(lea.all(&line).await.len(), 1);
    desk.pass(TimeDelta::minutes(2));
    assert_eq!(lea.all(&line).await.len(), 0);
    // Neither is it changed by those who do not see it; its members work it.
    let at = |verb: &str| format!("/v1/service-requests/{}/{verb}", id(&secret));
    for user in [ada, &lea] {
        for (verb, form) in [
            ("comments", json!({"body": "I know."})),
            ("assign", json!({"assignee_id": user.id})),
            ("resolve", json!({"body": "Done."})),
            (
                "transfer",
                json!({"queue_id": stage.queue["id"], "reason": "Mine."}),
            ),
        ] {
            user.post(&at(verb), form).await.refused(404, "not-found");
        }
        claim(user, &legal).await.refused(409, "not-on-duty");
    }
    assert_eq!(
        claim(&mia, &legal).await.ok()["service_request"]["id"],
        secret["id"]
    );
    // Out of the restricted queue it is everybody's.
    let out = json!({"queue_id": stage.queue["id"], "reason": "Nothing secret after all."});
    mia.post(&at("transfer"), out).await.ok();
    assert_eq!(
        ada.get(&format!("/v1/service-requests/{}", id(&secret)))
            .await
            .ok()["id"],
        secret["id"]
    );
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_learn_nothing_of_queues_and_schedules() {
    let stage = Stage::set().await;
    let queue = path(&stage.queue);
    for address in [
        "/v1/queues".to_owned(),
        queue.clone(),
        format!("{queue}/shifts"),
        format!("{queue}/coverage"),
        format!("{queue}/on-duty"),
        format!("{queue}/service-requests"),
        "/v1/routing-rules".to_owned(),
    ] {
        stage.bob.get(&address).await.refused(403, "forbidden");
    }
    // Whoever works a queue has a password like everybody else, which no view of it shows.
    let seen = stage.ada.get(&queue).await.ok().to_string();
    assert!(!seen.contains(PASSWORD) && !seen.contains("argon2") && !seen.contains("@"));
}
