//! What mail looks like when it arrives: its language, its thread, its list, its signature, and how much it lists.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use allclear::identity::keys::Secret;
use allclear::mail::unsubscribe::{Links, What, Wish};
use allclear::settings::{Dkim, Settings};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::desk::{Stage, TestDesk, incident_form};
use crate::mailbox::Mail;

async fn stage_with(change: impl FnOnce(&mut Settings)) -> Stage {
    Stage::set_with(|settings| {
        settings.access_token_lifetime = TimeDelta::days(100);
        settings.public_url = "https://desk.provider.example".to_owned();
        change(settings);
    })
    .await
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn files(stage: &Stage, subject: &str, incident: &Value, watchers: &[&str]) -> Value {
    let form = json!({
        "incident_id": incident["id"], "severity": "b", "subject": subject, "description": "It is down.",
        "watchers": watchers,
    });
    stage.bob.post("/v1/service-requests", form).await.created()
}

async fn tells(stage: &Stage, incident: &Value, call: &str, body: &str) {
    let path = format!("/v1/incidents/{}/{call}", text(&incident["id"]));
    stage.marta.post(&path, json!({"body": body})).await.ok();
}

// Languages and lists.

#[tokio::test(flavor = "multi_thread")]
async fn each_reader_is_told_in_their_language_and_zone_and_how_to_hear_no_more() {
    let stage = stage_with(|_| {}).await;
    let desk = &stage.desk;
    let contact = |locale: &str, zone: &str| {
        json!({"email": format!("{}@tailspin.example", locale.to_lowercase()), "name": "Kim",
            "locale": locale, "time_zone": zone})
    };
    let tailspin = json!({
        "name": "Tailspin", "regions": ["north-america"], "services": ["exchange-online"],
        "contacts": [contact("en", "UTC"), contact("de-AT", "Europe/Vienna"), contact("fr", "Europe/Paris"),
            contact("es-MX", "UTC"), contact("ja", "Asia/Tokyo"), contact("pt-BR", "UTC")],
    });
    let tailspin = desk.operator.post("/v1/tenants", tailspin).await.created();
    let incident = stage.incident().await;
    desk.drain().await;
    tells(&stage, &incident, "resolve", "It is over.").await;
    desk.drain().await;
    let secret = Secret::load(desk.settings().secret.as_deref(), Path::new("/nowhere")).unwrap();
    let links = Links::new(&secret, &desk.settings().public_url).unwrap();
    for (locale, subject, said) in [
        (
            "en",
            "[Resolved] ",
            "This was written on 7 September 2010, 18:00 UTC.",
        ),
        (
            "de-at",
            "[Behoben] ",
            "Geschrieben am 7. September 2010, 20:00 Uhr CEST (7. September 2010, 18:00 Uhr UTC).",
        ),
        (
            "fr",
            "[Résolu] ",
            "Message rédigé le 7 septembre 2010 à 20:00 CEST (7 septembre 2010 à 18:00 UTC).",
        ),
        (
            "es-mx",
            "[Resuelto] ",
            "Mensaje escrito el 7 de septiembre de 2010, 18:00 UTC.",
        ),
        (
            "ja",
            "[復旧のお知らせ] ",
            "この内容は2010年9月8日 03:00 JST（2010年9月7日 18:00 UTC）時点のものです。",
        ),
        (
            "pt-br",
            "[Resolved] ",
            "This was written on 7 September 2010, 18:00 UTC.",
        ),
    ] {
        let address = format!("{locale}@tailspin.example");
        let mails = desk.mailbox.to(&address);
        let mail = mails
            .iter()
            .find(|mail| mail.subject().starts_with(subject))
            .unwrap();
        assert!(
            mail.text().contains(said) && mail.html().contains(said),
            "{locale}: {}",
            mail.text()
        );
        let tag = locale.split('-').next().unwrap().replace("pt", "en");
        assert!(mail.html().contains(&format!("<html lang=\"{tag}\"")), "{locale}");
        // The list, and the one click.
        let list = format!("<incident-{}.localhost>", text(&incident["id"]));
        assert_eq!(mail.header("list-id"), Some(list));
        assert_eq!(
            mail.header("list-unsubscribe-post").as_deref(),
            Some("List-Unsubscribe=One-Click")
        );
        let link = mail.header("list-unsubscribe").unwrap();
        let link = link
            .strip_prefix('<')
            .and_then(|link| link.strip_suffix('>'))
            .unwrap();
        assert!(mail.text().contains(&format!("\n{link}\n")), "{}", mail.text());
        assert!(mail.html().contains(&format!("<a href=\"{link}\"")));
        let (_, token) = link
            .split_once("https://desk.provider.example/v1/unsubscribe/")
            .unwrap();
        let wish = Wish {
            tenant: text(&tailspin["id"]).parse().unwrap(),
            recipient: address,
            what: What::Incident(text(&incident["id"]).parse().unwrap()),
        };
        assert_eq!(links.open(token), Some(wish));
    }
    // A watcher may be anybody; a requester asked for it.
    let request = files(
        &stage,
        "Mail is down",
        &stage.incident().await,
        &["w@elsewhere.example"],
    )
    .await;
    desk.drain().await;
    let theirs = desk.mailbox.to("w@elsewhere.example");
    let added = theirs
        .iter()
        .find(|mail| mail.subject().contains("You were added"))
        .unwrap();
    let list = format!("<request-{}.localhost>", text(&request["id"]));
    assert_eq!(added.header("list-id"), Some(list));
    assert!(added.header("list-unsubscribe").is_some());
    let own = desk.mailbox.to("bob@contoso.example");
    let receipt = own
        .iter()
        .find(|mail| mail.subject().contains("We have"))
        .unwrap();
    assert_eq!(
        (receipt.header("list-id"), receipt.header("list-unsubscribe")),
        (None, None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_lists_the_first_twenty_requests_and_says_how_many_more_there_are() {
    let stage = stage_with(|_| {}).await;
    let desk = &stage.desk;
    let incident = stage.incident().await;
    let mut references = Vec::new();
    for n in 0..23 {
        let watchers: &[&str] = if n < 22 {
            &["w@contoso.example"]
        } else {
            &["few@contoso.example"]
        };
        let request = files(&stage, &format!("Number {n}"), &incident, watchers).await;
        references.push(text(&request["reference"]).to_owned());
    }
    desk.drain().await;
    tells(&stage, &incident, "resolve", "It is over.").await;
    desk.drain().await;
    for (reader, listed, more) in [
        ("bob@contoso.example", &references[..20], Some("and 3 more")),
        ("w@contoso.example", &references[..20], Some("and 2 more")),
        ("few@contoso.example", &references[22..], None),
        ("it@contoso.example", &[], None),
    ] {
        let mails = desk.mailbox.to(reader);
        let end = mails
            .iter()
            .find(|mail| mail.subject().starts_with("[Resolved]"))
            .unwrap();
        for part in [end.text(), end.html()] {
            let named: Vec<&String> = references
                .iter()
                .filter(|one| part.contains(one.as_str()))
                .collect();
            assert_eq!(named, listed.iter().collect::<Vec<_>>(), "{reader}");
            assert!(more.is_none_or(|more| part.contains(more)), "{reader}: {part}");
            assert_eq!(
                part.contains(" more\n") || part.contains(" more<"),
                more.is_some(),
                "{reader}: {part}"
            );
        }
    }
}

// Threads.

/// A message as a mail client threads it: its id, what it says it follows, its subject.
struct Post {
    id: String,
    references: Vec<String>,
    subject: String,
}

/// What hangs together, as Jamie Zawinski's algorithm has it (<https://www.jwz.org/doc/threading.html>): the ids of the
/// messages of each thread.
fn threads(posts: &[Post]) -> Vec<BTreeSet<String>> {
    #[derive(Default)]
    struct Container {
        is_message: bool,
        parent: Option<usize>,
    }
    let mut table: HashMap<&str, usize> = HashMap::new();
    let mut containers: Vec<Container> = Vec::new();
    let leads_to = |containers: &[Container], from: usize, to: usize| {
        let mut at = Some(from);
        while let Some(container) = at {
            if container == to {
                return true;
            }
            at = containers[container].parent;
        }
        false
    };
    for post in posts {
        let mut place = |id| {
            *table.entry(id).or_insert_with(|| {
                containers.push(Container::default());
                containers.len() - 1
            })
        };
        let own = place(post.id.as_str());
        let chain: Vec<usize> = post.references.iter().map(|id| place(id.as_str())).collect();
        containers[own].is_message = true;
        // Links that are there stay, and none makes a circle.
        for pair in chain.windows(2) {
            if containers[pair[1]].parent.is_none() && !leads_to(&containers, pair[0], pair[1]) {
                containers[pair[1]].parent = Some(pair[0]);
            }
        }
        if let Some(last) = chain.last().filter(|last| !leads_to(&containers, **last, own)) {
            containers[own].parent = Some(*last);
        }
    }
    let root = |mut at: usize| {
        while let Some(parent) = containers[at].parent {
            at = parent;
        }
        at
    };
    // An empty root with one child is that child; with more, it holds them together. Then roots with the same subject,
    // not counting that it is a reply, are one.
    let mut subjects: HashMap<String, usize> = HashMap::new();
    let mut found: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for post in posts {
        let own = root(table[post.id.as_str()]);
        let bare = post.subject.trim_start_matches("Re: ").to_owned();
        let of_subject = *subjects.entry(bare).or_insert(own);
        let is_first = found.get(&own).is_none_or(BTreeSet::is_empty);
        let thread = if is_first && of_subject != own {
            of_subject
        } else {
            own
        };
        found.entry(thread).or_default().insert(post.id.clone());
    }
    found.into_values().collect()
}

/// The subject without what servers of JMAP and IMAP take away before they compare (RFC 5256, 2.1): `[…]` in front.
fn base_subject(subject: &str) -> &str {
    let mut rest = subject.trim();
    while let Some((_, after)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        if after.trim().is_empty() {
            break;
        }
        rest = after.trim();
    }
    rest
}

fn post(mail: &Mail) -> Post {
    let ids = |name: &str| -> Vec<String> {
        let header = mail.header(name).unwrap_or_default();
        header.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(ids("references").last(), ids("in-reply-to").last());
    Post {
        id: mail.header("message-id").unwrap(),
        references: ids("references"),
        subject: mail.subject(),
    }
}

#[test]
fn the_algorithm_finds_threads_in_any_order_and_with_members_missing() {
    let post = |id: &str, references: &[&str]| Post {
        id: id.to_owned(),
        references: references.iter().map(|id| (*id).to_owned()).collect(),
        subject: format!("about {id}"),
    };
    let posts = [
        post("d", &["a", "b"]),
        post("b", &["a"]),
        post("c", &["gone"]),
        post("e", &["gone", "c"]),
        post("f", &[]),
    ];
    let mut sizes: Vec<usize> = threads(&posts).iter().map(BTreeSet::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_mails_are_all_in_the_thread_of_what_they_are_about() {
    let stage = stage_with(|_| {}).await;
    let (desk, ada) = (&stage.desk, &stage.ada);
    let locales = ["en", "de", "fr", "es", "ja"];
    let contacts: Vec<Value> = (0..60)
        .map(|n| json!({"email": format!("c{n}@crowd.example"), "name": "Kim", "locale": locales[n % 5]}))
        .collect();
    let crowd = json!({"name": "Crowd", "regions": ["north-america"], "services": ["exchange-online"], "contacts": contacts});
    desk.operator.post("/v1/tenants", crowd).await.created();
    for n in 0..5 {
        let mut form = incident_form();
        form["title"] = json!(format!("Trouble number {n}"));
        let incident = stage.marta.post("/v1/incidents", form).await.created();
        tells(&stage, &incident, "updates", "Found it.").await;
        for m in 0..4 {
            let request = files(
                &stage,
                &format!("Down in {n}, room {m}"),
                &incident,
                &["w@contoso.example"],
            )
            .await;
            let path = format!("/v1/service-requests/{}", text(&request["id"]));
            ada.post(&format!("{path}/comments"), json!({"body": "We look."}))
                .await
                .created();
            ada.post(&format!("{path}/resolve"), json!({"body": "So."}))
                .await
                .ok();
        }
        desk.drain().await;
        tells(&stage, &incident, "resolve", "It is over.").await;
        desk.drain().await;
    }
    let mails = desk.mailbox.mails();
    assert!(mails.len() >= 1000, "{}", mails.len());
    let mut about: HashMap<String, String> = HashMap::new();
    for row in desk.operator.all("/v1/deliveries").await {
        let subject = match text(&row["kind"]) {
            kind if kind.starts_with("incident_") => &row["incident_id"],
            _ => &row["request_id"],
        };
        about.insert(
            format!("<{}@localhost>", text(&row["id"])),
            text(subject).to_owned(),
        );
    }
    let mut posts: Vec<Post> = mails.iter().map(post).collect();
    // As a mailbox may hold them: sorted by something that has nothing to do with it.
    posts.sort_by(|one, other| one.id.bytes().rev().cmp(other.id.bytes().rev()));
    let found = threads(&posts);
    let right: BTreeSet<&String> = about.values().collect();
    assert_eq!(
        found.len(),
        right.len(),
        "a thread for each incident and each request"
    );
    let subject_of: HashMap<&str, &str> = posts
        .iter()
        .map(|post| (post.id.as_str(), base_subject(&post.subject)))
        .collect();
    let mut placed = 0;
    for thread in &found {
        let abouts: BTreeSet<&String> = thread.iter().map(|id| &about[id]).collect();
        assert_eq!(abouts.len(), 1, "one thread, one matter: {abouts:?}");
        // Gmail, and servers of JMAP, want the same subject besides.
        let subjects: BTreeSet<&str> = thread.iter().map(|id| subject_of[id.as_str()]).collect();
        assert_eq!(subjects.len(), 1, "{subjects:?}");
        placed += thread.len();
    }
    assert_eq!(placed, mails.len());
}

// Signatures.

/// A key as a file, RSA or Ed25519.
fn key(dir: &Path, is_rsa: bool) -> PathBuf {
    let der = if is_rsa {
        let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap().as_ref().to_vec()
    } else {
        let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
        AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap().as_ref().to_vec()
    };
    let lines = STANDARD.encode(der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n");
    let path = dir.join("dkim.pem");
    std::fs::write(&path, pem).unwrap();
    path
}

/// What another program says of each of these mails, by the record that the domain is to publish.
fn verified(desk: &TestDesk, mails: &[(String, Vec<u8>)]) -> BTreeMap<String, bool> {
    let dkim = desk.settings().dkim.clone().unwrap();
    let printed = Command::new(env!("CARGO_BIN_EXE_allclear"))
        .args([
            "keys",
            "dkim",
            "--dkim-selector",
            &dkim.selector,
            "--dkim-domain",
            &dkim.domain,
            "--dkim-key",
        ])
        .arg(&dkim.key)
        .output()
        .unwrap();
    assert!(
        printed.status.success(),
        "{}",
        String::from_utf8_lossy(&printed.stderr)
    );
    let dir = tempfile::tempdir().unwrap();
    for (name, raw) in mails {
        std::fs::write(dir.path().join(name), raw).unwrap();
    }
    let mut verifier = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/dkim-verifier"))
        .arg(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    verifier.stdin.take().unwrap().write_all(&printed.stdout).unwrap();
    let said = verifier.wait_with_output().unwrap();
    assert!(said.status.success());
    let said = String::from_utf8(said.stdout).unwrap();
    let line = |line: &str| {
        let (name, verdict) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), verdict == "holds")
    };
    said.lines().map(line).collect()
}

/// The mail as somebody on its way might have made it, and whether its signature should hold then.
fn tampered(raw: &str) -> Vec<(&'static str, String, bool)> {
    let in_head = |from: &str, to: &str| raw.replacen(from, to, 1);
    let mut all = vec![
        ("as it is", raw.to_owned(), true),
        ("another header", format!("Received: from a by b\r\n{raw}"), true),
        (
            "folded anew",
            in_head("Auto-Submitted: auto", "Auto-Submitted:\r\n auto"),
            true,
        ),
        ("another body", raw.trim_end().to_owned() + " and more\r\n", false),
        (
            "another subject",
            in_head("\r\nSubject: ", "\r\nSubject: Re: "),
            false,
        ),
        ("a second subject", format!("Subject: You won\r\n{raw}"), false),
        (
            "a second sender",
            format!("From: eve@evil.example\r\n{raw}"),
            false,
        ),
        (
            "another recipient",
            in_head("\r\nTo: ", "\r\nTo: eve@evil.example, "),
            false,
        ),
        (
            "another id",
            in_head("\r\nMessage-ID: <", "\r\nMessage-ID: <x"),
            false,
        ),
        (
            "another thread",
            in_head("\r\nReferences: <", "\r\nReferences: <x"),
            false,
        ),
        (
            "another date",
            in_head(
                "\r\nDate: ",
                "\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nX-Date: ",
            ),
            false,
        ),
        (
            "another way to reply",
            format!("Reply-To: eve@evil.example\r\n{raw}"),
            false,
        ),
    ];
    if raw.contains("\r\nList-Unsubscribe: ") {
        all.push((
            "another way out",
            in_head("/v1/unsubscribe/", "/v1/unsubscribe/x"),
            false,
        ));
        all.push((
            "no one-click",
            in_head("\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click", ""),
            false,
        ));
    } else {
        all.push((
            "a way out",
            format!("List-Unsubscribe: <https://evil.example>\r\n{raw}"),
            false,
        ));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_signed_so_that_others_find_it_whole_and_every_change_of_it_shows() {
    for is_rsa in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let stage = stage_with(|settings| {
            settings.mail_from = "Allclear <desk@provider.example>".parse().unwrap();
            settings.dkim = Some(Dkim {
                key: key(dir.path(), is_rsa),
                selector: "desk2026".to_owned(),
                domain: "provider.example".to_owned(),
            });
        })
        .await;
        let desk = &stage.desk;
        let incident = stage.incident().await;
        desk.drain().await;
        let request = files(&stage, "Grüße: 障害 🙂", &incident, &["w@contoso.example"]).await;
        let path = format!("/v1/service-requests/{}", text(&request["id"]));
        stage
            .ada
            .post(
                &format!("{path}/comments"),
                json!({"body": "One\n.\n\n  two  \n"}),
            )
            .await
            .created();
        stage
            .ada
            .post(&format!("{path}/resolve"), json!({"body": "So."}))
            .await
            .ok();
        let invited = json!({"email": "ivy@contoso.example", "name": "Ivy", "role": "tenant_viewer",
            "tenant_id": stage.contoso["id"], "locale": "ja"});
        desk.operator.post("/v1/users", invited).await.created();
        tells(&stage, &incident, "updates", "Found it.").await;
        desk.drain().await;
        tells(&stage, &incident, "resolve", "It is over.").await;
        desk.drain().await;
        let mails = desk.mailbox.mails();
        let kinds: BTreeSet<String> = mails
            .iter()
            .map(|mail| {
                mail.html()
                    .split("data-kind=\"")
                    .nth(1)
                    .unwrap()
                    .split('"')
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert!(kinds.len() >= 8, "{kinds:?}");
        let (mut all, mut expected) = (Vec::new(), BTreeMap::new());
        for (n, mail) in mails.iter().enumerate() {
            let raw = String::from_utf8(mail.raw.to_vec()).unwrap();
            assert!(raw.starts_with("DKIM-Signature: v=1; a="), "{raw}");
            for (how, changed, holds) in tampered(&raw) {
                assert!(
                    how == "as it is" || changed != raw,
                    "{how} changed nothing of {raw}"
                );
                let name = format!("{n} {how}");
                all.push((name.clone(), changed.into_bytes()));
                expected.insert(name, holds);
            }
        }
        assert_eq!(verified(desk, &all), expected);
    }
}

// Templates.

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_looked_at_before_anybody_gets_them_and_a_bad_one_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("status.subject.txt"),
        "Contoso desk: {{ title }}",
    )
    .unwrap();
    let stage = stage_with(|settings| settings.mail_templates = Some(folder.path().to_owned())).await;
    let marta = &stage.marta;
    let all = marta.get("/v1/templates").await.ok();
    assert_eq!(all["languages"], json!(["en", "de", "fr", "es", "ja"]));
    let names: Vec<&str> = all["templates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(&one["name"]))
        .collect();
    assert!(names.len() > 20 && !names.contains(&"unknown"), "{names:?}");
    assert_eq!(
        all["templates"][0]["files"],
        json!(["status.subject.txt", "status.txt", "status.html"])
    );
    for name in names {
        let path = format!("/v1/templates/{name}/preview");
        let reply = marta
            .get(&format!("{path}?locale=de-CH&time_zone=Asia/Kolkata"))
            .await;
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("sandbox; default-src 'none'"), "{policy}");
        let html = reply.ok();
        assert!(text(&html).contains("<html lang=\"de\""), "{name}");
        let plain = marta.get(&format!("{path}?part=text")).await;
        assert_eq!(plain.header("content-type"), Some("text/plain; charset=utf-8"));
        assert!(text(&plain.ok()).contains("Hello Ada Lovelace,"), "{name}");
    }
    let subject = "/v1/templates/incident_opened/preview?part=subject";
    let subject = marta.get(subject).await.ok();
    assert_eq!(subject, "Contoso desk: Mail is reachable only intermittently");
    for (path, status, code) in [
        ("horoscope/preview", 404, "not-found"),
        ("unknown/preview", 404, "not-found"),
        ("invitation/preview?part=pdf", 400, "invalid-query"),
        ("invitation/preview?locale=!", 400, "invalid-query"),
        ("invitation/preview?time_zone=Mars/Base", 400, "invalid-query"),
    ] {
        marta
            .get(&format!("/v1/templates/{path}"))
            .await
            .refused(status, code);
    }
    stage.bob.get("/v1/templates").await.refused(403, "forbidden");
    stage.incident().await;
    stage.desk.drain().await;
    let mail = stage.desk.mailbox.to("it@contoso.example").pop().unwrap();
    assert_eq!(
        mail.subject(),
        "Contoso desk: Mail is reachable only intermittently"
    );

    std::fs::write(folder.path().join("status.txt"), "{{ title }}\n{{ titel }}").unwrap();
    let home = tempfile::tempdir().unwrap();
    let failed = Command::new(env!("CARGO_BIN_EXE_allclear"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(home.path())
        .arg("--mail-templates")
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(!failed.status.success());
    let said = String::from_utf8_lossy(&failed.stderr);
    assert!(said.contains("status.txt:2: `titel`"), "{said}");
}
