//! The socket that clients connect to.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};

/// A pause after the socket gave an error, such as too many open files: what waits goes on
/// waiting, and asking again at once would only heat the room.
const BREATH: Duration = Duration::from_millis(100);

/// Accepts connections, and breathes after errors.
#[derive(Debug)]
pub(super) struct Acceptor {
    socket: TcpListener,
    breath: Option<Pin<Box<Sleep>>>,
}

impl Acceptor {
    pub(super) fn new(socket: TcpListener) -> Self {
        Self {
            socket,
            breath: None,
        }
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits for a connection; an error is told once, and the next call waits.
    pub(super) fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        if let Some(breath) = &mut self.breath {
            ready!(breath.as_mut().poll(cx));
            self.breath = None;
        }
        let accepted = ready!(self.socket.poll_accept(cx));
        match &accepted {
            // Short answers go out at once.
            Ok((stream, _)) => drop(stream.set_nodelay(true)),
            // One that left before it was accepted says nothing about the next.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => self.breath = Some(Box::pin(sleep(BREATH))),
        }
        Poll::Ready(accepted)
    }
}
