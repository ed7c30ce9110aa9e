//! Our own codec: the writer, and the framer with the default limits.

use super::{FROM, SID, TO};
use bytes::Bytes;
use bytestreams_stanza::door::{Context, QuickXml};
use bytestreams_stanza::{
    Data, Frame, Framer, Id, Iq, IqBody, Jid, Limits, OutBuf, Payload, Sid, Stanza, XmlWriter,
};

pub(crate) struct Encoder {
    writer: XmlWriter,
    out: OutBuf,
    from: Jid,
    to: Jid,
    sid: Sid,
}

impl Encoder {
    pub(crate) fn new() -> Self {
        Self {
            writer: XmlWriter::default(),
            out: OutBuf::default(),
            from: Jid::new(FROM).expect("jid"),
            to: Jid::new(TO).expect("jid"),
            sid: Sid::new(SID).expect("sid"),
        }
    }

    /// Makes the stanza of a block.
    pub(crate) fn stanza(&self, id: &str, seq: u16, octets: &Bytes) -> Stanza {
        Stanza::Iq(Iq {
            from: Some(self.from.clone()),
            to: Some(self.to.clone()),
            id: Id::from(id),
            body: IqBody::Set(Payload::Data(Data {
                sid: self.sid.clone(),
                seq,
                octets: octets.clone(),
            })),
        })
    }

    /// Writes a stanza.
    pub(crate) fn encode(&mut self, stanza: &Stanza) -> &[u8] {
        self.out.clear();
        self.writer.write(stanza, &mut self.out);
        self.out.as_slice()
    }
}

pub(crate) struct Decoder(Framer<QuickXml>);

impl Decoder {
    pub(crate) fn new() -> Self {
        Self(Framer::inside(
            QuickXml::default(),
            Limits::DEFAULT,
            Context::default(),
        ))
    }

    /// Feeds a stanza in pieces of that size, and returns it.
    pub(crate) fn decode(&mut self, text: &[u8], piece: usize) -> Stanza {
        let mut stanza = None;
        for mut piece in text.chunks(piece) {
            while let Some(frame) = self.0.next(&mut piece) {
                match frame {
                    Ok(Frame::Stanza(read)) => stanza = Some(read),
                    other => panic!("{other:?}"),
                }
            }
        }
        stanza.expect("a whole stanza")
    }
}
