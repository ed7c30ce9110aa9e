//! From tokens, or whole stanzas, to XML text.

use crate::codec::Decimal;
use crate::{
    Base64, Data, Id, Iq, IqBody, Jid, Message, OutBuf, Payload, Stanza, Token, TokenSink, ns,
};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::ops::Range;

/// Writes stanzas as XML, for one stream.
///
/// The text is that of a stream whose default namespace is the content namespace: an element says
/// `xmlns` only where it leaves its parent's, and no prefix is ever used. Base64 has no white space
/// and never passes an escaper. Characters that XML 1.0 cannot hold become U+FFFD.
///
/// Steady state allocates nothing but room in the buffer.
#[derive(Debug)]
pub struct XmlWriter {
    content: Arc<str>,
    base64: Base64,
    stack: Stack,
}

impl XmlWriter {
    /// Makes a writer for a stream of that content namespace, such as [`ns::CLIENT`].
    pub fn new(content: &str) -> Self {
        Self {
            content: Arc::from(content),
            base64: Base64::new(),
            stack: Stack::default(),
        }
    }

    /// Appends the text of a stanza.
    ///
    /// With the standard library an in-band block goes through a template; the text is the same as
    /// through [`Stanza::emit`] and [`XmlWriter::sink`].
    pub fn write(&mut self, stanza: &Stanza, out: &mut OutBuf) {
        match stanza {
            Stanza::Iq(Iq {
                from,
                to,
                id,
                body: IqBody::Set(Payload::Data(data)),
            }) if SHORT_WAY
                && self.write_block(&IQ, from.as_ref(), to.as_ref(), Some(id), data, out) => {}
            Stanza::Message(Message {
                from,
                to,
                id,
                payload: Some(Payload::Data(data)),
                error: None,
            }) if SHORT_WAY
                && self.write_block(
                    &MESSAGE,
                    from.as_ref(),
                    to.as_ref(),
                    id.as_ref(),
                    data,
                    out,
                ) => {}
            Stanza::Iq(_) | Stanza::Message(_) | Stanza::Presence(_) => {
                match stanza.emit(&mut self.sink(out)) {
                    Ok(()) => {}
                }
            }
        }
    }

    /// Begins an element: what takes its tokens and appends their text.
    pub fn sink<'a>(&'a mut self, out: &'a mut OutBuf) -> XmlSink<'a> {
        self.stack.clear();
        XmlSink {
            content: &self.content,
            base64: &self.base64,
            stack: &mut self.stack,
            out,
        }
    }

    /// Appends a block in its stanza, unless something in it needs escaping.
    // Inlined for the lengths of the templates to be constant.
    #[inline(always)]
    fn write_block(
        &self,
        template: &Template,
        from: Option<&Jid>,
        to: Option<&Jid>,
        id: Option<&Id>,
        data: &Data,
        out: &mut OutBuf,
    ) -> bool {
        let from = from.map(|from| from.as_str().as_bytes());
        let to = to.map(|to| to.as_str().as_bytes());
        let id = id.map(Id::as_bytes);
        let sid = data.sid.as_str().as_bytes();
        if data.octets.is_empty() {
            return false;
        }
        let names: usize = [from, to, id, Some(sid)]
            .into_iter()
            .flatten()
            .map(<[u8]>::len)
            .sum();
        let text = Base64::encoded_len(data.octets.len());
        let mut pen = Pen {
            room: out.spare(MARKUP + names + text),
            at: 0,
            odd: [0; PIECE],
        };
        pen.put(template.open);
        if let Some(from) = from {
            pen.put(b" from='");
            pen.put_value(from);
            pen.put(b"'");
        }
        if let Some(to) = to {
            pen.put(b" to='");
            pen.put_value(to);
            pen.put(b"'");
        }
        if let Some(id) = id {
            pen.put(b" id='");
            pen.put_value(id);
            pen.put(b"'");
        }
        pen.put(template.data);
        pen.put(Decimal::new(data.seq.into()).as_str().as_bytes());
        pen.put(b"' sid='");
        pen.put_value(sid);
        pen.put(b"'>");
        if pen.odd != [0; PIECE] {
            return false;
        }
        let rest = pen.room.get_mut(pen.at..).unwrap_or_default();
        pen.at += self.base64.encode_slice(&data.octets, rest).unwrap_or(0);
        pen.put(template.close);
        let written = pen.at;
        out.advance(written);
        true
    }
}

/// Whether blocks are written through a template: it takes code, of which a target without the
/// standard library has little.
const SHORT_WAY: bool = cfg!(feature = "std");

/// What stands around the parts of a block's stanza that change.
struct Template {
    open: &'static [u8],
    data: &'static [u8],
    close: &'static [u8],
}

const IQ: Template = Template {
    open: b"<iq",
    data: b" type='set'><data xmlns='http://jabber.org/protocol/ibb' seq='",
    close: b"</data></iq>",
};

const MESSAGE: Template = Template {
    open: b"<message",
    data: b"><data xmlns='http://jabber.org/protocol/ibb' seq='",
    close: b"</data></message>",
};

/// Octets of a template that never change, and those of a number.
const MARKUP: usize = 160;

/// Fills room that was reckoned before.
struct Pen<'a> {
    room: &'a mut [u8],
    at: usize,
    /// Not all zero once a value needed escaping.
    odd: Piece,
}

impl Pen<'_> {
    #[inline(always)]
    fn put(&mut self, octets: &[u8]) {
        if let Some(room) = self.room.get_mut(self.at..self.at + octets.len()) {
            room.copy_from_slice(octets);
            self.at += octets.len();
        }
    }

    /// Copies a value and looks at it in the same go.
    #[inline]
    fn put_value(&mut self, value: &[u8]) {
        let Some(room) = self.room.get_mut(self.at..self.at + value.len()) else {
            return;
        };
        self.at += value.len();
        let (Some(last), Some(last_room)) = (value.last_chunk(), room.last_chunk_mut()) else {
            for (room, b) in room.iter_mut().zip(value) {
                *room = *b;
                self.odd[0] |= odd(*b);
            }
            return;
        };
        look(last, &mut self.odd);
        *last_room = *last;
        for (room, piece) in room.chunks_exact_mut(PIECE).zip(value.chunks_exact(PIECE)) {
            if let Ok(piece) = <&Piece>::try_from(piece) {
                look(piece, &mut self.odd);
                room.copy_from_slice(piece);
            }
        }
    }
}

/// Octets looked at at once.
const PIECE: usize = 16;
type Piece = [u8; PIECE];

/// Says of each octet whether it may need escaping: not zero, then.
#[inline(always)]
fn look(piece: &Piece, found: &mut Piece) {
    for (found, b) in found.iter_mut().zip(piece) {
        *found |= odd(*b);
    }
}

/// Not zero for `&`, `'`, `<`, `>`, controls, and what leads U+FFFE and U+FFFF, among others.
/// Without a branch, so that a piece is done at once.
#[inline(always)]
const fn odd(b: u8) -> u8 {
    (b < 0x20) as u8 | (b | 1 == b'\'') as u8 | (b | 2 == b'>') as u8 | (b == 0xEF) as u8
}

impl Default for XmlWriter {
    /// A writer for a client's stream.
    fn default() -> Self {
        Self::new(ns::CLIENT)
    }
}

/// Takes the tokens of one element and appends their text, as [`XmlWriter`] says.
///
/// Names are written as they come: they are to be names of XML.
#[derive(Debug)]
pub struct XmlSink<'a> {
    content: &'a str,
    base64: &'a Base64,
    stack: &'a mut Stack,
    out: &'a mut OutBuf,
}

/// The open elements.
#[derive(Debug, Default)]
struct Stack {
    elements: Vec<Open>,
    /// The texts of their names.
    names: String,
    /// Whether the start tag of the innermost still lacks its `>`.
    in_tag: bool,
}

#[derive(Debug)]
struct Open {
    /// In `names`; the parent's where they agree.
    ns: Range<usize>,
    /// In `names`.
    name: Range<usize>,
    /// Where `names` ended before.
    kept: usize,
}

impl Stack {
    fn clear(&mut self) {
        self.elements.clear();
        self.names.clear();
        self.in_tag = false;
    }

    fn push_name(&mut self, text: &str) -> Range<usize> {
        let from = self.names.len();
        self.names.push_str(text);
        from..self.names.len()
    }
}

impl XmlSink<'_> {
    fn end_tag(&mut self) {
        if self.stack.in_tag {
            self.stack.in_tag = false;
            self.out.push(b'>');
        }
    }

    fn open(&mut self, ns: &str, name: &str) {
        self.end_tag();
        let ns = if matches!(ns, ns::CLIENT | ns::COMPONENT) {
            self.content
        } else {
            ns
        };
        let kept = self.stack.names.len();
        let around = self.stack.elements.last().map(|open| open.ns.clone());
        let same = match &around {
            Some(around) => self.stack.names.get(around.clone()) == Some(ns),
            None => ns == self.content,
        };
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        if !same {
            self.out.extend_from_slice(b" xmlns='");
            escape(ns, Place::Attribute, self.out);
            self.out.push(b'\'');
        }
        let ns = match around {
            Some(around) if same => around,
            _ => self.stack.push_name(ns),
        };
        let name = self.stack.push_name(name);
        self.stack.elements.push(Open { ns, name, kept });
        self.stack.in_tag = true;
    }

    fn close(&mut self) {
        let Some(open) = self.stack.elements.pop() else {
            return;
        };
        if self.stack.in_tag {
            self.stack.in_tag = false;
            self.out.extend_from_slice(b"/>");
        } else {
            let name = self.stack.names.get(open.name).unwrap_or_default();
            self.out.extend_from_slice(b"</");
            self.out.extend_from_slice(name.as_bytes());
            self.out.push(b'>');
        }
        self.stack.names.truncate(open.kept);
    }
}

impl TokenSink for XmlSink<'_> {
    type Error = Infallible;

    fn token(&mut self, token: Token<'_>) -> Result<(), Infallible> {
        match token {
            Token::Open { ns, name } => self.open(ns, name),
            Token::Attr { name, value } => {
                self.out.push(b' ');
                self.out.extend_from_slice(name.as_bytes());
                self.out.extend_from_slice(b"='");
                escape(value, Place::Attribute, self.out);
                self.out.push(b'\'');
            }
            Token::Text(text) => {
                self.end_tag();
                escape(text, Place::Text, self.out);
            }
            Token::Octets(octets) => {
                self.end_tag();
                self.base64.encode(octets, self.out);
            }
            Token::Close => self.close(),
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Between apostrophes.
    Attribute,
    Text,
}

/// Appends `text` as an attribute value between apostrophes can hold it.
pub(crate) fn escape_attribute(text: &str, out: &mut OutBuf) {
    escape(text, Place::Attribute, out);
}

/// Appends `text` as XML can hold it.
fn escape(text: &str, place: Place, out: &mut OutBuf) {
    if text.bytes().fold(0, |any, b| any | odd(b)) == 0 {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let replacement = match c {
            '<' => "&lt;",
            '>' => "&gt;",
            '&' => "&amp;",
            '\'' if place == Place::Attribute => "&apos;",
            // As they stand they would come out as blanks, or as line feeds.
            '\t' if place == Place::Attribute => "&#x9;",
            '\n' if place == Place::Attribute => "&#xA;",
            '\r' => "&#xD;",
            '\t' | '\n' => continue,
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => "\u{fffd}",
            _ => continue,
        };
        out.extend_from_slice(text.get(plain..at).unwrap_or_default().as_bytes());
        out.extend_from_slice(replacement.as_bytes());
        plain = at + c.len_utf8();
    }
    out.extend_from_slice(text.get(plain..).unwrap_or_default().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sid;
    use alloc::string::ToString;
    use bytes::Bytes;

    fn written(stanza: &Stanza) -> String {
        let mut out = OutBuf::default();
        XmlWriter::default().write(stanza, &mut out);
        String::from_utf8(out.as_slice().to_vec()).expect("UTF-8")
    }

    fn emitted(stanza: &Stanza) -> String {
        let mut out = OutBuf::default();
        let mut writer = XmlWriter::default();
        stanza.emit(&mut writer.sink(&mut out)).expect("writer");
        String::from_utf8(out.as_slice().to_vec()).expect("UTF-8")
    }

    fn data(octets: &'static [u8]) -> Payload {
        Payload::Data(Data {
            sid: Sid::new("i'781 <&>").expect("sid"),
            seq: 65535,
            octets: Bytes::from_static(octets),
        })
    }

    #[test]
    fn the_template_writes_what_the_tokens_write() {
        let jid = |text| Some(Jid::new(text).expect("jid"));
        for octets in [&b""[..], b"a", b"ab", b"abc", &[0xFF; 4096]] {
            for (from, to) in [(None, None), (jid("a@b/'<&>\u{e9}\u{fffd}"), jid("c@d"))] {
                let iq = Iq {
                    from: from.clone(),
                    ..Iq::set(to.clone(), Id::from("i&d\n\u{1}"), data(octets))
                };
                assert_eq!(written(&iq.clone().into()), emitted(&iq.into()));
                for id in [None, Some(Id::from("m1"))] {
                    let message = Message {
                        from: from.clone(),
                        to: to.clone(),
                        id,
                        payload: Some(data(octets)),
                        error: None,
                    };
                    assert_eq!(written(&message.clone().into()), emitted(&message.into()));
                }
            }
        }
    }

    #[test]
    fn an_element_says_its_namespace_where_it_leaves_its_parents() {
        let mut out = OutBuf::default();
        let mut writer = XmlWriter::new(ns::COMPONENT);
        let mut sink = writer.sink(&mut out);
        for token in [
            Token::Open {
                ns: ns::CLIENT,
                name: "iq",
            },
            Token::Open { ns: "a", name: "x" },
            Token::Open { ns: "a", name: "y" },
            Token::Close,
            Token::Open {
                ns: ns::CLIENT,
                name: "z",
            },
            Token::Text("]]>"),
            Token::Close,
            Token::Open {
                ns: "b&",
                name: "w",
            },
            Token::Close,
            Token::Close,
            Token::Close,
        ] {
            match sink.token(token) {
                Ok(()) => {}
            }
        }
        assert_eq!(
            core::str::from_utf8(out.as_slice()).expect("UTF-8"),
            "<iq><x xmlns='a'><y/><z xmlns='jabber:component:accept'>]]&gt;</z>\
             <w xmlns='b&amp;'/></x></iq>"
        );
    }

    #[test]
    fn what_xml_cannot_hold_is_replaced() {
        let mut out = OutBuf::default();
        escape("a\0b\u{ffff}\u{fffe}\u{feff}\r\n\t'", Place::Text, &mut out);
        assert_eq!(
            core::str::from_utf8(out.as_slice()).expect("UTF-8"),
            "a\u{fffd}b\u{fffd}\u{fffd}\u{feff}&#xD;\n\t'".to_string()
        );
    }
}
