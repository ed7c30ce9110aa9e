//! Why things fail.

use crate::transfer::Transfer;
use alloc::boxed::Box;
use alloc::sync::Arc;
use bytestreams_ibb::refusal;
use bytestreams_stanza::{Condition, StanzaError};
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
    /// The stream in band broke, by the peer's fault.
    Stream(bytestreams_ibb::Reason),
    /// The SOCKS5 bytestream did not come about.
    #[cfg(feature = "socks5")]
    Socks5(bytestreams_socks5::Reason),
    /// The peer went in band instead of the SOCKS5 bytestream that was agreed on.
    #[cfg(feature = "socks5")]
    GivenUp,
    /// The socket broke while octets travelled.
    #[cfg(feature = "socks5")]
    Connection(ConnEnd),
    /// Everything was sent and the end asked for, but the last block was never acknowledged. Some
    /// peers never do; the file may well have arrived.
    Unconfirmed {
        /// Octets not acknowledged.
        octets: u64,
    },
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
    /// The entropy given makes a stream identifier that is in use with this peer.
    SidInUse,
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
    /// To close the stream, once everything was acknowledged. Refused, it says that the file is not
    /// kept.
    Close,
}

/// How a socket ended before its time, as the driver found it.
#[cfg(feature = "socks5")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnEnd {
    /// It was reset, or closed while there was more to write.
    Reset,
    /// Nothing went through for too long.
    TimedOut,
    /// Something else.
    Broken,
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
    /// Says what a peer is told that sent in vain, so that it does not take the file for kept.
    /// Nothing where it ended the stream itself, or where a stream that is closed says enough.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever else goes wrong, the peer knows or a closed stream tells"
    )]
    pub(crate) fn to_sender(&self, transfer: &Transfer) -> Option<StanzaError> {
        let has_everything = transfer.ended || transfer.has_everything();
        let text = match self {
            Self::Incomplete(Incomplete::HashMismatch) => "the file differs from the one announced",
            Self::Incomplete(Incomplete::NoSpace) => "there is no space left for the file",
            Self::Incomplete(Incomplete::Other(_)) => "the file could not be stored",
            Self::TooLong { .. } | Self::RangeIgnored { .. } => "more came than was asked for",
            Self::Cancelled { by: Side::Us } if has_everything => "the receiver cancelled",
            _ => return None,
        };
        transfer.receives().then(|| StanzaError {
            text: Some(text.into()),
            ..refusal::not_acceptable()
        })
    }

    /// Says whose fault it is.
    pub const fn fault(&self) -> Blame {
        match self {
            Self::Declined { .. } | Self::Cancelled { .. } => Blame::Choice,
            Self::Refused { .. }
            | Self::NoCommonMethod
            | Self::BadProfile
            | Self::Stream(_)
            | Self::Unconfirmed { .. }
            | Self::BadRange { .. }
            | Self::TooLong { .. }
            | Self::RangeIgnored { .. }
            | Self::TooShort { .. } => Blame::Peer,
            Self::TimedOut { step } => match step {
                Step::Decision => Blame::Us,
                Step::Offer | Step::Open | Step::Data | Step::Close => Blame::Peer,
            },
            #[cfg(feature = "socks5")]
            Self::Socks5(reason) => match reason.fault() {
                bytestreams_socks5::Fault::Network => Blame::Link,
                bytestreams_socks5::Fault::Local => Blame::Us,
                bytestreams_socks5::Fault::Peer | bytestreams_socks5::Fault::Proxy | _ => {
                    Blame::Peer
                }
            },
            #[cfg(feature = "socks5")]
            Self::GivenUp => Blame::Peer,
            #[cfg(feature = "socks5")]
            Self::Connection(_) => Blame::Link,
            Self::LinkLost => Blame::Link,
            Self::SourceChanged { .. } | Self::Incomplete(_) | Self::TooMany | Self::SidInUse => {
                Blame::Us
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declined { by, text } => {
                f.write_str(match by {
                    Side::Peer => "the peer declined the offer",
                    Side::Us => "the offer was declined here",
                })?;
                text.iter().try_for_each(|text| write!(f, ": {text}"))
            }
            Self::Cancelled { by: Side::Us } => f.write_str("the transfer was cancelled here"),
            Self::Cancelled { by: Side::Peer } => {
                f.write_str("the peer ended the transfer early; ask it, then send again")
            }
            Self::Refused { step, error } => {
                write!(f, "{step} was refused ({error}); {}", advice(*step, error.condition))
            }
            Self::NoCommonMethod => f.write_str(
                "the two sides have no stream method in common; enable in-band bytestreams on both",
            ),
            Self::BadProfile => f.write_str(
                "the peer takes no files by Stream Initiation; use another program there",
            ),
            Self::TimedOut { step } => f.write_str(match step {
                Step::Offer => {
                    "the offer was not answered in time; make sure that somebody is there, or send \
                     without an offer"
                }
                Step::Decision => "nobody decided on the offer in time; have the peer send again",
                Step::Open => "the stream was not opened in time; make sure that the peer is online",
                Step::Data => "the peer no longer answers; check its connection, then send again",
                Step::Close => "the end was not answered in time; ask the peer whether it has the file",
            }),
            Self::Stream(reason) => write!(f, "the stream broke: {reason}; send again"),
            #[cfg(feature = "socks5")]
            Self::Socks5(reason @ bytestreams_socks5::Reason::NoneUsable) => write!(
                f,
                "the SOCKS5 bytestream failed: {reason}; have the peer name a proxy, allow direct \
                 connections here, or have it sent in band"
            ),
            #[cfg(feature = "socks5")]
            Self::Socks5(reason) => write!(
                f,
                "the SOCKS5 bytestream failed: {reason}; name another proxy, or send in band"
            ),
            #[cfg(feature = "socks5")]
            Self::GivenUp => f.write_str(
                "the peer gave the SOCKS5 bytestream up; send again in band",
            ),
            #[cfg(feature = "socks5")]
            Self::Connection(end) => write!(f, "{end}; send again"),
            Self::Unconfirmed { octets } => write!(
                f,
                "all is sent, but the last {octets} octets were not acknowledged; ask the peer \
                 whether the file is complete"
            ),
            Self::BadRange { offset, length } => {
                write!(f, "the peer asked for a part that is not on offer, from octet {offset}")?;
                let mut length = length.iter();
                length.try_for_each(|length| write!(f, ", {length} octets"))?;
                f.write_str("; let it delete its partial file, then send again")
            }
            Self::TooLong { expected } => write!(
                f,
                "more came than the {expected} octets announced; have the peer send again"
            ),
            Self::RangeIgnored { expected } => write!(
                f,
                "more came than the {expected} octets asked for, so the peer cannot resume; delete \
                 the partial file, then have it send again"
            ),
            Self::TooShort { expected, got } => write!(
                f,
                "only {got} of {expected} octets came; have the peer send again"
            ),
            Self::SourceChanged { expected, got } => write!(
                f,
                "{got} octets were there to send where {expected} were announced; send again once \
                 the file no longer changes"
            ),
            Self::Incomplete(incomplete) => write!(f, "{incomplete}"),
            Self::TooMany => {
                f.write_str("there are too many transfers on this link; wait for one to end")
            }
            Self::SidInUse => f.write_str(
                "the stream identifier is in use with this peer; draw new entropy for each transfer",
            ),
            Self::LinkLost => f.write_str("the connection was lost; connect, then send again"),
        }
    }
}

/// Says what to do about an error.
const fn advice(step: Step, condition: Condition) -> &'static str {
    match (step, condition) {
        (
            Step::Offer | Step::Open,
            Condition::ServiceUnavailable
            | Condition::FeatureNotImplemented
            | Condition::RecipientUnavailable
            | Condition::ItemNotFound
            | Condition::Gone,
        ) => {
            "make sure that the address is full, with its resource, and of a program that is online \
              and takes files"
        }
        (_, Condition::RemoteServerNotFound | Condition::RemoteServerTimeout) => {
            "check the domain of the address, and try again later"
        }
        (_, Condition::ResourceConstraint | Condition::PolicyViolation) => {
            "the peer or a server has too much to do; send fewer files at once, or later"
        }
        (Step::Open, Condition::NotAcceptable | Condition::NotAllowed | Condition::Forbidden) => {
            "the peer does not take this stream; offer the file, or have the peer allow streams \
             without an offer"
        }
        (Step::Data, Condition::ItemNotFound | Condition::ServiceUnavailable) => {
            "the peer has gone or forgotten the stream; send again"
        }
        (Step::Data | Step::Close, Condition::NotAcceptable) => {
            "the peer did not keep the file; send again, or ask it why"
        }
        _ => "send again, or ask the peer",
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Offer => "the offer",
            Self::Decision => "the decision",
            Self::Open => "the stream",
            Self::Data => "a block",
            Self::Close => "the file",
        })
    }
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSpace => f.write_str("there is no space left here; make room, then resume"),
            Self::HashMismatch => f.write_str(
                "the file differs from the one announced; delete the partial file, then have the \
                 peer send again",
            ),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl core::error::Error for Incomplete {}

#[cfg(feature = "socks5")]
impl fmt::Display for ConnEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "the connection was reset",
            Self::TimedOut => "the connection stood still for too long",
            Self::Broken => "the connection broke",
        })
    }
}

#[cfg(feature = "socks5")]
impl core::error::Error for ConnEnd {}

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

#[cfg(test)]
mod tests;
