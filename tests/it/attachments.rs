//! Files of requests: they come and go as bytes, and nothing that is said of them is believed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::json;

use crate::desk::{Reply, Stage, TestDesk, User};

async fn adds(who: &User, list: &str, name: &str, bytes: &[u8]) -> Reply {
    let call = who.call(Method::POST, &format!("{list}?name={name}"));
    Reply::of(call.body(bytes.to_vec())).await
}

/// Sends more than is taken, and says what it hears of it.
fn pours(who: &User, list: &str, is_announced: bool) -> String {
    let address = who.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let (length, begin) = match is_announced {
        true => ("Content-Length: 2000001", ""),
        false => ("Transfer-Encoding: chunked", "1E8481\r\n"),
    };
    let head = format!(
        "POST {list} HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {}\r\n{length}",
        who.token
    );
    write!(stream, "{head}\r\n\r\n{begin}").unwrap();
    if !is_announced {
        // As far as it is listened to.
        let _ = stream.write_all(&vec![b'x'; 2_000_001]);
    }
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

/// How many files there are, whosever they are.
fn on_disk(desk: &TestDesk) -> usize {
    let of_tenants = std::fs::read_dir(desk.settings().attachments_dir()).unwrap();
    let of_tenant = |folder: std::fs::DirEntry| std::fs::read_dir(folder.path()).unwrap().count();
    of_tenants.map(|folder| of_tenant(folder.unwrap())).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_added_and_saved_and_taken_away() {
    let limited = |settings: &mut allclear::settings::Settings| {
        settings.files.most_of_file = 2_000_000;
        settings.files.most_of_request = 4_000_020;
    };
    let stage = Stage::set_with(limited).await;
    let (desk, bob, ada, eva) = (&stage.desk, &stage.bob, &stage.ada, &stage.eva);
    let incident = stage.incident().await;
    let request = bob.files("Mail is down", &incident).await.created();
    let request = format!("/v1/service-requests/{}", request["id"].as_str().unwrap());
    let list = format!("{request}/attachments");
    let page = b"<script>alert(1)</script>";
    let added = adds(bob, &list, "..%2FBild%20%22%C3%BC%22.html", page).await;
    let path = added.header("location").unwrap().to_owned();
    let added = added.created();
    assert_eq!(path, format!("{list}/{}", added["id"].as_str().unwrap()));
    assert_eq!(
        (
            &added["name"],
            &added["media_type"],
            &added["size"],
            &added["comment_id"]
        ),
        (
            &json!("Bild \"ü\".html"),
            &json!("text/plain; charset=utf-8"),
            &json!(25),
            &json!(null)
        )
    );
    assert_eq!(ada.all(&list).await, std::slice::from_ref(&added));

    let saved = ada.call(Method::GET, &path).send().await.unwrap();
    for (name, value) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", "25"),
        (
            "content-disposition",
            "attachment; filename=\"Bild ___.html\"; filename*=UTF-8''Bild%20%22%C3%BC%22%2Ehtml",
        ),
        ("x-content-type-options", "nosniff"),
        (
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'; sandbox",
        ),
        ("cache-control", "private, no-cache"),
    ] {
        assert_eq!(saved.headers()[name], value, "{name}");
    }
    let tag = saved.headers()["etag"].clone();
    assert_eq!(tag, format!("\"{}\"", added["sha256"].as_str().unwrap()));
    assert_eq!(saved.bytes().await.unwrap(), &page[..]);
    let again = ada.call(Method::GET, &path).header("if-none-match", tag);
    assert_eq!(Reply::of(again).await.status, 304);

    // Nobody of another tenant has any of it, or leaves any there.
    eva.get(&list).await.refused(404, "not-found");
    eva.get(&path).await.refused(404, "not-found");
    eva.delete(&path, json!({})).await.refused(404, "not-found");
    adds(eva, &list, "x", b"x").await.refused(404, "not-found");
    assert_eq!((desk.count("attachments"), on_disk(desk)), (1, 1));

    // The same key is the same file; another file or name is not.
    let keyed = |name: &str, bytes: &'static [u8]| {
        let call = bob.call(Method::POST, &format!("{list}?name={name}"));
        Reply::of(call.header("idempotency-key", "k").body(bytes))
    };
    let first = keyed("a.txt", b"a").await.created();
    assert_eq!(keyed("a.txt", b"a").await.created(), first);
    keyed("b.txt", b"a").await.refused(422, "idempotency-key-reused");
    keyed("a.txt", b"b").await.refused(422, "idempotency-key-reused");
    assert_eq!(bob.all(&list).await.len(), 2);

    // What is too large, or too much; a body may be larger than one of JSON, and has an end all the same.
    let large = vec![b'x'; 2_000_000];
    adds(bob, &list, "large.txt", &large).await.created();
    adds(bob, &list, "none.txt", b"")
        .await
        .refused(422, "validation-failed");
    for is_announced in [true, false] {
        let answer = tokio::task::block_in_place(|| pours(bob, &list, is_announced));
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    adds(ada, &list, "another.txt", &large)
        .await
        .refused(413, "payload-too-large");
    let small = adds(ada, &list, "small.txt", b"small").await.created();
    let folder = desk
        .settings()
        .attachments_dir()
        .join(stage.contoso["id"].as_str().unwrap());
    let small = folder.join(small["id"].as_str().unwrap());

    // Who takes one away has it no more; what is left of it, and of those who died over one, is swept up.
    bob.delete(&path, json!({})).await.nothing();
    bob.get(&path).await.refused(404, "not-found");
    bob.delete(&path, json!({})).await.refused(404, "not-found");
    let history = bob.all(&format!("{request}/history")).await;
    let of_files: Vec<_> = history
        .iter()
        .filter(|event| event["kind"].as_str().unwrap().starts_with("attachments_"))
        .map(|event| {
            (
                event["kind"].as_str().unwrap(),
                event["data"]["attachments"][0]["name"].clone(),
            )
        })
        .collect();
    assert_eq!(of_files.len(), 5);
    assert_eq!(of_files[4], ("attachments_removed", json!("Bild \"ü\".html")));
    desk.running().worker.sweep().await.unwrap();
    assert_eq!((desk.count("attachments"), on_disk(desk)), (3, 3));
    desk.sql("UPDATE attachments SET state = 'arriving' WHERE name = 'small.txt'");
    assert_eq!(bob.all(&list).await.len(), 2);
    desk.running().worker.sweep().await.unwrap();
    assert_eq!((desk.count("attachments"), on_disk(desk)), (3, 3));
    desk.pass(TimeDelta::minutes(61));
    // A folder in the place of a file cannot be taken away as one: the row stays until it can.
    std::fs::remove_file(&small).unwrap();
    std::fs::create_dir(&small).unwrap();
    assert!(desk.running().worker.sweep().await.is_err());
    assert_eq!(desk.count("attachments"), 3);
    std::fs::remove_dir(&small).unwrap();
    std::fs::write(&small, "small").unwrap();
    std::fs::write(
        small.with_file_name(format!("{}#1", small.file_name().unwrap().to_str().unwrap())),
        "sma",
    )
    .unwrap();
    desk.running().worker.sweep().await.unwrap();
    assert_eq!((desk.count("attachments"), on_disk(desk)), (2, 2));

    // A request that is over takes none, and gives out what it has.
    let bob = &desk.again(bob).await;
    bob.post(&format!("{request}/cancel"), json!({})).await.ok();
    adds(bob, &list, "late.txt", b"late")
        .await
        .refused(409, "transition-not-allowed");
    assert_eq!(bob.all(&list).await.len(), 2);
    let again = bob.call(Method::POST, &format!("{list}?name=a.txt"));
    let again = again.header("idempotency-key", "k").body("a");
    assert_eq!(Reply::of(again).await.created(), first);
    desk.drain().await;
}
