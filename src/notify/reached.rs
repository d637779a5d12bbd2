//! Who of those that merely subscribe hears of what follows an opening, as a condition of queries.

/// Narrows a query to those for whom the opening of an incident has left, who did not want it, or who were told in another
/// way. `$tenant` and `$address` are the columns of whoever is asked about.
macro_rules! reached {
    ($query:expr, $incident:expr, $opening:expr, $tenant:expr, $address:expr) => {{
        use diesel::dsl::{exists, not};
        use $crate::db::schema::{deliveries, told};
        use $crate::mail::{BroadcastState, DeliveryState, Reason};
        let heard = told::table
            .filter(told::incident_id.eq($incident))
            .filter(told::tenant_id.eq($tenant))
            .filter(told::recipient.eq($address));
        let unsent = deliveries::table
            .filter(deliveries::tenant_id.eq($tenant))
            .filter(deliveries::event_id.eq($opening.id))
            .filter(deliveries::recipient.eq($address))
            .filter(deliveries::state.eq_any([DeliveryState::Pending, DeliveryState::Suppressed]))
            .filter(
                deliveries::reason
                    .is_null()
                    .or(deliveries::reason.ne(Reason::Unwanted)),
            );
        match $opening.state {
            // Not all whom it would have reached were written down.
            BroadcastState::Cancelled => $query.filter(exists(heard)),
            _ => $query.filter(not(exists(unsent)).or(exists(heard))),
        }
    }};
}
pub(crate) use reached;
