//! Rosters: who works when, by shifts, turns, leave, overrides and swaps; and no way past the proof that a queue is
//! staffed.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{Reply, TestDesk, User, always_on};

const ALL_DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn path(queue: &Value) -> String {
    format!("/v1/queues/{}", queue["id"].as_str().unwrap())
}

fn shift(name: &str, hours: (&str, &str), zone: &str, members: &[&User]) -> Value {
    let members: Vec<_> = members.iter().map(|member| member.id.as_str()).collect();
    json!({
        "name": name, "days": ALL_DAYS, "start": hours.0, "end": hours.1, "time_zone": zone, "members": members,
    })
}

/// The names of those on duty at an instant, each with their shifts.
async fn team(user: &User, queue: &Value, at: &str) -> Vec<String> {
    let team = user.get(&format!("{}/on-duty?at={at}", path(queue))).await.ok();
    let told = |member: &Value| {
        let shifts: Vec<_> = member["shifts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|shift| shift.as_str().unwrap().to_owned())
            .collect();
        format!("{}: {}", member["name"].as_str().unwrap(), shifts.join(", "))
    };
    let mut names: Vec<_> = team["members"].as_array().unwrap().iter().map(told).collect();
    names.sort_unstable();
    names
}

/// Two agents and a lead.
async fn crew() -> (TestDesk, User, User, User) {
    let desk = TestDesk::open().await;
    let ada = desk.staff("ada", "agent").await;
    let ben = desk.staff("ben", "agent").await;
    let lea = desk.staff("lea", "lead").await;
    (desk, ada, ben, lea)
}

/// A queue in which two people are on duty around the clock.
async fn both_always(lea: &User, ada: &User, ben: &User) -> Value {
    lea.post("/v1/queues", always_on("Messaging", &[&ada.id, &ben.id]))
        .await
        .created()
}

#[tokio::test(flavor = "multi_thread")]
async fn teams_take_turns_week_by_week_across_a_clock_change() {
    let (_desk, ada, ben, lea) = crew().await;
    // The 1st of November 2010 is a Monday; London's clock goes back on Sunday, the 31st of October.
    let rotation = json!({"weeks": 1, "from": "2010-10-27", "teams": [[ada.id], [ben.id]]});
    let mut day = shift("day", ("08:00", "08:00"), "Europe/London", &[]);
    day.as_object_mut().unwrap().remove("members");
    day["rotation"] = rotation.clone();
    let form = json!({"name": "Messaging", "always_on": true, "shifts": [day]});
    let made = lea.post("/v1/queues", form).await.created();
    assert_eq!(
        (
            &made["shifts"][0]["rotation"],
            &made["shifts"][0]["members"],
            &made["minimum"]
        ),
        (&rotation, &Value::Null, &json!(1))
    );
    for (at, who) in [
        // Sunday's 24 hours are 25, and Ada's.
        ("2010-10-31T07:59:59Z", "ada: day"),
        ("2010-11-01T07:59:59Z", "ada: day"),
        ("2010-11-01T08:00:00Z", "ben: day"),
        ("2010-11-08T08:00:00Z", "ada: day"),
        ("2010-10-24T12:00:00Z", "ben: day"),
    ] {
        assert_eq!(team(&ada, &made, at).await, [who], "{at}");
    }
    let proof = ada
        .get(&format!(
            "{}/coverage?from=2010-10-30T00:00:00Z&to=2010-11-02T00:00:00Z",
            path(&made)
        ))
        .await
        .ok();
    let on_duty = |user: &User, from: &str, to: &str| json!({"from": from, "to": to, "on_duty": [{"id": user.id, "name": user.name, "shifts": ["day"]}]});
    assert_eq!(
        proof["segments"],
        json!([
            on_duty(&ada, "2010-10-30T00:00:00Z", "2010-11-01T08:00:00Z"),
            on_duty(&ben, "2010-11-01T08:00:00Z", "2010-11-02T00:00:00Z"),
        ])
    );
    // What was read can be written.
    let mut again = made["shifts"].clone();
    again[0].as_object_mut().unwrap().remove("id");
    let again = lea
        .put(&format!("{}/shifts", path(&made)), json!({"shifts": again}))
        .await
        .ok();
    assert_eq!(again["shifts"][0]["rotation"], rotation);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_away_is_not_on_duty_and_only_as_long_as_somebody_else_is() {
    let (desk, ada, ben, lea) = crew().await;
    let queue = both_always(&lea, &ada, &ben).await;
    let absences = format!("{}/absences", path(&queue));
    let leave = |user: &User, from: &str, to: &str| json!({"person_id": user.id, "from": from, "to": to, "reason": "Leave"});
    let (noon, night) = ("2010-09-08T12:00:00Z", "2010-09-09T00:00:00Z");
    let made = ada.post(&absences, leave(&ada, noon, night)).await;
    let address = made.header("location").unwrap().to_owned();
    let made = made.created();
    assert_eq!(
        (&made["person_id"], &made["author_id"]),
        (&json!(ada.id), &json!(ada.id))
    );
    assert_eq!(
        team(&ada, &queue, "2010-09-08T11:59:59Z").await,
        ["ada: always", "ben: always"]
    );
    assert_eq!(team(&ada, &queue, noon).await, ["ben: always"]);
    assert_eq!(team(&ada, &queue, night).await, ["ada: always", "ben: always"]);
    // Nobody would be left from noon to two.
    let refused = lea
        .post(
            &absences,
            leave(&ben, "2010-09-08T08:00:00Z", "2010-09-08T14:00:00Z"),
        )
        .await
        .refused(422, "coverage-gap");
    assert_eq!(
        refused["gaps"],
        json!([{"from": "2010-09-08T12:00:00Z", "to": "2010-09-08T14:00:00Z"}])
    );
    // An agent's are the agent's own, and a lead's are everybody's.
    ben.post(
        &absences,
        leave(&ada, "2010-09-10T00:00:00Z", "2010-09-11T00:00:00Z"),
    )
    .await
    .refused(403, "forbidden");
    ben.delete(&address, json!({})).await.refused(403, "forbidden");
    for (pointer, form) in [
        ("/to", leave(&ada, noon, noon)),
        ("/to", leave(&ada, "2010-09-01T00:00:00Z", "2010-09-02T00:00:00Z")),
        ("/to", leave(&ada, "2010-09-01T00:00:00Z", "2012-09-02T00:00:00Z")),
        ("/person_id", leave(&lea, noon, night)),
    ] {
        let refused = lea.post(&absences, form).await.refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
    assert_eq!(ben.all(&absences).await, [made]);
    assert!(ben.all(&format!("{absences}?from={night}")).await.is_empty());
    let elsewhere = lea.post("/v1/queues", json!({"name": "Billing"})).await.created();
    let wrong = address.replace(&path(&queue), &path(&elsewhere));
    ada.delete(&wrong, json!({})).await.refused(404, "not-found");
    ada.delete(&address, json!({})).await.nothing();
    ada.delete(&address, json!({})).await.refused(404, "not-found");
    assert_eq!(team(&ada, &queue, noon).await, ["ada: always", "ben: always"]);
    assert_eq!(desk.count("absences"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_absences_at_once_that_leave_nobody_exactly_one_is_entered() {
    let (desk, ada, ben, lea) = crew().await;
    let first = both_always(&lea, &ada, &ben).await;
    let second = lea
        .post("/v1/queues", always_on("Billing", &[&ben.id, &ada.id]))
        .await
        .created();
    let leave = |user: &User, day: u32| json!({"person_id": user.id, "from": format!("2010-10-{day:02}T00:00:00Z"), "to": format!("2010-10-{:02}T00:00:00Z", day + 1)});
    // Each through another queue: it holds in both.
    let (here, there) = (
        format!("{}/absences", path(&first)),
        format!("{}/absences", path(&second)),
    );
    for day in 1..9 {
        let (adas, bens) = tokio::join!(
            ada.post(&here, leave(&ada, day)),
            ben.post(&there, leave(&ben, day))
        );
        let mut answers = [adas.status, bens.status];
        answers.sort_unstable();
        assert_eq!(answers, [201, 422], "{} {}", adas.body, bens.body);
    }
    // And somebody who is put into a queue while away there.
    let third = lea
        .post("/v1/queues", always_on("Sign-in", &[&lea.id]))
        .await
        .created();
    let shifts = format!("{}/shifts", path(&third));
    for day in 11..15 {
        let to_ben = always_on("", &[&ben.id]);
        let to_ben = json!({"shifts": to_ben["shifts"]});
        let (away, put) = tokio::join!(ben.post(&here, leave(&ben, day)), lea.put(&shifts, to_ben));
        assert!(
            !(away.status == 201 && put.status == 200),
            "{} {}",
            away.body,
            put.body
        );
        let back = json!({"shifts": always_on("", &[&lea.id])["shifts"]});
        lea.put(&shifts, back).await.ok();
        for absence in ben.all(&here).await {
            let address = format!("{here}/{}", absence["id"].as_str().unwrap());
            lea.delete(&address, json!({})).await.nothing();
        }
    }
    for queue in [&first, &second, &third] {
        let proof = lea.get(&format!("{}/coverage", path(queue))).await.ok();
        assert_eq!(proof["gaps"], json!([]));
    }
    assert_eq!(desk.count("queue_findings"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn overrides_and_swaps_change_who_works_and_are_proved_as_a_whole() {
    let (_desk, ada, ben, lea) = crew().await;
    let halves = json!([
        shift("early", ("00:00", "12:00"), "UTC", &[&ada]),
        shift("late", ("12:00", "00:00"), "UTC", &[&ben]),
    ]);
    let form = json!({"name": "Messaging", "always_on": true, "shifts": halves});
    let queue = lea.post("/v1/queues", form).await.created();
    let (overrides, swaps) = (
        format!("{}/overrides", path(&queue)),
        format!("{}/swaps", path(&queue)),
    );
    let (six, noon) = ("2010-09-09T06:00:00Z", "2010-09-09T12:00:00Z");
    let refused = lea
        .post(&overrides, json!({"from": six, "to": noon, "remove": ada.id}))
        .await
        .refused(422, "coverage-gap");
    assert_eq!(refused["gaps"], json!([{"from": six, "to": noon}]));
    let instead = json!({"from": six, "to": noon, "remove": ada.id, "add": lea.id});
    let made = lea.post(&overrides, instead.clone()).await;
    let address = made.header("location").unwrap().to_owned();
    assert_eq!(made.created()["add"], lea.id.as_str());
    assert_eq!(team(&ada, &queue, six).await, ["lea: "]);
    ada.post(&overrides, instead).await.refused(403, "forbidden");
    // Whom an override adds can be away as well, here too.
    let away = json!({"person_id": lea.id, "from": six, "to": "2010-09-09T07:00:00Z"});
    lea.post(&format!("{}/absences", path(&queue)), away)
        .await
        .refused(422, "coverage-gap");
    lea.delete(&address, json!({})).await.nothing();
    assert_eq!(team(&ada, &queue, six).await, ["ada: early"]);

    // On Friday Ada works late for Ben, and he early for her.
    let half = |user: &User, hours: (&str, &str)| json!({"person_id": user.id, "from": format!("2010-09-10T{}:00Z", hours.0), "to": hours.1});
    let swap = json!({
        "first": half(&ada, ("00:00", "2010-09-10T12:00:00Z")), "second": half(&ben, ("12:00", "2010-09-11T00:00:00Z")),
    });
    let made = lea.post(&swaps, swap.clone()).await.created();
    let both = made["overrides"].as_array().unwrap().clone();
    assert_eq!(lea.all(&overrides).await, both);
    assert_eq!(team(&ada, &queue, "2010-09-10T03:00:00Z").await, ["ben: "]);
    assert_eq!(team(&ada, &queue, "2010-09-10T13:00:00Z").await, ["ada: "]);
    assert_eq!(team(&ada, &queue, "2010-09-11T03:00:00Z").await, ["ada: early"]);
    // Half of a swap only could go: Ada's early hours are hers again.
    lea.delete(
        &format!("{overrides}/{}", both[0]["id"].as_str().unwrap()),
        json!({}),
    )
    .await
    .nothing();
    let mut same = swap;
    same["second"]["person_id"] = json!(ada.id);
    let form = |add: Option<&str>, remove: Option<&str>| json!({"from": six, "to": noon, "add": add, "remove": remove});
    let nobody = uuid::Uuid::new_v4().to_string();
    for (pointer, at, form) in [
        ("/second/person_id", &swaps, same),
        ("/add", &overrides, form(None, None)),
        ("/remove", &overrides, form(Some(&ada.id), Some(&ada.id))),
        ("/add", &overrides, form(Some(&nobody), None)),
        ("/remove", &overrides, form(None, Some(&nobody))),
    ] {
        let refused = lea.post(at, form).await.refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_somebody_succeeds_and_is_found_until_the_queue_is_staffed_again() {
    let (desk, ada, ben, lea) = crew().await;
    let queue = lea
        .post("/v1/queues", always_on("Messaging", &[&ada.id]))
        .await
        .created();
    let numbers = async || {
        let ready = lea.get("/readyz").await.ok()["checks"]["coverage"].clone();
        let metrics = reqwest::get(format!("{}/metrics", desk.url()))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("allclear_desk{kind=\"coverage_findings\"} "))
            .unwrap()
            .to_owned();
        (ready["status"].clone(), ready["findings"].clone(), line)
    };
    assert_eq!(numbers().await, (json!("ok"), json!(0), "0".to_owned()));
    let ada_path = format!("/v1/users/{}", ada.id);
    desk.operator
        .patch(&ada_path, json!({"disabled": true}))
        .await
        .ok();
    assert_eq!(
        team(&lea, &queue, "2010-09-08T12:00:00Z").await,
        Vec::<String>::new()
    );
    desk.drain().await;
    assert_eq!(numbers().await, (json!("gaps"), json!(1), "1".to_owned()));
    let found = lea.get(&path(&queue)).await.ok();
    let finding = json!({
        "kind": "coverage_gap", "since": "2010-09-07T18:00:00Z", "count": 1,
        "first_gap": {"from": "2010-09-07T18:00:00Z", "to": "2011-10-12T18:00:00Z"},
    });
    assert_eq!(found["findings"], json!([finding]));
    let events = |kind: &str| desk.count(&format!("events WHERE kind = '{kind}'"));
    assert_eq!((events("finding_raised"), events("finding_cleared")), (1, 0));
    // Later it is the same finding, and no second event.
    desk.pass(TimeDelta::minutes(10));
    desk.running().worker.sweep().await.unwrap();
    assert_eq!(events("finding_raised"), 1);
    assert_eq!(
        lea.get(&path(&queue)).await.ok()["findings"][0]["since"],
        finding["since"]
    );
    // Only what it adds is refused: a schedule that is no worse is taken, and one that mends it clears it at once.
    let shifts = format!("{}/shifts", path(&queue));
    let office = json!({"shifts": [shift("office", ("09:00", "17:00"), "UTC", &[&ben])]});
    let halfway = lea.put(&shifts, office).await.ok();
    assert_eq!(halfway["findings"][0]["count"], 401);
    let whole = json!({"shifts": always_on("", &[&ben.id])["shifts"]});
    let mended = lea.put(&shifts, whole).await.ok();
    assert_eq!(mended["findings"], json!([]));
    assert_eq!((events("finding_raised"), events("finding_cleared")), (1, 1));
    // Whoever has another role is found as soon.
    let bens = format!("/v1/users/{}", ben.id);
    desk.operator
        .patch(&bens, json!({"role": "incident_manager"}))
        .await
        .ok();
    desk.drain().await;
    assert_eq!(numbers().await.2, "1");
    desk.operator.patch(&bens, json!({"role": "lead"})).await.ok();
    desk.drain().await;
    assert_eq!(numbers().await, (json!("ok"), json!(0), "0".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiver_lets_gaps_through_until_it_ends_and_not_beyond() {
    let (desk, ada, ben, lea) = crew().await;
    let mut form = always_on("Messaging", &[&ada.id, &ben.id]);
    form["minimum"] = json!(2);
    let queue = lea.post("/v1/queues", form).await.created();
    let waivers = format!("{}/waivers", path(&queue));
    let leave = json!({"person_id": ben.id, "from": "2010-09-10T00:00:00Z", "to": "2010-09-12T00:00:00Z"});
    let absences = format!("{}/absences", path(&queue));
    let refused = ben
        .post(&absences, leave.clone())
        .await
        .refused(422, "coverage-gap");
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .starts_with("fewer than 2 would be on duty"),
        "{refused}"
    );
    let grant = async |until: &str| {
        lea.post(&waivers, json!({"until": until, "reason": "The move."}))
            .await
    };
    ada.post(
        &waivers,
        json!({"until": "2010-09-11T00:00:00Z", "reason": "Please."}),
    )
    .await
    .refused(403, "forbidden");
    for until in ["2010-09-07T18:00:00Z", "2012-01-01T00:00:00Z"] {
        grant(until).await.refused(422, "validation-failed");
    }
    grant("2010-09-11T00:00:00Z").await.created();
    // A day of two is let through.
    let refused = ben
        .post(&absences, leave.clone())
        .await
        .refused(422, "coverage-gap");
    assert_eq!(
        refused["gaps"],
        json!([{"from": "2010-09-11T00:00:00Z", "to": "2010-09-12T00:00:00Z"}])
    );
    let longer = grant("2010-09-12T00:00:00Z").await;
    let address = longer.header("location").unwrap().to_owned();
    longer.created();
    ben.post(&absences, leave).await.created();
    let proof = lea.get(&format!("{}/coverage", path(&queue))).await.ok();
    assert_eq!(
        proof["gaps"],
        json!([{"from": "2010-09-10T00:00:00Z", "to": "2010-09-12T00:00:00Z"}])
    );
    assert_eq!(lea.get(&path(&queue)).await.ok()["findings"], json!([]));
    // Without the waiver the day beyond the other one is found.
    assert_eq!(lea.all(&waivers).await.len(), 2);
    lea.delete(&address, json!({})).await.nothing();
    let found = lea.get(&path(&queue)).await.ok();
    assert_eq!(
        found["findings"][0]["first_gap"],
        json!({"from": "2010-09-11T00:00:00Z", "to": "2010-09-12T00:00:00Z"})
    );
    // It goes with the time that it was about.
    desk.pass(TimeDelta::days(6));
    desk.running().worker.sweep().await.unwrap();
    let lea = desk.again(&lea).await;
    assert_eq!(lea.get(&path(&queue)).await.ok()["findings"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roster_is_a_calendar_whose_events_keep_their_names() {
    let (_desk, ada, ben, lea) = crew().await;
    let day = shift("day; all, in", ("08:00", "20:00"), "UTC", &[&ada, &ben]);
    let form = json!({"name": "Messaging", "shifts": [day]});
    let queue = lea.post("/v1/queues", form).await.created();
    let leave = json!({"person_id": ben.id, "from": "2010-09-08T12:00:00Z", "to": "2010-09-10T00:00:00Z"});
    ben.post(&format!("{}/absences", path(&queue)), leave)
        .await
        .created();
    let read = async |path: String| {
        let answer = ada.call(Method::GET, &path).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/calendar; charset=utf-8");
        // Lines are folded (RFC 5545 §3.1).
        answer.text().await.unwrap().replace("\r\n ", "")
    };
    let range = "from=2010-09-08T09:00:00Z&to=2010-09-10T00:00:00Z";
    let of_queue = format!("{}/schedule.ics?{range}", path(&queue));
    let calendar = read(of_queue.clone()).await;
    assert!(calendar.starts_with("BEGIN:VCALENDAR\r\n") && calendar.ends_with("END:VCALENDAR\r\n"));
    let values = |calendar: &str, name: &str| -> Vec<String> {
        let lines = calendar.lines().filter_map(|line| line.strip_prefix(name));
        lines.map(str::to_owned).collect()
    };
    let mut starts = values(&calendar, "DTSTART:");
    starts.sort_unstable();
    // Whole days of Ada's, and Ben's until he left.
    assert_eq!(
        starts,
        ["20100908T080000Z", "20100908T080000Z", "20100909T080000Z"]
    );
    let mut ends = values(&calendar, "DTEND:");
    ends.sort_unstable();
    assert_eq!(ends, ["20100908T120000Z", "20100908T200000Z", "20100909T200000Z"]);
    assert!(
        calendar.contains("SUMMARY:ben: day\\; all\\, in\r\n"),
        "{calendar}"
    );
    let mut names = values(&calendar, "UID:");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 3);
    // The same schedule once more, with other ids: the events are the same.
    let mut shifts = queue["shifts"].clone();
    shifts[0].as_object_mut().unwrap().remove("id");
    lea.put(&format!("{}/shifts", path(&queue)), json!({"shifts": shifts}))
        .await
        .ok();
    let mut again = values(&read(of_queue).await, "UID:");
    again.sort_unstable();
    assert_eq!(again, names);
    let own = read(format!("/v1/agents/{}/schedule.ics?{range}", ben.id)).await;
    assert_eq!(values(&own, "SUMMARY:"), ["Messaging: day\\; all\\, in"]);
    let ahead = read(format!("/v1/agents/{}/schedule.ics", ada.id)).await;
    assert_eq!(values(&ahead, "UID:").len(), 91);
    let nobody = format!("/v1/agents/{}/schedule.ics", uuid::Uuid::new_v4());
    Reply::of(ada.call(Method::GET, &nobody))
        .await
        .refused(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shift_has_members_or_a_rotation_and_nothing_that_is_not_right() {
    let (desk, ada, _, lea) = crew().await;
    let good = json!({"weeks": 1, "from": "2010-09-06", "teams": [[ada.id]]});
    let with = |field: &str, value: Value| {
        let mut rotation = good.clone();
        rotation[field] = value;
        rotation
    };
    let nobody = uuid::Uuid::new_v4();
    for (pointer, members, rotation) in [
        ("/shifts/0/members", json!([ada.id]), good.clone()),
        ("/shifts/0/members", Value::Null, Value::Null),
        ("/shifts/0/rotation/weeks", Value::Null, with("weeks", json!(0))),
        ("/shifts/0/rotation/weeks", Value::Null, with("weeks", json!(53))),
        (
            "/shifts/0/rotation/from",
            Value::Null,
            with("from", json!("2010-02-30")),
        ),
        ("/shifts/0/rotation/teams", Value::Null, with("teams", json!([]))),
        (
            "/shifts/0/rotation/teams/0",
            Value::Null,
            with("teams", json!([[]])),
        ),
        (
            "/shifts/0/rotation/teams/1/0",
            Value::Null,
            with("teams", json!([[ada.id], [nobody]])),
        ),
        (
            "/shifts/0/rotation/colour",
            Value::Null,
            with("colour", json!("red")),
        ),
    ] {
        let mut shift = shift("day", ("08:00", "16:00"), "UTC", &[]);
        shift["members"] = members;
        shift["rotation"] = rotation;
        let form = json!({"name": "Messaging", "shifts": [shift]});
        let refused = lea
            .post("/v1/queues", form)
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    for minimum in [0, 51] {
        let form = json!({"name": "Messaging", "minimum": minimum});
        let refused = lea
            .post("/v1/queues", form)
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], "/minimum");
    }
    assert_eq!(desk.count("queues"), 0);
}
