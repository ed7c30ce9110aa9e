mod limits;

use super::*;
use crate::door::QuickXml;
use crate::{Data, Fault, Iq, IqBody, Message, Payload};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;

type Frames = Vec<Result<Frame, FrameError>>;

const HEADER: &str = "<?xml version='1.0'?> <stream:stream from='a@b' to=\"c@d\" id='&lt;1' \
    version='1.0' xml:lang='en' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' xmlns:i='http://jabber.org/protocol/ibb'>";

const ITEMS: &[&str] = &[
    "\n<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>",
    "<iq type='set' id=\"1>'\" from='a@b/c'><data xmlns='http://jabber.org/protocol/ibb' seq='0' \
     sid='s'>AAEC</data></iq>",
    "<iq id='7' to='a@b/c' type='set' from='\u{e9}@b/\u{516c}' xml:lang='en' other='1'>\
     <data seq='65536' sid='s' xml:lang='en' xmlns=\"http://jabber.org/protocol/ibb\" x='y'>\
     AAECAwQFBgcICQoLDA0ODw==</data></iq>",
    "<iq type='result' id='2' to='a@b/c' from='c@d/e'/>",
    " <iq id='3' type='result'></iq>\t",
    "<message from='a@b'><i:data seq='1' sid='s'>AAEC</i:data></message>",
    "<message id='m'><data xmlns='http://jabber.org/protocol/ibb' seq='1' sid='s'>AA\nEC</data>\
     </message>",
    "<message type='chat'><body>a <![CDATA[<b>]] ]]>]]&gt;&lt;</body></message>",
    "<presence a='>' b='\"/'/>",
    "<iq type='get' id='&amp;4'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<iq type='error' id='5'><error type='wait'/></iq>",
    "<x:y xmlns:x='z'/>",
    "<iq type='result'/>",
    "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
     <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>new</text></stream:error>",
    "</stream:stream>",
];

fn sample() -> Vec<u8> {
    let mut text = HEADER.to_string();
    ITEMS.iter().for_each(|item| text.push_str(item));
    text.into_bytes()
}

fn framer() -> Framer<QuickXml> {
    Framer::new(QuickXml::default(), Limits::DEFAULT)
}

fn inside() -> Framer<QuickXml> {
    Framer::inside(QuickXml::default(), Limits::DEFAULT, Context::default())
}

fn feed(framer: &mut Framer<QuickXml>, mut piece: &[u8], frames: &mut Frames) {
    while let Some(frame) = framer.next(&mut piece) {
        frames.push(frame);
    }
    assert!(piece.is_empty(), "all is taken before none is answered");
}

fn frames<'a>(
    mut framer: Framer<QuickXml>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Frames, Framer<QuickXml>) {
    let mut frames = Vec::new();
    for piece in pieces {
        feed(&mut framer, piece, &mut frames);
    }
    (frames, framer)
}

fn whole(text: &str) -> Frames {
    frames(inside(), [text.as_bytes()]).0
}

/// A generator of numbers that is the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }
}

#[test]
fn a_stream_becomes_its_frames() {
    let (frames, _) = frames(framer(), [&*sample()]);
    let frames: Vec<Frame> = frames
        .into_iter()
        .collect::<Result<_, _>>()
        .expect("a good stream");
    let Some(Frame::Header(header)) = frames.first() else {
        panic!("{frames:?}");
    };
    assert_eq!(header.id.as_deref(), Some("<1"));
    assert_eq!(header.from.as_ref().map(crate::Jid::as_str), Some("a@b"));
    assert_eq!(header.version.as_deref(), Some("1.0"));
    let kinds: Vec<&str> = frames.iter().map(kind).collect();
    assert_eq!(
        kinds,
        [
            "header",
            "features",
            "data",
            "data",
            "result",
            "result",
            "message data",
            "message data",
            "message",
            "presence",
            "get",
            "error",
            "unknown",
            "dropped",
            "stream error",
            "end"
        ]
    );
    let Some(Frame::Stanza(Stanza::Iq(iq))) = frames.get(3) else {
        panic!("{frames:?}");
    };
    let IqBody::Set(Payload::Data(Data { seq, octets, .. })) = &iq.body else {
        panic!("{iq:?}");
    };
    assert_eq!((*seq, &**octets), (0, &(0..16).collect::<Vec<u8>>()[..]));
    let Some(Frame::Error(error)) = frames.get(14) else {
        panic!("{frames:?}");
    };
    assert_eq!(error.to_string(), "conflict: new");
}

fn kind(frame: &Frame) -> &'static str {
    match frame {
        Frame::Header(_) => "header",
        Frame::Features => "features",
        Frame::Handshake(_) => "handshake",
        Frame::Error(_) => "stream error",
        Frame::Unknown { .. } => "unknown",
        Frame::Dropped(_) => "dropped",
        Frame::End => "end",
        Frame::Stanza(Stanza::Iq(iq)) => match iq.body {
            IqBody::Get(_) => "get",
            IqBody::Set(Payload::Data(_)) => "data",
            IqBody::Set(_) => "set",
            IqBody::Result(_) => "result",
            IqBody::Error(_) => "error",
        },
        Frame::Stanza(Stanza::Message(Message {
            payload: Some(Payload::Data(_)),
            ..
        })) => "message data",
        Frame::Stanza(Stanza::Message(_)) => "message",
        Frame::Stanza(Stanza::Presence(_)) => "presence",
    }
}

#[test]
fn the_frames_are_the_same_however_the_octets_are_cut() {
    let text = sample();
    let (expected, _) = frames(framer(), [&*text]);
    for cut in 0..=text.len() {
        let (before, behind) = text.split_at(cut);
        assert_eq!(
            frames(framer(), [before, behind]).0,
            expected,
            "cut at {cut}"
        );
    }
    for size in [1, 2, 3, 7] {
        assert_eq!(frames(framer(), text.chunks(size)).0, expected);
    }
    let mut random = Random(1);
    for _ in 0..200 {
        let mut rest = &*text;
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((1 + random.below(120)).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        assert_eq!(frames(framer(), pieces).0, expected);
    }
}

#[test]
fn the_short_way_is_taken_for_blocks_and_results() {
    for (index, taken) in [
        (1, true),
        (2, true),
        (3, true),
        (4, true),
        (5, false),
        (6, true),
    ] {
        let text = ITEMS[index].trim();
        let mut framer = inside();
        let scanned = framer.scanner.scan(text.as_bytes()).expect("well-formed");
        assert_eq!(scanned, Some((Item::Element, text.len())));
        let tools = framer.decoder.tools();
        let stanza = hot::read(text.as_bytes(), &framer.scanner, ns::CLIENT, tools);
        assert_eq!(stanza.is_some(), taken, "{text}");
    }
}

#[test]
fn octets_are_looked_at_once_whatever_the_cuts() {
    let block = "A".repeat(87_380);
    let text = format!(
        "<iq id='1' type='set'><data xmlns='{}' seq='0' sid='s'>{block}</data></iq>",
        ns::IBB
    );
    let body = format!(
        "<message><body>{}</body></message>",
        "b&amp;".repeat(50_000)
    );
    for text in [text, body] {
        for size in [1, 1460, 8192, usize::MAX] {
            let (frames, framer) = frames(inside(), text.as_bytes().chunks(size));
            assert_eq!(frames.len(), 1);
            assert_eq!(framer.scanner.scanned(), text.len() as u64);
        }
    }
}

#[test]
fn the_short_way_and_the_door_agree_on_mangled_stanzas() {
    const PIECES: &[&str] = &[
        "&amp;",
        "&",
        "<",
        ">",
        "'",
        "\"",
        " ",
        "\n",
        "\t",
        "/",
        "=",
        "<!-- -->",
        "<![CDATA[AA]]>",
        "xmlns='jabber:client'",
        " id='1'",
        " sid='s'",
        " seq='+1'",
        " xml:lang='x'",
        " a:b='c'",
        " xmlns:a='b'",
        "\u{e9}",
        "\u{ffff}",
        "\u{7f}",
        "\u{1}",
        "A",
        "AA==",
        "=",
        "data",
        "iq",
        "</data>",
        "</iq>",
        "<x/>",
        "type='error'",
        "?",
        "]]>",
        "99999999999",
        ":",
        "xmlns",
    ];
    let seeds: Vec<&str> = ITEMS[1..8].iter().map(|item| item.trim()).collect();
    let mut random = Random(7);
    for round in 0..60_000 {
        let mut text = seeds[random.below(seeds.len())].as_bytes().to_vec();
        for _ in 0..1 + random.below(3) {
            let at = random.below(text.len() + 1);
            let to = (at + random.below(6)).min(text.len());
            match random.below(5) {
                0 => text.truncate(text.len().saturating_sub(random.below(4))),
                1 => drop(text.drain(at..to)),
                2 => {
                    let piece = text[at..to].to_vec();
                    let behind = random.below(text.len() + 1);
                    text.splice(behind..behind, piece);
                }
                3 => {
                    if let Some(octet) = text.get_mut(at) {
                        *octet = random.below(256) as u8;
                    }
                }
                _ => {
                    let piece = PIECES[random.below(PIECES.len())];
                    text.splice(at..at, piece.bytes());
                }
            }
        }
        text.extend_from_slice(b"<presence/>");
        let (short, _) = frames(inside(), [&*text]);
        let (door, _) = frames(inside().without_hot_path(), [&*text]);
        let (cut, _) = frames(inside(), text.chunks(1 + round % 9));
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(short, door, "round {round}: {text}");
        assert_eq!(short, cut, "round {round}: {text}");
    }
}

#[test]
fn white_space_between_stanzas_keeps_a_stream_alive() {
    let (frames, framer) = frames(inside(), [&b" \n"[..], b"\t\r\n ", b" <presence/> ", b" "]);
    assert_eq!(frames.len(), 1);
    assert_eq!(framer.buffered(), 0);
}

#[test]
fn what_no_stream_may_hold_ends_it() {
    use XmlFault::{Encoding, Namespace, NotWellFormed, Restricted};
    for (text, fault) in [
        ("<!DOCTYPE x [<!ENTITY y 'z'>]>", Restricted),
        ("<?php?>", Restricted),
        ("<?xml version='1.0'?>", Restricted),
        ("<!-- x -->", Restricted),
        ("<![CDATA[x]]>", Restricted),
        ("<iq type='get' id='1'><!-- x --></iq>", Restricted),
        ("<iq type='get' id='1'><?x?></iq>", Restricted),
        ("<message><!ENTITY a 'b'></message>", Restricted),
        ("<message>&nbsp;</message>", Restricted),
        ("<message><a></b></message>", NotWellFormed),
        ("<message></presence>", NotWellFormed),
        ("<message a='1' a='2'/>", NotWellFormed),
        ("<message a=1/>", NotWellFormed),
        ("<1/>", NotWellFormed),
        ("< message/>", NotWellFormed),
        ("<>", NotWellFormed),
        ("</message>", NotWellFormed),
        ("</stream:stream a='1'>", NotWellFormed),
        ("<x:message/>", Namespace),
    ] {
        let frames = whole(&format!("{text}<presence/>"));
        assert_eq!(frames, [Err(FrameError::Xml(fault))], "{text}");
    }
    assert_eq!(whole("x<presence/>"), [Err(FrameError::TextBetween)]);
    let (frames, _) = frames(inside(), [&b"<message a='\xff'/>"[..]]);
    assert_eq!(frames, [Err(FrameError::Xml(Encoding))]);
}

#[test]
fn a_header_that_is_none_is_refused() {
    let stream = "xmlns:stream='http://etherx.jabber.org/streams'";
    for (text, error) in [
        ("x".to_string(), FrameError::TextBetween),
        (
            "<iq/>".to_string(),
            FrameError::Xml(XmlFault::NotWellFormed),
        ),
        ("<html>".to_string(), FrameError::NotAStream),
        (
            "<stream:stream xmlns='jabber:client'>".to_string(),
            FrameError::Xml(XmlFault::Namespace),
        ),
        (
            format!("<stream:stream {stream}/>"),
            FrameError::Xml(XmlFault::NotWellFormed),
        ),
        (
            format!("<stream:stream {stream} a='1' a='2'>"),
            FrameError::Xml(XmlFault::NotWellFormed),
        ),
        (format!("<stream:strea {stream}>"), FrameError::NotAStream),
        (
            format!("<?xml version='2.0'?><stream:stream {stream}>"),
            FrameError::Xml(XmlFault::NotWellFormed),
        ),
        (
            format!("<?xml version='1.0' encoding='latin1'?><stream:stream {stream}>"),
            FrameError::Xml(XmlFault::Encoding),
        ),
        (
            format!("<?xml version='1.0'?><?x?><stream:stream {stream}>"),
            FrameError::Xml(XmlFault::Restricted),
        ),
        (
            format!("<!DOCTYPE x><stream:stream {stream}>"),
            FrameError::Xml(XmlFault::Restricted),
        ),
        (
            format!("<stream:stream {stream} a='{}'>", "x".repeat(20_000)),
            FrameError::HeaderTooLong,
        ),
    ] {
        for size in [1, usize::MAX] {
            let (frames, _) = frames(framer(), text.as_bytes().chunks(size));
            assert_eq!(frames, vec![Err(error)], "{text}");
        }
    }
}

#[test]
fn what_stands_behind_the_longest_header_makes_no_difference() {
    let long = "x".repeat(super::HEADER);
    for behind in ["'><?pi?>", "'>", "<!-- -->"] {
        let text = format!("<stream:stream id='{long}{behind}");
        let expected = [Err(FrameError::HeaderTooLong)];
        assert_eq!(frames(framer(), [text.as_bytes()]).0, expected, "{behind}");
        for piece in [1, 1000, super::HEADER - 1, super::HEADER, super::HEADER + 1] {
            let cut = frames(framer(), text.as_bytes().chunks(piece)).0;
            assert_eq!(cut, expected, "{behind} in pieces of {piece}");
        }
    }
    let text = format!("<stream:stream id='{}'>", &long[21..]);
    assert_eq!(text.len(), super::HEADER);
    assert_ne!(
        frames(framer(), [text.as_bytes()]).0,
        [Err(FrameError::HeaderTooLong)]
    );
}

#[test]
fn a_header_may_name_things_as_it_likes() {
    let text = "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client'>\
        <s:features/></s:stream >";
    let (read, _) = frames(framer(), [text.as_bytes()]);
    assert!(matches!(
        &read[..],
        [Ok(Frame::Header(_)), Ok(Frame::Features), Ok(Frame::End)]
    ));
    let text = "<stream xmlns='http://etherx.jabber.org/streams'>\
        <iq xmlns='jabber:client' type='result' id='1'/></stream>";
    let (read, _) = frames(framer(), [text.as_bytes()]);
    assert!(matches!(
        &read[..],
        [Ok(Frame::Header(_)), Ok(_), Ok(Frame::End)]
    ));
}

#[test]
fn a_component_shakes_hands_in_its_own_namespace() {
    let text = "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' \
        xmlns='jabber:component:accept' id='x' from='c'><handshake/>\
        <iq type='result' id='1' from='a' to='c'/><handshake>aa</handshake>";
    let (frames, _) = frames(framer(), [text.as_bytes()]);
    assert_eq!(
        frames[1..].iter().flatten().map(kind).collect::<Vec<_>>(),
        ["handshake", "result", "handshake"]
    );
    assert_eq!(frames[3], Ok(Frame::Handshake("aa".to_string())));
}

#[cfg(feature = "rxml")]
#[test]
fn the_frames_are_the_same_through_the_door_of_rxml() {
    let text = sample();
    let (expected, _) = frames(framer(), [&*text]);
    for size in [1, 100, usize::MAX] {
        let mut framer = Framer::new(crate::door::Rxml::default(), Limits::DEFAULT);
        let mut found = Vec::new();
        for mut piece in text.chunks(size) {
            while let Some(frame) = framer.next(&mut piece) {
                found.push(frame);
            }
        }
        assert_eq!(found, expected);
    }
}

#[test]
fn nothing_comes_behind_the_end_or_an_error() {
    for end in ["</stream:stream>", "x"] {
        let mut framer = inside();
        let mut read = Vec::new();
        feed(&mut framer, end.as_bytes(), &mut read);
        assert_eq!(read.len(), 1);
        feed(&mut framer, b"<presence/>", &mut read);
        feed(&mut framer, b"<presence/>", &mut read);
        assert_eq!(read.len(), 1);
        assert_eq!(framer.buffered(), 0);
    }
}
