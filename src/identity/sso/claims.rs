//! What a token of an issuer says, and what of it is believed. Pure: the signature was checked before.

use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::model::RoleRule;
use crate::db::Moment;
use crate::identity::model::Role;
use crate::text;

/// How far the clock of an issuer may be from ours.
const LEEWAY: TimeDelta = TimeDelta::seconds(60);

/// The claims of a token (RFC 7519 §4.1, OpenID Connect Core §2 and §5.1).
#[derive(Clone, Debug, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// Whom it is about.
    pub sub: String,
    /// Whom it is for.
    pub aud: Audience,
    /// Not valid from then on, in seconds since 1970.
    pub exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    azp: Option<String>,
    nonce: Option<String>,
    /// The rest.
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Whom a token is for: one, or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Audience {
    /// Whether it is for this one, among others.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Several(several) => several.iter().any(|one| one == name),
        }
    }

    fn is_of_several(&self) -> bool {
        matches!(self, Self::Several(several) if several.len() > 1)
    }
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Of another issuer.
    #[error("it is of another issuer")]
    Issuer,
    /// For somebody else.
    #[error("it is for another audience")]
    Audience,
    /// Given to another client.
    #[error("it was given to another client")]
    Party,
    /// Too late.
    #[error("it has expired")]
    Expired,
    /// Too early.
    #[error("it is from the future")]
    Early,
    /// Of another sign-in.
    #[error("its nonce is that of another sign-in")]
    Nonce,
    /// About nobody.
    #[error("its subject is no name")]
    Subject,
}

impl Claims {
    /// Whether this is the ID token of a sign-in (OpenID Connect Core §3.1.3.7).
    pub fn of_sign_in(&self, issuer: &str, client: &str, nonce: &str, now: Moment) -> Result<(), Refusal> {
        if !self.aud.has(client) {
            return Err(Refusal::Audience);
        }
        let to_client = self.azp.as_deref().map(|party| party == client);
        if to_client == Some(false) || (self.aud.is_of_several() && to_client.is_none()) {
            return Err(Refusal::Party);
        }
        if self.nonce.as_deref() != Some(nonce) {
            return Err(Refusal::Nonce);
        }
        if self.iat.is_none() {
            return Err(Refusal::Early);
        }
        self.of_issuer(issuer, now)
    }

    /// Whether this is an access token for us (RFC 9068 §4). What is for the client too is an ID token.
    pub fn of_call(&self, issuer: &str, audience: &str, client: &str, now: Moment) -> Result<(), Refusal> {
        if !self.aud.has(audience) || self.aud.has(client) {
            return Err(Refusal::Audience);
        }
        self.of_issuer(issuer, now)
    }

    /// Until when it is believed, in seconds since 1970.
    pub fn good_until(&self) -> i64 {
        self.exp.saturating_add(LEEWAY.num_seconds())
    }

    fn of_issuer(&self, issuer: &str, now: Moment) -> Result<(), Refusal> {
        if self.iss != issuer {
            return Err(Refusal::Issuer);
        }
        if text::line::<255>(&self.sub, &()).is_err() {
            return Err(Refusal::Subject);
        }
        if now.utc().timestamp() >= self.good_until() {
            return Err(Refusal::Expired);
        }
        let latest = now.plus(LEEWAY).utc().timestamp();
        if self.nbf.is_some_and(|from| from > latest) || self.iat.is_some_and(|at| at > latest) {
            return Err(Refusal::Early);
        }
        Ok(())
    }

    /// The role of the first rule whose value the claim has.
    pub fn role(&self, claim: &str, rules: &[RoleRule]) -> Option<Role> {
        let has = |value: &str| match self.others.get(claim) {
            Some(Value::String(one)) => one == value,
            Some(Value::Array(several)) => several.iter().any(|one| one == value),
            _ => false,
        };
        rules.iter().find(|rule| has(&rule.value)).map(|rule| rule.role)
    }

    /// The address, if the issuer has verified it and speaks for its domain.
    pub fn email(&self, domains: &[String]) -> Option<String> {
        if self.others.get("email_verified") != Some(&Value::Bool(true)) {
            return None;
        }
        let email = text::email_address(self.others.get("email")?.as_str()?)?;
        let (_, domain) = email.rsplit_once('@')?;
        domains.iter().any(|known| known == domain).then_some(email)
    }

    /// The name for people, if there is one that can be shown.
    pub fn name(&self) -> Option<String> {
        let name = text::cleaned(self.others.get("name")?.as_str()?);
        text::line::<200>(&name, &()).ok().map(|()| name)
    }

    /// Whether a claim has to be asked for (§5.4: with a code flow it may be at the UserInfo endpoint only).
    pub fn lacks(&self, claim: &str) -> bool {
        !self.others.contains_key(claim)
    }

    /// Takes in what the UserInfo endpoint says of the same subject (§5.3.2); of another, nothing.
    pub fn complete(&mut self, info: Map<String, Value>) {
        if info.get("sub").and_then(Value::as_str) == Some(&self.sub) {
            for (name, value) in info {
                self.others.entry(name).or_insert(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_283_882_400;

    fn now() -> Moment {
        chrono::DateTime::from_timestamp(NOW, 0).unwrap().into()
    }

    /// Good claims with some of them changed; `null` takes one away.
    fn claims(changes: Value) -> Claims {
        let mut all = json!({
            "iss": "https://login.example", "sub": "kim", "aud": "desk", "exp": NOW + 300, "iat": NOW, "nonce": "n",
        });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
                value => all[name] = value.clone(),
            }
        }
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn an_id_token_is_of_its_issuer_for_this_client_and_of_this_sign_in() {
        for (changes, expected) in [
            (json!({}), Ok(())),
            (json!({"iss": "https://login.example/"}), Err(Refusal::Issuer)),
            (json!({"aud": "other"}), Err(Refusal::Audience)),
            (json!({"aud": []}), Err(Refusal::Audience)),
            (json!({"aud": ["desk"]}), Ok(())),
            (json!({"aud": ["desk", "other"]}), Err(Refusal::Party)),
            (json!({"aud": ["desk", "other"], "azp": "desk"}), Ok(())),
            (json!({"azp": "other"}), Err(Refusal::Party)),
            (json!({"nonce": "m"}), Err(Refusal::Nonce)),
            (json!({"nonce": null}), Err(Refusal::Nonce)),
            (json!({"exp": NOW - 59}), Ok(())),
            (json!({"exp": NOW - 60}), Err(Refusal::Expired)),
            (json!({"nbf": NOW + 60}), Ok(())),
            (json!({"nbf": NOW + 61}), Err(Refusal::Early)),
            (json!({"iat": NOW + 61}), Err(Refusal::Early)),
            (json!({"iat": null}), Err(Refusal::Early)),
            (json!({"sub": " "}), Err(Refusal::Subject)),
            (json!({"sub": "k\0im"}), Err(Refusal::Subject)),
            (json!({"sub": "x".repeat(256)}), Err(Refusal::Subject)),
        ] {
            let found = claims(changes.clone()).of_sign_in("https://login.example", "desk", "n", now());
            assert_eq!(found, expected, "{changes}");
        }
    }

    #[test]
    fn an_access_token_is_for_the_audience_and_not_for_the_client() {
        for (changes, expected) in [
            (json!({}), Err(Refusal::Audience)),
            (json!({"aud": "https://desk.example"}), Ok(())),
            (json!({"aud": ["https://desk.example", "account"]}), Ok(())),
            (
                json!({"aud": ["https://desk.example", "desk"]}),
                Err(Refusal::Audience),
            ),
            (
                json!({"aud": "https://desk.example", "iss": "x"}),
                Err(Refusal::Issuer),
            ),
            (
                json!({"aud": "https://desk.example", "exp": NOW - 60}),
                Err(Refusal::Expired),
            ),
            (
                json!({"aud": "https://desk.example", "nonce": null, "iat": null}),
                Ok(()),
            ),
        ] {
            let found = claims(changes.clone()).of_call(
                "https://login.example",
                "https://desk.example",
                "desk",
                now(),
            );
            assert_eq!(found, expected, "{changes}");
        }
    }

    #[test]
    fn the_first_rule_whose_value_is_there_names_the_role() {
        let rules =
            [("admins", Role::TenantAdmin), ("staff", Role::TenantViewer)].map(|(value, role)| RoleRule {
                value: value.to_owned(),
                role,
            });
        for (changes, expected) in [
            (json!({"roles": "admins"}), Some(Role::TenantAdmin)),
            (json!({"roles": ["staff", "admins"]}), Some(Role::TenantAdmin)),
            (json!({"roles": ["x", "staff", 7]}), Some(Role::TenantViewer)),
            (json!({"roles": ["Admins"]}), None),
            (json!({"roles": "admins staff"}), None),
            (json!({"roles": {"admins": true}}), None),
            (json!({"groups": "admins"}), None),
            (json!({}), None),
        ] {
            assert_eq!(
                claims(changes.clone()).role("roles", &rules),
                expected,
                "{changes}"
            );
        }
    }

    #[test]
    fn an_address_counts_that_is_verified_and_of_a_domain_of_the_issuers() {
        let domains = ["contoso.example".to_owned()];
        for (changes, expected) in [
            (
                json!({"email": "Kim@Contoso.Example", "email_verified": true}),
                Some("kim@contoso.example"),
            ),
            (json!({"email": "kim@contoso.example"}), None),
            (
                json!({"email": "kim@contoso.example", "email_verified": false}),
                None,
            ),
            (
                json!({"email": "kim@contoso.example", "email_verified": "true"}),
                None,
            ),
            (
                json!({"email": "kim@eu.contoso.example", "email_verified": true}),
                None,
            ),
            (
                json!({"email": "kim@notcontoso.example", "email_verified": true}),
                None,
            ),
            (
                json!({"email": "\"kim@contoso.example\"@evil.example", "email_verified": true}),
                None,
            ),
            (json!({"email": 7, "email_verified": true}), None),
            (json!({"email_verified": true}), None),
        ] {
            let found = claims(changes.clone()).email(&domains);
            assert_eq!(found.as_deref(), expected, "{changes}");
        }
    }

    #[test]
    fn user_info_of_another_subject_is_not_taken_in_and_changes_nothing_that_is_signed() {
        let info = |sub: &str| {
            let info = json!({"sub": sub, "email": "kim@contoso.example", "roles": "admins"});
            info.as_object().unwrap().clone()
        };
        let mut own = claims(json!({"roles": "staff"}));
        own.complete(info("kim"));
        assert!(!own.lacks("email"));
        assert_eq!(own.others["roles"], "staff");
        let mut other = claims(json!({}));
        other.complete(info("lee"));
        assert!(other.lacks("email"));
    }
}
