//! Reports as comma-separated values (RFC 4180), for the spreadsheets that people open them with. Pure.
//!
//! Names are what users typed, and a spreadsheet takes a cell for a formula that begins like one: such a cell gets an
//! apostrophe before it, as OWASP advises ("CSV Injection").

use csv::{Terminator, WriterBuilder};

use crate::problem::Problem;

/// What a formula can begin with.
const BEGINNINGS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A table, its head first. Every row has as many cells as the head.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> Result<String, Problem> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    writer.write_record(head).map_err(Problem::internal)?;
    for row in rows {
        let cells = row.iter().map(|cell| harmless(cell));
        writer.write_record(cells).map_err(Problem::internal)?;
    }
    let bytes = writer.into_inner().map_err(Problem::internal)?;
    String::from_utf8(bytes).map_err(Problem::internal)
}

/// A cell of what may not be there.
pub fn cell(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn harmless(cell: &str) -> String {
    if cell.starts_with(BEGINNINGS) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, written) in [
            ("Messaging", "Messaging"),
            ("", ""),
            ("a=b", "a=b"),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            ("'=1", "'=1"),
            ("one, two", "\"one, two\""),
            ("a \"word\"", "\"a \"\"word\"\"\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            let row = vec![cell.to_owned(), "7".to_owned()];
            let made = table(&["name", "count"], &[row]).unwrap();
            assert_eq!(made, format!("name,count\r\n{written},7\r\n"));
        }
    }

    #[test]
    fn what_is_not_there_is_an_empty_cell() {
        assert_eq!(
            (cell(Some(0.5)), cell(None::<i64>)),
            ("0.5".to_owned(), String::new())
        );
    }
}
