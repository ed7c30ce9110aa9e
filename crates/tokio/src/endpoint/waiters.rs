//! Tasks that wait for the same thing.

use super::shared::{Shared, State};
use core::task::{Context, Waker};
use std::collections::BTreeMap;

/// Tasks that wait for the same thing, each no longer than its [`Waiting`] lives.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    next: u64,
    tasks: BTreeMap<u64, Waker>,
}

impl Waiters {
    /// Takes all of them, to be woken.
    pub(crate) fn call(&mut self, wakes: &mut Vec<Waker>) {
        wakes.extend(core::mem::take(&mut self.tasks).into_values());
    }
}

/// A place among the [`Waiters`]. Dropped, it is free.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    shared: &'a Shared,
    place: fn(&mut State) -> &mut Waiters,
    key: Option<u64>,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(shared: &'a Shared, place: fn(&mut State) -> &mut Waiters) -> Self {
        Self {
            shared,
            place,
            key: None,
        }
    }

    /// Has the task that polls woken at the next call.
    pub(super) fn keep(&mut self, state: &mut State, cx: &Context<'_>) {
        let waiters = (self.place)(state);
        let key = *self.key.get_or_insert_with(|| {
            waiters.next += 1;
            waiters.next
        });
        let waker = waiters.tasks.entry(key);
        let waker = waker.or_insert_with(|| cx.waker().clone());
        waker.clone_from(cx.waker());
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let waker = (self.place)(&mut self.shared.lock()).tasks.remove(&key);
            // Whatever goes with it may want the lock.
            drop(waker);
        }
    }
}
