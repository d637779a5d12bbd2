//! The ledger of mail, and the dispatcher that empties it. Knows recipients, not reasons: who hears of what, and in
//! which words, is `notify`'s business.

pub mod api;
pub mod backoff;
pub mod custody;
pub mod dispatch;
pub mod dkim;
pub mod message;
mod model;
pub mod store;
pub mod transport;
pub mod unsubscribe;

pub use dispatch::{Content, Dispatcher, Render};
pub use message::List;
pub use model::{
    Broadcast, BroadcastKind, BroadcastState, BroadcastView, Delivery, DeliveryKind, DeliveryState,
    DeliveryView, Phase, Priority, Recipient,
};

/// What a background step found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was done; there may be more.
    Worked,
    /// There was nothing to do.
    Idle,
}
