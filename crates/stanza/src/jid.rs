//! Addresses.

use alloc::sync::Arc;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

/// An XMPP address, `local@domain/resource`, kept as it was received.
///
/// Adapters prepare what people type; here two addresses are equal when their local and domain
/// parts agree under ASCII case folding and their resources agree octet by octet. Cloning is a
/// reference count.
#[derive(Clone)]
pub struct Jid {
    text: Arc<str>,
    /// Where the `@` stands, or `NONE`.
    at: u16,
    /// Where the `/` stands, or the text's length.
    slash: u16,
}

const NONE: u16 = u16::MAX;

/// A text is no XMPP address: empty, too long, or without a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidJid;

impl fmt::Display for InvalidJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an XMPP address")
    }
}

impl core::error::Error for InvalidJid {}

impl Jid {
    /// The longest address, in octets (RFC 7622, 3.1).
    pub const MAX: usize = 3071;

    /// Takes an address apart.
    ///
    /// # Errors
    /// When it is empty, longer than [`Jid::MAX`], has an empty part, or holds a control character.
    pub fn new(text: &str) -> Result<Self, InvalidJid> {
        if text.is_empty() || text.len() > Self::MAX || text.bytes().any(|b| b < 0x20 || b == 0x7f)
        {
            return Err(InvalidJid);
        }
        let slash = text.find('/').unwrap_or(text.len());
        let (address, resource) = text.split_at(slash);
        if resource.len() == 1 {
            return Err(InvalidJid);
        }
        let at = address.find('@');
        let domain_from = at.map_or(0, |at| at + 1);
        if at == Some(0) || domain_from == address.len() {
            return Err(InvalidJid);
        }
        let narrow = |n: usize| u16::try_from(n).map_err(|_| InvalidJid);
        Ok(Self {
            at: at.map_or(Ok(NONE), narrow)?,
            slash: narrow(slash)?,
            text: Arc::from(text),
        })
    }

    /// The address as it was received.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`.
    pub fn local(&self) -> Option<&str> {
        self.text
            .get(..usize::from(self.at))
            .filter(|_| self.at != NONE)
    }

    /// The part between `@` and `/`.
    pub fn domain(&self) -> &str {
        let from = if self.at == NONE {
            0
        } else {
            usize::from(self.at) + 1
        };
        self.text
            .get(from..usize::from(self.slash))
            .unwrap_or_default()
    }

    /// The part after the `/`.
    pub fn resource(&self) -> Option<&str> {
        self.text.get(usize::from(self.slash) + 1..)
    }

    /// Says whether there is no resource.
    pub fn is_bare(&self) -> bool {
        usize::from(self.slash) == self.text.len()
    }

    /// The address without its resource.
    pub fn bare(&self) -> Self {
        if self.is_bare() {
            return self.clone();
        }
        Self {
            text: Arc::from(self.bare_str()),
            at: self.at,
            slash: self.slash,
        }
    }

    /// The address of the domain alone.
    pub fn to_domain(&self) -> Self {
        let domain = self.domain();
        Self {
            at: NONE,
            slash: u16::try_from(domain.len()).unwrap_or(NONE),
            text: Arc::from(domain),
        }
    }

    /// Says whether both name the same account or domain, whatever the resources.
    pub fn same_bare(&self, other: &Self) -> bool {
        self.bare_str().eq_ignore_ascii_case(other.bare_str())
    }

    fn bare_str(&self) -> &str {
        self.text.get(..usize::from(self.slash)).unwrap_or_default()
    }
}

impl PartialEq for Jid {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text)
            || (self.slash == other.slash
                && self.same_bare(other)
                && self.resource() == other.resource())
    }
}

impl Eq for Jid {}

impl Ord for Jid {
    fn cmp(&self, other: &Self) -> Ordering {
        let fold = |b: u8| b.to_ascii_lowercase();
        self.bare_str()
            .bytes()
            .map(fold)
            .cmp(other.bare_str().bytes().map(fold))
            .then_with(|| self.resource().cmp(&other.resource()))
    }
}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Jid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for b in self.bare_str().bytes() {
            state.write_u8(b.to_ascii_lowercase());
        }
        self.resource().hash(state);
    }
}

impl core::str::FromStr for Jid {
    type Err = InvalidJid;

    fn from_str(text: &str) -> Result<Self, InvalidJid> {
        Self::new(text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::new(text).expect(text)
    }

    #[test]
    fn parts_are_found() {
        let full = jid("Romeo@Montague.lit/a@b/c");
        assert_eq!(full.local(), Some("Romeo"));
        assert_eq!(full.domain(), "Montague.lit");
        assert_eq!(full.resource(), Some("a@b/c"));
        assert_eq!(full.bare().as_str(), "Romeo@Montague.lit");
        assert_eq!(full.to_domain().as_str(), "Montague.lit");
        assert_eq!(jid("example.org").local(), None);
    }

    #[test]
    fn local_and_domain_fold_and_the_resource_does_not() {
        assert_eq!(
            jid("Android@Host/Spark 2.6.3"),
            jid("android@host/Spark 2.6.3")
        );
        assert_ne!(jid("a@b/R"), jid("a@b/r"));
        assert_ne!(jid("a@b"), jid("a@b/r"));
        assert_eq!(jid("A@b").cmp(&jid("a@B")), Ordering::Equal);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "@b", "a@", "a@b/", "/r", "a@/r", "a\n@b"] {
            assert_eq!(Jid::new(text), Err(InvalidJid), "{text:?}");
        }
        assert!(Jid::new(&"a".repeat(Jid::MAX + 1)).is_err());
    }
}
