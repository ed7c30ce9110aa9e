//! What the threads of a link and the handles share.

use super::sockets::Sockets;
use super::threads::Threads;
use crate::file::haul::Leash;
use crate::link::{Link, LinkError, Reader, Writer};
use bytestreams_machine::{ConnId, Entropy, Instant, Stack};
use bytestreams_stanza::{Jid, OutBuf, Stanza};
use bytestreams_transfer::{Config, Event, Reason, TransferId, Transfers};
use std::collections::{HashMap, VecDeque};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Stanzas of nobody's that wait for [`super::Others`] at most; the oldest is dropped for a new one.
const OTHERS: usize = 256;

#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
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
    pub(crate) out: OutBuf,
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
                out: OutBuf::default(),
                words: link.writer,
                link: LinkState::Up,
                failed: None,
                said_all: false,
                heard_all: false,
                armed: None,
                held: 0,
                inbox: Vec::new(),
            }),
        };
        (shared, link.reader)
    }

    pub(crate) fn now(&self) -> Instant {
        let micros = self.origin.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Locks the state. A panic elsewhere leaves it whole: the machine commits in one go.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, with the lock given up meanwhile.
    pub(crate) fn wait<'a>(
        changed: &Condvar,
        state: MutexGuard<'a, State>,
    ) -> MutexGuard<'a, State> {
        changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the state, then carries out what came of it.
    pub(crate) fn act<T>(self: &Arc<Self>, what: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.lock();
        let result = what(&mut state, self.now());
        self.crank(&mut state);
        result
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

    /// Takes note of an event.
    pub(crate) fn dispatch(&mut self, event: Event, now: Instant, shared: &Shared) {
        let Some(id) = transfer_of(&event) else {
            return;
        };
        if let Event::Offered { .. } = event {
            if !self.offers.open {
                // An answer that is late finds nothing to decline, and that is as well.
                let _ = self.stack.machine.decline(id, None, now);
                return;
            }
            self.slots.insert(id, Slot::default());
            self.offers.queue.push_back(event);
            shared.news.notify_all();
            return;
        }
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.take_note(event);
        }
    }

    /// Keeps a stanza that nobody here knows, for whoever asked for such.
    pub(crate) fn hand_over(&mut self, stanza: Stanza, shared: &Shared) {
        if self.others.open {
            if self.others.queue.len() >= OTHERS {
                self.others.queue.pop_front();
            }
            self.others.queue.push_back(stanza);
            shared.news.notify_all();
        }
    }
}

impl Slot {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other events change nothing here"
    )]
    fn take_note(&mut self, event: Event) {
        self.changed.notify_all();
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
        if let Some(Event::Established { .. }) = event {
            self.void = false;
        }
        event
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
