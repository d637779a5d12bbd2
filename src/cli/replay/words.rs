//! Texts of the logs as the API takes them: cleaned, cut, never blank; and the slugs made of them.

use std::collections::HashSet;

use crate::text;

/// The longest slug made of a name; prefixes and numbers still fit into the 63 characters that a slug may have.
const SLUG: usize = 40;

/// One line of at most `most` characters; `otherwise` when nothing is left of it.
pub fn line(logged: &str, most: usize, otherwise: &str) -> String {
    let cut = text::shortened(logged, most);
    if cut.trim().is_empty() {
        otherwise.to_owned()
    } else {
        cut.trim().to_owned()
    }
}

/// A text of at most 20,000 characters on as many lines as it had; `otherwise` when nothing is left of it.
pub fn body(logged: &str, otherwise: &str) -> String {
    let lines: Vec<String> = logged.lines().map(text::cleaned).collect();
    let cut: String = lines.join("\n").chars().take(20_000).collect();
    if cut.trim().is_empty() {
        otherwise.to_owned()
    } else {
        cut.trim().to_owned()
    }
}

/// Makes slugs, none of them twice.
#[derive(Debug, Default)]
pub struct Slugs(HashSet<String>);

impl Slugs {
    /// The slug of a name; made of `noun` when the name has nothing that a slug may have.
    pub fn of(&mut self, name: &str, noun: &str) -> String {
        let stem = stem(name).unwrap_or_else(|| noun.to_owned());
        let numbered = (2..).map(|number: u32| format!("{stem}-{number}"));
        let free = std::iter::once(stem.clone())
            .chain(numbered)
            .find(|slug| !self.0.contains(slug));
        let slug = free.unwrap_or(stem);
        self.0.insert(slug.clone());
        slug
    }
}

/// Letters and digits of ASCII in lower case, everything else a hyphen between them.
fn stem(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let words = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let slug: String = words.collect::<Vec<_>>().join("-").chars().take(SLUG).collect();
    let slug = slug.trim_end_matches('-');
    (!slug.is_empty()).then(|| slug.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_bodies_are_what_the_api_takes() {
        assert_eq!(line(" a\tb\r\nc\0 ", 200, "x"), "a b  c");
        assert_eq!(line("\u{7}\n", 200, "x"), "x");
        assert_eq!(line(&"é".repeat(300), 200, "x").chars().count(), 200);
        assert_eq!(body("a\u{0}\r\n\r\nb\u{202E}c\n", "x"), "a\n\nb c");
        assert_eq!(body(" \n ", "x"), "x");
        let long = body(&"é\n".repeat(30_000), "x");
        assert!(long.chars().count() <= 20_000 && crate::text::body::<20_000>(&long, &()).is_ok());
    }

    #[test]
    fn slugs_are_never_the_same() {
        let mut slugs = Slugs::default();
        let names = [
            "Git Operations",
            "git operations!",
            "--",
            "日本",
            "a/b_c",
            "Git-Operations 2",
        ];
        let made: Vec<_> = names.iter().map(|name| slugs.of(name, "service")).collect();
        assert_eq!(
            made,
            [
                "git-operations",
                "git-operations-2",
                "service",
                "service-2",
                "a-b-c",
                "git-operations-2-2"
            ]
        );
        let long = slugs.of(&"x y".repeat(100), "service");
        assert!(
            long.len() <= SLUG && crate::text::slug(&long, &()).is_ok(),
            "{long}"
        );
    }
}
