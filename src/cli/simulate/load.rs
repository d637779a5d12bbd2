//! What the world does to the desk, drawn from a seed before anything happens: what is filed and how each case goes, who
//! is away and when, when the storm breaks. Pure: the same seed gives the same load.

use chrono::{DateTime, Datelike as _, TimeDelta, Utc, Weekday};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// How much is filed in each hour of a day, UTC: what the working days of three continents come to.
const HOURS: [f64; 24] = [
    3.0, 3.0, 3.0, 3.0, 3.0, 4.0, 6.0, 8.0, 9.0, 9.0, 8.0, 8.0, 8.0, 9.0, 10.0, 10.0, 9.0, 8.0, 7.0, 6.0,
    5.0, 4.0, 3.0, 3.0,
];
/// How much is filed on a day of a weekend, where a working day has 1.
const WEEKEND: f64 = 0.35;
/// Of a hundred requests, how many are `a`, `b`, `c`; the rest are `d`.
const SEVERITIES: [u32; 3] = [2, 13, 55];
/// The same of a storm: many see the same, and most of them can wait.
const SEVERITIES_OF_STORM: [u32; 3] = [1, 8, 61];
/// How long a storm goes on.
const STORM: TimeDelta = TimeDelta::hours(1);

/// How large the load is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// The first instant.
    pub from: DateTime<Utc>,
    /// How many days.
    pub days: u32,
    /// Requests of an ordinary day.
    pub per_day: u32,
    /// Requests of the storm.
    pub storm: u32,
    /// How many customers there are.
    pub tenants: usize,
    /// How many people may take leave.
    pub people: usize,
}

/// A request to be filed, and how it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// When it is filed.
    pub at: DateTime<Utc>,
    /// By which customer.
    pub tenant: usize,
    /// `a` to `d`.
    pub severity: &'static str,
    /// What it is about.
    pub topic: Topic,
    /// From being taken to the first answer.
    pub answer: TimeDelta,
    /// From there to the end, or to what the customer is asked.
    pub work: TimeDelta,
    /// What becomes of the question, if the customer is asked something.
    pub question: Option<Question>,
    /// After how long the customer asks what is going on.
    pub chased: Option<TimeDelta>,
    /// After how long the customer says that it is not solved.
    pub reopened: Option<TimeDelta>,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Anything.
    Mail,
    /// What specialists know best.
    Names,
    /// The outage.
    Storm,
}

/// What becomes of a question to the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// It is answered after so long.
    Answered(TimeDelta),
    /// It is not.
    Unanswered,
}

/// Somebody is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leave {
    /// Who.
    pub person: usize,
    /// When it is said.
    pub asked: DateTime<Utc>,
    /// Its first instant: what is said is said then for illness, and long before for leave.
    pub from: DateTime<Utc>,
    /// The first instant after it.
    pub to: DateTime<Utc>,
}

impl Leave {
    /// Whether nobody could know before.
    pub fn is_illness(&self) -> bool {
        self.asked == self.from
    }
}

/// All of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// What is filed, in the order of time.
    pub cases: Vec<Case>,
    /// Who is away.
    pub leaves: Vec<Leave>,
    /// When the storm breaks.
    pub storm: Option<DateTime<Utc>>,
}

impl Load {
    /// The load of a seed.
    pub fn of(seed: u64, size: Size) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut cases = Vec::new();
        for hour in 0..i64::from(size.days) * 24 {
            let from = size.from + TimeDelta::hours(hour);
            for at in arrivals(&mut rng, from, rate(from, size.per_day)) {
                let topic = if rng.random_ratio(1, 8) {
                    Topic::Names
                } else {
                    Topic::Mail
                };
                cases.push(case(&mut rng, at, topic, size.tenants));
            }
        }
        let storm = (size.storm > 0).then(|| {
            let day = size.from + TimeDelta::days(i64::from(size.days * 11 / 20));
            day + TimeDelta::minutes(14 * 60 + rng.random_range(0..60))
        });
        if let Some(from) = storm {
            for _ in 0..size.storm {
                let at = from + TimeDelta::milliseconds(rng.random_range(1..STORM.num_milliseconds()));
                cases.push(case(&mut rng, at, Topic::Storm, size.tenants));
            }
        }
        cases.sort_by_key(|case| case.at);
        Self {
            cases,
            leaves: leaves(&mut rng, size),
            storm,
        }
    }
}

/// How many are filed in the hour that begins then, on average.
fn rate(from: DateTime<Utc>, per_day: u32) -> f64 {
    let of_day = |weekday| match weekday {
        Weekday::Sat | Weekday::Sun => WEEKEND,
        _ => 1.0,
    };
    let hour = usize::try_from(chrono::Timelike::hour(&from)).unwrap_or_default();
    let share = HOURS.get(hour).copied().unwrap_or_default() / HOURS.iter().sum::<f64>();
    let week = (5.0 + 2.0 * WEEKEND) / 7.0;
    f64::from(per_day) * share * of_day(from.weekday()) / week
}

/// A Poisson process in the hour that begins then.
fn arrivals(rng: &mut StdRng, from: DateTime<Utc>, rate: f64) -> Vec<DateTime<Utc>> {
    let mut found = Vec::new();
    let mut at = from;
    if rate <= 0.0 {
        return found;
    }
    loop {
        let hours = -(1.0 - rng.random::<f64>()).ln() / rate;
        at += length(hours);
        if at >= from + TimeDelta::hours(1) {
            return found;
        }
        found.push(at);
    }
}

/// So many hours, in whole milliseconds.
fn length(hours: f64) -> TimeDelta {
    std::time::Duration::try_from_secs_f64(hours * 3600.0)
        .ok()
        .and_then(|long| i64::try_from(long.as_millis()).ok())
        .and_then(TimeDelta::try_milliseconds)
        .unwrap_or(TimeDelta::days(1))
}

fn case(rng: &mut StdRng, at: DateTime<Utc>, topic: Topic, tenants: usize) -> Case {
    let is_storm = topic == Topic::Storm;
    let minutes =
        |rng: &mut StdRng, from: i64, to: i64| TimeDelta::seconds(rng.random_range(from * 60..to * 60));
    let asks = !is_storm && rng.random_ratio(1, 4);
    let is_answered = rng.random_ratio(9, 10);
    let answered = minutes(rng, 20, 30 * 60);
    let question = match is_answered {
        true => Question::Answered(answered),
        false => Question::Unanswered,
    };
    let chases = !is_storm && rng.random_ratio(1, 6);
    let chased = minutes(rng, 30, 10 * 60);
    let reopens = !is_storm && rng.random_ratio(1, 25);
    let reopened = minutes(rng, 60, 60 * 60);
    Case {
        at,
        tenant: rng.random_range(0..tenants.max(1)),
        severity: severity(rng, if is_storm { SEVERITIES_OF_STORM } else { SEVERITIES }),
        topic,
        answer: minutes(rng, 2, 12),
        work: minutes(rng, 5, 45),
        question: asks.then_some(question),
        chased: chases.then_some(chased),
        reopened: reopens.then_some(reopened),
    }
}

fn severity(rng: &mut StdRng, [a, b, c]: [u32; 3]) -> &'static str {
    match rng.random_range(0..100) {
        drawn if drawn < a => "a",
        drawn if drawn < a + b => "b",
        drawn if drawn < a + b + c => "c",
        _ => "d",
    }
}

/// Some weeks of leave a year for everybody, long known, and some days of illness, which nobody knew of.
fn leaves(rng: &mut StdRng, size: Size) -> Vec<Leave> {
    let days = i64::from(size.days);
    let mut leaves = Vec::new();
    for person in 0..size.people {
        for of_year in 0..9 {
            // The dice are cast for the whole year, so that fewer days have fewer of them.
            let day = rng.random_range(0..365.max(days));
            let (long, notice) = (rng.random_range(3..=10), rng.random_range(14..=60));
            let (ill_at, ill_for) = (rng.random_range(0..24), rng.random_range(1..=2));
            if day >= days {
                continue;
            }
            let from = size.from + TimeDelta::days(day);
            let leave = if of_year < 5 {
                let asked = (from - TimeDelta::days(notice)).max(size.from) + TimeDelta::minutes(1);
                (asked, from + TimeDelta::hours(12), TimeDelta::days(long))
            } else {
                let ill = from + TimeDelta::hours(ill_at) + TimeDelta::minutes(7);
                (ill, ill, TimeDelta::days(ill_for))
            };
            leaves.push(Leave {
                person,
                asked: leave.0,
                from: leave.1,
                to: leave.1 + leave.2,
            });
        }
    }
    leaves
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size() -> Size {
        Size {
            from: "2026-01-05T00:00:00Z".parse().unwrap(),
            days: 365,
            per_day: 40,
            storm: 500,
            tenants: 12,
            people: 24,
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_load() {
        let (one, other) = (Load::of(7, size()), Load::of(7, size()));
        assert_eq!(one, other);
        assert_ne!(one, Load::of(8, size()));
    }

    #[test]
    fn a_load_has_what_was_asked_for() {
        let load = Load::of(1, size());
        let (storm, ordinary): (Vec<_>, Vec<_>) =
            load.cases.iter().partition(|case| case.topic == Topic::Storm);
        let expected = 365 * 40;
        assert!(
            ordinary.len().abs_diff(expected) < expected / 20,
            "{}",
            ordinary.len()
        );
        assert!(load.cases.is_sorted_by_key(|case| case.at));
        let (from, end) = (load.storm.unwrap(), size().from + TimeDelta::days(365));
        assert_eq!(storm.len(), 500);
        assert!(storm.iter().all(|case| case.at > from && case.at < from + STORM));
        assert!(
            storm
                .iter()
                .all(|case| case.question.is_none() && case.reopened.is_none())
        );
        let share = |severity: &str| {
            ordinary.iter().filter(|case| case.severity == severity).count() * 100 / ordinary.len()
        };
        assert!(
            (1..=3).contains(&share("a")) && (50..=60).contains(&share("c")),
            "{} {}",
            share("a"),
            share("c")
        );
        let weekends = ordinary
            .iter()
            .filter(|case| matches!(case.at.weekday(), Weekday::Sat | Weekday::Sun))
            .count();
        assert!(
            (8..=16).contains(&(weekends * 100 / ordinary.len())),
            "{weekends} on weekends"
        );
        for leave in &load.leaves {
            assert!(
                leave.asked <= leave.from && leave.from < leave.to && leave.asked < end,
                "{leave:?}"
            );
        }
        assert!(
            load.leaves.iter().any(Leave::is_illness) && load.leaves.iter().any(|leave| !leave.is_illness())
        );
    }

    #[test]
    fn no_storm_is_none_and_a_few_days_have_little_leave() {
        let few = Load::of(
            1,
            Size {
                storm: 0,
                days: 4,
                ..size()
            },
        );
        assert_eq!(few.storm, None);
        assert!(few.cases.iter().all(|case| case.topic != Topic::Storm));
        assert!(few.leaves.len() < 20, "{}", few.leaves.len());
    }
}
