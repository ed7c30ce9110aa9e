//! What the peer sends.

use super::{Phase, Session};
use crate::incoming::Verdict;
use crate::outgoing::Answered;
use crate::{Event, Reason, refusal};
use alloc::boxed::Box;
use bytestreams_machine::Instant;
use bytestreams_stanza::{
    Carrier, Data, Fault, Id, Invalid, Iq, IqBody, Message, Payload, Stanza, StanzaError, ns,
};

/// What a block came in, for its answer.
#[derive(Clone, Debug)]
enum Via {
    Iq(Id),
    Message(Option<Id>),
}

impl Via {
    fn id(&self) -> Option<&Id> {
        match self {
            Self::Iq(id) => Some(id),
            Self::Message(id) => id.as_ref(),
        }
    }
}

impl Session {
    /// Takes a stanza, or hands back what is not of this stream.
    pub(super) fn stanza(&mut self, stanza: Stanza, now: Instant) -> Option<Stanza> {
        if stanza.from() != Some(&self.peer) || self.phase.is_over() {
            return Some(stanza);
        }
        match stanza {
            Stanza::Iq(iq) => self.iq(iq, now).map(Stanza::Iq),
            Stanza::Message(message) => self.message(message, now).map(Stanza::Message),
            Stanza::Presence(_) => Some(stanza),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever else there is belongs to somebody else"
    )]
    #[inline(never)]
    fn iq(&mut self, iq: Iq, now: Instant) -> Option<Iq> {
        let Iq { from, to, id, body } = iq;
        let body = match body {
            IqBody::Result(payload) => {
                if self.answer(&id, None, now) {
                    self.learn(from);
                    return None;
                }
                IqBody::Result(payload)
            }
            IqBody::Error(error) => {
                if self.answer(&id, Some(&error), now) {
                    return None;
                }
                IqBody::Error(error)
            }
            IqBody::Set(Payload::Data(data)) if data.sid == self.sid => {
                self.data(Via::Iq(id), data, now);
                return None;
            }
            IqBody::Set(Payload::Close(close)) if close.sid == self.sid => {
                self.peer_closes(id, now);
                return None;
            }
            IqBody::Set(Payload::Open(open)) if open.sid == self.sid => {
                self.opened_twice(id);
                return None;
            }
            IqBody::Set(Payload::Invalid(invalid)) if self.is_our_data(&invalid) => {
                self.bad_data(&Via::Iq(id), invalid.fault);
                return None;
            }
            other => other,
        };
        Some(Iq { from, to, id, body })
    }

    fn message(&mut self, message: Message, now: Instant) -> Option<Message> {
        if let Some(error) = &message.error {
            let ours = message
                .id
                .as_ref()
                .is_some_and(|id| self.bounced(id, error, now));
            return (!ours).then_some(message);
        }
        match &message.payload {
            Some(Payload::Data(data)) if data.sid == self.sid => {
                self.data(Via::Message(message.id), data.clone(), now);
                None
            }
            Some(Payload::Invalid(invalid)) if self.is_our_data(invalid) => {
                let fault = invalid.fault;
                self.bad_data(&Via::Message(message.id), fault);
                None
            }
            _ => Some(message),
        }
    }

    fn is_our_data(&self, invalid: &Invalid) -> bool {
        invalid.sid.as_ref() == Some(&self.sid)
            && &*invalid.ns == ns::IBB
            && &*invalid.name == "data"
    }

    /// Takes the answer to a request of ours, if it is one.
    fn answer(&mut self, id: &Id, error: Option<&StanzaError>, now: Instant) -> bool {
        match &self.phase {
            Phase::Opening { request, .. } if **request == *id => self.open_answered(error, now),
            Phase::Closing(ours) | Phase::Crossing(ours, _) if *ours.request == *id => {
                self.close_answered(error);
            }
            Phase::Opening { .. }
            | Phase::Open { .. }
            | Phase::Closing(_)
            | Phase::PeerClosing(_)
            | Phase::Crossing(..)
            | Phase::Refusing { .. }
            | Phase::Over => {
                return self.block_answered(id, error, false, now)
                    || self.silence_answered(id, error, now);
            }
        }
        true
    }

    /// Takes the peer's JID as its link stamps it.
    fn learn(&mut self, from: Option<bytestreams_stanza::Jid>) {
        if let Some(from) = from {
            self.peer = from;
        }
    }

    fn block_answered(
        &mut self,
        id: &Id,
        error: Option<&StanzaError>,
        bounced: bool,
        now: Instant,
    ) -> bool {
        let before = self.outgoing.acknowledged();
        let pipelined = self.outgoing.pipelined();
        let outputs = &mut self.outputs;
        match self.outgoing.answered(id, error, bounced, now, outputs) {
            Answered::Not => return false,
            Answered::GoesOn => {
                self.silence.active(now);
                let octets = self.outgoing.acknowledged();
                if octets > before {
                    self.outputs.event(Event::Acknowledged { octets });
                    self.put_off_close(now);
                }
                self.advance(now);
            }
            // It closed before it took this one.
            Answered::Refused(error)
                if self.phase.is_peer_closing()
                    && error.condition == refusal::unknown().condition =>
            {
                let reason = self.closed_early();
                self.fail(reason);
            }
            Answered::Refused(error) => self.fail(Reason::DataRefused { error, pipelined }),
        }
        true
    }

    /// Takes a message of ours that came back.
    fn bounced(&mut self, id: &Id, error: &StanzaError, now: Instant) -> bool {
        if self.block_answered(id, Some(error), true, now) {
            return true;
        }
        // Every message of ours carried a block. One that we held for delivered, because a server
        // answered the ping behind it, was not.
        let ours = self.config.carrier == Carrier::Message && self.ids.made(id);
        if ours {
            self.fail(Reason::DataRefused {
                error: error.clone(),
                pipelined: self.outgoing.pipelined(),
            });
        }
        ours
    }

    /// Takes a block (XEP-0047, 2.2).
    fn data(&mut self, via: Via, data: Data, now: Instant) {
        if let Phase::Refusing { error, .. } = &self.phase {
            let error = (**error).clone();
            return self.refuse_block(&via, error, Reason::Aborted);
        }
        if !self.phase.hears() {
            let verdict = self.incoming.repeated(data.seq, via.id());
            return self.repeated(&via, &verdict);
        }
        let (seq, octets) = (data.seq, data.octets.len());
        let block_size = self.config.block_size;
        let verdict = self.incoming.take(
            data,
            match &via {
                Via::Iq(id) => Some(id),
                Via::Message(_) => None,
            },
            via.id(),
            block_size,
            self.config.receive_buffer,
            now,
        );
        match verdict {
            Verdict::Taken => self.taken(now),
            Verdict::Repeated | Verdict::AnsweredBefore => self.repeated(&via, &verdict),
            Verdict::OutOfSequence { expected } => {
                let reason = Reason::OutOfSequence { expected, got: seq };
                self.refuse_block(&via, refusal::out_of_sequence(), reason);
            }
            Verdict::TooLarge => {
                let reason = Reason::BlockTooLarge { octets, block_size };
                self.refuse_block(&via, refusal::bad_request(), reason);
            }
            Verdict::Overrun => self.refuse_block(&via, refusal::overrun(), Reason::Overrun),
        }
    }

    fn taken(&mut self, now: Instant) {
        self.silence.active(now);
        match &mut self.phase {
            Phase::Open { quiet, .. } => *quiet = None,
            Phase::Closing(ours) => ours.due = now + Self::CLOSE_WITHIN,
            Phase::Opening { .. }
            | Phase::PeerClosing(_)
            | Phase::Crossing(..)
            | Phase::Refusing { .. }
            | Phase::Over => {}
        }
        if self.incoming.tells_readable() {
            self.outputs.event(Event::Readable);
        }
        self.release(now);
        self.advance(now);
    }

    /// Answers a block that is not taken, because it came before or has no place here.
    fn repeated(&mut self, via: &Via, verdict: &Verdict) {
        match verdict {
            Verdict::Repeated => {}
            Verdict::AnsweredBefore => {
                if let Via::Iq(id) = via {
                    self.outputs.reply(Iq::answer(
                        Some(self.peer.clone()),
                        id.clone(),
                        IqBody::Result(None),
                    ));
                }
            }
            Verdict::Taken
            | Verdict::OutOfSequence { .. }
            | Verdict::TooLarge
            | Verdict::Overrun => {
                let answer = self.refusal(via, refusal::unknown());
                self.outputs.reply(answer);
            }
        }
    }

    fn bad_data(&mut self, via: &Via, fault: Fault) {
        if self.phase.hears() {
            self.refuse_block(via, refusal::bad_request(), Reason::BadData(fault));
        } else {
            let answer = self.refusal(via, refusal::unknown());
            self.outputs.reply(answer);
        }
    }

    /// Answers a block with an error behind all answers that are owed, and closes.
    fn refuse_block(&mut self, via: &Via, error: StanzaError, reason: Reason) {
        self.release_all();
        let answer = self.refusal(via, error);
        self.outputs
            .push(crate::output::Out::Stanza(Box::new(answer)));
        self.fail(reason);
    }

    fn refusal(&self, via: &Via, error: StanzaError) -> Stanza {
        let to = Some(self.peer.clone());
        match via {
            Via::Iq(id) => Iq::answer(to, id.clone(), IqBody::Error(Box::new(error))).into(),
            Via::Message(id) => Message {
                from: None,
                to,
                id: id.clone(),
                payload: None,
                error: Some(Box::new(error)),
            }
            .into(),
        }
    }

    /// Answers an `<open/>` of this very stream: the one that we answered is answered again, any
    /// other is refused.
    fn opened_twice(&mut self, id: Id) {
        let again =
            matches!(&self.phase, Phase::Open { accepted: Some(first), .. } if **first == id);
        let body = if again {
            IqBody::Result(None)
        } else {
            IqBody::Error(Box::new(refusal::not_acceptable()))
        };
        self.outputs
            .reply(Iq::answer(Some(self.peer.clone()), id, body));
    }
}
