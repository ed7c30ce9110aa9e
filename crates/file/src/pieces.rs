//! Pieces of a file on their way to a peer.

use crate::{PIECE, Reading, SourceError};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// Reads a file piece by piece, into memory that it keeps: a fresh piece costs the system more than
/// the octets that go into it.
#[derive(Debug)]
pub struct Pieces {
    reading: Reading,
    /// All that was given out, oldest first.
    out: VecDeque<Bytes>,
}

impl Pieces {
    /// Reads what is left of it.
    pub const fn new(reading: Reading) -> Self {
        Self {
            reading,
            out: VecDeque::new(),
        }
    }

    /// Reads the next piece; `None` at the end of what was declared.
    ///
    /// # Errors
    /// Those of [`Reading::read`].
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would go on after an error"
    )]
    pub fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        let most = usize::try_from(self.reading.left()).map_or(PIECE, |left| left.min(PIECE));
        let mut piece = self.room(most);
        let read = self.reading.read(&mut piece[..most])?;
        let piece = piece.freeze();
        let octets = piece.slice(..read);
        if self.out.len() < KEPT {
            self.out.push_back(piece);
        }
        Ok((read > 0).then_some(octets))
    }

    /// Ends the reading: see [`Reading::finish`].
    ///
    /// # Errors
    /// Those of [`Reading::finish`].
    pub fn finish(self) -> Result<Option<[u8; 32]>, SourceError> {
        self.reading.finish()
    }

    /// The oldest piece that was given out, if nobody has any of it any more, or a new one.
    fn room(&mut self, most: usize) -> BytesMut {
        match self.out.pop_front().map(Bytes::try_into_mut) {
            Some(Ok(piece)) if piece.len() >= most => return piece,
            Some(Err(piece)) => self.out.push_front(piece),
            Some(Ok(_)) | None => {}
        }
        BytesMut::zeroed(most)
    }
}

/// Pieces that are kept at most: what a peer may be slow to acknowledge, and some.
const KEPT: usize = 8;
