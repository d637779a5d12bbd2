//! Where the files are: a folder, or a store that speaks S3, of which all processes of an installation see the same.
//!
//! A file is there whole or not at all, and for good before it is said to be.

use std::fmt::{Debug, Display};
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path as Folder, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, Error, ObjectStore, ObjectStoreExt as _, RetryConfig};

use super::Attachment;
use crate::problem::{Code, Problem};
use crate::settings::{Bucket, Place, Settings};

/// A store that has not answered for so long does not.
const PATIENCE: Duration = Duration::from_secs(60);
/// A call is tried so many times more.
const RETRIES: usize = 2;

/// The files of an installation, cheap to clone.
#[derive(Clone, Debug)]
pub struct Shelf {
    store: Arc<dyn ObjectStore>,
    /// What the names of all files begin with.
    root: Path,
    /// The folder, if it is one.
    folder: Option<PathBuf>,
}

impl Shelf {
    /// Where the settings say; a folder is made where there is none.
    pub fn open(settings: &Settings) -> Result<Self, Problem> {
        match &settings.files.place {
            Place::DataDir => Self::in_folder(&settings.attachments_dir()),
            Place::Folder(folder) => Self::in_folder(folder),
            Place::Bucket(bucket) => Ok(Self {
                store: Arc::new(of_bucket(bucket).map_err(|error| failed(bucket, &error))?),
                root: Path::from(bucket.folder.as_str()),
                folder: None,
            }),
        }
    }

    fn in_folder(folder: &Folder) -> Result<Self, Problem> {
        let failed = |error: &dyn Display| failed(&folder.display(), error);
        let mut made = DirBuilder::new();
        made.recursive(true).mode(0o700);
        made.create(folder).map_err(|error| failed(&error))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| failed(&error))?;
        Ok(Self {
            store: Arc::new(store.with_fsync(true)),
            root: Path::default(),
            folder: Some(folder.to_owned()),
        })
    }

    /// Puts a file away.
    pub async fn put(&self, row: &Attachment, bytes: Bytes) -> Result<(), Problem> {
        self.store
            .put(&self.place(row), bytes.into())
            .await
            .map_err(away)?;
        Ok(())
    }

    /// A file, piece by piece.
    pub async fn get(&self, row: &Attachment) -> Result<BoxStream<'static, Result<Bytes, Problem>>, Problem> {
        match self.store.get(&self.place(row)).await {
            Ok(found) => Ok(found.into_stream().map(|piece| piece.map_err(away)).boxed()),
            // It was taken away a moment ago.
            Err(Error::NotFound { .. }) => Err(Problem::not_found("attachment")),
            Err(error) => Err(away(error)),
        }
    }

    /// All of a file at once; none where it is not there any more.
    pub async fn read(&self, row: &Attachment) -> Result<Option<Bytes>, Problem> {
        match self.store.get(&self.place(row)).await {
            Ok(found) => Ok(Some(found.bytes().await.map_err(away)?)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(away(error)),
        }
    }

    /// Takes a file away, if it is there.
    pub async fn remove(&self, row: &Attachment) -> Result<(), Problem> {
        let place = self.place(row);
        // Who died over it may have left it beside its place, under the name that the library gives it there.
        if let Some(folder) = &self.folder {
            match tokio::fs::remove_file(folder.join(format!("{place}#1"))).await {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(away(error)),
                _ => {}
            }
        }
        match self.store.delete(&place).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(away(error)),
        }
    }

    fn place(&self, row: &Attachment) -> Path {
        self.root
            .clone()
            .join(row.tenant_id.to_string())
            .join(row.id.to_string())
    }
}

fn of_bucket(bucket: &Bucket) -> Result<AmazonS3, Error> {
    let options = ClientOptions::new().with_allow_http(true).with_timeout(PATIENCE);
    let retries = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: PATIENCE,
        ..RetryConfig::default()
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_region(&bucket.region)
        .with_client_options(options)
        .with_retry(retries);
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some((id, key)) = &bucket.key {
        builder = builder.with_access_key_id(id).with_secret_access_key(key);
    }
    builder.build()
}

fn failed(place: &dyn Debug, error: &dyn Display) -> Problem {
    Problem::internal(format!("files cannot be kept in {place:?}: {error}"))
}

/// A disk that is full, a store that is away: it is to be tried again.
fn away(error: impl Display) -> Problem {
    tracing::error!(%error, "the files cannot be reached");
    Problem::new(Code::Unavailable, "the files cannot be reached")
}
