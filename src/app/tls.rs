//! HTTPS, where a certificate is given: TLS 1.2 and 1.3, HTTP/1.1. Renewed files are taken up without a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::Instant;

use crate::problem::Problem;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(60);

/// What TLS is spoken with; an error names the file that cannot be used.
pub fn config(certificate: &Path, key: &Path) -> Result<ServerConfig, Problem> {
    let files = Files {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    };
    let current = files.read()?;
    let seen = Seen {
        changed: files.changed(),
        current: Arc::new(current),
        looked: Instant::now(),
    };
    let resolver = Arc::new(Renewed {
        files,
        seen: Mutex::new(seen),
    });
    Ok(ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(resolver))
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn read(&self) -> Result<CertifiedKey, Problem> {
        let bad = |path: &Path, error: &dyn std::fmt::Display| {
            Problem::internal(format!("cannot use {} for TLS: {error}", path.display()))
        };
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| bad(&self.certificate, &error))?;
        if chain.is_empty() {
            return Err(bad(&self.certificate, &"there is no certificate in it"));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| bad(&self.key, &error))?;
        let key = any_supported_type(&key).map_err(|error| bad(&self.key, &error))?;
        let pair = CertifiedKey::new(chain, key);
        pair.keys_match().map_err(|error| bad(&self.key, &error))?;
        Ok(pair)
    }

    fn changed(&self) -> Option<(SystemTime, SystemTime)> {
        let of = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
        of(&self.certificate).zip(of(&self.key))
    }
}

/// The pair as it was last read.
#[derive(Debug)]
struct Seen {
    changed: Option<(SystemTime, SystemTime)>,
    current: Arc<CertifiedKey>,
    looked: Instant,
}

#[derive(Debug)]
struct Renewed {
    files: Files,
    seen: Mutex<Seen>,
}

impl ResolvesServerCert for Renewed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut seen = self.seen.lock();
        if seen.looked.elapsed() >= LOOK {
            seen.looked = Instant::now();
            let changed = self.files.changed();
            if changed != seen.changed {
                match self.files.read() {
                    Ok(pair) => {
                        seen.current = Arc::new(pair);
                        seen.changed = changed;
                    }
                    // Half of a renewal, perhaps: the one so far goes on.
                    Err(error) => tracing::warn!(%error, "the renewed certificate is not used"),
                }
            }
        }
        Some(Arc::clone(&seen.current))
    }
}
