//! One element through every door.

use bytestreams_stanza::door::{Context, Door, DoorError, Plain, QuickXml, Rxml, XmlFault};
use bytestreams_stanza::{Token, TokenSink, ns};
use minidom::Minidom;
use std::collections::BTreeMap;
use std::convert::Infallible;

#[path = "../../crates/stanza/tests/common/minidom.rs"]
mod minidom;

/// What an element says, whichever way its text is cut and its attributes are ordered.
#[derive(Debug, PartialEq)]
enum Said {
    Open {
        ns: String,
        name: String,
        attributes: BTreeMap<String, String>,
    },
    Text(String),
    Close,
}

#[derive(Default)]
struct Listener(Vec<Said>);

impl TokenSink for Listener {
    type Error = Infallible;

    fn token(&mut self, token: Token<'_>) -> Result<(), Infallible> {
        match token {
            Token::Open { ns, name } => self.0.push(Said::Open {
                ns: ns.to_owned(),
                name: name.to_owned(),
                attributes: BTreeMap::new(),
            }),
            Token::Attr { name, value } => match self.0.last_mut() {
                Some(Said::Open { attributes, .. }) => {
                    let before = attributes.insert(name.to_owned(), value.to_owned());
                    assert_eq!(before, None, "{name} twice");
                }
                other => panic!("attribute {name} behind {other:?}"),
            },
            Token::Text(piece) => match self.0.last_mut() {
                Some(Said::Text(text)) => text.push_str(piece),
                _ => self.0.push(Said::Text(piece.to_owned())),
            },
            Token::Octets(octets) => panic!("octets off a wire: {octets:?}"),
            Token::Close => self.0.push(Said::Close),
        }
        Ok(())
    }
}

fn said(door: &mut impl Door, element: &[u8], context: &Context) -> Result<Vec<Said>, XmlFault> {
    let mut listener = Listener::default();
    match door.read(element, context, &mut listener) {
        Ok(()) => Ok(listener.0),
        Err(DoorError::Xml(fault)) => Err(fault),
        Err(DoorError::Sink(never)) => match never {},
    }
}

/// The same element through the doors: the same tokens, or all refuse.
///
/// What rxml (0.14) and minidom, whose parser rxml is, do otherwise:
///
/// * They refuse a carriage return in an attribute value that no line feed follows, where XML has
///   a blank (3.3.3), or take it for nothing where a reference follows.
/// * They refuse references of more than eight digits.
/// * They refuse U+FDF0 to U+FFFD in names, where XML allows them (2.3).
/// * They take a prefix that is bound twice in one tag, and namespaces bound to `xml` and `xmlns`.
/// * Minidom reads documents, not elements of a stream, and does not compare attributes: it may
///   take more.
pub fn doors(data: &[u8]) {
    let context = Context::new(ns::CLIENT);
    let quick = said(&mut QuickXml::default(), data, &context);
    let plain = said(&mut Plain::default(), data, &context);
    // Which fault is found first is each door's own.
    assert!(
        plain == quick || plain.is_err() && quick.is_err(),
        "{quick:?}\n{plain:?}"
    );
    let mut door = Rxml::default();
    let rxml = said(&mut door, data, &context);
    let odd = is_odd(data);
    match (&quick, &rxml) {
        (Ok(quick), Ok(rxml)) => assert!(
            quick == rxml || has_lone_return(data),
            "{quick:?}\n{rxml:?}"
        ),
        (Err(_), Err(_)) => {}
        (Ok(_), Err(_)) if odd => {}
        (Err(_), Ok(_)) if binds(data) => {}
        _ => panic!("quick-xml: {quick:?}, rxml: {rxml:?}"),
    }
    // A door that has failed is as good as new.
    let next = said(&mut door, b"<a b='c'>d</a>", &context);
    assert_eq!(next.map(|said| said.len()), Ok(3));
    if quick.is_ok() {
        let minidom = said(&mut Minidom, data, &context);
        if minidom.is_ok() || !odd {
            assert!(
                quick == minidom || has_lone_return(data),
                "{quick:?}\n{minidom:?}"
            );
        }
    }
}

/// Says whether something is there that rxml may refuse.
fn is_odd(element: &[u8]) -> bool {
    let range = '\u{FDF0}'..='\u{FFFD}';
    let late = |text: &str| text.contains(|c| range.contains(&c));
    let has = |wanted: &[u8]| element.windows(wanted.len()).any(|window| window == wanted);
    has(b"\r") || has(b"&#0") || has(b"&#x0") || core::str::from_utf8(element).is_ok_and(late)
}

fn has_lone_return(element: &[u8]) -> bool {
    let mut rest = element.split(|b| *b == b'\r').skip(1);
    rest.any(|behind| behind.first() != Some(&b'\n'))
}

fn binds(element: &[u8]) -> bool {
    element.windows(5).any(|window| window == b"xmlns")
}
