//! The short way of the two stanzas that come with every block: an in-band `<data/>` and the
//! result that acknowledges it.
//!
//! It reads what the scan has remembered and takes only what is written as nearly everyone writes
//! it. Whatever is unusual (entities, prefixes, other white space, limits, faults) it leaves to
//! the door, so that both ways never differ.

use super::scan::{Kind, Scanner, Tag};
use crate::codec::Tools;
use crate::{Data, Id, Iq, IqBody, Jid, Message, Payload, Stanza, ns};

/// Reads a whole item whose tags the scanner knows, in a stream of that content namespace.
#[inline]
pub(super) fn read(
    octets: &[u8],
    scanner: &Scanner,
    content: &str,
    tools: &mut Tools,
) -> Option<Stanza> {
    match scanner.all_tags()? {
        [iq] if iq.kind == Kind::Empty => result(octets, scanner, iq, content, tools),
        [iq, end] if iq.end == end.start && iq.kind == Kind::Start => {
            if octets.get(end.start..)? != b"</iq>" {
                return None;
            }
            result(octets, scanner, iq, content, tools)
        }
        [outer, data, data_end, outer_end]
            if outer.end == data.start
                && outer.kind == Kind::Start
                && data.kind == Kind::Start
                && data_end.kind == Kind::End
                && data_end.end == outer_end.start =>
        {
            block(
                octets,
                scanner,
                [outer, data, data_end, outer_end],
                content,
                tools,
            )
        }
        _ => None,
    }
}

fn result(
    octets: &[u8],
    scanner: &Scanner,
    tag: &Tag,
    content: &str,
    tools: &mut Tools,
) -> Option<Stanza> {
    let tags = octets.get(..tag.end)?;
    plain(tags, 1)?;
    let head = Head::read(tags, b"iq", scanner.quotes(tag)?, tag, content)?;
    if head.ty? != b"result" {
        return None;
    }
    Some(Stanza::Iq(Iq {
        from: address(head.from, tools)?,
        to: address(head.to, tools)?,
        id: identifier(head.id?, tools)?,
        body: IqBody::Result(None),
    }))
}

fn block(
    octets: &[u8],
    scanner: &Scanner,
    [outer, data, data_end, outer_end]: [&Tag; 4],
    content: &str,
    tools: &mut Tools,
) -> Option<Stanza> {
    let tags = octets.get(..data.end)?;
    if tags.len() > tools.limits.text
        || octets.get(data_end.start..data_end.end)? != b"</data>"
        || data.end == data_end.start
    {
        return None;
    }
    plain(tags, 2)?;
    let is_iq = match octets.get(outer_end.start..)? {
        b"</iq>" => true,
        b"</message>" => false,
        _ => return None,
    };
    let name: &[u8] = if is_iq { b"iq" } else { b"message" };
    let head = Head::read(tags, name, scanner.quotes(outer)?, outer, content)?;
    let (sid, seq) = data_attributes(tags, scanner.quotes(data)?, data, tools)?;
    let sid = tools.names.sid(sid)?;
    let from = address(head.from, tools)?;
    let to = address(head.to, tools)?;
    let id = match head.id {
        Some(id) => Some(identifier(id, tools)?),
        None => None,
    };
    match (is_iq, head.ty) {
        (true, Some(b"set")) if id.is_some() => {}
        (false, None | Some(b"normal" | b"chat")) => {}
        _ => return None,
    }
    let text = octets.get(data.end..data_end.start)?;
    if text.len() > crate::Base64::encoded_len(tools.limits.block) {
        return None;
    }
    let payload = Payload::Data(Data {
        sid,
        seq,
        octets: tools.decode(text).ok()?,
    });
    Some(match id {
        Some(id) if is_iq => Stanza::Iq(Iq {
            from,
            to,
            id,
            body: IqBody::Set(payload),
        }),
        id => Stanza::Message(Message {
            from,
            to,
            id,
            payload: Some(payload),
            error: None,
        }),
    })
}

/// The attributes of a stanza.
#[derive(Default)]
struct Head<'a> {
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
    id: Option<&'a [u8]>,
    ty: Option<&'a [u8]>,
}

impl<'a> Head<'a> {
    #[inline]
    fn read(
        octets: &'a [u8],
        name: &[u8],
        quotes: &[u32],
        tag: &Tag,
        content: &str,
    ) -> Option<Self> {
        let mut head = Self::default();
        let mut ns = None;
        attributes(octets, name, quotes, tag, |name, value| {
            let place = match name {
                b"from" => &mut head.from,
                b"to" => &mut head.to,
                b"id" => &mut head.id,
                b"type" => &mut head.ty,
                b"xmlns" => &mut ns,
                _ => return Some(false),
            };
            place.replace(value).is_none().then_some(true)
        })?;
        ns.is_none_or(|ns| ns == content.as_bytes()).then_some(head)
    }
}

#[inline]
fn data_attributes<'a>(
    octets: &'a [u8],
    quotes: &[u32],
    tag: &Tag,
    tools: &Tools,
) -> Option<(&'a [u8], u16)> {
    let (mut sid, mut seq, mut ns) = (None, None, None);
    let count = attributes(octets, b"data", quotes, tag, |name, value| {
        let place = match name {
            b"sid" => &mut sid,
            b"seq" => &mut seq,
            b"xmlns" => &mut ns,
            _ => return Some(false),
        };
        place.replace(value).is_none().then_some(true)
    })?;
    if ns? != ns::IBB.as_bytes() || count > tools.limits.attributes {
        return None;
    }
    let digits: &[u8] = seq?;
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seq = digits
        .iter()
        .fold(0_u32, |seq, digit| seq * 10 + u32::from(digit - b'0'));
    Some((sid?, (seq & 0xFFFF) as u16))
}

/// Calls `known` with the name and value of each attribute of a start tag, and returns how many
/// they are. `known` answers none to refuse an attribute, false for one that it does not know.
#[inline]
fn attributes<'a>(
    octets: &'a [u8],
    name: &[u8],
    quotes: &[u32],
    tag: &Tag,
    mut known: impl FnMut(&'a [u8], &'a [u8]) -> Option<bool>,
) -> Option<usize> {
    let mut at = tag.start + 1 + name.len();
    if octets.get(tag.start + 1..at)? != name {
        return None;
    }
    let mut seen: [&[u8]; OTHERS] = [&[]; OTHERS];
    let mut count = 0;
    let mut foreign = 0;
    for pair in quotes.chunks_exact(2) {
        let &[from, to] = pair else { return None };
        let (from, to) = (from as usize, to as usize);
        let [b' ', name @ .., b'='] = octets.get(at..from)? else {
            return None;
        };
        let value = octets.get(from + 1..to)?;
        if !known(name, value)? {
            // Neither twice, nor with a prefix that would have to be looked up.
            if seen.contains(&name) || !(is_name(name) || name == b"xml:lang") {
                return None;
            }
            *seen.get_mut(foreign)? = name;
            foreign += 1;
        }
        count += 1;
        at = to + 1;
    }
    let end: &[u8] = if tag.kind == Kind::Empty { b"/>" } else { b">" };
    (octets.get(at..tag.end)? == end).then_some(count)
}

fn is_name(name: &[u8]) -> bool {
    name.first()
        .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && name
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// Says whether start tags hold nothing but what can be taken as it stands: no entity, no control
/// character, no `<` besides their own, and UTF-8.
#[inline]
fn plain(tags: &[u8], count: usize) -> Option<()> {
    if tags.len() > LONGEST {
        return None;
    }
    // Lane by lane and without a branch, so that it becomes vector instructions.
    let mut odd = [0_u8; LANES];
    let mut wide = [0_u8; LANES];
    let mut less = [0_u8; LANES];
    let mut look = |lanes: &[u8; LANES]| {
        let counts = odd.iter_mut().zip(&mut wide).zip(&mut less);
        for (((odd, wide), less), b) in counts.zip(lanes) {
            *odd |= u8::from(*b < b' ') | u8::from(*b == b'&');
            *wide |= u8::from(*b >= 0x7F);
            *less += u8::from(*b == b'<');
        }
    };
    let mut chunks = tags.chunks_exact(LANES);
    for chunk in &mut chunks {
        look(chunk.first_chunk()?);
    }
    let mut last = [b' '; LANES];
    let rest = chunks.remainder();
    last.get_mut(..rest.len())?.copy_from_slice(rest);
    look(&last);
    let any = |lanes: &[u8; LANES]| lanes.iter().fold(0, |any, lane| any | lane) != 0;
    let less: usize = less.iter().map(|lane| usize::from(*lane)).sum();
    if any(&odd) || less != count {
        return None;
    }
    if any(&wide) {
        // U+FFFE and U+FFFF, which are no characters, begin so.
        let suspect = memchr::memchr2(0xEF, 0x7F, tags).is_some();
        if suspect || core::str::from_utf8(tags).is_err() {
            return None;
        }
    }
    Some(())
}

#[inline]
fn address(octets: Option<&[u8]>, tools: &mut Tools) -> Option<Option<Jid>> {
    match octets {
        Some(octets) => tools.names.jid(octets).ok().map(Some),
        None => Some(None),
    }
}

#[inline]
fn identifier(octets: &[u8], tools: &Tools) -> Option<Id> {
    if octets.len() > tools.limits.text.min(Id::MAX) {
        return None;
    }
    core::str::from_utf8(octets).ok().map(Id::from)
}

/// Octets looked at at once.
const LANES: usize = 16;
/// Octets of start tags that are taken: as many as lanes can count.
const LONGEST: usize = 255 * LANES;
/// Attributes that mean nothing here, in one tag.
const OTHERS: usize = 8;
