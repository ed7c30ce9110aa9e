//! Who offers a bytestream.

use crate::dial::{Dial, Pace, Won};
use crate::handshakes::append;
use crate::output::Outputs;
use crate::{DstAddr, Event, Reason, Step, Via};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use bytestreams_machine::{
    ConnId, Ids, Input, Instant, Machine, NetCommand, NetInput, Output, Own, Token,
};
use bytestreams_stanza::{
    Bytestreams, BytestreamsContent, Id, Iq, IqBody, Jid, Mode, Payload, Sid, Stanza, StreamHost,
};
use core::time::Duration;
use smallvec::SmallVec;

/// The Requester's side of one bytestream (XEP-0065, sections 5 and 6).
///
/// Sends the StreamHosts, waits for the choice. Where that is this side itself, it takes the
/// connection that arrived first and is still open (the only one, as soon as the Target has closed
/// the others, which may take longer on its way than the choice); where it is a proxy, it connects
/// to it and has it activated.
#[derive(Clone, Debug)]
pub struct Requester {
    own: Own,
    peer: Jid,
    sid: Sid,
    addrs: SmallVec<[DstAddr; 2]>,
    hosts: Vec<StreamHost>,
    base: Token,
    offer: Id,
    activation: Id,
    tell_dstaddr: bool,
    /// Connections that arrived, in that order.
    arrived: SmallVec<[ConnId; 2]>,
    state: State,
    /// The attempts at the proxy, kept for those that are still to be answered.
    dial: Option<Dial>,
    /// The connection that stands, until what came early on it is taken.
    won: Option<ConnId>,
    early: Bytes,
    out: Outputs<Event>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// The offer is still to be polled.
    Unsent(Instant),
    Waiting(Instant),
    /// The Target is connected to us by one of several connections, and may still close others.
    Choosing(Instant),
    /// The Target uses this proxy.
    Connecting(Jid),
    Activating {
        proxy: Jid,
        conn: ConnId,
        due: Instant,
    },
    /// Terminal.
    Over,
}

impl Requester {
    /// How many tokens from the one given are used.
    pub const TOKENS: u64 = 8;
    /// How long the peer has to choose a StreamHost.
    pub const PATIENCE: Duration = Duration::from_secs(30);
    /// How long a proxy has for the activation.
    pub const ACTIVATE_WITHIN: Duration = Duration::from_secs(30);
    /// How long after the offer the proxy that the Target uses is to be reached, so that what
    /// comes in its place begins within 12 s of the offer.
    const PROXY_WITHIN: Duration = Duration::from_secs(11);
    /// How long there is for that at least, when the Target took long itself.
    const PROXY_AT_LEAST: Duration = Duration::from_secs(2);
    /// How long a Target that is connected more than once has to close what it doesn't use.
    const SETTLE_WITHIN: Duration = Duration::from_secs(1);
    /// StreamHosts that are offered at most: one well-known peer reads no more.
    pub const MAX_HOSTS: usize = 5;
    /// Of these, how many are kept for proxies.
    const PROXIES: usize = 2;
    /// Connections that are kept in mind; [`crate::Inbound`] has fewer with one hash.
    const MAX_ARRIVED: usize = 16;

    /// Offers `hosts` to `peer`: those with our own JID first, then the proxies, both in the order
    /// given, no more than five, with a proxy among them where there is one.
    ///
    /// Ids are taken from `ids`; attempts to connect are named `base`, `base` + 1, and so on.
    /// Without a StreamHost nothing is sent, and it fails at once.
    pub fn new(
        own: Own,
        peer: Jid,
        sid: Sid,
        hosts: Vec<StreamHost>,
        ids: &mut Ids,
        base: Token,
        now: Instant,
    ) -> Self {
        let mut requester = Self {
            addrs: DstAddr::spellings(&sid, &own.jid, &peer),
            hosts: arrange(hosts, &own.jid),
            offer: ids.next_id(),
            activation: ids.next_id(),
            tell_dstaddr: false,
            arrived: SmallVec::new(),
            state: State::Unsent(now + Self::PATIENCE),
            dial: None,
            won: None,
            early: Bytes::new(),
            out: Outputs::default(),
            own,
            peer,
            sid,
            base,
        };
        if requester.hosts.is_empty() {
            requester.fail(Reason::NoStreamHosts, now);
        }
        requester
    }

    /// Puts the hash into the offer, for a peer in a room, who knows us by another JID (XEP-0065,
    /// section 7). To be called before the offer is polled.
    pub fn tell_dstaddr(&mut self) {
        self.tell_dstaddr = true;
    }

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
    pub fn arrived(&mut self, conn: ConnId) {
        if self.arrived.len() < Self::MAX_ARRIVED {
            self.arrived.push(conn);
        }
    }

    /// Notes that one that had arrived is gone.
    pub fn gone(&mut self, conn: ConnId) {
        self.arrived.retain(|arrived| *arrived != conn);
        if let (State::Choosing(_), &[last]) = (&self.state, &self.arrived[..]) {
            self.established(last, Via::Direct);
        }
    }

    /// Takes the first octets of the stream: those that came behind the handshake with a proxy, or,
    /// on a direct connection, behind those of [`Inbound::take`](crate::Inbound::take). To be
    /// called once the connection is detached; until then more may come.
    pub fn early(&mut self) -> Bytes {
        self.won = None;
        core::mem::take(&mut self.early)
    }

    /// Gives the stream up: what is open is closed. Ends in [`Event::Failed`], unless it has ended
    /// already.
    pub fn cancel(&mut self, now: Instant) {
        if self.state != State::Over {
            self.fail(Reason::Cancelled, now);
        }
    }

    /// Says whether it can be dropped: it has told its end, and no attempt to connect is
    /// unanswered. Until then it closes connections that come late.
    pub fn is_finished(&self) -> bool {
        self.state == State::Over
            && self.out.is_empty()
            && !self.dial.as_ref().is_some_and(Dial::is_pending)
    }

    fn query(&self) -> Bytestreams {
        let addr = self.addrs.first().filter(|_| self.tell_dstaddr);
        Bytestreams {
            sid: Some(self.sid.clone()),
            mode: Mode::Tcp,
            dstaddr: addr.map(|addr| Arc::from(addr.as_str())),
            content: BytestreamsContent::Hosts(self.hosts.clone()),
        }
    }

    fn answers(&self, iq: &Iq) -> bool {
        let (to, id) = match &self.state {
            State::Waiting(_) => (&self.peer, &self.offer),
            State::Activating { proxy, .. } => (proxy, &self.activation),
            State::Unsent(_) | State::Choosing(_) | State::Connecting(_) | State::Over => {
                return false;
            }
        };
        let named = iq.id == *id || self.is_named_by_sid(iq);
        iq.request().is_none() && named && self.own.answers(Some(to), iq.from.as_ref())
    }

    /// One well-known peer that reaches no StreamHost has the sid where the id of the offer belongs.
    fn is_named_by_sid(&self, iq: &Iq) -> bool {
        matches!(
            (&self.state, &iq.body),
            (State::Waiting(_), IqBody::Error(_))
        ) && iq.id.as_str() == self.sid.as_str()
    }

    fn answered(&mut self, iq: Iq, now: Instant) {
        match (&self.state, iq.body) {
            (State::Waiting(_), IqBody::Result(Some(Payload::Bytestreams(query)))) => {
                match query.content {
                    BytestreamsContent::Used(jid) => self.used(jid, now),
                    BytestreamsContent::Hosts(_) | BytestreamsContent::Activate(_) => {
                        self.fail(Reason::NoChoice, now);
                    }
                }
            }
            (State::Waiting(_), IqBody::Error(error)) => self.fail(Reason::Refused(*error), now),
            (State::Waiting(_), _) => self.fail(Reason::NoChoice, now),
            // Whatever a result carries: it is activated.
            (State::Activating { proxy, conn, .. }, IqBody::Result(_)) => {
                let (conn, via) = (*conn, Via::Proxy(proxy.clone()));
                self.established(conn, via);
            }
            (State::Activating { .. }, IqBody::Error(error)) => {
                self.fail(Reason::NotActivated(*error), now);
            }
            _ => {}
        }
    }

    /// The Target is connected to this StreamHost. Its answer is known by the request's id, so a
    /// sid in it, or none, makes no difference.
    fn used(&mut self, jid: Jid, now: Instant) {
        if !self.hosts.iter().any(|host| host.jid == jid) {
            self.fail(Reason::UnknownHost(jid), now);
        } else if jid != self.own.jid {
            self.connect(jid, now);
        } else if self.arrived.len() > 1 {
            self.state = State::Choosing(now + Self::SETTLE_WITHIN);
        } else {
            self.choose(now);
        }
    }

    /// Takes the connection that arrived first.
    fn choose(&mut self, now: Instant) {
        match self.arrived.first() {
            Some(&conn) => self.established(conn, Via::Direct),
            None => self.fail(Reason::NotConnected, now),
        }
    }

    /// Connects to the proxy, after the Target: one proxy relays only from the second to the first.
    fn connect(&mut self, proxy: Jid, now: Instant) {
        let (Some(&addr), State::Waiting(due)) = (self.addrs.first(), &self.state) else {
            return;
        };
        // The offer went at `due - PATIENCE`.
        let left = (*due + Self::PROXY_WITHIN).since(now + Self::PATIENCE);
        let within = left.clamp(Self::PROXY_AT_LEAST, Dial::WITHIN);
        let mut dial = Dial::until(addr, self.base, Pace::Eager, now, now + within);
        for host in self.hosts.iter().filter(|host| host.jid == proxy) {
            dial.push(host.clone(), true, now);
        }
        dial.advance(now, &mut self.out);
        self.dial = Some(dial);
        self.state = State::Connecting(proxy);
    }

    fn connected(&mut self, won: Won, now: Instant) {
        self.early = won.early;
        // As the Target is known at the proxy: by the hash, which is over this spelling.
        let activate = Payload::Bytestreams(Box::new(Bytestreams {
            sid: Some(self.sid.clone()),
            mode: Mode::Tcp,
            dstaddr: None,
            content: BytestreamsContent::Activate(self.peer.clone()),
        }));
        let to = Some(won.host.clone());
        self.out
            .stanza(Iq::set(to, self.activation.clone(), activate));
        self.state = State::Activating {
            proxy: won.host,
            conn: won.conn,
            due: now + Self::ACTIVATE_WITHIN,
        };
    }

    fn established(&mut self, conn: ConnId, via: Via) {
        self.state = State::Over;
        self.won = Some(conn);
        self.out.net(NetCommand::Detach(conn));
        self.out.event(Event::Established { conn, via });
    }

    fn fail(&mut self, reason: Reason, now: Instant) {
        if let State::Activating { conn, .. } = self.state {
            self.out.net(NetCommand::Close(conn));
        }
        if let Some(dial) = &mut self.dial {
            dial.stop(now, &mut self.out);
        }
        self.early = Bytes::new();
        self.state = State::Over;
        self.out.event(Event::Failed(reason));
    }

    fn net(&mut self, input: NetInput, now: Instant) -> Option<NetInput> {
        match (self.won, &input) {
            // On its way before the driver got to the `Detach`. Of an end the application hears.
            (Some(won), NetInput::Received(conn, octets)) if won == *conn => {
                append(&mut self.early, octets);
                return None;
            }
            (Some(won), NetInput::Closed(conn)) if won == *conn => return None,
            _ => {}
        }
        match (&self.state, &input) {
            (State::Activating { conn, .. }, NetInput::Closed(closed)) if closed == conn => {
                self.lost(now);
                return None;
            }
            (State::Activating { conn, .. }, NetInput::Received(from, octets)) if from == conn => {
                self.received(octets, now);
                return None;
            }
            _ => {}
        }
        let Some(dial) = &mut self.dial else {
            return Some(input);
        };
        let (rest, won) = dial.handle(input, now, &mut self.out);
        match won {
            Some(won) => self.connected(won, now),
            None => self.check(now),
        }
        rest
    }

    /// The proxy closed before it activated.
    fn lost(&mut self, now: Instant) {
        if let State::Activating { proxy, .. } = &self.state {
            let proxy = proxy.clone();
            self.fail(Reason::ProxyClosed(proxy), now);
        }
    }

    /// Octets of the peer, who may speak before we know of the activation.
    fn received(&mut self, octets: &Bytes, now: Instant) {
        if !append(&mut self.early, octets) {
            self.lost(now);
        }
    }

    /// Sees whether the attempts at the proxy have come to an end.
    fn check(&mut self, now: Instant) {
        let State::Connecting(proxy) = &self.state else {
            return;
        };
        if self.dial.as_ref().is_some_and(Dial::is_lost) {
            let proxy = proxy.clone();
            self.fail(Reason::ProxyUnreachable(proxy), now);
        }
    }
}

impl Machine for Requester {
    type Event = Event;

    fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        match input {
            Input::Stanza(Stanza::Iq(iq)) if self.answers(&iq) => {
                self.answered(iq, now);
                None
            }
            Input::Net(input) => self.net(input, now).map(Input::Net),
            other @ Input::Stanza(_) => Some(other),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Unsent(due) | State::Waiting(due) if due <= now => {
                self.fail(Reason::TimedOut(Step::StreamHostUsed), now);
            }
            State::Activating { due, .. } if due <= now => {
                self.fail(Reason::TimedOut(Step::Activate), now);
            }
            State::Choosing(due) if due <= now => self.choose(now),
            State::Connecting(_) => {
                if let Some(dial) = &mut self.dial {
                    dial.advance(now, &mut self.out);
                }
                self.check(now);
            }
            State::Unsent(_)
            | State::Waiting(_)
            | State::Choosing(_)
            | State::Activating { .. }
            | State::Over => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        if let State::Unsent(due) = self.state {
            self.state = State::Waiting(due);
            let offer = Payload::Bytestreams(Box::new(self.query()));
            let iq = Iq::set(Some(self.peer.clone()), self.offer.clone(), offer);
            return Some(Output::Stanza(iq.into()));
        }
        self.out.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Unsent(due)
            | State::Waiting(due)
            | State::Choosing(due)
            | State::Activating { due, .. } => Some(*due),
            State::Connecting(_) => self.dial.as_ref().and_then(Dial::next),
            State::Over => None,
        }
    }
}

/// Own addresses first, then proxies, best first; no address twice; so many that each peer reads
/// all, and a proxy among them.
fn arrange(hosts: Vec<StreamHost>, own: &Jid) -> Vec<StreamHost> {
    let mut direct = Vec::new();
    let mut proxies = Vec::new();
    for host in hosts {
        let list = if host.jid == *own {
            &mut direct
        } else {
            &mut proxies
        };
        if !list.contains(&host) {
            list.push(host);
        }
    }
    let kept = proxies.len().min(Requester::PROXIES);
    direct.truncate(Requester::MAX_HOSTS - kept);
    direct.append(&mut proxies);
    direct.truncate(Requester::MAX_HOSTS);
    direct.shrink_to_fit();
    direct
}

#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;
