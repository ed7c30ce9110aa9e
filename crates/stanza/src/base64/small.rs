//! Base64 in little code, a character at a time.

use super::{Base64Error, is_space};

/// Writes the text of `octets` to the front of `out`; none where that is too short.
pub(super) fn encode(octets: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut at = 0;
    for group in octets.chunks(3) {
        let mut word = 0;
        for n in 0..3 {
            word = word << 8 | u32::from(group.get(n).copied().unwrap_or(0));
        }
        let places = out.get_mut(at..at + 4)?;
        for (n, place) in places.iter_mut().enumerate() {
            *place = if n > group.len() { b'=' } else { letter(word) };
            word <<= 6;
        }
        at += 4;
    }
    Some(at)
}

/// Writes the octets of `text` to the front of `out`, white space passed over.
pub(super) fn decode(text: &[u8], out: &mut [u8]) -> Result<usize, Base64Error> {
    let (mut word, mut letters, mut padding, mut at) = (0, 0, 0, 0);
    for &b in text.iter().filter(|b| !is_space(**b)) {
        // A group that was padded is the last.
        if padding > 0 && (letters == 0 || b != b'=') {
            return Err(Base64Error::Invalid);
        }
        padding += u32::from(b == b'=');
        word = word << 6 | value(b)?;
        letters += 1;
        if letters < 4 {
            continue;
        }
        if padding > 2 || word & ((1 << (8 * padding)) - 1) != 0 {
            return Err(Base64Error::Invalid);
        }
        for _ in padding..3 {
            *out.get_mut(at).ok_or(Base64Error::TooLong)? = (word >> 16) as u8;
            word <<= 8;
            at += 1;
        }
        (word, letters) = (0, 0);
    }
    if letters > 0 {
        return Err(Base64Error::Invalid);
    }
    Ok(at)
}

/// The character of the six bits from the 24th down.
const fn letter(word: u32) -> u8 {
    let six = (word >> 18 & 63) as u8;
    match six {
        0..=25 => b'A' + six,
        26..=51 => b'a' - 26 + six,
        52..=61 => six - 52 + b'0',
        62 => b'+',
        _ => b'/',
    }
}

fn value(b: u8) -> Result<u32, Base64Error> {
    Ok(u32::from(match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        b'=' => 0,
        _ => return Err(Base64Error::Invalid),
    }))
}

#[cfg(all(test, feature = "fast"))]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn it_writes_what_the_other_writes() {
        for length in 0..100_u8 {
            let octets: Vec<u8> = (0..length).map(|n| n.wrapping_mul(73)).collect();
            let text = STANDARD.encode(&octets);
            let mut out = vec![0; text.len()];
            assert_eq!(encode(&octets, &mut out), Some(text.len()));
            assert_eq!(out, text.as_bytes());
            let mut back = vec![0; octets.len()];
            assert_eq!(decode(text.as_bytes(), &mut back), Ok(octets.len()));
            assert_eq!(back, octets);
        }
        assert_eq!(encode(b"abc", &mut [0; 3]), None);
        assert_eq!(decode(b"YWJj", &mut [0; 2]), Err(Base64Error::TooLong));
    }

    #[test]
    fn it_refuses_what_the_other_refuses() {
        // Every text of a few characters that matter.
        let letters = b"AQg/=-";
        for mut n in 0..letters.len().pow(6) {
            let mut text = vec![];
            for _ in 0..6 {
                text.push(letters[n % letters.len()]);
                n /= letters.len();
            }
            for text in [&text[..4], &text[..5], &text[..], b"QUJD"] {
                let (mut ours, mut theirs) = ([0; 9], [0; 9]);
                let wanted = STANDARD.decode_slice(text, &mut theirs).ok();
                assert_eq!(decode(text, &mut ours).ok(), wanted, "{text:?}");
                assert_eq!(wanted.map(|n| &ours[..n]), wanted.map(|n| &theirs[..n]));
            }
        }
    }
}
