//! What an end would send, and to how many, without ending anything: the action is done, looked at and undone.

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::model::IncidentView;
use super::store::WithBroadcast;
use super::view;
use crate::db::{Connection, TenantId};
use crate::http::Answer;
use crate::identity::Caller;
use crate::mail::{self, BroadcastKind, Rehearsal};
use crate::problem::Problem;

/// Whether it is done, or only looked at.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DryRun {
    /// `true` changes nothing, and answers how it would be, with a preview of what would be sent.
    #[serde(default)]
    pub dry_run: bool,
}

/// What would be sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Preview {
    /// What it would tell.
    pub kind: BroadcastKind,
    /// To how many people, tenant by tenant.
    pub audience: i64,
    /// What one of them would get; none where there is nobody.
    pub sample: Option<Sample>,
}

/// A mail that would be sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Sample {
    /// On whose behalf.
    pub tenant_id: TenantId,
    /// To whom.
    pub recipient: String,
    /// Its subject.
    pub subject: String,
    /// Its plain part.
    pub text: String,
    /// Its HTML part.
    pub html: String,
}

/// Does `act` and undoes it; the answer has the incident as it would be, and what would have been sent.
pub async fn rehearse(
    caller: Caller,
    rehearsal: Rehearsal,
    act: impl Fn(&mut Connection, &Caller) -> Result<WithBroadcast, Problem> + Send + Sync + 'static,
) -> Result<HttpResponse, Problem> {
    let words = rehearsal.clone();
    let tried = caller.clone().rehearse(move |conn, caller| {
        let (incident, event) = act(conn, caller)?;
        let shown = view::of(conn, caller.scope(), true, (incident, None))?;
        let event = event.ok_or_else(|| Problem::internal("nothing was to be sent"))?;
        let broadcast = mail::broadcasts::find(conn, event)?;
        let broadcast = broadcast.ok_or_else(|| Problem::not_found("broadcast"))?;
        let sample = words.sample(conn, &broadcast, caller.now())?;
        Ok((shown, broadcast, sample))
    });
    let (shown, broadcast, sample) = tried.await?;
    // Counted where nobody waits for it.
    let kind = broadcast.kind;
    let audience = caller.snapshot(move |conn, _| rehearsal.count(conn, &broadcast));
    let sample = sample.map(|(delivery, content)| Sample {
        tenant_id: delivery.tenant_id,
        recipient: delivery.recipient,
        subject: content.subject,
        text: content.text,
        html: content.html,
    });
    let preview = Preview {
        kind,
        audience: audience.await?,
        sample,
    };
    let shown = IncidentView {
        preview: Some(preview),
        ..shown
    };
    Ok(Answer::ok(&shown)?.respond())
}
