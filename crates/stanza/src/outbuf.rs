//! A buffer of octets to write to a peer.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// Octets on their way out: appended behind, consumed in front.
///
/// Unlike a `Vec` it hands out room for writing in place, [`OutBuf::spare`], without clearing it
/// each time: what was written once stays initialised, so that encoding a block in steady state
/// neither allocates nor clears.
#[derive(Clone, Default)]
pub struct OutBuf {
    /// All of it is initialised; `start..end` counts.
    store: Vec<u8>,
    start: usize,
    end: usize,
}

impl OutBuf {
    /// Makes an empty buffer with room for `octets`.
    pub fn with_capacity(octets: usize) -> Self {
        Self {
            store: vec![0; octets],
            start: 0,
            end: 0,
        }
    }

    /// The octets that wait to be written.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        self.store.get(self.start..self.end).unwrap_or_default()
    }

    /// How many octets wait.
    #[inline]
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Says whether none wait.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// Drops all octets and keeps the room.
    pub const fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Drops the first `octets`, at most all: they have been written.
    pub fn consume(&mut self, octets: usize) {
        self.start += octets.min(self.len());
        if self.start == self.end {
            self.clear();
        }
    }

    /// Gives back room beyond `octets`, when nothing waits.
    pub fn shrink_to(&mut self, octets: usize) {
        if self.is_empty() && self.store.len() > octets {
            self.store.truncate(octets);
            self.store.shrink_to_fit();
        }
    }

    /// Appends `octets`.
    #[inline]
    pub fn extend_from_slice(&mut self, octets: &[u8]) {
        self.spare(octets.len()).copy_from_slice(octets);
        self.end += octets.len();
    }

    /// Appends one octet.
    #[inline]
    pub fn push(&mut self, octet: u8) {
        self.extend_from_slice(&[octet]);
    }

    /// Room for exactly `octets` behind what waits; holds anything. Follow with
    /// [`OutBuf::advance`].
    #[inline]
    pub fn spare(&mut self, octets: usize) -> &mut [u8] {
        if self.store.len() - self.end < octets {
            self.grow(octets);
        }
        let end = self.end;
        self.store.get_mut(end..end + octets).unwrap_or_default()
    }

    /// Counts `octets` of the room, at most all, as appended.
    #[inline]
    pub fn advance(&mut self, octets: usize) {
        self.end = (self.end + octets).min(self.store.len());
    }

    #[cold]
    fn grow(&mut self, octets: usize) {
        // Moving is worth it only when it gains at least as much room as it moves octets.
        let enlarge = self.start < self.len();
        self.store.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let needed = self.end + octets;
        if enlarge || needed > self.store.len() {
            let missing = needed.saturating_sub(self.store.len()).max(1);
            self.store.reserve(missing);
            self.store.resize(self.store.capacity(), 0);
        }
    }
}

impl fmt::Write for OutBuf {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl fmt::Debug for OutBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutBuf")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_leave_in_the_order_of_their_coming() {
        let mut buf = OutBuf::default();
        let mut next_in = 0_u8;
        let mut next_out = 0_u8;
        for round in 0..200_usize {
            for _ in 0..round % 17 {
                buf.push(next_in);
                next_in = next_in.wrapping_add(1);
            }
            let take = (round * 5 % 13).min(buf.len());
            for &octet in buf.as_slice().iter().take(take) {
                assert_eq!(octet, next_out);
                next_out = next_out.wrapping_add(1);
            }
            buf.consume(take);
        }
        buf.consume(usize::MAX);
        assert!(buf.is_empty());
    }

    #[test]
    fn room_is_used_again() {
        let mut buf = OutBuf::with_capacity(100);
        for _ in 0..1000 {
            buf.extend_from_slice(&[1; 60]);
            buf.consume(30);
            buf.consume(30);
        }
        assert_eq!(buf.store.len(), 100);
        buf.spare(10).fill(7);
        buf.advance(3);
        assert_eq!(buf.as_slice(), [7; 3]);
    }
}
