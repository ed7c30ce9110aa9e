//! The queue of what the driver is to carry out.

use crate::{Event, Reason};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use bytestreams_stanza::Stanza;

/// One output, small: blocks and their answers are made into stanzas when they are polled, so that
/// a block costs no allocation.
#[derive(Debug)]
pub(crate) enum Out {
    /// The next announced block.
    Block,
    /// A ping behind the blocks before it.
    Ping,
    /// The next released answer to a block.
    Answer,
    /// Something that must be sent.
    Stanza(Box<Stanza>),
    /// An answer that a peer can provoke over and over.
    Reply(Box<Stanza>),
    /// Something to tell.
    Event(Told),
}

/// An [`Event`] in little room: an idle session keeps that of its queue.
#[derive(Debug)]
pub(crate) enum Told {
    Opened { block_size: u16 },
    Readable,
    Writable,
    Acknowledged { octets: u64 },
    PeerClosed,
    Closed,
    Failed(Box<Reason>),
}

impl From<Event> for Told {
    fn from(event: Event) -> Self {
        match event {
            Event::Opened { block_size } => Self::Opened { block_size },
            Event::Readable => Self::Readable,
            Event::Writable => Self::Writable,
            Event::Acknowledged { octets } => Self::Acknowledged { octets },
            Event::PeerClosed => Self::PeerClosed,
            Event::Closed => Self::Closed,
            Event::Failed(reason) => Self::Failed(Box::new(reason)),
        }
    }
}

impl From<Told> for Event {
    fn from(told: Told) -> Self {
        match told {
            Told::Opened { block_size } => Self::Opened { block_size },
            Told::Readable => Self::Readable,
            Told::Writable => Self::Writable,
            Told::Acknowledged { octets } => Self::Acknowledged { octets },
            Told::PeerClosed => Self::PeerClosed,
            Told::Closed => Self::Closed,
            Told::Failed(reason) => Self::Failed(*reason),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Outputs {
    queue: VecDeque<Out>,
    replies: usize,
}

impl Outputs {
    /// Answers to repeated or misplaced requests that may wait for the driver; more are dropped,
    /// for a peer that asks faster than it reads gets no memory of ours.
    const MAX_REPLIES: usize = 64;

    pub(crate) fn push(&mut self, out: Out) {
        self.queue.push_back(out);
    }

    pub(crate) fn stanza(&mut self, stanza: impl Into<Stanza>) {
        self.push(Out::Stanza(Box::new(stanza.into())));
    }

    pub(crate) fn reply(&mut self, stanza: impl Into<Stanza>) {
        if self.replies < Self::MAX_REPLIES {
            self.replies += 1;
            self.push(Out::Reply(Box::new(stanza.into())));
        }
    }

    /// Tells something; what was acknowledged replaces what was told of it just before.
    pub(crate) fn event(&mut self, event: Event) {
        if let Event::Acknowledged { octets: now } = event {
            if let Some(Out::Event(Told::Acknowledged { octets })) = self.queue.back_mut() {
                *octets = now;
                return;
            }
        }
        self.push(Out::Event(event.into()));
    }

    pub(crate) fn pop(&mut self) -> Option<Out> {
        let out = self.queue.pop_front()?;
        if matches!(out, Out::Reply(_)) {
            self.replies -= 1;
        }
        Some(out)
    }

    /// Gives back the memory that is not in use.
    pub(crate) fn rest(&mut self) {
        self.queue.shrink_to_fit();
    }

    /// Drops what would send octets of ours.
    pub(crate) fn stop_sending(&mut self) {
        for _ in 0..self.queue.len() {
            let out = self.queue.pop_front();
            let kept = out.filter(|out| !matches!(out, Out::Block | Out::Ping));
            self.queue.extend(kept);
        }
    }
}
