//! Holidays out of an iCalendar file (RFC 5545), such as authorities and calendar programs publish them.
//!
//! Pure. All-day events count, each of their days; what has a time of day is a meeting and no holiday. What recurs is
//! written out ten years ahead, as far as deadlines are looked for.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime};
use icalendar::parser::{Component, read_calendar_simple, unfold};
use rrule::{RRuleSet, Tz};

use super::model::Holiday;
use crate::text;

/// How far ahead recurring holidays are written out.
const AHEAD: Months = Months::new(120);

/// How many days one event may have.
const LONGEST: u64 = 366;

/// How many times one event may recur.
const MOST: u16 = 1_000;

/// The all-day events of a file that are not over by `today`, in order; or what is wrong with the file.
pub fn read(file: &str, today: NaiveDate) -> Result<Vec<Holiday>, String> {
    let unfolded = unfold(file);
    // Its own message quotes the rest of the file.
    let roots = read_calendar_simple(&unfolded).map_err(|_| "is no iCalendar file".to_owned())?;
    let calendars = roots.iter().filter(|root| root.name == "VCALENDAR");
    let events: Vec<&Component<'_>> = calendars.flat_map(|calendar| &calendar.components).collect();
    if roots.iter().all(|root| root.name != "VCALENDAR") {
        return Err("has no VCALENDAR".to_owned());
    }
    let mut days = BTreeMap::new();
    for event in events.into_iter().filter(|event| event.name == "VEVENT") {
        let name = value(event, "SUMMARY").map(plain).unwrap_or_default();
        for date in days_of(event, today).map_err(|what| format!("`{name}` {what}"))? {
            days.entry(date).or_insert_with(|| name.clone());
        }
    }
    Ok(days
        .into_iter()
        .map(|(date, name): (NaiveDate, String)| Holiday {
            date,
            name: Some(name).filter(|name| !name.is_empty()),
        })
        .collect())
}

fn value<'a>(event: &'a Component<'_>, property: &str) -> Option<&'a str> {
    event.find_prop(property).map(|found| found.val.as_str())
}

/// A text without its escapes (RFC 5545 §3.3.11), as one line.
fn plain(value: &str) -> String {
    let text = value.replace("\\n", " ").replace("\\N", " ").replace('\\', "");
    text::shortened(&text, 200)
}

/// A date without a time of day.
fn date(value: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(value, "%Y%m%d")
        .ok()
        .filter(|_| value.len() == 8)
}

fn days_of(event: &Component<'_>, today: NaiveDate) -> Result<BTreeSet<NaiveDate>, String> {
    let cancelled = value(event, "STATUS") == Some("CANCELLED");
    let Some(first) = value(event, "DTSTART").and_then(date).filter(|_| !cancelled) else {
        return Ok(BTreeSet::new());
    };
    // The end is the first day after it; without one it is a day (§3.6.1).
    let end = value(event, "DTEND").and_then(date).filter(|end| *end > first);
    let long = end.map_or(1, |end| (end - first).num_days().unsigned_abs());
    if long > LONGEST {
        return Err(format!("is longer than {LONGEST} days"));
    }
    let mut days = BTreeSet::new();
    for begin in beginnings(event, first, today)? {
        let each = (0..long).filter_map(|place| begin.checked_add_days(Days::new(place)));
        days.extend(each.filter(|day| *day >= today));
    }
    Ok(days)
}

/// The days on which an event begins: once, or by its rule and without its exceptions.
fn beginnings(event: &Component<'_>, first: NaiveDate, today: NaiveDate) -> Result<Vec<NaiveDate>, String> {
    let Some(rule) = value(event, "RRULE") else {
        return Ok(vec![first]);
    };
    let from = today
        .checked_sub_days(Days::new(LONGEST))
        .unwrap_or(NaiveDate::MIN);
    let until = today.checked_add_months(AHEAD).unwrap_or(NaiveDate::MAX);
    let often = ["YEARLY", "MONTHLY", "WEEKLY", "DAILY"];
    if !often.iter().any(|often| rule.contains(&format!("FREQ={often}"))) {
        return Err("recurs more often than daily".to_owned());
    }
    let text = format!(
        "DTSTART:{}T000000Z\nRRULE:{}",
        first.format("%Y%m%d"),
        timed(rule)
    );
    let rule: RRuleSet = text
        .parse()
        .map_err(|error| format!("has an unreadable rule: {error}"))?;
    let except: BTreeSet<NaiveDate> = event
        .properties
        .iter()
        .filter(|property| property.name == "EXDATE")
        .flat_map(|property| property.val.as_str().split(','))
        .filter_map(|value| date(value.trim()))
        .collect();
    let at_midnight =
        |day: NaiveDate| -> DateTime<Tz> { day.and_time(NaiveTime::MIN).and_utc().with_timezone(&Tz::UTC) };
    let found = rule.after(at_midnight(from)).before(at_midnight(until)).all(MOST);
    let begun = found.dates.iter().map(DateTime::date_naive);
    Ok(begun
        .filter(|day| !except.contains(day) && day.year() < 9999)
        .collect())
}

/// A rule whose last day is a date, with a time: what begins on a date is compared at midnight here.
fn timed(rule: &str) -> String {
    let parts = rule.split(';').map(|part| match part.strip_prefix("UNTIL=") {
        Some(day) if date(day).is_some() => format!("UNTIL={day}T000000Z"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(events: &str) -> String {
        format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}END:VCALENDAR\r\n",
            events.replace('\n', "\r\n")
        )
    }

    fn read_all(events: &str) -> Result<Vec<String>, String> {
        let today = NaiveDate::from_ymd_opt(2026, 5, 1).unwrap();
        let found = read(&file(events), today)?;
        Ok(found
            .iter()
            .map(|day| format!("{} {}", day.date, day.name.as_deref().unwrap_or_default()))
            .collect())
    }

    #[test]
    fn all_day_events_are_holidays_each_of_their_days() {
        let events = "BEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261227\n\
                      SUMMARY:Christmas\\, and the\n  day after\nEND:VEVENT\n\
                      BEGIN:VEVENT\nUID:2\nDTSTART;VALUE=DATE:20260525\nSUMMARY:Spring bank holiday\nEND:VEVENT\n\
                      BEGIN:VEVENT\nUID:3\nDTSTART:20260601T090000Z\nSUMMARY:A meeting\nEND:VEVENT\n\
                      BEGIN:VEVENT\nUID:4\nDTSTART;VALUE=DATE:20200101\nSUMMARY:Long ago\nEND:VEVENT\n\
                      BEGIN:VEVENT\nUID:5\nDTSTART;VALUE=DATE:20260701\nSTATUS:CANCELLED\nSUMMARY:No\nEND:VEVENT\n";
        let days = [
            "2026-05-25 Spring bank holiday",
            "2026-12-25 Christmas, and the day after",
            "2026-12-26 Christmas, and the day after",
        ];
        assert_eq!(read_all(events).unwrap(), days);
    }

    #[test]
    fn what_recurs_is_written_out_ten_years_ahead() {
        let yearly = "BEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20001225\nRRULE:FREQ=YEARLY\n\
                      EXDATE;VALUE=DATE:20301225\nSUMMARY:Christmas Day\nEND:VEVENT\n";
        let days = read_all(yearly).unwrap();
        assert_eq!((days.len(), days[0].as_str()), (9, "2026-12-25 Christmas Day"));
        let thanksgiving = "BEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20241128\n\
                            RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;UNTIL=20281231\nSUMMARY:Thanksgiving\nEND:VEVENT\n";
        let days = [
            "2026-11-26 Thanksgiving",
            "2027-11-25 Thanksgiving",
            "2028-11-23 Thanksgiving",
        ];
        assert_eq!(read_all(thanksgiving).unwrap(), days);
    }

    #[test]
    fn what_is_no_calendar_is_refused() {
        for text in [
            "",
            "BEGIN:VCALENDAR",
            "nonsense",
            "BEGIN:VEVENT\r\nEND:VEVENT\r\n",
        ] {
            assert!(read(text, NaiveDate::MIN).is_err(), "{text:?}");
        }
        for rule in ["FREQ=SECONDLY", "FREQ=YEARLY;BYDAY=99XX", "nonsense"] {
            let event =
                format!("BEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20260525\nRRULE:{rule}\nEND:VEVENT\n");
            assert!(read_all(&event).is_err(), "{rule}");
        }
        assert_eq!(read_all("").unwrap(), Vec::<String>::new());
    }
}
