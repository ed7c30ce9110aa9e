//! What follows when a SOCKS5 bytestream does not come about: the same stream in band.

use super::Phase;
use crate::transfer::Stage;
use crate::{Event, Method, Reason, TransferId, Transfers};
use alloc::boxed::Box;
use bytestreams_machine::Instant;
use bytestreams_socks5 as socks5;
use core::time::Duration;

/// How long a peer has to open the stream in band once its SOCKS5 bytestream failed.
const OPENING: Duration = Duration::from_secs(30);

impl Transfers {
    /// Opens the stream in band, with the same sid and at once, where we began.
    pub(crate) fn fall_back(&mut self, id: TransferId, reason: Reason, now: Instant) {
        self.listen_no_more(id, now);
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        let in_band = transfer.started.as_ref().is_some_and(|s| s.choices.in_band);
        if !in_band {
            return self.end(id, Err(reason), now);
        }
        transfer.method = Method::Ibb;
        transfer.fell_back = true;
        let unheard = socks5::Reason::TimedOut(socks5::Step::StreamHostUsed);
        transfer.answered = reason != Reason::Socks5(unheard);
        self.tell(Event::FellBack {
            id,
            from: Method::Socks5,
            to: Method::Ibb,
            reason,
        });
        self.open_now(id, now);
    }

    /// Waits for the stream in band, where the peer began.
    pub(super) fn wait_in_band(&mut self, id: TransferId, reason: Reason, now: Instant) {
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        if !transfer.in_band {
            return self.end(id, Err(reason), now);
        }
        transfer.stage = Stage::Expecting(now + OPENING);
        transfer.failure = Some(Box::new(reason.clone()));
        self.tell_fallen_back(id, reason);
        self.touch(id, now);
    }

    /// Tells that the peer goes in band where SOCKS5 was agreed on.
    pub(super) fn tell_fallen_back(&mut self, id: TransferId, reason: Reason) {
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        if core::mem::replace(&mut transfer.method, Method::Ibb) == Method::Socks5 {
            self.tell(Event::FellBack {
                id,
                from: Method::Socks5,
                to: Method::Ibb,
                reason,
            });
        }
    }

    /// Gets a stage ready for an `<open/>` with the sid of a transfer that we accepted; says whether
    /// it may come now.
    pub(crate) fn makes_way(&mut self, id: TransferId, now: Instant) -> bool {
        let Ok(transfer) = self.get_mut(id) else {
            return false;
        };
        if !transfer.in_band {
            return false;
        }
        if !transfer.is_expected() && !transfer.phase().is_some_and(Phase::is_unsure) {
            return false;
        }
        let stage = core::mem::replace(&mut transfer.stage, Stage::Expecting(now));
        self.tell_fallen_back(id, Reason::GivenUp);
        if let Stage::Socks5(phase) = stage {
            self.abandon(id, *phase, now);
        }
        true
    }

    /// Takes the failure of a negotiation.
    pub(super) fn negotiation_failed(
        &mut self,
        id: TransferId,
        phase: &Phase,
        reason: socks5::Reason,
        now: Instant,
    ) {
        self.close_all_but(id, None);
        self.expect_no_more(id, phase, now);
        let reason = Reason::Socks5(reason);
        match phase {
            Phase::Trying(target) => {
                self.socks5.failed.learn(target, now);
                self.wait_in_band(id, reason, now);
            }
            Phase::Requesting(_) | Phase::Quiet(_) | Phase::Moving(_) | Phase::Ending(..) => {
                self.fall_back(id, reason, now);
            }
        }
    }
}
