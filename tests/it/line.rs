//! The line: what comes back at a shift's end, who may take what, where goes what nobody answers, who is given work.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use allclear::app;
use allclear::db::Location;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::desk::{Reply, Stage, User, always_on};

const ALL_DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const SECOND: TimeDelta = TimeDelta::seconds(1);

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

fn path(queue: &Value) -> String {
    format!("/v1/queues/{}", id(queue))
}

fn shift(name: &str, hours: (&str, &str), members: &[&User]) -> Value {
    let members: Vec<_> = members.iter().map(|member| member.id.as_str()).collect();
    json!({
        "name": name, "days": ALL_DAYS, "start": hours.0, "end": hours.1, "time_zone": "UTC", "members": members,
    })
}

async fn files(user: &User, severity: &str, subject: &str) -> Value {
    let form = json!({
        "incident_id": null, "severity": severity, "subject": subject, "description": "It is down.",
        "service": "exchange-online",
    });
    user.post("/v1/service-requests", form).await.created()
}

async fn claim(agent: &User, queue: &Value) -> Reply {
    agent.post(&format!("{}/claim", path(queue)), json!({})).await
}

async fn claims(agent: &User, queue: &Value) -> Value {
    claim(agent, queue).await.ok()["service_request"].clone()
}

async fn request(user: &User, of: &Value) -> Value {
    user.get(&format!("/v1/service-requests/{}", id(of))).await.ok()
}

/// A desk whose tokens outlast the hours that pass.
async fn stage() -> Stage {
    Stage::set_with(|settings| settings.access_token_lifetime = TimeDelta::days(1)).await
}

/// These, and nobody else, work in the queue of the stage, around the clock.
async fn staff(stage: &Stage, members: &[&User]) {
    let members: Vec<&str> = members.iter().map(|member| member.id.as_str()).collect();
    let shifts = json!({"shifts": always_on("", &members)["shifts"]});
    let place = format!("{}/shifts", path(&stage.queue));
    stage.desk.operator.put(&place, shifts).await.ok();
}

/// What happened to a request, in order.
async fn kinds(user: &User, of: &Value) -> Vec<String> {
    let events = user
        .all(&format!("/v1/service-requests/{}/history", id(of)))
        .await;
    events
        .iter()
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect()
}

async fn stranded(user: &User) -> Vec<Value> {
    user.get("/v1/reports/stranded").await.ok()["items"]
        .as_array()
        .unwrap()
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_goes_back_ahead_of_its_severity_when_the_shift_ends() {
    let stage = stage().await;
    let Stage {
        desk,
        ada,
        bob,
        queue,
        ..
    } = &stage;
    let ben = desk.staff("ben", "agent").await;
    let two = [
        shift("day", ("06:00", "20:00"), &[ada]),
        shift("night", ("20:00", "06:00"), &[&ben]),
    ];
    desk.operator
        .put(&format!("{}/shifts", path(queue)), json!({"shifts": two}))
        .await
        .ok();
    let first = files(bob, "c", "first").await;
    desk.pass(SECOND);
    let second = files(bob, "c", "second").await;
    desk.pass(SECOND);
    let asked = files(bob, "c", "asked").await;
    for _ in 0..3 {
        claims(ada, queue).await;
    }
    ada.post(
        &format!("/v1/service-requests/{}/await-customer", id(&asked)),
        json!({}),
    )
    .await
    .ok();
    desk.pass(SECOND);
    let waiting = files(bob, "c", "waiting").await;
    let worse = files(bob, "b", "worse").await;
    desk.drain().await;
    assert_eq!(
        request(ada, &first).await["status"],
        "in_progress",
        "the shift has not ended"
    );
    let words = json!({"body": "First is nearly done."});
    let last_words = format!("{}/last-words", path(queue));
    ada.post(&last_words, words.clone()).await.ok();
    ben.post(&last_words, words).await.refused(409, "not-on-duty");

    desk.pass(TimeDelta::hours(2));
    desk.drain().await;
    ben_is_told(&stage, &ben).await;
    for one in [&first, &second] {
        let now = request(ada, one).await;
        assert_eq!(
            (&now["status"], &now["assignee"]),
            (&json!("queued"), &Value::Null)
        );
        assert_eq!(
            kinds(ada, one).await,
            ["request_filed", "request_claimed", "request_handed_over"]
        );
    }
    assert_eq!(request(ada, &asked).await["status"], "pending_customer");
    // The customer replies to somebody who is off duty: into the line.
    bob.post(
        &format!("/v1/service-requests/{}/comments", id(&asked)),
        json!({"body": "Here it is."}),
    )
    .await
    .created();
    assert_eq!(request(ada, &asked).await["status"], "queued");

    claim(ada, queue).await.refused(409, "not-on-duty");
    // To give it to somebody who is off duty is a decision, and stands.
    let assign = format!("/v1/service-requests/{}/assign", id(&waiting));
    let form = json!({"assignee_id": ada.id});
    desk.operator.post(&assign, form).await.ok();
    desk.drain().await;
    assert_eq!(request(ada, &waiting).await["assignee"]["name"], "ada");
    let mut taken = Vec::new();
    for _ in 0..4 {
        let answer = claim(&ben, queue).await.ok();
        taken.push((
            answer["service_request"]["subject"].as_str().unwrap().to_owned(),
            answer["reason"]["handed_over"].as_bool().unwrap(),
        ));
    }
    let expected = [
        ("worse", false),
        ("first", true),
        ("second", true),
        ("asked", false),
    ];
    assert_eq!(
        taken,
        expected.map(|(subject, handed_over)| (subject.to_owned(), handed_over))
    );
    assert_eq!(claim(&ben, queue).await.status, 204);
    assert_eq!(request(ada, &worse).await["assignee"]["name"], "ben");
    desk.drain().await;
}

/// Once, at once, by mail and in the list; and takes note of it.
async fn ben_is_told(stage: &Stage, ben: &User) {
    let list = format!("{}/hand-overs", path(&stage.queue));
    let told = ben.all(&list).await;
    assert_eq!(told.len(), 1);
    let told = &told[0];
    assert_eq!(
        (&told["at"], &told["leaves"][0]["name"], &told["comes"][0]["name"]),
        (&json!("2010-09-07T20:00:00Z"), &json!("ada"), &json!("ben"))
    );
    assert_eq!(
        (&told["open_requests"], &told["handed_over"]),
        (&json!(5), &json!(2))
    );
    assert_eq!(told["last_words"][0]["body"], "First is nearly done.");
    assert_eq!(told["acknowledged_by"], Value::Null);
    let mails = stage.desk.mailbox.to("ben@provider.example");
    let mail = mails
        .iter()
        .find(|mail| mail.subject().contains("Handed over to you"))
        .unwrap();
    let text = mail.text();
    assert!(
        text.contains("Handed over: 2") && text.contains("ada: First is nearly done."),
        "{text}"
    );
    let note = format!("{list}/{}/acknowledge", id(told));
    stage.ada.post(&note, json!({})).await.refused(409, "not-on-duty");
    for _ in 0..2 {
        let noted = ben.post(&note, json!({})).await.ok();
        assert_eq!(noted["acknowledged_by"]["name"], "ben");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_takes_what_it_knows_and_has_room_for() {
    let stage = stage().await;
    let Stage {
        desk,
        ada,
        bob,
        queue,
        ..
    } = &stage;
    let lea = desk.staff("lea", "lead").await;
    let rules = json!({"rules": [
        {"name": "zones", "when": {"severity": ["a"]}, "queue_id": id(queue), "needs": {"skills": {"dns": 3}}},
        {"name": "all", "when": {}, "queue_id": id(queue)},
    ]});
    desk.operator.put("/v1/routing-rules", rules).await.ok();
    let ben = desk.staff("ben", "agent").await;
    staff(&stage, &[ada, &ben]).await;
    let agent = |of: &User| format!("/v1/agents/{}", of.id);
    let dns = json!({"skills": [{"kind": "skill", "name": "dns", "level": 3}]});
    lea.patch(&agent(&ben), dns).await.ok();
    lea.patch(&agent(ada), json!({"capacity": 3})).await.ok();
    let zone = files(bob, "a", "zone").await;
    let (high, normal, low) = (
        files(bob, "b", "high").await,
        files(bob, "c", "normal").await,
        files(bob, "d", "low").await,
    );

    // Ada does not know zones; a `b` weighs 3, which is all she may have.
    assert_eq!(claims(ada, queue).await["id"], high["id"]);
    let full = claim(ada, queue).await.refused(409, "at-capacity");
    assert_eq!((&full["load"], &full["capacity"]), (&json!(3), &json!(3)));
    let assign = |of: &Value| format!("/v1/service-requests/{}/assign", id(of));
    lea.post(&assign(&low), json!({"assignee_id": ada.id}))
        .await
        .refused(409, "at-capacity");
    lea.patch(&agent(ada), json!({"capacity": 4})).await.ok();
    // Room for 1: the `c` is passed over.
    assert_eq!(claims(ada, queue).await["id"], low["id"]);
    // To wait for the customer frees no room: it comes back.
    ada.post(
        &format!("/v1/service-requests/{}/await-customer", id(&low)),
        json!({}),
    )
    .await
    .ok();
    claim(ada, queue).await.refused(409, "at-capacity");
    ada.post(
        &format!("/v1/service-requests/{}/resolve", id(&high)),
        json!({"body": "Done."}),
    )
    .await
    .ok();
    assert_eq!(claims(ada, queue).await["id"], normal["id"]);
    assert_eq!(
        claim(ada, queue).await.status,
        204,
        "the zone needs somebody else"
    );

    ben.put("/v1/me/presence", json!({"presence": "away"})).await.ok();
    claim(&ben, queue).await.refused(409, "not-available");
    ben.put("/v1/me/presence", json!({"presence": "busy"})).await.ok();
    assert_eq!(claims(&ben, queue).await["id"], zone["id"]);
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_answers_climbs_the_ladder_and_an_empty_step_is_skipped_at_once() {
    let stage = stage().await;
    let Stage {
        desk,
        ada,
        bob,
        queue,
        ..
    } = &stage;
    let lea = desk.staff("lea", "lead").await;
    let dan = desk.staff("dan", "agent").await;
    let second = desk
        .operator
        .post("/v1/queues", always_on("Second", &[&lea.id]))
        .await
        .created();
    // Nobody is on duty here by day.
    let night = json!({"name": "Night", "shifts": [shift("night", ("22:00", "06:00"), &[&dan])], "fallback_queue_id": second["id"]});
    let night = desk.operator.post("/v1/queues", night).await.created();
    let ladder = json!({"ladder": [
        {"after_minutes": 15, "queue_id": night["id"]},
        {"after_minutes": 30, "duty_lead": true},
        {"after_minutes": 60, "queue_id": second["id"]},
    ]});
    desk.operator.patch(&path(queue), ladder).await.ok();
    let waits = files(bob, "b", "waits").await;
    desk.pass(TimeDelta::minutes(15) - SECOND);
    desk.drain().await;
    assert_eq!(request(ada, &waits).await["queue"]["id"], queue["id"]);
    desk.pass(SECOND);
    desk.drain().await;
    // The night is empty: the lead is told at once.
    assert_eq!(kinds(ada, &waits).await, ["request_filed", "request_escalated"]);
    assert_eq!(kinds(bob, &waits).await, ["request_filed"]);
    let told = desk.mailbox.to("lea@provider.example");
    assert_eq!(told.len(), 1);
    desk.pass(TimeDelta::minutes(45));
    desk.drain().await;
    assert_eq!(request(ada, &waits).await["queue"]["id"], second["id"]);
    assert_eq!(request(ada, &waits).await["status"], "queued");

    // Straight to a queue where nobody is: to its fallback, without waiting.
    let rules = json!({"rules": [
        {"name": "night", "when": {"severity": ["d"]}, "queue_id": night["id"]},
        {"name": "zones", "when": {"severity": ["a"]}, "queue_id": queue["id"], "needs": {"skills": {"dns": 5}}},
        {"name": "all", "when": {}, "queue_id": queue["id"]},
    ]});
    desk.operator.put("/v1/routing-rules", rules).await.ok();
    let sleeper = files(bob, "d", "sleeper").await;
    let zone = files(bob, "a", "zone").await;
    assert!(stranded(&lea).await.is_empty());
    desk.drain().await;
    assert_eq!(request(ada, &sleeper).await["queue"]["id"], second["id"]);
    // Nobody anywhere knows zones: whoever is on duty may take it.
    assert_eq!(claims(ada, queue).await["id"], zone["id"]);

    // By hand: at once what the ladder would do later.
    let other = files(bob, "b", "other").await;
    let escalate = format!("/v1/service-requests/{}/escalate", id(&other));
    let moved = ada
        .post(&escalate, json!({"body": "It is beyond me."}))
        .await
        .ok();
    assert_eq!(moved["queue"]["id"], queue["id"], "the lead is told first");
    assert_eq!(
        ada.post(&escalate, json!({})).await.ok()["queue"]["id"],
        second["id"]
    );
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_can_be_reached_by_nobody_is_shown_and_counted() {
    let stage = stage().await;
    let Stage {
        desk,
        ada,
        bob,
        queue,
        ..
    } = &stage;
    let lea = desk.staff("lea", "lead").await;
    files(bob, "b", "one").await;
    files(bob, "b", "two").await;
    claims(ada, queue).await;
    assert!(stranded(&lea).await.is_empty());
    desk.operator
        .patch(&format!("/v1/users/{}", ada.id), json!({"disabled": true}))
        .await
        .ok();
    let found = stranded(&lea).await;
    let counts: Vec<_> = found
        .iter()
        .map(|group| (&group["queue_id"], &group["count"]))
        .collect();
    assert_eq!(
        counts,
        [(&queue["id"], &json!(1)), (&queue["id"], &json!(1))],
        "{found:?}"
    );
    let metrics = desk.stranger().get("/metrics").await.body;
    assert!(
        metrics
            .as_str()
            .unwrap()
            .contains("allclear_desk{kind=\"stranded_requests\"} 2"),
        "{metrics}"
    );
    bob.get("/v1/reports/stranded").await.refused(403, "forbidden");
    // Somebody comes: nobody is stranded, and what Ada had is back in the line.
    staff(&stage, &[&lea]).await;
    desk.drain().await;
    assert!(stranded(&lea).await.is_empty());
    assert_eq!(claims(&lea, queue).await["status"], "in_progress");
    assert_eq!(claims(&lea, queue).await["status"], "in_progress");
    desk.drain().await;
}

/// Rotas of a queue that is always staffed, one after the other: the last two have a gap.
fn rotas(all: &[&User]) -> Vec<Value> {
    let around = [("00:00", "08:00"), ("08:00", "16:00"), ("16:00", "00:00")];
    let sites = |first: usize| -> Vec<Value> {
        let of = |(n, hours)| shift("site", hours, &[all[(first + n) % all.len()]]);
        around.into_iter().enumerate().map(of).collect()
    };
    let all_together = vec![shift("together", ("00:00", "00:00"), all)];
    let two = vec![
        shift("day", ("06:00", "18:00"), &all[..2]),
        shift("night", ("18:00", "06:00"), &all[2..]),
    ];
    let gap = vec![shift("day", ("06:00", "18:00"), all)];
    let rotas = [sites(0), all_together, sites(1), two, sites(2), gap, Vec::new()];
    rotas.map(|shifts| json!({"shifts": shifts})).to_vec()
}

/// Works for a while: takes what it gets, and settles, returns or leaves it.
async fn works(agent: &User, queues: [&Value; 2], first: usize) {
    for turn in first..first + 40 {
        let taken = claim(agent, queues[turn % 2]).await;
        if taken.status != 200 {
            continue;
        }
        let verb = ["resolve", "release", "await-customer", ""][turn % 4];
        let place = format!(
            "/v1/service-requests/{}/{verb}",
            id(&taken.body["service_request"])
        );
        if !verb.is_empty() {
            // The watch may have taken it back meanwhile.
            let form = match verb {
                "resolve" => json!({"body": "It is up."}),
                _ => json!({}),
            };
            let done = agent.post(&place, form).await;
            assert!(
                matches!(done.status, 200 | 403 | 409),
                "{} {}",
                done.status,
                done.body
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_stranded_while_rotas_change_under_load() {
    let stage = stage().await;
    let Stage {
        desk,
        ada,
        bob,
        eva,
        queue,
        ..
    } = &stage;
    let (ben, cyd) = (desk.staff("ben", "agent").await, desk.staff("cyd", "agent").await);
    let lea = desk.staff("lea", "lead").await;
    let team = [ada, &ben, &cyd];
    staff(&stage, &team).await;
    // Whose members come and go as they like, for the first stands behind it.
    let second = json!({"name": "Second", "shifts": [], "fallback_queue_id": queue["id"]});
    let second = desk.operator.post("/v1/queues", second).await.created();
    let rules = json!({"rules": [
        {"name": "second", "when": {"severity": ["c", "d"]}, "queue_id": second["id"], "needs": {"skills": {"dns": 3}}},
        {"name": "all", "when": {}, "queue_id": queue["id"]},
    ]});
    desk.operator.put("/v1/routing-rules", rules).await.ok();

    let is_over = AtomicBool::new(false);
    let filing = async |user: &User| {
        for severity in ["a", "b", "c", "d"].iter().cycle().take(60) {
            files(user, severity, "again").await;
        }
    };
    let changing = async {
        let (mut kept, mut refused) = (0, 0);
        for (turn, rota) in rotas(&team).iter().cycle().take(28).enumerate() {
            let reply = desk
                .operator
                .put(&format!("{}/shifts", path(queue)), rota.clone())
                .await;
            match reply.status {
                200 => kept += 1,
                _ => {
                    reply.refused(422, "coverage-gap");
                    refused += 1;
                }
            }
            let loose = &rotas(&team)[(turn * 3) % 7];
            desk.operator
                .put(&format!("{}/shifts", path(&second)), loose.clone())
                .await
                .ok();
            desk.pass(TimeDelta::minutes(50));
        }
        assert_eq!((kept, refused), (20, 8));
    };
    let load = async {
        let three = futures_util::future::join3(
            works(ada, [queue, &second], 0),
            works(&ben, [&second, queue], 1),
            works(&cyd, [queue, &second], 2),
        );
        let filed = futures_util::future::join3(filing(bob), filing(eva), changing);
        futures_util::future::join(three, filed).await;
        is_over.store(true, Ordering::SeqCst);
    };
    let background = async {
        while !is_over.load(Ordering::SeqCst) {
            desk.drain().await;
        }
    };
    let looking = async {
        let mut looks = 0;
        while !is_over.load(Ordering::SeqCst) {
            assert_eq!(stranded(&lea).await, Vec::<Value>::new());
            looks += 1;
        }
        assert!(looks > 20, "only {looks} looks");
    };
    futures_util::future::join3(load, background, looking).await;
    desk.drain().await;
    assert_eq!(stranded(&lea).await, Vec::<Value>::new());
    let open = desk.count("service_requests WHERE status IN ('queued', 'in_progress')");
    assert!(open > 0, "there was somebody to be stranded");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_given_out_evenly_by_many_at_once() {
    const REQUESTS: usize = 60;
    let mut stage = stage().await;
    let mut agents = vec![stage.ada.clone()];
    for name in ["ben", "cyd", "dan"] {
        agents.push(stage.desk.staff(name, "agent").await);
    }
    staff(&stage, &agents.iter().collect::<Vec<_>>()).await;
    stage
        .desk
        .operator
        .patch(&path(&stage.queue), json!({"push": "round_robin"}))
        .await
        .ok();
    // A second process, where the database can be shared.
    let second = match stage.desk.settings().database {
        Location::Postgres(_) => Some(
            app::open(stage.desk.settings().clone(), stage.desk.clock.clone())
                .await
                .unwrap(),
        ),
        Location::Sqlite(_) => None,
    };
    let mut workers = vec![stage.desk.running().worker.clone()];
    workers.extend(second.as_ref().map(|running| running.worker.clone()));
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..32 {
        let (bob, worker) = (stage.bob.clone(), workers[writer % workers.len()].clone());
        tasks.spawn(async move {
            for _ in (writer..REQUESTS).step_by(32) {
                files(&bob, "c", "even").await;
                let _ = worker.watch().await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    stage.desk.drain().await;
    let mut given: BTreeMap<String, usize> = BTreeMap::new();
    for one in stage
        .desk
        .operator
        .all("/v1/service-requests?status=in_progress")
        .await
    {
        *given
            .entry(one["assignee"]["name"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    assert_eq!(given.values().sum::<usize>(), REQUESTS, "{given:?}");
    assert_eq!(given.len(), 4);
    assert!(
        given.values().max().unwrap() - given.values().min().unwrap() <= 1,
        "{given:?}"
    );
    assert_eq!(stage.desk.count("waiting_requests"), 0);
    if let Some(second) = second {
        second.stop().await;
    }
    stage.desk.leave_undrained();
}
