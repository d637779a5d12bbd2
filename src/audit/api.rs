//! The audit over HTTP.

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::store::{self, Entry, Filter};
use crate::db::{EventId, Moment, PersonId, SubjectId, TenantId};
use crate::http::{Answer, Cursors, Items, Page, Query};
use crate::identity::Caller;
use crate::journal::{ActorView, EventKind, view};
use crate::problem::{Code, Problem};

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_audit);
}

/// Which events are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Of this tenant, for operators; the provider's own have the id 00000000-0000-7000-8000-000000000001.
    tenant_id: Option<TenantId>,
    /// By this person or API key.
    actor_id: Option<PersonId>,
    /// About this.
    subject_id: Option<SubjectId>,
    /// Of this kind.
    kind: Option<EventKind>,
    /// At this time or later.
    from: Option<Moment>,
    /// Before this time.
    to: Option<Moment>,
    /// 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// From `next_cursor`.
    cursor: Option<String>,
}

/// What an event is about.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubjectView {
    /// The kind of thing.
    pub kind: String,
    /// Which one.
    pub id: SubjectId,
}

/// Where an event stands in the chain of its tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct SealView {
    /// Its place, from 1; what is for staff alone leaves gaps for a tenant.
    pub seq: i64,
    /// Its link: HMAC-SHA256, base64url.
    pub hash: String,
}

/// An event of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditView {
    /// Its id.
    pub id: EventId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// When.
    pub at: Moment,
    /// What happened.
    pub kind: String,
    /// Who did it.
    pub actor: ActorView,
    /// The address it was done from; not of staff to a tenant, and none of Allclear itself.
    pub address: Option<String>,
    /// What it is about.
    pub subject: SubjectView,
    /// What, from, to, why.
    pub data: Value,
    /// Its seal, which it gets within a second.
    pub seal: Option<SealView>,
}

impl AuditView {
    /// An event, as staff or as tenants see it.
    pub fn of(staff: bool, entry: Entry) -> Self {
        let seal = entry.chain_seq.zip(entry.chain_hash);
        Self {
            id: entry.id,
            tenant_id: entry.tenant_id,
            at: entry.at,
            kind: entry.kind,
            address: view::address(staff, entry.actor_side, entry.address),
            actor: ActorView::of(staff, entry.actor_side, entry.actor_id, entry.actor_name),
            subject: SubjectView {
                kind: entry.subject_kind,
                id: entry.subject_id,
            },
            data: view::data(staff, entry.data.0),
            seal: seal.map(|(seq, hash)| SealView { seq, hash }),
        }
    }
}

/// The audit, newest first
///
/// Every change, sign-in and refusal: who, from where, when, what, before and after. A tenant's administrators see
/// what concerns their tenant; of staff they see the names.
#[utoipa::path(tag = "audit", params(AuditQuery), responses((status = 200, body = Items<AuditView>)), security(("bearer" = [])))]
#[get("/audit")]
async fn list_audit(
    caller: Caller,
    query: Query<AuditQuery>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let Query(query) = query;
    let page: Page<EventId> = cursors.page(query.limit, query.cursor.as_deref(), caller.binding())?;
    let own = caller.scope().tenant();
    if own.is_some() && query.tenant_id.is_some() {
        let detail = "tenant_id is not for you to name: it is your own";
        return Err(Problem::new(Code::InvalidQuery, detail));
    }
    let staff = caller.is_staff();
    let filter = Filter {
        tenant: own.or(query.tenant_id),
        public_only: !staff,
        actor: query.actor_id,
        subject: query.subject_id,
        kind: query.kind,
        from: query.from,
        to: query.to,
    };
    let answer = caller.read(move |conn, _| {
        let rows = store::list(conn, &filter, page.after, page.fetch())?;
        Answer::ok(&cursors.cut(&page, rows, |entry| entry.id, |entry| AuditView::of(staff, entry))?)
    });
    Ok(answer.await?.respond())
}
