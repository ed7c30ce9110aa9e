//! From tokens, or whole stanzas, to XML text.

use crate::codec::Decimal;
use crate::{
    Base64, Data, Iq, IqBody, Jid, Message, OutBuf, Payload, Stanza, Token, TokenSink, ns,
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
    /// An in-band block goes through a template; the text is the same as through
    /// [`Stanza::emit`] and [`XmlWriter::sink`].
    pub fn write(&mut self, stanza: &Stanza, out: &mut OutBuf) {
        match stanza {
            Stanza::Iq(Iq {
                from,
                to,
                id,
                body: IqBody::Set(Payload::Data(data)),
            }) => {
                reserve(data, out);
                out.extend_from_slice(b"<iq");
                write_head(from.as_ref(), to.as_ref(), Some(id.as_str()), out);
                out.extend_from_slice(b" type='set'>");
                self.write_data(data, out);
                out.extend_from_slice(b"</iq>");
            }
            Stanza::Message(Message {
                from,
                to,
                id,
                payload: Some(Payload::Data(data)),
                error: None,
            }) => {
                reserve(data, out);
                out.extend_from_slice(b"<message");
                let id = id.as_ref().map(crate::Id::as_str);
                write_head(from.as_ref(), to.as_ref(), id, out);
                out.push(b'>');
                self.write_data(data, out);
                out.extend_from_slice(b"</message>");
            }
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

    fn write_data(&self, data: &Data, out: &mut OutBuf) {
        out.extend_from_slice(b"<data xmlns='http://jabber.org/protocol/ibb' seq='");
        out.extend_from_slice(Decimal::new(data.seq.into()).as_str().as_bytes());
        out.extend_from_slice(b"' sid='");
        escape(data.sid.as_str(), Place::Attribute, out);
        if data.octets.is_empty() {
            out.extend_from_slice(b"'/>");
            return;
        }
        out.extend_from_slice(b"'>");
        self.base64.encode(&data.octets, out);
        out.extend_from_slice(b"</data>");
    }
}

impl Default for XmlWriter {
    /// A writer for a client's stream.
    fn default() -> Self {
        Self::new(ns::CLIENT)
    }
}

/// Makes room for the whole stanza at once.
fn reserve(data: &Data, out: &mut OutBuf) {
    out.spare(Base64::encoded_len(data.octets.len()) + MARKUP);
}

/// Writes the attributes that stanzas have in common, in the order of [`Stanza::emit`].
fn write_head(from: Option<&Jid>, to: Option<&Jid>, id: Option<&str>, out: &mut OutBuf) {
    if let Some(from) = from {
        out.extend_from_slice(b" from='");
        escape(from.as_str(), Place::Attribute, out);
        out.push(b'\'');
    }
    if let Some(to) = to {
        out.extend_from_slice(b" to='");
        escape(to.as_str(), Place::Attribute, out);
        out.push(b'\'');
    }
    if let Some(id) = id {
        out.extend_from_slice(b" id='");
        escape(id, Place::Attribute, out);
        out.push(b'\'');
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
    let suspicious = |b: &u8| *b < 0x20 || matches!(b, b'<' | b'>' | b'&' | b'\'' | 0xEF);
    // Without a branch an octet, which is the common case done at once.
    if !text
        .as_bytes()
        .iter()
        .fold(false, |any, b| any | suspicious(b))
    {
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

/// Octets of markup that a block's stanza rarely exceeds.
const MARKUP: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Id, Sid};
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
