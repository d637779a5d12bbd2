//! A tenant's data is the tenant's: all of it in an archive, and nothing of it left when it is erased.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use allclear::db::{Scope, TenantId};
use allclear::{identity, requests};
use aws_lc_rs::digest::{SHA256, digest};
use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{PASSWORD, Reply, Stage, TestDesk, User, incident_form};
use crate::migrations::contents;
use crate::oidc::{AUDIENCE, Issuer};

/// Two tenants with everything, and somebody who works for both.
struct Story {
    stage: Stage,
    /// Administrator of both.
    both: User,
    request: Value,
    key: String,
}

async fn story() -> Story {
    let stage = Stage::set().await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        eva,
        contoso,
        adatum,
        ..
    } = &stage;
    let incident = stage.incident().await;
    let mut theirs = incident_form();
    theirs["regions"] = json!(["europe"]);
    theirs["title"] = json!("Die Post kommt nicht an");
    let theirs = marta.post("/v1/incidents", theirs).await.created();
    let of_eva = eva.files("Die Post ist weg", &theirs).await.created();
    let of_eva = format!("/v1/service-requests/{}", of_eva["id"].as_str().unwrap());
    let both = desk.member("carla", "tenant_viewer", contoso).await;
    desk.sql(&format!(
        "INSERT INTO memberships (tenant_id, person_id, role, created_at) \
         SELECT t.id, p.id, 'tenant_admin', t.created_at FROM tenants t, people p \
         WHERE t.name = '{}' AND p.email = '{}'",
        adatum["name"].as_str().unwrap(),
        both.email
    ));
    let form = json!({
        "incident_id": incident["id"], "severity": "a", "subject": "Xylophones are silent", "tags": ["Quartet"],
        "description": "Nobody at Contoso hears a Xylophone.", "watchers": ["wanda@contoso.example"],
        "contact": {"telephone": "+1 555 0100"},
    });
    let request = bob.post("/v1/service-requests", form).await.created();
    let path = format!("/v1/service-requests/{}", request["id"].as_str().unwrap());
    ada.post(
        &format!("{path}/comments"),
        json!({"body": "Is the Xylophone plugged in?"}),
    )
    .await
    .created();
    for (who, path, name) in [
        (bob, &path, "Xylophone.log"),
        (bob, &path, "Quartet.log"),
        (eva, &of_eva, "Die%20Post.log"),
    ] {
        let call = who.call(Method::POST, &format!("{path}/attachments?name={name}"));
        Reply::of(call.body(name)).await.created();
    }
    let note = json!({"body": "They never plug it in.", "visibility": "internal"});
    ada.post(&format!("{path}/comments"), note).await.created();
    for turn in 0..3 {
        bob.files(&format!("Xylophone {turn}"), &incident).await.created();
    }
    // By telephone, for somebody who is no user.
    let form = json!({
        "incident_id": incident["id"], "severity": "c", "subject": "The Xylophone again", "description": "Silent.",
        "tenant_id": contoso["id"], "requester": {"email": "cleo@contoso.example", "name": "Cleo"}, "channel": "telephone",
    });
    ada.post("/v1/service-requests", form).await.created();
    let form = json!({"name": "Pager of Contoso", "role": "tenant_viewer", "scopes": ["incidents:read"], "tenant_id": contoso["id"]});
    let key = desk.operator.post("/v1/api-keys", form).await.created();
    let key = key["key"].as_str().unwrap().to_owned();
    desk.again(bob).await;
    // Bob is known by another name at the provider that Contoso signs in with.
    let issuer = Issuer::start();
    let form = json!({
        "tenant_id": contoso["id"], "name": "Of Contoso", "issuer": issuer.url, "client_id": "Contoso", "audience": AUDIENCE,
        "domains": ["contoso.example"], "roles": [{"value": "admins", "role": "tenant_admin"}],
    });
    desk.operator.post("/v1/identity-providers", form).await.created();
    let claims = issuer.claims(desk, json!({"sub": "Bob of Contoso", "email": bob.email}));
    desk.with_token(&issuer.signs(&claims)).get("/v1/me").await.ok();
    desk.drain().await;
    // What people want to hear of, and what no longer.
    for (user, incident) in [(bob, &incident), (eva, &theirs)] {
        let form = json!({"topics": ["ended"], "subscriptions": [{"service": "exchange-online"}]});
        user.put("/v1/me/notifications", form).await.ok();
        let path = format!("/v1/incidents/{}/subscription", incident["id"].as_str().unwrap());
        user.delete(&path, json!({})).await.nothing();
    }
    Story {
        both,
        request,
        key,
        stage,
    }
}

fn done(desk: &TestDesk, words: &[&str]) -> String {
    let output = tokio::task::block_in_place(|| desk.command(words).output()).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn refused(desk: &TestDesk, words: &[&str]) -> String {
    let output = tokio::task::block_in_place(|| desk.command(words).output()).unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

fn opened(path: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(std::fs::File::open(path).unwrap());
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        files.insert(entry.path().unwrap().to_str().unwrap().to_owned(), text);
    }
    files
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_gets_everything_that_is_its_own_and_nothing_else() {
    let Story {
        stage, request, key, ..
    } = story().await;
    let (desk, bob) = (&stage.desk, &stage.bob);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("contoso.tar");
    let tenant = stage.contoso["id"].as_str().unwrap();
    let words = [
        "tenants",
        "export",
        "--tenant-id",
        tenant,
        "--out",
        path.to_str().unwrap(),
    ];
    let said = done(desk, &words);
    let files = opened(&path);
    let manifest: Value = serde_json::from_str(&files["manifest.json"]).unwrap();
    assert_eq!(
        (&manifest["format"], &manifest["tenant_id"]),
        (&json!("allclear-tenant-export/1"), &stage.contoso["id"])
    );
    let mut items = 0;
    for file in manifest["files"].as_array().unwrap() {
        let text = &files[file["name"].as_str().unwrap()];
        let digest: String = digest(&SHA256, text.as_bytes())
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(file["sha256"], digest);
        assert_eq!(file["bytes"], text.len());
        assert_eq!(file["items"], lines(text).len());
        assert!(file["items"].as_u64() > Some(0), "{file}");
        items += lines(text).len();
        assert!(files["README.md"].contains(file["name"].as_str().unwrap()));
    }
    // With the files of its requests, each under its id.
    let of_request = format!(
        "/v1/service-requests/{}/attachments",
        request["id"].as_str().unwrap()
    );
    let attachments = bob.all(&of_request).await;
    assert_eq!(lines(&files["attachments.jsonl"]), attachments);
    for (attachment, content) in attachments.iter().zip(["Xylophone.log", "Quartet.log"]) {
        let name = format!("attachments/{}", attachment["id"].as_str().unwrap());
        assert_eq!(files[&name], content);
    }
    assert_eq!(files.len(), manifest["files"].as_array().unwrap().len() + 4);
    assert!(said.contains(&format!("{items} items")), "{said}");
    // Each request as its administrator reads it, with all that was said and done.
    let requests = lines(&files["service-requests.jsonl"]);
    assert_eq!(requests.len(), 5);
    for archived in &requests {
        let path = format!("/v1/service-requests/{}", archived["id"].as_str().unwrap());
        let mut expected = bob.get(&path).await.ok();
        expected["comments"] = json!(bob.all(&format!("{path}/comments")).await);
        expected["history"] = json!(bob.all(&format!("{path}/history")).await);
        assert_eq!(*archived, expected);
    }
    assert!(requests.iter().any(|archived| archived["id"] == request["id"]));
    assert_eq!(
        lines(&files["tenant.jsonl"]),
        [desk.operator.get(&format!("/v1/tenants/{tenant}")).await.ok()]
    );
    assert_eq!(lines(&files["users.jsonl"]), bob.all("/v1/users").await);
    assert_eq!(lines(&files["api-keys.jsonl"]), bob.all("/v1/api-keys").await);
    assert_eq!(lines(&files["incidents.jsonl"]), bob.all("/v1/incidents").await);
    assert_eq!(lines(&files["audit.jsonl"]), bob.all("/v1/audit").await);
    let own = |delivery: &Value| delivery["tenant_id"] == stage.contoso["id"];
    let deliveries: Vec<_> = desk
        .operator
        .all("/v1/deliveries")
        .await
        .into_iter()
        .filter(own)
        .collect();
    assert_eq!(lines(&files["deliveries.jsonl"]), deliveries);
    let mut notifications = bob.get("/v1/me/notifications").await.ok();
    notifications["person_id"] = json!(bob.id);
    assert_eq!(lines(&files["notifications.jsonl"]), [notifications]);
    assert_eq!(lines(&files["opt-outs.jsonl"]), bob.all("/v1/opt-outs").await);
    // Nothing internal, nothing secret, nothing of anybody else's.
    let hash = "argon2";
    for (name, text) in &files {
        for foreign in [
            "Adatum",
            "adatum",
            "Die Post",
            &stage.eva.id,
            "never plug",
            hash,
            &key[8..],
            &key,
            "internal\":",
        ] {
            assert!(!text.contains(foreign), "{foreign} is in {name}");
        }
    }
    // What is there is not written over.
    assert!(refused(desk, &words).contains("is there already"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_tenant_leaves_counts_and_nothing_that_says_whose_they_were() {
    let Story {
        stage,
        both,
        request,
        key,
    } = story().await;
    let desk = &stage.desk;
    // Something is under way, too.
    let more = json!({"incident_id": request["incident"]["id"], "severity": "a", "subject": "Xylophone!", "description": "Still."});
    stage.bob.post("/v1/service-requests", more).await.created();
    // Bob was the provider's once.
    let of_bob = format!("FROM people WHERE email = '{}'", stage.bob.email);
    desk.sql(&format!(
        "INSERT INTO agents SELECT id, 'busy', 3, 1, created_at {of_bob}"
    ));
    desk.sql(&format!(
        "INSERT INTO agent_skills SELECT id, 'language', 'de', 3 {of_bob}"
    ));
    let counts = || ["service_requests", "request_comments", "deliveries"].map(|table| desk.count(table));
    let (before, others) = (counts(), of_adatum(&stage));
    let tenant = stage.contoso["id"].as_str().unwrap();
    let words = ["tenants", "erase", "--tenant-id", tenant];
    assert!(refused(desk, &words).contains("--yes"));
    assert!(
        contents(&mut desk.connect())
            .iter()
            .any(|row| row.contains("Xylophone"))
    );
    let said = done(desk, &[&words[..], &["--yes"]].concat());
    assert!(said.starts_with("erased: 6 requests"), "{said}");
    for row in contents(&mut desk.connect()) {
        let known_to_adatum = row.contains(&both.email) || row.contains("carla");
        for trace in [
            "ontoso",
            "Xylophone",
            "Quartet",
            "\"bob\"",
            "'bob'",
            "Cleo",
            "wanda",
            "555 0100",
            "plug",
            "Nobody at",
        ] {
            assert!(known_to_adatum || !row.contains(trace), "{trace} is in {row}");
        }
    }
    assert_eq!(counts(), before);
    assert_eq!((desk.count("agents"), desk.count("agent_skills")), (0, 0));
    assert_eq!(of_adatum(&stage), others);
    // Its files are gone, too, and nobody else's.
    let folder = desk.settings().attachments_dir();
    let files_of = |tenant: &Value| {
        std::fs::read_dir(folder.join(tenant["id"].as_str().unwrap()))
            .unwrap()
            .count()
    };
    assert_eq!((files_of(&stage.contoso), files_of(&stage.adatum)), (0, 1));
    assert_eq!(desk.count("attachments"), 1);
    // Nobody is let in, nobody waits, nothing more is sent.
    let form = json!({"email": stage.bob.email, "password": PASSWORD});
    desk.stranger()
        .post("/v1/auth/login", form)
        .await
        .refused(401, "sign-in-failed");
    desk.with_token(&key)
        .get("/v1/incidents")
        .await
        .refused(401, "unauthenticated");
    assert_eq!(desk.count("service_requests WHERE is_open"), 1);
    desk.drain().await;
    let after = json!({"body": "It is over."});
    let path = format!(
        "/v1/incidents/{}/resolve",
        request["incident"]["id"].as_str().unwrap()
    );
    let mails = desk.mailbox.count();
    stage.marta.post(&path, after).await.ok();
    desk.drain().await;
    assert_eq!(desk.mailbox.count(), mails, "who was told?");
    let metrics = desk.stranger().get("/metrics").await.ok();
    assert!(
        metrics
            .as_str()
            .unwrap()
            .contains("allclear_desk{kind=\"told_without_end\"} 0")
    );
    // Whoever works for another tenant too goes on there.
    let carla = desk.again(&both).await;
    assert_eq!(carla.get("/v1/me").await.ok()["tenant_id"], stage.adatum["id"]);
    // The staff see what is left, and that it was erased.
    let left = stage
        .ada
        .get(&format!(
            "/v1/service-requests/{}",
            request["id"].as_str().unwrap()
        ))
        .await
        .ok();
    assert_eq!(
        (&left["status"], &left["severity"], &left["subject"]),
        (&json!("cancelled"), &json!("a"), &json!(""))
    );
    assert_eq!(desk.count("events WHERE kind = 'tenant_erased'"), 1);
    // The chains hold, though what they sealed is gone.
    desk.seal().await;
    let verified = done(desk, &["audit", "verify"]);
    assert!(verified.contains("erased"), "{verified}");
    // Once more is no harm.
    done(desk, &[&words[..], &["--yes"]].concat());
    assert_eq!(counts(), before);
}

/// What is Adatum's, row by row.
fn of_adatum(stage: &Stage) -> Vec<String> {
    let id = stage.adatum["id"].as_str().unwrap();
    let hex = id.replace('-', "").to_uppercase();
    let mut rows = contents(&mut stage.desk.connect());
    rows.retain(|row| row.contains(id) || row.contains(&hex));
    assert!(rows.len() > 10);
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasing_that_was_cut_off_is_begun_again() {
    let Story { stage, .. } = story().await;
    let desk = &stage.desk;
    let tenant: TenantId = stage.contoso["id"].as_str().unwrap().parse().unwrap();
    let (db, now) = (&desk.running().db, desk.clock.now().into());
    // So far it came.
    db.write(Scope::of_system(), move |conn| {
        identity::custody::shut(conn, tenant, now)
    })
    .await
    .unwrap();
    let first = db
        .write(Scope::of_system(), move |conn| {
            requests::custody::erase(conn, tenant, now, 2)
        })
        .await;
    assert_eq!(first.unwrap(), 2);
    done(
        desk,
        &["tenants", "erase", "--yes", "--tenant-id", &tenant.to_string()],
    );
    let left: Vec<_> = contents(&mut desk.connect())
        .into_iter()
        .filter(|row| row.contains("Xylophone"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_archive_of_nobody_and_none_of_the_provider() {
    let stage = Stage::set().await;
    let provider = allclear::db::PROVIDER.to_string();
    for id in [provider.as_str(), "01980000-0000-7000-8000-00000000dead"] {
        for verb in [vec!["export"], vec!["erase", "--yes"]] {
            let words = [&["tenants"], &verb[..], &["--tenant-id", id]].concat();
            assert!(
                refused(&stage.desk, &words).contains("tenant of this id"),
                "{words:?}"
            );
        }
    }
}
