//! One direction of a link: first in, first out.

use alloc::collections::VecDeque;
use bytestreams_machine::Instant;
use bytestreams_stanza::{IqBody, Payload, Stanza};
use core::time::Duration;

/// How many stanzas a resumption can repeat.
const HISTORY: usize = 8;

/// Stanzas on their way to one end, in order.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    queue: VecDeque<(Instant, Stanza)>,
    history: VecDeque<Stanza>,
    last: Instant,
    /// When the last octet that was accepted will have left.
    free_at: Instant,
}

impl Lane {
    /// Queues a stanza: it leaves when all before it have, and arrives `delay` later, never before
    /// the one in front of it.
    pub(crate) fn push(
        &mut self,
        stanza: Stanza,
        now: Instant,
        bandwidth: Option<u64>,
        delay: Duration,
    ) {
        self.free_at = self.free_at.max(now);
        if let Some(bits) = bandwidth {
            let micros = (wire_octets(&stanza) as u64 * 8_000_000).div_ceil(bits.max(1));
            self.free_at += Duration::from_micros(micros);
        }
        self.last = self.last.max(self.free_at + delay);
        self.queue.push_back((self.last, stanza));
    }

    /// How long a stanza handed over at `now` would wait for those in front of it.
    pub fn waiting(&self, now: Instant) -> Duration {
        self.free_at.since(now)
    }

    /// When the next stanza arrives.
    pub fn next(&self) -> Option<Instant> {
        self.queue.front().map(|(at, _)| *at)
    }

    /// Stanzas on their way.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Says whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn pop(&mut self, remember: bool) -> Option<Stanza> {
        let (_, stanza) = self.queue.pop_front()?;
        if remember {
            if self.history.len() == HISTORY {
                self.history.pop_front();
            }
            self.history.push_back(stanza.clone());
        }
        Some(stanza)
    }

    pub(crate) fn remembered(&self) -> usize {
        self.history.len()
    }

    /// Delivers the last `n` stanzas once more, before all that are on their way: what a resumed
    /// stream does whose acknowledgements were lost (XEP-0198, 5).
    pub(crate) fn repeat(&mut self, n: usize, now: Instant) {
        for stanza in self.history.iter().rev().take(n) {
            self.queue.push_front((now, stanza.clone()));
        }
    }

    pub(crate) fn drain(&mut self) -> VecDeque<(Instant, Stanza)> {
        core::mem::take(&mut self.queue)
    }
}

/// Estimates the octets of a stanza on the wire: 196 of markup and the base64 for a block, 150 for
/// an answer without content, 400 for anything else.
pub fn wire_octets(stanza: &Stanza) -> usize {
    let payload = match stanza {
        Stanza::Iq(iq) => match &iq.body {
            IqBody::Get(payload) | IqBody::Set(payload) | IqBody::Result(Some(payload)) => {
                Some(payload)
            }
            IqBody::Result(None) => return 150,
            IqBody::Error(_) => None,
        },
        Stanza::Message(message) => message.payload.as_ref(),
        Stanza::Presence(_) => None,
    };
    match payload {
        Some(Payload::Data(data)) => 196 + data.octets.len().div_ceil(3) * 4,
        Some(Payload::Ping) => 150,
        _ => 400,
    }
}
