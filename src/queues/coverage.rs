//! The proof that a queue is staffed: when too few are on duty in the next 400 days, in UTC.
//!
//! Whatever can take somebody off duty goes through [`keeping`] or [`prove`], under the lock of the queue: it is refused
//! for gaps that it adds, unless a waiver lets them through.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::{MemberView, Queue};
use super::{duty, findings, waivers};
use crate::db::{Connection, Moment, QueueId, lock};
use crate::problem::{Code, Problem};
use crate::schedule::Window;

/// How far ahead a queue is proved.
const HORIZON: TimeDelta = TimeDelta::days(400);

/// What puts people into queues holds it shared; exclusively holds it an absence, which has to know all queues of
/// somebody, and whoever acts on who is there. It is taken before the locks of queues.
pub(super) fn rosters() -> lock::Key {
    lock::Key::named("rosters")
}

/// Keeps everybody's rosters as they are until the end of the transaction: so that who is there is asked as of one
/// instant, by several queries.
pub fn hold_rosters(conn: &mut Connection) -> Result<(), Problem> {
    Ok(lock::exclusive(conn, rosters())?)
}

/// A half-open window in which too few are on duty, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gap {
    /// The first instant of it.
    pub from: Moment,
    /// The first instant after it.
    pub to: Moment,
}

impl From<Window> for Gap {
    fn from(window: Window) -> Self {
        Self {
            from: window.from.into(),
            to: window.until.into(),
        }
    }
}

/// A stretch during which the same people are on duty by the same shifts.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Stretch {
    /// Its first instant.
    pub from: Moment,
    /// The first instant after it.
    pub to: Moment,
    /// Who is on duty.
    pub on_duty: Vec<MemberView>,
}

/// When fewer than the minimum are on duty in a queue, in a range.
pub fn gaps(conn: &mut Connection, queue: &Queue, (from, to): (Moment, Moment)) -> Result<Vec<Gap>, Problem> {
    let roster = duty::roster(conn, queue.id, (from, to), None)?.roster;
    let gaps = roster.gaps(least(queue), from.utc(), to.utc());
    Ok(gaps.into_iter().map(Gap::from).collect())
}

fn least(queue: &Queue) -> usize {
    usize::try_from(queue.minimum).unwrap_or(1)
}

/// Who is on duty in a range, and when too few are: at most `most` stretches, and all gaps.
pub fn shown(
    conn: &mut Connection,
    queue: &Queue,
    (from, to): (Moment, Moment),
    most: usize,
) -> Result<(Vec<Stretch>, Vec<Gap>), Problem> {
    let named = duty::roster(conn, queue.id, (from, to), None)?;
    let people = named.people(conn)?;
    let segments = named.roster.segments(from.utc(), to.utc());
    let stretches = segments.iter().take(most).map(|segment| Stretch {
        from: segment.window.from.into(),
        to: segment.window.until.into(),
        on_duty: named.members(&segment.seats, &people),
    });
    let gaps = named.roster.gaps(least(queue), from.utc(), to.utc());
    Ok((stretches.collect(), gaps.into_iter().map(Gap::from).collect()))
}

/// A stretch during which as many are on duty, by the same shifts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Its first instant.
    pub from: Moment,
    /// The first instant after it.
    pub to: Moment,
    /// How many are on duty.
    pub people: usize,
    /// The names of the shifts that they are on duty by, each once, in order; by an override, none.
    pub shifts: Vec<String>,
}

/// How many are on duty in a queue in a range, and by which shifts: the whole of it, in order and without a hole.
pub fn watches(
    conn: &mut Connection,
    queue: QueueId,
    (from, to): (Moment, Moment),
) -> Result<Vec<Watch>, Problem> {
    let named = duty::roster(conn, queue, (from, to), None)?;
    let mut watches: Vec<Watch> = Vec::new();
    for segment in named.roster.segments(from.utc(), to.utc()) {
        let duties = segment.seats.iter().filter_map(|seat| seat.duty);
        let names: BTreeSet<&String> = duties.filter_map(|duty| named.names.get(duty)).collect();
        let watch = Watch {
            from: segment.window.from.into(),
            to: segment.window.until.into(),
            people: segment.team().len(),
            shifts: names.into_iter().cloned().collect(),
        };
        match watches.last_mut() {
            Some(last) if (last.people, &last.shifts) == (watch.people, &watch.shifts) => last.to = watch.to,
            _ => watches.push(watch),
        }
    }
    Ok(watches)
}

/// The gaps that a queue may not have: those of its next 400 days, if it is always on.
fn forbidden(conn: &mut Connection, queue: &Queue, now: Moment) -> Result<Vec<Gap>, Problem> {
    if queue.always_on {
        gaps(conn, queue, (now, now.plus(HORIZON)))
    } else {
        Ok(Vec::new())
    }
}

/// The same without what a waiver lets through.
pub(super) fn standing(conn: &mut Connection, queue: &Queue, now: Moment) -> Result<Vec<Gap>, Problem> {
    let gaps = forbidden(conn, queue, now)?;
    unwaived(conn, queue.id, gaps, now)
}

fn unwaived(conn: &mut Connection, queue: QueueId, gaps: Vec<Gap>, now: Moment) -> Result<Vec<Gap>, Problem> {
    let waived = waivers::store::until(conn, queue, now)?.map(|to| Gap { from: now, to });
    Ok(gaps
        .into_iter()
        .flat_map(|gap| without(gap, waived.as_slice()))
        .collect())
}

/// Whether a change of a queue, and not of who works in it, can change its gaps.
pub(super) fn is_other_promise(before: &Queue, after: &Queue) -> bool {
    (before.always_on, before.minimum) != (after.always_on, after.minimum)
}

/// 422 with every gap that a queue has by what it is now and had not by what it was. The caller holds its lock; `after`
/// need not be saved yet, and may be new.
pub fn prove(conn: &mut Connection, before: &Queue, after: &Queue, now: Moment) -> Result<(), Problem> {
    if !is_other_promise(before, after) {
        return Ok(());
    }
    let old = forbidden(conn, before, now)?;
    let new = forbidden(conn, after, now)?;
    refuse_added(conn, after, (&old, new), now)
}

/// Makes a change to who works in these queues; 422 with every gap that it adds to one of them. The caller holds their
/// locks. What was found before is found no longer, or still.
pub fn keeping<T>(
    conn: &mut Connection,
    queues: &[Queue],
    now: Moment,
    change: impl FnOnce(&mut Connection) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let mut old = Vec::new();
    for queue in queues {
        old.push(forbidden(conn, queue, now)?);
    }
    let done = change(conn)?;
    for (queue, old) in queues.iter().zip(&old) {
        let new = forbidden(conn, queue, now)?;
        refuse_added(conn, queue, (old, new.clone()), now)?;
        let left = unwaived(conn, queue.id, new, now)?;
        findings::note(conn, queue, &left, now)?;
    }
    Ok(done)
}

fn refuse_added(
    conn: &mut Connection,
    queue: &Queue,
    (old, new): (&[Gap], Vec<Gap>),
    now: Moment,
) -> Result<(), Problem> {
    let added = new.into_iter().flat_map(|gap| without(gap, old)).collect();
    let added = unwaived(conn, queue.id, added, now)?;
    let Some(first) = added.first() else {
        return Ok(());
    };
    let who = match queue.minimum {
        1 => "nobody".to_owned(),
        least => format!("fewer than {least}"),
    };
    let detail = format!(
        "{who} would be on duty in `{}` from {} to {}",
        queue.name, first.from, first.to
    );
    Err(Problem::new(Code::CoverageGap, detail)
        .with("queue_id", queue.id)
        .with("gaps", added))
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
    use chrono::DateTime;

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
