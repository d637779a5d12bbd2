//! The archive: a tar file with a page that explains it, a list of what is in it, and a file of lines for each thing
//! that there are many of. It is written beside its place and put there whole.

use std::io::{self, Seek as _, SeekFrom, Write};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;
use serde_json::{Value, json};

use super::contents;
use crate::cli::Failure;
use crate::db::{Db, Moment, Scope, TenantId};
use crate::problem::Problem;
use crate::requests::attachments::Shelf;

/// The version of the form, for whoever reads archives by program.
const FORMAT: &str = "allclear-tenant-export/1";

/// Writes the archive of a tenant; how many items are in it.
pub async fn write(
    (db, shelf): (&Db, &Shelf),
    scope: Scope,
    tenant: TenantId,
    path: &Path,
    now: Moment,
) -> Result<u64, Failure> {
    if path.exists() {
        return Err(format!("{} is there already", path.display()).into());
    }
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let place = tempfile::NamedTempFile::new_in(dir)?; // mode 0600
    let mut tar = tar::Builder::new(place.reopen()?);
    let mut files = Vec::new();
    let mut items = 0;
    for part in contents::PARTS {
        let mut lines = Lines::begin()?;
        (part.write)(db, scope, tenant, &mut lines).await?;
        items += lines.items;
        files.push(lines.put(&mut tar, part.name, now)?);
    }
    put_files((db, shelf), scope, tenant, &mut tar, now).await?;
    let manifest = json!({
        "format": FORMAT, "allclear": env!("CARGO_PKG_VERSION"), "tenant_id": tenant, "exported_at": now, "files": files,
    });
    put(
        &mut tar,
        "manifest.json",
        serde_json::to_string_pretty(&manifest)?.as_bytes(),
        now,
    )?;
    put(&mut tar, "README.md", contents::page().as_bytes(), now)?;
    tar.into_inner()?.sync_all()?;
    place.persist_noclobber(path)?;
    Ok(items)
}

/// A file of the archive in the making: an item a line.
pub struct Lines {
    file: io::BufWriter<std::fs::File>,
    digest: Context,
    bytes: u64,
    items: u64,
}

impl Lines {
    fn begin() -> io::Result<Self> {
        Ok(Self {
            file: io::BufWriter::new(tempfile::tempfile()?),
            digest: Context::new(&SHA256),
            bytes: 0,
            items: 0,
        })
    }

    /// Adds an item.
    pub fn add(&mut self, item: &impl Serialize) -> Result<(), Problem> {
        let mut line = serde_json::to_vec(item).map_err(Problem::internal)?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(Problem::internal)?;
        self.digest.update(&line);
        self.bytes += u64::try_from(line.len()).unwrap_or(u64::MAX);
        self.items += 1;
        Ok(())
    }

    /// Puts the file into the archive; its row of the manifest.
    fn put(self, tar: &mut tar::Builder<std::fs::File>, name: &str, now: Moment) -> io::Result<Value> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        tar.append_data(&mut header(self.bytes, now), name, file)?;
        let digest: String = self
            .digest
            .finish()
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(json!({"name": name, "items": self.items, "bytes": self.bytes, "sha256": digest}))
    }
}

/// Puts the files that came with comments into a folder of the archive.
async fn put_files(
    (db, shelf): (&Db, &Shelf),
    scope: Scope,
    tenant: TenantId,
    tar: &mut tar::Builder<std::fs::File>,
    now: Moment,
) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let read = contents::attachments_after(tenant);
        let (next, rows) = db.read(scope, move |conn| read(conn, after)).await?;
        for row in &rows {
            // What was taken away meanwhile is not the tenant's any more.
            if let Some(bytes) = shelf.read(row).await? {
                put(tar, &format!("attachments/{}", row.id), &bytes, now)?;
            }
        }
        match next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

fn put(tar: &mut tar::Builder<std::fs::File>, name: &str, content: &[u8], now: Moment) -> io::Result<()> {
    let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
    tar.append_data(&mut header(length, now), name, content)
}

fn header(length: u64, now: Moment) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(length);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(now.utc().timestamp()).unwrap_or_default());
    header
}
