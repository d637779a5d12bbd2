//! Whatever is sent, wherever: a problem of the 4xx kind that names what is wrong, and nothing has changed.
//!
//! The calls are those of the OpenAPI document, their bodies are made from its schemas and broken one place at a time.

use std::collections::BTreeSet;

use allclear::db::Connection;
use allclear::identity::rights::OPEN;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::desk::{Reply, TestDesk, User};
use crate::migrations::contents;
use crate::spec::{Cast, Operation, Shape, Spec};

const MIB: usize = 1 << 20;

/// A desk, the document, and what was wrong so far.
struct Walk {
    cast: Cast,
    spec: Spec,
    before: Vec<String>,
    wrong: Vec<String>,
    calls: usize,
}

impl Walk {
    async fn begin() -> Self {
        let cast = Cast::set().await;
        let before = kept(&mut cast.desk().connect());
        assert!(before.len() > 50, "there is little to change");
        Self {
            cast,
            spec: Spec::of_the_code(),
            before,
            wrong: Vec::new(),
            calls: 0,
        }
    }

    /// Operations with a body, each with one that is right and the path it is sent to.
    fn forms(&self) -> Vec<(Operation, Value, String)> {
        let all = self.spec.operations().into_iter();
        all.filter_map(|operation| {
            let body = self.spec.example(&operation, &self.cast)?;
            let path = self.cast.path(&operation);
            Some((operation, body, path))
        })
        .collect()
    }

    fn call(&self, operation: &Operation, path: &str) -> reqwest::RequestBuilder {
        operation.call(self.cast.operator(), path)
    }

    /// Sends a body as it is.
    async fn send(&mut self, operation: &Operation, body: impl Into<reqwest::Body>) -> Reply {
        self.calls += 1;
        let call = self.call(operation, &self.cast.path(operation));
        Reply::of(call.header("content-type", "application/json").body(body)).await
    }

    /// Notes an answer that is not a problem with one of these statuses; says whether it was one.
    fn expect(&mut self, what: &str, reply: &Reply, statuses: &[u16]) -> bool {
        let is_problem = reply.header("content-type") == Some("application/problem+json")
            && reply.body["status"] == reply.status
            && reply.body["code"].is_string()
            && reply.body["detail"].is_string()
            && reply.body["request_id"].as_str() == reply.header("x-request-id");
        let fits = is_problem && statuses.contains(&reply.status);
        if !fits {
            let body: String = reply.body.to_string().chars().take(300).collect();
            self.wrong.push(format!(
                "{what}: {} instead of {statuses:?}: {body}",
                reply.status
            ));
        }
        fits
    }

    /// The same for one field that is wrong: 422 with its pointer.
    fn expect_field(&mut self, what: &str, reply: &Reply, pointer: &str) {
        if !self.expect(what, reply, &[422]) {
            return;
        }
        let errors = reply.body["errors"].as_array().into_iter().flatten();
        let pointers: Vec<_> = errors
            .map(|error| error["pointer"].as_str().unwrap_or("?"))
            .collect();
        if !pointers.contains(&pointer) {
            self.wrong.push(format!(
                "{what}: names {pointers:?} instead of {pointer:?}: {}",
                reply.body
            ));
        }
    }

    /// Everything was refused, and nothing is other than it was.
    fn end(self, at_least: usize) {
        let count = self.wrong.len();
        let shown = self.wrong.iter().take(60).cloned().collect::<Vec<_>>().join("\n");
        assert!(
            self.wrong.is_empty(),
            "{count} of {} calls are not refused as they should:\n{shown}",
            self.calls
        );
        assert!(self.calls >= at_least, "only {} calls were made", self.calls);
        let after = kept(&mut self.cast.desk().connect());
        let changed: Vec<_> = after
            .iter()
            .filter(|row| !self.before.contains(row))
            .take(10)
            .collect();
        assert!(
            self.before == after,
            "what was refused has changed something: {changed:#?}"
        );
    }
}

/// What is kept, but for the counts of failed attempts and refusals, and their events: that is what they are for.
fn kept(conn: &mut Connection) -> Vec<String> {
    let mut rows = contents(conn);
    let is_refusal = |row: &str| row.contains("access_refused") || row.contains("sign_in_refused");
    rows.retain(|row| {
        let is_count = row.starts_with("sign_in_attempts: ") || row.starts_with("refusal_counts: ");
        !(is_count || row.starts_with("events: ") && is_refusal(row))
    });
    rows
}

/// One place in a body.
struct Place {
    pointer: String,
    name: String,
    kind: Kind,
    nullable: bool,
    /// Properties that must be there.
    required: Vec<String>,
    /// Whether it takes whatever names, as a map does.
    is_map: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Object,
    List,
    Text,
    /// A text that must be one of a few, or of a form.
    Word,
    Flag,
    Whole,
}

/// Every place of a body, from the outside in.
fn places(spec: &Spec, schema: &Value, body: &Value, pointer: &str, name: &str) -> Vec<Place> {
    let (shape, nullable) = spec.shape(schema);
    let mut required = Vec::new();
    let mut is_map = false;
    let mut below = Vec::new();
    let kind = match shape {
        Shape::Object(schema) => {
            is_map = schema["additionalProperties"].is_object();
            let names = schema["required"].as_array().into_iter().flatten();
            required.extend(names.map(|name| name.as_str().unwrap().to_owned()));
            for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                // The last of the rules is for everything: what it leaves out is not looked at.
                if let Some(value) = body.get(name) {
                    below.extend(places(spec, schema, value, &format!("{pointer}/{name}"), name));
                }
            }
            Kind::Object
        }
        Shape::List(items) => {
            for (index, item) in body.as_array().into_iter().flatten().enumerate() {
                below.extend(places(spec, items, item, &format!("{pointer}/{index}"), name));
            }
            Kind::List
        }
        Shape::Text => Kind::Text,
        Shape::Word(_) | Shape::Id | Shape::Time | Shape::Date => Kind::Word,
        Shape::Flag => Kind::Flag,
        Shape::Whole => Kind::Whole,
        Shape::Number | Shape::Anything => panic!("no body has a number or anything at {pointer}"),
    };
    let here = Place {
        pointer: pointer.to_owned(),
        name: name.to_owned(),
        kind,
        nullable,
        required,
        is_map,
    };
    std::iter::once(here).chain(below).collect()
}

/// The body with another value in one place.
pub fn with(body: &Value, pointer: &str, value: Value) -> Value {
    let mut body = body.clone();
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

fn all_places(walk: &Walk, operation: &Operation, body: &Value) -> Vec<Place> {
    places(&walk.spec, operation.body.as_ref().unwrap(), body, "", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_json_is_400_and_what_is_not_the_form_is_422() {
    let mut walk = Walk::begin().await;
    for (operation, body, _) in walk.forms() {
        let name = operation.name();
        let whole = body.to_string();
        let cut = whole[..whole.len() - 1].to_owned();
        let not_utf8 = [b"{\"\xff\xfe".as_slice(), b"\": 1}"].concat();
        let unreadable: [Vec<u8>; 9] = [
            b"not json".to_vec(),
            b"{".to_vec(),
            b"{\"".to_vec(),
            b"\0".to_vec(),
            b"{'a': 1}".to_vec(),
            b"\xef\xbb\xbf{}".to_vec(),
            not_utf8,
            cut.into_bytes(),
            format!("{whole} {whole}").into_bytes(),
        ];
        for bytes in unreadable {
            let shown = String::from_utf8_lossy(&bytes)
                .chars()
                .take(40)
                .collect::<String>();
            let reply = walk.send(&operation, bytes).await;
            walk.expect(&format!("{name} {shown:?}"), &reply, &[400]);
        }
        for other in ["[]", "[[]]", "[{}]", "\"text\"", "7", "-1e400", "null", "true"] {
            let reply = walk.send(&operation, other).await;
            let what = format!("{name} {other}");
            if other == "-1e400" {
                walk.expect(&what, &reply, &[400, 422]);
            } else {
                walk.expect_field(&what, &reply, "");
            }
        }
        let is_needed = !all_places(&walk, &operation, &body)[0].required.is_empty();
        if is_needed {
            let reply = walk.send(&operation, "").await;
            walk.expect(&format!("{name} without a body"), &reply, &[422]);
        }
        // Deep, wide and all but endless.
        let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
        let first = body
            .as_object()
            .unwrap()
            .keys()
            .next()
            .cloned()
            .unwrap_or("x".to_owned());
        let in_a_field = format!("{{\"{first}\":{}}}", deep("[", "]"));
        for deep in [deep("[", "]"), deep("{\"a\":", "}"), deep("[", ""), in_a_field] {
            let reply = walk.send(&operation, deep).await;
            walk.expect(&format!("{name} deep"), &reply, &[400, 422]);
        }
    }
    walk.end(700);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_a_wrong_type_missing_or_unknown_is_named() {
    let mut walk = Walk::begin().await;
    for (operation, body, _) in walk.forms() {
        for place in all_places(&walk, &operation, &body) {
            let Place { pointer, kind, .. } = &place;
            let what = format!("{} {pointer}", operation.name());
            for value in wrong_types(&place) {
                let wrong = with(&body, pointer, value.clone());
                let reply = walk.send(&operation, wrong.to_string()).await;
                walk.expect_field(&format!("{what}={value}"), &reply, pointer);
            }
            if *kind != Kind::Object || place.is_map {
                continue;
            }
            let mut more = body.clone();
            more.pointer_mut(pointer).unwrap()["surplus"] = json!(1);
            let reply = walk.send(&operation, more.to_string()).await;
            walk.expect_field(
                &format!("{what} with something unknown"),
                &reply,
                &format!("{pointer}/surplus"),
            );
            for name in &place.required {
                let mut less = body.clone();
                less.pointer_mut(pointer)
                    .unwrap()
                    .as_object_mut()
                    .unwrap()
                    .remove(name);
                let reply = walk.send(&operation, less.to_string()).await;
                walk.expect_field(
                    &format!("{what} without {name}"),
                    &reply,
                    &format!("{pointer}/{name}"),
                );
            }
        }
        // Twice the same name.
        if let Some((name, value)) = body.as_object().unwrap().iter().next() {
            let twice = body
                .to_string()
                .replacen('{', &format!("{{\"{name}\":{value},"), 1);
            let reply = walk.send(&operation, twice).await;
            walk.expect(&format!("{} {name} twice", operation.name()), &reply, &[422]);
        }
    }
    walk.end(500);
}

/// Values that no such place takes.
fn wrong_types(place: &Place) -> Vec<Value> {
    let all = [
        json!(null),
        json!(true),
        json!(7),
        json!(7.5),
        json!("text"),
        json!([]),
        json!([[]]),
        json!({}),
    ];
    let fits = |value: &Value| match place.kind {
        _ if value.is_null() => place.nullable,
        Kind::Object => value.is_object(),
        Kind::List => value.is_array() && *value != json!([[]]),
        Kind::Text => value.is_string(),
        Kind::Word => false,
        Kind::Flag => value.is_boolean(),
        Kind::Whole => value.is_i64(),
    };
    // The outermost one is looked at elsewhere; an item that is wrong is named by its own pointer.
    let skip = |value: &Value| {
        place.pointer.is_empty() || (matches!(place.kind, Kind::List | Kind::Object) && *value == json!([[]]))
    };
    all.into_iter()
        .filter(|value| !fits(value) && !skip(value))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_text_that_is_empty_endless_or_has_control_characters_is_named() {
    let mut walk = Walk::begin().await;
    let endless = "x".repeat(100_000);
    for (operation, body, _) in walk.forms() {
        for place in all_places(&walk, &operation, &body) {
            if !matches!(place.kind, Kind::Text | Kind::Word) {
                continue;
            }
            let is_of_lines = ["body", "description"].contains(&place.name.as_str());
            let mut texts = vec![
                "",
                "   ",
                endless.as_str(),
                "a nul \u{0} in it all",
                "a separator \u{2028} in it",
                "turned \u{202e} around in it",
                "\u{feff}begins with a mark",
                "an escape \u{1b}[2J in it",
            ];
            if !is_of_lines {
                texts.extend([
                    "a line\r\nBcc: eve@evil.example",
                    "a line\nand another",
                    "a\tb and c and d",
                ]);
            }
            for text in texts {
                let shown: String = text.chars().take(24).collect();
                let what = format!("{} {}={shown:?}", operation.name(), place.pointer);
                let wrong = with(&body, &place.pointer, json!(text));
                let reply = walk.send(&operation, wrong.to_string()).await;
                if operation.id == "login" && place.kind == Kind::Text && [401, 429].contains(&reply.status) {
                    // Whoever signs in is not told what is wrong with it.
                    walk.expect(&what, &reply, &[401, 429]);
                } else {
                    walk.expect_field(&what, &reply, &place.pointer);
                }
            }
            // Half a surrogate pair is no text at all.
            let half = with(&body, &place.pointer, json!("HALF"))
                .to_string()
                .replace("HALF", "\\ud800");
            let reply = walk.send(&operation, half).await;
            walk.expect(
                &format!("{} {} half", operation.name(), place.pointer),
                &reply,
                &[400, 422],
            );
        }
    }
    walk.end(700);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_large_encoded_or_not_json_by_name_are_refused() {
    let mut walk = Walk::begin().await;
    for (operation, body, path) in walk.forms() {
        let name = operation.name();
        let large = format!("{body}{}", " ".repeat(MIB + 1 - body.to_string().len()));
        let reply = walk.send(&operation, large).await;
        walk.expect(&format!("{name} of 1 MiB and one byte"), &reply, &[413]);
        for encoding in ["gzip", "br", "deflate", "zstd", "gzip, identity", "GZIP", "x"] {
            walk.calls += 1;
            let call = walk
                .call(&operation, &path)
                .header("content-encoding", encoding)
                .json(&body);
            let reply = Reply::of(call).await;
            walk.expect(&format!("{name} as {encoding}"), &reply, &[415]);
        }
        let types = [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "application/xml",
            "json",
            "",
        ];
        for media in types {
            walk.calls += 1;
            let call = walk
                .call(&operation, &path)
                .header("content-type", media)
                .body(body.to_string());
            let reply = Reply::of(call).await;
            walk.expect(&format!("{name} as {media:?}"), &reply, &[415]);
        }
        walk.calls += 1;
        let reply = Reply::of(walk.call(&operation, &path).body(body.to_string())).await;
        walk.expect(&format!("{name} without a content type"), &reply, &[415]);
    }
    walk.end(500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_exactly_1_mib_is_read() {
    let desk = TestDesk::open().await;
    let form = json!({"slug": "sign-in", "name": "Sign-in"}).to_string();
    let padded = format!("{form}{}", " ".repeat(MIB - form.len()));
    let call = desk
        .operator
        .call(Method::POST, "/v1/services")
        .header("content-type", "application/json");
    Reply::of(call.body(padded)).await.created();
    let call = desk
        .operator
        .call(Method::POST, "/v1/regions")
        .header("content-type", "application/json; charset=utf-8");
    Reply::of(call.header("content-encoding", "identity").body(form))
        .await
        .created();
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_are_unknown_or_no_ids_at_all_are_404() {
    let mut walk = Walk::begin().await;
    let long = "x".repeat(5000);
    let ids = [
        "01980000-0000-7000-8000-000000000000",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "01980000-0000-7000-8000-00000000000",
        "01980000-0000-7000-8000-0000000000000",
        "1",
        "-1",
        "null",
        "no-id",
        "SR-0000000000",
        "%00",
        "a%00b",
        "%0d%0aSet-Cookie:%20x",
        "%e2%80%a8",
        "%ff%fe",
        "%f0%9f%99%82",
        "%27%20OR%201=1--",
        "%252e%252e%252f",
        "%2e%2e%2f",
        "%",
        "%zz",
        long.as_str(),
    ];
    for operation in walk.spec.operations() {
        if !operation.has_id() {
            continue;
        }
        let body = walk.spec.example(&operation, &walk.cast);
        // Sets of policies have numbers.
        let numbered = operation.id == "read_policy_set";
        for id in ids.into_iter().filter(|id| !numbered || *id != "1") {
            walk.calls += 1;
            let call = walk.call(&operation, &operation.template.replace("{id}", id));
            let call = body.iter().fold(call, |call, body| call.json(body));
            let shown: String = id.chars().take(40).collect();
            let reply = Reply::of(call).await;
            walk.expect(&format!("{} {shown}", operation.name()), &reply, &[404]);
        }
        // A reference with a control character, and one of nobody.
        let known = walk.cast.path(&operation);
        for tail in ["%00", "%0a", "x"] {
            walk.calls += 1;
            let id = walk.cast.id(&operation.template);
            let call = walk.call(&operation, &known.replace(&id, &format!("{id}{tail}")));
            let reply = Reply::of(body.iter().fold(call, |call, body| call.json(body))).await;
            walk.expect(
                &format!("{} with {tail} after its id", operation.name()),
                &reply,
                &[404],
            );
        }
    }
    walk.end(700);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_in_bodies_that_nobody_has_are_refused() {
    let mut walk = Walk::begin().await;
    let nobody = json!("01980000-0000-7000-8000-000000000000");
    let mut ids = 0;
    for (operation, body, _) in walk.forms() {
        for place in all_places(&walk, &operation, &body) {
            let is_id = place.kind == Kind::Word
                && (place.name.ends_with("_id")
                    || ["members", "follows", "follow_up_of"].contains(&place.name.as_str()));
            if !is_id {
                continue;
            }
            ids += 1;
            let wrong = with(&body, &place.pointer, nobody.clone());
            let reply = walk.send(&operation, wrong.to_string()).await;
            let what = format!("{} {} of nobody", operation.name(), place.pointer);
            if operation.id == "login" {
                walk.expect(&what, &reply, &[401]);
            } else if place.pointer.starts_with("/filter/") {
                // Nothing is found by it.
                assert_eq!(reply.body["retried"], 0, "{what}");
            } else if !walk.expect(&what, &reply, &[404, 409, 422]) || reply.status == 422 {
                walk.expect_field(&what, &reply, &place.pointer);
            }
        }
    }
    assert!(ids >= 12, "only {ids} ids were found in bodies");
    walk.end(12);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_another_tenant_is_answered_like_what_does_not_exist() {
    let mut walk = Walk::begin().await;
    let desk = walk.cast.desk();
    let viewer = desk
        .member("vera", "tenant_viewer", &walk.cast.stage.adatum)
        .await;
    walk.before = kept(&mut desk.connect());
    let (mut seen, eva) = (BTreeSet::new(), walk.cast.stage.eva.clone());
    let without_id = |reply: &Reply| {
        let mut body = reply.body.clone();
        body.as_object_mut().unwrap().remove("request_id");
        (reply.status, body)
    };
    for operation in walk.spec.operations() {
        if !operation.has_id() {
            continue;
        }
        // The body without what only staff may send.
        let body = walk.spec.example(&operation, &walk.cast);
        let name = operation.name();
        for user in [&eva, &viewer] {
            let call = |path: String| {
                let call = operation.call(user, &path);
                Reply::of(body.iter().fold(call, |call, body| call.json(body)))
            };
            let foreign = call(walk.cast.path(&operation)).await;
            let below = walk.cast.below(&operation.template);
            let nobody = below.replace("{id}", "01980000-0000-7000-8000-000000000000");
            let unknown = call(nobody).await;
            walk.calls += 2;
            walk.expect(&format!("{name} of another tenant"), &foreign, &[404, 403]);
            if without_id(&foreign) != without_id(&unknown) {
                walk.wrong.push(format!(
                    "{name} tells them apart: {} {}",
                    foreign.body, unknown.body
                ));
            }
            seen.insert(foreign.status);
            let reference = walk.cast.request["reference"].as_str().unwrap();
            if operation.template.starts_with("/v1/service-requests/") && foreign.status == 404 {
                let by_reference = call(below.replace("{id}", reference)).await;
                walk.expect(&format!("{name} by its reference"), &by_reference, &[404]);
            }
        }
    }
    assert!(seen.contains(&404));
    // Nor in a body: the incident is not theirs, nor is the tenant, nor the request that this one would follow.
    let form = |incident: &Value, more: Value| {
        let mut form = json!({"incident_id": incident, "severity": "b", "subject": "x", "description": "x",
            "service": "exchange-online", "region": "europe"});
        form.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        form
    };
    let (incident, request, tenant) = (
        &walk.cast.incident["id"],
        &walk.cast.request["id"],
        &walk.cast.stage.contoso["id"],
    );
    let null = Value::Null;
    let replies = [
        (
            "the incident",
            eva.post("/v1/service-requests", form(incident, json!({}))).await,
            409,
        ),
        (
            "the tenant",
            eva.post("/v1/service-requests", form(&null, json!({"tenant_id": tenant})))
                .await,
            422,
        ),
        (
            "the request",
            eva.post(
                "/v1/service-requests",
                form(&null, json!({"follow_up_of": request})),
            )
            .await,
            422,
        ),
        (
            "the tenant of a user",
            eva.post(
                "/v1/users",
                json!({"email": "x@adatum.example", "name": "x",
            "role": "tenant_viewer", "password": crate::desk::PASSWORD, "tenant_id": tenant}),
            )
            .await,
            422,
        ),
        (
            "the tenant in a filter",
            eva.get(&format!(
                "/v1/service-requests?tenant_id={}",
                tenant.as_str().unwrap()
            ))
            .await,
            400,
        ),
    ];
    for (what, reply, status) in &replies {
        walk.expect(what, reply, &[*status]);
    }
    assert!(
        !replies[0].1.body.to_string().contains("intermittently"),
        "{}",
        replies[0].1.body
    );
    walk.end(100);
}

#[tokio::test(flavor = "multi_thread")]
async fn query_parameters_that_are_unknown_repeated_or_wrong_are_400() {
    let mut walk = Walk::begin().await;
    for operation in walk.spec.operations() {
        // What comes back from an identity provider is its to say, and what it adds is passed over (RFC 6749 §4.1.2).
        if !operation.template.starts_with("/v1/") || operation.id == "finish_sso" {
            continue;
        }
        let path = walk.cast.path(&operation);
        let body = walk.spec.example(&operation, &walk.cast);
        let mut queries: Vec<String> = [
            "surplus=1",
            "surplus",
            "Limit=5",
            "%00=1",
            "limit%00=1",
            "a%5Bb%5D=1",
        ]
        .map(str::to_owned)
        .to_vec();
        let mut named = Vec::new();
        for (name, schema) in &operation.query {
            let mut values = vec!["%00", "a%00b", "%0d%0a", "%ff%fe", "%e2%80%a8"];
            if !matches!(walk.spec.shape(schema).0, Shape::Whole) {
                values.push("");
            }
            values.extend(match (walk.spec.shape(schema).0, name.as_str()) {
                (Shape::Whole, "limit") => vec![
                    "0",
                    "201",
                    "abc",
                    "-1",
                    "",
                    "1e2",
                    "1.5",
                    "+",
                    "99999999999999999999",
                ],
                (Shape::Id, _) => vec!["1", "no-id", "01980000-0000-7000-8000-00000000000x"],
                (Shape::Time, _) => vec![
                    "yesterday",
                    "2010-09-07",
                    "2010-13-07T18:00:00Z",
                    "999999999999-01-01T00:00:00Z",
                ],
                (Shape::Flag, _) => vec!["maybe", "2"],
                (Shape::Word(_), _) => vec!["nowhere", "SENT"],
                (Shape::Text, "status" | "severity") => {
                    vec!["nowhere", "queued,nowhere", ",", "QUEUED", "resolved,"]
                }
                (Shape::Text, "cursor") => {
                    vec!["x", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "!!", "e30", "%2e"]
                }
                (Shape::Text, "locale") => vec!["d", "de_CH", "%25"],
                (Shape::Text, "time_zone") => vec!["Mars/Base", "utc%2B1", "%2e%2e"],
                (Shape::Text, "language") => vec!["d", "de_CH", "%25"],
                (Shape::Text, "service" | "region" | "skill") => vec!["Sign-in", "a_b", "%27", "a,b"],
                (Shape::Text, "by") => vec!["weather", "clock,", "clock,clock", "CLOCK", "clock%2C%20day"],
                (Shape::Text, "recipient" | "address") => vec!["nobody", "a@b@c", "%3Cscript%3E"],
                (Shape::Text, "name") => vec!["%20", "a%09b", "%C3"],
                (Shape::Text, "error") => vec!["x%00", "%20"],
                other => panic!("which values does {} not take? {other:?}", operation.name()),
            });
            named.extend(
                values
                    .iter()
                    .map(|value| (name.clone(), format!("{name}={value}"))),
            );
            queries.push(format!("{name}=1&{name}=1"));
        }
        let all = queries
            .into_iter()
            .map(|query| (String::new(), query))
            .chain(named);
        for (name, query) in all {
            walk.calls += 1;
            let call = walk.call(&operation, &format!("{path}?{query}"));
            let reply = Reply::of(body.iter().fold(call, |call, body| call.json(body))).await;
            let what = format!("{} ?{query}", operation.name());
            let detail = reply.body["detail"].as_str().unwrap_or_default();
            if walk.expect(&what, &reply, &[400]) && !detail.contains(&name) {
                walk.wrong.push(format!("{what} is not told which one: {detail}"));
            }
        }
    }
    walk.end(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_ends_before_it_begins_or_has_no_end_is_400() {
    let mut walk = Walk::begin().await;
    let queue = walk.cast.queue["id"].as_str().unwrap().to_owned();
    for query in [
        "from=2010-09-07T18:00:00Z&to=2010-09-07T18:00:00Z",
        "from=2010-09-08T18:00:00Z&to=2010-09-07T18:00:00Z",
        "from=2010-09-08T18:00:00Z&to=2030-09-07T18:00:00Z",
        "from=9999-12-31T23:59:59Z",
        "from=%2B262142-12-31T23:59:59Z",
        "from=-262143-01-01T00:00:00Z",
        "to=0001-01-01T00:00:00Z",
    ] {
        let reply = walk
            .cast
            .operator()
            .get(&format!("/v1/queues/{queue}/coverage?{query}"))
            .await;
        // The year 9999 is only far away.
        if !(query.starts_with("from=9999") && reply.status == 200) {
            walk.expect(query, &reply, &[400]);
        }
    }
    walk.end(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_its_own_list_and_its_own_caller_only() {
    let mut walk = Walk::begin().await;
    let otto = walk.cast.desk().staff("otto", "operator").await;
    walk.before = kept(&mut walk.cast.desk().connect());
    let lists: Vec<_> = walk
        .spec
        .operations()
        .into_iter()
        .filter(Operation::is_list)
        .collect();
    assert!(lists.len() >= 12, "only {} lists were found", lists.len());
    let mut cursors: Vec<(String, String)> = Vec::new();
    let operator = walk.cast.operator().clone();
    for list in &lists {
        let path = walk.cast.path(list);
        let page = walk.cast.operator().get(&format!("{path}?limit=1")).await.ok();
        let cursor = page["next_cursor"]
            .as_str()
            .unwrap_or_else(|| panic!("{path} has one item only: {page}"));
        let next = walk
            .cast
            .operator()
            .get(&format!("{path}?limit=2&cursor={cursor}"))
            .await
            .ok();
        let items = next["items"].as_array().unwrap();
        assert!(
            !items.is_empty() && !items.contains(&page["items"][0]),
            "{path}: {next}"
        );
        cursors.push((path, cursor.to_owned()));
    }
    for (at, (path, cursor)) in cursors.iter().enumerate() {
        let (other, _) = &cursors[(at + 1) % cursors.len()];
        let mut bent = cursor.clone().into_bytes();
        bent[3] = if bent[3] == b'A' { b'B' } else { b'A' };
        let bent = String::from_utf8(bent).unwrap();
        let cut = &cursor[..cursor.len() - 2];
        let long = cursor.repeat(200);
        for (user, what, address) in [
            (&operator, "of another list", format!("{other}?cursor={cursor}")),
            (&otto, "of another caller", format!("{path}?cursor={cursor}")),
            (&operator, "bent", format!("{path}?cursor={bent}")),
            (&operator, "cut", format!("{path}?cursor={cut}")),
            (&operator, "padded", format!("{path}?cursor={cursor}=")),
            (&operator, "long", format!("{path}?cursor={long}")),
        ] {
            let reply = user.get(&address).await;
            walk.calls += 1;
            if walk.expect(&format!("{path} {what}"), &reply, &[400])
                && reply.body["code"] != "invalid-cursor"
            {
                walk.wrong.push(format!("{path} {what}: {}", reply.body));
            }
        }
    }
    // Nor for the same list with other filters.
    let (_, cursor) = cursors
        .iter()
        .find(|(path, _)| path == "/v1/service-requests")
        .unwrap();
    for filter in ["open=true", "severity=b", "status=queued", "service=sign-in"] {
        let reply = walk
            .cast
            .operator()
            .get(&format!("/v1/service-requests?{filter}&cursor={cursor}"))
            .await;
        walk.expect(filter, &reply, &[400]);
    }
    walk.end(60);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_cannot_be_read_are_400() {
    let mut walk = Walk::begin().await;
    let long = "k".repeat(256);
    for (operation, body, path) in walk.forms() {
        if OPEN.contains(&operation.id.as_str()) {
            continue;
        }
        for value in ["3", "\"3", "abc", "\"3\", 4", "\"3\"; \"4\"", "W/3"] {
            walk.calls += 1;
            let call = walk
                .cast
                .operator()
                .call(operation.method.clone(), &path)
                .header("if-match", value);
            let reply = Reply::of(call.json(&body)).await;
            walk.expect(&format!("{} If-Match: {value}", operation.name()), &reply, &[400]);
        }
        let keys: [&[u8]; 5] = [b"", long.as_bytes(), b"gr\xc3\xbc\xc3\x9fe", b"\xff", b"a\tb"];
        for key in keys {
            walk.calls += 1;
            let value = reqwest::header::HeaderValue::from_bytes(key).unwrap();
            let reply = Reply::of(
                walk.call(&operation, &path)
                    .header("idempotency-key", value)
                    .json(&body),
            )
            .await;
            walk.expect(
                &format!("{} Idempotency-Key: {key:?}", operation.name()),
                &reply,
                &[400],
            );
        }
        let tokens: [&[u8]; 5] = [
            b"Bearer",
            b"Bearer ",
            b"Basic b3BlcmF0b3I6cGFzc3dvcmQ=",
            b"Bearer \xff",
            b"bearer a.b.c",
        ];
        for token in tokens {
            walk.calls += 1;
            let value = reqwest::header::HeaderValue::from_bytes(token).unwrap();
            let stranger = walk.cast.desk().stranger();
            let reply = Reply::of(
                operation
                    .call(&stranger, &path)
                    .header("authorization", value)
                    .json(&body),
            )
            .await;
            walk.expect(&format!("{} {token:?}", operation.name()), &reply, &[401]);
        }
        let long_token = walk.cast.desk().with_token(&"t".repeat(60_000));
        let reply = Reply::of(operation.call(&long_token, &path).json(&body)).await;
        walk.expect(&format!("{} with a long token", operation.name()), &reply, &[401]);
    }
    walk.end(500);
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_and_paths_that_there_are_not_are_405_with_the_ones_there_are_and_404() {
    let mut walk = Walk::begin().await;
    let operations = walk.spec.operations();
    let templates: BTreeSet<_> = operations
        .iter()
        .map(|operation| operation.template.clone())
        .collect();
    for template in &templates {
        let of_it: Vec<_> = operations
            .iter()
            .filter(|operation| operation.template == *template)
            .collect();
        let path = walk.cast.path(of_it[0]);
        let mut there: BTreeSet<_> = of_it
            .iter()
            .map(|operation| operation.method.to_string())
            .collect();
        if there.contains("GET") {
            there.insert("HEAD".to_owned());
        }
        for method in [
            "GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "BREW", "get",
        ] {
            if there.contains(method) {
                continue;
            }
            walk.calls += 1;
            let user = if template.len() % 2 == 0 {
                walk.cast.operator().clone()
            } else {
                walk.cast.desk().stranger()
            };
            let reply = Reply::of(user.call(method.parse().unwrap(), &path).json(&json!({}))).await;
            walk.expect(&format!("{method} {template}"), &reply, &[405]);
            let allow = reply.header("allow").unwrap_or_default();
            let allowed: BTreeSet<_> = allow.split(", ").map(str::to_owned).collect();
            if allowed != there {
                walk.wrong.push(format!(
                    "{method} {template} allows {allow:?} instead of {there:?}"
                ));
            }
        }
        for path in [
            format!("{path}/"),
            format!("{path}/surplus"),
            format!("/{path}"),
            format!("{path}%00"),
            path.to_uppercase(),
        ] {
            walk.calls += 1;
            let reply = walk.cast.operator().get(&path).await;
            // One more piece may be an id, where there is one of that kind.
            walk.expect(&format!("GET {path}"), &reply, &[404, 405]);
            if reply.status == 405 && !reply.headers.contains_key("allow") {
                walk.wrong
                    .push(format!("GET {path} does not say what is allowed"));
            }
        }
    }
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v2/incidents",
        "/v1/nowhere",
        "/index.php",
        "/.env",
        "/%00",
        "/%ff",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            walk.calls += 1;
            let reply = Reply::of(walk.cast.operator().call(method.clone(), path).json(&json!({}))).await;
            walk.expect(&format!("{method} {path}"), &reply, &[404]);
        }
    }
    walk.end(300);
}

/// Says something on a connection of its own, and reads until the other side is done or a while has passed.
async fn said(desk: &TestDesk, bytes: &[u8]) -> String {
    let address = desk.url().trim_start_matches("http://").to_owned();
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let _ = socket.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = async {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = socket.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..length]);
            // One answer is enough; what it says is short.
            if answer.windows(4).any(|end| end == b"\r\n\r\n") {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(20), read).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn status_of(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_on_the_wire_is_refused_and_the_server_stands() {
    let mut walk = Walk::begin().await;
    let desk = walk.cast.desk();
    let token = &walk.cast.operator().token;
    let form = json!({"slug": "noise", "name": "Noise"}).to_string();
    let head = format!(
        "POST /v1/services HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n"
    );
    let chunk = |body: &str| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let many = "x-surplus: 1\r\n".repeat(5000);
    let cases: Vec<(&str, Vec<u8>, &[u16])> = vec![
        (
            "a chunked body that is encoded",
            format!(
                "{head}transfer-encoding: chunked\r\ncontent-encoding: gzip\r\n\r\n{}",
                chunk(&form)
            )
            .into(),
            &[415],
        ),
        (
            "an encoded transfer",
            format!("{head}transfer-encoding: gzip, chunked\r\n\r\n{}", chunk(&form)).into(),
            &[400, 415, 501],
        ),
        (
            "an endless chunked body",
            format!(
                "{head}transfer-encoding: chunked\r\n\r\n{}",
                chunk(&" ".repeat(MIB + 1))
            )
            .into(),
            &[413],
        ),
        (
            "a length that lies",
            format!("{head}content-length: 99999999999\r\n\r\n{form}").into(),
            &[413],
        ),
        (
            "a length that is none",
            format!("{head}content-length: -1\r\n\r\n{form}").into(),
            &[400],
        ),
        (
            "two lengths",
            format!(
                "{head}content-length: 1\r\ncontent-length: {}\r\n\r\n{form}",
                form.len()
            )
            .into(),
            &[400],
        ),
        (
            "a length and chunks",
            format!(
                "{head}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n{}",
                chunk(&form)
            )
            .into(),
            &[400],
        ),
        (
            "a chunk of no size",
            format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n{form}\r\n0\r\n\r\n").into(),
            &[400],
        ),
        (
            "no HTTP",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
            &[400],
        ),
        ("another protocol", b"EHLO mail.example\r\n\r\n".to_vec(), &[400]),
        (
            "a target with a blank",
            b"GET /v1/ services HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
            &[400, 404],
        ),
        (
            "a target with a nul",
            b"GET /v1/\0 HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
            &[400],
        ),
        (
            "a header with a nul",
            b"GET /v1/services HTTP/1.1\r\nhost: x\r\nx-request-id: a\0b\r\n\r\n".to_vec(),
            &[400],
        ),
        (
            "a header with a bare line end",
            format!("GET /v1/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\rx: y\r\n\r\n").into(),
            &[400, 401],
        ),
        (
            "a huge header",
            format!(
                "GET /v1/me HTTP/1.1\r\nhost: x\r\nx-huge: {}\r\n\r\n",
                "h".repeat(300_000)
            )
            .into(),
            &[400, 431],
        ),
        (
            "many headers",
            format!("GET /v1/me HTTP/1.1\r\nhost: x\r\n{many}\r\n").into(),
            &[400, 431],
        ),
        (
            "a huge target",
            format!("GET /v1/{} HTTP/1.1\r\nhost: x\r\n\r\n", "u".repeat(300_000)).into(),
            &[400, 404, 414, 431],
        ),
    ];
    let mut wrong = Vec::new();
    for (what, bytes, statuses) in cases {
        let answer = said(desk, &bytes).await;
        let short: String = answer.chars().take(200).collect();
        // A server that hangs up without a word has refused too, as long as it stands.
        if !statuses.contains(&status_of(&answer)) && !answer.is_empty() {
            wrong.push(format!("{what}: {short:?} instead of {statuses:?}"));
        }
        assert_eq!(
            desk.stranger().get("/healthz").await.status,
            200,
            "{what} has felled it"
        );
    }
    walk.wrong = wrong;
    walk.end(0);
}

/// The harness looks closely: it sees a change, and an answer that is no problem.
#[tokio::test(flavor = "multi_thread")]
async fn the_walk_would_see_a_change() {
    let mut walk = Walk::begin().await;
    let operator: User = walk.cast.operator().clone();
    let reply = operator.get("/v1/me").await;
    assert!(!walk.expect("me", &reply, &[200]));
    operator
        .post("/v1/services", json!({"slug": "new", "name": "New"}))
        .await
        .created();
    assert_ne!(walk.before, kept(&mut walk.cast.desk().connect()));
    walk.cast
        .desk()
        .sql("UPDATE services SET name = 'Newer' WHERE slug = 'new'");
    let after = kept(&mut walk.cast.desk().connect());
    assert!(
        after
            .iter()
            .any(|row| row.starts_with("services: ") && row.contains("Newer"))
    );
}
