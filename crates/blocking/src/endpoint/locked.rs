//! The lock of a link's state, and whom to wake once it is given up.

use super::shared::{Shared, State};
use core::ops::{Deref, DerefMut};
use core::time::Duration;
use std::sync::{Arc, Condvar, MutexGuard, PoisonError};

/// The state of a link, locked. Who is to be woken is woken when the lock is given up, so that
/// nobody wakes only to wait for it, and nobody is called who does not wait.
#[derive(Debug)]
pub(crate) struct Locked<'a> {
    // In this order: the lock goes before the calls do.
    state: MutexGuard<'a, State>,
    pub(crate) calls: Calls<'a>,
}

/// Whom to wake. They are woken when this is dropped.
#[derive(Debug)]
pub(crate) struct Calls<'a> {
    shared: &'a Shared,
    pub(crate) writer: bool,
    pub(crate) input: bool,
    pub(crate) news: bool,
    pub(crate) handles: Vec<Arc<Condvar>>,
}

impl<'a> Locked<'a> {
    /// Locks the state. A panic elsewhere leaves it whole: the machine commits in one go.
    pub(super) fn new(shared: &'a Shared) -> Self {
        let state = shared.state.lock();
        Self {
            state: state.unwrap_or_else(PoisonError::into_inner),
            calls: Calls {
                shared,
                writer: false,
                input: false,
                news: false,
                handles: Vec::new(),
            },
        }
    }

    /// The state, and whom to wake for what is done to it.
    pub(crate) fn parts(&mut self) -> (&mut State, &mut Calls<'a>) {
        (&mut self.state, &mut self.calls)
    }

    /// Waits with the lock given up, so long at most. Follow with another look: it may come back at
    /// once.
    pub(crate) fn wait(self, changed: &Condvar, most: Option<Duration>) -> Self {
        let Self { state, calls } = self;
        let shared = calls.shared;
        if calls.any() {
            drop(state);
            drop(calls);
            return Self::new(shared);
        }
        let state = match most {
            None => changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(most) => {
                let waited = changed.wait_timeout(state, most);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        Self { state, calls }
    }

    /// Waits for offers, other stanzas, or the end of the link.
    pub(crate) fn wait_for_news(mut self) -> Self {
        let shared = self.calls.shared;
        self.listening += 1;
        let mut state = self.wait(&shared.news, None);
        state.listening -= 1;
        state
    }

    /// Waits until the machine wants input.
    pub(crate) fn wait_for_input(mut self) -> Self {
        let shared = self.calls.shared;
        self.held += 1;
        let mut state = self.wait(&shared.input, None);
        state.held -= 1;
        state
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Calls<'_> {
    fn any(&self) -> bool {
        self.writer || self.input || self.news || !self.handles.is_empty()
    }
}

impl Drop for Calls<'_> {
    fn drop(&mut self) {
        let of = |called: bool, waits: &Condvar| {
            if called {
                waits.notify_all();
            }
        };
        of(self.writer, &self.shared.writer);
        of(self.input, &self.shared.input);
        of(self.news, &self.shared.news);
        for handle in self.handles.drain(..) {
            handle.notify_all();
        }
    }
}
