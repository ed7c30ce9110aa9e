//! The handle of one transfer.

use super::bytestream::Bytestream;
use super::shared::{Shared, Slot, State, pour};
use crate::file::exchange::conn_end;
use crate::file::haul::{Cut, Leash, Line};
use bytes::Bytes;
use bytestreams_machine::Instant;
use bytestreams_stanza::{Jid, Sid};
use bytestreams_transfer::{
    CommandError, ConnEnd, Event, Incomplete, Reason, TransferId, Via, WriteError,
};
use core::fmt;
use std::io;
use std::sync::{Arc, Condvar};

/// One transfer, in either direction. Dropping it before its end cancels it.
///
/// Octets begin to travel after [`Event::Established`], and begin again at the start of the range
/// after each further one.
pub struct Transfer {
    shared: Arc<Shared>,
    id: TransferId,
    changed: Arc<Condvar>,
    /// The stream as it was at the beginning.
    first: Option<Sid>,
    line: Option<Line>,
    /// Octets go, or went, by a socket.
    out_of_band: bool,
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transfer").field(&self.id.0).finish()
    }
}

/// Ends a transfer from wherever it is, while another thread waits for it.
#[derive(Clone, Debug)]
pub struct Canceller {
    shared: Arc<Shared>,
    id: TransferId,
}

impl Canceller {
    /// Ends the transfer, towards the peer too. [`Event::Failed`] follows, unless it was over.
    pub fn cancel(&self) {
        // Over already is as good.
        let _ = self
            .shared
            .act(|state, now| state.stack.machine.cancel(self.id, now));
    }
}

/// What a thread that moves octets in band waits for.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives for a moment on the stack"
)]
pub(crate) enum Step {
    /// An event, or that none follows.
    Event(Option<Event>),
    /// There is work for this thread.
    Work,
}

impl Transfer {
    pub(super) fn new(
        shared: Arc<Shared>,
        id: TransferId,
        changed: Arc<Condvar>,
        first: Option<Sid>,
    ) -> Self {
        Self {
            shared,
            id,
            changed,
            first,
            line: None,
            out_of_band: false,
        }
    }

    /// Its name on this link.
    pub fn id(&self) -> TransferId {
        self.id
    }

    /// The stream. It changes when the offer is repeated ([`Event::FellBack`]); `None` when the
    /// transfer could not even begin.
    pub fn sid(&self) -> Option<Sid> {
        let state = self.shared.lock();
        let sid = state.stack.machine.sid(self.id).cloned();
        sid.or_else(|| self.first.clone())
    }

    /// The peer, while the transfer is not over.
    pub fn peer(&self) -> Option<Jid> {
        self.shared.lock().stack.machine.peer(self.id).cloned()
    }

    /// How the octets travel, while the transfer is not over and once they can.
    pub fn via(&self) -> Option<Via> {
        self.shared.lock().stack.machine.via(self.id)
    }

    /// Why it failed, once it has.
    pub fn failure(&self) -> Option<Reason> {
        let state = self.shared.lock();
        state.slots.get(&self.id)?.failure().cloned()
    }

    /// Makes a handle that can end the transfer while this one is waited for.
    pub fn canceller(&self) -> Canceller {
        Canceller {
            shared: self.shared.clone(),
            id: self.id,
        }
    }

    /// Ends the transfer, towards the peer too. [`Event::Failed`] follows, unless it was over.
    pub fn cancel(&self) {
        self.canceller().cancel();
    }

    /// Waits for the next event: [`Event::Accepted`], [`Event::Established`], [`Event::FellBack`],
    /// [`Event::Progress`] (the last word only, if it is not asked for in time), [`Event::Ended`],
    /// and at last [`Event::Done`] or [`Event::Failed`]; `None` after that.
    #[expect(
        clippy::should_implement_trait,
        reason = "a transfer is more than its events"
    )]
    pub fn next(&mut self) -> Option<Event> {
        match self.step(|_| false) {
            Step::Event(event) => event,
            Step::Work => None,
        }
    }

    /// Waits for the next event, or for work.
    pub(crate) fn step(&mut self, mut work: impl FnMut(&mut Ground<'_>) -> bool) -> Step {
        let event = self.wait(|ground| {
            if let Some(event) = ground.slot.next() {
                return Some(Step::Event(Some(event)));
            }
            if ground.slot.is_over() {
                return Some(Step::Event(None));
            }
            work(ground).then_some(Step::Work)
        });
        let event = event.unwrap_or(Step::Event(None));
        if let Step::Event(Some(Event::FellBack { .. })) = event {
            if let Some(slot) = self.shared.lock().slots.get_mut(&self.id) {
                slot.own.piece.clear();
            }
            self.line = None;
            self.out_of_band = false;
        }
        event
    }

    /// Waits until `ready` says something; `None` when the transfer is known no more.
    fn wait<T>(&self, mut ready: impl FnMut(&mut Ground<'_>) -> Option<T>) -> Option<T> {
        let mut locked = self.shared.lock();
        loop {
            let State { stack, slots, .. } = &mut *locked;
            let mut ground = Ground {
                machine: &mut stack.machine,
                slot: slots.get_mut(&self.id)?,
                id: self.id,
                now: self.shared.now(),
                moved: false,
            };
            let result = ready(&mut ground);
            let moved = ground.moved;
            if moved {
                locked = self.shared.drive(locked);
            }
            if result.is_some() {
                return result;
            }
            // Turning the crank may have changed what is waited for, and nobody else says so.
            if !moved {
                locked.slots.get_mut(&self.id)?.own.waiting = true;
                locked = locked.wait(&self.changed, None);
                locked.slots.get_mut(&self.id)?.own.waiting = false;
            }
        }
    }

    /// Waits until octets can travel, then makes a stream of them.
    ///
    /// # Errors
    /// Why the transfer failed before.
    pub fn into_stream(mut self) -> Result<Bytestream, Reason> {
        loop {
            match self.next() {
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
    pub fn write(&mut self, octets: &mut Bytes) -> Result<(), WriteError> {
        if self.has_line() {
            while !octets.is_empty() {
                let n = self.write_some(octets)?;
                let _ = octets.split_to(n);
            }
            return Ok(());
        }
        let written = self.wait(|ground| ground.write(octets));
        written.unwrap_or(Err(WriteError::Over))
    }

    /// Writes some of the octets to the socket.
    pub(super) fn write_some(&mut self, octets: &[u8]) -> Result<usize, WriteError> {
        let Some(line) = &mut self.line else {
            return Err(WriteError::Over);
        };
        line.write(octets).map_err(|cut| {
            self.cut(cut);
            WriteError::Over
        })
    }

    /// Reads from the socket what there is, waiting for some; nothing at the end.
    pub(super) fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, Reason> {
        let Some(line) = &mut self.line else {
            return self.failure().map_or(Ok(0), Err);
        };
        match line.read(buffer) {
            Ok(0) if !buffer.is_empty() => {
                line.tell_rest();
                self.ended(Ok(()));
                Ok(0)
            }
            Ok(n) => Ok(n),
            Err(cut) => Err(self.cut(cut)),
        }
    }

    /// Says that the socket moves no more.
    fn cut(&mut self, cut: Cut) -> Reason {
        if let Some(mut line) = self.line.take() {
            line.tell_rest();
        }
        match cut {
            Cut::Conn(error) => {
                let end = conn_end(&error);
                self.ended(Err(end));
                Reason::Connection(end)
            }
            Cut::Stopped => self.failure().unwrap_or(Reason::LinkLost),
        }
    }

    /// Says that everything is written. [`Event::Done`] follows when the peer has it all.
    ///
    /// # Errors
    /// When the transfer is over or not established.
    pub fn finish(&mut self) -> Result<(), CommandError> {
        self.give_back();
        self.shared.act(|state, now| {
            state.stack.machine.finish(self.id, now)?;
            if let Some(slot) = state.slots.get_mut(&self.id) {
                slot.finished(self.out_of_band);
            }
            Ok(())
        })
    }

    /// Waits for octets; `None` when the peer has sent all. Follow with [`Transfer::stored`] once
    /// they are where they belong: that lets the peer send more.
    ///
    /// # Errors
    /// Why the transfer failed.
    pub fn read(&mut self) -> Result<Option<Bytes>, Reason> {
        if self.has_line() {
            let mut piece = vec![0; PIECE];
            let n = self.read_some(&mut piece)?;
            piece.truncate(n);
            return Ok((n > 0).then(|| Bytes::from(piece)));
        }
        self.wait(|ground| ground.read()).unwrap_or(Ok(None))
    }

    /// Says that `octets` more of what was read are stored.
    pub fn stored(&self, octets: usize) {
        if self.out_of_band {
            // Reading it from the socket said so.
            return;
        }
        self.shared
            .act(|state, now| state.stack.machine.stored(self.id, octets, now));
    }

    /// Says how the receiving went: everything is in its place, or not. [`Event::Done`] or
    /// [`Event::Failed`] follows.
    ///
    /// # Errors
    /// When the transfer is over, or not everything has come.
    pub fn completed(&mut self, result: Result<(), Incomplete>) -> Result<(), CommandError> {
        if result.is_ok() {
            self.give_back();
        } else {
            self.abandon();
        }
        self.shared
            .act(|state, now| state.stack.machine.completed(self.id, result, now))
    }

    /// Says that all was read from the socket that was to be, or that it broke.
    pub(crate) fn ended(&self, result: Result<(), ConnEnd>) {
        // A transfer that is over tells so by an event.
        let _ = self
            .shared
            .act(|state, now| state.stack.machine.ended(self.id, result, now));
    }

    /// Says whether octets go by a socket, and takes it when it is there to be had.
    pub(crate) fn has_line(&mut self) -> bool {
        if self.line.is_some() {
            return true;
        }
        let shared = self.shared.clone();
        let mut locked = shared.lock();
        let state = &mut *locked;
        let slot = state.slots.get_mut(&self.id);
        let Some(conn) = slot.and_then(Slot::take_conn) else {
            return self.out_of_band;
        };
        self.out_of_band = true;
        let early = state.stack.machine.early(self.id);
        let left = state.stack.machine.expected(self.id);
        let stream = state.sockets.take(conn, self.id);
        let (counter, id) = (shared.clone(), self.id);
        let tell = move |octets| {
            counter.act(|state, now| state.stack.machine.moved(id, octets, now));
        };
        let line = stream.and_then(|stream| Line::new(stream, early, left, tell).ok());
        if let (Some((line, leash)), Some(slot)) = (line, state.slots.get_mut(&self.id)) {
            slot.own.leash = Some(leash);
            self.line = Some(line);
        } else {
            // It broke on the way, and an event will tell.
            let gone = Err(ConnEnd::Reset);
            let _ = state.stack.machine.ended(self.id, gone, shared.now());
            drop(shared.drive(locked));
        }
        true
    }

    /// Takes the socket, if the octets go by one. What was done to it is then to be said.
    pub(crate) fn take_line(&mut self) -> Option<Line> {
        self.has_line();
        self.line.take()
    }

    /// Says to the thread that waits for the transfer that another has moved its octets.
    pub(crate) fn hauled(&self) -> impl FnOnce() + Send + 'static {
        let (shared, id) = (self.shared.clone(), self.id);
        move || {
            let mut locked = shared.lock();
            let (state, calls) = locked.parts();
            if let Some(slot) = state.slots.get_mut(&id) {
                slot.own.hauled = true;
                slot.own.call(calls);
            }
        }
    }

    /// Forgets that another thread has moved octets: they are void.
    pub(crate) fn forget_hauled(&self) {
        if let Some(slot) = self.shared.lock().slots.get_mut(&self.id) {
            slot.own.hauled = false;
        }
    }

    /// Says to the thread that waits for the transfer that its file is wanted elsewhere.
    pub(crate) fn wanted(&self) -> impl Fn() + Send + Sync + 'static {
        let (shared, id) = (self.shared.clone(), self.id);
        move || {
            let mut locked = shared.lock();
            let (state, calls) = locked.parts();
            if let Some(slot) = state.slots.get_mut(&id) {
                slot.own.wanted = true;
                slot.own.call(calls);
            }
        }
    }

    /// Shuts our half of the socket down; what the peer has to say can still be read.
    pub(super) fn shutdown(&self) -> io::Result<()> {
        self.line.as_ref().map_or(Ok(()), Line::shutdown)
    }

    /// Leaves the socket, to which all has been written or from which all has been read.
    fn give_back(&mut self) {
        self.has_line();
        if let Some(mut line) = self.line.take() {
            line.tell_rest();
        }
        self.release();
    }

    /// Lets go of the leash: the socket is given back whole.
    pub(crate) fn release(&self) {
        let leash = self.take_leash();
        if let Some(leash) = leash {
            leash.release();
        }
    }

    /// Breaks the socket off, if there is one.
    pub(crate) fn abandon(&mut self) {
        self.line = None;
        drop(self.take_leash());
    }

    fn take_leash(&self) -> Option<Leash> {
        let mut state = self.shared.lock();
        state.slots.get_mut(&self.id)?.own.leash.take()
    }

    /// Says whether the peer has sent all and nothing of it is left to read.
    pub(super) fn at_end(&self) -> bool {
        let state = self.shared.lock();
        state.slots.get(&self.id).is_none_or(Slot::has_ended)
    }

    /// Lets the transfer run to its end without anybody watching.
    pub(super) fn let_go(&self) {
        if let Some(slot) = self.shared.lock().slots.get_mut(&self.id) {
            if let Some(leash) = slot.own.leash.take() {
                leash.release();
            }
            slot.own.alone = true;
        }
    }
}

/// How much is read from a socket at once.
const PIECE: usize = 64 * 1024;

/// What a transfer stands on, while it is looked at.
pub(crate) struct Ground<'a> {
    machine: &'a mut bytestreams_transfer::Transfers,
    pub(crate) slot: &'a mut Slot,
    id: TransferId,
    now: Instant,
    /// The crank is to be turned.
    moved: bool,
}

impl Ground<'_> {
    /// Puts octets where whoever turns the crank hands them to the machine; says how that went once
    /// all are taken or none will be. What is left is in `octets` then.
    pub(crate) fn write(&mut self, octets: &mut Bytes) -> Option<Result<(), WriteError>> {
        match self.put(octets) {
            Ok(_) if self.slot.own.piece.is_empty() => Some(Ok(())),
            Ok(_) => None,
            Err(error) => {
                *octets = core::mem::take(&mut self.slot.own.piece);
                Some(Err(error))
            }
        }
    }

    /// The same, without waiting for more than that the octets put before are taken; says whether
    /// these are put there.
    pub(crate) fn put(&mut self, octets: &mut Bytes) -> Result<bool, WriteError> {
        self.pour()?;
        let free = self.slot.own.piece.is_empty();
        if free {
            self.slot.own.piece = core::mem::take(octets);
            self.pour()?;
        }
        Ok(free)
    }

    fn pour(&mut self) -> Result<(), WriteError> {
        let (poured, result) = pour(self.slot, self.machine, self.id, self.now);
        self.moved |= poured;
        result
    }

    /// Takes a block from the machine; says what there is once there is, or never will be.
    pub(crate) fn read(&mut self) -> Option<Result<Option<Bytes>, Reason>> {
        match self.machine.read(self.id) {
            Some(block) => Some(Ok(Some(block))),
            None => self.slot.end().map(|end| end.map(|()| None)),
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        // A reset is to be seen and no end, so the leash goes before the line does.
        let slot = self.shared.act(|state, now| {
            let alone = |slot: &Slot| slot.own.alone && !slot.is_over();
            if state.slots.get(&self.id).is_some_and(alone) {
                return None;
            }
            let slot = state.slots.remove(&self.id)?;
            if !slot.is_over() {
                let _ = state.stack.machine.cancel(self.id, now);
            }
            Some(slot)
        });
        drop(slot);
    }
}
