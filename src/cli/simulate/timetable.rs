//! Who is on duty when, as the server says it: read some days ahead, and again when that has changed.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::Value;

use super::stage::{Desk, Stage};
use crate::cli::client::Result;

/// How far ahead it is read: a week, and what is over its edge.
const AHEAD: TimeDelta = TimeDelta::days(9);

/// The teams of both queues for some days.
#[derive(Debug, Default)]
pub struct Timetable {
    front: Vec<Stretch>,
    specialists: Vec<Stretch>,
}

/// The same people are on duty.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stretch {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    team: Vec<usize>,
}

impl Timetable {
    /// Reads it from an instant on.
    pub async fn read(stage: &Stage, from: DateTime<Utc>) -> Result<Self> {
        Ok(Self {
            front: stretches(stage, Desk::Front, from).await?,
            specialists: stretches(stage, Desk::Specialists, from).await?,
        })
    }

    fn of(&self, desk: Desk) -> &[Stretch] {
        match desk {
            Desk::Front => &self.front,
            Desk::Specialists => &self.specialists,
        }
    }

    /// Who is on duty at an instant, in the order of their places.
    pub fn team(&self, desk: Desk, at: DateTime<Utc>) -> &[usize] {
        let place = self.of(desk).partition_point(|stretch| stretch.to <= at);
        let stretch = self.of(desk).get(place).filter(|stretch| stretch.from <= at);
        stretch.map(|stretch| stretch.team.as_slice()).unwrap_or_default()
    }

    /// The instants after `at` at which a team changes.
    pub fn changes(&self, at: DateTime<Utc>) -> BTreeSet<DateTime<Utc>> {
        let all = self.front.iter().chain(&self.specialists);
        all.map(|stretch| stretch.from)
            .filter(|from| *from > at)
            .collect()
    }
}

async fn stretches(stage: &Stage, desk: Desk, from: DateTime<Utc>) -> Result<Vec<Stretch>> {
    let said = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let path = format!(
        "/v1/queues/{}/coverage?from={}&to={}",
        stage.queue(desk),
        said(from),
        said(from + AHEAD)
    );
    let answer = stage.operator.get(&path).await?;
    let segments = answer.body.get("segments").and_then(Value::as_array).into_iter();
    Ok(segments
        .flatten()
        .filter_map(|segment| stretch(stage, segment))
        .collect())
}

fn stretch(stage: &Stage, segment: &Value) -> Option<Stretch> {
    let instant = |name: &str| segment.get(name)?.as_str()?.parse::<DateTime<Utc>>().ok();
    let on_duty = segment.get("on_duty")?.as_array()?;
    let place = |member: &Value| {
        let id = member.get("id")?.as_str()?;
        stage.people.iter().position(|person| person.id == id)
    };
    let mut team: Vec<usize> = on_duty.iter().filter_map(place).collect();
    team.sort_unstable();
    Some(Stretch {
        from: instant("from")?,
        to: instant("to")?,
        team,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_is_there_from_its_first_instant_to_before_its_last() {
        let at = |hour: i64| DateTime::from_timestamp(hour * 3600, 0).unwrap();
        let stretch = |from, to, team: &[usize]| Stretch {
            from: at(from),
            to: at(to),
            team: team.to_vec(),
        };
        let table = Timetable {
            front: vec![stretch(0, 8, &[1, 2]), stretch(8, 16, &[3])],
            specialists: vec![stretch(2, 4, &[9])],
        };
        for (hour, front, specialists) in [
            (0, &[1, 2][..], &[][..]),
            (2, &[1, 2], &[9]),
            (8, &[3], &[]),
            (16, &[], &[]),
        ] {
            assert_eq!(table.team(Desk::Front, at(hour)), front, "{hour}");
            assert_eq!(table.team(Desk::Specialists, at(hour)), specialists, "{hour}");
        }
        assert_eq!(table.changes(at(0)), BTreeSet::from([at(2), at(8)]));
    }
}
