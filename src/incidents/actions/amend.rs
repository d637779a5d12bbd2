//! Changing what an incident says of itself: what it is called, how bad it is, when it began, and what it affects.
//!
//! Of a draft nobody has heard. What an active one affects is told to everyone who was told of it: also to those whom it
//! no longer affects, who would otherwise go on expecting the worst.

use serde_json::{Value, json};

use super::{Change, Entry, began};
use crate::db::{Connection, IncidentId};
use crate::identity::{self, Caller};
use crate::incidents::lifecycle::{self, Status};
use crate::incidents::model::{Amendment, Incident};
use crate::incidents::store::{self, WithBroadcast};
use crate::journal::{self, EventKind};
use crate::mail::BroadcastKind;
use crate::problem::{Code, Problem};
use crate::text;

/// Slugs of services, and of regions.
type Reach = (Vec<String>, Vec<String>);

/// Changes a draft or an active incident. Nothing happens where nothing is changed and nothing said.
pub fn amend(
    conn: &mut Connection,
    caller: &Caller,
    id: IncidentId,
    form: &Amendment,
) -> Result<WithBroadcast, Problem> {
    let mut change = Change::begin(conn, caller, id)?;
    change.if_match_required()?;
    let status = change.before;
    if status != Status::Draft && !status.is_active() {
        let detail = format!("the incident is {status}; only a draft or an active one is changed");
        let problem = Problem::new(Code::TransitionNotAllowed, detail);
        return Err(problem.with("allowed", lifecycle::allowed(status)));
    }
    let reach = store::reach(conn, id)?;
    let wanted = wanted(conn, form, &reach)?;
    let before = said(&change.incident, &reach);
    let incident = &mut change.incident;
    if let Some(title) = &form.title {
        title.trim().clone_into(&mut incident.title);
    }
    incident.impact = form.impact.unwrap_or(incident.impact);
    incident.started_at = began(form.started_at.unwrap_or(incident.started_at), change.now)?;
    let after = said(incident, &wanted);
    if before == after && form.body.is_none() {
        return Ok((change.incident, None));
    }
    let is_rescoped = wanted != reach;
    if is_rescoped {
        store::replace_reach(conn, id, &wanted.0, &wanted.1)?;
    }
    let broadcast = match (status.is_active(), is_rescoped) {
        (true, true) if form.body.is_none() => {
            let detail = "is required: whoever was told of it is told what it affects";
            return Err(Problem::invalid("/body", detail));
        }
        (true, true) => Some(BroadcastKind::Rescoped),
        (true, false) => form.body.as_ref().map(|_| BroadcastKind::Updated),
        (false, _) => None,
    };
    change.note = Some(("changes", journal::changes(before, after)));
    let entry = form.body.clone().map(Entry::of);
    change.commit(conn, entry, EventKind::IncidentChanged, broadcast)
}

/// What it is to affect.
fn wanted(conn: &mut Connection, form: &Amendment, reach: &Reach) -> Result<Reach, Problem> {
    let services = form.services.as_ref().map(text::unique);
    let regions = form.regions.as_ref().map(text::unique);
    identity::actions::tenant::known_slugs(
        conn,
        regions.as_deref().unwrap_or_default(),
        services.as_deref().unwrap_or_default(),
    )?;
    Ok((
        services.unwrap_or_else(|| reach.0.clone()),
        regions.unwrap_or_else(|| reach.1.clone()),
    ))
}

/// What may be changed, as the audit has it.
fn said(incident: &Incident, (services, regions): &Reach) -> Value {
    json!({
        "title": incident.title, "impact": incident.impact, "started_at": incident.started_at,
        "services": services, "regions": regions,
    })
}
