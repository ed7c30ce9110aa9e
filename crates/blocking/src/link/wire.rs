//! Octets on one side, frames on the other.

use super::LinkError;
use super::socket::acknowledge;
use bytestreams_stanza::door::QuickXml;
use bytestreams_stanza::{Frame, Framer, Limits, Stanza};
use core::ops::Range;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// What is read at once, at first and at most: it doubles whenever it was filled.
const READ: Range<usize> = 16 * 1024..256 * 1024;

/// A TCP stream with a framer on it.
pub(super) struct Wire {
    socket: Arc<TcpStream>,
    framer: Framer<QuickXml>,
    content: &'static str,
    input: Vec<u8>,
    /// What of the input the framer has not had.
    left: Range<usize>,
    /// The other end writes in pieces, and waits for us between them.
    eager: bool,
}

impl Wire {
    /// `content` is the content namespace.
    pub(super) fn new(socket: TcpStream, content: &'static str) -> Self {
        Self {
            socket: Arc::new(socket),
            framer: Framer::new(QuickXml::default(), Limits::DEFAULT),
            content,
            input: vec![0; READ.start],
            left: 0..0,
            eager: false,
        }
    }

    pub(super) fn socket(&self) -> Arc<TcpStream> {
        self.socket.clone()
    }

    pub(super) fn content(&self) -> &'static str {
        self.content
    }

    /// Has what is read acknowledged at once.
    pub(super) fn be_eager(&mut self) {
        self.eager = true;
    }

    pub(super) fn write(&self, octets: &[u8]) -> io::Result<()> {
        (&*self.socket).write_all(octets)
    }

    /// Yields the next frame of what was read.
    pub(super) fn frame(&mut self) -> Option<Result<Frame, LinkError>> {
        let mut input = self.input.get(self.left.clone()).unwrap_or_default();
        let frame = self.framer.next(&mut input);
        self.left.start = self.left.end - input.len();
        Some(frame?.map_err(|error| LinkError::Xml {
            what: error.to_string(),
            condition: error.condition(),
        }))
    }

    /// Waits for more octets.
    pub(super) fn read(&mut self) -> Result<(), LinkError> {
        if self.left.end == self.input.len() && self.input.len() < READ.end {
            self.input.resize(self.input.len() * 2, 0);
        }
        let read = loop {
            match (&*self.socket).read(&mut self.input) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if self.eager {
            acknowledge(&self.socket);
        }
        self.left = 0..read;
        if read == 0 {
            let eof = io::Error::new(io::ErrorKind::UnexpectedEof, "the other side hung up");
            return Err(eof.into());
        }
        Ok(())
    }
}

/// The stanza in a frame, if it is one.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other frames hold nothing that could be answered"
)]
pub(super) fn stanza(frame: Frame) -> Result<Option<Stanza>, LinkError> {
    match frame {
        Frame::Stanza(stanza) => Ok(Some(stanza)),
        Frame::Error(error) => Err(LinkError::Stream(error)),
        Frame::End => Err(LinkError::Closed),
        _ => Ok(None),
    }
}
