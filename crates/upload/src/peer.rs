//! Who uploads.

use http::HeaderMap;
use std::net::{IpAddr, SocketAddr};

/// Who uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The client's address; where a proxy is trusted, the one that it names.
    pub addr: IpAddr,
    /// Whether the client's connection, to the server or to the trusted proxy, is encrypted.
    pub secure: bool,
    /// The login, once it is proved.
    pub login: Option<String>,
}

impl Peer {
    pub(crate) fn new(socket: SocketAddr, tls: bool, headers: &HeaderMap, trust: bool) -> Self {
        let last = |name| {
            // The last one is what the proxy next to us adds; those before it are a client's claim.
            let value = headers.get_all(name).iter().next_back()?;
            value.to_str().ok()?.rsplit(',').next().map(str::trim)
        };
        let trusted = |name| trust.then(|| last(name)).flatten();
        let forwarded = trusted("x-forwarded-for").and_then(address);
        let proto = trusted("x-forwarded-proto");
        Self {
            addr: forwarded.unwrap_or_else(|| socket.ip().to_canonical()),
            secure: proto.map_or(tls, |proto| {
                proto.eq_ignore_ascii_case("https") || proto.eq_ignore_ascii_case("wss")
            }),
            login: None,
        }
    }
}

/// An address, with or without brackets and a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let addr = bare.parse().ok();
    addr.or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_a_proxy_count_only_where_it_is_trusted() {
        let socket = "192.0.2.1:5000".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "10.0.0.1, 198.51.100.7".parse().unwrap());
        headers.append("x-forwarded-proto", "https".parse().unwrap());
        let peer = Peer::new(socket, false, &headers, true);
        assert_eq!(peer.addr.to_string(), "198.51.100.7");
        assert!(peer.secure);
        let peer = Peer::new(socket, false, &headers, false);
        assert_eq!(peer.addr.to_string(), "192.0.2.1");
        assert!(!peer.secure);
        headers.append("x-forwarded-for", "[2001:db8::1]:99".parse().unwrap());
        let peer = Peer::new(socket, false, &headers, true);
        assert_eq!(peer.addr.to_string(), "2001:db8::1");
        headers.append("x-forwarded-for", "unknown".parse().unwrap());
        let peer = Peer::new(socket, true, &headers, true);
        assert_eq!(peer.addr.to_string(), "192.0.2.1");
    }
}
