//! What the codec's benches have in common: the same stanzas for us, for a hand-made bound, and
//! for xmpp-parsers.
//!
//! A stanza is `<iq from to id type='set'><data xmlns seq sid>BASE64</data></iq>`; the block's
//! octets, the addresses and the stream are the same for all three.
#![allow(dead_code, reason = "each bench uses its part")]

pub(crate) mod bound;
pub(crate) mod ours;
pub(crate) mod peers;

/// Block sizes that are measured.
pub(crate) const SIZES: [usize; 2] = [4096, 65_535];
/// Octets that a socket's buffer hands over at a time in tokio-xmpp.
pub(crate) const PIECE: usize = 8192;

pub(crate) const FROM: &str = "juliet@capulet.example/balcony-5d1f";
pub(crate) const TO: &str = "romeo@montague.example/orchard-77ab";
pub(crate) const SID: &str = "bs-6f1d3c0a9be84b52";

/// A block of octets that do not repeat soon.
pub(crate) fn block(size: usize, turn: usize) -> Vec<u8> {
    let mut state = turn as u32 * 77 + 1;
    (0..size)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

/// The stanza's identifier.
pub(crate) fn id(turn: usize) -> String {
    format!("bs6f1d3c0a-{:06}", turn + 1000)
}
