//! Service discovery of features (XEP-0030), and ping (XEP-0199).

use super::{Draft, Emit, Node, Tools, room, shared};
use crate::{DiscoInfo, Fault, Identity, Payload, TokenSink, ns};
use alloc::boxed::Box;
use alloc::sync::Arc;

impl DiscoInfo {
    pub(super) fn emit<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        sink.open(ns::DISCO_INFO, "query")?;
        sink.attr_if("node", self.node.as_deref())?;
        for identity in &self.identities {
            sink.open(ns::DISCO_INFO, "identity")?;
            sink.attr("category", &identity.category)?;
            sink.attr("type", &identity.kind)?;
            sink.attr_if("name", identity.name.as_deref())?;
            sink.close()?;
        }
        for feature in &self.features {
            sink.open(ns::DISCO_INFO, "feature")?;
            sink.attr("var", feature)?;
            sink.close()?;
        }
        sink.close()
    }
}

#[derive(Debug, Default)]
pub(crate) struct InfoDraft {
    info: DiscoInfo,
    category: Option<Arc<str>>,
    kind: Option<Arc<str>>,
    name: Option<Arc<str>>,
}

impl Draft for InfoDraft {
    fn open(&mut self, node: Node, _tools: &mut Tools) -> Result<(), Fault> {
        if node == Node::Identity {
            (self.category, self.kind, self.name) = (None, None, None);
        }
        Ok(())
    }

    fn attr(
        &mut self,
        node: Node,
        name: &str,
        value: &str,
        tools: &mut Tools,
    ) -> Result<(), Fault> {
        match (node, name) {
            (Node::DiscoInfo, "node") => self.info.node = shared(value),
            (Node::Identity, "category") => self.category = shared(value),
            (Node::Identity, "type") => self.kind = shared(value),
            (Node::Identity, "name") => self.name = shared(value),
            (Node::DiscoFeature, "var") => {
                room(&self.info.features, &tools.limits)?;
                self.info.features.push(Arc::from(value));
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, node: Node, _text: &str, tools: &mut Tools) -> Result<(), Fault> {
        // An identity without category or type says nothing.
        if node != Node::Identity {
            return Ok(());
        }
        if let (Some(category), Some(kind)) = (self.category.take(), self.kind.take()) {
            room(&self.info.identities, &tools.limits)?;
            self.info.identities.push(Identity {
                category,
                kind,
                name: self.name.take(),
            });
        }
        Ok(())
    }

    fn finish(self) -> Result<Payload, Fault> {
        Ok(Payload::DiscoInfo(Box::new(self.info)))
    }
}

#[derive(Debug)]
pub(crate) struct PingDraft;

impl Draft for PingDraft {
    fn attr(&mut self, _: Node, _: &str, _: &str, _: &mut Tools) -> Result<(), Fault> {
        Ok(())
    }

    fn finish(self) -> Result<Payload, Fault> {
        Ok(Payload::Ping)
    }
}
