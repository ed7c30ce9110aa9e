//! Doors: from XML to tokens.

#[cfg(feature = "minidom")]
mod minidom;
mod plain;
#[cfg(feature = "quick-xml")]
mod quick_xml;
#[cfg(feature = "rxml")]
mod rxml;
mod scope;
mod tags;
pub(crate) mod text;

#[cfg(feature = "minidom")]
pub use self::minidom::{ElementSink, NotAnElement, read_element};
pub use self::plain::Plain;
#[cfg(feature = "quick-xml")]
pub use self::quick_xml::QuickXml;
#[cfg(feature = "rxml")]
pub use self::rxml::Rxml;

use crate::{TokenSink, ns};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// Reads XML text and pushes tokens.
///
/// All doors give the same tokens for the same text; which one to take is a matter of target and
/// speed.
pub trait Door {
    /// Pushes the tokens of one whole element: `element` begins with its `<` and ends with the
    /// `>` that closes it. The namespaces in force around it are the context's.
    ///
    /// # Errors
    /// When the text is not well-formed, or holds what RFC 6120 section 11.1 forbids: both end
    /// the stream. Tokens may have been pushed by then. And the sink's own.
    fn read<S: TokenSink>(
        &mut self,
        element: &[u8],
        context: &Context,
        sink: &mut S,
    ) -> Result<(), DoorError<S::Error>>;
}

/// The namespaces in force inside the stream's header, around every stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    content: Arc<str>,
    prefixes: Vec<(Arc<str>, Arc<str>)>,
}

impl Context {
    /// A stream whose content (and default) namespace is `content`, with the prefix `stream` bound
    /// as usual.
    pub fn new(content: &str) -> Self {
        let mut context = Self {
            content: Arc::from(content),
            prefixes: Vec::new(),
        };
        context.bind("stream", ns::STREAM);
        context
    }

    /// Binds a prefix, in place of what it was bound to.
    pub fn bind(&mut self, prefix: &str, namespace: &str) {
        self.prefixes.retain(|(bound, _)| &**bound != prefix);
        self.prefixes
            .push((Arc::from(prefix), Arc::from(namespace)));
    }

    /// The content namespace: what an element without prefix is in.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// What the prefix is bound to.
    pub fn resolve(&self, prefix: &str) -> Option<&str> {
        self.prefixes
            .iter()
            .find(|(bound, _)| &**bound == prefix)
            .map(|(_, namespace)| &**namespace)
    }

    /// All bindings of prefixes.
    pub fn prefixes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.prefixes
            .iter()
            .map(|(prefix, namespace)| (&**prefix, &**namespace))
    }
}

impl Default for Context {
    /// A client's stream.
    fn default() -> Self {
        Self::new(ns::CLIENT)
    }
}

/// Why a door gave up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DoorError<E> {
    /// The text is at fault: the stream must end.
    Xml(XmlFault),
    /// The sink refused a token.
    Sink(E),
}

/// What is wrong with XML text. Each ends the stream (RFC 6120, 4.9.3 and 11.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum XmlFault {
    /// It breaks the grammar of XML 1.0, of its namespaces, or is cut short.
    NotWellFormed,
    /// It is not UTF-8.
    Encoding,
    /// A comment, a processing instruction, a document type or entity declaration, or a reference
    /// to an entity other than the five predefined ones.
    Restricted,
    /// A prefix that nothing binds, or a binding that is not allowed.
    Namespace,
}

impl XmlFault {
    /// The stream error condition that names the fault (RFC 6120, 4.9.3).
    pub const fn condition(self) -> &'static str {
        match self {
            Self::NotWellFormed => "not-well-formed",
            Self::Encoding => "unsupported-encoding",
            Self::Restricted => "restricted-xml",
            Self::Namespace => "bad-namespace-prefix",
        }
    }
}

impl fmt::Display for XmlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotWellFormed => "the text is not well-formed XML",
            Self::Encoding => "the text is not UTF-8",
            Self::Restricted => "the text uses a part of XML that streams must not",
            Self::Namespace => "a namespace prefix is unbound or wrongly bound",
        })
    }
}

impl core::error::Error for XmlFault {}

impl<E: fmt::Display> fmt::Display for DoorError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xml(fault) => fault.fmt(f),
            Self::Sink(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for DoorError<E> {}

impl<E> From<XmlFault> for DoorError<E> {
    fn from(fault: XmlFault) -> Self {
        Self::Xml(fault)
    }
}
