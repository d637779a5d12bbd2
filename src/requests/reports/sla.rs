//! How promises were kept: `GET /v1/reports/sla`.

use std::collections::HashMap;

use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Span;
use super::csv::{self, cell};
use super::dimension::{By, Dimension};
use super::percentile::Times;
use super::store;
use super::tally::{Group, Key, Tally};
use super::watches::Watches;
use crate::db::{Connection, Moment, QueueId, TenantId};
use crate::identity::{self, Plan};
use crate::problem::Problem;
use crate::queues::routing::Severity;
use crate::queues::{self, coverage};
use crate::sla::Clock;

/// Names that are looked up at once.
const CHUNK: usize = 500;

/// How promises were kept in a range.
#[derive(Debug, Serialize, ToSchema)]
pub struct SlaReport {
    /// The first instant of the range.
    pub from: Moment,
    /// The first instant after it.
    pub to: Moment,
    /// What is told apart.
    pub by: Vec<Dimension>,
    /// The groups, in order; those without anything are left out.
    pub items: Vec<SlaGroup>,
}

/// Cycles that stopped in the range and have these in common; what was not asked for is left out.
#[derive(Debug, Serialize, ToSchema)]
pub struct SlaGroup {
    /// What was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// The severity in the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// The plan of the tenant when it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<TenantId>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The queue in the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_id: Option<QueueId>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The shifts of the queue that somebody was on duty by; empty where nobody was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<String>,
    /// The day, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub day: Option<NaiveDate>,
    /// The month, UTC: `2010-09`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month: Option<String>,
    /// All of them.
    pub finished: usize,
    /// In time.
    pub met: usize,
    /// Late.
    pub breached: usize,
    /// Ended in time by something else than what was measured.
    pub cancelled: usize,
    /// Of those met and breached, the share that was met. Null without any.
    pub share_met: Option<f64>,
    /// How long each took, counted.
    pub elapsed: Times,
    /// The same with reopenings: a resolution that did not hold is left out, and its time is added to the next one.
    pub adjusted: Times,
}

/// What was counted in a range, in groups; of one queue or of all.
pub fn groups(
    conn: &mut Connection,
    by: By,
    span: Span,
    queue: Option<QueueId>,
) -> Result<HashMap<Key, Group>, Problem> {
    let mut watches = Watches::default();
    if by.has(Dimension::Shift) {
        for queue in queues::store::all(conn)? {
            watches.add(queue.id, &coverage::watches(conn, queue.id, span.ends())?);
        }
    }
    let reopened = store::reopened(conn, span)?;
    let mut tally = Tally::begin(by, watches, reopened);
    store::ended(conn, span, queue, |row| tally.add(row))?;
    let known = store::resolutions(conn, &tally.wanted())?;
    Ok(tally.end(&known))
}

/// Makes the report.
pub fn report(conn: &mut Connection, by: By, span: Span) -> Result<SlaReport, Problem> {
    let groups = groups(conn, by.clone(), span, None)?;
    let tenants = tenants(conn, &groups)?;
    let queues: HashMap<QueueId, String> = match by.has(Dimension::Queue) {
        true => queues::store::all(conn)?
            .into_iter()
            .map(|queue| (queue.id, queue.name))
            .collect(),
        false => HashMap::new(),
    };
    let mut items: Vec<SlaGroup> = groups
        .into_iter()
        .map(|(key, group)| {
            let tenant = key.tenant.and_then(|id| tenants.get(&id).cloned());
            let queue = key.queue.and_then(|id| queues.get(&id).cloned());
            SlaGroup::new(key, group, tenant, queue)
        })
        .collect();
    let by = by.dimensions().to_vec();
    items.sort_by_cached_key(|item| item.sort_key(&by));
    Ok(SlaReport {
        from: span.from,
        to: span.to,
        by,
        items,
    })
}

fn tenants(
    conn: &mut Connection,
    groups: &HashMap<Key, Group>,
) -> Result<HashMap<TenantId, String>, Problem> {
    let mut ids: Vec<TenantId> = groups.keys().filter_map(|key| key.tenant).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut names = HashMap::new();
    for chunk in ids.chunks(CHUNK) {
        names.extend(identity::store::tenant_names(conn, chunk)?);
    }
    Ok(names)
}

impl SlaGroup {
    fn new(key: Key, group: Group, tenant: Option<String>, queue: Option<String>) -> Self {
        Self {
            clock: key.clock,
            severity: key.severity,
            plan: key.plan,
            tenant_id: key.tenant,
            tenant,
            queue_id: key.queue,
            queue,
            shift: key.shift.map(|shift| shift.to_string()),
            day: key.day,
            month: key.month.map(|day| day.format("%Y-%m").to_string()),
            finished: group.finished(),
            met: group.met,
            breached: group.breached,
            cancelled: group.cancelled,
            share_met: group.share_met(),
            elapsed: group.elapsed.times(),
            adjusted: group.adjusted.times(),
        }
    }

    /// What it has in common, as cells: a name goes before its id.
    fn common(&self, dimension: Dimension) -> Vec<String> {
        match dimension {
            Dimension::Clock => vec![cell(self.clock)],
            Dimension::Severity => vec![cell(self.severity)],
            Dimension::Plan => vec![cell(self.plan)],
            Dimension::Tenant => vec![cell(self.tenant.as_ref()), cell(self.tenant_id)],
            Dimension::Queue => vec![cell(self.queue.as_ref()), cell(self.queue_id)],
            Dimension::Shift => vec![cell(self.shift.as_ref())],
            Dimension::Day => vec![cell(self.day)],
            Dimension::Month => vec![cell(self.month.as_ref())],
        }
    }

    fn sort_key(&self, by: &[Dimension]) -> Vec<String> {
        by.iter().flat_map(|dimension| self.common(*dimension)).collect()
    }
}

impl SlaReport {
    /// The report as a table.
    pub fn csv(&self) -> Result<String, Problem> {
        let mut head: Vec<&str> = Vec::new();
        for dimension in &self.by {
            head.push(dimension.as_str());
            match dimension {
                Dimension::Tenant => head.push("tenant_id"),
                Dimension::Queue => head.push("queue_id"),
                _ => {}
            }
        }
        head.extend(["finished", "met", "breached", "cancelled", "share_met"]);
        head.extend(["elapsed_count", "elapsed_p50_seconds", "elapsed_p90_seconds"]);
        head.extend(["adjusted_count", "adjusted_p50_seconds", "adjusted_p90_seconds"]);
        let row = |item: &SlaGroup| {
            let mut row = item.sort_key(&self.by);
            let counts = [item.finished, item.met, item.breached, item.cancelled];
            row.extend(counts.map(|count| count.to_string()));
            row.push(cell(item.share_met));
            row.extend(item.elapsed.cells());
            row.extend(item.adjusted.cells());
            row
        };
        let rows: Vec<Vec<String>> = self.items.iter().map(row).collect();
        csv::table(&head, &rows)
    }
}
