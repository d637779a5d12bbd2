//! Queues and schedules over HTTP; routing and agents bring routes of their own. The line of a queue and claiming are in `requests`.

use actix_web::{HttpResponse, get, patch, post, put, web};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::actions::{self, NewShifts};
use super::coverage::{self, Gap, Stretch};
use super::model::{MemberView, NewQueue, QueueView, ShiftView};
use super::{QueueChange, absences, agents, calendar, duty, overrides, routing, store, waivers};
use crate::db::{Connection, Moment, QueueId};
use crate::http::{Answer, Cursors, Form, Items, Page, Pages, Query};
use crate::identity::Caller;
use crate::problem::{Code, Problem};

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(create)
        .service(list)
        .service(read)
        .service(change)
        .service(read_shifts)
        .service(replace_shifts)
        .service(read_coverage)
        .service(on_duty)
        .configure(absences::api::routes)
        .configure(overrides::api::routes)
        .configure(waivers::api::routes)
        .configure(calendar::routes)
        .configure(routing::api::routes)
        .configure(agents::api::routes);
}

pub(super) fn found(conn: &mut Connection, id: QueueId) -> Result<super::Queue, Problem> {
    store::find(conn, id)?.ok_or_else(|| Problem::not_found("queue"))
}

/// Create a queue
#[utoipa::path(operation_id = "create_queue", tag = "queues", request_body = NewQueue, responses((status = 201, body = QueueView)), security(("bearer" = [])))]
#[post("/queues")]
async fn create(caller: Caller, form: Form<NewQueue>) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view = actions::create(conn, caller, &value)?;
        Ok(Answer::created(format!("/v1/queues/{}", view.id), &view)?.version(view.version))
    });
    done.await
}

/// List queues
#[utoipa::path(operation_id = "list_queues", tag = "queues", params(Pages), responses((status = 200, body = Items<QueueView>)), security(("bearer" = [])))]
#[get("/queues")]
async fn list(
    caller: Caller,
    query: Query<Pages>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let page: Page<QueueId> = cursors.page(query.0.limit, query.0.cursor.as_deref(), caller.binding())?;
    let answer = caller.snapshot(move |conn, _| {
        let rows = store::list(conn, page.after, page.fetch())?;
        let items = cursors.cut(&page, rows, |queue| queue.id, |queue| store::view(conn, queue))?;
        let views = items.items.into_iter().collect::<Result<Vec<_>, _>>()?;
        Answer::ok(&Items {
            items: views,
            next_cursor: items.next_cursor,
        })
    });
    Ok(answer.await?.respond())
}

/// Read a queue
#[utoipa::path(operation_id = "read_queue", tag = "queues", params(("id" = QueueId, Path)), responses((status = 200, body = QueueView)), security(("bearer" = [])))]
#[get("/queues/{id}")]
async fn read(caller: Caller, id: web::Path<QueueId>) -> Result<HttpResponse, Problem> {
    let answer = caller.snapshot(move |conn, _| {
        let queue = found(conn, *id)?;
        let version = queue.version;
        Ok(Answer::ok(&store::view(conn, queue)?)?.version(version))
    });
    Ok(answer.await?.respond())
}

/// Change a queue
#[utoipa::path(operation_id = "change_queue", tag = "queues", params(("id" = QueueId, Path)), request_body = QueueChange, responses((status = 200, body = QueueView)), security(("bearer" = [])))]
#[patch("/queues/{id}")]
async fn change(
    caller: Caller,
    id: web::Path<QueueId>,
    form: Form<QueueChange>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view = super::change::change(conn, caller, *id, &value)?;
        Ok(Answer::ok(&view)?.version(view.version))
    });
    done.await
}

/// The schedule of a queue
#[utoipa::path(tag = "queues", params(("id" = QueueId, Path)), responses((status = 200, body = Items<ShiftView>)), security(("bearer" = [])))]
#[get("/queues/{id}/shifts")]
async fn read_shifts(caller: Caller, id: web::Path<QueueId>) -> Result<HttpResponse, Problem> {
    let answer = caller.snapshot(move |conn, _| {
        let queue = found(conn, *id)?;
        let items = store::shift_views(conn, queue.id)?;
        Ok(Answer::ok(&Items {
            items,
            next_cursor: None,
        })?
        .version(queue.version))
    });
    Ok(answer.await?.respond())
}

/// Replace the schedule of a queue
#[utoipa::path(tag = "queues", params(("id" = QueueId, Path)), request_body = NewShifts, responses((status = 200, body = QueueView)), security(("bearer" = [])))]
#[put("/queues/{id}/shifts")]
async fn replace_shifts(
    caller: Caller,
    id: web::Path<QueueId>,
    form: Form<NewShifts>,
) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view = actions::replace_shifts(conn, caller, *id, &value)?;
        Ok(Answer::ok(&view)?.version(view.version))
    });
    done.await
}

/// A range of time.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Range {
    /// Its first instant; now when it is left out.
    from: Option<Moment>,
    /// The first instant after it, at most 800 days later. When it is left out: 400 days of coverage, 90 of a calendar.
    to: Option<Moment>,
}

impl Range {
    /// Both ends, where each may be left out; 400 for what is empty or too long.
    pub(super) fn within(&self, now: Moment, ahead: TimeDelta) -> Result<(Moment, Moment), Problem> {
        let from = self.from.unwrap_or(now);
        let to = self.to.unwrap_or_else(|| from.plus(ahead));
        if to <= from || to.since(from) > TimeDelta::days(800) {
            return Err(Problem::new(
                Code::InvalidQuery,
                "to must be after from, by at most 800 days",
            ));
        }
        Ok((from, to))
    }
}

/// Stretches that an answer has at most.
const STRETCHES: usize = 1000;

/// Who is on duty in a queue in a range, and when too few are.
#[derive(Debug, Serialize, ToSchema)]
struct Coverage {
    /// Its first instant.
    from: Moment,
    /// The first instant after it.
    to: Moment,
    /// Who is on duty when, from the first instant on; 1,000 stretches at most.
    segments: Vec<Stretch>,
    /// Where the segments end: at `to`, unless there are more; then ask again from here.
    segments_to: Moment,
    /// When fewer than the minimum are on duty: all of them.
    gaps: Vec<Gap>,
}

/// Who is on duty when, and when are too few
#[utoipa::path(tag = "queues", params(("id" = QueueId, Path), Range), responses((status = 200, body = Coverage)), security(("bearer" = [])))]
#[get("/queues/{id}/coverage")]
async fn read_coverage(
    caller: Caller,
    id: web::Path<QueueId>,
    query: Query<Range>,
) -> Result<HttpResponse, Problem> {
    let (from, to) = query.0.within(caller.now(), TimeDelta::days(400))?;
    let answer = caller.snapshot(move |conn, _| {
        let queue = found(conn, *id)?;
        let (segments, gaps) = coverage::shown(conn, &queue, (from, to), STRETCHES)?;
        Answer::ok(&Coverage {
            from,
            to,
            segments_to: segments.last().map_or(to, |last| last.to),
            segments,
            gaps,
        })
    });
    Ok(answer.await?.respond())
}

/// An instant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct At {
    /// The instant; now when it is left out.
    at: Option<Moment>,
}

/// The team of a queue at an instant.
#[derive(Debug, Serialize, ToSchema)]
struct Team {
    /// The instant.
    at: Moment,
    /// Who is on duty.
    members: Vec<MemberView>,
}

/// Who is on duty
#[utoipa::path(tag = "queues", params(("id" = QueueId, Path), At), responses((status = 200, body = Team)), security(("bearer" = [])))]
#[get("/queues/{id}/on-duty")]
async fn on_duty(caller: Caller, id: web::Path<QueueId>, query: Query<At>) -> Result<HttpResponse, Problem> {
    let at = query.0.at.unwrap_or_else(|| caller.now());
    let answer = caller.snapshot(move |conn, _| {
        let queue = found(conn, *id)?;
        Answer::ok(&Team {
            at,
            members: duty::members(conn, queue.id, at)?,
        })
    });
    Ok(answer.await?.respond())
}
