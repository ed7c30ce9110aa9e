//! The socket of a transfer.

use crate::file::haul::Pace;
use bytes::{Buf, Bytes};
use bytestreams_machine::ConnId;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A socket in the hands of its transfer.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) conn: ConnId,
    stream: TcpStream,
    /// What came behind the handshake.
    early: Bytes,
    /// What the handshake has still to say.
    unsent: Bytes,
    /// How much is still to come, where that is known.
    pub(crate) left: Option<u64>,
    pub(super) pace: Pace,
    /// Our half has been shut down.
    shut: bool,
}

impl Socket {
    pub(super) fn new(
        conn: ConnId,
        (stream, unsent): (TcpStream, Bytes),
        early: Bytes,
        left: Option<u64>,
    ) -> Self {
        Self {
            conn,
            stream,
            early,
            unsent,
            left,
            pace: Pace::default(),
            shut: false,
        }
    }

    /// The socket, what came of the stream already, and what is to be written before it.
    pub(crate) fn into_parts(self) -> (TcpStream, Bytes, Bytes) {
        (self.stream, self.early, self.unsent)
    }

    /// Reads what is there, and no more than is still to come; nothing at the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let most = self
            .left
            .map_or(usize::MAX, |left| {
                usize::try_from(left).unwrap_or(usize::MAX)
            })
            .min(buf.remaining());
        if most == 0 {
            return Poll::Ready(Ok(0));
        }
        // What the peer may be waiting for goes out, whoever is to write next.
        if let Poll::Ready(Err(error)) = self.poll_unsent(cx) {
            return Poll::Ready(Err(error));
        }
        let n = if self.early.is_empty() {
            let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
            let n = part.filled().len();
            buf.advance(n);
            n
        } else {
            let n = self.early.len().min(most);
            buf.put_slice(&self.early.split_to(n));
            n
        };
        if let Some(left) = &mut self.left {
            *left -= n as u64;
        }
        Poll::Ready(Ok(n))
    }

    /// Writes some of the octets.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_unsent(cx))?;
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    /// Writes what the handshake has still to say.
    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let n = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unsent))?;
            self.unsent.advance(n);
        }
        Poll::Ready(Ok(()))
    }

    /// Says the end of what we write.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(cx))?;
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        self.shut = true;
        Poll::Ready(Ok(()))
    }

    pub(super) fn is_shut(&self) -> bool {
        self.shut
    }

    /// Makes the peer see a reset, and no end, when it is dropped.
    pub(super) fn abandon(self) {
        // Worse without: what was cut off may look whole.
        let _ = self.stream.set_zero_linger();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::future::poll_fn;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_handshake_is_said_to_its_end_by_whatever_comes_first() {
        for read in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
            let addr = listener.local_addr().expect("an address");
            let (here, there) = tokio::join!(TcpStream::connect(addr), listener.accept());
            let (here, mut there) = (here.expect("a connection"), there.expect("a connection").0);
            let reply = Bytes::from_static(b"reply");
            let mut socket = Socket::new(ConnId(1), (here, reply), Bytes::new(), None);
            if read {
                let mut octet = [0];
                let mut buf = ReadBuf::new(&mut octet);
                poll_fn(|cx| {
                    assert!(socket.poll_read(cx, &mut buf).is_pending());
                    Poll::Ready(())
                })
                .await;
            } else {
                let shut = poll_fn(|cx| socket.poll_shutdown(cx)).await;
                shut.expect("an open socket");
            }
            let mut said = [0; 5];
            there.read_exact(&mut said).await.expect("octets");
            assert_eq!(&said, b"reply");
        }
    }
}
