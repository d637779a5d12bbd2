//! What people want to hear of: the incidents they subscribe to, one by one or by service and region, and the events.
//!
//! `wishes` is the rule. That an address wants no mail at all is `mail`'s to know (`mail::opt_outs`), since it holds for
//! addresses of nobody too; the preferences show and change it.

mod actions;
pub mod api;
pub mod custody;
pub mod model;
pub mod store;
pub mod wishes;
