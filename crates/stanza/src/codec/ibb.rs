//! In-Band Bytestreams (XEP-0047).

use super::{Draft, Emit, Node, Tools, number, sid, trim};
use crate::{Carrier, Close, Data, Fault, Open, Payload, Sid, Token, TokenSink, ns};
use bytes::Bytes;

impl Open {
    pub(super) fn emit<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        sink.open(ns::IBB, "open")?;
        sink.number("block-size", self.block_size.into())?;
        sink.attr("sid", self.sid.as_str())?;
        if self.carrier == Carrier::Message {
            sink.attr("stanza", "message")?;
        }
        sink.close()
    }
}

impl Data {
    pub(super) fn emit<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        sink.open(ns::IBB, "data")?;
        sink.number("seq", self.seq.into())?;
        sink.attr("sid", self.sid.as_str())?;
        if !self.octets.is_empty() {
            sink.token(Token::Octets(&self.octets))?;
        }
        sink.close()
    }
}

impl Close {
    pub(super) fn emit<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        sink.open(ns::IBB, "close")?;
        sink.attr("sid", self.sid.as_str())?;
        sink.close()
    }
}

#[derive(Debug)]
pub(crate) struct IbbDraft {
    node: Node,
    sid: Option<Sid>,
    block_size: Option<u16>,
    carrier: Carrier,
    seq: Option<u16>,
    octets: Bytes,
}

impl IbbDraft {
    pub(crate) const fn new(node: Node) -> Self {
        Self {
            node,
            sid: None,
            block_size: None,
            carrier: Carrier::Iq,
            seq: None,
            octets: Bytes::new(),
        }
    }

    /// Takes the block.
    pub(crate) fn octets(&mut self, octets: Bytes) {
        self.octets = octets;
    }
}

impl Draft for IbbDraft {
    fn attr(
        &mut self,
        node: Node,
        name: &str,
        value: &str,
        tools: &mut Tools,
    ) -> Result<(), Fault> {
        match (node, name) {
            (_, "sid") => self.sid = Some(sid(value, tools)?),
            // Some count on past 65535, where section 2.2 has the number wrap.
            (Node::Data, "seq") => self.seq = Some((number(value, "seq")? & 0xFFFF) as u16),
            (Node::Open, "block-size") => {
                let size = number(value, "block-size")?;
                if size == 0 {
                    return Err(Fault::BadValue("block-size"));
                }
                self.block_size =
                    Some(u16::try_from(size).map_err(|_| Fault::Limit("block-size"))?);
            }
            (Node::Open, "stanza") => {
                self.carrier = match trim(value) {
                    "iq" => Carrier::Iq,
                    "message" => Carrier::Message,
                    _ => return Err(Fault::BadValue("stanza")),
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn sid(&self) -> Option<Sid> {
        self.sid.clone()
    }

    fn finish(self) -> Result<Payload, Fault> {
        let sid = self.sid.ok_or(Fault::MissingAttribute("sid"))?;
        Ok(match self.node {
            Node::Open => Payload::Open(Open {
                sid,
                block_size: self
                    .block_size
                    .ok_or(Fault::MissingAttribute("block-size"))?,
                carrier: self.carrier,
            }),
            Node::Data => Payload::Data(Data {
                sid,
                seq: self.seq.ok_or(Fault::MissingAttribute("seq"))?,
                octets: self.octets,
            }),
            _ => Payload::Close(Close { sid }),
        })
    }
}
