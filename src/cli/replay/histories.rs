//! Reading the two logs: what is on a line, and nothing yet of what it means.
//!
//! Lenient in what a line may leave out, strict in what it says: a line that cannot be read ends the replay with the
//! names of its file and its number.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

/// One incident, its updates in the order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentLog {
    /// As the log names it.
    pub id: String,
    /// Its headline; may be empty.
    pub title: String,
    /// When it began: no later than its first update.
    pub started_at: DateTime<Utc>,
    /// When it was over, if the log says so.
    pub resolved_at: Option<DateTime<Utc>>,
    /// `none`, `minor`, `major`, `critical`, `maintenance`, or something else.
    pub impact: String,
    /// What it hit, each once; none means everything.
    pub components: Vec<String>,
    /// What was said about it.
    pub updates: Vec<LoggedUpdate>,
}

/// One entry of an incident's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedUpdate {
    /// When.
    pub at: DateTime<Utc>,
    /// `Investigating`, `Update`, `Resolved`, … or something else.
    pub status: String,
    /// The text; may be empty.
    pub message: String,
}

/// One ticket: at least one event, in the order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketLog {
    /// As the log names it.
    pub id: String,
    /// What happened to it.
    pub first: TicketEvent,
    /// What happened then.
    pub later: Vec<TicketEvent>,
}

impl TicketLog {
    /// Every event in the order of time.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &TicketEvent> + Clone {
        std::iter::once(&self.first).chain(&self.later)
    }
}

/// One event of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketEvent {
    /// The line it stands on.
    pub line: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// What was done.
    pub activity: String,
    /// By whom.
    pub agent: String,
    /// For which customer.
    pub tenant: String,
    /// With which product.
    pub product: String,
    /// How urgent, 1 to 4.
    pub service_level: String,
    /// Where.
    pub workgroup: String,
}

/// A log that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {detail}", file.display(), .line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct Unreadable {
    /// Which file.
    pub file: PathBuf,
    /// Which line, counted from 1.
    pub line: Option<u64>,
    /// What is wrong with it.
    pub detail: String,
}

/// The incidents of a file with one JSON object a line; blank lines are passed over.
pub fn read_incidents(file: &Path) -> Result<Vec<IncidentLog>, Unreadable> {
    let unreadable = |line, detail: String| Unreadable {
        file: file.to_owned(),
        line,
        detail,
    };
    let bytes = std::fs::read(file).map_err(|error| unreadable(None, error.to_string()))?;
    let bytes = without_mark(&bytes);
    let mut incidents = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        incidents.push(incident(number, line).map_err(|detail| unreadable(Some(number), detail))?);
    }
    Ok(incidents)
}

/// The tickets of a CSV file with a header, in the order in which they first appear; blank lines are passed over.
///
/// The columns may stand in any order; `ticket`, `at` and `activity` must be there.
pub fn read_tickets(file: &Path) -> Result<Vec<TicketLog>, Unreadable> {
    let unreadable = |line, detail: String| Unreadable {
        file: file.to_owned(),
        line,
        detail,
    };
    let bytes = std::fs::read(file).map_err(|error| unreadable(None, error.to_string()))?;
    let bytes = without_mark(&bytes);
    let garbled =
        |error: csv::Error| unreadable(error.position().map(csv::Position::line), error.to_string());
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(bytes);
    let columns =
        Columns::of(reader.headers().map_err(garbled)?).map_err(|detail| unreadable(Some(1), detail))?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(garbled)?;
        if record.iter().all(str::is_empty) {
            continue;
        }
        let line = record.position().map_or(0, |start| line_of(bytes, start));
        rows.push(
            columns
                .event(&record, line)
                .map_err(|detail| unreadable(Some(line), detail))?,
        );
    }
    Ok(tickets(rows))
}

/// The line a record stands on. Its position is where the one before ended, and blank lines may come in between.
fn line_of(bytes: &[u8], start: &csv::Position) -> u64 {
    let rest = usize::try_from(start.byte())
        .ok()
        .and_then(|start| bytes.get(start..))
        .unwrap_or_default();
    let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    (start.line()..)
        .zip(blank.filter(|byte| **byte == b'\n'))
        .last()
        .map_or(start.line(), |(line, _)| line + 1)
}

/// Without the byte order mark that some programs write first.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

#[derive(Deserialize)]
struct IncidentLine {
    #[serde(default)]
    id: Value,
    title: Option<String>,
    started_at: Option<String>,
    resolved_at: Option<String>,
    impact: Option<String>,
    components: Option<Vec<Option<String>>>,
    updates: Option<Vec<UpdateLine>>,
}

#[derive(Deserialize)]
struct UpdateLine {
    at: String,
    status: Option<String>,
    message: Option<String>,
}

fn incident(number: u64, line: &[u8]) -> Result<IncidentLog, String> {
    let line: IncidentLine = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let mut updates = Vec::new();
    for update in line.updates.unwrap_or_default() {
        updates.push(LoggedUpdate {
            at: instant(&update.at)?,
            status: update.status.unwrap_or_default().trim().to_owned(),
            message: update.message.unwrap_or_default(),
        });
    }
    updates.sort_by_key(|update| update.at);
    let started_at = line.started_at.as_deref().map(instant).transpose()?;
    let first = updates.first().map(|update| update.at);
    let started_at = started_at.into_iter().chain(first).min();
    let resolved_at = line.resolved_at.as_deref().filter(|text| !text.trim().is_empty());
    let mut components: Vec<String> = Vec::new();
    for component in line.components.unwrap_or_default().into_iter().flatten() {
        let component = component.trim();
        if !component.is_empty() && !components.iter().any(|known| known == component) {
            components.push(component.to_owned());
        }
    }
    Ok(IncidentLog {
        id: match line.id {
            Value::Null => format!("line {number}"),
            Value::String(text) => text,
            other => other.to_string(),
        },
        title: line.title.unwrap_or_default(),
        started_at: started_at.ok_or("neither `started_at` nor an update says when it began")?,
        resolved_at: resolved_at.map(instant).transpose()?,
        impact: line.impact.unwrap_or_default(),
        components,
        updates,
    })
}

/// A time of RFC 3339; without a zone it is UTC.
fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let text = text.trim();
    let zoned = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    let local = || {
        let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
        formats
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    };
    let found = zoned.ok().or_else(|| local().map(|at| at.and_utc()));
    found.ok_or_else(|| format!("`{text:.40}` is no time of RFC 3339, such as 2010-01-13T08:40:25Z"))
}

/// Where each column stands.
struct Columns {
    width: usize,
    ticket: usize,
    at: usize,
    activity: usize,
    agent: Option<usize>,
    tenant: Option<usize>,
    product: Option<usize>,
    service_level: Option<usize>,
    workgroup: Option<usize>,
}

impl Columns {
    fn of(header: &csv::StringRecord) -> Result<Self, String> {
        let place = |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
        let needed = |name: &str| place(name).ok_or_else(|| format!("the column `{name}` is missing"));
        Ok(Self {
            width: header.len(),
            ticket: needed("ticket")?,
            at: needed("at")?,
            activity: needed("activity")?,
            agent: place("agent"),
            tenant: place("tenant"),
            product: place("product"),
            service_level: place("service_level"),
            workgroup: place("workgroup"),
        })
    }

    fn event(&self, record: &csv::StringRecord, line: u64) -> Result<(String, TicketEvent), String> {
        if record.len() != self.width {
            return Err(format!(
                "{} fields where the header has {}",
                record.len(),
                self.width
            ));
        }
        let field = |place: Option<usize>| {
            let field = place.and_then(|place| record.get(place));
            field.unwrap_or_default().to_owned()
        };
        let ticket = field(Some(self.ticket));
        if ticket.is_empty() {
            return Err("no ticket is named".to_owned());
        }
        let event = TicketEvent {
            line,
            at: instant(&field(Some(self.at)))?,
            activity: field(Some(self.activity)),
            agent: field(self.agent),
            tenant: field(self.tenant),
            product: field(self.product),
            service_level: field(self.service_level),
            workgroup: field(self.workgroup),
        };
        Ok((ticket, event))
    }
}

/// The events by ticket: tickets in the order of their first line, events in the order of time.
fn tickets(rows: Vec<(String, TicketEvent)>) -> Vec<TicketLog> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut grouped: Vec<(String, Vec<TicketEvent>)> = Vec::new();
    for (ticket, event) in rows {
        let place = *places.entry(ticket.clone()).or_insert(grouped.len());
        match grouped.get_mut(place) {
            Some((_, events)) => events.push(event),
            None => grouped.push((ticket, vec![event])),
        }
    }
    let ordered = grouped.into_iter().filter_map(|(id, mut events)| {
        events.sort_by_key(|event| event.at);
        let mut events = events.into_iter();
        let first = events.next()?;
        Some(TicketLog {
            id,
            first,
            later: events.collect(),
        })
    });
    ordered.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn file(text: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        file
    }

    fn incidents(text: &str) -> Result<Vec<IncidentLog>, Unreadable> {
        read_incidents(file(text.as_bytes()).path())
    }

    fn tickets(text: &str) -> Result<Vec<TicketLog>, Unreadable> {
        read_tickets(file(text.as_bytes()).path())
    }

    #[test]
    fn an_incident_may_leave_out_almost_everything() {
        let log = incidents(
            "\u{FEFF}\n{\"started_at\":\"2022-03-24T19:11:00.5+01:00\",\"news\":1}\r\n   \n\
             {\"id\":7,\"started_at\":null,\"components\":[\"A\",null,\"\",\"A\",\" B \"],\"resolved_at\":\"\",\
             \"updates\":[{\"at\":\"2022-01-02T00:00:00Z\",\"status\":\"b\"},{\"at\":\"2022-01-01 00:00:00\"}]}",
        )
        .unwrap();
        let [first, second] = log.as_slice() else {
            panic!("{log:?}")
        };
        assert_eq!(first.id, "line 2");
        assert_eq!(first.started_at.to_rfc3339(), "2022-03-24T18:11:00.500+00:00");
        assert!(first.components.is_empty() && first.updates.is_empty());
        assert_eq!((second.id.as_str(), second.resolved_at), ("7", None));
        assert_eq!(second.components, ["A", "B"]);
        assert_eq!(second.started_at.to_rfc3339(), "2022-01-01T00:00:00+00:00");
        assert_eq!(
            second
                .updates
                .iter()
                .map(|update| update.status.as_str())
                .collect::<Vec<_>>(),
            ["", "b"]
        );
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        for (text, line, detail) in [
            ("\n{", 2, "EOF"),
            ("{\"id\":\"1\"}", 1, "when it began"),
            ("{\"started_at\":\"soon\"}", 1, "`soon` is no time"),
            ("{\"started_at\":\"2022-01-01T00:00:00Z\"}\n[]", 2, "invalid"),
        ] {
            let error = incidents(text).unwrap_err();
            assert_eq!(error.line, Some(line), "{error}");
            assert!(error.to_string().contains(detail), "{error}");
        }
        for (text, line, detail) in [
            ("ticket,at\n", 1, "`activity` is missing"),
            (
                "ticket,at,activity\n1,2010-01-13T08:40:25Z,Wait\n\n2,never,Wait\n",
                4,
                "`never` is no time",
            ),
            ("ticket,at,activity\n1,2010-01-13T08:40:25Z\n", 2, "2 fields"),
            ("ticket,at,activity\n,2010-01-13T08:40:25Z,Wait\n", 2, "no ticket"),
        ] {
            let error = tickets(text).unwrap_err();
            assert_eq!(error.line, Some(line), "{error}");
            assert!(error.to_string().contains(detail), "{error}");
        }
        let error =
            read_tickets(file(b"ticket,at,activity\n1,2010-01-13T08:40:25Z,\xFF\n").path()).unwrap_err();
        assert_eq!(error.line, Some(2), "{error}");
        assert!(
            read_incidents(Path::new("no/such/file"))
                .unwrap_err()
                .to_string()
                .starts_with("no/such/file: ")
        );
    }

    #[test]
    fn columns_and_rows_may_stand_in_any_order() {
        let log = tickets(
            "workgroup,activity, at ,ticket,tenant\n3,Closed,2010-01-13T08:40:27Z,9,a\n ,,,,\n\n\
             1,Wait,2010-01-13T08:40:25.25Z,8,b\n2,\"Resolve ticket\",2010-01-13T08:40:26Z,9,c\n\
             2,Wait,2010-01-13T08:40:27Z,9,c\n",
        )
        .unwrap();
        let seen: Vec<_> = log
            .iter()
            .map(|ticket| {
                let activities: Vec<_> = ticket.events().map(|event| event.activity.as_str()).collect();
                (ticket.id.as_str(), ticket.first.tenant.as_str(), activities)
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("9", "c", vec!["Resolve ticket", "Closed", "Wait"]),
                ("8", "b", vec!["Wait"])
            ]
        );
        assert!(tickets("ticket,at,activity\n").unwrap().is_empty());
    }
}
