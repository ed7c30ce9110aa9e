//! Why there is no stanza.

use core::fmt;

/// What a decoder cannot make a stanza of. There is nobody to answer: let it go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The tokens are not those of one whole element.
    Incomplete,
    /// The element is no `<iq/>`, `<message/>` or `<presence/>` in a content namespace.
    NotAStanza,
    /// The named attribute of the stanza is missing or has no legal value.
    Malformed(&'static str),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("not the tokens of one whole element"),
            Self::NotAStanza => f.write_str("not a stanza"),
            Self::Malformed(name) => write!(f, "the stanza's attribute {name} is missing or bad"),
        }
    }
}

impl core::error::Error for DecodeError {}
