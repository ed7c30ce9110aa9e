//! How far a SOCKS5 bytestream is.

use alloc::boxed::Box;
use bytes::Bytes;
use bytestreams_machine::{ConnId, Input, Instant, Machine, Output};
use bytestreams_socks5::{Event, Requester, Target};
use bytestreams_stanza::Id;

/// The negotiation of one bytestream, then its socket.
#[derive(Debug)]
pub(crate) enum Phase {
    /// We offered StreamHosts.
    Requesting(Box<Requester>),
    /// We try the peer's.
    Trying(Trying),
    /// We are connected, and the Sender has not begun. It may still find that it cannot: a Proxy
    /// that does not activate tells the Requester alone.
    Quiet(Quiet),
    /// The socket is the application's.
    Moving(Moving),
    /// Our half of it is shut down, and the peer may close until then.
    Ending(Instant),
}

#[derive(Debug)]
pub(crate) struct Trying {
    pub(super) target: Box<Target>,
    /// The request with the offer, by which a repeated one is known.
    pub(super) request: Id,
}

#[derive(Debug)]
pub(crate) struct Quiet {
    pub(super) conn: ConnId,
    pub(super) via: crate::Via,
    pub(super) request: Id,
    /// The Sender has until then.
    pub(super) due: Instant,
}

#[derive(Debug)]
pub(crate) struct Moving {
    pub(super) conn: ConnId,
    /// What came before the socket was the application's.
    pub(super) early: Bytes,
    /// The peer will send no more.
    pub(super) gone: bool,
}

impl Phase {
    pub(crate) fn due(&self) -> Option<Instant> {
        match self {
            Self::Requesting(requester) => requester.poll_timeout(),
            Self::Trying(trying) => trying.target.poll_timeout(),
            Self::Quiet(Quiet { due, .. }) | Self::Ending(due) => Some(*due),
            Self::Moving(_) => None,
        }
    }

    pub(crate) fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        match self {
            Self::Requesting(requester) => requester.handle_input(input, now),
            Self::Trying(trying) => trying.target.handle_input(input, now),
            Self::Quiet(_) | Self::Moving(_) | Self::Ending(..) => Some(input),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Requesting(requester) => requester.handle_timeout(now),
            Self::Trying(trying) => trying.target.handle_timeout(now),
            Self::Quiet(_) | Self::Moving(_) | Self::Ending(..) => {}
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output<Event>> {
        match self {
            Self::Requesting(requester) => requester.poll_output(),
            Self::Trying(trying) => trying.target.poll_output(),
            Self::Quiet(_) | Self::Moving(_) | Self::Ending(..) => None,
        }
    }

    /// Gives the negotiation up; what it has to say then is to be polled.
    pub(super) fn cancel(&mut self, now: Instant) {
        match self {
            Self::Requesting(requester) => requester.cancel(now),
            Self::Trying(trying) => trying.target.cancel(now),
            Self::Quiet(_) | Self::Moving(_) | Self::Ending(..) => {}
        }
    }

    /// Whether octets travel, or have.
    pub(crate) fn is_established(&self) -> bool {
        matches!(self, Self::Moving(_) | Self::Ending(..))
    }

    /// Whether octets travel.
    pub(crate) fn is_moving(&self) -> bool {
        matches!(self, Self::Moving(_))
    }

    /// The request with the peer's offer, while that is not settled.
    pub(super) fn request(&self) -> Option<&Id> {
        match self {
            Self::Trying(Trying { request, .. }) | Self::Quiet(Quiet { request, .. }) => {
                Some(request)
            }
            Self::Requesting(_) | Self::Moving(_) | Self::Ending(..) => None,
        }
    }

    /// Takes what came before the socket was the application's.
    pub(super) fn early(&mut self) -> Bytes {
        match self {
            Self::Moving(moving) => core::mem::take(&mut moving.early),
            Self::Requesting(_) | Self::Trying(_) | Self::Quiet(_) | Self::Ending(..) => {
                Bytes::new()
            }
        }
    }
}
