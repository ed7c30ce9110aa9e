//! Who stands between.

mod config;
mod connections;
mod requests;
#[cfg(test)]
mod tests;

pub use config::{Allowed, ProxyConfig, ProxyEvent, ProxyStats};

use crate::DstAddr;
use crate::handshakes::{Handshakes, Source, Sources};
use crate::output::Outputs;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use bytes::Bytes;
use bytestreams_machine::{
    ConnId, Input, Instant, Machine, NetCommand, NetInput, Output, Responder,
};
use bytestreams_stanza::{Id, Identity, Jid, Stanza, ns};

/// A proxy: takes connections, pairs them by their hash, activates them (XEP-0065, section 6).
///
/// Which connection is the Target's and which the Requester's cannot be told: the first and the
/// second with a hash are a pair, a third is refused. A pair whose activation comes is detached and
/// handed to whoever relays; a connection that closes before makes room for another.
///
/// To stand before its [`Proxy::responder`] in a [`Stack`](bytestreams_machine::Stack). Answers
/// every request in the namespace of XEP-0065:
///
/// | request | answer |
/// |---|---|
/// | address, by somebody who may not | `forbidden` |
/// | address, without one to tell or retired | `not-allowed` |
/// | activation, by somebody who may not | `forbidden` |
/// | activation, no sid | `bad-request` |
/// | activation of what is no JID | `jid-malformed` |
/// | activation of what nobody is connected for: a wrong sid or JID, or a stranger | `item-not-found` |
/// | activation with one side connected, a second activation, or retired | `not-allowed` |
/// | activation beyond a bound | `resource-constraint` |
/// | offer of a bytestream to the proxy itself | `not-acceptable` |
/// | anything else | `bad-request` |
#[derive(Clone, Debug)]
pub struct Proxy {
    config: ProxyConfig,
    handshakes: Handshakes,
    sources: Sources,
    /// Connections that wait for activation, and until when.
    waiting: BTreeMap<ConnId, Waiting>,
    due: BTreeSet<(Instant, ConnId)>,
    pairs: BTreeMap<DstAddr, Pair>,
    active: BTreeMap<DstAddr, Box<Session>>,
    /// Active sessions, by bare JID of who had them activated.
    by_jid: BTreeMap<Jid, usize>,
    /// What came early on activated connections, if only nothing, until it is taken.
    early: BTreeMap<ConnId, Bytes>,
    retired: bool,
    stats: ProxyStats,
    out: Outputs<ProxyEvent>,
}

#[derive(Clone, Debug)]
struct Waiting {
    addr: DstAddr,
    source: Source,
    early: Bytes,
    due: Instant,
}

/// The connections with one hash.
#[derive(Clone, Copy, Debug)]
struct Pair {
    first: ConnId,
    second: Option<ConnId>,
}

/// What was activated.
#[derive(Clone, Debug)]
struct Session {
    requester: Jid,
    request: Id,
    conns: [ConnId; 2],
    sources: [Source; 2],
}

impl Proxy {
    /// Makes a proxy without connections.
    pub fn new(config: ProxyConfig) -> Self {
        Self {
            handshakes: Handshakes::new(config.handshakes, config.handshake_time),
            config,
            sources: Sources::default(),
            waiting: BTreeMap::new(),
            due: BTreeSet::new(),
            pairs: BTreeMap::new(),
            active: BTreeMap::new(),
            by_jid: BTreeMap::new(),
            early: BTreeMap::new(),
            retired: false,
            stats: ProxyStats::default(),
            out: Outputs::default(),
        }
    }

    /// Makes what answers disco#info and the rest: identity `proxy/bytestreams`.
    pub fn responder(node: &str, name: &str) -> Responder {
        let identity = Identity {
            category: "proxy".into(),
            kind: "bytestreams".into(),
            name: Some(name.into()),
        };
        Responder::new(node, identity, &[ns::BYTESTREAMS])
    }

    /// Takes the octets that came behind the handshake of an activated connection: they go to the
    /// other one first. To be called once the connection is detached; until then more may come.
    pub fn early(&mut self, conn: ConnId) -> Bytes {
        self.early.remove(&conn).unwrap_or_default()
    }

    /// Notes that the relay of a session has ended and that its connections are closed.
    pub fn ended(&mut self, addr: DstAddr) {
        let Some(session) = self.active.remove(&addr) else {
            return;
        };
        for conn in session.conns {
            self.early.remove(&conn);
        }
        for source in session.sources {
            self.sources.leave(source);
        }
        let jid = session.requester.bare();
        if let Some(count) = self.by_jid.get_mut(&jid) {
            *count -= 1;
            if *count == 0 {
                self.by_jid.remove(&jid);
            }
        }
    }

    /// Takes no more connections and activates nothing more; what was not activated is closed.
    /// Active sessions go on.
    pub fn retire(&mut self) {
        self.retired = true;
        self.sources.clear();
        for session in self.active.values() {
            for source in session.sources {
                self.sources.enter(source, usize::MAX);
            }
        }
        self.handshakes.clear(&mut self.out);
        self.pairs.clear();
        self.due.clear();
        for conn in core::mem::take(&mut self.waiting).into_keys() {
            self.out.net(NetCommand::Close(conn));
        }
    }

    /// What has happened so far, and what there is now.
    pub fn stats(&self) -> ProxyStats {
        ProxyStats {
            handshaking: self.handshakes.len(),
            waiting: self.waiting.len(),
            active: self.active.len(),
            ..self.stats
        }
    }
}

impl Machine for Proxy {
    type Event = ProxyEvent;

    /// Takes every accepted connection, what is about those until they are detached, and requests
    /// in the namespace of XEP-0065; hands back the rest.
    fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        match input {
            Input::Stanza(Stanza::Iq(iq)) if requests::is_ours(&iq) => {
                self.request(&iq);
                None
            }
            Input::Net(NetInput::Accepted { listen, conn, from }) => {
                self.accepted(conn, listen, from, now);
                None
            }
            Input::Net(NetInput::Received(conn, octets)) => {
                self.received(conn, octets, now).map(Input::Net)
            }
            Input::Net(NetInput::Closed(conn)) => self.closed(conn).map(Input::Net),
            other @ (Input::Stanza(_) | Input::Net(_)) => Some(other),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.expire(now);
    }

    fn poll_output(&mut self) -> Option<Output<ProxyEvent>> {
        self.out.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.due.first().map(|(due, _)| *due);
        self.handshakes.next().into_iter().chain(waiting).min()
    }
}
