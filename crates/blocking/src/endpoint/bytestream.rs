//! Octets both ways over one stream, in band or by a socket.

use super::transfer::Transfer;
use bytes::{Buf, Bytes};
use bytestreams_transfer::{Event, Reason, WriteError};
use core::fmt;
use std::io::{self, Read, Write};

/// How much of a write is taken at once.
const PIECE: usize = 64 * 1024;

/// A stream of octets in both directions.
///
/// In band, what is read is acknowledged to the peer as the reader takes it, so that a slow reader
/// slows the peer; a socket does that by itself. [`Bytestream::shutdown`] says that nothing more
/// will be written; what the peer still has to say can be read after it. [`Bytestream::close`] does
/// that and waits until the peer has everything. Dropped before either, the stream is cancelled.
pub struct Bytestream {
    transfer: Transfer,
    incoming: Bytes,
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
            incoming: Bytes::new(),
            finished: false,
        }
    }

    /// The transfer, which tells more than an octet stream can.
    pub fn transfer(&mut self) -> &mut Transfer {
        &mut self.transfer
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    /// When the stream is over.
    pub fn shutdown(&mut self) -> io::Result<()> {
        if core::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        if self.transfer.has_line() {
            return self.transfer.shutdown();
        }
        self.transfer
            .finish()
            .map_err(|error| io::Error::new(io::ErrorKind::BrokenPipe, error))?;
        if self.incoming.is_empty() && self.transfer.at_end() {
            self.agree();
        }
        Ok(())
    }

    /// Ends the stream in order and waits until the peer has everything. What the peer still sends
    /// is dropped.
    ///
    /// # Errors
    /// Why the transfer failed.
    pub fn close(mut self) -> Result<(), Reason> {
        // A stream that is over already tells below how it ended.
        let _ = self.shutdown();
        // What still comes by a socket is thrown away elsewhere.
        if !self.transfer.has_line() {
            self.transfer.stored(self.incoming.len());
            self.incoming.clear();
            while let Some(block) = self.transfer.read()? {
                self.transfer.stored(block.len());
            }
        }
        self.agree();
        while let Some(event) = self.transfer.next() {
            if let Event::Failed { reason, .. } = event {
                return Err(reason);
            }
        }
        self.transfer.failure().map_or(Ok(()), Err)
    }

    /// Agrees to the end of the stream, once both sides have said all.
    fn agree(&mut self) {
        // A stream by a socket ends for both sides with this.
        let by_socket = self.transfer.has_line() && self.transfer.finish().is_ok();
        if !by_socket {
            // Where the peer has not ended the stream, our own end of it is what counts.
            let _ = self.transfer.completed(Ok(()));
        }
    }

    fn broken(&self, error: WriteError) -> io::Error {
        match (error, self.transfer.failure()) {
            (WriteError::Over, Some(reason)) => reset(reason),
            (error, _) => io::Error::new(io::ErrorKind::BrokenPipe, error),
        }
    }
}

fn reset(reason: Reason) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, reason)
}

impl Read for Bytestream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.transfer.has_line() {
            let n = self.transfer.read_some(buf).map_err(reset)?;
            if self.finished && n == 0 {
                self.agree();
            }
            return Ok(n);
        }
        if self.incoming.is_empty() {
            match self.transfer.read().map_err(reset)? {
                Some(block) => self.incoming = block,
                None if self.finished => self.agree(),
                None => {}
            }
        }
        let n = self.incoming.len().min(buf.len());
        self.incoming.copy_to_slice(&mut buf[..n]);
        if n > 0 {
            self.transfer.stored(n);
        }
        Ok(n)
    }
}

impl Write for Bytestream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.finished {
            return Err(self.broken(WriteError::Finished));
        }
        if self.transfer.has_line() {
            let written = self.transfer.write_some(buf);
            return written.map_err(|error| self.broken(error));
        }
        let n = buf.len().min(PIECE);
        let mut octets = Bytes::copy_from_slice(&buf[..n]);
        let written = self.transfer.write(&mut octets);
        written.map_err(|error| self.broken(error))?;
        Ok(n)
    }

    /// Does nothing: what is written is on its way.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
