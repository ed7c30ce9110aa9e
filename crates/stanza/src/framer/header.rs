//! The header of a stream (RFC 6120, 4.7) and its end.

use crate::base64::is_space;
use crate::door::text::{Attribute, Attributes, Name, split_once};
use crate::door::{Context, XmlFault};
use crate::{Jid, ns};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

/// What a stream's header says.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Who sends it.
    pub from: Option<Jid>,
    /// Whom it is for.
    pub to: Option<Jid>,
    /// The stream's identifier, which the receiving entity chooses.
    pub id: Option<Arc<str>>,
    /// `version`; RFC 6120 has `1.0`, XEP-0114 none.
    pub version: Option<Arc<str>>,
    /// The content namespace.
    pub content: Arc<str>,
}

impl Header {
    /// Reads the tag, which may stand behind an XML declaration, what it binds, and its name with
    /// the prefix.
    ///
    /// Addresses that are none are taken for absent.
    #[inline(never)]
    pub(super) fn parse(tag: &[u8]) -> Result<(Self, Context, Arc<str>), HeaderFault> {
        let text = core::str::from_utf8(tag).map_err(|_| XmlFault::Encoding)?;
        let tag = text
            .get(declaration(text)?..)
            .and_then(|text| text.strip_prefix('<'))
            .and_then(|text| text.strip_suffix('>'))
            .filter(|text| !text.ends_with('/'))
            .ok_or(XmlFault::NotWellFormed)?;
        let name_end = tag.bytes().position(is_space).unwrap_or(tag.len());
        let (qualified, raw) = tag.split_at(name_end);
        let name = Name::split(qualified)?;
        let mut values = String::new();
        let mut found: Vec<(&str, Range<usize>)> = Vec::new();
        let mut rest = Attributes::new(raw);
        while let Some(Attribute { name, value }) = rest.next(&mut values)? {
            let name = raw.get(name).unwrap_or_default();
            Name::split(name)?;
            if found.len() >= MOST || found.iter().any(|(known, _)| *known == name) {
                return Err(XmlFault::NotWellFormed.into());
            }
            found.push((name, value));
        }
        let value = |name: &str| {
            found
                .iter()
                .find(|(known, _)| *known == name)
                .and_then(|(_, range)| values.get(range.clone()))
        };
        let content = value("xmlns").unwrap_or_default();
        let mut context = Context::new(content);
        let mut bound = name.prefix.is_empty().then_some(content);
        for (attribute, range) in &found {
            let namespace = values.get(range.clone()).unwrap_or_default();
            let Some(prefix) = attribute.strip_prefix("xmlns:") else {
                continue;
            };
            if namespace.is_empty() || matches!(prefix, "xml" | "xmlns") {
                return Err(XmlFault::Namespace.into());
            }
            context.bind(prefix, namespace);
            if prefix == name.prefix {
                bound = Some(namespace);
            }
        }
        for (attribute, _) in &found {
            let prefix = Name::split(attribute)?.prefix;
            let known = matches!(prefix, "" | "xml" | "xmlns") || context.resolve(prefix).is_some();
            if !known {
                return Err(XmlFault::Namespace.into());
            }
        }
        match bound {
            None => return Err(XmlFault::Namespace.into()),
            Some(ns::STREAM) if name.local == "stream" => {}
            Some(_) => return Err(HeaderFault::NotAStream),
        }
        let jid = |name| value(name).and_then(|text| Jid::new(text).ok());
        let header = Self {
            from: jid("from"),
            to: jid("to"),
            id: value("id").map(Arc::from),
            version: value("version").map(Arc::from),
            content: Arc::from(content),
        };
        Ok((header, context, Arc::from(qualified)))
    }
}

/// Why a tag is no stream's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    Xml(XmlFault),
    NotAStream,
}

impl From<XmlFault> for HeaderFault {
    fn from(fault: XmlFault) -> Self {
        Self::Xml(fault)
    }
}

/// The length of the XML declaration, and of the white space behind it.
fn declaration(text: &str) -> Result<usize, XmlFault> {
    if !text.starts_with("<?") {
        return Ok(0);
    }
    let (body, behind) = split_once(text, "?>").ok_or(XmlFault::NotWellFormed)?;
    let body = body
        .strip_prefix("<?xml")
        .filter(|body| body.bytes().next().is_some_and(is_space))
        .ok_or(XmlFault::Restricted)?;
    let mut values = String::new();
    let mut attributes = Attributes::new(body);
    let mut first = true;
    while let Some(Attribute { name, value }) = attributes.next(&mut values)? {
        let value = values.get(value).unwrap_or_default();
        match body.get(name).unwrap_or_default() {
            "version" if first && value.starts_with("1.") => {}
            "encoding" if !first && value.eq_ignore_ascii_case("utf-8") => {}
            "encoding" if !first => return Err(XmlFault::Encoding),
            "standalone" if !first => {}
            _ => return Err(XmlFault::NotWellFormed),
        }
        first = false;
    }
    let space = behind.bytes().take_while(|b| is_space(*b)).count();
    Ok(text.len() - behind.len() + space)
}

/// Says whether `tag` is the end tag of `</name>`.
pub(super) fn is_end_of(tag: &[u8], name: &[u8]) -> bool {
    tag.strip_prefix(b"</")
        .and_then(|tag| tag.strip_suffix(b">"))
        .is_some_and(|tag| tag.trim_ascii_end() == name)
}

/// Attributes of a header.
const MOST: usize = 64;
