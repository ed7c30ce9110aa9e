//! Octets on one side, frames and stanzas on the other.

use super::LinkError;
use bytes::Bytes;
use bytestreams_stanza::door::QuickXml;
use bytestreams_stanza::{
    Frame, Framer, Limits, OutBuf, Stanza, XmlWriter, write_stream_end, write_stream_error,
};
use core::future::poll_fn;
use core::ops::Range;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is read at once, at first and at most: it doubles whenever it was filled.
const READ: Range<usize> = 16 * 1024..256 * 1024;

/// Room that a write buffer keeps when nothing waits.
const KEPT: usize = 256 * 1024;

/// A stream of octets with a framer and a writer on it.
pub(super) struct Wire<S> {
    io: S,
    framer: Framer<QuickXml>,
    writer: XmlWriter,
    input: Vec<u8>,
    /// What of the input the framer has not had.
    left: Range<usize>,
    /// What was read before this came to be.
    early: Bytes,
    out: OutBuf,
    after_read: Option<fn(&S)>,
    /// Our end of the stream has been written.
    ended: bool,
}

impl<S> Wire<S> {
    /// `content` is the content namespace, `early` what was read already.
    pub(super) fn new(io: S, framer: Framer<QuickXml>, content: &str, early: Bytes) -> Self {
        Self {
            io,
            framer,
            writer: XmlWriter::new(content),
            input: vec![0; READ.start],
            left: 0..0,
            early,
            out: OutBuf::default(),
            after_read: None,
            ended: false,
        }
    }

    /// For a stream from its first octet.
    pub(super) fn fresh(io: S, content: &str) -> Self {
        let framer = Framer::new(QuickXml::default(), Limits::DEFAULT);
        Self::new(io, framer, content, Bytes::new())
    }

    /// Has `after_read` called with the stream whenever something was read.
    pub(super) fn after_read(&mut self, after_read: fn(&S)) {
        self.after_read = Some(after_read);
    }

    pub(super) fn write(&mut self, stanza: &Stanza) {
        self.writer.write(stanza, &mut self.out);
    }

    pub(super) fn write_octets(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
    }

    /// Writes the end tag, once.
    pub(super) fn write_end(&mut self) {
        if !core::mem::replace(&mut self.ended, true) {
            write_stream_end(&mut self.out);
        }
    }

    pub(super) fn buffered(&self) -> usize {
        self.out.len()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Yields the next frame, reading when there is none.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, LinkError>> {
        loop {
            if let Some(frame) = self.frame() {
                return Poll::Ready(frame);
            }
            if ready!(self.poll_read(cx))? == 0 {
                let eof = io::Error::new(io::ErrorKind::UnexpectedEof, "the other side hung up");
                return Poll::Ready(Err(LinkError::Io(eof)));
            }
        }
    }

    pub(super) async fn next(&mut self) -> Result<Frame, LinkError> {
        poll_fn(|cx| self.poll_frame(cx)).await
    }

    fn frame(&mut self) -> Option<Result<Frame, LinkError>> {
        let frame = if self.early.is_empty() {
            let mut input = self.input.get(self.left.clone()).unwrap_or_default();
            let frame = self.framer.next(&mut input);
            self.left.start = self.left.end - input.len();
            frame
        } else {
            let mut input = &self.early[..];
            let frame = self.framer.next(&mut input);
            let left = input.len();
            self.early = self.early.slice(self.early.len() - left..);
            frame
        };
        match frame? {
            Ok(frame) => Some(Ok(frame)),
            Err(error) => {
                if !core::mem::replace(&mut self.ended, true) {
                    write_stream_error(error.condition(), &mut self.out);
                }
                Some(Err(LinkError::Xml(error.to_string())))
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.left.end == self.input.len() && self.input.len() < READ.end {
            self.input.resize(self.input.len() * 2, 0);
        }
        let mut buf = ReadBuf::new(&mut self.input);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
        self.left = 0..buf.filled().len();
        if let Some(after_read) = self.after_read {
            after_read(&self.io);
        }
        Poll::Ready(Ok(self.left.end))
    }

    /// Writes what waits; ready when all of it is with the stream and flushed there.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, self.out.as_slice()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.consume(written);
        }
        self.out.shrink_to(KEPT);
        Pin::new(&mut self.io).poll_flush(cx)
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytestreams_stanza::door::Context as Namespaces;
    use bytestreams_stanza::ns;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    fn inside(io: DuplexStream, early: &'static [u8]) -> Wire<DuplexStream> {
        let context = Namespaces::new(ns::CLIENT);
        let framer = Framer::inside(QuickXml::default(), Limits::DEFAULT, context);
        Wire::new(io, framer, ns::CLIENT, Bytes::from_static(early))
    }

    #[tokio::test]
    async fn what_was_read_early_goes_before_what_follows() {
        let (mut far, near) = duplex(1024);
        let mut wire = inside(near, b"<iq type='result' id='1'/><iq type='res");
        far.write_all(b"ult' id='2'/></stream:stream>")
            .await
            .expect("room");
        for id in ["1", "2"] {
            match wire.next().await {
                Ok(Frame::Stanza(Stanza::Iq(iq))) => assert_eq!(iq.id.as_str(), id),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(wire.next().await.expect("a frame"), Frame::End);
    }

    #[tokio::test]
    async fn bad_xml_is_answered_once() {
        let (mut far, near) = duplex(1024);
        let mut wire = inside(near, b"<presence></iq>");
        assert!(matches!(wire.next().await, Err(LinkError::Xml(_))));
        wire.flush().await.expect("room");
        drop(wire);
        let mut heard = String::new();
        far.read_to_string(&mut heard).await.expect("text");
        assert_eq!(
            heard,
            "<stream:error><not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
        );
    }

    #[tokio::test]
    async fn the_read_buffer_grows_with_what_comes_and_only_then() {
        let (mut far, near) = duplex(READ.end);
        let mut wire = inside(near, b"");
        far.write_all(b"<presence/>").await.expect("room");
        wire.next().await.expect("a frame");
        assert_eq!(wire.input.len(), READ.start);
        let long = format!("<presence>{}</presence>", " ".repeat(100_000));
        far.write_all(long.as_bytes()).await.expect("room");
        wire.next().await.expect("a frame");
        assert!(wire.input.len() > READ.start && wire.input.len() <= READ.end);
    }
}
