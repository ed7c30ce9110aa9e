//! Which addresses a peer may make us dial.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;
use smallvec::SmallVec;

/// What kind of address it is, as far as dialling goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressClass {
    /// Unspecified, multicast, broadcast, link-local or reserved: never dialled.
    Never,
    /// This machine.
    Loopback,
    /// A private network (RFC 1918, RFC 6598, RFC 4193).
    Private,
    /// The rest.
    Public,
}

impl AddressClass {
    /// Classifies an address; an IPv4 address within IPv6 counts as the IPv4 address.
    pub fn of(addr: IpAddr) -> Self {
        match addr.to_canonical() {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    fn of_v4(addr: Ipv4Addr) -> Self {
        let [a, b, ..] = addr.octets();
        if a == 0 || addr.is_multicast() || a >= 240 || addr.is_link_local() {
            Self::Never
        } else if addr.is_loopback() {
            Self::Loopback
        } else if addr.is_private() || (a == 100 && b & 0xc0 == 64) {
            Self::Private
        } else {
            Self::Public
        }
    }

    fn of_v6(addr: Ipv6Addr) -> Self {
        let [first, ..] = addr.segments();
        let embedded = |high: u16, low: u16| {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Self::of_v4(Ipv4Addr::new(a, b, c, d))
        };
        let tail = |addr: Ipv6Addr| {
            let [.., high, low] = addr.segments();
            embedded(high, low)
        };
        if addr.is_unspecified() || addr.is_multicast() || first & 0xffc0 == 0xfe80 {
            Self::Never
        } else if addr.is_loopback() {
            Self::Loopback
        } else if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfec0 {
            Self::Private
        } else if matches!(
            addr.segments(),
            [0x64, 0xff9b, 0 | 1, ..] | [0, 0, 0, 0, 0, 0, _, _]
        ) {
            // Translated (RFC 6052, RFC 8215) and IPv4-compatible addresses end at an IPv4 host.
            tail(addr)
        } else if first == 0x2002 {
            let [_, high, low, ..] = addr.segments();
            embedded(high, low)
        } else {
            Self::Public
        }
    }
}

/// Says which resolved addresses may be dialled at a peer's word.
///
/// Public addresses may; loopback and private ones only when the link's own peer is of that class,
/// or when they are within a network that was allowed by name.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DialPolicy {
    /// The class of the address at the other end of the link, if known.
    pub link: Option<IpAddr>,
    /// Networks allowed by name.
    pub allowed: SmallVec<[Network; 2]>,
}

impl DialPolicy {
    /// Says whether `addr` may be dialled.
    pub fn permits(&self, addr: IpAddr) -> bool {
        let class = AddressClass::of(addr);
        match class {
            AddressClass::Never => false,
            AddressClass::Public => true,
            AddressClass::Loopback | AddressClass::Private => {
                self.link.map(AddressClass::of) == Some(class)
                    || self.allowed.iter().any(|network| network.contains(addr))
            }
        }
    }
}

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    addr: IpAddr,
    bits: u8,
}

/// A text is not of the form `ADDRESS` or `ADDRESS/BITS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseNetworkError;

impl fmt::Display for ParseNetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a network: write an address, or an address and its bits, as in 10.0.0.0/8")
    }
}

impl core::error::Error for ParseNetworkError {}

impl Network {
    /// Says whether an address is within the network.
    pub fn contains(&self, addr: IpAddr) -> bool {
        match (self.addr.to_canonical(), addr.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(addr)) => {
                let shift = 32 - u32::from(self.bits).min(32);
                (u32::from(net) ^ u32::from(addr))
                    .checked_shr(shift)
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(net), IpAddr::V6(addr)) => {
                let shift = 128 - u32::from(self.bits).min(128);
                (u128::from(net) ^ u128::from(addr))
                    .checked_shr(shift)
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkError> {
        let (addr, bits) = match text.split_once('/') {
            Some((addr, bits)) => (addr, Some(bits)),
            None => (text, None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| ParseNetworkError)?;
        let most = if addr.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|&b| b <= most)
                .ok_or(ParseNetworkError)?,
            None => most,
        };
        Ok(Self { addr, bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn addresses_are_classified() {
        use AddressClass::{Loopback, Never, Private, Public};
        for (text, class) in [
            ("0.0.0.0", Never),
            ("0.1.2.3", Never),
            ("255.255.255.255", Never),
            ("224.0.0.1", Never),
            ("169.254.169.254", Never),
            ("240.0.0.1", Never),
            ("127.0.0.1", Loopback),
            ("127.9.9.9", Loopback),
            ("10.1.2.3", Private),
            ("172.16.0.1", Private),
            ("172.32.0.1", Public),
            ("192.168.0.1", Private),
            ("100.64.0.1", Private),
            ("100.128.0.1", Public),
            ("8.8.8.8", Public),
            ("::", Never),
            ("::1", Loopback),
            ("ff02::1", Never),
            ("fe80::1", Never),
            ("fd00::1", Private),
            ("fec0::1", Private),
            ("2001:db8::1", Public),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:10.0.0.1", Private),
            ("64:ff9b::7f00:1", Loopback),
            ("64:ff9b::808:808", Public),
            ("::7f00:1", Loopback),
            ("2002:a00:1::1", Private),
            ("2002:808:808::1", Public),
        ] {
            assert_eq!(AddressClass::of(ip(text)), class, "{text}");
        }
    }

    #[test]
    fn a_stranger_cannot_make_us_dial_inside() {
        let outside = DialPolicy {
            link: Some(ip("203.0.113.1")),
            ..DialPolicy::default()
        };
        assert!(outside.permits(ip("198.51.100.7")));
        assert!(!outside.permits(ip("127.0.0.1")));
        assert!(!outside.permits(ip("192.168.1.1")));
        let local = DialPolicy {
            link: Some(ip("127.0.0.1")),
            ..DialPolicy::default()
        };
        assert!(local.permits(ip("::1")));
        assert!(!local.permits(ip("10.0.0.1")));
        assert!(!local.permits(ip("169.254.0.1")));
        let allowed = DialPolicy {
            link: None,
            allowed: SmallVec::from_iter(["10.1.0.0/16", "fd00::/8"].map(|n| n.parse().expect(n))),
        };
        assert!(allowed.permits(ip("10.1.2.3")));
        assert!(allowed.permits(ip("::ffff:10.1.2.3")));
        assert!(allowed.permits(ip("fd12::3")));
        assert!(!allowed.permits(ip("10.2.0.1")));
        assert!(!allowed.permits(ip("127.0.0.1")));
    }

    #[test]
    fn networks_parse() {
        for text in ["", "x", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        let all: Network = "0.0.0.0/0".parse().expect("a network");
        assert!(all.contains(ip("9.9.9.9")));
        let one: Network = "9.9.9.9".parse().expect("a network");
        assert!(one.contains(ip("9.9.9.9")) && !one.contains(ip("9.9.9.8")));
    }
}
