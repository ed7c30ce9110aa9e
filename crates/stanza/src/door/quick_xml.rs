//! The door of quick-xml, which splits the text into tags and texts. What quick-xml leaves to its
//! caller (names, attributes, namespaces, characters, entities) is judged here.

use super::scope::Scope;
use super::text::{self, Attribute, Name};
use super::{Context, Door, DoorError, XmlFault};
use crate::{Token, TokenSink};
use alloc::string::String;
use alloc::vec::Vec;
use quick_xml::Reader;
use quick_xml::errors::{Error, SyntaxError};
use quick_xml::events::Event;
use smallvec::SmallVec;

/// Reads with quick-xml: the fast door, for targets with the standard library.
///
/// It keeps its buffers from element to element.
#[derive(Debug, Default)]
pub struct QuickXml {
    scope: Scope,
    attributes: Vec<Attribute>,
    /// The values of the attributes, entities resolved.
    values: String,
    /// A text that had to be rewritten.
    text: String,
}

impl Door for QuickXml {
    fn read<S: TokenSink>(
        &mut self,
        element: &[u8],
        context: &Context,
        sink: &mut S,
    ) -> Result<(), DoorError<S::Error>> {
        let element = core::str::from_utf8(element).map_err(|_| XmlFault::Encoding)?;
        // The reader would pass over a byte order mark.
        if !element.starts_with('<') {
            return Err(XmlFault::NotWellFormed.into());
        }
        let mut reader = Reader::from_str(element);
        self.scope.clear();
        // Whether the element has begun and ended.
        let mut begun = false;
        loop {
            let event = reader.read_event().map_err(|error| fault(&error))?;
            let inside = self.scope.depth() > 0;
            match event {
                Event::Start(_) | Event::Empty(_) if begun && !inside => {
                    return Err(XmlFault::NotWellFormed.into());
                }
                Event::Start(tag) => {
                    begun = true;
                    self.start(tag.name().into_inner(), tag.attributes_raw(), context, sink)?;
                }
                Event::Empty(tag) => {
                    begun = true;
                    self.start(tag.name().into_inner(), tag.attributes_raw(), context, sink)?;
                    self.end(sink)?;
                }
                Event::End(_) if inside => self.end(sink)?,
                Event::Text(piece) if inside => {
                    let piece = text::content(&piece, &mut self.text)?;
                    push_text(piece, sink)?;
                }
                Event::CData(piece) if inside => {
                    let piece = text::cdata(&piece, &mut self.text)?;
                    push_text(piece, sink)?;
                }
                Event::GeneralRef(name) if inside => {
                    let c = text::reference(&name)?;
                    push_text(c.encode_utf8(&mut [0; 4]), sink)?;
                }
                Event::Eof if begun && !inside => return Ok(()),
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) => {
                    return Err(XmlFault::Restricted.into());
                }
                // Text around the element, or its end missing.
                Event::Eof
                | Event::Text(_)
                | Event::CData(_)
                | Event::GeneralRef(_)
                | Event::End(_) => return Err(XmlFault::NotWellFormed.into()),
            }
        }
    }
}

impl QuickXml {
    fn start<S: TokenSink>(
        &mut self,
        name: &str,
        raw: &str,
        context: &Context,
        sink: &mut S,
    ) -> Result<(), DoorError<S::Error>> {
        let name = Name::split(name)?;
        self.scope.enter();
        self.attributes.clear();
        self.values.clear();
        let mut rest = text::Attributes::new(raw);
        while let Some(attribute) = rest.next(&mut self.values)? {
            self.attributes.push(attribute);
        }
        for attribute in &self.attributes {
            let (name, value) = parts(attribute, raw, &self.values);
            match Name::split(name)? {
                Name {
                    prefix: "",
                    local: "xmlns",
                } => self.scope.bind("", value)?,
                Name {
                    prefix: "xmlns",
                    local,
                } => self.scope.bind(local, value)?,
                Name { .. } => {}
            }
        }
        let ns = self.scope.resolve(name.prefix, context)?;
        self.check_duplicates(raw, context)?;
        sink.token(Token::Open {
            ns,
            name: name.local,
        })
        .map_err(DoorError::Sink)?;
        for attribute in &self.attributes {
            let (name, value) = parts(attribute, raw, &self.values);
            if name != "xmlns" && !name.contains(':') {
                sink.token(Token::Attr { name, value })
                    .map_err(DoorError::Sink)?;
            }
        }
        Ok(())
    }

    /// Refuses two attributes of one name, prefixes resolved (Namespaces in XML 1.0, 6.3).
    fn check_duplicates(&self, raw: &str, context: &Context) -> Result<(), XmlFault> {
        let mut names = SmallVec::<[(&str, &str); 16]>::new();
        for attribute in &self.attributes {
            let (name, _) = parts(attribute, raw, &self.values);
            let name = Name::split(name)?;
            let ns = match name.prefix {
                "" | "xmlns" => name.prefix,
                prefix => self.scope.resolve(prefix, context)?,
            };
            names.push((ns, name.local));
        }
        names.sort_unstable();
        let repeats = names.iter().zip(names.iter().skip(1)).any(|(a, b)| a == b);
        if repeats {
            return Err(XmlFault::NotWellFormed);
        }
        Ok(())
    }

    fn end<S: TokenSink>(&mut self, sink: &mut S) -> Result<(), DoorError<S::Error>> {
        self.scope.leave();
        sink.token(Token::Close).map_err(DoorError::Sink)
    }
}

fn parts<'a>(attribute: &Attribute, raw: &'a str, values: &'a str) -> (&'a str, &'a str) {
    (
        raw.get(attribute.name.clone()).unwrap_or_default(),
        values.get(attribute.value.clone()).unwrap_or_default(),
    )
}

fn push_text<S: TokenSink>(piece: &str, sink: &mut S) -> Result<(), DoorError<S::Error>> {
    if piece.is_empty() {
        return Ok(());
    }
    sink.token(Token::Text(piece)).map_err(DoorError::Sink)
}

/// A comment, an instruction or a declaration that is cut short is still one.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "all others are faults of the grammar"
)]
fn fault(error: &Error) -> XmlFault {
    match error {
        Error::Syntax(
            SyntaxError::InvalidBangMarkup
            | SyntaxError::UnclosedPI
            | SyntaxError::UnclosedXmlDecl
            | SyntaxError::UnclosedComment
            | SyntaxError::UnclosedDoctype,
        ) => XmlFault::Restricted,
        _ => XmlFault::NotWellFormed,
    }
}
