//! The crank, and the two threads of a link.
//!
//! Whoever has changed the machine turns the crank, with the lock held: it feeds what sockets did,
//! encodes stanzas into the write buffer, carries out what is to be done with sockets, and tells the
//! handles. Nothing in it waits. Then, without the lock, the same thread writes what the system takes
//! at once, so that octets need no other thread on their way. One thread reads the link; another
//! writes what the system did not take, and comes back when a deadline does.

use super::locked::{Calls, Locked};
use super::outlet::write_at_once;
use super::shared::{LinkState, Shared, State};
use crate::link::{LinkError, Reader};
use bytestreams_machine::{Input, Instant, Machine, Output, turn};
use bytestreams_stanza::{OutBuf, write_stream_end, write_stream_error};
use bytestreams_transfer::{ConnEnd, Event};
use core::ops::ControlFlow;
use core::time::Duration;
use std::io::{self, Write};
use std::net::Shutdown;
use std::sync::Arc;

/// The write buffer at which outputs are left in the machine: the backpressure of the link. Two of
/// the largest blocks are written at once: one at a time wakes the peer's thread too often, and
/// three are more than the system takes at once.
const WRITE_MARK: usize = 96 * 1024;

/// Stanzas fed to the machine before its outputs are asked for.
const BATCH: usize = 64;

/// Buffers that a thread writes before it leaves the rest to the thread that writes.
const ROUNDS: usize = 16;

/// How long a write may take before it is seen what is due meanwhile.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// How long the last words may take: a peer that reads nothing is not waited for.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long the peer's end of the stream is waited for after ours.
const LINGER: Duration = Duration::from_secs(2);

impl Shared {
    /// Turns the crank and writes what comes of it, as far as the system takes it at once.
    pub(crate) fn drive<'a>(self: &'a Arc<Self>, mut state: Locked<'a>) -> Locked<'a> {
        for _ in 0..ROUNDS {
            self.crank(&mut state);
            if state.outlet.is_stuck() {
                break;
            }
            let Some(mut buffer) = state.outlet.begin() else {
                return state;
            };
            drop(state);
            let written = write_at_once(&self.socket, &mut buffer);
            state = self.lock();
            state.outlet.end(buffer);
            if let Err(error) = written {
                fall_silent(&mut state, LinkError::Io(error));
            }
        }
        state.call_writer();
        state
    }

    /// Turns the crank until there is nothing more to carry out, or no room for it.
    fn crank(self: &Arc<Self>, locked: &mut Locked<'_>) {
        let (state, calls) = locked.parts();
        if let LinkState::Ended(_) = state.link {
            return;
        }
        let now = self.now();
        loop {
            while let Some(input) = state.sockets.seen.inputs.pop_front() {
                // What nobody knows any more is of a connection that is over.
                let _ = state.stack.handle_input(Input::Net(input), now);
            }
            while let Some(id) = state.sockets.seen.broken.pop() {
                // Likewise.
                let _ = state.stack.machine.ended(id, Err(ConnEnd::Reset), now);
            }
            if !self.turn(state, calls, now) {
                break;
            }
        }
        calls.input |= state.held > 0 && state.stack.machine.wants_input();
        let due = state.stack.poll_timeout();
        let sooner =
            |armed: Option<Instant>| due.is_some_and(|due| armed.is_none_or(|armed| due < armed));
        let closing = !matches!(state.link, LinkState::Up);
        if state.armed.is_some_and(|armed| sooner(armed) || closing) {
            locked.call_writer();
        }
    }

    /// Turns once; true when that made more to do.
    fn turn(self: &Arc<Self>, state: &mut State, calls: &mut Calls<'_>, now: Instant) -> bool {
        let State {
            stack,
            outgoing,
            outlet,
            words,
            said_all,
            sockets,
            inbox,
            ..
        } = state;
        let said_all = *said_all;
        let out = &mut outlet.out;
        while !said_all && out.len() < WRITE_MARK {
            match outgoing.pop_front() {
                Some(stanza) => words.write(&stanza, out),
                None => break,
            }
        }
        // What a deadline brings is heard even when the link is stuck: it may be its end.
        let urgent = stack.poll_timeout().is_some_and(|due| due <= now);
        let mut events = core::mem::take(inbox);
        let mut again = false;
        if urgent || out.len() < WRITE_MARK {
            turn(stack, now, |output| {
                match output {
                    Output::Stanza(_) if said_all => {}
                    Output::Stanza(stanza) => words.write(&stanza, out),
                    Output::Net(command) => {
                        sockets.carry_out(command, self);
                        again = true;
                    }
                    Output::Event(event) => events.push(event),
                }
                if out.len() >= WRITE_MARK && !urgent {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
        }
        for event in events.drain(..) {
            if let Event::LinkLost = event {
                state.silent = true;
                self.give_up(state, calls, LinkError::Silent);
            }
            again |= state.dispatch(event, now, calls);
        }
        state.inbox = events;
        again
    }

    /// Gives the link up; transfers that need it no more go on.
    pub(crate) fn lose(&self, locked: &mut Locked<'_>, error: LinkError) {
        let (state, calls) = locked.parts();
        self.give_up(state, calls, error);
    }

    fn give_up(&self, state: &mut State, calls: &mut Calls<'_>, error: LinkError) {
        if !matches!(state.link, LinkState::Up | LinkState::Closing) {
            return;
        }
        let in_order = matches!(state.failed, Some(LinkError::Closed)) && !state.leaving;
        state.failed.get_or_insert(error);
        state.link = LinkState::Lingering;
        state.said_all = true;
        state.outlet.clear();
        state.part(in_order, self.now(), calls);
        // The thread that reads learns it by this.
        let _ = self.socket.shutdown(Shutdown::Both);
        calls.writer = true;
        calls.input = true;
        calls.news = true;
    }

    /// Ends everything with the link.
    fn end(&self, locked: &mut Locked<'_>) {
        let (state, calls) = locked.parts();
        let now = self.now();
        state.stack.machine.link_lost(now);
        while let Some(output) = state.stack.poll_output() {
            match output {
                Output::Event(event) => drop(state.dispatch(event, now, calls)),
                Output::Net(_) | Output::Stanza(_) => {}
            }
        }
        state.sockets.clear();
        let error = state.failed.take().unwrap_or(LinkError::Closed);
        state.link = LinkState::Ended(Arc::new(error));
        calls.news = true;
        calls.input = true;
    }

    /// Waits until the machine wants input; nothing when there is nothing to wait for any more.
    pub(super) fn until_wanted(&self) -> Option<Locked<'_>> {
        let mut state = self.lock();
        loop {
            if state.is_gone() {
                return None;
            }
            if state.stack.machine.wants_input() {
                return Some(state);
            }
            state = state.wait_for_input();
        }
    }
}

/// Reads the link to its end.
pub(super) fn read(shared: &Arc<Shared>, mut reader: Reader) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        if shared.until_wanted().is_none() {
            return;
        }
        let result = reader.read(&mut batch, BATCH);
        let mut locked = shared.lock();
        let now = shared.now();
        let (state, calls) = locked.parts();
        for stanza in batch.drain(..) {
            let rest = state.stack.handle_input(Input::Stanza(stanza), now);
            if let Some(Input::Stanza(rest)) = rest {
                state.hand_over(rest, calls);
            }
        }
        let mut state = shared.drive(locked);
        if let Err(error) = result {
            state.heard_all = true;
            if let LinkError::Io(_) = error {
                shared.lose(&mut state, error);
            } else {
                if let LinkError::Xml { condition, .. } = error {
                    say_last(&mut state, |out| write_stream_error(condition, out));
                }
                if state.is_up() || matches!(state.failed, Some(LinkError::Io(_))) {
                    state.failed = Some(error);
                }
                if state.is_up() {
                    state.link = LinkState::Closing;
                }
            }
            state.calls.writer = true;
            return;
        }
    }
}

/// Gives up writing; what the peer said before is still heard, for it may say why.
fn fall_silent(state: &mut Locked<'_>, error: LinkError) {
    state.said_all = true;
    state.outlet.clear();
    if state.is_up() {
        state.failed = Some(error);
        state.link = LinkState::Closing;
    }
    state.calls.writer = true;
}

/// Has something said behind which nothing follows.
fn say_last(state: &mut State, what: impl FnOnce(&mut OutBuf)) {
    if !core::mem::replace(&mut state.said_all, true) {
        what(&mut state.outlet.out);
    }
}

/// Writes to the link and keeps the deadlines, until everything has ended.
pub(super) fn write(shared: &Arc<Shared>) {
    let mut shut = None;
    let mut farewell = None;
    let mut state = shared.lock();
    loop {
        shared.crank(&mut state);
        if let Some(mut buffer) = state.outlet.begin() {
            drop(state);
            let written = write_out(shared, &mut buffer, &mut farewell);
            state = shared.lock();
            state.outlet.end(buffer);
            match written {
                Ok(()) => {}
                Err(error) if is_tick(&error) => shared.lose(&mut state, LinkError::Silent),
                Err(error) => fall_silent(&mut state, LinkError::Io(error)),
            }
            continue;
        }
        let mut due = state.stack.poll_timeout().map(|at| at.since(shared.now()));
        match state.link {
            LinkState::Up => {}
            // Another thread has the turn to write, and calls when it is done.
            LinkState::Closing if !state.outlet.is_idle() => {}
            LinkState::Closing if !state.said_all => {
                say_last(&mut state, write_stream_end);
                continue;
            }
            LinkState::Closing => {
                let since = *shut.get_or_insert_with(|| {
                    // It may be gone, which is what is wanted.
                    let _ = shared.socket.shutdown(Shutdown::Write);
                    std::time::Instant::now()
                });
                let left = LINGER.saturating_sub(since.elapsed());
                if state.heard_all || left.is_zero() {
                    shared.lose(&mut state, LinkError::Closed);
                    continue;
                }
                due = Some(due.map_or(left, |due| due.min(left)));
            }
            LinkState::Lingering if state.goes_on() => {}
            LinkState::Lingering => {
                shared.end(&mut state);
                return;
            }
            LinkState::Ended(_) => return,
        }
        state = rest(shared, state, due);
    }
}

/// Waits until there is something to write, or so long at most.
fn rest<'a>(shared: &'a Shared, mut state: Locked<'a>, most: Option<Duration>) -> Locked<'a> {
    state.armed = Some(most.map(|most| shared.now() + most));
    let mut state = state.wait(&shared.writer, most);
    state.armed = None;
    state
}

/// Writes all of the buffer. While the link is stuck, what is due is seen to, and the last words are
/// given up after a while, which is a tick too many.
fn write_out(
    shared: &Arc<Shared>,
    buffer: &mut OutBuf,
    farewell: &mut Option<std::time::Instant>,
) -> io::Result<()> {
    while !buffer.is_empty() {
        match (&*shared.socket).write(buffer.as_slice()) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => buffer.consume(n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_tick(&error) => {
                let mut state = shared.lock();
                shared.crank(&mut state);
                match state.link {
                    LinkState::Up => {}
                    LinkState::Closing => {
                        let since = farewell.get_or_insert_with(std::time::Instant::now);
                        if since.elapsed() >= FAREWELL {
                            return Err(error);
                        }
                    }
                    LinkState::Lingering | LinkState::Ended(_) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Says whether it is an error only because it took as long as it may.
pub(super) fn is_tick(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    let kind = error.kind();
    kind == Interrupted || kind == if cfg!(windows) { TimedOut } else { WouldBlock }
}
