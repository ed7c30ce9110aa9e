//! Small caches of the addresses and stream identifiers seen last.
//!
//! The same few come with every block; found by their octets, they cost a reference count instead
//! of an allocation.

use crate::{InvalidJid, Jid, Sid};
use alloc::vec::Vec;

/// Knows the last addresses and stream identifiers by their octets.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    jids: Cache<Jid>,
    sids: Cache<Sid>,
}

impl Interner {
    /// The address of these octets.
    ///
    /// # Errors
    /// When they are no UTF-8, or no address.
    pub(crate) fn jid(&mut self, octets: &[u8]) -> Result<Jid, InvalidJid> {
        self.jids.get(octets, |octets| {
            Jid::new(core::str::from_utf8(octets).map_err(|_| InvalidJid)?)
        })
    }

    /// The stream identifier of these octets; none when they are no UTF-8, or empty or too long.
    pub(crate) fn sid(&mut self, octets: &[u8]) -> Option<Sid> {
        self.sids
            .get(octets, |octets| {
                Sid::new(core::str::from_utf8(octets).map_err(|_| ())?).map_err(|_| ())
            })
            .ok()
    }
}

/// A set-associative cache: a hash picks the set, within it the oldest entry goes first.
#[derive(Debug)]
struct Cache<T> {
    /// Empty until first used.
    entries: Vec<Option<T>>,
    /// Where the next newcomer goes, within its set.
    turn: usize,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            turn: 0,
        }
    }
}

/// What a cache compares by.
trait Octets {
    fn octets(&self) -> &[u8];
}

impl Octets for Jid {
    fn octets(&self) -> &[u8] {
        self.as_str().as_bytes()
    }
}

impl Octets for Sid {
    fn octets(&self) -> &[u8] {
        self.as_str().as_bytes()
    }
}

impl<T: Octets + Clone> Cache<T> {
    fn get<E>(&mut self, octets: &[u8], make: impl FnOnce(&[u8]) -> Result<T, E>) -> Result<T, E> {
        let first = set_of(octets) * WAYS;
        let set = first..first + WAYS;
        if let Some(found) = self
            .entries
            .get(set.clone())
            .into_iter()
            .flatten()
            .flatten()
            .find(|entry| entry.octets() == octets)
        {
            return Ok(found.clone());
        }
        let made = make(octets)?;
        if octets.len() <= LONGEST {
            if self.entries.is_empty() {
                self.entries.resize_with(SETS * WAYS, || None);
            }
            self.turn = (self.turn + 1) % WAYS;
            let set = self.entries.get_mut(set).unwrap_or_default();
            // An empty place is better than the oldest entry's.
            let place = set.iter().position(Option::is_none).unwrap_or(self.turn);
            if let Some(place) = set.get_mut(place) {
                *place = Some(made.clone());
            }
        }
        Ok(made)
    }
}

/// Hashes both ends and the length: names that share one end differ at the other.
fn set_of(octets: &[u8]) -> usize {
    let word = |chunk: Option<&[u8; 8]>| chunk.map_or(0, |chunk| u64::from_le_bytes(*chunk));
    let short = |octets: &[u8]| octets.iter().fold(0, |sum, b| (sum << 8) | u64::from(*b));
    let (head, tail) = match octets.len() {
        0..8 => (short(octets), 0),
        _ => (word(octets.first_chunk()), word(octets.last_chunk())),
    };
    let mixed = (head ^ tail.rotate_left(23) ^ octets.len() as u64)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .rotate_left(8);
    (mixed % SETS as u64) as usize
}

const SETS: usize = 16;
const WAYS: usize = 4;
/// Longer ones are not kept, which bounds what a peer can make the cache hold.
const LONGEST: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use core::ptr;

    #[test]
    fn a_name_seen_before_is_not_made_again() {
        let mut names = Interner::default();
        let first = names.sid(b"a").expect("sid");
        for n in 0..WAYS - 1 {
            names.sid(format!("other{n}").as_bytes()).expect("sid");
        }
        let again = names.sid(b"a").expect("sid");
        assert!(ptr::eq(first.as_str(), again.as_str()));
    }

    #[test]
    fn many_streams_at_once_keep_most_names() {
        let mut names = Interner::default();
        let sids = |n: usize| format!("bs-{:016x}", (n as u64).wrapping_mul(0x9E37_79B9));
        let kept: Vec<_> = (0..32)
            .map(|n| names.sid(sids(n).as_bytes()).expect("sid"))
            .collect();
        let same = (0..32)
            .filter(|n| {
                let again = names.sid(sids(*n).as_bytes()).expect("sid");
                ptr::eq(again.as_str(), kept[*n].as_str())
            })
            .count();
        assert!(same >= 24, "{same} of 32");
    }

    #[test]
    fn names_that_fold_alike_stay_as_they_were_written() {
        let mut names = Interner::default();
        assert_eq!(names.jid(b"A@b/c").expect("jid").as_str(), "A@b/c");
        assert_eq!(names.jid(b"a@b/c").expect("jid").as_str(), "a@b/c");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let mut names = Interner::default();
        assert_eq!(names.jid(b"\xff"), Err(InvalidJid));
        assert_eq!(names.jid(b""), Err(InvalidJid));
        assert_eq!(names.sid(b""), None);
        assert_eq!(names.sid(&[b'x'; Sid::MAX + 1]), None);
    }
}
