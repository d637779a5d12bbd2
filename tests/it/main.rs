//! The whole suite, black box through HTTP where it can be; it runs once on each engine (`./test`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions
)]
#![allow(clippy::disallowed_methods, clippy::print_stdout)]
#![allow(missing_docs)]

mod bad_relay;
mod desk;
mod mailbox;
mod oidc;

mod accounts;
mod agents;
mod architecture;
mod attachments;
mod audience;
mod audit;
mod audit_story;
mod bad_input;
mod broadcasts;
mod chain;
mod command_line;
mod custody;
mod deliveries;
mod faults;
mod hostile;
mod http;
mod identity;
mod inbound;
mod incidents;
mod isolation;
mod limits;
mod line;
mod mail;
mod main_path;
mod messages;
mod migrations;
mod queues;
mod relay;
mod reports;
mod requests;
mod rights;
mod rosters;
mod routing;
mod sla;
mod spec;
mod sso;
mod stage;
mod storm;
mod wall;
