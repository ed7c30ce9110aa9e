//! What stands at the top level of a stream: stanzas, and the few elements of the stream itself.

use super::Frame;
use crate::codec::{SERVER, trim};
use crate::{Decoder, Token, TokenSink, ns};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::convert::Infallible;
use core::fmt;

/// The content of a `<stream:error/>` (RFC 6120, 4.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// The local name of the condition; `undefined-condition` where none is named.
    pub condition: Arc<str>,
    /// A text for people.
    pub text: Option<Arc<str>>,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.condition)?;
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for StreamError {}

/// Passes stanzas on to the decoder and keeps the rest.
pub(super) struct TopSink<'a> {
    decoder: &'a mut Decoder,
    content: &'a str,
    kind: Kind,
    depth: usize,
    ns: Arc<str>,
    name: Arc<str>,
    condition: Option<Arc<str>>,
    in_text: bool,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stanza,
    Features,
    Handshake,
    Error,
    Unknown,
}

/// What an element turned out to be.
pub(super) enum Top {
    /// A stanza: the decoder has it.
    Stanza,
    /// Anything else.
    Other(Box<Frame>),
}

impl<'a> TopSink<'a> {
    pub(super) fn new(decoder: &'a mut Decoder, content: &'a str) -> Self {
        Self {
            decoder,
            content,
            kind: Kind::Unknown,
            depth: 0,
            ns: Arc::default(),
            name: Arc::default(),
            condition: None,
            in_text: false,
            text: String::new(),
        }
    }

    pub(super) fn finish(self) -> Top {
        let text = || trim(&self.text);
        Top::Other(Box::new(match self.kind {
            Kind::Stanza => return Top::Stanza,
            Kind::Features => Frame::Features,
            Kind::Handshake => Frame::Handshake(String::from(text())),
            Kind::Error => Frame::Error(StreamError {
                text: (!text().is_empty()).then(|| Arc::from(text())),
                condition: self
                    .condition
                    .unwrap_or_else(|| Arc::from("undefined-condition")),
            }),
            Kind::Unknown => Frame::Unknown {
                ns: self.ns,
                name: self.name,
            },
        }))
    }

    fn open(&mut self, ns: &str, name: &str) {
        self.depth += 1;
        if self.depth == 1 {
            self.kind = match (ns, name) {
                (_, "iq" | "message" | "presence") if ns == self.content => Kind::Stanza,
                (_, "handshake") if SERVER && ns == self.content => Kind::Handshake,
                (ns::STREAM, "features") => Kind::Features,
                (ns::STREAM, "error") => Kind::Error,
                _ => Kind::Unknown,
            };
            if self.kind == Kind::Unknown {
                self.ns = Arc::from(clipped(ns));
                self.name = Arc::from(clipped(name));
            }
        }
        if self.kind == Kind::Error && self.depth == 2 && ns == ns::STREAM_ERRORS {
            self.in_text = name == "text";
            if !self.in_text && self.condition.is_none() {
                self.condition = Some(Arc::from(clipped(name)));
            }
        }
    }

    fn text(&mut self, piece: &str) {
        let wanted = match self.kind {
            Kind::Handshake => self.depth == 1,
            Kind::Error => self.depth == 2 && self.in_text,
            Kind::Stanza | Kind::Features | Kind::Unknown => false,
        };
        if wanted && self.text.len() + piece.len() <= TEXT {
            self.text.push_str(piece);
        }
    }
}

impl TokenSink for TopSink<'_> {
    type Error = Infallible;

    fn token(&mut self, token: Token<'_>) -> Result<(), Infallible> {
        match token {
            Token::Open { ns, name } => self.open(ns, name),
            Token::Text(piece) => self.text(piece),
            Token::Close => {
                self.depth = self.depth.saturating_sub(1);
                self.in_text &= self.depth >= 2;
            }
            Token::Attr { .. } | Token::Octets(_) => {}
        }
        if self.kind == Kind::Stanza {
            return self.decoder.token(token);
        }
        Ok(())
    }
}

/// The text where it is as short as such texts are, nothing else.
fn clipped(text: &str) -> &str {
    if text.len() <= TEXT { text } else { "" }
}

/// Octets of a text or name that is kept.
const TEXT: usize = 1024;
