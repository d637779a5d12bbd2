//! How days, times and zones are written in forms and answers.

use std::fmt;
use std::str::FromStr;

use chrono::{NaiveTime, TimeDelta, Timelike, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// A day of the week, written `mon` to `sun`; weeks begin on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    /// The seven days, Monday first.
    pub const ALL: [Day; 7] = [
        Day::Mon,
        Day::Tue,
        Day::Wed,
        Day::Thu,
        Day::Fri,
        Day::Sat,
        Day::Sun,
    ];

    /// The day as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Day::Mon => "mon",
            Day::Tue => "tue",
            Day::Wed => "wed",
            Day::Thu => "thu",
            Day::Fri => "fri",
            Day::Sat => "sat",
            Day::Sun => "sun",
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Day {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let day = Day::ALL.into_iter().find(|day| day.as_str() == text);
        day.ok_or_else(|| Unreadable::Day(text.to_owned()))
    }
}

impl TryFrom<String> for Day {
    type Error = Unreadable;

    fn try_from(text: String) -> Result<Self, Unreadable> {
        text.parse()
    }
}

impl From<Day> for &'static str {
    fn from(day: Day) -> Self {
        day.as_str()
    }
}

impl From<Weekday> for Day {
    fn from(weekday: Weekday) -> Self {
        match weekday {
            Weekday::Mon => Day::Mon,
            Weekday::Tue => Day::Tue,
            Weekday::Wed => Day::Wed,
            Weekday::Thu => Day::Thu,
            Weekday::Fri => Day::Fri,
            Weekday::Sat => Day::Sat,
            Weekday::Sun => Day::Sun,
        }
    }
}

/// A time on a wall clock, to the minute, written `HH:MM` from `00:00` to `23:59`.
///
/// There is no `24:00`: a shift that ends at midnight ends at `00:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LocalTime(NaiveTime);

impl LocalTime {
    /// The minute in which a time of day lies.
    pub fn minute_of(time: NaiveTime) -> Self {
        let since_minute =
            TimeDelta::seconds(time.second().into()) + TimeDelta::nanoseconds(time.nanosecond().into());
        LocalTime(time - since_minute)
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.format("%H:%M"))
    }
}

impl FromStr for LocalTime {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        // chrono's `%H:%M` would also take `7:5` and ` 07:05`.
        let as_written = |time: &NaiveTime| LocalTime(*time).to_string() == text;
        let time = NaiveTime::parse_from_str(text, "%H:%M").ok().filter(as_written);
        time.map(LocalTime)
            .ok_or_else(|| Unreadable::Time(text.to_owned()))
    }
}

impl TryFrom<String> for LocalTime {
    type Error = Unreadable;

    fn try_from(text: String) -> Result<Self, Unreadable> {
        text.parse()
    }
}

impl From<LocalTime> for String {
    fn from(time: LocalTime) -> Self {
        time.to_string()
    }
}

impl From<LocalTime> for NaiveTime {
    fn from(time: LocalTime) -> Self {
        time.0
    }
}

/// The zone with a name of the IANA database, such as `Europe/London`; upper and lower case matter.
pub fn parse_zone(name: &str) -> Result<Tz, Unreadable> {
    name.parse().map_err(|_| Unreadable::Zone(name.to_owned()))
}

/// A text that is no day, no time or no zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Not one of `mon` to `sun`.
    Day(String),
    /// Not a time of day written `HH:MM`.
    Time(String),
    /// Not a name in the IANA time zone database.
    Zone(String),
}

impl fmt::Display for Unreadable {
    /// The text is cut at forty characters: it comes from outside and may be of any length.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Day(text) => {
                write!(
                    formatter,
                    "unknown day `{text:.40}`: expected mon, tue, wed, thu, fri, sat or sun"
                )
            }
            Unreadable::Time(text) => {
                write!(
                    formatter,
                    "unreadable time `{text:.40}`: expected HH:MM, from 00:00 to 23:59"
                )
            }
            Unreadable::Zone(text) => {
                write!(
                    formatter,
                    "unknown time zone `{text:.40}`: expected an IANA name such as Europe/London"
                )
            }
        }
    }
}

impl std::error::Error for Unreadable {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    /// The value that JSON is read as, or the problem with it.
    fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
        from_value(value.clone()).map_err(|problem| problem.to_string())
    }

    #[test]
    fn days_are_written_in_three_letters() {
        for (day, text) in Day::ALL
            .into_iter()
            .zip(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
        {
            assert_eq!(read(&json!(text)), Ok(day));
            assert_eq!(json!(day), json!(text));
            assert_eq!(day.to_string(), text);
        }
    }

    #[test]
    fn days_are_the_days_of_the_calendar_in_its_order() {
        let mut weekday = Weekday::Mon;
        for day in Day::ALL {
            assert_eq!(Day::from(weekday), day);
            weekday = weekday.succ();
        }
        assert!(Day::ALL.is_sorted());
    }

    #[test]
    fn anything_else_is_no_day() {
        for text in ["", "Mon", "MON", "monday", " mon", "1"] {
            let problem = format!("unknown day `{text}`: expected mon, tue, wed, thu, fri, sat or sun");
            assert_eq!(read::<Day>(&json!(text)), Err(problem));
        }
        assert_eq!(
            read::<Day>(&json!(1)),
            Err("invalid type: integer `1`, expected a string".to_owned())
        );
    }

    #[test]
    fn times_are_written_in_hours_and_minutes() {
        for (text, hour, minute) in [
            ("00:00", 0, 0),
            ("07:05", 7, 5),
            ("12:30", 12, 30),
            ("23:59", 23, 59),
        ] {
            let time: LocalTime = read(&json!(text)).unwrap_or_else(|problem| panic!("{problem}"));
            assert_eq!(Some(time.into()), NaiveTime::from_hms_opt(hour, minute, 0));
            assert_eq!(json!(time), json!(text));
        }
    }

    #[test]
    fn anything_else_is_no_time() {
        let texts = [
            "",
            "24:00",
            "23:60",
            "7:05",
            "07:5",
            " 07:05",
            "07:05 ",
            "07:05:00",
            "0705",
            "+7:05",
            "-1:00",
            "07-05",
            "007:05",
            "٠٧:٠٥",
        ];
        for text in texts {
            let problem = format!("unreadable time `{text}`: expected HH:MM, from 00:00 to 23:59");
            assert_eq!(read::<LocalTime>(&json!(text)), Err(problem));
        }
        assert_eq!(
            read::<LocalTime>(&json!(705)),
            Err("invalid type: integer `705`, expected a string".to_owned())
        );
    }

    #[test]
    fn a_time_of_day_lies_in_a_minute() {
        for (time, minute) in [
            ("07:05:00", "07:05"),
            ("07:05:59.999", "07:05"),
            ("23:59:60", "23:59"),
        ] {
            let time: NaiveTime = time.parse().unwrap_or_else(|_| panic!("`{time}` is no time"));
            assert_eq!(Ok(LocalTime::minute_of(time)), minute.parse());
        }
    }

    #[test]
    fn zones_have_the_names_of_the_database() {
        assert_eq!(parse_zone("Europe/London"), Ok(Tz::Europe__London));
        assert_eq!(parse_zone("UTC"), Ok(Tz::UTC));
        for name in ["", "europe/london", "Europe/Atlantis", "+01:00"] {
            let problem = parse_zone(name).map_err(|problem| problem.to_string());
            let expected = format!("unknown time zone `{name}`: expected an IANA name such as Europe/London");
            assert_eq!(problem, Err(expected));
        }
    }

    #[test]
    fn a_long_text_is_cut_in_the_message() {
        let problem = Unreadable::Zone("é".repeat(1_000)).to_string();
        assert!(
            problem.starts_with(&format!("unknown time zone `{}`: expected", "é".repeat(40))),
            "{problem}"
        );
    }
}
