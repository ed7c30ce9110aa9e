//! The hand-made bound: what anyone could write who needs just this one stanza. A template out, a
//! memchr scan of the attributes in, no limits, no framing; the base64 engine is ours.

use super::{FROM, SID, TO};
use base64::Engine;
use base64::engine::general_purpose::PAD;
use base64::engine::simd::Simd;
use memchr::memchr;

pub(crate) struct Bound {
    engine: Simd,
    out: Vec<u8>,
    head: Vec<u8>,
    middle: Vec<u8>,
    behind: Vec<u8>,
}

/// What the scan finds.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Found<'a> {
    pub(crate) from: &'a [u8],
    pub(crate) to: &'a [u8],
    pub(crate) id: &'a [u8],
    pub(crate) ty: &'a [u8],
    pub(crate) ns: &'a [u8],
    pub(crate) seq: u16,
    pub(crate) sid: &'a [u8],
    pub(crate) octets: usize,
}

impl Bound {
    pub(crate) fn new() -> Self {
        Self {
            engine: Simd::standard(PAD),
            out: vec![0; 100_000],
            head: format!("<iq from='{FROM}' to='{TO}' id='").into_bytes(),
            middle: b"' type='set'><data xmlns='http://jabber.org/protocol/ibb' seq='".to_vec(),
            behind: format!("' sid='{SID}'>").into_bytes(),
        }
    }

    pub(crate) fn encode(&mut self, id: &str, seq: u16, octets: &[u8]) -> &[u8] {
        let mut at = 0;
        let mut digits = [0; 5];
        let seq = decimal(seq, &mut digits);
        for part in [&self.head, id.as_bytes(), &self.middle, seq, &self.behind] {
            self.out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        at += self
            .engine
            .encode_slice(octets, &mut self.out[at..])
            .expect("room");
        let end = b"</data></iq>";
        self.out[at..at + end.len()].copy_from_slice(end);
        at += end.len();
        &self.out[..at]
    }

    pub(crate) fn decode<'a>(&mut self, text: &'a [u8]) -> Found<'a> {
        let mut found = Found::default();
        let mut at = b"<iq".len();
        assert!(text.starts_with(b"<iq "));
        at = attributes(text, at, &mut found);
        assert!(text[at..].starts_with(b"<data "));
        at = attributes(text, at + b"<data".len(), &mut found);
        let length = memchr(b'<', &text[at..]).expect("an end tag");
        found.octets = self
            .engine
            .decode_slice(&text[at..at + length], &mut self.out)
            .expect("base64");
        assert!(&text[at + length..] == b"</data></iq>");
        found
    }
}

/// Reads attributes up to the tag's end, and returns where that is.
fn attributes<'a>(text: &'a [u8], mut at: usize, found: &mut Found<'a>) -> usize {
    while text[at] == b' ' {
        let equals = at + memchr(b'=', &text[at..]).expect("=");
        let name = &text[at + 1..equals];
        let from = equals + 2;
        let to = from + memchr(text[equals + 1], &text[from..]).expect("a quotation mark");
        let value = &text[from..to];
        match name {
            b"from" => found.from = value,
            b"to" => found.to = value,
            b"id" => found.id = value,
            b"type" => found.ty = value,
            b"xmlns" => found.ns = value,
            b"sid" => found.sid = value,
            b"seq" => {
                found.seq = value
                    .iter()
                    .fold(0, |seq, digit| seq * 10 + u16::from(digit - b'0'));
            }
            _ => {}
        }
        at = to + 1;
    }
    assert!(text[at] == b'>');
    at + 1
}

fn decimal(mut value: u16, digits: &mut [u8; 5]) -> &[u8] {
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &digits[from..];
        }
    }
}
