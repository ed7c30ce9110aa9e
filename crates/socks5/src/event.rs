//! What a Requester or a Target tells, and why one fails.

use bytestreams_machine::ConnId;
use bytestreams_stanza::{Jid, StanzaError};
use core::fmt;

/// What a [`Requester`](crate::Requester) or a [`Target`](crate::Target) tells; comes once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The bytestream stands: right behind `Detach(conn)`, the connection is the application's.
    Established {
        /// The connection.
        conn: ConnId,
        /// The way it takes.
        via: Via,
    },
    /// It came to nothing; every connection of it was closed.
    Failed(Reason),
}

/// The way of a bytestream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// From the Target to the Requester.
    Direct,
    /// Both sides are connected to this proxy.
    Proxy(Jid),
}

impl Via {
    /// The way by a StreamHost of `host`, as `peer` offers it. The Requester itself has its JID, or
    /// in a room another one that is a user's; a proxy is a server's component, whose JID has no
    /// local part.
    pub fn of(host: &Jid, peer: &Jid) -> Self {
        if host == peer || host.local().is_some() {
            Self::Direct
        } else {
            Self::Proxy(host.clone())
        }
    }
}

/// Why a bytestream came to nothing. [`Reason::fault`] says whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// There is no StreamHost to offer.
    NoStreamHosts,
    /// The peer offers no StreamHost that may be used here.
    NoneUsable,
    /// The peer answered the offer with an error: it is not willing, or reached no StreamHost
    /// (which its error may or may not tell).
    Refused(StanzaError),
    /// The peer's answer names no StreamHost.
    NoChoice,
    /// The peer says that it uses a StreamHost that was not offered.
    UnknownHost(Jid),
    /// The peer says that it is connected to us, and no connection of its is open.
    NotConnected,
    /// None of the StreamHosts could be reached, or the one that was is none.
    Unreachable,
    /// The proxy that the peer uses cannot be reached.
    ProxyUnreachable(Jid),
    /// The proxy closed the connection before the bytestream was activated.
    ProxyClosed(Jid),
    /// The proxy does not activate the bytestream.
    NotActivated(StanzaError),
    /// No answer came in time.
    TimedOut(Step),
    /// `cancel` was called.
    Cancelled,
}

/// What was asked when no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Which StreamHost the peer uses.
    StreamHostUsed,
    /// The activation by the proxy.
    Activate,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The peer refused, or broke the protocol.
    Peer,
    /// A proxy refused, or went away.
    Proxy,
    /// No way through the network, or no answer in time.
    Network,
    /// It was not possible, or not wanted, on this side.
    Local,
}

impl Reason {
    /// Says whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NoneUsable
            | Self::Refused(_)
            | Self::NoChoice
            | Self::UnknownHost(_)
            | Self::NotConnected => Fault::Peer,
            Self::ProxyClosed(_) | Self::NotActivated(_) => Fault::Proxy,
            Self::Unreachable | Self::ProxyUnreachable(_) | Self::TimedOut(_) => Fault::Network,
            Self::NoStreamHosts | Self::Cancelled => Fault::Local,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStreamHosts => f.write_str("there is no StreamHost to offer"),
            Self::NoneUsable => f.write_str("the peer offers no StreamHost that may be used here"),
            Self::Refused(error) => write!(f, "bytestream refused: {error}"),
            Self::NoChoice => f.write_str("the answer names no StreamHost"),
            Self::UnknownHost(jid) => write!(f, "the peer uses a StreamHost not offered: {jid}"),
            Self::NotConnected => f.write_str("the peer says that it is connected, and is not"),
            Self::Unreachable => f.write_str("no StreamHost could be reached"),
            Self::ProxyUnreachable(jid) => write!(f, "the proxy {jid} could not be reached"),
            Self::ProxyClosed(jid) => write!(f, "the proxy {jid} closed the connection"),
            Self::NotActivated(error) => write!(f, "the proxy refused to activate: {error}"),
            Self::TimedOut(step) => write!(f, "no answer in time to {step}"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl core::error::Error for Reason {}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StreamHostUsed => "the StreamHosts",
            Self::Activate => "the activation",
        })
    }
}
