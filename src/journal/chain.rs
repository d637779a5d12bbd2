//! The chain that events are sealed into: what is hashed, and how a link follows from the one before. Pure.
//!
//! There are two steps, so that somebody can be erased and the chain still holds. When it is written, an event gets a
//! digest: SHA-256 over a random salt and all that was written. The chain, one a tenant, goes over the digests alone.
//! Whoever erases what was written drops the salt too: what is left of it tells nobody what it was, and the links stand.
//!
//! A link is an HMAC under a key that is derived from the installation's secret: who can write to the database, and has
//! not the secret, cannot make one. Nor can he say where the chain ends: that has a seal of its own, under the same key.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::db::schema::events;
use crate::db::{EventId, Json, Moment, PersonId, SubjectId, TenantId};
use crate::problem::Problem;

/// What seals an event: the columns beside what happened.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = events, treat_none_as_default_value = false)]
pub struct Seal {
    /// 16 random bytes, base64url; none once the event is erased.
    pub salt: Option<String>,
    /// SHA-256 over the salt and what was written, base64url; empty for an event from before there were seals.
    pub digest: String,
    /// Its place in the chain of its tenant, from 1; none before it is sealed.
    pub chain_seq: Option<i64>,
    /// Its link.
    pub chain_hash: Option<String>,
}

impl Seal {
    /// The seal of what is being written, not yet in the chain.
    pub fn of(content: &impl Serialize) -> Result<Self, Problem> {
        let mut bytes = [0u8; 16];
        rand::fill(&mut bytes);
        let salt = URL_SAFE_NO_PAD.encode(bytes);
        Ok(Self {
            digest: digest(&salt, content)?,
            salt: Some(salt),
            chain_seq: None,
            chain_hash: None,
        })
    }
}

/// What was written of an event, in the words that the database has for it: also such as this version does not know.
#[derive(Clone, Debug, Serialize, Queryable, Selectable)]
#[diesel(table_name = events)]
pub struct Written {
    tenant_id: TenantId,
    id: EventId,
    subject_kind: String,
    subject_id: SubjectId,
    seq: i32,
    kind: String,
    at: Moment,
    actor_side: String,
    actor_id: Option<PersonId>,
    actor_name: String,
    address: String,
    internal: bool,
    data: Json,
}

impl Written {
    /// Whether nothing is left of what was erased.
    pub fn is_erased(&self) -> bool {
        let is_blank = match &self.data.0 {
            Value::Null => true,
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        is_blank && self.actor_name.is_empty() && self.address.is_empty()
    }
}

/// The digest of an event: an [`super::Event`] and what was [`Written`] of it have the same one.
///
/// What is hashed is canonical JSON (RFC 8785): one text, in whatever order an engine keeps the keys of an object.
pub fn digest(salt: &str, content: &impl Serialize) -> Result<String, Problem> {
    let canonical = serde_json_canonicalizer::to_vec(content).map_err(Problem::internal)?;
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(salt.as_bytes());
    context.update(&canonical);
    Ok(URL_SAFE_NO_PAD.encode(context.finish()))
}

/// The key of the chains of an installation.
#[derive(Clone, Debug)]
pub struct ChainKey(hmac::Key);

impl ChainKey {
    /// The key of these bytes, which are derived from the secret.
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The link of number `seq` of a tenant; `previous` is the link before it, and empty for the first.
    pub fn link(&self, tenant: TenantId, seq: i64, previous: &str, digest: &str) -> String {
        let linked = format!("{tenant}\n{seq}\n{previous}\n{digest}");
        self.sign(&linked)
    }

    /// The seal of a head: that the chain of a tenant ends at number `seq`, with the link `last`. What is signed begins
    /// as no link does.
    pub fn head(&self, tenant: TenantId, seq: i64, last: &str) -> String {
        self.sign(&format!("head\n{tenant}\n{seq}\n{last}"))
    }

    fn sign(&self, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::db::{Id, PROVIDER, QueueId};
    use crate::journal::{Actor, Event, EventKind, Side, SubjectKind};

    fn event(data: Value) -> Event {
        let id: EventId = "0199a000-0000-7000-8000-000000000001".parse().unwrap();
        let queue: QueueId = "0199a000-0000-7000-8000-000000000002".parse().unwrap();
        let actor = Actor {
            side: Side::Staff,
            id: Some("0199a000-0000-7000-8000-000000000003".parse().unwrap()),
            name: "Léa \"Lead\"".to_owned(),
            address: Some("2001:db8::1".parse().unwrap()),
        };
        let at: Moment = serde_json::from_str("\"2010-09-07T18:00:00.000123Z\"").unwrap();
        let about = (SubjectKind::Queue, queue);
        let event = Event::new(EventKind::QueueCreated, about, (PROVIDER, 1), (&actor, at), data);
        Event { id, ..event }
    }

    #[test]
    fn what_is_hashed_is_the_same_for_ever() {
        let content = event(json!({"to": {"name": "Messaging", "always_on": true}, "n": [1, -2, 1.5, null]}));
        let canonical = serde_json_canonicalizer::to_vec(&content).unwrap();
        assert_eq!(
            String::from_utf8(canonical).unwrap(),
            "{\"actor_id\":\"0199a000-0000-7000-8000-000000000003\",\"actor_name\":\"Léa \\\"Lead\\\"\",\
             \"actor_side\":\"staff\",\"address\":\"2001:db8::1\",\"at\":\"2010-09-07T18:00:00.000123Z\",\
             \"data\":{\"n\":[1,-2,1.5,null],\"to\":{\"always_on\":true,\"name\":\"Messaging\"}},\
             \"id\":\"0199a000-0000-7000-8000-000000000001\",\"internal\":false,\"kind\":\"queue_created\",\"seq\":1,\
             \"subject_id\":\"0199a000-0000-7000-8000-000000000002\",\"subject_kind\":\"queue\",\
             \"tenant_id\":\"00000000-0000-7000-8000-000000000001\"}"
        );
    }

    #[test]
    fn documents_that_engines_write_in_their_own_ways_have_one_digest() {
        for (one, other) in [
            (r#"{"a":1,"bb":2}"#, r#"{"bb": 2, "a": 1}"#),
            (r#"{"a":{"y":[],"x":{}}}"#, r#"{"a":{"x":{},"y":[]}}"#),
            ("1e2", "100"),
            ("1e16", "10000000000000000"),
            ("1.0", "1"),
            ("-0.0", "0"),
            (r#""\u00e9""#, r#""é""#),
        ] {
            let of = |text: &str| digest("salt", &event(serde_json::from_str(text).unwrap())).unwrap();
            assert_eq!(of(one), of(other), "{one} {other}");
        }
    }

    #[test]
    fn a_digest_is_of_every_field_and_of_the_salt() {
        let first = event(json!({"to": "x"}));
        let digest_of = |event: &Event| digest("salt", event).unwrap();
        type Change = fn(&mut Event);
        let changes: [(&str, Change); 13] = [
            ("tenant_id", |e| e.tenant_id = Id::from_uuid(uuid::Uuid::nil())),
            ("id", |e| e.id = Id::from_uuid(uuid::Uuid::nil())),
            ("subject_kind", |e| e.subject_kind = SubjectKind::Routing),
            ("subject_id", |e| e.subject_id = Id::from_uuid(uuid::Uuid::nil())),
            ("seq", |e| e.seq = 2),
            ("kind", |e| e.kind = EventKind::ShiftsReplaced),
            ("at", |e| e.at = e.at.plus(chrono::TimeDelta::microseconds(1))),
            ("actor_side", |e| e.actor_side = Side::System),
            ("actor_id", |e| e.actor_id = None),
            ("actor_name", |e| e.actor_name.push(' ')),
            ("address", |e| e.address.clear()),
            ("internal", |e| e.internal = true),
            ("data", |e| e.data = Json(json!({"to": "y"}))),
        ];
        for (field, change) in changes {
            let mut other = first.clone();
            change(&mut other);
            assert_ne!(digest_of(&first), digest_of(&other), "{field}");
        }
        assert_ne!(digest("salt", &first).unwrap(), digest("pepper", &first).unwrap());
    }

    #[test]
    fn a_link_is_of_its_tenant_its_place_what_came_before_and_the_key() {
        let key = ChainKey::new(b"key");
        let other: TenantId = "0199a000-0000-7000-8000-000000000009".parse().unwrap();
        let link = key.link(PROVIDER, 2, "before", "digest");
        assert_eq!(link, key.link(PROVIDER, 2, "before", "digest"));
        for different in [
            key.link(other, 2, "before", "digest"),
            key.link(PROVIDER, 3, "before", "digest"),
            key.link(PROVIDER, 2, "", "digest"),
            key.link(PROVIDER, 2, "before", "another"),
            ChainKey::new(b"another").link(PROVIDER, 2, "before", "digest"),
        ] {
            assert_ne!(link, different);
        }
    }

    #[test]
    fn the_seal_of_a_head_is_of_its_tenant_its_place_its_link_and_the_key_and_is_no_link() {
        let key = ChainKey::new(b"key");
        let other: TenantId = "0199a000-0000-7000-8000-000000000009".parse().unwrap();
        let seal = key.head(PROVIDER, 2, "link");
        assert_eq!(seal, key.head(PROVIDER, 2, "link"));
        for different in [
            key.head(other, 2, "link"),
            key.head(PROVIDER, 3, "link"),
            key.head(PROVIDER, 2, "another"),
            key.link(PROVIDER, 2, "link", ""),
            ChainKey::new(b"another").head(PROVIDER, 2, "link"),
        ] {
            assert_ne!(seal, different);
        }
    }
}
