//! Every stanza of `tests/golden`, through every door: one answer, which stands beside it.
//!
//! `NAME.xml` is the stanza; `NAME.txt` what it means and how it is written again. A new stanza's
//! answer is written with `BLESS=1 cargo test -p bytestreams-stanza --all-features --test golden`,
//! and then read by a person.
#![cfg(all(feature = "quick-xml", feature = "minidom", feature = "rxml"))]

extern crate alloc;

mod common;

use bytestreams_stanza::door::{Context, Door, ElementSink, Plain, QuickXml, Rxml, read_element};
use bytestreams_stanza::{Decoder, Limits, OutBuf, Stanza, XmlWriter, ns};
use common::minidom::Minidom;
use common::{files, read};
use std::fs;

fn write(stanza: &Stanza) -> Vec<u8> {
    let mut out = OutBuf::default();
    XmlWriter::default().write(stanza, &mut out);
    out.as_slice().to_vec()
}

fn answer(stanza: &Result<Stanza, String>) -> String {
    match stanza {
        Ok(stanza) => {
            let text = String::from_utf8(write(stanza)).expect("UTF-8");
            format!("{stanza:#?}\n\n{text}\n")
        }
        Err(error) => format!("refused: {error}\n"),
    }
}

#[test]
fn every_door_gives_the_one_answer() {
    let bless = std::env::var_os("BLESS").is_some();
    let context = Context::new(ns::CLIENT);
    // One of each for all, as on a link.
    let mut quick_xml = QuickXml::default();
    let mut plain = Plain::default();
    let mut rxml = Rxml::default();
    let mut decoder = Decoder::new(Limits::DEFAULT);
    let mut count = 0;
    for (path, octets) in files("golden") {
        let octets = octets.trim_ascii();
        let name = path.display();
        let each = |door: &str, stanza: Result<Stanza, String>| {
            let expected = path.with_extension("txt");
            if bless && door == "quick-xml" {
                fs::write(&expected, answer(&stanza)).expect("write");
            }
            let expected = fs::read_to_string(expected).unwrap_or_default();
            assert!(
                answer(&stanza) == expected,
                "{name} through {door}:\n{}\n",
                answer(&stanza)
            );
        };
        each(
            "quick-xml",
            read(&mut quick_xml, octets, &context, &mut decoder),
        );
        each("plain", read(&mut plain, octets, &context, &mut decoder));
        each("rxml", read(&mut rxml, octets, &context, &mut decoder));
        each(
            "minidom",
            read(&mut Minidom, octets, &context, &mut decoder),
        );
        count += 1;
    }
    assert!(count > 140, "{count} stanzas");
}

/// Stanzas of which writing keeps less than reading gives, and why.
const NORMALISED: &[&str] = &[
    // A result's `<file/>` without a range is left out.
    "xep-0096-03",
];

#[test]
fn what_is_written_reads_as_the_same() {
    let context = Context::new(ns::CLIENT);
    let mut decoder = Decoder::new(Limits::DEFAULT);
    for (path, octets) in files("golden") {
        let Ok(stanza) = read(
            &mut QuickXml::default(),
            octets.trim_ascii(),
            &context,
            &mut decoder,
        ) else {
            continue;
        };
        let name = path.file_stem().expect("name").to_string_lossy();
        let text = write(&stanza);
        let again = read(&mut QuickXml::default(), &text, &context, &mut decoder);

        // The loopback without XML, and the tree there and back, say what the text says.
        stanza.emit(&mut decoder).expect("decoder");
        assert_eq!(decoder.finish().map_err(|e| e.to_string()), again, "{name}");
        let mut tree = ElementSink::default();
        stanza.emit(&mut tree).expect("tree");
        let tree = tree.finish().expect("tree");
        read_element(&tree, &mut decoder).expect("decoder");
        assert_eq!(decoder.finish().map_err(|e| e.to_string()), again, "{name}");

        let again = again.expect("what we write can be read");
        assert_eq!(write(&again), text, "{name}");
        // What is invalid is not written in its invalid form.
        let faithful = !format!("{stanza:?}").contains("Invalid(");
        if faithful && !NORMALISED.contains(&&*name) {
            assert_eq!(again, stanza, "{name}");
        }
    }
}

#[test]
fn a_component_says_its_own_namespace() {
    let context = Context::new(ns::COMPONENT);
    let mut decoder = Decoder::new(Limits::DEFAULT);
    let error = b"<iq from='a' id='1' type='error'><error type='wait'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>";
    let stanza = read(&mut QuickXml::default(), error, &context, &mut decoder).expect("stanza");
    let mut out = OutBuf::default();
    XmlWriter::new(ns::COMPONENT).write(&stanza, &mut out);
    assert_eq!(out.as_slice(), error);
    assert_eq!(
        read(&mut Rxml::default(), out.as_slice(), &context, &mut decoder),
        Ok(stanza)
    );
}

#[test]
fn a_prefix_of_the_stream_header_counts() {
    let mut context = Context::new(ns::CLIENT);
    context.bind("i", ns::IBB);
    let text = b"<iq id='1' type='set'><i:close sid='s'/></iq>";
    let mut decoder = Decoder::new(Limits::DEFAULT);
    let first = read(&mut QuickXml::default(), text, &context, &mut decoder).expect("stanza");
    assert!(format!("{first:?}").contains("Close"), "{first:?}");
    let mut rxml = Rxml::default();
    assert_eq!(read(&mut rxml, text, &context, &mut decoder), Ok(first));
    // And no longer on the next stream.
    let error = read(&mut rxml, text, &Context::default(), &mut decoder);
    assert!(error.is_err(), "{error:?}");
}

#[test]
fn a_door_goes_on_after_a_refusal() {
    fn check(mut door: impl Door) {
        let context = Context::default();
        let mut decoder = Decoder::new(Limits::DEFAULT);
        for _ in 0..3 {
            assert!(read(&mut door, b"<iq><a x='", &context, &mut decoder).is_err());
            let ping = b"<iq id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>";
            assert!(read(&mut door, ping, &context, &mut decoder).is_ok());
        }
    }
    check(QuickXml::default());
    check(Rxml::default());
}
