//! Why things fail.

use alloc::boxed::Box;
use alloc::sync::Arc;
use bytestreams_stanza::StanzaError;
use core::fmt;

/// Why a transfer failed. [`Reason::fault`] says whose fault it is; the text is for people and
/// says what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The peer declined our offer, or we declined theirs: `by`. With the words given, if any.
    Declined {
        /// Who declined.
        by: Side,
        /// The words given.
        text: Option<Arc<str>>,
    },
    /// One side ended the transfer before its end.
    Cancelled {
        /// Who did.
        by: Side,
    },
    /// A request was answered with an error, by the peer or by a server on the way.
    Refused {
        /// What was asked.
        step: Step,
        /// The answer.
        error: Box<StanzaError>,
    },
    /// There is no method that both sides have enabled (XEP-0095, no-valid-streams).
    NoCommonMethod,
    /// The peer does not transfer files by Stream Initiation (XEP-0095, bad-profile).
    BadProfile,
    /// No answer came in time.
    TimedOut {
        /// What was asked.
        step: Step,
    },
    /// The peer broke the protocol of the stream in band.
    Stream(StreamFault),
    /// The peer wants a part of the file that does not exist or was not on offer.
    BadRange {
        /// The offset that it asked for.
        offset: u64,
        /// The length that it asked for.
        length: Option<u64>,
    },
    /// More octets came than were announced.
    TooLong {
        /// How many were announced.
        expected: u64,
    },
    /// More octets came than the range that we asked for: the peer ignores ranges. What was stored
    /// behind the offset is not to be trusted.
    RangeIgnored {
        /// How many the range has.
        expected: u64,
    },
    /// The peer ended the stream before everything had come.
    TooShort {
        /// How many were announced.
        expected: u64,
        /// How many came.
        got: u64,
    },
    /// The application wrote another number of octets than it had offered.
    SourceChanged {
        /// How many were announced.
        expected: u64,
        /// How many were written.
        got: u64,
    },
    /// The application could not complete what was received.
    Incomplete(Incomplete),
    /// There is no room for one more transfer on this link.
    TooMany,
    /// The link is gone.
    LinkLost,
}

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This one.
    Us,
    /// The other.
    Peer,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blame {
    /// Nobody's: somebody chose so.
    Choice,
    /// The peer's, or a server's on the way to it.
    Peer,
    /// The link's.
    Link,
    /// Ours.
    Us,
}

/// What was asked of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// To accept an offer.
    Offer,
    /// To decide on a peer's offer, asked of the application.
    Decision,
    /// To open the stream, after the offer was accepted.
    Open,
    /// To acknowledge a block.
    Data,
    /// To confirm the end of the stream.
    Close,
}

/// How a stream in band was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamFault {
    /// A block came out of its turn.
    OutOfSequence {
        /// The number that was due.
        expected: u16,
        /// The number that came.
        got: u16,
    },
    /// A block was no base64.
    BadEncoding,
    /// A block was larger than agreed.
    BlockTooLarge,
    /// Blocks came faster than they were stored, beyond the buffer.
    Overrun,
}

/// Why the application could not complete what it received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incomplete {
    /// There is no room to store it.
    NoSpace,
    /// The hash of what was received is not the one announced.
    HashMismatch,
    /// Something else, in words.
    Other(Arc<str>),
}

/// Why a command was not carried out: a mistake of the caller, or a transfer that has ended since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no such transfer, or it has ended.
    UnknownTransfer,
    /// The transfer is not at a stage where this can be asked.
    WrongStage,
    /// The offer does not allow ranges (it lacks `<range/>`, `hash` or size), or the range does not
    /// lie within the file.
    BadRange,
}

/// Why nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blocked {
    /// Enough is in flight: wait for [`crate::Event::Writable`].
    Full,
    /// Wait for [`crate::Event::Established`].
    NotEstablished,
    /// All that was announced is written, or `finish` was called.
    Finished,
    /// There is no such transfer, or it has ended.
    UnknownTransfer,
}

impl Reason {
    /// Says whose fault it is.
    pub const fn fault(&self) -> Blame {
        match self {
            Self::Declined { .. } | Self::Cancelled { .. } => Blame::Choice,
            Self::Refused { .. }
            | Self::NoCommonMethod
            | Self::BadProfile
            | Self::Stream(_)
            | Self::BadRange { .. }
            | Self::TooLong { .. }
            | Self::RangeIgnored { .. }
            | Self::TooShort { .. } => Blame::Peer,
            Self::TimedOut { step } => match step {
                Step::Decision => Blame::Us,
                Step::Offer | Step::Open | Step::Data | Step::Close => Blame::Peer,
            },
            Self::LinkLost => Blame::Link,
            Self::SourceChanged { .. } | Self::Incomplete(_) | Self::TooMany => Blame::Us,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl core::error::Error for Reason {}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownTransfer => "no such transfer, or it has ended",
            Self::WrongStage => "the transfer is not at a stage where this can be asked",
            Self::BadRange => "the offer does not allow this range",
        })
    }
}

impl core::error::Error for CommandError {}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "enough is in flight",
            Self::NotEstablished => "the stream is not established yet",
            Self::Finished => "everything announced has been written",
            Self::UnknownTransfer => "no such transfer, or it has ended",
        })
    }
}

impl core::error::Error for Blocked {}
