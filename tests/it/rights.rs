//! The policy is what the server does: every operation of the document × every role, and those who are let in
//! nowhere.

use std::collections::BTreeMap;

use allclear::db::PROVIDER;
use allclear::identity::rights::{self, ForKeys, allows, needed};
use allclear::identity::{Right, Role};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::desk::{Reply, TestDesk, User, incident_form};
use crate::spec::{Cast, Operation, Spec};

/// There may be no such thing for whoever calls.
const MAY_MISS: [&str; 10] = [
    "remove_attachment",
    "lift_suppression",
    "begin_sso",
    "end_session",
    "confirm_second_factor",
    "remove_my_second_factor",
    "remove_second_factor",
    "remove_absence",
    "remove_override",
    "revoke_waiver",
];

async fn call(spec: &Spec, cast: &Cast, operation: &Operation, user: &User) -> Reply {
    let mut call = operation.call(user, &cast.path(operation));
    if let Some(body) = spec.example(operation, cast) {
        call = call.json(&body);
    }
    Reply::of(call).await
}

/// Somebody of each role; the tenant's are Contoso's.
async fn everybody(cast: &Cast) -> Vec<(Role, User)> {
    let desk = cast.desk();
    vec![
        (Role::TenantAdmin, cast.stage.bob.clone()),
        (
            Role::TenantViewer,
            desk.member("vic", "tenant_viewer", &cast.stage.contoso).await,
        ),
        (Role::Agent, cast.stage.ada.clone()),
        (Role::Lead, desk.staff("lea", "lead").await),
        (Role::IncidentManager, cast.stage.marta.clone()),
        (Role::Operator, cast.operator().clone()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_may_what_the_policy_says_and_nothing_else() {
    let (spec, cast) = (Spec::of_the_code(), Cast::set().await);
    let everybody = everybody(&cast).await;
    assert_eq!(everybody.len(), Role::ALL.len());
    let mut wrong = Vec::new();
    let mut operations = spec.operations();
    // What is removed is looked at before.
    let is_last = |id: &str| ["remove_identity_provider", "remove_attachment"].contains(&id);
    operations.sort_by_key(|operation| is_last(&operation.id));
    for operation in operations {
        let rights = needed(&operation.id).expect("a row of the policy");
        let is_allowed = |role: Role| {
            let allowed = rights.iter().all(|right| allows(role, *right));
            // The example comments in public, which asks one more right.
            let public = operation.id != "comment_on_request" || allows(role, Right::CommentOnRequests);
            // And that one sets capacity and skills, which are for leads.
            let manages = operation.id != "change_agent" || allows(role, Right::ManageAgents);
            allowed && public && manages
        };
        // Who may not calls first, while there is still what the others remove.
        let mut callers: Vec<&(Role, User)> = everybody.iter().collect();
        callers.sort_by_key(|(role, _)| is_allowed(*role));
        for (role, user) in callers {
            let reply = call(&spec, &cast, &operation, user).await;
            let allowed = is_allowed(*role);
            let fits = match reply.status {
                403 => !allowed && reply.body["code"] == "forbidden",
                401 => rights.is_empty() && reply.body["code"] != "forbidden",
                404 => allowed && MAY_MISS.contains(&operation.id.as_str()),
                status => allowed && status < 500,
            };
            if !fits {
                wrong.push(format!(
                    "{} ({}) by {role}: {} {}",
                    operation.name(),
                    operation.id,
                    reply.status,
                    reply.body
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_every_guarded_operation_is_401() {
    let (spec, cast) = (Spec::of_the_code(), Cast::set().await);
    let desk = cast.desk();
    let operator = desk.operator.id.parse().unwrap();
    let before = desk.clock.now() - TimeDelta::hours(1);
    let tokens = &desk.running().tokens;
    let expired = tokens
        .mint(operator, PROVIDER, Role::Operator, before.into())
        .unwrap();
    let callers = [
        ("nobody", desk.stranger()),
        ("an expired token", desk.with_token(&expired)),
        ("a token of nobody", desk.with_token("nonsense")),
    ];
    let mut wrong = Vec::new();
    for operation in spec.operations() {
        let guarded = needed(&operation.id).is_some_and(|rights| !rights.is_empty());
        for (who, user) in callers.iter().filter(|_| guarded) {
            let reply = call(&spec, &cast, &operation, user).await;
            if reply.status != 401 || reply.body["code"] != "unauthenticated" {
                wrong.push(format!(
                    "{} by {who}: {} {}",
                    operation.name(),
                    reply.status,
                    reply.body
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// API keys of an operator, made as they are needed.
struct Keys<'a> {
    desk: &'a TestDesk,
    made: BTreeMap<Vec<String>, User>,
}

impl Keys<'_> {
    async fn with(&mut self, mut scopes: Vec<String>) -> User {
        scopes.sort_unstable();
        if let Some(user) = self.made.get(&scopes) {
            return user.clone();
        }
        let form = json!({"name": "Key", "role": "operator", "scopes": scopes});
        let key = self.desk.operator.post("/v1/api-keys", form).await.created();
        let user = self.desk.with_token(key["key"].as_str().unwrap());
        self.made.insert(scopes, user.clone());
        user
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_needs_the_scopes_of_the_policy_and_no_others() {
    let (spec, cast) = (Spec::of_the_code(), Cast::set().await);
    let mut keys = Keys {
        desk: cast.desk(),
        made: BTreeMap::new(),
    };
    let scope_of = |right: &Right| match right.row().keys {
        ForKeys::With(scope) => Some(scope.as_str().to_owned()),
        ForKeys::Any | ForKeys::Never => None,
    };
    let mut every: Vec<String> = Right::ALL.iter().filter_map(scope_of).collect();
    every.sort_unstable();
    every.dedup();
    let mut wrong = Vec::new();
    for operation in spec.operations() {
        let rights = needed(&operation.id).expect("a row of the policy");
        if rights.is_empty() {
            continue;
        }
        let never = rights.iter().any(|right| right.row().keys == ForKeys::Never);
        let enough: Vec<String> = rights.iter().filter_map(scope_of).collect();
        let mut tries = vec![];
        if never {
            tries.push((every.clone(), false));
        } else {
            let some = if enough.is_empty() {
                vec!["catalog:read".to_owned()]
            } else {
                enough.clone()
            };
            tries.push((some, true));
            for missing in &enough {
                let others = every.iter().filter(|scope| *scope != missing);
                tries.push((others.cloned().collect(), false));
            }
        }
        for (scopes, allowed) in tries {
            let key = keys.with(scopes.clone()).await;
            let reply = call(&spec, &cast, &operation, &key).await;
            let refused = reply.status == 403 && reply.body["code"] == "forbidden";
            if refused == allowed || reply.status == 401 || reply.status >= 500 {
                wrong.push(format!(
                    "{} with {scopes:?}: {} {}",
                    operation.name(),
                    reply.status,
                    reply.body
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A call that needs a right which no operation needs as a whole, and the status of its refusal.
async fn conditional(cast: &Cast, right: Right, user: &User, draft: &Value, lead: &User) -> (Reply, u16) {
    let of_request = |verb: &str| format!("/v1/service-requests/{}/{verb}", id(&cast.request));
    match right {
        // There is no draft for those who may not read it.
        Right::ReadDrafts => (user.get(&format!("/v1/incidents/{}", id(draft))).await, 404),
        Right::SeeInternals => (user.get(&of_request("comments")).await, 0),
        Right::CommentOnRequests => {
            let comment = json!({"body": "Hello."});
            (user.post(&of_request("comments"), comment).await, 403)
        }
        Right::WriteNotes => {
            let note = json!({"body": "Hm.", "visibility": "internal"});
            (user.post(&of_request("comments"), note).await, 403)
        }
        Right::ManageAgents => {
            let path = format!("/v1/agents/{}", cast.stage.ada.id);
            (user.patch(&path, json!({"capacity": 20})).await, 403)
        }
        Right::AssignOthers => {
            let to = if user.id == lead.id { &cast.stage.ada } else { lead };
            let form = json!({"assignee_id": to.id});
            (user.post(&of_request("assign"), form).await, 403)
        }
        other => panic!("{other:?} is needed by no operation, and has no test here"),
    }
}

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_depends_on_the_case_is_as_the_policy_says_too() {
    let cast = Cast::set().await;
    let everybody = everybody(&cast).await;
    let lead = &everybody[3].1;
    let mut draft = incident_form();
    draft["status"] = json!("draft");
    let draft = cast.stage.marta.post("/v1/incidents", draft).await.created();
    let note = json!({"body": "xyzzy", "visibility": "internal"});
    let comments = format!("/v1/service-requests/{}/comments", id(&cast.request));
    cast.stage.ada.post(&comments, note).await.created();
    let mut wrong = Vec::new();
    let is_conditional =
        |right: &&Right| right.row().operations.is_empty() || **right == Right::CommentOnRequests;
    for right in Right::ALL.iter().filter(is_conditional) {
        for (role, user) in &everybody {
            let (reply, refusal) = conditional(&cast, *right, user, &draft, lead).await;
            let is_let = match right {
                // Everybody reads the conversation; what is internal is left out.
                Right::SeeInternals => reply.body.to_string().contains("xyzzy"),
                _ => reply.status != refusal,
            };
            if is_let != allows(*role, *right) || reply.status >= 500 {
                wrong.push(format!("{right:?} by {role}: {} {}", reply.status, reply.body));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_row_names_an_operation_that_is_not_there() {
    let there: Vec<String> = Spec::of_the_code()
        .operations()
        .into_iter()
        .map(|operation| operation.id)
        .collect();
    let rows = Right::ALL.iter().flat_map(|right| right.row().operations);
    for operation in rows.chain(rights::OPEN) {
        assert!(there.iter().any(|known| known == operation), "{operation}");
    }
}

#[test]
fn the_page_of_the_docs_is_the_table_of_the_code() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rights.md")).unwrap();
    let table = rights::markdown();
    for table in table.split("\n\n") {
        assert!(
            page.contains(table.trim_end()),
            "docs/rights.md is stale: put in what `allclear rights` prints"
        );
    }
}
