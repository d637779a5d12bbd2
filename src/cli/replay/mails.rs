//! Waiting for the mail that runs behind the calls, and counting it in the ledger.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::books::Filed;
use super::stage;
use crate::cli::client::{Result, Session};

/// How long the mail may stand still.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it may stand still again once it has.
const LITTLE_PATIENCE: Duration = Duration::from_secs(2);
/// The first pause between two looks.
const PAUSE: Duration = Duration::from_millis(4);
/// The longest.
const LONG_PAUSE: Duration = Duration::from_millis(25);

/// Whoever reads the ledger.
pub struct Mails {
    operator: Session,
    is_stuck: AtomicBool,
}

/// What the ledger says of requests' own mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnMail {
    /// Receipts, answers and resolutions that were sent.
    pub sent: usize,
    /// Everything that was sent, of whatever kind.
    pub sent_of_any_kind: usize,
}

impl Mails {
    /// Reads the ledger as an operator.
    pub fn new(operator: Session) -> Self {
        Self {
            operator,
            is_stuck: AtomicBool::new(false),
        }
    }

    /// Whether mail stood still for a minute.
    pub fn is_stuck(&self) -> bool {
        self.is_stuck.load(Ordering::Relaxed)
    }

    /// The broadcasts of an incident.
    pub async fn broadcasts_of(&self, incident: &str) -> Result<Vec<String>> {
        let list = self
            .operator
            .list(&format!("/v1/incidents/{incident}/broadcasts"))
            .await?;
        let ids = list.iter().filter_map(|item| item.get("id")?.as_str());
        Ok(ids.map(str::to_owned).collect())
    }

    /// Waits until a broadcast is finished; how many of its mails were sent.
    pub async fn finish(&self, broadcast: &str) -> Result<usize> {
        let path = format!("/v1/broadcasts/{broadcast}");
        let mut wait = self.wait();
        loop {
            let found = self.operator.get(&path).await?.body;
            let count = |name: &str| found.get(name).and_then(Value::as_u64).unwrap_or_default();
            let state = found.get("state").and_then(Value::as_str).unwrap_or_default();
            let progress = (count("audience"), count("pending"), count("sent"));
            if matches!(state, "finished" | "cancelled") || !wait.on(&progress).await {
                return Ok(usize::try_from(count("sent")).unwrap_or(usize::MAX));
            }
        }
    }

    /// What the ledger says of the requests' own mail, which is waited for where it is not complete.
    ///
    /// The ledger is read in one go; asking for thousands of requests one by one takes longer.
    pub async fn own(&self, requests: &[Filed], at_once: usize) -> Result<OwnMail> {
        let mut ledger: HashMap<&str, OwnMail> = requests
            .iter()
            .map(|request| (request.id.as_str(), OwnMail::default()))
            .collect();
        let take = |page: &[Value]| {
            for delivery in page {
                let request = delivery.get("request_id").and_then(Value::as_str);
                if let Some(found) = request.and_then(|request| ledger.get_mut(request)) {
                    found.add(delivery);
                }
            }
        };
        self.operator.pages("/v1/deliveries?state=sent", take).await?;
        let found = |request: &Filed| ledger.get(request.id.as_str()).copied().unwrap_or_default();
        let (complete, late): (Vec<&Filed>, Vec<&Filed>) = requests
            .iter()
            .partition(|request| found(request).sent >= request.mails_due);
        let late = stage::each(&late, at_once, |request| self.own_late(request)).await?;
        Ok(complete
            .into_iter()
            .map(found)
            .chain(late)
            .fold(OwnMail::default(), OwnMail::with))
    }

    /// Waits until a request's own mail is sent; what the ledger says of it.
    async fn own_late(&self, request: &Filed) -> Result<OwnMail> {
        let path = format!("/v1/deliveries?request_id={}", request.id);
        let mut wait = self.wait();
        loop {
            let mut found = OwnMail::default();
            self.operator
                .pages(&path, |page| page.iter().for_each(|delivery| found.add(delivery)))
                .await?;
            if found.sent >= request.mails_due || !wait.on(&found).await {
                return Ok(found);
            }
        }
    }

    fn wait<T>(&self) -> Wait<'_, T> {
        Wait {
            mails: self,
            pause: PAUSE,
            last: None,
            since: Instant::now(),
        }
    }
}

impl OwnMail {
    fn add(&mut self, delivery: &Value) {
        let text = |name: &str| delivery.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("state") == "sent" {
            self.sent_of_any_kind += 1;
            self.sent += usize::from(matches!(
                text("kind"),
                "request_received" | "request_commented" | "request_resolved"
            ));
        }
    }

    fn with(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            sent_of_any_kind: self.sent_of_any_kind + other.sent_of_any_kind,
        }
    }
}

/// Looking again and again, as long as something moves.
struct Wait<'a, T> {
    mails: &'a Mails,
    pause: Duration,
    last: Option<T>,
    since: Instant,
}

impl<T: Clone + PartialEq> Wait<'_, T> {
    /// Pauses before the next look; false when what was seen has stood still for too long.
    async fn on(&mut self, progress: &T) -> bool {
        if self.last.as_ref() != Some(progress) {
            self.last = Some(progress.clone());
            self.since = Instant::now();
        }
        let patience = if self.mails.is_stuck() {
            LITTLE_PATIENCE
        } else {
            PATIENCE
        };
        if self.since.elapsed() > patience {
            self.mails.is_stuck.store(true, Ordering::Relaxed);
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = LONG_PAUSE.min(self.pause * 3 / 2);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_ledger_of_a_request_is_summed_by_state_and_kind() {
        let mut found = OwnMail::default();
        for (kind, state) in [
            ("request_received", "sent"),
            ("request_resolved", "sent"),
            ("request_resolved", "leased"),
            ("request_commented", "sent"),
            ("sla_warned", "sent"),
            ("request_received", "failed"),
        ] {
            found.add(&json!({ "kind": kind, "state": state }));
        }
        assert_eq!(
            found,
            OwnMail {
                sent: 3,
                sent_of_any_kind: 4
            }
        );
        assert_eq!(found.with(found).sent, 6);
    }
}
