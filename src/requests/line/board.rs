//! Who is there: every queue with its team of now, asked for once each.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::next::{self, Answer, Next, Way};
use super::{Waiting, needs_of};
use crate::db::{Connection, Moment, QueueId};
use crate::identity::{self, Person, Role};
use crate::problem::Problem;
use crate::queues::agents::{self, Agent};
use crate::queues::fallback::Fallbacks;
use crate::queues::routing::Needs;
use crate::queues::{self, Queue, To, coverage, duty};

/// The desk at an instant.
pub struct Board {
    now: Moment,
    queues: BTreeMap<QueueId, Queue>,
    fallbacks: Fallbacks,
    teams: HashMap<QueueId, Vec<Agent>>,
}

impl Board {
    /// The desk at `now`.
    pub fn at(conn: &mut Connection, now: Moment) -> Result<Self, Problem> {
        let all = queues::store::all(conn)?;
        Ok(Self {
            now,
            fallbacks: all.iter().map(|queue| (queue.id, queue.link())).collect(),
            queues: all.into_iter().map(|queue| (queue.id, queue)).collect(),
            teams: HashMap::new(),
        })
    }

    /// The same for whoever acts on it: nothing of it changes before the end of the transaction.
    pub fn held(conn: &mut Connection, now: Moment) -> Result<Self, Problem> {
        coverage::hold_rosters(conn)?;
        Self::at(conn, now)
    }

    /// The instant.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// The ids of all queues, in order.
    pub fn queues(&self) -> Vec<QueueId> {
        self.queues.keys().copied().collect()
    }

    /// A queue.
    pub fn find(&self, queue: QueueId) -> Option<&Queue> {
        self.queues.get(&queue)
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

    /// Where a waiting request goes; `by_hand` without waiting for the time of a step.
    pub fn next(&mut self, conn: &mut Connection, row: &Waiting, by_hand: bool) -> Result<Next, Problem> {
        let needs = needs_of(&row.needs)?;
        let ladder = match self.queues.get(&row.home_queue_id) {
            Some(home) => home.ladder()?,
            None => queues::Ladder::default(),
        };
        let fallbacks = self.fallbacks.of(row.queue_id);
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
        let has_lead = tells_lead && !self.leads(conn)?.is_empty();
        let way = Way {
            here: row.queue_id,
            since: row.home_since,
            ladder: &ladder,
            taken: usize::try_from(row.steps).unwrap_or(0),
            fallbacks: &fallbacks,
            by_hand,
        };
        let answer = |queue| answers.get(&queue).copied().unwrap_or(Answer::Nobody);
        Ok(next::next(way, self.now, has_lead, answer))
    }

    /// Whether nobody is on duty in a queue, nor where it falls back to.
    pub fn reaches_nobody(&mut self, conn: &mut Connection, queue: QueueId) -> Result<bool, Problem> {
        for queue in std::iter::once(queue).chain(self.fallbacks.of(queue)) {
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

    /// The leads who are on duty in any queue.
    pub fn leads(&mut self, conn: &mut Connection) -> Result<Vec<Person>, Problem> {
        let mut on_duty = BTreeSet::new();
        for queue in self.queues() {
            on_duty.extend(self.team(conn, queue)?.iter().map(|agent| agent.person_id));
        }
        let mut leads = identity::store::staff(conn, &[Role::Lead])?;
        leads.retain(|lead| on_duty.contains(&lead.id));
        Ok(leads)
    }
}
