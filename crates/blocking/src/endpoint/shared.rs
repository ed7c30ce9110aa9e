//! What the threads of a link and the handles share.

use super::locked::{Calls, Locked};
use super::outlet::Outlet;
use super::sockets::Sockets;
use super::threads::Threads;
use crate::file::haul::Leash;
use crate::link::{Link, LinkError, Reader, Writer};
use bytes::Bytes;
use bytestreams_machine::{Instant, Stack};
use bytestreams_stanza::{Jid, Stanza};
use bytestreams_transfer::{Config, Event, Proposal, TransferId, Transfers, WriteError};
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};

/// Stanzas of nobody's that wait for [`super::Others`] at most; the oldest is dropped for a new one.
const OTHERS: usize = 256;

/// How often it is told at most how far a transfer is, to those who wait for more than that.
const OFTEN: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) state: Mutex<State>,
    origin: std::time::Instant,
    pub(crate) jid: Jid,
    pub(crate) socket: Arc<TcpStream>,
    pub(crate) threads: Threads,
    /// The thread that writes waits here.
    pub(crate) writer: Condvar,
    /// Threads that read wait here until the machine wants input.
    pub(crate) input: Condvar,
    /// Whoever waits for offers, other stanzas, or the end of the link.
    pub(crate) news: Condvar,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) stack: Stack<Transfers>,
    pub(crate) slots: HashMap<TransferId, Slot>,
    pub(crate) offers: Mailbox<Proposal>,
    pub(crate) others: Mailbox<Stanza>,
    pub(crate) sockets: Sockets,
    /// Stanzas of the application's own.
    pub(crate) outgoing: VecDeque<Stanza>,
    pub(crate) outlet: Outlet,
    pub(crate) words: Writer,
    pub(crate) link: LinkState,
    /// Why the link ended, until everyone is told.
    pub(crate) failed: Option<LinkError>,
    /// Our end of the stream is written, or cannot be any more.
    pub(crate) said_all: bool,
    /// Nothing more is read from the link.
    pub(crate) heard_all: bool,
    /// The machine has heard nothing for too long.
    pub(crate) silent: bool,
    /// The application has closed the link.
    pub(crate) leaving: bool,
    /// What the thread that writes waits for, while it does: `None` within is for ever.
    pub(crate) armed: Option<Option<Instant>>,
    /// Threads that wait until the machine wants input.
    pub(crate) held: usize,
    /// Threads that wait for news.
    pub(crate) listening: usize,
    /// Room for events on their way, kept from turn to turn.
    pub(crate) inbox: Vec<Event>,
}

/// How the link is.
#[derive(Debug)]
pub(crate) enum LinkState {
    Up,
    /// It is to be ended in order.
    Closing,
    /// It is gone; transfers that need it no more go on.
    Lingering,
    Ended(Arc<LinkError>),
}

/// What waits for one receiver, who may have gone.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    pub(crate) queue: VecDeque<T>,
    pub(crate) open: bool,
}

/// What is known of one transfer on this side of the machine.
pub(crate) type Slot = bytestreams_transfer::Slot<Hold>;

/// What threads have with one transfer.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    /// Whoever waits for events, octets, or room for them.
    pub(crate) changed: Arc<Condvar>,
    /// Someone does.
    pub(crate) waiting: bool,
    /// When it was last told how far the transfer is, once it was.
    told: Option<Instant>,
    /// What the application has to say next: whoever turns the crank hands it to the machine.
    pub(crate) piece: Bytes,
    /// Breaks off what the application does with the socket.
    pub(crate) leash: Option<Leash>,
    /// The thread that moves octets by the socket is done.
    pub(crate) hauled: bool,
    /// Someone else wants to go on with the file.
    pub(crate) wanted: bool,
    /// Nobody has the transfer any more: it runs to its end by itself.
    pub(crate) alone: bool,
}

impl Shared {
    pub(crate) fn new(link: Link, sockets: Sockets, config: Config) -> (Self, Reader) {
        let stack = Transfers::stack(link.as_own(), config, link.ends, Instant::ZERO);
        let shared = Self {
            jid: link.own().clone(),
            origin: std::time::Instant::now(),
            socket: link.socket,
            threads: Threads::default(),
            writer: Condvar::new(),
            input: Condvar::new(),
            news: Condvar::new(),
            state: Mutex::new(State {
                stack,
                slots: HashMap::new(),
                offers: Mailbox {
                    queue: VecDeque::new(),
                    open: true,
                },
                others: Mailbox {
                    queue: VecDeque::new(),
                    open: false,
                },
                sockets,
                outgoing: VecDeque::new(),
                outlet: Outlet::default(),
                words: link.writer,
                link: LinkState::Up,
                failed: None,
                said_all: false,
                heard_all: false,
                silent: false,
                leaving: false,
                armed: None,
                held: 0,
                listening: 0,
                inbox: Vec::new(),
            }),
        };
        (shared, link.reader)
    }

    pub(crate) fn now(&self) -> Instant {
        let micros = self.origin.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    pub(crate) fn lock(&self) -> Locked<'_> {
        Locked::new(self)
    }

    /// Does something to the state, then carries out what came of it.
    pub(crate) fn act<T>(self: &Arc<Self>, what: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.lock();
        let result = what(&mut state, self.now());
        drop(self.drive(state));
        result
    }
}

impl Locked<'_> {
    /// Has the thread that writes look, if it waits.
    pub(crate) fn call_writer(&mut self) {
        self.calls.writer |= self.armed.take().is_some();
    }
}

impl State {
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.link, LinkState::Up)
    }

    /// Says whether nothing comes by the link any more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.link, LinkState::Lingering | LinkState::Ended(_))
    }

    /// Takes note that the link is gone, and fails the transfers that do not outlive it.
    pub(crate) fn part(&mut self, in_order: bool, now: Instant, calls: &mut Calls<'_>) {
        for (&id, slot) in &mut self.slots {
            if !slot.outlives_link(in_order) {
                let reason = self.stack.machine.loss(id);
                slot.own.leash = None;
                slot.take_note(Event::Failed { id, reason });
                slot.own.call(calls);
                // It is over for the application, whatever comes of that.
                let _ = self.stack.machine.cancel(id, now);
            }
        }
        self.slots
            .retain(|_, slot| !(slot.own.alone && slot.is_over()));
    }

    /// Says whether a transfer goes on without the link.
    pub(crate) fn goes_on(&self) -> bool {
        !self.silent && self.slots.values().any(|slot| !slot.is_over())
    }

    /// Takes note of an event; true when the machine has outputs because of that.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other events change nothing here"
    )]
    pub(crate) fn dispatch(&mut self, event: Event, now: Instant, calls: &mut Calls<'_>) -> bool {
        let Some(id) = event.transfer() else {
            return false;
        };
        if let Event::Offered { .. } = event {
            if !self.offers.open {
                // An answer that is late finds nothing to decline, and that is as well.
                let _ = self.stack.machine.decline(id, None, now);
                return true;
            }
            self.slots.insert(id, Slot::default());
            self.offers.queue.extend(Proposal::new(event));
            calls.news |= self.listening > 0;
            return false;
        }
        let Some(slot) = self.slots.get_mut(&id) else {
            return false;
        };
        let mut poured = false;
        let heard = match event {
            Event::Writable { .. } => {
                let (moved, result) = pour(slot, &mut self.stack.machine, id, now);
                poured = moved;
                result.is_err() || slot.own.piece.is_empty()
            }
            // Whoever waits for a piece to be taken, or the end of a socket, hears of it then, unless
            // that takes long.
            Event::Progress { .. } => {
                let idle = slot.own.piece.is_empty() && !slot.is_by_socket();
                let due = slot.own.told.is_none_or(|told| now >= told + OFTEN);
                if idle || due {
                    slot.own.told = Some(now);
                }
                idle || due
            }
            _ => true,
        };
        match &event {
            Event::FellBack { .. } | Event::Failed { .. } => slot.own.leash = None,
            Event::Done { .. } => slot.own.leash.take().map_or((), Leash::release),
            _ => {}
        }
        slot.take_note(event);
        if heard {
            slot.own.call(calls);
        }
        if slot.own.alone && slot.is_over() {
            self.slots.remove(&id);
        }
        poured
    }

    /// Declines what nobody here answers otherwise. What was withdrawn needs no answer.
    pub(crate) fn refuse(&mut self, id: TransferId, text: Option<&str>, now: Instant) {
        self.slots.remove(&id);
        let text = text.map(Arc::from);
        let _ = self.stack.machine.decline(id, text, now);
    }

    /// What whoever waits for the transfer waits with.
    pub(crate) fn changed(&self, id: TransferId) -> Option<Arc<Condvar>> {
        Some(self.slots.get(&id)?.own.changed.clone())
    }

    /// Keeps a stanza that nobody here knows, for whoever asked for such.
    pub(crate) fn hand_over(&mut self, stanza: Stanza, calls: &mut Calls<'_>) {
        if self.others.open {
            if self.others.queue.len() >= OTHERS {
                self.others.queue.pop_front();
            }
            self.others.queue.push_back(stanza);
            calls.news |= self.listening > 0;
        }
    }
}

impl Hold {
    /// Wakes whoever waits for this.
    pub(crate) fn call(&mut self, calls: &mut Calls<'_>) {
        if core::mem::take(&mut self.waiting) {
            calls.handles.push(self.changed.clone());
        }
    }
}

/// Hands as much of the application's piece to the machine as it takes; says whether it took any, and
/// why it takes no more.
pub(crate) fn pour(
    slot: &mut Slot,
    machine: &mut Transfers,
    id: TransferId,
    now: Instant,
) -> (bool, Result<(), WriteError>) {
    let mut piece = core::mem::take(&mut slot.own.piece);
    let before = piece.len();
    let result = slot.write(machine, id, &mut piece, now);
    let poured = piece.len() < before;
    slot.own.piece = piece;
    (poured, result)
}
