//! One stream, both directions.

use crate::window::Window;
use crate::{Blocked, Config, Event, WindowPolicy};
use bytes::Bytes;
use bytestreams_machine::{Ids, Input, Instant, Machine, Output};
use bytestreams_stanza::{Iq, Jid, Open, Sid};

/// One in-band bytestream, both directions.
///
/// Known by (peer, sid). It takes the stanzas of its stream and hands back the rest.
#[derive(Debug)]
pub struct Session {
    peer: Jid,
    sid: Sid,
    block_size: u16,
    window: Window,
}

impl Session {
    /// Asks `peer` for a stream: sends `<open/>` (XEP-0047, 2.1).
    ///
    /// A resource-constraint halves the block size and asks again. Without an answer within 30 s
    /// the stream fails. `ids` must be new for each session: [`Ids::new`] of the sid.
    pub fn open(peer: Jid, sid: Sid, config: Config, _ids: Ids, _now: Instant) -> Self {
        Self {
            peer,
            sid,
            block_size: config.block_size,
            window: match config.window {
                WindowPolicy::Fixed(blocks) => Window::fixed(blocks),
                WindowPolicy::Adaptive => Window::adaptive(),
            },
        }
    }

    /// Takes the stream that `peer` asked for: sends the result (XEP-0047, 2.1).
    ///
    /// The block size and the carrier are the initiator's. Whether the stream can be taken at all
    /// is checked before, with [`crate::refusal::of_open`].
    pub fn accept(
        peer: Jid,
        _request: &Iq,
        open: &Open,
        config: Config,
        ids: Ids,
        now: Instant,
    ) -> Self {
        let mut session = Self::open(peer, open.sid.clone(), config, ids, now);
        session.block_size = open.block_size;
        session
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
        self.block_size
    }

    /// How many octets the next block takes: the most that [`Session::write`] splits off.
    ///
    /// A multiple of 3, so that only the last block of a file is padded, if who writes has at least
    /// so many octets at hand each time until the last.
    pub fn chunk(&self) -> usize {
        self.window.chunk(self.block_size)
    }

    /// Splits at most one block off `octets` and sends it, as far as the window lets.
    ///
    /// Answers how many octets were taken; they are the session's now, and are sent again where
    /// the peer asks to wait. An empty `octets` sends nothing.
    ///
    /// # Errors
    /// When nothing can be sent now, or ever again.
    pub fn write(&mut self, _octets: &mut Bytes, _now: Instant) -> Result<usize, Blocked> {
        Err(Blocked::Opening)
    }

    /// Ends our direction: once everything is acknowledged, `<close/>` is sent (XEP-0047, 2.3).
    /// The peer's direction goes on until it answers.
    pub fn finish(&mut self, _now: Instant) {}

    /// Takes the next block that came, in order.
    pub fn read(&mut self) -> Option<Bytes> {
        None
    }

    /// Notes that so many more octets of what was read are stored: their blocks are acknowledged,
    /// in order.
    ///
    /// Without it a block is acknowledged 4 s after it came, because one well-known peer gives up
    /// at 5.
    pub fn stored(&mut self, _octets: usize, _now: Instant) {}

    /// Confirms that the application is done with the stream: the peer's `<close/>` is answered,
    /// now or when it comes, as soon as our own octets are acknowledged; nothing can be written any
    /// more. Without it the answer goes 4 s after the `<close/>` came.
    pub fn confirm_close(&mut self, _now: Instant) {}

    /// Cancels the stream: `<close/>` goes at once, or as soon as the peer has answered the
    /// `<open/>`. Ends in [`Event::Failed`] with [`Reason::Aborted`](crate::Reason).
    pub fn abort(&mut self, _now: Instant) {}

    /// Octets that came and are not stored.
    pub fn buffered(&self) -> usize {
        0
    }

    /// Says whether the terminal event was told: nothing is sent, taken or told any more.
    pub fn is_closed(&self) -> bool {
        false
    }
}

impl Machine for Session {
    type Event = Event;

    fn handle_input(&mut self, input: Input, _now: Instant) -> Option<Input> {
        Some(input)
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<Output<Event>> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
