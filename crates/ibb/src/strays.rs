//! What belongs to no session.

use bytestreams_machine::{Input, Instant, Machine, Output};
use bytestreams_stanza::{Jid, Sid};
use core::convert::Infallible;

/// Answers the blocks and closes that no session took, and remembers the streams that ended.
#[derive(Clone, Debug, Default)]
pub struct Strays {}

impl Strays {
    /// Makes one that remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers a stream that ended.
    pub fn remember(&mut self, _peer: Jid, _sid: Sid, _now: Instant) {}
}

impl Machine for Strays {
    type Event = Infallible;

    fn handle_input(&mut self, input: Input, _now: Instant) -> Option<Input> {
        Some(input)
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<Output<Infallible>> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
