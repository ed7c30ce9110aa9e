//! One stream, both directions.

mod close;
mod input;
mod machine;
mod phase;
mod silence;
#[cfg(test)]
mod table;

use crate::incoming::Incoming;
use crate::outgoing::Outgoing;
use crate::output::{Out, Outputs};
use crate::{Blocked, Config, Event};
use alloc::boxed::Box;
use bytes::Bytes;
use bytestreams_machine::{Ids, Instant};
use bytestreams_stanza::{Iq, Jid, Open, Payload, Sid, StanzaError};
use core::time::Duration;
use phase::{OurClose, PeerClose, Phase};
use silence::Silence;

/// One in-band bytestream, both directions.
///
/// Known by (peer, sid). It takes the stanzas of its stream and hands back the rest.
#[derive(Debug)]
pub struct Session {
    peer: Jid,
    sid: Sid,
    config: Config,
    ids: Ids,
    phase: Phase,
    incoming: Incoming,
    outgoing: Outgoing,
    outputs: Outputs,
    silence: Silence,
    /// No more octets from us.
    finished: bool,
    /// The application is done with the stream.
    confirmed: bool,
    /// A write was blocked.
    wants_write: bool,
    /// It ended because something was wrong, or was cancelled here.
    failed: bool,
}

impl Session {
    /// How long the peer may take to answer `<open/>`.
    const OPEN_WITHIN: Duration = Duration::from_secs(30);
    /// How long the peer may take to answer `<close/>`, after its last octets; less where the path
    /// is known, since libpurple never answers.
    const CLOSE_WITHIN: Duration = Duration::from_secs(30);
    /// When the peer's `<close/>` is answered at the latest: one well-known peer gives up at 5 s.
    const CONFIRM_WITHIN: Duration = Duration::from_secs(4);
    /// The same while octets of ours are on their way, counted from the last that went or was
    /// acknowledged: a slow peer acknowledges after 4 s.
    const DELIVER_WITHIN: Duration = Duration::from_secs(10);
    /// Octets of a stanza beside its base64, the JIDs and the sid: what a server adds counted in.
    const MARKUP: usize = 140;

    /// Asks `peer` for a stream: sends `<open/>` (XEP-0047, 2.1).
    ///
    /// A resource-constraint halves the block size and asks again. Without an answer within 30 s
    /// the stream fails. `ids` must be new for each session: [`Ids::new`] of the sid.
    pub fn open(peer: Jid, sid: Sid, config: Config, mut ids: Ids, now: Instant) -> Self {
        let request = ids.next_id();
        let phase = Phase::Opening {
            request: Box::new(request.clone()),
            due: now + Self::OPEN_WITHIN,
            aborted: false,
        };
        let mut session = Self::new(peer, sid, config, ids, phase, now);
        session.ask_open(request);
        session
    }

    /// Takes the stream that `peer` asked for: sends the result (XEP-0047, 2.1).
    ///
    /// The block size and the carrier are the initiator's. Whether the stream can be taken at all
    /// is checked before, with [`crate::refusal::of_open`].
    pub fn accept(
        peer: Jid,
        request: &Iq,
        open: &Open,
        mut config: Config,
        ids: Ids,
        now: Instant,
    ) -> Self {
        config.block_size = open.block_size;
        config.carrier = open.carrier;
        let phase = Phase::Open {
            accepted: Some(Box::new(request.id.clone())),
            quiet: Some(now + config.grace),
        };
        let mut session = Self::new(peer, open.sid.clone(), config, ids, phase, now);
        session.outputs.stanza(request.result(None));
        session.tell_opened();
        session
    }

    fn new(peer: Jid, sid: Sid, config: Config, ids: Ids, phase: Phase, now: Instant) -> Self {
        let markup = Self::MARKUP + 2 * peer.as_str().len() + sid.as_str().len();
        Self {
            peer,
            sid,
            ids,
            phase,
            incoming: Incoming::default(),
            outgoing: Outgoing::new(config.window, config.carrier, markup),
            outputs: Outputs::default(),
            silence: Silence::new(now),
            finished: false,
            confirmed: false,
            wants_write: false,
            failed: false,
            config,
        }
    }

    fn ask_open(&mut self, id: bytestreams_stanza::Id) {
        let open = Payload::Open(Open {
            sid: self.sid.clone(),
            block_size: self.config.block_size,
            carrier: self.config.carrier,
        });
        self.outputs
            .stanza(Iq::set(Some(self.peer.clone()), id, open));
    }

    fn tell_opened(&mut self) {
        self.outputs.event(Event::Opened {
            block_size: self.config.block_size,
        });
    }

    /// The other end.
    pub fn peer(&self) -> &Jid {
        &self.peer
    }

    /// The stream's identifier.
    pub fn sid(&self) -> &Sid {
        &self.sid
    }

    /// The block size: asked for, then agreed on; in octets before base64.
    pub fn block_size(&self) -> u16 {
        self.config.block_size
    }

    /// How many octets the next block takes: the most that [`Session::write`] splits off.
    ///
    /// A multiple of 3, so that only the last block of a file is padded, if who writes has at least
    /// so many octets at hand each time until the last.
    pub fn chunk(&self) -> usize {
        self.outgoing.chunk(self.config.block_size)
    }

    /// Splits at most one block off `octets` and sends it, as far as the window lets.
    ///
    /// Answers how many octets were taken; they are the session's now, and are sent again where
    /// the peer asks to wait. An empty `octets` sends nothing.
    ///
    /// # Errors
    /// When nothing can be sent now, or ever again.
    pub fn write(&mut self, octets: &mut Bytes, now: Instant) -> Result<usize, Blocked> {
        if self.finished || self.confirmed || self.phase.is_over() {
            return Err(Blocked::Closed);
        }
        if octets.is_empty() {
            return Ok(0);
        }
        let len = octets.len().min(self.chunk());
        if let Err(blocked) = self.may_write(len, now) {
            self.wants_write = true;
            self.flush();
            return Err(blocked);
        }
        let block = octets.split_to(len);
        self.outgoing
            .write(block, &mut self.ids, now, &mut self.outputs);
        self.put_off_close(now);
        Ok(len)
    }

    fn may_write(&self, len: usize, now: Instant) -> Result<(), Blocked> {
        if !self.phase.may_speak(now) {
            Err(Blocked::Opening)
        } else if !self.outgoing.may_write(len) {
            Err(Blocked::Window)
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) {
        self.outgoing.flush(&mut self.outputs);
    }

    /// Ends our direction: once everything is acknowledged, `<close/>` is sent (XEP-0047, 2.3).
    /// The peer's direction goes on until it answers.
    pub fn finish(&mut self, now: Instant) {
        if self.finished || self.phase.is_over() {
            return;
        }
        self.finished = true;
        self.flush();
        self.advance(now);
    }

    /// Takes the next block that came, in order. What came before the end can still be read
    /// after it.
    pub fn read(&mut self) -> Option<Bytes> {
        self.incoming.read()
    }

    /// Notes that so many more octets of what was read are stored: their blocks are acknowledged,
    /// in order.
    ///
    /// Without it a block is acknowledged 4 s after it came, because one well-known peer gives up
    /// at 5.
    pub fn stored(&mut self, octets: usize, now: Instant) {
        self.incoming.stored(octets);
        self.release(now);
    }

    fn release(&mut self, now: Instant) {
        while self.incoming.release(now) {
            self.outputs.push(Out::Answer);
        }
    }

    fn release_all(&mut self) {
        while self.incoming.release_any() {
            self.outputs.push(Out::Answer);
        }
    }

    /// Confirms that the application is done with the stream: the peer's `<close/>` is answered,
    /// now or when it comes, as soon as our own octets are acknowledged; nothing can be written any
    /// more. Without it the answer goes 4 s after the `<close/>` came; 10 s after octets of ours
    /// last went or were acknowledged, where some are on their way.
    pub fn confirm_close(&mut self, now: Instant) {
        if self.phase.is_over() {
            return;
        }
        self.confirmed = true;
        self.advance(now);
    }

    /// Cancels the stream: `<close/>` goes at once, or as soon as the peer has answered the
    /// `<open/>`; blocks that are not stored are answered with item-not-found. Ends in
    /// [`Event::Failed`] with [`Reason::Aborted`](crate::Reason).
    pub fn abort(&mut self, now: Instant) {
        self.finished = true;
        self.cancel(now);
    }

    /// Ends the stream because what came cannot be kept: with `error`, whose condition is best that
    /// of [`refusal::not_acceptable`](crate::refusal::not_acceptable), are answered the blocks that
    /// are not stored, and the peer's `<close/>`; where nothing of the peer waits for an answer, its
    /// next word is, within 10 s. Then it hears that its octets arrived in vain, where a result
    /// would say that they are kept. Ends as [`Session::abort`] does.
    pub fn refuse(&mut self, error: StanzaError, now: Instant) {
        self.finished = true;
        self.turn_away(error, now);
    }

    /// Octets that came and are not stored.
    pub fn buffered(&self) -> usize {
        self.incoming.buffered()
    }

    /// The number of the block that is next from the peer.
    pub(crate) fn expected(&self) -> u16 {
        self.incoming.expected()
    }

    /// Says whether the stream ended because something was wrong, or was cancelled here.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// Says whether the stream is over: what is left in the queue of outputs ends with the terminal
    /// event, and no stanza is taken any more.
    pub fn is_closed(&self) -> bool {
        self.phase.is_over()
    }
}
