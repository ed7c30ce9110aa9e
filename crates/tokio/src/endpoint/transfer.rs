//! The handle of one transfer.

use super::bytestream::Bytestream;
use super::shared::{Shared, keep};
use bytes::Bytes;
use bytestreams_stanza::{Jid, Sid};
use bytestreams_transfer::{Blocked, CommandError, Event, Incomplete, Reason, TransferId};
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll};
use std::sync::Arc;

/// One transfer, in either direction. Dropping it before its end cancels it.
///
/// Octets begin to travel after [`Event::Established`], and begin again at the start of the range
/// after each further one.
pub struct Transfer {
    shared: Arc<Shared>,
    id: TransferId,
    /// The stream as it was at the beginning.
    first: Option<Sid>,
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transfer").field(&self.id.0).finish()
    }
}

/// Why octets were not taken: [`Transfer::next`] tells more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The stream is not established, or it fell back and what was written is void.
    NotEstablished,
    /// All that was announced is written.
    Finished,
    /// The transfer is over.
    Over,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotEstablished => "the stream is not established",
            Self::Finished => "everything announced has been written",
            Self::Over => "the transfer is over",
        })
    }
}

impl core::error::Error for WriteError {}

impl Transfer {
    pub(super) fn new(shared: Arc<Shared>, id: TransferId, first: Option<Sid>) -> Self {
        Self { shared, id, first }
    }

    /// Its name on this link.
    pub fn id(&self) -> TransferId {
        self.id
    }

    /// The stream, which changes when an offer is repeated. Once the transfer is over, the first.
    pub fn sid(&self) -> Option<Sid> {
        let now = self.shared.lock().stack.machine.sid(self.id).cloned();
        now.or_else(|| self.first.clone())
    }

    /// The peer, while the transfer is not over.
    pub fn peer(&self) -> Option<Jid> {
        self.shared.lock().stack.machine.peer(self.id).cloned()
    }

    /// Waits for the next event: [`Event::Accepted`], [`Event::Established`], [`Event::FellBack`],
    /// [`Event::Progress`] (the last word only, if it is not asked for in time), [`Event::Ended`],
    /// and at last [`Event::Done`] or [`Event::Failed`]; `None` after that.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    pub(crate) fn poll_event(&self, cx: &Context<'_>) -> Poll<Option<Event>> {
        let mut state = self.shared.lock();
        let Some(slot) = state.slots.get_mut(&self.id) else {
            return Poll::Ready(None);
        };
        if let Some(event) = slot.next() {
            return Poll::Ready(Some(event));
        }
        if slot.over {
            return Poll::Ready(None);
        }
        keep(&mut slot.waker, cx.waker());
        Poll::Pending
    }

    /// Waits until octets can travel, then makes a stream of them.
    ///
    /// # Errors
    /// Why the transfer failed before.
    pub async fn into_stream(mut self) -> Result<Bytestream, Reason> {
        loop {
            match self.next().await {
                Some(Event::Established { .. }) => return Ok(Bytestream::new(self)),
                Some(Event::Failed { reason, .. }) => return Err(reason),
                Some(_) => {}
                None => return Err(self.failure().unwrap_or(Reason::LinkLost)),
            }
        }
    }

    /// Writes all of `octets`, as the peer takes them.
    ///
    /// # Errors
    /// When the stream is not what it was: see [`Transfer::next`]. What is left is in `octets`.
    pub async fn write(&mut self, octets: &mut Bytes) -> Result<(), WriteError> {
        poll_fn(|cx| self.poll_write(cx, octets)).await
    }

    pub(crate) fn poll_write(
        &self,
        cx: &Context<'_>,
        octets: &mut Bytes,
    ) -> Poll<Result<(), WriteError>> {
        let (wrote, result) = self.with_slot(|state, now, id| {
            let Some(slot) = state.slots.get_mut(&id).filter(|slot| !slot.over) else {
                return (false, Poll::Ready(Err(WriteError::Over)));
            };
            if slot.void {
                return (false, Poll::Ready(Err(WriteError::NotEstablished)));
            }
            let mut wrote = false;
            while !octets.is_empty() {
                match state.stack.machine.write(id, octets, now) {
                    Ok(_) => wrote = true,
                    Err(Blocked::Full) => {
                        keep(&mut slot.writer, cx.waker());
                        return (wrote, Poll::Pending);
                    }
                    Err(Blocked::NotEstablished) => {
                        return (wrote, Poll::Ready(Err(WriteError::NotEstablished)));
                    }
                    Err(Blocked::Finished) => {
                        return (wrote, Poll::Ready(Err(WriteError::Finished)));
                    }
                    Err(_) => return (wrote, Poll::Ready(Err(WriteError::Over))),
                }
            }
            (wrote, Poll::Ready(Ok(())))
        });
        if wrote {
            self.nudge();
        }
        result
    }

    /// Says that everything is written. [`Event::Done`] follows when the peer has it all.
    ///
    /// # Errors
    /// When the transfer is over or not established.
    pub fn finish(&mut self) -> Result<(), CommandError> {
        self.shared
            .act(|state, now| state.stack.machine.finish(self.id, now))
    }

    /// Takes blocks received, into `blocks`; ready when there is at least one, or when the peer has
    /// sent all (then with none). Follow with [`Transfer::stored`].
    pub(crate) fn poll_read(
        &self,
        cx: &Context<'_>,
        blocks: &mut Vec<Bytes>,
        most: usize,
    ) -> Poll<Result<(), Reason>> {
        let mut state = self.shared.lock();
        let state = &mut *state;
        let mut octets = 0;
        let before = blocks.len();
        while octets < most
            && let Some(block) = state.stack.machine.read(self.id)
        {
            octets += block.len();
            blocks.push(block);
        }
        if blocks.len() > before {
            return Poll::Ready(Ok(()));
        }
        match state.slots.get_mut(&self.id) {
            Some(slot) if slot.ended => Poll::Ready(Ok(())),
            Some(slot) if slot.over => Poll::Ready(match &slot.failure {
                Some(reason) => Err(reason.clone()),
                None => Ok(()),
            }),
            Some(slot) => {
                keep(&mut slot.reader, cx.waker());
                Poll::Pending
            }
            None => Poll::Ready(Ok(())),
        }
    }

    /// Waits for octets; `None` when the peer has sent all. Follow with [`Transfer::stored`] once
    /// they are where they belong: that lets the peer send more.
    ///
    /// # Errors
    /// Why the transfer failed.
    pub async fn read(&mut self) -> Result<Option<Bytes>, Reason> {
        let mut blocks = Vec::with_capacity(1);
        poll_fn(|cx| self.poll_read(cx, &mut blocks, 1)).await?;
        Ok(blocks.pop())
    }

    /// Says that `octets` more of what was read are stored.
    pub fn stored(&self, octets: usize) {
        self.shared
            .act(|state, now| state.stack.machine.stored(self.id, octets, now));
    }

    /// Says how the receiving went: everything is in its place, or not. [`Event::Done`] or
    /// [`Event::Failed`] follows.
    ///
    /// # Errors
    /// When the transfer is over, or not everything has come.
    pub fn completed(&mut self, result: Result<(), Incomplete>) -> Result<(), CommandError> {
        self.shared
            .act(|state, now| state.stack.machine.completed(self.id, result, now))
    }

    /// Ends the transfer, towards the peer too. [`Event::Failed`] follows, unless it was over.
    pub fn cancel(&mut self) {
        // Over already is as good.
        let _ = self
            .shared
            .act(|state, now| state.stack.machine.cancel(self.id, now));
    }

    /// Why it failed, once it has.
    pub fn failure(&self) -> Option<Reason> {
        let state = self.shared.lock();
        state.slots.get(&self.id)?.failure.clone()
    }

    /// Says to whoever stores octets elsewhere how to say so.
    pub(crate) fn acknowledger(&self) -> Acknowledger {
        Acknowledger {
            shared: self.shared.clone(),
            id: self.id,
        }
    }

    /// Says whether the peer has sent all and nothing of it is left to read.
    pub(crate) fn at_end(&self) -> bool {
        let state = self.shared.lock();
        state.slots.get(&self.id).is_none_or(|slot| slot.ended)
    }

    /// Lets the transfer run to its end without anybody watching.
    pub(crate) fn let_go(&self) {
        self.shared.lock().slots.remove(&self.id);
    }

    fn with_slot<T>(
        &self,
        what: impl FnOnce(&mut super::shared::State, bytestreams_machine::Instant, TransferId) -> T,
    ) -> T {
        let now = self.shared.now();
        what(&mut self.shared.lock(), now, self.id)
    }

    fn nudge(&self) {
        self.shared.act(|_, _| ());
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.shared.act(|state, now| {
            if state.slots.remove(&self.id).is_some_and(|slot| !slot.over) {
                let _ = state.stack.machine.cancel(self.id, now);
            }
        });
    }
}

/// Says that octets are stored, from wherever they are.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledger {
    shared: Arc<Shared>,
    id: TransferId,
}

impl Acknowledger {
    pub(crate) fn stored(&self, octets: usize) {
        self.shared
            .act(|state, now| state.stack.machine.stored(self.id, octets, now));
    }
}
