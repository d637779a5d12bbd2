//! Agents: whether they take work, how much, and what they know; for staff alone.

use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{Reply, Stage, User};

fn path(user: &User) -> String {
    format!("/v1/agents/{}", user.id)
}

fn skill(name: &str, level: i32) -> Value {
    json!({"kind": "skill", "name": name, "level": level})
}

fn language(name: &str, level: i32) -> Value {
    json!({"kind": "language", "name": name, "level": level})
}

async fn names(user: &User, query: &str) -> Vec<String> {
    let mut names: Vec<_> = user
        .all(&format!("/v1/agents{query}"))
        .await
        .iter()
        .map(|agent| agent["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_says_what_an_agent_is_given_and_the_agent_whether_it_takes_work() {
    let stage = Stage::set().await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        ..
    } = &stage;
    let lea = desk.staff("lea", "lead").await;
    // Of whom nothing was said.
    let reply = ada.get(&path(ada)).await;
    assert_eq!(reply.header("etag"), Some("\"0\""));
    let nothing = json!({
        "id": ada.id, "name": "ada", "presence": "available", "capacity": null, "skills": [], "version": 0,
        "updated_at": null,
    });
    assert_eq!(reply.ok(), nothing);

    let form = json!({"capacity": 12, "skills": [
        language("pt-BR", 2), skill("smtp", 1), {"name": "dns", "level": 3},
    ]});
    let changed = lea.patch(&path(ada), form).await;
    assert_eq!(changed.header("etag"), Some("\"1\""));
    let changed = changed.ok();
    let skills = json!([language("pt-br", 2), skill("dns", 3), skill("smtp", 1)]);
    assert_eq!(
        (&changed["capacity"], &changed["skills"], &changed["presence"]),
        (&json!(12), &skills, &json!("available"))
    );
    assert_eq!(marta.get(&path(ada)).await.ok(), changed);

    // Its own switch needs no precondition, and the same word twice is one event.
    for version in [2, 2] {
        let call = ada.call(Method::PUT, "/v1/me/presence");
        let mine = Reply::of(call.json(&json!({"presence": "busy"}))).await.ok();
        assert_eq!(
            (&mine["presence"], &mine["version"], &mine["skills"]),
            (&json!("busy"), &json!(version), &skills)
        );
    }
    assert_eq!(desk.count("events WHERE kind = 'presence_changed'"), 1);
    // Another version has been seen, or none.
    let form = json!({"capacity": null});
    let stale = lea.call(Method::PATCH, &path(ada)).header("if-match", "\"1\"");
    Reply::of(stale.json(&form))
        .await
        .refused(412, "precondition-failed");
    Reply::of(lea.call(Method::PATCH, &path(ada)).json(&form))
        .await
        .refused(428, "precondition-required");
    let unlimited = lea.patch(&path(ada), form).await.ok();
    assert_eq!(
        (&unlimited["capacity"], &unlimited["skills"]),
        (&Value::Null, &skills)
    );

    // An agent changes its presence, and nothing else of itself or of anybody.
    let away = json!({"presence": "away"});
    assert_eq!(ada.patch(&path(ada), away.clone()).await.ok()["presence"], "away");
    ada.patch(&path(&lea), away.clone())
        .await
        .refused(403, "forbidden");
    for form in [json!({"capacity": 1000}), json!({"skills": []})] {
        ada.patch(&path(ada), form.clone())
            .await
            .refused(403, "forbidden");
        marta.patch(&path(ada), form).await.refused(403, "forbidden");
    }
    // Whoever does not work has no presence: an incident manager, somebody of a tenant, nobody.
    marta
        .put("/v1/me/presence", away.clone())
        .await
        .refused(403, "forbidden");
    for id in [&marta.id, &bob.id, &uuid::Uuid::new_v4().to_string()] {
        let path = format!("/v1/agents/{id}");
        lea.get(&path).await.refused(404, "not-found");
        lea.patch(&path, away.clone()).await.refused(404, "not-found");
    }
    // Tenants learn nothing of any of it.
    for address in ["/v1/agents".to_owned(), path(ada)] {
        bob.get(&address).await.refused(403, "forbidden");
    }
    for (pointer, form) in [
        ("/capacity", json!({"capacity": 0})),
        ("/capacity", json!({"capacity": 1001})),
        ("/skills/0/level", json!({"skills": [skill("dns", 6)]})),
        ("/skills/0/name", json!({"skills": [skill("DNS", 1)]})),
        (
            "/skills/1/name",
            json!({"skills": [skill("dns", 1), language("x", 1)]}),
        ),
        (
            "/skills/2/name",
            json!({"skills": [language("de", 1), skill("de", 1), language("DE", 2)]}),
        ),
    ] {
        let refused = lea
            .patch(&path(ada), form.clone())
            .await
            .refused(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{form}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_found_by_what_they_know_and_whether_they_take_work() {
    let stage = Stage::set().await;
    let Stage { desk, ada, .. } = &stage;
    let mut crew = Vec::new();
    for (name, skills, presence) in [
        ("ben", vec![skill("dns", 3), language("de", 5)], Some("busy")),
        ("cat", vec![skill("dns", 1), language("de-CH", 1)], None),
        (
            "dan",
            vec![skill("tls", 4), language("den", 4), language("pt-PT", 3)],
            Some("away"),
        ),
    ] {
        let user = desk.staff(name, "agent").await;
        desk.operator
            .patch(&path(&user), json!({"skills": skills}))
            .await
            .ok();
        if let Some(presence) = presence {
            user.put("/v1/me/presence", json!({"presence": presence}))
                .await
                .ok();
        }
        crew.push(user);
    }
    // Keys are no agents, nor is who is disabled or was one.
    let key = json!({"name": "Bot", "role": "agent", "scopes": ["queues:read", "queues:write"]});
    let key = desk.operator.post("/v1/api-keys", key).await.created();
    let bot = desk.with_token(key["key"].as_str().unwrap());
    bot.put("/v1/me/presence", json!({"presence": "away"}))
        .await
        .refused(403, "forbidden");
    for (name, change) in [
        ("eve", json!({"disabled": true})),
        ("fay", json!({"role": "incident_manager"})),
    ] {
        let gone = desk.staff(name, "agent").await;
        desk.operator
            .patch(&path(&gone), json!({"capacity": 3}))
            .await
            .ok();
        desk.operator
            .patch(&format!("/v1/users/{}", gone.id), change)
            .await
            .ok();
        desk.operator.get(&path(&gone)).await.refused(404, "not-found");
    }
    // The queues are looked at.
    desk.drain().await;
    let olive = desk.operator.name.as_str();
    for (query, expected) in [
        ("", vec!["ada", "ben", "cat", "dan", olive]),
        ("?presence=busy", vec!["ben"]),
        ("?presence=away", vec!["dan"]),
        // Who has no row, and who has one.
        ("?presence=available", vec!["ada", "cat", olive]),
        ("?skill=dns", vec!["ben", "cat"]),
        ("?skill=de", vec![]),
        ("?language=de", vec!["ben", "cat"]),
        ("?language=DE-ch", vec!["ben", "cat"]),
        ("?language=de-AT", vec!["ben"]),
        ("?language=pt", vec!["dan"]),
        ("?language=pt-BR", vec![]),
        ("?skill=dns&language=de&presence=busy", vec!["ben"]),
        ("?skill=dns&presence=away", vec![]),
    ] {
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(names(ada, query).await, expected, "{query}");
        assert_eq!(names(&bot, query).await, expected, "{query}");
    }
    let page = ada.get("/v1/agents?limit=2").await.ok();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert!(page["next_cursor"].is_string());

    // Two leads at once: one of them has seen what the other changed.
    let ways = [3, 7].map(|capacity| {
        let call = desk
            .operator
            .call(Method::PATCH, &path(&crew[0]))
            .header("if-match", "\"2\"");
        Reply::of(call.json(&json!({"capacity": capacity})))
    });
    let [first, second] = ways;
    let (first, second) = tokio::join!(first, second);
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}
