//! Links: what stanzas come from and go to.

#[cfg(feature = "tokio-xmpp")]
pub mod bridge;
#[cfg(feature = "client")]
pub mod client;
pub mod component;
mod error;
pub mod serverless;
mod setup;
mod socket;
mod wire;
mod xml;

pub use bytestreams_machine::Ends;
pub use error::{ConnectFailure, LinkError};
pub use xml::XmlLink;

use bytestreams_machine::Own;
use bytestreams_stanza::Stanza;
use core::task::{Context, Poll};
use tokio::net::TcpStream;

/// A stream of stanzas to an XMPP server or to a peer, set up and with an address of our own.
///
/// What comes in has its `from` stamped: by the server, or by the link itself where there is none.
/// The content namespace is the link's business alone.
pub trait StanzaLink: Send + Unpin + 'static {
    /// Who we are on this link.
    fn own(&self) -> &Own;

    /// Where the connection under it begins and ends, if it is one. Sockets beside the link go by it:
    /// which addresses peers are told, and which they may have us call.
    fn ends(&self) -> Option<Ends> {
        None
    }

    /// Takes the next stanza, reading more when none is left.
    ///
    /// # Errors
    /// When the link is gone: [`LinkError::Closed`] after an orderly end. Nothing follows.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stanza, LinkError>>;

    /// Puts a stanza into the write buffer, which takes it whatever it holds: ask
    /// [`StanzaLink::buffered`] before.
    fn write(&mut self, stanza: &Stanza);

    /// How many octets wait in the write buffer.
    fn buffered(&self) -> usize;

    /// Writes what waits; ready when nothing is left.
    ///
    /// # Errors
    /// When the link is gone.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>>;

    /// Writes what waits, then ends the stream in order. Ready when the peer has ended it too;
    /// stanzas that come in the meantime are dropped.
    ///
    /// # Errors
    /// When the link is gone.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>>;
}

/// Where a connection begins and ends; nothing when it has ended already.
fn ends_of(stream: &TcpStream, direct: bool) -> Option<Ends> {
    Some(Ends {
        local: stream.local_addr().ok()?,
        remote: stream.peer_addr().ok()?,
        direct,
    })
}

/// Which way a stanza goes, for a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It came in.
    In,
    /// It goes out.
    Out,
}
