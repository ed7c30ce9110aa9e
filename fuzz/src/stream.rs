//! The targets that read a stream.
//!
//! The lowest bits of the first octet choose how it is read, the rest is the stream: 1 reads with
//! the small limits, 2 begins inside the stream rather than at its header, 4 is a component's.

use bytestreams_stanza::door::{Context, Door, QuickXml};
use bytestreams_stanza::{
    Decoder, Frame, FrameError, Framer, IqBody, Limits, OutBuf, Payload, Stanza, XmlWriter, ns,
};

/// How the stream is read.
struct Way {
    limits: Limits,
    inside: bool,
    content: &'static str,
}

impl Way {
    fn split(data: &[u8]) -> Option<(Self, &[u8])> {
        let (&flags, rest) = data.split_first()?;
        let way = Self {
            limits: if flags & 1 != 0 {
                Limits::SMALL
            } else {
                Limits::DEFAULT
            },
            inside: flags & 2 != 0,
            content: if flags & 4 != 0 {
                ns::COMPONENT
            } else {
                ns::CLIENT
            },
        };
        Some((way, rest))
    }

    fn framer(&self) -> Framer<QuickXml> {
        if self.inside {
            let context = Context::new(self.content);
            Framer::inside(QuickXml::default(), self.limits, context)
        } else {
            Framer::new(QuickXml::default(), self.limits)
        }
    }
}

/// Octets of a header that is not whole, which no limit of stanzas bounds.
const HEADER: usize = 8192;

/// Feeds one piece and collects its frames. Returns whether the stream goes on.
fn feed(
    framer: &mut Framer<QuickXml>,
    way: &Way,
    mut piece: &[u8],
    frames: &mut Vec<Result<Frame, FrameError>>,
) -> bool {
    while let Some(frame) = framer.next(&mut piece) {
        let over = matches!(frame, Err(_) | Ok(Frame::End));
        frames.push(frame);
        if over {
            let mut more = &b"<presence/>"[..];
            assert_eq!(framer.next(&mut more), None, "something behind the end");
            return false;
        }
    }
    assert!(piece.is_empty(), "octets were not taken");
    assert!(
        framer.buffered() <= way.limits.stanza.max(HEADER),
        "{} octets kept",
        framer.buffered()
    );
    true
}

fn frames(
    mut framer: Framer<QuickXml>,
    way: &Way,
    stream: &[u8],
) -> Vec<Result<Frame, FrameError>> {
    let mut frames = Vec::new();
    feed(&mut framer, way, stream, &mut frames);
    frames
}

/// A stream through the framer: nothing panics, the limits hold, and every stanza that is written
/// reads as the same.
pub fn decode(data: &[u8]) {
    let Some((way, stream)) = Way::split(data) else {
        return;
    };
    let mut framer = way.framer();
    let mut frames = Vec::new();
    feed(&mut framer, &way, stream, &mut frames);
    for frame in frames.into_iter().flatten() {
        if let Frame::Stanza(stanza) = frame {
            hold_limits(&stanza, &way.limits);
            write_and_read(&stanza, framer.context().content());
        }
    }
}

/// The short way of blocks and their answers says what the door says.
pub fn hot_scan(data: &[u8]) {
    let Some((way, stream)) = Way::split(data) else {
        return;
    };
    let short = frames(way.framer(), &way, stream);
    let reference = frames(way.framer().without_hot_path(), &way, stream);
    assert_eq!(short, reference);
}

/// Wherever a stream is cut, its frames are those of the whole. The octets in front say where:
/// their number, then each the length of a piece, again and again.
pub fn framer_cuts(data: &[u8]) {
    let Some((way, rest)) = Way::split(data) else {
        return;
    };
    let Some((&count, rest)) = rest.split_first() else {
        return;
    };
    let Some((lengths, stream)) = rest.split_at_checked(usize::from(count % 16)) else {
        return;
    };
    let whole = frames(way.framer(), &way, stream);
    let mut cut = Vec::new();
    let mut framer = way.framer();
    let mut left = stream;
    for length in lengths.iter().cycle() {
        // Zero is 256: no piece is empty, so that the end comes.
        let length = match *length {
            0 => 256,
            length => usize::from(length),
        };
        let (piece, rest) = left.split_at(length.min(left.len()));
        left = rest;
        if piece.is_empty() || !feed(&mut framer, &way, piece, &mut cut) {
            break;
        }
    }
    if lengths.is_empty() {
        for octet in stream.chunks(1) {
            if !feed(&mut framer, &way, octet, &mut cut) {
                break;
            }
        }
    }
    assert_eq!(whole, cut);
}

fn payload(stanza: &Stanza) -> Option<&Payload> {
    match stanza {
        Stanza::Iq(iq) => match &iq.body {
            IqBody::Get(payload) | IqBody::Set(payload) => Some(payload),
            IqBody::Result(payload) => payload.as_ref(),
            IqBody::Error(_) => None,
        },
        Stanza::Message(message) => message.payload.as_ref(),
        Stanza::Presence(_) => None,
    }
}

fn hold_limits(stanza: &Stanza, limits: &Limits) {
    let text = |text: &str| assert!(text.len() <= limits.text, "a text of {}", text.len());
    let items = |count: usize| assert!(count <= limits.items, "{count} items");
    match payload(stanza) {
        Some(Payload::Data(data)) => {
            assert!(data.octets.len() <= limits.block, "{}", data.octets.len());
        }
        Some(Payload::Si(si)) => {
            if let Some(file) = &si.file {
                file.name.as_deref().map(text);
                file.desc.as_deref().map(text);
                file.date.as_deref().map(text);
            }
            if let Some(form) = &si.feature {
                items(form.fields.len());
                for field in &form.fields {
                    items(field.values.len());
                    items(field.options.len());
                    field.values.iter().for_each(|value| text(value));
                    field.options.iter().for_each(|value| text(value));
                }
            }
        }
        Some(Payload::Bytestreams(query)) => {
            if let bytestreams_stanza::BytestreamsContent::Hosts(hosts) = &query.content {
                items(hosts.len());
                hosts.iter().for_each(|host| text(&host.host));
            }
        }
        Some(Payload::DiscoInfo(query)) => {
            items(query.identities.len());
            items(query.features.len());
            query.features.iter().for_each(|feature| text(feature));
        }
        Some(Payload::DiscoItems(query)) => items(query.items.len()),
        Some(Payload::Unknown { ns, name }) => {
            text(ns);
            text(name);
        }
        Some(Payload::Invalid(invalid)) => {
            text(&invalid.ns);
            text(&invalid.name);
        }
        _ => {}
    }
}

/// Says whether all that the stanza holds is written: not so what is invalid, and the file of an
/// SI result without a range. Nor is `jabber:client` kept within a component's stream: a writer
/// puts the stream's own content namespace in its place.
fn is_written_whole(stanza: &Stanza, content: &str) -> bool {
    match payload(stanza) {
        Some(Payload::Unknown { ns, .. }) => content == ns::CLIENT || &**ns != ns::CLIENT,
        Some(Payload::Invalid(_)) => false,
        Some(Payload::Si(si)) => {
            si.id.is_some() || si.file.as_ref().is_none_or(|file| file.range.is_some())
        }
        _ => true,
    }
}

fn write_and_read(stanza: &Stanza, content: &str) {
    let mut writer = XmlWriter::new(content);
    let mut decoder = Decoder::new(Limits::DEFAULT);
    let mut read = |text: &[u8]| {
        let context = Context::new(content);
        let read = QuickXml::default().read(text, &context, &mut decoder);
        assert_eq!(read, Ok(()), "{}", String::from_utf8_lossy(text));
        decoder.finish().expect("what is written is a stanza")
    };
    let mut write = |stanza: &Stanza| {
        let mut out = OutBuf::default();
        writer.write(stanza, &mut out);
        out.as_slice().to_vec()
    };
    let text = write(stanza);
    let again = read(&text);
    if is_written_whole(stanza, content) {
        assert_eq!(again, *stanza, "{}", String::from_utf8_lossy(&text));
    }
    let twice = write(&again);
    assert_eq!(read(&twice), again, "{}", String::from_utf8_lossy(&twice));

    // The loopback without XML says the same.
    let mut loopback = Decoder::new(Limits::DEFAULT);
    match stanza.emit(&mut loopback) {
        Ok(()) => {}
        Err(never) => match never {},
    }
    let looped = loopback.finish();
    if is_written_whole(stanza, content) {
        assert_eq!(looped, Ok(again));
    }
}
