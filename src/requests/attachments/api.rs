//! Files of requests over HTTP: they come and go as bytes.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, ETAG, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use serde::Deserialize;
use tokio::task::spawn_blocking;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{AttachmentView, Described, Shelf, actions, kind, store};
use crate::db::AttachmentId;
use crate::http::body::line;
use crate::http::{Answer, Cursors, Items, Page, Pages, Query, Upload};
use crate::identity::{Begun, Caller};
use crate::problem::Problem;
use crate::requests;
use crate::requests::store::Key;
use crate::settings::Settings;

/// Whatever a file is, it does nothing where it is opened all the same.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(add).service(read).service(remove);
}

/// The files of a request, oldest first
#[utoipa::path(operation_id = "list_attachments", tag = "requests", params(("id" = String, Path, description = "id or reference"), Pages), responses((status = 200, body = Items<AttachmentView>)), security(("bearer" = [])))]
#[get("/service-requests/{id}/attachments")]
async fn list(
    caller: Caller,
    key: web::Path<String>,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let page: Page<AttachmentId> =
        cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.read(move |conn, caller| {
        let request = requests::store::visible(conn, caller, &key)?;
        let rows = store::list(
            conn,
            (request.tenant_id, Some(request.id)),
            page.after,
            page.fetch(),
        )?;
        Answer::ok(&cursors.cut(&page, rows, |row| row.id, AttachmentView::from)?)
    });
    Ok(answer.await?.respond())
}

/// What is said of a file that is added.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Named {
    /// What it is called: one line of 255 characters at most, of which 100 without folders are kept.
    name: Option<String>,
}

/// Add a file: the body is its bytes, whatever their type is said to be
#[utoipa::path(operation_id = "add_attachment", tag = "requests", params(("id" = String, Path, description = "id or reference"), Named), request_body(content = String, content_type = "application/octet-stream"), responses((status = 201, body = AttachmentView)), security(("bearer" = [])))]
#[post("/service-requests/{id}/attachments")]
async fn add(
    caller: Caller,
    key: web::Path<String>,
    query: Query<Named>,
    file: Upload,
    (shelf, settings): (web::Data<Shelf>, web::Data<Settings>),
) -> Result<HttpResponse, Problem> {
    let key = Key::parse(&key)?;
    let name = query.0.name.map(|name| line::<255>("name", name));
    let name = name.transpose()?.unwrap_or_default();
    let bytes = file.bytes.clone();
    let described = spawn_blocking(move || Described::of(&name, &bytes));
    let described = described.await.map_err(Problem::internal)??;
    // What an idempotency key stands for.
    let meant = web::Bytes::from(format!("{} {}", described.sha256, described.name));
    let limits = settings.files.clone();
    let begun = caller.begin(meant.clone(), move |conn, caller| {
        actions::announce(conn, caller, (&key, &described), &limits)
    });
    let row = match begun.await? {
        Begun::Now(row) => row,
        Begun::Before(answer) => return Ok(answer.respond()),
    };
    shelf.put(&row, file.bytes.clone()).await?;
    let done = caller.write(meant, move |conn, caller| {
        actions::keep(conn, caller, (std::slice::from_ref(&row), None), &settings.files)?;
        let location = format!("/v1/service-requests/{}/attachments/{}", row.request_id, row.id);
        Answer::created(location, &AttachmentView::from(row.clone()))
    });
    done.await
}

/// A file, to be saved
#[utoipa::path(operation_id = "read_attachment", tag = "requests", params(("id" = String, Path, description = "id or reference"), ("attachment_id" = AttachmentId, Path)), responses((status = 200, description = "the bytes, of whatever type they are", body = String, content_type = "*/*"), (status = 304, description = "they are the ones of If-None-Match")), security(("bearer" = [])))]
#[get("/service-requests/{id}/attachments/{attachment_id}")]
async fn read(
    request: HttpRequest,
    caller: Caller,
    path: web::Path<(String, AttachmentId)>,
    shelf: web::Data<Shelf>,
) -> Result<HttpResponse, Problem> {
    let (key, id) = path.into_inner();
    let key = Key::parse(&key)?;
    let found = caller.read(move |conn, caller| {
        let request = requests::store::visible(conn, caller, &key)?;
        let found = store::find(conn, (request.tenant_id, request.id), id)?;
        found.ok_or_else(|| Problem::not_found("attachment"))
    });
    let row = found.await?;
    let tag = format!("\"{}\"", row.sha256);
    let known = request.headers().get_all(IF_NONE_MATCH);
    if known
        .filter_map(|tags| tags.to_str().ok())
        .any(|tags| tags.contains(&tag))
    {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, tag)).finish());
    }
    let pieces = shelf.get(&row).await?;
    Ok(HttpResponse::Ok()
        .content_type(row.media_type.as_str())
        .insert_header((ETAG, tag))
        .insert_header((CONTENT_DISPOSITION, kind::disposition(&row.name)))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .no_chunking(u64::try_from(row.size).unwrap_or_default())
        .streaming(pieces))
}

/// Take a file away
#[utoipa::path(operation_id = "remove_attachment", tag = "requests", params(("id" = String, Path, description = "id or reference"), ("attachment_id" = AttachmentId, Path)), responses((status = 204, description = "it is gone")), security(("bearer" = [])))]
#[delete("/service-requests/{id}/attachments/{attachment_id}")]
async fn remove(caller: Caller, path: web::Path<(String, AttachmentId)>) -> Result<HttpResponse, Problem> {
    let (key, id) = path.into_inner();
    let key = Key::parse(&key)?;
    let done = caller.write(web::Bytes::new(), move |conn, caller| {
        actions::remove(conn, caller, &key, id)?;
        Ok(Answer::nothing())
    });
    done.await
}
