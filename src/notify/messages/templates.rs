//! The templates that mail is made of: files that come with the program, each of which the operator may replace.
//!
//! All are checked when they are read: whether they can be read at all, whether each name in them is one that the mail
//! has, and whether every sample comes out of them. So no mail has an empty word in it, or fails for a template.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Serde, Value};
use minijinja::{AutoEscape, Environment, State, UndefinedBehavior, context};

use super::family::Family;
use super::mistakes::{BadTemplate, BadTemplates, line_of};
use super::pages::{Page, PageWords};
use super::phrases::{Language, Languages, TAGS};
use super::{folder, samples, typed};
use crate::problem::Problem;

macro_rules! embedded {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("../templates/", $name)))),*] };
}

/// The files, by the names under which the operator may put others.
const FILES: &[(&str, &str)] = embedded! {
    "layout.html" "layout.txt"
    "status.html" "status.txt" "status.subject.txt"
    "request.html" "request.txt" "request.subject.txt"
    "account.html" "account.txt" "account.subject.txt"
    "digest.html" "digest.txt" "digest.subject.txt"
    "desk.html" "desk.txt" "desk.subject.txt"
    "page.html"
    "phrases/en.toml" "phrases/de.toml" "phrases/fr.toml" "phrases/es.toml" "phrases/ja.toml"
};

/// The template of a page.
const PAGE: &str = "page.html";
/// What a template may use up: many times what ours do, and little enough that a loop without end is one.
const FUEL: u64 = 1_000_000;

/// What came out of the templates of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The subject, one line.
    pub subject: String,
    /// The plain part.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

/// Templates and phrases, checked.
pub struct Templates {
    environment: Environment<'static>,
    languages: Languages,
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Templates(…)")
    }
}

impl Templates {
    /// Those that come with the program, and over them those of a folder.
    pub fn load(folder: Option<&Path>) -> Result<Self, BadTemplates> {
        let replaced = match folder {
            Some(folder) => folder::read(folder, &|name| Self::embedded(name).is_some())?,
            None => BTreeMap::new(),
        };
        let languages = languages(&replaced).map_err(BadTemplates)?;
        let templates = Self {
            environment: environment(&replaced)?,
            languages,
        };
        // What comes with the program was checked when it was built, by the tests.
        if !replaced.is_empty() {
            templates.check()?;
        }
        Ok(templates)
    }

    /// The text of a file that comes with the program.
    pub fn embedded(name: &str) -> Option<&'static str> {
        FILES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, text)| *text)
    }

    /// The languages.
    pub fn languages(&self) -> &Languages {
        &self.languages
    }

    /// Makes a mail of what it has to say.
    pub fn write(
        &self,
        family: Family,
        language: &Arc<Language>,
        words: impl serde::Serialize,
    ) -> Result<Written, Problem> {
        let words = Value::from(Serde(words));
        let [subject, text, html] = family.files();
        let render = |file: &str| {
            let rendered = self.render(file, language, &words);
            rendered.map_err(|error| Problem::internal(BadTemplate::of(&error, file)))
        };
        Ok(Written {
            subject: render(&subject)?.trim().to_owned(),
            text: render(&text)?,
            html: render(&html)?,
        })
    }

    /// Makes a page of what it has to say.
    pub fn page(&self, language: &Arc<Language>, words: &PageWords) -> Result<String, Problem> {
        let rendered = self.render(PAGE, language, &Value::from(Serde(words.clone())));
        rendered.map_err(|error| Problem::internal(BadTemplate::of(&error, PAGE)))
    }

    fn render(
        &self,
        file: &str,
        language: &Arc<Language>,
        words: &Value,
    ) -> Result<String, minijinja::Error> {
        let say = Value::from_object(Say {
            language: Arc::clone(language),
            words: words.clone(),
        });
        let all = context! { say, ..words.clone() };
        self.environment.get_template(file)?.render(all)
    }

    /// Finds every name that no mail has, and renders every sample in every language.
    pub fn check(&self) -> Result<(), BadTemplates> {
        let mut bad = Vec::new();
        for family in Family::ALL {
            let full = Value::from(Serde(samples::full(family, self.languages.of("en"))));
            for file in family.files() {
                bad.extend(self.unknown_names(&file, &full));
            }
            for file in ["layout.html", "layout.txt"] {
                bad.extend(self.unknown_names(file, &full));
            }
        }
        let ask = PageWords::new(Page::Ask, self.languages.of("en"));
        bad.extend(self.unknown_names(PAGE, &Value::from(Serde(ask))));
        if bad.is_empty() {
            bad.extend(
                self.languages
                    .all()
                    .flat_map(|language| self.misprinted_pages(language)),
            );
            bad.extend(Family::ALL.iter().flat_map(|family| self.misprints(*family)));
        }
        bad.sort_by_key(ToString::to_string);
        bad.dedup();
        if bad.is_empty() {
            Ok(())
        } else {
            Err(BadTemplates(bad))
        }
    }

    fn unknown_names(&self, file: &str, full: &Value) -> Vec<BadTemplate> {
        let Ok(template) = self.environment.get_template(file) else {
            return vec![BadTemplate::new(file, None, "it is missing")];
        };
        let mut names: Vec<String> = template.undeclared_variables(true).into_iter().collect();
        names.retain(|name| !self.is_known(name, full));
        names.sort_unstable();
        let unknown = |name: String| {
            let what = format!("`{name}` is nothing that this mail knows");
            BadTemplate::new(file, line_of(template.source(), &name), &what)
        };
        names.into_iter().map(unknown).collect()
    }

    fn is_known(&self, name: &str, full: &Value) -> bool {
        if let Some(phrase) = name.strip_prefix("say.") {
            return self.languages.of("en").phrase("say", phrase).is_some();
        }
        if self.environment.globals().any(|(global, _)| global == name) {
            return true;
        }
        let mut value = full.clone();
        for part in name.split('.') {
            value = match value.get_attr(part) {
                Ok(found) if !found.is_undefined() => found,
                // There is nothing to look into: this family never has it.
                _ => return value.is_none(),
            };
        }
        true
    }

    fn misprinted_pages(&self, language: &Arc<Language>) -> Vec<BadTemplate> {
        let words = |page: &Page| Value::from(Serde(PageWords::new(*page, language)));
        let rendered = Page::ALL
            .iter()
            .map(|page| self.render(PAGE, language, &words(page)));
        let errors = rendered.filter_map(Result::err);
        errors.map(|error| BadTemplate::of(&error, PAGE)).collect()
    }

    fn misprints(&self, family: Family) -> Vec<BadTemplate> {
        let mut bad = Vec::new();
        for language in self.languages.all() {
            for words in [samples::full(family, language), samples::bare(family, language)] {
                let words = Value::from(Serde(words));
                for file in family.files() {
                    let rendered = self.render(&file, language, &words);
                    bad.extend(rendered.err().map(|error| BadTemplate::of(&error, &file)));
                }
            }
        }
        bad
    }
}

/// The phrases, filled with what a mail has to say when a template asks for them.
#[derive(Debug)]
struct Say {
    language: Arc<Language>,
    words: Value,
}

impl Object for Say {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let phrase = self.language.phrase("say", key.as_str()?)?;
        let value = |name: &str| {
            let value = self.words.get_attr(name).ok()?;
            (!value.is_undefined()).then(|| value.to_string())
        };
        phrase.fill(value).map(Value::from)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

fn environment(replaced: &BTreeMap<String, String>) -> Result<Environment<'static>, BadTemplates> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_formatter(escaped);
    environment.add_filter("typed", |text: &str| typed::marked(text));
    let mut bad = Vec::new();
    let templates = FILES.iter().filter(|(name, _)| !name.ends_with(".toml"));
    for (name, text) in templates {
        let text = replaced.get(*name).map_or(*text, String::as_str);
        if let Err(error) = environment.add_template_owned(*name, text.to_owned()) {
            bad.push(BadTemplate::of(&error, name));
        }
    }
    if bad.is_empty() {
        Ok(environment)
    } else {
        Err(BadTemplates(bad))
    }
}

/// Writes a value; what stands in a file that ends in `.html` is escaped. By ourselves and not by the engine, which
/// makes `&#x2f;` of each slash: in a link that is more than some mail programs read.
fn escaped(
    out: &mut minijinja::Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), minijinja::Error> {
    if *state.auto_escape() == AutoEscape::None || value.is_safe() {
        return Ok(write!(out, "{value}")?);
    }
    let text = value
        .as_str()
        .map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed);
    let mut written = 0;
    for (at, letter) in text.char_indices() {
        let entity = match letter {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\'' => "&#39;",
            _ => continue,
        };
        out.write_str(text.get(written..at).unwrap_or_default())?;
        out.write_str(entity)?;
        written = at + 1;
    }
    Ok(out.write_str(text.get(written..).unwrap_or_default())?)
}

fn languages(replaced: &BTreeMap<String, String>) -> Result<Languages, Vec<BadTemplate>> {
    let mut bad = Vec::new();
    let read = |tag: &'static str, under: Option<&Language>| {
        let file = format!("phrases/{tag}.toml");
        let own = Templates::embedded(&file).unwrap_or_default();
        let ours = Language::read(tag, under, (&file, own))?;
        match replaced.get(&file) {
            Some(text) => Language::read(tag, Some(&ours), (&file, text)),
            None => Ok(ours),
        }
    };
    let [first, others @ ..] = TAGS;
    let english = read(first, None)?;
    let mut spoken = Vec::new();
    for tag in others {
        match read(tag, Some(&english)) {
            Ok(language) => spoken.push(language),
            Err(more) => bad.extend(more),
        }
    }
    if bad.is_empty() {
        Ok(Languages::new(english, spoken))
    } else {
        Err(bad)
    }
}

#[cfg(test)]
mod tests;
