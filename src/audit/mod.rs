//! WHO DID WHAT, for those who ask: the journal as a list, and the proof that it is whole.
//!
//! The rows are the journal's, and so is the sealing. Here they are only read.

pub mod api;
pub mod store;
pub mod verify;
