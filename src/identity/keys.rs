//! The installation's secret, what is derived from it, and the keys that sign access tokens.
//!
//! The secret is given (PostgreSQL) or made once in the data directory with mode 0600 (SQLite). Signing keys are
//! Ed25519, kept in the database, sealed with the secret (AES-256-GCM), so that all replicas share them.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::prelude::*;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

use crate::db::schema::signing_keys;
use crate::db::{Connection, Db, Moment, lock};
use crate::problem::Problem;

/// The secret of an installation.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The given secret, or the one in `data_dir`, made at the first start.
    pub fn load(given: Option<&str>, data_dir: &Path) -> Result<Self, Problem> {
        if let Some(given) = given {
            return Ok(Self(given.into()));
        }
        let path = data_dir.join("secret");
        let failed =
            |error: std::io::Error| Problem::internal(format!("cannot use {}: {error}", path.display()));
        if !path.exists() {
            let mut bytes = [0u8; 32];
            rand::fill(&mut bytes);
            write_private(data_dir, &path, STANDARD.encode(bytes).as_bytes()).map_err(failed)?;
        }
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        Ok(Self(text.trim().into()))
    }

    /// A key of 32 bytes for one purpose (HMAC-SHA256 of its name).
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes());
        hmac::sign(&key, purpose.as_bytes())
            .as_ref()
            .first_chunk()
            .copied()
            .unwrap_or_default()
    }

    fn sealing(&self) -> Result<RandomizedNonceKey, Problem> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.derive("seal")).map_err(Problem::internal)
    }

    fn seal(&self, name: &str, plain: &[u8]) -> Result<String, Problem> {
        let mut sealed = plain.to_vec();
        let nonce = self
            .sealing()?
            .seal_in_place_append_tag(Aad::from(name.as_bytes()), &mut sealed)
            .map_err(Problem::internal)?;
        let mut out = nonce.as_ref().to_vec();
        out.append(&mut sealed);
        Ok(STANDARD.encode(out))
    }

    fn open(&self, name: &str, sealed: &str) -> Result<Vec<u8>, Problem> {
        let wrong = || Problem::internal(format!("key {name} is not sealed with this ALLCLEAR_SECRET"));
        let bytes = STANDARD.decode(sealed).map_err(|_| wrong())?;
        let (nonce, rest) = bytes.split_first_chunk::<12>().ok_or_else(wrong)?;
        let mut rest = rest.to_vec();
        let nonce = aws_lc_rs::aead::Nonce::assume_unique_for_key(*nonce);
        let plain = self
            .sealing()?
            .open_in_place(nonce, Aad::from(name.as_bytes()), &mut rest)
            .map_err(|_| wrong())?;
        Ok(plain.to_vec())
    }
}

/// Writes the whole file or none, readable by its owner alone from its first moment.
fn write_private(dir: &Path, path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir)?; // mode 0600
    file.write_all(content)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        // Another process was first: its secret is the secret.
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

/// One key pair that signs access tokens.
pub struct SigningKey {
    /// Its name in token headers.
    pub kid: String,
    /// The private half.
    pub encoding: EncodingKey,
    /// The public half.
    pub decoding: DecodingKey,
    jwk: Jwk,
}

/// All signing keys, the newest first.
#[derive(Clone)]
pub struct Keys(Arc<Vec<SigningKey>>);

impl Keys {
    /// Loads the keys; makes the first one under a lock.
    pub async fn load(db: &Db, secret: &Secret, now: Moment) -> Result<Self, Problem> {
        let sealing = secret.clone();
        let rows = db.write(move |conn| load_or_make(conn, &sealing, now)).await?;
        let mut keys = Vec::with_capacity(rows.len());
        for (kid, sealed) in rows {
            keys.push(SigningKey::open(kid, &sealed, secret)?);
        }
        Ok(Self(Arc::new(keys)))
    }

    /// The key that signs.
    pub fn newest(&self) -> Result<&SigningKey, Problem> {
        self.0
            .first()
            .ok_or_else(|| Problem::internal("there is no signing key"))
    }

    /// The key of this name.
    pub fn find(&self, kid: &str) -> Option<&SigningKey> {
        self.0.iter().find(|key| key.kid == kid)
    }

    /// The public halves (RFC 7517 §5).
    pub fn public(&self) -> JwkSet {
        JwkSet {
            keys: self.0.iter().map(|key| key.jwk.clone()).collect(),
        }
    }
}

impl SigningKey {
    fn open(kid: String, sealed: &str, secret: &Secret) -> Result<Self, Problem> {
        let private = secret.open(&kid, sealed)?;
        let encoding = EncodingKey::from_ed_der(&private);
        let mut jwk = Jwk::from_encoding_key(&encoding, Algorithm::EdDSA).map_err(Problem::internal)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let decoding = DecodingKey::from_jwk(&jwk).map_err(Problem::internal)?;
        Ok(Self {
            kid,
            encoding,
            decoding,
            jwk,
        })
    }
}

fn load_or_make(
    conn: &mut Connection,
    secret: &Secret,
    now: Moment,
) -> Result<Vec<(String, String)>, Problem> {
    lock::exclusive(conn, lock::Key::named("signing keys"))?;
    let all = signing_keys::table
        .order((signing_keys::created_at.desc(), signing_keys::id))
        .select((signing_keys::id, signing_keys::sealed));
    let rows: Vec<(String, String)> = all.load(conn)?;
    if !rows.is_empty() {
        return Ok(rows);
    }
    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().map_err(Problem::internal)?;
    let private = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair)
        .map_err(Problem::internal)?;
    let name = digest::digest(
        &digest::SHA256,
        aws_lc_rs::signature::KeyPair::public_key(&pair).as_ref(),
    );
    let kid: String = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .encode(name)
        .chars()
        .take(16)
        .collect();
    let sealed = secret.seal(&kid, private.as_ref())?;
    diesel::insert_into(signing_keys::table)
        .values((
            signing_keys::id.eq(&kid),
            signing_keys::sealed.eq(&sealed),
            signing_keys::created_at.eq(now),
        ))
        .execute(conn)?;
    Ok(vec![(kid, sealed)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_made_once_and_only_its_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let first = Secret::load(None, dir.path()).unwrap();
        let second = Secret::load(None, dir.path()).unwrap();
        assert_eq!(first.0, second.0);
        let mode = dir.path().join("secret").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_secret_and_name_only() {
        let secret = Secret("0123456789abcdef0123456789abcdef".into());
        let sealed = secret.seal("a", b"plain").unwrap();
        assert_eq!(secret.open("a", &sealed).unwrap(), b"plain");
        assert!(secret.open("b", &sealed).is_err());
        assert!(Secret("another".into()).open("a", &sealed).is_err());
    }
}
