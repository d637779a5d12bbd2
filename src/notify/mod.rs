//! WHO HEARS OF IT: reads what the slices to the left have written and acts on it. No slice knows it exists.
//!
//! `cascade` lets requests follow their incident, `audience` writes down who gets a broadcast, `own_mail` turns the
//! events of a request into its own mail, `desk_mail` tells the desk itself. Each is a step that does a bounded piece of
//! work in one transaction, driven by state, so that any number of processes may run it and a crash repeats nothing.
//! `subscriptions` has what people want to hear of, `digests` what they get together once a day, and `unsubscribing` the links by which they hear no more.
//! `messages` finds the words of what is sent, and `api` shows them to whoever writes templates.

mod account_mail;
pub mod api;
pub mod audience;
pub mod cascade;
mod desk_mail;
pub mod digests;
pub mod messages;
pub mod own_mail;
pub mod subscriptions;
mod suppression_mail;
pub mod unsubscribing;
