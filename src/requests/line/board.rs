//! Who is there: every queue with its team of now, asked for once each.

use std::collections::{BTreeSet, HashMap};

use super::next::{self, Answer, Next, Way};
use super::{Waiting, needs_of};
use crate::db::{Connection, Moment, PersonId, QueueId};
use crate::identity::{self, Role};
use crate::problem::Problem;
use crate::queues::agents::{self, Agent};
use crate::queues::routing::Needs;
use crate::queues::{self, Queue, To, duty};

/// The desk at an instant.
pub struct Board {
    now: Moment,
    queues: HashMap<QueueId, Queue>,
    teams: HashMap<QueueId, Vec<Agent>>,
    leads: Option<bool>,
}

impl Board {
    /// The desk at `now`.
    pub fn at(conn: &mut Connection, now: Moment) -> Result<Self, Problem> {
        let all = queues::store::all(conn)?;
        Ok(Self {
            now,
            queues: all.into_iter().map(|queue| (queue.id, queue)).collect(),
            teams: HashMap::new(),
            leads: None,
        })
    }

    /// The instant.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Every queue, by id.
    pub fn queues(&self) -> Vec<Queue> {
        let mut queues: Vec<Queue> = self.queues.values().cloned().collect();
        queues.sort_unstable_by_key(|queue| queue.id);
        queues
    }

    /// Who is on duty in a queue.
    pub fn team(&mut self, conn: &mut Connection, queue: QueueId) -> Result<&[Agent], Problem> {
        if !self.teams.contains_key(&queue) {
            let people = duty::team(conn, queue, self.now)?;
            let team = agents::store::of(conn, &people)?;
            self.teams.insert(queue, team);
        }
        Ok(self.teams.get(&queue).map(Vec::as_slice).unwrap_or_default())
    }

    /// Who would answer in a queue what has these needs. Presence and room are of the moment, and not asked.
    pub fn answer(
        &mut self,
        conn: &mut Connection,
        queue: QueueId,
        needs: &Needs,
    ) -> Result<Answer, Problem> {
        let team = self.team(conn, queue)?;
        Ok(if team.is_empty() {
            Answer::Nobody
        } else if team.iter().any(|agent| agent.fits(needs)) {
            Answer::Fitting
        } else {
            Answer::Somebody
        })
    }

    /// Where a waiting request goes.
    pub fn next(&mut self, conn: &mut Connection, row: &Waiting) -> Result<Next, Problem> {
        let needs = needs_of(row)?;
        let ladder = match self.queues.get(&row.home_queue_id) {
            Some(home) => home.ladder()?,
            None => queues::Ladder::default(),
        };
        let fallbacks = self.fallbacks(row.queue_id);
        let mut answers = HashMap::new();
        let steps = ladder.queues().map(|(_, queue)| queue);
        let asked: BTreeSet<QueueId> = std::iter::once(row.queue_id)
            .chain(steps)
            .chain(fallbacks.iter().copied())
            .collect();
        for queue in asked {
            answers.insert(queue, self.answer(conn, queue, &needs)?);
        }
        let tells_lead = ladder.0.iter().any(|step| step.to == To::DutyLead);
        let has_lead = tells_lead && self.has_lead(conn)?;
        let way = Way {
            here: row.queue_id,
            since: row.home_since,
            ladder: &ladder,
            taken: usize::try_from(row.steps).unwrap_or(0),
            fallbacks: &fallbacks,
        };
        let answer = |queue| answers.get(&queue).copied().unwrap_or(Answer::Nobody);
        Ok(next::next(way, self.now, has_lead, answer))
    }

    /// Whether nobody is on duty in a queue, nor where it falls back to.
    pub fn reaches_nobody(&mut self, conn: &mut Connection, queue: QueueId) -> Result<bool, Problem> {
        for queue in std::iter::once(queue).chain(self.fallbacks(queue)) {
            if !self.team(conn, queue)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// When the next step of a ladder is due.
    pub fn due(&self, home: QueueId, since: Moment, taken: usize) -> Result<Moment, Problem> {
        match self.queues.get(&home) {
            Some(home) => super::step_due(home, since, taken),
            None => Ok(super::never()),
        }
    }

    /// The fallback of a queue, the fallback of that, and so on; each once.
    fn fallbacks(&self, queue: QueueId) -> Vec<QueueId> {
        let mut chain = vec![queue];
        let mut at = queue;
        while let Some(next) = self.queues.get(&at).and_then(|queue| queue.fallback_queue_id) {
            if chain.contains(&next) {
                break;
            }
            chain.push(next);
            at = next;
        }
        chain.split_off(1)
    }

    /// Whether a lead is on duty in any queue.
    fn has_lead(&mut self, conn: &mut Connection) -> Result<bool, Problem> {
        if let Some(known) = self.leads {
            return Ok(known);
        }
        let leads = identity::store::staff(conn, &[Role::Lead])?;
        let leads: BTreeSet<PersonId> = leads.into_iter().map(|lead| lead.id).collect();
        let mut found = false;
        for queue in self.queues() {
            let team = self.team(conn, queue.id)?;
            found = found || team.iter().any(|agent| leads.contains(&agent.person_id));
        }
        self.leads = Some(found);
        Ok(found)
    }
}
