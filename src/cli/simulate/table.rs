//! The report for people: tables in plain text. Pure.

use std::io::{self, Write};

use super::report::{Coverage, Promise, Report, Times};
use super::shares::{Fairness, Month};

/// Rows of cells, the first of them at the left and all others at the right.
type Rows = Vec<Vec<String>>;

impl Report {
    /// Writes the report.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{} days from {}, seed {}\n",
            self.days,
            self.from.date_naive(),
            self.seed
        )?;
        table(out, &self.sums())?;
        section(
            out,
            "promises",
            &["clock", "severity", "met", "breached", "cancelled", "met %"],
            self.promises.iter().map(promise),
        )?;
        section(
            out,
            "times, counted",
            &["clock", "count", "p50", "p90"],
            self.times.iter().map(times),
        )?;
        let head = ["queue", "minutes", "covered", "gaps", "covered %", "people"];
        section(out, "coverage", &head, self.coverage.iter().map(coverage))?;
        let head = ["in 8 h on duty", "people", "taken", "least", "mean", "most"];
        section(out, "fairness", &head, self.fairness.iter().map(fairness))?;
        section(
            out,
            "months",
            &["month", "filed", "most open", "breached"],
            self.months.iter().map(month),
        )
    }

    fn sums(&self) -> Rows {
        let mut rows = Vec::new();
        let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
        row("requests filed", self.requests.filed.to_string());
        row("  resolved", self.requests.resolved.to_string());
        row("  reopened", self.requests.reopened.to_string());
        row(
            "  handed over at the end of a shift",
            self.requests.handed_over.to_string(),
        );
        row("  open in the end", self.requests.open.to_string());
        row(
            "promises broken",
            self.promises
                .iter()
                .map(|promise| promise.breached)
                .sum::<u64>()
                .to_string(),
        );
        row("  warned of", self.warned.to_string());
        row("absences granted", self.leave.granted.to_string());
        row("  with somebody who came in", self.leave.stood_in.to_string());
        row(
            "  refused: nobody would have been there",
            self.leave.refused.to_string(),
        );
        if let Some(storm) = &self.storm {
            row("storm from", storm.from.format("%Y-%m-%d %H:%M UTC").to_string());
            row("  most open at once", storm.open.to_string());
            row("  resolved with the incident", storm.resolved.to_string());
            row("  told that all is clear", storm.all_clear.to_string());
        }
        row("mails sent", self.mail.sent.to_string());
        row("  lost", self.mail.lost.to_string());
        row("stranded requests, at most", self.stranded.most.to_string());
        row("  asked so often", self.stranded.asked.to_string());
        row("calls refused", self.refused.values().sum::<u32>().to_string());
        for (code, count) in &self.refused {
            row(&format!("  {code}"), count.to_string());
        }
        rows
    }
}

fn section(
    out: &mut impl Write,
    name: &str,
    head: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> io::Result<()> {
    let mut all: Rows = vec![head.iter().map(|cell| (*cell).to_owned()).collect()];
    all.extend(rows);
    writeln!(out, "\n{name}\n")?;
    table(out, &all)
}

fn table(out: &mut impl Write, rows: &Rows) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).filter_map(width).collect();
    for row in rows {
        let mut line = String::new();
        for (place, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match place {
                0 => line.push_str(&format!("{cell:<width$}")),
                _ => line.push_str(&format!("  {cell:>width$}")),
            }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn promise(promise: &Promise) -> Vec<String> {
    vec![
        promise.clock.clone(),
        promise.severity.clone(),
        promise.met.to_string(),
        promise.breached.to_string(),
        promise.cancelled.to_string(),
        promise
            .share_met
            .map_or_else(|| "-".to_owned(), |share| format!("{:.2}", share * 100.0)),
    ]
}

fn times(times: &Times) -> Vec<String> {
    let said = |seconds: Option<i64>| seconds.map_or_else(|| "-".to_owned(), duration);
    vec![
        times.clock.clone(),
        times.count.to_string(),
        said(times.p50_seconds),
        said(times.p90_seconds),
    ]
}

/// Hours, minutes and seconds: `26:03:04`.
fn duration(seconds: i64) -> String {
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn coverage(coverage: &Coverage) -> Vec<String> {
    let of = |part: u64| super::chart::real(part) / super::chart::real(coverage.minutes.max(1));
    vec![
        coverage.queue.clone(),
        coverage.minutes.to_string(),
        coverage.covered_minutes.to_string(),
        coverage.gaps.to_string(),
        format!("{:.2}", of(coverage.covered_minutes) * 100.0),
        format!("{:.2}", of(coverage.staffed_minutes)),
    ]
}

fn fairness(fairness: &Fairness) -> Vec<String> {
    vec![
        fairness.group.clone(),
        fairness.people.to_string(),
        fairness.taken.to_string(),
        format!("{:.2}", fairness.least),
        format!("{:.2}", fairness.mean),
        format!("{:.2}", fairness.most),
    ]
}

fn month(month: &Month) -> Vec<String> {
    vec![
        month.month.clone(),
        month.filed.to_string(),
        month.open.to_string(),
        month.breached.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_one_another() {
        let mut out = Vec::new();
        let rows = [
            vec!["front".to_owned(), "7".to_owned()],
            vec!["b".to_owned(), "1234".to_owned()],
        ];
        section(&mut out, "queues", &["queue", "n"], rows.into_iter()).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\nqueues\n\nqueue     n\nfront     7\nb      1234\n"
        );
    }

    #[test]
    fn durations_are_said_in_hours() {
        for (seconds, said) in [(0, "0:00:00"), (3_661, "1:01:01"), (93_784, "26:03:04")] {
            assert_eq!(duration(seconds), said);
        }
    }
}
