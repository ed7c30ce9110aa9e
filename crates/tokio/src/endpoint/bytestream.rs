//! Octets both ways over one stream, in band or by a socket.

use super::transfer::Transfer;
use bytes::{Buf, Bytes};
use bytestreams_transfer::{Event, Reason, WriteError};
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much of a write is taken at once.
const PIECE: usize = 64 * 1024;

/// A stream of octets in both directions.
///
/// In band, what is read is acknowledged to the peer as the reader takes it, so that a slow reader
/// slows the peer; a socket does that by itself. `shutdown` says that nothing more will be written; what the peer still has to say can be
/// read after it. [`Bytestream::close`] does that and waits until the peer has everything. Dropped
/// before either, the stream is cancelled.
pub struct Bytestream {
    transfer: Transfer,
    incoming: Vec<Bytes>,
    outgoing: Bytes,
    finished: bool,
}

impl fmt::Debug for Bytestream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bytestream").field(&self.transfer).finish()
    }
}

impl Bytestream {
    pub(super) fn new(transfer: Transfer) -> Self {
        Self {
            transfer,
            incoming: Vec::new(),
            outgoing: Bytes::new(),
            finished: false,
        }
    }

    /// The transfer, which tells more than an octet stream can.
    pub fn transfer(&mut self) -> &mut Transfer {
        &mut self.transfer
    }

    /// Ends the stream in order and waits until the peer has everything. What the peer still sends
    /// is dropped. Where the future is dropped before all is handed over, the stream is cancelled, and
    /// behind that it ends in order by itself.
    ///
    /// # Errors
    /// Why the transfer failed.
    pub async fn close(mut self) -> Result<(), Reason> {
        // A stream that is over already tells below how it ended.
        let _ = poll_fn(|cx| Pin::new(&mut self).poll_shutdown(cx)).await;
        let mut blocks = core::mem::take(&mut self.incoming);
        // What still comes by a socket the driver throws away.
        while !self.transfer.has_socket() {
            for block in blocks.drain(..) {
                self.transfer.stored(block.len());
            }
            poll_fn(|cx| self.transfer.poll_read(cx, &mut blocks, PIECE)).await?;
            if blocks.is_empty() {
                break;
            }
        }
        self.agree();
        while let Some(event) = self.transfer.next().await {
            if let Event::Failed { reason, .. } = event {
                return Err(reason);
            }
        }
        self.transfer.failure().map_or(Ok(()), Err)
    }

    /// Agrees to the end of the stream, once both sides have said all.
    fn agree(&mut self) {
        // A stream by a socket ends for both sides with this.
        let by_socket = self.transfer.has_socket() && self.transfer.finish().is_ok();
        if !by_socket {
            // Where the peer has not ended the stream, our own end of it is what counts.
            let _ = self.transfer.completed(Ok(()));
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transfer
            .poll_write(cx, &mut self.outgoing)
            .map_err(|error| self.broken(error))
    }

    fn broken(&self, error: WriteError) -> io::Error {
        match (error, self.transfer.failure()) {
            (WriteError::Over, Some(reason)) => {
                io::Error::new(io::ErrorKind::ConnectionReset, reason)
            }
            (error, _) => io::Error::new(io::ErrorKind::BrokenPipe, error),
        }
    }
}

impl AsyncRead for Bytestream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // Where nothing is asked for, nothing is no end.
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.transfer.has_socket() {
            let before = buf.filled().len();
            ready!(this.transfer.poll_read_some(cx, buf))
                .map_err(|reason| io::Error::new(io::ErrorKind::ConnectionReset, reason))?;
            if this.finished && buf.filled().len() == before {
                this.agree();
            }
            return Poll::Ready(Ok(()));
        }
        if this.incoming.is_empty() {
            ready!(
                this.transfer
                    .poll_read(cx, &mut this.incoming, buf.remaining())
            )
            .map_err(|reason| io::Error::new(io::ErrorKind::ConnectionReset, reason))?;
            // The first is taken from the end.
            this.incoming.reverse();
        }
        if this.incoming.is_empty() && this.finished {
            this.agree();
        }
        let mut stored = 0;
        while buf.remaining() > 0
            && let Some(block) = this.incoming.last_mut()
        {
            let n = block.len().min(buf.remaining());
            buf.put_slice(&block[..n]);
            block.advance(n);
            stored += n;
            if block.is_empty() {
                this.incoming.pop();
            }
        }
        if stored > 0 {
            this.transfer.stored(stored);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Bytestream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.transfer.has_socket() {
            let written = ready!(this.transfer.poll_write_some(cx, buf));
            return Poll::Ready(written.map_err(|error| this.broken(error)));
        }
        ready!(this.poll_drain(cx))?;
        let n = buf.len().min(PIECE);
        this.outgoing = Bytes::copy_from_slice(&buf[..n]);
        match this.poll_drain(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // What was not taken stays here, and goes first next time.
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(n)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_drain(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.transfer.has_socket() {
            ready!(this.transfer.poll_shutdown_socket(cx))?;
            this.finished = true;
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_drain(cx))?;
        if !this.finished {
            this.finished = true;
            this.transfer
                .finish()
                .map_err(|error| io::Error::new(io::ErrorKind::BrokenPipe, error))?;
            if this.incoming.is_empty() && this.transfer.at_end() {
                this.agree();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Bytestream {
    fn drop(&mut self) {
        if self.finished {
            self.agree();
            self.transfer.let_go();
        }
    }
}
