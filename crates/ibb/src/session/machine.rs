//! The session as a machine.

use super::{Phase, Session};
use crate::outgoing::Sent;
use crate::output::Out;
use crate::{Event, Reason, Step};
use bytestreams_machine::{Input, Instant, Machine, Output};
use bytestreams_stanza::{Carrier, Data, Iq, IqBody, Message, Payload, Stanza};

impl Machine for Session {
    type Event = Event;

    fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        match input {
            Input::Stanza(stanza) => self.stanza(stanza, now).map(Input::Stanza),
            Input::Net(_) => Some(input),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.phase.is_over() {
            return;
        }
        self.release(now);
        self.phase_timeout(now);
        if self.phase.is_over() {
            return;
        }
        if let Phase::Open { quiet, .. } = &mut self.phase {
            quiet.take_if(|until| *until <= now);
        }
        let outputs = &mut self.outputs;
        if self.outgoing.handle_timeout(&mut self.ids, now, outputs) {
            let unacknowledged = self.outgoing.unacknowledged();
            return self.fail(Reason::TimedOut {
                step: Step::Data,
                unacknowledged,
            });
        }
        self.silence_timeout(now);
        self.advance(now);
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        loop {
            let stanza = match self.outputs.pop()? {
                Out::Event(told) => return Some(Output::Event(told.into())),
                Out::Stanza(stanza) | Out::Reply(stanza) => *stanza,
                Out::Answer => match self.incoming.answer() {
                    Some(id) => {
                        let to = Some(self.peer.clone());
                        Iq::answer(to, id, IqBody::Result(None)).into()
                    }
                    None => continue,
                },
                Out::Block => match self.outgoing.send_block() {
                    Some(sent) => self.carry(sent),
                    None => continue,
                },
                Out::Ping => {
                    let sent = self.outgoing.send_ping(&mut self.ids);
                    self.carry(sent)
                }
            };
            return Some(Output::Stanza(stanza));
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.phase.is_over() {
            return None;
        }
        let quiet = match &self.phase {
            Phase::Open { quiet, .. } if self.wants_write || self.finished => *quiet,
            Phase::Opening { .. }
            | Phase::Open { .. }
            | Phase::Closing(_)
            | Phase::PeerClosing(_)
            | Phase::Crossing(..)
            | Phase::Refusing { .. }
            | Phase::Over => None,
        };
        [
            self.phase.due(),
            quiet,
            self.incoming.next(),
            self.outgoing.next(),
            self.silence_due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

impl Session {
    /// Makes the stanza of a block or ping.
    fn carry(&self, sent: Sent) -> Stanza {
        let to = Some(self.peer.clone());
        let (id, seq, octets) = match sent {
            Sent::Block { id, seq, octets } => (id, seq, octets),
            Sent::Ping { id } => return Iq::get(to, id, Payload::Ping).into(),
        };
        let data = Payload::Data(Data {
            sid: self.sid.clone(),
            seq,
            octets,
        });
        match self.config.carrier {
            Carrier::Iq => Iq::set(to, id, data).into(),
            Carrier::Message => Message {
                from: None,
                to,
                id: Some(id),
                payload: Some(data),
                error: None,
            }
            .into(),
        }
    }
}
