//! Who hears of what, once, and what becomes of a mail that cannot be handed over.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use allclear::db::Location;
use allclear::mail::Step;
use allclear::settings::Settings;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{Reply, Stage, TestDesk, User, incident_form};
use crate::mailbox::Mail;

/// A stage on which time passes without anybody having to sign in again.
async fn long_stage() -> Stage {
    long_stage_with(|_| {}).await
}

async fn long_stage_with(change: impl FnOnce(&mut Settings)) -> Stage {
    Stage::set_with(|settings| {
        settings.access_token_lifetime = TimeDelta::days(100);
        change(settings);
    })
    .await
}

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

fn incident_path(incident: &Value) -> String {
    format!("/v1/incidents/{}", id(incident))
}

fn request_path(request: &Value) -> String {
    format!("/v1/service-requests/{}", id(request))
}

/// The same person, at the server that runs now.
fn now_at(desk: &TestDesk, user: &User) -> User {
    User {
        url: desk.url().to_owned(),
        ..user.clone()
    }
}

async fn files_with(user: &User, subject: &str, incident: &Value, watchers: &[&str]) -> Value {
    let form = json!({
        "incident_id": incident["id"], "severity": "b", "subject": subject, "description": "It is down.",
        "watchers": watchers,
    });
    user.post("/v1/service-requests", form).await.created()
}

async fn resolves(marta: &User, incident: &Value) -> Value {
    marta
        .post(
            &format!("{}/resolve", incident_path(incident)),
            json!({"body": "It is over."}),
        )
        .await
        .ok()
}

/// The mails to somebody whose subject begins like this.
fn mails(desk: &TestDesk, to: &str, beginning: &str) -> Vec<Mail> {
    let mut mails = desk.mailbox.to(to);
    mails.retain(|mail| mail.subject().starts_with(beginning));
    mails
}

/// Everybody's addresses, each as often as a mail with this subject was accepted for it, in order.
fn addressees(desk: &TestDesk, beginning: &str) -> Vec<String> {
    let mut all: Vec<String> = desk
        .mailbox
        .mails()
        .into_iter()
        .filter(|mail| mail.subject().starts_with(beginning))
        .flat_map(|mail| mail.to)
        .collect();
    all.sort_unstable();
    all
}

fn message_id(mail: &Mail) -> String {
    let header = mail.header("message-id").unwrap();
    header.trim_matches(['<', '>']).to_owned()
}

async fn deliveries(desk: &TestDesk, filter: &str) -> Vec<Value> {
    desk.operator.all(&format!("/v1/deliveries?{filter}")).await
}

async fn told_without_end(desk: &TestDesk) -> i64 {
    let page = desk.stranger().get("/metrics").await.ok();
    let line = page
        .as_str()
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix("allclear_desk{kind=\"told_without_end\"} "));
    line.unwrap().parse().unwrap()
}

fn is_sqlite(desk: &TestDesk) -> bool {
    matches!(desk.settings().database, Location::Sqlite(_))
}

/// An instant as SQL.
fn instant(desk: &TestDesk, at: DateTime<Utc>) -> String {
    if is_sqlite(desk) {
        at.timestamp_micros().to_string()
    } else {
        format!("TIMESTAMPTZ '{}'", at.to_rfc3339())
    }
}

/// A tenant of North America with this many contacts, `c0@<name>.example` and so on.
async fn crowd(desk: &TestDesk, name: &str, size: usize) -> Value {
    let contacts: Vec<Value> = (0..size)
        .map(|n| json!({"email": format!("c{n}@{}.example", name.to_lowercase()), "name": format!("Contact {n}")}))
        .collect();
    let form = json!({
        "name": name, "regions": ["north-america"], "services": ["exchange-online"], "contacts": contacts,
    });
    desk.operator.post("/v1/tenants", form).await.created()
}

// The audience.

#[tokio::test(flavor = "multi_thread")]
async fn opening_update_and_end_reach_requesters_watchers_and_contacts_once_each() {
    let stage = long_stage().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let incident = stage.incident().await;
    desk.drain().await;
    assert_eq!(addressees(desk, "[New incident]"), ["it@contoso.example"]);

    let watchers = ["wanda@contoso.example", "walt@elsewhere.example"];
    files_with(&stage.bob, "Mail is down", &incident, &watchers).await;
    desk.drain().await;
    marta
        .post(
            &format!("{}/updates", incident_path(&incident)),
            json!({"body": "Found it."}),
        )
        .await
        .ok();
    desk.drain().await;
    let all = [
        "bob@contoso.example",
        "it@contoso.example",
        "walt@elsewhere.example",
        "wanda@contoso.example",
    ];
    assert_eq!(addressees(desk, "[Update]"), all);

    let resolved = resolves(marta, &incident).await;
    desk.drain().await;
    assert_eq!(addressees(desk, "[Resolved]"), all);
    let broadcast = format!("/v1/broadcasts/{}", resolved["broadcast_id"].as_str().unwrap());
    let broadcast = marta.get(&broadcast).await.ok();
    assert_eq!(
        (
            &broadcast["state"],
            &broadcast["kind"],
            &broadcast["audience"],
            &broadcast["sent"]
        ),
        (
            &json!("finished"),
            &json!("incident_resolved"),
            &json!(4),
            &json!(4)
        )
    );
    assert_eq!(
        desk.mailbox.to("it@adatum.example").len(),
        0,
        "Adatum is not affected"
    );
    assert_eq!(told_without_end(desk).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_mail_a_person_and_tenant_however_many_roles_and_requests_and_it_lists_them_all() {
    let stage = long_stage().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let incident = stage.incident().await;
    // The contact files at the telephone, is a watcher of three requests, and is written in three ways.
    let own = json!({
        "incident_id": incident["id"], "severity": "c", "subject": "By telephone", "description": "It is down.",
        "tenant_id": stage.contoso["id"], "requester": {"email": "IT@Contoso.Example", "name": "IT of Contoso"},
        "channel": "telephone", "watchers": ["it@CONTOSO.example"],
    });
    let own = stage.ada.post("/v1/service-requests", own).await.created();
    let mut references = vec![own["reference"].as_str().unwrap().to_owned()];
    for spelling in ["It@contoso.example", "it@contoso.EXAMPLE", " IT@CONTOSO.EXAMPLE "] {
        let watched = files_with(&stage.bob, "Watched", &incident, &[spelling.trim()]).await;
        references.push(watched["reference"].as_str().unwrap().to_owned());
    }
    let foreign = files_with(&stage.bob, "Not theirs", &incident, &[]).await;
    resolves(marta, &incident).await;
    desk.drain().await;

    let ends = mails(desk, "it@contoso.example", "[Resolved]");
    assert_eq!(ends.len(), 1);
    for reference in &references {
        assert!(ends[0].text().contains(reference), "{reference} is not listed");
        assert!(
            ends[0].html().contains(reference),
            "{reference} is not in the HTML part"
        );
    }
    assert!(!ends[0].text().contains(foreign["reference"].as_str().unwrap()));
    let bobs = mails(desk, "bob@contoso.example", "[Resolved]");
    assert_eq!(bobs.len(), 1);
    assert_eq!(
        bobs[0].text().matches("\n- SR-").count(),
        4,
        "bob's three and the other one of his"
    );
    // Filing for oneself and watching oneself is one receipt.
    let about_own = deliveries(desk, &format!("request_id={}", id(&own))).await;
    assert_eq!(about_own.len(), 1, "{about_own:?}");
    assert_eq!(about_own[0]["recipient"], "it@contoso.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_watches_for_two_tenants_gets_one_mail_for_each_and_neither_tells_of_the_other() {
    let stage = long_stage().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let mut form = incident_form();
    form["regions"] = json!(["north-america", "europe"]);
    let incident = marta.post("/v1/incidents", form).await.created();
    let consultant = ["carla@consultants.example"];
    let first = files_with(&stage.bob, "Contoso's secret", &incident, &consultant).await;
    let second = files_with(&stage.eva, "Adatum's secret", &incident, &consultant).await;
    resolves(marta, &incident).await;
    desk.drain().await;

    let ends = mails(desk, consultant[0], "[Resolved]");
    assert_eq!(ends.len(), 2);
    let names = |request: &Value, mail: &Mail| mail.text().contains(request["reference"].as_str().unwrap());
    for (own, foreign) in [(&first, &second), (&second, &first)] {
        let of_own: Vec<&Mail> = ends.iter().filter(|mail| names(own, mail)).collect();
        assert_eq!(of_own.len(), 1);
        assert!(!names(foreign, of_own[0]));
    }
    // And in all the mail there is, nobody reads of the other tenant.
    for mail in desk.mailbox.mails() {
        let whole = String::from_utf8_lossy(&mail.raw).to_lowercase()
            + &mail.text().to_lowercase()
            + &mail.html().to_lowercase();
        let (contosos, adatums) = (whole.contains("contoso"), whole.contains("adatum"));
        assert!(!(contosos && adatums), "{:?} reads of both: {whole}", mail.to);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_who_was_taken_away_still_hears_the_end_of_what_they_were_told_of() {
    let stage = long_stage().await;
    let (desk, marta, bob) = (&stage.desk, &stage.marta, &stage.bob);
    let incident = stage.incident().await;
    desk.drain().await;
    let request = files_with(bob, "Mail is down", &incident, &["told@contoso.example"]).await;
    desk.drain().await;
    assert_eq!(desk.mailbox.to("told@contoso.example").len(), 1);
    let watchers = format!("{}/watchers", request_path(&request));
    bob.delete(&watchers, json!({"watchers": ["TOLD@contoso.example"]}))
        .await
        .ok();
    // Somebody who came and went between two mails was told of nothing.
    bob.put(&watchers, json!({"watchers": ["brief@contoso.example"]}))
        .await
        .ok();
    bob.delete(&watchers, json!({"watchers": ["brief@contoso.example"]}))
        .await
        .ok();
    desk.drain().await;
    assert_eq!(desk.mailbox.to("brief@contoso.example").len(), 0);
    resolves(marta, &incident).await;
    desk.drain().await;
    assert_eq!(mails(desk, "told@contoso.example", "[Resolved]").len(), 1);
    assert_eq!(desk.mailbox.to("brief@contoso.example").len(), 0);
    assert_eq!(told_without_end(desk).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn reopening_and_each_further_end_reach_everyone_who_was_told() {
    let stage = long_stage().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let incident = stage.incident().await;
    files_with(&stage.bob, "Mail is down", &incident, &["w@contoso.example"]).await;
    desk.drain().await;
    resolves(marta, &incident).await;
    desk.drain().await;
    let path = incident_path(&incident);
    marta
        .post(&format!("{path}/reopen"), json!({"body": "It is back."}))
        .await
        .ok();
    desk.drain().await;
    marta
        .post(
            &format!("{path}/false-positive"),
            json!({"body": "Nothing was wrong."}),
        )
        .await
        .ok();
    desk.drain().await;
    let all = ["bob@contoso.example", "it@contoso.example", "w@contoso.example"];
    for kind in ["[Resolved]", "[Reopened]", "[False alarm]"] {
        assert_eq!(addressees(desk, kind), all, "{kind}");
    }
    assert_eq!(told_without_end(desk).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metric_counts_somebody_who_was_told_it_began_and_not_that_it_ended() {
    let stage = long_stage().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let incident = stage.incident().await;
    desk.drain().await;
    resolves(marta, &incident).await;
    desk.drain().await;
    assert_eq!(told_without_end(desk).await, 0);
    desk.sql("DELETE FROM deliveries WHERE kind = 'incident_resolved' AND recipient = 'it@contoso.example'");
    assert_eq!(told_without_end(desk).await, 1);
}

// A request's own mail.

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sends_a_receipt_an_addition_replies_and_its_resolution() {
    let stage = long_stage().await;
    let (desk, ada, bob) = (&stage.desk, &stage.ada, &stage.bob);
    let incident = stage.incident().await;
    desk.drain().await;
    let request = files_with(bob, "Mail is down", &incident, &["w@contoso.example"]).await;
    desk.drain().await;
    let reference = request["reference"].as_str().unwrap();
    let receipts = mails(desk, "bob@contoso.example", &format!("[{reference}] [We have"));
    assert_eq!(receipts.len(), 1);
    for part in [receipts[0].text(), receipts[0].html()] {
        assert!(part.contains("It is down.") && part.contains("Mail is reachable only intermittently"));
    }
    let added = desk.mailbox.to("w@contoso.example");
    assert_eq!(added.len(), 1);
    assert!(added[0].subject().contains("You were added"));
    assert!(
        added[0].text().contains("Mail is reachable only intermittently"),
        "it names the incident"
    );

    // Adding them again is nothing new; adding another one is.
    let watchers = format!("{}/watchers", request_path(&request));
    bob.put(
        &watchers,
        json!({"watchers": ["W@contoso.example", "v@contoso.example"]}),
    )
    .await
    .ok();
    desk.drain().await;
    assert_eq!(desk.mailbox.to("w@contoso.example").len(), 1);
    assert_eq!(desk.mailbox.to("v@contoso.example").len(), 1);

    let comments = format!("{}/comments", request_path(&request));
    let said = |body: &str, visibility: &str| json!({"body": body, "visibility": visibility});
    ada.post(&comments, said("Restart Outlook.", "public"))
        .await
        .created();
    ada.post(&comments, said("They are slow to answer.", "internal"))
        .await
        .created();
    bob.post(&comments, said("It did not help.", "public"))
        .await
        .created();
    desk.drain().await;
    let replies = mails(desk, "bob@contoso.example", &format!("[{reference}] [New reply]"));
    assert_eq!(
        replies.len(),
        1,
        "the public reply of staff, and neither the note nor his own"
    );
    assert!(replies[0].text().contains("Restart Outlook.") && replies[0].html().contains("Restart Outlook."));

    ada.post(
        &format!("{}/resolve", request_path(&request)),
        json!({"body": "Use the web."}),
    )
    .await
    .ok();
    desk.drain().await;
    let answers = mails(desk, "bob@contoso.example", &format!("[{reference}] [Resolved]"));
    assert_eq!(answers.len(), 1);
    assert!(answers[0].text().contains("Use the web."));
    for mail in desk.mailbox.mails() {
        assert!(
            !mail.text().contains("slow to answer") && !mail.html().contains("slow to answer"),
            "a note leaked"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cascade_sends_no_mail_of_its_own() {
    let stage = long_stage().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let incident = stage.incident().await;
    let request = stage.bob.files("Mail is down", &incident).await.created();
    resolves(marta, &incident).await;
    desk.drain().await;
    let kinds: Vec<Value> = deliveries(desk, "recipient=bob@contoso.example")
        .await
        .into_iter()
        .map(|row| row["kind"].clone())
        .collect();
    assert_eq!(
        stage.bob.get(&request_path(&request)).await.ok()["status"],
        "resolved"
    );
    assert!(!kinds.contains(&json!("request_resolved")), "{kinds:?}");
    assert!(kinds.contains(&json!("request_received")) && kinds.contains(&json!("incident_resolved")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_an_incident_in_a_mail_counts_as_telling_of_it() {
    let stage = long_stage().await;
    let (desk, ada, bob, marta) = (&stage.desk, &stage.ada, &stage.bob, &stage.marta);
    let first = stage.incident().await;
    let mut other = incident_form();
    other["title"] = json!("Calendars are empty");
    let second = marta.post("/v1/incidents", other).await.created();
    // Bob's request is bound to the first incident only later, a reply names it, then it is bound to the second.
    let form = json!({"incident_id": null, "service": "exchange-online", "severity": "c", "subject": "Odd", "description": "?"});
    let request = bob.post("/v1/service-requests", form).await.created();
    desk.drain().await;
    let link = format!("{}/incident", request_path(&request));
    ada.put(&link, json!({"incident_id": first["id"]})).await.ok();
    ada.post(
        &format!("{}/comments", request_path(&request)),
        json!({"body": "We know of it."}),
    )
    .await
    .created();
    desk.drain().await;
    let title = "Mail is reachable only intermittently";
    let named = desk
        .mailbox
        .to("bob@contoso.example")
        .iter()
        .any(|mail| mail.text().contains(title));
    ada.put(&link, json!({"incident_id": second["id"]})).await.ok();
    resolves(marta, &first).await;
    desk.drain().await;
    let ends = mails(desk, "bob@contoso.example", &format!("[Resolved] {title}"));
    assert_eq!(
        ends.len(),
        usize::from(named),
        "whoever reads of an incident reads of its end"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_late_of_an_incident_that_has_ended_meanwhile_hears_of_its_end_too() {
    let stage = long_stage().await;
    let (desk, bob, marta) = (&stage.desk, &stage.bob, &stage.marta);
    let incident = stage.incident().await;
    desk.drain().await;
    let request = files_with(bob, "Mail is down", &incident, &["late@contoso.example"]).await;
    // The mail is written down but not sent; the watcher is taken away; the incident ends.
    while desk.running().worker.react().await.unwrap() == Step::Worked {}
    let watchers = format!("{}/watchers", request_path(&request));
    bob.delete(&watchers, json!({"watchers": ["late@contoso.example"]}))
        .await
        .ok();
    resolves(marta, &incident).await;
    while desk.running().worker.react().await.unwrap() == Step::Worked {}
    assert_eq!(
        desk.mailbox.to("late@contoso.example").len(),
        0,
        "all of that came before the first mail"
    );
    desk.drain().await;
    let got: Vec<String> = desk
        .mailbox
        .to("late@contoso.example")
        .iter()
        .map(Mail::subject)
        .collect();
    let ends = got
        .iter()
        .filter(|subject| subject.starts_with("[Resolved]"))
        .count();
    assert_eq!(
        ends,
        usize::from(!got.is_empty()),
        "told of it, and not of its end: {got:?}"
    );
}

// The form of a mail.

#[tokio::test(flavor = "multi_thread")]
async fn mails_have_two_parts_and_the_headers_that_thread_them() {
    let stage = long_stage().await;
    let (desk, marta, bob) = (&stage.desk, &stage.marta, &stage.bob);
    let incident = stage.incident().await;
    let other = stage.incident().await;
    let request = bob.files("Mail is down", &incident).await.created();
    bob.files("Another", &other).await.created();
    stage
        .ada
        .post(
            &format!("{}/comments", request_path(&request)),
            json!({"body": "We look."}),
        )
        .await
        .created();
    desk.drain().await;
    resolves(marta, &incident).await;
    desk.drain().await;

    let ledger: HashMap<String, Value> = deliveries(desk, "")
        .await
        .into_iter()
        .map(|row| (id(&row).to_owned(), row))
        .collect();
    let all = desk.mailbox.mails();
    assert_eq!(all.len(), ledger.len());
    let mut threads: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for mail in &all {
        assert!(!mail.text().is_empty() && mail.html().contains("<html"));
        assert!(
            mail.header("content-type")
                .unwrap()
                .starts_with("multipart/alternative")
        );
        assert_eq!(mail.header("auto-submitted").as_deref(), Some("auto-generated"));
        assert!(ids.insert(message_id(mail)), "a Message-ID twice");
        let (delivery, _) = message_id(mail)
            .split_once('@')
            .map(|(l, r)| (l.to_owned(), r.to_owned()))
            .unwrap();
        let row = &ledger[&delivery];
        let about = if row["kind"].as_str().unwrap().starts_with("incident") {
            &row["incident_id"]
        } else {
            &row["request_id"]
        };
        let root = mail.header("in-reply-to").unwrap();
        assert_eq!(mail.header("references").as_deref(), Some(root.as_str()));
        threads
            .entry(about.as_str().unwrap().to_owned())
            .or_default()
            .insert(root);
    }
    assert_eq!(threads.len(), 4, "two incidents and two requests");
    assert!(
        threads.values().all(|roots| roots.len() == 1),
        "one root a thread: {threads:?}"
    );
    let roots: BTreeSet<&String> = threads.values().flatten().collect();
    assert_eq!(roots.len(), 4, "no two threads share a root");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_tried_again_keeps_its_message_id() {
    let stage = long_stage().await;
    let desk = &stage.desk;
    let bob = "bob@contoso.example";
    let incident = stage.incident().await;
    desk.drain().await;
    desk.mailbox.refuse(bob, 451);
    stage.bob.files("Mail is down", &incident).await.created();
    desk.drain().await;
    let waiting = deliveries(desk, "recipient=bob@contoso.example").await;
    desk.mailbox.accept(bob);
    desk.pass(TimeDelta::seconds(6));
    desk.drain().await;
    let mail = desk.mailbox.to(bob).pop().unwrap();
    assert!(
        message_id(&mail).starts_with(&format!("{}@", id(&waiting[0]))),
        "it is the ledger's row"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_in_the_recipients_zone_with_utc_beside_them() {
    let stage = long_stage().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    let zoned = json!({
        "name": "Tailspin", "regions": ["north-america"], "services": ["exchange-online"], "time_zone": "America/New_York",
        "contacts": [
            {"email": "it@tailspin.example", "name": "IT"},
            {"email": "india@tailspin.example", "name": "India", "time_zone": "Asia/Kolkata"},
        ],
    });
    desk.operator.post("/v1/tenants", zoned).await.created();
    stage.incident().await;
    desk.drain().await;
    // 2010-09-07T18:00:00Z.
    for (address, time) in [
        (
            "it@contoso.example",
            "This was written on 7 September 2010, 18:00 UTC.",
        ),
        (
            "it@tailspin.example",
            "7 September 2010, 14:00 EDT (7 September 2010, 18:00 UTC)",
        ),
        (
            "india@tailspin.example",
            "7 September 2010, 23:30 IST (7 September 2010, 18:00 UTC)",
        ),
    ] {
        let mail = desk.mailbox.to(address).pop().unwrap();
        assert!(mail.text().contains(time), "{address}: {}", mail.text());
        assert!(mail.html().contains(time), "{address}: {}", mail.html());
    }
    let promised = json!({"body": "Soon.", "next_update_by": "2010-09-07T20:30:00Z"});
    let incidents = marta.all("/v1/incidents").await;
    marta
        .post(&format!("{}/updates", incident_path(&incidents[0])), promised)
        .await
        .ok();
    desk.drain().await;
    let update = &mails(desk, "india@tailspin.example", "[Update]")[0];
    assert!(
        update.text().contains("by 8 September 2010, 02:00 IST"),
        "{}",
        update.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_cannot_be_injected_through_names_subjects_and_addresses() {
    let stage = long_stage().await;
    let (desk, bob, ada) = (&stage.desk, &stage.bob, &stage.ada);
    let incident = stage.incident().await;
    let before = desk.count("service_requests") + desk.count("people") + desk.count("tenants");
    let evil = [
        "Hello\r\nBcc: eve@evil.example",
        "Hello\nBcc: eve@evil.example",
        "Hello\rBcc: eve@evil.example",
        "Hello\u{0}",
        "Hello\u{b}Bcc: x",
        "Hello\u{85}Bcc: x",
        "Hello\u{2028}Bcc: x",
        "Hello\u{7f}",
    ];
    let request = |field: &str, value: Value| {
        let mut form = json!({"incident_id": incident["id"], "severity": "b", "subject": "Down", "description": "Down."});
        form[field] = value;
        form
    };
    for text in evil {
        let forms = [
            request("subject", json!(text)),
            request("contact", json!({"name": text})),
            request("tags", json!([text])),
            request(
                "watchers",
                json!([format!("w@contoso.example{}", text.trim_start_matches("Hello"))]),
            ),
        ];
        for form in forms {
            let problem = bob
                .post("/v1/service-requests", form.clone())
                .await
                .refused(422, "validation-failed");
            assert!(problem["errors"][0]["pointer"].is_string(), "{form}");
        }
        let mut by_telephone = request("requester", json!({"email": "n@contoso.example", "name": text}));
        by_telephone["tenant_id"] = stage.contoso["id"].clone();
        let problem = ada
            .post("/v1/service-requests", by_telephone)
            .await
            .refused(422, "validation-failed");
        assert_eq!(problem["errors"][0]["pointer"], "/requester/name");

        let user = json!({"email": "x@provider.example", "name": text, "role": "agent", "password": "a long enough password"});
        let problem = desk
            .operator
            .post("/v1/users", user)
            .await
            .refused(422, "validation-failed");
        assert_eq!(problem["errors"][0]["pointer"], "/name");
        let tenant = json!({"name": "T", "regions": ["europe"], "services": ["sign-in"],
            "contacts": [{"email": "c@t.example", "name": text}]});
        desk.operator
            .post("/v1/tenants", tenant)
            .await
            .refused(422, "validation-failed");
        let mut form = incident_form();
        form["title"] = json!(text);
        let problem = stage
            .marta
            .post("/v1/incidents", form)
            .await
            .refused(422, "validation-failed");
        assert_eq!(problem["errors"][0]["pointer"], "/title");
    }
    let after = desk.count("service_requests") + desk.count("people") + desk.count("tenants");
    assert_eq!(before, after, "what was refused changed nothing");
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_users_typed_is_text_in_the_html_part_and_never_a_header() {
    let stage = long_stage().await;
    let (desk, ada, bob) = (&stage.desk, &stage.ada, &stage.bob);
    let mut form = incident_form();
    form["title"] = json!("<img src=x onerror=alert(1)> & =?utf-8?q?gone?=");
    let incident = stage.marta.post("/v1/incidents", form).await.created();
    let request = bob.files("<script>alert(1)</script>", &incident).await.created();
    let body = "Hello\r\n.\r\nMAIL FROM:<eve@evil.example>\r\nBcc: eve@evil.example\r\n\r\n<b>bold</b>";
    ada.post(
        &format!("{}/comments", request_path(&request)),
        json!({"body": body}),
    )
    .await
    .created();
    resolves(&stage.marta, &incident).await;
    desk.drain().await;
    let all = desk.mailbox.mails();
    assert!(all.len() >= 4, "{}", all.len());
    for mail in &all {
        assert_eq!(mail.to.len(), 1, "one recipient a mail");
        let names: Vec<String> = mail
            .headers()
            .into_iter()
            .map(|(name, _)| name.to_lowercase())
            .collect();
        assert!(
            !names.contains(&"bcc".to_owned()) && !names.contains(&"cc".to_owned()),
            "{names:?}"
        );
        let html = mail.html();
        assert!(
            !html.contains("<script") && !html.contains("<img") && !html.contains("<b>"),
            "{html}"
        );
    }
    let reply = all
        .iter()
        .find(|mail| mail.subject().contains("New reply"))
        .unwrap();
    assert!(
        reply
            .text()
            .contains("\n| .\n| MAIL FROM:<eve@evil.example>\n| Bcc: eve@evil.example\n"),
        "it is text, and marked as theirs"
    );
}

// Poison.

/// Six tenants' contacts have a mail each; the statement spoils the third of them.
async fn poisoned(spoil: &str) -> Stage {
    let stage = long_stage().await;
    crowd(&stage.desk, "Fabrikam", 6).await;
    stage.incident().await;
    while stage.desk.running().worker.react().await.unwrap() == Step::Worked {}
    let changed = stage.desk.sql(&format!(
        "UPDATE deliveries SET {spoil} WHERE recipient = 'c2@fabrikam.example'"
    ));
    assert_eq!(changed, 1);
    stage.desk.drain().await;
    for n in [0, 1, 3, 4, 5] {
        assert_eq!(
            stage.desk.mailbox.to(&format!("c{n}@fabrikam.example")).len(),
            1,
            "{spoil}: c{n}"
        );
    }
    assert_eq!(
        stage.desk.mailbox.to("it@contoso.example").len(),
        1,
        "{spoil}: the mails behind it"
    );
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_control_characters_in_the_ledger_is_made_harmless() {
    let newline = |sqlite: bool| {
        if sqlite {
            "char(13, 10)"
        } else {
            "chr(13) || chr(10)"
        }
    };
    let sqlite = std::env::var("ALLCLEAR_TEST_ENGINE").as_deref() != Ok("postgres");
    let stage = poisoned(&format!(
        "name = 'Eve' || {} || 'Bcc: eve@evil.example'",
        newline(sqlite)
    ))
    .await;
    let mail = stage.desk.mailbox.to("c2@fabrikam.example").pop().unwrap();
    assert_eq!(mail.header("bcc"), None);
    assert_eq!(mail.to.len(), 1);
    assert_eq!(
        mail.parsed().to().unwrap().first().unwrap().name(),
        Some("Eve Bcc: eve@evil.example")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_none_fails_alone_and_is_seen() {
    for address in [
        "nobody",
        "a b@@x",
        "c2@fabrikam.example> RCPT TO:<eve@evil.example",
    ] {
        let stage = poisoned(&format!("recipient = '{address}'")).await;
        let failed = deliveries(&stage.desk, "state=failed").await;
        assert_eq!(failed.len(), 1, "{failed:?}");
        assert_eq!(failed[0]["recipient"], address);
        assert!(
            failed[0]["error"]
                .as_str()
                .unwrap()
                .contains("not an e-mail address"),
            "{failed:?}"
        );
        assert_eq!(stage.desk.mailbox.to("eve@evil.example").len(), 0);
        let event = failed[0]["event_id"].as_str().unwrap();
        let broadcast = stage.marta.get(&format!("/v1/broadcasts/{event}")).await.ok();
        assert_eq!(
            (&broadcast["state"], &broadcast["failed"]),
            (&json!("finished"), &json!(1))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_zone_that_does_not_exist_costs_the_local_time_and_not_the_mail() {
    let stage = poisoned("time_zone = 'Mars/Olympus_Mons'").await;
    let mail = stage.desk.mailbox.to("c2@fabrikam.example").pop().unwrap();
    assert!(mail.text().contains("7 September 2010, 18:00 UTC"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_nobody_knows_fails_alone_and_is_seen() {
    let stage = poisoned("kind = 'horoscope'").await;
    let failed = deliveries(&stage.desk, "state=failed").await;
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0]["recipient"], "c2@fabrikam.example");
    assert!(
        failed[0]["error"]
            .as_str()
            .unwrap()
            .contains("cannot be rendered"),
        "{failed:?}"
    );
    // Retrying does not help and does no harm.
    let retry = format!("/v1/deliveries/{}/retry", id(&failed[0]));
    stage.desk.operator.post(&retry, json!({})).await.ok();
    stage.desk.drain().await;
    assert_eq!(deliveries(&stage.desk, "state=failed").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_incident_or_request_is_gone_fails_alone_and_is_seen() {
    for spoil in ["event_id = id", "kind = 'request_received'"] {
        let stage = poisoned(spoil).await;
        let failed = deliveries(&stage.desk, "state=failed").await;
        assert_eq!(failed.len(), 1, "{spoil}: {failed:?}");
        assert!(
            failed[0]["error"]
                .as_str()
                .unwrap()
                .contains("cannot be rendered")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_read_stops_neither_the_mail_of_others_nor_the_broadcasts() {
    let mut stage = long_stage().await;
    let incident = stage.incident().await;
    stage.bob.files("Poisoned", &incident).await.created();
    stage
        .desk
        .sql("UPDATE events SET kind = 'horoscope' WHERE kind = 'request_filed'");
    let ada = &stage.ada;
    for subject in ["By telephone", "Again"] {
        let form = json!({
            "incident_id": incident["id"], "severity": "c", "subject": subject, "description": "It is down.",
            "tenant_id": stage.contoso["id"], "requester": {"email": "zoe@contoso.example", "name": "Zoe"},
        });
        ada.post("/v1/service-requests", form).await.created();
    }
    resolves(&stage.marta, &incident).await;
    for _ in 0..50 {
        // Whether a step says what it met is not what this is about; whether it goes on is.
        let _ = stage.desk.running().worker.react().await;
        stage.desk.running().worker.dispatch().await.unwrap();
    }
    let desk = &stage.desk;
    assert_eq!(
        mails(desk, "zoe@contoso.example", "[SR-").len(),
        2,
        "the receipts"
    );
    assert_eq!(
        addressees(desk, "[Resolved]"),
        ["bob@contoso.example", "zoe@contoso.example"]
    );
    let open = stage.bob.all("/v1/service-requests?open=true").await;
    assert_eq!(open.len(), 0, "the cascade went on");
    assert_eq!(
        desk.count("unread_events"),
        1,
        "what was not acted on is not forgotten"
    );
    stage.desk.leave_undrained();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_event_of_a_request_is_acted_on_however_many_later_ones_have_earlier_ids() {
    // As where the clocks of two processes differ.
    let stage = long_stage().await;
    let desk = &stage.desk;
    let incident = stage.incident().await;
    desk.drain().await;
    let request = stage.bob.files("Mail is down", &incident).await.created();
    let comments = format!("{}/comments", request_path(&request));
    for _ in 0..110 {
        stage
            .ada
            .post(&comments, json!({"body": "We look."}))
            .await
            .created();
    }
    let late = if is_sqlite(desk) {
        "X'FFFFFFFFFFFF7FFFBFFFFFFFFFFFFFFF'"
    } else {
        "'ffffffff-ffff-7fff-bfff-ffffffffffff'"
    };
    desk.sql("DELETE FROM unread_events WHERE seq = 1");
    desk.sql(&format!(
        "UPDATE events SET id = {late} WHERE kind = 'request_filed'"
    ));
    desk.sql(
        "INSERT INTO unread_events (tenant_id, reader, event_id, subject_id, seq) \
         SELECT tenant_id, 'notify', id, subject_id, seq FROM events WHERE kind = 'request_filed'",
    );
    desk.drain().await;
    assert_eq!(mails(desk, "bob@contoso.example", "[SR-").len(), 111);
}

// Trouble with the server.

async fn of_contact(desk: &TestDesk) -> Value {
    let mut rows = deliveries(desk, "recipient=it@contoso.example").await;
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_not_taken_yet_is_tried_again_with_growing_pauses() {
    let stage = long_stage().await;
    let desk = &stage.desk;
    desk.mailbox.refuse("it@contoso.example", 451);
    stage.incident().await;
    desk.drain().await;
    let row = of_contact(desk).await;
    assert_eq!(
        (&row["state"], &row["attempts"]),
        (&json!("pending"), &json!(1)),
        "{row}"
    );
    assert!(row["error"].as_str().unwrap().contains("is refused by the test"));
    desk.drain().await;
    assert_eq!(of_contact(desk).await["attempts"], 1, "not before its time");

    let mut last = TimeDelta::zero();
    for attempts in 2..=6 {
        let next: DateTime<Utc> = of_contact(desk).await["next_attempt_at"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let pause = next - desk.clock.now();
        // Doubling from five seconds, of which chance takes up to half.
        let whole = TimeDelta::seconds(5 << (attempts - 2));
        assert!(
            whole / 2 <= pause && pause <= whole,
            "pause {pause} before attempt {attempts}"
        );
        assert!(pause * 2 > last, "pauses grow");
        last = pause;
        desk.clock.set(next);
        desk.drain().await;
        assert_eq!(of_contact(desk).await["attempts"], attempts);
    }
    desk.mailbox.accept("it@contoso.example");
    desk.pass(TimeDelta::hours(1));
    desk.drain().await;
    let row = of_contact(desk).await;
    assert_eq!(
        (&row["state"], &row["attempts"], &row["error"]),
        (&json!("sent"), &json!(7), &Value::Null)
    );
    assert_eq!(desk.mailbox.to("it@contoso.example").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_refused_for_good_fails_is_seen_and_can_be_retried() {
    let stage = long_stage().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    desk.mailbox.refuse("it@contoso.example", 550);
    stage.incident().await;
    desk.drain().await;
    let row = of_contact(desk).await;
    assert_eq!((&row["state"], &row["attempts"]), (&json!("failed"), &json!(1)));
    assert!(row["error"].as_str().unwrap().contains("550"), "{row}");
    let broadcast = format!("/v1/broadcasts/{}", row["event_id"].as_str().unwrap());
    assert_eq!(marta.get(&broadcast).await.ok()["failed"], 1);
    desk.pass(TimeDelta::days(1));
    desk.drain().await;
    assert_eq!(
        of_contact(desk).await["attempts"],
        1,
        "nobody tries it again unasked"
    );

    let retry = format!("/v1/deliveries/{}/retry", id(&row));
    stage.bob.post(&retry, json!({})).await.refused(403, "forbidden");
    desk.mailbox.accept("it@contoso.example");
    let again = marta.post(&retry, json!({})).await.ok();
    assert_eq!(again["state"], "pending");
    assert_eq!(marta.get(&broadcast).await.ok()["state"], "sending");
    desk.drain().await;
    assert_eq!(desk.mailbox.to("it@contoso.example").len(), 1);
    let broadcast = marta.get(&broadcast).await.ok();
    assert_eq!(
        (&broadcast["state"], &broadcast["sent"], &broadcast["failed"]),
        (&json!("finished"), &json!(1), &json!(0))
    );
    marta
        .post(&retry, json!({}))
        .await
        .refused(409, "transition-not-allowed");
    desk.drain().await;
    assert_eq!(desk.mailbox.to("it@contoso.example").len(), 1);
    let unknown = format!("/v1/deliveries/{}/retry", id(&stage.contoso));
    marta.post(&unknown, json!({})).await.refused(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_deadline_a_mail_is_given_up() {
    let stage = long_stage_with(|settings| settings.mail_deadline = TimeDelta::hours(2)).await;
    let desk = &stage.desk;
    desk.mailbox.refuse("it@contoso.example", 451);
    stage.incident().await;
    for _ in 0..40 {
        desk.drain().await;
        desk.pass(TimeDelta::minutes(5));
    }
    let row = of_contact(desk).await;
    assert_eq!(row["state"], "failed", "{row}");
    assert!(row["attempts"].as_i64().unwrap() >= 5, "{row}");
    let error = row["error"].as_str().unwrap();
    assert!(error.contains("given up") && error.contains("451"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_goes_away_and_comes_back_loses_nothing_and_repeats_nothing() {
    let stage = long_stage().await;
    let (desk, marta) = (&stage.desk, &stage.marta);
    crowd(desk, "Fabrikam", 100).await;
    let incident = stage.incident().await;
    desk.drain().await;
    assert_eq!(addressees(desk, "[New incident]").len(), 101);
    desk.mailbox.pause();
    let resolved = resolves(marta, &incident).await;
    desk.drain().await;
    assert_eq!(addressees(desk, "[Resolved]").len(), 0);
    let broadcast = format!("/v1/broadcasts/{}", resolved["broadcast_id"].as_str().unwrap());
    let shown = marta.get(&broadcast).await.ok();
    assert_eq!(
        (&shown["state"], &shown["pending"], &shown["failed"]),
        (&json!("sending"), &json!(101), &json!(0))
    );
    desk.pass(TimeDelta::seconds(30));
    desk.drain().await;
    desk.mailbox.resume();
    desk.pass(TimeDelta::hours(1));
    desk.drain().await;
    let got = addressees(desk, "[Resolved]");
    let each: BTreeSet<&String> = got.iter().collect();
    assert_eq!((got.len(), each.len()), (101, 101));
    assert_eq!(marta.get(&broadcast).await.ok()["state"], "finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_recipient_whose_server_refuses_does_not_hold_up_the_others() {
    let stage = long_stage_with(|settings| settings.mail_in_flight = 4).await;
    let desk = &stage.desk;
    crowd(desk, "Fabrikam", 20).await;
    for n in 0..6 {
        desk.mailbox.refuse(
            &format!("c{n}@fabrikam.example"),
            if n % 2 == 0 { 451 } else { 550 },
        );
    }
    stage.incident().await;
    desk.drain().await;
    assert_eq!(addressees(desk, "[New incident]").len(), 15);
    assert_eq!(deliveries(desk, "state=failed").await.len(), 3);
    for n in 0..6 {
        desk.mailbox.accept(&format!("c{n}@fabrikam.example"));
    }
    desk.pass(TimeDelta::minutes(1));
    desk.drain().await;
    assert_eq!(addressees(desk, "[New incident]").len(), 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requests_own_mail_goes_before_bulk() {
    let stage = long_stage_with(|settings| settings.mail_in_flight = 8).await;
    let desk = &stage.desk;
    crowd(desk, "Fabrikam", 40).await;
    let incident = stage.incident().await;
    while desk.running().worker.react().await.unwrap() == Step::Worked {}
    stage.bob.files("Mail is down", &incident).await.created();
    while desk.running().worker.react().await.unwrap() == Step::Worked {}
    desk.running().worker.dispatch().await.unwrap();
    let mails = desk.mailbox.mails();
    let is_own = |mail: &Mail| mail.subject().starts_with("[SR-");
    let own = mails.iter().filter(|mail| is_own(mail)).count();
    assert!(mails.iter().take(own).all(is_own));
    assert!(
        mails
            .iter()
            .any(|mail| is_own(mail) && mail.to == ["bob@contoso.example"])
    );
    desk.drain().await;
}

// Processes that die.

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_had_in_its_hands_is_sent_once_its_lease_has_run_out() {
    let stage = long_stage().await;
    let desk = &stage.desk;
    crowd(desk, "Fabrikam", 10).await;
    stage.incident().await;
    while desk.running().worker.react().await.unwrap() == Step::Worked {}
    let lease = desk.settings().mail_lease;
    let until = instant(desk, desk.clock.now() + lease);
    let leased = desk.sql(&format!(
        "UPDATE deliveries SET state = 'leased', lease_owner = id, lease_until = {until} WHERE recipient LIKE 'c%@fabrikam.example'"
    ));
    assert_eq!(leased, 10);
    assert_eq!(desk.running().worker.dispatch().await.unwrap(), Step::Worked);
    desk.running().worker.dispatch().await.unwrap();
    assert_eq!(
        addressees(desk, "[New incident]"),
        ["it@contoso.example"],
        "its owner may live"
    );
    desk.pass(lease);
    desk.running().worker.dispatch().await.unwrap();
    assert_eq!(
        addressees(desk, "[New incident]").len(),
        1,
        "to the end of the lease"
    );
    desk.pass(TimeDelta::milliseconds(1));
    desk.drain().await;
    let got = addressees(desk, "[New incident]");
    let each: BTreeSet<&String> = got.iter().collect();
    assert_eq!((got.len(), each.len()), (11, 11));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_of_the_expansion_and_of_the_sending_forgets_nobody_and_repeats_nothing() {
    let mut stage = long_stage_with(|settings| settings.mail_in_flight = 8).await;
    crowd(&stage.desk, "Fabrikam", 700).await;
    let incident = stage.incident().await;
    stage.desk.drain().await;
    for n in 0..3 {
        files_with(
            &stage.bob,
            &format!("Number {n}"),
            &incident,
            &["c1@fabrikam.example"],
        )
        .await;
    }
    stage.desk.drain().await;
    let resolved = resolves(&stage.marta, &incident).await;
    let broadcast = format!("/v1/broadcasts/{}", resolved["broadcast_id"].as_str().unwrap());
    // A step, a restart, and so on: through every part of the audience, and then through the sending.
    let mut states = BTreeSet::new();
    for _ in 0..200 {
        let reacted = stage.desk.running().worker.react().await.unwrap();
        let shown = now_at(&stage.desk, &stage.marta).get(&broadcast).await.ok();
        let state = shown["state"].as_str().unwrap().to_owned();
        let partly_sent = shown["sent"].as_i64().unwrap() > 0 && shown["pending"].as_i64().unwrap() > 0;
        states.insert((state.clone(), partly_sent));
        let sent = if state == "expanding" {
            Step::Idle
        } else {
            stage.desk.running().worker.dispatch().await.unwrap()
        };
        if state == "finished" {
            break;
        }
        // A process that was killed and not stopped leaves leases behind.
        let until = instant(
            &stage.desk,
            stage.desk.clock.now() + stage.desk.settings().mail_lease,
        );
        stage.desk.sql(&format!(
            "UPDATE deliveries SET state = 'leased', lease_owner = id, lease_until = {until} \
             WHERE state = 'pending' AND recipient LIKE 'c_@fabrikam.example'"
        ));
        stage.desk.restart().await;
        stage.desk.pass(TimeDelta::seconds(16));
        assert!(reacted == Step::Worked || sent == Step::Worked, "it stands still");
    }
    stage.desk.drain().await;
    let desk = &stage.desk;
    assert!(states.contains(&("expanding".to_owned(), false)), "{states:?}");
    assert!(states.contains(&("sending".to_owned(), true)), "{states:?}");
    let got = addressees(desk, "[Resolved]");
    let each: BTreeSet<&String> = got.iter().collect();
    // Seven hundred contacts, Contoso's, bob, and the contact who also watches for Contoso: a mail a tenant.
    assert_eq!(each.len(), 702);
    assert_eq!(got.len(), 703);
    assert_eq!(mails(desk, "c1@fabrikam.example", "[Resolved]").len(), 2);
    assert_eq!(told_without_end(desk).await, 0);
}

// The invariant, along random histories.

/// `SplitMix64`: the same story for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        (!of.is_empty()).then(|| &of[self.roll(of.len())])
    }
}

/// An end or a reopening, with everyone whom a mail had named the incident to when it was called.
struct Turn {
    broadcast: String,
    incident: String,
    is_end: bool,
    is_cancelled: bool,
    told: BTreeSet<(String, String)>,
}

struct History {
    stage: Stage,
    dice: Dice,
    incidents: Vec<Value>,
    requests: Vec<Value>,
    turns: Vec<Turn>,
    /// Tenant, address and incident (or `everything`) of those who followed a link.
    left: BTreeSet<(String, String, String)>,
    log: Vec<String>,
}

impl History {
    fn title(&self, incident: &Value) -> String {
        format!("\"{}\"", incident["title"].as_str().unwrap())
    }

    /// Tenant and recipient of every mail that names the incident, with the event it tells of.
    async fn mails_naming(&self, incident: &Value) -> Vec<(String, String, String)> {
        let title = incident["title"].as_str().unwrap();
        let ledger: HashMap<String, Value> = deliveries(&self.stage.desk, "")
            .await
            .into_iter()
            .map(|row| (id(&row).to_owned(), row))
            .collect();
        let mails = self.stage.desk.mailbox.mails();
        let naming = mails
            .iter()
            .filter(|mail| mail.text().contains(title) || mail.subject().contains(title));
        naming
            .map(|mail| {
                let row = &ledger[message_id(mail).split('@').next().unwrap()];
                (
                    row["tenant_id"].as_str().unwrap().to_owned(),
                    mail.to[0].clone(),
                    row["event_id"].as_str().unwrap().to_owned(),
                )
            })
            .collect()
    }

    async fn turn(&mut self, call: &str) {
        if let Some(incident) = self.dice.pick(&self.incidents).cloned() {
            self.turn_of(&incident, call).await;
        }
    }

    /// An incident turns out to be another one.
    async fn merge(&mut self) {
        let (one, other) = (
            self.dice.pick(&self.incidents).cloned(),
            self.dice.pick(&self.incidents).cloned(),
        );
        let Some((incident, other)) = one.zip(other).filter(|(one, other)| one["id"] != other["id"]) else {
            return;
        };
        let told = self.told_of(&incident).await;
        let form = json!({"body": "The same.", "of": other["id"]});
        let reply = self
            .stage
            .marta
            .post(&format!("{}/duplicate", incident_path(&incident)), form)
            .await;
        self.log.push(format!(
            "{} is {} → {}",
            self.title(&incident),
            self.title(&other),
            reply.status
        ));
        assert!(matches!(reply.status, 200 | 409), "duplicate: {}", reply.body);
        self.turned(&incident, "duplicate", &reply, told);
    }

    /// An incident affects others than it did.
    async fn rescope(&mut self) {
        let Some(incident) = self.dice.pick(&self.incidents).cloned() else {
            return;
        };
        let regions = self.regions();
        let form = json!({"regions": regions, "body": "Not all of you."});
        let reply = self.stage.marta.patch(&incident_path(&incident), form).await;
        let title = self.title(&incident);
        self.log
            .push(format!("{title} affects {regions} → {}", reply.status));
        assert!(matches!(reply.status, 200 | 409), "rescope: {}", reply.body);
    }

    /// An update is called off, or an opening; never an end.
    async fn cancel(&mut self) {
        let Some(incident) = self.dice.pick(&self.incidents).cloned() else {
            return;
        };
        let path = format!("{}/broadcasts", incident_path(&incident));
        let broadcasts = self.stage.desk.operator.all(&path).await;
        let broadcast = self.dice.pick(&broadcasts).cloned().unwrap();
        let call = format!("/v1/broadcasts/{}/cancel", id(&broadcast));
        let reply = self.stage.marta.post(&call, json!({})).await;
        let kind = broadcast["kind"].as_str().unwrap();
        self.log
            .push(format!("cancel {kind} {} → {}", id(&broadcast), reply.status));
        assert!(matches!(reply.status, 200 | 409), "cancel: {}", reply.body);
        let is_end = matches!(
            kind,
            "incident_resolved" | "incident_false_positive" | "incident_duplicate"
        );
        assert!(!is_end || reply.body["code"] == "end-is-owed", "{}", reply.body);
        if reply.status == 200 {
            let mut turns = self.turns.iter_mut();
            if let Some(turn) = turns.find(|turn| turn.broadcast == id(&broadcast)) {
                turn.is_cancelled = true;
            }
        }
    }

    /// Somebody's server takes no mail for now, or takes it again.
    fn trouble(&mut self) {
        let who = format!("w{}@watchers.example", self.dice.roll(3));
        let mailbox = &self.stage.desk.mailbox;
        if self.dice.roll(2) == 0 {
            mailbox.refuse(&who, 451);
        } else {
            mailbox.accept(&who);
        }
    }

    /// A process dies with mail in its hands that has not left, and another one takes over.
    async fn crash(&mut self) {
        let desk = &mut self.stage.desk;
        let until = instant(desk, desk.clock.now() + desk.settings().mail_lease);
        desk.sql(&format!(
            "UPDATE deliveries SET state = 'leased', lease_owner = id, lease_until = {until} \
             WHERE state = 'pending' AND attempts = 0 AND recipient LIKE 'w1@%' \
             AND (tenant_id, incident_id, recipient) IN (SELECT tenant_id, incident_id, recipient FROM told)"
        ));
        desk.restart().await;
        let stage = &mut self.stage;
        for user in [&mut stage.bob, &mut stage.eva, &mut stage.ada, &mut stage.marta] {
            *user = now_at(&stage.desk, user);
        }
        self.log.push("a crash".to_owned());
    }

    async fn told_of(&self, incident: &Value) -> BTreeSet<(String, String)> {
        let naming = self.mails_naming(incident).await.into_iter();
        naming.map(|(tenant, recipient, _)| (tenant, recipient)).collect()
    }

    /// Notes a turn, if it was taken.
    fn turned(&mut self, incident: &Value, call: &str, reply: &Reply, told: BTreeSet<(String, String)>) {
        if reply.status == 200 {
            self.turns.push(Turn {
                broadcast: reply.body["broadcast_id"].as_str().unwrap().to_owned(),
                incident: id(incident).to_owned(),
                is_end: call != "reopen",
                is_cancelled: false,
                told,
            });
        }
    }

    async fn turn_of(&mut self, incident: &Value, call: &str) {
        let told = self.told_of(incident).await;
        let path = format!("{}/{call}", incident_path(incident));
        let keep = if call == "resolve" && self.dice.roll(2) == 0 {
            json!({"body": "So it is.", "requests": "keep"})
        } else {
            json!({"body": "So it is."})
        };
        let reply = self.stage.marta.post(&path, keep).await;
        self.log
            .push(format!("{call} {} → {}", self.title(incident), reply.status));
        assert!(matches!(reply.status, 200 | 409), "{call}: {}", reply.body);
        self.turned(incident, call, &reply, told);
    }

    fn regions(&mut self) -> Value {
        let regions = [
            json!(["north-america"]),
            json!(["europe"]),
            json!(["north-america", "europe"]),
        ];
        self.dice.pick(&regions).unwrap().clone()
    }

    async fn open(&mut self) {
        let mut form = incident_form();
        // Not a prefix of another: mails are told apart by it.
        form["title"] = json!(format!("Trouble number {:03}", self.incidents.len()));
        form["regions"] = self.regions();
        let incident = self.stage.marta.post("/v1/incidents", form).await.created();
        self.log.push(format!("open {}", self.title(&incident)));
        self.incidents.push(incident);
    }

    async fn file(&mut self) {
        let Some(incident) = self.dice.pick(&self.incidents).cloned() else {
            return;
        };
        let user = if self.dice.roll(2) == 0 {
            self.stage.bob.clone()
        } else {
            self.stage.eva.clone()
        };
        let watchers: Vec<String> = (0..self.dice.roll(3))
            .map(|_| self.dice.roll(3))
            .map(|n| format!("w{n}@watchers.example"))
            .collect();
        let incident_id = if self.dice.roll(5) == 0 {
            Value::Null
        } else {
            incident["id"].clone()
        };
        let mut form = json!({"incident_id": incident_id, "severity": "c", "subject": "Down", "description": "Down.", "watchers": watchers});
        if incident_id.is_null() {
            form["service"] = json!("exchange-online");
        }
        let reply = user.post("/v1/service-requests", form).await;
        self.log.push(format!(
            "{} files against {incident_id} with {watchers:?} → {}",
            user.name, reply.status
        ));
        assert!(matches!(reply.status, 201 | 409), "{}", reply.body);
        if reply.status == 201 {
            self.requests.push(reply.body);
        }
    }

    /// A call about some request.
    async fn work(&mut self, what: &str) {
        // Mostly the newest: what comes and goes quickly is where somebody might be forgotten.
        let recent = self.requests.len().saturating_sub(2);
        let from = if self.dice.roll(3) == 0 { 0 } else { recent };
        let Some(request) = self.dice.pick(&self.requests[from..]).cloned() else {
            return;
        };
        let path = request_path(&request);
        let watcher = json!({"watchers": [format!("w{}@watchers.example", self.dice.roll(3))]});
        let ada = &self.stage.ada;
        let reply = match what {
            "watch" => ada.put(&format!("{path}/watchers"), watcher).await,
            "unwatch" => ada.delete(&format!("{path}/watchers"), watcher).await,
            "comment" => {
                ada.post(&format!("{path}/comments"), json!({"body": "We look."}))
                    .await
            }
            "answer" => ada.post(&format!("{path}/resolve"), json!({"body": "So."})).await,
            "reopen" => ada.post(&format!("{path}/reopen"), json!({})).await,
            _ => {
                let incident = self.dice.pick(&self.incidents).unwrap();
                ada.put(
                    &format!("{path}/incident"),
                    json!({"incident_id": incident["id"]}),
                )
                .await
            }
        };
        self.log
            .push(format!("{what} {} → {}", id(&request), reply.status));
        assert!(matches!(reply.status, 200 | 201 | 409), "{what}: {}", reply.body);
    }

    /// A watcher who comes and goes, and whose mail may be written down, sent, or neither in between.
    async fn fleeting(&mut self) {
        let Some(request) = self.requests.last().cloned() else {
            return;
        };
        let path = format!("{}/watchers", request_path(&request));
        let watcher = json!({"watchers": [format!("f{}@watchers.example", self.log.len())]});
        let (ada, worker) = (self.stage.ada.clone(), self.stage.desk.running().worker.clone());
        ada.put(&path, watcher.clone()).await.ok();
        let meanwhile = self.dice.roll(4);
        if meanwhile < 3 {
            worker.react().await.unwrap();
        }
        if meanwhile == 0 {
            worker.dispatch().await.unwrap();
        }
        ada.delete(&path, watcher.clone()).await.ok();
        self.log.push(format!(
            "{watcher} comes to {} and goes: {meanwhile}",
            id(&request)
        ));
        let bound_to = self
            .incidents
            .iter()
            .find(|incident| incident["id"] == request["incident"]["id"])
            .cloned();
        if let Some(incident) = bound_to.filter(|_| meanwhile == 1) {
            self.turn_of(&incident, "resolve").await;
        }
    }

    /// Somebody follows the link in their newest mail: no more of it, nothing at all, or mail again.
    async fn leave(&mut self) {
        let w = format!("w{}@watchers.example", self.dice.roll(3));
        let desk = &self.stage.desk;
        let Some(mail) = desk.mailbox.to(&w).pop() else {
            return;
        };
        let Some(header) = mail.header("List-Unsubscribe") else {
            return;
        };
        let path = &header[header.find("/v1/unsubscribe/").unwrap()..];
        let wish = ["", "", "", "wish=nothing", "wish=again"][self.dice.roll(5)];
        let call = desk.stranger().call(Method::POST, path.trim_end_matches('>'));
        assert_eq!(call.body(wish).send().await.unwrap().status(), 200, "{path}");
        let rows = deliveries(desk, &format!("recipient={w}")).await;
        let name = message_id(&mail);
        let row = rows.iter().find(|row| name.starts_with(id(row))).unwrap();
        let tenant = row["tenant_id"].as_str().unwrap().to_owned();
        if wish == "wish=nothing" {
            self.left
                .insert((tenant.clone(), w.clone(), "everything".to_owned()));
        }
        // Of an incident, and of what that goes on as.
        let mut of = row["incident_id"].as_str().map(str::to_owned);
        while let Some(incident) = of {
            let path = format!("/v1/incidents/{incident}");
            let goes_on_as = desk.operator.get(&path).await.ok()["duplicate_of"].clone();
            self.left.insert((tenant.clone(), w.clone(), incident));
            of = goes_on_as.as_str().map(str::to_owned);
        }
        self.log.push(format!("{w} follows the link of {row}: {wish:?}"));
    }

    async fn step(&mut self) {
        let worker = self.stage.desk.running().worker.clone();
        match self.dice.roll(36) {
            0 | 29 => self.open().await,
            1..=3 => self.file().await,
            4 | 5 => self.work("watch").await,
            6 | 7 => self.work("unwatch").await,
            8 | 9 => self.fleeting().await,
            10 => self.work("comment").await,
            11 => self.work("link").await,
            12 => {
                let what = ["answer", "reopen"][self.dice.roll(2)];
                self.work(what).await;
            }
            13 => {
                if let Some(incident) = self.dice.pick(&self.incidents).cloned() {
                    let path = format!("{}/updates", incident_path(&incident));
                    self.stage.marta.post(&path, json!({"body": "News."})).await;
                }
            }
            14..=16 | 30 => self.turn("resolve").await,
            17 => self.turn("reopen").await,
            18 => self.turn("false-positive").await,
            19..=21 => {
                worker.react().await.unwrap();
            }
            22 => {
                worker.dispatch().await.unwrap();
            }
            23 | 24 => self.merge().await,
            25 => self.cancel().await,
            26 | 27 => self.trouble(),
            28 => self.crash().await,
            32 | 33 => self.leave().await,
            34 | 35 => self.rescope().await,
            _ => self.stage.desk.drain().await,
        }
        self.stage.desk.pass(TimeDelta::milliseconds(
            1 + i64::try_from(self.dice.roll(60_000)).unwrap(),
        ));
        assert_eq!(
            told_without_end(&self.stage.desk).await,
            0,
            "{}",
            self.log.join("\n")
        );
    }

    /// One mail of each end or reopening to whomever it was owed, unless it was still unsent as the incident was reopened;
    /// exactly one of the last; and at most one of any broadcast to anybody.
    async fn check(&self, seed: u64) {
        let story = || format!("seed {seed}:\n{}", self.log.join("\n"));
        for incident in &self.incidents {
            let naming = self.mails_naming(incident).await;
            let count = |tenant: &str, recipient: &str, event: &str| {
                naming
                    .iter()
                    .filter(|(t, r, e)| (t.as_str(), r.as_str(), e.as_str()) == (tenant, recipient, event))
                    .count()
            };
            // Whoever wanted no more of it, for a while at least, may know or not: that there is a reason was asked.
            let has_left = |tenant: &str, recipient: &str| {
                let of = |what: &str| (tenant.to_owned(), recipient.to_owned(), what.to_owned());
                self.left.contains(&of(id(incident))) || self.left.contains(&of("everything"))
            };
            let turns: Vec<&Turn> = self
                .turns
                .iter()
                .filter(|turn| turn.incident == id(incident))
                .collect();
            for (at, turn) in turns.iter().enumerate() {
                let may_be_replaced = turn.is_end && turns[at + 1..].iter().any(|later| !later.is_end);
                let owed = turn.told.iter().filter(|_| !turn.is_cancelled);
                for (tenant, recipient) in owed.filter(|(tenant, to)| !has_left(tenant, to)) {
                    let mails = count(tenant, recipient, &turn.broadcast);
                    assert!(
                        mails == 1 || (mails == 0 && may_be_replaced),
                        "{recipient} was told of {incident} before {} and got {mails}: {}",
                        turn.broadcast,
                        story()
                    );
                }
            }
            // Once all is quiet, nobody knows of an incident that is over without knowing that it is.
            if let Some(last) = turns.last().filter(|turn| turn.is_end) {
                for (tenant, recipient, _) in naming.iter().filter(|(tenant, to, _)| !has_left(tenant, to)) {
                    let ends = count(tenant, recipient, &last.broadcast);
                    assert_eq!(
                        ends,
                        1,
                        "{recipient} knows of {incident} and got {ends} of its end: {}",
                        story()
                    );
                }
            }
            let mut unique = naming.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), naming.len(), "a mail twice: {}", story());
        }
    }
}

/// How many ends the history of this seed had.
async fn history(seed: u64, steps: usize) -> usize {
    let mut history = History {
        stage: long_stage().await,
        dice: Dice(seed),
        incidents: Vec::new(),
        requests: Vec::new(),
        turns: Vec::new(),
        left: BTreeSet::new(),
        log: Vec::new(),
    };
    for _ in 0..steps {
        history.step().await;
    }
    for n in 0..3 {
        history
            .stage
            .desk
            .mailbox
            .accept(&format!("w{n}@watchers.example"));
    }
    // What was in dead hands, and what was put off.
    for pause in [TimeDelta::seconds(20), TimeDelta::hours(2), TimeDelta::hours(2)] {
        history.stage.desk.pass(pause);
        history.stage.desk.drain().await;
    }
    assert_eq!(told_without_end(&history.stage.desk).await, 0);
    let left = history
        .stage
        .desk
        .count("deliveries WHERE state = 'suppressed' AND reason IS NULL");
    assert_eq!(left, 0, "{}", history.log.join("\n"));
    history.check(seed).await;
    history.turns.iter().filter(|turn| turn.is_end).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn along_random_histories_everyone_who_was_told_it_began_is_told_once_that_it_ended() {
    let mut ends = 0;
    for seed in 1..=7 {
        ends += history(seed, 60).await;
    }
    assert!(ends >= 12, "{ends} ends are too few to say anything");
}
