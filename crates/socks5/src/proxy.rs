//! Who stands between.

use crate::DstAddr;
use crate::output::Outputs;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use bytestreams_machine::{ConnId, Input, Instant, Machine, Output, Responder};
use bytestreams_stanza::{Identity, Jid, StreamHost, ns};
use core::time::Duration;

/// Who may use a proxy, judged by the stamped `from` on address query and on activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Everybody.
    Any,
    /// Users of these domains.
    Domains(Vec<Arc<str>>),
}

/// What a [`Proxy`] is, and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyConfig {
    /// What address queries are answered with: its JID, host and port; best first.
    pub hosts: Vec<StreamHost>,
    /// Who may use it.
    pub allowed: Allowed,
    /// Activated bytestreams in all.
    pub sessions: usize,
    /// Activated bytestreams of one Requester (by bare JID).
    pub sessions_a_jid: usize,
    /// Handshakes in progress in all; one more closes the oldest.
    pub handshakes: usize,
    /// How long a handshake may take.
    pub handshake_time: Duration,
    /// Connections of one source address, in whatever state; one more is closed at once.
    pub connections_a_source: usize,
    /// Connections in all, in whatever state; one more is closed at once.
    pub connections: usize,
    /// How long a connection lives that is not activated.
    pub activation_time: Duration,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            allowed: Allowed::Domains(Vec::new()),
            sessions: 2_000,
            sessions_a_jid: 64,
            handshakes: 1_024,
            handshake_time: Duration::from_secs(10),
            connections_a_source: 256,
            connections: 16_384,
            activation_time: Duration::from_secs(60),
        }
    }
}

/// What a [`Proxy`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyEvent {
    /// Relay between these two, both ways, until both directions are at their end; then tell
    /// [`Proxy::ended`]. Both are detached. What came behind each handshake goes first to the
    /// other: [`Proxy::early`].
    Activated {
        /// The session, until it has ended.
        addr: DstAddr,
        /// Who connected first: the Target as a rule.
        first: ConnId,
        /// Who connected second: the Requester as a rule.
        second: ConnId,
        /// Who had it activated.
        requester: Jid,
        /// The peer it named.
        target: Jid,
    },
}

/// Counters and gauges of a [`Proxy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProxyStats {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed at once because a bound was reached.
    pub turned_away: u64,
    /// Handshakes that were wrong.
    pub handshakes_failed: u64,
    /// Handshakes that took too long, or had to make room.
    pub handshakes_expired: u64,
    /// Third connections refused.
    pub third_refused: u64,
    /// Connections that were closed unactivated after their time.
    pub expired: u64,
    /// Address queries answered with an address.
    pub addresses_told: u64,
    /// Requests refused because of who sent them.
    pub forbidden: u64,
    /// Activations refused for another reason.
    pub activations_refused: u64,
    /// Bytestreams activated.
    pub activated: u64,
    /// Handshakes in progress, now.
    pub handshaking: usize,
    /// Connections that wait for activation, now.
    pub waiting: usize,
    /// Bytestreams active, now.
    pub active: usize,
}

/// A proxy: takes connections, pairs them by their hash, activates them (XEP-0065, section 6).
///
/// To stand before its [`Proxy::responder`] in a [`Stack`](bytestreams_machine::Stack).
#[derive(Clone, Debug)]
pub struct Proxy {
    stats: ProxyStats,
    out: Outputs<ProxyEvent>,
}

impl Proxy {
    /// Makes a proxy without connections.
    pub fn new(config: ProxyConfig) -> Self {
        let _ = config;
        Self {
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

    /// Takes the octets that came behind the handshake of an activated connection; once.
    pub fn early(&mut self, _conn: ConnId) -> Bytes {
        Bytes::new()
    }

    /// Notes that the relay of a session has ended and its connections are closed.
    pub fn ended(&mut self, _addr: DstAddr) {}

    /// Takes no more connections and activates nothing more; what was not activated is closed.
    /// Active sessions go on.
    pub fn retire(&mut self) {}

    /// What happened so far.
    pub fn stats(&self) -> ProxyStats {
        self.stats
    }
}

impl Machine for Proxy {
    type Event = ProxyEvent;

    fn handle_input(&mut self, input: Input, _now: Instant) -> Option<Input> {
        Some(input)
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<Output<ProxyEvent>> {
        self.out.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
