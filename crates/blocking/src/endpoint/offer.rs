//! What peers offer.

use super::shared::Shared;
use super::transfer::Transfer;
use bytestreams_stanza::Range;
use bytestreams_transfer::{Proposal, Reason};
use core::fmt;
use core::ops::Deref;
use std::sync::Arc;

/// The offers of peers, as they come: `next` waits for one, and answers `None` when the link has
/// ended. Once it is dropped, offers are declined.
#[derive(Debug)]
pub struct Offers {
    shared: Arc<Shared>,
}

impl Offers {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl Iterator for Offers {
    type Item = Offer;

    fn next(&mut self) -> Option<Offer> {
        let mut state = self.shared.lock();
        loop {
            if let Some(proposal) = state.offers.queue.pop_front() {
                return Some(Offer::new(&self.shared, proposal));
            }
            if state.is_gone() {
                return None;
            }
            state = state.wait_for_news();
        }
    }
}

impl Drop for Offers {
    fn drop(&mut self) {
        self.shared.act(|state, now| {
            state.offers.open = false;
            for proposal in core::mem::take(&mut state.offers.queue) {
                state.refuse(proposal.id(), None, now);
            }
        });
    }
}

/// A file or a stream that a peer offers, as its [`Proposal`] tells. Dropping it declines.
pub struct Offer {
    shared: Option<Arc<Shared>>,
    proposal: Proposal,
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Offer").field(&self.proposal).finish()
    }
}

impl Deref for Offer {
    type Target = Proposal;

    fn deref(&self) -> &Proposal {
        &self.proposal
    }
}

impl Offer {
    fn new(shared: &Arc<Shared>, proposal: Proposal) -> Self {
        Self {
            shared: Some(shared.clone()),
            proposal,
        }
    }

    /// Accepts it, from [`Range::offset`] on where [`Proposal::takes_range`].
    ///
    /// # Errors
    /// Why there is nothing to accept any more: the peer has withdrawn it, or the link has ended.
    /// When the range cannot be asked for, the offer is declined.
    pub fn accept(mut self, range: Range) -> Result<Transfer, Reason> {
        let Some(shared) = self.shared.take() else {
            return Err(Proposal::withdrawn());
        };
        let (id, sid) = (self.id(), self.sid().clone());
        let Some(changed) = shared.lock().changed(id) else {
            return Err(Proposal::withdrawn());
        };
        // Its drop ends what was not accepted.
        let transfer = Transfer::new(shared.clone(), id, changed, Some(sid));
        let accepted = shared.act(|state, now| state.stack.machine.accept(id, range, now));
        match accepted {
            Ok(()) => Ok(transfer),
            Err(error) => Err(Proposal::refused(error, range, transfer.failure())),
        }
    }

    /// Declines it, with words for the peer if given.
    pub fn decline(mut self, text: Option<&str>) {
        self.refuse(text);
    }

    fn refuse(&mut self, text: Option<&str>) {
        if let Some(shared) = self.shared.take() {
            shared.act(|state, now| state.refuse(self.proposal.id(), text, now));
        }
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.refuse(None);
    }
}
