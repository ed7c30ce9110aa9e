//! Bounds on what a peer can make us hold.

/// Bounds on one stanza; whatever exceeds them is skipped in constant memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of one stanza as written on the wire.
    pub stanza: usize,
    /// Elements within each other, the stanza itself counted.
    pub depth: usize,
    /// Octets of one text or attribute value, base64 apart.
    pub text: usize,
    /// Octets of one in-band block, decoded.
    pub block: usize,
    /// Attributes of one element.
    pub attributes: usize,
    /// Items of one list: StreamHosts, options, values, features, disco items.
    pub items: usize,
}

impl Limits {
    /// What servers pass on by default, and room to spare.
    pub const DEFAULT: Self = Self {
        stanza: 262_144,
        depth: 32,
        text: 65_536,
        block: 65_535,
        attributes: 32,
        items: 512,
    };

    /// For devices with some tens of KiB: stanzas of 4 KiB, blocks of 2 KiB.
    pub const SMALL: Self = Self {
        stanza: 4096,
        depth: 12,
        text: 1024,
        block: 2048,
        attributes: 16,
        items: 32,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
