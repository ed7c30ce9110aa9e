//! A client until its session is activated.

use bytes::{Buf, Bytes};
use bytestreams_machine::{ConnId, HANDSHAKE_OCTETS, NetInput};
use core::task::{Context, Poll};
use std::collections::VecDeque;
use std::io;
use tokio::net::TcpStream;

/// A connection of which a handshake's worth is read and no more: the rest of the stream waits
/// where it is, and a flood waits with its sender.
#[derive(Debug)]
pub(super) struct Client {
    stream: TcpStream,
    unsent: Bytes,
    /// Octets that may still be read.
    left: usize,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Open,
    /// To be shut down, or closed, once all is written.
    Shutdown,
    Close,
}

impl Client {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            unsent: Bytes::new(),
            left: HANDSHAKE_OCTETS,
            end: End::Open,
        }
    }

    /// Writes these octets after those before, in one write where the system takes them.
    pub(super) fn send(&mut self, octets: Bytes) {
        self.unsent = joined(&self.unsent, octets);
    }

    pub(super) fn shutdown(&mut self) {
        self.end = self.end.max(End::Shutdown);
    }

    pub(super) fn close(&mut self) {
        self.end = End::Close;
    }

    /// The socket, and what is to be written to it before anything else.
    pub(super) fn into_parts(self) -> (TcpStream, Bytes) {
        (self.stream, self.unsent)
    }

    /// Moves what can be moved; false when the connection is no more.
    pub(super) fn poll(
        &mut self,
        id: ConnId,
        inputs: &mut VecDeque<NetInput>,
        cx: &mut Context<'_>,
    ) -> bool {
        let alive = self.poll_write(cx).and_then(|()| match self.end {
            End::Close if self.unsent.is_empty() => Ok(false),
            End::Close => Ok(true),
            End::Open | End::Shutdown => self.poll_read(id, inputs, cx).map(|()| true),
        });
        if alive.is_err() && self.end != End::Close {
            inputs.push_back(NetInput::Closed(id));
        }
        alive.unwrap_or(false)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let Poll::Ready(ready) = self.stream.poll_write_ready(cx) else {
                return Ok(());
            };
            ready?;
            match self.stream.try_write(&self.unsent) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => self.unsent.advance(written?),
            }
        }
        if self.end == End::Shutdown {
            use tokio::io::AsyncWrite;
            let shut = core::pin::Pin::new(&mut self.stream).poll_shutdown(cx);
            if shut.is_ready() {
                self.end = End::Open;
            }
        }
        Ok(())
    }

    fn poll_read(
        &mut self,
        id: ConnId,
        inputs: &mut VecDeque<NetInput>,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        let mut octets = [0; HANDSHAKE_OCTETS];
        while self.left > 0 {
            let Poll::Ready(ready) = self.stream.poll_read_ready(cx) else {
                break;
            };
            ready?;
            let room = octets.get_mut(..self.left).unwrap_or_default();
            match self.stream.try_read(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => {
                    let read = read?;
                    if read == 0 {
                        self.left = 0;
                        inputs.push_back(NetInput::Closed(id));
                        break;
                    }
                    self.left -= read;
                    let octets = octets.get(..read).unwrap_or_default();
                    let octets = Bytes::copy_from_slice(octets);
                    inputs.push_back(NetInput::Received(id, octets));
                }
            }
        }
        Ok(())
    }
}

/// Octets and those after them.
pub(super) fn joined(first: &Bytes, second: Bytes) -> Bytes {
    if first.is_empty() {
        return second;
    }
    [&**first, &*second].concat().into()
}
