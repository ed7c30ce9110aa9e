//! Buffers for decoded blocks, used again once the blocks are gone.

use bytes::{Bytes, BytesMut};

use crate::Limits;
use alloc::vec::Vec;

/// Lends room for one block at a time and takes it back when all who hold the block let go.
///
/// Blocks share buffers of at most 64 KiB, so a block that is held keeps its neighbours' room; one
/// of less than a 32nd of a buffer gets an allocation of its own, which bounds that.
#[derive(Debug)]
pub(crate) struct Slab {
    buffers: Vec<BytesMut>,
    /// The buffer in use.
    current: usize,
    /// Octets of a shared buffer.
    chunk: usize,
    /// For blocks too small to share a buffer.
    small: BytesMut,
    in_small: bool,
}

impl Slab {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            buffers: Vec::new(),
            current: 0,
            chunk: limits.block.clamp(64, CHUNK).next_power_of_two(),
            small: BytesMut::new(),
            in_small: false,
        }
    }

    /// An empty buffer with room for `octets`; what was written and not taken is forgotten.
    ///
    /// The caller writes into it (without allocating, up to `octets`), then calls
    /// [`Self::take`].
    pub(crate) fn buffer(&mut self, octets: usize) -> &mut BytesMut {
        if octets < self.chunk / SMALL {
            self.in_small = true;
            self.small = BytesMut::with_capacity(octets);
            return &mut self.small;
        }
        self.in_small = false;
        let current = self.find(octets);
        self.current = current;
        match self.buffers.get_mut(current) {
            Some(buffer) => buffer,
            // `find` answers with a place that exists.
            None => &mut self.small,
        }
    }

    /// What was written into the buffer lent last.
    pub(crate) fn take(&mut self) -> Bytes {
        if self.in_small {
            return core::mem::take(&mut self.small).freeze();
        }
        self.buffers
            .get_mut(self.current)
            .map(|buffer| buffer.split().freeze())
            .unwrap_or_default()
    }

    fn find(&mut self, octets: usize) -> usize {
        let wanted = octets.max(self.chunk);
        let count = self.buffers.len();
        // The one in use first, as long as there is room; from its start again if all let go.
        if let Some(buffer) = self.buffers.get_mut(self.current) {
            buffer.clear();
            if buffer.try_reclaim(wanted) || buffer.capacity() >= octets {
                return self.current;
            }
        }
        // The next is the one lent longest ago.
        for step in 1..count {
            let index = (self.current + step) % count;
            if let Some(buffer) = self.buffers.get_mut(index) {
                buffer.clear();
                if buffer.try_reclaim(wanted) {
                    return index;
                }
            }
        }
        let fresh = BytesMut::with_capacity(wanted);
        if count < BUFFERS {
            self.buffers.push(fresh);
            return count;
        }
        let oldest = (self.current + 1) % count;
        if let Some(buffer) = self.buffers.get_mut(oldest) {
            *buffer = fresh;
        }
        oldest
    }
}

/// Octets of a shared buffer at most.
const CHUNK: usize = 65_536;
/// Shared buffers kept at most: together a session's receive buffer and some.
const BUFFERS: usize = 24;
/// Blocks smaller than this part of a buffer do not share one.
const SMALL: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn put(slab: &mut Slab, octets: usize) -> Bytes {
        let buffer = slab.buffer(octets);
        assert!(buffer.is_empty() && buffer.capacity() >= octets);
        buffer.resize(octets, 7);
        slab.take()
    }

    #[test]
    fn a_buffer_is_used_again_once_its_blocks_are_gone() {
        let mut slab = Slab::new(&Limits::DEFAULT);
        let first = put(&mut slab, 65_535);
        let place = first.as_ptr();
        drop(first);
        assert_eq!(put(&mut slab, 65_535).as_ptr(), place);
        assert_eq!(slab.buffers.len(), 1);
    }

    #[test]
    fn a_block_that_is_held_is_left_alone() {
        let mut slab = Slab::new(&Limits::DEFAULT);
        let held = put(&mut slab, 4096);
        for _ in 0..200 {
            let other = put(&mut slab, 4096);
            assert_ne!(other.as_ptr(), held.as_ptr());
        }
        assert!(held.iter().all(|b| *b == 7));
        assert!(slab.buffers.len() <= 2);
    }

    #[test]
    fn what_is_kept_is_bounded_however_much_is_held() {
        let mut slab = Slab::new(&Limits::DEFAULT);
        let held: Vec<_> = (0..100).map(|_| put(&mut slab, 65_535)).collect();
        assert_eq!(slab.buffers.len(), BUFFERS);
        assert!(held.iter().all(|block| block.len() == 65_535));
    }

    #[test]
    fn a_tiny_block_does_not_hold_a_whole_buffer() {
        let mut slab = Slab::new(&Limits::DEFAULT);
        let held = put(&mut slab, 1);
        assert_eq!(held.len(), 1);
        assert!(slab.buffers.is_empty());
    }

    #[test]
    fn what_is_not_taken_is_forgotten() {
        let mut slab = Slab::new(&Limits::DEFAULT);
        slab.buffer(4096).extend_from_slice(b"abc");
        assert_eq!(slab.buffer(4096).len(), 0);
        slab.buffer(10).extend_from_slice(b"abc");
        assert_eq!(put(&mut slab, 10).len(), 10);
    }
}
