//! What becomes of the tags and texts of an element, however they were found: names, attributes,
//! namespaces, characters and references are judged here.

use super::scope::Scope;
use super::text::{self, Attribute, Name};
use super::{Context, DoorError, XmlFault};
use crate::{Token, TokenSink};
use alloc::string::String;
use alloc::vec::Vec;

/// Turns tags and texts into tokens, and keeps its buffers from element to element.
#[derive(Debug, Default)]
pub(super) struct Tags {
    scope: Scope,
    attributes: Vec<Attribute>,
    /// The values of the attributes, entities resolved.
    values: String,
    /// A text that had to be rewritten.
    text: String,
}

impl Tags {
    pub(super) fn clear(&mut self) {
        self.scope.clear();
    }

    /// How many elements are open.
    pub(super) const fn depth(&self) -> usize {
        self.scope.depth()
    }

    /// A start tag: `raw` is what stands between the name and the tag's end.
    pub(super) fn start<S: TokenSink>(
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
        let mut names = Names::new();
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

    /// The end tag of the element that began last.
    pub(super) fn end<S: TokenSink>(&mut self, sink: &mut S) -> Result<(), DoorError<S::Error>> {
        self.scope.leave();
        sink.token(Token::Close).map_err(DoorError::Sink)
    }

    /// A text without references.
    pub(super) fn text<S: TokenSink>(
        &mut self,
        piece: &str,
        sink: &mut S,
    ) -> Result<(), DoorError<S::Error>> {
        push_text(text::content(piece, &mut self.text)?, sink)
    }

    /// A CDATA section.
    pub(super) fn cdata<S: TokenSink>(
        &mut self,
        piece: &str,
        sink: &mut S,
    ) -> Result<(), DoorError<S::Error>> {
        push_text(text::cdata(piece, &mut self.text)?, sink)
    }
}

/// Namespaces and names. Few are kept in place, which takes code.
#[cfg(feature = "fast")]
type Names<'a> = smallvec::SmallVec<[(&'a str, &'a str); 16]>;
#[cfg(not(feature = "fast"))]
type Names<'a> = Vec<(&'a str, &'a str)>;

/// A reference: what stands between `&` and `;`.
pub(super) fn reference<S: TokenSink>(name: &str, sink: &mut S) -> Result<(), DoorError<S::Error>> {
    let c = text::reference(name)?;
    push_text(c.encode_utf8(&mut [0; 4]), sink)
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
