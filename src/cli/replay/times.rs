//! How long requests took, as the server's clocks say it and as the log does: figures of both, and what differs.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::requests::reports::percentile::nearest_rank;

/// How long one request took, in whole seconds; none of what did not come about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// From filing to the first word to the customer.
    pub response: Option<i64>,
    /// From filing to the last resolution, if that held.
    pub resolution: Option<i64>,
    /// The same as it is counted: without the time in which the customer was waited for, or it was resolved.
    pub counted: Option<i64>,
}

impl Measured {
    /// From the answer of `GET /v1/service-requests/{id}/sla`.
    pub fn by_clocks(explained: &Value) -> Self {
        let cycles = |clock: &str| -> Vec<&Value> {
            let all = explained.get("clocks").and_then(Value::as_array).into_iter();
            all.flatten()
                .filter(|cycle| text(cycle, "/clock") == Some(clock))
                .collect()
        };
        let came_about = |cycle: &&&Value| matches!(text(cycle, "/state"), Some("met" | "breached"));
        let stopped = |cycle: &&Value| instant(cycle, "/stopped_at");
        let seconds = |cycle: &Value| cycle.get("counted_seconds").and_then(Value::as_i64);
        let responses = cycles("first_response");
        let answered = responses
            .first()
            .filter(came_about)
            .filter(|cycle| stopped(cycle).is_some());
        let resolutions = cycles("resolution");
        let end = resolutions.last().filter(came_about).and_then(stopped);
        let begin = resolutions
            .first()
            .and_then(|cycle| instant(cycle, "/intervals/0/from"));
        Self {
            response: answered.and_then(|cycle| seconds(cycle)),
            resolution: end.zip(begin).map(|(end, begin)| (end - begin).num_seconds()),
            counted: end.and_then(|_| resolutions.iter().map(|cycle| seconds(cycle)).sum()),
        }
    }
}

fn text<'a>(cycle: &'a Value, pointer: &str) -> Option<&'a str> {
    cycle.pointer(pointer)?.as_str()
}

fn instant(cycle: &Value, pointer: &str) -> Option<DateTime<Utc>> {
    text(cycle, pointer)?.parse().ok()
}

/// Lengths of time in short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// How many there are.
    pub count: usize,
    /// Half of them were no longer.
    pub p50_seconds: Option<i64>,
    /// Nine of ten were no longer.
    pub p90_seconds: Option<i64>,
    /// Their mean.
    pub mean_seconds: Option<i64>,
}

impl Figures {
    fn of(times: impl Iterator<Item = Option<i64>>) -> Self {
        let mut seconds: Vec<i64> = times.flatten().collect();
        let count = i64::try_from(seconds.len()).unwrap_or(i64::MAX);
        Self {
            count: seconds.len(),
            p50_seconds: nearest_rank(&mut seconds, 50),
            p90_seconds: nearest_rank(&mut seconds, 90),
            mean_seconds: seconds.iter().sum::<i64>().checked_div(count),
        }
    }
}

/// The same figures by both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// By the server's clocks.
    pub server: Figures,
    /// By the log alone.
    pub log: Figures,
}

/// What the times come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// From filing to the first word to the customer.
    pub response: Compared,
    /// From filing to the last resolution.
    pub resolution: Compared,
    /// The same as it is counted.
    pub resolution_counted: Compared,
    /// Tickets of which any time is another on the server than in the log.
    pub mismatches: usize,
}

impl Times {
    /// Compares the requests of every ticket, in order.
    pub fn compare(server: &[Vec<Measured>], log: &[&[Measured]]) -> Self {
        let differ = |(server, log): &(&Vec<Measured>, &&[Measured])| server.as_slice() != **log;
        let figures = |time: fn(&Measured) -> Option<i64>| Compared {
            server: Figures::of(server.iter().flatten().map(time)),
            log: Figures::of(log.iter().copied().flatten().map(time)),
        };
        Self {
            response: figures(|measured| measured.response),
            resolution: figures(|measured| measured.resolution),
            resolution_counted: figures(|measured| measured.counted),
            mismatches: server.iter().zip(log).filter(differ).count() + server.len().abs_diff(log.len()),
        }
    }

    /// As rows of a table.
    pub fn rows(&self) -> Vec<(String, String)> {
        let said =
            |seconds: Option<i64>| seconds.map_or_else(|| "-".to_owned(), |seconds| seconds.to_string());
        let figures = |figures: &Figures| {
            let Figures {
                p50_seconds,
                p90_seconds,
                mean_seconds,
                ..
            } = figures;
            [p50_seconds, p90_seconds, mean_seconds]
                .map(|seconds| said(*seconds))
                .join(" ")
        };
        let mut rows = Vec::new();
        for (name, compared) in [
            ("times of response", &self.response),
            ("times of resolution", &self.resolution),
            ("  without waiting for customers", &self.resolution_counted),
        ] {
            rows.push((name.to_owned(), compared.server.count.to_string()));
            rows.push((
                "  p50 p90 mean in s, by the server".to_owned(),
                figures(&compared.server),
            ));
            rows.push((
                "  p50 p90 mean in s, by the log".to_owned(),
                figures(&compared.log),
            ));
        }
        rows.push((
            "tickets whose times differ".to_owned(),
            self.mismatches.to_string(),
        ));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn measured(response: i64, resolution: Option<i64>) -> Measured {
        Measured {
            response: Some(response),
            resolution,
            counted: resolution,
        }
    }

    #[test]
    fn clocks_say_how_long_it_took() {
        let response = json!({"clock": "first_response", "state": "met", "counted_seconds": 60,
            "stopped_at": "2026-01-01T00:01:00Z", "intervals": [{"from": "2026-01-01T00:00:00Z"}]});
        let cycle = |state: &str, stopped: Value, from: &str| {
            json!({"clock": "resolution", "state": state, "counted_seconds": 100, "stopped_at": stopped,
                "intervals": [{"from": from}, {"from": "2026-01-01T00:00:30Z"}]})
        };
        let first = cycle("met", json!("2026-01-01T00:02:00Z"), "2026-01-01T00:00:00Z");
        let second = cycle("breached", json!("2026-01-01T01:00:00Z"), "2026-01-01T00:30:00Z");
        let third = cycle("breached", Value::Null, "2026-01-01T02:00:00Z");
        let of = |cycles: &[&Value]| Measured::by_clocks(&json!({ "clocks": cycles }));
        assert_eq!(
            of(&[&response, &first, &second]),
            Measured {
                response: Some(60),
                resolution: Some(3600),
                counted: Some(200)
            }
        );
        assert_eq!(
            of(&[&response, &first, &third]),
            measured(60, None),
            "it did not hold"
        );
        assert_eq!(of(&[]), Measured::default());
        let cancelled = json!({"clock": "first_response", "state": "cancelled", "counted_seconds": 60,
            "stopped_at": "2026-01-01T00:01:00Z"});
        assert_eq!(of(&[&cancelled]), Measured::default());
    }

    #[test]
    fn a_ticket_with_any_other_time_is_a_mismatch() {
        let (one, two) = ([measured(1, Some(9))], [measured(2, None), measured(4, Some(5))]);
        let same = Times::compare(&[one.to_vec(), two.to_vec()], &[&one, &two]);
        assert_eq!(
            (same.mismatches, same.response.server == same.response.log),
            (0, true)
        );
        assert_eq!(
            same.response.log,
            Figures {
                count: 3,
                p50_seconds: Some(2),
                p90_seconds: Some(4),
                mean_seconds: Some(2)
            }
        );
        assert_eq!(same.resolution.server.count, 2);
        for server in [
            vec![one.to_vec()],
            vec![one.to_vec(), two[..1].to_vec()],
            vec![two.to_vec(), two.to_vec()],
        ] {
            assert_eq!(Times::compare(&server, &[&one, &two]).mismatches, 1, "{server:?}");
        }
        assert_eq!(Figures::of([None].into_iter()), Figures::default());
    }
}
