//! Allclear: the support desk behind a hosted service.
//!
//! The rooms stand in one line, and each uses only rooms to its left; `tests/it/architecture.rs` holds them to it:
//!
//! `problem, text, settings, clock → db → http → journal → identity → audit → catalog → schedule → mail →
//! queues → sla → incidents → requests → notify → worker → app → cli`

pub mod app;
pub mod audit;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod db;
pub mod http;
pub mod identity;
pub mod incidents;
pub mod journal;
pub mod mail;
pub mod notify;
pub mod problem;
pub mod queues;
pub mod requests;
pub mod schedule;
pub mod settings;
pub mod sla;
pub mod text;
pub mod worker;
