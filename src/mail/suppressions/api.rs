//! Addresses that take no mail, over HTTP.

use actix_web::{HttpResponse, delete, get, web};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{SuppressionView, actions, store};
use crate::db::SuppressionId;
use crate::http::{Answer, Cursors, Items, Page, Query};
use crate::identity::Caller;
use crate::problem::{Code, Problem};
use crate::text;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(lift);
}

/// Which addresses are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SuppressionQuery {
    /// This one.
    address: Option<String>,
    /// 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// From `next_cursor`.
    cursor: Option<String>,
}

/// The addresses that take no mail, oldest first
#[utoipa::path(operation_id = "list_suppressions", tag = "mail", params(SuppressionQuery), responses((status = 200, body = Items<SuppressionView>)), security(("bearer" = [])))]
#[get("/suppressions")]
async fn list(
    caller: Caller,
    query: Query<SuppressionQuery>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let Query(query) = query;
    let page: Page<SuppressionId> = cursors.page(query.limit, query.cursor.as_deref(), caller.binding())?;
    let address = query.address.as_deref().map(|address| {
        text::email_address(address)
            .ok_or_else(|| Problem::new(Code::InvalidQuery, "address must be an e-mail address"))
    });
    let address = address.transpose()?;
    let answer = caller.read(move |conn, caller| {
        let rows = store::list(conn, caller.scope(), address.as_deref(), page.after, page.fetch())?;
        Answer::ok(&cursors.cut(&page, rows, |row| row.id, SuppressionView::from)?)
    });
    Ok(answer.await?.respond())
}

/// Let mail go to an address again
#[utoipa::path(operation_id = "lift_suppression", tag = "mail", params(("id" = SuppressionId, Path)), responses((status = 204, description = "mail goes there again")), security(("bearer" = [])))]
#[delete("/suppressions/{id}")]
async fn lift(caller: Caller, id: web::Path<SuppressionId>) -> Result<HttpResponse, Problem> {
    let done = caller.write(web::Bytes::new(), move |conn, caller| {
        actions::lift(conn, caller, *id)?;
        Ok(Answer::nothing())
    });
    done.await
}
