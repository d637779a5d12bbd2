//! What is wrong with a template: in which file, on which line.

use std::fmt;

/// A mistake in a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct BadTemplate {
    file: String,
    line: Option<usize>,
    what: String,
}

impl BadTemplate {
    /// In this file, on this line if it is known.
    pub fn new(file: &str, line: Option<usize>, what: &str) -> Self {
        Self {
            file: file.to_owned(),
            line,
            what: what.to_owned(),
        }
    }

    /// What the engine says of a file.
    pub fn of(error: &minijinja::Error, file: &str) -> Self {
        // What went wrong in a file that another one extends is said by the cause.
        let mut cause = error;
        while let Some(next) = std::error::Error::source(cause).and_then(|next| next.downcast_ref()) {
            cause = next;
        }
        let what = cause.detail().map_or_else(
            || cause.kind().to_string(),
            |detail| format!("{}: {detail}", cause.kind()),
        );
        Self::new(cause.name().unwrap_or(file), cause.line(), &what)
    }
}

impl fmt::Display for BadTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// All the mistakes that were found.
#[derive(Debug, thiserror::Error)]
#[error("the templates of mail cannot be used:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct BadTemplates(pub Vec<BadTemplate>);

/// The line on which a name stands first, counted from one.
pub fn line_of(text: &str, name: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let stands_alone = |at: &usize| {
        let before = text.get(..*at).and_then(|before| before.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(|c| is_part(c) || c == '.') && !after.is_some_and(is_part)
    };
    let at = text.match_indices(name).map(|(at, _)| at).find(stands_alone)?;
    text.get(..at).map(|before| before.matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_on_a_line_if_it_is_not_part_of_another() {
        for (text, name, line) in [
            ("{{ title }}", "title", Some(1)),
            ("{{ subtitle }}\n{{ title }}", "title", Some(2)),
            ("{{ titles }}\n\n{{ title.x }}", "title", Some(3)),
            ("{{ a.title }}\n{{ title }}", "title", Some(2)),
            ("{{ say.hello }}", "say.hello", Some(1)),
            ("", "title", None),
        ] {
            assert_eq!(line_of(text, name), line, "{name} in {text}");
        }
    }
}
