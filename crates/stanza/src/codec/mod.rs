//! The grammar of each payload, once for writing and once for reading.
//!
//! Writing: `emit` pushes tokens. Reading: the [`Decoder`] keeps a stack of [`Node`]s, [`child`]
//! says which elements are known where, and a draft a payload takes attributes and texts.

// The tables of a grammar list what is known; everything else is passed over.
#![allow(clippy::wildcard_enum_match_arm)]

#[cfg(feature = "socks5")]
mod bytestreams;
mod decode_error;
mod decoder;
mod disco;
mod draft;
mod error;
mod ibb;
mod presence;
#[cfg(feature = "server")]
mod server;
mod si;
mod stanza;

pub use decode_error::DecodeError;
pub use decoder::Decoder;

#[cfg(any(feature = "server", feature = "socks5"))]
use crate::Jid;
use crate::base64::{Base64, is_space};
use crate::intern::Interner;
use crate::slab::Slab;
use crate::{Fault, Limits, Payload, Sid, Token, TokenSink, ns};
use alloc::sync::Arc;

/// Whether what links to a server need is read and written.
pub(crate) const SERVER: bool = cfg!(feature = "server");
/// Whether the payload of SOCKS5 bytestreams is.
const SOCKS5: bool = cfg!(feature = "socks5");

/// The elements that mean something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Iq,
    Message,
    Presence,
    Error,
    ErrorCondition(crate::Condition),
    ErrorApp(crate::AppCondition),
    ErrorText,
    Priority,
    Caps,
    Open,
    Data,
    Close,
    Bytestreams,
    StreamHost,
    StreamHostUsed,
    Activate,
    Si,
    File,
    Desc,
    Range,
    Feature,
    Form,
    Field,
    Value,
    Choice,
    ChoiceValue,
    DiscoInfo,
    Identity,
    DiscoFeature,
    DiscoItems,
    Item,
    Ping,
    Bind,
    BindJid,
    BindResource,
}

/// What becomes of an element's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collect {
    Nothing,
    Text,
    Base64,
}

/// The known element of that name within `parent`.
pub(crate) fn child(parent: Node, ns: &str, name: &str) -> Option<Node> {
    Some(match (parent, ns, name) {
        (Node::Bytestreams, ns::BYTESTREAMS, "streamhost") if SOCKS5 => Node::StreamHost,
        (Node::Bytestreams, ns::BYTESTREAMS, "streamhost-used") if SOCKS5 => Node::StreamHostUsed,
        (Node::Bytestreams, ns::BYTESTREAMS, "activate") if SOCKS5 => Node::Activate,
        (Node::Si, ns::FILE_TRANSFER, "file") => Node::File,
        (Node::File, ns::FILE_TRANSFER, "desc") => Node::Desc,
        (Node::File, ns::FILE_TRANSFER, "range") => Node::Range,
        (Node::Si, ns::FEATURE_NEG, "feature") => Node::Feature,
        (Node::Feature, ns::DATA_FORMS, "x") => Node::Form,
        (Node::Form, ns::DATA_FORMS, "field") => Node::Field,
        (Node::Field, ns::DATA_FORMS, "value") => Node::Value,
        (Node::Field, ns::DATA_FORMS, "option") => Node::Choice,
        (Node::Choice, ns::DATA_FORMS, "value") => Node::ChoiceValue,
        (Node::DiscoInfo, ns::DISCO_INFO, "identity") => Node::Identity,
        (Node::DiscoInfo, ns::DISCO_INFO, "feature") => Node::DiscoFeature,
        (Node::DiscoItems, ns::DISCO_ITEMS, "item") if SERVER => Node::Item,
        (Node::Bind, ns::BIND, "jid") if SERVER => Node::BindJid,
        (Node::Bind, ns::BIND, "resource") if SERVER => Node::BindResource,
        (Node::Error, ns::STANZA_ERRORS, "text") => Node::ErrorText,
        (Node::Error, ns::STANZA_ERRORS, name) => {
            Node::ErrorCondition(crate::Condition::from_name(name)?)
        }
        (Node::Error, ns::SI, name) => Node::ErrorApp(crate::AppCondition::from_name(name)?),
        _ => return None,
    })
}

/// The known payload of that name.
pub(crate) fn payload(ns: &str, name: &str) -> Option<Node> {
    Some(match (ns, name) {
        (ns::IBB, "data") => Node::Data,
        (ns::IBB, "open") => Node::Open,
        (ns::IBB, "close") => Node::Close,
        (ns::BYTESTREAMS, "query") if SOCKS5 => Node::Bytestreams,
        (ns::SI, "si") => Node::Si,
        (ns::DISCO_INFO, "query") => Node::DiscoInfo,
        (ns::DISCO_ITEMS, "query") if SERVER => Node::DiscoItems,
        (ns::PING, "ping") => Node::Ping,
        (ns::BIND, "bind") if SERVER => Node::Bind,
        _ => return None,
    })
}

impl Node {
    pub(crate) const fn collects(self) -> Collect {
        match self {
            Self::Data => Collect::Base64,
            Self::Desc
            | Self::Value
            | Self::ChoiceValue
            | Self::Activate
            | Self::BindJid
            | Self::BindResource
            | Self::ErrorText
            | Self::Priority => Collect::Text,
            Self::Iq
            | Self::Message
            | Self::Presence
            | Self::Error
            | Self::ErrorCondition(_)
            | Self::ErrorApp(_)
            | Self::Caps
            | Self::Open
            | Self::Close
            | Self::Bytestreams
            | Self::StreamHost
            | Self::StreamHostUsed
            | Self::Si
            | Self::File
            | Self::Range
            | Self::Feature
            | Self::Form
            | Self::Field
            | Self::Choice
            | Self::DiscoInfo
            | Self::Identity
            | Self::DiscoFeature
            | Self::DiscoItems
            | Self::Item
            | Self::Ping
            | Self::Bind => Collect::Nothing,
        }
    }
}

/// What a draft may use of its decoder.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) limits: Limits,
    pub(crate) names: Interner,
    pub(crate) slab: Slab,
    pub(crate) base64: Base64,
}

/// A payload under way.
pub(crate) trait Draft {
    /// A known element begins, the payload's own among them.
    fn open(&mut self, _node: Node, _tools: &mut Tools) -> Result<(), Fault> {
        Ok(())
    }

    /// An attribute of the known element that began last.
    fn attr(&mut self, node: Node, name: &str, value: &str, tools: &mut Tools)
    -> Result<(), Fault>;

    /// A known element ends; `text` is its text where it collects one.
    fn close(&mut self, _node: Node, _text: &str, _tools: &mut Tools) -> Result<(), Fault> {
        Ok(())
    }

    /// The stream that the payload names.
    fn sid(&self) -> Option<Sid> {
        None
    }

    /// The payload, once its element has ended.
    fn finish(self) -> Result<Payload, Fault>;
}

/// Short forms of the tokens, for writing.
pub(crate) trait Emit: TokenSink {
    fn open(&mut self, ns: &str, name: &str) -> Result<(), Self::Error> {
        self.token(Token::Open { ns, name })
    }

    fn attr(&mut self, name: &str, value: &str) -> Result<(), Self::Error> {
        self.token(Token::Attr { name, value })
    }

    fn attr_if(&mut self, name: &str, value: Option<&str>) -> Result<(), Self::Error> {
        value.map_or(Ok(()), |value| self.attr(name, value))
    }

    fn number(&mut self, name: &str, value: u64) -> Result<(), Self::Error> {
        self.attr(name, Decimal::new(value).as_str())
    }

    fn text(&mut self, text: &str) -> Result<(), Self::Error> {
        if text.is_empty() {
            return Ok(());
        }
        self.token(Token::Text(text))
    }

    fn close(&mut self) -> Result<(), Self::Error> {
        self.token(Token::Close)
    }

    /// An element with nothing in it but a text.
    fn leaf(&mut self, ns: &str, name: &str, text: &str) -> Result<(), Self::Error> {
        self.open(ns, name)?;
        self.text(text)?;
        self.close()
    }
}

impl<S: TokenSink> Emit for S {}

/// A number in decimal, without allocating.
pub(crate) struct Decimal {
    digits: [u8; 20],
    from: usize,
}

impl Decimal {
    pub(crate) fn new(mut value: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut from = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (value % 10) as u8;
            from -= 1;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        Self { digits, from }
    }

    pub(crate) fn as_str(&self) -> &str {
        self.digits
            .get(self.from..)
            .and_then(|digits| core::str::from_utf8(digits).ok())
            .unwrap_or_default()
    }
}

/// Reads a whole number as XML Schema writes it: white space around it, a plus before it, zeros
/// in front.
pub(crate) fn number(text: &str, what: &'static str) -> Result<u64, Fault> {
    let bad = Fault::BadValue(what);
    let text = trim(text);
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad);
    }
    let add = |sum: u64, b| sum.checked_mul(10)?.checked_add(u64::from(b - b'0'));
    digits.bytes().try_fold(0, add).ok_or(bad)
}

/// Takes the white space of XML off both ends.
pub(crate) fn trim(text: &str) -> &str {
    let space = text.bytes().take_while(|b| is_space(*b)).count();
    let text = text.get(space..).unwrap_or_default();
    let space = text.bytes().rev().take_while(|b| is_space(*b)).count();
    text.get(..text.len() - space).unwrap_or_default()
}

/// Reads a stream identifier.
pub(crate) fn sid(text: &str, tools: &mut Tools) -> Result<Sid, Fault> {
    tools
        .names
        .sid(text.as_bytes())
        .ok_or(Fault::BadValue("sid"))
}

/// Reads an address that comes once and is not worth a place in the cache.
#[cfg(any(feature = "server", feature = "socks5"))]
pub(crate) fn jid(text: &str, what: &'static str) -> Result<Jid, Fault> {
    Jid::new(trim(text)).map_err(|_| Fault::BadValue(what))
}

/// Holds a list to the limit.
pub(crate) fn room<T>(list: &[T], limits: &Limits) -> Result<(), Fault> {
    if list.len() >= limits.items {
        return Err(Fault::Limit("items"));
    }
    Ok(())
}

/// A value as the types hold it.
pub(crate) fn shared(text: &str) -> Option<Arc<str>> {
    Some(Arc::from(text))
}
