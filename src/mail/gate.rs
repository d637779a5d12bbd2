//! What may leave, asked at the last moment: whoever unsubscribes a second before their mail is due gets none.
//!
//! It is asked as messages are leased, in that transaction and before their recipients count as told. So one place knows
//! why a message is kept back, however it came into the ledger and however often it is tried.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::TimeDelta;
use diesel::dsl::count_star;
use diesel::prelude::*;

use super::due::Due;
use super::model::{DeliveryKind, DeliveryState, Reason};
use super::opt_outs::{About, Standing};
use super::suppressions;
use super::told;
use crate::db::schema::{deliveries, memberships, people};
use crate::db::{Connection, DeliveryId, IncidentId, Moment, TenantId, lock};
use crate::problem::Problem;

/// The cap is that of so long.
const DAY: TimeDelta = TimeDelta::days(1);

/// What is known of a message that is about to leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Facts {
    /// What went there before came back for good.
    has_bounced: bool,
    /// Its recipient wants no more of it.
    is_opted_out: bool,
    /// The account of its recipient is disabled.
    is_disabled: bool,
    /// Its recipient is one of the tenant's own people: nobody else has listed them.
    is_own: bool,
    /// It says that something is over, to somebody who was told that it began.
    is_owed: bool,
    /// How many such mails the address got within a day.
    lately: usize,
}

/// Why a message does not leave; `None` when it does.
fn reason(facts: Facts, cap: Option<usize>) -> Option<Reason> {
    if facts.is_opted_out {
        return Some(Reason::Unsubscribed);
    }
    if facts.has_bounced {
        return Some(Reason::Suppressed);
    }
    if facts.is_disabled {
        return Some(Reason::Disabled);
    }
    let is_full = cap.is_some_and(|cap| facts.lately >= cap);
    (is_full && !facts.is_own && !facts.is_owed).then_some(Reason::DailyCap)
}

/// Lets through what may leave, in order; what may not is suppressed, with its reason.
pub fn pass(
    conn: &mut Connection,
    mut due: Vec<Due>,
    cap: Option<usize>,
    now: Moment,
) -> Result<Vec<Due>, Problem> {
    let mut known = Known::read(conn, &due, cap, now)?;
    let mut kept: HashMap<Reason, Vec<DeliveryId>> = HashMap::new();
    due.retain(|row| match reason(known.facts(row), cap) {
        Some(reason) => {
            kept.entry(reason).or_default().push(row.id);
            false
        }
        None => {
            known.count(row);
            true
        }
    });
    for (reason, ids) in kept {
        let pending = deliveries::table
            .filter(deliveries::id.eq_any(ids))
            .filter(deliveries::state.eq(DeliveryState::Pending));
        diesel::update(pending)
            .set((
                deliveries::state.eq(DeliveryState::Suppressed),
                deliveries::reason.eq(Some(reason)),
            ))
            .execute(conn)?;
    }
    Ok(due)
}

/// Whether somebody gets it without having asked for it.
fn is_unasked(row: &Due) -> bool {
    row.kind()
        .is_some_and(|kind| DeliveryKind::UNASKED.contains(&kind))
}

/// Whether it says that something is over.
fn is_end(row: &Due) -> bool {
    row.kind().is_some_and(DeliveryKind::is_end)
}

/// What is known of the recipients of a batch: whether mail came back from them, and the rest of those who have not asked.
#[derive(Default)]
struct Known {
    bounced: HashSet<(TenantId, String)>,
    opt_outs: Standing,
    /// To which tenants people belong, and whether their accounts are disabled.
    own: HashMap<(TenantId, String), bool>,
    told: HashSet<(TenantId, IncidentId, String)>,
    lately: HashMap<String, usize>,
}

impl Known {
    fn read(conn: &mut Connection, rows: &[Due], cap: Option<usize>, now: Moment) -> Result<Self, Problem> {
        let mut known = Self {
            bounced: suppressions::store::among(conn, &recipients(rows.iter()))?,
            ..Self::default()
        };
        let unasked: Vec<&Due> = rows.iter().filter(|row| is_unasked(row)).collect();
        if unasked.is_empty() {
            return Ok(known);
        }
        let recipients = recipients(unasked.iter().copied());
        let tenants: BTreeSet<TenantId> = unasked.iter().map(|row| row.to.tenant_id).collect();
        let tenants: Vec<TenantId> = tenants.into_iter().collect();
        let incidents: BTreeSet<IncidentId> = unasked.iter().filter_map(|row| row.incident_id).collect();
        let incidents: Vec<IncidentId> = incidents.into_iter().collect();
        known.opt_outs = Standing::read(conn, &tenants, &recipients, &incidents)?;
        known.own = own(conn, &recipients)?;
        if cap.is_some() {
            // Both lanes count, one after the other.
            lock::exclusive(conn, lock::Key::named("the daily cap of mail"))?;
            known.told = told_of_ends(conn, &unasked, &tenants, &recipients)?;
            known.lately = lately(conn, &recipients, now)?;
        }
        Ok(known)
    }

    fn facts(&self, row: &Due) -> Facts {
        let whose = (row.to.tenant_id, row.to.email.clone());
        let has_bounced = self.bounced.contains(&whose);
        if !is_unasked(row) {
            return Facts {
                has_bounced,
                ..Facts::default()
            };
        }
        let about = About {
            incident: row.incident_id,
            request: row.request_id,
        };
        let own = self.own.get(&whose).copied();
        let was_told = |incident| {
            self.told
                .contains(&(row.to.tenant_id, incident, row.to.email.clone()))
        };
        Facts {
            has_bounced,
            is_opted_out: self.opt_outs.holds(row.to.tenant_id, &row.to.email, about),
            is_disabled: own == Some(true),
            is_own: own.is_some(),
            is_owed: is_end(row) && row.incident_id.is_some_and(was_told),
            lately: self.lately.get(&row.to.email).copied().unwrap_or(0),
        }
    }

    /// One more leaves.
    fn count(&mut self, row: &Due) {
        if is_unasked(row) {
            *self.lately.entry(row.to.email.clone()).or_default() += 1;
        }
    }
}

/// The addresses of messages, each once.
fn recipients<'a>(rows: impl Iterator<Item = &'a Due>) -> Vec<&'a str> {
    let each: BTreeSet<&str> = rows.map(|row| row.to.email.as_str()).collect();
    each.into_iter().collect()
}

/// To which tenants these belong, and whether the account is disabled. Who was only asked does not.
fn own(conn: &mut Connection, recipients: &[&str]) -> Result<HashMap<(TenantId, String), bool>, Problem> {
    let rows: Vec<(TenantId, String, bool, bool)> = memberships::table
        .inner_join(people::table.on(people::id.eq(memberships::person_id)))
        .filter(people::email.eq_any(recipients.to_vec()))
        .filter(memberships::accepted.eq(true))
        .select((
            memberships::tenant_id,
            people::email,
            memberships::disabled,
            people::disabled,
        ))
        .load(conn)?;
    let own = |(tenant, email, here, everywhere)| ((tenant, email), here || everywhere);
    Ok(rows.into_iter().map(own).collect())
}

/// Who among these was told of what ends.
fn told_of_ends(
    conn: &mut Connection,
    rows: &[&Due],
    tenants: &[TenantId],
    recipients: &[&str],
) -> Result<HashSet<(TenantId, IncidentId, String)>, Problem> {
    let ends = rows.iter().filter(|row| is_end(row));
    let incidents: BTreeSet<IncidentId> = ends.filter_map(|row| row.incident_id).collect();
    let mut found = HashSet::new();
    for incident in incidents {
        let told = told::among(conn, incident, (tenants.to_vec(), recipients.to_vec()))?;
        let whose = |(tenant, recipient)| (tenant, incident, recipient);
        found.extend(told.into_iter().map(whose));
    }
    Ok(found)
}

/// How many mails that they had not asked for these got within a day, or are about to get, on whosever behalf.
fn lately(
    conn: &mut Connection,
    recipients: &[&str],
    now: Moment,
) -> Result<HashMap<String, usize>, Problem> {
    let rows: Vec<(String, i64)> = deliveries::table
        .filter(deliveries::recipient.eq_any(recipients.to_vec()))
        .filter(deliveries::kind.eq_any(DeliveryKind::UNASKED.to_vec()))
        .filter(
            deliveries::sent_at
                .gt(now.plus(-DAY))
                .or(deliveries::state.eq(DeliveryState::Leased)),
        )
        .group_by(deliveries::recipient)
        .select((deliveries::recipient, count_star()))
        .load(conn)?;
    let counted = |(email, count)| (email, usize::try_from(count).unwrap_or(usize::MAX));
    Ok(rows.into_iter().map(counted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_message_does_not_leave() {
        let free = Facts::default();
        let full = Facts { lately: 3, ..free };
        for (facts, cap, expected) in [
            (free, None, None),
            (full, None, None),
            (free, Some(3), None),
            (Facts { lately: 2, ..free }, Some(3), None),
            (full, Some(3), Some(Reason::DailyCap)),
            (Facts { lately: 9, ..free }, Some(3), Some(Reason::DailyCap)),
            // Nobody has listed one's own people, and what is owed is not counted.
            (Facts { is_own: true, ..full }, Some(3), None),
            (
                Facts {
                    is_owed: true,
                    ..full
                },
                Some(3),
                None,
            ),
            // What somebody wants comes first, also of what is owed.
            (
                Facts {
                    is_opted_out: true,
                    is_owed: true,
                    ..free
                },
                None,
                Some(Reason::Unsubscribed),
            ),
            (
                Facts {
                    is_opted_out: true,
                    is_disabled: true,
                    ..full
                },
                Some(3),
                Some(Reason::Unsubscribed),
            ),
            (
                Facts {
                    is_disabled: true,
                    is_own: true,
                    is_owed: true,
                    ..free
                },
                None,
                Some(Reason::Disabled),
            ),
            // Nobody's wish and no account makes a mailbox where there is none.
            (
                Facts {
                    has_bounced: true,
                    is_own: true,
                    is_owed: true,
                    ..free
                },
                None,
                Some(Reason::Suppressed),
            ),
        ] {
            assert_eq!(reason(facts, cap), expected, "{facts:?} of {cap:?}");
        }
    }

    /// What keeps back the end of what somebody was told of is reason enough, in every case there is.
    #[test]
    fn what_is_owed_is_kept_back_only_for_a_reason_that_is_enough() {
        for bits in 0..16 {
            let facts = Facts {
                is_opted_out: bits & 1 > 0,
                is_disabled: bits & 2 > 0,
                is_own: bits & 4 > 0,
                has_bounced: bits & 8 > 0,
                is_owed: true,
                lately: 9,
            };
            let reason = reason(facts, Some(1));
            assert!(
                reason.is_none_or(|reason| Reason::ENOUGH.contains(&reason)),
                "{facts:?}"
            );
        }
    }
}
