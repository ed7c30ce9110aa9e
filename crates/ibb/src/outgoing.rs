//! Our direction: blocks that were written, and what became of them.

use crate::WindowPolicy;
use crate::output::{Out, Outputs};
use crate::window::Window;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use bytes::Bytes;
use bytestreams_machine::{Ids, Instant};
use bytestreams_stanza::{Carrier, Condition, ErrorType, Id, StanzaError};
use core::time::Duration;

/// A block that was written and not acknowledged, or not all before it.
#[derive(Debug)]
struct Block {
    id: Id,
    octets: Bytes,
    sent_at: Instant,
    seq: u16,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// No answer yet.
    Open,
    Acknowledged,
    /// Refused with an error of type `wait`.
    Refused,
}

/// An IQ ping behind blocks that messages carry.
#[derive(Debug)]
struct Ping {
    id: Id,
    sent_at: Instant,
    /// The blocks that it follows, counted since the stream began.
    behind: u64,
}

/// The peer asked to wait at some block.
#[derive(Debug)]
struct Retry {
    tries: u32,
    error: StanzaError,
    step: RetryStep,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum RetryStep {
    /// What is in flight comes to its end.
    Collecting,
    /// Until then nothing is sent.
    Pausing(Instant),
    /// The block is on its way again.
    Going,
}

/// What an answer made of our direction.
#[derive(Debug)]
pub(crate) enum Answered {
    /// It answers nothing of ours.
    Not,
    /// Something was acknowledged, or is waited for.
    GoesOn,
    /// The peer does not take it.
    Refused(StanzaError),
}

/// Something to send.
#[derive(Debug)]
pub(crate) enum Sent {
    Block { id: Id, seq: u16, octets: Bytes },
    Ping { id: Id },
}

/// Our direction of a stream.
///
/// `blocks` is in order; the first `sent` of them are on their way, `queued` behind them are
/// announced to the driver, the rest waits for the window (that happens only after the peer asked
/// to wait).
#[derive(Debug)]
pub(crate) struct Outgoing {
    window: Window,
    carrier: Carrier,
    blocks: VecDeque<Block>,
    sent: usize,
    queued: usize,
    pings: VecDeque<Ping>,
    /// Blocks behind the last ping, and their octets on the wire.
    unpinged: usize,
    unpinged_wire: usize,
    retry: Option<Box<Retry>>,
    /// Blocks that left the front of `blocks`.
    done: u64,
    acknowledged: u64,
    unacknowledged: u64,
    next_seq: u16,
    /// Octets of a stanza beside its base64.
    markup: u16,
    pipelined: bool,
    /// When something was answered last, or began to be waited for.
    progress: Instant,
    written_at: Instant,
    slowest: Duration,
}

impl Outgoing {
    /// A stall this long fails the stream, or eight times the slowest round trip.
    const STALL: Duration = Duration::from_secs(60);
    /// Pauses before a refused block goes again, one a try.
    const PAUSES: [Duration; 5] = [
        Duration::from_secs(1),
        Duration::from_secs(2),
        Duration::from_secs(4),
        Duration::from_secs(8),
        Duration::from_secs(16),
    ];
    /// Blocks by message between two pings at most.
    const PING_EVERY: usize = 16;
    /// How long the last blocks by message wait for a ping when nothing follows them.
    const PING_AFTER: Duration = Duration::from_secs(1);
    /// Blocks in flight at most, however small they are.
    const MAX_BLOCKS: usize = 1024;

    pub(crate) fn new(policy: WindowPolicy, carrier: Carrier, markup: usize) -> Self {
        Self {
            window: match policy {
                WindowPolicy::Fixed(blocks) => Window::fixed(blocks),
                #[cfg(feature = "adaptive")]
                WindowPolicy::Adaptive => Window::adaptive(),
            },
            carrier,
            blocks: VecDeque::new(),
            sent: 0,
            queued: 0,
            pings: VecDeque::new(),
            unpinged: 0,
            unpinged_wire: 0,
            retry: None,
            done: 0,
            acknowledged: 0,
            unacknowledged: 0,
            next_seq: 0,
            markup: u16::try_from(markup).unwrap_or(u16::MAX),
            pipelined: false,
            progress: Instant::ZERO,
            written_at: Instant::ZERO,
            slowest: Duration::ZERO,
        }
    }

    fn wire(&self, octets: usize) -> usize {
        octets.div_ceil(3) * 4 + usize::from(self.markup)
    }

    /// Octets that the next block takes.
    pub(crate) fn chunk(&self, block_size: u16) -> usize {
        self.window
            .chunk(block_size)
            .clamp(1, usize::from(block_size).max(1))
    }

    /// Says whether a block may go now.
    pub(crate) fn may_write(&self, octets: usize) -> bool {
        let waits = self
            .retry
            .as_ref()
            .is_some_and(|retry| retry.step != RetryStep::Going);
        !waits && self.sent + self.queued == self.blocks.len() && self.has_room(octets)
    }

    fn has_room(&self, octets: usize) -> bool {
        let under_way = self.sent + self.queued;
        under_way == 0
            || self.retry.is_none()
                && under_way < Self::MAX_BLOCKS
                && self.window.may_send(self.wire(octets))
    }

    /// Takes a block to send; the caller checked [`Outgoing::may_write`].
    pub(crate) fn write(
        &mut self,
        octets: Bytes,
        ids: &mut Ids,
        now: Instant,
        outputs: &mut Outputs,
    ) {
        if self.blocks.is_empty() {
            self.progress = now;
        }
        self.unacknowledged += octets.len() as u64;
        self.blocks.push_back(Block {
            id: ids.next_id(),
            octets,
            sent_at: now,
            seq: self.next_seq,
            fate: Fate::Open,
        });
        self.next_seq = self.next_seq.wrapping_add(1);
        self.queue(now, outputs);
        self.pipelined |= self.sent + self.queued > 1;
    }

    /// Announces the next block that waits.
    fn queue(&mut self, now: Instant, outputs: &mut Outputs) {
        let Some(block) = self.blocks.get_mut(self.sent + self.queued) else {
            return;
        };
        block.sent_at = now;
        block.fate = Fate::Open;
        let octets = block.octets.len();
        let wire = self.wire(octets);
        self.written_at = now;
        self.window.sent(now, wire);
        self.queued += 1;
        outputs.push(Out::Block);
        if self.carrier == Carrier::Message {
            self.unpinged += 1;
            self.unpinged_wire += wire;
            if self.unpinged >= Self::PING_EVERY
                || self.window.wants_sign(self.unpinged, self.unpinged_wire)
            {
                self.ping(outputs);
            }
        }
    }

    /// Asks for what messages do not give: a sign that all before it came.
    fn ping(&mut self, outputs: &mut Outputs) {
        self.unpinged = 0;
        self.unpinged_wire = 0;
        outputs.push(Out::Ping);
    }

    /// Pings behind the blocks that no ping follows yet, because something waits for them.
    pub(crate) fn flush(&mut self, outputs: &mut Outputs) {
        if self.unpinged > 0 {
            self.ping(outputs);
        }
    }

    /// Takes the next announced block, which is sent now.
    pub(crate) fn send_block(&mut self) -> Option<Sent> {
        self.queued = self.queued.checked_sub(1)?;
        let block = self.blocks.get(self.sent)?;
        self.sent += 1;
        Some(Sent::Block {
            id: block.id.clone(),
            seq: block.seq,
            octets: block.octets.clone(),
        })
    }

    /// Takes the next announced ping, which is sent now.
    pub(crate) fn send_ping(&mut self, ids: &mut Ids) -> Sent {
        let id = ids.next_id();
        // Its time is that of the last block before it: what follows the other is sent with it.
        self.pings.push_back(Ping {
            id: id.clone(),
            sent_at: self
                .sent
                .checked_sub(1)
                .and_then(|last| self.blocks.get(last))
                .map_or(self.written_at, |block| block.sent_at),
            behind: self.done + self.sent as u64,
        });
        Sent::Ping { id }
    }

    /// Takes the answer to one of our blocks or pings. `bounced` says that it is a message that
    /// came back.
    pub(crate) fn answered(
        &mut self,
        id: &Id,
        error: Option<&StanzaError>,
        bounced: bool,
        now: Instant,
        outputs: &mut Outputs,
    ) -> Answered {
        if (self.carrier == Carrier::Message) == bounced {
            let of = |block: &Block| block.fate == Fate::Open && block.id == *id;
            if let Some(at) = self.blocks.iter().take(self.sent).position(of) {
                return self.block_answered(at, error, now, outputs);
            }
        }
        if bounced {
            return Answered::Not;
        }
        let Some(at) = self.pings.iter().position(|ping| ping.id == *id) else {
            return Answered::Not;
        };
        let Some(ping) = self.pings.remove(at) else {
            return Answered::Not;
        };
        if let Some(error) = error {
            match ping_fate(error) {
                Fate::Acknowledged => {}
                Fate::Open => {
                    // It did not get there; what became of the blocks is for the next one to tell.
                    self.unpinged = self.unpinged.max(1);
                    self.written_at = now;
                    return Answered::GoesOn;
                }
                Fate::Refused => return Answered::Refused(error.clone()),
            }
        }
        self.pings.drain(..at);
        let behind = usize::try_from(ping.behind.saturating_sub(self.done)).unwrap_or(0);
        for at in 0..behind.min(self.sent) {
            self.acknowledge(at, Some(ping.sent_at), now);
        }
        self.settle(now, outputs)
    }

    fn block_answered(
        &mut self,
        at: usize,
        error: Option<&StanzaError>,
        now: Instant,
        outputs: &mut Outputs,
    ) -> Answered {
        match error {
            None => self.acknowledge(at, None, now),
            Some(error) if error.kind == ErrorType::Wait => {
                if let Some(block) = self.blocks.get_mut(at) {
                    block.fate = Fate::Refused;
                }
                self.suspend(error, outputs);
            }
            Some(error) => return Answered::Refused(error.clone()),
        }
        self.settle(now, outputs)
    }

    fn acknowledge(&mut self, at: usize, sent_at: Option<Instant>, now: Instant) {
        let Some(block) = self.blocks.get_mut(at) else {
            return;
        };
        if block.fate != Fate::Open {
            return;
        }
        block.fate = Fate::Acknowledged;
        let octets = block.octets.len();
        let sent_at = sent_at.unwrap_or(block.sent_at);
        self.slowest = self.slowest.max(now.since(sent_at));
        let wire = self.wire(octets);
        self.window.acked(now, sent_at, wire);
    }

    /// Sends nothing more until what is in flight came to its end.
    fn suspend(&mut self, error: &StanzaError, outputs: &mut Outputs) {
        self.queued = 0;
        match &mut self.retry {
            Some(retry) => retry.step = RetryStep::Collecting,
            None => {
                self.retry = Some(Box::new(Retry {
                    tries: 0,
                    error: error.clone(),
                    step: RetryStep::Collecting,
                }));
            }
        }
        self.flush(outputs);
    }

    /// Lets go of what is acknowledged from the front on, and sees whether waiting is over.
    fn settle(&mut self, now: Instant, outputs: &mut Outputs) -> Answered {
        self.progress = now;
        while self
            .blocks
            .front()
            .is_some_and(|block| block.fate == Fate::Acknowledged)
        {
            let Some(block) = self.blocks.pop_front() else {
                break;
            };
            self.sent = self.sent.saturating_sub(1);
            self.done += 1;
            self.acknowledged += block.octets.len() as u64;
            self.unacknowledged -= block.octets.len() as u64;
            if self
                .retry
                .as_ref()
                .is_some_and(|retry| retry.step == RetryStep::Going)
            {
                self.retry = None;
            }
        }
        if let Some(retry) = &mut self.retry {
            if retry.step == RetryStep::Collecting {
                let mut fates = self.blocks.iter().take(self.sent).map(|block| block.fate);
                if fates.clone().any(|fate| fate == Fate::Open) {
                    return Answered::GoesOn;
                }
                let pause = usize::try_from(retry.tries)
                    .ok()
                    .and_then(|tries| Self::PAUSES.get(tries));
                // One behind the refused block that was taken broke the order.
                let all_refused = fates.all(|fate| fate == Fate::Refused);
                let (true, Some(pause)) = (all_refused, pause) else {
                    return Answered::Refused(retry.error.clone());
                };
                retry.tries += 1;
                retry.step = RetryStep::Pausing(now + *pause);
            }
        }
        self.refill(now, outputs);
        Answered::GoesOn
    }

    /// Announces blocks that wait for the window.
    fn refill(&mut self, now: Instant, outputs: &mut Outputs) {
        if self
            .retry
            .as_ref()
            .is_some_and(|retry| retry.step != RetryStep::Going)
        {
            return;
        }
        while let Some(block) = self.blocks.get(self.sent + self.queued) {
            if !self.has_room(block.octets.len()) {
                break;
            }
            self.queue(now, outputs);
        }
    }

    /// Goes on from the refused block when its pause is over, and pings when the last blocks by
    /// message have waited long enough. Says whether an answer is overdue.
    pub(crate) fn handle_timeout(
        &mut self,
        ids: &mut Ids,
        now: Instant,
        outputs: &mut Outputs,
    ) -> bool {
        if let Some(retry) = &mut self.retry {
            if matches!(retry.step, RetryStep::Pausing(until) if until <= now) {
                retry.step = RetryStep::Going;
                self.sent = 0;
                self.progress = now;
                self.pings.clear();
                self.unpinged = 0;
                self.unpinged_wire = 0;
                for block in &mut self.blocks {
                    block.id = ids.next_id();
                }
                self.window.refused_wait();
                self.refill(now, outputs);
            }
        }
        if self.ping_due().is_some_and(|due| due <= now) {
            self.flush(outputs);
        }
        self.stalled_at().is_some_and(|due| due <= now)
    }

    fn ping_due(&self) -> Option<Instant> {
        (self.unpinged > 0).then(|| self.written_at + Self::PING_AFTER)
    }

    fn stalled_at(&self) -> Option<Instant> {
        let pausing = self
            .retry
            .as_ref()
            .is_some_and(|retry| matches!(retry.step, RetryStep::Pausing(_)));
        (!self.blocks.is_empty() && !pausing)
            .then(|| self.progress + Self::STALL.max(self.slowest * 8))
    }

    /// Says when [`Outgoing::handle_timeout`] is next due.
    pub(crate) fn next(&self) -> Option<Instant> {
        let pause = self.retry.as_ref().and_then(|retry| match retry.step {
            RetryStep::Pausing(until) => Some(until),
            RetryStep::Collecting | RetryStep::Going => None,
        });
        [pause, self.ping_due(), self.stalled_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Gives back the memory that is not in use.
    pub(crate) fn rest(&mut self) {
        self.blocks.shrink_to_fit();
        self.pings.shrink_to_fit();
    }

    /// Says whether everything written was acknowledged.
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Octets acknowledged since the stream began.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Octets written and not acknowledged.
    pub(crate) fn unacknowledged(&self) -> u64 {
        self.unacknowledged
    }

    /// The slowest round trip of a block, once one was seen.
    pub(crate) fn slowest(&self) -> Option<Duration> {
        (self.acknowledged > 0).then_some(self.slowest)
    }

    /// Says whether more than one block has ever been in flight.
    pub(crate) fn pipelined(&self) -> bool {
        self.pipelined
    }

    /// Forgets everything in flight.
    pub(crate) fn clear(&mut self) {
        self.blocks = VecDeque::new();
        self.pings = VecDeque::new();
        self.sent = 0;
        self.queued = 0;
        self.unpinged = 0;
        self.retry = None;
    }
}

/// What the error to a ping says of the blocks before it. Any answer of the peer itself says that
/// they came, but a server may answer in its place.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else it says, it is there to say it"
)]
fn ping_fate(error: &StanzaError) -> Fate {
    match error.condition {
        Condition::RecipientUnavailable
        | Condition::RemoteServerTimeout
        | Condition::ResourceConstraint
            if error.kind == ErrorType::Wait =>
        {
            Fate::Open
        }
        Condition::RemoteServerNotFound | Condition::RemoteServerTimeout | Condition::Gone => {
            Fate::Refused
        }
        _ => Fate::Acknowledged,
    }
}
