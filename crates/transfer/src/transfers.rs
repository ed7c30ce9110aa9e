//! The commands.

use crate::{Blocked, CommandError, Config, Event, Incomplete, Options, TransferId};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use bytestreams_machine::{Entropy, Input, Instant, Machine, Output, Own};
use bytestreams_stanza::{File, Jid, Range, Sid, ns};

/// All transfers of one link, in both directions, as one machine.
#[derive(Debug)]
pub struct Transfers {
    own: Own,
    config: Config,
    queue: VecDeque<Output<Event>>,
}

impl Transfers {
    /// Makes a machine for one link, which is up at `now`. `own` is who we are on it.
    pub fn new(own: Own, config: Config, _now: Instant) -> Self {
        Self {
            own,
            config,
            queue: VecDeque::new(),
        }
    }

    /// Who we are on this link.
    pub fn own(&self) -> &Own {
        &self.own
    }

    /// The choices in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The features to tell in disco#info (XEP-0030), for the
    /// [`Responder`](bytestreams_machine::Responder) behind this machine.
    pub fn features(&self) -> Vec<&'static str> {
        alloc::vec![
            ns::SI,
            ns::FILE_TRANSFER,
            ns::IBB,
            ns::FEATURE_NEG,
            ns::IBB_PIPELINE
        ]
    }

    /// Offers a file to a peer (XEP-0096), which has 300 s to answer.
    ///
    /// Give `file` a name and a size always (some peers and one server drop offers without). With
    /// `range` in it (`Some(Range::default())`) the peer may ask for a part: then write only the
    /// part that [`Event::Accepted`] names. `hash` lets a peer resume.
    ///
    /// Everything that goes wrong, here too, is told by [`Event::Failed`].
    pub fn offer(
        &mut self,
        _to: Jid,
        _file: File,
        _options: Options,
        _entropy: Entropy,
        _now: Instant,
    ) -> TransferId {
        TransferId(0)
    }

    /// Opens a stream without an offer (XEP-0047 alone), for octets both ways.
    pub fn open(
        &mut self,
        _to: Jid,
        _options: Options,
        _entropy: Entropy,
        _now: Instant,
    ) -> TransferId {
        TransferId(0)
    }

    /// Accepts what a peer offered, from [`Range::offset`] on if the offer has `<range/>`, `hash`
    /// and size (XEP-0096, section 3); `Range::default()` asks for everything.
    ///
    /// # Errors
    /// When it is not there to be accepted, or the range cannot be asked for; nothing was sent then.
    pub fn accept(
        &mut self,
        _id: TransferId,
        _range: Range,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownTransfer)
    }

    /// Declines what a peer offered (forbidden, XEP-0095; not-acceptable for an unannounced
    /// stream), with words for the peer if given. [`Event::Failed`] follows.
    ///
    /// # Errors
    /// When it is not there to be declined.
    pub fn decline(
        &mut self,
        _id: TransferId,
        _text: Option<Arc<str>>,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownTransfer)
    }

    /// Ends a transfer at any stage, towards the peer too. [`Event::Failed`] follows.
    ///
    /// # Errors
    /// When there is no such transfer.
    pub fn cancel(&mut self, _id: TransferId, _now: Instant) -> Result<(), CommandError> {
        Err(CommandError::UnknownTransfer)
    }

    /// Splits off at most one block of `octets` and sends it; answers its length. Call again until
    /// `octets` is empty or it is blocked.
    ///
    /// # Errors
    /// When nothing was taken.
    pub fn write(
        &mut self,
        _id: TransferId,
        _octets: &mut Bytes,
        _now: Instant,
    ) -> Result<usize, Blocked> {
        Err(Blocked::UnknownTransfer)
    }

    /// Says that everything is written: once all is acknowledged, the stream is closed, and
    /// [`Event::Done`] follows when the peer has confirmed.
    ///
    /// # Errors
    /// When there is no such transfer, or it is not established.
    pub fn finish(&mut self, _id: TransferId, _now: Instant) -> Result<(), CommandError> {
        Err(CommandError::UnknownTransfer)
    }

    /// Takes the next block received, if any. Follow with [`Transfers::stored`].
    pub fn read(&mut self, _id: TransferId) -> Option<Bytes> {
        None
    }

    /// Says that `octets` more of what was read are stored: that acknowledges them to the peer,
    /// which sends no more than it has acknowledgements for.
    pub fn stored(&mut self, _id: TransferId, _octets: usize, _now: Instant) {}

    /// Says how the receiving of a file went after [`Event::Ended`]: synced, checked and in its
    /// place, or not. Only now the peer is told that the stream is closed (at the latest 4 s after
    /// it asked), and [`Event::Done`] or [`Event::Failed`] follows.
    ///
    /// It may come earlier: `Ok` when everything announced is stored, `Err` at any time.
    ///
    /// # Errors
    /// When there is no such transfer, or `Ok` was said before everything had come.
    pub fn completed(
        &mut self,
        _id: TransferId,
        _result: Result<(), Incomplete>,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownTransfer)
    }

    /// Says that the link is gone: every transfer fails with [`crate::Reason::LinkLost`]. Drain the
    /// events, then drop the machine.
    pub fn link_lost(&mut self, _now: Instant) {}

    /// Says whether the driver should go on reading the link. It is false while more octets wait
    /// to be stored than [`crate::Bounds::buffered`]; look again after [`Transfers::stored`].
    pub fn wants_input(&self) -> bool {
        true
    }

    /// The peer of a transfer that has not ended: as given, then as its answers are stamped.
    pub fn peer(&self, _id: TransferId) -> Option<&Jid> {
        None
    }

    /// The stream of a transfer that has not ended. It changes when the offer is repeated.
    pub fn sid(&self, _id: TransferId) -> Option<&Sid> {
        None
    }

    /// How many transfers have not ended.
    pub fn len(&self) -> usize {
        0
    }

    /// Says whether no transfer is going on.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Machine for Transfers {
    type Event = Event;

    fn handle_input(&mut self, input: Input, _now: Instant) -> Option<Input> {
        Some(input)
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<Output<Event>> {
        self.queue.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
