//! What the server tells.

use crate::Peer;
use bytestreams_stor::{Fault, Request};
use core::fmt;
use core::time::Duration;
use std::path::PathBuf;

/// Names one upload of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(pub(crate) u64);

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the server tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client wants to upload a file; nothing is decided yet.
    Requested {
        /// Which upload.
        id: UploadId,
        /// Who.
        peer: Peer,
        /// What.
        request: Request,
    },
    /// A file is in place.
    Stored {
        /// Which upload.
        id: UploadId,
        /// Where.
        path: PathBuf,
        /// Its octets.
        size: u64,
        /// How long it took from the request on.
        took: Duration,
    },
    /// An upload came to nothing, or was none.
    Failed {
        /// Which upload; `None` where none was requested.
        id: Option<UploadId>,
        /// Who.
        peer: Peer,
        /// Why.
        failure: Failure,
    },
    /// A connection could not be taken.
    AcceptFailed(std::io::Error),
}

/// Why an upload came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The client did what it may not.
    Fault(Fault),
    /// The server refused.
    Refused(String),
    /// The file could not be stored.
    Storage(String),
    /// The client left before the end.
    Left,
    /// The client was silent for too long, or left answers unread.
    TimedOut,
    /// The server stops.
    Stopped,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Refused(why) | Self::Storage(why) => f.write_str(why),
            Self::Left => f.write_str("the client left before the end"),
            Self::TimedOut => f.write_str("the client was silent for too long"),
            Self::Stopped => f.write_str("the server stops"),
        }
    }
}

impl core::error::Error for Failure {}
