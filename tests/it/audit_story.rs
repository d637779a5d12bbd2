//! Every operation that changes something is in the audit: who, from where, what; and never a secret.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::accounts::{code, mailed_token, totp};
use crate::desk::{PASSWORD, Reply, Stage, TestDesk, User, always_on, incident_form};
use crate::spec::{Operation, Spec, mailed_link, suppressed};

const ADDRESS: &str = "203.0.113.9";
/// What is asked by POST, since the question is long, and changes nothing.
const ONLY_READ: [&str; 2] = ["preview_routing", "rehearse_rules"];
const ANOTHER: &str = "another horse battery";

/// Everything that changes something, done once and looked for in the audit.
struct Story {
    stage: Stage,
    operations: Vec<Operation>,
    done: BTreeSet<String>,
    secrets: Vec<String>,
}

impl Story {
    async fn begin() -> Self {
        let mut stage = Stage::set_with(|settings| {
            settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        })
        .await;
        stage.desk.leave_undrained();
        let mut operations = Spec::of_the_code().operations();
        let reads = |operation: &Operation| {
            operation.method == Method::GET || ONLY_READ.contains(&operation.id.as_str())
        };
        operations.retain(|operation| !reads(operation));
        let secrets = vec![
            PASSWORD.to_owned(),
            ANOTHER.to_owned(),
            stage.desk.operator.token.clone(),
        ];
        Self {
            stage,
            operations,
            done: BTreeSet::new(),
            secrets,
        }
    }

    fn desk(&self) -> &TestDesk {
        &self.stage.desk
    }

    async fn newest(&self) -> Value {
        let page = self.desk().operator.get("/v1/audit?limit=1").await.ok();
        page["items"][0].clone()
    }

    /// Does an operation, and finds it in the audit: of this kind, by this person, from there.
    async fn does(&mut self, who: &User, operation: &str, id: &Value, body: Value, kind: &str) -> Value {
        let (answer, event) = self.tries(who, operation, id, body).await;
        assert_eq!(event["kind"], kind, "{operation}: {event}");
        let by = (!who.id.is_empty()).then_some(who.id.as_str());
        assert_eq!(event["actor"]["id"].as_str(), by, "{operation}: {event}");
        // What is added to an account or a request (a second factor, watchers) is nothing new by itself.
        let is_new = kind.ends_with("_created") || ["region_added", "service_added"].contains(&kind);
        assert!(!is_new || event["data"]["to"].is_object(), "{operation}: {event}");
        answer
    }

    async fn tries(&mut self, who: &User, operation: &str, id: &Value, body: Value) -> (Value, Value) {
        let found = self.operations.iter().find(|known| known.id == operation);
        let found = found.unwrap_or_else(|| panic!("there is no operation {operation}"));
        // A second id is that of what is below: `queue/absence`.
        let mut ids = id.as_str().unwrap_or_default().splitn(2, '/');
        let mut path = found.template.clone();
        for (name, id) in [
            "{id}",
            "{absence_id}",
            "{override_id}",
            "{waiver_id}",
            "{hand_over_id}",
            "{attachment_id}",
            "{token}",
        ]
        .iter()
        .filter(|name| found.template.contains(**name))
        .zip(&mut ids)
        {
            path = path.replace(name, id);
        }
        let call = found.call(who, &path).header("x-forwarded-for", ADDRESS);
        // A file is sent as it is.
        let call = match &body {
            Value::String(file) => call.header("content-type", "text/calendar").body(file.clone()),
            body => call.json(body),
        };
        let before = self.newest().await;
        let reply = Reply::of(call).await;
        assert!((200..300).contains(&reply.status), "{operation}: {}", reply.body);
        let event = self.newest().await;
        assert_ne!(before["id"], event["id"], "{operation} left nothing in the audit");
        assert_eq!(event["address"], ADDRESS, "{operation}: {event}");
        self.done.insert(operation.to_owned());
        for secret in ["key", "access_token", "refresh_token", "secret"] {
            if let Some(secret) = reply.body[secret].as_str() {
                self.secrets.push(secret.to_owned());
            }
        }
        for code in reply.body["recovery_codes"].as_array().into_iter().flatten() {
            self.secrets.push(code.as_str().unwrap().to_owned());
        }
        (reply.body, event)
    }

    /// Nobody in particular, until they have proved who they are.
    fn somebody(&self, id: &str) -> User {
        User {
            id: id.to_owned(),
            ..self.desk().stranger()
        }
    }

    async fn accounts(&mut self) {
        let (olive, bob) = (self.desk().operator.clone(), self.stage.bob.clone());
        let none = Value::Null;
        let (bobs, nobody) = (self.somebody(&bob.id), self.somebody(""));
        let form = json!({"email": bob.email, "password": PASSWORD});
        let grant = self.does(&bobs, "login", &none, form.clone(), "signed_in").await;
        let form_of = |grant: &Value| json!({"refresh_token": grant["refresh_token"]});
        let grant = self
            .does(&bobs, "refresh", &none, form_of(&grant), "session_refreshed")
            .await;
        self.does(&bobs, "logout", &none, form_of(&grant), "session_ended")
            .await;
        for _ in 0..2 {
            self.does(&bobs, "login", &none, form.clone(), "signed_in").await;
        }
        let sessions = bob.get("/v1/me/sessions").await.ok();
        let session = sessions["items"][0]["id"].clone();
        self.does(&bob, "end_session", &session, json!({}), "session_ended")
            .await;
        self.does(&bob, "end_sessions", &none, json!({}), "sessions_ended")
            .await;
        let (_, event) = self
            .tries(&bob, "change_me", &none, json!({"name": "Robert"}))
            .await;
        assert_eq!(
            event["data"],
            json!({"from": {"name": "bob"}, "to": {"name": "Robert"}})
        );
        self.second_factors(&bob).await;
        let form = json!({"current_password": PASSWORD, "new_password": ANOTHER});
        self.does(&bob, "change_password", &none, form, "password_changed")
            .await;
        // Old sessions are over; a minted token is of none.
        self.desk().drain().await;
        let lost = json!({"email": bob.email});
        self.does(&nobody, "ask_reset", &none, lost, "password_reset_asked")
            .await;
        self.desk().drain().await;
        let token = mailed_token(self.desk(), &bob.email);
        self.secrets.push(token.clone());
        let form = json!({"token": token, "password": PASSWORD});
        self.does(&bobs, "set_password", &none, form, "password_changed")
            .await;
        let eva = self.stage.eva.clone();
        let form = json!({"email": bob.email, "name": "Bob", "role": "tenant_viewer"});
        let made = self.tries(&eva, "create_user", &none, form).await.0;
        self.desk().pass(TimeDelta::minutes(5));
        self.desk().drain().await;
        self.does(&eva, "invite_user", &made["id"], json!({}), "user_invited")
            .await;
        self.desk().drain().await;
        let token = mailed_token(self.desk(), &bob.email);
        self.secrets.push(token.clone());
        self.does(
            &bobs,
            "accept_invitation",
            &none,
            json!({"token": token}),
            "invitation_accepted",
        )
        .await;
        let vic = self
            .desk()
            .member("vic", "tenant_viewer", &self.stage.contoso)
            .await;
        let path_id = json!(vic.id);
        let change = json!({"disabled": true});
        let (_, event) = self.tries(&olive, "change_user", &path_id, change).await;
        assert_eq!(
            event["data"],
            json!({"from": {"disabled": false}, "to": {"disabled": true}})
        );
        let key = json!({"name": "Pager", "role": "agent", "scopes": ["incidents:read"]});
        let key = self
            .does(&olive, "create_api_key", &none, key, "api_key_created")
            .await;
        self.does(&olive, "revoke_api_key", &key["id"], json!({}), "api_key_revoked")
            .await;
    }

    async fn identity_providers(&mut self) {
        let (olive, none) = (self.desk().operator.clone(), Value::Null);
        let form = json!({
            "name": "Contoso", "issuer": "https://login.contoso.example", "client_id": "desk", "client_secret": "hush hush hush",
            "roles": [{"value": "admins", "role": "tenant_admin"}], "domains": ["contoso.example"],
            "tenant_id": self.stage.contoso["id"],
        });
        self.secrets.push("hush hush hush".to_owned());
        let made = self
            .does(
                &olive,
                "create_identity_provider",
                &none,
                form,
                "identity_provider_created",
            )
            .await;
        let (id, change) = (
            &made["id"],
            json!({"name": "Contoso's", "client_secret": "another hush"}),
        );
        self.secrets.push("another hush".to_owned());
        let (_, event) = self.tries(&olive, "change_identity_provider", id, change).await;
        assert_eq!(
            event["data"],
            json!({"from": {"name": "Contoso"}, "to": {"name": "Contoso's"}, "client_secret_changed": true})
        );
        let gone = json!({});
        self.does(
            &olive,
            "remove_identity_provider",
            id,
            gone,
            "identity_provider_removed",
        )
        .await;
    }

    async fn second_factors(&mut self, bob: &User) {
        let none = Value::Null;
        for way in ["remove_my_second_factor", "remove_second_factor"] {
            let begun = self
                .does(
                    bob,
                    "begin_second_factor",
                    &none,
                    json!({}),
                    "second_factor_begun",
                )
                .await;
            let totp = totp(&begun["secret"]);
            self.desk().pass(TimeDelta::minutes(1));
            let form = json!({"code": code(self.desk(), &totp)});
            self.does(bob, "confirm_second_factor", &none, form, "second_factor_added")
                .await;
            self.desk().pass(TimeDelta::minutes(1));
            let form = json!({"code": code(self.desk(), &totp)});
            let (who, id, form) = match way {
                "remove_second_factor" => (self.desk().operator.clone(), json!(bob.id), json!({})),
                _ => (bob.clone(), Value::Null, form),
            };
            self.does(&who, way, &id, form, "second_factor_removed").await;
        }
    }

    async fn catalog_and_queues(&mut self) {
        let (olive, ada, none) = (self.desk().operator.clone(), self.stage.ada.clone(), Value::Null);
        let entry = json!({"slug": "oceania", "name": "Oceania"});
        self.does(&olive, "create_region", &none, entry.clone(), "region_added")
            .await;
        self.does(&olive, "create_service", &none, entry, "service_added")
            .await;
        let form = json!({"name": "Fabrikam", "regions": ["oceania"], "services": ["sign-in"]});
        let fabrikam = self
            .does(&olive, "create_tenant", &none, form, "tenant_created")
            .await;
        let form = json!({"plan": "premium", "services": ["oceania", "sign-in"], "locale": "en"});
        let (_, event) = self.tries(&olive, "change_tenant", &fabrikam["id"], form).await;
        assert_eq!(
            event["data"],
            json!({
                "from": {"plan": "standard", "services": ["sign-in"]},
                "to": {"plan": "premium", "services": ["oceania", "sign-in"]},
            })
        );
        assert_eq!(event["tenant_id"], fabrikam["id"]);
        let form = json!({"contacts": [{"email": "it@fabrikam.example", "name": "IT"}]});
        let id = &fabrikam["id"];
        self.does(&olive, "set_contacts", id, form, "contacts_changed")
            .await;
        let queue = always_on("Night", &[&ada.id]);
        let queue = self
            .does(&olive, "create_queue", &none, queue, "queue_created")
            .await;
        let mut shifts = always_on("", &[&ada.id])["shifts"].clone();
        shifts[0]["name"] = json!("round the clock");
        let (_, event) = self
            .tries(&olive, "replace_shifts", &queue["id"], json!({"shifts": shifts}))
            .await;
        assert_eq!(event["data"]["from"]["shifts"][0]["name"], "always");
        assert_eq!(event["data"]["to"]["shifts"][0]["name"], "round the clock");
        self.rosters(&queue["id"]).await;
        let rules = json!({"rules": [{"name": "every", "when": {}, "queue_id": self.stage.queue["id"]}]});
        let (_, event) = self.tries(&olive, "replace_rules", &none, rules).await;
        assert_eq!(event["data"]["from"]["rules"][0]["name"], "all");
        assert_eq!(event["data"]["to"]["rules"][0]["name"], "every");
        let ladder = json!([{"after_minutes": 15, "duty_lead": true}]);
        let change = json!({"name": "Night", "push": "round_robin", "ladder": ladder});
        let (_, event) = self.tries(&olive, "change_queue", &queue["id"], change).await;
        assert_eq!(event["kind"], "queue_changed");
        assert_eq!(
            event["data"],
            json!({
                "name": "Night", "from": {"ladder": [], "push": "off"},
                "to": {"ladder": ladder, "push": "round_robin"},
            })
        );
        self.agents().await;
        self.promises().await;
    }

    async fn agents(&mut self) {
        let (olive, ada) = (self.desk().operator.clone(), self.stage.ada.clone());
        let skills = json!([{"kind": "skill", "name": "dns", "level": 3}]);
        let change = json!({"capacity": 12, "skills": skills});
        let (_, event) = self.tries(&olive, "change_agent", &json!(ada.id), change).await;
        assert_eq!(event["kind"], "agent_changed");
        assert_eq!(
            event["data"],
            json!({"from": {"capacity": null, "skills": []}, "to": {"capacity": 12, "skills": skills}})
        );
        let busy = json!({"presence": "busy"});
        let none = Value::Null;
        let (_, event) = self.tries(&ada, "set_my_presence", &none, busy).await;
        assert_eq!(
            (&event["kind"], &event["data"]),
            (
                &json!("presence_changed"),
                &json!({"from": {"presence": "available"}, "to": {"presence": "busy"}})
            )
        );
    }

    async fn rosters(&mut self, queue: &Value) {
        let (olive, ada) = (self.desk().operator.clone(), self.stage.ada.clone());
        let ben = self.desk().staff("ben", "agent").await;
        let below = |made: &Value| {
            json!(format!(
                "{}/{}",
                queue.as_str().unwrap(),
                made["id"].as_str().unwrap()
            ))
        };
        let (from, to) = ("2010-09-08T08:00:00Z", "2010-09-08T16:00:00Z");
        let waiver = json!({"until": to, "reason": "The move."});
        let waiver = self
            .does(&olive, "grant_waiver", queue, waiver, "waiver_granted")
            .await;
        self.does(
            &olive,
            "revoke_waiver",
            &below(&waiver),
            json!({}),
            "waiver_revoked",
        )
        .await;
        let form = json!({"from": from, "to": to, "add": ben.id});
        let made = self
            .does(&olive, "enter_override", queue, form, "override_entered")
            .await;
        let form = json!({"person_id": ben.id, "from": from, "to": to, "reason": "Leave"});
        let leave = self
            .does(&ben, "enter_absence", queue, form, "absence_entered")
            .await;
        let (_, event) = self
            .tries(&ben, "remove_absence", &below(&leave), json!({}))
            .await;
        assert_eq!(event["data"]["from"]["reason"], "Leave");
        self.does(
            &olive,
            "remove_override",
            &below(&made),
            json!({}),
            "override_removed",
        )
        .await;
        let swap = json!({
            "first": {"person_id": ada.id, "from": from, "to": to},
            "second": {"person_id": ben.id, "from": "2010-09-09T08:00:00Z", "to": "2010-09-09T16:00:00Z"},
        });
        self.does(&olive, "swap_duties", queue, swap, "duties_swapped")
            .await;
    }

    async fn promises(&mut self) {
        let (olive, none) = (self.desk().operator.clone(), Value::Null);
        let mut calendar = json!({
            "name": "Office", "time_zone": "UTC", "hours": [{"days": ["mon"], "start": "09:00", "end": "17:00"}],
        });
        let made = self
            .does(
                &olive,
                "create_calendar",
                &none,
                calendar.clone(),
                "calendar_created",
            )
            .await;
        calendar["time_zone"] = json!("Europe/London");
        let (_, event) = self
            .tries(&olive, "replace_calendar", &made["id"], calendar)
            .await;
        assert_eq!(event["data"]["from"], json!({"time_zone": "UTC"}));
        let file = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20101225\r\nSUMMARY:Christmas\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let (_, event) = self
            .tries(&olive, "import_holidays", &made["id"], json!(file))
            .await;
        assert_eq!(event["data"]["to"]["holidays"][0]["name"], "Christmas");
        let policies = json!({"policies": [{
            "plan": "standard", "severity": "b", "clock": "resolution", "target_minutes": 480, "calendar": made["id"],
        }]});
        self.does(
            &olive,
            "replace_policies",
            &none,
            policies,
            "sla_policies_replaced",
        )
        .await;
    }

    async fn incidents(&mut self) {
        let (marta, none) = (self.stage.marta.clone(), Value::Null);
        let mut draft = incident_form();
        draft["status"] = json!("draft");
        let words = json!({"body": "So it is."});
        let gone = self
            .does(&marta, "open_incident", &none, draft.clone(), "incident_drafted")
            .await;
        self.does(
            &marta,
            "cancel_incident",
            &gone["id"],
            json!({}),
            "incident_cancelled",
        )
        .await;
        let wrong = self
            .does(&marta, "open_incident", &none, draft, "incident_drafted")
            .await;
        self.does(
            &marta,
            "publish_incident",
            &wrong["id"],
            json!({}),
            "incident_published",
        )
        .await;
        self.does(
            &marta,
            "mark_false_positive",
            &wrong["id"],
            words.clone(),
            "incident_false_positive",
        )
        .await;
        let form = incident_form();
        let incident = self
            .does(&marta, "open_incident", &none, form, "incident_opened")
            .await;
        let id = &incident["id"];
        self.does(&marta, "update_incident", id, words.clone(), "incident_updated")
            .await;
        let (_, event) = self
            .tries(&marta, "change_incident", id, json!({"title": "Mail is down"}))
            .await;
        assert_eq!(event["data"]["changes"]["to"], json!({"title": "Mail is down"}));
        let (_, event) = self.tries(&marta, "resolve_incident", id, words.clone()).await;
        assert_eq!(
            (&event["data"]["from"], &event["data"]["to"]),
            (&json!("investigating"), &json!("resolved"))
        );
        self.does(&marta, "reopen_incident", id, words.clone(), "incident_reopened")
            .await;
        self.does(&marta, "resolve_incident", id, words.clone(), "incident_resolved")
            .await;
        self.does(&marta, "report_incident", id, words, "incident_reported")
            .await;
        let form = json!({"body": "The same.", "of": self.stage.incident().await["id"]});
        let twin = self.stage.incident().await;
        let (_, event) = self
            .tries(&marta, "merge_incident", &twin["id"], form.clone())
            .await;
        assert_eq!(
            (&event["data"]["to"], &event["data"]["duplicate_of"]),
            (&json!("duplicate"), &form["of"])
        );
        let update = format!("/v1/incidents/{}/updates", form["of"].as_str().unwrap());
        let update = marta.post(&update, json!({"body": "Nonsense."})).await.ok();
        let id = &update["broadcast_id"];
        let (_, event) = self.tries(&marta, "cancel_broadcast", id, json!({})).await;
        assert_eq!(
            (&event["kind"], &event["data"]["from"], &event["data"]["to"]),
            (
                &json!("broadcast_cancelled"),
                &json!("pending"),
                &json!("cancelled")
            )
        );
        self.subscriptions(&form["of"]).await;
    }

    async fn subscriptions(&mut self, incident: &Value) {
        let bob = self.stage.bob.clone();
        let form = json!({"topics": ["opened"]});
        let (_, event) = self.tries(&bob, "set_notifications", &Value::Null, form).await;
        assert_eq!(
            (&event["kind"], &event["data"]["to"]),
            (&json!("notifications_changed"), &json!({"topics": ["opened"]}))
        );
        self.does(&bob, "subscribe_to_incident", incident, json!({}), "subscribed")
            .await;
        self.does(
            &bob,
            "unsubscribe_from_incident",
            incident,
            json!({}),
            "unsubscribed",
        )
        .await;
        self.desk().drain().await;
        let token = json!(mailed_link(self.desk(), "it@contoso.example"));
        let nobody = self.somebody("");
        self.does(&nobody, "unsubscribe", &token, json!({}), "unsubscribed")
            .await;
    }

    async fn filed(&mut self, incident: &Value) -> Value {
        let bob = self.stage.bob.clone();
        let form = json!({"incident_id": incident["id"], "severity": "b", "subject": "Mail", "description": "Down."});
        let none = Value::Null;
        let made = self
            .does(&bob, "file_request", &none, form, "request_filed")
            .await;
        made["id"].clone()
    }

    /// Somebody comes for a minute, and goes.
    async fn hand_over(&mut self, queue: &Value) {
        let (olive, ada) = (self.desk().operator.clone(), self.stage.ada.clone());
        self.does(
            &ada,
            "leave_last_words",
            queue,
            json!({"body": "All is well."}),
            "last_words_left",
        )
        .await;
        let dee = self.desk().staff("dee", "agent").await;
        self.desk().drain().await;
        let at = |minutes| self.desk().clock.now() + chrono::TimeDelta::minutes(minutes);
        let form = json!({"add": dee.id, "from": at(1), "to": at(2)});
        let path = format!("/v1/queues/{}", queue.as_str().unwrap());
        olive.post(&format!("{path}/overrides"), form).await.created();
        for _ in 0..3 {
            self.desk().pass(chrono::TimeDelta::minutes(1));
            self.desk().drain().await;
        }
        let told = ada.all(&format!("{path}/hand-overs")).await;
        let below = json!(format!(
            "{}/{}",
            queue.as_str().unwrap(),
            told[0]["id"].as_str().unwrap()
        ));
        self.does(
            &ada,
            "acknowledge_hand_over",
            &below,
            json!({}),
            "hand_over_acknowledged",
        )
        .await;
    }

    async fn requests(&mut self) {
        let (bob, ada) = (self.stage.bob.clone(), self.stage.ada.clone());
        let incident = self.stage.incident().await;
        let words = json!({"body": "So it is."});
        let first = self.filed(&incident).await;
        let queue = self.stage.queue["id"].clone();
        self.does(&ada, "claim_request", &queue, json!({}), "request_claimed")
            .await;
        self.does(&ada, "release_request", &first, json!({}), "request_released")
            .await;
        let (_, event) = self
            .tries(&bob, "change_request", &first, json!({"severity": "c"}))
            .await;
        assert_eq!(
            event["data"],
            json!({"from": {"severity": "b"}, "to": {"severity": "c"}})
        );
        let form = json!({"assignee_id": ada.id});
        self.does(&ada, "assign_request", &first, form, "request_assigned")
            .await;
        self.does(&ada, "escalate_request", &first, json!({}), "request_escalated")
            .await;
        self.hand_over(&queue).await;
        self.does(
            &ada,
            "comment_on_request",
            &first,
            words.clone(),
            "request_commented",
        )
        .await;
        let wait = json!({});
        self.does(
            &ada,
            "await_customer",
            &first,
            wait.clone(),
            "request_awaited_customer",
        )
        .await;
        self.does(
            &ada,
            "hold_request",
            &first,
            json!({"reason": "vendor"}),
            "request_held",
        )
        .await;
        self.does(&ada, "resume_request", &first, wait.clone(), "request_resumed")
            .await;
        let watchers = json!({"watchers": ["wes@contoso.example"]});
        self.does(&bob, "add_watchers", &first, watchers.clone(), "watchers_added")
            .await;
        self.does(&bob, "remove_watchers", &first, watchers, "watchers_removed")
            .await;
        self.does(&ada, "pin_request", &first, json!({}), "request_pinned")
            .await;
        self.does(&ada, "unpin_request", &first, json!({}), "request_unpinned")
            .await;
        let other = self.stage.incident().await;
        let form = json!({"incident_id": other["id"]});
        self.does(&ada, "link_request", &first, form, "request_linked")
            .await;
        let form = json!({"queue_id": queue, "reason": "Again."});
        self.does(&ada, "transfer_request", &first, form, "request_transferred")
            .await;
        self.does(&ada, "resolve_request", &first, words.clone(), "request_resolved")
            .await;
        self.does(&bob, "reopen_request", &first, json!({}), "request_reopened")
            .await;
        self.does(&ada, "resolve_request", &first, words.clone(), "request_resolved")
            .await;
        self.does(&ada, "close_request", &first, json!({}), "request_closed")
            .await;
        let second = self.filed(&incident).await;
        self.does(&bob, "cancel_request", &second, json!({}), "request_cancelled")
            .await;
        let third = self.filed(&incident).await;
        let form = json!({"reason": "An advertisement."});
        self.does(&ada, "reject_request", &third, form, "request_rejected")
            .await;
        let fourth = self.filed(&incident).await;
        let bytes = json!("it is down");
        let file = self
            .does(&bob, "add_attachment", &fourth, bytes, "attachments_added")
            .await;
        let below = json!(format!(
            "{}/{}",
            fourth.as_str().unwrap(),
            file["id"].as_str().unwrap()
        ));
        self.does(
            &bob,
            "remove_attachment",
            &below,
            json!({}),
            "attachments_removed",
        )
        .await;
        let over = format!("/v1/incidents/{}/resolve", incident["id"].as_str().unwrap());
        self.stage.marta.post(&over, words).await.ok();
        self.does(
            &bob,
            "still_affected",
            &fourth,
            json!({}),
            "request_still_affected",
        )
        .await;
    }

    async fn mail(&mut self) {
        let address = "it@contoso.example";
        self.desk().mailbox.refuse(address, 550);
        self.stage.incident().await;
        self.desk().drain().await;
        let olive = self.desk().operator.clone();
        let failed = olive.get("/v1/deliveries?state=failed").await.ok();
        let id = &failed["items"][0]["id"];
        let (_, event) = self.tries(&olive, "retry_delivery", id, json!({})).await;
        assert_eq!(
            (&event["kind"], &event["data"]["to"], &event["tenant_id"]),
            (
                &json!("delivery_retried"),
                &json!("pending"),
                &self.stage.contoso["id"]
            )
        );
        self.desk().drain().await;
        let form = json!({"filter": {"recipient": address}});
        let (_, event) = self.tries(&olive, "retry_deliveries", &json!(""), form).await;
        assert_eq!(
            (&event["kind"], &event["data"]["count"], &event["data"]["filter"]),
            (
                &json!("deliveries_retried"),
                &json!(3),
                &json!({"recipient": address})
            )
        );
        let gone = suppressed(self.desk(), self.stage.contoso["id"].as_str().unwrap().to_owned()).await;
        let (_, event) = self
            .tries(&olive, "lift_suppression", &json!(gone), json!({}))
            .await;
        assert_eq!(event["data"]["from"]["address"], "gone@contoso.example");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_changes_something_is_in_the_audit_and_no_secret_is() {
    let mut story = Story::begin().await;
    story.catalog_and_queues().await;
    story.incidents().await;
    story.requests().await;
    story.mail().await;
    story.identity_providers().await;
    story.accounts().await;
    let missing: Vec<_> = story
        .operations
        .iter()
        .map(|operation| operation.id.clone())
        .filter(|id| !story.done.contains(id))
        .collect();
    assert!(missing.is_empty(), "nobody in this story does {missing:?}");
    assert!(
        story.secrets.len() > 20,
        "{} secrets were met",
        story.secrets.len()
    );
    let hash = "CAST(data AS TEXT) LIKE '%argon2%'";
    assert_eq!(story.desk().count(&format!("events WHERE {hash}")), 0);
    for secret in &story.secrets {
        let said =
            format!("events WHERE CAST(data AS TEXT) LIKE '%{secret}%' OR actor_name LIKE '%{secret}%'");
        assert_eq!(story.desk().count(&said), 0, "{secret}");
    }
}
