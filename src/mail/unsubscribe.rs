//! The links by which somebody gets no more mail of a kind, without signing in (RFC 8058). Pure.
//!
//! The token in such a link says who no longer wants what. It is sealed with a key of the installation
//! (AES-256-GCM-SIV): nobody makes one, and it shows no address to whoever keeps a log. The same wish always has the same
//! token, so a mail that is sent again is the same mail; for that, and not by chance, the nonce is nought (RFC 8452, 1).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::model::Delivery;
use crate::db::{Id, IncidentId, RequestId, TenantId};
use crate::identity::keys::Secret;
use crate::problem::Problem;
use crate::text;

/// What a token begins with.
const PREFIX: &str = "alu_";
/// How it is written: another way of writing gets another number.
const VERSION: u8 = 1;

/// Of what somebody wants no more mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Of anything that was not asked for.
    Everything,
    /// Of an incident.
    Incident(IncidentId),
    /// Of a request, as its watcher.
    Request(RequestId),
}

/// Somebody's wish to get no more mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// On whose behalf the mail comes.
    pub tenant: TenantId,
    /// The address, in lower case.
    pub recipient: String,
    /// Of what.
    pub what: What,
}

impl Wish {
    /// Of the recipient of a message.
    pub fn new(delivery: &Delivery, what: What) -> Self {
        Self {
            tenant: delivery.tenant_id,
            recipient: delivery.recipient.clone(),
            what,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let (tag, id) = match self.what {
            What::Everything => (0, None),
            What::Incident(id) => (1, Some(id.uuid())),
            What::Request(id) => (2, Some(id.uuid())),
        };
        let mut bytes = vec![VERSION, tag];
        bytes.extend_from_slice(self.tenant.uuid().as_bytes());
        if let Some(id) = id {
            bytes.extend_from_slice(id.as_bytes());
        }
        bytes.extend_from_slice(self.recipient.as_bytes());
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let ([VERSION, tag], rest) = bytes.split_first_chunk::<2>()? else {
            return None;
        };
        let (tenant, rest) = rest.split_first_chunk::<16>()?;
        let id = || {
            let (id, rest) = rest.split_first_chunk::<16>()?;
            Some((Uuid::from_bytes(*id), rest))
        };
        let (what, recipient) = match tag {
            0 => (What::Everything, rest),
            1 => id().map(|(id, rest)| (What::Incident(Id::from_uuid(id)), rest))?,
            2 => id().map(|(id, rest)| (What::Request(Id::from_uuid(id)), rest))?,
            _ => return None,
        };
        Some(Self {
            tenant: Id::from_uuid(Uuid::from_bytes(*tenant)),
            recipient: text::email_address(str::from_utf8(recipient).ok()?)?,
            what,
        })
    }
}

/// Makes such links, and reads them.
#[derive(Clone)]
pub struct Links {
    key: Arc<LessSafeKey>,
    public_url: Arc<str>,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Links(…)")
    }
}

impl Links {
    /// Of an installation that is reached there.
    pub fn new(secret: &Secret, public_url: &str) -> Result<Self, Problem> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, &secret.derive("unsubscribe"));
        Ok(Self {
            key: Arc::new(LessSafeKey::new(key.map_err(Problem::internal)?)),
            public_url: public_url.into(),
        })
    }

    /// The link that fulfils a wish; none for an address that is none, which gets no mail either.
    pub fn link(&self, wish: &Wish) -> Option<String> {
        text::email_address(&wish.recipient)?;
        Some(format!(
            "{}/v1/unsubscribe/{}",
            self.public_url,
            self.token(wish)?
        ))
    }

    fn token(&self, wish: &Wish) -> Option<String> {
        let mut sealed = wish.bytes();
        self.key
            .seal_in_place_append_tag(nought(), Aad::from(PREFIX), &mut sealed)
            .ok()?;
        Some(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// The wish in a token, if we made it.
    pub fn open(&self, token: &str) -> Option<Wish> {
        let mut sealed = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
        let plain = self
            .key
            .open_in_place(nought(), Aad::from(PREFIX), &mut sealed)
            .ok()?;
        Wish::parse(plain)
    }
}

fn nought() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn links(secret: &str) -> Links {
        let secret = Secret::load(Some(secret), Path::new("/nowhere")).unwrap();
        Links::new(&secret, "https://desk.example").unwrap()
    }

    fn wishes() -> Vec<Wish> {
        let whats = [
            What::Everything,
            What::Incident(Id::from_uuid(Uuid::from_u128(7))),
            What::Request(Id::from_uuid(Uuid::from_u128(7))),
        ];
        let longest = format!("{}@{}.example", "a".repeat(64), "b".repeat(63));
        let mut wishes = Vec::new();
        for what in whats {
            for tenant in [1, 2] {
                for recipient in ["ada@contoso.example", "a@b.example", &longest] {
                    wishes.push(Wish {
                        tenant: Id::from_uuid(Uuid::from_u128(tenant)),
                        recipient: recipient.to_owned(),
                        what,
                    });
                }
            }
        }
        wishes
    }

    #[test]
    fn a_token_says_who_wants_no_more_of_what_and_no_two_are_the_same() {
        let links = links("a secret");
        let mut tokens = Vec::new();
        for wish in wishes() {
            let link = links.link(&wish).unwrap();
            let token = link.strip_prefix("https://desk.example/v1/unsubscribe/").unwrap();
            assert_eq!(links.open(token), Some(wish.clone()));
            assert_eq!(links.link(&wish), Some(link.clone()), "the same mail twice");
            assert!(
                token
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
            );
            let shown = URL_SAFE_NO_PAD.decode(&token[PREFIX.len()..]).unwrap();
            assert!(
                !String::from_utf8_lossy(&shown).contains("example"),
                "the address is shown"
            );
            tokens.push(token.to_owned());
        }
        let ada = links.link(&wishes()[6]).unwrap();
        assert!(ada.len() < 160, "{}: {ada}", ada.len());
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), wishes().len());
    }

    #[test]
    fn nobody_else_makes_a_token() {
        let links = links("a secret");
        let token = links.token(&wishes()[6]).unwrap();
        assert_eq!(super::tests::links("another secret").open(&token), None);
        // Each bit of it counts.
        let sealed = URL_SAFE_NO_PAD.decode(&token[PREFIX.len()..]).unwrap();
        for at in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[at / 8] ^= 1 << (at % 8);
            let changed = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(changed));
            assert_eq!(links.open(&changed), None, "bit {at}");
        }
        for length in 0..token.len() {
            assert_eq!(links.open(&token[..length]), None, "{length}");
        }
        for wrong in [
            "",
            "alu_",
            "alm_x",
            "alu_ü",
            &format!("{token}A"),
            &format!("{token}="),
        ] {
            assert_eq!(links.open(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_address_that_is_none_gets_no_link() {
        let links = links("a secret");
        for recipient in ["", "ada", "ada@x.example\r\nBcc: eve@evil.example"] {
            let wish = Wish {
                recipient: recipient.to_owned(),
                ..wishes().remove(0)
            };
            assert_eq!(links.link(&wish), None, "{recipient:?}");
        }
    }
}
