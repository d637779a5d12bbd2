//! Where a call comes from: the peer of the connection, or, behind proxies that are trusted, whom they name.
//!
//! `X-Forwarded-For` is a list to which each proxy adds at the right whom it heard from. Only what a trusted proxy added
//! is believed: from the right, the first address that is not one of theirs. `Forwarded` (RFC 7239) is not read.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::http::header::HeaderName;
use actix_web::{HttpRequest, web};
use ipnet::{IpNet, Ipv6Net};

use crate::settings::Settings;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client.
pub fn address(request: &HttpRequest) -> IpAddr {
    let peer = request
        .peer_addr()
        .map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip());
    let trusted = request
        .app_data::<web::Data<Settings>>()
        .map(|settings| settings.trusted_proxies.as_slice())
        .unwrap_or_default();
    let named = request.headers().get_all(X_FORWARDED_FOR);
    let named: Vec<&str> = named.filter_map(|value| value.to_str().ok()).collect();
    behind(peer, &named.join(","), trusted)
}

fn behind(peer: IpAddr, named: &str, trusted: &[IpNet]) -> IpAddr {
    let is_proxy = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut heard = peer.to_canonical();
    for text in named.rsplit(',') {
        if !is_proxy(&heard) {
            break;
        }
        match parse(text.trim()) {
            Some(address) => heard = address.to_canonical(),
            None => break,
        }
    }
    heard
}

/// An address, also with a port: some proxies add it.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    bare.unwrap_or(text)
        .parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

/// What one client can have of addresses: one of IPv4, and a /64 of IPv6.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Net::new(v6, 64).map_or(address, |net| net.network().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_trusted_proxy_added_is_believed() {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"]
            .map(|net| net.parse().unwrap())
            .to_vec();
        for (peer, named, client) in [
            ("203.0.113.7", "", "203.0.113.7"),
            ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
            ("10.0.0.1", "10.2.2.2, 10.9.9.9", "10.2.2.2"),
            ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
            ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
            ("fd00::1", "2001:db8::1", "2001:db8::1"),
            ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "nonsense", "10.0.0.1"),
            ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
            ("10.0.0.1", ",,,", "10.0.0.1"),
        ] {
            let found = behind(peer.parse().unwrap(), named, &trusted);
            assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{peer} says {named}");
        }
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:0:1:aaaa::1"), of("2001:db8:0:1:bbbb::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
