//! Asking the server what came of it, over its reports, its audit and its ledger.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::SimulateError;
use super::behind;
use super::report::{Coverage, Mail, Promise, Requests, Storm, Times};
use super::run::Simulation;
use super::stage::Desk;
use crate::mail::DeliveryState;

/// Whoever asks, and for which time, as queries have it.
pub struct Asked<'a, 'b> {
    simulation: &'a Simulation<'b>,
    range: String,
}

impl<'a, 'b> Asked<'a, 'b> {
    /// Asks for everything from an instant to where the simulation stands.
    pub fn of(simulation: &'a Simulation<'b>, from: DateTime<Utc>) -> Self {
        let said = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let range = format!("from={}&to={}", said(from), said(simulation.now));
        Self { simulation, range }
    }

    async fn items(&self, path: &str) -> Result<Vec<Value>, SimulateError> {
        let glue = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{glue}{}", self.range);
        Ok(self.simulation.stage.operator.get(&path).await?.items().to_vec())
    }

    /// How queues fared.
    pub async fn queues(&self) -> Result<(Requests, Vec<Coverage>), SimulateError> {
        let items = self.items("/v1/reports/queues").await?;
        let sum = |name: &str| items.iter().map(|item| number(item, name)).sum::<u64>();
        let books = &self.simulation.books;
        let (filed, handed_over) = (sum("/filed"), sum("/handed_over"));
        let requests = Requests {
            filed,
            resolved: sum("/resolved"),
            reopened: sum("/reopened"),
            handed_over,
            open: sum("/backlog/count"),
            is_agreed: (filed, handed_over) == (books.filed.into(), books.handed_over.into())
                && sum("/backlog/count") == u64::from(self.simulation.cases.open()),
        };
        let coverage = |item: &Value| Coverage {
            queue: text(item, "queue"),
            always_on: text(item, "queue_id") == self.simulation.stage.queue(Desk::Front),
            minutes: number(item, "/staffing/minutes"),
            covered_minutes: number(item, "/staffing/covered_minutes"),
            staffed_minutes: number(item, "/staffing/staffed_minutes"),
            gaps: number(item, "/staffing/gaps"),
        };
        Ok((requests, items.iter().map(coverage).collect()))
    }

    /// How promises were kept.
    pub async fn promises(&self) -> Result<Vec<Promise>, SimulateError> {
        let items = self.items("/v1/reports/sla?by=clock,severity").await?;
        let promise = |item: &Value| Promise {
            clock: text(item, "clock"),
            severity: text(item, "severity"),
            met: number(item, "/met"),
            breached: number(item, "/breached"),
            cancelled: number(item, "/cancelled"),
            share_met: item.get("share_met").and_then(Value::as_f64),
        };
        Ok(items.iter().map(promise).collect())
    }

    /// How long it took.
    pub async fn times(&self) -> Result<Vec<Times>, SimulateError> {
        let items = self.items("/v1/reports/sla?by=clock").await?;
        let seconds = |item: &Value, name: &str| item.pointer(name).and_then(Value::as_i64);
        let times = |item: &Value| Times {
            clock: text(item, "clock"),
            count: number(item, "/elapsed/count"),
            p50_seconds: seconds(item, "/elapsed/p50_seconds"),
            p90_seconds: seconds(item, "/elapsed/p90_seconds"),
        };
        Ok(items.iter().map(times).collect())
    }

    /// How many promises were broken on each day.
    pub async fn breaches(&self) -> Result<Vec<(DateTime<Utc>, u32)>, SimulateError> {
        let items = self.items("/v1/reports/sla?by=day").await?;
        let of_day = |item: &Value| {
            let midnight = format!("{}T00:00:00Z", text(item, "day"));
            Some((
                midnight.parse().ok()?,
                u32::try_from(number(item, "/breached")).ok()?,
            ))
        };
        Ok(items.iter().filter_map(of_day).collect())
    }

    /// How many warnings there were.
    pub async fn warned(&self) -> Result<usize, SimulateError> {
        let mut count = 0;
        let operator = &self.simulation.stage.operator;
        operator
            .pages("/v1/audit?kind=sla_warned", |page| count += page.len())
            .await?;
        Ok(count)
    }

    /// What the ledger says.
    pub async fn mail(&self) -> Result<Mail, SimulateError> {
        let totals = behind::mails(self.simulation.host).await?;
        let sum = |states: &[DeliveryState]| {
            let of = totals.iter().filter(|(state, _)| states.contains(state));
            u64::try_from(of.map(|(_, count)| count).sum::<i64>()).unwrap_or_default()
        };
        Ok(Mail {
            sent: sum(&[DeliveryState::Sent]),
            lost: sum(&[
                DeliveryState::Pending,
                DeliveryState::Leased,
                DeliveryState::Failed,
            ]),
        })
    }

    /// What became of the outage.
    pub async fn storm(&self) -> Result<Option<Storm>, SimulateError> {
        let (Some(from), Some(incident)) = (self.simulation.load.storm, &self.simulation.incident) else {
            return Ok(None);
        };
        let operator = &self.simulation.stage.operator;
        let found = operator.get(&format!("/v1/incidents/{incident}")).await?;
        let broadcasts = operator
            .list(&format!("/v1/incidents/{incident}/broadcasts"))
            .await?;
        let ends = broadcasts
            .iter()
            .filter(|broadcast| text(broadcast, "kind") == "incident_resolved");
        Ok(Some(Storm {
            from,
            open: self
                .simulation
                .books
                .slices
                .iter()
                .map(|slice| slice.open)
                .max()
                .unwrap_or_default(),
            resolved: number(&found.body, "/cascade/done"),
            all_clear: ends.map(|broadcast| number(broadcast, "/sent")).sum(),
        }))
    }
}

fn number(item: &Value, pointer: &str) -> u64 {
    item.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn text(item: &Value, name: &str) -> String {
    item.get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
