//! Who offers a bytestream.

use crate::output::Outputs;
use crate::{DstAddr, Event};
use alloc::vec::Vec;
use bytes::Bytes;
use bytestreams_machine::{ConnId, Ids, Input, Instant, Machine, Output, Own, Token};
use bytestreams_stanza::{Jid, Sid, StreamHost};
use smallvec::SmallVec;

/// The Requester's side of one bytestream (XEP-0065, sections 5 and 6).
///
/// Sends the StreamHosts, waits for the choice. Where that is this side itself, it takes the
/// connection that arrived first and is still open; where it is a proxy, it connects to it and has
/// it activated.
#[derive(Clone, Debug)]
pub struct Requester {
    peer: Jid,
    sid: Sid,
    addrs: SmallVec<[DstAddr; 2]>,
    out: Outputs<Event>,
}

impl Requester {
    /// How many tokens from the one given are used.
    pub const TOKENS: u64 = 8;

    /// Offers `hosts` to `peer`: those with our own JID first, then the proxies, both in the order
    /// given, no more than five, with a proxy among them where there is one.
    ///
    /// Ids are taken from `ids`; attempts to connect are named `base`, `base` + 1, and so on.
    pub fn new(
        own: Own,
        peer: Jid,
        sid: Sid,
        hosts: Vec<StreamHost>,
        ids: &mut Ids,
        base: Token,
        _now: Instant,
    ) -> Self {
        let _ = (hosts, ids, base);
        Self {
            addrs: DstAddr::spellings(&sid, &own.jid, &peer),
            peer,
            sid,
            out: Outputs::default(),
        }
    }

    /// Puts the hash into the offer, for a peer in a room, who knows us by another JID (XEP-0065,
    /// section 7). To be called before the offer is polled.
    pub fn tell_dstaddr(&mut self) {}

    /// The other end.
    pub fn peer(&self) -> &Jid {
        &self.peer
    }

    /// The stream's identifier.
    pub fn sid(&self) -> &Sid {
        &self.sid
    }

    /// The hashes under which the peer may connect to us: what to tell
    /// [`Inbound::expect`](crate::Inbound::expect). The first is the one of the specification.
    pub fn addrs(&self) -> &[DstAddr] {
        &self.addrs
    }

    /// Notes a connection that arrived with one of the hashes.
    pub fn arrived(&mut self, _conn: ConnId) {}

    /// Notes that one that had arrived is gone.
    pub fn gone(&mut self, _conn: ConnId) {}

    /// The octets that came behind the handshake with a proxy; those of a direct connection are
    /// [`Inbound::take`](crate::Inbound::take)'s.
    pub fn early(&mut self) -> Bytes {
        Bytes::new()
    }

    /// Gives the stream up: what is open is closed. Ends in [`Event::Failed`].
    pub fn cancel(&mut self, _now: Instant) {}

    /// Says whether it can be dropped: it has told its end, and no attempt to connect is
    /// unanswered.
    pub fn is_finished(&self) -> bool {
        self.out.is_empty()
    }
}

impl Machine for Requester {
    type Event = Event;

    fn handle_input(&mut self, input: Input, _now: Instant) -> Option<Input> {
        Some(input)
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<Output<Event>> {
        self.out.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
