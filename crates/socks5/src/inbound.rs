//! The connections that come to our own StreamHosts.

use crate::DstAddr;
use crate::output::Outputs;
use bytes::Bytes;
use bytestreams_machine::{ConnId, Input, Instant, ListenId, Machine, Output};
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
#[derive(Clone, Debug, Default)]
pub struct Inbound {
    out: Outputs<InboundEvent>,
}

impl Inbound {
    /// Expects nothing yet.
    pub fn new(_config: InboundConfig) -> Self {
        Self::default()
    }

    /// Takes connections with this hash from now on.
    pub fn expect(&mut self, _addr: DstAddr) {}

    /// Takes no more of them, and closes those that wait.
    pub fn forget(&mut self, _addr: DstAddr) {}

    /// Lets a connection go to who detached it, with the octets that came behind its handshake.
    pub fn take(&mut self, _conn: ConnId) -> Bytes {
        Bytes::new()
    }

    /// Closes everything; nothing is expected any more.
    pub fn close(&mut self) {}
}

impl Machine for Inbound {
    type Event = InboundEvent;

    fn handle_input(&mut self, input: Input, _now: Instant) -> Option<Input> {
        Some(input)
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<Output<InboundEvent>> {
        self.out.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
