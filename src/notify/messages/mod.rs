//! The words of every mail: what a mail has to say is read here, how it is said stands in the templates.
//!
//! A message is rendered when it is handed over, from what is in the database then; its event says what it tells. What
//! the messages of a batch have in common, such as an incident and its update, is read once.

mod account;
mod desk;
mod digest;
mod family;
mod folder;
mod mistakes;
mod pages;
mod phrases;
mod request;
mod samples;
mod status;
mod templates;
mod typed;
mod words;

use std::sync::Arc;

pub use mistakes::BadTemplates;
pub use pages::Page;
pub use templates::{Templates, Written};

use crate::db::Connection;
use crate::identity::keys::Secret;
use crate::mail::inbound::quote;
use crate::mail::unsubscribe::{Links, What, Wish};
use crate::mail::{Content, Delivery, DeliveryKind, List, Render};
use crate::problem::Problem;
use family::Family;
use phrases::Language;
use status::Shared;
use words::{Frame, Way, Words};

/// Finds the words.
#[derive(Clone, Debug)]
pub struct Messages {
    public_url: String,
    seal: Secret,
    unsubscribe: Links,
    /// Whether answers come in.
    is_answered: bool,
    templates: Arc<Templates>,
}

impl Render for Messages {
    fn render(&self, conn: &mut Connection, deliveries: &[Delivery]) -> Vec<Result<Content, Problem>> {
        let shared = Shared::read(conn, deliveries);
        let words = |delivery| self.words(conn, &shared, delivery);
        deliveries.iter().map(words).collect()
    }
}

impl Messages {
    /// With links to this address; `seal` makes the tokens in some of them. Where answers come in, the mail asks for them.
    pub fn new(
        public_url: &str,
        seal: Secret,
        templates: Templates,
        is_answered: bool,
    ) -> Result<Self, Problem> {
        Ok(Self {
            is_answered,
            public_url: public_url.to_owned(),
            unsubscribe: Links::new(&seal, public_url)?,
            seal,
            templates: Arc::new(templates),
        })
    }

    /// What a link of a mail says, by the token in it; none for one that we did not make.
    pub fn wish(&self, token: &str) -> Option<Wish> {
        self.unsubscribe.open(token)
    }

    /// The kinds of mail there are words for, each with the templates that make it.
    pub fn kinds() -> impl Iterator<Item = (DeliveryKind, [String; 3])> {
        let kinds = DeliveryKind::ALL.iter();
        kinds.filter_map(|kind| Some((*kind, Family::of(*kind)?.files())))
    }

    /// The languages there are, the one for everybody else first.
    pub fn languages(&self) -> impl Iterator<Item = &'static str> {
        self.templates.languages().all().map(|language| language.tag)
    }

    /// What somebody with this language and time zone would get of a kind.
    pub fn preview(&self, kind: DeliveryKind, locale: &str, zone: &str) -> Result<Written, Problem> {
        let language = self.templates.languages().of(locale);
        let words = samples::of(kind, language, zone).ok_or_else(|| Problem::not_found("template"))?;
        self.templates.write(words.family(), language, words)
    }

    fn words(&self, conn: &mut Connection, shared: &Shared, delivery: &Delivery) -> Result<Content, Problem> {
        match Family::of(delivery.kind) {
            Some(Family::Status) => self.status_mail(conn, shared, delivery),
            Some(Family::Request) => self.request_mail(conn, delivery),
            Some(Family::Account) => self.account_mail(conn, delivery),
            Some(Family::Digest) => self.digest_mail(conn, shared, delivery),
            Some(Family::Desk) => self.desk_mail(conn, delivery),
            None => Err(Problem::internal("there are no words for a message of this kind")),
        }
    }

    /// The language that somebody reads.
    fn language(&self, delivery: &Delivery) -> &Arc<Language> {
        self.templates.languages().of(&delivery.locale)
    }

    /// What every mail begins with.
    fn frame(&self, delivery: &Delivery) -> Frame {
        let language = self.language(delivery);
        let asks = self.is_answered && delivery.kind.is_answered();
        Frame {
            answer_above: asks.then(|| quote::mark(&language.word("say", "answer_above"))),
            ..Frame::new(delivery.kind, language, &delivery.name)
        }
    }

    /// How somebody gets no more of what they did not ask for.
    fn way_out(&self, delivery: &Delivery, what: What) -> Option<Way> {
        let phrase = match what {
            What::Request(_) => "request",
            What::Incident(_) => "incident",
            What::Everything => "everything",
        };
        Some(Way {
            label: self.language(delivery).word("unsubscribe", phrase),
            link: self.unsubscribe.link(&Wish::new(delivery, what))?,
        })
    }

    /// Says it. Mail that one can be rid of is that of a list, under its thread's name.
    fn content(&self, delivery: &Delivery, words: Words, thread_root: String) -> Result<Content, Problem> {
        let unsubscribe = words.frame().unsubscribe.as_ref().map(|way| way.link.clone());
        let written = self
            .templates
            .write(words.family(), self.language(delivery), words)?;
        let list = unsubscribe.map(|link| List {
            id: thread_root.replace('.', "-"),
            unsubscribe: Some(link),
        });
        Ok(Content {
            subject: written.subject,
            text: written.text,
            html: written.html,
            thread_root,
            list,
        })
    }
}
