//! What goes beyond the limits.

use super::*;

#[test]
fn a_stanza_beyond_the_limits_is_passed_over_and_the_stream_lives_on() {
    let text = "x".repeat(10_000_000);
    let request = format!(
        "<iq type='set' id='1&lt;' from='a@b/c' to='d@e'><si xmlns='{}'>{text}</si></iq>",
        ns::SI
    );
    for size in [1000, 65_536, usize::MAX] {
        let mut framer = inside();
        let mut frames = Vec::new();
        for piece in request.as_bytes().chunks(size) {
            feed(&mut framer, piece, &mut frames);
            assert!(framer.buffered() <= Limits::DEFAULT.stanza);
            assert!(framer.kept.capacity() <= 2 * Limits::DEFAULT.stanza);
        }
        feed(&mut framer, b"<presence/>", &mut frames);
        let [
            Ok(Frame::Stanza(Stanza::Iq(iq))),
            Ok(Frame::Stanza(Stanza::Presence(_))),
        ] = &frames[..]
        else {
            panic!("{frames:?}");
        };
        assert_eq!(iq.id.as_str(), "1<");
        assert_eq!(iq.from.as_ref().map(crate::Jid::as_str), Some("a@b/c"));
        assert_eq!(fault(iq), Some((Fault::Limit("stanza"), None)));
    }
}

fn fault(iq: &Iq) -> Option<(Fault, Option<&str>)> {
    let IqBody::Set(Payload::Invalid(invalid)) = &iq.body else {
        return None;
    };
    Some((invalid.fault, invalid.sid.as_ref().map(crate::Sid::as_str)))
}

#[test]
fn a_block_beyond_the_limits_names_its_stream() {
    let text = format!(
        "<iq type='set' id='1'><data xmlns='{}' seq='0' sid='s1'>{}</data></iq>",
        ns::IBB,
        "A".repeat(400_000)
    );
    for size in [10, 1000, usize::MAX] {
        let (frames, _) = frames(inside(), text.as_bytes().chunks(size));
        let [Ok(Frame::Stanza(Stanza::Iq(iq)))] = &frames[..] else {
            panic!("{frames:?}");
        };
        assert_eq!(fault(iq), Some((Fault::Limit("stanza"), Some("s1"))));
    }
}

#[test]
fn a_block_larger_than_the_limit_of_blocks_names_its_stream() {
    let text = format!(
        "<iq type='set' id='1'><data xmlns='{}' seq='0' sid='s1'>{}</data></iq>",
        ns::IBB,
        "AAAA".repeat(21_846)
    );
    let (frames, _) = frames(inside(), [text.as_bytes()]);
    let [Ok(Frame::Stanza(Stanza::Iq(iq)))] = &frames[..] else {
        panic!("{frames:?}");
    };
    assert_eq!(fault(iq), Some((Fault::Limit("block"), Some("s1"))));
}

#[test]
fn depth_beyond_the_limit_is_passed_over() {
    for depth in [33, 5000, 2_000_000] {
        let text = format!(
            "<iq type='set' id='1'>{}{}</iq><presence/>",
            "<a>".repeat(depth - 1),
            "</a>".repeat(depth - 1)
        );
        for size in [4096, usize::MAX] {
            let (frames, _) = frames(inside(), text.as_bytes().chunks(size));
            let [Ok(Frame::Stanza(Stanza::Iq(iq))), Ok(_)] = &frames[..] else {
                panic!("{frames:?}");
            };
            assert!(matches!(fault(iq), Some((Fault::Limit(_), None))));
        }
    }
    let deep = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    let most = Limits::DEFAULT.depth - 1;
    let frames = whole(&format!("<message>{}</message>", deep(most)));
    assert!(matches!(
        &frames[..],
        [Ok(Frame::Stanza(Stanza::Message(Message {
            payload: None,
            ..
        })))]
    ));
}

#[test]
fn what_is_passed_over_is_answered_by_its_kind() {
    let long = "y".repeat(300_000);
    let frames = whole(&format!(
        "<iq type='result' id='1'><query xmlns='u'>{long}</query></iq>\
         <iq type='error' id='2'>{long}</iq><message>{long}</message><other>{long}</other>\
         <iq type='set' a='{long}'/><iq type='result'>{long}</iq>"
    ));
    let [
        Ok(Frame::Stanza(Stanza::Iq(result))),
        Ok(Frame::Stanza(Stanza::Iq(error))),
        Ok(Frame::Stanza(Stanza::Message(message))),
        Ok(Frame::Dropped(_)),
        Ok(Frame::Dropped(_)),
        Ok(Frame::Dropped(_)),
    ] = &frames[..]
    else {
        panic!("{frames:?}");
    };
    assert!(matches!(
        result.body,
        IqBody::Result(Some(Payload::Invalid(_)))
    ));
    assert!(matches!(error.body, IqBody::Error(_)));
    assert!(matches!(message.payload, Some(Payload::Invalid(_))));
}

#[test]
fn a_small_device_keeps_to_small_limits() {
    let block = |octets: usize| {
        format!(
            "<iq type='set' id='1'><data xmlns='{}' seq='0' sid='s'>{}</data></iq>",
            ns::IBB,
            "AAAA".repeat(octets.div_ceil(3))
        )
    };
    let read = |text: &str| {
        let mut framer = Framer::inside(QuickXml::default(), Limits::SMALL, Context::default());
        let mut frames = Vec::new();
        for piece in text.as_bytes().chunks(100) {
            feed(&mut framer, piece, &mut frames);
            assert!(framer.kept.capacity() <= 2 * Limits::SMALL.stanza);
        }
        frames
    };
    for (octets, limit) in [
        (2046, None),
        (2049, Some(Fault::Limit("block"))),
        (6000, Some(Fault::Limit("stanza"))),
    ] {
        let frames = read(&block(octets));
        let [Ok(Frame::Stanza(Stanza::Iq(iq)))] = &frames[..] else {
            panic!("{frames:?}");
        };
        assert_eq!(fault(iq).map(|(fault, _)| fault), limit);
    }
}

#[test]
fn the_limit_exceeded_first_is_named_however_the_octets_are_cut() {
    let limits = Limits {
        stanza: 300,
        depth: 4,
        ..Limits::DEFAULT
    };
    let (deep, long) = ("<a><b><c><d>", " ".repeat(300));
    let iq = "<iq type='set' id='1'>";
    for (text, limit) in [
        (format!("{iq}{deep}{long}</d></c></b></a></iq>"), "depth"),
        (
            format!("{iq}<a>{long}<b><c><d/></c></b></a></iq>"),
            "stanza",
        ),
        (format!("{iq}{long}{deep}</d></c></b></a></iq>"), "stanza"),
        (format!("{iq}{}<a/></iq>", &long[25..]), "stanza"),
    ] {
        let read = |piece: usize| {
            let framer = Framer::inside(QuickXml::default(), limits, Context::default());
            frames(framer, text.as_bytes().chunks(piece)).0
        };
        let whole = read(text.len());
        assert!(
            format!("{whole:?}").contains(&format!("Limit(\"{limit}\")")),
            "{whole:?}"
        );
        for piece in 1..text.len() {
            assert_eq!(read(piece), whole, "{text} in pieces of {piece}");
        }
    }
}
