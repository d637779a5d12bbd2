//! What the templates know: the values of a mail, by the names under which a template says them.
//!
//! Here are no decisions; what a name means to whoever writes templates is in docs/templates.md.

use serde::Serialize;

use super::family::Family;
use super::phrases::Language;
use super::typed;
use crate::mail::DeliveryKind;

/// What every mail has.
#[derive(Clone, Debug, Serialize)]
pub struct Frame {
    /// What the mail is: `incident_opened`.
    pub kind: DeliveryKind,
    /// The tag of the language: `en`.
    pub language: &'static str,
    /// What has happened, in a few words.
    pub headline: String,
    /// `trouble`, `over` or `plain`.
    pub tone: &'static str,
    /// The colour of that.
    pub colour: &'static str,
    /// Whom the mail greets; none where there is no name, or one that does not read like a name.
    pub name: Option<String>,
    /// Where there is more.
    pub link: Option<String>,
    /// How to get no more of these.
    pub unsubscribe: Option<Way>,
    /// The line above which an answer is written; none in mail that is not answered.
    pub answer_above: Option<String>,
}

/// A link with its words.
#[derive(Clone, Debug, Serialize)]
pub struct Way {
    /// What it says.
    pub label: String,
    /// Where it leads.
    pub link: String,
}

impl Frame {
    /// Of a mail of this kind to somebody of this name.
    pub fn new(kind: DeliveryKind, language: &Language, name: &str) -> Self {
        let (tone, colour) = tone(kind);
        Self {
            kind,
            language: language.tag,
            headline: language.word("headline", kind.as_str()),
            tone,
            colour,
            name: typed::greeted(name),
            link: None,
            unsubscribe: None,
            answer_above: None,
        }
    }
}

/// Dark enough on white, and the classes of the layout have lighter ones for the dark.
fn tone(kind: DeliveryKind) -> (&'static str, &'static str) {
    match kind {
        DeliveryKind::IncidentOpened
        | DeliveryKind::IncidentUpdated
        | DeliveryKind::IncidentRescoped
        | DeliveryKind::IncidentReopened
        | DeliveryKind::UrgentRequest
        | DeliveryKind::SlaWarned
        | DeliveryKind::SlaBreached
        | DeliveryKind::RequestEscalated
        | DeliveryKind::PromiseWarned
        | DeliveryKind::PromiseMissed
        | DeliveryKind::AddressSuppressed => ("trouble", "#96560a"),
        DeliveryKind::IncidentResolved
        | DeliveryKind::IncidentFalsePositive
        | DeliveryKind::RequestResolved => ("over", "#1b7a3c"),
        _ => ("plain", "#1f5fbf"),
    }
}

/// A request as a mail lists it.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Its reference.
    pub reference: String,
    /// Its subject.
    pub subject: String,
    /// Where it is.
    pub link: String,
}

/// What a status mail says.
#[derive(Clone, Debug, Serialize)]
pub struct StatusWords {
    #[serde(flatten)]
    pub frame: Frame,
    /// What the incident is called.
    pub title: String,
    /// The text of the update.
    pub body: String,
    pub status: String,
    pub impact: String,
    pub services: String,
    pub regions: String,
    pub started_at: String,
    pub resolved_at: Option<String>,
    /// When the update was written.
    pub at: String,
    pub next_update_by: Option<String>,
    /// What a duplicate goes on as.
    pub goes_on_as: Option<GoesOn>,
    /// Whether it goes on, and no longer affects the reader's tenant.
    pub spared: bool,
    /// Updates that the reader has not got, which were kept for the next digest.
    pub earlier: Vec<Earlier>,
    /// The reader's own requests about it, the first of them.
    pub requests: Vec<Line>,
    /// How many there are besides.
    pub more: i64,
}

/// An update, as a mail says it besides.
#[derive(Clone, Debug, Serialize)]
pub struct Earlier {
    /// When it was written.
    pub at: String,
    /// What the incident's status was then.
    pub status: String,
    pub body: String,
}

/// What became known of an incident, as a digest says it.
#[derive(Clone, Debug, Serialize)]
pub struct News {
    pub title: String,
    pub link: String,
    /// The updates, oldest first.
    pub updates: Vec<Earlier>,
}

/// What a digest says.
#[derive(Clone, Debug, Serialize)]
pub struct DigestWords {
    #[serde(flatten)]
    pub frame: Frame,
    pub incidents: Vec<News>,
    /// How many updates there are besides.
    pub more: usize,
}

/// Another incident, as a mail names it.
#[derive(Clone, Debug, Serialize)]
pub struct GoesOn {
    pub title: String,
    pub link: String,
}

/// What a request's own mail says.
#[derive(Clone, Debug, Serialize)]
pub struct RequestWords {
    #[serde(flatten)]
    pub frame: Frame,
    pub reference: String,
    pub subject: String,
    /// Who wrote the text, or did what the mail tells.
    pub author: String,
    /// The description or the comment.
    pub body: Option<String>,
    /// What the incident is called that it is about.
    pub incident: Option<String>,
    pub at: String,
}

/// What a mail about somebody's account says.
#[derive(Clone, Debug, Serialize)]
pub struct AccountWords {
    #[serde(flatten)]
    pub frame: Frame,
    /// What to do about it.
    pub said: String,
    pub at: String,
}

/// Something there is to know, with its name.
#[derive(Clone, Debug, Serialize)]
pub struct Fact {
    pub name: String,
    pub value: String,
}

/// What a mail to the desk says.
#[derive(Clone, Debug, Serialize)]
pub struct DeskWords {
    #[serde(flatten)]
    pub frame: Frame,
    /// The reference of a request; none for an incident or a queue.
    pub reference: Option<String>,
    pub title: String,
    pub facts: Vec<Fact>,
}

/// What a mail of any family says.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Words {
    Status(Box<StatusWords>),
    Request(RequestWords),
    Account(AccountWords),
    Digest(DigestWords),
    Desk(DeskWords),
}

impl Words {
    /// Which templates say it.
    pub fn family(&self) -> Family {
        match self {
            Self::Status(_) => Family::Status,
            Self::Request(_) => Family::Request,
            Self::Account(_) => Family::Account,
            Self::Digest(_) => Family::Digest,
            Self::Desk(_) => Family::Desk,
        }
    }

    /// What it has like every mail.
    pub fn frame(&self) -> &Frame {
        match self {
            Self::Status(words) => &words.frame,
            Self::Request(words) => &words.frame,
            Self::Account(words) => &words.frame,
            Self::Digest(words) => &words.frame,
            Self::Desk(words) => &words.frame,
        }
    }
}
