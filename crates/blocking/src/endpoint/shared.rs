//! What the threads of a link and the handles share.

use super::locked::{Calls, Locked};
use super::outlet::Outlet;
use super::sockets::Sockets;
use super::threads::Threads;
use super::transfer::WriteError;
use crate::file::haul::Leash;
use crate::link::{Link, LinkError, Reader, Writer};
use bytes::Bytes;
use bytestreams_machine::{ConnId, Entropy, Instant, Stack};
use bytestreams_stanza::{Jid, Stanza};
use bytestreams_transfer::{Blocked, Config, Event, Reason, TransferId, Transfers};
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
    pub(crate) offers: Mailbox<Event>,
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
    /// It is gone; transfers whose octets are all out wait for the end of their sockets.
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
#[derive(Debug, Default)]
pub(crate) struct Slot {
    events: VecDeque<Event>,
    /// The last word on progress, which overtakes nothing but itself.
    progress: Option<Event>,
    /// Whoever waits for events, octets, or room for them.
    pub(crate) changed: Arc<Condvar>,
    /// Someone does.
    pub(crate) waiting: bool,
    /// When it was last told how far the transfer is.
    told: Instant,
    /// What the application has to say next: whoever turns the crank hands it to the machine.
    pub(crate) piece: Bytes,
    /// The stream fell back, and the application has not yet heard that another is established:
    /// what it writes belongs to the old one.
    pub(crate) void: bool,
    /// The socket that is to be had, until the application takes it.
    pub(crate) conn: Option<ConnId>,
    /// Breaks off what the application does with the socket.
    pub(crate) leash: Option<Leash>,
    /// The thread that moves octets by the socket is done.
    pub(crate) hauled: bool,
    /// Someone else wants to go on with the file.
    pub(crate) wanted: bool,
    /// All is written to the socket, and its end is seen to.
    pub(crate) ending: bool,
    /// The peer has sent all.
    pub(crate) ended: bool,
    /// Nothing follows.
    pub(crate) over: bool,
    /// Why it failed, if it did.
    pub(crate) failure: Option<Reason>,
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

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.link, LinkState::Ended(_))
    }

    /// Says whether a transfer waits for nothing but the end of its socket.
    pub(crate) fn is_ending(&self) -> bool {
        self.slots.values().any(|slot| slot.ending && !slot.over)
    }

    /// Takes note of an event; true when the machine has outputs because of that.
    pub(crate) fn dispatch(&mut self, event: Event, now: Instant, calls: &mut Calls<'_>) -> bool {
        let Some(id) = transfer_of(&event) else {
            return false;
        };
        if let Event::Offered { .. } = event {
            if !self.offers.open {
                // An answer that is late finds nothing to decline, and that is as well.
                let _ = self.stack.machine.decline(id, None, now);
                return true;
            }
            self.slots.insert(id, Slot::default());
            self.offers.queue.push_back(event);
            calls.news |= self.listening > 0;
            return false;
        }
        let Some(slot) = self.slots.get_mut(&id) else {
            return false;
        };
        let mut poured = false;
        let heard = match event {
            Event::Writable { .. } => {
                let result = slot.pour(&mut self.stack.machine, id, now);
                poured = result == Ok(true);
                result.is_err() || slot.piece.is_empty()
            }
            // Whoever waits for a piece to be taken hears of it then, unless that takes long.
            Event::Progress { .. } if !slot.piece.is_empty() && now < slot.told + OFTEN => {
                slot.take_note(event);
                false
            }
            event => {
                slot.told = now;
                slot.take_note(event);
                true
            }
        };
        if heard {
            slot.call(calls);
        }
        poured
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

impl Slot {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other events change nothing here"
    )]
    fn take_note(&mut self, event: Event) {
        match event {
            Event::Readable { .. } | Event::Writable { .. } => return,
            Event::Progress { .. } => {
                self.progress = Some(event);
                return;
            }
            Event::Established { conn, .. } => self.conn = conn,
            Event::FellBack { .. } => {
                self.void = true;
                self.conn = None;
                self.leash = None;
                self.progress = None;
            }
            Event::Ended { .. } => self.ended = true,
            Event::Done { .. } => {
                self.over = true;
                if let Some(leash) = self.leash.take() {
                    leash.release();
                }
            }
            Event::Failed { ref reason, .. } => {
                self.over = true;
                self.leash = None;
                self.failure = Some(reason.clone());
            }
            _ => {}
        }
        // The last progress belongs before what ends it all.
        self.events.extend(self.progress.take());
        self.events.push_back(event);
    }

    /// A transfer that failed before it began, since there is no link.
    pub(crate) fn stillborn(id: TransferId) -> Self {
        let mut slot = Self::default();
        let reason = Reason::LinkLost;
        slot.take_note(Event::Failed { id, reason });
        slot
    }

    /// Takes the next event for the application.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let event = self.events.pop_front().or_else(|| self.progress.take());
        match event {
            Some(Event::Established { .. }) => self.void = false,
            Some(Event::FellBack { .. }) => self.piece.clear(),
            _ => {}
        }
        event
    }

    /// Hands as much of the piece to the machine as it takes; says whether it took any.
    pub(crate) fn pour(
        &mut self,
        machine: &mut Transfers,
        id: TransferId,
        now: Instant,
    ) -> Result<bool, WriteError> {
        if self.over {
            return Err(WriteError::Over);
        }
        if self.void {
            return Err(WriteError::NotEstablished);
        }
        let mut poured = false;
        while !self.piece.is_empty() {
            match machine.write(id, &mut self.piece, now) {
                Ok(_) => poured = true,
                Err(Blocked::Full) => break,
                Err(blocked) => return Err(blocked.into()),
            }
        }
        Ok(poured)
    }

    /// Wakes whoever waits for this.
    pub(crate) fn call(&mut self, calls: &mut Calls<'_>) {
        if core::mem::take(&mut self.waiting) {
            calls.handles.push(self.changed.clone());
        }
    }
}

/// Whose an event is.
pub(crate) fn transfer_of(event: &Event) -> Option<TransferId> {
    match event {
        Event::Offered { id, .. }
        | Event::Accepted { id, .. }
        | Event::Established { id, .. }
        | Event::Readable { id }
        | Event::Writable { id }
        | Event::Ended { id }
        | Event::FellBack { id, .. }
        | Event::Progress { id, .. }
        | Event::Done { id }
        | Event::Failed { id, .. } => Some(*id),
        Event::LinkLost | _ => None,
    }
}

/// Draws what a new transfer needs.
///
/// # Panics
/// When the operating system has no randomness to give.
pub(crate) fn entropy() -> Entropy {
    let mut octets = [0; 32];
    getrandom::fill(&mut octets).expect("the operating system gives randomness");
    Entropy(octets)
}
