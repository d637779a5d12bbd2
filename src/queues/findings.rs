//! What is wrong with a queue and could not be refused: somebody was disabled, the horizon has moved on, or zones have
//! other clocks than they had. It is shown in the queue, in `/readyz` and the metrics, and noted when it comes and goes.

use diesel::prelude::*;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::coverage::{self, Gap};
use super::model::Queue;
use super::store;
use crate::db::schema::queue_findings;
use crate::db::{Connection, Moment, PROVIDER, QueueId, lock, text_enum};
use crate::journal::{self, Actor, Event, EventKind, Reader, SubjectKind};
use crate::problem::Problem;

text_enum! {
    /// What can be wrong with a queue.
    FindingKind {
        /// It is always on, and too few are on duty at some instant of the next 400 days.
        CoverageGap = "coverage_gap",
    }
}

/// Something that is wrong with a queue: the row is the model.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = queue_findings)]
pub struct Finding {
    queue_id: QueueId,
    kind: FindingKind,
    since: Moment,
    first_from: Moment,
    first_to: Moment,
    count: i32,
}

/// Something that is wrong with a queue, as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FindingView {
    /// What.
    pub kind: FindingKind,
    /// Since when it is known.
    pub since: Moment,
    /// The first gap of the next 400 days.
    pub first_gap: Gap,
    /// How many gaps there are.
    pub count: i32,
}

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        Self {
            kind: finding.kind,
            since: finding.since,
            first_gap: Gap {
                from: finding.first_from,
                to: finding.first_to,
            },
            count: finding.count,
        }
    }
}

impl Finding {
    /// What these gaps of a queue come to, after what was known of it.
    fn after(known: Option<&Self>, queue: QueueId, gaps: &[Gap], now: Moment) -> Option<Self> {
        let first = gaps.first()?;
        // A gap that has begun began when it began, and not again at every look.
        let begun = known.filter(|known| known.first_to == first.to && known.first_from < first.from);
        Some(Self {
            queue_id: queue,
            kind: FindingKind::CoverageGap,
            since: known.map_or(now, |known| known.since),
            first_from: begun.map_or(first.from, |known| known.first_from),
            first_to: first.to,
            count: i32::try_from(gaps.len()).unwrap_or(i32::MAX),
        })
    }
}

/// What is wrong with a queue.
pub fn of(conn: &mut Connection, queue: QueueId) -> Result<Option<Finding>, Problem> {
    Ok(queue_findings::table
        .find((queue, FindingKind::CoverageGap))
        .select(Finding::as_select())
        .first(conn)
        .optional()?)
}

/// In how many queues something is wrong.
pub fn count(conn: &mut Connection) -> Result<i64, Problem> {
    Ok(queue_findings::table.count().get_result(conn)?)
}

/// Keeps what these gaps of a queue come to; says so in the history when it comes and when it goes.
pub(super) fn note(conn: &mut Connection, queue: &Queue, gaps: &[Gap], now: Moment) -> Result<(), Problem> {
    let known = of(conn, queue.id)?;
    let found = Finding::after(known.as_ref(), queue.id, gaps, now);
    if found == known {
        return Ok(());
    }
    let row = queue_findings::table.filter(queue_findings::queue_id.eq(queue.id));
    match (known, found) {
        (Some(_), Some(found)) => {
            diesel::update(row).set(&found).execute(conn)?;
            Ok(())
        }
        (None, Some(found)) => {
            diesel::insert_into(queue_findings::table)
                .values(&found)
                .execute(conn)?;
            tell(conn, queue, EventKind::FindingRaised, found, now)
        }
        (Some(known), None) => {
            diesel::delete(row).execute(conn)?;
            tell(conn, queue, EventKind::FindingCleared, known, now)
        }
        (None, None) => Ok(()),
    }
}

fn tell(
    conn: &mut Connection,
    queue: &Queue,
    kind: EventKind,
    finding: Finding,
    now: Moment,
) -> Result<(), Problem> {
    let data = json!({"name": queue.name, "finding": FindingView::from(finding)});
    let subject = (SubjectKind::Queue, queue.id);
    let event = Event::next(kind, subject, PROVIDER, (&Actor::system(), now), data);
    journal::append(conn, event, &[])
}

/// The queues of which something else is found than is known.
pub fn stale(conn: &mut Connection, now: Moment) -> Result<Vec<QueueId>, Problem> {
    let mut stale = Vec::new();
    for queue in store::watched(conn)? {
        let gaps = coverage::standing(conn, &queue, now)?;
        let known = of(conn, queue.id)?;
        if Finding::after(known.as_ref(), queue.id, &gaps, now) != known {
            stale.push(queue.id);
        }
    }
    Ok(stale)
}

/// Looks at a queue again, under its lock.
pub fn renew(conn: &mut Connection, queue: QueueId, now: Moment) -> Result<(), Problem> {
    lock::exclusive(conn, lock::Key::of(queue))?;
    let Some(queue) = store::find(conn, queue)? else {
        return Ok(());
    };
    let gaps = coverage::standing(conn, &queue, now)?;
    note(conn, &queue, &gaps, now)
}

/// What happened to people of the provider since somebody looked at their queues.
pub fn unread(conn: &mut Connection) -> Result<Vec<Event>, Problem> {
    journal::unread(conn, Reader::Queues, 100)
}

/// Marks it as looked at.
pub fn acted_on(conn: &mut Connection, events: &[Event]) -> Result<(), Problem> {
    journal::act_on(conn, Reader::Queues, events.to_vec())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::db::Id;

    fn at(minute: i64) -> Moment {
        DateTime::from_timestamp(minute * 60, 0).unwrap().into()
    }

    fn gap(from: i64, to: i64) -> Gap {
        Gap {
            from: at(from),
            to: at(to),
        }
    }

    #[test]
    fn a_finding_keeps_when_it_was_found_and_when_its_first_gap_began() {
        let queue: QueueId = Id::from_uuid(uuid::Uuid::from_u128(1));
        let after = |known: Option<&Finding>, gaps: &[Gap], now| Finding::after(known, queue, gaps, at(now));
        assert_eq!(after(None, &[], 0), None);
        let raised = after(None, &[gap(10, 20), gap(30, 40)], 0).unwrap();
        assert_eq!(
            (raised.since, raised.first_from, raised.first_to, raised.count),
            (at(0), at(10), at(20), 2)
        );
        // Amid the first gap nothing is new.
        assert_eq!(
            after(Some(&raised), &[gap(15, 20), gap(30, 40)], 15),
            Some(raised.clone())
        );
        let later = after(Some(&raised), &[gap(30, 40)], 25).unwrap();
        assert_eq!((later.since, later.first_from, later.count), (at(0), at(30), 1));
        assert_eq!(after(Some(&later), &[], 50), None);
    }
}
