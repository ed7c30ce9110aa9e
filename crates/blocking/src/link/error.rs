//! Why a link could not be made, and why it ended.

use bytestreams_stanza::{OpeningError, StreamError};
use core::fmt;
use std::io;

/// Why a link ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkError {
    /// It was ended in order, by the peer or by us.
    Closed,
    /// The connection was lost.
    Io(io::Error),
    /// The peer ended the stream with an error (RFC 6120, 4.9).
    Stream(StreamError),
    /// What the peer sent is no XML stream as RFC 6120 has it.
    Xml {
        /// What is wrong.
        what: String,
        /// The stream error to answer (RFC 6120, 4.9.3).
        condition: &'static str,
    },
    /// The peer was silent for too long.
    Silent,
}

/// Why a link could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The host has no address, refused, or could not be reached.
    Connect {
        /// Where to.
        host: String,
        /// Why not.
        source: io::Error,
    },
    /// The server refused the secret.
    Auth(String),
    /// The stream broke while it was being set up.
    Link(LinkError),
    /// It took longer than was allowed.
    TimedOut {
        /// What was being waited for.
        step: &'static str,
    },
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the stream was closed"),
            Self::Io(error) => write!(f, "the connection was lost: {error}"),
            Self::Stream(failure) => write!(f, "the other side ended the stream: {failure}"),
            Self::Xml { what, .. } => write!(f, "the other side does not speak XMPP: {what}"),
            Self::Silent => f.write_str("the other side fell silent"),
        }
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { host, source } => write!(
                f,
                "cannot connect to {host}: {source}; check the address and that something listens there"
            ),
            Self::Auth(what) => write!(
                f,
                "the server refused the login: {what}; check the JID and the secret"
            ),
            Self::Link(error) => write!(
                f,
                "the stream could not be set up: {error}; check the address and the port, or try again"
            ),
            Self::TimedOut { step } => {
                write!(
                    f,
                    "no answer in time to {step}; try again, or check the server"
                )
            }
        }
    }
}

impl core::error::Error for LinkError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Stream(failure) => Some(failure),
            Self::Closed | Self::Xml { .. } | Self::Silent => None,
        }
    }
}

impl core::error::Error for ConnectFailure {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Connect { source, .. } => Some(source),
            Self::Link(error) => Some(error),
            Self::Auth(_) | Self::TimedOut { .. } => None,
        }
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<LinkError> for ConnectFailure {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl From<OpeningError> for ConnectFailure {
    fn from(error: OpeningError) -> Self {
        let about_us = error.is_about_us();
        let what = error.to_string();
        match error {
            OpeningError::Refused(error) if about_us => Self::Auth(error.to_string()),
            OpeningError::Refused(error) => LinkError::Stream(error).into(),
            OpeningError::Ended => LinkError::Closed.into(),
            OpeningError::Unbound(_) | OpeningError::BadHeader | OpeningError::Unexpected | _ => {
                LinkError::Xml {
                    what,
                    condition: "undefined-condition",
                }
                .into()
            }
        }
    }
}
