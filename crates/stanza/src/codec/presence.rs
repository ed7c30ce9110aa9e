//! Presence (RFC 6121, 4.7) and entity capabilities (XEP-0115).

use super::{Emit, Node, SERVER, Tools, shared, trim};
use crate::{Caps, Jid, Presence, PresenceType, TokenSink, ns};
use alloc::boxed::Box;
use alloc::sync::Arc;

impl Presence {
    pub(super) fn emit<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        sink.open(ns::CLIENT, "presence")?;
        sink.attr_if("from", self.from.as_ref().map(Jid::as_str))?;
        sink.attr_if("to", self.to.as_ref().map(Jid::as_str))?;
        sink.attr_if(
            "type",
            match self.kind {
                PresenceType::Available => None,
                PresenceType::Unavailable => Some("unavailable"),
                PresenceType::Error => Some("error"),
                // Which it was is not kept; this one asks for nothing.
                PresenceType::Other => Some("unsubscribed"),
            },
        )?;
        if SERVER && self.priority != 0 {
            let digits = super::Decimal::new(self.priority.unsigned_abs().into());
            sink.open(ns::CLIENT, "priority")?;
            if self.priority < 0 {
                sink.text("-")?;
            }
            sink.text(digits.as_str())?;
            sink.close()?;
        }
        if let Some(caps) = self.caps.as_ref().filter(|_| SERVER) {
            sink.open(ns::CAPS, "c")?;
            sink.attr("hash", &caps.hash)?;
            sink.attr("node", &caps.node)?;
            sink.attr("ver", &caps.ver)?;
            sink.close()?;
        }
        sink.close()
    }
}

/// What is kept of a presence under way.
#[derive(Debug, Default)]
pub(crate) struct PresenceDraft {
    priority: i8,
    node: Option<Arc<str>>,
    ver: Option<Arc<str>>,
    hash: Option<Arc<str>>,
}

impl PresenceDraft {
    pub(crate) fn attr(&mut self, node: Node, name: &str, value: &str, tools: &Tools) {
        if node != Node::Caps || value.len() > tools.limits.text {
            return;
        }
        match name {
            "node" => self.node = shared(value),
            "ver" => self.ver = shared(value),
            "hash" => self.hash = shared(value),
            _ => {}
        }
    }

    pub(crate) fn close(&mut self, node: Node, text: &str) {
        if node == Node::Priority {
            self.priority = trim(text).parse().unwrap_or(0);
        }
    }

    pub(crate) fn finish(self) -> (i8, Option<Box<Caps>>) {
        if !SERVER {
            return (0, None);
        }
        // Without `hash` it is the form of before version 1.4, of no use here.
        let caps = match (self.node, self.ver, self.hash) {
            (Some(node), Some(ver), Some(hash)) => Some(Box::new(Caps { node, ver, hash })),
            _ => None,
        };
        (self.priority, caps)
    }
}
