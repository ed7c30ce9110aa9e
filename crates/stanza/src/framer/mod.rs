//! From the octets of a stream to its stanzas.

mod header;
mod hot;
mod scan;
mod top;

pub use header::Header;
pub use top::StreamError;

use crate::base64::is_space;
use crate::door::{Context, Door, DoorError, XmlFault};
use crate::{DecodeError, Decoder, Limits, Stanza, ns};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use header::HeaderFault;
use scan::{Item, Kind, Scanner};
use top::{Top, TopSink};

/// Cuts a stream into frames, however its octets come.
///
/// ```
/// # #[cfg(feature = "quick-xml")] {
/// use bytestreams_stanza::door::QuickXml;
/// use bytestreams_stanza::{Frame, Framer, Limits};
///
/// let mut framer = Framer::new(QuickXml::default(), Limits::DEFAULT);
/// let mut received = &b"<stream:stream xmlns='jabber:client' version='1.0'
///     xmlns:stream='http://etherx.jabber.org/streams'><presence/><iq type='res"[..];
/// while let Some(frame) = framer.next(&mut received) {
///     match frame.expect("a good stream") {
///         Frame::Stanza(_stanza) => { /* feed the machines */ }
///         _ => { /* set the stream up, or end it */ }
///     }
/// }
/// assert!(received.is_empty(), "the rest of the stanza may come now");
/// # }
/// ```
///
/// Every octet is looked at once for where elements end. Where an element lies whole in what was
/// given it is read in place; only one that is cut is copied. A stanza that exceeds the limits
/// passes in constant memory: what is left of it has [`Payload::Invalid`](crate::Payload) with
/// [`Fault::Limit`](crate::Fault), its start tag's attributes, and the stream that it named.
#[derive(Debug)]
pub struct Framer<D> {
    door: D,
    decoder: Decoder,
    context: Context,
    /// The qualified name of the stream's element, once known.
    name: Option<Arc<str>>,
    scanner: Scanner,
    /// The octets before those given, of an item that is cut.
    kept: Vec<u8>,
    /// Whether the content namespace is one of those whose blocks are read the short way.
    hot: bool,
    /// Whether every stanza goes through the door all the same.
    reference: bool,
    /// Why the item under way is passed over.
    skipping: Option<&'static str>,
    done: bool,
}

/// A part of a stream that means something.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Frame {
    /// The stream begins.
    Header(Header),
    /// A stanza.
    Stanza(Stanza),
    /// A stanza of which nothing can be told or answered, and which was let go.
    Dropped(DecodeError),
    /// `<stream:features/>`
    Features,
    /// `<handshake/>` (XEP-0114) with its text.
    Handshake(String),
    /// `<stream:error/>`: the peer ends the stream.
    Error(StreamError),
    /// An element that nothing here knows.
    Unknown {
        /// Its namespace.
        ns: Arc<str>,
        /// Its local name.
        name: Arc<str>,
    },
    /// The stream's end tag. Nothing follows.
    End,
}

/// Why a stream cannot go on. Answer with the stream error of [`FrameError::condition`], then
/// close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The text breaks the rules of XML, or those that RFC 6120 section 11.1 adds.
    Xml(XmlFault),
    /// The header is longer than a header has reason to be.
    HeaderTooLong,
    /// The root element is no stream.
    NotAStream,
    /// Text stands where only elements may.
    TextBetween,
}

impl FrameError {
    /// The name of the stream error's condition (RFC 6120, 4.9.3).
    pub const fn condition(self) -> &'static str {
        match self {
            Self::Xml(fault) => fault.condition(),
            Self::HeaderTooLong => "policy-violation",
            Self::NotAStream => "invalid-namespace",
            Self::TextBetween => "bad-format",
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xml(fault) => fault.fmt(f),
            Self::HeaderTooLong => f.write_str("the stream's header is too long"),
            Self::NotAStream => f.write_str("the root element is no stream"),
            Self::TextBetween => f.write_str("text stands between the stanzas"),
        }
    }
}

impl core::error::Error for FrameError {}

impl From<XmlFault> for FrameError {
    fn from(fault: XmlFault) -> Self {
        Self::Xml(fault)
    }
}

impl From<HeaderFault> for FrameError {
    fn from(fault: HeaderFault) -> Self {
        match fault {
            HeaderFault::Xml(fault) => Self::Xml(fault),
            HeaderFault::NotAStream => Self::NotAStream,
        }
    }
}

impl<D: Door> Framer<D> {
    /// Makes a framer for a stream from its first octet.
    pub fn new(door: D, limits: Limits) -> Self {
        Self {
            door,
            decoder: Decoder::new(limits),
            context: Context::new(""),
            name: None,
            scanner: Scanner::new(true, limits.depth),
            kept: Vec::new(),
            hot: false,
            reference: false,
            skipping: None,
            done: false,
        }
    }

    /// Makes a framer for a stream whose header has passed already.
    pub fn inside(door: D, limits: Limits, context: Context) -> Self {
        Self {
            hot: is_content(&context),
            context,
            scanner: Scanner::new(false, limits.depth),
            ..Self::new(door, limits)
        }
    }

    /// The namespaces that the header bound.
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// Reads every stanza through the door, as the reference for the short way of blocks.
    #[must_use]
    pub const fn without_hot_path(mut self) -> Self {
        self.reference = true;
        self
    }

    /// Octets kept of an element that is not whole yet.
    pub fn buffered(&self) -> usize {
        self.kept.len()
    }

    /// Takes octets from the front of `input` and yields the next frame; none when all have been
    /// taken. Call until then.
    ///
    /// # Errors
    /// When the stream cannot go on. Nothing comes after that, nor after [`Frame::End`].
    pub fn next(&mut self, input: &mut &[u8]) -> Option<Result<Frame, FrameError>> {
        if self.done {
            *input = &[];
            return None;
        }
        let frame = self.advance(input)?;
        if matches!(frame, Err(_) | Ok(Frame::End)) {
            self.done = true;
            self.kept = Vec::new();
        }
        Some(frame)
    }

    #[inline]
    fn advance(&mut self, input: &mut &[u8]) -> Option<Result<Frame, FrameError>> {
        if self.scanner.is_idle() {
            skip_space(input);
            match input.first() {
                None => return None,
                Some(b'<') => {}
                Some(_) => return Some(Err(FrameError::TextBetween)),
            }
        }
        // What stands behind the longest header is not looked at, so that it makes no difference.
        let mut scanned: &[u8] = input;
        if self.scanner.is_header() {
            let most = HEADER.min(self.decoder.limits().stanza);
            let left = most.saturating_sub(self.kept.len());
            scanned = scanned.get(..left).unwrap_or(scanned);
        }
        let whole = match self.scanner.scan(scanned) {
            Ok(None) if scanned.len() < input.len() => {
                return Some(Err(FrameError::HeaderTooLong));
            }
            Ok(whole) => whole,
            Err(fault) => return Some(Err(fault.into())),
        };
        let length = whole.map_or(input.len(), |(_, length)| length);
        let (piece, rest) = input.split_at_checked(length).unwrap_or((input, &[]));
        *input = rest;
        if self.skipping.is_none() && !self.scanner.is_header() {
            self.bound(piece);
        }
        let Some((item, _)) = whole else {
            if self.skipping.is_none() {
                self.kept.extend_from_slice(piece);
            }
            return None;
        };
        let frame = if self.kept.is_empty() {
            self.item(item, piece)
        } else {
            if self.skipping.is_none() {
                self.kept.extend_from_slice(piece);
            }
            let mut kept = core::mem::take(&mut self.kept);
            let frame = self.item(item, &kept);
            kept.clear();
            self.kept = kept;
            frame
        };
        self.skipping = None;
        self.scanner.next_item();
        Some(frame)
    }

    /// Holds the item under way to the limits, and gives it up where it exceeds one.
    fn bound(&mut self, piece: &[u8]) {
        let limits = self.decoder.limits();
        let octets = self.kept.len() + piece.len();
        // Whichever it exceeds first, however its octets are cut.
        let too_deep = self.scanner.too_deep().filter(|at| *at <= limits.stanza);
        let (limit, at) = match too_deep {
            Some(at) => ("depth", at),
            None if octets > limits.stanza => ("stanza", limits.stanza),
            None => return,
        };
        self.skipping = Some(limit);
        self.keep_heads(piece, at);
    }

    /// Puts in place of the item's octets its start tag, its first child's, as far as they end
    /// within the first `limit` octets, and their ends.
    #[inline(never)]
    fn keep_heads(&mut self, piece: &[u8], limit: usize) {
        let cut = self.kept.len();
        let octets_of = |start: usize, end: usize, kept: &[u8], to: &mut Vec<u8>| {
            let before = kept.get(start.min(cut)..end.min(cut)).unwrap_or_default();
            let from = start.saturating_sub(cut)..end.saturating_sub(cut);
            to.extend_from_slice(before);
            to.extend_from_slice(piece.get(from).unwrap_or_default());
        };
        let mut heads = Vec::new();
        let mut ends: [Option<(usize, usize)>; 2] = [None; 2];
        for (tag, end) in self.scanner.tags().iter().zip(&mut ends) {
            let whole = tag.end != 0 && tag.end <= limit;
            if !whole || tag.kind == Kind::End {
                break;
            }
            let from = heads.len();
            octets_of(tag.start, tag.end, &self.kept, &mut heads);
            if tag.kind == Kind::Empty {
                break;
            }
            let name = heads
                .get(from + 1..)
                .unwrap_or_default()
                .iter()
                .take_while(|b| !is_space(**b) && !matches!(b, b'>' | b'/'))
                .count();
            *end = Some((from + 1, from + 1 + name));
        }
        for (from, to) in ends.iter().rev().flatten() {
            heads.extend_from_slice(b"</");
            heads.extend_from_within(*from..*to);
            heads.push(b'>');
        }
        // Without a whole start tag, what remains is an element that means nothing.
        if heads.is_empty() {
            heads.extend_from_slice(b"<x xmlns=''/>");
        }
        self.kept = heads;
    }

    #[inline]
    fn item(&mut self, item: Item, octets: &[u8]) -> Result<Frame, FrameError> {
        match item {
            Item::Header => {
                let (header, context, name) = Header::parse(octets)?;
                self.hot = is_content(&context);
                self.context = context;
                self.name = Some(name);
                Ok(Frame::Header(header))
            }
            Item::End => {
                let name = self.name.as_deref().unwrap_or("stream:stream");
                if header::is_end_of(octets, name.as_bytes()) {
                    Ok(Frame::End)
                } else {
                    Err(XmlFault::NotWellFormed.into())
                }
            }
            Item::Element => {
                if SHORT_WAY && self.hot && !self.reference && self.skipping.is_none() {
                    let tools = self.decoder.tools();
                    let content = self.context.content();
                    if let Some(stanza) = hot::read(octets, &self.scanner, content, tools) {
                        return Ok(Frame::Stanza(stanza));
                    }
                }
                self.element(octets)
            }
        }
    }

    fn element(&mut self, octets: &[u8]) -> Result<Frame, FrameError> {
        self.decoder.reset();
        let mut sink = TopSink::new(&mut self.decoder, self.context.content());
        match self.door.read(octets, &self.context, &mut sink) {
            Ok(()) => {}
            Err(DoorError::Xml(fault)) => return Err(fault.into()),
            Err(DoorError::Sink(never)) => match never {},
        }
        let top = sink.finish();
        if let Some(limit) = self.skipping {
            self.decoder.exceed(limit);
        }
        Ok(match top {
            Top::Stanza => match self.decoder.finish() {
                Ok(stanza) => Frame::Stanza(stanza),
                Err(error) => Frame::Dropped(error),
            },
            Top::Other(_) if self.skipping.is_some() => Frame::Dropped(DecodeError::NotAStanza),
            Top::Other(frame) => *frame,
        })
    }
}

fn is_content(context: &Context) -> bool {
    matches!(context.content(), ns::CLIENT | ns::COMPONENT)
}

fn skip_space(input: &mut &[u8]) {
    let space = input.iter().take_while(|b| is_space(**b)).count();
    *input = input.get(space..).unwrap_or_default();
}

/// Whether blocks are read the short way: it takes code, of which a target without the standard
/// library has little.
const SHORT_WAY: bool = cfg!(feature = "std");

/// Octets of a header, its XML declaration included.
const HEADER: usize = 16_384;

#[cfg(all(test, feature = "quick-xml"))]
mod tests;
