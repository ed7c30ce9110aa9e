//! Every text of `tests/hostile`: refused by every door, and by the first for the right reason.
#![cfg(all(feature = "quick-xml", feature = "minidom", feature = "rxml"))]

extern crate alloc;

mod common;

use bytestreams_stanza::door::{Context, Door, DoorError, Plain, QuickXml, Rxml, XmlFault};
use bytestreams_stanza::{
    Condition, Decoder, Fault, Frame, Framer, Invalid, Iq, IqBody, Limits, Payload, Stanza, ns,
};
use common::minidom::Minidom;
use common::{files, read};

fn fault(name: &str) -> XmlFault {
    match name {
        "billion-laughs"
        | "comment"
        | "comment-cut"
        | "dtd"
        | "dtd-inside"
        | "entity-declaration"
        | "external-entity"
        | "instruction"
        | "instruction-before"
        | "unknown-entity"
        | "unknown-entity-attribute" => XmlFault::Restricted,
        "bound-xmlns"
        | "empty-prefix-namespace"
        | "rebound-xml"
        | "reserved-namespace"
        | "unbound-prefix"
        | "unbound-prefix-attribute" => XmlFault::Namespace,
        "utf16" | "utf8-cut" | "utf8-lone" | "utf8-overlong" | "utf8-surrogate" => {
            XmlFault::Encoding
        }
        _ => XmlFault::NotWellFormed,
    }
}

#[test]
fn every_door_refuses_what_ends_the_stream() {
    let context = Context::default();
    let mut passed_by_rxml = Vec::new();
    let mut passed_by_minidom = Vec::new();
    let mut count = 0;
    for (path, octets) in files("hostile") {
        let name = path.file_stem().expect("name").to_string_lossy();
        let mut decoder = Decoder::new(Limits::DEFAULT);
        let refused = QuickXml::default().read(&octets, &context, &mut decoder);
        assert_eq!(refused, Err(DoorError::Xml(fault(&name))), "{name}");
        decoder.reset();
        let refused = Plain::default().read(&octets, &context, &mut decoder);
        assert_eq!(refused, Err(DoorError::Xml(fault(&name))), "{name}");
        decoder.reset();
        let refused = Rxml::default().read(&octets, &context, &mut decoder);
        if refused.is_ok() {
            passed_by_rxml.push(name.to_string());
        }
        decoder.reset();
        if Minidom.read(&octets, &context, &mut decoder).is_ok() {
            passed_by_minidom.push(name.to_string());
        }
        count += 1;
    }
    assert!(count > 50, "{count} texts");
    // Harmless: of two declarations of one prefix, the last counts.
    assert_eq!(passed_by_rxml, ["duplicate-xmlns", "reserved-namespace"]);
    // It reads documents, which may begin with a declaration, stops behind the element, and
    // compares no attributes.
    assert_eq!(
        passed_by_minidom,
        [
            "duplicate-attribute-prefixed",
            "duplicate-attribute",
            "duplicate-xmlns",
            "instruction-before",
            "reserved-namespace",
            "tag-behind",
            "text-behind",
            "two-elements",
        ]
    );
}

fn payload(text: &str, limits: Limits) -> Payload {
    let context = Context::new(ns::CLIENT);
    let mut decoder = Decoder::new(limits);
    let stanza = read(
        &mut QuickXml::default(),
        text.as_bytes(),
        &context,
        &mut decoder,
    );
    let again = read(
        &mut Rxml::default(),
        text.as_bytes(),
        &context,
        &mut decoder,
    );
    assert_eq!(stanza, again, "{text:.200}");
    match stanza {
        Ok(Stanza::Iq(Iq {
            id,
            body: IqBody::Set(payload),
            ..
        })) if id.as_str() == "1" => payload,
        other => panic!("{other:?}"),
    }
}

fn invalid(text: &str, limits: Limits) -> Invalid {
    let payload = payload(text, limits);
    let Payload::Invalid(invalid) = payload else {
        panic!("{text:.200}: {payload:?}");
    };
    *invalid
}

fn data(text: &str) -> String {
    format!(
        "<iq id='1' type='set'><data xmlns='http://jabber.org/protocol/ibb' seq='1' sid='s'>{text}</data></iq>"
    )
}

#[test]
fn bad_base64_is_told_with_its_stream() {
    for text in [
        "=AAA",
        "BBBB=CCC",
        "AA=BB",
        "ABC=DEFGH",
        "=ABCDEFGH",
        "ABCD?EFGH",
        "{",
        "A",
        "AB",
        "ABC",
        "AB=",
        "A===",
        "====",
        "AAAA====",
        "AA==AAAA",
        "AA==AA==",
        "AB==",
        "AAB=",
        "-_-_",
        "\u{e9}AA",
        "AA=\n=\n=",
        "AAAA\u{a0}",
        "&#x2003;AAAA",
    ] {
        let invalid = invalid(&data(text), Limits::DEFAULT);
        assert_eq!(invalid.fault, Fault::Base64, "{text}");
        assert_eq!(invalid.sid.expect("sid").as_str(), "s");
        assert_eq!((&*invalid.ns, &*invalid.name), (ns::IBB, "data"));
    }
}

#[test]
fn good_base64_is_taken_wherever_it_is_cut() {
    for (text, octets) in [
        ("VEVTVElORw==", &b"TESTING"[..]),
        ("VEVT<a/>VElORw==", b"TESTING"),
        ("V&#x45;VTVElOR<![CDATA[w=]]>=", b"TESTING"),
        (" \n\t\rc2xpeG1wcA=\n=", b"slixmpp"),
        ("aXQgd29ya3Mh\n", b"it works!"),
        ("  \n ", b""),
    ] {
        let payload = payload(&data(text), Limits::DEFAULT);
        let Payload::Data(data) = payload else {
            panic!("{text}: {payload:?}");
        };
        assert_eq!(data.octets, octets, "{text}");
    }
}

fn limited(text: &str, limits: Limits, limit: &'static str) -> Invalid {
    let invalid = invalid(text, limits);
    assert_eq!(invalid.fault, Fault::Limit(limit), "{text:.80}");
    invalid
}

#[test]
fn a_block_over_the_limit_is_let_go() {
    let limits = Limits::SMALL;
    let most = limits.block / 3 * 4;
    let fits = "A".repeat(most / 4 * 4);
    assert!(matches!(payload(&data(&fits), limits), Payload::Data(_)));
    let spaced: String = fits.chars().flat_map(|c| [c, '\n']).collect();
    assert!(matches!(payload(&data(&spaced), limits), Payload::Data(_)));
    for over in [
        format!("{fits}AAAA"),
        "A".repeat(100_000),
        "A \n".repeat(9000),
    ] {
        let invalid = limited(&data(&over), limits, "block");
        assert_eq!(invalid.sid.expect("sid").as_str(), "s");
        assert_eq!(&*invalid.name, "data");
    }
}

#[test]
fn each_limit_is_held() {
    let limits = Limits::SMALL;
    let set = |inner: &str| format!("<iq id='1' type='set'>{inner}</iq>");
    let depth = limits.depth;
    let nested = |n: usize| set(&("<a xmlns='u'>".repeat(n - 1) + &"</a>".repeat(n - 1)));
    assert!(matches!(
        payload(&nested(depth), limits),
        Payload::Unknown { .. }
    ));
    limited(&nested(depth + 1), limits, "depth");
    limited(&nested(10_000), limits, "depth");

    let attributes: String = (0..100).map(|n| format!(" a{n}=''")).collect();
    limited(&set(&format!("<a{attributes}/>")), limits, "attributes");
    limited(
        &format!("<iq{attributes} id='1' type='set'><a/></iq>"),
        limits,
        "attributes",
    );

    let long = "x".repeat(limits.text + 1);
    limited(&set(&format!("<a b='{long}'/>")), limits, "text");
    limited(&set(&format!("<{long}/>")), limits, "text");
    limited(
        &set(&format!(
            "<si xmlns='{}'><file xmlns='{}'><desc>{long}</desc></file></si>",
            ns::SI,
            ns::FILE_TRANSFER
        )),
        limits,
        "text",
    );
    // A text that nobody reads costs nothing.
    assert!(matches!(
        payload(&set(&format!("<a>{long}</a>")), limits),
        Payload::Unknown { .. }
    ));

    let host = "<streamhost jid='a' host='b'/>".repeat(limits.items + 1);
    let query = format!("<query xmlns='{}' sid='s'>{host}</query>", ns::BYTESTREAMS);
    assert_eq!(
        limited(&set(&query), limits, "items")
            .sid
            .expect("sid")
            .as_str(),
        "s"
    );
    for item in ["<item jid='a'/>", "<item xmlns='u'/>"] {
        let query = format!(
            "<query xmlns='{}'>{}</query>",
            ns::DISCO_ITEMS,
            item.repeat(limits.items + 1)
        );
        let counted = matches!(payload(&set(&query), limits), Payload::Invalid(_));
        assert_eq!(counted, item.contains("jid"));
    }
    for inner in ["<value>x</value>", "<option><value>x</value></option>"] {
        let field = format!("<field>{}</field>", inner.repeat(limits.items + 1));
        let si = format!(
            "<si xmlns='{}'><feature xmlns='{}'><x xmlns='{}'>{field}</x></feature></si>",
            ns::SI,
            ns::FEATURE_NEG,
            ns::DATA_FORMS
        );
        limited(&set(&si), limits, "items");
    }
}

#[test]
fn an_error_over_a_limit_is_still_an_error() {
    let deep = "<a xmlns='u'>".repeat(5000) + &"</a>".repeat(5000);
    let text = format!(
        "<iq id='1' type='error'><error type='cancel'><gone xmlns='{}'/>{deep}</error></iq>",
        ns::STANZA_ERRORS
    );
    let mut decoder = Decoder::new(Limits::DEFAULT);
    let stanza = read(
        &mut QuickXml::default(),
        text.as_bytes(),
        &Context::default(),
        &mut decoder,
    );
    match stanza {
        Ok(Stanza::Iq(Iq {
            body: IqBody::Error(error),
            ..
        })) => {
            assert_eq!(error.condition, Condition::Gone);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn many_namespaces_cost_little() {
    let declared: String = (0..3000).map(|n| format!(" xmlns:a{n}='u{n}'")).collect();
    let text = format!(
        "<iq id='1' type='set'><a{declared}>{}</a></iq>",
        "<b/>".repeat(30_000)
    );
    let mut decoder = Decoder::new(Limits::DEFAULT);
    let refused = QuickXml::default().read(text.as_bytes(), &Context::default(), &mut decoder);
    assert_eq!(refused, Err(DoorError::Xml(XmlFault::Restricted)));
}

#[test]
fn an_id_is_taken_up_to_1_kib() {
    let text = |len| format!("<iq id='{}' type='result'/>", "i".repeat(len));
    for (len, taken) in [(1024, true), (1025, false)] {
        let mut decoder = Decoder::new(Limits::DEFAULT);
        let context = Context::default();
        let stanza = read(
            &mut QuickXml::default(),
            text(len).as_bytes(),
            &context,
            &mut decoder,
        );
        assert_eq!(stanza.is_ok(), taken, "{len}");
        assert_eq!(framed(&text(len)).is_some(), taken, "{len}");
    }
}

/// What the framer makes of a stanza, by its short way where that takes it.
fn framed(text: &str) -> Option<Stanza> {
    let context = Context::new(ns::CLIENT);
    let mut framer = Framer::inside(QuickXml::default(), Limits::DEFAULT, context);
    let mut input = text.as_bytes();
    match framer.next(&mut input) {
        Some(Ok(Frame::Stanza(stanza))) => Some(stanza),
        _ => None,
    }
}

#[test]
fn a_small_block_in_much_white_space_holds_little() {
    let spaced = format!("{}AAAA{}", " ".repeat(40_000), "\n".repeat(40_000));
    let Some(Stanza::Iq(iq)) = framed(&data(&spaced)) else {
        panic!("no block");
    };
    let IqBody::Set(Payload::Data(data)) = iq.body else {
        panic!("{:?}", iq.body);
    };
    assert_eq!(&data.octets[..], [0, 0, 0]);
    let whole = data.octets.try_into_mut().expect("nobody else has it");
    assert!(whole.capacity() <= 256, "{}", whole.capacity());
}

#[test]
fn what_a_room_says_to_all_is_no_block_by_the_short_way_either() {
    for (kind, taken) in [
        ("", true),
        ("type='chat'", true),
        ("type='groupchat'", false),
    ] {
        let stanza = framed(&format!(
            "<message {kind} id='1'><data xmlns='http://jabber.org/protocol/ibb' seq='1' \
             sid='s'>AAEC</data></message>"
        ));
        let Some(Stanza::Message(message)) = stanza else {
            panic!("{stanza:?}");
        };
        assert_eq!(message.payload.is_some(), taken, "{kind}");
    }
}

#[test]
fn what_cannot_be_answered_is_no_stanza() {
    for (text, why) in [
        ("<iq type='result'/>", "id"),
        ("<iq type='error'/>", "id"),
        ("<iq id='1' type='get' from='@'/>", "from"),
        ("<iq id='1' type='get' to=''/>", "to"),
        ("<a/>", "not a stanza"),
        ("<iq xmlns='u' id='1' type='get'/>", "not a stanza"),
        (
            "<features xmlns='http://etherx.jabber.org/streams'><iq id='1' type='get'/></features>",
            "not a stanza",
        ),
    ] {
        let mut decoder = Decoder::new(Limits::DEFAULT);
        let error = read(
            &mut QuickXml::default(),
            text.as_bytes(),
            &Context::default(),
            &mut decoder,
        )
        .expect_err(text);
        assert!(error.contains(why), "{text}: {error}");
    }
}
