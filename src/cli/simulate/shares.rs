//! How work was shared, and what each month had. Pure, but for whom it looks at.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::books::{Day, Person};
use super::run::Simulation;
use super::stage::Desk;

/// How a group shared its work: what each took in eight hours on duty.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Fairness {
    /// The group.
    pub group: String,
    /// How many they are.
    pub people: usize,
    /// What they took.
    pub taken: u32,
    /// Whoever took least.
    pub least: f64,
    /// All of them.
    pub mean: f64,
    /// Whoever took most.
    pub most: f64,
}

/// A month.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Month {
    /// Which.
    pub month: String,
    /// Requests filed.
    pub filed: u32,
    /// The most that were open at once.
    pub open: u32,
    /// Promises broken.
    pub breached: u32,
}

/// By site, and the specialists of each.
pub fn fairness(simulation: &Simulation<'_>) -> Vec<Fairness> {
    let mut groups: Vec<(String, Vec<&Person>)> = Vec::new();
    for (person, page) in simulation.stage.people.iter().zip(&simulation.books.people) {
        let name = match person.desk {
            Desk::Front => person.city.to_owned(),
            Desk::Specialists => format!("{}, specialists", person.city),
        };
        match groups.iter_mut().find(|(group, _)| *group == name) {
            Some((_, pages)) => pages.push(page),
            None => groups.push((name, vec![page])),
        }
    }
    groups
        .into_iter()
        .map(|(group, pages)| shared(group, &pages))
        .collect()
}

/// How a group shared what it took. Whoever was never on duty is left out.
fn shared(group: String, pages: &[&Person]) -> Fairness {
    let at_work: Vec<&&Person> = pages
        .iter()
        .filter(|page| page.on_duty > TimeDelta::zero())
        .collect();
    let in_eight_hours = |taken: u32, on_duty: TimeDelta| {
        let hours = on_duty.as_seconds_f64() / 3600.0;
        (f64::from(taken) * 8.0 / hours * 100.0).round() / 100.0
    };
    let each = || {
        at_work
            .iter()
            .map(|page| in_eight_hours(page.taken, page.on_duty))
    };
    let taken = at_work.iter().map(|page| page.taken).sum();
    let together: TimeDelta = at_work.iter().map(|page| page.on_duty).sum();
    let is_empty = at_work.is_empty();
    Fairness {
        group,
        people: at_work.len(),
        taken,
        least: if is_empty {
            0.0
        } else {
            each().fold(f64::INFINITY, f64::min)
        },
        mean: if is_empty {
            0.0
        } else {
            in_eight_hours(taken, together)
        },
        most: each().fold(0.0, f64::max),
    }
}

/// Month by month.
pub fn months(from: DateTime<Utc>, days: &[Day]) -> Vec<Month> {
    let mut months: Vec<Month> = Vec::new();
    for (place, day) in (0..).zip(days) {
        let name = (from + TimeDelta::days(place)).format("%Y-%m").to_string();
        if months.last().is_none_or(|last| last.month != name) {
            months.push(Month {
                month: name,
                ..Month::default()
            });
        }
        if let Some(month) = months.last_mut() {
            month.filed += day.filed;
            month.open = month.open.max(day.open);
            month.breached += day.breached;
        }
    }
    months
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_measured_against_time_on_duty() {
        let person = |taken, hours| Person {
            taken,
            on_duty: TimeDelta::hours(hours),
        };
        let (busy, slow, gone) = (person(30, 40), person(10, 80), person(0, 0));
        let found = shared("Here".into(), &[&busy, &slow, &gone]);
        let expected = Fairness {
            group: "Here".into(),
            people: 2,
            taken: 40,
            least: 1.0,
            mean: 2.67,
            most: 6.0,
        };
        assert_eq!(found, expected);
        assert_eq!(
            shared("None".into(), &[&gone]),
            Fairness {
                group: "None".into(),
                ..Fairness::default()
            }
        );
    }

    #[test]
    fn months_are_those_of_their_days() {
        let from = "2026-01-30T00:00:00Z".parse().unwrap();
        let day = |filed, open| Day {
            filed,
            open,
            breached: 1,
        };
        let found = months(from, &[day(1, 5), day(2, 3), day(4, 9)]);
        let month = |name: &str, filed, open, breached| Month {
            month: name.into(),
            filed,
            open,
            breached,
        };
        assert_eq!(found, [month("2026-01", 3, 5, 2), month("2026-02", 4, 9, 1)]);
    }
}
