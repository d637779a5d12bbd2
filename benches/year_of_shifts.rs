//! How long a year of 50 shifts takes: ten sites around the world, five shifts each of eight hours and eight people,
//! some taking turns, with leave and swaps.
//!
//! `cargo bench --bench year_of_shifts` prints the median of 200 rounds of the proof, and of the segments with everybody
//! in them.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::time::{Duration, Instant};

use allclear::schedule::roster::{Duty, Override, Roster};
use allclear::schedule::{Day, Shift, Turn, Window, parse_zone};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

const SITES: [&str; 10] = [
    "Europe/London",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Asia/Tokyo",
    "Europe/Berlin",
    "America/Los_Angeles",
];

fn duties(begin: DateTime<Utc>) -> Vec<Duty<u32>> {
    let mut duties = Vec::new();
    for (site, zone) in SITES.iter().enumerate() {
        for number in 0..5_u32 {
            let site = u32::try_from(site).unwrap();
            let start = NaiveTime::from_hms_opt((site + number * 5) % 24, number * 12, 0).unwrap();
            let turn = (number == 4).then_some(Turn {
                from: begin.date_naive(),
                weeks: 2,
                teams: 3,
                place: site % 3,
            });
            duties.push(Duty {
                shift: Shift {
                    days: Day::ALL.into_iter().collect(),
                    start,
                    end: start + TimeDelta::hours(8),
                    zone: parse_zone(zone).unwrap(),
                    valid_from: None,
                    valid_until: None,
                    turn,
                },
                members: (0..8).map(|seat| site * 40 + (number * 8 + seat) % 36).collect(),
            });
        }
    }
    duties
}

fn roster(begin: DateTime<Utc>) -> Roster<u32> {
    let day = |from: u32, long: i64| {
        let from = begin + TimeDelta::days(from.into());
        Window::new(from, from + TimeDelta::days(long)).unwrap()
    };
    Roster {
        duties: duties(begin),
        // Everybody is away for three weeks, somebody swaps every day.
        absences: (0..400).map(|person| (person, day(person % 340, 21))).collect(),
        overrides: (0..365)
            .map(|number| Override {
                window: day(number, 1),
                add: Some(number % 400),
                remove: Some((number + 7) % 400),
            })
            .collect(),
    }
}

fn median(mut round: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            let begun = Instant::now();
            round();
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn main() {
    let begin: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    let end = begin + TimeDelta::days(365);
    let roster = roster(begin);
    let (gaps, segments) = (roster.gaps(3, begin, end), roster.segments(begin, end));
    println!(
        "{} shifts, {} segments, {} gaps",
        roster.duties.len(),
        segments.len(),
        gaps.len()
    );
    let proof = median(|| drop(std::hint::black_box(roster.gaps(3, begin, end))));
    let whole = median(|| drop(std::hint::black_box(roster.segments(begin, end))));
    println!("the proof of a year: {proof:?}, all segments of it: {whole:?}");
}
