//! THE PORCH: what every API file needs and no slice owns.
//!
//! Bodies and queries that are read and checked, answers, entity tags, pages with signed cursors, idempotency.
//! Who calls is not known here: that is `identity`.

pub mod answer;
pub mod bell;
pub mod body;
pub mod client;
pub mod dress;
pub mod etag;
pub mod idempotency;
pub mod limits;
pub mod page;
pub mod porch;
pub mod traffic;
pub mod upload;

pub use answer::Answer;
pub use body::{Form, Query};
pub use etag::IfMatch;
pub use page::{Cursors, Items, Page, Pages};
pub use upload::{Upload, Uploads};
