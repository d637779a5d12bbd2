//! The ledger of mail, and the dispatcher that empties it. Knows recipients, not reasons: who hears of what, and in
//! which words, is `notify`'s business.

pub mod api;
pub mod backoff;
pub mod bounces;
pub mod broadcasts;
pub mod carried;
pub mod custody;
pub mod dispatch;
pub mod dkim;
mod domains;
mod due;
pub mod duplicates;
mod gate;
pub mod inbound;
pub mod leases;
pub mod ledger;
pub mod message;
pub mod meters;
mod model;
pub mod opt_outs;
mod pace;
mod prepare;
mod rehearsal;
pub mod return_address;
mod sending;
pub mod store;
mod superseding;
pub mod suppressions;
pub mod told;
pub mod transport;
pub mod truths;
pub mod unsubscribe;
mod view;
mod window;
pub mod withdrawal;

pub use dispatch::{Content, Dispatcher, Render};
pub use message::List;
pub use model::{
    Broadcast, BroadcastKind, BroadcastState, Delivery, DeliveryKind, DeliveryState, Phase, Place, Priority,
    Reason, Recipient,
};

pub use prepare::Composer;
pub use rehearsal::{Audience, Rehearsal};
pub use superseding::concerns_untold;

pub use view::{BroadcastView, DeliveryView};

/// What a background step found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was done; there may be more.
    Worked,
    /// There was nothing to do.
    Idle,
}
