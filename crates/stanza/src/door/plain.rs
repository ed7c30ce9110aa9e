//! The door that needs no other crate.

use super::tags::{self, Tags};
use super::text;
use super::{Context, Door, DoorError, XmlFault};
use crate::TokenSink;
use crate::base64::is_space;
use alloc::vec::Vec;
use core::ops::Range;

/// Reads without the help of another crate: the small door, for targets with little memory.
///
/// It keeps its buffers from element to element, and needs a small part of the code and memory of
/// the others.
#[derive(Debug, Default)]
pub struct Plain {
    tags: Tags,
    /// Where the names of the open elements stand.
    names: Vec<Range<usize>>,
}

impl Door for Plain {
    fn read<S: TokenSink>(
        &mut self,
        element: &[u8],
        context: &Context,
        sink: &mut S,
    ) -> Result<(), DoorError<S::Error>> {
        let element = core::str::from_utf8(element).map_err(|_| XmlFault::Encoding)?;
        self.tags.clear();
        self.names.clear();
        let mut rest = element;
        loop {
            rest = self.markup(element, rest, context, sink)?;
            if self.tags.depth() == 0 {
                break;
            }
            rest = self.text(rest, sink)?;
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(after(rest).into())
        }
    }
}

impl Plain {
    /// Takes what begins with `<`, and gives the rest.
    fn markup<'a, S: TokenSink>(
        &mut self,
        element: &'a str,
        rest: &'a str,
        context: &Context,
        sink: &mut S,
    ) -> Result<&'a str, DoorError<S::Error>> {
        let tag = rest.strip_prefix('<').ok_or(XmlFault::NotWellFormed)?;
        if let Some(cdata) = tag.strip_prefix("![CDATA[") {
            if self.tags.depth() == 0 {
                return Err(XmlFault::NotWellFormed.into());
            }
            let (piece, rest) = text::split_once(cdata, "]]>").ok_or(XmlFault::NotWellFormed)?;
            self.tags.cdata(piece, sink)?;
            return Ok(rest);
        }
        if tag.starts_with(['!', '?']) {
            return Err(XmlFault::Restricted.into());
        }
        let length = end_of(tag).ok_or(XmlFault::NotWellFormed)?;
        let (tag, rest) = tag.split_at_checked(length).unwrap_or((tag, ""));
        let rest = rest.strip_prefix('>').unwrap_or(rest);
        if let Some(name) = tag.strip_prefix('/') {
            let begun = self.names.pop().and_then(|name| element.get(name));
            let space = name.bytes().rev().take_while(|b| is_space(*b)).count();
            let name = name.get(..name.len() - space).unwrap_or_default();
            if begun != Some(name) {
                return Err(XmlFault::NotWellFormed.into());
            }
            self.tags.end(sink)?;
            return Ok(rest);
        }
        let (tag, empty) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, raw) = tag.split_at(tag.bytes().position(is_space).unwrap_or(tag.len()));
        self.tags.start(name, raw, context, sink)?;
        if empty {
            self.tags.end(sink)?;
        } else {
            // The tag ends where the rest begins.
            let from = element.len() - rest.len() - 1 - tag.len();
            self.names.push(from..from + name.len());
        }
        Ok(rest)
    }

    /// Takes what stands before the next `<`, and gives the rest.
    fn text<'a, S: TokenSink>(
        &mut self,
        rest: &'a str,
        sink: &mut S,
    ) -> Result<&'a str, DoorError<S::Error>> {
        let length = rest.find('<').ok_or(XmlFault::NotWellFormed)?;
        let (mut text, rest) = rest.split_at(length);
        while let Some((piece, more)) = text.split_once('&') {
            self.tags.text(piece, sink)?;
            let (name, more) = more.split_once(';').ok_or(XmlFault::NotWellFormed)?;
            tags::reference(name, sink)?;
            text = more;
        }
        self.tags.text(text, sink)?;
        Ok(rest)
    }
}

/// Where a tag has its `>`, which an attribute value may hold too.
fn end_of(tag: &str) -> Option<usize> {
    let mut quote = None;
    tag.bytes().position(|b| {
        match (quote, b) {
            (None, b'>') => return true,
            (None, b'\'' | b'"') => quote = Some(b),
            (Some(open), b) if open == b => quote = None,
            _ => {}
        }
        false
    })
}

/// What is wrong with something behind the element.
fn after(rest: &str) -> XmlFault {
    let is_declaration = rest.starts_with("<!") && !rest.starts_with("<![CDATA[");
    if is_declaration || rest.starts_with("<?") {
        XmlFault::Restricted
    } else {
        XmlFault::NotWellFormed
    }
}
