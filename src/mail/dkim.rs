//! Signs mail (DKIM, RFC 6376), so that servers know that it comes from the domain it says it comes from.

use std::fmt;
use std::path::Path;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256, SigningKey};
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::{Canonicalization, DkimSigner, Done};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use crate::settings::Dkim;

/// What is signed. A header that a mail does not have is signed as missing: so nobody adds one. One that stands here
/// twice is signed once more than it is there: so nobody adds a second.
const HEADERS: &[&str] = &[
    "From",
    "From",
    "To",
    "To",
    "Subject",
    "Subject",
    "Date",
    "Date",
    "Message-ID",
    "Message-ID",
    "Reply-To",
    "Reply-To",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Auto-Submitted",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Unsubscribe-Post",
];

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("setting `dkim-key` (ALLCLEAR_DKIM_KEY): {0}")]
pub struct BadKey(String);

/// Why a mail could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("mail could not be signed: {0}")]
pub struct SignError(String);

/// Signs in the name of a domain.
pub struct Signer {
    key: Key,
    record: String,
}

enum Key {
    Rsa(DkimSigner<RsaKey<Sha256>, Done>),
    Ed25519(DkimSigner<Ed25519Key, Done>),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// With the key in the file that the setting names: PEM, PKCS #8 or PKCS #1, RSA from 2048 bits on or Ed25519.
    pub fn load(dkim: &Dkim) -> Result<Self, BadKey> {
        let bad = |error: String| BadKey(format!("cannot use {}: {error}", dkim.key.display()));
        let pem = read(&dkim.key).map_err(bad)?;
        let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| bad(error.to_string()))?;
        let (key, public) = keys(&der, dkim).ok_or_else(|| {
            bad("it is neither an RSA key of 2048 bits or more nor an Ed25519 key, as PEM".to_owned())
        })?;
        let kind = match key {
            Key::Rsa(_) => "rsa",
            Key::Ed25519(_) => "ed25519",
        };
        let record = format!(
            "{}._domainkey.{}. IN TXT {}",
            dkim.selector,
            dkim.domain,
            strings(&format!("v=DKIM1; k={kind}; p={}", STANDARD.encode(public)))
        );
        Ok(Self { key, record })
    }

    /// The mail with its signature in front.
    pub fn sign(&self, raw: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = match &self.key {
            Key::Rsa(signer) => signer.sign(raw),
            Key::Ed25519(signer) => signer.sign(raw),
        };
        let signature = signature.map_err(|error| SignError(error.to_string()))?;
        let mut signed = signature.to_header().into_bytes();
        signed.extend_from_slice(raw);
        Ok(signed)
    }

    /// What the domain has to say in the DNS, as a line of a zone.
    pub fn record(&self) -> &str {
        &self.record
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| error.to_string())
}

/// The key, and its public half as the DNS has it.
fn keys(der: &PrivateKeyDer<'_>, dkim: &Dkim) -> Option<(Key, Vec<u8>)> {
    if let PrivateKeyDer::Pkcs8(der) = der
        && let Ok(key) = Ed25519Key::from_pkcs8_maybe_unchecked_der(der.secret_pkcs8_der())
    {
        let public = key.public_key();
        return Some((Key::Ed25519(signer(key, dkim)), public));
    }
    let pair = match der {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok()?,
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()?,
        _ => return None,
    };
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    let key = RsaKey::from_key_der(der.clone_key()).ok()?;
    Some((Key::Rsa(signer(key, dkim)), public.as_ref().to_vec()))
}

/// Relaxed: a relay may fold headers anew.
fn signer<K: SigningKey>(key: K, dkim: &Dkim) -> DkimSigner<K, Done> {
    DkimSigner::from_key(key)
        .domain(dkim.domain.as_str())
        .selector(dkim.selector.as_str())
        .headers(HEADERS.iter().copied())
        .header_canonicalization(Canonicalization::Relaxed)
        .body_canonicalization(Canonicalization::Relaxed)
}

/// The strings of a TXT record hold 255 octets each (RFC 1035, 3.3).
fn strings(text: &str) -> String {
    let mut strings = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (string, after) = rest.split_at_checked(255).unwrap_or((rest, ""));
        strings.push(format!("\"{string}\""));
        rest = after;
    }
    strings.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of somebody else's tests (RFC 8410, 10.3): never one of an installation.
    const ED25519: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    const RAW: &[u8] = b"From: a@b.example\r\nTo: c@d.example\r\nSubject: Hello\r\n\r\nHello\r\n";

    fn load(pem: &str) -> Result<Signer, BadKey> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        std::fs::write(&path, pem).unwrap();
        Signer::load(&Dkim {
            key: path,
            selector: "desk".to_owned(),
            domain: "allclear.example".to_owned(),
        })
    }

    #[test]
    fn the_signature_stands_in_front_and_covers_what_it_should() {
        let signer = load(ED25519).unwrap();
        assert_eq!(
            signer.record(),
            "desk._domainkey.allclear.example. IN TXT \
             \"v=DKIM1; k=ed25519; p=Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\""
        );
        let signed = signer.sign(RAW).unwrap();
        let rest = signed.strip_suffix(RAW).unwrap();
        let header = String::from_utf8(rest.to_vec()).unwrap();
        assert!(header.starts_with(
            "DKIM-Signature: v=1; a=ed25519-sha256; s=desk; d=allclear.example; c=relaxed/relaxed;"
        ));
        assert!(header.ends_with("\r\n") && !header.trim_end().replace("\r\n", "").contains(['\r', '\n']));
        let flat: String = header.split_whitespace().collect();
        let (_, covered) = flat.split_once(";h=").unwrap();
        let covered: Vec<&str> = covered.split(';').next().unwrap().split(':').collect();
        for name in [
            "From",
            "To",
            "Subject",
            "List-Unsubscribe",
            "List-Unsubscribe-Post",
        ] {
            let count = covered.iter().filter(|covered| **covered == name).count();
            assert_eq!(count, 2, "{name} in {covered:?}");
        }
        assert!(covered.contains(&"Message-ID") && covered.contains(&"References"));
    }

    #[test]
    fn a_key_that_is_none_is_refused_without_repeating_it() {
        for pem in [
            "",
            "secret",
            "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",
        ] {
            let error = load(pem).unwrap_err().to_string();
            assert!(
                error.contains("ALLCLEAR_DKIM_KEY") && !error.contains("c2VjcmV0"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_record_is_made_of_strings_that_fit() {
        assert_eq!(strings("v=DKIM1"), "\"v=DKIM1\"");
        let long = strings(&"x".repeat(400));
        assert_eq!(long, format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(145)));
    }
}
