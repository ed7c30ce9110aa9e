//! All the ways of closing (XEP-0047, 2.3).

use super::{OurClose, PeerClose, Phase, Session};
use crate::{Event, Reason, Step, refusal};
use alloc::boxed::Box;
use bytestreams_machine::Instant;
use bytestreams_stanza::{Close, Id, Iq, IqBody, Payload, StanzaError};
use core::mem;
use core::time::Duration;

impl Session {
    /// Carries out what became possible: told the application that it can write, close, confirm.
    pub(super) fn advance(&mut self, now: Instant) {
        let idle = self.outgoing.is_empty();
        match mem::replace(&mut self.phase, Phase::Over) {
            phase @ Phase::Open { .. } if self.finished && idle && phase.may_speak(now) => {
                let request = Box::new(self.send_close());
                self.phase = Phase::Closing(OurClose {
                    request,
                    due: now + self.close_within(),
                });
            }
            Phase::PeerClosing(theirs) if self.confirmed && idle => {
                self.answer_close(*theirs.request);
                self.end(Event::Closed);
            }
            Phase::Crossing(_, theirs) if self.confirmed => {
                self.answer_close(*theirs.request);
                self.end(Event::Closed);
            }
            phase @ (Phase::Opening { .. }
            | Phase::Open { .. }
            | Phase::Closing(_)
            | Phase::PeerClosing(_)
            | Phase::Crossing(..)
            | Phase::Refusing { .. }
            | Phase::Over) => self.phase = phase,
        }
        let writable =
            self.wants_write && !self.finished && self.may_write(self.chunk(), now).is_ok();
        if writable {
            self.wants_write = false;
            self.outputs.event(Event::Writable);
        }
    }

    /// Says how long the answer to our `<close/>` is waited for: as long as we would take ourselves,
    /// and eight times the slowest round trip.
    fn close_within(&self) -> Duration {
        let Some(slowest) = self.outgoing.slowest() else {
            return Self::CLOSE_WITHIN;
        };
        let there_and_back = (slowest * 8).max(Duration::from_secs(1));
        (Self::CONFIRM_WITHIN + there_and_back).min(Self::CLOSE_WITHIN)
    }

    fn send_close(&mut self) -> Id {
        let id = self.ids.next_id();
        let close = Payload::Close(Close {
            sid: self.sid.clone(),
        });
        self.outputs
            .stanza(Iq::set(Some(self.peer.clone()), id.clone(), close));
        id
    }

    /// Answers the peer's `<close/>`, behind every answer that is owed.
    fn answer_close(&mut self, request: Id) {
        self.release_all();
        self.outputs.stanza(Iq::answer(
            Some(self.peer.clone()),
            request,
            IqBody::Result(None),
        ));
    }

    /// Ends the stream: nothing follows `event`.
    fn end(&mut self, event: Event) {
        self.phase = Phase::Over;
        self.release_all();
        self.outputs.stop_sending();
        self.outgoing.clear();
        self.outputs.event(event);
    }

    /// Ends the stream because something is wrong, closing what is open.
    pub(super) fn fail(&mut self, reason: Reason) {
        match mem::replace(&mut self.phase, Phase::Over) {
            Phase::Opening { .. } | Phase::Open { .. } | Phase::Refusing { .. } => {
                self.outputs.stop_sending();
                self.send_close();
                self.refuse_owed(&refusal::unknown());
            }
            Phase::PeerClosing(theirs) | Phase::Crossing(_, theirs) => {
                self.outputs.stop_sending();
                self.refuse_owed(&refusal::unknown());
                self.answer_close(*theirs.request);
            }
            Phase::Closing(_) => self.refuse_owed(&refusal::unknown()),
            Phase::Over => return,
        }
        self.failed = true;
        self.end(Event::Failed(reason));
    }

    /// Ends the stream as the application wants it.
    pub(super) fn cancel(&mut self, _now: Instant) {
        match &mut self.phase {
            // A `<close/>` now could come before the peer's own decision, and then be lost on it.
            Phase::Opening { aborted, .. } => *aborted = true,
            Phase::Open { .. }
            | Phase::Closing(_)
            | Phase::PeerClosing(_)
            | Phase::Crossing(..)
            | Phase::Refusing { .. }
            | Phase::Over => self.fail(Reason::Aborted),
        }
    }

    /// Ends the stream because the application does not take what came.
    pub(super) fn turn_away(&mut self, error: StanzaError, now: Instant) {
        match mem::replace(&mut self.phase, Phase::Over) {
            // The peer does not wait for anything by which it could be told: its next word is
            // answered.
            Phase::Open { .. } if !self.incoming.owes() => {
                self.outputs.stop_sending();
                self.outgoing.clear();
                self.phase = Phase::Refusing {
                    error: Box::new(error),
                    due: now + Self::DELIVER_WITHIN,
                };
            }
            Phase::PeerClosing(theirs) | Phase::Crossing(_, theirs) => {
                self.refuse_owed(&error);
                self.refuse_close(*theirs.request, error);
                self.end(Event::Failed(Reason::Aborted));
            }
            phase @ (Phase::Open { .. } | Phase::Closing(_)) => {
                self.refuse_owed(&error);
                self.phase = phase;
                self.fail(Reason::Aborted);
            }
            phase @ (Phase::Opening { .. } | Phase::Refusing { .. } | Phase::Over) => {
                self.phase = phase;
                self.cancel(now);
            }
        }
    }

    /// Answers with an error the blocks that are not stored.
    fn refuse_owed(&mut self, error: &StanzaError) {
        while let Some(id) = self.incoming.refuse() {
            let error = IqBody::Error(Box::new(error.clone()));
            let answer = Iq::answer(Some(self.peer.clone()), id, error);
            self.outputs.stanza(answer);
        }
    }

    fn refuse_close(&mut self, request: Id, error: StanzaError) {
        let error = IqBody::Error(Box::new(error));
        let answer = Iq::answer(Some(self.peer.clone()), request, error);
        self.outputs.stanza(answer);
    }

    /// Takes the peer's `<close/>`.
    pub(super) fn peer_closes(&mut self, request: Id, now: Instant) {
        let theirs = PeerClose {
            request: Box::new(request),
            due: self.confirm_due(now),
        };
        match mem::replace(&mut self.phase, Phase::Over) {
            Phase::Opening { aborted, .. } => {
                self.answer_close(*theirs.request);
                let reason = if aborted {
                    Reason::Aborted
                } else {
                    self.closed_early()
                };
                self.end(Event::Failed(reason));
                return;
            }
            Phase::Open { .. } => self.phase = Phase::PeerClosing(theirs),
            Phase::Closing(ours) => self.phase = Phase::Crossing(ours, theirs),
            Phase::Refusing { error, .. } => {
                self.refuse_close(*theirs.request, *error);
                self.end(Event::Failed(Reason::Aborted));
                return;
            }
            phase @ (Phase::PeerClosing(_) | Phase::Crossing(..)) => {
                // A repetition gets the answer of the first; another request one of its own.
                let repeated = match &phase {
                    Phase::PeerClosing(first) | Phase::Crossing(_, first) => {
                        first.request == theirs.request
                    }
                    Phase::Opening { .. }
                    | Phase::Open { .. }
                    | Phase::Closing(_)
                    | Phase::Refusing { .. }
                    | Phase::Over => false,
                };
                self.phase = phase;
                if !repeated {
                    self.outputs.reply(Iq::answer(
                        Some(self.peer.clone()),
                        *theirs.request,
                        IqBody::Result(None),
                    ));
                }
                return;
            }
            Phase::Over => return,
        }
        self.outputs.event(Event::PeerClosed);
        self.flush();
        self.advance(now);
    }

    /// Says when the peer's `<close/>` is answered at the latest: soon, unless octets of ours are
    /// still on their way.
    fn confirm_due(&self, now: Instant) -> Instant {
        now + if self.outgoing.is_empty() {
            Self::CONFIRM_WITHIN
        } else {
            Self::DELIVER_WITHIN
        }
    }

    /// Gives our octets more time where the peer's `<close/>` waits for them, because some went or
    /// arrived.
    pub(super) fn put_off_close(&mut self, now: Instant) {
        let due = self.confirm_due(now);
        if let Phase::PeerClosing(theirs) = &mut self.phase {
            theirs.due = theirs.due.max(due);
        }
    }

    pub(super) fn closed_early(&self) -> Reason {
        Reason::PeerClosed {
            unacknowledged: self.outgoing.unacknowledged(),
            pipelined: self.outgoing.pipelined(),
        }
    }

    /// Takes the answer to our `<close/>`, result or error: either way the stream is closed
    /// (XEP-0047, 2.3). One error says more: that what was sent is not taken.
    pub(super) fn close_answered(&mut self, error: Option<&StanzaError>) {
        let not_taken = error.filter(|e| e.condition == refusal::not_acceptable().condition);
        match (mem::replace(&mut self.phase, Phase::Over), not_taken) {
            (Phase::Closing(_), None) => self.end(Event::Closed),
            (Phase::Closing(_), Some(error)) => {
                self.end(Event::Failed(Reason::NotTaken(error.clone())));
            }
            (Phase::Crossing(_, theirs), None) => self.phase = Phase::PeerClosing(theirs),
            (Phase::Crossing(_, theirs), Some(error)) => {
                self.phase = Phase::PeerClosing(theirs);
                self.fail(Reason::NotTaken(error.clone()));
            }
            (
                phase @ (Phase::Opening { .. }
                | Phase::Open { .. }
                | Phase::PeerClosing(_)
                | Phase::Refusing { .. }
                | Phase::Over),
                _,
            ) => self.phase = phase,
        }
    }

    /// Fires the deadline of the phase.
    pub(super) fn phase_timeout(&mut self, now: Instant) {
        if self.phase.due().is_none_or(|due| due > now) {
            return;
        }
        match mem::replace(&mut self.phase, Phase::Over) {
            phase @ Phase::Opening { aborted, .. } => {
                self.phase = phase;
                self.fail(if aborted {
                    Reason::Aborted
                } else {
                    Reason::TimedOut {
                        step: Step::Open,
                        unacknowledged: 0,
                    }
                });
            }
            // Everything was acknowledged; some peers never answer the close.
            Phase::Closing(_) => self.end(Event::Closed),
            Phase::PeerClosing(theirs) => {
                let whole = self.outgoing.is_empty();
                let early = self.closed_early();
                self.outputs.stop_sending();
                self.answer_close(*theirs.request);
                self.end(if whole {
                    Event::Closed
                } else {
                    Event::Failed(early)
                });
            }
            Phase::Crossing(ours, theirs) => {
                if theirs.due <= now {
                    self.answer_close(*theirs.request);
                    self.end(Event::Closed);
                } else {
                    drop(ours);
                    self.phase = Phase::PeerClosing(theirs);
                }
            }
            phase @ Phase::Refusing { .. } => {
                self.phase = phase;
                self.fail(Reason::Aborted);
            }
            phase @ (Phase::Open { .. } | Phase::Over) => self.phase = phase,
        }
    }

    /// Takes the answer to our `<open/>`.
    pub(super) fn open_answered(&mut self, error: Option<&StanzaError>, now: Instant) {
        let Phase::Opening { aborted, .. } = &self.phase else {
            return;
        };
        match (error, *aborted) {
            (None, true) => self.fail(Reason::Aborted),
            (Some(_), true) => self.end(Event::Failed(Reason::Aborted)),
            (None, false) => {
                self.phase = Phase::Open {
                    accepted: None,
                    quiet: None,
                };
                self.silence.active(now);
                self.tell_opened();
                self.advance(now);
            }
            (Some(error), false) => match self.smaller(error) {
                Some(block_size) => {
                    self.config.block_size = block_size;
                    let request = self.ids.next_id();
                    self.phase = Phase::Opening {
                        request: Box::new(request.clone()),
                        due: now + Self::OPEN_WITHIN,
                        aborted: false,
                    };
                    self.ask_open(request);
                }
                None => self.end(Event::Failed(Reason::Refused(error.clone()))),
            },
        }
    }

    /// The block size to ask for next when the peer wants smaller blocks (XEP-0047, 2.1).
    fn smaller(&self, error: &StanzaError) -> Option<u16> {
        let size = self.config.block_size;
        let least = self.config.min_block_size.max(1);
        (error.condition == refusal::too_large().condition && size > least)
            .then(|| size.div_ceil(2).max(least))
    }
}
