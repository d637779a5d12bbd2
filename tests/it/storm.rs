//! Many at once: filers against a resolve, claimers on one line, processes on one database, and a process that is
//! killed in the middle.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use allclear::app;
use allclear::clock::Clock;
use allclear::db::schema::{events, sla_clocks, sla_intervals};
use allclear::db::{Json, Location, Moment, RequestId, SubjectId};
use allclear::journal::EventKind;
use allclear::mail::Step;
use allclear::worker::Worker;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::Connection as _;
use diesel::prelude::*;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::desk::{Database, PASSWORD, Reply, Stage, TestDesk, User, always_on, incident_form};
use crate::mailbox::Mailbox;

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

fn at(of: &Value) -> DateTime<Utc> {
    of.as_str().unwrap().parse().unwrap()
}

async fn storm_stage() -> Stage {
    Stage::set_with(|settings| settings.access_token_lifetime = TimeDelta::days(100)).await
}

/// Lets a clock run along with the machine's until it is dropped.
struct Running(Arc<AtomicBool>);

impl Running {
    fn of(clock: &Clock) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, clock) = (Arc::clone(&stop), clock.clone());
        let (began, start) = (clock.now(), Instant::now());
        std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                clock.set(began + TimeDelta::from_std(start.elapsed()).unwrap());
                std::thread::sleep(Duration::from_micros(50));
            }
        });
        Self(stop)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Waits for what another thread or process brings about, a minute at most.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{what} never came true"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// What somebody files who calls the desk.
fn by_telephone(tenant: &Value, incident: &Value, email: &str, subject: &str) -> Value {
    json!({
        "incident_id": incident["id"], "severity": "b", "subject": subject, "description": "It is down.",
        "tenant_id": tenant["id"], "requester": {"email": email, "name": "A caller"}, "channel": "telephone",
    })
}

// Filing against resolving.

const FILERS: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn under_a_storm_of_filings_a_resolve_answers_within_a_second_and_nothing_slips_past_it() {
    let stage = storm_stage().await;
    let desk = &stage.desk;
    let incident = stage.incident().await;
    let clock = Running::of(&desk.clock);
    let filed = Arc::new(AtomicUsize::new(0));
    // Contoso's contact hears of the opening, and so of the end.
    desk.drain().await;
    let filers: Vec<_> = (0..FILERS)
        .map(|n| {
            let (ada, tenant, incident, filed) = (
                stage.ada.clone(),
                stage.contoso.clone(),
                incident.clone(),
                Arc::clone(&filed),
            );
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                loop {
                    // Everyone's first one is their own; later ones come from new people too.
                    let email = format!("caller{n}x{}@contoso.example", acknowledged.len());
                    let form = by_telephone(&tenant, &incident, &email, "It is down");
                    let reply = ada.post("/v1/service-requests", form).await;
                    if reply.status != 201 {
                        let problem = reply.refused(409, "incident-not-active");
                        assert_eq!(problem["incident_status"], "resolved");
                        return acknowledged;
                    }
                    filed.fetch_add(1, Ordering::SeqCst);
                    acknowledged.push((email, reply.body));
                }
            })
        })
        .collect();
    until("a storm", || filed.load(Ordering::SeqCst) >= 3 * FILERS).await;

    let asked = Instant::now();
    let resolved = stage
        .marta
        .post(
            &format!("/v1/incidents/{}/resolve", id(&incident)),
            json!({"body": "It is over."}),
        )
        .await
        .ok();
    let took = asked.elapsed();
    let mut acknowledged = Vec::new();
    for filer in filers {
        acknowledged.extend(filer.await.unwrap());
    }
    drop(clock);
    assert!(
        took < Duration::from_secs(1),
        "the resolve took {took:?} under {FILERS} filers"
    );

    let over = at(&resolved["resolved_at"]);
    let all = stage
        .ada
        .all(&format!("/v1/service-requests?incident_id={}", id(&incident)))
        .await;
    assert_eq!(
        all.len(),
        acknowledged.len(),
        "bound to the incident is what was acknowledged"
    );
    for request in &all {
        let filed = at(&request["created_at"]);
        assert!(filed <= over, "filed at {filed}, which was over at {over}");
    }
    desk.drain().await;
    let event = resolved["broadcast_id"].as_str().unwrap();
    let audience: BTreeSet<String> = desk
        .operator
        .all(&format!("/v1/deliveries?event_id={event}"))
        .await
        .iter()
        .map(|row| row["recipient"].as_str().unwrap().to_owned())
        .collect();
    for (email, request) in &acknowledged {
        assert!(
            audience.contains(email),
            "{email} filed {request} and is not told of the end"
        );
    }
    assert_eq!(
        audience.len(),
        acknowledged.len() + 1,
        "and Contoso's contact, and nobody else"
    );
    for request in stage
        .ada
        .all(&format!("/v1/service-requests?incident_id={}", id(&incident)))
        .await
    {
        assert_eq!(
            (&request["status"], &request["resolution"]["cause"]),
            (&json!("resolved"), &json!("incident")),
            "{request}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_storm_of_links_and_watchers_the_audience_of_the_end_is_complete() {
    let stage = storm_stage().await;
    let desk = &stage.desk;
    let incident = stage.incident().await;
    let mut requests = Vec::new();
    for n in 0..16 {
        let form = json!({"incident_id": null, "service": "exchange-online", "severity": "c",
            "subject": format!("Number {n}"), "description": "It is down."});
        requests.push(stage.bob.post("/v1/service-requests", form).await.created());
    }
    let clock = Running::of(&desk.clock);
    let done = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = requests
        .into_iter()
        .enumerate()
        .map(|(n, request)| {
            let (ada, incident, done) = (stage.ada.clone(), incident.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let path = format!("/v1/service-requests/{}", id(&request));
                let mut added = Vec::new();
                let link = ada
                    .put(
                        &format!("{path}/incident"),
                        json!({"incident_id": incident["id"]}),
                    )
                    .await;
                if link.status != 200 {
                    link.refused(409, "incident-not-active");
                    return added;
                }
                for round in 0..20 {
                    // Read before the watcher is added: then it was added in time.
                    let status = ada.get(&format!("/v1/incidents/{}", id(&incident))).await.ok();
                    let watcher = format!("w{n}x{round}@contoso.example");
                    let reply = ada
                        .put(&format!("{path}/watchers"), json!({"watchers": [watcher]}))
                        .await;
                    assert_eq!(reply.status, 200, "{}", reply.body);
                    done.fetch_add(1, Ordering::SeqCst);
                    let after = ada.get(&format!("/v1/incidents/{}", id(&incident))).await.ok();
                    if after["status"] == "investigating" {
                        assert_eq!(status["status"], "investigating");
                        added.push(watcher);
                    }
                }
                added
            })
        })
        .collect();
    until("watchers", || done.load(Ordering::SeqCst) >= 64).await;
    let resolved = stage
        .marta
        .post(
            &format!("/v1/incidents/{}/resolve", id(&incident)),
            json!({"body": "Over."}),
        )
        .await
        .ok();
    let mut in_time = Vec::new();
    for client in clients {
        in_time.extend(client.await.unwrap());
    }
    drop(clock);
    desk.drain().await;
    assert!(in_time.len() >= 32, "the end came too early: {}", in_time.len());
    let event = resolved["broadcast_id"].as_str().unwrap();
    let rows = desk
        .operator
        .all(&format!("/v1/deliveries?event_id={event}"))
        .await;
    let audience: BTreeSet<&str> = rows
        .iter()
        .map(|row| row["recipient"].as_str().unwrap())
        .collect();
    for watcher in &in_time {
        assert!(
            audience.contains(watcher.as_str()),
            "{watcher} is not told of the end"
        );
    }
}

// One line, many hands.

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_claimers_empty_a_line_of_a_thousand_and_no_request_goes_to_two() {
    let stage = storm_stage().await;
    let desk = &stage.desk;
    let mut agents = Vec::new();
    for n in 0..32 {
        agents.push(desk.staff(&format!("agent{n}"), "agent").await);
    }
    let members: Vec<&str> = agents.iter().map(|agent| agent.id.as_str()).collect();
    let queue = desk
        .operator
        .post("/v1/queues", always_on("Storm", &members))
        .await
        .created();
    let rules = json!({"rules": [{"name": "all", "when": {}, "queue_id": queue["id"]}]});
    desk.operator.put("/v1/routing-rules", rules).await.ok();
    let incident = stage.incident().await;
    let filers: Vec<_> = (0..20)
        .map(|filer| {
            let (bob, incident) = (stage.bob.clone(), incident.clone());
            tokio::spawn(async move {
                for n in 0..50 {
                    let severity = ["a", "b", "c", "d"][(filer + n) % 4];
                    let form = json!({"incident_id": incident["id"], "severity": severity,
                        "subject": "It is down", "description": "It is down."});
                    bob.post("/v1/service-requests", form).await.created();
                }
            })
        })
        .collect();
    for filer in filers {
        filer.await.unwrap();
    }

    let line = desk
        .operator
        .all(&format!("/v1/queues/{}/service-requests", id(&queue)))
        .await;
    let place: HashMap<String, usize> = line
        .iter()
        .enumerate()
        .map(|(place, request)| (id(request).to_owned(), place))
        .collect();
    assert_eq!(place.len(), 1000);
    let severities: Vec<&str> = line
        .iter()
        .map(|request| request["severity"].as_str().unwrap())
        .collect();
    assert!(severities.is_sorted(), "the most urgent come first");

    let claimers: Vec<_> = agents
        .iter()
        .map(|agent| {
            let (agent, path) = (agent.clone(), format!("/v1/queues/{}/claim", id(&queue)));
            tokio::spawn(async move {
                let mut claimed = Vec::new();
                loop {
                    let reply = agent.post(&path, json!({})).await;
                    if reply.status == 204 {
                        return (agent.id, claimed);
                    }
                    let body = reply.ok();
                    assert_eq!(body["service_request"]["assignee"]["id"], agent.id.as_str());
                    claimed.push(id(&body["service_request"]).to_owned());
                }
            })
        })
        .collect();
    let mut owner = HashMap::new();
    for claimer in claimers {
        let (agent, claimed) = claimer.await.unwrap();
        let places: Vec<usize> = claimed.iter().map(|request| place[request]).collect();
        assert!(
            places.is_sorted_by(|a, b| a < b),
            "{agent} got them out of order: {places:?}"
        );
        for request in claimed {
            let other = owner.insert(request.clone(), agent.clone());
            assert_eq!(other, None, "{request} went to two agents");
        }
    }
    assert_eq!(
        owner.len(),
        1000,
        "204 was answered while something was in the line"
    );
    for request in desk
        .operator
        .all(&format!("/v1/queues/{}/service-requests", id(&queue)))
        .await
    {
        assert_eq!(
            (&request["status"], request["assignee"]["id"].as_str().unwrap()),
            (&json!("in_progress"), owner[id(&request)].as_str())
        );
    }
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_that_come_at_once_all_land_each_with_a_number_of_its_own() {
    let stage = storm_stage().await;
    let desk = &stage.desk;
    let incident = stage.incident().await;
    let request = stage.bob.files("Mail is down", &incident).await.created();
    let path = format!("/v1/service-requests/{}", id(&request));
    let writers: Vec<_> = (0..15)
        .map(|writer| {
            let (ada, path) = (stage.ada.clone(), format!("{path}/comments"));
            tokio::spawn(async move {
                for n in 0..10 {
                    ada.post(&path, json!({"body": format!("Comment {writer}.{n}")}))
                        .await
                        .created();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let comments = stage.bob.all(&format!("{path}/comments")).await;
    let bodies: BTreeSet<&str> = comments
        .iter()
        .map(|comment| comment["body"].as_str().unwrap())
        .collect();
    assert_eq!((comments.len(), bodies.len()), (150, 150));
    let history = stage.bob.all(&format!("{path}/history")).await;
    let numbers: Vec<i64> = history
        .iter()
        .map(|event| event["seq"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=151).collect::<Vec<_>>());
    // All of them within one instant of the clock, and each is a mail.
    desk.drain().await;
    let replies = desk
        .mailbox
        .to("bob@contoso.example")
        .iter()
        .filter(|mail| mail.subject().contains("New reply"))
        .count();
    assert_eq!(replies, 150);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_calls_with_one_key_at_once_have_one_effect_and_one_answer() {
    let stage = storm_stage().await;
    let desk = &stage.desk;
    let incident = stage.incident().await;
    desk.drain().await;
    for n in 0..10 {
        let form = json!({"incident_id": incident["id"], "severity": "b", "subject": format!("Number {n}"), "description": "Down."});
        let call = || {
            let call = stage
                .bob
                .call(reqwest::Method::POST, "/v1/service-requests")
                .header("idempotency-key", format!("key-{n}"))
                .json(&form);
            Reply::of(call)
        };
        let (one, two, three) = tokio::join!(call(), call(), call());
        let (one, two, three) = (one.created(), two.created(), three.created());
        assert_eq!(one, two);
        assert_eq!(two, three);
        assert_eq!(
            desk.count(&format!("service_requests WHERE subject = 'Number {n}'")),
            1
        );
    }
    desk.drain().await;
    let receipts = desk.mailbox.to("bob@contoso.example").len();
    assert_eq!(receipts, 10);
}

// Several processes.

/// Does what there is to do as a process of its own would; how many groups of mails it handed over.
async fn work_off(worker: Worker) -> usize {
    let mut handed_over = 0;
    loop {
        let reacted = worker.react().await.unwrap();
        let sent = worker.dispatch().await.unwrap();
        if sent == Step::Worked {
            handed_over += 1;
        }
        if (reacted, sent) == (Step::Idle, Step::Idle) {
            return handed_over;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_shares_a_database_server_and_is_refused_a_data_directory_in_use() {
    let stage = Stage::set_with(|settings| settings.mail_in_flight = 8).await;
    let desk = &stage.desk;
    let contacts: Vec<Value> = (0..500)
        .map(|n| json!({"email": format!("c{n}@fabrikam.example"), "name": format!("Contact {n}")}))
        .collect();
    let form = json!({
        "name": "Fabrikam", "regions": ["north-america"], "services": ["exchange-online"], "contacts": contacts,
    });
    desk.operator.post("/v1/tenants", form).await.created();
    let second = app::open(desk.settings().clone(), desk.clock.clone()).await;
    if let Location::Sqlite(_) = desk.settings().database {
        let refused = second
            .err()
            .expect("two servers on one data directory")
            .to_string();
        assert!(refused.contains("another server may be using"), "{refused}");
        return;
    }
    let second = second.unwrap();
    let incident = stage.incident().await;
    let resolve = format!("/v1/incidents/{}/resolve", id(&incident));
    let both = || async {
        let (one, two) = tokio::join!(
            tokio::spawn(work_off(desk.running().worker.clone())),
            tokio::spawn(work_off(second.worker.clone())),
        );
        let worked = (one.unwrap(), two.unwrap());
        desk.drain().await;
        worked
    };
    let opening = both().await;
    // What one server was told, the other knows: it resolves there.
    let marta = User {
        url: second.url.clone(),
        ..stage.marta.clone()
    };
    marta.post(&resolve, json!({"body": "It is over."})).await.ok();
    let end = both().await;
    let handed_over = (opening.0 + end.0, opening.1 + end.1);
    assert!(
        handed_over.0 > 0 && handed_over.1 > 0,
        "one did all the work: {handed_over:?}"
    );
    for kind in ["[New incident]", "[Resolved]"] {
        let mut each: BTreeMap<String, usize> = BTreeMap::new();
        for mail in desk.mailbox.mails() {
            if mail.subject().starts_with(kind) {
                *each.entry(mail.to[0].clone()).or_default() += 1;
            }
        }
        assert_eq!(each.len(), 501, "{kind}");
        assert!(each.values().all(|count| *count == 1), "{kind}: {each:?}");
    }
    second.stop().await;
}

// A process that is killed.

const IN_FLIGHT: usize = 8;

/// `allclear serve` as its operator runs it.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn serve(data_dir: &Path, database: &Location, mailbox: &Mailbox) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_allclear"));
        command
            .env_clear()
            .arg("serve")
            .args(["--listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(data_dir)
            .args(["--secret", "a secret of the tests, long enough to be one"])
            .args(["--smtp-url", &mailbox.url()])
            .args(["--operator-email", "olive@provider.example"])
            .args(["--operator-password", PASSWORD])
            .args(["--mail-in-flight", &IN_FLIGHT.to_string()])
            .args(["--mail-lease", "2s"]);
        if let Location::Postgres(url) = database {
            command.args(["--database-url", url]);
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines
            .next()
            .expect("the server ended before it listened")
            .unwrap();
        let url = line
            .strip_prefix("Allclear listens on ")
            .and_then(|rest| rest.split_whitespace().next());
        let url = url.expect(&line).to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url }
    }

    /// `kill -9`.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A catalog, a queue, Contoso, and an agent on duty: what it takes to file.
async fn furnish(operator: &User) -> (Value, User) {
    for (path, slug) in [
        ("/v1/regions", "north-america"),
        ("/v1/services", "exchange-online"),
    ] {
        operator
            .post(path, json!({"slug": slug, "name": slug}))
            .await
            .created();
    }
    let tenant = json!({"name": "Contoso", "regions": ["north-america"], "services": ["exchange-online"],
        "contacts": [{"email": "it@contoso.example", "name": "IT"}]});
    let tenant = operator.post("/v1/tenants", tenant).await.created();
    let ada = json!({"email": "ada@provider.example", "name": "ada", "role": "agent", "password": PASSWORD});
    let ada = operator.post("/v1/users", ada).await.created();
    let queue = operator
        .post("/v1/queues", always_on("Messaging", &[id(&ada)]))
        .await
        .created();
    let rules = json!({"rules": [{"name": "all", "when": {}, "queue_id": queue["id"]}]});
    operator.put("/v1/routing-rules", rules).await.ok();
    let ada = User::sign_in(&reqwest::Client::new(), &operator.url, "ada@provider.example").await;
    (tenant, ada)
}

/// Whether nothing is left to be done behind the calls.
async fn is_quiet(operator: &User) -> bool {
    let page = operator.get("/metrics").await.ok();
    let number = |name: &str| -> i64 {
        let line = page
            .as_str()
            .unwrap()
            .lines()
            .find_map(|line| line.strip_prefix(name));
        line.unwrap_or("0").trim().parse().unwrap()
    };
    number("allclear_deliveries{state=\"pending\"}")
        + number("allclear_deliveries{state=\"leased\"}")
        + number("allclear_desk{kind=\"unread_events\"}")
        == 0
}

/// Waits until all that follows from the calls is done, and all mail sent.
async fn come_to_rest(operator: &User) {
    let start = Instant::now();
    let mut quiet = 0;
    // Twice in a row: between two looks a broadcast may begin.
    while quiet < 2 {
        assert!(
            start.elapsed() < Duration::from_secs(90),
            "the mail never comes to an end"
        );
        quiet = if is_quiet(operator).await { quiet + 1 } else { 0 };
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill_and_every_mail_goes_out() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::new(&dir);
    let data_dir = dir.path().to_owned();
    let mailbox = Mailbox::start();
    let process = Process::serve(&data_dir, &database.location, &mailbox);
    // The server under test is another process: nobody has chosen for this one yet.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let http = reqwest::Client::new();
    let operator = User::sign_in(&http, &process.url, "olive@provider.example").await;
    let (tenant, ada) = furnish(&operator).await;
    let incident = operator.post("/v1/incidents", incident_form()).await.created();

    let acknowledged: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let filers: Vec<_> = (0..16)
        .map(|n| {
            let (ada, tenant, incident) = (ada.clone(), tenant.clone(), incident.clone());
            let acknowledged = Arc::clone(&acknowledged);
            tokio::spawn(async move {
                for round in 0.. {
                    let email = format!("caller{n}x{round}@contoso.example");
                    let form = by_telephone(&tenant, &incident, &email, "It is down");
                    let call = ada
                        .call(reqwest::Method::POST, "/v1/service-requests")
                        .json(&form);
                    // The answer may break off at any byte: only a whole one acknowledges.
                    let Ok(answer) = call.send().await else { return };
                    let status = answer.status();
                    let Ok(body) = answer.json::<Value>().await else {
                        return;
                    };
                    assert_eq!(status, 201, "{body}");
                    acknowledged.lock().unwrap().push((id(&body).to_owned(), email));
                }
            })
        })
        .collect();
    until("filings and mails", || {
        acknowledged.lock().unwrap().len() >= 150 && mailbox.count() >= 50
    })
    .await;
    process.kill();
    for filer in filers {
        filer.await.unwrap();
    }

    let process = Process::serve(&data_dir, &database.location, &mailbox);
    let operator = User::sign_in(&http, &process.url, "olive@provider.example").await;
    let requests = operator.all("/v1/service-requests").await;
    let found: BTreeSet<&str> = requests.iter().map(id).collect();
    let acknowledged = acknowledged.lock().unwrap().clone();
    for (request, email) in &acknowledged {
        assert!(
            found.contains(request.as_str()),
            "{email}'s request was acknowledged and is gone"
        );
    }
    let resolve = format!("/v1/incidents/{}/resolve", id(&incident));
    operator.post(&resolve, json!({"body": "It is over."})).await.ok();
    come_to_rest(&operator).await;

    let ledger = operator.all("/v1/deliveries").await;
    let kinds = |kind: &str| ledger.iter().filter(|row| row["kind"] == kind).count();
    assert_eq!(kinds("request_received"), requests.len(), "a receipt each");
    assert_eq!(
        kinds("incident_resolved"),
        requests.len() + 1,
        "the end for each, and for the contact"
    );
    assert!(
        ledger
            .iter()
            .all(|row| row["state"] == "sent" && row["attempts"] == 1)
    );
    let mut copies: HashMap<String, usize> = HashMap::new();
    for mail in mailbox.mails() {
        let message_id = mail.header("message-id").unwrap();
        let delivery = message_id.trim_matches(['<', '>']).split('@').next().unwrap();
        *copies.entry(delivery.to_owned()).or_default() += 1;
    }
    for row in &ledger {
        let count = copies.remove(id(row)).unwrap_or_default();
        assert!((1..=2).contains(&count), "{row} was sent {count} times");
    }
    assert!(copies.is_empty(), "mails that are in no ledger: {copies:?}");
    let repeated = mailbox.count() - ledger.len();
    assert!(
        repeated <= IN_FLIGHT,
        "{repeated} mails were repeated, of {IN_FLIGHT} at most"
    );
    process.kill();
}

/// Requests whose clocks run out while processes die.
const RUNNING_OUT: usize = 160;
/// And how many of these do.
const KILLED: usize = 6;

/// Lets the one clock of each request run out after the other: half of them before now, half in the coming seconds.
fn run_out(database: &Database) {
    let now = Clock::system().now();
    let begun = |number: i64| now - TimeDelta::seconds(63) + TimeDelta::milliseconds(number * 37);
    let mut conn = database.connect();
    conn.transaction(|conn| {
        let requests: Vec<RequestId> = sla_clocks::table
            .filter(sla_clocks::target_minutes.is_not_null())
            .select(sla_clocks::request_id)
            .load(conn)?;
        assert_eq!(requests.len(), RUNNING_OUT);
        for (number, request) in (0..).zip(requests) {
            let at = |second| Moment::from(begun(number) + TimeDelta::seconds(second));
            let marks = (
                sla_clocks::opened_at.eq(at(0)),
                sla_clocks::next_at.eq(at(45)),
                sla_clocks::due_at.eq(at(60)),
            );
            let clock = sla_clocks::table.filter(sla_clocks::request_id.eq(request));
            diesel::update(clock.filter(sla_clocks::target_minutes.is_not_null()))
                .set(marks)
                .execute(conn)?;
            diesel::update(sla_intervals::table.filter(sla_intervals::request_id.eq(request)))
                .set(sla_intervals::from_at.eq(at(0)))
                .execute(conn)?;
        }
        diesel::QueryResult::Ok(())
    })
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_out_while_processes_are_killed_is_marked_once_each_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::new(&dir);
    let mailbox = Arc::new(Mailbox::start());
    let serve = {
        let (dir, location, mailbox) = (
            dir.path().to_owned(),
            database.location.clone(),
            Arc::clone(&mailbox),
        );
        move || Process::serve(&dir, &location, &mailbox)
    };
    let first = serve();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let operator = User::sign_in(&reqwest::Client::new(), &first.url, "olive@provider.example").await;
    let (tenant, ada) = furnish(&operator).await;
    let promise = json!({"plan": "standard", "severity": "c", "clock": "first_response", "target_minutes": 1, "calendar": "always"});
    let policies = json!({"policies": [promise]});
    operator.put("/v1/sla-policies", policies).await.ok();
    let incident = operator.post("/v1/incidents", incident_form()).await.created();
    let filers: Vec<_> = (0..16)
        .map(|filer| {
            let mut form = by_telephone(
                &tenant,
                &incident,
                &format!("caller{filer}@contoso.example"),
                "Down",
            );
            form["severity"] = json!("c");
            let ada = ada.clone();
            tokio::spawn(async move {
                for _ in 0..RUNNING_OUT / 16 {
                    ada.post("/v1/service-requests", form.clone()).await.created();
                }
            })
        })
        .collect();
    for filer in filers {
        filer.await.unwrap();
    }
    first.kill();
    run_out(&database);

    // Several on one database server; a file is one process's.
    let count = match database.location {
        Location::Postgres(_) => 4,
        Location::Sqlite(_) => 1,
    };
    let mut processes: VecDeque<_> = (0..count).map(|_| spawn_blocking(serve.clone())).collect();
    let mut conn = database.connect();
    let mut made = || -> usize {
        let kinds = [EventKind::SlaWarned, EventKind::SlaBreached];
        let marks = events::table.filter(events::kind.eq_any(kinds)).count();
        marks.get_result::<i64>(&mut conn).unwrap().try_into().unwrap()
    };
    let mut after = 0;
    for _ in 0..KILLED {
        after += rand::random_range(1..2 * RUNNING_OUT / KILLED);
        until("marks", || made() >= after).await;
        processes.pop_front().unwrap().await.unwrap().kill();
        processes.push_back(spawn_blocking(serve.clone()));
    }
    until("all marks", || made() >= 2 * RUNNING_OUT).await;
    let process = processes.pop_front().unwrap().await.unwrap();
    let operator = User {
        url: process.url.clone(),
        ..operator
    };
    come_to_rest(&operator).await;

    let marks: Vec<(SubjectId, EventKind, Json)> = events::table
        .filter(events::kind.eq_any([EventKind::SlaWarned, EventKind::SlaBreached]))
        .order(events::id)
        .select((events::subject_id, events::kind, events::data))
        .load(&mut database.connect())
        .unwrap();
    let each: BTreeSet<(SubjectId, &str)> = marks.iter().map(|mark| (mark.0, mark.1.as_str())).collect();
    assert_eq!((marks.len(), each.len()), (2 * RUNNING_OUT, 2 * RUNNING_OUT));
    let reached: Vec<DateTime<Utc>> = marks.iter().map(|mark| at(&mark.2.0["reached_at"])).collect();
    assert!(reached.is_sorted(), "{reached:?}");
    let ledger = operator.all("/v1/deliveries").await;
    let told = ledger
        .iter()
        .filter(|row| row["kind"].as_str().unwrap().starts_with("sla_"));
    assert_eq!(told.clone().count(), 2 * RUNNING_OUT);
    assert!(
        told.clone()
            .all(|row| row["state"] == "sent" && row["recipient"] == ada.email.as_str())
    );
    let repeated = mailbox.to(&ada.email).len() - 2 * RUNNING_OUT;
    assert!(repeated <= KILLED * IN_FLIGHT, "{repeated} were repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_that_is_restarted_under_fire_answers_each_call_or_none() {
    let mut stage = storm_stage().await;
    let incident = stage.incident().await;
    stage.desk.drain().await;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let filers: Vec<_> = (0..8)
        .map(|_| {
            let (bob, incident, acknowledged) =
                (stage.bob.clone(), incident.clone(), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                loop {
                    let form = json!({"incident_id": incident["id"], "severity": "b", "subject": "Down", "description": "Down."});
                    let call = bob.call(reqwest::Method::POST, "/v1/service-requests").json(&form);
                    let Ok(answer) = call.send().await else { return };
                    assert_eq!(answer.status(), 201);
                    let Ok(body) = answer.json::<Value>().await else {
                        return;
                    };
                    acknowledged.lock().unwrap().push(id(&body).to_owned());
                }
            })
        })
        .collect();
    until("filings", || acknowledged.lock().unwrap().len() >= 40).await;
    stage.desk.restart().await;
    for filer in filers {
        filer.await.unwrap();
    }
    let desk: &TestDesk = &stage.desk;
    let requests = desk.operator.all("/v1/service-requests").await;
    let found: BTreeSet<&str> = requests.iter().map(id).collect();
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(
        acknowledged
            .iter()
            .all(|request| found.contains(request.as_str()))
    );
    assert_eq!(
        acknowledged.len(),
        requests.len(),
        "whoever was served to the end got an answer"
    );
    desk.drain().await;
    assert_eq!(desk.mailbox.to("bob@contoso.example").len(), requests.len());
}
