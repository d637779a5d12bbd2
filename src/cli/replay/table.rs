//! What a replay came to, for people and for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::times::Times;

/// The sums. Its fields are those of the line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Incidents in the log.
    pub incidents: usize,
    /// Tickets in the log.
    pub tickets: usize,
    /// Events of the tickets in the log.
    pub events: usize,
    /// Calls that were refused, by code.
    pub refused: BTreeMap<String, usize>,
    /// Events that say nothing about the state.
    pub ignored: usize,
    /// Tickets by the state of their last request.
    pub final_states: BTreeMap<String, usize>,
    /// Tickets whose last request is not in the state that their log ends in.
    pub final_state_mismatches: usize,
    /// Mails that must have been sent.
    pub mails_due: usize,
    /// Mails that were sent.
    pub mails_sent: usize,
    /// How long requests took; null where the clock is not that of the logs.
    pub times: Option<Times>,
    /// How long it took, from reading the logs to the last check.
    pub seconds: f64,
}

impl Summary {
    /// Whether every ticket ended as its log does and when it does, and every mail that was due was sent.
    pub fn is_right(&self) -> bool {
        let late = self.times.as_ref().map_or(0, |times| times.mismatches);
        self.final_state_mismatches == 0 && late == 0 && self.mails_due == self.mails_sent
    }

    /// Writes the line of JSON.
    pub fn line(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        writeln!(out)
    }

    /// Writes the table.
    pub fn table(&self, out: &mut impl Write) -> io::Result<()> {
        let mut rows = vec![
            ("incidents".to_owned(), self.incidents.to_string()),
            ("tickets".to_owned(), self.tickets.to_string()),
            ("events of tickets".to_owned(), self.events.to_string()),
            (
                "  say nothing about the state".to_owned(),
                self.ignored.to_string(),
            ),
            (
                "calls refused".to_owned(),
                self.refused.values().sum::<usize>().to_string(),
            ),
        ];
        let indented = |(name, count): (&String, &usize)| (format!("  {name}"), count.to_string());
        rows.extend(self.refused.iter().map(indented));
        let last: usize = self.final_states.values().sum();
        rows.push(("last requests".to_owned(), last.to_string()));
        rows.extend(self.final_states.iter().map(indented));
        rows.extend([
            (
                "  not as their log ends".to_owned(),
                self.final_state_mismatches.to_string(),
            ),
            ("mails due".to_owned(), self.mails_due.to_string()),
            ("mails sent".to_owned(), self.mails_sent.to_string()),
        ]);
        rows.extend(self.times.iter().flat_map(Times::rows));
        rows.push(("seconds".to_owned(), format!("{:.1}", self.seconds)));
        let (left, right) = rows.iter().fold((0, 0), |(left, right), (name, value)| {
            (left.max(name.chars().count()), right.max(value.chars().count()))
        });
        rows.iter()
            .try_for_each(|(name, value)| writeln!(out, "{name:<left$}  {value:>right$}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            incidents: 2,
            tickets: 3,
            events: 10,
            refused: BTreeMap::from([("incident-not-active".to_owned(), 1)]),
            ignored: 4,
            final_states: BTreeMap::from([("closed".to_owned(), 2), ("resolved".to_owned(), 1)]),
            final_state_mismatches: 0,
            mails_due: 12,
            mails_sent: 12,
            times: None,
            seconds: 1.5,
        }
    }

    fn written(write: impl Fn(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_line_has_these_fields() {
        assert_eq!(
            written(|out| summary().line(out)),
            "{\"incidents\":2,\"tickets\":3,\"events\":10,\"refused\":{\"incident-not-active\":1},\"ignored\":4,\
             \"final_states\":{\"closed\":2,\"resolved\":1},\"final_state_mismatches\":0,\"mails_due\":12,\
             \"mails_sent\":12,\"times\":null,\"seconds\":1.5}\n"
        );
    }

    #[test]
    fn the_table_is_aligned() {
        let table = written(|out| summary().table(out));
        assert!(
            table.contains("events of tickets               10\n  say nothing about the state    4\n"),
            "{table}"
        );
        let mut summary = summary();
        summary.times = Some(Times::default());
        let table = written(|out| summary.table(out));
        assert!(table.contains("times of response "), "{table}");
        let lengths: Vec<_> = table.lines().map(str::len).collect();
        assert!(lengths.iter().all(|length| *length == lengths[0]), "{table}");
    }

    #[test]
    fn right_is_only_what_is_right_in_both() {
        assert!(summary().is_right());
        assert!(
            !Summary {
                mails_sent: 11,
                ..summary()
            }
            .is_right()
        );
        let times = Some(Times {
            mismatches: 1,
            ..Times::default()
        });
        assert!(!Summary { times, ..summary() }.is_right());
        assert!(
            !Summary {
                final_state_mismatches: 1,
                ..summary()
            }
            .is_right()
        );
    }
}
