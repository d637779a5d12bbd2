//! How the demo speaks: plain sentences, each with its hour of the story, and colours only where they help.

use std::io::{self, IsTerminal, Write};

const WIDTH: usize = 100;
const MARGIN: usize = 7;

const BOLD: &str = "\u{1b}[1m";
const DIM: &str = "\u{1b}[2m";
const YELLOW: &str = "\u{1b}[33m";
const PLAIN: &str = "\u{1b}[0m";

/// The narrator.
pub struct Voice {
    out: Box<dyn Write + Send>,
    in_colour: bool,
}

impl Voice {
    /// Speaks on standard output, in colour if that is a terminal and `colours` are welcome.
    pub fn on_stdout(colours: bool) -> Self {
        let stdout = io::stdout();
        let in_colour = colours && stdout.is_terminal();
        Self {
            out: Box::new(stdout),
            in_colour,
        }
    }

    /// Speaks on standard error, where standard output is for a program to read.
    pub fn on_stderr() -> Self {
        Self {
            out: Box::new(io::stderr()),
            in_colour: false,
        }
    }

    /// A title over what comes next.
    pub fn title(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out)?;
        let text = self.painted(BOLD, text);
        writeln!(self.out, "{text}")?;
        writeln!(self.out)
    }

    /// What happens at `hour` of the story.
    pub fn at(&mut self, hour: &str, text: &str) -> io::Result<()> {
        let hour = self.painted(DIM, &format!("{hour:<MARGIN$}"));
        self.beside(&hour, text)
    }

    /// What follows at the same hour.
    pub fn then(&mut self, text: &str) -> io::Result<()> {
        self.beside(&" ".repeat(MARGIN), text)
    }

    /// A call that the desk refuses, in its own words.
    pub fn refusal(&mut self, text: &str) -> io::Result<()> {
        for line in wrapped(text, WIDTH - MARGIN) {
            let line = self.painted(YELLOW, &line);
            writeln!(self.out, "{:MARGIN$}{line}", "")?;
        }
        self.out.flush()
    }

    /// A line as it is: of a table, or to be copied.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    fn beside(&mut self, margin: &str, text: &str) -> io::Result<()> {
        for (n, line) in wrapped(text, WIDTH - MARGIN).iter().enumerate() {
            if n == 0 {
                writeln!(self.out, "{margin}{line}")?;
            } else {
                writeln!(self.out, "{:MARGIN$}{line}", "")?;
            }
        }
        self.out.flush()
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.in_colour {
            format!("{colour}{text}{PLAIN}")
        } else {
            text.to_owned()
        }
    }
}

/// `text` in lines of at most `width` characters, broken at spaces; a longer word has a line of its own.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![];
    let mut line = String::new();
    for word in text.split_whitespace() {
        let length = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && length > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentences_are_broken_at_spaces() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("one", 7), ["one"]);
        assert_eq!(wrapped("a extraordinarily b", 7), ["a", "extraordinarily", "b"]);
        assert_eq!(wrapped("", 7), [""]);
    }
}
