//! The vocabulary of sockets.

use bytes::Bytes;
use bytestreams_stanza::StreamHost;
use core::fmt;
use core::net::SocketAddr;

/// How many octets a driver reads at most, in all, on a connection that is not detached.
///
/// A handshake fits, with room for what a peer sends behind it. A peer that sends more fills its
/// own window, and nothing of the stream is swallowed.
pub const HANDSHAKE_OCTETS: usize = 512;

/// A connection; the driver allocates every one and never uses one again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// A listening socket, named by the machine that asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenId(pub u64);

/// An attempt to connect, named by the machine that asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// What happened to a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetInput {
    /// A listening socket is ready at this address.
    Listening(ListenId, SocketAddr),
    /// A peer connected to a listening socket.
    Accepted {
        /// The listening socket.
        listen: ListenId,
        /// The new connection.
        conn: ConnId,
        /// Where it came from.
        from: SocketAddr,
    },
    /// An attempt succeeded.
    Connected(Token, ConnId),
    /// An attempt failed.
    Failed(Token, ConnectError),
    /// Octets came in.
    Received(ConnId, Bytes),
    /// The connection is gone, or the peer shut its half down.
    Closed(ConnId),
}

/// What to do with a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetCommand {
    /// Listen, and answer with [`NetInput::Listening`].
    Listen(ListenId),
    /// Stop listening.
    Unlisten(ListenId),
    /// Resolve, check the addresses against the [`crate::DialPolicy`], connect.
    Connect(Token, StreamHost),
    /// Write all of this, in one write where the platform lets.
    Send(ConnId, Bytes),
    /// Shut the write half down once all is written.
    ShutdownWrite(ConnId),
    /// Close once all is written; after a [`NetInput::Closed`], forget.
    Close(ConnId),
    /// Stop reading for the machine: the socket is the application's now.
    Detach(ConnId),
}

/// Why an attempt to connect failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The host refused.
    Refused,
    /// No way to the host.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The name has no address.
    Dns,
    /// The address is one that a peer must not make us dial.
    Forbidden,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "connection refused",
            Self::Unreachable => "host unreachable",
            Self::TimedOut => "no answer in time",
            Self::Dns => "name not found",
            Self::Forbidden => "address not allowed",
        })
    }
}

impl core::error::Error for ConnectError {}
