//! The rehearsal over HTTP.

use actix_web::{HttpResponse, post};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Draft, Rehearsal};
use crate::http::{Answer, Form};
use crate::identity::Caller;
use crate::problem::Problem;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(rehearse_rules);
}

/// What would these rules have done
///
/// Tries a draft on the newest requests, and says what each rule would have taken and what would have gone elsewhere.
#[utoipa::path(tag = "queues", request_body = Draft, responses((status = 200, body = Rehearsal)), security(("bearer" = [])))]
#[post("/routing/rehearsal")]
async fn rehearse_rules(caller: Caller, form: Form<Draft>) -> Result<HttpResponse, Problem> {
    let answer = caller.read(move |conn, caller| Answer::ok(&super::rehearse(conn, caller, &form.value)?));
    Ok(answer.await?.respond())
}
