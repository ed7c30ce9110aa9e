//! The socket that is the application's, and its end.

use super::phase::Moving;
use super::sockets::Owner;
use super::{Phase, Told};
use crate::transfer::{STALL, Stage, Transfer};
use crate::{
    CommandError, ConnEnd, Event, Method, Reason, Side, Step, TransferId, Transfers, Via as Way,
};
use alloc::boxed::Box;
use bytes::Bytes;
use bytestreams_machine::{ConnId, Instant, NetCommand, Output};
use bytestreams_socks5::Via;
use core::time::Duration;

/// How long the peer has to read the rest and close once we have shut our half down.
const LAST_WORD: Duration = Duration::from_secs(10);

impl Transfers {
    /// Takes the octets of the stream that came before its socket was the application's, at
    /// [`Event::Established`]: they stand before what is read from it. Nothing, in band and later.
    pub fn early(&mut self, id: TransferId) -> Bytes {
        let phase = self.live.get_mut(id).and_then(Transfer::phase_mut);
        phase.map(Phase::early).unwrap_or_default()
    }

    /// Says that `octets` more went through the socket: written to it where we send, stored where
    /// we receive (those of [`Transfers::early`] too). [`Event::Progress`] follows, and
    /// [`Event::Failed`] where it is more than announced.
    ///
    /// Where it is not said for 300 s, a transfer that was offered counts as stalled.
    pub fn moved(&mut self, id: TransferId, octets: u64, now: Instant) {
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        if !transfer.phase().is_some_and(Phase::is_moving) {
            return;
        }
        transfer.heard = now;
        let all = if transfer.started.is_some() {
            &mut transfer.acknowledged
        } else {
            &mut transfer.stored
        };
        *all = all.saturating_add(octets);
        if octets > 0 {
            self.progress(id);
        }
        self.touch(id, now);
    }

    /// Says that nothing more is to be had from the socket: where we receive, everything announced
    /// has come (say it then) or the stream ended before; `Err` where the socket broke, also while
    /// we write. [`Event::Ended`] follows where everything has come, as in band, and
    /// [`Event::Failed`] where not.
    ///
    /// # Errors
    /// When there is no such transfer, or it has no socket.
    pub fn ended(
        &mut self,
        id: TransferId,
        result: Result<(), ConnEnd>,
        now: Instant,
    ) -> Result<(), CommandError> {
        let transfer = self.get_mut(id)?;
        let Stage::Socks5(phase) = &mut transfer.stage else {
            return Err(CommandError::WrongStage);
        };
        if !phase.is_established() {
            return Err(CommandError::WrongStage);
        }
        if let Err(end) = result {
            self.end(id, Err(Reason::Connection(end)), now);
            return Ok(());
        }
        match &mut **phase {
            Phase::Moving(moving) if transfer.announced && transfer.started.is_some() => {
                moving.gone = true;
                let sent = transfer.acknowledged;
                if transfer.expected.is_some_and(|expected| sent < expected) {
                    let by = Side::Peer;
                    self.end(id, Err(Reason::Cancelled { by }), now);
                }
            }
            Phase::Moving(moving) => {
                moving.gone = true;
                let got = transfer.stored;
                if let Some(expected) = transfer.expected.filter(|expected| got < *expected) {
                    self.end(id, Err(Reason::TooShort { expected, got }), now);
                } else if !core::mem::replace(&mut transfer.ended, true) {
                    self.tell(Event::Ended { id });
                    self.touch(id, now);
                }
            }
            Phase::Ending(..) => self.end(id, Ok(()), now),
            Phase::Requesting(_) | Phase::Trying(_) | Phase::Quiet(_) => {}
        }
        Ok(())
    }

    /// Takes what a negotiation tells.
    pub(super) fn socks5_event(&mut self, id: TransferId, event: Told, now: Instant) {
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        // A place holder, which is not the end yet.
        let stage = core::mem::replace(&mut transfer.stage, Stage::Expecting(now));
        let Stage::Socks5(phase) = stage else {
            transfer.stage = stage;
            return;
        };
        match (*phase, event) {
            (Phase::Requesting(mut requester), Told::Established { conn, via }) => {
                let early = if self.socks5.sockets.owner(conn) == Some(Owner::Inbound) {
                    self.socks5.sockets.insert(conn, Owner::Transfer(id));
                    self.socks5.inbound.take(conn)
                } else {
                    requester.early()
                };
                self.close_all_but(id, Some(conn));
                self.moving(id, conn, &via, early, now);
                self.expect_no_more(id, &Phase::Requesting(requester), now);
            }
            (Phase::Trying(target), Told::Established { conn, via }) => {
                self.connected(id, target, conn, via, now);
            }
            (phase, Told::Failed(reason)) => self.negotiation_failed(id, &phase, reason, now),
            (phase, _) => transfer.stage = Stage::Socks5(Box::new(phase)),
        }
    }

    /// Hands a socket over to the application.
    pub(super) fn moving(
        &mut self,
        id: TransferId,
        conn: ConnId,
        via: &Via,
        early: Bytes,
        now: Instant,
    ) {
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        let gone = false;
        let moving = Moving { conn, early, gone };
        transfer.stage = Stage::Socks5(Box::new(Phase::Moving(moving)));
        transfer.method = Method::Socks5;
        // Without the Proxy's name.
        transfer.via = Some(match via {
            Via::Direct => Way::Direct,
            Via::Proxy(_) => Way::Proxy,
        });
        transfer.had_stream = true;
        transfer.heard = now;
        transfer.failure = None;
        let detach = NetCommand::Detach(conn);
        self.queue.push_back(Output::Net(detach));
        self.tell(Event::Established {
            id,
            method: Method::Socks5,
            conn: Some(conn),
        });
        self.touch(id, now);
    }

    /// Takes the end of a socket, which the driver saw.
    pub(super) fn socket_closed(&mut self, id: TransferId, conn: ConnId, now: Instant) {
        if let Some((conn, via)) = self.quiet(id) {
            return self.ended_quietly(id, conn, via, now);
        }
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        match transfer.phase_mut() {
            Some(Phase::Moving(moving)) if moving.conn == conn => moving.gone = true,
            Some(Phase::Ending(_)) => self.end(id, Ok(()), now),
            _ => {}
        }
    }

    /// Ends what we write: the peer has the rest to read before the socket closes.
    pub(crate) fn finish_socket(
        &mut self,
        id: TransferId,
        now: Instant,
    ) -> Result<(), CommandError> {
        let transfer = self.get_mut(id)?;
        let Some(Phase::Moving(moving)) = transfer.phase() else {
            return Err(CommandError::WrongStage);
        };
        let (conn, gone) = (moving.conn, moving.gone);
        let got = transfer.acknowledged;
        if let Some(expected) = transfer.expected.filter(|expected| *expected != got) {
            self.end(id, Err(Reason::SourceChanged { expected, got }), now);
            return Ok(());
        }
        transfer.finished = true;
        transfer.stage = Stage::Socks5(Box::new(Phase::Ending(now + LAST_WORD)));
        if gone {
            self.end(id, Ok(()), now);
        } else {
            self.command(NetCommand::ShutdownWrite(conn));
            self.touch(id, now);
        }
        Ok(())
    }

    /// When a transfer counts as stalled: nothing of the file moves, and not all has.
    pub(crate) fn socket_stalls_at(transfer: &Transfer) -> Option<Instant> {
        let moving = transfer.phase().is_some_and(Phase::is_moving);
        let all = transfer.expected.is_some_and(|all| transfer.moved() >= all);
        let waits = moving && transfer.announced && !transfer.ended && !all;
        waits.then(|| transfer.heard + STALL)
    }

    /// Fires what is due of a negotiation or a socket.
    pub(crate) fn wake_socks5(&mut self, id: TransferId, now: Instant) {
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        let stalled = Self::socket_stalls_at(transfer).is_some_and(|due| due <= now);
        let Some(phase) = transfer.phase_mut() else {
            return;
        };
        phase.handle_timeout(now);
        match phase {
            Phase::Requesting(_) | Phase::Trying(_) => self.drain_socks5(id, now),
            Phase::Ending(due) if *due <= now => self.end(id, Ok(()), now),
            Phase::Quiet(quiet) if quiet.due <= now => {
                let step = Step::Data;
                self.end(id, Err(Reason::TimedOut { step }), now);
            }
            Phase::Moving(_) if stalled => {
                let step = Step::Data;
                self.end(id, Err(Reason::TimedOut { step }), now);
            }
            Phase::Quiet(_) | Phase::Moving(_) | Phase::Ending(..) => {}
        }
    }
}
