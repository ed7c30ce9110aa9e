//! Listens for peers.

use crate::link::Ends;
use bytestreams_machine::AddressClass;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as Bound};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};

/// A pause after the socket gave an error, such as too many open files.
const BREATH: Duration = Duration::from_millis(100);

/// Sockets of one port that listen, and the addresses to tell peers.
#[derive(Debug)]
pub(super) struct Listening {
    sockets: Vec<TcpListener>,
    addrs: Vec<SocketAddr>,
    breath: Option<Pin<Box<Sleep>>>,
}

impl Listening {
    /// Listens with the socket given, or at a free port of all local addresses: that of the link
    /// alone, where the peer is on this machine.
    pub(super) fn open(given: Option<&Bound>, ends: Option<Ends>) -> io::Result<Self> {
        let ip = ends.map(|ends| ends.local.ip().to_canonical());
        let sockets = match (given, ip) {
            (Some(given), _) => vec![given.try_clone()?],
            (None, Some(ip)) if ends.is_some_and(Ends::within_this_machine) => {
                vec![Bound::bind((ip, 0))?]
            }
            (None, _) => everywhere()?,
        };
        let first = match sockets.first() {
            Some(first) => first.local_addr()?,
            None => return Err(io::ErrorKind::AddrNotAvailable.into()),
        };
        let addrs = if first.ip().is_unspecified() {
            let local = if_addrs::get_if_addrs()?.into_iter().map(|i| i.ip());
            let v4_only = sockets.len() == 1 && first.is_ipv4();
            to_tell(local.filter(|ip| !v4_only || ip.is_ipv4()), ends)
                .into_iter()
                .map(|ip| SocketAddr::new(ip, first.port()))
                .collect()
        } else {
            vec![first]
        };
        if addrs.is_empty() {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let sockets = sockets.into_iter().map(|socket| {
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket)
        });
        Ok(Self {
            sockets: sockets.collect::<io::Result<_>>()?,
            addrs,
            breath: None,
        })
    }

    /// The addresses to tell peers, best first.
    pub(super) fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// Waits for the next connection.
    pub(super) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<(TcpStream, SocketAddr)> {
        loop {
            if let Some(breath) = &mut self.breath {
                core::task::ready!(breath.as_mut().poll(cx));
                self.breath = None;
            }
            for socket in &self.sockets {
                match socket.poll_accept(cx) {
                    Poll::Ready(Ok((stream, from))) => {
                        // Slower without, but no less right.
                        let _ = stream.set_nodelay(true);
                        return Poll::Ready((stream, from));
                    }
                    Poll::Ready(Err(_)) => self.breath = Some(Box::pin(sleep(BREATH))),
                    Poll::Pending => {}
                }
            }
            if self.breath.is_none() {
                return Poll::Pending;
            }
        }
    }
}

/// A free port of both families: one socket where the system takes both on one, else two.
fn everywhere() -> io::Result<Vec<Bound>> {
    let Ok(six) = Bound::bind((Ipv6Addr::UNSPECIFIED, 0)) else {
        return Ok(vec![Bound::bind((Ipv4Addr::UNSPECIFIED, 0))?]);
    };
    let port = six.local_addr()?.port();
    let four = Bound::bind((Ipv4Addr::UNSPECIFIED, port));
    Ok(core::iter::once(six).chain(four).collect())
}

/// Of the addresses of this machine those that a peer may reach, best first: the one that the link
/// itself uses, then IPv4 before IPv6.
fn to_tell(local: impl Iterator<Item = IpAddr>, ends: Option<Ends>) -> Vec<IpAddr> {
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

fn is_loopback(ip: IpAddr) -> bool {
    AddressClass::of(ip) == AddressClass::Loopback
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(local: &str, remote: &str, direct: bool) -> Option<Ends> {
        Some(Ends {
            local: SocketAddr::new(local.parse().expect(local), 1),
            remote: SocketAddr::new(remote.parse().expect(remote), 2),
            direct,
        })
    }

    fn told(local: &[&str], ends: Option<Ends>) -> Vec<String> {
        let local = local.iter().map(|ip| ip.parse().expect("an address"));
        to_tell(local, ends)
            .iter()
            .map(ToString::to_string)
            .collect()
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

    #[tokio::test]
    async fn a_peer_on_this_machine_is_listened_for_on_this_machine_only() {
        let listening = Listening::open(None, ends("127.0.0.1", "127.0.0.1", true)).expect("one");
        let [addr] = listening.addrs() else {
            panic!("{:?}", listening.addrs());
        };
        assert_eq!(addr.ip(), IpAddr::from([127, 0, 0, 1]));
        assert_eq!(
            listening.sockets[0].local_addr().expect("an address"),
            *addr
        );
    }

    #[tokio::test]
    async fn the_socket_given_is_listened_on() {
        let bound = Bound::bind("127.0.0.1:0").expect("a socket");
        let addr = bound.local_addr().expect("an address");
        let mut listening = Listening::open(Some(&bound), None).expect("one");
        assert_eq!(listening.addrs(), [addr]);
        let there = TcpStream::connect(addr).await.expect("a connection");
        let (_, from) = core::future::poll_fn(|cx| listening.poll_accept(cx)).await;
        assert_eq!(from, there.local_addr().expect("an address"));
    }
}
