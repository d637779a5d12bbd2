//! The links by which somebody gets no more mail, without signing in (RFC 8058): the page, and what it does.
//!
//! Whoever has the link reads the mail of the address in it: that is all they prove, and all it is good for. It is
//! written down (`mail::opt_outs`), can be taken back by the same link, and stands in the tenant's audit.

mod actions;
pub mod api;
