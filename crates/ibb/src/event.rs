//! What a session tells, and why one fails.

use bytestreams_stanza::StanzaError;
use core::fmt;

/// What a [`Session`](crate::Session) tells the application.
///
/// [`Event::Closed`] and [`Event::Failed`] are terminal: nothing follows them, and the session can
/// be dropped once what is left to read was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The stream is open; octets can be written. Comes first, for a responder too.
    Opened {
        /// The block size agreed on, in octets before base64.
        block_size: u16,
    },
    /// There is something to [`read`](crate::Session::read). Not told again before `read` has
    /// answered `None`.
    Readable,
    /// A [`write`](crate::Session::write) that was blocked can go on.
    Writable,
    /// The peer has everything up to here.
    Acknowledged {
        /// Octets since the stream began.
        octets: u64,
    },
    /// The peer wants to close; no more octets will come. Read what is left, complete, then
    /// [`confirm_close`](crate::Session::confirm_close).
    PeerClosed,
    /// The stream is closed and everything written was acknowledged. Terminal.
    Closed,
    /// The stream is closed, and not as it should be. Terminal.
    Failed(Reason),
}

/// Why a stream failed. [`Reason::fault`] says whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The `<open/>` was answered with an error, by the peer or by a server on the way.
    Refused(StanzaError),
    /// A block was answered with an error.
    DataRefused {
        /// The answer.
        error: StanzaError,
        /// Whether more than one block has ever been in flight. Together with
        /// `unexpected-request` it says that the peer does not handle blocks in order: offer the
        /// stream again at a window of 1 ([`Reason::suspects_window`]).
        pipelined: bool,
    },
    /// The peer closed before it had everything.
    PeerClosed {
        /// Octets written and not acknowledged.
        unacknowledged: u64,
        /// Whether more than one block has ever been in flight.
        pipelined: bool,
    },
    /// The `<close/>` was answered with not-acceptable: the peer has everything, and does not keep
    /// it.
    NotTaken(StanzaError),
    /// A block had another number than the next one (XEP-0047, 2.2).
    OutOfSequence {
        /// The number of the next block.
        expected: u16,
        /// The number that came.
        got: u16,
    },
    /// A block was larger than agreed (XEP-0047, 2.2).
    BlockTooLarge {
        /// Its octets.
        octets: usize,
        /// The block size agreed on.
        block_size: u16,
    },
    /// A block could not be read: its base64 is bad, or its `seq` is.
    BadData(bytestreams_stanza::Fault),
    /// The peer sent more than [`Config::receive_buffer`](crate::Config) without waiting for
    /// acknowledgements.
    Overrun,
    /// No answer came in time.
    TimedOut {
        /// What was asked.
        step: Step,
        /// Octets written and not acknowledged. Some peers never acknowledge the block that
        /// completes a file: when this is no more than one block and the stream was finished, the
        /// file may well have arrived.
        unacknowledged: u64,
    },
    /// [`abort`](crate::Session::abort) was called.
    Aborted,
}

/// What was asked when no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// `<open/>`
    Open,
    /// A block, or the ping behind blocks that messages carry.
    Data,
    /// A ping to a peer that was silent.
    Silence,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The peer refused, closed early, or broke the protocol.
    Peer,
    /// The octets that came could not be read.
    Bytes,
    /// No answer came in time.
    Timeout,
    /// The application wanted it so.
    Local,
}

impl Reason {
    /// Says whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Refused(_)
            | Self::DataRefused { .. }
            | Self::NotTaken(_)
            | Self::PeerClosed { .. }
            | Self::OutOfSequence { .. }
            | Self::BlockTooLarge { .. }
            | Self::Overrun => Fault::Peer,
            Self::BadData(_) => Fault::Bytes,
            Self::TimedOut { .. } => Fault::Timeout,
            Self::Aborted => Fault::Local,
        }
    }

    /// Says whether the stream may have failed because more than one block was in flight: then it
    /// is worth offering it again, once, at a window of 1.
    pub fn suspects_window(&self) -> bool {
        use bytestreams_stanza::Condition;
        let Self::DataRefused { error, pipelined } = self else {
            return false;
        };
        *pipelined && error.condition == Condition::UnexpectedRequest
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "stream refused: {error}"),
            Self::DataRefused { error, .. } => write!(f, "block refused: {error}"),
            Self::NotTaken(error) => write!(f, "not kept by the peer: {error}"),
            Self::PeerClosed { unacknowledged, .. } => {
                write!(
                    f,
                    "closed by the peer with {unacknowledged} octets unacknowledged"
                )
            }
            Self::OutOfSequence { expected, got } => {
                write!(f, "block {got} came where {expected} was next")
            }
            Self::BlockTooLarge { octets, block_size } => {
                write!(
                    f,
                    "a block of {octets} octets where {block_size} were agreed on"
                )
            }
            Self::BadData(_) => f.write_str("a block could not be read"),
            Self::Overrun => f.write_str("the peer sends without waiting for acknowledgements"),
            Self::TimedOut { step, .. } => write!(f, "no answer in time to {step}"),
            Self::Aborted => f.write_str("aborted"),
        }
    }
}

impl core::error::Error for Reason {}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "the opening",
            Self::Data => "a block",
            Self::Silence => "a ping after silence",
        })
    }
}

/// Why nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blocked {
    /// The stream is not open yet; [`Event::Opened`] or [`Event::Writable`] will tell.
    Opening,
    /// The window is full; [`Event::Writable`] will tell.
    Window,
    /// Nothing can be written any more: the stream was finished, or is closed.
    Closed,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Opening => "the stream is not open yet",
            Self::Window => "the window is full",
            Self::Closed => "the stream is closed",
        })
    }
}

impl core::error::Error for Blocked {}
