//! Listens for peers.

use bytestreams_machine::{Ends, addresses_to_tell};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as Bound};
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
            addresses_to_tell(local.filter(|ip| !v4_only || ip.is_ipv4()), ends)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[tokio::test]
    async fn a_peer_on_this_machine_is_listened_for_on_this_machine_only() {
        let here = SocketAddr::from(([127, 0, 0, 1], 1));
        let ends = Ends {
            local: here,
            remote: here,
            direct: true,
        };
        let listening = Listening::open(None, Some(ends)).expect("one");
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
