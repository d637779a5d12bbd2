//! What mail says in each language: phrases with names in them, words, and times.
//!
//! A file a language, `phrases/de.toml`: sections of phrases. English has every phrase; what another language lacks is
//! said in English. `{name}` stands for what the mail knows by that name.

use std::collections::BTreeMap;
use std::str::FromStr as _;
use std::sync::Arc;

use chrono::{DateTime, Datelike as _, TimeZone};
use chrono_tz::Tz;

use super::mistakes::{BadTemplate, line_of};
use crate::db::Moment;

/// The languages there are; the first is what the others fall back to.
pub const TAGS: [&str; 5] = ["en", "de", "fr", "es", "ja"];

/// A text with names in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(String),
}

impl Phrase {
    /// Reads `Hello {name},`; `None` when the braces do not match.
    pub fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
            if before.contains('}') || name.is_empty() || !name.chars().all(is_name) {
                return None;
            }
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Name(name.to_owned()));
            rest = after;
        }
        if rest.contains('}') {
            return None;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Some(Self(pieces))
    }

    /// The names in it, in order.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.iter().filter_map(Piece::name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The text, each name replaced; `None` when one is not known.
    pub fn fill(&self, value: impl Fn(&str) -> Option<String>) -> Option<String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Name(name) => text.push_str(&value(name)?),
            }
        }
        Some(text)
    }
}

impl Piece {
    fn name(&self) -> Option<&str> {
        match self {
            Piece::Text(_) => None,
            Piece::Name(name) => Some(name),
        }
    }
}

/// Phrases by their names, in sections by theirs.
type Phrases = BTreeMap<String, BTreeMap<String, Phrase>>;

/// One language.
#[derive(Debug)]
pub struct Language {
    /// Its tag.
    pub tag: &'static str,
    phrases: Phrases,
}

impl Language {
    /// Reads a file of phrases over those of `under`, which says which there are and which names are in them.
    ///
    /// `file` is what a mistake is reported in.
    pub fn read(
        tag: &'static str,
        under: Option<&Language>,
        (file, text): (&str, &str),
    ) -> Result<Self, Vec<BadTemplate>> {
        type Sections = BTreeMap<String, BTreeMap<String, String>>;
        let sections: Sections = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map(|before| before.matches('\n').count() + 1);
            vec![BadTemplate::new(file, line, error.message())]
        })?;
        let mut bad = Vec::new();
        let mut phrases = under.map(|under| under.phrases.clone()).unwrap_or_default();
        for (section, entries) in sections {
            for (name, entry) in entries {
                match checked(under, (&section, &name), &entry) {
                    Ok(phrase) => {
                        let said = phrases.entry(section.clone()).or_default();
                        said.insert(name, phrase);
                    }
                    Err(what) => bad.push(BadTemplate::new(file, line_of(text, &name), &what)),
                }
            }
        }
        if bad.is_empty() {
            Ok(Self { tag, phrases })
        } else {
            Err(bad)
        }
    }

    /// A phrase.
    pub fn phrase(&self, section: &str, name: &str) -> Option<&Phrase> {
        self.phrases.get(section)?.get(name)
    }

    /// A word without names in it; the name itself, where there is no such word.
    pub fn word(&self, section: &str, name: &str) -> String {
        let word = self.phrase(section, name).and_then(|word| word.fill(|_| None));
        word.unwrap_or_else(|| name.replace('_', " "))
    }

    /// The keys of all phrases.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.phrases
            .iter()
            .flat_map(|(section, entries)| entries.keys().map(move |name| (section.as_str(), name.as_str())))
    }

    /// A time in the reader's zone, with UTC beside it.
    pub fn time(&self, at: Moment, zone: &str) -> String {
        let utc = self.instant(&at.utc());
        let Some(zone) = Tz::from_str(zone).ok().filter(|zone| *zone != Tz::UTC) else {
            return utc;
        };
        let local = self.instant(&at.utc().with_timezone(&zone));
        let both = |name: &str| match name {
            "local" => Some(local.clone()),
            "utc" => Some(utc.clone()),
            _ => None,
        };
        let both = self.phrase("date", "both").and_then(|phrase| phrase.fill(both));
        both.unwrap_or(utc)
    }

    fn instant<Z: TimeZone<Offset: std::fmt::Display>>(&self, at: &DateTime<Z>) -> String {
        let part = |name: &str| match name {
            "day" if at.day() == 1 => Some(self.word("date", "first")),
            "day" => Some(at.day().to_string()),
            "month" => Some(self.word("month", &at.month().to_string())),
            "year" => Some(at.year().to_string()),
            "time" => Some(at.format("%H:%M").to_string()),
            "zone" => Some(at.format("%Z").to_string()),
            _ => None,
        };
        let said = self.phrase("date", "at").and_then(|phrase| phrase.fill(part));
        said.unwrap_or_else(|| at.format("%Y-%m-%d %H:%M %Z").to_string())
    }
}

/// A phrase, if it is one that the language under it has, with no other names.
fn checked(under: Option<&Language>, (section, name): (&str, &str), entry: &str) -> Result<Phrase, String> {
    let phrase =
        Phrase::parse(entry).ok_or_else(|| format!("`{section}.{name}`: the braces do not match"))?;
    let Some(under) = under else {
        return Ok(phrase);
    };
    let Some(known) = under.phrase(section, name) else {
        return Err(format!("there is no phrase `{section}.{name}`"));
    };
    let names = known.names();
    match phrase.names().iter().find(|name| !names.contains(name)) {
        Some(other) => Err(format!("`{section}.{name}` does not know `{other}`")),
        None => Ok(phrase),
    }
}

/// All languages.
#[derive(Debug)]
pub struct Languages {
    english: Arc<Language>,
    others: Vec<Arc<Language>>,
}

impl Languages {
    /// Of English and the others.
    pub fn new(english: Language, others: Vec<Language>) -> Self {
        Self {
            english: Arc::new(english),
            others: others.into_iter().map(Arc::new).collect(),
        }
    }

    /// The language of a reader with this locale: `de-AT` reads `de`.
    pub fn of(&self, locale: &str) -> &Arc<Language> {
        let tag = locale.split(['-', '_']).next().unwrap_or_default();
        let spoken = |language: &&Arc<Language>| language.tag.eq_ignore_ascii_case(tag);
        self.others.iter().find(spoken).unwrap_or(&self.english)
    }

    /// The language of the first of these locales that there is one of.
    pub fn first_of(&self, locales: &[String]) -> &Arc<Language> {
        let found = locales.iter().find_map(|locale| {
            let tag = locale.split(['-', '_']).next()?;
            self.all().find(|language| language.tag.eq_ignore_ascii_case(tag))
        });
        found.unwrap_or(&self.english)
    }

    /// Every language, English first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Language>> {
        std::iter::once(&self.english).chain(&self.others)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::templates::Templates;
    use super::*;
    use crate::mail::DeliveryKind;

    fn at(text: &str) -> Moment {
        let at = chrono::DateTime::parse_from_rfc3339(text).unwrap();
        at.with_timezone(&chrono::Utc).into()
    }

    #[test]
    fn phrases_have_names_in_braces() {
        for (text, names) in [
            ("", Some(vec![])),
            ("Hello", Some(vec![])),
            ("Hello {name},", Some(vec!["name"])),
            ("{a}{b_c} {a}", Some(vec!["a", "b_c"])),
            ("{", None),
            ("}", None),
            ("a } b { c }", None),
            ("{}", None),
            ("{ name }", None),
            ("{{name}}", None),
        ] {
            let phrase = Phrase::parse(text);
            assert_eq!(phrase.as_ref().map(Phrase::names), names, "{text}");
        }
        let phrase = Phrase::parse("Hello {name}, it is {at}.").unwrap();
        let said = phrase.fill(|name| Some(name.to_uppercase()));
        assert_eq!(said.as_deref(), Some("Hello NAME, it is AT."));
        assert_eq!(phrase.fill(|_| None), None);
        // What is filled in is not read again.
        let said = phrase.fill(|_| Some("{at}".to_owned()));
        assert_eq!(said.as_deref(), Some("Hello {at}, it is {at}."));
    }

    #[test]
    fn every_language_says_every_phrase_with_the_same_names() {
        let templates = Templates::load(None).unwrap();
        let languages = templates.languages();
        let english = languages.of("en");
        let read = |tag: &str| {
            let text = Templates::embedded(&format!("phrases/{tag}.toml")).unwrap();
            let sections: BTreeMap<String, BTreeMap<String, String>> = toml::from_str(text).unwrap();
            let keys = |(section, entries): (String, BTreeMap<String, String>)| {
                entries.into_keys().map(move |name| (section.clone(), name))
            };
            sections
                .into_iter()
                .flat_map(keys)
                .collect::<BTreeSet<(String, String)>>()
        };
        assert_eq!(languages.all().count(), TAGS.len());
        for language in languages.all() {
            assert_eq!(read(language.tag), read("en"), "{}", language.tag);
            for (section, name) in english.keys() {
                let (said, meant) = (language.phrase(section, name), english.phrase(section, name));
                let names = |phrase: Option<&Phrase>| {
                    phrase.map(|phrase| phrase.names().into_iter().map(str::to_owned).collect::<Vec<_>>())
                };
                assert_eq!(names(said), names(meant), "{section}.{name} in {}", language.tag);
            }
        }
    }

    #[test]
    fn every_word_that_the_code_asks_for_is_there() {
        use crate::incidents::{Impact, Status};
        let templates = Templates::load(None).unwrap();
        let english = templates.languages().of("en");
        let mut wanted: Vec<(&str, &str)> = Vec::new();
        for kind in DeliveryKind::ALL
            .iter()
            .filter(|kind| **kind != DeliveryKind::Unknown)
        {
            wanted.push(("headline", kind.as_str()));
        }
        wanted.extend(Status::ALL.iter().map(|status| ("status", status.as_str())));
        wanted.extend(Impact::ALL.iter().map(|impact| ("impact", impact.as_str())));
        wanted.extend(
            crate::sla::Clock::ALL
                .iter()
                .map(|clock| ("clock", clock.as_str())),
        );
        for (section, name) in wanted {
            assert!(english.phrase(section, name).is_some(), "{section}.{name}");
        }
    }

    #[test]
    fn a_reader_gets_the_language_of_their_locale_or_english() {
        let templates = Templates::load(None).unwrap();
        for (locale, tag) in [
            ("en", "en"),
            ("de", "de"),
            ("de-AT", "de"),
            ("DE_ch", "de"),
            ("fr-CA", "fr"),
            ("es-419", "es"),
            ("ja-JP", "ja"),
            ("pt-BR", "en"),
            ("den", "en"),
            ("", "en"),
        ] {
            assert_eq!(templates.languages().of(locale).tag, tag, "{locale}");
        }
    }

    #[test]
    fn a_page_is_in_the_first_language_that_is_asked_for_and_there_is() {
        let templates = Templates::load(None).unwrap();
        for (asked, tag) in [
            (&["fr-CA", "de"][..], "fr"),
            (&["pt-BR", "es"], "es"),
            (&["pt", "en-GB", "ja"], "en"),
            (&["pt"], "en"),
            (&[], "en"),
        ] {
            let asked: Vec<String> = asked.iter().map(|tag| (*tag).to_owned()).collect();
            assert_eq!(templates.languages().first_of(&asked).tag, tag, "{asked:?}");
        }
    }

    #[test]
    fn times_are_the_readers_with_utc_beside_them() {
        let templates = Templates::load(None).unwrap();
        let (evening, first) = (at("2010-08-23T21:05:00Z"), at("2010-08-31T22:30:00Z"));
        for (locale, at, zone, said) in [
            (
                "en",
                evening,
                "America/New_York",
                "23 August 2010, 17:05 EDT (23 August 2010, 21:05 UTC)",
            ),
            ("en", evening, "UTC", "23 August 2010, 21:05 UTC"),
            ("en", evening, "nowhere", "23 August 2010, 21:05 UTC"),
            (
                "de",
                first,
                "Europe/Berlin",
                "1. September 2010, 00:30 Uhr CEST (31. August 2010, 22:30 Uhr UTC)",
            ),
            (
                "fr",
                first,
                "Europe/Paris",
                "1er septembre 2010 à 00:30 CEST (31 août 2010 à 22:30 UTC)",
            ),
            ("es", evening, "UTC", "23 de agosto de 2010, 21:05 UTC"),
            (
                "ja",
                evening,
                "Asia/Tokyo",
                "2010年8月24日 06:05 JST（2010年8月23日 21:05 UTC）",
            ),
        ] {
            assert_eq!(templates.languages().of(locale).time(at, zone), said);
        }
    }
}
