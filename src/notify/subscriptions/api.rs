//! What one wants to hear of, over HTTP.

use actix_web::{HttpResponse, delete, get, put, web};
use utoipa_actix_web::service_config::ServiceConfig;

use super::actions;
use super::model::{NewPreferences, PreferencesView};
use crate::db::IncidentId;
use crate::http::body::Empty;
use crate::http::{Answer, Form};
use crate::identity::Caller;
use crate::problem::Problem;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(read_notifications)
        .service(set_notifications)
        .service(subscribe)
        .service(unsubscribe);
}

/// What I want to hear of
#[utoipa::path(tag = "mail", responses((status = 200, body = PreferencesView)), security(("bearer" = [])))]
#[get("/me/notifications")]
async fn read_notifications(caller: Caller) -> Result<HttpResponse, Problem> {
    let answer = caller.read(|conn, caller| {
        let view = actions::read(conn, caller)?;
        Ok(Answer::ok(&view)?.version(view.version))
    });
    Ok(answer.await?.respond())
}

/// Say what I want to hear of, all of it
///
/// Language and time zone are those of the account: `PATCH /v1/me`.
#[utoipa::path(tag = "mail", request_body = NewPreferences, responses((status = 200, body = PreferencesView)), security(("bearer" = [])))]
#[put("/me/notifications")]
async fn set_notifications(caller: Caller, form: Form<NewPreferences>) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view = actions::set(conn, caller, &value)?;
        Ok(Answer::ok(&view)?.version(view.version))
    });
    done.await
}

/// Subscribe to an incident
#[utoipa::path(operation_id = "subscribe_to_incident", tag = "incidents", params(("id" = IncidentId, Path)), request_body = Empty, responses((status = 200, body = PreferencesView)), security(("bearer" = [])))]
#[put("/incidents/{id}/subscription")]
async fn subscribe(
    caller: Caller,
    id: web::Path<IncidentId>,
    form: Form<Empty>,
) -> Result<HttpResponse, Problem> {
    let done = caller.write(form.bytes, move |conn, caller| {
        Answer::ok(&actions::subscribe(conn, caller, *id)?)
    });
    done.await
}

/// Get no more mail of an incident
#[utoipa::path(operation_id = "unsubscribe_from_incident", tag = "incidents", params(("id" = IncidentId, Path)), request_body = Empty, responses((status = 204, description = "it is so")), security(("bearer" = [])))]
#[delete("/incidents/{id}/subscription")]
async fn unsubscribe(
    caller: Caller,
    id: web::Path<IncidentId>,
    form: Form<Empty>,
) -> Result<HttpResponse, Problem> {
    let done = caller.write(form.bytes, move |conn, caller| {
        actions::unsubscribe(conn, caller, *id)?;
        Ok(Answer::nothing())
    });
    done.await
}
