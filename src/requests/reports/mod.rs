//! What the desk did, in numbers: how queues fare, and how promises are kept.
//!
//! Nothing is kept for it: reports are worked out from the clocks, the requests, the journal and the rosters whenever
//! they are asked for, exactly, reading what is many row by row. `tally` counts cycles in groups, `percentile` says how
//! long things take, `moves` where requests were, `watches` which shifts ran: all pure. `flow` and `staffing` read what
//! these need; `stats`, `queues` and `sla` are the three answers.

pub mod api;
mod asked;
mod csv;
mod dimension;
mod flow;
mod moves;
pub mod percentile;
mod queues;
mod sla;
mod staffing;
mod stats;
mod store;
mod tally;
mod watches;
