//! One connection, as long as it is not an application's.

use super::Seen;
use bytes::{Buf, Bytes, BytesMut};
use bytestreams_machine::{ConnId, HANDSHAKE_OCTETS, NetInput};
use bytestreams_transfer::TransferId;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What is thrown away at once.
const WASTE: usize = 4096;

/// Reads of a connection before another gets its turn.
const ROUNDS: usize = 16;

/// A connection. Before it is detached it reads a handshake's worth and no more; once it was given
/// back it reads to the end and throws away.
#[derive(Debug)]
pub(crate) struct Conn {
    stream: TcpStream,
    unsent: BytesMut,
    reads: Reads,
    end: End,
    /// Whose it was.
    owner: Option<TransferId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// So many octets more, for the machine.
    Handshake(usize),
    /// To the end, for nobody.
    Waste,
    /// No more: the peer has shut its half down.
    Ended,
}

/// What is to become of it once all is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Open,
    Shutdown,
    Shut,
    Close,
}

impl Conn {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            unsent: BytesMut::new(),
            reads: Reads::Handshake(HANDSHAKE_OCTETS),
            end: End::Open,
            owner: None,
        }
    }

    /// Takes back the socket of a transfer, to which all was written or from which all was read.
    pub(crate) fn given_back(stream: TcpStream, owner: TransferId) -> Self {
        Self {
            owner: Some(owner),
            ..Self::new(stream)
        }
    }

    /// The socket, and what is still to be written before anything else.
    pub(crate) fn into_parts(self) -> (TcpStream, Bytes) {
        (self.stream, self.unsent.freeze())
    }

    /// Makes the peer see a reset, and no end.
    pub(crate) fn abandon(self) {
        // Worse without: what was cut off may look whole.
        let _ = self.stream.set_zero_linger();
    }

    /// Shuts the write half down and reads to the end.
    pub(crate) fn draining(mut self) -> Self {
        self.shutdown();
        self.reads = Reads::Waste;
        self
    }

    /// Writes these octets after those before, in one write where the system takes them.
    pub(crate) fn send(&mut self, octets: Bytes) {
        let mut octets = octets;
        if self.unsent.is_empty()
            && let Ok(n) = self.stream.try_write(&octets)
        {
            octets.advance(n);
        }
        self.unsent.extend_from_slice(&octets);
    }

    pub(crate) fn shutdown(&mut self) {
        self.end = self.end.max(End::Shutdown);
    }

    pub(crate) fn close(&mut self) {
        self.end = End::Close;
    }

    /// Moves what can be moved; false when the connection is no more.
    pub(crate) fn poll(&mut self, id: ConnId, seen: &mut Seen, cx: &mut Context<'_>) -> bool {
        if self.poll_write(cx).is_err() {
            return self.end != End::Close && self.gone(id, seen);
        }
        if self.end == End::Close && self.unsent.is_empty() {
            return false;
        }
        self.poll_read(id, seen, cx)
    }

    /// Notes that it broke. Says whether it is kept until the machine is done with it: what came
    /// before may have it detached all the same.
    fn gone(&mut self, id: ConnId, seen: &mut Seen) -> bool {
        if self.reads != Reads::Ended {
            self.broken(id, seen);
        }
        self.reads = Reads::Ended;
        self.unsent.clear();
        self.owner.is_none()
    }

    /// Of a stream whose octets were all written, a reset means that the peer may lack the last.
    fn broken(&self, id: ConnId, seen: &mut Seen) {
        match self.owner {
            Some(owner) => seen.broken.push(owner),
            None => seen.inputs.push_back(NetInput::Closed(id)),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.unsent) {
                Poll::Ready(n) => self.unsent.advance(n?),
                Poll::Pending => return Ok(()),
            }
        }
        if self.end == End::Shutdown
            && let Poll::Ready(result) = Pin::new(&mut self.stream).poll_shutdown(cx)
        {
            result?;
            self.end = End::Shut;
        }
        Ok(())
    }

    fn poll_read(&mut self, id: ConnId, seen: &mut Seen, cx: &mut Context<'_>) -> bool {
        let mut octets = [0; WASTE];
        for _ in 0..ROUNDS {
            let most = match self.reads {
                Reads::Handshake(left) => left,
                Reads::Waste => WASTE,
                Reads::Ended => return true,
            };
            let Some(room) = octets.get_mut(..most).filter(|room| !room.is_empty()) else {
                return true;
            };
            let mut buf = ReadBuf::new(room);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return self.gone(id, seen),
                Poll::Pending => return true,
            }
            let read = buf.filled();
            if read.is_empty() {
                // A reset right behind the end shows only here.
                if let Ok(None) = self.stream.take_error() {
                    seen.inputs.push_back(NetInput::Closed(id));
                } else {
                    self.broken(id, seen);
                }
                self.reads = Reads::Ended;
            } else if let Reads::Handshake(left) = &mut self.reads {
                *left -= read.len();
                let octets = Bytes::copy_from_slice(read);
                seen.inputs.push_back(NetInput::Received(id, octets));
            }
        }
        cx.waker().wake_by_ref();
        true
    }
}
