//! How the text of a setting becomes its value, or is named with what is allowed.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use ipnet::IpNet;

use super::{BadSetting, Dkim, Inbound, Protocol};

/// Takes one setting through its check, noting a bad value and going on with the default.
pub struct Checker<'a>(pub &'a mut Vec<BadSetting>);

impl Checker<'_> {
    pub fn take<T>(
        &mut self,
        (name, env): (&'static str, &'static str),
        value: Option<String>,
        default: T,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        let Some(value) = value else { return default };
        match parse(value.trim()) {
            Some(parsed) => parsed,
            None => {
                let secret = name.contains("url") || name.contains("secret") || name.contains("password");
                let value = if secret { "…".to_owned() } else { value };
                self.0.push(BadSetting {
                    name,
                    env,
                    value,
                    allowed: allowed.to_owned(),
                });
                default
            }
        }
    }

    pub fn number(
        &mut self,
        name: (&'static str, &'static str),
        value: Option<String>,
        default: u32,
        most: u32,
    ) -> u32 {
        self.take(
            name,
            value,
            default,
            &format!("a whole number from 1 to {most}"),
            |text| text.parse().ok().filter(|n| (1..=most).contains(n)),
        )
    }

    pub fn rate(
        &mut self,
        name: (&'static str, &'static str),
        value: Option<String>,
        default: u32,
    ) -> NonZeroU32 {
        NonZeroU32::new(self.number(name, value, default, 1_000_000)).unwrap_or(NonZeroU32::MIN)
    }

    /// A rate or another number that need not be limited.
    pub fn limit(
        &mut self,
        name: (&'static str, &'static str),
        value: Option<String>,
        most: u32,
    ) -> Option<NonZeroU32> {
        self.take(
            name,
            value,
            None,
            &format!("`unlimited` or a whole number from 1 to {most}"),
            |text| match text {
                "unlimited" => Some(None),
                number => number
                    .parse()
                    .ok()
                    .filter(|n: &NonZeroU32| n.get() <= most)
                    .map(Some),
            },
        )
    }

    /// A duration, as timers take it.
    pub fn time_limit(
        &mut self,
        name: (&'static str, &'static str),
        value: Option<String>,
        default: Duration,
    ) -> Duration {
        let delta = self.duration(name, value, TimeDelta::from_std(default).unwrap_or_default());
        delta.to_std().unwrap_or(default)
    }

    /// Certificate and key, both or neither.
    pub fn files(&mut self, certificate: Option<String>, key: Option<String>) -> Option<(PathBuf, PathBuf)> {
        match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            (Some(alone), None) => {
                self.alone(("tls-certificate", "ALLCLEAR_TLS_CERTIFICATE"), alone, "tls-key")
            }
            (None, Some(alone)) => self.alone(("tls-key", "ALLCLEAR_TLS_KEY"), alone, "tls-certificate"),
        }
    }

    /// How mail is signed: a key goes with its selector, and a domain with both.
    pub fn dkim(
        &mut self,
        key: Option<String>,
        selector: Option<String>,
        domain: Option<String>,
        sender: &str,
    ) -> Option<Dkim> {
        let (key_name, selector_name, domain_name) = (
            ("dkim-key", "ALLCLEAR_DKIM_KEY"),
            ("dkim-selector", "ALLCLEAR_DKIM_SELECTOR"),
            ("dkim-domain", "ALLCLEAR_DKIM_DOMAIN"),
        );
        let (key, selector) = match (key, selector, &domain) {
            (Some(key), Some(selector), _) => (key, selector),
            (Some(key), None, _) => return self.alone(key_name, key, "dkim-selector"),
            (None, Some(selector), _) => return self.alone(selector_name, selector, "dkim-key"),
            (None, None, Some(domain)) => return self.alone(domain_name, domain.clone(), "dkim-key"),
            (None, None, None) => return None,
        };
        let domain = domain.unwrap_or_else(|| sender.to_owned());
        let name = |text: &str| dns_name(text).map(Some);
        let selector = self.take(
            selector_name,
            Some(selector),
            None,
            "a name of the DNS, such as `desk`",
            name,
        );
        let domain = self.take(
            domain_name,
            Some(domain),
            None,
            "a domain, such as `example.com`",
            name,
        );
        Some(Dkim {
            key: key.into(),
            selector: selector?,
            domain: domain?,
        })
    }

    /// Where mail comes in: all of it goes with the domain.
    pub fn inbound(
        &mut self,
        domain: Option<String>,
        listen: Option<String>,
        limit: Option<String>,
        authserv_id: Option<String>,
    ) -> Option<Inbound> {
        let (listen_name, limit_name, authserv_name) = (
            ("inbound-listen", "ALLCLEAR_INBOUND_LISTEN"),
            ("inbound-limit", "ALLCLEAR_INBOUND_LIMIT"),
            ("inbound-authserv-id", "ALLCLEAR_INBOUND_AUTHSERV_ID"),
        );
        let Some(domain) = domain else {
            let given = [
                (listen_name, listen),
                (limit_name, limit),
                (authserv_name, authserv_id),
            ];
            for (name, value) in given {
                let Some(value) = value else { continue };
                let _: Option<Inbound> = self.alone(name, value, "inbound-domain");
            }
            return None;
        };
        let listen = self.take(
            listen_name,
            listen,
            None,
            "lmtp:// or smtp:// with host and port, such as lmtp://127.0.0.1:2400",
            |text| door(text).map(Some),
        );
        let megabytes = self.number(limit_name, limit, 25, 1000);
        let authserv_id = self.take(
            authserv_name,
            authserv_id,
            None,
            "a name, such as mx.example.com",
            |text| dns_name(text).map(Some),
        );
        let domain = self.take(
            ("inbound-domain", "ALLCLEAR_INBOUND_DOMAIN"),
            Some(domain),
            None,
            "a domain, such as `in.example.com`",
            |text| dns_name(text).map(Some),
        );
        Some(Inbound {
            domain: domain?,
            listen,
            limit: usize::try_from(megabytes).unwrap_or(25).saturating_mul(1_000_000),
            authserv_id,
        })
    }

    pub fn alone<T>(
        &mut self,
        (name, env): (&'static str, &'static str),
        value: String,
        other: &str,
    ) -> Option<T> {
        let allowed = format!("given with `{other}`");
        self.0.push(BadSetting {
            name,
            env,
            value,
            allowed,
        });
        None
    }

    pub fn duration(
        &mut self,
        name: (&'static str, &'static str),
        value: Option<String>,
        default: TimeDelta,
    ) -> TimeDelta {
        self.take(
            name,
            value,
            default,
            "a duration from 1s to 100years, such as `15m` or `7days`",
            duration,
        )
    }
}

/// What is spoken where.
fn door(text: &str) -> Option<(Protocol, String)> {
    let (scheme, address) = text.split_once("://")?;
    let protocol = match scheme {
        "smtp" => Protocol::Smtp,
        "lmtp" => Protocol::Lmtp,
        _ => return None,
    };
    let (host, port) = address.trim_end_matches('/').rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    (!host.is_empty()).then(|| (protocol, format!("{host}:{port}")))
}

/// A name as the DNS has it: letters, digits, hyphens and underlines between dots; in lower case.
pub fn dns_name(text: &str) -> Option<String> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    (text.len() <= 253 && text.split('.').all(is_label)).then(|| text.to_ascii_lowercase())
}

/// The parts of a list that is separated by commas.
pub fn each<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').map(|part| parse(part.trim())).collect()
}

pub fn network(text: &str) -> Option<IpNet> {
    let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(alone)
}

/// An origin as browsers write it (RFC 6454 §6.2): neither path nor slash.
pub fn origin(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let origin = url.origin();
    (origin.is_tuple() && ["http", "https"].contains(&url.scheme()) && origin.ascii_serialization() == text)
        .then(|| text.to_owned())
}

pub fn duration(text: &str) -> Option<TimeDelta> {
    let delta = TimeDelta::from_std(humantime::parse_duration(text).ok()?).ok()?;
    (TimeDelta::seconds(1)..=TimeDelta::days(36525))
        .contains(&delta)
        .then_some(delta)
}

/// The same for what may be nothing, and is no more than a day.
pub fn pause(text: &str) -> Option<TimeDelta> {
    let delta = TimeDelta::from_std(humantime::parse_duration(text).ok()?).ok()?;
    (delta <= TimeDelta::days(1)).then_some(delta)
}

pub fn url_of(schemes: &'static [&'static str]) -> impl Fn(&str) -> Option<String> {
    move |text| {
        let url = url::Url::parse(text).ok()?;
        schemes
            .contains(&url.scheme())
            .then(|| text.trim_end_matches('/').to_owned())
    }
}

pub fn workers(text: &str) -> Option<Option<usize>> {
    text.parse().ok().filter(|n| (1..=256).contains(n)).map(Some)
}
