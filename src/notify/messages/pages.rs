//! The pages that the link of a mail leads to, in a language of their reader's.

use serde::Serialize;

use super::Messages;
use super::phrases::Language;
use crate::problem::Problem;

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Whether one really wants no more mail.
    Ask,
    /// There is no more.
    Stopped,
    /// There is mail again.
    Resumed,
    /// The link is none of ours.
    Unknown,
}

impl Page {
    /// Every page.
    pub const ALL: [Self; 4] = [Self::Ask, Self::Stopped, Self::Resumed, Self::Unknown];

    /// What its phrases begin with.
    fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Stopped => "stopped",
            Self::Resumed => "resumed",
            Self::Unknown => "unknown",
        }
    }

    /// Its buttons: what each says, and what it wishes.
    fn buttons(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Ask => &[("stop", ""), ("stop_all", "nothing")],
            Self::Stopped => &[("again", "again")],
            Self::Resumed => &[("stop", "")],
            Self::Unknown => &[],
        }
    }
}

/// What a page says.
#[derive(Clone, Debug, Serialize)]
pub struct PageWords {
    language: &'static str,
    title: String,
    text: String,
    buttons: Vec<Button>,
}

#[derive(Clone, Debug, Serialize)]
struct Button {
    label: String,
    wish: &'static str,
}

impl PageWords {
    /// Of a page, in a language.
    pub fn new(page: Page, language: &Language) -> Self {
        let word = |name: &str| language.word("page", name);
        let button = |(label, wish): &(&str, &'static str)| Button {
            label: word(label),
            wish,
        };
        Self {
            language: language.tag,
            title: word(&format!("{}_title", page.name())),
            text: word(&format!("{}_text", page.name())),
            buttons: page.buttons().iter().map(button).collect(),
        }
    }
}

impl Messages {
    /// A page in the first of these languages that there is.
    pub fn page(&self, page: Page, locales: &[String]) -> Result<String, Problem> {
        let language = self.templates.languages().first_of(locales);
        self.templates.page(language, &PageWords::new(page, language))
    }
}
