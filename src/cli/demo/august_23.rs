//! 23 August 2010: a network upgrade fails, and for two hours mail and documents can be reached only now and then.

use serde_json::json;

use super::DemoError;
use super::cast::{ADATUM, CALLER, CONTOSO, FABRIKAM, MESSAGING, NORTHWIND, WATCHER};
use super::desk::Desk;
use super::forms::{Filing, Opening};

/// What the rest of the demo comes back to.
pub struct Remembered {
    /// The incident.
    pub incident: String,
    /// Contoso's first request.
    pub request: String,
}

/// Plays the day.
pub async fn play(desk: &mut Desk) -> Result<Remembered, DemoError> {
    desk.voice
        .title("Monday, 23 August 2010: a network upgrade fails")?;
    let incident = breaks(desk).await?;
    let request = north_america_files(desk, &incident).await?;
    more_is_filed(desk, &incident).await?;
    europe_is_not_affected(desk, &incident).await?;
    agents_answer(desk, &request).await?;
    the_cause_is_found(desk, &incident).await?;
    all_clear(desk, &incident).await?;
    too_late(desk, &incident).await?;
    Ok(Remembered { incident, request })
}

async fn breaks(desk: &mut Desk) -> Result<String, DemoError> {
    desk.voice.at(
        "09:10",
        "An upgrade of the network in North America goes wrong. Exchange Online and SharePoint Online can be \
         reached only intermittently. Marta Lindqvist opens an incident, which goes to the contacts of the customers \
         whom it affects, and to nobody else.",
    )?;
    desk.opens(&Opening {
        title: "Exchange Online and SharePoint Online are reachable only intermittently",
        impact: "degradation",
        services: &["exchange-online", "sharepoint-online"],
        regions: &["north-america"],
        started_at: "2010-08-23T16:10:00Z",
        follows: None,
        body: "Customers in North America can reach mail and team sites only intermittently since 09:10 Pacific \
               time. We are investigating.",
    })
    .await
}

async fn north_america_files(desk: &mut Desk, incident: &str) -> Result<String, DemoError> {
    desk.voice.at(
        "09:14",
        "Bob Ellery, administrator at Contoso, files a request of severity A.",
    )?;
    let filing = Filing {
        severity: "a",
        service: "exchange-online",
        subject: "Outlook does not connect for 900 people",
        description: "Since about nine o'clock Outlook asks for the password again and again, in all offices.",
    };
    let request = desk
        .files(&CONTOSO, incident, filing, json!({ "watchers": [WATCHER.email] }))
        .await?;
    desk.voice
        .at("09:17", "Carol Weiss at Fabrikam files one of severity B.")?;
    let filing = Filing {
        severity: "b",
        service: "sharepoint-online",
        subject: "Team sites of the legal department time out",
        description: "We file with the court today and need the documents.",
    };
    desk.files(&FABRIKAM, incident, filing, json!({})).await?;
    Ok(request.id().to_owned())
}

async fn more_is_filed(desk: &mut Desk, incident: &str) -> Result<(), DemoError> {
    let filing = Filing {
        severity: "b",
        service: "exchange-online",
        subject: "Warehouse receives no orders by mail",
        description: "Taken on the telephone. Orders arrive by mail; the last one came at 09:05.",
    };
    desk.voice.at(
        "09:21",
        "Maria Santos of Northwind Traders, who has no account, telephones.",
    )?;
    let agent = desk.files_for(&NORTHWIND, &CALLER, incident, filing).await?;
    desk.voice.then(&format!(
        "{} has filed it for her; the receipt goes to her by mail.",
        agent.name
    ))?;
    desk.voice.at(
        "09:26",
        "Bob and Carol each file a smaller matter, of severity C.",
    )?;
    let filing = Filing {
        severity: "c",
        service: "sharepoint-online",
        subject: "Search in team sites finds nothing",
        description: "Not urgent, but it began at the same time.",
    };
    desk.files(&CONTOSO, incident, filing, json!({})).await?;
    let filing = Filing {
        severity: "c",
        service: "exchange-online",
        subject: "Telephones do not fetch mail",
        description: "About one attempt in three succeeds.",
    };
    desk.files(&FABRIKAM, incident, filing, json!({})).await.map(drop)
}

async fn europe_is_not_affected(desk: &mut Desk, incident: &str) -> Result<(), DemoError> {
    desk.voice.at(
        "09:33",
        "Eva Brandt at Adatum, in Europe, has heard of it from a friend and files against the same incident. She \
         is told that it does not affect Adatum, and learns nothing else about it:",
    )?;
    let filing = Filing {
        severity: "b",
        service: "exchange-online",
        subject: "Is our mail at risk?",
        description: "A partner in Chicago cannot reach their mail.",
    };
    desk.is_refused(&ADATUM, incident, filing, "tenant-not-affected")
        .await
        .map(drop)
}

async fn agents_answer(desk: &mut Desk, contoso: &str) -> Result<(), DemoError> {
    let first = desk.claims(MESSAGING).await?;
    desk.voice.at(
        "09:35",
        &format!("The agents on duty claim what is most urgent. {}.", first.told()),
    )?;
    let body = "We see the same on our side: the network is at fault, not your computers. There is nothing that \
                your people need to do.";
    desk.answers(&first, "comments", body).await?;

    let second = desk.claims(MESSAGING).await?;
    desk.voice.then(&format!(
        "{}, asks a question, and waits for the customer.",
        second.told()
    ))?;
    let question = "Does it fail at every attempt, or only at some?";
    desk.answers(&second, "await-customer", question).await?;

    let third = desk.claims(MESSAGING).await?;
    desk.voice.then(&format!(
        "{}, moves the customer back to the old network, and resolves it.",
        third.told()
    ))?;
    let body =
        "We have moved you back to the old network by hand. It works again; please tell us if it does not.";
    desk.answers(&third, "resolve", body).await?;

    desk.voice
        .at("09:44", "Bob thanks them in a comment of his own.")?;
    let path = format!("/v1/service-requests/{contoso}/comments");
    let body = "Thank you. I have told the offices to wait.";
    desk.posts(&CONTOSO.admin, &path, json!({ "body": body }))
        .await
        .map(drop)
}

async fn the_cause_is_found(desk: &mut Desk, incident: &str) -> Result<(), DemoError> {
    desk.voice
        .at("09:50", "The cause is found. Marta tells everybody concerned.")?;
    let body = "The cause is a fault in the design of last night's network upgrade. We are taking it back.";
    desk.announces(incident, "identified", body).await?;
    desk.voice.at(
        "10:40",
        "The old network is back. She says so, and that the desk keeps watching.",
    )?;
    let body = "The upgrade has been taken back. Mail and team sites answer again; we keep watching.";
    desk.announces(incident, "monitoring", body).await
}

async fn all_clear(desk: &mut Desk, incident: &str) -> Result<(), DemoError> {
    desk.voice
        .at("11:10", "Two hours after it began, Marta gives the all-clear.")?;
    let body = "Mail and team sites have been reachable without interruption for half an hour. The incident is over.";
    desk.gives_the_all_clear(incident, body).await
}

async fn too_late(desk: &mut Desk, incident: &str) -> Result<(), DemoError> {
    desk.voice.at(
        "11:25",
        "Carol files against the incident once more. It is over, and nothing can be bound to it:",
    )?;
    let filing = Filing {
        severity: "d",
        service: "exchange-online",
        subject: "A report for our auditors",
        description: "Please send us the times of the interruption.",
    };
    desk.is_refused(&FABRIKAM, incident, filing, "incident-not-active")
        .await
        .map(drop)
}
