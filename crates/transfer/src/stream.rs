//! Octets in band: the commands that move them, and what their streams tell.

use crate::transfer::Stage;
use crate::{
    Blocked, CommandError, Event, Incomplete, Method, Reason, Side, Step, TransferId, Transfers,
    Via,
};
use bytes::{Buf, Bytes};
use bytestreams_ibb as ibb;
use bytestreams_machine::Instant;

impl Transfers {
    /// Splits off at most one block of `octets` and sends it; answers its length. Call again until
    /// `octets` is empty or it is blocked.
    ///
    /// Have at least [`Transfers::chunk`] octets at hand each time but the last, so that blocks are
    /// full.
    ///
    /// # Errors
    /// When nothing was taken.
    pub fn write(
        &mut self,
        id: TransferId,
        octets: &mut Bytes,
        now: Instant,
    ) -> Result<usize, Blocked> {
        let Ok(transfer) = self.get_mut(id) else {
            return Err(Blocked::UnknownTransfer);
        };
        let deaf = transfer.ended && !transfer.receives();
        if !transfer.sends() || deaf || transfer.finished || transfer.completed {
            return Err(Blocked::Finished);
        }
        let left = transfer.expected.map(|all| all - transfer.written);
        let Some(session) = transfer.session_mut() else {
            return Err(Blocked::NotEstablished);
        };
        let left = left.and_then(|left| usize::try_from(left).ok());
        let taken = match left {
            Some(0) if !octets.is_empty() => return Err(Blocked::Finished),
            Some(left) if left < octets.len() => {
                let taken = session.write(&mut octets.slice(..left), now);
                octets.advance(taken.unwrap_or(0));
                taken
            }
            _ => session.write(octets, now),
        };
        let taken = taken.map_err(|blocked| match blocked {
            ibb::Blocked::Window => Blocked::Full,
            ibb::Blocked::Opening => Blocked::NotEstablished,
            ibb::Blocked::Closed => Blocked::Finished,
            _ => Blocked::Full,
        })?;
        transfer.written += u64::try_from(taken).unwrap_or(u64::MAX);
        self.touch(id, now);
        Ok(taken)
    }

    /// How many octets the next block takes at most; nothing before [`Event::Established`].
    pub fn chunk(&self, id: TransferId) -> Option<usize> {
        let session = self.get(id).ok()?.session()?;
        Some(session.chunk())
    }

    /// Says that everything is written: once all is acknowledged, the stream is closed, and
    /// [`Event::Done`] follows when the peer has confirmed. Of a socket our half is shut down
    /// ([`NetCommand::ShutdownWrite`](bytestreams_machine::NetCommand::ShutdownWrite)), and the peer
    /// has 10 s to close its own; a stream without an offer ends with that both ways.
    ///
    /// Where fewer octets were written than announced, the transfer fails with
    /// [`Reason::SourceChanged`] instead, for the peer could not tell the end from a loss.
    ///
    /// # Errors
    /// When there is no such transfer, it is not established, or it is not ours to end because the
    /// peer sends.
    pub fn finish(&mut self, id: TransferId, now: Instant) -> Result<(), CommandError> {
        let transfer = self.get_mut(id)?;
        if !transfer.sends() {
            return Err(CommandError::WrongStage);
        }
        if let Stage::Socks5(_) = transfer.stage {
            return self.finish_socket(id, now);
        }
        let (expected, written) = (transfer.expected, transfer.written);
        let Some(session) = transfer.session_mut() else {
            return Err(CommandError::WrongStage);
        };
        if let Some(expected) = expected.filter(|expected| *expected != written) {
            let got = written;
            self.end(id, Err(Reason::SourceChanged { expected, got }), now);
            return Ok(());
        }
        session.finish(now);
        transfer.finished = true;
        self.touch(id, now);
        self.conclude(id, now);
        Ok(())
    }

    /// Takes the next block received, if any. Follow with [`Transfers::stored`].
    pub fn read(&mut self, id: TransferId) -> Option<Bytes> {
        self.get_mut(id).ok()?.session_mut()?.read()
    }

    /// Says that `octets` more of what was read are stored: that acknowledges them to the peer,
    /// which sends no more than it has acknowledgements for. A block is acknowledged 4 s after it
    /// came at the latest, stored or not.
    pub fn stored(&mut self, id: TransferId, octets: usize, now: Instant) {
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        let Some(session) = transfer.session_mut() else {
            return;
        };
        let before = session.buffered();
        session.stored(octets, now);
        let stored = before - session.buffered().min(before);
        transfer.stored += u64::try_from(stored).unwrap_or(u64::MAX);
        self.progress(id);
        self.touch(id, now);
        self.conclude(id, now);
    }

    /// Says how the receiving of a file went after [`Event::Ended`]: synced, checked and in its
    /// place, or not. Only now the peer is told that the stream is closed (at the latest 4 s after
    /// it asked; a socket is closed), and [`Event::Done`] or [`Event::Failed`] follows.
    ///
    /// It may come earlier: `Ok` when everything announced is stored, `Err` at any time. In band a
    /// Sender that has not been told that its file is stored then learns that it is not: by an error
    /// in the place of the acknowledgements still owed, and of the answer to its `<close/>`. Some
    /// peers look at the former only, so check what there is to check before the last octets are
    /// [`Transfers::stored`].
    ///
    /// # Errors
    /// When there is no such transfer, it is one that we offered, or `Ok` was said before
    /// everything had come.
    pub fn completed(
        &mut self,
        id: TransferId,
        result: Result<(), Incomplete>,
        now: Instant,
    ) -> Result<(), CommandError> {
        let transfer = self.get_mut(id)?;
        if !transfer.receives() {
            return Err(CommandError::WrongStage);
        }
        if let Err(incomplete) = result {
            let reason = Reason::Incomplete(incomplete);
            if transfer.is_undecided() {
                return self.turn_down(id, None, reason, now);
            }
            self.end(id, Err(reason), now);
            return Ok(());
        }
        let all_came = match transfer.expected {
            Some(expected) => transfer.received() >= expected,
            None => transfer.ended,
        };
        if matches!(&transfer.stage, Stage::Socks5(phase) if phase.is_moving()) && all_came {
            self.end(id, Ok(()), now);
            return Ok(());
        }
        let Some(session) = transfer.session_mut().filter(|_| all_came) else {
            return Err(CommandError::WrongStage);
        };
        session.confirm_close(now);
        transfer.completed = true;
        self.close_if_silent(id, now);
        self.touch(id, now);
        self.conclude(id, now);
        Ok(())
    }

    /// Takes what a stream tells.
    pub(crate) fn stream_event(&mut self, id: TransferId, event: ibb::Event, now: Instant) {
        match event {
            ibb::Event::Opened { .. } => {
                if let Ok(transfer) = self.get_mut(id) {
                    transfer.method = Method::Ibb;
                    transfer.via = Some(Via::Ibb);
                }
                self.tell(Event::Established {
                    id,
                    method: Method::Ibb,
                    conn: None,
                });
            }
            ibb::Event::Readable => self.readable(id, now),
            ibb::Event::Writable => self.tell(Event::Writable { id }),
            ibb::Event::Acknowledged { octets } => {
                if let Ok(transfer) = self.get_mut(id) {
                    transfer.acknowledged = octets;
                }
                self.progress(id);
                self.let_go(id, now);
            }
            ibb::Event::PeerClosed => self.peer_closed(id, now),
            ibb::Event::Closed => {
                self.closed(id, now);
                self.conclude(id, now);
            }
            ibb::Event::Failed(failure) => self.stream_failed(id, &failure, now),
            // An event that is news to us changes nothing for the transfer.
            _ => {}
        }
    }

    /// Notes that the stream is closed. What is late for it is answered as such, also while the
    /// application is not done with what came.
    fn closed(&mut self, id: TransferId, now: Instant) {
        if let Some(transfer) = self.live.get_mut(id) {
            transfer.closed = true;
            let mark = transfer.mark;
            if let Some(session) = transfer.session() {
                self.strays.remember_session(session, mark, now);
            }
        }
    }

    fn readable(&mut self, id: TransferId, now: Instant) {
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        if transfer.receives() {
            return self.tell(Event::Readable { id });
        }
        // A Receiver has nothing to say to the Sender of a file.
        if let Some(session) = transfer.session_mut() {
            while let Some(octets) = session.read() {
                session.stored(octets.len(), now);
            }
        }
    }

    fn peer_closed(&mut self, id: TransferId, now: Instant) {
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        let expected = transfer.expected;
        if !transfer.receives() {
            // Some Receivers close by themselves once the last octet has come. One closes before it
            // refuses the block that was out of sequence: what is in flight tells.
            transfer.ended = true;
            return self.let_go(id, now);
        }
        let got = transfer.received();
        if let Some(expected) = expected.filter(|expected| *expected > got) {
            return self.end(id, Err(Reason::TooShort { expected, got }), now);
        }
        if !core::mem::replace(&mut transfer.ended, true) {
            self.tell(Event::Ended { id });
        }
    }

    /// Confirms the close of a Receiver once nothing is in flight to it.
    fn let_go(&mut self, id: TransferId, now: Instant) {
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        let settled = transfer.written == transfer.acknowledged;
        if transfer.ended && settled && !transfer.receives() {
            if let Some(session) = transfer.session_mut() {
                session.confirm_close(now);
            }
        }
    }

    /// Deals with a Sender that says nothing any more: where everything has come, it forgot to close.
    pub(crate) fn stalled(&mut self, id: TransferId, now: Instant) {
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        if transfer.session().is_none() || transfer.stalls_at().is_none_or(|due| due > now) {
            return;
        }
        if !transfer.has_everything() {
            let step = Step::Data;
            return self.end(id, Err(Reason::TimedOut { step }), now);
        }
        transfer.ended = true;
        transfer.silent = true;
        if transfer.completed {
            self.close_if_silent(id, now);
        } else {
            self.tell(Event::Ended { id });
        }
    }

    /// Closes in place of a Sender that does not.
    fn close_if_silent(&mut self, id: TransferId, now: Instant) {
        if let Ok(transfer) = self.get_mut(id) {
            if transfer.silent {
                if let Some(session) = transfer.session_mut() {
                    session.finish(now);
                }
            }
        }
    }

    /// Fails a transfer that brings more than was announced.
    pub(crate) fn hold_to_what_was_announced(&mut self, id: TransferId, now: Instant) {
        let Ok(transfer) = self.get(id) else { return };
        let (Some(expected), true) = (transfer.expected, transfer.receives()) else {
            return;
        };
        if transfer.received() > expected {
            let reason = if transfer.ranged {
                Reason::RangeIgnored { expected }
            } else {
                Reason::TooLong { expected }
            };
            self.end(id, Err(reason), now);
        }
    }

    /// Ends a transfer whose stream is closed and with which the application is done.
    fn conclude(&mut self, id: TransferId, now: Instant) {
        let Ok(transfer) = self.get(id) else { return };
        let Some(session) = transfer.session().filter(|_| transfer.closed) else {
            return;
        };
        let nothing_left = session.buffered() == 0;
        if !transfer.receives() {
            let all = transfer.finished || transfer.expected == Some(transfer.acknowledged);
            let by = Side::Peer;
            let outcome = if all {
                Ok(())
            } else {
                Err(Reason::Cancelled { by })
            };
            return self.end(id, outcome, now);
        }
        if transfer.completed || (transfer.finished && nothing_left) {
            self.end(id, Ok(()), now);
        }
    }

    /// Tells how far a transfer is; one word about each waits at a time.
    pub(crate) fn progress(&mut self, id: TransferId) {
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        if !core::mem::replace(&mut transfer.progress_told, true) {
            let octets = transfer.moved();
            self.tell(Event::Progress { id, octets });
        }
    }
}
