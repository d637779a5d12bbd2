//! What comes in by mail and concerns a request: an answer to mail of ours becomes a comment, once.
//!
//! `inbox.rs` takes every letter and finds whose it is, `verdict.rs` is the rule, `enclosed.rs` puts away the files that come
//! with it, `actions.rs` does it. How a letter is handed in and read is in `mail/inbound`.

mod actions;
mod enclosed;
mod inbox;
mod store;
mod verdict;

pub use inbox::Inbox;
