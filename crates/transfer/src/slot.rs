//! What an adapter keeps of a transfer between the machine and the application.

use crate::{Blocked, Event, Reason, TransferId, Transfers};
use alloc::collections::VecDeque;
use bytes::Bytes;
use bytestreams_machine::{ConnId, Instant};
use core::fmt;

/// What the application is still to hear of one transfer, and what it may do meanwhile. `own` is the
/// adapter's own, such as whom to wake.
#[derive(Debug, Default)]
pub struct Slot<W> {
    events: VecDeque<Event>,
    /// The last word on progress, which overtakes nothing but itself.
    progress: Option<Event>,
    /// The stream fell back, and the application has not yet heard that another is established:
    /// what it writes belongs to the old one.
    void: bool,
    conn: Option<ConnId>,
    by_socket: bool,
    ending: bool,
    ended: bool,
    over: bool,
    failure: Option<Reason>,
    /// The adapter's own.
    pub own: W,
}

impl<W: Default> Slot<W> {
    /// Makes the slot of a transfer that failed before it began, since there is no link.
    pub fn stillborn(id: TransferId) -> Self {
        let mut slot = Self::default();
        let reason = Reason::LinkLost;
        slot.take_note(Event::Failed { id, reason });
        slot
    }
}

impl<W> Slot<W> {
    /// Takes note of an event of the transfer. Nothing is heard of one that is over.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other events change nothing here"
    )]
    pub fn take_note(&mut self, event: Event) {
        if self.over {
            return;
        }
        match event {
            Event::Readable { .. } | Event::Writable { .. } => return,
            Event::Progress { .. } => {
                self.progress = Some(event);
                return;
            }
            Event::Established { conn, .. } => {
                self.conn = conn;
                self.by_socket = conn.is_some();
            }
            Event::FellBack { .. } => {
                self.void = true;
                self.conn = None;
                self.progress = None;
            }
            Event::Ended { .. } => self.ended = true,
            Event::Done { .. } => self.over = true,
            Event::Failed { ref reason, .. } => {
                self.over = true;
                self.failure = Some(reason.clone());
            }
            _ => {}
        }
        // The last progress belongs before what ends it all.
        self.events.extend(self.progress.take());
        self.events.push_back(event);
    }

    /// Takes the next event for the application: all but [`Event::Readable`] and
    /// [`Event::Writable`], and of [`Event::Progress`] the last word only.
    #[expect(
        clippy::should_implement_trait,
        reason = "a slot is more than its events, and more may follow"
    )]
    pub fn next(&mut self) -> Option<Event> {
        let event = self.events.pop_front().or_else(|| self.progress.take());
        if let Some(Event::Established { .. }) = event {
            self.void = false;
        }
        event
    }

    /// Hands the machine as many of the octets as it takes; those that are left wait for
    /// [`Event::Writable`].
    ///
    /// # Errors
    /// Why it takes none any more. What it took before is no more in `octets`.
    pub fn write(
        &self,
        machine: &mut Transfers,
        id: TransferId,
        octets: &mut Bytes,
        now: Instant,
    ) -> Result<(), WriteError> {
        if self.over {
            return Err(WriteError::Over);
        }
        if self.void {
            return Err(WriteError::NotEstablished);
        }
        while !octets.is_empty() {
            match machine.write(id, octets, now) {
                Ok(_) => {}
                Err(Blocked::Full) => break,
                Err(blocked) => return Err(blocked.into()),
            }
        }
        Ok(())
    }

    /// Says how the octets that the peer sends have come to their end, once the machine has none to
    /// [`Transfers::read`]; nothing while more may come.
    pub fn end(&self) -> Option<Result<(), Reason>> {
        if self.ended {
            return Some(Ok(()));
        }
        self.over.then(|| self.failure.clone().map_or(Ok(()), Err))
    }

    /// Takes the socket that is to be had for the application.
    pub const fn take_conn(&mut self) -> Option<ConnId> {
        self.conn.take()
    }

    /// Takes note that the application has written all, where octets go `by_socket`.
    pub const fn finished(&mut self, by_socket: bool) {
        self.ending = by_socket;
    }

    /// Says whether the octets go, or went, by a socket.
    pub const fn is_by_socket(&self) -> bool {
        self.by_socket
    }

    /// Says whether a link that goes leaves the transfer alone: its octets are all out and nothing
    /// but the end of its socket is waited for, or the peer ended the link `in_order` and they go by
    /// a socket, for it may have done its part; or it is over.
    pub const fn outlives_link(&self, in_order: bool) -> bool {
        self.over || self.ending || in_order && self.by_socket
    }

    /// Says whether the peer has sent all.
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Says whether nothing follows but what [`Slot::next`] still has.
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// Why it failed, once it has.
    pub const fn failure(&self) -> Option<&Reason> {
        self.failure.as_ref()
    }
}

/// Why octets were not taken: the transfer's events tell more.
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

impl From<Blocked> for WriteError {
    fn from(blocked: Blocked) -> Self {
        match blocked {
            Blocked::NotEstablished => Self::NotEstablished,
            Blocked::Finished => Self::Finished,
            Blocked::Full | Blocked::UnknownTransfer => Self::Over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Method};
    use bytestreams_machine::Own;
    use bytestreams_stanza::Jid;

    const ID: TransferId = TransferId(1);

    fn progress(octets: u64) -> Event {
        Event::Progress { id: ID, octets }
    }

    fn established() -> Event {
        Event::Established {
            id: ID,
            method: Method::Ibb,
            conn: None,
        }
    }

    #[test]
    fn only_the_last_word_on_progress_is_heard_and_before_the_end() {
        let mut slot = Slot::<()>::default();
        for event in [
            progress(1),
            progress(2),
            Event::Done { id: ID },
            progress(3),
        ] {
            slot.take_note(event);
        }
        assert_eq!(slot.next(), Some(progress(2)));
        assert_eq!(slot.next(), Some(Event::Done { id: ID }));
        assert_eq!(slot.next(), None);
        assert!(slot.is_over() && slot.failure().is_none());
    }

    #[test]
    fn what_is_written_is_void_from_the_fall_back_until_another_stream_is_heard_of() {
        let jid = Jid::new("romeo@montague.lit/orchard").expect("a JID");
        let mut machine = Transfers::new(Own { jid }, Config::default(), Instant::ZERO);
        let mut slot = Slot::<()>::default();
        let mut write = |slot: &Slot<()>| {
            let mut octets = Bytes::from_static(b"x");
            slot.write(&mut machine, ID, &mut octets, Instant::ZERO)
        };
        slot.take_note(Event::FellBack {
            id: ID,
            from: Method::Socks5,
            to: Method::Ibb,
            reason: Reason::LinkLost,
        });
        slot.take_note(established());
        assert_eq!(write(&slot), Err(WriteError::NotEstablished));
        assert!(matches!(slot.next(), Some(Event::FellBack { .. })));
        assert_eq!(write(&slot), Err(WriteError::NotEstablished));
        assert_eq!(slot.next(), Some(established()));
        // The machine knows no such transfer.
        assert_eq!(write(&slot), Err(WriteError::Over));
    }

    #[test]
    fn a_transfer_without_a_link_fails_once() {
        let mut slot = Slot::<()>::stillborn(ID);
        let reason = Reason::LinkLost;
        assert_eq!(slot.end(), Some(Err(reason.clone())));
        assert_eq!(slot.next(), Some(Event::Failed { id: ID, reason }));
        assert_eq!(slot.next(), None);
    }
}
