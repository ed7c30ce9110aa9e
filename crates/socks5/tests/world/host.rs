//! The machines of one end: a Requester or a Target, and what is around them.

use bytes::Bytes;
use bytestreams_machine::{
    ConnId, Ids, Input, Instant, ListenId, Machine, NetInput, Output, Own, Responder, Token,
};
use bytestreams_socks5::{
    Event, FailedHosts, Inbound, InboundEvent, Reason, Requester, Target, Via, refusal,
};
use bytestreams_stanza::{Identity, Iq, IqBody, Jid, Payload, Sid, Stanza, StreamHost};
use core::net::SocketAddr;
use std::collections::VecDeque;

pub(crate) const LISTEN: ListenId = ListenId(1);

/// What became of the stream.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// To be followed by [`Host::early`].
    Established {
        conn: ConnId,
        via: Via,
    },
    Failed(Reason),
}

/// One end. It acts at once on what its inner machines tell each other, however slowly its driver
/// drains.
pub(crate) struct Host {
    own: Own,
    pub(crate) inbound: Inbound,
    pub(crate) requester: Option<Requester>,
    pub(crate) target: Option<Target>,
    /// Who may offer a stream, once.
    takes: Option<Jid>,
    memory: FailedHosts,
    responder: Responder,
    /// Where it listens.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The way that was established, known before the driver drains it.
    pub(crate) via: Option<Via>,
    /// Connections that arrived with the hash.
    pub(crate) arrivals: u32,
    /// What came early on a direct connection.
    taken: Bytes,
    out: VecDeque<Output<Told>>,
}

impl Host {
    pub(crate) fn new(jid: Jid, takes: Option<Jid>) -> Self {
        let identity = Identity {
            category: "client".into(),
            kind: "bot".into(),
            name: None,
        };
        Self {
            own: Own { jid },
            inbound: Inbound::default(),
            requester: None,
            target: None,
            takes,
            memory: FailedHosts::default(),
            responder: Responder::new("urn:test", identity, &[]),
            addresses: Vec::new(),
            via: None,
            arrivals: 0,
            taken: Bytes::new(),
            out: VecDeque::new(),
        }
    }

    /// Its own StreamHosts.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = StreamHost> {
        let jid = self.own.jid.clone();
        self.addresses.iter().map(move |at| StreamHost {
            jid: jid.clone(),
            host: at.ip().to_string().as_str().into(),
            port: at.port(),
        })
    }

    pub(crate) fn offer(&mut self, peer: Jid, sid: Sid, hosts: Vec<StreamHost>, now: Instant) {
        let mut ids = Ids::new("requester");
        let own = self.own.clone();
        let base = Token(16);
        let requester = Requester::new(own, peer, sid, hosts, &mut ids, base, now);
        for addr in requester.addrs() {
            self.inbound.expect(*addr);
        }
        self.requester = Some(requester);
        self.pump();
    }

    /// The first octets of the stream.
    pub(crate) fn early(&mut self) -> Bytes {
        let requester = self.requester.as_mut().map(Requester::early);
        let target = self.target.as_mut().map(Target::early);
        let rest = requester.or(target).unwrap_or_default();
        [&self.taken[..], &rest].concat().into()
    }

    pub(crate) fn cancel(&mut self, now: Instant) {
        if let Some(requester) = &mut self.requester {
            requester.cancel(now);
        }
        if let Some(target) = &mut self.target {
            target.cancel(now);
        }
        self.pump();
    }

    /// Says whether nothing is left that it waits for.
    pub(crate) fn is_finished(&self) -> bool {
        let requester = self.requester.as_ref().is_none_or(Requester::is_finished);
        let target = self.target.as_ref().is_none_or(Target::is_finished);
        requester && target && self.poll_timeout().is_none() && self.out.is_empty()
    }

    fn asked(&mut self, input: Input, now: Instant) -> Option<Input> {
        let Input::Stanza(Stanza::Iq(iq)) = &input else {
            return Some(input);
        };
        let IqBody::Set(Payload::Bytestreams(_)) = &iq.body else {
            return Some(input);
        };
        if iq.from.is_none() || iq.from != self.takes {
            return self.refuse(iq, refusal::not_acceptable());
        }
        match Target::new(iq, self.own.clone(), Token(32), &self.memory, now) {
            Ok(target) => {
                self.takes = None;
                self.target = Some(target);
            }
            Err(error) => return self.refuse(iq, error),
        }
        None
    }

    fn refuse(&mut self, iq: &Iq, error: bytestreams_stanza::StanzaError) -> Option<Input> {
        self.out.push_back(Output::Stanza(iq.error(error).into()));
        None
    }

    fn pump(&mut self) {
        loop {
            if let Some(output) = self.requester.as_mut().and_then(Machine::poll_output) {
                let output = output.map_event(|event| self.requested(event));
                self.push(output);
            } else if let Some(output) = self.target.as_mut().and_then(Machine::poll_output) {
                let output = output.map_event(|event| match event {
                    Event::Established { conn, via } => Told::Established { conn, via },
                    Event::Failed(reason) => Told::Failed(reason),
                    other => panic!("{other:?}"),
                });
                self.push(output);
            } else if let Some(output) = self.inbound.poll_output() {
                match output {
                    Output::Stanza(stanza) => self.out.push_back(Output::Stanza(stanza)),
                    Output::Net(command) => self.out.push_back(Output::Net(command)),
                    Output::Event(event) => self.arrived(event),
                }
            } else if let Some(output) = self.responder.poll_output() {
                self.out.push_back(output.map_event(|never| match never {}));
            } else {
                return;
            }
        }
    }

    fn push(&mut self, output: Output<Told>) {
        if let Output::Event(Told::Established { via, .. }) = &output {
            self.via = Some(via.clone());
        }
        self.out.push_back(output);
    }

    fn requested(&mut self, event: Event) -> Told {
        let requester = self.requester.as_mut().expect("it has told something");
        let told = match event {
            Event::Established { conn, via } => {
                if via == Via::Direct {
                    self.taken = self.inbound.take(conn);
                }
                Told::Established { conn, via }
            }
            Event::Failed(reason) => Told::Failed(reason),
            other => panic!("{other:?}"),
        };
        for addr in requester.addrs() {
            self.inbound.forget(*addr);
        }
        told
    }

    fn arrived(&mut self, event: InboundEvent) {
        let requester = self.requester.as_mut().expect("it expects the hash");
        match event {
            InboundEvent::Arrived { conn, .. } => {
                self.arrivals += 1;
                requester.arrived(conn);
            }
            InboundEvent::Gone { conn, .. } => requester.gone(conn),
            other => panic!("{other:?}"),
        }
    }

    fn take(&mut self, input: Input, now: Instant) -> Option<Input> {
        if let Input::Net(NetInput::Listening(LISTEN, at)) = input {
            self.addresses.push(at);
            return None;
        }
        let input = self.inbound.handle_input(input, now)?;
        let input = match &mut self.requester {
            Some(requester) => requester.handle_input(input, now)?,
            None => input,
        };
        let input = match &mut self.target {
            Some(target) => target.handle_input(input, now)?,
            None => input,
        };
        let input = self.asked(input, now)?;
        self.responder.handle_input(input, now)
    }
}

impl Machine for Host {
    type Event = Told;

    fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        let rest = self.take(input, now);
        self.pump();
        rest
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.inbound.handle_timeout(now);
        if let Some(requester) = &mut self.requester {
            requester.handle_timeout(now);
        }
        if let Some(target) = &mut self.target {
            target.handle_timeout(now);
        }
        self.pump();
    }

    fn poll_output(&mut self) -> Option<Output<Told>> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let requester = self.requester.as_ref().and_then(Machine::poll_timeout);
        let target = self.target.as_ref().and_then(Machine::poll_timeout);
        let all = [requester, target, self.inbound.poll_timeout()];
        all.into_iter().flatten().min()
    }
}
