//! Randomness as an argument, and identifiers made from it.

use bytestreams_stanza::{Id, Sid};
use core::fmt;

/// 32 octets that nobody can guess, drawn by the driver for a command that starts something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entropy(pub [u8; 32]);

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(..)")
    }
}

impl Entropy {
    /// The stream identifier: 128 bits as 32 hexadecimal digits behind a letter, so that it is a
    /// name as XML has it too.
    pub fn sid(&self) -> Sid {
        sid(self.0.first_chunk())
    }

    /// Another one, for a second offer of the same thing.
    pub fn spare_sid(&self) -> Sid {
        sid(self.0.last_chunk())
    }
}

fn sid(octets: Option<&[u8; 16]>) -> Sid {
    let mut text = [b's'; 33];
    let digits = text.iter_mut().skip(1);
    for (at, digit) in digits.enumerate() {
        let octet = octets.and_then(|octets| octets.get(at / 2)).unwrap_or(&0);
        *digit = hex(if at % 2 == 0 { octet >> 4 } else { octet & 15 });
    }
    let text = core::str::from_utf8(&text).unwrap_or("s");
    // 33 octets are within the bounds of a stream identifier, so the fallback is never made.
    Sid::new(text).unwrap_or_else(|_| unreachable_sid())
}

#[expect(clippy::unreachable, reason = "a constant length within the bounds")]
fn unreachable_sid() -> Sid {
    unreachable!("33 octets are a stream identifier")
}

fn hex(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + (nibble & 15) - 10,
    }
}

/// Makes the ids of requests: a prefix and a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    prefix: [u8; 8],
    counter: u64,
}

impl Ids {
    /// Takes the first eight octets of an identifier that is new in the world, such as our own
    /// sid, as the prefix; zeros stand in for what is missing or not a letter or digit.
    pub fn new(seed: &str) -> Self {
        let mut prefix = [b'0'; 8];
        for (to, from) in prefix.iter_mut().zip(seed.bytes()) {
            if from.is_ascii_alphanumeric() {
                *to = from;
            }
        }
        Self { prefix, counter: 0 }
    }

    /// Says whether an id has the form and the prefix of those that are made here.
    pub fn made(&self, id: &Id) -> bool {
        let rest = id.as_bytes().strip_prefix(&self.prefix);
        rest.is_some_and(|rest| rest.first() == Some(&b'-'))
    }

    /// Makes the next id: the prefix, a dash, the counter in hexadecimal.
    pub fn next_id(&mut self) -> Id {
        let mut text = [0; 25];
        let mut len = 0;
        let mut put = |octet| {
            if let Some(slot) = text.get_mut(len) {
                *slot = octet;
                len += 1;
            }
        };
        self.prefix.iter().copied().for_each(&mut put);
        put(b'-');
        let digits = (64 - self.counter.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            put(hex(((self.counter >> (digit * 4)) & 15) as u8));
        }
        self.counter = self.counter.wrapping_add(1);
        Id::from(
            text.get(..len)
                .and_then(|t| core::str::from_utf8(t).ok())
                .unwrap_or_default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sids_are_names_and_differ() {
        let mut octets = [0; 32];
        for (i, octet) in octets.iter_mut().enumerate() {
            *octet = 0x90 + i as u8;
        }
        let entropy = Entropy(octets);
        assert_eq!(entropy.sid().as_str(), "s909192939495969798999a9b9c9d9e9f");
        assert_eq!(
            entropy.spare_sid().as_str(),
            "sa0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
        );
        assert!(entropy.sid().is_nmtoken());
    }

    #[test]
    fn ids_count_in_hexadecimal() {
        let mut ids = Ids::new("ab-cdefghij");
        let first = ids.next_id();
        assert_eq!(first.as_str(), "ab0cdefg-0");
        assert!(ids.made(&first));
        assert!(!ids.made(&"ab0cdefh-0".into()));
        assert!(!ids.made(&"ab0cdefg".into()));
        ids.counter = 255;
        assert_eq!(ids.next_id().as_str(), "ab0cdefg-ff");
        assert_eq!(ids.next_id().as_str(), "ab0cdefg-100");
        ids.counter = u64::MAX;
        assert_eq!(ids.next_id().as_str(), "ab0cdefg-ffffffffffffffff");
    }
}
