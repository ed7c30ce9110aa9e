//! Buffers for decoded blocks, used again once the blocks are gone.

use crate::Limits;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

/// Lends room for one block at a time and takes it back when all who hold the block let go.
///
/// Each block has a buffer of its own, of the next power of two: one that is held keeps no
/// other's room. What was written once stays initialised, so that a buffer that is used again is
/// neither allocated nor cleared.
#[derive(Debug)]
pub(crate) struct Slab {
    classes: Vec<Class>,
    /// Octets of all buffers.
    kept: usize,
    /// Octets of all buffers at most.
    most: usize,
}

/// Buffers of one size.
#[derive(Debug)]
struct Class {
    size: usize,
    /// Each of them whole; blocks are slices of them.
    buffers: Vec<Bytes>,
    /// The buffer lent longest ago.
    next: usize,
}

impl Slab {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            classes: Vec::new(),
            kept: 0,
            most: limits.block.next_power_of_two() * BUFFERS,
        }
    }

    /// Lends `room` octets, which hold anything, to `write`, and makes a block of as many as it
    /// says that it wrote.
    pub(crate) fn fill<E>(
        &mut self,
        room: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Bytes, E> {
        let size = room.next_power_of_two().max(SMALLEST);
        let at = match self.classes.iter().position(|class| class.size == size) {
            Some(at) => at,
            None => {
                self.classes.push(Class {
                    size,
                    buffers: Vec::new(),
                    next: 0,
                });
                self.classes.len() - 1
            }
        };
        let Some(class) = self.classes.get_mut(at) else {
            return Ok(Bytes::new());
        };
        let (place, mut buffer) = class.free();
        let written = write(buffer.get_mut(..room).unwrap_or_default());
        let buffer = buffer.freeze();
        let block = written.map(|octets| buffer.slice(..octets.min(room)));
        match place.and_then(|place| class.buffers.get_mut(place)) {
            Some(place) => *place = buffer,
            None => self.keep(at, buffer),
        }
        block
    }

    /// Keeps a new buffer, if need be in place of others.
    fn keep(&mut self, at: usize, buffer: Bytes) {
        let size = buffer.len();
        if self.kept + size > self.most {
            for (other, class) in self.classes.iter_mut().enumerate() {
                if other != at {
                    self.kept -= class.size * class.buffers.len();
                    *class = Class {
                        buffers: Vec::new(),
                        next: 0,
                        ..*class
                    };
                }
            }
        }
        let full = self.kept + size > self.most;
        let Some(class) = self.classes.get_mut(at) else {
            return;
        };
        if !full {
            self.kept += size;
            // Behind the one lent last, before the one lent longest ago.
            class.buffers.insert(class.next, buffer);
            class.next += 1;
        } else if let Some(place) = class.buffers.get_mut(class.next) {
            *place = buffer;
            class.next += 1;
        }
    }
}

impl Class {
    /// A buffer that nobody holds, with its place; a new one where all that are looked at are
    /// held.
    fn free(&mut self) -> (Option<usize>, BytesMut) {
        let count = self.buffers.len();
        if self.next >= count {
            self.next = 0;
        }
        for step in 0..count.min(LOOKS) {
            let place = (self.next + step) % count;
            let Some(buffer) = self.buffers.get_mut(place).filter(|b| b.is_unique()) else {
                continue;
            };
            if let Ok(buffer) = core::mem::take(buffer).try_into_mut() {
                self.next = place + 1;
                return (Some(place), buffer);
            }
        }
        // Cut off, the buffer counts its holders from the start, and never allocates for it again.
        let mut buffer = BytesMut::zeroed(self.size + 1);
        drop(buffer.split_off(self.size));
        (None, buffer)
    }
}

/// The largest blocks for which there is room: together a session's receive buffer and some.
const BUFFERS: usize = 24;
/// Octets of a buffer at least.
const SMALLEST: usize = 64;
/// Buffers that are looked at before a new one is made.
const LOOKS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn put(slab: &mut Slab, octets: usize) -> Bytes {
        let block = slab.fill(octets, |room| {
            assert_eq!(room.len(), octets);
            room.fill(7);
            Ok::<_, ()>(room.len())
        });
        block.expect("a block")
    }

    fn count(slab: &Slab) -> usize {
        slab.classes.iter().map(|class| class.buffers.len()).sum()
    }

    #[test]
    fn a_buffer_is_used_again_once_its_block_is_gone() {
        let mut slab = Slab::new(&Limits::DEFAULT);
        let first = put(&mut slab, 65_535);
        let place = first.as_ptr();
        drop(first);
        assert_eq!(put(&mut slab, 65_535).as_ptr(), place);
        assert_eq!(count(&slab), 1);
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
        assert_eq!(count(&slab), 2);
    }

    #[test]
    fn blocks_that_leave_in_their_order_take_turns() {
        let mut slab = Slab::new(&Limits::DEFAULT);
        let mut held = alloc::collections::VecDeque::new();
        for round in 0..1000 {
            held.push_back(put(&mut slab, 4095));
            if round >= 100 {
                held.pop_front();
            }
        }
        assert!(count(&slab) <= 102, "{}", count(&slab));
    }

    #[test]
    fn what_is_kept_is_bounded_however_much_is_held() {
        let mut slab = Slab::new(&Limits::DEFAULT);
        for octets in [65_535, 4096, 100, 65_535] {
            let held: Vec<_> = (0..2000).map(|_| put(&mut slab, octets)).collect();
            assert!(slab.kept <= slab.most);
            let kept: usize = slab.classes.iter().map(|c| c.size * c.buffers.len()).sum();
            assert_eq!(slab.kept, kept);
            assert!(held.iter().all(|block| block.len() == octets));
        }
    }

    #[test]
    fn a_block_that_fails_leaves_its_buffer() {
        let mut slab = Slab::new(&Limits::DEFAULT);
        assert_eq!(slab.fill(100, |_| Err(1)), Err(1));
        assert_eq!(slab.fill(100, |_| Ok::<_, ()>(3)).map(|b| b.len()), Ok(3));
        assert_eq!(count(&slab), 1);
    }
}
