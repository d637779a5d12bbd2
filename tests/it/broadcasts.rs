//! The ledger's truth: what a later event replaces, what is called off, what goes on as something else, what is only
//! tried, and the doctor who looks whether all of it is so.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use allclear::mail::Step;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::desk::{Stage, TestDesk, User, incident_form};

const CONTACT: &str = "it@contoso.example";

async fn stage() -> Stage {
    stage_with(TimeDelta::zero()).await
}

async fn stage_with(grace: TimeDelta) -> Stage {
    Stage::set_with(|settings| {
        settings.access_token_lifetime = TimeDelta::days(100);
        settings.mail_grace = grace;
    })
    .await
}

fn path(incident: &Value) -> String {
    format!("/v1/incidents/{}", incident["id"].as_str().unwrap())
}

async fn says(user: &User, incident: &Value, call: &str, body: &str) -> Value {
    user.post(&format!("{}/{call}", path(incident)), json!({"body": body}))
        .await
        .ok()
}

/// What follows from what happened, without any mail leaving.
async fn react(desk: &TestDesk) {
    while desk.running().worker.react().await.unwrap() == Step::Worked {}
}

/// The subjects of the mails to somebody, each up to its bracket, in order of their letters: what is due at once leaves over
/// several connections.
fn got(desk: &TestDesk, to: &str) -> Vec<String> {
    let subjects = desk.mailbox.to(to).into_iter().map(|mail| mail.subject());
    let mut words: Vec<String> = subjects
        .map(|subject| {
            subject
                .split(']')
                .next()
                .unwrap()
                .trim_start_matches('[')
                .to_owned()
        })
        .filter(|word| !word.starts_with("SR-"))
        .collect();
    words.sort_unstable();
    words
}

/// The rows of a broadcast: recipient, state and reason.
async fn rows(desk: &TestDesk, event: &Value) -> BTreeSet<(String, String, String)> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let path = format!("/v1/deliveries?event_id={}", event.as_str().unwrap());
    let rows = desk.operator.all(&path).await;
    rows.iter()
        .map(|row| (word(&row["recipient"]), word(&row["state"]), word(&row["reason"])))
        .collect()
}

fn row(recipient: &str, state: &str, reason: &str) -> (String, String, String) {
    (recipient.to_owned(), state.to_owned(), reason.to_owned())
}

/// A request as somebody sees it.
async fn shown(user: &User, request: &Value) -> Value {
    let id = request["id"].as_str().unwrap();
    user.get(&format!("/v1/service-requests/{id}")).await.ok()
}

async fn broadcast(user: &User, id: &Value) -> Value {
    user.get(&format!("/v1/broadcasts/{}", id.as_str().unwrap()))
        .await
        .ok()
}

async fn opening(desk: &TestDesk, incident: &Value) -> Value {
    desk.operator.all(&format!("{}/broadcasts", path(incident))).await[0]["id"].clone()
}

/// Whether the doctor is content, and the names of what is not so.
fn doctor(desk: &TestDesk) -> (bool, BTreeSet<String>) {
    let output = desk.command(&["doctor", "--json"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let name = |line: &str| {
        let finding: Value = serde_json::from_str(line).unwrap();
        finding["check"].as_str().unwrap().to_owned()
    };
    (output.status.success(), said.lines().map(name).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsent_opening_that_the_end_overtakes_is_the_end_for_whoever_has_a_request_and_nothing_for_others()
 {
    let stage = stage().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let incident = stage.incident().await;
    let form = json!({
        "incident_id": incident["id"], "severity": "b", "subject": "Down", "description": "Down.",
        "watchers": ["w@contoso.example"],
    });
    stage.bob.post("/v1/service-requests", form).await.created();
    react(desk).await;
    let update = says(marta, &incident, "updates", "Found it.").await;
    react(desk).await;
    let end = says(marta, &incident, "resolve", "It is over.").await;
    react(desk).await;
    desk.drain().await;
    assert_eq!(got(desk, "bob@contoso.example"), ["Resolved"]);
    assert_eq!(got(desk, "w@contoso.example"), ["Resolved"]);
    assert_eq!(
        desk.mailbox.to(CONTACT).len(),
        0,
        "they subscribe, and heard of nothing"
    );
    let everybody = ["bob@contoso.example", CONTACT, "w@contoso.example"];
    let replaced: BTreeSet<_> = everybody
        .iter()
        .map(|to| row(to, "suppressed", "superseded"))
        .collect();
    assert_eq!(rows(desk, &opening(desk, &incident).await).await, replaced);
    assert_eq!(rows(desk, &update["broadcast_id"]).await, replaced);
    let sent = [
        row("bob@contoso.example", "sent", ""),
        row("w@contoso.example", "sent", ""),
    ];
    assert_eq!(rows(desk, &end["broadcast_id"]).await, BTreeSet::from(sent));
    let shown = broadcast(marta, &update["broadcast_id"]).await;
    assert_eq!(
        (&shown["state"], &shown["audience"], &shown["suppressed"]),
        (&json!("finished"), &json!(3), &json!(3))
    );
    // Nor do they care why it was.
    marta
        .put(&format!("{}/report", path(&incident)), json!({"body": "Why."}))
        .await
        .ok();
    desk.drain().await;
    assert_eq!(
        got(desk, "bob@contoso.example"),
        ["Post-incident report", "Resolved"]
    );
    assert_eq!(desk.mailbox.to(CONTACT).len(), 0);
    assert_eq!(doctor(desk), (true, BTreeSet::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_give_way_to_what_comes_later_and_an_end_to_nothing_but_a_reopening() {
    let stage = stage().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let incident = stage.incident().await;
    desk.drain().await;
    // The first update is in somebody's hands as the second comes, and cannot be handed over.
    desk.mailbox.refuse(CONTACT, 451);
    let first = says(marta, &incident, "updates", "One.").await;
    react(desk).await;
    desk.running().worker.dispatch().await.unwrap();
    let second = says(marta, &incident, "updates", "Two.").await;
    react(desk).await;
    desk.mailbox.accept(CONTACT);
    let end = says(marta, &incident, "resolve", "Over.").await;
    react(desk).await;
    let report = format!("{}/report", path(&incident));
    marta.put(&report, json!({"body": "Why."})).await.ok();
    react(desk).await;
    let gone = BTreeSet::from([row(CONTACT, "suppressed", "superseded")]);
    assert_eq!(rows(desk, &first["broadcast_id"]).await, gone);
    assert_eq!(rows(desk, &second["broadcast_id"]).await, gone);
    desk.drain().await;
    desk.pass(TimeDelta::hours(2));
    desk.drain().await;
    assert_eq!(
        got(desk, CONTACT),
        ["New incident", "Post-incident report", "Resolved"]
    );
    assert_eq!(
        rows(desk, &end["broadcast_id"]).await,
        BTreeSet::from([row(CONTACT, "sent", "")])
    );
    assert_eq!(doctor(desk), (true, BTreeSet::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn within_the_grace_period_a_reopening_withdraws_the_end_and_what_is_told_late_waits_too() {
    let stage = stage_with(TimeDelta::minutes(10)).await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let incident = stage.incident().await;
    desk.drain().await;
    assert_eq!(desk.mailbox.count(), 0, "not before its time");
    desk.pass(TimeDelta::minutes(10));
    desk.drain().await;
    assert_eq!(got(desk, CONTACT), ["New incident"]);
    let hasty = says(marta, &incident, "resolve", "Over?").await;
    desk.drain().await;
    desk.pass(TimeDelta::minutes(9));
    says(marta, &incident, "reopen", "Not at all.").await;
    desk.drain().await;
    let gone = BTreeSet::from([row(CONTACT, "suppressed", "superseded")]);
    assert_eq!(rows(desk, &hasty["broadcast_id"]).await, gone);
    // Bob files: he is told by his receipt, which waits for nothing; so does the end that he hears of only by it.
    stage.bob.files("Down", &incident).await.created();
    says(marta, &incident, "resolve", "Over.").await;
    desk.drain().await;
    assert_eq!(got(desk, "bob@contoso.example"), Vec::<String>::new());
    desk.pass(TimeDelta::minutes(10));
    desk.drain().await;
    assert_eq!(got(desk, CONTACT), ["New incident", "Reopened", "Resolved"]);
    assert_eq!(got(desk, "bob@contoso.example"), ["Resolved"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_is_called_off_but_for_an_end() {
    let stage = stage().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let incident = stage.incident().await;
    stage.bob.files("Down", &incident).await.created();
    desk.drain().await;
    let update = says(marta, &incident, "updates", "Nonsense.").await;
    react(desk).await;
    let cancel = |id: &Value| format!("/v1/broadcasts/{}/cancel", id.as_str().unwrap());
    let call = cancel(&update["broadcast_id"]);
    stage.ada.post(&call, json!({})).await.refused(403, "forbidden");
    assert_eq!(marta.post(&call, json!({})).await.ok()["state"], "cancelled");
    desk.drain().await;
    marta
        .post(&call, json!({}))
        .await
        .refused(409, "transition-not-allowed");
    let called_off = [
        row("bob@contoso.example", "suppressed", "cancelled"),
        row(CONTACT, "suppressed", "cancelled"),
    ];
    assert_eq!(
        rows(desk, &update["broadcast_id"]).await,
        BTreeSet::from(called_off)
    );
    let end = says(marta, &incident, "resolve", "Over.").await;
    marta
        .post(&cancel(&end["broadcast_id"]), json!({}))
        .await
        .refused(409, "end-is-owed");
    desk.drain().await;
    assert_eq!(got(desk, CONTACT), ["New incident", "Resolved"]);
    assert_eq!(got(desk, "bob@contoso.example"), ["New incident", "Resolved"]);

    // Whom a cancelled opening did not reach hears of no end.
    let quiet = stage.incident().await;
    let call = cancel(&opening(desk, &quiet).await);
    marta.post(&call, json!({})).await.ok();
    desk.drain().await;
    says(marta, &quiet, "resolve", "Over.").await;
    desk.drain().await;
    assert_eq!(got(desk, CONTACT).len(), 2);
    assert_eq!(doctor(desk), (true, BTreeSet::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_says_how_fast_it_goes_and_when_it_will_be_done() {
    let stage = Stage::set_with(|settings| settings.mail_rate = NonZeroU32::new(4)).await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let contacts: Vec<Value> = (0..19)
        .map(|n| json!({"email": format!("c{n}@fabrikam.example"), "name": "C"}))
        .collect();
    let form = json!({
        "name": "Fabrikam", "regions": ["north-america"], "services": ["exchange-online"], "contacts": contacts,
    });
    desk.operator.post("/v1/tenants", form).await.created();
    let incident = stage.incident().await;
    let id = opening(desk, &incident).await;
    let shown = broadcast(marta, &id).await;
    assert_eq!(
        (&shown["state"], &shown["rate"]),
        (&json!("pending"), &json!(0.0))
    );
    react(desk).await;
    desk.running().worker.dispatch().await.unwrap();
    desk.pass(TimeDelta::seconds(2));
    let shown = broadcast(marta, &id).await;
    assert_eq!(
        (
            &shown["audience"],
            &shown["sent"],
            &shown["pending"],
            &shown["rate"]
        ),
        (&json!(20), &json!(4), &json!(16), &json!(2.0))
    );
    let end: chrono::DateTime<chrono::Utc> = shown["expected_end_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(end, desk.clock.now() + TimeDelta::seconds(8));
    for _ in 0..4 {
        desk.drain().await;
        desk.pass(TimeDelta::seconds(1));
    }
    desk.drain().await;
    desk.pass(TimeDelta::seconds(61));
    let shown = broadcast(marta, &id).await;
    assert_eq!(
        (&shown["state"], &shown["rate"], &shown["expected_end_at"]),
        (&json!("finished"), &json!(0.0), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_resolve_would_send_is_seen_and_nothing_is_done() {
    let stage = stage().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let incident = stage.incident().await;
    let form = json!({
        "incident_id": incident["id"], "severity": "b", "subject": "Down", "description": "Down.",
        "watchers": ["w@contoso.example", CONTACT],
    });
    stage.bob.post("/v1/service-requests", form).await.created();
    desk.drain().await;
    let tables = [
        "events",
        "broadcasts",
        "deliveries",
        "incident_updates",
        "idempotency_keys",
    ];
    let counted = || tables.map(|table| desk.count(table));
    let before = (counted(), marta.get(&path(&incident)).await.ok());
    let call = format!("{}/resolve?dry_run=true", path(&incident));
    let tried = marta.post(&call, json!({"body": "It will be over."})).await.ok();
    assert_eq!(
        (&tried["status"], &tried["broadcast_id"]),
        (&json!("resolved"), &Value::Null)
    );
    let preview = &tried["preview"];
    assert_eq!((counted(), marta.get(&path(&incident)).await.ok()), before);
    assert_eq!(
        (&preview["audience"], &preview["kind"]),
        (&json!(3), &json!("incident_resolved"))
    );
    let sample = &preview["sample"];
    assert_eq!(sample["recipient"], "bob@contoso.example");
    assert_eq!(
        sample["subject"],
        "[Resolved] Mail is reachable only intermittently"
    );
    for part in ["text", "html"] {
        assert!(
            sample[part].as_str().unwrap().contains("It will be over."),
            "{sample}"
        );
    }
    let end = says(marta, &incident, "resolve", "It is over.").await;
    desk.drain().await;
    assert_eq!(
        broadcast(marta, &end["broadcast_id"]).await["sent"],
        preview["audience"]
    );
    // What could not be done cannot be tried either.
    marta
        .post(&call, json!({"body": "Again."}))
        .await
        .refused(409, "transition-not-allowed");
    stage
        .ada
        .post(&call, json!({"body": "I?"}))
        .await
        .refused(403, "forbidden");
    let nonsense = format!("{}/resolve?dry_run=maybe", path(&incident));
    marta
        .post(&nonsense, json!({"body": "x"}))
        .await
        .refused(400, "invalid-query");
}

async fn opened(stage: &Stage, title: &str, regions: &[&str]) -> Value {
    let mut form = incident_form();
    form["title"] = json!(title);
    form["regions"] = json!(regions);
    stage.marta.post("/v1/incidents", form).await.created()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_goes_on_as_another_one_and_whoever_was_told_of_it_hears_of_that_ones_end() {
    let stage = stage().await;
    let (desk, marta, bob) = (&stage.desk, &stage.marta, &stage.bob);
    let first = opened(&stage, "Mail is slow", &["north-america"]).await;
    let second = opened(&stage, "Sign-in is down", &["north-america"]).await;
    let form = json!({
        "incident_id": first["id"], "severity": "b", "subject": "Slow", "description": "Slow.",
        "watchers": ["w@elsewhere.example"],
    });
    let request = bob.post("/v1/service-requests", form).await.created();
    desk.drain().await;

    // What it cannot go on as.
    let merge = format!("{}/duplicate", path(&first));
    let of = |of: &Value| json!({"body": "The same.", "of": of["id"]});
    marta
        .post(&merge, of(&first))
        .await
        .refused(422, "validation-failed");
    marta
        .post(&merge, of(&request))
        .await
        .refused(422, "validation-failed");
    let elsewhere = opened(&stage, "Elsewhere", &["europe"]).await;
    let refused = marta
        .post(&merge, of(&elsewhere))
        .await
        .refused(409, "tenants-not-covered");
    assert_eq!(refused["tenants"], json!([stage.contoso["id"]]));
    says(marta, &elsewhere, "false-positive", "No.").await;
    let refused = marta
        .post(&merge, of(&elsewhere))
        .await
        .refused(409, "incident-not-active");
    assert_eq!(refused["incident_status"], "false_positive");
    stage
        .ada
        .post(&merge, of(&second))
        .await
        .refused(403, "forbidden");

    let merged = marta.post(&merge, of(&second)).await.ok();
    assert_eq!(
        (
            &merged["status"],
            &merged["duplicate_of"],
            &merged["cascade"]["remaining"]
        ),
        (&json!("duplicate"), &second["id"], &json!(1))
    );
    let refused = bob
        .files("Too late", &first)
        .await
        .refused(409, "incident-not-active");
    assert_eq!(refused["duplicate_of"], second["id"]);
    desk.drain().await;
    let moved = shown(bob, &request).await;
    assert_eq!(
        (&moved["incident"]["id"], &moved["status"]),
        (&second["id"], &json!("queued"))
    );
    assert_eq!(
        marta.get(&path(&first)).await.ok()["cascade"]["state"],
        "finished"
    );
    for to in ["bob@contoso.example", "w@elsewhere.example", CONTACT] {
        let mails = desk.mailbox.to(to);
        let mail = mails
            .iter()
            .find(|mail| mail.subject().starts_with("[Now tracked"))
            .unwrap();
        assert!(mail.text().contains("Sign-in is down") && mail.html().contains("Sign-in is down"));
        let lists_it = mail.text().contains(request["reference"].as_str().unwrap());
        assert_eq!(lists_it, to != CONTACT, "{to}");
    }

    // The chain goes on, and its end is over before the mail of the last link has left.
    let third = opened(&stage, "All is down", &["north-america"]).await;
    let link = format!("{}/duplicate", path(&second));
    marta.post(&link, of(&third)).await.ok();
    let refused = bob
        .files("Too late", &first)
        .await
        .refused(409, "incident-not-active");
    assert_eq!(refused["duplicate_of"], third["id"]);
    marta
        .post(&merge, of(&third))
        .await
        .refused(409, "transition-not-allowed");
    let end = says(marta, &third, "resolve", "All is well.").await;
    desk.drain().await;
    let ended: BTreeSet<String> = rows(desk, &end["broadcast_id"])
        .await
        .into_iter()
        .map(|(to, state, _)| format!("{to} {state}"))
        .collect();
    for to in ["bob@contoso.example", "w@elsewhere.example", CONTACT] {
        assert!(ended.contains(&format!("{to} sent")), "{to}: {ended:?}");
        assert_eq!(
            got(desk, to).iter().filter(|word| *word == "Resolved").count(),
            1,
            "{to}"
        );
    }
    let followed = shown(bob, &request).await;
    assert_eq!(
        (&followed["incident"]["id"], &followed["status"]),
        (&third["id"], &json!("resolved")),
        "what moves into what is over follows it"
    );
    assert_eq!(doctor(desk), (true, BTreeSet::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_an_incident_affects_now_and_whom_no_longer_is_told_to_everyone_who_was_told_of_it() {
    let stage = stage().await;
    let (desk, marta, bob) = (&stage.desk, &stage.marta, &stage.bob);
    let adatum = "it@adatum.example";
    let spared = "It no longer affects your organization.";
    let incident = stage.incident().await;
    bob.files("Down", &incident).await.created();
    desk.drain().await;
    assert_eq!(got(desk, CONTACT), ["New incident"]);

    // An update that is on its way is said by what the incident affects now, and nobody hears of both.
    let update = says(marta, &incident, "updates", "Found it.").await;
    react(desk).await;
    let form = json!({"regions": ["europe"], "body": "Only Europe is affected."});
    let changed = marta.patch(&path(&incident), form).await.ok();
    assert_eq!(
        (&changed["regions"], &changed["updates"][2]["body"]),
        (&json!(["europe"]), &json!("Only Europe is affected."))
    );
    let rescoped = broadcast(marta, &changed["broadcast_id"]).await;
    assert_eq!(rescoped["kind"], "incident_rescoped");
    react(desk).await;
    desk.drain().await;
    assert_eq!(
        rows(desk, &update["broadcast_id"]).await,
        BTreeSet::from([
            row("bob@contoso.example", "suppressed", "superseded"),
            row(CONTACT, "suppressed", "superseded"),
        ])
    );
    assert_eq!(
        rows(desk, &changed["broadcast_id"]).await,
        BTreeSet::from([
            row("bob@contoso.example", "sent", ""),
            row(CONTACT, "sent", ""),
            row(adatum, "sent", ""),
        ])
    );
    for (to, is_spared) in [("bob@contoso.example", true), (CONTACT, true), (adatum, false)] {
        let mails = desk.mailbox.to(to);
        let mail = mails.last().unwrap();
        assert!(
            mail.subject().starts_with("[What it affects has changed]"),
            "{to}"
        );
        assert!(mail.text().contains("Only Europe is affected."));
        assert_eq!(
            (mail.text().contains(spared), mail.html().contains(spared)),
            (is_spared, is_spared),
            "{to}"
        );
    }
    bob.files("More", &incident)
        .await
        .refused(409, "tenant-not-affected");

    // Whom it does not affect hears no more of it but the end. Whoever has a request hears all of it.
    says(marta, &incident, "updates", "Nearly there.").await;
    desk.drain().await;
    assert_eq!(desk.mailbox.to(CONTACT).len(), 2);
    let end = says(marta, &incident, "resolve", "It is over.").await;
    desk.drain().await;
    assert_eq!(rows(desk, &end["broadcast_id"]).await.len(), 3);
    for (to, mails) in [
        (
            "bob@contoso.example",
            vec![
                "New incident",
                "Resolved",
                "Update",
                "What it affects has changed",
            ],
        ),
        (
            CONTACT,
            vec!["New incident", "Resolved", "What it affects has changed"],
        ),
        (adatum, vec!["Resolved", "Update", "What it affects has changed"]),
    ] {
        assert_eq!(
            got(desk, to)
                .iter()
                .filter(|word| *word != "Received")
                .collect::<Vec<_>>(),
            mails,
            "{to}"
        );
        let last = desk.mailbox.to(to).pop().unwrap();
        assert!(!last.text().contains(spared), "{to}: what is over spares nobody");
    }
    assert_eq!(doctor(desk), (true, BTreeSet::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_what_an_incident_says_is_told_where_there_is_something_to_tell() {
    let stage = stage().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let mut form = incident_form();
    form["status"] = json!("draft");
    let draft = marta.post("/v1/incidents", form).await.created();
    let change =
        json!({"title": " Mail is down ", "regions": ["europe", "europe"], "body": "Nobody gets mail."});
    let changed = marta.patch(&path(&draft), change).await.ok();
    assert_eq!(
        (&changed["title"], &changed["regions"], &changed["broadcast_id"]),
        (&json!("Mail is down"), &json!(["europe"]), &Value::Null)
    );
    let published = marta
        .post(&format!("{}/publish", path(&draft)), json!({}))
        .await
        .ok();
    let texts: Vec<&Value> = published["updates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|update| &update["body"])
        .collect();
    assert_eq!(
        texts,
        [
            "We are looking into it.",
            "Nobody gets mail.",
            "Nobody gets mail."
        ]
    );
    assert_eq!(
        stage.eva.get(&path(&draft)).await.ok()["updates"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    stage.bob.get(&path(&draft)).await.refused(404, "not-found");

    // A word that was wrong is mended in silence; with a text of its own it is news.
    let version = published["version"].as_i64().unwrap();
    let mended = marta
        .patch(&path(&draft), json!({"impact": "interruption"}))
        .await
        .ok();
    assert_eq!(
        (&mended["impact"], &mended["broadcast_id"], &mended["version"]),
        (&json!("interruption"), &Value::Null, &json!(version + 1))
    );
    let same = marta
        .patch(
            &path(&draft),
            json!({"impact": "interruption", "regions": ["europe"]}),
        )
        .await
        .ok();
    assert_eq!(same["version"], mended["version"], "nothing was changed");
    let began = "2010-08-23T07:00:00Z";
    let news = marta
        .patch(
            &path(&draft),
            json!({"started_at": began, "body": "It began earlier."}),
        )
        .await
        .ok();
    assert_eq!(news["started_at"], began);
    assert_eq!(
        broadcast(marta, &news["broadcast_id"]).await["kind"],
        "incident_updated"
    );

    // What cannot be.
    for (form, pointer) in [
        (json!({"regions": ["north-america"]}), "/body"),
        (json!({"regions": []}), "/regions"),
        (json!({"services": ["abacus"], "body": "x"}), "/services"),
        (json!({"started_at": "2100-01-01T00:00:00Z"}), "/started_at"),
        (json!({"status": "resolved"}), "/status"),
    ] {
        let refused = marta
            .patch(&path(&draft), form)
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    let text = json!({"title": "Ours"});
    stage
        .ada
        .patch(&path(&draft), text.clone())
        .await
        .refused(403, "forbidden");
    stage
        .bob
        .patch(&path(&draft), text.clone())
        .await
        .refused(403, "forbidden");
    says(marta, &draft, "resolve", "It is over.").await;
    marta
        .patch(&path(&draft), text)
        .await
        .refused(409, "transition-not-allowed");
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_is_merged_was_never_public_and_requests_that_are_kept_stay() {
    let stage = stage().await;
    let (desk, marta, bob) = (&stage.desk, &stage.marta, &stage.bob);
    let incident = stage.incident().await;
    desk.drain().await;
    let mut form = incident_form();
    form["status"] = json!("draft");
    let draft = marta.post("/v1/incidents", form).await.created();
    let merged = marta
        .post(
            &format!("{}/duplicate", path(&draft)),
            json!({"body": "The same.", "of": incident["id"]}),
        )
        .await
        .ok();
    assert_eq!(
        (&merged["status"], &merged["broadcast_id"]),
        (&json!("duplicate"), &Value::Null)
    );
    bob.get(&path(&draft)).await.refused(404, "not-found");
    bob.files("Down", &draft).await.refused(404, "not-found");
    assert_eq!(bob.all("/v1/incidents").await.len(), 1);
    assert_eq!(marta.get(&path(&draft)).await.ok()["id"], draft["id"]);

    let other = stage.incident().await;
    let request = bob.files("Down", &other).await.created();
    let keep = json!({"body": "The same.", "of": incident["id"], "requests": "keep"});
    marta
        .post(&format!("{}/duplicate", path(&other)), keep)
        .await
        .ok();
    desk.drain().await;
    let kept = shown(bob, &request).await;
    assert_eq!(
        (&kept["incident"]["id"], &kept["status"]),
        (&other["id"], &json!("queued"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_what_is_not_so() {
    let stage = stage().await;
    let desk = &stage.desk;
    let incident = stage.incident().await;
    stage.bob.files("Down", &incident).await.created();
    desk.drain().await;
    let end = says(&stage.marta, &incident, "false-positive", "No.").await;
    desk.drain().await;
    assert_eq!(doctor(desk), (true, BTreeSet::new()));
    let of_end = |to: &str| format!("kind = 'incident_false_positive' AND recipient = '{to}'");
    // A reason is enough, if it is one.
    for (reason, is_fine) in [("unsubscribed", true), ("superseded", false)] {
        desk.sql(&format!(
            "UPDATE deliveries SET state = 'suppressed', reason = '{reason}' WHERE {}",
            of_end(CONTACT)
        ));
        let found = if is_fine {
            BTreeSet::new()
        } else {
            BTreeSet::from(["told-without-end".to_owned()])
        };
        assert_eq!(doctor(desk), (is_fine, found), "{reason}");
    }
    desk.sql(&format!(
        "UPDATE deliveries SET reason = NULL WHERE {}",
        of_end(CONTACT)
    ));
    desk.sql(&format!(
        "DELETE FROM deliveries WHERE {}",
        of_end("bob@contoso.example")
    ));
    desk.sql(
        "UPDATE deliveries SET state = 'leased', lease_until = created_at WHERE kind = 'incident_opened'",
    );
    let names = [
        "told-without-end",
        "rows-missing",
        "finished-with-unsent",
        "lease-overrun",
        "without-reason",
    ];
    let (is_content, found) = doctor(desk);
    assert!(!is_content);
    assert_eq!(found, names.map(str::to_owned).into());
    let said = desk.command(&["doctor"]).output().unwrap();
    let (out, err) = (
        String::from_utf8(said.stdout).unwrap(),
        String::from_utf8(said.stderr).unwrap(),
    );
    assert!(
        out.contains("ok    duplicate-untold") && out.contains(end["broadcast_id"].as_str().unwrap()),
        "{out}"
    );
    assert!(err.contains("findings"), "{err}");
    desk.sql("UPDATE deliveries SET state = 'sent' WHERE state = 'leased'");
}
