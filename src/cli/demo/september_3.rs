//! 3 September 2010: the problem under the first incident comes back.

use serde_json::json;

use super::DemoError;
use super::cast::{CONTOSO, FABRIKAM, MESSAGING};
use super::desk::Desk;
use super::forms::{Filing, Opening};

/// Plays the day, eleven days after `first`; the id of its incident.
pub async fn play(desk: &mut Desk, first: &str) -> Result<String, DemoError> {
    desk.voice.title("Friday, 3 September 2010: it comes back")?;
    let incident = breaks_again(desk, first).await?;
    customers_file(desk, first, &incident).await?;
    agents_answer(desk).await?;
    all_clear(desk, &incident).await?;
    Ok(incident)
}

async fn breaks_again(desk: &mut Desk, first: &str) -> Result<String, DemoError> {
    desk.voice.at(
        "09:30",
        "What was under the failed upgrade was never cured. The same customers lose mail and team sites again. \
         Marta opens an incident that follows the first, and knows by now where to look.",
    )?;
    desk.opens(&Opening {
        title: "Exchange Online and SharePoint Online are interrupted again",
        impact: "interruption",
        services: &["exchange-online", "sharepoint-online"],
        regions: &["north-america"],
        started_at: "2010-09-03T16:30:00Z",
        follows: Some(first),
        body: "Mail and team sites in North America are interrupted since 09:30 Pacific time. It looks like the \
               problem of 23 August.",
    })
    .await
}

async fn customers_file(desk: &mut Desk, first: &str, incident: &str) -> Result<(), DemoError> {
    let filing = || Filing {
        severity: "b",
        service: "exchange-online",
        subject: "Outlook is down again",
        description: "The same as eleven days ago, in all offices.",
    };
    desk.voice.at(
        "09:36",
        "Bob still has the first incident open and files against it. He is refused:",
    )?;
    let problem = desk
        .is_refused(&CONTOSO, first, filing(), "incident-not-active")
        .await?;
    if problem.to_string().contains(incident) {
        desk.voice
            .then("The answer names the incident that followed it, so he files against that one.")?;
    } else {
        desk.voice.then("He files against the new one instead.")?;
    }
    desk.files(&CONTOSO, incident, filing(), json!({})).await?;
    desk.voice
        .at("09:38", "Carol files as well, this time of severity A.")?;
    let filing = Filing {
        severity: "a",
        service: "sharepoint-online",
        subject: "Nobody reaches any team site",
        description: "The second time within two weeks.",
    };
    desk.files(&FABRIKAM, incident, filing, json!({})).await.map(drop)
}

async fn agents_answer(desk: &mut Desk) -> Result<(), DemoError> {
    let first = desk.claims(MESSAGING).await?;
    desk.voice
        .at("09:41", &format!("{}, and answers.", first.told()))?;
    desk.answers(
        &first,
        "comments",
        "It is the network again. We know more than the last time.",
    )
    .await?;
    let second = desk.claims(MESSAGING).await?;
    desk.voice.then(&format!("{}, and answers.", second.told()))?;
    desk.answers(
        &second,
        "comments",
        "It is not at your end. We write again at 10:30 at the latest.",
    )
    .await
}

async fn all_clear(desk: &mut Desk, incident: &str) -> Result<(), DemoError> {
    desk.voice
        .at("10:20", "Traffic goes another way. Marta says so.")?;
    let body = "We have led the traffic around the part of the network that fails. We keep watching.";
    desk.announces(incident, "monitoring", body).await?;
    desk.voice
        .at("11:00", "After ninety minutes she gives the all-clear.")?;
    let body = "Mail and team sites work. We have not found the last cause yet, and go on looking for it.";
    desk.gives_the_all_clear(incident, body).await
}
