//! The wall between tenants, tried at every place: every operation of the document, as each role of one tenant, with
//! everything that names something of another's, in paths, bodies, query strings, cursors, preconditions and keys.
//!
//! What is asked of each call is the strongest there is: the answer is the one that something which does not exist
//! gets, word for word. So there is nothing to learn, not even that it exists; and afterwards the other tenant is as
//! it was.

use std::collections::{BTreeSet, HashMap};

use allclear::db::Connection;
use allclear::identity::rights::{self, OPEN};
use allclear::identity::{Grantable, Role};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::bad_input::with;
use crate::desk::{Reply, User, incident_form};
use crate::migrations::{contents, lines, tables};
use crate::spec::{Cast, Operation, Spec};

/// Adatum, full of data of its own, beside Contoso, which is full of the cast's.
struct Wall {
    cast: Cast,
    spec: Spec,
    incident: Value,
    /// Whoever of Adatum's calls, by what they are.
    callers: Vec<(&'static str, User)>,
    /// What stands for an `{id}` of Adatum's.
    own_key: String,
    own_session: String,
    /// What names something of Contoso's, by what it is.
    theirs: Vec<(String, String)>,
    /// The addresses of a user, somebody invited and a contact of Contoso's, with who they are.
    addresses: Vec<(String, String)>,
    /// What no answer to Adatum may have in it.
    traces: BTreeSet<String>,
    before: Vec<String>,
    /// The answers to what there is nowhere, by who asks and what for.
    nothing: HashMap<String, Reply>,
    wrong: Vec<String>,
    calls: usize,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// An id as the engine writes it in a row of [`contents`].
fn written(conn: &Connection, id: &str) -> String {
    match conn {
        Connection::Postgres(_) => id.to_owned(),
        Connection::Sqlite(_) => Uuid::parse_str(id).unwrap().simple().to_string().to_uppercase(),
    }
}

impl Wall {
    async fn build() -> Self {
        let cast = Cast::set().await;
        let (stage, desk) = (&cast.stage, cast.desk());
        let mut incident = incident_form();
        incident["regions"] = json!(["europe"]);
        incident["title"] = json!("Die Post kommt nicht an");
        let incident = stage.marta.post("/v1/incidents", incident).await.created();
        let eva = &stage.eva;
        eva.files("Die Post ist weg", &incident).await.created();
        let vic = desk.member("vic", "tenant_viewer", &stage.adatum).await;
        let mut callers = vec![("tenant_admin", eva.clone()), ("tenant_viewer", vic)];
        let mut own_key = String::new();
        for role in ["tenant_admin", "tenant_viewer"] {
            let scopes: Vec<_> = Grantable::ALL.iter().map(|scope| scope.as_str()).collect();
            let form =
                json!({"name": "Zentrale", "role": role, "scopes": scopes, "tenant_id": stage.adatum["id"]});
            let key = desk.operator.post("/v1/api-keys", form).await.created();
            let name = if role == "tenant_admin" {
                "key of an admin"
            } else {
                "key of a viewer"
            };
            callers.push((name, desk.with_token(key["key"].as_str().unwrap())));
            own_key = text(&key["id"]);
        }
        let own = desk.again(eva).await.all("/v1/me/sessions").await;
        // Contoso's administrator has a session too, and a contact that is no user.
        let bob = desk.again(&stage.bob).await;
        bob.get("/v1/me").await.ok();
        let form = json!({
            "incident_id": null, "severity": "d", "subject": "By telephone", "description": "It hums.", "service": "sign-in",
            "tenant_id": stage.contoso["id"], "requester": {"email": "cleo@contoso.example", "name": "Cleopatra"},
        });
        stage.ada.post("/v1/service-requests", form).await.created();
        desk.drain().await;
        let mut wall = Self {
            spec: Spec::of_the_code(),
            incident,
            callers,
            own_key,
            own_session: text(&own[0]["id"]),
            theirs: Vec::new(),
            addresses: Vec::new(),
            traces: BTreeSet::new(),
            before: Vec::new(),
            nothing: HashMap::new(),
            wrong: Vec::new(),
            calls: 0,
            cast,
        };
        wall.look_at_them();
        wall
    }

    /// Finds in the database what is Contoso's, and nobody else's.
    fn look_at_them(&mut self) {
        let mut conn = self.cast.desk().connect();
        let contoso = written(&conn, self.cast.stage.contoso["id"].as_str().unwrap());
        let (mut theirs, mut others) = (BTreeSet::new(), BTreeSet::new());
        for table in tables() {
            let of_tenants = table.name == "tenants" || table.key[0] == "tenant_id";
            let tenant = if table.name == "tenants" {
                "id"
            } else {
                "tenant_id"
            };
            for (column, kind, _) in &table.columns {
                // People are installation-wide: Contoso's are those of its memberships.
                if kind != "Uuid" || (!of_tenants && table.name != "incidents") {
                    continue;
                }
                let rows = lines(
                    &mut conn,
                    &format!(
                        "SELECT DISTINCT {column}::text AS line FROM {} t WHERE {column} IS NOT NULL AND {}",
                        table.name,
                        whose(of_tenants, &format!("{tenant}::text"), &contoso)
                    ),
                    &format!(
                        "SELECT DISTINCT hex({column}) AS line FROM {} t WHERE {column} IS NOT NULL AND {}",
                        table.name,
                        whose(of_tenants, &format!("hex({tenant})"), &contoso)
                    ),
                );
                let ids = rows.iter().map(|id| Uuid::parse_str(id).unwrap().to_string());
                theirs.extend(ids.map(|id| (id, format!("{}.{column}", table.name))));
                if of_tenants {
                    let rest = lines(
                        &mut conn,
                        &format!(
                            "SELECT DISTINCT {column}::text AS line FROM {} WHERE {column} IS NOT NULL AND {tenant}::text <> '{contoso}'",
                            table.name
                        ),
                        &format!(
                            "SELECT DISTINCT hex({column}) AS line FROM {} WHERE {column} IS NOT NULL AND hex({tenant}) <> '{contoso}'",
                            table.name
                        ),
                    );
                    others.extend(rest.iter().map(|id| Uuid::parse_str(id).unwrap().to_string()));
                }
            }
        }
        others.insert(text(&self.incident["id"]));
        theirs.retain(|(id, _)| !others.contains(id));
        self.traces = theirs.iter().map(|(id, _)| id.clone()).collect();
        // One for each place that such an id can stand in.
        let mut kinds = BTreeSet::new();
        let one_each = theirs.into_iter().filter(|(_, kind)| kinds.insert(kind.clone()));
        self.theirs = one_each.map(|(id, kind)| (kind, id)).collect();
        self.theirs
            .push(("request".to_owned(), text(&self.cast.request["id"])));
        self.theirs
            .push(("reference".to_owned(), text(&self.cast.request["reference"])));
        assert!(self.theirs.len() > 20, "{:?}", self.theirs);
        let words = [
            "contoso",
            "\"Ivy\"",
            "\"Cleopatra\"",
            "\"bob\"",
            "\"Pager\"",
            "Mail is down",
            "Calendar too",
            "intermittently",
            "web access",
        ];
        self.traces.extend(words.map(str::to_owned));
        self.traces.insert(text(&self.cast.request["reference"]));
        let people = |id: &str| {
            format!("SELECT email || ' ' || {id} AS line FROM people WHERE email LIKE '%@contoso.example'")
        };
        let people = lines(&mut conn, &people("id::text"), &people("hex(id)"));
        self.addresses = people
            .iter()
            .filter_map(|line| line.split_once(' '))
            .map(|(email, id)| (email.to_owned(), Uuid::parse_str(id).unwrap().to_string()))
            .collect();
        assert!(self.addresses.len() >= 3, "{:?}", self.addresses);
        self.before = self.rows_of_theirs();
        assert!(self.before.len() > 50, "Contoso has little");
    }

    /// Every row of Contoso's, and of its people.
    fn rows_of_theirs(&self) -> Vec<String> {
        let mut conn = self.cast.desk().connect();
        let contoso = written(&conn, self.cast.stage.contoso["id"].as_str().unwrap());
        let people = [self.cast.stage.bob.id.clone(), self.cast.id("/v1/users/")];
        let people: Vec<_> = people.iter().map(|id| written(&conn, id)).collect();
        let is_theirs = |row: &String| {
            let (table, row) = row.split_once(": ").unwrap();
            let key = row.trim_start_matches(['(', 'X', '\'']);
            let of_people = ["people", "second_factors", "recovery_codes"].contains(&table);
            key.starts_with(&contoso) || (of_people && people.iter().any(|id| key.starts_with(id)))
        };
        contents(&mut conn).into_iter().filter(is_theirs).collect()
    }

    /// The path of an operation on something of Adatum's own; a request is a new one each time.
    async fn own_path(&self, operation: &Operation) -> String {
        let stage = &self.cast.stage;
        let template = &operation.template;
        let id = match template.split('/').nth(2).unwrap_or_default() {
            "incidents" => text(&self.incident["id"]),
            "service-requests" if operation.has_id() => {
                text(&stage.eva.files("Noch etwas", &self.incident).await.created()["id"])
            }
            "users" => self.callers[1].1.id.clone(),
            "tenants" => text(&stage.adatum["id"]),
            "api-keys" => self.own_key.clone(),
            "me" => self.own_session.clone(),
            _ if operation.has_id() => self.cast.id(template),
            _ => String::new(),
        };
        template.replace("{id}", &id)
    }

    /// A body of Adatum's own.
    fn own_body(&self, operation: &Operation) -> Option<Value> {
        let stage = &self.cast.stage;
        let body = self.spec.example(operation, &self.cast)?.to_string();
        let swaps = [
            (text(&stage.contoso["id"]), text(&stage.adatum["id"])),
            (text(&self.cast.incident["id"]), text(&self.incident["id"])),
            ("contoso".to_owned(), "adatum".to_owned()),
            ("north-america".to_owned(), "europe".to_owned()),
        ];
        let swap = |body: String, (from, to): &(String, String)| body.replace(from, to);
        let mut body: Value = serde_json::from_str(&swaps.iter().fold(body, swap)).unwrap();
        // What is staff's to say would be refused before anything else is looked at.
        if let Some(fields) = body.as_object_mut() {
            fields.remove("tenant_id");
            fields.retain(|name, _| name != "requester" || operation.id != "file_request");
        }
        Some(body)
    }

    async fn send(
        &mut self,
        operation: &Operation,
        caller: &User,
        path: &str,
        body: Option<&Value>,
    ) -> Reply {
        self.calls += 1;
        let call = operation.call(caller, path);
        Reply::of(match body {
            Some(body) => call.json(body),
            None => call,
        })
        .await
    }

    /// Who tries an id at a place: everybody, where it belongs there; otherwise one of them, each in turn.
    fn who(&self, belongs: bool, turn: usize) -> Vec<(&'static str, User)> {
        if belongs {
            return self.callers.clone();
        }
        vec![self.callers[turn % self.callers.len()].clone()]
    }

    /// The answer to what there is nowhere; the same call is made once.
    async fn nowhere(
        &mut self,
        operation: &Operation,
        (role, caller): &(&'static str, User),
        path: &str,
        body: Option<&Value>,
    ) -> Reply {
        let key = format!("{role} {} {path} {body:?}", operation.name());
        if let Some(known) = self.nothing.get(&key) {
            return known.clone();
        }
        let path = match path {
            "" => self.own_path(operation).await,
            path => path.to_owned(),
        };
        let reply = self.send(operation, caller, &path, body).await;
        self.nothing.insert(key, reply.clone());
        reply
    }

    /// Notes whatever of Contoso's is in an answer, but for what was sent.
    fn no_trace(&mut self, what: &str, reply: &Reply, sent: &[&str]) {
        let said = format!("{} {:?}", reply.body, reply.headers);
        let said = sent
            .iter()
            .fold(said, |said, sent| said.replace(sent, ""))
            .to_lowercase();
        let found = self
            .traces
            .iter()
            .find(|trace| said.contains(&trace.to_lowercase()));
        if let Some(trace) = found {
            self.wrong
                .push(format!("{what}: {trace} is in {} {}", reply.status, reply.body));
        }
    }

    /// Notes an answer to something of Contoso's that is other than the answer to what there is nowhere.
    fn no_difference(&mut self, what: &str, theirs: (&Reply, &str), nothing: (&Reply, &str)) {
        let plain = |(reply, sent): (&Reply, &str)| {
            let mut body = reply.body.clone();
            if let Some(body) = body.as_object_mut() {
                body.remove("request_id");
            }
            let body = if reply.status < 300 {
                String::new()
            } else {
                body.to_string()
            };
            (
                reply.status,
                body.replace(sent, "…"),
                reply.header("etag").is_some(),
            )
        };
        let (theirs, nothing) = (plain(theirs), plain(nothing));
        if theirs != nothing {
            self.wrong
                .push(format!("{what}: {theirs:?}, and for nothing: {nothing:?}"));
        }
    }

    fn end(self, at_least: usize) {
        let shown = self.wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
        assert!(
            self.wrong.is_empty(),
            "{} of {} calls:\n{shown}",
            self.wrong.len(),
            self.calls
        );
        assert!(self.calls >= at_least, "only {} calls were made", self.calls);
        let after = self.rows_of_theirs();
        let changed: Vec<_> = after.iter().filter(|row| !self.before.contains(row)).collect();
        assert!(self.before == after, "Contoso is not as it was: {changed:#?}");
    }
}

fn whose(of_tenants: bool, column: &str, contoso: &str) -> String {
    if of_tenants {
        format!("{column} = '{contoso}'")
    } else {
        "TRUE".to_owned()
    }
}

/// Something of the same form that there is nowhere.
fn nothing_like(id: &str) -> String {
    match Uuid::parse_str(id) {
        Ok(_) => "01980000-0000-7000-8000-00000000dead".to_owned(),
        Err(_) if id.starts_with("SR-") => "SR-0000000000".to_owned(),
        Err(_) => id.replace("contoso", "nowhere"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_another_tenants_is_nowhere_in_any_path() {
    let mut wall = Wall::build().await;
    let etag = {
        let path = format!("/v1/service-requests/{}", text(&wall.cast.request["id"]));
        wall.cast
            .stage
            .bob
            .get(&path)
            .await
            .header("etag")
            .unwrap()
            .to_owned()
    };
    let callers = wall.callers.clone();
    let theirs = wall.theirs.clone();
    let operations = wall.spec.operations().into_iter().filter(Operation::has_id);
    for (turn, operation) in operations.enumerate() {
        let body = wall.own_body(&operation);
        let belonging = wall.cast.id(&operation.template);
        for (place, (kind, id)) in theirs.iter().enumerate() {
            for caller in wall.who(*id == belonging, turn + place) {
                let what = format!("{} of {kind} by {}", operation.name(), caller.0);
                let nothing = nothing_like(id);
                let path = |id: &str| operation.template.replace("{id}", id);
                let reply = wall.send(&operation, &caller.1, &path(id), body.as_ref()).await;
                let control = wall
                    .nowhere(&operation, &caller, &path(&nothing), body.as_ref())
                    .await;
                // What a role may not do at all is refused whatever it is about; both are told the same.
                if !matches!(reply.status, 403 | 404) {
                    wall.wrong
                        .push(format!("{what}: {} {}", reply.status, reply.body));
                }
                wall.no_trace(&what, &reply, &[id]);
                wall.no_difference(&what, (&reply, id), (&control, &nothing));
            }
        }
        for (role, caller) in &callers {
            // Whatever precondition comes with it.
            for precondition in [None, Some(etag.as_str()), Some("\"999\"")] {
                let path = operation.template.replace("{id}", &belonging);
                let mut call = caller.call(operation.method.clone(), &path);
                if let Some(etag) = precondition {
                    call = call.header("if-match", etag);
                }
                if let Some(body) = &body {
                    call = call.json(body);
                }
                wall.calls += 1;
                let reply = Reply::of(call).await;
                let what = format!("{} with {precondition:?} by {role}", operation.name());
                if !matches!(reply.status, 403 | 404) {
                    wall.wrong
                        .push(format!("{what}: {} {}", reply.status, reply.body));
                }
                wall.no_trace(&what, &reply, &[&belonging]);
            }
        }
    }
    wall.end(4_000);
}

/// Whether a place of that name, in a body or a query, is one for such an id: `incident_id` for `incidents.id`, for
/// instance, and for every `….incident_id`.
fn belongs(kind: &str, place: &str) -> bool {
    let name = place.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '/');
    let name = name.rsplit('/').next().unwrap_or_default().trim_end_matches('s');
    let name = name.trim_end_matches("_id");
    let (table, column) = kind.split_once('.').unwrap_or((kind, kind));
    let column = column.trim_end_matches("_id");
    column == name || (column == "id" && table.trim_end_matches('s').ends_with(name))
}

/// The places of a body with a text that names something: an id, an address, a reference.
fn naming(body: &Value, pointer: &str, found: &mut Vec<String>) {
    match body {
        Value::Object(fields) => {
            for (name, value) in fields {
                naming(value, &format!("{pointer}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                naming(value, &format!("{pointer}/{index}"), found);
            }
        }
        Value::String(text) if Uuid::parse_str(text).is_ok() || text.contains('@') => {
            found.push(pointer.to_owned());
        }
        Value::Null => found.push(pointer.to_owned()),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_another_tenants_is_nowhere_in_any_body() {
    let mut wall = Wall::build().await;
    let mut theirs = wall.theirs.clone();
    theirs.extend(
        wall.addresses
            .iter()
            .map(|(address, _)| ("address".to_owned(), address.clone())),
    );
    let operations: Vec<Operation> = wall.spec.operations();
    let mut tried = BTreeSet::new();
    for operation in operations {
        let Some(body) = wall.own_body(&operation) else {
            continue;
        };
        // What is open to strangers is nobody's.
        if OPEN.contains(&operation.id.as_str()) {
            continue;
        }
        let mut places = Vec::new();
        naming(&body, "", &mut places);
        for (turn, pointer) in places.into_iter().enumerate() {
            let is_address = body
                .pointer(&pointer)
                .is_some_and(|text| text.as_str().is_some_and(|text| text.contains('@')));
            let fitting = theirs.iter().filter(|(_, id)| id.contains('@') == is_address);
            for (place, (kind, id)) in fitting.enumerate() {
                for caller in wall.who(belongs(kind, &pointer), turn + place) {
                    let what = format!("{} {pointer} = {kind} by {}", operation.name(), caller.0);
                    let nothing = nothing_like(id);
                    let control_form = with(&body, &pointer, json!(nothing));
                    let control = wall.nowhere(&operation, &caller, "", Some(&control_form)).await;
                    let form = with(&body, &pointer, json!(id));
                    let path = wall.own_path(&operation).await;
                    let reply = wall.send(&operation, &caller.1, &path, Some(&form)).await;
                    // Whoever names an address gets the id of its person, who is the same at every tenant.
                    let person = wall.addresses.iter().find(|(address, _)| address == id);
                    let mut sent = vec![id.clone()];
                    sent.extend(person.map(|(_, person)| person.clone()));
                    let sent: Vec<&str> = sent.iter().map(String::as_str).collect();
                    wall.no_trace(&what, &reply, &sent);
                    wall.no_difference(&what, (&reply, id), (&control, &nothing));
                    tried.insert(format!("{} {pointer}", operation.id));
                }
            }
        }
    }
    assert!(tried.len() > 10, "{tried:?}");
    wall.end(1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_another_tenants_is_nowhere_in_any_list_however_it_is_asked_for() {
    let mut wall = Wall::build().await;
    let callers = wall.callers.clone();
    let mut theirs = wall.theirs.clone();
    theirs.extend(
        wall.addresses
            .iter()
            .map(|(address, _)| ("address".to_owned(), address.clone())),
    );
    let operations = wall
        .spec
        .operations()
        .into_iter()
        .filter(|operation| operation.method == Method::GET);
    for operation in operations {
        let path = wall.own_path(&operation).await;
        for (role, caller) in &callers {
            let reply = wall.send(&operation, caller, &path, None).await;
            wall.no_trace(&format!("{} by {role}", operation.name()), &reply, &[]);
        }
        let names = operation.query.iter().filter(|(name, _)| name != "limit");
        for (turn, (name, _)) in names.enumerate() {
            for (place, (kind, id)) in theirs.iter().enumerate() {
                for caller in wall.who(belongs(kind, name), turn + place) {
                    let what = format!("{} ?{name}= {kind} by {}", operation.name(), caller.0);
                    let nothing = nothing_like(id);
                    let asking = |id: &str| format!("{path}?{name}={id}");
                    let reply = wall.send(&operation, &caller.1, &asking(id), None).await;
                    let control = wall.nowhere(&operation, &caller, &asking(&nothing), None).await;
                    wall.no_trace(&what, &reply, &[id]);
                    wall.no_difference(&what, (&reply, id), (&control, &nothing));
                    let empty = |reply: &Reply| reply.body["items"].as_array().is_none_or(Vec::is_empty);
                    if reply.status == 200 && !empty(&reply) && empty(&control) {
                        wall.wrong.push(format!("{what}: {}", reply.body));
                    }
                }
            }
        }
    }
    wall.end(1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_callers_cursor_opens_nothing() {
    let mut wall = Wall::build().await;
    let callers = wall.callers.clone();
    let (bob, operator) = (wall.cast.stage.bob.clone(), wall.cast.operator().clone());
    let request = wall.cast.id("/v1/service-requests/");
    let mut turned = 0;
    for operation in wall.spec.operations().into_iter().filter(Operation::is_list) {
        let path = wall.cast.path(&operation);
        // Bob asks for what he may: his refusals would be events of Contoso's.
        let may = |role| {
            rights::needed(&operation.id)
                .is_some_and(|all| all.iter().all(|right| rights::allows(role, *right)))
        };
        let owners = [(&bob, Role::TenantAdmin), (&operator, Role::Operator)];
        for (owner, _) in owners.into_iter().filter(|(_, role)| may(*role)) {
            let page = owner.get(&format!("{path}?limit=1")).await;
            let Some(cursor) = page.body["next_cursor"].as_str().map(str::to_owned) else {
                continue;
            };
            for (role, caller) in &callers {
                let what = format!("{} with a cursor of another's by {role}", operation.name());
                for path in [path.clone(), wall.own_path(&operation).await] {
                    let reply = wall
                        .send(&operation, caller, &format!("{path}?cursor={cursor}"), None)
                        .await;
                    if !matches!(reply.status, 400 | 403 | 404) {
                        wall.wrong
                            .push(format!("{what}: {} {}", reply.status, reply.body));
                    }
                    wall.no_trace(&what, &reply, &[&request]);
                    turned += 1;
                }
            }
        }
    }
    assert!(turned > 30, "only {turned} cursors");
    wall.end(30);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_callers_idempotency_key_repeats_nothing_of_theirs() {
    let mut wall = Wall::build().await;
    let callers = wall.callers.clone();
    let bob = wall.cast.stage.bob.clone();
    let mut kept = 0;
    for operation in wall
        .spec
        .operations()
        .into_iter()
        .filter(|operation| operation.method == Method::POST)
    {
        if operation.template.starts_with("/v1/auth/") {
            continue;
        }
        let Some(mut body) = wall.spec.example(&operation, &wall.cast) else {
            continue;
        };
        if let Some(fields) = body.as_object_mut() {
            fields.remove("tenant_id");
            fields.remove("requester");
        }
        let path = wall.cast.path(&operation);
        let keyed = |user: &User| {
            let call = operation
                .call(user, &path)
                .header("idempotency-key", "the same for all");
            Reply::of(call.json(&body))
        };
        let first = keyed(&bob).await;
        let again = keyed(&bob).await;
        if first.status < 300 {
            kept += 1;
            // Without the secret, where there is one.
            assert!(again.status < 300, "{}: {}", operation.name(), again.body);
        }
        // What Contoso did itself is no change of ours.
        wall.before = wall.rows_of_theirs();
        for (role, caller) in &callers {
            wall.calls += 1;
            let reply = keyed(caller).await;
            let what = format!("{} with the key of another's by {role}", operation.name());
            let mut places = Vec::new();
            naming(&body, "", &mut places);
            let sent = places.iter().filter_map(|place| body.pointer(place)?.as_str());
            wall.no_trace(&what, &reply, &sent.collect::<Vec<_>>());
            if reply.status < 300 && !first.body.is_null() && reply.body == first.body {
                wall.wrong.push(format!("{what}: it got their answer"));
            }
        }
    }
    assert!(kept >= 4, "only {kept} answers were kept");
    wall.end(50);
}
