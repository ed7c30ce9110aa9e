//! Who is offered a bytestream.

use crate::dial::{Dial, Finding, Pace, Won};
use crate::handshakes::append;
use crate::host::{is_dialable, is_public};
use crate::output::Outputs;
use crate::{DstAddr, Event, FailedHosts, Reason, Via, refusal};
use alloc::boxed::Box;
use bytes::Bytes;
use bytestreams_machine::{
    ConnId, Input, Instant, Machine, NetCommand, NetInput, Output, Own, Token,
};
use bytestreams_stanza::{
    Bytestreams, BytestreamsContent, Id, Iq, IqBody, Jid, Mode, Payload, Sid, Stanza, StanzaError,
    StreamHost,
};
use core::time::Duration;
use smallvec::SmallVec;

/// The Target's side of one bytestream (XEP-0065, sections 5 and 6).
///
/// Tries the StreamHosts of the offer, the next one 250 ms after the one before or as soon as that
/// has failed, and takes the first with which a handshake succeeds; the others are closed. The next
/// one waits for up to 1 s while the Requester itself is in a handshake. Gives up after 9 s.
///
/// **What a stranger learns.** Whoever offers StreamHosts makes us dial them, and could find out
/// about our network by the answer, its time, and the time at which a host of its own is dialled.
/// So the error is the same whatever happened. Where the offer comes from another domain than
/// ours and names anything but public addresses in digits, the attempts start every 250 ms whatever
/// became of the ones before, and a failure is answered 9 s after the offer, neither sooner nor
/// later, whether an address was open, closed, silent or forbidden. Offers from our own domain, and
/// those with public addresses alone, which the stranger could have dialled itself, are answered
/// as soon as nothing is left to try, though not within the first 500 ms, so that an address that
/// is forbidden looks like one that refuses.
#[derive(Clone, Debug)]
pub struct Target {
    peer: Jid,
    sid: Sid,
    /// The request, and repeated ones.
    ids: SmallVec<[Id; 1]>,
    dial: Dial,
    discreet: bool,
    foreign: bool,
    /// When a failure is answered at the earliest.
    not_before: Instant,
    state: State,
    /// The connection that won, until what came early on it is taken.
    won: Option<ConnId>,
    early: Bytes,
    out: Outputs<Event>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Trying,
    /// Established by way of this StreamHost.
    Used(Jid),
    Failed,
    Cancelled,
}

impl Target {
    /// How many tokens from the one given are used.
    pub const TOKENS: u64 = 8;
    /// How long all attempts may take together.
    pub const WITHIN: Duration = Dial::WITHIN;
    /// When a failure is answered at the earliest.
    const ANSWER_AFTER: Duration = Duration::from_millis(500);
    /// Of the StreamHosts that are tried, how many are kept for proxies: one well-known peer names
    /// every address of its machine before them.
    const PROXIES: usize = 2;
    /// Requests with one sid that are answered; more are refused.
    const MAX_REQUESTS: usize = 8;

    /// Takes the offer, which must be wanted: it makes us dial. Attempts to connect are named
    /// `base`, `base` + 1, and so on. What is in `memory` is not tried, nor are addresses that
    /// nobody can dial, nor more than five StreamHosts, proxies among them where there are any.
    ///
    /// # Errors
    /// The error to answer with ([`refusal::of_offer`]).
    pub fn new(
        iq: &Iq,
        own: Own,
        base: Token,
        memory: &FailedHosts,
        now: Instant,
    ) -> Result<Self, StanzaError> {
        let (IqBody::Set(Payload::Bytestreams(query)), Some(from)) = (&iq.body, &iq.from) else {
            return Err(refusal::bad_request());
        };
        if let Some(error) = refusal::of_offer(query) {
            return Err(error);
        }
        let (Some(sid), BytestreamsContent::Hosts(hosts)) = (&query.sid, &query.content) else {
            return Err(refusal::bad_request());
        };
        let foreign = !from.domain().eq_ignore_ascii_case(own.jid.domain());
        let discreet = foreign && !hosts.iter().all(is_public);
        let pace = if discreet { Pace::Even } else { Pace::Eager };
        let told = query.dstaddr.as_deref();
        let addr = told
            .and_then(|addr| DstAddr::parse(addr.as_bytes()))
            .unwrap_or_else(|| DstAddr::new(sid, from, called(iq, &own)));
        let wait = if discreet {
            Dial::WITHIN
        } else {
            Self::ANSWER_AFTER
        };
        let mut target = Self {
            peer: from.clone(),
            sid: sid.clone(),
            ids: SmallVec::from_elem(iq.id.clone(), 1),
            dial: Dial::new(addr, base, pace, now),
            discreet,
            foreign,
            not_before: now + wait,
            state: State::Trying,
            won: None,
            early: Bytes::new(),
            out: Outputs::default(),
        };
        target.add(hosts, memory, now);
        target.advance(now);
        Ok(target)
    }

    /// The other end.
    pub fn peer(&self) -> &Jid {
        &self.peer
    }

    /// The stream's identifier.
    pub fn sid(&self) -> &Sid {
        &self.sid
    }

    /// Takes the octets that came behind the handshake: the first of the stream. To be called once
    /// the connection is detached; until then more may come.
    pub fn early(&mut self) -> Bytes {
        self.won = None;
        core::mem::take(&mut self.early)
    }

    /// Gives the stream up: what is open is closed, and the offer answered not-acceptable. Ends in
    /// [`Event::Failed`], unless it has ended already.
    pub fn cancel(&mut self, now: Instant) {
        if self.state == State::Trying {
            self.fail(State::Cancelled, Reason::Cancelled, now);
        }
    }

    /// Says whether it can be dropped: it has told its end, and no attempt to connect is
    /// unanswered. Until then it closes connections that come late, and answers repeated offers.
    pub fn is_finished(&self) -> bool {
        self.state != State::Trying && self.out.is_empty() && !self.dial.is_pending()
    }

    pub(crate) fn findings(&self) -> impl Iterator<Item = (&StreamHost, Finding)> {
        self.dial.findings()
    }

    fn add(&mut self, hosts: &[StreamHost], memory: &FailedHosts, now: Instant) {
        let peer = self.peer.clone();
        let is_own = |host: &StreamHost| Via::of(&host.jid, &peer) == Via::Direct;
        let is_proxy = |host: &&StreamHost| !is_own(host) && self.is_worth_a_try(host);
        let proxies = hosts.iter().filter(is_proxy).count();
        let mut own = Dial::MAX - proxies.min(Self::PROXIES);
        for host in hosts {
            if !self.is_worth_a_try(host) {
                continue;
            }
            if is_own(host) {
                let Some(left) = own.checked_sub(1) else {
                    continue;
                };
                own = left;
            }
            let attempt = !memory.avoids(host, now);
            self.dial.push(host.clone(), attempt, now);
        }
    }

    fn is_worth_a_try(&self, host: &StreamHost) -> bool {
        let is_new = !self.dial.hosts().any(|known| known == host);
        let hidden = self.foreign && !self.discreet && !is_public(host);
        is_new && !hidden && is_dialable(host)
    }

    fn advance(&mut self, now: Instant) {
        if self.state != State::Trying {
            return;
        }
        self.dial.advance(now, &mut self.out);
        if self.dial.is_lost() && self.not_before <= now {
            self.fail(State::Failed, Reason::Unreachable, now);
        }
    }

    fn won(&mut self, won: Won) {
        self.early = won.early;
        self.won = Some(won.conn);
        let via = Via::of(&won.host, &self.peer);
        self.state = State::Used(won.host);
        self.answer_all();
        self.out.net(NetCommand::Detach(won.conn));
        let conn = won.conn;
        self.out.event(Event::Established { conn, via });
    }

    fn fail(&mut self, state: State, reason: Reason, now: Instant) {
        self.dial.stop(now, &mut self.out);
        self.state = state;
        self.answer_all();
        self.out.event(Event::Failed(reason));
    }

    fn answer_all(&mut self) {
        for id in self.ids.clone() {
            self.answer(id);
        }
    }

    fn answer(&mut self, id: Id) {
        let body = match &self.state {
            State::Used(host) => {
                IqBody::Result(Some(Payload::Bytestreams(Box::new(Bytestreams {
                    sid: Some(self.sid.clone()),
                    mode: Mode::Tcp,
                    dstaddr: None,
                    content: BytestreamsContent::Used(host.clone()),
                }))))
            }
            State::Failed => IqBody::Error(Box::new(refusal::not_found())),
            State::Trying | State::Cancelled => IqBody::Error(Box::new(refusal::not_acceptable())),
        };
        let iq = Iq::answer(Some(self.peer.clone()), id, body);
        self.out.stanza(iq);
    }

    fn is_repeated(&self, iq: &Iq) -> bool {
        matches!(&iq.body, IqBody::Set(Payload::Bytestreams(query))
            if query.sid.as_ref() == Some(&self.sid))
            && iq.from.as_ref() == Some(&self.peer)
    }

    /// Another offer of the same stream: one well-known peer sends one for each proxy that it
    /// knows. Each is answered, and StreamHosts that are new are tried too.
    fn repeated(&mut self, iq: &Iq, now: Instant) {
        let IqBody::Set(Payload::Bytestreams(query)) = &iq.body else {
            return;
        };
        if let Some(error) = refusal::of_offer(query) {
            self.out.stanza(iq.error(error));
        } else if self.state != State::Trying {
            self.answer(iq.id.clone());
        } else if self.ids.contains(&iq.id) {
            // Repeated by a link that was resumed: the answer is still to come.
        } else if self.ids.len() >= Self::MAX_REQUESTS {
            self.answer(iq.id.clone());
        } else if let BytestreamsContent::Hosts(hosts) = &query.content {
            self.ids.push(iq.id.clone());
            if !self.dial.is_lost() {
                self.add(hosts, &FailedHosts::default(), now);
            }
            self.advance(now);
        }
    }
}

impl Machine for Target {
    type Event = Event;

    fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        match input {
            Input::Stanza(Stanza::Iq(iq)) if self.is_repeated(&iq) => {
                self.repeated(&iq, now);
                None
            }
            // On its way before the driver got to the `Detach`. Of an end the application hears.
            Input::Net(NetInput::Received(conn, octets)) if self.won == Some(conn) => {
                append(&mut self.early, &octets);
                None
            }
            Input::Net(NetInput::Closed(conn)) if self.won == Some(conn) => None,
            Input::Net(net) => {
                let (rest, won) = self.dial.handle(net, now, &mut self.out);
                match won {
                    Some(won) => self.won(won),
                    None => self.advance(now),
                }
                rest.map(Input::Net)
            }
            other @ Input::Stanza(_) => Some(other),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        self.out.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.state != State::Trying {
            None
        } else if self.dial.is_lost() {
            Some(self.not_before)
        } else {
            self.dial.next()
        }
    }
}

/// The JID by which the offer calls us: our own as we spell it, unless it is another one.
fn called<'a>(iq: &'a Iq, own: &'a Own) -> &'a Jid {
    iq.to
        .as_ref()
        .filter(|to| **to != own.jid)
        .unwrap_or(&own.jid)
}

// A folder `target` is taken for build output by many tools.
#[cfg(test)]
#[path = "target_tests/table.rs"]
mod table;
#[cfg(test)]
#[path = "target_tests/tests.rs"]
mod tests;
