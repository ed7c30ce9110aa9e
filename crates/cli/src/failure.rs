//! Why the program ends without having done what it was asked.

use bytestreams_tokio::link::ConnectFailure;
use bytestreams_tokio::{Reason, ReceiveError, SendError};

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
const LINK_LOST: &str = "link-lost";

impl From<ConnectFailure> for Failure {
    fn from(failure: ConnectFailure) -> Self {
        Self::unconnected(failure.to_string())
    }
}

/// Why a file was not sent, for people and scripts.
pub(crate) fn words_of_send(error: &SendError) -> String {
    match error {
        SendError::Transfer(Reason::LinkLost) => LINK_LOST.into(),
        _ => error.to_string(),
    }
}

/// Why a file was not received, for people and scripts.
pub(crate) fn words_of_receive(error: &ReceiveError) -> String {
    match error {
        ReceiveError::Transfer(Reason::LinkLost) => LINK_LOST.into(),
        _ => error.to_string(),
    }
}

/// The exit status for a transfer that failed.
pub(crate) fn status_of(reason: &Reason) -> u8 {
    match reason {
        Reason::Declined { .. } => DECLINED,
        _ => FAILED,
    }
}

/// The exit status for a file that was not sent.
pub(crate) fn status_of_send(error: &SendError) -> u8 {
    match error {
        SendError::Transfer(reason) => status_of(reason),
        _ => FAILED,
    }
}

/// The exit status for a file that was not received.
pub(crate) fn status_of_receive(error: &ReceiveError) -> u8 {
    match error {
        ReceiveError::Transfer(reason) => status_of(reason),
        _ => FAILED,
    }
}
