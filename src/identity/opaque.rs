//! Opaque tokens: a prefix that says what they are, then tenant, id and secret in base64url.
//!
//! Tenant and id find the row; the database keeps only the SHA-256 of the secret. It has 256 random bits, so it needs
//! no slower hash.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::db::{Id, TenantId};

/// What an opaque token carries.
pub struct Opaque<T: 'static> {
    /// Whose it is.
    pub tenant: TenantId,
    /// Of which row.
    pub id: Id<T>,
    secret: [u8; 32],
}

impl<T> Opaque<T> {
    /// A new one.
    pub fn random(tenant: TenantId, id: Id<T>) -> Self {
        let mut secret = [0u8; 32];
        rand::fill(&mut secret);
        Self::with_secret(tenant, id, secret)
    }

    /// One whose secret is derived elsewhere.
    pub fn with_secret(tenant: TenantId, id: Id<T>, secret: [u8; 32]) -> Self {
        Self { tenant, id, secret }
    }

    /// Reads one that begins with `prefix`.
    pub fn parse(prefix: &str, text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(prefix)?).ok()?;
        let (tenant, rest) = bytes.split_first_chunk::<16>()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        Some(Self {
            tenant: Id::from_uuid(uuid::Uuid::from_bytes(*tenant)),
            id: Id::from_uuid(uuid::Uuid::from_bytes(*id)),
            secret: rest.try_into().ok()?,
        })
    }

    /// As it is handed out.
    pub fn text(&self, prefix: &str) -> String {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(self.tenant.uuid().as_bytes());
        bytes.extend_from_slice(self.id.uuid().as_bytes());
        bytes.extend_from_slice(&self.secret);
        format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What the database keeps of the secret.
    pub fn digest(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, &self.secret))
    }

    /// Whether this is what was kept, in constant time.
    pub fn fits(&self, kept: &str) -> bool {
        verify_slices_are_equal(self.digest().as_bytes(), kept.as_bytes()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{PROVIDER, SessionNoun};

    #[test]
    fn a_token_is_read_back_and_fits_its_own_digest_only() {
        let id = Id::<SessionNoun>::from_uuid(uuid::Uuid::from_u128(7));
        let token = Opaque::random(PROVIDER, id);
        let read = Opaque::<SessionNoun>::parse("alr_", &token.text("alr_")).unwrap();
        assert_eq!((read.tenant, read.id), (PROVIDER, id));
        assert!(read.fits(&token.digest()));
        assert!(!read.fits(&Opaque::random(PROVIDER, id).digest()));
        assert!(!token.digest().contains(&token.text("")));
    }

    #[test]
    fn what_is_not_a_token_is_none() {
        let id = Id::<SessionNoun>::from_uuid(uuid::Uuid::from_u128(7));
        let text = Opaque::random(PROVIDER, id).text("alr_");
        for wrong in [
            "",
            "alr_",
            "alr_====",
            &text[4..],
            &text[..text.len() - 2],
            &format!("{text}AA"),
        ] {
            assert!(Opaque::<SessionNoun>::parse("alr_", wrong).is_none(), "{wrong}");
        }
    }
}
