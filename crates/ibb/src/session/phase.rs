//! Where a stream stands.

use alloc::boxed::Box;
use bytestreams_machine::Instant;
use bytestreams_stanza::{Id, StanzaError};

/// Where a stream stands, with what only matters there. Ids are boxed to keep an idle session
/// small.
#[derive(Debug)]
pub(super) enum Phase {
    /// Our `<open/>` waits for its answer.
    Opening {
        request: Box<Id>,
        due: Instant,
        aborted: bool,
    },
    /// Both directions are open.
    Open {
        /// The `<open/>` that we answered, if we are the responder.
        accepted: Option<Box<Id>>,
        /// Until then a responder says nothing, unless the initiator shows life.
        quiet: Option<Instant>,
    },
    /// Our `<close/>` waits for its answer; the peer may still send.
    Closing(OurClose),
    /// The peer's `<close/>` waits for our answer; we may still send.
    PeerClosing(PeerClose),
    /// The two crossed: both wait.
    Crossing(OurClose, PeerClose),
    /// The application does not take what came: the peer's next block or its `<close/>` is answered
    /// so.
    Refusing {
        error: Box<StanzaError>,
        due: Instant,
    },
    /// The terminal event is told, or in the queue.
    Over,
}

/// A `<close/>` that we sent.
#[derive(Debug)]
pub(super) struct OurClose {
    pub(super) request: Box<Id>,
    pub(super) due: Instant,
}

/// A `<close/>` that the peer sent.
#[derive(Debug)]
pub(super) struct PeerClose {
    pub(super) request: Box<Id>,
    pub(super) due: Instant,
}

impl Phase {
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// Says whether the peer's `<close/>` waits for our answer.
    pub(super) fn is_peer_closing(&self) -> bool {
        matches!(self, Self::PeerClosing(_) | Self::Crossing(..))
    }

    /// Says whether octets of ours may go at `now`.
    pub(super) fn may_speak(&self, now: Instant) -> bool {
        match self {
            Self::Open { quiet, .. } => quiet.is_none_or(|until| until <= now),
            Self::PeerClosing(_) => true,
            Self::Opening { .. }
            | Self::Closing(_)
            | Self::Crossing(..)
            | Self::Refusing { .. }
            | Self::Over => false,
        }
    }

    /// Says whether blocks of the peer are taken.
    pub(super) fn hears(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Closing(_) => true,
            Self::Opening { .. }
            | Self::PeerClosing(_)
            | Self::Crossing(..)
            | Self::Refusing { .. }
            | Self::Over => false,
        }
    }

    /// Says when it ends by itself.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::Opening { due, .. } | Self::Refusing { due, .. } => Some(*due),
            Self::Closing(ours) => Some(ours.due),
            Self::PeerClosing(theirs) => Some(theirs.due),
            Self::Crossing(ours, theirs) => Some(ours.due.min(theirs.due)),
            Self::Open { .. } | Self::Over => None,
        }
    }
}
