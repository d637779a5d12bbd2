//! The authorization code flow between the two times that a browser comes by (OpenID Connect Core §3.1, RFC 7636,
//! RFC 9700). Pure: what is random is drawn here, and what is remembered is in a cookie, sealed.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::IntoParams;

use super::model::IdentityProvider;
use crate::db::{IdentityProviderId, Moment};
use crate::identity::keys::Secret;
use crate::problem::Problem;

/// How long somebody may take at the provider.
const PATIENCE: TimeDelta = TimeDelta::minutes(10);
/// What the cookie is sealed for.
const SEALED_FOR: &str = "single sign-on";

/// A sign-in that was begun, as the cookie of the browser has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// At which provider.
    pub provider: IdentityProviderId,
    /// Ties the way back to this browser.
    state: String,
    /// Ties the ID token to this sign-in.
    pub nonce: String,
    /// Ties the code to this sign-in (RFC 7636 §4.1).
    pub verifier: String,
    /// Until when.
    until: Moment,
}

/// What the provider sends back with the browser (RFC 6749 §4.1.2, RFC 9207). It may send more, which is not looked at.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Return {
    /// What the tokens are got with.
    code: Option<String>,
    /// Which sign-in it is.
    state: Option<String>,
    /// The issuer.
    iss: Option<String>,
    /// Why there is no code.
    error: Option<String>,
}

/// Why somebody who came back is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No sign-in that was begun here, or too long ago.
    Unknown,
    /// The provider has refused, for this reason.
    ByProvider(Option<String>),
    /// The answer is that of another issuer (RFC 9207 §2.4).
    OtherIssuer,
}

impl Pending {
    /// Begins a sign-in.
    pub fn begin(provider: IdentityProviderId, now: Moment) -> Self {
        Self {
            provider,
            state: random(),
            nonce: random(),
            verifier: random(),
            until: now.plus(PATIENCE),
        }
    }

    /// Where the browser goes.
    pub fn address(&self, endpoint: Url, provider: &IdentityProvider, back: &str) -> Url {
        let mut url = endpoint;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &provider.client_id)
            .append_pair("redirect_uri", back)
            .append_pair("scope", &provider.scopes().join(" "))
            .append_pair("state", &self.state)
            .append_pair("nonce", &self.nonce)
            .append_pair("code_challenge", &challenge(&self.verifier))
            .append_pair("code_challenge_method", "S256");
        url
    }

    /// The code that the browser brings back, if it is of this sign-in.
    pub fn code(&self, back: Return, now: Moment) -> Result<Brought, Refusal> {
        let state = back.state.unwrap_or_default();
        if verify_slices_are_equal(state.as_bytes(), self.state.as_bytes()).is_err() || now >= self.until {
            return Err(Refusal::Unknown);
        }
        match (back.code, back.error) {
            (Some(code), None) => Ok(Brought { code, iss: back.iss }),
            (_, error) => Err(Refusal::ByProvider(error.filter(|error| is_reason(error)))),
        }
    }

    /// As the cookie has it.
    pub fn seal(&self, seal: &Secret) -> Result<String, Problem> {
        let plain = serde_json::to_vec(self).map_err(Problem::internal)?;
        seal.seal(SEALED_FOR, &plain)
    }

    /// Out of the cookie; none of one that is not ours.
    pub fn open(sealed: &str, seal: &Secret) -> Option<Self> {
        let plain = seal.open(SEALED_FOR, sealed).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}

/// What came back of a sign-in that was begun here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// What the tokens are got with.
    pub code: String,
    iss: Option<String>,
}

impl Brought {
    /// Refuses what another issuer has sent; `always` is of one that always says who it is (RFC 9207 §2.4).
    pub fn of_issuer(&self, issuer: &str, always: bool) -> Result<(), Refusal> {
        match &self.iss {
            Some(iss) if iss == issuer => Ok(()),
            None if !always => Ok(()),
            _ => Err(Refusal::OtherIssuer),
        }
    }
}

/// An error code of the provider that can be shown; those that are registered look like this.
fn is_reason(error: &str) -> bool {
    (1..=64).contains(&error.len()) && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// 256 random bits.
fn random() -> String {
    let mut bytes = [0u8; 32];
    rand::fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// RFC 7636 §4.2.
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

/// The name of the cookie. With `__Host-` no page of a neighbouring host can set it (RFC 6265bis §4.1.3.2); a browser
/// takes that over HTTPS only.
fn cookie_name(is_https: bool) -> &'static str {
    if is_https {
        "__Host-allclear-sso"
    } else {
        "allclear-sso"
    }
}

/// A cookie that only this server reads, and gets back when the provider sends the browser here.
pub fn cookie(value: &str, is_https: bool) -> String {
    let seconds = if value.is_empty() {
        0
    } else {
        PATIENCE.num_seconds()
    };
    let secure = if is_https { "; Secure" } else { "" };
    let name = cookie_name(is_https);
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

/// The value of our cookie in a `Cookie` header (RFC 6265 §5.4).
pub fn find_cookie(header: &str, is_https: bool) -> Option<&str> {
    let pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs
        .filter(|(name, _)| *name == cookie_name(is_https))
        .map(|(_, value)| value)
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Id;

    fn pending(now: Moment) -> Pending {
        Pending::begin(Id::from_uuid(uuid::Uuid::from_u128(7)), now)
    }

    fn now() -> Moment {
        chrono::DateTime::from_timestamp(1_283_882_400, 0).unwrap().into()
    }

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn only_the_state_of_this_sign_in_brings_its_code_and_only_in_time() {
        let pending = pending(now());
        let text = |text: &str| Some(text.to_owned());
        let back = |state: &str, code: Option<String>, error: Option<String>| Return {
            code,
            state: text(state),
            iss: None,
            error,
        };
        let own = pending.state.clone();
        for (back, minutes, expected) in [
            (back(&own, text("c"), None), 0, Ok("c")),
            (back(&own, text("c"), None), 9, Ok("c")),
            (back(&own, text("c"), None), 10, Err(Refusal::Unknown)),
            (back("x", text("c"), None), 0, Err(Refusal::Unknown)),
            (back("", text("c"), None), 0, Err(Refusal::Unknown)),
            (Return::default(), 0, Err(Refusal::Unknown)),
            (back(&own, None, None), 0, Err(Refusal::ByProvider(None))),
            (
                back(&own, None, text("access_denied")),
                0,
                Err(Refusal::ByProvider(text("access_denied"))),
            ),
            (
                back(&own, text("c"), text("<script>")),
                0,
                Err(Refusal::ByProvider(None)),
            ),
        ] {
            let found = pending.code(back.clone(), now().plus(TimeDelta::minutes(minutes)));
            let found = found.as_ref().map(|brought| brought.code.as_str());
            assert_eq!(found, expected.as_ref().copied(), "{back:?} after {minutes}");
        }
    }

    #[test]
    fn an_answer_of_another_issuer_is_refused() {
        for (iss, always, fits) in [
            (Some("https://a.example"), true, true),
            (Some("https://a.example"), false, true),
            (Some("https://b.example"), false, false),
            (None, false, true),
            (None, true, false),
        ] {
            let brought = Brought {
                code: "c".to_owned(),
                iss: iss.map(str::to_owned),
            };
            assert_eq!(
                brought.of_issuer("https://a.example", always).is_ok(),
                fits,
                "{iss:?} {always}"
            );
        }
    }

    #[test]
    fn the_cookie_is_found_among_others_and_gone_when_it_is_empty() {
        for (header, found) in [
            ("allclear-sso=a", Some("a")),
            ("x=1; allclear-sso=a=b==; y=2", Some("a=b==")),
            ("__Host-allclear-sso=a", None),
            ("x=allclear-sso=a", None),
            ("", None),
        ] {
            assert_eq!(find_cookie(header, false), found, "{header}");
        }
        assert!(cookie("", true).starts_with("__Host-allclear-sso=; Path=/; Max-Age=0;"));
        assert!(cookie("a", true).ends_with("HttpOnly; SameSite=Lax; Secure"));
        assert!(cookie("a", false).contains("Max-Age=600;") && !cookie("a", false).contains("Secure"));
    }
}
