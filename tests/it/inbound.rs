//! What comes in by mail: answers become comments, once; what is not an answer becomes nothing; what comes back is seen.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use allclear::settings::{Inbound, Protocol, Settings};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::desk::{Stage, TestDesk, User};
use crate::mailbox::Mail;

const DOMAIN: &str = "in.desk.example";

async fn stage(protocol: Protocol) -> Stage {
    Stage::set_with(|settings| comes_in(settings, protocol)).await
}

fn comes_in(settings: &mut Settings, protocol: Protocol) {
    settings.mail_from = "Desk <desk@desk.example>".parse().unwrap();
    settings.inbound = Some(Inbound {
        domain: DOMAIN.to_owned(),
        listen: Some((protocol, "127.0.0.1:0".to_owned())),
        limit: 20_000,
        authserv_id: Some("mx.desk.example".to_owned()),
    });
}

/// A relay that hands in mail.
struct Relay {
    lines: BufReader<TcpStream>,
}

impl Relay {
    /// Says hello as the door speaks.
    fn at(desk: &TestDesk) -> Self {
        let url = desk.running().inbound.as_deref().unwrap();
        let (protocol, address) = url.split_once("://").unwrap();
        let mut relay = Self {
            lines: BufReader::new(TcpStream::connect(address).unwrap()),
        };
        assert!(relay.answer().starts_with("220 "));
        let hello = if protocol == "lmtp" { "LHLO" } else { "EHLO" };
        assert!(relay.says(&format!("{hello} mx.desk.example")).starts_with("250"));
        relay
    }

    fn says(&mut self, line: &str) -> String {
        self.lines
            .get_mut()
            .write_all(format!("{line}\r\n").as_bytes())
            .unwrap();
        self.answer()
    }

    /// The last line of an answer.
    fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.lines.read_line(&mut line).unwrap();
            assert!(!line.is_empty(), "hung up");
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    /// Hands in a mail, and says what the last answer was.
    fn hands_in(&mut self, from: &str, to: &str, raw: &str) -> String {
        let _ = self.says("RSET");
        let asked = self.says(&format!("MAIL FROM:<{from}>"));
        assert!(asked.starts_with("250"), "{asked}");
        let asked = self.says(&format!("RCPT TO:<{to}>"));
        if !asked.starts_with("250") {
            return asked;
        }
        assert!(self.says("DATA").starts_with("354"));
        let raw = raw.replace('\n', "\r\n").replace("\r\n.", "\r\n..");
        self.says(&format!("{raw}."))
    }
}

/// A mail of somebody's, with a Message-ID.
fn letter(from: &str, id: &str, head: &str, words: &str) -> String {
    format!("From: Somebody <{from}>\nSubject: Re: it\nMessage-ID: <{id}@contoso.example>\n{head}\n{words}\n")
}

/// The last mail to somebody.
fn last(desk: &TestDesk, to: &str) -> Mail {
    desk.mailbox.to(to).pop().unwrap()
}

/// The last one that asks for an answer: that of an incident does not.
fn asked(desk: &TestDesk, to: &str) -> Mail {
    let mut mails = desk.mailbox.to(to);
    mails.retain(|mail| mail.header("reply-to").is_some());
    mails.pop().unwrap()
}

/// Where a client answers a mail to.
fn reply_to(mail: &Mail) -> String {
    let header = mail.header("reply-to").or_else(|| mail.header("from")).unwrap();
    let address = header
        .rsplit_once('<')
        .map_or(header.as_str(), |(_, address)| address);
    address.trim_end_matches('>').to_owned()
}

async fn files(user: &User, incident: &Value, watchers: &[&str]) -> String {
    let form = json!({"incident_id": incident["id"], "severity": "b", "subject": "Mail is down",
        "description": "Since ten.", "watchers": watchers});
    let filed = user.post("/v1/service-requests", form).await.created();
    format!("/v1/service-requests/{}", filed["id"].as_str().unwrap())
}

async fn comments(user: &User, request: &str) -> Vec<(String, String)> {
    let comments = user.all(&format!("{request}/comments")).await;
    let said = |comment: &Value| {
        let of = |value: &Value| value.as_str().unwrap().to_owned();
        (of(&comment["author"]["name"]), of(&comment["body"]))
    };
    comments.iter().map(said).collect()
}

fn said(author: &str, body: &str) -> (String, String) {
    (author.to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_by_mail_is_a_comment_once_and_sets_the_request_going() {
    let stage = stage(Protocol::Lmtp).await;
    let (desk, bob, ada) = (&stage.desk, &stage.bob, &stage.ada);
    let incident = stage.incident().await;
    let request = files(bob, &incident, &["wendy@elsewhere.example"]).await;
    desk.drain().await;
    ada.post(&format!("{request}/assign"), json!({"assignee_id": ada.id}))
        .await
        .ok();
    ada.post(
        &format!("{request}/await-customer"),
        json!({"body": "Does it work?"}),
    )
    .await
    .ok();
    desk.drain().await;

    let question = asked(desk, &bob.email);
    let mark = "##- Please write your answer above this line -##";
    assert!(
        question.text().starts_with(mark) && question.html().contains(mark),
        "{}",
        question.text()
    );
    let address = reply_to(&question);
    assert!(
        address.starts_with("reply+") && address.ends_with(DOMAIN),
        "{address}"
    );
    assert!(
        question.from.starts_with("bounce+") && question.from.ends_with(DOMAIN),
        "{}",
        question.from
    );
    // As Gmail does it, and from an address in another case.
    let quoted: String = question
        .text()
        .lines()
        .map(|line| format!("> {line}\n"))
        .collect();
    let words = format!("It does.\n.\n\nOn Mon, 3 May 2026 at 10:15, Desk <{address}>\nwrote:\n\n{quoted}");
    let answer = letter("BOB@Contoso.example", "m1", "", &words);
    let mut relay = Relay::at(desk);
    // Nobody has it while the database is away, and so it is handed in again.
    let put_off = desk.while_away(|| relay.hands_in("bob@contoso.example", &address, &answer));
    assert!(put_off.starts_with("451"), "{put_off}");
    assert!(
        relay
            .hands_in("bob@contoso.example", &address.to_uppercase(), &answer)
            .starts_with("250")
    );
    let expected = [said("ada", "Does it work?"), said("bob", "It does.\n.")];
    assert_eq!(comments(bob, &request).await, expected);
    assert_eq!(bob.get(&request).await.ok()["status"], "in_progress");
    // It was not heard that it was taken; and one that is handed in by two at once is one, too.
    let again = answer.replace("<m1@", "<m2@");
    let at_once = || {
        let mut relay = Relay::at(desk);
        for letter in [&answer, &again] {
            let taken = relay.hands_in("bob@contoso.example", &address, letter);
            assert!(taken.starts_with("250"), "{taken}");
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(at_once);
        scope.spawn(at_once);
    });
    assert_eq!(comments(bob, &request).await.len(), 3);

    // A watcher who has no account, from a client that answers to the sender.
    let told = asked(desk, "wendy@elsewhere.example");
    let head = format!(
        "In-Reply-To: {}\nContent-Type: text/html; charset=utf-8\n",
        told.header("message-id").unwrap()
    );
    let html = "<p>For <b>me</b> too.</p><div class=\"gmail_quote\">whatever</div>";
    let answer = letter("wendy@elsewhere.example", "w1", &head, html).replace("Somebody", "Wendy W");
    assert!(
        relay
            .hands_in("wendy@elsewhere.example", "desk@desk.example", &answer)
            .starts_with("250")
    );
    assert_eq!(comments(bob, &request).await[3], said("Wendy W", "For me too."));
    desk.drain().await;
    desk.seal().await;
    let story: Vec<Value> = desk.operator.all("/v1/audit?kind=request_commented").await;
    let by = story[0]["actor"].clone();
    assert_eq!((&by["name"], &by["side"]), (&json!("Wendy W"), &json!("tenant")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_not_an_answer_becomes_nothing_but_a_refusal() {
    let mut stage = stage(Protocol::Smtp).await;
    let incident = stage.incident().await;
    let request = files(&stage.bob, &incident, &["wendy@elsewhere.example"]).await;
    stage.desk.drain().await;
    let (desk, bob) = (&stage.desk, &stage.bob);
    let bobs = reply_to(&asked(desk, &bob.email));
    let wendys = reply_to(&asked(desk, "wendy@elsewhere.example"));
    let mut relay = Relay::at(desk);
    let mut hand_in = |from: &str, to: &str, id: &str, head: &str| {
        relay.hands_in(from, to, &letter(from, id, head, "It works."))[..3].to_owned()
    };
    let guessed = bobs.replace("reply+a", "reply+b");
    assert_eq!(hand_in("eve@evil.example", &guessed, "e1", ""), "550");
    assert_eq!(hand_in("eve@evil.example", "eve@evil.example", "e2", ""), "550");
    // One that was seen somewhere is no good to anybody else, not even at the same tenant.
    assert_eq!(hand_in("eve@evil.example", &bobs, "e3", ""), "550");
    assert_eq!(hand_in("wendy@elsewhere.example", &bobs, "e4", ""), "550");
    assert_eq!(hand_in(&bob.email, &format!("hello@{DOMAIN}"), "e5", ""), "550");
    let forged = "Authentication-Results: mx.desk.example; dmarc=fail header.from=contoso.example\n";
    assert_eq!(hand_in(&bob.email, &bobs, "e6", forged), "550");
    let refused = desk.operator.all("/v1/audit?kind=letter_refused").await;
    let mut reasons: Vec<&str> = refused
        .iter()
        .map(|event| event["data"]["reason"].as_str().unwrap())
        .collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        ["forged", "sender", "sender", "unknown", "unknown", "unknown"]
    );
    let seen = bob.all("/v1/audit?kind=letter_refused").await;
    assert_eq!(seen.len(), 3, "those of a message to them");

    // What a program wrote is taken, and that is all.
    for head in [
        "Auto-Submitted: auto-replied\n",
        "Precedence: bulk\n",
        "X-Autoreply: yes\n",
    ] {
        assert_eq!(hand_in(&bob.email, &bobs, "p1", head), "250", "{head}");
    }
    assert_eq!(hand_in("", &bobs, "p2", ""), "250");
    assert_eq!(hand_in("desk@desk.example", &bobs, "p3", ""), "250");
    assert_eq!(comments(bob, &request).await, []);
    // Whoever watches no longer has nothing to say, and whoever writes without end is not heard.
    assert_eq!(hand_in("wendy@elsewhere.example", &wendys, "w1", ""), "250");
    bob.delete(
        &format!("{request}/watchers"),
        json!({"watchers": ["wendy@elsewhere.example"]}),
    )
    .await
    .ok();
    assert_eq!(hand_in("wendy@elsewhere.example", &wendys, "w2", ""), "550");
    for number in 0..10 {
        assert_eq!(hand_in(&bob.email, &bobs, &format!("b{number}"), ""), "250");
    }
    assert_eq!(hand_in(&bob.email, &bobs, "b10", ""), "550");
    desk.pass(TimeDelta::minutes(61));
    assert_eq!(hand_in(&bob.email, &bobs, "b10", ""), "250");
    assert_eq!(comments(&desk.again(bob).await, &request).await.len(), 12);
    // What is too large is not taken, and the connection goes on.
    let long = letter(&bob.email, "b11", "", &"x\n".repeat(10_001));
    assert_eq!(relay.hands_in(&bob.email, &bobs, &long)[..3], *"552");
    desk.again(bob)
        .await
        .post(&format!("{request}/cancel"), json!({}))
        .await
        .ok();
    assert_eq!(
        relay.hands_in(&bob.email, &bobs, &letter(&bob.email, "b12", "", "Hello"))[..3],
        *"550"
    );
    // What was taken once is taken, whatever has happened since; and nothing at all is no mail.
    assert_eq!(
        relay.hands_in(&bob.email, &bobs, &letter(&bob.email, "b1", "", "It works."))[..3],
        *"250"
    );
    assert_eq!(relay.hands_in(&bob.email, &bobs, "")[..3], *"550");
    desk.drain().await;
    stage.desk.leave_undrained();
}

/// A mail with files, each of so many bytes.
fn with_files(from: &str, id: &str, files: &[(&str, usize)]) -> String {
    let part = |(name, size): &(&str, usize)| {
        format!(
            "--b\nContent-Type: text/html\nContent-Disposition: attachment; filename=\"{name}\"\n\n{}\n",
            "<b>".repeat(size / 3)
        )
    };
    let parts: String = files.iter().map(part).collect();
    let head = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n";
    letter(from, id, head, &format!("--b\n\nSee the log.\n{parts}--b--"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_an_answer_are_kept_once_as_far_as_there_is_room() {
    let limited = |settings: &mut Settings| {
        comes_in(settings, Protocol::Lmtp);
        settings.files.most_of_file = 300;
        settings.files.most_of_mail = 3;
        settings.files.most_of_request = 1000;
    };
    let stage = Stage::set_with(limited).await;
    let (desk, bob) = (&stage.desk, &stage.bob);
    let incident = stage.incident().await;
    let request = files(bob, &incident, &[]).await;
    desk.drain().await;
    let address = reply_to(&asked(desk, &bob.email));
    let mut relay = Relay::at(desk);
    let several = [
        ("../../log.html", 30),
        ("film.mp4", 330),
        ("b.txt", 300),
        ("c.txt", 300),
        ("d.txt", 3),
    ];
    let mail = with_files(&bob.email, "f1", &several);
    for _ in 0..2 {
        assert!(relay.hands_in(&bob.email, &address, &mail).starts_with("250"));
    }
    // Of a stranger's nothing is kept.
    let eves = mail.replace(&bob.email, "eve@evil.example");
    assert!(
        relay
            .hands_in("eve@evil.example", &address, &eves)
            .starts_with("550")
    );
    let more = with_files(&bob.email, "f2", &[("e.txt", 300), ("f.txt", 300)]);
    assert!(relay.hands_in(&bob.email, &address, &more).starts_with("250"));
    let said = |kept: &str, left_out: &str| {
        format!("See the log.\n\n[Files: {kept}]\n\n[Files that were left out: {left_out}]")
    };
    let comments = bob.all(&format!("{request}/comments")).await;
    assert_eq!(
        comments
            .iter()
            .map(|comment| comment["body"].clone())
            .collect::<Vec<_>>(),
        [
            said(
                "log.html, b.txt, c.txt",
                "film.mp4 (too large), d.txt (too many files)"
            ),
            said("e.txt", "f.txt (the request has too many)"),
        ]
    );
    let kept = bob.all(&format!("{request}/attachments")).await;
    let of = |index: usize, file: &Value| {
        assert_eq!(file["comment_id"], comments[index]["id"]);
        file["name"].as_str().unwrap().to_owned()
    };
    let names: Vec<_> = kept
        .iter()
        .map(|file| of(usize::from(file["name"] == "e.txt"), file))
        .collect();
    assert_eq!(names, ["log.html", "b.txt", "c.txt", "e.txt"]);
    assert_eq!(desk.count("attachments"), 4);
    assert_eq!(
        (&kept[0]["media_type"], &kept[0]["size"]),
        (&json!("text/plain; charset=utf-8"), &json!(30))
    );
    let path = format!("{request}/attachments/{}", kept[0]["id"].as_str().unwrap());
    assert_eq!(bob.get(&path).await.ok(), "<b>".repeat(10));
    let history = bob.all(&format!("{request}/history")).await;
    let added = history
        .iter()
        .filter(|event| event["kind"] == "attachments_added");
    assert_eq!(added.count(), 2);
    desk.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_answer_by_themselves_stop_after_one_exchange() {
    let stage = stage(Protocol::Lmtp).await;
    let (desk, bob) = (&stage.desk, &stage.bob);
    let incident = stage.incident().await;
    let request = files(bob, &incident, &[]).await;
    desk.drain().await;
    let mut relay = Relay::at(desk);
    // Everything that comes is answered: by a machine that says so, and then by one that does not.
    for (round, head) in ["Auto-Submitted: auto-replied\n", ""].into_iter().enumerate() {
        let mut new = vec![asked(desk, &bob.email)];
        let mut answers = 0;
        while let Some(mail) = new.pop() {
            answers += 1;
            let heard = desk.mailbox.to(&bob.email).len();
            let head = format!("{head}In-Reply-To: {}\n", mail.header("message-id").unwrap());
            let answer = letter(&bob.email, &format!("{round}.{answers}"), &head, "I am away.");
            let taken = relay.hands_in(&bob.email, &reply_to(&mail), &answer);
            assert!(taken.starts_with("250"), "{taken}");
            desk.drain().await;
            new.extend(desk.mailbox.to(&bob.email).split_off(heard));
        }
        assert_eq!(answers, 1, "one mail, one answer, and an end");
        assert_eq!(comments(bob, &request).await.len(), round);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_is_a_failed_delivery_and_a_pipe_takes_mail_too() {
    let stage = stage(Protocol::Lmtp).await;
    let (desk, bob) = (&stage.desk, &stage.bob);
    let incident = stage.incident().await;
    files(
        bob,
        &incident,
        &["gone@elsewhere.example", "full@elsewhere.example"],
    )
    .await;
    desk.drain().await;
    let sent = asked(desk, "gone@elsewhere.example");
    let report = |sent: &Mail, action: &str, status: &str| {
        format!(
            "From: MAILER-DAEMON@mx.elsewhere.example\nTo: {}\nMessage-ID: <{action}@mx.elsewhere.example>\n\
             MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n\
             --b\n\nSorry.\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.elsewhere.example\n\n\
             Final-Recipient: rfc822; forwarded@else.example\nAction: {action}\nStatus: {status}\n\
             Diagnostic-Code: smtp; 550 5.1.1 no such user\n--b--\n",
            sent.from
        )
    };
    let path = "/v1/deliveries?recipient=gone@elsewhere.example";
    let failed = format!("{path}&state=failed");
    let mut relay = Relay::at(desk);
    assert!(
        relay
            .hands_in("", &sent.from, &report(&sent, "delayed", "4.4.1"))
            .starts_with("250")
    );
    let row = &desk.operator.all(path).await[0];
    assert_eq!((&row["state"], &row["delays"]), (&json!("sent"), &json!(1)));
    // What is given up for something that passes has failed too; other mail goes on to be sent there.
    let full = asked(desk, "full@elsewhere.example");
    assert!(
        relay
            .hands_in("", &full.from, &report(&full, "failed", "4.2.2"))
            .starts_with("250")
    );
    let row = &desk
        .operator
        .all("/v1/deliveries?recipient=full@elsewhere.example")
        .await[0];
    assert_eq!(row["state"], "failed");
    assert_eq!(bob.all("/v1/suppressions").await, [] as [Value; 0]);
    for _ in 0..2 {
        assert!(
            relay
                .hands_in("", &sent.from, &report(&sent, "failed", "5.1.1"))
                .starts_with("250")
        );
    }
    let row = &desk.operator.all(&failed).await[0];
    assert_eq!(
        (&row["state"], &row["error"]),
        (&json!("failed"), &json!("returned: 5.1.1 550 5.1.1 no such user"))
    );
    assert_eq!(
        desk.operator.all("/v1/audit?kind=delivery_returned").await.len(),
        2
    );

    // Nothing more goes there, whoever runs the tenant hears of it once, and lets it go there again.
    desk.drain().await;
    let told = last(desk, &bob.email);
    assert!(told.subject().contains("comes back"), "{}", told.subject());
    assert!(told.text().contains("gone@elsewhere.example") && told.text().contains("550 5.1.1"));
    let there = || desk.mailbox.to("gone@elsewhere.example").len();
    let count = there();
    let again = files(bob, &incident, &["gone@elsewhere.example"]).await;
    desk.drain().await;
    assert_eq!(there(), count);
    let rows = desk.operator.all(&format!("{path}&state=suppressed")).await;
    assert_eq!(rows[0]["reason"], "suppressed");
    assert_eq!(stage.eva.all("/v1/suppressions").await, [] as [Value; 0]);
    let mine = bob.all("/v1/suppressions").await;
    assert_eq!(mine[0]["address"], "gone@elsewhere.example");
    let lift = format!("/v1/suppressions/{}", mine[0]["id"].as_str().unwrap());
    stage.eva.delete(&lift, json!({})).await.refused(404, "not-found");
    bob.delete(&lift, json!({})).await.nothing();
    assert_eq!(bob.all("/v1/suppressions").await, [] as [Value; 0]);
    let watchers = json!({"watchers": ["gone@elsewhere.example"]});
    bob.delete(&format!("{again}/watchers"), watchers.clone())
        .await
        .ok();
    bob.put(&format!("{again}/watchers"), watchers).await.ok();
    desk.drain().await;
    assert_eq!(there(), count + 1, "you were added");

    let address = reply_to(&asked(desk, &bob.email));
    let pipe = |words: &[&str], raw: &str| {
        let mut command = desk.command(&["receive", "--inbound-domain", DOMAIN, "--inbound-limit", "1"]);
        command.args(words).args(["--mail-from", "desk@desk.example"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It may not want to hear all of it.
        let _ = child.stdin.take().unwrap().write_all(raw.as_bytes());
        child.wait().unwrap().code()
    };
    let delivered = format!("Return-Path: <{}>\nDelivered-To: {address}\n", bob.email);
    let answer = delivered + &letter(&bob.email, "m1", "", "By a pipe.");
    assert_eq!(pipe(&[], &answer), Some(0));
    assert_eq!(comments(bob, &again).await, [said("bob", "By a pipe.")]);
    assert_eq!(
        pipe(&["--recipient", "nobody@contoso.example"], &answer),
        Some(67)
    );
    let eves = letter("eve@evil.example", "e1", "", "Hello");
    assert_eq!(
        pipe(&["--sender", "eve@evil.example", "--recipient", &address], &eves),
        Some(77)
    );
    assert_eq!(pipe(&[], &"x\n".repeat(600_000)), Some(65));
    assert_eq!(pipe(&["--public-url", "nowhere"], &answer), Some(75));
    desk.drain().await;
}
