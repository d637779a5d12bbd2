//! The ledger of mail over HTTP, for staff.

use actix_web::{HttpResponse, get, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::Filter;
use crate::db::{Connection, DeliveryId, EventId, IncidentId, Moment, PROVIDER, RequestId, TenantId};
use crate::http::body::{Empty, line};
use crate::http::{Answer, Cursors, Form, Items, Page, Query};
use crate::identity::Caller;
use crate::journal::{self, Event, EventKind, SubjectKind};
use crate::mail::api::address;
use crate::mail::model::{DeliveryKind, DeliveryState, Reason};
use crate::mail::store::{self, Row};
use crate::mail::view::{DeliveryView, RetriedView};
use crate::problem::{Code, Problem};
use crate::text;

/// So many messages are set going again in a call: a transaction that holds up nobody.
const RETRIED_AT_ONCE: u32 = 200;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_deliveries).service(retry_all).service(retry);
}

/// Which messages are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeliveryQuery {
    /// On behalf of this tenant.
    tenant_id: Option<TenantId>,
    /// Of this broadcast or event.
    event_id: Option<EventId>,
    /// About this request.
    request_id: Option<RequestId>,
    /// Naming this incident.
    incident_id: Option<IncidentId>,
    /// Of this kind.
    kind: Option<DeliveryKind>,
    /// In this state.
    state: Option<DeliveryState>,
    /// Suppressed for this reason.
    reason: Option<Reason>,
    /// To this address.
    recipient: Option<String>,
    /// Whose last attempt said this, among other things: such as `5.7.1` or `given up`.
    error: Option<String>,
    /// Written down at this time or later.
    from: Option<Moment>,
    /// Written down before this time.
    to: Option<Moment>,
    /// 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// From `next_cursor`.
    cursor: Option<String>,
}

impl DeliveryQuery {
    fn filter(self) -> Result<Filter, Problem> {
        let error = self.error.map(|error| line::<200>("error", error));
        Ok(Filter {
            tenant: self.tenant_id,
            event: self.event_id,
            request: self.request_id,
            incident: self.incident_id,
            kind: self.kind,
            state: self.state,
            reason: self.reason,
            recipient: address("recipient", self.recipient.as_deref())?,
            error: error.transpose()?,
            from: self.from,
            to: self.to,
        })
    }
}

/// The ledger of mail, oldest first
#[utoipa::path(tag = "mail", params(DeliveryQuery), responses((status = 200, body = Items<DeliveryView>)), security(("bearer" = [])))]
#[get("/deliveries")]
async fn list_deliveries(
    caller: Caller,
    query: Query<DeliveryQuery>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let Query(query) = query;
    let page: Page<DeliveryId> = cursors.page(query.limit, query.cursor.as_deref(), caller.binding())?;
    let filter = query.filter()?;
    let answer = caller.read(move |conn, _| {
        let rows = super::list(conn, &filter, page.after, page.fetch())?;
        Answer::ok(&cursors.cut(&page, rows, |row| row.id, DeliveryView::from)?)
    });
    Ok(answer.await?.respond())
}

/// Which failed messages are tried again: those that are all of this.
#[derive(Clone, Debug, Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
struct FailedFilter {
    /// On behalf of this tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<TenantId>,
    /// Of this broadcast or event.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    /// About this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<RequestId>,
    /// Naming this incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    incident_id: Option<IncidentId>,
    /// Of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<DeliveryKind>,
    /// To this address.
    #[garde(inner(custom(text::email)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
    /// Whose last attempt said this, among other things: such as `5.7.1` or `given up`.
    #[garde(inner(custom(text::line::<200>)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Written down at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Moment>,
    /// Written down before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Moment>,
}

impl From<&FailedFilter> for Filter {
    fn from(given: &FailedFilter) -> Self {
        Self {
            tenant: given.tenant_id,
            event: given.event_id,
            request: given.request_id,
            incident: given.incident_id,
            kind: given.kind,
            recipient: given.recipient.as_deref().and_then(text::email_address),
            error: given.error.clone(),
            from: given.from,
            to: given.to,
            ..Self::default()
        }
    }
}

/// Trying again what failed.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct RetryForm {
    /// Which; an empty one means all.
    #[garde(dive)]
    filter: FailedFilter,
    /// From `next_cursor` of the call before.
    #[garde(skip)]
    cursor: Option<String>,
}

/// Try failed messages of a kind again, the oldest 200 at a time
///
/// `next_cursor` leads to the next of them, and never back to one that has failed anew.
#[utoipa::path(operation_id = "retry_deliveries", tag = "mail", request_body = RetryForm, responses((status = 200, body = RetriedView)), security(("bearer" = [])))]
#[post("/deliveries/retry")]
async fn retry_all(
    caller: Caller,
    form: Form<RetryForm>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let RetryForm { filter, cursor } = form.value;
    let binding = format!("{} {}", caller.binding(), json!(filter));
    let page: Page<DeliveryId> = cursors
        .page(Some(RETRIED_AT_ONCE), cursor.as_deref(), binding)
        .map_err(|_| Problem::invalid("/cursor", "must be `next_cursor` of a call with this very filter"))?;
    let done = caller.write(form.bytes, move |conn, caller| {
        let rows = super::failed(conn, &Filter::from(&filter), page.after, page.fetch())?;
        let Items { items, next_cursor } = cursors.cut(&page, rows, |(id, _)| *id, |row| row)?;
        let retried = set_going(conn, caller, &filter, &items)?;
        Answer::ok(&RetriedView { retried, next_cursor })
    });
    done.await
}

fn set_going(
    conn: &mut Connection,
    caller: &Caller,
    filter: &FailedFilter,
    rows: &[Row],
) -> Result<usize, Problem> {
    let retried = store::retry(conn, rows, caller.now())?;
    if retried > 0 {
        let event = Event::alone(
            EventKind::DeliveriesRetried,
            SubjectKind::Delivery,
            PROVIDER,
            (&caller.actor(), caller.now()),
            json!({"filter": filter, "count": retried, "from": DeliveryState::Failed, "to": DeliveryState::Pending}),
        );
        journal::append(conn, event.internal(), &[])?;
    }
    Ok(retried)
}

/// Try a failed message again
#[utoipa::path(operation_id = "retry_delivery", tag = "mail", params(("id" = DeliveryId, Path)), request_body = Empty, responses((status = 200, body = DeliveryView)), security(("bearer" = [])))]
#[post("/deliveries/{id}/retry")]
async fn retry(
    caller: Caller,
    id: web::Path<DeliveryId>,
    form: Form<Empty>,
) -> Result<HttpResponse, Problem> {
    let done = caller.write(form.bytes, move |conn, caller| {
        let found = store::find_by_id(conn, *id)?.ok_or_else(|| Problem::not_found("delivery"))?;
        let row = (found.id, found.event_id);
        if store::retry(conn, &[row], caller.now())? == 0 {
            let detail = format!(
                "the delivery is {}; only a failed one is tried again",
                found.state
            );
            return Err(
                Problem::new(Code::TransitionNotAllowed, detail).with("allowed", [DeliveryState::Failed])
            );
        }
        let again = store::find_by_id(conn, *id)?.ok_or_else(|| Problem::not_found("delivery"))?;
        let event = Event::next(
            EventKind::DeliveryRetried,
            (SubjectKind::Delivery, again.id),
            again.tenant_id,
            (&caller.actor(), caller.now()),
            json!({"recipient": again.recipient, "from": found.state, "to": again.state, "error": found.error}),
        );
        journal::append(conn, event.internal(), &[])?;
        Answer::ok(&DeliveryView::from(again))
    });
    done.await
}
