//! The handle of one transfer.

use super::bytestream::Bytestream;
use super::shared::{Handle, Shared, Slot, State, keep};
use super::socket::Socket;
use super::sockets::Conn;
use crate::file::exchange::conn_end;
use bytes::{Buf, Bytes};
use bytestreams_machine::ConnId;
use bytestreams_stanza::{Jid, Sid};
use bytestreams_transfer::{
    CommandError, ConnEnd, Event, Incomplete, Reason, TransferId, Via, WriteError,
};
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker, ready};
use std::io;
use std::sync::Arc;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

/// How much is read from a socket at once.
const READ: usize = 64 * 1024;

/// One transfer, in either direction. Dropping it before its end cancels it.
///
/// Octets begin to travel after [`Event::Established`], and begin again at the start of the range
/// after each further one.
pub struct Transfer {
    shared: Handle,
    id: TransferId,
    /// The stream as it was at the beginning.
    first: Option<Sid>,
    socket: Option<Socket>,
    /// The socket's name, wherever it is.
    conn: Option<ConnId>,
    /// Octets go, or went, by a socket.
    out_of_band: bool,
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transfer").field(&self.id.0).finish()
    }
}

impl Transfer {
    pub(super) fn new(shared: Handle, id: TransferId, first: Option<Sid>) -> Self {
        Self {
            shared,
            id,
            first,
            socket: None,
            conn: None,
            out_of_band: false,
        }
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

    pub(crate) fn poll_event(&mut self, cx: &Context<'_>) -> Poll<Option<Event>> {
        let mut state = self.shared.lock();
        let Some(slot) = state.slots.get_mut(&self.id) else {
            return Poll::Ready(None);
        };
        if let Some(event) = slot.next() {
            if let Event::FellBack { .. } = event {
                self.socket = None;
            }
            return Poll::Ready(Some(event));
        }
        if slot.is_over() {
            return Poll::Ready(None);
        }
        keep(&mut slot.own.waker, cx.waker());
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
        &mut self,
        cx: &mut Context<'_>,
        octets: &mut Bytes,
    ) -> Poll<Result<(), WriteError>> {
        if self.has_socket() {
            return self.poll_write_socket(cx, octets);
        }
        let mut state = self.shared.lock();
        let State { stack, slots, .. } = &mut *state;
        let Some(slot) = slots.get_mut(&self.id) else {
            return Poll::Ready(Err(WriteError::Over));
        };
        let (before, now) = (octets.len(), self.shared.now());
        let result = slot.write(&mut stack.machine, self.id, octets, now);
        let waits = result.is_ok() && !octets.is_empty();
        if waits {
            keep(&mut slot.own.writer, cx.waker());
        }
        drop(state);
        if octets.len() < before {
            self.shared.act(|_, _| ());
        }
        if waits {
            Poll::Pending
        } else {
            Poll::Ready(result)
        }
    }

    fn poll_write_socket(
        &mut self,
        cx: &mut Context<'_>,
        octets: &mut Bytes,
    ) -> Poll<Result<(), WriteError>> {
        while !octets.is_empty() {
            let n = ready!(self.poll_write_some(cx, octets))?;
            octets.advance(n);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes some of the octets to the socket.
    pub(super) fn poll_write_some(
        &mut self,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<Result<usize, WriteError>> {
        if let Some(over) = self.poll_over(cx, |slot| &mut slot.own.writer) {
            return Poll::Ready(Err(over.map_or(WriteError::Finished, |_| WriteError::Over)));
        }
        let Some(socket) = self.socket.as_mut().filter(|socket| !socket.is_shut()) else {
            return Poll::Ready(Err(WriteError::Finished));
        };
        match ready!(socket.poll_write(cx, octets)) {
            Ok(n) => {
                let told = socket.pace.moved(n);
                self.tell_moved(told);
                Poll::Ready(Ok(n))
            }
            Err(error) => {
                self.break_off(conn_end(&error));
                Poll::Ready(Err(WriteError::Over))
            }
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

    /// Takes blocks received, into `blocks`; ready when there is at least one, or when the peer has
    /// sent all (then with none). Follow with [`Transfer::stored`].
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        blocks: &mut Vec<Bytes>,
        most: usize,
    ) -> Poll<Result<(), Reason>> {
        if self.has_socket() {
            let mut piece = vec![0; READ];
            let mut buf = ReadBuf::new(&mut piece);
            ready!(self.poll_read_some(cx, &mut buf))?;
            let n = buf.filled().len();
            piece.truncate(n);
            blocks.extend((n > 0).then(|| Bytes::from(piece)));
            return Poll::Ready(Ok(()));
        }
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
        let Some(slot) = state.slots.get_mut(&self.id) else {
            return Poll::Ready(Ok(()));
        };
        if let Some(end) = slot.end() {
            return Poll::Ready(end);
        }
        keep(&mut slot.own.reader, cx.waker());
        Poll::Pending
    }

    /// Reads from the socket what is there; nothing at the end.
    pub(super) fn poll_read_some(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Reason>> {
        if let Some(over) = self.poll_over(cx, |slot| &mut slot.own.reader) {
            return Poll::Ready(over.map_or(Ok(()), Err));
        }
        let Some(socket) = &mut self.socket else {
            return Poll::Ready(Ok(()));
        };
        match ready!(socket.poll_read(cx, buf)) {
            Ok(0) => self.read_all(),
            Ok(n) => {
                let told = socket.pace.moved(n);
                self.tell_moved(told);
            }
            Err(error) => {
                let end = conn_end(&error);
                self.break_off(end);
                return Poll::Ready(Err(Reason::Connection(end)));
            }
        }
        Poll::Ready(Ok(()))
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
        } else if let Some(socket) = self.socket.take() {
            socket.abandon();
        }
        self.shared.act(|state, now| {
            if result.is_err() {
                self.abandon_in(state);
            }
            state.stack.machine.completed(self.id, result, now)
        })
    }

    /// Ends the transfer, towards the peer too. [`Event::Failed`] follows, unless it was over.
    pub fn cancel(&mut self) {
        // Over already is as good.
        let _ = self.shared.act(|state, now| {
            self.abandon_in(state);
            state.stack.machine.cancel(self.id, now)
        });
    }

    /// Makes the peer see a reset, and no end, where the socket was given back and all has been read
    /// from it: an end would say that the file is kept.
    fn abandon_in(&self, state: &mut State) {
        if let Some(conn) = self.conn.and_then(|conn| state.detached.remove(&conn)) {
            conn.abandon();
        }
    }

    /// Why it failed, once it has.
    pub fn failure(&self) -> Option<Reason> {
        let state = self.shared.lock();
        state.slots.get(&self.id)?.failure().cloned()
    }

    /// Says to whoever stores octets elsewhere how to say so.
    pub(crate) fn acknowledger(&self) -> Acknowledger {
        Acknowledger {
            shared: Arc::clone(&self.shared),
            id: self.id,
        }
    }

    /// How the octets travel, while the transfer is not over and once they can.
    pub fn via(&self) -> Option<Via> {
        self.shared.lock().stack.machine.via(self.id)
    }

    /// Takes the socket, if the octets go by one. What was done to it is then to be said.
    pub(crate) fn take_socket(&mut self) -> Option<Socket> {
        self.has_socket();
        self.socket.take()
    }

    /// Hands a socket back to which everything was written, or from which everything was read.
    pub(crate) fn return_socket(&self, conn: ConnId, stream: TcpStream) {
        let back = Conn::given_back(stream, self.id);
        self.shared
            .act(|state, _| state.detached.insert(conn, back));
    }

    /// Says that all was read from the socket that was to be, or that it broke.
    pub(crate) fn ended(&self, result: Result<(), ConnEnd>) {
        // A transfer that is over tells so by an event.
        let _ = self
            .shared
            .act(|state, now| state.stack.machine.ended(self.id, result, now));
    }

    /// Says whether octets go by a socket, and takes it when it is there to be had.
    pub(super) fn has_socket(&mut self) -> bool {
        if self.socket.is_some() {
            return true;
        }
        let mut state = self.shared.lock();
        let state = &mut *state;
        let slot = state.slots.get_mut(&self.id);
        let Some(conn) = slot.and_then(Slot::take_conn) else {
            return self.out_of_band;
        };
        self.out_of_band = true;
        self.conn = Some(conn);
        let Some(there) = state.detached.remove(&conn) else {
            // It broke on the way, and an event will tell.
            let gone = Err(ConnEnd::Reset);
            let _ = state.stack.machine.ended(self.id, gone, self.shared.now());
            state.driver.iter().for_each(Waker::wake_by_ref);
            return true;
        };
        let machine = &mut state.stack.machine;
        let left = machine.expected(self.id);
        let early = machine.early(self.id);
        self.socket = Some(Socket::new(conn, there.into_parts(), early, left));
        true
    }

    /// Says how the transfer ended, if it is over; else has the task woken when it is.
    fn poll_over(
        &self,
        cx: &Context<'_>,
        place: impl FnOnce(&mut Slot) -> &mut Option<Waker>,
    ) -> Option<Option<Reason>> {
        let mut state = self.shared.lock();
        match state.slots.get_mut(&self.id) {
            Some(slot) if slot.is_over() => Some(slot.failure().cloned()),
            Some(slot) => {
                keep(place(slot), cx.waker());
                None
            }
            None => Some(None),
        }
    }

    fn tell_moved(&self, octets: Option<u64>) {
        if let Some(octets) = octets {
            self.acknowledger().moved(octets);
        }
    }

    /// Says what was not yet said of the octets that moved.
    fn tell_rest(&mut self) {
        let rest = self.socket.as_mut().and_then(|socket| socket.pace.rest());
        self.tell_moved(rest);
    }

    fn read_all(&mut self) {
        self.tell_rest();
        self.ended(Ok(()));
    }

    /// Says that the socket broke.
    fn break_off(&mut self, end: ConnEnd) {
        self.tell_rest();
        self.socket = None;
        self.ended(Err(end));
    }

    /// Shuts our half of the socket down; what the peer has to say can still be read.
    pub(super) fn poll_shutdown_socket(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Some(socket) => socket.poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Hands the socket back to the driver, to which all has been written.
    fn give_back(&mut self) {
        self.has_socket();
        self.tell_rest();
        if let Some(socket) = self.socket.take() {
            let conn = socket.conn;
            self.return_socket(conn, socket.into_parts().0);
        }
    }

    /// Says whether the peer has sent all and nothing of it is left to read.
    pub(crate) fn at_end(&self) -> bool {
        let state = self.shared.lock();
        state.slots.get(&self.id).is_none_or(Slot::has_ended)
    }

    /// Lets the transfer run to its end without anybody watching.
    pub(crate) fn let_go(&self) {
        if let Some(slot) = self.shared.lock().slots.get_mut(&self.id) {
            slot.own.alone = true;
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        let cancelled = self.shared.act(|state, now| {
            let slot = state.slots.get(&self.id);
            let over = slot.is_none_or(Slot::is_over);
            if !over && slot.is_some_and(|slot| slot.own.alone) {
                return false;
            }
            state.slots.remove(&self.id);
            if !over {
                self.abandon_in(state);
                let _ = state.stack.machine.cancel(self.id, now);
            }
            !over
        });
        if let Some(socket) = self.socket.take().filter(|_| cancelled) {
            socket.abandon();
        }
    }
}

/// Says that octets are stored or moved, from wherever they are.
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

    /// Says that so many went through the socket.
    pub(crate) fn moved(&self, octets: u64) {
        self.shared
            .act(|state, now| state.stack.machine.moved(self.id, octets, now));
    }
}
