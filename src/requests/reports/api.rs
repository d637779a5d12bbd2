//! Reports over HTTP: as JSON, and as CSV with `?format=csv`.

use actix_web::http::header::{ContentDisposition, DispositionParam, DispositionType};
use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::asked::{Format, GroupedRange, Range, Span};
use super::queues::QueuesReport;
use super::sla::SlaReport;
use super::stats::QueueStats;
use super::{queues, sla, stats};
use crate::db::QueueId;
use crate::http::{Answer, Query};
use crate::identity::{Caller, Right};
use crate::problem::Problem;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(of_queue).service(of_queues).service(of_promises);
}

/// A report in the form that was asked for.
enum Written {
    Json(Answer),
    Csv(String),
}

impl Written {
    fn of<R: Serialize>(
        report: &R,
        format: Option<Format>,
        csv: impl FnOnce(&R) -> Result<String, Problem>,
    ) -> Result<Self, Problem> {
        match format.unwrap_or(Format::Json) {
            Format::Json => Answer::ok(report).map(Self::Json),
            Format::Csv => csv(report).map(Self::Csv),
        }
    }

    /// A table is kept under this name.
    fn respond(self, name: &str) -> HttpResponse {
        match self {
            Self::Json(answer) => answer.respond(),
            Self::Csv(text) => HttpResponse::Ok()
                .content_type("text/csv; charset=utf-8; header=present")
                .insert_header(ContentDisposition {
                    disposition: DispositionType::Attachment,
                    parameters: vec![DispositionParam::Filename(format!("{name}.csv"))],
                })
                .body(text),
        }
    }
}

/// How a queue is doing, and how it did in a range
#[utoipa::path(operation_id = "read_queue_stats", tag = "reports", params(("id" = QueueId, Path), Range), responses((status = 200, content((QueueStats = "application/json"), (String = "text/csv")))), security(("bearer" = [])))]
#[get("/queues/{id}/stats")]
async fn of_queue(
    caller: Caller,
    id: web::Path<QueueId>,
    query: Query<Range>,
) -> Result<HttpResponse, Problem> {
    let (now, format) = (caller.now(), query.0.format);
    let span = Span::within(query.0.from, query.0.to, now)?;
    let written = caller.snapshot(move |conn, caller| {
        caller.require(Right::ReadQueues)?;
        let queue = crate::queues::store::find(conn, *id)?.ok_or_else(|| Problem::not_found("queue"))?;
        Written::of(&stats::stats(conn, queue, span, now)?, format, QueueStats::csv)
    });
    Ok(written.await?.respond("queue-stats"))
}

/// How queues fared in a range
#[utoipa::path(operation_id = "report_queues", tag = "reports", params(Range), responses((status = 200, content((QueuesReport = "application/json"), (String = "text/csv")))), security(("bearer" = [])))]
#[get("/reports/queues")]
async fn of_queues(caller: Caller, query: Query<Range>) -> Result<HttpResponse, Problem> {
    let (now, format) = (caller.now(), query.0.format);
    let span = Span::within(query.0.from, query.0.to, now)?;
    let written = caller.snapshot(move |conn, caller| {
        caller.require(Right::ReadReports)?;
        Written::of(&queues::report(conn, span, now)?, format, QueuesReport::csv)
    });
    Ok(written.await?.respond("queues"))
}

/// How promises were kept in a range, by clock, severity, plan, tenant, queue, shift, day, month
#[utoipa::path(operation_id = "report_sla", tag = "reports", params(GroupedRange), responses((status = 200, content((SlaReport = "application/json"), (String = "text/csv")))), security(("bearer" = [])))]
#[get("/reports/sla")]
async fn of_promises(caller: Caller, query: Query<GroupedRange>) -> Result<HttpResponse, Problem> {
    let GroupedRange { from, to, by, format } = query.0;
    let span = Span::within(from, to, caller.now())?;
    let written = caller.snapshot(move |conn, caller| {
        caller.require(Right::ReadReports)?;
        Written::of(&sla::report(conn, by, span)?, format, SlaReport::csv)
    });
    Ok(written.await?.respond("sla"))
}
