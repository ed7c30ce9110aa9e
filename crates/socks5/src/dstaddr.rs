//! The address by which both sides of a bytestream know it.

use bytestreams_stanza::{Jid, Sid};
use core::fmt;
use sha1::{Digest, Sha1};
use smallvec::SmallVec;

/// DST.ADDR: the hash of the stream identifier, the Requester's JID and the Target's, as 40
/// lower-case hexadecimal digits (XEP-0065, sections 5.3.2 and 10.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DstAddr([u8; 40]);

impl DstAddr {
    /// Octets of an address.
    pub const LEN: usize = 40;

    /// Hashes what both sides know, the JIDs as they are spelled.
    pub fn new(sid: &Sid, requester: &Jid, target: &Jid) -> Self {
        let mut sha = Sha1::new();
        for text in [sid.as_str(), requester.as_str(), target.as_str()] {
            sha.update(text);
        }
        Self::of_digest(&sha.finalize())
    }

    /// The hash over the Latin-1 spelling of the JIDs, where that is another: one well-known peer
    /// computes it. What Latin-1 lacks is a question mark in it.
    pub fn latin1(sid: &Sid, requester: &Jid, target: &Jid) -> Option<Self> {
        let texts = [sid.as_str(), requester.as_str(), target.as_str()];
        if texts.iter().all(|text| text.is_ascii()) {
            return None;
        }
        let mut sha = Sha1::new();
        for c in texts.iter().flat_map(|text| text.chars()) {
            sha.update([u8::try_from(u32::from(c)).unwrap_or(b'?')]);
        }
        Some(Self::of_digest(&sha.finalize()))
    }

    /// Every hash that a tolerant side takes for a stream: the right one first, the one over
    /// folded JIDs, for who has prepared what it was told, the one over Latin-1.
    pub(crate) fn spellings(sid: &Sid, requester: &Jid, target: &Jid) -> SmallVec<[Self; 2]> {
        let right = Self::new(sid, requester, target);
        let folded = match (fold(requester), fold(target)) {
            (None, None) => None,
            (from, to) => Some(Self::new(
                sid,
                from.as_ref().unwrap_or(requester),
                to.as_ref().unwrap_or(target),
            )),
        };
        let odd = Self::latin1(sid, requester, target);
        core::iter::once(right).chain(folded).chain(odd).collect()
    }

    /// Takes what was sent as an address: 40 lower-case hexadecimal digits.
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let text: [u8; Self::LEN] = octets.try_into().ok()?;
        text.iter().all(is_digit).then_some(Self(text))
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The address as octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn of_digest(digest: &[u8]) -> Self {
        let mut text = [b'0'; Self::LEN];
        let nibbles = digest.iter().flat_map(|&octet| [octet >> 4, octet & 15]);
        for (digit, nibble) in text.iter_mut().zip(nibbles) {
            *digit = match nibble {
                0..=9 => b'0' + nibble,
                _ => b'a' + nibble - 10,
            };
        }
        Self(text)
    }
}

/// The JID with its local and domain part in lower case, where that is another spelling.
fn fold(jid: &Jid) -> Option<Jid> {
    let (address, resource) = match jid.resource() {
        Some(resource) => jid.as_str().split_at(jid.as_str().len() - resource.len()),
        None => (jid.as_str(), ""),
    };
    if !address.bytes().any(|octet| octet.is_ascii_uppercase()) {
        return None;
    }
    let mut text = address.to_ascii_lowercase();
    text.push_str(resource);
    Jid::new(&text).ok()
}

/// Says whether an octet is a digit of an address.
pub(crate) fn is_digit(octet: &u8) -> bool {
    matches!(octet, b'0'..=b'9' | b'a'..=b'f')
}

impl fmt::Debug for DstAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for DstAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(sid: &str, requester: &str, target: &str) -> (Sid, Jid, Jid) {
        let jid = |text| Jid::new(text).expect("a JID");
        (Sid::new(sid).expect("a sid"), jid(requester), jid(target))
    }

    #[test]
    fn the_hashes_of_the_specifications_come_out() {
        let (romeo, juliet) = ("romeo@montague.lit/orchard", "juliet@capulet.lit/balcony");
        let requester = "requester@example.com/foo";
        for (sid, from, to, hash) in [
            (
                "vj3hs98y",
                romeo,
                juliet,
                "972b7bf47291ca609517f67f86b5081086052dad",
            ),
            (
                "vj3hs98y",
                juliet,
                romeo,
                "1a12fb7bc625e55f3ed5b29a53dbe0e4aa7d80ba",
            ),
            (
                "yia72g3v49j7",
                requester,
                "room@conference.example.net/Tget",
                "416781edf1ae50bad01cb8509ba35b43952bc345",
            ),
            (
                "vxf9n471bn46",
                requester,
                "target@example.org/bar",
                "98b8d688d0f5d895fd41c5e7309a2e9e33ba32ff",
            ),
        ] {
            let (sid, from, to) = new(sid, from, to);
            assert_eq!(DstAddr::new(&sid, &from, &to).as_str(), hash);
            assert_eq!(DstAddr::latin1(&sid, &from, &to), None);
            assert_eq!(DstAddr::spellings(&sid, &from, &to).len(), 1);
        }
    }

    #[test]
    fn beyond_ascii_there_are_two_spellings() {
        let (sid, from, to) = new("s1", "müller@example.org/ö", "julia@example.org/x");
        let hashes: SmallVec<[_; 2]> = DstAddr::spellings(&sid, &from, &to);
        let hashes: SmallVec<[&str; 2]> = hashes.iter().map(DstAddr::as_str).collect();
        assert_eq!(
            *hashes,
            [
                "81261eae4ea70eb1d79891c413c744c90b882fa8",
                "06b911d3f1adab78c2cd81585bbeda4e6fd1b52e"
            ]
        );
    }

    #[test]
    fn only_forty_lower_case_digits_are_an_address() {
        let right = "972b7bf47291ca609517f67f86b5081086052dad";
        assert_eq!(
            DstAddr::parse(right.as_bytes()).expect("a hash").as_str(),
            right
        );
        for wrong in [
            "",
            "972b7bf47291ca609517f67f86b5081086052da",
            "972b7bf47291ca609517f67f86b5081086052dadd",
            "972B7BF47291CA609517F67F86B5081086052DAD",
            "972b7bf47291ca609517f67f86b5081086052dag",
        ] {
            assert_eq!(DstAddr::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
