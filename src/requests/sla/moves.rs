//! What a change of a request means for its clocks. Pure.

use crate::journal::Side;
use crate::queues::routing::Severity;
use crate::requests::lifecycle::Status;

/// What clocks look at in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where it stands.
    pub status: Status,
    /// How bad it is.
    pub severity: Severity,
}

/// Something that clocks act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// It is there.
    Filed,
    /// Staff answered in public.
    Replied,
    /// The tenant said something, and waits.
    Asked,
    /// The customer is waited for.
    Awaited,
    /// The customer is waited for no longer.
    Answered,
    /// It is over, and somebody says how.
    Resolved,
    /// It is nobody's work any more: what still runs will not be met.
    Left,
    /// It is somebody's work again; `waits` says whether the tenant wants to hear from them.
    Reopened {
        /// Whether a person of the tenant's reopened it.
        waits: bool,
    },
    /// Another severity, and so other terms.
    Rated,
}

/// The moves that a change is, in the order in which they are made; `said` is the side whose public comment came with
/// it, `by` the side that made it.
pub fn moves(before: Option<Standing>, after: Standing, said: Option<Side>, by: Side) -> Vec<Move> {
    let Some(before) = before else {
        return vec![Move::Filed];
    };
    let mut moves = Vec::new();
    let (was_open, is_open) = (before.status.is_open(), after.status.is_open());
    let (awaited, awaits) = (
        before.status == Status::PendingCustomer,
        after.status == Status::PendingCustomer,
    );
    let mut when = |holds: bool, what: Move| moves.extend(holds.then_some(what));
    // An answer that comes with the end counts as one.
    when(was_open && said == Some(Side::Staff), Move::Replied);
    when(was_open && is_open && said == Some(Side::Tenant), Move::Asked);
    when(was_open && is_open && !awaited && awaits, Move::Awaited);
    when(was_open && is_open && awaited && !awaits, Move::Answered);
    when(was_open && after.status == Status::Resolved, Move::Resolved);
    when(was_open && !is_open, Move::Left);
    let waits = by == Side::Tenant;
    when(!was_open && is_open, Move::Reopened { waits });
    when(is_open && before.severity != after.severity, Move::Rated);
    moves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_a_few_moves() {
        use Status::{Cancelled, Closed, InProgress, OnHold, PendingCustomer, Queued, Resolved};
        let (staff, tenant, system) = (Side::Staff, Side::Tenant, Side::System);
        let cases: [(Status, Status, Option<Side>, Side, &[Move]); 17] = [
            (Queued, InProgress, None, staff, &[]),
            (InProgress, InProgress, Some(staff), staff, &[Move::Replied]),
            (InProgress, InProgress, Some(tenant), tenant, &[Move::Asked]),
            (InProgress, PendingCustomer, None, staff, &[Move::Awaited]),
            (
                InProgress,
                PendingCustomer,
                Some(staff),
                staff,
                &[Move::Replied, Move::Awaited],
            ),
            (
                PendingCustomer,
                Queued,
                Some(tenant),
                tenant,
                &[Move::Asked, Move::Answered],
            ),
            (PendingCustomer, OnHold, None, staff, &[Move::Answered]),
            (InProgress, OnHold, None, staff, &[]),
            (
                InProgress,
                Resolved,
                Some(staff),
                staff,
                &[Move::Replied, Move::Resolved, Move::Left],
            ),
            (
                InProgress,
                Resolved,
                Some(tenant),
                tenant,
                &[Move::Resolved, Move::Left],
            ),
            (Queued, Resolved, None, system, &[Move::Resolved, Move::Left]),
            (Queued, Cancelled, None, tenant, &[Move::Left]),
            (Resolved, Resolved, Some(tenant), tenant, &[]),
            (Resolved, Closed, None, system, &[]),
            (Resolved, Queued, None, system, &[Move::Reopened { waits: false }]),
            (Resolved, Queued, None, staff, &[Move::Reopened { waits: false }]),
            (
                Resolved,
                Queued,
                Some(tenant),
                tenant,
                &[Move::Reopened { waits: true }],
            ),
        ];
        let rated = |status, severity| Standing { status, severity };
        for (from, to, said, by, expected) in cases {
            let (before, after) = (rated(from, Severity::C), rated(to, Severity::C));
            assert_eq!(moves(Some(before), after, said, by), expected, "{from} to {to}");
        }
        let (before, after) = (rated(Queued, Severity::C), rated(Queued, Severity::A));
        assert_eq!(moves(Some(before), after, None, staff), [Move::Rated]);
        assert_eq!(moves(None, after, None, tenant), [Move::Filed]);
    }
}
