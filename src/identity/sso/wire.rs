//! How identity providers are asked over HTTP: within a time and a size, and without following where they point.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::redirect;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::{Host, Url};

use crate::problem::{Code, Problem};

/// A provider has so long for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer may be this long: 1 MiB.
const LIMIT: usize = 1 << 20;

/// The one client for all providers, cheap to clone.
#[derive(Clone, Debug)]
pub struct Wire(reqwest::Client);

/// An answer in JSON.
#[derive(Debug)]
pub struct Reply {
    /// Whether the status is a good one.
    pub is_good: bool,
    /// The body; `null` when it is no JSON.
    pub body: Value,
}

/// How a client says who it is (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Password<'a> {
    /// Name and secret in the header, for HTTP Basic.
    Basic(&'a str, &'a str),
    /// In the form, or there is none.
    None,
}

impl Wire {
    /// With limits on all that can be limited.
    pub fn new() -> Result<Self, Problem> {
        // The one provider of cryptography; whoever installed one before has installed the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("allclear/", env!("CARGO_PKG_VERSION")));
        client.build().map(Self).map_err(Problem::internal)
    }

    /// Gets a document.
    pub async fn document<T: DeserializeOwned>(&self, url: &Address) -> Result<T, Problem> {
        let reply = Self::reply(self.0.get(url.0.clone())).await?;
        if !reply.is_good {
            return Err(unavailable(format!("{url} is answered with an error")));
        }
        serde_json::from_value(reply.body).map_err(|error| unavailable(format!("{url}: {error}")))
    }

    /// Gets what an access token opens.
    pub async fn opened(&self, url: &Address, token: &str) -> Result<Reply, Problem> {
        Self::reply(self.0.get(url.0.clone()).bearer_auth(token)).await
    }

    /// Posts a form.
    pub async fn post(
        &self,
        url: &Address,
        form: &[(&str, &str)],
        password: Password<'_>,
    ) -> Result<Reply, Problem> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let call = self.0.post(url.0.clone()).body(body);
        let call = call.header("content-type", "application/x-www-form-urlencoded");
        let call = match password {
            // Both are encoded as in a form before they are put together.
            Password::Basic(name, secret) => call.basic_auth(encoded(name), Some(encoded(secret))),
            Password::None => call,
        };
        Self::reply(call).await
    }

    async fn reply(call: reqwest::RequestBuilder) -> Result<Reply, Problem> {
        let call = call.header("accept", "application/json");
        let mut answer = call.send().await.map_err(unavailable)?;
        let status = answer.status();
        if !status.is_success() && !status.is_client_error() {
            return Err(unavailable(format!("{} is answered with {status}", answer.url())));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unavailable)? {
            if body.len() + chunk.len() > LIMIT {
                return Err(unavailable(format!("{} says more than 1 MiB", answer.url())));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            is_good: status.is_success(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        })
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The provider does not answer, or not as it should; the cause is for the log.
pub fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Problem {
    let detail = "the identity provider does not answer as it should; try again in a minute";
    Problem::new(Code::ProviderUnavailable, detail)
        .because(cause)
        .retry_after(super::issuers::PAUSE)
}

/// An address of a provider that may be asked: HTTPS, or on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address(Url);

impl Address {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let address = Self(Url::parse(text).ok().filter(Url::has_host)?);
        let is_safe = match address.0.scheme() {
            "https" => true,
            "http" => address.is_here(),
            _ => false,
        };
        let has_login = !address.0.username().is_empty() || address.0.password().is_some();
        (is_safe && !has_login).then_some(address)
    }

    /// Whether it is on this machine, by whichever name (RFC 6761 §6.3).
    pub fn is_here(&self) -> bool {
        let is_here = |address: IpAddr| address.is_loopback() || address.is_unspecified();
        match self.0.host() {
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                name == "localhost" || name.ends_with(".localhost")
            }
            Some(Host::Ipv4(address)) => is_here(address.into()),
            Some(Host::Ipv6(address)) => is_here(address.to_canonical()),
            None => false,
        }
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text} is no safe address"))
    }
}

impl From<Address> for Url {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_asked_over_https_or_on_this_machine() {
        for (url, safe) in [
            ("https://login.example", true),
            ("https://login.example:8443/realms/desk?x=y", true),
            ("http://login.example", false),
            ("http://127.0.0.1:3000", true),
            ("http://[::1]:3000", true),
            ("http://localhost:3000", true),
            ("http://localhost.evil.example", false),
            ("http://evil-localhost", false),
            ("http://[::ffff:192.0.2.1]", false),
            ("https://user:secret@login.example", false),
            ("ftp://127.0.0.1", false),
            ("data:application/json,{}", false),
            ("login.example", false),
        ] {
            assert_eq!(Address::parse(url).is_some(), safe, "{url}");
        }
    }

    #[test]
    fn this_machine_has_many_names() {
        for (host, here) in [
            ("127.0.0.1", true),
            ("127.255.0.9:8443", true),
            ("127.1", true),
            ("0x7f000001", true),
            ("2130706433", true),
            ("0.0.0.0", true),
            ("[::1]", true),
            ("[::]", true),
            ("[::ffff:127.0.0.1]", true),
            ("LocalHost", true),
            ("localhost.", true),
            ("desk.localhost", true),
            ("notlocalhost", false),
            ("localhost.example", false),
            ("128.0.0.1", false),
            ("[2001:db8::1]", false),
            ("login.example", false),
        ] {
            let address = Address::parse(&format!("https://{host}/x")).unwrap();
            assert_eq!(address.is_here(), here, "{host}");
        }
    }

    #[test]
    fn name_and_secret_are_encoded_before_they_are_put_together() {
        assert_eq!(encoded("a:b c%"), "a%3Ab+c%25");
    }
}
