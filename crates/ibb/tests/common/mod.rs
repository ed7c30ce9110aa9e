//! What the tests over the simulated world share.
#![allow(dead_code, reason = "each test uses its part")]

use bytestreams_ibb::{Config, Event, Session, Strays, refusal};
use bytestreams_machine::{Ids, Input, Instant, Machine, Output};
use bytestreams_stanza::{IqBody, Jid, Payload, Sid, Stanza};

/// An address.
pub(crate) fn jid(text: &str) -> Jid {
    Jid::new(text).expect("an address")
}

/// The initiator's address.
pub(crate) fn initiator() -> Jid {
    jid("romeo@montague.example/orchard")
}

/// The responder's address.
pub(crate) fn responder() -> Jid {
    jid("juliet@capulet.example/balcony")
}

/// What an application with one stream keeps on a link: the session, once there is one, and what
/// answers the rest.
pub(crate) struct End {
    /// The stream.
    pub(crate) session: Option<Session>,
    strays: Strays,
    config: Config,
}

impl End {
    /// Asks for a stream.
    pub(crate) fn opening(config: Config) -> Self {
        let sid = Sid::new("s1").expect("a sid");
        let ids = Ids::new("romeo");
        let session = Session::open(responder(), sid, config, ids, Instant::ZERO);
        Self {
            session: Some(session),
            ..Self::waiting(config)
        }
    }

    /// Takes the first stream that is asked for.
    pub(crate) fn waiting(config: Config) -> Self {
        Self {
            session: None,
            strays: Strays::new(),
            config,
        }
    }

    fn accept(&mut self, input: Input, now: Instant) -> Option<Input> {
        if let (None, Input::Stanza(Stanza::Iq(iq))) = (&self.session, &input)
            && let IqBody::Set(Payload::Open(open)) = &iq.body
            && iq.from == Some(initiator())
            && refusal::of_open(open, &self.config).is_none()
        {
            let ids = Ids::new("juliet");
            let session = Session::accept(initiator(), iq, open, self.config, ids, now);
            self.session = Some(session);
            return None;
        }
        Some(input)
    }
}

impl Machine for End {
    type Event = Event;

    fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        let input = match &mut self.session {
            Some(session) => session.handle_input(input, now)?,
            None => input,
        };
        let input = self.accept(input, now)?;
        self.strays.handle_input(input, now)
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(session) = &mut self.session {
            session.handle_timeout(now);
        }
        self.strays.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        if let Some(output) = self.session.as_mut().and_then(Machine::poll_output) {
            return Some(output);
        }
        self.strays
            .poll_output()
            .map(|output| output.map_event(|never| match never {}))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let session = self.session.as_ref().and_then(Machine::poll_timeout);
        [session, self.strays.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }
}
