//! Trees of minidom, both ways: for programs that already hold their stanzas as such.

use crate::{Base64, OutBuf, Token, TokenSink};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use minidom::rxml::{Namespace, NcName};
use minidom::{Element, Node};

/// Pushes the tokens of a tree.
///
/// ```
/// use bytestreams_stanza::door::{ElementSink, read_element};
/// use bytestreams_stanza::{Decoder, Limits, Stanza};
/// use minidom::Element;
///
/// let tree: Element = "<iq xmlns='jabber:client' id='1' type='get'>
///     <ping xmlns='urn:xmpp:ping'/></iq>".parse()?;
/// let mut decoder = Decoder::new(Limits::DEFAULT);
/// read_element(&tree, &mut decoder)?;
/// let stanza: Stanza = decoder.finish()?;
///
/// let mut builder = ElementSink::default();
/// stanza.emit(&mut builder)?;
/// assert_eq!(builder.finish()?.attr("id"), Some("1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The sink's.
pub fn read_element<S: TokenSink>(element: &Element, sink: &mut S) -> Result<(), S::Error> {
    begin(element, sink)?;
    // Not recursive: a tree may be deep.
    let mut open = Vec::new();
    open.push(element.nodes());
    while let Some(nodes) = open.last_mut() {
        match nodes.next() {
            Some(Node::Element(child)) => {
                begin(child, sink)?;
                open.push(child.nodes());
            }
            Some(Node::Text(text)) => {
                if !text.is_empty() {
                    sink.token(Token::Text(text))?;
                }
            }
            None => {
                open.pop();
                sink.token(Token::Close)?;
            }
        }
    }
    Ok(())
}

fn begin<S: TokenSink>(element: &Element, sink: &mut S) -> Result<(), S::Error> {
    sink.token(Token::Open {
        ns: &element.ns(),
        name: element.name(),
    })?;
    for ((ns, name), value) in element.attrs() {
        if ns.is_none() {
            sink.token(Token::Attr { name, value })?;
        }
    }
    Ok(())
}

/// Builds a tree of the tokens of one element, within 128 others at most: trees are dropped
/// recursively.
#[derive(Debug, Default)]
pub struct ElementSink {
    open: Vec<Element>,
    done: Option<Element>,
    base64: Base64,
}

/// Tokens that make no tree: names that are none, too many within each other, or not one whole
/// element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnElement;

impl fmt::Display for NotAnElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the tokens make no element")
    }
}

impl core::error::Error for NotAnElement {}

impl ElementSink {
    /// Yields the tree, and begins anew.
    ///
    /// # Errors
    /// When the tokens taken are not one whole element.
    pub fn finish(&mut self) -> Result<Element, NotAnElement> {
        let whole = self.open.is_empty();
        self.open.clear();
        self.done.take().filter(|_| whole).ok_or(NotAnElement)
    }

    fn top(&mut self) -> Result<&mut Element, NotAnElement> {
        self.open.last_mut().ok_or(NotAnElement)
    }
}

impl TokenSink for ElementSink {
    type Error = NotAnElement;

    fn token(&mut self, token: Token<'_>) -> Result<(), NotAnElement> {
        match token {
            Token::Open { ns, name } => {
                let name = NcName::try_from(name).map_err(|_| NotAnElement)?;
                if self.done.is_some() || self.open.len() >= DEPTH {
                    return Err(NotAnElement);
                }
                self.open.push(Element::bare(name.to_string(), ns));
            }
            Token::Attr { name, value } => {
                let name = NcName::try_from(name).map_err(|_| NotAnElement)?;
                self.top()?.set_attr(Namespace::NONE, name, value);
            }
            Token::Text(text) => self.top()?.append_text(text),
            Token::Octets(octets) => {
                let mut text = OutBuf::default();
                self.base64.encode(octets, &mut text);
                let text = core::str::from_utf8(text.as_slice()).map_err(|_| NotAnElement)?;
                self.top()?.append_text(text);
            }
            Token::Close => {
                let element = self.open.pop().ok_or(NotAnElement)?;
                match self.open.last_mut() {
                    Some(parent) => _ = parent.append_child(element),
                    None => self.done = Some(element),
                }
            }
        }
        Ok(())
    }
}

/// Elements within each other at most.
const DEPTH: usize = 128;
