//! What waits to be written to the link, and whose turn it is to write it.

use bytestreams_stanza::OutBuf;
use std::io;
use std::net::TcpStream;

/// Room that a write buffer keeps when nothing waits.
const KEPT: usize = 256 * 1024;

/// Octets on their way to the link. One thread at a time has the turn to write.
#[derive(Debug, Default)]
pub(crate) struct Outlet {
    /// Behind everything else.
    pub(crate) out: OutBuf,
    /// What was begun to be written, and is not yet.
    rest: OutBuf,
    /// An empty one.
    spare: OutBuf,
    busy: bool,
}

impl Outlet {
    /// Says whether nothing waits and nothing is being written.
    pub(crate) fn is_idle(&self) -> bool {
        !self.busy && self.rest.is_empty() && self.out.is_empty()
    }

    /// Says whether the link took less than there was: it is for the thread to write that may wait.
    pub(crate) fn is_stuck(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Takes the turn and what is to be written. Follow with [`Outlet::end`].
    pub(crate) fn begin(&mut self) -> Option<OutBuf> {
        if self.busy || self.is_idle() {
            return None;
        }
        self.busy = true;
        if self.rest.is_empty() {
            let spare = core::mem::take(&mut self.spare);
            return Some(core::mem::replace(&mut self.out, spare));
        }
        Some(core::mem::take(&mut self.rest))
    }

    /// Gives back the turn, and what is not written.
    pub(crate) fn end(&mut self, mut buffer: OutBuf) {
        self.busy = false;
        if buffer.is_empty() {
            buffer.shrink_to(KEPT);
            self.spare = buffer;
        } else {
            self.rest = buffer;
        }
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.out = OutBuf::default();
        self.rest = OutBuf::default();
    }
}

/// Writes as much as the system takes without waiting.
///
/// # Errors
/// Those of the socket; that it takes no more is none.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn write_at_once(stream: &TcpStream, buffer: &mut OutBuf) -> io::Result<()> {
    use rustix::net::{SendFlags, send};
    while !buffer.is_empty() {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match send(stream, buffer.as_slice(), flags).map_err(io::Error::from) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => buffer.consume(n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes nothing: elsewhere only the thread that writes may wait.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn write_at_once(_stream: &TcpStream, _buffer: &mut OutBuf) -> io::Result<()> {
    Ok(())
}
