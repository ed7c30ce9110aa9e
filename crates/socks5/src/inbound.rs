//! The connections that come to our own StreamHosts.

use crate::DstAddr;
use crate::handshakes::{Asked, Handshakes, Progress, Source, Sources, append};
use crate::output::Outputs;
use alloc::collections::{BTreeMap, BTreeSet};
use bytes::Bytes;
use bytestreams_machine::{
    ConnId, Input, Instant, ListenId, Machine, NetCommand, NetInput, Output,
};
use core::net::SocketAddr;
use core::time::Duration;

/// Bounds on what strangers can make [`Inbound`] hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboundConfig {
    /// Handshakes in progress in all; one more closes the oldest.
    pub handshakes: usize,
    /// Handshakes in progress with one address; one more is closed at once.
    pub handshakes_a_source: usize,
    /// How long a handshake may take.
    pub handshake_time: Duration,
    /// Connections that wait with one hash; one more is refused.
    pub connections_a_stream: usize,
}

impl Default for InboundConfig {
    fn default() -> Self {
        Self {
            handshakes: 64,
            handshakes_a_source: 16,
            handshake_time: Duration::from_secs(10),
            connections_a_stream: 8,
        }
    }
}

/// What [`Inbound`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InboundEvent {
    /// A connection stands, for a stream that was expected. To be told to its
    /// [`Requester`](crate::Requester::arrived).
    Arrived {
        /// The hash.
        addr: DstAddr,
        /// The connection.
        conn: ConnId,
        /// Where it came in.
        listen: ListenId,
    },
    /// A connection that had arrived is gone, and nobody had taken it. To be told to its
    /// [`Requester`](crate::Requester::gone).
    Gone {
        /// The hash.
        addr: DstAddr,
        /// The connection.
        conn: ConnId,
    },
}

/// All connections that come to the StreamHosts of the link itself: one listening socket serves
/// many Requesters, who tell what they expect.
///
/// A connection with a hash that nobody expects is refused and closed, and so is whatever is no
/// handshake. Several connections may stand with one hash: some peers connect to every StreamHost,
/// and use one. They wait here, no longer than their hash is expected, until one is taken.
#[derive(Clone, Debug)]
pub struct Inbound {
    config: InboundConfig,
    expected: BTreeSet<DstAddr>,
    handshakes: Handshakes,
    sources: Sources,
    waiting: BTreeMap<ConnId, Waiting>,
    out: Outputs<InboundEvent>,
}

#[derive(Clone, Debug)]
struct Waiting {
    addr: DstAddr,
    early: Bytes,
}

impl Inbound {
    /// Expects nothing yet.
    pub fn new(config: InboundConfig) -> Self {
        Self {
            handshakes: Handshakes::new(config.handshakes, config.handshake_time),
            config,
            expected: BTreeSet::new(),
            sources: Sources::default(),
            waiting: BTreeMap::new(),
            out: Outputs::default(),
        }
    }

    /// Takes connections with this hash from now on.
    pub fn expect(&mut self, addr: DstAddr) {
        self.expected.insert(addr);
    }

    /// Takes no more of them, and closes those that wait.
    pub fn forget(&mut self, addr: DstAddr) {
        self.expected.remove(&addr);
        let out = &mut self.out;
        self.waiting.retain(|conn, waiting| {
            let keep = waiting.addr != addr;
            if !keep {
                out.net(NetCommand::Close(*conn));
            }
            keep
        });
    }

    /// Lets a connection go to who detached it, with the octets that came behind its handshake:
    /// the first of the stream.
    pub fn take(&mut self, conn: ConnId) -> Bytes {
        let waiting = self.waiting.remove(&conn);
        waiting.map(|waiting| waiting.early).unwrap_or_default()
    }

    /// Closes everything; nothing is expected any more.
    pub fn close(&mut self) {
        self.expected.clear();
        self.sources.clear();
        self.handshakes.clear(&mut self.out);
        for conn in core::mem::take(&mut self.waiting).into_keys() {
            self.out.net(NetCommand::Close(conn));
        }
    }

    fn accepted(&mut self, conn: ConnId, listen: ListenId, from: SocketAddr, now: Instant) {
        let source = Source::from(from.ip());
        let most = self.config.handshakes_a_source;
        if self.expected.is_empty() || !self.sources.enter(source, most) {
            self.out.net(NetCommand::Close(conn));
            return;
        }
        let evicted = self
            .handshakes
            .begin(conn, listen, source, now, &mut self.out);
        self.leave(evicted);
    }

    fn received(&mut self, conn: ConnId, octets: Bytes) -> Option<NetInput> {
        if let Some(waiting) = self.waiting.get_mut(&conn) {
            if !append(&mut waiting.early, &octets) {
                self.gone(conn);
            }
            return None;
        }
        match self.handshakes.received(conn, &octets, &mut self.out) {
            Progress::Unknown => return Some(NetInput::Received(conn, octets)),
            Progress::More => {}
            Progress::Failed(source) => self.sources.leave(source),
            Progress::Asked(asked) => self.asked(conn, asked),
        }
        None
    }

    fn asked(&mut self, conn: ConnId, asked: Asked) {
        let Asked { addr, listen, .. } = asked;
        self.sources.leave(asked.source);
        let beside = self.waiting.values().filter(|w| w.addr == addr).count();
        if self.expected.contains(&addr) && beside < self.config.connections_a_stream {
            self.out.net(NetCommand::Send(conn, asked.server.accept()));
            let early = asked.early;
            self.waiting.insert(conn, Waiting { addr, early });
            self.out.event(InboundEvent::Arrived { addr, conn, listen });
        } else {
            self.out.net(NetCommand::Send(conn, asked.server.refuse()));
            self.out.net(NetCommand::Close(conn));
        }
    }

    /// Closes a connection that waits, if it is one; says whether.
    fn gone(&mut self, conn: ConnId) -> bool {
        let Some(Waiting { addr, .. }) = self.waiting.remove(&conn) else {
            return false;
        };
        self.out.net(NetCommand::Close(conn));
        self.out.event(InboundEvent::Gone { addr, conn });
        true
    }

    fn leave(&mut self, source: Option<Source>) {
        if let Some(source) = source {
            self.sources.leave(source);
        }
    }
}

impl Default for Inbound {
    fn default() -> Self {
        Self::new(InboundConfig::default())
    }
}

impl Machine for Inbound {
    type Event = InboundEvent;

    /// Takes every accepted connection, and what is about those; hands back the rest.
    fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        let rest = match input {
            Input::Net(NetInput::Accepted { listen, conn, from }) => {
                self.accepted(conn, listen, from, now);
                None
            }
            Input::Net(NetInput::Received(conn, octets)) => self.received(conn, octets),
            Input::Net(NetInput::Closed(conn)) => {
                let source = self.handshakes.close(conn, &mut self.out);
                self.leave(source);
                let known = source.is_some() || self.gone(conn);
                (!known).then_some(NetInput::Closed(conn))
            }
            other @ (Input::Stanza(_) | Input::Net(_)) => return Some(other),
        };
        rest.map(Input::Net)
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(source) = self.handshakes.expire(now, &mut self.out) {
            self.sources.leave(source);
        }
    }

    fn poll_output(&mut self) -> Option<Output<InboundEvent>> {
        self.out.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.handshakes.next()
    }
}

#[cfg(test)]
mod tests;
