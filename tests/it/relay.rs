//! Mail through servers that misbehave, through two of them, and through narrow ones.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use allclear::mail::{Priority, Step};
use allclear::settings::Settings;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::bad_relay::{At, BadRelay, Manner};
use crate::desk::{Stage, TestDesk};

/// A stage whose mail goes over this relay, which is not waited for long.
async fn stage(relay: &BadRelay, change: impl FnOnce(&mut Settings)) -> Stage {
    let mut stage = Stage::set_with(|settings| {
        settings.access_token_lifetime = TimeDelta::days(100);
        settings.smtp_url = Some(relay.url());
        settings.smtp_timeout = Duration::from_millis(300);
        change(settings);
    })
    .await;
    stage.desk.leave_undrained();
    stage
}

/// A tenant of North America with this many contacts, `c0@<name>.example` and so on.
async fn crowd(desk: &TestDesk, name: &str, size: usize) {
    let contacts: Vec<Value> = (0..size)
        .map(|n| json!({"email": format!("c{n}@{}.example", name.to_lowercase()), "name": format!("Contact {n}")}))
        .collect();
    let form = json!({
        "name": name, "regions": ["north-america"], "services": ["exchange-online"], "contacts": contacts,
    });
    desk.operator.post("/v1/tenants", form).await.created();
}

/// All reactions, and no mail yet.
async fn react(desk: &TestDesk) {
    while desk.running().worker.react().await.unwrap() == Step::Worked {}
}

async fn deliveries(desk: &TestDesk, filter: &str) -> Vec<Value> {
    desk.operator.all(&format!("/v1/deliveries?{filter}")).await
}

async fn number(desk: &TestDesk, name: &str) -> f64 {
    let page = desk.stranger().get("/metrics").await.ok();
    let line = page
        .as_str()
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name}"))
        .trim()
        .parse()
        .unwrap()
}

/// Everybody's addresses, each once.
fn each(taken: &[String]) -> BTreeSet<String> {
    taken.iter().cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_at_a_relay_costs_a_mail_no_more_than_that() {
    let relay = BadRelay::start(Manner::Polite);
    let mut stage = stage(&relay, |_| {}).await;
    let incident = stage.incident().await;
    stage.desk.drain().await;
    let cases: [(&str, Manner, &str, i64, &str); 12] = [
        (
            "421 at the greeting",
            Manner::Says(At::Greeting, "421 busy"),
            "pending",
            0,
            "",
        ),
        (
            "554 at the greeting",
            Manner::Says(At::Greeting, "554 go away"),
            "pending",
            0,
            "",
        ),
        ("no banner", Manner::IsSilent, "pending", 0, ""),
        ("a byte a second", Manner::Drips, "pending", 0, ""),
        (
            "421 to MAIL",
            Manner::Says(At::Sender, "421 closing"),
            "pending",
            0,
            "",
        ),
        (
            "452 to MAIL",
            Manner::Says(At::Sender, "452 no storage"),
            "pending",
            1,
            "452",
        ),
        (
            "450 to RCPT",
            Manner::Says(At::Recipient, "450 greylisted"),
            "pending",
            1,
            "450",
        ),
        (
            "451 to the content",
            Manner::Says(At::Content, "451 later"),
            "pending",
            1,
            "451",
        ),
        (
            "hung up after the dot",
            Manner::HangsUpAfterTheDot,
            "pending",
            1,
            "not known",
        ),
        (
            "no answer after the dot",
            Manner::TakesItsTime(Duration::from_millis(600)),
            "pending",
            1,
            "not known",
        ),
        (
            "550 to RCPT",
            Manner::Says(At::Recipient, "550 unknown"),
            "failed",
            1,
            "550",
        ),
        (
            "554 to the content",
            Manner::Says(At::Content, "554 spam"),
            "failed",
            1,
            "554",
        ),
    ];
    for (what, manner, state, attempts, error) in cases {
        let before = deliveries(&stage.desk, "recipient=it@contoso.example")
            .await
            .len();
        let update = format!("/v1/incidents/{}/updates", incident["id"].as_str().unwrap());
        stage.marta.post(&update, json!({"body": what})).await.ok();
        react(&stage.desk).await;
        // Nobody is on the line from before.
        stage.desk.restart().await;
        stage.marta.url = stage.desk.url().to_owned();
        relay.behave(manner);
        let read = relay.read().len();
        stage.desk.running().worker.dispatch().await.unwrap();
        let rows = deliveries(&stage.desk, "recipient=it@contoso.example").await;
        assert_eq!(rows.len(), before + 1, "{what}");
        let row = &rows[before];
        assert_eq!(
            (&row["state"], &row["attempts"]),
            (&json!(state), &json!(attempts)),
            "{what}: {row}"
        );
        assert!(
            row["error"].as_str().unwrap_or_default().contains(error),
            "{what}: {row}"
        );

        relay.behave(Manner::Polite);
        stage.desk.pass(TimeDelta::hours(1));
        stage.desk.drain().await;
        let got: Vec<_> = relay.read().split_off(read);
        let ids: BTreeSet<_> = got.iter().map(|read| &read.message_id).collect();
        let taken = got.iter().filter(|read| read.taken).count();
        match state {
            "pending" => assert!(ids.len() == 1 && taken >= 1, "{what}: {got:?}"),
            _ => assert_eq!(taken, 0, "{what}: {got:?}"),
        }
        if error == "not known" {
            assert_eq!(got.len(), 2, "{what}: tried again with the same Message-ID");
        }
    }
    let failures = |class: &str| format!("allclear_mail_failures_total{{class=\"{class}\"}}");
    // Each start counts anew.
    assert_eq!(number(&stage.desk, &failures("permanent")).await, 1.0);
    assert_eq!(number(&stage.desk, &failures("connection")).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_is_refused_holds_up_nobody_and_a_session_that_ends_costs_nobody_a_mail() {
    let relay = BadRelay::start(Manner::SaysOf("c3@", At::Recipient, "550 unknown"));
    let stage = stage(&relay, |_| {}).await;
    let desk = &stage.desk;
    crowd(desk, "Fabrikam", 60).await;
    let incident = stage.incident().await;
    desk.drain().await;
    assert_eq!(each(&relay.taken()).len(), 60, "all but one, and Contoso's");
    assert_eq!(deliveries(desk, "state=failed").await.len(), 1);
    let before = relay.taken().len();
    let resolve = format!("/v1/incidents/{}/resolve", incident["id"].as_str().unwrap());
    stage
        .marta
        .post(&resolve, json!({"body": "It is over."}))
        .await
        .ok();
    relay.behave(Manner::SaysOf("c7@", At::Recipient, "421 enough for now"));
    desk.drain().await;
    relay.behave(Manner::SaysOf("c8@", At::Content, "452 disk full"));
    desk.pass(TimeDelta::hours(1));
    desk.drain().await;
    relay.behave(Manner::Polite);
    desk.pass(TimeDelta::hours(1));
    desk.drain().await;
    let got = relay.taken().split_off(before);
    assert_eq!((got.len(), each(&got).len()), (61, 61));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_never_goes_over_a_line_that_is_not_as_safe_as_it_must_be() {
    for (manner, secure) in [
        (Manner::Polite, "smtp://{}?tls=required"),
        (Manner::Polite, "smtp://ada:secret@{}"),
        (Manner::IsUnknown, "smtps://{}"),
    ] {
        let relay = BadRelay::start(manner);
        let url = secure.replace("{}", relay.url().trim_start_matches("smtp://"));
        let stage = stage(&relay, |settings| settings.smtp_url = Some(url.clone())).await;
        stage.incident().await;
        stage.desk.drain().await;
        let rows = deliveries(&stage.desk, "state=pending").await;
        assert_eq!(
            (rows.len(), &rows[0]["attempts"]),
            (1, &json!(0)),
            "{url}: {rows:?}"
        );
        assert!(relay.read().is_empty(), "{url}");
        assert_eq!(relay.calls(), 5, "{url}: then it is left alone");
        assert_eq!(
            number(&stage.desk, "allclear_mail_relay{relay=\"first\"}").await,
            2.0
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_down_for_an_hour_costs_no_mail_an_attempt_or_its_deadline() {
    let relay = BadRelay::start(Manner::Says(At::Greeting, "421 closed"));
    let stage = stage(&relay, |settings| settings.mail_deadline = TimeDelta::minutes(30)).await;
    let desk = &stage.desk;
    crowd(desk, "Fabrikam", 300).await;
    stage.incident().await;
    for _ in 0..60 {
        desk.drain().await;
        desk.pass(TimeDelta::minutes(1));
    }
    assert!((60..=70).contains(&relay.calls()), "{} calls", relay.calls());
    assert_eq!(
        number(desk, "allclear_mail_queue{lane=\"bulk\",of=\"depth\"}").await,
        301.0
    );
    assert_eq!(
        number(desk, "allclear_mail_queue{lane=\"bulk\",of=\"age_seconds\"}").await,
        3600.0
    );
    assert_eq!(number(desk, "allclear_mail_relay{relay=\"first\"}").await, 2.0);
    // The first mails after it are put off, and are not given up for it.
    relay.behave(Manner::SaysOf("c1", At::Recipient, "450 greylisted"));
    desk.pass(TimeDelta::minutes(1));
    desk.drain().await;
    relay.behave(Manner::Polite);
    // Their domain is slow at first: what cannot wait in hand comes back a little later.
    while desk.count("deliveries WHERE state = 'pending'") > 0 {
        desk.pass(TimeDelta::seconds(5));
        desk.drain().await;
    }
    let got = relay.taken();
    assert_eq!((got.len(), each(&got).len()), (301, 301));
    let rows = deliveries(desk, "state=sent").await;
    assert!(rows.iter().all(|row| row["attempts"].as_i64().unwrap() <= 2));
    assert_eq!(number(desk, "allclear_mail_relay{relay=\"first\"}").await, 0.0);
    assert_eq!(
        number(desk, "allclear_mail_latency_seconds_count{lane=\"bulk\"}").await,
        301.0
    );
    assert_eq!(number(desk, "allclear_mail_in_flight").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_relay_takes_what_the_first_cannot_be_given_and_nothing_that_it_may_have_taken() {
    let first = BadRelay::start(Manner::Says(At::Greeting, "421 closed"));
    let second = BadRelay::start(Manner::Polite);
    let stage = stage(&first, |settings| settings.smtp_fallback_url = Some(second.url())).await;
    let desk = &stage.desk;
    crowd(desk, "Fabrikam", 100).await;
    let incident = stage.incident().await;
    desk.drain().await;
    assert_eq!((second.taken().len(), each(&second.taken()).len()), (101, 101));
    assert!(
        deliveries(desk, "state=sent")
            .await
            .iter()
            .all(|row| row["attempts"] == 1)
    );
    assert!(first.calls() < 30, "{} calls: it is left alone", first.calls());

    // The first is back, and takes all without a word.
    first.behave(Manner::HangsUpAfterTheDot);
    desk.pass(TimeDelta::minutes(2));
    let resolve = format!("/v1/incidents/{}/resolve", incident["id"].as_str().unwrap());
    stage
        .marta
        .post(&resolve, json!({"body": "It is over."}))
        .await
        .ok();
    desk.drain().await;
    let unsure: BTreeSet<String> = first.read().into_iter().map(|read| read.message_id).collect();
    assert!(!unsure.is_empty());
    assert!(
        second
            .read()
            .iter()
            .all(|read| !unsure.contains(&read.message_id))
    );
    first.behave(Manner::Polite);
    desk.pass(TimeDelta::minutes(2));
    desk.drain().await;
    let told: BTreeSet<String> = first
        .taken()
        .into_iter()
        .chain(second.taken().split_off(101))
        .collect();
    assert_eq!(told.len(), 101);
    assert!(!first.taken().is_empty(), "the first is used again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_reset_leaves_at_once_while_thousands_of_mails_go_over_a_slow_relay() {
    let relay = BadRelay::start(Manner::TakesItsTime(Duration::from_millis(50)));
    let stage = stage(&relay, |_| {}).await;
    let desk = &stage.desk;
    for name in ["Fabrikam", "Northwind", "Tailspin"] {
        crowd(desk, name, 1000).await;
    }
    stage.incident().await;
    react(desk).await;
    let worker = desk.running().worker.clone();
    let fan_out = tokio::spawn(async move { worker.send(Priority::Bulk).await });
    while relay.taken().len() < 20 {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();
    let form = json!({"email": stage.bob.email});
    let asked = desk.stranger().post("/v1/auth/password-reset", form).await;
    assert!(asked.status < 300, "{asked:?}");
    react(desk).await;
    desk.running().worker.send(Priority::Request).await.unwrap();
    let took = begun.elapsed();
    assert!(relay.taken().contains(&stage.bob.email));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(!fan_out.is_finished(), "and the fan-out goes on");
    // Stopped, it gives back what it had not begun: neither an attempt nor a mail is lost.
    desk.running().worker.wind_up();
    fan_out.await.unwrap().unwrap();
    assert_eq!(desk.count("deliveries WHERE state = 'leased'"), 0);
    let sent = i64::try_from(relay.taken().len()).unwrap();
    assert_eq!(desk.count("deliveries WHERE state = 'sent'"), sent);
    assert_eq!(
        desk.count("deliveries WHERE state = 'pending' AND attempts = 0"),
        3002 - sent
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_hold_mail_back_without_holding_up_what_is_not_meant() {
    let relay = BadRelay::start(Manner::Polite);
    let mut stage = stage(&relay, |settings| {
        settings.mail_rate_per_domain = NonZeroU32::new(5)
    })
    .await;
    crowd(&stage.desk, "Fabrikam", 20).await;
    let incident = stage.incident().await;
    for (seconds, of_fabrikam) in [(0, 5), (1, 10), (1, 15), (10, 20)] {
        stage.desk.pass(TimeDelta::seconds(seconds));
        stage.desk.drain().await;
        let got = relay.taken();
        assert_eq!(
            got.iter().filter(|to| to.ends_with("@fabrikam.example")).count(),
            of_fabrikam
        );
        assert!(
            got.contains(&"it@contoso.example".to_owned()),
            "who goes elsewhere does not wait"
        );
    }
    assert!(
        deliveries(&stage.desk, "state=sent")
            .await
            .iter()
            .all(|row| row["attempts"] == 1)
    );

    // Of the relay: status mail waits, and a request's own mail does not.
    stage
        .desk
        .restart_with(|settings| {
            settings.mail_rate_per_domain = None;
            settings.mail_rate = NonZeroU32::new(8);
        })
        .await;
    let before = relay.taken().len();
    let url = stage.desk.url().to_owned();
    let (marta, bob) = (&mut stage.marta, &mut stage.bob);
    (marta.url, bob.url) = (url.clone(), url);
    let update = format!("/v1/incidents/{}/updates", incident["id"].as_str().unwrap());
    marta.post(&update, json!({"body": "We are on it."})).await.ok();
    stage.desk.drain().await;
    assert_eq!(relay.taken().len(), before + 8);
    bob.files("Mail is down", &incident).await.created();
    stage.desk.drain().await;
    // Receipt and call to whoever is on duty.
    assert_eq!(relay.taken().len(), before + 8 + 2, "ahead of the rest");
    assert!(relay.taken().contains(&bob.email));
    stage.desk.pass(TimeDelta::seconds(1));
    stage.desk.drain().await;
    assert_eq!(relay.taken().len(), before + 8 + 2 + 6, "but it counts");
    stage.desk.pass(TimeDelta::seconds(2));
    stage.desk.drain().await;
    assert_eq!(relay.taken().len(), before + 21 + 2);
}
