//! Broadcasts over HTTP, for staff, and who wants no more mail. The ledger is `ledger/api.rs`.

use actix_web::{HttpResponse, get, post, web};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

use super::model::BroadcastState;
use super::opt_outs::{self, OptOut, OptOutView};
use super::view::BroadcastView;
use super::{broadcasts, ledger};
use crate::db::{Connection, EventId, PROVIDER};
use crate::http::body::Empty;
use crate::http::{Answer, Cursors, Form, Items, Page, Query};
use crate::identity::Caller;
use crate::journal::{self, Event, EventKind, SubjectKind};
use crate::problem::{Code, Problem};
use crate::text;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(read_broadcast)
        .service(cancel_broadcast)
        .service(list_opt_outs);
    ledger::api::routes(config);
}

/// How far a broadcast is
#[utoipa::path(tag = "mail", params(("id" = EventId, Path)), responses((status = 200, body = BroadcastView)), security(("bearer" = [])))]
#[get("/broadcasts/{id}")]
async fn read_broadcast(caller: Caller, id: web::Path<EventId>) -> Result<HttpResponse, Problem> {
    let answer = caller.read(move |conn, caller| {
        let found = broadcasts::find(conn, *id)?.ok_or_else(|| Problem::not_found("broadcast"))?;
        Answer::ok(&broadcasts::view(conn, found, caller.now())?)
    });
    Ok(answer.await?.respond())
}

/// Call a broadcast off: what has not left is not sent
#[utoipa::path(operation_id = "cancel_broadcast", tag = "mail", params(("id" = EventId, Path)), request_body = Empty, responses((status = 200, body = BroadcastView)), security(("bearer" = [])))]
#[post("/broadcasts/{id}/cancel")]
async fn cancel_broadcast(
    caller: Caller,
    id: web::Path<EventId>,
    form: Form<Empty>,
) -> Result<HttpResponse, Problem> {
    let done = caller.write(form.bytes, move |conn, caller| {
        Answer::ok(&call_off(conn, caller, *id)?)
    });
    done.await
}

fn call_off(conn: &mut Connection, caller: &Caller, id: EventId) -> Result<BroadcastView, Problem> {
    let found = broadcasts::find(conn, id)?.ok_or_else(|| Problem::not_found("broadcast"))?;
    if found.kind.is_end() {
        let detail = "an end is not cancelled; reopening the incident withdraws what of it has not left";
        return Err(Problem::new(Code::EndIsOwed, detail));
    }
    if !broadcasts::cancel(conn, id, caller.now())? {
        let detail = format!("the broadcast is {}", found.state);
        let allowed = [
            BroadcastState::Pending,
            BroadcastState::Expanding,
            BroadcastState::Sending,
        ];
        return Err(Problem::new(Code::TransitionNotAllowed, detail).with("allowed", allowed));
    }
    let event = Event::next(
        EventKind::BroadcastCancelled,
        (SubjectKind::Broadcast, id),
        PROVIDER,
        (&caller.actor(), caller.now()),
        json!({"incident_id": found.incident_id, "kind": found.kind, "from": found.state, "to": BroadcastState::Cancelled}),
    );
    journal::append(conn, event.internal(), &[])?;
    let cancelled = broadcasts::find(conn, id)?.ok_or_else(|| Problem::not_found("broadcast"))?;
    broadcasts::view(conn, cancelled, caller.now())
}

/// Whose opt-outs are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OptOutQuery {
    /// Of this address.
    recipient: Option<String>,
    /// 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// From `next_cursor`.
    cursor: Option<String>,
}

/// Addresses that want no more mail, and of what
#[utoipa::path(tag = "mail", params(OptOutQuery), responses((status = 200, body = Items<OptOutView>)), security(("bearer" = [])))]
#[get("/opt-outs")]
async fn list_opt_outs(
    caller: Caller,
    query: Query<OptOutQuery>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let Query(query) = query;
    let page: Page<opt_outs::Place> = cursors.page(query.limit, query.cursor.as_deref(), caller.binding())?;
    let recipient = address("recipient", query.recipient.as_deref())?;
    let answer = caller.read(move |conn, caller| {
        let rows = opt_outs::list(
            conn,
            caller.scope(),
            recipient.as_deref(),
            page.after.clone(),
            page.fetch(),
        )?;
        let place = |row: &OptOut| (row.tenant_id, row.recipient.clone(), row.about);
        Answer::ok(&cursors.cut(&page, rows, place, OptOutView::from)?)
    });
    Ok(answer.await?.respond())
}

/// The address that a parameter of this name has in a query string, as it is stored.
pub(super) fn address(name: &str, given: Option<&str>) -> Result<Option<String>, Problem> {
    let address = |text| {
        let refused = || Problem::new(Code::InvalidQuery, format!("{name} must be an e-mail address"));
        text::email_address(text).ok_or_else(refused)
    };
    given.map(address).transpose()
}
