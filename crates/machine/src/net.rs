//! The vocabulary of sockets, and what machine and driver owe each other.
//!
//! The driver owns every socket and knows nothing of what passes over it; the machine knows
//! [`ConnId`]s, and every timeout is its own.
//!
//! * **A connection before `Detach`** is the machine's. The driver reads it by itself and passes on
//!   what came in pieces of any size ([`NetInput::Received`]), at most [`HANDSHAKE_OCTETS`] in all;
//!   then it stops reading. It writes what each [`NetCommand::Send`] holds in one write.
//! * **After `Detach`** it is the application's: the driver reads no more for the machine. Octets of
//!   the stream that had been read are pulled from the machine that led the handshake (`early`),
//!   and stand before those that the socket still has. A driver with a full link may get to the
//!   `Detach` late: until then it passes on what comes, and the machine keeps it.
//! * **The end.** [`NetInput::Closed`] tells the machine that a connection is gone or that the peer
//!   shut its half down. The machine answers with [`NetCommand::Close`] for every connection that
//!   it was told of and did not detach, whatever became of it: what is not detached and not closed
//!   is a leak of the machine's. A driver frees a connection at `Close`.
//! * **`ShutdownWrite` and `Close` of a detached connection** are carried out too, once the
//!   application has finished with its half. After `ShutdownWrite` the driver reads to the end,
//!   throws away what it reads, and tells `Closed`; the machine, which has the timer, says `Close`.
//! * **Attempts.** Each `Connect` is answered by `Connected` or `Failed`, once, with its [`Token`].
//!   It cannot be called off: a machine that wants it no more closes the connection when it comes.
//!   Tokens and [`ListenId`]s are unique on the link, so whoever holds several machines gives each
//!   a range of its own.
//! * **Listening.** `Listening` may come several times for one `Listen`, once for each address that
//!   is worth telling a peer, best first: no unspecified and no link-local ones. A driver that
//!   cannot listen does not answer, so nothing may wait for it.

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
    /// A listening socket is ready at this address; it may be so at several.
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
