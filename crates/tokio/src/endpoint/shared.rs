//! What the driver and the handles share.
//!
//! Handles call the machine themselves, under a lock that nobody holds across a wait: no channel
//! stands between an application and its octets. The driver is the one who carries out what the
//! machine asks for.

use super::sockets::Detached;
use crate::link::LinkError;
use bytestreams_machine::{ConnId, Entropy, Instant, Machine, Output, Requests, Stack};
use bytestreams_stanza::{IqBody, Jid, Stanza};
use bytestreams_transfer::{Event, TransferId, Transfers};
use core::task::Waker;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Stanzas of nobody's that wait for [`super::Others`] at most; the oldest is dropped for a new one.
const OTHERS: usize = 256;

#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    origin: tokio::time::Instant,
    jid: Jid,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) stack: Stack<Transfers>,
    /// Wakes the driver.
    pub(crate) driver: Option<Waker>,
    pub(crate) slots: HashMap<TransferId, Slot>,
    pub(crate) offers: Mailbox<Event>,
    pub(crate) others: Mailbox<Stanza>,
    /// Handles to `others`.
    pub(crate) collectors: usize,
    /// Sockets between the driver and their transfers.
    pub(crate) detached: Detached,
    /// Stanzas of the application's own.
    pub(crate) outgoing: VecDeque<Stanza>,
    pub(crate) requests: Requests<u64>,
    pub(crate) answers: HashMap<u64, Answer>,
    pub(crate) next_request: u64,
    pub(crate) link: LinkState,
    /// Handles of [`super::Endpoint`] that wait for the end of the link.
    pub(crate) watchers: Vec<Waker>,
    /// Room for events on their way, kept from turn to turn.
    pub(crate) inbox: Vec<Event>,
}

/// How the link is.
#[derive(Debug)]
pub(crate) enum LinkState {
    Up,
    /// The application wants it closed.
    Closing,
    Ended(Arc<LinkError>),
}

/// What waits for one receiver, who may have gone.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    pub(crate) queue: VecDeque<T>,
    pub(crate) waker: Option<Waker>,
    pub(crate) open: bool,
}

/// An answer to a request of the application's own.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) body: Option<IqBody>,
    pub(crate) expired: bool,
    pub(crate) waker: Option<Waker>,
}

/// What is known of one transfer on this side of the machine.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) events: VecDeque<Event>,
    /// The last word on progress, which overtakes nothing but itself.
    pub(crate) progress: Option<Event>,
    /// Waits for events, and for octets or room where one task does both.
    pub(crate) waker: Option<Waker>,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
    /// The stream fell back, and the application has not yet heard that another is established:
    /// what it writes belongs to the old one.
    pub(crate) void: bool,
    pub(crate) established: bool,
    /// The socket that is to be had, until the application takes it.
    pub(crate) conn: Option<ConnId>,
    /// The octets go by a socket.
    pub(crate) by_socket: bool,
    /// All is written to the socket, and the driver sees to its end.
    pub(crate) ending: bool,
    /// The peer has sent all.
    pub(crate) ended: bool,
    /// Nothing follows.
    pub(crate) over: bool,
    /// Why it failed, if it did.
    pub(crate) failure: Option<bytestreams_transfer::Reason>,
}

impl<T> Mailbox<T> {
    pub(crate) fn new(open: bool) -> Self {
        Self {
            queue: VecDeque::new(),
            waker: None,
            open,
        }
    }
}

impl Shared {
    pub(crate) fn new(stack: Stack<Transfers>, origin: tokio::time::Instant) -> Self {
        Self {
            jid: stack.machine.own().jid.clone(),
            origin,
            state: Mutex::new(State {
                stack,
                driver: None,
                slots: HashMap::new(),
                offers: Mailbox::new(true),
                others: Mailbox::new(false),
                collectors: 0,
                detached: Detached::new(),
                outgoing: VecDeque::new(),
                requests: Requests::default(),
                answers: HashMap::new(),
                next_request: 0,
                link: LinkState::Up,
                watchers: Vec::new(),
                inbox: Vec::new(),
            }),
        }
    }

    pub(crate) fn jid(&self) -> &Jid {
        &self.jid
    }

    pub(crate) fn now(&self) -> Instant {
        let micros = self.origin.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    pub(crate) fn moment(&self, at: Instant) -> tokio::time::Instant {
        self.origin + at.since(Instant::ZERO)
    }

    /// Locks the state. A panic elsewhere leaves it whole: the machine commits in one go.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note that the link is gone. Whom to wake goes into `wakes`.
    pub(crate) fn part(&self, error: LinkError, in_order: bool, wakes: &mut Vec<Waker>) {
        let now = self.now();
        self.lock().part(error, in_order, now, wakes);
    }

    /// Ends everything with the link. Whom to wake goes into `wakes`.
    pub(crate) fn end(&self, error: LinkError, wakes: &mut Vec<Waker>) {
        let now = self.now();
        self.lock().end(error, now, wakes);
    }

    /// Does something to the state, then has the driver carry out what came of it.
    pub(crate) fn act<T>(&self, what: impl FnOnce(&mut State, Instant) -> T) -> T {
        let now = self.now();
        let mut state = self.lock();
        let result = what(&mut state, now);
        let driver = state.driver.clone();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }
}

impl State {
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.link, LinkState::Up)
    }

    /// Says whether a transfer is not over.
    pub(crate) fn is_busy(&self) -> bool {
        self.slots.values().any(|slot| !slot.over)
    }

    /// Takes note that the link is gone. Transfers whose octets are all out go on without it, and
    /// where the peer ended it in order, all that go by a socket: it may have done its part.
    pub(crate) fn part(
        &mut self,
        error: LinkError,
        in_order: bool,
        now: Instant,
        wakes: &mut Vec<Waker>,
    ) {
        for (&id, slot) in &mut self.slots {
            let goes_on = slot.ending || in_order && slot.by_socket;
            if !slot.over && !goes_on {
                let reason = bytestreams_transfer::Reason::LinkLost;
                slot.take_note(Event::Failed { id, reason }, wakes);
                // It is over for the application, whatever comes of that.
                let _ = self.stack.machine.cancel(id, now);
            }
        }
        self.gone(error, wakes);
    }

    /// Tells everyone who waits for the link.
    fn gone(&mut self, error: LinkError, wakes: &mut Vec<Waker>) {
        if let LinkState::Ended(_) = self.link {
            return;
        }
        self.link = LinkState::Ended(Arc::new(error));
        wakes.extend(self.offers.waker.take());
        wakes.extend(self.others.waker.take());
        wakes.extend(self.answers.values_mut().filter_map(|a| a.waker.take()));
        wakes.append(&mut self.watchers);
    }

    /// Takes note of an event. Whom to wake goes into `wakes`, to be woken without the lock.
    pub(crate) fn dispatch(&mut self, event: Event, now: Instant, wakes: &mut Vec<Waker>) {
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
            wakes.extend(self.offers.waker.take());
            return;
        }
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        slot.take_note(event, wakes);
    }

    /// Keeps a stanza that nobody here knows, for whoever asked for such.
    pub(crate) fn hand_over(&mut self, stanza: Stanza, wakes: &mut Vec<Waker>) {
        if let Stanza::Iq(iq) = &stanza {
            let own = self.stack.machine.own();
            if let Some(request) = self.requests.answered(own, iq)
                && let Some(answer) = self.answers.get_mut(&request)
            {
                answer.body = Some(iq.body.clone());
                wakes.extend(answer.waker.take());
                return;
            }
        }
        if self.others.open {
            if self.others.queue.len() >= OTHERS {
                self.others.queue.pop_front();
            }
            self.others.queue.push_back(stanza);
            wakes.extend(self.others.waker.take());
        }
    }

    /// Ends the requests that nobody answered in time.
    pub(crate) fn expire(&mut self, now: Instant, wakes: &mut Vec<Waker>) {
        while let Some(request) = self.requests.expired(now) {
            if let Some(answer) = self.answers.get_mut(&request) {
                answer.expired = true;
                wakes.extend(answer.waker.take());
            }
        }
    }

    /// Tells everyone who waits that the link has ended.
    fn end(&mut self, error: LinkError, now: Instant, wakes: &mut Vec<Waker>) {
        self.stack.machine.link_lost(now);
        while let Some(output) = self.stack.poll_output() {
            if let Output::Event(event) = output {
                self.dispatch(event, now, wakes);
            }
        }
        self.driver = None;
        self.detached.clear();
        self.gone(error, wakes);
    }
}

impl Slot {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other events change nothing here"
    )]
    fn take_note(&mut self, event: Event, wakes: &mut Vec<Waker>) {
        if self.over {
            return;
        }
        match event {
            Event::Readable { .. } => {
                wakes.extend(self.reader.take());
                wakes.extend(self.waker.take());
                return;
            }
            Event::Writable { .. } => {
                wakes.extend(self.writer.take());
                wakes.extend(self.waker.take());
                return;
            }
            Event::Progress { .. } => {
                self.progress = Some(event);
                wakes.extend(self.waker.take());
                return;
            }
            Event::Established { conn, .. } => {
                self.established = true;
                self.conn = conn;
                self.by_socket = conn.is_some();
            }
            Event::FellBack { .. } => {
                self.void = true;
                self.established = false;
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
        wakes.extend(self.reader.take());
        wakes.extend(self.writer.take());
        wakes.extend(self.waker.take());
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

/// Keeps the waker of the task that polls.
pub(crate) fn keep(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(kept) if kept.will_wake(waker) => {}
        _ => *place = Some(waker.clone()),
    }
}
