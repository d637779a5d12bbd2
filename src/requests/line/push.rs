//! Gives work out, where a queue says so: the most urgent request to whose turn it is, one queue in one hand at a time.

use std::collections::HashMap;

use serde_json::json;

use super::board::Board;
use super::turns::{self, Candidate};
use super::{Waiting, needs_of, store};
use crate::db::{Connection, Moment, PersonId, QueueId, lock};
use crate::journal::{Actor, EventKind};
use crate::problem::Problem;
use crate::queues::Push;
use crate::queues::agents::Agent;
use crate::queues::routing::Severity;
use crate::requests::actions::change::{event, prepare, tell};
use crate::requests::lifecycle::{self, Status, Verb};
use crate::requests::store as requests;

/// Requests that one transaction gives out.
const CHUNK: usize = 50;
/// Requests that are read at a time.
const PAGE: i64 = 100;

/// A queue that gives work out, and something in it that somebody could be given.
pub fn next(conn: &mut Connection, board: &mut Board) -> Result<Option<QueueId>, Problem> {
    for queue in board.queues() {
        let push = pushes(board, queue);
        if push != Push::Off && !Team::of(conn, board, queue, push)?.given(conn, 1)?.is_empty() {
            return Ok(Some(queue));
        }
    }
    Ok(None)
}

fn pushes(board: &Board, queue: QueueId) -> Push {
    board.find(queue).map(|queue| queue.push).unwrap_or_default()
}

/// Gives out what waits in a queue; how many.
pub fn step(conn: &mut Connection, queue: QueueId, now: Moment) -> Result<usize, Problem> {
    let mut board = Board::held(conn, now)?;
    lock::exclusive(conn, lock::Key::of(queue))?;
    let push = pushes(&board, queue);
    // In order, so that no two of these wait for each other.
    let mut people: Vec<PersonId> = board
        .team(conn, queue)?
        .iter()
        .map(|agent| agent.person_id)
        .collect();
    people.sort_unstable();
    for person in people {
        lock::exclusive(conn, lock::Key::of(person))?;
    }
    let mut team = Team::of(conn, &mut board, queue, push)?;
    let given = team.given(conn, CHUNK)?;
    for (row, person) in &given {
        give(conn, row, *person, push, now)?;
    }
    if !given.is_empty() {
        store::save_turns(conn, queue, &team.turns())?;
    }
    Ok(given.len())
}

/// Those who are given work in a queue, with what they have.
struct Team {
    queue: QueueId,
    push: Push,
    members: Vec<(Agent, Candidate)>,
}

impl Team {
    fn of(conn: &mut Connection, board: &mut Board, queue: QueueId, push: Push) -> Result<Self, Problem> {
        let there: Vec<Agent> = board
            .team(conn, queue)?
            .iter()
            .filter(|agent| agent.presence.is_given_work())
            .cloned()
            .collect();
        let known: HashMap<PersonId, i64> = store::turns(conn, queue)?.into_iter().collect();
        let of_those_who_stayed: Vec<i64> = there
            .iter()
            .filter_map(|agent| known.get(&agent.person_id).copied())
            .collect();
        let beginning = turns::beginning(&of_those_who_stayed);
        let mut members = Vec::new();
        for agent in there {
            let candidate = Candidate {
                person: agent.person_id,
                turns: known.get(&agent.person_id).copied().unwrap_or(beginning),
                load: requests::load(conn, agent.person_id)?,
                capacity: agent.capacity,
            };
            members.push((agent, candidate));
        }
        Ok(Self { queue, push, members })
    }

    fn turns(&self) -> Vec<(PersonId, i64)> {
        self.members
            .iter()
            .map(|(_, one)| (one.person, one.turns))
            .collect()
    }

    /// Who is given which of the most urgent requests, at most so many. What nobody here fits or has room for waits.
    fn given(&mut self, conn: &mut Connection, most: usize) -> Result<Vec<(Waiting, PersonId)>, Problem> {
        let mut given = Vec::new();
        let mut last: Option<Waiting> = None;
        while given.len() < most && self.has_room() {
            let page = store::most_urgent(conn, self.queue, Severity::ALL, last.as_ref(), PAGE)?;
            let Some(end) = page.last().cloned() else { break };
            for row in page {
                if given.len() == most {
                    break;
                }
                if let Some(person) = self.choose(&row)? {
                    given.push((row, person));
                }
            }
            last = Some(end);
        }
        Ok(given)
    }

    /// Whether anybody could be given anything at all.
    fn has_room(&self) -> bool {
        self.members
            .iter()
            .any(|(agent, one)| agent.may_take(one.load, Severity::D))
    }

    /// Whose turn a request is, counted as theirs.
    fn choose(&mut self, row: &Waiting) -> Result<Option<PersonId>, Problem> {
        let needs = needs_of(&row.needs)?;
        let eligible: Vec<Candidate> = self
            .members
            .iter()
            .filter(|(agent, one)| agent.fits(&needs) && agent.may_take(one.load, row.severity))
            .map(|(_, one)| *one)
            .collect();
        let chosen = turns::choose(self.push, &eligible);
        for (_, one) in self
            .members
            .iter_mut()
            .filter(|(_, one)| Some(one.person) == chosen)
        {
            one.turns = one.turns.saturating_add(1);
            one.load = one
                .load
                .saturating_add(crate::queues::agents::weight(row.severity));
        }
        Ok(chosen)
    }
}

fn give(
    conn: &mut Connection,
    row: &Waiting,
    person: PersonId,
    push: Push,
    now: Moment,
) -> Result<(), Problem> {
    let before = requests::find(conn, row.tenant_id, row.request_id)?
        .filter(|request| request.status == Status::Queued && request.queue_id == row.queue_id)
        .ok_or_else(Problem::lost_race)?;
    let mut after = before.clone();
    after.status = lifecycle::next(before.status, Verb::Assign, true)?;
    after.assignee_id = Some(person);
    after.assigned_off_duty = false;
    prepare(&before, &mut after, now);
    if !requests::take(conn, &after, before.revision)? {
        return Err(Problem::lost_race());
    }
    let data =
        json!({"from": before.status, "to": after.status, "internal": {"to_assignee": person, "push": push}});
    let event = event(&after, EventKind::RequestAssigned, &Actor::system(), now, data);
    tell(conn, Some(&before), &after, &event, &[])
}
