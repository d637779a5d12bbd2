//! The numbers: what reports say is what the histories of requests say, worked out here a second time.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::desk::{PASSWORD, Stage, User, always_on, beginning};

const ALL_DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn time(value: &Value) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(value.as_str().unwrap())
        .unwrap()
        .to_utc()
}

fn said(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn shift(name: &str, hours: (&str, &str), members: &[&User]) -> Value {
    let members: Vec<_> = members.iter().map(|member| &member.id).collect();
    json!({
        "name": name, "days": ALL_DAYS, "start": hours.0, "end": hours.1, "time_zone": "UTC", "members": members,
    })
}

async fn files(user: &User, severity: &str) -> Value {
    let form = json!({
        "incident_id": null, "severity": severity, "subject": "Mail", "description": "It is down.",
        "service": "exchange-online",
    });
    user.post("/v1/service-requests", form).await.created()
}

async fn does(user: &User, request: &Value, verb: &str, form: Value) {
    let path = format!("/v1/service-requests/{}/{verb}", text(&request["id"]));
    let status = user.post(&path, form).await.status;
    assert!(status < 300, "{verb}: {status}");
}

async fn claims(agent: &User, queue: &Value) -> Value {
    let path = format!("/v1/queues/{}/claim", text(&queue["id"]));
    agent.post(&path, json!({})).await.ok()["service_request"].clone()
}

/// A desk with two lines and a day and a night shift, on which much has happened; one instant in the middle of it.
struct Busy {
    stage: Stage,
    second: Value,
    middle: DateTime<Utc>,
}

impl Busy {
    fn pass(&self, minutes: i64) {
        self.stage.desk.pass(TimeDelta::minutes(minutes));
    }

    async fn desk() -> Self {
        let stage = Stage::set_with(|settings| settings.access_token_lifetime = TimeDelta::days(30)).await;
        let (desk, ada) = (&stage.desk, &stage.ada);
        let (ben, cleo) = (
            desk.staff("ben", "agent").await,
            desk.staff("cleo", "agent").await,
        );
        let shifts = [
            shift("day", ("06:00", "20:00"), &[ada]),
            shift("late", ("18:00", "22:00"), &[&cleo]),
            shift("night", ("20:00", "06:00"), &[&ben]),
        ];
        let path = format!("/v1/queues/{}/shifts", text(&stage.queue["id"]));
        desk.operator.put(&path, json!({"shifts": shifts})).await.ok();
        // With a name that a spreadsheet would take for a formula, and gaps.
        let mut second = always_on("@Second line", &[&cleo.id]);
        second["shifts"][0]["start"] = json!("16:00");
        second["shifts"][0]["end"] = json!("02:00");
        second["always_on"] = json!(false);
        second["fallback_queue_id"] = stage.queue["id"].clone();
        let second = desk.operator.post("/v1/queues", second).await.created();
        let policies: Vec<Value> = [
            ("b", "first_response", 60),
            ("b", "next_response", 30),
            ("b", "resolution", 240),
            ("a", "first_response", 15),
            ("a", "resolution", 120),
        ]
        .map(|(severity, clock, minutes)| {
            json!({
                "plan": "standard", "severity": severity, "clock": clock, "target_minutes": minutes,
                "calendar": "always",
            })
        })
        .to_vec();
        desk.operator
            .put("/v1/sla-policies", json!({"policies": policies}))
            .await
            .ok();
        let mut busy = Self {
            stage,
            second,
            middle: beginning(),
        };
        busy.first_half(&ben, &cleo).await;
        busy.middle = busy.stage.desk.clock.now();
        busy.pass(1);
        busy.second_half(&ben).await;
        busy
    }

    async fn first_half(&self, ben: &User, cleo: &User) {
        let Stage {
            desk,
            ada,
            bob,
            eva,
            queue,
            ..
        } = &self.stage;
        let reopened = files(bob, "b").await;
        self.pass(5);
        claims(ada, queue).await;
        does(ada, &reopened, "comments", json!({"body": "Which version?"})).await;
        self.pass(35);
        does(ada, &reopened, "resolve", json!({"body": "Restart it."})).await;
        self.pass(10);
        does(bob, &reopened, "reopen", json!({"body": "No."})).await;
        let moved = files(eva, "a").await;
        let to = json!({"queue_id": self.second["id"], "reason": "It is theirs."});
        does(ada, &moved, "transfer", to).await;
        self.pass(20);
        does(ada, &reopened, "resolve", json!({"body": "Now?"})).await;
        let cancelled = files(eva, "b").await;
        self.pass(10);
        does(eva, &cancelled, "cancel", json!({})).await;
        let given = files(bob, "b").await;
        self.pass(1);
        does(ada, &given, "assign", json!({"assignee_id": ada.id})).await;
        desk.drain().await;
        // The day ends.
        self.pass(60);
        desk.drain().await;
        assert_eq!(claims(ben, queue).await["id"], given["id"]);
        self.pass(190);
        does(cleo, &moved, "resolve", json!({"body": "Late, but done."})).await;
        desk.drain().await;
        does(ben, &given, "comments", json!({"body": "We are on it."})).await;
        let open = files(bob, "b").await;
        does(
            ben,
            &open,
            "transfer",
            json!({"queue_id": self.second["id"], "reason": "Theirs."}),
        )
        .await;
        self.pass(30);
        files(bob, "a").await;
        self.pass(30);
    }

    async fn second_half(&self, ben: &User) {
        let Stage {
            desk,
            ada,
            bob,
            queue,
            marta,
            ..
        } = &self.stage;
        let incident = self.stage.incident().await;
        let bound = bob.files("Mail", &incident).await.created();
        desk.drain().await;
        self.pass(60);
        let path = format!("/v1/incidents/{}/resolve", text(&incident["id"]));
        marta.post(&path, json!({"body": "Over."})).await.ok();
        desk.drain().await;
        self.pass(60);
        does(bob, &bound, "still-affected", json!({})).await;
        let urgent = claims(ben, queue).await;
        self.pass(60);
        does(ben, &urgent, "resolve", json!({"body": "Done."})).await;
        for request in bob.all("/v1/service-requests?status=resolved").await {
            if request["resolution"]["cause"] == "agent" && request["id"] != urgent["id"] {
                self.pass(7);
                does(bob, &request, "reopen", json!({})).await;
            }
        }
        // What was in the second line at the middle is not any more.
        for request in ada.all("/v1/service-requests?status=queued&severity=b").await {
            self.pass(1);
            if request["queue"]["id"] == self.second["id"] {
                let to = json!({"queue_id": queue["id"], "reason": "Back."});
                does(ada, &request, "transfer", to).await;
            }
        }
        desk.drain().await;
        self.pass(3);
    }
}

/// A request with all that is known of it.
struct Record {
    request: Value,
    events: Vec<Value>,
    cycles: Vec<Value>,
}

async fn records(busy: &Busy) -> Vec<Record> {
    let olive = &busy.stage.desk.operator;
    let mut records = Vec::new();
    for request in olive.all("/v1/service-requests").await {
        let path = format!("/v1/service-requests/{}", text(&request["id"]));
        let cycles = olive.get(&format!("{path}/sla")).await.ok()["clocks"].clone();
        records.push(Record {
            events: olive.all(&format!("{path}/history")).await,
            cycles: cycles.as_array().unwrap().clone(),
            request,
        });
    }
    assert!(records.len() >= 7);
    records
}

impl Record {
    /// Queue and status after everything that happened up to an instant, or before it.
    fn stood(&self, at: DateTime<Utc>, included: bool) -> Option<(String, String)> {
        let mut stood = None;
        for event in &self.events {
            let happened = time(&event["at"]);
            if happened > at || happened == at && !included {
                break;
            }
            stood = Some(self.after(event, stood));
        }
        stood
    }

    fn after(&self, event: &Value, before: Option<(String, String)>) -> (String, String) {
        let data = &event["data"];
        let (mut queue, mut status) = before.unwrap_or_default();
        for named in [&data["internal"]["queue_id"], &data["internal"]["to_queue"]] {
            if named.is_string() {
                queue = text(named);
            }
        }
        if data["to"].is_string() {
            status = text(&data["to"]);
        }
        (queue, status)
    }

    /// Every event with the queue that it happened in, and what the request was before.
    fn happenings(&self) -> Vec<(String, String, &Value)> {
        let (mut stood, mut happenings) = (None, Vec::new());
        for event in &self.events {
            let before = stood.clone().map(|(_, status): (String, String)| status);
            let after = self.after(event, stood);
            let from = match &stood_queue(event) {
                Some(queue) => queue.clone(),
                None => after.0.clone(),
            };
            happenings.push((from, before.unwrap_or_default(), event));
            stood = Some(after);
        }
        happenings
    }
}

fn stood_queue(event: &Value) -> Option<String> {
    let from = &event["data"]["internal"]["from_queue"];
    from.is_string().then(|| text(from))
}

fn is_open(status: &str) -> bool {
    ["queued", "in_progress", "pending_customer", "on_hold"].contains(&status)
}

/// Nearest rank, the plain way.
fn times(mut seconds: Vec<i64>) -> Value {
    seconds.sort_unstable();
    let rank = |percent: usize| seconds.get((seconds.len() * percent).div_ceil(100).max(1) - 1);
    json!({"count": seconds.len(), "p50_seconds": rank(50), "p90_seconds": rank(90)})
}

/// A cycle that ended in a range: what tells it apart, how it ended, its time and the adjusted one.
struct Counted {
    common: BTreeMap<&'static str, String>,
    state: String,
    elapsed: i64,
    adjusted: Option<i64>,
}

fn counted(records: &[Record], range: (DateTime<Utc>, DateTime<Utc>), duty: &Duty) -> Vec<Counted> {
    let mut all = Vec::new();
    for record in records {
        for cycle in &record.cycles {
            if cycle["stopped_at"].is_null() {
                continue;
            }
            let at = time(&cycle["stopped_at"]);
            if at < range.0 || at >= range.1 {
                continue;
            }
            let (queue, _) = record.stood(at, true).unwrap();
            let same = |other: &&Value| other["clock"] == cycle["clock"];
            let number = |cycle: &Value| cycle["cycle"].as_i64().unwrap();
            let others: Vec<&Value> = record.cycles.iter().filter(same).collect();
            let is_resolution = cycle["clock"] == "resolution";
            let followed = others.iter().any(|other| {
                number(other) == number(cycle) + 1 && time(&other["intervals"][0]["from"]) < range.1
            });
            let elapsed = cycle["counted_seconds"].as_i64().unwrap();
            let before: i64 = others
                .iter()
                .filter(|other| is_resolution && number(other) < number(cycle))
                .map(|other| other["counted_seconds"].as_i64().unwrap())
                .sum();
            let common = BTreeMap::from([
                ("clock", text(&cycle["clock"])),
                ("severity", text(&cycle["intervals"][0]["severity"])),
                ("plan", "standard".to_owned()),
                ("tenant_id", text(&record.request["tenant_id"])),
                ("shift", duty.shifts(&queue, at)),
                ("queue_id", queue),
                ("day", at.format("%Y-%m-%d").to_string()),
                ("month", at.format("%Y-%m").to_string()),
            ]);
            all.push(Counted {
                common,
                state: text(&cycle["state"]),
                elapsed,
                adjusted: (!(is_resolution && followed)).then_some(before + elapsed),
            });
        }
    }
    all
}

/// Who was on duty when, as coverage says it.
struct Duty(BTreeMap<String, Value>);

impl Duty {
    async fn of(busy: &Busy, range: (DateTime<Utc>, DateTime<Utc>)) -> Self {
        let mut duty = BTreeMap::new();
        for queue in [&busy.stage.queue, &busy.second] {
            let (from, to) = (said(range.0), said(range.1));
            let path = format!("/v1/queues/{}/coverage?from={from}&to={to}", text(&queue["id"]));
            let coverage = busy.stage.desk.operator.get(&path).await.ok();
            duty.insert(text(&queue["id"]), coverage);
        }
        Self(duty)
    }

    fn shifts(&self, queue: &str, at: DateTime<Utc>) -> String {
        let segments = self.0[queue]["segments"].as_array().unwrap();
        let held = |segment: &&Value| time(&segment["from"]) <= at && at < time(&segment["to"]);
        let on_duty = segments.iter().find(held).unwrap()["on_duty"].as_array().unwrap();
        let names = on_duty
            .iter()
            .flat_map(|member| member["shifts"].as_array().unwrap());
        let names: BTreeSet<String> = names.map(text).collect();
        names.into_iter().collect::<Vec<_>>().join(" + ")
    }

    fn staffing(&self, queue: &str) -> Value {
        let coverage = &self.0[queue];
        let length = |part: &Value| (time(&part["to"]) - time(&part["from"])).num_minutes();
        let segments = coverage["segments"].as_array().unwrap().iter();
        let staffed: i64 = segments
            .map(|part| length(part) * i64::try_from(part["on_duty"].as_array().unwrap().len()).unwrap())
            .sum();
        let gaps = coverage["gaps"].as_array().unwrap();
        let open: i64 = gaps.iter().map(length).sum();
        json!({
            "minutes": length(coverage), "covered_minutes": length(coverage) - open, "staffed_minutes": staffed,
            "gaps": gaps.len(),
        })
    }
}

/// The figures of groups, by what they have in common.
fn grouped(all: &[Counted], by: &[&str]) -> BTreeMap<Vec<String>, Value> {
    let mut groups: BTreeMap<Vec<String>, Vec<&Counted>> = BTreeMap::new();
    for one in all {
        let key = by.iter().map(|name| one.common[name].clone()).collect();
        groups.entry(key).or_default().push(one);
    }
    let figures = |group: Vec<&Counted>| {
        let count = |state: &str| group.iter().filter(|one| one.state == state).count();
        let (met, breached) = (count("met"), count("breached"));
        let over: Vec<_> = group.iter().filter(|one| one.state != "cancelled").collect();
        let share = (met + breached > 0).then(|| met as f64 / (met + breached) as f64);
        json!({
            "finished": group.len(), "met": met, "breached": breached, "cancelled": count("cancelled"),
            "share_met": share, "elapsed": times(over.iter().map(|one| one.elapsed).collect()),
            "adjusted": times(over.iter().filter_map(|one| one.adjusted).collect()),
        })
    };
    groups
        .into_iter()
        .map(|(key, group)| (key, figures(group)))
        .collect()
}

/// Takes a report apart into the same.
fn taken_apart(report: &Value, by: &[&str]) -> BTreeMap<Vec<String>, Value> {
    let items = report["items"].as_array().unwrap().iter();
    let parts = items.map(|item| {
        let key = by.iter().map(|name| text(&item[name])).collect();
        let mut figures = item.as_object().unwrap().clone();
        figures
            .retain(|name, _| !by.contains(&name.as_str()) && !["queue", "tenant"].contains(&name.as_str()));
        (key, Value::Object(figures))
    });
    parts.collect()
}

/// What a queue did, out of the histories.
fn flow(records: &[Record], queue: &str, range: (DateTime<Utc>, DateTime<Utc>)) -> Value {
    let mut flow = [0; 4];
    let mut ages = Vec::new();
    for record in records {
        for (place, before, event) in record.happenings() {
            let at = time(&event["at"]);
            if place != queue || at < range.0 || at >= range.1 {
                continue;
            }
            let (kind, to) = (text(&event["kind"]), text(&event["data"]["to"]));
            let facts = [
                kind == "request_filed",
                to == "resolved",
                is_open(&to) && !before.is_empty() && !is_open(&before),
                kind == "request_handed_over",
            ];
            for (count, fact) in flow.iter_mut().zip(facts) {
                *count += i32::from(fact);
            }
        }
        if let Some((place, status)) = record.stood(range.1, false)
            && place == queue
            && is_open(&status)
        {
            ages.push((range.1 - time(&record.request["created_at"])).num_seconds());
        }
    }
    json!({
        "filed": flow[0], "resolved": flow[1], "reopened": flow[2], "handed_over": flow[3], "backlog": times(ages),
    })
}

/// The rows of a table, each by the names of its head.
fn rows(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

/// A number or text as it stands in a table.
fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_say_what_the_histories_say() {
    let busy = Busy::desk().await;
    let (desk, olive) = (&busy.stage.desk, &busy.stage.desk.operator);
    let records = records(&busy).await;
    let now = desk.clock.now();
    // Rows that are sealed are found another way.
    for sealed in [false, true] {
        for range in [(beginning(), now), (beginning(), busy.middle), (busy.middle, now)] {
            let duty = Duty::of(&busy, range).await;
            let asked = format!("from={}&to={}", said(range.0), said(range.1));
            let all = counted(&records, range, &duty);
            for by in [
                "clock",
                "clock,severity",
                "tenant,plan",
                "queue,clock",
                "shift,queue",
                "day",
                "clock,month,shift",
            ] {
                let report = olive.get(&format!("/v1/reports/sla?{asked}&by={by}")).await.ok();
                let by: Vec<&str> = by
                    .split(',')
                    .map(|name| match name {
                        "tenant" => "tenant_id",
                        "queue" => "queue_id",
                        other => other,
                    })
                    .collect();
                assert_eq!(taken_apart(&report, &by), grouped(&all, &by), "{asked} {by:?}");
            }
            let report = olive.get(&format!("/v1/reports/queues?{asked}")).await.ok();
            let times = grouped(&all, &["queue_id", "clock"]);
            for queue in [&busy.stage.queue, &busy.second] {
                let id = text(&queue["id"]);
                let mut items = report["items"].as_array().unwrap().iter();
                let item = items.find(|item| item["queue_id"] == id).unwrap();
                let mut expected = flow(&records, &id, range);
                expected["staffing"] = duty.staffing(&id);
                for (name, clock, part) in [
                    ("first_response", "first_response", "elapsed"),
                    ("resolution", "resolution", "elapsed"),
                    ("resolution_adjusted", "resolution", "adjusted"),
                ] {
                    let group = times.get(&vec![id.clone(), clock.to_owned()]);
                    expected[name] = group.map_or(self::times(vec![]), |group| group[part].clone());
                }
                let path = format!("/v1/queues/{id}/stats?{asked}");
                let stats = busy.stage.ada.get(&path).await.ok();
                for (name, value) in expected.as_object().unwrap() {
                    assert_eq!(&item[name], value, "{name} of {} {asked}", queue["name"]);
                    if name != "backlog" {
                        assert_eq!(&stats[name], value, "{name} of {} {asked}", queue["name"]);
                    }
                }
            }
        }
        if !sealed {
            desk.seal().await;
        }
    }
    // The story had something of everything.
    let whole = olive.get("/v1/reports/queues").await.ok();
    let first = &whole["items"].as_array().unwrap()[1];
    assert_eq!(first["queue"], "Messaging");
    for figure in ["filed", "resolved", "reopened", "handed_over"] {
        assert!(first[figure].as_i64() > Some(0), "{figure}: {first}");
    }
    let sla = olive.get("/v1/reports/sla").await.ok();
    let resolution = &sla["items"].as_array().unwrap()[2];
    for figure in ["met", "breached", "cancelled"] {
        assert!(resolution[figure].as_i64() > Some(0), "{figure}: {resolution}");
    }
    assert_ne!(resolution["elapsed"], resolution["adjusted"]);
    for query in [
        "from=2010-09-08T00:00:00Z&to=2010-09-08T00:00:00Z",
        "from=2000-01-01T00:00:00Z",
        "from=2030-01-01T00:00:00Z",
    ] {
        for path in ["/v1/reports/sla", "/v1/reports/queues"] {
            olive
                .get(&format!("{path}?{query}"))
                .await
                .refused(400, "invalid-query");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_says_how_it_is_doing_and_tables_are_harmless() {
    let busy = Busy::desk().await;
    let (desk, olive) = (&busy.stage.desk, &busy.stage.desk.operator);
    // A customer whose name a spreadsheet would calculate.
    let sum = json!({
        "name": "=SUM(A1:A9), \"all\"", "regions": ["europe"], "services": ["exchange-online"],
        "contacts": [{"email": "it@sum.example", "name": "IT"}],
    });
    let sum = olive.post("/v1/tenants", sum).await.created();
    let zoe = json!({
        "email": "zoe@sum.example", "name": "Zoe", "role": "tenant_admin", "password": PASSWORD, "tenant_id": sum["id"],
    });
    olive.post("/v1/users", zoe).await.created();
    let zoe = User::sign_in(&busy.stage.bob.http, desk.url(), "zoe@sum.example").await;
    let taken_back = files(&zoe, "b").await;
    busy.pass(1);
    does(&zoe, &taken_back, "cancel", json!({})).await;
    files(&busy.stage.bob, "a").await;
    busy.pass(90);
    files(&busy.stage.bob, "b").await;
    desk.drain().await;

    for queue in [&busy.stage.queue, &busy.second] {
        let path = format!("/v1/queues/{}", text(&queue["id"]));
        let stats = olive.get(&format!("{path}/stats")).await.ok();
        let (now, at) = (&stats["now"], desk.clock.now());
        let open = olive.all(&format!("{path}/service-requests")).await;
        let mut counts: BTreeMap<(String, String), i64> = BTreeMap::new();
        for request in &open {
            *counts
                .entry((text(&request["status"]), text(&request["severity"])))
                .or_default() += 1;
        }
        let listed = now["open"].as_array().unwrap().iter();
        let listed: BTreeMap<_, _> = listed
            .map(|group| {
                let key = (text(&group["status"]), text(&group["severity"]));
                (key, group["count"].as_i64().unwrap())
            })
            .collect();
        assert_eq!(listed, counts);
        let waiting = open
            .iter()
            .filter(|request| request["status"] == "queued")
            .count();
        assert_eq!(now["waiting"], waiting);
        let due: Vec<_> = open
            .iter()
            .filter_map(|request| {
                let clocks = request["sla"].as_object().unwrap().values();
                let open = clocks.filter(|clock| clock["stopped_at"].is_null());
                open.filter(|clock| clock["due_at"].is_string())
                    .map(|clock| time(&clock["due_at"]))
                    .min()
            })
            .collect();
        let late = due.iter().filter(|due| **due <= at).count();
        let soon = due.iter().filter(|due| **due <= at + TimeDelta::hours(1)).count();
        assert_eq!(
            (&now["breached"], &now["due_within_the_hour"]),
            (&json!(late), &json!(soon - late))
        );
        let team = olive.get(&format!("{path}/on-duty")).await.ok();
        assert_eq!(now["on_duty"], team["members"]);

        let reply = olive.get(&format!("{path}/stats?format=csv")).await;
        assert_eq!(
            reply.header("content-type"),
            Some("text/csv; charset=utf-8; header=present")
        );
        let table = rows(reply.body.as_str().unwrap());
        let figure = |name: &str| table.iter().find(|row| row["figure"] == name).unwrap()["value"].clone();
        assert_eq!(figure("waiting"), waiting.to_string());
        assert_eq!(figure("breached"), late.to_string());
        assert_eq!(figure("resolved"), cell(&stats["resolved"]));
        assert_eq!(
            figure("resolution_adjusted_p90_seconds"),
            cell(&stats["resolution_adjusted"]["p90_seconds"])
        );
        assert_eq!(
            figure("staffed_minutes"),
            cell(&stats["staffing"]["staffed_minutes"])
        );
    }
    let stats = olive
        .get(&format!("/v1/queues/{}/stats", text(&busy.stage.queue["id"])))
        .await
        .ok();
    assert!(stats["now"]["oldest_waiting_since"].is_string());
    assert!(
        stats["now"]["breached"].as_i64() > Some(0) && stats["now"]["due_within_the_hour"].as_i64() > Some(0)
    );

    let by = "/v1/reports/sla?by=tenant,queue,clock";
    let report = olive.get(by).await.ok();
    let reply = olive.get(&format!("{by}&format=csv")).await;
    assert_eq!(
        reply.header("content-disposition"),
        Some("attachment; filename=\"sla.csv\"")
    );
    let table = rows(reply.body.as_str().unwrap());
    let items = report["items"].as_array().unwrap();
    assert_eq!(table.len(), items.len());
    for (row, item) in table.iter().zip(items) {
        for name in ["clock", "tenant_id", "queue_id", "finished", "met"] {
            assert_eq!(row[name], cell(&item[name]), "{name}");
        }
        assert_eq!(
            row["adjusted_p50_seconds"],
            cell(&item["adjusted"]["p50_seconds"])
        );
        assert_eq!(row["share_met"].parse().ok(), item["share_met"].as_f64());
        for name in ["tenant", "queue"] {
            let said = text(&item[name]);
            let harmless = if said.starts_with(['=', '@']) {
                format!("'{said}")
            } else {
                said
            };
            assert_eq!(row[name], harmless);
        }
    }
    assert!(table.iter().any(|row| row["tenant"] == "'=SUM(A1:A9), \"all\""));
    assert!(table.iter().any(|row| row["queue"] == "'@Second line"));
    let report = olive.get("/v1/reports/queues").await.ok();
    let reply = olive.get("/v1/reports/queues?format=csv").await;
    let table = rows(reply.body.as_str().unwrap());
    for (row, item) in table.iter().zip(report["items"].as_array().unwrap()) {
        assert_eq!(
            row["backlog_age_p90_seconds"],
            cell(&item["backlog"]["p90_seconds"])
        );
        assert_eq!(row["gaps"], cell(&item["staffing"]["gaps"]));
        assert_eq!(row["reopened"], cell(&item["reopened"]));
    }
}
