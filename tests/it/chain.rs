//! The chain of the audit: sealed in order behind the calls, by any number of processes; and whatever was done to the
//! rows behind the server's back is found.

use allclear::app;
use allclear::db::{Connection, EventId, Id, Json, Location, Moment, PROVIDER, QueueNoun, Scope, TenantId};
use allclear::identity::keys::Secret;
use allclear::journal::{self, Actor, ChainKey, Event, EventKind, SubjectKind};
use allclear::problem::Problem;
use serde_json::{Value, json};

use crate::desk::{Stage, TestDesk};

/// `allclear audit verify --json`: whether it is content, and what it says of each tenant.
fn verify(desk: &TestDesk, more: &[&str]) -> (bool, Vec<Value>) {
    let words = [&["audit", "verify", "--json"][..], more].concat();
    let output = desk.command(&words).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let reports = said.lines().map(|line| serde_json::from_str(line).unwrap());
    (output.status.success(), reports.collect())
}

#[track_caller]
fn intact(desk: &TestDesk) -> Vec<Value> {
    let (content, reports) = verify(desk, &[]);
    assert!(content, "{reports:?}");
    assert!(reports.iter().all(|report| report["findings"] == json!([])));
    reports
}

fn key(desk: &TestDesk) -> ChainKey {
    let settings = desk.settings();
    let secret = Secret::load(settings.secret.as_deref(), &settings.data_dir).unwrap();
    app::chain_key(&secret)
}

/// An event of the provider's about one thing.
fn event(subject: Id<QueueNoun>, seq: i32, id: EventId, at: Moment) -> Event {
    let about = (SubjectKind::Queue, subject);
    let actor = Actor::system();
    let event = Event::new(
        EventKind::QueueCreated,
        about,
        (PROVIDER, seq),
        (&actor, at),
        json!({"n": seq}),
    );
    Event { id, ..event }
}

async fn write(desk: &TestDesk, events: Vec<Event>) {
    let all = move |conn: &mut Connection| {
        events
            .iter()
            .try_for_each(|event| journal::record(conn, event, &[]))
    };
    desk.running().db.write(Scope::of_system(), all).await.unwrap();
}

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

fn now(desk: &TestDesk) -> Moment {
    desk.clock.now().into()
}

/// Contoso's story: a request with some history, sealed.
async fn sealed() -> Stage {
    let stage = Stage::set().await;
    let incident = stage.incident().await;
    let request = stage.bob.files("Mail is down", &incident).await.created();
    let path = format!(
        "/v1/service-requests/{}/comments",
        request["id"].as_str().unwrap()
    );
    for body in ["Since nine.", "Still."] {
        stage.bob.post(&path, json!({"body": body})).await.created();
    }
    stage.bob.files("Calendar too", &incident).await.created();
    stage.desk.drain().await;
    stage.desk.seal().await;
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_sealed_without_a_gap_each_tenant_for_itself() {
    let stage = sealed().await;
    let desk = &stage.desk;
    let reports = intact(desk);
    assert_eq!(reports.len(), 3);
    for report in &reports {
        let tenant = report["tenant_id"].as_str().unwrap();
        let rows = desk.operator.all(&format!("/v1/audit?tenant_id={tenant}")).await;
        let seqs: Vec<_> = rows
            .iter()
            .rev()
            .map(|row| row["seal"]["seq"].as_u64().unwrap())
            .collect();
        assert_eq!(seqs, (1..=report["rows"].as_u64().unwrap()).collect::<Vec<_>>());
        assert_eq!(report["head"]["hash"], rows[0]["seal"]["hash"]);
        assert_eq!((&report["erased"], &report["unsealed"]), (&json!(0), &json!(0)));
    }
    let (_, only) = verify(desk, &["--tenant-id", id(&stage.contoso)]);
    assert_eq!(only.len(), 1);
    assert_eq!(only[0]["tenant_id"], stage.contoso["id"]);
    let nobody = verify(desk, &["--tenant-id", "0199a000-0000-7000-8000-000000000001"]);
    assert_eq!(nobody, (false, vec![]));
    // There is nothing left to do, and a chain goes on where it ended.
    desk.seal().await;
    stage.bob.patch("/v1/me", json!({"name": "Robert"})).await.ok();
    let (content, later) = verify(desk, &["--tenant-id", id(&stage.contoso)]);
    assert!(content);
    assert_eq!(
        (&later[0]["unsealed"], &later[0]["head"]),
        (&json!(1), &only[0]["head"])
    );
    desk.seal().await;
    assert!(
        intact(desk)[1..]
            .iter()
            .any(|report| report["rows"] == json!(only[0]["rows"].as_u64().unwrap() + 1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_one_subject_are_sealed_by_their_number_whatever_their_ids_say() {
    let desk = TestDesk::open().await;
    desk.seal().await;
    let (at, subject) = (now(&desk), Id::at(now(&desk)));
    // The second of a subject, two transactions full of others, and only then the first: another clock was ahead.
    let mut events = vec![event(subject, 2, Id::at(at), at)];
    events.extend((0..400).map(|_| event(Id::at(at), 1, Id::at(at), at)));
    events.push(event(subject, 1, Id::at(at), at));
    let (second, first) = (events[0].id, events[401].id);
    write(&desk, events).await;
    desk.seal().await;
    let rows = desk.operator.all("/v1/audit?kind=queue_created").await;
    let place = |id: EventId| {
        let row = rows.iter().find(|row| row["id"] == json!(id)).unwrap();
        row["seal"]["seq"].as_i64().unwrap()
    };
    assert!(place(first) < place(second));
    intact(&desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_seal_and_write_at_once_make_one_chain() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let at = now(desk);
    let mut busy = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let worker = desk.running().worker.clone();
        busy.spawn(async move {
            for _ in 0..20 {
                // Where two meet, one may have to come again.
                let _ = worker.seal().await;
            }
        });
        let db = desk.running().db.clone();
        busy.spawn(async move {
            for _ in 0..50 {
                let made = move |conn: &mut Connection| {
                    journal::record(conn, &event(Id::at(at), 1, Id::at(at), at), &[])
                };
                db.write(Scope::of_system(), made).await.unwrap();
            }
        });
    }
    busy.join_all().await;
    desk.seal().await;
    assert_eq!(
        desk.count("events WHERE kind = 'queue_created' AND chain_seq > 0"),
        201
    );
    intact(desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_while_it_seals_has_sealed_nothing() {
    let stage = Stage::set().await;
    let (desk, key) = (&stage.desk, key(&stage.desk));
    let dies = move |conn: &mut Connection| {
        assert!(journal::seal(conn, &key)? > 0);
        Err::<(), _>(Problem::internal("the process died"))
    };
    desk.running()
        .db
        .write(Scope::of_system(), dies)
        .await
        .unwrap_err();
    assert_eq!(desk.count("events WHERE chain_seq > 0"), 0);
    assert_eq!(desk.count("audit_heads"), 0);
    desk.seal().await;
    intact(desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_from_before_there_were_seals_get_theirs() {
    let stage = Stage::set().await;
    let desk = &stage.desk;
    let old = desk.sql("UPDATE events SET salt = NULL, digest = ''");
    assert!(old > 5);
    // One whose kind this version does not know.
    desk.sql("UPDATE events SET kind = 'horoscope' WHERE kind = 'region_added'");
    desk.seal().await;
    assert_eq!(desk.count("events WHERE salt IS NULL OR digest = ''"), 0);
    let reports = intact(desk);
    assert!(reports.iter().all(|report| report["erased"] == 0));
    let audit = desk.operator.all("/v1/audit").await;
    assert!(audit.iter().any(|row| row["kind"] == "horoscope"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_is_gone_and_the_chain_still_holds() {
    let stage = sealed().await;
    let desk = &stage.desk;
    let bob = &stage.bob;
    // One of them not sealed yet.
    bob.patch("/v1/me", json!({"name": "Robert"})).await.ok();
    let path = format!("/v1/audit?actor_id={}", bob.id);
    let before = desk.operator.all(&path).await;
    let ids: Vec<EventId> = before
        .iter()
        .map(|row| row["id"].as_str().unwrap().parse().unwrap())
        .collect();
    let tenant: TenantId = id(&stage.contoso).parse().unwrap();
    let (erased, others) = (ids.clone(), ids.clone());
    let erase = move |conn: &mut Connection| journal::erase(conn, tenant, &erased);
    let count = desk.running().db.write(Scope::of_system(), erase).await.unwrap();
    assert_eq!(count, ids.len());
    // Of another tenant's there is nothing to erase.
    let foreign = move |conn: &mut Connection| journal::erase(conn, PROVIDER, &others);
    assert_eq!(
        desk.running()
            .db
            .write(Scope::of_system(), foreign)
            .await
            .unwrap(),
        0
    );
    desk.seal().await;
    for row in desk.operator.all(&path).await {
        assert_eq!((&row["data"], &row["address"]), (&json!({}), &Value::Null));
        assert_eq!(
            (&row["actor"]["name"], &row["actor"]["id"]),
            (&json!(""), &json!(bob.id))
        );
    }
    let reports = intact(desk);
    let contoso = reports
        .iter()
        .find(|report| report["tenant_id"] == stage.contoso["id"])
        .unwrap();
    assert_eq!(contoso["erased"], ids.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_to_one_chain_stops_neither_it_nor_the_others() {
    let stage = sealed().await;
    let desk = &stage.desk;
    let change = async |name: &str| {
        for user in [&stage.bob, &stage.eva] {
            user.patch("/v1/me", json!({"name": name})).await.ok();
        }
        desk.seal().await;
    };
    let gone = "1 rows before it are missing";
    let last = format!("(SELECT MAX(chain_seq) FROM events WHERE {OURS})");
    let stories: [(String, &[&str]); 4] = [
        // The last one is gone, and whoever comes after it tells.
        (
            format!("DELETE FROM events WHERE {OURS} AND chain_seq = {last}"),
            &[gone],
        ),
        // Every row is there: the head tells for ever that it was not the server who set it.
        (
            format!("UPDATE audit_heads SET chain_seq = 1, chain_hash = 'x' WHERE {OURS}"),
            &[gone, NOT_OURS],
        ),
        (format!("DELETE FROM audit_heads WHERE {OURS}"), &[gone, NOT_OURS]),
        (
            format!("UPDATE audit_heads SET chain_seq = {} WHERE {OURS}", i64::MAX),
            &[gone, NOT_OURS],
        ),
    ];
    for (place, (statement, wrong)) in stories.into_iter().enumerate() {
        assert_eq!(desk.sql(&statement), 1, "{statement}");
        change(&format!("name {place}")).await;
        assert_found(desk, &stage.contoso, wrong);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_cut_off_is_found_also_when_the_chain_went_on() {
    let stage = sealed().await;
    let desk = &stage.desk;
    let saved = Saved::of(desk);
    let heads = [
        format!("{} WHERE {OURS}", set_back(2, "")),
        format!("{} WHERE {OURS}", set_back(2, ", seal = 'cmFuZG9t'")),
        format!("{} WHERE {OURS}", set_back(2, ", seal = ''")),
        format!("DELETE FROM audit_heads WHERE {OURS}"),
    ];
    for (place, head) in heads.iter().enumerate() {
        assert_eq!(desk.sql(&last_rows(2)), 2);
        assert_eq!(desk.sql(head), 1);
        let name = format!("name {place}");
        stage.bob.patch("/v1/me", json!({"name": name})).await.ok();
        desk.seal().await;
        assert_found(desk, &stage.contoso, &[NOT_OURS]);
        saved.undo();
    }
    // All of it is gone, and it begins anew.
    desk.sql(&format!("DELETE FROM audit_heads WHERE {OURS}"));
    desk.sql(&format!("DELETE FROM events WHERE {OURS}"));
    assert_found(desk, &stage.contoso, &[NO_BEGINNING]);
    stage.bob.patch("/v1/me", json!({"name": "Robert"})).await.ok();
    assert_found(desk, &stage.contoso, &[NO_BEGINNING]);
    desk.seal().await;
    assert_found(desk, &stage.contoso, &[NO_BEGINNING]);
    saved.undo();
    // The provider's too.
    desk.sql("DELETE FROM audit_heads");
    desk.sql("DELETE FROM events");
    let (content, reports) = verify(desk, &[]);
    assert!(!content);
    for report in reports {
        let findings = report["findings"].as_array().unwrap();
        assert_eq!((&report["rows"], findings.len()), (&json!(0), 1), "{report}");
        assert!(findings[0]["what"].as_str().unwrap().contains(NO_BEGINNING));
    }
    saved.undo();
    saved.forget();
}

const NOT_OURS: &str = "was not sealed by the server";
const NO_BEGINNING: &str = "the event that every chain begins with is missing";

/// Sets a head back by so many rows, to what stands in the database; and more of it.
fn set_back(rows: u8, more: &str) -> String {
    format!(
        "UPDATE audit_heads SET chain_seq = chain_seq - {rows}, chain_hash = (SELECT e.chain_hash FROM events e \
         WHERE e.tenant_id = audit_heads.tenant_id AND e.chain_seq = audit_heads.chain_seq - {rows}){more}"
    )
}

/// Removes the last rows of Contoso's chain.
fn last_rows(rows: u8) -> String {
    format!(
        "DELETE FROM events WHERE {OURS} AND chain_seq > (SELECT MAX(e.chain_seq) FROM events e WHERE e.{OURS}) - {rows}"
    )
}

/// Of this tenant exactly this is wrong, and of the others nothing.
#[track_caller]
fn assert_found(desk: &TestDesk, tenant: &Value, wrong: &[&str]) {
    let (content, reports) = verify(desk, &[]);
    assert!(!content, "{wrong:?}");
    for report in reports {
        let findings = report["findings"].as_array().unwrap();
        let wanted = if report["tenant_id"] == tenant["id"] {
            wrong
        } else {
            &[]
        };
        assert_eq!(findings.len(), wanted.len(), "{report}");
        for wrong in wanted {
            let is_it = |finding: &Value| finding["what"].as_str().unwrap().contains(wrong);
            assert!(findings.iter().any(is_it), "{wrong}: {report}");
        }
    }
}

/// Everything behind the server's back is undone again.
struct Saved<'a>(&'a TestDesk);

impl<'a> Saved<'a> {
    fn of(desk: &'a TestDesk) -> Self {
        desk.sql("CREATE TABLE saved_events AS SELECT * FROM events");
        desk.sql("CREATE TABLE saved_heads AS SELECT * FROM audit_heads");
        Self(desk)
    }

    fn undo(&self) {
        for (table, saved) in [("events", "saved_events"), ("audit_heads", "saved_heads")] {
            self.0.sql(&format!("DELETE FROM {table}"));
            self.0.sql(&format!("INSERT INTO {table} SELECT * FROM {saved}"));
        }
    }

    fn forget(&self) {
        self.0.sql("DROP TABLE saved_events");
        self.0.sql("DROP TABLE saved_heads");
    }
}

const OURS: &str = "tenant_id = (SELECT id FROM tenants WHERE name = 'Contoso')";

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_done_to_the_rows_is_found() {
    let stage = sealed().await;
    let desk = &stage.desk;
    let contoso = id(&stage.contoso);
    let at = |seq: &str| format!("WHERE {OURS} AND chain_seq = {seq}");
    let set = |what: &str| format!("UPDATE events SET {what} {}", at("3"));
    let gone = |seq: &str| format!("DELETE FROM events {}", at(seq));
    let last = format!("(SELECT MAX(chain_seq) FROM events WHERE {OURS})");
    let move_to = |from: &str, to: &str| format!("UPDATE events SET chain_seq = {to} {}", at(from));
    let changed = "was changed";
    let follows = "does not follow from the row before it";
    let renumbered = [
        gone("3"),
        format!("UPDATE events SET chain_seq = -chain_seq WHERE {OURS} AND chain_seq > 3"),
        format!("UPDATE events SET chain_seq = -chain_seq - 1 WHERE {OURS} AND chain_seq < 0"),
        format!("UPDATE audit_heads SET chain_seq = chain_seq - 1 WHERE {OURS}"),
    ];
    let swapped = [move_to("3", "1000"), move_to("4", "3"), move_to("1000", "4")];
    let links = [
        format!("UPDATE events SET chain_hash = 'x' || chain_seq WHERE {OURS} AND chain_seq IN (3, 4)"),
        format!(
            "UPDATE events SET chain_hash = (SELECT s.chain_hash FROM saved_events s WHERE s.{OURS} \
             AND s.chain_seq = 7 - events.chain_seq) WHERE {OURS} AND chain_seq IN (3, 4)"
        ),
    ];
    let swapped_whole: Vec<String> = links.iter().chain(&swapped).cloned().collect();
    let stories: Vec<(&str, Vec<String>, i64, &str)> = vec![
        (
            "data changed",
            vec![set("data = '{\"to\": \"closed\"}'")],
            3,
            changed,
        ),
        ("a name changed", vec![set("actor_name = 'Mallory'")], 3, changed),
        ("another actor", vec![set("actor_id = NULL")], 3, changed),
        ("another address", vec![set("address = '192.0.2.1'")], 3, changed),
        ("another kind", vec![set("kind = 'horoscope'")], 3, changed),
        (
            "hidden from the tenant",
            vec![set("internal = NOT internal")],
            3,
            changed,
        ),
        ("another digest", vec![set("digest = 'x'")], 3, changed),
        ("another salt", vec![set("salt = 'x'")], 3, changed),
        (
            "the salt dropped",
            vec![set("salt = NULL")],
            3,
            "has lost its salt",
        ),
        ("another link", vec![set("chain_hash = 'x'")], 3, follows),
        (
            "a row in the middle removed",
            vec![gone("3")],
            4,
            "1 rows before it are missing",
        ),
        (
            "the first row removed",
            vec![gone("1")],
            2,
            "1 rows before it are missing",
        ),
        (
            "the last row removed",
            vec![gone(&last)],
            0,
            "the last 1 rows are missing",
        ),
        (
            "a row unsealed",
            vec![set("chain_seq = NULL")],
            4,
            "1 rows before it are missing",
        ),
        ("two rows swapped", swapped.to_vec(), 3, follows),
        ("two rows swapped with their links", swapped_whole, 3, follows),
        (
            "a row removed and the others moved up",
            renumbered.to_vec(),
            3,
            follows,
        ),
        (
            "a row before the beginning",
            vec![move_to("3", "-3")],
            -3,
            "is at a place that no chain has",
        ),
        (
            "the head removed",
            vec![format!("DELETE FROM audit_heads WHERE {OURS}")],
            0,
            "rows follow it",
        ),
        (
            "another head",
            vec![format!("UPDATE audit_heads SET chain_hash = 'x' WHERE {OURS}")],
            0,
            "another link",
        ),
        (
            "another seal of the head",
            vec![format!("UPDATE audit_heads SET seal = 'x' WHERE {OURS}")],
            0,
            NOT_OURS,
        ),
        (
            "the seal of another tenant's head",
            vec![format!(
                "UPDATE audit_heads SET seal = (SELECT MAX(o.seal) FROM audit_heads o WHERE NOT o.{OURS}) WHERE {OURS}"
            )],
            0,
            NOT_OURS,
        ),
        (
            "the last rows removed, and the head set back to the row before",
            vec![format!("{} WHERE {OURS}", set_back(2, "")), last_rows(2)],
            0,
            NOT_OURS,
        ),
        (
            "the same, with a seal that was guessed",
            vec![
                format!("{} WHERE {OURS}", set_back(2, ", seal = 'cmFuZG9t'")),
                last_rows(2),
            ],
            0,
            NOT_OURS,
        ),
        (
            "every row removed, and the head",
            vec![
                format!("DELETE FROM audit_heads WHERE {OURS}"),
                format!("DELETE FROM events WHERE {OURS}"),
            ],
            1,
            NO_BEGINNING,
        ),
    ];
    let saved = Saved::of(desk);
    for (story, statements, seq, wrong) in stories {
        for statement in statements {
            assert!(desk.sql(&statement) > 0, "{story}: {statement}");
        }
        let (content, reports) = verify(desk, &[]);
        assert!(!content, "{story} was not found");
        for report in reports {
            let findings = report["findings"].as_array().unwrap();
            if report["tenant_id"] != contoso {
                assert!(findings.is_empty(), "{story}: {report}");
                continue;
            }
            let is_it = |finding: &&Value| {
                let what = finding["what"].as_str().unwrap();
                what.contains(wrong) && (seq == 0 || finding["seq"] == seq)
            };
            assert!(
                findings.iter().any(|finding| is_it(&finding)),
                "{story}: {report}"
            );
        }
        saved.undo();
        intact(desk);
    }
    saved.forget();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_another_secret_no_chain_can_be_made_or_verified() {
    let stage = sealed().await;
    let desk = &stage.desk;
    let forged = ChainKey::new(b"a guess");
    stage.bob.patch("/v1/me", json!({"name": "Robert"})).await.ok();
    let seal = move |conn: &mut Connection| journal::seal(conn, &forged);
    assert_eq!(
        desk.running().db.write(Scope::of_system(), seal).await.unwrap(),
        1
    );
    let (content, reports) = verify(desk, &["--tenant-id", id(&stage.contoso)]);
    assert!(!content);
    // The row, and the head.
    assert_eq!(reports[0]["findings"].as_array().unwrap().len(), 2, "{reports:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_kept_elsewhere_finds_what_was_written_anew_and_sealed_by_the_server() {
    let stage = sealed().await;
    let desk = &stage.desk;
    let contoso = ["--tenant-id", id(&stage.contoso)];
    desk.sql("CREATE TABLE old_heads AS SELECT * FROM audit_heads");
    stage.bob.patch("/v1/me", json!({"name": "Robert"})).await.ok();
    desk.seal().await;
    let path = desk.settings().data_dir.join("anchor.json");
    let keep = |reports: &[Value]| {
        let lines: Vec<_> = reports.iter().map(Value::to_string).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
    };
    keep(&intact(desk));
    let anchored = ["--anchor", path.to_str().unwrap()];
    assert!(verify(desk, &anchored).0);
    // The last row is written anew as if it had never been sealed, and an old head of which there was a copy is put back.
    let last = format!("(SELECT MAX(chain_seq) FROM events WHERE {OURS})");
    desk.sql(&format!("DELETE FROM audit_heads WHERE {OURS}"));
    assert_eq!(
        desk.sql(&format!(
            "INSERT INTO audit_heads SELECT * FROM old_heads WHERE {OURS}"
        )),
        1
    );
    desk.sql("DROP TABLE old_heads");
    desk.sql(&format!(
        "UPDATE events SET actor_name = 'Mallory', salt = NULL, digest = '', chain_seq = NULL, chain_hash = NULL \
         WHERE {OURS} AND chain_seq = {last}"
    ));
    desk.seal().await;
    assert!(verify(desk, &contoso).0, "nothing in the database tells");
    let (content, reports) = verify(desk, &anchored);
    assert!(!content);
    let told: Vec<_> = reports
        .iter()
        .flat_map(|report| report["findings"].as_array().unwrap())
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["what"], "is not the row that the chain once ended with");
    // A chain that is shorter than it was, and one that is gone.
    let mut kept = verify(desk, &contoso).1;
    kept[0]["head"]["seq"] = json!(1000);
    keep(&kept);
    assert!(!verify(desk, &anchored).0);
    kept[0]["tenant_id"] = json!("0199a000-0000-7000-8000-000000000001");
    keep(&kept);
    assert!(!verify(desk, &anchored).0);
    std::fs::write(&path, "nonsense").unwrap();
    assert_eq!(verify(desk, &anchored), (false, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_is_a_finding_and_no_end() {
    let stage = sealed().await;
    let desk = &stage.desk;
    let broken = match desk.settings().database {
        // Text that is no JSON: the other engine would not have it.
        Location::Sqlite(_) => "data = 'nonsense'",
        Location::Postgres(_) => "data = '[]'",
    };
    desk.sql(&format!(
        "UPDATE events SET {broken} WHERE {OURS} AND chain_seq = 3"
    ));
    let (content, reports) = verify(desk, &["--tenant-id", id(&stage.contoso)]);
    assert!(!content);
    let findings = reports[0]["findings"].as_array().unwrap();
    assert_eq!(
        (findings.len(), &findings[0]["seq"]),
        (1, &json!(3)),
        "{findings:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_have_one_digest_on_whatever_engine() {
    let desk = TestDesk::open().await;
    let at = now(&desk);
    let data = json!({"b": [1e16, 1.5, -0.0, 100.0, 9_007_199_254_740_991_i64, 1e300, 1e-7], "a": {"z": "é\n\u{1F600}", "y": null}});
    let made = event(Id::at(at), 1, Id::at(at), at);
    write(
        &desk,
        vec![Event {
            data: Json(data),
            ..made
        }],
    )
    .await;
    desk.seal().await;
    intact(&desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_seals_by_itself() {
    let mut desk = TestDesk::open().await;
    desk.leave_undrained();
    let worker = desk.running().worker.clone();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let loops = worker.start(&Default::default(), &Default::default(), &stopped);
    let mut looks = 0..20_000;
    loop {
        let page = desk.operator.get("/v1/audit?limit=1").await.ok();
        if page["items"][0]["seal"].is_object() {
            break;
        }
        assert!(looks.next().is_some(), "the newest event is never sealed");
    }
    stop.send(true).unwrap();
    drop(stop);
    for one in loops {
        one.abort();
    }
    intact(&desk);
}
