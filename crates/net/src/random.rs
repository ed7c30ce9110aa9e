//! What the system has of randomness.

use bytestreams_machine::Entropy;

/// Draws what a new transfer needs.
///
/// # Panics
/// When the operating system has no randomness to give.
pub fn entropy() -> Entropy {
    Entropy(octets())
}

/// # Panics
/// Likewise.
pub(crate) fn octets<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).expect("the operating system gives randomness");
    octets
}
