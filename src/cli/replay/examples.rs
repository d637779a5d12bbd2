//! Small logs for the tests of this folder.

use chrono::{DateTime, Utc};

use super::histories::{IncidentLog, TicketEvent, TicketLog};

/// So many minutes after the epoch.
pub fn minute(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(minute * 60, 0).unwrap()
}

/// An incident from minute 0 that is never over.
pub fn incident(id: &str, components: &[&str]) -> IncidentLog {
    IncidentLog {
        id: id.into(),
        title: format!("Incident {id}"),
        started_at: minute(0),
        resolved_at: None,
        impact: "minor".into(),
        components: components.iter().map(|name| (*name).into()).collect(),
        updates: vec![],
    }
}

/// An event of agent 1.
pub fn event(at: i64, activity: &str) -> TicketEvent {
    TicketEvent {
        line: u64::try_from(at).unwrap() + 2,
        at: minute(at),
        activity: activity.into(),
        agent: "1".into(),
        tenant: "a".into(),
        product: "1".into(),
        service_level: "2".into(),
        workgroup: "1".into(),
    }
}

/// A ticket with these activities, one a minute.
pub fn ticket(id: &str, activities: &[&str]) -> TicketLog {
    let mut events = (0..).zip(activities).map(|(at, activity)| event(at, activity));
    TicketLog {
        id: id.into(),
        first: events.next().unwrap(),
        later: events.collect(),
    }
}

/// A ticket with one event.
pub fn ticket_of(tenant: &str, product: &str, workgroup: &str) -> TicketLog {
    let mut log = ticket("1", &["Wait"]);
    (log.first.tenant, log.first.product) = (tenant.into(), product.into());
    log.first.workgroup = workgroup.into();
    log
}
