//! What stands in for caches and buffers where memory and code are dearer than an allocation.
#![allow(
    clippy::unused_self,
    clippy::needless_pass_by_ref_mut,
    reason = "the shape of what it stands in for"
)]

use crate::{InvalidJid, Jid, Limits, Sid};
use alloc::vec;
use bytes::Bytes;

/// Makes each name anew.
#[derive(Debug, Default)]
pub(crate) struct Interner {}

impl Interner {
    pub(crate) fn jid(&mut self, octets: &[u8]) -> Result<Jid, InvalidJid> {
        Jid::new(core::str::from_utf8(octets).map_err(|_| InvalidJid)?)
    }

    pub(crate) fn sid(&mut self, octets: &[u8]) -> Option<Sid> {
        Sid::new(core::str::from_utf8(octets).ok()?).ok()
    }
}

/// Makes each buffer anew.
#[derive(Debug)]
pub(crate) struct Slab;

impl Slab {
    pub(crate) const fn new(_limits: &Limits) -> Self {
        Self
    }

    /// Makes a block of at most `room` octets: `write` fills them and says how many they are.
    pub(crate) fn fill<E>(
        &mut self,
        room: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Bytes, E> {
        let mut buffer = vec![0; room];
        let octets = write(&mut buffer)?;
        buffer.truncate(octets);
        Ok(Bytes::from(buffer))
    }
}
