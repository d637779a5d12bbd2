//! The ledger as its operators see it: found by anything that is known of a message, and set going again a kind at a time.

use std::collections::BTreeSet;

use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};

use crate::desk::{Stage, TestDesk};

/// So many contacts have an address that no mail server knows.
const GONE: usize = 230;

/// A stage on which mail was sent, has failed in two ways, was suppressed and waits.
async fn stage() -> Stage {
    let mut stage = Stage::set_with(|settings| settings.access_token_lifetime = TimeDelta::days(100)).await;
    stage.desk.leave_undrained();
    let desk = &stage.desk;
    let contacts: Vec<Value> = (0..GONE)
        .map(|n| json!({"email": format!("c{n}@fabrikam.example"), "name": "A contact"}))
        .collect();
    for n in 0..GONE {
        desk.mailbox.refuse(&format!("c{n}@fabrikam.example"), 550);
    }
    desk.mailbox.refuse("full@elsewhere.example", 552);
    let fabrikam = json!({"name": "Fabrikam", "regions": ["north-america"], "services": ["exchange-online"], "contacts": contacts});
    desk.operator.post("/v1/tenants", fabrikam).await.created();
    let incident = stage.incident().await;
    desk.drain().await;
    desk.pass(TimeDelta::hours(1));
    let form = json!({"incident_id": incident["id"], "severity": "b", "subject": "Mail is down",
        "description": "Since ten.", "watchers": ["full@elsewhere.example", "wendy@elsewhere.example"]});
    stage.bob.post("/v1/service-requests", form).await.created();
    desk.drain().await;
    desk.pass(TimeDelta::hours(1));
    let path = format!("/v1/incidents/{}", incident["id"].as_str().unwrap());
    for (call, body) in [("updates", "We have found it."), ("resolve", "It is over.")] {
        stage
            .marta
            .post(&format!("{path}/{call}"), json!({"body": body}))
            .await
            .ok();
    }
    // The update is suppressed, and the end waits.
    while desk.running().worker.react().await.unwrap() == allclear::mail::Step::Worked {}
    stage
}

async fn ledger(desk: &TestDesk, filter: &str) -> Vec<Value> {
    desk.operator.all(&format!("/v1/deliveries?{filter}")).await
}

fn ids(rows: &[Value]) -> BTreeSet<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_searched_by_whatever_is_known_of_a_message() {
    let stage = stage().await;
    let all = ledger(&stage.desk, "").await;
    let some = |kind: &str| all.iter().find(|row| row["kind"] == kind).unwrap();
    let receipt = some("request_received");
    let hour = |hours| {
        let at = stage.desk.clock.now() - TimeDelta::hours(hours);
        at.to_rfc3339_opts(SecondsFormat::Micros, true)
    };
    let (earlier, later) = (hour(2), hour(1));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let is_between = |row: &Value| {
        let at = text(&row["created_at"]);
        at >= earlier && at < later
    };
    type Holds<'a> = Box<dyn Fn(&Value) -> bool + 'a>;
    let says = |name: &'static str, value: Value| -> Holds<'_> { Box::new(move |row| row[name] == value) };
    let said = |row: &Value, what: &str| row["error"].as_str().is_some_and(|error| error.contains(what));
    let mut filters: Vec<(String, Holds<'_>)> = vec![
        (
            "kind=incident_opened".to_owned(),
            says("kind", json!("incident_opened")),
        ),
        (
            "kind=watcher_added".to_owned(),
            says("kind", json!("watcher_added")),
        ),
        (
            "reason=superseded".to_owned(),
            says("reason", json!("superseded")),
        ),
        (
            "recipient=Wendy@Elsewhere.example".to_owned(),
            says("recipient", json!("wendy@elsewhere.example")),
        ),
        ("error=550".to_owned(), Box::new(|row| said(row, "550"))),
        ("error=552".to_owned(), Box::new(|row| said(row, "552"))),
        (format!("from={earlier}&to={later}"), Box::new(is_between)),
        (
            format!("state=failed&kind=incident_opened&error=550&to={later}"),
            Box::new(|row| row["state"] == "failed" && row["kind"] == "incident_opened"),
        ),
    ];
    for state in ["pending", "sent", "failed", "suppressed"] {
        filters.push((format!("state={state}"), says("state", json!(state))));
    }
    for name in ["tenant_id", "event_id", "request_id", "incident_id"] {
        filters.push((
            format!("{name}={}", text(&receipt[name])),
            says(name, receipt[name].clone()),
        ));
    }
    for (filter, holds) in filters {
        let found = ledger(&stage.desk, &filter).await;
        let expected: Vec<Value> = all.iter().filter(|row| holds(row)).cloned().collect();
        assert!(!expected.is_empty() && expected.len() < all.len(), "{filter}");
        assert_eq!(found, expected, "{filter}");
    }
    // What is in it is text, not a pattern.
    for nothing in ["error=%25", "error=5_2", "kind=password_reset", "reason=erased"] {
        assert_eq!(ledger(&stage.desk, nothing).await, [] as [Value; 0], "{nothing}");
    }
    for bad in [
        "kind=whatever",
        "reason=none",
        "recipient=nobody",
        "from=today",
        "tenant_id=1",
    ] {
        let path = format!("/v1/deliveries?{bad}");
        stage.desk.operator.get(&path).await.refused(400, "invalid-query");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_retried_a_kind_at_a_time_and_nothing_twice_that_fails_anew() {
    let stage = stage().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let retry = |form: Value| async move { marta.post("/v1/deliveries/retry", form).await };
    desk.drain().await;
    let failed = ledger(desk, "state=failed&kind=incident_resolved&error=550").await;
    assert_eq!(failed.len(), GONE);
    let broadcast = format!("/v1/broadcasts/{}", failed[0]["event_id"].as_str().unwrap());
    assert_eq!(marta.get(&broadcast).await.ok()["state"], "finished");

    // The first hundred are known by now.
    for n in 0..100 {
        desk.mailbox.accept(&format!("c{n}@fabrikam.example"));
    }
    let filter = json!({"kind": "incident_resolved", "error": "550"});
    let first = retry(json!({"filter": filter})).await.ok();
    assert_eq!(first["retried"], 200);
    let waiting = ledger(desk, "state=pending&kind=incident_resolved").await;
    assert_eq!(ids(&waiting), ids(&failed[..200]), "the oldest, and no others");
    assert_eq!(marta.get(&broadcast).await.ok()["state"], "sending");
    desk.drain().await;
    let second = retry(json!({"filter": filter, "cursor": first["next_cursor"]}))
        .await
        .ok();
    assert_eq!(second, json!({"retried": GONE - 200, "next_cursor": null}));
    desk.drain().await;
    let rows = ledger(desk, "kind=incident_resolved&error=550").await;
    assert_eq!(rows.len(), GONE - 100);
    assert!(rows.iter().all(|row| row["attempts"] == 2), "once more each");
    for n in 0..100 {
        let to = format!("c{n}@fabrikam.example");
        assert_eq!(desk.mailbox.to(&to).len(), 1, "{to}");
    }
    let others = ledger(desk, "state=failed&kind=incident_opened").await;
    assert_eq!(others.len(), GONE, "of another kind");
    assert_eq!(marta.get(&broadcast).await.ok()["state"], "finished");

    let none = json!({"retried": 0, "next_cursor": null});
    let unknown = json!({"filter": {"kind": "password_reset"}});
    assert_eq!(retry(unknown).await.ok(), none);
    let other = json!({"filter": {}, "cursor": first["next_cursor"]});
    let problem = retry(other).await.refused(422, "validation-failed");
    assert_eq!(problem["errors"][0]["pointer"], "/cursor");
    for bad in [
        json!({}),
        json!({"filter": {"state": "sent"}}),
        json!({"filter": {"recipient": "nobody"}}),
        json!({"filter": {"kind": "whatever"}}),
    ] {
        retry(bad).await.refused(422, "validation-failed");
    }
    let all = json!({"filter": {}});
    stage
        .bob
        .post("/v1/deliveries/retry", all.clone())
        .await
        .refused(403, "forbidden");
    let before = desk.count("deliveries WHERE state = 'failed'");
    assert_eq!(retry(all).await.ok()["retried"], i64::min(before, 200));
}
