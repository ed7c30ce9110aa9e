//! How much may be in flight.

use bytestreams_machine::Instant;
use core::num::NonZeroU16;

/// Decides how much may be in flight.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    blocks: u16,
    in_flight: usize,
}

impl Window {
    /// Keeps `blocks` blocks in flight.
    pub(crate) const fn fixed(blocks: NonZeroU16) -> Self {
        Self {
            blocks: blocks.get(),
            in_flight: 0,
        }
    }

    /// Follows the delay of the path.
    pub(crate) const fn adaptive() -> Self {
        Self {
            blocks: 16,
            in_flight: 0,
        }
    }

    /// Says whether a block of so many octets on the wire may go.
    pub(crate) fn may_send(&self, _wire_octets: usize) -> bool {
        self.in_flight < usize::from(self.blocks)
    }

    /// Notes that a block went.
    pub(crate) fn sent(&mut self, _now: Instant, _wire_octets: usize) {
        self.in_flight += 1;
    }

    /// Notes that a block was acknowledged.
    pub(crate) fn acked(&mut self, _now: Instant, _sent_at: Instant, _wire_octets: usize) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Notes that the peer asked to wait and that nothing is in flight any more, acknowledged or
    /// not: from now on one block at a time.
    pub(crate) fn refused_wait(&mut self) {
        self.blocks = 1;
        self.in_flight = 0;
    }

    /// Says whether so many blocks, so many octets on the wire, are half of the window or more.
    pub(crate) fn is_half(&self, blocks: usize, _wire_octets: usize) -> bool {
        blocks * 2 >= usize::from(self.blocks)
    }

    /// The octets to put into the next block, before base64.
    pub(crate) fn chunk(&self, block_size: u16) -> usize {
        let size = usize::from(block_size);
        if size < 3 { size } else { size - size % 3 }
    }
}
