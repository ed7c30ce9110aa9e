//! The machines of one end of a stream.

use crate::common::initiator;
use bytestreams_ibb::{Config, Event, Session, Strays, refusal};
use bytestreams_machine::{Ids, Input, Instant, Machine, Output, Responder};
use bytestreams_stanza::{Identity, IqBody, Payload, Stanza};

/// The machines of one end: one stream, what is behind it, and the last in line.
pub(crate) struct Host {
    pub(crate) session: Option<Session>,
    /// The stream that it takes, once.
    pub(crate) takes: Option<Config>,
    pub(crate) strays: Strays,
    pub(crate) responder: Responder,
    pub(crate) refused: Vec<Stanza>,
}

impl Host {
    pub(crate) fn new(session: Option<Session>, takes: Option<Config>) -> Self {
        let identity = Identity {
            category: "client".into(),
            kind: "bot".into(),
            name: None,
        };
        Self {
            session,
            takes,
            strays: Strays::new(),
            responder: Responder::new("urn:test", identity, &[]),
            refused: Vec::new(),
        }
    }

    pub(crate) fn open(&mut self, input: Input, now: Instant) -> Option<Input> {
        let Input::Stanza(Stanza::Iq(iq)) = &input else {
            return Some(input);
        };
        let IqBody::Set(Payload::Open(open)) = &iq.body else {
            return Some(input);
        };
        let takes = self.takes.filter(|_| iq.from == Some(initiator()));
        let Some(config) = takes else {
            self.refused
                .push(iq.error(refusal::not_acceptable()).into());
            return None;
        };
        if let Some(error) = refusal::of_open(open, &config) {
            self.refused.push(iq.error(error).into());
            return None;
        }
        self.takes = None;
        let ids = Ids::new("juliet00");
        self.session = Some(Session::accept(initiator(), iq, open, config, ids, now));
        None
    }

    /// Drops a stream that is over.
    pub(crate) fn end(&mut self, now: Instant) {
        if let Some(session) = self.session.take() {
            self.strays.remember_session(&session, 0, now);
        }
    }
}

impl Machine for Host {
    type Event = Event;

    fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        let input = match &mut self.session {
            Some(session) => session.handle_input(input, now)?,
            None => input,
        };
        let input = self.open(input, now)?;
        let input = self.strays.handle_input(input, now)?;
        self.responder.handle_input(input, now)
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(session) = &mut self.session {
            session.handle_timeout(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        if let Some(stanza) = self.refused.pop() {
            return Some(Output::Stanza(stanza));
        }
        if let Some(output) = self.session.as_mut().and_then(Machine::poll_output) {
            return Some(output);
        }
        let strays = self.strays.poll_output();
        let rest = strays.or_else(|| self.responder.poll_output());
        rest.map(|output| output.map_event(|never| match never {}))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.session.as_ref()?.poll_timeout()
    }
}
