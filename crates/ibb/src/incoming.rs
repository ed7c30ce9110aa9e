//! The peer's direction: blocks that came, and the answers owed for them.

use crate::Config;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use bytes::Bytes;
use bytestreams_machine::Instant;
use bytestreams_stanza::{Data, Id};
use core::time::Duration;

/// A block that waits to be stored, then for its answer to be sent.
#[derive(Debug)]
struct Owed {
    id: Id,
    arrived: Instant,
    seq: u16,
    len: u16,
}

/// What a block that came is.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// The next one: it was taken.
    Taken,
    /// One that came before and is still to be answered: the answer serves both.
    Repeated,
    /// One that was answered lately: the same answer again.
    AnsweredBefore,
    /// Another number than the next one.
    OutOfSequence { expected: u16 },
    /// More octets than agreed on.
    TooLarge,
    /// No room for it.
    Overrun,
}

/// The peer's direction of a stream.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    unread: VecDeque<Bytes>,
    owed: VecDeque<Owed>,
    /// Octets of the ids in `owed` that have no room within it.
    long_ids: usize,
    /// How many of `owed`, from the front, are to be sent.
    released: usize,
    expected: u16,
    received: u64,
    read: u64,
    stored: u64,
    /// Octets of the blocks that were released.
    confirmed: u64,
    /// Marks of the last blocks that were answered, each at its `seq` modulo their number.
    recent: Option<Box<[u64; Self::RECENT]>>,
    told: bool,
}

impl Incoming {
    /// How many answered blocks are remembered.
    const RECENT: usize = 32;

    /// When a block is acknowledged at the latest: one well-known peer gives up at 5 s.
    const ANSWER_WITHIN: Duration = Duration::from_secs(4);

    /// Takes a block, if it is the next one. `id` is that of a block to be answered (an IQ);
    /// `mark` is the id that its repetition would have.
    pub(crate) fn take(
        &mut self,
        data: Data,
        id: Option<&Id>,
        mark: Option<&Id>,
        block_size: u16,
        room: usize,
        now: Instant,
    ) -> Verdict {
        if data.seq != self.expected {
            return self.repeated(data.seq, mark);
        }
        let len = match u16::try_from(data.octets.len()) {
            Ok(len) if len <= block_size => len,
            _ => return Verdict::TooLarge,
        };
        let blocks = self.owed.len().max(self.unread.len()) + 1;
        let held = self.buffered()
            + usize::from(len)
            + blocks * Config::BLOCK_OVERHEAD
            + self.long_ids
            + id.map_or(0, excess);
        if held > room {
            return Verdict::Overrun;
        }
        match (id, mark) {
            (Some(id), _) => {
                self.long_ids += excess(id);
                self.owed.push_back(Owed {
                    id: id.clone(),
                    arrived: now,
                    seq: data.seq,
                    len,
                });
            }
            (None, Some(mark)) => self.remember(data.seq, mark),
            (None, None) => {}
        }
        self.received += u64::from(len);
        if id.is_none() {
            self.confirmed += u64::from(len);
        }
        self.expected = self.expected.wrapping_add(1);
        if !data.octets.is_empty() {
            self.unread.push_back(data.octets);
        }
        Verdict::Taken
    }

    /// Says what a block is that is not the next one.
    pub(crate) fn repeated(&self, seq: u16, mark: Option<&Id>) -> Verdict {
        let same = |id: &Id| {
            if self.owed.iter().any(|o| o.seq == seq && o.id == *id) {
                Some(Verdict::Repeated)
            } else {
                let recent = self.recent.as_ref()?.get(slot(seq))?;
                (*recent == mark_of(seq, id)).then_some(Verdict::AnsweredBefore)
            }
        };
        mark.and_then(same).unwrap_or(Verdict::OutOfSequence {
            expected: self.expected,
        })
    }

    fn remember(&mut self, seq: u16, id: &Id) {
        let recent = self
            .recent
            .get_or_insert_with(|| Box::new([0; Self::RECENT]));
        if let Some(place) = recent.get_mut(slot(seq)) {
            *place = mark_of(seq, id);
        }
    }

    /// Takes the next block for the application.
    pub(crate) fn read(&mut self) -> Option<Bytes> {
        let octets = self.unread.pop_front();
        match &octets {
            Some(octets) => self.read += octets.len() as u64,
            None => self.told = false,
        }
        octets
    }

    /// Says, once until all was read, that there is something to read.
    pub(crate) fn tells_readable(&mut self) -> bool {
        !self.unread.is_empty() && !core::mem::replace(&mut self.told, true)
    }

    /// Notes that octets were stored: no more than were read.
    pub(crate) fn stored(&mut self, octets: usize) {
        self.stored = self.stored.saturating_add(octets as u64).min(self.read);
    }

    /// The number of the next block.
    pub(crate) fn expected(&self) -> u16 {
        self.expected
    }

    /// Octets that came and are not stored.
    pub(crate) fn buffered(&self) -> usize {
        usize::try_from(self.received.saturating_sub(self.stored)).unwrap_or(usize::MAX)
    }

    /// Releases the next answer if its block is stored, or has waited long enough at `now`.
    pub(crate) fn release(&mut self, now: Instant) -> bool {
        let Some(next) = self.owed.get(self.released) else {
            return false;
        };
        let due = self.confirmed + u64::from(next.len) <= self.stored
            || next.arrived + Self::ANSWER_WITHIN <= now;
        due && self.release_any()
    }

    /// Releases the next answer, stored or not.
    pub(crate) fn release_any(&mut self) -> bool {
        let Some(next) = self.owed.get(self.released) else {
            return false;
        };
        self.confirmed += u64::from(next.len);
        self.released += 1;
        true
    }

    /// Says whether an answer is owed that is not released.
    pub(crate) fn owes(&self) -> bool {
        self.owed.len() > self.released
    }

    /// Takes the id of the next block whose answer is not released: it is refused.
    pub(crate) fn refuse(&mut self) -> Option<Id> {
        let owed = self.owed.remove(self.released)?;
        self.long_ids -= excess(&owed.id);
        Some(owed.id)
    }

    /// Takes the id of the next released answer, which is sent now.
    pub(crate) fn answer(&mut self) -> Option<Id> {
        self.released = self.released.checked_sub(1)?;
        let owed = self.owed.pop_front()?;
        self.long_ids -= excess(&owed.id);
        self.remember(owed.seq, &owed.id);
        Some(owed.id)
    }

    /// Gives back the memory that is not in use.
    pub(crate) fn rest(&mut self) {
        self.unread.shrink_to_fit();
        self.owed.shrink_to_fit();
    }

    /// Says when the next answer is due, stored or not.
    pub(crate) fn next(&self) -> Option<Instant> {
        let next = self.owed.get(self.released)?;
        Some(next.arrived + Self::ANSWER_WITHIN)
    }
}

/// What an id costs beside [`Config::BLOCK_OVERHEAD`].
fn excess(id: &Id) -> usize {
    let len = id.as_bytes().len();
    if len > Id::INLINE { len } else { 0 }
}

fn slot(seq: u16) -> usize {
    usize::from(seq) % Incoming::RECENT
}

/// What tells an answered block from another: FNV-1a of its number and id, never 0. A peer that
/// makes two ids collide gets one more result, and nothing else.
fn mark_of(seq: u16, id: &Id) -> u64 {
    let fold = |hash: u64, octet: &u8| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
    let hash = seq.to_be_bytes().iter().fold(0xcbf2_9ce4_8422_2325, fold);
    id.as_bytes().iter().fold(hash, fold) | 1
}
