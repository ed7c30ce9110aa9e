//! Where a link begins and ends, and what follows for the sockets beside it.

use crate::AddressClass;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// Where the connection under a link begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Whether the other end is the peer itself, and no server between.
    pub direct: bool,
}

impl Ends {
    /// Says whether the peer is on this machine.
    pub fn within_this_machine(self) -> bool {
        self.direct && is_loopback(self.remote.ip())
    }
}

/// Chooses of the addresses of this machine those that a peer may reach, best first: the one that
/// the link itself uses, then IPv4 before IPv6.
pub fn addresses_to_tell(local: impl Iterator<Item = IpAddr>, ends: Option<Ends>) -> Vec<IpAddr> {
    let loopback = ends.is_some_and(|ends| is_loopback(ends.remote.ip()));
    let of_link = ends.map(|ends| ends.local.ip().to_canonical());
    let mut addrs: Vec<IpAddr> = local
        .map(|ip| ip.to_canonical())
        .filter(|&ip| match AddressClass::of(ip) {
            AddressClass::Never => false,
            AddressClass::Loopback => loopback,
            AddressClass::Private | AddressClass::Public => true,
        })
        .collect();
    addrs.sort_by_key(|&ip| (Some(ip) != of_link, ip.is_ipv6(), is_loopback(ip), ip));
    addrs.dedup();
    addrs
}

/// Takes an address of either family in turn, beginning with that of the first, so that a network
/// without one of them costs one pause only (RFC 8305, section 4).
pub fn families_in_turn(addrs: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addrs.first().is_some_and(SocketAddr::is_ipv6);
    let count = addrs.len();
    let (ones, others): (Vec<_>, Vec<_>) = addrs.into_iter().partition(|a| a.is_ipv6() == first);
    let (mut ones, mut others) = (ones.into_iter(), others.into_iter());
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        all.extend(ones.next());
        all.extend(others.next());
    }
    all
}

fn is_loopback(ip: IpAddr) -> bool {
    AddressClass::of(ip) == AddressClass::Loopback
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    fn ends(local: &str, remote: &str, direct: bool) -> Option<Ends> {
        Some(Ends {
            local: SocketAddr::new(local.parse().expect(local), 1),
            remote: SocketAddr::new(remote.parse().expect(remote), 2),
            direct,
        })
    }

    fn told(local: &[&str], ends: Option<Ends>) -> Vec<String> {
        let local = local.iter().map(|ip| ip.parse().expect("an address"));
        let told = addresses_to_tell(local, ends);
        told.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn peers_are_told_what_they_may_reach() {
        let local = [
            "127.0.0.1",
            "::1",
            "fe80::1",
            "169.254.1.1",
            "0.0.0.0",
            "2001:db8::7",
            "192.168.1.7",
            "10.0.0.7",
        ];
        assert_eq!(
            told(&local, ends("192.168.1.7", "203.0.113.1", false)),
            ["192.168.1.7", "10.0.0.7", "2001:db8::7"]
        );
        assert_eq!(
            told(&local, ends("::ffff:10.0.0.7", "203.0.113.1", false)),
            ["10.0.0.7", "192.168.1.7", "2001:db8::7"]
        );
        assert_eq!(
            told(&local, ends("127.0.0.1", "127.0.0.1", false)),
            ["127.0.0.1", "10.0.0.7", "192.168.1.7", "2001:db8::7", "::1"]
        );
        assert_eq!(
            told(&local, None),
            ["10.0.0.7", "192.168.1.7", "2001:db8::7"]
        );
        assert!(told(&["127.0.0.1", "::1"], None).is_empty());
    }

    #[test]
    fn only_a_peer_on_loopback_is_within_this_machine() {
        let within = |remote, direct| {
            ends("127.0.0.1", remote, direct).is_some_and(Ends::within_this_machine)
        };
        assert!(within("127.0.0.1", true) && within("::1", true));
        assert!(!within("127.0.0.1", false), "it is the server that is");
        assert!(!within("192.0.2.1", true));
    }

    #[test]
    fn families_take_turns() {
        let addrs = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(|a| a.parse().expect(a));
        let turns = families_in_turn(addrs.to_vec());
        let texts: Vec<String> = turns.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
        assert!(families_in_turn(Vec::new()).is_empty());
    }
}
