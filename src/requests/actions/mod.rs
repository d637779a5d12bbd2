//! The verbs of requests, each in five beats: load, allow, decide, save, tell.

mod alter;
pub(in crate::requests) mod change;
mod claim;
mod comment;
mod escalate;
mod file;
mod follow;
pub(in crate::requests) mod hands;
mod link;
mod move_on;

pub use alter::alter;
pub use claim::{Reason, claim};
pub use comment::{comment, leave, unwatch, watch};
pub use escalate::escalate;
pub use file::{Filed, file};
pub use follow::{close_expired, detach, follow, move_to, return_to_line, withdraw};
pub use link::{link, pin, unpin};
pub use move_on::{
    assign, await_customer, cancel, close, hold, reject, release, reopen, resolve, resume, still_affected,
    transfer,
};
