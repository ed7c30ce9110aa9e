//! The stanzas themselves (RFC 6120, 8).

use super::Emit;
use crate::{Id, Iq, IqBody, Jid, Message, Payload, Stanza, TokenSink, ns};

impl Stanza {
    /// Pushes the stanza's tokens into a sink.
    ///
    /// Into a [`Decoder`](crate::Decoder) that is a loopback without XML. Stanzas are in
    /// `jabber:client` here; the writers put the stream's content namespace in its place.
    ///
    /// # Errors
    /// The sink's.
    pub fn emit<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        match self {
            Self::Iq(iq) => iq.emit(sink),
            Self::Message(message) => message.emit(sink),
            Self::Presence(presence) => presence.emit(sink),
        }
    }
}

impl Iq {
    fn emit<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        sink.open(ns::CLIENT, "iq")?;
        sink.attr_if("from", self.from.as_ref().map(Jid::as_str))?;
        sink.attr_if("to", self.to.as_ref().map(Jid::as_str))?;
        sink.attr("id", self.id.as_str())?;
        match &self.body {
            IqBody::Get(payload) => {
                sink.attr("type", "get")?;
                payload.emit(sink)?;
            }
            IqBody::Set(payload) => {
                sink.attr("type", "set")?;
                payload.emit(sink)?;
            }
            IqBody::Result(payload) => {
                sink.attr("type", "result")?;
                if let Some(payload) = payload {
                    payload.emit(sink)?;
                }
            }
            IqBody::Error(error) => {
                sink.attr("type", "error")?;
                error.emit(sink)?;
            }
        }
        sink.close()
    }
}

impl Message {
    fn emit<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        sink.open(ns::CLIENT, "message")?;
        sink.attr_if("from", self.from.as_ref().map(Jid::as_str))?;
        sink.attr_if("to", self.to.as_ref().map(Jid::as_str))?;
        sink.attr_if("id", self.id.as_ref().map(Id::as_str))?;
        if self.error.is_some() {
            sink.attr("type", "error")?;
        }
        if let Some(payload) = &self.payload {
            payload.emit(sink)?;
        }
        if let Some(error) = &self.error {
            error.emit(sink)?;
        }
        sink.close()
    }
}

impl Payload {
    /// Pushes the payload's tokens into a sink.
    ///
    /// [`Payload::Unknown`] and [`Payload::Invalid`] become an empty element of their name.
    ///
    /// # Errors
    /// The sink's.
    pub fn emit<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        match self {
            Self::Open(open) => open.emit(sink),
            Self::Data(data) => data.emit(sink),
            Self::Close(close) => close.emit(sink),
            #[cfg(feature = "socks5")]
            Self::Bytestreams(query) => query.emit(sink),
            Self::Si(si) => si.emit(sink),
            Self::DiscoInfo(query) => query.emit(sink),
            #[cfg(feature = "server")]
            Self::DiscoItems(query) => query.emit(sink),
            Self::Ping => sink.leaf(ns::PING, "ping", ""),
            #[cfg(feature = "server")]
            Self::Bind(bind) => bind.emit(sink),
            Self::Invalid(invalid) => emit_empty(&invalid.ns, &invalid.name, sink),
            Self::Unknown { ns, name } => emit_empty(ns, name, sink),
        }
    }
}

fn emit_empty<S: TokenSink>(ns: &str, name: &str, sink: &mut S) -> Result<(), S::Error> {
    if name.is_empty() {
        return Ok(());
    }
    sink.leaf(ns, name, "")
}
