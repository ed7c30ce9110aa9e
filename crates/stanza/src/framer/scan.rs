//! The scan for the ends of top-level elements, which looks at every octet once.

use crate::door::XmlFault;
use memchr::{memchr, memchr3};

/// Finds where a top-level item of a stream ends: the header's tag, one element, or the stream's
/// end tag. It stops and goes on at any octet.
#[derive(Debug)]
pub(super) struct Scanner {
    at: At,
    /// Octets of the item in pieces scanned before.
    offset: usize,
    /// The last octet of the piece scanned before.
    last: u8,
    /// Elements open.
    depth: usize,
    /// Elements that may be open at once.
    most: usize,
    /// Behind the tag with which more were.
    too_deep: Option<usize>,
    kind: Kind,
    /// The item is the stream's header: one tag, perhaps behind an XML declaration.
    header: bool,
    tags: [Tag; TAGS],
    tag_count: usize,
    quotes: [u32; QUOTES],
    quote_count: usize,
    /// Octets looked at, ever.
    #[cfg(all(test, feature = "quick-xml"))]
    scanned: u64,
}

/// Where a tag stands in its item, and its quotation marks in [`Scanner::quotes`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tag {
    /// Its `<`.
    pub(super) start: usize,
    /// Behind its `>`; 0 while it is open.
    pub(super) end: usize,
    pub(super) first_quote: usize,
    pub(super) last_quote: usize,
    pub(super) kind: Kind,
}

/// What a tag is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Start,
    End,
    Empty,
}

/// A whole item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The stream's header.
    Header,
    /// An element.
    Element,
    /// `</stream:stream>`
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Outside of tags.
    Text,
    /// Behind `<`.
    Less,
    Tag,
    /// Within an attribute value.
    Quoted(u8),
    /// Behind `<!` and that many octets of `[CDATA[`.
    Bang(usize),
    /// Within a CDATA section, behind that many of the octets that end it.
    CData(usize),
    /// Within the XML declaration; the flag says whether behind a `?`.
    Declaration(bool),
}

impl Scanner {
    /// Makes a scanner that expects the header, or an item inside the stream, in which so many
    /// elements may be open at once.
    pub(super) fn new(header: bool, most: usize) -> Self {
        Self {
            at: At::Text,
            offset: 0,
            last: 0,
            depth: 0,
            most,
            too_deep: None,
            kind: Kind::Start,
            header,
            tags: [Tag::default(); TAGS],
            tag_count: 0,
            quotes: [0; QUOTES],
            quote_count: 0,
            #[cfg(all(test, feature = "quick-xml"))]
            scanned: 0,
        }
    }

    /// Makes ready for the next item, inside the stream.
    pub(super) const fn next_item(&mut self) {
        self.at = At::Text;
        self.offset = 0;
        self.depth = 0;
        self.too_deep = None;
        self.header = false;
        self.tag_count = 0;
        self.quote_count = 0;
    }

    /// Says whether the header is still to come.
    pub(super) const fn is_header(&self) -> bool {
        self.header
    }

    /// Says whether no octet of an item has been seen.
    pub(super) const fn is_idle(&self) -> bool {
        self.offset == 0
    }

    /// Where in this item more elements were open at once than may be: behind the start tag of
    /// the first that was too many.
    pub(super) const fn too_deep(&self) -> Option<usize> {
        self.too_deep
    }

    /// Octets looked at since the scanner was made.
    #[cfg(all(test, feature = "quick-xml"))]
    pub(super) const fn scanned(&self) -> u64 {
        self.scanned
    }

    /// The first tags of the item, the last of them perhaps not ended; none beyond [`TAGS`].
    pub(super) fn tags(&self) -> &[Tag] {
        self.tags
            .get(..self.tag_count.min(TAGS))
            .unwrap_or_default()
    }

    /// All tags of the item; none where there are more than [`TAGS`], or a CDATA section.
    pub(super) fn all_tags(&self) -> Option<&[Tag]> {
        self.tags.get(..self.tag_count)
    }

    /// Where the quotation marks of a tag stand, in pairs; none where there were too many.
    pub(super) fn quotes(&self, tag: &Tag) -> Option<&[u32]> {
        self.quotes.get(tag.first_quote..tag.last_quote)
    }

    /// Scans the next piece of the item, which begins with `<`. With the item's end comes how much
    /// of the piece belongs to it; without, all does.
    pub(super) fn scan(&mut self, piece: &[u8]) -> Result<Option<(Item, usize)>, XmlFault> {
        let mut i = 0;
        let mut found = None;
        while let Some(rest) = piece.get(i..).filter(|rest| !rest.is_empty()) {
            let Some(&first) = rest.first() else { break };
            match self.at {
                At::Text => match memchr(b'<', rest) {
                    None => i = piece.len(),
                    Some(n) => {
                        self.begin_tag(i + n);
                        i += n + 1;
                        self.at = At::Less;
                    }
                },
                At::Less => {
                    self.at = self.kind_of(first)?;
                    i += 1;
                }
                At::Tag => {
                    // Names are short, so a look at each octet is the quicker one at first.
                    let (near, far) = rest.split_at(NEAR.min(rest.len()));
                    let found_near = near.iter().position(|b| matches!(b, b'\'' | b'"' | b'>'));
                    let found_far = || memchr3(b'\'', b'"', b'>', far).map(|n| near.len() + n);
                    let Some(n) = found_near.or_else(found_far) else {
                        i = piece.len();
                        continue;
                    };
                    i += n;
                    match piece.get(i) {
                        Some(b'>') => {
                            let before = match i.checked_sub(1) {
                                Some(before) => piece.get(before).copied().unwrap_or(0),
                                None => self.last,
                            };
                            i += 1;
                            found = self.end_tag(before == b'/', i);
                            self.at = At::Text;
                            if found.is_some() {
                                break;
                            }
                        }
                        Some(_) if self.kind == Kind::End => return Err(XmlFault::NotWellFormed),
                        Some(&quote) => {
                            self.quote(i);
                            i += 1;
                            self.at = At::Quoted(quote);
                        }
                        None => {}
                    }
                }
                At::Quoted(quote) => match memchr(quote, rest) {
                    None => i = piece.len(),
                    Some(n) => {
                        self.quote(i + n);
                        i += n + 1;
                        self.at = At::Tag;
                    }
                },
                At::Bang(matched) => {
                    self.at = self.bang(matched, first)?;
                    i += 1;
                }
                At::CData(matched) => {
                    let (next, skip) = match (matched, first) {
                        (2, b'>') => (At::Text, 1),
                        (2, b']') => (At::CData(2), 1),
                        (1, b']') => (At::CData(2), 1),
                        (0, _) => match memchr(b']', rest) {
                            Some(n) => (At::CData(1), n + 1),
                            None => (At::CData(0), rest.len()),
                        },
                        _ => (At::CData(0), 1),
                    };
                    self.at = next;
                    i += skip;
                }
                At::Declaration(question) => {
                    i += 1;
                    self.at = At::Declaration(first == b'?');
                    if question && first == b'>' {
                        self.at = At::Text;
                        self.tag_count = 0;
                        self.quote_count = 0;
                    }
                }
            }
        }
        #[cfg(all(test, feature = "quick-xml"))]
        {
            self.scanned += i as u64;
        }
        if found.is_none() {
            self.offset += piece.len();
            if let Some(&last) = piece.last() {
                self.last = last;
            }
        }
        Ok(found.map(|item| (item, i)))
    }

    fn begin_tag(&mut self, at: usize) {
        let start = self.offset + at;
        if let Some(tag) = self.tags.get_mut(self.tag_count) {
            *tag = Tag {
                start,
                end: 0,
                first_quote: self.quote_count,
                last_quote: self.quote_count,
                kind: Kind::Start,
            };
        }
        self.tag_count += 1;
        self.kind = Kind::Start;
    }

    fn kind_of(&mut self, first: u8) -> Result<At, XmlFault> {
        match first {
            b'/' if self.header => Err(XmlFault::NotWellFormed),
            b'/' => {
                self.kind = Kind::End;
                Ok(At::Tag)
            }
            // Only a header can begin with the XML declaration.
            b'?' if self.header && self.tags.first().is_some_and(|tag| tag.start == 0) => {
                Ok(At::Declaration(false))
            }
            b'?' => Err(XmlFault::Restricted),
            b'!' => Ok(At::Bang(0)),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b':' | 0x80.. => Ok(At::Tag),
            _ => Err(XmlFault::NotWellFormed),
        }
    }

    /// Goes on behind `<!`: only a CDATA section within an element is allowed.
    fn bang(&mut self, matched: usize, octet: u8) -> Result<At, XmlFault> {
        const SECTION: &[u8] = b"[CDATA[";
        if SECTION.get(matched) != Some(&octet) || self.depth == 0 {
            return Err(XmlFault::Restricted);
        }
        if matched + 1 < SECTION.len() {
            return Ok(At::Bang(matched + 1));
        }
        // No tag after all; but whoever relies on the tags is to see that there was more.
        self.tag_count = self.tag_count.max(TAGS + 1);
        Ok(At::CData(0))
    }

    fn hold(&mut self, depth: usize, behind: usize) {
        if depth > self.most && self.too_deep.is_none() {
            self.too_deep = Some(self.offset + behind);
        }
    }

    fn quote(&mut self, at: usize) {
        if let Some(place) = self.quotes.get_mut(self.quote_count) {
            // Items beyond 4 GiB are skipped long before.
            *place = (self.offset + at) as u32;
        }
        self.quote_count += 1;
    }

    fn end_tag(&mut self, slash: bool, behind: usize) -> Option<Item> {
        let kind = match self.kind {
            Kind::End => Kind::End,
            Kind::Start | Kind::Empty if slash => Kind::Empty,
            Kind::Start | Kind::Empty => Kind::Start,
        };
        if let Some(tag) = self
            .tag_count
            .checked_sub(1)
            .and_then(|last| self.tags.get_mut(last))
        {
            tag.end = self.offset + behind;
            tag.last_quote = self.quote_count;
            tag.kind = kind;
        }
        if self.header {
            return Some(Item::Header);
        }
        match kind {
            Kind::Start => {
                self.depth += 1;
                self.hold(self.depth, behind);
                None
            }
            Kind::Empty => {
                self.hold(self.depth + 1, behind);
                (self.depth == 0).then_some(Item::Element)
            }
            Kind::End if self.depth == 0 => Some(Item::End),
            Kind::End => {
                self.depth -= 1;
                (self.depth == 0).then_some(Item::Element)
            }
        }
    }
}

/// Tags that are remembered: a block's stanza has four.
pub(super) const TAGS: usize = 4;
/// Octets from one attribute's value to the next that are looked at one by one.
const NEAR: usize = 10;
/// Quotation marks that are remembered: of 24 attributes.
const QUOTES: usize = 48;
