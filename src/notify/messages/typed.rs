//! What people typed, as mail shows it. Pure.
//!
//! In the HTML part it is escaped like everything else. In the plain part, where markup is nothing, it could still pass
//! for a line of ours: so each of its lines is marked, and none is so long that a mail client breaks it anew.

use textwrap::core::Word;
use textwrap::{Options, WordSeparator, WordSplitter};

use crate::text::cleaned;

/// What stands before each line that somebody typed.
const MARK: &str = "| ";
/// Columns of such a line, the mark included: mail clients break at 76 or more.
const COLUMNS: usize = 74;
/// A name that is longer is not greeted.
const LONGEST_NAME: usize = 60;

/// A text as lines that begin with a mark. A link stays whole, however long.
pub fn marked(text: &str) -> String {
    let options = Options::new(COLUMNS)
        .initial_indent(MARK)
        .subsequent_indent(MARK)
        .word_separator(WordSeparator::Custom(words))
        .word_splitter(WordSplitter::NoHyphenation)
        .break_words(false);
    let mut lines = Vec::new();
    for line in text.lines().map(cleaned_of_controls) {
        if line.is_empty() {
            lines.push(MARK.trim_end().to_owned());
        }
        let wrapped = textwrap::wrap(&line, &options);
        lines.extend(
            wrapped
                .iter()
                .filter(|_| !line.is_empty())
                .map(|line| line.trim_end().to_owned()),
        );
    }
    lines.join("\n")
}

/// Where a line may be broken: where scripts without blanks may be too (UAX #14), and anywhere in what is longer than a
/// line.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    Box::new(WordSeparator::AsciiSpace.find_words(line).flat_map(pieces))
}

fn pieces(word: Word<'_>) -> Vec<Word<'_>> {
    if word.word.is_ascii() && word.word.contains("://") {
        return vec![word];
    }
    let parts = WordSeparator::UnicodeBreakProperties.find_words(word.word);
    let mut pieces: Vec<Word<'_>> = parts
        .flat_map(|part| part.break_apart(COLUMNS - MARK.len()).collect::<Vec<_>>())
        .collect();
    match pieces.last_mut() {
        Some(last) => last.whitespace = word.whitespace,
        None => pieces.push(word),
    }
    pieces
}

/// A text with line ends of one kind, without the controls that no text has had since they are refused.
pub fn lines(text: &str) -> String {
    let unified = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<String> = unified.split('\n').map(cleaned_of_controls).collect();
    lines.join("\n")
}

/// Tabs become blanks, and so does what turns or hides text; what stands at the beginning of a line stays there.
fn cleaned_of_controls(line: &str) -> String {
    let line = line.replace('\t', "    ");
    let indent = line.len() - line.trim_start_matches(' ').len();
    format!("{}{}", " ".repeat(indent), cleaned(&line))
}

/// The name that a mail greets, if it reads like one. Whoever enters a contact or a watcher chooses the name, and a
/// stranger is not to be greeted with an advertisement or a link: without a name there is no greeting.
pub fn greeted(name: &str) -> Option<String> {
    let name = cleaned(name);
    let is_plain = |c: char| c.is_alphanumeric() || is_mark(c) || " -'’.,()&·・".contains(c);
    let mut after_dot = false;
    for c in name.chars() {
        // Mail clients make a link of `word.word`.
        if !is_plain(c) || (after_dot && c.is_alphanumeric()) {
            return None;
        }
        after_dot = c == '.';
    }
    let fits = (1..=LONGEST_NAME).contains(&name.chars().count());
    (fits && name.chars().any(char::is_alphabetic)).then_some(name)
}

/// Vowel signs and accents that stand on their own, and what joins letters: names of many scripts have them.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{591}'..='\u{5C7}' | '\u{610}'..='\u{65F}' | '\u{900}'..='\u{DFF}'
        | '\u{E31}'..='\u{E4E}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17D3}' | '\u{200C}' | '\u{200D}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_line_that_somebody_typed_is_marked() {
        for (typed, shown) in [
            ("It is down.", "| It is down."),
            ("One\n\nTwo\n", "| One\n|\n| Two"),
            (
                "One\r\n  indented\r\n\ttabbed",
                "| One\n|   indented\n|     tabbed",
            ),
            ("", ""),
            (
                "The request:\nhttps://evil.example/account/password#alm_x",
                "| The request:\n| https://evil.example/account/password#alm_x",
            ),
            ("rtl \u{202E}gnp.exe\u{2066} nul\u{0}l", "| rtl  gnp.exe  nul l"),
        ] {
            assert_eq!(marked(typed), shown, "{typed:?}");
        }
        let long = format!("{}https://evil.example/{}", "word ".repeat(40), "x".repeat(200));
        for line in marked(&long).lines() {
            assert!(line.starts_with(MARK), "{line}");
            assert!(line.len() <= COLUMNS || line.starts_with("| https://"), "{line}");
        }
        for line in marked(&"no-blanks/".repeat(100)).lines() {
            assert!(line.starts_with(MARK) && line.len() <= COLUMNS, "{line}");
        }
        // Ideographs are two columns wide, and break between any two.
        let long = marked(&"障害".repeat(100));
        assert!(
            long.lines().all(|line| line.chars().count() <= COLUMNS / 2 + 1),
            "{long}"
        );
    }

    #[test]
    fn a_name_is_greeted_if_it_reads_like_one() {
        for name in [
            "Ada",
            "Ada Lovelace",
            "Jean-Luc O’Neill, Jr.",
            "J. R. R. Tolkien",
            "IT of Contoso (night)",
            "Müller & Söhne",
            "山田 太郎",
            "अदिति शर्मा",
            "محمد علي",
            "สมชาย ใจดี",
            "Contact 12",
        ] {
            assert_eq!(greeted(name).as_deref(), Some(name));
        }
        for name in [
            "",
            "  ",
            "42",
            "...",
            "Click https://evil.example",
            "evil.example has news for you",
            "eve@evil.example",
            "Eve\r\nBcc: eve@evil.example",
            "www/evil",
            "<b>Eve</b>",
            "You won! Call +1 555 0100",
            "A name that goes on and on until it is the message itself and no name",
            "Eve \u{202E}elpmaxe",
        ] {
            let greeted = greeted(name);
            assert!(
                greeted.is_none() || name.contains('\u{202E}'),
                "{name:?}: {greeted:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_typed_begins_a_line(text in "\\PC{0,200}|[a-z:/. \r\n\t\u{85}\u{2028}]{0,300}") {
            let shown = marked(&text);
            for line in shown.split(['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']) {
                prop_assert!(shown.is_empty() || line.starts_with('|'), "{shown:?}");
            }
        }
    }
}
