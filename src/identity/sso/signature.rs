//! Whether a token was signed by a key of its issuer, as RFC 8725 asks. Pure: keys come from `issuers.rs`.
//!
//! The algorithms are a list of ours, all of them asymmetric, and a key is used for the one that its type says: so a
//! public key is never taken for a secret. Keys that a token brings along, or says where to get, are not looked at.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

use super::claims::Claims;
use crate::identity::tokens::plain_header;

/// What kind of token is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The ID token of a sign-in.
    Id,
    /// An access token; not all issuers say so in its header (RFC 9068 §2.1).
    Access,
}

impl Kind {
    fn is(self, typ: Option<&str>) -> bool {
        let Some(typ) = typ else { return true };
        // RFC 7515 §4.1.9: without a slash, `application/` is meant.
        let typ = typ.to_ascii_lowercase();
        match typ.strip_prefix("application/").unwrap_or(&typ) {
            "jwt" => true,
            "at+jwt" => self == Self::Access,
            _ => false,
        }
    }
}

/// Which key a token says it is signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyName {
    kid: String,
    algorithm: Algorithm,
}

impl KeyName {
    /// Out of the header of a token; none of one that is not to be looked at further.
    pub fn of(token: &str, kind: Kind) -> Option<Self> {
        let header = plain_header(token)?;
        if !kind.is(header.typ.as_deref()) || is_secret(header.alg) {
            return None;
        }
        Some(Self {
            kid: header.kid?,
            algorithm: header.alg,
        })
    }

    /// The key among those of the issuer.
    pub fn find<'a>(&self, keys: &'a [Jwk]) -> Option<&'a Jwk> {
        keys.iter()
            .find(|key| key.common.key_id.as_deref() == Some(&self.kid) && self.fits(key))
    }

    /// Whether a key is of the type that the algorithm needs, and not meant for something else.
    fn fits(&self, key: &Jwk) -> bool {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        let type_fits = match (&key.algorithm, self.algorithm) {
            (AlgorithmParameters::RSA(_), RS256 | RS384 | RS512 | PS256 | PS384 | PS512) => true,
            (AlgorithmParameters::EllipticCurve(of), ES256) => of.curve == EllipticCurve::P256,
            (AlgorithmParameters::EllipticCurve(of), ES384) => of.curve == EllipticCurve::P384,
            (AlgorithmParameters::OctetKeyPair(of), EdDSA) => of.curve == EllipticCurve::Ed25519,
            _ => false,
        };
        let signs = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let meant = KeyAlgorithm::from(self.algorithm);
        type_fits && signs && key.common.key_algorithm.is_none_or(|alg| alg == meant)
    }

    /// What the token says, if this key has signed it. Whether it is meant for us and for now is in `claims.rs`.
    pub fn open(&self, token: &str, key: &Jwk) -> Option<Claims> {
        let decoding = DecodingKey::from_jwk(key).ok().filter(|_| self.fits(key))?;
        let mut validation = Validation::new(self.algorithm);
        validation.set_required_spec_claims::<&str>(&[]);
        validation.validate_aud = false;
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let opened = jsonwebtoken::decode::<Claims>(token, &decoding, &validation).ok()?;
        Some(opened.claims)
    }
}

fn is_secret(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    fn token(header: Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.AAAA", part(&header), part(&json!({"sub": "kim"})))
    }

    #[test]
    fn a_header_names_a_key_and_an_asymmetric_algorithm_and_brings_nothing_along() {
        for (header, id, access) in [
            (json!({"alg": "RS256", "kid": "a"}), true, true),
            (json!({"alg": "EdDSA", "kid": "a", "typ": "JWT"}), true, true),
            (json!({"alg": "ES256", "kid": "a", "typ": "at+jwt"}), false, true),
            (
                json!({"alg": "ES256", "kid": "a", "typ": "application/at+JWT"}),
                false,
                true,
            ),
            (
                json!({"alg": "ES256", "kid": "a", "typ": "logout+jwt"}),
                false,
                false,
            ),
            (json!({"alg": "RS256"}), false, false),
            (json!({"alg": "none", "kid": "a"}), false, false),
            (json!({"alg": "None", "kid": "a"}), false, false),
            (json!({"alg": "HS256", "kid": "a"}), false, false),
            (json!({"alg": "RS256", "kid": "a", "crit": ["exp"]}), false, false),
            (
                json!({"alg": "RS256", "kid": "a", "jku": "https://evil.example"}),
                false,
                false,
            ),
            (
                json!({"alg": "RS256", "kid": "a", "x5u": "https://evil.example"}),
                false,
                false,
            ),
            (json!({"alg": "RS256", "kid": "a", "x5c": ["AAAA"]}), false, false),
            (
                json!({"alg": "EdDSA", "kid": "a", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}}),
                false,
                false,
            ),
        ] {
            let token = token(header.clone());
            assert_eq!(KeyName::of(&token, Kind::Id).is_some(), id, "{header}");
            assert_eq!(KeyName::of(&token, Kind::Access).is_some(), access, "{header}");
        }
        for no_token in ["", ".", "a.b.c", "alk_AAAA"] {
            assert_eq!(KeyName::of(no_token, Kind::Access), None, "{no_token}");
        }
    }

    #[test]
    fn a_key_is_used_for_what_its_type_says_only() {
        let rsa = json!({"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB"});
        let ec = json!({"kty": "EC", "kid": "a", "crv": "P-256", "x": "AAAA", "y": "AAAA"});
        let okp = json!({"kty": "OKP", "kid": "a", "crv": "Ed25519", "x": "AAAA"});
        let oct = json!({"kty": "oct", "kid": "a", "k": "AAAA"});
        let with = |key: &Value, name: &str, value: &str| {
            let mut key = key.clone();
            key[name] = json!(value);
            key
        };
        for (key, algorithm, fits) in [
            (rsa.clone(), Algorithm::RS256, true),
            (rsa.clone(), Algorithm::PS512, true),
            (rsa.clone(), Algorithm::ES256, false),
            (with(&rsa, "alg", "RS256"), Algorithm::PS256, false),
            (with(&rsa, "alg", "RSA-OAEP"), Algorithm::RS256, false),
            (with(&rsa, "use", "enc"), Algorithm::RS256, false),
            (with(&rsa, "use", "sig"), Algorithm::RS256, true),
            (with(&rsa, "kid", "b"), Algorithm::RS256, false),
            (ec.clone(), Algorithm::ES256, true),
            (ec.clone(), Algorithm::ES384, false),
            (with(&ec, "crv", "P-384"), Algorithm::ES384, true),
            (okp, Algorithm::EdDSA, true),
            (oct.clone(), Algorithm::RS256, false),
            (oct, Algorithm::EdDSA, false),
        ] {
            let name = KeyName {
                kid: "a".to_owned(),
                algorithm,
            };
            let keys = [serde_json::from_value::<Jwk>(key.clone()).unwrap()];
            assert_eq!(name.find(&keys).is_some(), fits, "{key} {algorithm:?}");
        }
    }
}
