//! A file as the body of a call: bytes of any kind, within the limit of the settings.
//!
//! It is in memory until it is put away. So there is an end to how many are: whoever comes when as many are under way is
//! told to come again.

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::problem::{Code, Problem};
use crate::settings::Settings;

/// So many files are under way in a process.
const AT_ONCE: usize = 64;
/// A file may take so many times as long as another body.
const PATIENCE: u32 = 4;

/// How many more files there is room for in memory.
#[derive(Clone, Debug)]
pub struct Uploads(Arc<Semaphore>);

impl Default for Uploads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// A file that was sent; what it takes of the room is given back with it.
#[derive(Debug)]
pub struct Upload {
    /// All of it.
    pub bytes: web::Bytes,
    _room: OwnedSemaphorePermit,
}

impl FromRequest for Upload {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let part = || Problem::internal("the server takes no files");
            let settings = request.app_data::<web::Data<Settings>>().ok_or_else(part)?;
            let uploads = request.app_data::<web::Data<Uploads>>().ok_or_else(part)?;
            let most = settings.files.most_of_file;
            let announced = request.headers().get(header::CONTENT_LENGTH);
            let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
            if announced.is_some_and(|length| length > most) {
                return Err(too_large(most));
            }
            let full = |_| Problem::new(Code::Unavailable, "too many files are under way");
            let room = Arc::clone(&uploads.0).try_acquire_owned().map_err(full)?;
            let patience: Duration = settings.client_timeout.saturating_mul(PATIENCE);
            let late = |_| Problem::new(Code::RequestTimeout, "the file did not arrive in time");
            let bytes = timeout(patience, all(payload, most)).await.map_err(late)??;
            Ok(Self { bytes, _room: room })
        })
    }
}

async fn all(mut payload: Payload, most: usize) -> Result<web::Bytes, Problem> {
    let mut bytes = web::BytesMut::new();
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|error| unread(&error, most))?;
        if bytes.len().saturating_add(piece.len()) > most {
            return Err(too_large(most));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

fn unread(error: &PayloadError, most: usize) -> Problem {
    match error {
        PayloadError::Overflow => too_large(most),
        _ => Problem::new(Code::MalformedBody, "the file could not be read to its end"),
    }
}

fn too_large(most: usize) -> Problem {
    Problem::new(Code::PayloadTooLarge, format!("a file may be {most} bytes long"))
}
