//! What the driver and the handles share.
//!
//! Handles call the machine themselves, under a lock that nobody holds across a wait: no channel
//! stands between an application and its octets. The driver is the one who carries out what the
//! machine asks for.

use super::sockets::Detached;
use super::waiters::Waiters;
use crate::link::LinkError;
use bytestreams_machine::{Instant, Machine, Output, Requests, Stack};
use bytestreams_stanza::{IqBody, Jid, Stanza};
use bytestreams_transfer::{Event, Proposal, TransferId, Transfers};
use core::ops::Deref;
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
    pub(crate) offers: Mailbox<Proposal>,
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
    /// Who waits for the end of the link.
    pub(crate) watchers: Waiters,
    /// There is no handle any more.
    pub(crate) alone: bool,
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
    pub(crate) waiters: Waiters,
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
pub(crate) type Slot = bytestreams_transfer::Slot<Wakers>;

/// The tasks that wait for a transfer.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    /// Waits for events, and for octets or room where one task does both.
    pub(crate) waker: Option<Waker>,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
    /// Nobody has the transfer any more: it runs to its end by itself.
    pub(crate) alone: bool,
}

/// What a handle has of it: with the last of them the driver closes the link, once nothing is going
/// on. What only tells of octets holds a plain [`Arc`].
#[derive(Clone, Debug)]
pub(crate) struct Handle(Arc<Held>);

#[derive(Debug)]
struct Held(Arc<Shared>);

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Held(shared)))
    }
}

impl Deref for Handle {
    type Target = Arc<Shared>;

    fn deref(&self) -> &Arc<Shared> {
        &self.0.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.act(|state, _| state.alone = true);
    }
}

impl<T> Mailbox<T> {
    pub(crate) fn new(open: bool) -> Self {
        Self {
            queue: VecDeque::new(),
            waiters: Waiters::default(),
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
                watchers: Waiters::default(),
                alone: false,
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
        self.slots.values().any(|slot| !slot.is_over())
    }

    /// Takes note that the link is gone, and fails the transfers that do not outlive it. Whom to wake
    /// goes into `wakes`.
    pub(crate) fn part(
        &mut self,
        error: LinkError,
        in_order: bool,
        now: Instant,
        wakes: &mut Vec<Waker>,
    ) {
        for (&id, slot) in &mut self.slots {
            if !slot.outlives_link(in_order) {
                let reason = self.stack.machine.loss(id);
                take_note(slot, Event::Failed { id, reason }, wakes);
                // It is over for the application, whatever comes of that.
                let _ = self.stack.machine.cancel(id, now);
            }
        }
        self.slots.retain(|_, slot| !is_forgotten(slot));
        self.gone(error, wakes);
    }

    /// Tells everyone who waits for the link.
    fn gone(&mut self, error: LinkError, wakes: &mut Vec<Waker>) {
        if let LinkState::Ended(_) = self.link {
            return;
        }
        self.link = LinkState::Ended(Arc::new(error));
        self.offers.waiters.call(wakes);
        self.others.waiters.call(wakes);
        self.watchers.call(wakes);
        wakes.extend(self.answers.values_mut().filter_map(|a| a.waker.take()));
    }

    /// Takes note of an event. Whom to wake goes into `wakes`, to be woken without the lock.
    pub(crate) fn dispatch(&mut self, event: Event, now: Instant, wakes: &mut Vec<Waker>) {
        let Some(id) = event.transfer() else {
            return;
        };
        if let Event::Offered { .. } = event {
            if !self.offers.open {
                // An answer that is late finds nothing to decline, and that is as well.
                let _ = self.stack.machine.decline(id, None, now);
                return;
            }
            self.slots.insert(id, Slot::default());
            self.offers.queue.extend(Proposal::new(event));
            self.offers.waiters.call(wakes);
            return;
        }
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        take_note(slot, event, wakes);
        if is_forgotten(slot) {
            self.slots.remove(&id);
        }
    }

    /// Declines what nobody here answers otherwise. What was withdrawn needs no answer.
    pub(crate) fn refuse(&mut self, id: TransferId, text: Option<&str>, now: Instant) {
        self.slots.remove(&id);
        let text = text.map(Arc::from);
        let _ = self.stack.machine.decline(id, text, now);
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
            self.others.waiters.call(wakes);
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

/// Takes note of an event of a transfer that is not over.
fn take_note(slot: &mut Slot, event: Event, wakes: &mut Vec<Waker>) {
    if slot.is_over() {
        return;
    }
    let Wakers {
        waker,
        reader,
        writer,
        alone: _,
    } = &mut slot.own;
    if !matches!(event, Event::Progress { .. } | Event::Writable { .. }) {
        wakes.extend(reader.take());
    }
    if !matches!(event, Event::Progress { .. } | Event::Readable { .. }) {
        wakes.extend(writer.take());
    }
    wakes.extend(waker.take());
    slot.take_note(event);
}

/// Says whether a transfer is over of which nobody wants to hear.
fn is_forgotten(slot: &Slot) -> bool {
    slot.own.alone && slot.is_over()
}

/// Keeps the waker of the task that polls.
pub(crate) fn keep(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(kept) if kept.will_wake(waker) => {}
        _ => *place = Some(waker.clone()),
    }
}
