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
use chrono::TimeDelta;
use diesel::prelude::*;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use parking_lot::{Mutex, RwLock};

use crate::db::schema::signing_keys;
use crate::db::{Connection, Db, Moment, PROVIDER, Scope, lock};
use crate::journal::{self, Actor, Event, EventKind, SubjectKind};
use crate::problem::Problem;

/// Names that nobody knows are looked for this often at most.
const PAUSE: TimeDelta = TimeDelta::seconds(5);

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

    /// Seals what the database keeps, under a name that opening has to give again (AES-256-GCM).
    pub fn seal(&self, name: &str, plain: &[u8]) -> Result<String, Problem> {
        let mut sealed = plain.to_vec();
        let nonce = self
            .sealing()?
            .seal_in_place_append_tag(Aad::from(name.as_bytes()), &mut sealed)
            .map_err(Problem::internal)?;
        let mut out = nonce.as_ref().to_vec();
        out.append(&mut sealed);
        Ok(STANDARD.encode(out))
    }

    /// Opens what was sealed under this name.
    pub fn open(&self, name: &str, sealed: &str) -> Result<Vec<u8>, Problem> {
        let wrong = || Problem::internal(format!("`{name}` is not sealed with this ALLCLEAR_SECRET"));
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

/// All signing keys, the newest first, as this process knows them: it looks again when it meets a name that it does
/// not know, and now and then.
#[derive(Clone)]
pub struct Keys {
    known: Arc<RwLock<Vec<Arc<SigningKey>>>>,
    looked: Arc<Mutex<Moment>>,
    db: Db,
    secret: Secret,
}

impl Keys {
    /// Loads the keys; makes the first one under a lock.
    pub async fn load(db: &Db, secret: &Secret, now: Moment) -> Result<Self, Problem> {
        let sealing = secret.clone();
        let rows = db
            .write(Scope::of_system(), move |conn| load_or_make(conn, &sealing, now))
            .await?;
        Ok(Self {
            known: Arc::new(RwLock::new(opened(rows, secret)?)),
            looked: Arc::new(Mutex::new(now)),
            db: db.clone(),
            secret: secret.clone(),
        })
    }

    /// The key that signs.
    pub fn newest(&self) -> Result<Arc<SigningKey>, Problem> {
        let newest = self.known.read().first().cloned();
        newest.ok_or_else(|| Problem::internal("there is no signing key"))
    }

    /// The key of this name.
    pub fn find(&self, kid: &str) -> Option<Arc<SigningKey>> {
        self.known.read().iter().find(|key| key.kid == kid).cloned()
    }

    /// The same, after a look at the database where it is not known, unless the last look was just now: tokens with
    /// invented names are not to keep the database busy.
    pub async fn find_or_look(&self, kid: &str, now: Moment) -> Result<Option<Arc<SigningKey>>, Problem> {
        if let Some(key) = self.find(kid) {
            return Ok(Some(key));
        }
        let due = {
            let mut looked = self.looked.lock();
            let due = now.since(*looked) >= PAUSE;
            if due {
                *looked = now;
            }
            due
        };
        if due {
            self.look().await?;
        }
        Ok(self.find(kid))
    }

    /// Looks at the database again.
    pub async fn look(&self) -> Result<(), Problem> {
        let rows = self.db.read(Scope::of_system(), stored).await?;
        *self.known.write() = opened(rows, &self.secret)?;
        Ok(())
    }

    /// The public halves (RFC 7517 §5).
    pub fn public(&self) -> JwkSet {
        JwkSet {
            keys: self.known.read().iter().map(|key| key.jwk.clone()).collect(),
        }
    }
}

fn opened(rows: Vec<Stored>, secret: &Secret) -> Result<Vec<Arc<SigningKey>>, Problem> {
    let open = |row: Stored| SigningKey::open(row.id, &row.sealed, secret).map(Arc::new);
    rows.into_iter().map(open).collect()
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

/// A key as it is kept: the row is the model.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_keys)]
struct Stored {
    id: String,
    sealed: String,
    created_at: Moment,
}

/// The newest first.
fn stored(conn: &mut Connection) -> Result<Vec<Stored>, Problem> {
    Ok(signing_keys::table
        .order((signing_keys::created_at.desc(), signing_keys::id))
        .select(Stored::as_select())
        .load(conn)?)
}

fn load_or_make(conn: &mut Connection, secret: &Secret, now: Moment) -> Result<Vec<Stored>, Problem> {
    lock::exclusive(conn, lock::Key::named("signing keys"))?;
    let rows = stored(conn)?;
    if rows.is_empty() {
        return Ok(vec![make(conn, secret, now)?]);
    }
    Ok(rows)
}

/// Makes a key that signs from now on; its name, and how many older ones are still good for tokens of theirs.
///
/// A key is forgotten when the last token that it signed has expired: `lifetime` after the next key was made, and an
/// hour for the processes that noticed late.
pub fn rotate(
    conn: &mut Connection,
    secret: &Secret,
    lifetime: TimeDelta,
    now: Moment,
) -> Result<(String, usize), Problem> {
    lock::exclusive(conn, lock::Key::named("signing keys"))?;
    let before = stored(conn)?;
    let made = make(conn, secret, now)?;
    let mut kept = 0;
    let mut replaced_at = now;
    for key in before {
        if replaced_at.plus(lifetime).plus(TimeDelta::hours(1)) < now {
            diesel::delete(signing_keys::table.find(&key.id)).execute(conn)?;
        } else {
            kept += 1;
        }
        replaced_at = key.created_at;
    }
    Ok((made.id, kept))
}

fn make(conn: &mut Connection, secret: &Secret, now: Moment) -> Result<Stored, Problem> {
    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().map_err(Problem::internal)?;
    let private = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair)
        .map_err(Problem::internal)?;
    let name = digest::digest(
        &digest::SHA256,
        aws_lc_rs::signature::KeyPair::public_key(&pair).as_ref(),
    );
    let id: String = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .encode(name)
        .chars()
        .take(16)
        .collect();
    let key = Stored {
        sealed: secret.seal(&id, private.as_ref())?,
        id,
        created_at: now,
    };
    diesel::insert_into(signing_keys::table)
        .values(&key)
        .execute(conn)?;
    let (kind, about) = (EventKind::SigningKeyMade, SubjectKind::SigningKey);
    let data = serde_json::json!({"to": {"key": key.id}});
    let event = Event::alone(kind, about, PROVIDER, (&Actor::system(), now), data);
    journal::record(conn, &event, &[])?;
    Ok(key)
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
