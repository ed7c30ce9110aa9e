//! Base64 as XEP-0047 has it: RFC 4648 section 4, padded, nothing outside the alphabet.
//!
//! White space of XML is skipped on the way in, since the specification's own examples wrap their
//! lines, and never written. Non-zero bits behind the last octet are refused, so that every block
//! has one spelling.

#[cfg(any(test, not(feature = "fast")))]
mod small;

use crate::OutBuf;
#[cfg(feature = "fast")]
use base64::Engine;
use core::fmt;

#[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod imp {
    use base64::engine::general_purpose::PAD;
    pub(super) use base64::engine::simd::Simd as Imp;

    pub(super) fn new() -> Imp {
        Imp::standard(PAD)
    }
}

#[cfg(all(
    feature = "fast",
    not(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))
))]
mod imp {
    pub(super) use base64::engine::GeneralPurpose as Imp;
    use base64::engine::general_purpose::STANDARD;

    pub(super) fn new() -> Imp {
        STANDARD
    }
}

#[cfg(not(feature = "fast"))]
mod imp {
    #[derive(Clone)]
    pub(super) struct Imp;

    pub(super) const fn new() -> Imp {
        Imp
    }
}

/// Encodes and decodes with the best instructions of this machine.
///
/// Making one looks at the processor: make it once a codec.
#[derive(Clone)]
pub struct Base64(imp::Imp);

/// A text is not base64, or holds more than there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base64Error {
    /// A character outside the alphabet, padding that is missing or not at the end, or non-zero
    /// bits behind the last octet.
    Invalid,
    /// The octets exceed the room given.
    TooLong,
}

impl fmt::Display for Base64Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "not base64",
            Self::TooLong => "more octets than allowed",
        })
    }
}

impl core::error::Error for Base64Error {}

impl Base64 {
    /// Makes an engine.
    pub fn new() -> Self {
        Self(imp::new())
    }

    /// The characters that `octets` octets become.
    pub const fn encoded_len(octets: usize) -> usize {
        octets.div_ceil(3) * 4
    }

    /// The most octets that `characters` characters can hold.
    pub const fn decoded_len(characters: usize) -> usize {
        characters / 4 * 3
    }

    /// Appends the text of `octets`.
    pub fn encode(&self, octets: &[u8], out: &mut OutBuf) {
        let room = out.spare(Self::encoded_len(octets.len()));
        let written = self.encode_slice(octets, room).unwrap_or(0);
        out.advance(written);
    }

    /// Writes the text of `octets` to the front of `out` and returns its length.
    ///
    /// # Errors
    /// When `out` is shorter than [`Base64::encoded_len`].
    pub fn encode_slice(&self, octets: &[u8], out: &mut [u8]) -> Result<usize, Base64Error> {
        #[cfg(feature = "fast")]
        return self
            .0
            .encode_slice(octets, out)
            .map_err(|_| Base64Error::TooLong);
        #[cfg(not(feature = "fast"))]
        small::encode(octets, out).ok_or(Base64Error::TooLong)
    }

    /// Writes the octets of `text` to the front of `out` and returns how many they are.
    ///
    /// # Errors
    /// As [`Base64Error`] says; `out` then holds anything.
    #[inline]
    pub fn decode(&self, text: &[u8], out: &mut [u8]) -> Result<usize, Base64Error> {
        #[cfg(feature = "fast")]
        return match self.0.decode_slice(text, out) {
            Ok(octets) => Ok(octets),
            // Only a text that is refused as it stands is looked at for white space.
            Err(_) => self.decode_spaced(text, out),
        };
        #[cfg(not(feature = "fast"))]
        small::decode(text, out)
    }

    /// Decodes group by group what stands between the white space.
    #[cfg(feature = "fast")]
    #[cold]
    fn decode_spaced(&self, text: &[u8], out: &mut [u8]) -> Result<usize, Base64Error> {
        let mut group = [0_u8; 1024];
        let mut filled = 0;
        let mut written = 0;
        let mut padded = false;
        let mut flush = |group: &[u8], padded: &mut bool| {
            if *padded {
                return Err(Base64Error::Invalid);
            }
            let room = out.get_mut(written..).unwrap_or_default();
            let octets = self.0.decode_slice(group, room).map_err(|e| match e {
                base64::DecodeSliceError::OutputSliceTooSmall => Base64Error::TooLong,
                base64::DecodeSliceError::DecodeError(_) => Base64Error::Invalid,
            })?;
            *padded = octets < Self::decoded_len(group.len());
            written += octets;
            Ok(written)
        };
        for &b in text {
            if is_space(b) {
                continue;
            }
            if let Some(slot) = group.get_mut(filled) {
                *slot = b;
            }
            filled += 1;
            if filled == group.len() {
                flush(&group, &mut padded)?;
                filled = 0;
            }
        }
        if filled > 0 {
            return flush(group.get(..filled).unwrap_or_default(), &mut padded);
        }
        Ok(written)
    }
}

impl Default for Base64 {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Base64")
    }
}

/// White space of XML (section 2.3).
pub(crate) const fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn decode(text: &str) -> Result<Vec<u8>, Base64Error> {
        let mut out = vec![0; 3000];
        let n = Base64::new().decode(text.as_bytes(), &mut out)?;
        out.truncate(n);
        Ok(out)
    }

    #[test]
    fn known_texts_are_read() {
        for (text, octets) in [
            ("", ""),
            ("VEVTVElORw==", "TESTING"),
            ("c2xpeG1wcA==", "slixmpp"),
            ("VGVzdGluZw==", "Testing"),
            ("aXQgd29ya3Mh", "it works!"),
        ] {
            assert_eq!(decode(text), Ok(octets.as_bytes().to_vec()), "{text}");
        }
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in [
            "=AAA",
            "BBBB=CCC",
            "AA=BB",
            "ABC=DEFGH",
            "=ABCDEFGH",
            "ABCD?EFGH",
            "{",
            "A",
            "AA",
            "AAA",
            "AA=",
            "AA==AA==",
            "AAAA====",
            "=",
            "====",
            "A===",
            "AAA=\u{a0}",
            "AA-_",
            "AB==",
            "AAB=",
            "AA\u{b}A",
        ] {
            assert_eq!(decode(text), Err(Base64Error::Invalid), "{text}");
        }
    }

    #[test]
    fn white_space_is_skipped_wherever_it_stands() {
        assert_eq!(decode(" \r\n\t"), Ok(Vec::new()));
        assert_eq!(decode("\nVEVT VElO\r\nRw= =\t"), Ok(b"TESTING".to_vec()));
        assert_eq!(decode("AA== AA=="), Err(Base64Error::Invalid));
        let octets: Vec<u8> = (0..2500_u32).map(|n| (n * 7) as u8).collect();
        for len in [766, 767, 768, 769, 1535, 1536, 1537, 2500] {
            let octets = octets.get(..len).unwrap_or_default();
            let mut buf = OutBuf::default();
            Base64::new().encode(octets, &mut buf);
            assert_eq!(buf.len(), Base64::encoded_len(len));
            let mut text = Vec::new();
            for line in buf.as_slice().chunks(76) {
                text.extend_from_slice(line);
                text.push(b'\n');
            }
            let text = alloc::string::String::from_utf8(text).expect("ascii");
            assert_eq!(decode(&text).as_deref(), Ok(octets));
            let behind = alloc::format!("{text}AAAA");
            assert_eq!(
                decode(&behind).is_ok(),
                len % 3 == 0,
                "padding stands only at the end"
            );
        }
    }

    #[test]
    fn more_octets_than_room_are_refused() {
        let mut out = [0; 6];
        let engine = Base64::new();
        assert_eq!(engine.decode(b"AAAAAAAA", &mut out), Ok(6));
        assert_eq!(engine.decode(b"AAAAAAA=", &mut out), Ok(5));
        assert_eq!(
            engine.decode(b"AAAAAAAAAA==", &mut out),
            Err(Base64Error::TooLong)
        );
        assert_eq!(
            engine.decode(b"AAAA AAAA AA==", &mut out),
            Err(Base64Error::TooLong)
        );
    }
}
