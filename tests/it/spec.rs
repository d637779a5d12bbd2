//! The OpenAPI document: it is kept, it is whole, and what it says is what the server does. Other files walk it too.

use std::collections::BTreeSet;
use std::path::Path;

use allclear::db::Scope;
use allclear::identity::rights::OPEN;
use allclear::mail::{Delivery, DeliveryKind, Priority, Recipient};
use allclear::problem::Code;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::desk::{Reply, Stage, TestDesk, User, always_on, incident_form};

/// One call of the API.
pub struct Operation {
    pub id: String,
    pub method: Method,
    pub template: String,
    /// Names and schemas of its query parameters.
    pub query: Vec<(String, Value)>,
    /// The schema of its body.
    pub body: Option<Value>,
    pub whole: Value,
}

impl Operation {
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.template)
    }

    pub fn is_list(&self) -> bool {
        self.query.iter().any(|(name, _)| name == "cursor")
    }

    pub fn has_id(&self) -> bool {
        self.template.contains("{id}")
    }

    /// A call of it, with whatever precondition there is.
    pub fn call(&self, user: &User, path: &str) -> reqwest::RequestBuilder {
        user.call(self.method.clone(), path).header("if-match", "*")
    }
}

/// What a value may be.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape<'a> {
    Object(&'a Value),
    List(&'a Value),
    Text,
    Word(&'a [Value]),
    Id,
    Time,
    Date,
    Flag,
    Whole,
    Number,
    Anything,
}

/// The document.
pub struct Spec(pub Value);

impl Spec {
    pub fn of_the_code() -> Self {
        Self(serde_json::to_value(allclear::app::document()).unwrap())
    }

    /// Every operation there is.
    pub fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        for (template, methods) in self.0["paths"].as_object().unwrap() {
            for (method, whole) in methods.as_object().unwrap() {
                let parameters = whole["parameters"].as_array().into_iter().flatten();
                let query = parameters
                    .filter(|parameter| parameter["in"] == "query")
                    .map(|parameter| (text(&parameter["name"]), parameter["schema"].clone()))
                    .collect();
                let body = whole.pointer("/requestBody/content/application~1json/schema");
                operations.push(Operation {
                    id: text(&whole["operationId"]),
                    method: method.to_uppercase().parse().unwrap(),
                    template: template.clone(),
                    query,
                    body: body.cloned(),
                    whole: whole.clone(),
                });
            }
        }
        assert!(operations.len() > 50, "the document is nearly empty");
        operations
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(link) => self.resolve(self.0.pointer(link.trim_start_matches('#')).unwrap()),
            None => schema,
        }
    }

    /// What fits a schema, and whether `null` does too.
    pub fn shape<'a>(&'a self, schema: &'a Value) -> (Shape<'a>, bool) {
        let schema = self.resolve(schema);
        if let Some(choices) = schema["oneOf"].as_array() {
            let is_null = |choice: &&Value| choice["type"] == "null";
            let other = choices.iter().find(|choice| !is_null(choice)).unwrap();
            assert!(
                choices.len() == 2 && choices.iter().any(|choice| is_null(&choice)),
                "{schema}"
            );
            return (self.shape(other).0, true);
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().map(|one| one.as_str().unwrap()).collect(),
            _ => vec![],
        };
        let nullable = types.contains(&"null");
        let shape = match types.iter().find(|one| **one != "null") {
            Some(&"object") => Shape::Object(schema),
            Some(&"array") => Shape::List(&schema["items"]),
            Some(&"boolean") => Shape::Flag,
            Some(&"integer") => Shape::Whole,
            Some(&"number") => Shape::Number,
            Some(&"string") => match (schema["enum"].as_array(), schema["format"].as_str()) {
                (Some(words), _) => Shape::Word(words),
                (None, Some("uuid")) => Shape::Id,
                (None, Some("date-time")) => Shape::Time,
                (None, Some("date")) => Shape::Date,
                (None, None) => Shape::Text,
                (None, Some(format)) => panic!("an unknown format: {format}"),
            },
            Some(other) => panic!("an unknown type: {other}"),
            None => return (Shape::Anything, true),
        };
        (shape, nullable)
    }

    /// Everything in which a value is not as its schema says.
    pub fn misfits(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let (shape, nullable) = self.shape(schema);
        let fits = match &shape {
            Shape::Anything => true,
            _ if value.is_null() => nullable,
            Shape::Object(schema) => match value.as_object() {
                Some(object) => return self.misfits_of_object(schema, object, at),
                None => false,
            },
            Shape::List(items) => match value.as_array() {
                Some(list) => {
                    let each = list.iter().enumerate();
                    return each
                        .flat_map(|(index, item)| self.misfits(items, item, &format!("{at}/{index}")))
                        .collect();
                }
                None => false,
            },
            Shape::Text => value.is_string(),
            Shape::Word(words) => words.contains(value),
            Shape::Id => value.as_str().is_some_and(|id| uuid::Uuid::parse_str(id).is_ok()),
            Shape::Time => value.as_str().is_some_and(|time| {
                time.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(time).is_ok()
            }),
            Shape::Date => value
                .as_str()
                .is_some_and(|date| date.parse::<chrono::NaiveDate>().is_ok()),
            Shape::Flag => value.is_boolean(),
            Shape::Whole => value.is_i64(),
            Shape::Number => value.is_number(),
        };
        if fits {
            vec![]
        } else {
            vec![format!("{at}: {value} is no {shape:?}")]
        }
    }

    fn misfits_of_object(&self, schema: &Value, object: &Map<String, Value>, at: &str) -> Vec<String> {
        let mut misfits = Vec::new();
        for name in schema["required"].as_array().into_iter().flatten() {
            if !object.contains_key(name.as_str().unwrap()) {
                misfits.push(format!("{at}: {name} is not there"));
            }
        }
        let Some(properties) = schema["properties"].as_object() else {
            return misfits;
        };
        for (name, value) in object {
            match properties.get(name) {
                Some(schema) => misfits.extend(self.misfits(schema, value, &format!("{at}/{name}"))),
                None => misfits.push(format!("{at}: the document does not know `{name}`")),
            }
        }
        misfits
    }

    /// A body that is right, with everything in it that may be there.
    pub fn example(&self, operation: &Operation, cast: &Cast) -> Option<Value> {
        let example = self.example_of(operation.body.as_ref()?, "", cast).to_string();
        // Nobody is made twice.
        let whose = format!("{}@contoso.example", operation.id.replace('_', "-"));
        let mut example = example.replace("new@contoso.example", &whose);
        if operation.id == "change_queue" {
            // It leads to another one, and is called like no other.
            example = example.replace(&text(&cast.queue["id"]), &text(&cast.stage.queue["id"]));
            example = example.replace("\"Example\"", "\"Another example\"");
        }
        Some(serde_json::from_str(&example).unwrap())
    }

    fn example_of(&self, schema: &Value, name: &str, cast: &Cast) -> Value {
        match self.shape(schema).0 {
            // A shift has members or a rotation.
            Shape::List(_) if name == "members" => Value::Null,
            // The other one of a swap.
            Shape::Object(schema) if name == "second" => {
                json!({"person_id": cast.ben.id, "from": self.example_of(&schema["properties"]["from"], "from", cast),
                    "to": self.example_of(&schema["properties"]["to"], "to", cast)})
            }
            Shape::Object(schema) => {
                let properties = schema["properties"].as_object().into_iter().flatten();
                properties
                    .map(|(name, schema)| (name.clone(), self.example_of(schema, name, cast)))
                    .collect::<Map<_, _>>()
                    .into()
            }
            // The last rule is for everything.
            Shape::List(items) if name == "rules" => {
                let mut last = self.example_of(items, name, cast);
                last["when"] = json!({});
                last["queue_id"] = cast.stage.queue["id"].clone();
                json!([self.example_of(items, name, cast), last])
            }
            Shape::List(items) if name == "skills" => {
                let mut skill = self.example_of(items, name, cast);
                skill["name"] = json!("dns");
                json!([skill])
            }
            Shape::List(items) => json!([self.example_of(items, name, cast)]),
            // It leads on from an answer.
            Shape::Text if name == "cursor" => Value::Null,
            Shape::Text => json!(match name {
                "email" | "watchers" | "recipient" => "new@contoso.example",
                "slug" => "example",
                "service" | "services" => "exchange-online",
                "region" | "regions" => "north-america",
                "time_zone" => "UTC",
                "locale" | "language" => "en",
                "days" => "mon",
                "start" => "08:00",
                "end" => "17:00",
                "password" | "current_password" | "new_password" => crate::desk::PASSWORD,
                "telephone" => "+1 555 0100",
                "issuer" => "https://login.example",
                "audience" => "https://desk.example",
                "domains" => "contoso.example",
                "calendar" => "always",
                _ => "Example",
            }),
            Shape::Word(_) if name == "role" => json!("tenant_viewer"),
            Shape::Word(words) if words.contains(&json!("investigating")) => json!("investigating"),
            Shape::Word(words) => words[0].clone(),
            Shape::Id => match name {
                "teams" | "assignee_id" | "person_id" | "add" => json!(cast.stage.ada.id),
                "remove" => json!(cast.ben.id),
                "queue_id" | "fallback_queue_id" => cast.queue["id"].clone(),
                "incident_id" | "incident" | "follows" => cast.incident["id"].clone(),
                "of" => cast.other["id"].clone(),
                "event_id" => json!(cast.broadcast),
                "request_id" => cast.request["id"].clone(),
                "tenant_id" => cast.stage.contoso["id"].clone(),
                // It would have to be closed.
                "follow_up_of" => Value::Null,
                _ => panic!("an example is needed for {name}"),
            },
            Shape::Time if name == "started_at" || name == "from" => json!("2010-09-07T17:00:00Z"),
            Shape::Time => json!("2010-09-08T18:00:00Z"),
            Shape::Date if name == "valid_until" => json!("2010-12-31"),
            Shape::Date => json!("2010-09-07"),
            Shape::Flag => json!(false),
            Shape::Whole => json!(1),
            Shape::Number => json!(1.5),
            Shape::Anything => Value::Null,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A desk on which every list has two items or more, and every `{id}` somebody to stand for it.
pub struct Cast {
    pub stage: Stage,
    pub incident: Value,
    /// What another incident turns out to be.
    other: Value,
    pub request: Value,
    pub queue: Value,
    /// Another one of the queue.
    pub ben: User,
    broadcast: String,
    delivery: String,
    user: String,
    key: String,
    session: String,
    provider: String,
    calendar: String,
    suppression: String,
    /// What stands for the ids below a queue.
    roster: Vec<(&'static str, String)>,
}

/// Two of everything that changes who works in a queue; the first ones are named.
async fn roster(stage: &Stage, queue: &Value, ben: &User) -> Vec<(&'static str, String)> {
    let desk = &stage.desk;
    // Whoever is away from one queue is away from the other, where nobody else is.
    let path = format!("/v1/queues/{}/waivers", text(&stage.queue["id"]));
    let form = json!({"until": "2010-11-01T00:00:00Z", "reason": "Everybody may leave."});
    desk.operator.post(&path, form).await.created();
    let (from, to) = ("2010-10-01T00:00:00Z", "2010-10-02T00:00:00Z");
    let kinds = [
        (
            "absence_id",
            "absences",
            json!({"person_id": stage.ada.id, "from": from, "to": to}),
        ),
        (
            "override_id",
            "overrides",
            json!({"remove": ben.id, "from": from, "to": to}),
        ),
        (
            "waiver_id",
            "waivers",
            json!({"until": to, "reason": "The move."}),
        ),
    ];
    let mut ids = Vec::new();
    for (name, kind, form) in kinds {
        let path = format!("/v1/queues/{}/{kind}", text(&queue["id"]));
        let first = desk.operator.post(&path, form.clone()).await.created();
        desk.operator.post(&path, form).await.created();
        ids.push((name, text(&first["id"])));
    }
    ids
}

/// Two files of a request; the first one's id.
pub async fn attached(who: &User, request: &Value) -> String {
    let path = format!("/v1/service-requests/{}/attachments", text(&request["id"]));
    let mut ids = Vec::new();
    for name in ["log.txt", "more.txt"] {
        let call = who.call(Method::POST, &format!("{path}?name={name}"));
        let added = Reply::of(call.body("it is down")).await.created();
        ids.push(text(&added["id"]));
    }
    ids.remove(0)
}

/// Two addresses of a tenant that take no mail; the first one's id.
pub async fn suppressed(desk: &TestDesk, tenant: String) -> String {
    let now = desk.clock.now().into();
    let (tenant, event) = (tenant.parse().unwrap(), allclear::db::Id::at(now));
    let make = desk.running().db.write(Scope::of_system(), move |conn| {
        for name in ["gone", "left"] {
            let to = Recipient {
                tenant_id: tenant,
                email: format!("{name}@contoso.example"),
                name: name.to_owned(),
                locale: "en".to_owned(),
                time_zone: "UTC".to_owned(),
            };
            let row = Delivery::new(event, DeliveryKind::RequestReceived, to, Priority::Request, now);
            allclear::mail::suppressions::suppress(conn, &row, "550 no such user", now)?;
        }
        Ok(())
    });
    make.await.unwrap();
    let list = desk.operator.get("/v1/suppressions").await.ok();
    text(&list["items"][0]["id"])
}

fn desk_operator_without_session(desk: &TestDesk) -> User {
    let id = desk.operator.id.parse().unwrap();
    let (provider, role) = (allclear::db::PROVIDER, allclear::identity::Role::Operator);
    let tokens = &desk.running().tokens;
    let token = tokens.mint(id, provider, role, desk.clock.now().into()).unwrap();
    User {
        token,
        ..desk.operator.clone()
    }
}

/// The token of the link by which somebody unsubscribes, out of the newest mail to them.
pub fn mailed_link(desk: &TestDesk, to: &str) -> String {
    let mail = desk.mailbox.to(to).pop().unwrap();
    let header = mail.header("List-Unsubscribe").unwrap();
    let (_, token) = header.split_once("/v1/unsubscribe/").unwrap();
    token.split('>').next().unwrap().trim().to_owned()
}

impl Cast {
    pub async fn set() -> Self {
        let mut stage = Stage::set().await;
        let (desk, marta, bob, ada) = (&stage.desk, &stage.marta, &stage.bob, &stage.ada);
        let mut other = incident_form();
        other["services"] = json!(["sign-in"]);
        let other = marta.post("/v1/incidents", other).await.created();
        let incident = stage.incident().await;
        let path = format!("/v1/incidents/{}", text(&incident["id"]));
        marta
            .post(&format!("{path}/updates"), json!({"body": "Still looking."}))
            .await
            .ok();
        let request = bob.files("Mail is down", &incident).await.created();
        bob.files("Calendar too", &incident).await.created();
        let of_request = format!("/v1/service-requests/{}", text(&request["id"]));
        for body in ["Does the web access work?", "Please tell us."] {
            ada.post(&format!("{of_request}/comments"), json!({"body": body}))
                .await
                .created();
        }
        let ben = desk.staff("ben", "agent").await;
        let mut queue = always_on("Second line", &[&ada.id, &ben.id]);
        queue["always_on"] = json!(false);
        queue["fallback_queue_id"] = stage.queue["id"].clone();
        let queue = desk.operator.post("/v1/queues", queue).await.created();
        // A second set of rules, like the first.
        let rules = desk.operator.get("/v1/routing-rules").await.ok();
        let rules = json!({"rules": rules["rules"]});
        desk.operator.put("/v1/routing-rules", rules).await.ok();
        let mut roster = roster(&stage, &queue, &ben).await;
        for subject in ["One", "Two"] {
            let moved = bob.files(subject, &incident).await.created();
            let path = format!("/v1/service-requests/{}/transfer", text(&moved["id"]));
            ada.post(&path, json!({"queue_id": queue["id"], "reason": "It is theirs."}))
                .await
                .ok();
        }
        let invited = json!({"email": "ivy@contoso.example", "name": "Ivy", "role": "tenant_viewer", "tenant_id": stage.contoso["id"]});
        let invited = desk.operator.post("/v1/users", invited).await.created();
        let key = json!({"name": "Pager", "role": "tenant_viewer", "scopes": ["incidents:read"], "tenant_id": stage.contoso["id"]});
        let mut keys = Vec::new();
        for _ in 0..2 {
            keys.push(desk.operator.post("/v1/api-keys", key.clone()).await.created());
        }
        // Disabled: nobody is sent to where nobody answers.
        let provider = json!({
            "tenant_id": stage.contoso["id"], "name": "Contoso", "issuer": "https://login.contoso.example", "client_id": "desk",
            "roles": [{"value": "admins", "role": "tenant_admin"}], "domains": ["contoso.example"], "disabled": true,
        });
        let mut staffs = provider.clone();
        staffs["tenant_id"] = Value::Null;
        staffs["issuer"] = json!("https://login.provider.example");
        staffs["roles"][0]["role"] = json!("agent");
        let provider = desk
            .operator
            .post("/v1/identity-providers", provider)
            .await
            .created();
        desk.operator
            .post("/v1/identity-providers", staffs)
            .await
            .created();
        let mut calendar = json!({
            "name": "Office", "time_zone": "UTC", "hours": [{"days": ["mon"], "start": "09:00", "end": "17:00"}],
        });
        desk.operator
            .post("/v1/calendars", calendar.clone())
            .await
            .created();
        calendar["name"] = json!("Branch");
        let calendar = desk.operator.post("/v1/calendars", calendar).await.created();
        for minutes in [60, 240] {
            let policy = json!({
                "plan": "standard", "severity": "b", "clock": "resolution", "target_minutes": minutes,
                "calendar": calendar["id"],
            });
            desk.operator
                .put("/v1/sla-policies", json!({"policies": [policy]}))
                .await
                .ok();
        }
        desk.again(&desk.operator).await;
        desk.drain().await;
        // Ben goes now and then: twice there is a hand-over.
        for minutes in [1, 3] {
            let at = |minutes| desk.clock.now() + chrono::TimeDelta::minutes(minutes);
            let form = json!({"remove": ben.id, "from": at(minutes), "to": at(minutes + 1)});
            let path = format!("/v1/queues/{}/overrides", text(&queue["id"]));
            desk.operator.post(&path, form).await.created();
        }
        for _ in 0..5 {
            desk.pass(chrono::TimeDelta::minutes(1));
            desk.drain().await;
        }
        let path_of_queue = format!("/v1/queues/{}/hand-overs", text(&queue["id"]));
        let told = desk.operator.all(&path_of_queue).await;
        assert_eq!(told.len(), 2);
        roster.push(("hand_over_id", text(&told[0]["id"])));
        // Somebody subscribes, somebody no longer, and somebody by the link in a mail.
        let form = json!({"topics": ["opened", "ended"], "subscriptions": [{"service": "sign-in"}]});
        bob.put("/v1/me/notifications", form).await.ok();
        bob.delete(&format!("{path}/subscription"), json!({}))
            .await
            .nothing();
        let token = mailed_link(desk, "it@contoso.example");
        let link = format!("/v1/unsubscribe/{token}");
        assert_eq!(desk.stranger().post(&link, json!({})).await.status, 200);
        roster.push(("token", token));
        let sessions = desk.operator.all("/v1/me/sessions").await;
        let broadcasts = marta.get(&format!("{path}/broadcasts")).await.ok();
        let deliveries = desk.operator.get("/v1/deliveries").await.ok();
        let suppression = suppressed(desk, text(&stage.contoso["id"])).await;
        let incident = marta.get(&path).await.ok();
        let request = ada.get(&of_request).await.ok();
        roster.push(("attachment_id", attached(ada, &request).await));
        stage.desk.leave_undrained();
        // Of no session: to end them all is one of the calls.
        stage.desk.operator = desk_operator_without_session(&stage.desk);
        Self {
            user: text(&invited["id"]),
            key: text(&keys[0]["id"]),
            session: text(&sessions[1]["id"]),
            provider: text(&provider["id"]),
            calendar: text(&calendar["id"]),
            suppression,
            broadcast: text(&broadcasts["items"][0]["id"]),
            delivery: text(&deliveries["items"][0]["id"]),
            stage,
            incident,
            other,
            request,
            queue,
            ben,
            roster,
        }
    }

    pub fn desk(&self) -> &TestDesk {
        &self.stage.desk
    }

    pub fn operator(&self) -> &User {
        &self.stage.desk.operator
    }

    /// The id that stands for `{id}` here.
    pub fn id(&self, template: &str) -> String {
        let ids = [
            ("/v1/incidents/", text(&self.incident["id"])),
            ("/v1/service-requests/", text(&self.request["id"])),
            ("/v1/queues/", text(&self.queue["id"])),
            ("/v1/agents/", self.ben.id.clone()),
            ("/v1/tenants/", text(&self.stage.contoso["id"])),
            ("/v1/broadcasts/", self.broadcast.clone()),
            ("/v1/deliveries/", self.delivery.clone()),
            ("/v1/users/", self.user.clone()),
            ("/v1/api-keys/", self.key.clone()),
            ("/v1/me/sessions/", self.session.clone()),
            ("/v1/identity-providers/", self.provider.clone()),
            ("/v1/auth/sso/", self.provider.clone()),
            ("/v1/calendars/", self.calendar.clone()),
            ("/v1/suppressions/", self.suppression.clone()),
            ("/v1/sla-policies/versions/", "1".to_owned()),
        ];
        let mut found = ids.into_iter().filter(|(begin, _)| template.starts_with(begin));
        found
            .next()
            .unwrap_or_else(|| panic!("who stands for the id of {template}?"))
            .1
    }

    /// A path with the ids in it of what there is below something.
    pub fn below(&self, template: &str) -> String {
        let filled = |path: String, (name, id): &(&str, String)| path.replace(&format!("{{{name}}}"), id);
        self.roster.iter().fold(template.to_owned(), filled)
    }

    /// The path of an operation on what there is.
    pub fn path(&self, operation: &Operation) -> String {
        let template = self.below(&operation.template);
        if operation.has_id() {
            template.replace("{id}", &self.id(&template))
        } else {
            template
                .replace("{version}", "1")
                .replace("{name}", "incident_opened")
        }
    }
}

/// Where the document is kept.
fn kept() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("api-spec/openapi.json")
}

/// The document as it is kept.
pub fn kept_document() -> Value {
    serde_json::from_str(&std::fs::read_to_string(kept()).unwrap()).unwrap()
}

#[test]
fn the_document_that_is_kept_is_the_one_that_the_code_makes() {
    let kept = std::fs::read_to_string(kept()).unwrap_or_default();
    let made = allclear::cli::spec().unwrap();
    assert!(
        kept.trim_end() == made.trim_end(),
        "api-spec/openapi.json is stale; write it again: cargo run -- spec > api-spec/openapi.json"
    );
}

#[test]
fn every_operation_has_a_tag_a_summary_a_name_of_its_own_and_answers() {
    let spec = Spec::of_the_code();
    assert_eq!(
        spec.0["openapi"].as_str().map(|version| &version[..3]),
        Some("3.1")
    );
    assert_eq!(
        spec.0["components"]["securitySchemes"]["bearer"]["scheme"],
        "bearer"
    );
    let mut ids = BTreeSet::new();
    for operation in spec.operations() {
        let (name, whole) = (operation.name(), &operation.whole);
        assert!(
            whole["tags"].as_array().is_some_and(|tags| !tags.is_empty()),
            "{name} has no tag"
        );
        assert!(
            whole["summary"].as_str().is_some_and(|text| !text.is_empty()),
            "{name} has no summary"
        );
        assert!(!operation.id.is_empty(), "{name} has no operationId");
        assert!(
            ids.insert(operation.id.clone()),
            "{name} is the second operation called {}",
            operation.id
        );
        let answers = whole["responses"].as_object().unwrap();
        assert!(
            answers.keys().any(|status| status.starts_with(['2', '3'])),
            "{name} has no good answer"
        );
        let needs_bearer = whole["security"]
            .as_array()
            .is_some_and(|all| all.iter().all(|one| one.get("bearer").is_some()));
        let is_open = OPEN.contains(&operation.id.as_str());
        assert_eq!(needs_bearer, !is_open, "{name}: who is let in?");
        if operation.template.starts_with("/v1/") {
            assert!(answers.contains_key("4XX"), "{name} says nothing of problems");
        }
    }
}

#[test]
fn every_code_of_a_problem_is_in_the_docs() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md")).unwrap();
    for code in Code::ALL {
        let row = format!("| `{}` | {} |", code.as_str(), code.status());
        assert!(
            page.contains(&row),
            "docs/errors.md says nothing of {}",
            code.as_str()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_under_v1_is_answered_but_the_doors() {
    let desk = TestDesk::open().await;
    let spec = Spec::of_the_code();
    let mut refused = 0;
    for operation in spec.operations() {
        let path = operation
            .template
            .replace("{id}", "01980000-0000-7000-8000-000000000000");
        if !path.starts_with("/v1/") || OPEN.contains(&operation.id.as_str()) {
            continue;
        }
        for token in ["", "nonsense", "a.b.c"] {
            let call = operation.call(&desk.with_token(token), &path).json(&json!({}));
            let reply = Reply::of(call).await;
            assert!(
                reply
                    .header("www-authenticate")
                    .is_some_and(|scheme| scheme.starts_with("Bearer"))
            );
            assert_eq!(reply.status, 401, "{}: {}", operation.name(), reply.body);
            reply.refused(401, "unauthenticated");
            refused += 1;
        }
    }
    assert!(refused > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_is_what_the_document_says() {
    let cast = Cast::set().await;
    let spec = Spec::of_the_code();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    let mut operations = spec.operations();
    // What only reads first, then what makes new things, then what changes the ones that are there.
    let makes = |operation: &Operation| operation.whole["responses"].get("201").is_some();
    operations.sort_by_key(|operation| (operation.method != Method::GET, !makes(operation)));
    for operation in operations {
        let call = operation.call(cast.operator(), &cast.path(&operation));
        let call = match spec.example(&operation, &cast) {
            Some(body) => call.json(&body),
            None => call,
        };
        let reply = Reply::of(call).await;
        let name = operation.name();
        let is_simple = operation.method == Method::GET || makes(&operation);
        // Needs a code of the moment, or a token from a mail: their stories are in accounts.rs.
        // Or a file: sla.rs, attachments.rs.
        let needs_more = [
            "confirm_second_factor",
            "set_password",
            "accept_invitation",
            "import_holidays",
            "add_attachment",
        ];
        if needs_more.contains(&operation.id.as_str()) {
            assert_eq!(reply.status, 422, "{name}: {}", reply.body);
            continue;
        }
        // Their stories are in sso.rs: here there is nobody to be sent to, or to come back from.
        let is_elsewhere = ["begin_sso", "finish_sso"].contains(&operation.id.as_str());
        if is_elsewhere {
            assert!([401, 404].contains(&reply.status), "{name}: {}", reply.body);
            continue;
        }
        if (reply.status >= 300 && is_simple)
            || [400, 415, 422, 428].contains(&reply.status)
            || reply.status >= 500
        {
            wrong.push(format!("{name} answers {}: {}", reply.status, reply.body));
        }
        if reply.status >= 300 {
            continue;
        }
        seen += 1;
        let answer = &operation.whole["responses"][reply.status.to_string()];
        if answer.is_null() {
            wrong.push(format!(
                "{name} answers {}, which the document does not know",
                reply.status
            ));
        }
        if let Some(schema) = answer.pointer("/content/application~1json/schema") {
            wrong.extend(spec.misfits(schema, &reply.body, &name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen >= 45, "only {seen} good answers were seen");
}
