//! What links to a server need: service discovery of items (XEP-0030) and resource binding
//! (RFC 6120, 7).

use super::{Draft, Emit, Node, Tools, jid, room, shared, trim};
use crate::{Bind, DiscoItem, DiscoItems, Fault, Jid, Payload, TokenSink, ns};
use alloc::boxed::Box;
use alloc::sync::Arc;

impl DiscoItems {
    pub(super) fn emit<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        sink.open(ns::DISCO_ITEMS, "query")?;
        sink.attr_if("node", self.node.as_deref())?;
        for item in &self.items {
            sink.open(ns::DISCO_ITEMS, "item")?;
            sink.attr("jid", item.jid.as_str())?;
            sink.attr_if("node", item.node.as_deref())?;
            sink.attr_if("name", item.name.as_deref())?;
            sink.close()?;
        }
        sink.close()
    }
}

impl Bind {
    pub(super) fn emit<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        sink.open(ns::BIND, "bind")?;
        if let Some(resource) = &self.resource {
            sink.leaf(ns::BIND, "resource", resource)?;
        }
        if let Some(jid) = &self.jid {
            sink.leaf(ns::BIND, "jid", jid.as_str())?;
        }
        sink.close()
    }
}

#[derive(Debug, Default)]
pub(crate) struct ItemsDraft {
    items: DiscoItems,
    jid: Option<Jid>,
    node: Option<Arc<str>>,
    name: Option<Arc<str>>,
}

impl Draft for ItemsDraft {
    fn open(&mut self, node: Node, _tools: &mut Tools) -> Result<(), Fault> {
        if node == Node::Item {
            (self.jid, self.node, self.name) = (None, None, None);
        }
        Ok(())
    }

    fn attr(
        &mut self,
        node: Node,
        name: &str,
        value: &str,
        _tools: &mut Tools,
    ) -> Result<(), Fault> {
        match (node, name) {
            (Node::DiscoItems, "node") => self.items.node = shared(value),
            // An item without a usable address is left out.
            (Node::Item, "jid") => self.jid = jid(value, "jid").ok(),
            (Node::Item, "node") => self.node = shared(value),
            (Node::Item, "name") => self.name = shared(value),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, node: Node, _text: &str, tools: &mut Tools) -> Result<(), Fault> {
        if node != Node::Item {
            return Ok(());
        }
        if let Some(jid) = self.jid.take() {
            room(&self.items.items, &tools.limits)?;
            self.items.items.push(DiscoItem {
                jid,
                node: self.node.take(),
                name: self.name.take(),
            });
        }
        Ok(())
    }

    fn finish(self) -> Result<Payload, Fault> {
        Ok(Payload::DiscoItems(Box::new(self.items)))
    }
}

#[derive(Debug, Default)]
pub(crate) struct BindDraft(Bind);

impl Draft for BindDraft {
    fn attr(&mut self, _: Node, _: &str, _: &str, _: &mut Tools) -> Result<(), Fault> {
        Ok(())
    }

    fn close(&mut self, node: Node, text: &str, _tools: &mut Tools) -> Result<(), Fault> {
        match node {
            Node::BindJid => self.0.jid = Some(jid(text, "jid")?),
            Node::BindResource => self.0.resource = shared(trim(text)),
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Payload, Fault> {
        Ok(Payload::Bind(self.0))
    }
}
