//! Listens for peers.

use bytestreams_machine::Ends;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::net::{SocketAddr, TcpListener as Bound};
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
        let (sockets, addrs) = bytestreams_net::listen(given, ends)?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
