//! What a proxy is told, and what it tells.

use crate::DstAddr;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytestreams_machine::ConnId;
use bytestreams_stanza::{Jid, StreamHost};
use core::time::Duration;

/// Who may use a proxy, judged by the stamped `from` on address query and on activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Everybody.
    Any,
    /// Users of these domains.
    Domains(Vec<Arc<str>>),
}

impl Allowed {
    /// Says whether somebody may use the proxy.
    pub fn permits(&self, jid: &Jid) -> bool {
        match self {
            Self::Any => true,
            Self::Domains(domains) => domains
                .iter()
                .any(|domain| domain.eq_ignore_ascii_case(jid.domain())),
        }
    }
}

/// What a [`Proxy`](crate::Proxy) is, and its bounds.
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

/// What a [`Proxy`](crate::Proxy) tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyEvent {
    /// Relay between these two, both ways, until both directions are at their end; then tell
    /// [`Proxy::ended`](crate::Proxy::ended). Both are detached. What came behind each handshake goes first to the
    /// other: [`Proxy::early`](crate::Proxy::early).
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

/// Counters and gauges of a [`Proxy`](crate::Proxy).
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
