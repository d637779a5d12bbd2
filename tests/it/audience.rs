//! Who hears of an incident: what people subscribe to and leave out, the links by which they hear no more, and how often
//! an address is written to because somebody listed it.

use std::num::NonZeroU32;

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{Reply, Stage, TestDesk, User, incident_form};
use crate::spec::mailed_link;

const CONTACT: &str = "it@contoso.example";

async fn stage_with(cap: Option<u32>) -> Stage {
    Stage::set_with(|settings| {
        settings.access_token_lifetime = TimeDelta::days(100);
        settings.incident_reopen_window = TimeDelta::days(7);
        settings.mail_daily_cap = cap.and_then(NonZeroU32::new);
    })
    .await
}

fn path(incident: &Value) -> String {
    format!("/v1/incidents/{}", incident["id"].as_str().unwrap())
}

async fn says(stage: &Stage, incident: &Value, call: &str) -> Value {
    let body = json!({"body": format!("{call} it is.")});
    let call = format!("{}/{call}", path(incident));
    let said = stage.marta.post(&call, body).await.ok();
    stage.desk.drain().await;
    said
}

/// The headlines of the mails to somebody.
fn got(desk: &TestDesk, to: &str) -> Vec<String> {
    let headline = |subject: String| {
        let inside = subject.split(']').next().unwrap().trim_start_matches('[');
        inside.to_owned()
    };
    let subjects = desk.mailbox.to(to).into_iter().map(|mail| mail.subject());
    subjects
        .map(headline)
        .filter(|word| !word.starts_with("SR-"))
        .collect()
}

async fn hears_of(user: &User, topics: &[&str], subscriptions: Value) -> Value {
    let form = json!({"topics": topics, "subscriptions": subscriptions});
    user.put("/v1/me/notifications", form).await.ok()
}

/// State and reason of what an event told somebody.
async fn row(desk: &TestDesk, event: &Value, to: &str) -> (String, String) {
    let path = format!(
        "/v1/deliveries?event_id={}&recipient={to}",
        event.as_str().unwrap()
    );
    let rows = desk.operator.all(&path).await;
    assert_eq!(rows.len(), 1, "{to}");
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (word(&rows[0]["state"]), word(&rows[0]["reason"]))
}

fn kept_back(reason: &str) -> (String, String) {
    ("suppressed".to_owned(), reason.to_owned())
}

fn healthy(desk: &TestDesk) {
    let output = desk.command(&["doctor", "--json"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_hear_of_what_they_subscribe_to_and_of_the_end_of_all_that_they_were_told_began() {
    let stage = stage_with(None).await;
    let desk = &stage.desk;
    let everywhere = json!([{}]);
    let vic = desk.member("vic", "tenant_viewer", &stage.contoso).await;
    let hears = hears_of(&vic, &["opened"], everywhere.clone()).await;
    assert_eq!(hears["subscriptions"], json!([{"service": null, "region": null}]));
    // Only that it is over, only elsewhere, and everything.
    let dora = desk.member("dora", "tenant_viewer", &stage.contoso).await;
    hears_of(
        &dora,
        &["ended"],
        json!([{"service": "exchange-online", "region": "north-america"}]),
    )
    .await;
    let fritz = desk.member("fritz", "tenant_viewer", &stage.contoso).await;
    hears_of(
        &fritz,
        &["opened", "updated", "ended", "reported"],
        json!([{"service": "sign-in"}]),
    )
    .await;
    hears_of(&stage.eva, &["opened", "updated", "ended"], everywhere.clone()).await;
    hears_of(&stage.marta, &["opened", "ended"], everywhere.clone()).await;
    // Whoever has said nothing and files hears of all of it; whoever wants no updates gets none for a request either.
    let gina = desk.member("gina", "tenant_admin", &stage.contoso).await;
    hears_of(&gina, &[], json!([])).await;
    let incident = stage.incident().await;
    desk.drain().await;
    stage.bob.files("Mail is down", &incident).await.created();
    gina.files("Mine too", &incident).await.created();
    let update = says(&stage, &incident, "updates").await;
    let end = says(&stage, &incident, "resolve").await;
    stage
        .marta
        .put(&format!("{}/report", path(&incident)), json!({"body": "Why."}))
        .await
        .ok();
    desk.drain().await;
    let all = ["New incident", "Update", "Resolved", "Post-incident report"];
    assert_eq!(got(desk, CONTACT), all);
    assert_eq!(
        got(desk, &vic.email),
        ["New incident", "Resolved"],
        "told it began"
    );
    assert_eq!(got(desk, &dora.email), ["Resolved"]);
    assert_eq!(got(desk, &fritz.email), [""; 0], "it is elsewhere");
    assert_eq!(got(desk, &stage.eva.email), [""; 0], "it does not concern them");
    assert_eq!(got(desk, &stage.marta.email), ["New incident", "Resolved"]);
    assert_eq!(
        got(desk, &stage.bob.email),
        ["Update", "Resolved", "Post-incident report"]
    );
    assert_eq!(got(desk, &gina.email), ["Resolved"], "the receipt told them");
    for to in [&vic.email, &gina.email] {
        assert_eq!(
            row(desk, &update["broadcast_id"], to).await,
            kept_back("unwanted")
        );
    }
    assert_eq!(row(desk, &end["broadcast_id"], &vic.email).await.0, "sent");
    healthy(desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_subscribed_to_as_what_it_goes_on_as_and_left_with_its_end_unsaid() {
    let stage = stage_with(None).await;
    let (desk, vic) = (
        &stage.desk,
        stage.desk.member("vic", "tenant_viewer", &stage.contoso).await,
    );
    let twin = stage.incident().await;
    desk.drain().await;
    let link = format!("/v1/unsubscribe/{}", mailed_link(desk, CONTACT));
    let incident = stage.incident().await;
    desk.drain().await;
    // Bob wants no more of the twin, and was told of nothing else; the contact of neither, once it has the link of both.
    stage.bob.files("Mail is down", &twin).await.created();
    desk.drain().await;
    let of = |incident: &Value| format!("{}/subscription", path(incident));
    let subscribed = vic.put(&of(&twin), json!({})).await.ok();
    assert_eq!(
        (&subscribed["incidents"], &subscribed["version"]),
        (&json!([twin["id"]]), &json!(1))
    );
    vic.put(&of(&twin), json!({})).await.ok();
    // Nobody subscribes to what they may not see.
    stage
        .eva
        .put(&of(&twin), json!({}))
        .await
        .refused(404, "not-found");
    stage.bob.delete(&of(&twin), json!({})).await.nothing();
    follow(desk, Method::POST, &link, "").await;
    let merge = json!({"body": "The same.", "of": incident["id"]});
    stage
        .marta
        .post(&format!("{}/duplicate", path(&twin)), merge)
        .await
        .ok();
    desk.drain().await;
    let update = says(&stage, &incident, "updates").await;
    assert_eq!(got(desk, &vic.email), ["Update"], "of what it goes on as");
    let of_bob = row(desk, &update["broadcast_id"], &stage.bob.email).await;
    assert_eq!(of_bob, kept_back("unsubscribed"), "of what it goes on as");
    assert_eq!(
        row(desk, &update["broadcast_id"], CONTACT).await.0,
        "sent",
        "told of both"
    );
    // What it goes on as is what the link of the twin is about by now.
    follow(desk, Method::POST, &link, "").await;
    assert_eq!(
        desk.operator
            .all(&format!("/v1/opt-outs?recipient={CONTACT}"))
            .await
            .len(),
        2
    );
    let update = says(&stage, &incident, "updates").await;
    assert_eq!(
        row(desk, &update["broadcast_id"], CONTACT).await,
        kept_back("unsubscribed")
    );
    stage.bob.put(&of(&incident), json!({})).await.ok();
    let update = says(&stage, &incident, "updates").await;
    assert_eq!(
        row(desk, &update["broadcast_id"], &stage.bob.email).await.0,
        "sent"
    );
    // Told, and then no more.
    vic.delete(&of(&incident), json!({})).await.nothing();
    vic.delete(&of(&incident), json!({})).await.nothing();
    let end = says(&stage, &incident, "resolve").await;
    assert_eq!(
        row(desk, &end["broadcast_id"], &vic.email).await,
        kept_back("unsubscribed")
    );
    healthy(desk);
    // And again.
    vic.put(&of(&incident), json!({})).await.ok();
    says(&stage, &incident, "reopen").await;
    let heard = got(desk, &vic.email);
    assert_eq!(heard, ["Update", "Update", "Update", "Reopened"]);
    healthy(desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_list_reveals_nothing_of_another_tenants() {
    let stage = stage_with(None).await;
    let desk = &stage.desk;
    let w = "w@elsewhere.example";
    let mut both = incident_form();
    both["regions"] = json!(["north-america", "europe"]);
    let incident = stage.marta.post("/v1/incidents", both).await.created();
    desk.drain().await;
    let mut made = Vec::new();
    for user in [&stage.bob, &stage.eva] {
        let form = json!({"incident_id": incident["id"], "severity": "b", "subject": "Down", "description": "Down."});
        made.push(user.post("/v1/service-requests", form).await.created());
    }
    let watchers = |request: &Value| {
        format!(
            "/v1/service-requests/{}/watchers",
            request["id"].as_str().unwrap()
        )
    };
    let read = |request: &Value| format!("/v1/service-requests/{}", request["id"].as_str().unwrap());
    // Whether another tenant has listed somebody makes no difference to the answer, nor to what is read.
    let first = stage
        .bob
        .put(&watchers(&made[0]), json!({"watchers": [w]}))
        .await
        .ok();
    let second = stage
        .eva
        .put(&watchers(&made[1]), json!({"watchers": [w]}))
        .await
        .ok();
    assert_eq!(first["watchers"], second["watchers"]);
    stage.bob.get(&read(&made[1])).await.refused(404, "not-found");
    desk.drain().await;
    says(&stage, &incident, "updates").await;
    // Each mail lists the requests of its own tenant, and no word of the other.
    let mails = desk.mailbox.to(w);
    assert_eq!(
        mails.len(),
        4,
        "that they were added, and the update, for each tenant"
    );
    for mail in &mails {
        let said = format!("{}{}{}", mail.subject(), mail.text(), mail.html());
        let of = |request: &Value| said.contains(request["reference"].as_str().unwrap());
        assert!(of(&made[0]) != of(&made[1]), "{said}");
        let (own, other) = if of(&made[0]) {
            ("Contoso", "Adatum")
        } else {
            ("Adatum", "Contoso")
        };
        assert!(!said.contains(other), "{own}: {said}");
    }
    // To leave the one list is not to leave the other; whoever keeps that one sees nothing of it.
    follow(
        desk,
        Method::POST,
        &format!("/v1/unsubscribe/{}", mailed_link(desk, w)),
        "",
    )
    .await;
    let left = [&stage.bob, &stage.eva].map(|user| user.all("/v1/opt-outs"));
    let [of_bob, of_eva] = left;
    assert_eq!(of_bob.await.len() + of_eva.await.len(), 1);
    let mut lists = Vec::new();
    for (user, request) in [(&stage.bob, &made[0]), (&stage.eva, &made[1])] {
        lists.push(user.get(&read(request)).await.ok()["watchers"].clone());
    }
    lists.sort_by_key(|list| list.as_array().unwrap().len());
    assert_eq!(lists, [json!([]), json!([w])]);
    let seen = stage.eva.all("/v1/audit").await;
    assert!(seen.iter().all(|event| event["tenant_id"] != stage.contoso["id"]));
    healthy(desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn preferences_are_checked_versioned_and_ones_own() {
    let stage = stage_with(None).await;
    let bob = &stage.bob;
    let form = json!({"topics": ["opened"], "subscriptions": [{"service": "sign-in"}], "unsubscribed": true});
    let put = |tag: &str, form: &Value| {
        let call = bob
            .call(Method::PUT, "/v1/me/notifications")
            .header("if-match", tag.to_owned());
        Reply::of(call.json(form))
    };
    let unsaid = bob.get("/v1/me/notifications").await;
    assert_eq!(unsaid.header("etag"), Some("\"0\""));
    assert_eq!(
        unsaid.ok()["topics"],
        json!(["opened", "updated", "ended", "reported"])
    );
    put("\"0\"", &form).await.ok();
    put("\"0\"", &form).await.refused(412, "precondition-failed");
    let read = bob.get("/v1/me/notifications").await;
    assert_eq!(read.header("etag"), Some("\"1\""));
    let read = read.ok();
    assert_eq!(
        (&read["unsubscribed"], &read["subscriptions"][0]["service"]),
        (&json!(true), &json!("sign-in"))
    );
    for (wrong, pointer) in [
        (json!({"topics": ["weather"]}), "/topics/0"),
        (
            json!({"topics": [], "subscriptions": [{}, {"service": "telex"}]}),
            "/subscriptions/1/service",
        ),
        (
            json!({"topics": [], "subscriptions": [{"region": "atlantis"}]}),
            "/subscriptions/0/region",
        ),
    ] {
        let problem = put("*", &wrong).await.refused(422, "validation-failed");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    // Who wants none at all is seen by those who answer for it, and by nobody else's.
    let seen = bob.all("/v1/opt-outs").await;
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (&seen[0]["recipient"], &seen[0]["extent"], &seen[0]["about"]),
        (&json!(bob.email), &json!("everything"), &Value::Null)
    );
    assert_eq!(stage.eva.all("/v1/opt-outs").await.len(), 0);
    assert_eq!(stage.marta.all("/v1/opt-outs").await.len(), 1);
    let incident = stage.incident().await;
    bob.files("Mail is down", &incident).await.created();
    stage.desk.drain().await;
    let end = says(&stage, &incident, "resolve").await;
    assert_eq!(
        row(&stage.desk, &end["broadcast_id"], &bob.email).await,
        kept_back("unsubscribed")
    );
    put("*", &json!({"topics": ["opened"]})).await.ok();
    assert_eq!(bob.all("/v1/opt-outs").await.len(), 0);
    healthy(&stage.desk);
}

async fn follow(desk: &TestDesk, method: Method, link: &str, body: &'static str) -> (u16, String) {
    let call = desk
        .stranger()
        .call(method, link)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    let answer = call.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_a_mail_unsubscribes_with_one_click_and_to_look_at_it_changes_nothing() {
    let stage = stage_with(None).await;
    let desk = &stage.desk;
    let incident = stage.incident().await;
    let mut europe = incident_form();
    europe["regions"] = json!(["north-america", "europe"]);
    let elsewhere = stage.marta.post("/v1/incidents", europe).await.created();
    let w = "w@elsewhere.example";
    let request = json!({"severity": "b", "subject": "Down", "description": "Down.", "watchers": [w]});
    let mut made = Vec::new();
    for (user, of) in [
        (&stage.bob, &incident),
        (&stage.bob, &elsewhere),
        (&stage.eva, &elsewhere),
    ] {
        let mut form = request.clone();
        form["incident_id"] = of["id"].clone();
        made.push(user.post("/v1/service-requests", form).await.created());
    }
    desk.drain().await;
    says(&stage, &incident, "updates").await;
    let one = format!("/v1/unsubscribe/{}", mailed_link(desk, w));
    // Scanners look at every link.
    for _ in 0..2 {
        let (status, page) = follow(desk, Method::GET, &one, "").await;
        assert_eq!(status, 200);
        assert!(
            page.contains("<form method=\"post\">") && !page.contains("again"),
            "{page}"
        );
    }
    assert_eq!(stage.bob.all("/v1/opt-outs").await.len(), 0);
    let (status, page) = follow(desk, Method::POST, &one, "List-Unsubscribe=One-Click").await;
    assert!(status == 200 && page.contains("again"), "{page}");
    follow(desk, Method::POST, &one, "").await;
    let seen = stage.bob.all("/v1/opt-outs").await;
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (&seen[0]["extent"], &seen[0]["about"]),
        (&json!("incident"), &incident["id"])
    );
    // Off the requests of that incident, and no others'; in the history, and in the audit once.
    for (user, request, watches) in [
        (&stage.bob, &made[0], false),
        (&stage.bob, &made[1], true),
        (&stage.eva, &made[2], true),
    ] {
        let read = user
            .get(&format!(
                "/v1/service-requests/{}",
                request["id"].as_str().unwrap()
            ))
            .await
            .ok();
        assert_eq!(read["watchers"] == json!([w]), watches, "{read}");
    }
    let audit = stage.bob.all("/v1/audit").await;
    let noted: Vec<&Value> = audit
        .iter()
        .filter(|event| event["kind"] == "unsubscribed")
        .collect();
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0]["actor"]["name"], w);
    assert!(
        stage
            .eva
            .all("/v1/audit")
            .await
            .iter()
            .all(|event| event["kind"] != "unsubscribed")
    );
    // Told it began, and for a recorded reason not that it ended; of the other incident all the same.
    let end = says(&stage, &incident, "resolve").await;
    assert_eq!(
        row(desk, &end["broadcast_id"], w).await,
        kept_back("unsubscribed")
    );
    let before = got(desk, w).len();
    says(&stage, &elsewhere, "resolve").await;
    assert_eq!(got(desk, w).len(), before + 2, "one for each tenant");
    healthy(desk);
    // Subscribing again, and nothing at all any more.
    follow(desk, Method::POST, &one, "wish=again").await;
    assert_eq!(stage.bob.all("/v1/opt-outs").await.len(), 0);
    says(&stage, &incident, "reopen").await;
    assert_eq!(got(desk, w).last().unwrap(), "Reopened");
    follow(desk, Method::POST, &one, "wish=nothing").await;
    let seen = stage.bob.all("/v1/opt-outs").await;
    assert_eq!((seen.len(), &seen[0]["extent"]), (1, &json!("everything")));
    let end = says(&stage, &incident, "resolve").await;
    assert_eq!(
        row(desk, &end["broadcast_id"], w).await,
        kept_back("unsubscribed")
    );
    // Nobody listens to what they are made to watch.
    let path = format!(
        "/v1/service-requests/{}/watchers",
        made[0]["id"].as_str().unwrap()
    );
    let before = desk.mailbox.to(w).len();
    stage.bob.put(&path, json!({"watchers": [w]})).await.ok();
    desk.drain().await;
    assert_eq!(desk.mailbox.to(w).len(), before);
    for wrong in [
        one[..one.len() - 1].to_owned(),
        format!("{one}x"),
        "/v1/unsubscribe/alu_x".to_owned(),
    ] {
        for method in [Method::GET, Method::POST] {
            assert_eq!(follow(desk, method, &wrong, "").await.0, 404, "{wrong}");
        }
    }
    // Whoever reads pages gets one, in their language.
    let cut_off = &one[..one.len() - 1];
    for (link, languages, status, says) in [
        (one.as_str(), "de-AT, en;q=0.5", 200, "lang=\"de\""),
        (one.as_str(), "pt, fr;q=0.8, en;q=0.7", 200, "lang=\"fr\""),
        (one.as_str(), "*", 200, "lang=\"en\""),
        (cut_off, "ja", 404, "ページが見つかりません"),
        (cut_off, "en", 404, "There is no such page"),
    ] {
        let call = desk
            .stranger()
            .call(Method::GET, link)
            .header("accept-language", languages);
        let answer = call.header("accept", "text/html,*/*;q=0.8").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{link}");
        let page = answer.text().await.unwrap();
        assert!(page.contains(says), "{languages}: {page}");
    }
    healthy(desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_somebody_listed_gets_so_many_mails_a_day_and_the_ends_that_are_owed() {
    let stage = stage_with(Some(3)).await;
    let desk = &stage.desk;
    let w = "victim@elsewhere.example";
    let mut europe = incident_form();
    europe["regions"] = json!(["north-america", "europe"]);
    let incident = stage.marta.post("/v1/incidents", europe).await.created();
    desk.drain().await;
    // Two tenants list the same address, again and again.
    for turn in 0..4 {
        for user in [&stage.bob, &stage.eva] {
            let form = json!({
                "incident_id": incident["id"], "severity": "b", "subject": format!("Down {turn}"),
                "description": "Down.", "watchers": [w],
            });
            user.post("/v1/service-requests", form).await.created();
        }
    }
    desk.drain().await;
    assert_eq!(desk.mailbox.to(w).len(), 3);
    let update = says(&stage, &incident, "updates").await;
    assert_eq!(desk.mailbox.to(w).len(), 3);
    let rows = format!(
        "/v1/deliveries?event_id={}&recipient={w}",
        update["broadcast_id"].as_str().unwrap()
    );
    let rows = desk.operator.all(&rows).await;
    assert_eq!(rows.len(), 2, "one for each tenant");
    assert!(rows.iter().all(|row| row["reason"] == "daily_cap"), "{rows:?}");
    // One's own people are listed by nobody.
    assert_eq!(got(desk, &stage.bob.email), ["Update"]);
    // The ends are owed to whoever was told.
    says(&stage, &incident, "resolve").await;
    let ends = got(desk, w)
        .into_iter()
        .filter(|headline| headline == "Resolved")
        .count();
    assert_eq!(ends, 2);
    healthy(desk);
    // Another day.
    desk.pass(TimeDelta::days(1) + TimeDelta::seconds(1));
    says(&stage, &incident, "reopen").await;
    assert_eq!(
        got(desk, w)
            .iter()
            .filter(|headline| *headline == "Reopened")
            .count(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_wait_for_the_morning_or_for_the_end_and_are_said_once() {
    let mut stage = stage_with(None).await;
    let vic = stage.desk.member("vic", "tenant_viewer", &stage.contoso).await;
    let zone = json!({"time_zone": "America/New_York"});
    vic.patch("/v1/me", zone).await.ok();
    let daily = |topics: &[&str]| json!({"topics": topics, "subscriptions": [{}], "digest": true});
    for (user, topics) in [
        (&vic, &["updated"][..]),
        (&stage.bob, &["opened", "updated", "ended"]),
    ] {
        user.put("/v1/me/notifications", daily(topics)).await.ok();
    }
    let incident = stage.incident().await;
    let other = stage.incident().await;
    stage.desk.drain().await;
    let first = says(&stage, &incident, "updates").await;
    says(&stage, &other, "updates").await;
    // It is kept, and in nobody's hands; a process that ends now forgets nothing.
    assert_eq!(got(&stage.desk, &vic.email), [""; 0]);
    assert_eq!(
        row(&stage.desk, &first["broadcast_id"], &vic.email).await,
        kept_back("digest")
    );
    assert_eq!(row(&stage.desk, &first["broadcast_id"], CONTACT).await.0, "sent");
    stage.desk.restart().await;
    let desk = &stage.desk;
    let (vic, bob, marta) = (
        desk.again(&vic).await,
        desk.again(&stage.bob).await,
        desk.again(&stage.marta).await,
    );
    // Eight in New York is noon: the clock stands at 18:00 UTC.
    desk.pass(TimeDelta::hours(17) + TimeDelta::minutes(59));
    desk.drain().await;
    assert_eq!(desk.mailbox.to(&vic.email).len(), 0);
    desk.pass(TimeDelta::minutes(1));
    // Whoever looks first makes it.
    let worker = desk.running().worker.clone();
    let (one, two) = tokio::join!(worker.react(), worker.react());
    one.unwrap();
    two.unwrap();
    desk.drain().await;
    let mails = desk.mailbox.to(&vic.email);
    assert_eq!(mails.len(), 1, "both updates in one");
    assert_eq!(mails[0].subject(), "What became known");
    for part in [mails[0].text(), mails[0].html()] {
        assert_eq!(part.matches("updates it is.").count(), 2, "{part}");
        assert!(
            part.contains(incident["id"].as_str().unwrap()) && part.contains("unsubscribe"),
            "{part}"
        );
    }
    // Bob got his at eight where he is.
    let of_bob = desk.mailbox.to(&bob.email);
    assert_eq!(of_bob.last().unwrap().subject(), "What became known");
    // The digest named the incident, so its end is told; and it says what came meanwhile.
    let say = async |call: &str, body: &str| {
        let call = format!("{}/{call}", path(&incident));
        marta.post(&call, json!({"body": body})).await.ok();
        desk.drain().await;
    };
    say("updates", "Meanwhile it is known.").await;
    say("resolve", "It is over.").await;
    for user in [&vic, &bob] {
        let mail = desk.mailbox.to(&user.email).pop().unwrap();
        assert!(mail.subject().starts_with("[Resolved]"), "{}", mail.subject());
        for part in [mail.text(), mail.html()] {
            assert!(
                part.contains("Meanwhile it is known.") && part.contains("It is over."),
                "{part}"
            );
            assert!(!part.contains("updates it is."), "said once: {part}");
        }
    }
    // Nothing is left for the next morning; what somebody has unsubscribed from is not said.
    let call = format!("{}/updates", path(&other));
    let last = marta.post(&call, json!({"body": "Not for Vic."})).await.ok();
    desk.drain().await;
    vic.delete(&format!("{}/subscription", path(&other)), json!({}))
        .await
        .nothing();
    let before = desk.mailbox.to(&vic.email).len();
    desk.pass(TimeDelta::days(2));
    desk.drain().await;
    assert_eq!(desk.mailbox.to(&vic.email).len(), before);
    assert_eq!(
        row(desk, &last["broadcast_id"], &vic.email).await,
        kept_back("unsubscribed")
    );
    let said = desk.mailbox.to(&bob.email).pop().unwrap().text();
    assert!(
        said.contains("Not for Vic.") && !said.contains("Meanwhile"),
        "{said}"
    );
    // An end that is overtaken takes nothing along: the reopening says it.
    let call = |verb: &str| format!("{}/{verb}", path(&other));
    marta
        .post(&call("updates"), json!({"body": "For whatever follows."}))
        .await
        .ok();
    desk.drain().await;
    for verb in ["resolve", "reopen"] {
        marta.post(&call(verb), json!({"body": verb})).await.ok();
    }
    desk.drain().await;
    let reopened = desk.mailbox.to(&bob.email).pop().unwrap();
    assert!(
        reopened.subject().starts_with("[Reopened]"),
        "{}",
        reopened.subject()
    );
    assert!(
        reopened.text().contains("For whatever follows."),
        "{}",
        reopened.text()
    );
    healthy(desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_says_who_its_contacts_are_and_what_each_of_them_hears_of() {
    let stage = stage_with(None).await;
    let (desk, bob, contoso) = (&stage.desk, &stage.bob, &stage.contoso["id"]);
    let own = format!("/v1/tenants/{}", contoso.as_str().unwrap());
    let contacts = format!("{own}/contacts");
    let [daily, ends, said] = [
        "daily@contoso.example",
        "ends@contoso.example",
        "vic@contoso.example",
    ];
    let vic = desk.member("vic", "tenant_viewer", &stage.contoso).await;
    let form = json!({"contacts": [
        {"email": "Daily@Contoso.example", "name": "Daily", "time_zone": "America/New_York", "digest": true},
        {"email": ends, "name": "Ends", "locale": "de", "topics": ["ended", "ended"]},
        {"email": said, "name": "Vic", "topics": []},
    ]});
    let named = bob.put(&contacts, form.clone()).await.ok();
    assert_eq!(
        named["contacts"],
        json!([
            {"email": daily, "name": "Daily", "locale": "en", "time_zone": "America/New_York",
             "topics": ["opened", "updated", "ended", "reported"], "digest": true},
            {"email": ends, "name": "Ends", "locale": "de", "time_zone": "UTC", "topics": ["ended"], "digest": false},
            {"email": said, "name": "Vic", "locale": "en", "time_zone": "UTC", "topics": [], "digest": false},
        ])
    );
    // What somebody says of themselves comes before what is said of their address.
    let own_word = json!({"topics": ["opened"], "subscriptions": []});
    vic.put("/v1/me/notifications", own_word).await.ok();

    let incident = stage.incident().await;
    desk.drain().await;
    let update = says(&stage, &incident, "updates").await;
    desk.drain().await;
    assert_eq!(got(desk, CONTACT), [""; 0], "who is not named any more");
    assert_eq!(got(desk, ends), [""; 0]);
    for (to, reason) in [(daily, "digest"), (ends, "unwanted"), (said, "unwanted")] {
        assert_eq!(
            row(desk, &update["broadcast_id"], to).await,
            kept_back(reason),
            "{to}"
        );
    }
    // Who stays a contact keeps what is kept for the morning.
    bob.put(&contacts, form).await.ok();
    desk.pass(TimeDelta::days(1));
    desk.drain().await;
    let mails = desk.mailbox.to(daily);
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[1].subject(), "What became known");
    let end = says(&stage, &incident, "resolve").await;
    desk.drain().await;
    assert_eq!(desk.mailbox.to(ends).len(), 1, "the end alone");
    assert_eq!(desk.mailbox.to(said).len(), 2, "the opening, and so the end");
    assert_eq!(row(desk, &end["broadcast_id"], daily).await.0, "sent");

    // Whose they are to say, and what cannot be said.
    stage
        .eva
        .put(&contacts, json!({"contacts": []}))
        .await
        .refused(404, "not-found");
    vic.put(&contacts, json!({"contacts": []}))
        .await
        .refused(403, "forbidden");
    let provider = format!("/v1/tenants/{}/contacts", allclear::db::PROVIDER);
    desk.operator
        .put(&provider, json!({"contacts": []}))
        .await
        .refused(404, "not-found");
    for (contact, pointer) in [
        (json!({"email": "nobody", "name": "x"}), "/contacts/1/email"),
        (
            json!({"email": "DAILY@contoso.example", "name": "x"}),
            "/contacts/1/email",
        ),
        (
            json!({"email": ends, "name": "x", "topics": ["weather"]}),
            "/contacts/1/topics/0",
        ),
        (
            json!({"email": ends, "name": "x", "time_zone": "Mars/Olympus"}),
            "/contacts/1/time_zone",
        ),
    ] {
        let form = json!({"contacts": [{"email": daily, "name": "Daily"}, contact]});
        let refused = bob.put(&contacts, form).await.refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    assert_eq!(bob.get(&own).await.ok()["contacts"].as_array().unwrap().len(), 3);
    healthy(desk);
}
