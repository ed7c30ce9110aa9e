//! Why an upload failed, as the client sees it.

use alloc::string::String;
use core::fmt;

/// Why an upload failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The server refused, or could not go on.
    Refused {
        /// Its code: see [`crate::Code`] for those that are named.
        code: i64,
        /// What it says, which may be anything.
        message: String,
    },
    /// The server said something that is no answer.
    NoAnswer,
    /// The server answered what was not asked.
    OutOfTurn,
    /// The server read another number of octets than the block has.
    Miscounted {
        /// The block's.
        sent: u64,
        /// The server's.
        read: u64,
    },
    /// The server closed before the end.
    Closed,
    /// The server did not answer in time.
    TimedOut,
    /// The application stopped it.
    Stopped,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, message } if message.is_empty() => {
                write!(f, "the server refused with {code}")
            }
            Self::Refused { code, message } => write!(f, "the server refused: {message} ({code})"),
            Self::NoAnswer => f.write_str("the server does not speak this protocol"),
            Self::OutOfTurn => f.write_str("the server answered what was not asked"),
            Self::Miscounted { sent, read } => {
                write!(f, "the server read {read} bytes of a block of {sent}")
            }
            Self::Closed => f.write_str("the server closed the connection before the end"),
            Self::TimedOut => f.write_str("the server did not answer in time"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl core::error::Error for Reason {}
