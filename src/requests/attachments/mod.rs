//! Files of requests: those that came with a mail, and those that were added.
//!
//! Nothing that their senders say of them is believed: what a file is, is told by its bytes (`kind.rs`), its name is no
//! path, and it is given out to be saved, never to be shown.
//!
//! A row is there before its file, and until the file is gone. So there is never a file without one: whoever dies in
//! between leaves a row that is swept up, with what it names (`actions.rs`). Where the files are is in `shelf.rs`.

pub mod actions;
pub mod api;
mod kind;
pub mod limits;
mod shelf;
pub mod store;

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

pub use kind::Described;
pub use shelf::Shelf;

use crate::db::schema::attachments;
use crate::db::{AttachmentId, CommentId, Id, Moment, RequestId, TenantId, text_enum};

text_enum! {
    /// How far a file is.
    State {
        /// It is being put away.
        Arriving = "arriving",
        /// It is there.
        Kept = "kept",
        /// It is to be taken away.
        Leaving = "leaving",
    }
}

/// A file of a request: the row is the model.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = attachments, treat_none_as_default_value = false)]
pub struct Attachment {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: AttachmentId,
    /// The request.
    pub request_id: RequestId,
    /// The comment that it came with, once it is kept; none where it came alone.
    pub comment_id: Option<CommentId>,
    /// How far it is.
    pub state: State,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub media_type: String,
    /// In bytes.
    pub size: i32,
    /// SHA-256 of the bytes, in hexadecimal digits.
    pub sha256: String,
    /// When it came.
    pub at: Moment,
}

impl Attachment {
    /// One that arrives.
    pub fn arriving((tenant_id, request_id): (TenantId, RequestId), file: &Described, now: Moment) -> Self {
        Self {
            tenant_id,
            id: Id::at(now),
            request_id,
            comment_id: None,
            state: State::Arriving,
            name: file.name.clone(),
            media_type: file.media_type.to_owned(),
            size: file.size,
            sha256: file.sha256.clone(),
            at: now,
        }
    }
}

/// A file of a request, as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttachmentView {
    /// Its id.
    pub id: AttachmentId,
    /// The comment that it came with; `null` where it came alone.
    pub comment_id: Option<CommentId>,
    /// What it is called.
    pub name: String,
    /// What it is, as its bytes tell.
    pub media_type: String,
    /// In bytes.
    pub size: i32,
    /// SHA-256 of the bytes, in hexadecimal digits.
    pub sha256: String,
    /// When it came.
    pub created_at: Moment,
}

impl From<Attachment> for AttachmentView {
    fn from(row: Attachment) -> Self {
        Self {
            id: row.id,
            comment_id: row.comment_id,
            name: row.name,
            media_type: row.media_type,
            size: row.size,
            sha256: row.sha256,
            created_at: row.at,
        }
    }
}
