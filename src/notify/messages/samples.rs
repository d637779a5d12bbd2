//! A mail of each kind that nobody gets: what templates are checked with, and what previews show.

use chrono::{DateTime, TimeDelta};

use super::family::Family;
use super::phrases::Language;
use super::words::{
    AccountWords, DeskWords, DigestWords, Earlier, Fact, Frame, GoesOn, Line, News, RequestWords,
    StatusWords, Way, Words,
};
use crate::db::Moment;
use crate::mail::DeliveryKind;
use crate::mail::inbound::quote;

/// Whose links are in a sample.
const DESK: &str = "https://desk.example";
/// Which incident they lead to.
const INCIDENT: &str = "01986d2c-5a40-7c51-9f0e-2b8f6a1d3c47";

/// A sample of a kind, as somebody with this language and time zone would get it.
pub fn of(kind: DeliveryKind, language: &Language, zone: &str) -> Option<Words> {
    let at = |minutes: i64| language.time(began().plus(TimeDelta::minutes(minutes)), zone);
    let mut frame = Frame::new(kind, language, "Ada Lovelace");
    frame.link = Some(format!("{DESK}/v1/service-requests/SR-7K4M9QX2TB"));
    Some(match Family::of(kind)? {
        Family::Status => {
            frame.link = Some(format!("{DESK}/v1/incidents/{INCIDENT}"));
            frame.unsubscribe = Some(way("incident", language));
            Words::Status(Box::new(status(frame, language, &at)))
        }
        Family::Request => {
            frame.answer_above = Some(quote::mark(&language.word("say", "answer_above")));
            if kind == DeliveryKind::WatcherAdded {
                frame.unsubscribe = Some(way("request", language));
            }
            Words::Request(request(frame, &at))
        }
        Family::Account => {
            let has_link = matches!(kind, DeliveryKind::Invitation | DeliveryKind::PasswordReset);
            frame.link = has_link.then(|| format!("{DESK}/account/password#alm_AZhtLFpAfFGfDiuPah08Rw"));
            let said = language.word("said", kind.as_str());
            Words::Account(AccountWords {
                frame,
                said,
                at: at(12),
            })
        }
        Family::Digest => {
            frame.link = None;
            frame.unsubscribe = Some(way("everything", language));
            Words::Digest(digest(frame, language, &at))
        }
        Family::Desk => Words::Desk(desk(frame, language, &at)),
    })
}

/// A sample that has everything that a mail of a family may have.
pub fn full(family: Family, language: &Language) -> Words {
    let words = of(kind(family), language, "America/New_York").unwrap_or_else(|| bare(family, language));
    match words {
        // No incident has all of it.
        Words::Status(status) => Words::Status(Box::new(StatusWords {
            next_update_by: Some(status.at.clone()),
            goes_on_as: Some(other()),
            spared: true,
            earlier: vec![earlier(language, 40, &|minutes| {
                language.time(began().plus(TimeDelta::minutes(minutes)), "UTC")
            })],
            ..*status
        })),
        words => words,
    }
}

/// A sample that has nothing but what it must have.
pub fn bare(family: Family, language: &Language) -> Words {
    let frame = Frame::new(kind(family), language, "");
    let at = |minutes: i64| language.time(began().plus(TimeDelta::minutes(minutes)), "UTC");
    match family {
        Family::Status => Words::Status(Box::new(StatusWords {
            resolved_at: None,
            next_update_by: None,
            goes_on_as: None,
            earlier: Vec::new(),
            requests: Vec::new(),
            more: 0,
            ..status(frame, language, &at)
        })),
        Family::Request => Words::Request(RequestWords {
            body: None,
            incident: None,
            ..request(frame, &at)
        }),
        Family::Account => Words::Account(AccountWords {
            frame,
            said: String::new(),
            at: at(12),
        }),
        Family::Digest => Words::Digest(DigestWords {
            incidents: Vec::new(),
            more: 0,
            ..digest(frame, language, &at)
        }),
        Family::Desk => Words::Desk(DeskWords {
            reference: None,
            facts: Vec::new(),
            ..desk(frame, language, &at)
        }),
    }
}

/// The kind that has most to say.
fn kind(family: Family) -> DeliveryKind {
    match family {
        Family::Status => DeliveryKind::IncidentResolved,
        Family::Request => DeliveryKind::WatcherAdded,
        Family::Account => DeliveryKind::Invitation,
        Family::Digest => DeliveryKind::Digest,
        Family::Desk => DeliveryKind::SlaWarned,
    }
}

/// The tenth of March 2026, 08:15 UTC.
fn began() -> Moment {
    DateTime::from_timestamp(1_773_130_500, 0)
        .unwrap_or_default()
        .into()
}

fn way(what: &str, language: &Language) -> Way {
    Way {
        label: language.word("unsubscribe", what),
        link: format!("{DESK}/v1/unsubscribe/alu_c2FtcGxlIG9mIGEgdG9rZW4"),
    }
}

/// What a duplicate goes on as.
fn other() -> GoesOn {
    GoesOn {
        title: "Sign-in fails in North America".to_owned(),
        link: format!("{DESK}/v1/incidents/{INCIDENT}"),
    }
}

fn status(frame: Frame, language: &Language, at: &dyn Fn(i64) -> String) -> StatusWords {
    let is_over = frame.kind == DeliveryKind::IncidentResolved;
    let goes_on = frame.kind == DeliveryKind::IncidentDuplicate;
    let is_active = matches!(
        frame.kind,
        DeliveryKind::IncidentOpened
            | DeliveryKind::IncidentUpdated
            | DeliveryKind::IncidentRescoped
            | DeliveryKind::IncidentReopened
    );
    let spared = frame.kind == DeliveryKind::IncidentRescoped;
    let status = match frame.kind {
        DeliveryKind::IncidentResolved => "resolved",
        DeliveryKind::IncidentFalsePositive => "false_positive",
        DeliveryKind::IncidentDuplicate => "duplicate",
        DeliveryKind::IncidentReported => "reviewed",
        DeliveryKind::IncidentUpdated | DeliveryKind::IncidentRescoped => "identified",
        _ => "investigating",
    };
    let line = |reference: &str, subject: &str| Line {
        reference: reference.to_owned(),
        subject: subject.to_owned(),
        link: format!("{DESK}/v1/service-requests/{reference}"),
    };
    StatusWords {
        frame,
        title: "Mail is reachable only intermittently".to_owned(),
        body: "Some users in North America cannot open their mailbox.\n\nA certificate of the sign-in service had \
               expired. It has been renewed, and mail that waited is being delivered."
            .to_owned(),
        status: language.word("status", status),
        impact: language.word("impact", "degradation"),
        services: "Exchange Online, Sign-in".to_owned(),
        regions: "North America".to_owned(),
        started_at: at(0),
        resolved_at: is_over.then(|| at(95)),
        at: at(97),
        next_update_by: (is_active && !spared).then(|| at(157)),
        goes_on_as: goes_on.then(other),
        spared,
        earlier: Vec::new(),
        requests: vec![
            line("SR-7K4M9QX2TB", "Nobody in the Boston office can sign in"),
            line("SR-0W3E8RT5YZ", "Calendar invitations arrive hours late"),
        ],
        more: 3,
    }
}

fn earlier(language: &Language, minutes: i64, at: &dyn Fn(i64) -> String) -> Earlier {
    Earlier {
        at: at(minutes),
        status: language.word("status", "identified"),
        body: "The certificate is found.\n\nIt is being renewed.".to_owned(),
    }
}

fn digest(frame: Frame, language: &Language, at: &dyn Fn(i64) -> String) -> DigestWords {
    let news = |title: &str, updates| News {
        title: title.to_owned(),
        link: format!("{DESK}/v1/incidents/{INCIDENT}"),
        updates,
    };
    let update = |minutes| earlier(language, minutes, at);
    DigestWords {
        frame,
        incidents: vec![
            news(
                "Mail is reachable only intermittently",
                vec![update(40), update(70)],
            ),
            news("Calendars are slow", vec![update(55)]),
        ],
        more: 2,
    }
}

fn request(frame: Frame, at: &dyn Fn(i64) -> String) -> RequestWords {
    RequestWords {
        frame,
        reference: "SR-7K4M9QX2TB".to_owned(),
        subject: "Nobody in the Boston office can sign in".to_owned(),
        author: "Grace Hopper".to_owned(),
        body: Some(
            "Good morning,\n\nplease try https://outlook.example/owa instead of the desktop program:\n  \
             1. close it\n  2. sign in on the web\n\nDoes that work for <everybody>?"
                .to_owned(),
        ),
        incident: Some("Mail is reachable only intermittently".to_owned()),
        at: at(30),
    }
}

fn desk(frame: Frame, language: &Language, at: &dyn Fn(i64) -> String) -> DeskWords {
    let fact = |name: &str, value: String| Fact {
        name: language.word("fact", name),
        value,
    };
    DeskWords {
        frame,
        reference: Some("SR-7K4M9QX2TB".to_owned()),
        title: "Nobody in the Boston office can sign in".to_owned(),
        facts: vec![
            fact("severity", "a".to_owned()),
            fact("clock", language.word("clock", "first_response")),
            fact("due", at(60)),
            fact("service", "exchange-online".to_owned()),
            fact("region", "north-america".to_owned()),
            fact("filed", at(30)),
        ],
    }
}
