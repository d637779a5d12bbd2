//! The proof that a queue is staffed: gaps of the union of its shifts over the next 400 days, in UTC.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::model::Shift;
use crate::db::Moment;
use crate::problem::{Code, Problem};
use crate::schedule::{self, coverage};

/// How far ahead a queue is proved.
const HORIZON: TimeDelta = TimeDelta::days(400);

/// A half-open window without anybody on duty, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Gap {
    /// The first instant of it.
    pub from: Moment,
    /// The first instant after it.
    pub to: Moment,
}

/// The gaps of these shifts in a range.
pub fn gaps(shifts: &[Shift], from: Moment, to: Moment) -> Result<Vec<Gap>, Problem> {
    let schedules = shifts
        .iter()
        .map(Shift::schedule)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(gaps_between(&schedules, from.utc(), to.utc()))
}

fn gaps_between(schedules: &[schedule::Shift], from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Gap> {
    coverage::gaps(schedules, from, to)
        .into_iter()
        .map(|window| Gap {
            from: window.from.into(),
            to: window.until.into(),
        })
        .collect()
}

/// 422 with every gap that `after` has and `before` had not.
pub fn refuse_new_gaps(before: &[Shift], after: &[Shift], now: Moment) -> Result<(), Problem> {
    let until = now.plus(HORIZON);
    let old = gaps(before, now, until)?;
    let added: Vec<_> = gaps(after, now, until)?
        .iter()
        .flat_map(|gap| without(*gap, &old))
        .collect();
    match added.first() {
        None => Ok(()),
        Some(first) => {
            let detail = format!("nobody would be on duty from {} to {}", first.from, first.to);
            Err(Problem::new(Code::CoverageGap, detail).with("gaps", added))
        }
    }
}

/// What is left of a gap outside the gaps that were there before (ordered, disjoint).
fn without(gap: Gap, old: &[Gap]) -> Vec<Gap> {
    let mut left = Vec::new();
    let mut from = gap.from;
    for known in old
        .iter()
        .filter(|known| known.to > gap.from && known.from < gap.to)
    {
        if known.from > from {
            left.push(Gap { from, to: known.from });
        }
        from = from.max(known.to);
    }
    if from < gap.to {
        left.push(Gap { from, to: gap.to });
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(from: i64, to: i64) -> Gap {
        let at = |minute: i64| Moment::from(DateTime::from_timestamp(minute * 60, 0).unwrap());
        Gap {
            from: at(from),
            to: at(to),
        }
    }

    #[test]
    fn only_added_gaps_count() {
        for (new, old, left) in [
            (gap(10, 20), vec![], vec![gap(10, 20)]),
            (gap(10, 20), vec![gap(10, 20)], vec![]),
            (gap(10, 20), vec![gap(0, 12)], vec![gap(12, 20)]),
            (
                gap(10, 20),
                vec![gap(12, 14), gap(18, 30)],
                vec![gap(10, 12), gap(14, 18)],
            ),
            (gap(10, 20), vec![gap(20, 30)], vec![gap(10, 20)]),
        ] {
            assert_eq!(without(new, &old), left);
        }
    }
}
