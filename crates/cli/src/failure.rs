//! Why the program ends without having done what it was asked.

use bytestreams_tokio::link::ConnectFailure;
use bytestreams_tokio::{Reason, ReceiveError, SendError};
use core::fmt::Display;

/// Exit status: the transfer failed or was cancelled.
pub(crate) const FAILED: u8 = 1;
/// Exit status: what was asked for makes no sense.
pub(crate) const USAGE: u8 = 2;
/// Exit status: the file was declined.
pub(crate) const DECLINED: u8 = 3;
/// Exit status: no connection or no login.
pub(crate) const UNCONNECTED: u8 = 4;

/// Why the program ends, with the exit status for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: u8,
    /// For people; empty when an event has said it already.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            status: USAGE,
            message: message.into(),
        }
    }

    pub(crate) fn unconnected(message: impl Into<String>) -> Self {
        Self {
            status: UNCONNECTED,
            message: message.into(),
        }
    }

    /// A failure that an event has told.
    pub(crate) fn told(status: u8) -> Self {
        Self {
            status,
            message: String::new(),
        }
    }
}

/// The reason of a transfer whose link ended: scripts try it again.
pub(crate) const LINK_LOST: &str = "link-lost";

impl From<ConnectFailure> for Failure {
    fn from(failure: ConnectFailure) -> Self {
        Self::unconnected(failure.to_string())
    }
}

/// An error that may be the failure of a transfer.
pub(crate) trait Cause: Display {
    fn reason(&self) -> Option<&Reason>;

    /// For people and scripts.
    fn words(&self) -> String {
        match self.reason() {
            Some(Reason::LinkLost) => LINK_LOST.into(),
            _ => self.to_string(),
        }
    }

    /// The exit status.
    fn status(&self) -> u8 {
        match self.reason() {
            Some(Reason::Declined { .. }) => DECLINED,
            _ => FAILED,
        }
    }
}

impl Cause for SendError {
    fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Transfer(reason) => Some(reason),
            _ => None,
        }
    }
}

impl Cause for ReceiveError {
    fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Transfer(reason) => Some(reason),
            _ => None,
        }
    }
}
