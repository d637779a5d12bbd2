//! The main path, end to end: an incident is opened, its customers file, the queue works, everyone hears the all-clear.

use serde_json::json;

use crate::desk::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_opened_worked_and_everyone_told_it_began_is_told_it_is_over() {
    let stage = Stage::set().await;
    let Stage {
        desk,
        ada,
        marta,
        bob,
        eva,
        ..
    } = &stage;
    let incident = stage.incident().await;
    let path = format!("/v1/incidents/{}", incident["id"].as_str().unwrap());

    // Contoso is hit and sees it; Adatum is not, and does not even see that it exists.
    bob.get(&path).await.ok();
    eva.get(&path).await.refused(404, "not-found");
    eva.files("Mail is down", &incident)
        .await
        .refused(409, "tenant-not-affected");

    let first = bob.files("Mail is down", &incident).await.created();
    let second = bob.files("Calendar too", &incident).await.created();
    assert_eq!(first["status"], "queued");
    assert_eq!(first["service"], "exchange-online");
    assert_eq!(first["queue"]["name"], "Messaging");

    // The agent takes the oldest and answers; the other follows the incident.
    let claim = format!("/v1/queues/{}/claim", stage.queue["id"].as_str().unwrap());
    let claimed = ada.post(&claim, json!({})).await.ok();
    assert_eq!(claimed["service_request"]["id"], first["id"]);
    let of_first = format!("/v1/service-requests/{}", first["reference"].as_str().unwrap());
    ada.post(
        &format!("{of_first}/resolve"),
        json!({"body": "Use the web access."}),
    )
    .await
    .ok();
    desk.drain().await;

    let resolved = marta
        .post(&format!("{path}/resolve"), json!({"body": "It is over."}))
        .await
        .ok();
    assert_eq!(resolved["status"], "resolved");
    desk.drain().await;
    bob.files("Too late", &incident)
        .await
        .refused(409, "incident-not-active");
    let second = bob
        .get(&format!(
            "/v1/service-requests/{}",
            second["id"].as_str().unwrap()
        ))
        .await
        .ok();
    assert_eq!(
        (second["status"].as_str(), second["resolution"]["cause"].as_str()),
        (Some("resolved"), Some("incident"))
    );

    let broadcast = format!("/v1/broadcasts/{}", resolved["broadcast_id"].as_str().unwrap());
    let broadcast = marta.get(&broadcast).await.ok();
    assert_eq!(broadcast["state"], "finished");
    assert_eq!(
        (&broadcast["audience"], &broadcast["sent"]),
        (&json!(2), &json!(2))
    );
    for address in ["bob@contoso.example", "it@contoso.example"] {
        let ends = desk
            .mailbox
            .to(address)
            .into_iter()
            .filter(|mail| mail.subject().starts_with("[Resolved]"))
            .count();
        assert_eq!(ends, 1, "{address}");
    }
    assert_eq!(desk.mailbox.to("it@adatum.example").len(), 0);
}
