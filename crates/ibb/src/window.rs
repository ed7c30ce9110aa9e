//! How much may be in flight.

#[cfg(feature = "adaptive")]
mod adaptive;
#[cfg(feature = "adaptive")]
mod pace;
#[cfg(all(test, feature = "adaptive"))]
mod tests;
#[cfg(feature = "adaptive")]
mod trials;

#[cfg(feature = "adaptive")]
use adaptive::Adaptive;
#[cfg(feature = "adaptive")]
use alloc::boxed::Box;
use bytestreams_machine::Instant;
use core::num::NonZeroU16;

/// Decides how much may be in flight, and how large the next block is.
///
/// It has no clock, and allocates nothing once made; octets are those on the wire, markup and base64 counted.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    policy: Policy,
    blocks: u32,
    octets: u64,
}

#[derive(Clone, Debug)]
enum Policy {
    Fixed(u16),
    /// Boxed, since it is four times the rest of an idle session's direction.
    #[cfg(feature = "adaptive")]
    Adaptive(Box<Adaptive>),
}

#[cfg_attr(
    not(feature = "adaptive"),
    expect(unused_variables, reason = "a fixed window counts blocks")
)]
impl Window {
    /// The most that is ever in flight, in octets on the wire; a single block may exceed it.
    #[cfg(feature = "adaptive")]
    pub(crate) const MAX: u64 = 1024 * 1024;

    /// Keeps `blocks` blocks in flight.
    pub(crate) const fn fixed(blocks: NonZeroU16) -> Self {
        Self::new(Policy::Fixed(blocks.get()))
    }

    /// Follows the delay of the path.
    #[cfg(feature = "adaptive")]
    pub(crate) fn adaptive() -> Self {
        Self::new(Policy::Adaptive(Box::new(Adaptive::new())))
    }

    const fn new(policy: Policy) -> Self {
        Self {
            policy,
            blocks: 0,
            octets: 0,
        }
    }

    /// Says whether a block of so many octets on the wire may go.
    pub(crate) fn may_send(&self, wire_octets: usize) -> bool {
        if self.blocks == 0 {
            return true;
        }
        match &self.policy {
            Policy::Fixed(blocks) => self.blocks < u32::from(*blocks),
            #[cfg(feature = "adaptive")]
            Policy::Adaptive(adaptive) => {
                let wire = wire_octets as u64;
                self.octets + wire <= Self::MAX && adaptive.may_send(wire, self.octets)
            }
        }
    }

    /// Notes that a block went.
    pub(crate) fn sent(&mut self, now: Instant, wire_octets: usize) {
        let wire = wire_octets as u64;
        #[cfg(feature = "adaptive")]
        if let Policy::Adaptive(adaptive) = &mut self.policy {
            adaptive.sent(wire, self.octets, now);
        }
        self.blocks += 1;
        self.octets += wire;
    }

    /// Notes that a block was acknowledged.
    pub(crate) fn acked(&mut self, now: Instant, sent_at: Instant, wire_octets: usize) {
        let wire = wire_octets as u64;
        #[cfg(feature = "adaptive")]
        if let Policy::Adaptive(adaptive) = &mut self.policy {
            adaptive.acked(wire, sent_at, now);
        }
        self.blocks = self.blocks.saturating_sub(1);
        self.octets = self.octets.saturating_sub(wire);
    }

    /// Notes that the peer asked to wait and that nothing is in flight any more, acknowledged or
    /// not: from now on one block at a time; an adaptive window opens again from there.
    pub(crate) fn refused_wait(&mut self) {
        self.blocks = 0;
        self.octets = 0;
        match &mut self.policy {
            Policy::Fixed(blocks) => *blocks = 1,
            #[cfg(feature = "adaptive")]
            Policy::Adaptive(adaptive) => **adaptive = Adaptive::new(),
        }
    }

    /// Says whether so many blocks, so many octets on the wire, are enough to ask for a sign of their
    /// arrival where none comes by itself: half of a fixed window; an eighth of an adaptive one, so
    /// that it is opened evenly and its delay is seen in time.
    pub(crate) fn wants_sign(&self, blocks: usize, wire_octets: usize) -> bool {
        match &self.policy {
            Policy::Fixed(all) => blocks * 2 >= usize::from(*all),
            #[cfg(feature = "adaptive")]
            Policy::Adaptive(adaptive) => wire_octets as u64 * 8 >= adaptive.octets(),
        }
    }

    /// The octets to put into the next block, before base64: a multiple of 3 where the block size
    /// has room for 3.
    pub(crate) fn chunk(&self, block_size: u16) -> usize {
        let size = match &self.policy {
            Policy::Fixed(_) => block_size,
            #[cfg(feature = "adaptive")]
            Policy::Adaptive(adaptive) => block_size.min(adaptive.chunk()),
        };
        usize::from(if size < 3 { size } else { size - size % 3 })
    }
}
