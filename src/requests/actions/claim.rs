//! Claiming: the most urgent request of a queue goes to one agent, and never to two.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::change::{event, prepare, tell};
use super::hands;
use crate::db::{Connection, Moment, QueueId, RequestId, lock};
use crate::identity::{Caller, Right};
use crate::journal::EventKind;
use crate::problem::{Code, Problem};
use crate::queues;
use crate::queues::agents::Agent;
use crate::queues::routing::Severity;
use crate::requests::lifecycle::{self, Status, Verb};
use crate::requests::line::{self, Waiting};
use crate::requests::model::Request;
use crate::requests::store;

/// How many candidates are read at first.
const CANDIDATES: i64 = 16;
/// And how many when the caller could take none of them.
const PAGE: i64 = 500;

/// Why this one.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Reason {
    /// What decided, first to last.
    pub order: Vec<&'static str>,
    /// The earliest of its deadlines, or of those as severe that it was handed over ahead of; null without any.
    pub urgent_at: Option<Moment>,
    /// Whether somebody had begun with it: it goes ahead of its severity.
    pub handed_over: bool,
    /// Its severity.
    pub severity: Severity,
    /// Since when it waits in this line.
    pub waiting_since: Moment,
}

impl Reason {
    fn of(row: &Waiting) -> Self {
        Self {
            order: vec!["sla_slack", "severity", "handed_over", "age"],
            urgent_at: Some(row.urgent_at).filter(|at| *at < line::never()),
            handed_over: row.is_handed_over(),
            severity: row.severity,
            waiting_since: row.since,
        }
    }
}

/// Gives the caller the most urgent request of a queue that it may take; `None` when a fresh look finds none.
///
/// Candidates are read in order and taken by an update guarded by all that made them eligible. What another claimer has in
/// hand is passed over, so that nobody waits for the next request behind those who get the ones before it; whoever finds
/// nothing else waits until one of them is decided, and the line is read again. What needs other skills, or more room
/// than the caller has left, is passed over for good.
pub fn claim(
    conn: &mut Connection,
    caller: &Caller,
    queue: QueueId,
) -> Result<Option<(Request, Reason)>, Problem> {
    let found = queues::store::find(conn, queue)?;
    caller.require(Right::WorkRequests)?;
    found.ok_or_else(|| Problem::not_found("queue"))?;
    let now = caller.now();
    hands::require_duty(conn, queue, caller.person(), now)?;
    // Beside other claimers; whoever gives out what is in the line, or changes the queue, is alone.
    lock::shared(conn, lock::Key::of(queue))?;
    let agent = hands::of(conn, caller.person())?;
    if !agent.presence.claims() {
        return Err(Problem::new(
            Code::NotAvailable,
            "you are away: say that you are back first",
        ));
    }
    let load = store::load(conn, caller.person())?;
    let severities: Vec<Severity> = Severity::ALL
        .iter()
        .copied()
        .filter(|severity| agent.may_take(load, *severity))
        .collect();
    if severities.is_empty() {
        return Err(hands::at_capacity(&agent, load));
    }
    let taker = Taker {
        caller,
        agent: &agent,
        severities: &severities,
        now,
    };
    taker.first(conn, queue)
}

/// Somebody who claims, and what may be theirs.
struct Taker<'a> {
    caller: &'a Caller,
    agent: &'a Agent,
    severities: &'a [Severity],
    now: Moment,
}

impl Taker<'_> {
    /// Takes the first of a line that is free.
    fn first(&self, conn: &mut Connection, queue: QueueId) -> Result<Option<(Request, Reason)>, Problem> {
        'fresh: loop {
            let (mut last, mut lost) = (None, None);
            loop {
                let limit = if last.is_none() { CANDIDATES } else { PAGE };
                let candidates =
                    line::store::most_urgent(conn, queue, self.severities, last.as_ref(), limit)?;
                let Some(end) = candidates.last().cloned() else {
                    let Some(lost) = lost else { return Ok(None) };
                    lock::exclusive(conn, in_hand(lost))?;
                    continue 'fresh;
                };
                for candidate in candidates {
                    if !self.agent.fits(&line::needs_of(&candidate.needs)?) {
                        continue;
                    }
                    let is_free = lock::attempt(conn, in_hand(candidate.request_id))?;
                    if is_free && let Some(taken) = take(conn, self.caller, &candidate, self.now)? {
                        return Ok(Some((taken, Reason::of(&candidate))));
                    }
                    lost.get_or_insert(candidate.request_id);
                }
                last = Some(end);
            }
        }
    }
}

/// The lock of whoever is claiming a request. Not that of the request: whoever changes it is waited for.
fn in_hand(request: RequestId) -> lock::Key {
    lock::Key::named(&format!("claim of {request}"))
}

fn take(
    conn: &mut Connection,
    caller: &Caller,
    waiting: &Waiting,
    now: Moment,
) -> Result<Option<Request>, Problem> {
    let found = store::find(conn, waiting.tenant_id, waiting.request_id)?;
    let Some(candidate) = found.filter(|request| request.status == Status::Queued) else {
        // Nobody finds it here again, whatever put it here.
        line::store::leave(conn, waiting.tenant_id, waiting.request_id)?;
        return Ok(None);
    };
    let mut taken = candidate.clone();
    taken.status = lifecycle::next(candidate.status, Verb::Claim, true)?;
    taken.assignee_id = Some(caller.person());
    taken.assigned_off_duty = false;
    prepare(&candidate, &mut taken, now);
    if !store::take(conn, &taken, candidate.revision)? {
        return Ok(None);
    }
    let data =
        json!({"from": candidate.status, "to": taken.status, "internal": {"to_assignee": caller.person()}});
    let event = event(&taken, EventKind::RequestClaimed, &caller.actor(), now, data);
    tell(conn, Some(&candidate), &taken, &event, &[])?;
    Ok(Some(taken))
}
