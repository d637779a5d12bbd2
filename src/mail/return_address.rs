//! The addresses that a mail of ours names: where an answer to it goes, and where it is returned when nobody takes it
//! (VERP). Pure.
//!
//! Each names one message of the ledger, which knows tenant, request and recipient. It is signed with a key of the
//! installation (HMAC-SHA256, 80 bits of it): nobody makes one. It is written in base32 and in lower case, since mail
//! servers on the way do not keep the case of an address, and is short enough for one (RFC 5321 §4.5.3.1.1).

use std::fmt;

use aws_lc_rs::{constant_time, hmac};
use data_encoding::BASE32_NOPAD;
use lettre::Address;
use uuid::Uuid;

use crate::db::{DeliveryId, Id};
use crate::identity::keys::Secret;
use crate::problem::Problem;

/// Of the signature, so many bytes are in the address.
const SIGNED: usize = 10;

/// Why somebody writes to such an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To answer.
    Reply,
    /// To return what cannot be delivered.
    Bounce,
}

impl Purpose {
    const ALL: [Self; 2] = [Self::Reply, Self::Bounce];

    fn prefix(self) -> &'static str {
        match self {
            Self::Reply => "reply+",
            Self::Bounce => "bounce+",
        }
    }
}

/// Makes such addresses, and reads them.
#[derive(Clone)]
pub struct ReturnAddresses {
    key: hmac::Key,
    domain: String,
}

impl fmt::Debug for ReturnAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReturnAddresses({})", self.domain)
    }
}

impl ReturnAddresses {
    /// Of an installation whose mail comes in at this domain.
    pub fn new(secret: &Secret, domain: &str) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret.derive("return addresses")),
            domain: domain.to_ascii_lowercase(),
        }
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The address of a message.
    pub fn of(&self, purpose: Purpose, delivery: DeliveryId) -> Result<Address, Problem> {
        let mut bytes = delivery.uuid().as_bytes().to_vec();
        bytes.extend(self.signature(purpose, delivery));
        let token = BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
        Address::new(format!("{}{token}", purpose.prefix()), &self.domain).map_err(Problem::internal)
    }

    /// What an address is for and of which message, if we made it.
    pub fn read(&self, address: &str) -> Option<(Purpose, DeliveryId)> {
        let address = address.trim().to_ascii_lowercase();
        let (local, domain) = address.rsplit_once('@')?;
        let named = |purpose: &Purpose| Some((*purpose, local.strip_prefix(purpose.prefix())?));
        let (purpose, token) = Purpose::ALL.iter().find_map(named)?;
        let bytes = BASE32_NOPAD.decode(token.to_ascii_uppercase().as_bytes()).ok()?;
        let (id, signature) = bytes.split_first_chunk::<16>()?;
        let delivery = Id::from_uuid(Uuid::from_bytes(*id));
        let ours = self.signature(purpose, delivery);
        let is_ours = constant_time::verify_slices_are_equal(&ours, signature).is_ok();
        (is_ours && domain == self.domain).then_some((purpose, delivery))
    }

    fn signature(&self, purpose: Purpose, delivery: DeliveryId) -> Vec<u8> {
        let mut said = purpose.prefix().as_bytes().to_vec();
        said.extend_from_slice(delivery.uuid().as_bytes());
        let tag = hmac::sign(&self.key, &said);
        tag.as_ref().iter().copied().take(SIGNED).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn addresses(secret: &str) -> ReturnAddresses {
        ReturnAddresses::new(
            &Secret::load(Some(secret), Path::new("/nowhere")).unwrap(),
            "In.Desk.example",
        )
    }

    fn delivery(number: u128) -> DeliveryId {
        Id::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn an_address_names_a_message_and_what_it_is_for_in_any_case() {
        let addresses = addresses("a secret");
        let mut seen = Vec::new();
        for purpose in Purpose::ALL {
            for number in [0, 1, u128::MAX] {
                let address = addresses.of(purpose, delivery(number)).unwrap();
                assert!(address.user().len() <= 64, "{address}");
                assert_eq!(address.domain(), "in.desk.example");
                let written = address.to_string();
                assert_eq!(written, written.to_lowercase());
                for way in [written.clone(), written.to_uppercase(), format!(" {written} ")] {
                    assert_eq!(addresses.read(&way), Some((purpose, delivery(number))), "{way}");
                }
                seen.push(written);
            }
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 6);
    }

    #[test]
    fn nobody_else_makes_an_address() {
        let ours = addresses("a secret");
        let address = ours.of(Purpose::Reply, delivery(7)).unwrap();
        assert_eq!(addresses("another secret").read(address.as_ref()), None);
        let token = address.user().strip_prefix("reply+").unwrap();
        // Signed for one purpose, it is good for no other.
        assert_eq!(ours.read(&format!("bounce+{token}@in.desk.example")), None);
        for wrong in [
            format!("reply+{token}@desk.example"),
            format!("reply+{token}a@in.desk.example"),
            format!("reply-{token}@in.desk.example"),
            format!("{token}@in.desk.example"),
            format!("reply+{token}"),
            "reply+@in.desk.example".to_owned(),
            "reply+ü@in.desk.example".to_owned(),
            String::new(),
        ] {
            assert_eq!(ours.read(&wrong), None, "{wrong}");
        }
        for length in 0..token.len() {
            assert_eq!(
                ours.read(&format!("reply+{}@in.desk.example", &token[..length])),
                None
            );
        }
        // Each character counts, also the last one, of which not all bits are needed.
        for at in 0..token.len() {
            for other in ('a'..='z').chain('2'..='7') {
                let mut changed: Vec<char> = token.chars().collect();
                if changed[at] != other {
                    changed[at] = other;
                    let changed = String::from_iter(changed);
                    assert_eq!(ours.read(&format!("reply+{changed}@in.desk.example")), None);
                }
            }
        }
    }
}
