//! Sockets that listen for peers.

use bytestreams_machine::{Ends, addresses_to_tell};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

/// Listens with the socket given, or at a free port of all local addresses: that of the link alone,
/// where the peer is on this machine. Answers the sockets, of one port, and the addresses to tell
/// peers, best first.
///
/// # Errors
/// Those of the sockets; that there is no address to tell.
pub fn listen(
    given: Option<&TcpListener>,
    ends: Option<Ends>,
) -> io::Result<(Vec<TcpListener>, Vec<SocketAddr>)> {
    let ip = ends.map(|ends| ends.local.ip().to_canonical());
    let sockets = match (given, ip) {
        (Some(given), _) => vec![given.try_clone()?],
        (None, Some(ip)) if ends.is_some_and(Ends::within_this_machine) => {
            vec![TcpListener::bind((ip, 0))?]
        }
        (None, _) => everywhere()?,
    };
    let none = || io::Error::from(io::ErrorKind::AddrNotAvailable);
    let first = sockets.first().ok_or_else(none)?.local_addr()?;
    let addrs = if first.ip().is_unspecified() {
        let local = if_addrs::get_if_addrs()?.into_iter().map(|i| i.ip());
        let v4_only = sockets.len() == 1 && first.is_ipv4();
        addresses_to_tell(local.filter(|ip| !v4_only || ip.is_ipv4()), ends)
            .into_iter()
            .map(|ip| SocketAddr::new(ip, first.port()))
            .collect()
    } else {
        vec![first]
    };
    if addrs.is_empty() {
        return Err(none());
    }
    Ok((sockets, addrs))
}

/// A free port of both families: one socket where the system takes both on one, else two.
fn everywhere() -> io::Result<Vec<TcpListener>> {
    let Ok(six) = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)) else {
        return Ok(vec![TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?]);
    };
    let port = six.local_addr()?.port();
    let four = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
    Ok(core::iter::once(six).chain(four).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn a_peer_on_this_machine_is_listened_for_on_this_machine_only() {
        let here = SocketAddr::from(([127, 0, 0, 1], 1));
        let ends = Ends {
            local: here,
            remote: here,
            direct: true,
        };
        let (sockets, addrs) = listen(None, Some(ends)).expect("one");
        let ([socket], [addr]) = (&sockets[..], &addrs[..]) else {
            panic!("{addrs:?}");
        };
        assert_eq!(addr.ip(), IpAddr::from([127, 0, 0, 1]));
        assert_eq!(socket.local_addr().expect("an address"), *addr);
    }

    #[test]
    fn the_socket_given_is_listened_on() {
        let bound = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let addr = bound.local_addr().expect("an address");
        let (sockets, addrs) = listen(Some(&bound), None).expect("one");
        assert_eq!((sockets.len(), addrs), (1, vec![addr]));
    }
}
