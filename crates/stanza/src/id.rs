//! Identifiers of stanzas and of streams.

use alloc::sync::Arc;
use core::fmt;
use smallvec::SmallVec;

/// An `id` attribute; up to [`Id::INLINE`] octets are held without allocating.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Id(SmallVec<[u8; Self::INLINE]>);

impl Id {
    /// The octets that are held without allocating.
    pub const INLINE: usize = 40;

    /// The longest identifier that a decoder takes, in octets: each that is to be answered is held
    /// until it is. The stanza of a longer one is let go.
    pub const MAX: usize = 1024;

    /// The octets of the identifier, which are UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Clone for Id {
    fn clone(&self) -> Self {
        // All octets at once, which a clone of the vector does not.
        Self(SmallVec::from_slice(&self.0))
    }
}

impl From<&str> for Id {
    fn from(text: &str) -> Self {
        Self(SmallVec::from_slice(text.as_bytes()))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stream identifier, as chosen by whoever starts the stream: 1 to [`Sid::MAX`] octets.
///
/// XEP-0047 and XEP-0065 know a stream by this; two peers may well choose the same, so a session
/// is known by (peer, sid).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(Arc<str>);

/// A stream identifier is empty or longer than [`Sid::MAX`] octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdTooLong;

impl fmt::Display for IdTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stream identifier has 1 to 256 octets")
    }
}

impl core::error::Error for IdTooLong {}

impl Sid {
    /// The longest stream identifier that is taken, in octets.
    pub const MAX: usize = 256;

    /// Takes an identifier.
    ///
    /// # Errors
    /// When it is empty or longer than [`Sid::MAX`] octets.
    pub fn new(text: &str) -> Result<Self, IdTooLong> {
        if text.is_empty() || text.len() > Self::MAX {
            return Err(IdTooLong);
        }
        Ok(Self(Arc::from(text)))
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says whether the identifier is an NMTOKEN, as XEP-0047 section 2.1 asks of in-band streams
    /// (judged within ASCII; anything beyond it is taken for a name character).
    pub fn is_nmtoken(&self) -> bool {
        self.0
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b) || !b.is_ascii())
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
