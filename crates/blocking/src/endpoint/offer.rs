//! What peers offer.

use super::shared::{Shared, transfer_of};
use super::transfer::Transfer;
use bytestreams_stanza::{File, Jid, Range, Sid};
use bytestreams_transfer::{CommandError, Event, Methods, Reason, Side, TransferId};
use core::fmt;
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
            if let Some(event) = state.offers.queue.pop_front() {
                let offer = Offer::new(&self.shared, event);
                if offer.is_some() {
                    return offer;
                }
            } else if state.has_ended() {
                return None;
            } else {
                state = state.wait_for_news();
            }
        }
    }
}

impl Drop for Offers {
    fn drop(&mut self) {
        self.shared.act(|state, now| {
            state.offers.open = false;
            for event in core::mem::take(&mut state.offers.queue) {
                if let Some(id) = transfer_of(&event) {
                    state.slots.remove(&id);
                    let _ = state.stack.machine.decline(id, None, now);
                }
            }
        });
    }
}

/// A file or a stream that a peer offers. Dropping it declines.
pub struct Offer {
    shared: Option<Arc<Shared>>,
    id: TransferId,
    from: Jid,
    sid: Sid,
    file: File,
    methods: Methods,
    announced: bool,
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("from", &self.from)
            .field("sid", &self.sid)
            .field("file", &self.file)
            .field("announced", &self.announced)
            .finish_non_exhaustive()
    }
}

impl Offer {
    fn new(shared: &Arc<Shared>, event: Event) -> Option<Self> {
        if let Event::Offered {
            id,
            from,
            sid,
            file,
            methods,
            announced,
            ..
        } = event
        {
            Some(Self {
                shared: Some(shared.clone()),
                id,
                from,
                sid,
                file,
                methods,
                announced,
            })
        } else {
            None
        }
    }

    /// Who offers, as the link stamped it.
    pub fn from(&self) -> &Jid {
        &self.from
    }

    /// The stream.
    pub fn sid(&self) -> &Sid {
        &self.sid
    }

    /// The file, as the peer describes it. Its name is not to be trusted: see
    /// [`crate::safe_name`].
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The methods that both sides have.
    pub fn methods(&self) -> &Methods {
        &self.methods
    }

    /// Whether there was an offer (XEP-0095). Otherwise it is a bare stream, with neither name nor
    /// size.
    pub fn announced(&self) -> bool {
        self.announced
    }

    /// Whether a part of the file can be asked for: the offer allows ranges and has hash and size.
    pub fn takes_range(&self) -> bool {
        self.file.range.is_some() && self.file.hash.is_some() && self.file.size.is_some()
    }

    /// Accepts it, from [`Range::offset`] on where [`Offer::takes_range`].
    ///
    /// # Errors
    /// Why there is nothing to accept any more: the peer has withdrawn it, or the link has ended.
    /// When the range cannot be asked for, the offer is declined.
    pub fn accept(mut self, range: Range) -> Result<Transfer, Reason> {
        let cancelled = Reason::Cancelled { by: Side::Peer };
        let Some(shared) = self.shared.take() else {
            return Err(cancelled);
        };
        let slot = shared
            .lock()
            .slots
            .get(&self.id)
            .map(|slot| slot.changed.clone());
        let Some(changed) = slot else {
            return Err(cancelled);
        };
        // Its drop ends what was not accepted.
        let transfer = Transfer::new(shared.clone(), self.id, changed, Some(self.sid.clone()));
        match shared.act(|state, now| state.stack.machine.accept(self.id, range, now)) {
            Ok(()) => Ok(transfer),
            Err(CommandError::BadRange) => Err(Reason::BadRange {
                offset: range.offset.unwrap_or(0),
                length: range.length,
            }),
            Err(_) => Err(transfer.failure().unwrap_or(cancelled)),
        }
    }

    /// Declines it, with words for the peer if given.
    pub fn decline(mut self, text: Option<&str>) {
        self.refuse(text);
    }

    fn refuse(&mut self, text: Option<&str>) {
        if let Some(shared) = self.shared.take() {
            shared.act(|state, now| {
                state.slots.remove(&self.id);
                let machine = &mut state.stack.machine;
                // One that was withdrawn needs no answer.
                let _ = machine.decline(self.id, text.map(Arc::from), now);
            });
        }
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.refuse(None);
    }
}
