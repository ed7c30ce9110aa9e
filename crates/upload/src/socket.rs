//! A TCP socket that the runtime waits for, or for a while a thread that may block.
//!
//! A thread that waits by itself is woken by the kernel alone: through the runtime, each wait costs
//! another thread its turn.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::net;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

/// See the module.
#[derive(Debug)]
pub(crate) struct Socket(State);

#[derive(Debug)]
enum State {
    Runtime(TcpStream),
    /// Does not block: the thread says when it waits.
    Thread(net::TcpStream),
    /// It could not be handed over.
    Lost,
}

/// What carries octets over a [`Socket`].
pub(crate) trait Carrier: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// The socket below.
    fn socket(&mut self) -> &mut Socket;
}

impl Socket {
    pub(crate) const fn new(stream: TcpStream) -> Self {
        Self(State::Runtime(stream))
    }

    /// Takes it from the runtime: until [`Socket::join`], who finds nothing to read or no room to
    /// write is not woken, and has to [`Socket::wait`].
    pub(crate) fn leave(&mut self) {
        self.turn(|state| match state {
            State::Runtime(stream) => stream.into_std().map(State::Thread),
            other => Ok(other),
        });
    }

    /// Gives it back to the runtime, in which this has to be called.
    pub(crate) fn join(&mut self) {
        self.turn(|state| match state {
            State::Thread(stream) => TcpStream::from_std(stream).map(State::Runtime),
            other => Ok(other),
        });
    }

    fn turn(&mut self, how: impl FnOnce(State) -> io::Result<State>) {
        let state = core::mem::replace(&mut self.0, State::Lost);
        self.0 = how(state).unwrap_or(State::Lost);
    }

    /// Waits on this thread until something can be read, or written where that is wanted, or for
    /// so long.
    pub(crate) fn wait(&self, write: bool, most: Duration) {
        if let State::Thread(stream) = &self.0 {
            let mut wanted = PollFlags::IN;
            wanted.set(PollFlags::OUT, write);
            let most = Timespec::try_from(most).ok();
            // Whatever it says, the next attempt to read or write tells.
            let _ = poll(&mut [PollFd::new(stream, wanted)], most.as_ref());
        }
    }
}

impl Carrier for Socket {
    fn socket(&mut self) -> &mut Socket {
        self
    }
}

impl Carrier for Box<dyn Carrier> {
    fn socket(&mut self) -> &mut Socket {
        (**self).socket()
    }
}

impl Carrier for server::TlsStream<Socket> {
    fn socket(&mut self) -> &mut Socket {
        self.get_mut().0
    }
}

impl Carrier for client::TlsStream<Socket> {
    fn socket(&mut self) -> &mut Socket {
        self.get_mut().0
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            State::Runtime(stream) => Pin::new(stream).poll_read(cx, buf),
            State::Thread(stream) => at_once(|| stream.read(buf.initialize_unfilled()))
                .map_ok(|octets| buf.advance(octets)),
            State::Lost => Poll::Ready(Err(ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            State::Runtime(stream) => Pin::new(stream).poll_write(cx, octets),
            State::Thread(stream) => at_once(|| stream.write(octets)),
            State::Lost => Poll::Ready(Err(ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A TCP socket has nothing to flush.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            State::Runtime(stream) => Pin::new(stream).poll_shutdown(cx),
            State::Thread(stream) => Poll::Ready(stream.shutdown(net::Shutdown::Write)),
            State::Lost => Poll::Ready(Err(ErrorKind::NotConnected.into())),
        }
    }
}

fn at_once<T>(mut attempt: impl FnMut() -> io::Result<T>) -> Poll<io::Result<T>> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
            result => return Poll::Ready(result),
        }
    }
}
