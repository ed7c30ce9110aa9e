//! Whether a peer that says nothing is still there.

use super::{Phase, Session};
use crate::{Reason, Step};
use alloc::boxed::Box;
use bytestreams_machine::Instant;
use bytestreams_stanza::{Condition, Id, Iq, Payload, StanzaError};
use core::time::Duration;

/// Watches over a peer from which nothing is awaited: whoever only receives would never learn that
/// the other end is gone. After a silence it is pinged (XEP-0199).
#[derive(Debug)]
pub(super) struct Silence {
    /// The last sign of life.
    heard: Instant,
    /// The last one that was about the stream.
    active: Instant,
    /// The ping that waits for its answer, and when it was sent.
    ping: Option<Box<(Id, Instant)>>,
    /// It answered a ping with a result before.
    answers_pings: bool,
    /// Answers in a row that a server may have given in the place of somebody who is gone.
    doubts: u8,
}

impl Silence {
    /// How long a peer may say nothing.
    const PING_AFTER: Duration = Duration::from_secs(60);
    /// How long the ping may then take.
    const ANSWER_WITHIN: Duration = Duration::from_secs(30);
    /// How many doubtful answers are enough.
    const MAX_DOUBTS: u8 = 5;

    pub(super) fn new(now: Instant) -> Self {
        Self {
            heard: now,
            active: now,
            ping: None,
            answers_pings: false,
            doubts: 0,
        }
    }

    /// Notes a sign of life of the stream.
    pub(super) fn active(&mut self, now: Instant) {
        self.active = now;
        self.heard(now);
    }

    /// Notes a sign of life of the peer.
    fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.ping = None;
        self.doubts = 0;
    }

    fn due(&self) -> Instant {
        match &self.ping {
            None => self.heard + Self::PING_AFTER,
            Some(ping) => ping.1 + Self::ANSWER_WITHIN,
        }
    }

    /// Says whether an answer to a ping tells that the peer is gone.
    fn is_gone(&mut self, error: Option<&StanzaError>, now: Instant) -> bool {
        let Some(error) = error else {
            self.heard(now);
            self.answers_pings = true;
            return false;
        };
        let doubts = self.doubts + 1;
        self.heard(now);
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "whatever else it says, it is there to say it"
        )]
        match error.condition {
            Condition::RecipientUnavailable
            | Condition::ItemNotFound
            | Condition::Gone
            | Condition::RemoteServerNotFound
            | Condition::RemoteServerTimeout => true,
            // A server says so for who is gone (RFC 6121, 8.5.3.2.3), and many clients do for
            // pings that they do not know.
            Condition::ServiceUnavailable => {
                self.doubts = doubts;
                self.answers_pings || doubts >= Self::MAX_DOUBTS
            }
            // Who is short of something may be the peer or a server in its place.
            Condition::ResourceConstraint | Condition::InternalServerError => {
                self.doubts = doubts;
                doubts >= Self::MAX_DOUBTS
            }
            _ => false,
        }
    }
}

impl Session {
    /// Says when the silence is too long. Where an answer is awaited, that has its own deadline.
    pub(super) fn silence_due(&self) -> Option<Instant> {
        let listens = matches!(self.phase, Phase::Open { .. }) && self.outgoing.is_empty();
        listens.then(|| match self.idle_due() {
            Some(due) => due.min(self.silence.due()),
            None => self.silence.due(),
        })
    }

    fn idle_due(&self) -> Option<Instant> {
        let limit = self.config.idle_limit?;
        Some(self.silence.active + limit)
    }

    /// Pings a silent peer, or gives it up.
    pub(super) fn silence_timeout(&mut self, now: Instant) {
        if self.silence_due().is_none_or(|due| due > now) {
            return;
        }
        let idle = self.idle_due().is_some_and(|due| due <= now);
        if idle || self.silence.ping.is_some() {
            return self.fail_silent();
        }
        self.rest();
        let id = self.ids.next_id();
        self.silence.ping = Some(Box::new((id.clone(), now)));
        self.outputs
            .stanza(Iq::get(Some(self.peer.clone()), id, Payload::Ping));
    }

    /// Gives back the memory that a burst took.
    fn rest(&mut self) {
        self.incoming.rest();
        self.outgoing.rest();
        self.outputs.rest();
    }

    /// Takes the answer to such a ping, if it is one.
    pub(super) fn silence_answered(
        &mut self,
        id: &Id,
        error: Option<&StanzaError>,
        now: Instant,
    ) -> bool {
        if self.silence.ping.as_ref().is_none_or(|ping| ping.0 != *id) {
            return false;
        }
        if self.silence.is_gone(error, now) {
            self.fail_silent();
        }
        true
    }

    fn fail_silent(&mut self) {
        self.fail(Reason::TimedOut {
            step: Step::Silence,
            unacknowledged: self.outgoing.unacknowledged(),
        });
    }
}
