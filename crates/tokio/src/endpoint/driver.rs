//! The task that carries out what the machine asks for.

use super::shared::{LinkState, Shared, keep};
use super::sockets::Sockets;
use crate::link::{Direction, LinkError, StanzaLink};
use bytestreams_machine::{Input, Machine, Output, turn};
use bytestreams_net::SocketOptions;
use bytestreams_stanza::Stanza;
use bytestreams_transfer::{ConnEnd, Event};
use core::fmt;
use core::future::Future;
use core::ops::ControlFlow;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use core::time::Duration;
use std::sync::Arc;
use tokio::time::Sleep;

/// The write buffer at which outputs are left in the machine: the backpressure of the link.
const WRITE_MARK: usize = 64 * 1024;

/// Stanzas fed to the machine before its outputs are asked for.
const BATCH: usize = 64;

/// Rounds before other tasks get their turn.
const ROUNDS: usize = 16;

/// How long the last words may take that are said behind [`super::Endpoint::close`]: a peer that reads
/// nothing is not waited for.
const FAREWELL: Duration = Duration::from_secs(5);

/// Sees every stanza that comes in or goes out.
type Trace = Box<dyn FnMut(Direction, &Stanza) + Send>;

/// The driver of one link: a future to be spawned, which ends when the link does.
///
/// It owns the link, the sockets beside it and no protocol: it feeds the machine what comes in,
/// carries out what the machine asks for, and keeps its deadlines. Dropping it drops the link; the handles then learn
/// that the link has ended.
pub struct Driver<L> {
    link: L,
    sockets: Sockets,
    shared: Arc<Shared>,
    sleep: Pin<Box<Sleep>>,
    /// When `sleep` fires, if it is armed.
    armed: Option<tokio::time::Instant>,
    batch: Vec<Stanza>,
    wakes: Vec<Waker>,
    trace: Option<Trace>,
    /// Why the link ended, until what came before is heard.
    failed: Option<LinkError>,
    /// Why nothing can be written any more, until what the peer said before is heard: it may be why.
    unwritable: Option<LinkError>,
    /// When the last words are not waited for any more.
    farewell: Option<Pin<Box<Sleep>>>,
    /// Whether the machine had room for more input when it was last asked.
    wants_input: bool,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Closing,
    /// The link is gone; transfers that need it no more go on.
    Lingering,
    Over,
}

impl<L> fmt::Debug for Driver<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl<L: StanzaLink> Driver<L> {
    pub(super) fn new(link: L, shared: Arc<Shared>) -> Self {
        Self {
            sockets: Sockets::new(SocketOptions::default(), link.ends()),
            link,
            shared,
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            armed: None,
            batch: Vec::with_capacity(BATCH),
            wakes: Vec::new(),
            trace: None,
            failed: None,
            unwritable: None,
            farewell: None,
            wants_input: true,
            phase: Phase::Running,
        }
    }

    /// Has `trace` see every stanza on the link from now on. Without it nothing is spent on tracing.
    pub fn set_trace(&mut self, trace: impl FnMut(Direction, &Stanza) + Send + 'static) {
        self.trace = Some(Box::new(trace));
    }

    /// Has peers reached beside the link as `options` say, instead of by their defaults.
    pub fn set_sockets(&mut self, options: SocketOptions) {
        self.sockets.set_options(options);
    }

    /// Reads what is there, at most a batch. Answers whether to look again at once.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, LinkError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        while self.batch.len() < BATCH {
            match self.link.poll_next(cx) {
                Poll::Ready(Ok(stanza)) => {
                    if let Some(trace) = &mut self.trace {
                        trace(Direction::In, &stanza);
                    }
                    self.batch.push(stanza);
                }
                Poll::Ready(Err(error)) if self.batch.is_empty() => return Err(error),
                // What came before the end is heard first.
                Poll::Ready(Err(error)) => {
                    self.failed = Some(error);
                    return Ok(true);
                }
                Poll::Pending => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Feeds the machine, fires what is due and drains the outputs as far as the write buffer has
    /// room. Answers whether outputs are left because of the write buffer.
    fn crank(&mut self, cx: &Context<'_>) -> Cranked {
        let Self {
            link,
            sockets,
            shared,
            batch,
            wakes,
            trace,
            wants_input,
            unwritable,
            phase,
            ..
        } = self;
        let now = shared.now();
        let mut guard = shared.lock();
        let state = &mut *guard;
        keep(&mut state.driver, cx.waker());
        for stanza in batch.drain(..) {
            if let Some(Input::Stanza(rest)) = state.stack.handle_input(Input::Stanza(stanza), now)
            {
                state.hand_over(rest, wakes);
            }
        }
        for input in sockets.inputs() {
            // What nobody knows any more is of a connection that is over.
            let _ = state.stack.handle_input(Input::Net(input), now);
        }
        for id in sockets.broken() {
            // Likewise.
            let _ = state.stack.machine.ended(id, Err(ConnEnd::Reset), now);
        }
        let gone = *phase == Phase::Lingering || unwritable.is_some();
        // What a link left unwritten when it broke holds up nothing.
        let is_full = |link: &L| !gone && link.buffered() >= WRITE_MARK;
        let mut send = |stanza: &Stanza, link: &mut L| {
            if gone {
                return;
            }
            if let Some(trace) = trace {
                trace(Direction::Out, stanza);
            }
            link.write(stanza);
        };
        while !is_full(link)
            && let Some(stanza) = state.outgoing.pop_front()
        {
            send(&stanza, link);
        }
        // What a deadline brings is heard even when the link is stuck: it may be its end.
        let urgent = state.stack.poll_timeout().is_some_and(|due| due <= now);
        let mut full = is_full(link);
        let mut silent = false;
        let mut events = core::mem::take(&mut state.inbox);
        let mut again = false;
        if urgent || !full {
            let detached = &mut state.detached;
            let _ = turn(&mut state.stack, now, |output| {
                match output {
                    Output::Stanza(stanza) => send(&stanza, link),
                    Output::Net(command) => {
                        sockets.carry_out(command, detached);
                        again = true;
                    }
                    Output::Event(event) => events.push(event),
                }
                full = is_full(link);
                if full && !urgent {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
        }
        for event in events.drain(..) {
            silent |= matches!(event, Event::LinkLost);
            // A decline on our side has outputs of its own.
            again |= matches!(event, Event::Offered { .. });
            state.dispatch(event, now, wakes);
        }
        state.inbox = events;
        state.expire(now, wakes);
        *wants_input = state.stack.machine.wants_input();
        if state.alone && state.is_up() && state.stack.machine.is_idle() {
            state.link = LinkState::Closing;
        }
        let due = match (state.stack.poll_timeout(), state.requests.next()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let cranked = Cranked {
            full,
            again,
            silent,
            due: due.map(|at| shared.moment(at)),
            closing: matches!(state.link, LinkState::Closing),
        };
        drop(guard);
        wakes.drain(..).for_each(Waker::wake);
        cranked
    }

    /// Waits for the deadline; true when it has passed. A deadline that moved away is not re-armed
    /// until the old one fires, since nearly every block moves it.
    fn poll_deadline(&mut self, due: Option<tokio::time::Instant>, cx: &mut Context<'_>) -> bool {
        let Some(due) = due else {
            return false;
        };
        if self.armed.is_none_or(|armed| due < armed) {
            self.sleep.as_mut().reset(due);
            self.armed = Some(due);
        }
        if self.sleep.as_mut().poll(cx).is_ready() {
            self.armed = None;
            return true;
        }
        false
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        for _ in 0..ROUNDS {
            let wants_input = self.wants_input;
            let more = match wants_input.then(|| self.read(cx)) {
                None => false,
                Some(Ok(more)) => more,
                Some(Err(error)) => return Poll::Ready(Err(self.told(error))),
            };
            if !more && let Some(error) = self.unwritable.take_if(|_| self.batch.is_empty()) {
                return Poll::Ready(Err(error));
            }
            let sockets = self.sockets.poll(cx, wants_input);
            let cranked = self.crank(cx);
            if cranked.silent || (cranked.closing && self.is_late(cx)) {
                return Poll::Ready(Err(LinkError::Silent));
            }
            if self.unwritable.is_some() {
                continue;
            }
            let flushed = match self.link.poll_flush(cx) {
                Poll::Ready(Ok(())) => true,
                Poll::Ready(Err(error)) => {
                    self.unwritable = Some(error);
                    continue;
                }
                Poll::Pending => false,
            };
            if cranked.closing && flushed && !cranked.full && !cranked.again {
                return Poll::Ready(Ok(()));
            }
            let input = self.wants_input && (more || !wants_input);
            let output = (cranked.full && flushed) || cranked.again || sockets;
            if !input && !output && !self.poll_deadline(cranked.due, cx) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Chooses between what the peer said last and that nothing could be written to it.
    fn told(&mut self, error: LinkError) -> LinkError {
        match (error, self.unwritable.take()) {
            (LinkError::Io(_), Some(unwritable)) => unwritable,
            (error, _) => error,
        }
    }

    /// Says whether the last words have taken too long, from the first time this is asked.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let farewell = self
            .farewell
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(FAREWELL)));
        farewell.as_mut().poll(cx).is_ready()
    }

    /// Goes on without the link, for transfers that need it no more.
    fn run_out(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..ROUNDS {
            if !self.shared.lock().is_busy() {
                return Poll::Ready(());
            }
            let more = self.sockets.poll(cx, self.wants_input);
            let cranked = self.crank(cx);
            if cranked.silent {
                return Poll::Ready(());
            }
            if !more && !cranked.again && !self.poll_deadline(cranked.due, cx) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn linger(&mut self, error: LinkError, in_order: bool) {
        let Self { shared, wakes, .. } = self;
        self.phase = Phase::Lingering;
        shared.part(error, in_order, wakes);
        wakes.drain(..).for_each(Waker::wake);
    }

    fn end(&mut self, error: LinkError) {
        let Self { shared, wakes, .. } = self;
        self.phase = Phase::Over;
        self.sockets.clear();
        shared.end(error, wakes);
        wakes.drain(..).for_each(Waker::wake);
    }
}

/// What came of a crank.
struct Cranked {
    full: bool,
    again: bool,
    silent: bool,
    due: Option<tokio::time::Instant>,
    closing: bool,
}

impl<L: StanzaLink> Future for Driver<L> {
    type Output = Result<(), Arc<LinkError>>;

    /// Ends with `Ok` when the link was closed at our word or in order by the peer.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match this.phase {
                Phase::Running => match ready!(this.run(cx)) {
                    Ok(()) => this.phase = Phase::Closing,
                    Err(error @ (LinkError::Io(_) | LinkError::Silent)) => {
                        this.linger(error, false);
                    }
                    Err(error) => {
                        this.failed = Some(error);
                        this.phase = Phase::Closing;
                    }
                },
                Phase::Closing => {
                    let closed = match this.link.poll_close(cx) {
                        Poll::Ready(closed) => closed.err(),
                        Poll::Pending if this.is_late(cx) => Some(LinkError::Silent),
                        Poll::Pending => return Poll::Pending,
                    };
                    let in_order = matches!(this.failed, Some(LinkError::Closed));
                    let error = this.failed.take().or(closed);
                    this.linger(error.unwrap_or(LinkError::Closed), in_order);
                }
                Phase::Lingering => {
                    ready!(this.run_out(cx));
                    this.end(LinkError::Closed);
                }
                Phase::Over => {
                    let state = this.shared.lock();
                    return Poll::Ready(match &state.link {
                        LinkState::Ended(error) if !matches!(**error, LinkError::Closed) => {
                            Err(error.clone())
                        }
                        LinkState::Up | LinkState::Closing | LinkState::Ended(_) => Ok(()),
                    });
                }
            }
        }
    }
}

impl<L> Drop for Driver<L> {
    fn drop(&mut self) {
        if self.phase != Phase::Over {
            self.shared.end(LinkError::Closed, &mut self.wakes);
            self.wakes.drain(..).for_each(Waker::wake);
        }
    }
}
