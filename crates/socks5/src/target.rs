//! Who is offered a bytestream.

use crate::output::Outputs;
use crate::{Event, FailedHosts, refusal};
use bytes::Bytes;
use bytestreams_machine::{Input, Instant, Machine, Output, Own, Token};
use bytestreams_stanza::{Iq, IqBody, Jid, Payload, Sid, StanzaError};

/// The Target's side of one bytestream (XEP-0065, sections 5 and 6).
///
/// Tries the StreamHosts of the offer, the next one 250 ms after the one before, and takes the
/// first with which a handshake succeeds; the others are closed. Gives up after 9 s.
#[derive(Clone, Debug)]
pub struct Target {
    peer: Jid,
    sid: Sid,
    out: Outputs<Event>,
}

impl Target {
    /// How many tokens from the one given are used.
    pub const TOKENS: u64 = 8;

    /// Takes the offer, which must be wanted: it makes us dial. Attempts to connect are named
    /// `base`, `base` + 1, and so on. What is in `memory` is not tried.
    ///
    /// # Errors
    /// The error to answer with ([`refusal::of_offer`]).
    pub fn new(
        iq: &Iq,
        own: Own,
        base: Token,
        memory: &FailedHosts,
        _now: Instant,
    ) -> Result<Self, StanzaError> {
        let (IqBody::Set(Payload::Bytestreams(query)), Some(from)) = (&iq.body, &iq.from) else {
            return Err(refusal::bad_request());
        };
        if let Some(error) = refusal::of_offer(query) {
            return Err(error);
        }
        let _ = (own, base, memory);
        Ok(Self {
            peer: from.clone(),
            sid: query.sid.clone().ok_or(refusal::bad_request())?,
            out: Outputs::default(),
        })
    }

    /// The other end.
    pub fn peer(&self) -> &Jid {
        &self.peer
    }

    /// The stream's identifier.
    pub fn sid(&self) -> &Sid {
        &self.sid
    }

    /// The octets that came behind the handshake.
    pub fn early(&mut self) -> Bytes {
        Bytes::new()
    }

    /// Gives the stream up: what is open is closed, and the offer answered not-acceptable. Ends in
    /// [`Event::Failed`].
    pub fn cancel(&mut self, _now: Instant) {}

    /// Says whether it can be dropped: it has told its end, and no attempt to connect is
    /// unanswered.
    pub fn is_finished(&self) -> bool {
        self.out.is_empty()
    }
}

impl Machine for Target {
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
