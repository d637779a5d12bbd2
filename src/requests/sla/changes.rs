//! What has changed of policies and calendars: read once, and followed by any number of clocks.
//!
//! Each change takes effect at its own instant, not at that in which a clock follows it. So it makes no difference when
//! that is done, or by whom.

use super::clocks::Cycle;
use crate::db::Connection;
use crate::problem::Problem;
use crate::sla::store::{self, Change};
use crate::sla::{Edition, Onset, Promises, Terms};

/// Changes, in order.
#[derive(Debug)]
pub struct Changes(Vec<Renewal>);

/// What a change says of the terms of clocks.
#[derive(Debug)]
enum Renewal {
    Policies(Promises),
    Calendar(Edition),
}

impl Changes {
    /// Those after a number.
    pub fn after(conn: &mut Connection, terms: i32) -> Result<Self, Problem> {
        let mut renewals = Vec::new();
        for change in store::changes_after(conn, terms)? {
            renewals.push(match change {
                Change::Policies(set) => {
                    let terms = set.terms;
                    Renewal::Policies(store::promises(conn, set, terms)?)
                }
                Change::Calendar(edition) => Renewal::Calendar(edition),
            });
        }
        Ok(Self(renewals))
    }

    /// Lets a cycle follow those that it has not followed yet; whether there were any. Then what its row repeats is to
    /// be refreshed.
    pub fn renew(&self, cycle: &mut Cycle) -> bool {
        let before = cycle.row.terms;
        for renewal in &self.0 {
            if renewal.terms() > cycle.row.terms {
                renewal.renew(cycle);
            }
        }
        cycle.row.terms != before
    }
}

impl Renewal {
    /// Its number.
    fn terms(&self) -> i32 {
        match self {
            Self::Policies(promises) => promises.set.terms,
            Self::Calendar(edition) => edition.terms,
        }
    }

    fn renew(&self, cycle: &mut Cycle) {
        cycle.row.terms = self.terms();
        match self {
            Self::Policies(promises) => {
                let (plan, clock) = (cycle.row.plan, cycle.row.clock);
                let renew = |old: &Terms| promises.terms(plan, old.severity, clock);
                let at = promises.set.created_at;
                cycle.ledger.retarget(at, Onset::PolicyChanged, renew);
            }
            Self::Calendar(edition) => {
                let renew = |old: &Terms| match old.calendar_id == Some(edition.calendar_id) {
                    true => Terms {
                        calendar_version: edition.version,
                        ..old.clone()
                    },
                    false => old.clone(),
                };
                let at = edition.created_at;
                cycle.ledger.retarget(at, Onset::CalendarChanged, renew);
            }
        }
    }
}
