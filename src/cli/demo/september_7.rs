//! 7 September 2010: sign-in and the administrative portals, briefly, but everywhere.

use serde_json::json;

use super::DemoError;
use super::cast::{ACCESS, ADATUM, CONTOSO, TAILSPIN};
use super::desk::Desk;
use super::forms::{Filing, Opening};

/// Plays the day, four days after `before`; the id of its incident.
pub async fn play(desk: &mut Desk, before: &str) -> Result<String, DemoError> {
    desk.voice
        .title("Tuesday, 7 September 2010: everywhere, but briefly")?;
    let incident = breaks_everywhere(desk, before).await?;
    customers_file(desk, &incident).await?;
    let taken = desk.claims(ACCESS).await?;
    desk.voice
        .at("13:31", &format!("{}, and answers.", taken.told()))?;
    desk.answers(
        &taken,
        "comments",
        "Those who are signed in already can go on working.",
    )
    .await?;
    all_clear(desk, &incident).await?;
    Ok(incident)
}

async fn breaks_everywhere(desk: &mut Desk, before: &str) -> Result<String, DemoError> {
    desk.voice.at(
        "13:20",
        "Sign-in and the administrative portals are slow in every region. The incident names all three, so \
         customers in Europe and Asia Pacific hear of it as well.",
    )?;
    desk.opens(&Opening {
        title: "Sign-in and the administrative portals are slow",
        impact: "degradation",
        services: &["sign-in", "admin-center"],
        regions: &["north-america", "europe", "asia-pacific"],
        started_at: "2010-09-07T20:20:00Z",
        follows: Some(before),
        body: "In all regions, signing in and working in the portals takes long or fails. We are investigating.",
    })
    .await
}

async fn customers_file(desk: &mut Desk, incident: &str) -> Result<(), DemoError> {
    desk.voice.at(
        "13:25",
        "Bob in New York, Eva in Berlin and Kenji in Tokyo file; now Eva's customer is affected.",
    )?;
    let filing = Filing {
        severity: "a",
        service: "sign-in",
        subject: "Nobody can sign in",
        description: "People who were signed out cannot come back.",
    };
    desk.files(&ADATUM, incident, filing, json!({})).await?;
    let filing = Filing {
        severity: "b",
        service: "sign-in",
        subject: "Signing in takes minutes",
        description: "It works at the third attempt or so.",
    };
    desk.files(&CONTOSO, incident, filing, json!({})).await?;
    let filing = Filing {
        severity: "c",
        service: "admin-center",
        subject: "The portal shows an empty page",
        description: "New colleagues begin today and need their accounts.",
    };
    desk.files(&TAILSPIN, incident, filing, json!({})).await.map(drop)
}

async fn all_clear(desk: &mut Desk, incident: &str) -> Result<(), DemoError> {
    desk.voice.at(
        "13:36",
        "Suspicious traffic is set apart in an emergency maintenance. Marta tells everybody.",
    )?;
    let body = "The cause is suspicious traffic in the network. We are setting it apart in an emergency maintenance.";
    desk.announces(incident, "identified", body).await?;
    desk.voice.at(
        "13:45",
        "That was it. The third all-clear, twenty-five minutes after the beginning.",
    )?;
    let body = "Sign-in and the portals are as fast as before, in all regions, and the network is stable.";
    desk.gives_the_all_clear(incident, body).await
}
