//! How far a SOCKS5 bytestream is.

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use bytestreams_machine::{ConnId, HANDSHAKE_OCTETS, Input, Instant, Machine, Output};
use bytestreams_socks5::{Event, Requester, Target, Via};

/// The negotiation of one bytestream, then its socket.
#[derive(Debug)]
pub(crate) enum Phase {
    /// We offered StreamHosts.
    Requesting(Box<Requester>),
    /// We try the peer's.
    Trying(Box<Target>),
    /// We are connected, and the Sender has not begun. It may still find that it cannot: a Proxy
    /// that does not activate tells the Requester alone.
    Quiet(Quiet),
    /// The socket is the application's.
    Moving(Moving),
    /// Our half of it is shut down, and the peer may close until then.
    Ending(Instant),
}

#[derive(Debug)]
pub(crate) struct Quiet {
    pub(super) conn: ConnId,
    pub(super) via: Via,
    /// Answers what is repeated.
    pub(super) target: Box<Target>,
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

impl Moving {
    /// Appends what came before the socket was the application's, which a driver bounds.
    pub(super) fn append(&mut self, conn: ConnId, octets: &Bytes) {
        if self.conn == conn && self.early.len() + octets.len() <= HANDSHAKE_OCTETS {
            let mut early = Vec::with_capacity(self.early.len() + octets.len());
            early.extend_from_slice(&self.early);
            early.extend_from_slice(octets);
            self.early = early.into();
        }
    }
}

impl Phase {
    pub(crate) fn due(&self) -> Option<Instant> {
        match self {
            Self::Requesting(requester) => requester.poll_timeout(),
            Self::Trying(target) => target.poll_timeout(),
            Self::Quiet(Quiet { due, .. }) | Self::Ending(due) => Some(*due),
            Self::Moving(_) => None,
        }
    }

    pub(crate) fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        match self {
            Self::Requesting(requester) => requester.handle_input(input, now),
            Self::Trying(target) | Self::Quiet(Quiet { target, .. }) => {
                target.handle_input(input, now)
            }
            Self::Moving(_) | Self::Ending(..) => Some(input),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Requesting(requester) => requester.handle_timeout(now),
            Self::Trying(target) => target.handle_timeout(now),
            Self::Quiet(_) | Self::Moving(_) | Self::Ending(..) => {}
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<Output<Event>> {
        match self {
            Self::Requesting(requester) => requester.poll_output(),
            Self::Trying(target) | Self::Quiet(Quiet { target, .. }) => target.poll_output(),
            Self::Moving(_) | Self::Ending(..) => None,
        }
    }

    /// Gives the negotiation up; what it has to say then is to be polled.
    pub(super) fn cancel(&mut self, now: Instant) {
        match self {
            Self::Requesting(requester) => requester.cancel(now),
            Self::Trying(target) => target.cancel(now),
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

    /// Whether it is the peer's, and may come to nothing yet.
    pub(super) fn is_unsure(&self) -> bool {
        matches!(self, Self::Trying(_) | Self::Quiet(_))
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
