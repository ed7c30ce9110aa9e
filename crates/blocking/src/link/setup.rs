//! What both kinds of links do to be set up.

use super::wire::Wire;
use super::{ConnectFailure, LinkError};
use bytestreams_stanza::{Opened, Opening, write_stream_error};
use core::time::Duration;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Instant;

/// Until when a step may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: Instant,
    step: &'static str,
}

impl Deadline {
    pub(super) fn new(patience: Duration, step: &'static str) -> Self {
        Self {
            at: Instant::now() + patience,
            step,
        }
    }

    fn late(self) -> ConnectFailure {
        ConnectFailure::TimedOut { step: self.step }
    }

    /// What is left of the time.
    fn left(self) -> Result<Duration, ConnectFailure> {
        let left = self.at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.late());
        }
        Ok(left)
    }

    /// Tells what took too long from what went wrong.
    fn checked(self, error: LinkError) -> ConnectFailure {
        if matches!(&error, LinkError::Io(error) if is_late(error)) {
            return self.late();
        }
        error.into()
    }
}

fn is_late(error: &io::Error) -> bool {
    use io::ErrorKind::{TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock)
}

/// Connects to one of the addresses.
pub(super) fn connect(
    addrs: impl ToSocketAddrs,
    host: String,
    deadline: Deadline,
) -> Result<TcpStream, ConnectFailure> {
    let addrs = match addrs.to_socket_addrs() {
        Ok(addrs) => addrs,
        Err(source) => return Err(ConnectFailure::Connect { host, source }),
    };
    let mut source = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for addr in addrs {
        match TcpStream::connect_timeout(&addr, deadline.left()?) {
            Ok(stream) => return Ok(stream),
            Err(error) => source = error,
        }
    }
    if is_late(&source) {
        return Err(deadline.late());
    }
    Err(ConnectFailure::Connect { host, source })
}

impl Wire {
    /// Says and hears what it takes to set the stream up.
    pub(super) fn open(
        &mut self,
        mut opening: Opening,
        deadline: Deadline,
    ) -> Result<Opened, ConnectFailure> {
        let opened = self.exchange(&mut opening, deadline);
        if opened.is_err() {
            // The other side is told what is wrong, if it still listens.
            let _ = self.write(opening.output().as_slice());
        }
        let opened = opened?;
        let socket = self.socket();
        socket.set_read_timeout(None).map_err(LinkError::Io)?;
        Ok(opened)
    }

    fn exchange(
        &mut self,
        opening: &mut Opening,
        deadline: Deadline,
    ) -> Result<Opened, ConnectFailure> {
        let socket = self.socket();
        let mut opened = None;
        loop {
            let left = Some(deadline.left()?);
            socket.set_write_timeout(left).map_err(LinkError::Io)?;
            let words = opening.output();
            let written = self.write(words.as_slice());
            words.clear();
            written.map_err(|error| deadline.checked(error.into()))?;
            if let Some(opened) = opened {
                return Ok(opened);
            }
            let frame = loop {
                if let Some(frame) = self.frame() {
                    break frame;
                }
                let left = Some(deadline.left()?);
                socket.set_read_timeout(left).map_err(LinkError::Io)?;
                self.read().map_err(|error| deadline.checked(error))?;
            };
            let frame = frame.inspect_err(|error| {
                if let LinkError::Xml { condition, .. } = error {
                    write_stream_error(condition, opening.output());
                }
            })?;
            opened = opening.handle(frame)?;
        }
    }
}
