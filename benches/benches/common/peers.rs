//! xmpp-parsers, driven as tokio-xmpp drives it: rxml's parser stands inside the stream and is fed
//! what a socket's buffer holds; rxml's encoder appends to the buffer that a socket empties.

use super::{FROM, SID, TO};
use bytes::BytesMut;
use xmpp_parsers::ibb::{Data, StreamId};
use xmpp_parsers::iq::{Iq, IqPayload};
use xmpp_parsers::jid::Jid;
use xso::exports::rxml;
use xso::exports::rxml::Parse;
use xso::exports::rxml::writer::TrackNamespace;
use xso::{AsXml, Context, FromEventsBuilder, FromXml};

pub(crate) struct Encoder {
    writer: rxml::writer::Encoder<rxml::writer::SimpleNamespaces>,
    out: BytesMut,
    from: Jid,
    to: Jid,
}

impl Encoder {
    pub(crate) fn new() -> Self {
        let mut writer = rxml::writer::Encoder::new();
        writer
            .ns_tracker_mut()
            .declare_fixed(None, "jabber:client".into());
        // The stanzas stand inside a stream.
        let mut header = BytesMut::new();
        let ns = "http://etherx.jabber.org/streams".into();
        let name = "stream".try_into().expect("a name");
        for item in [
            rxml::Item::ElementHeadStart(ns, name),
            rxml::Item::ElementHeadEnd,
        ] {
            writer
                .encode_into_bytes(item, &mut header)
                .expect("a header");
        }
        Self {
            writer,
            out: BytesMut::new(),
            from: FROM.parse().expect("jid"),
            to: TO.parse().expect("jid"),
        }
    }

    fn stanza(&self, id: &str, seq: u16, octets: &[u8]) -> Iq {
        let data = Data {
            seq,
            sid: StreamId(SID.to_owned()),
            data: octets.to_vec(),
        };
        Iq::from_set(id, data)
            .with_from(self.from.clone())
            .with_to(self.to.clone())
    }

    /// Makes the stanza of a block and writes it.
    pub(crate) fn encode(&mut self, id: &str, seq: u16, octets: &[u8]) -> &[u8] {
        let iq = self.stanza(id, seq, octets);
        self.out.clear();
        for item in iq.as_xml_iter().expect("a stanza") {
            let item = item.expect("an item");
            self.writer
                .encode_into_bytes(item.as_rxml_item(), &mut self.out)
                .expect("an item");
        }
        &self.out
    }
}

/// The same stanza through a tree of elements, as a program sends it that builds and writes
/// `minidom::Element`s.
pub(crate) struct TreeEncoder {
    encoder: Encoder,
    out: Vec<u8>,
}

impl TreeEncoder {
    pub(crate) fn new() -> Self {
        Self {
            encoder: Encoder::new(),
            out: Vec::new(),
        }
    }

    /// Makes the stanza of a block and writes it.
    pub(crate) fn encode(&mut self, id: &str, seq: u16, octets: &[u8]) -> &[u8] {
        let element = minidom::Element::from(self.encoder.stanza(id, seq, octets));
        self.out.clear();
        element.write_to(&mut self.out).expect("an element");
        &self.out
    }
}

pub(crate) struct Decoder(rxml::Parser);

impl Decoder {
    pub(crate) fn new() -> Self {
        let mut parser = rxml::Parser::default();
        let mut header = &b"<stream:stream xmlns='jabber:client' \
            xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"[..];
        parser.parse(&mut header, false).expect("a header");
        Self(parser)
    }

    /// Feeds a stanza in pieces of that size, and returns its block.
    pub(crate) fn decode(&mut self, text: &[u8], piece: usize) -> Data {
        let mut builder = None;
        for mut piece in text.chunks(piece) {
            loop {
                let event = match self.0.parse(&mut piece, false) {
                    Ok(Some(event)) => event,
                    Ok(None) | Err(rxml::error::EndOrError::NeedMoreData) => break,
                    Err(error) => panic!("{error:?}"),
                };
                let context = Context::empty();
                match (&mut builder, event) {
                    (None, rxml::Event::StartElement(_, name, attributes)) => {
                        builder = Iq::from_events(name, attributes, &context).ok();
                    }
                    (Some(builder), event) => {
                        if let Some(iq) = builder.feed(event, &context).expect("an iq") {
                            return match iq.split().1 {
                                IqPayload::Set(element) => {
                                    Data::try_from(element).expect("a block")
                                }
                                IqPayload::Get(_) | IqPayload::Result(_) | IqPayload::Error(_) => {
                                    panic!("no set")
                                }
                            };
                        }
                    }
                    (None, _) => {}
                }
            }
        }
        panic!("no whole stanza")
    }
}
