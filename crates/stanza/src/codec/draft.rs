//! The payload under way, whichever it is.

#[cfg(feature = "socks5")]
use super::bytestreams::BytestreamsDraft;
use super::disco::{InfoDraft, PingDraft};
use super::ibb::IbbDraft;
#[cfg(feature = "server")]
use super::server::{BindDraft, ItemsDraft};
use super::si::SiDraft;
use super::{Draft, Node, Tools};
use crate::{Fault, Invalid, Payload, Sid, ns};
use alloc::boxed::Box;
use alloc::sync::Arc;
use bytes::Bytes;

/// One of the drafts.
#[derive(Debug)]
pub(super) enum AnyDraft {
    None,
    Ibb(IbbDraft),
    #[cfg(feature = "socks5")]
    Bytestreams(Box<BytestreamsDraft>),
    Si(Box<SiDraft>),
    Info(Box<InfoDraft>),
    #[cfg(feature = "server")]
    Items(Box<ItemsDraft>),
    #[cfg(feature = "server")]
    Bind(BindDraft),
    Ping(PingDraft),
    /// One that broke its grammar, with the stream that it named.
    Broken(Fault, Option<Sid>),
}

macro_rules! each {
    ($self:expr, $draft:ident => $do:expr, $otherwise:expr) => {
        match $self {
            Self::None => $otherwise,
            Self::Broken(..) => $otherwise,
            Self::Ibb($draft) => $do,
            #[cfg(feature = "socks5")]
            Self::Bytestreams($draft) => $do,
            Self::Si($draft) => $do,
            Self::Info($draft) => $do,
            #[cfg(feature = "server")]
            Self::Items($draft) => $do,
            #[cfg(feature = "server")]
            Self::Bind($draft) => $do,
            Self::Ping($draft) => $do,
        }
    };
}

impl AnyDraft {
    pub(super) fn new(node: Node) -> Self {
        match node {
            Node::Open | Node::Data | Node::Close => Self::Ibb(IbbDraft::new(node)),
            #[cfg(feature = "socks5")]
            Node::Bytestreams => Self::Bytestreams(Box::default()),
            Node::Si => Self::Si(Box::default()),
            Node::DiscoInfo => Self::Info(Box::default()),
            #[cfg(feature = "server")]
            Node::DiscoItems => Self::Items(Box::default()),
            #[cfg(feature = "server")]
            Node::Bind => Self::Bind(BindDraft::default()),
            Node::Ping => Self::Ping(PingDraft),
            _ => Self::None,
        }
    }

    pub(super) fn open(&mut self, node: Node, tools: &mut Tools) -> Result<(), Fault> {
        each!(self, draft => draft.open(node, tools), Ok(()))
    }

    pub(super) fn attr(
        &mut self,
        node: Node,
        name: &str,
        value: &str,
        tools: &mut Tools,
    ) -> Result<(), Fault> {
        if let Self::Broken(_, sid @ None) = self {
            // The fault may stand before the sid that it belongs to.
            let names_stream = match node {
                Node::Si => name == "id",
                Node::Open | Node::Data | Node::Close | Node::Bytestreams => name == "sid",
                _ => false,
            };
            if names_stream {
                *sid = tools.names.sid(value.as_bytes());
            }
        }
        each!(self, draft => draft.attr(node, name, value, tools), Ok(()))
    }

    pub(super) fn close(&mut self, node: Node, text: &str, tools: &mut Tools) -> Result<(), Fault> {
        each!(self, draft => draft.close(node, text, tools), Ok(()))
    }

    pub(super) fn octets(&mut self, octets: Bytes) {
        if let Self::Ibb(draft) = self {
            draft.octets(octets);
        }
    }

    pub(super) fn sid(&self) -> Option<Sid> {
        if let Self::Broken(_, sid) = self {
            return sid.clone();
        }
        each!(self, draft => draft.sid(), None)
    }

    pub(super) fn finish(self, node: Node) -> Option<Payload> {
        let sid = self.sid();
        let finished = match self {
            Self::None => return None,
            Self::Broken(fault, _) => Err(fault),
            Self::Ibb(draft) => draft.finish(),
            #[cfg(feature = "socks5")]
            Self::Bytestreams(draft) => draft.finish(),
            Self::Si(draft) => draft.finish(),
            Self::Info(draft) => draft.finish(),
            #[cfg(feature = "server")]
            Self::Items(draft) => draft.finish(),
            #[cfg(feature = "server")]
            Self::Bind(draft) => draft.finish(),
            Self::Ping(draft) => draft.finish(),
        };
        Some(finished.unwrap_or_else(|fault| {
            let (ns, name) = name_of(node);
            Payload::Invalid(Box::new(Invalid {
                ns: Arc::from(ns),
                name: Arc::from(name),
                sid,
                fault,
            }))
        }))
    }
}

/// The namespace and name of a payload.
pub(super) fn name_of(node: Node) -> (&'static str, &'static str) {
    match node {
        Node::Open => (ns::IBB, "open"),
        Node::Data => (ns::IBB, "data"),
        Node::Close => (ns::IBB, "close"),
        Node::Bytestreams => (ns::BYTESTREAMS, "query"),
        Node::Si => (ns::SI, "si"),
        Node::DiscoInfo => (ns::DISCO_INFO, "query"),
        Node::DiscoItems => (ns::DISCO_ITEMS, "query"),
        Node::Ping => (ns::PING, "ping"),
        Node::Bind => (ns::BIND, "bind"),
        _ => ("", ""),
    }
}
