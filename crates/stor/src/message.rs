//! What travels, what goes in, what comes out.

use bytes::Bytes;
use core::fmt;

/// A message of a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text. Whether it is UTF-8 is looked at where it matters.
    Text(Bytes),
    /// Octets.
    Binary(Bytes),
}

/// What a driver feeds a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A message came.
    Message(Message),
    /// A message came that is longer than the driver takes; it was not kept.
    Oversized,
    /// The other side closed, or the connection is lost.
    Closed,
}

/// What a machine asks of its driver. Exhaustive on purpose: a driver that forgets a kind must not
/// compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<E> {
    /// Send this message.
    Send(Message),
    /// Close the WebSocket. What is sent before must arrive: read on, and throw away what comes,
    /// until the other side has closed too, but not for ever.
    Close(Closing),
    /// Tell the application.
    Event(E),
}

/// Why a WebSocket is closed (RFC 6455, section 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// All is said.
    Normal,
    /// This side stops.
    GoingAway,
    /// The upload was refused; the answer before says why.
    Refused,
    /// A message was too long.
    TooBig,
    /// Nothing came for too long.
    TimedOut,
}

impl Closing {
    /// The status code of the closing frame.
    pub const fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway => 1001,
            Self::Refused | Self::TimedOut => 1008,
            Self::TooBig => 1009,
        }
    }

    /// The text of the closing frame.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::GoingAway => "stopping",
            Self::Refused => "refused",
            Self::TooBig => "message too long",
            Self::TimedOut => "nothing came for too long",
        }
    }
}

/// How blocks travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Each in a text message, in base64.
    #[default]
    Base64,
    /// Each in a binary message, as it is.
    Binary,
}

impl Encoding {
    /// The word in `STOR`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Binary => "binary",
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
