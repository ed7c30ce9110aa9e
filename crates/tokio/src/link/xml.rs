//! A link over any stream of octets.

use super::{LinkError, StanzaLink};
use bytestreams_machine::Own;
use bytestreams_stanza::{Jid, OutBuf, Stanza};
use core::fmt;
use core::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};

/// An XML stream over a stream of octets, set up and ready for stanzas.
pub struct XmlLink<S> {
    io: S,
    own: Own,
    peer: Jid,
    out: OutBuf,
    after_read: Option<fn(&S)>,
}

impl<S> fmt::Debug for XmlLink<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XmlLink")
            .field("own", &self.own.jid)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl<S> XmlLink<S> {
    /// Makes a link of a stream whose header has passed already, and of what was read behind it.
    #[cfg(feature = "client")]
    pub(super) fn inside(io: S, _early: bytes::BytesMut, _ns: &str, own: Own) -> Self {
        Self {
            io,
            peer: own.jid.to_domain(),
            own,
            out: OutBuf::default(),
            after_read: None,
        }
    }

    /// Has the socket acknowledge what was received at once, whenever something was.
    #[cfg(feature = "client")]
    pub(super) fn acknowledging(mut self, after_read: fn(&S)) -> Self {
        self.after_read = Some(after_read);
        self
    }

    /// The other end: the peer of a serverless link, the server of others.
    pub fn peer(&self) -> &Jid {
        &self.peer
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> StanzaLink for XmlLink<S> {
    fn own(&self) -> &Own {
        &self.own
    }

    fn poll_next(&mut self, _cx: &mut Context<'_>) -> Poll<Result<Stanza, LinkError>> {
        let _ = &self.io;
        Poll::Pending
    }

    fn write(&mut self, _stanza: &Stanza) {}

    fn buffered(&self) -> usize {
        self.out.len()
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(Ok(()))
    }
}
