//! Who is on duty: the shifts of a queue, less absences, changed by overrides. Whoever is disabled, or no longer an
//! agent, lead or operator, is never on duty. The rule is `schedule::roster`; here it gets its rows.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::model::MemberView;
use super::{absences, overrides, span, store};
use crate::db::{Connection, Moment, PersonId, QueueId};
use crate::identity;
use crate::problem::Problem;
use crate::schedule::roster::{Duty, Roster, Seat};

/// What a queue's team is at an instant is seen in a range that is no longer than this.
const INSTANT: TimeDelta = TimeDelta::microseconds(1);

/// An instant at which the team of a queue changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Moment,
    /// Who is on duty no longer, by id.
    pub leaves: Vec<PersonId>,
    /// Who is on duty from now on, by id.
    pub comes: Vec<PersonId>,
}

/// A roster, with the name of the shift behind each of its duties.
pub(super) struct Named {
    pub roster: Roster<PersonId>,
    pub names: Vec<String>,
}

impl Named {
    /// The people in these seats as clients see them, by id.
    pub fn members(&self, seats: &[Seat<PersonId>], people: &BTreeMap<PersonId, String>) -> Vec<MemberView> {
        let mut members: Vec<MemberView> = Vec::new();
        for seat in seats {
            let shift = seat.duty.and_then(|duty| self.names.get(duty)).cloned();
            match members.last_mut() {
                Some(last) if last.id == seat.person => last.shifts.extend(shift),
                _ => members.push(MemberView {
                    id: seat.person,
                    name: people.get(&seat.person).cloned().unwrap_or_default(),
                    shifts: shift.into_iter().collect(),
                }),
            }
        }
        members
    }

    /// The names of everybody who may be in a seat.
    pub fn people(&self, conn: &mut Connection) -> Result<BTreeMap<PersonId, String>, Problem> {
        let ids: Vec<PersonId> = people(&self.roster).into_iter().collect();
        let names = identity::store::names(conn, &ids)?;
        Ok(names.into_iter().map(|(id, name, _)| (id, name)).collect())
    }
}

/// What says who works in a queue in a range; for one person, where only that one is asked for.
pub(super) fn roster(
    conn: &mut Connection,
    queue: QueueId,
    (from, to): (Moment, Moment),
    who: Option<PersonId>,
) -> Result<Named, Problem> {
    let mut roster = Roster {
        duties: Vec::new(),
        absences: Vec::new(),
        overrides: overrides::store::meeting(conn, queue, (from, to), who)?
            .iter()
            .filter_map(overrides::RosterOverride::order)
            .collect(),
    };
    let mut names = Vec::new();
    for (shift, turn, members) in store::duties_of(conn, queue, who)? {
        let shift_of_team = shift.schedule(turn)?;
        names.push(shift.name);
        roster.duties.push(Duty {
            shift: shift_of_team,
            members,
        });
    }
    let people: Vec<PersonId> = people(&roster).into_iter().collect();
    let workers: BTreeSet<PersonId> = identity::store::workers_among(conn, &people)?
        .into_iter()
        .collect();
    for duty in &mut roster.duties {
        duty.members.retain(|person| workers.contains(person));
    }
    for order in &mut roster.overrides {
        order.add = order.add.filter(|person| workers.contains(person));
    }
    let absences = absences::store::meeting(conn, &people, (from, to))?;
    let windows = absences.iter().filter_map(|absence| {
        Some((
            absence.person_id,
            span::window(absence.starts_at, absence.ends_at)?,
        ))
    });
    roster.absences = windows.collect();
    Ok(Named { roster, names })
}

fn people(roster: &Roster<PersonId>) -> BTreeSet<PersonId> {
    let of_shifts = roster.duties.iter().flat_map(|duty| &duty.members);
    let of_overrides = roster.overrides.iter().filter_map(|order| order.add.as_ref());
    of_shifts.chain(of_overrides).copied().collect()
}

/// Who is on duty in a queue at an instant, and by which shifts.
pub fn members(conn: &mut Connection, queue: QueueId, at: Moment) -> Result<Vec<MemberView>, Problem> {
    let named = roster(conn, queue, (at, at.plus(INSTANT)), None)?;
    let people = named.people(conn)?;
    Ok(named.members(&named.roster.seats(at.utc()), &people))
}

/// Who is on duty in a queue at an instant, each once, by id.
pub fn team(conn: &mut Connection, queue: QueueId, at: Moment) -> Result<Vec<PersonId>, Problem> {
    let named = roster(conn, queue, (at, at.plus(INSTANT)), None)?;
    Ok(team_of(&named.roster.seats(at.utc())))
}

/// Whether somebody is on duty in a queue at an instant.
pub fn includes(
    conn: &mut Connection,
    queue: QueueId,
    person: PersonId,
    at: Moment,
) -> Result<bool, Problem> {
    let named = roster(conn, queue, (at, at.plus(INSTANT)), Some(person))?;
    Ok(named
        .roster
        .seats(at.utc())
        .iter()
        .any(|seat| seat.person == person))
}

/// The instants after `after`, up to and including `until`, at which the team of a queue changes, in order.
pub fn changes(
    conn: &mut Connection,
    queue: QueueId,
    after: Moment,
    until: Moment,
) -> Result<Vec<Change>, Problem> {
    let end = until.plus(INSTANT);
    let named = roster(conn, queue, (after, end), None)?;
    let segments = named.roster.segments(after.utc(), end.utc());
    let mut changes = Vec::new();
    let mut before: Option<Vec<PersonId>> = None;
    for segment in segments {
        let team = segment.team();
        if let Some(before) = before.filter(|before| *before != team) {
            let missing = |from: &[PersonId], of: &[PersonId]| {
                from.iter()
                    .filter(|person| !of.contains(person))
                    .copied()
                    .collect()
            };
            changes.push(Change {
                at: segment.window.from.into(),
                leaves: missing(&before, &team),
                comes: missing(&team, &before),
            });
        }
        before = Some(team);
    }
    Ok(changes)
}

fn team_of(seats: &[Seat<PersonId>]) -> Vec<PersonId> {
    let mut team: Vec<PersonId> = seats.iter().map(|seat| seat.person).collect();
    team.dedup();
    team
}
