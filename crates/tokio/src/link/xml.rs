//! A link over any stream of octets.

use super::wire::Wire;
use super::{Ends, LinkError, StanzaLink};
use bytestreams_machine::Own;
use bytestreams_stanza::{Frame, Jid, Stanza};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

/// How long the peer's end of the stream is waited for after ours.
const LINGER: Duration = Duration::from_secs(2);

/// An XML stream over a stream of octets, set up and ready for stanzas.
pub struct XmlLink<S> {
    wire: Wire<S>,
    own: Own,
    peer: Jid,
    stamps: Stamps,
    ends: Option<Ends>,
    closing: Closing,
}

/// Who writes `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamps {
    /// The server, for both directions.
    Server,
    /// The server for what comes in, and we for what goes out.
    Component,
    /// There is no server: what comes in is from the peer, whatever it says.
    Peer,
}

#[derive(Debug)]
enum Closing {
    No,
    Flush,
    Shutdown,
    Linger(Pin<Box<Sleep>>),
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
    /// Makes a link of a stream that is set up.
    pub(super) fn new(
        wire: Wire<S>,
        own: Jid,
        peer: Jid,
        stamps: Stamps,
        ends: Option<Ends>,
    ) -> Self {
        Self {
            wire,
            own: Own { jid: own },
            peer,
            stamps,
            ends,
            closing: Closing::No,
        }
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

    fn ends(&self) -> Option<Ends> {
        self.ends
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other frames hold nothing that could be answered"
    )]
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stanza, LinkError>> {
        loop {
            match ready!(self.wire.poll_frame(cx))? {
                Frame::Stanza(mut stanza) => {
                    if self.stamps == Stamps::Peer {
                        stanza.set_from(Some(self.peer.clone()));
                    }
                    return Poll::Ready(Ok(stanza));
                }
                Frame::Error(error) => return Poll::Ready(Err(LinkError::Stream(error))),
                Frame::End => return Poll::Ready(Err(LinkError::Closed)),
                // Nothing that could be answered.
                _ => {}
            }
        }
    }

    fn write(&mut self, stanza: &Stanza) {
        if self.stamps == Stamps::Server || stanza.from().is_some() {
            self.wire.write(stanza);
        } else {
            let mut stanza = stanza.clone();
            stanza.set_from(Some(self.own.jid.clone()));
            self.wire.write(&stanza);
        }
    }

    fn buffered(&self) -> usize {
        self.wire.buffered()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.wire.poll_flush(cx).map_err(LinkError::Io)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        loop {
            match &mut self.closing {
                Closing::No => {
                    self.wire.write_end();
                    self.closing = Closing::Flush;
                }
                Closing::Flush => {
                    ready!(self.wire.poll_flush(cx))?;
                    self.closing = Closing::Shutdown;
                }
                Closing::Shutdown => {
                    ready!(self.wire.poll_shutdown(cx))?;
                    self.closing = Closing::Linger(Box::pin(tokio::time::sleep(LINGER)));
                }
                Closing::Linger(sleep) => {
                    if sleep.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Ok(()));
                    }
                    // What is read no more would make the system drop what was written.
                    match ready!(self.wire.poll_frame(cx)) {
                        Ok(Frame::End) | Err(_) => return Poll::Ready(Ok(())),
                        Ok(_) => {}
                    }
                }
            }
        }
    }
}
